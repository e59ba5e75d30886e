/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * $var and $vn: names are numbered, so that a run keeps its values in one array, made from a template of first values on first use. A
 * number is held by the pool in which its name was mentioned (the script's, the message's): when the last one is gone so is the name,
 * and its number serves another name of the same kind, whose first value is the same. So an array that was made before needs no
 * mending: what stands there under the number is untouched, since no run outlives the pools of what it runs.
 */
#include "core/pv/pv.h"

#include <errno.h>
#include <stdlib.h>

#define VARS_MAX 4096u
#define FOR_EVER UINT32_MAX

struct var {
	struct str name; /* s NULL: free */
	bool is_vn;
	uint32_t n_holds;
};

/* Made before forking, except for names that a reload or a text built at run time brings. */
static struct {
	struct var *var;
	struct value *first; /* by slot: the template */
	unsigned n, cap;     /* n only grows: arrays of runs are as long */
} vars;

static int grow(void)
{
	unsigned cap = vars.cap ? vars.cap * 2 : 64;
	void *p = realloc(vars.first, cap * sizeof(*vars.first));

	if (!p)
		return -ENOMEM;
	vars.first = p;
	p = realloc(vars.var, cap * sizeof(*vars.var));
	if (!p)
		return -ENOMEM;
	vars.var = p;
	vars.cap = cap;
	return 0;
}

/* The slot of the name, else a free one of its kind, else a new one. */
static int find(struct str name, bool is_vn)
{
	int unused = -1;

	for (unsigned i = 0; i < vars.n; i++) {
		const struct var *v = &vars.var[i];

		if (v->is_vn != is_vn)
			continue;
		if (v->name.s && str_eq(v->name, name))
			return (int)i;
		if (!v->name.s && unused < 0)
			unused = (int)i;
	}
	if (unused >= 0)
		return unused;
	if (vars.n == VARS_MAX)
		return -ENOSPC;
	if (vars.n == vars.cap && grow() < 0)
		return -ENOMEM;
	vars.var[vars.n] = (struct var){ .is_vn = is_vn };
	vars.first[vars.n] = is_vn ? value_null() : value_int(0);
	return (int)vars.n++;
}

static void let_go(void *arg)
{
	struct var *v = &vars.var[(uintptr_t)arg];

	if (v->n_holds == FOR_EVER || --v->n_holds > 0)
		return;
	free((char *)(uintptr_t)v->name.s);
	v->name = STR_NULL;
}

static int slot_of(struct pool *pool, struct str name, bool is_vn)
{
	int slot = find(name, is_vn);
	struct var *v;

	if (slot < 0)
		return slot;
	v = &vars.var[slot];
	if (!v->name.s) {
		v->name = str_heap_dup(name);
		if (!v->name.s)
			return -ENOMEM;
		v->n_holds = 0;
	}
	if (!pool)
		v->n_holds = FOR_EVER;
	if (v->n_holds == FOR_EVER)
		return slot;
	v->n_holds++;
	if (pool_on_end(pool, let_go, (void *)(uintptr_t)slot) < 0) {
		let_go((void *)(uintptr_t)slot);
		return -ENOMEM;
	}
	return slot;
}

int pv_var_slot(struct pool *pool, struct str name)
{
	return slot_of(pool, name, false);
}

int pv_vn_slot(struct pool *pool, struct str name)
{
	return slot_of(pool, name, true);
}

int pv_var_default(struct str name, const struct value *v)
{
	int slot = pv_var_slot(NULL, name);
	struct value copy = *v;

	if (slot < 0)
		return slot;
	if (v->kind == VALUE_STR) {
		copy.s = str_heap_dup(v->s);
		if (!copy.s.s)
			return -ENOMEM;
	}
	vars.first[slot] = copy; /* an earlier text is kept: runs may still view it */
	return 0;
}

bool pv_var_name(int slot, struct str *ret_name, bool *ret_vn)
{
	if (slot < 0 || (unsigned)slot >= vars.n)
		return false;
	*ret_name = vars.var[slot].name;
	*ret_vn = vars.var[slot].is_vn;
	return true;
}

struct value *pv_var_at(struct ctx *ctx, int slot)
{
	if (UNLIKELY(slot < 0 || (unsigned)slot >= vars.n))
		return NULL;
	if (UNLIKELY((unsigned)slot >= ctx->n_vars)) {
		struct value *mine = pool_alloc(ctx->pool, vars.n * sizeof(*mine));

		if (!mine)
			return NULL;
		if (ctx->n_vars > 0)
			memcpy(mine, ctx->vars, ctx->n_vars * sizeof(*mine));
		memcpy(mine + ctx->n_vars, vars.first + ctx->n_vars, (vars.n - ctx->n_vars) * sizeof(*mine));
		ctx->vars = mine;
		ctx->n_vars = vars.n;
	}
	return &ctx->vars[slot];
}
