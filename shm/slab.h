/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the arena, by size class, with a cache per slot so that the steady state takes no lock.
 *
 * One state byte per object says whose it is: free in the depot, cached by slot N, in the limbo of
 * slot N (allocated but not yet published, or unlinked but not yet freed), or live. So a dead
 * process loses nothing: the janitor replays its intent, then frees all that is left in its limbo.
 */
#ifndef RF_SHM_SLAB_H
#define RF_SHM_SLAB_H

#include <stdbool.h>

#include "shm/ref.h"

#define SHM_ALLOC_MAX ((size_t)64 << 20)

/*
 * size: 1 to SHM_ALLOC_MAX bytes; memory is not cleared, aligned to 16 (sizes over 480 to 64).
 * Returns the object, in the limbo of the calling slot; NULL when the ceiling is reached.
 * Context: a process that holds a slot; no lock of rank above SHM_RANK_SLAB held.
 */
MUST_CHECK void *shm_alloc(size_t size);
/* How often shm_alloc() gave NULL to this process. */
uint64_t shm_alloc_refused(void);
/* As shm_alloc(), cleared. */
MUST_CHECK void *shm_zalloc(size_t size);
/* limbo -> live: call once the object is reachable. */
void shm_publish(const void *obj);
/* live -> limbo of the caller: call before it is unlinked for good. */
void shm_retire(const void *obj);
/* Gives an object back, live or in limbo. NULL is accepted. */
void shm_free(void *obj);
/* Bytes usable at obj: the size of its class. */
size_t shm_size_of(const void *obj);
bool shm_is_live(const void *obj);
/* Slot in whose limbo the object around this address is, or -1: recovery steps of modules drop what
 * they find linked and in the limbo of the dead, since it is freed next. */
int shm_limbo_owner(const void *obj);

/* Verifies every span and free list. Returns 0 or -EUCLEAN. Context: janitor or tests, arena at rest. */
MUST_CHECK int shm_slab_check(void);

#endif
