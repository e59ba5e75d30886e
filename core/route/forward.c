/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwarding without a transaction: forward(), ACKs to 2xx, and replies that belong to nobody here. The Via branch is a hash of
 * the request's own one, so that retransmissions, and the ACK and CANCEL of an INVITE, get the same (RFC 3261, 16.11). A reply
 * is taken on only when its top Via is ours: everything else was not meant for us, or is forged.
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/event/loop.h"
#include "core/net/myself.h"
#include "core/script/func.h"
#include "core/tm/out.h"

static struct str stateless_branch(struct ctx *ctx)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);
	struct str callid = sip_msg_call_id(&ctx->msg);
	struct strbuf sb;
	char hex[16];
	uint64_t h = 1;

	if (via && via->magic) {
		h = hashfn64_seed(via->branch.s, via->branch.n, h);
		h = hashfn64_seed(via->host.s, via->host.n, h);
	} else {
		const struct sip_addr *from = sip_msg_from(&ctx->msg);

		h = hashfn64_seed(callid.s, callid.n, h);
		if (from)
			h = hashfn64_seed(from->tag.s, from->tag.n, h);
		if (via)
			h = hashfn64_seed(via->text.s, via->text.n, h);
		h = hashfn64_seed(ctx->msg.ruri.s, ctx->msg.ruri.n, h);
	}
	if (cseq)
		h = hashfn64_seed(&cseq->number, sizeof(cseq->number), h);
	strbuf_init_pool(&sb, ctx->pool, 64);
	strbuf_add_lit(&sb, "z9hG4bKsl.");
	strbuf_add(&sb, str_of(hex, (size_t)(num_hex(h, 16, hex) - hex)));
	if (ctx->via_index) {
		strbuf_add_char(&sb, '.');
		strbuf_add_u64(&sb, ctx->via_index);
	}
	return strbuf_err(&sb) < 0 ? STR_NULL : strbuf_str(&sb);
}

static int send_to(struct ctx *ctx, const struct resolve_answer *a)
{
	int err = -EHOSTUNREACH;

	for (unsigned i = 0; i < a->n; i++) {
		enum sip_proto proto = a->target[i].proto, fits = proto;
		struct out_request req = { .edits = &ctx->edits, .ruri = ctx->main.uri, .path = ctx->main.path, .vbflags = ctx->vbflags | ctx->main.vbflags,
			.via_alone = ctx->via_alone };
		struct tx_dest dest = { .to = a->target[i].addr };
		struct sip_out out;

		do { /* twice at most: too long for UDP */
			proto = fits;
			req.from = net_listener_for(proto, &dest.to, ctx->main.listener);
			req.branch = stateless_branch(ctx);
			err = !req.from ? -EAFNOSUPPORT : out_request_build(ctx, &req, &out);
			if (err == 0)
				fits = out_mtu_proto(ctx, proto, out.bytes, &dest.to);
		} while (err == 0 && fits != proto);
		if (err == -EAFNOSUPPORT)
			continue;
		if (err < 0)
			return err;
		dest.proto = (uint8_t)proto;
		dest.listener = req.from->index;
		dest.conn_id = ctx->main.conn_id;
		if (ctx->mflags & CTX_F_FWD_NO_CONNECT)
			dest.flags |= TX_NO_CONNECT;
		if (ctx->mflags & CTX_F_FWD_CLOSE)
			dest.flags |= TX_CLOSE_AFTER;
		err = tx_send(&dest, out.iov, out.n_iov);
		if (err == 0)
			return 0;
	}
	return err;
}

/* errno -> the codes that scripts know from tm (core-routing.md, 1.4). */
static int to_code(struct ctx *ctx, int err)
{
	if (err == 0) {
		route_count(RC_FWD_REQUESTS);
		return 1;
	}
	route_count(RC_ERR_REQUESTS);
	ctx->last_error = err == -ENOENT || err == -ETIMEDOUT || err == -EHOSTUNREACH ? -478 : err == -EAFNOSUPPORT ? -7 : -477;
	log_info("forward to %.*s failed: %s", STR_FMT(out_next_hop(ctx, &ctx->main)), strerror(-err));
	return ctx->last_error;
}

static void resolved(void *arg, int err, const struct resolve_answer *answer)
{
	uint64_t ticket = (uint64_t)(uintptr_t)arg;
	struct ctx *ctx = ctx_of_ticket(ticket);

	if (ctx)
		ctx_wake(ticket, to_code(ctx, err < 0 ? err : send_to(ctx, answer)));
}

static void give_up(void *arg)
{
	ctx_wake((uint64_t)(uintptr_t)arg, -478);
}

/*
 * RFC 3261, 16.3, step 5: a proxy answers 420 to a request that asks proxies for an extension it does not understand; this one
 * understands none. Returns whether the request may go on.
 */
bool route_may_forward(struct ctx *ctx)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_PROXY_REQUIRE);
	struct strbuf sb;

	if (LIKELY(!h) || ctx->msg.method == SIP_M_ACK || ctx->msg.method == SIP_M_CANCEL)
		return true;
	strbuf_init_pool(&sb, ctx->pool, 4096);
	strbuf_add_lit(&sb, "Unsupported: ");
	for (unsigned n = 0; h; h = sip_msg_hdr_next(&ctx->msg, h), n++) {
		if (n)
			strbuf_add_lit(&sb, ", ");
		strbuf_add(&sb, h->value);
	}
	strbuf_add_lit(&sb, "\r\n");
	if (strbuf_err(&sb) == 0 && route_reply_add(ctx, strbuf_str(&sb)) == 0)
		(void)route_reply(ctx, 420, STR_LIT("Bad Extension"));
	return false;
}

static int bad_uri(struct ctx *ctx)
{
	route_count(RC_BAD_URIS);
	ctx->last_error = -479;
	return -479;
}

static int forward_by(struct ctx *ctx, const struct resolve_query *q, bool via_alone, uint16_t via_index)
{
	struct resolve_answer a;
	uint64_t ticket;
	int err = resolve_now(q, &a);

	ctx->via_alone = via_alone;
	ctx->via_index = via_index;
	if (err != -EAGAIN)
		return to_code(ctx, err < 0 ? err : send_to(ctx, &a));
	ticket = ctx_park(ctx, 10000, -478);
	if (!ticket)
		return to_code(ctx, -EHOSTUNREACH);
	err = resolve_ask(q, resolved, (void *)(uintptr_t)ticket);
	if (err < 0) {
		/* The wait is on: it ends through the loop like any other, in the next turn or at the latest with its deadline. */
		ctx->last_error = -478;
		log_info("forward: too many DNS queries are waiting");
		err = loop_defer(loop_self(), give_up, (void *)(uintptr_t)ticket);
		if (err < 0)
			log_error("forward: no memory to go on at once");
	}
	return SCRIPT_SUSPEND;
}

int route_forward(struct ctx *ctx, struct str host, uint16_t port, enum sip_proto proto)
{
	struct resolve_query q = { .host = host, .port = port, .proto = proto };

	if (ctx->msg.kind != SIP_REQUEST || !route_may_forward(ctx))
		return -1;
	if (host.n == 0 && out_query(out_next_hop(ctx, &ctx->main), proto, &q) < 0)
		return bad_uri(ctx);
	if (host.n && proto == SIP_PROTO_NONE)
		q.proto = ctx->rx.proto;
	return forward_by(ctx, &q, false, 0);
}

int route_forward_uac(struct ctx *ctx, struct str uri, uint16_t index)
{
	struct resolve_query q = { 0 };

	if (ctx->msg.kind != SIP_REQUEST)
		return -1;
	if (out_query(uri.n ? uri : out_next_hop(ctx, &ctx->main), SIP_PROTO_NONE, &q) < 0)
		return bad_uri(ctx);
	return forward_by(ctx, &q, true, index);
}

int route_forward_reply(struct ctx *ctx)
{
	const struct sip_via *via1 = sip_msg_via1(&ctx->msg), *via2;
	struct tx_dest dest;
	struct sip_out out;
	int err;

	if (!via1 || !net_is_myself(via1->host, via1->port, SIP_PROTO_NONE)) {
		route_count(RC_DROP_REPLIES);
		log_info("reply %u dropped: its top Via is not ours", ctx->msg.status);
		return -1;
	}
	via2 = sip_msg_via2(&ctx->msg);
	if (!via2) {
		route_count(RC_DROP_REPLIES);
		return -1;
	}
	err = out_via_dest(via2, &dest);
	if (err == 0) {
		if (ctx->mflags & CTX_F_RPL_NO_CONNECT)
			dest.flags |= TX_NO_CONNECT;
		if (ctx->mflags & CTX_F_RPL_CLOSE)
			dest.flags |= TX_CLOSE_AFTER;
		err = sip_build_relayed_reply(ctx->pool, &ctx->msg, &ctx->edits, 0, STR_NULL, dest.proto != SIP_PROTO_UDP, &out);
	}
	if (err == 0)
		err = tx_send(&dest, out.iov, out.n_iov);
	if (err < 0) {
		route_count(RC_ERR_REPLIES);
		log_info("reply %u not forwarded: %s", ctx->msg.status, strerror(-err));
		return -1;
	}
	route_count(RC_FWD_REPLIES);
	return 1;
}
