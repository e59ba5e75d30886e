/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the n-th allocation fail. A test calls what it tests with n = 1, 2, ... until nothing
 * failed any more:
 *
 *     for (unsigned n = 1; n < 1000; n++) {
 *             fail_alloc_at(n);
 *             err = thing_new(&thing);
 *             if (!fail_alloc_end())
 *                     break;                      it worked: err is 0
 *             ck_assert_int_eq(err, -ENOMEM);     and nothing is half made
 *             ck_assert_int_eq(fail_alloc_held(), 0);
 *     }
 *
 * Nothing of Check may run between fail_alloc_at() and fail_alloc_end(): it allocates too.
 * Built with the address sanitizer (which has its own malloc) nothing ever fails.
 */
#ifndef RF_TEST_FAIL_ALLOC_H
#define RF_TEST_FAIL_ALLOC_H

#include <stdbool.h>

/* The n-th allocation of this thread from now on fails, once. 0: none. */
void fail_alloc_at(unsigned n);
/* No allocation fails any more. Returns whether one did. */
bool fail_alloc_end(void);
/* Allocations of this thread that were made after fail_alloc_at() and not freed until
 * fail_alloc_end(). */
long fail_alloc_held(void);

#endif
