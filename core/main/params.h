/* SPDX-License-Identifier: BSD-2-Clause */
/* The global parameters of the script: one table row each. */
#ifndef RF_MAIN_PARAMS_H
#define RF_MAIN_PARAMS_H

#include "core/db/db.h"
#include "core/net/resolve.h"
#include "core/route/route.h"
#include "core/script/vm.h"
#include "core/settings/schema.h"
#include "core/tm/tm.h"
#include "core/transport/conn.h"

struct main_conf {
	/* sockets and identity */
	int port, mhomed, free_bind, tos, pmtu_discovery, auto_aliases, auto_bind_ipv6, bind_ipv6_link_local;
	struct str advertised_address, ipv6_hex_style;
	int advertised_port;
	/* processes */
	int children, fork, exit_timeout, real_time, rt_prio, rt_policy;
	/* log */
	int debug, log_stderror, log_color;
	struct str stats_name_separator; /* one character */
	struct str log_facility, log_name, log_prefix, log_engine_type, log_engine_data;
	int log_prefix_mode, log_repeat_limit, log_repeat_window;
	int sip_parser_log, latency_limit_cfg, latency_limit_action, latency_limit_db, latency_log, latency_cfg_log;
	/* memory */
	int shm_mb, pv_buffer_size, mlock_pages, disable_core_dump;
	/* files, users */
	struct str user, group, rundir, workdir, chroot;
	int open_files_limit, server_id, rpc_exec_delta;
	struct str iuid, version_table;
	/* messages */
	int server_signature, sip_warning, reply_to_via, force_rport, local_rport, check_via, via_dns, via_rev_dns, max_branches, onsend_route_reply,
		received_route_mode /* event_route[core:msg-received] runs for 1: SIP messages, 2: what a socket gave */,
		msg_recv_max_size, udp_mtu, phone2tel, route_locks_size, http_reply_parse, sip_parser_mode, msg_apply_changes_mode, udp_accept_proxy;
	struct str server_header, user_agent_header, udp_mtu_try_proto, uri_host_extra_chars, xavp_via_params, xavp_via_fields, xavp_via_reply_params;
	int maxbuffer, maxsndbuffer;
	/* streams */
	int disable_tcp /* tcp_accept_iplimit: -1 when not set */, tcp_connection_lifetime, tcp_max_connections, tcp_connect_timeout, tcp_send_timeout, tcp_conn_wq_max,
		tcp_wq_max, tcp_rd_buf_size, tcp_accept_aliases, tcp_no_connect, tcp_reuse_port, tcp_crlf_ping, tcp_accept_no_cl,
		tcp_accept_iplimit, tcp_listen_backlog, tcp_keepalive, tcp_keepidle, tcp_keepintvl, tcp_keepcnt, tcp_msg_read_timeout,
		tcp_accept_unique, tcp_close_rst, tcp_connection_match, tcp_defer_accept, tcp_linger2, tcp_syncnt, tcp_delayed_ack,
		tcp_accept_haproxy, tcp_wait_data /* ms */;
	struct str tcp_source_ipv4, tcp_source_ipv6;
	/* DNS */
	int dns_try_ipv6, dns_try_naptr, dns_udp_pref, dns_tcp_pref, dns_tls_pref, dns_naptr_ignore_rfc, use_dns_cache, dns_srv_lb,
		dns_cache_flags, dns_cache_negative_ttl, dns_cache_min_ttl, dns_cache_max_ttl, dns_cache_mem, dns_retr_time, dns_retr_no, dns_servers_no,
		dns_use_search_list, dns_slow_query_ms, dns_cache_init, use_dns_failover;
	/* script */
	int max_while_loops, max_recursive_level, return_mode;
};

void params_defaults(struct main_conf *conf);
/* One `name = value`. Returns 0; 1 with a warning in reterr (it asks for what is not there); -ENOENT with the nearest name; or
 * diag_set(). */
MUST_CHECK int params_set(struct main_conf *conf, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr);

/* The parts, in the form that their owners want. */
void params_to_route(const struct main_conf *conf, struct route_conf *ret);
unsigned params_sip_rules(const struct main_conf *conf); /* for sip_msg_rules() */
/* Not what modparam("tm", ...) says. */
void params_to_tm(const struct main_conf *conf, struct tm_conf *ret);
void params_to_db(const struct main_conf *conf, struct db_conf *ret);
void params_to_conn(const struct main_conf *conf, struct conn_conf *ret);
struct net_stream_opts params_to_stream(const struct main_conf *conf);
void params_to_resolve(const struct main_conf *conf, struct resolve_conf *ret);
void params_to_vm(const struct main_conf *conf, bool suspend_always, struct vm_conf *ret);
/* The row of a name as a setting whose offset is in struct main_conf. False: there is none that keeps a value. */
bool params_as_setting(const char *name, struct setting *ret);
/* LOG_LOCAL0 ...; -1 when unknown. */
int params_facility(struct str name);
const char *params_facility_name(int facility); /* "" when unknown */
#define PARAMS_MAX 512u
/* Number of the row of a name, below PARAMS_MAX, or -1; names of the same parameter have the same one. */
int params_row(struct str name);
/* Its int or struct str; NULL: it has none. */
void *params_field(struct main_conf *conf, unsigned row);
bool params_row_is_text(unsigned row);
/* Takes over what a reload may change, but for what follows a run-time value. Texts are views. */
void params_copy_live(struct main_conf *to, const struct main_conf *from);
/* Each parameter whose values differ; live: a reload may change it. row: of its first name. */
typedef void params_change_fn(void *arg, unsigned row, const char *name, bool live, const char *was, const char *is);
void params_compare(const struct main_conf *was, const struct main_conf *is, params_change_fn *fn, void *arg);
/* How many rows there are, and their names: for tests. */
unsigned params_count(void);
const char *params_name(unsigned i);

#endif
