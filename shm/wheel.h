/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of shared objects: one hierarchical wheel per worker slot, O(1) add and cancel, expiry in
 * bounded slices. A replacement inherits the wheel of the dead worker with its slot. Ticks of 10 ms.
 */
#ifndef RF_SHM_WHEEL_H
#define RF_SHM_WHEEL_H

#include <stdbool.h>

#include "shm/ref.h"

#define SHM_TICK_MS 10u

struct shm_timer { /* embedded in a shared object, aligned to SHM_GRAIN; zeroed = idle */
	_Atomic shm_ref next, prev; /* written: holder of the wheel's lock */
	uint32_t tick;              /* when it fires */
	uint8_t wheel;              /* slot whose wheel it is on */
	uint8_t kind;               /* index in the table of handlers */
	uint8_t state;              /* idle, pending, firing */
	uint8_t pad;
};

/* Called without a lock, in the worker that owns the wheel. The timer is idle again. */
typedef void shm_timer_fn(struct shm_timer *t, uint64_t now_ms);

/* Context: before forking. Returns the kind (0-63), or -ENOSPC. */
MUST_CHECK int shm_timer_kind_register(const char *name, shm_timer_fn *fn);

/* Arms (or re-arms) on the wheel of the calling slot; when the timer is pending on another slot's wheel
 * it stays there. when_ms: monotonic, rounded up to a tick. Context: a process with a slot; the caller
 * serialises calls for one timer (it holds the object's lock). */
void shm_timer_set(struct shm_timer *t, uint8_t kind, uint64_t when_ms);
/* As above on the wheel of that worker slot (janitor and rpcd own no running wheel). */
void shm_timer_set_on(struct shm_timer *t, uint8_t kind, uint64_t when_ms, unsigned slot);
/* True when it was pending and now is not; false when idle or being fired. */
bool shm_timer_del(struct shm_timer *t);
bool shm_timer_is_set(const struct shm_timer *t);

/* Fires what is due on the own wheel, at most `budget` timers. Returns the number fired;
 * budget means more may be due. Context: worker. */
unsigned shm_wheel_run(uint64_t now_ms, unsigned budget);
/* Milliseconds to the next tick that may hold a timer, at most max_ms. */
uint32_t shm_wheel_next_ms(uint64_t now_ms, uint32_t max_ms);
MUST_CHECK int shm_wheel_check(void);

#endif
