/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of global parameters. A row says the type, where the value goes, default and range. Rows without a field are
 * known because scripts have them. At another value than the default NEEDLESS ones, which tune what works differently here (pools, pollers,
 * kinds of processes), and ABSENT ones, which Kamailio takes with a warning too when it was built without the thing, are
 * warned about; REFUSED ones ask for a behaviour that is not there.
 */
#include "core/main/params.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "core/base/log.h"
#include "core/settings/cfg.h"
#include "core/script/nearest.h"

#define IPLIMIT_DEFAULT 1024u /* of the language */

enum kind { KIND_INT, KIND_STR, KIND_BOTH };
/* What another value than the default gets. */
enum how { HOW_KEPT, HOW_NEEDLESS /* a note: what it tunes is not here */, HOW_ABSENT /* a warning */, HOW_REFUSED };

struct row {
	const char *name;
	enum kind kind;
	ptrdiff_t offset; /* in struct main_conf; -1: none */
	int64_t def, min, max;
	const char *why; /* of HOW_: said after the name */
	bool live;       /* a reload of the script may change it */
	enum how how;
};

/* clang-format off */
#define KEPT(name_, kind_, field_, def_, min_, max_, live_) { .name = name_, .kind = KIND_##kind_, .offset = offsetof(struct main_conf, field_), .def = def_, .min = min_, .max = max_, .live = live_ }
#define LIVE_INT(name_, field_, def_, min_, max_) KEPT(name_, INT, field_, def_, min_, max_, true)
#define LIVE_STR(name_, field_) KEPT(name_, STR, field_, 0, 0, 0, true)
#define INT(name_, field_, def_, min_, max_) KEPT(name_, INT, field_, def_, min_, max_, false)
#define BOTH(name_, field_, def_, min_, max_) KEPT(name_, BOTH, field_, def_, min_, max_, false)
#define STR(name_, field_) KEPT(name_, STR, field_, 0, 0, 0, false)
#define WITHOUT(name_, kind_, def_, why_, how_) { .name = name_, .kind = KIND_##kind_, .offset = -1, .def = def_, .min = INT64_MIN, .max = INT64_MAX, .why = why_, .how = how_ }
#define NEEDLESS(name_, kind_, def_, why_) WITHOUT(name_, kind_, def_, why_, HOW_NEEDLESS)
#define ABSENT(name_, kind_, def_, why_) WITHOUT(name_, kind_, def_, why_, HOW_ABSENT)
#define REFUSED(name_, kind_, def_, why_) WITHOUT(name_, kind_, def_, why_, HOW_REFUSED)
#define ASYNC "a run that waits leaves its worker free"
#define BLOCKLIST "there is no list of destinations that failed"
#define DNS_CACHE "the cache keeps to its bounds by itself"
#define MEMORY "memory is not taken piece by piece from pools that could be joined, checked or dumped"
#define PV_CACHE "names of variables are compiled with the script"
#define RAW "raw sockets are not built in"
#define SCTP "SCTP is not built in"
#define TLS "TLS is not built in"
#define TLS_MODULE "it is a parameter of module tls"
#define WORKER1 "no worker needs another one to start"
#define WORKERS "each worker serves all sockets and connections, and children is their number"

static const struct row rows[] = { /* sorted by name */
	STR("advertised_address", advertised_address),
	INT("advertised_port", advertised_port, 0, 0, 65535),
	NEEDLESS("async_nonblock", INT, 0, ASYNC),
	REFUSED("async_tkv_evcb", STR, 0, "nothing sends events of type, key and value"),
	REFUSED("async_tkv_gname", STR, 0, "nothing sends events of type, key and value"),
	NEEDLESS("async_usleep", INT, 0, ASYNC),
	NEEDLESS("async_workers", INT, 0, ASYNC),
	NEEDLESS("async_workers_group", STR, 0, ASYNC),
	INT("auto_aliases", auto_aliases, 1, 0, 1),
	INT("auto_bind_ipv6", auto_bind_ipv6, 0, 0, 1),
	INT("auto_domains", auto_aliases, 1, 0, 1),
	INT("bind_ipv6_link_local", bind_ipv6_link_local, 0, 0, 2),
	LIVE_INT("check_via", check_via, 0, 0, 1),
	INT("children", children, 0, 1, 100),
	STR("chroot", chroot),
	NEEDLESS("core_log", INT, -1, "an error of the core is logged as an error"),
	NEEDLESS("corelog", INT, -1, "an error of the core is logged as an error"),
	STR("coreparam[iuid]", iuid),
	NEEDLESS("coreparam[random_engine]", STR, 0, "random numbers are the system's"),
	NEEDLESS("coreparam[timer_sanity_check]", INT, 0, "timers follow a clock that is never set back"),
	LIVE_INT("debug", debug, 0, -10, 100),
	INT("disable_core_dump", disable_core_dump, 0, 0, 1),
	ABSENT("disable_sctp", INT, 1, SCTP),
	INT("disable_tcp", disable_tcp, 0, 0, 1),
	ABSENT("disable_tls", INT, 1, TLS),
	LIVE_INT("dns", via_dns, 0, 0, 1),
	NEEDLESS("dns_cache_del_nonexp", INT, 0, DNS_CACHE),
	NEEDLESS("dns_cache_delete_nonexpired", INT, 0, DNS_CACHE),
	INT("dns_cache_flags", dns_cache_flags, 0, 0, 7),
	NEEDLESS("dns_cache_gc_interval", INT, 120, DNS_CACHE),
	INT("dns_cache_init", dns_cache_init, 1, 0, 1),
	INT("dns_cache_max_ttl", dns_cache_max_ttl, 2147483, 0, 2147483647),
	INT("dns_cache_mem", dns_cache_mem, 500, 0, 1048576),
	INT("dns_cache_min_ttl", dns_cache_min_ttl, 0, 0, 2147483),
	INT("dns_cache_negative_ttl", dns_cache_negative_ttl, 60, 0, 2147483),
	NEEDLESS("dns_cache_rec_pref", INT, 0, "a new answer takes the place of an old one"),
	INT("dns_naptr_ignore_rfc", dns_naptr_ignore_rfc, 1, 0, 1),
	INT("dns_retr_no", dns_retr_no, 0, 0, 100),
	INT("dns_retr_time", dns_retr_time, 0, 0, 3600),
	LIVE_INT("dns_rev_via", via_rev_dns, 0, 0, 1),
	ABSENT("dns_sctp_pref", INT, 20, SCTP),
	ABSENT("dns_sctp_preference", INT, 20, SCTP),
	NEEDLESS("dns_search_full_match", INT, 1, "an answer whose name is not the one that was asked, its domain included, is never taken"),
	INT("dns_servers_no", dns_servers_no, 0, 0, 16),
	INT("dns_slow_query_ms", dns_slow_query_ms, 0, 0, 2147483),
	INT("dns_srv_lb", dns_srv_lb, 0, 0, 1),
	INT("dns_srv_loadbalancing", dns_srv_lb, 0, 0, 1),
	INT("dns_tcp_pref", dns_tcp_pref, 20, -10000, 10000),
	INT("dns_tcp_preference", dns_tcp_pref, 20, -10000, 10000),
	INT("dns_tls_pref", dns_tls_pref, 10, -10000, 10000),
	INT("dns_tls_preference", dns_tls_pref, 10, -10000, 10000),
	INT("dns_try_ipv6", dns_try_ipv6, 1, 0, 1),
	INT("dns_try_naptr", dns_try_naptr, 0, 0, 1),
	INT("dns_udp_pref", dns_udp_pref, 30, -10000, 10000),
	INT("dns_udp_preference", dns_udp_pref, 30, -10000, 10000),
	INT("dns_use_cache", use_dns_cache, 1, 0, 1),
	LIVE_INT("dns_use_failover", use_dns_failover, 0, 0, 1),
	INT("dns_use_search_list", dns_use_search_list, 1, 0, 1),
	NEEDLESS("dst_blocklist_expire", INT, 60, BLOCKLIST),
	NEEDLESS("dst_blocklist_gc_interval", INT, 60, BLOCKLIST),
	NEEDLESS("dst_blocklist_init", INT, 1, BLOCKLIST),
	NEEDLESS("dst_blocklist_mem", INT, 250, BLOCKLIST),
	NEEDLESS("dst_blocklist_sctp_imask", INT, 0, BLOCKLIST),
	NEEDLESS("dst_blocklist_tcp_imask", INT, 0, BLOCKLIST),
	NEEDLESS("dst_blocklist_tls_imask", INT, 0, BLOCKLIST),
	NEEDLESS("dst_blocklist_ttl", INT, 60, BLOCKLIST),
	NEEDLESS("dst_blocklist_udp_imask", INT, 0, BLOCKLIST),
	REFUSED("enable_sctp", INT, 2, "SCTP is not built in"),
	ABSENT("enable_tls", INT, 0, TLS),
	INT("exit_timeout", exit_timeout, 60, 0, 3600),
	LIVE_INT("force_rport", force_rport, 0, 0, 1),
	INT("fork", fork, 1, 0, 1),
	NEEDLESS("fork_delay", INT, 0, "start-up does not wait"),
	STR("gid", group),
	STR("group", group),
	NEEDLESS("hdr_name_extra_chars", STR, 0, "the name of a header field may have any character but white space and the colon"),
	LIVE_INT("http_reply_hack", http_reply_parse, 0, 0, 1),
	LIVE_INT("http_reply_parse", http_reply_parse, 0, 0, 1),
	INT("ip_free_bind", free_bind, 0, -1, 1),
	INT("ip_nonlocal_bind", free_bind, 0, -1, 1),
	INT("ipfreebind", free_bind, 0, -1, 1),
	STR("ipv6_hex_style", ipv6_hex_style),
	LIVE_INT("latency_cfg_log", latency_cfg_log, 3, -10, 100),
	LIVE_INT("latency_limit_action", latency_limit_action, 0, 0, 2147483647),
	LIVE_INT("latency_limit_cfg", latency_limit_cfg, 0, 0, 2147483647),
	LIVE_INT("latency_limit_db", latency_limit_db, 0, 0, 2147483647),
	LIVE_INT("latency_log", latency_log, -1, -10, 100),
	LIVE_INT("local_rport", local_rport, 0, 0, 1),
	INT("log_color", log_color, 0, 0, 1),
	STR("log_engine_data", log_engine_data),
	STR("log_engine_type", log_engine_type),
	STR("log_facility", log_facility),
	STR("log_name", log_name),
	LIVE_STR("log_prefix", log_prefix),
	LIVE_INT("log_prefix_mode", log_prefix_mode, 0, 0, 3),
	INT("log_repeat_limit", log_repeat_limit, 20, 0, 1000000),
	INT("log_repeat_window", log_repeat_window, 5, 1, 3600),
	INT("log_stderror", log_stderror, 0, 0, 1),
	INT("max_branches", max_branches, 12, 1, 31),
	LIVE_INT("max_recursive_level", max_recursive_level, 256, 1, 1024),
	LIVE_INT("max_while_loops", max_while_loops, 100, 0, 2147483647),
	INT("maxbuffer", maxbuffer, 262144, 1, 2147483647),
	INT("maxsndbuffer", maxsndbuffer, 262144, 1, 2147483647),
	ABSENT("mcast", BOTH, 0, "multicast is not built in"),
	ABSENT("mcast_loopback", INT, 0, "multicast is not built in"),
	ABSENT("mcast_ttl", INT, -1, "multicast is not built in"),
	NEEDLESS("mem_add_size", INT, 0, MEMORY),
	NEEDLESS("mem_dbg", INT, 4, MEMORY),
	NEEDLESS("mem_dump_pkg", INT, 0, MEMORY),
	NEEDLESS("mem_join", INT, 1, MEMORY),
	NEEDLESS("mem_log", INT, 4, MEMORY),
	NEEDLESS("mem_safety", INT, 1, MEMORY),
	NEEDLESS("mem_status_mode", INT, 0, MEMORY),
	NEEDLESS("mem_summary", INT, 12, MEMORY),
	NEEDLESS("memdbg", INT, 4, MEMORY),
	NEEDLESS("memlog", INT, 4, MEMORY),
	INT("mhomed", mhomed, 0, 0, 1),
	INT("mlock_pages", mlock_pages, 0, 0, 1),
	NEEDLESS("modinit_delay", INT, 0, "start-up does not wait"),
	LIVE_INT("msg_apply_changes_mode", msg_apply_changes_mode, 0, 0, 1),
	NEEDLESS("msg_clone_extra_size", INT, 0, "a transaction keeps what was received and what is changed apart"),
	INT("msg_recv_max_size", msg_recv_max_size, 32767, 256, 65535),
	NEEDLESS("msg_time", INT, 1, "the time of receipt is always there"),
	LIVE_INT("onsend_route_reply", onsend_route_reply, 0, 0, 1),
	INT("open_files_limit", open_files_limit, 0, 0, 2147483647),
	INT("phone2tel", phone2tel, 1, 0, 1),
	INT("pmtu_discovery", pmtu_discovery, 0, 0, 2),
	INT("port", port, 5060, 1, 65535),
	LIVE_INT("pv_buffer_size", pv_buffer_size, 32768, 1024, 16777216),
	NEEDLESS("pv_buffer_slots", INT, 40, "texts live as long as their message"),
	NEEDLESS("pv_cache_action", INT, 0, PV_CACHE),
	NEEDLESS("pv_cache_limit", INT, 2048, PV_CACHE),
	INT("real_time", real_time, 0, 0, 7),
	LIVE_INT("received_route_mode", received_route_mode, 0, 0, 3),
	LIVE_INT("reply_to_via", reply_to_via, 0, 0, 1),
	LIVE_INT("return_mode", return_mode, 0, 0, 1),
	LIVE_INT("rev_dns", via_rev_dns, 0, 0, 1),
	INT("route_locks_size", route_locks_size, 0, 0, 65536),
	LIVE_INT("rpc_exec_delta", rpc_exec_delta, 0, 0, 86400),
	NEEDLESS("rpc_exec_locks", INT, 0, "one process runs commands, one after the other"),
	NEEDLESS("rpc_exec_locks_mode", INT, 0, "one process runs commands, one after the other"),
	NEEDLESS("rt_fast_timer_prio", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	NEEDLESS("rt_ftimer_policy", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	NEEDLESS("rt_ftimer_prio", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	INT("rt_policy", rt_policy, 0, 0, 2),
	INT("rt_prio", rt_prio, 0, 0, 99),
	NEEDLESS("rt_stimer_policy", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	NEEDLESS("rt_stimer_prio", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	NEEDLESS("rt_timer1_policy", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	NEEDLESS("rt_timer1_prio", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	NEEDLESS("rt_timer2_policy", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	NEEDLESS("rt_timer2_prio", INT, 0, "timers run in the workers: rt_prio and rt_policy are for those"),
	STR("run_dir", rundir),
	STR("rundir", rundir),
	NEEDLESS("sctp_children", INT, 0, SCTP),
	INT("ser_kill_timeout", exit_timeout, 60, 0, 3600),
	LIVE_STR("server_header", server_header),
	INT("server_id", server_id, 0, 0, 2147483647),
	LIVE_INT("server_signature", server_signature, 1, 0, 1),
	INT("shm", shm_mb, 0, 1, 16777216),
	NEEDLESS("shm_force_alloc", INT, 0, "shared memory is committed as it grows, and -m is its ceiling"),
	INT("shm_mem", shm_mb, 0, 1, 16777216),
	INT("shm_mem_size", shm_mb, 0, 1, 16777216),
	LIVE_INT("sip_parser_log", sip_parser_log, -1, -10, 100),
	NEEDLESS("sip_parser_log_oneline", INT, 0, "a bad message is told in one line"),
	LIVE_INT("sip_parser_mode", sip_parser_mode, 1, 0, 1),
	LIVE_INT("sip_warning", sip_warning, 0, 0, 1),
	NEEDLESS("socket_workers", INT, 0, WORKERS),
	NEEDLESS("sql_buffer_size", INT, 65535, "values are bound, not written into SQL"),
	STR("stats_name_separator", stats_name_separator),
	INT("tcp_accept_aliases", tcp_accept_aliases, 0, 0, 1),
	INT("tcp_accept_haproxy", tcp_accept_haproxy, 0, 0, 1),
	REFUSED("tcp_accept_hep3", INT, 0, "HEP is not built in"),
	INT("tcp_accept_iplimit", tcp_accept_iplimit, -1, 0, 16777215),
	INT("tcp_accept_no_cl", tcp_accept_no_cl, 0, 0, 1),
	ABSENT("tcp_accept_protocols", BOTH, 92, "SIP is the only protocol on SIP ports"),
	ABSENT("tcp_accept_protos", BOTH, 92, "SIP is the only protocol on SIP ports"),
	INT("tcp_accept_unique", tcp_accept_unique, 0, 0, 1),
	NEEDLESS("tcp_async", INT, 1, "a worker never waits for a connection: what it does not take is queued"),
	NEEDLESS("tcp_buf_write", INT, 1, "a worker never waits for a connection: what it does not take is queued"),
	NEEDLESS("tcp_check_timer", INT, -1, "each connection has its own timer"),
	NEEDLESS("tcp_children", INT, 0, WORKERS),
	NEEDLESS("tcp_clone_rcvbuf", INT, 0, "received bytes are never changed"),
	INT("tcp_close_rst", tcp_close_rst, 0, 0, 1),
	INT("tcp_conn_wq_max", tcp_conn_wq_max, 32768, 1024, 2147483647),
	INT("tcp_connect_timeout", tcp_connect_timeout, 10, -1, 3600),
	INT("tcp_connection_lifetime", tcp_connection_lifetime, 120, -1, 2147483),
	INT("tcp_connection_match", tcp_connection_match, 0, 0, 1),
	INT("tcp_crlf_ping", tcp_crlf_ping, 1, 0, 1),
	INT("tcp_defer_accept", tcp_defer_accept, 0, 0, 1),
	INT("tcp_delayed_ack", tcp_delayed_ack, 1, 0, 1),
	NEEDLESS("tcp_fd_cache", INT, 1, "a connection belongs to one worker"),
	INT("tcp_keepalive", tcp_keepalive, 1, 0, 1),
	INT("tcp_keepcnt", tcp_keepcnt, 0, 0, 127),
	INT("tcp_keepidle", tcp_keepidle, 0, 0, 32767),
	INT("tcp_keepintvl", tcp_keepintvl, 0, 0, 32767),
	INT("tcp_linger2", tcp_linger2, 0, 0, 3600),
	INT("tcp_listen_backlog", tcp_listen_backlog, 1024, 1, 65535),
	NEEDLESS("tcp_main_threads", INT, 0, WORKERS),
	INT("tcp_max_connections", tcp_max_connections, 2048, 0, 16777215),
	NEEDLESS("tcp_msg_data_timeout", INT, 20, "tcp_msg_read_timeout counts from the first byte"),
	INT("tcp_msg_read_timeout", tcp_msg_read_timeout, 20, 1, 3600),
	INT("tcp_no_connect", tcp_no_connect, 0, 0, 1),
	NEEDLESS("tcp_poll_method", STR, 0, "epoll is what is used"),
	INT("tcp_rd_buf_size", tcp_rd_buf_size, 16384, 1024, 65535),
	INT("tcp_reuse_port", tcp_reuse_port, 0, 0, 1),
	NEEDLESS("tcp_script_mode", INT, 0, "only bytes that are no message close a connection"),
	INT("tcp_send_timeout", tcp_send_timeout, 10, -1, 3600),
	STR("tcp_source_ipv4", tcp_source_ipv4),
	STR("tcp_source_ipv6", tcp_source_ipv6),
	INT("tcp_syncnt", tcp_syncnt, 0, 0, 127),
	INT("tcp_wait_data", tcp_wait_data, 5000, 1, 3600000),
	NEEDLESS("tcp_wq_blk_size", INT, 2100, "what waits to be sent is kept as it was built"),
	INT("tcp_wq_max", tcp_wq_max, 10485760, 1024, 2147483647),
	ABSENT("tls_ca_list", STR, 0, TLS_MODULE),
	ABSENT("tls_certificate", STR, 0, TLS_MODULE),
	ABSENT("tls_connection_match_domain", INT, 0, TLS),
	ABSENT("tls_disable", INT, 1, TLS),
	ABSENT("tls_enable", INT, 0, TLS),
	ABSENT("tls_handshake_timeout", BOTH, 0, TLS_MODULE),
	ABSENT("tls_log", INT, 5061, TLS),
	ABSENT("tls_max_connections", INT, 2048, TLS),
	ABSENT("tls_method", STR, 0, TLS_MODULE),
	ABSENT("tls_port_no", INT, 5061, TLS),
	ABSENT("tls_private_key", STR, 0, TLS_MODULE),
	ABSENT("tls_require_certificate", BOTH, 0, TLS_MODULE),
	ABSENT("tls_send_timeout", BOTH, 0, TLS_MODULE),
	ABSENT("tls_threads_mode", INT, 2, TLS),
	ABSENT("tls_verify", BOTH, 0, TLS_MODULE),
	BOTH("tos", tos, 16, 0, 255),
	ABSENT("udp4_raw", INT, 0, RAW),
	ABSENT("udp4_raw_mtu", INT, 1500, RAW),
	ABSENT("udp4_raw_ttl", INT, -1, RAW),
	INT("udp_accept_proxy", udp_accept_proxy, 0, 0, 3),
	LIVE_INT("udp_mtu", udp_mtu, 0, 0, 65535),
	LIVE_STR("udp_mtu_try_proto", udp_mtu_try_proto),
	NEEDLESS("udp_receiver_mode", INT, 0, WORKERS),
	STR("uid", user),
	STR("uri_host_extra_chars", uri_host_extra_chars),
	INT("use_dns_cache", use_dns_cache, 1, 0, 1),
	LIVE_INT("use_dns_failover", use_dns_failover, 0, 0, 1),
	REFUSED("use_dst_blocklist", INT, 0, "a list of destinations that failed is not built in"),
	STR("user", user),
	LIVE_STR("user_agent_header", user_agent_header),
	NEEDLESS("verbose_startup", INT, 0, "-c tells what is wrong, --cfg-print shows what is read"),
	STR("version_table", version_table),
	NEEDLESS("wait_worker1_mode", INT, 0, WORKER1),
	NEEDLESS("wait_worker1_time", INT, 4000000, WORKER1),
	NEEDLESS("wait_worker1_usleep", INT, 100000, WORKER1),
	STR("wdir", workdir),
	STR("workdir", workdir),
	LIVE_STR("xavp_via_fields", xavp_via_fields),
	LIVE_STR("xavp_via_params", xavp_via_params),
	LIVE_STR("xavp_via_reply_params", xavp_via_reply_params),
};
/* clang-format on */

unsigned params_count(void)
{
	return ARRAY_LEN(rows);
}

const char *params_name(unsigned i)
{
	return i < ARRAY_LEN(rows) ? rows[i].name : NULL;
}

static int *int_field(struct main_conf *conf, const struct row *r)
{
	return (int *)(void *)((char *)conf + r->offset);
}

static struct str *str_field(struct main_conf *conf, const struct row *r)
{
	return (struct str *)(void *)((char *)conf + r->offset);
}

void params_defaults(struct main_conf *conf)
{
	size_t i;

	*conf = (struct main_conf){ 0 };
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].offset >= 0 && rows[i].kind != KIND_STR)
			*int_field(conf, &rows[i]) = (int)rows[i].def;
	conf->log_facility = STR_LIT("LOG_DAEMON");
	conf->version_table = STR_LIT("version");
	conf->ipv6_hex_style = STR_LIT("c");
	conf->stats_name_separator = STR_LIT("_");
	conf->server_header = STR_LIT("Server: ringfort");
	conf->user_agent_header = STR_LIT("User-Agent: ringfort");
}

static const struct row *find(struct str name)
{
	size_t lo = 0, hi = ARRAY_LEN(rows);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = str_cmp(name, str_lit(rows[mid].name));

		if (c == 0)
			return &rows[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

int params_row(struct str name)
{
	const struct row *r = find(name), *first = rows;

	while (r && first->offset != r->offset)
		first++;
	return r ? (int)(first - rows) : -1;
}

void *params_field(struct main_conf *conf, unsigned row)
{
	return rows[row].offset < 0 ? NULL : (char *)conf + rows[row].offset;
}

bool params_row_is_text(unsigned row)
{
	return rows[row].kind == KIND_STR;
}

void params_copy_live(struct main_conf *to, const struct main_conf *from)
{
	struct str group, name;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		if (!r->live || cfg_followed(params_field(to, (unsigned)i), &group, &name))
			continue;
		if (r->kind == KIND_STR)
			*(struct str *)params_field(to, (unsigned)i) = *(const struct str *)(const void *)((const char *)from + r->offset);
		else
			*(int *)params_field(to, (unsigned)i) = *(const int *)(const void *)((const char *)from + r->offset);
	}
}

static void row_text(const struct main_conf *conf, const struct row *r, char *out, size_t n)
{
	const char *field = (const char *)conf + r->offset;
	struct str s;

	if (r->kind != KIND_STR) {
		(void)snprintf(out, n, "%d", *(const int *)(const void *)field);
		return;
	}
	s = *(const struct str *)(const void *)field;
	(void)snprintf(out, n, "\"%.*s\"", (int)(s.n < 80 ? s.n : 80), s.n ? s.s : "");
}

void params_compare(const struct main_conf *was, const struct main_conf *is, params_change_fn *fn, void *arg)
{
	char from[96], to[96];
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		bool same;

		if (r->offset < 0)
			continue;
		for (k = 0; k < i && rows[k].offset != r->offset; k++)
			; /* a second name of the same */
		same = r->kind == KIND_STR ? str_eq(*(const struct str *)(const void *)((const char *)was + r->offset),
						    *(const struct str *)(const void *)((const char *)is + r->offset))
					   : *(const int *)(const void *)((const char *)was + r->offset) ==
						     *(const int *)(const void *)((const char *)is + r->offset);
		if (k < i || same)
			continue;
		row_text(was, r, from, sizeof(from));
		row_text(is, r, to, sizeof(to));
		fn(arg, (unsigned)i, r->name, r->live, from, to);
	}
}

/* (quirk of the language) the names are compared inverted there: numbers are what works. */
static int tos_word(struct str s)
{
	return str_eq(s, STR_LIT("IPTOS_THROUGHPUT")) ? 8 : str_eq(s, STR_LIT("IPTOS_RELIABILITY")) ? 4 : 16;
}

/* family 0: none of this family in s. */
static struct net_addr source_address(struct str s, int family)
{
	struct net_addr a;

	return net_addr_parse(s, 0, &a) == 0 && a.family == family ? a : (struct net_addr){ 0 };
}

/* A row that keeps nothing. */
static int without(const struct row *r, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	bool as_default = is_int ? i == r->def : r->kind == KIND_STR && s.n == 0;

	if (as_default || (strcmp(r->name, "enable_sctp") == 0 && i == 0))
		return 0;
	if (r->how == HOW_REFUSED)
		return diag_err(reterr, -ENOTSUP, 0, "%s is not supported: %s", r->name, r->why);
	return diag_err(reterr, 1, 0, "%s %s: %s", r->name, r->how == HOW_NEEDLESS ? "is not needed" : "has no effect", r->why);
}

int params_set(struct main_conf *conf, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	const struct row *r = find(name);
	struct nearest near;
	size_t k;

	if (!r) {
		nearest_begin(&near, name);
		for (k = 0; k < ARRAY_LEN(rows); k++)
			nearest_try(&near, str_lit(rows[k].name));
		return diag_unknown(reterr, DIAG_PARAMETER, 0, name, nearest_result(&near), "unknown parameter '%.*s'", STR_FMT(name));
	}
	if (r->kind == KIND_INT && !is_int)
		return diag_set(reterr, 0, "%s: a number is needed", r->name);
	if (r->kind == KIND_STR && is_int)
		return diag_set(reterr, 0, "%s: a text in quotes is needed", r->name);
	if (is_int && r->offset >= 0 && (i < r->min || i > r->max))
		return diag_set(reterr, 0, "%s: %lld is not from %lld to %lld", r->name, (long long)i, (long long)r->min, (long long)r->max);
	if (r->offset < 0)
		return without(r, is_int, i, s, reterr);
	if (r->kind == KIND_STR)
		*str_field(conf, r) = s;
	else
		*int_field(conf, r) = is_int ? (int)i : tos_word(s);
	if (strcmp(r->name, "udp_mtu_try_proto") == 0 && sip_proto_lookup(s) == SIP_PROTO_NONE)
		return diag_set(reterr, 0, "udp_mtu_try_proto: protocol expected");
	if (strcmp(r->name, "stats_name_separator") == 0 && s.n != 1)
		return diag_set(reterr, 0, "stats_name_separator: one character expected");
	if (strcmp(r->name, "tcp_source_ipv4") == 0 && source_address(s, AF_INET).family == 0)
		return diag_set(reterr, 0, "tcp_source_ipv4: IPv4 address expected");
	if (strcmp(r->name, "tcp_source_ipv6") == 0 && source_address(s, AF_INET6).family == 0)
		return diag_set(reterr, 0, "tcp_source_ipv6: IPv6 address expected");
	if (strcmp(r->name, "ipv6_hex_style") == 0 && !str_eq(s, STR_LIT("a")) && !str_eq(s, STR_LIT("A")) && !str_eq(s, STR_LIT("c")))
		return diag_set(reterr, 0, "ipv6_hex_style: \"a\", \"A\" or \"c\" expected");
	if (strcmp(r->name, "uri_host_extra_chars") == 0 && !sip_host_extra_allowed(s))
		return diag_set(reterr, 0, "uri_host_extra_chars: white space, controls and the characters that end a host (: ; ? @ , < > [ ] \") cannot be part of one");
	if (strcmp(r->name, "log_engine_type") == 0 && !str_eq(s, STR_LIT("json")))
		return diag_set(reterr, 0, "log_engine_type: '%.*s' is not here, json is", STR_FMT(s));
	if (strcmp(r->name, "log_engine_data") == 0 && log_json_flags(s, &(unsigned){ 0 }) < 0)
		return diag_set(reterr, 0, "log_engine_data: '%.*s': letters of a A c j M N p U expected", STR_FMT(s));
	if (strcmp(r->name, "log_facility") == 0 && params_facility(s) < 0)
		return diag_set(reterr, 0, "log_facility: unknown facility '%.*s'", STR_FMT(s));
	if (r->offset == offsetof(struct main_conf, real_time) && (i & 3) != 0)
		return diag_err(reterr, 1, 0, "real_time: 1 and 2 have no effect, timers run in the workers: use 4");
	return 0;
}

void params_to_route(const struct main_conf *c, struct route_conf *r)
{
	r->force_rport = c->force_rport;
	r->local_rport = c->local_rport;
	r->check_via = c->check_via;
	r->via_dns = c->via_dns != 0;
	r->via_rev_dns = c->via_rev_dns != 0;
	r->reply_to_via = c->reply_to_via;
	r->onsend_route_reply = c->onsend_route_reply;
	r->received_route_mode = c->received_route_mode;
	r->msg_apply_changes_mode = c->msg_apply_changes_mode;
	r->sip_warning = c->sip_warning;
	r->mhomed = c->mhomed;
	r->udp_mtu = c->udp_mtu;
	r->udp_mtu_try_proto = sip_proto_lookup(c->udp_mtu_try_proto);
	r->sip_parser_log = c->sip_parser_log;
	r->server_signature = c->server_signature != 0;
	r->server_header = c->server_header;
	r->user_agent_header = c->user_agent_header;
	r->xavp_via_params = c->xavp_via_params;
	r->xavp_via_fields = c->xavp_via_fields;
	r->xavp_via_reply_params = c->xavp_via_reply_params;
	r->server_id = c->server_id;
	r->log_prefix = c->log_prefix;
	r->log_prefix_mode = c->log_prefix_mode;
	r->log_callid = c->log_engine_type.n > 0 && str_find_char(c->log_engine_data, 'c') >= 0;
	r->latency_limit_cfg_us = (unsigned)c->latency_limit_cfg;
	r->latency_cfg_log = c->latency_cfg_log;
	r->n_locks = (unsigned)c->route_locks_size;
}

unsigned params_sip_rules(const struct main_conf *c)
{
	return (c->http_reply_parse ? SIP_HTTP_REPLIES : 0u) | (c->sip_parser_mode ? 0u : SIP_REPEATS);
}

void params_to_tm(const struct main_conf *c, struct tm_conf *r)
{
	r->max_branches = c->max_branches;
	r->dns_failover = c->use_dns_failover;
}

void params_to_db(const struct main_conf *c, struct db_conf *r)
{
	*r = (struct db_conf){ .version_table = c->version_table, .latency_us = (unsigned)c->latency_limit_db, .latency_level = c->latency_log };
}

static unsigned seconds(int v, unsigned otherwise)
{
	return v < 0 ? otherwise : (unsigned)v;
}

struct net_stream_opts params_to_stream(const struct main_conf *c)
{
	return (struct net_stream_opts){
		.keepalive = c->tcp_keepalive != 0,
		.keepidle = c->tcp_keepidle,
		.keepintvl = c->tcp_keepintvl,
		.keepcnt = c->tcp_keepcnt,
		.quick_ack = c->tcp_delayed_ack == 0,
		.linger2_s = c->tcp_linger2,
		.syn_retries = c->tcp_syncnt,
		.close_rst = c->tcp_close_rst != 0,
		.defer_accept = c->tcp_defer_accept != 0,
	};
}

void params_to_conn(const struct main_conf *c, struct conn_conf *r)
{
	*r = (struct conn_conf){
		.max_connections = (unsigned)c->tcp_max_connections,
		.per_ip_limit = c->tcp_accept_iplimit < 0 ? IPLIMIT_DEFAULT : (unsigned)c->tcp_accept_iplimit,
		.spare_loopback = c->tcp_accept_iplimit < 0,
		.accept_unique = c->tcp_accept_unique != 0,
		.match_local = c->tcp_connection_match != 0,
		.source = { source_address(c->tcp_source_ipv4, AF_INET), source_address(c->tcp_source_ipv6, AF_INET6) },
		.lifetime_s = seconds(c->tcp_connection_lifetime, 2147483),
		.connect_timeout_s = seconds(c->tcp_connect_timeout, 10),
		.send_timeout_s = seconds(c->tcp_send_timeout, 10),
		.conn_wq_max = (unsigned)c->tcp_conn_wq_max,
		.wq_max = (unsigned)c->tcp_wq_max,
		.rd_buf_size = (unsigned)c->tcp_rd_buf_size,
		.msg_read_timeout_s = (unsigned)c->tcp_msg_read_timeout,
		.accept_aliases = c->tcp_accept_aliases != 0,
		.accept_haproxy = c->tcp_accept_haproxy != 0,
		.wait_data_ms = (unsigned)c->tcp_wait_data,
		.crlf_ping = c->tcp_crlf_ping != 0,
		.no_connect = c->tcp_no_connect != 0,
		.accept_no_cl = c->tcp_accept_no_cl != 0,
		.reuse_port = c->tcp_reuse_port != 0,
		.stream = params_to_stream(c),
	};
}

void params_to_resolve(const struct main_conf *c, struct resolve_conf *r)
{
	*r = (struct resolve_conf){
		.try_ipv6 = c->dns_try_ipv6, .try_naptr = c->dns_try_naptr, .udp_pref = c->dns_udp_pref, .tcp_pref = c->dns_tcp_pref,
		.tls_pref = c->dns_tls_pref, .naptr_ignore_rfc = c->dns_naptr_ignore_rfc, .use_cache = c->use_dns_cache && c->dns_cache_init,
		.srv_lb = c->dns_srv_lb, .cache_flags = c->dns_cache_flags, .negative_ttl = c->dns_cache_negative_ttl,
		.min_ttl = c->dns_cache_min_ttl, .max_ttl = c->dns_cache_max_ttl, .cache_mem_kb = c->dns_cache_mem,
		.retr_time = c->dns_retr_time, .retr_no = c->dns_retr_no, .servers_no = c->dns_servers_no, .use_search_list = c->dns_use_search_list,
		.slow_query_ms = c->dns_slow_query_ms, .timeout_ms = 5000,
	};
}

void params_to_vm(const struct main_conf *c, bool suspend_always, struct vm_conf *r)
{
	*r = (struct vm_conf){ .max_while_loops = (unsigned)c->max_while_loops, .max_recursive_level = (unsigned)c->max_recursive_level,
			       .return_raw = c->return_mode == 1, .suspend_always = suspend_always,
			       .latency_us = (unsigned)c->latency_limit_action, .latency_level = c->latency_log };
}

bool params_as_setting(const char *name, struct setting *ret)
{
	const struct row *r = find(str_lit(name));

	if (!r || r->offset < 0)
		return false;
	*ret = (struct setting){ .name = r->name, .type = r->kind == KIND_STR ? SETTING_STR_T : SETTING_INT_T, .offset = (size_t)r->offset,
				 .def = r->def, .min = r->min, .max = r->max };
	return true;
}

/* clang-format off */
static const struct {
	const char *name;
	int value;
} facilities[] = {
	{ "LOG_AUTH", LOG_AUTH }, { "LOG_AUTHPRIV", LOG_AUTHPRIV }, { "LOG_CRON", LOG_CRON }, { "LOG_DAEMON", LOG_DAEMON },
	{ "LOG_FTP", LOG_FTP }, { "LOG_KERN", LOG_KERN }, { "LOG_LOCAL0", LOG_LOCAL0 }, { "LOG_LOCAL1", LOG_LOCAL1 },
	{ "LOG_LOCAL2", LOG_LOCAL2 }, { "LOG_LOCAL3", LOG_LOCAL3 }, { "LOG_LOCAL4", LOG_LOCAL4 }, { "LOG_LOCAL5", LOG_LOCAL5 },
	{ "LOG_LOCAL6", LOG_LOCAL6 }, { "LOG_LOCAL7", LOG_LOCAL7 }, { "LOG_LPR", LOG_LPR }, { "LOG_MAIL", LOG_MAIL },
	{ "LOG_NEWS", LOG_NEWS }, { "LOG_SYSLOG", LOG_SYSLOG }, { "LOG_USER", LOG_USER }, { "LOG_UUCP", LOG_UUCP },
};
/* clang-format on */

int params_facility(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++)
		if (str_eq(name, str_lit(facilities[i].name)))
			return facilities[i].value;
	return -1;
}

const char *params_facility_name(int facility)
{
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++)
		if (facilities[i].value == facility)
			return facilities[i].name;
	return "";
}
