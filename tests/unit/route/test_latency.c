/* SPDX-License-Identifier: BSD-2-Clause */
/* core/route/latency.c: which bucket a time falls in. */
#include "core/base/clock.h"
#include "core/route/latency.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define NOW_MS UINT64_C(100000)

/* clang-format off */
static const struct row { uint64_t us; unsigned bucket; } rows[] = {
	{ 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 7, 2 }, { 8, 3 }, { 1000, 9 }, { 1023, 9 }, { 1024, 10 },
	{ (1 << 24) - 1, 23 }, { 1 << 24, 24 }, { 90000000, 24 },
};
/* clang-format on */

static void setup(void)
{
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64 << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
	ck_assert_int_eq(route_latency_init(), 0);
	clock_fake(NOW_MS, 1);
}

static void teardown(void)
{
	clock_fake(0, 0);
	shm_slot_release();
	shm_arena_destroy();
}

START_TEST(buckets)
{
	const struct row *r = &rows[_i];

	route_latency_note(ROUTE_LATENCY_REPLIES, NOW_MS * 1000 - r->us);
	for (unsigned b = 0; b < ROUTE_LATENCY_BUCKETS; b++)
		ck_assert_int_eq(route_latency_read(ROUTE_LATENCY_REPLIES, b), b == r->bucket ? ROUTE_LATENCY_EVERY : 0);
	ck_assert_int_eq(route_latency_read(ROUTE_LATENCY_REPLIES, ROUTE_LATENCY_BUCKETS), (int64_t)r->us * ROUTE_LATENCY_EVERY);
	for (unsigned b = 0; b <= ROUTE_LATENCY_BUCKETS; b++)
		ck_assert_int_eq(route_latency_read(ROUTE_LATENCY_REQUESTS, b), 0);
}
END_TEST

/* A context that was not received, or a clock that went back, is not counted. */
START_TEST(unknown)
{
	route_latency_note(ROUTE_LATENCY_REQUESTS, 0);
	route_latency_note(ROUTE_LATENCY_REQUESTS, NOW_MS * 1000 + 1);
	for (unsigned b = 0; b <= ROUTE_LATENCY_BUCKETS; b++)
		ck_assert_int_eq(route_latency_read(ROUTE_LATENCY_REQUESTS, b), 0);
	ck_assert_int_eq(route_latency_read(ROUTE_LATENCY_REQUESTS, ROUTE_LATENCY_BUCKETS + 1), 0);
}
END_TEST

START_TEST(one_in_so_many_is_due)
{
	unsigned due = 0;

	for (unsigned i = 0; i < 10 * ROUTE_LATENCY_EVERY; i++)
		due += route_latency_due(ROUTE_LATENCY_REQUESTS);
	ck_assert_uint_eq(due, 10);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("latency");
	TCase *tc = tcase_create("histogram");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, buckets, 0, ARRAY_LEN(rows));
	tcase_add_test(tc, unknown);
	tcase_add_test(tc, one_in_so_many_is_due);
	suite_add_tcase(suite, tc);
	return suite;
}
