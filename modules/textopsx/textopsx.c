/* SPDX-License-Identifier: BSD-2-Clause */
/* textopsx: changes that the script itself sees, status of replies, values of header fields, iterators. */
#include <fnmatch.h>

#include "core/base/regex.h"
#include "modules/textopsx/textopsx_priv.h"

#define PATTERN_MAX 1024u

bool textopsx_whole_field(struct ctx *ctx, struct str *s)
{
	struct str line = *s;

	if (line.n > 0 && line.s[line.n - 1] == '\n')
		line.n -= line.n > 1 && line.s[line.n - 2] == '\r' ? 2 : 1;
	return line.n > 0 && pool_printf(ctx->pool, s, "%.*s\r\n", STR_FMT(line)) == 0;
}

/* ---- the message as changed ---- */

/* With a transaction the received message is in there already. */
static bool changeable(const struct ctx *ctx, const char *what)
{
	if (!ctx->txn)
		return true;
	log_error("textopsx: %s: the transaction is there already", what);
	return false;
}

/* In mode 1 a request route may change it all the same: core/tm/legs.c keeps what was received and what it became. */
static bool changeable_later(const struct ctx *ctx)
{
	return ctx->txn && ctx->kind == CTX_REQUEST && route_conf.msg_apply_changes_mode;
}

/* A message that cannot be read again ends the script: nothing that follows could be right. */
static int f_apply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct diag d = { 0 };

	(void)a;
	(void)n;
	if (!changeable_later(ctx) && !changeable(ctx, "msg_apply_changes"))
		return -1;
	if (route_msg_apply(ctx, &d) == 0) {
		if (ctx->txn)
			ctx->mflags |= CTX_F_NOT_AS_STORED;
		return 1;
	}
	log_error("textopsx: msg_apply_changes: the changed message cannot be read: %s", d.text);
	return 0;
}

static int f_set_buffer(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str bytes;
	struct diag d = { 0 };

	(void)n;
	if (!changeable(ctx, "msg_set_buffer"))
		return -1;
	bytes = str_dup(ctx->pool, a[0].s);
	if (bytes.s && route_msg_set(ctx, bytes, &d) == 0)
		return 1;
	log_error("textopsx: msg_set_buffer: no message: %s", bytes.s ? d.text : "no memory");
	return -1;
}

/* What the message was while a route looks at it as changed. */
struct received {
	struct sip_msg msg;
	struct sip_edits edits;
	struct str ruri;
	const struct sip_hdr *auth_hdr;
};

static int back_to_received(struct ctx *ctx, int rc, void *arg)
{
	const struct received *was = arg;

	ctx->msg = was->msg;
	ctx->edits = was->edits;
	ctx->main.uri = was->ruri;
	ctx->auth_hdr = was->auth_hdr;
	return rc;
}

static int f_changed_route(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct received *was = pool_alloc(ctx->pool, sizeof(*was));
	struct diag d = { 0 };
	int rc;

	(void)n;
	if (!was)
		return -1;
	*was = (struct received){ ctx->msg, ctx->edits, ctx->main.uri, ctx->auth_hdr };
	if (route_msg_apply(ctx, &d) < 0) {
		log_error("textopsx: msg_changed_route: the changed message cannot be read: %s", d.text);
		return back_to_received(ctx, -1, was);
	}
	rc = script_call_route(ctx, CTX_REQUEST, a[0].s, back_to_received, was);
	return rc == -ENOENT ? back_to_received(ctx, -1, was) : rc;
}

/* ---- status of a reply ---- */

static int change_status(struct ctx *ctx, int64_t code, struct str reason)
{
	struct sip_msg *m = &ctx->msg;

	if (code < 100 || code > 699) {
		log_error("textopsx: change_reply_status: %lld is no status, 100 to 699", (long long)code);
		return -1;
	}
	if ((code < 300 || m->status < 300) && code / 100 != m->status / 100) {
		log_error("textopsx: change_reply_status: %u to %lld: the class of provisional and positive replies stays", m->status, (long long)code);
		return -1;
	}
	return sip_edit_status(&ctx->edits, ctx->pool, m, (unsigned)code, reason) < 0 ? -1 : 1;
}

static int f_change_status(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return change_status(ctx, a[0].i, a[1].s);
}

static int f_change_code(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return change_status(ctx, a[0].i, ctx->msg.reason);
}

/* ---- bodies and fields ---- */

/* The description of the body stays, as Kamailio leaves it: a script that wants it gone says remove_hf("Content-Type"). */
static int f_remove_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	ctx->edits.body_replaced = true;
	ctx->edits.new_body = STR_NULL;
	return 1;
}

static bool always_kept(enum sip_header id)
{
	switch (id) {
	case SIP_H_VIA:
	case SIP_H_FROM:
	case SIP_H_TO:
	case SIP_H_CALL_ID:
	case SIP_H_CSEQ:
	case SIP_H_CONTENT_LENGTH:
	case SIP_H_CONTENT_TYPE:
	case SIP_H_MAX_FORWARDS:
	case SIP_H_CONTACT:
	case SIP_H_ROUTE:
	case SIP_H_RECORD_ROUTE:
		return true;
	default:
		return false;
	}
}

/* Always -1, as Kamailio's: scripts call it for what it does. */
static int f_keep_hf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	for (unsigned i = 0; i < ctx->msg.n_hdrs; i++) {
		const struct sip_hdr *h = &ctx->msg.hdrs[i];

		if (always_kept(h->id) || (n > 0 && regex_match(a[0].re, h->name, 0, NULL) == 1))
			continue;
		if (sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, h, SIP_EDIT_SCRIPT) < 0)
			break;
	}
	return -1;
}

static int f_fnmatch(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	char pattern[PATTERN_MAX];
	struct str value = STR_NULL;
	int flags = 0;

	if (a[1].s.n >= sizeof(pattern) || pool_printf(ctx->pool, &value, "%.*s%c", STR_FMT(a[0].s), '\0') < 0)
		return -1;
	memcpy(pattern, a[1].s.s, a[1].s.n);
	pattern[a[1].s.n] = '\0';
	if (n > 2 && str_find_char(a[2].s, 'i') >= 0)
		flags = FNM_CASEFOLD;
	return fnmatch(pattern, value.s, flags) == 0 ? 1 : -1;
}

#define F0(name_, fn_, kinds_) { .name = name_, .fn = fn_, .kinds = kinds_ }
#define F1(name_, fn_, p1, kinds_) { .name = name_, .fn = fn_, .n_params = 1, .param = { p1 }, .kinds = kinds_ }
#define F2(name_, fn_, p1, p2, kinds_) { .name = name_, .fn = fn_, .n_params = 2, .param = { p1, p2 }, .kinds = kinds_ }
#define PLACE(name_, fn_, fixup_) { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_FIX }, .kinds = RFBO, .fixup = fixup_ }
#define PLACE_TEXT(name_, fn_, fixup_) { .name = name_, .fn = fn_, .n_params = 2, .param = { SP_FIX, SP_DSTR }, .kinds = RFBO, .fixup = fixup_ }
#define RECEIVED (CTX_REQUEST | CTX_CORE_REPLY)
#define RFBO (CTX_REQUEST | CTX_ONREPLY | CTX_FAILURE | CTX_BRANCH)
/* clang-format off */
static const struct script_func funcs[] = {
	F0("msg_apply_changes",        f_apply,         RECEIVED),
	F1("msg_set_buffer",           f_set_buffer,    SP_DSTR, RECEIVED),
	{ .name = "msg_changed_route", .fn = f_changed_route, .n_params = 1, .param = { SP_ROUTE }, .kinds = CTX_ANY, .route_kind = CTX_REQUEST,
	  .may_suspend = true },
	F2("change_reply_status",      f_change_status, SP_DINT, SP_DSTR, CTX_ONREPLY),
	F1("change_reply_status_code", f_change_code,   SP_DINT, CTX_ONREPLY),
	F0("remove_body",              f_remove_body,   CTX_ANY),
	F0("keep_hf",                  f_keep_hf,       CTX_ANY),
	F1("keep_hf",                  f_keep_hf,       SP_REGEX, CTX_ANY),
	F2("fnmatch",                  f_fnmatch,       SP_DSTR, SP_DSTR, CTX_ANY),
	{ .name = "fnmatch", .fn = f_fnmatch, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	PLACE_TEXT("append_hf_value",  textopsx_append_value,       textopsx_place_fixup),
	PLACE_TEXT("insert_hf_value",  textopsx_insert_value,       textopsx_place_fixup),
	PLACE("remove_hf_value",       textopsx_remove_value,       textopsx_value_fixup),
	PLACE("remove_hf_value2",      textopsx_remove_credentials, textopsx_value_fixup),
	PLACE_TEXT("assign_hf_value",  textopsx_assign_value,       textopsx_assign_fixup),
	PLACE_TEXT("assign_hf_value2", textopsx_assign_credentials, textopsx_assign_fixup),
	F2("include_hf_value",         textopsx_include_value,      SP_STR, SP_DSTR, RFBO),
	F2("exclude_hf_value",         textopsx_exclude_value,      SP_STR, SP_DSTR, RFBO),
	F2("hf_value_exists",          textopsx_value_exists,       SP_STR, SP_DSTR, RFBO),
	F1("hf_iterator_start",        textopsx_hf_start,  SP_DSTR, CTX_ANY),
	F1("hf_iterator_end",          textopsx_hf_end,    SP_DSTR, CTX_ANY),
	F1("hf_iterator_next",         textopsx_hf_next,   SP_DSTR, CTX_ANY),
	F1("hf_iterator_prev",         textopsx_hf_prev,   SP_DSTR, CTX_ANY),
	F1("hf_iterator_rm",           textopsx_hf_rm,     SP_DSTR, CTX_ANY),
	F2("hf_iterator_append",       textopsx_hf_append, SP_DSTR, SP_DSTR, CTX_ANY),
	F2("hf_iterator_insert",       textopsx_hf_insert, SP_DSTR, SP_DSTR, CTX_ANY),
	F1("bl_iterator_start",        textopsx_bl_start,  SP_DSTR, CTX_ANY),
	F1("bl_iterator_end",          textopsx_bl_end,    SP_DSTR, CTX_ANY),
	F1("bl_iterator_next",         textopsx_bl_next,   SP_DSTR, CTX_ANY),
	F1("bl_iterator_rm",           textopsx_bl_rm,     SP_DSTR, CTX_ANY),
	F2("bl_iterator_append",       textopsx_bl_append, SP_DSTR, SP_DSTR, CTX_ANY),
	F2("bl_iterator_insert",       textopsx_bl_insert, SP_DSTR, SP_DSTR, CTX_ANY),
	{ .name = NULL },
};
/* clang-format on */

static int init(void)
{
	int err = textopsx_iter_init();

	return err < 0 ? log_fail(err, "textopsx: no room for the state of a message") : 0;
}

const struct module module_textopsx = {
	.abi = MODULE_ABI,
	.name = "textopsx",
	.funcs = funcs,
	.pvs = textopsx_pvs,
	.init = init,
};
