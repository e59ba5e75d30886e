/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocations that fail when a test says so, in builds with crash points; in others nothing of it is left. */
#ifndef RF_SHM_FAIL_H
#define RF_SHM_FAIL_H

#include <errno.h>
#include <stdbool.h>

struct shm_fail { /* one per allocator and process; all zero: none will fail */
	unsigned left; /* calls of shm_fail_now() until one says yes */
	bool done;
};

/* The n-th from now on fails, once; n 0: none. Returns 0, or -ENOSYS in a build without crash points. */
static inline int shm_fail_at(struct shm_fail *f, unsigned n)
{
#ifdef RF_CRASH_POINTS
	*f = (struct shm_fail){ .left = n };
	return 0;
#else
	(void)f, (void)n;
	return -ENOSYS;
#endif
}

static inline bool shm_fail_now(struct shm_fail *f)
{
#ifdef RF_CRASH_POINTS
	if (f->left > 0 && --f->left == 0)
		return f->done = true;
#else
	(void)f;
#endif
	return false;
}

/* None fails any more. Has one? */
static inline bool shm_fail_end(struct shm_fail *f)
{
	f->left = 0;
	return f->done;
}

#endif
