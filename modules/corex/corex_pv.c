/* SPDX-License-Identifier: BSD-2-Clause */
/* Variables and transformations: where the script is, sockets looked up by name, address or number, parts of "proto:host:port". */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/pool.h"
#include "core/script/vm.h"
#include "modules/corex/corex_priv.h"

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

/* ---- $lsock(match/value/field) ---- */

enum lsock_attr { LS_NAME = 'n', LS_LISTEN = 'l', LS_ADVERTISE = 'a', LS_INDEX = 'i' };

struct lsock {
	enum lsock_attr match, field;
	struct str value;
};

static bool is_attr(char c)
{
	return c == LS_NAME || c == LS_LISTEN || c == LS_ADVERTISE || c == LS_INDEX;
}

static int lsock_parse(struct str s, struct lsock *ret)
{
	size_t last = s.n;

	while (last > 0 && s.s[last - 1] != '/')
		last--;
	if (last < 3 || s.s[1] != '/' || last == s.n || !is_attr(s.s[0]) || !is_attr(s.s[last]))
		return -EINVAL;
	*ret = (struct lsock){ .match = (enum lsock_attr)s.s[0], .field = (enum lsock_attr)s.s[last], .value = str_sub(s, 2, last < 3 ? 0 : last - 3) };
	return 0;
}

static int lsock_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct lsock l;

	(void)pool; /* nothing is kept */
	if (!spec->inner_fmt && lsock_parse(spec->inner, &l) < 0)
		return diag_set(reterr, 0, "$lsock(match/value/field): match is n, l, a or i, field is name, listen, advertise or index");
	return 0;
}

static bool lsock_fits(const struct net_listener *l, const struct lsock *want)
{
	uint32_t n;

	switch (want->match) {
	case LS_NAME:
		return l->name.n && str_eq(l->name, want->value);
	case LS_LISTEN:
		return str_ieq(l->sock_text, want->value);
	case LS_ADVERTISE:
		return l->adv_host.n && str_ieq(l->adv_text, want->value);
	case LS_INDEX:
		return num_u32(want->value, &n) == 0 && n == l->index;
	}
	return false;
}

static int lsock_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct net_listener *l = NULL;
	struct lsock want;
	struct str text;
	int err = pv_inner(ctx, spec, &text);

	if (err == 0)
		err = lsock_parse(text, &want);
	if (err < 0)
		return err;
	*ret = value_null();
	for (unsigned i = 0; i < net_listener_count() && !l; i++) {
		l = net_listener_at(i);
		if (l && !lsock_fits(l, &want))
			l = NULL;
	}
	if (!l)
		return 0;
	switch (want.field) {
	case LS_NAME:
		*ret = value_str(l->name);
		break;
	case LS_LISTEN:
		*ret = value_str(l->sock_text);
		break;
	case LS_ADVERTISE:
		*ret = value_str(l->adv_host.n ? l->adv_text : STR_LIT(""));
		break;
	case LS_INDEX:
		*ret = value_int(l->index);
		break;
	}
	return 0;
}

/* ---- {sock.*} ---- */

enum sock_part { SOCK_HOST, SOCK_PORT, SOCK_PROTO, SOCK_TOURI };

static int sock_part(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct corex_sock sock;
	struct str text;
	int err;

	if (v->kind != VALUE_STR || corex_sock_split(v->s, &sock) < 0)
		return -EINVAL;
	switch ((enum sock_part)t->def->arg) {
	case SOCK_HOST:
		*v = value_str(sock.host);
		return 0;
	case SOCK_PORT:
		*v = value_str_int(sock.port_text, sock.port);
		return 0;
	case SOCK_PROTO:
		*v = value_str(sock.proto_text);
		return 0;
	case SOCK_TOURI:
		err = pool_printf(ctx->pool, &text, "sip:%.*s%s%.*s%s%.*s", STR_FMT(sock.host), sock.port ? ":" : "", STR_FMT(sock.port_text),
				  sock.proto_text.n ? ";transport=" : "", STR_FMT(sock.proto_text));
		if (err == 0)
			*v = value_str(text);
		return err;
	}
	return -EINVAL;
}

/* clang-format off */
const struct pv_def corex_pvs[] = {
	{ .name = "cfg",   .get = pv_cfg_get, .prepare = pv_cfg_prepare, .flags = PV_INNER },
	{ .name = "lsock", .get = lsock_get, .prepare = lsock_prepare, .flags = PV_INNER | PV_FMT_INNER },
	{ .name = NULL },
};
const struct trans_def corex_trans[] = {
	{ .cls = "sock", .name = "host",  .fn = sock_part, .arg = SOCK_HOST },
	{ .cls = "sock", .name = "port",  .fn = sock_part, .arg = SOCK_PORT },
	{ .cls = "sock", .name = "proto", .fn = sock_part, .arg = SOCK_PROTO },
	{ .cls = "sock", .name = "touri", .fn = sock_part, .arg = SOCK_TOURI },
	{ .cls = NULL },
};
/* clang-format on */
