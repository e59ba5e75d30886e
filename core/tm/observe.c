/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling those who watch transactions (accounting) what became of them. A transaction that nobody watches costs one
 * comparison per reply. What is told is read back from shared memory (the request, the last reply kept there), so
 * any worker can tell it, also the one that takes over from a dead one: first the answer is kept and its status stored, then it is
 * told, then TM_T_TOLD is set. Who finds a status without that flag (mend.c, or the timer that ends the transaction) tells it.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/tm/tm_priv.h"

static struct {
	const struct tm_observer *o[TM_OBSERVERS_MAX];
	unsigned n;
} all;

int tm_observe(const struct tm_observer *o)
{
	if (all.n == TM_OBSERVERS_MAX)
		return -ENOSPC;
	all.o[all.n++] = o;
	return 0;
}

static union tm_watched ask(struct ctx *ctx)
{
	union tm_watched w = { .any = 0 };

	for (unsigned i = 0; i < all.n; i++)
		w.mark[i] = all.o[i]->made(ctx);
	return w;
}

void tm_observe_new(struct ctx *ctx, struct tm_txn *t)
{
	if (UNLIKELY(all.n))
		t->watched = ask(ctx);
}

/* Returns the flags that the observers leave. */
static uint32_t tell(union tm_watched watched, struct tm_seen *seen)
{
	for (unsigned i = 0; i < all.n; i++) {
		seen->mark = watched.mark[i];
		if (seen->mark)
			seen->flags = seen->request->flags = all.o[i]->seen(seen);
	}
	return seen->flags;
}

/* The request for a moment that no run of it is about. */
static struct ctx *request_of(struct tm_txn *t, unsigned branch)
{
	const struct tm_branch *b = tm_branch_at(t, branch);
	struct ctx *ctx = tm_txn_ctx(t);

	if (!ctx)
		return NULL;
	ctx->txn = t;
	ctx->txn_branch = (uint8_t)branch;
	if (b) {
		ctx->main.uri = str_dup(ctx->pool, tm_branch_text(b, TM_X_URI));
		ctx->main.dst_uri = str_dup(ctx->pool, tm_branch_text(b, TM_X_DST));
		ctx->main.bflags = b->bflags;
	}
	return ctx;
}

static void gone(struct ctx *ctx)
{
	if (!ctx)
		return;
	ctx->txn = NULL; /* the claim is not its own */
	ctx_free(ctx);
}

static bool has_body(const struct tm_buf *buf)
{
	ptrdiff_t end = buf ? str_find(str_of(buf->bytes, buf->len), STR_LIT("\r\n\r\n")) : -1;

	return end >= 0 && (size_t)end + 4 < buf->len;
}

/* Fills in what the reply says; the context that it lives in, or NULL. */
static struct ctx *reply_view(struct tm_txn *t, const struct tm_buf *buf, struct tm_seen *seen)
{
	struct ctx *reply = buf ? ctx_from_bytes(str_of(buf->bytes, buf->len), &t->rx) : NULL;
	const struct sip_addr *to = reply ? sip_msg_to(&reply->msg) : NULL;

	if (!reply)
		return NULL;
	seen->reply = &reply->msg;
	seen->reason = reply->msg.reason;
	if (to)
		seen->to_tag = to->tag;
	return reply;
}

void tm_tell_reply_now(struct tm_txn *t, struct ctx *run, bool again)
{
	const struct tm_buf *buf = shm_ptr(t->last_reply);
	struct tm_seen seen = { .moment = TM_SEEN_REPLY, .again = again || (t->flags & TM_T_MENDED), .code = t->status, .since_s = t->rx.wall_s,
		.is_ours = t->status >= 200 && (t->flags & TM_T_OWN_ANSWER) };
	struct ctx *own = NULL, *reply;
	uint32_t run_flags;

	if ((t->flags & TM_T_REPLICATE) || (t->status < 200 && !has_body(buf)))
		return;
	CRASH_POINT("tm.tell.before");
	seen.request = run ? run : (own = request_of(t, t->winner));
	if (!seen.request) {
		log_error("no context to tell of the answer %u of transaction %08x: it is told later", t->status, tm_hash_of(t));
		return;
	}
	reply = reply_view(t, buf && buf->status == t->status ? buf : NULL, &seen);
	/* What a failure route does to flags counts when it is over. */
	run_flags = seen.request->flags;
	seen.flags = seen.request->kind == CTX_FAILURE ? t->msg_flags : run_flags;
	t->msg_flags = tell(t->watched, &seen);
	if (seen.request->kind == CTX_FAILURE)
		seen.request->flags = run_flags;
	CRASH_POINT("tm.tell.told");
	if (t->status >= 200)
		t->flags |= TM_T_TOLD;
	gone(reply);
	gone(own);
}

uint32_t tm_tell_failed_now(struct tm_txn *t, unsigned winner)
{
	const struct tm_branch *b = tm_branch_at(t, winner);
	struct tm_seen seen = { .moment = TM_SEEN_FAILED, .again = (t->flags & TM_T_MENDED) != 0, .code = b->status, .flags = t->msg_flags,
		.is_ours = (b->flags & TM_B_FAKED) != 0, .since_s = t->rx.wall_s };
	struct ctx *reply;
	char tag[40];

	if (t->flags & (TM_T_LOCAL | TM_T_REPLICATE))
		return t->msg_flags;
	seen.request = request_of(t, winner);
	if (!seen.request) {
		log_error("no context to tell of the failure %u of transaction %08x", b->status, tm_hash_of(t));
		return t->msg_flags;
	}
	reply = reply_view(t, shm_ptr(b->reply), &seen);
	if (!reply)
		seen.to_tag = str_of(tag, out_totag(seen.request, OUT_TAG_TM, tag));
	(void)tell(t->watched, &seen);
	gone(reply);
	gone(seen.request);
	return seen.flags;
}

/* ---- requests that have no transaction of their own here ---- */

static bool match_ack(const struct tm_txn *t, const void *arg)
{
	return tm_key_e2e_ack(t, arg) && t->watched.any;
}

void tm_ack_seen_event(struct tm_txn *t, const struct tm_event *ev)
{
	struct tm_seen seen = { .moment = TM_SEEN_ACK, .is_ours = true, .code = t->status, .flags = t->msg_flags, .since_s = t->rx.wall_s };
	struct ctx *ack = t->acked ? NULL : ctx_from_bytes(str_of(ev->bytes, ev->len), &ev->rx);
	const struct sip_addr *to = ack ? sip_msg_to(&ack->msg) : NULL;

	if (!ack)
		return;
	t->acked = true;
	tm_ctx_load(ack, t);
	if (to)
		seen.to_tag = to->tag;
	seen.request = ack;
	(void)tell(t->watched, &seen); /* there is nothing left for flags to decide */
	ctx_free(ack);
}

void tm_tell_ack(struct ctx *ctx)
{
	struct tm_txn *t = NULL;
	struct tm_event *ev;
	struct tm_key key;

	if (LIKELY(!all.n) || tm_key_of(ctx, &key) < 0)
		return;
	ev = tm_event_new(TM_IN_E2E_ACK, 0, ctx->msg.buf, &ctx->rx);
	if (!ev)
		return; /* the arena is full, which is logged there */
	switch (tm_find(tm_key_hash(&key), match_ack, &key, TM_TAKE_CLAIM, 0, ev, &t, NULL)) {
	case TM_CLAIMED:
		tm_ack_seen_event(t, ev);
		shm_free(ev);
		tm_run_events(t);
		break;
	case TM_BUSY:
		break; /* it is in the inbox */
	case TM_ABSENT:
	case TM_EXISTS:
		shm_free(ev);
		break;
	}
}

void tm_tell_cancel(struct ctx *ctx, int code, struct str reason)
{
	struct tm_seen seen = { .moment = TM_SEEN_CANCEL, .is_ours = true, .code = code, .reason = reason, .flags = ctx->flags, .request = ctx, .since_s = ctx->rx.wall_s };
	union tm_watched w;
	char tag[40];

	if (LIKELY(!all.n))
		return;
	w = ask(ctx);
	if (!w.any)
		return;
	seen.to_tag = str_of(tag, out_totag(ctx, OUT_TAG_SL, tag));
	(void)tell(w, &seen);
}
