/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A value of the script language: undefined, integer or string. Some variables are strings with an
 * integer side ($rm, $rp, $pr): they compare as text and count as numbers.
 */
#ifndef RF_BASE_VALUE_H
#define RF_BASE_VALUE_H

#include "core/base/str.h"

enum value_kind { VALUE_NULL, VALUE_INT, VALUE_STR };

struct value {
	enum value_kind kind;
	bool has_int;   /* VALUE_STR: i holds its integer side */
	int64_t i;
	struct str s;   /* VALUE_STR only; lives as long as its source says */
};

static inline struct value value_null(void)
{
	return (struct value){ .kind = VALUE_NULL };
}
static inline struct value value_int(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}
static inline struct value value_str(struct str s)
{
	return (struct value){ .kind = VALUE_STR, .s = s };
}
static inline struct value value_str_int(struct str s, int64_t i)
{
	return (struct value){ .kind = VALUE_STR, .has_int = true, .i = i, .s = s };
}
struct pool;
/* Conversions of the language: undefined -> 0 or ""; text -> int may fail with -EBADMSG. */
MUST_CHECK int value_to_int(const struct value *v, int64_t *ret);
/* ints become decimal text in pool. */
MUST_CHECK int value_to_str(const struct value *v, struct pool *pool, struct str *ret);
/* Deep copy: the text moves to pool. */
MUST_CHECK int value_dup(const struct value *v, struct pool *pool, struct value *ret);

#endif
