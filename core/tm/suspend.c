/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions that wait for something outside: t_suspend() leaves a branch that nothing is sent for. It keeps the transaction from
 * being concluded and carries its timer, so what happens when nobody continues (failure route, 408), after a CANCEL, or after
 * the death of the worker is what happens to any branch. t_continue() closes it and runs a route with the request.
 *
 * A reply is put aside instead: an event like those of the inbox, in a list that the claim's holder alone changes. Its branch is as it was
 * before, so its timers run, and until the reply goes on it is not acknowledged and its sender repeats it to whoever takes over
 * from a worker that dies. What comes for a branch of which a reply waits is put behind it: a caller sees 180 and 200 in their order.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
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

/* ---- replies put aside ---- */

static bool aside_put(struct tm_txn *t, struct ctx *ctx, unsigned branch, enum tm_aside how)
{
	shm_ref *at = &t->aside;
	struct str bytes = ctx->msg.buf;
	struct tm_event *ev = NULL;
	unsigned n = 0;

	for (; *at != SHM_NONE; at = &((struct tm_event *)shm_ptr(*at))->next)
		n++;
	if (n < TM_ASIDE_MAX && ((!ctx->edits.head && !ctx->edits.body_replaced) ||
				sip_build_edited(ctx->pool, &ctx->msg, &ctx->edits, STR_NULL, &bytes) == 0))
		ev = tm_event_new(TM_IN_REPLY, (uint8_t)branch, bytes, &ctx->rx);
	if (!ev)
		return false;
	ev->flag = (uint16_t)how;
	*at = shm_ref_of(ev);
	CRASH_POINT("tm.aside.linked");
	shm_publish(ev);
	return true;
}

static void aside_take(struct tm_txn *t, struct tm_event *ev)
{
	shm_ref *at = &t->aside;

	while (*at != shm_ref_of(ev))
		at = &((struct tm_event *)shm_ptr(*at))->next;
	shm_retire(ev);
	CRASH_POINT("tm.aside.retired");
	*at = ev->next;
	CRASH_POINT("tm.aside.unlinked");
	shm_free(ev);
}

/* The oldest; branch TM_BRANCHES_MAX: of any. */
static struct tm_event *aside_find(const struct tm_txn *t, unsigned branch, enum tm_aside how)
{
	struct tm_event *ev = shm_ptr(t->aside);

	while (ev && (ev->flag != how || (branch < TM_BRANCHES_MAX && ev->branch != branch)))
		ev = shm_ptr(ev->next);
	return ev;
}

bool tm_aside_waits(const struct tm_txn *t, unsigned branch)
{
	return aside_find(t, branch, TM_ASIDE_SUSPENDED) != NULL;
}

static bool is_final_there(const struct tm_txn *t, unsigned branch, uint16_t status)
{
	char code[NUM_DEC_MAX];
	size_t n = num_dec(status, code);

	for (const struct tm_event *ev = shm_ptr(t->aside); status >= 200 && ev; ev = shm_ptr(ev->next))
		if (ev->branch == branch && ev->len > 8 + n && memcmp(ev->bytes + 8, code, n) == 0) /* "SIP/2.0 200 ..." */
			return true;
	return false;
}

void tm_aside_behind(struct ctx *ctx, struct tm_txn *t, unsigned branch)
{
	if (is_final_there(t, branch, ctx->msg.status))
		tm_stat(TM_ST_RPL_RECEIVED, 1); /* its sender repeats it until it goes on */
	else if (!aside_put(t, ctx, branch, TM_ASIDE_BEHIND))
		log_error("reply %u of transaction %08x cannot be put behind the one that waits: as if it had been lost", ctx->msg.status, tm_hash_of(t));
}

enum tm_after tm_aside_follow(struct tm_txn *t, unsigned branch)
{
	struct tm_event *ev;

	while (!tm_aside_waits(t, branch) && (ev = aside_find(t, branch, TM_ASIDE_BEHIND)) != NULL) {
		struct ctx *ctx = ctx_from_bytes(str_of(ev->bytes, ev->len), &ev->rx);

		aside_take(t, ev);
		if (!ctx)
			continue; /* at the limit: the peer repeats it */
		ctx->txn = t;
		ctx->txn_branch = (uint8_t)branch;
		if (tm_reply_event(ctx, t, branch) == TM_MOVED)
			return TM_MOVED;
	}
	return TM_MINE;
}

void tm_aside_drop(struct tm_txn *t, unsigned branch)
{
	for (struct tm_event *ev = shm_ptr(t->aside), *next; ev; ev = next) {
		next = shm_ptr(ev->next);
		if (ev->branch == branch)
			aside_take(t, ev);
	}
}

static int suspend_reply(struct ctx *ctx)
{
	if (ctx->kind != CTX_TM_REPLY || !ctx->txn)
		return -1;
	if (ctx->mflags & CTX_F_SUSPENDED)
		return 1;
	if (!aside_put(ctx->txn, ctx, ctx->txn_branch, TM_ASIDE_SUSPENDED)) {
		log_error("t_suspend: reply %u of transaction %08x cannot wait: no memory, or %u wait already", ctx->msg.status, tm_hash_of(ctx->txn), TM_ASIDE_MAX);
		return -1;
	}
	ctx->mflags |= CTX_F_SUSPENDED;
	return 1;
}

static enum tm_after continue_reply(struct tm_txn *t, struct tm_event *ev, struct str route)
{
	struct ctx *ctx = ctx_from_bytes(str_of(ev->bytes, ev->len), &ev->rx);
	unsigned branch = ev->branch;

	if (!ctx) {
		log_error("no context to continue a reply of transaction %08x: its timer ends it", tm_hash_of(t));
		return TM_MINE;
	}
	aside_take(t, ev);
	ctx->txn = t;
	ctx->txn_branch = (uint8_t)branch;
	return tm_reply_continue(ctx, t, branch, route);
}

/* ---- requests ---- */

int tm_suspend(struct ctx *ctx)
{
	struct tm_txn *t;
	int rc;

	if (ctx->msg.kind == SIP_REPLY)
		return suspend_reply(ctx);
	if ((ctx->kind & (CTX_BRANCH | CTX_ONSEND)) || (ctx->mflags & CTX_F_FAKED))
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
	struct tm_event *reply = aside_find(t, TM_BRANCHES_MAX, TM_ASIDE_SUSPENDED);
	struct tm_branch *b = blind_open(t);
	struct ctx *ctx;

	if (reply)
		return continue_reply(t, reply, route);
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
	ctx->main.vbflags = b->vbflags;
	ctx->on_failure = str_dup(ctx->pool, tm_branch_text(b, TM_X_ON_FAILURE));
	ctx->on_reply = str_dup(ctx->pool, tm_branch_text(b, TM_X_ON_REPLY));
	ctx->on_branch = str_dup(ctx->pool, tm_branch_text(b, TM_X_ON_BRANCH));
	ctx->on_branch_failure = str_dup(ctx->pool, tm_branch_text(b, TM_X_ON_BRANCH_FAILURE));
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	ctx->finished = tm_failure_done;
	tm_suspend_end(t);
	if (tm_self.hooks->run_continued(ctx, CTX_FAILURE, route) == 0)
		return TM_MOVED;
	log_error("there is no route[%.*s] to continue in", STR_FMT(route)); /* the script was reloaded meanwhile */
	tm_failure_done(ctx, 0);
	return TM_MOVED;
}

static bool match_index(const struct tm_txn *t, const void *arg)
{
	const struct tm_name *k = arg;

	/* Those behind a suspended one go with it, so a list that is not empty has one. */
	return t->node.hash == k->index && (uint32_t)t->label == k->label && (blind_open(t) || t->aside);
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
