/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of one message: allocated by moving a pointer, given back all at once. A pool keeps its
 * chunks over a reset, so that the steady state makes no malloc.
 */
#ifndef RF_BASE_POOL_H
#define RF_BASE_POOL_H

#include "core/base/str.h"

struct pool;

/* limit_bytes: the most it may ever hold. NULL without memory. */
MUST_CHECK struct pool *pool_new(size_t limit_bytes);
void pool_free(struct pool *pool);
/* Forgets all allocations; chunks beyond the first 64 KiB are given back. */
void pool_reset(struct pool *pool);
/* Aligned to 16, not cleared. NULL over the limit or without memory. */
MUST_CHECK void *pool_alloc(struct pool *pool, size_t size);
MUST_CHECK void *pool_zalloc(struct pool *pool, size_t size);
/* Grows the last allocation in place when it can, else copies. */
MUST_CHECK void *pool_grow(struct pool *pool, void *p, size_t old_size, size_t new_size);
/* Copy that lives as long as the pool, with a NUL behind it that n does not count. s NULL on failure (n 0 too). */
MUST_CHECK struct str str_dup(struct pool *pool, struct str s);
MUST_CHECK int pool_printf(struct pool *pool, struct str *ret, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t pool_used(const struct pool *pool);
/*
 * Calls fn(arg) when the pool is reset or freed, the last registered first: for what lies in the pool and holds something that
 * does not (a compiled expression). Memory of the pool is still there then. 0, or -ENOMEM: nothing registered.
 */
MUST_CHECK int pool_on_end(struct pool *pool, void (*fn)(void *arg), void *arg);

/* For tests: the n-th allocation of this process from any pool from now on fails, once; 0: none. Returns 0; -ENOSYS in a build without crash points. */
MUST_CHECK int pool_fail_at(unsigned n);
/* No allocation fails any more. Returns whether one did. */
bool pool_fail_end(void);

#endif
