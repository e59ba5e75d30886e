/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to a file of SQLite: how the file is opened, statements that stay prepared, values in and out. Every call may wait, for
 * a disk or for the lock of another process: drv_sqlite.c calls from threads, or at start-up.
 *
 * Dates are Julian days (REAL), as Kamailio's driver reads and writes them.
 */
#include "core/db/sqlite_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/db/drv_sqlite.h"

#define FILES_MAX 16u
#define BUSY_DEFAULT_MS 10000 /* in a thread: nobody else waits for it */
#define JULIAN_EPOCH 2440587.5
#define WAL_PAGE 4096u        /* bytes; SQLite's default */
#define WAL_PAGES_MAX 1000u   /* SQLite's default, too */
#define WAL_PAGES_MIN 8
#define FOLDER_TRIES 100u     /* of 10 ms: for the lock on the folder */

struct file_opts {
	char path[SQLITE_PATH_MAX];
	bool readonly;
	int busy_ms; /* -1: default */
	char journal[16];
};

static struct {
	struct file_opts file[FILES_MAX];
	unsigned n_files;
} g;

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
	char z[SQLITE_PATH_MAX];

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
int sqlite_url_path(struct str url, char out[SQLITE_PATH_MAX], struct diag *reterr)
{
	struct str p = url;

	if (!str_starts(p, STR_LIT("sqlite://")))
		return diag_err(reterr, -EINVAL, 0, "\"%.*s\" is no sqlite URL: sqlite:///absolute/path", STR_FMT(url));
	p = str_sub(p, 9, p.n);
	while (p.n > 1 && p.s[0] == '/' && p.s[1] == '/')
		p = str_sub(p, 1, p.n);
	if (p.n < 2 || p.s[0] != '/' || p.n >= SQLITE_PATH_MAX || memchr(p.s, '\0', p.n))
		return diag_err(reterr, -EINVAL, 0, "\"%.*s\": the path must be absolute, 2 to 511 bytes", STR_FMT(url));
	memcpy(out, p.s, p.n);
	out[p.n] = '\0';
	return 0;
}

/* The statement is to blame (-EIO), or the database is: locked, its disk full, not to be read or written. */
int sqlite_err_of(int rc)
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

unsigned sqlite_busy_ms(const char *path)
{
	const struct file_opts *f = file_find(path, false);

	return f && f->busy_ms >= 0 ? (unsigned)f->busy_ms : BUSY_DEFAULT_MS;
}

/* The files that SQLite keeps beside path. Returns whether there is one. */
static bool beside(const char *path, const char *suffix, char name[SQLITE_PATH_MAX + 8], struct stat *ret_st)
{
	(void)snprintf(name, SQLITE_PATH_MAX + 8, "%s%s", path, suffix);
	return stat(name, ret_st) == 0;
}

static void remember_beside(struct sqlite_conn *c, const char *path)
{
	char name[SQLITE_PATH_MAX + 8];
	struct stat st;

	c->wal.ino = c->shm.ino = 0;
	if (beside(path, "-wal", name, &st)) {
		c->wal.dev = st.st_dev;
		c->wal.ino = st.st_ino;
	}
	if (beside(path, "-shm", name, &st)) {
		c->shm.dev = st.st_dev;
		c->shm.ino = st.st_ino;
	}
}

int sqlite_conn_open(struct sqlite_conn *c, const char *path, bool make, char *err_text, size_t size)
{
	const struct file_opts *f = file_find(path, false);
	bool readonly = f && f->readonly;
	sqlite3 *db = NULL;
	char pragma[64];
	int rc;

	rc = sqlite3_open_v2(path, &db,
	                     (readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | (make ? SQLITE_OPEN_CREATE : 0)) |
	                         SQLITE_OPEN_NOMUTEX,
	                     NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db, (int)sqlite_busy_ms(path));
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
		return sqlite_err_of(rc);
	}
	c->db = db;
	remember_beside(c, path);
	return 0;
}

/* Processes do the following one after the other. The folder's own lock is none of SQLite's. Returns a descriptor that holds it, or a negative errno. */
static int lock_folder(const char *path)
{
	char dir[SQLITE_PATH_MAX];
	size_t n = (size_t)(strrchr(path, '/') - path);
	int fd;

	memcpy(dir, path, n);
	dir[n] = '\0';
	fd = open(n ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i == FOLDER_TRIES) {
			close(fd);
			return -EBUSY;
		}
		usleep(10000);
	}
	return fd;
}

/*
 * What SQLite keeps beside a file (the log of changes and its index) goes by the name. Left behind by the file that had it, it would be taken for the new
 * one's and destroy it. What another process has opened for the new one is another inode.
 */
static void remove_beside(const char *path, const char *suffix, dev_t dev, ino_t ino)
{
	char name[SQLITE_PATH_MAX + 8];
	struct stat st;

	if (ino && beside(path, suffix, name, &st) && st.st_dev == dev && st.st_ino == ino)
		(void)unlink(name);
}

int sqlite_conn_follow(struct sqlite_conn *c, const char *path, char *err_text, size_t size)
{
	const struct file_opts *f = file_find(path, false);
	bool readonly = f && f->readonly;
	int moved = 0, lock, err;

	if (sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || !moved)
		return 0;
	lock = lock_folder(path);
	if (lock < 0 || (!readonly && !sqlite_conn_make_room(c))) { /* what was acknowledged goes into the file that it was written to */
		snprintf(err_text, size, "%s has another name or none, and is not whole without its log: %s", path,
		         lock < 0 ? strerror(-lock) : sqlite3_errmsg(c->db));
		err = -EREMOTEIO;
	} else {
		sqlite_conn_close(c);
		if (!readonly) {
			remove_beside(path, "-wal", c->wal.dev, c->wal.ino);
			remove_beside(path, "-shm", c->shm.dev, c->shm.ino);
		}
		err = sqlite_conn_open(c, path, false, err_text, size);
	}
	if (lock >= 0)
		close(lock);
	return err < 0 ? err : 1;
}

void sqlite_conn_close(struct sqlite_conn *c)
{
	for (size_t i = 0; i < SQLITE_STMTS_MAX; i++) {
		sqlite3_finalize(c->stmt[i].st);
		free(c->stmt[i].sql);
		c->stmt[i] = (struct sqlite_stmt){ 0 };
	}
	sqlite3_close(c->db);
	c->db = NULL;
}

static sqlite3_stmt *stmt_get(struct sqlite_conn *c, const char *sql, size_t n)
{
	struct sqlite_stmt *oldest = &c->stmt[0];
	sqlite3_stmt *st = NULL;
	char *copy;

	for (size_t i = 0; i < SQLITE_STMTS_MAX; i++) {
		struct sqlite_stmt *kept = &c->stmt[i];

		if (kept->st && kept->n == n && memcmp(kept->sql, sql, n) == 0) {
			kept->used = ++c->clock;
			return kept->st;
		}
		if (kept->used < oldest->used)
			oldest = kept;
	}
	if (sqlite3_prepare_v3(c->db, sql, (int)n, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK || !st)
		return NULL;
	copy = malloc(n);
	if (!copy) {
		sqlite3_finalize(st);
		return NULL;
	}
	memcpy(copy, sql, n);
	sqlite3_finalize(oldest->st);
	free(oldest->sql);
	*oldest = (struct sqlite_stmt){ .sql = copy, .n = n, .st = st, .used = ++c->clock };
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
int sqlite_conn_run(struct sqlite_conn *c, const char *sql, size_t n, const struct db_val *params, unsigned n_params,
               struct db_rows **ret_rows, char *err_text, size_t size)
{
	struct db_val *vals = NULL;
	struct db_rows *rows = NULL;
	sqlite3_stmt *st = stmt_get(c, sql, n);
	int cols, rc, err = st ? -EIO : sqlite_err_of(sqlite3_errcode(c->db));

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
	err = sqlite_err_of(rc);
	if (rc != SQLITE_DONE)
		goto fail;
	db_rows_set_affected(rows, sqlite3_changes(c->db));
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	free(vals);
	*ret_rows = rows;
	return 0;
fail:
	snprintf(err_text, size, "%s", sqlite3_errmsg(c->db));
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
bool sqlite_conn_make_room(struct sqlite_conn *c)
{
	return sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
}
