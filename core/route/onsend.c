/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * onsend_route: a last look at what is about to be written. It runs on a context made from the outgoing bytes, at once:
 * there is nobody who could wait here, so a route that parks has its message sent and its verdict ignored. Costs nothing for
 * scripts that have no such route, since then no hook is set.
 */
#include "core/base/log.h"
#include "core/pv/pv.h"
#include "core/route/route_priv.h"

struct verdict {
	bool drop, over;
};

static void onsend_done(struct ctx *ctx, int rc)
{
	struct verdict *v = ctx->finished_arg;

	(void)rc; /* negative: sent anyway */
	if (v) {
		v->drop = (ctx->mflags & CTX_F_DROP) != 0;
		v->over = true;
	}
	ctx_free(ctx);
}

static int onsend(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov)
{
	static bool inside; /* what the route itself sends is not looked at */
	static char flat[65536];
	struct verdict v = { false, false };
	struct pv_snd snd;
	struct rx_info rx = { .proto = (enum sip_proto)dest->proto, .listener = dest->listener, .conn_id = dest->conn_id, .dst = dest->to };
	const struct net_listener *l = net_listener_at(dest->listener);
	struct ctx *ctx;
	size_t len = 0;
	int route = vm_script() ? script_route_find(vm_script(), CTX_ONSEND, STR_NULL) : -1;

	if (route < 0 || inside)
		return 0;
	for (unsigned i = 0; i < n_iov; i++) {
		if (len + iov[i].iov_len > sizeof(flat))
			return 0;
		memcpy(flat + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	if (len < 12 || (memcmp(flat, "SIP/2.0 ", 8) == 0 && !route_conf.onsend_route_reply))
		return 0;
	if (l)
		rx.src = l->addr;
	ctx = ctx_from_bytes(str_of(flat, len), &rx);
	if (!ctx)
		return 0;
	inside = true;
	ctx->finished_arg = &v;
	ctx->send_dest = dest;
	ctx->send_len = len;
	snd = (struct pv_snd){ .to = dest->to, .proto = (enum sip_proto)dest->proto, .listener = dest->listener, .buf = ctx->msg.buf };
	pv_snd_set(ctx, &snd);
	route_start(ctx, route, CTX_ONSEND, onsend_done);
	inside = false;
	pv_snd_set(NULL, NULL);
	if (!v.over) {
		ctx->finished_arg = NULL; /* v is gone when it comes back, and so is the destination */
		ctx->send_dest = NULL;
		log_error("onsend_route must not wait: the message is sent");
	}
	return v.drop ? 1 : 0;
}

void route_onsend_init(void)
{
	tx_set_hook(vm_script() && script_route_find(vm_script(), CTX_ONSEND, STR_NULL) >= 0 ? onsend : NULL);
}
