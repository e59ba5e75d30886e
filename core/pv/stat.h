/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics by name: the counters of shared memory, and numbers that are computed when somebody asks (sizes of tables, of memory).
 * For $stat() and RPC stats.*.
 */
#ifndef RF_PV_STAT_H
#define RF_PV_STAT_H

#include <stdbool.h>

#include "core/base/str.h"

typedef int64_t stat_fn(intptr_t arg);
struct stat_def {
	const char *group, *name;
	stat_fn *fn;
	intptr_t arg;
};

struct stat_ref {
	const char *group, *name;
	int counter;               /* id of a shared counter, or -1 */
	const struct stat_def *def; /* computed; NULL: a counter */
};

/* Table ends with group NULL; lives for ever. Returns 0 or -ENOSPC. Context: before forking. */
MUST_CHECK int stat_register(const struct stat_def *table);
/* i-th statistic, counters first. Returns 0 or -ENOENT past the end. */
MUST_CHECK int stat_at(unsigned i, struct stat_ref *ret);
/* The same, sorted by group and name in byte order, as operators see them. */
MUST_CHECK int stat_sorted_at(unsigned i, struct stat_ref *ret);
/* What stands between the parts of a made name ("location_users"): stats_name_separator. Default '_'. Context: before modules start. */
void stat_separator_set(char c);
char stat_separator(void);
/* "name": the first of that name in any group; "group.name" and "group:name" too. -ENOENT. */
MUST_CHECK int stat_find(struct str name, struct stat_ref *ret);
int64_t stat_read(const struct stat_ref *ref);
/* True when it was set back to 0 (computed ones and those that say how many there are cannot be). */
bool stat_reset(const struct stat_ref *ref);

#endif
