/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of one message. Allocation moves a pointer in the current chunk; when it is full the next
 * kept chunk is taken, or a new one twice as large made. A reset goes back to the first chunk and
 * keeps 64 KiB of them, which is what nearly every message needs: so the steady state makes no
 * malloc.
 *
 * Built with the address sanitizer, what is not allocated is poisoned and a gap is left behind
 * every object, so that an over-read of a parsed piece is caught although it comes from one big
 * chunk.
 */
#include "core/base/pool.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/fail.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif

#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#define GAP ((size_t)16)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define GAP ((size_t)0)
#endif

#define ALIGN ((size_t)16)
#define CHUNK_MIN ((size_t)8 * 1024)
#define CHUNK_MAX ((size_t)256 * 1024)
#define KEEP_BYTES ((size_t)64 * 1024)

struct chunk {
	struct chunk *next;
	size_t size; /* bytes of data */
	char data[];
};

_Static_assert(offsetof(struct chunk, data) % 16 == 0, "chunk data must be aligned");

struct ending {
	struct ending *next;
	void (*fn)(void *arg);
	void *arg;
};

struct pool {
	char *at, *end;            /* what is free of cur; NULL without one */
	struct chunk *first, *cur; /* chunks after cur are empty */
	struct ending *endings;    /* in the chunks; last registered first */
	size_t limit, held;        /* bytes of data in all chunks */
	size_t used_before;        /* bytes allocated from chunks before cur */
};

struct pool *pool_new(size_t limit_bytes)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool)
		pool->limit = limit_bytes;
	return pool;
}

/* Allocations come from c now, from its start. */
static void use(struct pool *pool, struct chunk *c)
{
	pool->cur = c;
	pool->at = c ? c->data : NULL;
	pool->end = c ? c->data + c->size : NULL;
}

/* Frees the chunks from *link on. */
static void drop_chunks(struct pool *pool, struct chunk **link)
{
	struct chunk *c = *link;

	*link = NULL;
	while (c) {
		struct chunk *next = c->next;

		pool->held -= c->size;
		UNPOISON(c->data, c->size);
		free(c);
		c = next;
	}
}

static void end_all(struct pool *pool)
{
	struct ending *e = pool->endings;

	pool->endings = NULL;
	for (; e; e = e->next)
		e->fn(e->arg);
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	end_all(pool);
	drop_chunks(pool, &pool->first);
	free(pool);
}

void pool_reset(struct pool *pool)
{
	struct chunk **link = &pool->first;
	size_t kept = 0;

	if (UNLIKELY(pool->endings != NULL))
		end_all(pool);
	while (*link && kept + (*link)->size <= KEEP_BYTES) {
		kept += (*link)->size;
		POISON((*link)->data, (*link)->size);
		link = &(*link)->next;
	}
	drop_chunks(pool, link);
	pool->used_before = 0;
	use(pool, pool->first);
}

static inline size_t round_up(size_t n)
{
	return (n + (ALIGN - 1)) & ~(ALIGN - 1);
}

/* Makes cur a chunk with room for `need` bytes. */
static COLD bool more(struct pool *pool, size_t need)
{
	struct chunk **link = pool->cur ? &pool->cur->next : &pool->first;
	struct chunk *c = *link;
	size_t used = pool_used(pool), size;

	if (c && c->size >= need) {
		pool->used_before = used;
		use(pool, c);
		return true;
	}
	if (need > pool->limit)
		return false;
	if (pool->limit - pool->held < need) { /* what was kept is too small for this */
		if (used == 0) {
			link = &pool->first;
			use(pool, NULL);
		}
		drop_chunks(pool, link);
	}
	if (pool->limit - pool->held < need)
		return false;
	size = pool->held < CHUNK_MIN ? CHUNK_MIN : pool->held;
	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (size < need)
		size = need;
	if (size > pool->limit - pool->held)
		size = pool->limit - pool->held;
	c = malloc(sizeof(*c) + size);
	if (!c)
		return false;
	c->size = size;
	c->next = *link;
	*link = c;
	pool->held += size;
	pool->used_before = used;
	use(pool, c);
	POISON(c->data, c->size);
	return true;
}

/* ---- for tests ---- */

static struct shm_fail fail;

int pool_fail_at(unsigned n)
{
	return shm_fail_at(&fail, n);
}

bool pool_fail_end(void)
{
	return shm_fail_end(&fail);
}

void *pool_alloc(struct pool *pool, size_t size)
{
	size_t need = round_up(size ? size : 1) + GAP;
	char *p;

	if (size > SIZE_MAX / 2 || UNLIKELY(shm_fail_now(&fail)))
		return NULL;
	if (UNLIKELY((size_t)(pool->end - pool->at) < need) && !more(pool, need))
		return NULL;
	p = pool->at;
	pool->at = p + need;
	UNPOISON(p, size);
	return p;
}

void *pool_zalloc(struct pool *pool, size_t size)
{
	void *p = pool_alloc(pool, size);

	if (p)
		memset(p, 0, size);
	return p;
}

void *pool_grow(struct pool *pool, void *p, size_t old_size, size_t new_size)
{
	size_t old_need, new_need;
	void *q;

	if (!p)
		return pool_alloc(pool, new_size);
	if (new_size <= old_size)
		return p;
	if (new_size > SIZE_MAX / 2)
		return NULL;
	old_need = round_up(old_size ? old_size : 1) + GAP;
	new_need = round_up(new_size) + GAP;
	if ((char *)p + old_need == pool->at && (size_t)(pool->end - pool->at) >= new_need - old_need) {
		pool->at += new_need - old_need;
		UNPOISON(p, new_size);
		return p;
	}
	q = pool_alloc(pool, new_size);
	if (q && old_size)
		memcpy(q, p, old_size);
	return q;
}

struct str str_dup(struct pool *pool, struct str s)
{
	char *p = s.n < SIZE_MAX ? pool_alloc(pool, s.n + 1) : NULL;

	if (!p)
		return STR_NULL;
	if (s.n)
		memcpy(p, s.s, s.n);
	p[s.n] = '\0';
	return str_of(p, s.n);
}

int pool_printf(struct pool *pool, struct str *ret, const char *fmt, ...)
{
	char tmp[256];
	va_list ap;
	size_t n;
	char *p;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	if (len < 0)
		return -EINVAL;
	n = (size_t)len;
	p = pool_alloc(pool, n + 1);
	if (!p)
		return -ENOMEM;
	if (n < sizeof(tmp)) {
		memcpy(p, tmp, n + 1);
	} else {
		va_start(ap, fmt);
		len = vsnprintf(p, n + 1, fmt, ap);
		va_end(ap);
		assert(len >= 0 && (size_t)len == n);
	}
	*ret = str_of(p, n);
	return 0;
}

int pool_on_end(struct pool *pool, void (*fn)(void *arg), void *arg)
{
	struct ending *e = pool_alloc(pool, sizeof(*e));

	if (!e)
		return -ENOMEM;
	*e = (struct ending){ .next = pool->endings, .fn = fn, .arg = arg };
	pool->endings = e;
	return 0;
}

size_t pool_used(const struct pool *pool)
{
	return pool->used_before + (pool->cur ? (size_t)(pool->at - pool->cur->data) : 0);
}
