/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References into the arena. The arena is mapped at one fixed address in every process, but what
 * is stored in it are offsets in units of 16 bytes: half the size of a pointer, 64 GiB of reach,
 * and a new binary with the same layout version can attach.
 */
#ifndef RF_SHM_REF_H
#define RF_SHM_REF_H

#include "shm/defs.h"

typedef uint32_t shm_ref; /* offset / SHM_GRAIN; 0 is "none" */

#define SHM_NONE ((shm_ref)0)
#define SHM_GRAIN 16u
#define SHM_BASE ((uintptr_t)0x200000000000u)
#define SHM_REACH_BYTES ((uint64_t)1 << 36)

/* ref: 0 gives NULL. Context: any process that has the arena mapped. */
static inline void *shm_ptr(shm_ref ref)
{
	return ref ? (void *)(SHM_BASE + (uintptr_t)ref * SHM_GRAIN) : NULL;
}

/* p: NULL or an address inside the arena, aligned to SHM_GRAIN. */
static inline shm_ref shm_ref_of(const void *p)
{
	return p ? (shm_ref)(((uintptr_t)p - SHM_BASE) / SHM_GRAIN) : SHM_NONE;
}

#endif
