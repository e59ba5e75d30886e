/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sht_lock and sht_unlock: advisory locks between scripts. A word in shared memory says which slot has it, the context's own list says which run
 * and how often. Who finds it taken is parked and asks again every few milliseconds, since its holder may be a script that itself waits for a
 * database: the worker goes on meanwhile. A run that ends gives back what it holds, so does the janitor for a worker that died.
 */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "modules/htable/htable_priv.h"

#define POLL_MS 2u

struct waiter {
	struct waiter *next;
	uint64_t ticket;
	uint64_t until_ms;
	struct ht_table *table;
	unsigned index;
};

static struct {
	struct loop_timer *timer;
	struct waiter *first, **last;
} g = { .last = &g.first };

static struct ht_held *held_find(const struct ht_ctx *hc, const struct ht_table *t, unsigned index)
{
	for (struct ht_held *h = hc->held; h; h = h->next) {
		if (h->table == t && h->index == index)
			return h;
	}
	return NULL;
}

static bool held_add(struct ctx *ctx, struct ht_table *t, unsigned index)
{
	struct ht_ctx *hc = ht_ctx_get(ctx);
	struct ht_held *h = hc ? pool_alloc(ctx->pool, sizeof(*h)) : NULL;

	if (!h)
		return false;
	*h = (struct ht_held){ .next = hc->held, .table = t, .index = index, .depth = 1 };
	hc->held = h;
	return true;
}

static bool try_lock(struct ctx *ctx, struct ht_table *t, unsigned index)
{
	if (!ht_lock_try(t, index))
		return false;
	CRASH_POINT("htable.lock.taken");
	if (held_add(ctx, t, index))
		return true;
	ht_lock_drop(t, index);
	return false;
}

static void poll_locks(void *arg)
{
	struct waiter *w = g.first, *next;

	(void)arg;
	g.first = NULL; /* what is woken may wait again */
	g.last = &g.first;
	for (; w; w = next) {
		struct ctx *ctx = ctx_of_ticket(w->ticket);
		bool done = !ctx, got = false;

		next = w->next;
		if (ctx) {
			got = try_lock(ctx, w->table, w->index);
			done = got || clock_ms() >= w->until_ms;
			if (done && !got)
				log_error("sht_lock: no lock in table \"%.*s\" after %u ms", STR_FMT(w->table->def.name), HT_LOCK_WAIT_MS);
		}
		if (!done) {
			w->next = NULL;
			*g.last = w;
			g.last = &w->next;
			continue;
		}
		if (ctx)
			ctx_wake(w->ticket, got ? 1 : -1);
		free(w);
	}
	if (g.first)
		loop_timer_set(g.timer, POLL_MS);
}

int ht_lock_take(struct ctx *ctx, struct ht_table *t, struct str key)
{
	unsigned index = ht_lock_index(key);
	struct ht_ctx *hc = ht_ctx_get(ctx);
	struct ht_held *h = hc ? held_find(hc, t, index) : NULL;
	struct waiter *w;

	if (!hc)
		return -1;
	if (h) {
		h->depth++;
		return 1;
	}
	/* who waits already is first */
	if (!g.first && try_lock(ctx, t, index))
		return 1;
	w = g.timer ? calloc(1, sizeof(*w)) : NULL;
	if (!w)
		return -1;
	/* the ticket's own deadline is only the net behind the waiter's */
	w->ticket = ctx_park(ctx, HT_LOCK_WAIT_MS + 1000, -1);
	if (!w->ticket) {
		free(w);
		return -1;
	}
	w->until_ms = clock_ms() + HT_LOCK_WAIT_MS;
	w->table = t;
	w->index = index;
	if (!g.first)
		loop_timer_set(g.timer, POLL_MS);
	*g.last = w;
	g.last = &w->next;
	return SCRIPT_SUSPEND;
}

int ht_lock_give(struct ctx *ctx, struct ht_table *t, struct str key)
{
	struct ht_ctx *hc = ht_ctx_find(ctx);
	unsigned index = ht_lock_index(key);

	for (struct ht_held **p = hc ? &hc->held : NULL; p && *p; p = &(*p)->next) {
		struct ht_held *h = *p;

		if (h->table != t || h->index != index)
			continue;
		if (--h->depth == 0) {
			*p = h->next;
			ht_lock_drop(t, index);
		}
		return 1;
	}
	return -1;
}

void ht_lock_release_all(struct ht_ctx *hc)
{
	for (; hc->held; hc->held = hc->held->next)
		ht_lock_drop(hc->held->table, hc->held->index);
}

int ht_lock_worker_init(struct loop *loop)
{
	return loop_timer_add(loop, 3600000, 3600000, poll_locks, NULL, &g.timer);
}
