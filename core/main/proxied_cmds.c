/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands udp.proxy.*, there with udp_accept_proxy: clients behind proxies, and the way back to them. */
#include "core/base/clock.h"
#include "core/main/core_cmds.h"
#include "core/rpc/rpc.h"
#include "core/transport/proxied.h"

#define PIECE 64u

static void add_addr(struct rpc *rpc, struct rpc_node *n, const char *name, const struct net_addr *a)
{
	char text[NET_ADDR_TEXT_MAX];

	rpc_add_str(rpc, n, name, str_of(text, net_addr_text(a, text)));
}

/* A bucket with more than a piece is shown in part: chains are a few entries long. */
static int dump_more(struct rpc *rpc, struct rpc_node *list, void *state)
{
	struct proxied_way way[PIECE];
	uint32_t *bucket = state;
	int n = proxied_bucket((*bucket)++, way, PIECE);

	for (int i = 0; i < n; i++) {
		struct rpc_node *row = rpc_add_object(rpc, list, NULL);
		uint64_t now = clock_ms();

		add_addr(rpc, row, "client", &way[i].client);
		add_addr(rpc, row, "proxy", &way[i].proxy);
		rpc_add_str(rpc, row, "protocol", way[i].kind == NET_PROXY_SIMPLE ? STR_LIT("simple") : STR_LIT("v2"));
		rpc_add_str(rpc, row, "socket", net_listener_at(way[i].listener)->sock_text);
		rpc_add_int(rpc, row, "idle", now > way[i].seen_ms ? (int64_t)(now - way[i].seen_ms) / 1000 : 0);
	}
	return n >= 0;
}

static void dump(struct rpc *rpc)
{
	uint32_t *bucket = rpc_alloc(rpc, sizeof(*bucket));

	if (bucket)
		rpc_add_pieces(rpc, rpc_add_array(rpc, NULL, NULL), dump_more, bucket);
}

static void stats(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);

	rpc_add_int(rpc, n, "real_buckets", proxied_n_buckets());
	rpc_add_int(rpc, n, "proxy_buckets", 0); /* one table, by client */
	rpc_add_int(rpc, n, "real_items", (int64_t)proxied_count());
	rpc_add_int(rpc, n, "proxy_items", 0);
}

static void forget(struct rpc *rpc, uint64_t idle_ms)
{
	rpc_add_printf(rpc, NULL, NULL, "%u hash table entries have been flushed.", proxied_forget(idle_ms));
}

static void clean(struct rpc *rpc)
{
	forget(rpc, PROXIED_LIFE_MS);
}

static void flush(struct rpc *rpc)
{
	forget(rpc, 0);
}

/* clang-format off */
static const struct rpc_method methods[] = {
	{ "udp.proxy.dump",  dump,  0, "Clients behind proxies, and the way back to each." },
	{ "udp.proxy.stats", stats, 0, "How many clients behind proxies are known." },
	{ "udp.proxy.clean", clean, 0, "Forgets clients that sent nothing for two hours." },
	{ "udp.proxy.flush", flush, 0, "Forgets all clients behind proxies: nothing reaches them until they send again." },
	{ .name = NULL },
};
/* clang-format on */

int proxied_rpc_register(void)
{
	return proxied_kinds ? rpc_register(methods) : 0;
}
