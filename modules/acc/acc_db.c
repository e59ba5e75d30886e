/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records as rows: packed into shared memory when the call is answered, made into statements when the database takes them.
 * A row that may be there already (its worker, or its statement, came to an end that nobody saw) is inserted only if the
 * table has none of the same call, tags, method, code and legs since the request came.
 */
#include <errno.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/pv/fmt.h"
#include "core/transport/ctx.h"
#include "modules/acc/acc_priv.h"
#include "shm/slab.h"

#define ROW_MAX 65536u

static struct {
	const struct acc_extras *extras, *legs;
	struct fmt *table[2]; /* enum acc_table */
	struct str col[9 + 2 * ACC_EXTRAS_MAX];
	unsigned n_core, n_plain, n_all; /* without extras, without legs, all */
} g;

struct acc_val { /* in acc_row.bytes; a text follows */
	uint32_t type, len;
	union {
		int64_t i;
		double d;
	};
};

bool acc_db_on(void)
{
	return acc_conf.db_url.n > 0;
}

static void add_col(struct str name)
{
	g.col[g.n_all++] = name;
}

static int columns_init(void)
{
	char mem[80];
	struct strbuf sb;

	g.n_all = 0;
	add_col(acc_conf.col_method);
	add_col(acc_conf.col_from_tag);
	add_col(acc_conf.col_to_tag);
	add_col(acc_conf.col_callid);
	add_col(acc_conf.col_code);
	add_col(acc_conf.col_reason);
	add_col(acc_conf.col_time);
	if (acc_conf.time_mode)
		add_col(acc_conf.time_attr);
	if (acc_conf.time_mode == 1)
		add_col(acc_conf.time_exten);
	g.n_core = g.n_all;
	for (unsigned i = 0; i < g.extras->n; i++)
		add_col(g.extras->a[i].name);
	g.n_plain = g.n_all;
	for (unsigned i = 0; i < g.legs->n; i++)
		add_col(g.legs->a[i].name);
	for (unsigned i = 0; i < g.n_all; i++) {
		strbuf_init_fixed(&sb, mem, sizeof(mem));
		if (g.col[i].n == 0 || db_ident(&sb, g.col[i]) < 0) {
			log_error("acc: \"%.*s\" cannot be the name of a column", STR_FMT(g.col[i]));
			return -EINVAL;
		}
	}
	return 0;
}

static int table_init(struct pool *pool, enum acc_table which, const char *param, struct str name, int version)
{
	struct diag d = { 0 };

	if (fmt_compile(pool, name, &g.table[which], &d) < 0) {
		log_error("acc: %s: %s", param, d.text);
		return -EINVAL;
	}
	if (!acc_conf.db_version_check || !fmt_is_const(g.table[which]))
		return 0;
	if (db_table_version_check(acc_conf.db_url, name, version, &d) < 0) {
		log_error("acc: %s", d.text);
		return -EPROTO;
	}
	return 0;
}

int acc_db_init(struct pool *pool, const struct acc_extras *extras, const struct acc_extras *legs)
{
	struct diag d = { 0 };
	int err;

	g.extras = extras;
	g.legs = legs;
	if (!acc_db_on())
		return 0;
	err = columns_init();
	if (err < 0)
		return err;
	err = db_probe(acc_conf.db_url, &d);
	if (err < 0) {
		log_error("acc: db_url: %s", d.text);
		return err;
	}
	err = table_init(pool, ACC_TABLE_ACC, "db_table_acc", acc_conf.db_table_acc, 5);
	if (err == 0)
		err = table_init(pool, ACC_TABLE_MISSED, "db_table_missed_calls", acc_conf.db_table_missed_calls, 4);
	return err == 0 ? acc_queue_init() : err;
}

/* ---- packing ---- */

static void pack(struct strbuf *sb, enum db_type type, int64_t i, double d, struct str s)
{
	struct acc_val v = { .type = (uint32_t)type, .len = (uint32_t)s.n };

	if (type == DB_DOUBLE)
		v.d = d;
	else
		v.i = i;
	strbuf_add(sb, str_of(&v, sizeof(v)));
	strbuf_add(sb, s);
}

static void pack_text(struct strbuf *sb, struct str s)
{
	pack(sb, DB_STR, 0, 0, s);
}

static void pack_extra(struct strbuf *sb, bool some, struct str s)
{
	pack(sb, some || !acc_conf.acc_extra_nullable ? DB_STR : DB_NULL, 0, 0, s);
}

static void pack_time(struct strbuf *sb, const struct timespec *when)
{
	char mem[128];

	pack(sb, DB_TIME, when->tv_sec, 0, STR_NULL);
	switch (acc_conf.time_mode) {
	case 1:
		pack(sb, DB_INT, when->tv_sec, 0, STR_NULL);
		pack(sb, DB_INT, when->tv_nsec / 1000, 0, STR_NULL);
		break;
	case 2:
		pack(sb, DB_DOUBLE, 0, (double)when->tv_sec + (double)(when->tv_nsec / 1000000) / 1000.0, STR_NULL);
		break;
	case 3:
	case 4:
		pack_text(sb, acc_time_text(when, mem, sizeof(mem)));
		break;
	default:
		break;
	}
}

/* One row; leg -1: without the columns of legs. */
static struct acc_row *row_new(const struct acc_record *r, struct str table, int leg)
{
	struct acc_row *row;
	struct strbuf sb;
	struct str v;

	strbuf_init_pool(&sb, r->ctx->pool, ROW_MAX);
	pack_text(&sb, table);
	pack_text(&sb, r->method);
	pack_text(&sb, r->from_tag);
	pack_text(&sb, r->to_tag);
	pack_text(&sb, r->callid);
	pack_text(&sb, r->code);
	pack_text(&sb, r->reason);
	pack_time(&sb, &r->when);
	for (unsigned i = 0; i < g.extras->n; i++) {
		bool some = acc_extra_get(r->ctx, &g.extras->a[i], &v);

		pack_extra(&sb, some, v);
	}
	for (unsigned i = 0; leg >= 0 && i < g.legs->n; i++) {
		bool some = acc_leg_get(r->ctx, &g.legs->a[i], leg, &v);

		pack_extra(&sb, some, v);
	}
	if (strbuf_err(&sb) < 0)
		return NULL;
	row = shm_alloc(sizeof(*row) + sb.n);
	if (!row)
		return NULL;
	*row = (struct acc_row){ .len = (uint32_t)sb.n, .since_s = r->since_s, .again = r->again, .legs = leg >= 0,
		.n_vals = (uint16_t)(leg >= 0 ? g.n_all : g.n_plain) };
	memcpy(row->bytes, sb.p, sb.n);
	return row;
}

bool acc_db_record_in(const struct acc_record *r, struct str table)
{
	bool all = true;
	int leg = g.legs->n && acc_leg_any(r->ctx, g.legs, 0) ? 0 : -1;

	do {
		struct acc_row *row = row_new(r, table, leg);

		if (!row || !acc_queue_put(row))
			all = false;
	} while (leg >= 0 && ++leg < (int)ACC_LEGS_MAX && acc_leg_any(r->ctx, g.legs, leg));
	if (!all)
		log_debug("acc: a record of call %.*s was dropped", STR_FMT(r->callid));
	return all;
}

bool acc_db_record(const struct acc_record *r, enum acc_table table)
{
	struct str name;

	if (fmt_eval(r->ctx, g.table[table], &name) < 0 || name.n == 0 || name.n >= 64) {
		log_error("acc: a record of call %.*s has no table: %s gives no name of 1 to 63 bytes", STR_FMT(r->callid),
			  table == ACC_TABLE_ACC ? "db_table_acc" : "db_table_missed_calls");
		return false;
	}
	return acc_db_record_in(r, name);
}

/* ---- statements ---- */

static struct db_val val_next(struct str *rest)
{
	struct acc_val v;
	struct db_val out;

	memcpy(&v, rest->s, sizeof(v));
	*rest = str_sub(*rest, sizeof(v), rest->n);
	out = (struct db_val){ .type = (enum db_type)v.type, .s = str_sub(*rest, 0, v.len) };
	if (out.type == DB_DOUBLE)
		out.d = v.d;
	else
		out.i = v.i;
	*rest = str_sub(*rest, v.len, rest->n);
	return out;
}

unsigned acc_row_read(const struct acc_row *row, struct str *ret_table, struct db_val vals[ACC_VALS_MAX])
{
	struct str rest = str_of(row->bytes, row->len);
	struct db_val table = val_next(&rest);

	*ret_table = table.s;
	for (unsigned i = 0; i < row->n_vals; i++)
		vals[i] = val_next(&rest);
	return row->n_vals;
}

static void add_marks(struct strbuf *sql, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		strbuf_add_lit(sql, i ? ",?" : "?");
}

static int add_names(struct strbuf *sql, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && err == 0; i++) {
		if (i)
			strbuf_add_char(sql, ',');
		err = db_ident(sql, g.col[i]);
	}
	return err;
}

/* What makes a row the same as another, besides its time. */
static bool names_it(unsigned col)
{
	return col < 5 || col >= g.n_plain;
}

static int add_unless_there(struct strbuf *sql, struct str table, const struct acc_row *row, struct db_val *vals, unsigned *n)
{
	unsigned n_cols = *n;
	int err;

	strbuf_add_lit(sql, " SELECT ");
	add_marks(sql, n_cols);
	strbuf_add_lit(sql, " WHERE NOT EXISTS (SELECT 1 FROM ");
	err = db_ident(sql, table);
	strbuf_add_lit(sql, " WHERE ");
	if (err == 0)
		err = db_ident(sql, acc_conf.col_time);
	strbuf_add_lit(sql, ">=?");
	vals[(*n)++] = (struct db_val){ .type = DB_TIME, .i = row->since_s };
	for (unsigned i = 0; err == 0 && i < n_cols; i++) {
		if (!names_it(i))
			continue;
		strbuf_add_lit(sql, " AND ");
		err = db_ident(sql, g.col[i]);
		strbuf_add_lit(sql, vals[i].type == DB_NULL ? " IS NULL" : "=?");
		if (vals[i].type != DB_NULL)
			vals[(*n)++] = vals[i];
	}
	strbuf_add_char(sql, ')');
	return err;
}

int acc_rows_sql(struct acc_row *const *rows, unsigned n, struct strbuf *sql, struct db_val *vals, unsigned *ret_n_vals)
{
	struct str table;
	unsigned n_vals = acc_row_read(rows[0], &table, vals), n_cols = n_vals;
	int err;

	strbuf_add_lit(sql, "INSERT INTO ");
	err = db_ident(sql, table);
	strbuf_add_lit(sql, " (");
	if (err == 0)
		err = add_names(sql, n_cols);
	strbuf_add_char(sql, ')');
	if (err == 0 && rows[0]->again) {
		err = add_unless_there(sql, table, rows[0], vals, &n_vals);
	} else {
		strbuf_add_lit(sql, " VALUES ");
		for (unsigned i = 0; i < n; i++) {
			if (i)
				n_vals += acc_row_read(rows[i], &table, vals + n_vals);
			strbuf_add_lit(sql, i ? ",(" : "(");
			add_marks(sql, n_cols);
			strbuf_add_char(sql, ')');
		}
	}
	*ret_n_vals = n_vals;
	return err < 0 ? err : strbuf_err(sql);
}
