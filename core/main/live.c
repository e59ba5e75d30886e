/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Global parameters that can be changed while the server runs. What is named here takes effect for what is done from now on; what
 * is fixed at start (sockets, processes, memory) is not named. Types and ranges are those of the table in params.c.
 */
#include "core/main/live.h"

#include <errno.h>
#include <stdlib.h>

#include "core/main/params.h"
#include "core/net/resolve.h"
#include "core/route/route.h"
#include "core/settings/cfg.h"
#include "core/transport/conn.h"
#include "core/transport/ctx.h"

#define ROWS_MAX 64u

static struct {
	struct main_conf *conf;
	bool suspend_always;
	struct setting core[ROWS_MAX], tcp[ROWS_MAX];
} self;

static void core_changed(void)
{
	struct resolve_conf resolve;
	struct vm_conf vm;
	struct db_conf db;

	params_to_route(self.conf, &route_conf);
	sip_msg_rules(params_sip_rules(self.conf));
	params_to_tm(self.conf, &tm_conf);
	params_to_db(self.conf, &db);
	db_configure(&db);
	params_to_vm(self.conf, self.suspend_always, &vm);
	vm_configure(&vm);
	params_to_resolve(self.conf, &resolve);
	resolve_reconf(&resolve);
}

static void tcp_changed(void)
{
	struct conn_conf conn;

	params_to_conn(self.conf, &conn);
	conn_reconf(&conn);
}

/* clang-format off */
#define W CFG_WRITE_ONLY /* as on Kamailio: told by core.tcp_options, or by nobody */
static const struct cfg_live core_live[] = {
	{ "debug",                  NULL, "log level", 0 },
	{ "dns_try_ipv6",           NULL, "1: names are asked for IPv6 addresses, too", W },
	{ "dns_try_naptr",          NULL, "1: names are asked for NAPTR records", 0 },
	{ "dns_udp_pref",           NULL, "preference of UDP among NAPTR records", 0 },
	{ "dns_tcp_pref",           NULL, "preference of TCP among NAPTR records", 0 },
	{ "dns_tls_pref",           NULL, "preference of TLS among NAPTR records", 0 },
	{ "dns_slow_query_ms",      NULL, "a query that takes longer is counted and logged, ms", 0 },
	{ "dns_use_search_list",    NULL, "search list of the resolver is used", 0 },
	{ "dns_naptr_ignore_rfc",   NULL, "preference of NAPTR records by the protocol preferences here", 0 },
	{ "use_dns_cache",          NULL, "0: each name is asked for anew", W },
	{ "dns_cache_flags",        NULL, "1: no IPv6, 2: no IPv4, 4: IPv6 first", 0 },
	{ "use_dns_failover",       NULL, "1: the next address of a name is tried when one fails", W },
	{ "dns_srv_lb",             NULL, "1: SRV weights share the load", 0 },
	{ "dns_cache_negative_ttl", NULL, "how long a failed answer is kept, s", 0 },
	{ "dns_cache_min_ttl",      NULL, "shortest life of a cached record, s", 0 },
	{ "dns_cache_max_ttl",      NULL, "longest life of a cached record, s", 0 },
	{ "dns_cache_mem",          NULL, "most memory of the DNS cache, kB", W },
	{ "max_while_loops",        NULL, "rounds of a while loop, 0: no limit", 0 },
	{ "udp_mtu",                NULL, "longest request over UDP, 0: any", 0 },
	{ "force_rport",            NULL, "1: replies go back to the port they came from", 0 },
	{ "sip_parser_log",         NULL, "log level of messages that cannot be parsed", 0 },
	{ "latency_limit_cfg",      NULL, "a route that runs longer is logged, microseconds", 0 },
	{ "latency_limit_db",       NULL, "a query that takes longer is logged, microseconds, 0: none", 0 },
	{ "latency_limit_action",   NULL, "a function that takes longer is logged, microseconds, 0: none", 0 },
	{ "latency_cfg_log",        NULL, "log level of the time that a route took", 0 },
	{ "latency_log",            NULL, "log level of functions that took long", 0 },
	{ .name = NULL },
};
static const struct cfg_live tcp_live[] = {
	{ "connect_timeout",     "tcp_connect_timeout",     "time to connect, s", W },
	{ "send_timeout",        "tcp_send_timeout",        "time without progress in sending, s", W },
	{ "connection_lifetime", "tcp_connection_lifetime", "life of an idle connection, s", W },
	{ "max_connections",     "tcp_max_connections",     "connections in all, up to what the server started with", W },
	{ "no_connect",          "tcp_no_connect",          "1: none is opened, only accepted", 0 },
	{ "conn_wq_max",         "tcp_conn_wq_max",         "bytes that may wait for one connection", 0 },
	{ "wq_max",              "tcp_wq_max",              "bytes that may wait for all", 0 },
	{ "syncnt",              "tcp_syncnt",              "SYNs sent again, of connections opened from now on", 0 },
	{ "linger2",             "tcp_linger2",             "time that a closed connection waits for its peer, s", 0 },
	{ "keepalive",           "tcp_keepalive",           "1: keepalives of TCP, of connections opened from now on", 0 },
	{ "keepidle",            "tcp_keepidle",            "time before the first of them, s", 0 },
	{ "keepintvl",           "tcp_keepintvl",           "time between them, s", 0 },
	{ "keepcnt",             "tcp_keepcnt",             "so many without an answer close the connection", 0 },
	{ "crlf_ping",           "tcp_crlf_ping",           "1: a double CRLF is answered by one", 0 },
	{ "accept_aliases",      "tcp_accept_aliases",      "1: the alias parameter of a Via is taken", 0 },
	{ "accept_no_cl",        "tcp_accept_no_cl",        "1: a message without Content-Length has no body", 0 },
	{ "reuse_port",          "tcp_reuse_port",          "1: connections are opened from the listening port", 0 },
	{ "rd_buf_size",         "tcp_rd_buf_size",         "longest message over a stream, bytes", 0 },
	{ .name = NULL },
};
#undef W
/* clang-format on */

void live_apply(void)
{
	core_changed();
	tcp_changed();
}

static int settings_of(const struct cfg_live *live, struct setting *ret)
{
	unsigned n = 0;

	for (; live->name; live++) {
		if (n + 1 == ROWS_MAX || !params_as_setting(live->param ? live->param : live->name, &ret[n]))
			return -ENOENT;
		n++;
	}
	ret[n] = (struct setting)SETTING_END;
	return 0;
}

static void retire_text(void *mem)
{
	ctx_when_over(free, mem);
}

int live_register(struct main_conf *conf, bool suspend_always)
{
	static struct cfg_follower core, tcp;
	int err;

	self.conf = conf;
	self.suspend_always = suspend_always;
	cfg_retire_texts(retire_text);
	err = settings_of(core_live, self.core);
	if (err == 0)
		err = settings_of(tcp_live, self.tcp);
	if (err < 0)
		return err;
	for (struct setting *s = self.tcp; s->type != SETTING_END_T; s++)
		if (strcmp(s->name, "tcp_max_connections") == 0)
			s->max = conf->tcp_max_connections; /* there is room for so many */
	core = (struct cfg_follower){ .group = "core", .live = core_live, .settings = self.core, .conf = conf, .changed = core_changed };
	tcp = (struct cfg_follower){ .group = "tcp", .live = tcp_live, .settings = self.tcp, .conf = conf, .changed = tcp_changed };
	err = cfg_follow(&core);
	return err < 0 ? err : cfg_follow(&tcp);
}
