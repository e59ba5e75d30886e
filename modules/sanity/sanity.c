/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module sanity: refuses malformed requests before the script relies on them. A check is a row: its bit, its function. They run in
 * order of bits, the first that fails answers (or stores its answer for sanity_reply()) and ends the checking.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"
#include "core/route/route.h"

#define DEFAULT_CHECKS 3047 /* 1 2 4 32 64 128 256 512 2048 */
#define MSG_CHECKS_MAX 131071
#define URI_CHECKS_MAX 15

enum uri_check { URI_R = 1, URI_FROM = 2, URI_TO = 4, URI_CONTACT = 8 };

static struct conf {
	int default_checks, uri_checks, autodrop, noreply, size_checks;
	int size_message, size_headers, size_body, size_header, size_method, size_ruri, size_from_uri, size_to_uri, size_contact_uri,
		size_route_uri, size_path_uri, size_pai_uri;
	struct str proxy_require;
	int mod; /* index in ctx->modstate */
} conf = { .mod = -1 };

/* What a failed check wants answered. */
struct verdict {
	int code;
	struct str reason;
	struct str unsupported; /* 420: value of Unsupported */
};

static int fail(struct verdict *v, int code, struct str reason)
{
	v->code = code;
	v->reason = reason;
	return -1;
}

#define FAIL(v, code, text) fail(v, code, STR_LIT(text))

/* ---- the checks: 0 passed, -1 failed ---- */

typedef int check_fn(struct ctx *ctx, int uris, struct verdict *v);

static int check_version(struct ctx *ctx, int uris, struct verdict *v)
{
	(void)uris;
	if (!str_eq(ctx->msg.version, STR_LIT("SIP/2.0")))
		return FAIL(v, 505, "Version Not Supported (R-URI)");
	return 0;
}

static int check_scheme(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_uri *u = sip_msg_ruri(&ctx->msg);

	(void)uris;
	if (!u)
		return FAIL(v, 400, "Bad Request URI");
	if (u->scheme == SIP_URI_OTHER)
		return FAIL(v, 416, "Unsupported URI Scheme in Request URI");
	return 0;
}

static int check_required(struct ctx *ctx, int uris, struct verdict *v)
{
	static const struct {
		enum sip_header id;
		const char *reason;
	} required[] = {
		{ SIP_H_TO, "Missing To Header" }, { SIP_H_FROM, "Missing From Header" }, { SIP_H_CSEQ, "Missing CSeq Header" },
		{ SIP_H_CALL_ID, "Missing Call-ID Header" }, { SIP_H_VIA, "Missing Via Header" },
	};

	(void)uris;
	for (size_t i = 0; i < ARRAY_LEN(required); i++) {
		if (!sip_msg_hdr(&ctx->msg, required[i].id))
			return fail(v, 400, str_lit(required[i].reason));
	}
	return 0;
}

static int check_cseq_method(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CSEQ);
	const struct sip_cseq *c = sip_msg_cseq(&ctx->msg);

	(void)uris;
	if (!h)
		return FAIL(v, 400, "Bad Headers");
	if (!c || c->name.n == 0)
		return FAIL(v, 400, "Missing method in CSeq header");
	if (!str_eq(c->name, ctx->msg.method_name))
		return FAIL(v, 400, "CSeq method does not match request method");
	return 0;
}

static int check_cseq_value(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CSEQ);
	const struct sip_cseq *c = sip_msg_cseq(&ctx->msg);
	struct str num = h ? str_trim(h->value) : STR_NULL;
	size_t n = 0;

	(void)uris;
	while (n < num.n && num.s[n] >= '0' && num.s[n] <= '9')
		n++;
	if (n == 0)
		return FAIL(v, 400, "Missing number in CSeq header");
	if (!c || c->number > INT32_MAX)
		return FAIL(v, 400, "CSeq number is illegal");
	return 0;
}

/* Bytes behind the body of a datagram are ignored (RFC 3261, 18.3), missing ones are not. */
static int check_length(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CONTENT_LENGTH);
	uint32_t n;

	(void)uris;
	if (!h)
		return 0;
	if (num_u32(str_trim(h->value), &n) < 0)
		return FAIL(v, 400, "Content-Length Failure");
	if (ctx->msg.body_off > ctx->msg.buf.n)
		return FAIL(v, 400, "Content-Length Body Failure");
	if (n > ctx->msg.buf.n - ctx->msg.body_off)
		return FAIL(v, 400, "Content-Length mis-match");
	return 0;
}

static int check_expires(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_EXPIRES);
	struct str s;
	uint32_t n;

	(void)uris;
	if (!h)
		return 0;
	s = str_trim(h->value);
	if (s.n == 0)
		return FAIL(v, 400, "Bad Expires Header");
	if (num_u32(s, &n) < 0)
		return FAIL(v, 400, "Expires value is illegal");
	return 0;
}

static bool extension_known(struct str name)
{
	struct str rest = conf.proxy_require;

	while (rest.n > 0) {
		ptrdiff_t comma = str_find_char(rest, ',');
		struct str one = str_trim(comma < 0 ? rest : str_sub(rest, 0, (size_t)comma));

		if (str_ieq(one, name))
			return true;
		rest = comma < 0 ? STR_NULL : str_sub(rest, (size_t)comma + 1, rest.n);
	}
	return false;
}

/* All that we do not know goes into Unsupported (RFC 3261, 8.2.2.3 and 16.3). */
static int check_proxy_require(struct ctx *ctx, int uris, struct verdict *v)
{
	struct strbuf sb;

	(void)uris;
	strbuf_init_pool(&sb, ctx->pool, 4096);
	for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_PROXY_REQUIRE); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
		struct str rest = h->value, item;

		if (rest.n == 0)
			return FAIL(v, 400, "Bad Proxy Require Header");
		while (sip_list_next(&rest, &item) == 1) {
			item = str_trim(item);
			if (item.n == 0 || extension_known(item))
				continue;
			if (sb.n > 0)
				strbuf_add_lit(&sb, ", ");
			strbuf_add(&sb, item);
		}
	}
	if (sb.n == 0)
		return 0;
	v->unsupported = strbuf_err(&sb) < 0 ? STR_NULL : strbuf_str(&sb);
	return FAIL(v, 420, "Bad Proxy Require Extension");
}

static bool uri_good(struct str text)
{
	struct sip_uri u;

	return sip_uri_parse(text, &u, NULL) == 0 && u.scheme != SIP_URI_OTHER;
}

static int check_uris(struct ctx *ctx, int uris, struct verdict *v)
{
	struct sip_addr_iter it = { 0 };
	const struct sip_addr *a;
	struct sip_addr c;
	int got = 0;

	if ((uris & URI_R) && !uri_good(ctx->msg.ruri))
		return FAIL(v, 400, "Bad Request URI");
	if (uris & URI_FROM) {
		a = sip_msg_from(&ctx->msg);
		if (!a || !uri_good(a->uri))
			return FAIL(v, 400, "Invalid From Header");
	}
	if (uris & URI_TO) {
		a = sip_msg_to(&ctx->msg);
		if (!a || !uri_good(a->uri))
			return FAIL(v, 400, "Invalid To Header");
	}
	if (uris & URI_CONTACT) {
		const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CONTACT);

		if (h && h->value.n == 0)
			return FAIL(v, 400, "Bad Contact Header");
		while ((got = sip_msg_addr_next(&ctx->msg, SIP_H_CONTACT, &it, &c)) == 1) {
			if (!c.star && !uri_good(c.uri))
				return FAIL(v, 400, "Bad Contact URI");
		}
		if (got < 0)
			return FAIL(v, 400, "Bad Contact Header");
	}
	return 0;
}

/* Credentials of another scheme than Digest are none of our business. */
static int check_digest(struct ctx *ctx, int uris, struct verdict *v)
{
	static const enum sip_header ids[] = { SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION };

	(void)uris;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, ids[i]); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
			struct sip_credentials c;

			if (sip_credentials_parse(h->value, &c, NULL) < 0)
				return FAIL(v, 400, "Bad Auth Header");
			if (!c.is_digest)
				continue;
			if (!c.username.s || !c.realm.s || !c.nonce.s || !c.uri.s || !c.response.s)
				return FAIL(v, 400, "Bad Auth Credentials");
			if (c.username.n == 0)
				return FAIL(v, 400, "Auth Empty User");
			if (c.nonce.n == 0)
				return FAIL(v, 400, "Auth Empty Nonce");
			if (c.response.n == 0)
				return FAIL(v, 400, "Auth Empty Response");
		}
	}
	return 0;
}

static unsigned count_tags(const struct sip_addr *a)
{
	struct str rest = a->params;
	struct sip_param p;
	unsigned n = 0;

	while (sip_param_next(&rest, &p) == 1)
		n += str_ieq(p.name, STR_LIT("tag"));
	return n;
}

static int check_tags(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_addr *from = sip_msg_from(&ctx->msg), *to = sip_msg_to(&ctx->msg);

	(void)uris;
	if (!from || count_tags(from) > 1)
		return FAIL(v, 400, "Many From Tag Params");
	if (!to || count_tags(to) > 1)
		return FAIL(v, 400, "Many To Tag Params");
	return 0;
}

static int check_auth_header(struct ctx *ctx, int uris, struct verdict *v)
{
	static const enum sip_header ids[] = { SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION };

	(void)uris;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, ids[i]);
		struct sip_credentials c;

		if (h && sip_credentials_parse(h->value, &c, NULL) < 0)
			return FAIL(v, 400, "Bad Auth Header");
	}
	return 0;
}

static int check_via1(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);

	(void)uris;
	if (!via || via->host.n == 0)
		return FAIL(v, 400, "Bad Via Header");
	return 0;
}

/* The branch of an RFC 3261 element starts with the cookie; routes are loose. */
static int check_rfc3261(struct ctx *ctx, int uris, struct verdict *v)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	struct sip_addr_iter it = { 0 };
	struct sip_addr r;

	(void)uris;
	if (!via || !via->magic)
		return FAIL(v, 400, "Missing Magic Cookie in Via Branch");
	while (sip_msg_addr_next(&ctx->msg, SIP_H_ROUTE, &it, &r) == 1) {
		struct sip_uri u;

		if (sip_uri_parse(r.uri, &u, NULL) < 0 || !u.has_lr)
			return FAIL(v, 400, "Missing lr in Route Header");
	}
	return 0;
}

static bool over(size_t n, int limit)
{
	return limit > 0 && n > (size_t)limit;
}

static int check_sizes(struct ctx *ctx, int uris, struct verdict *v)
{
	static const struct {
		enum sip_header id;
		const int *limit;
		const char *reason;
	} fields[] = {
		{ SIP_H_FROM, &conf.size_from_uri, "From URI Too Large" }, { SIP_H_TO, &conf.size_to_uri, "To URI Too Large" },
		{ SIP_H_CONTACT, &conf.size_contact_uri, "Contact URI Too Large" }, { SIP_H_ROUTE, &conf.size_route_uri, "Route URI Too Large" },
		{ SIP_H_PATH, &conf.size_path_uri, "Path URI Too Large" }, { SIP_H_P_ASSERTED_IDENTITY, &conf.size_pai_uri, "PAI URI Too Large" },
	};
	const struct sip_msg *m = &ctx->msg;

	(void)uris;
	if (over(m->buf.n, conf.size_message))
		return FAIL(v, 400, "Message Too Large");
	if (over(m->body_off - m->headers_off, conf.size_headers))
		return FAIL(v, 400, "Headers Too Large");
	if (over(m->body.n, conf.size_body))
		return FAIL(v, 400, "Body Too Large");
	if (over(m->method_name.n, conf.size_method))
		return FAIL(v, 400, "Method Too Large");
	if (over(m->ruri.n, conf.size_ruri))
		return FAIL(v, 400, "Request URI Too Large");
	for (unsigned i = 0; i < m->n_hdrs; i++) {
		if (over(m->hdrs[i].len, conf.size_header))
			return FAIL(v, 400, "Header Too Large");
	}
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct sip_addr_iter it = { 0 };
		struct sip_addr a;

		while (sip_msg_addr_next(m, fields[i].id, &it, &a) == 1) {
			if (over(a.uri.n, *fields[i].limit))
				return fail(v, 400, str_lit(fields[i].reason));
		}
	}
	return 0;
}

static const struct check {
	int bit;
	check_fn *fn;
	bool requests_only;
} checks[] = {
	{ 1, check_version, true }, { 2, check_scheme, true }, { 4, check_required, false }, { 32, check_cseq_method, true },
	{ 64, check_cseq_value, false }, { 128, check_length, false }, { 256, check_expires, false }, { 512, check_proxy_require, true },
	{ 1024, check_uris, true }, { 2048, check_digest, true }, { 4096, check_tags, false }, { 8192, check_auth_header, true },
	{ 16384, check_via1, false }, { 32768, check_rfc3261, true }, { 65536, check_sizes, false },
};

/* ---- answers ---- */

static int answer(struct ctx *ctx, const struct verdict *v)
{
	struct str hdr;

	if (ctx->msg.kind != SIP_REQUEST || ctx->msg.method == SIP_M_ACK || (ctx->mflags & CTX_F_NO_REPLY))
		return 1;
	if (v->unsupported.n > 0) {
		if (pool_printf(ctx->pool, &hdr, "Unsupported: %.*s\r\n", STR_FMT(v->unsupported)) < 0 || route_reply_add(ctx, hdr) < 0)
			return -1;
	}
	return route_reply(ctx, v->code, v->reason) > 0 ? 1 : -1;
}

static int failed(struct ctx *ctx, const struct check *c, const struct verdict *v)
{
	struct verdict *kept;

	log_debug("sanity: check %d failed: %d %.*s", c->bit, v->code, STR_FMT(v->reason));
	if (conf.noreply) {
		kept = pool_alloc(ctx->pool, sizeof(*kept));
		if (kept) {
			*kept = *v;
			ctx->modstate[conf.mod] = kept;
		}
	} else if (answer(ctx, v) < 0) {
		log_warn("sanity: cannot answer %d %.*s", v->code, STR_FMT(v->reason));
	}
	return conf.autodrop ? 0 : -1;
}

static int f_check(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int64_t msg = n > 0 ? a[0].i : conf.default_checks, uris = n > 1 ? a[1].i : conf.uri_checks;

	if (msg < 1 || msg > MSG_CHECKS_MAX || uris < 1 || uris > URI_CHECKS_MAX)
		return -1;
	if (conf.size_checks)
		msg |= 65536;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		struct verdict v = { 0 };

		if (!(msg & checks[i].bit) || (checks[i].requests_only && ctx->msg.kind != SIP_REQUEST))
			continue;
		if (checks[i].fn(ctx, (int)uris, &v) < 0)
			return failed(ctx, &checks[i], &v);
	}
	return 1;
}

/* Sends what a check with noreply=1 stored. */
static int f_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct verdict *v = ctx->modstate[conf.mod];

	(void)a;
	(void)n;
	if (!v)
		return -1;
	ctx->modstate[conf.mod] = NULL;
	return answer(ctx, v);
}

static int sanity_init(void)
{
	if (conf.mod < 0)
		conf.mod = ctx_modstate_register("sanity");
	return conf.mod < 0 ? log_fail(conf.mod, "sanity: no room for the state of a message") : 0;
}

/* clang-format off */
#define SIZE(name_, def_) SETTING_LIVE_INT(#name_, struct conf, name_, def_, 0, 65535)
static const struct setting settings[] = {
	SETTING_LIVE_INT("default_checks", struct conf, default_checks, DEFAULT_CHECKS, 1, MSG_CHECKS_MAX),
	SETTING_LIVE_INT("uri_checks",     struct conf, uri_checks, 7, 1, URI_CHECKS_MAX),
	SETTING_LIVE_STR("proxy_require",  struct conf, proxy_require, ""),
	SETTING_LIVE_INT("autodrop",       struct conf, autodrop, 1, 0, 1),
	SETTING_LIVE_INT("noreply",        struct conf, noreply, 0, 0, 1),
	SETTING_LIVE_INT("size_checks",    struct conf, size_checks, 0, 0, 1),
	SIZE(size_message, 16384), SIZE(size_headers, 8192), SIZE(size_body, 8192), SIZE(size_header, 2048), SIZE(size_method, 32),
	SIZE(size_ruri, 256), SIZE(size_from_uri, 256), SIZE(size_to_uri, 256), SIZE(size_contact_uri, 256), SIZE(size_route_uri, 256),
	SIZE(size_path_uri, 256), SIZE(size_pai_uri, 256),
	SETTING_END,
};

#define KINDS (CTX_REQUEST | CTX_ONREPLY)
static const struct script_func funcs[] = {
	{ .name = "sanity_check", .fn = f_check, .kinds = KINDS },
	{ .name = "sanity_check", .fn = f_check, .n_params = 1, .param = { SP_DINT }, .kinds = KINDS },
	{ .name = "sanity_check", .fn = f_check, .n_params = 2, .param = { SP_DINT, SP_DINT }, .kinds = KINDS },
	{ .name = "sanity_reply", .fn = f_reply, .kinds = KINDS },
	{ .name = NULL },
};
/* clang-format on */

const struct module module_sanity = {
	.abi = MODULE_ABI,
	.name = "sanity",
	.settings = settings,
	.conf = &conf,
	.funcs = funcs,
	.init = sanity_init,
};
