/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics. Each slot has a row of cells that only its process writes, so adding is a plain load
 * and store on a line of one's own. A row outlives its process: what a dead worker counted stays
 * counted. Resetting writes no cell of others; it remembers the sum and reading subtracts it.
 */
#include "shm/counter.h"

#include <errno.h>
#include <string.h>

#include "shm/shm_priv.h"

/* Filled before forking, so it is the same in every process. */
static struct {
	const char *group, *name;
	bool keep;
} table[SHM_COUNTERS_MAX];
static unsigned n_table;

int shm_counter_register(const char *group, const char *name)
{
	for (unsigned i = 0; i < n_table; i++)
		if (strcmp(table[i].group, group) == 0 && strcmp(table[i].name, name) == 0)
			return (int)i;
	if (n_table == SHM_COUNTERS_MAX)
		return -ENOSPC;
	table[n_table].group = group;
	table[n_table].name = name;
	return (int)n_table++;
}

HOT void shm_counter_add(int id, int64_t delta)
{
	_Atomic int64_t *cell;

	if (id < 0 || !shm_arena_mapped)
		return;
	assert(id < (int)SHM_COUNTERS_MAX);
	if (UNLIKELY(!shm_self)) { /* threads and processes without a slot share the last row */
		atomic_fetch_add_explicit(&SHM_ARENA->counter[SHM_SLOTS_MAX][id], delta, memory_order_relaxed);
		return;
	}
	cell = &SHM_ARENA->counter[shm_self->index][id];
	atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + delta, memory_order_relaxed);
}

static int64_t sum(int id)
{
	const struct shm_arena *a = SHM_ARENA;
	uint32_t n = atomic_load_explicit(&a->n_slots_seen, memory_order_relaxed);
	int64_t total = atomic_load_explicit(&a->counter[SHM_SLOTS_MAX][id], memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++)
		total += atomic_load_explicit(&a->counter[i][id], memory_order_relaxed);
	return total;
}

static _Atomic int64_t *cell_of(int id, unsigned slot)
{
	if (id < 0 || id >= (int)SHM_COUNTERS_MAX || slot >= SHM_SLOTS_MAX || !shm_arena_mapped)
		return NULL;
	return &SHM_ARENA->counter[slot][id];
}

int64_t shm_counter_of(int id, unsigned slot)
{
	const _Atomic int64_t *cell = cell_of(id, slot);

	return cell ? atomic_load_explicit(cell, memory_order_relaxed) : 0;
}

void shm_counter_set_of(int id, unsigned slot, int64_t value)
{
	_Atomic int64_t *cell = cell_of(id, slot);

	if (cell)
		atomic_store_explicit(cell, value, memory_order_relaxed);
}

int64_t shm_counter_read(int id)
{
	if (id < 0 || id >= (int)SHM_COUNTERS_MAX || !shm_arena_mapped)
		return 0;
	return sum(id) - SHM_ARENA->counter_base[id];
}

bool shm_counter_reset(int id)
{
	if (id < 0 || id >= (int)SHM_COUNTERS_MAX || !shm_arena_mapped || table[id].keep)
		return false;
	SHM_ARENA->counter_base[id] = sum(id);
	return true;
}

void shm_counter_keep(int id)
{
	if (id >= 0 && id < (int)SHM_COUNTERS_MAX)
		table[id].keep = true;
}

int shm_counter_at(unsigned i, const char **ret_group, const char **ret_name)
{
	if (i >= n_table)
		return -ENOENT;
	*ret_group = table[i].group;
	*ret_name = table[i].name;
	return 0;
}
