/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values that can be read and changed while the server runs, by group and name: custom variables of the script
 * (`group.name = 1`), and parameters of core and modules. Declared before forking; then in shared memory. A group may have
 * instances, told apart by a number, which have values of their own for some of its names.
 */
#ifndef RF_SETTINGS_CFG_H
#define RF_SETTINGS_CFG_H

#include <stdatomic.h>

#include "core/base/value.h"

struct pool;
struct setting;

#define CFG_TEXT_MAX 255u

/* ---- before forking ---- */

/*
 * id: instance of the group, 0: the group itself. text: at most CFG_TEXT_MAX bytes, s.s NULL: no text.
 * Returns 0; -EEXIST; -ENOSPC; -EMSGSIZE. Context: start-up, before cfg_share().
 */
MUST_CHECK int cfg_declare(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc);

enum cfg_flags {
	CFG_WRITE_ONLY = 1, /* cfg.get does not tell it: it has another command, or the tools know it so */
	CFG_READ_ONLY = 2,
};

/* A parameter that follows its run-time value: the int or struct str that it was read from at start, in each process. */
struct cfg_live {
	const char *name;
	const char *param; /* in the table of settings; NULL: the same name */
	const char *desc;
	unsigned flags;
};
/* changed(): called in each process after values of this table changed, when what follows from them must be made anew; or NULL. */
struct cfg_follower {
	const char *group;
	const struct cfg_live *live;      /* ends with name NULL */
	const struct setting *settings;   /* where their types, ranges and offsets are */
	void *conf;                       /* what the offsets are in; private memory of each process */
	void (*changed)(void);
};
/* The table lives for ever. Values are taken from conf now. Returns as cfg_declare(); -ENOENT: no such parameter. */
MUST_CHECK int cfg_follow(const struct cfg_follower *follower);
/* Takes over a text (from malloc) that followed parameters had until now, and that runs may still hold a view of; free() unless set. */
void cfg_retire_texts(void (*retire)(void *mem));
/* Is this int or struct str one that follows a value? Then it is changed by cfg_set(*ret_group, 0, *ret_name). */
bool cfg_followed(const void *field, struct str *ret_group, struct str *ret_name);
/* Moves everything to shared memory. Context: supervisor, arena exists, slot taken. */
MUST_CHECK int cfg_share(void);

/* ---- values ---- */

/* The value as it is now (of the instance when it has one of its own); texts are copied to pool. -ENOENT. */
MUST_CHECK int cfg_get(struct str group, int id, struct str name, struct pool *pool, struct value *ret);
/* Takes values of the declared type alone: -EINVAL. -ENOENT, -EMSGSIZE, -ERANGE, -EPERM (read only), -ENOSPC. */
MUST_CHECK int cfg_set(struct str group, int id, struct str name, const struct value *v);
/* Back to the value at start; of an instance: to the group's. -ENOENT, -EPERM. */
MUST_CHECK int cfg_reset(struct str group, int id, struct str name);
/*
 * From now on id 0 of this group means that instance, in this process; 0: the group itself again.
 * Returns 0; -ENOENT: no such group or instance; -ENOSPC: too many groups have one selected.
 */
MUST_CHECK int cfg_select(struct str group, int id);
/* What cfg_select() chose in this process; 0: the group itself. */
int cfg_selected(struct str group);
/* Grows with each change. */
uint64_t cfg_generation(void);
/* A number to be followed without a look-up; NULL when there is none. Valid for ever after cfg_share(). */
const _Atomic int *cfg_int_at(struct str group, struct str name);
/* Brings the parameters of this process up to date. One load when nothing changed. Context: between two messages. */
void cfg_catch_up(void);

struct cfg_info {
	struct str group, name, desc;
	int id;
	bool is_int;
	unsigned flags;
};
/* Returns -ENOENT past the end. */
MUST_CHECK int cfg_at(unsigned i, struct cfg_info *ret_info);

/* ---- instances made at run time ---- */

bool cfg_group_exists(struct str group);
/* Declared by the script or added; id 0: the group. */
bool cfg_instance_exists(struct str group, int id);
/* Adding one that is there is no error. -ENOENT: no such group; -ENOSPC. */
MUST_CHECK int cfg_instance_add(struct str group, int id);
/* With its values. -ENOENT; -EPERM: declared by the script. */
MUST_CHECK int cfg_instance_del(struct str group, int id);

/* ---- changes that wait for a commit: one queue for all ---- */

/* As cfg_set(), checked now, done by cfg_commit(). A second change of the same value takes the place of the first. */
MUST_CHECK int cfg_set_later(struct str group, int id, struct str name, const struct value *v);
MUST_CHECK int cfg_reset_later(struct str group, int id, struct str name);
void cfg_commit(void);   /* in the order in which they were asked for */
void cfg_rollback(void);
struct cfg_pending {
	struct str group, name;
	int id;
	struct value now, then; /* texts in pool */
};
/* The i-th change that waits. -ENOENT past the end. */
MUST_CHECK int cfg_pending_at(unsigned i, struct pool *pool, struct cfg_pending *ret);

#endif
