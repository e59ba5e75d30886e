/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of commands, and what a running command may do: take parameters, build a result, fail. Tables are registered
 * before forking; the index is sorted by name, which is also the order in which they are listed. Parameters are JSON values
 * with the conversions that operators' tools rely on: see the comments in rpc.h.
 */
#include "core/rpc/rpc.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

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
} table = { .run_dir = { "/run/ringfort", 13 } };

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

struct str rpc_run_dir(void)
{
	return table.run_dir;
}

bool rpc_call(struct rpc *rpc)
{
	unsigned at = place_of(str_lit(rpc->method->name));
	uint64_t now = clock_update(), *last = &table.last_run_ms[at];

	if (rpc->method->flags & RPC_EXEC_DELTA && table.exec_delta_s) {
		if (*last && now - *last < (uint64_t)table.exec_delta_s * 1000) {
			rpc_fault(rpc, 500, "Command Executed Too Fast");
			return false;
		}
		*last = now ? now : 1;
	}
	rpc->method->fn(rpc);
	if (rpc->no_memory)
		rpc_fault(rpc, 500, "The answer is too large");
	return true;
}

/* ---- parameters ---- */

static int arg_next(struct rpc *rpc, const json_t **ret)
{
	const json_t *j;

	if (rpc->next_arg >= rpc->n_args)
		return -ENOENT;
	j = (const json_t *)rpc->arg[rpc->next_arg];
	if (json_is_object(j) || json_is_array(j)) {
		rpc_fault(rpc, 400, "Unsupported param type");
		return -EINVAL;
	}
	*ret = j;
	return 0;
}

int rpc_arg_str(struct rpc *rpc, struct str *ret)
{
	const json_t *j;
	int err = arg_next(rpc, &j);

	if (err < 0)
		return err;
	if (!json_is_string(j))
		return -EINVAL;
	*ret = str_of(json_string_value(j), json_string_length(j));
	rpc->next_arg++;
	return 0;
}

int rpc_arg_any_str(struct rpc *rpc, struct str *ret)
{
	struct str s = STR_NULL;
	const json_t *j;
	int err = arg_next(rpc, &j);

	if (err < 0)
		return err;
	if (json_is_string(j))
		s = str_of(json_string_value(j), json_string_length(j));
	else if (json_is_integer(j))
		err = pool_printf(rpc->pool, &s, "%lld", (long long)json_integer_value(j));
	else if (json_is_real(j))
		err = pool_printf(rpc->pool, &s, "%f", json_real_value(j));
	else
		s = json_is_true(j) ? STR_LIT("1") : STR_LIT("0");
	if (err < 0)
		return err;
	*ret = s;
	rpc->next_arg++;
	return 0;
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

int rpc_arg_int(struct rpc *rpc, int64_t *ret)
{
	const json_t *j;
	int err = arg_next(rpc, &j);

	if (err < 0)
		return err;
	if (json_is_integer(j))
		*ret = json_integer_value(j);
	else if (json_is_real(j))
		*ret = whole(json_real_value(j));
	else
		*ret = json_is_true(j);
	rpc->next_arg++;
	return 0;
}

int rpc_arg_double(struct rpc *rpc, double *ret)
{
	const json_t *j;
	int err = arg_next(rpc, &j);

	if (err < 0)
		return err;
	*ret = json_is_number(j) ? json_number_value(j) : json_is_true(j) ? 1.0 : 0.0;
	rpc->next_arg++;
	return 0;
}

unsigned rpc_args_left(const struct rpc *rpc)
{
	return rpc->n_args - rpc->next_arg;
}

bool rpc_arg_is_str(const struct rpc *rpc)
{
	return rpc->next_arg < rpc->n_args && json_is_string((const json_t *)rpc->arg[rpc->next_arg]);
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

static void append(struct rpc_node **first, struct rpc_node **last, struct rpc_node *n)
{
	if (*last)
		(*last)->next = n;
	else
		*first = n;
	*last = n;
}

/* Puts a node of that kind into parent; in an array a name makes it the one member of an object. */
static struct rpc_node *node_add(struct rpc *rpc, struct rpc_node *parent, const char *name, enum rpc_kind kind)
{
	struct rpc_node *n;

	if (!parent) {
		n = node_new(rpc, NULL, kind);
		if (n)
			append(&rpc->first, &rpc->last, n);
		return n;
	}
	if (parent->kind == RPC_ARRAY && name) {
		parent = node_add(rpc, parent, NULL, RPC_OBJECT);
		if (!parent)
			return NULL;
	}
	if (parent->kind != RPC_ARRAY && parent->kind != RPC_OBJECT)
		return NULL;
	n = node_new(rpc, name ? name : parent->kind == RPC_OBJECT ? "" : NULL, kind);
	if (n)
		append(&parent->u.list.first, &parent->u.list.last, n);
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
