/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of transformations share: values in and out. */
#ifndef RF_MODULES_PV_TRANS_H
#define RF_MODULES_PV_TRANS_H

#include "modules/pv/pv_priv.h"

#define TRANS_RESULT_MAX 65536u

static inline int trans_set_str(struct value *v, struct str s)
{
	*v = value_str(s.s ? s : STR_LIT(""));
	return 0;
}

static inline int trans_set_int(struct value *v, int64_t i)
{
	*v = value_int(i);
	return 0;
}

static inline int trans_text(struct ctx *ctx, const struct value *v, struct str *ret)
{
	return value_to_str(v, ctx->pool, ret);
}

/* Room for a result of at most n bytes; NULL when that is too much. */
static inline char *trans_room(struct ctx *ctx, size_t n)
{
	return n > TRANS_RESULT_MAX ? NULL : pool_alloc(ctx->pool, n + 1);
}

static inline bool trans_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* For trans_def.prepare: the first parameter must be a number when it is constant. */
int pv_prep_num0(struct pool *pool, struct pv_trans *t, struct diag *reterr);

#endif
