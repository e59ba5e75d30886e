/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock that knows its owner (slot and epoch), so that a dead owner is seen and its lock recovered,
 * never just broken. Spins shortly, then sleeps on a futex. Not recursive.
 */
#ifndef RF_SHM_LOCK_H
#define RF_SHM_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "shm/ref.h"

/* Locks are taken in rising rank; builds with RF_LOCK_RANKS abort on a violation. */
enum shm_rank {
	SHM_RANK_TXN = 10,     /* one transaction */
	SHM_RANK_MODULE = 20,  /* module data: a usrloc or htable bucket's private order */
	SHM_RANK_GROW = 25,    /* growth of a shm_hash; only tried, never waited for */
	SHM_RANK_BUCKET = 30,  /* a bucket of shm_hash */
	SHM_RANK_WHEEL = 40,   /* one timer wheel */
	SHM_RANK_RING = 50,    /* creation of a ring */
	SHM_RANK_SLAB = 60,    /* a size class's depot */
	SHM_RANK_SPAN = 70,    /* the page spans of the arena */
};

struct shm_lock {
	_Atomic uint32_t word; /* 0 free; else slot + 1 in bits 0-7, epoch in 8-30, waiters in 31 */
};

#define SHM_LOCKS_HELD_MAX 8u

/*
 * Registers the statistics of group "locks": how often a lock was not free at once, by rank (busy_bucket ...), how often the taker
 * looked again (spins), and how often it slept (sleeps). Without this call nothing is counted. Context: before forking. -ENOSPC.
 */
MUST_CHECK int shm_lock_count(void);

void shm_lock_init(struct shm_lock *lock);
/* Context: a process with a slot, holding only locks of lower or equal rank (equal: rising address). */
void shm_lock_take(struct shm_lock *lock, enum shm_rank rank);
/* False when somebody else has it. */
MUST_CHECK bool shm_lock_try(struct shm_lock *lock, enum shm_rank rank);
void shm_lock_drop(struct shm_lock *lock);
const char *shm_rank_name(int rank);
/* Slot index of the owner, or -1. For reports only. */
int shm_lock_owner(const struct shm_lock *lock);

#endif
