/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The workload keeps a note of what it was told ("acknowledged") in memory outside the arena, as a
 * client would. A process may be killed anywhere in it; afterwards every acknowledged object must be
 * found and every other must be gone. Only what was under way when it died may be either.
 */
#include "tests/unit/shm/fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/arena.h"
#include "shm/ring.h"
#include "shm/slab.h"
#include "shm/slot.h"

static struct wl *current;
static int timer_kind = -1;

void fx_arena(uint64_t mib)
{
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = mib << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
}

void fx_done(void)
{
	shm_slot_release();
	shm_arena_destroy();
}

pid_t fx_fork(unsigned slot, fx_fn *fn, void *arg)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	if (shm_slot_take(slot, SHM_SLOT_TEST) != 0)
		_exit(3);
	fn(arg);
	shm_slot_release();
	_exit(0);
}

int fx_wait(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static uint32_t hash_of(uint32_t key)
{
	uint32_t x = key * 2654435761u;

	return x ^ x >> 15;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static bool same_key(const struct shm_hnode *node, const void *key)
{
	return ((const struct wl_obj *)(const void *)node)->key == *(const uint32_t *)key;
}

static uint8_t *ack_of(struct wl *wl, uint32_t key)
{
	return &wl->ack[key / WL_KEYS][key % WL_KEYS];
}

static void require(bool ok)
{
	if (!ok)
		abort(); /* in a child: the parent sees that this was no SIGKILL */
}

static struct wl_obj *find(struct shm_hbucket *b, uint32_t key)
{
	struct wl_obj *o = (void *)shm_hash_find_locked(b, hash_of(key), same_key, &key);

	require(!o || o->not_key == ~key);
	return o;
}

static struct wl_obj *make(uint32_t key, uint64_t r)
{
	size_t extra = r % 7 == 0 ? r % 3000 : r % 90;
	struct wl_obj *o = shm_alloc(sizeof(*o) + extra);

	if (!o)
		return NULL;
	memset(o, 0, sizeof(*o));
	memset(o->fill, (int)key, extra);
	o->node.hash = hash_of(key);
	o->key = key;
	o->not_key = ~key;
	return o;
}

static void put(struct wl *wl, uint32_t key, uint64_t r)
{
	struct wl_obj *o = make(key, r), *old;
	struct shm_hbucket *b;

	if (!o)
		return;
	b = shm_hash_lock(wl->hash, o->node.hash);
	old = find(b, key);
	if (old) {
		if (shm_timer_is_set(&old->timer))
			require(shm_timer_del(&old->timer));
		shm_hash_replace_locked(wl->hash, b, &old->node, &o->node);
	} else {
		*ack_of(wl, key) = WL_UNSURE;
		shm_hash_insert_locked(wl->hash, b, &o->node);
		*ack_of(wl, key) = WL_PRESENT;
	}
	if (r & 1024)
		shm_timer_set(&o->timer, (uint8_t)timer_kind, wl->now_ms + (r >> 20) % 20000);
	shm_hash_unlock(b);
	shm_free(old);
	shm_hash_grow(wl->hash);
}

static void drop(struct wl *wl, uint32_t key)
{
	struct shm_hbucket *b = shm_hash_lock(wl->hash, hash_of(key));
	struct wl_obj *o = find(b, key);

	if (o) {
		shm_timer_del(&o->timer);
		*ack_of(wl, key) = WL_UNSURE;
		require(shm_hash_remove_locked(wl->hash, b, &o->node));
		*ack_of(wl, key) = WL_ABSENT;
	} else {
		require(*ack_of(wl, key) != WL_PRESENT);
		*ack_of(wl, key) = WL_ABSENT;
	}
	shm_hash_unlock(b);
	shm_free(o);
}

static void touch(struct wl *wl, uint32_t key, uint64_t r)
{
	struct shm_hbucket *b = shm_hash_lock(wl->hash, hash_of(key));
	struct wl_obj *o = find(b, key);

	if (o)
		shm_timer_set(&o->timer, (uint8_t)timer_kind, wl->now_ms + (r >> 20) % 300000);
	shm_hash_unlock(b);
}

static void fire(struct shm_timer *t, uint64_t now_ms)
{
	struct wl_obj *o = CONTAINER_OF(t, struct wl_obj, timer);

	require(o->not_key == ~o->key);
	if (o->key & 1)
		shm_timer_set(t, (uint8_t)timer_kind, now_ms + o->key * 37u % 5000u);
	else
		drop(current, o->key);
}

/* Many objects of one size, then none: spans come and go. */
static void burst(uint64_t r)
{
	enum { N = 700 };
	static void *objs[N];

	for (unsigned i = 0; i < N; i++)
		objs[i] = shm_alloc(200 + r % 100);
	for (unsigned i = 0; i < N; i++)
		shm_free(objs[i]);
}

static void large(uint64_t r)
{
	void *a = shm_alloc(40000 + r % 200000), *b = shm_alloc(9000 + r % 20000);

	if (a)
		memset(a, 1, 4096);
	shm_free(b);
	shm_free(a);
}

static void got(void *arg, unsigned from, uint16_t type, const void *data, size_t len)
{
	(void)arg;
	require((int)from == shm_slot_self() && type == 7);
	for (size_t i = 0; i < len; i++)
		require(((const uint8_t *)data)[i] == (uint8_t)len);
}

static void message(uint64_t r)
{
	uint8_t bytes[300];
	struct iovec part = { bytes, r % sizeof(bytes) };

	memset(bytes, (int)part.iov_len, sizeof(bytes));
	if (shm_ring_put((unsigned)shm_slot_self(), 7, &part, 1) < 0 || r & 64)
		(void)shm_ring_drain(5, got, NULL);
}

struct wl *wl_new(uint32_t n_buckets)
{
	struct wl *wl = mmap(NULL, sizeof(*wl), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(wl != MAP_FAILED);
	ck_assert_int_eq(shm_hash_new(n_buckets, &wl->hash), 0);
	if (timer_kind < 0)
		timer_kind = shm_timer_kind_register("workload", fire);
	ck_assert_int_ge(timer_kind, 0);
	wl->now_ms = 1000000;
	current = wl;
	return wl;
}

void wl_run(struct wl *wl, uint64_t seed, unsigned n)
{
	uint32_t first = (uint32_t)shm_slot_self() * WL_KEYS;

	current = wl;
	seed = seed * 0x9e3779b97f4a7c15u + 1u;
	for (unsigned i = 0; i < n; i++) {
		uint64_t r = next_random(&seed);
		uint32_t key = first + (uint32_t)(r >> 40) % WL_KEYS;

		switch (r % 16) {
		case 0 ... 5:
			put(wl, key, r >> 8);
			break;
		case 6 ... 8:
			drop(wl, key);
			break;
		case 9 ... 11:
			touch(wl, key, r);
			break;
		case 12:
			message(r >> 8);
			break;
		case 13:
			if (r % 64 == 13)
				burst(r >> 8);
			else
				large(r >> 8);
			break;
		default:
			__atomic_fetch_add(&wl->now_ms, r >> 32 & 1023, __ATOMIC_RELAXED);
			(void)shm_wheel_run(__atomic_load_n(&wl->now_ms, __ATOMIC_RELAXED), 20);
		}
	}
}

void wl_verify(struct wl *wl)
{
	uint64_t n = 0;

	for (uint32_t key = 0; key < 8 * WL_KEYS; key++) {
		struct shm_hbucket *b = shm_hash_lock(wl->hash, hash_of(key));
		struct wl_obj *o = (void *)shm_hash_find_locked(b, hash_of(key), same_key, &key);

		if (o) {
			n++;
			ck_assert_uint_eq(o->not_key, ~key);
			ck_assert_uint_ne(*ack_of(wl, key), WL_ABSENT);
		} else {
			ck_assert_uint_ne(*ack_of(wl, key), WL_PRESENT);
		}
		*ack_of(wl, key) = o ? WL_PRESENT : WL_ABSENT;
		shm_hash_unlock(b);
	}
	ck_assert_uint_eq(n, shm_hash_count(wl->hash));
}

int64_t wl_strays(struct wl *wl, unsigned n_rings)
{
	struct shm_stats st;
	uint32_t n_pieces = 1;

	for (uint32_t n = 16; n < shm_hash_n_buckets(wl->hash); n *= 2)
		n_pieces++;
	shm_arena_stats(&st);
	/* rings are large: four pages each */
	return (int64_t)(st.n_objects + st.n_large_pages) -
	       (int64_t)(shm_hash_count(wl->hash) + 1 + n_pieces + 4 * n_rings);
}
