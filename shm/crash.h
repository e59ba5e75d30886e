/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: makes this process die at a named place, or an allocation fail. Works in builds with RF_CRASH_POINTS. */
#ifndef RF_SHM_CRASH_H
#define RF_SHM_CRASH_H

#include <stdbool.h>

#include "shm/defs.h"

/*
 * From now on the nth (1 is the next) passage of CRASH_POINT(name) ends this process by SIGKILL. One
 * name at a time; NULL disarms. The environment variable RF_CRASH_AT=name[:nth] arms at the first
 * passage of any point. Returns 0; -ENOSYS in a build without crash points.
 */
MUST_CHECK int shm_crash_arm(const char *name, unsigned nth);
/* How often the armed point has been passed. */
unsigned shm_crash_passed(void);
/* Name of the i-th crash point inside shm/, NULL past the end. */
const char *shm_crash_name(unsigned i);

/* The n-th shm_alloc() of this process from now on fails, once; 0: none. Returns 0; -ENOSYS in a build without crash points. */
MUST_CHECK int shm_alloc_fail_at(unsigned n);
/* No allocation fails any more. Returns whether one did. */
bool shm_alloc_fail_end(void);

#endif
