/* SPDX-License-Identifier: BSD-2-Clause */
/* The bounded builder, in each of its three places. */
#include "core/base/strbuf.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/pool.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/test_main.h"

enum place { HEAP, POOL, FIXED, N_PLACES };

static char memory[1000];
static struct pool *pool;

static void setup(void)
{
	pool = pool_new(64 * 1024);
}

static void teardown(void)
{
	pool_free(pool);
}

static void init(struct strbuf *sb, int place, size_t max)
{
	if (place == HEAP)
		strbuf_init(sb, max);
	else if (place == POOL)
		strbuf_init_pool(sb, pool, max);
	else
		strbuf_init_fixed(sb, memory, max);
}

START_TEST(builds)
{
	struct strbuf sb;

	init(&sb, _i, 1000);
	strbuf_add(&sb, STR_LIT("a"));
	strbuf_add(&sb, STR_NULL);
	strbuf_add_lit(&sb, "bc");
	strbuf_add_char(&sb, ' ');
	strbuf_add_u64(&sb, UINT64_MAX);
	strbuf_add_char(&sb, ' ');
	strbuf_add_i64(&sb, INT64_MIN);
	strbuf_add_hex(&sb, "\x00\xfa", 2);
	strbuf_printf(&sb, "[%d]", 5);
	strbuf_printf(&sb, "%600d", 1);
	ck_assert_int_eq(strbuf_err(&sb), 0);
	ck_assert(str_starts(strbuf_str(&sb),
	                     STR_LIT("abc 18446744073709551615 -922337203685477580800fa[5]  ")));
	ck_assert_uint_eq(strbuf_str(&sb).n, 52 + 600);
	strbuf_done(&sb);
}
END_TEST

START_TEST(exactly_full)
{
	struct strbuf sb;

	init(&sb, _i, 5);
	strbuf_printf(&sb, "%s", "12345");
	ck_assert_int_eq(strbuf_err(&sb), 0);
	ck_assert(str_eq(strbuf_str(&sb), STR_LIT("12345")));
	strbuf_add_char(&sb, '6');
	ck_assert_int_eq(strbuf_err(&sb), -EMSGSIZE);
	ck_assert_uint_eq(strbuf_str(&sb).n, 5);
	strbuf_done(&sb);
}
END_TEST

START_TEST(nothing_after_what_did_not_fit)
{
	struct strbuf sb;

	init(&sb, _i, 5);
	strbuf_add_lit(&sb, "123");
	strbuf_add_lit(&sb, "456");
	strbuf_add_char(&sb, '7');
	strbuf_add_u64(&sb, 8);
	strbuf_add_hex(&sb, "9", 1);
	strbuf_printf(&sb, "%s", "0");
	ck_assert_int_eq(strbuf_err(&sb), -EMSGSIZE);
	ck_assert(str_eq(strbuf_str(&sb), STR_LIT("123")));
	ck_assert_ptr_null(strbuf_take(&sb));
}
END_TEST

START_TEST(take_gives_the_bytes)
{
	struct strbuf sb;
	char *p;

	strbuf_init(&sb, 4);
	strbuf_add_lit(&sb, "1234");
	p = strbuf_take(&sb);
	ck_assert_str_eq(p, "1234");
	free(p);
	strbuf_init(&sb, 10);
	p = strbuf_take(&sb);
	ck_assert_str_eq(p, "");
	free(p);
	strbuf_init_fixed(&sb, memory, 10);
	ck_assert_ptr_null(strbuf_take(&sb));
}
END_TEST

START_TEST(pool_may_run_dry)
{
	struct pool *tiny = pool_new(512);
	struct strbuf sb;

	strbuf_init_pool(&sb, tiny, 100000);
	for (int i = 0; i < 1000; i++)
		strbuf_add_lit(&sb, "xxxx");
	ck_assert_int_eq(strbuf_err(&sb), -EMSGSIZE);
	pool_free(tiny);
}
END_TEST

START_TEST(other_objects_between)
{
	struct strbuf sb;

	strbuf_init_pool(&sb, pool, 10000);
	for (int i = 0; i < 1000; i++) {
		strbuf_add_char(&sb, (char)('a' + i % 26));
		memset(pool_alloc(pool, 16), 0, 16);
	}
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(strbuf_str(&sb).s[i], 'a' + i % 26);
}
END_TEST

START_TEST(failing_malloc)
{
	for (unsigned n = 1; n < 100; n++) {
		struct strbuf sb;
		bool failed;
		char *p;

		fail_alloc_at(n);
		strbuf_init(&sb, 5000);
		for (int i = 0; i < 100; i++)
			strbuf_add_lit(&sb, "0123456789");
		p = strbuf_take(&sb);
		failed = fail_alloc_end();
		ck_assert(failed == (p == NULL));
		ck_assert_int_le(fail_alloc_held(), p != NULL); /* the sanitizer counts none */
		if (p) {
			ck_assert_uint_eq(strlen(p), 1000);
			free(p);
			break;
		}
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("strbuf");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, builds, 0, N_PLACES);
	tcase_add_loop_test(tc, exactly_full, 0, N_PLACES);
	tcase_add_loop_test(tc, nothing_after_what_did_not_fit, 0, N_PLACES);
	tcase_add_test(tc, take_gives_the_bytes);
	tcase_add_test(tc, pool_may_run_dry);
	tcase_add_test(tc, other_objects_between);
	tcase_add_test(tc, failing_malloc);
	suite_add_tcase(s, tc);
	return s;
}
