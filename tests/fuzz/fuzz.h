/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets share. Each target is one function that takes any bytes; libFuzzer calls it
 * (tests/fuzz/build.sh), and so does replay_main.c, with which `make check` runs the stored corpus.
 */
#ifndef RF_FUZZ_H
#define RF_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/pool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold for every input; stops the fuzzer, which keeps the input. */
#define fuzz_require(cond)                                                                         \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #cond);   \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* A copy of exactly that size, so that a sanitizer sees each byte read too far. */
static inline struct str fuzz_copy(const void *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	fuzz_require(copy != NULL);
	if (n)
		memcpy(copy, p, n);
	return str_of(copy, n);
}

static inline void fuzz_free(struct str s)
{
	free((void *)(uintptr_t)s.s);
}

/* Every view a parser returns lies inside what it was given. */
static inline int fuzz_inside(struct str view, struct str whole)
{
	return view.n == 0 || (view.s >= whole.s && view.s + view.n <= whole.s + whole.n);
}

#endif
