/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of addresses, in shared memory: one node per address byte, grown only under bytes that many requests share, so that a
 * flood from random addresses costs no more memory than its networks. Nodes are entries of one hash table, found by their prefix.
 */
#ifndef RF_PIKE_TREE_H
#define RF_PIKE_TREE_H

#include "core/net/addr.h"
#include "shm/ref.h"

#define PIKE_NODES_MAX (1u << 21) /* about 100 MB: a flood from forged addresses must not take the arena */

struct pike_limits {
	unsigned limit;      /* requests per unit that make an address hot */
	unsigned unit_s;     /* sampling_time_unit */
	unsigned latency_s;  /* nodes without hits for that long go */
};

enum pike_verdict { PIKE_OK = 1, PIKE_BLOCKED = -1, PIKE_NEWLY_BLOCKED = -2 };

struct pike_row {
	struct net_addr addr;
	unsigned hits_prev, hits_curr;
	int64_t expires_s;  /* seconds until it goes without further hits */
	bool hot;
};

/* Supervisor, before forking. Returns 0 or -ENOSPC, -EEXIST. */
MUST_CHECK int pike_tree_init(const struct pike_limits *limits);
/* Changed limits: each process that hears of them writes the same words. unit_s stays as it was. */
void pike_tree_limits(const struct pike_limits *limits);
/* Counts one request. now_s: monotonic seconds. Without memory for a node: PIKE_OK. ret_node: what logs name (an id). */
enum pike_verdict pike_tree_hit(const struct net_addr *addr, uint64_t now_s, shm_ref *ret_node);
/*
 * Janitor work of worker 0: unblocks and drops what is idle in n buckets of the table from *next on (wraps), with the lock of one of
 * them at a time. unblocked is called without a lock.
 */
void pike_tree_sweep(uint32_t *next, unsigned n, uint64_t now_s, void (*unblocked)(shm_ref node));
unsigned pike_tree_buckets(void);
/* Full addresses with hits: hot ones, or all, in rising order, IPv4 first. Returns the number written (at most cap). */
unsigned pike_tree_rows(bool hot_only, uint64_t now_s, struct pike_row *rows, unsigned cap);
/* Invariants of the table and of each node. Returns 0 or -EUCLEAN. */
MUST_CHECK int pike_tree_check(void);

#endif
