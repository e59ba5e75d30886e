/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checked tree to code. Every expression leaves one value on the operand stack. An expression that fails while running
 * goes on elsewhere: the range of its instructions is noted with the place to go to, so that the good case costs nothing.
 * Those places are stubs behind the route's code.
 */
#include <stdlib.h>

#include "core/base/regex.h"
#include "core/script/compiler_priv.h"

struct jump_list {
	uint32_t at[256];
	uint32_t n;
};

/* ---- expressions ---- */

static void gen_expr(struct compiler *c, struct node *n, enum call_mode mode);
static void gen_block(struct compiler *c, struct node *block);

static void gen_const(struct compiler *c, const struct value *v)
{
	code_emit(c, OP_CONST, 0, 0, code_const(c, v));
}

static void gen_pv_index(struct compiler *c, enum opcode op, unsigned a, struct node *n)
{
	VEC_ADD(c, &c->pvs, n->pv);
	code_emit(c, op, a, 0, c->pvs.n - 1);
}

static uint32_t add_regex(struct compiler *c, struct node *n)
{
	const struct regex *re = NULL;
	struct diag why;

	if (script_regex(c->ld, n->text, REGEX_ICASE, &re, &why) < 0)
		load_error(c->ld, n->pos, "%s", why.text);
	VEC_ADD(c, &c->regexes, re);
	return c->regexes.n - 1;
}

static bool tracing;

void script_trace(void)
{
	tracing = true;
}

static void gen_trace(struct compiler *c, struct pos at, enum script_action action, struct str name, unsigned n_args)
{
	struct value v = value_str(name);

	if (!tracing)
		return;
	c->at = at;
	code_emit(c, OP_TRACE, (unsigned)action, n_args, code_const(c, &v));
}

static void gen_call(struct compiler *c, struct node *n, enum opcode op, enum call_mode mode)
{
	struct call *call = n->call; /* errors would have ended before this */
	struct node *a;
	unsigned i = 0;

	gen_trace(c, n->pos, call->is_core ? SA_CORE : SA_CALL, str_lit(call->func->name), call->n);

	for (a = n->args; a; a = a->next, i++)
		if (call->mode[i] == ARG_VALUE_S || call->mode[i] == ARG_VALUE_I || call->mode[i] == ARG_REGEX ||
		    call->mode[i] == ARG_SUBST || call->mode[i] == ARG_FIXUP)
			gen_expr(c, a, CALL_VALUE);
	c->at = n->pos;
	VEC_ADD(c, &c->calls, *call);
	code_emit(c, op, mode, 0, c->calls.n - 1);
}

static int route_index(const struct compiler *c, struct str name)
{
	const struct route_src *r;

	for (r = c->parsed->routes; r; r = r->next)
		if (r->kind == CTX_REQUEST && r->name.n > 0 && str_eq(r->name, name))
			return r->index;
	return -1;
}

static void gen_route(struct compiler *c, struct node *n, bool value, enum call_mode mode)
{
	unsigned depth = c->depth > 255 ? 255 : c->depth;

	gen_trace(c, n->pos, SA_ROUTE, STR_NULL, 1);
	if (n->a->kind == N_STR) {
		int index = route_index(c, n->a->text);

		c->at = n->pos;
		if (index < 0)
			load_error(c->ld, n->pos, "no route '%.*s'", STR_FMT(n->a->text));
		else
			code_emit(c, value ? OP_ROUTEV : OP_ROUTE, mode, depth, index);
		return;
	}
	gen_expr(c, n->a, CALL_VALUE);
	c->at = n->pos;
	code_emit(c, value ? OP_ROUTEDV : OP_ROUTED, mode, depth, 0);
}

static uint32_t add_block(struct compiler *c, struct node *block)
{
	struct block_todo todo = { .block = block, .kind = c->kind, .name = c->route_name };

	VEC_ADD(c, &c->blocks, todo);
	return c->parsed->n_routes + c->blocks.n - 1;
}

static void gen_cond(struct compiler *c, struct node *n)
{
	bool differs = n->num == O_NE;
	struct ip_const ip;

	if (n->a->kind == N_MYSELF) {
		code_emit(c, OP_MYSELF, n->op, differs, 0);
	} else if (COND_IS_IP(n->op)) {
		if ((n->a->kind == N_IPCONST || n->a->kind == N_STR) && cond_addr_known_text(n->a->text, &ip)) {
			VEC_ADD(c, &c->ips, ip);
			code_emit(c, OP_CIP, n->op, differs, c->ips.n - 1);
			return;
		}
		gen_expr(c, n->a, CALL_VALUE);
		code_emit(c, OP_CIPV, n->op, differs, n->num == O_MATCH);
	} else if (n->num == O_MATCH && n->a->kind == N_STR) {
		code_emit(c, OP_COND, n->op, 0, 0);
		code_emit(c, OP_CMATCH, 0, 0, add_regex(c, n->a));
	} else {
		code_emit(c, OP_COND, n->op, 0, 0);
		gen_expr(c, n->a, CALL_VALUE);
		code_emit(c, OP_CCMP, (unsigned)n->num, 0, 0);
	}
}

static void gen_binary(struct compiler *c, struct node *n)
{
	uint32_t jump;

	gen_expr(c, n->a, CALL_VALUE);
	if (n->op == O_AND || n->op == O_OR) {
		c->at = n->pos;
		jump = code_emit(c, n->op == O_AND ? OP_AND : OP_OR, 0, 0, 0);
		gen_expr(c, n->b, CALL_VALUE);
		code_emit(c, OP_BOOL, 0, 0, 0);
		code_patch(c, jump, code_here(c));
		return;
	}
	if (n->op == O_MATCH && n->b->kind == N_STR) {
		c->at = n->pos;
		code_emit(c, OP_MATCH, 0, 0, add_regex(c, n->b));
		return;
	}
	gen_expr(c, n->b, CALL_VALUE);
	c->at = n->pos;
	code_emit(c, OP_BINARY, n->op, 0, 0);
}

static void gen_unary(struct compiler *c, struct node *n)
{
	gen_expr(c, n->a, CALL_VALUE);
	c->at = n->pos;
	if (n->op == O_DEFINED) {
		if (n->a->kind != N_PV && n->a->kind != N_NULL) {
			struct value one = value_int(1); /* what is computed counts as defined */

			code_emit(c, OP_POP, 0, 0, 0);
			gen_const(c, &one);
		} else {
			code_emit(c, OP_DEFINED, 0, 0, 0);
		}
		return;
	}
	code_emit(c, OP_UNARY, n->op, 0, 0);
}

static void gen_expr(struct compiler *c, struct node *n, enum call_mode mode)
{
	uint32_t jump, end;
	struct value v;

	c->at = n->pos;
	switch (n->kind) {
	case N_NUM:
		v = value_int(n->num);
		gen_const(c, &v);
		break;
	case N_STR:
		v = value_str(n->text);
		gen_const(c, &v);
		break;
	case N_NULL:
		v = value_null();
		gen_const(c, &v);
		break;
	case N_PV:
		gen_pv_index(c, OP_PV, 0, n);
		break;
	case N_UNARY:
		gen_unary(c, n);
		break;
	case N_BINARY:
		gen_binary(c, n);
		break;
	case N_CALL:
		gen_call(c, n, OP_CALLV, mode);
		break;
	case N_ROUTE:
		gen_route(c, n, true, mode);
		break;
	case N_BLOCKEXPR:
		code_emit(c, OP_ROUTEV, mode, c->depth > 255 ? 255 : c->depth, add_block(c, n->a));
		break;
	case N_ASSIGNEXPR:
		gen_expr(c, n->b, CALL_RAW);
		c->at = n->pos;
		gen_pv_index(c, OP_STOREX, mode, n->a);
		break;
	case N_COND:
		gen_cond(c, n);
		break;
	case N_SELVAL:
		gen_expr(c, n->a, CALL_VALUE);
		jump = code_emit(c, OP_JLE0, 0, 0, 0);
		gen_expr(c, n->b, CALL_VALUE);
		end = code_emit(c, OP_JMP, 0, 0, 0);
		code_patch(c, jump, code_here(c));
		gen_expr(c, n->c, CALL_VALUE);
		code_patch(c, end, code_here(c));
		break;
	default:
		load_error(c->ld, n->pos, "this cannot be a value");
		break;
	}
}

/* ---- statements ---- */

static void scope_begin(struct compiler *c, struct scope *s)
{
	*s = (struct scope){ .up = c->scope };
	c->scope = s;
}

static void scope_end(struct compiler *c, struct scope *s, uint32_t target)
{
	uint32_t i, *at = s->breaks.p;

	for (i = 0; i < s->breaks.n; i++)
		code_patch(c, at[i], target);
	free(s->breaks.p);
	c->scope = s->up;
}

static void gen_if(struct compiler *c, struct node *n)
{
	uint32_t from = code_here(c), jump, end, range;

	gen_expr(c, n->a, CALL_VALUE);
	jump = code_emit(c, OP_JF, 0, 0, 0);
	range = code_range(c, from, 0);
	c->depth++;
	gen_block(c, n->b);
	end = code_emit(c, OP_JMP, 0, 0, 0);
	code_patch(c, jump, code_here(c));
	code_range_target(c, range, code_here(c));
	if (n->c)
		gen_block(c, n->c);
	else
		code_emit(c, OP_CODE, 0, 0, 1);
	c->depth--;
	code_patch(c, end, code_here(c));
}

static void gen_while(struct compiler *c, struct node *n)
{
	struct value zero = value_int(0);
	uint32_t top, jump, loop, range;
	struct scope s;

	code_emit(c, OP_CODE, 0, 0, 1);
	gen_const(c, &zero);
	c->loops++;
	c->depth++;
	scope_begin(c, &s);
	top = code_here(c);
	gen_expr(c, n->a, CALL_VALUE);
	jump = code_emit(c, OP_JF, 0, 0, 0);
	range = code_range(c, top, 0);
	loop = code_emit(c, OP_LOOP, 0, 0, 0);
	gen_block(c, n->b);
	code_emit(c, OP_JMP, 0, 0, top);
	code_patch(c, jump, code_here(c));
	code_patch(c, loop, code_here(c));
	code_range_target(c, range, code_here(c));
	scope_end(c, &s, code_here(c));
	code_emit(c, OP_POP, 0, 0, 0);
	c->depth--;
	c->loops--;
}

static int case_order(const void *a, const void *b)
{
	const struct switch_case *x = a, *y = b;

	return x->i < y->i ? -1 : x->i > y->i;
}

static void gen_switch(struct compiler *c, struct node *n)
{
	struct switch_table t = { .text = n->type == TY_STR };
	uint32_t from, range, index, k = 0;
	struct node *label;
	struct scope s;
	bool otherwise = false;

	code_emit(c, OP_CODE, 0, 0, 1);
	from = code_here(c);
	gen_expr(c, n->a, CALL_VALUE);
	for (label = n->args; label; label = label->next)
		t.n += label->a != NULL;
	t.cases = pool_zalloc(c->ld->keep, (t.n + 1) * sizeof(*t.cases));
	if (!t.cases) {
		load_error(c->ld, n->pos, "out of memory");
		return;
	}
	VEC_ADD(c, &c->switches, t);
	index = c->switches.n - 1;
	code_emit(c, OP_SWITCH, 0, 0, index);
	range = code_range(c, from, 0);
	scope_begin(c, &s);
	c->depth++;
	for (label = n->args; label; label = label->next) {
		c->at = label->pos;
		if (!label->a) {
			otherwise = true;
			t.otherwise = code_here(c);
		} else {
			struct switch_case *one = &t.cases[k++];

			one->i = label->a->num;
			one->s = label->a->text;
			one->target = code_here(c);
			if (label->flag) {
				struct diag why;

				if (script_regex(c->ld, label->a->text, 0, &one->re, &why) < 0)
					load_error(c->ld, label->a->pos, "%s", why.text);
			}
		}
		gen_block(c, label->b);
	}
	c->depth--;
	/* no default: past the end */
	if (!otherwise)
		t.otherwise = code_here(c);
	scope_end(c, &s, code_here(c));
	code_range_target(c, range, t.otherwise);
	if (!t.text && t.n > 1)
		qsort(t.cases, t.n, sizeof(*t.cases), case_order);
	if (!c->failed)
		((struct switch_table *)c->switches.p)[index] = t;
}

static void gen_ret(struct compiler *c, struct node *n, enum opcode op, enum opcode op_const, int32_t normal)
{
	uint32_t from = code_here(c);

	if (!n->a || n->a->kind == N_NUM) {
		code_emit(c, op_const, 0, 0, n->a ? n->a->num : normal);
		return;
	}
	gen_expr(c, n->a, CALL_VALUE);
	code_emit(c, op, 0, 0, 0);
	code_range(c, from, code_here(c));
	code_emit(c, op_const, 0, 0, 0);
}

static void gen_break(struct compiler *c)
{
	uint32_t jump;

	if (!c->scope) {
		code_emit(c, OP_BRK, 0, 0, 0);
		return;
	}
	code_emit(c, OP_CODE, 0, 0, 0);
	jump = code_emit(c, OP_JMP, 0, 0, 0);
	VEC_ADD(c, &c->scope->breaks, jump);
}

static void trace_stmt(struct compiler *c, const struct node *n)
{
	static const struct {
		enum node_kind kind;
		enum script_action action;
	} actions[] = { { N_ASSIGN, SA_ASSIGN }, { N_IF, SA_IF }, { N_WHILE, SA_WHILE }, { N_SWITCH, SA_SWITCH }, { N_RETURN, SA_RETURN },
			{ N_EXIT, SA_EXIT }, { N_DROP, SA_DROP }, { N_BREAK, SA_BREAK } };

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (n->kind == actions[i].kind)
			gen_trace(c, n->pos, actions[i].action, STR_NULL, 0);
}

static void gen_stmt(struct compiler *c, struct node *n)
{
	uint32_t from;

	trace_stmt(c, n);
	from = code_here(c);
	c->at = n->pos;
	switch (n->kind) {
	case N_BLOCK:
		gen_block(c, n);
		break;
	case N_EXPRSTMT:
		if (n->a->kind == N_ROUTE)
			gen_route(c, n->a, false, CALL_STMT);
		else
			gen_call(c, n->a, OP_CALL, CALL_STMT);
		if (code_here(c) > from + 1)
			code_on_fail(c, from, -1);
		break;
	case N_ASSIGN:
		gen_expr(c, n->b, CALL_RAW);
		c->at = n->pos;
		if (tracing)
			gen_pv_index(c, OP_TRACESET, 0, n->a);
		gen_pv_index(c, OP_STORE, 0, n->a);
		/* a constant or a variable cannot fail */
		if (code_here(c) > from + 2 || (!c->failed && code_insn_at(c, from)->op == OP_CALLV))
			code_on_fail(c, from, -1);
		break;
	case N_IF:
		gen_if(c, n);
		break;
	case N_WHILE:
		gen_while(c, n);
		break;
	case N_SWITCH:
		gen_switch(c, n);
		break;
	case N_RETURN:
		gen_ret(c, n, OP_RET, OP_RETI, 1);
		break;
	case N_EXIT:
		gen_ret(c, n, OP_EXIT, OP_EXITI, 1);
		break;
	case N_DROP:
		gen_ret(c, n, OP_DROP, OP_DROPI, 0);
		break;
	case N_BREAK:
		gen_break(c);
		break;
	default:
		load_error(c->ld, n->pos, "this cannot be a statement");
		break;
	}
}

static void gen_block(struct compiler *c, struct node *block)
{
	struct node *n;

	if (!block->args)
		code_emit(c, OP_CODE, 0, 0, 1);
	for (n = block->args; n && !c->failed && !c->ld->stop; n = n->next)
		gen_stmt(c, n);
}

static void gen_routine(struct compiler *c, struct node *block, enum ctx_kind kind, struct str name, bool is_block)
{
	struct route_code r = { .kind = kind, .name = name, .entry = code_here(c), .is_block = is_block };
	struct stub *stubs;
	uint32_t i;

	c->kind = kind;
	c->route_name = name;
	c->loops = c->depth = 0;
	c->stubs.n = 0;
	gen_block(c, block);
	c->at = block->end;
	code_emit(c, OP_END, 0, 0, 0);
	stubs = c->stubs.p;
	for (i = 0; i < c->stubs.n && !c->failed; i++) {
		code_range_target(c, stubs[i].range, code_here(c));
		code_emit(c, OP_CODE, 0, 0, stubs[i].code);
		code_emit(c, OP_JMP, 0, 0, stubs[i].resume);
	}
	r.end = code_here(c);
	VEC_ADD(c, &c->routes, r);
}

struct compiler *compiler_new(struct loader *ld, struct parsed *parsed)
{
	struct compiler *c = pool_zalloc(ld->pool, sizeof(*c));

	if (!c)
		return NULL;
	c->ld = ld;
	c->parsed = parsed;
	c->stage = STAGE_CHECK;
	c->next_route = parsed->routes;
	return c;
}

/* The code is whole. */
static void finish(struct compiler *c)
{
	struct diag why = { 0 };

	if (c->ld->n_errors > 0 || c->failed)
		return;
	code_store(c);
	if (c->ld->n_errors == 0 && script_verify(&c->ld->script->code, &why) < 0)
		load_error(c->ld, c->at, "the compiled script does not verify: %s", why.text);
}

bool compiler_step(struct compiler *c)
{
	struct route_src *r = c->next_route;

	if (c->ld->stop || c->failed)
		return false;
	switch (c->stage) {
	case STAGE_CHECK:
		if (r) {
			check_route(c->ld, c->parsed, r);
			break;
		}
		if (c->ld->n_errors > 0)
			return false;
		c->stage = STAGE_ROUTES;
		c->next_route = c->parsed->routes;
		return true;
	case STAGE_ROUTES:
		if (r) {
			gen_routine(c, r->body, r->kind, r->name, false);
			break;
		}
		c->stage = STAGE_BLOCKS;
		return true;
	default:
		if (c->next_block < c->blocks.n) {
			struct block_todo todo = ((struct block_todo *)c->blocks.p)[c->next_block++];

			gen_routine(c, todo.block, todo.kind, todo.name, true);
			return true;
		}
		finish(c);
		return false;
	}
	c->next_route = r->next;
	return true;
}
