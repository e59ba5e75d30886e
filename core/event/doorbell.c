/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waking other processes. The eventfds are made before the fork, so every process holds all of them
 * and a replacement finds the bell of its slot as its predecessor left it. Messages travel on the
 * rings of shm/; the bell only ends the sleep of a reader that said it sleeps, so a busy worker is
 * never rung.
 */
#include "core/event/doorbell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shm/ring.h"
#include "shm/slot.h"

#define DRAIN_BUDGET 256u /* messages per turn: sockets and timers get their share */

static int bells[SHM_SLOTS_MAX];
static unsigned n_bells;
static doorbell_fn *handlers[DOORBELL_N_TYPES];
static uint64_t n_unhandled;

int doorbell_open_all(unsigned n_slots)
{
	if (n_slots > SHM_SLOTS_MAX)
		return -EINVAL;
	if (n_bells)
		return -EEXIST;
	for (; n_bells < n_slots; n_bells++) {
		bells[n_bells] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (bells[n_bells] < 0) {
			int err = -errno;

			doorbell_close_all();
			return err;
		}
	}
	return 0;
}

void doorbell_close_all(void)
{
	while (n_bells > 0)
		(void)close(bells[--n_bells]);
}

void doorbell_ring(unsigned slot)
{
	uint64_t one = 1;

	if (slot < n_bells && write(bells[slot], &one, sizeof(one)) < 0)
		return; /* EAGAIN: it has rung 2^64 times and nobody listened; it still does */
}

int doorbell_send(unsigned to, uint16_t type, const struct iovec *parts, unsigned n_parts)
{
	int ret = shm_ring_put(to, type, parts, n_parts);

	if (ret > 0) {
		doorbell_ring(to);
		ret = 0;
	}
	return ret;
}

void doorbell_handle(enum doorbell_type type, doorbell_fn *fn)
{
	if ((unsigned)type < DOORBELL_N_TYPES)
		handlers[type] = fn;
}

uint64_t doorbell_unhandled(void)
{
	return n_unhandled;
}

static void on_message(void *arg UNUSED, unsigned from, uint16_t type, const void *data, size_t len)
{
	if (type < DOORBELL_N_TYPES && handlers[type])
		handlers[type](from, data, len);
	else
		n_unhandled++;
}

static bool drain(void *arg UNUSED)
{
	return shm_ring_drain(DRAIN_BUDGET, on_message, NULL) == DRAIN_BUDGET;
}

static bool may_sleep(void *arg UNUSED)
{
	shm_ring_sleep(true);
	if (!shm_ring_pending())
		return true;
	shm_ring_sleep(false); /* it came between draining and saying that we sleep */
	return false;
}

static void woke(void *arg UNUSED)
{
	shm_ring_sleep(false);
}

static void on_bell(void *arg UNUSED, int fd, int events UNUSED)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		; /* the count says nothing: the rings are drained each turn anyway */
}

int doorbell_listen(struct loop *loop)
{
	static const struct loop_gate gate = { .drain = drain,
		                               .may_sleep = may_sleep,
		                               .woke = woke };
	struct loop_io *io;
	int slot = shm_slot_self();
	int err;

	if (slot < 0 || (unsigned)slot >= n_bells)
		return -ENXIO;
	err = loop_io_add(loop, bells[slot], LOOP_READ, on_bell, NULL, &io);
	if (err < 0)
		return err;
	loop_gate_set(loop, &gate);
	return 0;
}
