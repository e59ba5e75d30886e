/* SPDX-License-Identifier: BSD-2-Clause */
/* A view of bytes: pointer and length. Owns nothing, need not end in NUL. */
#ifndef RF_BASE_STR_H
#define RF_BASE_STR_H

#include <stdbool.h>
#include <string.h>

#include "shm/defs.h"

struct str {
	const char *s; /* may be NULL only when n is 0 */
	size_t n;
};

#define STR_NULL ((struct str){ NULL, 0 })
#define STR_LIT(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#define STR_FMT(x) (int)(x).n, (x).s /* for "%.*s" */

static inline struct str str_of(const void *s, size_t n)
{
	return (struct str){ s, n };
}
static inline struct str str_lit(const char *z)
{
	return (struct str){ z, z ? strlen(z) : 0 };
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}
/* An ASCII letter in lower case, any other byte as it is. */
static inline char char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
bool str_ieq(struct str a, struct str b); /* ASCII case folded */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Offset of the first occurrence, or -1. */
ptrdiff_t str_find(struct str hay, struct str needle);
ptrdiff_t str_ifind(struct str hay, struct str needle);
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_rfind_char(struct str s, char c);
/* The same bytes, ASCII letters in lower case; out: s.n bytes, s itself or apart from it. */
void str_lower(struct str s, char *out);
struct str str_trim(struct str s); /* SP HTAB CR LF at both ends */
/* [off, off+n), clamped to s. */
struct str str_sub(struct str s, size_t off, size_t n);
/* Copy from malloc(3) with a NUL behind it that n does not count: the caller's, or for ever. s NULL (n 0 too) without memory. */
struct str str_heap_dup(struct str s);
/* True when a and b hold the same bytes; takes the same time wherever they differ (lengths are public). */
bool str_eq_secret(struct str a, struct str b);

#endif
