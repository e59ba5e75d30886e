/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables that come from a database. Rows become items one by one; a reload counts a generation up first, sets what it reads, and drops at the end what
 * nobody has set since: readers never see an empty table, and a reload that fails half way takes nothing away. At start and in process rpcd
 * queries may block; a periodic reload (reloadat) asks without waiting and takes its rows over in slices between messages.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/db/db.h"
#include "modules/htable/walk.h"

#define QUERY_MS 60000u
#define SLICE_ROWS 500u
#define SQL_MAX 4096u
#define PACKED_MAX 65536u

enum { COL_KEY, COL_KEY_TYPE, COL_VALUE_TYPE, COL_VALUE, COL_EXPIRES };

/* Taking rows over: state between slices. */
struct load {
	struct ht_table *table;
	struct db_rows *rows;
	unsigned next;
	char array[HT_KEY_MAX]; /* name of the array whose elements come now */
	size_t array_n;
	int64_t array_size;
	bool in_array;
	uint32_t gen; /* of a reload */
};

static struct {
	struct db *db; /* of this worker */
} g;

static int query_text(const struct ht_table *t, struct strbuf *sql)
{
	const struct str std[] = { ht_conf.key_name_column, ht_conf.key_type_column, ht_conf.value_type_column, ht_conf.key_value_column,
		                   ht_conf.expires_column };
	const struct str *cols = t->def.n_cols ? t->def.cols : std;
	unsigned n = t->def.n_cols ? t->def.n_cols : ht_conf.db_expires ? 5 : 4;
	int err = 0;

	strbuf_add_lit(sql, "SELECT ");
	for (unsigned i = 0; err == 0 && i < n; i++) {
		if (i)
			strbuf_add_lit(sql, ", ");
		err = db_ident(sql, cols[i]);
	}
	strbuf_add_lit(sql, " FROM ");
	if (err == 0)
		err = db_ident(sql, t->def.dbtable);
	if (err == 0 && !t->def.n_cols) {
		strbuf_add_lit(sql, " ORDER BY "); /* elements of an array stand together */
		err = db_ident(sql, ht_conf.key_name_column);
	}
	return err < 0 ? err : strbuf_err(sql);
}

static int64_t int_at(const struct db_rows *rows, unsigned row, unsigned col)
{
	struct db_val v = db_rows_at(rows, row, col);
	int64_t n = 0;

	return db_val_int(&v, &n) < 0 ? 0 : n;
}

static void add_text(struct strbuf *sb, const struct db_val *v, struct str null)
{
	switch (v->type) {
	case DB_STR:
	case DB_BLOB:
		strbuf_add(sb, v->s);
		break;
	case DB_INT:
	case DB_TIME:
		strbuf_add_i64(sb, v->i);
		break;
	case DB_DOUBLE:
		strbuf_printf(sb, "%.10g", v->d);
		break;
	case DB_NULL:
		strbuf_add(sb, null);
		break;
	}
}

/* Returns 0, or what ht_set() said. */
static int set_item(struct ht_table *t, struct str key, const struct value *v, int64_t ttl_s)
{
	int err = ht_set(t, key, v, ttl_s, clock_wall_s());

	return err < 0 ? log_fail(err, "htable: cannot load a key of \"%.*s\"", STR_FMT(t->def.name)) : 0;
}

static int row_packed(struct load *l, unsigned row)
{
	const struct ht_def *def = &l->table->def;
	struct db_val first = db_rows_at(l->rows, row, 1);
	struct strbuf key, text;
	struct db_val k = db_rows_at(l->rows, row, 0);
	struct value v;
	int err;

	strbuf_init(&key, HT_KEY_MAX);
	strbuf_init(&text, PACKED_MAX);
	add_text(&key, &k, STR_NULL);
	if (def->n_cols == 2 && first.type == DB_INT) {
		v = value_int(first.i);
	} else {
		for (unsigned i = 1; i < def->n_cols; i++) {
			struct db_val col = db_rows_at(l->rows, row, i);

			if (i > 1)
				strbuf_add(&text, def->coldelim);
			add_text(&text, &col, def->colnull);
		}
		v = value_str(strbuf_str(&text));
	}
	err = strbuf_err(&key);
	if (err == 0)
		err = strbuf_err(&text);
	if (err == 0)
		err = set_item(l->table, strbuf_str(&key), &v, HT_EXPIRE_RULE);
	strbuf_done(&key);
	strbuf_done(&text);
	return err;
}

static int array_flush(struct load *l)
{
	struct value v = value_int(l->array_size);
	struct strbuf key;
	int err;

	if (!l->in_array)
		return 0;
	l->in_array = false;
	strbuf_init(&key, HT_KEY_MAX);
	strbuf_add(&key, str_of(l->array, l->array_n));
	strbuf_add(&key, ht_conf.array_size_suffix);
	err = strbuf_err(&key);
	if (err == 0)
		err = set_item(l->table, strbuf_str(&key), &v, HT_EXPIRE_RULE);
	strbuf_done(&key);
	return err;
}

static int row_standard(struct load *l, unsigned row)
{
	struct db_val k = db_rows_at(l->rows, row, COL_KEY), val = db_rows_at(l->rows, row, COL_VALUE);
	int64_t ttl = HT_EXPIRE_RULE, expires, n;
	struct strbuf key, text;
	struct value v;
	int err = 0;

	strbuf_init(&key, HT_KEY_MAX);
	strbuf_init(&text, HT_VALUE_MAX);
	add_text(&key, &k, STR_NULL);
	add_text(&text, &val, STR_NULL);
	if (ht_conf.db_expires) {
		expires = int_at(l->rows, row, COL_EXPIRES);
		if (expires > 0 && expires <= clock_wall_s())
			goto out;
		if (expires > 0)
			ttl = expires - clock_wall_s();
	}
	if (strbuf_err(&key) < 0 || key.n == 0 || strbuf_err(&text) < 0) {
		log_error("htable: row %u of \"%.*s\" has no key or is too long: skipped", row, STR_FMT(l->table->def.dbtable));
		goto out;
	}
	v = value_str(strbuf_str(&text));
	if (int_at(l->rows, row, COL_VALUE_TYPE) != 0) {
		if (num_i64(str_trim(v.s), &n) < 0) {
			log_error("htable: \"%.*s\" of \"%.*s\" should be a number and is \"%.*s\": skipped", STR_FMT(strbuf_str(&key)),
			          STR_FMT(l->table->def.dbtable), STR_FMT(v.s));
			goto out;
		}
		v = value_int(n);
	}
	if (!l->in_array || !str_eq(strbuf_str(&key), str_of(l->array, l->array_n)))
		err = array_flush(l);
	if (err == 0 && int_at(l->rows, row, COL_KEY_TYPE) != 0) {
		if (!l->in_array) {
			l->in_array = true;
			l->array_n = key.n;
			l->array_size = 0;
			memcpy(l->array, key.p, key.n);
		}
		strbuf_printf(&key, "[%lld]", (long long)l->array_size++);
		err = strbuf_err(&key);
	}
	if (err == 0)
		err = set_item(l->table, strbuf_str(&key), &v, ttl);
out:
	strbuf_done(&key);
	strbuf_done(&text);
	return err;
}

/* Up to n more rows. 1: there are more; 0: all done; or negative errno. */
static int load_slice(struct load *l, unsigned n)
{
	int err = 0;

	for (; err == 0 && n > 0 && l->next < db_rows_n(l->rows); n--, l->next++)
		err = l->table->def.n_cols ? row_packed(l, l->next) : row_standard(l, l->next);
	if (err == 0 && l->next < db_rows_n(l->rows))
		return 1;
	return err < 0 ? err : array_flush(l);
}

/* ---- what a reload did not find goes ---- */

static bool look_old(struct ht_walk *w)
{
	ht_reload_sweep(w->table, w->bucket, w->gen);
	return false;
}

static int over_old(struct ht_walk *w)
{
	ht_reload_end(w->table);
	return 1;
}

static struct ht_walk sweep_of(const struct load *l)
{
	return (struct ht_walk){ .what = "reload", .table = l->table, .gen = l->gen, .look = look_old, .over = over_old };
}

static int load_sync(struct ht_table *t, bool reload, struct diag *reterr)
{
	struct load *l = calloc(1, sizeof(*l));
	struct ht_walk sweep;
	struct strbuf sql;
	int err = -ENOMEM;

	strbuf_init(&sql, SQL_MAX);
	if (!l) {
		err = diag_err(reterr, -ENOMEM, 0, "no memory");
		goto out;
	}
	l->table = t;
	err = query_text(t, &sql);
	if (err < 0) {
		err = diag_err(reterr, err, 0, "table \"%.*s\": a column's or the table's name cannot be one", STR_FMT(t->def.name));
		goto out;
	}
	err = db_query_sync(ht_conf.db_url, strbuf_str(&sql), NULL, 0, &l->rows, reterr);
	if (err < 0)
		goto out;
	if (reload)
		l->gen = ht_reload_begin(t);
	sweep = sweep_of(l);
	err = load_slice(l, UINT_MAX);
	if (err < 0)
		diag_err(reterr, err, 0, "table \"%.*s\": not all of %u rows could be loaded", STR_FMT(t->def.name), db_rows_n(l->rows));
	else if (reload)
		(void)ht_walk_all(&sweep);
	if (err == 0)
		log_info("htable: %u rows loaded into \"%.*s\"", db_rows_n(l->rows), STR_FMT(t->def.name));
	db_rows_free(l->rows);
out:
	strbuf_done(&sql);
	free(l);
	return err;
}

int ht_db_load(struct ht_table *t, struct diag *reterr)
{
	return load_sync(t, false, reterr);
}

int ht_db_reload(struct ht_table *t, struct diag *reterr)
{
	return load_sync(t, true, reterr);
}

/* ---- reloadat: without waiting ---- */

static void load_free(struct load *l)
{
	db_rows_free(l->rows);
	free(l);
}

static void load_on(void *arg)
{
	struct load *l = arg;
	struct ht_walk sweep = sweep_of(l);
	int rc = load_slice(l, SLICE_ROWS);

	if (rc > 0 && loop_defer(loop_self(), load_on, l) == 0)
		return;
	if (rc == 0)
		ht_walk_start(&sweep);
	else
		log_error("htable: reload of \"%.*s\" stopped at row %u of %u", STR_FMT(l->table->def.name), l->next, db_rows_n(l->rows));
	load_free(l);
}

static void on_rows(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	struct load *l = arg;

	if (err < 0 || !rows) {
		if (err != -ECANCELED) /* the process ends */
			log_error("htable: reload of \"%.*s\": %.*s", STR_FMT(l->table->def.name), STR_FMT(err_text));
		load_free(l);
		return;
	}
	l->rows = db_rows_take(rows);
	l->gen = ht_reload_begin(l->table);
	load_on(l);
}

void ht_db_reload_start(struct ht_table *t)
{
	struct load *l = calloc(1, sizeof(*l));
	struct strbuf sql;
	int err = -ENOMEM;

	strbuf_init(&sql, SQL_MAX);
	if (l) {
		l->table = t;
		err = query_text(t, &sql);
	}
	if (err == 0)
		err = db_query(g.db, strbuf_str(&sql), NULL, 0, QUERY_MS, on_rows, l);
	if (err < 0) {
		if (err != -ECANCELED)
			log_fail(err, "htable: cannot ask for \"%.*s\" again", STR_FMT(t->def.name));
		free(l);
	}
	strbuf_done(&sql);
}

int ht_db_worker_init(void)
{
	struct diag d = { 0 };
	int err = db_get(ht_conf.db_url, &g.db, &d);

	if (err < 0)
		log_error("htable: %s", d.text);
	return err;
}

/* ---- storing ---- */

struct store {
	struct ht_table *table;
	struct ht_snap snap;
	uint32_t bucket;
	size_t pos;
	bool emptied;
	struct strbuf del, ins;
	struct db_val params[5];
	char number[NUM_DEC_MAX];
};

/* First the old rows go, then each item is a row. */
static int store_next(void *arg, struct str *ret_sql, const struct db_val **ret_params, unsigned *ret_n)
{
	struct store *s = arg;
	struct ht_row row;

	*ret_params = s->params;
	if (!s->emptied) {
		s->emptied = true;
		*ret_sql = strbuf_str(&s->del);
		*ret_n = 0;
		return 1;
	}
	while (!ht_snap_next(&s->snap, &s->pos, &row)) {
		if (s->bucket >= shm_hash_n_buckets(s->table->hash))
			return 0;
		if (ht_snap_bucket(s->table, s->bucket++, HT_LIVE, clock_wall_s(), &s->snap) < 0)
			return -ENOMEM;
		s->pos = 0;
	}
	s->params[COL_KEY] = (struct db_val){ .type = DB_STR, .s = row.key };
	s->params[COL_KEY_TYPE] = (struct db_val){ .type = DB_INT, .i = 0 };
	s->params[COL_VALUE_TYPE] = (struct db_val){ .type = DB_INT, .i = row.value.kind == VALUE_INT };
	s->params[COL_VALUE] = (struct db_val){ .type = DB_STR, .s = row.value.s };
	if (row.value.kind == VALUE_INT)
		s->params[COL_VALUE].s = str_of(s->number, num_dec(row.value.i, s->number));
	s->params[COL_EXPIRES] = (struct db_val){ .type = DB_INT, .i = row.expire_s };
	*ret_sql = strbuf_str(&s->ins);
	*ret_n = ht_conf.db_expires ? 5 : 4;
	return 1;
}

static int store_texts(struct store *s)
{
	const struct str cols[] = { ht_conf.key_name_column, ht_conf.key_type_column, ht_conf.value_type_column, ht_conf.key_value_column,
		                    ht_conf.expires_column };
	unsigned n = ht_conf.db_expires ? 5 : 4;
	int err;

	strbuf_add_lit(&s->del, "DELETE FROM ");
	err = db_ident(&s->del, s->table->def.dbtable);
	strbuf_add_lit(&s->ins, "INSERT INTO ");
	if (err == 0)
		err = db_ident(&s->ins, s->table->def.dbtable);
	strbuf_add_lit(&s->ins, " (");
	for (unsigned i = 0; err == 0 && i < n; i++) {
		if (i)
			strbuf_add_lit(&s->ins, ", ");
		err = db_ident(&s->ins, cols[i]);
	}
	strbuf_add_lit(&s->ins, n == 5 ? ") VALUES (?, ?, ?, ?, ?)" : ") VALUES (?, ?, ?, ?)");
	if (err == 0)
		err = strbuf_err(&s->del);
	return err < 0 ? err : strbuf_err(&s->ins);
}

int ht_db_store(struct ht_table *t, struct diag *reterr)
{
	struct store s = { .table = t };
	int err;

	strbuf_init(&s.del, SQL_MAX);
	strbuf_init(&s.ins, SQL_MAX);
	err = store_texts(&s);
	if (err < 0)
		diag_err(reterr, err, 0, "a column's or the table's name cannot be one");
	else
		err = db_txn_sync(ht_conf.db_url, store_next, &s, reterr);
	strbuf_done(&s.del);
	strbuf_done(&s.ins);
	ht_snap_done(&s.snap);
	return err;
}
