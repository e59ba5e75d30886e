/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows on their way to the database. Each worker has a list in shared memory, which its replacement inherits with the slot: a
 * row leaves it when the database has said that it has it. One statement is under way at a time; what comes
 * meanwhile goes with the next one, so the busier it is the larger the batches are. What the database does not take is tried again, later and later;
 * rows that it refuses, takes one behind them, and refuses once more are given up and written to the log instead. When it takes none, each
 * further round of tries after db_refused_tries of them gives up the first row.
 *
 * Written by the slot's process only; the janitor puts the tail and the count right after a death.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/event/loop.h"
#include "modules/acc/acc_priv.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"

#define BATCH_ROWS 50u
#define REFUSED_MAX 50u /* in a row: then it is not the rows */
#define DEADLINE_MS 10000u
#define RETRY_MIN_MS 250u
#define RETRY_MAX_MS 30000u
#define TELL_EVERY 1000u

struct list {
	shm_ref head, tail; /* acc_row; tail and n are derived */
	uint32_t n;
};

static struct { /* shared */
	struct list *of_slot; /* SHM_SLOTS_MAX */
} root;

static struct { /* of this process */
	struct db *db;
	struct acc_row *sent[BATCH_ROWS];
	unsigned n_sent;
	unsigned n_refused;      /* so many from the head, each alone, by the database: the one behind them is tried */
	unsigned n_rounds;       /* so many tries in a row ended with the first row refused and none behind it taken */
	unsigned n_suspects;     /* so many from the head were refused before one behind them was taken: they are tried once more */
	unsigned one_by_one;     /* so many to come: one of them was refused */
	unsigned retry_ms;
	bool busy, waiting;      /* a statement is under way; the retry timer runs */
	bool down, dropping;     /* told so */
	uint64_t n_dropped;
	struct loop_timer *timer;
	struct db_val vals[BATCH_ROWS * ACC_VALS_MAX];
} me;

static int stat_dropped = -1, stat_waiting = -1, stat_written = -1;

static struct list *own(void)
{
	return &root.of_slot[shm_slot_self()];
}

static int check(void)
{
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++) {
		const struct list *l = &root.of_slot[i];
		uint32_t n = 0;

		for (const struct acc_row *r = shm_ptr(l->head); r; r = shm_ptr(r->next))
			if (!shm_is_live(r) || ++n > l->n + 1)
				return -EUCLEAN;
	}
	return 0;
}

int acc_queue_init(void)
{
	int err;

	root.of_slot = shm_zalloc(SHM_SLOTS_MAX * sizeof(*root.of_slot));
	if (!root.of_slot)
		return log_fail(-ENOMEM, "acc: queue");
	shm_publish(root.of_slot);
	err = shm_root_set("acc.queue", shm_ref_of(root.of_slot));
	if (err == 0)
		err = shm_check_register("acc", check);
	if (err < 0)
		return log_fail(err, "acc: queue");
	stat_dropped = shm_counter_register("acc", "dropped_records");
	stat_waiting = shm_counter_register("acc", "waiting_records");
	stat_written = shm_counter_register("acc", "written_records");
	shm_counter_keep(stat_waiting);
	return 0;
}

/* ---- the list ---- */

static void list_add(struct list *l, struct acc_row *row)
{
	struct acc_row *tail = shm_ptr(l->tail);

	row->next = SHM_NONE;
	__atomic_store_n(tail ? &tail->next : &l->head, shm_ref_of(row), __ATOMIC_RELEASE);
	CRASH_POINT("acc.queue.linked");
	l->tail = shm_ref_of(row);
	l->n++;
	shm_publish(row);
	shm_counter_add(stat_waiting, 1);
}

/* prev NULL: row is the first. */
static void list_remove(struct list *l, struct acc_row *prev, struct acc_row *row)
{
	shm_retire(row);
	__atomic_store_n(prev ? &prev->next : &l->head, row->next, __ATOMIC_RELEASE);
	CRASH_POINT("acc.queue.unlinked");
	if (l->tail == shm_ref_of(row))
		l->tail = shm_ref_of(prev);
	l->n--;
	shm_free(row);
	shm_counter_add(stat_waiting, -1);
}

int acc_queue_recover(unsigned slot)
{
	struct list *l;

	if (!root.of_slot)
		return 0;
	l = &root.of_slot[slot];
	l->n = 0;
	l->tail = SHM_NONE;
	for (struct acc_row *r = shm_ptr(l->head); r; r = shm_ptr(r->next)) {
		r->again = 1; /* perhaps the database has it already */
		if (shm_limbo_owner(r) == (int)slot)
			shm_publish(r);
		l->tail = shm_ref_of(r);
		l->n++;
	}
	shm_counter_set_of(stat_waiting, slot, l->n);
	return 0;
}

/* ---- writing ---- */

static void flush(void);

static void timer_fired(void *arg)
{
	(void)arg; /* the process has one list */
	me.waiting = false;
	flush();
}

static void later(unsigned ms)
{
	int err = 0;

	if (!me.timer)
		err = loop_timer_add(loop_self(), ms, 0, timer_fired, NULL, &me.timer);
	else
		loop_timer_set(me.timer, ms);
	me.waiting = err == 0; /* else the next record tries */
}

/* why n 0: nobody said. */
static void log_row(const struct acc_row *row, struct str why)
{
	static struct db_val vals[ACC_VALS_MAX];
	char mem[2048];
	struct strbuf sb;
	struct str table;
	unsigned n = acc_row_read(row, &table, vals);

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	for (unsigned i = 0; i < n; i++) {
		strbuf_add_char(&sb, ';');
		if (vals[i].type == DB_INT || vals[i].type == DB_TIME)
			strbuf_add_i64(&sb, vals[i].i);
		else if (vals[i].type == DB_DOUBLE)
			strbuf_printf(&sb, "%.3f", vals[i].d);
		else
			strbuf_add(&sb, vals[i].s);
	}
	log_error("acc: a record for table %.*s was given up: %.*s%s%.*s", STR_FMT(table), STR_FMT(strbuf_str(&sb)), why.n ? " because: " : "", STR_FMT(why));
}

/* The row behind the refused ones; ret_last: the last of those, NULL when there is none. */
static struct acc_row *behind_refused(const struct list *l, struct acc_row **ret_last)
{
	struct acc_row *row = shm_ptr(l->head);

	*ret_last = NULL;
	for (unsigned i = 0; row && i < me.n_refused; i++) {
		*ret_last = row;
		row = shm_ptr(row->next);
	}
	return row;
}

static void give_up(struct list *l, struct str why)
{
	struct acc_row *row = shm_ptr(l->head);

	log_row(row, why);
	shm_counter_add(stat_dropped, 1);
	list_remove(l, NULL, row);
}

static void failed(int err, struct str text)
{
	if (!me.down)
		log_fail(err, "acc: records are not written, will be tried again: %.*s", STR_FMT(text));
	me.down = true;
	me.retry_ms = me.retry_ms ? me.retry_ms * 2 : RETRY_MIN_MS;
	if (me.retry_ms > RETRY_MAX_MS)
		me.retry_ms = RETRY_MAX_MS;
	later(me.retry_ms);
}

static void written(struct list *l)
{
	struct acc_row *prev;

	(void)behind_refused(l, &prev);
	for (unsigned i = 0; i < me.n_sent; i++)
		list_remove(l, prev, me.sent[i]);
	shm_counter_add(stat_written, me.n_sent);
	if (me.n_refused)
		me.n_suspects = me.n_refused;
	else if (me.n_suspects)
		me.n_suspects--;
	me.n_refused = 0;
	if (me.one_by_one)
		me.one_by_one--;
	me.n_rounds = 0;
	me.retry_ms = 0;
	if (me.down)
		log_notice("acc: records can be written again, %" PRIu32 " wait", l->n);
	me.down = false;
}

static void done(void *arg, int err, struct db_rows *rows, struct str text)
{
	struct list *l = own();

	(void)arg, (void)rows; /* an INSERT gives none */
	me.busy = false;
	if (err == -ECANCELED) { /* the process ends: the list stays */
		for (unsigned i = 0; i < me.n_sent; i++)
			me.sent[i]->again = 1;
		return;
	}
	if (err == 0) {
		written(l);
		flush();
		return;
	}
	if (err == -EIO && me.n_sent > 1) { /* one of them: which? */
		me.one_by_one = me.n_sent;
		flush();
		return;
	}
	if (err == -EIO && me.n_suspects) {
		me.n_suspects--;
		give_up(l, text);
		flush();
		return;
	}
	if (err == -EIO && me.sent[0]->next && me.n_refused + 1 < REFUSED_MAX) {
		me.n_refused++;
		flush();
		return;
	}
	for (unsigned i = 0; err != -EIO && i < me.n_sent; i++)
		me.sent[i]->again = 1; /* a late answer is not seen */
	me.n_refused = me.n_suspects = 0;
	if (err == -EIO && ++me.n_rounds >= (unsigned)acc_conf.db_refused_tries)
		give_up(l, text);
	if (l->head != SHM_NONE) {
		failed(err, text);
		return;
	}
	me.n_rounds = 0; /* the next record begins anew */
	me.retry_ms = 0;
}

/* Rows from the head that go into one statement. */
static unsigned gather(struct list *l)
{
	struct acc_row *last, *row = behind_refused(l, &last);
	static struct db_val ignored[ACC_VALS_MAX];
	struct str first, table;
	unsigned n = 0;

	if (!row)
		return 0;
	me.sent[n++] = row;
	if (me.n_refused || me.n_suspects || me.one_by_one || row->again)
		return n;
	(void)acc_row_read(row, &first, ignored);
	while (n < BATCH_ROWS && (row = shm_ptr(row->next)) && !row->again && row->legs == me.sent[0]->legs) {
		(void)acc_row_read(row, &table, ignored);
		if (!str_eq(first, table))
			break;
		me.sent[n++] = row;
	}
	return n;
}

static void flush(void)
{
	struct diag d = { 0 };
	struct strbuf sql;
	unsigned n_vals;
	int err = 0;

	if (me.busy || me.waiting)
		return;
	me.n_sent = gather(own());
	if (me.n_sent == 0)
		return;
	if (!me.db)
		err = db_get(acc_conf.db_url, &me.db, &d);
	strbuf_init(&sql, 1 << 20);
	if (err == 0)
		err = acc_rows_sql(me.sent, me.n_sent, &sql, me.vals, &n_vals);
	if (err == 0)
		err = db_query(me.db, strbuf_str(&sql), me.vals, n_vals, DEADLINE_MS, done, NULL);
	strbuf_done(&sql);
	if (err == -ECANCELED) /* the process ends: the list stays */
		return;
	if (err < 0)
		failed(err, d.text[0] ? str_lit(d.text) : STR_LIT("not sent"));
	me.busy = err == 0;
}

static void flush_deferred(void *arg)
{
	(void)arg; /* the process has one list */
	flush();
}

bool acc_queue_put(struct acc_row *row)
{
	struct list *l = own();
	bool first = l->head == SHM_NONE;

	if (l->n >= (uint32_t)acc_conf.db_queue_max) {
		shm_free(row);
		shm_counter_add(stat_dropped, 1);
		if (me.n_dropped++ % TELL_EVERY == 0)
			log_error("acc: %d records wait for the database (db_queue_max): dropped so far: %" PRIu64, acc_conf.db_queue_max, me.n_dropped);
		return false;
	}
	list_add(l, row);
	/* With the others of this turn. When it cannot be deferred the next record, or the statement under way, takes it along. */
	if ((first || !me.busy) && !me.waiting && loop_defer(loop_self(), flush_deferred, NULL) < 0)
		log_debug("acc: no memory to write at once");
	return true;
}

/* ---- the end ---- */

struct left {
	unsigned slot;
	struct acc_row *row;
	struct strbuf sql;
	unsigned n;
};

static int next_left(void *arg, struct str *ret_sql, const struct db_val **ret_params, unsigned *ret_n_params)
{
	struct left *w = arg;
	int err;

	w->row = w->row ? shm_ptr(w->row->next) : NULL;
	while (!w->row && w->slot < SHM_SLOTS_MAX)
		w->row = shm_ptr(root.of_slot[w->slot++].head);
	if (!w->row)
		return 0;
	w->sql.n = 0;
	err = acc_rows_sql(&w->row, 1, &w->sql, me.vals, ret_n_params);
	if (err < 0)
		return err;
	w->n++;
	*ret_sql = strbuf_str(&w->sql);
	*ret_params = me.vals;
	return 1;
}

void acc_queue_done(void)
{
	struct left w = { 0 };
	struct diag d = { 0 };
	int err;

	if (!root.of_slot || shm_counter_read(stat_waiting) == 0)
		return;
	strbuf_init(&w.sql, 1 << 20);
	err = db_txn_sync(acc_conf.db_url, next_left, &w, &d);
	strbuf_done(&w.sql);
	if (err == 0) {
		log_notice("acc: %u records that waited are written", w.n);
		return;
	}
	log_fail(err, "acc: what waited cannot be written: %s", d.text);
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++)
		for (struct acc_row *r = shm_ptr(root.of_slot[i].head); r; r = shm_ptr(r->next))
			log_row(r, STR_NULL);
}
