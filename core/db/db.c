/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Database handles of one process: which driver a URL names, the queries that wait for an answer, and their deadlines.
 *
 * A handle is made on first use and shared by all who name the same URL. Each query is a heap object that the driver carries
 * through; when its deadline passes the caller hears -ETIMEDOUT at once, the driver does not begin it any more, and a late answer is dropped. The
 * number of waiting queries is bounded: over it a query is refused, so that a dead database costs memory only up to there.
 */
#include "core/db/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/secret.h"
#include "core/db/db_priv.h"

#define DRIVERS_MAX 8
#define PROBED_MAX 16u /* databases that db_probe_again() knows */
#define QUEUE_MAX 10000u       /* queries of one handle that the driver has not answered, told off or not */
#define DEADLINE_CHECK_MS 20u  /* how exactly deadlines are kept */

struct db_query_state {
	struct db_query_state *next, *prev; /* waiting list of the handle, oldest first */
	struct db *db;
	db_done_fn *done; /* NULL: the caller was told already */
	void *arg;
	uint64_t deadline_ms;
	uint64_t start_us; /* 0: it is not timed */
	char what[80];     /* then: the query, cut */
};

struct db {
	struct db *next;
	struct str url;
	const struct db_driver *driver;
	void *conn;
	struct db_query_state *first, *last;
	unsigned n_unanswered;  /* also those whose caller heard -ETIMEDOUT: the driver still holds them */
	struct loop_timer *timer; /* runs while something waits */
	bool closed;              /* db_close_all(): nothing is asked any more */
};

static struct {
	const struct db_driver *driver[DRIVERS_MAX];
	unsigned n_drivers;
	struct db *handles;
	struct str probed[PROBED_MAX]; /* heap, for ever */
	unsigned n_probed;
	struct db_conf conf;
} g = { .conf = { .version_table = { "version", 7 } } };

void db_configure(const struct db_conf *conf)
{
	g.conf = *conf;
}

int db_driver_register(const struct db_driver *driver)
{
	for (unsigned i = 0; i < g.n_drivers; i++) {
		if (strcmp(g.driver[i]->scheme, driver->scheme) == 0)
			return g.driver[i] == driver ? 0 : -EEXIST;
	}
	if (g.n_drivers == DRIVERS_MAX)
		return -ENOSPC;
	g.driver[g.n_drivers++] = driver;
	return 0;
}

static int driver_find(struct str url, const struct db_driver **ret_driver, struct diag *reterr)
{
	ptrdiff_t colon = str_find_char(url, ':');
	struct str scheme, shown;
	char text[256];

	if (colon <= 0)
		return diag_err(reterr, -EINVAL, 0, "database URL \"%.*s\" has no driver: name://...", STR_FMT(url));
	scheme = str_sub(url, 0, (size_t)colon);
	for (unsigned i = 0; i < g.n_drivers; i++) {
		if (str_eq(scheme, str_lit(g.driver[i]->scheme))) {
			*ret_driver = g.driver[i];
			return 0;
		}
	}
	shown = secret_hidden(url, text, sizeof(text));
	return diag_err(reterr, -ENOENT, 0, "database URL \"%.*s\": module db_%.*s is not loaded", STR_FMT(shown), STR_FMT(scheme));
}

static void remember(struct str url)
{
	unsigned i = 0;

	while (i < g.n_probed && !str_eq(g.probed[i], url))
		i++;
	if (i < g.n_probed || i == PROBED_MAX)
		return;
	g.probed[i] = str_heap_dup(url);
	g.n_probed += g.probed[i].s != NULL;
}

int db_probe(struct str url, struct diag *reterr)
{
	const struct db_driver *driver;
	int err = driver_find(url, &driver, reterr);

	if (err == 0)
		err = driver->probe(url, reterr);
	if (err == 0)
		remember(url);
	return err;
}

int db_probe_again(struct diag *reterr)
{
	int err = 0;

	for (unsigned i = 0; i < g.n_probed && err == 0; i++)
		err = db_probe(g.probed[i], reterr);
	return err;
}

int db_sql_time(struct strbuf *out, struct str url, struct str table, struct str column)
{
	const struct db_driver *driver;
	int err = driver_find(url, &driver, NULL);

	if (err < 0)
		return err;
	if (driver->time_number)
		strbuf_printf(out, "%s(", driver->time_number);
	if (table.n > 0) {
		err = db_ident(out, table);
		strbuf_add_char(out, '.');
	}
	if (err == 0)
		err = db_ident(out, column);
	if (driver->time_number)
		strbuf_add_char(out, ')');
	return err;
}

int db_query_sync(struct str url, struct str sql, const struct db_val *params, unsigned n_params, struct db_rows **ret_rows,
                  struct diag *reterr)
{
	const struct db_driver *driver;
	int err = driver_find(url, &driver, reterr);

	return err < 0 ? err : driver->query_sync(url, sql, params, n_params, ret_rows, reterr);
}

int db_txn_sync(struct str url, db_next_fn *next, void *arg, struct diag *reterr)
{
	const struct db_driver *driver;
	int err = driver_find(url, &driver, reterr);

	if (err < 0)
		return err;
	if (!driver->txn_sync)
		return diag_err(reterr, -ENOTSUP, 0, "module db_%s has no transactions", driver->scheme);
	return driver->txn_sync(url, next, arg, reterr);
}

int db_table_version_check(struct str url, struct str table, int expected, struct diag *reterr)
{
	struct db_val param = { .type = DB_STR, .s = table };
	struct db_rows *rows = NULL;
	int64_t found = 0;
	char sql[160];
	int err;

	if (snprintf(sql, sizeof(sql), "SELECT table_version FROM \"%.*s\" WHERE table_name = ?", STR_FMT(g.conf.version_table)) >= (int)sizeof(sql) ||
	    str_find_char(g.conf.version_table, '"') >= 0)
		return diag_err(reterr, -EINVAL, 0, "version_table \"%.*s\" is no name of a table", STR_FMT(g.conf.version_table));
	err = db_query_sync(url, str_lit(sql), &param, 1, &rows, reterr);
	if (err < 0)
		return err;
	if (db_rows_n(rows) > 0) {
		struct db_val v = db_rows_at(rows, 0, 0);

		if (db_val_int(&v, &found) < 0)
			found = 0;
	}
	db_rows_free(rows);
	if (found != expected)
		return diag_err(reterr, -EPROTO, 0,
		                "invalid version %d for table %.*s found, expected %d (check table structure and table \"%.*s\")",
		                (int)found, STR_FMT(table), expected, STR_FMT(g.conf.version_table));
	return 0;
}

int db_get(struct str url, struct db **ret_db, struct diag *reterr)
{
	const struct db_driver *driver;
	struct str copy = STR_NULL;
	struct db *db;
	int err;

	for (db = g.handles; db; db = db->next) {
		if (!db->closed && str_eq(db->url, url)) {
			*ret_db = db;
			return 0;
		}
	}
	err = driver_find(url, &driver, reterr);
	if (err < 0)
		return err;
	db = calloc(1, sizeof(*db));
	copy = str_heap_dup(url);
	if (!db || !copy.s) {
		err = diag_err(reterr, -ENOMEM, 0, "no memory for a database handle");
		goto fail;
	}
	db->url = copy;
	db->driver = driver;
	err = driver->open(loop_self(), db->url, &db->conn, reterr);
	if (err < 0)
		goto fail;
	db->next = g.handles;
	g.handles = db;
	*ret_db = db;
	return 0;
fail:
	free((char *)(uintptr_t)copy.s);
	free(db);
	return err;
}

static void waiting_unlink(struct db_query_state *q)
{
	struct db *db = q->db;

	if (q->prev)
		q->prev->next = q->next;
	else
		db->first = q->next;
	if (q->next)
		q->next->prev = q->prev;
	else
		db->last = q->prev;
	q->next = q->prev = NULL;
}

/* Callbacks may start new queries, so each step begins at the head again; what was told is unlinked first. */
static void deadlines_check(void *arg)
{
	struct db *db = arg;
	uint64_t now = clock_ms();
	struct db_query_state *q = db->first, *next;

	while (q) {
		db_done_fn *done = q->done;

		next = q->next;
		if (q->deadline_ms > now) {
			q = next;
			continue;
		}
		q->done = NULL;
		waiting_unlink(q);
		done(q->arg, -ETIMEDOUT, NULL, STR_LIT("no answer before the deadline"));
		q = db->first;
	}
	if (!db->first) {
		loop_timer_del(db->timer);
		db->timer = NULL;
	}
}

static void latency_check(const struct db_query_state *q)
{
	uint64_t us = clock_now_us() - q->start_us;

	if (us >= g.conf.latency_us && log_on(g.conf.latency_level))
		log_write(g.conf.latency_level, "alert - query execution too long [%llu us] for [%s]", (unsigned long long)us, q->what);
}

static void answered(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	struct db_query_state *q = arg;

	if (UNLIKELY(q->start_us))
		latency_check(q);
	q->db->n_unanswered--;
	if (q->done) {
		waiting_unlink(q);
		q->done(q->arg, err, rows, err_text);
	}
	if (rows && !db_rows_is_taken(rows))
		db_rows_free(rows);
	free(q);
}

int db_query(struct db *db, struct str sql, const struct db_val *params, unsigned n_params, unsigned deadline_ms,
             db_done_fn *done, void *arg)
{
	struct db_query_state *q;
	int err;

	if (db->closed)
		return -ECANCELED;
	if (db->n_unanswered >= QUEUE_MAX)
		return -EBUSY;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->db = db;
	q->done = done;
	q->arg = arg;
	q->deadline_ms = clock_ms() + deadline_ms;
	if (UNLIKELY(g.conf.latency_us)) {
		q->start_us = clock_now_us();
		(void)snprintf(q->what, sizeof(q->what), "%.*s", STR_FMT(sql));
	}
	if (!db->timer) {
		err = loop_timer_add(loop_self(), DEADLINE_CHECK_MS, DEADLINE_CHECK_MS, deadlines_check, db, &db->timer);
		if (err < 0)
			goto fail;
	}
	err = db->driver->query(db->conn, sql, params, n_params, clock_now_us() + (uint64_t)deadline_ms * 1000, answered, q);
	if (err < 0)
		goto fail;
	q->prev = db->last;
	if (db->last)
		db->last->next = q;
	else
		db->first = q;
	db->last = q;
	db->n_unanswered++;
	return 0;
fail:
	free(q);
	return err;
}

void db_close_all(void)
{
	for (struct db *db = g.handles; db; db = db->next) {
		if (db->closed)
			continue;
		db->closed = true;
		while (db->first) {
			struct db_query_state *q = db->first;
			db_done_fn *done = q->done;

			q->done = NULL;
			waiting_unlink(q);
			done(q->arg, -ECANCELED, NULL, STR_LIT("the server stops"));
		}
		loop_timer_del(db->timer);
		db->timer = NULL;
		db->driver->close(db->conn);
		db->conn = NULL; /* the driver frees it when what is at work has ended */
	}
}

int db_ident(struct strbuf *out, struct str name)
{
	if (name.n == 0 || name.n > 64 || memchr(name.s, '\0', name.n) || memchr(name.s, '"', name.n))
		return -EINVAL;
	strbuf_add_char(out, '"');
	strbuf_add(out, name);
	strbuf_add_char(out, '"');
	return 0;
}
