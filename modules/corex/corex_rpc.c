/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands: sockets, aliases, the log level, memory. */
#include <stdio.h>

#include "core/base/log.h"
#include "core/net/listener.h"
#include "core/net/myself.h"
#include "core/proc/proc.h"
#include "core/rpc/rpc.h"
#include "core/settings/cfg.h"
#include "modules/corex/corex_priv.h"
#include "shm/arena.h"

/* ---- sockets ---- */

static struct str or_dash(struct str s)
{
	return s.n ? s : STR_LIT("-");
}

static void list_sockets(struct rpc *rpc)
{
	for (unsigned i = 0; i < net_listener_count(); i++) {
		const struct net_listener *l = net_listener_at(i);
		struct rpc_node *n = l ? rpc_add_object(rpc, NULL, NULL) : NULL;
		char ip[NET_ADDR_TEXT_MAX];
		struct str addr;

		if (!n)
			break;
		addr = str_of(ip, net_addr_ip_text(&l->addr, false, ip));
		rpc_add_str(rpc, n, "af", l->addr.family == AF_INET6 ? STR_LIT("ipv6") : STR_LIT("ipv4"));
		rpc_add_str(rpc, n, "proto", str_lit(sip_proto_name(l->proto)));
		rpc_add_str(rpc, n, "name", addr);
		rpc_add_str(rpc, rpc_add_object(rpc, n, "addrlist"), "addr", addr);
		rpc_add_printf(rpc, n, "port", "%u", l->addr.port);
		rpc_add_str(rpc, n, "sockstr", l->sock_text);
		rpc_add_str(rpc, n, "agname", l->name.n ? l->name : STR_LIT("none"));
		rpc_add_str(rpc, n, "mcast", STR_LIT("no"));
		rpc_add_str(rpc, n, "mhomed", net_mhomed() ? STR_LIT("yes") : STR_LIT("no"));
		rpc_add_str(rpc, n, "virtual", l->is_virtual ? STR_LIT("yes") : STR_LIT("no"));
		rpc_add_str(rpc, n, "sockname", or_dash(l->name));
		rpc_add_str(rpc, n, "advertise", l->adv_host.n ? l->adv_text : STR_LIT("-"));
	}
}

static void list_aliases(struct rpc *rpc)
{
	for (unsigned i = 0; i < net_alias_count(); i++) {
		struct rpc_node *n;
		enum sip_proto proto;
		struct str host;
		uint16_t port;

		if (net_alias_at(i, &proto, &host, &port) < 0)
			continue;
		n = rpc_add_object(rpc, NULL, NULL);
		rpc_add_str(rpc, n, "proto", proto == SIP_PROTO_NONE ? STR_LIT("*") : str_lit(sip_proto_name(proto)));
		rpc_add_str(rpc, n, "addr", host);
		if (port)
			rpc_add_int(rpc, n, "port", port);
		else
			rpc_add_str(rpc, n, "port", STR_LIT("*"));
	}
}

/* ---- the log level: the run-time setting core.debug ---- */

static void debug(struct rpc *rpc)
{
	const _Atomic int *at = cfg_int_at(STR_LIT("core"), STR_LIT("debug"));
	int old = at ? atomic_load(at) : log_level();
	struct rpc_node *n;
	struct value v;
	int64_t level;

	if (rpc_args_left(rpc) == 0) {
		rpc_add_int(rpc, rpc_add_object(rpc, NULL, NULL), "debug", old);
		return;
	}
	if (rpc_arg_int(rpc, &level) < 0)
		return;
	v = value_int(level);
	if (cfg_set(STR_LIT("core"), 0, STR_LIT("debug"), &v) < 0) {
		rpc_fault(rpc, 400, "Invalid log level");
		return;
	}
	n = rpc_add_object(rpc, NULL, NULL);
	rpc_add_int(rpc, n, "old", old);
	rpc_add_int(rpc, n, "new", level);
}

/* ---- shared memory ---- */

static void shm_info(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	struct shm_stats s;

	shm_arena_stats(&s);
	rpc_add_str(rpc, n, "name", STR_LIT("arena"));
	rpc_add_int(rpc, n, "size", (int64_t)s.ceiling_bytes);
}

static void shm_numbers(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	struct shm_stats s;

	shm_arena_stats(&s);
	rpc_add_int(rpc, n, "total", (int64_t)s.ceiling_bytes);
	rpc_add_int(rpc, n, "free", (int64_t)(s.ceiling_bytes > s.used_bytes ? s.ceiling_bytes - s.used_bytes : 0));
	rpc_add_int(rpc, n, "used", (int64_t)s.used_bytes);
	rpc_add_int(rpc, n, "real_used", (int64_t)s.committed_bytes);
	rpc_add_int(rpc, n, "max_used", (int64_t)s.max_used_bytes);
	rpc_add_int(rpc, n, "fragments", (int64_t)s.n_spans);
}

/* A piece of memory is an object of a size class: who asked for it is not kept, and what is free has no sizes. */
static void shm_report(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	struct shm_stats s;

	shm_arena_stats(&s);
	rpc_add_int(rpc, n, "total_size", (int64_t)s.ceiling_bytes);
	rpc_add_int(rpc, n, "free_size_s", (int64_t)(s.ceiling_bytes > s.used_bytes ? s.ceiling_bytes - s.used_bytes : 0));
	rpc_add_int(rpc, n, "used_size_s", (int64_t)s.used_bytes);
	rpc_add_int(rpc, n, "real_used_s", (int64_t)s.committed_bytes);
	rpc_add_int(rpc, n, "max_used_s", (int64_t)s.max_used_bytes);
	rpc_add_int(rpc, n, "free_frags", 0);
	rpc_add_int(rpc, n, "used_frags", (int64_t)s.n_objects);
	rpc_add_int(rpc, n, "total_frags", (int64_t)s.n_objects);
}

/* To the log, at a level that is always written. */
static void shm_to_log(struct rpc *rpc)
{
	struct shm_stats s;

	(void)rpc; /* the client is told nothing */
	shm_arena_stats(&s);
	log_write(L_ALERT, "shared memory: ceiling %llu bytes, used %llu, committed %llu, most used %llu, objects %llu in %llu spans",
		  (unsigned long long)s.ceiling_bytes, (unsigned long long)s.used_bytes, (unsigned long long)s.committed_bytes,
		  (unsigned long long)s.max_used_bytes, (unsigned long long)s.n_objects, (unsigned long long)s.n_spans);
}

/* ---- private memory ---- */

/* The processes have no pools: what is told is what the kernel knows of one. The log gets it, as there from the process itself. */
static void pkg_summary(struct rpc *rpc)
{
	struct proc_info p = { 0 };
	struct proc_memory mem;
	struct str selector;
	int64_t v = -1;
	bool by_pid;

	if (rpc_args_left(rpc) < 2 || rpc_arg_any_str(rpc, &selector) < 0 || rpc_arg_int(rpc, &v) < 0) {
		rpc_fault(rpc, 400, "Selector and value not provided");
		return;
	}
	by_pid = str_ieq(selector, STR_LIT("pid"));
	if (!by_pid && !str_ieq(selector, STR_LIT("idx"))) {
		rpc_fault(rpc, 500, "Unsupported selector type");
		return;
	}
	if (!by_pid && (v < 0 || v >= (int64_t)proc_count() || proc_at((unsigned)v, &p) < 0)) {
		rpc_fault(rpc, 500, "Index value out of range");
		return;
	}
	for (unsigned i = 0; by_pid && i < proc_count(); i++)
		if (proc_at(i, &p) == 0 && p.pid == v)
			break;
	if (by_pid && p.pid != v) {
		rpc_fault(rpc, 500, "No such pid");
		return;
	}
	if (proc_memory_of(p.pid, &mem) == 0)
		log_write(L_ALERT, "private memory of process %d (%s): %lld bytes in use, %lld of address space", (int)p.pid, p.desc, (long long)mem.resident,
			  (long long)mem.data);
}

/* clang-format off */
const struct rpc_method corex_rpcs[] = {
	{ "corex.debug",        debug,        0, "The log level; with a number: changes it" },
	{ "corex.list_aliases", list_aliases, RPC_RET_ARRAY, "Names that count as this server" },
	{ "corex.list_sockets", list_sockets, RPC_RET_ARRAY, "Sockets that the server listens on" },
	{ "corex.pkg_summary",  pkg_summary,  0, "Writes the use of private memory of a process to the log: pid or idx, and its number" },
	{ "corex.shm_status",   shm_to_log,   0, "Writes the use of shared memory to the log" },
	{ "corex.shm_summary",  shm_to_log,   0, "Writes the use of shared memory to the log" },
	{ "shm.info",           shm_info,     0, "The manager of shared memory, and its limit" },
	{ "shm.report",         shm_report,   0, "Use of shared memory, bytes and objects" },
	{ "shm.stats",          shm_numbers,  0, "Use of shared memory, bytes" },
	{ .name = NULL },
};
/* clang-format on */
