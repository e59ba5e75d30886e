/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded builder of bytes. Created with its maximum; overflow is remembered, not written. */
#ifndef RF_BASE_STRBUF_H
#define RF_BASE_STRBUF_H

#include "core/base/str.h"

struct pool;

struct strbuf {
	char *p;
	size_t n, cap, max; /* bytes used, allocated, allowed */
	struct pool *pool;  /* NULL: heap, or fixed when max == cap at start */
	bool fixed, failed;
};

void strbuf_init(struct strbuf *sb, size_t max);                             /* heap; strbuf_done() */
void strbuf_init_pool(struct strbuf *sb, struct pool *pool, size_t max);     /* lives in pool */
void strbuf_init_fixed(struct strbuf *sb, char *mem, size_t cap);            /* caller's memory */
void strbuf_done(struct strbuf *sb);
void strbuf_add(struct strbuf *sb, struct str s);
static inline void strbuf_add_lit(struct strbuf *sb, const char *z) /* the length of a literal is known to the compiler */
{
	strbuf_add(sb, str_lit(z));
}
void strbuf_add_char(struct strbuf *sb, char c);
void strbuf_add_u64(struct strbuf *sb, uint64_t v);
void strbuf_add_i64(struct strbuf *sb, int64_t v);
void strbuf_add_hex(struct strbuf *sb, const void *bytes, size_t n); /* lower case */
void strbuf_printf(struct strbuf *sb, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* View of what was built; valid until the next add. */
struct str strbuf_str(const struct strbuf *sb);
/* 0, or -EMSGSIZE when something did not fit or memory was short. */
MUST_CHECK int strbuf_err(const struct strbuf *sb);
/* Caller owns the NUL-ended result: free(). Heap builders only. NULL when failed. */
MUST_CHECK char *strbuf_take(struct strbuf *sb);

#endif
