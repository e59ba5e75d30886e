/* SPDX-License-Identifier: BSD-2-Clause */
/* Typed option tables. */
#include "core/settings/schema.h"

#include <errno.h>

#include "tests/lib/test_main.h"

struct conf {
	int limit, mode;
	struct str url, none;
	int64_t sum;
	unsigned n_rows;
};

static int add(void *conf, const struct setting *set UNUSED, int64_t i, struct str s,
               struct diag *reterr)
{
	struct conf *c = conf;

	if (s.n == 3)
		return diag_set(reterr, 0, "bad row");
	c->sum += i;
	c->n_rows++;
	return 0;
}

/* clang-format off */
static const struct setting table[] = {
	SETTING_INT("limit", struct conf, limit, 100, 1, 1000),
	SETTING_INT("mode", struct conf, mode, -1, INT64_MIN, INT64_MAX),
	SETTING_STR("db_url", struct conf, url, "sqlite:"),
	SETTING_STR("none", struct conf, none, NULL),
	SETTING_FN_INT("port", add),
	SETTING_FN_STR("row", add),
	SETTING_END
};

static const struct vector { const char *name; bool is_int; int64_t i; const char *s; int err; const char *why; } vectors[] = {
	{ "limit",  true,  7,             "",    0,        NULL },
	{ "limit",  true,  0,             "",    -EBADMSG, "limit: 0 is not from 1 to 1000" },
	{ "limit",  true,  1001,          "",    -EBADMSG, "limit: 1001 is not from 1 to 1000" },
	{ "limit",  false, 0,             "7",   -EBADMSG, "limit: a number expected" },
	{ "mode",   true,  1ll << 40,     "",    -EBADMSG, NULL },
	{ "db_url", false, 0,             "x:",  0,        NULL },
	{ "db_url", true,  5,             "",    -EBADMSG, "db_url: a string expected" },
	{ "port",   true,  1ll << 40,     "",    0,        NULL },
	{ "port",   false, 0,             "80",  -EBADMSG, "port: a number expected" },
	{ "row",    false, 0,             "a=b", -EBADMSG, "bad row" },
	{ "row",    false, 0,             "a",   0,        NULL },
};
/* clang-format on */

START_TEST(defaults)
{
	struct conf c = { .none = STR_LIT("x") };

	settings_defaults(table, &c);
	ck_assert_int_eq(c.limit, 100);
	ck_assert_int_eq(c.mode, -1);
	ck_assert(str_eq(c.url, STR_LIT("sqlite:")));
	ck_assert_ptr_null(c.none.s);
	ck_assert_uint_eq(c.none.n, 0);
}
END_TEST

START_TEST(sets)
{
	const struct vector *v = &vectors[_i];
	const struct setting *set = settings_find(table, str_lit(v->name));
	struct diag d = { .text = "" };
	struct conf c = { 0 };

	ck_assert_ptr_nonnull(set);
	ck_assert_int_eq(settings_set(set, &c, v->is_int, v->i, str_lit(v->s), &d), v->err);
	if (v->why)
		ck_assert_str_eq(d.text, v->why);
	if (v->err == 0)
		ck_assert(c.limit == 7 || c.url.n == 2 || c.n_rows == 1);
	ck_assert_int_eq(settings_set(set, &c, v->is_int, v->i, str_lit(v->s), NULL), v->err);
}
END_TEST

START_TEST(unknown_names)
{
	ck_assert_ptr_null(settings_find(table, STR_LIT("Limit")));
	ck_assert_ptr_null(settings_find(table, STR_LIT("limi")));
	ck_assert_ptr_null(settings_find(table, STR_NULL));
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("schema");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, defaults);
	tcase_add_loop_test(tc, sets, 0, ARRAY_LEN(vectors));
	tcase_add_test(tc, unknown_names);
	suite_add_tcase(s, tc);
	return s;
}
