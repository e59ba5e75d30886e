/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands core.* that ask layers above core/rpc: streams and modules. */
#include "core/main/core_cmds.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/module/loader.h"
#include "core/rpc/rpc.h"
#include "core/script/script.h"
#include "core/script/vm.h"
#include "core/transport/conn.h"

struct count {
	unsigned tcp, tls;
};

static bool is_secure(enum sip_proto proto)
{
	return proto == SIP_PROTO_TLS || proto == SIP_PROTO_WSS;
}

static int count_one(const struct conn_info *info, void *arg)
{
	struct count *c = arg;

	c->tcp++;
	c->tls += is_secure(info->proto);
	return 0;
}

static void tcp_info(struct rpc *rpc)
{
	const struct conn_conf *conf = conn_conf();
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	struct count c = { 0 };

	conn_walk(count_one, &c);
	rpc_add_int(rpc, n, "readers", 0); /* no process has but streams to read */
	rpc_add_int(rpc, n, "max_connections", conf->max_connections);
	rpc_add_int(rpc, n, "max_tls_connections", conf->max_connections);
	rpc_add_int(rpc, n, "opened_connections", c.tcp);
	rpc_add_int(rpc, n, "opened_tls_connections", c.tls);
	rpc_add_int(rpc, n, "write_queued_bytes", conn_queued_bytes());
}

static void tcp_options(struct rpc *rpc)
{
	const struct conn_conf *c = conn_conf();
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	const struct { const char *name; int64_t value; } rows[] = {
		{ "connect_timeout", c->connect_timeout_s }, { "send_timeout", c->send_timeout_s }, { "connection_lifetime", c->lifetime_s },
		{ "max_connections(soft)", c->max_connections }, { "max_tls_connections(soft)", c->max_connections },
		{ "no_connect", c->no_connect }, { "fd_cache", 0 }, { "async", 1 }, { "connect_wait", 0 }, { "conn_wq_max", c->conn_wq_max },
		{ "wq_max", c->wq_max }, { "defer_accept", 0 }, { "delayed_ack", 0 }, { "syncnt", 0 }, { "linger2", 0 },
		{ "keepalive", c->stream.keepalive }, { "keepidle", c->stream.keepidle }, { "keepintvl", c->stream.keepintvl },
		{ "keepcnt", c->stream.keepcnt },
		{ "crlf_ping", c->crlf_ping }, { "accept_aliases", c->accept_aliases }, { "alias_flags", 0 }, { "new_conn_alias_flags", 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		rpc_add_int(rpc, n, rows[i].name, rows[i].value);
}

static const char *type_name(enum sip_proto proto)
{
	switch (proto) {
	case SIP_PROTO_TCP:
		return "TCP";
	case SIP_PROTO_TLS:
		return "TLS";
	case SIP_PROTO_WS:
		return "WS";
	case SIP_PROTO_WSS:
		return "WSS";
	default:
		return "UNKNOWN";
	}
}

static int list_one(const struct conn_info *info, void *arg)
{
	static const char *const states[] = { [CONN_CONNECTING] = "CONN_CONNECT", [CONN_OPEN] = "CONN_OK", [CONN_CLOSING] = "CONN_EOF" };
	struct rpc *rpc = arg;
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	int64_t left_s = info->expires_ms > clock_ms() ? (int64_t)(info->expires_ms - clock_ms()) / 1000 : 0;
	char ip[NET_ADDR_TEXT_MAX];

	if (!n)
		return 1;
	rpc_add_int(rpc, n, "id", info->id);
	rpc_add_str(rpc, n, "type", str_lit(type_name(info->proto)));
	rpc_add_str(rpc, n, "state", str_lit(states[info->state]));
	rpc_add_int(rpc, n, "timeout", left_s);
	rpc_add_int(rpc, n, "lifetime", conn_conf()->lifetime_s);
	rpc_add_int(rpc, n, "ref_count", 1);
	rpc_add_str(rpc, n, "src_ip", str_of(ip, net_addr_ip_text(&info->peer, false, ip)));
	rpc_add_int(rpc, n, "src_port", info->peer.port);
	rpc_add_str(rpc, n, "dst_ip", str_of(ip, net_addr_ip_text(&info->local, false, ip)));
	rpc_add_int(rpc, n, "dst_port", info->local.port);
	return 0;
}

static void tcp_list(struct rpc *rpc)
{
	conn_walk(list_one, rpc);
}

static void modules(struct rpc *rpc)
{
	for (unsigned i = module_count(); i > 0; i--)
		rpc_add_str(rpc, NULL, NULL, str_lit(module_at(i - 1)->name));
}

/* ---- defines of the script ---- */

static void ppdefines(struct rpc *rpc)
{
	struct str name, value;

	for (unsigned i = script_define_count(vm_script()); i > 0; i--)
		if (script_define_at(vm_script(), i - 1, &name, &value) == 0)
			rpc_add_str(rpc, NULL, NULL, name);
}

/* Where the node's file gives the script a database, its URL is such a define. */
static void ppdefines_full(struct rpc *rpc)
{
	static char text[65536];
	struct str name, value;

	for (unsigned i = script_define_count(vm_script()); i > 0; i--) {
		struct rpc_node *n;

		if (script_define_at(vm_script(), i - 1, &name, &value) < 0)
			continue;
		n = rpc_add_object(rpc, NULL, NULL);
		rpc_add_str(rpc, n, "name", name);
		rpc_add_int(rpc, n, "type", 0);
		rpc_add_str(rpc, n, "value", value.s ? secret_hidden(value, text, sizeof(text)) : STR_LIT("none"));
	}
}

/* ---- what is not there ---- */

static void no_blocklist(struct rpc *rpc)
{
	rpc_fault(rpc, 500, "dst blocklist support disabled");
}

/* clang-format off */
static const struct rpc_method methods[] = {
	{ "core.ppdefines",      ppdefines,      RPC_RET_ARRAY, "Names of the script's defines." },
	{ "core.ppdefines_full", ppdefines_full, RPC_RET_ARRAY, "The script's defines with their values." },
	{ "dst_blocklist.add",        no_blocklist, 0, "There is no list of destinations to avoid: always a fault." },
	{ "dst_blocklist.debug",      no_blocklist, 0, "There is no list of destinations to avoid: always a fault." },
	{ "dst_blocklist.delete_all", no_blocklist, 0, "There is no list of destinations to avoid: always a fault." },
	{ "dst_blocklist.mem_info",   no_blocklist, 0, "There is no list of destinations to avoid: always a fault." },
	{ "dst_blocklist.view",       no_blocklist, RPC_RET_ARRAY, "There is no list of destinations to avoid: always a fault." },
	{ "core.tcp_info",    tcp_info,    0, "Returns TCP related info." },
	{ "core.tcp_options", tcp_options, 0, "Returns active TCP options." },
	{ "core.tcp_list",    tcp_list,    RPC_RET_ARRAY, "Returns the details of the stream connections." },
	{ "core.modules",     modules,     RPC_RET_ARRAY, "Returns the modules, last loaded first." },
	{ .name = NULL },
};
/* clang-format on */

int main_rpc_register(void)
{
	int err = rpc_register(methods);

	if (err == 0)
		err = dns_rpc_register();
	if (err == 0)
		err = proxied_rpc_register();
	return err < 0 ? err : modparam_rpc_register();
}
