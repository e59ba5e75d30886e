/* SPDX-License-Identifier: BSD-2-Clause */
/* Arena, roots, objects of all sizes, states, the ceiling. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/arena.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"
#include "tests/unit/shm/fixture.h"

START_TEST(create_refuses)
{
	static const struct {
		uint64_t ceiling;
		int err;
	} cases[] = {
		{ 0, -EINVAL },
		{ (16u << 20) - 1, -EINVAL },
		{ SHM_REACH_BYTES + 1, -EINVAL },
		{ 16u << 20, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = cases[i].ceiling }),
				 cases[i].err);
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 16u << 20 }), -EEXIST);
	shm_arena_destroy();
	shm_arena_destroy();
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = SHM_REACH_BYTES }), 0);
	shm_arena_destroy();
}
END_TEST

START_TEST(large_ceiling_costs_nothing)
{
	struct shm_stats st;

	fx_arena(8192);
	shm_arena_stats(&st);
	ck_assert_uint_eq(st.ceiling_bytes, (uint64_t)8192 << 20);
	ck_assert_uint_lt(st.committed_bytes, 256 * 1024);
	ck_assert_uint_eq(st.n_objects, 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	fx_done();
}
END_TEST

START_TEST(roots)
{
	char name[32];

	fx_arena(16);
	ck_assert_uint_eq(shm_root_find("absent"), SHM_NONE);
	for (int i = 0; i < 128; i++) {
		snprintf(name, sizeof(name), "root-%d", i);
		ck_assert_int_eq(shm_root_set(name, (shm_ref)(1000 + i)), 0);
	}
	ck_assert_int_eq(shm_root_set("root-5", 1), -EEXIST);
	ck_assert_int_eq(shm_root_set("one-more", 1), -ENOSPC);
	ck_assert_uint_eq(shm_root_find("root-127"), 1127);
	fx_done();
}
END_TEST

START_TEST(every_size)
{
	fx_arena(64);
	for (size_t size = 1; size < 200000; size += size < 2000 ? 7 : 997) {
		char *p = shm_alloc(size), *q = shm_zalloc(size);

		ck_assert(p && q && p != q);
		ck_assert_uint_eq((uintptr_t)p % (size > 480 ? 64 : 16), 0);
		ck_assert_uint_ge(shm_size_of(p), size);
		if (size >= 128 && size <= 32768)
			ck_assert_uint_le(shm_size_of(p), size + size / 8 + 16);
		memset(p, 0xaa, shm_size_of(p));
		for (size_t i = 0; i < size; i += 101)
			ck_assert_int_eq(q[i], 0);
		ck_assert_int_eq(shm_limbo_owner(p), 0);
		ck_assert(!shm_is_live(p));
		shm_publish(p);
		ck_assert(shm_is_live(p) && shm_is_live(p + size - 1));
		ck_assert_int_eq(shm_limbo_owner(p), -1);
		shm_retire(p);
		ck_assert(!shm_is_live(p));
		ck_assert_ptr_eq(shm_ptr(shm_ref_of(p)), p);
		shm_free(p);
		shm_free(q);
	}
	shm_free(NULL);
	ck_assert_ptr_null(shm_alloc(SHM_ALLOC_MAX + 1));
	ck_assert_int_eq(shm_slab_check(), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	fx_done();
}
END_TEST

START_TEST(small_objects_have_no_header)
{
	enum { N = 20000 };
	static void *objs[N];
	struct shm_stats before, after;

	fx_arena(64);
	shm_arena_stats(&before);
	for (int i = 0; i < N; i++)
		ck_assert((objs[i] = shm_alloc(100)) != NULL);
	shm_arena_stats(&after);
	ck_assert_uint_le((after.n_spans - before.n_spans) * 65536 / N, 120);
	ck_assert_uint_eq(after.n_objects, N);
	for (int i = 0; i < N; i++)
		shm_free(objs[i]);
	shm_arena_stats(&after);
	ck_assert_uint_eq(after.n_objects, 0);
	ck_assert_uint_le(after.n_spans, 2); /* the others went back to the pages */
	ck_assert_int_eq(shm_slab_check(), 0);
	fx_done();
}
END_TEST

/* Fills the arena with objects of each size to the brim, empties it, and goes on with the next size. */
START_TEST(ceiling_refuses_and_memory_is_reused)
{
	static const size_t sizes[] = { 64, 40000, 1000, 5000, 300000, 20000, 32 };
	static void *objs[600000];

	fx_arena(16);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
			size_t n = 0;
			void *p;

			while ((p = shm_alloc(sizes[s])) != NULL) {
				*(size_t *)p = n;
				objs[n++] = p;
				ck_assert_uint_lt(n, ARRAY_LEN(objs));
			}
			/* most of the ceiling was usable: 40000 bytes take a page of 65536 */
			ck_assert_uint_gt(n * sizes[s], 9u << 20);
			ck_assert_int_eq(shm_slab_check(), 0);
			for (size_t i = 0; i < n; i++) {
				ck_assert_uint_eq(*(size_t *)objs[i], i);
				shm_free(objs[i]);
			}
			ck_assert_int_eq(shm_slab_check(), 0);
		}
	}
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	fx_done();
}
END_TEST

static void allocate_and_exit(void *arg)
{
	void *p = shm_alloc(100), *q = shm_alloc(50000);

	(void)arg;
	if (!p || !q)
		_exit(1);
	shm_free(p);
	shm_free(q);
}

/* The only run that fits stands behind many of the same order that do not. */
START_TEST(the_one_run_that_fits_is_found)
{
	enum { N = 100 };
	void *runs[N + 1], *walls[N + 1], *p;

	fx_arena(64);
	for (int i = 0; i <= N; i++) {
		runs[i] = shm_alloc(i == 0 ? 5 * 65536 : 4 * 65536);
		walls[i] = shm_alloc(65536);
		ck_assert(runs[i] && walls[i]);
	}
	while (shm_alloc(65536))
		;
	for (int i = 0; i <= N; i++)
		shm_free(runs[i]);
	p = shm_alloc(5 * 65536);
	ck_assert_ptr_eq(p, runs[0]);
	ck_assert_ptr_null(shm_alloc(5 * 65536));
	ck_assert_int_eq(shm_slab_check(), 0);
	fx_done();
}
END_TEST

START_TEST(release_returns_the_cache)
{
	struct shm_stats st;

	fx_arena(16);
	ck_assert_int_eq(fx_wait(fx_fork(3, allocate_and_exit, NULL)), 0);
	shm_arena_stats(&st);
	ck_assert_uint_eq(st.n_objects, 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	ck_assert_int_eq(shm_slab_check(), 0);
	fx_done();
}
END_TEST

START_TEST(large_objects_give_memory_back)
{
	struct shm_stats before, held, after;
	void *p;

	fx_arena(64);
	shm_arena_stats(&before);
	p = shm_zalloc(8 << 20);
	ck_assert_ptr_nonnull(p);
	shm_arena_stats(&held);
	shm_free(p);
	shm_arena_stats(&after);
	ck_assert_uint_gt(held.committed_bytes, before.committed_bytes + (7 << 20));
	ck_assert_uint_lt(after.committed_bytes, before.committed_bytes + (1 << 20));
	ck_assert_uint_ge(after.max_used_bytes, 8 << 20);
	fx_done();
}
END_TEST

START_TEST(freeing_twice_is_caught)
{
	void *p;

	fx_arena(16);
	p = shm_alloc(100);
	shm_free(p);
	shm_free(p);
}
END_TEST

START_TEST(slots)
{
	struct shm_slot_info info;

	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), -ERANGE); /* no arena */
	fx_arena(16);
	ck_assert_int_eq(shm_slot_self(), 0);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), -EBUSY); /* has one */
	shm_slot_beat(12345);
	ck_assert_int_eq(shm_slot_info(0, &info), 0);
	ck_assert_int_eq(info.state, SHM_SLOT_ACTIVE);
	ck_assert_int_eq(info.kind, SHM_SLOT_TEST);
	ck_assert_int_eq(info.pid, getpid());
	ck_assert_uint_eq(info.heartbeat_ms, 12345);
	ck_assert_uint_eq(info.epoch, 1);
	ck_assert_int_eq(shm_slot_info(SHM_SLOTS_MAX, &info), -ERANGE);
	ck_assert_int_eq(shm_slot_info(50, &info), 0);
	ck_assert_int_eq(info.state, SHM_SLOT_FREE);
	shm_slot_release();
	ck_assert_int_eq(shm_slot_self(), -1);
	ck_assert_int_eq(shm_slot_mark_dead(0), -ENOENT);
	ck_assert_int_eq(shm_slot_take(SHM_SLOTS_MAX, SHM_SLOT_TEST), -ERANGE);
	ck_assert_int_eq(shm_slot_take(SHM_SLOTS_MAX - 1, SHM_SLOT_WORKER), 0);
	fx_done();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("shm slab");
	TCase *tc = tcase_create("arena");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, create_refuses);
	tcase_add_test(tc, large_ceiling_costs_nothing);
	tcase_add_test(tc, roots);
	tcase_add_test(tc, slots);
	tcase_add_test(tc, every_size);
	tcase_add_test(tc, small_objects_have_no_header);
	tcase_add_test(tc, ceiling_refuses_and_memory_is_reused);
	tcase_add_test(tc, the_one_run_that_fits_is_found);
	tcase_add_test(tc, release_returns_the_cache);
	tcase_add_test(tc, large_objects_give_memory_back);
	tcase_add_test_raise_signal(tc, freeing_twice_is_caught, 6);
	suite_add_tcase(s, tc);
	return s;
}
