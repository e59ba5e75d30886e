/* SPDX-License-Identifier: BSD-2-Clause */
/* $T_... and $T(...): what a script may ask about its transaction, and variables of its other messages. */
#include <errno.h>

#include "core/base/pool.h"
#include "modules/tmx/tmx.h"

static int ret_dup(struct ctx *ctx, struct value *ret, struct str s)
{
	*ret = value_str(str_dup(ctx->pool, s));
	return s.n && !ret->s.s ? -ENOMEM : 0;
}

static int ret_null(struct value *ret)
{
	*ret = value_null();
	return 0;
}

/* Branch that a reply, branch or branch failure route is about; else what is sent and what is yet to be sent. */
static int branch_idx(struct ctx *ctx)
{
	struct tm_info info;

	if (tmx_is_branch_failure(ctx) || (ctx->txn && (ctx->kind & (CTX_TM_REPLY | CTX_BRANCH | CTX_BRANCH_FAILURE))))
		return ctx->txn_branch;
	if (ctx->kind == CTX_FAILURE)
		return tm_info(ctx, &info) == 0 ? (int)(info.n_branches + ctx->n_branches) : -1;
	return ctx->msg.kind == SIP_REQUEST ? ctx->n_branches : -1;
}

static int branch_idx_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec; /* one value */
	*ret = value_int(branch_idx(ctx));
	return 0;
}

static int code_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec; /* one value */
	*ret = value_int(tm_status(ctx));
	return 0;
}

static int reason_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec; /* one value */
	if (ctx->msg.kind == SIP_REPLY || ctx->kind == CTX_FAILURE)
		return ret_dup(ctx, ret, tm_reason(ctx));
	*ret = value_str(STR_LIT(""));
	return 0;
}

static int last_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec; /* one value */
	*ret = ctx->msg.kind == SIP_REPLY ? value_int(ctx->msg.status) : value_str(STR_LIT(""));
	return 0;
}

/* Of the branch that this run is about. */
static int branch_of(struct ctx *ctx, struct tm_branch_info *ret_info)
{
	if (!ctx->txn || !(ctx->msg.kind == SIP_REPLY || ctx->kind == CTX_FAILURE || tmx_is_branch_failure(ctx)))
		return -ENOENT;
	return tm_branch_info(ctx, ctx->txn_branch, ret_info);
}

static int ruid_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct tm_branch_info info;

	(void)spec; /* one value */
	return branch_of(ctx, &info) < 0 ? ret_null(ret) : ret_dup(ctx, ret, info.ruid);
}

/* ---- $T(name), $T_branch(name) ---- */

enum what { ID_INDEX, ID_LABEL, ID_INDEX_N, ID_LABEL_N, REPLY_CODE, REPLY_REASON, REPLY_TYPE, REPLY_LAST, BRANCH_INDEX, B_URI, B_RUID, B_FLAGS };

struct word {
	const char *name;
	enum what what;
};

static int word_prepare(const struct word *w, struct pv_spec *spec, struct diag *reterr)
{
	for (; w->name; w++) {
		if (str_eq(spec->inner, str_lit(w->name))) {
			spec->arg = (intptr_t)w->what;
			return 0;
		}
	}
	return diag_set(reterr, 0, "$%s(%.*s): no such name", spec->def->name, STR_FMT(spec->inner));
}

static int t_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	static const struct word words[] = { { "id_index", ID_INDEX }, { "id_label", ID_LABEL }, { "id_index_n", ID_INDEX_N },
		{ "id_label_n", ID_LABEL_N }, { "reply_code", REPLY_CODE }, { "reply_reason", REPLY_REASON }, { "reply_type", REPLY_TYPE },
		{ "reply_last", REPLY_LAST }, { "branch_index", BRANCH_INDEX }, { NULL, 0 } };

	(void)pool; /* nothing is made */
	return word_prepare(words, spec, reterr);
}

static int t_branch_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	static const struct word words[] = { { "uri", B_URI }, { "ruid", B_RUID }, { "flags", B_FLAGS }, { NULL, 0 } };

	(void)pool; /* nothing is made */
	return word_prepare(words, spec, reterr);
}

static int t_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct tm_branch_info branch;
	struct tm_info info;
	bool make = spec->arg == ID_INDEX_N || spec->arg == ID_LABEL_N;

	switch ((enum what)spec->arg) {
	case REPLY_CODE:
		return code_get(ctx, spec, ret);
	case REPLY_REASON:
		return reason_get(ctx, spec, ret);
	case REPLY_LAST:
		return last_get(ctx, spec, ret);
	case BRANCH_INDEX:
		return branch_idx_get(ctx, spec, ret);
	default:
		break;
	}
	if (!ctx->txn && make && ctx->msg.kind == SIP_REQUEST && tm_newtran(ctx) <= 0)
		return ret_null(ret);
	if (tm_info(ctx, &info) < 0)
		return ret_null(ret);
	if (spec->arg == REPLY_TYPE)
		*ret = value_int(ctx->kind == CTX_FAILURE && tm_branch_info(ctx, ctx->txn_branch, &branch) == 0 && branch.is_faked);
	else
		*ret = value_int(spec->arg == ID_INDEX || spec->arg == ID_INDEX_N ? info.index : info.label);
	return 0;
}

static int t_branch_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct tm_branch_info info;

	if (branch_of(ctx, &info) < 0 || (spec->arg == B_URI && ctx->msg.kind != SIP_REPLY))
		return ret_null(ret);
	if (spec->arg != B_FLAGS)
		return ret_dup(ctx, ret, spec->arg == B_URI ? info.uri : info.ruid);
	*ret = value_int(info.bflags);
	return 0;
}

/* ---- $T_req($pv), $T_rpl($pv), $T_inv($pv) ---- */

static int inner_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct pv_spec *of;
	size_t len;
	int err = pv_parse(pool, spec->inner, &of, &len, reterr);

	if (err < 0)
		return err;
	if (len != spec->inner.n)
		return diag_set(reterr, 0, "$%s() takes one variable", spec->def->name);
	spec->data = of;
	return 0;
}

/* Takes other. */
static int get_on(struct ctx *ctx, struct ctx *other, const struct pv_spec *of, struct value *ret)
{
	struct value v = value_null();
	int err;

	if (!other || (of->def->flags & PV_CONTEXT)) {
		if (other)
			ctx_free(other);
		return ret_null(ret);
	}
	err = pv_get(other, of, &v);
	if (err == 0)
		err = value_dup(&v, ctx->pool, ret);
	ctx_free(other);
	return err;
}

static int req_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	return get_on(ctx, ctx->msg.kind == SIP_REPLY ? tm_request_ctx(ctx) : NULL, spec->data, ret);
}

static int rpl_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	return get_on(ctx, ctx->kind == CTX_FAILURE || tmx_is_branch_failure(ctx) ? tm_reply_ctx(ctx) : NULL, spec->data, ret);
}

static int inv_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	return get_on(ctx, ctx->kind == CTX_REQUEST && ctx->msg.kind == SIP_REQUEST ? tm_invite_ctx(ctx) : NULL, spec->data, ret);
}

/* clang-format off */
const struct pv_def tmx_pvs[] = {
	{ .name = "T_branch_idx",   .get = branch_idx_get },
	{ .name = "T_reply_code",   .get = code_get },
	{ .name = "T_reply_reason", .get = reason_get },
	{ .name = "T_reply_last",   .get = last_get },
	{ .name = "T_reply_ruid",   .get = ruid_get },
	{ .name = "T",              .get = t_get,        .prepare = t_prepare,        .flags = PV_INNER },
	{ .name = "T_branch",       .get = t_branch_get, .prepare = t_branch_prepare, .flags = PV_INNER },
	{ .name = "T_req",          .get = req_get,      .prepare = inner_prepare,    .flags = PV_INNER },
	{ .name = "T_rpl",          .get = rpl_get,      .prepare = inner_prepare,    .flags = PV_INNER },
	{ .name = "T_inv",          .get = inv_get,      .prepare = inner_prepare,    .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */
