/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hash table of intrusive nodes that grows one bucket at a time (linear hashing), so that no
 * operation ever pays for the whole table. A lock per bucket. The caller computes the hash with a
 * keyed function; equal hashes are told apart by the caller's compare.
 */
#ifndef RF_SHM_HASH_H
#define RF_SHM_HASH_H

#include <stdbool.h>

#include "shm/lock.h"

struct shm_hnode {
	_Atomic shm_ref next; /* written: holder of the bucket lock */
	uint32_t hash;        /* written once, before insertion */
};

struct shm_hash; /* layout is private to hash.c */

struct shm_hbucket {
	struct shm_lock lock;  /* rank SHM_RANK_BUCKET; guards the chain */
	_Atomic shm_ref head;  /* ref of the object's node: written by the lock holder */
};

/* True when the object that holds this node is the one looked for. */
typedef bool shm_hash_eq_fn(const struct shm_hnode *node, const void *key);
/* Returns 0 to go on, else stops the walk with that value. The bucket is locked. */
typedef int shm_hash_walk_fn(struct shm_hnode *node, void *arg);
/* True for what is to go. The bucket is locked. */
typedef bool shm_hash_pick_fn(const struct shm_hnode *node, void *arg);

/* Nodes must be aligned to SHM_GRAIN inside the arena (put the node first in the object).
 * n_buckets: power of two, 16 to 1<<20, the first size. Returns 0 or -ENOSPC, -EINVAL. */
MUST_CHECK int shm_hash_new(uint32_t n_buckets, struct shm_hash **ret_hash);
void shm_hash_free(struct shm_hash *h); /* empty table only */

/* Asks the memory for the bucket of `hash`, for who will lock it a little later. */
void shm_hash_prefetch(const struct shm_hash *h, uint32_t hash);
/* Locks the bucket of `hash` and gives it back; pair with shm_hash_unlock(). */
struct shm_hbucket *shm_hash_lock(struct shm_hash *h, uint32_t hash);
void shm_hash_unlock(struct shm_hbucket *b);
struct shm_hnode *shm_hash_find_locked(const struct shm_hbucket *b, uint32_t hash, shm_hash_eq_fn *eq, const void *key);
/* node->hash must be set. One release store publishes it; the object is marked live. */
void shm_hash_insert_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *node);
/* The object goes to the limbo of the caller. Absent nodes are ignored; returns whether it was there. */
bool shm_hash_remove_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *node);
/* As above, but the object stays live: for objects that others hold references to, whose last owner
 * frees them. What is in limbo is freed when the process dies. */
bool shm_hash_unlink_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *node);
/* Puts new_node in the place of old_node with one store (same hash). old goes to limbo. */
void shm_hash_replace_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *old_node, struct shm_hnode *new_node);
/* Looks at the load now and then, and splits a few buckets when the table is too full. Call after inserting, with no bucket locked. */
void shm_hash_grow(struct shm_hash *h);

uint64_t shm_hash_count(const struct shm_hash *h); /* summed over slots; approximate while in use */
/* What one slot has inserted, less what it has removed: exact for a dead slot once its intents were replayed. */
int64_t shm_hash_count_of(const struct shm_hash *h, unsigned slot);
uint32_t shm_hash_n_buckets(const struct shm_hash *h);
/* Walks bucket i (0 to n_buckets-1) under its lock. A table that grows meanwhile may show a node twice or,
 * between two calls, a node that moved to a later bucket: walk i upwards until shm_hash_n_buckets(). */
int shm_hash_walk(struct shm_hash *h, uint32_t bucket, shm_hash_walk_fn *fn, void *arg);
/*
 * Removes from bucket i what pick() says true of, and frees it; for objects that nobody else refers to. The lock is let go every
 * 64 removals, and freeing is done without it. Returns how many went. Buckets as in shm_hash_walk().
 */
unsigned shm_hash_purge(struct shm_hash *h, uint32_t bucket, shm_hash_pick_fn *pick, void *arg);
MUST_CHECK int shm_hash_check(struct shm_hash *h);

#endif
