/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serial forking by q: t_load_contacts() puts the destination set aside, sorted, as XAVPs; each t_next_contacts() takes the best
 * ones left (all of one q) and makes them the destination set again. XAVPs travel with the transaction, so a failure route
 * goes on where the request route stopped. Of contacts of one instance (RFC 5626: flows to one phone) only the best is tried; the others are put
 * aside under another name, for t_next_contact_flow() when that one fails.
 */
#include "modules/tm/tm_contacts.h"

#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/tm/tm.h"

struct tm_contacts_conf tm_contacts_conf;

/* Takes the best one left, of equal ones the last; in proportional mode one by chance, the higher its q the likelier. */
static unsigned pick(const struct ctx_target *set, const bool *gone, unsigned n, bool proportional)
{
	unsigned best = n, sum = 0, at;

	for (unsigned i = 0; i < n; i++) {
		if (gone[i])
			continue;
		sum += (unsigned)(set[i].q > 0 ? set[i].q : 0) + 1;
		if (best == n || set[i].q >= set[best].q)
			best = i;
	}
	if (!proportional)
		return best;
	at = rng_below(sum);
	for (unsigned i = 0; i < n; i++) {
		unsigned weight = (unsigned)(set[i].q > 0 ? set[i].q : 0) + 1;

		if (gone[i])
			continue;
		if (at < weight)
			return i;
		at -= weight;
	}
	return best;
}

static bool put_str(struct ctx *ctx, struct avp *root, const char *name, struct str s)
{
	struct value v = value_str(s);

	return s.n == 0 || avp_push(&root->fields, ctx->pool, str_lit(name), &v);
}

static bool put_int(struct ctx *ctx, struct avp *root, const char *name, int64_t i)
{
	struct value v = value_int(i);

	return avp_push(&root->fields, ctx->pool, str_lit(name), &v) != NULL;
}

/* The attributes of the n-th of the destination set (xavp_contact) move into the XAVP that keeps it, a field named as they are. */
static void take_attributes(struct ctx *ctx, struct avp *taken[], unsigned n)
{
	struct str name = tm_contacts_conf.xavp_contact;
	struct avp **list = &ctx->avps.head[AVP_XAVP], *a;

	for (unsigned i = 0; name.n && i < n && (a = avp_find(*list, name, 0, false)); i++)
		if (avp_remove(list, a))
			taken[i] = a;
}

/* ... and back: of the n-th that is tried now. */
static void give_attributes(struct ctx *ctx, struct avp *root, unsigned n)
{
	struct str name = tm_contacts_conf.xavp_contact;
	struct avp *a = name.n ? avp_find(root->fields, name, 0, false) : NULL;

	if (a && avp_remove(&root->fields, a) && !avp_insert(&ctx->avps.head[AVP_XAVP], ctx->pool, a, n))
		log_error("no memory for the attributes of a contact");
}

/* attributes: NULL: none. last: of those that are tried together. */
static bool put_aside(struct ctx *ctx, struct str under, const struct ctx_target *t, struct avp *attributes, bool last)
{
	struct value none = value_null();
	struct avp *root = avp_push(&ctx->avps.head[AVP_XAVP], ctx->pool, under, &none);

	if (!root)
		return false;
	root->has_fields = true;
	root->fields = attributes;
	ctx->avps.dirty = true;
	return put_str(ctx, root, "uri", t->uri.n ? t->uri : ctx->msg.ruri) && put_str(ctx, root, "dst_uri", t->dst_uri) &&
	       put_str(ctx, root, "path", t->path) && put_str(ctx, root, "ruid", t->ruid) && put_str(ctx, root, "instance", t->instance) &&
	       put_int(ctx, root, "sock", t->listener) && put_int(ctx, root, "conn", t->conn_id) && put_int(ctx, root, "flags", t->bflags) &&
	       put_int(ctx, root, "q", t->q) && put_int(ctx, root, "q_flag", last);
}

/* Moves to the end of order those whose phone has a better flow before them. Returns how many stay. */
static unsigned part_flows(const struct ctx_target *set, unsigned *order, unsigned n)
{
	unsigned moved[CTX_BRANCHES_MAX + 1], n_moved = 0, keep = 0;

	for (unsigned i = 0; i < n; i++) {
		struct str instance = set[order[i]].instance;
		bool known = false;

		for (unsigned k = 0; instance.n && k < keep && !known; k++)
			known = str_eq(set[order[k]].instance, instance);
		if (known)
			moved[n_moved++] = order[i];
		else
			order[keep++] = order[i];
	}
	for (unsigned i = 0; i < n_moved; i++)
		order[keep + i] = moved[i];
	return keep;
}

int tm_load_contacts(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct ctx_target set[CTX_BRANCHES_MAX + 1];
	bool gone[CTX_BRANCHES_MAX + 1] = { false };
	struct avp *attributes[CTX_BRANCHES_MAX + 1] = { NULL }; /* of the Request-URI, then of the branches */
	unsigned order[CTX_BRANCHES_MAX + 1], k = 0, keep, without = (ctx->mflags & CTX_F_RURI_CONSUMED) != 0;
	bool proportional = n > 0 && a[0].i == 1;

	if (tm_contacts_conf.contacts_avp.n == 0) {
		log_error("t_load_contacts: contacts_avp is not set");
		return -1;
	}
	if (n > 0 && a[0].i != 0 && a[0].i != 1)
		return -1;
	if (ctx->n_branches == 0)
		return 1;
	if (!without)
		set[k++] = ctx->main;
	for (unsigned i = 0; i < ctx->n_branches; i++)
		set[k++] = ctx->branch[i];
	for (unsigned i = 0; i < k; i++) {
		order[i] = pick(set, gone, k, proportional);
		gone[order[i]] = true;
	}
	keep = part_flows(set, order, k);
	take_attributes(ctx, attributes, k + without);
	/* The newest XAVP comes first: the last one goes in first. */
	for (unsigned i = k; i-- > 0;) {
		bool flow = i >= keep, last = flow || proportional || i + 1 == keep || set[order[i]].q != set[order[i + 1]].q;

		if (!put_aside(ctx, flow ? tm_contacts_conf.contact_flows_avp : tm_contacts_conf.contacts_avp, &set[order[i]], attributes[order[i] + without], last))
			return -1;
	}
	ctx->n_branches = 0;
	return 1;
}

static struct str field_str(const struct avp *root, const char *name)
{
	const struct avp *f = avp_find(root->fields, str_lit(name), 0, false);

	return f && f->value.kind == VALUE_STR ? f->value.s : STR_NULL;
}

static int64_t field_int(const struct avp *root, const char *name)
{
	const struct avp *f = avp_find(root->fields, str_lit(name), 0, false);

	return f && f->value.kind == VALUE_INT ? f->value.i : 0;
}

static struct ctx_target target_of(const struct avp *root)
{
	return (struct ctx_target){ .uri = field_str(root, "uri"), .dst_uri = field_str(root, "dst_uri"), .path = field_str(root, "path"),
		.ruid = field_str(root, "ruid"), .instance = field_str(root, "instance"), .bflags = (uint32_t)field_int(root, "flags"),
		.listener = (uint16_t)field_int(root, "sock"), .conn_id = (uint32_t)field_int(root, "conn"), .q = (int16_t)field_int(root, "q") };
}

static void destination(struct ctx *ctx, const struct ctx_target *t)
{
	ctx->main = *t;
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	ctx->n_branches = 0;
}

int tm_next_contacts(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct avp **list = &ctx->avps.head[AVP_XAVP], *root;
	unsigned taken = 0;
	bool last = false;

	(void)a, (void)n; /* takes none */
	if (tm_contacts_conf.contacts_avp.n == 0) {
		log_error("t_next_contacts: contacts_avp is not set");
		return -1;
	}
	while (!last && taken <= CTX_BRANCHES_MAX && (root = avp_find(*list, tm_contacts_conf.contacts_avp, 0, false))) {
		struct ctx_target t = target_of(root);

		last = field_int(root, "q_flag") != 0;
		if (!avp_remove(list, root))
			return -1;
		ctx->avps.dirty = true;
		give_attributes(ctx, root, taken);
		if (taken++ == 0)
			destination(ctx, &t);
		else
			ctx->branch[ctx->n_branches++] = t;
	}
	return taken ? 1 : -2;
}

int tm_next_contact_flow(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct avp **list = &ctx->avps.head[AVP_XAVP], *root;
	struct tm_branch_info failed;

	(void)a, (void)n; /* takes none */
	if (tm_contacts_conf.contact_flows_avp.n == 0) {
		log_error("t_next_contact_flow: contact_flows_avp is not set");
		return -1;
	}
	/* In event_route[tm:branch-failure:...] the branch that failed says which phone it is. */
	if (tm_branch_info(ctx, ctx->txn_branch, &failed) < 0)
		return -1;
	for (unsigned i = 0; (root = avp_find(*list, tm_contacts_conf.contact_flows_avp, (int)i, false)); i++) {
		struct ctx_target t = target_of(root);

		if (t.instance.n == 0 || !str_eq(t.instance, failed.instance))
			continue;
		if (!avp_remove(list, root))
			return -1;
		ctx->avps.dirty = true;
		give_attributes(ctx, root, 0);
		destination(ctx, &t);
		return 1;
	}
	return -2;
}
