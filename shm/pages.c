/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of pages of 64 KiB: spans of small objects and large objects are made of them.
 *
 * The truth is the chain of first words (kind and length): starting at the lowest page, each says
 * where the next begins. Taking and giving back change that chain by one store. The bins that find a
 * free run quickly, the tags at the ends of free runs and the counts are derived, and rebuilt when
 * somebody died holding the span lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/shm_priv.h"

#define TRIES 64u /* runs of the bin whose runs may be too short, looked at before a larger one is cut */

static inline uint64_t word_of(uint32_t page)
{
	return atomic_load_explicit(&SHM_ARENA->desc[page].word, memory_order_acquire);
}

static inline void word_set(uint32_t page, uint64_t word)
{
	atomic_store_explicit(&SHM_ARENA->desc[page].word, word, memory_order_release);
}

static unsigned bin_of(uint32_t n)
{
	unsigned b = 31u - (unsigned)__builtin_clz(n);

	return b < SHM_BINS ? b : SHM_BINS - 1u;
}

static void list_push(struct shm_pages *p, uint32_t page, uint32_t n)
{
	struct shm_desc *d = &SHM_ARENA->desc[page];
	unsigned b = bin_of(n);

	d->prev = 0;
	d->next = p->bin[b];
	if (d->next)
		SHM_ARENA->desc[d->next].prev = page;
	p->bin[b] = page;
}

static void list_remove(struct shm_pages *p, uint32_t page, uint32_t n)
{
	struct shm_desc *d = &SHM_ARENA->desc[page];

	if (d->prev)
		SHM_ARENA->desc[d->prev].next = d->next;
	else
		p->bin[bin_of(n)] = d->next;
	if (d->next)
		SHM_ARENA->desc[d->next].prev = d->prev;
}

static void tail_tag(uint32_t page, uint32_t n)
{
	if (n > 1)
		word_set(page + n - 1, shm_page_word(SHM_PAGE_FREE_TAIL, 0, 0, page));
}

void shm_pages_init(uint32_t first, uint32_t end)
{
	struct shm_pages *p = &SHM_ARENA->pages;

	p->first = first;
	p->end = end;
	word_set(first, shm_page_word(SHM_PAGE_FREE, 0, 0, end - first));
	tail_tag(first, end - first);
	list_push(p, first, end - first);
}

static uint32_t find_run(const struct shm_pages *p, uint32_t n)
{
	unsigned b = bin_of(n);
	uint32_t page = p->bin[b];

	for (unsigned i = 0; page && i < TRIES; i++, page = SHM_ARENA->desc[page].next)
		if (shm_word_n(word_of(page)) >= n)
			return page;
	while (++b < SHM_BINS)
		if (p->bin[b])
			return p->bin[b];
	while (page && shm_word_n(word_of(page)) < n) /* before giving up, the rest of them */
		page = SHM_ARENA->desc[page].next;
	return page;
}

uint32_t shm_pages_take(uint32_t n)
{
	struct shm_pages *p = &SHM_ARENA->pages;
	uint32_t page = find_run(p, n), have;

	if (!page)
		return 0;
	have = shm_word_n(word_of(page));
	list_remove(p, page, have);
	CRASH_POINT("pages.take.unlisted");
	if (have > n) {
		word_set(page + n, shm_page_word(SHM_PAGE_FREE, 0, 0, have - n));
		tail_tag(page + n, have - n);
	}
	for (uint32_t i = 1; i < n; i++)
		word_set(page + i, shm_page_word(SHM_PAGE_BODY, 0, 0, page));
	CRASH_POINT("pages.take.rest");
	word_set(page, shm_page_word(SHM_PAGE_LARGE, SHM_STATE_LIMBO(shm_self->index), 0, n)); /* the truth */
	CRASH_POINT("pages.take.done");
	if (have > n)
		list_push(p, page + n, have - n);
	p->n_used += n;
	if (p->n_used > p->max_used)
		p->max_used = p->n_used;
	return page;
}

void shm_pages_give(uint32_t page)
{
	struct shm_pages *p = &SHM_ARENA->pages;
	uint32_t n = shm_word_n(word_of(page)), start = page, before = 0;
	uint64_t w;

	p->n_used -= n;
	if (page + n < p->end) {
		w = word_of(page + n);
		if (shm_word_kind(w) == SHM_PAGE_FREE) {
			list_remove(p, page + n, shm_word_n(w));
			n += shm_word_n(w);
		}
	}
	if (page > p->first) {
		w = word_of(page - 1);
		if (shm_word_kind(w) == SHM_PAGE_FREE)
			start = page - 1;
		else if (shm_word_kind(w) == SHM_PAGE_FREE_TAIL)
			start = shm_word_n(w);
		if (start != page) {
			before = page - start;
			list_remove(p, start, before);
		}
	}
	CRASH_POINT("pages.give.unlisted");
	word_set(start, shm_page_word(SHM_PAGE_FREE, 0, 0, before + n)); /* the truth */
	CRASH_POINT("pages.give.merged");
	if (start != page)
		word_set(page, shm_page_word(SHM_PAGE_NONE, 0, 0, 0));
	tail_tag(start, before + n);
	list_push(p, start, before + n);
}

int shm_pages_rebuild(void)
{
	struct shm_pages *p = &SHM_ARENA->pages;
	uint32_t page, n, more, used = 0;

	memset(p->bin, 0, sizeof(p->bin));
	for (page = p->first; page < p->end; page += n) {
		uint64_t w = word_of(page);

		n = shm_word_n(w);
		if (n == 0 || n > p->end - page)
			return -EUCLEAN;
		if (shm_word_kind(w) != SHM_PAGE_FREE) {
			used += n;
			continue;
		}
		while (page + n < p->end && shm_word_kind(w = word_of(page + n)) == SHM_PAGE_FREE) {
			more = shm_word_n(w);
			if (more == 0 || more > p->end - page - n)
				return -EUCLEAN;
			n += more;
		}
		word_set(page, shm_page_word(SHM_PAGE_FREE, 0, 0, n));
		tail_tag(page, n);
		list_push(p, page, n);
	}
	p->n_used = used;
	return 0;
}

/* Everything derived agrees with the chain of first words. */
static int check_locked(const struct shm_pages *p)
{
	uint32_t page, n, used = 0, n_free = 0, n_listed = 0;
	bool was_free = false;

	for (page = p->first; page < p->end; page += n) {
		uint64_t w = word_of(page);
		enum shm_page_kind kind = shm_word_kind(w);

		n = shm_word_n(w);
		if (n == 0 || n > p->end - page)
			return -EUCLEAN;
		if (kind == SHM_PAGE_FREE) {
			if (was_free)
				return -EUCLEAN;
			if (n > 1 && word_of(page + n - 1) != shm_page_word(SHM_PAGE_FREE_TAIL, 0, 0, page))
				return -EUCLEAN;
			n_free++;
		} else if (kind == SHM_PAGE_SLAB || kind == SHM_PAGE_LARGE) {
			used += n;
			for (uint32_t i = 1; i < n; i++)
				if (word_of(page + i) != shm_page_word(SHM_PAGE_BODY, 0, 0, page))
					return -EUCLEAN;
		} else {
			return -EUCLEAN;
		}
		was_free = kind == SHM_PAGE_FREE;
	}
	for (unsigned b = 0; b < SHM_BINS; b++) {
		uint32_t prev = 0;

		for (page = p->bin[b]; page; prev = page, page = SHM_ARENA->desc[page].next) {
			if (page < p->first || page >= p->end || SHM_ARENA->desc[page].prev != prev)
				return -EUCLEAN;
			if (shm_word_kind(word_of(page)) != SHM_PAGE_FREE || bin_of(shm_word_n(word_of(page))) != b)
				return -EUCLEAN;
			if (++n_listed > n_free)
				return -EUCLEAN;
		}
	}
	return n_listed == n_free && used == p->n_used ? 0 : -EUCLEAN;
}

int shm_pages_check(void)
{
	struct shm_pages *p = &SHM_ARENA->pages;
	int err;

	shm_lock_acquire(&p->lock, SHM_RANK_SPAN);
	err = check_locked(p);
	shm_lock_release(&p->lock);
	return err;
}

int shm_pages_collect(uint32_t **ret_pages, uint32_t *ret_n)
{
	struct shm_pages *p = &SHM_ARENA->pages;
	uint32_t *list, page, n, count, max;

	for (max = p->n_used + 256u;; max *= 2) { /* room is got before the lock is taken */
		list = malloc(max * sizeof(*list));
		if (!list)
			return -ENOMEM;
		count = 0;
		shm_lock_acquire(&p->lock, SHM_RANK_SPAN);
		for (page = p->first; page < p->end && count < max; page += n) {
			uint64_t w = word_of(page);

			n = shm_word_n(w);
			if (n == 0 || n > p->end - page)
				break;
			if (shm_word_kind(w) != SHM_PAGE_FREE)
				list[count++] = page;
		}
		shm_lock_release(&p->lock);
		if (count < max)
			break;
		free(list);
	}
	*ret_pages = list;
	*ret_n = count;
	return 0;
}
