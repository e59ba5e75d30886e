/* SPDX-License-Identifier: BSD-2-Clause */
/* After a death: lists, counts and magazines are made again from the state bytes, and what the dead process had in hand is freed. */
#include <stdlib.h>

#include "shm/slab_priv.h"

/* Makes lists and counts of one span from its state bytes. */
static int span_rebuild(struct shm_depot *d, uint32_t page, unsigned cls)
{
	const struct slab_class *c = &slab_classes[cls];
	struct shm_span *s = slab_span_at(page);
	uint32_t top = c->n_objs;

	while (top > 0 && slab_state_load(s, top - 1) == SHM_STATE_FREE)
		top--;
	s->cls = cls;
	s->n_objs = c->n_objs;
	s->n_bump = top;
	s->n_free = c->n_objs - top;
	s->free_head = 0;
	s->on_list = 0;
	for (uint32_t i = top; i-- > 0;) {
		if (slab_state_load(s, i) != SHM_STATE_FREE)
			continue;
		*slab_link_of(page, c, i) = s->free_head;
		s->free_head = i + 1;
		s->n_free++;
	}
	d->n_spans++;
	d->n_free += s->n_free;
	if (s->n_free > 0)
		slab_partial_push(d, page);
	return 0;
}

/* Whether page is the first of a span of this class; steady while the depot's lock is held. */
bool slab_is_span_of(uint32_t page, unsigned cls)
{
	uint64_t w = slab_word_of(page);

	return shm_word_kind(w) == SHM_PAGE_SLAB && shm_word_class(w) == cls;
}

int shm_depot_rebuild(unsigned cls)
{
	struct shm_depot *d = &SHM_ARENA->depot[cls];
	uint32_t *pages, n;
	int err;

	shm_lock_acquire(&d->lock, SHM_RANK_SLAB);
	err = shm_pages_collect(&pages, &n);
	if (err == 0) {
		d->partial = d->n_free = d->n_spans = 0;
		for (uint32_t i = 0; i < n; i++)
			if (slab_is_span_of(pages[i], cls))
				err = span_rebuild(d, pages[i], cls);
		free(pages);
	}
	shm_lock_release(&d->lock);
	return err;
}

/* How many objects of the span are in state a or b. */
uint32_t slab_span_count(uint32_t page, unsigned cls, uint8_t a, uint8_t b)
{
	const struct shm_span *s = slab_span_at(page);
	uint32_t n = 0;

	for (uint32_t i = 0; i < slab_classes[cls].n_objs; i++)
		n += slab_state_load(s, i) == a || slab_state_load(s, i) == b;
	return n;
}

int64_t shm_limbo_count(unsigned slot)
{
	uint8_t limbo = SHM_STATE_LIMBO(slot);
	uint32_t *pages, n;
	int64_t count = 0;
	int err = shm_pages_collect(&pages, &n);

	if (err < 0)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t w = slab_word_of(pages[i]);
		unsigned cls = shm_word_class(w);

		if (shm_word_kind(w) == SHM_PAGE_LARGE) {
			count += shm_word_state(w) == limbo;
		} else if (shm_word_kind(w) == SHM_PAGE_SLAB) {
			shm_lock_acquire(&SHM_ARENA->depot[cls].lock, SHM_RANK_SLAB);
			if (slab_is_span_of(pages[i], cls))
				count += slab_span_count(pages[i], cls, limbo, limbo);
			shm_lock_release(&SHM_ARENA->depot[cls].lock);
		}
	}
	free(pages);
	return count;
}

static void owned_free_in_span(uint32_t page, unsigned cls, unsigned slot)
{
	struct shm_depot *d = &SHM_ARENA->depot[cls];
	const struct slab_class *c = &slab_classes[cls];
	uint32_t left;

	shm_lock_acquire(&d->lock, SHM_RANK_SLAB);
	left = slab_is_span_of(page, cls) ? slab_span_count(page, cls, SHM_STATE_LIMBO(slot), SHM_STATE_CACHED(slot)) : 0;
	for (uint32_t i = 0; left > 0 && i < c->n_objs; i++) {
		uint8_t state = slab_state_load(slab_span_at(page), i);

		if (state != SHM_STATE_LIMBO(slot) && state != SHM_STATE_CACHED(slot))
			continue;
		left--; /* the last one may take the span with it */
		slab_span_put(d, page, c, i);
	}
	shm_lock_release(&d->lock);
}

int shm_owned_free(unsigned slot)
{
	uint32_t *pages, n;
	int err = shm_pages_collect(&pages, &n);

	if (err < 0)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t w = slab_word_of(pages[i]);

		if (shm_word_kind(w) == SHM_PAGE_SLAB)
			owned_free_in_span(pages[i], shm_word_class(w), slot);
		else if (shm_word_kind(w) == SHM_PAGE_LARGE && shm_word_state(w) == SHM_STATE_LIMBO(slot))
			slab_large_free(pages[i], shm_word_n(w));
	}
	free(pages);
	for (unsigned cls = 0; cls < SHM_CLASSES; cls++)
		if (SHM_ARENA->slot[slot].mag_used[cls / 64] >> cls % 64 & 1)
			SHM_ARENA->mag[slot][cls].n = 0;
	SHM_ARENA->slot[slot].mag_used[0] = SHM_ARENA->slot[slot].mag_used[1] = 0;
	return 0;
}
