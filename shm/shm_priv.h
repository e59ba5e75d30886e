/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of shm share among themselves: the layout of the arena, and the short paths that
 * must be inlined. Nobody outside shm/ includes this.
 *
 * All fixed tables stand at constant addresses at the start of the mapping. They are never cleared:
 * the kernel hands out zero pages, and zero is the idle state of each of them, so a table costs
 * memory only where it is used.
 */
#ifndef RF_SHM_PRIV_H
#define RF_SHM_PRIV_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/hash.h"
#include "shm/intent.h"
#include "shm/lock.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "shm/wheel.h"

#define SHM_MAGIC 0x74726f66676e6972ull /* "ringfort" */

#define SHM_PAGE_SHIFT 16u
#define SHM_PAGE_BYTES (1u << SHM_PAGE_SHIFT)
#define SHM_CLASSES 72u
#define SHM_CLASS_SIZE_MAX 32768u
#define SHM_MAG_MAX 60u
#define SHM_ROOTS_MAX 128u
#define SHM_HASHES_MAX 1024u
#define SHM_BINS 24u

/* --- states of an object: one byte, whose it is --- */
#define SHM_STATE_FREE 0u
#define SHM_STATE_LIMBO(slot) ((uint8_t)((slot) + 1u))
#define SHM_STATE_CACHED(slot) ((uint8_t)((slot) + 128u))
#define SHM_STATE_LIVE 255u

/* --- pages --- */
enum shm_page_kind {
	SHM_PAGE_NONE,
	SHM_PAGE_FREE,      /* first page of a free run */
	SHM_PAGE_FREE_TAIL, /* last page of a free run of two or more; n: its first page */
	SHM_PAGE_SLAB,      /* first page of a span of objects of one class */
	SHM_PAGE_LARGE,     /* first page of an object of whole pages */
	SHM_PAGE_BODY,      /* further page of a span or large object; n: its first page */
};

/*
 * One per page of 64 KiB. The words of first pages, walked from the lowest page on, always partition
 * the arena: a run is split or merged by the one store to its first word. All else is derived.
 */
struct shm_desc {
	_Atomic uint64_t word; /* kind 0-7, state 8-15, class 16-23, n 32-63; written: span lock holder,
				* the state of a large object by its owner */
	uint32_t next, prev;   /* free runs: list of the bin; span lock holder; rebuilt by recovery */
};

static inline uint64_t shm_page_word(enum shm_page_kind kind, unsigned state, unsigned cls, uint32_t n)
{
	return (uint64_t)kind | (uint64_t)state << 8 | (uint64_t)cls << 16 | (uint64_t)n << 32;
}
static inline enum shm_page_kind shm_word_kind(uint64_t w)
{
	return (enum shm_page_kind)(w & 255u);
}
static inline uint8_t shm_word_state(uint64_t w)
{
	return (uint8_t)(w >> 8);
}
static inline unsigned shm_word_class(uint64_t w)
{
	return (unsigned)(w >> 16) & 255u;
}
static inline uint32_t shm_word_n(uint64_t w)
{
	return (uint32_t)(w >> 32);
}

struct shm_pages {
	struct shm_lock lock; /* rank SHM_RANK_SPAN; guards all below, and the words of free runs */
	uint32_t first, end;  /* constant: the pages that can be given out */
	uint32_t n_used, max_used;
	uint32_t bin[SHM_BINS]; /* first free run of 2^i to 2^(i+1)-1 pages, 0 none */
};

/* Start of a span: objects of one class with one state byte each. Guarded by the depot's lock. */
struct shm_span {
	uint32_t cls;
	uint32_t n_objs;
	uint32_t n_free;    /* in state FREE, derived */
	uint32_t n_bump;    /* objects from here on were never handed out, derived */
	uint32_t free_head; /* index + 1 of the first in the list of objects handed back, derived */
	uint32_t next, prev; /* page numbers: the depot's list of spans with free objects, derived */
	uint32_t on_list;
	_Atomic uint8_t state[]; /* FREE to other and back: depot's lock; else the owner named in it */
};

struct shm_depot {
	struct shm_lock lock; /* rank SHM_RANK_SLAB */
	uint32_t partial;     /* page number of the first span with free objects */
	uint32_t n_free;
	uint32_t n_spans;
	uint8_t pad[48];
};

/* Free objects cached by one slot. Derived from the state bytes: dropped when the slot dies. */
struct shm_mag {
	uint32_t n;
	uint32_t pad[3];
	shm_ref ref[SHM_MAG_MAX];
};

/* --- slots --- */
enum shm_core_op { /* changes inside shm/; kept apart from the intents of modules, so they may nest */
	SHM_OP_NONE,
	SHM_OP_ADOPT,        /* cell offset, ref */
	SHM_OP_HASH_INSERT,  /* hash, bucket offset, node, count before */
	SHM_OP_HASH_REMOVE,  /* hash, bucket offset, node, count before, stays live */
	SHM_OP_HASH_REPLACE, /* hash, bucket offset, old node, new node */
	SHM_OP_HASH_SPLIT,   /* hash, n */
	SHM_OP_HASH_FREE,    /* hash */
	SHM_OP_WHEEL_LINK,   /* wheel, timer, tick, kind: it belongs on the wheel */
	SHM_OP_WHEEL_UNLINK, /* wheel, timer: it does not */
};

struct shm_slot { /* written: the process that has it; after its death the janitor */
	_Atomic uint32_t state; /* enum shm_slot_state: own process, supervisor, janitor */
	uint32_t index;
	uint32_t word; /* what this process writes into locks */
	uint32_t epoch;
	uint32_t kind;
	int32_t pid;
	uint32_t n_held;
	uint8_t held_rank[SHM_LOCKS_HELD_MAX];
	uint64_t held[SHM_LOCKS_HELD_MAX]; /* offsets of locks, written before they are taken */
	struct shm_intent core_intent;
	struct shm_intent intent;
	shm_ref firing; /* timer whose handler runs; armed again if the process dies in it */
	uint32_t firing_tick;
	uint32_t firing_kind;
	uint32_t pad;
	uint64_t mag_used[2]; /* classes whose magazine was touched */
	_Atomic uint64_t heartbeat_ms;
	/* written by others: on lines of their own */
	_Alignas(64) _Atomic uint32_t sleeping;
	_Alignas(64) _Atomic uint64_t ring_pending[2]; /* bit n: the ring of slot n may hold messages */
	_Atomic uint64_t ring_seq; /* messages put on all rings that lead here: gives each its number */
};

/* --- wheels --- */
#define SHM_WHEEL_LEVELS 4u
#define SHM_WHEEL_HEADS (256u + 3u * 64u + 1u) /* the last: parked until the wheel first runs */

struct shm_whead { /* begins like struct shm_timer, so that a list's first node has a predecessor */
	_Atomic shm_ref next;
	uint32_t pad[3];
};

struct shm_wheel {
	_Alignas(64) struct shm_lock lock; /* rank SHM_RANK_WHEEL; guards all below and the timers' links */
	uint32_t started;                  /* the owner has run it, so the cursor means something */
	uint64_t cursor;                   /* the next tick to look at */
	uint32_t n_timers;                 /* derived */
	uint64_t bits[(SHM_WHEEL_HEADS + 63u) / 64u]; /* which heads are not empty; derived */
	_Alignas(16) struct shm_whead head[SHM_WHEEL_HEADS];
};

struct shm_root {
	_Atomic uint32_t state; /* 0 empty, 1 being written, 2 set */
	_Atomic shm_ref ref;
	char name[32];
};

/* --- the arena --- */
struct shm_arena {
	uint64_t magic;
	uint32_t layout;
	_Atomic uint32_t n_slots_seen; /* highest slot index ever taken, plus 1 */
	uint64_t ceiling_bytes;
	uint64_t map_bytes;
	uint8_t secret[16];
	struct shm_pages pages;
	struct shm_root root[SHM_ROOTS_MAX];
	_Atomic shm_ref hash[SHM_HASHES_MAX]; /* every table, for the sweep of recovery */
	_Alignas(64) struct shm_depot depot[SHM_CLASSES];
	int64_t counter_base[SHM_COUNTERS_MAX]; /* what reset subtracts */
	_Alignas(4096) struct shm_slot slot[SHM_SLOTS_MAX];
	_Alignas(4096) _Atomic int64_t counter[SHM_SLOTS_MAX + 1][SHM_COUNTERS_MAX];
	_Alignas(4096) struct shm_mag mag[SHM_SLOTS_MAX][SHM_CLASSES];
	_Alignas(4096) struct shm_wheel wheel[SHM_SLOTS_MAX];
	_Alignas(4096) _Atomic shm_ref ring[SHM_SLOTS_MAX][SHM_SLOTS_MAX]; /* [reader][writer] */
	_Alignas(4096) struct shm_desc desc[];
};

#define SHM_ARENA ((struct shm_arena *)SHM_BASE)

/* The slot of this thread, NULL without one. */
extern _Thread_local struct shm_slot *shm_self __attribute__((tls_model("initial-exec")));
/* True in a janitor inside shm_recover_slot(): locks of the dead count as its own. */
extern bool shm_recovering;
/* True once this process has the arena mapped. */
extern bool shm_arena_mapped;

/* Recovery and checks look at the tables of slots up to this one. */
static inline void shm_slot_seen(unsigned index)
{
	uint32_t seen = atomic_load_explicit(&SHM_ARENA->n_slots_seen, memory_order_relaxed);

	while (UNLIKELY(seen < index + 1u) &&
	       !atomic_compare_exchange_weak(&SHM_ARENA->n_slots_seen, &seen, index + 1u))
		;
}

static inline uint64_t shm_off(const volatile void *p)
{
	return (uint64_t)((uintptr_t)p - SHM_BASE);
}
static inline void *shm_at(uint64_t off)
{
	return (void *)(SHM_BASE + (uintptr_t)off);
}
static inline bool shm_inside(uint64_t off)
{
	return shm_arena_mapped && off >= sizeof(struct shm_arena) && off < SHM_ARENA->map_bytes;
}

/* Orders stores of one process as they would be found after its death: program order is enough. */
#define SHM_STORE_ORDER() atomic_signal_fence(memory_order_seq_cst)

/* --- locks --- */
#define SHM_LOCK_WAITERS 0x80000000u
#define SHM_LOCK_OWNER(word) ((word) & ~SHM_LOCK_WAITERS)

/* Times that processes of this slot slept for a lock. */
uint64_t shm_lock_sleeps_of(unsigned slot);
void shm_lock_take_slow(struct shm_lock *lock, struct shm_slot *self);
void shm_lock_drop_slow(struct shm_lock *lock, struct shm_slot *self);
void shm_lock_rank_check(const struct shm_lock *lock, enum shm_rank rank, const struct shm_slot *self);
void shm_futex_wake(struct shm_lock *lock, int n);
/* recover.c, in a janitor: true when the slot is dead and being mended after. When it is dead and that
 * has not begun, mends after it, which frees its locks, and returns false. */
bool shm_lock_of_dead(unsigned slot);
bool shm_mending(void);

static inline void shm_lock_note(struct shm_slot *self, const struct shm_lock *lock, enum shm_rank rank)
{
	uint32_t n = self->n_held;

	assert(n < SHM_LOCKS_HELD_MAX);
#ifdef RF_LOCK_RANKS
	shm_lock_rank_check(lock, rank, self);
#endif
	self->held[n] = shm_off(lock);
	self->held_rank[n] = (uint8_t)rank;
	SHM_STORE_ORDER();
	self->n_held = n + 1;
	SHM_STORE_ORDER();
}

static inline void shm_lock_acquire(struct shm_lock *lock, enum shm_rank rank)
{
	struct shm_slot *self = shm_self;
	uint32_t expected = 0;

	assert(self);
	shm_lock_note(self, lock, rank);
	if (UNLIKELY(!atomic_compare_exchange_strong_explicit(&lock->word, &expected, self->word,
							      memory_order_acquire, memory_order_relaxed)))
		shm_lock_take_slow(lock, self);
}

static inline void shm_lock_release(struct shm_lock *lock)
{
	struct shm_slot *self = shm_self;
	uint32_t expected = self->word, n = self->n_held;

	if (LIKELY(n > 0 && self->held[n - 1] == shm_off(lock) &&
		   atomic_compare_exchange_strong_explicit(&lock->word, &expected, 0, memory_order_release,
							   memory_order_relaxed))) {
		SHM_STORE_ORDER();
		self->n_held = n - 1;
		return;
	}
	shm_lock_drop_slow(lock, self);
}

/* --- intents of shm itself --- */
static inline void shm_core_begin(enum shm_core_op op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
				  uint64_t a4)
{
	struct shm_intent *in = &shm_self->core_intent;

	assert(in->op == SHM_OP_NONE); /* they do not nest */
	in->arg[0] = a0;
	in->arg[1] = a1;
	in->arg[2] = a2;
	in->arg[3] = a3;
	in->arg[4] = a4;
	SHM_STORE_ORDER();
	in->op = op;
	SHM_STORE_ORDER();
}
static inline void shm_core_end(void)
{
	SHM_STORE_ORDER();
	shm_self->core_intent.op = SHM_OP_NONE;
	SHM_STORE_ORDER();
}

/* Stores obj (in own limbo) into cell and makes it live, as one change. Any order of death is mended. */
void shm_adopt(_Atomic shm_ref *cell, const void *obj);
int shm_adopt_redo(const struct shm_intent *in);
/* Calls the redo function of a module's intent. */
int shm_intent_redo(const struct shm_intent *in);

/* --- pages.c: context: the span lock held, or nobody else about --- */
void shm_pages_init(uint32_t first, uint32_t end);
/* A run of n pages of kind LARGE in the limbo of the own slot; 0 when there is none. */
uint32_t shm_pages_take(uint32_t n);
void shm_pages_give(uint32_t page);
int shm_pages_rebuild(void);
int shm_pages_check(void);
/* First pages of all spans and large objects, in malloc'ed memory. Takes the lock. */
int shm_pages_collect(uint32_t **ret_pages, uint32_t *ret_n);

static inline uint32_t shm_page_of(const void *p)
{
	return (uint32_t)(shm_off(p) >> SHM_PAGE_SHIFT);
}
static inline void *shm_page_ptr(uint32_t page)
{
	return (void *)(SHM_BASE + ((uintptr_t)page << SHM_PAGE_SHIFT));
}

/* Bytes of the mapping that the kernel holds memory for. */
void shm_arena_committed(uint64_t *ret_bytes);

/* --- slab.c, slab_recover.c, slab_check.c --- */
void shm_classes_init(void);
void shm_mags_flush(void); /* all of the own slot's magazines */
/* State of the object around p (any address inside it); -1 when p is in no object. */
int shm_state_of(const void *p);
void shm_state_set(const void *p, uint8_t state);
int shm_depot_rebuild(unsigned cls);
int shm_depot_check(unsigned cls);
/* Number of objects in the slot's limbo, or -ENOMEM. */
int64_t shm_limbo_count(unsigned slot);
/* Hands the limbo and the cache of a dead slot to the depots. */
int shm_owned_free(unsigned slot);

/* --- hash.c, wheel.c, ring.c: their share of recovery --- */
int shm_hash_redo(const struct shm_intent *in, unsigned slot);
/* Unlinks every node whose object is in the limbo of slot. */
int shm_hash_sweep(unsigned slot);
int shm_hash_check_every(void);
int shm_wheel_redo(const struct shm_intent *in);
int shm_wheel_rebuild(struct shm_wheel *w);
int shm_wheel_check_one(struct shm_wheel *w);
/* Takes timers of objects in the limbo of slot off all wheels. */
int shm_wheel_sweep(unsigned slot);
/* Arms again the timer whose handler the dead process was running. */
void shm_wheel_refire(struct shm_slot *dead);
/* Marks the rings to, or from, this slot that hold messages. */
void shm_ring_rescan(unsigned slot);

#endif
