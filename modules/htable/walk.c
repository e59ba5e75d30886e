/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks in slices. All walks of a process stand in one queue: each turn of the loop the first of them gets one slice and goes to the end, so
 * however many there are, messages wait for one slice at most. A walk whose run is gone (its ticket is stale) is dropped.
 *
 * Some routes decide about bytes that leave, or were received, at that moment, and cannot wait (ctx_may_wait()). There the walk is done in
 * one go, since a wrong answer would be worse; a long one is told in the log.
 */
#include "modules/htable/walk.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/event/loop.h"

#define SLICE_US 300u
#define LOOK_BUCKETS 8u       /* between two looks at the clock */
#define LONG_US 10000u        /* in one go: told */
#define PARK_MS 600000u       /* the net behind a walk that never ends */
#define COPY_KEEP (64u << 10)

struct queued {
	struct queued *next;
	uint64_t ticket; /* 0: nobody waits */
	struct ht_walk walk;
};

static struct {
	struct loop_timer *timer; /* without memory for a deferred call */
	bool armed;
	struct queued *first, **last;
	struct ht_snap snap;
} g = { .last = &g.first };

uint64_t ht_slice_end(void)
{
	return clock_now_us() + SLICE_US;
}

bool ht_walk_copy(struct ht_walk *w, enum ht_filter filter, const struct ht_snap **ret_snap)
{
	if (g.snap.cap > COPY_KEEP)
		ht_snap_done(&g.snap);
	w->err = ht_snap_bucket(w->table, w->bucket, filter, clock_wall_s(), &g.snap);
	*ret_snap = &g.snap;
	return w->err == 0;
}

/* True: it is over, *ret_code is what over() said. until_us 0: to the end. */
static bool slice(struct ht_walk *w, uint64_t until_us, int *ret_code)
{
	bool enough = false;

	/* another pattern may have taken this one's place in the cache */
	if (w->test.op == HT_OP_RE && ht_test_init(&w->test, w->test.op, w->test.text) < 0)
		w->err = -1;
	for (unsigned n = 1;; n++) {
		if (enough || w->err < 0 || !w->look || w->bucket >= shm_hash_n_buckets(w->table->hash)) {
			*ret_code = w->over(w);
			if (*ret_code != HT_WALK_ON)
				return true;
			enough = false;
			continue;
		}
		enough = w->look(w);
		w->bucket++;
		if (until_us && n % LOOK_BUCKETS == 0 && !enough && clock_now_us() >= until_us)
			return false;
	}
}

int ht_walk_all(struct ht_walk *walk)
{
	int code;

	(void)slice(walk, 0, &code);
	return code;
}

int ht_walk_at_once(struct ht_walk *walk)
{
	uint64_t from_us = clock_now_us(), took_us;
	int code = ht_walk_all(walk);

	took_us = clock_now_us() - from_us;
	if (took_us >= LONG_US)
		log_warn("htable: %s went over \"%.*s\" (%u slots) in one go, since it cannot wait where it stands: no message was handled for %llu ms",
		         walk->what, STR_FMT(walk->table->def.name), shm_hash_n_buckets(walk->table->hash), (unsigned long long)(took_us / 1000));
	return code;
}

static void serve(void *arg);

/* The next slice is in the next turn. */
static void arm(void)
{
	if (!g.first || g.armed)
		return;
	g.armed = true;
	if (loop_defer(loop_self(), serve, NULL) < 0)
		loop_timer_set(g.timer, 1);
}

/* One slice, of the walk that waits the longest. */
static void serve(void *arg)
{
	struct queued *q = g.first;
	int code;

	(void)arg;
	g.armed = false;
	if (!q)
		return;
	g.first = q->next;
	if (!g.first)
		g.last = &g.first;
	q->next = NULL;
	if (q->ticket && !ctx_of_ticket(q->ticket)) { /* what it has to do with is gone, too */
		free(q);
	} else if (!slice(&q->walk, ht_slice_end(), &code)) {
		*g.last = q;
		g.last = &q->next;
	} else {
		uint64_t ticket = q->ticket;

		free(q);
		if (ticket)
			ctx_wake(ticket, code);
	}
	arm();
}

/* A place for one walk more; NULL: no memory. */
static struct queued *place(void)
{
	if (!g.timer && loop_timer_add(loop_self(), 3600000, 3600000, serve, NULL, &g.timer) < 0)
		return NULL;
	return malloc(sizeof(struct queued));
}

static void enqueue(struct queued *q, const struct ht_walk *walk, uint64_t ticket)
{
	*q = (struct queued){ .ticket = ticket, .walk = *walk };
	*g.last = q;
	g.last = &q->next;
	arm();
}

/* Parks ctx until the walk is over. False: that is not possible. */
static bool park(struct ctx *ctx, const struct ht_walk *walk)
{
	struct queued *q = place();
	struct ht_walk w = *walk;
	uint64_t ticket = 0;

	if (w.test.text.n)
		w.test.text = str_dup(ctx->pool, w.test.text);
	if (q && (w.test.text.n == 0 || w.test.text.s))
		ticket = ctx_park(ctx, PARK_MS, -1);
	if (ticket == 0) {
		free(q);
		return false;
	}
	enqueue(q, &w, ticket);
	return true;
}

int ht_walk_run(struct ctx *ctx, const struct ht_walk *walk)
{
	struct ht_walk w = *walk;
	int code;

	if (!ctx_may_wait(ctx))
		return ht_walk_at_once(&w);
	if (slice(&w, ht_slice_end(), &code))
		return code;
	return park(ctx, &w) ? SCRIPT_SUSPEND : ht_walk_at_once(&w);
}

int ht_walk_later(struct ctx *ctx, const struct ht_walk *walk)
{
	struct ht_walk w = *walk;

	return ctx_may_wait(ctx) && park(ctx, walk) ? SCRIPT_SUSPEND : ht_walk_all(&w);
}

bool ht_walk_next_table(struct ht_walk *w)
{
	struct ht_table *t = ht_table_at(++w->n_tables);

	if (!t)
		return false;
	w->table = t;
	w->bucket = 0;
	return true;
}

void ht_walk_start(const struct ht_walk *walk)
{
	struct queued *q = loop_self() ? place() : NULL;
	struct ht_walk w = *walk;

	if (q)
		enqueue(q, walk, 0);
	else
		(void)ht_walk_all(&w);
}
