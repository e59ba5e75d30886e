/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SQLite without waiting: statements run in threads of libuv's pool, at most one per connection at a time, in the order they came.
 *
 * A handle has two connections, one for reading and one for changing, because in WAL mode a reader never waits for a
 * writer: a registration being written, or another process that holds the write lock, delays no password look-up. A connection
 * opens in its first job, so even a file system that hangs blocks no worker.
 *
 * What a statement does on its connection is sqlite_conn.c.
 */
#include "core/db/drv_sqlite.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/sqlite_conn.h"

#define LOOK_US 1000000u /* how often it is looked whether the file still has its name */

struct job {
	struct job *next;
	char *sql;
	size_t sql_n;
	struct db_val *params;
	unsigned n_params;
	uint64_t deadline_us;
	void (*done)(void *arg, int err, struct db_rows *rows, struct str err_text);
	void *arg;
	int err;
	struct db_rows *rows;
	char err_text[200];
};

struct side { /* one connection and its queue */
	struct conn *conn;
	struct sqlite_conn at;
	struct job *first, *last; /* waiting; touched by the loop only */
	struct job *running;      /* batch that a thread works on */
	uint64_t wait_until_us;   /* for the lock of another process */
	uint64_t looked_us;       /* when the file last had its name; of the thread */
	bool busy;
	bool followed;            /* another file was opened: to be told by the loop */
};

struct conn {
	struct loop *loop;
	char path[SQLITE_PATH_MAX];
	struct side read, write;
	atomic_bool closing; /* threads read it: all has been told off */
};

/* The database is locked: try again? SQLite's own timeout knows nothing of deadlines. */
static int on_busy(void *arg, int n_tries)
{
	const struct side *s = arg;

	if (clock_now_us() >= s->wait_until_us || atomic_load(&s->conn->closing))
		return 0;
	usleep(n_tries < 10 ? 1000 : 5000);
	return 1;
}

static void wait_until(struct side *s, uint64_t deadline_us)
{
	uint64_t busy_us = clock_now_us() + (uint64_t)sqlite_busy_ms(s->conn->path) * 1000;

	s->wait_until_us = deadline_us < busy_us ? deadline_us : busy_us;
}

static void job_run(struct side *s, struct job *j)
{
	if (atomic_load(&s->conn->closing)) {
		j->err = -ECANCELED;
		return;
	}
	if (clock_now_us() >= j->deadline_us) { /* the caller has gone on */
		j->err = -ETIMEDOUT;
		return;
	}
	wait_until(s, j->deadline_us);
	j->err_text[0] = '\0';
	j->err = sqlite_conn_run(&s->at, j->sql, j->sql_n, j->params, j->n_params, &j->rows, j->err_text, sizeof(j->err_text));
	if (j->err == -EBUSY && clock_now_us() >= j->deadline_us)
		j->err = -ETIMEDOUT;
}

static void batch_fail(struct side *s, int err, const char *text)
{
	for (struct job *j = s->running; j; j = j->next) {
		j->err = err;
		snprintf(j->err_text, sizeof(j->err_text), "%s", text);
		db_rows_free(j->rows);
		j->rows = NULL;
	}
}

/* All in one transaction, so that a batch costs one sync. Returns 0, or why all of it failed. */
static int batch_together(struct side *s)
{
	char text[200];
	int err = 0;

	for (struct job *j = s->running; j && err == 0; j = j->next) {
		job_run(s, j);
		if (j->err < 0 && sqlite3_get_autocommit(s->at.db)) /* not the statement alone: all was undone */
			err = j->err;
	}
	if (err == 0 && sqlite3_exec(s->at.db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	if (err == 0)
		err = sqlite_err_of(sqlite3_errcode(s->at.db));
	snprintf(text, sizeof(text), "transaction: %s", sqlite3_errmsg(s->at.db));
	sqlite3_exec(s->at.db, "ROLLBACK", NULL, NULL, NULL);
	batch_fail(s, err, text);
	return err;
}

static bool batch_begin(struct side *s)
{
	uint64_t last_us = 0;

	for (const struct job *j = s->running; j; j = j->next)
		last_us = j->deadline_us > last_us ? j->deadline_us : last_us;
	wait_until(s, last_us);
	return sqlite3_exec(s->at.db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
}

/* Opens the connection, or has it follow the name to another file. */
static int side_open(struct side *s, char *text, size_t size)
{
	uint64_t now = clock_now_us();
	bool open = s->at.db != NULL;
	int err;

	if (open && now < s->looked_us + LOOK_US)
		return 0;
	wait_until(s, now + LOOK_US);
	err = open ? sqlite_conn_follow(&s->at, s->conn->path, text, size) : sqlite_conn_open(&s->at, s->conn->path, false, text, size);
	if (err < 0)
		return err;
	s->looked_us = now;
	s->followed = err > 0;
	if (err > 0 || !open)
		sqlite3_busy_handler(s->at.db, on_busy, s);
	return 0;
}

/* In a thread: the whole batch. */
static void side_work(void *arg)
{
	struct side *s = arg;
	bool writes = s == &s->conn->write, may_make_room = writes;
	char text[200] = "";
	int err = side_open(s, text, sizeof(text));

	if (err < 0) {
		batch_fail(s, err, text);
		return;
	}
	if (writes && s->running->next && batch_begin(s) && batch_together(s) != -ENOSPC)
		return;
	/* one, or each for itself: busy, or there may be room for some */
	for (struct job *j = s->running; j; j = j->next) {
		job_run(s, j);
		if (j->err == -ENOSPC && may_make_room && sqlite_conn_make_room(&s->at))
			job_run(s, j);
		else if (j->err < 0)
			may_make_room = may_make_room && j->err != -ENOSPC;
	}
}

static void job_free(struct job *j)
{
	free(j->params);
	free(j->sql);
	free(j);
}

static void conn_free(struct conn *c)
{
	sqlite_conn_close(&c->read.at);
	sqlite_conn_close(&c->write.at);
	free(c);
}

static void side_done(void *arg, bool ending);

static void side_start(struct side *s)
{
	if (s->busy || !s->first)
		return;
	s->running = s->first;
	s->first = s->last = NULL;
	s->busy = true;
	if (loop_work(s->conn->loop, side_work, side_done, s) < 0) {
		for (struct job *j = s->running; j; j = j->next)
			j->err = -ENOMEM;
		side_done(s, false);
	}
}

static void side_done(void *arg, bool ending)
{
	struct side *s = arg;
	struct conn *c = s->conn;
	struct job *j = s->running, *next;

	s->running = NULL;
	s->busy = false;
	if (s->followed)
		log_notice("database %s: this name has another file now, which was opened", c->path);
	s->followed = false;
	for (; j; j = next) {
		next = j->next;
		if (ending && !c->closing) /* nobody is there any more */
			db_rows_free(j->rows);
		else
			j->done(j->arg, j->err, j->err < 0 ? NULL : j->rows, str_lit(j->err_text));
		job_free(j);
	}
	if (!c->closing && !ending)
		side_start(s);
	else if (c->closing && !c->read.busy && !c->write.busy)
		conn_free(c);
}

static int drv_open(struct loop *loop, struct str url, void **ret_conn, struct diag *reterr)
{
	struct conn *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return diag_err(reterr, -ENOMEM, 0, "no memory for a database connection");
	err = sqlite_url_path(url, c->path, reterr);
	if (err < 0) {
		free(c);
		return err;
	}
	c->loop = loop;
	c->read.conn = c->write.conn = c;
	*ret_conn = c;
	return 0;
}

static void jobs_drop(struct side *s)
{
	while (s->first) {
		struct job *j = s->first;

		s->first = j->next;
		j->done(j->arg, -ECANCELED, NULL, STR_NULL);
		job_free(j);
	}
	s->last = NULL;
}

static void drv_close(void *conn)
{
	struct conn *c = conn;

	c->closing = true;
	jobs_drop(&c->read);
	jobs_drop(&c->write);
	if (!c->read.busy && !c->write.busy)
		conn_free(c);
}

/* Values are copied behind their array, texts and all. */
static struct db_val *params_dup(const struct db_val *params, unsigned n)
{
	size_t bytes = 0;
	struct db_val *copy;
	char *p;

	for (unsigned i = 0; i < n; i++)
		bytes += params[i].type == DB_STR || params[i].type == DB_BLOB ? params[i].s.n : 0;
	copy = malloc(sizeof(*copy) * (n ? n : 1) + bytes);
	if (!copy)
		return NULL;
	p = (char *)(copy + (n ? n : 1));
	for (unsigned i = 0; i < n; i++) {
		copy[i] = params[i];
		if ((params[i].type == DB_STR || params[i].type == DB_BLOB) && params[i].s.n) {
			memcpy(p, params[i].s.s, params[i].s.n);
			copy[i].s.s = p;
			p += params[i].s.n;
		}
	}
	return copy;
}

static int drv_query(void *conn, struct str sql, const struct db_val *params, unsigned n_params, uint64_t deadline_us,
                     void (*done)(void *arg, int err, struct db_rows *rows, struct str err_text), void *arg)
{
	struct conn *c = conn;
	struct str word = str_trim(sql);
	struct side *s = str_istarts(word, STR_LIT("SELECT")) ? &c->read : &c->write;
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->sql = malloc(sql.n + 1);
	j->params = params_dup(params, n_params);
	if (!j->sql || !j->params) {
		job_free(j);
		return -ENOMEM;
	}
	memcpy(j->sql, sql.s, sql.n);
	j->sql[sql.n] = '\0';
	j->sql_n = sql.n;
	j->n_params = n_params;
	j->deadline_us = deadline_us;
	j->err = -ECANCELED; /* unless it is begun */
	j->done = done;
	j->arg = arg;
	if (s->last)
		s->last->next = j;
	else
		s->first = j;
	s->last = j;
	side_start(s);
	return 0;
}

/* Opens the file of an URL in the calling process. path: the file; what: how the reason begins. A start probes first, which makes the file. */
static int open_now(struct str url, struct sqlite_conn *c, char path[SQLITE_PATH_MAX], bool make, const char *what, struct diag *reterr)
{
	char text[200] = "";
	int err = sqlite_url_path(url, path, reterr);

	if (err < 0)
		return err;
	err = sqlite_conn_open(c, path, make, text, sizeof(text));
	return err < 0 ? diag_err(reterr, err, 0, "%s %s", what, text) : 0;
}

static int drv_query_sync(struct str url, struct str sql, const struct db_val *params, unsigned n_params,
                          struct db_rows **ret_rows, struct diag *reterr)
{
	char path[SQLITE_PATH_MAX], text[200] = "";
	struct sqlite_conn c = { 0 };
	int err = open_now(url, &c, path, false, "database", reterr);

	if (err < 0)
		return err;
	err = sqlite_conn_run(&c, sql.s, sql.n, params, n_params, ret_rows, text, sizeof(text));
	if (err < 0)
		diag_err(reterr, err, 0, "database %s: %s", path, text);
	sqlite_conn_close(&c);
	return err;
}

static int drv_txn_sync(struct str url, db_next_fn *next, void *arg, struct diag *reterr)
{
	char path[SQLITE_PATH_MAX], text[200] = "";
	struct sqlite_conn c = { 0 };
	const struct db_val *params;
	unsigned n_params;
	struct str sql;
	int err = open_now(url, &c, path, false, "database", reterr), more = 0;

	if (err < 0)
		return err;
	if (sqlite3_exec(c.db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		goto fail;
	while ((more = next(arg, &sql, &params, &n_params)) == 1) {
		struct db_rows *rows = NULL;

		err = sqlite_conn_run(&c, sql.s, sql.n, params, n_params, &rows, text, sizeof(text));
		db_rows_free(rows);
		if (err < 0)
			break;
	}
	if (err == 0 && more < 0) {
		err = more;
		snprintf(text, sizeof(text), "%s", strerror(-more));
	}
	if (err == 0 && sqlite3_exec(c.db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
		sqlite_conn_close(&c);
		return 0;
	}
fail:
	if (err == 0) {
		err = sqlite_err_of(sqlite3_errcode(c.db));
		snprintf(text, sizeof(text), "%s", sqlite3_errmsg(c.db));
	}
	sqlite3_exec(c.db, "ROLLBACK", NULL, NULL, NULL);
	sqlite_conn_close(&c);
	return diag_err(reterr, err, 0, "database %s: %s", path, text);
}

static int drv_probe(struct str url, struct diag *reterr)
{
	char path[SQLITE_PATH_MAX];
	struct sqlite_conn c = { 0 };
	int err = open_now(url, &c, path, true, "cannot open database", reterr);

	if (err == 0)
		sqlite_conn_close(&c);
	return err;
}

const struct db_driver db_driver_sqlite = {
	.scheme = "sqlite",
	.probe = drv_probe,
	.open = drv_open,
	.close = drv_close,
	.query = drv_query,
	.query_sync = drv_query_sync,
	.txn_sync = drv_txn_sync,
	.time_number = "julianday",
};
