/* SPDX-License-Identifier: BSD-2-Clause */
/* What slab.c, slab_recover.c and slab_check.c share: spans and the state bytes of their objects. */
#ifndef RF_SHM_SLAB_PRIV_H
#define RF_SHM_SLAB_PRIV_H

#include "shm/shm_priv.h"

#define SLAB_SPAN_NONE 0u

struct slab_class {
	uint32_t size, pages, n_objs, first_off;
	uint32_t cap, batch; /* of the magazine */
	uint64_t recip;      /* 2^40 / size, rounded up: division by multiplication */
};

/* Made once before forking, the same in every process. */
extern struct slab_class slab_classes[SHM_CLASSES];

static inline uint64_t slab_word_of(uint32_t page)
{
	return atomic_load_explicit(&SHM_ARENA->desc[page].word, memory_order_relaxed);
}

static inline void slab_word_set(uint32_t page, uint64_t word)
{
	atomic_store_explicit(&SHM_ARENA->desc[page].word, word, memory_order_release);
}

static inline struct shm_span *slab_span_at(uint32_t page)
{
	return shm_page_ptr(page);
}

static inline char *slab_object_at(uint32_t page, const struct slab_class *c, uint32_t index)
{
	return (char *)shm_page_ptr(page) + c->first_off + (size_t)index * c->size;
}

static inline uint32_t slab_index_in(uint32_t page, const struct slab_class *c, const void *p)
{
	uint64_t off = (uint64_t)((uintptr_t)p - (uintptr_t)shm_page_ptr(page)) - c->first_off;

	return (uint32_t)(off * c->recip >> 40);
}

/* The free objects of a span are a list threaded through their first bytes, by index + 1. */
static inline uint32_t *slab_link_of(uint32_t page, const struct slab_class *c, uint32_t index)
{
	return (uint32_t *)(void *)slab_object_at(page, c, index);
}

static inline void slab_state_store(struct shm_span *s, uint32_t index, uint8_t state)
{
	atomic_store_explicit(&s->state[index], state, memory_order_relaxed);
}

static inline uint8_t slab_state_load(const struct shm_span *s, uint32_t index)
{
	return atomic_load_explicit(&s->state[index], memory_order_relaxed);
}

/* Context: the depot's lock is held. */
void slab_partial_push(struct shm_depot *d, uint32_t page);
/* One object back to its span. */
void slab_span_put(struct shm_depot *d, uint32_t page, const struct slab_class *c, uint32_t index);
/* Whether page is the first of a span of this class; steady while the depot's lock is held. */
bool slab_is_span_of(uint32_t page, unsigned cls);
/* How many objects of the span are in state a or b. */
uint32_t slab_span_count(uint32_t page, unsigned cls, uint8_t a, uint8_t b);

void slab_large_free(uint32_t page, uint32_t n);

#endif
