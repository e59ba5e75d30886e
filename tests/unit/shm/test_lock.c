/* SPDX-License-Identifier: BSD-2-Clause */
/* Locks exclude, know their owner, and complain about a wrong order; counters add up over processes. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/lock.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"
#include "tests/unit/shm/fixture.h"

struct guarded {
	struct shm_lock lock;
	uint32_t pad;
	uint64_t a, b; /* always equal outside the lock */
};

#define ROUNDS 200000u

static void add_up(void *arg)
{
	struct guarded *g = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		shm_lock_take(&g->lock, SHM_RANK_MODULE);
		if (g->a != g->b || shm_lock_owner(&g->lock) != shm_slot_self())
			_exit(9);
		g->a++;
		__asm__ volatile("" ::: "memory");
		g->b++;
		shm_lock_drop(&g->lock);
	}
}

static struct guarded *guarded_new(void)
{
	struct guarded *g = shm_zalloc(sizeof(*g));

	ck_assert_ptr_nonnull(g);
	shm_publish(g);
	shm_lock_init(&g->lock);
	return g;
}

START_TEST(excludes)
{
	struct guarded *g;
	pid_t pids[4];

	fx_arena(16);
	g = guarded_new();
	for (unsigned i = 0; i < ARRAY_LEN(pids); i++)
		pids[i] = fx_fork(i + 1, add_up, g);
	for (unsigned i = 0; i < ARRAY_LEN(pids); i++)
		ck_assert_int_eq(fx_wait(pids[i]), 0);
	ck_assert_uint_eq(g->a, ROUNDS * ARRAY_LEN(pids));
	ck_assert_uint_eq(g->b, g->a);
	ck_assert_int_eq(shm_lock_owner(&g->lock), -1);
	fx_done();
}
END_TEST

START_TEST(try_and_order)
{
	struct guarded *a, *b;
	struct shm_slot_info info;

	fx_arena(16);
	a = guarded_new();
	b = guarded_new();
	ck_assert(shm_lock_try(&a->lock, SHM_RANK_MODULE));
	ck_assert_int_eq(shm_lock_owner(&a->lock), 0);
	shm_lock_take(&b->lock, SHM_RANK_BUCKET);
	ck_assert_int_eq(shm_slot_info(0, &info), 0);
	ck_assert_uint_eq(info.n_locks_held, 2);
	shm_lock_drop(&a->lock); /* not the last one taken */
	shm_lock_drop(&b->lock);
	ck_assert_int_eq(shm_slot_info(0, &info), 0);
	ck_assert_uint_eq(info.n_locks_held, 0);
	fx_done();
}
END_TEST

static int64_t counted(const char *name)
{
	return shm_counter_read(shm_counter_register("locks", name));
}

static void take_and_drop(void *arg)
{
	struct guarded *g = arg;

	shm_lock_take(&g->lock, SHM_RANK_MODULE);
	shm_lock_drop(&g->lock);
}

/* Only who had to wait counts, under the rank of the lock. */
START_TEST(waits_are_counted)
{
	struct guarded *g;
	pid_t pid;

	ck_assert_int_eq(shm_lock_count(), 0);
	fx_arena(16);
	g = guarded_new();
	take_and_drop(g);
	ck_assert_int_eq(counted("busy_module"), 0);
	shm_lock_take(&g->lock, SHM_RANK_MODULE);
	pid = fx_fork(1, take_and_drop, g);
	for (unsigned ms = 0; ms < 10000 && !(atomic_load(&g->lock.word) >> 31); ms++)
		usleep(1000); /* until it says that it sleeps */
	shm_lock_drop(&g->lock);
	ck_assert_int_eq(fx_wait(pid), 0);
	ck_assert_int_eq(counted("busy_module"), 1);
	ck_assert_int_eq(counted("busy_bucket"), 0);
	ck_assert_int_ge(counted("spins"), 100);
	ck_assert_int_ge(counted("sleeps"), 1);
	fx_done();
}
END_TEST

static void hold_and_die(void *arg)
{
	struct guarded *g = arg;

	shm_lock_take(&g->lock, SHM_RANK_MODULE);
	g->a++;
	g->b++;
	(void)kill(getpid(), SIGKILL);
}

/* Who waits for a lock of the dead waits until recovery, then goes on. */
START_TEST(waiters_survive_the_owner)
{
	struct guarded *g;
	pid_t waiter;

	fx_arena(16);
	g = guarded_new();
	(void)fx_wait(fx_fork(1, hold_and_die, g));
	ck_assert_int_eq(shm_lock_owner(&g->lock), 1);
	ck_assert(!shm_lock_try(&g->lock, SHM_RANK_MODULE));
	waiter = fx_fork(2, add_up, g);
	ck_assert_int_eq(shm_slot_mark_dead(1), 0);
	ck_assert_int_eq(shm_recover_slot(1), 0);
	ck_assert_int_eq(fx_wait(waiter), 0);
	ck_assert_uint_eq(g->a, ROUNDS + 1);
	fx_done();
}
END_TEST

#ifdef RF_LOCK_RANKS
START_TEST(wrong_rank_aborts)
{
	struct guarded *a, *b;

	fx_arena(16);
	a = guarded_new();
	b = guarded_new();
	shm_lock_take(&a->lock, SHM_RANK_BUCKET);
	shm_lock_take(&b->lock, SHM_RANK_MODULE);
}
END_TEST
#endif

static void count(void *arg)
{
	for (int i = 0; i < 1000; i++)
		shm_counter_add(*(int *)arg, i % 2 ? 3 : -1);
}

START_TEST(counters)
{
	int id, other;
	const char *group, *name;

	shm_counter_add(3, 1); /* no arena: nothing happens */
	id = shm_counter_register("core", "one");
	other = shm_counter_register("core", "two");
	ck_assert_int_ge(id, 0);
	ck_assert_int_ne(id, other);
	ck_assert_int_eq(shm_counter_register("core", "one"), id);
	fx_arena(16);
	shm_counter_add(-ENOSPC, 1);
	shm_counter_add(id, 5);
	for (unsigned i = 1; i < 4; i++)
		ck_assert_int_eq(fx_wait(fx_fork(i, count, &id)), 0);
	ck_assert_int_eq(shm_counter_read(id), 5 + 3 * 1000);
	ck_assert_int_eq(shm_counter_read(other), 0);
	shm_counter_reset(id);
	ck_assert_int_eq(shm_counter_read(id), 0);
	shm_counter_add(id, 2);
	ck_assert_int_eq(shm_counter_read(id), 2);
	ck_assert_int_eq(shm_counter_at(1, &group, &name), 0);
	ck_assert_str_eq(name, "two");
	ck_assert_int_eq(shm_counter_at(2, &group, &name), -ENOENT);
	shm_slot_release();
	shm_counter_add(id, 1); /* without a slot it counts too */
	ck_assert_int_eq(shm_counter_read(id), 3);
	fx_done();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("shm lock");
	TCase *tc = tcase_create("lock");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, excludes);
	tcase_add_test(tc, try_and_order);
	tcase_add_test(tc, waits_are_counted);
	tcase_add_test(tc, waiters_survive_the_owner);
#ifdef RF_LOCK_RANKS
	tcase_add_test_raise_signal(tc, wrong_rank_aborts, SIGABRT);
#endif
	tcase_add_test(tc, counters);
	suite_add_tcase(s, tc);
	return s;
}
