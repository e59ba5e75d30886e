/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine. One run is a list of frames and a stack of operands, both in the message's pool: nothing of it is on the C
 * stack, so a run stops at any call, also deep inside an expression, and goes on in another turn of the loop.
 *
 * How a run ends early: `exit` unwinds frames up to the one that was called from within an expression (it becomes a value
 * there, and the exit happens when the expression is over), up to a route that a function asked for (its continuation
 * gets the code), or up to the top.
 *
 * What the verifier proved is not checked again: operands are in range, the operand stack of a frame is as deep as its
 * route says. Memory for it is made when the frame is pushed.
 */
#include "core/script/vm.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/regex.h"
#include "core/script/script_priv.h"

#define FRAMES_FIRST 8u
#define FRAMES_MAX 2048u /* routes inside routes, whatever max_recursive_level says: expressions begin a fresh count */
#define STACK_FIRST 32u

enum frame_kind { FRAME_TOP, FRAME_ACTION, FRAME_VALUE, FRAME_NESTED };

struct frame {
	const struct insn *ip; /* next instruction */
	uint32_t base;         /* of its operands */
	uint32_t route;
	int32_t code;          /* of the last action */
	uint16_t level;        /* blocks and routes around */
	uint8_t kind, mode;
	/* FRAME_NESTED */
	bool had_exit, had_drop;
	enum ctx_kind saved_kind;
	int (*cont)(struct ctx *ctx, int rc, void *arg);
	void *arg;
};

enum wait { WAIT_NONE, WAIT_CALL, WAIT_RETRY };

struct vm {
	const struct script *script;
	struct frame *frames;
	uint32_t n_frames, frames_cap;
	struct value *stack;
	uint32_t sp, stack_cap;
	enum wait wait;
	uint64_t call_us;  /* when the function at hand was called; 0: it is not timed */
	bool again;        /* the instruction is run again after a park of its own */
	bool exit_pending; /* a call inside the current expression ended the script */
	int exit_code;
	/* what script_call_route() asked for */
	int call_route;
	enum ctx_kind call_kind;
	int (*call_cont)(struct ctx *ctx, int rc, void *arg);
	void *call_arg;
	struct frame frames0[FRAMES_FIRST];
	struct value stack0[STACK_FIRST];
};

static struct {
	struct vm_conf conf;
	vm_action_fn *on_action;
	vm_assign_fn *on_assign;
} self = { .conf = { .max_while_loops = 100, .max_recursive_level = 256 } };

void vm_configure(const struct vm_conf *conf)
{
	self.conf = *conf;
}

void vm_on_action(vm_action_fn *fn)
{
	self.on_action = fn;
}

void vm_on_assign(vm_assign_fn *fn)
{
	self.on_assign = fn;
}

/* ---- positions and messages ---- */

static const struct code_pos *position(const struct vm *vm)
{
	const struct frame *f = &vm->frames[vm->n_frames - 1];
	const struct vm_code *c = &vm->script->code;

	return &c->pos[f->ip > c->insns ? (size_t)(f->ip - c->insns) - 1 : 0];
}

bool vm_position(const struct ctx *ctx, struct str *ret_file, unsigned *ret_line, struct str *ret_route)
{
	const struct vm *vm = ctx->vm;
	const struct code_pos *pos;

	if (!vm || vm->n_frames == 0)
		return false;
	pos = position(vm);
	*ret_file = vm->script->files[pos->file];
	*ret_line = pos->line;
	*ret_route = vm->script->code.routes[vm->frames[vm->n_frames - 1].route].name;
	return true;
}

PRINTF_LIKE(3, 4) static void complain(const struct vm *vm, int level, const char *fmt, ...)
{
	const struct code_pos *pos = position(vm);
	char text[400];
	va_list ap;

	if (!log_on(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_write(level, "%.*s:%u: %s", STR_FMT(vm->script->files[pos->file]), pos->line, text);
}

/* A function that runs a route is not timed: what it calls is. */
static void latency_check(struct vm *vm, const char *name)
{
	uint64_t us = clock_now_us() - vm->call_us;

	vm->call_us = 0;
	if (us >= self.conf.latency_us && log_on(self.conf.latency_level))
		complain(vm, self.conf.latency_level, "alert - action [%s] took too long [%llu us]", name, (unsigned long long)us);
}

/* ---- frames ---- */

static int frame_push(struct ctx *ctx, struct vm *vm, uint32_t route, enum frame_kind kind, enum call_mode mode, unsigned level)
{
	const struct route_code *r = &vm->script->code.routes[route];
	struct frame *f;

	if (vm->n_frames >= FRAMES_MAX)
		return -ELOOP;
	if (vm->n_frames == vm->frames_cap) {
		struct frame *more = pool_alloc(ctx->pool, 2 * vm->frames_cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		memcpy(more, vm->frames, vm->n_frames * sizeof(*more));
		vm->frames = more;
		vm->frames_cap *= 2;
	}
	if (vm->stack_cap - vm->sp < r->max_depth + 1u) {
		uint32_t cap = vm->stack_cap * 2 + r->max_depth + 1u;
		struct value *more = pool_alloc(ctx->pool, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		memcpy(more, vm->stack, vm->sp * sizeof(*more));
		vm->stack = more;
		vm->stack_cap = cap;
	}
	f = &vm->frames[vm->n_frames++];
	f->ip = vm->script->code.insns + r->entry;
	f->base = vm->sp;
	f->route = route;
	f->code = 1;
	f->level = (uint16_t)(level > UINT16_MAX ? UINT16_MAX : level);
	f->kind = (uint8_t)kind;
	f->mode = (uint8_t)mode;
	return 0;
}

/* Field by field: a value made elsewhere and copied is read back wider than it was written, and waits for the store buffer. */
static inline void put_int(struct value *to, int64_t i)
{
	to->kind = VALUE_INT;
	to->has_int = false;
	to->i = i;
	to->s.s = NULL;
	to->s.n = 0;
}

static int call_code(enum call_mode mode, int code)
{
	return mode == CALL_RAW || self.conf.return_raw ? code : code > 0;
}

/* ---- arguments ---- */

/* Makes the arguments that are not ready. values: those on the operand stack. Returns 0 or < 0: not called. */
static int make_args(struct ctx *ctx, const struct call *c, const struct value *values, union script_arg *out)
{
	const struct value *v = values;
	struct diag why;
	struct value got;
	struct str s;
	unsigned i;
	int err = 0;

	for (i = 0; i < c->n && err >= 0; i++) {
		switch (c->mode[i]) {
		case ARG_READY:
			out[i] = c->args[i];
			break;
		case ARG_FMT:
			err = fmt_eval(ctx, c->fmt[i], &out[i].s);
			break;
		case ARG_FMT_INT:
			err = fmt_eval(ctx, c->fmt[i], &s);
			got = value_str(s);
			if (err == 0)
				err = value_to_int(&got, &out[i].i);
			break;
		case ARG_PV_INT:
			err = pv_get(ctx, c->pv[i], &got);
			if (err == 0)
				err = value_to_int(&got, &out[i].i);
			break;
		case ARG_VALUE_S:
			err = value_to_str(v++, ctx->pool, &out[i].s);
			break;
		case ARG_VALUE_I:
			err = value_to_int(v++, &out[i].i);
			break;
		case ARG_REGEX:
			err = value_to_str(v++, ctx->pool, &s);
			if (err == 0)
				err = regex_cached(s, REGEX_ICASE | REGEX_NEWLINE, &out[i].re, &why);
			break;
		case ARG_SUBST:
			err = value_to_str(v++, ctx->pool, &s);
			if (err == 0)
				err = script_subst_parse(ctx->pool, s, &out[i].subst, &why);
			break;
		default: /* ARG_FIXUP */
			err = value_to_str(v++, ctx->pool, &s);
			if (err == 0)
				err = c->func->fixup(ctx->pool, i, s, &out[i].p, &why);
			break;
		}
	}
	if (err < 0)
		complain(ctx->vm, L_ERR, "%s(): argument %u cannot be used: not called", c->func->name, i);
	return err;
}

/* ---- comparing operands of conditions ---- */

/* An operand that cannot be evaluated: `!=` is true, everything else negative. */
static int cond_compare(struct ctx *ctx, enum oper op, const struct value *a, const struct value *b, int64_t *ret)
{
	struct value v;
	struct str s, t;
	int64_t x, y;
	int err;

	if (a->kind == VALUE_NULL) {
		*ret = op == O_NE ? 1 : -1;
		return 0;
	}
	if (b->kind == VALUE_NULL) {
		*ret = op == O_NE;
		return 0;
	}
	if (op == O_MATCH) {
		err = value_binary(O_MATCH, a, b, ctx->pool, &v);
		if (err == 0)
			*ret = v.i;
		return err;
	}
	if (a->kind == VALUE_STR) {
		err = value_to_str(a, ctx->pool, &s);
		if (err == 0)
			err = value_to_str(b, ctx->pool, &t);
		if (err == 0)
			*ret = str_ieq(s, t) == (op == O_EQ);
		return err;
	}
	err = value_to_int(b, &y);
	if (err < 0)
		return err;
	x = a->i;
	*ret = op == O_EQ ? x == y : op == O_NE ? x != y : op == O_LT ? x < y : op == O_GT ? x > y : op == O_LE ? x <= y : x >= y;
	return 0;
}

static uint32_t switch_target(struct ctx *ctx, const struct switch_table *t, const struct value *v)
{
	uint32_t lo = 0, hi = t->n, k;
	struct str s;
	int64_t i;

	if (t->text) {
		if (value_to_str(v, ctx->pool, &s) < 0)
			return t->otherwise;
		for (k = 0; k < t->n; k++) {
			const struct switch_case *c = &t->cases[k];

			if (c->re ? regex_match(c->re, s, 0, NULL) > 0 : str_eq(s, c->s))
				return c->target;
		}
		return t->otherwise;
	}
	if (value_to_int(v, &i) < 0)
		return t->otherwise;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (t->cases[mid].i == i)
			return t->cases[mid].target;
		if (t->cases[mid].i < i)
			lo = mid + 1;
		else
			hi = mid;
	}
	return t->otherwise;
}

static const struct fail_range *fail_range_of(const struct vm_code *c, uint32_t at)
{
	uint32_t lo = 0, hi = c->n_fails;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (at < c->fails[mid].from)
			hi = mid;
		else if (at >= c->fails[mid].to)
			lo = mid + 1;
		else
			return &c->fails[mid];
	}
	return NULL;
}

/* Common comparisons of two values of the same kind, without a call. */
static inline bool quick_equal(enum oper op, const struct value *a, const struct value *b, int64_t *ret)
{
	bool equal;

	if (op != O_EQ && op != O_NE)
		return false;
	if (a->kind == VALUE_INT && b->kind == VALUE_INT)
		equal = a->i == b->i;
	else if (a->kind == VALUE_STR && b->kind == VALUE_STR)
		equal = str_eq(a->s, b->s);
	else
		return false;
	*ret = equal == (op == O_EQ);
	return true;
}

static inline bool holds(int64_t v)
{
	return self.conf.return_raw ? v != 0 : v > 0;
}

/*
 * Runs until the top frame is gone or the run parks. resume_rc: NULL, or the result of the function that parked.
 */
static enum vm_result run(struct ctx *ctx, struct vm *vm, const int *resume_rc, int *ret_rc)
{
	const struct vm_code *code = &vm->script->code;
	struct frame *f = &vm->frames[vm->n_frames - 1];
	const struct insn *ip = f->ip, *in;
	struct value *sp = vm->stack + vm->sp; /* first free */
	union script_arg args[SCRIPT_PARAMS_MAX];
	const struct call *c = NULL;
	struct net_addr addr;
	struct value v;
	struct str s;
	int64_t i;
	int rc, err;

#define SAVE() (f->ip = ip, vm->sp = (uint32_t)(sp - vm->stack))
#define LOAD() (f = &vm->frames[vm->n_frames - 1], ip = f->ip, sp = vm->stack + vm->sp)

	if (resume_rc) {
		rc = *resume_rc;
		in = ip - 1;
		c = &code->calls[in->c];
		goto call_done;
	}
	for (;;) {
		in = ip++;
		switch ((enum opcode)in->op) {
		case OP_CONST:
			*sp++ = code->consts[in->c];
			break;
		case OP_PV:
			f->ip = ip; /* $cfg(line) */
			if (UNLIKELY(code->pvs[in->c]->def->flags & PV_WAITS))
				ctx->pv_may_wait = ctx_may_wait(ctx);
			err = pv_get(ctx, code->pvs[in->c], sp);
			if (UNLIKELY(err < 0)) {
				if (err == PV_WAIT) {
					ip = in;
					SAVE();
					vm->wait = WAIT_RETRY;
					return VM_PARKED;
				}
				*sp = value_null();
			}
			sp++;
			break;
		case OP_TRACE:
			if (UNLIKELY(self.on_action)) {
				SAVE();
				if (self.on_action(ctx, (enum script_action)in->a, code->consts[in->c].s, in->b) == SCRIPT_SUSPEND) {
					vm->wait = WAIT_RETRY;
					return VM_PARKED;
				}
			}
			break;
		case OP_TRACESET:
			if (UNLIKELY(self.on_assign)) {
				SAVE();
				self.on_assign(ctx, code->pvs[in->c], &sp[-1]);
			}
			break;
		case OP_COND:
			if (cond_value(ctx, in->a, sp) < 0)
				*sp = value_null();
			sp++;
			break;
		case OP_UNARY:
			err = value_unary(in->a, &sp[-1], ctx->pool, &v);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			sp[-1] = v;
			break;
		case OP_BINARY:
			if (quick_equal(in->a, &sp[-2], &sp[-1], &i)) {
				v = value_int(i);
			} else {
				err = value_binary(in->a, &sp[-2], &sp[-1], ctx->pool, &v);
				if (UNLIKELY(err < 0))
					goto expr_failed;
			}
			sp--;
			sp[-1] = v;
			break;
		case OP_DEFINED:
			put_int(&sp[-1], sp[-1].kind != VALUE_NULL);
			break;
		case OP_BOOL:
			err = value_to_int(&sp[-1], &i);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			put_int(&sp[-1], i != 0);
			break;
		case OP_AND:
		case OP_OR:
			err = value_to_int(&sp[-1], &i);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			if ((i != 0) == (in->op == OP_OR)) {
				put_int(&sp[-1], i != 0);
				ip = code->insns + in->c;
			} else {
				sp--;
			}
			break;
		case OP_CMATCH:
			if (sp[-1].kind == VALUE_NULL) {
				put_int(&sp[-1], -1);
				break;
			}
			__attribute__((fallthrough));
		case OP_MATCH:
			err = value_to_str(&sp[-1], ctx->pool, &s);
			if (err == 0)
				err = regex_match(code->regexes[in->c], s, 0, NULL);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			put_int(&sp[-1], err);
			break;
		case OP_CCMP:
			err = cond_compare(ctx, in->a, &sp[-2], &sp[-1], &i);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			sp--;
			put_int(&sp[-1], i);
			break;
		case OP_CIP:
			if (cond_addr(ctx, in->a, &addr) < 0)
				i = in->b ? 1 : -1;
			else
				i = net_addr_in(&addr, &code->ips[in->c].net, code->ips[in->c].bits) != (in->b != 0);
			put_int(sp++, i);
			break;
		case OP_CIPV:
			if (cond_addr(ctx, in->a, &addr) < 0) {
				put_int(&sp[-1], in->b ? 1 : -1);
				break;
			}
			if (sp[-1].kind == VALUE_NULL) {
				put_int(&sp[-1], in->b != 0);
				break;
			}
			err = value_to_str(&sp[-1], ctx->pool, &s);
			if (err == 0)
				err = cond_addr_is(ctx, &addr, s, in->c != 0, !vm->again);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			if (err == COND_WAIT) {
				ip = in;
				SAVE();
				vm->again = true;
				vm->wait = WAIT_RETRY;
				return VM_PARKED;
			}
			vm->again = false;
			put_int(&sp[-1], (err == COND_YES) != (in->b != 0));
			break;
		case OP_MYSELF:
			rc = cond_myself(ctx, in->a);
			put_int(sp++, rc < 0 ? (in->b ? 1 : -1) : (rc > 0) != (in->b != 0));
			break;
		case OP_JLE0:
			err = value_to_int(--sp, &i);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			if (i <= 0)
				ip = code->insns + in->c;
			break;
		case OP_JMP:
			ip = code->insns + in->c;
			break;
		case OP_JF:
			err = value_to_int(--sp, &i);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			if (UNLIKELY(vm->exit_pending))
				goto exit_now;
			if (!holds(i))
				ip = code->insns + in->c;
			break;
		case OP_STORE:
		case OP_STOREX:
			if (UNLIKELY(pv_set(ctx, code->pvs[in->c], &sp[-1]) < 0)) {
				SAVE();
				complain(vm, L_ERR, "%.*s cannot take that value", STR_FMT(code->pvs[in->c]->text));
				rc = -1;
			} else {
				rc = 1;
			}
			if (in->op == OP_STOREX) {
				put_int(&sp[-1], call_code(in->a, rc));
				break;
			}
			sp--;
			f->code = rc;
			if (UNLIKELY(vm->exit_pending))
				goto exit_now;
			break;
		case OP_POP:
			sp--;
			break;
		case OP_CODE:
			f->code = in->c;
			break;
		case OP_CALL:
		case OP_CALLV:
			c = &code->calls[in->c];
			if (UNLIKELY(vm->exit_pending)) {
				/* an argument ended the script; inside an expression another call forgets that */
				if (in->op == OP_CALL)
					goto exit_now;
				vm->exit_pending = false;
			}
			if (UNLIKELY(self.conf.suspend_always) && c->func->may_suspend && !vm->again) {
				ip = in;
				SAVE();
				if (vm_park_turn(ctx)) {
					vm->again = true;
					vm->wait = WAIT_RETRY;
					return VM_PARKED;
				}
				ip = in + 1;
			}
			vm->again = false;
			SAVE();
			err = make_args(ctx, c, sp - c->n_stack, args);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			sp -= c->n_stack;
			vm->sp -= c->n_stack;
			if (UNLIKELY(self.conf.latency_us > 0))
				vm->call_us = clock_now_us();
			rc = c->fn(ctx, args, c->n);
		call_done:
			if (UNLIKELY(rc == SCRIPT_SUSPEND)) {
				vm->wait = WAIT_CALL;
				return VM_PARKED;
			}
			if (UNLIKELY(vm->call_us > 0))
				latency_check(vm, c->func->name);
			if (UNLIKELY(rc == SCRIPT_CALL)) {
				err = frame_push(ctx, vm, (uint32_t)vm->call_route, FRAME_NESTED, CALL_RAW, 0);
				if (err < 0) {
					complain(vm, L_ERR, "route cannot be run: %s", strerror(-err));
					rc = vm->call_cont ? vm->call_cont(ctx, -1, vm->call_arg) : -1;
					goto call_done;
				}
				LOAD();
				f->cont = vm->call_cont;
				f->arg = vm->call_arg;
				f->saved_kind = ctx->kind;
				f->had_exit = vm->exit_pending;
				f->had_drop = (ctx->mflags & CTX_F_DROP) != 0;
				ctx->kind = vm->call_kind;
				ctx->mflags &= ~(uint32_t)CTX_F_DROP;
				vm->exit_pending = false;
				break;
			}
			if (!c->is_core)
				ctx->retcode = rc;
			if (in->op == OP_CALL) {
				f->code = rc;
				if (UNLIKELY(rc == 0 && !c->is_core)) {
					vm->exit_code = 0;
					goto exit_now;
				}
				break;
			}
			put_int(sp++, call_code(in->a, rc));
			if (UNLIKELY(rc == 0 && !c->is_core)) {
				vm->exit_pending = true;
				vm->exit_code = 0;
			}
			break;
		case OP_ROUTED:
		case OP_ROUTEDV:
			err = value_to_str(--sp, ctx->pool, &s);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			rc = script_route_find(vm->script, CTX_REQUEST, s);
			if (rc < 0 || s.n == 0) {
				SAVE();
				complain(vm, L_ERR, "no route '%.*s'", STR_FMT(s));
				rc = -1;
				goto route_failed;
			}
			goto route_begin;
		case OP_ROUTE:
		case OP_ROUTEV:
			rc = in->c;
		route_begin: {
			bool value = in->op == OP_ROUTEV || in->op == OP_ROUTEDV;
			unsigned level = value ? 1 : f->level + in->b + 1u;

			if (UNLIKELY(vm->exit_pending)) {
				if (!value)
					goto exit_now;
				vm->exit_pending = false;
			}
			SAVE();
			if (UNLIKELY(level > self.conf.max_recursive_level)) {
				complain(vm, L_ERR, "routes and blocks are nested deeper than %u (max_recursive_level)",
					 self.conf.max_recursive_level);
				goto route_failed;
			}
			err = frame_push(ctx, vm, (uint32_t)rc, value ? FRAME_VALUE : FRAME_ACTION, in->a, level);
			if (UNLIKELY(err < 0)) {
				complain(vm, L_ERR, "route cannot be run: %s", strerror(-err));
				goto route_failed;
			}
			LOAD();
			break;
		}
		route_failed:
			ctx->retcode = -1;
			if (in->op == OP_ROUTEV || in->op == OP_ROUTEDV)
				put_int(sp++, call_code(in->a, -1));
			else
				f->code = -1;
			break;
		case OP_RET:
			err = value_to_int(--sp, &i);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			if (UNLIKELY(vm->exit_pending))
				goto exit_now;
			rc = (int)i;
			goto do_return;
		case OP_RETI:
			rc = in->c;
		do_return:
			if (rc == 0) {
				vm->exit_code = 0;
				goto exit_now;
			}
			goto leave;
		case OP_BRK:
			rc = 0;
			goto leave;
		case OP_END:
			rc = f->code;
			goto leave;
		case OP_EXIT:
		case OP_DROP:
			err = value_to_int(--sp, &i);
			if (UNLIKELY(err < 0))
				goto expr_failed;
			if (!vm->exit_pending)
				vm->exit_code = (int)i;
			if (in->op == OP_DROP)
				ctx->mflags |= CTX_F_DROP;
			goto exit_now;
		case OP_DROPI:
			ctx->mflags |= CTX_F_DROP;
			vm->exit_code = in->c;
			goto exit_now;
		case OP_EXITI:
			vm->exit_code = in->c;
			goto exit_now;
		case OP_LOOP:
			f->ip = ip; /* a loop without calls that does not end still has a position to tell */
			if (UNLIKELY(self.conf.max_while_loops > 0 && sp[-1].i >= (int64_t)self.conf.max_while_loops)) {
				SAVE();
				complain(vm, L_ERR, "loop left after %u rounds (max_while_loops)", self.conf.max_while_loops);
				ip = code->insns + in->c;
				break;
			}
			sp[-1].i++;
			break;
		case OP_SWITCH:
			sp--;
			if (UNLIKELY(vm->exit_pending))
				goto exit_now;
			ip = code->insns + switch_target(ctx, &code->switches[in->c], sp);
			break;
		case OP_N:
			abort(); /* the verifier lets no such thing through */
		}
		continue;

	expr_failed: {
		const struct fail_range *r = fail_range_of(code, (uint32_t)(in - code->insns));

		ip = in + 1;
		SAVE();
		if (in->op != OP_CALL && in->op != OP_CALLV)
			complain(vm, L_WARN, "expression cannot be evaluated: %s",
				 err == -EBADMSG ? "a text is no number" : err == -EDOM ? "division by zero" : strerror(-err));
		vm->again = false;
		if (!r) { /* a call as an action, with nothing on the stack */
			sp = vm->stack + f->base;
			f->code = -1;
			if (in->op == OP_CALL && c && c->n_stack == 0)
				sp = vm->stack + vm->sp;
		} else {
			sp = vm->stack + f->base + r->depth;
			ip = code->insns + r->target;
		}
		if (vm->exit_pending)
			goto exit_now;
		continue;
	}

	exit_now:
		/* unwinds actions; stops at the top, at an expression, at a route that a function asked for */
		vm->exit_pending = false;
		rc = vm->exit_code;
		while (vm->frames[vm->n_frames - 1].kind == FRAME_ACTION)
			vm->n_frames--;
		f = &vm->frames[vm->n_frames - 1];
		if (f->kind == FRAME_VALUE) {
			bool is_block = code->routes[f->route].is_block;
			int got = call_code(f->mode, rc);

			vm->sp = f->base;
			vm->n_frames--;
			LOAD();
			put_int(sp++, got);
			if (!is_block)
				ctx->retcode = rc;
			vm->exit_pending = true;
			continue;
		}
	leave: {
		struct frame done = *f;

		vm->sp = done.base;
		vm->n_frames--;
		if (done.kind == FRAME_TOP) {
			*ret_rc = rc;
			return VM_DONE;
		}
		LOAD();
		in = ip - 1;
		if (done.kind == FRAME_NESTED) {
			ctx->kind = done.saved_kind;
			c = &code->calls[in->c];
			vm->exit_pending = false;
			if (done.cont)
				rc = done.cont(ctx, rc, done.arg);
			vm->exit_pending = done.had_exit;
			ctx->mflags = (ctx->mflags & ~(uint32_t)CTX_F_DROP) | (done.had_drop ? CTX_F_DROP : 0);
			goto call_done;
		}
		if (!code->routes[done.route].is_block)
			ctx->retcode = rc;
		if (done.kind == FRAME_VALUE)
			put_int(sp++, call_code(done.mode, rc));
		else
			f->code = rc;
		continue;
	}
	}
#undef SAVE
#undef LOAD
}

static enum vm_result finish(struct ctx *ctx, enum vm_result r)
{
	if (r == VM_DONE)
		ctx->vm = NULL;
	return r;
}

enum vm_result vm_run(struct ctx *ctx, struct script *s, int route, enum ctx_kind kind, int *ret_rc)
{
	struct vm *vm;

	script_hold(ctx, s);
	if (ctx->vm || ctx->script != s || route < 0 || (uint32_t)route >= s->code.n_routes) {
		log_error("route %d cannot be started: %s", route, ctx->vm ? "another one runs in this context" : "there is none");
		*ret_rc = -1;
		return VM_DONE;
	}
	vm = pool_alloc(ctx->pool, sizeof(*vm));
	if (vm) {
		memset(vm, 0, offsetof(struct vm, frames0));
		vm->script = s;
		vm->frames = vm->frames0;
		vm->frames_cap = FRAMES_FIRST;
		vm->stack = vm->stack0;
		vm->stack_cap = STACK_FIRST;
	}
	if (!vm || frame_push(ctx, vm, (uint32_t)route, FRAME_TOP, CALL_RAW, 1) < 0) {
		log_error("route %d cannot be started: out of memory", route);
		*ret_rc = -1;
		return VM_DONE;
	}
	ctx->vm = vm;
	ctx->kind = kind;
	ctx->sflags = 0;
	ctx->mflags &= ~(uint32_t)CTX_F_DROP;
	return finish(ctx, run(ctx, vm, NULL, ret_rc));
}

enum vm_result vm_resume(struct ctx *ctx, int rc, int *ret_rc)
{
	struct vm *vm = ctx->vm;
	enum wait wait;

	if (!vm || vm->wait == WAIT_NONE) {
		log_error("a run was resumed that does not wait");
		*ret_rc = -1;
		return VM_DONE;
	}
	wait = vm->wait;
	vm->wait = WAIT_NONE;
	return finish(ctx, run(ctx, vm, wait == WAIT_CALL ? &rc : NULL, ret_rc));
}

bool script_has_route(const struct ctx *ctx, enum ctx_kind kind, struct str name)
{
	return ctx->vm && script_route_find(ctx->vm->script, kind, name) >= 0;
}

int script_call_route(struct ctx *ctx, enum ctx_kind kind, struct str name, int (*cont)(struct ctx *ctx, int rc, void *arg),
		      void *arg)
{
	struct vm *vm = ctx->vm;
	int route;

	if (!vm || vm->n_frames == 0)
		return -ENOENT;
	route = script_route_find(vm->script, kind, name);
	if (route < 0)
		return -ENOENT;
	vm->call_route = route;
	vm->call_kind = kind;
	vm->call_cont = cont;
	vm->call_arg = arg;
	return SCRIPT_CALL;
}
