/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleans up after one dead slot, and checks the whole arena. Runs in the janitor process. */
#ifndef RF_SHM_RECOVER_H
#define RF_SHM_RECOVER_H

#include "shm/ref.h"

/* Modules and core parts add their own step (rebuild derived data, drop owners, unlink what
 * shm_limbo_owner() gives to the slot), run after the intent was replayed and before limbo is emptied.
 * The locks of the dead are free by then, so others may see the structure: what must be whole before
 * they do belongs into an intent. slot: the dead one. Returns 0 or negative errno. */
typedef int shm_recover_fn(unsigned slot);
/* Context: before forking. Returns 0 or -ENOSPC over 64. */
MUST_CHECK int shm_recover_register(const char *name, shm_recover_fn *fn);

/* Verifies one structure. Returns 0 or -EUCLEAN. */
typedef int shm_check_fn(void);
MUST_CHECK int shm_check_register(const char *name, shm_check_fn *fn);

/*
 * Inherits the locks of the dead, replays their intents, frees the locks; then runs the registered
 * steps for this slot, empties its limbo, returns its caches and frees the slot. Checks what the dead
 * had locked. A redo function may take locks the dead held, and those of higher rank. Safe to run
 * again after dying itself; the slot of a janitor that died is recovered in the same way, in any order.
 * Returns 0, also when the slot is free already; -EUCLEAN when a check fails; -EINVAL when the slot's process is not
 * known to be dead; -ENOMEM.
 * Context: janitor, one at a time, with a slot of its own and no lock held.
 */
MUST_CHECK int shm_recover_slot(unsigned slot);
/* Every registered check. Returns 0 or -EUCLEAN, ret_what names the first that failed (may be NULL). */
MUST_CHECK int shm_check_all(const char **ret_what);

#endif
