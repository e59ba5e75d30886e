/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edits of the current Request-URI and of the destination set. A URI is taken apart, one part is exchanged, and it is written
 * anew; the result is parsed before it counts, so a script cannot leave a URI behind that nothing can use.
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/tm/tm.h"

#define RURI_MAX 1024u

/* The parts of a URI as they are written out again. */
struct parts {
	struct str scheme, user, user_params, password, hostport, params, headers;
	bool has_user;
};

static bool take_param(struct pool *pool, struct str *params, struct str name)
{
	struct strbuf sb;
	struct str rest = *params;
	struct sip_param p;
	bool found = false;

	strbuf_init_pool(&sb, pool, RURI_MAX);
	while (sip_param_next(&rest, &p) == 1) {
		if (str_ieq(p.name, name)) {
			found = true;
			continue;
		}
		if (sb.n)
			strbuf_add_char(&sb, ';');
		strbuf_add(&sb, p.raw);
	}
	if (strbuf_err(&sb) == 0)
		*params = strbuf_str(&sb);
	return found;
}

static int write_uri(struct ctx *ctx, const struct parts *p, struct str *ret)
{
	struct strbuf sb;

	strbuf_init_pool(&sb, ctx->pool, RURI_MAX);
	strbuf_add(&sb, p->scheme);
	strbuf_add_char(&sb, ':');
	if (p->has_user) {
		strbuf_add(&sb, p->user);
		if (p->user_params.n)
			strbuf_printf(&sb, ";%.*s", STR_FMT(p->user_params));
		if (p->password.n) {
			strbuf_add_char(&sb, ':');
			strbuf_add(&sb, p->password);
		}
		if (p->hostport.n)
			strbuf_add_char(&sb, '@');
	}
	strbuf_add(&sb, p->hostport);
	if (p->params.n) {
		strbuf_add_char(&sb, ';');
		strbuf_add(&sb, p->params);
	}
	if (p->headers.n) {
		strbuf_add_char(&sb, '?');
		strbuf_add(&sb, p->headers);
	}
	*ret = strbuf_str(&sb);
	return strbuf_err(&sb);
}

static int host_text(struct ctx *ctx, const struct sip_uri *u, struct str host, uint16_t port, struct str *ret)
{
	bool v6 = u->host_v6 && host.s == u->host.s;
	const char *open = v6 ? "[" : "", *end = v6 ? "]" : "";

	if (port)
		return pool_printf(ctx->pool, ret, "%s%.*s%s:%u", open, STR_FMT(host), end, port);
	return pool_printf(ctx->pool, ret, "%s%.*s%s", open, STR_FMT(host), end);
}

static bool is_tel(const struct sip_uri *u)
{
	return u->scheme == SIP_URI_TEL || u->scheme == SIP_URI_TELS;
}

/* A tel: URI that gets a host becomes a sip: one; its parameters belong to the number, which is the user (RFC 3261, 19.1.6). */
static int tel_to_sip(struct ctx *ctx, const struct sip_uri *u, struct parts *p)
{
	p->scheme = u->scheme == SIP_URI_TELS ? STR_LIT("sips") : STR_LIT("sip");
	if (p->params.n > 0 && pool_printf(ctx->pool, &p->user, "%.*s;%.*s", STR_FMT(p->user), STR_FMT(p->params)) < 0)
		return -ENOMEM;
	p->params = STR_LIT("user=phone");
	return 0;
}

static int set_user(struct parts *p, struct str user)
{
	p->user = user;
	p->has_user = user.n > 0;
	if (!p->has_user)
		p->password = STR_NULL;
	return 0;
}

static int edit(struct ctx *ctx, const struct sip_uri *u, struct parts *p, enum route_uri_part part, struct str text, int64_t n)
{
	struct sip_param up;
	int err = 0;

	switch (part) {
	case RURI_HOST:
		err = host_text(ctx, u, text, u->port, &p->hostport);
		break;
	case RURI_HOSTPORTTRANS:
		(void)take_param(ctx->pool, &p->params, STR_LIT("transport"));
		p->hostport = text;
		break;
	case RURI_HOSTPORT:
		p->hostport = text;
		break;
	case RURI_PORT:
		if (is_tel(u))
			return -EINVAL;
		err = host_text(ctx, u, u->host, 0, &p->hostport);
		if (err == 0 && text.n)
			err = pool_printf(ctx->pool, &p->hostport, "%.*s:%.*s", STR_FMT(p->hostport), STR_FMT(text));
		break;
	case RURI_USER:
		return set_user(p, text);
	case RURI_USERPASS:
		p->password = STR_NULL;
		return set_user(p, text);
	case RURI_PREFIX:
		p->has_user = true;
		return pool_printf(ctx->pool, &p->user, "%.*s%.*s", STR_FMT(text), STR_FMT(u->user));
	case RURI_STRIP:
	case RURI_STRIP_TAIL:
		if (n < 0)
			return -EINVAL;
		if ((uint64_t)n > u->user.n)
			log_warn("strip %lld characters of a user of %zu", (long long)n, u->user.n);
		if ((uint64_t)n >= u->user.n)
			return set_user(p, STR_NULL);
		return set_user(p, part == RURI_STRIP ? str_sub(u->user, (size_t)n, u->user.n) : str_sub(u->user, 0, u->user.n - (size_t)n));
	case RURI_USERPHONE:
		if (is_tel(u) || sip_param_find(u->params, STR_LIT("user"), &up))
			return 0;
		if (p->params.n)
			return pool_printf(ctx->pool, &p->params, "%.*s;user=phone", STR_FMT(p->params));
		p->params = STR_LIT("user=phone");
		return 0;
	case RURI_ALL:
	case RURI_REVERT:
		return -EINVAL;
	}
	if (err == 0 && is_tel(u))
		err = tel_to_sip(ctx, u, p);
	return err;
}

int route_ruri_set(struct ctx *ctx, enum route_uri_part part, struct str text, int64_t n)
{
	struct str cur = ctx_ruri(ctx), out;
	struct sip_uri u, check;
	struct parts p;
	int err;

	if (ctx->msg.kind != SIP_REQUEST)
		return -EINVAL;
	if (part == RURI_REVERT) {
		ctx->main.uri = STR_NULL;
		ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
		return 0;
	}
	if (part == RURI_ALL) {
		if (text.n == 0 || text.n > RURI_MAX)
			return -EMSGSIZE;
		out = str_dup(ctx->pool, text);
		if (!out.s)
			return -ENOMEM;
		ctx->main.uri = out;
		ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
		return 0;
	}
	if (sip_uri_parse(cur, &u, NULL) < 0)
		return -EBADMSG;
	p = (struct parts){ .scheme = u.scheme_text.n ? u.scheme_text : STR_LIT("sip"), .user = u.user, .user_params = u.user_params, .password = u.password,
		.params = u.params, .headers = u.headers, .has_user = u.has_user || is_tel(&u) };
	if (!is_tel(&u)) {
		err = host_text(ctx, &u, u.host, u.port, &p.hostport);
		if (err < 0)
			return err;
	}
	err = edit(ctx, &u, &p, part, text, n);
	if (err == 0)
		err = write_uri(ctx, &p, &out);
	if (err < 0)
		return err;
	if (sip_uri_parse(out, &check, NULL) < 0)
		return -EBADMSG;
	ctx->main.uri = out;
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	return 0;
}

static void target_reset(struct ctx_target *t)
{
	struct str uri = t->uri;

	*t = (struct ctx_target){ .uri = uri, .q = -1, .listener = NET_LISTENER_NONE };
}

int route_branch_add(struct ctx *ctx, struct str uri, int q)
{
	struct ctx_target *b;

	if (ctx->n_branches >= CTX_BRANCHES_MAX || (tm_conf.max_branches > 0 && ctx->n_branches + 1 >= tm_conf.max_branches))
		return -ENOSPC;
	if (uri.n > RURI_MAX)
		return -EINVAL;
	b = &ctx->branch[ctx->n_branches];
	*b = ctx->main;
	b->uri = str_dup(ctx->pool, uri.n ? uri : ctx_ruri(ctx));
	if (!b->uri.s)
		return -ENOSPC;
	b->q = (int16_t)(q < 0 ? (uri.n ? -1 : ctx->main.q) : q > 1000 ? 1000 : q);
	ctx->n_branches++;
	if (uri.n == 0)
		target_reset(&ctx->main);
	return 0;
}
