/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing contacts: all changes of one REGISTER at once, loading, removing, and what is learnt about a contact later (keepalive
 * answered, database has it). What may fail is done before the bucket is locked, freeing after it is unlocked.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/pv/pv.h"
#include "modules/usrloc/ul_store.h"

/* ---- saving ---- */

struct plan {
	struct ul_cell *old[UL_CHANGES_MAX];
	struct ul_cell *fresh[UL_CHANGES_MAX];
	bool skip[UL_CHANGES_MAX]; /* a later change of the same message says otherwise */
	uint32_t now;
	int mode;
};

bool ul_save_clears(const struct ul_save *s)
{
	bool clears = s->flags & UL_SAVE_REMOVE_ALL;

	for (unsigned i = 0; s->flags & UL_SAVE_ONE && i < s->n_changes && !clears; i++)
		clears = s->changes[i].outcome == UL_O_INSERTED || s->changes[i].outcome == UL_O_UPDATED;
	return clears;
}

/* One contact answers for one change. */
static bool plan_claimed(const struct plan *p, unsigned i, const struct ul_cell *c)
{
	for (unsigned k = 0; k < i; k++)
		if (p->old[k] == c)
			return true;
	return false;
}

/* What each change means; nothing is changed yet. */
static int plan_make(struct ul_save *s, const struct ul_aor *a, struct plan *p)
{
	unsigned n_all = 0, n_valid = 0, n_new = 0, n_gone = 0;

	for (const struct ul_cell *c = a ? ul_cell_first(a) : NULL; c; c = ul_cell_next(c)) {
		n_all++;
		n_valid += ul_cell_valid(c, p->now);
	}
	for (unsigned i = 0; i < s->n_changes; i++) {
		struct ul_change *ch = &s->changes[i];
		struct ul_cell *old = a ? ul_cell_first(a) : NULL;

		p->old[i] = NULL;
		ch->outcome = UL_O_NOTHING;
		if (p->skip[i])
			continue;
		while (old && (atomic_load_explicit(&old->state, memory_order_relaxed) == UL_DELETED ||
			       !ul_cell_matches(old, &ch->c, p->mode, s->match_received) || plan_claimed(p, i, old)))
			old = ul_cell_next(old);
		p->old[i] = old;
		if (!old) {
			ch->outcome = ch->remove ? UL_O_NOTHING : UL_O_INSERTED;
			n_new += !ch->remove;
			continue;
		}
		ch->outcome = ch->remove ? UL_O_REMOVED : UL_O_UPDATED;
		if (!ch->c.instance.n && !(s->flags & UL_SAVE_FORCE) && str_eq(ul_cell_callid(old), ch->c.callid)) {
			if (ch->c.cseq < old->cseq)
				return -ESTALE;
			if (ch->c.cseq == old->cseq) {
				if (p->now > (uint64_t)old->modified + (unsigned)ul_conf.cseq_delay)
					return -ESTALE;
				ch->outcome = UL_O_RETRANSMIT;
			}
		}
		if (ch->outcome == UL_O_REMOVED)
			n_gone += ul_cell_valid(old, p->now);
		else if (ch->outcome == UL_O_UPDATED)
			n_new += !ul_cell_valid(old, p->now);
	}
	if (s->max_contacts && n_new && !(s->flags & UL_SAVE_ONE && a) && n_valid + n_new - n_gone > s->max_contacts)
		return -E2BIG;
	return n_new && !(s->flags & UL_SAVE_ONE) && n_all + n_new > UL_AOR_CONTACTS_MAX ? -E2BIG : 0;
}

/* What the new cell takes over from the one that it replaces. */
static void cell_inherit(struct ul_cell *fresh, const struct ul_cell *old)
{
	uint8_t state = atomic_load_explicit(&old->state, memory_order_relaxed);

	if (old->ruid_kind != UL_RUID_TEXT) {
		fresh->ruid_kind = old->ruid_kind;
		fresh->ruid_server = old->ruid_server;
		fresh->ruid_time = old->ruid_time;
		fresh->ruid_pid = old->ruid_pid;
		fresh->ruid_count = old->ruid_count;
		atomic_store_explicit(&fresh->state, state == UL_NEW ? UL_NEW : UL_DIRTY, memory_order_relaxed);
	}
	fresh->version = old->version + 1;
	if (fresh->modified < old->modified) /* the clock was set back: the database would keep what is newer, if by less than a second */
		fresh->modified = old->modified + 1;
	atomic_store_explicit(&fresh->last_keepalive, fresh->modified, memory_order_relaxed);
}

static void plan_apply(struct ul_domain *d, struct ul_save *s, struct ul_aor *a, struct plan *p, struct ul_cell **retired)
{
	if (ul_save_clears(s)) {
		for (struct ul_cell *c = ul_cell_first(a), *next; c; c = next) {
			bool named = false;

			next = ul_cell_next(c);
			for (unsigned i = 0; i < s->n_changes && !named; i++)
				named = p->old[i] == c;
			if (!named && atomic_load_explicit(&c->state, memory_order_relaxed) != UL_DELETED)
				ul_cell_remove(d, a, c, false, retired);
		}
	}
	for (unsigned i = 0; i < s->n_changes; i++) {
		struct ul_change *ch = &s->changes[i];
		struct ul_cell *old = p->old[i], *fresh = p->fresh[i];

		switch (ch->outcome) {
		case UL_O_REMOVED:
			ul_cell_remove(d, a, old, false, retired);
			break;
		case UL_O_INSERTED:
			ul_cell_change(d, a, NULL, fresh);
			p->fresh[i] = NULL;
			break;
		case UL_O_UPDATED:
			if (old->ruid_kind == UL_RUID_TEXT) { /* somebody else's id, as text: it gets one of ours */
				ul_cell_change(d, a, NULL, fresh);
				ul_cell_remove(d, a, old, false, retired);
			} else {
				cell_inherit(fresh, old);
				ul_cell_change(d, a, old, fresh);
				atomic_store_explicit(&old->next, shm_ref_of(*retired), memory_order_relaxed);
				*retired = old;
			}
			p->fresh[i] = NULL;
			break;
		case UL_O_NOTHING:
		case UL_O_RETRANSMIT:
			break;
		}
	}
}

bool ul_superseded(const struct ul_save *s, unsigned i, int mode)
{
	const struct ul_change *ch = &s->changes[i];

	for (unsigned j = i + 1; j < s->n_changes; j++)
		if (ul_matches(&ch->c, &s->changes[j].c, mode, s->match_received) ||
		    (s->flags & UL_SAVE_ONE && !ch->remove && !s->changes[j].remove))
			return true;
	return false;
}

/*
 * Locks the bucket with *ret_a found and, when before is not NULL, all its contacts copied to scratch. NULL: no memory for that.
 */
static struct shm_hbucket *save_lock(struct ul_domain *d, uint32_t hash, struct str aor, uint32_t now, struct ul_copied *before, struct ul_aor **ret_a)
{
	for (unsigned i = 0; i < 16; i++) {
		struct shm_hbucket *b = shm_hash_lock(d->hash, hash);
		size_t need;

		*ret_a = ul_aor_find(b, hash, aor);
		need = before && *ret_a ? ul_copy_locked(*ret_a, UL_COPY_ALL, now, before) : 0;
		if (need == 0)
			return b;
		shm_hash_unlock(b);
		if (ul_scratch_grow(need) < 0)
			break;
	}
	return NULL;
}

int ul_save(struct ul_domain *d, struct str aor, struct ul_save *s)
{
	uint32_t hash = hashfn32(aor);
	struct plan p; /* filled as far as there are changes */
	struct ul_aor *a, *spare = NULL, *empty = NULL;
	struct ul_cell *retired = NULL;
	struct ul_copied copied = { 0 }, before = { 0 };
	struct shm_hbucket *b;
	bool wants_aor = false, inserted = false;
	size_t need = 0;
	int err;

	if (s->n_changes > UL_CHANGES_MAX || aor.n == 0 || aor.n > UL_AOR_MAX)
		return -EMSGSIZE;
	err = ul_scratch_ready();
	if (err < 0)
		return err;
	shm_hash_prefetch(d->hash, hash); /* comes while the new cells are written */
	p.now = (uint32_t)clock_wall_s();
	p.mode = s->matching_mode < 0 ? ul_conf.matching_mode : s->matching_mode;
	for (unsigned i = 0; i < s->n_changes; i++)
		p.fresh[i] = NULL;
	for (unsigned i = 0; i < s->n_changes; i++) {
		p.skip[i] = ul_superseded(s, i, p.mode);
		if (s->changes[i].remove || p.skip[i])
			continue;
		if (s->flags & UL_SAVE_MEM_ONLY)
			s->changes[i].c.flags |= UL_F_MEM_ONLY;
		s->changes[i].c.server_id = (uint32_t)pv_conf.server_id;
		p.fresh[i] = ul_cell_new(&s->changes[i].c);
		err = -ENOSPC;
		if (!p.fresh[i])
			goto out;
		wants_aor = true;
	}
	CRASH_POINT("usrloc.save.filled");
	b = save_lock(d, hash, aor, p.now, s->keep_before ? &before : NULL, &a);
	if (b && !a && wants_aor) {
		shm_hash_unlock(b);
		spare = ul_aor_new(aor, hash);
		err = -ENOSPC;
		if (!spare)
			goto out;
		b = save_lock(d, hash, aor, p.now, s->keep_before ? &before : NULL, &a);
	}
	err = -ENOMEM;
	if (!b)
		goto out;
	err = plan_make(s, a, &p);
	if (err < 0) {
		shm_hash_unlock(b);
		goto out;
	}
	if (!a && wants_aor) {
		a = spare;
		spare = NULL;
		ul_aor_add(d, b, a);
		inserted = true;
	}
	s->ret_any_new = s->ret_wants_db = false;
	if (a) {
		plan_apply(d, s, a, &p, &retired);
		need = s->keep_before ? 1 : ul_copy_locked(a, UL_COPY_VALID, p.now, &copied); /* scratch has what was before */
		s->ret_wants_db = atomic_load_explicit(&a->dirty, memory_order_relaxed) != 0;
		empty = ul_aor_drop_empty(d, b, a);
	}
	shm_hash_unlock(b);
	CRASH_POINT("usrloc.save.unlocked");
	if (inserted)
		shm_hash_grow(d->hash);
	for (unsigned i = 0; i < s->n_changes; i++)
		s->ret_any_new |= s->changes[i].outcome == UL_O_INSERTED;
	s->ret_list.aor_hash = hash;
	if (s->keep_before)
		err = ul_copied_list(&before, s->pool, &s->ret_before);
	if (err == 0 && need) {
		err = ul_get(d, aor, s->pool, &s->ret_list);
		err = err == -ENOENT ? 0 : err;
	} else if (err == 0) {
		err = ul_copied_list(&copied, s->pool, &s->ret_list);
	}
out:
	ul_cells_free(retired);
	shm_free(empty);
	shm_free(spare);
	for (unsigned i = 0; i < s->n_changes; i++)
		shm_free(p.fresh[i]);
	return err;
}

/* Memory has it, or had it: then what memory says is newer. */
static bool load_has(const struct ul_aor *a, struct str ruid)
{
	for (const struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c))
		if (ul_cell_has_ruid(c, ruid))
			return true;
	return false;
}

int ul_load(struct ul_domain *d, struct str aor, const struct ul_contact *c)
{
	uint32_t hash = hashfn32(aor);
	bool fits = aor.n && aor.n <= UL_AOR_MAX && ul_cell_fits(c); /* a row that never will must not be tried again and again */
	struct ul_cell *cell = fits ? ul_cell_new(c) : NULL;
	struct ul_aor *a, *spare = NULL;
	struct shm_hbucket *b;
	bool wanted;

	if (!cell)
		return fits ? -ENOSPC : -EMSGSIZE;
	b = shm_hash_lock(d->hash, hash);
	a = ul_aor_find(b, hash, aor);
	if (!a) {
		shm_hash_unlock(b);
		spare = ul_aor_new(aor, hash);
		if (!spare) {
			shm_free(cell);
			return -ENOSPC;
		}
		b = shm_hash_lock(d->hash, hash);
		a = ul_aor_find(b, hash, aor);
	}
	/* the marks of what was removed may be gone once loading is over: see ul_load.c */
	wanted = ul_loading(d) && !(a && load_has(a, c->ruid));
	if (wanted && !a) {
		a = spare;
		spare = NULL;
		ul_aor_add(d, b, a);
	}
	if (wanted)
		ul_cell_change(d, a, NULL, cell);
	shm_hash_unlock(b);
	shm_free(spare);
	if (wanted)
		shm_hash_grow(d->hash);
	else
		shm_free(cell);
	return wanted;
}

/* ---- removing ---- */

static int drop(struct ul_domain *d, struct str aor, ul_pick_fn *pick, void *arg, bool for_good, struct pool *pool, struct ul_list *ret_gone)
{
	uint32_t hash = hashfn32(aor);
	struct shm_hbucket *b = shm_hash_lock(d->hash, hash);
	struct ul_aor *a = ul_aor_find(b, hash, aor), *empty = NULL;
	struct ul_cell *retired = NULL;
	unsigned n_retired = 0;
	int n = 0;

	if (!a) {
		shm_hash_unlock(b);
		return -ENOENT;
	}
	for (struct ul_cell *c = ul_cell_first(a), *next; c; c = next) {
		next = ul_cell_next(c);
		if (!pick(c, arg))
			continue;
		n++;
		n_retired += ul_cell_remove(d, a, c, for_good, &retired);
	}
	empty = ul_aor_drop_empty(d, b, a);
	shm_hash_unlock(b);
	if (ret_gone) {
		struct ul_contact *list = n_retired ? pool_alloc(pool, n_retired * sizeof(*list)) : NULL;
		unsigned i = 0;

		for (struct ul_cell *c = retired; c && list; c = ul_cell_next(c)) {
			size_t size = ul_cell_size(c);
			char *mem = pool_alloc(pool, size + UL_RUID_MAX + 8);

			if (!mem)
				break;
			memcpy(mem, c, size);
			ul_cell_view((struct ul_cell *)(void *)mem, mem + size, &list[i++]);
		}
		*ret_gone = (struct ul_list){ .c = list, .n = i, .aor_hash = hash };
	}
	ul_cells_free(retired);
	shm_free(empty);
	return n;
}

int ul_drop(struct ul_domain *d, struct str aor, ul_pick_fn *pick, void *arg, struct pool *pool, struct ul_list *ret_gone)
{
	return drop(d, aor, pick, arg, true, pool, ret_gone);
}

static bool pick_ruid(const struct ul_cell *c, void *arg)
{
	const struct str *ruid = arg;

	return atomic_load_explicit(&c->state, memory_order_relaxed) != UL_DELETED && (ruid->n == 0 || ul_cell_has_ruid(c, *ruid));
}

int ul_remove(struct ul_domain *d, struct str aor, struct str ruid, struct ul_save *undo)
{
	int n = undo ? ul_get_all(d, aor, undo->pool, &undo->ret_before) : 0;

	if (n == 0)
		n = drop(d, aor, pick_ruid, &ruid, false, NULL, NULL);
	return n == 0 ? -ENOENT : n;
}

static void touch(struct ul_cell *c, uint32_t roundtrip_us)
{
	atomic_store_explicit(&c->last_keepalive, (uint32_t)clock_wall_s(), memory_order_relaxed);
	atomic_store_explicit(&c->ka_roundtrip_us, roundtrip_us, memory_order_relaxed);
}

int ul_touch(struct ul_domain *d, struct str aor, struct str ruid, uint32_t roundtrip_us)
{
	uint32_t hash = hashfn32(aor);
	struct shm_hbucket *b = shm_hash_lock(d->hash, hash);
	struct ul_aor *a = ul_aor_find(b, hash, aor);
	int err = -ENOENT;

	for (struct ul_cell *c = a ? ul_cell_first(a) : NULL; c; c = ul_cell_next(c)) {
		if (!ul_cell_has_ruid(c, ruid))
			continue;
		touch(c, roundtrip_us);
		err = 0;
	}
	shm_hash_unlock(b);
	return err;
}

/* The cell found is left where the caller can see it: the compare function is all that looks. */
struct by_hash {
	uint64_t ruid_hash;
	struct ul_cell **ret;
};

static bool aor_has_ruid_hash(const struct shm_hnode *node, const void *key)
{
	const struct ul_aor *a = CONTAINER_OF(node, const struct ul_aor, node);
	const struct by_hash *k = key;
	char mem[UL_RUID_MAX];

	for (struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c)) {
		if (hashfn64(mem, ul_ruid_text(c, mem)) != k->ruid_hash)
			continue;
		*k->ret = c;
		return true;
	}
	return false;
}

int ul_touch_hash(struct ul_domain *d, uint32_t aor_hash, uint64_t ruid_hash, uint32_t roundtrip_us)
{
	struct ul_cell *cell = NULL;
	struct by_hash key = { .ruid_hash = ruid_hash, .ret = &cell };
	struct shm_hbucket *b = shm_hash_lock(d->hash, aor_hash);

	if (shm_hash_find_locked(b, aor_hash, aor_has_ruid_hash, &key))
		touch(cell, roundtrip_us);
	shm_hash_unlock(b);
	return cell ? 0 : -ENOENT;
}

int ul_synced(struct ul_domain *d, struct str aor, struct str ruid, uint32_t version)
{
	uint32_t hash = hashfn32(aor);
	struct shm_hbucket *b = shm_hash_lock(d->hash, hash);
	struct ul_aor *a = ul_aor_find(b, hash, aor), *empty = NULL;
	struct ul_cell *retired = NULL;
	int err = -ENOENT;

	for (struct ul_cell *c = a ? ul_cell_first(a) : NULL, *next; c; c = next) {
		next = ul_cell_next(c);
		if (!ul_cell_has_ruid(c, ruid))
			continue;
		err = 0;
		if (atomic_load_explicit(&c->state, memory_order_relaxed) == UL_DELETED) {
			if (version == UINT32_MAX && !ul_loading(d))
				ul_cell_remove(d, a, c, true, &retired);
		} else if (c->version == version) {
			atomic_store_explicit(&c->state, UL_SYNC, memory_order_relaxed);
		}
	}
	if (a) {
		ul_aor_recount(a);
		empty = ul_aor_drop_empty(d, b, a);
	}
	shm_hash_unlock(b);
	ul_cells_free(retired);
	shm_free(empty);
	return err;
}
