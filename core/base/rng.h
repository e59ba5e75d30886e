/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes, from the kernel, buffered per process and reseeded after fork. */
#ifndef RF_BASE_RNG_H
#define RF_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

void rng_bytes(void *out, size_t n); /* aborts when the kernel has none: there is no safe way on */
uint64_t rng_u64(void);
uint32_t rng_below(uint32_t bound);  /* 0 to bound-1, unbiased; bound > 0 */

#endif
