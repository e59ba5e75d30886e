/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long messages took, as counters of group "latency": requests_us_below_2, _4, _8 ... each counts those that took less than that
 * many microseconds and no less than half of it. Reading the clock costs a hundredth of an OPTIONS, so one message in
 * ROUTE_LATENCY_EVERY is measured and counts for all of them.
 */
#ifndef RF_ROUTE_LATENCY_H
#define RF_ROUTE_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/defs.h"

enum route_latency_of {
	ROUTE_LATENCY_REQUESTS, /* from the receiving system call to the end of request_route, waiting included */
	ROUTE_LATENCY_REPLIES,  /* ... to when the worker went on with the next message */
	ROUTE_LATENCY_KINDS
};
#define ROUTE_LATENCY_BUCKETS 25u /* below 2, 4, ... 2^24 us (17 s); the last one is all above */

#define ROUTE_LATENCY_EVERY 17u /* a prime: no pattern of requests and replies keeps step with it */

/* Is this message one to count? Asked once per message. Context: worker. */
bool route_latency_due(enum route_latency_of kind);
/* Context: before forking. -ENOSPC. */
MUST_CHECK int route_latency_init(void);
/* Counts a message that is due, received at that time (monotonic; 0: not known, not counted). Context: worker. */
void route_latency_note(enum route_latency_of kind, uint64_t rx_us);
/* How many messages; bucket ROUTE_LATENCY_BUCKETS: the sum of their microseconds. */
int64_t route_latency_read(enum route_latency_of kind, unsigned bucket);

#endif
