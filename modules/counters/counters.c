/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module counters: counters that the script declares and changes, and cnt.*, all statistics by group and name. A counter is one of
 * shared memory (shm/counter.h): adding takes no lock. Its name is looked up when the script is compiled.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/pool.h"
#include "core/module/abi.h"
#include "core/pv/stat.h"
#include "shm/counter.h"

#define SCRIPT_COUNTERS_MAX 256u
#define NAME_MAX_BYTES 127u

static struct conf {
	struct str group;
} conf;

static struct {
	struct script_counter {
		struct str group, name, desc; /* group n 0: script_cnt_grp_name */
		int id;
	} counter[SCRIPT_COUNTERS_MAX];
	unsigned n;
} all;

/* ---- declaring ---- */

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.s[i] <= ' ' || s.s[i] == '.' || s.s[i] == ':')
			return false;
	return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

/* "[group.]name[( |:)description]" */
static int declare(void *unused, const struct setting *set, int64_t i, struct str text, struct diag *reterr)
{
	struct script_counter *c = &all.counter[all.n];
	size_t end = 0;
	ptrdiff_t dot;

	(void)unused, (void)set, (void)i; /* a text */
	if (all.n == SCRIPT_COUNTERS_MAX)
		return diag_set(reterr, 0, "script_counter: more than %u", SCRIPT_COUNTERS_MAX);
	while (end < text.n && text.s[end] != ' ' && text.s[end] != ':')
		end++;
	c->name = str_sub(text, 0, end);
	c->desc = str_trim(str_sub(text, end + 1, text.n));
	dot = str_find_char(c->name, '.');
	if (dot >= 0) {
		c->group = str_heap_dup(str_sub(c->name, 0, (size_t)dot));
		c->name = str_sub(c->name, (size_t)dot + 1, c->name.n);
	}
	if (!is_name(c->name) || (dot >= 0 && !is_name(c->group)))
		return diag_set(reterr, 0, "script_counter \"%.*s\": [group.]name[ description] is needed", STR_FMT(text));
	c->name = str_heap_dup(c->name);
	c->id = -1;
	all.n++;
	return 0;
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_FN_STR("script_counter", declare),
	SETTING_STR("script_cnt_grp_name", struct conf, group, "script"),
	SETTING_END
};
/* clang-format on */

static struct str group_of(const struct script_counter *c)
{
	return c->group.n ? c->group : conf.group;
}

/* ---- in the script ---- */

/* "[group.]name" of a declared counter. */
static int name_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	ptrdiff_t dot = str_find_char(text, '.');
	struct str group = dot < 0 ? conf.group : str_sub(text, 0, (size_t)dot);
	struct str name = dot < 0 ? text : str_sub(text, (size_t)dot + 1, text.n);

	(void)pool, (void)index; /* it is ours, and the only one */
	for (unsigned i = 0; i < all.n; i++) {
		if (str_eq(all.counter[i].name, name) && str_eq(group_of(&all.counter[i]), group)) {
			*ret_p = &all.counter[i];
			return 0;
		}
	}
	return diag_set(reterr, 0, "no counter \"%.*s\": declare it with modparam(\"counters\", \"script_counter\", ...)", STR_FMT(text));
}

static int f_inc(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct script_counter *c = a[0].p;

	(void)ctx, (void)n; /* always one */
	shm_counter_add(c->id, 1);
	return 1;
}

static int f_add(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct script_counter *c = a[0].p;

	(void)ctx, (void)n; /* always two */
	shm_counter_add(c->id, a[1].i);
	return 1;
}

static int f_reset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct script_counter *c = a[0].p;

	(void)ctx, (void)n; /* always one */
	shm_counter_reset(c->id);
	return 1;
}

/* ---- commands ---- */

static bool group_is(const struct stat_ref *ref, struct str group)
{
	return str_eq(str_lit(ref->group), group);
}

static int find(struct rpc *rpc, struct str group, struct str name, struct stat_ref *ret)
{
	for (unsigned i = 0; stat_sorted_at(i, ret) == 0; i++)
		if (group_is(ret, group) && str_eq(str_lit(ret->name), name))
			return 0;
	rpc_fault(rpc, 400, "non-existent counter %.*s.%.*s\n", STR_FMT(group), STR_FMT(name));
	return -ENOENT;
}

/* Both parameters, and what they name. */
static int take(struct rpc *rpc, struct stat_ref *ret)
{
	struct str group, name;

	if (rpc_arg_str(rpc, &group) < 0 || rpc_arg_str(rpc, &name) < 0)
		return -EINVAL;
	return find(rpc, group, name, ret);
}

static void group_values(struct rpc *rpc, struct str group)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	struct stat_ref ref;

	for (unsigned i = 0; stat_sorted_at(i, &ref) == 0; i++)
		if (group_is(&ref, group))
			rpc_add_int(rpc, n, ref.name, stat_read(&ref));
}

static void rpc_get(struct rpc *rpc)
{
	struct stat_ref ref;
	struct str group, name;

	if (rpc_arg_str(rpc, &group) < 0)
		return;
	if (rpc_args_left(rpc) == 0)
		group_values(rpc, group);
	else if (rpc_arg_str(rpc, &name) == 0 && find(rpc, group, name, &ref) == 0)
		rpc_add_int(rpc, NULL, NULL, stat_read(&ref));
}

/* What was counted; computed numbers are not. */
static void rpc_get_raw(struct rpc *rpc)
{
	struct stat_ref ref;

	if (take(rpc, &ref) == 0)
		rpc_add_int(rpc, NULL, NULL, ref.def ? 0 : stat_read(&ref));
}

static void rpc_reset(struct rpc *rpc)
{
	struct stat_ref ref;

	if (take(rpc, &ref) == 0)
		(void)stat_reset(&ref); /* what cannot be reset stays, and nobody is told, as clients know it */
}

static void rpc_help(struct rpc *rpc)
{
	struct stat_ref ref;

	if (take(rpc, &ref) < 0)
		return;
	for (unsigned i = 0; i < all.n; i++) {
		if (group_is(&ref, group_of(&all.counter[i])) && str_eq(str_lit(ref.name), all.counter[i].name) && all.counter[i].desc.n) {
			rpc_add_str(rpc, NULL, NULL, all.counter[i].desc);
			return;
		}
	}
	rpc_add_str(rpc, NULL, NULL, STR_LIT("no description"));
}

static void rpc_groups(struct rpc *rpc)
{
	const char *last = "";
	struct stat_ref ref;

	for (unsigned i = 0; stat_sorted_at(i, &ref) == 0; i++) {
		if (strcmp(last, ref.group) != 0)
			rpc_add_str(rpc, NULL, NULL, str_lit(ref.group));
		last = ref.group;
	}
}

static void rpc_vars(struct rpc *rpc)
{
	struct stat_ref ref;
	struct str group;

	if (rpc_arg_str(rpc, &group) < 0)
		return;
	for (unsigned i = 0; stat_sorted_at(i, &ref) == 0; i++)
		if (group_is(&ref, group))
			rpc_add_str(rpc, NULL, NULL, str_lit(ref.name));
}

static void rpc_group(struct rpc *rpc)
{
	struct str group;

	if (rpc_arg_str(rpc, &group) == 0)
		group_values(rpc, group);
}

static int init(void)
{
	for (unsigned i = 0; i < all.n; i++) {
		struct script_counter *c = &all.counter[i];
		struct str group = str_heap_dup(group_of(c)); /* ends in NUL */

		c->id = group.s && c->name.s ? shm_counter_register(group.s, c->name.s) : -ENOMEM;
		if (c->id < 0)
			return log_fail(c->id, "counters: counter %.*s", STR_FMT(c->name));
	}
	return 0;
}

/* clang-format off */
#define KINDS (CTX_REQUEST | CTX_ONREPLY | CTX_FAILURE | CTX_ONSEND)
static const struct script_func funcs[] = {
	{ .name = "cnt_inc",   .fn = f_inc,   .n_params = 1, .param = { SP_FIX },          .kinds = KINDS, .fixup = name_fixup },
	{ .name = "cnt_add",   .fn = f_add,   .n_params = 2, .param = { SP_FIX, SP_DINT }, .kinds = KINDS, .fixup = name_fixup },
	{ .name = "cnt_reset", .fn = f_reset, .n_params = 1, .param = { SP_FIX },          .kinds = KINDS, .fixup = name_fixup },
	{ .name = NULL },
};

static const struct rpc_method rpcs[] = {
	{ "cnt.get",         rpc_get,     0, "A counter: group, name; or all of a group" },
	{ "cnt.get_raw",     rpc_get_raw, 0, "What was counted: group, name; 0 for numbers that are computed" },
	{ "cnt.get_vars",    rpc_group,   0, "All of a group" },
	{ "cnt.grp_get_all", rpc_group,   0, "All of a group" },
	{ "cnt.grps_list",   rpc_groups,  RPC_RET_ARRAY, "Names of the groups" },
	{ "cnt.help",        rpc_help,    0, "What a counter is for: group, name" },
	{ "cnt.list_groups", rpc_groups,  RPC_RET_ARRAY, "Names of the groups" },
	{ "cnt.list_vars",   rpc_vars,    RPC_RET_ARRAY, "Names of the counters of a group" },
	{ "cnt.reset",       rpc_reset,   0, "Sets a counter back to 0: group, name" },
	{ "cnt.var_list",    rpc_vars,    RPC_RET_ARRAY, "Names of the counters of a group" },
	{ .name = NULL },
};
/* clang-format on */

extern const struct module module_counters;
const struct module module_counters = {
	.abi = MODULE_ABI,
	.name = "counters",
	.settings = settings,
	.conf = &conf,
	.funcs = funcs,
	.rpcs = rpcs,
	.init = init,
};
