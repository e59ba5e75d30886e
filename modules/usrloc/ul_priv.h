/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of usrloc share: settings, tables, and the layout of a contact in shared memory. */
#ifndef RF_MODULES_UL_PRIV_H
#define RF_MODULES_UL_PRIV_H

#include "core/db/db.h"
#include "core/module/abi.h"
#include "modules/usrloc/usrloc_api.h"
#include "shm/hash.h"
#include "shm/slab.h"

#define UL_DOMAINS_MAX 16u
#define UL_NAMES_MAX 8192u /* interned texts: a limit against those who invent User-Agents */

enum ul_column {
	UL_COL_RUID, UL_COL_USER, UL_COL_DOMAIN, UL_COL_CONTACT, UL_COL_RECEIVED, UL_COL_PATH, UL_COL_EXPIRES, UL_COL_Q, UL_COL_CALLID,
	UL_COL_CSEQ, UL_COL_LAST_MODIFIED, UL_COL_FLAGS, UL_COL_CFLAGS, UL_COL_USER_AGENT, UL_COL_SOCKET, UL_COL_METHODS,
	UL_COL_INSTANCE, UL_COL_REG_ID, UL_COL_SERVER_ID, UL_COL_CONNECTION_ID, UL_COL_KEEPALIVE, UL_COL_PARTITION, UL_N_COLS
};

struct ul_conf {
	int db_mode, db_load, db_insert_update, db_update_as_insert, db_check_update, db_ops_ruid, db_insert_null, db_raw_fetch_type,
		db_timer_clean, db_clean_tcp, use_domain, timer_interval, timer_procs, matching_mode, cseq_delay, desc_time_order,
		hash_size, fetch_rows, nat_bflag, handle_lost_tcp, close_expired_tcp, skip_remote_socket, expires_type,
		server_id_filter, rm_expired_delay, version_table, load_rank, ka_mode, ka_filter, ka_interval, ka_randomize, ka_timeout, ka_loglevel,
		db_queue_max, db_deadline_ms;
	struct str db_url, xavp_contact, ka_method, ka_from, ka_domain, ka_logmsg, ka_reply_codes;
	struct str column[UL_N_COLS];
};
extern struct ul_conf ul_conf;

/* How far loading came; in shared memory. */
struct ul_progress {
	_Atomic uint32_t loading;  /* written: before forking, then by the process that loads */
	_Atomic int64_t last_id;   /* of the row up to which all is in memory; written: the process that loads */
};

/* Behind a NAT, as the script said with nat_bflag. */
static inline bool ul_is_natted(const struct ul_contact *c)
{
	return ul_conf.nat_bflag >= 0 && (c->cflags >> ul_conf.nat_bflag & 1);
}

struct ul_domain {
	struct str name;
	struct ul_progress *progress;
	struct shm_hash *hash;                 /* of struct ul_aor */
	int c_users, c_contacts, c_expires;    /* counters */
	unsigned index;
	char name_mem[64];
	char stat_name[3][80];
};

/*
 * One contact. Immutable once linked, but for the fields said to be otherwise: a change puts a new cell in the place of the
 * old. Texts stand behind it, in the order of their lengths.
 */
struct ul_cell {
	_Atomic shm_ref next;            /* written: holder of the AoR's bucket lock */
	uint32_t expires, modified;      /* seconds since the epoch */
	uint32_t cseq, flags, cflags, methods, conn_id, reg_id;
	uint32_t ruid_server, ruid_time, ruid_pid, ruid_count; /* ruid_server 0: the ruid has none */
	shm_ref user_agent;              /* struct ul_name; SHM_NONE: the text is behind the cell */
	_Atomic uint32_t last_keepalive; /* written: anyone who holds the bucket lock, as the next two */
	_Atomic uint32_t ka_roundtrip_us;
	_Atomic uint8_t state;           /* enum ul_state */
	uint8_t ruid_kind;               /* enum ul_ruid_kind */
	int16_t q;
	uint32_t version, server_id;
	uint16_t listener;
	uint16_t n_uri, n_callid, n_received, n_path, n_instance, n_user_agent, n_xavps, n_ruid, n_socket;
	char text[];
};

enum ul_ruid_kind { UL_RUID_TEXT, UL_RUID_ULOC, UL_RUID_ULCX };

/* Addresses of record. All fields but node and text are written and read by the holder of the bucket lock. */
struct ul_aor {
	struct shm_hnode node;
	_Atomic shm_ref head;     /* first contact */
	_Atomic uint32_t due;     /* no contact expires before; derived */
	_Atomic uint32_t dirty;   /* something is to be written to the database; derived */
	uint32_t n;
	char text[];
};

/* Interned text: never changed, never freed. */
struct ul_name {
	struct shm_hnode node;
	uint32_t n;
	char text[];
};

/*
 * The store, in shared memory: ul_domain.c tables, ul_cell.c contacts, ul_chain.c addresses of record, ul_read.c and ul_save.c
 * what is done with them.
 */
MUST_CHECK int ul_store_init(void);                       /* before forking: hashes, intents, checks */
MUST_CHECK int ul_domain_get(struct str name, struct ul_domain **ret_domain, struct diag *reterr);
struct ul_domain *ul_domain_find(struct str name);
unsigned ul_domain_count(void);
struct ul_domain *ul_domain_at(unsigned i);
bool ul_store_ready(void);
MUST_CHECK int ul_save(struct ul_domain *d, struct str aor, struct ul_save *s);
MUST_CHECK int ul_get(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list);
MUST_CHECK int ul_get_which(struct ul_domain *d, struct str aor, enum ul_which which, struct pool *pool, struct ul_list *ret_list);
MUST_CHECK int ul_get_ruid(struct ul_domain *d, uint32_t aor_hash, struct str ruid, enum ul_which which, struct pool *pool, struct str *ret_aor,
			   struct ul_list *ret_list);
int ul_remove(struct ul_domain *d, struct str aor, struct str ruid, struct ul_save *undo);
void ul_undo(struct ul_domain *d, struct str aor, const struct ul_save *s);
int ul_touch(struct ul_domain *d, struct str aor, struct str ruid, uint32_t roundtrip_us);
/* The same for who has only hashes: ul_aor_hash() and hashfn64() of the ruid. */
int ul_touch_hash(struct ul_domain *d, uint32_t aor_hash, uint64_t ruid_hash, uint32_t roundtrip_us);
/* As it is: expired ones, deleted ones. */
MUST_CHECK int ul_get_all(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list);
int ul_walk(struct ul_domain *d, uint32_t bucket, struct pool *pool, ul_walk_fn *fn, void *arg);
int ul_walk_all(struct ul_domain *d, uint32_t bucket, struct pool *pool, ul_walk_fn *fn, void *arg);
/* What the database does not have as it is now, and was not told to keep in memory; those count as perhaps in the database from here on. */
MUST_CHECK int ul_get_unwritten(struct ul_domain *d, struct str aor, struct pool *pool, struct ul_list *ret_list);
/* A new ruid for c, as text in pool. */
MUST_CHECK int ul_ruid_new(struct pool *pool, struct ul_contact *c);
/* Adds one contact as the database has it. Returns 1; 0: memory knows better, or loading is over; -ENOSPC, -EMSGSIZE. */
MUST_CHECK int ul_load(struct ul_domain *d, struct str aor, const struct ul_contact *c);
/* An AoR may be in the database only. */
bool ul_loading(const struct ul_domain *d);
/* Removes for good the contacts of the AoR that fn says true of; each is then given to gone() in its pool copy. */
typedef bool ul_pick_fn(const struct ul_cell *cell, void *arg);
int ul_drop(struct ul_domain *d, struct str aor, ul_pick_fn *pick, void *arg, struct pool *pool, struct ul_list *ret_gone);
/* The database has (or no more has) this version of the contact. */
/* -ENOENT: there is no such contact any more. */
int ul_synced(struct ul_domain *d, struct str aor, struct str ruid, uint32_t version);
/* Names of up to max AoRs of a bucket that are due (or dirty) into pool. Returns how many. */
unsigned ul_bucket_due(struct ul_domain *d, uint32_t bucket, uint32_t now, bool dirty_too, bool conns_too, struct pool *pool, struct str *ret_aors, unsigned max);
uint32_t ul_aor_hash(struct str aor);
/* The text for the socket that a contact came in on; n 0: unknown. */
struct str ul_socket_text(const struct ul_contact *c);
void ul_show_advertised(void);
bool ul_cell_valid(const struct ul_cell *cell, uint32_t now);
size_t ul_ruid_text(const struct ul_cell *cell, char out[UL_RUID_MAX]);
/* Sets kind and parts from text when it is one of ours; false: keep the text. */
bool ul_ruid_parse(struct str text, struct ul_cell *cell);
/* A new one of this process. kind: UL_RUID_ULOC or UL_RUID_ULCX. */
void ul_ruid_make(struct ul_cell *cell, enum ul_ruid_kind kind);
MUST_CHECK int ul_check(void);
/* Is c, of a REGISTER, the contact that we have? matching_mode; match_received: xavp_cfg. Without a path mode 2 goes by the contact alone. */
bool ul_matches(const struct ul_contact *have, const struct ul_contact *c, int mode, bool match_received);
/* Contacts that no change names go: all of them, or to make room for the one that was written (UL_SAVE_ONE). Outcomes are known. */
bool ul_save_clears(const struct ul_save *s);
/* A later change of the same message says otherwise of this contact, or is the one that may stay (UL_SAVE_ONE). */
bool ul_superseded(const struct ul_save *s, unsigned i, int mode);

/* --- ul_timer.c --- */
#define UL_TICK_MS 10u

typedef void ul_bucket_fn(struct ul_domain *d, uint32_t bucket);
/* Where somebody who goes round all tables is. Zero at the start. */
struct ul_pace {
	unsigned domain;
	uint32_t bucket;
	uint64_t owed; /* buckets that should have been looked at by now, times ticks of a round */
};
/*
 * Called every UL_TICK_MS: looks at so many buckets that all are seen once in round_ms, but for a millisecond at most (what is left is done
 * in later ticks), and only until stop() says true (NULL: never). Returns whether a round ended.
 */
bool ul_pace_run(struct ul_pace *p, uint64_t round_ms, ul_bucket_fn *look, bool (*stop)(void));
/* It expired, or does not answer, and is in no table any more: the connection, the counter, the database, the event route. */
void ul_contact_gone(struct ul_domain *d, struct str aor, const struct ul_contact *c);
MUST_CHECK int ul_timer_start(struct loop *loop);
/* One slice: buckets looked at. Tests call it directly. */
unsigned ul_timer_slice(unsigned buckets);
void ul_on_expired(ul_expired_fn *fn);

/* --- ul_ka.c: keepalive --- */
enum ul_ka_mode { UL_KA_ALL = 1, UL_KA_NAT = 2, UL_KA_UDP = 4 };
MUST_CHECK int ul_ka_init(void);                  /* before forking; logs its failure */
MUST_CHECK int ul_ka_start(struct loop *loop);    /* worker 0 */
bool ul_ka_wanted(const struct ul_contact *c);
/* Asks who is wanted of a bucket, removes who was silent for ka_timeout. */
void ul_ka_bucket(struct ul_domain *d, uint32_t bucket);
/* True: it was the answer to a keepalive. Any worker. */
struct ctx;
bool ul_ka_reply(struct ctx *ctx);

/* --- the database: ul_row.c, ul_batch.c (writing), ul_direct.c (db_mode 3), ul_load.c (loading), ul_block.c --- */
/* Is it there, and as we need it? Blocks. Tables that are to be loaded are loading() from here on. */
MUST_CHECK int ul_db_init(void);
/* Loads what is loading(), in the process that calls it. */
MUST_CHECK int ul_load_start(struct loop *loop);
/* While loading: afterwards the AoR is in memory, if the database has it. done is called later, once. */
void ul_bring(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_done_fn *done, void *arg);
/* The same; blocks (process rpcd). */
MUST_CHECK int ul_bring_sync(struct ul_domain *d, struct str aor);
void ul_sync(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_done_fn *done, void *arg);
/* As many batches are under way as may be: what is given now is not taken. */
bool ul_db_busy(void);
void ul_db_flush_aor(struct ul_domain *d, struct str aor, struct pool *pool);
void ul_db_flush_end(void); /* sends what the slice gathered */
void ul_db_forget(struct ul_domain *d, struct str ruid);
void ul_db_clean(struct ul_domain *d);
/* Writes all that is unwritten; blocks: at the end, or in process rpcd. */
int ul_db_flush_sync(void);
void ul_fetch(struct ul_domain *d, struct str aor, enum ul_which which, unsigned deadline_ms, ul_list_fn *fn, void *arg);
void ul_fetch_ruid(struct ul_domain *d, struct str ruid, enum ul_which which, unsigned deadline_ms, ul_aor_list_fn *fn, void *arg);
MUST_CHECK int ul_plan_db(struct ul_domain *d, struct str aor, const struct ul_list *list, struct ul_save *s);
void ul_save_db(struct ul_domain *d, struct str aor, struct ul_save *s, unsigned deadline_ms, ul_done_fn *done, void *arg);
/* kind 0 all, 1 users, 2 expired; blocking (process rpcd only). */
MUST_CHECK int ul_db_count(struct ul_domain *d, int kind, int64_t *ret_n);

/* --- ul_rpc.c --- */
extern const struct rpc_method ul_rpcs[];

#endif
