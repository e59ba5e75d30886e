/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that speak to the database share: rows, statements, batches. */
#ifndef RF_MODULES_UL_DB_H
#define RF_MODULES_UL_DB_H

#include "core/base/strbuf.h"
#include "modules/usrloc/ul_priv.h"

#define UL_BATCH_ROWS 50u /* rows of one statement */
#define UL_NEVER_S 172800 /* times before are "does not expire": 0, give or take zones and rounding */

struct op;

/* --- ul_row.c --- */
struct db_val ul_val_int(int64_t i);
struct db_val ul_val_text(struct str s);
struct db_val ul_val_time(int64_t t); /* as expires_type says */
void ul_aor_split(struct str aor, struct str *ret_user, struct str *ret_domain);
/* NULL texts would be refused by NOT NULL columns. */
void ul_vals_fix(struct db_val *v, unsigned n);
void ul_row_vals(struct str aor, const struct ul_contact *c, struct db_val v[UL_N_COLS]);
/* Views into the row. */
void ul_row_contact(const struct db_val v[UL_N_COLS], struct ul_contact *c);
/* mem holds user@domain when both are needed. -EMSGSIZE: too long, or empty. */
MUST_CHECK int ul_row_aor(const struct db_val v[UL_N_COLS], char *mem, size_t cap, struct str *ret);
void ul_row_take(struct db_rows *rows, unsigned row, struct db_val v[UL_N_COLS]);
MUST_CHECK int ul_sql_cols(struct strbuf *sb); /* all, with commas */
MUST_CHECK int ul_sql_col(struct strbuf *sb, enum ul_column col);
/* A column of times as it compares with ul_val_time(), whoever wrote it. table n 0: none. */
MUST_CHECK int ul_sql_time(struct strbuf *sb, struct str table, enum ul_column col);
MUST_CHECK int ul_sql_upsert(struct strbuf *sb, const struct ul_domain *d, unsigned n);
/* The statements, and their values: up to UL_FETCH_VALS. 0, -EINVAL (a name that cannot be quoted), -EMSGSIZE. */
#define UL_FETCH_VALS 6u
MUST_CHECK int ul_sql_load(struct strbuf *sb, const struct ul_domain *d, int64_t last_id, struct db_val *vals, unsigned *ret_n_vals);
MUST_CHECK int ul_sql_fetch(struct strbuf *sb, const struct ul_domain *d, struct str aor, struct db_val *vals, unsigned *ret_n_vals);
MUST_CHECK int ul_sql_fetch_ruid(struct strbuf *sb, const struct ul_domain *d, struct str ruid, struct db_val *vals, unsigned *ret_n_vals);
/* Adds " AND server_id=?" with server_id_filter. */
MUST_CHECK int ul_sql_server(struct strbuf *sb, struct db_val *vals, unsigned *n_vals);
MUST_CHECK int ul_sql_delete(struct strbuf *sb, const struct ul_domain *d, unsigned n);

/* --- ul_load.c --- */
/* One row into memory: 1, 0 as ul_load(); -ENOSPC; -EMSGSIZE, -EINVAL: nothing that we could use, or would write. */
MUST_CHECK int ul_row_load(struct ul_domain *d, const struct db_val v[UL_N_COLS]);

/* --- ul_same.c: db_ops_ruid 0, else nothing --- */
/* What becomes of other servers' rows for the contact. Nobody hears of it. */
void ul_same_send(struct ul_domain *d, struct str aor, const struct ul_contact *c, unsigned deadline_ms);
/* The same; blocks. */
MUST_CHECK int ul_same_sync(struct ul_domain *d, struct str aor, const struct ul_contact *c, struct diag *reterr);

/* --- ul_batch.c --- */
struct item {
	struct str aor, ruid;
	uint32_t version;
};

struct ul_batch {
	struct ul_domain *d;
	struct pool *pool;
	struct op *op;      /* NULL: nobody waits */
	struct strbuf sql;
	unsigned n, cap;
	bool del;
	struct item *item;
	struct db_val *vals; /* cap * UL_N_COLS, or cap ruids */
};

/* NULL: no memory. */
struct ul_batch *ul_batch_new(struct ul_domain *d, bool del, struct op *op, unsigned cap);
void ul_batch_free(struct ul_batch *b);
/* Copies the contact in. */
MUST_CHECK int ul_batch_add(struct ul_batch *b, struct str aor, const struct ul_contact *c);
MUST_CHECK int ul_batch_sql(struct ul_batch *b);
unsigned ul_batch_params(const struct ul_batch *b);
/* The database has it: the contacts learn of it. */
void ul_batch_written(struct ul_batch *b);
/* Sends contacts (state UL_DELETED: deletes) in as few batches as there must be; done hears of all, once, later. */
MUST_CHECK int ul_list_send(struct ul_domain *d, struct str aor, const struct ul_contact *c, unsigned n, unsigned deadline_ms, ul_done_fn *done, void *arg);
/* Later, from the loop. Without memory the waiter's own deadline tells it. */
void ul_done_later(ul_done_fn *done, void *arg, int err);
/* This process's handle, opened at the first use; says once when it cannot. */
MUST_CHECK int ul_db_open(struct db **ret_db);
enum ul_db_way { UL_DB_WRITTEN, UL_DB_READ, UL_DB_LOADED, UL_DB_WAYS };
/* Each answer is told here; it is logged when the database fails, and when it is back. */
void ul_db_heard(const struct ul_domain *d, enum ul_db_way way, int err, struct str text);

#endif
