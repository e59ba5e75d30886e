/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Known names, looked up after the token is cut out. Two ways: a short const table in the order of
 * keyword_find(), or any table indexed once at start-up, where a look-up costs one hash and one compare.
 */
#ifndef RF_BASE_KEYWORD_H
#define RF_BASE_KEYWORD_H

#include "core/base/str.h"

struct keyword {
	const char *name;
	int id; /* not negative */
};

/*
 * table: n entries sorted by strcasecmp() on the name, whichever of the two is used.
 * Returns the id, or -1. Names that differ only in case need keyword_ifind().
 */
int keyword_find(const struct keyword *table, size_t n, struct str name);
int keyword_ifind(const struct keyword *table, size_t n, struct str name); /* ASCII case folded */
/* True when the table is sorted as keyword_find() needs it. For tests. */
bool keyword_table_sound(const struct keyword *table, size_t n);

struct keyword_index {
	const char *table; /* n rows of `stride` bytes, each with its name at name_off */
	size_t n, stride, name_off;
	uint16_t *slots; /* row + 1; 0: none */
	uint32_t mask, seed;
	bool icase;
};

/*
 * Indexes the rows of a table: each has its name (const char *) at name_off; rows whose name is NULL are
 * skipped. n: at most 4096. The table must outlive the index.
 * Returns 0; -EEXIST when two names are equal; -EINVAL, -ENOMEM.
 */
MUST_CHECK int keyword_index_init(struct keyword_index *ix, const void *table, size_t n, size_t stride,
				  size_t name_off, bool icase);
void keyword_index_done(struct keyword_index *ix);
/* The row's number, or -1. */
int keyword_index_find(const struct keyword_index *ix, struct str name);

#endif
