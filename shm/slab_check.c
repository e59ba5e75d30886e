/* SPDX-License-Identifier: BSD-2-Clause */
/* Do the lists and counts say what the state bytes say? And numbers for people. */
#include <errno.h>
#include <stdlib.h>

#include "shm/slab_priv.h"

static int span_check(const struct shm_depot *d, uint32_t page, unsigned cls, uint32_t *n_free)
{
	const struct slab_class *c = &slab_classes[cls];
	const struct shm_span *s = slab_span_at(page);
	uint32_t free_bytes = slab_span_count(page, cls, SHM_STATE_FREE, SHM_STATE_FREE), listed = 0;

	if (s->cls != cls || s->n_objs != c->n_objs || s->n_bump > s->n_objs || s->n_free != free_bytes)
		return -EUCLEAN;
	for (uint32_t i = s->n_bump; i < s->n_objs; i++)
		if (slab_state_load(s, i) != SHM_STATE_FREE)
			return -EUCLEAN;
	for (uint32_t i = s->free_head; i; i = *slab_link_of(page, c, i - 1), listed++)
		if (i > s->n_bump || listed > s->n_objs || slab_state_load(s, i - 1) != SHM_STATE_FREE)
			return -EUCLEAN;
	if (listed + (s->n_objs - s->n_bump) != s->n_free || s->on_list != (s->n_free > 0))
		return -EUCLEAN;
	if (s->on_list && s->prev == SLAB_SPAN_NONE && d->partial != page)
		return -EUCLEAN;
	*n_free += s->n_free;
	return 0;
}

int shm_depot_check(unsigned cls)
{
	struct shm_depot *d = &SHM_ARENA->depot[cls];
	uint32_t *pages, n, n_free = 0, n_spans = 0, n_partial = 0, prev = SLAB_SPAN_NONE;
	int err;

	shm_lock_acquire(&d->lock, SHM_RANK_SLAB);
	err = shm_pages_collect(&pages, &n);
	if (err < 0)
		goto out;
	for (uint32_t i = 0; i < n && err == 0; i++) {
		if (!slab_is_span_of(pages[i], cls))
			continue;
		n_spans++;
		n_partial += slab_span_at(pages[i])->n_free > 0;
		err = span_check(d, pages[i], cls, &n_free);
	}
	free(pages);
	for (uint32_t page = d->partial; page && err == 0; prev = page, page = slab_span_at(page)->next)
		if (!slab_is_span_of(page, cls) || slab_span_at(page)->prev != prev || n_partial-- == 0)
			err = -EUCLEAN;
	if (err == 0 && (n_partial != 0 || n_free != d->n_free || n_spans != d->n_spans))
		err = -EUCLEAN;
out:
	shm_lock_release(&d->lock);
	return err;
}

int shm_slab_check(void)
{
	int err = shm_pages_check();

	for (unsigned cls = 0; err == 0 && cls < SHM_CLASSES; cls++)
		if (SHM_ARENA->depot[cls].n_spans > 0)
			err = shm_depot_check(cls);
	return err;
}

/* Live, free, or owned by a slot that somebody has. */
static bool accounted(uint8_t state)
{
	unsigned slot;

	if (state == SHM_STATE_FREE || state == SHM_STATE_LIVE)
		return true;
	slot = state >= 128 ? state - 128u : state - 1u;
	return slot < SHM_SLOTS_MAX && atomic_load(&SHM_ARENA->slot[slot].state) == SHM_SLOT_ACTIVE;
}

uint64_t shm_arena_leaked(void)
{
	uint32_t *pages, n;
	uint64_t leaked = 0;

	if (shm_pages_collect(&pages, &n) < 0)
		return UINT64_MAX;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t w = slab_word_of(pages[i]);
		unsigned cls = shm_word_class(w);

		if (shm_word_kind(w) == SHM_PAGE_LARGE) {
			leaked += !accounted(shm_word_state(w));
			continue;
		}
		if (shm_word_kind(w) != SHM_PAGE_SLAB)
			continue;
		shm_lock_acquire(&SHM_ARENA->depot[cls].lock, SHM_RANK_SLAB);
		for (uint32_t j = 0; slab_is_span_of(pages[i], cls) && j < slab_classes[cls].n_objs; j++)
			leaked += !accounted(slab_state_load(slab_span_at(pages[i]), j));
		shm_lock_release(&SHM_ARENA->depot[cls].lock);
	}
	free(pages);
	return leaked;
}

void shm_arena_stats(struct shm_stats *ret_stats)
{
	const struct shm_arena *a = SHM_ARENA;
	uint32_t n_slots = atomic_load(&a->n_slots_seen);
	struct shm_stats st = { .ceiling_bytes = a->ceiling_bytes };
	uint64_t pages_bytes = (uint64_t)a->pages.n_used << SHM_PAGE_SHIFT, idle = 0, small_pages = 0;

	/* Read without locks: numbers for people, good to within what changes meanwhile. */
	for (unsigned cls = 0; cls < SHM_CLASSES; cls++) {
		uint64_t n_free = a->depot[cls].n_free, n_spans = a->depot[cls].n_spans;

		if (n_spans == 0)
			continue;
		for (uint32_t i = 0; i < n_slots; i++)
			if (a->slot[i].mag_used[cls / 64] >> cls % 64 & 1)
				n_free += a->mag[i][cls].n;
		st.n_spans += n_spans;
		small_pages += n_spans * slab_classes[cls].pages;
		if (n_spans * slab_classes[cls].n_objs > n_free)
			st.n_objects += n_spans * slab_classes[cls].n_objs - n_free;
		idle += n_free * slab_classes[cls].size;
	}
	st.used_bytes = pages_bytes > idle ? pages_bytes - idle : 0;
	st.free_bytes = a->ceiling_bytes > st.used_bytes ? a->ceiling_bytes - st.used_bytes : 0;
	st.max_used_bytes = (uint64_t)a->pages.max_used << SHM_PAGE_SHIFT;
	shm_arena_committed(&st.committed_bytes);
	st.n_large_pages = a->pages.n_used > small_pages ? a->pages.n_used - small_pages : 0;
	*ret_stats = st;
}
