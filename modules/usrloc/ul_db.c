/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The location tables of the database. What is unwritten is known from the contacts' own state in shared memory, so there is no
 * queue that a dying worker could take with it: the sweep of ul_timer.c gathers unwritten contacts into batches of one
 * upsert (keyed by ruid) or one delete each, a contact that changed ten times is written once, and when too many batches wait
 * for an answer the sweep simply leaves contacts as they are until its next turn. After an answer a contact counts as
 * written if it is still the version that was sent; whatever failed is sent again.
 *
 * Write-through (db_mode 1) uses the same batches for one AoR at once and tells the caller when the database has answered.
 * db_mode 3 keeps nothing in memory: fetch, decide, write.
 *
 * Two workers' writes of one contact may arrive in either order; the upsert keeps the newer (last_modified). A row that
 * arrives behind its own deletion is deleted again, since the contact is then found to be gone.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/net/listener.h"
#include "modules/usrloc/ul_priv.h"

#define BATCH_ROWS 50u       /* rows of one statement */
#define BATCH_ROWS_SYNC 500u /* ... when nobody waits for anything else; 11000 parameters, SQLite takes 32766 */
#define SQL_MAX 65536u
#define JULIAN_EPOCH 2440587.5
#define TABLE_VERSION 9
#define NEVER_S 172800 /* times before are "does not expire": 0, give or take zones and rounding */

struct op { /* who waits for one or more batches */
	unsigned n_pending;
	int err;
	ul_done_fn *done;
	void *arg;
};

struct item {
	struct str aor, ruid;
	uint32_t version;
};

struct batch {
	struct ul_domain *d;
	struct pool *pool;
	struct op *op;      /* NULL: nobody waits */
	struct strbuf sql;
	unsigned n, cap;
	bool del;
	struct item *item;
	struct db_val *vals; /* cap * UL_N_COLS, or cap ruids */
};

static struct {
	struct db *db;                         /* of this process */
	struct batch *up[UL_DOMAINS_MAX], *del[UL_DOMAINS_MAX]; /* being gathered by the sweep */
	unsigned n_in_flight;
	bool down;                             /* the last answer was a failure: logged once */
} udb;

/* ---- rows ---- */

static struct db_val val_int(int64_t i)
{
	return (struct db_val){ .type = DB_INT, .i = i };
}

static struct db_val val_text(struct str s)
{
	return (struct db_val){ .type = DB_STR, .s = s };
}

static struct db_val val_text_or_null(struct str s)
{
	return s.n ? val_text(s) : (struct db_val){ .type = DB_NULL };
}

static struct db_val val_time(int64_t t)
{
	return (struct db_val){ .type = ul_conf.expires_type ? DB_INT : DB_TIME, .i = t };
}

static void split_aor(struct str aor, struct str *ret_user, struct str *ret_domain)
{
	ptrdiff_t at = ul_conf.use_domain ? str_rfind_char(aor, '@') : -1;

	*ret_user = at < 0 ? aor : str_sub(aor, 0, (size_t)at);
	*ret_domain = at < 0 ? STR_NULL : str_sub(aor, (size_t)at + 1, aor.n);
}

static void row_vals(struct str aor, const struct ul_contact *c, struct db_val v[UL_N_COLS])
{
	const struct net_listener *l = net_listener_at(c->listener);
	struct str user, domain;

	split_aor(aor, &user, &domain);
	v[UL_COL_RUID] = val_text(c->ruid);
	v[UL_COL_USER] = val_text(user);
	v[UL_COL_DOMAIN] = val_text_or_null(domain);
	v[UL_COL_CONTACT] = val_text(c->uri);
	v[UL_COL_RECEIVED] = val_text_or_null(c->received);
	v[UL_COL_PATH] = val_text_or_null(c->path);
	v[UL_COL_EXPIRES] = val_time(c->expires);
	v[UL_COL_Q] = (struct db_val){ .type = DB_DOUBLE, .d = c->q < 0 ? -1.0 : c->q / 1000.0 };
	v[UL_COL_CALLID] = val_text(c->callid);
	v[UL_COL_CSEQ] = val_int(c->cseq);
	v[UL_COL_LAST_MODIFIED] = val_time(c->modified);
	v[UL_COL_FLAGS] = val_int(c->flags);
	v[UL_COL_CFLAGS] = val_int(c->cflags);
	v[UL_COL_USER_AGENT] = val_text(c->user_agent);
	v[UL_COL_SOCKET] = val_text_or_null(l ? l->sock_text : c->socket);
	v[UL_COL_METHODS] = c->methods == UL_METHODS_ALL ? (struct db_val){ .type = DB_NULL } : val_int(c->methods);
	v[UL_COL_INSTANCE] = val_text(c->instance);
	v[UL_COL_REG_ID] = val_int(c->reg_id);
	v[UL_COL_SERVER_ID] = val_int(c->server_id);
	v[UL_COL_CONNECTION_ID] = val_int(c->conn_id ? (int64_t)c->conn_id : -1);
	v[UL_COL_KEEPALIVE] = val_int(0);
	v[UL_COL_PARTITION] = val_int(0);
}

/* NULL texts would be refused by NOT NULL columns. */
static void vals_fix(struct db_val *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i].type == DB_STR && !v[i].s.s)
			v[i].s = STR_LIT("");
}

static int64_t val_time_of(const struct db_val *v)
{
	int64_t i = 0;

	if (v->type == DB_DOUBLE && !ul_conf.expires_type)
		return (int64_t)((v->d - JULIAN_EPOCH) * 86400.0 + 1.0);
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
static void row_contact(const struct db_val v[UL_N_COLS], struct ul_contact *c)
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
	if (c->expires < NEVER_S)
		c->expires = 0;
	if (c->expires > UINT32_MAX)
		c->expires = UINT32_MAX;
	if (c->modified <= 0 || c->modified > UINT32_MAX)
		c->modified = clock_wall_s();
	c->q = q < 0 ? UL_Q_UNSET : q > 1 ? 1000 : (int16_t)(q * 1000 + 0.5);
	c->cseq = val_u32_of(&v[UL_COL_CSEQ], 0);
	c->flags = val_u32_of(&v[UL_COL_FLAGS], 0) & ~(uint32_t)UL_F_MEM_ONLY;
	c->cflags = val_u32_of(&v[UL_COL_CFLAGS], 0);
	c->methods = val_u32_of(&v[UL_COL_METHODS], UL_METHODS_ALL);
	c->reg_id = val_u32_of(&v[UL_COL_REG_ID], 0);
	c->server_id = (uint16_t)val_u32_of(&v[UL_COL_SERVER_ID], 0);
	c->listener = l ? l->index : NET_LISTENER_NONE;
	if (!l)
		c->socket = socket;
	/* connections do not outlive the process that had them: conn_id stays 0 */
}

static int row_aor(const struct db_val v[UL_N_COLS], char *mem, size_t cap, struct str *ret)
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

/* ---- SQL texts ---- */

static int add_cols(struct strbuf *sb)
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

static int add_col(struct strbuf *sb, enum ul_column col)
{
	return db_ident(sb, ul_conf.column[col]);
}

static int sql_upsert(struct strbuf *sb, const struct ul_domain *d, unsigned n)
{
	int err = 0;

	strbuf_add_lit(sb, "INSERT INTO ");
	err |= db_ident(sb, d->name);
	strbuf_add_lit(sb, " (");
	err |= add_cols(sb);
	strbuf_add_lit(sb, ") VALUES ");
	for (unsigned i = 0; i < n; i++) {
		strbuf_add_lit(sb, i ? ",(" : "(");
		for (unsigned k = 0; k < UL_N_COLS; k++)
			strbuf_add_lit(sb, k ? ",?" : "?");
		strbuf_add_char(sb, ')');
	}
	strbuf_add_lit(sb, " ON CONFLICT (");
	err |= add_col(sb, UL_COL_RUID);
	strbuf_add_lit(sb, ") DO UPDATE SET ");
	for (unsigned i = 1; i < UL_N_COLS; i++) {
		if (i > 1)
			strbuf_add_char(sb, ',');
		err |= add_col(sb, (enum ul_column)i);
		strbuf_add_lit(sb, "=excluded.");
		err |= add_col(sb, (enum ul_column)i);
	}
	strbuf_add_lit(sb, " WHERE excluded.");
	err |= add_col(sb, UL_COL_LAST_MODIFIED);
	strbuf_add_lit(sb, ">=");
	err |= db_ident(sb, d->name);
	strbuf_add_char(sb, '.');
	err |= add_col(sb, UL_COL_LAST_MODIFIED);
	return err ? -EINVAL : strbuf_err(sb);
}

static int sql_delete(struct strbuf *sb, const struct ul_domain *d, unsigned n)
{
	int err = 0;

	strbuf_add_lit(sb, "DELETE FROM ");
	err |= db_ident(sb, d->name);
	strbuf_add_lit(sb, " WHERE ");
	err |= add_col(sb, UL_COL_RUID);
	strbuf_add_lit(sb, " IN (");
	for (unsigned i = 0; i < n; i++)
		strbuf_add_lit(sb, i ? ",?" : "?");
	strbuf_add_char(sb, ')');
	return err ? -EINVAL : strbuf_err(sb);
}

/* ---- batches ---- */

static void batch_free(struct batch *b)
{
	if (b)
		pool_free(b->pool); /* it lives in its own pool */
}

static struct batch *batch_new(struct ul_domain *d, bool del, struct op *op, unsigned cap)
{
	struct pool *pool = pool_new((size_t)4 << 20);
	struct batch *b = pool ? pool_zalloc(pool, sizeof(*b)) : NULL;

	if (!b) {
		pool_free(pool);
		return NULL;
	}
	b->pool = pool;
	b->d = d;
	b->del = del;
	b->op = op;
	b->cap = cap;
	b->item = pool_alloc(pool, cap * sizeof(*b->item));
	b->vals = pool_alloc(pool, (del ? cap : cap * UL_N_COLS) * sizeof(*b->vals));
	strbuf_init_pool(&b->sql, pool, SQL_MAX);
	if (!b->item || !b->vals) {
		batch_free(b);
		return NULL;
	}
	return b;
}

static bool dup_in(struct pool *pool, struct str *s)
{
	if (s->n == 0)
		return true;
	*s = str_dup(pool, *s);
	return s->s != NULL;
}

static int batch_add(struct batch *b, struct str aor, const struct ul_contact *c)
{
	struct item *it = &b->item[b->n];
	struct db_val *v = &b->vals[b->del ? b->n : b->n * UL_N_COLS];

	it->aor = aor;
	it->ruid = c->ruid;
	it->version = b->del ? UINT32_MAX : c->version;
	if (!dup_in(b->pool, &it->aor) || !dup_in(b->pool, &it->ruid))
		return -ENOMEM;
	if (b->del) {
		*v = val_text(it->ruid);
	} else {
		row_vals(aor, c, v);
		for (unsigned i = 0; i < UL_N_COLS; i++)
			if (v[i].type == DB_STR && !dup_in(b->pool, &v[i].s))
				return -ENOMEM;
		vals_fix(v, UL_N_COLS);
	}
	b->n++;
	return 0;
}

static void op_end(struct op *op, int err)
{
	if (!op)
		return;
	if (err < 0)
		op->err = err;
	if (--op->n_pending > 0)
		return;
	op->done(op->arg, op->err);
	free(op);
}

static void say_down(const struct ul_domain *d, int err, struct str text)
{
	if (!udb.down)
		log_fail(err, "usrloc: table %.*s cannot be written, will be tried again: %.*s", STR_FMT(d->name), STR_FMT(text));
	udb.down = true;
}

static void batch_written(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		const struct item *it = &b->item[i];

		if (ul_conf.db_mode == 3)
			continue;
		if (ul_synced(b->d, it->aor, it->ruid, it->version) == -ENOENT && !b->del)
			ul_db_forget(b->d, it->ruid);
	}
}

static void batch_done(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	struct batch *b = arg;

	(void)rows;
	udb.n_in_flight--;
	if (err < 0) {
		say_down(b->d, err, err_text);
	} else {
		if (udb.down)
			log_notice("usrloc: table %.*s can be written again", STR_FMT(b->d->name));
		udb.down = false;
		batch_written(b);
	}
	op_end(b->op, err);
	batch_free(b);
}

static int db_open(void)
{
	struct diag diag;

	if (udb.db)
		return 0;
	if (db_get(ul_conf.db_url, &udb.db, &diag) < 0) {
		if (!udb.down)
			log_error("usrloc: %s", diag.text);
		udb.down = true;
		return -ENOTCONN;
	}
	return 0;
}

static unsigned batch_params(const struct batch *b)
{
	return b->del ? b->n : b->n * UL_N_COLS;
}

static int batch_sql(struct batch *b)
{
	return b->del ? sql_delete(&b->sql, b->d, b->n) : sql_upsert(&b->sql, b->d, b->n);
}

/* Takes b over. Its op hears of it later, never from within. */
static void batch_late_fail(void *arg)
{
	struct batch *b = arg;

	op_end(b->op, -EBUSY);
	batch_free(b);
}

static void batch_send(struct batch *b, unsigned deadline_ms)
{
	int err;

	if (b->n == 0 && !b->op) {
		batch_free(b);
		return;
	}
	err = b->n ? batch_sql(b) : -ENODATA;
	if (err == 0)
		err = db_open();
	if (err == 0)
		err = db_query(udb.db, strbuf_str(&b->sql), b->vals, batch_params(b), deadline_ms, batch_done, b);
	if (err == 0) {
		udb.n_in_flight++;
		return;
	}
	say_down(b->d, err, STR_LIT("not sent"));
	if (!b->op || loop_defer(loop_self(), batch_late_fail, b) < 0)
		batch_free(b); /* the waiter's own deadline tells it */
}

/* ---- the sweep ---- */

static struct batch *gather(struct batch **at, struct ul_domain *d, bool del)
{
	if (*at && (*at)->n == (*at)->cap) {
		batch_send(*at, (unsigned)ul_conf.db_deadline_ms);
		*at = NULL;
	}
	if (!*at)
		*at = batch_new(d, del, NULL, BATCH_ROWS);
	return *at;
}

void ul_db_flush_aor(struct ul_domain *d, struct str aor)
{
	struct pool *pool;
	struct ul_list list = { 0 };

	if (udb.n_in_flight >= (unsigned)ul_conf.db_queue_max)
		return;
	pool = pool_new((size_t)4 << 20);
	if (!pool)
		return;
	if (ul_get_unwritten(d, aor, pool, &list) == 0) {
		for (unsigned i = 0; i < list.n; i++) {
			bool del = list.c[i].state == UL_DELETED;
			struct batch *b = gather(del ? &udb.del[d->index] : &udb.up[d->index], d, del);

			if (b && batch_add(b, aor, &list.c[i]) < 0)
				break;
		}
	}
	pool_free(pool);
}

void ul_db_forget(struct ul_domain *d, struct str ruid)
{
	struct ul_contact c = { .ruid = ruid };
	struct batch *b;

	if ((ul_conf.db_mode != 1 && ul_conf.db_mode != 2) || udb.n_in_flight >= (unsigned)ul_conf.db_queue_max)
		return; /* an expired row that stays is not loaded, and goes with db_timer_clean */
	b = gather(&udb.del[d->index], d, true);
	if (b && batch_add(b, STR_NULL, &c) < 0)
		return;
}

void ul_db_flush_end(void)
{
	for (unsigned i = 0; i < ul_domain_count(); i++) {
		struct batch *up = udb.up[i], *del = udb.del[i];

		udb.up[i] = udb.del[i] = NULL;
		if (up)
			batch_send(up, (unsigned)ul_conf.db_deadline_ms);
		if (del)
			batch_send(del, (unsigned)ul_conf.db_deadline_ms);
	}
}

static void clean_done(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	(void)rows;
	udb.n_in_flight--;
	if (err < 0)
		say_down(arg, err, err_text);
}

void ul_db_clean(struct ul_domain *d)
{
	struct db_val vals[2] = { val_time(clock_wall_s() - ul_conf.rm_expired_delay), val_time(NEVER_S) };
	char mem[512];
	struct strbuf sb;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add_lit(&sb, "DELETE FROM ");
	if (db_ident(&sb, d->name) < 0)
		return;
	strbuf_add_lit(&sb, " WHERE ");
	if (add_col(&sb, UL_COL_EXPIRES) < 0)
		return;
	strbuf_add_lit(&sb, "<? AND ");
	if (add_col(&sb, UL_COL_EXPIRES) < 0)
		return;
	strbuf_add_lit(&sb, ">=?");
	if (strbuf_err(&sb) < 0 || db_open() < 0)
		return;
	if (db_query(udb.db, strbuf_str(&sb), vals, 2, (unsigned)ul_conf.db_deadline_ms, clean_done, d) == 0)
		udb.n_in_flight++;
}

/* ---- write-through ---- */

struct late {
	ul_done_fn *done;
	void *arg;
	int err;
};

static void late_done(void *arg)
{
	struct late *l = arg;

	l->done(l->arg, l->err);
	free(l);
}

/* Later, from the loop. Without memory the waiter's own deadline tells it. */
static void done_later(ul_done_fn *done, void *arg, int err)
{
	struct late *l = malloc(sizeof(*l));

	if (!l)
		return;
	*l = (struct late){ .done = done, .arg = arg, .err = err };
	if (loop_defer(loop_self(), late_done, l) < 0)
		free(l);
}

/* Sends contacts (state UL_DELETED: deletes) in as few batches as there must be; op hears of each. */
static int list_send(struct ul_domain *d, struct str aor, const struct ul_contact *c, unsigned n, unsigned deadline_ms, ul_done_fn *done, void *arg)
{
	struct batch *list[64] = { NULL };
	struct batch *up = NULL, *del = NULL;
	struct op *op = calloc(1, sizeof(*op));
	unsigned n_batches = 0;
	int err = -ENOMEM;

	if (!op)
		return err;
	op->done = done;
	op->arg = arg;
	for (unsigned i = 0; i < n; i++) {
		bool is_del = c[i].state == UL_DELETED;
		struct batch **at = is_del ? &del : &up;

		if (!*at || (*at)->n == (*at)->cap) {
			err = n_batches < ARRAY_LEN(list) ? -ENOMEM : -E2BIG;
			*at = n_batches < ARRAY_LEN(list) ? batch_new(d, is_del, op, n - i < BATCH_ROWS ? n - i : BATCH_ROWS) : NULL;
			if (!*at)
				goto fail;
			list[n_batches++] = *at;
		}
		err = batch_add(*at, aor, &c[i]);
		if (err < 0)
			goto fail;
	}
	op->n_pending = n_batches;
	for (unsigned i = 0; i < n_batches; i++)
		batch_send(list[i], deadline_ms);
	return 0;
fail:
	for (unsigned i = 0; i < n_batches; i++)
		batch_free(list[i]);
	free(op);
	return err;
}

void ul_sync(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_done_fn *done, void *arg)
{
	struct pool *pool = pool_new((size_t)16 << 20);
	struct ul_list list = { 0 };
	int err = pool ? ul_get_unwritten(d, aor, pool, &list) : -ENOMEM;

	if (err == -ENOENT)
		done_later(done, arg, 0);
	else if (err == 0)
		err = list_send(d, aor, list.c, list.n, deadline_ms, done, arg);
	if (err < 0 && err != -ENOENT)
		done_later(done, arg, err);
	pool_free(pool);
}

/* ---- db_mode 3 ---- */

struct fetch {
	ul_list_fn *fn;
	void *arg;
};

static void vals_of_row(struct db_rows *rows, unsigned row, struct db_val v[UL_N_COLS])
{
	for (unsigned i = 0; i < UL_N_COLS; i++)
		v[i] = db_rows_at(rows, row, i);
}

static void fetched(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	struct fetch *f = arg;
	struct ul_list list = { 0 };
	unsigned n = rows ? db_rows_n(rows) : 0;
	int64_t now = clock_wall_s();

	if (err < 0 && !udb.down)
		log_fail(err, "usrloc: cannot read contacts: %.*s", STR_FMT(err_text));
	udb.down = err < 0;
	if (err == 0 && n) {
		list.c = calloc(n, sizeof(*list.c));
		if (!list.c)
			err = -ENOMEM;
	}
	for (unsigned i = 0; err == 0 && i < n; i++) {
		struct db_val v[UL_N_COLS];
		struct ul_contact *c = &list.c[list.n];

		vals_of_row(rows, i, v);
		row_contact(v, c);
		if (c->expires == 0 || c->expires > now)
			list.n++;
	}
	f->fn(f->arg, err, &list);
	free(list.c);
	free(f);
}

static void fetch_fail(void *arg, int err)
{
	struct fetch *f = arg;
	struct ul_list none = { 0 };

	f->fn(f->arg, err, &none);
	free(f);
}

void ul_fetch(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_list_fn *fn, void *arg)
{
	struct fetch *f = malloc(sizeof(*f));
	struct str user, domain;
	struct db_val vals[2];
	unsigned n_vals = 1;
	char mem[2048];
	struct strbuf sb;
	int err = 0;

	if (!f)
		return; /* the waiter's own deadline tells it */
	*f = (struct fetch){ .fn = fn, .arg = arg };
	split_aor(aor, &user, &domain);
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add_lit(&sb, "SELECT ");
	err |= add_cols(&sb);
	strbuf_add_lit(&sb, " FROM ");
	err |= db_ident(&sb, d->name);
	strbuf_add_lit(&sb, " WHERE ");
	err |= add_col(&sb, UL_COL_USER);
	strbuf_add_lit(&sb, "=?");
	vals[0] = val_text(user);
	if (ul_conf.use_domain) {
		strbuf_add_lit(&sb, " AND ");
		err |= add_col(&sb, UL_COL_DOMAIN);
		strbuf_add_lit(&sb, "=?");
		vals[n_vals++] = val_text(domain);
	}
	strbuf_add_lit(&sb, " ORDER BY ");
	err |= add_col(&sb, ul_conf.desc_time_order ? UL_COL_LAST_MODIFIED : UL_COL_Q);
	strbuf_add_lit(&sb, " DESC, id LIMIT 1000");
	vals_fix(vals, n_vals);
	err = err ? -EINVAL : strbuf_err(&sb);
	if (err == 0)
		err = db_open();
	if (err == 0)
		err = db_query(udb.db, strbuf_str(&sb), vals, n_vals, deadline_ms, fetched, f);
	if (err < 0)
		done_later(fetch_fail, f, err);
}

/* What save_db() will write; in the caller's pool. */
struct plan_db {
	struct ul_contact *c;
	unsigned n;
};

static void plan_delete(struct plan_db *p, const struct ul_contact *c)
{
	p->c[p->n] = *c;
	p->c[p->n++].state = UL_DELETED;
}

static int plan_one(struct ul_save *s, struct ul_change *ch, const struct ul_list *list, const bool *taken, int mode, unsigned *ret_at)
{
	unsigned at = 0;

	while (at < list->n && (taken[at] || !ul_matches(&list->c[at], &ch->c, mode, s->match_received)))
		at++;
	*ret_at = at;
	if (at == list->n) {
		ch->outcome = ch->remove ? UL_O_NOTHING : UL_O_INSERTED;
		return 0;
	}
	ch->outcome = ch->remove ? UL_O_REMOVED : UL_O_UPDATED;
	if (ch->c.instance.n || s->flags & UL_SAVE_FORCE || !str_eq(list->c[at].callid, ch->c.callid))
		return 0;
	if (ch->c.cseq > list->c[at].cseq)
		return 0;
	if (ch->c.cseq < list->c[at].cseq || clock_wall_s() > list->c[at].modified + ul_conf.cseq_delay)
		return -ESTALE;
	ch->outcome = UL_O_RETRANSMIT;
	return 0;
}

int ul_plan_db(struct ul_domain *d, struct str aor, const struct ul_list *list, struct ul_save *s)
{
	int mode = s->matching_mode < 0 ? ul_conf.matching_mode : s->matching_mode;
	unsigned n_max = list->n + s->n_changes, n_new = 0, n_gone = 0;
	struct plan_db *p = pool_zalloc(s->pool, sizeof(*p));
	struct ul_contact *after = pool_alloc(s->pool, (n_max + 1) * sizeof(*after));
	bool *taken = pool_zalloc(s->pool, list->n + 1);
	unsigned n_after = 0;

	if (!p || !after || !taken)
		return -ENOMEM;
	p->c = pool_alloc(s->pool, (n_max + 1) * sizeof(*p->c));
	if (!p->c)
		return -ENOMEM;
	s->ret_any_new = false;
	for (unsigned i = 0; i < s->n_changes; i++) {
		struct ul_change *ch = &s->changes[i];
		unsigned at;
		bool later = false;
		int err;

		ch->outcome = UL_O_NOTHING;
		for (unsigned j = i + 1; j < s->n_changes && !later; j++)
			later = ul_matches(&ch->c, &s->changes[j].c, mode, s->match_received);
		if (later)
			continue;
		err = plan_one(s, ch, list, taken, mode, &at);
		if (err < 0)
			return err;
		if (at < list->n)
			taken[at] = true;
		ch->c.modified = clock_wall_s();
		ch->c.state = UL_DIRTY;
		switch (ch->outcome) {
		case UL_O_INSERTED:
			err = ul_ruid_new(s->pool, &ch->c);
			if (err < 0)
				return err;
			n_new++;
			s->ret_any_new = true;
			p->c[p->n++] = after[n_after++] = ch->c;
			break;
		case UL_O_UPDATED:
			ch->c.ruid = list->c[at].ruid;
			p->c[p->n++] = after[n_after++] = ch->c;
			break;
		case UL_O_REMOVED:
			n_gone++;
			plan_delete(p, &list->c[at]);
			break;
		case UL_O_RETRANSMIT:
			after[n_after++] = list->c[at];
			break;
		case UL_O_NOTHING:
			break;
		}
	}
	for (unsigned i = 0; i < list->n; i++) {
		if (taken[i])
			continue;
		if (s->flags & (UL_SAVE_ONE | UL_SAVE_REMOVE_ALL))
			plan_delete(p, &list->c[i]);
		else
			after[n_after++] = list->c[i];
	}
	if (s->max_contacts && n_new && !(s->flags & UL_SAVE_ONE && list->n) && list->n + n_new - n_gone > s->max_contacts)
		return -E2BIG;
	for (unsigned i = 1; i < n_after; i++) { /* by q, stable */
		struct ul_contact c = after[i];
		unsigned k = i;

		for (; k > 0 && !ul_conf.desc_time_order && after[k - 1].q < c.q; k--)
			after[k] = after[k - 1];
		after[k] = c;
	}
	s->plan = p;
	s->ret_list = (struct ul_list){ .c = after, .n = n_after, .aor_hash = ul_aor_hash(aor) };
	(void)d;
	return 0;
}

void ul_save_db(struct ul_domain *d, struct str aor, struct ul_save *s, unsigned deadline_ms, ul_done_fn *done, void *arg)
{
	const struct plan_db *p = s->plan;
	int err;

	if (p->n == 0) {
		done_later(done, arg, 0);
		return;
	}
	err = list_send(d, aor, p->c, p->n, deadline_ms, done, arg);
	if (err < 0)
		done_later(done, arg, err);
}

/* ---- start, end, and process rpcd: blocking ---- */

static int sync_query(struct strbuf *sql, const struct db_val *vals, unsigned n, struct db_rows **ret_rows, struct diag *reterr)
{
	if (strbuf_err(sql) < 0)
		return diag_err(reterr, -EMSGSIZE, 0, "SQL text too long");
	return db_query_sync(ul_conf.db_url, strbuf_str(sql), vals, n, ret_rows, reterr);
}

static int load_rows(struct ul_domain *d, struct db_rows *rows, int64_t *last_id, unsigned *ret_loaded)
{
	for (unsigned i = 0; i < db_rows_n(rows); i++) {
		struct db_val v[UL_N_COLS], id = db_rows_at(rows, i, UL_N_COLS);
		struct ul_contact c;
		struct str aor;
		char mem[512];
		int err;

		if (db_val_int(&id, last_id) < 0)
			return -EPROTO;
		vals_of_row(rows, i, v);
		row_contact(v, &c);
		if (c.uri.n == 0 || c.ruid.n == 0 || c.ruid.n >= UL_RUID_MAX || row_aor(v, mem, sizeof(mem), &aor) < 0)
			continue; /* nothing that we could use, or would write */
		if (c.socket.n && ul_conf.skip_remote_socket)
			continue;
		err = ul_load(d, aor, &c);
		if (err < 0)
			return err;
		(*ret_loaded)++;
	}
	return 0;
}

/* In slices by id: each costs the same, and no slice holds the whole table. */
int ul_db_load(struct ul_domain *d)
{
	int64_t last_id = -1;
	unsigned n_loaded = 0, n;
	struct diag diag = { 0 };

	do {
		struct db_val vals[4] = { val_int(last_id), val_time(clock_wall_s()), val_time(NEVER_S), val_int(ul_conf.fetch_rows) };
		struct db_rows *rows = NULL;
		char mem[2048];
		struct strbuf sb;
		int err = 0;

		strbuf_init_fixed(&sb, mem, sizeof(mem));
		strbuf_add_lit(&sb, "SELECT ");
		err |= add_cols(&sb);
		strbuf_add_lit(&sb, ",id FROM ");
		err |= db_ident(&sb, d->name);
		strbuf_add_lit(&sb, " WHERE id>? AND (");
		err |= add_col(&sb, UL_COL_EXPIRES);
		strbuf_add_lit(&sb, ">? OR ");
		err |= add_col(&sb, UL_COL_EXPIRES);
		strbuf_add_lit(&sb, "<?) ORDER BY id LIMIT ?");
		if (err)
			return -EINVAL;
		err = sync_query(&sb, vals, 4, &rows, &diag);
		if (err < 0) {
			log_error("usrloc: cannot load table %.*s: %s", STR_FMT(d->name), diag.text);
			return err;
		}
		n = rows ? db_rows_n(rows) : 0;
		err = rows ? load_rows(d, rows, &last_id, &n_loaded) : 0;
		db_rows_free(rows);
		if (err < 0)
			return log_fail(err, "usrloc: cannot load table %.*s after %u contacts", STR_FMT(d->name), n_loaded);
	} while (n == (unsigned)ul_conf.fetch_rows);
	log_notice("usrloc: %u contacts loaded from table %.*s", n_loaded, STR_FMT(d->name));
	return 0;
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
	err |= add_col(&sb, UL_COL_CONNECTION_ID);
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
			err = ul_db_load(d);
			if (err < 0)
				return err;
		}
	}
	return 0;
}

static int batch_sync(struct batch *b)
{
	struct db_rows *rows = NULL;
	struct diag diag = { 0 };
	int err;

	if (b->n == 0)
		return 0;
	err = batch_sql(b);
	if (err == 0)
		err = db_query_sync(ul_conf.db_url, strbuf_str(&b->sql), b->vals, batch_params(b), &rows, &diag);
	db_rows_free(rows);
	if (err < 0)
		log_error("usrloc: %u contacts of table %.*s not written: %s", b->n, STR_FMT(b->d->name), diag.text);
	else
		batch_written(b);
	return err;
}

static int flush_list(struct batch **up, struct batch **del, struct ul_domain *d, struct str aor, const struct ul_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		bool is_del = list->c[i].state == UL_DELETED;
		struct batch **at = is_del ? del : up;
		int err;

		if (*at && (*at)->n == (*at)->cap) {
			err = batch_sync(*at);
			batch_free(*at);
			*at = NULL;
			if (err < 0)
				return err;
		}
		if (!*at)
			*at = batch_new(d, is_del, NULL, BATCH_ROWS_SYNC);
		if (!*at)
			return -ENOMEM;
		err = batch_add(*at, aor, &list->c[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

static int flush_domain(struct ul_domain *d, struct pool *pool)
{
	enum { MAX = 256 };
	struct batch *up = NULL, *del = NULL;
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
	batch_free(up);
	batch_free(del);
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
	struct db_val vals[2] = { val_time(clock_wall_s()), val_time(NEVER_S) }, v;
	struct db_rows *rows = NULL;
	struct diag diag = { 0 };
	char mem[1024];
	struct strbuf sb;
	int err = 0;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add_lit(&sb, "SELECT COUNT(");
	if (kind == 1) {
		strbuf_add_lit(&sb, "DISTINCT ");
		err |= add_col(&sb, UL_COL_USER);
	} else {
		strbuf_add_char(&sb, '*');
	}
	strbuf_add_lit(&sb, ") FROM ");
	err |= db_ident(&sb, d->name);
	strbuf_add_lit(&sb, " WHERE ");
	err |= add_col(&sb, UL_COL_EXPIRES);
	strbuf_add_lit(&sb, kind == 2 ? "<=? AND " : ">? OR ");
	err |= add_col(&sb, UL_COL_EXPIRES);
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
