/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Script functions of htable. What looks at many items takes a copy of one bucket at a time and acts on keys, so that no lock is held while a
 * regular expression or the script runs. Iterators belong to the run of the script that started them and end with it.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "modules/htable/htable_priv.h"

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

typedef bool row_fn(struct ht_table *t, const struct ht_row *row, void *arg); /* false: stop */

/* 0, or -ENOMEM when a copy did not fit. */
static int each_row(struct ht_table *t, row_fn *fn, void *arg)
{
	struct ht_snap snap = { 0 };
	bool go_on = true;
	int err = 0;

	for (uint32_t i = 0; go_on && err == 0 && i < shm_hash_n_buckets(t->hash); i++) {
		struct ht_row row;
		size_t pos = 0;

		err = ht_snap_bucket(t, i, HT_LIVE, clock_wall_s(), &snap);
		while (err == 0 && go_on && ht_snap_next(&snap, &pos, &row))
			go_on = fn(t, &row, arg);
	}
	ht_snap_done(&snap);
	return err;
}

struct matching {
	struct ht_test test;
	bool values, found;
};

static bool row_matches(const struct ht_row *row, const struct matching *m)
{
	struct value name = value_str(row->key);

	return ht_test_match(&m->test, m->values ? &row->value : &name);
}

static bool remove_row(struct ht_table *t, const struct ht_row *row, void *arg)
{
	if (row_matches(row, arg))
		(void)ht_del(t, row->key);
	return true;
}

static bool find_row(struct ht_table *t, const struct ht_row *row, void *arg)
{
	struct matching *m = arg;

	(void)t;
	m->found = row_matches(row, m);
	return !m->found;
}

static int remove_matching(struct ht_table *t, bool values, enum ht_op op, struct str text)
{
	struct matching m = { .values = values };

	if (!t || ht_test_init(&m.test, op, text) < 0)
		return -1;
	return each_row(t, remove_row, &m) < 0 ? -1 : 1;
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

static int w_print(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_snap snap = { 0 };

	(void)ctx;
	(void)args;
	(void)n;
	for (unsigned i = 0; i < ht_table_count(); i++) {
		struct ht_table *t = ht_table_at(i);

		log_warn("htable \"%.*s\": %u slots, about %llu items", STR_FMT(t->def.name), shm_hash_n_buckets(t->hash),
		         (unsigned long long)shm_hash_count(t->hash));
		for (uint32_t b = 0; b < shm_hash_n_buckets(t->hash) && ht_snap_bucket(t, b, HT_ALL, clock_wall_s(), &snap) == 0; b++) {
			struct ht_row row;
			size_t pos = 0;

			while (ht_snap_next(&snap, &pos, &row)) {
				if (row.value.kind == VALUE_INT)
					log_warn("  slot %u: \"%.*s\" = %lld", b, STR_FMT(row.key), (long long)row.value.i);
				else
					log_warn("  slot %u: \"%.*s\" = \"%.*s\"", b, STR_FMT(row.key), STR_FMT(row.value.s));
			}
		}
	}
	ht_snap_done(&snap);
	return 1;
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

	(void)ctx;
	(void)n;
	return t ? remove_matching(t, false, HT_OP_RE, re) : -1;
}

static int w_rm_value_re(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct str re;
	struct ht_table *t = table_and("sht_rm_value_re", args[0].s, &re);

	(void)ctx;
	(void)n;
	return t ? remove_matching(t, true, HT_OP_RE, re) : -1;
}

static int w_rm_name(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	enum ht_op op;

	(void)ctx;
	(void)n;
	return op_lookup("sht_rm_name", args[1].s, true, &op) ? remove_matching(table_of("sht_rm_name", args[0].s), false, op, args[2].s) : -1;
}

static int w_rm_value(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	enum ht_op op;

	(void)ctx;
	(void)n;
	return op_lookup("sht_rm_value", args[1].s, true, &op) ? remove_matching(table_of("sht_rm_value", args[0].s), true, op, args[2].s) : -1;
}

static int match(const char *func, bool values, const union script_arg *args)
{
	struct matching m = { .values = values };
	struct ht_table *t = table_of(func, args[0].s);
	enum ht_op op;

	if (!t || !op_lookup(func, args[1].s, false, &op) || ht_test_init(&m.test, op, args[2].s) < 0)
		return -1;
	return each_row(t, find_row, &m) == 0 && m.found ? 1 : -1;
}

static int w_match_name(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx;
	(void)n;
	return match("sht_match_name", false, args);
}

static int w_match_value(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx;
	(void)n;
	return match("sht_match_str_value", true, args);
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
	struct ht_table *t = table_of("sht_reset", args[0].s);

	(void)ctx;
	(void)n;
	if (!t)
		return -1;
	ht_reset(t);
	return 1;
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

/* Stands on the next item; false past the last. */
static bool iter_next(struct ht_iter *it)
{
	while (!ht_snap_next(&it->snap, &it->pos, &it->row)) {
		if (it->bucket >= shm_hash_n_buckets(it->table->hash) ||
		    ht_snap_bucket(it->table, it->bucket, HT_LIVE, clock_wall_s(), &it->snap) < 0) {
			it->on_item = false;
			return false;
		}
		it->bucket++;
		it->pos = 0;
	}
	it->on_item = true;
	return true;
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
	return 1;
}

static int w_iter_next(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ht_iter *it = iter_of("sht_iterator_next", ctx, args[0].s);

	(void)n;
	return it && iter_next(it) ? 1 : -1;
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
	return iter_next(it) ? 1 : -2;
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
	{ "sht_print",           w_print,       0, { SP_END },                             CTX_ANY, NULL, 0, false },
	{ "sht_rm",              w_rm,          2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ "sht_rm_name_re",      w_rm_name_re,  1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_rm_value_re",     w_rm_value_re, 1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_rm_name",         w_rm_name,     3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, false },
	{ "sht_rm_value",        w_rm_value,    3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, false },
	{ "sht_match_name",      w_match_name,  3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, false },
	{ "sht_has_name",        w_match_name,  3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, false },
	{ "sht_match_str_value", w_match_value, 3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, false },
	{ "sht_has_str_value",   w_match_value, 3, { SP_DSTR, SP_DSTR, SP_DSTR },          CTX_ANY, NULL, 0, false },
	{ "sht_lock",            w_lock,        1, { SP_DSTR },                            CTX_ANY, NULL, 0, true },
	{ "sht_unlock",          w_unlock,      1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_reset",           w_reset,       1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_iterator_start",  w_iter_start,  2, { SP_DSTR, SP_DSTR },                   CTX_ANY, NULL, 0, false },
	{ "sht_iterator_next",   w_iter_next,   1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_iterator_end",    w_iter_end,    1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
	{ "sht_iterator_rm",     w_iter_rm,     1, { SP_DSTR },                            CTX_ANY, NULL, 0, false },
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
