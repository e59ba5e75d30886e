/* SPDX-License-Identifier: BSD-2-Clause */
/* Module pike: tells which source addresses flood. The counting is in tree.c; this is its face to scripts, logs and RPC. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/module/abi.h"
#include "modules/pike/tree.h"
#include "shm/counter.h"

#define SWEEP_MS 250u
#define SWEEP_PARTS 4u   /* the whole table within a second */
#define SWEEP_US 2000u   /* unless that takes longer than this per turn, which is under 1 % of the worker */
#define SWEEP_BUCKETS 64u
#define ROWS_MAX 10000u

static struct pike_conf {
	int sampling_time_unit, reqs_density_per_unit, remove_latency, log_level;
} conf;

static struct {
	uint32_t sweep_next;
	int counter;
} g;

/* clang-format off */
static const struct setting settings[] = {
	SETTING_INT("sampling_time_unit",    struct pike_conf, sampling_time_unit,    2,   1, 3600),
	SETTING_INT("reqs_density_per_unit", struct pike_conf, reqs_density_per_unit, 30,  1, 100000000),
	SETTING_INT("remove_latency",        struct pike_conf, remove_latency,        120, 1, 86400),
	SETTING_LIVE_INT("pike_log_level",        struct pike_conf, log_level,             L_WARN, L_ALERT, L_DBG),
	SETTING_END
};
static const struct cfg_live live[] = {
	{ "reqs_density_per_unit", NULL, "requests of one address per unit of time before it counts as a flood", 0 },
	{ "remove_latency",        NULL, "how long a flood is remembered, s", 0 },
	{ "pike_log_level",        NULL, "log level of what is found", 0 },
	{ .name = NULL },
};
/* clang-format on */

static int check(const struct net_addr *addr)
{
	char text[NET_ADDR_TEXT_MAX];
	shm_ref node = SHM_NONE;
	enum pike_verdict v = pike_tree_hit(addr, clock_ms() / 1000, &node);
	size_t n;

	if (v == PIKE_NEWLY_BLOCKED) {
		shm_counter_add(g.counter, 1);
		n = net_addr_ip_text(addr, false, text);
		if (log_on(conf.log_level))
			log_write(conf.log_level, "PIKE - BLOCKing ip %.*s, node=0x%x", (int)n, text, node);
	}
	return v;
}

static int w_check_req(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)args;
	(void)n;
	return check(&ctx->rx.src);
}

static int w_check_ip(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct net_addr addr;

	(void)ctx;
	(void)n;
	if (net_addr_parse(args[0].s, 0, &addr) < 0) {
		log_error("pike_check_ip: \"%.*s\" is no IP address", STR_FMT(args[0].s));
		return 1;
	}
	return check(&addr);
}

/* clang-format off */
static const struct script_func funcs[] = {
	{ "pike_check_req", w_check_req, 0, { SP_END },  CTX_REQUEST | CTX_ONREPLY, NULL, 0, false },
	{ "pike_check_ip",  w_check_ip,  1, { SP_DSTR }, CTX_REQUEST | CTX_ONREPLY, NULL, 0, false },
	{ .name = NULL }
};
/* clang-format on */

static void rpc_top(struct rpc *rpc)
{
	struct pike_row *rows;
	struct rpc_node *top, *list, *row;
	struct str what = STR_LIT("HOT");
	char text[NET_ADDR_TEXT_MAX];
	unsigned n;

	if (rpc_args_left(rpc) && rpc_arg_str(rpc, &what) < 0)
		what = STR_NULL;
	if (!str_ieq(what, STR_LIT("HOT")) && !str_ieq(what, STR_LIT("ALL")) && !str_ieq(what, STR_LIT("WARM"))) {
		rpc_fault(rpc, 500, "Bad argument. Select: ALL, HOT or WARM");
		return;
	}
	rows = calloc(ROWS_MAX, sizeof(*rows));
	if (!rows) {
		rpc_fault(rpc, 500, "No memory");
		return;
	}
	/* a full address is never only warm: as in the field, WARM lists nothing */
	n = str_ieq(what, STR_LIT("WARM")) ? 0 : pike_tree_rows(str_ieq(what, STR_LIT("HOT")), clock_update() / 1000, rows, ROWS_MAX);
	top = rpc_add_object(rpc, NULL, NULL);
	rpc_add_int(rpc, top, "max_hits", conf.reqs_density_per_unit);
	list = rpc_add_array(rpc, top, "list");
	for (unsigned i = 0; i < n; i++) {
		size_t len = net_addr_ip_text(&rows[i].addr, false, text);

		row = rpc_add_object(rpc, list, NULL);
		rpc_add_str(rpc, row, "ip_addr", str_of(text, len));
		rpc_add_int(rpc, row, "leaf_hits_prev", rows[i].hits_prev);
		rpc_add_int(rpc, row, "leaf_hits_curr", rows[i].hits_curr);
		rpc_add_int(rpc, row, "expires", rows[i].expires_s);
		rpc_add_str(rpc, row, "status", rows[i].hot ? STR_LIT("HOT") : STR_LIT(""));
	}
	rpc_add_int(rpc, top, "number_of_rows", n);
	free(rows);
}

static const struct rpc_method rpcs[] = {
	{ "pike.top", rpc_top, 0, "Addresses that flood. Parameter: HOT (default), ALL or WARM" },
	{ "pike.list", rpc_top, 0, "The same as pike.top" },
	{ .name = NULL },
};

static void unblocked(shm_ref node)
{
	if (log_on(conf.log_level))
		log_write(conf.log_level, "PIKE - UNBLOCKing node 0x%x", node);
}

static void sweep(void *arg)
{
	uint64_t until_us = clock_now_us() + SWEEP_US;
	unsigned parts = pike_tree_buckets() / SWEEP_PARTS / SWEEP_BUCKETS + 1;

	(void)arg;
	while (parts-- > 0 && clock_now_us() < until_us)
		(void)pike_tree_sweep(&g.sweep_next, SWEEP_BUCKETS, clock_ms() / 1000, unblocked);
}

static struct pike_limits limits_now(void)
{
	return (struct pike_limits){
		.limit = (unsigned)conf.reqs_density_per_unit,
		.unit_s = (unsigned)conf.sampling_time_unit,
		.latency_s = (unsigned)conf.remove_latency,
	};
}

static void live_changed(void)
{
	struct pike_limits limits = limits_now();

	if (limits.latency_s < limits.unit_s)
		limits.latency_s = limits.unit_s;
	pike_tree_limits(&limits);
}

static int init(void)
{
	struct pike_limits limits = limits_now();
	int err;

	if (conf.remove_latency < conf.sampling_time_unit) {
		log_error("pike: remove_latency (%d s) must not be shorter than sampling_time_unit (%d s)", conf.remove_latency,
		          conf.sampling_time_unit);
		return -EINVAL;
	}
	g.counter = shm_counter_register("pike", "blocked_ips");
	err = pike_tree_init(&limits);
	return err < 0 ? log_fail(err, "pike: cannot make the tree of addresses") : 0;
}

static int worker_init(struct loop *loop, unsigned worker)
{
	struct loop_timer *t;

	return worker == 0 ? loop_timer_add(loop, SWEEP_MS, SWEEP_MS, sweep, NULL, &t) : 0;
}

const struct module module_pike = {
	.abi = MODULE_ABI,
	.name = "pike",
	.settings = settings,
	.conf = &conf,
	.live = live,
	.live_changed = live_changed,
	.funcs = funcs,
	.rpcs = rpcs,
	.init = init,
	.worker_init = worker_init,
};
