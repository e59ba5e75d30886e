/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Own Via, and what a script may put into it: server_id, the fields of an XAVP as parameters, another sent-by, and flags behind the branch
 * identifier, "z9hG4bK....v1a", which come back with the reply. What is not asked for costs a comparison of the message's flags.
 */
#include "core/tm/out.h"

#include <errno.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/scan.h"
#include "core/base/strbuf.h"

#define FLAGS_HEX_MAX 8u
static const struct str flags_mark = STR_LIT(".v");

/* ---- flags ---- */

uint32_t out_via_flags(struct str branch)
{
	size_t n = 0;
	uint32_t v = 0;

	while (n < branch.n && n < FLAGS_HEX_MAX && char_is(branch.s[branch.n - 1 - n], CHARS_HEX))
		n++;
	if (n == 0 || branch.n < n + flags_mark.n || !str_eq(str_sub(branch, branch.n - n - flags_mark.n, flags_mark.n), flags_mark))
		return 0;
	for (size_t i = branch.n - n; i < branch.n; i++)
		v = v << 4 | (unsigned)num_hex_digit(branch.s[i]);
	return v;
}

/* ---- attributes ---- */

/* One quoted-string from its first byte to its last. */
static bool is_quoted(struct str s)
{
	if (s.n < 2 || s.s[0] != '"' || s.s[s.n - 1] != '"')
		return false;
	for (size_t i = 1; i + 1 < s.n; i++) {
		if (s.s[i] == '"' || (s.s[i] == '\\' && ++i + 1 >= s.n))
			return false;
	}
	return true;
}

/* As text that may stand behind "name=": a token or a host, else in quotes. False: it cannot. */
static bool add_value(struct strbuf *sb, struct str s)
{
	bool plain = s.n > 0;

	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.s[i] < 32 || s.s[i] == 127)
			return false;
		if (!char_is(s.s[i], CHARS_TOKEN) && !memchr("[]:", s.s[i], 3))
			plain = false;
	}
	if (plain || is_quoted(s)) {
		strbuf_add(sb, s);
		return true;
	}
	strbuf_add_char(sb, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.s[i] == '"' || s.s[i] == '\\')
			strbuf_add_char(sb, '\\');
		strbuf_add_char(sb, s.s[i]);
	}
	strbuf_add_char(sb, '"');
	return true;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is(s.s[i], CHARS_TOKEN))
			return false;
	return s.n > 0;
}

static const struct avp *fields_of(const struct ctx *ctx, struct str name)
{
	const struct avp *root = name.n ? avp_find(ctx->avps.head[AVP_XAVP], name, 0, false) : NULL;

	return root ? root->fields : NULL;
}

/* ";name=value" of each field */
static void add_params(struct strbuf *sb, const struct ctx *ctx, struct str xavp)
{
	for (const struct avp *f = fields_of(ctx, xavp); f; f = f->next) {
		size_t mark = sb->n;

		if (f->value.kind == VALUE_NULL)
			continue;
		strbuf_add_char(sb, ';');
		strbuf_add(sb, f->name);
		if (f->value.kind == VALUE_STR && f->value.s.n == 0 && is_token(f->name))
			continue;
		strbuf_add_char(sb, '=');
		if (is_token(f->name) && f->value.kind == VALUE_INT) {
			strbuf_printf(sb, "%lld", (long long)f->value.i);
		} else if (!is_token(f->name) || !add_value(sb, f->value.s)) {
			log_warn("$xavp(%.*s=>%.*s) cannot be a parameter of a Via: left out", STR_FMT(xavp), STR_FMT(f->name));
			sb->n = mark;
		}
	}
}

/* ---- Via ---- */

static void add_own(struct strbuf *sb, const struct ctx *ctx, const struct net_listener *from)
{
	struct str own = from->adv_host.n ? from->adv_host : from->host;

	strbuf_add_lit(sb, sip_proto_via_name(from->proto));
	strbuf_add_char(sb, ' ');
	if (!ctx->adv_host.n && !ctx->adv_port) {
		strbuf_add(sb, from->via_sent_by);
		return;
	}
	strbuf_add(sb, ctx->adv_host.n ? ctx->adv_host : own);
	strbuf_add_char(sb, ':');
	strbuf_add_u64(sb, ctx->adv_port ? ctx->adv_port : from->addr.port);
}

/* A field as text; n 0: there is none. num: where a number is written. */
static struct str field_text(const struct ctx *ctx, const char *name, char num[NUM_DEC_MAX])
{
	const struct avp *root = avp_find(ctx->avps.head[AVP_XAVP], out_conf.xavp_via_fields, 0, false);
	const struct avp *f = root ? avp_find(root->fields, str_lit(name), 0, false) : NULL;

	if (!f || f->value.kind == VALUE_NULL)
		return STR_NULL;
	return f->value.kind == VALUE_INT ? str_of(num, num_dec(f->value.i, num)) : f->value.s;
}

/* The transport and sent-by that the fields of xavp_via_fields say, and of the socket what they do not. False: they cannot stand in a Via. */
static bool add_fields(struct strbuf *sb, const struct ctx *ctx, const struct net_listener *from)
{
	char num[2][NUM_DEC_MAX];
	struct str address = field_text(ctx, "address", num[0]), port = field_text(ctx, "port", num[1]), proto = field_text(ctx, "proto", num[0]);
	enum sip_proto p = proto.n ? sip_proto_lookup(proto) : from->proto;
	struct net_addr ip;
	uint32_t n = 0;

	for (size_t i = 0; i < address.n; i++)
		if (!char_is(address.s[i], CHARS_HOST) && net_addr_parse(address, 0, &ip) < 0)
			return false;
	if (p == SIP_PROTO_NONE || (port.n && (num_u32(port, &n) < 0 || n == 0 || n > 65535)))
		return false;
	strbuf_add_lit(sb, sip_proto_via_name(p));
	strbuf_add_char(sb, ' ');
	if (!address.n && !port.n) {
		strbuf_add(sb, from->via_sent_by);
		return true;
	}
	strbuf_add(sb, address.n ? address : from->adv_host.n ? from->adv_host : from->host);
	if (n) {
		strbuf_add_char(sb, ':');
		strbuf_add_u64(sb, n);
	}
	return true;
}

int out_via_build(struct ctx *ctx, const struct out_request *req, struct str *ret)
{
	struct strbuf sb;

	strbuf_init_pool(&sb, ctx->pool, 2048);
	strbuf_add_lit(&sb, "Via: SIP/2.0/");
	if (LIKELY(!(ctx->mflags & CTX_F_VIA_FIELDS)) || !fields_of(ctx, out_conf.xavp_via_fields)) {
		add_own(&sb, ctx, req->from);
	} else if (!add_fields(&sb, ctx, req->from)) {
		log_warn("xavp_via_fields: address, port and proto of $xavp(%.*s) make no Via: not used", STR_FMT(out_conf.xavp_via_fields));
		add_own(&sb, ctx, req->from);
	}
	strbuf_add_lit(&sb, ";branch=");
	strbuf_add(&sb, req->branch);
	if (UNLIKELY(req->vbflags))
		strbuf_printf(&sb, ".v%x", req->vbflags);
	if ((ctx->mflags & CTX_F_LOCAL_RPORT) || out_conf.local_rport)
		strbuf_add_lit(&sb, ";rport");
	if (UNLIKELY(ctx->mflags & CTX_F_VIA_SRVID) && out_conf.server_id)
		strbuf_printf(&sb, ";srvid=%d", out_conf.server_id);
	if (UNLIKELY(ctx->mflags & CTX_F_VIA_PARAMS))
		add_params(&sb, ctx, out_conf.xavp_via_params);
	strbuf_add_lit(&sb, "\r\n");
	*ret = strbuf_str(&sb);
	return strbuf_err(&sb) < 0 ? -EMSGSIZE : 0;
}

struct sip_via_source out_reply_source(struct ctx *ctx, char *ip)
{
	struct sip_via_source source = out_via_source(ctx, ip);
	struct strbuf sb;

	if (LIKELY(!(ctx->mflags & CTX_F_VIA_REPLY_PARAMS)))
		return source;
	strbuf_init_pool(&sb, ctx->pool, 2048);
	add_params(&sb, ctx, out_conf.xavp_via_reply_params);
	if (strbuf_err(&sb) < 0)
		log_warn("xavp_via_reply_params: the fields of %.*s take more than 2048 bytes: left out", STR_FMT(out_conf.xavp_via_reply_params));
	else
		source.params = strbuf_str(&sb);
	return source;
}
