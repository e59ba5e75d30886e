/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection to a file of SQLite. For drv_sqlite.c alone. All of it may wait; a connection serves one thread at a time. */
#ifndef RF_DB_SQLITE_CONN_H
#define RF_DB_SQLITE_CONN_H

#include <sqlite3.h>
#include <sys/types.h>

#include "core/db/db.h"

#define SQLITE_STMTS_MAX 32u /* prepared statements kept per connection */
#define SQLITE_PATH_MAX 512u

struct sqlite_conn { /* all zero: not open */
	sqlite3 *db;
	struct sqlite_stmt {
		char *sql;
		size_t n;
		sqlite3_stmt *st;
		uint64_t used; /* last use, to find the oldest */
	} stmt[SQLITE_STMTS_MAX];
	uint64_t clock;
	struct { dev_t dev; ino_t ino; } wal, shm; /* the files beside it that this connection has open; ino 0: none */
};

/* The path of an URL. Returns 0, or -EINVAL with the reason. */
MUST_CHECK int sqlite_url_path(struct str url, char out[SQLITE_PATH_MAX], struct diag *reterr);
/* How long a statement on that file waits for the lock of another process. */
unsigned sqlite_busy_ms(const char *path);
/* What a result code of the library means: -EIO the statement is to blame; else the database (db.h). */
int sqlite_err_of(int rc);
/*
 * Opens the file, as the parameters of module db_sqlite say; make: also when there is none, which only a start does. Failures of this and the next two: a
 * negative errno, and why in err_text (size bytes).
 */
MUST_CHECK int sqlite_conn_open(struct sqlite_conn *c, const char *path, bool make, char *err_text, size_t size);
/*
 * Looks whether the file still has its name; if not, finishes with it and opens what has the name now. Returns 0: it has; 1: another one is open; or a
 * failure: nothing is open, or, when the old file cannot be finished with, still that.
 */
MUST_CHECK int sqlite_conn_follow(struct sqlite_conn *c, const char *path, char *err_text, size_t size);
/* Runs one statement to its end. ret_rows is the caller's: db_rows_free(). */
MUST_CHECK int sqlite_conn_run(struct sqlite_conn *c, const char *sql, size_t n, const struct db_val *params, unsigned n_params,
                               struct db_rows **ret_rows, char *err_text, size_t size);
/* After -ENOSPC: true when trying again is worth it. */
bool sqlite_conn_make_room(struct sqlite_conn *c);
/* One that is not open is accepted. */
void sqlite_conn_close(struct sqlite_conn *c);

#endif
