/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots: who uses the arena. The state word is the only field others change: the supervisor says
 * DEAD, the janitor RECOVERING and then FREE. Everything else in a slot is written by its process
 * alone, so taking notes there (locks, intents) needs no atomic operation.
 */
#include "shm/slot.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/shm_priv.h"

_Thread_local struct shm_slot *shm_self __attribute__((tls_model("initial-exec")));

int shm_slot_take(unsigned index, enum shm_slot_kind kind)
{
	struct shm_slot *s;
	uint32_t expected = SHM_SLOT_FREE;

	if (!shm_arena_mapped || index >= SHM_SLOTS_MAX)
		return -ERANGE;
	if (shm_self)
		return -EBUSY;
	s = &SHM_ARENA->slot[index];
	if (!atomic_compare_exchange_strong(&s->state, &expected, SHM_SLOT_ACTIVE))
		return -EBUSY;
	s->index = index;
	s->epoch++;
	s->word = (index + 1u) | (s->epoch & 0x7fffffu) << 8;
	s->kind = kind;
	s->pid = (int32_t)getpid();
	s->n_held = 0;
	atomic_store_explicit(&s->sleeping, 0, memory_order_relaxed);
	atomic_store_explicit(&s->heartbeat_ms, 0, memory_order_relaxed);
	shm_slot_seen(index);
	shm_self = s;
	shm_ring_rescan(index); /* what came for the one before is ours now */
	return 0;
}

void shm_slot_release(void)
{
	struct shm_slot *s = shm_self;

	if (!s)
		return;
	assert(s->n_held == 0);
	shm_mags_flush();
	shm_self = NULL;
	atomic_store_explicit(&s->state, SHM_SLOT_FREE, memory_order_release);
}

int shm_slot_self(void)
{
	return shm_self ? (int)shm_self->index : -1;
}

void shm_slot_beat(uint64_t now_ms)
{
	assert(shm_self);
	atomic_store_explicit(&shm_self->heartbeat_ms, now_ms, memory_order_relaxed);
}

int shm_slot_mark_dead(unsigned index)
{
	uint32_t expected = SHM_SLOT_ACTIVE;

	if (!shm_arena_mapped || index >= SHM_SLOTS_MAX)
		return -ENOENT;
	if (!atomic_compare_exchange_strong(&SHM_ARENA->slot[index].state, &expected, SHM_SLOT_DEAD))
		return -ENOENT;
	return 0;
}

int shm_slot_info(unsigned index, struct shm_slot_info *ret_info)
{
	const struct shm_slot *s;

	if (!shm_arena_mapped || index >= SHM_SLOTS_MAX)
		return -ERANGE;
	if (index >= atomic_load(&SHM_ARENA->n_slots_seen)) { /* do not touch its page */
		*ret_info = (struct shm_slot_info){ .state = SHM_SLOT_FREE };
		return 0;
	}
	s = &SHM_ARENA->slot[index];
	*ret_info = (struct shm_slot_info){
		.kind = (enum shm_slot_kind)s->kind,
		.state = (enum shm_slot_state)atomic_load(&s->state),
		.pid = s->pid,
		.epoch = s->epoch,
		.heartbeat_ms = atomic_load_explicit(&s->heartbeat_ms, memory_order_relaxed),
		.n_locks_held = s->n_held,
		.n_lock_waits = shm_lock_sleeps_of(index),
	};
	return 0;
}

unsigned shm_slot_locks(unsigned index, struct shm_held_lock *ret_locks, unsigned max)
{
	const struct shm_slot *s;
	unsigned n = 0;

	if (!shm_arena_mapped || index >= SHM_SLOTS_MAX || index >= atomic_load(&SHM_ARENA->n_slots_seen))
		return 0;
	s = &SHM_ARENA->slot[index];
	for (unsigned i = 0; i < s->n_held && i < SHM_LOCKS_HELD_MAX && n < max; i++) {
		uint64_t off = s->held[i];

		if (off >= SHM_ARENA->map_bytes)
			continue;
		ret_locks[n++] = (struct shm_held_lock){ .rank = s->held_rank[i], .offset = off, .owner = shm_lock_owner(shm_at(off)) };
	}
	return n;
}
