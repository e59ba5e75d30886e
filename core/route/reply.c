/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local replies. Stateless ones carry a To-tag that is a keyed hash of the request, so that a retransmission gets the
 * same one and the ACK can be told from others, with nothing stored.
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/tm/out.h"
#include "core/tm/tm.h"

bool route_bind_tm = true;
unsigned route_rich_redirect;
static route_replied_fn *replied;

void route_on_replied(route_replied_fn *fn)
{
	replied = fn;
}

size_t route_totag(struct ctx *ctx, char *out)
{
	return out_totag(ctx, OUT_TAG_SL, out);
}

void route_reply_dest(struct ctx *ctx, struct tx_dest *ret_dest)
{
	out_reply_dest(ctx, ret_dest);
}

int route_reply_add(struct ctx *ctx, struct str fields)
{
	if (!ctx->reply_hdrs) {
		ctx->reply_hdrs = pool_alloc(ctx->pool, sizeof(*ctx->reply_hdrs));
		if (!ctx->reply_hdrs)
			return -ENOMEM;
		strbuf_init_pool(ctx->reply_hdrs, ctx->pool, 32768);
	}
	strbuf_add(ctx->reply_hdrs, fields);
	return strbuf_err(ctx->reply_hdrs);
}

/* Debug data for whoever reads a trace: which process said it, about what. */
static void add_warning(struct ctx *ctx, struct strbuf *sb)
{
	const struct net_listener *l = net_listener_at(ctx->rx.listener);
	char src[NET_ADDR_TEXT_MAX];

	strbuf_printf(sb, "Warning: 392 %.*s:%u \"Noisy feedback tells: req_src_ip=%.*s req_src_port=%u in_uri=%.*s out_uri=%.*s via_cnt%s1\"\r\n",
		      l ? (int)l->host.n : 1, l ? l->host.s : "-", l ? l->addr.port : 0u, (int)net_addr_ip_text(&ctx->rx.src, false, src), src,
		      ctx->rx.src.port, STR_FMT(ctx->msg.ruri), STR_FMT(ctx_ruri(ctx)), sip_msg_via2(&ctx->msg) ? ">" : "==");
}

int route_reply_stateless(struct ctx *ctx, int code, struct str reason)
{
	struct sip_reply_opts o = { .status = (uint16_t)code, .reason = reason };
	struct sip_out out;
	struct tx_dest dest;
	struct strbuf extra;
	char tag[40], ip[NET_ADDR_TEXT_MAX];
	int err;

	if (ctx->msg.kind != SIP_REQUEST || ctx->msg.method == SIP_M_ACK || code < 100 || code > 699 || reason.n == 0)
		return -1;
	if (ctx->mflags & CTX_F_NO_REPLY)
		return -2;
	strbuf_init_pool(&extra, ctx->pool, 65536);
	if (ctx->reply_hdrs)
		strbuf_add(&extra, strbuf_str(ctx->reply_hdrs));
	if (code >= 300 && code < 400)
		strbuf_add(&extra, out_contacts(ctx, route_rich_redirect));
	if (route_conf.server_signature && route_conf.server_header.n) {
		strbuf_add(&extra, route_conf.server_header);
		strbuf_add_lit(&extra, "\r\n");
	}
	if (route_conf.sip_warning)
		add_warning(ctx, &extra);
	if (strbuf_err(&extra) < 0)
		return -1;
	o.extra = strbuf_str(&extra);
	o.source = out_reply_source(ctx, ip);
	if (code >= 180)
		o.to_tag = str_of(tag, out_totag(ctx, OUT_TAG_SL, tag));
	o.body = ctx->reply_body;
	o.content_type = ctx->reply_ctype;
	o.record_routes = code >= 180 && code < 300 && (ctx->msg.method & (SIP_M_INVITE | SIP_M_SUBSCRIBE));
	err = sip_build_reply(ctx->pool, &ctx->msg, &o, &out);
	if (err == 0) {
		out_reply_dest(ctx, &dest);
		err = tx_send(&dest, out.iov, out.n_iov);
	}
	if (err < 0)
		log_info("reply %d not sent: %s", code, strerror(-err));
	ctx->reply_hdrs = NULL;
	ctx->reply_body = STR_NULL;
	ctx->reply_ctype = STR_NULL;
	if (code >= 200 && err == 0)
		ctx->mflags |= CTX_F_FINAL_SENT;
	if (replied)
		replied(ctx, code, err, err < 0 ? NULL : &out);
	return err < 0 ? -1 : 1;
}

int route_reply(struct ctx *ctx, int code, struct str reason)
{
	if (route_bind_tm && ctx->txn)
		return tm_reply(ctx, code, reason);
	return route_reply_stateless(ctx, code, reason);
}
