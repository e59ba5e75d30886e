/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables themselves, in shared memory: keys with a number or a text and perhaps an expiry. Each operation is atomic: it holds the
 * lock of one bucket (rank SHM_RANK_BUCKET), never while anything is allocated, and no caller's code runs under it.
 */
#ifndef RF_HTABLE_TABLE_H
#define RF_HTABLE_TABLE_H

#include "core/base/diag.h"
#include "core/base/value.h"
#include "core/transport/ctx_lock.h"
#include "shm/hash.h"

#define HT_TABLES_MAX 256u
#define HT_KEY_MAX 65535u
#define HT_VALUE_MAX (1u << 20)
#define HT_LOCKS 256u /* advisory locks per table */
#define HT_COLS_MAX 8u
#define HT_TABLES_ADDED 32u /* by reloads of the script, until a restart */

/* As defined by modparam; texts live for ever. */
struct ht_def {
	struct str name;
	unsigned size;         /* as configured: 2^size slots */
	uint32_t n_slots;      /* what that means */
	uint32_t autoexpire_s; /* 0: never */
	bool has_initval;
	int64_t initval;
	bool updateexpire;
	struct str dbtable;    /* n 0: none */
	struct str cols[HT_COLS_MAX];
	unsigned n_cols;       /* 0: the columns of the standard table */
	unsigned dbmode;       /* 1: stored at shutdown */
	struct str coldelim, colnull;
	uint32_t reloadat_s;   /* 0: never */
};

struct ht_shared { /* in the arena, never freed */
	_Atomic shm_ref hash;           /* once written */
	_Atomic uint32_t gen;           /* counts reloads: items of an older generation go at their end; written: who reloads */
	_Atomic uint32_t n_reloaded;    /* reloads that ended; worker 0 fires the event */
	uint32_t pad;
	char name[64];                  /* once written; "": of the start, where all processes know it */
	ctx_lock_word lock[HT_LOCKS];   /* sht_lock */
};

struct ht_table {
	struct ht_def def;
	struct str text;        /* of the definition */
	bool pending;           /* of a reload that may still be refused */
	struct ht_shared *shared;
	struct shm_hash *hash;
};

/* Reads "name=>size=8;autoexpire=300;..." . Views into text. Returns 0 or diag_set(). */
MUST_CHECK int ht_def_parse(struct str text, struct ht_def *ret_def, struct diag *reterr);
/* Before the arena exists, at load. Returns 0; -EEXIST for a name that is taken, -ENOSPC over HT_TABLES_MAX. */
MUST_CHECK int ht_table_add(const struct ht_def *def, struct str text);
/*
 * A table that a reload defines: found in shared memory by its name, or made there (create: by one process, before the others ask).
 * Texts of def live for ever. Returns 0, the table is pending; -ENAMETOOLONG over 63 bytes; -ENOSPC; -ENOENT: nobody made it.
 */
MUST_CHECK int ht_table_adopt(const struct ht_def *def, struct str text, bool create);
/* Makes all tables. Supervisor, before forking. Returns 0 or -ENOSPC. */
MUST_CHECK int ht_tables_init(void);
unsigned ht_table_count(void);
struct ht_table *ht_table_at(unsigned i);
struct ht_table *ht_table_find(struct str name);

/* now_s: wall clock everywhere. An item is gone for readers as soon as its last second is over. */
#define HT_EXPIRE_RULE (-1) /* as autoexpire and updateexpire say */

/* 1 with the value; 0 when absent or expired; -ENOMEM. Text is a view into memory of this process, valid until the next call of any
 * function here. */
int ht_get(struct ht_table *t, struct str key, int64_t now_s, struct value *ret);
/* v: VALUE_INT or VALUE_STR. ttl_s: HT_EXPIRE_RULE, or seconds to live (ignored by tables without autoexpire).
 * Returns 0; -EMSGSIZE for an oversized key or text; -ENOSPC when the arena is full. */
MUST_CHECK int ht_set(struct ht_table *t, struct str key, const struct value *v, int64_t ttl_s, int64_t now_s);
/* Whether it was there. */
bool ht_del(struct ht_table *t, struct str key);
/* Adds, atomically. *ret: the new number, or null (text, or absent without initval). Returns 0, -EMSGSIZE, -ENOSPC. */
MUST_CHECK int ht_add(struct ht_table *t, struct str key, int64_t delta, int64_t now_s, struct value *ret);
/* Seconds left, 0 when absent or without expiry. */
int64_t ht_ttl(struct ht_table *t, struct str key, int64_t now_s);
/* Also revives what is expired and not removed yet. Whether it was there; tables without autoexpire: false. */
bool ht_ttl_set(struct ht_table *t, struct str key, int64_t ttl_s, int64_t now_s);
/* Removes all of bucket i: what is done to each for a reset. */
void ht_reset_bucket(struct ht_table *t, uint32_t i);
/*
 * A reload: begin gives it a generation; once all was set, each bucket is swept of what was not set since; end tells worker 0. Another one
 * may begin meanwhile.
 */
uint32_t ht_reload_begin(struct ht_table *t);
void ht_reload_sweep(struct ht_table *t, uint32_t bucket, uint32_t gen);
void ht_reload_end(struct ht_table *t);

/* ---- copies of one bucket: for everything that looks at many items ---- */

enum ht_filter { HT_LIVE = 1, HT_EXPIRED = 2, HT_ALL = 3 };

struct ht_row {
	struct str key;
	struct value value;
	int64_t expire_s; /* 0: never */
};

struct ht_snap { /* zeroed: empty. The memory is kept between uses. */
	char *buf;
	size_t cap, used;
	unsigned n;
};

/* Replaces what snap holds by bucket i. Returns 0 (also for a bucket that does not exist) or -ENOMEM. */
MUST_CHECK int ht_snap_bucket(struct ht_table *t, uint32_t i, enum ht_filter filter, int64_t now_s, struct ht_snap *snap);
/* *pos: 0 to begin. The row's texts live as long as the copy. */
bool ht_snap_next(const struct ht_snap *snap, size_t *pos, struct ht_row *ret);
void ht_snap_done(struct ht_snap *snap);

/* Removes what is expired in bucket i; returns how many. */
unsigned ht_expire_bucket(struct ht_table *t, uint32_t i, int64_t now_s);
/* Removes this key if it is (still) expired. */
bool ht_expire_key(struct ht_table *t, struct str key, int64_t now_s);

/* ---- advisory locks ---- */

/* The one that the key's hash leads to. */
ctx_lock_word *ht_lock_word(const struct ht_table *t, struct str key);
/* Janitor, after the death of a slot; also worker_stop with its own. */
int ht_locks_recover(unsigned slot);

/* The directory's word: 1 once event_route[htable:mod-init] ran. */
_Atomic uint32_t *ht_init_done(void);
/* Invariants of every table: lengths inside the object, keys in their bucket, no key twice. Returns 0 or -EUCLEAN. */
MUST_CHECK int ht_check(void);

#endif
