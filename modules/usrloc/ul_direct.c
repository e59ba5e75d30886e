/* SPDX-License-Identifier: BSD-2-Clause */
/* db_mode 3: nothing is kept in memory. Fetch an AoR's rows, decide what the changes mean for them, write that. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/pv/pv.h"
#include "modules/usrloc/ul_db.h"

struct fetch {
	struct ul_domain *d;
	enum ul_which which;
	ul_list_fn *fn;         /* one of the two */
	ul_aor_list_fn *aor_fn;
	void *arg;
};

static void fetch_end(struct fetch *f, int err, struct str aor, const struct ul_list *list)
{
	if (f->fn)
		f->fn(f->arg, err, list);
	else
		f->aor_fn(f->arg, err == 0 && list->n == 0 ? -ENOENT : err, aor, list);
	free(f);
}

static void fetched(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	struct fetch *f = arg;
	struct ul_list list = { 0 };
	struct str aor = STR_NULL;
	unsigned n = db_rows_n(rows);
	int64_t now = clock_wall_s();
	char mem[1024];

	ul_db_heard(f->d, UL_DB_READ, err, err_text);
	if (err == 0 && n) {
		list.c = calloc(n, sizeof(*list.c));
		if (!list.c)
			err = -ENOMEM;
	}
	for (unsigned i = 0; err == 0 && i < n; i++) {
		struct db_val v[UL_N_COLS];
		struct ul_contact *c = &list.c[list.n];

		ul_row_take(rows, i, v);
		ul_row_contact(v, c);
		if (c->uri.n && (c->expires == 0 || c->expires > now || f->which == UL_LAPSED_TOO) && ul_row_aor(v, mem, sizeof(mem), &aor) == 0)
			list.n++;
	}
	list.aor_hash = ul_aor_hash(aor);
	fetch_end(f, err, aor, &list);
	free(list.c);
}

static void fetch_fail(void *arg, int err)
{
	struct ul_list none = { 0 };

	fetch_end(arg, err, STR_NULL, &none);
}

/* err: of making the statement. */
static void fetch_send(const struct fetch *what, int err, struct strbuf *sb, const struct db_val *vals, unsigned n_vals, unsigned deadline_ms)
{
	struct fetch *f = malloc(sizeof(*f));
	struct db *db;

	if (!f)
		return; /* the waiter's own deadline tells it */
	*f = *what;
	if (err == 0)
		err = ul_db_open(&db);
	if (err == 0)
		err = db_query(db, strbuf_str(sb), vals, n_vals, deadline_ms, fetched, f);
	if (err < 0)
		ul_done_later(fetch_fail, f, err);
}

typedef int fetch_sql_fn(struct strbuf *sb, const struct ul_domain *d, struct str key, struct db_val *vals, unsigned *ret_n_vals);

static void fetch(const struct fetch *f, fetch_sql_fn *sql, struct str key, unsigned deadline_ms)
{
	struct db_val vals[UL_FETCH_VALS];
	unsigned n_vals = 0;
	char mem[2048];
	struct strbuf sb;
	int err;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	err = sql(&sb, f->d, key, vals, &n_vals);
	fetch_send(f, err, &sb, vals, n_vals, deadline_ms);
}

void ul_fetch(struct ul_domain *d, struct str aor, enum ul_which which, unsigned deadline_ms, ul_list_fn *fn, void *arg)
{
	fetch(&(const struct fetch){ .d = d, .which = which, .fn = fn, .arg = arg }, ul_sql_fetch, aor, deadline_ms);
}

void ul_fetch_ruid(struct ul_domain *d, struct str ruid, enum ul_which which, unsigned deadline_ms, ul_aor_list_fn *fn, void *arg)
{
	fetch(&(const struct fetch){ .d = d, .which = which, .aor_fn = fn, .arg = arg }, ul_sql_fetch_ruid, ruid, deadline_ms);
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
		int err;

		ch->outcome = UL_O_NOTHING;
		if (ul_superseded(s, i, mode))
			continue;
		err = plan_one(s, ch, list, taken, mode, &at);
		if (err < 0)
			return err;
		if (at < list->n)
			taken[at] = true;
		ch->c.modified = clock_wall_s();
		ch->c.server_id = (uint32_t)pv_conf.server_id;
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
			if (ch->c.modified < list->c[at].modified) /* the clock was set back: the database would keep what is newer */
				ch->c.modified = list->c[at].modified + 1;
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
		if (ul_save_clears(s))
			plan_delete(p, &list->c[i]);
		else
			after[n_after++] = list->c[i];
	}
	if (s->max_contacts && n_new && !(s->flags & UL_SAVE_ONE && list->n) && list->n + n_new - n_gone > s->max_contacts)
		return -E2BIG;
	if (n_new && !(s->flags & UL_SAVE_ONE) && list->n + n_new > UL_AOR_CONTACTS_MAX)
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
		ul_done_later(done, arg, 0);
		return;
	}
	err = ul_list_send(d, aor, p->c, p->n, deadline_ms, done, arg);
	if (err < 0)
		ul_done_later(done, arg, err);
}
