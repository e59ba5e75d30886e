/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core.top: all that a live view of the server needs, in one answer. Numbers only grow (rates are the reader's business), but for those
 * that say how much there is now. Read from shared memory and /proc; no worker is asked.
 */
#include "core/main/top_cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/proc/proc.h"
#include "core/pv/stat.h"
#include "core/route/latency.h"
#include "core/rpc/rpc.h"
#include "core/settings/cfg.h"
#include "core/tm/tm.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/slab.h"

static int id_requests = -1, id_replies = -1;

/* ---- messages: the counters of group core, by their names ---- */

/* name of a counter is prefix and something: that, in upper case when asked. */
static void add_counters(struct rpc *rpc, struct rpc_node *n, const char *prefix, size_t rest_n, bool upper)
{
	const char *group, *name;
	size_t len = strlen(prefix);

	for (unsigned i = 0; shm_counter_at(i, &group, &name) == 0; i++) {
		char text[32];
		size_t k = 0;

		if (strcmp(group, "core") != 0 || strncmp(name, prefix, len) != 0 || strchr(name + len, '_'))
			continue;
		if (rest_n && (strlen(name + len) != rest_n || strcmp(name + len + 1, "xx") != 0))
			continue;
		for (; name[len + k] && k < sizeof(text) - 1; k++)
			text[k] = (char)(upper && name[len + k] >= 'a' && name[len + k] <= 'z' ? name[len + k] - 32 : name[len + k]);
		text[k] = '\0';
		rpc_add_int(rpc, n, text, shm_counter_read((int)i));
	}
}

static void add_latency(struct rpc *rpc, struct rpc_node *top, const char *name, enum route_latency_of kind)
{
	struct rpc_node *n = rpc_add_object(rpc, top, name), *list;

	rpc_add_int(rpc, n, "sum_us", route_latency_read(kind, ROUTE_LATENCY_BUCKETS));
	list = rpc_add_array(rpc, n, "below_2_4_8_us");
	for (unsigned b = 0; b < ROUTE_LATENCY_BUCKETS; b++)
		rpc_add_int(rpc, list, NULL, route_latency_read(kind, b));
}

/* ---- processes ---- */

/* Milliseconds of CPU and kilobytes in memory, as the kernel has them; 0 when it does not say. */
static void kernel_says(pid_t pid, int64_t *ret_cpu_ms, int64_t *ret_rss_kb)
{
	char path[48], text[1024], *p;
	unsigned long long utime = 0, stime = 0;
	long long rss = 0;
	ssize_t n = -1;
	int fd;

	*ret_cpu_ms = *ret_rss_kb = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		(void)close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	p = strrchr(text, ')'); /* the name may have spaces and brackets in it */
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %lld", &utime, &stime,
			 &rss) != 3)
		return;
	*ret_cpu_ms = (int64_t)((utime + stime) * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
	*ret_rss_kb = (int64_t)rss * (sysconf(_SC_PAGESIZE) / 1024);
}

static void add_process(struct rpc *rpc, struct rpc_node *list, const struct proc_info *p, uint64_t now)
{
	struct rpc_node *n = rpc_add_object(rpc, list, NULL);
	struct shm_slot_info slot;
	int64_t cpu_ms, rss_kb;
	bool known = shm_slot_info(p->slot, &slot) == 0;

	kernel_says(p->pid, &cpu_ms, &rss_kb);
	rpc_add_int(rpc, n, "pid", p->pid);
	rpc_add_int(rpc, n, "slot", p->slot);
	rpc_add_str(rpc, n, "description", str_lit(p->desc));
	rpc_add_int(rpc, n, "restarts", p->restarts);
	if (known && slot.kind != SHM_SLOT_SUPERVISOR) /* it sleeps until a process ends */
		rpc_add_int(rpc, n, "heartbeat_age_ms", now > slot.heartbeat_ms ? (int64_t)(now - slot.heartbeat_ms) : 0);
	rpc_add_int(rpc, n, "cpu_ms", cpu_ms);
	rpc_add_int(rpc, n, "rss_kb", rss_kb);
	rpc_add_int(rpc, n, "lock_waits", known ? (int64_t)slot.n_lock_waits : 0);
	rpc_add_int(rpc, n, "messages", shm_counter_of(id_requests, p->slot) + shm_counter_of(id_replies, p->slot));
}

/* ---- the rest ---- */

static void add_memory(struct rpc *rpc, struct rpc_node *top)
{
	struct rpc_node *n = rpc_add_object(rpc, top, "memory");
	struct shm_stats s;

	shm_arena_stats(&s);
	rpc_add_int(rpc, n, "total", (int64_t)s.ceiling_bytes);
	rpc_add_int(rpc, n, "used", (int64_t)s.used_bytes);
	rpc_add_int(rpc, n, "real_used", (int64_t)s.committed_bytes);
	rpc_add_int(rpc, n, "max_used", (int64_t)s.max_used_bytes);
}

static void add_transactions(struct rpc *rpc, struct rpc_node *top)
{
	struct rpc_node *n = rpc_add_object(rpc, top, "transactions");
	struct tm_stats s;

	tm_stats_read(&s);
	rpc_add_int(rpc, n, "current", s.current);
	rpc_add_int(rpc, n, "waiting", s.waiting);
	rpc_add_int(rpc, n, "total", s.total + s.total_local);
	rpc_add_int(rpc, n, "rpl_sent", s.rpl_sent);
}

/* Groups of statistics that the caller wants besides: modules have theirs, which nobody here knows. */
static void add_stats(struct rpc *rpc, struct rpc_node *top)
{
	struct rpc_node *n = rpc_add_object(rpc, top, "stats");
	struct stat_ref ref;
	struct str group;

	while (rpc_args_left(rpc) && rpc_arg_any_str(rpc, &group) == 0) {
		for (unsigned i = 0; stat_sorted_at(i, &ref) == 0; i++) {
			char name[128];

			if (str_eq(str_lit(ref.group), group) && snprintf(name, sizeof(name), "%s.%s", ref.group, ref.name) < (int)sizeof(name))
				rpc_add_int(rpc, n, name, stat_read(&ref));
		}
	}
}

static void top_cmd(struct rpc *rpc)
{
	struct rpc_node *top = rpc_add_object(rpc, NULL, NULL), *n;
	uint64_t now = clock_update();
	struct proc_info p;

	rpc_add_str(rpc, top, "server", STR_LIT(PACKAGE_STRING));
	rpc_add_int(rpc, top, "now_ms", (int64_t)now);
	rpc_add_int(rpc, top, "uptime_s", clock_wall_s() - proc_started_at());
	add_counters(rpc, rpc_add_object(rpc, top, "requests"), "rcv_requests_", 0, true);
	add_counters(rpc, rpc_add_object(rpc, top, "replies"), "rcv_replies_", 3, false);
	n = rpc_add_object(rpc, top, "latency");
	add_latency(rpc, n, "requests", ROUTE_LATENCY_REQUESTS);
	add_latency(rpc, n, "replies", ROUTE_LATENCY_REPLIES);
	add_transactions(rpc, top);
	add_memory(rpc, top);
	n = rpc_add_array(rpc, top, "processes");
	for (unsigned i = 0; i < proc_count(); i++)
		if (proc_at(i, &p) == 0)
			add_process(rpc, n, &p, now);
	add_stats(rpc, top);
}

static void log_level_cmd(struct rpc *rpc)
{
	struct value v = value_int(0);
	int err;

	if (rpc_args_left(rpc)) {
		if (rpc_arg_is_str(rpc) || rpc_arg_int(rpc, &v.i) < 0) {
			rpc_fault(rpc, 400, "Log level expected: a number");
			return;
		}
		err = cfg_set(STR_LIT("core"), 0, STR_LIT("debug"), &v);
		if (err < 0) {
			rpc_fault(rpc, 400, "Log level %lld: %s", (long long)v.i, err == -ERANGE ? "out of range" : strerror(-err));
			return;
		}
		cfg_catch_up();
	}
	rpc_add_int(rpc, rpc_add_object(rpc, NULL, NULL), "level", log_level());
}

/* clang-format off */
static const struct rpc_method methods[] = {
	{ "core.top", top_cmd, 0, "Returns what a live view needs: messages, latencies, processes, memory. Parameters: groups of statistics to add." },
	{ "core.log_level", log_level_cmd, 0, "Returns the log level, of all processes. Parameter: the new one." },
	{ .name = NULL },
};
/* clang-format on */

int top_register(void)
{
	id_requests = shm_counter_register("core", "rcv_requests");
	id_replies = shm_counter_register("core", "rcv_replies");
	if (id_requests < 0 || id_replies < 0)
		return -ENOSPC;
	return rpc_register(methods);
}
