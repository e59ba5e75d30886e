/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Databases, without waiting: a query with parameters goes out, rows or an error come back to a continuation in the
 * same process. Values never become part of SQL text; only names from our own tables and settings do, quoted.
 */
#ifndef RF_DB_DB_H
#define RF_DB_DB_H

#include "core/base/diag.h"
#include "core/base/value.h"
#include "core/event/loop.h"

struct db;        /* one database of one process: connections, queue */
struct db_rows;

enum db_type { DB_NULL, DB_INT, DB_DOUBLE, DB_STR, DB_BLOB, DB_TIME /* seconds since the epoch */ };

struct db_val {
	enum db_type type;
	int64_t i;       /* DB_INT, DB_TIME */
	double d;
	struct str s;    /* DB_STR, DB_BLOB */
};

/* Gives the next statement of a transaction: 1 with sql and its parameters (both live until the next call), 0 at the end, or a negative
 * errno, which undoes all. */
typedef int db_next_fn(void *arg, struct str *ret_sql, const struct db_val **ret_params, unsigned *ret_n_params);

/* A driver: sqlite in module db_sqlite, postgres in db_postgres. Registered when its module is loaded. */
struct db_driver {
	const char *scheme;      /* "sqlite" */
	/* Checks the URL and that the database can be opened, at start-up (may block). Returns 0 or negative errno with the reason. */
	int (*probe)(struct str url, struct diag *reterr);
	int (*open)(struct loop *loop, struct str url, void **ret_conn, struct diag *reterr);
	/* Queries that have not begun are answered with -ECANCELED from within, what is at work when it ends. */
	void (*close)(void *conn);
	/* Starts one query: text with ? placeholders. done is called once from the loop, never from within. What has not begun at deadline_us
	 * (clock_now_us()) must not begin any more: the caller was told that it failed, and may have written something else since. */
	int (*query)(void *conn, struct str sql, const struct db_val *params, unsigned n_params, uint64_t deadline_us,
		     void (*done)(void *arg, int err, struct db_rows *rows, struct str err_text), void *arg);
	/* Blocking, for start-up only (loading tables, versions). */
	int (*query_sync)(struct str url, struct str sql, const struct db_val *params, unsigned n_params, struct db_rows **ret_rows, struct diag *reterr);
	/* Blocking: all that next() gives, in one transaction. NULL: not supported. */
	int (*txn_sync)(struct str url, db_next_fn *next, void *arg, struct diag *reterr);
	/* SQL function that makes a number of a time in whatever form it is stored; NULL: times compare as they are. */
	const char *time_number;
};
struct db_conf { /* core parameters; texts live for ever */
	struct str version_table; /* table that holds the versions of tables */
	unsigned latency_us;      /* queries that take so long are logged; 0: none is timed */
	int latency_level;        /* at this level */
};
/* At start, and when parameters changed. */
void db_configure(const struct db_conf *conf);
MUST_CHECK int db_driver_register(const struct db_driver *driver);

/* Start-up: does the URL name a loaded driver and a database that opens? -ENOENT "module db_xyz not found", ... */
MUST_CHECK int db_probe(struct str url, struct diag *reterr);
/* The same of all that did then: for a process that has another user, or another root, since. */
MUST_CHECK int db_probe_again(struct diag *reterr);
/* Row of table `version` (version_table); compares. Returns 0, -EPROTO with "invalid version X for table T found, expected Y ...". */
MUST_CHECK int db_table_version_check(struct str url, struct str table, int expected, struct diag *reterr);
/* Start-up only: blocks. */
MUST_CHECK int db_query_sync(struct str url, struct str sql, const struct db_val *params, unsigned n_params, struct db_rows **ret_rows, struct diag *reterr);

/* Start-up, shutdown and process rpcd only: blocks. All statements, or none. -ENOTSUP when the driver has no transactions. */
MUST_CHECK int db_txn_sync(struct str url, db_next_fn *next, void *arg, struct diag *reterr);

/* This process's handle of a database: opened on first use, shared by all who name the same URL. */
MUST_CHECK int db_get(struct str url, struct db **ret_db, struct diag *reterr);

/* err: 0; -ETIMEDOUT (deadline), -EIO (the statement was refused, and will be: err_text), -EBUSY (locked), -ENOSPC (its disk is full), -EREMOTEIO (it
 * cannot be read or written), -ENOTCONN, -ECANCELED (shutdown). rows NULL unless
 * err is 0 and it was a SELECT; freed after return unless db_rows_take(). */
typedef void db_done_fn(void *arg, int err, struct db_rows *rows, struct str err_text);
/*
 * Queues one statement; '?' marks a parameter. At most `queue_max` wait: over it -EBUSY at once (shed).
 * After db_close_all() -ECANCELED at once.
 * deadline_ms: then done gets -ETIMEDOUT. A statement that has begun by then is carried out, and its answer dropped; no other is begun.
 */
MUST_CHECK int db_query(struct db *db, struct str sql, const struct db_val *params, unsigned n_params, unsigned deadline_ms, db_done_fn *done, void *arg);

/* Process's end: waiting queries get -ECANCELED, connections are closed when what is at work on them ends. Handles stay: a
 * query that comes afterwards gets -ECANCELED from db_query(). */
void db_close_all(void);

unsigned db_rows_n(const struct db_rows *rows);
unsigned db_rows_cols(const struct db_rows *rows);
/* Out of range: DB_NULL. The text lives as long as rows. */
struct db_val db_rows_at(const struct db_rows *rows, unsigned row, unsigned col);
struct str db_rows_col_name(const struct db_rows *rows, unsigned col);
int64_t db_rows_affected(const struct db_rows *rows);
void db_rows_free(struct db_rows *rows);
/* In a continuation: the caller keeps the result and frees it later. */
struct db_rows *db_rows_take(struct db_rows *rows);
/* Drivers build results with these. */
MUST_CHECK struct db_rows *db_rows_new(unsigned n_cols);
MUST_CHECK int db_rows_col(struct db_rows *rows, unsigned col, struct str name);
MUST_CHECK int db_rows_add(struct db_rows *rows, const struct db_val *vals); /* n_cols values, copied */
void db_rows_set_affected(struct db_rows *rows, int64_t n);

/* "name" quoted as an SQL identifier into out; refuses NUL and over 64 bytes. */
struct strbuf;
MUST_CHECK int db_ident(struct strbuf *out, struct str name);
/* "julianday(table.column)", or without a function: how this database's times compare. table n 0: none. Names are quoted. */
MUST_CHECK int db_sql_time(struct strbuf *out, struct str url, struct str table, struct str column);
/* Conversions between columns and values. */
MUST_CHECK int db_val_int(const struct db_val *v, int64_t *ret);
struct str db_val_str(const struct db_val *v); /* n 0 unless text */

#endif
