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

#define TICK_US_MAX 1000u
#define AORS_MAX 64u         /* handled per bucket and look; more: in the next turn */
#define LOOK_BUCKETS 64u     /* between two looks at the clock */

static struct {
	struct pool *pool;
	struct loop_timer *timer, *clean_timer;
	struct ul_pace pace;
	ul_expired_fn *expired;
} sweep;

void ul_on_expired(ul_expired_fn *fn)
{
	sweep.expired = fn;
}

#define LOST_MAX 32u /* of one AoR and look */

struct pick {
	uint32_t now;
	bool drop_marks;
	unsigned n_lost;
	uint32_t lost[LOST_MAX]; /* connections that are no more */
};

/* Connections have locks of their own, so they are asked for before the AoR is locked. */
static void find_lost(struct ul_domain *d, struct str aor, struct pick *p)
{
	struct ul_list list = { 0 };
	struct conn_info info;

	if (ul_get_all(d, aor, sweep.pool, &list) < 0)
		return;
	for (unsigned i = 0; i < list.n && p->n_lost < LOST_MAX; i++)
		if (list.c[i].conn_id && conn_find(list.c[i].conn_id, &info) == -ENOENT)
			p->lost[p->n_lost++] = list.c[i].conn_id;
}

static bool is_lost(const struct pick *p, uint32_t conn_id)
{
	for (unsigned i = 0; i < p->n_lost; i++)
		if (p->lost[i] == conn_id)
			return true;
	return false;
}

static bool pick_expired(const struct ul_cell *c, void *arg)
{
	const struct pick *p = arg;

	if (atomic_load_explicit(&c->state, memory_order_relaxed) == UL_DELETED)
		return p->drop_marks; /* else the database is told first */
	return (c->expires && c->expires <= p->now) || (c->conn_id && is_lost(p, c->conn_id));
}

void ul_contact_gone(struct ul_domain *d, struct str aor, const struct ul_contact *c)
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
	struct pick pick = { .now = now, .drop_marks = ul_conf.db_mode == 4 && !ul_loading(d) };
	struct ul_list gone = { 0 };

	if (ul_conf.handle_lost_tcp)
		find_lost(d, aor, &pick);
	if (ul_drop(d, aor, pick_expired, &pick, sweep.pool, &gone) > 0)
		for (unsigned i = 0; i < gone.n; i++)
			ul_contact_gone(d, aor, &gone.c[i]);
	if (ul_conf.db_mode == 1 || ul_conf.db_mode == 2)
		ul_db_flush_aor(d, aor, sweep.pool);
}

static void sweep_bucket(struct ul_domain *d, uint32_t bucket)
{
	uint32_t now = (uint32_t)clock_wall_s();
	bool dirty = ul_conf.db_mode == 1 || ul_conf.db_mode == 2;
	struct str aors[AORS_MAX];
	unsigned n;

	if (!sweep.pool)
		sweep.pool = pool_new((size_t)16 << 20);
	if (!sweep.pool)
		return;
	n = ul_bucket_due(d, bucket, now, dirty, ul_conf.handle_lost_tcp != 0, sweep.pool, aors, AORS_MAX);
	for (unsigned i = 0; i < n; i++)
		sweep_aor(d, aors[i], now);
	pool_reset(sweep.pool);
}

/* ---- going round ---- */

/* True when every table was seen once. */
static bool pace_step(struct ul_pace *p, ul_bucket_fn *look)
{
	struct ul_domain *d = ul_domain_at(p->domain);

	look(d, p->bucket);
	if (++p->bucket < shm_hash_n_buckets(d->hash))
		return false;
	p->bucket = 0;
	p->domain = (p->domain + 1) % ul_domain_count();
	return p->domain == 0;
}

bool ul_pace_run(struct ul_pace *p, uint64_t round_ms, ul_bucket_fn *look, bool (*stop)(void))
{
	uint64_t ticks = round_ms / UL_TICK_MS ? round_ms / UL_TICK_MS : 1, all = 0, end = clock_now_us() + TICK_US_MAX;
	bool whole = false;

	for (unsigned i = 0; i < ul_domain_count(); i++)
		all += shm_hash_n_buckets(ul_domain_at(i)->hash);
	p->owed += all;
	if (p->owed > all * ticks) /* one whole round is all that can be owed */
		p->owed = all * ticks;
	for (unsigned n = 1; p->owed >= ticks && !(stop && stop()); n++) {
		p->owed -= ticks;
		whole |= pace_step(p, look);
		if (n % LOOK_BUCKETS == 0 && clock_now_us() >= end)
			break;
	}
	return whole;
}

unsigned ul_timer_slice(unsigned buckets)
{
	unsigned seen = 0;

	for (; seen < buckets && ul_domain_count(); seen++)
		(void)pace_step(&sweep.pace, sweep_bucket);
	return seen;
}

static void on_tick(void *arg)
{
	(void)arg;
	/* with a full queue contacts stay as they are: the database would never hear of them */
	(void)ul_pace_run(&sweep.pace, (uint64_t)ul_conf.timer_interval * 1000, sweep_bucket, ul_db_busy);
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

	return err < 0 ? err : loop_timer_add(loop, UL_TICK_MS, UL_TICK_MS, on_tick, NULL, &sweep.timer);
}
