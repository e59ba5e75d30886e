/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The code while it is made: tables that grow, jumps whose targets come later, and in the end one copy in memory that lives as long as the
 * script. Without memory the compiler is marked as failed; what it does until it looks is kept harmless here.
 */
#include "core/script/compiler_priv.h"

#include <stdlib.h>

void *code_vec_add(struct compiler *c, struct vec *v, const void *item, size_t size)
{
	if (v->n == v->cap) {
		uint32_t cap = v->cap ? v->cap * 2 : 64;
		void *p = realloc(v->p, cap * size);

		if (!p) {
			if (!c->failed)
				load_error(c->ld, c->at, "out of memory");
			c->failed = true;
			return NULL;
		}
		v->p = p;
		v->cap = cap;
	}
	memcpy((char *)v->p + v->n * size, item, size);
	return (char *)v->p + v->n++ * size;
}

uint32_t code_emit(struct compiler *c, enum opcode op, unsigned a, unsigned b, int64_t operand)
{
	struct insn i = { .op = (uint8_t)op, .a = (uint8_t)a, .b = (uint16_t)b, .c = (int32_t)operand };
	struct code_pos pos = { .line = c->at.line, .file = c->at.file };
	uint32_t at = c->insns.n;

	VEC_ADD(c, &c->insns, i);
	VEC_ADD(c, &c->pos, pos);
	return at;
}

void code_patch(struct compiler *c, uint32_t jump, uint32_t target)
{
	if (!c->failed)
		code_insn_at(c, jump)->c = (int32_t)target;
}

uint32_t code_const(struct compiler *c, const struct value *v)
{
	struct value *all = c->consts.p;
	uint32_t i;

	for (i = 0; i < c->consts.n; i++)
		if (all[i].kind == v->kind && all[i].i == v->i && str_eq(all[i].s, v->s))
			return i;
	VEC_ADD(c, &c->consts, *v);
	return c->consts.n - 1;
}

uint32_t code_range(struct compiler *c, uint32_t from, uint32_t target)
{
	struct fail_range r = { .from = from, .to = code_here(c), .target = target, .depth = (uint16_t)c->loops };

	VEC_ADD(c, &c->fails, r);
	return c->fails.n - 1;
}

void code_range_target(struct compiler *c, uint32_t range, uint32_t target)
{
	if (!c->failed)
		((struct fail_range *)c->fails.p)[range].target = target;
}

void code_on_fail(struct compiler *c, uint32_t from, int32_t code)
{
	struct stub s = { .range = code_range(c, from, 0), .resume = code_here(c), .code = code };

	VEC_ADD(c, &c->stubs, s);
}

static void *keep(struct compiler *c, const struct vec *v, size_t size)
{
	void *p = pool_alloc(c->ld->keep, v->n * size + 1);

	if (!p) {
		load_error(c->ld, c->at, "out of memory");
		c->failed = true;
		return NULL;
	}
	if (v->n > 0)
		memcpy(p, v->p, v->n * size);
	return p;
}

#define KEEP(field, vec, count) (code->field = keep(c, &c->vec, sizeof(*code->field)), code->count = c->vec.n)

void code_store(struct compiler *c)
{
	struct vm_code *code = &c->ld->script->code;

	KEEP(insns, insns, n_insns);
	code->pos = keep(c, &c->pos, sizeof(*code->pos));
	KEEP(consts, consts, n_consts);
	KEEP(pvs, pvs, n_pvs);
	KEEP(calls, calls, n_calls);
	KEEP(regexes, regexes, n_regexes);
	KEEP(switches, switches, n_switches);
	KEEP(ips, ips, n_ips);
	KEEP(fails, fails, n_fails);
	KEEP(routes, routes, n_routes);
}

void compiler_done(struct compiler *c)
{
	struct vec *all[] = { &c->insns, &c->pos, &c->consts, &c->pvs, &c->calls, &c->regexes, &c->switches, &c->ips, &c->fails,
			      &c->routes, &c->stubs, &c->blocks };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]->p);
}
