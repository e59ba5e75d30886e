/* SPDX-License-Identifier: BSD-2-Clause */
/* Flags of message, branch and script, and the extra branches of the destination set. */
#include "core/base/log.h"
#include "core/route/route.h"
#include "core/script/script.h"
#include "modules/pv/pv_priv.h"

enum flags_of { FL_MSG, FL_BRANCH, FL_SCRIPT };
#define FL_HEX 16

static uint32_t *flag_word(struct ctx *ctx, intptr_t arg)
{
	switch ((enum flags_of)(arg & 15)) {
	case FL_MSG:
		return &ctx->flags;
	case FL_BRANCH:
		return &ctx->main.bflags;
	case FL_SCRIPT:
		break;
	}
	return &ctx->sflags;
}

static int flags_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	uint32_t w = *flag_word(ctx, spec->def->arg);
	struct str s;
	int err;

	if (!(spec->def->arg & FL_HEX))
		return pv_ret_int(ret, w);
	err = pool_printf(ctx->pool, &s, "%08x", w);
	if (err < 0)
		return err;
	*ret = value_str_int(s, w);
	return 0;
}

static int flags_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	int64_t i = 0;
	int err = value_to_int(v, &i); /* null: 0 */

	if (err < 0)
		return err;
	*flag_word(ctx, spec->def->arg) = (uint32_t)i;
	return 0;
}

static int flag_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	int64_t n;

	(void)pool;
	if (num_i64(spec->inner, &n) < 0)
		n = script_flag_find(spec->inner);
	if (n < 0 || n > 31)
		return diag_set(reterr, 0, "$%s(%.*s): neither a declared flag nor a number from 0 to 31", spec->def->name, STR_FMT(spec->inner));
	spec->arg = n;
	return 0;
}

static int flag_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	return pv_ret_int(ret, *flag_word(ctx, spec->def->arg) >> spec->arg & 1);
}

/* Null on one flag clears all of them: as in Kamailio. */
static int flag_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	uint32_t *w = flag_word(ctx, spec->def->arg), bit = 1u << spec->arg;
	int64_t i;
	int err;

	if (v->kind == VALUE_NULL) {
		*w = 0;
		return 0;
	}
	err = value_to_int(v, &i);
	if (err < 0)
		return err;
	*w = i ? *w | bit : *w & ~bit;
	return 0;
}

/* ---- branches ---- */

static int br_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec;
	return ctx->n_branches ? pv_ret_str(ret, ctx->branch[0].uri) : pv_ret_null(ret);
}

static int br_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct sip_uri uri;

	(void)spec;
	if (v->kind != VALUE_STR || sip_uri_parse(v->s, &uri, NULL) < 0)
		return -EINVAL;
	return route_branch_add(ctx, v->s, -1);
}

/* q as 0, 0.5, 0.25, 1: no zeros behind. */
static void add_target(struct strbuf *sb, struct str uri, int q)
{
	if (q < 0 || q > 1000) {
		strbuf_add(sb, uri);
		return;
	}
	strbuf_printf(sb, "<%.*s>;q=", STR_FMT(uri));
	if (q % 1000 == 0)
		strbuf_add_u64(sb, (uint64_t)q / 1000);
	else if (q % 100 == 0)
		strbuf_printf(sb, "0.%d", q / 100);
	else if (q % 10 == 0)
		strbuf_printf(sb, "0.%02d", q / 10);
	else
		strbuf_printf(sb, "0.%03d", q);
}

static int br_all_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct strbuf sb;

	(void)spec;
	if (ctx->n_branches == 0)
		return pv_ret_null(ret);
	strbuf_init_pool(&sb, ctx->pool, 65535);
	for (unsigned i = 0; i < ctx->n_branches; i++) {
		if (i > 0)
			strbuf_add_lit(&sb, ", ");
		add_target(&sb, ctx->branch[i].uri, ctx->branch[i].q);
	}
	if (strbuf_err(&sb) < 0)
		return -EMSGSIZE;
	return pv_ret_str(ret, strbuf_str(&sb));
}

/* The same, always in brackets. */
static void add_contact(struct strbuf *sb, struct str uri, int q)
{
	if (q < 0 || q > 1000)
		strbuf_printf(sb, "<%.*s>", STR_FMT(uri));
	else
		add_target(sb, uri, q);
}

/* $ds: what a 3xx would carry. The request URI counts when it was rewritten and not forwarded to since. */
static int ds_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct strbuf sb;
	unsigned n = 0;

	(void)spec;
	strbuf_init_pool(&sb, ctx->pool, 65535);
	strbuf_add_lit(&sb, "Contact: ");
	if (ctx->main.uri.n > 0 && !(ctx->mflags & CTX_F_RURI_CONSUMED)) {
		add_contact(&sb, ctx->main.uri, ctx->main.q);
		n++;
	}
	for (unsigned i = 0; i < ctx->n_branches; i++, n++) {
		if (n > 0)
			strbuf_add_lit(&sb, ", ");
		add_contact(&sb, ctx->branch[i].uri, ctx->branch[i].q);
	}
	if (n == 0)
		return pv_ret_null(ret);
	if (strbuf_err(&sb) < 0)
		return -EMSGSIZE;
	return pv_ret_str(ret, strbuf_str(&sb));
}

enum target_what { T_URI, T_DST, T_PATH, T_Q, T_SOCKET, T_FLAGS, T_RUID, T_UA, T_CON, T_INSTANCE, T_COUNT };
static const struct pv_word target_words[] = {
	{ "uri", T_URI }, { "dst_uri", T_DST }, { "path", T_PATH }, { "q", T_Q }, { "send_socket", T_SOCKET }, { "flags", T_FLAGS },
	{ "ruid", T_RUID }, { "location_ua", T_UA }, { "otcpid", T_CON }, { "instance", T_INSTANCE }, { "count", T_COUNT }, { NULL, 0 },
};

static int target_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(target_words, spec, reterr);
}

static int target_get(const struct ctx_target *t, enum target_what what, struct value *ret)
{
	const struct net_listener *l;

	switch (what) {
	case T_URI:
		return pv_ret_str(ret, t->uri);
	case T_DST:
		return pv_ret_str(ret, t->dst_uri);
	case T_PATH:
		return pv_ret_str(ret, t->path);
	case T_Q:
		return t->q < 0 ? pv_ret_null(ret) : pv_ret_int(ret, t->q); /* -1: none was given */
	case T_SOCKET:
		l = t->listener == NET_LISTENER_NONE ? NULL : net_listener_at(t->listener);
		return l ? pv_ret_str(ret, l->sock_text) : pv_ret_null(ret);
	case T_FLAGS:
		return pv_ret_int(ret, t->bflags);
	case T_RUID:
		return pv_ret_str(ret, t->ruid);
	case T_UA:
		return pv_ret_str(ret, t->user_agent);
	case T_CON:
		return pv_ret_int(ret, t->conn_id);
	case T_INSTANCE:
		return pv_ret_str(ret, t->instance);
	case T_COUNT:
		break;
	}
	return -EINVAL;
}

static int target_set_text(struct ctx *ctx, struct str *field, const struct value *v)
{
	struct str s = STR_NULL;

	if (v->kind == VALUE_INT)
		return -EINVAL;
	if (v->kind == VALUE_STR && v->s.n > 0) {
		s = str_dup(ctx->pool, v->s);
		if (!s.s)
			return -ENOMEM;
	}
	*field = s;
	return 0;
}

static int target_set(struct ctx *ctx, struct ctx_target *t, enum target_what what, const struct value *v)
{
	const struct net_listener *l;
	int64_t i = 0;
	int err;

	switch (what) {
	case T_URI:
		return target_set_text(ctx, &t->uri, v);
	case T_DST:
		return target_set_text(ctx, &t->dst_uri, v);
	case T_PATH:
		return target_set_text(ctx, &t->path, v);
	case T_SOCKET:
		if (v->kind == VALUE_NULL) {
			t->listener = NET_LISTENER_NONE;
			return 0;
		}
		l = v->kind == VALUE_STR ? net_listener_find(v->s) : NULL;
		if (!l)
			return -ENOENT;
		t->listener = l->index;
		return 0;
	case T_Q:
	case T_FLAGS:
	case T_CON:
		err = value_to_int(v, &i);
		if (err < 0)
			return err;
		if (what == T_Q)
			t->q = v->kind == VALUE_NULL || i < 0 || i > 1000 ? -1 : (int16_t)i;
		else if (what == T_FLAGS)
			t->bflags = (uint32_t)i;
		else
			t->conn_id = (uint32_t)i;
		return 0;
	default:
		return 0; /* the others are shown only */
	}
}

/* The extra branch that the index names; NULL when there is none. */
static struct ctx_target *branch_of(struct ctx *ctx, const struct pv_spec *spec)
{
	int i;

	if (pv_index(ctx, spec, &i) < 0)
		return NULL;
	if (i < 0)
		i += ctx->n_branches;
	return i >= 0 && i < ctx->n_branches ? &ctx->branch[i] : NULL;
}

static int branch_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct ctx_target *t;

	if (spec->arg == T_COUNT) /* none: null, which counts as 0 */
		return ctx->n_branches ? pv_ret_int(ret, ctx->n_branches) : pv_ret_null(ret);
	t = branch_of(ctx, spec);
	return t ? target_get(t, (enum target_what)spec->arg, ret) : pv_ret_null(ret);
}

static int branch_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct ctx_target *t;

	if (spec->arg == T_COUNT)
		return 0;
	t = branch_of(ctx, spec);
	if (!t)
		return -ENOENT;
	if (spec->arg == T_URI && (v->kind == VALUE_NULL || (v->kind == VALUE_STR && v->s.n == 0))) {
		size_t at = (size_t)(t - ctx->branch);

		ctx->n_branches--;
		memmove(t, t + 1, (ctx->n_branches - at) * sizeof(*t));
		return 0;
	}
	return target_set(ctx, t, (enum target_what)spec->arg, v);
}

static struct ctx_target *sbranch_of(struct ctx *ctx)
{
	struct pv_state *st = pv_state(ctx);

	if (!st)
		return NULL;
	if (!st->has_sbranch) {
		st->sbranch = (struct ctx_target){ .q = -1, .listener = NET_LISTENER_NONE };
		st->has_sbranch = true;
	}
	return &st->sbranch;
}

static int sbranch_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct ctx_target *t = sbranch_of(ctx);

	if (!t)
		return -ENOMEM;
	return spec->arg == T_COUNT ? pv_ret_int(ret, 1) : target_get(t, (enum target_what)spec->arg, ret);
}

static int sbranch_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct ctx_target *t = sbranch_of(ctx);

	return t ? target_set(ctx, t, (enum target_what)spec->arg, v) : -ENOMEM;
}

/* arg 0 $ruid, 1 $location_ua */
static int found_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	return pv_ret_str(ret, spec->def->arg ? ctx->main.user_agent : ctx->main.ruid);
}

/* clang-format off */
const struct pv_def pv_branch_table[] = {
	{ .name = "mf", .get = flags_get, .set = flags_set, .arg = FL_MSG },
	{ .name = "mF", .get = flags_get, .set = flags_set, .arg = FL_MSG | FL_HEX },
	{ .name = "Mf", .get = flag_get,  .set = flag_set,  .prepare = flag_prepare, .flags = PV_INNER, .arg = FL_MSG },
	{ .name = "bf", .get = flags_get, .set = flags_set, .flags = PV_CONTEXT, .arg = FL_BRANCH },
	{ .name = "bF", .get = flags_get, .set = flags_set, .flags = PV_CONTEXT, .arg = FL_BRANCH | FL_HEX },
	{ .name = "Bf", .get = flag_get,  .set = flag_set,  .prepare = flag_prepare, .flags = PV_INNER | PV_CONTEXT, .arg = FL_BRANCH },
	{ .name = "sf", .get = flags_get, .set = flags_set, .arg = FL_SCRIPT },
	{ .name = "sF", .get = flags_get, .set = flags_set, .arg = FL_SCRIPT | FL_HEX },
	{ .name = "Sf", .get = flag_get,  .set = flag_set,  .prepare = flag_prepare, .flags = PV_INNER, .arg = FL_SCRIPT },
	{ .name = "br", .get = br_get, .set = br_set, .flags = PV_CONTEXT },
	{ .name = "bR", .get = br_all_get, .flags = PV_CONTEXT },
	{ .name = "ds", .get = ds_get, .flags = PV_CONTEXT },
	{ .name = "branch",  .get = branch_get,  .set = branch_set,  .prepare = target_prepare, .flags = PV_INNER | PV_INDEX | PV_CONTEXT },
	{ .name = "sbranch", .get = sbranch_get, .set = sbranch_set, .prepare = target_prepare, .flags = PV_INNER | PV_INDEX | PV_CONTEXT },
	{ .name = "ruid",        .get = found_get, .arg = 0 },
	{ .name = "location_ua", .get = found_get, .arg = 1 },
	{ .name = NULL },
};
/* clang-format on */
