/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACK for a 2xx to an INVITE of our own (RFC 3261, 13.2.2.4): a request of its own along the route set of the dialog, with no
 * transaction. It is made anew from each 2xx that comes, a repeated one too. Its next hop may have to be asked of DNS: then the
 * reply's bytes wait for that in a context, long after the claim on the transaction was given up.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"

#define ROUTES_MAX 32u

struct ack { /* in the pool of its context, whose message is the 2xx */
	struct ctx *ctx;
	struct str target;            /* Request-URI */
	struct str route[ROUTES_MAX]; /* in the order of sending */
	unsigned n_routes;
	struct str headers, body;     /* whole fields; n 0: none */
	struct tx_dest invite_dest;
};

/* The ACK went out: event_route[tm:local-ack-sent] sees it. */
static void sent_done(struct ctx *ctx, int rc)
{
	(void)rc; /* it is gone */
	ctx_free(ctx);
}

static void tell_sent(struct str bytes, const struct rx_info *rx)
{
	struct str name = STR_LIT("tm:local-ack-sent");
	struct ctx *ctx;

	if (LIKELY(!tm_self.hooks->has_route(CTX_EVENT, name)))
		return;
	ctx = ctx_from_bytes(bytes, rx);
	if (!ctx)
		return;
	ctx->mflags |= CTX_F_NO_REPLY;
	ctx->finished = sent_done;
	if (tm_self.hooks->run_route(ctx, CTX_EVENT, name) < 0)
		ctx_free(ctx);
}

static void ack_send(struct ack *a, const struct tx_dest *dest)
{
	struct sip_msg *m = &a->ctx->msg;
	const struct net_listener *l = net_listener_at(dest->listener);
	const struct sip_hdr *from = sip_msg_hdr(m, SIP_H_FROM), *to = sip_msg_hdr(m, SIP_H_TO);
	const struct sip_cseq *cseq = sip_msg_cseq(m);
	struct strbuf sb;

	if (!l || !from || !to || !cseq) {
		log_info("the ACK of an INVITE of our own cannot be made from its 2xx");
		return;
	}
	strbuf_init_pool(&sb, a->ctx->pool, 65535);
	strbuf_printf(&sb, "ACK %.*s SIP/2.0\r\nVia: SIP/2.0/%s %.*s;branch=z9hG4bK%016llx\r\n", STR_FMT(a->target), sip_proto_via_name(l->proto),
		      STR_FMT(l->via_sent_by), (unsigned long long)rng_u64());
	for (unsigned i = 0; i < a->n_routes; i++)
		strbuf_printf(&sb, "Route: %.*s\r\n", STR_FMT(a->route[i]));
	strbuf_printf(&sb, "From: %.*s\r\nTo: %.*s\r\nCall-ID: %.*s\r\nCSeq: %u ACK\r\nMax-Forwards: 70\r\n", STR_FMT(from->value), STR_FMT(to->value),
		      STR_FMT(sip_msg_call_id(m)), cseq->number);
	if (out_conf.user_agent.n)
		strbuf_printf(&sb, "%.*s\r\n", STR_FMT(out_conf.user_agent));
	strbuf_add(&sb, a->headers);
	strbuf_printf(&sb, "Content-Length: %zu\r\n\r\n", a->body.n);
	strbuf_add(&sb, a->body);
	if (strbuf_err(&sb) < 0 || tx_send_bytes(dest, sb.p, sb.n) < 0)
		log_info("the ACK of an INVITE of our own was not sent: its 2xx comes again");
	else
		tell_sent(strbuf_str(&sb), &a->ctx->rx);
}

static void resolved(void *arg, int err, const struct resolve_answer *answer)
{
	struct ack *a = arg;

	for (unsigned i = 0; err == 0 && i < answer->n; i++) {
		const struct net_listener *l = net_listener_for(answer->target[i].proto, &answer->target[i].addr, a->invite_dest.listener);
		struct tx_dest dest = { .to = answer->target[i].addr, .proto = (uint8_t)answer->target[i].proto };

		if (!l)
			continue;
		dest.listener = l->index;
		ack_send(a, &dest);
		break;
	}
	if (err < 0)
		log_info("the ACK of an INVITE of our own has nowhere to go: %s", strerror(-err));
	ctx_free(a->ctx);
}

/* Contact and Record-Route of the 2xx make target and routes. Returns the next hop's URI. */
static struct str routes(struct ack *a)
{
	struct sip_msg *m = &a->ctx->msg;
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_CONTACT);
	struct str all[ROUTES_MAX], rest, contact;
	struct sip_addr addr;
	struct sip_param lr;
	struct sip_uri uri;
	unsigned n = 0;

	if (h) {
		rest = h->value;
		if (sip_addr_next(&rest, &addr, NULL) == 1 && !addr.star)
			a->target = addr.uri;
	}
	for (h = sip_msg_hdr(m, SIP_H_RECORD_ROUTE); h; h = sip_msg_hdr_next(m, h)) {
		rest = h->value;
		while (n < ROUTES_MAX && sip_addr_next(&rest, &addr, NULL) == 1)
			all[n++] = addr.text;
	}
	for (unsigned i = 0; i < n; i++)
		a->route[i] = all[n - 1 - i];
	a->n_routes = n;
	if (n == 0 || sip_addr_parse(a->route[0], &addr, NULL) < 0 || sip_uri_parse(addr.uri, &uri, NULL) < 0)
		return a->target;
	if (sip_param_find(uri.params, STR_LIT("lr"), &lr))
		return addr.uri;
	/* A strict router takes the Request-URI, and the target goes to the end (RFC 3261, 12.2.1.1). */
	contact = a->target;
	a->target = addr.uri;
	memmove(&a->route[0], &a->route[1], (n - 1) * sizeof(a->route[0]));
	if (pool_printf(a->ctx->pool, &a->route[n - 1], "<%.*s>", STR_FMT(contact)) < 0)
		a->n_routes = n - 1;
	return addr.uri;
}

void tm_uac_ack(const struct tm_branch *b, struct str reply, const struct rx_info *rx, struct str headers, struct str body)
{
	struct ctx *ctx = ctx_from_bytes(reply, rx);
	struct ack *a = ctx ? pool_zalloc(ctx->pool, sizeof(*a)) : NULL;
	struct resolve_query q = { 0 };
	struct resolve_answer answer;
	struct str hop;
	int err;

	if (!a) {
		if (ctx)
			ctx_free(ctx);
		log_info("no memory for the ACK of an INVITE of our own: its 2xx comes again");
		return;
	}
	a->ctx = ctx;
	a->target = str_dup(ctx->pool, tm_branch_text(b, TM_X_URI));
	a->headers = str_dup(ctx->pool, headers);
	a->body = str_dup(ctx->pool, body);
	a->invite_dest = b->dest;
	hop = routes(a);
	if (tm_conf.local_ack_mode == 1) {
		ack_send(a, &b->dest);
	} else if (tm_conf.local_ack_mode == 2) {
		struct tx_dest dest = { .to = rx->src, .conn_id = rx->conn_id, .listener = rx->listener, .proto = (uint8_t)rx->proto };

		ack_send(a, &dest);
	} else {
		err = out_query(hop, SIP_PROTO_NONE, &q);
		if (err == 0)
			err = resolve_now(&q, &answer);
		if (err == -EAGAIN && resolve_ask(&q, resolved, a) == 0)
			return;
		resolved(a, err, &answer);
		return;
	}
	ctx_free(ctx);
}

/* t_uac_ack_local(), for the one that was started without an ACK of its own. */
enum tm_after tm_ack_event(struct tm_txn *t, const struct tm_event *ev)
{
	struct str packed = str_of(ev->bytes, ev->len), headers;
	struct tm_answer a;

	if (packed.n < sizeof(a) || !(t->flags & TM_T_LOCAL))
		return TM_MINE;
	memcpy(&a, packed.s, sizeof(a));
	if ((uint64_t)a.headers + a.body != packed.n - sizeof(a))
		return TM_MINE;
	headers = str_sub(packed, sizeof(a), a.headers);
	for (unsigned i = 0; i < t->n_branches; i++) {
		const struct tm_branch *b = tm_branch_at(t, i);
		const struct tm_buf *reply = shm_ptr(b->reply);
		struct rx_info rx = { .proto = (enum sip_proto)b->dest.proto, .listener = b->dest.listener, .src = b->dest.to };

		if (b->state == TM_S_ACCEPTED && reply && reply->status >= 200 && reply->status < 300)
			tm_uac_ack(b, str_of(reply->bytes, reply->len), &rx, headers, str_sub(packed, sizeof(a) + a.headers, a.body));
	}
	return TM_MINE;
}
