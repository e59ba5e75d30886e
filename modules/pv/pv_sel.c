/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Selects: "$sel(contact.uri.host)", "$sel(msg.header["X-Foo"][1])". The path is cut into elements and its root, kind of field and
 * part are looked up when the script is loaded; an unknown one is refused there. Values are texts; what is missing is null.
 */
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/settings/cfg.h"
#include "modules/pv/pv_priv.h"

#define SEL_ELEMS_MAX 32u

struct sel_elem {
	struct str name;
	struct str key;  /* ["text"] */
	int idx;
	bool has_idx, has_key, has_idx2;
	int idx2;        /* second index: header["X"][2] */
};

enum sel_root {
	R_RURI, R_DST_URI, R_NEXT_HOP, R_FROM, R_TO, R_ADDR, R_CONTACT, R_VIA, R_RR, R_CSEQ, R_MSG, R_METHOD, R_VERSION, R_STATUS, R_REASON,
	R_FIELD, R_AUTH, R_SRC, R_DST, R_RECEIVED, R_SYS, R_BRANCH, R_CFG, R_CFG_SELECTED
};

struct sel {
	enum sel_root root;
	enum sip_header id;
	unsigned n;             /* elements behind the root */
	struct sel_elem first;  /* the root's own */
	struct sel_elem e[SEL_ELEMS_MAX];
};

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

/* ---- values ---- */

static bool is(const struct sel *s, unsigned at, const char *name)
{
	return at < s->n && str_eq(s->e[at].name, str_lit(name));
}

/* What is there and empty is "". */
static int ret_text(struct value *ret, struct str s)
{
	*ret = value_str(s.n > 0 ? s : STR_LIT(""));
	return 0;
}

static int ret_num(struct ctx *ctx, struct value *ret, int64_t i)
{
	struct str s;
	int err = pool_printf(ctx->pool, &s, "%lld", (long long)i);

	return err < 0 ? err : pv_ret_str(ret, s);
}

static int ret_param(const struct sel *s, unsigned at, struct str params, struct value *ret)
{
	struct sip_param p;

	if (at >= s->n)
		return pv_ret_str(ret, params);
	if (!sip_param_find(params, s->e[at].name, &p))
		return pv_ret_null(ret);
	return pv_ret_str(ret, p.value);
}

/* A telephone number without its visual separators (RFC 3966, 5.1.1). */
static int ret_digits(struct ctx *ctx, struct str number, struct value *ret)
{
	struct strbuf sb;

	strbuf_init_pool(&sb, ctx->pool, number.n + 1);
	for (size_t i = 0; i < number.n; i++)
		if (!strchr("-.()", number.s[i]))
			strbuf_add_char(&sb, number.s[i]);
	return strbuf_err(&sb) < 0 ? -ENOMEM : pv_ret_str(ret, strbuf_str(&sb));
}

static int sel_uri(struct ctx *ctx, const struct sel *s, unsigned at, struct str text, struct value *ret)
{
	struct sip_uri u;
	struct str out;
	ptrdiff_t semi;
	int err;

	if (text.n == 0)
		return pv_ret_null(ret);
	if (at >= s->n)
		return pv_ret_str(ret, text);
	if (sip_uri_parse(text, &u, NULL) < 0)
		return pv_ret_null(ret);
	if (is(s, at, "type"))
		return pv_ret_str(ret, u.scheme_text);
	if (is(s, at, "user") || is(s, at, "rn_user")) {
		semi = is(s, at, "rn_user") ? str_find_char(u.user, ';') : -1; /* the user without what follows ';' */
		if (semi >= 0)
			u.user = str_sub(u.user, 0, (size_t)semi);
		return u.scheme == SIP_URI_TEL || u.scheme == SIP_URI_TELS ? ret_digits(ctx, u.user, ret) : pv_ret_str(ret, u.user);
	}
	if (is(s, at, "pwd"))
		return pv_ret_str(ret, u.password);
	if (is(s, at, "host"))
		return ret_text(ret, u.host.n > 0 ? pv_uri_host(&u) : STR_NULL);
	if (is(s, at, "port"))
		return pv_ret_str(ret, u.port_text);
	if (is(s, at, "hostport")) {
		if (u.host.n == 0)
			return pv_ret_null(ret);
		err = pool_printf(ctx->pool, &out, "%.*s:%u", STR_FMT(pv_uri_host(&u)), sip_uri_port(&u));
		return err < 0 ? err : pv_ret_str(ret, out);
	}
	if (is(s, at, "transport"))
		return pv_ret_str(ret, u.transport.n > 0 ? u.transport : u.scheme == SIP_URI_SIPS ? STR_LIT("tls") : STR_LIT("udp"));
	return ret_param(s, at + 1, u.params, ret);
}

static int sel_addr(struct ctx *ctx, const struct sel *s, const struct sip_addr *a, struct value *ret)
{
	struct sip_param p;

	if (s->n == 0)
		return pv_ret_str(ret, a->text);
	if (is(s, 0, "uri"))
		return a->star ? pv_ret_null(ret) : sel_uri(ctx, s, 1, a->uri, ret);
	if (is(s, 0, "tag"))
		return pv_ret_str(ret, a->tag);
	if (is(s, 0, "name"))
		return s->root == R_CONTACT && !a->star ? ret_text(ret, a->display) : pv_ret_str(ret, a->display);
	if (is(s, 0, "params"))
		return ret_param(s, 1, a->params, ret);
	if (!sip_param_find(a->params, is(s, 0, "instance") ? STR_LIT("+sip.instance") : s->e[0].name, &p))
		return pv_ret_null(ret);
	return pv_ret_str(ret, p.value);
}

static int sel_addr_field(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	struct sip_addr_iter it = { 0 };
	struct sip_addr a;
	int n = s->first.has_idx ? s->first.idx : 0;

	if (s->n == 0 && !s->first.has_idx) {
		const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, s->id);

		return h ? pv_ret_str(ret, h->value) : pv_ret_null(ret);
	}
	if (n < 0) {
		struct sip_addr_iter all = { 0 };

		while (sip_msg_addr_next(&ctx->msg, s->id, &all, &a) == 1)
			n++;
	}
	while (n >= 0 && sip_msg_addr_next(&ctx->msg, s->id, &it, &a) == 1) {
		if (n-- == 0)
			return sel_addr(ctx, s, &a, ret);
	}
	return pv_ret_null(ret);
}

/* The i-th value (from 1, negative from the end) of all Via fields. */
static bool via_at(struct ctx *ctx, int i, struct sip_via *ret)
{
	int total = 0;

	for (unsigned round = i < 0 ? 0 : 1; round < 2; round++) {
		int n = i < 0 ? i + total : i - 1;

		if (round == 1 && n < 0)
			return false;
		for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_VIA); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
			struct str rest = h->value;

			while (sip_via_next(&rest, ret, NULL) == 1) {
				total++;
				if (round == 1 && n-- == 0)
					return true;
			}
		}
	}
	return false;
}

static int sel_via(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	struct sip_via v;

	if (!via_at(ctx, s->first.has_idx ? s->first.idx : 1, &v))
		return pv_ret_null(ret);
	if (s->n == 0)
		return pv_ret_str(ret, v.text);
	if (is(s, 0, "name"))
		return pv_ret_str(ret, STR_LIT("SIP"));
	if (is(s, 0, "version")) {
		ptrdiff_t slash = str_rfind_char(v.version, '/');

		return pv_ret_str(ret, slash < 0 ? v.version : str_sub(v.version, (size_t)slash + 1, v.version.n));
	}
	if (is(s, 0, "transport"))
		return pv_ret_str(ret, v.transport);
	if (is(s, 0, "host"))
		return pv_ret_str(ret, v.host_v6 ? str_of(v.host.s - 1, v.host.n + 2) : v.host);
	if (is(s, 0, "port"))
		return v.port ? ret_num(ctx, ret, v.port) : pv_ret_null(ret);
	if (is(s, 0, "comment"))
		return pv_ret_null(ret);
	if (is(s, 0, "params"))
		return ret_param(s, 1, v.params, ret);
	return ret_param(s, 0, v.params, ret);
}

static int sel_auth(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, s->id); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
		struct sip_credentials c;

		if (sip_credentials_parse(h->value, &c, NULL) < 0 || !c.is_digest || (s->first.has_key && !str_eq(c.realm, s->first.key)))
			continue;
		if (s->n == 0)
			return pv_ret_str(ret, h->value);
		if (is(s, 0, "username"))
			return pv_ret_str(ret, is(s, 1, "user") ? c.user : is(s, 1, "domain") ? c.domain : c.username);
		const struct {
			const char *name;
			struct str v;
		} parts[] = { { "realm", c.realm }, { "nonce", c.nonce }, { "uri", c.uri }, { "cnonce", c.cnonce }, { "nc", c.nc },
			      { "response", c.response }, { "opaque", c.opaque }, { "algorithm", c.algorithm }, { "qop", c.qop } };
		for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
			if (is(s, 0, parts[i].name))
				return pv_ret_str(ret, parts[i].v);
		}
	}
	return pv_ret_null(ret);
}

/* body.sdp.line["x"]: the first line of that letter, without "x=". */
static int sel_sdp_line(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	struct str rest = ctx->msg.body, line, key = s->e[2].key;

	if (!is(s, 2, "line") || key.n == 0)
		return pv_ret_null(ret);
	while (rest.n > 0) {
		ptrdiff_t nl = str_find_char(rest, '\n');

		line = str_trim(nl < 0 ? rest : str_sub(rest, 0, (size_t)nl));
		rest = nl < 0 ? STR_NULL : str_sub(rest, (size_t)nl + 1, rest.n);
		if (str_starts(line, key) && line.n > key.n && line.s[key.n] == '=')
			return pv_ret_str(ret, str_sub(line, key.n + 1, line.n));
	}
	return pv_ret_null(ret);
}

/* msg.header["X"][n], then nameaddr[n].uri and so on */
static int sel_header(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	const struct sip_hdr *h = sip_msg_hdr_named(&ctx->msg, s->e[0].key, s->e[0].has_idx2 ? s->e[0].idx2 : s->e[0].has_idx ? s->e[0].idx : 0);
	struct str rest;
	struct sip_addr a;
	ptrdiff_t semi;
	int n;

	if (!h)
		return pv_ret_null(ret);
	if (s->n == 1)
		return pv_ret_str(ret, h->value);
	if (is(s, 1, "params")) {
		semi = str_find_char(h->value, ';');
		return semi < 0 ? pv_ret_null(ret) : ret_param(s, 2, str_sub(h->value, (size_t)semi + 1, h->value.n), ret);
	}
	if (!is(s, 1, "nameaddr"))
		return -EINVAL;
	rest = h->value;
	for (n = s->e[1].has_idx ? s->e[1].idx : 0; n >= 0 && sip_addr_next(&rest, &a, NULL) == 1; n--) {
		if (n > 0)
			continue;
		if (s->n == 2)
			return pv_ret_str(ret, a.text);
		if (is(s, 2, "name"))
			return pv_ret_str(ret, a.display);
		if (is(s, 2, "uri"))
			return sel_uri(ctx, s, 3, a.uri, ret);
		return ret_param(s, 3, a.params, ret);
	}
	return pv_ret_null(ret);
}

static int sel_msg(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	const struct sip_msg *m = &ctx->msg;
	bool request = m->kind == SIP_REQUEST;
	struct str out;
	int err;

	if (s->n == 0)
		return pv_ret_str(ret, m->buf);
	if (is(s, 0, "first_line"))
		return pv_ret_str(ret, m->first_line);
	if (is(s, 0, "flags"))
		return ret_num(ctx, ret, ctx->flags);
	if (is(s, 0, "len"))
		return ret_num(ctx, ret, (int64_t)m->buf.n);
	if (is(s, 0, "id")) {
		if (!is(s, 1, "hex"))
			return ret_num(ctx, ret, ctx->msg_no);
		err = pool_printf(ctx->pool, &out, "%08X", ctx->msg_no);
		return err < 0 ? err : pv_ret_str(ret, out);
	}
	if (is(s, 0, "type"))
		return pv_ret_str(ret, request ? STR_LIT("1") : STR_LIT("2"));
	if (is(s, 0, "body") || is(s, 0, "content"))
		return is(s, 1, "sdp") && s->n > 2 ? sel_sdp_line(ctx, s, ret) : ret_text(ret, m->body);
	if (is(s, 0, "header") || is(s, 0, "h"))
		return sel_header(ctx, s, ret);
	if (is(s, 1, "version"))
		return (is(s, 0, "request") || is(s, 0, "req")) == request ? pv_ret_str(ret, m->version) : pv_ret_null(ret);
	if (is(s, 0, "request") || is(s, 0, "req")) {
		if (!request)
			return pv_ret_null(ret);
		return is(s, 1, "method") ? pv_ret_str(ret, m->method_name) : sel_uri(ctx, s, 2, m->ruri, ret);
	}
	if (request)
		return pv_ret_null(ret);
	return is(s, 1, "reason") ? pv_ret_str(ret, m->reason) : ret_num(ctx, ret, m->status);
}

static int sel_endpoint(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	const struct net_listener *l = net_listener_at(ctx->rx.listener);
	const struct net_addr *a = s->root == R_SRC ? &ctx->rx.src : l ? &l->addr : &ctx->rx.dst;
	const char *proto = sip_proto_name(ctx->rx.proto);
	char ip[NET_ADDR_TEXT_MAX];
	struct str out;
	int err;

	if (is(s, 0, "proto"))
		return pv_ret_str(ret, str_lit(proto));
	if (is(s, 0, "port"))
		return ret_num(ctx, ret, a->port);
	if (is(s, 0, "ip") || s->n == 0)
		return pv_ret_dup(ctx, ret, str_of(ip, net_addr_ip_text(a, false, ip)));
	err = pool_printf(ctx->pool, &out, "%s%s%.*s", is(s, 0, "proto_ip_port") ? proto : "", is(s, 0, "proto_ip_port") ? ":" : "",
			  (int)net_addr_text(a, ip), ip);
	return err < 0 ? err : pv_ret_str(ret, out);
}

static int sel_sys(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	time_t now = clock_wall().tv_sec;
	bool utc = is(s, 1, "gmt") || is(s, 1, "utc");
	char fmt[64] = "%a %b %e %H:%M:%S %Y", text[128];
	struct str out;
	struct tm tm;
	size_t n;
	int err;

	if (is(s, 0, "pid"))
		return ret_num(ctx, ret, getpid());
	if (is(s, 0, "server_id"))
		return ret_num(ctx, ret, pv_conf.server_id);
	if (is(s, 0, "unique")) {
		err = pool_printf(ctx->pool, &out, "%d-%llx-%08x", (int)getpid(), (unsigned long long)now, rng_below(UINT32_MAX));
		return err < 0 ? err : pv_ret_str(ret, out);
	}
	if (s->n <= 1)
		return ret_num(ctx, ret, now);
	if (s->n > 2 && s->e[2].name.n < sizeof(fmt)) {
		memcpy(fmt, s->e[2].name.s, s->e[2].name.n);
		fmt[s->e[2].name.n] = '\0';
	}
	if (!(utc ? gmtime_r(&now, &tm) : localtime_r(&now, &tm)))
		return -ERANGE;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the script's own format is the point */
	n = strftime(text, sizeof(text), fmt, &tm);
#pragma GCC diagnostic pop
	return pv_ret_dup(ctx, ret, str_of(text, n));
}

static int sel_branch(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	const struct ctx_target *t;
	struct str out;
	int i = s->n > 0 && s->e[0].has_idx ? s->e[0].idx : 0, err;

	if (s->n == 0 || is(s, 0, "count"))
		return ret_num(ctx, ret, ctx->n_branches);
	if (i < 0)
		i += ctx->n_branches;
	if (i < 0 || i >= ctx->n_branches)
		return pv_ret_null(ret);
	t = &ctx->branch[i];
	if (is(s, 0, "uri"))
		return pv_ret_str(ret, t->uri);
	if (is(s, 0, "dst_uri"))
		return pv_ret_str(ret, t->dst_uri);
	if (t->q < 0)
		return is(s, 0, "q") ? pv_ret_null(ret) : pv_ret_str(ret, t->uri);
	err = is(s, 0, "q") ? pool_printf(ctx->pool, &out, "%d.%03d", t->q / 1000, t->q % 1000) :
			      pool_printf(ctx->pool, &out, "<%.*s>;q=%d.%03d", STR_FMT(t->uri), t->q / 1000, t->q % 1000);
	return err < 0 ? err : pv_ret_str(ret, out);
}

/* cfg_get.group.name, cfg_get.group[id].name: numbers as text */
static int sel_cfg(struct ctx *ctx, const struct sel *s, struct value *ret)
{
	struct value v;
	struct str text;
	int err = cfg_get(s->e[0].name, s->e[0].has_idx ? s->e[0].idx : 0, s->e[1].name, ctx->pool, &v);

	if (err < 0)
		return pv_ret_null(ret);
	err = value_to_str(&v, ctx->pool, &text);
	if (err < 0)
		return err;
	*ret = value_str(text);
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

static int sel_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sel *s = spec->data;
	struct sip_msg *m = &ctx->msg;
	bool request = m->kind == SIP_REQUEST;
	const struct sip_cseq *cseq;
	const struct sip_addr *a;
	const struct sip_hdr *h;
	char ip[NET_ADDR_TEXT_MAX];
	ptrdiff_t semi;
	int id;

	switch (s->root) {
	case R_RURI:
		return sel_uri(ctx, s, 0, request ? ctx_ruri(ctx) : STR_NULL, ret);
	case R_DST_URI:
		return sel_uri(ctx, s, 0, ctx->main.dst_uri, ret);
	case R_NEXT_HOP:
		if (is(s, 0, "src_ip"))
			return pv_ret_dup(ctx, ret, str_of(ip, net_addr_ip_text(&ctx->rx.src, false, ip)));
		return sel_uri(ctx, s, 0, ctx->main.dst_uri.n > 0 ? ctx->main.dst_uri : request ? ctx_ruri(ctx) : STR_NULL, ret);
	case R_FROM:
	case R_TO:
		a = s->root == R_FROM ? sip_msg_from(m) : sip_msg_to(m);
		return a ? sel_addr(ctx, s, a, ret) : pv_ret_null(ret);
	case R_ADDR:
	case R_CONTACT:
	case R_RR:
		return sel_addr_field(ctx, s, ret);
	case R_VIA:
		return sel_via(ctx, s, ret);
	case R_CSEQ:
		cseq = sip_msg_cseq(m);
		if (!cseq)
			return pv_ret_null(ret);
		if (s->n > 0)
			return pv_ret_str(ret, is(s, 0, "num") ? cseq->number_text : cseq->name);
		break;
	case R_MSG:
		return sel_msg(ctx, s, ret);
	case R_METHOD:
		return request ? pv_ret_str(ret, m->method_name) : pv_ret_null(ret);
	case R_VERSION:
		return pv_ret_str(ret, m->version);
	case R_STATUS:
		return request ? pv_ret_null(ret) : ret_num(ctx, ret, m->status);
	case R_REASON:
		return request ? pv_ret_null(ret) : pv_ret_str(ret, m->reason);
	case R_FIELD:
		break;
	case R_AUTH:
		return sel_auth(ctx, s, ret);
	case R_SRC:
	case R_DST:
	case R_RECEIVED:
		return sel_endpoint(ctx, s, ret);
	case R_SYS:
		return sel_sys(ctx, s, ret);
	case R_BRANCH:
		return sel_branch(ctx, s, ret);
	case R_CFG:
		return sel_cfg(ctx, s, ret);
	case R_CFG_SELECTED: /* the instance that cfg_select() chose, "" for none */
		id = cfg_selected(s->e[0].name);
		return id ? ret_num(ctx, ret, id) : ret_text(ret, STR_NULL);
	}
	h = sip_msg_hdr(m, s->id);
	if (!h)
		return pv_ret_null(ret);
	semi = s->id == SIP_H_EVENT ? str_find_char(h->value, ';') : -1; /* the package only */
	return pv_ret_str(ret, semi < 0 ? h->value : str_trim(str_sub(h->value, 0, (size_t)semi)));
}

/* clang-format off */
const struct pv_def pv_sel_table[] = {
	{ .name = "sel", .get = sel_get, .prepare = sel_prepare, .flags = PV_INNER },
	{ .name = "ccp", .get = ccp_get, .set = ccp_set, .prepare = ccp_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */
