/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A last look at what is about to be written: onsend_route, the event route of replies (route_reply_out), then whoever puts other bytes on the
 * wire (wire.c). Each runs on a context made from the outgoing bytes, at once: there is nobody who could wait here, so a route that
 * parks has its message sent and its verdict ignored. Costs nothing for scripts that have no such route, since then no hook is set.
 */
#include "core/base/log.h"
#include "core/pv/pv.h"
#include "core/route/route_priv.h"

struct str route_reply_out;

struct look {
	enum route_verdict verdict;
	void (*over)(struct ctx *ctx, void *arg);
	void *arg;
};

static void look_done(struct ctx *ctx, int rc)
{
	struct look *l = ctx->finished_arg;

	(void)rc; /* negative: sent anyway */
	ctx->finished_arg = NULL;
	if (l) {
		l->verdict = ctx->mflags & CTX_F_DROP ? ROUTE_DROP : ROUTE_SEND;
		if (l->over && l->verdict == ROUTE_SEND)
			l->over(ctx, l->arg);
	}
	ctx_free(ctx);
}

struct rx_info route_look_rx(const struct tx_dest *dest)
{
	struct rx_info rx = { .proto = (enum sip_proto)dest->proto, .listener = dest->listener, .conn_id = dest->conn_id, .dst = dest->to };
	const struct net_listener *l = net_listener_at(dest->listener);

	if (l)
		rx.src = l->addr;
	return rx;
}

enum route_verdict route_look(struct ctx *ctx, const struct tx_dest *dest, int route, enum ctx_kind kind, void (*over)(struct ctx *ctx, void *arg), void *arg)
{
	struct look l = { .verdict = ROUTE_WAITS, .over = over, .arg = arg };
	struct pv_snd snd = { .to = dest->to, .proto = (enum sip_proto)dest->proto, .listener = dest->listener, .buf = ctx->msg.buf };

	ctx->mflags |= CTX_F_OUTGOING | CTX_F_AT_ONCE;
	ctx->finished_arg = &l;
	ctx->send_dest = dest;
	ctx->send_len = ctx->msg.buf.n;
	pv_snd_set(ctx, &snd);
	route_start(ctx, route, kind, look_done);
	pv_snd_set(NULL, NULL);
	if (l.verdict == ROUTE_WAITS) {
		ctx->finished_arg = NULL; /* l is gone when it comes back, and so is the destination */
		ctx->send_dest = NULL;
	}
	return l.verdict;
}

/* Does a route say that they shall not be sent? */
static bool dropped(const struct tx_dest *dest, struct str bytes, int route, enum ctx_kind kind)
{
	const struct rx_info rx = route_look_rx(dest);
	struct ctx *ctx = route >= 0 ? ctx_from_bytes(bytes, &rx) : NULL;
	enum route_verdict v = ctx ? route_look(ctx, dest, route, kind, NULL, NULL) : ROUTE_SEND;

	if (v == ROUTE_WAITS)
		log_error("%s must not wait: the message is sent", kind == CTX_ONSEND ? "onsend_route" : "event_route[corex:reply-out]");
	return v == ROUTE_DROP;
}

static int find(enum ctx_kind kind, struct str name)
{
	return vm_script() ? script_route_find(vm_script(), kind, name) : -1;
}

static bool is_reply(struct str bytes)
{
	return bytes.n >= 8 && memcmp(bytes.s, "SIP/2.0 ", 8) == 0;
}

static int look(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov, struct str *ret_instead)
{
	static bool inside; /* what a route itself sends is not looked at */
	static char flat[65536];
	struct str bytes = str_of(flat, 0);
	bool refused;

	if (inside)
		return 0;
	for (unsigned i = 0; i < n_iov; i++) {
		if (bytes.n + iov[i].iov_len > sizeof(flat))
			return 0;
		memcpy(flat + bytes.n, iov[i].iov_base, iov[i].iov_len);
		bytes.n += iov[i].iov_len;
	}
	if (bytes.n < 12)
		return 0;
	inside = true;
	refused = (!is_reply(bytes) || route_conf.onsend_route_reply) && dropped(dest, bytes, find(CTX_ONSEND, STR_NULL), CTX_ONSEND);
	if (!refused && route_reply_out.n && is_reply(bytes))
		refused = dropped(dest, bytes, find(CTX_EVENT, route_reply_out), CTX_EVENT);
	if (!refused)
		refused = !route_wire_out(dest, bytes, ret_instead);
	inside = false;
	return refused ? 1 : 0;
}

void route_onsend_init(void)
{
	bool wanted = find(CTX_ONSEND, STR_NULL) >= 0 || (route_reply_out.n && find(CTX_EVENT, route_reply_out) >= 0) || route_wire_wants_out();

	tx_set_hook(wanted ? look : NULL);
}
