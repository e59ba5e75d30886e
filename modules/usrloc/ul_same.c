/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * db_ops_ruid 0: rows that other servers wrote for the same contact of the same AoR, by the same Call-ID. Our own row is found by its ruid all
 * the same; these follow it, by a statement per contact: an update makes them what ours is, a removal takes them along. They are hints for
 * others, so nobody waits for them and a failure is only told. Rows that are newer than ours stay as they are: a statement that is late must not
 * meet a registration that came after it, on whatever server.
 */
#include <errno.h>

#include "modules/usrloc/ul_db.h"

#define SQL_MAX 2048u
#define VALS_MAX (UL_N_COLS + 6u)

static bool is_key(unsigned col)
{
	return col == UL_COL_RUID || col == UL_COL_USER || col == UL_COL_DOMAIN || col == UL_COL_CONTACT || col == UL_COL_CALLID;
}

/* " WHERE username=? AND domain=? AND contact=? AND callid=? AND ruid<>? AND last_modified<?" */
static int add_where(struct strbuf *sb, struct str aor, const struct ul_contact *c, struct db_val *vals, unsigned *n)
{
	static const enum ul_column cols[] = { UL_COL_USER, UL_COL_CONTACT, UL_COL_CALLID, UL_COL_DOMAIN };
	struct str user, domain;
	int err = 0;

	ul_aor_split(aor, &user, &domain);
	for (unsigned i = 0; i < (domain.n ? 4u : 3u); i++) {
		const struct str val[] = { user, c->uri, c->callid, domain };

		strbuf_add(sb, i ? STR_LIT(" AND ") : STR_LIT(" WHERE "));
		err |= ul_sql_col(sb, cols[i]);
		strbuf_add_lit(sb, "=?");
		vals[(*n)++] = ul_val_text(val[i]);
	}
	strbuf_add_lit(sb, " AND ");
	err |= ul_sql_col(sb, UL_COL_RUID);
	strbuf_add_lit(sb, "<>? AND ");
	vals[(*n)++] = ul_val_text(c->ruid);
	err |= ul_sql_time(sb, STR_NULL, UL_COL_LAST_MODIFIED);
	strbuf_add_lit(sb, "<?");
	vals[(*n)++] = ul_val_time(c->modified + 1);
	return err;
}

static int make(struct strbuf *sb, const struct ul_domain *d, struct str aor, const struct ul_contact *c, struct db_val *vals, unsigned *ret_n)
{
	bool del = c->state == UL_DELETED, first = true;
	struct db_val row[UL_N_COLS];
	unsigned n = 0;
	int err = 0;

	strbuf_add(sb, del ? STR_LIT("DELETE FROM ") : STR_LIT("UPDATE "));
	err |= db_ident(sb, d->name);
	ul_row_vals(aor, c, row);
	for (unsigned i = 0; !del && i < UL_N_COLS; i++) {
		if (is_key(i))
			continue;
		strbuf_add(sb, first ? STR_LIT(" SET ") : STR_LIT(","));
		first = false;
		err |= ul_sql_col(sb, (enum ul_column)i);
		strbuf_add_lit(sb, "=?");
		vals[n++] = row[i];
	}
	err |= add_where(sb, aor, c, vals, &n);
	ul_vals_fix(vals, n);
	*ret_n = n;
	return err ? -EINVAL : strbuf_err(sb);
}

/* A contact that the database never had from us has nothing to bring along. */
static bool is_needed(const struct ul_contact *c)
{
	return !ul_conf.db_ops_ruid && (c->state == UL_DELETED || c->version > 0 || ul_conf.db_mode == 3);
}

static void done(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	(void)rows; /* none */
	ul_db_heard(arg, UL_DB_WRITTEN, err, err_text);
}

void ul_same_send(struct ul_domain *d, struct str aor, const struct ul_contact *c, unsigned deadline_ms)
{
	struct db_val vals[VALS_MAX];
	char mem[SQL_MAX];
	struct strbuf sb;
	struct db *db;
	unsigned n = 0;
	int err;

	if (!is_needed(c))
		return;
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	err = make(&sb, d, aor, c, vals, &n);
	if (err == 0)
		err = ul_db_open(&db);
	if (err == 0)
		err = db_query(db, strbuf_str(&sb), vals, n, deadline_ms, done, d);
	if (err < 0)
		ul_db_heard(d, UL_DB_WRITTEN, err, STR_LIT("not sent"));
}

int ul_same_sync(struct ul_domain *d, struct str aor, const struct ul_contact *c, struct diag *reterr)
{
	struct db_val vals[VALS_MAX];
	struct db_rows *rows = NULL;
	char mem[SQL_MAX];
	struct strbuf sb;
	unsigned n = 0;
	int err;

	if (!is_needed(c))
		return 0;
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	err = make(&sb, d, aor, c, vals, &n);
	if (err == 0)
		err = db_query_sync(ul_conf.db_url, strbuf_str(&sb), vals, n, &rows, reterr);
	db_rows_free(rows);
	return err;
}
