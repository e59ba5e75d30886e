/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operators' view of transactions. All of it runs in the RPC process, which sends no SIP: what changes a transaction or
 * sends a request is handed to a worker by core/tm.
 */
#include "modules/tm/tm_rpc.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/num.h"
#include "core/event/loop.h"
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
	rpc_add_int(rpc, o, "created", s.total + s.total_local);
	rpc_add_int(rpc, o, "freed", s.total + s.total_local - s.current);
	rpc_add_int(rpc, o, "delayed_free", 0); /* one that is in use is freed by who uses it last */
}

struct list {
	struct rpc *rpc;
	unsigned n;
};

static int list_one(const struct tm_list_item *it, void *arg)
{
	struct list *l = arg;
	struct rpc_node *o = rpc_add_object(l->rpc, NULL, NULL);

	rpc_add_printf(l->rpc, o, "cell", "0x%08x%08x", it->index, it->label);
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

/* ---- answering from outside ---- */

/* "index:label", numbers of tm.list. */
static int take_id(struct rpc *rpc, struct tm_name *name)
{
	struct str id;
	ptrdiff_t colon;

	if (rpc_arg_str(rpc, &id) < 0)
		return -EINVAL;
	colon = str_find_char(id, ':');
	if (colon < 0 || num_u32(str_sub(id, 0, (size_t)colon), &name->index) < 0 ||
	    num_u32(str_sub(id, (size_t)colon + 1, id.n), &name->label) < 0)
		return -EINVAL;
	return 0;
}

static int take_callid(struct rpc *rpc, struct tm_name *name)
{
	struct str cseq;
	ptrdiff_t space;

	if (rpc_arg_str(rpc, &name->callid) < 0 || name->callid.n == 0 || rpc_arg_any_str(rpc, &cseq) < 0)
		return -EINVAL;
	space = str_find_char(cseq, ' '); /* "1 INVITE" is understood too */
	return num_u32(space > 0 ? str_sub(cseq, 0, (size_t)space) : cseq, &name->cseq);
}

static void rpc_cancel(struct rpc *rpc)
{
	struct tm_name name = { .callid = STR_NULL };
	int n;

	if (take_callid(rpc, &name) < 0) {
		rpc_fault(rpc, 400, "Callid and CSeq expected as parameters");
		return;
	}
	n = tm_stop(&name, TM_ALL_BRANCHES, TM_NO_FLAG, 0);
	if (n < 0) {
		rpc_fault(rpc, 400, "Transaction not found");
		return;
	}
	rpc_add_int(rpc, NULL, NULL, n);
	rpc_add_str(rpc, NULL, NULL, STR_LIT("branches remaining (waiting for timeout)"));
}

static struct str unless_dot(struct str s)
{
	return str_eq(s, STR_LIT(".")) ? STR_NULL : s;
}

static bool has_break(struct str s)
{
	return str_find_char(s, '\r') >= 0 || str_find_char(s, '\n') >= 0;
}

static void reply_as(struct rpc *rpc, int (*take)(struct rpc *rpc, struct tm_name *name), const char *bad_name)
{
	struct tm_name name = { .callid = STR_NULL };
	struct str reason, to_tag, headers, body = STR_NULL;
	int64_t code;
	int err;

	if (rpc_arg_int(rpc, &code) < 0 || code < 100 || code > 699) {
		rpc_fault(rpc, 400, "Reply code expected");
		return;
	}
	if (rpc_arg_str(rpc, &reason) < 0 || reason.n == 0) {
		rpc_fault(rpc, 400, "Reason expected");
		return;
	}
	if (take(rpc, &name) < 0) {
		rpc_fault(rpc, 400, "%s", bad_name);
		return;
	}
	if (rpc_arg_any_str(rpc, &to_tag) < 0) {
		rpc_fault(rpc, 400, "To tag expected");
		return;
	}
	if (rpc_arg_str(rpc, &headers) < 0) {
		rpc_fault(rpc, 400, "Headers expected");
		return;
	}
	if (rpc_args_left(rpc) && rpc_arg_str(rpc, &body) < 0) {
		rpc_fault(rpc, 400, "Invalid body");
		return;
	}
	to_tag = unless_dot(to_tag);
	headers = unless_dot(headers);
	if (has_break(reason) || has_break(to_tag) || str_find(headers, STR_LIT("\r\n\r\n")) >= 0 ||
	    (headers.n && !str_ends(headers, STR_LIT("\r\n")))) {
		rpc_fault(rpc, 400, "Invalid headers");
		return;
	}
	err = tm_reply_to(&name, (int)code, reason, to_tag, headers, body);
	if (err == -ENOENT)
		rpc_fault(rpc, 481, "No such transaction");
	else if (err == -EALREADY)
		rpc_fault(rpc, 500, "Transaction has a final reply already");
	else if (err < 0)
		rpc_fault(rpc, 500, "Reply failed");
}

static void rpc_reply(struct rpc *rpc)
{
	reply_as(rpc, take_id, "Invalid trans_id");
}

static void rpc_reply_callid(struct rpc *rpc)
{
	reply_as(rpc, take_callid, "Call-ID and CSeq number expected");
}

static void retransmit_as(struct rpc *rpc, int (*take)(struct rpc *rpc, struct tm_name *name), const char *bad_name)
{
	struct tm_name name = { .callid = STR_NULL };

	if (take(rpc, &name) < 0)
		rpc_fault(rpc, 400, "%s", bad_name);
	else if (tm_retransmit(&name) < 0)
		rpc_fault(rpc, 481, "No such transaction");
}

static void rpc_retransmit(struct rpc *rpc)
{
	retransmit_as(rpc, take_id, "Invalid trans_id");
}

static void rpc_retransmit_callid(struct rpc *rpc)
{
	retransmit_as(rpc, take_callid, "Call-ID and CSeq number expected");
}

/* Nothing lies about that timers do not clean up; the name is there for scripts that call it. */
static void rpc_clean(struct rpc *rpc)
{
	(void)rpc; /* an empty answer */
}

static void rpc_hash_stats(struct rpc *rpc)
{
	rpc_fault(rpc, 500, "Hash statistics not supported");
}

/* ---- requests ---- */

enum uac_mode { UAC_START, UAC_WAIT, UAC_BLOCK };
enum uac_rpflags { UAC_HEX_BODY = 1 };

/* Takes what all of them take. Returns 0, or -EINVAL and a fault is set. */
static int take_request(struct rpc *rpc, struct tm_uac_req *req)
{
	struct str socket = STR_NULL;
	unsigned n = rpc_args_left(rpc);
	struct sip_uri u;

	if (n < 5) {
		rpc_fault(rpc, 400, "too few parameters (%u/5)", n);
		return -EINVAL;
	}
	if (rpc_arg_str(rpc, &req->method) < 0 || req->method.n == 0) {
		rpc_fault(rpc, 400, "Empty method");
		return -EINVAL;
	}
	if (rpc_arg_str(rpc, &req->ruri) < 0 || sip_uri_parse(req->ruri, &u, NULL) < 0) {
		rpc_fault(rpc, 400, "Invalid request uri \"%.*s\"", STR_FMT(req->ruri));
		return -EINVAL;
	}
	if (rpc_arg_str(rpc, &req->next_hop) == 0)
		req->next_hop = unless_dot(req->next_hop);
	if (req->next_hop.n && sip_uri_parse(req->next_hop, &u, NULL) < 0) {
		rpc_fault(rpc, 400, "Invalid next-hop uri \"%.*s\"", STR_FMT(req->next_hop));
		return -EINVAL;
	}
	if (rpc_arg_str(rpc, &socket) == 0)
		socket = unless_dot(socket);
	if (socket.n) {
		const struct net_listener *l = net_listener_find(socket);

		if (!l) {
			rpc_fault(rpc, 400, "No local socket for \"%.*s\"", STR_FMT(socket));
			return -EINVAL;
		}
		req->listener = l->index;
	}
	if (rpc_arg_str(rpc, &req->headers) < 0) {
		rpc_fault(rpc, 400, "Invalid headers");
		return -EINVAL;
	}
	if (rpc_args_left(rpc) && rpc_arg_str(rpc, &req->body) < 0) {
		rpc_fault(rpc, 400, "Invalid body");
		return -EINVAL;
	}
	return 0;
}

/* The body's bytes, in memory that the next call overwrites. Returns 0, or -EINVAL and a fault is set. */
static int take_hex(struct rpc *rpc, struct str *body)
{
	static char bytes[65536];
	struct str hex = *body;

	if (hex.n / 2 > sizeof(bytes) || num_hex_bytes(hex, bytes) < 0) {
		rpc_fault(rpc, 400, "Invalid body");
		return -EINVAL;
	}
	*body = str_of(bytes, hex.n / 2);
	return 0;
}

#define UAC_WAIT_MS 80000u

struct uac_wait { /* heap: one call that waits for the answer to its request */
	struct rpc *rpc;          /* NULL: answered, the answer to the request is still out */
	struct loop_timer *timer;
	bool brief;               /* t_uac_wait_block: code and text alone */
};

static void wait_result(struct rpc *rpc, const struct uac_wait *w, int code, struct sip_msg *reply)
{
	struct rpc_node *o = w->brief ? rpc_add_object(rpc, NULL, NULL) : NULL;
	const struct sip_hdr *contact = reply ? sip_msg_hdr(reply, SIP_H_CONTACT) : NULL;
	struct str reason = reply ? reply->reason : code == 408 ? STR_LIT("Request Timeout") : STR_LIT("Request Failed");

	if (w->brief) {
		rpc_add_int(rpc, o, "code", code);
		rpc_add_str(rpc, o, "text", reason);
		return;
	}
	rpc_add_int(rpc, o, NULL, code);
	rpc_add_str(rpc, o, NULL, reason);
	rpc_add_str(rpc, o, NULL, contact ? contact->value : STR_LIT("."));
	rpc_add_str(rpc, o, NULL, STR_LIT("."));
	rpc_add_str(rpc, o, NULL, STR_LIT("."));
	rpc_add_str(rpc, o, NULL, reply ? str_sub(reply->buf, reply->headers_off, reply->buf.n) : STR_LIT("."));
}

static void wait_end(struct uac_wait *w)
{
	rpc_answer(w->rpc);
	w->rpc = NULL;
	loop_timer_del(w->timer);
	w->timer = NULL;
}

static void uac_answered(void *arg, int code, struct sip_msg *reply)
{
	struct uac_wait *w = arg;

	if (w->rpc) {
		wait_result(w->rpc, w, code, reply);
		wait_end(w);
	}
	free(w);
}

static void uac_late(void *arg)
{
	struct uac_wait *w = arg;

	rpc_fault(w->rpc, 500, "No response");
	wait_end(w); /* w goes when tm is done with the request */
}

static void not_started(struct rpc *rpc, int err, const struct diag *why)
{
	rpc_fault(rpc, 400, "%s%s", err == -EBADMSG ? "Invalid headers: " : "", why->text);
}

static void uac_wait(struct rpc *rpc, const struct tm_uac_req *req, bool brief)
{
	struct diag why = { 0 };
	struct uac_wait *w = calloc(1, sizeof(*w));
	int err;

	if (!w || loop_timer_add(loop_self(), UAC_WAIT_MS, 0, uac_late, w, &w->timer) < 0) {
		free(w);
		rpc_fault(rpc, 500, "Out of memory");
		return;
	}
	w->brief = brief;
	if (!rpc_defer(rpc)) {
		loop_timer_del(w->timer);
		free(w);
		rpc_fault(rpc, 600, "This transport cannot wait for an answer");
		return;
	}
	w->rpc = rpc;
	err = tm_uac_start(req, uac_answered, w, &why);
	if (err < 0) {
		not_started(rpc, err, &why);
		wait_end(w);
		free(w);
	}
}

static void uac(struct rpc *rpc, enum uac_mode mode, unsigned rpflags, struct tm_uac_req req)
{
	struct diag why = { 0 };
	int err;

	if (take_request(rpc, &req) < 0 || ((rpflags & UAC_HEX_BODY) && take_hex(rpc, &req.body) < 0))
		return;
	if (mode != UAC_START) {
		uac_wait(rpc, &req, mode == UAC_BLOCK);
		return;
	}
	err = tm_uac_start(&req, NULL, NULL, &why);
	if (err < 0)
		not_started(rpc, err, &why);
}

#define UAC(name_, mode_, rpflags_, no_ack_) \
	static void name_(struct rpc *rpc) \
	{ \
		uac(rpc, mode_, rpflags_, (struct tm_uac_req){ .listener = NET_LISTENER_NONE, .no_ack = no_ack_ }); \
	}
UAC(uac_start, UAC_START, 0, false)
UAC(uac_start_hex, UAC_START, UAC_HEX_BODY, false)
UAC(uac_start_noack, UAC_START, 0, true)
UAC(uac_wait_plain, UAC_WAIT, 0, false)
UAC(uac_wait_hex, UAC_WAIT, UAC_HEX_BODY, false)
UAC(uac_wait_noack, UAC_WAIT, 0, true)
UAC(uac_block, UAC_BLOCK, 0, false)
UAC(uac_block_hex, UAC_BLOCK, UAC_HEX_BODY, false)
UAC(uac_block_noack, UAC_BLOCK, 0, true)

/* One "name=value". Returns 0 or -EINVAL. */
static int take_attr(struct str attr, enum uac_mode *mode, unsigned *rpflags, struct tm_uac_req *req)
{
	ptrdiff_t eq = str_find_char(attr, '=');
	struct str name = str_trim(str_sub(attr, 0, eq < 0 ? attr.n : (size_t)eq)), value = eq < 0 ? STR_NULL : str_trim(str_sub(attr, (size_t)eq + 1, attr.n));
	uint32_t n = 0;

	if (str_eq(name, STR_LIT("mode"))) {
		*mode = str_eq(value, STR_LIT("start")) ? UAC_START : str_eq(value, STR_LIT("wait")) ? UAC_WAIT : UAC_BLOCK;
		return *mode != UAC_BLOCK || str_eq(value, STR_LIT("block")) ? 0 : -EINVAL;
	}
	if (str_eq(name, STR_LIT("cbflags"))) {
		req->no_ack = str_eq(value, STR_LIT("noack"));
		return req->no_ack ? 0 : -EINVAL;
	}
	if (num_u32(value, &n) < 0)
		return -EINVAL;
	if (str_eq(name, STR_LIT("rpflags")) && n <= UAC_HEX_BODY)
		*rpflags = n;
	else if (str_eq(name, STR_LIT("fr_timeout")))
		req->fr_ms = n;
	else if (str_eq(name, STR_LIT("fr_inv_timeout")))
		req->fr_inv_ms = n;
	else
		return -EINVAL;
	return 0;
}

static void uac_attrs(struct rpc *rpc)
{
	struct tm_uac_req req = { .listener = NET_LISTENER_NONE };
	enum uac_mode mode = UAC_START;
	unsigned rpflags = 0;
	struct str rest;

	if (rpc_arg_str(rpc, &rest) < 0) {
		rpc_fault(rpc, 400, "Invalid attributes");
		return;
	}
	while (rest.n) {
		ptrdiff_t semi = str_find_char(rest, ';');
		struct str attr = str_trim(str_sub(rest, 0, semi < 0 ? rest.n : (size_t)semi));

		rest = semi < 0 ? STR_NULL : str_sub(rest, (size_t)semi + 1, rest.n);
		if (attr.n && take_attr(attr, &mode, &rpflags, &req) < 0) {
			rpc_fault(rpc, 400, "Invalid attribute \"%.*s\"", STR_FMT(attr));
			return;
		}
	}
	uac(rpc, mode, rpflags, req);
}

/* clang-format off */
const struct rpc_method tm_rpcs[] = {
	{ "tm.stats", rpc_stats, 0, "Numbers of transactions" },
	{ "tm.list", rpc_list, RPC_RET_ARRAY, "Live transactions" },
	{ "tm.cancel", rpc_cancel, 0, "Cancel the INVITE with this Call-ID and CSeq number" },
	{ "tm.clean", rpc_clean, 0, "Nothing needs to be cleaned" },
	{ "tm.reply", rpc_reply, 0, "Answer a transaction: code, reason, index:label, To tag, headers, body" },
	{ "tm.reply_callid", rpc_reply_callid, 0, "Answer a transaction: code, reason, Call-ID, CSeq, To tag, headers, body" },
	{ "tm.retransmit_reply", rpc_retransmit, 0, "Send the last answer again: index:label" },
	{ "tm.retransmit_reply_callid", rpc_retransmit_callid, 0, "Send the last answer again: Call-ID, CSeq" },
	{ "tm.t_uac_start", uac_start, 0, "Send a request of our own: method, URI, next hop, socket, headers, body" },
	{ "tm.t_uac_start_hex", uac_start_hex, 0, "As tm.t_uac_start, the body in hex" },
	{ "tm.t_uac_start_noack", uac_start_noack, 0, "As tm.t_uac_start; the 2xx to an INVITE is not acknowledged" },
	{ "tm.t_uac_wait", uac_wait_plain, RPC_RET_ARRAY, "As tm.t_uac_start; answers with code, reason, contact, next hop, routes, rest" },
	{ "tm.t_uac_wait_hex", uac_wait_hex, RPC_RET_ARRAY, "As tm.t_uac_wait, the body in hex" },
	{ "tm.t_uac_wait_noack", uac_wait_noack, RPC_RET_ARRAY, "As tm.t_uac_wait; the 2xx to an INVITE is not acknowledged" },
	{ "tm.t_uac_wait_block", uac_block, 0, "As tm.t_uac_start; answers with code and text" },
	{ "tm.t_uac_wait_block_hex", uac_block_hex, 0, "As tm.t_uac_wait_block, the body in hex" },
	{ "tm.t_uac_wait_block_noack", uac_block_noack, 0, "As tm.t_uac_wait_block; the 2xx to an INVITE is not acknowledged" },
	{ "tm.t_uac_attrs", uac_attrs, 0, "As tm.t_uac_start, with attributes before: mode=start|wait|block;cbflags=noack;rpflags=1;fr_timeout=ms;fr_inv_timeout=ms" },
	{ "tm.hash_stats", rpc_hash_stats, 0, "Not counted" },
	{ NULL, NULL, 0, NULL },
};
/* clang-format on */
