/* SPDX-License-Identifier: BSD-2-Clause */
/* The cached clocks, running and faked. */
#include "core/base/clock.h"

#include "tests/lib/test_main.h"

START_TEST(runs_from_the_start)
{
	uint64_t ms = clock_ms();
	uint64_t us = clock_now_us();

	ck_assert_uint_gt(ms, 0);
	ck_assert_uint_ge(us / 1000, ms);
	ck_assert_uint_eq(clock_ms(), ms); /* cached */
	ck_assert_uint_ge(clock_update(), ms);
	ck_assert_int_gt(clock_wall_s(), 1600000000);
	ck_assert_int_le(clock_wall().tv_sec - clock_wall_s(), 1);
}
END_TEST

START_TEST(stands_still_when_faked)
{
	clock_fake(5000, 1234);
	ck_assert_uint_eq(clock_update(), 5000);
	ck_assert_uint_eq(clock_now_us(), 5000000);
	ck_assert_int_eq(clock_wall_s(), 1234);
	ck_assert_int_eq(clock_wall().tv_sec, 1234);
	clock_fake(0, 0);
	ck_assert_int_gt(clock_wall_s(), 1600000000);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("clock");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, runs_from_the_start);
	tcase_add_test(tc, stands_still_when_faked);
	suite_add_tcase(s, tc);
	return s;
}
