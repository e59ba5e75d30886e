/* SPDX-License-Identifier: BSD-2-Clause */
/* Contacts as rows of a location table: values, and the texts of the statements that write them. */
#include <errno.h>

#include "core/base/clock.h"
#include "core/net/listener.h"
#include "core/pv/pv.h"
#include "modules/usrloc/ul_db.h"

#define JULIAN_EPOCH 2440587.5

struct db_val ul_val_int(int64_t i)
{
	return (struct db_val){ .type = DB_INT, .i = i };
}

struct db_val ul_val_text(struct str s)
{
	return (struct db_val){ .type = DB_STR, .s = s };
}

static bool advertised; /* sockets by the names that others know them by */

void ul_show_advertised(void)
{
	advertised = true;
}

struct str ul_socket_text(const struct ul_contact *c)
{
	const struct net_listener *l = net_listener_at(c->listener);

	return !l ? c->socket : advertised ? l->adv_text : l->sock_text;
}

static struct db_val val_text_or_null(struct str s)
{
	return s.n ? ul_val_text(s) : (struct db_val){ .type = DB_NULL };
}

struct db_val ul_val_time(int64_t t)
{
	return (struct db_val){ .type = ul_conf.expires_type ? DB_INT : DB_TIME, .i = t };
}

void ul_aor_split(struct str aor, struct str *ret_user, struct str *ret_domain)
{
	ptrdiff_t at = ul_conf.use_domain ? str_rfind_char(aor, '@') : -1;

	*ret_user = at < 0 ? aor : str_sub(aor, 0, (size_t)at);
	*ret_domain = at < 0 ? STR_NULL : str_sub(aor, (size_t)at + 1, aor.n);
}

void ul_row_vals(struct str aor, const struct ul_contact *c, struct db_val v[UL_N_COLS])
{
	struct str user, domain;

	ul_aor_split(aor, &user, &domain);
	v[UL_COL_RUID] = ul_val_text(c->ruid);
	v[UL_COL_USER] = ul_val_text(user);
	v[UL_COL_DOMAIN] = val_text_or_null(domain);
	v[UL_COL_CONTACT] = ul_val_text(c->uri);
	v[UL_COL_RECEIVED] = val_text_or_null(c->received);
	v[UL_COL_PATH] = val_text_or_null(c->path);
	v[UL_COL_EXPIRES] = ul_val_time(c->expires);
	v[UL_COL_Q] = (struct db_val){ .type = DB_DOUBLE, .d = c->q < 0 ? -1.0 : c->q / 1000.0 };
	v[UL_COL_CALLID] = ul_val_text(c->callid);
	v[UL_COL_CSEQ] = ul_val_int(c->cseq);
	v[UL_COL_LAST_MODIFIED] = ul_val_time(c->modified);
	v[UL_COL_FLAGS] = ul_val_int(c->flags);
	v[UL_COL_CFLAGS] = ul_val_int(c->cflags);
	v[UL_COL_USER_AGENT] = ul_val_text(c->user_agent);
	v[UL_COL_SOCKET] = val_text_or_null(ul_socket_text(c));
	v[UL_COL_METHODS] = c->methods == UL_METHODS_ALL ? (struct db_val){ .type = DB_NULL } : ul_val_int(c->methods);
	v[UL_COL_INSTANCE] = ul_val_text(c->instance);
	v[UL_COL_REG_ID] = ul_val_int(c->reg_id);
	v[UL_COL_SERVER_ID] = ul_val_int(c->server_id);
	v[UL_COL_CONNECTION_ID] = ul_val_int(c->conn_id ? (int64_t)c->conn_id : -1);
	v[UL_COL_KEEPALIVE] = ul_val_int(ul_is_natted(c));
	v[UL_COL_PARTITION] = ul_val_int(0);
}

/* NULL texts would be refused by NOT NULL columns. */
void ul_vals_fix(struct db_val *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i].type == DB_STR && !v[i].s.s)
			v[i].s = STR_LIT("");
}

static int64_t val_time_of(const struct db_val *v)
{
	int64_t i = 0;

	if (v->type == DB_DOUBLE && !ul_conf.expires_type) { /* a Julian day; what is no time gives 0 */
		struct db_val s = { .type = DB_DOUBLE, .d = (v->d - JULIAN_EPOCH) * 86400.0 + 1.0 };

		return db_val_int(&s, &i) < 0 ? 0 : i;
	}
	if (v->type == DB_TIME)
		return v->i;
	return db_val_int(v, &i) < 0 ? 0 : i;
}

static int64_t val_int_of(const struct db_val *v, int64_t missing)
{
	int64_t i;

	return v->type == DB_NULL || db_val_int(v, &i) < 0 ? missing : i;
}

static uint32_t val_u32_of(const struct db_val *v, uint32_t missing)
{
	int64_t i = val_int_of(v, missing);

	return i < 0 || i > UINT32_MAX ? missing : (uint32_t)i;
}

static double val_double_of(const struct db_val *v)
{
	return v->type == DB_DOUBLE ? v->d : (double)val_int_of(v, -1);
}

/* Views into the row. aor_mem holds user@domain. */
void ul_row_contact(const struct db_val v[UL_N_COLS], struct ul_contact *c)
{
	double q = val_double_of(&v[UL_COL_Q]);
	struct str socket = db_val_str(&v[UL_COL_SOCKET]);
	const struct net_listener *l = socket.n ? net_listener_find(socket) : NULL;

	*c = (struct ul_contact){ .uri = db_val_str(&v[UL_COL_CONTACT]), .callid = db_val_str(&v[UL_COL_CALLID]),
		.received = db_val_str(&v[UL_COL_RECEIVED]), .path = db_val_str(&v[UL_COL_PATH]),
		.instance = db_val_str(&v[UL_COL_INSTANCE]), .user_agent = db_val_str(&v[UL_COL_USER_AGENT]),
		.ruid = db_val_str(&v[UL_COL_RUID]), .state = UL_SYNC };
	c->expires = val_time_of(&v[UL_COL_EXPIRES]);
	c->modified = val_time_of(&v[UL_COL_LAST_MODIFIED]);
	if (c->expires < UL_NEVER_S)
		c->expires = 0;
	if (c->expires > UINT32_MAX)
		c->expires = UINT32_MAX;
	if (c->modified <= 0 || c->modified > UINT32_MAX)
		c->modified = clock_wall_s();
	c->q = !(q >= 0) ? UL_Q_UNSET : q > 1 ? 1000 : (int16_t)(q * 1000 + 0.5);
	c->cseq = val_u32_of(&v[UL_COL_CSEQ], 0);
	c->flags = val_u32_of(&v[UL_COL_FLAGS], 0) & ~(uint32_t)UL_F_MEM_ONLY;
	c->cflags = val_u32_of(&v[UL_COL_CFLAGS], 0);
	c->methods = val_u32_of(&v[UL_COL_METHODS], UL_METHODS_ALL);
	c->reg_id = val_u32_of(&v[UL_COL_REG_ID], 0);
	c->server_id = val_u32_of(&v[UL_COL_SERVER_ID], 0);
	c->listener = l ? l->index : NET_LISTENER_NONE;
	if (!l)
		c->socket = socket;
	/* connections do not outlive the process that had them: conn_id stays 0 */
}

int ul_row_aor(const struct db_val v[UL_N_COLS], char *mem, size_t cap, struct str *ret)
{
	struct str user = db_val_str(&v[UL_COL_USER]), domain = db_val_str(&v[UL_COL_DOMAIN]);
	bool both = ul_conf.use_domain && domain.n > 0;

	if (user.n + domain.n + 1 > cap || user.n + domain.n == 0)
		return -EMSGSIZE;
	if (!both) {
		*ret = user.n ? user : domain;
		return 0;
	}
	memcpy(mem, user.s, user.n);
	mem[user.n] = '@';
	memcpy(mem + user.n + 1, domain.s, domain.n);
	*ret = str_of(mem, user.n + 1 + domain.n);
	return 0;
}

void ul_row_take(struct db_rows *rows, unsigned row, struct db_val v[UL_N_COLS])
{
	for (unsigned i = 0; i < UL_N_COLS; i++)
		v[i] = db_rows_at(rows, row, i);
}

int ul_sql_cols(struct strbuf *sb)
{
	for (unsigned i = 0; i < UL_N_COLS; i++) {
		int err;

		if (i)
			strbuf_add_char(sb, ',');
		err = db_ident(sb, ul_conf.column[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

int ul_sql_col(struct strbuf *sb, enum ul_column col)
{
	return db_ident(sb, ul_conf.column[col]);
}

int ul_sql_time(struct strbuf *sb, struct str table, enum ul_column col)
{
	int err = 0;

	if (!ul_conf.expires_type)
		return db_sql_time(sb, ul_conf.db_url, table, ul_conf.column[col]);
	if (table.n > 0) {
		err = db_ident(sb, table);
		strbuf_add_char(sb, '.');
	}
	return err < 0 ? err : ul_sql_col(sb, col);
}

int ul_sql_upsert(struct strbuf *sb, const struct ul_domain *d, unsigned n)
{
	int err = 0;

	strbuf_add_lit(sb, "INSERT INTO ");
	err |= db_ident(sb, d->name);
	strbuf_add_lit(sb, " (");
	err |= ul_sql_cols(sb);
	strbuf_add_lit(sb, ") VALUES ");
	for (unsigned i = 0; i < n; i++) {
		strbuf_add_lit(sb, i ? ",(" : "(");
		for (unsigned k = 0; k < UL_N_COLS; k++)
			strbuf_add_lit(sb, k ? ",?" : "?");
		strbuf_add_char(sb, ')');
	}
	strbuf_add_lit(sb, " ON CONFLICT (");
	err |= ul_sql_col(sb, UL_COL_RUID);
	strbuf_add_lit(sb, ") DO UPDATE SET ");
	for (unsigned i = 1; i < UL_N_COLS; i++) {
		if (i > 1)
			strbuf_add_char(sb, ',');
		err |= ul_sql_col(sb, (enum ul_column)i);
		strbuf_add_lit(sb, "=excluded.");
		err |= ul_sql_col(sb, (enum ul_column)i);
	}
	/* a time that somebody else wrote may be text, or none at all */
	strbuf_add_lit(sb, " WHERE ");
	err |= ul_sql_time(sb, STR_LIT("excluded"), UL_COL_LAST_MODIFIED);
	strbuf_add_lit(sb, ">=COALESCE(");
	err |= ul_sql_time(sb, d->name, UL_COL_LAST_MODIFIED);
	strbuf_add_lit(sb, ",0)");
	return err ? -EINVAL : strbuf_err(sb);
}

int ul_sql_delete(struct strbuf *sb, const struct ul_domain *d, unsigned n)
{
	int err = 0;

	strbuf_add_lit(sb, "DELETE FROM ");
	err |= db_ident(sb, d->name);
	strbuf_add_lit(sb, " WHERE ");
	err |= ul_sql_col(sb, UL_COL_RUID);
	strbuf_add_lit(sb, " IN (");
	for (unsigned i = 0; i < n; i++)
		strbuf_add_lit(sb, i ? ",?" : "?");
	strbuf_add_char(sb, ')');
	return err ? -EINVAL : strbuf_err(sb);
}

/* " AND server_id=?" when rows of other servers are not ours to see. */
int ul_sql_server(struct strbuf *sb, struct db_val *vals, unsigned *n_vals)
{
	int err;

	if (!ul_conf.server_id_filter)
		return 0;
	strbuf_add_lit(sb, " AND ");
	err = ul_sql_col(sb, UL_COL_SERVER_ID);
	strbuf_add_lit(sb, "=?");
	vals[(*n_vals)++] = ul_val_int(pv_conf.server_id);
	return err;
}

static int sql_select(struct strbuf *sb, const struct ul_domain *d, bool with_id)
{
	int err;

	strbuf_add_lit(sb, "SELECT ");
	err = ul_sql_cols(sb);
	if (with_id)
		strbuf_add_lit(sb, ",id");
	strbuf_add_lit(sb, " FROM ");
	err |= db_ident(sb, d->name);
	strbuf_add_lit(sb, " WHERE ");
	return err;
}

int ul_sql_load(struct strbuf *sb, const struct ul_domain *d, int64_t last_id, struct db_val *vals, unsigned *ret_n_vals)
{
	int err = sql_select(sb, d, true);
	unsigned n = 0;

	strbuf_add_lit(sb, "id>? AND (");
	vals[n++] = ul_val_int(last_id);
	err |= ul_sql_time(sb, STR_NULL, UL_COL_EXPIRES);
	strbuf_add_lit(sb, ">? OR ");
	vals[n++] = ul_val_time(clock_wall_s());
	err |= ul_sql_time(sb, STR_NULL, UL_COL_EXPIRES);
	strbuf_add_lit(sb, "<?)");
	vals[n++] = ul_val_time(UL_NEVER_S);
	err |= ul_sql_server(sb, vals, &n);
	strbuf_add_lit(sb, " ORDER BY id LIMIT ?");
	vals[n++] = ul_val_int(ul_conf.fetch_rows);
	*ret_n_vals = n;
	return err ? -EINVAL : strbuf_err(sb);
}

int ul_sql_fetch(struct strbuf *sb, const struct ul_domain *d, struct str aor, struct db_val *vals, unsigned *ret_n_vals)
{
	int err = sql_select(sb, d, false);
	struct str user, domain;
	unsigned n = 0;

	ul_aor_split(aor, &user, &domain);
	err |= ul_sql_col(sb, UL_COL_USER);
	strbuf_add_lit(sb, "=?");
	vals[n++] = ul_val_text(user);
	if (ul_conf.use_domain && domain.n) {
		strbuf_add_lit(sb, " AND ");
		err |= ul_sql_col(sb, UL_COL_DOMAIN);
		strbuf_add_lit(sb, "=?");
		vals[n++] = ul_val_text(domain);
	} else if (ul_conf.use_domain) { /* tel:, or a domain of its own: it was written without one */
		strbuf_add_lit(sb, " AND COALESCE(");
		err |= ul_sql_col(sb, UL_COL_DOMAIN);
		strbuf_add_lit(sb, ",'')=''");
	}
	err |= ul_sql_server(sb, vals, &n);
	strbuf_add_lit(sb, " ORDER BY ");
	err |= ul_sql_col(sb, ul_conf.desc_time_order ? UL_COL_LAST_MODIFIED : UL_COL_Q);
	strbuf_add_lit(sb, " DESC, id LIMIT 1000");
	ul_vals_fix(vals, n);
	*ret_n_vals = n;
	return err ? -EINVAL : strbuf_err(sb);
}

int ul_sql_fetch_ruid(struct strbuf *sb, const struct ul_domain *d, struct str ruid, struct db_val *vals, unsigned *ret_n_vals)
{
	int err = sql_select(sb, d, false);

	err |= ul_sql_col(sb, UL_COL_RUID);
	strbuf_add_lit(sb, "=?");
	vals[0] = ul_val_text(ruid);
	*ret_n_vals = 1;
	return err ? -EINVAL : strbuf_err(sb);
}
