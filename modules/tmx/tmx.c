/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More of transactions for scripts: suspending and continuing, cancelling, what kind of route this is, and variables. The
 * machinery is core/tm; here are the words for it.
 */
#include "modules/tmx/tmx.h"

#include <errno.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/pool.h"
#include "core/pv/stat.h"

static struct tmx_conf {
	int precheck_trans; /* 0: t_precheck_trans() is false always */
} tmx_conf = { .precheck_trans = 1 };

static bool number_ok(int64_t i)
{
	return i >= 0 && i <= UINT32_MAX;
}

/* ---- waiting ---- */

static int suspend(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return tm_suspend(ctx);
}

static int go_on(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx; /* it is about another one */
	if (n != 3 || !number_ok(a[0].i) || !number_ok(a[1].i))
		return -1;
	return tm_continue((uint32_t)a[0].i, (uint32_t)a[1].i, a[2].s);
}

static int precheck(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return tmx_conf.precheck_trans ? tmx_precheck(ctx) : -1;
}

/* ---- flags in the Via of a branch ---- */

/* Those of the branch at hand: the one that a branch route is about, the one that answered, else the main one and its copies. */
static bool vbflag_ok(int64_t flag)
{
	if (flag >= 0 && flag < 32)
		return true;
	log_error("t_vbflag: flags are 0 to 31, not %lld", (long long)flag);
	return false;
}

static int vbflag_set(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1 || !vbflag_ok(a[0].i))
		return -1;
	ctx->main.vbflags |= 1u << a[0].i;
	return 1;
}

static int vbflag_reset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1 || !vbflag_ok(a[0].i))
		return -1;
	ctx->main.vbflags &= ~(1u << a[0].i);
	return 1;
}

static int vbflag_is_set(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 1 && vbflag_ok(a[0].i) && (ctx->main.vbflags & (1u << a[0].i)) ? 1 : -1;
}

/* ---- cancelling ---- */

static int cancel_branches(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 1 ? tm_cancel_which(ctx, (enum tm_which)(intptr_t)a[0].p - 1) : -1;
}

/* The word's number + 1, so that it is never NULL. */
static int which_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	static const char *const words[] = { [TM_ALL] = "all", [TM_OTHERS] = "others", [TM_THIS] = "this" };

	(void)pool, (void)index; /* one parameter, nothing made */
	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		if (str_eq(text, str_lit(words[i]))) {
			*ret_p = (void *)(uintptr_t)(i + 1);
			return 0;
		}
	}
	return diag_set(reterr, 0, "\"all\", \"others\" or \"this\" expected");
}

static int cancel_callid(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct tm_name name = { .callid = n >= 3 ? a[0].s : STR_NULL };

	(void)ctx; /* it is about another one */
	if (name.callid.n == 0 || num_u32(a[1].s, &name.cseq) < 0)
		return -1;
	return tm_stop(&name, TM_ALL_BRANCHES, a[2].i >= 0 && a[2].i < 32 ? (unsigned)a[2].i : TM_NO_FLAG, n > 3 ? (int)a[3].i : 0) < 0 ? -1 : 1;
}

static int cancel_branch_idx(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct tm_name name = { .callid = STR_NULL };

	(void)ctx; /* it is about another one */
	if (n != 3 || !number_ok(a[0].i) || !number_ok(a[1].i) || a[2].i < 0 || a[2].i >= (int64_t)TM_ALL_BRANCHES)
		return -1;
	name.index = (uint32_t)a[0].i;
	name.label = (uint32_t)a[1].i;
	return tm_stop(&name, (unsigned)a[2].i, TM_NO_FLAG, 0) < 0 ? -1 : 1;
}

/* ---- answering ---- */

static int reply_callid(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct tm_name name = { .callid = n == 4 ? a[0].s : STR_NULL };

	(void)ctx; /* it is about another one */
	if (name.callid.n == 0 || num_u32(a[1].s, &name.cseq) < 0 || a[2].i < 100 || a[2].i > 699 || a[3].s.n == 0)
		return -1;
	return tm_reply_to(&name, (int)a[2].i, a[3].s, STR_NULL, STR_NULL, STR_NULL) < 0 ? -1 : 1;
}

static int ack_local(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	uint32_t cseq;

	(void)ctx; /* it is about a request of our own */
	if (n < 2 || a[0].s.n == 0 || num_u32(a[1].s, &cseq) < 0)
		return -1;
	return tm_uac_ack_by(a[0].s, cseq, n > 2 ? a[2].s : STR_NULL, n > 3 ? a[3].s : STR_NULL) < 0 ? -1 : 1;
}

static int drop(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int64_t code = n ? a[0].i : 500;

	return code >= 100 && code <= 699 ? tm_drop(ctx, (int)code) : -1;
}

/* ---- flags, routes ---- */

static int flush_flags(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return tm_flags_flush(ctx, TM_FLAGS_MSG);
}

static int flush_xflags(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return tm_flags_flush(ctx, TM_FLAGS_X);
}

#define IS(name_, yes_) \
	static int name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		(void)a, (void)n; /* takes none */ \
		return (yes_) ? 1 : -1; \
	}
IS(is_request, ctx->kind == CTX_REQUEST)
IS(is_failure, ctx->kind == CTX_FAILURE)
IS(is_branch, ctx->kind == CTX_BRANCH)
IS(is_reply, (ctx->kind & CTX_ONREPLY) != 0)

/* The branch that failed once more, as a new one: its URI, Path, instance, flags; the script says t_relay(). */
static int reuse_branch(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct tm_branch_info info;

	(void)a, (void)n; /* takes none */
	if (!tmx_is_branch_failure(ctx) || tm_branch_info(ctx, ctx->txn_branch, &info) < 0)
		return -1;
	ctx->main = (struct ctx_target){ .uri = str_dup(ctx->pool, info.uri), .path = str_dup(ctx->pool, info.path),
		.ruid = str_dup(ctx->pool, info.ruid), .instance = str_dup(ctx->pool, info.instance), .dst_uri = str_dup(ctx->pool, info.dst_uri),
		.q = -1, .listener = NET_LISTENER_NONE, .bflags = info.bflags, .vbflags = ctx->main.vbflags };
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	return 1;
}

/* clang-format off */
#define R CTX_REQUEST
#define NOARG(name_, fn_, kinds_) { .name = name_, .fn = fn_, .kinds = kinds_ }

static const struct script_func funcs[] = {
	NOARG("t_suspend", suspend, CTX_ANY),
	{ .name = "t_continue", .fn = go_on, .n_params = 3, .param = { SP_DINT, SP_DINT, SP_DSTR }, .kinds = CTX_ANY },
	NOARG("t_precheck_trans", precheck, R),
	{ .name = "t_cancel_branches", .fn = cancel_branches, .n_params = 1, .param = { SP_FIX }, .kinds = CTX_ONREPLY, .fixup = which_fixup },
	{ .name = "t_cancel_callid", .fn = cancel_callid, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "t_cancel_callid", .fn = cancel_callid, .n_params = 4, .param = { SP_DSTR, SP_DSTR, SP_DINT, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "t_cancel_branch_idx", .fn = cancel_branch_idx, .n_params = 3, .param = { SP_DINT, SP_DINT, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "t_reply_callid", .fn = reply_callid, .n_params = 4, .param = { SP_DSTR, SP_DSTR, SP_DINT, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "t_uac_ack_local", .fn = ack_local, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "t_uac_ack_local", .fn = ack_local, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "t_uac_ack_local", .fn = ack_local, .n_params = 4, .param = { SP_DSTR, SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	NOARG("t_drop", drop, CTX_ANY),
	{ .name = "t_drop", .fn = drop, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	NOARG("t_flush_flags", flush_flags, CTX_ANY), NOARG("t_flush_xflags", flush_xflags, CTX_ANY),
	{ .name = "t_vbflag_set", .fn = vbflag_set, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "t_vbflag_reset", .fn = vbflag_reset, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "t_vbflag_is_set", .fn = vbflag_is_set, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	NOARG("t_is_request_route", is_request, CTX_ANY), NOARG("t_is_failure_route", is_failure, CTX_ANY),
	NOARG("t_is_branch_route", is_branch, CTX_ANY), NOARG("t_is_reply_route", is_reply, CTX_ANY),
	NOARG("t_reuse_branch", reuse_branch, R | CTX_EVENT),
	{ .name = NULL },
};

static const struct setting settings[] = {
	SETTING_INT("precheck_trans", struct tmx_conf, precheck_trans, 1, 0, 1),
	SETTING_END
};
/* clang-format on */

enum number { ACTIVE, RELAYED, ABSORBED };

/* What follows from the counters of core/tm. */
static int64_t computed(intptr_t which)
{
	struct tm_stats s;
	int64_t relayed;

	tm_stats_read(&s);
	relayed = s.rpl_sent - s.rpl_generated;
	return which == ACTIVE ? s.current - s.waiting : which == RELAYED ? relayed : s.rpl_received - relayed;
}

static int init(void)
{
	static const struct stat_def stats[] = { { "tmx", "active_transactions", computed, ACTIVE }, { "tmx", "rpl_relayed", computed, RELAYED },
		{ "tmx", "rpl_absorbed", computed, ABSORBED }, { NULL, NULL, NULL, 0 } };
	int err = stat_register(stats);

	if (err == 0)
		err = tmx_precheck_init();
	return err < 0 ? log_fail(err, "tmx") : 0;
}

static const char *const needs[] = { "tm", NULL };
extern const struct module module_tmx;
const struct module module_tmx = {
	.abi = MODULE_ABI, .name = "tmx", .requires = needs, .settings = settings, .conf = &tmx_conf, .funcs = funcs, .pvs = tmx_pvs,
	.init = init, .recover = tmx_precheck_recover,
};
