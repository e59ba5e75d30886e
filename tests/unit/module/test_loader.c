/* SPDX-License-Identifier: BSD-2-Clause */
/* core/module/loader.c with small modules built beside this test. Each test runs in its own process: what is loaded stays. */
#include <errno.h>
#include <stdio.h>

#include "core/module/loader.h"
#include "tests/lib/test_main.h"

char test_module_trace[256];

#define DIR "tests/unit/module"

static struct diag why;

static void path(void)
{
	why = (struct diag){ 0 };
	test_module_trace[0] = '\0';
	ck_assert_int_eq(module_path_set(STR_LIT("/nonexistent:" DIR "/"), false), 0);
}

static int load(const char *name, const char *opts)
{
	return module_load(str_lit(name), str_lit(opts), &why);
}

START_TEST(finds)
{
	const char *module;

	path();
	ck_assert_msg(load("tm_a.so", "") == 0, "%s", why.text);
	ck_assert_int_eq(load("tm_b", ""), 0);
	ck_assert_int_eq(load(DIR "/tm_plain.so", ""), 0);
	ck_assert_int_eq(module_count(), 3);
	ck_assert_str_eq(module_at(1)->name, "tm_b");
	ck_assert_ptr_null(module_at(3));
	ck_assert(module_is_loaded("tm_a") && !module_is_loaded("tm"));
	ck_assert_ptr_nonnull(module_api_find("tm_a"));
	ck_assert_ptr_null(module_api_find("nope"));
	ck_assert_ptr_nonnull(script_func_find(STR_LIT("f_tm_a"), 0, &module));
	ck_assert_str_eq(module, "tm_a");
	ck_assert_int_eq(load("tm_a", ""), -EEXIST);
	ck_assert_int_eq(load("tm_a", "o"), 0);
}
END_TEST

START_TEST(refuses)
{
	path();
	ck_assert_int_eq(load("nope.so", ""), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why.text, "tried /nonexistent/nope.so"));
	ck_assert_int_eq(load("tm_old", ""), -EPROTO);
	ck_assert_ptr_nonnull(strstr(why.text, "made for interface 99"));
	ck_assert_int_eq(load("", ""), -ENOENT);
	ck_assert_int_eq(module_count(), 0);
	/* locked by -L: the script's path does not count */
	ck_assert_int_eq(module_path_set(STR_LIT("/other"), true), 0);
	ck_assert_int_eq(module_path_set(STR_LIT(DIR), false), 0);
	ck_assert_int_eq(load("tm_a", ""), -ENOENT);
}
END_TEST

START_TEST(parameters)
{
	const struct script_func *f;

	path();
	ck_assert_int_eq(load("tm_a", ""), 0);
	ck_assert_int_eq(load("tm_b", ""), 0);
	f = script_func_find(STR_LIT("f_tm_a"), 0, NULL);
	ck_assert_int_eq(f->fn(NULL, NULL, 0), 3);
	ck_assert_int_eq(module_param_set(STR_LIT("TM_[ab]|x"), STR_LIT("number"), true, 7, STR_NULL, &why), 0);
	ck_assert_int_eq(f->fn(NULL, NULL, 0), 7);
	ck_assert_int_lt(module_param_set(STR_LIT("tm_a"), STR_LIT("number"), true, 11, STR_NULL, &why), 0);
	ck_assert_int_lt(module_param_set(STR_LIT("tm_a"), STR_LIT("number"), false, 0, STR_LIT("5"), &why), 0);
	ck_assert_int_eq(module_param_set(STR_LIT("tm_a"), STR_LIT("nmber"), true, 1, STR_NULL, &why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why.text, "did you mean 'number'"));
	ck_assert_int_eq(module_param_set(STR_LIT("tm_c"), STR_LIT("number"), true, 1, STR_NULL, &why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why.text, "no module 'tm_c'"));
	ck_assert_int_eq(module_param_set(STR_LIT("tm_"), STR_LIT("number"), true, 1, STR_NULL, &why), -ENOENT);
	ck_assert_int_lt(module_param_set(STR_LIT("("), STR_LIT("number"), true, 1, STR_NULL, &why), 0);
}
END_TEST

START_TEST(order)
{
	path();
	ck_assert_int_eq(load("tm_a", ""), 0); /* needs tm_b */
	ck_assert_int_eq(modules_init(&why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why.text, "module tm_a needs module tm_b"));
	ck_assert_str_eq(test_module_trace, "");
	ck_assert_int_eq(load("tm_b", ""), 0);
	ck_assert_int_eq(modules_init(&why), 0);
	ck_assert_str_eq(test_module_trace, "init tm_b;init tm_a;");
	modules_done();
	ck_assert_str_eq(test_module_trace, "init tm_b;init tm_a;done tm_a;done tm_b;");
}
END_TEST

START_TEST(cycle)
{
	path();
	ck_assert_int_eq(load("tm_c", ""), 0);
	ck_assert_int_eq(load("tm_d", ""), 0);
	ck_assert_int_eq(modules_init(&why), -ELOOP);
	ck_assert_str_eq(test_module_trace, "");
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("loader");
	TCase *t = tcase_create("loader");

	tcase_add_test(t, finds);
	tcase_add_test(t, refuses);
	tcase_add_test(t, parameters);
	tcase_add_test(t, order);
	tcase_add_test(t, cycle);
	suite_add_tcase(s, t);
	return s;
}
