/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of one message: alignment, growth, limit, reset. */
#include "core/base/pool.h"

#include <errno.h>

#include "tests/lib/fail_alloc.h"
#include "tests/lib/test_main.h"

static struct pool *pool;

static void setup(void)
{
	pool = pool_new(1024 * 1024);
	ck_assert_ptr_nonnull(pool);
}

static void teardown(void)
{
	pool_free(pool);
}

START_TEST(objects_are_aligned_and_apart)
{
	unsigned char *p[200];

	for (unsigned i = 0; i < 200; i++) {
		p[i] = pool_alloc(pool, i * 3);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_eq((uintptr_t)p[i] % 16, 0);
		memset(p[i], (int)i, i * 3);
	}
	for (unsigned i = 0; i < 200; i++)
		for (unsigned j = 0; j < i * 3; j++)
			ck_assert_uint_eq(p[i][j], i);
}
END_TEST

START_TEST(limit_holds)
{
	size_t got = 0;

	ck_assert_ptr_null(pool_alloc(pool, 1024 * 1024 + 1));
	ck_assert_ptr_null(pool_alloc(pool, SIZE_MAX));
	ck_assert_ptr_null(pool_alloc(pool, SIZE_MAX - 8));
	while (got <= 1024 * 1024 && pool_alloc(pool, 1000))
		got += 1000;
	ck_assert_uint_le(got, 1024 * 1024);
	ck_assert_uint_ge(got, 900 * 1024);
	pool_reset(pool);
	ck_assert_uint_eq(pool_used(pool), 0);
	ck_assert_ptr_nonnull(pool_alloc(pool, 512 * 1024));
}
END_TEST

START_TEST(whole_limit_after_small_ones)
{
	struct pool *small = pool_new(64 * 1024);

	for (int i = 0; i < 20; i++)
		ck_assert_ptr_nonnull(pool_alloc(small, 1024));
	pool_reset(small);
	ck_assert_ptr_nonnull(pool_alloc(small, 60 * 1024)); /* kept chunks give way */
	pool_free(small);
}
END_TEST

/* Kept chunks gave way and the large one did not come: nothing is left of them to allocate from. */
START_TEST(nothing_is_left_of_dropped_chunks)
{
	struct pool *small = pool_new(64 * 1024);
	void *large, *next;
	bool failed;

	ck_assert_ptr_nonnull(pool_alloc(small, 20 * 1024));
	pool_reset(small);
	fail_alloc_at(1);
	large = pool_alloc(small, 60 * 1024);
	failed = fail_alloc_end();
	if (failed) {
		ck_assert_ptr_null(large);
		fail_alloc_at(1);
		next = pool_alloc(small, 10);
		ck_assert(fail_alloc_end());
		ck_assert_ptr_null(next);
	}
	ck_assert_ptr_nonnull(pool_alloc(small, 10));
	pool_free(small);
}
END_TEST

START_TEST(reset_reuses_memory)
{
	void *first = pool_alloc(pool, 100);

	for (int i = 0; i < 50; i++) {
		pool_reset(pool);
		ck_assert_ptr_eq(pool_alloc(pool, 100), first);
	}
}
END_TEST

START_TEST(grows_in_place_or_copies)
{
	char *p = pool_alloc(pool, 10), *q, *r;

	memcpy(p, "0123456789", 10);
	q = pool_grow(pool, p, 10, 1000);
	ck_assert_ptr_eq(p, q);
	ck_assert_ptr_nonnull(pool_alloc(pool, 1));
	r = pool_grow(pool, q, 1000, 2000);
	ck_assert_ptr_ne(q, r);
	ck_assert_mem_eq(r, "0123456789", 10);
	ck_assert_ptr_eq(pool_grow(pool, r, 2000, 1), r);
	ck_assert_ptr_nonnull(pool_grow(pool, NULL, 0, 5));
	ck_assert_ptr_null(pool_grow(pool, r, 2000, SIZE_MAX));
}
END_TEST

START_TEST(copies_text)
{
	struct str s = str_dup(pool, STR_LIT("abc")), e = str_dup(pool, STR_NULL), t;
	char big[1000];

	ck_assert_str_eq(s.s, "abc");
	ck_assert_uint_eq(s.n, 3);
	ck_assert_ptr_nonnull(e.s);
	ck_assert_uint_eq(e.n, 0);
	ck_assert_int_eq(pool_printf(pool, &t, "%d-%s", 5, "x"), 0);
	ck_assert(str_eq(t, STR_LIT("5-x")));
	memset(big, 'b', sizeof(big));
	ck_assert_int_eq(pool_printf(pool, &t, "%.*s", (int)sizeof(big), big), 0);
	ck_assert(str_eq(t, str_of(big, sizeof(big))));
}
END_TEST

START_TEST(no_room_is_told)
{
	struct pool *tiny = pool_new(64);
	struct str t;
	char big[100] = "";

	ck_assert_ptr_null(str_dup(tiny, str_of(big, sizeof(big))).s);
	ck_assert_int_eq(pool_printf(tiny, &t, "%100d", 1), -ENOMEM);
	ck_assert_ptr_null(pool_zalloc(tiny, 65));
	pool_free(tiny);
	pool_free(NULL);
}
END_TEST

START_TEST(failing_malloc)
{
	for (unsigned n = 1; n < 100; n++) {
		struct pool *p;
		unsigned n_got = 0;
		bool failed;

		fail_alloc_at(n);
		p = pool_new(1024 * 1024);
		for (int i = 0; p && i < 300; i++)
			n_got += pool_alloc(p, 1000) != NULL;
		pool_free(p);
		failed = fail_alloc_end();
		ck_assert_int_eq(fail_alloc_held(), 0);
		if (!failed) {
			ck_assert_uint_eq(n_got, 300);
			break;
		}
		ck_assert_uint_eq(n_got, n == 1 ? 0 : 299); /* the next one is tried anew */
	}
}
END_TEST

START_TEST(steady_state_makes_no_malloc)
{
	for (int round = 0; round < 3; round++) {
		unsigned n_got = 0;
		bool failed;

		fail_alloc_at(round ? 1 : 0);
		for (int i = 0; i < 50; i++)
			n_got += pool_alloc(pool, 1000) != NULL;
		failed = fail_alloc_end();
		ck_assert(!failed);
		ck_assert_uint_eq(n_got, 50);
		pool_reset(pool);
	}
}
END_TEST

static char ended[8];

static void note_end(void *arg)
{
	strncat(ended, arg, 1);
}

START_TEST(ends_what_lies_in_it)
{
	static char a[] = "a", b[] = "b", c[] = "c";

	ended[0] = '\0';
	ck_assert_int_eq(pool_on_end(pool, note_end, a), 0);
	ck_assert_int_eq(pool_on_end(pool, note_end, b), 0);
	pool_reset(pool);
	ck_assert_str_eq(ended, "ba");
	pool_reset(pool);
	ck_assert_str_eq(ended, "ba"); /* once */
	ck_assert_int_eq(pool_on_end(pool, note_end, c), 0);
	pool_free(pool);
	pool = NULL;
	ck_assert_str_eq(ended, "bac");
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("pool");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, objects_are_aligned_and_apart);
	tcase_add_test(tc, limit_holds);
	tcase_add_test(tc, whole_limit_after_small_ones);
	tcase_add_test(tc, nothing_is_left_of_dropped_chunks);
	tcase_add_test(tc, reset_reuses_memory);
	tcase_add_test(tc, grows_in_place_or_copies);
	tcase_add_test(tc, copies_text);
	tcase_add_test(tc, no_room_is_told);
	tcase_add_test(tc, failing_malloc);
	tcase_add_test(tc, steady_state_makes_no_malloc);
	tcase_add_test(tc, ends_what_lies_in_it);
	suite_add_tcase(s, tc);
	return s;
}
