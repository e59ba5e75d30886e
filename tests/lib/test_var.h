/* SPDX-License-Identifier: BSD-2-Clause */
/* $var(name) for tests of the layers below module pv: get, set and prepare over the slots of core/pv. */
#ifndef RF_TESTS_VAR_H
#define RF_TESTS_VAR_H

#include <errno.h>

#include "core/pv/pv.h"

static inline int var_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	int slot = pv_var_slot(pool, spec->inner);

	if (slot < 0)
		return diag_err(reterr, slot, 0, "too many variables");
	spec->arg = slot;
	return 0;
}

static inline int var_get(struct ctx *c, const struct pv_spec *spec, struct value *ret)
{
	const struct value *v = pv_var_at(c, (int)spec->arg);

	if (!v)
		return -ENOMEM;
	*ret = *v;
	return 0;
}

static inline int var_set(struct ctx *c, const struct pv_spec *spec, const struct value *v)
{
	struct value *at = pv_var_at(c, (int)spec->arg);

	if (!at)
		return -ENOMEM;
	*at = v->kind == VALUE_NULL ? value_int(0) : *v;
	return 0;
}

#endif
