/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module cfgutils share. */
#ifndef RF_MODULE_CFGUTILS_PRIV_H
#define RF_MODULE_CFGUTILS_PRIV_H

#include <errno.h>

#include "core/base/log.h"
#include "core/module/abi.h"
#include "core/transport/ctx_lock.h"

struct cfgutils_conf {
	int initial_probability; /* percent */
	int initial_gflags;
	struct str hash_file;    /* n 0: none */
	int lock_set_size;       /* 2^n locks; 0: none */
};
extern struct cfgutils_conf cfgutils_conf;

/* What all workers share. */
struct cfgutils_shared {
	_Atomic uint32_t gflags, probability;
	ctx_lock_word lock[]; /* 2^lock_set_size */
};
extern struct cfgutils_shared *cfgutils_shared;

/* Remembers the digest of hash_file. Supervisor. 0, or a negative errno that was logged. */
MUST_CHECK int cfgutils_hash_init(void);
extern const struct rpc_method cfgutils_rpcs[];

#endif
