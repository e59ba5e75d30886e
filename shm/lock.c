/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock word names its owner. A taker first writes the lock's place into its slot, then takes it:
 * so whatever a dead process may have owned is listed, and the word tells whether it did.
 *
 * Sleeping is the well-known three-state futex scheme. The sleep has a time limit, for a waiter may
 * be killed after it swallowed the one wake-up and before it took the lock.
 *
 * A janitor meets locks of dead owners. Inside shm_recover_slot() it passes through them: the word
 * keeps naming the dead, so that nobody else gets in and a second janitor finds the same picture;
 * recovery frees them at its end.
 */
#include "shm/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/counter.h"
#include "shm/shm_priv.h"

#define SPINS 100u
#define WAIT_MS 50

bool shm_recovering;

/* Ids of the statistics, filled before forking. Only who did not get a lock at once counts, so this costs the others nothing. */
static struct {
	bool on;
	int spins, sleeps, busy[SHM_RANK_SPAN / 10 + 1]; /* busy: by rank / 10 */
} waits;

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void futex_wait(struct shm_lock *lock, uint32_t word)
{
	static const struct timespec limit = { .tv_nsec = WAIT_MS * 1000000L };

	(void)syscall(SYS_futex, &lock->word, FUTEX_WAIT, word, &limit, NULL, 0);
}

void shm_futex_wake(struct shm_lock *lock, int n)
{
	(void)syscall(SYS_futex, &lock->word, FUTEX_WAKE, n, NULL, NULL, 0);
}

/*
 * In a janitor: whether the lock counts as its own, for it belongs to a dead slot that is being mended
 * after. When the owner is known to be dead and that has not begun, does it now: the lock is free then.
 */
static bool inherited(uint32_t word)
{
	return shm_recovering && shm_lock_of_dead((word & 255u) - 1u);
}

void shm_lock_rank_check(const struct shm_lock *lock, enum shm_rank rank, const struct shm_slot *self)
{
	if (shm_recovering && shm_mending())
		return; /* the locks it passes through are held already */
	for (uint32_t i = 0; i < self->n_held; i++) {
		if (self->held_rank[i] < rank || (self->held_rank[i] == rank && self->held[i] < shm_off(lock)))
			continue;
		dprintf(STDERR_FILENO, "shm: lock 0x%llx of rank %u taken while holding 0x%llx of rank %u\n",
			(unsigned long long)shm_off(lock), (unsigned)rank, (unsigned long long)self->held[i],
			self->held_rank[i]);
		abort();
	}
}

/* Forgets lock in the list of held ones; every other one stays listed at each moment. */
static void unnote(struct shm_slot *self, const struct shm_lock *lock)
{
	uint32_t n = self->n_held, i = n;

	while (i > 0 && self->held[i - 1] != shm_off(lock))
		i--;
	assert(i > 0);
	for (; i < n; i++) {
		self->held[i - 1] = self->held[i];
		self->held_rank[i - 1] = self->held_rank[i];
	}
	SHM_STORE_ORDER();
	self->n_held = n - 1;
}

int shm_lock_count(void)
{
	static const struct {
		enum shm_rank rank;
		const char *name;
	} busy[] = {
		{ SHM_RANK_TXN, "busy_txn" },     { SHM_RANK_MODULE, "busy_module" }, { SHM_RANK_BUCKET, "busy_bucket" },
		{ SHM_RANK_WHEEL, "busy_wheel" }, { SHM_RANK_RING, "busy_ring" },     { SHM_RANK_SLAB, "busy_slab" },
		{ SHM_RANK_SPAN, "busy_span" },
	};

	waits.spins = shm_counter_register("locks", "spins");
	waits.sleeps = shm_counter_register("locks", "sleeps");
	if (waits.spins < 0 || waits.sleeps < 0)
		return -ENOSPC;
	for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
		int id = shm_counter_register("locks", busy[i].name);

		if (id < 0)
			return id;
		waits.busy[busy[i].rank / 10] = id;
	}
	waits.on = true;
	return 0;
}

uint64_t shm_lock_sleeps_of(unsigned slot)
{
	return waits.on ? (uint64_t)shm_counter_of(waits.sleeps, slot) : 0;
}

static void count_wait(const struct shm_slot *self, unsigned spins, unsigned sleeps)
{
	if (!waits.on)
		return;
	shm_counter_add(waits.busy[self->held_rank[self->n_held - 1] / 10], 1); /* noted there before it is taken */
	shm_counter_add(waits.spins, spins);
	shm_counter_add(waits.sleeps, sleeps);
}

void shm_lock_take_slow(struct shm_lock *lock, struct shm_slot *self)
{
	uint32_t word, mine = self->word;
	unsigned spins = 0, sleeps = 0;

	for (;;) {
		word = atomic_load_explicit(&lock->word, memory_order_relaxed);
		if (word == 0) {
			if (atomic_compare_exchange_weak_explicit(&lock->word, &word, mine, memory_order_acquire,
								  memory_order_relaxed))
				break;
			continue;
		}
		assert(SHM_LOCK_OWNER(word) != self->word); /* not recursive */
		if (UNLIKELY(inherited(word)))
			return;
		if (spins++ < SPINS) {
			cpu_relax();
			continue;
		}
		if (!(word & SHM_LOCK_WAITERS) &&
		    !atomic_compare_exchange_weak_explicit(&lock->word, &word, word | SHM_LOCK_WAITERS,
							   memory_order_relaxed, memory_order_relaxed))
			continue;
		sleeps++;
		futex_wait(lock, word | SHM_LOCK_WAITERS);
		mine = self->word | SHM_LOCK_WAITERS; /* others may sleep still */
	}
	count_wait(self, spins, sleeps);
}

void shm_lock_drop_slow(struct shm_lock *lock, struct shm_slot *self)
{
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	if (SHM_LOCK_OWNER(word) == self->word) {
		word = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
		if (word & SHM_LOCK_WAITERS)
			shm_futex_wake(lock, 1);
	} else {
		assert(shm_recovering);
	}
	SHM_STORE_ORDER();
	unnote(self, lock);
}

void shm_lock_init(struct shm_lock *lock)
{
	atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}

HOT void shm_lock_take(struct shm_lock *lock, enum shm_rank rank)
{
	shm_lock_acquire(lock, rank);
}

bool shm_lock_try(struct shm_lock *lock, enum shm_rank rank)
{
	struct shm_slot *self = shm_self;
	uint32_t expected = 0;

	assert(self);
	shm_lock_note(self, lock, rank);
	if (atomic_compare_exchange_strong_explicit(&lock->word, &expected, self->word, memory_order_acquire,
						    memory_order_relaxed) ||
	    inherited(expected))
		return true;
	self->n_held--;
	return false;
}

HOT void shm_lock_drop(struct shm_lock *lock)
{
	shm_lock_release(lock);
}

int shm_lock_owner(const struct shm_lock *lock)
{
	return (int)(atomic_load_explicit(&lock->word, memory_order_relaxed) & 255u) - 1;
}

const char *shm_rank_name(int rank)
{
	switch (rank) {
	case SHM_RANK_TXN:
		return "TXN";
	case SHM_RANK_MODULE:
		return "MODULE";
	case SHM_RANK_GROW:
		return "GROW";
	case SHM_RANK_BUCKET:
		return "BUCKET";
	case SHM_RANK_WHEEL:
		return "WHEEL";
	case SHM_RANK_RING:
		return "RING";
	case SHM_RANK_SLAB:
		return "SLAB";
	case SHM_RANK_SPAN:
		return "SPAN";
	default:
		return "rank unknown";
	}
}
