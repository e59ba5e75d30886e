/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of record and their chains of contacts. A table is a shm_hash of AoRs; each AoR has a chain of contact cells in
 * the order in which they will be tried. Everything of an AoR is guarded by the lock of its hash bucket, which the caller holds.
 *
 * A cell is never changed: a new one is filled without any lock, linked in the place of the old by one store, and the old is
 * freed when the lock is gone. Each link or unlink is announced by an intent, so that the janitor can finish it: what the
 * chain reaches is made live, the rest is in the limbo of the dead process and is freed with it.
 *
 * The number of contacts, the earliest expiry and the "dirty" mark of an AoR are derived and counted anew with each change.
 */
#include <errno.h>

#include "core/base/hashfn.h"
#include "modules/usrloc/ul_store.h"
#include "shm/counter.h"
#include "shm/intent.h"
#include "shm/recover.h"
#include "shm/slot.h"

static int change_intent;

uint32_t ul_aor_hash(struct str aor)
{
	return hashfn32(aor);
}

struct str ul_aor_text(const struct ul_aor *a)
{
	return str_of(a->text + sizeof(uint16_t), *(const uint16_t *)(const void *)a->text);
}

static bool aor_eq(const struct shm_hnode *node, const void *key)
{
	const struct str *s = key;

	return str_eq(ul_aor_text(CONTAINER_OF(node, const struct ul_aor, node)), *s);
}

struct ul_aor *ul_aor_new(struct str aor, uint32_t hash)
{
	struct ul_aor *a = shm_alloc(sizeof(*a) + sizeof(uint16_t) + aor.n);
	uint16_t n = (uint16_t)aor.n;

	if (!a)
		return NULL;
	memset(a, 0, sizeof(*a));
	a->node.hash = hash;
	memcpy(a->text, &n, sizeof(n));
	memcpy(a->text + sizeof(n), aor.s, aor.n);
	return a;
}

void ul_aor_recount(struct ul_aor *a)
{
	uint32_t n = 0, due = UINT32_MAX, dirty = 0;

	for (const struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c)) {
		uint8_t state = atomic_load_explicit(&c->state, memory_order_relaxed);

		n++;
		if (state == UL_DELETED)
			due = 0; /* it goes as soon as the database lets it */
		else if (c->expires && c->expires < due)
			due = c->expires;
		if (state != UL_SYNC && !(c->flags & UL_F_MEM_ONLY))
			dirty = 1;
	}
	a->n = n;
	/* an empty one (a crash left it) is due at once */
	atomic_store_explicit(&a->due, n ? due : 0, memory_order_relaxed);
	atomic_store_explicit(&a->dirty, dirty, memory_order_relaxed);
}

/* The place that refers to c; NULL when the chain does not have it. */
static _Atomic shm_ref *cell_place(struct ul_aor *a, const struct ul_cell *c)
{
	_Atomic shm_ref *at = &a->head;
	shm_ref want = shm_ref_of(c);

	for (shm_ref r; (r = atomic_load_explicit(at, memory_order_relaxed)) != SHM_NONE;) {
		if (r == want)
			return at;
		at = &((struct ul_cell *)shm_ptr(r))->next;
	}
	return NULL;
}

static void cell_unlink(struct ul_aor *a, const struct ul_cell *c)
{
	_Atomic shm_ref *at = cell_place(a, c);

	if (at)
		atomic_store_explicit(at, atomic_load_explicit(&c->next, memory_order_relaxed), memory_order_release);
}

static void change_begin(const struct ul_domain *d, const struct ul_aor *a, const struct ul_cell *old, const struct ul_cell *fresh)
{
	unsigned slot = (unsigned)shm_slot_self();
	uint64_t args[6] = { shm_ref_of(a), shm_ref_of(old), shm_ref_of(fresh), d->index, slot, (uint64_t)shm_counter_of(d->c_contacts, slot) };

	shm_intent_begin(change_intent, args, 6);
}

/*
 * Links fresh (NULL: nothing) and takes old (NULL: nothing) out. From the intent on, the janitor finishes what the first store
 * to the chain began; before it, old stays.
 */
void ul_cell_change(const struct ul_domain *d, struct ul_aor *a, struct ul_cell *old, struct ul_cell *fresh)
{
	bool newest_first = ul_conf.desc_time_order != 0;

	CRASH_POINT("usrloc.change.begin");
	change_begin(d, a, old, fresh);
	CRASH_POINT("usrloc.change.intent");
	if (old)
		shm_retire(old);
	CRASH_POINT("usrloc.change.retired");
	if (fresh && old && !newest_first && old->q == fresh->q) {
		_Atomic shm_ref *at = cell_place(a, old);

		atomic_store_explicit(&fresh->next, atomic_load_explicit(&old->next, memory_order_relaxed), memory_order_relaxed);
		atomic_store_explicit(at, shm_ref_of(fresh), memory_order_release);
		CRASH_POINT("usrloc.change.swapped");
	} else {
		if (fresh) {
			_Atomic shm_ref *at = &a->head;
			struct ul_cell *c;

			while (!newest_first && (c = shm_ptr(atomic_load_explicit(at, memory_order_relaxed))) && c->q >= fresh->q)
				at = &c->next;
			atomic_store_explicit(&fresh->next, atomic_load_explicit(at, memory_order_relaxed), memory_order_relaxed);
			atomic_store_explicit(at, shm_ref_of(fresh), memory_order_release);
			CRASH_POINT("usrloc.change.linked");
		}
		if (old)
			cell_unlink(a, old);
		CRASH_POINT("usrloc.change.unlinked");
	}
	if (fresh)
		shm_publish(fresh);
	CRASH_POINT("usrloc.change.published");
	ul_aor_recount(a);
	shm_counter_add(d->c_contacts, (fresh != NULL) - (old != NULL));
	CRASH_POINT("usrloc.change.counted");
	shm_intent_end();
	CRASH_POINT("usrloc.change.end");
}

/* Janitor: the dead process held the bucket's lock. What the chain reaches lives; what it does not is in limbo already. */
static int change_redo(const struct shm_intent *in)
{
	struct ul_aor *a = shm_ptr((shm_ref)in->arg[0]);
	struct ul_cell *old = shm_ptr((shm_ref)in->arg[1]);
	struct ul_cell *fresh = shm_ptr((shm_ref)in->arg[2]);
	const struct ul_domain *d = ul_domain_at((unsigned)in->arg[3]);

	if (!a || !shm_is_live(a))
		return 0;
	if (old && fresh && cell_place(a, old) && cell_place(a, fresh))
		cell_unlink(a, old);
	for (struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c))
		shm_publish(c);
	ul_aor_recount(a);
	if (d)
		shm_counter_set_of(d->c_contacts, (unsigned)in->arg[4],
				   (int64_t)in->arg[5] + (fresh && cell_place(a, fresh)) - (old && !cell_place(a, old)));
	return 0;
}

/* The database must hear of it first: then it is only marked. Returns whether the cell was unlinked, into *retired. */
bool ul_cell_remove(struct ul_domain *d, struct ul_aor *a, struct ul_cell *c, bool for_good, struct ul_cell **retired)
{
	bool may_come_back = ul_conf.db_mode == 1 || ul_conf.db_mode == 2 || (ul_conf.db_mode == 4 && ul_loading(d));
	bool in_db = may_come_back && !(c->flags & UL_F_MEM_ONLY) && atomic_load_explicit(&c->state, memory_order_relaxed) != UL_NEW;

	if (in_db && !for_good) {
		atomic_store_explicit(&c->state, UL_DELETED, memory_order_relaxed);
		atomic_store_explicit(&a->dirty, 1, memory_order_relaxed);
		atomic_store_explicit(&a->due, 0, memory_order_relaxed);
		return false;
	}
	ul_cell_change(d, a, c, NULL);
	atomic_store_explicit(&c->next, shm_ref_of(*retired), memory_order_relaxed);
	*retired = c;
	return true;
}

/* Takes an AoR without contacts out of the table: then it is to be freed. */
struct ul_aor *ul_aor_drop_empty(struct ul_domain *d, struct shm_hbucket *b, struct ul_aor *a)
{
	if (ul_cell_first(a))
		return NULL;
	CRASH_POINT("usrloc.aor.empty");
	shm_hash_remove_locked(d->hash, b, &a->node);
	CRASH_POINT("usrloc.aor.removed");
	ul_users_add(d, -1);
	return a;
}

void ul_cells_free(struct ul_cell *retired)
{
	while (retired) {
		struct ul_cell *next = ul_cell_next(retired);

		CRASH_POINT("usrloc.free");
		shm_free(retired);
		retired = next;
	}
}

struct ul_aor *ul_aor_find(struct shm_hbucket *b, uint32_t hash, struct str aor)
{
	struct shm_hnode *node = shm_hash_find_locked(b, hash, aor_eq, &aor);

	return node ? CONTAINER_OF(node, struct ul_aor, node) : NULL;
}

void ul_aor_add(struct ul_domain *d, struct shm_hbucket *b, struct ul_aor *a)
{
	shm_hash_insert_locked(d->hash, b, &a->node);
	CRASH_POINT("usrloc.aor.inserted");
	ul_users_add(d, 1);
}

/* ---- check ---- */

static int aor_check(struct shm_hnode *node, void *arg)
{
	const struct ul_aor *a = CONTAINER_OF(node, const struct ul_aor, node);
	uint32_t n = 0, due = UINT32_MAX;
	int q = INT16_MAX;

	(void)arg;
	if (!shm_is_live(a))
		return -EUCLEAN;
	for (const struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c)) {
		if (!shm_is_live(c) || shm_size_of(c) < ul_cell_size(c) || ++n > a->n)
			return -EUCLEAN;
		if (!ul_conf.desc_time_order && c->q > q)
			return -EUCLEAN;
		q = c->q;
		if (c->expires && c->expires < due)
			due = c->expires;
	}
	return n == a->n && (n == 0 || atomic_load_explicit(&a->due, memory_order_relaxed) <= due) ? 0 : -EUCLEAN;
}

int ul_check(void)
{
	for (unsigned i = 0; i < ul_domain_count(); i++) {
		struct ul_domain *d = ul_domain_at(i);

		for (uint32_t k = 0; k < shm_hash_n_buckets(d->hash); k++)
			if (shm_hash_walk(d->hash, k, aor_check, NULL) != 0)
				return -EUCLEAN;
	}
	return 0;
}

int ul_chain_init(void)
{
	change_intent = shm_intent_register("usrloc.change", change_redo);
	return change_intent < 0 ? change_intent : shm_check_register("usrloc", ul_check);
}
