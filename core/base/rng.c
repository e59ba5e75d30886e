/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes from the kernel, a block at a time: branch parameters and tags take a few bytes per
 * message and a system call for each would show. Bytes are erased as they are handed out. A child
 * must never repeat its parent's, so fork(2) empties the block; threads have one each.
 */
#include "core/base/rng.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BLOCK 512u

static _Thread_local uint8_t block[BLOCK];
static _Thread_local size_t left; /* unused bytes, at the end of the block */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void forget(void)
{
	explicit_bzero(block, sizeof(block));
	left = 0;
}

static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, forget) != 0)
		abort();
}

static void from_kernel(uint8_t *out, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(out, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		out += got;
		n -= (size_t)got;
	}
}

void rng_bytes(void *out, size_t n)
{
	uint8_t *src;

	if (n == 0)
		return;
	if (n > BLOCK / 2) {
		from_kernel(out, n);
		return;
	}
	if (left < n) {
		if (pthread_once(&once, watch_forks) != 0)
			abort();
		from_kernel(block, BLOCK);
		left = BLOCK;
	}
	src = block + (BLOCK - left);
	memcpy(out, src, n);
	explicit_bzero(src, n);
	left -= n;
}

uint64_t rng_u64(void)
{
	uint64_t v;

	rng_bytes(&v, sizeof(v));
	return v;
}

uint32_t rng_below(uint32_t bound)
{
	uint32_t low = bound ? (0u - bound) % bound : 0; /* 2^32 mod bound: values refused */
	uint32_t v;

	if (bound == 0)
		abort();
	do
		rng_bytes(&v, sizeof(v));
	while (v < low);
	return v % bound;
}
