/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module siputils: small questions about a message (is it a request, has To a tag, is this URI a number) and small changes of
 * URIs. Contacts that carry a peer's address in a parameter are in siputils_contact.c.
 */
#include "modules/siputils/siputils_priv.h"

#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/scan.h"
#include "core/module/abi.h"
#include "core/net/myself.h"

struct siputils_conf siputils_conf;

/* ---- what kind of message ---- */

static int f_is_request(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	return ctx->msg.kind == SIP_REQUEST ? 1 : -1;
}

static int f_is_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	return ctx->msg.kind == SIP_REPLY ? 1 : -1;
}

static int f_is_sip(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	return str_istarts(ctx->msg.version, STR_LIT("SIP/")) ? 1 : -1;
}

static int f_is_http(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	return str_istarts(ctx->msg.version, STR_LIT("HTTP/")) ? 1 : -1;
}

static int f_has_totag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_addr *to = sip_msg_to(&ctx->msg);

	(void)a;
	(void)n;
	return to && to->tag.n > 0 ? 1 : -1;
}

/* A request from a client has just one Via. With mode 1, a Record-Route tells that a proxy was there too. */
static int f_is_first_hop(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_msg *m = &ctx->msg;

	if (m->kind == SIP_REQUEST) {
		if (n > 0 && (a[0].i & 1) && sip_msg_hdr(m, SIP_H_RECORD_ROUTE))
			return -1;
		return sip_msg_via1(&ctx->msg) && !sip_msg_via2(&ctx->msg) ? 1 : -1;
	}
	/* a reply comes from the user agent itself when nobody else recorded a route */
	if (sip_msg_hdr(m, SIP_H_RECORD_ROUTE)) {
		struct sip_addr_iter it = { 0 };
		struct sip_addr r;
		struct sip_uri u;

		if (sip_msg_addr_next(m, SIP_H_RECORD_ROUTE, &it, &r) != 1 || sip_uri_parse(r.uri, &u, NULL) < 0)
			return -1;
		return net_is_myself(u.host, u.port, u.proto) ? 1 : -1;
	}
	return 1;
}

/* ---- names and numbers ---- */

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.s[i] < '0' || s.s[i] > '9')
			return false;
	}
	return s.n > 0;
}

bool siputils_is_e164(struct str s)
{
	return s.n >= 3 && s.n <= (size_t)siputils_conf.e164_max_len && s.s[0] == '+' && all_digits(str_sub(s, 1, s.n));
}

static bool pv_text(struct ctx *ctx, const struct pv_spec *pv, struct str *ret)
{
	struct value v;

	return pv_get(ctx, pv, &v) == 0 && v.kind != VALUE_NULL && value_to_str(&v, ctx->pool, ret) == 0;
}

static int f_is_e164(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s;

	(void)n;
	return pv_text(ctx, a[0].pv, &s) && siputils_is_e164(s) ? 1 : -1;
}

static int f_is_uri_user_e164(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri u;
	struct str s;

	(void)n;
	return pv_text(ctx, a[0].pv, &s) && sip_uri_parse(s, &u, NULL) == 0 && siputils_is_e164(u.user) ? 1 : -1;
}

static int f_is_uri(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri u;

	(void)ctx;
	(void)n;
	return sip_uri_parse(a[0].s, &u, NULL) == 0 && u.scheme != SIP_URI_OTHER ? 1 : -1;
}

static int f_is_tel_number(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s = a[0].s;

	(void)ctx;
	(void)n;
	if (s.n > 0 && s.s[0] == '+')
		s = str_sub(s, 1, s.n);
	return all_digits(s) ? 1 : -2;
}

static int f_is_numeric(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return all_digits(a[0].s) ? 1 : -2;
}

static int alphanum(struct str s, struct str extra)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!char_is(s.s[i], CHARS_ALNUM) && str_find_char(extra, s.s[i]) < 0)
			return -3;
	}
	return s.n > 0 ? 1 : -2;
}

static int f_is_alphanum(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return alphanum(a[0].s, STR_NULL);
}

static int f_is_alphanumex(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return alphanum(a[0].s, a[1].s);
}

/* Authenticated as this user; what credentials merely claim is nothing. */
static int f_is_user(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return ctx->auth_user.n > 0 && str_eq(ctx->auth_user, a[0].s) ? 1 : -1;
}

/* ---- comparing ---- */

static int f_cmp_uri(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri x, y;

	(void)ctx;
	(void)n;
	if (sip_uri_parse(a[0].s, &x, NULL) < 0 || sip_uri_parse(a[1].s, &y, NULL) < 0)
		return -2;
	return sip_uri_equal(&x, &y) ? 1 : -1;
}

static uint16_t aor_port(const struct sip_uri *u)
{
	return u->port ? u->port : 5060;
}

/* Address of record: user, host and port, where none is 5060 whatever the scheme and the transport. */
static int f_cmp_aor(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri x, y;

	(void)ctx;
	(void)n;
	if (sip_uri_parse(a[0].s, &x, NULL) < 0 || sip_uri_parse(a[1].s, &y, NULL) < 0)
		return -2;
	return str_eq(x.user, y.user) && str_ieq(x.host, y.host) && aor_port(&x) == aor_port(&y) ? 1 : -1;
}

static int f_cmp_hdr_name(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	if (sip_header_is(a[0].s, a[1].s))
		return 1;
	if (a[0].s.n == 0 || a[1].s.n == 0)
		return -2;
	/* -1: one of them is a field that we know, -2: both are strange */
	return sip_header_lookup(a[0].s) != SIP_H_OTHER || sip_header_lookup(a[1].s) != SIP_H_OTHER ? -1 : -2;
}

/* ---- parameters of the request URI ---- */

static bool ruri_parsed(struct ctx *ctx, struct sip_uri *ret)
{
	return ctx->msg.kind == SIP_REQUEST && sip_uri_parse(ctx_ruri(ctx), ret, NULL) == 0;
}

static int f_uri_param(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_param p;
	struct sip_uri u;

	if (!ruri_parsed(ctx, &u) || !sip_param_find(u.params, a[0].s, &p))
		return -1;
	if (n > 1)
		return str_eq(p.value, a[1].s) ? 1 : -1;
	return p.value.n == 0 ? 1 : -1; /* one argument asks for a parameter without value */
}

static int f_uri_param_any(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_param p;
	struct sip_uri u;

	(void)n;
	return ruri_parsed(ctx, &u) && sip_param_find(u.params, a[0].s, &p) ? 1 : -1;
}

static int f_get_uri_param(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_param p;
	struct sip_uri u;
	struct value v;

	(void)n;
	if (!ruri_parsed(ctx, &u) || !sip_param_find(u.params, a[0].s, &p))
		return -1;
	v = value_str(p.value.s ? p.value : STR_LIT(""));
	return pv_set(ctx, a[1].pv, &v) < 0 ? -1 : 1;
}

static int f_add_uri_param(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str cur = ctx_ruri(ctx), out;
	struct sip_uri u;
	size_t at;

	(void)n;
	if (a[0].s.n == 0)
		return 1;
	if (!ruri_parsed(ctx, &u))
		return -1;
	at = u.headers.n > 0 ? (size_t)(u.headers.s - cur.s) - 1 : cur.n;
	if (pool_printf(ctx->pool, &out, "%.*s;%.*s%.*s", (int)at, cur.s, STR_FMT(a[0].s), STR_FMT(str_sub(cur, at, cur.n))) < 0)
		return -1;
	return route_ruri_set(ctx, RURI_ALL, out, 0) < 0 ? -1 : 1;
}

int siputils_ruri_param_rm(struct ctx *ctx, struct str name)
{
	struct str cur = ctx_ruri(ctx);
	struct str rest;
	struct sip_param p;
	struct sip_uri u;
	struct strbuf sb;
	bool found = false;
	int got;

	if (!ruri_parsed(ctx, &u) || u.params.n == 0)
		return -1;
	strbuf_init_pool(&sb, ctx->pool, 4096);
	strbuf_add(&sb, str_of(cur.s, (size_t)(u.params.s - cur.s) - 1));
	rest = u.params;
	while ((got = sip_param_next(&rest, &p)) == 1) {
		if (str_ieq(p.name, name)) {
			found = true;
			continue;
		}
		strbuf_add_char(&sb, ';');
		strbuf_add(&sb, p.raw);
	}
	strbuf_add(&sb, str_sub(cur, (size_t)(u.params.s + u.params.n - cur.s), cur.n));
	if (got < 0 || !found || strbuf_err(&sb) < 0)
		return -1;
	return route_ruri_set(ctx, RURI_ALL, strbuf_str(&sb), 0) < 0 ? -1 : 1;
}

static int f_uri_param_rm(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri u;

	(void)n;
	if (!ruri_parsed(ctx, &u))
		return -1;
	(void)siputils_ruri_param_rm(ctx, a[0].s); /* what is not there is gone already */
	return 1;
}

/* ---- tel URIs ---- */

/* tel:+1-234;ext=5 -> sip:+1234;ext=5@host;user=phone. Visual separators go (RFC 3261, 19.1.6). */
static int f_tel2sip(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str uri = a[0].s, number;
	struct strbuf sb;
	struct value v;
	ptrdiff_t semi;

	(void)n;
	if (!str_istarts(uri, STR_LIT("tel:")))
		return 2;
	number = str_sub(uri, 4, uri.n);
	semi = str_find_char(number, ';');
	strbuf_init_pool(&sb, ctx->pool, 4096);
	strbuf_add_lit(&sb, "sip:");
	for (size_t i = 0; i < number.n; i++) {
		char c = number.s[i];

		if ((semi < 0 || i < (size_t)semi) && (c == '-' || c == '.' || c == '(' || c == ')'))
			continue;
		strbuf_add_char(&sb, semi >= 0 && i > (size_t)semi ? char_lower(c) : c);
	}
	strbuf_add_char(&sb, '@');
	strbuf_add(&sb, a[1].s);
	strbuf_add_lit(&sb, ";user=phone");
	if (number.n == 0 || a[1].s.n == 0 || strbuf_err(&sb) < 0)
		return -1;
	v = value_str(strbuf_str(&sb));
	return pv_set(ctx, a[2].pv, &v) < 0 ? -1 : 1;
}

/* ---- parts of a URI held by a variable ---- */

static int uri_part_set(struct ctx *ctx, const struct pv_spec *pv, struct str part, bool host)
{
	struct str text, out;
	struct sip_uri u;
	struct value v;
	const char *h, *he, *end;

	if (!pv_text(ctx, pv, &text) || sip_uri_parse(text, &u, NULL) < 0 || u.host.n == 0)
		return -1;
	h = u.host.s - (u.host_v6 ? 1 : 0);
	he = u.host.s + u.host.n + (u.host_v6 ? 1 : 0);
	end = text.s + text.n;
	if (host) {
		if (part.n == 0 || pool_printf(ctx->pool, &out, "%.*s%.*s%.*s", (int)(h - text.s), text.s, STR_FMT(part), (int)(end - he), he) < 0)
			return -1;
	} else if (pool_printf(ctx->pool, &out, "%.*s:%.*s%s%.*s", STR_FMT(u.scheme_text), STR_FMT(part), part.n > 0 ? "@" : "",
			       (int)(end - h), h) < 0) {
		return -1;
	}
	v = value_str(out);
	return pv_set(ctx, pv, &v) < 0 ? -1 : 1;
}

static int f_set_uri_user(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return uri_part_set(ctx, a[0].pv, a[1].s, false);
}

static int f_set_uri_host(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return uri_part_set(ctx, a[0].pv, a[1].s, true);
}

/* ---- GRUU, options ---- */

static int f_is_gruu(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_param p;
	struct sip_uri u;

	if (n > 0 ? sip_uri_parse(a[0].s, &u, NULL) < 0 : !ruri_parsed(ctx, &u))
		return -1;
	if (!sip_param_find(u.params, STR_LIT("gr"), &p))
		return -1;
	return p.value.n > 0 ? 1 : 2;
}

static int f_is_supported(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_SUPPORTED); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
		struct str rest = h->value, item;

		while (sip_list_next(&rest, &item) == 1) {
			if (str_ieq(str_trim(item), a[0].s))
				return 1;
		}
	}
	return -1;
}

static void add_option(struct strbuf *sb, const char *name, struct str v)
{
	if (!v.s)
		return;
	strbuf_printf(sb, "%s: %.*s\r\n", name, STR_FMT(v));
}

/* A 200 with what we accept, for OPTIONS to the server itself. */
static int f_options_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct strbuf sb;
	struct sip_uri u;

	(void)a;
	(void)n;
	if (ctx->msg.method != SIP_M_OPTIONS || !ruri_parsed(ctx, &u) || u.user.n > 0)
		return -1;
	strbuf_init_pool(&sb, ctx->pool, 4096);
	add_option(&sb, "Accept", siputils_conf.options_accept);
	add_option(&sb, "Accept-Encoding", siputils_conf.options_accept_encoding);
	add_option(&sb, "Accept-Language", siputils_conf.options_accept_language);
	add_option(&sb, "Supported", siputils_conf.options_support);
	if (strbuf_err(&sb) < 0 || route_reply_add(ctx, strbuf_str(&sb)) < 0)
		return -1;
	return route_reply(ctx, 200, STR_LIT("OK")) > 0 ? 1 : -1;
}

/* ---- Remote-Party-ID ---- */

/* The value that rpid_avp names. */
static bool rpid_value(struct ctx *ctx, struct str *ret)
{
	const struct avp *v;

	if (siputils_conf.rpid_name.n == 0)
		return false;
	v = avp_find(ctx->avps.head[AVP_PLAIN], siputils_conf.rpid_name, 0, false);
	if (!v || v->value.kind != VALUE_STR || v->value.s.n == 0)
		return false;
	*ret = v->value.s;
	return true;
}

static int f_append_rpid(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str rpid, out, prefix = n > 0 ? a[0].s : siputils_conf.rpid_prefix, suffix = n > 0 ? a[1].s : siputils_conf.rpid_suffix;

	if (!rpid_value(ctx, &rpid))
		return -1;
	if (pool_printf(ctx->pool, &out, "Remote-Party-ID: %.*s%.*s%.*s\r\n", STR_FMT(prefix), STR_FMT(rpid), STR_FMT(suffix)) < 0)
		return -1;
	return sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, out, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
}

static int f_is_rpid_e164(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_addr addr;
	struct sip_uri u;
	struct str rpid;

	(void)a;
	(void)n;
	if (!rpid_value(ctx, &rpid))
		return -1;
	if (sip_addr_parse(rpid, &addr, NULL) < 0 || sip_uri_parse(addr.uri, &u, NULL) < 0)
		return siputils_is_e164(rpid) ? 1 : -1;
	return siputils_is_e164(u.user) ? 1 : -1;
}

/* ---- Date ---- */

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* "Sat, 13 Nov 2010 23:29:00 GMT" (RFC 3261, 20.17) */
static bool date_parse(struct str s, time_t *ret)
{
	uint32_t day, year, h, m, sec;
	struct tm tm = { 0 };

	s = str_trim(s);
	if (s.n != 29 || s.s[3] != ',' || !str_eq(str_sub(s, 25, 4), STR_LIT(" GMT")))
		return false;
	for (tm.tm_mon = 0; tm.tm_mon < 12 && !str_eq(str_sub(s, 8, 3), str_lit(months[tm.tm_mon])); tm.tm_mon++)
		;
	if (tm.tm_mon == 12 || num_u32(str_sub(s, 5, 2), &day) < 0 || num_u32(str_sub(s, 12, 4), &year) < 0 || num_u32(str_sub(s, 17, 2), &h) < 0 ||
	    num_u32(str_sub(s, 20, 2), &m) < 0 || num_u32(str_sub(s, 23, 2), &sec) < 0 || day < 1 || day > 31 || year < 1900 || h > 23 || m > 59 || sec > 60)
		return false;
	tm.tm_mday = (int)day;
	tm.tm_year = (int)year - 1900;
	tm.tm_hour = (int)h;
	tm.tm_min = (int)m;
	tm.tm_sec = (int)sec;
	*ret = timegm(&tm);
	return true;
}

static int f_date_check(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_DATE);
	time_t t;
	int64_t age;

	(void)n;
	if (!h || !date_parse(h->value, &t))
		return -1;
	age = (int64_t)clock_wall().tv_sec - (int64_t)t;
	return age <= a[0].i && age >= -a[0].i ? 1 : -1;
}

/* Every field of interest can be parsed. */
static int f_parse_headers(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_msg *m = &ctx->msg;

	(void)a;
	(void)n;
	return sip_msg_via1(m) && sip_msg_from(m) && sip_msg_to(m) && sip_msg_cseq(m) ? 1 : -1;
}

/* ---- module ---- */

static int siputils_init(void)
{
	struct str s = siputils_conf.rpid_avp;

	/* "$avp(s:rpid)" or "$avp(rpid)" */
	if (s.n == 0)
		return 0;
	if (!str_starts(s, STR_LIT("$avp(")) || s.s[s.n - 1] != ')')
		return log_fail(-EINVAL, "siputils: rpid_avp '%.*s' is no $avp()", STR_FMT(s));
	s = str_sub(s, 5, s.n - 6);
	if (str_starts(s, STR_LIT("s:")))
		s = str_sub(s, 2, s.n);
	siputils_conf.rpid_name = s;
	return 0;
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_LIVE_STR("options_accept",          struct siputils_conf, options_accept, "*/*"),
	SETTING_LIVE_STR("options_accept_encoding", struct siputils_conf, options_accept_encoding, ""),
	SETTING_LIVE_STR("options_accept_language", struct siputils_conf, options_accept_language, "en"),
	SETTING_LIVE_STR("options_support",         struct siputils_conf, options_support, ""),
	SETTING_LIVE_STR("contact_flds_separator",  struct siputils_conf, separator, "*"),
	SETTING_LIVE_STR("rpid_prefix",             struct siputils_conf, rpid_prefix, ""),
	SETTING_LIVE_STR("rpid_suffix",             struct siputils_conf, rpid_suffix, ";party=calling;id-type=subscriber;screen=yes"),
	SETTING_STR("rpid_avp",                struct siputils_conf, rpid_avp, "$avp(s:rpid)"),
	SETTING_LIVE_INT("e164_max_len",            struct siputils_conf, e164_max_len, 16, 3, 255),
	SETTING_END,
};

#define RRF (CTX_REQUEST | CTX_FAILURE | CTX_BRANCH | CTX_LOCAL)
static const struct script_func funcs[] = {
	{ .name = "has_totag",     .fn = f_has_totag,     .kinds = CTX_ANY },
	{ .name = "is_request",    .fn = f_is_request,    .kinds = CTX_ANY },
	{ .name = "is_reply",      .fn = f_is_reply,      .kinds = CTX_ANY },
	{ .name = "is_sip",        .fn = f_is_sip,        .kinds = CTX_ANY },
	{ .name = "is_http",       .fn = f_is_http,       .kinds = CTX_ANY },
	{ .name = "is_first_hop",  .fn = f_is_first_hop,  .kinds = CTX_ANY },
	{ .name = "is_first_hop",  .fn = f_is_first_hop,  .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "options_reply", .fn = f_options_reply, .kinds = CTX_REQUEST },
	{ .name = "is_user",       .fn = f_is_user,       .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_REQUEST | CTX_LOCAL },
	{ .name = "uri_param",     .fn = f_uri_param,     .n_params = 1, .param = { SP_DSTR }, .kinds = RRF },
	{ .name = "uri_param",     .fn = f_uri_param,     .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = RRF },
	{ .name = "uri_param_any", .fn = f_uri_param_any, .n_params = 1, .param = { SP_DSTR }, .kinds = RRF },
	{ .name = "add_uri_param", .fn = f_add_uri_param, .n_params = 1, .param = { SP_STR }, .kinds = RRF },
	{ .name = "get_uri_param", .fn = f_get_uri_param, .n_params = 2, .param = { SP_DSTR, SP_WPV }, .kinds = RRF },
	{ .name = "uri_param_rm",  .fn = f_uri_param_rm,  .n_params = 1, .param = { SP_DSTR }, .kinds = RRF },
	{ .name = "tel2sip",       .fn = f_tel2sip,       .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_WPV }, .kinds = CTX_ANY },
	{ .name = "tel2sip2",      .fn = f_tel2sip,       .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_WPV }, .kinds = CTX_ANY },
	{ .name = "is_uri",        .fn = f_is_uri,        .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_e164",       .fn = f_is_e164,       .n_params = 1, .param = { SP_PV }, .kinds = CTX_ANY },
	{ .name = "is_uri_user_e164", .fn = f_is_uri_user_e164, .n_params = 1, .param = { SP_PV }, .kinds = CTX_ANY },
	{ .name = "is_tel_number", .fn = f_is_tel_number, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_numeric",    .fn = f_is_numeric,    .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_alphanum",   .fn = f_is_alphanum,   .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_alphanumex", .fn = f_is_alphanumex, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "encode_contact", .fn = siputils_f_encode_contact, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "decode_contact", .fn = siputils_f_decode_contact, .kinds = RRF },
	{ .name = "decode_contact_header", .fn = siputils_f_decode_contact_hdr, .kinds = CTX_ANY },
	{ .name = "cmp_uri",       .fn = f_cmp_uri,       .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "cmp_aor",       .fn = f_cmp_aor,       .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "cmp_hdr_name",  .fn = f_cmp_hdr_name,  .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "append_rpid_hf", .fn = f_append_rpid,  .kinds = RRF },
	{ .name = "append_rpid_hf", .fn = f_append_rpid,  .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = RRF },
	{ .name = "is_rpid_user_e164", .fn = f_is_rpid_e164, .kinds = CTX_REQUEST },
	{ .name = "set_uri_user",  .fn = f_set_uri_user,  .n_params = 2, .param = { SP_WPV, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "set_uri_host",  .fn = f_set_uri_host,  .n_params = 2, .param = { SP_WPV, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_gruu",       .fn = f_is_gruu,       .kinds = CTX_ANY },
	{ .name = "is_gruu",       .fn = f_is_gruu,       .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_supported",  .fn = f_is_supported,  .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "sip_p_charging_vector", .fn = siputils_f_charging_vector, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "contact_param_encode", .fn = siputils_f_cp_encode, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "contact_param_encode_alias", .fn = siputils_f_cp_encode_alias, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "contact_param_decode", .fn = siputils_f_cp_decode, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "contact_param_decode_ruri", .fn = siputils_f_cp_decode_ruri, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "contact_param_rm", .fn = siputils_f_cp_rm, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "contact_param_check", .fn = siputils_f_cp_check, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "hdr_date_check", .fn = f_date_check,   .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "sip_parse_headers", .fn = f_parse_headers, .kinds = CTX_ANY },
	{ .name = NULL },
};
/* clang-format on */

const struct module module_siputils = {
	.abi = MODULE_ABI,
	.name = "siputils",
	.settings = settings,
	.conf = &siputils_conf,
	.funcs = funcs,
	.pvs = siputils_pvs,
	.init = siputils_init,
};
