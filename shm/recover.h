/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleans up after one dead slot, and checks the whole arena. Runs in the janitor process. */
#ifndef RF_SHM_RECOVER_H
#define RF_SHM_RECOVER_H

#include "shm/ref.h"

/* Modules and core parts add their own step (rebuild derived data, drop owners), run after the
 * intent was replayed and before limbo is emptied. slot: the dead one. Returns 0 or negative errno. */
typedef int shm_recover_fn(unsigned slot);
/* Context: before forking. Returns 0 or -ENOSPC over 64. */
MUST_CHECK int shm_recover_register(const char *name, shm_recover_fn *fn);

/* Verifies one structure. Returns 0 or -EUCLEAN. */
typedef int shm_check_fn(void);
MUST_CHECK int shm_check_register(const char *name, shm_check_fn *fn);

/*
 * Inherits the dead slot's locks, replays its intent, runs the registered steps, empties its limbo,
 * returns its caches, drops its locks and frees the slot. Safe to run again after dying itself.
 * Returns 0; -EUCLEAN when a check fails. Context: janitor, with a slot of its own.
 */
MUST_CHECK int shm_recover_slot(unsigned slot);
/* Every registered check. Returns 0 or -EUCLEAN, ret_what names the first that failed (may be NULL). */
MUST_CHECK int shm_check_all(const char **ret_what);

#endif
