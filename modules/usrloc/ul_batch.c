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
#include "modules/usrloc/ul_db.h"

#define SQL_MAX 65536u

struct op { /* who waits for one or more batches */
	unsigned n_pending;
	int err;
	ul_done_fn *done;
	void *arg;
};

static struct {
	struct db *db; /* of this process */
	struct ul_batch *up[UL_DOMAINS_MAX], *del[UL_DOMAINS_MAX]; /* being gathered by the sweep */
	unsigned n_in_flight;
	bool down[UL_DB_WAYS]; /* the last answer was a failure: logged once */
	bool no_handle;        /* so was this */
} udb;

/* ---- batches ---- */

void ul_batch_free(struct ul_batch *b)
{
	if (b)
		pool_free(b->pool); /* it lives in its own pool */
}

struct ul_batch *ul_batch_new(struct ul_domain *d, bool del, struct op *op, unsigned cap)
{
	struct pool *pool = pool_new((size_t)4 << 20);
	struct ul_batch *b = pool ? pool_zalloc(pool, sizeof(*b)) : NULL;

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
		ul_batch_free(b);
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

int ul_batch_add(struct ul_batch *b, struct str aor, const struct ul_contact *c)
{
	struct item *it = &b->item[b->n];
	struct db_val *v = &b->vals[b->del ? b->n : b->n * UL_N_COLS];

	it->aor = aor;
	it->ruid = c->ruid;
	it->version = b->del ? UINT32_MAX : c->version;
	if (!dup_in(b->pool, &it->aor) || !dup_in(b->pool, &it->ruid))
		return -ENOMEM;
	if (b->del) {
		*v = ul_val_text(it->ruid);
	} else {
		ul_row_vals(aor, c, v);
		for (unsigned i = 0; i < UL_N_COLS; i++)
			if (v[i].type == DB_STR && !dup_in(b->pool, &v[i].s))
				return -ENOMEM;
		ul_vals_fix(v, UL_N_COLS);
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

/* Each way by itself: a disk that is full can be read. */
void ul_db_heard(const struct ul_domain *d, enum ul_db_way way, int err, struct str text)
{
	static const char *const done[] = { [UL_DB_WRITTEN] = "written", [UL_DB_READ] = "read", [UL_DB_LOADED] = "loaded" };

	if (err == -ECANCELED) /* the process ends: what is unwritten says so in shared memory */
		return;
	if (err < 0 && !udb.down[way])
		log_fail(err, "usrloc: table %.*s cannot be %s, will be tried again: %.*s", STR_FMT(d->name), done[way], STR_FMT(text));
	else if (err == 0 && udb.down[way])
		log_notice("usrloc: table %.*s can be %s again", STR_FMT(d->name), done[way]);
	udb.down[way] = err < 0;
}

void ul_batch_written(struct ul_batch *b)
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
	struct ul_batch *b = arg;

	(void)rows;
	udb.n_in_flight--;
	ul_db_heard(b->d, UL_DB_WRITTEN, err, err_text);
	if (err == 0)
		ul_batch_written(b);
	op_end(b->op, err);
	ul_batch_free(b);
}

int ul_db_open(struct db **ret_db)
{
	struct diag diag;

	if (!udb.db && db_get(ul_conf.db_url, &udb.db, &diag) < 0) {
		if (!udb.no_handle)
			log_error("usrloc: %s", diag.text);
		udb.no_handle = true;
		return -ENOTCONN;
	}
	*ret_db = udb.db;
	return 0;
}

unsigned ul_batch_params(const struct ul_batch *b)
{
	return b->del ? b->n : b->n * UL_N_COLS;
}

int ul_batch_sql(struct ul_batch *b)
{
	return b->del ? ul_sql_delete(&b->sql, b->d, b->n) : ul_sql_upsert(&b->sql, b->d, b->n);
}

/* Takes b over. Its op hears of it later, never from within. */
static void batch_late_fail(void *arg)
{
	struct ul_batch *b = arg;

	op_end(b->op, -EBUSY);
	ul_batch_free(b);
}

static void batch_send(struct ul_batch *b, unsigned deadline_ms)
{
	struct db *db;
	int err;

	if (b->n == 0 && !b->op) {
		ul_batch_free(b);
		return;
	}
	err = b->n ? ul_batch_sql(b) : -ENODATA;
	if (err == 0)
		err = ul_db_open(&db);
	if (err == 0)
		err = db_query(db, strbuf_str(&b->sql), b->vals, ul_batch_params(b), deadline_ms, batch_done, b);
	if (err == 0) {
		udb.n_in_flight++;
		return;
	}
	ul_db_heard(b->d, UL_DB_WRITTEN, err, STR_LIT("not sent"));
	if (!b->op || loop_defer(loop_self(), batch_late_fail, b) < 0)
		ul_batch_free(b); /* the waiter's own deadline tells it */
}

/* ---- the sweep ---- */

static struct ul_batch *gather(struct ul_batch **at, struct ul_domain *d, bool del)
{
	if (*at && (*at)->n == (*at)->cap) {
		batch_send(*at, (unsigned)ul_conf.db_deadline_ms);
		*at = NULL;
	}
	if (!*at)
		*at = ul_batch_new(d, del, NULL, UL_BATCH_ROWS);
	return *at;
}

bool ul_db_busy(void)
{
	return udb.n_in_flight >= (unsigned)ul_conf.db_queue_max;
}

void ul_db_flush_aor(struct ul_domain *d, struct str aor, struct pool *pool)
{
	struct ul_list list = { 0 };

	if (!ul_db_busy() && ul_get_unwritten(d, aor, pool, &list) == 0) {
		for (unsigned i = 0; i < list.n; i++) {
			bool del = list.c[i].state == UL_DELETED;
			struct ul_batch *b = gather(del ? &udb.del[d->index] : &udb.up[d->index], d, del);

			if (b && ul_batch_add(b, aor, &list.c[i]) < 0)
				break;
			ul_same_send(d, aor, &list.c[i], (unsigned)ul_conf.db_deadline_ms);
		}
	}
}

void ul_db_forget(struct ul_domain *d, struct str ruid)
{
	struct ul_contact c = { .ruid = ruid };
	struct ul_batch *b;

	if ((ul_conf.db_mode != 1 && ul_conf.db_mode != 2) || ul_db_busy())
		return; /* an expired row that stays is not loaded, and goes with db_timer_clean */
	b = gather(&udb.del[d->index], d, true);
	if (b && ul_batch_add(b, STR_NULL, &c) < 0)
		return;
}

void ul_db_flush_end(void)
{
	for (unsigned i = 0; i < ul_domain_count(); i++) {
		struct ul_batch *up = udb.up[i], *del = udb.del[i];

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
	ul_db_heard(arg, UL_DB_WRITTEN, err, err_text);
}

void ul_db_clean(struct ul_domain *d)
{
	struct db_val vals[3] = { ul_val_time(clock_wall_s() - ul_conf.rm_expired_delay), ul_val_time(UL_NEVER_S) };
	unsigned n_vals = 2;
	char mem[512];
	struct strbuf sb;
	struct db *db;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add_lit(&sb, "DELETE FROM ");
	if (db_ident(&sb, d->name) < 0)
		return;
	strbuf_add_lit(&sb, " WHERE ");
	if (ul_sql_time(&sb, STR_NULL, UL_COL_EXPIRES) < 0)
		return;
	strbuf_add_lit(&sb, "<? AND ");
	if (ul_sql_time(&sb, STR_NULL, UL_COL_EXPIRES) < 0)
		return;
	strbuf_add_lit(&sb, ">=?");
	if (ul_sql_server(&sb, vals, &n_vals) < 0 || strbuf_err(&sb) < 0 || ul_db_open(&db) < 0)
		return;
	if (db_query(db, strbuf_str(&sb), vals, n_vals, (unsigned)ul_conf.db_deadline_ms, clean_done, d) == 0)
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
void ul_done_later(ul_done_fn *done, void *arg, int err)
{
	struct late *l = malloc(sizeof(*l));

	if (!l)
		return;
	*l = (struct late){ .done = done, .arg = arg, .err = err };
	if (loop_defer(loop_self(), late_done, l) < 0)
		free(l);
}

/* Sends contacts (state UL_DELETED: deletes) in as few batches as there must be; op hears of each. */
int ul_list_send(struct ul_domain *d, struct str aor, const struct ul_contact *c, unsigned n, unsigned deadline_ms, ul_done_fn *done, void *arg)
{
	struct ul_batch *list[64] = { NULL };
	struct ul_batch *up = NULL, *del = NULL;
	struct op *op = calloc(1, sizeof(*op));
	unsigned n_batches = 0;
	int err = -ENOMEM;

	if (!op)
		return err;
	op->done = done;
	op->arg = arg;
	for (unsigned i = 0; i < n; i++) {
		bool is_del = c[i].state == UL_DELETED;
		struct ul_batch **at = is_del ? &del : &up;

		if (!*at || (*at)->n == (*at)->cap) {
			err = n_batches < ARRAY_LEN(list) ? -ENOMEM : -E2BIG;
			*at = n_batches < ARRAY_LEN(list) ? ul_batch_new(d, is_del, op, n - i < UL_BATCH_ROWS ? n - i : UL_BATCH_ROWS) : NULL;
			if (!*at)
				goto fail;
			list[n_batches++] = *at;
		}
		err = ul_batch_add(*at, aor, &c[i]);
		if (err < 0)
			goto fail;
	}
	for (unsigned i = 0; i < n; i++)
		ul_same_send(d, aor, &c[i], deadline_ms);
	op->n_pending = n_batches;
	for (unsigned i = 0; i < n_batches; i++)
		batch_send(list[i], deadline_ms);
	return 0;
fail:
	for (unsigned i = 0; i < n_batches; i++)
		ul_batch_free(list[i]);
	free(op);
	return err;
}

void ul_sync(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_done_fn *done, void *arg)
{
	struct pool *pool = pool_new((size_t)16 << 20);
	struct ul_list list = { 0 };
	int err = pool ? ul_get_unwritten(d, aor, pool, &list) : -ENOMEM;

	if (err == -ENOENT)
		ul_done_later(done, arg, 0);
	else if (err == 0)
		err = ul_list_send(d, aor, list.c, list.n, deadline_ms, done, arg);
	if (err < 0 && err != -ENOENT)
		ul_done_later(done, arg, err);
	pool_free(pool);
}
