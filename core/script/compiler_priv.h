/* SPDX-License-Identifier: BSD-2-Clause */
/* What compiler.c (from the tree to instructions) and compiler_code.c (where they are gathered) share. Nobody else includes it. */
#ifndef RF_SCRIPT_COMPILER_PRIV_H
#define RF_SCRIPT_COMPILER_PRIV_H

#include "core/script/script_priv.h"

struct vec {
	void *p;
	uint32_t n, cap;
};

struct stub { /* behind the route: set a code and go on */
	uint32_t range, resume;
	int32_t code;
};

struct scope { /* innermost loop or switch */
	struct scope *up;
	struct vec breaks; /* uint32_t: JMPs to patch */
};

struct block_todo {
	struct node *block;
	enum ctx_kind kind;
	struct str name;
};

struct compiler {
	struct loader *ld;
	struct parsed *parsed;
	struct vec insns, pos, consts, pvs, calls, regexes, switches, ips, fails, routes, stubs, blocks;
	struct scope *scope;
	unsigned loops;  /* loop counters on the operand stack */
	unsigned depth;  /* blocks around */
	enum ctx_kind kind;
	struct str route_name;
	struct pos at;
	bool failed;
	/* where compiler_step() goes on */
	enum { STAGE_CHECK, STAGE_ROUTES, STAGE_BLOCKS } stage;
	struct route_src *next_route;
	uint32_t next_block;
};

/* Adds a copy of one item. Returns it, valid until the next one; NULL without memory, and the compiler has failed. */
void *code_vec_add(struct compiler *c, struct vec *v, const void *item, size_t size);
#define VEC_ADD(c, v, item) code_vec_add((c), (v), &(item), sizeof(item))

static inline struct insn *code_insn_at(struct compiler *c, uint32_t i)
{
	return (struct insn *)c->insns.p + i;
}

/* Where the next instruction will be. */
static inline uint32_t code_here(const struct compiler *c)
{
	return c->insns.n;
}

/* Adds an instruction of the place in the script that c->at says. Returns its index. */
uint32_t code_emit(struct compiler *c, enum opcode op, unsigned a, unsigned b, int64_t operand);
/* Says where a jump goes whose target was not known yet. */
void code_patch(struct compiler *c, uint32_t jump, uint32_t target);
/* Index of a constant; equal ones share it. */
uint32_t code_const(struct compiler *c, const struct value *v);
/* When something from `from` up to here fails, go on at target. Returns an index for code_range_target(), which says it later. */
uint32_t code_range(struct compiler *c, uint32_t from, uint32_t target);
void code_range_target(struct compiler *c, uint32_t range, uint32_t target);
/* When something since `from` fails: set the code and go on here. */
void code_on_fail(struct compiler *c, uint32_t from, int32_t code);
/* All is there: into the script. */
void code_store(struct compiler *c);

#endif
