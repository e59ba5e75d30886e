/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long messages took, as counters of group "latency": requests_us_below_2, _4, _8 ... each counts those that took less than that
 * many microseconds and no less than half of it. One clock read and two additions to cells of the own slot per message.
 */
#ifndef RF_ROUTE_LATENCY_H
#define RF_ROUTE_LATENCY_H

#include <stdint.h>

#include "shm/defs.h"

enum route_latency_of {
	ROUTE_LATENCY_REQUESTS, /* from the receiving system call to the end of request_route, waiting included */
	ROUTE_LATENCY_REPLIES,  /* ... to when the worker went on with the next message */
	ROUTE_LATENCY_KINDS
};
#define ROUTE_LATENCY_BUCKETS 25u /* below 2, 4, ... 2^24 us (17 s); the last one is all above */

/* Context: before forking. -ENOSPC. */
MUST_CHECK int route_latency_init(void);
/* Counts a message received at that time (monotonic; 0: not known, not counted). Returns the microseconds since. Context: worker. */
uint64_t route_latency_note(enum route_latency_of kind, uint64_t rx_us);
/* How many messages; bucket ROUTE_LATENCY_BUCKETS: the sum of their microseconds. */
int64_t route_latency_read(enum route_latency_of kind, unsigned bucket);

#endif
