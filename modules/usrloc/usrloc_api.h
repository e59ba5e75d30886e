/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where users are: addresses of record (AoR) and their contacts. What other modules (registrar, nathelper ...) may do with
 * them; found with module_api_find("usrloc").
 *
 * Contacts live in shared memory. Callers never see that memory: they get copies in a pool, and hand in complete
 * contacts that replace what was there.
 */
#ifndef RF_MODULES_USRLOC_API_H
#define RF_MODULES_USRLOC_API_H

#include "core/base/diag.h"
#include "core/base/pool.h"
#include "core/base/str.h"

struct ul_domain; /* one table, "location" */

#define UL_CHANGES_MAX 32u     /* contacts in one REGISTER */
/*
 * Contacts of one AoR, whatever max_contacts says: each REGISTER looks at all of them under one lock, so a subscriber who registered
 * tens of thousands would make everybody wait. Nobody is called at more than CTX_BRANCHES_MAX of them.
 */
#define UL_AOR_CONTACTS_MAX 500u
#define UL_RUID_MAX 64u
#define UL_Q_UNSET (-1)
#define UL_METHODS_ALL UINT32_MAX

enum ul_state { UL_NEW, UL_SYNC, UL_DIRTY, UL_DELETED /* still in the database */ };
enum ul_flags { UL_F_MEM_ONLY = 1, UL_F_PATH = 2, UL_F_RPC = 4 };

/* One contact: as input, views of the caller's; as output, in the pool given (user_agent: for ever). n 0: unset. */
struct ul_contact {
	struct str uri, callid, received, path, instance, user_agent;
	struct str xavps;      /* packed with avp_set_pack() */
	struct str ruid;       /* out; in: only when loading */
	struct str socket;     /* text of a socket that is not ours; else see listener */
	int64_t expires;       /* seconds since the epoch, 0: never */
	int64_t modified;      /* out */
	int64_t last_keepalive;
	uint32_t cseq, flags, cflags, methods, conn_id, reg_id, ka_roundtrip_us;
	uint32_t version;      /* out: another one after each change */
	int16_t q;             /* 0 to 1000, UL_Q_UNSET */
	uint32_t server_id;    /* of the server that wrote it last; save() and plan_db() fill in ours */
	uint16_t listener;     /* index, NET_LISTENER_NONE */
	enum ul_state state;
};

struct ul_list {
	struct ul_contact *c; /* in their order: descending q, or newest first */
	unsigned n;
	uint32_t aor_hash;
};

enum ul_outcome { UL_O_NOTHING, UL_O_INSERTED, UL_O_UPDATED, UL_O_REMOVED, UL_O_RETRANSMIT };

struct ul_change {
	struct ul_contact c;
	bool remove;
	enum ul_outcome outcome; /* out */
};

/* UL_LAPSED_TOO: those that expired as well, until the timer removes them. */
enum ul_which { UL_VALID, UL_LAPSED_TOO };

enum ul_save_flags {
	UL_SAVE_ONE = 1,       /* the last contact that is written stays, all others are removed */
	UL_SAVE_REMOVE_ALL = 2, /* "Contact: *" */
	UL_SAVE_MEM_ONLY = 4,
	UL_SAVE_FORCE = 8,     /* no CSeq check */
};

struct ul_save {
	struct ul_change *changes;
	unsigned n_changes;    /* at most UL_CHANGES_MAX */
	unsigned flags;        /* enum ul_save_flags */
	unsigned max_contacts; /* 0: no limit */
	int matching_mode;     /* -1: the module's */
	bool match_received;   /* the same received text is needed to match too */
	struct pool *pool;     /* memory of ret_list */
	void *plan;            /* between plan_db() and save_db() */
	struct ul_list ret_list; /* out: the valid contacts afterwards */
	bool keep_before;      /* ret_before is wanted, for undo() */
	struct ul_list ret_before; /* out: all contacts before */
	bool ret_any_new, ret_wants_db; /* out; ret_wants_db: finish with sync() before answering */
};

/* err: 0, -ETIMEDOUT, -EIO ...: the database does not have it (yet). */
typedef void ul_done_fn(void *arg, int err);
typedef void ul_list_fn(void *arg, int err, const struct ul_list *list);
typedef void ul_aor_list_fn(void *arg, int err, struct str aor, const struct ul_list *list);
/* A contact expired; c lives until return. Context: worker 0. */
typedef void ul_expired_fn(struct ul_domain *d, struct str aor, const struct ul_contact *c);
typedef int ul_walk_fn(struct ul_domain *d, struct str aor, const struct ul_contact *c, void *arg);

struct ul_api {
	/* Registers the table (script load) or finds it. Returns 0, -ENOENT after start-up, -ENOSPC over 16, -EINVAL. */
	int (*domain_get)(struct str name, struct ul_domain **ret_domain, struct diag *reterr);
	struct ul_domain *(*domain_find)(struct str name); /* NULL: none */
	struct str (*domain_name)(const struct ul_domain *d);
	bool (*use_domain)(void);
	int (*db_mode)(void);
	int (*nat_bflag)(void);          /* index, -1: unset */
	struct str (*xavp_contact)(void); /* name, n 0: none */

	/*
	 * All changes of one REGISTER, or none: 0; -ESTALE (CSeq too low), -E2BIG (max_contacts), -ENOSPC (memory), -EMSGSIZE. -ENOMEM
	 * of the pool may come when they are made already: then only ret_list is missing.
	 * Readers see each contact either as it was or as it is. Not in db_mode 3: see save_start().
	 */
	int (*save)(struct ul_domain *d, struct str aor, struct ul_save *s);
	/*
	 * db_mode 1, when sync() failed: what save() or remove() changed is again as it was, and to be written so. What somebody else
	 * changed since then stays. s: as they left it.
	 */
	void (*undo)(struct ul_domain *d, struct str aor, const struct ul_save *s);
	/* Writes what is unwritten of this AoR to the database; done is called later, once, from the loop. */
	void (*sync)(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_done_fn *done, void *arg);
	/* Copies of the contacts; -ENOENT: none. */
	int (*get)(struct ul_domain *d, struct str aor, enum ul_which which, struct pool *pool, struct ul_list *ret_list);
	/* The AoR that has a contact with this ruid (temporary GRUU), given the AoR's hash. */
	int (*get_ruid)(struct ul_domain *d, uint32_t aor_hash, struct str ruid, enum ul_which which, struct pool *pool, struct str *ret_aor,
			struct ul_list *ret_list);
	/* Returns how many were removed; -ENOENT. ruid n 0: all. undo: NULL, or only pool is filled in and ret_before comes back; -ENOMEM then: nothing was removed. */
	int (*remove)(struct ul_domain *d, struct str aor, struct str ruid, struct ul_save *undo);
	/*
	 * The tables are being loaded, so an AoR may be in the database only: bring() it in before reading or changing it. done is
	 * called later, once, from the loop; err: the database did not answer. Not in db_mode 3.
	 */
	bool (*loading)(const struct ul_domain *d);
	void (*bring)(struct ul_domain *d, struct str aor, unsigned deadline_ms, ul_done_fn *done, void *arg);
	/* db_mode 3, or while loading: the AoR that has the contact with this ruid, and its contacts; fn as with fetch(), -ENOENT: none. */
	void (*fetch_ruid)(struct ul_domain *d, struct str ruid, enum ul_which which, unsigned deadline_ms, ul_aor_list_fn *fn, void *arg);
	/* db_mode 3: asks the database for the contacts; fn is called later, once. list lives until fn returns. */
	void (*fetch)(struct ul_domain *d, struct str aor, enum ul_which which, unsigned deadline_ms, ul_list_fn *fn, void *arg);
	/* db_mode 3: decides what the changes mean for what fetch() gave; errors as save(). */
	int (*plan_db)(struct ul_domain *d, struct str aor, const struct ul_list *list, struct ul_save *s);
	/* ... and writes them. done as sync(). */
	void (*save_db)(struct ul_domain *d, struct str aor, struct ul_save *s, unsigned deadline_ms, ul_done_fn *done, void *arg);
	/* Keepalive answered (nathelper): by ruid. */
	int (*touch)(struct ul_domain *d, struct str aor, struct str ruid, uint32_t roundtrip_us);
	/* Every valid contact of bucket i, and the number of buckets: walk slice by slice. Contacts live until fn returns. */
	uint32_t (*n_buckets)(struct ul_domain *d);
	int (*walk)(struct ul_domain *d, uint32_t bucket, struct pool *pool, ul_walk_fn *fn, void *arg);
	/* Sockets are known by their advertised addresses to the database and to RPC (registrar's sock_mode). Context: before forking. */
	void (*show_advertised)(void);
	/* Who runs event_route[usrloc:contact-expired]: registrar, which has $ulc. Context: before forking. */
	void (*on_expired)(ul_expired_fn *fn);
};

#endif
