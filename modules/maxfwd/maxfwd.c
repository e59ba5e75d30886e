/* SPDX-License-Identifier: BSD-2-Clause */
/* Max-Forwards: decremented or added by an edit; what to answer at zero is the script's business. */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/module/abi.h"

static struct maxfwd_conf {
	int max_limit;
} conf;

/* Returns 1 with the value, 0 when the field is missing, -EBADMSG. */
static int value_of(struct ctx *ctx, const struct sip_hdr **ret_hdr, uint32_t *ret_value)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_MAX_FORWARDS);

	if (!h)
		return 0;
	if (num_u32(h->value, ret_value) < 0)
		return -EBADMSG;
	*ret_hdr = h;
	return 1;
}

static int process(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	const struct sip_hdr *h = NULL;
	char text[NUM_DEC_MAX + 1];
	uint32_t v = 0;
	struct str put;
	int r;

	if (n != 1 || args[0].i < 0 || args[0].i > 255)
		return -1;
	r = value_of(ctx, &h, &v);
	if (r < 0)
		return -2;
	if (r == 0) {
		if (pool_printf(ctx->pool, &put, "Max-Forwards: %u\r\n", (unsigned)args[0].i) < 0)
			return -2;
		/* Twice in one run: the first edit is still there, and one field is enough. */
		sip_edit_undo(&ctx->edits, SIP_EDIT_MAXFWD);
		return sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, put, SIP_EDIT_MAXFWD) < 0 ? -2 : 2;
	}
	if (v == 0)
		return -1;
	v = v > (uint32_t)conf.max_limit ? (uint32_t)conf.max_limit : v - 1;
	put = str_dup(ctx->pool, str_of(text, num_dec((int64_t)v, text)));
	if (!put.s)
		return -2;
	sip_edit_undo(&ctx->edits, SIP_EDIT_MAXFWD);
	return sip_edit_replace(&ctx->edits, ctx->pool, &ctx->msg, h->value, put, SIP_EDIT_MAXFWD) < 0 ? -2 : 1;
}

static int below(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	const struct sip_hdr *h = NULL;
	uint32_t v = 0;
	int r;

	if (n != 1 || args[0].i < 0 || args[0].i > 255)
		return -3;
	r = value_of(ctx, &h, &v);
	if (r <= 0)
		return r == 0 ? -2 : -3;
	return v < (uint64_t)args[0].i ? 1 : -1;
}

/* clang-format off */
#define ONE_INT(name_, fn_) { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_REQUEST }
static const struct script_func funcs[] = {
	ONE_INT("maxfwd_process", process), ONE_INT("mf_process_maxfwd_header", process), ONE_INT("process_maxfwd", process),
	ONE_INT("is_maxfwd_lt", below), ONE_INT("maxfwd_at_least", below), ONE_INT("mf_lowlimit", below),
	{ .name = NULL },
};
static const struct setting settings[] = {
	SETTING_LIVE_INT("max_limit", struct maxfwd_conf, max_limit, 70, 1, 255),
	SETTING_END
};
static const struct cfg_live live[] = {
	{ "max_limit", NULL, "a higher Max-Forwards becomes this", 0 },
	{ .name = NULL },
};
/* clang-format on */

extern const struct module module_maxfwd;
const struct module module_maxfwd = { .abi = MODULE_ABI, .name = "maxfwd", .settings = settings, .conf = &conf, .live = live, .funcs = funcs };
