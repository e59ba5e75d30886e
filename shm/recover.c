/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the janitor does after a death. First it mends, for everybody who is dead (among them may be the
 * janitor that was at this before):
 *
 *   1. whatever they held a lock of is rebuilt from its truth: page bins, depots, wheels;
 *   2. the change they had announced is finished or undone: shm's own, then the module's;
 *   3. their locks are freed.
 *
 * Then, for the one slot:
 *
 *   4. a timer whose handler it was in is armed again;
 *   5. core parts and modules take their own steps;
 *   6. objects in its limbo are taken off every wheel and out of every table, and freed with its
 *      caches; rings that hold messages are marked; the slot is free.
 *
 * Until step 3 their locks keep naming them, so nobody else comes in, and all of this can be run
 * again from the start. Locks are freed in falling rank, and before any work that takes a lock of
 * lower rank: a live process may hold that one and wait for the lock of the dead. When the janitor
 * itself, further on, meets a lock of somebody who was reported dead meanwhile, it mends after that
 * one at once.
 */
#include "shm/recover.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "shm/shm_priv.h"

#define STEPS_MAX 64u

static struct {
	const char *name;
	shm_recover_fn *fn;
} steps[STEPS_MAX];
static struct {
	const char *name;
	shm_check_fn *fn;
} checks[STEPS_MAX];
static unsigned n_steps, n_checks;

int shm_recover_register(const char *name, shm_recover_fn *fn)
{
	if (n_steps == STEPS_MAX)
		return -ENOSPC;
	steps[n_steps].name = name;
	steps[n_steps].fn = fn;
	n_steps++;
	return 0;
}

int shm_check_register(const char *name, shm_check_fn *fn)
{
	if (n_checks == STEPS_MAX)
		return -ENOSPC;
	checks[n_checks].name = name;
	checks[n_checks].fn = fn;
	n_checks++;
	return 0;
}

struct slot_set {
	uint64_t bits[2];
};

/* Those being mended after: their locks are passed through. */
static struct slot_set mending;

static bool has(const struct slot_set *set, unsigned slot)
{
	return set->bits[slot / 64] >> slot % 64 & 1;
}

static bool is_dead(unsigned slot)
{
	uint32_t state = atomic_load(&SHM_ARENA->slot[slot].state);

	return state == SHM_SLOT_DEAD || state == SHM_SLOT_RECOVERING;
}

/* The i-th lock in the list of s if s really owns it, else NULL (it was about to take it). */
static struct shm_lock *owned(const struct shm_slot *s, uint32_t i)
{
	struct shm_lock *lock;

	if (i >= s->n_held || i >= SHM_LOCKS_HELD_MAX || s->held[i] >= SHM_ARENA->map_bytes)
		return NULL;
	lock = shm_at(s->held[i]);
	return SHM_LOCK_OWNER(atomic_load(&lock->word)) == s->word ? lock : NULL;
}

static struct shm_wheel *wheel_with(const struct shm_lock *lock)
{
	uint64_t off = shm_off(lock) - shm_off(SHM_ARENA->wheel);

	return off < sizeof(SHM_ARENA->wheel) ? &SHM_ARENA->wheel[off / sizeof(struct shm_wheel)] : NULL;
}

static int depot_with(const struct shm_lock *lock)
{
	uint64_t off = shm_off(lock) - shm_off(SHM_ARENA->depot);

	return off < sizeof(SHM_ARENA->depot) ? (int)(off / sizeof(struct shm_depot)) : -1;
}

/* Calls fn for each lock that one of the dead owns. */
static int for_locks_of(const struct slot_set *dead, int (*fn)(struct shm_lock *lock))
{
	int err = 0;

	for (uint32_t k = 0; k < SHM_SLOTS_MAX; k++) {
		const struct shm_slot *s = &SHM_ARENA->slot[k];

		if (!has(dead, k))
			continue;
		for (uint32_t i = 0; err == 0 && i < s->n_held; i++) {
			struct shm_lock *lock = owned(s, i);

			if (lock)
				err = fn(lock);
		}
	}
	return err;
}

static int free_lock(struct shm_lock *lock)
{
	atomic_store_explicit(&lock->word, 0, memory_order_release);
	shm_futex_wake(lock, INT_MAX);
	return 0;
}

static int mend_pages(struct shm_lock *lock)
{
	int err;

	if (lock != &SHM_ARENA->pages.lock)
		return 0;
	shm_lock_acquire(lock, SHM_RANK_SPAN);
	err = shm_pages_rebuild();
	shm_lock_release(lock);
	if (err == 0)
		err = shm_pages_check();
	return err < 0 ? err : free_lock(lock);
}

static int mend_depot(struct shm_lock *lock)
{
	int cls = depot_with(lock), err;

	if (cls < 0)
		return 0;
	err = shm_depot_rebuild((unsigned)cls);
	if (err == 0)
		err = shm_depot_check((unsigned)cls);
	return err < 0 ? err : free_lock(lock);
}

static int mend_wheel(struct shm_lock *lock)
{
	struct shm_wheel *w = wheel_with(lock);

	return w ? shm_wheel_rebuild(w) : 0;
}

/* After the intents: they may be about the timer that was between two lists. */
static int free_wheel(struct shm_lock *lock)
{
	struct shm_wheel *w = wheel_with(lock);
	int err = w ? shm_wheel_check_one(w) : 0;

	return err < 0 || !w ? err : free_lock(lock);
}

static int redo_core(const struct shm_slot *dead)
{
	const struct shm_intent *in = &dead->core_intent;

	switch (in->op) {
	case SHM_OP_NONE:
		return 0;
	case SHM_OP_ADOPT:
		return shm_adopt_redo(in);
	case SHM_OP_WHEEL_LINK:
	case SHM_OP_WHEEL_UNLINK:
		return shm_wheel_redo(in);
	default:
		return shm_hash_redo(in, dead->index);
	}
}

/* Finishes or undoes what each of them had announced in shm itself. */
static int replay_core(const struct slot_set *dead)
{
	int err = 0;

	for (uint32_t k = 0; err == 0 && k < SHM_SLOTS_MAX; k++) {
		if (!has(dead, k))
			continue;
		err = redo_core(&SHM_ARENA->slot[k]);
		if (err == 0)
			SHM_ARENA->slot[k].core_intent.op = SHM_OP_NONE;
	}
	return err;
}

/* The same for modules. */
static int replay_modules(const struct slot_set *dead)
{
	int err = 0;

	for (uint32_t k = 0; err == 0 && k < SHM_SLOTS_MAX; k++) {
		if (!has(dead, k))
			continue;
		err = shm_intent_redo(&SHM_ARENA->slot[k].intent);
		if (err == 0)
			SHM_ARENA->slot[k].intent.op = 0;
	}
	return err;
}

static int run_steps(unsigned slot)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < n_steps; i++)
		err = steps[i].fn(slot);
	return err < 0 ? err : 0;
}

static int empty_limbo(unsigned slot)
{
	int64_t n = shm_limbo_count(slot);
	int err = n < 0 ? (int)n : 0;

	if (n > 0) {
		err = shm_wheel_sweep(slot);
		if (err == 0)
			err = shm_hash_sweep(slot);
	}
	return err < 0 ? err : shm_owned_free(slot);
}

/* Nothing is owned any more; but who only waited may have taken the wake-up of another with it. */
static void forget_locks(struct shm_slot *dead)
{
	while (dead->n_held > 0) {
		uint32_t i = dead->n_held - 1u;

		if (dead->held[i] < SHM_ARENA->map_bytes)
			shm_futex_wake(shm_at(dead->held[i]), INT_MAX);
		SHM_STORE_ORDER();
		dead->n_held = i;
	}
}

static int mend(const struct slot_set *dead)
{
	const struct slot_set before = mending;
	int err;

	mending.bits[0] |= dead->bits[0];
	mending.bits[1] |= dead->bits[1];
	err = for_locks_of(dead, mend_pages);
	if (err == 0)
		err = for_locks_of(dead, mend_depot);
	if (err == 0)
		err = for_locks_of(dead, mend_wheel);
	if (err == 0)
		err = replay_core(dead);
	if (err == 0)
		err = for_locks_of(dead, free_wheel);
	if (err == 0)
		err = replay_modules(dead);
	if (err == 0)
		err = for_locks_of(dead, free_lock);
	mending = before;
	return err;
}

bool shm_mending(void)
{
	return mending.bits[0] || mending.bits[1];
}

bool shm_lock_of_dead(unsigned slot)
{
	struct slot_set one = { 0 };

	if (slot >= SHM_SLOTS_MAX || !is_dead(slot))
		return false;
	if (has(&mending, slot))
		return true;
	one.bits[slot / 64] = (uint64_t)1 << slot % 64;
	if (mend(&one) < 0)
		abort(); /* the janitor failed, as if it had died */
	return false;
}

static int mend_all(void)
{
	uint32_t n = atomic_load(&SHM_ARENA->n_slots_seen);
	struct slot_set all = { 0 };

	for (uint32_t k = 0; k < n; k++)
		if (is_dead(k))
			all.bits[k / 64] |= (uint64_t)1 << k % 64;
	return mend(&all);
}

static int recover(struct shm_slot *dead)
{
	int err = mend_all();

	if (err < 0)
		return err;
	forget_locks(dead);
	shm_wheel_refire(dead);
	err = run_steps(dead->index);
	if (err == 0)
		err = empty_limbo(dead->index);
	if (err < 0)
		return err;
	shm_ring_rescan(dead->index);
	atomic_store_explicit(&dead->state, SHM_SLOT_FREE, memory_order_release);
	CRASH_POINT("recover.freed");
	return 0;
}

int shm_recover_slot(unsigned slot)
{
	struct shm_slot *dead;
	uint32_t expected = SHM_SLOT_DEAD;
	int err;

	assert(shm_self && shm_self->n_held == 0);
	if (slot >= SHM_SLOTS_MAX || slot == shm_self->index)
		return -EINVAL;
	dead = &SHM_ARENA->slot[slot];
	if (!atomic_compare_exchange_strong(&dead->state, &expected, SHM_SLOT_RECOVERING)) {
		if (expected == SHM_SLOT_FREE)
			return 0; /* a janitor before this one did all of it, and died then */
		if (expected != SHM_SLOT_RECOVERING)
			return -EINVAL;
	}
	dead->index = slot; /* it may have died before it wrote that, when the slot was used for the first time */
	shm_recovering = true;
	err = recover(dead);
	shm_recovering = false;
	return err;
}

int shm_check_all(const char **ret_what)
{
	static const struct {
		const char *name;
		shm_check_fn *fn;
	} own[] = {
		{ "slab", shm_slab_check },
		{ "hash", shm_hash_check_every },
		{ "wheel", shm_wheel_check },
	};
	const char *what = NULL;

	for (unsigned i = 0; !what && i < ARRAY_LEN(own); i++)
		if (own[i].fn() != 0)
			what = own[i].name;
	for (unsigned i = 0; !what && i < n_checks; i++)
		if (checks[i].fn() != 0)
			what = checks[i].name;
	if (!what)
		return 0;
	if (ret_what)
		*ret_what = what;
	return -EUCLEAN;
}
