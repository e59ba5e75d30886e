/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views of bytes. Everything here looks at lengths first and never for a NUL, and folds only ASCII
 * letters: the tokens of SIP know no locale, and tolower(3) would ask for one.
 */
#include "core/base/str.h"

#include <stdint.h>
#include <stdlib.h>

static bool same_folded(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && char_lower(a[i]) != char_lower(b[i]))
			return false;
	return true;
}

bool str_ieq(struct str a, struct str b)
{
	return a.n == b.n && same_folded(a.s, b.s, a.n);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.s, b.s, n) : 0;

	if (d)
		return d;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.s, prefix.s, prefix.n) == 0);
}

bool str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && same_folded(s.s, prefix.s, prefix.n);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.s + (s.n - suffix.n), suffix.s, suffix.n) == 0);
}

ptrdiff_t str_find(struct str hay, struct str needle)
{
	const char *p;

	if (needle.n == 0)
		return 0;
	if (needle.n > hay.n)
		return -1;
	p = memmem(hay.s, hay.n, needle.s, needle.n);
	return p ? p - hay.s : -1;
}

ptrdiff_t str_ifind(struct str hay, struct str needle)
{
	if (needle.n == 0)
		return 0;
	if (needle.n > hay.n)
		return -1;
	for (size_t i = 0; i <= hay.n - needle.n; i++)
		if (same_folded(hay.s + i, needle.s, needle.n))
			return (ptrdiff_t)i;
	return -1;
}

ptrdiff_t str_find_char(struct str s, char c)
{
	const char *p = s.n ? memchr(s.s, c, s.n) : NULL;

	return p ? p - s.s : -1;
}

ptrdiff_t str_rfind_char(struct str s, char c)
{
	const char *p = s.n ? memrchr(s.s, c, s.n) : NULL;

	return p ? p - s.s : -1;
}

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n > 0 && is_blank(s.s[0])) {
		s.s++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.s[s.n - 1]))
		s.n--;
	return s;
}

struct str str_sub(struct str s, size_t off, size_t n)
{
	if (off > s.n)
		off = s.n;
	if (n > s.n - off)
		n = s.n - off;
	return str_of(s.s ? s.s + off : NULL, n);
}

void str_lower(struct str s, char *out)
{
	for (size_t i = 0; i < s.n; i++)
		out[i] = char_lower(s.s[i]);
}

struct str str_heap_dup(struct str s)
{
	char *p = s.n < SIZE_MAX ? malloc(s.n + 1) : NULL;

	if (!p)
		return STR_NULL;
	if (s.n > 0)
		memcpy(p, s.s, s.n);
	p[s.n] = '\0';
	return str_of(p, s.n);
}

bool str_eq_secret(struct str a, struct str b)
{
	volatile unsigned char diff = 0; /* volatile: the compiler may not leave early */

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		diff = (unsigned char)(diff | ((unsigned char)a.s[i] ^ (unsigned char)b.s[i]));
	return diff == 0;
}
