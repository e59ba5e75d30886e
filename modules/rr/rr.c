/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Record-Route and loose routing (RFC 3261, 16.4, 16.6 and 16.12): staying in the path of a dialog, and following it.
 *
 * record_route() cannot write the final text, since the socket the request leaves by is not known yet: it leaves a template (see
 * core/tm/out.h) that is filled in for each branch. When a request comes and goes by different sockets, two fields are
 * added, both marked r2=on, and on the way back both are taken off together.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/regex.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"
#include "core/net/listener.h"
#include "core/net/myself.h"
#include "core/tm/out.h"
#include "modules/outbound/outbound_api.h"
#include "modules/rr/rr_api.h"

#define ROUTES_MAX 64u

static struct rr_conf {
	int enable_full_lr, append_fromtag, enable_double_rr, enable_socket_mismatch_warning, loose_route_mode, add_username, force_send_socket, ignore_sips,
		sockname_mode;
	struct str custom_user_avp;
} conf;

static const struct outbound_api *outbound; /* NULL: module not loaded */
static const struct pv_spec *custom_user;

enum { DIR_UNKNOWN, DIR_DOWN, DIR_UP };

struct rr_state { /* per message */
	struct str params;    /* of the own Route, with leading ';' */
	struct str route_uri; /* of the first Route */
	struct str token;     /* of the flow that the request follows; n 0: none */
	bool routed, next_hop;
	uint8_t dir;
};

static int modstate = -1;

static struct rr_state *state(struct ctx *ctx)
{
	struct rr_state *s = ctx->modstate[modstate];

	if (!s) {
		s = pool_zalloc(ctx->pool, sizeof(*s));
		ctx->modstate[modstate] = s;
	}
	return s;
}

static bool is_me(const struct sip_uri *u)
{
	return (u->scheme == SIP_URI_SIP || u->scheme == SIP_URI_SIPS) && net_is_myself(u->host, sip_uri_port(u), u->proto);
}

/* ---- Record-Route ---- */

static struct sip_edit *own_edit(struct ctx *ctx)
{
	for (struct sip_edit *e = ctx->edits.head; e; e = e->next)
		if (e->tag == SIP_EDIT_RECORD_ROUTE && e->put.n)
			return e;
	return NULL;
}

static int params_text(struct ctx *ctx, struct str more, struct str *ret)
{
	const struct sip_addr *from = sip_msg_from(&ctx->msg);
	struct strbuf sb;

	strbuf_init_pool(&sb, ctx->pool, 2048);
	if (conf.append_fromtag && from && from->tag.n) {
		strbuf_add_lit(&sb, ";ftag=");
		strbuf_add(&sb, from->tag);
	}
	strbuf_add(&sb, more);
	strbuf_add(&sb, ctx->rr_params);
	*ret = strbuf_str(&sb);
	return strbuf_err(&sb);
}

static int add_edit(struct ctx *ctx, struct str text)
{
	if (sip_edit_before(&ctx->edits, ctx->pool, &ctx->msg, SIP_H_RECORD_ROUTE, text, SIP_EDIT_RECORD_ROUTE) < 0)
		return -1;
	ctx->mflags |= CTX_F_RECORD_ROUTED;
	return 1;
}

/* The token of the Route on top when it leads down a flow, not when it came up by it. Returns as token_read(); -ENOENT also for the latter. */
static int route_flow(struct ctx *ctx, const struct sip_uri *top, struct outbound_flow *ret)
{
	int err = outbound && top->user.n ? outbound->token_read(top->user, ret) : -ENOENT;

	if (err == 0 && ret->proto == ctx->rx.proto && net_addr_equal(&ret->src, &ctx->rx.src) && ret->conn_id == ctx->rx.conn_id)
		return -ENOENT;
	return err;
}

/* The flow that later requests of the dialog are to follow: the one this goes down by, or the one it came up by. n 0: neither is one. */
static struct str flow_token(struct ctx *ctx)
{
	const struct rr_state *s = ctx->modstate[modstate];
	struct sip_addr_iter it = { 0 };
	struct outbound_flow flow;
	struct str token = STR_NULL;
	struct sip_addr top;
	struct sip_uri uri;

	if (!outbound)
		return STR_NULL;
	if (s && s->token.n)
		return s->token;
	if (!s && sip_msg_addr_next(&ctx->msg, SIP_H_ROUTE, &it, &top) == 1 && sip_uri_parse(top.uri, &uri, NULL) == 0 && is_me(&uri) &&
	    route_flow(ctx, &uri, &flow) == 0)
		return uri.user;
	if (outbound->wanted(ctx) && outbound->token_make(ctx, &token) < 0)
		log_error("rr: no memory for a flow token");
	return token;
}

/* The user part of our URI: a flow token; with add_username what custom_user_avp says, else the user of the request line. */
static struct str shown_user(struct ctx *ctx)
{
	struct str token = flow_token(ctx);
	struct value v;
	struct sip_uri u;

	if (token.n || !conf.add_username)
		return token;
	if (custom_user && pv_get(ctx, custom_user, &v) == 0 && v.kind == VALUE_STR && v.s.n)
		return v.s;
	return sip_uri_parse(ctx_ruri(ctx), &u, NULL) < 0 ? STR_NULL : u.user;
}

/* RFC 3261, 16.6 step 4: where the request goes by sips, so must those that follow. */
static bool shown_sips(struct ctx *ctx)
{
	return !conf.ignore_sips && str_istarts(ctx_ruri(ctx), STR_LIT("sips:"));
}

static int record_route_as(struct ctx *ctx, struct str show, struct str more)
{
	struct out_rr rr = { .show = show, .double_rr = conf.enable_double_rr, .full_lr = conf.enable_full_lr, .sockname = conf.sockname_mode };
	struct str text;

	if (own_edit(ctx)) {
		log_error("Double attempt to record-route");
		return -1;
	}
	rr.user = shown_user(ctx);
	rr.sips = shown_sips(ctx);
	if (params_text(ctx, more, &rr.params) < 0 || out_rr_template(ctx->pool, &rr, &text) < 0)
		return -1;
	return add_edit(ctx, text);
}

static int record_route(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return record_route_as(ctx, STR_NULL, n ? a[0].s : STR_NULL);
}

/* As record_route(), under another name: what the sockets add (transport, a second field) stays. */
static int record_route_advertised(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 1 && a[0].s.n ? record_route_as(ctx, a[0].s, STR_NULL) : -1;
}

static int record_route_preset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str params, user = shown_user(ctx);
	struct strbuf sb;

	if (own_edit(ctx)) {
		log_error("Double attempt to record-route");
		return -1;
	}
	if (n > 1 && !conf.enable_double_rr) {
		log_error("record_route_preset: two addresses need enable_double_rr");
		return -1;
	}
	if (params_text(ctx, STR_NULL, &params) < 0)
		return -1;
	strbuf_init_pool(&sb, ctx->pool, 4096);
	for (unsigned i = 0; i < n; i++)
		strbuf_printf(&sb, "Record-Route: <%s:%.*s%s%.*s%.*s%s>\r\n", shown_sips(ctx) ? "sips" : "sip", STR_FMT(user), user.n ? "@" : "", STR_FMT(a[i].s),
			      STR_FMT(params), conf.enable_full_lr ? ";lr=on" : ";lr");
	return strbuf_err(&sb) < 0 ? -1 : add_edit(ctx, strbuf_str(&sb));
}

static int add_rr_param(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_edit *e = own_edit(ctx);
	struct str joined;

	if (n != 1 || a[0].s.n == 0)
		return -1;
	if (!e) {
		if (pool_printf(ctx->pool, &joined, "%.*s%.*s", STR_FMT(ctx->rr_params), STR_FMT(a[0].s)) < 0)
			return -1;
		ctx->rr_params = joined;
		return 1;
	}
	if (e->put.s[0] == OUT_RR_MARK) { /* the template ends with the parameters */
		struct strbuf sb;

		strbuf_init_pool(&sb, ctx->pool, 4096);
		strbuf_add(&sb, e->put);
		strbuf_add(&sb, a[0].s);
		if (strbuf_err(&sb) < 0)
			return -1;
		e->put = strbuf_str(&sb);
		return 1;
	}
	log_error("add_rr_param: not possible after record_route_preset");
	return -1;
}

static int remove_record_route(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	sip_edit_undo(&ctx->edits, SIP_EDIT_RECORD_ROUTE);
	ctx->mflags &= ~(uint32_t)CTX_F_RECORD_ROUTED;
	return 1;
}

/* ---- Route ---- */

struct routes {
	struct sip_addr a[ROUTES_MAX];
	const struct sip_hdr *hdr[ROUTES_MAX];
	bool gone[ROUTES_MAX];
	unsigned n;
};

static int routes_read(struct ctx *ctx, struct routes *r)
{
	struct sip_addr_iter it = { 0 };
	int rc;

	r->n = 0;
	while (r->n < ROUTES_MAX && (rc = sip_msg_addr_next(&ctx->msg, SIP_H_ROUTE, &it, &r->a[r->n])) != 0) {
		if (rc < 0)
			return -EBADMSG;
		r->hdr[r->n] = it.hdr;
		r->gone[r->n] = false;
		r->n++;
	}
	return r->n == ROUTES_MAX ? -EMSGSIZE : 0;
}

/* Takes the marked values out: whole fields where all values go, else up to the next that stays. */
static int routes_remove(struct ctx *ctx, const struct routes *r)
{
	for (unsigned i = 0; i < r->n;) {
		unsigned end = i, gone = 0;
		int err = 0;

		while (end < r->n && r->hdr[end] == r->hdr[i])
			gone += r->gone[end++];
		if (gone == end - i) {
			err = sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, r->hdr[i], SIP_EDIT_ROUTE);
		} else if (gone) {
			/* Written anew with what stays. */
			struct strbuf sb;

			strbuf_init_pool(&sb, ctx->pool, 8192);
			for (unsigned k = i; k < end; k++) {
				if (r->gone[k])
					continue;
				if (sb.n)
					strbuf_add_lit(&sb, ", ");
				strbuf_add(&sb, r->a[k].text);
			}
			err = strbuf_err(&sb);
			if (err == 0)
				err = sip_edit_replace(&ctx->edits, ctx->pool, &ctx->msg, r->hdr[i]->value, strbuf_str(&sb), SIP_EDIT_ROUTE);
		}
		if (err < 0)
			return err;
		i = end;
	}
	return 0;
}

static bool set_ruri(struct ctx *ctx, struct str uri)
{
	struct str copy = str_dup(ctx->pool, uri);

	if (!copy.s)
		return false;
	ctx->main.uri = copy;
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	return true;
}

static bool set_dst(struct ctx *ctx, struct str uri)
{
	ctx->main.dst_uri = str_dup(ctx->pool, uri);
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	return ctx->main.dst_uri.s != NULL;
}

static void force_socket(struct ctx *ctx, const struct sip_uri *u)
{
	const struct net_listener *l = NULL;
	struct sip_param sn;
	struct str text;

	if (conf.sockname_mode && sip_param_find(u->params, STR_LIT("sn"), &sn))
		l = net_listener_named(sn.value);
	if (l) {
		ctx->main.listener = l->index;
		return;
	}
	if (pool_printf(ctx->pool, &text, "%s:%s%.*s%s:%u", sip_proto_name(u->proto == SIP_PROTO_NONE ? SIP_PROTO_UDP : u->proto),
			u->host_v6 ? "[" : "", STR_FMT(u->host), u->host_v6 ? "]" : "", sip_uri_port(u)) < 0)
		return;
	l = net_listener_find(text);
	if (l)
		ctx->main.listener = l->index;
	else if (conf.enable_socket_mismatch_warning)
		log_warn("no socket for the second Route %.*s: the default one is used", STR_FMT(text));
}

/* The next hop knows nothing of loose routing: its URI goes into the request line, ours to the end of the list. */
static bool strict_next(struct ctx *ctx, struct routes *r, unsigned next)
{
	struct str field;

	r->gone[next] = true;
	if (pool_printf(ctx->pool, &field, "Route: <%.*s>\r\n", STR_FMT(ctx_ruri(ctx))) < 0)
		return false;
	if (sip_edit_after(&ctx->edits, ctx->pool, &ctx->msg, SIP_H_ROUTE, field, SIP_EDIT_ROUTE) < 0)
		return false;
	return set_ruri(ctx, r->a[next].uri);
}

static bool note_own(struct ctx *ctx, const struct sip_uri *u)
{
	struct rr_state *s = state(ctx);
	char *text = pool_alloc(ctx->pool, u->params.n + 1);

	if (!s || !text)
		return false;
	s->routed = true;
	s->dir = DIR_UNKNOWN;
	text[0] = ';';
	if (u->params.n)
		memcpy(text + 1, u->params.s, u->params.n);
	s->params = str_of(text, u->params.n + 1);
	return true;
}

/* Marks the own routes on top. Returns how many, or < 0. */
static int take_own(struct ctx *ctx, struct routes *r)
{
	struct sip_uri u, u2;
	struct sip_param p;

	if (sip_uri_parse(r->a[0].uri, &u, NULL) < 0)
		return -EBADMSG;
	if (!is_me(&u))
		return 0;
	if (!note_own(ctx, &u))
		return -ENOMEM;
	r->gone[0] = true;
	if (!conf.enable_double_rr || r->n < 2 || !sip_param_find(u.params, STR_LIT("r2"), &p) || sip_uri_parse(r->a[1].uri, &u2, NULL) < 0 ||
	    !sip_param_find(u2.params, STR_LIT("r2"), &p) || !is_me(&u2)) {
		/* One socket for both sides: the request goes on by the one it was recorded with. */
		if (conf.force_send_socket)
			force_socket(ctx, &u);
		return 1;
	}
	r->gone[1] = true;
	force_socket(ctx, &u2);
	return 2;
}

/* Down the flow and nowhere else: a stream that is gone is not opened anew. */
static int follow_flow(struct ctx *ctx, const struct outbound_flow *flow)
{
	char at[NET_ADDR_TEXT_MAX];
	const struct net_listener *l;
	struct str text, uri;

	(void)net_addr_text(&flow->dst, at);
	if (pool_printf(ctx->pool, &text, "%s:%s", sip_proto_name(flow->proto), at) < 0)
		return -ENOMEM;
	l = net_listener_find(text);
	if (!l) {
		log_warn("the flow of %.*s came by socket %.*s, which is not there any more", STR_FMT(ctx->msg.method_name), STR_FMT(text));
		return -ENOENT;
	}
	(void)net_addr_text(&flow->src, at);
	if (pool_printf(ctx->pool, &uri, "sip:%s;transport=%s", at, sip_proto_name(flow->proto)) < 0 || !set_dst(ctx, uri))
		return -ENOMEM;
	ctx->main.listener = l->index;
	ctx->main.conn_id = flow->conn_id;
	if (flow->proto != SIP_PROTO_UDP)
		ctx->mflags |= CTX_F_FWD_NO_CONNECT;
	return 0;
}

/* The Route on top is ours: does it name a flow? 2 followed, -2 forged, -1 cannot be, 0 no. */
static int loose_flow(struct ctx *ctx, struct routes *r, int mode)
{
	struct rr_state *s = state(ctx);
	struct outbound_flow flow;
	struct sip_uri top;
	int err;

	if (!s || !outbound || mode & 2 || sip_uri_parse(r->a[0].uri, &top, NULL) < 0 || !is_me(&top))
		return 0;
	err = route_flow(ctx, &top, &flow);
	if (err == -ENOENT)
		return 0;
	if (err == -EBADMSG)
		return -2;
	if (take_own(ctx, r) < 0 || follow_flow(ctx, &flow) < 0 || routes_remove(ctx, r) < 0)
		return -1;
	s->token = top.user;
	return 2;
}

static int loose(struct ctx *ctx, struct routes *r, bool in_dialog, int mode)
{
	struct rr_state *s = state(ctx);
	struct sip_uri next;
	bool ok = true;
	int own = loose_flow(ctx, r, mode);

	if (own != 0)
		return own;
	own = take_own(ctx, r);
	if (own < 0 || !s)
		return -1;
	s->next_hop = (unsigned)own < r->n;
	if (s->next_hop) {
		if (sip_uri_parse(r->a[own].uri, &next, NULL) < 0)
			return -1;
		ok = next.has_lr ? set_dst(ctx, r->a[own].uri) : strict_next(ctx, r, (unsigned)own);
	}
	if (!ok || routes_remove(ctx, r) < 0)
		return -1;
	if (s->next_hop)
		return 1;
	return in_dialog ? 1 : -3;
}

/* A strict router before us put our URI into the request line: the real one is the last Route. */
static int strict(struct ctx *ctx, struct routes *r)
{
	struct rr_state *s = state(ctx);
	const struct sip_uri *own = sip_msg_ruri(&ctx->msg);
	struct sip_uri next;
	struct str target;
	unsigned first = 0, last = r->n - 1;
	int n;

	if (!s || !own || !note_own(ctx, own))
		return -1;
	n = take_own(ctx, r);
	if (n < 0)
		return -1;
	first = (unsigned)n;
	if (first > last)
		return -1; /* nothing left to follow */
	s->next_hop = first < last;
	if (sip_uri_parse(r->a[first].uri, &next, NULL) < 0)
		return -1;
	/* The next one is strict, too: its URI into the request line, the real one is where it looks for it (RFC 3261, 16.6, 6). */
	if (!next.has_lr)
		last = first;
	target = r->a[last].uri;
	r->gone[last] = true;
	if (!set_ruri(ctx, target))
		return -1;
	if (s->next_hop && next.has_lr && !set_dst(ctx, r->a[first].uri))
		return -1;
	return routes_remove(ctx, r) < 0 ? -1 : 1;
}

static int loose_route_with(struct ctx *ctx, int mode)
{
	struct routes r;
	const struct sip_addr *to = sip_msg_to(&ctx->msg);
	struct sip_uri ruri;
	bool in_dialog = to && to->tag.n;
	struct rr_state *s = state(ctx);

	if (!s || ctx->msg.kind != SIP_REQUEST || !sip_msg_hdr(&ctx->msg, SIP_H_ROUTE) || routes_read(ctx, &r) < 0 || r.n == 0)
		return -1;
	s->route_uri = r.a[0].uri;
	if (in_dialog && !(mode & 1) && sip_uri_parse(ctx_ruri(ctx), &ruri, NULL) == 0 && is_me(&ruri))
		return strict(ctx, &r);
	return loose(ctx, &r, in_dialog, mode);
}

static int loose_route(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return loose_route_with(ctx, n ? (int)a[0].i : conf.loose_route_mode);
}

static int loose_route_preloaded(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return loose_route_with(ctx, conf.loose_route_mode) == -3 ? 1 : -1;
}

static int check_route_param(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct rr_state *s = ctx->modstate[modstate];

	if (n != 1 || !s || !s->routed)
		return -1;
	return regex_match(a[0].re, s->params, 0, NULL) == 1 ? 1 : -1;
}

static int direction(struct ctx *ctx)
{
	struct rr_state *s = ctx->modstate[modstate];
	const struct sip_addr *from = sip_msg_from(&ctx->msg);
	struct sip_param p;

	if (!s || !s->routed)
		return DIR_DOWN;
	if (s->dir == DIR_UNKNOWN) {
		bool up = from && from->tag.n && s->params.n && sip_param_find(str_sub(s->params, 1, s->params.n), STR_LIT("ftag"), &p) &&
			  p.value.n && !str_eq(p.value, from->tag);

		s->dir = up ? DIR_UP : DIR_DOWN;
	}
	return s->dir;
}

static bool is_upstream(struct ctx *ctx)
{
	return direction(ctx) == DIR_UP;
}

static int is_direction(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1)
		return -1;
	if (str_ieq(a[0].s, STR_LIT("downstream")))
		return direction(ctx) == DIR_DOWN ? 1 : -1;
	if (str_ieq(a[0].s, STR_LIT("upstream")))
		return direction(ctx) == DIR_UP ? 1 : -1;
	log_error("is_direction: \"%.*s\" is neither downstream nor upstream", STR_FMT(a[0].s));
	return -1;
}

static int next_hop_route(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct rr_state *s = ctx->modstate[modstate];

	(void)a, (void)n; /* takes none */
	return s && s->next_hop ? 1 : -1;
}

/* ---- variables ---- */

static int get_route_uri(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct sip_addr_iter it = { 0 };
	struct sip_addr a;

	(void)spec; /* no parts */
	*ret = sip_msg_addr_next(&ctx->msg, SIP_H_ROUTE, &it, &a) == 1 ? value_str(a.uri) : value_null();
	return 0;
}

static int get_tag(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	bool from = (spec->def->arg == 'f') == (direction(ctx) == DIR_DOWN);
	const struct sip_addr *a = from ? sip_msg_from(&ctx->msg) : sip_msg_to(&ctx->msg);

	*ret = a && a->tag.n ? value_str(a->tag) : value_null();
	return 0;
}

static int rdir_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool; /* a choice of two: kept in arg */
	if (!str_eq(spec->inner, STR_LIT("id")) && !str_eq(spec->inner, STR_LIT("name")))
		return diag_set(reterr, 0, "$rdir(id) or $rdir(name)");
	spec->arg = spec->inner.n == 2;
	return 0;
}

static int get_rdir(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	int d = direction(ctx);

	*ret = spec->arg ? value_int(d) : value_str(d == DIR_DOWN ? STR_LIT("downstream") : STR_LIT("upstream"));
	return 0;
}

/* ---- module ---- */

static int init(void)
{
	static struct pool *pool; /* lives as long as the process */
	struct pv_spec *spec;
	struct diag diag;
	size_t len;

	outbound = module_api_find("outbound");
	if (conf.custom_user_avp.n) {
		if (!pool)
			pool = pool_new(4096);
		if (!pool || pv_parse(pool, conf.custom_user_avp, &spec, &len, &diag) < 0 || len != conf.custom_user_avp.n) {
			log_error("rr: custom_user_avp \"%.*s\" is no variable", STR_FMT(conf.custom_user_avp));
			return -EINVAL;
		}
		custom_user = spec;
	}
	modstate = ctx_modstate_register("rr");
	return modstate < 0 ? log_fail(modstate, "rr") : 0;
}

/* clang-format off */
#define RBF (CTX_REQUEST | CTX_BRANCH | CTX_FAILURE)
static const struct script_func funcs[] = {
	{ .name = "loose_route", .fn = loose_route, .kinds = CTX_REQUEST },
	{ .name = "loose_route_mode", .fn = loose_route, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_REQUEST },
	{ .name = "loose_route_preloaded", .fn = loose_route_preloaded, .kinds = CTX_REQUEST },
	{ .name = "record_route", .fn = record_route, .kinds = RBF },
	{ .name = "record_route", .fn = record_route, .n_params = 1, .param = { SP_DSTR }, .kinds = RBF },
	{ .name = "record_route_preset", .fn = record_route_preset, .n_params = 1, .param = { SP_DSTR }, .kinds = RBF },
	{ .name = "record_route_preset", .fn = record_route_preset, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = RBF },
	{ .name = "record_route_advertised_address", .fn = record_route_advertised, .n_params = 1, .param = { SP_DSTR }, .kinds = RBF },
	{ .name = "add_rr_param", .fn = add_rr_param, .n_params = 1, .param = { SP_DSTR }, .kinds = RBF },
	{ .name = "remove_record_route", .fn = remove_record_route, .kinds = RBF },
	{ .name = "check_route_param", .fn = check_route_param, .n_params = 1, .param = { SP_REGEX }, .kinds = CTX_REQUEST },
	{ .name = "is_direction", .fn = is_direction, .n_params = 1, .param = { SP_STR }, .kinds = CTX_REQUEST },
	{ .name = "rr_next_hop_route", .fn = next_hop_route, .kinds = CTX_ANY },
	{ .name = NULL },
};
static const struct setting settings[] = {
	SETTING_LIVE_INT("enable_full_lr", struct rr_conf, enable_full_lr, 0, 0, 1),
	SETTING_LIVE_INT("append_fromtag", struct rr_conf, append_fromtag, 1, 0, 1),
	SETTING_LIVE_INT("enable_double_rr", struct rr_conf, enable_double_rr, 1, 0, 2),
	SETTING_LIVE_INT("enable_socket_mismatch_warning", struct rr_conf, enable_socket_mismatch_warning, 1, 0, 1),
	SETTING_LIVE_INT("add_username", struct rr_conf, add_username, 0, 0, 1),
	SETTING_LIVE_INT("force_send_socket", struct rr_conf, force_send_socket, 0, 0, 1),
	SETTING_INT("ignore_sips", struct rr_conf, ignore_sips, 0, 0, 1),
	SETTING_INT("sockname_mode", struct rr_conf, sockname_mode, 0, 0, 1),
	SETTING_STR("custom_user_avp", struct rr_conf, custom_user_avp, NULL),
	SETTING_LIVE_INT("loose_route_mode", struct rr_conf, loose_route_mode, 0, 0, 3),
	SETTING_END
};
static const struct pv_def pvs[] = {
	{ .name = "route_uri", .get = get_route_uri }, { .name = "fti", .get = get_tag, .arg = 'f' }, { .name = "tti", .get = get_tag, .arg = 't' },
	{ .name = "rdir", .get = get_rdir, .prepare = rdir_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */

static const struct rr_api api = { is_upstream };

extern const struct module module_rr;
const struct module module_rr = { .abi = MODULE_ABI, .name = "rr", .settings = settings, .conf = &conf, .funcs = funcs, .pvs = pvs, .api = &api, .init = init };
