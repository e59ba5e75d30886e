/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the store share: cells, chains, copies. Locks: "bucket" is the AoR's, held by the caller. */
#ifndef RF_MODULES_UL_STORE_H
#define RF_MODULES_UL_STORE_H

#include "modules/usrloc/ul_priv.h"

#define UL_AOR_MAX 512u

/* --- ul_domain.c --- */
/* AoRs came (1) or went (-1). */
void ul_users_add(const struct ul_domain *d, int n);

/* --- ul_cell.c --- */
MUST_CHECK int ul_cells_init(void);
/* False: a text is over 64 kB. */
bool ul_cell_fits(const struct ul_contact *c);
/* A filled cell in limbo, with a ruid of its own unless c has one; NULL: no memory, or it does not fit. Takes no bucket lock. */
struct ul_cell *ul_cell_new(const struct ul_contact *c);
size_t ul_cell_size(const struct ul_cell *c);
/* Views into cell, which must stay; the ruid is written to ruid_mem (UL_RUID_MAX bytes). */
void ul_cell_view(const struct ul_cell *cell, char *ruid_mem, struct ul_contact *c);
bool ul_cell_has_ruid(const struct ul_cell *c, struct str ruid);
/* matching_mode of the module, and the rules that stand above it: see ul_matches(). */
bool ul_cell_matches(const struct ul_cell *cell, const struct ul_contact *c, int mode, bool match_received);
struct str ul_cell_callid(const struct ul_cell *c);

/* --- ul_chain.c: the bucket is locked --- */
MUST_CHECK int ul_chain_init(void);
struct str ul_aor_text(const struct ul_aor *a);
/* In limbo, without contacts; NULL: no memory. The bucket is not locked. */
struct ul_aor *ul_aor_new(struct str aor, uint32_t hash);
struct ul_aor *ul_aor_find(struct shm_hbucket *b, uint32_t hash, struct str aor);
void ul_aor_add(struct ul_domain *d, struct shm_hbucket *b, struct ul_aor *a);
/* Takes an AoR without contacts out of the table: then it is to be freed, else NULL. */
struct ul_aor *ul_aor_drop_empty(struct ul_domain *d, struct shm_hbucket *b, struct ul_aor *a);
void ul_aor_recount(struct ul_aor *a);
/*
 * Links fresh (NULL: nothing) and takes old (NULL: nothing) out. From the intent on, the janitor finishes what the first store
 * to the chain began; before it, old stays. old is then in limbo and to be freed.
 */
void ul_cell_change(const struct ul_domain *d, struct ul_aor *a, struct ul_cell *old, struct ul_cell *fresh);
/* The database must hear of it first (unless for_good): then it is only marked. Returns whether the cell was unlinked, into *retired. */
bool ul_cell_remove(struct ul_domain *d, struct ul_aor *a, struct ul_cell *c, bool for_good, struct ul_cell **retired);
/* Without a lock: frees what cell_remove() gathered. */
void ul_cells_free(struct ul_cell *retired);

static inline struct ul_cell *ul_cell_first(const struct ul_aor *a)
{
	return shm_ptr(atomic_load_explicit(&a->head, memory_order_relaxed));
}

static inline struct ul_cell *ul_cell_next(const struct ul_cell *c)
{
	return shm_ptr(atomic_load_explicit(&c->next, memory_order_relaxed));
}

/* --- ul_read.c --- */
enum ul_copy_what { UL_COPY_VALID, UL_COPY_LAPSED /* valid, or expired and not yet removed */, UL_COPY_ALL, UL_COPY_UNWRITTEN };

struct ul_copied {
	unsigned n;
	size_t bytes; /* in scratch */
};

/* Gets the scratch memory, once. */
MUST_CHECK int ul_scratch_ready(void);
/* Makes room for that many bytes. -EMSGSIZE, -ENOMEM. No lock is held. */
MUST_CHECK int ul_scratch_grow(size_t need);
/* The bucket is locked. Returns 0, or the bytes of scratch that it needs. */
size_t ul_copy_locked(struct ul_aor *a, enum ul_copy_what what, uint32_t now, struct ul_copied *ret);
/* From scratch to the caller's pool. */
MUST_CHECK int ul_copied_list(const struct ul_copied *copied, struct pool *pool, struct ul_list *ret_list);

#endif
