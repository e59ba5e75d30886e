/* SPDX-License-Identifier: BSD-2-Clause */
/* The answers to a REGISTER: the list of contacts (RFC 3261, 10.3 step 8; GRUUs of RFC 5627), or why it was refused. */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/scan.h"
#include "core/base/strbuf.h"
#include "modules/registrar/reg_priv.h"

#define REPLY_MAX 32000u /* route_reply_add() takes 32 KiB in all */
#define LIST_MAX 26000u  /* of it: room is left for Path, what outbound adds, and fields of the script */
#define CONTACT_FIXED 512u /* what a contact takes beside its texts, at most */

/* clang-format off */
static const struct { uint16_t code; const char *reason; const char *text; } errors[REG_N_ERRORS] = {
	[REG_OK]             = { 200, "OK", NULL },
	[REG_E_CSEQ]         = { 400, "Bad Request", "Invalid CSeq number" },
	[REG_E_AOR]          = { 400, "Bad Request", "Error while parsing AOR" },
	[REG_E_Q]            = { 400, "Bad Request", "Invalid q param in contact" },
	[REG_E_PARSE]        = { 400, "Bad Request", "Message parse error" },
	[REG_E_TO]           = { 400, "Bad Request", "To header not found" },
	[REG_E_CALLID]       = { 400, "Bad Request", "Call-ID header not found" },
	[REG_E_NO_CSEQ]      = { 400, "Bad Request", "CSeq header not found" },
	[REG_E_EXPIRES]      = { 400, "Bad Request", "Expires parse error" },
	[REG_E_CONTACT]      = { 400, "Bad Request", "Contact parse error" },
	[REG_E_STAR_EXPIRES] = { 400, "Bad Request", "* used in contact and expires is not zero" },
	[REG_E_STAR_COUNT]   = { 400, "Bad Request", "* used in contact and more than 1 contact" },
	[REG_E_UNESCAPE]     = { 400, "Bad Request", "Error while unescaping username" },
	[REG_E_TOO_LONG]     = { 400, "Bad Request", "Contact/received too long" },
	[REG_E_CALLID_LONG]  = { 400, "Bad Request", "Callid too long" },
	[REG_E_PATH]         = { 400, "Bad Request", "Path parse error" },
	[REG_E_PATH_UNSUP]   = { 420, "Bad Extension", "No support for found Path indicated" },
	[REG_E_REG_ID]       = { 400, "Bad Request", "Invalid Reg-Id number" },
	[REG_E_OB_SERVER]    = { 420, "Bad Extension", "No support for Outbound on server" },
	[REG_E_OB_CLIENT]    = { 421, "Extension Required", "No support for Outbound indicated" },
	[REG_E_OB_EDGE]      = { 439, "First Hop Lacks Outbound Support", "No support for Outbound on edge proxy" },
	[REG_E_INTERVAL]     = { 423, "Interval Too Brief", "Interval too brief" },
	[REG_E_USRLOC]       = { 500, "Server Internal Error", "usrloc failure" },
	[REG_E_AOR_LONG]     = { 500, "Server Internal Error", "Address Of Record too long" },
	[REG_E_TOO_MANY]     = { 503, "Service Unavailable", "Too many registered contacts" },
	[REG_E_DB]           = { 503, "Service Unavailable", "Location database not available" },
};
/* clang-format on */

/* The user of an AoR is unescaped: it becomes what a URI may hold again (RFC 3261, 25.1). */
static void add_user(struct strbuf *sb, struct str user)
{
	for (size_t i = 0; i < user.n; i++) {
		if (user.s[i] != '%' && char_is(user.s[i], CHARS_USER))
			strbuf_add_char(sb, user.s[i]);
		else
			strbuf_printf(sb, "%%%02x", (unsigned char)user.s[i]);
	}
}

/* RFC 5627: public from AoR and instance, temporary from ruid and the AoR's hash. */
static void add_gruu(struct strbuf *sb, const struct reg_reply *r, const struct ul_contact *c, uint32_t aor_hash)
{
	ptrdiff_t at = reg.ul->use_domain() ? str_rfind_char(r->aor, '@') : -1; /* without, an "@" is the user's own */
	struct str inst = c->instance, host = STR_NULL, user = at < 0 ? r->aor : str_sub(r->aor, 0, (size_t)at);
	struct sip_uri uri;

	if (inst.n > 2 && inst.s[0] == '<' && inst.s[inst.n - 1] == '>')
		inst = str_sub(inst, 1, inst.n - 2);
	if (at >= 0)
		host = str_sub(r->aor, (size_t)at + 1, r->aor.n);
	else if (sip_uri_parse(r->aor_uri, &uri, NULL) == 0)
		host = uri.host;
	strbuf_add_lit(sb, ";pub-gruu=\"sip:");
	add_user(sb, user);
	strbuf_add_char(sb, '@');
	strbuf_add(sb, host);
	strbuf_add_lit(sb, ";gr=");
	strbuf_add(sb, inst);
	strbuf_add_lit(sb, "\";temp-gruu=\"sip:");
	strbuf_add(sb, c->ruid);
	strbuf_printf(sb, "-%x@", aor_hash);
	strbuf_add(sb, host);
	strbuf_add_lit(sb, ";gr\"");
}

static void add_contact(struct ctx *ctx, struct strbuf *sb, const struct reg_reply *r, const struct ul_contact *c, uint32_t aor_hash,
			int64_t now)
{
	strbuf_add_char(sb, '<');
	strbuf_add(sb, c->uri);
	strbuf_add_char(sb, '>');
	if (c->q >= 0)
		sip_q_add(sb, c->q);
	strbuf_add_lit(sb, ";expires=");
	strbuf_add_u64(sb, c->expires > now ? (uint64_t)(c->expires - now) : 0);
	if (c->received.n && reg_conf.received_param.n) {
		strbuf_add_char(sb, ';');
		strbuf_add(sb, reg_conf.received_param);
		strbuf_add_lit(sb, "=\"");
		strbuf_add(sb, c->received);
		strbuf_add_char(sb, '"');
	}
	if (c->instance.n) {
		if (reg_conf.gruu_enabled && reg_list_has(&ctx->msg, SIP_H_SUPPORTED, STR_LIT("gruu")))
			add_gruu(sb, r, c, aor_hash);
		strbuf_add_lit(sb, ";+sip.instance=\"");
		strbuf_add(sb, c->instance);
		strbuf_add_char(sb, '"');
		if (c->reg_id) {
			strbuf_add_lit(sb, ";reg-id=");
			strbuf_add_u64(sb, c->reg_id);
		}
	}
}

/* The bytes that it may take at most: a GRUU names instance and AoR again, the AoR's user three times as long where all of it is escaped. */
static size_t contact_room(const struct reg_reply *r, const struct ul_contact *c)
{
	return CONTACT_FIXED + c->uri.n + c->received.n + 2 * c->instance.n + 4 * r->aor.n;
}

static void add_error(struct strbuf *sb, const struct reg_reply *r)
{
	uint16_t code = errors[r->error].code;
	int retry = reg_conf.retry_after;

	switch (r->error) {
	case REG_E_INTERVAL:
		strbuf_printf(sb, "Min-Expires: %u\r\n", r->min_expires);
		break;
	case REG_E_PATH_UNSUP:
		strbuf_add_lit(sb, "Unsupported: path\r\n");
		break;
	case REG_E_OB_SERVER:
		strbuf_add_lit(sb, "Unsupported: outbound\r\n");
		break;
	case REG_E_OB_CLIENT:
		strbuf_add_lit(sb, "Require: outbound\r\n");
		break;
	default:
		break;
	}
	strbuf_printf(sb, "P-Registrar-Error: %s\r\n", errors[r->error].text);
	if (r->error == REG_E_DB && retry <= 0)
		retry = 10;
	if (code >= 500 && retry > 0)
		strbuf_printf(sb, "Retry-After: %d\r\n", retry);
}

/* What a 200 says about RFC 5626 (section 6). */
static void add_outbound(struct strbuf *sb, const struct reg_reply *r)
{
	bool both = r->outbound || reg_conf.outbound_mode == REG_OB_REQUIRED;

	if (reg_conf.outbound_mode == REG_OB_OFF)
		return;
	strbuf_add_lit(sb, "Supported: outbound\r\n");
	if (both)
		strbuf_add_lit(sb, "Require: outbound\r\n");
	if (both && reg_conf.flow_timer)
		strbuf_printf(sb, "Flow-Timer: %d\r\n", reg_conf.flow_timer);
}

int reg_reply_fields(struct ctx *ctx, const struct reg_reply *r, const struct ul_list *list, struct str *ret_fields)
{
	int64_t now = clock_wall_s();
	struct strbuf sb;

	strbuf_init_pool(&sb, ctx->pool, REPLY_MAX);
	if (r->error) {
		add_error(&sb, r);
	} else {
		/* What no message has room for is registered all the same: the first ones, which are tried first, are told. */
		for (unsigned i = 0; i < list->n && sb.n + contact_room(r, &list->c[i]) < LIST_MAX; i++) {
			strbuf_add_lit(&sb, i ? ", " : "Contact: ");
			add_contact(ctx, &sb, r, &list->c[i], list->aor_hash, now);
		}
		if (sb.n)
			strbuf_add_lit(&sb, "\r\n");
		if (r->path.n) {
			strbuf_add_lit(&sb, "Path: ");
			strbuf_add(&sb, r->path);
			strbuf_add_lit(&sb, "\r\n");
		}
		add_outbound(&sb, r);
	}
	if (strbuf_err(&sb) < 0)
		return -EMSGSIZE;
	*ret_fields = strbuf_str(&sb);
	return 0;
}

int reg_reply_send(struct ctx *ctx, enum reg_error error, struct str fields)
{
	if (fields.n && route_reply_add(ctx, fields) < 0)
		return -1;
	return route_reply(ctx, errors[error].code, str_lit(errors[error].reason));
}
