/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages from one process to another: a ring of bytes per (writer, reader) pair, made on first use.
 * The writer rings the reader's doorbell only when the reader said that it sleeps.
 *
 * A reader gets the messages of all its rings in the order in which they were put: what was put before another put
 * began comes first, whoever put the two. So who works on something under a claim may send, give the claim up, and be
 * sure that the next holder's message follows.
 */
#ifndef RF_SHM_RING_H
#define RF_SHM_RING_H

#include <stdbool.h>

#include "shm/ref.h"

#define SHM_RING_BYTES (256u * 1024u)
#define SHM_RING_MSG_MAX (SHM_RING_BYTES / 2u - 64u)

/*
 * Appends one message from the own slot to the ring of slot `to`; the bytes are copied.
 * type: the reader's dispatch key. parts: n_parts pieces, together 0 to SHM_RING_MSG_MAX bytes.
 * Returns 1 when the reader sleeps and its doorbell must be rung, 0 when it is awake;
 * -EAGAIN when the ring is full; -EMSGSIZE; -ENOSPC when no ring can be made; -ESRCH when no process has the slot.
 * Context: a process with a slot. Never blocks.
 */
struct iovec;
MUST_CHECK int shm_ring_put(unsigned to, uint16_t type, const struct iovec *parts, unsigned n_parts);

/* data lives until the function returns. */
typedef void shm_ring_fn(void *arg, unsigned from, uint16_t type, const void *data, size_t len);
/* Takes up to `budget` messages off all rings that lead to the own slot. Returns how many. */
unsigned shm_ring_drain(unsigned budget, shm_ring_fn *fn, void *arg);
/* Does something lead to the own slot that was not taken off yet? Also true while a handler of shm_ring_drain() runs. */
bool shm_ring_pending(void);
/* Says whether the reader is about to sleep. After saying true it must look once more with
 * shm_ring_pending() before it sleeps. */
void shm_ring_sleep(bool sleeping);

#endif
