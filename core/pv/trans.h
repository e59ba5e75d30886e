/* SPDX-License-Identifier: BSD-2-Clause */
/* Transformations {class.function,params}: classes are tables registered by core and modules. */
#ifndef RF_PV_TRANS_H
#define RF_PV_TRANS_H

#include "core/pv/pv.h"

struct trans_def;

enum trans_param_kind { TRANS_P_STR, TRANS_P_NUM, TRANS_P_PV };
struct trans_param {
	enum trans_param_kind kind;
	struct str s;
	int64_t i;
	struct pv_spec *pv;
};
struct pv_trans {
	const struct trans_def *def;
	unsigned n_params;
	struct trans_param param[4];
	struct str raw_params; /* text behind the first ',' */
	void *data;            /* prepared at load */
	struct pv_trans *next;
};

/* v: in and out. Return 0 or < 0: the whole variable is undefined. */
typedef int trans_fn(struct ctx *ctx, const struct pv_trans *t, struct value *v);
struct trans_def {
	const char *cls;      /* "s" */
	const char *name;     /* "len"; functions are case-insensitive */
	trans_fn *fn;
	uint8_t min_params, max_params;
	bool null_ok;         /* takes null input */
	bool comma_ok;        /* a parameter may be a lone ',' ({s.select,1,,}) */
	bool raw;             /* params are not split: raw_params only ({re.subst,...}) */
	int (*prepare)(struct pool *pool, struct pv_trans *t, struct diag *reterr); /* may be NULL */
	intptr_t arg;
};

MUST_CHECK int trans_register(const struct trans_def *table); /* ends with cls NULL */
/* Parses "{a.b,c}{...}" at the start of text, which lives as long as the pool. */
MUST_CHECK int trans_parse(struct pool *pool, struct str text, struct pv_trans **ret_trans, size_t *ret_len, struct diag *reterr);
/* Runs a chain over *v. Returns 0 or < 0: undefined. */
MUST_CHECK int trans_apply(struct ctx *ctx, const struct pv_trans *t, struct value *v);
/* Parameter values at run time. A variable that is null fails. */
MUST_CHECK int trans_param_str(struct ctx *ctx, const struct trans_param *p, struct str *ret);
MUST_CHECK int trans_param_int(struct ctx *ctx, const struct trans_param *p, int64_t *ret);

#endif
