/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module htable: named tables of keys and values that all workers share. This file has the parameters, the life of the module, and what happens by
 * the clock in worker 0: expired items are removed bucket by bucket, so that every table is walked once per timer_interval, in steps of a
 * millisecond out of ten at most, whatever expires at once; and an item whose table has event_route[htable:expired:NAME] goes through it first,
 * one run per item, without a lock; what is still expired afterwards is removed.
 */
#include "modules/htable/htable_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/db/db.h"
#include "core/route/route.h"
#include "shm/recover.h"
#include "shm/slot.h"

#define ROUND_MS 100u
#define EVENTS_PER_ROUND 64u /* and table */
#define STEP_MS 10u
#define STEP_US 1000u
#define LOOK_BUCKETS 8u      /* between two looks at the clock */
#define EVENTS_AT_ONCE 256u /* runs of htable:expired that wait for something */
#define EVENT_NAME_MAX 96u

struct ht_conf ht_conf;

/* A run of htable:expired; the row's texts are in the pool of its context. */
struct expiring {
	struct expiring *next;
	struct ht_table *table;
	struct ht_row row;
};

struct table_time { /* of worker 0 */
	uint32_t next_bucket;
	uint32_t n_reloaded_seen;
	uint64_t reload_ms; /* when reloadat is due */
};

static struct {
	int modstate;
	struct table_time time[HT_TABLES_MAX];
	struct ht_snap snap;
	struct loop_timer *timer;
	struct {
		unsigned table;  /* whose turn it is; past the end: the round is over */
		uint32_t left;   /* buckets of it */
		unsigned events; /* that may yet begin */
	} round;
	struct expiring *running;
	unsigned n_running;
	bool init_ran;
	const char *event_names[2 * HT_TABLES_MAX + 2]; /* NULL-ended */
	unsigned n_event_names;
} g;

/* ---- contexts ---- */

static void ctx_gone(struct ctx *ctx)
{
	struct ht_ctx *hc = ht_ctx_find(ctx);

	if (!hc)
		return;
	for (unsigned i = 0; i < HT_ITERATORS; i++)
		ht_snap_done(&hc->iter[i].snap);
}

int ht_ctx_init(void)
{
	g.modstate = ctx_modstate_register("htable");
	return g.modstate < 0 ? g.modstate : ctx_on_free(ctx_gone);
}

struct ht_ctx *ht_ctx_find(struct ctx *ctx)
{
	return ctx->modstate[g.modstate];
}

struct ht_ctx *ht_ctx_get(struct ctx *ctx)
{
	if (!ctx->modstate[g.modstate])
		ctx->modstate[g.modstate] = pool_zalloc(ctx->pool, sizeof(struct ht_ctx));
	return ctx->modstate[g.modstate];
}

/* ---- parameters ---- */

static int event_name_add(const char *kind, struct str table)
{
	struct strbuf sb;
	char *name;

	strbuf_init(&sb, EVENT_NAME_MAX);
	strbuf_add_lit(&sb, kind);
	strbuf_add(&sb, table);
	name = strbuf_take(&sb);
	if (!name)
		return -ENOMEM;
	g.event_names[g.n_event_names++] = name;
	return 0;
}

static int set_htable(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct ht_def def;
	int err = ht_def_parse(s, &def, reterr);

	(void)conf;
	(void)set;
	(void)i;
	if (err < 0)
		return err;
	err = ht_table_add(&def, s);
	if (err == -EEXIST)
		return diag_set(reterr, 0, "table \"%.*s\" is defined twice", STR_FMT(def.name));
	if (err < 0)
		return diag_set(reterr, 0, "more than %u tables", HT_TABLES_MAX);
	if (event_name_add("htable:expired:", def.name) < 0 || event_name_add("htable:reloaded:", def.name) < 0)
		return diag_set(reterr, 0, "no memory");
	return 0;
}

/* What a reload defines. A table that its text does not define any more stays: its contents may be wanted again. */
static int reload_htable(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct shm_slot_info me;
	struct ht_table *t;
	struct ht_def def;
	int err;

	(void)conf, (void)set, (void)i;
	err = ht_def_parse(s, &def, reterr);
	if (err < 0)
		return err;
	t = ht_table_find(def.name);
	if (t && str_eq(t->text, s))
		return 0;
	if (t && !t->pending)
		return diag_set(reterr, 0, "table \"%.*s\" needs a restart to change from \"%.*s\"", STR_FMT(def.name), STR_FMT(t->text));
	if (def.dbtable.n > 0)
		return diag_set(reterr, 0, "table \"%.*s\" needs a restart: it is loaded from a database", STR_FMT(def.name));
	s = str_heap_dup(s); /* the definition views it for ever */
	if (!s.s)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	err = ht_def_parse(s, &def, reterr);
	if (err == 0 && t) { /* of a reload that was refused: nobody uses it */
		free((char *)(uintptr_t)t->text.s);
		t->def = def;
		t->text = s;
		return 0;
	}
	if (err == 0)
		err = ht_table_adopt(&def, s, shm_slot_info((unsigned)shm_slot_self(), &me) == 0 && me.kind == SHM_SLOT_RPCD);
	if (err == 0 && (event_name_add("htable:expired:", def.name) < 0 || event_name_add("htable:reloaded:", def.name) < 0))
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	if (err < 0) {
		free((char *)(uintptr_t)s.s);
		return diag_err(reterr, err, 0, "table \"%.*s\" cannot be added: %s", STR_FMT(def.name),
				err == -ENOSPC ? "no room" : err == -ENAMETOOLONG ? "its name is over 63 bytes" : strerror(-err));
	}
	return 0;
}

/* A reload was taken: what it defined stays. */
static void tables_changed(void)
{
	for (unsigned i = 0; i < ht_table_count(); i++)
		ht_table_at(i)->pending = false;
}

static int refuse_dmq(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf;
	(void)s;
	return i == 0 ? 0 : diag_set(reterr, 0, "%s=%lld: this server does not speak DMQ yet, so tables would not be replicated", set->name, (long long)i);
}

/* clang-format off */
static const struct setting settings[] = {
	{ .name = "htable", .type = SETTING_FN_STR_T, .fn = set_htable, .reload = reload_htable },
	SETTING_STR("db_url",                 struct ht_conf, db_url,              NULL),
	SETTING_STR("key_name_column",        struct ht_conf, key_name_column,     "key_name"),
	SETTING_STR("key_type_column",        struct ht_conf, key_type_column,     "key_type"),
	SETTING_STR("value_type_column",      struct ht_conf, value_type_column,   "value_type"),
	SETTING_STR("key_value_column",       struct ht_conf, key_value_column,    "key_value"),
	SETTING_STR("expires_column",         struct ht_conf, expires_column,      "expires"),
	SETTING_STR("array_size_suffix",      struct ht_conf, array_size_suffix,   "::size"),
	SETTING_INT("fetch_rows",             struct ht_conf, fetch_rows,          100, 1, 1000000), /* rows are read as they come */
	SETTING_INT("timer_interval",         struct ht_conf, timer_interval,      20, 1, 86400),
	SETTING_INT("db_expires",             struct ht_conf, db_expires,          0, 0, 1),
	SETTING_FN_INT("enable_dmq",          refuse_dmq),
	SETTING_FN_INT("dmq_init_sync",       refuse_dmq),
	SETTING_STR("dmq_peer_id",            struct ht_conf, dmq_peer_id,         "htable"),       /* only used with enable_dmq */
	SETTING_INT("timer_procs",            struct ht_conf, timer_procs,         0, 0, 64),       /* expiry holds up nobody here */
	SETTING_KEMI("event_callback", "htable:mod-init"),
	SETTING_INT("event_callback_mode",    struct ht_conf, event_callback_mode, 0, 0, 1),        /* both: worker 0 */
	SETTING_END
};
/* clang-format on */

/* ---- expiry ---- */

static bool is_running(const struct ht_table *t, struct str key)
{
	for (const struct expiring *e = g.running; e; e = e->next) {
		if (e->table == t && str_eq(e->row.key, key))
			return true;
	}
	return false;
}

static void expired_done(struct ctx *ctx, int rc, void *arg)
{
	struct expiring *e = arg, **p;

	(void)ctx;
	(void)rc;
	for (p = &g.running; *p; p = &(*p)->next) {
		if (*p == e) {
			*p = e->next;
			g.n_running--;
			break;
		}
	}
	/* the route may have set it anew, or its time: then it stays */
	(void)ht_expire_key(e->table, e->row.key, clock_wall_s());
}

static struct str event_name(struct pool *pool, const char *kind, const struct ht_table *t)
{
	struct str name = STR_NULL;

	return pool_printf(pool, &name, "%s%.*s", kind, STR_FMT(t->def.name)) < 0 ? STR_NULL : name;
}

/* Runs the event for a copy of the row. False: there is no such route, or no room: the item stays for the next round. */
static bool expired_fire(struct ht_table *t, const struct ht_row *row)
{
	struct ctx *ctx = route_faked_ctx();
	struct ht_ctx *hc = ctx ? ht_ctx_get(ctx) : NULL;
	struct expiring *e = hc ? pool_zalloc(ctx->pool, sizeof(*e)) : NULL;

	if (!e)
		goto fail;
	e->table = t;
	e->row = *row;
	e->row.key = str_dup(ctx->pool, row->key);
	if (!e->row.key.s || value_dup(&row->value, ctx->pool, &e->row.value) < 0)
		goto fail;
	hc->record = &e->row;
	e->next = g.running;
	g.running = e;
	g.n_running++;
	if (route_event(event_name(ctx->pool, "htable:expired:", t), ctx, expired_done, e) == 1)
		return true;
	g.running = e->next;
	g.n_running--;
fail:
	ctx_free(ctx);
	return false;
}

static bool has_event(const char *kind, const struct ht_table *t)
{
	char mem[EVENT_NAME_MAX];
	struct strbuf sb;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add_lit(&sb, kind);
	strbuf_add(&sb, t->def.name);
	return vm_script() && script_route_find(vm_script(), CTX_EVENT, strbuf_str(&sb)) >= 0;
}

static void expire_with_event(struct ht_table *t, uint32_t bucket, unsigned *budget)
{
	struct ht_row row;
	size_t pos = 0;

	if (ht_snap_bucket(t, bucket, HT_EXPIRED, clock_wall_s(), &g.snap) < 0)
		return;
	while (*budget > 0 && g.n_running < EVENTS_AT_ONCE && ht_snap_next(&g.snap, &pos, &row)) {
		if (is_running(t, row.key))
			continue;
		--*budget;
		if (!expired_fire(t, &row))
			return;
	}
}

/* A part of the table's share of this round. True: all of it. */
static bool expire_some(struct ht_table *t, struct table_time *tt, uint64_t until_us)
{
	bool event = g.round.left > 0 && has_event("htable:expired:", t);

	for (unsigned n = 1; g.round.left > 0 && g.round.events > 0 && g.n_running < EVENTS_AT_ONCE; n++, g.round.left--) {
		uint32_t i = tt->next_bucket;

		if (n % LOOK_BUCKETS == 0 && clock_now_us() >= until_us)
			return false;
		if (i >= shm_hash_n_buckets(t->hash))
			i = 0;
		if (event)
			expire_with_event(t, i, &g.round.events);
		else
			(void)ht_expire_bucket(t, i, clock_wall_s());
		tt->next_bucket = g.round.events == 0 ? i : i + 1; /* the rest of a full bucket comes next time */
	}
	return true;
}

static void reloads(struct ht_table *t, struct table_time *tt)
{
	uint32_t n = atomic_load(&t->shared->n_reloaded);
	struct ctx *ctx;

	if (t->def.reloadat_s && t->def.dbtable.n && ht_conf.db_url.n && clock_ms() >= tt->reload_ms) {
		tt->reload_ms = clock_ms() + (uint64_t)t->def.reloadat_s * 1000;
		ht_db_reload_start(t);
	}
	if (n == tt->n_reloaded_seen)
		return;
	tt->n_reloaded_seen = n;
	if (!has_event("htable:reloaded:", t))
		return;
	ctx = route_faked_ctx();
	if (!ctx)
		log_error("htable: no room to run event_route[htable:reloaded:%.*s]", STR_FMT(t->def.name));
	else if (route_event(event_name(ctx->pool, "htable:reloaded:", t), ctx, NULL, NULL) == 0)
		ctx_free(ctx);
}

static void mod_init_done(struct ctx *ctx, int rc, void *arg)
{
	(void)ctx;
	(void)rc;
	(void)arg;
	atomic_store(ht_init_done(), 1);
}

static void mod_init_event(void)
{
	struct ctx *ctx;

	if (atomic_load(ht_init_done()) || !vm_script() ||
	    script_route_find(vm_script(), CTX_EVENT, STR_LIT("htable:mod-init")) < 0)
		return;
	ctx = route_faked_ctx();
	if (!ctx)
		log_error("htable: no room to run event_route[htable:mod-init]");
	else if (route_event(STR_LIT("htable:mod-init"), ctx, mod_init_done, NULL) == 0)
		ctx_free(ctx);
}

static void round_to(unsigned table)
{
	const struct ht_table *t = ht_table_at(table);

	g.round.table = table;
	g.round.events = EVENTS_PER_ROUND;
	g.round.left = t && t->def.autoexpire_s ? shm_hash_n_buckets(t->hash) / ((uint32_t)ht_conf.timer_interval * (1000u / ROUND_MS)) + 1 : 0;
}

/* What a step did not get to is left to the next ones. */
static void tick(void *arg)
{
	uint64_t until_us = clock_now_us() + STEP_US;

	(void)arg;
	if (g.round.table >= ht_table_count())
		round_to(0);
	while (g.round.table < ht_table_count()) {
		struct ht_table *t = ht_table_at(g.round.table);

		if (!expire_some(t, &g.time[g.round.table], until_us)) {
			loop_timer_set(g.timer, STEP_MS);
			return;
		}
		reloads(t, &g.time[g.round.table]);
		round_to(g.round.table + 1);
	}
}

/* ---- the life of the module ---- */

static int load_tables(void)
{
	bool probed = false;

	for (unsigned i = 0; i < ht_table_count(); i++) {
		struct ht_table *t = ht_table_at(i);
		struct diag d = { 0 };
		int err = 0;

		if (t->def.dbtable.n == 0)
			continue;
		if (ht_conf.db_url.n == 0) {
			log_warn("htable: table \"%.*s\" has a dbtable, but db_url is not set: it starts empty", STR_FMT(t->def.name));
			continue;
		}
		if (!probed)
			err = db_probe(ht_conf.db_url, &d);
		probed = true;
		if (err == 0)
			err = ht_db_load(t, &d);
		if (err < 0) {
			log_error("htable: %s", d.text);
			return err;
		}
	}
	return 0;
}

static int init(void)
{
	int err = ht_ctx_init();

	if (err == 0)
		err = ht_tables_init();
	if (err == 0)
		err = shm_check_register("htable", ht_check);
	if (err < 0)
		return log_fail(err, "htable: cannot make %u tables", ht_table_count());
	err = load_tables();
	g.init_ran = err == 0;
	return err;
}

static bool any_reloadat(void)
{
	for (unsigned i = 0; i < ht_table_count(); i++) {
		if (ht_table_at(i)->def.reloadat_s && ht_table_at(i)->def.dbtable.n && ht_conf.db_url.n)
			return true;
	}
	return false;
}

static int worker_init(struct loop *loop, unsigned worker)
{
	int err = 0;

	if (worker != 0)
		return 0;
	for (unsigned i = 0; i < ht_table_count(); i++) {
		g.time[i].n_reloaded_seen = atomic_load(&ht_table_at(i)->shared->n_reloaded);
		g.time[i].reload_ms = clock_ms() + (uint64_t)ht_table_at(i)->def.reloadat_s * 1000;
	}
	if (any_reloadat())
		err = ht_db_worker_init();
	if (err == 0)
		err = loop_timer_add(loop, ROUND_MS, ROUND_MS, tick, NULL, &g.timer);
	if (err < 0)
		return log_fail(err, "htable: worker 0");
	mod_init_event();
	return 0;
}

static void worker_stop(void)
{
	(void)ht_locks_recover((unsigned)shm_slot_self());
}

/* The supervisor, when everybody is gone. Somebody who died last and was not recovered may hold a bucket's lock. */
static bool all_recovered(void)
{
	struct shm_slot_info info;

	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++) {
		if ((int)i == shm_slot_self() || shm_slot_info(i, &info) < 0 || info.state == SHM_SLOT_FREE)
			continue;
		if (info.state == SHM_SLOT_ACTIVE && shm_slot_mark_dead(i) < 0)
			return false;
		if (shm_recover_slot(i) < 0)
			return false;
	}
	return true;
}

static void done(void)
{
	struct diag d = { 0 };
	bool checked = false;

	for (unsigned i = 0; g.init_ran && i < ht_table_count(); i++) {
		struct ht_table *t = ht_table_at(i);

		if (t->def.dbmode != 1 || t->def.dbtable.n == 0 || t->def.n_cols || ht_conf.db_url.n == 0)
			continue;
		if (!checked && !all_recovered()) {
			log_error("htable: shared memory could not be recovered; tables are not stored");
			return;
		}
		checked = true;
		if (ht_db_store(t, &d) < 0)
			log_error("htable: cannot store \"%.*s\": %s", STR_FMT(t->def.name), d.text);
	}
}

static int load(void)
{
	g.event_names[g.n_event_names++] = "htable:mod-init";
	return 0;
}

const struct module module_htable = {
	.abi = MODULE_ABI,
	.name = "htable",
	.settings = settings,
	.conf = &ht_conf,
	.funcs = ht_funcs,
	.pvs = ht_pvs,
	.rpcs = ht_rpcs,
	.event_routes = g.event_names,
	.load = load,
	.init = init,
	.worker_init = worker_init,
	.worker_stop = worker_stop,
	.done = done,
	.recover = ht_locks_recover,
	.live_changed = tables_changed,
};
