/* SPDX-License-Identifier: BSD-2-Clause */
/* core/pv: references of every form, format texts, transformation chains, $var slots. Classes of its own stand in for modules. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/strbuf.h"
#include "core/pv/fmt.h"
#include "core/pv/trans.h"
#include "tests/lib/test_main.h"
#include "tests/lib/test_var.h"

static struct ctx ctx;

static int text_get(struct ctx *c, const struct pv_spec *spec, struct value *ret)
{
	(void)c;
	*ret = spec->def->arg ? value_int(spec->def->arg) : value_str(STR_LIT("Alice"));
	return 0;
}

static int fail_get(struct ctx *c, const struct pv_spec *spec, struct value *ret)
{
	(void)c;
	(void)spec;
	(void)ret;
	return -EIO;
}

/* Shows the inner text, and "inner#index" with one. */
static int echo_get(struct ctx *c, const struct pv_spec *spec, struct value *ret)
{
	struct str in, out;
	int idx, err = pv_inner(c, spec, &in);

	if (err < 0)
		return err;
	if (spec->idx_kind == PV_IDX_ALL)
		err = pool_printf(c->pool, &out, "%.*s#*", STR_FMT(in));
	else if (spec->idx_kind == PV_IDX_NONE)
		out = in;
	else if ((err = pv_index(c, spec, &idx)) == 0)
		err = pool_printf(c->pool, &out, "%.*s#%d", STR_FMT(in), idx);
	if (err < 0)
		return err;
	*ret = value_str(out);
	return 0;
}

static int len_fn(struct ctx *c, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = value_to_str(v, c->pool, &s);

	(void)t;
	if (err < 0)
		return err;
	*v = value_int((int64_t)s.n);
	return 0;
}

/* Joins the parameters: shows how they were cut. */
static int join_fn(struct ctx *c, const struct pv_trans *t, struct value *v)
{
	struct strbuf sb;

	strbuf_init_pool(&sb, c->pool, 4096);
	for (unsigned i = 0; i < t->n_params; i++) {
		struct str s;
		int err = trans_param_str(c, &t->param[i], &s);

		if (err < 0)
			return err;
		strbuf_add_char(&sb, '<');
		strbuf_add(&sb, s);
		strbuf_add_char(&sb, t->param[i].kind == TRANS_P_NUM ? 'n' : t->param[i].kind == TRANS_P_PV ? 'p' : 's');
	}
	*v = value_str(strbuf_str(&sb));
	return strbuf_err(&sb);
}

static int raw_fn(struct ctx *c, const struct pv_trans *t, struct value *v)
{
	(void)c;
	*v = value_str(t->raw_params);
	return 0;
}

static int none_fn(struct ctx *c, const struct pv_trans *t, struct value *v)
{
	(void)c;
	(void)t;
	if (v->kind == VALUE_NULL)
		*v = value_str(STR_LIT("none"));
	return 0;
}

/* clang-format off */
static const struct pv_def table[] = {
	{ .name = "t",      .get = text_get },
	{ .name = "t.user", .get = text_get },
	{ .name = "n",      .get = text_get, .arg = 7 },
	{ .name = "bad",    .get = fail_get },
	{ .name = "echo",   .get = echo_get, .flags = PV_INNER | PV_INDEX | PV_FMT_INNER },
	{ .name = "var",    .get = var_get, .set = var_set, .prepare = var_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
static const struct trans_def trans[] = {
	{ .cls = "s", .name = "len",  .fn = len_fn },
	{ .cls = "s", .name = "join", .fn = join_fn, .max_params = 3, .comma_ok = true },
	{ .cls = "s", .name = "raw",  .fn = raw_fn, .raw = true },
	{ .cls = "s", .name = "none", .fn = none_fn, .null_ok = true },
	{ .cls = NULL },
};

static const struct fmt_vector { const char *in, *out; } fmts[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "a$$b", "a$b" },
	{ "$$", "$" },
	{ "$($)", "$" },
	{ "$t", "Alice" },
	{ "$(t)", "Alice" },
	{ "<$t>", "<Alice>" },
	{ "$t$n", "Alice7" },
	{ "$t.user@x", "Alice@x" },
	{ "$(t).user", "Alice.user" },
	{ "[$null]", "[<null>]" },
	{ "[$bad]", "[]" },
	{ "$echo(a)", "a" },
	{ "$echo(a)[1]", "a[1]" },
	{ "$(echo(a)[1])", "a#1" },
	{ "$(echo(a)[-1])", "a#-1" },
	{ "$(echo(a)[*])", "a#*" },
	{ "$(echo(a)[$n])", "a#7" },
	{ "$echo(a(b)c)", "a(b)c" },
	{ "$echo(x=>$t::y)", "x=>Alice::y" },
	{ "$echo($(t{s.len}))", "5" },
	{ "$(t{s.len})", "5" },
	{ "$(t{s.LEN})", "5" },
	{ "$(t{s.len} \n\t{s.len})", "1" },
	{ "$(n{s.len})", "1" },
	{ "[$(null{s.len})]", "[]" },
	{ "$(null{s.none})", "none" },
	{ "$(t{s.join,a,-5,$n})", "<as<-5n<7p" },
	{ "$(t{s.join, a b ,+5})", "<a b s<+5n" },
	{ "$(t{s.join,1,,})", "<1n<,s" },
	{ "$(t{s.join,,})", "<,s" },
	{ "$(t{s.join,})", "<s" },
	{ "$(t{s.join, })", "< s" },
	{ "$(t{s.join,$(echo(q){s.len}),z})", "<1p<zs" },
	{ "$(t{s.raw,/a{2},(b)/x/g})", "/a{2},(b)/x/g" },
	{ "$var(i)", "0" },
	{ "1$t 2$t 3$t 4$t 5$t 6$t 7$t 8$t 9$t", "1Alice 2Alice 3Alice 4Alice 5Alice 6Alice 7Alice 8Alice 9Alice" },
	{ "$env(RF_TEST_PV)|$envn(RF_TEST_PV)|$env(RF_TEST_NONE)", "12|12|<null>" },
	{ "$rc $retcode $(?)", "-3 -3 -3" },
	{ "$def(A)|$defn(A)|$defv(A)|$defs(A)", "\"5\"|0|5|\"5\"" },
	{ "$def(B)|$defn(B)|$defv(B)|$defs(B)", "6|6|6|\"6\"" },
	{ "$def(C)|$defn(C)", "<null>|0" },
};
static const struct bad_vector { const char *in, *reason; int err; } bads[] = {
	{ "$",                "name of a variable expected", -EBADMSG },
	{ "$ x",              "name of a variable expected", -EBADMSG },
	{ "x $tt",            "did you mean '$t'?", -ENOENT },
	{ "$ech(a)",          "did you mean '$echo'?", -ENOENT },
	{ "$t.",              "counts as part of the name", -EBADMSG },
	{ "$zzzzzz",          "unknown variable $zzzzzz", -ENOENT },
	{ "$(t",              "')' expected", -EBADMSG },
	{ "$t(x)",            "takes no (name)", -EBADMSG },
	{ "$echo",            "needs a (name)", -EBADMSG },
	{ "$echo()",          "is empty", -EBADMSG },
	{ "$(t[1])",          "takes no [index]", -EBADMSG },
	{ "$(echo(a)[])",     "is no number", -EBADMSG },
	{ "$(echo(a)[x])",    "is no number", -EBADMSG },
	{ "$(t{s.lenn})",     "did you mean '{s.len}'?", -ENOENT },
	{ "$(t{q.len})",      "unknown class of transformations", -ENOENT },
	{ "$(t{S.len})",      "unknown class of transformations", -ENOENT },
	{ "$(t{s.len,1})",    "takes 0 to 0 parameters", -EBADMSG },
	{ "$(t{s.len)",       "'}' expected", -EBADMSG },
	{ "$(t{len})",        "'class.function' expected", -EBADMSG },
	{ "$(t{s.join,a,b,c,d})", "takes 0 to 3", -EBADMSG },
	{ "$echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo($echo(a))))))))))))))))))", "nested deeper", -EBADMSG },
};
/* clang-format on */

static bool defines(struct str name, struct str *ret)
{
	if (str_eq(name, STR_LIT("A")))
		*ret = STR_LIT("\"5\"");
	else if (str_eq(name, STR_LIT("B")))
		*ret = STR_LIT("6");
	else
		return false;
	return true;
}

static void setup(void)
{
	setenv("RF_TEST_PV", "12", 1);
	ctx.pool = pool_new(1 << 20);
	ctx.retcode = -3;
	ck_assert_int_eq(pv_core_register(), 0);
	ck_assert_int_eq(pv_register(table), 0);
	ck_assert_int_eq(trans_register(trans), 0);
	pv_set_defines(defines);
}

static void teardown(void)
{
	pool_free(ctx.pool);
}

START_TEST(fmt_vectors)
{
	struct fmt *f;
	struct diag d = { 0 };
	struct str out;

	ck_assert_msg(fmt_compile(ctx.pool, str_lit(fmts[_i].in), &f, &d) == 0, "%s: %s", fmts[_i].in, d.text);
	ck_assert_int_eq(fmt_eval(&ctx, f, &out), 0);
	ck_assert_msg(str_eq(out, str_lit(fmts[_i].out)), "%s: '%.*s' instead of '%s'", fmts[_i].in, STR_FMT(out), fmts[_i].out);
	ck_assert(str_eq(fmt_text(f), str_lit(fmts[_i].in)));
}
END_TEST

START_TEST(fmt_refused)
{
	struct fmt *f;
	struct diag d = { 0 };

	ck_assert_int_eq(fmt_compile(ctx.pool, str_lit(bads[_i].in), &f, &d), bads[_i].err);
	ck_assert_msg(strstr(d.text, bads[_i].reason) != NULL, "%s: %s", bads[_i].in, d.text);
}
END_TEST

START_TEST(fmt_limits)
{
	struct fmt *f;
	struct str out;

	fmt_set_max(8);
	ck_assert_int_eq(fmt_compile(ctx.pool, STR_LIT("$t$t"), &f, NULL), 0);
	ck_assert_int_eq(fmt_eval(&ctx, f, &out), -EMSGSIZE);
	fmt_set_max(32768);
	ck_assert_int_eq(fmt_eval(&ctx, f, &out), 0);
	ck_assert(!fmt_single_pv(f));
	ck_assert_int_eq(fmt_compile(ctx.pool, STR_LIT("$t"), &f, NULL), 0);
	ck_assert(fmt_single_pv(f) && !fmt_is_const(f));
}
END_TEST

START_TEST(references)
{
	struct pv_spec *a, *b;
	struct value v;
	size_t len;

	ck_assert_int_eq(pv_parse(ctx.pool, STR_LIT("$var(a) rest"), &a, &len, NULL), 0);
	ck_assert_uint_eq(len, 7);
	ck_assert(str_eq(a->text, STR_LIT("$var(a)")));
	ck_assert(pv_writable(a));
	ck_assert_int_eq(pv_parse(ctx.pool, STR_LIT("$(var(a){s.len})"), &b, &len, NULL), 0);
	ck_assert(!pv_writable(b));
	v = value_str(STR_LIT("four"));
	ck_assert_int_eq(pv_set(&ctx, a, &v), 0);
	ck_assert_int_eq(pv_get(&ctx, b, &v), 0);
	ck_assert(v.kind == VALUE_INT && v.i == 4);
	ck_assert_int_eq(pv_set(&ctx, b, &v), -EPERM);
	ck_assert_int_eq(pv_register(&(const struct pv_def[]){ { .name = "t", .get = text_get }, { .name = NULL } }[0]), -EEXIST);
}
END_TEST

START_TEST(slots)
{
	int a = pv_var_slot(ctx.pool, STR_LIT("s1")), vn = pv_vn_slot(ctx.pool, STR_LIT("s1")), many = 0;
	struct value *v, first = value_str(STR_LIT("init"));
	struct ctx other = { .pool = ctx.pool };

	ck_assert_int_ge(a, 0);
	ck_assert_int_ne(a, vn);
	ck_assert_int_eq(pv_var_slot(NULL, STR_LIT("s1")), a);
	v = pv_var_at(&ctx, a);
	ck_assert(v && v->kind == VALUE_INT && v->i == 0);
	v->i = 5;
	ck_assert(pv_var_at(&ctx, vn)->kind == VALUE_NULL);
	for (int i = 0; i < 200; i++) {
		char name[16];

		snprintf(name, sizeof(name), "m%d", i);
		many = pv_var_slot(ctx.pool, str_lit(name));
	}
	ck_assert(pv_var_at(&ctx, many)->kind == VALUE_INT);
	ck_assert_int_eq((int)pv_var_at(&ctx, a)->i, 5);
	ck_assert_int_eq(pv_var_default(STR_LIT("s1"), &first), 0);
	ck_assert(str_eq(pv_var_at(&other, a)->s, STR_LIT("init")));
	ck_assert(!pv_var_at(&ctx, -1));
	ck_assert(!pv_var_at(&ctx, 100000));
}
END_TEST

/* As scripts come and go, each with names of its own and one that all have; a run of the first one goes on meanwhile. */
START_TEST(slots_come_back)
{
	struct pool *old = NULL, *next;
	struct ctx parked = { .pool = pool_new(1 << 16) };
	int held = pv_var_slot(parked.pool, STR_LIT("held")), all = -1, top = -1;

	pv_var_at(&parked, held)->i = 77;
	for (unsigned i = 0; i < 10000; i++) {
		char name[16];
		int slot, vn;

		snprintf(name, sizeof(name), "g%u", i);
		next = pool_new(1 << 16);
		slot = pv_var_slot(next, str_lit(name));
		ck_assert_int_eq(pv_var_slot(next, str_lit(name)), slot);
		vn = pv_vn_slot(next, str_lit(name));
		ck_assert(slot >= 0 && vn >= 0 && slot != held);
		ck_assert(all < 0 || pv_var_slot(next, STR_LIT("all")) == all);
		all = pv_var_slot(next, STR_LIT("all"));
		ck_assert(pv_var_at(&parked, slot)->kind == VALUE_INT && pv_var_at(&parked, slot)->i == 0);
		ck_assert(pv_var_at(&parked, vn)->kind == VALUE_NULL);
		if (i == 2)
			top = (int)parked.n_vars;
		ck_assert(i < 2 || (int)parked.n_vars <= top);
		pool_free(old);
		old = next;
	}
	ck_assert_int_eq((int)pv_var_at(&parked, held)->i, 77);
	pool_free(old);
	pool_free(parked.pool);
}
END_TEST

START_TEST(too_many_names)
{
	struct pool *pool = pool_new(1 << 20);
	char name[16];
	int n = 0, slot;

	do {
		snprintf(name, sizeof(name), "t%d", n++);
		slot = pv_var_slot(pool, str_lit(name));
	} while (slot >= 0);
	ck_assert_int_eq(slot, -ENOSPC);
	ck_assert_int_le(n, 4097);
	pool_reset(pool);
	for (int i = 0; i < n - 1; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		ck_assert_int_ge(pv_var_slot(pool, str_lit(name)), 0);
	}
	pool_free(pool);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("pv");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, fmt_vectors, 0, (int)ARRAY_LEN(fmts));
	tcase_add_loop_test(tc, fmt_refused, 0, (int)ARRAY_LEN(bads));
	tcase_add_test(tc, fmt_limits);
	tcase_add_test(tc, references);
	tcase_add_test(tc, slots);
	tcase_add_test(tc, slots_come_back);
	tcase_add_test(tc, too_many_names);
	suite_add_tcase(s, tc);
	return s;
}
