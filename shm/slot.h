/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One slot per process that uses the arena: its heartbeat, the locks it holds, its intent. A process
 * takes a slot before it first touches the arena and gives it back last; a slot still active after
 * its process ended means a crash.
 */
#ifndef RF_SHM_SLOT_H
#define RF_SHM_SLOT_H

#include <stdbool.h>
#include <sys/types.h>

#include "shm/arena.h"

enum shm_slot_kind { SHM_SLOT_SUPERVISOR, SHM_SLOT_WORKER, SHM_SLOT_JANITOR, SHM_SLOT_RPCD, SHM_SLOT_TEST, SHM_SLOT_LOGD };
enum shm_slot_state { SHM_SLOT_FREE, SHM_SLOT_ACTIVE, SHM_SLOT_DEAD, SHM_SLOT_RECOVERING };

struct shm_slot_info {
	enum shm_slot_kind kind;
	enum shm_slot_state state;
	pid_t pid;
	uint32_t epoch;          /* grows each time the slot is taken */
	uint64_t heartbeat_ms;   /* monotonic */
	unsigned n_locks_held;
	uint64_t n_lock_waits;   /* times processes of this slot slept for a lock; see shm_lock_count() */
};

/*
 * Takes slot `index` for this process (workers: 1 to N by worker number, so that a replacement
 * inherits wheel and rings). Returns 0; -EBUSY when it is active, dead or being recovered; -ERANGE.
 */
MUST_CHECK int shm_slot_take(unsigned index, enum shm_slot_kind kind);
/* Gives the own slot back; caches are returned to the depot. */
void shm_slot_release(void);
/* Own slot index, or -1. */
int shm_slot_self(void);
/* Says that the process makes progress. now_ms: monotonic clock. */
void shm_slot_beat(uint64_t now_ms);
/* Supervisor: the process of this slot is gone. Takes no lock. Returns 0 or -ENOENT when it was not active. */
MUST_CHECK int shm_slot_mark_dead(unsigned index);
/* Returns 0, or -ERANGE. Context: any process, no lock. */
MUST_CHECK int shm_slot_info(unsigned index, struct shm_slot_info *ret_info);

/* A lock that a slot has noted: held, or about to be. */
struct shm_held_lock {
	int rank;        /* enum shm_rank */
	uint64_t offset; /* in the arena */
	int owner;       /* slot that has it now; the slot itself: it holds it; -1: nobody */
};
/* For reports: what another process does may change it while it is read. Returns how many, at most max. Context: any process, no lock. */
unsigned shm_slot_locks(unsigned index, struct shm_held_lock *ret_locks, unsigned max);

#endif
