/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of commands, and what a running command may do: take parameters, build a result, fail. Tables are registered
 * before forking; the index is sorted by name, which is also the order in which they are listed. Parameters are JSON values
 * with the conversions that operators' tools rely on: see the comments in rpc.h.
 */
#include "core/rpc/rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/rpc/rpc_priv.h"

#define METHODS_MAX 1024u

static struct {
	const struct rpc_method *method[METHODS_MAX];
	uint64_t last_run_ms[METHODS_MAX]; /* of commands with RPC_EXEC_DELTA; 0 never */
	unsigned n;
	unsigned exec_delta_s;
	struct str run_dir;
} table;

/* Index of the first name >= this one. */
static unsigned place_of(struct str name)
{
	unsigned lo = 0, hi = table.n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (str_cmp(str_lit(table.method[mid]->name), name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at(unsigned at, struct str name)
{
	return at < table.n && str_eq(str_lit(table.method[at]->name), name);
}

int rpc_register(const struct rpc_method *methods)
{
	for (const struct rpc_method *m = methods; m->name; m++) {
		unsigned at = place_of(str_lit(m->name));

		if (is_at(at, str_lit(m->name))) {
			if (table.method[at] != m)
				log_warn("rpc: command %s is there already, the first one stays", m->name);
			continue;
		}
		if (table.n == METHODS_MAX)
			return -ENOSPC;
		memmove(&table.method[at + 1], &table.method[at], (table.n - at) * sizeof(table.method[0]));
		table.method[at] = m;
		table.n++;
	}
	return 0;
}

const struct rpc_method *rpc_find(struct str name)
{
	unsigned at = place_of(name);

	return is_at(at, name) ? table.method[at] : NULL;
}

const struct rpc_method *rpc_at(unsigned i)
{
	return i < table.n ? table.method[i] : NULL;
}

void rpc_exec_delta_set(unsigned seconds)
{
	table.exec_delta_s = seconds;
}

void rpc_run_dir_set(struct str dir)
{
	table.run_dir = dir;
}

/* Where the operators' tools of Debian look, if it is there for us; else our own. */
struct str rpc_run_dir(void)
{
	if (table.run_dir.n == 0)
		table.run_dir = access("/run/kamailio", W_OK) == 0 ? STR_LIT("/run/kamailio") : STR_LIT("/run/ringfort");
	return table.run_dir;
}

void rpc_call(struct rpc *rpc)
{
	unsigned at = place_of(str_lit(rpc->method->name));
	uint64_t now = clock_update(), *last = &table.last_run_ms[at];

	if (rpc->method->flags & RPC_EXEC_DELTA && table.exec_delta_s) {
		if (*last && now - *last < (uint64_t)table.exec_delta_s * 1000) {
			rpc_fault(rpc, 500, "Command Executed Too Fast");
			return;
		}
		*last = now ? now : 1;
	}
	rpc->in_call = true;
	rpc->method->fn(rpc);
	rpc->in_call = false;
}

/* ---- parameters ---- */

static const char *const type_names[] = { [RPC_STR] = "string", [RPC_INT] = "integer", [RPC_DOUBLE] = "double", [RPC_BOOL] = "bool" };

/* What a client of a strict form is told, unless the command has something else to say. */
static int arg_wrong(struct rpc *rpc, enum rpc_kind want, int err)
{
	if (rpc->form->strict)
		(void)snprintf(rpc->arg_error, sizeof(rpc->arg_error), "error at parameter %u: expected %s type but %s", rpc->next_arg,
			       type_names[want], err == -ENOENT ? "end of packet encountered" : "record doesn't match type");
	return err;
}

/* The next one, not taken yet. */
static int arg_next(struct rpc *rpc, enum rpc_kind want, const struct rpc_arg **ret)
{
	rpc->arg_error[0] = 0;
	if (rpc->next_arg >= rpc->n_args)
		return arg_wrong(rpc, want, -ENOENT);
	*ret = &rpc->arg[rpc->next_arg];
	if ((*ret)->kind == RPC_ARRAY) {
		rpc_fault(rpc, 400, "Unsupported param type");
		return -EINVAL;
	}
	return 0;
}

static int arg_text(struct rpc *rpc, bool convert, struct str *ret)
{
	struct str s = STR_NULL;
	const struct rpc_arg *a;
	int err = arg_next(rpc, RPC_STR, &a);

	if (err < 0)
		return err;
	if (a->kind == RPC_STR)
		s = a->u.s;
	else if (!convert && !rpc->convert)
		return arg_wrong(rpc, RPC_STR, -EINVAL);
	else if (a->kind == RPC_DOUBLE)
		err = pool_printf(rpc->pool, &s, "%f", a->u.d);
	else
		err = pool_printf(rpc->pool, &s, "%lld", (long long)(a->kind == RPC_NULL ? 0 : a->u.i));
	if (err < 0)
		return err;
	*ret = s;
	rpc->next_arg++;
	return 0;
}

int rpc_arg_str(struct rpc *rpc, struct str *ret)
{
	return arg_text(rpc, false, ret);
}

int rpc_arg_any_str(struct rpc *rpc, struct str *ret)
{
	return arg_text(rpc, true, ret);
}

/* Whole numbers pass through double, as clients know it; what does not fit is cut to what does. */
static int64_t whole(double d)
{
	if (d >= 9223372036854775807.0)
		return INT64_MAX;
	if (d <= -9223372036854775808.0)
		return INT64_MIN;
	return d == d ? (int64_t)d : 0;
}

static int arg_number(struct rpc *rpc, bool convert, int64_t *ret)
{
	const struct rpc_arg *a;
	int64_t i = 0;
	int err = arg_next(rpc, RPC_INT, &a);

	if (err < 0)
		return err;
	convert |= rpc->convert || !rpc->form->strict;
	if (a->kind == RPC_INT || a->kind == RPC_BOOL)
		i = a->u.i;
	else if (!convert || (a->kind == RPC_STR && rpc->form->strict && num_i64(a->u.s, &i) < 0))
		return arg_wrong(rpc, RPC_INT, -EINVAL);
	else if (a->kind == RPC_DOUBLE)
		i = whole(a->u.d);
	*ret = i;
	rpc->next_arg++;
	return 0;
}

int rpc_arg_int(struct rpc *rpc, int64_t *ret)
{
	return arg_number(rpc, false, ret);
}

int rpc_arg_any_int(struct rpc *rpc, int64_t *ret)
{
	return arg_number(rpc, true, ret);
}

int rpc_arg_int_in(struct rpc *rpc, int64_t min, int64_t max, int64_t *ret)
{
	int64_t i;
	int err = arg_number(rpc, false, &i);

	if (err < 0)
		return err;
	if (i < min || i > max) {
		rpc_fault(rpc, 400, "Parameter %u: %lld is not in %lld to %lld", rpc->next_arg, (long long)i, (long long)min, (long long)max);
		return -ERANGE;
	}
	*ret = i;
	return 0;
}

int rpc_arg_mask(struct rpc *rpc, uint32_t *ret)
{
	int64_t i;
	int err = rpc_arg_int_in(rpc, INT32_MIN, UINT32_MAX, &i);

	if (err == 0)
		*ret = (uint32_t)i;
	return err;
}

int rpc_arg_double(struct rpc *rpc, double *ret)
{
	const struct rpc_arg *a;
	int err = arg_next(rpc, RPC_DOUBLE, &a);

	if (err < 0)
		return err;
	if (rpc->form->strict && a->kind != RPC_DOUBLE && !(rpc->convert && a->kind == RPC_INT))
		return arg_wrong(rpc, RPC_DOUBLE, -EINVAL);
	*ret = a->kind == RPC_DOUBLE ? a->u.d : a->kind == RPC_INT || a->kind == RPC_BOOL ? (double)a->u.i : 0.0;
	rpc->next_arg++;
	return 0;
}

unsigned rpc_args_left(const struct rpc *rpc)
{
	return rpc->n_args - rpc->next_arg;
}

bool rpc_arg_is_str(const struct rpc *rpc)
{
	return rpc->next_arg < rpc->n_args && rpc->arg[rpc->next_arg].kind == RPC_STR;
}

/* ---- result ---- */

static struct rpc_node *node_new(struct rpc *rpc, const char *name, enum rpc_kind kind)
{
	struct rpc_node *n = rpc->no_memory ? NULL : pool_zalloc(rpc->pool, sizeof(*n));

	if (n && name) {
		struct str copy = str_dup(rpc->pool, str_lit(name));

		n->name = copy.s;
	}
	if (!n || (name && !n->name)) {
		rpc->no_memory = true;
		return NULL;
	}
	n->kind = kind;
	return n;
}

/* Puts a node of that kind into parent; in an array a name makes it the one member of an object. */
static struct rpc_node *node_add(struct rpc *rpc, struct rpc_node *parent, const char *name, enum rpc_kind kind)
{
	struct rpc_node *n;

	if (!parent) {
		parent = &rpc->top;
		name = NULL;
	}
	if (parent->kind == RPC_ARRAY && name) {
		parent = node_add(rpc, parent, NULL, RPC_OBJECT);
		if (!parent)
			return NULL;
		parent->is_wrap = true;
	}
	if (parent->kind != RPC_ARRAY && parent->kind != RPC_OBJECT)
		return NULL;
	n = node_new(rpc, name ? name : parent->kind == RPC_OBJECT ? "" : NULL, kind);
	if (!n)
		return NULL;
	if (parent->u.list.last)
		parent->u.list.last->next = n;
	else
		parent->u.list.first = n;
	parent->u.list.last = n;
	return n;
}

struct rpc_node *rpc_add_object(struct rpc *rpc, struct rpc_node *parent, const char *name)
{
	return node_add(rpc, parent, name, RPC_OBJECT);
}

struct rpc_node *rpc_add_array(struct rpc *rpc, struct rpc_node *parent, const char *name)
{
	return node_add(rpc, parent, name, RPC_ARRAY);
}

void rpc_add_int(struct rpc *rpc, struct rpc_node *parent, const char *name, int64_t v)
{
	struct rpc_node *n = node_add(rpc, parent, name, RPC_INT);

	if (n)
		n->u.i = v;
}

void rpc_add_double(struct rpc *rpc, struct rpc_node *parent, const char *name, double v)
{
	struct rpc_node *n = node_add(rpc, parent, name, RPC_DOUBLE);

	if (n)
		n->u.d = v;
}

void rpc_add_str(struct rpc *rpc, struct rpc_node *parent, const char *name, struct str v)
{
	struct rpc_node *n = node_add(rpc, parent, name, RPC_STR);

	if (!n)
		return;
	n->u.s = str_dup(rpc->pool, v);
	if (!n->u.s.s)
		rpc->no_memory = true;
}

void rpc_add_null(struct rpc *rpc, struct rpc_node *parent, const char *name)
{
	(void)node_add(rpc, parent, name, RPC_NULL);
}

void rpc_add_bool(struct rpc *rpc, struct rpc_node *parent, const char *name, bool v)
{
	struct rpc_node *n = node_add(rpc, parent, name, RPC_BOOL);

	if (n)
		n->u.i = v;
}

void rpc_add_printf(struct rpc *rpc, struct rpc_node *parent, const char *name, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	rpc_add_str(rpc, parent, name, str_of(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

void rpc_fault(struct rpc *rpc, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(rpc->fault_text, sizeof(rpc->fault_text), fmt, ap) < 0)
		rpc->fault_text[0] = 0;
	va_end(ap);
	rpc->fault_code = code;
	rpc->has_fault = true;
}
