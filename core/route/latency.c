/* SPDX-License-Identifier: BSD-2-Clause */
/* The histogram of handling times: powers of two, so that a bucket is found by counting bits. */
#include "core/route/latency.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "shm/counter.h"

static struct {
	int id[ROUTE_LATENCY_KINDS][ROUTE_LATENCY_BUCKETS + 1];
	char name[ROUTE_LATENCY_KINDS][ROUTE_LATENCY_BUCKETS + 1][32]; /* live for ever */
} self;

int route_latency_init(void)
{
	static const char *const kinds[ROUTE_LATENCY_KINDS] = { "requests", "replies" };

	for (unsigned k = 0; k < ROUTE_LATENCY_KINDS; k++) {
		for (unsigned b = 0; b <= ROUTE_LATENCY_BUCKETS; b++) {
			char *name = self.name[k][b];

			if (b < ROUTE_LATENCY_BUCKETS - 1)
				(void)snprintf(name, sizeof(self.name[k][b]), "%s_us_below_%u", kinds[k], 2u << b);
			else
				(void)snprintf(name, sizeof(self.name[k][b]), "%s_us_%s", kinds[k], b == ROUTE_LATENCY_BUCKETS ? "sum" : "above");
			self.id[k][b] = shm_counter_register("latency", name);
			if (self.id[k][b] < 0)
				return self.id[k][b];
		}
	}
	return 0;
}

bool route_latency_due(enum route_latency_of kind)
{
	static unsigned seen[ROUTE_LATENCY_KINDS];

	if (LIKELY(++seen[kind] < ROUTE_LATENCY_EVERY))
		return false;
	seen[kind] = 0;
	return true;
}

void route_latency_note(enum route_latency_of kind, uint64_t rx_us)
{
	uint64_t now = clock_now_us(), us;
	unsigned bucket;

	if (rx_us == 0 || now < rx_us)
		return;
	us = now - rx_us;
	bucket = 63u - (unsigned)__builtin_clzll(us | 1);
	if (bucket >= ROUTE_LATENCY_BUCKETS)
		bucket = ROUTE_LATENCY_BUCKETS - 1;
	shm_counter_add(self.id[kind][bucket], ROUTE_LATENCY_EVERY);
	shm_counter_add(self.id[kind][ROUTE_LATENCY_BUCKETS], (int64_t)us * ROUTE_LATENCY_EVERY);
}

int64_t route_latency_read(enum route_latency_of kind, unsigned bucket)
{
	return bucket <= ROUTE_LATENCY_BUCKETS ? shm_counter_read(self.id[kind][bucket]) : 0;
}
