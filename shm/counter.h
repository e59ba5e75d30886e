/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics: one cell per counter and slot, so that adding takes no lock; reading sums. */
#ifndef RF_SHM_COUNTER_H
#define RF_SHM_COUNTER_H

#include <stdbool.h>

#include "shm/ref.h"

#define SHM_COUNTERS_MAX 1024u

/* group, name: text that lives for ever ("core", "rcv_requests"). Context: before forking.
 * Returns the id; the same pair gives the same id; -ENOSPC. */
MUST_CHECK int shm_counter_register(const char *group, const char *name);
/* Adds delta (may be negative) to the own cell. id < 0 is ignored. */
void shm_counter_add(int id, int64_t delta);
int64_t shm_counter_read(int id);
/* What one slot has added. For recovery steps: the cell of a dead slot is put right. */
int64_t shm_counter_of(int id, unsigned slot);
void shm_counter_set_of(int id, unsigned slot, int64_t value);
/* True when it is 0 now; false: it is kept. */
bool shm_counter_reset(int id);
/* From now on it is not set back: it says how many there are, not how many there were. Context: before forking. */
void shm_counter_keep(int id);
/* Walks the registered counters in order of registration. Returns -ENOENT past the end. */
MUST_CHECK int shm_counter_at(unsigned i, const char **ret_group, const char **ret_name);

#endif
