/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the janitor does after a death. In order:
 *
 *   1. whatever the dead held a lock of is rebuilt from its truth: page bins, depots, wheels;
 *   2. the change they had announced is finished or undone: shm's own, then the module's;
 *   3. a timer whose handler they were in is armed again;
 *   4. core parts and modules take their own steps;
 *   5. objects in their limbo are taken off every wheel and out of every table, and freed with
 *      their caches; rings that hold messages are marked;
 *   6. what they held is checked, their locks are freed, their slot is free.
 *
 * Their locks keep naming them until the end, so nobody else comes in and all of this can be run again
 * from the start. Several may be dead at a time and one may wait for the other's lock: locks of every
 * dead slot are passed through, and step 1 and shm's own changes are done for all of them before
 * anything else. Among the dead may be the janitor that was at this before.
 */
#include "shm/recover.h"

#include <errno.h>
#include <limits.h>

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

static bool is_dead(const struct shm_slot *s)
{
	uint32_t state = atomic_load(&s->state);

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

/* Calls fn for each lock that a dead slot owns. only: that slot's, or all when it is SHM_SLOTS_MAX. */
static int for_locks_of_dead(unsigned only, int (*fn)(struct shm_lock *lock))
{
	uint32_t n = atomic_load(&SHM_ARENA->n_slots_seen);
	int err = 0;

	for (uint32_t k = 0; k < n; k++) {
		const struct shm_slot *s = &SHM_ARENA->slot[k];

		if (!is_dead(s) || (only != SHM_SLOTS_MAX && only != k))
			continue;
		for (uint32_t i = 0; err == 0 && i < s->n_held; i++) {
			struct shm_lock *lock = owned(s, i);

			if (lock)
				err = fn(lock);
		}
	}
	return err;
}

static int rebuild_pages(struct shm_lock *lock)
{
	int err;

	if (lock != &SHM_ARENA->pages.lock)
		return 0;
	shm_lock_acquire(lock, SHM_RANK_SPAN);
	err = shm_pages_rebuild();
	shm_lock_release(lock);
	return err;
}

static int rebuild_rest(struct shm_lock *lock)
{
	struct shm_wheel *w = wheel_with(lock);
	int cls = depot_with(lock);

	if (cls >= 0)
		return shm_depot_rebuild((unsigned)cls);
	return w ? shm_wheel_rebuild(w) : 0;
}

static int check_one(struct shm_lock *lock)
{
	struct shm_wheel *w = wheel_with(lock);
	int cls = depot_with(lock);

	if (lock == &SHM_ARENA->pages.lock)
		return shm_pages_check();
	if (cls >= 0)
		return shm_depot_check((unsigned)cls);
	return w ? shm_wheel_check_one(w) : 0;
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

static int replay_core_of_all(void)
{
	uint32_t n = atomic_load(&SHM_ARENA->n_slots_seen);
	int err = 0;

	for (uint32_t k = 0; err == 0 && k < n; k++) {
		struct shm_slot *s = &SHM_ARENA->slot[k];

		if (!is_dead(s))
			continue;
		err = redo_core(s);
		if (err == 0)
			s->core_intent.op = SHM_OP_NONE;
	}
	return err;
}

static int replay(struct shm_slot *dead)
{
	int err = replay_core_of_all();

	if (err == 0)
		err = shm_intent_redo(&dead->intent);
	if (err < 0)
		return err;
	dead->intent.op = 0;
	shm_wheel_refire(dead);
	for (unsigned i = 0; err == 0 && i < n_steps; i++)
		err = steps[i].fn(dead->index);
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

static void free_locks(struct shm_slot *dead)
{
	while (dead->n_held > 0) {
		uint32_t i = dead->n_held - 1u;
		struct shm_lock *lock = owned(dead, i);

		if (lock)
			atomic_store_explicit(&lock->word, 0, memory_order_release);
		/* Also when it only waited: it may have taken the wake-up of another with it. */
		if (dead->held[i] < SHM_ARENA->map_bytes)
			shm_futex_wake(shm_at(dead->held[i]), INT_MAX);
		SHM_STORE_ORDER();
		dead->n_held = i;
	}
}

static int recover(struct shm_slot *dead)
{
	int err = for_locks_of_dead(SHM_SLOTS_MAX, rebuild_pages);

	if (err == 0)
		err = for_locks_of_dead(SHM_SLOTS_MAX, rebuild_rest);
	if (err == 0)
		err = replay(dead);
	if (err == 0)
		err = empty_limbo(dead->index);
	if (err == 0)
		err = for_locks_of_dead(dead->index, check_one);
	if (err < 0)
		return err;
	shm_ring_rescan(dead->index);
	free_locks(dead);
	atomic_store_explicit(&dead->state, SHM_SLOT_FREE, memory_order_release);
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
	if (!atomic_compare_exchange_strong(&dead->state, &expected, SHM_SLOT_RECOVERING) &&
	    expected != SHM_SLOT_RECOVERING)
		return -EINVAL;
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
