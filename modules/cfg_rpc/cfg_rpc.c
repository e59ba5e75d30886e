/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module cfg_rpc: commands cfg.*, the run-time settings (core/settings/cfg.h) for operators. What was wrong is told in the log; the
 * client gets the few texts that tools know. Runs in process rpcd.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/pool.h"
#include "core/module/abi.h"

#define VALUE_BYTES_MAX ((size_t)16 << 10)

/* ---- parameters ---- */

struct target {
	struct str group, name;
	int id; /* 0: the group itself */
};

/* "group" or "group[id]". */
static int parse_group(struct str text, struct target *ret)
{
	ptrdiff_t open = str_find_char(text, '[');
	uint32_t id = 0;

	if (open >= 0 && (text.s[text.n - 1] != ']' || num_u32(str_sub(text, (size_t)open + 1, text.n - (size_t)open - 2), &id) < 0 ||
			  id == 0 || id > INT32_MAX))
		return -EINVAL;
	ret->group = open < 0 ? text : str_sub(text, 0, (size_t)open);
	ret->id = (int)id;
	return ret->group.n ? 0 : -EINVAL;
}

enum wanted { GROUP, INSTANCE };

/* False: a fault is set, or the transport tells which parameter was missing. */
static bool take_group(struct rpc *rpc, enum wanted what, struct target *ret)
{
	struct str text;

	if (rpc_arg_str(rpc, &text) < 0)
		return false;
	if (parse_group(text, ret) == 0 && (what == GROUP || ret->id))
		return true;
	rpc_fault(rpc, 400, "Wrong group syntax. Use %s", what == GROUP ? "either \"group\", or \"group[id]\"" : "\"group[id]\"");
	return false;
}

static bool take_target(struct rpc *rpc, enum wanted what, struct target *ret)
{
	return take_group(rpc, what, ret) && rpc_arg_str(rpc, &ret->name) == 0;
}

static const struct cfg_info *info_of(const struct target *t, struct cfg_info *mem)
{
	for (unsigned i = 0; cfg_at(i, mem) == 0; i++)
		if (str_eq(mem->group, t->group) && str_eq(mem->name, t->name))
			return mem;
	return NULL;
}

/* ---- telling ---- */

static void add_value(struct rpc *rpc, struct rpc_node *node, const char *name, const struct value *v)
{
	if (v->kind == VALUE_INT)
		rpc_add_int(rpc, node, name, v->i);
	else if (v->kind == VALUE_STR)
		rpc_add_str(rpc, node, name, v->s);
	else
		rpc_add_null(rpc, node, name);
}

static void get_one(struct rpc *rpc, const struct target *t, struct pool *pool)
{
	struct cfg_info mem;
	const struct cfg_info *info = info_of(t, &mem);
	struct value v;

	if (info && info->flags & CFG_WRITE_ONLY)
		rpc_fault(rpc, 400, "Variable exists, but it is not readable via RPC interface");
	else if (!info || !cfg_instance_exists(t->group, t->id) || cfg_get(t->group, t->id, t->name, pool, &v) < 0)
		rpc_fault(rpc, 400, "Failed to get the variable");
	else
		add_value(rpc, NULL, NULL, &v);
}

static void get_group(struct rpc *rpc, const struct target *t, struct pool *pool)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	struct cfg_info info;
	char name[128];
	struct value v;

	for (unsigned i = 0; cfg_at(i, &info) == 0; i++) {
		if (info.id != 0 || info.flags & CFG_WRITE_ONLY || !str_eq(info.group, t->group) || !cfg_instance_exists(t->group, t->id) ||
		    cfg_get(t->group, t->id, info.name, pool, &v) < 0)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", STR_FMT(info.name));
		add_value(rpc, n, name, &v);
		pool_reset(pool);
	}
}

static void rpc_get(struct rpc *rpc)
{
	struct pool *pool = pool_new(VALUE_BYTES_MAX);
	struct target t;

	if (!pool)
		rpc_fault(rpc, 500, "Failed to get the parameters");
	else if (!take_group(rpc, GROUP, &t))
		;
	else if (rpc_args_left(rpc) == 0)
		get_group(rpc, &t, pool);
	else if (rpc_arg_str(rpc, &t.name) == 0)
		get_one(rpc, &t, pool);
	pool_free(pool);
}

static void rpc_list(struct rpc *rpc)
{
	struct str group = STR_NULL;
	struct cfg_info info;

	if (rpc_args_left(rpc) && rpc_arg_str(rpc, &group) < 0)
		return;
	for (unsigned i = 0; cfg_at(i, &info) == 0; i++)
		if (info.id == 0 && (group.n == 0 || str_eq(info.group, group)))
			rpc_add_printf(rpc, NULL, NULL, "%.*s: %.*s", STR_FMT(info.group), STR_FMT(info.name));
}

static void rpc_help(struct rpc *rpc)
{
	struct cfg_info mem;
	const struct cfg_info *info;
	struct target t;

	if (!take_target(rpc, GROUP, &t))
		return;
	info = info_of(&t, &mem);
	if (!info) {
		rpc_fault(rpc, 400, "Failed to get the variable description");
		return;
	}
	rpc_add_str(rpc, NULL, NULL, info->desc);
	rpc_add_printf(rpc, NULL, NULL, "(parameter type is %s)", info->is_int ? "integer" : "string");
}

/* ---- changing ---- */

typedef int set_fn(struct str group, int id, struct str name, const struct value *v);

/* The text of a number serves for a number, and the reverse. */
static int as_declared(const struct cfg_info *info, struct value *v, char mem[32])
{
	int64_t i;

	if (info->is_int && v->kind == VALUE_STR) {
		if (num_i64(v->s, &i) < 0)
			return -EINVAL;
		*v = value_int(i);
	} else if (!info->is_int && v->kind == VALUE_INT) {
		*v = value_str(str_of(mem, num_dec(v->i, mem)));
	}
	return 0;
}

static void set_value(struct rpc *rpc, const struct target *t, struct value v, set_fn *set)
{
	struct cfg_info mem;
	const struct cfg_info *info = info_of(t, &mem);
	char text[32];
	int err = info ? as_declared(info, &v, text) : -ENOENT;

	if (err == 0)
		err = set(t->group, t->id, t->name, &v);
	if (err == 0)
		return;
	log_fail(err, "cfg_rpc: %.*s.%.*s cannot be set", STR_FMT(t->group), STR_FMT(t->name));
	rpc_fault(rpc, 400, "Failed to set the variable");
}

static void set_int(struct rpc *rpc, set_fn *set)
{
	struct target t;
	int64_t i;

	if (take_target(rpc, GROUP, &t) && rpc_arg_int(rpc, &i) == 0)
		set_value(rpc, &t, value_int(i), set);
}

static void set_text(struct rpc *rpc, set_fn *set)
{
	struct target t;
	struct str s;

	if (take_target(rpc, GROUP, &t) && rpc_arg_str(rpc, &s) == 0)
		set_value(rpc, &t, value_str(s), set);
}

/* JSON, where a number may be asked of any value, tries the number first: a text is then 0, as clients know it. */
static void set_any(struct rpc *rpc, set_fn *set)
{
	struct target t;
	struct str s;
	int64_t i;

	if (!take_target(rpc, GROUP, &t))
		return;
	if (rpc_arg_int(rpc, &i) == 0)
		set_value(rpc, &t, value_int(i), set);
	else if (rpc_arg_str(rpc, &s) == 0)
		set_value(rpc, &t, value_str(s), set);
}

static void rpc_set(struct rpc *rpc)
{
	set_any(rpc, cfg_set);
}

static void rpc_set_now_int(struct rpc *rpc)
{
	set_int(rpc, cfg_set);
}

static void rpc_set_now_string(struct rpc *rpc)
{
	set_text(rpc, cfg_set);
}

static void rpc_set_delayed(struct rpc *rpc)
{
	set_any(rpc, cfg_set_later);
}

static void rpc_set_delayed_int(struct rpc *rpc)
{
	set_int(rpc, cfg_set_later);
}

static void rpc_set_delayed_string(struct rpc *rpc)
{
	set_text(rpc, cfg_set_later);
}

static void rpc_commit(struct rpc *rpc)
{
	(void)rpc;
	cfg_commit();
}

static void rpc_rollback(struct rpc *rpc)
{
	(void)rpc;
	cfg_rollback();
}

static void rpc_diff(struct rpc *rpc)
{
	struct pool *pool = pool_new(VALUE_BYTES_MAX);
	struct cfg_pending p;

	for (unsigned i = 0; pool && cfg_pending_at(i, pool, &p) == 0; i++) {
		struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);

		rpc_add_str(rpc, n, "group name", p.group);
		if (p.id)
			rpc_add_int(rpc, n, "group id", p.id);
		rpc_add_str(rpc, n, "variable name", p.name);
		add_value(rpc, n, "old value", &p.now);
		add_value(rpc, n, "new value", &p.then);
		pool_reset(pool);
	}
	pool_free(pool);
}

static void del(struct rpc *rpc, int (*reset)(struct str group, int id, struct str name))
{
	struct target t;

	if (take_target(rpc, INSTANCE, &t) && (!cfg_instance_exists(t.group, t.id) || reset(t.group, t.id, t.name) < 0))
		rpc_fault(rpc, 400, "Failed to delete the value");
}

static void rpc_del(struct rpc *rpc)
{
	del(rpc, cfg_reset);
}

static void rpc_del_delayed(struct rpc *rpc)
{
	del(rpc, cfg_reset_later);
}

static void rpc_reset(struct rpc *rpc)
{
	struct cfg_info info;
	struct target t;

	if (!take_group(rpc, GROUP, &t))
		return;
	if (!cfg_group_exists(t.group) || !cfg_instance_exists(t.group, t.id)) {
		rpc_fault(rpc, 500, "Reset failed");
		return;
	}
	for (unsigned i = 0; cfg_at(i, &info) == 0; i++)
		if (info.id == 0 && str_eq(info.group, t.group) && !(info.flags & (CFG_READ_ONLY | CFG_WRITE_ONLY)) &&
		    cfg_reset(t.group, t.id, info.name) < 0)
			log_error("cfg_rpc: %.*s.%.*s cannot be reset", STR_FMT(t.group), STR_FMT(info.name));
}

static void rpc_add_inst(struct rpc *rpc)
{
	struct target t;

	if (take_group(rpc, INSTANCE, &t) && cfg_instance_add(t.group, t.id) < 0)
		rpc_fault(rpc, 400, "Failed to add the group instance");
}

static void rpc_del_inst(struct rpc *rpc)
{
	struct target t;

	if (take_group(rpc, INSTANCE, &t) && cfg_instance_del(t.group, t.id) < 0)
		rpc_fault(rpc, 400, "Failed to delete the group instance");
}

/* clang-format off */
static const struct rpc_method rpcs[] = {
	{ "cfg.add_group_inst",     rpc_add_inst,           0, "Adds an instance to a group: group[id]" },
	{ "cfg.commit",             rpc_commit,             0, "Makes the delayed changes" },
	{ "cfg.del",                rpc_del,                0, "Lets the group's value hold for an instance again: group[id], name" },
	{ "cfg.del_delayed",        rpc_del_delayed,        0, "As cfg.del, at the next cfg.commit" },
	{ "cfg.del_group_inst",     rpc_del_inst,           0, "Removes an instance and its values: group[id]" },
	{ "cfg.diff",               rpc_diff,               0, "The delayed changes" },
	{ "cfg.get",                rpc_get,                0, "A value, or all values of a group" },
	{ "cfg.help",               rpc_help,               0, "What a setting is for, and its type" },
	{ "cfg.list",               rpc_list,               RPC_RET_ARRAY, "Names of the settings, of one group or of all" },
	{ "cfg.reset",              rpc_reset,              0, "Sets a group back to its values at start" },
	{ "cfg.rollback",           rpc_rollback,           0, "Forgets the delayed changes" },
	{ "cfg.set",                rpc_set,                0, "Changes a value now: group, name, value" },
	{ "cfg.set_delayed",        rpc_set_delayed,        0, "Changes a value at the next cfg.commit" },
	{ "cfg.set_delayed_int",    rpc_set_delayed_int,    0, "As cfg.set_delayed, a number" },
	{ "cfg.set_delayed_string", rpc_set_delayed_string, 0, "As cfg.set_delayed, a text" },
	{ "cfg.set_now_int",        rpc_set_now_int,        0, "As cfg.set, a number" },
	{ "cfg.set_now_string",     rpc_set_now_string,     0, "As cfg.set, a text" },
	{ "cfg.seti",               rpc_set_now_int,        0, "As cfg.set, a number" },
	{ "cfg.sets",               rpc_set_now_string,     0, "As cfg.set, a text" },
	{ .name = NULL },
};
/* clang-format on */

extern const struct module module_cfg_rpc;
const struct module module_cfg_rpc = { .abi = MODULE_ABI, .name = "cfg_rpc", .rpcs = rpcs };
