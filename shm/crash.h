/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: makes this process die at a named place. Works in builds with RF_CRASH_POINTS. */
#ifndef RF_SHM_CRASH_H
#define RF_SHM_CRASH_H

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

#endif
