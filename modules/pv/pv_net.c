/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the message came from, the socket it came in on, the socket it shall leave by, and what is being sent. The text of the
 * source address is made once per message, since scripts ask for $si again and again.
 */
#include "core/base/log.h"
#include "core/base/num.h"
#include "modules/pv/pv_priv.h"

static struct {
	int mod; /* index in ctx->modstate */
} priv = { .mod = -1 };

int pv_state_init(void)
{
	if (priv.mod < 0)
		priv.mod = ctx_modstate_register("pv");
	return priv.mod < 0 ? priv.mod : 0;
}

struct pv_state *pv_state(struct ctx *ctx)
{
	if (priv.mod < 0)
		return NULL;
	if (!ctx->modstate[priv.mod])
		ctx->modstate[priv.mod] = pool_zalloc(ctx->pool, sizeof(struct pv_state));
	return ctx->modstate[priv.mod];
}

/* "sip:ip:port[;transport=x]"; UDP is named only when asked for. */
static int ret_uri(struct ctx *ctx, struct value *ret, struct str hostport, enum sip_proto proto, bool always)
{
	const char *name = proto == SIP_PROTO_WSS ? "ws" : sip_proto_name(proto);
	bool with = always || proto != SIP_PROTO_UDP;
	struct str s;
	int err = pool_printf(ctx->pool, &s, "sip:%.*s%s%s", STR_FMT(hostport), with ? ";transport=" : "", with ? name : "");

	return err < 0 ? err : pv_ret_str(ret, s);
}

enum src_what { S_IP, S_IP_BRACKETS, S_PORT, S_URI, S_URI_T, S_SOCK };

static int src_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct net_addr *src = &ctx->rx.src;
	char tmp[NET_ADDR_TEXT_MAX];
	struct pv_state *st;
	struct str s;
	int err;

	switch ((enum src_what)spec->def->arg) {
	case S_IP:
		st = pv_state(ctx);
		if (!st)
			return pv_ret_dup(ctx, ret, str_of(tmp, net_addr_ip_text(src, false, tmp)));
		if (!st->src_text.s || !net_addr_ip_equal(&st->src, src)) {
			st->src_text = str_dup(ctx->pool, str_of(tmp, net_addr_ip_text(src, false, tmp)));
			if (!st->src_text.s)
				return -ENOMEM;
			st->src = *src;
		}
		return pv_ret_str(ret, st->src_text);
	case S_IP_BRACKETS:
		return pv_ret_dup(ctx, ret, str_of(tmp, net_addr_ip_text(src, true, tmp)));
	case S_PORT:
		return pv_ret_int(ret, src->port);
	case S_URI:
	case S_URI_T:
		return ret_uri(ctx, ret, str_of(tmp, net_addr_text(src, tmp)), ctx->rx.proto, spec->def->arg == S_URI_T);
	case S_SOCK:
		err = pool_printf(ctx->pool, &s, "%s:%.*s", sip_proto_name(ctx->rx.proto), (int)net_addr_text(src, tmp), tmp);
		return err < 0 ? err : pv_ret_str(ret, s);
	}
	return -EINVAL;
}

enum rcv_what { R_IP, R_PORT, R_NAME, R_URI, R_URI_T, R_SOCK, R_ADV_IP, R_ADV_PORT, R_ADV_URI, R_ADV_URI_T, R_AF, R_AF_NAME };

/* Receiving socket; a message that came from nowhere has none. */
static int rcv_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct net_listener *l = net_listener_at(ctx->rx.listener);
	char tmp[NET_ADDR_TEXT_MAX];
	struct str s, host;
	uint16_t port;
	int err;

	if (!l)
		return pv_ret_null(ret);
	switch ((enum rcv_what)spec->def->arg) {
	case R_IP:
		if (l->addr.family == AF_INET)
			return pv_ret_str(ret, l->host);
		return pv_ret_dup(ctx, ret, str_of(tmp, net_addr_ip_text(&l->addr, false, tmp)));
	case R_PORT:
		return pv_ret_int(ret, l->addr.port);
	case R_NAME:
		return pv_ret_str(ret, l->name);
	case R_URI:
	case R_URI_T:
		return ret_uri(ctx, ret, str_of(tmp, net_addr_text(&l->addr, tmp)), l->proto, spec->def->arg == R_URI_T);
	case R_SOCK:
		return pv_ret_str(ret, l->sock_text);
	case R_ADV_IP:
		return pv_ret_str(ret, l->adv_host.n > 0 ? l->adv_host : l->host);
	case R_ADV_PORT:
		return pv_ret_int(ret, l->adv_port ? l->adv_port : l->addr.port);
	case R_ADV_URI:
	case R_ADV_URI_T:
		host = l->adv_host.n > 0 ? l->adv_host : l->host;
		port = l->adv_port ? l->adv_port : l->addr.port;
		err = pool_printf(ctx->pool, &s, "%.*s:%u", STR_FMT(host), port);
		return err < 0 ? err : ret_uri(ctx, ret, s, l->proto, spec->def->arg == R_ADV_URI_T);
	default:
		return -EINVAL;
	}
}

static const struct pv_word af_words[] = { { "id", R_AF }, { "name", R_AF_NAME }, { NULL, 0 } };

static int af_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(af_words, spec, reterr);
}

static int af_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct net_listener *l = net_listener_at(ctx->rx.listener);
	int family = l ? l->addr.family : ctx->rx.src.family;

	if (spec->arg == R_AF)
		return pv_ret_int(ret, family);
	return pv_ret_str(ret, family == AF_INET6 ? STR_LIT("IPv6") : family == AF_INET ? STR_LIT("IPv4") : STR_NULL);
}

/* arg 0 text with number, 1 number */
static int proto_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	enum sip_proto p = ctx->rx.proto;

	if (spec->def->arg)
		return pv_ret_int(ret, p);
	*ret = value_str_int(p == SIP_PROTO_NONE ? STR_LIT("none") : str_lit(sip_proto_name(p)), p);
	return 0;
}

static int conid_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec;
	return ctx->rx.conn_id ? pv_ret_int(ret, ctx->rx.conn_id) : pv_ret_null(ret);
}

/* ---- forced send socket: arg 0 "proto:ip:port", 1 name, 2 port ---- */

static int fs_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct net_listener *l = ctx->main.listener == NET_LISTENER_NONE ? NULL : net_listener_at(ctx->main.listener);

	if (spec->def->arg == 2)
		return pv_ret_int(ret, l ? l->addr.port : 0);
	if (!l)
		return pv_ret_null(ret);
	return pv_ret_str(ret, spec->def->arg == 1 ? l->name : l->sock_text);
}

static int fs_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	const struct net_listener *l;

	if (v->kind == VALUE_NULL) {
		ctx->main.listener = NET_LISTENER_NONE;
		return 0;
	}
	if (v->kind != VALUE_STR || v->s.n == 0)
		return -EINVAL;
	l = spec->def->arg == 1 ? net_listener_named(v->s) : net_listener_find(v->s);
	if (!l) {
		log_warn("$%s: no socket '%.*s'; unchanged", spec->def->name, STR_FMT(v->s));
		return 0;
	}
	ctx->main.listener = l->index;
	return 0;
}

/* ---- what is being sent (onsend_route) ---- */

enum snd_what { N_IP, N_PORT, N_AF, N_PROTO, N_SPROTO, N_BUF, N_LEN };
static const struct pv_word snd_words[] = {
	{ "ip", N_IP }, { "port", N_PORT }, { "af", N_AF }, { "proto", N_PROTO }, { "sproto", N_SPROTO }, { "buf", N_BUF }, { "len", N_LEN },
	{ NULL, 0 },
};

static int snd_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(snd_words, spec, reterr);
}

/* arg 0: destination; 1: the sending socket */
static int snd_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct pv_snd *snd = pv_snd_of(ctx);
	const struct net_listener *l = snd ? net_listener_at(snd->listener) : NULL;
	const struct net_addr *a;
	char tmp[NET_ADDR_TEXT_MAX];

	if (!snd || (spec->def->arg && !l))
		return pv_ret_null(ret);
	a = spec->def->arg ? &l->addr : &snd->to;
	switch ((enum snd_what)spec->arg) {
	case N_IP:
		return pv_ret_dup(ctx, ret, str_of(tmp, net_addr_ip_text(a, false, tmp)));
	case N_PORT:
		return pv_ret_int(ret, a->port);
	case N_AF:
		return pv_ret_int(ret, a->family);
	case N_PROTO:
		return pv_ret_int(ret, snd->proto);
	case N_SPROTO:
		return pv_ret_str(ret, str_lit(sip_proto_name(snd->proto)));
	case N_BUF:
		return pv_ret_str(ret, snd->buf);
	case N_LEN:
		return pv_ret_int(ret, (int64_t)snd->buf.n);
	}
	return -EINVAL;
}

/* ---- $rcv(): the received bytes, before they are parsed ---- */

enum rw_what { W_BUF, W_LEN, W_PROTO, W_SPROTO, W_SRCIP, W_SRCPORT, W_RCVIP, W_RCVPORT, W_AF, W_SAFE, W_EVTYPE, W_BUFAT, W_HEXAT };
static const struct pv_word rcv_words[] = {
	{ "buf", W_BUF }, { "len", W_LEN }, { "proto", W_PROTO }, { "sproto", W_SPROTO }, { "srcip", W_SRCIP }, { "srcport", W_SRCPORT },
	{ "rcvip", W_RCVIP }, { "rcvport", W_RCVPORT }, { "af", W_AF }, { "safe", W_SAFE }, { "evtype", W_EVTYPE }, { "bufat", W_BUFAT },
	{ "hexat", W_HEXAT }, { NULL, 0 },
};

static int rcvmsg_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(rcv_words, spec, reterr);
}

/* The bytes with everything that would disturb a log line as '.'. */
static int ret_safe(struct ctx *ctx, struct value *ret)
{
	struct str s = ctx->msg.buf;
	char *out = pool_alloc(ctx->pool, s.n + 1);

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++)
		out[i] = (s.s[i] >= 32 && s.s[i] < 127) || s.s[i] == '\r' || s.s[i] == '\n' || s.s[i] == '\t' ? s.s[i] : '.';
	return pv_ret_str(ret, str_of(out, s.n));
}

static int rcvmsg_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct net_listener *l = net_listener_at(ctx->rx.listener);
	char tmp[NET_ADDR_TEXT_MAX];

	if (ctx->kind != CTX_EVENT)
		return pv_ret_null(ret);
	switch ((enum rw_what)spec->arg) {
	case W_BUF:
		return pv_ret_str(ret, ctx->msg.buf);
	case W_LEN:
		return pv_ret_int(ret, (int64_t)ctx->msg.buf.n);
	case W_PROTO:
		return pv_ret_int(ret, ctx->rx.proto);
	case W_SPROTO:
		return pv_ret_str(ret, str_lit(sip_proto_name(ctx->rx.proto)));
	case W_SRCIP:
		return pv_ret_dup(ctx, ret, str_of(tmp, net_addr_ip_text(&ctx->rx.src, false, tmp)));
	case W_SRCPORT:
		return pv_ret_int(ret, ctx->rx.src.port);
	case W_RCVIP:
		return l ? pv_ret_dup(ctx, ret, str_of(tmp, net_addr_ip_text(&l->addr, false, tmp))) : pv_ret_null(ret);
	case W_RCVPORT:
		return l ? pv_ret_int(ret, l->addr.port) : pv_ret_null(ret);
	case W_AF:
		return pv_ret_int(ret, ctx->rx.src.family);
	case W_SAFE:
		return ret_safe(ctx, ret);
	case W_EVTYPE:
		return pv_ret_int(ret, ctx->msg_no ? 1 : 2); /* a message, or what a socket gave */
	case W_BUFAT:
	case W_HEXAT:
		return pv_ret_null(ret); /* only written */
	}
	return -EINVAL;
}

/* What came is still wanted: the quarantine knows a message by it. */
static void rcv_replace(struct ctx *ctx, struct str bytes)
{
	if (ctx->received.n == 0)
		ctx->received = ctx->msg.buf;
	ctx->msg.buf = bytes;
}

/* "pos:text" or "pos:hex": overwrites bytes of a copy, never beyond the end. */
static int rcv_patch(struct ctx *ctx, struct str v, bool hex)
{
	ptrdiff_t colon = str_find_char(v, ':');
	struct str what, buf;
	uint32_t pos;
	size_t n;
	char *out;

	if (colon < 0 || num_u32(str_sub(v, 0, (size_t)colon), &pos) < 0)
		return -EINVAL;
	what = str_sub(v, (size_t)colon + 1, v.n);
	n = hex ? what.n / 2 : what.n;
	if ((hex && what.n % 2) || pos > ctx->msg.buf.n || n > ctx->msg.buf.n - pos)
		return -ERANGE;
	out = pool_alloc(ctx->pool, ctx->msg.buf.n + 1);
	if (!out)
		return -ENOMEM;
	buf = ctx->msg.buf;
	if (buf.n > 0)
		memcpy(out, buf.s, buf.n);
	if (!hex && n > 0)
		memcpy(out + pos, what.s, n);
	if (hex && num_hex_bytes(what, out + pos) < 0)
		return -EINVAL;
	rcv_replace(ctx, str_of(out, buf.n));
	return 0;
}

static int rcvmsg_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct str copy;

	if (ctx->kind != CTX_EVENT || v->kind != VALUE_STR || v->s.n == 0)
		return -EINVAL;
	switch ((enum rw_what)spec->arg) {
	case W_BUF:
		if (v->s.n > 65535)
			return -EMSGSIZE;
		copy = str_dup(ctx->pool, v->s);
		if (!copy.s)
			return -ENOMEM;
		rcv_replace(ctx, copy);
		return 0;
	case W_BUFAT:
		return rcv_patch(ctx, v->s, false);
	case W_HEXAT:
		return rcv_patch(ctx, v->s, true);
	default:
		return -EPERM;
	}
}

/* ---- constants ---- */

static const struct pv_word const_words[] = {
	{ "UDP", SIP_PROTO_UDP }, { "TCP", SIP_PROTO_TCP }, { "TLS", SIP_PROTO_TLS }, { "SCTP", SIP_PROTO_SCTP }, { "WS", SIP_PROTO_WS },
	{ "WSS", SIP_PROTO_WSS }, { "IPv4", AF_INET }, { "IP4", AF_INET }, { "INET", AF_INET }, { "IPv6", AF_INET6 }, { "IP6", AF_INET6 },
	{ "INET6", AF_INET6 }, { NULL, 0 },
};

static int const_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(const_words, spec, reterr);
}

static int const_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	return pv_ret_int(ret, spec->arg);
}

/* clang-format off */
const struct pv_def pv_net_table[] = {
	{ .name = "si",      .get = src_get, .arg = S_IP },
	{ .name = "src_ip",  .get = src_get, .arg = S_IP },
	{ .name = "siz",     .get = src_get, .arg = S_IP_BRACKETS },
	{ .name = "sp",      .get = src_get, .arg = S_PORT },
	{ .name = "su",      .get = src_get, .arg = S_URI },
	{ .name = "sut",     .get = src_get, .arg = S_URI_T },
	{ .name = "sas",     .get = src_get, .arg = S_SOCK },
	{ .name = "Ri",      .get = rcv_get, .arg = R_IP },
	{ .name = "Rp",      .get = rcv_get, .arg = R_PORT },
	{ .name = "Rn",      .get = rcv_get, .arg = R_NAME },
	{ .name = "Ru",      .get = rcv_get, .arg = R_URI },
	{ .name = "Rut",     .get = rcv_get, .arg = R_URI_T },
	{ .name = "Ras",     .get = rcv_get, .arg = R_SOCK },
	{ .name = "RAi",     .get = rcv_get, .arg = R_ADV_IP },
	{ .name = "RAp",     .get = rcv_get, .arg = R_ADV_PORT },
	{ .name = "RAu",     .get = rcv_get, .arg = R_ADV_URI },
	{ .name = "RAut",    .get = rcv_get, .arg = R_ADV_URI_T },
	{ .name = "af",      .get = af_get, .prepare = af_prepare, .flags = PV_INNER },
	{ .name = "pr",      .get = proto_get, .arg = 0 },
	{ .name = "proto",   .get = proto_get, .arg = 0 },
	{ .name = "prid",    .get = proto_get, .arg = 1 },
	{ .name = "conid",   .get = conid_get },
	{ .name = "fs",      .get = fs_get, .set = fs_set, .arg = 0 },
	{ .name = "fsn",     .get = fs_get, .set = fs_set, .arg = 1 },
	{ .name = "fsp",     .get = fs_get, .arg = 2 },
	{ .name = "sndto",   .get = snd_get, .prepare = snd_prepare, .flags = PV_INNER, .arg = 0 },
	{ .name = "snd",     .get = snd_get, .prepare = snd_prepare, .flags = PV_INNER, .arg = 0 },
	{ .name = "sndfrom", .get = snd_get, .prepare = snd_prepare, .flags = PV_INNER, .arg = 1 },
	{ .name = "rcv",     .get = rcvmsg_get, .set = rcvmsg_set, .prepare = rcvmsg_prepare, .flags = PV_INNER },
	{ .name = "recv",    .get = rcvmsg_get, .set = rcvmsg_set, .prepare = rcvmsg_prepare, .flags = PV_INNER },
	{ .name = "K",       .get = const_get, .prepare = const_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */
