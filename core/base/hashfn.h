/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyed hashing (XXH3 with the arena's random secret), so that nobody outside can choose collisions. */
#ifndef RF_BASE_HASHFN_H
#define RF_BASE_HASHFN_H

#include "core/base/str.h"

/* key: 16 bytes, normally shm_arena_secret(). Call once per process before hashing. */
void hashfn_key(const uint8_t *key16);
uint64_t hashfn64(const void *p, size_t n);
uint64_t hashfn64_seed(const void *p, size_t n, uint64_t seed); /* chain: seed = earlier result */
uint32_t hashfn32(struct str s);
uint32_t hashfn32_icase(struct str s); /* ASCII letters folded */

/*
 * The hash that scripts know ({s.corehash}, core_hash()): unkeyed, the same on every machine and in every release, so never for tables of
 * our own. Over a, then b; where one ends counts.
 */
uint32_t hashfn_core(struct str a, struct str b);

#endif
