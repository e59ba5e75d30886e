/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One ring of bytes per writer and reader, so each end has one process and no lock is needed. Both
 * positions share one 64-bit word: a message is shown by one compare-and-swap after its bytes were
 * copied, and a ring found empty starts again at its beginning, so that a quiet ring touches one page
 * and not all of its 64.
 *
 * A reader takes a message off after its handler returned. If it dies in the handler, its
 * replacement gets that message once more, and after a second death it is dropped: a message that
 * kills must not kill for ever.
 *
 * Each message carries a number that its reader's slot gives out, and the reader takes from all its
 * rings the one with the lowest first. A number given out whose message is not shown yet is not waited
 * for: its put has not ended, so nobody relies on its place. To be sure of the others the reader notes
 * which numbers are out before it looks at the rings, and leaves higher ones for the next look.
 *
 * Per reader a bitmap says which rings may hold something. The bit is cleared before the ring is
 * looked at and set after a message is shown, so it is never missing for long; recovery and a
 * replacement taking its slot set it where the writer died in between.
 */
#include "shm/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "shm/shm_priv.h"

#define CAP (SHM_RING_BYTES - 64u) /* bytes of the ring; positions are 0 to CAP - 1 */
#define TRIES_MAX 2u

struct shm_ring {
	_Alignas(64) _Atomic uint64_t word; /* head (writer's end) 0-31, tail (reader's end) 32-63 */
	uint8_t data[CAP] __attribute__((aligned(16)));
};

struct record { /* before each message; a multiple of 16 in all, so it never wraps in its middle */
	uint64_t seq;
	uint32_t len;
	uint16_t type;
	_Atomic uint16_t n_tries; /* written: the reader */
};

_Static_assert(sizeof(struct shm_ring) == SHM_RING_BYTES, "a ring is a whole number of pages");
_Static_assert(sizeof(struct record) == 16 && CAP % 16 == 0, "records do not wrap");

static uint64_t in_hand[2]; /* rings that a drain of this process has taken off the bitmap */

static inline uint32_t head_of(uint64_t w)
{
	return (uint32_t)w;
}
static inline uint32_t tail_of(uint64_t w)
{
	return (uint32_t)(w >> 32);
}
static inline uint64_t word_of(uint32_t head, uint32_t tail)
{
	return (uint64_t)head | (uint64_t)tail << 32;
}
static inline uint32_t room_needed(uint32_t len)
{
	return (uint32_t)sizeof(struct record) + ((len + 15u) & ~15u);
}
static inline uint32_t wrap(uint32_t pos)
{
	return pos < CAP ? pos : pos - CAP;
}

static struct shm_ring *ring_get(unsigned reader, unsigned writer)
{
	return shm_ptr(atomic_load_explicit(&SHM_ARENA->ring[reader][writer], memory_order_acquire));
}

/* Only the writer makes its ring. */
static struct shm_ring *ring_make(unsigned reader, unsigned writer)
{
	struct shm_ring *ring = shm_alloc(sizeof(*ring));

	if (!ring)
		return NULL;
	atomic_store_explicit(&ring->word, 0, memory_order_relaxed);
	shm_adopt(&SHM_ARENA->ring[reader][writer], ring);
	return ring;
}

static uint32_t copy_in(struct shm_ring *ring, uint32_t pos, const void *data, size_t len)
{
	uint32_t n = (uint32_t)len, first = CAP - pos < n ? CAP - pos : n;

	if (n == 0)
		return pos;
	memcpy(ring->data + pos, data, first);
	memcpy(ring->data, (const uint8_t *)data + first, n - first);
	return wrap(pos + n);
}

static void pending_set(struct shm_slot *reader, unsigned writer)
{
	uint64_t bit = (uint64_t)1 << writer % 64;

	if (!(atomic_load(&reader->ring_pending[writer / 64]) & bit))
		atomic_fetch_or(&reader->ring_pending[writer / 64], bit);
}

int shm_ring_put(unsigned to, uint16_t type, const struct iovec *parts, unsigned n_parts)
{
	unsigned from;
	struct shm_slot *reader;
	struct shm_ring *ring;
	struct record rec = { .type = type };
	size_t len = 0;
	uint32_t start, pos, need;
	uint64_t w, shown;

	assert(shm_self);
	from = shm_self->index;
	for (unsigned i = 0; i < n_parts; i++) {
		if (parts[i].iov_len > SHM_RING_MSG_MAX)
			return -EMSGSIZE;
		len += parts[i].iov_len;
		if (len > SHM_RING_MSG_MAX)
			return -EMSGSIZE;
	}
	if (to >= SHM_SLOTS_MAX || to >= atomic_load(&SHM_ARENA->n_slots_seen))
		return -ESRCH;
	reader = &SHM_ARENA->slot[to];
	if (atomic_load(&reader->state) == SHM_SLOT_FREE)
		return -ESRCH;
	ring = ring_get(to, from);
	if (!ring)
		ring = ring_make(to, from);
	if (!ring)
		return -ENOSPC;

	rec.len = (uint32_t)len;
	need = room_needed(rec.len);
	w = atomic_load_explicit(&ring->word, memory_order_acquire);
	start = head_of(w) == tail_of(w) ? 0 : head_of(w);
	if (head_of(w) != tail_of(w) && wrap(tail_of(w) + CAP - head_of(w)) <= need)
		return -EAGAIN; /* head never catches up with tail: that would mean empty */
	rec.seq = atomic_fetch_add(&reader->ring_seq, 1);
	pos = copy_in(ring, start, &rec, sizeof(rec));
	for (unsigned i = 0; i < n_parts; i++)
		pos = copy_in(ring, pos, parts[i].iov_base, parts[i].iov_len);
	CRASH_POINT("ring.put.copied");
	/*
	 * Only the reader's tail can change meanwhile. If it drained the ring the message stays where
	 * it is; if the ring was empty it is still, and restarts at 0.
	 */
	do
		shown = word_of(wrap(start + need), head_of(w) == tail_of(w) && start == 0 ? 0 : tail_of(w));
	while (!atomic_compare_exchange_weak(&ring->word, &w, shown));
	CRASH_POINT("ring.put.shown");
	pending_set(reader, from);
	return atomic_load(&reader->sleeping) != 0;
}

/* Where a message of len bytes at pos can be read in one piece. */
static const uint8_t *in_one_piece(const struct shm_ring *ring, uint32_t pos, uint32_t len)
{
	static uint8_t bounce[SHM_RING_MSG_MAX]; /* a process drains its rings from one thread */
	uint32_t first = CAP - pos;

	if (len <= first)
		return ring->data + pos;
	memcpy(bounce, ring->data + pos, first);
	memcpy(bounce + first, ring->data, len - first);
	return bounce;
}

/* Takes the next message off a ring that has one. Fn is not called for one that killed before. */
static void take_one(struct shm_ring *ring, unsigned from, shm_ring_fn *fn, void *arg, unsigned *n)
{
	uint64_t w = atomic_load_explicit(&ring->word, memory_order_acquire);
	uint32_t tail = tail_of(w);
	struct record *rec = (struct record *)(void *)(ring->data + tail);
	uint16_t n_tries;

	n_tries = atomic_load_explicit(&rec->n_tries, memory_order_relaxed);
	atomic_store_explicit(&rec->n_tries, (uint16_t)(n_tries + 1u), memory_order_relaxed);
	if (n_tries < TRIES_MAX) {
		fn(arg, from, rec->type, in_one_piece(ring, wrap(tail + (uint32_t)sizeof(*rec)), rec->len), rec->len);
		++*n;
	}
	CRASH_POINT("ring.drain.called");
	tail = wrap(tail + room_needed(rec->len));
	while (!atomic_compare_exchange_weak(&ring->word, &w, word_of(head_of(w), tail)))
		;
}

/* Of the rings in hand the one whose next message has the lowest number; NULL when none is below limit. */
static struct shm_ring *next_ring(uint64_t limit, unsigned *ret_from)
{
	struct shm_ring *found = NULL;

	for (unsigned i = 0; i < 2; i++) {
		for (uint64_t bits = in_hand[i]; bits; bits &= bits - 1) {
			unsigned from = i * 64u + (unsigned)__builtin_ctzll(bits);
			struct shm_ring *ring = ring_get(shm_self->index, from);
			uint64_t w = ring ? atomic_load_explicit(&ring->word, memory_order_acquire) : 0;
			const struct record *rec;

			if (head_of(w) == tail_of(w)) {
				in_hand[i] &= ~((uint64_t)1 << from % 64);
				continue;
			}
			rec = (const struct record *)(const void *)(ring->data + tail_of(w));
			if (rec->seq >= limit)
				continue;
			limit = rec->seq;
			found = ring;
			*ret_from = from;
		}
	}
	return found;
}

unsigned shm_ring_drain(unsigned budget, shm_ring_fn *fn, void *arg)
{
	struct shm_slot *self = shm_self;
	unsigned n = 0, from;

	assert(self);
	while (n < budget) {
		uint64_t limit = atomic_load(&self->ring_seq); /* before the rings are looked at */
		struct shm_ring *ring;

		for (unsigned i = 0; i < 2; i++)
			if (atomic_load(&self->ring_pending[i]))
				in_hand[i] |= atomic_exchange(&self->ring_pending[i], 0);
		if (!(in_hand[0] | in_hand[1]))
			break;
		while (n < budget && (ring = next_ring(limit, &from)))
			take_one(ring, from, fn, arg, &n);
	}
	for (unsigned i = 0; i < 2; i++) {
		if (in_hand[i])
			atomic_fetch_or(&self->ring_pending[i], in_hand[i]);
		in_hand[i] = 0;
	}
	return n;
}

void shm_ring_sleep(bool sleeping)
{
	assert(shm_self);
	/* Sequentially consistent, as all on this path: either the writer sees that we sleep, or we see
	 * its bit when we look once more. */
	atomic_store(&shm_self->sleeping, sleeping);
}

bool shm_ring_pending(void)
{
	assert(shm_self);
	return (in_hand[0] | in_hand[1] | atomic_load(&shm_self->ring_pending[0]) | atomic_load(&shm_self->ring_pending[1])) != 0;
}

static void rescan_one(unsigned reader, unsigned writer)
{
	const struct shm_ring *ring = ring_get(reader, writer);
	uint64_t w = ring ? atomic_load(&ring->word) : 0;

	if (head_of(w) != tail_of(w))
		pending_set(&SHM_ARENA->slot[reader], writer);
}

void shm_ring_rescan(unsigned slot)
{
	uint32_t n = atomic_load(&SHM_ARENA->n_slots_seen);

	for (unsigned i = 0; i < n; i++) {
		rescan_one(slot, i);
		rescan_one(i, slot);
	}
}
