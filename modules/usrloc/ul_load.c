/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading, while the server already answers. Process rpcd (worker 0 when there is none) reads the table in slices by id, each a
 * query that waits for nobody, and puts the rows into memory some hundred at a time; the next slice is asked for before the one
 * at hand is in. How far it came is in shared memory, so a replacement goes on from there.
 *
 * Until all is in, an address of record may be in the database only. Whoever wants to read or change one brings it in first
 * (ul_bring()); so every change is made to what the database had, and no answer is wrong. The loader then meets rows that memory
 * has already: memory is newer and wins. What was removed meanwhile stays as a mark (UL_DELETED) until loading is over, or the
 * loader, which may have read the row before, would bring it back.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "modules/usrloc/ul_db.h"

#define ROWS_PER_TURN 200u
#define DEADLINE_MS 60000u
#define RETRY_MS 1000u

/* Of the process that loads: one table after the other. */
static struct {
	struct loop *loop;
	struct ul_domain *d;            /* being loaded; NULL: none */
	struct db_rows *rows, *ahead;   /* being put in; read meanwhile */
	unsigned at, n_loaded;
	bool asked, read_all, pending, full; /* pending: load_turn() comes */
	int64_t asked_id;               /* what was read, ends here */
	uint64_t began_ms;
	struct loop_timer *retry;
} load;

static void load_next(void);
static void load_turn(void *arg);
static void retry_later(void);

static void turn_soon(void)
{
	if (load.pending)
		return;
	load.pending = loop_defer(load.loop, load_turn, NULL) == 0;
	if (!load.pending)
		retry_later();
}

/* -EINVAL: nothing that we could use, or would write. */
static int contact_load(struct ul_domain *d, struct str aor, const struct ul_contact *c)
{
	if (c->uri.n == 0 || c->ruid.n == 0 || c->ruid.n >= UL_RUID_MAX || (c->socket.n && ul_conf.skip_remote_socket))
		return -EINVAL;
	return ul_load(d, aor, c);
}

int ul_row_load(struct ul_domain *d, const struct db_val v[UL_N_COLS])
{
	struct ul_contact c;
	struct str aor;
	char mem[1024];
	int err;

	ul_row_contact(v, &c);
	err = ul_row_aor(v, mem, sizeof(mem), &aor);
	return err < 0 ? err : contact_load(d, aor, &c);
}

static bool is_unusable(int err)
{
	return err == -EMSGSIZE || err == -EINVAL;
}

static void load_end(void)
{
	log_notice("usrloc: %u contacts loaded from table %.*s in %llu ms", load.n_loaded, STR_FMT(load.d->name),
		   (unsigned long long)(clock_ms() - load.began_ms));
	atomic_store_explicit(&load.d->progress->loading, 0, memory_order_release);
	load.d = NULL;
	load_next();
}

static void on_retry(void *arg)
{
	(void)arg;
	loop_timer_del(load.retry);
	load.retry = NULL;
	turn_soon();
}

static void retry_later(void)
{
	if (!load.retry && loop_timer_add(load.loop, RETRY_MS, 0, on_retry, NULL, &load.retry) < 0)
		log_error("usrloc: no memory for a timer: table %.*s is not loaded further", STR_FMT(load.d->name));
}

static void rows_came(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	unsigned n = db_rows_n(rows);

	(void)arg;
	load.asked = false;
	ul_db_heard(load.d, UL_DB_LOADED, err, err_text);
	if (err < 0) {
		retry_later();
		return;
	}
	if (n) {
		struct db_val id = db_rows_at(rows, n - 1, UL_N_COLS);
		int64_t last;

		/* one that does not rise would be asked for again and again */
		if (db_val_int(&id, &last) < 0 || last <= load.asked_id) {
			log_error("usrloc: column id of table %.*s is not a rising number, no more contacts are loaded", STR_FMT(load.d->name));
			n = 0;
		} else {
			load.asked_id = last;
		}
	}
	load.read_all = n < (unsigned)ul_conf.fetch_rows;
	if (n && load.rows)
		load.ahead = db_rows_take(rows);
	else if (n)
		load.rows = db_rows_take(rows);
	turn_soon();
}

static int ask(void)
{
	struct db_val vals[UL_FETCH_VALS];
	unsigned n_vals;
	char mem[2048];
	struct strbuf sb;
	struct db *db;
	int err;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	err = ul_sql_load(&sb, load.d, load.asked_id, vals, &n_vals);
	if (err == 0)
		err = ul_db_open(&db);
	if (err == 0)
		err = db_query(db, strbuf_str(&sb), vals, n_vals, DEADLINE_MS, rows_came, NULL);
	if (err == 0)
		load.asked = true;
	return err;
}

/* Some rows. Returns a negative errno when memory is full: the rest waits. */
static int put_some(void)
{
	unsigned end = load.at + ROWS_PER_TURN, n = db_rows_n(load.rows);

	for (; load.at < n && load.at < end; load.at++) {
		struct db_val v[UL_N_COLS];
		int rc;

		ul_row_take(load.rows, load.at, v);
		rc = ul_row_load(load.d, v);
		if (rc < 0 && !is_unusable(rc))
			return rc;
		load.n_loaded += rc > 0;
	}
	if (load.at == n) {
		struct db_val id = db_rows_at(load.rows, n - 1, UL_N_COLS);
		int64_t last;

		if (db_val_int(&id, &last) == 0)
			atomic_store_explicit(&load.d->progress->last_id, last, memory_order_relaxed);
		db_rows_free(load.rows);
		load.rows = load.ahead;
		load.ahead = NULL;
		load.at = 0;
	}
	return 0;
}

static void load_turn(void *arg)
{
	int err = 0;

	(void)arg;
	load.pending = false;
	if (!load.d)
		return;
	if (!load.asked && !load.read_all && !load.ahead)
		err = ask();
	if (err == 0 && load.rows) {
		err = put_some();
		if (err < 0 && !load.full)
			log_fail(err, "usrloc: table %.*s: %u contacts are loaded, the next one not yet", STR_FMT(load.d->name), load.n_loaded);
		load.full = err < 0;
	}
	if (err < 0)
		retry_later();
	else if (load.rows)
		turn_soon();
	else if (load.read_all)
		load_end();
}

/* The next table that is still to be loaded. */
static void load_next(void)
{
	for (unsigned i = 0; !load.d && i < ul_domain_count(); i++)
		if (ul_loading(ul_domain_at(i)))
			load.d = ul_domain_at(i);
	if (!load.d)
		return;
	load.asked_id = atomic_load_explicit(&load.d->progress->last_id, memory_order_relaxed);
	load.n_loaded = 0;
	load.read_all = false;
	load.began_ms = clock_ms();
	turn_soon();
}

int ul_load_start(struct loop *loop)
{
	load.loop = loop;
	load.d = NULL;
	load_next();
	return 0;
}

/* ---- bringing one in ---- */

struct bring {
	struct ul_domain *d;
	ul_done_fn *done;
	void *arg;
	size_t n_aor;
	char aor[];
};

/* What comes behind the end of loading is old. */
static int list_load(struct ul_domain *d, struct str aor, const struct ul_list *list)
{
	for (unsigned i = 0; i < list->n && ul_loading(d); i++) {
		int rc = contact_load(d, aor, &list->c[i]);

		if (rc < 0 && !is_unusable(rc))
			return rc;
	}
	return 0;
}

static void brought(void *arg, int err, const struct ul_list *list)
{
	struct bring *b = arg;

	if (err == 0)
		err = list_load(b->d, str_of(b->aor, b->n_aor), list);
	b->done(b->arg, err);
	free(b);
}

void ul_bring(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_done_fn *done, void *arg)
{
	struct bring *b = malloc(sizeof(*b) + aor.n);

	if (!b)
		return; /* the waiter's own deadline tells it */
	b->d = d;
	b->done = done;
	b->arg = arg;
	b->n_aor = aor.n;
	if (aor.n)
		memcpy(b->aor, aor.s, aor.n);
	ul_fetch(d, aor, UL_VALID, deadline_ms, brought, b);
}
