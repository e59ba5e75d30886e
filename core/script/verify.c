/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves that code cannot leave its tables, its route or its operand stack, whatever the values are: each instruction's
 * operands are in range, jumps stay in the route, and every path reaches an instruction with the same stack depth. The
 * machine checks none of this again.
 */
#include "core/script/script_priv.h"

#include <stdlib.h>

#define DEPTH_UNKNOWN 0xffffu
#define DEPTH_MAX 4096u

static const struct op_row {
	const char *name, *operands;
	int pops, pushes;
} rows[] = {
#define OP(name, operands, pops, pushes, meaning) { #name, operands, pops, pushes },
#include "core/script/opcodes.def"
#undef OP
};

const char *opcode_name(unsigned op)
{
	return op < ARRAY_LEN(rows) ? rows[op].name : "?";
}

struct verifier {
	const struct vm_code *code;
	const struct route_code *route;
	uint16_t *depth;  /* of each instruction of the route */
	uint32_t *todo;
	uint32_t n_todo;
	unsigned max;
	struct diag *reterr;
};

static int bad(struct verifier *v, uint32_t at, const char *what)
{
	return diag_set(v->reterr, at, "instruction %u: %s", at, what);
}

static bool operand_in_range(const struct verifier *v, char kind, int64_t x)
{
	const struct vm_code *c = v->code;

	switch (kind) {
	case 'K': return x >= 0 && x < c->n_consts;
	case 'V': return x >= 0 && x < c->n_pvs && c->pvs[x];
	case 'F': return x >= 0 && x < c->n_calls && c->calls[x].fn && c->calls[x].n <= SCRIPT_PARAMS_MAX && c->calls[x].n_stack <= c->calls[x].n;
	case 'R': return x >= 0 && x < c->n_routes;
	case 'X': return x >= 0 && x < c->n_regexes && c->regexes[x];
	case 'S': return x >= 0 && x < c->n_switches;
	case 'I': return x >= 0 && x < c->n_ips;
	case 'J': return x >= v->route->entry && x < v->route->end;
	case 'M': return x >= CALL_STMT && x <= CALL_RAW;
	case 'O': return x >= 0 && x < C_N;
	case 'P': return x > O_NONE && x <= O_STREMPTY;
	default: return true;
	}
}

static int flow(struct verifier *v, uint32_t from, int64_t to, unsigned depth)
{
	uint16_t *d;

	if (to < v->route->entry || to >= v->route->end)
		return bad(v, from, "leaves its route");
	if (depth > DEPTH_MAX)
		return bad(v, from, "operand stack too deep");
	d = &v->depth[to - v->route->entry];
	if (*d == DEPTH_UNKNOWN) {
		*d = (uint16_t)depth;
		v->todo[v->n_todo++] = (uint32_t)to;
		if (depth > v->max)
			v->max = depth;
		return 0;
	}
	return *d == depth ? 0 : bad(v, from, "paths meet with different stack depths");
}

static int call_sound(struct verifier *v, uint32_t at, const struct call *c)
{
	unsigned i, on_stack = 0;

	for (i = 0; i < c->n; i++) {
		switch (c->mode[i]) {
		case ARG_READY: break;
		case ARG_FMT:
		case ARG_FMT_INT:
			if (!c->fmt[i])
				return bad(v, at, "argument without its format");
			break;
		case ARG_PV_INT:
			if (!c->pv[i])
				return bad(v, at, "argument without its variable");
			break;
		case ARG_FIXUP:
			if (!c->func || !c->func->fixup)
				return bad(v, at, "argument without its fixup");
			on_stack++;
			break;
		case ARG_VALUE_S:
		case ARG_VALUE_I:
		case ARG_REGEX:
		case ARG_SUBST:
			on_stack++;
			break;
		default: return bad(v, at, "unknown kind of argument");
		}
	}
	return on_stack == c->n_stack ? 0 : bad(v, at, "arguments on the stack miscounted");
}

/* Instructions that give up when their value is of no use: those that jump to `expr_failed` in the machine. */
static bool may_fail(enum opcode op)
{
	switch (op) {
	case OP_UNARY:
	case OP_BINARY:
	case OP_BOOL:
	case OP_AND:
	case OP_OR:
	case OP_MATCH:
	case OP_CMATCH:
	case OP_CCMP:
	case OP_JLE0:
	case OP_JF:
	case OP_CALL:
	case OP_CALLV:
	case OP_ROUTED:
	case OP_ROUTEDV:
	case OP_RET:
	case OP_EXIT:
	case OP_DROP: return true;
	default: return false;
	}
}

static bool in_fail_range(const struct vm_code *c, uint32_t at)
{
	for (uint32_t k = 0; k < c->n_fails; k++)
		if (at >= c->fails[k].from && at < c->fails[k].to)
			return true;
	return false;
}

/* An instruction that fails outside of all ranges is left out, and the operand stack emptied; a call that has nothing there leaves it alone. */
static int flow_unguarded(struct verifier *v, uint32_t at, unsigned depth)
{
	const struct insn *i = &v->code->insns[at];

	if (!may_fail((enum opcode)i->op) || in_fail_range(v->code, at))
		return 0;
	return flow(v, at, at + 1, i->op == OP_CALL && v->code->calls[i->c].n_stack == 0 ? depth : 0);
}

static int step(struct verifier *v, uint32_t at)
{
	const struct insn *i = &v->code->insns[at];
	const struct op_row *row;
	unsigned depth = v->depth[at - v->route->entry], pops;
	uint32_t k;
	int err;

	if (i->op >= OP_N)
		return bad(v, at, "unknown");
	row = &rows[i->op];
	if (!operand_in_range(v, row->operands[0], i->a) || !operand_in_range(v, row->operands[1], i->b) ||
	    !operand_in_range(v, row->operands[2], i->c))
		return bad(v, at, "operand out of range");
	pops = row->pops < 0 ? v->code->calls[i->c].n_stack : (unsigned)row->pops;
	if (row->pops < 0) {
		err = call_sound(v, at, &v->code->calls[i->c]);
		if (err < 0)
			return err;
	}
	if (depth < pops)
		return bad(v, at, "operand stack underflow");
	err = flow_unguarded(v, at, depth);
	if (err < 0)
		return err;
	depth = depth - pops + (unsigned)row->pushes;
	if (depth > v->max)
		v->max = depth;
	switch (i->op) {
	case OP_RET:
	case OP_RETI:
	case OP_EXIT:
	case OP_EXITI:
	case OP_DROP:
	case OP_DROPI:
	case OP_BRK:
	case OP_END:
		return 0;
	case OP_JMP:
		return flow(v, at, i->c, depth);
	case OP_AND:
	case OP_OR:
		/* jumping leaves the result, going on does not */
		err = flow(v, at, i->c, depth);
		return err < 0 ? err : flow(v, at, at + 1, depth - 1);
	case OP_SWITCH: {
		const struct switch_table *t = &v->code->switches[i->c];

		err = flow(v, at, t->otherwise, depth);
		for (k = 0; k < t->n && err == 0; k++)
			err = flow(v, at, t->cases[k].target, depth);
		return err;
	}
	case OP_JF:
	case OP_JLE0:
	case OP_LOOP:
		err = flow(v, at, i->c, depth);
		return err < 0 ? err : flow(v, at, at + 1, depth);
	default:
		return flow(v, at, at + 1, depth);
	}
}

/* Code that an expression reaches by failing: the depth there is given, and must be no more than at the failing place. */
static int flow_fails(struct verifier *v)
{
	const struct vm_code *c = v->code;
	uint32_t k, at;
	int err;

	for (k = 0; k < c->n_fails; k++) {
		const struct fail_range *f = &c->fails[k];
		bool reached = false;

		if (f->to <= v->route->entry || f->from >= v->route->end)
			continue;
		if (f->from < v->route->entry || f->to > v->route->end)
			return bad(v, f->from, "range of failure leaves its route");
		for (at = f->from; at < f->to; at++) {
			uint16_t d = v->depth[at - v->route->entry];

			if (d == DEPTH_UNKNOWN)
				continue;
			reached = true;
			if (d < f->depth)
				return bad(v, at, "failing here would grow the stack");
		}
		if (reached) {
			err = flow(v, f->from, f->target, f->depth);
			if (err < 0)
				return err;
		}
	}
	return 0;
}

static int verify_route(struct verifier *v, struct route_code *route)
{
	uint32_t n, i;
	int err;

	if (route->entry >= route->end || route->end > v->code->n_insns)
		return bad(v, route->entry, "route outside of the code");
	n = route->end - route->entry;
	v->route = route;
	v->max = 0;
	v->n_todo = 0;
	v->depth = malloc(n * sizeof(*v->depth));
	v->todo = malloc(n * sizeof(*v->todo));
	err = v->depth && v->todo ? 0 : -ENOMEM;
	for (i = 0; i < n && err == 0; i++)
		v->depth[i] = DEPTH_UNKNOWN;
	if (err == 0)
		err = flow(v, route->entry, route->entry, 0);
	while (err == 0) {
		while (err == 0 && v->n_todo > 0)
			err = step(v, v->todo[--v->n_todo]);
		if (err == 0)
			err = flow_fails(v);
		if (v->n_todo == 0)
			break;
	}
	route->max_depth = (uint16_t)v->max;
	free(v->depth);
	free(v->todo);
	return err;
}

int script_verify(struct vm_code *code, struct diag *reterr)
{
	struct verifier v = { .code = code, .reterr = reterr };
	uint32_t i;
	int err = 0;

	/* the machine finds them by halving */
	for (i = 0; i < code->n_fails; i++)
		if (code->fails[i].from >= code->fails[i].to || (i && code->fails[i].from < code->fails[i - 1].to))
			return bad(&v, code->fails[i].from, "ranges of failure out of order");
	for (i = 0; i < code->n_routes && err == 0; i++)
		err = verify_route(&v, &code->routes[i]);
	return err;
}
