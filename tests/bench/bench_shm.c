/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prices of the basic operations of shm, in nanoseconds, as the median of some rounds with their
 * spread. Not part of `make check`. Build it without crash points:
 *   gcc -O2 -std=gnu17 -D_GNU_SOURCE -I. tests/bench/bench_shm.c shm/[a-z]*.c -o bench_shm && ./bench_shm
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/hash.h"
#include "shm/lock.h"
#include "shm/ring.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "shm/wheel.h"

#define ROUNDS 9
#define N 1000000u
#define ITEMS 1000000u

struct item {
	struct shm_hnode node __attribute__((aligned(16)));
	struct shm_timer timer __attribute__((aligned(16)));
	uint32_t key;
};

static struct shm_hash *hash;
static struct item **items;
static struct shm_lock *lock;
static int counter, kind;
static uint64_t now_ms = 1000;

static uint64_t ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t hash_of(uint32_t key)
{
	uint32_t x = key * 2654435761u;

	return x ^ x >> 15;
}

static bool same(const struct shm_hnode *node, const void *key)
{
	return ((const struct item *)(const void *)node)->key == *(const uint32_t *)key;
}

static void alloc_free(unsigned i)
{
	(void)i;
	shm_free(shm_alloc(100));
}

static void lock_unlock(unsigned i)
{
	(void)i;
	shm_lock_take(lock, SHM_RANK_MODULE);
	shm_lock_drop(lock);
}

static void count(unsigned i)
{
	(void)i;
	shm_counter_add(counter, 1);
}

static void find(unsigned i)
{
	uint32_t key = (uint32_t)((uint64_t)i * 7919u % ITEMS), h = hash_of(key);
	struct shm_hbucket *b = shm_hash_lock(hash, h);

	if (!shm_hash_find_locked(b, h, same, &key))
		abort();
	shm_hash_unlock(b);
}

static void remove_insert(unsigned i)
{
	struct item *it = items[i % 1000];
	struct shm_hbucket *b = shm_hash_lock(hash, it->node.hash);

	(void)shm_hash_remove_locked(hash, b, &it->node);
	shm_hash_insert_locked(hash, b, &it->node);
	shm_hash_unlock(b);
}

static void timer_set_del(unsigned i)
{
	shm_timer_set(&items[i % 1000]->timer, (uint8_t)kind, now_ms + 500 + i % 32000);
	(void)shm_timer_del(&items[i % 1000]->timer);
}

static void fired(struct shm_timer *t, uint64_t when_ms)
{
	(void)t;
	(void)when_ms;
}

static void timer_fire(unsigned i)
{
	shm_timer_set(&items[i % 1000]->timer, (uint8_t)kind, now_ms + 500);
	now_ms += 1;
	(void)shm_wheel_run(now_ms, 16);
}

static void got(void *arg, unsigned from, uint16_t type, const void *data, size_t len)
{
	(void)from;
	(void)type;
	(void)data;
	*(size_t *)arg += len;
}

static void ring_put_take(unsigned i)
{
	static char bytes[200];
	struct iovec part = { bytes, sizeof(bytes) };
	size_t n = 0;

	(void)i;
	if (shm_ring_put(0, 1, &part, 1) < 0 || shm_ring_drain(1, got, &n) != 1)
		abort();
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(unsigned i);
	} benches[] = {
		{ "alloc + free, 100 bytes", alloc_free },
		{ "lock + unlock", lock_unlock },
		{ "counter add", count },
		{ "hash find, 1e6 items, random", find },
		{ "hash remove + insert", remove_insert },
		{ "timer set + del", timer_set_del },
		{ "timer set + fire", timer_fire },
		{ "ring put + take, 200 bytes", ring_put_take },
	};
	struct shm_stats st;
	uint64_t t;

	counter = shm_counter_register("bench", "adds");
	kind = shm_timer_kind_register("bench", fired);
	if (shm_arena_create(&(struct shm_opts){ .ceiling_bytes = (uint64_t)8 << 30 }) < 0 ||
	    shm_slot_take(0, SHM_SLOT_TEST) < 0 || shm_hash_new(16, &hash) < 0)
		return 1;
	shm_arena_stats(&st);
	printf("committed at start: %llu kB\n", (unsigned long long)st.committed_bytes / 1024);
	lock = shm_zalloc(sizeof(*lock));
	items = calloc(ITEMS, sizeof(*items));
	assert(lock && items);
	t = ns();
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct shm_hbucket *b;

		items[i] = shm_zalloc(sizeof(*items[i]));
		assert(items[i]);
		items[i]->key = i;
		items[i]->node.hash = hash_of(i);
		b = shm_hash_lock(hash, items[i]->node.hash);
		shm_hash_insert_locked(hash, b, &items[i]->node);
		shm_hash_unlock(b);
		shm_hash_grow(hash);
	}
	printf("%-32s %7.1f ns\n", "alloc + insert + growth", (double)(ns() - t) / ITEMS);
	for (unsigned k = 0; k < sizeof(benches) / sizeof(benches[0]); k++) {
		double took[ROUNDS];

		for (unsigned r = 0; r < ROUNDS; r++) {
			t = ns();
			for (unsigned i = 0; i < N; i++)
				benches[k].fn(i);
			took[r] = (double)(ns() - t) / N;
		}
		qsort(took, ROUNDS, sizeof(took[0]), by_value);
		printf("%-32s %7.1f ns  (%.1f to %.1f)\n", benches[k].name, took[ROUNDS / 2], took[0], took[ROUNDS - 1]);
	}
	return 0;
}
