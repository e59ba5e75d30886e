/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash table: against a plain array as the model, growing, with equal hashes, and by several processes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/arena.h"
#include "shm/hash.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"
#include "tests/unit/shm/fixture.h"

struct item {
	struct shm_hnode node __attribute__((aligned(16)));
	uint32_t key;
};

static bool same(const struct shm_hnode *node, const void *key)
{
	return ((const struct item *)(const void *)node)->key == *(const uint32_t *)key;
}

/* Few different low bits on purpose: long chains and splits that move nothing or all. */
static uint32_t hash_of(uint32_t key)
{
	return key % 3 == 0 ? 7 : key * 2654435761u >> 5;
}

static struct item *item_new(uint32_t key)
{
	struct item *it = shm_zalloc(sizeof(*it));

	ck_assert_ptr_nonnull(it);
	it->key = key;
	it->node.hash = hash_of(key);
	return it;
}

static int count_node(struct shm_hnode *node, void *arg)
{
	(void)node;
	++*(unsigned *)arg;
	return 0;
}

static int stop_at_once(struct shm_hnode *node, void *arg)
{
	(void)node;
	(void)arg;
	return 42;
}

START_TEST(refuses_sizes)
{
	static const uint32_t bad[] = { 0, 8, 17, 100, 1u << 21 };
	struct shm_hash *h;

	fx_arena(64);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_int_eq(shm_hash_new(bad[i], &h), -EINVAL);
	for (uint32_t n = 16; n <= 1u << 20; n *= 4) {
		ck_assert_int_eq(shm_hash_new(n, &h), 0);
		ck_assert_uint_eq(shm_hash_n_buckets(h), n);
		ck_assert_int_eq(shm_hash_check(h), 0);
		shm_hash_free(h);
	}
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	fx_done();
}
END_TEST

START_TEST(no_memory)
{
	struct shm_hash *h;
	struct shm_stats st;

	fx_arena(16);
	while (shm_alloc(1 << 20))
		;
	while (shm_alloc(65536))
		;
	ck_assert_int_eq(shm_hash_new(1u << 14, &h), -ENOSPC);
	ck_assert_int_eq(shm_slab_check(), 0);
	shm_arena_stats(&st);
	ck_assert_uint_eq(st.n_objects, 0);
	fx_done();
}
END_TEST

START_TEST(behaves_like_a_set)
{
	enum { KEYS = 3000, OPS = 60000 };
	static struct item *model[KEYS];
	struct shm_hash *h;
	unsigned n_model = 0, n_seen = 0;

	fx_arena(64);
	srand(11);
	ck_assert_int_eq(shm_hash_new(16, &h), 0);
	for (unsigned i = 0; i < OPS; i++) {
		uint32_t key = (uint32_t)rand() % KEYS, hash = hash_of(key);
		struct shm_hbucket *b = shm_hash_lock(h, hash);
		struct item *it = (void *)shm_hash_find_locked(b, hash, same, &key);

		ck_assert_ptr_eq(it, model[key]);
		switch (rand() % 4) {
		case 0:
		case 1:
			if (it)
				break;
			it = item_new(key);
			shm_hash_insert_locked(h, b, &it->node);
			ck_assert(shm_is_live(it));
			model[key] = it;
			n_model++;
			break;
		case 2:
			if (!it)
				break;
			model[key] = item_new(key);
			shm_hash_replace_locked(h, b, &it->node, &model[key]->node);
			ck_assert(!shm_is_live(it) && shm_is_live(model[key]));
			shm_free(it);
			break;
		default:
			if (!it)
				break;
			if (rand() % 2) {
				ck_assert(shm_hash_remove_locked(h, b, &it->node));
				ck_assert_int_eq(shm_limbo_owner(it), 0);
			} else {
				ck_assert(shm_hash_unlink_locked(h, b, &it->node));
				ck_assert(shm_is_live(it));
			}
			ck_assert(!shm_hash_remove_locked(h, b, &it->node));
			shm_free(it);
			model[key] = NULL;
			n_model--;
		}
		shm_hash_unlock(b);
		shm_hash_grow(h);
		if (i % 5000 == 0)
			ck_assert_int_eq(shm_hash_check(h), 0);
	}
	ck_assert_uint_eq(shm_hash_count(h), n_model);
	ck_assert_uint_gt(shm_hash_n_buckets(h), 1000);
	for (uint32_t i = 0; i < shm_hash_n_buckets(h); i++)
		ck_assert_int_eq(shm_hash_walk(h, i, count_node, &n_seen), 0);
	ck_assert_uint_eq(n_seen, n_model);
	ck_assert_int_eq(shm_hash_walk(h, shm_hash_n_buckets(h), stop_at_once, NULL), 0);
	ck_assert_int_eq(shm_hash_walk(h, 7, stop_at_once, NULL), 42);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	fx_done();
}
END_TEST

static bool is_odd(const struct shm_hnode *node, void *arg)
{
	++*(unsigned *)arg;
	return ((const struct item *)(const void *)node)->key % 2;
}

/* hash 7 has a chain of some hundred: more than one batch. */
START_TEST(purges_what_is_picked)
{
	struct shm_hash *h;
	unsigned n_seen = 0, n_gone = 0;

	fx_arena(64);
	ck_assert_int_eq(shm_hash_new(16, &h), 0);
	for (uint32_t key = 0; key < 1000; key++) {
		struct item *it = item_new(key);
		struct shm_hbucket *b = shm_hash_lock(h, it->node.hash);

		shm_hash_insert_locked(h, b, &it->node);
		shm_hash_unlock(b);
	}
	for (uint32_t i = 0; i < shm_hash_n_buckets(h); i++)
		n_gone += shm_hash_purge(h, i, is_odd, &n_seen);
	ck_assert_uint_eq(n_gone, 500);
	ck_assert_uint_ge(n_seen, 1000);
	ck_assert_uint_eq(shm_hash_count(h), 500);
	for (uint32_t key = 0; key < 1000; key++) {
		uint32_t hash = hash_of(key);
		struct shm_hbucket *b = shm_hash_lock(h, hash);

		ck_assert_int_eq(shm_hash_find_locked(b, hash, same, &key) != NULL, key % 2 == 0);
		shm_hash_unlock(b);
	}
	ck_assert_uint_eq(shm_hash_purge(h, shm_hash_n_buckets(h), is_odd, &n_seen), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	fx_done();
}
END_TEST

static void run_workload(void *arg)
{
	wl_run(arg, (uint64_t)shm_slot_self() + 5, 150000);
}

START_TEST(several_processes)
{
	pid_t pids[4];
	struct wl *wl;

	fx_arena(128);
	wl = wl_new(16);
	for (unsigned i = 0; i < ARRAY_LEN(pids); i++)
		pids[i] = fx_fork(i + 1, run_workload, wl);
	for (unsigned i = 0; i < 20; i++) /* checks stand beside work */
		ck_assert_int_eq(shm_check_all(NULL), 0);
	for (unsigned i = 0; i < ARRAY_LEN(pids); i++)
		ck_assert_int_eq(fx_wait(pids[i]), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	wl_verify(wl);
	ck_assert_int_eq(wl_strays(wl, 4), 0);
	fx_done();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("shm hash");
	TCase *tc = tcase_create("hash");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, refuses_sizes);
	tcase_add_test(tc, no_memory);
	tcase_add_test(tc, behaves_like_a_set);
	tcase_add_test(tc, purges_what_is_picked);
	tcase_add_test(tc, several_processes);
	suite_add_tcase(s, tc);
	return s;
}
