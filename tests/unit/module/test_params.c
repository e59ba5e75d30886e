/* SPDX-License-Identifier: BSD-2-Clause */
/* core/module/params.c: what a reload says about parameters against what runs. */
#include "core/module/params.h"

#include <errno.h>
#include <stdio.h>

#include "core/module/loader.h"
#include "tests/lib/test_main.h"

char test_module_trace[256];

static const struct conf { /* as in testmod.c */
	int number;
	struct str text;
	int live_number;
	struct str live_text;
	unsigned n_listed, n_reloaded;
} *conf;

static char told[1024];
static struct diag why;

static void tell(void *arg, const struct module_place *place, const char *text)
{
	size_t n = strlen(told);

	(void)arg;
	snprintf(told + n, sizeof(told) - n, "%u %s\n", place ? place->line : 0, text);
}

static void setup(void)
{
	why = (struct diag){ 0 };
	test_module_trace[0] = told[0] = '\0';
	ck_assert_int_eq(module_path_set(STR_LIT("tests/unit/module"), false), 0);
	ck_assert_int_eq(module_load(STR_LIT("tm_b"), STR_NULL, &why), 0);
	conf = module_api_find("tm_b");
	ck_assert_int_eq(module_param_set(STR_LIT("tm_b"), STR_LIT("number"), true, 7, STR_NULL, &why), 0);
	ck_assert_int_eq(module_param_set(STR_LIT("tm_b"), STR_LIT("live_number"), true, 6, STR_NULL, &why), 0);
	ck_assert_int_eq(module_param_set(STR_LIT("tm_b"), STR_LIT("list"), false, 0, STR_LIT("a"), &why), 0);
	ck_assert_int_eq(module_param_set(STR_LIT("tm_b"), STR_LIT("more"), false, 0, STR_LIT("a"), &why), 0);
	ck_assert_uint_eq(conf->n_listed, 2);
}

static int add_i(struct module_params *p, const char *name, int64_t i, unsigned line)
{
	return module_params_add(p, STR_LIT("tm_.*"), str_lit(name), true, i, STR_NULL, &(struct module_place){ .line = line }, &why);
}

static int add_s(struct module_params *p, const char *name, const char *s, unsigned line)
{
	return module_params_add(p, STR_LIT("TM_B"), str_lit(name), false, 0, str_lit(s), &(struct module_place){ .line = line }, &why);
}

/* What setup() said, once more. */
static struct module_params *same(void)
{
	struct module_params *p = module_params_new();

	ck_assert_int_eq(add_i(p, "number", 1, 1), 0);
	ck_assert_int_eq(add_i(p, "number", 7, 2), 0); /* the last one counts */
	ck_assert_int_eq(add_s(p, "list", "a", 4), 0);
	ck_assert_int_eq(add_s(p, "more", "a", 5), 0);
	return p;
}

START_TEST(same_is_no_change)
{
	struct module_params *p = same(), *old;

	ck_assert_int_eq(add_i(p, "live_number", 6, 3), 0);
	ck_assert_int_eq(add_s(p, "text", "def", 6), 0); /* its default */
	ck_assert_uint_eq(module_params_check(p, tell, NULL), 0);
	ck_assert_str_eq(told, "");
	old = module_params_switch(p);
	ck_assert_ptr_eq(module_params_running(), p);
	ck_assert_str_eq(test_module_trace, "");
	ck_assert_uint_eq(conf->n_reloaded, 0);
	module_params_free(old); /* of the start: stays, and is still there for what views it */
	ck_assert_int_eq(conf->number, 7);
}
END_TEST

START_TEST(live_ones_are_set)
{
	struct module_params *p = same(), *old;
	char text[] = "new";

	ck_assert_int_eq(add_i(p, "live_number", 9, 3), 0);
	ck_assert_int_eq(add_s(p, "live_text", text, 6), 0);
	text[0] = 'X'; /* it was copied */
	ck_assert_int_eq(add_s(p, "more", "b", 7), 0);
	ck_assert_uint_eq(module_params_check(p, tell, NULL), 0);
	ck_assert_int_eq(conf->live_number, 6); /* nothing yet */
	ck_assert_uint_eq(conf->n_reloaded, 1);
	(void)module_params_switch(p);
	ck_assert_int_eq(conf->live_number, 9);
	ck_assert(str_eq(conf->live_text, STR_LIT("new")));
	ck_assert_str_eq(test_module_trace, "changed tm_b;");
	p = same(); /* both are back to their defaults, and what was added stays */
	ck_assert_uint_eq(module_params_check(p, tell, NULL), 0);
	old = module_params_switch(p);
	module_params_free(old);
	ck_assert_int_eq(conf->live_number, 5);
	ck_assert(str_eq(conf->live_text, STR_LIT("live")));
}
END_TEST

START_TEST(fixed_ones_are_told)
{
	struct module_params *p = module_params_new();

	ck_assert_int_eq(add_i(p, "number", 8, 1), 0);
	ck_assert_int_eq(add_s(p, "text", "other", 2), 0);
	ck_assert_int_eq(add_s(p, "list", "b", 3), 0);
	ck_assert_int_eq(add_s(p, "more", "bad", 4), 0);
	ck_assert_uint_eq(module_params_check(p, tell, NULL), 5);
	ck_assert_str_eq(told, "1 module tm_b: parameter number needs a restart to change from 7 to 8\n"
			       "2 module tm_b: parameter text needs a restart to change from \"def\" to \"other\"\n"
			       "3 module tm_b: parameter list needs a restart to take \"b\"\n"
			       "0 module tm_b: parameter list needs a restart to lose \"a\"\n"
			       "4 module tm_b: more: not that\n");
	ck_assert_int_eq(conf->number, 7);
	module_params_free(p);
	told[0] = '\0';
	p = module_params_new();
	ck_assert_uint_eq(module_params_check(p, tell, NULL), 2);
	ck_assert_ptr_nonnull(strstr(told, "0 module tm_b: parameter number needs a restart to change from 7 to 3, its default\n"));
	module_params_free(p);
}
END_TEST

START_TEST(wrong_ones_are_refused)
{
	struct module_params *p = module_params_new();

	ck_assert_int_lt(add_i(p, "number", 11, 1), 0);
	ck_assert_ptr_nonnull(strstr(why.text, "11 is not from 0 to 10"));
	ck_assert_int_lt(add_s(p, "number", "7", 1), 0);
	ck_assert_int_lt(add_i(p, "numbers", 7, 1), 0);
	ck_assert_str_eq(why.near, "number");
	ck_assert_int_lt(module_params_add(p, STR_LIT("nope"), STR_LIT("number"), true, 1, STR_NULL, &(struct module_place){ 0 }, &why), 0);
	ck_assert_int_lt(module_params_add(p, STR_LIT("(x"), STR_LIT("number"), true, 1, STR_NULL, &(struct module_place){ 0 }, &why), 0);
	module_params_free(p);
	module_params_free(NULL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("params");
	TCase *t = tcase_create("params");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, same_is_no_change);
	tcase_add_test(t, live_ones_are_set);
	tcase_add_test(t, fixed_ones_are_told);
	tcase_add_test(t, wrong_ones_are_refused);
	suite_add_tcase(s, t);
	return s;
}
