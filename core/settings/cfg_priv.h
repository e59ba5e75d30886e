/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files behind cfg.h share. */
#ifndef RF_SETTINGS_CFG_PRIV_H
#define RF_SETTINGS_CFG_PRIV_H

#include "core/settings/cfg.h"
#include "shm/lock.h"

#define CFG_MAX 1024u
#define CFG_OWN_MAX 128u      /* values that instances made at run time have for themselves */
#define CFG_INSTANCES_MAX 64u
#define CFG_PENDING_MAX 64u
#define CFG_NO_TEXT UINT32_MAX

struct cfg_cell {
	int64_t i;
	uint32_t n; /* of s; CFG_NO_TEXT: there is no text */
	char s[CFG_TEXT_MAX + 1];
};

struct cfg_shared { /* in the arena */
	_Atomic uint32_t version; /* written: lock holder; read: anyone. Low bit: which cell counts */
	_Atomic int now;          /* the number, for cfg_int_at() */
	struct cfg_cell cell[2];  /* written: lock holder, the one that does not count */
};

/* In the arena. What is published is published by one store of its first field, and taken away by another. Written: lock holder. */
struct cfg_own {
	_Atomic uint32_t used;
	uint32_t entry;
	int32_t id;
	struct cfg_shared value;
};
struct cfg_instance {
	_Atomic uint32_t used;
	uint32_t entry; /* the first of its group */
	int32_t id;
};
struct cfg_change {
	_Atomic uint32_t order; /* 0: free */
	uint32_t entry;
	int32_t id;
	uint32_t is_reset;
	struct cfg_cell cell;
};

struct cfg_head { /* in the arena */
	struct shm_lock lock; /* rank SHM_RANK_MODULE */
	_Atomic uint64_t generation;
	struct cfg_instance instance[CFG_INSTANCES_MAX];
	struct cfg_own own[CFG_OWN_MAX];
	struct cfg_change change[CFG_PENDING_MAX];
	struct cfg_shared entry[];
};

struct cfg_entry { /* private; the same in all processes */
	struct str group, name, desc;
	int id;
	bool is_int;
	unsigned flags;
	int64_t min, max;
	struct cfg_cell first; /* the value at start */
};

struct cfg_state {
	struct cfg_entry *entries;
	unsigned n;
	struct cfg_head *head;
};
extern struct cfg_state cfg_state;

int cfg_entry_find(struct str group, int id, struct str name); /* index; -1 */
void cfg_read(const struct cfg_shared *e, struct cfg_cell *ret);
/* Context: lock held. */
void cfg_write_locked(struct cfg_shared *e, const struct cfg_cell *c);
MUST_CHECK int cfg_cell_to_value(const struct cfg_entry *e, const struct cfg_cell *c, struct pool *pool, struct value *ret);
/* Checked against type, range and flags of the entry. */
MUST_CHECK int cfg_value_to_cell(const struct cfg_entry *e, const struct value *v, struct cfg_cell *ret);
/* The entry that a value of this group, instance and name belongs to, or whose own value it is or would be. -ENOENT. */
MUST_CHECK int cfg_target(struct str group, int id, struct str name, unsigned *ret_entry);
/* What counts for entry and id; NULL: nothing of its own. */
struct cfg_shared *cfg_value_of(unsigned entry, int id);
/* The same, made when it is not there. Context: lock held. NULL: too many. */
struct cfg_shared *cfg_value_make_locked(unsigned entry, int id);
/* Back to the start, or to the group's. Context: lock held. */
void cfg_reset_locked(unsigned entry, int id);

#endif
