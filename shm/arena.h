/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one mapping that all processes share, and the names of its root objects. Made once by the
 * supervisor before it forks; virtual size is reserved, pages are committed as they are touched.
 */
#ifndef RF_SHM_ARENA_H
#define RF_SHM_ARENA_H

#include "shm/ref.h"

#define SHM_LAYOUT_VERSION 2u
#define SHM_SLOTS_MAX 120u /* processes that may use the arena at one time */

struct shm_opts {
	uint64_t ceiling_bytes; /* 16 MiB to SHM_REACH_BYTES; reaching it makes shm_alloc() fail */
};

struct shm_stats {
	uint64_t ceiling_bytes, used_bytes, free_bytes, committed_bytes, max_used_bytes;
	uint64_t n_objects, n_spans; /* objects of size classes, and the spans they are in */
	uint64_t n_large_pages;      /* of 64 KiB, in objects over 32 KiB */
};

/*
 * Maps and formats the arena at SHM_BASE.
 * Returns 0; -EINVAL when a size is out of range; -ENOMEM when the kernel refuses; -EEXIST when
 * this process has one already. Context: supervisor, before forking.
 */
MUST_CHECK int shm_arena_create(const struct shm_opts *opts);
/* Unmaps it in this process; safe when there is none. */
void shm_arena_destroy(void);

/* 16 random bytes made with the arena: the key of every keyed hash in it. */
const uint8_t *shm_arena_secret(void);

/*
 * Names a root object, so that any process finds it again. name: 1 to 31 bytes.
 * Returns 0; -EEXIST when the name is taken; -ENOSPC when the directory (128 names) is full.
 */
MUST_CHECK int shm_root_set(const char *name, shm_ref ref);
/* SHM_NONE when absent. */
shm_ref shm_root_find(const char *name);

void shm_arena_stats(struct shm_stats *ret_stats);
/* Objects that are in no state a live process accounts for; 0 in a sound arena at rest. */
uint64_t shm_arena_leaked(void);

#endif
