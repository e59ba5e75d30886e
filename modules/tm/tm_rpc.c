/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operators' view of transactions. All of it runs in the RPC process, which sends no SIP: what changes a transaction or
 * sends a request is handed to a worker by core/tm.
 */
#include "modules/tm/tm_rpc.h"

#include <errno.h>

#include "core/net/listener.h"
#include "core/tm/tm.h"

static void rpc_stats(struct rpc *rpc)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL);
	struct tm_stats s;

	tm_stats_read(&s);
	rpc_add_int(rpc, o, "current", s.current);
	rpc_add_int(rpc, o, "waiting", s.waiting);
	rpc_add_int(rpc, o, "total", s.total);
	rpc_add_int(rpc, o, "total_local", s.total_local);
	rpc_add_int(rpc, o, "rpl_received", s.rpl_received);
	rpc_add_int(rpc, o, "rpl_generated", s.rpl_generated);
	rpc_add_int(rpc, o, "rpl_sent", s.rpl_sent);
	rpc_add_int(rpc, o, "6xx", s.c6xx);
	rpc_add_int(rpc, o, "5xx", s.c5xx);
	rpc_add_int(rpc, o, "4xx", s.c4xx);
	rpc_add_int(rpc, o, "3xx", s.c3xx);
	rpc_add_int(rpc, o, "2xx", s.c2xx);
}

struct list {
	struct rpc *rpc;
	unsigned n;
};

static int list_one(const struct tm_list_item *it, void *arg)
{
	struct list *l = arg;
	struct rpc_node *o = rpc_add_object(l->rpc, NULL, NULL);

	rpc_add_printf(l->rpc, o, "cell", "%08x%08x", it->index, it->label);
	rpc_add_int(l->rpc, o, "tindex", it->index);
	rpc_add_int(l->rpc, o, "tlabel", it->label);
	rpc_add_str(l->rpc, o, "method", str_lit(it->method));
	rpc_add_str(l->rpc, o, "from", str_lit(it->from));
	rpc_add_str(l->rpc, o, "to", str_lit(it->to));
	rpc_add_str(l->rpc, o, "callid", str_lit(it->callid));
	rpc_add_str(l->rpc, o, "cseq", str_lit(it->cseq));
	rpc_add_str(l->rpc, o, "uas_request", it->uas_request ? STR_LIT("yes") : STR_LIT("no"));
	rpc_add_int(l->rpc, o, "tflags", it->flags);
	rpc_add_int(l->rpc, o, "outgoings", it->outgoings);
	rpc_add_int(l->rpc, o, "ref_count", it->ref_count);
	rpc_add_int(l->rpc, o, "lifetime", (int64_t)it->lifetime_ms);
	return ++l->n >= 10000; /* an answer is one document: no list without end */
}

static void rpc_list(struct rpc *rpc)
{
	struct list l = { rpc, 0 };

	(void)tm_list(list_one, &l); /* 1: cut off at the limit */
}

static void rpc_cancel(struct rpc *rpc)
{
	struct str callid, cseq;
	int n;

	if (rpc_arg_str(rpc, &callid) < 0 || rpc_arg_any_str(rpc, &cseq) < 0) {
		rpc_fault(rpc, 400, "Call-ID and CSeq number expected");
		return;
	}
	n = tm_cancel(callid, cseq);
	if (n < 0) {
		rpc_fault(rpc, 400, "Transaction not found");
		return;
	}
	rpc_add_int(rpc, NULL, NULL, n);
	rpc_add_str(rpc, NULL, NULL, STR_LIT("branches remaining (waiting for timeout)"));
}

static void rpc_uac_start(struct rpc *rpc)
{
	struct tm_uac_req req = { .listener = NET_LISTENER_NONE };
	struct str socket = STR_NULL;
	struct sip_uri u;
	struct diag why = { 0 };

	if (rpc_arg_str(rpc, &req.method) < 0 || req.method.n == 0) {
		rpc_fault(rpc, 400, "Empty method");
		return;
	}
	if (rpc_arg_str(rpc, &req.ruri) < 0 || sip_uri_parse(req.ruri, &u, NULL) < 0) {
		rpc_fault(rpc, 400, "Invalid request uri");
		return;
	}
	if (rpc_arg_str(rpc, &req.next_hop) < 0) {
		rpc_fault(rpc, 400, "Invalid next-hop uri");
		return;
	}
	if (str_eq(req.next_hop, STR_LIT(".")))
		req.next_hop = STR_NULL;
	if (req.next_hop.n && sip_uri_parse(req.next_hop, &u, NULL) < 0) {
		rpc_fault(rpc, 400, "Invalid next-hop uri");
		return;
	}
	if (rpc_arg_str(rpc, &socket) < 0) {
		rpc_fault(rpc, 400, "Invalid send socket");
		return;
	}
	if (socket.n && !str_eq(socket, STR_LIT("."))) {
		const struct net_listener *l = net_listener_find(socket);

		if (!l) {
			rpc_fault(rpc, 400, "No local socket for");
			return;
		}
		req.listener = l->index;
	}
	if (rpc_arg_str(rpc, &req.headers) < 0) {
		rpc_fault(rpc, 400, "Invalid headers");
		return;
	}
	if (rpc_args_left(rpc) && rpc_arg_str(rpc, &req.body) < 0) {
		rpc_fault(rpc, 400, "Invalid body");
		return;
	}
	if (tm_uac_start(&req, NULL, NULL, &why) < 0)
		rpc_fault(rpc, 400, "%s", why.text);
}

/* clang-format off */
const struct rpc_method tm_rpcs[] = {
	{ "tm.stats", rpc_stats, 0, "Numbers of transactions" },
	{ "tm.list", rpc_list, RPC_RET_ARRAY, "Live transactions" },
	{ "tm.cancel", rpc_cancel, 0, "Cancel the INVITE with this Call-ID and CSeq number" },
	{ "tm.t_uac_start", rpc_uac_start, 0, "Send a request of our own: method, URI, next hop, socket, headers, body" },
	{ NULL, NULL, 0, NULL },
};
/* clang-format on */
