/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change that takes several stores is announced first, in the slot of who makes it. If that process
 * dies, the janitor calls the operation's redo function, which looks at the structure and finishes
 * the change (or undoes it); it may be called twice. One intent per slot at a time.
 */
#ifndef RF_SHM_INTENT_H
#define RF_SHM_INTENT_H

#include "shm/ref.h"

#define SHM_INTENT_ARGS 6u

struct shm_intent {
	uint32_t op; /* 0: none */
	uint64_t arg[SHM_INTENT_ARGS];
};

/* Returns 0 or a negative errno (the janitor then gives up and asks for a fresh arena). */
typedef int shm_redo_fn(const struct shm_intent *intent);

/*
 * Registers an operation. Context: before forking, in the same order in every process image.
 * Returns the op number (>0); -ENOSPC over 64 operations.
 */
MUST_CHECK int shm_intent_register(const char *name, shm_redo_fn *redo);
/* Up to SHM_INTENT_ARGS args; the op is stored last, with release. */
void shm_intent_begin(int op, const uint64_t *args, unsigned n_args);
void shm_intent_end(void);

#endif
