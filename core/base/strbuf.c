/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds bytes up to a maximum. Callers add without looking and ask once at the end whether all of
 * it fitted: after the first piece that does not fit nothing more is written, so the result is
 * never one with a hole. Three places to build in: the heap, a message's pool, or memory of the
 * caller.
 */
#include "core/base/strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/num.h"
#include "core/base/pool.h"

#define FIRST_BYTES ((size_t)256)

void strbuf_init(struct strbuf *sb, size_t max)
{
	*sb = (struct strbuf){ .max = max };
}

void strbuf_init_pool(struct strbuf *sb, struct pool *pool, size_t max)
{
	*sb = (struct strbuf){ .max = max, .pool = pool };
}

void strbuf_init_fixed(struct strbuf *sb, char *mem, size_t cap)
{
	*sb = (struct strbuf){ .p = mem, .cap = cap, .max = cap, .fixed = true };
}

void strbuf_done(struct strbuf *sb)
{
	if (!sb->fixed && !sb->pool)
		free(sb->p);
	*sb = (struct strbuf){ .failed = true };
}

/* Room for n more bytes, plus one for a NUL in memory that we own ourselves. */
static bool make_room(struct strbuf *sb, size_t n)
{
	size_t want, spare = sb->fixed ? 0 : 1;
	char *p;

	if (sb->failed)
		return false;
	if (n > sb->max - sb->n)
		goto fail;
	if (sb->n + n + spare <= sb->cap)
		return true;
	if (sb->fixed || sb->max == SIZE_MAX)
		goto fail;
	want = sb->cap < FIRST_BYTES ? FIRST_BYTES : sb->cap;
	while (want < sb->n + n + spare)
		want = want > SIZE_MAX / 2 ? sb->max + 1 : want * 2;
	if (want > sb->max + 1)
		want = sb->max + 1;
	p = sb->pool ? pool_grow(sb->pool, sb->p, sb->cap, want) : realloc(sb->p, want);
	if (!p)
		goto fail;
	sb->p = p;
	sb->cap = want;
	return true;
fail:
	sb->failed = true;
	return false;
}

/* What is allocated never exceeds the maximum by more than the NUL. */
static inline bool room(struct strbuf *sb, size_t n)
{
	return LIKELY(n < sb->cap - sb->n && !sb->failed) || make_room(sb, n);
}

void strbuf_add(struct strbuf *sb, struct str s)
{
	if (!room(sb, s.n) || s.n == 0)
		return;
	memcpy(sb->p + sb->n, s.s, s.n);
	sb->n += s.n;
}

void strbuf_add_char(struct strbuf *sb, char c)
{
	if (room(sb, 1))
		sb->p[sb->n++] = c;
}

void strbuf_add_u64(struct strbuf *sb, uint64_t v)
{
	char tmp[NUM_DEC_MAX];
	size_t at = sizeof(tmp);

	do {
		tmp[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	strbuf_add(sb, str_of(tmp + at, sizeof(tmp) - at));
}

void strbuf_add_i64(struct strbuf *sb, int64_t v)
{
	char tmp[NUM_DEC_MAX];

	strbuf_add(sb, str_of(tmp, num_dec(v, tmp)));
}

void strbuf_add_hex(struct strbuf *sb, const void *bytes, size_t n)
{
	if (n > SIZE_MAX / 2 || !room(sb, n * 2))
		return;
	(void)num_hex_of(bytes, n, sb->p + sb->n);
	sb->n += n * 2;
}

void strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	char tmp[512];
	va_list ap;
	size_t n;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	if (len < 0) {
		sb->failed = true;
		return;
	}
	n = (size_t)len;
	if (n < sizeof(tmp)) {
		strbuf_add(sb, str_of(tmp, n));
		return;
	}
	if (!room(sb, n))
		return;
	if (sb->cap - sb->n <= n) { /* fixed memory without a byte to spare for the NUL */
		sb->failed = true;
		return;
	}
	va_start(ap, fmt);
	len = vsnprintf(sb->p + sb->n, sb->cap - sb->n, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len != n)
		sb->failed = true;
	else
		sb->n += n;
}

struct str strbuf_str(const struct strbuf *sb)
{
	return str_of(sb->p, sb->n);
}

int strbuf_err(const struct strbuf *sb)
{
	return sb->failed ? -EMSGSIZE : 0;
}

char *strbuf_take(struct strbuf *sb)
{
	char *p = NULL;

	if (!sb->fixed && !sb->pool && room(sb, 0)) {
		p = sb->p;
		p[sb->n] = '\0';
		sb->p = NULL;
	}
	strbuf_done(sb);
	return p;
}
