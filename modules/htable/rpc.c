/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands htable.*: run in process rpcd on the tables in shared memory, from copies of one bucket at a time. A dump is made while it is sent; what
 * looks at a whole table before it answers does so in slices, so that other clients are served meanwhile.
 */
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "modules/htable/walk.h"

/* The table named by the next parameter; NULL: the fault was set. */
static struct ht_table *arg_table(struct rpc *rpc)
{
	struct ht_table *t;
	struct str name;

	if (rpc_arg_any_str(rpc, &name) < 0) {
		rpc_fault(rpc, 500, "No htable name given");
		return NULL;
	}
	t = ht_table_find(name);
	if (!t)
		rpc_fault(rpc, 500, "No such htable");
	return t;
}

static void too_few(struct rpc *rpc, const char *wanted)
{
	rpc_fault(rpc, 500, "Not enough parameters (%s)", wanted);
}

/* Table and key, the first two of what is wanted. NULL: the fault was set. */
static struct ht_table *arg_table_key(struct rpc *rpc, const char *wanted, struct str *ret_key)
{
	struct ht_table *t;

	if (rpc_args_left(rpc) < 2) {
		too_few(rpc, wanted);
		return NULL;
	}
	t = arg_table(rpc);
	if (t && rpc_arg_any_str(rpc, ret_key) < 0) {
		too_few(rpc, wanted);
		return NULL;
	}
	return t;
}

#define DUMP_PIECE_ITEMS 100u
#define DUMP_PIECE_BUCKETS 1000u /* empty ones cost little */

struct dump {
	struct ht_table *table;
	uint32_t bucket;
};

static void dump_bucket(struct rpc *rpc, struct rpc_node *list, uint32_t bucket, const struct ht_snap *snap)
{
	struct rpc_node *entry = rpc_add_object(rpc, list, NULL), *slot;
	struct ht_row row;
	size_t pos = 0;

	rpc_add_int(rpc, entry, "entry", bucket);
	rpc_add_int(rpc, entry, "size", snap->n);
	slot = rpc_add_array(rpc, entry, "slot");
	while (ht_snap_next(snap, &pos, &row)) {
		struct rpc_node *item = rpc_add_object(rpc, slot, NULL);

		rpc_add_str(rpc, item, "name", row.key);
		if (row.value.kind == VALUE_INT)
			rpc_add_int(rpc, item, "value", row.value.i);
		else
			rpc_add_str(rpc, item, "value", row.value.s);
		rpc_add_str(rpc, item, "type", row.value.kind == VALUE_INT ? STR_LIT("int") : STR_LIT("str"));
	}
}

static int dump_piece(struct rpc *rpc, struct rpc_node *list, void *state)
{
	struct ht_snap snap = { 0 };
	struct dump *d = state;
	unsigned n_items = 0, n_buckets = 0;
	bool more = true;

	while (more && n_items < DUMP_PIECE_ITEMS && n_buckets++ < DUMP_PIECE_BUCKETS) {
		more = d->bucket < shm_hash_n_buckets(d->table->hash) && ht_snap_bucket(d->table, d->bucket, HT_ALL, clock_wall_s(), &snap) == 0;
		if (more && snap.n)
			dump_bucket(rpc, list, d->bucket, &snap);
		n_items += more ? snap.n : 0;
		d->bucket++;
	}
	ht_snap_done(&snap);
	return more;
}

static void rpc_dump(struct rpc *rpc)
{
	struct ht_table *t = arg_table(rpc);
	struct dump *d = t ? rpc_alloc(rpc, sizeof(*d)) : NULL;

	if (!d)
		return;
	d->table = t;
	rpc_add_pieces(rpc, rpc_results(rpc), dump_piece, d);
}

static void rpc_get(struct rpc *rpc)
{
	struct str key;
	struct ht_table *t = arg_table_key(rpc, "htable name and key name", &key);
	struct rpc_node *top, *item;
	struct value v;
	int64_t ttl;

	if (!t)
		return;
	if (ht_get(t, key, clock_wall_s(), &v) != 1) {
		rpc_fault(rpc, 500, "Key name doesn't exist in htable.");
		return;
	}
	top = rpc_add_object(rpc, NULL, NULL);
	item = rpc_add_object(rpc, top, "item");
	rpc_add_str(rpc, item, "name", key);
	if (v.kind == VALUE_INT)
		rpc_add_int(rpc, item, "value", v.i);
	else
		rpc_add_str(rpc, item, "value", v.s);
	rpc_add_int(rpc, item, "flags", v.kind == VALUE_INT ? 0 : 2);
	if (t->def.autoexpire_s) {
		char text[32];
		struct tm tm;
		time_t at;

		ttl = ht_ttl(t, key, clock_wall_s());
		at = (time_t)(clock_wall_s() + ttl);
		if (localtime_r(&at, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
			rpc_add_str(rpc, item, "expire", str_lit(text));
	} else {
		rpc_add_str(rpc, item, "expire", STR_LIT("NEVER"));
	}
}

/* Both kinds of value, with and without seconds to live. */
static void set(struct rpc *rpc, bool is_int, bool with_ttl)
{
	const char *wanted = with_ttl ? "htable name, key name, value and expire" : "htable name, key name and value";
	struct str key;
	struct ht_table *t = arg_table_key(rpc, wanted, &key);
	int64_t ttl = HT_EXPIRE_RULE;
	struct value v;
	int err;

	if (!t)
		return;
	v = is_int ? value_int(0) : value_str(STR_NULL);
	err = is_int ? rpc_arg_int(rpc, &v.i) : rpc_arg_any_str(rpc, &v.s);
	if (err == 0 && with_ttl)
		err = rpc_arg_int(rpc, &ttl);
	if (err < 0) {
		too_few(rpc, wanted);
		return;
	}
	if (with_ttl && ttl < 0)
		ttl = 0;
	if (ht_store(t, key, &v, ttl) < 0)
		rpc_fault(rpc, 500, "Failed to set the item");
	else
		rpc_add_str(rpc, NULL, NULL, STR_LIT("Ok. Key set to new value."));
}

static void rpc_sets(struct rpc *rpc)
{
	set(rpc, false, false);
}

static void rpc_seti(struct rpc *rpc)
{
	set(rpc, true, false);
}

static void rpc_setxs(struct rpc *rpc)
{
	set(rpc, false, true);
}

static void rpc_setxi(struct rpc *rpc)
{
	set(rpc, true, true);
}

static void rpc_setex(struct rpc *rpc)
{
	static const char wanted[] = "htable name, item name and expire";
	struct str key;
	struct ht_table *t = arg_table_key(rpc, wanted, &key);
	int64_t ttl;

	if (!t)
		return;
	if (rpc_arg_int(rpc, &ttl) < 0) {
		too_few(rpc, wanted);
		return;
	}
	if (!ht_ttl_set(t, key, ttl, clock_wall_s()) && t->def.autoexpire_s)
		rpc_fault(rpc, 500, "Key name doesn't exist in htable.");
	else
		rpc_add_str(rpc, NULL, NULL, STR_LIT("Ok. Key set to new value."));
}

static void rpc_delete(struct rpc *rpc)
{
	struct str key;
	struct ht_table *t = arg_table_key(rpc, "htable name and key name", &key);

	if (!t)
		return;
	if (ht_del(t, key))
		rpc_add_str(rpc, NULL, NULL, STR_LIT("Ok. Key deleted."));
	else
		rpc_fault(rpc, 404, "Key not found in htable.");
}

/* Where the transport cannot wait for an answer, at once. */
static void walk(struct rpc *rpc, struct ht_walk *w)
{
	if (rpc_defer(rpc)) {
		w->deferred = true;
		ht_walk_start(w);
	} else {
		(void)ht_walk_all(w);
	}
}

static int walked(struct ht_walk *w)
{
	if (w->deferred)
		rpc_answer(w->of);
	return 1;
}

static bool look_flush(struct ht_walk *w)
{
	ht_reset_bucket(w->table, w->bucket);
	return false;
}

static int over_flush(struct ht_walk *w)
{
	rpc_add_str(w->of, NULL, NULL, STR_LIT("Ok. Htable flushed."));
	return walked(w);
}

static void rpc_flush(struct rpc *rpc)
{
	struct ht_walk w = { .what = "htable.flush", .table = arg_table(rpc), .look = look_flush, .over = over_flush, .of = rpc };

	if (w.table)
		walk(rpc, &w);
}

static bool has_db(struct rpc *rpc, const struct ht_table *t)
{
	if (ht_conf.db_url.n && t->def.dbtable.n)
		return true;
	rpc_fault(rpc, 500, ht_conf.db_url.n ? "No database htable" : "No htable db_url");
	return false;
}

static void rpc_reload(struct rpc *rpc)
{
	struct ht_table *t = arg_table(rpc);
	struct diag d = { 0 };

	if (!t || !has_db(rpc, t))
		return;
	if (ht_db_reload(t, &d) < 0) {
		log_error("htable: reload of \"%.*s\": %s", STR_FMT(t->def.name), d.text);
		rpc_fault(rpc, 500, "Htable reload failed");
	} else {
		rpc_add_str(rpc, NULL, NULL, STR_LIT("Ok. Htable reloaded."));
	}
}

static void rpc_store(struct rpc *rpc)
{
	struct ht_table *t = arg_table(rpc);
	struct diag d = { 0 };

	if (!t || !has_db(rpc, t))
		return;
	if (t->def.n_cols) {
		rpc_fault(rpc, 500, "Htable with packed columns cannot be stored");
	} else if (ht_db_store(t, &d) < 0) {
		log_error("htable: store of \"%.*s\": %s", STR_FMT(t->def.name), d.text);
		rpc_fault(rpc, 500, "Htable store failed");
	} else {
		rpc_add_str(rpc, NULL, NULL, STR_LIT("Ok. Htable successfully stored to DB."));
	}
}

static void rpc_list(struct rpc *rpc)
{
	if (ht_table_count() == 0) {
		rpc_fault(rpc, 500, "No htables");
		return;
	}
	for (unsigned i = 0; i < ht_table_count(); i++) {
		const struct ht_def *def = &ht_table_at(i)->def;
		struct rpc_node *row = rpc_add_object(rpc, NULL, NULL);

		rpc_add_str(rpc, row, "name", def->name);
		rpc_add_str(rpc, row, "dbtable", def->dbtable);
		rpc_add_int(rpc, row, "dbmode", def->dbmode);
		rpc_add_int(rpc, row, "expire", def->autoexpire_s);
		rpc_add_int(rpc, row, "updateexpire", def->updateexpire);
		rpc_add_int(rpc, row, "size", def->n_slots);
		rpc_add_int(rpc, row, "dmqreplicate", 0);
	}
}

static int count_one(struct shm_hnode *node, void *arg)
{
	(void)node;
	++*(unsigned *)arg;
	return 0;
}

static bool look_stats(struct ht_walk *w)
{
	unsigned n = 0;

	(void)shm_hash_walk(w->table->hash, w->bucket, count_one, &n);
	w->n += n;
	w->min = w->bucket == 0 || n < w->min ? n : w->min;
	w->max = w->bucket == 0 || n > w->max ? n : w->max;
	return false;
}

static int over_stats(struct ht_walk *w)
{
	struct rpc *rpc = w->of;
	struct rpc_node *row = rpc_add_object(rpc, NULL, NULL);

	rpc_add_str(rpc, row, "name", w->table->def.name);
	rpc_add_int(rpc, row, "slots", w->bucket);
	rpc_add_int(rpc, row, "all", w->n);
	rpc_add_int(rpc, row, "min", w->min);
	rpc_add_int(rpc, row, "max", w->max);
	w->n = 0;
	return ht_walk_next_table(w) ? HT_WALK_ON : walked(w);
}

static void rpc_stats(struct rpc *rpc)
{
	struct ht_walk w = { .what = "htable.stats", .table = ht_table_at(0), .look = look_stats, .over = over_stats, .of = rpc };

	if (w.table)
		walk(rpc, &w);
	else
		rpc_fault(rpc, 500, "No htables");
}

const struct rpc_method ht_rpcs[] = {
	{ "htable.dump", rpc_dump, RPC_RET_ARRAY, "All items of a table by slot. Parameter: table" },
	{ "htable.get", rpc_get, 0, "One item. Parameters: table, key" },
	{ "htable.sets", rpc_sets, 0, "Sets a text. Parameters: table, key, value" },
	{ "htable.seti", rpc_seti, 0, "Sets a number. Parameters: table, key, value" },
	{ "htable.setex", rpc_setex, 0, "Sets the seconds to live of an item. Parameters: table, key, seconds" },
	{ "htable.setxs", rpc_setxs, 0, "Sets a text and its seconds to live. Parameters: table, key, value, seconds" },
	{ "htable.setxi", rpc_setxi, 0, "Sets a number and its seconds to live. Parameters: table, key, value, seconds" },
	{ "htable.delete", rpc_delete, 0, "Removes an item. Parameters: table, key" },
	{ "htable.flush", rpc_flush, 0, "Removes all items. Parameter: table" },
	{ "htable.reload", rpc_reload, RPC_EXEC_DELTA, "Loads a table from its database table again. Parameter: table" },
	{ "htable.store", rpc_store, 0, "Writes a table to its database table. Parameter: table" },
	{ "htable.listTables", rpc_list, RPC_RET_ARRAY, "The tables and their attributes" },
	{ "htable.stats", rpc_stats, RPC_RET_ARRAY, "Items of each table and how they spread over slots" },
	{ .name = NULL },
};
