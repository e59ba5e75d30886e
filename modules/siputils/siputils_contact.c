/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contacts that carry the address behind them. encode_contact() hides a whole contact in the user part of a URI of ours
 * (prefix*user*password*host*port*transport@host) and decode_contact() brings it back. contact_param_encode() puts an address of ours
 * in the place of each contact, and the whole contact into a parameter of it (base64url); contact_param_encode_alias() leaves the contact and adds
 * where it came from (ip~port~number of the protocol). The decoders take out either. Also P-Charging-Vector (RFC 7315).
 */
#include <time.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "modules/siputils/siputils_priv.h"

static char separator(void)
{
	return siputils_conf.separator.n > 0 ? siputils_conf.separator.s[0] : '*';
}

static struct str host_text(const struct sip_uri *u)
{
	return u->host_v6 ? str_of(u->host.s - 1, u->host.n + 2) : u->host;
}

/* Runs fn over the URI of each contact and replaces it with what fn writes. Returns how many, or < 0. */
typedef int rewrite_fn(struct ctx *ctx, const struct sip_uri *u, const union script_arg *a, struct str *ret);

static int each_contact(struct ctx *ctx, rewrite_fn *fn, const union script_arg *a)
{
	struct sip_addr_iter it = { 0 };
	struct sip_addr c;
	int changed = 0, got;

	while ((got = sip_msg_addr_next(&ctx->msg, SIP_H_CONTACT, &it, &c)) == 1) {
		struct sip_uri u;
		struct str out;
		int err;

		if (c.star || sip_uri_parse(c.uri, &u, NULL) < 0)
			continue;
		err = fn(ctx, &u, a, &out);
		if (err < 0)
			return err;
		if (err == 0)
			continue;
		if (!c.bracketed && (err = pool_printf(ctx->pool, &out, "<%.*s>", STR_FMT(out))) < 0)
			return err;
		err = sip_edit_replace(&ctx->edits, ctx->pool, &ctx->msg, c.uri, out, SIP_EDIT_CONTACT);
		if (err < 0)
			return err;
		changed++;
	}
	return got < 0 ? got : changed;
}

/* ---- encode_contact() ---- */

static int encode_uri(struct ctx *ctx, const struct sip_uri *u, const union script_arg *a, struct str *ret)
{
	char s = separator();
	int err = pool_printf(ctx->pool, ret, "sip:%.*s%c%.*s%c%.*s%c%.*s%c%.*s%c%.*s@%.*s", STR_FMT(a[0].s), s, STR_FMT(u->user), s,
			      STR_FMT(u->password), s, STR_FMT(host_text(u)), s, STR_FMT(u->port_text), s, STR_FMT(u->transport), STR_FMT(a[1].s));

	return err < 0 ? err : 1;
}

int siputils_f_encode_contact(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	if (a[1].s.n == 0)
		return -1;
	return each_contact(ctx, encode_uri, a) > 0 ? 1 : -1;
}

static int decode_text(struct ctx *ctx, const struct sip_uri *u, struct str *ret)
{
	struct str part[6], rest = u->user;
	unsigned n = 0;

	while (n < 6) {
		ptrdiff_t at = n < 5 ? str_find_char(rest, separator()) : -1;

		if (n < 5 && at < 0)
			return 0; /* not one of ours */
		part[n++] = at < 0 ? rest : str_sub(rest, 0, (size_t)at);
		rest = at < 0 ? STR_NULL : str_sub(rest, (size_t)at + 1, rest.n);
	}
	if (part[3].n == 0)
		return 0;
	int err = pool_printf(ctx->pool, ret, "sip:%.*s%s%.*s%s%.*s%s%.*s%s%.*s", STR_FMT(part[1]), part[2].n > 0 ? ":" : "", STR_FMT(part[2]),
			      part[1].n > 0 ? "@" : "", STR_FMT(part[3]), part[4].n > 0 ? ":" : "", STR_FMT(part[4]),
			      part[5].n > 0 ? ";transport=" : "", STR_FMT(part[5]));
	return err < 0 ? err : 1;
}

static int decode_uri(struct ctx *ctx, const struct sip_uri *u, const union script_arg *a, struct str *ret)
{
	(void)a;
	return decode_text(ctx, u, ret);
}

/* The request URI goes back to the contact that it hides. */
int siputils_f_decode_contact(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri u;
	struct str out;

	(void)a;
	(void)n;
	if (ctx->msg.kind != SIP_REQUEST || sip_uri_parse(ctx_ruri(ctx), &u, NULL) < 0 || decode_text(ctx, &u, &out) != 1)
		return -1;
	return route_ruri_set(ctx, RURI_ALL, out, 0) < 0 ? -1 : 1;
}

int siputils_f_decode_contact_hdr(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return each_contact(ctx, decode_uri, a) > 0 ? 1 : -1;
}

/* ---- contact_param_*: ";name=ip~port~number" and ";name=" base64url(URI) ---- */

/* "proto:ip:port" to "ip~port~number"; empty when it is not that. */
static struct str param_value(struct ctx *ctx, struct str saddr)
{
	ptrdiff_t first = str_find_char(saddr, ':'), last = str_rfind_char(saddr, ':');
	enum sip_proto proto;
	struct str out, host;

	if (first <= 0 || last <= first)
		return STR_NULL;
	proto = sip_proto_lookup(str_sub(saddr, 0, (size_t)first));
	host = str_sub(saddr, (size_t)first + 1, (size_t)(last - first) - 1);
	if (proto == SIP_PROTO_NONE || host.n == 0 ||
	    pool_printf(ctx->pool, &out, "%.*s~%.*s~%d", STR_FMT(host), STR_FMT(str_sub(saddr, (size_t)last + 1, saddr.n)), proto) < 0)
		return STR_NULL;
	return out;
}

/* u with parameter `name` taken out and `add` (may be n 0) put in its place behind the others. */
static int with_param(struct ctx *ctx, const struct sip_uri *u, struct str name, struct str add, struct str *ret)
{
	const char *end = u->text.s + u->text.n, *tail = u->headers.n > 0 ? u->headers.s - 1 : end;
	const char *head_end = u->params.n > 0 ? u->params.s - 1 : tail;
	struct str rest = u->params;
	struct sip_param p;
	struct strbuf sb;

	strbuf_init_pool(&sb, ctx->pool, 4096);
	strbuf_add(&sb, str_of(u->text.s, (size_t)(head_end - u->text.s)));
	while (sip_param_next(&rest, &p) == 1) {
		if (str_ieq(p.name, name))
			continue;
		strbuf_add_char(&sb, ';');
		strbuf_add(&sb, p.raw);
	}
	if (add.n > 0) {
		strbuf_add_char(&sb, ';');
		strbuf_add(&sb, name);
		strbuf_add_char(&sb, '=');
		strbuf_add(&sb, add);
	}
	strbuf_add(&sb, str_of(tail, (size_t)(end - tail)));
	if (strbuf_err(&sb) < 0)
		return -EMSGSIZE;
	*ret = strbuf_str(&sb);
	return 1;
}

/* a[1]: the URI that stands for the contact */
static int cp_encode(struct ctx *ctx, const struct sip_uri *u, const union script_arg *a, struct str *ret)
{
	char *text = pool_alloc(ctx->pool, BASE64_ROOM(u->text.n));
	size_t n;
	int err;

	if (!text)
		return -ENOMEM;
	n = (size_t)base64urlt_encode(u->text, text);
	err = pool_printf(ctx->pool, ret, "%.*s;%.*s=%.*s", STR_FMT(a[1].s), STR_FMT(a[0].s), (int)n, text);
	return err < 0 ? err : 1;
}

static bool is_sip_uri(struct str text)
{
	struct sip_uri u;

	return sip_uri_parse(text, &u, NULL) == 0 && (u.scheme == SIP_URI_SIP || u.scheme == SIP_URI_SIPS);
}

int siputils_f_cp_encode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	if (a[0].s.n == 0 || !is_sip_uri(a[1].s)) {
		log_error("contact_param_encode: the name of a parameter and a SIP URI expected, not '%.*s', '%.*s'", STR_FMT(a[0].s), STR_FMT(a[1].s));
		return -1;
	}
	return each_contact(ctx, cp_encode, a) < 0 ? -1 : 1;
}

/* Only when the contact's own address is another one. */
static int cp_encode_alias(struct ctx *ctx, const struct sip_uri *u, const union script_arg *a, struct str *ret)
{
	ptrdiff_t first = str_find_char(a[1].s, ':'), last = str_rfind_char(a[1].s, ':');
	struct str value;
	uint32_t port;

	if (first > 0 && last > first && str_eq(str_sub(a[1].s, (size_t)first + 1, (size_t)(last - first) - 1), host_text(u)) &&
	    num_u32(str_sub(a[1].s, (size_t)last + 1, a[1].s.n), &port) == 0 && port == sip_uri_port(u))
		return 0;
	value = param_value(ctx, a[1].s);
	return value.n > 0 ? with_param(ctx, u, a[0].s, value, ret) : -EINVAL;
}

int siputils_f_cp_encode_alias(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int changed = a[0].s.n > 0 ? each_contact(ctx, cp_encode_alias, a) : -1;

	(void)n;
	return changed < 0 ? -1 : changed > 0 ? 1 : 2;
}

/* "ip~port~number" to a URI. */
static bool alias_uri(struct ctx *ctx, struct str v, struct str *ret)
{
	ptrdiff_t first = str_find_char(v, '~'), last = str_rfind_char(v, '~');
	uint32_t port, proto;

	if (first <= 0 || last <= first || num_u32(str_sub(v, (size_t)first + 1, (size_t)(last - first) - 1), &port) < 0 || port > 65535 ||
	    num_u32(str_sub(v, (size_t)last + 1, v.n), &proto) < 0 || proto < SIP_PROTO_UDP || proto > SIP_PROTO_WSS)
		return false;
	return pool_printf(ctx->pool, ret, "sip:%.*s:%u;transport=%s", (int)first, v.s, port, sip_proto_name((enum sip_proto)proto)) == 0;
}

/* The contact that is hidden in a parameter. Anybody may have written it: what would not stay inside a URI is refused. */
static int hidden_uri(struct ctx *ctx, struct str value, struct str *ret)
{
	char *text = pool_alloc(ctx->pool, BASE64_DECODED(value.n));
	ptrdiff_t n;

	if (!text)
		return -ENOMEM;
	n = base64url_decode(value, text);
	if (n <= 0)
		return -EBADMSG;
	for (ptrdiff_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 127 || strchr("<>\"", text[i]))
			return -EBADMSG;
	*ret = str_of(text, (size_t)n);
	return is_sip_uri(*ret) ? 1 : -EBADMSG;
}

static int cp_decode(struct ctx *ctx, const struct sip_uri *u, const union script_arg *a, struct str *ret)
{
	struct sip_param p;

	return sip_param_find(u->params, a[0].s, &p) ? hidden_uri(ctx, p.value, ret) : 0;
}

static void go_to(struct ctx *ctx, struct str dst)
{
	ctx->main.dst_uri = dst;
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
}

/* Contacts come back; or the address in the first one becomes the destination. */
int siputils_f_cp_decode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_addr_iter it = { 0 };
	struct sip_addr c;
	struct sip_uri u;
	struct sip_param p;
	struct str dst;

	(void)n;
	if (sip_msg_addr_next(&ctx->msg, SIP_H_CONTACT, &it, &c) == 1 && !c.star && sip_uri_parse(c.uri, &u, NULL) == 0 &&
	    sip_param_find(u.params, a[0].s, &p) && alias_uri(ctx, p.value, &dst)) {
		go_to(ctx, dst);
		return 1;
	}
	return each_contact(ctx, cp_decode, a) < 0 ? -1 : 1;
}

int siputils_f_cp_decode_ruri(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri u;
	struct sip_param p;
	struct str to;

	(void)n;
	if (ctx->msg.kind != SIP_REQUEST || sip_uri_parse(ctx_ruri(ctx), &u, NULL) < 0)
		return -1;
	if (!sip_param_find(u.params, a[0].s, &p))
		return 1;
	if (alias_uri(ctx, p.value, &to)) {
		if (siputils_ruri_param_rm(ctx, a[0].s) < 0)
			return -1;
		go_to(ctx, to);
		return 1;
	}
	if (hidden_uri(ctx, p.value, &to) < 0)
		return -1;
	return route_ruri_set(ctx, RURI_ALL, to, 0) < 0 ? -1 : 1;
}

static int cp_rm(struct ctx *ctx, const struct sip_uri *u, const union script_arg *a, struct str *ret)
{
	struct sip_param p;

	return sip_param_find(u->params, a[0].s, &p) ? with_param(ctx, u, a[0].s, STR_NULL, ret) : 0;
}

int siputils_f_cp_rm(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return each_contact(ctx, cp_rm, a) < 0 ? -1 : 1;
}

int siputils_f_cp_check(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_addr_iter it = { 0 };
	struct sip_addr c;

	(void)n;
	while (sip_msg_addr_next(&ctx->msg, SIP_H_CONTACT, &it, &c) == 1) {
		struct sip_uri u;
		struct sip_param p;

		if (!c.star && sip_uri_parse(c.uri, &u, NULL) == 0 && sip_param_find(u.params, a[0].s, &p))
			return 1;
	}
	return -1;
}

/* ---- P-Charging-Vector ---- */

static const struct sip_hdr *pcv_hdr(struct ctx *ctx)
{
	return sip_msg_hdr_named(&ctx->msg, STR_LIT("P-Charging-Vector"), 0);
}

static int pcv_add(struct ctx *ctx)
{
	char host[NET_ADDR_TEXT_MAX];
	size_t n = net_addr_ip_text(&ctx->rx.src, false, host);
	struct str out;

	if (pool_printf(ctx->pool, &out, "P-Charging-Vector: icid-value=%08llx%08x%08x;icid-generated-at=%.*s\r\n", (unsigned long long)clock_wall().tv_sec,
			(unsigned)getpid(), rng_below(UINT32_MAX), (int)n, host) < 0)
		return -1;
	return sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, out, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
}

/* r: remove; g: make when there is none; f: replace by a new one. */
int siputils_f_charging_vector(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_hdr *h = pcv_hdr(ctx);
	char what = a[0].s.n > 0 ? (char)(a[0].s.s[0] | 32) : 0;

	(void)n;
	if (what != 'r' && what != 'g' && what != 'f')
		return -1;
	if (h && what == 'g')
		return 1;
	if (h && sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, h, SIP_EDIT_SCRIPT) < 0)
		return -1;
	if (what == 'r')
		return h ? 3 : 1;
	if (pcv_add(ctx) < 0)
		return -1;
	return h ? 5 : 4;
}

enum pcv_what { PCV_ALL, PCV_VALUE, PCV_GENADDR, PCV_ORIG, PCV_TERM, PCV_STATUS };
static const char *const pcv_words[] = { "all", "value", "genaddr", "orig", "term", "status" };

static int pcv_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	for (size_t i = 0; i < ARRAY_LEN(pcv_words); i++) {
		if (str_eq(spec->inner, str_lit(pcv_words[i]))) {
			spec->arg = (intptr_t)i;
			return 0;
		}
	}
	return diag_set(reterr, 0, "$pcv(%.*s) is unknown; there are: all value genaddr orig term status", STR_FMT(spec->inner));
}

static int pcv_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	static const char *const params[] = { NULL, "icid-value", "icid-generated-at", "orig-ioi", "term-ioi" };
	const struct sip_hdr *h = pcv_hdr(ctx);
	struct sip_param p;

	*ret = value_null();
	if (spec->arg == PCV_STATUS)
		*ret = value_int(h ? 1 : 0);
	else if (h && spec->arg == PCV_ALL)
		*ret = value_str(h->value);
	else if (h && sip_param_find(h->value, str_lit(params[spec->arg]), &p))
		*ret = value_str(p.value);
	return 0;
}

const struct pv_def siputils_pvs[] = {
	{ .name = "pcv", .get = pcv_get, .prepare = pcv_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
