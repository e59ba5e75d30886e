/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages that killed workers. One that was at hand when a worker died of a fault, or was killed for making no progress, is a suspect;
 * the second death makes it refused: the same bytes are dropped before anything looks at them, since looking at them is what kills.
 *
 * Who was killed from outside (kill -9, the kernel short of memory) accuses no message.
 */
#ifndef RF_ROUTE_QUARANTINE_H
#define RF_ROUTE_QUARANTINE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/str.h"

#define QUARANTINE_MAX 32u /* messages, and files in the folder `quarantine` of the run directory */

/* Makes the table, in shared memory of its own. Context: before forking. */
MUST_CHECK int quarantine_init(void);
/* Is this message refused? Counts it. Costs a load while none is. */
MUST_CHECK bool quarantine_refuses(struct str bytes);

struct quarantine_info {
	uint32_t id;
	bool refused; /* false: a suspect */
	unsigned n_deaths;
	int64_t first_s, last_s; /* Unix time of its deaths */
	uint64_t n_refused;
	const char *from, *where, *how, *file; /* file "": not saved */
	struct str bytes;
};
/* i-th entry of QUARANTINE_MAX; -ENOENT when there is none. What is told is a view and may be reused later. */
MUST_CHECK int quarantine_at(unsigned i, struct quarantine_info *ret_info);
/* Forgets it: the message is taken again. id 0: all. Returns how many. */
unsigned quarantine_remove(uint32_t id);

#endif
