/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects by size class. A span is one page (four for classes over 8 KiB) holding objects of one
 * class behind one state byte for each, so an object has no header. Objects larger than the largest
 * class are runs of whole pages.
 *
 * Each slot has a magazine per class: the steady state takes from it and puts into it, without a
 * lock. Magazines are filled and emptied in batches under the lock of the class's depot, which lists
 * the spans that have free objects; a span that is wholly free goes back to the pages.
 *
 * The state byte is the truth. Lists, counts and magazines are derived: after a death they are
 * rebuilt from the bytes, so most changes here need no intent: they are one store to one byte.
 */
#include "shm/slab.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/crash.h"
#include "shm/fail.h"
#include "shm/slab_priv.h"

#define PUNCH_PAGES 16u /* a large object from here on gives its memory back to the kernel at once */

struct slab_class slab_classes[SHM_CLASSES];
static uint8_t class_by_grains[SHM_CLASS_SIZE_MAX / SHM_GRAIN + 1];

static uint32_t size_of_class(unsigned cls)
{
	/* 16 to 128 by 16, then 8 steps to each doubling */
	return cls < 8 ? (cls + 1) * 16u : (8u + cls % 8u + 1u) << (cls / 8u + 3u);
}

void shm_classes_init(void)
{
	unsigned cls = 0;

	for (unsigned i = 0; i < SHM_CLASSES; i++) {
		struct slab_class *c = &slab_classes[i];
		uint32_t bytes, align;

		c->size = size_of_class(i);
		align = c->size % 64 == 0 ? 64 : SHM_GRAIN; /* whole cache lines stay whole */
		c->pages = c->size > 8192 ? 4 : 1;
		bytes = c->pages * SHM_PAGE_BYTES - (uint32_t)sizeof(struct shm_span);
		c->n_objs = bytes / (c->size + 1u);
		for (;; c->n_objs--) {
			c->first_off = ((uint32_t)sizeof(struct shm_span) + c->n_objs + align - 1u) & ~(align - 1u);
			if (c->first_off + c->n_objs * c->size <= c->pages * SHM_PAGE_BYTES)
				break;
		}
		c->cap = c->size <= 256 ? SHM_MAG_MAX : c->size <= 1024 ? 32 : c->size <= 4096 ? 16 : c->size <= 8192 ? 8 : 4;
		c->batch = c->cap / 2;
		c->recip = ((uint64_t)1 << 40) / c->size + 1u;
	}
	for (uint32_t g = 0; g < ARRAY_LEN(class_by_grains); g++) {
		while (slab_classes[cls].size < g * SHM_GRAIN)
			cls++;
		class_by_grains[g] = (uint8_t)cls;
	}
}

/* --- the depot's list of spans with free objects; lock held --- */

void slab_partial_push(struct shm_depot *d, uint32_t page)
{
	struct shm_span *s = slab_span_at(page);

	s->prev = SLAB_SPAN_NONE;
	s->next = d->partial;
	s->on_list = 1;
	if (s->next)
		slab_span_at(s->next)->prev = page;
	d->partial = page;
}

static void partial_remove(struct shm_depot *d, uint32_t page)
{
	struct shm_span *s = slab_span_at(page);

	if (s->prev)
		slab_span_at(s->prev)->next = s->next;
	else
		d->partial = s->next;
	if (s->next)
		slab_span_at(s->next)->prev = s->prev;
	s->on_list = 0;
}

/* A fresh span on the list, or 0. Until it is shown as a slab it is a large object in our limbo. */
static uint32_t span_new(struct shm_depot *d, unsigned cls)
{
	const struct slab_class *c = &slab_classes[cls];
	struct shm_span *s;
	uint32_t page;

	shm_lock_acquire(&SHM_ARENA->pages.lock, SHM_RANK_SPAN);
	page = shm_pages_take(c->pages);
	shm_lock_release(&SHM_ARENA->pages.lock);
	if (!page)
		return 0;
	CRASH_POINT("slab.span.new.pages");
	s = slab_span_at(page);
	memset(s, 0, sizeof(*s) + c->n_objs);
	s->cls = cls;
	s->n_objs = s->n_free = c->n_objs;
	slab_word_set(page, shm_page_word(SHM_PAGE_SLAB, 0, cls, c->pages));
	CRASH_POINT("slab.span.new.shown");
	d->n_spans++;
	d->n_free += c->n_objs;
	slab_partial_push(d, page);
	return page;
}

static void span_release(struct shm_depot *d, uint32_t page)
{
	const struct slab_class *c = &slab_classes[slab_span_at(page)->cls];

	CRASH_POINT("slab.span.release.begin");
	if (slab_span_at(page)->on_list)
		partial_remove(d, page);
	d->n_spans--;
	d->n_free -= c->n_objs;
	slab_word_set(page, shm_page_word(SHM_PAGE_LARGE, SHM_STATE_LIMBO(shm_self->index), 0, c->pages));
	CRASH_POINT("slab.span.release.large");
	shm_lock_acquire(&SHM_ARENA->pages.lock, SHM_RANK_SPAN);
	shm_pages_give(page);
	shm_lock_release(&SHM_ARENA->pages.lock);
}

/* One object back to its span. */
void slab_span_put(struct shm_depot *d, uint32_t page, const struct slab_class *c, uint32_t index)
{
	struct shm_span *s = slab_span_at(page);

	slab_state_store(s, index, SHM_STATE_FREE);
	CRASH_POINT("slab.flush.one");
	*slab_link_of(page, c, index) = s->free_head;
	s->free_head = index + 1;
	s->n_free++;
	d->n_free++;
	if (!s->on_list)
		slab_partial_push(d, page);
	/* One span is kept, or a class used by one object at a time would make and drop spans for ever. */
	if (s->n_free == s->n_objs && (d->partial != page || s->next))
		span_release(d, page);
}

/* --- magazines --- */

static COLD __attribute__((noinline)) bool refill(struct shm_mag *mag, unsigned cls)
{
	struct shm_depot *d = &SHM_ARENA->depot[cls];
	const struct slab_class *c = &slab_classes[cls];
	uint8_t cached = SHM_STATE_CACHED(shm_self->index);

	shm_self->mag_used[cls / 64] |= (uint64_t)1 << cls % 64;
	shm_lock_acquire(&d->lock, SHM_RANK_SLAB);
	CRASH_POINT("slab.refill.begin");
	while (mag->n < c->batch) {
		uint32_t page = d->partial, index;
		struct shm_span *s;

		if (!page && (mag->n > 0 || !(page = span_new(d, cls))))
			break;
		s = slab_span_at(page);
		if (s->free_head) {
			index = s->free_head - 1;
			s->free_head = *slab_link_of(page, c, index);
		} else {
			index = s->n_bump++;
		}
		slab_state_store(s, index, cached);
		CRASH_POINT("slab.refill.one");
		if (--s->n_free == 0)
			partial_remove(d, page);
		d->n_free--;
		mag->ref[mag->n++] = shm_ref_of(slab_object_at(page, c, index));
	}
	CRASH_POINT("slab.refill.end");
	shm_lock_release(&d->lock);
	return mag->n > 0;
}

static uint32_t head_page(uint32_t page, uint64_t *ret_word)
{
	uint64_t w = slab_word_of(page);

	if (UNLIKELY(shm_word_kind(w) == SHM_PAGE_BODY)) {
		page = shm_word_n(w);
		w = slab_word_of(page);
	}
	*ret_word = w;
	return page;
}

/* The n that lie longest in the magazine go to the depot. */
static COLD __attribute__((noinline)) void flush(struct shm_mag *mag, unsigned cls, uint32_t n)
{
	struct shm_depot *d = &SHM_ARENA->depot[cls];
	const struct slab_class *c = &slab_classes[cls];

	shm_lock_acquire(&d->lock, SHM_RANK_SLAB);
	for (uint32_t i = 0; i < n; i++) {
		const void *obj = shm_ptr(mag->ref[i]);
		uint64_t w;
		uint32_t page = head_page(shm_page_of(obj), &w);

		slab_span_put(d, page, c, slab_index_in(page, c, obj));
	}
	CRASH_POINT("slab.flush.end");
	shm_lock_release(&d->lock);
	mag->n -= n;
	memmove(&mag->ref[0], &mag->ref[n], mag->n * sizeof(mag->ref[0]));
}

void shm_mags_flush(void)
{
	for (unsigned cls = 0; cls < SHM_CLASSES; cls++) {
		struct shm_mag *mag = &SHM_ARENA->mag[shm_self->index][cls];

		if ((shm_self->mag_used[cls / 64] >> cls % 64 & 1) && mag->n > 0)
			flush(mag, cls, mag->n);
	}
	shm_self->mag_used[0] = shm_self->mag_used[1] = 0;
}

/* --- large objects --- */

static COLD void *large_alloc(size_t size)
{
	uint32_t n = (uint32_t)((size + SHM_PAGE_BYTES - 1) >> SHM_PAGE_SHIFT), page;

	if (size > SHM_ALLOC_MAX)
		return NULL;
	shm_lock_acquire(&SHM_ARENA->pages.lock, SHM_RANK_SPAN);
	page = shm_pages_take(n);
	shm_lock_release(&SHM_ARENA->pages.lock);
	return page ? shm_page_ptr(page) : NULL;
}

COLD void slab_large_free(uint32_t page, uint32_t n)
{
	slab_word_set(page, shm_page_word(SHM_PAGE_LARGE, SHM_STATE_LIMBO(shm_self->index), 0, n));
	if (n >= PUNCH_PAGES)
		(void)madvise(shm_page_ptr(page), (size_t)n << SHM_PAGE_SHIFT, MADV_REMOVE);
	shm_lock_acquire(&SHM_ARENA->pages.lock, SHM_RANK_SPAN);
	shm_pages_give(page);
	shm_lock_release(&SHM_ARENA->pages.lock);
}

/* --- the interface --- */

static struct shm_fail fail;

int shm_alloc_fail_at(unsigned n)
{
	return shm_fail_at(&fail, n);
}

bool shm_alloc_fail_end(void)
{
	return shm_fail_end(&fail);
}

static uint64_t n_refused; /* of this process */

uint64_t shm_alloc_refused(void)
{
	return n_refused;
}

HOT void *shm_alloc(size_t size)
{
	struct shm_slot *self = shm_self;
	unsigned cls;
	struct shm_mag *mag;
	uint32_t page;
	char *obj;

	assert(self && size > 0);
	if (UNLIKELY(shm_fail_now(&fail)))
		return NULL;
	if (UNLIKELY(size > SHM_CLASS_SIZE_MAX)) {
		obj = large_alloc(size);
		n_refused += !obj;
		return obj;
	}
	cls = class_by_grains[(size + SHM_GRAIN - 1) / SHM_GRAIN];
	mag = &SHM_ARENA->mag[self->index][cls];
	if (UNLIKELY(mag->n == 0) && !refill(mag, cls)) {
		n_refused++;
		return NULL;
	}
	obj = shm_ptr(mag->ref[mag->n - 1]);
	page = shm_page_of(obj);
	if (UNLIKELY(slab_classes[cls].pages > 1)) {
		uint64_t w;

		page = head_page(page, &w);
	}
	slab_state_store(slab_span_at(page), slab_index_in(page, &slab_classes[cls], obj), SHM_STATE_LIMBO(self->index));
	CRASH_POINT("slab.alloc.taken");
	mag->n--;
	return obj;
}

void *shm_zalloc(size_t size)
{
	void *p = shm_alloc(size);

	if (p)
		memset(p, 0, size);
	return p;
}

HOT void shm_free(void *obj)
{
	struct shm_slot *self = shm_self;
	struct shm_mag *mag;
	uint64_t w;
	uint32_t page, index;
	unsigned cls;
	uint8_t state;

	if (!obj)
		return;
	assert(self && shm_inside(shm_off(obj)));
	page = head_page(shm_page_of(obj), &w);
	if (UNLIKELY(self->firing) && (uintptr_t)shm_ptr(self->firing) - (uintptr_t)obj < shm_size_of(obj))
		self->firing = SHM_NONE; /* the handler frees its own object: nothing to fire again */
	if (UNLIKELY(shm_word_kind(w) != SHM_PAGE_SLAB)) {
		state = shm_word_state(w);
		assert(shm_word_kind(w) == SHM_PAGE_LARGE && obj == shm_page_ptr(page));
		assert(state == SHM_STATE_LIVE || (state > 0 && state <= SHM_SLOTS_MAX));
		slab_large_free(page, shm_word_n(w));
		return;
	}
	cls = shm_word_class(w);
	index = slab_index_in(page, &slab_classes[cls], obj);
	state = slab_state_load(slab_span_at(page), index);
	/* Freed twice, or not an object: going on would give one object to two owners. */
	assert(state == SHM_STATE_LIVE || (state > 0 && state <= SHM_SLOTS_MAX));
	assert((char *)obj == slab_object_at(page, &slab_classes[cls], index));
	mag = &SHM_ARENA->mag[self->index][cls];
	if (UNLIKELY(mag->n == 0))
		self->mag_used[cls / 64] |= (uint64_t)1 << cls % 64;
	else if (UNLIKELY(mag->n == slab_classes[cls].cap))
		flush(mag, cls, slab_classes[cls].batch);
	slab_state_store(slab_span_at(page), index, SHM_STATE_CACHED(self->index));
	CRASH_POINT("slab.free.cached");
	mag->ref[mag->n++] = shm_ref_of(obj);
}

int shm_state_of(const void *p)
{
	uint64_t w;
	uint32_t page, index;
	const struct slab_class *c;

	if (!shm_inside(shm_off(p)) || shm_page_of(p) < SHM_ARENA->pages.first)
		return -1;
	page = head_page(shm_page_of(p), &w);
	if (shm_word_kind(w) == SHM_PAGE_LARGE)
		return shm_word_state(w);
	if (shm_word_kind(w) != SHM_PAGE_SLAB)
		return -1;
	c = &slab_classes[shm_word_class(w)];
	if (shm_off(p) - shm_off(shm_page_ptr(page)) < c->first_off)
		return -1;
	index = slab_index_in(page, c, p);
	return index < c->n_objs ? slab_state_load(slab_span_at(page), index) : -1;
}

HOT void shm_state_set(const void *p, uint8_t state)
{
	uint64_t w;
	uint32_t page;

	assert(shm_inside(shm_off(p)));
	page = head_page(shm_page_of(p), &w);
	if (UNLIKELY(shm_word_kind(w) == SHM_PAGE_LARGE)) {
		slab_word_set(page, shm_page_word(SHM_PAGE_LARGE, state, 0, shm_word_n(w)));
		return;
	}
	assert(shm_word_kind(w) == SHM_PAGE_SLAB);
	slab_state_store(slab_span_at(page), slab_index_in(page, &slab_classes[shm_word_class(w)], p), state);
}

void shm_publish(const void *obj)
{
	shm_state_set(obj, SHM_STATE_LIVE);
}

void shm_retire(const void *obj)
{
	assert(shm_self);
	shm_state_set(obj, SHM_STATE_LIMBO(shm_self->index));
}

size_t shm_size_of(const void *obj)
{
	uint64_t w;

	(void)head_page(shm_page_of(obj), &w);
	if (shm_word_kind(w) == SHM_PAGE_LARGE)
		return (size_t)shm_word_n(w) << SHM_PAGE_SHIFT;
	assert(shm_word_kind(w) == SHM_PAGE_SLAB);
	return slab_classes[shm_word_class(w)].size;
}

bool shm_is_live(const void *obj)
{
	return shm_state_of(obj) == SHM_STATE_LIVE;
}

int shm_limbo_owner(const void *obj)
{
	int state = shm_state_of(obj);

	return state > 0 && state <= (int)SHM_SLOTS_MAX ? state - 1 : -1;
}
