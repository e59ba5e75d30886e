/* SPDX-License-Identifier: BSD-2-Clause */
/* The database at the start, at the end, and in process rpcd: these block. */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "modules/usrloc/ul_db.h"

#define BATCH_ROWS_SYNC 500u /* nobody waits for anything else; 11000 parameters, SQLite takes 32766 */
#define TABLE_VERSION 9

static int sync_query(struct strbuf *sql, const struct db_val *vals, unsigned n, struct db_rows **ret_rows, struct diag *reterr)
{
	if (strbuf_err(sql) < 0)
		return diag_err(reterr, -EMSGSIZE, 0, "SQL text too long");
	return db_query_sync(ul_conf.db_url, strbuf_str(sql), vals, n, ret_rows, reterr);
}

int ul_bring_sync(struct ul_domain *d, struct str aor)
{
	struct db_val vals[UL_FETCH_VALS];
	struct diag diag = { 0 };
	struct db_rows *rows = NULL;
	unsigned n_vals = 0;
	char mem[2048];
	struct strbuf sb;
	int err;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	err = ul_sql_fetch(&sb, d, aor, vals, &n_vals);
	if (err == 0)
		err = sync_query(&sb, vals, n_vals, &rows, &diag);
	for (unsigned i = 0; err == 0 && i < db_rows_n(rows); i++) {
		struct db_val v[UL_N_COLS];
		int rc;

		ul_row_take(rows, i, v);
		rc = ul_row_load(d, v);
		if (rc == -ENOSPC)
			err = rc;
	}
	db_rows_free(rows);
	return err;
}

/* Has the table what a contact needs? One row tells, if there is one or not. */
static int table_check(struct ul_domain *d)
{
	struct db_val vals[UL_FETCH_VALS];
	struct diag diag = { 0 };
	struct db_rows *rows = NULL;
	unsigned n_vals = 0;
	char mem[2048];
	struct strbuf sb;
	int err;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	err = ul_sql_load(&sb, d, INT64_MAX - 1, vals, &n_vals);
	if (err == 0)
		err = sync_query(&sb, vals, n_vals, &rows, &diag);
	db_rows_free(rows);
	if (err < 0)
		log_error("usrloc: cannot load table %.*s: %s", STR_FMT(d->name), diag.text);
	return err;
}

static int tcp_rows_drop(struct ul_domain *d)
{
	struct diag diag = { 0 };
	struct db_rows *rows = NULL;
	char mem[512];
	struct strbuf sb;
	int err = 0;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add_lit(&sb, "DELETE FROM ");
	err |= db_ident(&sb, d->name);
	strbuf_add_lit(&sb, " WHERE ");
	err |= ul_sql_col(&sb, UL_COL_CONNECTION_ID);
	strbuf_add_lit(&sb, ">0");
	if (err)
		return -EINVAL;
	err = sync_query(&sb, NULL, 0, &rows, &diag);
	db_rows_free(rows);
	if (err < 0)
		log_error("usrloc: cannot drop stream contacts of table %.*s: %s", STR_FMT(d->name), diag.text);
	return err;
}

int ul_db_init(void)
{
	struct diag diag = { 0 };
	int err;

	if (ul_conf.db_url.n == 0) {
		log_error("usrloc: db_mode %d needs db_url", ul_conf.db_mode);
		return -EINVAL;
	}
	err = db_probe(ul_conf.db_url, &diag);
	if (err < 0) {
		log_error("usrloc: %s", diag.text);
		return err;
	}
	for (unsigned i = 0; i < ul_domain_count(); i++) {
		struct ul_domain *d = ul_domain_at(i);

		if (ul_conf.version_table && db_table_version_check(ul_conf.db_url, d->name, TABLE_VERSION, &diag) < 0) {
			log_error("usrloc: %s", diag.text);
			return -EPROTO;
		}
		if (ul_conf.db_clean_tcp && ul_conf.db_mode != 4) {
			err = tcp_rows_drop(d);
			if (err < 0)
				return err;
		}
		if (ul_conf.db_mode == 4 || (ul_conf.db_load && ul_conf.db_mode != 3)) {
			err = table_check(d);
			if (err < 0)
				return err;
			atomic_store_explicit(&d->progress->loading, 1, memory_order_relaxed);
		}
	}
	return 0;
}

static int batch_sync(struct ul_batch *b)
{
	struct db_rows *rows = NULL;
	struct diag diag = { 0 };
	int err;

	if (b->n == 0)
		return 0;
	err = ul_batch_sql(b);
	if (err == 0)
		err = db_query_sync(ul_conf.db_url, strbuf_str(&b->sql), b->vals, ul_batch_params(b), &rows, &diag);
	db_rows_free(rows);
	if (err < 0)
		log_error("usrloc: %u contacts of table %.*s not written: %s", b->n, STR_FMT(b->d->name), diag.text);
	else
		ul_batch_written(b);
	return err;
}

static int flush_list(struct ul_batch **up, struct ul_batch **del, struct ul_domain *d, struct str aor, const struct ul_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		bool is_del = list->c[i].state == UL_DELETED;
		struct ul_batch **at = is_del ? del : up;
		struct diag diag = { 0 };
		int err;

		if (*at && (*at)->n == (*at)->cap) {
			err = batch_sync(*at);
			ul_batch_free(*at);
			*at = NULL;
			if (err < 0)
				return err;
		}
		if (!*at)
			*at = ul_batch_new(d, is_del, NULL, BATCH_ROWS_SYNC);
		if (!*at)
			return -ENOMEM;
		err = ul_batch_add(*at, aor, &list->c[i]);
		if (err == 0)
			err = ul_same_sync(d, aor, &list->c[i], &diag);
		if (err < 0)
			return log_fail(err, "usrloc: table %.*s: %s", STR_FMT(d->name), diag.text);
	}
	return 0;
}

static int flush_domain(struct ul_domain *d, struct pool *pool)
{
	enum { MAX = 256 };
	struct ul_batch *up = NULL, *del = NULL;
	int err = 0;

	for (uint32_t b = 0; err == 0 && b < shm_hash_n_buckets(d->hash); b++) {
		struct str aors[MAX];
		unsigned n = ul_bucket_due(d, b, 0, true, false, pool, aors, MAX);

		for (unsigned i = 0; err == 0 && i < n; i++) {
			struct ul_list list = { 0 };

			if (ul_get_unwritten(d, aors[i], pool, &list) == 0)
				err = flush_list(&up, &del, d, aors[i], &list);
		}
		pool_reset(pool);
	}
	if (err == 0 && up)
		err = batch_sync(up);
	if (err == 0 && del)
		err = batch_sync(del);
	ul_batch_free(up);
	ul_batch_free(del);
	return err;
}

int ul_db_flush_sync(void)
{
	struct pool *pool = pool_new((size_t)16 << 20);
	int err = pool ? 0 : -ENOMEM;

	for (unsigned i = 0; err == 0 && i < ul_domain_count(); i++)
		err = flush_domain(ul_domain_at(i), pool);
	pool_free(pool);
	return err;
}

int ul_db_count(struct ul_domain *d, int kind, int64_t *ret_n)
{
	struct db_val vals[2] = { ul_val_time(clock_wall_s()), ul_val_time(UL_NEVER_S) }, v;
	struct db_rows *rows = NULL;
	struct diag diag = { 0 };
	char mem[1024];
	struct strbuf sb;
	int err = 0;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add_lit(&sb, "SELECT COUNT(");
	if (kind == 1) {
		strbuf_add_lit(&sb, "DISTINCT ");
		err |= ul_sql_col(&sb, UL_COL_USER);
	} else {
		strbuf_add_char(&sb, '*');
	}
	strbuf_add_lit(&sb, ") FROM ");
	err |= db_ident(&sb, d->name);
	strbuf_add_lit(&sb, " WHERE ");
	err |= ul_sql_time(&sb, STR_NULL, UL_COL_EXPIRES);
	strbuf_add_lit(&sb, kind == 2 ? "<=? AND " : ">? OR ");
	err |= ul_sql_time(&sb, STR_NULL, UL_COL_EXPIRES);
	strbuf_add_lit(&sb, kind == 2 ? ">=?" : "<?");
	if (err)
		return -EINVAL;
	err = sync_query(&sb, vals, 2, &rows, &diag);
	if (err < 0)
		return err;
	v = rows ? db_rows_at(rows, 0, 0) : (struct db_val){ .type = DB_NULL };
	err = db_val_int(&v, ret_n);
	db_rows_free(rows);
	return err;
}
