/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes sent as they are: the message without a Via of ours, or a text of the script. What a name stands for is asked without
 * holding up anybody: the script waits, the worker does not.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/event/loop.h"
#include "core/net/resolve.h"
#include "core/route/route.h"
#include "core/tm/out.h"
#include "core/transport/tx.h"
#include "modules/corex/corex_priv.h"

#define DNS_MAX_MS 10000u

struct job {
	uint64_t ticket;
	uint16_t listener; /* NET_LISTENER_NONE: choose */
	size_t n;
	char bytes[];
};

static int send_to(struct str bytes, uint16_t listener, const struct resolve_answer *a)
{
	int err = -EHOSTUNREACH;

	for (unsigned i = 0; i < a->n; i++) {
		struct tx_dest dest = { .to = a->target[i].addr, .proto = (uint8_t)a->target[i].proto };
		const struct net_listener *l = net_listener_for(a->target[i].proto, &dest.to, listener);

		if (!l) {
			err = -EAFNOSUPPORT;
			continue;
		}
		dest.listener = l->index;
		err = tx_send_bytes(&dest, bytes.s, bytes.n);
		if (err == 0)
			return 1;
	}
	log_info("corex: %zu bytes not sent: %s", bytes.n, strerror(-err));
	return -1;
}

static void resolved(void *arg, int err, const struct resolve_answer *answer)
{
	struct job *j = arg;

	ctx_wake(j->ticket, err < 0 ? -1 : send_to(str_of(j->bytes, j->n), j->listener, answer));
	free(j);
}

static void give_up(void *arg)
{
	ctx_wake((uint64_t)(uintptr_t)arg, -1);
}

static int ask(struct ctx *ctx, const struct resolve_query *q, uint16_t listener, struct str bytes)
{
	struct job *j = malloc(sizeof(*j) + bytes.n);

	if (!j)
		return -1;
	*j = (struct job){ .listener = listener, .n = bytes.n };
	memcpy(j->bytes, bytes.s, bytes.n);
	j->ticket = ctx_park(ctx, DNS_MAX_MS, -1);
	if (!j->ticket) {
		free(j);
		return -1;
	}
	if (resolve_ask(q, resolved, j) < 0) {
		log_info("corex: too many DNS queries are waiting");
		if (loop_defer(loop_self(), give_up, (void *)(uintptr_t)j->ticket) < 0)
			log_error("corex: no memory to go on at once");
		free(j);
	}
	return SCRIPT_SUSPEND;
}

static int deliver(struct ctx *ctx, const struct resolve_query *q, uint16_t listener, struct str bytes)
{
	struct resolve_answer a;
	int err;

	if (bytes.n == 0)
		return -1;
	err = resolve_now(q, &a);
	if (err == -EAGAIN)
		return ask(ctx, q, listener, bytes);
	if (err < 0) {
		log_info("corex: no address of %.*s", STR_FMT(q->host));
		return -1;
	}
	return send_to(bytes, listener, &a);
}

/* "host[:port]", IPv6 in brackets. */
static int query_of_hostport(struct str s, enum sip_proto proto, struct resolve_query *q)
{
	ptrdiff_t close = str_find_char(s, ']'), colon;
	struct str tail = close < 0 ? s : str_sub(s, (size_t)close + 1, s.n);
	uint32_t port = 0;

	colon = str_find_char(tail, ':');
	if (colon >= 0 && (num_u32(str_sub(tail, (size_t)colon + 1, tail.n), &port) < 0 || port == 0 || port > 65535))
		return -EBADMSG;
	q->host = colon < 0 ? s : str_sub(s, 0, s.n - tail.n + (size_t)colon);
	q->port = (uint16_t)port;
	q->proto = proto;
	return q->host.n ? 0 : -EBADMSG;
}

static int send_message(struct ctx *ctx, const union script_arg *a, unsigned n, enum sip_proto proto)
{
	struct resolve_query q = { 0 };
	struct str bytes;
	int err = n ? query_of_hostport(a[0].s, proto, &q) : out_query(out_next_hop(ctx, &ctx->main), proto, &q);

	if (err < 0) {
		log_error("send_%s: \"%.*s\" is no destination", sip_proto_name(proto), STR_FMT(n ? a[0].s : out_next_hop(ctx, &ctx->main)));
		return -1;
	}
	if (sip_build_edited(ctx->pool, &ctx->msg, &ctx->edits, ctx->main.uri, &bytes) < 0)
		return -1;
	return deliver(ctx, &q, ctx->main.listener, bytes);
}

int corex_send_udp(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return send_message(ctx, a, n, SIP_PROTO_UDP);
}

int corex_send_tcp(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return send_message(ctx, a, n, SIP_PROTO_TCP);
}

static int send_text(struct ctx *ctx, struct str uri, uint16_t listener, struct str bytes)
{
	struct resolve_query q = { 0 };

	if (out_query(uri, SIP_PROTO_NONE, &q) < 0) {
		log_error("corex: \"%.*s\" is no SIP URI to send to", STR_FMT(uri));
		return -1;
	}
	return deliver(ctx, &q, listener, bytes);
}

int corex_send_data(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* two */
	return send_text(ctx, a[0].s, ctx->main.listener, a[1].s);
}

int corex_sendx(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct net_listener *l = net_listener_find(a[1].s);

	(void)n; /* three */
	if (!l) {
		log_error("sendx: nothing listens on %.*s", STR_FMT(a[1].s));
		return -1;
	}
	return send_text(ctx, a[0].s, l->index, a[2].s);
}

/* ---- forward_uac ---- */

static int forward_uac(struct ctx *ctx, struct str uri, int64_t index)
{
	if (index < 0 || index > UINT16_MAX) {
		log_error("forward_uac: %lld is no number of a branch", (long long)index);
		return -1;
	}
	return route_forward_uac(ctx, uri, (uint16_t)index);
}

int corex_forward_uac(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return forward_uac(ctx, STR_NULL, n ? a[0].i : 0);
}

int corex_forward_uac_uri(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (a[0].s.n == 0) {
		log_error("forward_uac_uri: a URI expected");
		return -1;
	}
	return forward_uac(ctx, a[0].s, n > 1 ? a[1].i : 0);
}
