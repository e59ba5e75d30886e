/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advisory locks between runs of the script (sht_lock(), lock()): a word in shared memory each, 0 or slot + 1 of the process whose
 * run has it. A run that finds one taken is parked and asks again every few milliseconds, since the holder may itself wait for a
 * database; the worker goes on meanwhile. A run may take a lock again that it has. What a run holds when it ends is given back;
 * the locks of a worker that died are freed by ctx_lock_recover().
 */
#ifndef RF_TRANSPORT_CTX_LOCK_H
#define RF_TRANSPORT_CTX_LOCK_H

#include <stdatomic.h>

#include "core/transport/ctx.h"

#define CTX_LOCK_WAIT_MS 5000u

typedef _Atomic uint64_t ctx_lock_word;

enum ctx_lock_result { CTX_LOCK_FAILED = -1, CTX_LOCK_WAITS = 0, CTX_LOCK_TAKEN = 1 };

/*
 * Takes the lock, or parks ctx until it has it: then the wait ends with 1, or -1 after CTX_LOCK_WAIT_MS.
 * what: names it in the log; lives as long as ctx. Context: worker. CTX_LOCK_FAILED: no memory.
 */
MUST_CHECK enum ctx_lock_result ctx_lock(struct ctx *ctx, ctx_lock_word *word, struct str what);
/* False when somebody else has it. */
MUST_CHECK bool ctx_trylock(struct ctx *ctx, ctx_lock_word *word);
/* False when this run does not hold it. */
bool ctx_unlock(struct ctx *ctx, ctx_lock_word *word);

MUST_CHECK int ctx_lock_worker_init(struct loop *loop);
/* Frees those of n words that the process of that slot had. Context: janitor, or the process that now has the slot. */
void ctx_lock_recover(ctx_lock_word *words, unsigned n, unsigned slot);

#endif
