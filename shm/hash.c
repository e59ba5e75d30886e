/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linear hashing: the table grows by splitting one bucket at a time, in order, so the bucket of a hash
 * follows from the number of buckets alone. Who locks a bucket looks at that number again under the
 * lock, for a split may have moved his hash. A split holds the locks of both buckets.
 *
 * Buckets stand in pieces that never move: the first ones double in size until 8192 buckets are
 * reached, from there on each piece is one page of the arena, listed in a directory. So growing never
 * copies the table and never clears more than 64 KiB.
 *
 * Chains are singly linked and whole at every moment: a node is linked or unlinked by one store, and
 * a split rearranges a chain so that each node stays reachable from one of the two buckets.
 */
#include "shm/hash.h"

#include <errno.h>
#include <string.h>

#include "shm/shm_priv.h"

#define HASH_MAGIC 0x68617368u
#define PIECE_SHIFT 13u
#define PIECE_BUCKETS (1u << PIECE_SHIFT)
#define SMALL_PIECES 11u
#define DIR_PIECES 4096u
#define BUCKETS_MAX (DIR_PIECES * PIECE_BUCKETS)
#define GROW_EVERY 8u  /* inserts of one slot between looks at the load */
#define GROW_SPLITS 16u

struct hash_cell { /* written: the slot it belongs to, under the bucket's lock; read: anyone */
	_Alignas(64) _Atomic int64_t count;
	_Atomic uint32_t n_ops; /* changes begun */
	uint32_t n_grow_calls;
};

struct shm_hash {
	uint32_t magic;
	uint32_t n_first, first_shift;
	_Atomic uint32_t n_buckets;  /* written: holder of grow_lock and both buckets; read: anyone, acquire */
	struct shm_lock grow_lock;   /* rank SHM_RANK_GROW, only ever tried: one splits, others go on */
	_Atomic shm_ref dir;         /* DIR_PIECES refs, one per PIECE_BUCKETS buckets; once written */
	_Atomic shm_ref small[SMALL_PIECES]; /* once written */
	struct hash_cell cell[SHM_SLOTS_MAX];
};

enum remove_mode { REMOVE_TO_LIMBO, REMOVE_STAYS_LIVE, REMOVE_AS_IT_IS };

static inline uint32_t index_for(uint32_t hash, uint32_t n)
{
	uint32_t mask = 0xffffffffu >> __builtin_clz((n - 1u) | 1u);
	uint32_t i = hash & mask;

	return i < n ? i : i & mask >> 1;
}

static inline struct shm_hbucket *bucket_at(const struct shm_hash *h, uint32_t i)
{
	const _Atomic shm_ref *dir;
	struct shm_hbucket *piece;
	uint32_t k;

	if (i < PIECE_BUCKETS && h->n_first < PIECE_BUCKETS) {
		if (i < h->n_first) {
			piece = shm_ptr(atomic_load_explicit(&h->small[0], memory_order_relaxed));
			return &piece[i];
		}
		k = 32u - (uint32_t)__builtin_clz(i >> h->first_shift);
		piece = shm_ptr(atomic_load_explicit(&h->small[k], memory_order_relaxed));
		return &piece[i - (h->n_first << (k - 1u))];
	}
	dir = shm_ptr(atomic_load_explicit(&h->dir, memory_order_relaxed));
	piece = shm_ptr(atomic_load_explicit(&dir[i >> PIECE_SHIFT], memory_order_relaxed));
	return &piece[i & (PIECE_BUCKETS - 1u)];
}

/* --- making and unmaking --- */

/* Where the ref of the piece that starts with bucket i stands, and how many buckets it has. */
static _Atomic shm_ref *piece_cell(struct shm_hash *h, uint32_t i, uint32_t *ret_n)
{
	_Atomic shm_ref *dir;

	if (i < PIECE_BUCKETS && h->n_first < PIECE_BUCKETS) {
		*ret_n = i == 0 ? h->n_first : i;
		return i == 0 ? &h->small[0] : &h->small[32u - (uint32_t)__builtin_clz(i >> h->first_shift)];
	}
	dir = shm_ptr(atomic_load(&h->dir));
	*ret_n = PIECE_BUCKETS;
	return &dir[i >> PIECE_SHIFT];
}

static void drop_cell(_Atomic shm_ref *cell, unsigned slot)
{
	void *piece = shm_ptr(atomic_load(cell));

	if (!piece)
		return;
	shm_state_set(piece, SHM_STATE_LIMBO(slot));
	atomic_store(cell, SHM_NONE);
	if (shm_self->index == slot)
		shm_free(piece);
}

/* Takes the table apart; what it consisted of is freed, or left in the limbo of a dead slot. */
static void teardown(struct shm_hash *h, unsigned slot)
{
	_Atomic shm_ref *dir = shm_ptr(atomic_load(&h->dir));

	for (unsigned i = 0; i < SHM_HASHES_MAX; i++)
		if (atomic_load(&SHM_ARENA->hash[i]) == shm_ref_of(h))
			atomic_store(&SHM_ARENA->hash[i], SHM_NONE);
	for (unsigned i = 0; i < SMALL_PIECES; i++)
		drop_cell(&h->small[i], slot);
	for (unsigned i = 0; dir && i < DIR_PIECES; i++)
		drop_cell(&dir[i], slot);
	drop_cell(&h->dir, slot);
	shm_state_set(h, SHM_STATE_LIMBO(slot));
}

static int make_pieces(struct shm_hash *h, uint32_t n_buckets)
{
	uint32_t n;

	if (n_buckets >= PIECE_BUCKETS) {
		void *dir = shm_zalloc(DIR_PIECES * sizeof(shm_ref));

		if (!dir)
			return -ENOSPC;
		atomic_store(&h->dir, shm_ref_of(dir));
		shm_publish(dir);
	}
	for (uint32_t i = 0; i < n_buckets; i += n) {
		_Atomic shm_ref *cell = piece_cell(h, i, &n);
		void *piece = shm_zalloc(n * sizeof(struct shm_hbucket));

		if (!piece)
			return -ENOSPC;
		atomic_store(cell, shm_ref_of(piece));
		shm_publish(piece);
	}
	return 0;
}

static int enlist(const struct shm_hash *h)
{
	for (unsigned i = 0; i < SHM_HASHES_MAX; i++) {
		shm_ref empty = SHM_NONE;

		if (atomic_compare_exchange_strong(&SHM_ARENA->hash[i], &empty, shm_ref_of(h)))
			return 0;
	}
	return -ENOSPC;
}

int shm_hash_new(uint32_t n_buckets, struct shm_hash **ret_hash)
{
	struct shm_hash *h;
	int err;

	if (n_buckets < 16 || n_buckets > 1u << 20 || (n_buckets & (n_buckets - 1)))
		return -EINVAL;
	h = shm_zalloc(sizeof(*h));
	if (!h)
		return -ENOSPC;
	h->magic = HASH_MAGIC;
	h->n_first = n_buckets;
	h->first_shift = (uint32_t)__builtin_ctz(n_buckets);
	/* Until it is complete, dying means that it is taken apart again. */
	shm_core_begin(SHM_OP_HASH_FREE, shm_off(h), 0, 0, 0, 0);
	err = make_pieces(h, n_buckets);
	if (err == 0) {
		atomic_store(&h->n_buckets, n_buckets);
		err = enlist(h);
	}
	if (err < 0) {
		teardown(h, shm_self->index);
		shm_core_end();
		shm_free(h);
		return err;
	}
	shm_publish(h);
	shm_core_end();
	*ret_hash = h;
	return 0;
}

void shm_hash_free(struct shm_hash *h)
{
	if (!h)
		return;
	assert(h->magic == HASH_MAGIC && shm_hash_count(h) == 0);
	shm_core_begin(SHM_OP_HASH_FREE, shm_off(h), 0, 0, 0, 0);
	teardown(h, shm_self->index);
	shm_core_end();
	shm_free(h);
}

/* --- looking up --- */

HOT void shm_hash_prefetch(const struct shm_hash *h, uint32_t hash)
{
	__builtin_prefetch(bucket_at(h, index_for(hash, atomic_load_explicit(&h->n_buckets, memory_order_acquire))), 1);
}

HOT struct shm_hbucket *shm_hash_lock(struct shm_hash *h, uint32_t hash)
{
	for (;;) {
		uint32_t i = index_for(hash, atomic_load_explicit(&h->n_buckets, memory_order_acquire));
		struct shm_hbucket *b = bucket_at(h, i);

		shm_lock_acquire(&b->lock, SHM_RANK_BUCKET);
		if (LIKELY(index_for(hash, atomic_load_explicit(&h->n_buckets, memory_order_relaxed)) == i))
			return b;
		shm_lock_release(&b->lock);
	}
}

HOT void shm_hash_unlock(struct shm_hbucket *b)
{
	shm_lock_release(&b->lock);
}

static inline struct shm_hnode *node_at(shm_ref ref)
{
	return shm_ptr(ref);
}

static inline shm_ref next_of(const _Atomic shm_ref *link)
{
	return atomic_load_explicit(link, memory_order_relaxed);
}

HOT struct shm_hnode *shm_hash_find_locked(const struct shm_hbucket *b, uint32_t hash, shm_hash_eq_fn *eq,
					   const void *key)
{
	for (struct shm_hnode *n = node_at(next_of(&b->head)); n; n = node_at(next_of(&n->next)))
		if (n->hash == hash && eq(n, key))
			return n;
	return NULL;
}

/* --- changing --- */

/* The link that leads to node, NULL when it is not in the chain. */
static _Atomic shm_ref *link_to(struct shm_hbucket *b, const struct shm_hnode *node)
{
	_Atomic shm_ref *link = &b->head;
	shm_ref ref;

	while ((ref = next_of(link)) != shm_ref_of(node)) {
		if (ref == SHM_NONE)
			return NULL;
		link = &node_at(ref)->next;
	}
	return link;
}

static inline void count_set(struct hash_cell *cell, int64_t count)
{
	atomic_store_explicit(&cell->count, count, memory_order_relaxed);
}

static inline int64_t op_begin(struct hash_cell *cell)
{
	atomic_store_explicit(&cell->n_ops, atomic_load_explicit(&cell->n_ops, memory_order_relaxed) + 1u,
			      memory_order_relaxed);
	return atomic_load_explicit(&cell->count, memory_order_relaxed);
}

HOT void shm_hash_insert_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *node)
{
	struct hash_cell *cell = &h->cell[shm_self->index];
	int64_t count = op_begin(cell);

	shm_core_begin(SHM_OP_HASH_INSERT, shm_off(h), shm_off(b), shm_off(node), (uint64_t)count,
		       (uint64_t)shm_state_of(node));
	CRASH_POINT("hash.push.begin");
	atomic_store_explicit(&node->next, next_of(&b->head), memory_order_relaxed);
	CRASH_POINT("hash.push.before");
	atomic_store_explicit(&b->head, shm_ref_of(node), memory_order_release);
	CRASH_POINT("hash.push.after");
	shm_publish(node);
	CRASH_POINT("hash.push.live");
	count_set(cell, count + 1);
	shm_core_end();
}

static bool remove_node(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *node, enum remove_mode mode)
{
	struct hash_cell *cell = &h->cell[shm_self->index];
	_Atomic shm_ref *link = link_to(b, node);
	int64_t count;

	if (!link)
		return false;
	count = op_begin(cell);
	shm_core_begin(SHM_OP_HASH_REMOVE, shm_off(h), shm_off(b), shm_off(node), (uint64_t)count, mode);
	CRASH_POINT("hash.remove.begin");
	if (mode == REMOVE_TO_LIMBO)
		shm_retire(node);
	CRASH_POINT("hash.remove.retired");
	atomic_store_explicit(link, next_of(&node->next), memory_order_release);
	CRASH_POINT("hash.remove.unlinked");
	count_set(cell, count - 1);
	shm_core_end();
	return true;
}

bool shm_hash_remove_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *node)
{
	return remove_node(h, b, node, REMOVE_TO_LIMBO);
}

bool shm_hash_unlink_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *node)
{
	return remove_node(h, b, node, REMOVE_STAYS_LIVE);
}

void shm_hash_replace_locked(struct shm_hash *h, struct shm_hbucket *b, struct shm_hnode *old_node,
			     struct shm_hnode *new_node)
{
	_Atomic shm_ref *link = link_to(b, old_node);

	assert(link && old_node->hash == new_node->hash);
	(void)op_begin(&h->cell[shm_self->index]);
	shm_core_begin(SHM_OP_HASH_REPLACE, shm_off(h), shm_off(b), shm_off(old_node), shm_off(new_node), 0);
	CRASH_POINT("hash.replace.begin");
	atomic_store_explicit(&new_node->next, next_of(&old_node->next), memory_order_relaxed);
	atomic_store_explicit(link, shm_ref_of(new_node), memory_order_release);
	CRASH_POINT("hash.replace.stored");
	shm_publish(new_node);
	CRASH_POINT("hash.replace.live");
	shm_retire(old_node);
	shm_core_end();
}

/* --- growing --- */

static uint32_t low_half(uint32_t n)
{
	return n - (1u << (31u - (uint32_t)__builtin_clz(n)));
}

/*
 * Deals the chain of `low` out to `low` and `high`, in order. Each store moves an end of a chain past
 * nodes that the other chain already reaches, so none is lost when it stops in the middle; what
 * is left then is two chains with a common end, and going on from where they join finishes the work.
 */
static void unzip(struct shm_hbucket *low, struct shm_hbucket *high, uint32_t n_high)
{
	_Atomic shm_ref *tail_low = &low->head, *tail_high = &high->head;
	shm_ref ref = next_of(&low->head);

	if (next_of(&high->head) != SHM_NONE) { /* a split that somebody died in */
		for (; ref; tail_low = &node_at(ref)->next, ref = next_of(tail_low)) {
			tail_high = link_to(high, node_at(ref));
			if (tail_high)
				break;
		}
		if (!ref)
			return;
	}
	while (ref) {
		struct shm_hnode *node = node_at(ref);
		_Atomic shm_ref **tail = index_for(node->hash, n_high + 1u) == n_high ? &tail_high : &tail_low;

		if (next_of(*tail) != ref)
			atomic_store_explicit(*tail, ref, memory_order_release);
		CRASH_POINT("hash.split.node");
		*tail = &node->next;
		ref = next_of(&node->next);
	}
	atomic_store_explicit(tail_low, SHM_NONE, memory_order_release);
	CRASH_POINT("hash.split.end");
	atomic_store_explicit(tail_high, SHM_NONE, memory_order_release);
}

static void lock_two(struct shm_hbucket *a, struct shm_hbucket *b)
{
	shm_lock_acquire(a < b ? &a->lock : &b->lock, SHM_RANK_BUCKET);
	shm_lock_acquire(a < b ? &b->lock : &a->lock, SHM_RANK_BUCKET);
}

static int room_for(struct shm_hash *h, uint32_t n)
{
	_Atomic shm_ref *cell;
	uint32_t size;
	void *p;

	if (n >= PIECE_BUCKETS && atomic_load(&h->dir) == SHM_NONE) {
		p = shm_zalloc(DIR_PIECES * sizeof(shm_ref));
		if (!p)
			return -ENOSPC;
		shm_adopt(&h->dir, p);
	}
	if (n < PIECE_BUCKETS ? (n & (n - 1)) != 0 : n % PIECE_BUCKETS != 0)
		return 0; /* inside a piece */
	cell = piece_cell(h, n, &size);
	if (atomic_load(cell) != SHM_NONE)
		return 0;
	p = shm_zalloc(size * sizeof(struct shm_hbucket));
	if (!p)
		return -ENOSPC;
	shm_adopt(cell, p);
	return 0;
}

static int split_one(struct shm_hash *h)
{
	uint32_t n = atomic_load_explicit(&h->n_buckets, memory_order_relaxed);
	struct shm_hbucket *low, *high;
	int err;

	if (n >= BUCKETS_MAX)
		return -ENOSPC;
	err = room_for(h, n);
	if (err < 0)
		return err;
	low = bucket_at(h, low_half(n));
	high = bucket_at(h, n);
	lock_two(low, high);
	shm_core_begin(SHM_OP_HASH_SPLIT, shm_off(h), n, 0, 0, 0);
	CRASH_POINT("hash.split.begin");
	atomic_store_explicit(&h->n_buckets, n + 1u, memory_order_release);
	CRASH_POINT("hash.split.shown");
	unzip(low, high, n);
	shm_core_end();
	shm_lock_release(&high->lock);
	shm_lock_release(&low->lock);
	return 0;
}

void shm_hash_grow(struct shm_hash *h)
{
	struct hash_cell *cell = &h->cell[shm_self->index];
	uint64_t count;

	if (++cell->n_grow_calls % GROW_EVERY != 0)
		return;
	count = shm_hash_count(h);
	if (LIKELY(count <= atomic_load_explicit(&h->n_buckets, memory_order_relaxed)))
		return;
	if (!shm_lock_try(&h->grow_lock, SHM_RANK_GROW))
		return;
	for (unsigned i = 0; i < GROW_SPLITS; i++)
		if (count <= atomic_load_explicit(&h->n_buckets, memory_order_relaxed) || split_one(h) < 0)
			break;
	shm_lock_release(&h->grow_lock);
}

/* --- reading all of it --- */

uint64_t shm_hash_count(const struct shm_hash *h)
{
	uint32_t n = atomic_load_explicit(&SHM_ARENA->n_slots_seen, memory_order_relaxed);
	int64_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += atomic_load_explicit(&h->cell[i].count, memory_order_relaxed);
	return total > 0 ? (uint64_t)total : 0;
}

int64_t shm_hash_count_of(const struct shm_hash *h, unsigned slot)
{
	return slot < SHM_SLOTS_MAX ? atomic_load_explicit(&h->cell[slot].count, memory_order_relaxed) : 0;
}

uint32_t shm_hash_n_buckets(const struct shm_hash *h)
{
	return atomic_load_explicit(&h->n_buckets, memory_order_acquire);
}

int shm_hash_walk(struct shm_hash *h, uint32_t bucket, shm_hash_walk_fn *fn, void *arg)
{
	struct shm_hbucket *b;
	shm_ref ref, next;
	int res = 0;

	if (bucket >= shm_hash_n_buckets(h))
		return 0;
	b = bucket_at(h, bucket);
	shm_lock_acquire(&b->lock, SHM_RANK_BUCKET);
	for (ref = next_of(&b->head); ref && res == 0; ref = next) {
		next = next_of(&node_at(ref)->next);
		res = fn(node_at(ref), arg);
	}
	shm_lock_release(&b->lock);
	return res;
}

unsigned shm_hash_purge(struct shm_hash *h, uint32_t bucket, shm_hash_pick_fn *pick, void *arg)
{
	enum { BATCH = 64 };
	struct shm_hnode *gone[BATCH];
	unsigned total = 0, n;

	do {
		struct shm_hbucket *b;
		shm_ref ref, next;

		if (bucket >= shm_hash_n_buckets(h))
			break;
		n = 0;
		b = bucket_at(h, bucket);
		shm_lock_acquire(&b->lock, SHM_RANK_BUCKET);
		for (ref = next_of(&b->head); ref && n < BATCH; ref = next) {
			struct shm_hnode *node = node_at(ref);

			next = next_of(&node->next);
			if (pick(node, arg) && shm_hash_remove_locked(h, b, node))
				gone[n++] = node;
		}
		shm_lock_release(&b->lock);
		for (unsigned i = 0; i < n; i++)
			shm_free(gone[i]);
		total += n;
	} while (n == BATCH);
	return total;
}

static uint64_t sum_ops(const struct shm_hash *h)
{
	uint32_t n = atomic_load(&SHM_ARENA->n_slots_seen);
	uint64_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += atomic_load(&h->cell[i].n_ops);
	return total;
}

/* Counts the nodes of one bucket; -EUCLEAN when one is out of place. Finds cycles (Brent). */
static int64_t check_bucket(struct shm_hash *h, uint32_t i)
{
	struct shm_hbucket *b = bucket_at(h, i);
	int64_t n = 0, power = 1;
	shm_ref mark = SHM_NONE;

	shm_lock_acquire(&b->lock, SHM_RANK_BUCKET);
	for (shm_ref ref = next_of(&b->head); ref; ref = next_of(&node_at(ref)->next)) {
		if (ref == mark || !shm_inside((uint64_t)ref * SHM_GRAIN) || !shm_is_live(node_at(ref)) ||
		    index_for(node_at(ref)->hash, atomic_load(&h->n_buckets)) != i) {
			n = -EUCLEAN;
			break;
		}
		if (++n == power) {
			power *= 2;
			mark = ref;
		}
	}
	shm_lock_release(&b->lock);
	return n;
}

int shm_hash_check(struct shm_hash *h)
{
	uint64_t ops = sum_ops(h), count;
	uint32_t n_buckets = shm_hash_n_buckets(h);
	int64_t n, total = 0;

	if (h->magic != HASH_MAGIC)
		return -EUCLEAN;
	for (uint32_t i = 0; i < shm_hash_n_buckets(h); i++) {
		n = check_bucket(h, i);
		if (n < 0)
			return (int)n;
		total += n;
	}
	count = shm_hash_count(h);
	/* Counts are compared only if nobody changed the table meanwhile. */
	if (ops == sum_ops(h) && n_buckets == shm_hash_n_buckets(h) && count != (uint64_t)total)
		return -EUCLEAN;
	return 0;
}

int shm_hash_check_every(void)
{
	for (unsigned i = 0; i < SHM_HASHES_MAX; i++) {
		struct shm_hash *h = shm_ptr(atomic_load(&SHM_ARENA->hash[i]));
		int err = h ? shm_hash_check(h) : 0;

		if (err < 0)
			return err;
	}
	return 0;
}

/* --- recovery --- */

static int redo_insert(const struct shm_intent *in, struct hash_cell *cell)
{
	struct shm_hbucket *b = shm_at(in->arg[1]);
	struct shm_hnode *node = shm_at(in->arg[2]);
	bool linked = link_to(b, node) != NULL;

	shm_state_set(node, linked ? SHM_STATE_LIVE : (uint8_t)in->arg[4]);
	count_set(cell, (int64_t)in->arg[3] + linked);
	return 0;
}

static int redo_remove(const struct shm_intent *in, unsigned slot, struct hash_cell *cell)
{
	struct shm_hbucket *b = shm_at(in->arg[1]);
	struct shm_hnode *node = shm_at(in->arg[2]);
	_Atomic shm_ref *link = link_to(b, node);

	if (in->arg[4] == REMOVE_TO_LIMBO)
		shm_state_set(node, SHM_STATE_LIMBO(slot));
	if (link)
		atomic_store(link, next_of(&node->next));
	count_set(cell, (int64_t)in->arg[3] - 1);
	return 0;
}

static int redo_replace(const struct shm_intent *in, unsigned slot)
{
	struct shm_hbucket *b = shm_at(in->arg[1]);
	struct shm_hnode *old_node = shm_at(in->arg[2]), *new_node = shm_at(in->arg[3]);

	if (!link_to(b, new_node))
		return 0; /* never happened: the new one is in limbo */
	shm_state_set(new_node, SHM_STATE_LIVE);
	shm_state_set(old_node, SHM_STATE_LIMBO(slot));
	return 0;
}

static int redo_split(const struct shm_intent *in, struct shm_hash *h)
{
	uint32_t n = (uint32_t)in->arg[1];

	if (n >= BUCKETS_MAX)
		return -EUCLEAN;
	if (atomic_load(&h->n_buckets) == n)
		atomic_store(&h->n_buckets, n + 1u);
	unzip(bucket_at(h, low_half(n)), bucket_at(h, n), n);
	return 0;
}

/* Context: the dead slot still holds the locks of the buckets, so nobody else is in there. */
int shm_hash_redo(const struct shm_intent *in, unsigned slot)
{
	struct shm_hash *h = shm_at(in->arg[0]);
	struct hash_cell *cell = &h->cell[slot];

	if (!shm_inside(in->arg[0]) || h->magic != HASH_MAGIC)
		return -EUCLEAN;
	switch (in->op) {
	case SHM_OP_HASH_INSERT:
		return redo_insert(in, cell);
	case SHM_OP_HASH_REMOVE:
		return redo_remove(in, slot, cell);
	case SHM_OP_HASH_REPLACE:
		return redo_replace(in, slot);
	case SHM_OP_HASH_SPLIT:
		return redo_split(in, h);
	case SHM_OP_HASH_FREE:
		teardown(h, slot);
		return 0;
	default:
		return -EUCLEAN;
	}
}

static void sweep_bucket(struct shm_hash *h, struct shm_hbucket *b, unsigned slot)
{
	shm_ref ref, next;

	shm_lock_acquire(&b->lock, SHM_RANK_BUCKET);
	for (ref = next_of(&b->head); ref; ref = next) {
		next = next_of(&node_at(ref)->next);
		if (shm_limbo_owner(node_at(ref)) == (int)slot)
			(void)remove_node(h, b, node_at(ref), REMOVE_AS_IT_IS);
	}
	shm_lock_release(&b->lock);
}

int shm_hash_sweep(unsigned slot)
{
	for (unsigned i = 0; i < SHM_HASHES_MAX; i++) {
		struct shm_hash *h = shm_ptr(atomic_load(&SHM_ARENA->hash[i]));

		for (uint32_t b = 0; h && b < shm_hash_n_buckets(h); b++)
			sweep_bucket(h, bucket_at(h, b), slot);
	}
	return 0;
}
