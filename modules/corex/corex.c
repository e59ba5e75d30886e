/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module corex: what belongs to the core's own matters and is no command of the language: branches, sockets by name, what kind of message this is;
 * and the tables of what its other files do.
 */
#include <errno.h>
#include <limits.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/module/abi.h"
#include "core/route/route.h"
#include "modules/corex/corex_priv.h"

/* ---- branches ---- */

/* "0.5" as 500; -1: no such value. */
static int q_of(struct str s)
{
	int q = 0, unit = 100;

	if (s.n == 0 || (s.s[0] != '0' && s.s[0] != '1') || s.n > 5 || (s.n > 1 && s.s[1] != '.'))
		return -1;
	q = (s.s[0] - '0') * 1000;
	for (size_t i = 2; i < s.n; i++, unit /= 10) {
		if (s.s[i] < '0' || s.s[i] > '9')
			return -1;
		q += (s.s[i] - '0') * unit;
	}
	return q <= 1000 ? q : -1;
}

static int f_append_branch(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int q = n > 1 && a[1].s.n ? q_of(a[1].s) : -1;

	if (n > 1 && a[1].s.n && q < 0) {
		log_error("append_branch: \"%.*s\" is no q value", STR_FMT(a[1].s));
		return -1;
	}
	return route_branch_add(ctx, n ? a[0].s : STR_NULL, q) < 0 ? -1 : 1;
}

/* ---- sockets ---- */

static int set_send(struct ctx *ctx, const struct net_listener *l, const char *what, struct str text)
{
	if (!l) {
		log_error("%s: nothing listens on %.*s", what, STR_FMT(text));
		return -1;
	}
	ctx->main.listener = l->index;
	return 1;
}

static int set_recv(struct ctx *ctx, const struct net_listener *l, const char *what, struct str text)
{
	if (!l) {
		log_error("%s: nothing listens on %.*s", what, STR_FMT(text));
		return -1;
	}
	ctx->rx.listener = l->index;
	ctx->rx.dst = l->addr;
	ctx->rx.proto = l->proto;
	return 1;
}

static int f_set_send_socket(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return set_send(ctx, net_listener_find(a[0].s), "set_send_socket", a[0].s);
}

static int f_set_send_socket_name(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return set_send(ctx, net_listener_named(a[0].s), "set_send_socket_name", a[0].s);
}

static int f_set_recv_socket(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return set_recv(ctx, net_listener_find(a[0].s), "set_recv_socket", a[0].s);
}

static int f_set_recv_socket_name(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return set_recv(ctx, net_listener_named(a[0].s), "set_recv_socket_name", a[0].s);
}

static int f_is_socket_name(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx, (void)n; /* a question about the configuration */
	return net_listener_named(a[0].s) ? 1 : -1;
}

int corex_sock_split(struct str s, struct corex_sock *ret)
{
	ptrdiff_t colon = str_find_char(s, ':'), close;
	struct str tail;
	uint32_t port;

	*ret = (struct corex_sock){ .proto = colon > 0 ? sip_proto_lookup(str_sub(s, 0, (size_t)colon)) : SIP_PROTO_NONE };
	if (ret->proto != SIP_PROTO_NONE) {
		ret->proto_text = str_sub(s, 0, (size_t)colon);
		s = str_sub(s, (size_t)colon + 1, s.n);
	}
	close = s.n && s.s[0] == '[' ? str_find_char(s, ']') : -1;
	tail = close < 0 ? s : str_sub(s, (size_t)close + 1, s.n);
	colon = str_find_char(tail, ':');
	ret->host = colon < 0 ? s : str_sub(s, 0, s.n - tail.n + (size_t)colon);
	if (colon >= 0) {
		ret->port_text = str_sub(tail, (size_t)colon + 1, tail.n);
		if (num_u32(ret->port_text, &port) < 0 || port > 65535)
			return -EINVAL;
		ret->port = (uint16_t)port;
	}
	return ret->host.n ? 0 : -EINVAL;
}

static int addr_of(struct str s, enum sip_proto *ret_proto, struct net_addr *ret)
{
	struct corex_sock sock;
	int err = corex_sock_split(s, &sock);

	if (err < 0)
		return err;
	*ret_proto = sock.proto;
	return net_addr_parse(sock.host, sock.port_text.n ? sock.port : 5060, ret);
}

static int f_set_source_address(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct net_addr addr;
	enum sip_proto proto;

	(void)n; /* one */
	if (addr_of(a[0].s, &proto, &addr) < 0) {
		log_error("set_source_address: \"%.*s\" is no [proto:]address[:port]", STR_FMT(a[0].s));
		return -1;
	}
	ctx->rx.src = addr;
	if (proto != SIP_PROTO_NONE)
		ctx->rx.proto = proto;
	return 1;
}

/* ---- what kind of message ---- */

static int f_is_incoming(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return ctx->kind != CTX_LOCAL && !(ctx->mflags & (CTX_F_FAKED | CTX_F_OUTGOING)) ? 1 : -1;
}

static int f_is_faked(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return ctx->mflags & CTX_F_FAKED ? 1 : -1;
}

static int f_has_ruri_user(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri uri;

	(void)a, (void)n; /* takes none */
	return ctx->msg.kind == SIP_REQUEST && sip_uri_parse(ctx_ruri(ctx), &uri, NULL) == 0 && uri.user.n ? 1 : -1;
}

static int f_has_user_agent(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_USER_AGENT);

	(void)a, (void)n; /* takes none */
	return h && h->value.n ? 1 : -1;
}

static int f_forward_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return ctx->msg.kind == SIP_REPLY ? route_forward_reply(ctx) : -1;
}

static int init(void)
{
	int err = corex_names_init();

	return err < 0 ? err : corex_nio_init();
}

static void done(void)
{
	corex_nio_done();
	corex_names_done();
}

/* clang-format off */
#define F0(name_, fn_, kinds_)        { .name = name_, .fn = fn_, .kinds = kinds_ }
#define F1(name_, fn_, p_, kinds_)    { .name = name_, .fn = fn_, .n_params = 1, .param = { p_ }, .kinds = kinds_ }
#define RF (CTX_REQUEST | CTX_FAILURE)
static const struct script_func funcs[] = {
	F0("append_branch", f_append_branch, RF),
	F1("append_branch", f_append_branch, SP_DSTR, RF),
	{ .name = "append_branch", .fn = f_append_branch, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = RF },
	{ .name = "send_udp", .fn = corex_send_udp, .kinds = RF, .may_suspend = true },
	{ .name = "send_udp", .fn = corex_send_udp, .n_params = 1, .param = { SP_DSTR }, .kinds = RF, .may_suspend = true },
	{ .name = "send_tcp", .fn = corex_send_tcp, .kinds = RF, .may_suspend = true },
	{ .name = "send_tcp", .fn = corex_send_tcp, .n_params = 1, .param = { SP_DSTR }, .kinds = RF, .may_suspend = true },
	{ .name = "send_data", .fn = corex_send_data, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY, .may_suspend = true },
	{ .name = "sendx", .fn = corex_sendx, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY, .may_suspend = true },
	{ .name = "file_read", .fn = corex_file_read, .n_params = 2, .param = { SP_DSTR, SP_WPV }, .kinds = CTX_ANY, .may_suspend = true },
	{ .name = "file_write", .fn = corex_file_write, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY, .may_suspend = true },
	F0("forward_reply", f_forward_reply, CTX_CORE_REPLY),
	{ .name = "forward_uac", .fn = corex_forward_uac, .kinds = CTX_REQUEST, .may_suspend = true },
	{ .name = "forward_uac", .fn = corex_forward_uac, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_REQUEST, .may_suspend = true },
	{ .name = "forward_uac_uri", .fn = corex_forward_uac_uri, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_REQUEST, .may_suspend = true },
	{ .name = "forward_uac_uri", .fn = corex_forward_uac_uri, .n_params = 2, .param = { SP_DSTR, SP_DINT }, .kinds = CTX_REQUEST, .may_suspend = true },
	F0("is_incoming", f_is_incoming, CTX_ANY), F0("is_faked_msg", f_is_faked, CTX_ANY),
	F0("has_ruri_user", f_has_ruri_user, CTX_ANY), F0("has_user_agent", f_has_user_agent, CTX_ANY),
	F1("setxflag", corex_setxflag, SP_DINT, CTX_ANY), F1("resetxflag", corex_resetxflag, SP_DINT, CTX_ANY), F1("isxflagset", corex_isxflagset, SP_DINT, CTX_ANY),
	F1("msg_iflag_set", corex_iflag_set, SP_DSTR, CTX_ANY), F1("msg_iflag_reset", corex_iflag_reset, SP_DSTR, CTX_ANY),
	F1("msg_iflag_is_set", corex_iflag_is_set, SP_DSTR, CTX_ANY),
	F1("msg_vbflag_set", corex_vbflag_set, SP_DINT, CTX_ANY), F1("msg_vbflag_reset", corex_vbflag_reset, SP_DINT, CTX_ANY),
	F1("msg_vbflag_is_set", corex_vbflag_is_set, SP_DINT, CTX_ANY), F0("msg_vbflag_parse", corex_vbflag_parse, CTX_ANY),
	F1("via_add_srvid", corex_via_add_srvid, SP_DINT, CTX_ANY), F1("via_add_xavp_params", corex_via_add_xavp_params, SP_DINT, CTX_ANY),
	F1("via_use_xavp_fields", corex_via_use_xavp_fields, SP_DINT, CTX_ANY),
	F1("via_reply_add_xavp_params", corex_via_reply_add_xavp_params, SP_DINT, CTX_ANY),
	F1("set_send_socket", f_set_send_socket, SP_DSTR, CTX_ANY), F1("set_send_socket_name", f_set_send_socket_name, SP_DSTR, CTX_ANY),
	F1("set_recv_socket", f_set_recv_socket, SP_DSTR, CTX_ANY), F1("set_recv_socket_name", f_set_recv_socket_name, SP_DSTR, CTX_ANY),
	F1("set_source_address", f_set_source_address, SP_DSTR, CTX_ANY), F1("is_socket_name", f_is_socket_name, SP_DSTR, CTX_ANY),
	{ .name = NULL },
};
static const struct setting settings[] = {
	SETTING_FN_STR("alias_subdomains", corex_add_subdomains), SETTING_FN_STR("dns_cache", corex_add_dns), SETTING_FN_STR("dns_file", corex_add_dns_file),
	SETTING_KEMI("evcb_reply_out", "event_route[corex:reply-out]"),
	SETTING_INT("nio_intercept", struct corex_nio, intercept, 0, 0, INT_MAX),
	SETTING_INT("nio_min_msg_len", struct corex_nio, bytes_min, 0, 0, 65535),
	SETTING_STR("nio_msg_avp", struct corex_nio, avp, NULL),
	SETTING_END,
};
static const char *const event_routes[] = { "network:msg", "corex:reply-out", NULL };
/* clang-format on */

extern const struct module module_corex;
const struct module module_corex = { .abi = MODULE_ABI, .name = "corex", .settings = settings, .conf = &corex_nio, .funcs = funcs, .pvs = corex_pvs, .trans = corex_trans,
	.rpcs = corex_rpcs, .event_routes = event_routes, .init = init, .done = done };
