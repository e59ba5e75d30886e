/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes that wait for a commit. A place is published by its order, one store; the commit does them one by one and frees each, so
 * one who dies half-way leaves the rest to the next commit.
 */
#include <errno.h>

#include "core/settings/cfg_priv.h"

/* The one with the lowest order above after; NULL. */
static struct cfg_change *next_after(uint32_t after)
{
	struct cfg_change *best = NULL;
	uint32_t best_order = 0;

	for (unsigned i = 0; cfg_state.head && i < CFG_PENDING_MAX; i++) {
		struct cfg_change *c = &cfg_state.head->change[i];
		uint32_t order = atomic_load_explicit(&c->order, memory_order_acquire);

		if (order > after && (!best || order < best_order)) {
			best = c;
			best_order = order;
		}
	}
	return best;
}

static void forget(struct cfg_change *c)
{
	atomic_store_explicit(&c->order, 0, memory_order_release);
}

static int put(unsigned entry, int id, const struct cfg_cell *cell)
{
	struct cfg_change *c, *to = NULL;
	uint32_t last = 0;

	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	while ((c = next_after(last))) {
		last = atomic_load_explicit(&c->order, memory_order_relaxed);
		if (c->entry == entry && c->id == id)
			forget(c);
	}
	for (unsigned i = 0; !to && i < CFG_PENDING_MAX; i++)
		if (!atomic_load_explicit(&cfg_state.head->change[i].order, memory_order_relaxed))
			to = &cfg_state.head->change[i];
	if (to) {
		to->entry = entry;
		to->id = id;
		to->is_reset = !cell;
		if (cell)
			to->cell = *cell;
		atomic_store_explicit(&to->order, last + 1, memory_order_release);
	}
	shm_lock_drop(&cfg_state.head->lock);
	return to ? 0 : -ENOSPC;
}

int cfg_set_later(struct str group, int id, struct str name, const struct value *v)
{
	struct cfg_cell cell;
	unsigned entry;
	int err = cfg_state.head ? cfg_target(group, id, name, &entry) : -ENOENT;

	if (err == 0)
		err = cfg_value_to_cell(&cfg_state.entries[entry], v, &cell);
	return err < 0 ? err : put(entry, id, &cell);
}

int cfg_reset_later(struct str group, int id, struct str name)
{
	unsigned entry;

	if (!cfg_state.head || cfg_target(group, id, name, &entry) < 0)
		return -ENOENT;
	return cfg_state.entries[entry].flags & CFG_READ_ONLY ? -EPERM : put(entry, id, NULL);
}

void cfg_commit(void)
{
	struct cfg_change *c;

	if (!cfg_state.head)
		return;
	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	while ((c = next_after(0))) {
		struct cfg_shared *to = c->is_reset ? NULL : cfg_value_make_locked(c->entry, c->id);

		if (c->is_reset)
			cfg_reset_locked(c->entry, c->id);
		else if (to)
			cfg_write_locked(to, &c->cell);
		forget(c);
	}
	shm_lock_drop(&cfg_state.head->lock);
}

void cfg_rollback(void)
{
	struct cfg_change *c;

	if (!cfg_state.head)
		return;
	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	while ((c = next_after(0)))
		forget(c);
	shm_lock_drop(&cfg_state.head->lock);
}

int cfg_pending_at(unsigned i, struct pool *pool, struct cfg_pending *ret)
{
	const struct cfg_change *c = NULL;
	const struct cfg_entry *e;
	const struct cfg_shared *v;
	struct cfg_change copy;
	struct cfg_cell now;
	uint32_t last = 0;
	int err;

	if (!cfg_state.head)
		return -ENOENT;
	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	for (unsigned k = 0; k <= i && (c = next_after(last)); k++)
		last = atomic_load_explicit(&c->order, memory_order_relaxed);
	if (c)
		memcpy(&copy, c, sizeof(copy));
	shm_lock_drop(&cfg_state.head->lock);
	if (!c)
		return -ENOENT;
	e = &cfg_state.entries[copy.entry];
	v = cfg_value_of(copy.entry, copy.id);
	cfg_read(v ? v : &cfg_state.head->entry[copy.entry], &now);
	if (copy.is_reset && e->id == copy.id)
		copy.cell = e->first;
	else if (copy.is_reset)
		cfg_read(&cfg_state.head->entry[copy.entry], &copy.cell);
	*ret = (struct cfg_pending){ .group = e->group, .name = e->name, .id = copy.id };
	err = cfg_cell_to_value(e, &now, pool, &ret->now);
	return err < 0 ? err : cfg_cell_to_value(e, &copy.cell, pool, &ret->then);
}
