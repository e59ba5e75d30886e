/* SPDX-License-Identifier: BSD-2-Clause */
/* core/settings/cfg*.c: declared, shared, changed, seen by another process, followed by parameters; instances; delayed changes. */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/pool.h"
#include "core/settings/cfg.h"
#include "core/settings/schema.h"
#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/recover.h"
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

static struct conf {
	int n;
	struct str t;
} conf;
static unsigned n_changed;

static void changed(void)
{
	n_changed++;
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_INT("n_param", struct conf, n, 5, 1, 100), SETTING_STR("t", struct conf, t, "start"), SETTING_END,
};
static const struct cfg_live live[] = {
	{ "n", "n_param", "a number", 0 }, { "t", NULL, "a text", CFG_WRITE_ONLY }, { .name = NULL },
};
/* clang-format on */

static int64_t number(struct pool *pool, int id)
{
	struct value v;

	ck_assert_int_eq(cfg_get(STR_LIT("m"), id, STR_LIT("n"), pool, &v), 0);
	return v.i;
}

static struct pool *live_setup(void)
{
	static const struct cfg_follower follower = { "m", live, settings, &conf, changed };
	struct shm_opts opts = { .ceiling_bytes = 32 << 20 };

	settings_defaults(settings, &conf);
	ck_assert_int_eq(cfg_follow(&follower), 0);
	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	ck_assert_int_eq(cfg_share(), 0);
	return pool_new(1 << 16);
}

static void *retired[4];
static unsigned n_retired;

static void retire(void *mem)
{
	ck_assert_uint_lt(n_retired, 4);
	retired[n_retired++] = mem;
}

/* Who waits may look at a text after it changed: it is neither written over nor freed, but given to who knows when it may go. */
START_TEST(texts_are_not_written_over)
{
	struct pool *pool = live_setup();
	struct value v;
	struct str views[4];

	cfg_retire_texts(retire);
	for (unsigned i = 0; i < 3; i++) {
		v = value_str(str_lit((const char *const[]){ "first", "other", "third" }[i]));
		views[i] = conf.t;
		ck_assert_int_eq(cfg_set(STR_LIT("m"), 0, STR_LIT("t"), &v), 0);
		cfg_catch_up();
		ck_assert(str_eq(conf.t, v.s));
	}
	ck_assert_uint_eq(n_retired, 2); /* the one at start is not ours to free */
	ck_assert(str_eq(views[0], STR_LIT("start")) && str_eq(views[1], STR_LIT("first")) && str_eq(views[2], STR_LIT("other")));
	ck_assert(retired[0] == views[1].s && retired[1] == views[2].s);
	for (unsigned i = 0; i < n_retired; i++)
		free(retired[i]);
	cfg_retire_texts(free);
	ck_assert_int_eq(cfg_reset(STR_LIT("m"), 0, STR_LIT("t")), 0);
	cfg_catch_up();
	ck_assert(str_eq(conf.t, STR_LIT("start")));
	pool_free(pool);
	shm_arena_destroy();
}
END_TEST

/* A parameter changes between two messages, not before; out of range it does not. */
START_TEST(parameters_follow)
{
	struct pool *pool = live_setup();
	struct value v = value_int(7);

	cfg_catch_up();
	ck_assert_uint_eq(n_changed, 0);
	ck_assert_int_eq(cfg_set(STR_LIT("m"), 0, STR_LIT("n"), &v), 0);
	ck_assert_int_eq(conf.n, 5);
	cfg_catch_up();
	ck_assert_int_eq(conf.n, 7);
	ck_assert_uint_eq(n_changed, 1);
	v = value_int(101);
	ck_assert_int_eq(cfg_set(STR_LIT("m"), 0, STR_LIT("n"), &v), -ERANGE);
	v = value_str(STR_LIT("other"));
	ck_assert_int_eq(cfg_set(STR_LIT("m"), 0, STR_LIT("t"), &v), 0);
	cfg_catch_up();
	cfg_catch_up();
	ck_assert(str_eq(conf.t, STR_LIT("other")));
	ck_assert_uint_eq(n_changed, 2);
	ck_assert_int_eq(cfg_reset(STR_LIT("m"), 0, STR_LIT("n")), 0);
	cfg_catch_up();
	ck_assert_int_eq(conf.n, 5);
	pool_free(pool);
	shm_arena_destroy();
}
END_TEST

START_TEST(instances)
{
	struct pool *pool = live_setup();
	struct value v = value_int(9);

	ck_assert_int_eq(cfg_set(STR_LIT("m"), 3, STR_LIT("n"), &v), -ENOENT);
	ck_assert_int_eq(cfg_instance_add(STR_LIT("x"), 3), -ENOENT);
	ck_assert_int_eq(cfg_instance_add(STR_LIT("m"), 3), 0);
	ck_assert_int_eq(cfg_instance_add(STR_LIT("m"), 3), 0);
	ck_assert_int_eq(number(pool, 3), 5);
	ck_assert_int_eq(cfg_set(STR_LIT("m"), 3, STR_LIT("n"), &v), 0);
	ck_assert_int_eq(number(pool, 3), 9);
	ck_assert_int_eq(number(pool, 0), 5);
	cfg_catch_up();
	ck_assert_int_eq(conf.n, 5); /* parameters follow the group */
	ck_assert_int_eq(cfg_reset(STR_LIT("m"), 3, STR_LIT("n")), 0);
	ck_assert_int_eq(number(pool, 3), 5);
	ck_assert_int_eq(cfg_set(STR_LIT("m"), 3, STR_LIT("n"), &v), 0);
	ck_assert_int_eq(cfg_instance_del(STR_LIT("m"), 3), 0);
	ck_assert_int_eq(cfg_instance_del(STR_LIT("m"), 3), -ENOENT);
	ck_assert_int_eq(cfg_instance_add(STR_LIT("m"), 3), 0);
	ck_assert_int_eq(number(pool, 3), 5); /* nothing of the one before */
	for (int id = 10; id < 1000 && cfg_instance_add(STR_LIT("m"), id) == 0; id++)
		ck_assert_int_lt(id, 999);
	pool_free(pool);
	shm_arena_destroy();
}
END_TEST

START_TEST(queue)
{
	struct pool *pool = live_setup();
	struct value a = value_int(10), b = value_int(11), t = value_str(STR_LIT("x")), bad = value_int(0);
	struct cfg_pending p;

	ck_assert_int_eq(cfg_set_later(STR_LIT("m"), 0, STR_LIT("n"), &bad), -ERANGE);
	ck_assert_int_eq(cfg_set_later(STR_LIT("m"), 0, STR_LIT("n"), &a), 0);
	ck_assert_int_eq(cfg_set_later(STR_LIT("m"), 0, STR_LIT("t"), &t), 0);
	ck_assert_int_eq(cfg_set_later(STR_LIT("m"), 0, STR_LIT("n"), &b), 0);
	ck_assert_int_eq(cfg_pending_at(0, pool, &p), 0);
	ck_assert(str_eq(p.name, STR_LIT("t")) && str_eq(p.now.s, STR_LIT("start")) && str_eq(p.then.s, STR_LIT("x")));
	ck_assert_int_eq(cfg_pending_at(1, pool, &p), 0);
	ck_assert(p.now.i == 5 && p.then.i == 11);
	ck_assert_int_eq(cfg_pending_at(2, pool, &p), -ENOENT);
	ck_assert_int_eq(number(pool, 0), 5);
	cfg_commit();
	ck_assert_int_eq(number(pool, 0), 11);
	ck_assert_int_eq(cfg_pending_at(0, pool, &p), -ENOENT);
	ck_assert_int_eq(cfg_reset_later(STR_LIT("m"), 0, STR_LIT("n")), 0);
	ck_assert_int_eq(cfg_pending_at(0, pool, &p), 0);
	ck_assert(p.now.i == 11 && p.then.i == 5);
	cfg_rollback();
	cfg_commit();
	ck_assert_int_eq(number(pool, 0), 11);
	pool_free(pool);
	shm_arena_destroy();
}
END_TEST

/* A writer dies when its value counts and nobody has been told. */
START_TEST(writer_dies)
{
	struct shm_opts opts = { .ceiling_bytes = 32 << 20 };
	const _Atomic int *at;
	uint64_t gen;
	int status;
	pid_t pid;

	if (shm_crash_arm(NULL, 0) == -ENOSYS)
		return;
	ck_assert_int_eq(cfg_declare(STR_LIT("g"), 0, STR_LIT("n"), true, 5, STR_NULL, STR_NULL), 0);
	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	ck_assert_int_eq(cfg_share(), 0);
	at = cfg_int_at(STR_LIT("g"), STR_LIT("n"));
	gen = cfg_generation();
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct value v = value_int(6);

		if (shm_slot_take(1, SHM_SLOT_TEST) < 0 || shm_crash_arm("cfg.write.published", 1) < 0)
			_exit(2);
		_exit(cfg_set(STR_LIT("g"), 0, STR_LIT("n"), &v) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(atomic_load(at), 5);
	ck_assert_int_eq(shm_slot_mark_dead(1), 0);
	ck_assert_int_eq(shm_recover_slot(1), 0);
	ck_assert_int_eq(atomic_load(at), 6);
	ck_assert_uint_gt(cfg_generation(), gen);
	shm_slot_release();
	shm_arena_destroy();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("cfg");
	TCase *t = tcase_create("cfg");

	tcase_add_test(t, whole_life);
	tcase_add_test(t, parameters_follow);
	tcase_add_test(t, texts_are_not_written_over);
	tcase_add_test(t, instances);
	tcase_add_test(t, queue);
	tcase_add_test(t, writer_dies);
	suite_add_tcase(s, t);
	return s;
}
