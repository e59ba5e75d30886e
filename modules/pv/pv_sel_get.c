/* SPDX-License-Identifier: BSD-2-Clause */
/* What a select names, of the message, the process or the settings. Values are texts; what is missing is null. */
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/settings/cfg.h"
#include "modules/pv/pv_sel.h"

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

int pv_sel_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
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
