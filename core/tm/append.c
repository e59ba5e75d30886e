/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Branches that are added to a transaction from outside: a phone that registers while its call is waiting. The targets travel as an event to
 * whoever holds the transaction, and are relayed to there as by t_relay(), in a context made from the stored request.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"

enum text { X_URI, X_DST, X_PATH, X_RUID, X_INSTANCE, X_N };

struct packed { /* one target; its texts follow */
	uint32_t bflags, vbflags, conn_id;
	int16_t q;
	uint16_t listener, len[X_N];
};

static void pack(struct strbuf *sb, const struct ctx_target *g)
{
	const struct str text[X_N] = { g->uri, g->dst_uri, g->path, g->ruid, g->instance };
	struct packed p = { .bflags = g->bflags, .vbflags = g->vbflags, .conn_id = g->conn_id, .q = g->q, .listener = g->listener };

	for (unsigned i = 0; i < X_N; i++)
		p.len[i] = text[i].n > UINT16_MAX ? 0 : (uint16_t)text[i].n; /* no message has one */
	strbuf_add(sb, str_of(&p, sizeof(p)));
	for (unsigned i = 0; i < X_N; i++)
		strbuf_add(sb, str_sub(text[i], 0, p.len[i]));
}

/* Takes one off rest, its texts copied. Returns 1; 0: there is none; -ENOMEM. */
static int unpack(struct pool *pool, struct str *rest, struct ctx_target *ret)
{
	struct str text[X_N];
	struct packed p;

	if (rest->n < sizeof(p))
		return 0;
	memcpy(&p, rest->s, sizeof(p));
	*rest = str_sub(*rest, sizeof(p), rest->n);
	for (unsigned i = 0; i < X_N; i++) {
		text[i] = str_dup(pool, str_sub(*rest, 0, p.len[i]));
		if (p.len[i] && !text[i].s)
			return -ENOMEM;
		*rest = str_sub(*rest, p.len[i], rest->n);
	}
	*ret = (struct ctx_target){ .uri = text[X_URI], .dst_uri = text[X_DST], .path = text[X_PATH], .ruid = text[X_RUID], .instance = text[X_INSTANCE],
		.bflags = p.bflags, .vbflags = p.vbflags, .conn_id = p.conn_id, .q = p.q, .listener = p.listener };
	return 1;
}

static bool has_branch(const struct tm_txn *t, const struct ctx_target *g)
{
	for (unsigned i = 0; i < t->n_branches; i++) {
		const struct tm_branch *b = tm_branch_at(t, i);

		if (!(b->flags & TM_B_BLIND) && str_eq(tm_branch_text(b, TM_X_URI), g->uri) && str_eq(tm_branch_text(b, TM_X_DST), g->dst_uri) &&
		    str_eq(tm_branch_text(b, TM_X_PATH), g->path))
			return true;
	}
	return false;
}

static void append_done(struct ctx *ctx, int rc)
{
	struct tm_txn *t = ctx->txn;

	if (rc < 0)
		log_error("t_cell_append_branches: nothing could be added to transaction %08x (internal code %d)", tm_hash_of(t), rc);
	tm_ctx_store(ctx, t);
	ctx->txn = NULL;
	ctx_free(ctx);
	tm_run_events(t);
}

enum tm_after tm_append_event(struct tm_txn *t, struct str packed)
{
	struct tm_relay_opts opts = { .flags = 1 | 2 }; /* no 100, and no answer when it fails: the others go on */
	const struct tm_branch *newest = tm_branch_at(t, t->n_branches - 1u);
	struct ctx *ctx = t->status < 200 && !t->canceled ? tm_txn_ctx(t) : NULL;
	struct ctx_target g;
	int more = 0;

	if (!ctx)
		return TM_MINE;
	while (ctx->n_branches < CTX_BRANCHES_MAX && (more = unpack(ctx->pool, &packed, &g)) > 0)
		if (!has_branch(t, &g))
			ctx->branch[ctx->n_branches++] = g;
	if (more < 0 || ctx->n_branches == 0) {
		if (more < 0)
			log_error("t_cell_append_branches: no memory");
		ctx_free(ctx);
		return TM_MINE;
	}
	if (newest) {
		ctx->on_branch = str_dup(ctx->pool, tm_branch_text(newest, TM_X_ON_BRANCH));
		ctx->on_reply = str_dup(ctx->pool, tm_branch_text(newest, TM_X_ON_REPLY));
		ctx->on_failure = str_dup(ctx->pool, tm_branch_text(newest, TM_X_ON_FAILURE));
		ctx->on_branch_failure = str_dup(ctx->pool, tm_branch_text(newest, TM_X_ON_BRANCH_FAILURE));
	}
	ctx->kind = CTX_REQUEST;
	ctx->mflags |= CTX_F_RURI_CONSUMED;
	ctx->txn = t;
	tm_relay_detached(ctx, &opts, append_done);
	return TM_MOVED;
}

static bool match_open(const struct tm_txn *t, const void *arg)
{
	const struct tm_name *k = arg;

	return !(t->flags & TM_T_LOCAL) && t->node.hash == k->index && (uint32_t)t->label == k->label && t->status < 200 && !t->canceled;
}

int tm_append(struct ctx *ctx, uint32_t index, uint32_t label)
{
	struct tm_name name = { .index = index, .label = label };
	struct tm_event *ev = NULL;
	struct tm_txn *t = NULL;
	enum tm_found found;
	struct strbuf sb;

	strbuf_init_pool(&sb, ctx->pool, 1 << 20);
	for (unsigned i = 0; i < ctx->n_branches; i++)
		pack(&sb, &ctx->branch[i]);
	if (sb.n && strbuf_err(&sb) == 0)
		ev = tm_event_new(TM_IN_APPEND, 0, strbuf_str(&sb), NULL);
	if (!ev)
		return -1;
	found = tm_find(index, match_open, &name, TM_TAKE_CLAIM, 0, ev, &t, NULL);
	if (found == TM_BUSY)
		return 1;
	if (found == TM_CLAIMED && tm_append_event(t, str_of(ev->bytes, ev->len)) == TM_MINE)
		tm_run_events(t);
	shm_free(ev);
	return found == TM_CLAIMED ? 1 : -1;
}
