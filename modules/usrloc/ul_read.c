/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading contacts. Cells are copied under the lock of their bucket into private scratch memory; views of them in the caller's
 * pool are made afterwards. Walks take the names of a bucket's AoRs first, then one AoR after the other, so no lock covers a
 * bucket while somebody works on what it holds.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "modules/usrloc/ul_store.h"

#define SCRATCH_FIRST (64u * 1024u)
#define SCRATCH_MAX (64u * 1024u * 1024u)
#define CELL_LINES 4u /* of the cache; a usual contact has 200 bytes */

/* Of this process: grows to what the largest AoR needs. */
static struct {
	char *mem;
	size_t cap;
} scratch;

int ul_scratch_grow(size_t need)
{
	size_t cap = scratch.cap ? scratch.cap : SCRATCH_FIRST;
	char *p;

	while (cap < need)
		cap *= 2;
	if (cap > SCRATCH_MAX)
		return -EMSGSIZE;
	if (cap == scratch.cap)
		return 0;
	p = realloc(scratch.mem, cap);
	if (!p)
		return -ENOMEM;
	scratch.mem = p;
	scratch.cap = cap;
	return 0;
}

int ul_scratch_ready(void)
{
	return scratch.mem ? 0 : ul_scratch_grow(SCRATCH_FIRST);
}

static bool cell_wanted(const struct ul_cell *c, enum ul_copy_what what, uint32_t now)
{
	uint8_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

	switch (what) {
	case UL_COPY_VALID:
		return ul_cell_valid(c, now);
	case UL_COPY_LAPSED:
		return state != UL_DELETED;
	case UL_COPY_UNWRITTEN:
		return !(c->flags & UL_F_MEM_ONLY) && (state == UL_DELETED || (state != UL_SYNC && ul_cell_valid(c, now)));
	default:
		return true;
	}
}

/* Returns 0, or the bytes of scratch that it needs. */
size_t ul_copy_locked(struct ul_aor *a, enum ul_copy_what what, uint32_t now, struct ul_copied *ret)
{
	struct ul_copied c = { 0 };

	for (struct ul_cell *cell = ul_cell_first(a); cell; cell = ul_cell_next(cell)) {
		size_t n;

		/* among a million contacts none is in a cache: all of it comes at once, not line by line */
		for (size_t line = 64; line < CELL_LINES * 64; line += 64)
			__builtin_prefetch((const char *)cell + line);
		n = ul_cell_size(cell);

		if (!cell_wanted(cell, what, now))
			continue;
		/* it is about to be sent: from now on the database may have it */
		if (what == UL_COPY_UNWRITTEN && atomic_load_explicit(&cell->state, memory_order_relaxed) == UL_NEW)
			atomic_store_explicit(&cell->state, UL_DIRTY, memory_order_relaxed);
		if (c.bytes + n <= scratch.cap)
			memcpy(scratch.mem + c.bytes, cell, n);
		c.bytes += n + (-n & 7u);
		c.n++;
	}
	if (c.bytes > scratch.cap)
		return c.bytes;
	*ret = c;
	return 0;
}

/* From scratch to the caller's pool. */
int ul_copied_list(const struct ul_copied *copied, struct pool *pool, struct ul_list *ret_list)
{
	struct ul_contact *list;
	char *mem, *ruids;
	size_t off = 0;

	ret_list->n = 0;
	ret_list->c = NULL;
	if (copied->n == 0)
		return 0;
	list = pool_alloc(pool, copied->n * sizeof(*list));
	mem = pool_alloc(pool, copied->bytes + copied->n * UL_RUID_MAX);
	if (!list || !mem)
		return -ENOMEM;
	ruids = mem + copied->bytes;
	memcpy(mem, scratch.mem, copied->bytes);
	for (unsigned i = 0; i < copied->n; i++) {
		const struct ul_cell *cell = (const struct ul_cell *)(const void *)(mem + off);
		size_t n = ul_cell_size(cell);

		ul_cell_view(cell, ruids + (size_t)i * UL_RUID_MAX, &list[i]);
		off += n + (-n & 7u);
	}
	ret_list->c = list;
	ret_list->n = copied->n;
	return 0;
}

static int get(struct ul_domain *d, struct str aor, enum ul_copy_what what, struct pool *pool, struct ul_list *ret_list)
{
	uint32_t hash = hashfn32(aor), now = (uint32_t)clock_wall_s();
	size_t need = scratch.cap ? 0 : SCRATCH_FIRST;

	for (unsigned i = 0; i < 16; i++) {
		struct ul_copied copied = { 0 };
		struct shm_hbucket *b;
		struct ul_aor *a;
		int err;

		if (need) {
			err = ul_scratch_grow(need);
			if (err < 0)
				return err;
		}
		b = shm_hash_lock(d->hash, hash);
		a = ul_aor_find(b, hash, aor);
		need = a ? ul_copy_locked(a, what, now, &copied) : 0;
		shm_hash_unlock(b);
		if (need)
			continue;
		ret_list->aor_hash = hash;
		err = ul_copied_list(&copied, pool, ret_list);
		return err < 0 ? err : copied.n ? 0 : -ENOENT;
	}
	return -EMSGSIZE;
}

int ul_get(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list)
{
	return get(d, aor, UL_COPY_VALID, pool, ret_list);
}

int ul_get_which(struct ul_domain *d, struct str aor, enum ul_which which, struct pool *pool, struct ul_list *ret_list)
{
	return get(d, aor, which == UL_LAPSED_TOO ? UL_COPY_LAPSED : UL_COPY_VALID, pool, ret_list);
}

int ul_get_all(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list)
{
	return get(d, aor, UL_COPY_ALL, pool, ret_list);
}

int ul_get_unwritten(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list)
{
	return get(d, aor, UL_COPY_UNWRITTEN, pool, ret_list);
}

static bool aor_has_ruid(const struct shm_hnode *node, const void *key)
{
	const struct ul_aor *a = CONTAINER_OF(node, const struct ul_aor, node);
	const struct str *ruid = key;

	for (const struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c))
		if (ul_cell_has_ruid(c, *ruid))
			return true;
	return false;
}

int ul_get_ruid(struct ul_domain *d, uint32_t aor_hash, struct str ruid, enum ul_which which, struct pool *pool, struct str *ret_aor,
		struct ul_list *ret_list)
{
	struct shm_hbucket *b = shm_hash_lock(d->hash, aor_hash);
	struct shm_hnode *node = shm_hash_find_locked(b, aor_hash, aor_has_ruid, &ruid);
	char mem[UL_AOR_MAX];
	struct str aor = STR_NULL;

	if (node) {
		struct str t = ul_aor_text(CONTAINER_OF(node, struct ul_aor, node));

		memcpy(mem, t.s, t.n);
		aor = str_of(mem, t.n);
	}
	shm_hash_unlock(b);
	if (!node)
		return -ENOENT;
	*ret_aor = str_dup(pool, aor);
	return ret_aor->s ? ul_get_which(d, *ret_aor, which, pool, ret_list) : -ENOMEM;
}

/* ---- walking ---- */

struct names {
	bool all, dirty_too, conns_too;
	uint32_t now;
	size_t bytes;
	unsigned n, max;
};

static bool aor_has_conn(const struct ul_aor *a)
{
	for (const struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c))
		if (c->conn_id)
			return true;
	return false;
}

/* Names go to scratch, each behind its length. */
static int names_add(struct shm_hnode *node, void *arg)
{
	struct ul_aor *a = CONTAINER_OF(node, struct ul_aor, node);
	struct names *w = arg;
	struct str text = ul_aor_text(a);
	uint16_t n = (uint16_t)text.n;

	if (!w->all && atomic_load_explicit(&a->due, memory_order_relaxed) > w->now &&
	    !(w->dirty_too && atomic_load_explicit(&a->dirty, memory_order_relaxed)) && !(w->conns_too && aor_has_conn(a)))
		return 0;
	if (w->n == w->max || w->bytes + sizeof(n) + n > scratch.cap)
		return 1;
	memcpy(scratch.mem + w->bytes, &n, sizeof(n));
	memcpy(scratch.mem + w->bytes + sizeof(n), text.s, n);
	w->bytes += sizeof(n) + n;
	w->n++;
	return 0;
}

static unsigned names_of(struct ul_domain *d, uint32_t bucket, struct names *w, struct pool *pool, struct str *ret_aors)
{
	size_t off = 0;
	char *mem;

	if (!scratch.mem && ul_scratch_grow(SCRATCH_FIRST) < 0)
		return 0;
	shm_hash_walk(d->hash, bucket, names_add, w);
	if (w->n == 0)
		return 0;
	mem = pool_alloc(pool, w->bytes);
	if (!mem)
		return 0;
	memcpy(mem, scratch.mem, w->bytes);
	for (unsigned i = 0; i < w->n; i++) {
		uint16_t n;

		memcpy(&n, mem + off, sizeof(n));
		ret_aors[i] = str_of(mem + off + sizeof(n), n);
		off += sizeof(n) + n;
	}
	return w->n;
}

unsigned ul_bucket_due(struct ul_domain *d, uint32_t bucket, uint32_t now, bool dirty_too, bool conns_too, struct pool *pool, struct str *ret_aors, unsigned max)
{
	struct names w = { .now = now, .dirty_too = dirty_too, .conns_too = conns_too, .max = max };

	return names_of(d, bucket, &w, pool, ret_aors);
}

static int walk(struct ul_domain *d, uint32_t bucket, enum ul_copy_what what, struct pool *pool, ul_walk_fn *fn, void *arg)
{
	enum { MAX = 512 };
	struct names w = { .all = true, .max = MAX };
	struct str *aors = pool_alloc(pool, MAX * sizeof(*aors));
	unsigned n = aors ? names_of(d, bucket, &w, pool, aors) : 0;

	for (unsigned i = 0; i < n; i++) {
		struct ul_list list;

		if (get(d, aors[i], what, pool, &list) < 0)
			continue;
		for (unsigned j = 0; j < list.n; j++) {
			int err = fn(d, aors[i], &list.c[j], arg);

			if (err)
				return err;
		}
	}
	return 0;
}

int ul_walk(struct ul_domain *d, uint32_t bucket, struct pool *pool, ul_walk_fn *fn, void *arg)
{
	return walk(d, bucket, UL_COPY_VALID, pool, fn, arg);
}

int ul_walk_all(struct ul_domain *d, uint32_t bucket, struct pool *pool, ul_walk_fn *fn, void *arg)
{
	return walk(d, bucket, UL_COPY_ALL, pool, fn, arg);
}
