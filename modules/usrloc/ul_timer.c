/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expiry, and the turn of the database: worker 0 looks at a few buckets each tick, so that all are seen once per
 * timer_interval. A tick takes a millisecond at most, whatever expires at once; what it did not get to is left to the next ticks. An
 * AoR carries the earliest expiry of its contacts, so most cost one look. Nobody depends on the sweep for correctness: readers
 * skip what has expired.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/transport/conn.h"
#include "modules/usrloc/ul_priv.h"
#include "shm/counter.h"

#define TICK_MS 10u
#define TICK_US_MAX 1000u
#define AORS_MAX 64u         /* handled per bucket and look; more: in the next turn */
#define SLICE_BUCKETS 64u    /* between two looks at the clock */

static struct {
	struct pool *pool;
	struct loop_timer *timer, *clean_timer;
	unsigned domain;
	uint32_t bucket;
	uint64_t owed;       /* buckets that should have been looked at by now, in units of 1/ticks */
	ul_expired_fn *expired;
} sweep;

void ul_on_expired(ul_expired_fn *fn)
{
	sweep.expired = fn;
}

struct pick {
	uint32_t now;
	bool conns, drop_marks;
};

static bool conn_lost(uint32_t id)
{
	struct conn_info info;

	return id && conn_find(id, &info) == -ENOENT;
}

static bool pick_expired(const struct ul_cell *c, void *arg)
{
	const struct pick *p = arg;

	if (atomic_load_explicit(&c->state, memory_order_relaxed) == UL_DELETED)
		return p->drop_marks; /* else the database is told first */
	return (c->expires && c->expires <= p->now) || (p->conns && conn_lost(c->conn_id));
}

static void expired_one(struct ul_domain *d, struct str aor, const struct ul_contact *c)
{
	if (ul_conf.close_expired_tcp && c->conn_id)
		conn_close(c->conn_id);
	shm_counter_add(d->c_expires, 1);
	ul_db_forget(d, c->ruid);
	if (sweep.expired)
		sweep.expired(d, aor, c);
}

static void sweep_aor(struct ul_domain *d, struct str aor, uint32_t now)
{
	struct pick pick = { .now = now, .conns = ul_conf.handle_lost_tcp != 0,
			     .drop_marks = ul_conf.db_mode == 4 && !ul_loading(d) };
	struct ul_list gone = { 0 };

	if (ul_drop(d, aor, pick_expired, &pick, sweep.pool, &gone) > 0)
		for (unsigned i = 0; i < gone.n; i++)
			expired_one(d, aor, &gone.c[i]);
	if (ul_conf.db_mode == 1 || ul_conf.db_mode == 2)
		ul_db_flush_aor(d, aor, sweep.pool);
}

/* Goes to the next bucket; false when every table was seen once. */
static bool sweep_next(struct ul_domain *d)
{
	if (++sweep.bucket < shm_hash_n_buckets(d->hash))
		return true;
	sweep.bucket = 0;
	sweep.domain++;
	return ul_domain_at(sweep.domain) != NULL;
}

unsigned ul_timer_slice(unsigned buckets)
{
	uint32_t now = (uint32_t)clock_wall_s();
	bool dirty = ul_conf.db_mode == 1 || ul_conf.db_mode == 2;
	unsigned seen = 0;

	if (!sweep.pool)
		sweep.pool = pool_new((size_t)16 << 20);
	if (!sweep.pool || ul_domain_count() == 0)
		return 0;
	while (seen < buckets) {
		struct ul_domain *d = ul_domain_at(sweep.domain);
		struct str aors[AORS_MAX];
		unsigned n;

		if (!d) {
			sweep.domain = 0;
			sweep.bucket = 0;
			continue;
		}
		n = ul_bucket_due(d, sweep.bucket, now, dirty, ul_conf.handle_lost_tcp != 0, sweep.pool, aors, AORS_MAX);
		for (unsigned i = 0; i < n; i++)
			sweep_aor(d, aors[i], now);
		pool_reset(sweep.pool);
		seen++;
		if (!sweep_next(d) && dirty)
			ul_db_flush_end();
	}
	return seen;
}

static void on_tick(void *arg)
{
	uint64_t ticks = (uint64_t)ul_conf.timer_interval * 1000 / TICK_MS, all = 0, end = clock_now_us() + TICK_US_MAX;

	(void)arg;
	for (unsigned i = 0; i < ul_domain_count(); i++)
		all += shm_hash_n_buckets(ul_domain_at(i)->hash);
	sweep.owed += all;
	if (sweep.owed > all * ticks) /* one whole turn is all that can be owed */
		sweep.owed = all * ticks;
	/* with a full queue contacts stay as they are: the database would never hear of them */
	while (sweep.owed >= ticks && !ul_db_busy()) {
		uint64_t n = sweep.owed / ticks;

		sweep.owed -= ticks * ul_timer_slice(n < SLICE_BUCKETS ? (unsigned)n : SLICE_BUCKETS);
		if (clock_now_us() >= end)
			break;
	}
	ul_db_flush_end();
}

/* Rows that nobody deletes by name: of contacts that expired while we were not there, and all of db_mode 3. */
static void on_clean(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ul_domain_count(); i++)
		ul_db_clean(ul_domain_at(i));
}

int ul_timer_start(struct loop *loop)
{
	bool clean = ul_conf.db_mode == 3 || (ul_conf.db_timer_clean && (ul_conf.db_mode == 1 || ul_conf.db_mode == 2));
	uint64_t every_ms = (uint64_t)ul_conf.timer_interval * 1000;
	int err = clean ? loop_timer_add(loop, every_ms, every_ms, on_clean, NULL, &sweep.clean_timer) : 0;

	return err < 0 ? err : loop_timer_add(loop, TICK_MS, TICK_MS, on_tick, NULL, &sweep.timer);
}
