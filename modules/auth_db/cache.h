/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of the subscriber table that were read lately, also the answer "there is none", in shared memory. Off by default (cache_expire 0): then a
 * changed password counts at once.
 */
#ifndef RF_AUTH_DB_CACHE_H
#define RF_AUTH_DB_CACHE_H

#include "core/db/db.h"

#define CACHE_VALS_MAX 17u      /* the secret and load_credentials */
#define CACHE_ITEM_MAX 8192u    /* bytes of a row's texts; longer ones are not kept */
#define CACHE_ITEMS_MAX 1000000u

struct cache_key { /* what was asked */
	struct str table, column, user, domain; /* domain n 0: not asked for */
	bool load;                              /* with the load_credentials columns */
};

struct cache_row {
	bool found;
	unsigned n;
	struct db_val val[CACHE_VALS_MAX]; /* texts: views, see cache_find() */
	int64_t age_s;
};

/* Supervisor, before forking. Returns 0, -ENOSPC or -EEXIST. */
MUST_CHECK int cache_init(void);
/* now_s: monotonic seconds. The texts of *ret are valid until the next call. */
bool cache_find(const struct cache_key *key, uint64_t now_s, struct cache_row *ret);
/* Take it before asking the database: a flush in between makes cache_put() drop the answer. */
uint32_t cache_generation(void);
/* Best effort: without memory, or over CACHE_ITEMS_MAX, nothing is kept. */
void cache_put(const struct cache_key *key, const struct cache_row *row, uint32_t generation, uint64_t now_s, unsigned ttl_s);
/* All, or the rows of one user (n 0: all). Returns how many went. */
unsigned cache_flush(struct str user);
/* Removes what is over, n buckets from *next on. */
void cache_sweep(uint32_t *next, unsigned n, uint64_t now_s);
uint64_t cache_count(void);
MUST_CHECK int cache_check(void);

#endif
