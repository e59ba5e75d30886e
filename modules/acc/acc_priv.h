/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module acc share. */
#ifndef RF_ACC_PRIV_H
#define RF_ACC_PRIV_H

#include <time.h>

#include "core/db/db.h"
#include "core/pv/pv.h"
#include "core/settings/schema.h"
#include "shm/ref.h"

#define ACC_EXTRAS_MAX 64u
#define ACC_LEGS_MAX 64u

struct acc_conf {
	int early_media, failed_transaction_flag, report_ack, report_cancels, detect_direction, acc_prepare_flag, acc_prepare_always, reason_from_hf,
		acc_extra_nullable, log_flag, log_missed_flag, log_level, db_flag, db_missed_flag, db_version_check, db_insert_mode, db_queue_max, db_refused_tries,
		time_mode,
		clone_msg, acc_extra_size;
	struct str failed_filter, multi_leg_info, log_facility, log_extra, db_url, db_extra, db_table_acc, db_table_missed_calls, col_method, col_from_tag,
		col_to_tag, col_callid, col_code, col_reason, col_time, time_attr, time_exten, time_format;
	int cdr_enable, cdr_log_enable, cdr_start_on_confirmed, cdr_extra_nullable, cdr_duration_mode, cdr_expired_dlg_enable, cdr_on_failed, cdr_extra_size;
	struct str cdr_skip, cdr_facility, cdr_extra, cdr_start_id, cdr_end_id, cdr_duration_id, cdrs_table;
};
extern struct acc_conf acc_conf;

/* "name=$pv;name=$pv": prepared at start-up, lives for ever. */
struct acc_extra {
	struct str name;
	const struct pv_spec *pv;
};
struct acc_extras {
	struct acc_extra a[ACC_EXTRAS_MAX];
	unsigned n;
};

/* One record. The texts are views that live as long as the call. */
struct acc_record {
	struct ctx *ctx; /* what extras are about */
	struct str method, from_tag, to_tag, callid, code, reason;
	struct timespec when;
	int64_t since_s; /* nothing of the same transaction was written before */
	bool again;      /* may have been written before */
};

/* ---- acc_record.c ---- */
/* text: the parameter `what`. index: each variable must take one. */
MUST_CHECK int acc_extras_parse(struct pool *pool, const char *what, struct str text, unsigned max, bool index, struct acc_extras *ret);
/* Value of an extra as text in ctx->pool; false: null. */
bool acc_extra_get(struct ctx *ctx, const struct acc_extra *e, struct str *ret);
/* The same of the i-th leg. */
bool acc_leg_get(struct ctx *ctx, const struct acc_extra *e, int i, struct str *ret);
bool acc_leg_any(struct ctx *ctx, const struct acc_extras *legs, int i);
/* Text of the time for time_mode 3 and 4 into mem. */
struct str acc_time_text(const struct timespec *when, char *mem, size_t size);
/* Writes the line. */
void acc_log_record(const struct acc_record *r, const char *text, const struct acc_extras *extras, const struct acc_extras *legs, int facility);

/* ---- acc_db.c: rows ---- */
enum acc_table { ACC_TABLE_ACC, ACC_TABLE_MISSED };
MUST_CHECK int acc_db_init(struct pool *pool, const struct acc_extras *extras, const struct acc_extras *legs); /* supervisor */
bool acc_db_on(void);
/* Queues the rows of a record; false: at least one was dropped. */
bool acc_db_record(const struct acc_record *r, enum acc_table table);
bool acc_db_record_in(const struct acc_record *r, struct str table);

struct acc_row { /* in shared memory, immutable once queued but for `again` and `next` */
	shm_ref next;
	uint32_t len;
	int64_t since_s;
	uint8_t again; /* may have been written before: only if it is not there */
	uint8_t legs;  /* the columns of multi_leg_info are in it */
	uint16_t n_vals;
	char bytes[];  /* table name, then values: struct acc_val and its text each */
};
#define ACC_VALS_MAX (9u + 2u * ACC_EXTRAS_MAX)
/* Table and values of a row: views into it. */
unsigned acc_row_read(const struct acc_row *row, struct str *ret_table, struct db_val vals[ACC_VALS_MAX]);
/* The statement that writes n rows of one table and shape (a row with `again`: n is 1), and its parameters. */
struct strbuf;
MUST_CHECK int acc_rows_sql(struct acc_row *const *rows, unsigned n, struct strbuf *sql, struct db_val *vals, unsigned *ret_n_vals);

/* ---- acc_queue.c: what waits for the database ---- */
MUST_CHECK int acc_queue_init(void);        /* supervisor */
/* Takes row (in limbo); false: it was dropped. */
bool acc_queue_put(struct acc_row *row);
int acc_queue_recover(unsigned slot);       /* janitor */
void acc_queue_done(void);                  /* supervisor, at the end: what is left is written, waiting */

#endif
