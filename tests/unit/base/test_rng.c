/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes: different each time, and in parent and child. */
#include "core/base/rng.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test_main.h"

START_TEST(never_the_same)
{
	uint64_t seen[200];

	for (int i = 0; i < 200; i++) {
		seen[i] = rng_u64();
		for (int j = 0; j < i; j++)
			ck_assert(seen[i] != seen[j]);
	}
}
END_TEST

START_TEST(any_size)
{
	unsigned char buf[2000], zero[16] = { 0 };

	memset(buf, 0, sizeof(buf));
	rng_bytes(buf, 0);
	ck_assert_mem_eq(buf, zero, 16);
	for (size_t n = 16; n <= sizeof(buf); n += 31) {
		memset(buf, 0, sizeof(buf));
		rng_bytes(buf, n);
		ck_assert_mem_ne(buf, zero, 16);
		ck_assert_mem_ne(buf + n - 16, zero, 16);
	}
}
END_TEST

START_TEST(child_differs_from_parent)
{
	uint64_t mine, theirs = 0;
	int fds[2], status;
	pid_t pid;

	(void)rng_u64(); /* the block is filled before the fork */
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		mine = rng_u64();
		_exit(write(fds[1], &mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
	}
	mine = rng_u64();
	ck_assert_int_eq(read(fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(mine != theirs);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

START_TEST(below_stays_below)
{
	unsigned cells[7] = { 0 };

	for (int i = 0; i < 7000; i++)
		cells[rng_below(7)]++;
	for (int i = 0; i < 7; i++)
		ck_assert(cells[i] > 700 && cells[i] < 1300);
	ck_assert_uint_eq(rng_below(1), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_lt(rng_below(0x80000001u), 0x80000001u);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("rng");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, never_the_same);
	tcase_add_test(tc, any_size);
	tcase_add_test(tc, child_differs_from_parent);
	tcase_add_test(tc, below_stays_below);
	suite_add_tcase(s, tc);
	return s;
}
