/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an address of record to where its user is: lookup() and its relatives, registered(), unregister(). A contact becomes a
 * target: request URI, next hop (first Path URI, else the address it was received from), socket, flags and so on; the
 * others become branches. GRUUs (RFC 5627) name one contact.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/net/myself.h"
#include "core/transport/conn.h"
#include "modules/registrar/reg_priv.h"

struct lookup_run {
	struct ul_domain *domain;
	struct str uri, aor;
	struct str instance;     /* GRUU: only this one */
	struct str ruid;         /* temporary GRUU */
	bool to_dset;
	unsigned branch;         /* lookup_branches(): which is being looked up; 0 the Request-URI */
	unsigned n_branches;     /* as they were at the start */
	int rc;
};

static enum reg_error gruu_read(struct ctx *ctx, struct lookup_run *run)
{
	struct sip_param gr;
	struct sip_uri uri;
	enum reg_error err = REG_OK;

	if (reg_aor(ctx, run->uri, &run->aor, &err) < 0)
		return err;
	if (!reg_conf.gruu_enabled || sip_uri_parse(run->uri, &uri, NULL) < 0 ||
	    !sip_param_find(uri.params, STR_LIT("gr"), &gr))
		return REG_OK;
	if (gr.value.n)
		run->instance = gr.value;
	else
		run->ruid = uri.user;
	return REG_OK;
}

static bool instance_is(struct str have, struct str wanted)
{
	if (have.n > 2 && have.s[0] == '<' && have.s[have.n - 1] == '>')
		have = str_sub(have, 1, have.n - 2);
	return str_ieq(have, wanted);
}

/* May the request go there? *method_bad: a contact was left out for its methods. */
static bool contact_ok(struct ctx *ctx, const struct lookup_run *run, const struct ul_contact *c, bool *method_bad)
{
	const struct sip_addr *to = sip_msg_to(&ctx->msg);
	struct conn_info info;
	int64_t mask;

	if (run->instance.n && !instance_is(c->instance, run->instance))
		return false;
	if (reg_conf.lookup_filter_mode & 1 && reg_cfg_int(ctx, "rlf_bflags", &mask) && mask && !(c->cflags & (uint64_t)mask))
		return false;
	if (reg_conf.lookup_filter_mode & 2 && c->conn_id && conn_find(c->conn_id, &info) < 0)
		return false;
	if (reg_conf.method_filtering && ctx->msg.kind == SIP_REQUEST && !(to && to->tag.n) && !(c->methods & (uint32_t)ctx->msg.method)) {
		*method_bad = true;
		return false;
	}
	return true;
}

/* Next hop and Route set. */
static void target_path(struct ctx *ctx, const struct ul_contact *c, struct ctx_target *t)
{
	struct str path = c->path, rest;
	struct sip_addr first;
	struct sip_uri uri;

	t->path = STR_NULL;
	t->dst_uri = c->received;
	if (path.n == 0)
		return;
	rest = path;
	if (sip_addr_next(&rest, &first, NULL) != 1)
		return;
	if (reg_conf.path_check_local && sip_uri_parse(first.uri, &uri, NULL) == 0 && net_is_myself(uri.host, sip_uri_port(&uri), uri.proto)) {
		path = str_trim(rest);
		if (path.n && path.s[0] == ',')
			path = str_trim(str_sub(path, 1, path.n));
		rest = path;
		if (path.n == 0 || sip_addr_next(&rest, &first, NULL) != 1)
			return;
	}
	(void)ctx;
	t->path = path;
	t->dst_uri = first.uri;
}

static void target_set(struct ctx *ctx, const struct ul_contact *c, struct ctx_target *t)
{
	target_path(ctx, c, t);
	t->listener = c->listener;
	t->bflags |= c->cflags;
	t->q = c->q;
	t->conn_id = c->conn_id;
	t->ruid = c->ruid;
	t->instance = c->instance;
	t->user_agent = c->user_agent;
}

/* What save() packed with the contact (xavp_contact); n: its place in the destination set, 0 the Request-URI. */
static void xavps_restore(struct ctx *ctx, const struct ul_contact *c, unsigned n)
{
	struct avp_set set;

	if (c->xavps.n == 0 || avp_set_unpack(c->xavps, ctx->pool, &set) < 0 || !set.head[AVP_XAVP])
		return;
	ctx->avps.dirty = true;
	if (!avp_insert(&ctx->avps.head[AVP_XAVP], ctx->pool, set.head[AVP_XAVP], n))
		log_error("registrar: no memory for the attributes of %.*s", STR_FMT(c->uri));
}

/* What xavp_rcd wants to know. */
static void rcd_field(struct ctx *ctx, struct avp *root, const char *name, struct value v)
{
	if (!avp_push(&root->fields, ctx->pool, str_lit(name), &v))
		return;
	root->has_fields = true;
}

static void xavp_rcd(struct ctx *ctx, const struct ul_contact *c)
{
	struct value none = value_null();
	int mask = reg_conf.xavp_rcd_mask;
	struct avp *root;

	if (reg_conf.xavp_rcd.n == 0)
		return;
	root = avp_push(&ctx->avps.head[AVP_XAVP], ctx->pool, reg_conf.xavp_rcd, &none);
	if (!root)
		return;
	root->has_fields = true;
	ctx->avps.dirty = true;
	if (!(mask & 1))
		rcd_field(ctx, root, "ruid", value_str(c->ruid));
	if (!(mask & 2))
		rcd_field(ctx, root, "contact", value_str(c->uri));
	if (!(mask & 4))
		rcd_field(ctx, root, "expires", value_int(c->expires ? c->expires - clock_wall_s() : 0));
	if (!(mask & 8) && c->received.n)
		rcd_field(ctx, root, "received", value_str(c->received));
	if (!(mask & 16) && c->path.n)
		rcd_field(ctx, root, "path", value_str(c->path));
}

static bool branch_add(struct ctx *ctx, const struct ul_contact *c)
{
	if (route_branch_add(ctx, c->uri, c->q) < 0 || ctx->n_branches == 0)
		return false;
	/* flags of the first contact, and of the script, are not its own: it may not be behind a NAT */
	ctx->branch[ctx->n_branches - 1].bflags = 0;
	target_set(ctx, c, &ctx->branch[ctx->n_branches - 1]);
	return true;
}

/* The first goes into the Request-URI unless to_dset. Returns the script code. */
static int targets_apply(struct ctx *ctx, const struct lookup_run *run, const struct ul_list *list)
{
	bool method_bad = false, found = run->to_dset, any = false;
	const struct ul_contact *used[CTX_BRANCHES_MAX + 1];
	unsigned n_used = 0;

	for (unsigned i = 0; i < list->n; i++) {
		const struct ul_contact *c = &list->c[i];

		if (!contact_ok(ctx, run, c, &method_bad))
			continue;
		if (run->ruid.n && !str_starts(run->ruid, c->ruid))
			continue;
		any = true;
		if (!found) {
			if (route_ruri_set(ctx, RURI_ALL, c->uri, 0) < 0)
				return -3;
			target_set(ctx, c, &ctx->main);
			xavps_restore(ctx, c, 0);
			used[n_used++] = c;
			found = true;
			if (!reg_conf.append_branches)
				break;
			continue;
		}
		if (!branch_add(ctx, c))
			break; /* no room: the best ones are in */
		xavps_restore(ctx, c, ctx->n_branches);
		used[n_used++] = c;
		if (run->ruid.n || run->instance.n)
			break;
	}
	while (n_used > 0) /* the last that is pushed is index 0 */
		xavp_rcd(ctx, used[--n_used]);
	return any ? 1 : method_bad ? -2 : -1;
}

static int lookup_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	if (err == -ENOENT)
		return -1;
	return err < 0 ? -3 : targets_apply(ctx, arg, list);
}

static int temp_gruu_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	struct lookup_run *run = arg;

	if (err < 0)
		return err == -ENOENT ? -1 : -3;
	for (unsigned i = 0; i < list->n; i++) {
		struct ul_list one = { .c = &list->c[i], .n = 1 };

		if (str_eq(list->c[i].ruid, run->ruid))
			return lookup_listed(ctx, run, 0, &one);
	}
	return -1;
}

/* sip:RUID-HASH@host;gr : the contact itself, whatever the AoR. */
static int lookup_temp_gruu(struct ctx *ctx, struct lookup_run *run)
{
	ptrdiff_t at = str_rfind_char(run->ruid, '-');
	struct ul_list list = { 0 };
	uint64_t hash;

	if (at <= 0 || num_hex_u64(str_sub(run->ruid, (size_t)at + 1, run->ruid.n), &hash) < 0 || hash > UINT32_MAX)
		return -1;
	run->ruid = str_sub(run->ruid, 0, (size_t)at);
	if (reg.ul->db_mode() != 3 && reg.ul->get_ruid(run->domain, (uint32_t)hash, run->ruid, reg_which(), ctx->pool, &run->aor, &list) == 0)
		return temp_gruu_listed(ctx, run, 0, &list);
	/* it may be in the database: memory's hashes are others since the start */
	if (reg.ul->db_mode() == 0)
		return -1;
	return reg_contacts_of_ruid(ctx, run->domain, run->ruid, &run->aor, temp_gruu_listed, run);
}

static int lookup(struct ctx *ctx, const union script_arg *args, unsigned n, bool to_dset)
{
	struct lookup_run *run = pool_zalloc(ctx->pool, sizeof(*run));

	if (!run)
		return -3;
	run->domain = args[0].p;
	run->to_dset = to_dset;
	run->uri = n > 1 && args[1].s.n ? args[1].s : ctx_ruri(ctx);
	if (gruu_read(ctx, run))
		return -3;
	return run->ruid.n ? lookup_temp_gruu(ctx, run) : reg_contacts(ctx, run->domain, run->aor, lookup_listed, run);
}

int reg_fn_lookup(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	return lookup(ctx, args, n, false);
}

int reg_fn_lookup_to_dset(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	return lookup(ctx, args, n, true);
}

/* ---- lookup_branches(): the Request-URI, then each branch that has no contact attributes yet ---- */

static int branches_next(struct ctx *ctx, struct lookup_run *run);

static void branch_apply(struct ctx *ctx, struct lookup_run *run, const struct ul_list *list)
{
	struct ctx_target *t = &ctx->branch[run->branch - 1];
	bool method_bad = false, first = true;

	for (unsigned i = 0; i < list->n; i++) {
		if (!contact_ok(ctx, run, &list->c[i], &method_bad))
			continue;
		if (first) {
			t->uri = list->c[i].uri;
			target_set(ctx, &list->c[i], t);
			first = false;
		} else if (!reg_conf.append_branches || !branch_add(ctx, &list->c[i])) {
			break;
		}
		run->rc = 1;
	}
}

static int branches_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	struct lookup_run *run = arg;

	if (run->branch == 0) {
		int rc = lookup_listed(ctx, run, err, list);

		run->rc = rc > 0 || run->rc > 0 ? 1 : rc;
	} else if (err == 0) {
		branch_apply(ctx, run, list);
	}
	run->branch++;
	return branches_next(ctx, run);
}

static int branches_next(struct ctx *ctx, struct lookup_run *run)
{
	/* With lists in memory this recurses, at most CTX_BRANCHES_MAX deep. */
	while (run->branch <= run->n_branches) {
		const struct ctx_target *t = run->branch ? &ctx->branch[run->branch - 1] : NULL;
		enum reg_error err = REG_OK;

		run->uri = t ? t->uri : ctx_ruri(ctx);
		if ((!t || (t->dst_uri.n == 0 && t->path.n == 0)) && reg_aor(ctx, run->uri, &run->aor, &err) == 0)
			return reg_contacts(ctx, run->domain, run->aor, branches_listed, run);
		run->branch++;
	}
	return run->rc;
}

int reg_fn_lookup_branches(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct lookup_run *run = pool_zalloc(ctx->pool, sizeof(*run));

	(void)n;
	if (!run)
		return -3;
	run->domain = args[0].p;
	run->n_branches = ctx->n_branches;
	run->rc = -1;
	return branches_next(ctx, run);
}

/* ---- registered() ---- */

struct registered_run {
	struct str callid, received, contact;
	int64_t match, action;
};

static int registered_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	const struct registered_run *run = arg;

	for (unsigned i = 0; err == 0 && i < list->n; i++) {
		const struct ul_contact *c = &list->c[i];

		if ((run->match & 1 && !str_eq(c->callid, run->callid)) || (run->match & 2 && !str_eq(c->received, run->received)) ||
		    (run->match & 4 && !str_eq(c->uri, run->contact)))
			continue;
		if (run->action & 1)
			xavps_restore(ctx, c, 0);
		if (!(run->action & 2))
			xavp_rcd(ctx, c);
		return 1;
	}
	return -1;
}

int reg_fn_registered(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct registered_run *run = pool_zalloc(ctx->pool, sizeof(*run));
	const struct sip_addr *to = sip_msg_to(&ctx->msg);
	struct str uri = n > 1 ? args[1].s : STR_NULL, aor;
	enum reg_error err = REG_OK;

	if (!run)
		return -1;
	if (uri.n == 0)
		uri = ctx->msg.kind == SIP_REQUEST ? ctx_ruri(ctx) : to ? to->uri : STR_NULL;
	run->match = n > 2 ? args[2].i : 0;
	run->action = n > 3 ? args[3].i : 0;
	/* what the script left unset is not compared */
	run->match &= (reg_cfg_str(ctx, "match_callid", &run->callid) ? 1 : 0) | (reg_cfg_str(ctx, "match_received", &run->received) ? 2 : 0) |
		      (reg_cfg_str(ctx, "match_contact", &run->contact) ? 4 : 0);
	if (reg_aor(ctx, uri, &aor, &err) < 0)
		return -1;
	return reg_contacts(ctx, args[0].p, aor, registered_listed, run);
}

/* ---- unregister() ---- */

struct unregister_run {
	struct ul_domain *domain;
	struct str aor, ruid;
	struct ul_change changes[UL_CHANGES_MAX];
	struct ul_save save;
};

static void unregistered(void *arg, int err)
{
	ctx_wake((uint64_t)(uintptr_t)arg, err < 0 ? -2 : 1);
}

/* db_mode 1: what the database did not take has not happened. */
static void unregistered_through(void *arg, int err)
{
	struct ctx *ctx = ctx_of_ticket((uint64_t)(uintptr_t)arg);
	struct reg_state *st = ctx ? reg_state(ctx) : NULL;

	if (st && err < 0) {
		const struct unregister_run *run = st->run;

		reg.ul->undo(run->domain, run->aor, &run->save);
	}
	unregistered(arg, err);
}

/* db_mode 3: what is to be removed is named, all of it or by ruid. */
static int unregister_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	struct unregister_run *run = arg;
	struct ul_list one = *list;

	if (err < 0 && err != -ENOENT)
		return -2;
	if (run->ruid.n) {
		one.n = 0;
		for (unsigned i = 0; i < list->n; i++)
			if (str_eq(list->c[i].ruid, run->ruid))
				one = (struct ul_list){ .c = &list->c[i], .n = 1 };
		if (one.n == 0)
			return -3;
	}
	run->save = (struct ul_save){ .changes = run->changes, .flags = UL_SAVE_REMOVE_ALL, .matching_mode = -1, .pool = ctx->pool };
	if (reg.ul->plan_db(run->domain, run->aor, &one, &run->save) < 0)
		return -2;
	reg.ul->save_db(run->domain, run->aor, &run->save, (unsigned)reg_conf.db_deadline_ms, unregistered,
			(void *)(uintptr_t)((uint64_t)ctx->gen << 32 | ctx->id));
	return SCRIPT_SUSPEND;
}

static int unregister_now(struct ctx *ctx, struct unregister_run *run)
{
	bool through = reg.ul->db_mode() == 1;
	struct reg_state *st = reg_state(ctx);
	uint64_t ticket;
	int err = -ENOMEM;

	run->save.pool = ctx->pool;
	if (st)
		err = reg.ul->remove(run->domain, run->aor, run->ruid, through ? &run->save : NULL);

	if (err == -ENOENT && run->ruid.n)
		return -3;
	if (err < 0 && err != -ENOENT)
		return -2;
	if (!through)
		return 1;
	/* behind a fetch the wait goes on under the same ticket */
	ticket = ctx->parked ? (uint64_t)ctx->gen << 32 | ctx->id : ctx_park(ctx, (unsigned)reg_conf.db_deadline_ms + 1000, -2);
	if (!ticket) { /* no memory to wait with */
		reg.ul->undo(run->domain, run->aor, &run->save);
		return -2;
	}
	st->run = run;
	reg.ul->sync(run->domain, run->aor, (unsigned)reg_conf.db_deadline_ms, unregistered_through, (void *)(uintptr_t)ticket);
	return SCRIPT_SUSPEND;
}

/* The tables are being loaded: the AoR was brought in. */
static int unregister_brought(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	(void)list;
	return err < 0 && err != -ENOENT ? -2 : unregister_now(ctx, arg);
}

int reg_fn_unregister(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct unregister_run *run = pool_zalloc(ctx->pool, sizeof(*run));
	enum reg_error error = REG_OK;

	if (!run)
		return -2;
	run->domain = args[0].p;
	run->ruid = n > 2 ? args[2].s : STR_NULL;
	if (args[1].s.n == 0 && run->ruid.n && reg.ul->db_mode() != 3) /* only the database knows whose it is */
		return -2;
	if (args[1].s.n == 0 && run->ruid.n)
		return reg_contacts_of_ruid(ctx, run->domain, run->ruid, &run->aor, unregister_listed, run);
	if (reg_aor(ctx, args[1].s, &run->aor, &error) < 0)
		return -1;
	if (reg.ul->db_mode() == 3)
		return reg_contacts(ctx, run->domain, run->aor, unregister_listed, run);
	if (reg.ul->loading(run->domain))
		return reg_contacts(ctx, run->domain, run->aor, unregister_brought, run);
	return unregister_now(ctx, run);
}

/* ---- the rest ---- */

struct from_run {
	int64_t mode;
};

static bool contact_from(struct ctx *ctx, const struct ul_contact *c, int64_t mode)
{
	struct net_addr addr;
	struct sip_uri uri;

	if (sip_uri_parse(c->received.n ? c->received : c->uri, &uri, NULL) < 0 || net_addr_parse(uri.host, sip_uri_port(&uri), &addr) < 0)
		return false;
	if (!net_addr_ip_equal(&addr, &ctx->rx.src) || (mode & 1 && addr.port != ctx->rx.src.port))
		return false;
	return !(mode & 2) || (uri.proto ? uri.proto : SIP_PROTO_UDP) == ctx->rx.proto;
}

static int from_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	const struct from_run *run = arg;

	for (unsigned i = 0; err == 0 && i < list->n; i++)
		if (contact_from(ctx, &list->c[i], run->mode))
			return 1;
	return -1;
}

int reg_fn_from_user(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct from_run *run = pool_alloc(ctx->pool, sizeof(*run));
	enum reg_error err = REG_OK;
	struct str aor;

	(void)n;
	if (!run || reg_aor(ctx, args[1].s, &aor, &err) < 0)
		return -1;
	run->mode = args[2].i;
	return reg_contacts(ctx, args[0].p, aor, from_listed, run);
}

struct xavp_run {
	struct str aor, rx, cx;
};

static bool field_add(struct ctx *ctx, struct avp *root, const char *name, struct str s)
{
	struct value v = value_str(s);

	root->has_fields = true;
	return s.n == 0 || avp_push(&root->fields, ctx->pool, str_lit(name), &v);
}

static int xavp_listed(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	const struct xavp_run *run = arg;
	struct value none = value_null(), count = value_int(list->n);
	struct avp *root;

	if (err < 0)
		return -1;
	ctx->avps.dirty = true;
	for (unsigned i = list->n; i > 0; i--) { /* the newest node is index 0 */
		const struct ul_contact *c = &list->c[i - 1];
		const struct net_listener *l = net_listener_at(c->listener);
		struct ctx_target t = { 0 };

		root = avp_push(&ctx->avps.head[AVP_XAVP], ctx->pool, run->cx, &none);
		target_path(ctx, c, &t);
		if (!root || !field_add(ctx, root, "uri", c->uri) || !field_add(ctx, root, "socket", l ? l->sock_text : STR_NULL) ||
		    !field_add(ctx, root, "dsturi", t.dst_uri))
			return -1;
	}
	root = avp_push(&ctx->avps.head[AVP_XAVP], ctx->pool, run->rx, &none);
	return root && field_add(ctx, root, "aor", run->aor) && avp_push(&root->fields, ctx->pool, STR_LIT("count"), &count) ? 1 : -1;
}

int reg_fn_lookup_xavp(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct xavp_run *run = pool_alloc(ctx->pool, sizeof(*run));
	enum reg_error err = REG_OK;

	(void)n;
	if (!run || args[2].s.n == 0 || args[3].s.n == 0 || reg_aor(ctx, args[1].s, &run->aor, &err) < 0)
		return -1;
	run->rx = args[2].s;
	run->cx = args[3].s;
	return reg_contacts(ctx, args[0].p, run->aor, xavp_listed, run);
}

int reg_fn_add_sock_hdr(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	const struct net_listener *l = net_listener_at(ctx->rx.listener);
	struct strbuf sb;

	(void)n;
	if (!l || args[0].s.n == 0)
		return -1;
	strbuf_init_pool(&sb, ctx->pool, 512);
	strbuf_add(&sb, args[0].s);
	strbuf_add_lit(&sb, ": ");
	strbuf_add(&sb, l->sock_text);
	strbuf_add_lit(&sb, "\r\n");
	if (strbuf_err(&sb) < 0 || sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, strbuf_str(&sb), SIP_EDIT_SCRIPT) < 0)
		return -1;
	return 1;
}
