/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Write-through (db_mode 1) has made its change in memory when the database does not take it. The client is told so, and what he was
 * refused must not stay: each contact that is as that change left it gets back what it had. The database may have taken it all the same
 * (its answer came too late), or in part, so what is put back counts as unwritten, and a contact that was not there before is
 * removed as one that the database has. What the database has not begun by then it does not begin any more (db_query()), so that what
 * is written now comes after it.
 *
 * What was before is known to the worker alone. One that dies before it has undone leaves the change in memory, unwritten: nobody was told
 * that it did not happen, and it reaches the database in the end like any change of a worker that died before it was written.
 */
#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "modules/usrloc/ul_store.h"

static struct ul_cell *cell_of(const struct ul_aor *a, struct str ruid)
{
	for (struct ul_cell *c = ul_cell_first(a); c; c = ul_cell_next(c))
		if (ul_cell_has_ruid(c, ruid))
			return c;
	return NULL;
}

/* As one of the changes wrote it. */
static bool is_ours(const struct ul_save *s, const struct ul_cell *c)
{
	char mem[UL_RUID_MAX];
	struct ul_contact have;

	ul_cell_view(c, mem, &have);
	for (unsigned i = 0; i < s->n_changes; i++) {
		const struct ul_contact *want = &s->changes[i].c;

		if (!s->changes[i].remove && have.cseq == want->cseq && str_eq(have.callid, want->callid) && str_eq(have.uri, want->uri))
			return true;
	}
	return false;
}

static bool was_there(const struct ul_save *s, const struct ul_cell *c)
{
	for (unsigned i = 0; i < s->ret_before.n; i++)
		if (ul_cell_has_ruid(c, s->ret_before.c[i].ruid))
			return true;
	return false;
}

/* *fresh holds the contact as it was; NULL afterwards: used. */
static void put_back(struct ul_domain *d, const struct ul_save *s, struct ul_aor *a, const struct ul_contact *was, struct ul_cell **fresh, struct ul_cell **retired)
{
	struct ul_cell *c = cell_of(a, was->ruid);

	if (!c) {
		ul_cell_change(d, a, NULL, *fresh);
		*fresh = NULL;
	} else if (atomic_load_explicit(&c->state, memory_order_relaxed) == UL_DELETED) {
		c->version++; /* a write of it that ends now came before its removal, which may be on its way */
		atomic_store_explicit(&c->state, UL_DIRTY, memory_order_relaxed);
		ul_aor_recount(a);
	} else if (c->version == was->version + 1 && is_ours(s, c)) {
		(*fresh)->version = c->version + 1;
		ul_cell_change(d, a, c, *fresh);
		atomic_store_explicit(&c->next, shm_ref_of(*retired), memory_order_relaxed);
		*retired = c;
		*fresh = NULL;
	}
}

static void undo_locked(struct ul_domain *d, const struct ul_save *s, struct ul_aor *a, struct ul_cell **fresh, struct ul_cell **retired)
{
	for (struct ul_cell *c = ul_cell_first(a), *next; c; c = next) {
		next = ul_cell_next(c);
		if (!was_there(s, c) && is_ours(s, c))
			ul_cell_remove(d, a, c, false, retired);
	}
	for (unsigned i = 0; i < s->ret_before.n; i++)
		if (fresh[i])
			put_back(d, s, a, &s->ret_before.c[i], &fresh[i], retired);
}

void ul_undo(struct ul_domain *d, struct str aor, const struct ul_save *s)
{
	uint32_t hash = hashfn32(aor);
	const struct ul_list *before = &s->ret_before;
	struct ul_cell **fresh = pool_zalloc(s->pool, (before->n + 1) * sizeof(*fresh)), *retired = NULL;
	struct ul_aor *spare = ul_aor_new(aor, hash), *empty = NULL, *a;
	struct shm_hbucket *b;
	bool ok = fresh && spare, inserted = false;

	for (unsigned i = 0; ok && i < before->n; i++) {
		struct ul_contact was = before->c[i];

		if (was.state == UL_DELETED)
			continue;
		was.state = UL_DIRTY;
		/* now, or behind what took its place: rows that are older than what the database took would not replace it */
		was.modified = was.modified > clock_wall_s() ? was.modified + 2 : 0;
		fresh[i] = ul_cell_new(&was);
		ok = fresh[i] != NULL;
	}
	if (!ok) {
		log_error("usrloc: no memory to undo a change of %.*s that the database did not take", STR_FMT(aor));
		goto out;
	}
	CRASH_POINT("usrloc.undo.begin");
	b = shm_hash_lock(d->hash, hash);
	a = ul_aor_find(b, hash, aor);
	if (!a && before->n) {
		a = spare;
		spare = NULL;
		ul_aor_add(d, b, a);
		inserted = true;
	}
	if (a) {
		undo_locked(d, s, a, fresh, &retired);
		empty = ul_aor_drop_empty(d, b, a);
	}
	shm_hash_unlock(b);
	CRASH_POINT("usrloc.undo.end");
	if (inserted)
		shm_hash_grow(d->hash);
out:
	ul_cells_free(retired);
	shm_free(empty);
	shm_free(spare);
	for (unsigned i = 0; fresh && i < before->n; i++)
		shm_free(fresh[i]);
}
