/* SPDX-License-Identifier: BSD-2-Clause */
/* Advisory locks between runs of the script. */
#include "core/transport/ctx_lock.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/event/loop.h"
#include "shm/crash.h"
#include "shm/slot.h"

#define POLL_MS 2u

/* What a run holds, in its pool. */
struct ctx_held {
	struct ctx_held *next;
	ctx_lock_word *word;
	unsigned depth;
};

struct waiter {
	struct waiter *next;
	uint64_t ticket, until_ms;
	ctx_lock_word *word;
	struct str what;
};

static struct {
	struct loop_timer *timer;
	struct waiter *first, **last;
} g = { .last = &g.first };

static uint64_t me(void)
{
	return (uint64_t)shm_slot_self() + 1u;
}

static void drop(ctx_lock_word *word)
{
	uint64_t self = me();

	(void)atomic_compare_exchange_strong(word, &self, 0);
}

static struct ctx_held *held_find(const struct ctx *ctx, const ctx_lock_word *word)
{
	struct ctx_held *h = ctx->held;

	while (h && h->word != word)
		h = h->next;
	return h;
}

static void drop_all(struct ctx *ctx)
{
	for (; ctx->held; ctx->held = ctx->held->next)
		drop(ctx->held->word);
}

bool ctx_trylock(struct ctx *ctx, ctx_lock_word *word)
{
	struct ctx_held *h = held_find(ctx, word);
	uint64_t nobody = 0;

	if (h) {
		h->depth++;
		return true;
	}
	if (atomic_load_explicit(word, memory_order_relaxed) != 0) /* who asks again and again takes no memory for that */
		return false;
	h = pool_alloc(ctx->pool, sizeof(*h));
	if (!h || !atomic_compare_exchange_strong(word, &nobody, me()))
		return false;
	CRASH_POINT("ctx.lock.taken");
	*h = (struct ctx_held){ .next = ctx->held, .word = word, .depth = 1 };
	ctx->held = h;
	ctx->let_go = drop_all;
	return true;
}

static void poll_locks(void *arg)
{
	struct waiter *w = g.first, *next;

	(void)arg;
	g.first = NULL; /* what is woken may wait again */
	g.last = &g.first;
	for (; w; w = next) {
		struct ctx *ctx = ctx_of_ticket(w->ticket);
		bool got = ctx && ctx_trylock(ctx, w->word);

		next = w->next;
		if (ctx && !got && clock_ms() < w->until_ms) {
			w->next = NULL;
			*g.last = w;
			g.last = &w->next;
			continue;
		}
		if (ctx && !got)
			log_error("no lock of %.*s after %u ms", STR_FMT(w->what), CTX_LOCK_WAIT_MS);
		if (ctx)
			ctx_wake(w->ticket, got ? 1 : -1);
		free(w);
	}
	if (g.first)
		loop_timer_set(g.timer, POLL_MS);
}

static bool is_waited_for(const ctx_lock_word *word)
{
	const struct waiter *w = g.first;

	while (w && w->word != word)
		w = w->next;
	return w != NULL;
}

enum ctx_lock_result ctx_lock(struct ctx *ctx, ctx_lock_word *word, struct str what)
{
	struct waiter *w;

	/* who waits for it already is first */
	if ((held_find(ctx, word) || !is_waited_for(word)) && ctx_trylock(ctx, word))
		return CTX_LOCK_TAKEN;
	w = g.timer ? calloc(1, sizeof(*w)) : NULL;
	if (!w)
		return CTX_LOCK_FAILED;
	/* the ticket's own deadline is only the net behind the waiter's */
	*w = (struct waiter){ .ticket = ctx_park(ctx, CTX_LOCK_WAIT_MS + 1000, -1), .until_ms = clock_ms() + CTX_LOCK_WAIT_MS, .word = word, .what = what };
	if (!w->ticket) {
		free(w);
		return CTX_LOCK_FAILED;
	}
	if (!g.first)
		loop_timer_set(g.timer, POLL_MS);
	*g.last = w;
	g.last = &w->next;
	return CTX_LOCK_WAITS;
}

bool ctx_unlock(struct ctx *ctx, ctx_lock_word *word)
{
	for (struct ctx_held **p = &ctx->held; *p; p = &(*p)->next) {
		struct ctx_held *h = *p;

		if (h->word != word)
			continue;
		if (--h->depth == 0) {
			*p = h->next;
			drop(word);
		}
		return true;
	}
	return false;
}

int ctx_lock_worker_init(struct loop *loop)
{
	return loop_timer_add(loop, 3600000, 3600000, poll_locks, NULL, &g.timer);
}

void ctx_lock_recover(ctx_lock_word *words, unsigned n, unsigned slot)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t owner = (uint64_t)slot + 1u;

		(void)atomic_compare_exchange_strong(&words[i], &owner, 0);
	}
}
