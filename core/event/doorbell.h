/* SPDX-License-Identifier: BSD-2-Clause */
/* One eventfd per slot, made by the supervisor before it forks, so that any process can wake any other. */
#ifndef RF_EVENT_DOORBELL_H
#define RF_EVENT_DOORBELL_H

#include "core/event/loop.h"

struct iovec;

/* Context: supervisor, once. n_slots: at most SHM_SLOTS_MAX. */
MUST_CHECK int doorbell_open_all(unsigned n_slots);
/* Closes them; for tests. */
void doorbell_close_all(void);
/* Ignored for a slot without a bell. */
void doorbell_ring(unsigned slot);
/* Puts a message on the ring of slot `to` and wakes it when it sleeps. Returns 0; errors of shm_ring_put(). */
MUST_CHECK int doorbell_send(unsigned to, uint16_t type, const struct iovec *parts, unsigned n_parts);

/* Who handles ring messages of a type in this process. */
typedef void doorbell_fn(unsigned from, const void *data, size_t len);
enum doorbell_type { DOORBELL_CONN_SEND = 1, DOORBELL_CONN_CLOSE, DOORBELL_TM_EVENT, DOORBELL_RPC, DOORBELL_GENERATION, DOORBELL_DB, DOORBELL_MODULE, DOORBELL_N_TYPES };
void doorbell_handle(enum doorbell_type type, doorbell_fn *fn);
/* Watches the own bell and drains the own rings each turn. Context: after fork, slot taken.
 * Returns 0; -ENXIO without a slot or its bell; -ENOMEM and what epoll says. */
MUST_CHECK int doorbell_listen(struct loop *loop);
/* Messages of a type nobody handles in this process; they are dropped. */
uint64_t doorbell_unhandled(void);

#endif
