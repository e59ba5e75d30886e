/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands on the wire instead of SIP: an event route may decode the bytes of a message before they are parsed, and encode what is about to
 * be written (module corex: event_route[network:msg]). Inwards the route has the message's own context, so it may wait like any other. Outwards it
 * runs at once, and what it would have to wait for is not sent: who encrypts must not find plain text on the wire.
 *
 * Frames are cut out of a stream before, by their Content-Length, and the same bytes are kept in transactions unencoded: each repetition is
 * encoded anew.
 */
#include "core/base/log.h"
#include "core/route/route_priv.h"

#define MESSAGE_MAX 65535u

static const struct route_wire *wire;

void route_wire(const struct route_wire *w)
{
	wire = w;
}

static bool fits(struct str bytes)
{
	if (LIKELY(bytes.n <= MESSAGE_MAX))
		return true;
	log_error("event_route[%.*s]: %zu bytes are more than a message may have: dropped", STR_FMT(wire->route), bytes.n);
	return false;
}

/* ---- in ---- */

static void in_done(struct ctx *ctx, int rc)
{
	struct str came = ctx->msg.buf, bytes;

	(void)rc; /* only drop counts, as in the core's own event routes */
	if (ctx->mflags & CTX_F_DROP) {
		ctx_free(ctx);
		return;
	}
	bytes = wire->result(ctx);
	if (!fits(bytes)) {
		ctx_free(ctx);
		return;
	}
	if (bytes.n) {
		if (ctx->received.n == 0)
			ctx->received = came;
		ctx->msg.buf = bytes;
	}
	route_decoded(ctx);
}

bool route_wire_in(struct ctx *ctx)
{
	const struct script *s = wire ? vm_script_of(ctx) : NULL;
	int route = s && ctx->msg.buf.n >= wire->bytes_min ? script_route_find(s, CTX_EVENT, wire->route) : -1;

	if (route < 0)
		return false;
	ctx->msg.pool = ctx->pool; /* nothing is parsed yet: variables about the message are null */
	route_start(ctx, route, CTX_EVENT, in_done);
	return true;
}

/* ---- out ---- */

static void keep(struct ctx *ctx, void *arg)
{
	static char kept[MESSAGE_MAX];
	struct str bytes = wire->result(ctx), *ret = arg;

	if (bytes.n == 0)
		bytes = ctx->msg.buf;
	if (!fits(bytes))
		return;
	memcpy(kept, bytes.s, bytes.n);
	*ret = str_of(kept, bytes.n);
}

static int out_route(void)
{
	return wire && vm_script() ? script_route_find(vm_script(), CTX_EVENT, wire->route) : -1;
}

bool route_wire_wants_out(void)
{
	return out_route() >= 0;
}

bool route_wire_out(const struct tx_dest *dest, struct str bytes, struct str *ret_instead)
{
	int route = out_route();
	struct str result = STR_NULL;
	struct ctx *ctx;

	if (route < 0 || bytes.n < wire->bytes_min)
		return true;
	ctx = ctx_new();
	if (!ctx)
		return false;
	ctx->rx = route_look_rx(dest);
	ctx->msg.pool = ctx->pool;
	ctx->msg.buf = str_dup(ctx->pool, bytes);
	ctx->mflags |= CTX_F_NO_REPLY;
	if (!ctx->msg.buf.s) {
		ctx_free(ctx);
		return false;
	}
	if (route_look(ctx, dest, route, CTX_EVENT, keep, &result) == ROUTE_WAITS)
		log_error("event_route[%.*s] must not wait for what is sent: the message is not", STR_FMT(wire->route));
	*ret_instead = result;
	return result.n > 0;
}
