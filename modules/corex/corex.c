/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module corex: what belongs to the core's own matters and is no command of the language: branches, sockets by name, extended flags,
 * names that count as this server, raw sending, files. Its RPC commands are part of the core (core/main/corex_cmds.c).
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/module/abi.h"
#include "core/net/dns.h"
#include "core/route/route.h"
#include "core/script/vm.h"
#include "modules/corex/corex_priv.h"

#define SUBDOMAINS_MAX 64u
#define DNS_RECORDS_MAX 256u

static struct {
	struct {
		enum sip_proto proto;
		struct str domain;
		uint16_t port;
	} sub[SUBDOMAINS_MAX];
	unsigned n_sub;
	struct {
		enum dns_type type;
		char name[DNS_NAME_MAX + 1];
		struct dns_set set;
	} dns[DNS_RECORDS_MAX];
	unsigned n_dns;
} g;

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

/* "[proto:]ip[:port]" */
static int addr_of(struct str s, enum sip_proto *ret_proto, struct net_addr *ret)
{
	ptrdiff_t colon = str_find_char(s, ':'), close;
	enum sip_proto proto = colon > 0 ? sip_proto_lookup(str_sub(s, 0, (size_t)colon)) : SIP_PROTO_NONE;
	struct str host, tail;
	uint32_t port = 5060;

	if (proto != SIP_PROTO_NONE)
		s = str_sub(s, (size_t)colon + 1, s.n);
	close = str_find_char(s, ']');
	tail = close < 0 ? s : str_sub(s, (size_t)close + 1, s.n);
	colon = str_find_char(tail, ':');
	host = colon < 0 ? s : str_sub(s, 0, s.n - tail.n + (size_t)colon);
	if (colon >= 0 && (num_u32(str_sub(tail, (size_t)colon + 1, tail.n), &port) < 0 || port > 65535))
		return -EINVAL;
	*ret_proto = proto;
	return net_addr_parse(host, (uint16_t)port, ret);
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

/* ---- what kind of message, and its flags ---- */

static int f_is_incoming(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return ctx->kind != CTX_LOCAL && ctx->kind != CTX_ONSEND && !(ctx->mflags & CTX_F_FAKED) ? 1 : -1;
}

static int f_is_faked(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return ctx->mflags & CTX_F_FAKED ? 1 : -1;
}

static bool xflag_ok(const char *what, int64_t flag)
{
	if (flag >= 0 && flag < 64)
		return true;
	log_error("%s: flags are 0 to 63, not %lld", what, (long long)flag);
	return false;
}

static int f_setxflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	if (!xflag_ok("setxflag", a[0].i))
		return -1;
	ctx->xflags |= (uint64_t)1 << a[0].i;
	return 1;
}

static int f_resetxflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	if (!xflag_ok("resetxflag", a[0].i))
		return -1;
	ctx->xflags &= ~((uint64_t)1 << a[0].i);
	return 1;
}

static int f_isxflagset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n; /* one */
	return xflag_ok("isxflagset", a[0].i) && (ctx->xflags & ((uint64_t)1 << a[0].i)) ? 1 : -1;
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

/* ---- $cfg(...) ---- */

enum cfg_part { CFG_LINE, CFG_NAME, CFG_ROUTE };

static int pv_cfg_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	static const char *const parts[] = { [CFG_LINE] = "line", [CFG_NAME] = "name", [CFG_ROUTE] = "route" };

	(void)pool; /* a choice of three */
	for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
		if (str_eq(spec->inner, str_lit(parts[i]))) {
			spec->arg = (intptr_t)i;
			return 0;
		}
	}
	return diag_set(reterr, 0, "$cfg(line), $cfg(name) or $cfg(route)");
}

static int pv_cfg_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct str file, route;
	unsigned line;

	*ret = value_null();
	if (!vm_position(ctx, &file, &line, &route))
		return 0;
	if (spec->arg == CFG_LINE)
		*ret = value_int(line);
	else
		*ret = value_str(spec->arg == CFG_NAME ? file : route.n ? route : STR_LIT("DEFAULT_ROUTE"));
	return 0;
}

/* ---- parameters ---- */

/* "[proto:]domain[:port]" */
static int add_subdomains(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	ptrdiff_t colon = str_find_char(s, ':');
	enum sip_proto proto = colon > 0 ? sip_proto_lookup(str_sub(s, 0, (size_t)colon)) : SIP_PROTO_NONE;
	uint32_t port = 0;

	(void)conf, (void)set, (void)i; /* one list, of texts */
	if (proto != SIP_PROTO_NONE) {
		s = str_sub(s, (size_t)colon + 1, s.n);
		colon = str_find_char(s, ':');
	}
	if (colon >= 0 && (num_u32(str_sub(s, (size_t)colon + 1, s.n), &port) < 0 || port == 0 || port > 65535))
		return diag_set(reterr, 0, "[proto:]domain[:port] expected");
	if (colon >= 0)
		s = str_sub(s, 0, (size_t)colon);
	if (s.n == 0)
		return diag_set(reterr, 0, "[proto:]domain[:port] expected");
	if (g.n_sub == SUBDOMAINS_MAX)
		return diag_set(reterr, 0, "more than %u domains", SUBDOMAINS_MAX);
	g.sub[g.n_sub].proto = proto;
	g.sub[g.n_sub].domain = s;
	g.sub[g.n_sub++].port = (uint16_t)port;
	return 0;
}

static bool is_subdomain(struct str host, uint16_t port, enum sip_proto proto)
{
	for (unsigned i = 0; i < g.n_sub; i++) {
		struct str d = g.sub[i].domain;

		if ((g.sub[i].port && port && g.sub[i].port != port) || (g.sub[i].proto != SIP_PROTO_NONE && proto != SIP_PROTO_NONE && g.sub[i].proto != proto))
			continue;
		if (host.n >= d.n && str_ieq(str_sub(host, host.n - d.n, d.n), d) && (host.n == d.n || host.s[host.n - d.n - 1] == '.'))
			return true;
	}
	return false;
}

/* "name=a.b;type=A;addr=1.2.3.4;ttl=60": known to this server for that long, 0 or none: a year. */
static int add_dns(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct str name = STR_NULL, addr = STR_NULL;
	enum dns_type type = DNS_A;
	struct net_addr ip;
	struct dns_rr rr = { 0 };
	uint32_t ttl = 0;
	unsigned at;

	(void)conf, (void)set, (void)i; /* one list, of texts */
	while (s.n) {
		ptrdiff_t semi = str_find_char(s, ';'), eq;
		struct str one = str_trim(semi < 0 ? s : str_sub(s, 0, (size_t)semi)), key, value;

		s = semi < 0 ? STR_NULL : str_sub(s, (size_t)semi + 1, s.n);
		eq = str_find_char(one, '=');
		if (one.n == 0)
			continue;
		key = eq < 0 ? one : str_sub(one, 0, (size_t)eq);
		value = eq < 0 ? STR_NULL : str_sub(one, (size_t)eq + 1, one.n);
		if (str_eq(key, STR_LIT("name")))
			name = value;
		else if (str_eq(key, STR_LIT("addr")))
			addr = value;
		else if (str_eq(key, STR_LIT("type")) && (str_ieq(value, STR_LIT("A")) || str_ieq(value, STR_LIT("AAAA"))))
			type = value.n == 1 ? DNS_A : DNS_AAAA;
		else if (str_eq(key, STR_LIT("ttl")) && num_u32(value, &ttl) == 0)
			continue;
		else if (str_eq(key, STR_LIT("flags")))
			continue; /* whether it may expire: it does when its ttl is over */
		else
			return diag_set(reterr, 0, "\"%.*s\": name=, type=A or AAAA, addr=, ttl= expected", STR_FMT(one));
	}
	if (name.n == 0 || name.n > DNS_NAME_MAX || addr.n == 0 || net_addr_parse(addr, 0, &ip) < 0 || (ip.family == AF_INET6) != (type == DNS_AAAA))
		return diag_set(reterr, 0, "a name and an address of its type expected");
	for (at = 0; at < g.n_dns && !(g.dns[at].type == type && str_ieq(str_lit(g.dns[at].name), name)); at++)
		;
	if (at == DNS_RECORDS_MAX || (at < g.n_dns && g.dns[at].set.n == DNS_RRS_MAX))
		return diag_set(reterr, 0, "too many records");
	if (at == g.n_dns) {
		g.n_dns++;
		g.dns[at].type = type;
		for (size_t k = 0; k < name.n; k++)
			g.dns[at].name[k] = name.s[k] >= 'A' && name.s[k] <= 'Z' ? (char)(name.s[k] | 32) : name.s[k];
		g.dns[at].set.ttl_s = ttl ? ttl : 365u * 86400;
	}
	memcpy(rr.ip, ip.ip, type == DNS_A ? 4 : 16);
	g.dns[at].set.rr[g.dns[at].set.n++] = rr;
	return 0;
}

static int refuse_nio(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf, (void)s; /* refused whatever they are */
	return i == 0 && s.n == 0 ? 0 : diag_set(reterr, 0, "%s: event_route[network:msg] is not built: bytes go to the parser as they came", set->name);
}

static int refuse_reply_out(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf, (void)set, (void)i, (void)s; /* refused whatever it is */
	return diag_set(reterr, 0, "evcb_reply_out: event_route[corex:reply-out] is not built");
}

static int refuse_file(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf, (void)set, (void)i, (void)s; /* refused whatever it is */
	return diag_set(reterr, 0, "dns_file: give the records as dns_cache parameters");
}

static int init(void)
{
	int err = g.n_sub ? net_myself_register(is_subdomain) : 0;

	if (err < 0)
		return log_fail(err, "corex: alias_subdomains");
	if (g.n_dns && !dns_cache_exists())
		return log_fail(-ENOENT, "corex: dns_cache: use_dns_cache is off");
	for (unsigned i = 0; i < g.n_dns; i++)
		dns_cache_put(g.dns[i].type, str_lit(g.dns[i].name), &g.dns[i].set);
	return 0;
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
	F0("is_incoming", f_is_incoming, CTX_ANY), F0("is_faked_msg", f_is_faked, CTX_ANY),
	F0("has_ruri_user", f_has_ruri_user, CTX_ANY), F0("has_user_agent", f_has_user_agent, CTX_ANY),
	F1("setxflag", f_setxflag, SP_DINT, CTX_ANY), F1("resetxflag", f_resetxflag, SP_DINT, CTX_ANY), F1("isxflagset", f_isxflagset, SP_DINT, CTX_ANY),
	F1("set_send_socket", f_set_send_socket, SP_DSTR, CTX_ANY), F1("set_send_socket_name", f_set_send_socket_name, SP_DSTR, CTX_ANY),
	F1("set_recv_socket", f_set_recv_socket, SP_DSTR, CTX_ANY), F1("set_recv_socket_name", f_set_recv_socket_name, SP_DSTR, CTX_ANY),
	F1("set_source_address", f_set_source_address, SP_DSTR, CTX_ANY), F1("is_socket_name", f_is_socket_name, SP_DSTR, CTX_ANY),
	{ .name = NULL },
};
static const struct pv_def pvs[] = {
	{ .name = "cfg", .get = pv_cfg_get, .prepare = pv_cfg_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
static const struct setting settings[] = {
	SETTING_FN_STR("alias_subdomains", add_subdomains), SETTING_FN_STR("dns_cache", add_dns), SETTING_FN_STR("dns_file", refuse_file),
	SETTING_FN_INT("nio_intercept", refuse_nio), SETTING_FN_INT("nio_min_msg_len", refuse_nio), SETTING_FN_STR("nio_msg_avp", refuse_nio),
	SETTING_FN_STR("evcb_reply_out", refuse_reply_out),
	SETTING_END,
};
/* clang-format on */

extern const struct module module_corex;
const struct module module_corex = { .abi = MODULE_ABI, .name = "corex", .settings = settings, .conf = &g, .funcs = funcs, .pvs = pvs, .init = init };
