/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets share. Each target is one function that takes any bytes; libFuzzer calls it
 * (tests/fuzz/run), and so does replay_main.c, with which `make check` runs the stored corpus.
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
/* libFuzzer's; replay_main.c calls neither. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

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

/* An input that is taken apart from the front; at its end all is zero. */
struct fuzz_in {
	const uint8_t *p;
	size_t n;
};

static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++;
}

static inline int64_t fuzz_i64(struct fuzz_in *in)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | fuzz_u8(in);
	return (int64_t)v;
}

/* At most n bytes, in place. */
static inline struct str fuzz_bytes(struct fuzz_in *in, size_t n)
{
	struct str s;

	n = n < in->n ? n : in->n;
	s = str_of(in->p, n);
	in->p += n;
	in->n -= n;
	return s;
}

/* Every view a parser returns lies inside what it was given. */
static inline int fuzz_inside(struct str view, struct str whole)
{
	return view.n == 0 || (view.s >= whole.s && view.s + view.n <= whole.s + whole.n);
}

#endif
