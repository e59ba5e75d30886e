/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks over a whole table, in slices: the process does something else between two of them, a run of the script that waits for the
 * end is parked. What others change meanwhile may or may not be seen.
 */
#ifndef RF_HTABLE_WALK_H
#define RF_HTABLE_WALK_H

#include "modules/htable/htable_priv.h"

struct ht_walk;

#define HT_WALK_ON 0 /* of an ht_over_fn: go on with what it put into table, bucket */

/* Looks at one bucket (its number is w->bucket); true: the rest of the table need not be seen. */
typedef bool ht_look_fn(struct ht_walk *w);
/* Once no bucket is left, or w->err is set, or look() said so. Returns the code of the script's function, or HT_WALK_ON. */
typedef int ht_over_fn(struct ht_walk *w);

struct ht_walk {
	const char *what;      /* who walks, for the log; lives for ever */
	struct ht_table *table;
	uint32_t bucket;       /* the next one */
	int err;               /* of the walk; look() may set it and return true */
	ht_look_fn *look;      /* NULL: over at once */
	ht_over_fn *over;
	/* for those two */
	struct ht_test test;   /* prepared again for each slice; its text is copied when the walk is to go on later */
	bool values, found;
	int64_t n;
	unsigned n_tables;     /* that are behind */
	unsigned min, max;
	uint32_t gen;
	void *of;              /* iterator, ht_ctx, rpc */
	bool deferred;         /* the rpc is answered in over() */
};

/*
 * Walks for a function of the script: at once when it ends within a slice or where the run cannot wait (ctx_may_wait()), else in slices
 * while ctx is parked. Returns what over() said, or SCRIPT_SUSPEND.
 */
int ht_walk_run(struct ctx *ctx, const struct ht_walk *walk);
/* The same, but others work for a turn of the loop first. look NULL: then it is over. */
int ht_walk_later(struct ctx *ctx, const struct ht_walk *walk);
/* Walks with nobody waiting for it: over() does what is to be done. Without memory: at once. Context: a process with a loop. */
void ht_walk_start(const struct ht_walk *walk);
/* In one go. Returns what over() said. at_once: for the script; the log has a line when it took long. */
int ht_walk_all(struct ht_walk *walk);
int ht_walk_at_once(struct ht_walk *walk);

/* The monotonic time, in us, at which a run that began to work now has had its slice. */
uint64_t ht_slice_end(void);

/* In over(), of a walk over all tables that began with the first: on to the next one. False: there is none. */
bool ht_walk_next_table(struct ht_walk *w);

/* Copies bucket w->bucket; false: w->err is set. The copy belongs to the process and is valid until the next one. */
bool ht_walk_copy(struct ht_walk *w, enum ht_filter filter, const struct ht_snap **ret_snap);

#endif
