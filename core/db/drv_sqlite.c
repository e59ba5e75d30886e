/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SQLite without waiting: statements run in threads of libuv's pool, at most one per connection at a time, in the order they came.
 *
 * A handle has two connections, one for reading and one for changing, because in WAL mode a reader never waits for a
 * writer: a registration being written, or another process that holds the write lock, delays no password look-up. A connection
 * opens in its first job, so even a file system that hangs blocks no worker.
 *
 * Dates are Julian days (REAL), as Kamailio's driver reads and writes them.
 */
#include "core/db/drv_sqlite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

#define FILES_MAX 16u
#define STMTS_MAX 32u         /* prepared statements kept per connection */
#define BUSY_DEFAULT_MS 10000 /* in a thread: nobody else waits for it */
#define JULIAN_EPOCH 2440587.5
#define WAL_PAGE 4096u        /* bytes; SQLite's default */
#define WAL_PAGES_MAX 1000u   /* SQLite's default, too */
#define WAL_PAGES_MIN 8

struct file_opts {
	char path[512];
	bool readonly;
	int busy_ms; /* -1: default */
	char journal[16];
};

static struct {
	struct file_opts file[FILES_MAX];
	unsigned n_files;
} g;

struct stmt {
	char *sql;
	size_t n;
	sqlite3_stmt *st;
	uint64_t used; /* last use, to find the oldest */
};

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
	sqlite3 *db;
	struct stmt stmt[STMTS_MAX];
	uint64_t clock;
	struct job *first, *last; /* waiting; touched by the loop only */
	struct job *running;      /* batch that a thread works on */
	uint64_t wait_until_us;   /* for the lock of another process */
	bool busy;
};

struct conn {
	struct loop *loop;
	char path[512];
	struct side read, write;
	bool closing;
};

static struct file_opts *file_find(const char *path, bool make)
{
	struct file_opts *f;

	for (unsigned i = 0; i < g.n_files; i++) {
		if (strcmp(g.file[i].path, path) == 0)
			return &g.file[i];
	}
	if (!make || g.n_files == FILES_MAX || strlen(path) >= sizeof(g.file[0].path))
		return NULL;
	f = &g.file[g.n_files++];
	memcpy(f->path, path, strlen(path) + 1);
	f->busy_ms = -1;
	return f;
}

static struct file_opts *file_make(struct str path)
{
	char z[512];

	if (path.n >= sizeof(z) || path.n == 0)
		return NULL;
	memcpy(z, path.s, path.n);
	z[path.n] = '\0';
	return file_find(z, true);
}

int drv_sqlite_set_readonly(struct str path)
{
	struct file_opts *f = file_make(path);

	if (!f)
		return -ENOSPC;
	f->readonly = true;
	return 0;
}

int drv_sqlite_set_busy_timeout(struct str path, unsigned ms)
{
	struct file_opts *f = file_make(path);

	if (!f)
		return -ENOSPC;
	f->busy_ms = (int)ms;
	return 0;
}

int drv_sqlite_set_journal_mode(struct str path, struct str mode, struct diag *reterr)
{
	static const char *const modes[] = { "WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF" };
	struct file_opts *f;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (!str_ieq(mode, str_lit(modes[i])))
			continue;
		f = file_make(path);
		if (!f)
			return diag_err(reterr, -ENOSPC, 0, "too many files or path too long");
		memcpy(f->journal, modes[i], strlen(modes[i]) + 1);
		return 0;
	}
	return diag_err(reterr, -EINVAL, 0, "journal mode \"%.*s\" is none of WAL DELETE TRUNCATE PERSIST MEMORY OFF",
	                STR_FMT(mode));
}

/* sqlite:///abs/path and sqlite:////abs/path both name /abs/path. */
static int path_of(struct str url, char out[512], struct diag *reterr)
{
	struct str p = url;

	if (!str_starts(p, STR_LIT("sqlite://")))
		return diag_err(reterr, -EINVAL, 0, "\"%.*s\" is no sqlite URL: sqlite:///absolute/path", STR_FMT(url));
	p = str_sub(p, 9, p.n);
	while (p.n > 1 && p.s[0] == '/' && p.s[1] == '/')
		p = str_sub(p, 1, p.n);
	if (p.n < 2 || p.s[0] != '/' || p.n >= 512 || memchr(p.s, '\0', p.n))
		return diag_err(reterr, -EINVAL, 0, "\"%.*s\": the path must be absolute, 2 to 511 bytes", STR_FMT(url));
	memcpy(out, p.s, p.n);
	out[p.n] = '\0';
	return 0;
}

/* The statement is to blame (-EIO), or the database is: locked, its disk full, not to be read or written. */
static int err_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_PROTOCOL:
		return -EREMOTEIO;
	default:
		return -EIO;
	}
}

/*
 * The log of changes (WAL) takes up to 4 MB before it moves into the file, on a small disk a sixteenth of what is free: a log that has taken all
 * room leaves the file none to grow into.
 */
static void wal_limit(sqlite3 *db, const char *path)
{
	struct statvfs fs;
	uint64_t pages;

	if (statvfs(path, &fs) != 0)
		return;
	pages = (uint64_t)fs.f_bavail * fs.f_frsize / 16 / WAL_PAGE;
	if (pages < WAL_PAGES_MAX)
		sqlite3_wal_autocheckpoint(db, pages < WAL_PAGES_MIN ? WAL_PAGES_MIN : (int)pages);
}

static unsigned busy_ms(const char *path)
{
	const struct file_opts *f = file_find(path, false);

	return f && f->busy_ms >= 0 ? (unsigned)f->busy_ms : BUSY_DEFAULT_MS;
}

static int open_file(const char *path, sqlite3 **ret_db, char *err_text, size_t size)
{
	const struct file_opts *f = file_find(path, false);
	bool readonly = f && f->readonly;
	sqlite3 *db = NULL;
	char pragma[64];
	int rc;

	rc = sqlite3_open_v2(path, &db,
	                     (readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
	                         SQLITE_OPEN_NOMUTEX,
	                     NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db, (int)busy_ms(path));
		rc = sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK && !readonly) {
		snprintf(pragma, sizeof(pragma), "PRAGMA journal_mode=%s", f && f->journal[0] ? f->journal : "WAL");
		rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
		if (rc == SQLITE_OK)
			rc = sqlite3_exec(db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
		if (rc == SQLITE_OK)
			wal_limit(db, path);
	}
	if (rc != SQLITE_OK) {
		snprintf(err_text, size, "%s: %s", path, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
		sqlite3_close(db);
		return err_of(rc);
	}
	*ret_db = db;
	return 0;
}

static void side_close(struct side *s)
{
	for (size_t i = 0; i < STMTS_MAX; i++) {
		sqlite3_finalize(s->stmt[i].st);
		free(s->stmt[i].sql);
		s->stmt[i] = (struct stmt){ 0 };
	}
	sqlite3_close(s->db);
	s->db = NULL;
}

static sqlite3_stmt *stmt_get(struct side *s, const char *sql, size_t n)
{
	struct stmt *oldest = &s->stmt[0];
	sqlite3_stmt *st = NULL;
	char *copy;

	for (size_t i = 0; i < STMTS_MAX; i++) {
		struct stmt *c = &s->stmt[i];

		if (c->st && c->n == n && memcmp(c->sql, sql, n) == 0) {
			c->used = ++s->clock;
			return c->st;
		}
		if (c->used < oldest->used)
			oldest = c;
	}
	if (sqlite3_prepare_v3(s->db, sql, (int)n, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK || !st)
		return NULL;
	copy = malloc(n);
	if (!copy) {
		sqlite3_finalize(st);
		return NULL;
	}
	memcpy(copy, sql, n);
	sqlite3_finalize(oldest->st);
	free(oldest->sql);
	*oldest = (struct stmt){ .sql = copy, .n = n, .st = st, .used = ++s->clock };
	return st;
}

static int bind_all(sqlite3_stmt *st, const struct db_val *params, unsigned n_params)
{
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < n_params && rc == SQLITE_OK; i++) {
		const struct db_val *v = &params[i];
		int at = (int)i + 1;

		switch (v->type) {
		case DB_NULL:
			rc = sqlite3_bind_null(st, at);
			break;
		case DB_INT:
			rc = sqlite3_bind_int64(st, at, v->i);
			break;
		case DB_DOUBLE:
			rc = sqlite3_bind_double(st, at, v->d);
			break;
		case DB_TIME:
			rc = sqlite3_bind_double(st, at, ((double)v->i - 0.5) / 86400.0 + JULIAN_EPOCH);
			break;
		case DB_STR:
			rc = sqlite3_bind_text64(st, at, v->s.s ? v->s.s : "", v->s.n, SQLITE_STATIC, SQLITE_UTF8);
			break;
		case DB_BLOB:
			rc = sqlite3_bind_blob64(st, at, v->s.s ? v->s.s : "", v->s.n, SQLITE_STATIC);
			break;
		}
	}
	return rc;
}

static bool is_time(sqlite3_stmt *st, int col)
{
	const char *decl = sqlite3_column_decltype(st, col);

	return decl && (strncasecmp(decl, "TIMESTAMP", 9) == 0 || strncasecmp(decl, "DATETIME", 8) == 0);
}

/* "2000-01-01 00:00:01": what the tables' defaults and SQL's own functions write. Before the costly question for the declared type. */
static bool looks_like_time(struct str s)
{
	return s.n >= 19 && s.s[4] == '-' && s.s[7] == '-' && (s.s[10] == ' ' || s.s[10] == 'T') && s.s[13] == ':' && s.s[16] == ':';
}

/* UTC; fractions of a second are cut off. */
static bool time_of_text(struct str s, int64_t *ret)
{
	struct tm tm = { 0 };
	char text[20];
	const char *end;

	memcpy(text, s.s, 19);
	text[10] = ' ';
	text[19] = '\0';
	end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	if (!end || *end)
		return false;
	*ret = timegm(&tm);
	return true;
}

static struct db_val column(sqlite3_stmt *st, int col)
{
	struct db_val v = { .type = DB_NULL };

	switch (sqlite3_column_type(st, col)) {
	case SQLITE_INTEGER:
		v.type = DB_INT;
		v.i = sqlite3_column_int64(st, col);
		break;
	case SQLITE_FLOAT:
		v.d = sqlite3_column_double(st, col);
		v.type = DB_DOUBLE;
		if (is_time(st, col)) {
			v.type = DB_TIME;
			/* half a second was taken off when it was written; the other half rounds */
			v.i = (int64_t)((v.d - JULIAN_EPOCH) * 86400.0 + 1.0);
		}
		break;
	case SQLITE_TEXT:
		v.type = DB_STR;
		v.s = str_of(sqlite3_column_text(st, col), (size_t)sqlite3_column_bytes(st, col));
		if (looks_like_time(v.s) && is_time(st, col) && time_of_text(v.s, &v.i))
			v.type = DB_TIME;
		break;
	case SQLITE_BLOB:
		v.type = DB_BLOB;
		v.s = str_of(sqlite3_column_blob(st, col), (size_t)sqlite3_column_bytes(st, col));
		break;
	default:
		break;
	}
	return v;
}

/* Runs one statement to its end. In a thread (or at start-up). */
static int run(struct side *s, const char *sql, size_t n, const struct db_val *params, unsigned n_params,
               struct db_rows **ret_rows, char *err_text, size_t size)
{
	struct db_val *vals = NULL;
	struct db_rows *rows = NULL;
	sqlite3_stmt *st = stmt_get(s, sql, n);
	int cols, rc, err = st ? -EIO : err_of(sqlite3_errcode(s->db));

	if (!st)
		goto fail;
	if ((unsigned)sqlite3_bind_parameter_count(st) != n_params || bind_all(st, params, n_params) != SQLITE_OK) {
		snprintf(err_text, size, "parameters do not fit the statement");
		sqlite3_clear_bindings(st);
		return -EINVAL;
	}
	cols = sqlite3_column_count(st);
	rows = db_rows_new((unsigned)cols);
	vals = calloc(cols ? (size_t)cols : 1, sizeof(*vals));
	if (!rows || !vals) {
		err = -ENOMEM;
		goto fail;
	}
	for (int i = 0; i < cols; i++) {
		if (db_rows_col(rows, (unsigned)i, str_lit(sqlite3_column_name(st, i))) < 0)
			goto fail;
	}
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (int i = 0; i < cols; i++)
			vals[i] = column(st, i);
		err = db_rows_add(rows, vals);
		if (err < 0)
			goto fail;
	}
	err = err_of(rc);
	if (rc != SQLITE_DONE)
		goto fail;
	db_rows_set_affected(rows, sqlite3_changes(s->db));
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	free(vals);
	*ret_rows = rows;
	return 0;
fail:
	snprintf(err_text, size, "%s", sqlite3_errmsg(s->db));
	if (st) {
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	}
	free(vals);
	db_rows_free(rows);
	return err;
}

/*
 * The disk is full: what the log of changes has moves into the file, where most of it has room already, and the log begins anew. The log
 * would move by itself at a length that a small disk may not have room for (wal_limit()), or that another process does not heed.
 */
static bool make_room(struct side *s)
{
	return sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
}

/* The database is locked: try again? SQLite's own timeout knows nothing of deadlines. */
static int on_busy(void *arg, int n_tries)
{
	const struct side *s = arg;

	if (clock_now_us() >= s->wait_until_us)
		return 0;
	usleep(n_tries < 10 ? 1000 : 5000);
	return 1;
}

static void wait_until(struct side *s, uint64_t deadline_us)
{
	uint64_t busy_us = clock_now_us() + (uint64_t)busy_ms(s->conn->path) * 1000;

	s->wait_until_us = deadline_us < busy_us ? deadline_us : busy_us;
}

static void job_run(struct side *s, struct job *j)
{
	if (clock_now_us() >= j->deadline_us) { /* the caller has gone on */
		j->err = -ETIMEDOUT;
		return;
	}
	wait_until(s, j->deadline_us);
	j->err_text[0] = '\0';
	j->err = run(s, j->sql, j->sql_n, j->params, j->n_params, &j->rows, j->err_text, sizeof(j->err_text));
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
		if (j->err < 0 && sqlite3_get_autocommit(s->db)) /* not the statement alone: all was undone */
			err = j->err;
	}
	if (err == 0 && sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	if (err == 0)
		err = err_of(sqlite3_errcode(s->db));
	snprintf(text, sizeof(text), "transaction: %s", sqlite3_errmsg(s->db));
	sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	batch_fail(s, err, text);
	return err;
}

static bool batch_begin(struct side *s)
{
	uint64_t last_us = 0;

	for (const struct job *j = s->running; j; j = j->next)
		last_us = j->deadline_us > last_us ? j->deadline_us : last_us;
	wait_until(s, last_us);
	return sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
}

/* In a thread: the whole batch. */
static void side_work(void *arg)
{
	struct side *s = arg;
	bool writes = s == &s->conn->write, may_make_room = writes;
	char text[200] = "";
	int err = 0;

	if (!s->db) {
		err = open_file(s->conn->path, &s->db, text, sizeof(text));
		if (err == 0)
			sqlite3_busy_handler(s->db, on_busy, s);
	}
	if (err < 0) {
		batch_fail(s, err, text);
		return;
	}
	if (writes && s->running->next && batch_begin(s) && batch_together(s) != -ENOSPC)
		return;
	/* one, or each for itself: busy, or there may be room for some */
	for (struct job *j = s->running; j; j = j->next) {
		job_run(s, j);
		if (j->err == -ENOSPC && may_make_room && make_room(s))
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
	side_close(&c->read);
	side_close(&c->write);
	free(c);
}

static void side_done(void *arg);

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
		side_done(s);
	}
}

static void side_done(void *arg)
{
	struct side *s = arg;
	struct conn *c = s->conn;
	struct job *j = s->running, *next;

	s->running = NULL;
	s->busy = false;
	for (; j; j = next) {
		next = j->next;
		if (c->closing)
			db_rows_free(j->rows);
		else
			j->done(j->arg, j->err, j->err < 0 ? NULL : j->rows, str_lit(j->err_text));
		job_free(j);
	}
	if (!c->closing) {
		side_start(s);
	} else if (!c->read.busy && !c->write.busy) {
		conn_free(c);
	}
}

static int drv_open(struct loop *loop, struct str url, void **ret_conn, struct diag *reterr)
{
	struct conn *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return diag_err(reterr, -ENOMEM, 0, "no memory for a database connection");
	err = path_of(url, c->path, reterr);
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

static int drv_query_sync(struct str url, struct str sql, const struct db_val *params, unsigned n_params,
                          struct db_rows **ret_rows, struct diag *reterr)
{
	char path[512], text[200] = "";
	struct side s = { 0 };
	int err = path_of(url, path, reterr);

	if (err < 0)
		return err;
	err = open_file(path, &s.db, text, sizeof(text));
	if (err < 0)
		return diag_err(reterr, err, 0, "database %s", text);
	err = run(&s, sql.s, sql.n, params, n_params, ret_rows, text, sizeof(text));
	if (err < 0)
		diag_err(reterr, err, 0, "database %s: %s", path, text);
	side_close(&s);
	return err;
}

static int drv_txn_sync(struct str url, db_next_fn *next, void *arg, struct diag *reterr)
{
	char path[512], text[200] = "";
	struct side s = { 0 };
	const struct db_val *params;
	unsigned n_params;
	struct str sql;
	int err = path_of(url, path, reterr), more = 0;

	if (err < 0)
		return err;
	err = open_file(path, &s.db, text, sizeof(text));
	if (err < 0)
		return diag_err(reterr, err, 0, "database %s", text);
	if (sqlite3_exec(s.db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		goto fail;
	while ((more = next(arg, &sql, &params, &n_params)) == 1) {
		struct db_rows *rows = NULL;

		err = run(&s, sql.s, sql.n, params, n_params, &rows, text, sizeof(text));
		db_rows_free(rows);
		if (err < 0)
			break;
	}
	if (err == 0 && more < 0) {
		err = more;
		snprintf(text, sizeof(text), "%s", strerror(-more));
	}
	if (err == 0 && sqlite3_exec(s.db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
		side_close(&s);
		return 0;
	}
fail:
	if (err == 0) {
		err = err_of(sqlite3_errcode(s.db));
		snprintf(text, sizeof(text), "%s", sqlite3_errmsg(s.db));
	}
	sqlite3_exec(s.db, "ROLLBACK", NULL, NULL, NULL);
	side_close(&s);
	return diag_err(reterr, err, 0, "database %s: %s", path, text);
}

static int drv_probe(struct str url, struct diag *reterr)
{
	char path[512], text[200] = "";
	sqlite3 *db;
	int err = path_of(url, path, reterr);

	if (err < 0)
		return err;
	err = open_file(path, &db, text, sizeof(text));
	if (err < 0)
		return diag_err(reterr, err, 0, "cannot open database %s", text);
	sqlite3_close(db);
	return 0;
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
