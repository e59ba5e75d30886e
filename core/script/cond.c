/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that a condition may have on its left, like `method` and `src_ip`: their values in a context. */
#include "core/script/script_priv.h"

#include "core/base/num.h"
#include "core/net/myself.h"
#include "core/transport/tx.h"

static struct str method_of(struct ctx *ctx)
{
	const struct sip_cseq *cseq;

	if (ctx->msg.kind == SIP_REQUEST)
		return ctx->msg.method_name;
	cseq = sip_msg_cseq(&ctx->msg);
	return cseq ? cseq->name : STR_NULL;
}

static int uri_text(struct ctx *ctx, enum cond_operand op, struct str *ret)
{
	const struct sip_addr *a;

	if (op == C_FROM_URI || op == C_TO_URI) {
		a = op == C_FROM_URI ? sip_msg_from(&ctx->msg) : sip_msg_to(&ctx->msg);
		if (!a)
			return -ENOENT;
		*ret = a->uri;
		return 0;
	}
	if (ctx->msg.kind == SIP_REPLY) {
		char tmp[NUM_DEC_MAX];

		*ret = str_dup(ctx->pool, str_of(tmp, num_dec(ctx->msg.status, tmp)));
		return ret->s ? 0 : -ENOMEM;
	}
	*ret = ctx_ruri(ctx);
	return 0;
}

static const struct net_listener *send_socket(const struct ctx *ctx)
{
	return ctx->send_dest ? net_listener_at(ctx->send_dest->listener) : NULL;
}

int cond_value(struct ctx *ctx, enum cond_operand op, struct value *ret)
{
	const struct net_listener *l = NULL;
	struct str s;
	int err;

	if (op >= C_SND_PORT && op <= C_TO_PROTO && op != C_TO_PORT) {
		l = send_socket(ctx);
		if (!l)
			return -ENOENT;
	}
	switch (op) {
	case C_METHOD:
		s = method_of(ctx);
		if (s.n == 0)
			return -ENOENT;
		*ret = value_str(s);
		return 0;
	case C_URI:
	case C_STATUS:
	case C_FROM_URI:
	case C_TO_URI:
		err = uri_text(ctx, op, &s);
		if (err < 0)
			return err;
		*ret = value_str(s);
		return 0;
	case C_SRC_PORT:
		*ret = value_int(ctx->rx.src.port);
		return 0;
	case C_DST_PORT:
		*ret = value_int(ctx->rx.dst.port);
		return 0;
	case C_AF:
		*ret = value_int(ctx->rx.src.family);
		return 0;
	case C_MSG_LEN:
		*ret = value_int(ctx->send_dest ? (int64_t)ctx->send_len : (int64_t)ctx->msg.buf.n);
		return 0;
	case C_PROTO:
		*ret = value_int(ctx->rx.proto);
		return 0;
	case C_TO_PORT:
		if (!ctx->send_dest)
			return -ENOENT;
		*ret = value_int(ctx->send_dest->to.port);
		return 0;
	case C_SND_PORT:
		*ret = value_int(l->addr.port);
		return 0;
	case C_SND_AF:
	case C_TO_AF: /* despite its name */
		*ret = value_int(l->addr.family);
		return 0;
	case C_SND_PROTO:
	case C_TO_PROTO:
		*ret = value_int(l->proto);
		return 0;
	default:
		return -EINVAL;
	}
}

int cond_addr(struct ctx *ctx, enum cond_operand op, struct net_addr *ret)
{
	const struct net_listener *l;

	switch (op) {
	case C_SRC_IP:
		*ret = ctx->rx.src;
		return 0;
	case C_DST_IP:
		*ret = ctx->rx.dst;
		return 0;
	case C_SND_IP:
		l = send_socket(ctx);
		if (!l)
			return -ENOENT;
		*ret = l->addr;
		return 0;
	case C_TO_IP:
		if (!ctx->send_dest)
			return -ENOENT;
		*ret = ctx->send_dest->to;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Bits of a mask like 255.255.0.0, or -1. */
static int mask_bits(const struct net_addr *m)
{
	unsigned n = m->family == AF_INET ? 32 : 128, i, bits = 0;
	bool ended = false;

	for (i = 0; i < n; i++) {
		if (m->ip[i / 8] & (0x80 >> (i % 8))) {
			if (ended)
				return -1;
			bits++;
		} else {
			ended = true;
		}
	}
	return (int)bits;
}

bool cond_addr_known_text(struct str text, struct ip_const *ret)
{
	ptrdiff_t slash = str_find_char(text, '/');
	struct net_addr mask;
	uint32_t bits;
	int b;

	if (net_addr_parse(slash < 0 ? text : str_sub(text, 0, (size_t)slash), 0, &ret->net) < 0)
		return false;
	ret->bits = ret->net.family == AF_INET ? 32 : 128;
	if (slash < 0)
		return true;
	text = str_sub(text, (size_t)slash + 1, text.n);
	if (num_u32(text, &bits) == 0) {
		if (bits > ret->bits)
			return false;
		ret->bits = bits;
		return true;
	}
	if (net_addr_parse(text, 0, &mask) < 0 || mask.family != ret->net.family || (b = mask_bits(&mask)) < 0)
		return false;
	ret->bits = (unsigned)b;
	return true;
}

/* The Request-URI as received was parsed on receipt. NULL: none, or bad. */
static const struct sip_uri *uri_parsed(struct ctx *ctx, enum cond_operand op, struct sip_uri *room)
{
	struct str s;

	if (op == C_URI && ctx->msg.kind == SIP_REQUEST && ctx->main.uri.n == 0)
		return sip_msg_ruri(&ctx->msg);
	return uri_text(ctx, op, &s) == 0 && sip_uri_parse(s, room, NULL) == 0 ? room : NULL;
}

int cond_myself(struct ctx *ctx, enum cond_operand op)
{
	char text[NET_ADDR_TEXT_MAX];
	struct net_addr a;
	struct sip_uri room;
	const struct sip_uri *uri;

	if (COND_IS_IP(op)) {
		struct str s;

		if (cond_addr(ctx, op, &a) < 0)
			return -1;
		s = str_of(text, net_addr_ip_text(&a, true, text));
		return net_is_myself(s, op == C_DST_IP || op == C_SND_IP ? a.port : 0, SIP_PROTO_NONE);
	}
	uri = uri_parsed(ctx, op, &room);
	if (!uri)
		return -1;
	if (uri->scheme == SIP_URI_TEL || uri->scheme == SIP_URI_TELS || uri->scheme == SIP_URI_OTHER || uri->host.n == 0)
		return 0;
	return net_is_myself(uri->host, sip_uri_port(uri), SIP_PROTO_NONE);
}
