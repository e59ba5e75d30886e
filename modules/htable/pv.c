/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Variables of htable. The table and the key's format are prepared when the script is loaded; a table that is defined later is looked up at run
 * time. A read costs a hash and one bucket's lock, and memory only when there is a text to give out.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/regex.h"
#include "modules/htable/walk.h"

enum ht_field { FIELD_KEY, FIELD_VALUE, FIELD_EXPIRES };

struct ref { /* "table=>key", prepared */
	struct str name;
	struct ht_table *table; /* NULL: not defined yet */
	struct fmt *key;
};

int ht_split(struct str text, struct str *ret_table, struct str *ret_key)
{
	ptrdiff_t arrow = str_find(text, STR_LIT("=>"));

	if (arrow <= 0)
		return -EINVAL;
	*ret_table = str_trim(str_sub(text, 0, (size_t)arrow));
	*ret_key = str_sub(text, (size_t)arrow + 2, text.n);
	return 0;
}

static int ref_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct ref *r = pool_zalloc(pool, sizeof(*r));
	struct str key;

	if (!r)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	if (ht_split(spec->inner, &r->name, &key) < 0 || r->name.n == 0)
		return diag_set(reterr, 0, "$%s: expected (table=>key)", spec->def->name);
	if (key.n == 0)
		return diag_set(reterr, 0, "$%s: the key behind \"=>\" is empty", spec->def->name);
	r->table = ht_table_find(r->name);
	spec->data = r;
	return fmt_compile(pool, key, &r->key, reterr);
}

/* The table and the key of this message; false when there is none: the variable is null. */
static bool resolve(struct ctx *ctx, const struct pv_spec *spec, struct ht_table **ret_table, struct str *ret_key)
{
	const struct ref *r = spec->data;

	*ret_table = r->table ? r->table : ht_table_find(r->name);
	if (!*ret_table || !(*ret_table)->hash) {
		log_error("$%s: there is no table \"%.*s\"", spec->def->name, STR_FMT(r->name));
		return false;
	}
	return fmt_eval(ctx, r->key, ret_key) == 0;
}

static HOT int sht_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct ht_table *t;
	struct str key;
	int rc;

	*ret = value_null();
	if (!resolve(ctx, spec, &t, &key))
		return 0;
	rc = ht_get(t, key, clock_wall_s(), ret);
	if (rc < 0)
		return rc;
	if (rc == 0)
		*ret = t->def.has_initval ? value_int(t->def.initval) : value_null();
	else if (ret->kind == VALUE_STR)
		return value_dup(ret, ctx->pool, ret);
	return 0;
}

int ht_store(struct ht_table *t, struct str key, const struct value *v, int64_t ttl_s)
{
	static bool full; /* of this process: say it once until there is room again */
	int err;

	if (v->kind == VALUE_NULL) {
		(void)ht_del(t, key);
		return 0;
	}
	err = ht_set(t, key, v, ttl_s, clock_wall_s());
	if (err < 0 && !(full && err == -ENOSPC))
		log_fail(err, "htable: cannot set a key of %zu bytes in \"%.*s\"", key.n, STR_FMT(t->def.name));
	full = err == -ENOSPC;
	return err;
}

static int sht_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct ht_table *t;
	struct str key;

	return resolve(ctx, spec, &t, &key) ? ht_store(t, key, v, HT_EXPIRE_RULE) : -ENOENT;
}

static int shtex_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct ht_table *t;
	struct str key;

	*ret = resolve(ctx, spec, &t, &key) ? value_int(ht_ttl(t, key, clock_wall_s())) : value_null();
	return 0;
}

static int shtex_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct ht_table *t;
	struct str key;
	int64_t ttl = 0;

	if (!resolve(ctx, spec, &t, &key))
		return -ENOENT;
	if (v->kind != VALUE_NULL && value_to_int(v, &ttl) < 0)
		return -EINVAL;
	(void)ht_ttl_set(t, key, ttl, clock_wall_s());
	return 0;
}

static int shtinc_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct ht_table *t;
	struct str key;
	int err;

	*ret = value_null();
	if (!resolve(ctx, spec, &t, &key))
		return 0;
	err = ht_add(t, key, spec->def->arg, clock_wall_s(), ret);
	return err < 0 ? log_fail(err, "$%s: \"%.*s\"", spec->def->name, STR_FMT(t->def.name)) : 0;
}

/* ---- tests over many items ---- */

int ht_test_init(struct ht_test *test, enum ht_op op, struct str text)
{
	struct diag d = { 0 };

	*test = (struct ht_test){ .op = op, .text = text };
	if (op == HT_OP_RE && regex_cached(text, REGEX_ICASE | REGEX_NEWLINE, &test->re, &d) < 0) {
		log_error("htable: regular expression \"%.*s\": %s", STR_FMT(text), d.text);
		return -EINVAL;
	}
	if (op == HT_OP_INT && num_i64(str_trim(text), &test->number) < 0) {
		log_error("htable: \"%.*s\" is no number", STR_FMT(text));
		return -EINVAL;
	}
	return 0;
}

bool ht_test_match(const struct ht_test *test, const struct value *v)
{
	if (test->op == HT_OP_ALL)
		return true;
	if (test->op == HT_OP_INT)
		return v->kind == VALUE_INT && v->i == test->number;
	if (v->kind != VALUE_STR)
		return false;
	switch (test->op) {
	case HT_OP_EQ:
		return str_eq(v->s, test->text);
	case HT_OP_NE:
		return !str_eq(v->s, test->text);
	case HT_OP_RE:
		return regex_match(test->re, v->s, 0, NULL) == 1;
	case HT_OP_SW:
		return str_starts(v->s, test->text);
	case HT_OP_EW:
		return str_ends(v->s, test->text);
	case HT_OP_IN:
		return str_find(v->s, test->text) >= 0;
	case HT_OP_ALL:
	case HT_OP_INT:
		break;
	}
	return false;
}

int ht_test_parse(struct ht_test *test, struct str expr, bool values)
{
	/* clang-format off */
	static const struct { struct str prefix; enum ht_op op; bool values_only; } prefixes[] = {
		{ { "~~", 2 }, HT_OP_RE,  false },
		{ { "~%", 2 }, HT_OP_EW,  false },
		{ { "%~", 2 }, HT_OP_SW,  false },
		{ { "==", 2 }, HT_OP_EQ,  false },
		{ { "eq", 2 }, HT_OP_INT, true  },
		{ { "**", 2 }, HT_OP_ALL, false },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (str_starts(expr, prefixes[i].prefix) && (values || !prefixes[i].values_only))
			return ht_test_init(test, prefixes[i].op, str_sub(expr, 2, expr.n));
	}
	return ht_test_init(test, HT_OP_RE, expr);
}

static bool look_count(struct ht_walk *w)
{
	const struct ht_snap *snap;
	struct ht_row row;
	size_t pos = 0;

	if (ht_walk_copy(w, HT_LIVE, &snap)) {
		while (ht_snap_next(snap, &pos, &row)) {
			struct value name = value_str(row.key);

			w->n += ht_test_match(&w->test, w->values ? &row.value : &name);
		}
	}
	return false;
}

static int over_count(struct ht_walk *w)
{
	struct ht_ctx *hc = w->of;

	hc->n_counted = w->err < 0 ? -1 : w->n;
	return 1;
}

/* arg 0: names, 1: values. Read a second time when it had to wait: then its number is there. */
static int count_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct ht_walk w = { .what = spec->def->name, .look = look_count, .over = over_count, .values = spec->def->arg != 0 };
	bool may_wait = ctx->pv_may_wait;
	struct ht_ctx *hc = ht_ctx_get(ctx);
	struct str expr;
	int rc = 1;

	ctx->pv_may_wait = false;
	*ret = value_null();
	if (!hc)
		return -ENOMEM;
	if (!may_wait || hc->counted != spec) {
		if (!resolve(ctx, spec, &w.table, &expr) || ht_test_parse(&w.test, expr, w.values) < 0)
			return 0;
		w.of = hc;
		rc = may_wait ? ht_walk_run(ctx, &w) : ht_walk_at_once(&w);
	}
	hc->counted = rc == SCRIPT_SUSPEND ? spec : NULL;
	if (rc == SCRIPT_SUSPEND)
		return PV_WAIT;
	if (hc->n_counted < 0)
		return -ENOMEM;
	*ret = value_int(hc->n_counted);
	return 0;
}

/* ---- the expired item, iterators ---- */

static int field_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	static const char *const names[] = { [FIELD_KEY] = "key", [FIELD_VALUE] = "value", [FIELD_EXPIRES] = "expires" };

	(void)pool;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(str_trim(spec->inner), str_lit(names[i]))) {
			spec->arg = (intptr_t)i;
			return 0;
		}
	}
	return diag_set(reterr, 0, "$shtrecord: expected key, value or expires");
}

static int record_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct ht_ctx *hc = ht_ctx_find(ctx);

	*ret = value_null();
	if (!hc || !hc->record)
		return 0;
	switch ((enum ht_field)spec->arg) {
	case FIELD_KEY:
		*ret = value_str(hc->record->key);
		break;
	case FIELD_VALUE:
		*ret = hc->record->value;
		break;
	case FIELD_EXPIRES:
		*ret = value_int(hc->record->expire_s);
		break;
	}
	return 0;
}

/* arg: enum ht_field. The row lives in the iterator's copy, which a next() replaces: texts are copied out. */
static int iter_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct ht_ctx *hc = ht_ctx_find(ctx);
	struct str name;
	struct value v;

	*ret = value_null();
	if (!hc || pv_inner(ctx, spec, &name) < 0)
		return 0;
	for (unsigned i = 0; i < HT_ITERATORS; i++) {
		const struct ht_iter *it = &hc->iter[i];

		if (it->name.n && it->on_item && str_eq(it->name, name)) {
			v = spec->def->arg == FIELD_KEY ? value_str(it->row.key) : it->row.value;
			return value_dup(&v, ctx->pool, ret);
		}
	}
	return 0;
}

/* clang-format off */
const struct pv_def ht_pvs[] = {
	{ "sht",       sht_get,    sht_set,   ref_prepare,   PV_INNER, 0 },
	{ "shtex",     shtex_get,  shtex_set, ref_prepare,   PV_INNER, 0 },
	{ "shtinc",    shtinc_get, NULL,      ref_prepare,   PV_INNER, 1 },
	{ "shtdec",    shtinc_get, NULL,      ref_prepare,   PV_INNER, -1 },
	{ "shtcn",     count_get,  NULL,      ref_prepare,   PV_INNER | PV_WAITS, 0 },
	{ "shtcv",     count_get,  NULL,      ref_prepare,   PV_INNER | PV_WAITS, 1 },
	{ "shtrecord", record_get, NULL,      field_prepare, PV_INNER, 0 },
	{ "shtitkey",  iter_get,   NULL,      NULL,          PV_INNER | PV_FMT_INNER, FIELD_KEY },
	{ "shtitval",  iter_get,   NULL,      NULL,          PV_INNER | PV_FMT_INNER, FIELD_VALUE },
	{ .name = NULL }
};
/* clang-format on */
