/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building what leaves the server. The same code serves transactions (which keep the result for retransmission) and
 * stateless forwarding. Record-Route is the one field that depends on the socket the request leaves by, which is known
 * only after the script ended; so record_route() leaves an edit with a template in it, and here the template is filled in for each
 * branch. Templates travel with the other edits into transactions, so that a serial fork is record-routed like the first leg.
 */
#include "core/tm/out.h"

#include <errno.h>

#include "core/base/hashfn.h"
#include "core/base/num.h"
#include "core/base/scan.h"
#include "core/base/strbuf.h"

struct out_conf out_conf;

/* ---- Record-Route templates: MARK, double_rr digit, flags letter, user, NUL, host[:port] to show, NUL, params ---- */

#define RR_HEAD 3u /* bytes before the user */
enum rr_flags { RR_BASE = 'a', RR_FULL_LR = 1, RR_SIPS = 2, RR_SOCKNAME = 4 };

int out_rr_template(struct pool *pool, const struct out_rr *rr, struct str *ret)
{
	struct strbuf sb;

	strbuf_init_pool(&sb, pool, 2048);
	strbuf_add_char(&sb, OUT_RR_MARK);
	strbuf_add_char(&sb, (char)('0' + rr->double_rr));
	strbuf_add_char(&sb, (char)(RR_BASE + ((rr->full_lr ? RR_FULL_LR : 0) | (rr->sips ? RR_SIPS : 0) | (rr->sockname ? RR_SOCKNAME : 0))));
	strbuf_add(&sb, rr->user);
	strbuf_add_char(&sb, '\0');
	strbuf_add(&sb, rr->show);
	strbuf_add_char(&sb, '\0');
	strbuf_add(&sb, rr->params);
	*ret = strbuf_str(&sb);
	return strbuf_err(&sb);
}

static int rr_read(struct str tmpl, struct out_rr *ret)
{
	const char *nul, *nul2;
	int flags;

	if (tmpl.n <= RR_HEAD || tmpl.s[0] != OUT_RR_MARK)
		return -EINVAL;
	nul = memchr(tmpl.s + RR_HEAD, '\0', tmpl.n - RR_HEAD);
	nul2 = nul ? memchr(nul + 1, '\0', tmpl.n - (size_t)(nul + 1 - tmpl.s)) : NULL;
	if (!nul2)
		return -EINVAL;
	flags = tmpl.s[2] - RR_BASE;
	*ret = (struct out_rr){ .user = str_of(tmpl.s + RR_HEAD, (size_t)(nul - tmpl.s) - RR_HEAD),
				.show = str_of(nul + 1, (size_t)(nul2 - nul) - 1),
				.params = str_of(nul2 + 1, tmpl.n - (size_t)(nul2 + 1 - tmpl.s)),
				.double_rr = tmpl.s[1] - '0',
				.full_lr = flags & RR_FULL_LR,
				.sips = flags & RR_SIPS,
				.sockname = flags & RR_SOCKNAME };
	return 0;
}

static void rr_host(struct strbuf *sb, const struct net_listener *l, const struct out_rr *rr, struct str adv_host, uint16_t adv_port)
{
	if (rr->show.n) {
		strbuf_add(sb, rr->show);
	} else if (adv_host.n) {
		strbuf_add(sb, adv_host);
		if (adv_port || l->addr.port != 5060) {
			strbuf_add_char(sb, ':');
			strbuf_add_u64(sb, adv_port ? adv_port : l->addr.port);
		}
	} else {
		strbuf_add(sb, l->uri_hostport);
	}
}

static void rr_one(struct strbuf *sb, const struct net_listener *l, const struct out_rr *rr, bool r2, bool show_udp, struct str adv_host, uint16_t adv_port)
{
	strbuf_add_lit(sb, rr->sips ? "Record-Route: <sips:" : "Record-Route: <sip:");
	if (rr->user.n) {
		strbuf_add(sb, rr->user);
		strbuf_add_char(sb, '@');
	}
	rr_host(sb, l, rr, adv_host, adv_port);
	if (l->proto != SIP_PROTO_UDP || show_udp) {
		/* RFC 7118 knows one word for both: transport=ws, the security is in the connection. */
		strbuf_add_lit(sb, ";transport=");
		strbuf_add_lit(sb, sip_proto_name(l->proto == SIP_PROTO_WSS ? SIP_PROTO_WS : l->proto));
	}
	if (rr->sockname && l->name.n && rr->show.n == 0) {
		strbuf_add_lit(sb, ";sn=");
		strbuf_add(sb, l->name);
	}
	if (r2)
		strbuf_add_lit(sb, ";r2=on");
	if (rr->show.n) /* the order of Kamailio's record_route_advertised_address() */
		strbuf_add(sb, rr->params);
	strbuf_add_lit(sb, rr->full_lr ? ";lr=on" : ";lr");
	if (rr->show.n == 0)
		strbuf_add(sb, rr->params);
	strbuf_add_lit(sb, ">\r\n");
}

int out_rr_expand(struct pool *pool, struct str tmpl, const struct net_listener *in, const struct net_listener *out,
		  struct str adv_host, uint16_t adv_port, struct str *ret)
{
	struct strbuf sb;
	struct out_rr rr;
	int err = rr_read(tmpl, &rr);
	bool two;

	if (err < 0)
		return err;
	two = in && (rr.double_rr == 2 || (rr.double_rr == 1 && in != out));
	strbuf_init_pool(&sb, pool, 4096);
	/* The outgoing side is on top: its peer meets it first on the way back. */
	rr_one(&sb, out, &rr, two, two && rr.double_rr == 2, adv_host, adv_port);
	if (two)
		rr_one(&sb, in, &rr, true, rr.double_rr == 2, adv_host, adv_port);
	*ret = strbuf_str(&sb);
	return strbuf_err(&sb);
}

/* ---- next hop ---- */

int out_query(struct str uri, enum sip_proto force, struct resolve_query *ret_query)
{
	struct sip_param maddr;
	struct sip_uri u;

	if (sip_uri_parse(uri, &u, NULL) < 0)
		return -EBADMSG;
	if (u.scheme != SIP_URI_SIP && u.scheme != SIP_URI_SIPS)
		return -EINVAL;
	if (u.host.n == 0)
		return -EBADMSG;
	ret_query->host = u.host;
	/* RFC 3263, 4: maddr is where the request goes, whatever the host says. */
	if (sip_param_find(u.params, STR_LIT("maddr"), &maddr) && maddr.value.n > 0) {
		ret_query->host = maddr.value;
		if (maddr.value.n > 2 && maddr.value.s[0] == '[' && maddr.value.s[maddr.value.n - 1] == ']')
			ret_query->host = str_sub(maddr.value, 1, maddr.value.n - 2);
	}
	ret_query->port = u.port;
	ret_query->proto = force != SIP_PROTO_NONE ? force : u.proto;
	ret_query->secure = u.scheme == SIP_URI_SIPS;
	if (ret_query->secure && (ret_query->proto == SIP_PROTO_NONE || ret_query->proto == SIP_PROTO_TCP))
		ret_query->proto = SIP_PROTO_TLS;
	return 0;
}

struct str out_next_hop(const struct ctx *ctx, const struct ctx_target *t)
{
	if (t->dst_uri.n)
		return t->dst_uri;
	if (t->path.n) {
		struct str rest = t->path;
		struct sip_addr a;

		if (sip_addr_next(&rest, &a, NULL) == 1)
			return a.uri;
	}
	return t->uri.n ? t->uri : ctx->msg.ruri;
}

/* ---- requests ---- */

/* The edits with Record-Route templates filled in: the same list when there are none. */
static int edits_for(struct ctx *ctx, const struct sip_edits *e, const struct net_listener *out, struct sip_edits *ret)
{
	struct sip_edit **tail = &ret->head;
	bool found = false;

	*ret = *e;
	for (const struct sip_edit *i = e->head; i; i = i->next)
		if (i->tag == SIP_EDIT_RECORD_ROUTE && i->put.n && i->put.s[0] == OUT_RR_MARK)
			found = true;
	if (!found)
		return 0;
	for (const struct sip_edit *i = e->head; i; i = i->next) {
		struct sip_edit *c = pool_alloc(ctx->pool, sizeof(*c));

		if (!c)
			return -ENOMEM;
		*c = *i;
		c->next = NULL;
		if (i->tag == SIP_EDIT_RECORD_ROUTE && i->put.n && i->put.s[0] == OUT_RR_MARK) {
			int err = out_rr_expand(ctx->pool, i->put, net_listener_at(ctx->rx.listener), out, ctx->adv_host,
						ctx->adv_port, &c->put);
			if (err < 0)
				return err;
		}
		*tail = c;
		tail = &c->next;
	}
	return 0;
}

int out_request_build(struct ctx *ctx, const struct out_request *req, struct sip_out *ret_out)
{
	struct sip_forward fwd = { 0 };
	char ip[NET_ADDR_TEXT_MAX];
	struct sip_edits edits;
	int err = edits_for(ctx, req->edits, req->from, &edits);

	if (err == 0)
		err = out_via_build(ctx, req, &fwd.via);
	if (err < 0)
		return err;
	fwd.ruri = req->ruri;
	fwd.via_alone = req->via_alone;
	if (req->path.n) {
		err = pool_printf(ctx->pool, &fwd.extra, "Route: %.*s\r\n", STR_FMT(req->path));
		if (err < 0)
			return err;
	}
	if (!req->keep_via1)
		fwd.source = out_via_source(ctx, ip);
	return sip_build_request(ctx->pool, &ctx->msg, &edits, &fwd, req->may_move || req->from->proto != SIP_PROTO_UDP, ret_out);
}

enum sip_proto out_mtu_proto(const struct ctx *ctx, enum sip_proto proto, size_t bytes, const struct net_addr *to)
{
	enum sip_proto big = ctx->mtu_try ? (enum sip_proto)(ctx->mtu_try - 1) : out_conf.udp_mtu_try_proto;

	if (LIKELY(proto != SIP_PROTO_UDP || out_conf.udp_mtu <= 0 || bytes <= (size_t)out_conf.udp_mtu) || big == SIP_PROTO_NONE)
		return proto;
	return net_listener_for(big, to, NET_LISTENER_NONE) ? big : proto;
}

/* ---- replies ---- */

static bool via_names_source(const struct sip_via *via, const struct net_addr *src)
{
	struct net_addr a;

	return net_addr_parse(via->host, 0, &a) == 0 && net_addr_ip_equal(&a, src);
}

struct sip_via_source out_via_source(struct ctx *ctx, char *ip)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	struct sip_via_source source = { 0 };
	bool rport;

	if (!via)
		return source;
	rport = via->has_rport || (ctx->mflags & CTX_F_FORCE_RPORT) || out_conf.force_rport;
	/* RFC 3581, 4: with rport, received goes in even when the sent-by already says it. */
	if (!rport && ((ctx->mflags & CTX_F_VIA_IS_SOURCE) || via_names_source(via, &ctx->rx.src)))
		return source;
	source.received = str_of(ip, net_addr_ip_text(&ctx->rx.src, false, ip));
	if (rport)
		source.rport = ctx->rx.src.port;
	return source;
}

/* RFC 3261, 18.2.2. Over a stream the address counts only when the connection is gone, for a new one. */
void out_reply_dest(struct ctx *ctx, struct tx_dest *ret_dest)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);

	*ret_dest = (struct tx_dest){ .to = ctx->rx.src, .conn_id = ctx->rx.conn_id, .listener = ctx->rx.listener, .proto = (uint8_t)ctx->rx.proto };
	if (ctx->mflags & CTX_F_RPL_NO_CONNECT)
		ret_dest->flags |= TX_NO_CONNECT;
	if (ctx->mflags & CTX_F_RPL_CLOSE)
		ret_dest->flags |= TX_CLOSE_AFTER;
	if (!via)
		return;
	if (out_conf.reply_to_via && ctx->rx.proto == SIP_PROTO_UDP) {
		struct net_addr a;

		if (net_addr_parse(via->host, via->port ? via->port : 5060, &a) == 0)
			ret_dest->to = a;
		return;
	}
	/*
	 * To the source address, and to the sent-by port unless rport was asked for (RFC 3581, 4: of datagrams). Nobody listens on the port
	 * that a connection came from.
	 */
	if (ctx->rx.proto != SIP_PROTO_UDP || (!via->has_rport && !(ctx->mflags & CTX_F_FORCE_RPORT) && !out_conf.force_rport))
		ret_dest->to.port = via->port ? via->port : sip_proto_default_port(ctx->rx.proto);
}

int out_via_dest(const struct sip_via *via, struct tx_dest *ret_dest)
{
	uint16_t port = via->port ? via->port : sip_proto_default_port(via->proto);
	struct str host = via->received.n ? via->received : via->maddr.n ? via->maddr : via->host;
	struct net_addr to;
	const struct net_listener *l;
	uint32_t n;

	if (via->has_rport && via->rport.n && num_u32(via->rport, &n) == 0 && n > 0 && n < 65536)
		port = (uint16_t)n;
	if (net_addr_parse(host, port, &to) < 0)
		return -EINVAL;
	/* Never to everybody at once: RFC 4475, 3.3.10. */
	if (to.family == AF_INET && (to.ip[0] >= 224 || to.ip[0] == 0))
		return -EINVAL;
	if (to.family == AF_INET6 && to.ip[0] == 0xff)
		return -EINVAL;
	l = net_listener_for(via->proto, &to, NET_LISTENER_NONE);
	if (!l)
		return -EINVAL;
	*ret_dest = (struct tx_dest){ .to = to, .listener = l->index, .proto = (uint8_t)via->proto };
	return 0;
}

/* hvalue of a header in a URI (RFC 3261, 25.1) */
static void add_hvalue(struct strbuf *sb, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (char_is(s.s[i], CHARS_ALNUM) || memchr("[]/?:+$-_.!~*'()", s.s[i], 16))
			strbuf_add_char(sb, s.s[i]);
		else
			strbuf_printf(sb, "%%%02x", (unsigned char)s.s[i]);
	}
}

static void contact_add(struct strbuf *sb, const struct ctx_target *t, unsigned rich, unsigned *n)
{
	strbuf_add_lit(sb, *n ? ", <" : "Contact: <");
	strbuf_add(sb, t->uri);
	if (rich & OUT_RICH_PATH && t->path.n) {
		strbuf_add_lit(sb, str_find_char(t->uri, '?') < 0 ? "?Route=" : "&Route=");
		add_hvalue(sb, t->path);
	}
	strbuf_add_char(sb, '>');
	if (t->q >= 0)
		sip_q_add(sb, t->q);
	if (rich & OUT_RICH_FLAGS)
		strbuf_printf(sb, ";flags=%u", t->bflags);
	++*n;
}

struct str out_contacts(struct ctx *ctx, unsigned rich)
{
	struct strbuf sb;
	unsigned n = 0;

	strbuf_init_pool(&sb, ctx->pool, 16384);
	if (ctx->main.uri.n && !(ctx->mflags & CTX_F_RURI_CONSUMED))
		contact_add(&sb, &ctx->main, rich, &n);
	for (unsigned i = 0; i < ctx->n_branches; i++)
		contact_add(&sb, &ctx->branch[i], rich, &n);
	if (n == 0)
		return STR_NULL;
	strbuf_add_lit(&sb, "\r\n");
	return strbuf_err(&sb) < 0 ? STR_NULL : strbuf_str(&sb);
}

size_t out_totag(struct ctx *ctx, enum out_tag_kind kind, char *out)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	const struct sip_addr *from = sip_msg_from(&ctx->msg);
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);
	struct str callid = sip_msg_call_id(&ctx->msg);
	uint64_t dialog, request;
	char *p = out;

	dialog = hashfn64_seed(callid.s, callid.n, (uint64_t)kind << 32 | (cseq ? cseq->number : 0));
	if (from)
		dialog = hashfn64_seed(from->tag.s, from->tag.n, dialog);
	/* The ACK for a non-2xx carries the INVITE's branch (RFC 3261, 17.1.1.3); an RFC 2543 one is known by the rest. */
	request = via && via->magic ? hashfn64_seed(via->branch.s, via->branch.n, dialog) : 0;
	p = num_hex(dialog, 16, p);
	*p++ = '.';
	p = num_hex(request, 8, p);
	*p++ = (char)kind;
	return (size_t)(p - out);
}
