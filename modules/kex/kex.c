/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module kex: branch and script flags, the destination URI, tests for "myself", log level of a process, and the statistics over RPC.
 */
#include <errno.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"
#include "core/net/myself.h"
#include "core/pv/stat.h"
#include "core/route/route.h"
#include "modules/kex/kex_mem.h"
#include "shm/arena.h"

static struct {
	const _Atomic int *level_at; /* where the level was kept before setdebug() */
	bool level_changed;
	uint32_t uid;    /* counts $sruid */
	int64_t start_s;
} priv;

/* ---- flags ---- */

/* index: the optional second argument; 0 is the main branch. */
static uint32_t *bflags_of(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int64_t i = n > 1 ? a[1].i : 0;

	if (a[0].i < 0 || a[0].i > 31 || i < 0 || i > ctx->n_branches)
		return NULL;
	return i == 0 ? &ctx->main.bflags : &ctx->branch[i - 1].bflags;
}

static int f_setbflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	uint32_t *w = bflags_of(ctx, a, n);

	if (!w)
		return -1;
	*w |= 1u << a[0].i;
	return 1;
}

static int f_resetbflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	uint32_t *w = bflags_of(ctx, a, n);

	if (!w)
		return -1;
	*w &= ~(1u << a[0].i);
	return 1;
}

static int f_isbflagset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const uint32_t *w = bflags_of(ctx, a, n);

	return w && (*w >> a[0].i & 1) ? 1 : -1;
}

static int f_setsflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	if (a[0].i < 0 || a[0].i > 31)
		return -1;
	ctx->sflags |= 1u << a[0].i;
	return 1;
}

static int f_resetsflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	if (a[0].i < 0 || a[0].i > 31)
		return -1;
	ctx->sflags &= ~(1u << a[0].i);
	return 1;
}

static int f_issflagset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return a[0].i >= 0 && a[0].i <= 31 && (ctx->sflags >> a[0].i & 1) ? 1 : -1;
}

/* ---- destination URI ---- */

static int f_setdsturi(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s;

	(void)n;
	if (a[0].s.n == 0)
		return -1;
	s = str_dup(ctx->pool, a[0].s);
	if (!s.s)
		return -1;
	ctx->main.dst_uri = s;
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	return 1;
}

static int f_resetdsturi(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	ctx->main.dst_uri = STR_NULL;
	return 1;
}

static int f_isdsturiset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	return ctx->main.dst_uri.n > 0 ? 1 : -1;
}

/* ---- others ---- */

static int f_pv_printf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct value v = value_str(a[1].s);

	(void)n;
	return pv_set(ctx, a[0].pv, &v) < 0 ? -1 : 1;
}

static int myself(struct str text, bool host_only)
{
	struct sip_uri u;

	if (str_istarts(text, STR_LIT("sip:")) || str_istarts(text, STR_LIT("sips:"))) {
		if (sip_uri_parse(text, &u, NULL) < 0)
			return -1;
		return net_is_myself(u.host, host_only ? 0 : u.port, host_only ? SIP_PROTO_NONE : u.proto) ? 1 : -1;
	}
	if (text.n > 2 && text.s[0] == '[' && text.s[text.n - 1] == ']')
		text = str_sub(text, 1, text.n - 2);
	return text.n > 0 && net_is_myself(text, 0, SIP_PROTO_NONE) ? 1 : -1;
}

static int f_is_myself(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return myself(a[0].s, false);
}

static int f_is_myhost(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return myself(a[0].s, true);
}

static int f_setdebug(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	if (a[0].i < L_ALERT || a[0].i > 10)
		return -1;
	if (!priv.level_changed)
		priv.level_at = log_level_where();
	priv.level_changed = true;
	log_level_at(NULL);
	log_level_set((int)a[0].i);
	return 1;
}

static int f_resetdebug(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)a;
	(void)n;
	if (priv.level_changed)
		log_level_at(priv.level_at);
	priv.level_changed = false;
	return 1;
}

static int sruid_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct str s;
	int err;

	(void)spec;
	err = pool_printf(ctx->pool, &s, "srid-%llx-%x-%x", (unsigned long long)priv.start_s, (unsigned)getpid(), ++priv.uid);
	if (err < 0)
		return err;
	*ret = value_str(s);
	return 0;
}

/* ---- statistics ---- */

enum mem_what { MEM_TOTAL, MEM_USED, MEM_REAL_USED, MEM_MAX_USED, MEM_FREE, MEM_FRAGMENTS };

static int64_t mem_stat(intptr_t what)
{
	struct shm_stats s;

	shm_arena_stats(&s);
	switch ((enum mem_what)what) {
	case MEM_TOTAL:
		return (int64_t)s.ceiling_bytes;
	case MEM_USED:
		return (int64_t)s.used_bytes;
	case MEM_REAL_USED:
		return (int64_t)s.committed_bytes;
	case MEM_MAX_USED:
		return (int64_t)s.max_used_bytes;
	case MEM_FREE:
		return (int64_t)(s.ceiling_bytes - s.used_bytes);
	case MEM_FRAGMENTS:
		return (int64_t)s.n_spans;
	}
	return 0;
}

static const struct stat_def mem_stats[] = {
	{ "shmem", "fragments", mem_stat, MEM_FRAGMENTS }, { "shmem", "free_size", mem_stat, MEM_FREE },
	{ "shmem", "max_used_size", mem_stat, MEM_MAX_USED }, { "shmem", "real_used_size", mem_stat, MEM_REAL_USED },
	{ "shmem", "total_size", mem_stat, MEM_TOTAL }, { "shmem", "used_size", mem_stat, MEM_USED }, { NULL, NULL, NULL, 0 },
};

/* Calls fn for what one argument names: "all", "group:", a name. */
typedef void each_stat_fn(struct rpc *rpc, struct rpc_node *node, const struct stat_ref *ref);

static void each_stat(struct rpc *rpc, struct rpc_node *node, struct str arg, each_stat_fn *fn)
{
	bool all = str_eq(arg, STR_LIT("all")), group = arg.n > 1 && (arg.s[arg.n - 1] == ':' || arg.s[arg.n - 1] == '.');
	struct stat_ref ref;

	if (!all && !group) {
		if (stat_find(arg, &ref) == 0)
			fn(rpc, node, &ref);
		return;
	}
	for (unsigned i = 0; stat_sorted_at(i, &ref) == 0; i++) {
		if (all || str_eq(str_lit(ref.group), str_sub(arg, 0, arg.n - 1)))
			fn(rpc, node, &ref);
	}
}

#define WHICH_TO_SHOW "Please provide which stats to retrieve"
#define WHICH_TO_SET "Please provide stats name"

/* which: the fault of a call without arguments. node: made for the first argument, so that such a call leaves only the fault. */
static void stats_call(struct rpc *rpc, const char *which, bool object, each_stat_fn *fn)
{
	struct rpc_node *node = NULL;
	struct str arg;
	unsigned n = 0;

	while (rpc_args_left(rpc) && rpc_arg_any_str(rpc, &arg) == 0) {
		if (n++ == 0 && object)
			node = rpc_add_object(rpc, NULL, NULL);
		each_stat(rpc, node, arg, fn);
	}
	if (n == 0)
		rpc_fault(rpc, 400, "%s", which);
}

static void stat_text(struct rpc *rpc, struct rpc_node *node, const struct stat_ref *ref)
{
	rpc_add_printf(rpc, node, NULL, "%s:%s = %lld", ref->group, ref->name, (long long)stat_read(ref));
}

static void stat_member(struct rpc *rpc, struct rpc_node *node, const struct stat_ref *ref, bool number)
{
	char name[128];
	struct strbuf sb;

	strbuf_init_fixed(&sb, name, sizeof(name));
	strbuf_printf(&sb, "%s.%s", ref->group, ref->name);
	strbuf_add_char(&sb, '\0');
	if (strbuf_err(&sb) < 0)
		return;
	if (number)
		rpc_add_double(rpc, node, name, (double)stat_read(ref)); /* what binrpc clients are used to */
	else
		rpc_add_printf(rpc, node, name, "%lld", (long long)stat_read(ref));
}

static void stat_member_text(struct rpc *rpc, struct rpc_node *node, const struct stat_ref *ref)
{
	stat_member(rpc, node, ref, false);
}

static void stat_member_number(struct rpc *rpc, struct rpc_node *node, const struct stat_ref *ref)
{
	stat_member(rpc, node, ref, true);
}

static void stat_back(struct rpc *rpc, struct rpc_node *node, const struct stat_ref *ref)
{
	(void)rpc;
	(void)node;
	(void)stat_reset(ref);
}

static void stat_clear(struct rpc *rpc, struct rpc_node *node, const struct stat_ref *ref)
{
	int64_t old = stat_read(ref), now;

	if (!stat_reset(ref)) {
		stat_text(rpc, node, ref);
		return;
	}
	now = stat_read(ref);
	if (now == old)
		stat_text(rpc, node, ref);
	else
		rpc_add_printf(rpc, node, NULL, "%s:%s = %lld (%lld)", ref->group, ref->name, (long long)now, (long long)old);
}

static void rpc_get(struct rpc *rpc)
{
	stats_call(rpc, WHICH_TO_SHOW, false, stat_text);
}

static void rpc_fetch(struct rpc *rpc)
{
	stats_call(rpc, WHICH_TO_SHOW, true, stat_member_text);
}

static void rpc_fetchn(struct rpc *rpc)
{
	stats_call(rpc, WHICH_TO_SHOW, true, stat_member_number);
}

static void rpc_reset(struct rpc *rpc)
{
	stats_call(rpc, WHICH_TO_SET, false, stat_back);
}

static void rpc_clear(struct rpc *rpc)
{
	stats_call(rpc, WHICH_TO_SET, false, stat_clear);
}

static int kex_load(void)
{
	priv.start_s = clock_wall().tv_sec;
	return stat_register(mem_stats);
}

/* clang-format off */
static const struct script_func funcs[] = {
	{ .name = "setbflag",    .fn = f_setbflag,    .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "setbflag",    .fn = f_setbflag,    .n_params = 2, .param = { SP_DINT, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "resetbflag",  .fn = f_resetbflag,  .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "resetbflag",  .fn = f_resetbflag,  .n_params = 2, .param = { SP_DINT, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "isbflagset",  .fn = f_isbflagset,  .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "isbflagset",  .fn = f_isbflagset,  .n_params = 2, .param = { SP_DINT, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "setsflag",    .fn = f_setsflag,    .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "resetsflag",  .fn = f_resetsflag,  .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "issflagset",  .fn = f_issflagset,  .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "setdsturi",   .fn = f_setdsturi,   .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "resetdsturi", .fn = f_resetdsturi, .kinds = CTX_ANY },
	{ .name = "isdsturiset", .fn = f_isdsturiset, .kinds = CTX_ANY },
	{ .name = "pv_printf",   .fn = f_pv_printf,   .n_params = 2, .param = { SP_WPV, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "avp_printf",  .fn = f_pv_printf,   .n_params = 2, .param = { SP_WPV, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_myself",   .fn = f_is_myself,   .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "is_myhost",   .fn = f_is_myhost,   .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "setdebug",    .fn = f_setdebug,    .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "resetdebug",  .fn = f_resetdebug,  .kinds = CTX_ANY },
	{ .name = NULL },
};

static const struct pv_def pvs[] = {
	{ .name = "sruid", .get = sruid_get },
	{ .name = NULL },
};

static const struct rpc_method rpcs[] = {
	{ .name = "mod.mem_stats",          .fn = kex_mod_stats,  .flags = RPC_RET_ARRAY, .doc = "Memory of modules: name or all, and pkg, shm or all" },
	{ .name = "mod.mem_statsx",         .fn = kex_mod_statsx, .flags = RPC_RET_ARRAY, .doc = "As mod.mem_stats, with the number of pieces" },
	{ .name = "mod.stats",              .fn = kex_mod_stats,  .flags = RPC_RET_ARRAY, .doc = "Memory of modules: name or all, and pkg, shm or all" },
	{ .name = "pkg.info",               .fn = kex_pkg_info,   .doc = "The manager of private memory" },
	{ .name = "pkg.stats",              .fn = kex_pkg_stats,  .flags = RPC_RET_ARRAY, .doc = "Private memory of the processes, of all or of one: pid, rank or index, and its number" },
	{ .name = "stats.get_statistics",   .fn = rpc_get,    .flags = RPC_RET_ARRAY, .doc = "Show statistics: all, group: or names" },
	{ .name = "stats.fetch",            .fn = rpc_fetch,  .doc = "Statistics as one object of texts" },
	{ .name = "stats.fetchn",           .fn = rpc_fetchn, .doc = "Statistics as one object of numbers" },
	{ .name = "stats.reset_statistics", .fn = rpc_reset,  .doc = "Set counters back to 0" },
	{ .name = "stats.clear_statistics", .fn = rpc_clear,  .doc = "Set counters back to 0 and show them" },
	{ .name = NULL },
};
/* clang-format on */

const struct module module_kex = {
	.abi = MODULE_ABI,
	.name = "kex",
	.funcs = funcs,
	.pvs = pvs,
	.rpcs = rpcs,
	.load = kex_load,
};
