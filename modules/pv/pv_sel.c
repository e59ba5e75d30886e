/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Selects: "$sel(contact.uri.host)", "$sel(msg.header["X-Foo"][1])". The path is cut into elements and its root, kind of field and
 * part are looked up when the script is loaded; an unknown one is refused there.
 */
#include "modules/pv/pv_sel.h"

#include "core/settings/cfg.h"

/* ---- parsing ---- */

/* One "[...]" at *p. */
static int bracket_parse(struct str in, size_t *p, struct sel_elem *e, struct diag *reterr)
{
	size_t start = ++*p;
	struct str text;
	int64_t i;

	if (start < in.n && in.s[start] == '"') {
		ptrdiff_t end = str_find_char(str_sub(in, start + 1, in.n), '"');

		if (end < 0)
			return diag_set(reterr, start, "'\"' expected");
		e->key = str_sub(in, start + 1, (size_t)end);
		e->has_key = true;
		*p = start + (size_t)end + 2;
	} else {
		while (*p < in.n && in.s[*p] != ']')
			++*p;
		text = str_sub(in, start, *p - start);
		if (num_i64(text, &i) < 0) {
			e->key = text;
			e->has_key = true;
		} else if (i < -1000 || i > 1000) {
			return diag_set(reterr, start, "index out of range");
		} else if (e->has_idx || e->has_key) {
			e->idx2 = (int)i;
			e->has_idx2 = true;
		} else {
			e->idx = (int)i;
			e->has_idx = true;
		}
	}
	if (*p >= in.n || in.s[*p] != ']')
		return diag_set(reterr, *p, "']' expected in a select");
	++*p;
	return 0;
}

static int elems_parse(struct str in, struct sel *sel, struct diag *reterr)
{
	size_t p = 0;
	bool first = true;

	while (p < in.n) {
		struct sel_elem e = { 0 };
		size_t start = p;
		int err;

		while (p < in.n && in.s[p] != '.' && in.s[p] != '[')
			p++;
		e.name = str_sub(in, start, p - start);
		if (e.name.n >= 2 && e.name.s[0] == '"' && e.name.s[e.name.n - 1] == '"')
			e.name = str_sub(e.name, 1, e.name.n - 2);
		if (e.name.n == 0)
			return diag_set(reterr, p, "empty element in a select");
		while (p < in.n && in.s[p] == '[') {
			err = bracket_parse(in, &p, &e, reterr);
			if (err < 0)
				return err;
		}
		if (p < in.n && in.s[p] != '.')
			return diag_set(reterr, p, "'.' expected in a select");
		p++;
		if (first) {
			sel->first = e;
			first = false;
		} else if (sel->n == SEL_ELEMS_MAX) {
			return diag_set(reterr, p, "select with more than %u elements", SEL_ELEMS_MAX);
		} else {
			sel->e[sel->n++] = e;
		}
	}
	return first ? diag_set(reterr, 0, "empty select") : 0;
}

/* ---- what the elements may be: checked at load ---- */

static const struct root {
	const char *name;
	enum sel_root root;
	enum sip_header id;
	const char *subs; /* " a b " : allowed second elements; NULL: any-uri; "": none */
} roots[] = {
	{ "ruri", R_RURI, 0, NULL }, { "request_uri", R_RURI, 0, NULL }, { "dst_uri", R_DST_URI, 0, NULL }, { "next_hop", R_NEXT_HOP, 0, NULL },
	{ "from", R_FROM, SIP_H_FROM, " uri tag name params " }, { "f", R_FROM, SIP_H_FROM, " uri tag name params " },
	{ "to", R_TO, SIP_H_TO, " uri tag name params " }, { "t", R_TO, SIP_H_TO, " uri tag name params " },
	{ "refer_to", R_ADDR, SIP_H_REFER_TO, " uri tag name params " }, { "rpid", R_ADDR, SIP_H_REMOTE_PARTY_ID, " uri tag name params " },
	{ "remote_party_id", R_ADDR, SIP_H_REMOTE_PARTY_ID, " uri tag name params " },
	{ "contact", R_CONTACT, SIP_H_CONTACT, " uri name q expires methods received instance params " },
	{ "m", R_CONTACT, SIP_H_CONTACT, " uri name q expires methods received instance params " },
	{ "via", R_VIA, SIP_H_VIA, " name version transport host port comment branch received rport i alias params " },
	{ "v", R_VIA, SIP_H_VIA, " name version transport host port comment branch received rport i alias params " },
	{ "record_route", R_RR, SIP_H_RECORD_ROUTE, " uri name params " }, { "rr", R_RR, SIP_H_RECORD_ROUTE, " uri name params " },
	{ "cseq", R_CSEQ, SIP_H_CSEQ, " num method " },
	{ "msg", R_MSG, 0, " first_line flags len id type body content header h request req response res " },
	{ "message", R_MSG, 0, " first_line flags len id type body content header h request req response res " },
	{ "method", R_METHOD, 0, "" }, { "version", R_VERSION, 0, "" }, { "status", R_STATUS, 0, "" }, { "code", R_STATUS, 0, "" },
	{ "reason", R_REASON, 0, "" },
	{ "call_id", R_FIELD, SIP_H_CALL_ID, "" }, { "expires", R_FIELD, SIP_H_EXPIRES, "" }, { "max_forwards", R_FIELD, SIP_H_MAX_FORWARDS, "" },
	{ "content_type", R_FIELD, SIP_H_CONTENT_TYPE, "" }, { "content_length", R_FIELD, SIP_H_CONTENT_LENGTH, "" },
	{ "subject", R_FIELD, SIP_H_SUBJECT, "" }, { "organization", R_FIELD, SIP_H_ORGANIZATION, "" }, { "priority", R_FIELD, SIP_H_PRIORITY, "" },
	{ "session_expires", R_FIELD, SIP_H_SESSION_EXPIRES, "" }, { "min_se", R_FIELD, SIP_H_MIN_SE, "" },
	{ "user_agent", R_FIELD, SIP_H_USER_AGENT, "" }, { "sip_if_match", R_FIELD, SIP_H_SIP_IF_MATCH, "" }, { "event", R_FIELD, SIP_H_EVENT, "" },
	{ "date", R_FIELD, SIP_H_DATE, "" }, { "identity", R_FIELD, SIP_H_IDENTITY, "" }, { "identity_info", R_FIELD, SIP_H_IDENTITY_INFO, "" },
	{ "authorization", R_AUTH, SIP_H_AUTHORIZATION, " username realm nonce uri cnonce nc response opaque algorithm qop " },
	{ "proxy_authorization", R_AUTH, SIP_H_PROXY_AUTHORIZATION, " username realm nonce uri cnonce nc response opaque algorithm qop " },
	{ "src", R_SRC, 0, " ip port ip_port " }, { "dst", R_DST, 0, " ip port ip_port " },
	{ "received", R_RECEIVED, 0, " proto ip port ip_port proto_ip_port " },
	{ "sys", R_SYS, 0, " pid unique now server_id " },
	{ "branch", R_BRANCH, 0, " count uri dst_uri uriq q " },
	{ "cfg_get", R_CFG, 0, " " }, { "cfg_selected", R_CFG_SELECTED, 0, " " },
};

static const char any_uri[] = " type user rn_user pwd host port hostport transport params ";

static bool listed(const char *list, struct str name)
{
	char pat[40];

	if (name.n + 3 > sizeof(pat))
		return false;
	pat[0] = ' ';
	memcpy(pat + 1, name.s, name.n);
	pat[name.n + 1] = ' ';
	pat[name.n + 2] = '\0';
	return strstr(list, pat) != NULL;
}

static int unknown(struct str name, const char *list, struct diag *reterr)
{
	return diag_set(reterr, 0, "select element '%.*s' is unknown; there are:%s", STR_FMT(name), list);
}

static int uri_check(const struct sel *s, unsigned at, struct diag *reterr)
{
	if (at < s->n && !listed(any_uri, s->e[at].name) && !(s->root == R_NEXT_HOP && str_eq(s->e[at].name, STR_LIT("src_ip"))))
		return unknown(s->e[at].name, any_uri, reterr);
	return 0;
}

/* The elements behind msg. */
static int msg_check(const struct sel *s, struct diag *reterr)
{
	struct str a = s->n > 0 ? s->e[0].name : STR_NULL;

	if (str_eq(a, STR_LIT("request")) || str_eq(a, STR_LIT("req"))) {
		if (s->n < 2 || !listed(" method uri version ", s->e[1].name))
			return unknown(s->n < 2 ? a : s->e[1].name, " method uri version", reterr);
		return uri_check(s, str_eq(s->e[1].name, STR_LIT("uri")) ? 2 : s->n, reterr);
	}
	if (str_eq(a, STR_LIT("response")) || str_eq(a, STR_LIT("res"))) {
		if (s->n < 2 || !listed(" version status code reason ", s->e[1].name))
			return unknown(s->n < 2 ? a : s->e[1].name, " version status code reason", reterr);
	}
	if ((str_eq(a, STR_LIT("header")) || str_eq(a, STR_LIT("h"))) && !s->e[0].has_key)
		return diag_set(reterr, 0, "select msg.header needs [\"Name\"]");
	return 0;
}

static int sel_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct sel *s = pool_zalloc(pool, sizeof(*s));
	const struct root *r = NULL;
	int err;

	if (!s)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	err = elems_parse(spec->inner, s, reterr);
	if (err < 0)
		return err;
	for (size_t i = 0; i < ARRAY_LEN(roots) && !r; i++) {
		if (str_eq(str_lit(roots[i].name), s->first.name))
			r = &roots[i];
	}
	if (!r)
		return diag_set(reterr, 0, "select '%.*s' is unknown", STR_FMT(s->first.name));
	s->root = r->root;
	s->id = r->id;
	spec->data = s;
	if (r->root == R_CFG)
		return s->n == 2 ? 0 : diag_set(reterr, 0, "select cfg_get needs group and name");
	if (r->root == R_CFG_SELECTED)
		return s->n == 1 ? 0 : diag_set(reterr, 0, "select cfg_selected needs a group");
	if (!r->subs)
		return uri_check(s, 0, reterr);
	if (s->n > 0 && !listed(r->subs, s->e[0].name))
		return unknown(s->e[0].name, r->subs, reterr);
	if (r->root == R_MSG)
		return msg_check(s, reterr);
	if (s->n > 1 && str_eq(s->e[0].name, STR_LIT("uri")))
		return r->root == R_BRANCH || r->root == R_AUTH ? 0 : uri_check(s, 1, reterr);
	return 0;
}

/* ---- $ccp(group.name), $ccp(group[id].name) ---- */

static int ccp_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct sel *s = pool_zalloc(pool, sizeof(*s));
	int err;

	if (!s)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	err = elems_parse(spec->inner, s, reterr);
	if (err < 0)
		return err;
	if (s->n != 1)
		return diag_set(reterr, 0, "$ccp(%.*s) is not group.name", STR_FMT(spec->inner));
	spec->data = s;
	return 0;
}

static int ccp_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sel *s = spec->data;

	if (cfg_get(s->first.name, s->first.has_idx ? s->first.idx : 0, s->e[0].name, ctx->pool, ret) < 0)
		return pv_ret_null(ret);
	return 0;
}

static int ccp_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	const struct sel *s = spec->data;

	(void)ctx;
	if (v->kind == VALUE_NULL)
		return 0;
	return cfg_set(s->first.name, s->first.has_idx ? s->first.idx : 0, s->e[0].name, v);
}

/* clang-format off */
const struct pv_def pv_sel_table[] = {
	{ .name = "sel", .get = pv_sel_get, .prepare = sel_prepare, .flags = PV_INNER },
	{ .name = "ccp", .get = ccp_get, .set = ccp_set, .prepare = ccp_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */
