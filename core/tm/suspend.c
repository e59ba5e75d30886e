/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions that wait for something outside: t_suspend() leaves a branch that nothing is sent for. It keeps the transaction from
 * being concluded and carries its timer, so what happens when nobody continues (failure route, 408), after a CANCEL, or after
 * the death of the worker is what happens to any branch. t_continue() closes it and runs a route with the request.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/tm/tm_priv.h"

static struct tm_branch *blind_open(const struct tm_txn *t)
{
	for (unsigned i = t->n_branches; i-- > 0;) {
		struct tm_branch *b = tm_branch_at(t, i);

		if ((b->flags & (TM_B_BLIND | TM_B_UNSENT)) == TM_B_BLIND && !tm_branch_final(b))
			return b;
	}
	return NULL;
}

bool tm_is_suspended(const struct tm_txn *t)
{
	for (unsigned i = 0; i < t->n_branches; i++) {
		const struct tm_branch *b = tm_branch_at(t, i);

		if (!(b->flags & TM_B_BLIND) && !tm_branch_final(b))
			return false;
	}
	return blind_open(t) != NULL;
}

void tm_suspend_end(struct tm_txn *t)
{
	struct tm_branch *b = blind_open(t);

	if (!b)
		return;
	b->flags |= TM_B_SUPERSEDED; /* first: it never wins */
	CRASH_POINT("tm.suspend.end");
	b->state = TM_S_COMPLETED;
	b->fr_at = 0;
}

int tm_suspend(struct ctx *ctx)
{
	struct tm_txn *t;
	int rc;

	if (ctx->msg.kind != SIP_REQUEST || (ctx->mflags & CTX_F_FAKED))
		return -1;
	if (!ctx->txn && (rc = tm_newtran(ctx)) <= 0)
		return rc < 0 ? -1 : 0; /* 0: a retransmission */
	t = ctx->txn;
	if (!t || t->status >= 200) /* an ACK makes none */
		return -1;
	if (t->canceled)
		return 1; /* its 487 follows when the route ends */
	tm_uas_trying(ctx, t);
	if (ctx->fr_ms)
		t->fr_ms = ctx->fr_ms;
	if (ctx->fr_inv_ms)
		t->fr_inv_ms = ctx->fr_inv_ms;
	if (ctx->kind == CTX_FAILURE && tm_conf.failure_reply_mode != 0)
		t->leg_first = t->n_branches;
	tm_edits_keep(ctx, t);
	rc = tm_branch_add_blind(ctx, t, &ctx->main);
	if (rc < 0) {
		log_error("t_suspend: %s", rc == -12 ? "too many branches" : "no memory");
		return -1;
	}
	ctx->on_failure = ctx->on_reply = STR_NULL;
	return 1;
}

/* ---- going on ---- */

enum tm_after tm_continue_event(struct tm_txn *t, struct str route)
{
	struct tm_branch *b = blind_open(t);
	struct ctx *ctx;

	if (!b || t->status >= 200)
		return TM_MINE;
	ctx = tm_failure_ctx(t, t->n_branches - 1u);
	if (!ctx) {
		log_error("no context to continue transaction %08x: its timer ends it", tm_hash_of(t));
		return TM_MINE;
	}
	ctx->main.uri = str_dup(ctx->pool, tm_branch_text(b, TM_X_URI));
	ctx->main.dst_uri = str_dup(ctx->pool, tm_branch_text(b, TM_X_DST));
	ctx->main.path = str_dup(ctx->pool, tm_branch_text(b, TM_X_PATH));
	ctx->main.ruid = str_dup(ctx->pool, tm_branch_text(b, TM_X_RUID));
	ctx->main.instance = str_dup(ctx->pool, tm_branch_text(b, TM_X_INSTANCE));
	ctx->main.bflags = b->bflags;
	ctx->on_failure = str_dup(ctx->pool, tm_branch_text(b, TM_X_ON_FAILURE));
	ctx->on_reply = str_dup(ctx->pool, tm_branch_text(b, TM_X_ON_REPLY));
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	ctx->finished = tm_failure_done;
	tm_suspend_end(t);
	if (tm_self.hooks->run_continued(ctx, route) == 0)
		return TM_MOVED;
	log_error("there is no route[%.*s] to continue in", STR_FMT(route)); /* the script was reloaded meanwhile */
	tm_failure_done(ctx, 0);
	return TM_MOVED;
}

static bool match_index(const struct tm_txn *t, const void *arg)
{
	const struct tm_name *k = arg;

	return t->node.hash == k->index && (uint32_t)t->label == k->label && blind_open(t);
}

int tm_continue(uint32_t index, uint32_t label, struct str route)
{
	struct tm_name name = { .index = index, .label = label };
	struct tm_event *ev;
	struct tm_txn *t = NULL;
	enum tm_found found;

	if (!tm_self.hooks->has_route(CTX_REQUEST, route))
		return -1;
	ev = tm_event_new(TM_IN_CONTINUE, 0, route, NULL);
	if (!ev)
		return -1;
	found = tm_find(index, match_index, &name, TM_TAKE_CLAIM, 0, ev, &t, NULL);
	if (found == TM_BUSY) /* perhaps by the very run that asks: its holder goes on with it */
		return 1;
	if (found == TM_CLAIMED && tm_continue_event(t, route) == TM_MINE)
		tm_run_events(t);
	shm_free(ev);
	return found == TM_CLAIMED ? 1 : -1;
}
