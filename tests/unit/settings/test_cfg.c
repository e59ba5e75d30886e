/* SPDX-License-Identifier: BSD-2-Clause */
/* core/settings/cfg.c: declared, shared, changed, seen by another process. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/pool.h"
#include "core/settings/cfg.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

START_TEST(whole_life)
{
	struct shm_opts opts = { .ceiling_bytes = 32 << 20 };
	struct pool *pool = pool_new(1 << 16);
	struct cfg_info info;
	struct value v;
	char big[300] = { 0 };
	uint64_t gen;
	int status;
	pid_t pid;

	ck_assert_int_eq(cfg_declare(STR_LIT("g"), 0, STR_LIT("n"), true, 5, STR_NULL, STR_LIT("a number")), 0);
	ck_assert_int_eq(cfg_declare(STR_LIT("g"), 0, STR_LIT("t"), false, 0, STR_LIT("text"), STR_NULL), 0);
	ck_assert_int_eq(cfg_declare(STR_LIT("g"), 2, STR_LIT("n"), true, 50, STR_NULL, STR_NULL), 0);
	ck_assert_int_eq(cfg_declare(STR_LIT("g"), 0, STR_LIT("n"), true, 6, STR_NULL, STR_NULL), -EEXIST);
	ck_assert_int_eq(cfg_declare(STR_LIT("g"), 0, STR_LIT("x"), false, 0, str_of(big, sizeof(big)), STR_NULL), -EMSGSIZE);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 0, STR_LIT("n"), pool, &v), 0);
	ck_assert_int_eq(v.i, 5);
	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	ck_assert_int_eq(cfg_share(), 0);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 2, STR_LIT("n"), pool, &v), 0);
	ck_assert_int_eq(v.i, 50);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 3, STR_LIT("n"), pool, &v), 0); /* no such instance: the group's */
	ck_assert_int_eq(v.i, 5);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 0, STR_LIT("z"), pool, &v), -ENOENT);
	gen = cfg_generation();
	v = value_str(STR_LIT("7"));
	ck_assert_int_eq(cfg_set(STR_LIT("g"), 0, STR_LIT("n"), &v), -EINVAL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct value w = value_int(77), t = value_str(STR_LIT("other"));

		_exit(shm_slot_take(1, SHM_SLOT_TEST) == 0 && cfg_set(STR_LIT("g"), 0, STR_LIT("n"), &w) == 0 &&
		      cfg_set(STR_LIT("g"), 0, STR_LIT("t"), &t) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 0, STR_LIT("n"), pool, &v), 0);
	ck_assert_int_eq(v.i, 77);
	ck_assert_int_eq(atomic_load(cfg_int_at(STR_LIT("g"), STR_LIT("n"))), 77);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 0, STR_LIT("t"), pool, &v), 0);
	ck_assert(str_eq(v.s, STR_LIT("other")));
	ck_assert_uint_eq(cfg_generation(), gen + 2);
	ck_assert_int_eq(cfg_select(STR_LIT("g"), 2), 0);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 0, STR_LIT("n"), pool, &v), 0);
	ck_assert_int_eq(v.i, 50);
	ck_assert_int_eq(cfg_select(STR_LIT("g"), 9), -ENOENT);
	ck_assert_int_eq(cfg_select(STR_LIT("none"), 0), -ENOENT);
	ck_assert_int_eq(cfg_select(STR_LIT("g"), 0), 0);
	ck_assert_int_eq(cfg_reset(STR_LIT("g"), 0, STR_LIT("n")), 0);
	ck_assert_int_eq(cfg_get(STR_LIT("g"), 0, STR_LIT("n"), pool, &v), 0);
	ck_assert_int_eq(v.i, 5);
	ck_assert_ptr_null(cfg_int_at(STR_LIT("g"), STR_LIT("t")));
	ck_assert_int_eq(cfg_at(0, &info), 0);
	ck_assert(str_eq(info.desc, STR_LIT("a number")) && info.is_int);
	ck_assert_int_eq(cfg_at(3, &info), -ENOENT);
	pool_free(pool);
	shm_arena_destroy();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("cfg");
	TCase *t = tcase_create("cfg");

	tcase_add_test(t, whole_life);
	suite_add_tcase(s, t);
	return s;
}
