/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event routes, and what tm needs from the layers above it. An event that comes up in the middle of the handling of a message
 * cannot run in its context, which somebody still needs: it gets a copy of the message.
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/script/func.h"
#include "core/tm/tm.h"

struct event {
	void (*finished)(struct ctx *ctx, int rc, void *arg);
	void *arg;
};

static void event_done(struct ctx *ctx, int rc)
{
	struct event *e = ctx->finished_arg;

	ctx->finished_arg = NULL;
	if (e && e->finished)
		e->finished(ctx, rc, e->arg);
	tm_script_end(ctx);
	ctx_free(ctx);
}

int route_event(struct str name, struct ctx *ctx, void (*finished)(struct ctx *ctx, int rc, void *arg), void *arg)
{
	const struct script *s = vm_script_of(ctx);
	int route = s ? script_route_find(s, CTX_EVENT, name) : -1;
	struct event *e;

	if (route < 0)
		return 0;
	e = pool_alloc(ctx->pool, sizeof(*e));
	if (!e)
		return 0;
	*e = (struct event){ finished, arg };
	ctx->finished_arg = e;
	route_start(ctx, route, CTX_EVENT, event_done);
	return 1;
}

void route_event_about(struct str name, const struct ctx *ctx)
{
	struct ctx *copy;

	if (LIKELY(!vm_script() || script_route_find(vm_script(), CTX_EVENT, name) < 0))
		return;
	copy = ctx_from_bytes(ctx->msg.buf, &ctx->rx);
	if (!copy)
		return;
	copy->main.uri = ctx->main.uri.n ? str_dup(copy->pool, ctx->main.uri) : STR_NULL;
	copy->mflags |= CTX_F_NO_REPLY;
	if (route_event(name, copy, NULL, NULL) == 0)
		ctx_free(copy);
}

/* A run about a reply, and whose attributes it has. It may wait, and then outlives them. */
struct replied {
	struct ctx *about; /* NULL: gone on */
	bool *ret_over;    /* the caller's, as long as about is there */
};

static int copy_avps(const struct avp_set *from, struct pool *pool, struct avp_set *to)
{
	struct strbuf sb;
	int err;

	strbuf_init_pool(&sb, pool, AVP_PACKED_MAX);
	err = avp_set_pack(from, &sb);
	return err < 0 ? err : avp_set_unpack(strbuf_str(&sb), pool, to);
}

static void replied_done(struct ctx *ctx, int rc, void *arg)
{
	struct replied *r = arg;
	struct ctx *about = r->about;

	(void)rc; /* it was sent */
	if (!about)
		return;
	*r->ret_over = true;
	if (!ctx->avps.dirty)
		return;
	if (copy_avps(&ctx->avps, about->pool, &about->avps) < 0)
		log_error("the attributes that an event route for a reply set are too many: lost");
	about->avps.dirty = true;
}

void route_event_replied(struct str name, struct ctx *ctx, const struct sip_out *reply)
{
	struct ctx *copy;
	struct replied *r;
	bool is_over = false;
	char *bytes;

	if (LIKELY(!vm_script() || script_route_find(vm_script(), CTX_EVENT, name) < 0))
		return;
	bytes = pool_alloc(ctx->pool, reply->bytes);
	if (!bytes)
		return;
	sip_out_copy(reply, bytes);
	copy = ctx_from_bytes(str_of(bytes, reply->bytes), &ctx->rx);
	if (!copy)
		return;
	copy->mflags |= CTX_F_NO_REPLY;
	r = pool_alloc(copy->pool, sizeof(*r));
	if (!r || copy_avps(&ctx->avps, copy->pool, &copy->avps) < 0) {
		ctx_free(copy);
		return;
	}
	copy->avps.dirty = false;
	*r = (struct replied){ ctx, &is_over };
	if (route_event(name, copy, replied_done, r) == 0)
		ctx_free(copy);
	else if (!is_over)
		*r = (struct replied){ 0 };
}

struct ctx *route_faked_ctx(void)
{
	static const char text[] =
		"OPTIONS sip:you@kamailio.org SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKfaked\r\n"
		"From: <sip:you@kamailio.org>;tag=123\r\nTo: <sip:you@kamailio.org>\r\nCall-ID: 123\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0 };
	const struct net_listener *l = net_listener_at(0);
	struct ctx *ctx;

	if (net_addr_parse(STR_LIT("127.0.0.1"), 5060, &rx.src) < 0)
		return NULL;
	rx.dst = rx.src;
	if (l) {
		rx.dst = l->addr;
		rx.proto = l->proto;
	}
	ctx = ctx_from_bytes(str_of(text, sizeof(text) - 1), &rx);
	if (ctx)
		ctx->mflags |= CTX_F_FAKED | CTX_F_NO_REPLY;
	return ctx;
}

int route_modinit_before(void)
{
	struct ctx *ctx;
	int err;

	if (script_route_find(vm_script(), CTX_EVENT, STR_LIT("core:modinit-before")) < 0)
		return 0;
	err = ctx_pool_init(1); /* each worker makes its own */
	ctx = err == 0 ? route_faked_ctx() : NULL;
	if (!ctx)
		return err < 0 ? err : -ENOMEM;
	if (route_event(STR_LIT("core:modinit-before"), ctx, NULL, NULL) == 0)
		ctx_free(ctx);
	return 0;
}

/* ---- hooks of tm ---- */

/*
 * A transaction names its routes, and a reload may have taken one away: then things go on as if none had been armed, as for a name
 * that was computed and does not exist. Events that no route waits for are the usual case.
 */
static bool find(const struct script *s, enum ctx_kind kind, struct str name, int *ret_route)
{
	*ret_route = s ? script_route_find(s, kind, name) : -1;
	if (*ret_route < 0 && kind != CTX_EVENT)
		log_warn("%s[%.*s], set for this transaction, is not in the script that runs now: passed over",
			 kind == CTX_FAILURE ? "failure_route" : kind == CTX_BRANCH ? "branch_route" : kind == CTX_REQUEST ? "route" : "onreply_route", STR_FMT(name));
	return *ret_route >= 0;
}

static int call_route(struct ctx *ctx, enum ctx_kind kind, struct str name, int (*cont)(struct ctx *ctx, int rc, void *arg), void *arg)
{
	int route;

	if (!find(vm_script_of(ctx), kind, name, &route))
		return -ENOENT;
	return script_call_route(ctx, kind, name, cont, arg);
}

static int run_route(struct ctx *ctx, enum ctx_kind kind, struct str name)
{
	int route;

	if (!find(vm_script_of(ctx), kind, name, &route))
		return -ENOENT;
	route_start(ctx, route, kind, ctx->finished);
	return 0;
}

static int run_continued(struct ctx *ctx, enum ctx_kind kind, struct str name)
{
	int route;

	if (!find(vm_script_of(ctx), CTX_REQUEST, name, &route))
		return -ENOENT;
	route_start(ctx, route, kind, ctx->finished);
	return 0;
}

static bool has_route(enum ctx_kind kind, struct str name)
{
	int route;

	return find(vm_script(), kind, name, &route);
}

static struct str server_header(void)
{
	return route_conf.server_signature ? route_conf.server_header : STR_NULL;
}

static int forward_request(struct ctx *ctx, const struct tm_relay_opts *opts)
{
	return opts ? route_forward(ctx, opts->host, opts->port, opts->proto) : route_forward(ctx, STR_NULL, 0, SIP_PROTO_NONE);
}

void route_tm_hooks(void)
{
	static const struct tm_hooks hooks = {
		.call_route = call_route, .run_route = run_route, .run_continued = run_continued, .has_route = has_route, .server_header = server_header,
		.stateless_reply = route_reply_stateless, .forward_reply = route_forward_reply, .forward_request = forward_request,
		.may_forward = route_may_forward,
		.event_replied = route_event_replied,
		.run_again = route_request_run,
	};

	tm_set_hooks(&hooks);
}
