/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values that can be read and changed while the server runs, by group and name: custom variables of the script
 * (`group.name = 1`), and parameters of core and modules that follow a change. Declared before forking; then in shared memory.
 */
#ifndef RF_SETTINGS_CFG_H
#define RF_SETTINGS_CFG_H

#include <stdatomic.h>

#include "core/base/value.h"

struct pool;

#define CFG_TEXT_MAX 255u

/*
 * id: instance of the group, 0: the group itself. text: at most CFG_TEXT_MAX bytes.
 * Returns 0; -EEXIST; -ENOSPC; -EMSGSIZE. Context: start-up, before cfg_share().
 */
MUST_CHECK int cfg_declare(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc);
/* Moves everything to shared memory. Context: supervisor, arena exists, slot taken. */
MUST_CHECK int cfg_share(void);
/* The value as it is now (of the instance when it has one of its own); texts are copied to pool. -ENOENT. */
MUST_CHECK int cfg_get(struct str group, int id, struct str name, struct pool *pool, struct value *ret);
/* Takes values of the declared type alone: -EINVAL. -ENOENT, -EMSGSIZE. Seen by all processes at once. */
MUST_CHECK int cfg_set(struct str group, int id, struct str name, const struct value *v);
/* Back to the value at start. */
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

struct cfg_info {
	struct str group, name, desc;
	int id;
	bool is_int;
};
/* Returns -ENOENT past the end. */
MUST_CHECK int cfg_at(unsigned i, struct cfg_info *ret_info);

#endif
