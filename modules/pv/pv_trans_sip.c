/* SPDX-License-Identifier: BSD-2-Clause */
/* Transformations that take SIP texts apart: {uri.*}, {param.*}, {nameaddr.*}, {tobody.*}, {urialias.*}. What is missing is "". */
#include "modules/pv/pv_trans.h"

/* ---- {uri.*} ---- */

enum uri_what {
	U_USER, U_HOST, U_PASSWD, U_PORT, U_PARAMS, U_HEADERS, U_TRANSPORT, U_TTL, U_UPARAM, U_MADDR, U_METHOD, U_LR, U_R2, U_SCHEME,
	U_TOSOCKET, U_SAOR, U_SURI, U_DURI, U_PARAM, U_RMPARAM
};

static struct str uri_param(const struct sip_uri *u, struct str name)
{
	struct sip_param p;

	return sip_param_find(u->params, name, &p) ? p.value : STR_NULL;
}

/* scheme:[user@]host[:port][;transport=] */
static int uri_short(struct ctx *ctx, const struct sip_uri *u, bool user, bool rest, struct value *v)
{
	struct strbuf sb;
	int err;

	strbuf_init_pool(&sb, ctx->pool, 65535);
	strbuf_add(&sb, u->scheme_text);
	strbuf_add_char(&sb, ':');
	if (user && u->user.n > 0) {
		strbuf_add(&sb, u->user);
		if (u->host.n > 0)
			strbuf_add_char(&sb, '@');
	}
	if (u->host.n > 0)
		strbuf_add(&sb, pv_uri_host(u));
	if (rest && u->port_text.n > 0) {
		strbuf_add_char(&sb, ':');
		strbuf_add(&sb, u->port_text);
	}
	if (rest && u->transport.n > 0) {
		strbuf_add_lit(&sb, ";transport=");
		strbuf_add(&sb, u->transport);
	}
	err = strbuf_err(&sb);
	return err < 0 ? err : trans_set_str(v, strbuf_str(&sb));
}

static int uri_tosocket(struct ctx *ctx, const struct sip_uri *u, struct value *v)
{
	struct str s;
	int err;

	if (u->transport.n == 0 || u->proto == SIP_PROTO_NONE)
		return trans_set_str(v, STR_LIT(""));
	err = pool_printf(ctx->pool, &s, "%s:%.*s:%u", sip_proto_name(u->proto), STR_FMT(pv_uri_host(u)), u->port ? u->port : 5060u);
	return err < 0 ? err : trans_set_str(v, s);
}

/* The URI without one parameter. */
static int uri_rmparam(struct ctx *ctx, const struct sip_uri *u, struct str name, struct value *v)
{
	struct str rest = u->params;
	struct sip_param p;
	struct strbuf sb;
	int err;

	if (u->params.n == 0)
		return trans_set_str(v, u->text);
	strbuf_init_pool(&sb, ctx->pool, 65535);
	strbuf_add(&sb, str_of(u->text.s, (size_t)(u->params.s - u->text.s) - 1));
	while ((err = sip_param_next(&rest, &p)) == 1) {
		if (str_ieq(p.name, name))
			continue;
		strbuf_add_char(&sb, ';');
		strbuf_add(&sb, p.raw);
	}
	if (err < 0)
		return err;
	strbuf_add(&sb, str_of(u->params.s + u->params.n, (size_t)(u->text.s + u->text.n - u->params.s) - u->params.n));
	err = strbuf_err(&sb);
	return err < 0 ? err : trans_set_str(v, strbuf_str(&sb));
}

static int t_uri(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct sip_uri u;
	struct str s, name;
	int err = value_to_str(v, ctx->pool, &s);

	if (err < 0)
		return err;
	s = str_trim(s);
	if (s.n > 0 && s.s[s.n - 1] == ';')
		s.n--;
	err = sip_uri_parse(s, &u, NULL);
	if (err < 0)
		return err;
	switch ((enum uri_what)t->def->arg) {
	case U_USER:
		return trans_set_str(v, u.user);
	case U_HOST:
		return trans_set_str(v, u.host.n > 0 ? pv_uri_host(&u) : STR_NULL);
	case U_PASSWD:
		return trans_set_str(v, u.password);
	case U_PORT:
		*v = u.port_text.n > 0 ? value_int(u.port) : value_str_int(STR_LIT(""), 0);
		return 0;
	case U_PARAMS:
		return trans_set_str(v, u.params);
	case U_HEADERS:
		return trans_set_str(v, u.headers);
	case U_TRANSPORT:
		return trans_set_str(v, u.transport);
	case U_TTL:
		return trans_set_str(v, uri_param(&u, STR_LIT("ttl")));
	case U_UPARAM:
		return trans_set_str(v, uri_param(&u, STR_LIT("user")));
	case U_MADDR:
		return trans_set_str(v, uri_param(&u, STR_LIT("maddr")));
	case U_METHOD:
		return trans_set_str(v, uri_param(&u, STR_LIT("method")));
	case U_LR:
		return trans_set_str(v, uri_param(&u, STR_LIT("lr")));
	case U_R2:
		return trans_set_str(v, uri_param(&u, STR_LIT("r2")));
	case U_SCHEME:
		return trans_set_str(v, u.scheme_text);
	case U_TOSOCKET:
		return uri_tosocket(ctx, &u, v);
	case U_SAOR:
		return uri_short(ctx, &u, true, false, v);
	case U_SURI:
		return uri_short(ctx, &u, true, true, v);
	case U_DURI:
		return uri_short(ctx, &u, false, true, v);
	case U_PARAM:
		err = trans_param_str(ctx, &t->param[0], &name);
		return err < 0 ? err : trans_set_str(v, uri_param(&u, name));
	case U_RMPARAM:
		err = trans_param_str(ctx, &t->param[0], &name);
		return err < 0 ? err : uri_rmparam(ctx, &u, name, v);
	}
	return -EINVAL;
}

/* ---- {param.*}: any separator, so this is not SIP's parameter parser ---- */

struct item {
	struct str name, value;
};

/* Takes the next "name[=value]"; quotes protect the separator. False at the end. */
static bool item_next(struct str *rest, char sep, struct item *ret)
{
	while (rest->n > 0) {
		bool quoted = false;
		size_t i;
		struct str one;
		ptrdiff_t eq;

		for (i = 0; i < rest->n && (quoted || rest->s[i] != sep); i++) {
			if (quoted && rest->s[i] == '\\' && i + 1 < rest->n)
				i++;
			else if (rest->s[i] == '"')
				quoted = !quoted;
		}
		one = str_trim(str_sub(*rest, 0, i));
		*rest = i < rest->n ? str_sub(*rest, i + 1, rest->n) : STR_NULL;
		if (one.n == 0)
			continue; /* trailing or doubled separator */
		eq = str_find_char(one, '=');
		ret->name = eq < 0 ? one : str_trim(str_sub(one, 0, (size_t)eq));
		ret->value = eq < 0 ? STR_NULL : str_trim(str_sub(one, (size_t)eq + 1, one.n));
		if (ret->value.n >= 2 && (ret->value.s[0] == '"' || ret->value.s[0] == '\'') &&
		    ret->value.s[ret->value.n - 1] == ret->value.s[0])
			ret->value = str_sub(ret->value, 1, ret->value.n - 2);
		return true;
	}
	return false;
}

enum param_what { P_VALUE, P_IN, P_VALUEAT, P_NAME, P_COUNT };

static int prep_param(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	(void)pool;
	if ((t->def->arg == P_VALUEAT || t->def->arg == P_NAME) && t->n_params > 0 && t->param[0].kind == TRANS_P_STR)
		return diag_set(reterr, 0, "{%s.%s}: parameter 1 is no number", t->def->cls, t->def->name);
	return 0;
}

static int t_param(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	enum param_what what = (enum param_what)t->def->arg;
	unsigned sep_at = what == P_COUNT ? 0 : 1;
	struct str s, rest, p, want = STR_NULL;
	struct item it;
	int64_t n = 0, at = 0;
	char sep = ';';
	int err = value_to_str(v, ctx->pool, &s);

	if (err < 0)
		return err;
	if (s.n == 0)
		return -EINVAL;
	if (t->n_params > sep_at) {
		err = trans_param_str(ctx, &t->param[sep_at], &p);
		if (err < 0 || p.n == 0)
			return err < 0 ? err : -EINVAL;
		sep = p.s[0];
	}
	if (what == P_VALUE || what == P_IN)
		err = trans_param_str(ctx, &t->param[0], &want);
	else if (what != P_COUNT)
		err = trans_param_int(ctx, &t->param[0], &at);
	if (err < 0)
		return err;
	if (at < 0 || what == P_COUNT) {
		for (rest = s; item_next(&rest, sep, &it);)
			n++;
		if (what == P_COUNT) {
			*v = value_int(n);
			return 0;
		}
		at += n;
	}
	n = 0;
	for (rest = s; item_next(&rest, sep, &it); n++) {
		if (what == P_VALUE || what == P_IN) {
			if (!str_ieq(it.name, want))
				continue;
			if (what == P_VALUE)
				return trans_set_str(v, it.value);
			*v = value_int(1);
			return 0;
		}
		if (n == at)
			return trans_set_str(v, what == P_NAME ? it.name : it.value);
	}
	if (what == P_IN) {
		*v = value_int(0);
		return 0;
	}
	return trans_set_str(v, STR_LIT(""));
}

/* ---- {nameaddr.*} {tobody.*} ---- */

enum addr_what { A_NAME, A_URI, A_LEN, A_TAG, A_DISPLAY, A_USER, A_HOST, A_PARAMS };

static int t_addr(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct sip_addr a;
	struct sip_uri u;
	struct str s;
	int err = value_to_str(v, ctx->pool, &s);

	if (err < 0)
		return err;
	s = str_trim(s);
	if (s.n > 0 && !memchr(s.s, '<', s.n) && str_eq(str_lit(t->def->cls), STR_LIT("nameaddr"))) {
		a = (struct sip_addr){ .text = s, .uri = s };
	} else {
		err = sip_addr_parse(s, &a, NULL);
		if (err < 0)
			return err;
	}
	switch ((enum addr_what)t->def->arg) {
	case A_NAME:
	case A_DISPLAY:
		return trans_set_str(v, a.display);
	case A_URI:
		return trans_set_str(v, a.uri);
	case A_LEN: /* to the '>' */
		*v = value_int(a.uri.s + a.uri.n + (a.bracketed ? 1 : 0) - s.s);
		return 0;
	case A_TAG:
		return trans_set_str(v, a.tag);
	case A_PARAMS:
		return trans_set_str(v, a.params);
	case A_USER:
	case A_HOST:
		break;
	}
	if (sip_uri_parse(a.uri, &u, NULL) < 0)
		return -EINVAL;
	if (t->def->arg == A_USER)
		return trans_set_str(v, u.user);
	return trans_set_str(v, u.host.n > 0 ? pv_uri_host(&u) : STR_NULL);
}

/* ---- {urialias.*} ---- */

/* sip:ip:port;transport=x -> ip~port~number; decode takes "alias=" in front of it too */
static int alias_encode(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct sip_uri u;
	struct str s;
	int err = value_to_str(v, ctx->pool, &s);

	(void)t;
	if (err < 0)
		return err;
	if (sip_uri_parse(s, &u, NULL) < 0 || u.host.n == 0 || (u.transport.n > 0 && u.proto == SIP_PROTO_NONE))
		return trans_set_str(v, STR_LIT(""));
	err = pool_printf(ctx->pool, &s, "%.*s~%u~%d", STR_FMT(pv_uri_host(&u)), sip_uri_port(&u),
			  u.proto == SIP_PROTO_NONE ? SIP_PROTO_UDP : u.proto);
	return err < 0 ? err : trans_set_str(v, s);
}

static int alias_decode(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, host, port;
	ptrdiff_t a, b;
	uint32_t p, proto;
	int err = value_to_str(v, ctx->pool, &s);

	(void)t;
	if (err < 0)
		return err;
	if (str_starts(s, STR_LIT("alias=")))
		s = str_sub(s, 6, s.n);
	a = str_find_char(s, '~');
	b = str_rfind_char(s, '~');
	if (a <= 0 || b <= a)
		return trans_set_str(v, STR_LIT(""));
	host = str_sub(s, 0, (size_t)a);
	port = str_sub(s, (size_t)a + 1, (size_t)(b - a) - 1);
	if (num_u32(port, &p) < 0 || p > 65535 || num_u32(str_sub(s, (size_t)b + 1, s.n), &proto) < 0 || proto < SIP_PROTO_UDP ||
	    proto > SIP_PROTO_WSS)
		return trans_set_str(v, STR_LIT(""));
	err = pool_printf(ctx->pool, &s, "sip:%.*s:%u;transport=%s", STR_FMT(host), p, sip_proto_name((enum sip_proto)proto));
	return err < 0 ? err : trans_set_str(v, s);
}

#define U(name_, arg_) { .cls = "uri", .name = name_, .fn = t_uri, .arg = arg_ }
#define P(name_, min_, max_, arg_) { .cls = "param", .name = name_, .fn = t_param, .min_params = min_, .max_params = max_, .comma_ok = true, .prepare = prep_param, .arg = arg_ }
#define A(cls_, name_, arg_) { .cls = cls_, .name = name_, .fn = t_addr, .arg = arg_ }
/* clang-format off */
const struct trans_def pv_trans_sip[] = {
	U("user", U_USER), U("host", U_HOST), U("domain", U_HOST), U("passwd", U_PASSWD), U("port", U_PORT), U("params", U_PARAMS),
	U("headers", U_HEADERS), U("transport", U_TRANSPORT), U("ttl", U_TTL), U("uparam", U_UPARAM), U("maddr", U_MADDR),
	U("method", U_METHOD), U("lr", U_LR), U("r2", U_R2), U("scheme", U_SCHEME), U("tosocket", U_TOSOCKET), U("saor", U_SAOR),
	U("suri", U_SURI), U("duri", U_DURI),
	{ .cls = "uri", .name = "param",   .fn = t_uri, .min_params = 1, .max_params = 1, .arg = U_PARAM },
	{ .cls = "uri", .name = "rmparam", .fn = t_uri, .min_params = 1, .max_params = 1, .arg = U_RMPARAM },
	P("value", 1, 2, P_VALUE), P("in", 1, 2, P_IN), P("valueat", 1, 2, P_VALUEAT), P("name", 1, 2, P_NAME), P("count", 0, 1, P_COUNT),
	A("nameaddr", "name", A_NAME), A("nameaddr", "uri", A_URI), A("nameaddr", "len", A_LEN),
	A("tobody", "uri", A_URI), A("tobody", "tag", A_TAG), A("tobody", "display", A_DISPLAY), A("tobody", "user", A_USER),
	A("tobody", "host", A_HOST), A("tobody", "params", A_PARAMS),
	{ .cls = "urialias", .name = "encode", .fn = alias_encode },
	{ .cls = "urialias", .name = "decode", .fn = alias_decode },
	{ .cls = NULL },
};
/* clang-format on */
