/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocator of test programs: glibc's, with a counter in front. Defining malloc(3) in the
 * program is what glibc documents for replacing it; its own names do the work.
 */
#include "tests/lib/fail_alloc.h"

#include <errno.h>
#include <stdlib.h>

static _Thread_local unsigned left; /* allocations until one fails; 0: none will */
static _Thread_local bool failed;
static _Thread_local long held, held_at_end;

void fail_alloc_at(unsigned n)
{
	failed = false;
	held = 0;
	left = n;
}

bool fail_alloc_end(void)
{
	left = 0;
	held_at_end = held;
	return failed;
}

long fail_alloc_held(void)
{
	return held_at_end;
}

#if !defined(__SANITIZE_ADDRESS__)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static bool now(void)
{
	if (left == 0 || --left > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	void *p = now() ? NULL : __libc_malloc(size);

	held += p != NULL;
	return p;
}

void *calloc(size_t n, size_t size)
{
	void *p = now() ? NULL : __libc_calloc(n, size);

	held += p != NULL;
	return p;
}

void *realloc(void *old, size_t size)
{
	void *p = now() ? NULL : __libc_realloc(old, size);

	held += p != NULL && old == NULL;
	return p;
}

void free(void *p)
{
	held -= p != NULL;
	__libc_free(p);
}

#endif
