/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contacts as variables: reg_fetch_contacts() keeps a copy under a name for the rest of the message, $ulc(name=>attr) reads it.
 * event_route[usrloc:contact-expired] sees the contact that went as $ulc(exp=>attr).
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/script/script.h"
#include "core/script/vm.h"
#include "modules/registrar/reg_priv.h"

static bool dup_into(struct pool *pool, struct str *s)
{
	if (s->n == 0)
		return true;
	*s = str_dup(pool, *s);
	return s->s != NULL;
}

int reg_list_dup(struct pool *pool, const struct ul_list *list, struct ul_list *ret_copy)
{
	struct ul_contact *c = list->n ? pool_alloc(pool, list->n * sizeof(*c)) : NULL;

	if (list->n && !c)
		return -ENOMEM;
	for (unsigned i = 0; i < list->n; i++) {
		c[i] = list->c[i];
		if (!dup_into(pool, &c[i].uri) || !dup_into(pool, &c[i].callid) || !dup_into(pool, &c[i].received) ||
		    !dup_into(pool, &c[i].path) || !dup_into(pool, &c[i].instance) || !dup_into(pool, &c[i].user_agent) ||
		    !dup_into(pool, &c[i].xavps) || !dup_into(pool, &c[i].ruid) || !dup_into(pool, &c[i].socket))
			return -ENOMEM;
	}
	*ret_copy = *list;
	ret_copy->c = c;
	return 0;
}

static struct reg_profile *profile_find(struct reg_state *st, struct str name)
{
	for (struct reg_profile *p = st->profiles; p; p = p->next)
		if (str_ieq(p->name, name))
			return p;
	return NULL;
}

/* The profile of that name, emptied; made on first use. */
static struct reg_profile *profile_make(struct ctx *ctx, struct str name)
{
	struct reg_state *st = reg_state(ctx);
	struct reg_profile *p = st ? profile_find(st, name) : NULL;

	if (!st)
		return NULL;
	if (!p) {
		p = pool_zalloc(ctx->pool, sizeof(*p));
		if (!p)
			return NULL;
		p->name = name;
		p->next = st->profiles;
		st->profiles = p;
	}
	p->list = (struct ul_list){ 0 };
	return p;
}

struct fetch_run {
	struct ul_domain *domain;
	struct str aor, name;
};

static int fetch_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	const struct fetch_run *run = arg;
	struct reg_profile *p = profile_make(ctx, run->name);

	if (!p || err < 0 || list->n == 0)
		return -1;
	p->aor = run->aor;
	p->domain = reg.ul->domain_name(run->domain);
	p->list = *list;
	return 1;
}

int reg_fn_fetch(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct fetch_run *run = pool_alloc(ctx->pool, sizeof(*run));
	enum reg_error err = REG_OK;

	(void)n;
	if (!run || reg_aor(ctx, args[1].s, &run->aor, &err) < 0)
		return -1;
	run->domain = args[0].p;
	run->name = args[2].s;
	return reg_contacts(ctx, run->domain, run->aor, fetch_listed, run);
}

int reg_fn_free(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct reg_state *st = reg_state(ctx);
	struct reg_profile *p = st ? profile_find(st, args[0].s) : NULL;

	(void)n;
	if (p)
		p->list = (struct ul_list){ 0 };
	return 1;
}

/* ---- $ulc(profile=>attr) ---- */

enum ulc_attr {
	ULC_AOR, ULC_DOMAIN, ULC_AORHASH, ULC_ADDR, ULC_PATH, ULC_RECEIVED, ULC_EXPIRES, ULC_CALLID, ULC_Q, ULC_CSEQ, ULC_FLAGS,
	ULC_CFLAGS, ULC_USER_AGENT, ULC_SOCKET, ULC_MODIFIED, ULC_METHODS, ULC_COUNT, ULC_RUID, ULC_REGID, ULC_INSTANCE, ULC_CONID,
	ULC_SERVER_ID, ULC_N
};
static const char *const attr_names[ULC_N] = {
	[ULC_AOR] = "aor", [ULC_DOMAIN] = "domain", [ULC_AORHASH] = "aorhash", [ULC_ADDR] = "addr", [ULC_PATH] = "path",
	[ULC_RECEIVED] = "received", [ULC_EXPIRES] = "expires", [ULC_CALLID] = "callid", [ULC_Q] = "q", [ULC_CSEQ] = "cseq",
	[ULC_FLAGS] = "flags", [ULC_CFLAGS] = "cflags", [ULC_USER_AGENT] = "user_agent", [ULC_SOCKET] = "socket",
	[ULC_MODIFIED] = "modified", [ULC_METHODS] = "methods", [ULC_COUNT] = "count", [ULC_RUID] = "ruid", [ULC_REGID] = "regid",
	[ULC_INSTANCE] = "instance", [ULC_CONID] = "conid", [ULC_SERVER_ID] = "server_id",
};

struct ulc_ref {
	struct str profile;
	enum ulc_attr attr;
};

static int ulc_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	ptrdiff_t at = str_find(spec->inner, STR_LIT("=>"));
	struct ulc_ref *ref = pool_zalloc(pool, sizeof(*ref));
	struct str attr;

	if (!ref)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	if (at <= 0)
		return diag_set(reterr, 0, "$ulc(profile=>attribute) expected");
	ref->profile = str_trim(str_sub(spec->inner, 0, (size_t)at));
	attr = str_trim(str_sub(spec->inner, (size_t)at + 2, spec->inner.n));
	for (unsigned i = 0; i < ULC_N; i++) {
		if (str_eq(attr, str_lit(attr_names[i]))) {
			ref->attr = (enum ulc_attr)i;
			spec->data = ref;
			return 0;
		}
	}
	return diag_set(reterr, (size_t)at + 2, "unknown attribute \"%.*s\" of $ulc()", STR_FMT(attr));
}

static struct value text_or_null(struct str s)
{
	return s.n ? value_str(s) : value_null();
}

static struct value socket_value(const struct ul_contact *c)
{
	const struct net_listener *l = net_listener_at(c->listener);

	return text_or_null(!l ? c->socket : reg_conf.sock_mode ? l->adv_text : l->sock_text);
}

static struct value contact_value(const struct ul_contact *c, enum ulc_attr attr)
{
	switch (attr) {
	case ULC_ADDR:
		return value_str(c->uri);
	case ULC_PATH:
		return text_or_null(c->path);
	case ULC_RECEIVED:
		return text_or_null(c->received);
	case ULC_EXPIRES:
		return value_int(c->expires ? c->expires - clock_wall_s() : 0);
	case ULC_CALLID:
		return value_str(c->callid);
	case ULC_Q:
		return value_int(c->q);
	case ULC_CSEQ:
		return value_int(c->cseq);
	case ULC_FLAGS:
		return value_int(c->flags);
	case ULC_CFLAGS:
		return value_int(c->cflags);
	case ULC_USER_AGENT:
		return text_or_null(c->user_agent);
	case ULC_SOCKET:
		return socket_value(c);
	case ULC_MODIFIED:
		return value_int(c->modified);
	case ULC_METHODS:
		return value_int(c->methods);
	case ULC_RUID:
		return value_str(c->ruid);
	case ULC_REGID:
		return value_int(c->reg_id);
	case ULC_INSTANCE:
		return text_or_null(c->instance);
	case ULC_CONID:
		return value_int(c->conn_id ? (int64_t)c->conn_id : -1);
	case ULC_SERVER_ID:
		return value_int(c->server_id);
	default:
		return value_null();
	}
}

static int ulc_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct ulc_ref *ref = spec->data;
	struct reg_state *st = reg_state(ctx);
	const struct reg_profile *p = st ? profile_find(st, ref->profile) : NULL;
	int i = 0;

	*ret = value_null();
	if (!p || p->list.n == 0)
		return 0;
	if (spec->idx_kind != PV_IDX_NONE && pv_index(ctx, spec, &i) < 0)
		return -1;
	switch (ref->attr) {
	case ULC_AOR:
		*ret = value_str(p->aor);
		return 0;
	case ULC_DOMAIN:
		*ret = value_str(p->domain);
		return 0;
	case ULC_AORHASH:
		*ret = value_int(p->list.aor_hash);
		return 0;
	case ULC_COUNT:
		*ret = value_int(p->list.n);
		return 0;
	default:
		break;
	}
	if (i < 0)
		i += (int)p->list.n;
	if (i >= 0 && (unsigned)i < p->list.n)
		*ret = contact_value(&p->list.c[i], ref->attr);
	return 0;
}

const struct pv_def reg_pvs[] = {
	{ .name = "ulc", .get = ulc_get, .prepare = ulc_prepare, .flags = PV_INNER | PV_INDEX },
	{ .name = NULL },
};

/* ---- event_route[usrloc:contact-expired] ---- */

void reg_expired(struct ul_domain *d, struct str aor, const struct ul_contact *c)
{
	struct ul_list one = { .c = (struct ul_contact *)(uintptr_t)c, .n = 1 };
	const struct script *script = vm_script();
	struct str event = STR_LIT("usrloc:contact-expired");
	struct reg_profile *p;
	struct ctx *ctx;

	if (!script || script_route_find(script, CTX_EVENT, event) < 0)
		return;
	ctx = route_faked_ctx();
	if (!ctx)
		return;
	p = profile_make(ctx, STR_LIT("exp"));
	if (!p || reg_list_dup(ctx->pool, &one, &p->list) < 0 || !dup_into(ctx->pool, &aor)) {
		ctx_free(ctx);
		return;
	}
	p->aor = aor;
	p->domain = reg.ul->domain_name(d);
	if (route_event(event, ctx, NULL, NULL) == 0)
		ctx_free(ctx);
}
