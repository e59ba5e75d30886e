/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Script functions of htable. What looks at a whole table does so in slices (walk.c) and takes a copy of one bucket at a time and acts on keys, so
 * that no lock is held while a regular expression or the script runs. Iterators belong to the run of the script that started them and end with it.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "modules/htable/walk.h"

static struct ht_table *table_of(const char *func, struct str name)
{
	struct ht_table *t = ht_table_find(str_trim(name));

	if (!t)
		log_error("%s: there is no table \"%.*s\"", func, STR_FMT(name));
	return t;
}

/* "table=>rest" */
static struct ht_table *table_and(const char *func, struct str text, struct str *ret_rest)
{
	struct str name;

	if (ht_split(text, &name, ret_rest) < 0) {
		log_error("%s: \"%.*s\": expected table=>key", func, STR_FMT(text));
		return NULL;
	}
	return table_of(func, name);
}

/* ---- whole tables ---- */

static bool row_matches(const struct ht_row *row, const struct ht_walk *w)
{
	struct value name = value_str(row->key);

	return ht_test_match(&w->test, w->values ? &row->value : &name);
}

static bool look_remove(struct ht_walk *w)
{
	const struct ht_snap *snap;
	struct ht_row row;
	size_t pos = 0;

	if (ht_walk_copy(w, HT_LIVE, &snap)) {
		while (ht_snap_next(snap, &pos, &row))
			if (row_matches(&row, w))
				(void)ht_del(w->table, row.key);
	}
	return false;
}

static bool look_find(struct ht_walk *w)
{
	const struct ht_snap *snap;
	struct ht_row row;
	size_t pos = 0;

	if (ht_walk_copy(w, HT_LIVE, &snap)) {
		while (!w->found && ht_snap_next(snap, &pos, &row))
			w->found = row_matches(&row, w);
	}
	return w->found;
}

static bool look_reset(struct ht_walk *w)
{
	ht_reset_bucket(w->table, w->bucket);
	return false;
}

static int over_done(struct ht_walk *w)
{
	return w->err < 0 ? -1 : 1;
}

static int over_find(struct ht_walk *w)
{
	return w->err == 0 && w->found ? 1 : -1;
}

static int remove_matching(struct ctx *ctx, const char *func, struct ht_table *t, bool values, enum ht_op op, struct str text)
{
	struct ht_walk w = { .what = func, .table = t, .look = look_remove, .over = over_done, .values = values };

	return t && ht_test_init(&w.test, op, text) == 0 ? ht_walk_run(ctx, &w) : -1;
}

static bool op_lookup(const char *func, struct str text, bool remove, enum ht_op *ret)
{
	/* clang-format off */
	static const struct { struct str name; enum ht_op op; bool remove, match; } ops[] = {
		{ { "eq", 2 }, HT_OP_EQ, false, true  },
		{ { "ne", 2 }, HT_OP_NE, false, true  },
		{ { "re", 2 }, HT_OP_RE, true,  true  },
		{ { "sw", 2 }, HT_OP_SW, true,  true  },
		{ { "ew", 2 }, HT_OP_EW, true,  false },
		{ { "in", 2 }, HT_OP_IN, true,  false },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (str_eq(text, ops[i].name) && (remove ? ops[i].remove : ops[i].match)) {
			*ret = ops[i].op;
			return true;
		}
	}
	log_error("%s: unknown operator \"%.*s\"", func, STR_FMT(text));
	return false;
}

static void print_head(const struct ht_table *t)
{
	log_warn("htable \"%.*s\": %u slots, about %llu items", STR_FMT(t->def.name), shm_hash_n_buckets(t->hash),
	         (unsigned long long)shm_hash_count(t->hash));
}

static bool look_print(struct ht_walk *w)
{
	const struct ht_snap *snap;
	struct ht_row row;
	size_t pos = 0;

	if (!ht_walk_copy(w, HT_ALL, &snap))
		return true;
	while (ht_snap_next(snap, &pos, &row)) {
		if (row.value.kind == VALUE_INT)
			log_warn("  slot %u: \"%.*s\" = %lld", w->bucket, STR_FMT(row.key), (long long)row.value.i);
		else
			log_warn("  slot %u: \"%.*s\" = \"%.*s\"", w->bucket, STR_FMT(row.key), STR_FMT(row.value.s));
	}
	return false;
}

static int over_print(struct ht_walk *w)
{
	if (w->err < 0 || !ht_walk_next_table(w))
		return w->err < 0 ? -1 : 1;
	print_head(w->table);
	return HT_WALK_ON;
}

static int w_print(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_walk w = { .what = "sht_print", .table = ht_table_at(0), .look = look_print, .over = over_print };

	(void)args;
	(void)n;
	if (!w.table)
		return 1;
	print_head(w.table);
	return ht_walk_run(ctx, &w);
}

static int w_rm(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_table *t = table_of("sht_rm", args[0].s);

	(void)ctx;
	(void)n;
	if (!t)
		return -1;
	(void)ht_del(t, args[1].s);
	return 1;
}

static int w_rm_name_re(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct str re;
	struct ht_table *t = table_and("sht_rm_name_re", args[0].s, &re);

	(void)n;
	return remove_matching(ctx, "sht_rm_name_re", t, false, HT_OP_RE, re);
}

static int w_rm_value_re(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct str re;
	struct ht_table *t = table_and("sht_rm_value_re", args[0].s, &re);

	(void)n;
	return remove_matching(ctx, "sht_rm_value_re", t, true, HT_OP_RE, re);
}

static int w_rm_name(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	static const char func[] = "sht_rm_name";
	enum ht_op op;

	(void)n;
	return op_lookup(func, args[1].s, true, &op) ? remove_matching(ctx, func, table_of(func, args[0].s), false, op, args[2].s) : -1;
}

static int w_rm_value(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	static const char func[] = "sht_rm_value";
	enum ht_op op;

	(void)n;
	return op_lookup(func, args[1].s, true, &op) ? remove_matching(ctx, func, table_of(func, args[0].s), true, op, args[2].s) : -1;
}

static int match(struct ctx *ctx, const char *func, bool values, const union script_arg *args)
{
	struct ht_walk w = { .what = func, .table = table_of(func, args[0].s), .look = look_find, .over = over_find, .values = values };
	enum ht_op op;

	if (!w.table || !op_lookup(func, args[1].s, false, &op) || ht_test_init(&w.test, op, args[2].s) < 0)
		return -1;
	return ht_walk_run(ctx, &w);
}

static int w_match_name(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return match(ctx, "sht_match_name", false, args);
}

static int w_match_value(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return match(ctx, "sht_match_str_value", true, args);
}

static int w_lock(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct str key;
	struct ht_table *t = table_and("sht_lock", args[0].s, &key);
	enum ctx_lock_result rc;

	(void)n;
	rc = t ? ctx_lock(ctx, ht_lock_word(t, key), t->def.name) : CTX_LOCK_FAILED;
	return rc == CTX_LOCK_WAITS ? SCRIPT_SUSPEND : (int)rc;
}

static int w_unlock(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct str key;
	struct ht_table *t = table_and("sht_unlock", args[0].s, &key);

	(void)n;
	return t && ctx_unlock(ctx, ht_lock_word(t, key)) ? 1 : -1;
}

static int w_reset(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_walk w = { .what = "sht_reset", .table = table_of("sht_reset", args[0].s), .look = look_reset, .over = over_done };

	(void)n;
	return w.table ? ht_walk_run(ctx, &w) : -1;
}

/* ---- iterators ---- */

static struct ht_iter *iter_find(struct ht_ctx *hc, struct str name)
{
	for (unsigned i = 0; hc && i < HT_ITERATORS; i++) {
		if (hc->iter[i].name.n && str_eq(hc->iter[i].name, name))
			return &hc->iter[i];
	}
	return NULL;
}

static struct ht_iter *iter_of(const char *func, struct ctx *ctx, struct str name)
{
	struct ht_iter *it = iter_find(ht_ctx_find(ctx), name);

	if (!it)
		log_error("%s: no iterator \"%.*s\" was started", func, STR_FMT(name));
	return it;
}

/* ---- moving on: a run that goes over many items lets others work after each slice ---- */

static bool look_next(struct ht_walk *w)
{
	struct ht_iter *it = w->of;

	it->bucket = w->bucket + 1;
	it->pos = 0;
	w->err = ht_snap_bucket(it->table, w->bucket, HT_LIVE, clock_wall_s(), &it->snap);
	it->on_item = w->err == 0 && ht_snap_next(&it->snap, &it->pos, &it->row);
	return it->on_item;
}

static int over_next(struct ht_walk *w)
{
	struct ht_iter *it = w->of;

	it->slice_end_us = ht_slice_end();
	return it->on_item ? 1 : (int)w->n;
}

/* Stands on the next item: 1; past the last: rc_none; or SCRIPT_SUSPEND. */
static int iter_next(struct ctx *ctx, struct ht_iter *it, const char *func, int rc_none)
{
	struct ht_walk w = { .what = func, .table = it->table, .bucket = it->bucket, .look = look_next, .over = over_next, .n = rc_none, .of = it };

	uint64_t end_us = it->slice_end_us;
	int rc = 1;

	it->on_item = ht_snap_next(&it->snap, &it->pos, &it->row);
	if (!it->on_item)
		rc = ht_walk_run(ctx, &w);
	if (rc == SCRIPT_SUSPEND)
		return rc;
	it->slice_end_us = end_us; /* a bucket more is no new slice */
	if (!it->on_item || clock_now_us() < end_us)
		return rc;
	w.look = NULL; /* a turn for others, and then this item */
	return ht_walk_later(ctx, &w);
}

static int w_iter_start(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_table *t = table_of("sht_iterator_start", args[1].s);
	struct ht_ctx *hc = ht_ctx_get(ctx);
	struct ht_iter *it;

	(void)n;
	if (!t || !hc || args[0].s.n == 0)
		return -1;
	it = iter_find(hc, args[0].s);
	for (unsigned i = 0; !it && i < HT_ITERATORS; i++) {
		if (hc->iter[i].name.n == 0)
			it = &hc->iter[i];
	}
	if (!it) {
		log_error("sht_iterator_start: more than %u iterators", HT_ITERATORS);
		return -1;
	}
	if (it->name.n == 0) {
		it->name = str_dup(ctx->pool, args[0].s);
		if (!it->name.s) {
			it->name = STR_NULL;
			return -1;
		}
	}
	it->table = t;
	it->bucket = 0;
	it->pos = it->snap.used = 0;
	it->on_item = false;
	it->slice_end_us = ht_slice_end();
	return 1;
}

static int w_iter_next(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_iter *it = iter_of("sht_iterator_next", ctx, args[0].s);

	(void)n;
	return it ? iter_next(ctx, it, "sht_iterator_next", -1) : -1;
}

static int w_iter_end(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_iter *it = iter_of("sht_iterator_end", ctx, args[0].s);

	(void)n;
	if (!it)
		return -1;
	ht_snap_done(&it->snap);
	*it = (struct ht_iter){ 0 };
	return 1;
}

static int w_iter_rm(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_iter *it = iter_of("sht_iterator_rm", ctx, args[0].s);

	(void)n;
	if (!it || !it->on_item)
		return -1;
	(void)ht_del(it->table, it->row.key);
	return iter_next(ctx, it, "sht_iterator_rm", -2);
}

static int iter_set(struct ht_iter *it, struct value v)
{
	if (!it || !it->on_item || ht_store(it->table, it->row.key, &v, HT_EXPIRE_RULE) < 0)
		return -1;
	return 1;
}

static int w_iter_sets(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return iter_set(iter_of("sht_iterator_sets", ctx, args[0].s), value_str(args[1].s));
}

static int w_iter_seti(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return iter_set(iter_of("sht_iterator_seti", ctx, args[0].s), value_int(args[1].i));
}

static int w_iter_setex(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_iter *it = iter_of("sht_iterator_setex", ctx, args[0].s);

	(void)n;
	return it && it->on_item && ht_ttl_set(it->table, it->row.key, args[1].i, clock_wall_s()) ? 1 : -1;
}

/* ---- single items ---- */

static int w_setxs(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_table *t = table_of("sht_setxs", args[0].s);
	struct value v = value_str(args[2].s);

	(void)ctx;
	(void)n;
	return t && ht_store(t, args[1].s, &v, args[3].i < 0 ? 0 : args[3].i) == 0 ? 1 : -1;
}

static int w_setxi(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_table *t = table_of("sht_setxi", args[0].s);
	struct value v = value_int(args[2].i);

	(void)ctx;
	(void)n;
	return t && ht_store(t, args[1].s, &v, args[3].i < 0 ? 0 : args[3].i) == 0 ? 1 : -1;
}

static int w_is_null(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_table *t;
	struct value v;

	(void)ctx;
	(void)n;
	if (args[0].s.n == 0 || args[1].s.n == 0)
		return 3;
	t = ht_table_find(str_trim(args[0].s));
	if (!t)
		return 2;
	if (ht_get(t, args[1].s, clock_wall_s(), &v) == 1)
		return -2;
	return t->def.has_initval ? -1 : 1;
}

static int add(const char *func, const union script_arg *args, int64_t delta)
{
	struct ht_table *t = table_of(func, args[0].s);
	struct value v;

	if (!t || ht_add(t, args[1].s, delta, clock_wall_s(), &v) < 0)
		return -1;
	return v.kind == VALUE_INT ? 1 : -1;
}

static int w_inc(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx;
	(void)n;
	return add("sht_inc", args, 1);
}

static int w_dec(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx;
	(void)n;
	return add("sht_dec", args, -1);
}

/* clang-format off */
const struct script_func ht_funcs[] = {
	{ "sht_print",           w_print,       0, { SP_END },                             CTX_ANY, NULL, 0, true },
	{ "sht_rm",              w_rm,          2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ "sht_rm_name_re",      w_rm_name_re,  1, { SP_DSTR },                            CTX_ANY, NULL, 0, true },
	{ "sht_rm_value_re",     w_rm_value_re, 1, { SP_DSTR },                            CTX_ANY, NULL, 0, true },
	{ "sht_rm_name",         w_rm_name,     3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, true },
	{ "sht_rm_value",        w_rm_value,    3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, true },
	{ "sht_match_name",      w_match_name,  3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, true },
	{ "sht_has_name",        w_match_name,  3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, true },
	{ "sht_match_str_value", w_match_value, 3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, true },
	{ "sht_has_str_value",   w_match_value, 3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, true },
	{ "sht_lock",            w_lock,        1, { SP_DSTR },                            CTX_ANY, NULL, 0, true },
	{ "sht_unlock",          w_unlock,      1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_reset",           w_reset,       1, { SP_DSTR },                            CTX_ANY, NULL, 0, true },
	{ "sht_iterator_start",  w_iter_start,  2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ "sht_iterator_next",   w_iter_next,   1, { SP_DSTR },                            CTX_ANY, NULL, 0, true },
	{ "sht_iterator_end",    w_iter_end,    1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_iterator_rm",     w_iter_rm,     1, { SP_DSTR },                            CTX_ANY, NULL, 0, true },
	{ "sht_iterator_sets",   w_iter_sets,   2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ "sht_iterator_seti",   w_iter_seti,   2, { SP_DSTR, SP_DINT },                   CTX_ANY, NULL, 0, false },
	{ "sht_iterator_setex",  w_iter_setex,  2, { SP_DSTR, SP_DINT },                   CTX_ANY, NULL, 0, false },
	{ "sht_setxs",           w_setxs,       4, { SP_DSTR, SP_DSTR, SP_DSTR, SP_DINT }, CTX_ANY, NULL, 0, false },
	{ "sht_setxi",           w_setxi,       4, { SP_DSTR, SP_DSTR, SP_DINT, SP_DINT }, CTX_ANY, NULL, 0, false },
	{ "sht_is_null",         w_is_null,     2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ "sht_inc",             w_inc,         2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ "sht_dec",             w_dec,         2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ .name = NULL }
};
/* clang-format on */
