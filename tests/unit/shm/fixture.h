/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of shm share: an arena, children with a slot, and a workload that may be killed. */
#ifndef RF_TEST_SHM_FIXTURE_H
#define RF_TEST_SHM_FIXTURE_H

#include <stdint.h>
#include <sys/types.h>

#include "shm/hash.h"
#include "shm/wheel.h"

void fx_arena(uint64_t mib); /* and slot 0 for this process */
void fx_done(void);

typedef void fx_fn(void *arg);
/* Forks a child that takes the slot, calls fn, gives the slot back and exits with 0. */
pid_t fx_fork(unsigned slot, fx_fn *fn, void *arg);
/* Wait status of the child. */
int fx_wait(pid_t pid);

/* --- the workload: random operations on one table, wheel, ring and allocator --- */

#define WL_KEYS 256u /* per slot */

enum wl_ack { WL_ABSENT, WL_PRESENT, WL_UNSURE };

struct wl_obj {
	struct shm_hnode node __attribute__((aligned(16)));
	struct shm_timer timer __attribute__((aligned(16)));
	uint32_t key;
	uint32_t not_key; /* ~key: shows memory given out twice */
	uint8_t fill[];
};

struct wl { /* in memory shared by all, outside the arena */
	struct shm_hash *hash;
	uint8_t ack[8][WL_KEYS];
	uint64_t now_ms;
};

/* Before forking. */
struct wl *wl_new(uint32_t n_buckets);
/* n operations on the keys of the own slot. */
void wl_run(struct wl *wl, uint64_t seed, unsigned n);
/* What was acknowledged must be there, whole; what is there must be accounted for. */
void wl_verify(struct wl *wl);
/* Objects alive that belong to neither table nor rings. */
int64_t wl_strays(struct wl *wl, unsigned n_rings);

#endif
