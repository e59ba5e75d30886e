/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Generations of the script in a running server. rpcd proves a new one (reload.c) and offers its bytes; each worker compiles them aside,
 * between messages, and says so; when all have, one store commits it, and each switches between two messages. So all
 * workers come to run the same generation or none does, and the replacement of a worker that dies starts with what was committed.
 */
#ifndef RF_MAIN_GENERATION_H
#define RF_MAIN_GENERATION_H

#include "core/event/loop.h"
#include "core/main/stage.h"

/* Of the start: generation 1, for ever. dir_fd: where relative names of the script are looked up. Context: supervisor, before forking. */
MUST_CHECK int generation_init(const struct options *opts, struct script *script, struct config *config, const struct script_files *files,
			       unsigned n_workers);
/* Goes to what was committed, and follows from now on. Context: worker or rpcd, slot taken, before its modules' worker_init.
 * Returns 0 or negative errno, logged. */
MUST_CHECK int generation_process_start(struct loop *loop);

/* ---- rpcd ---- */

const struct config *generation_config(void); /* what runs in this process */
/* Offers a proven text. -EBUSY: another one is offered; -ENOSPC, -EIO: it cannot be handed on (logged). */
MUST_CHECK int generation_offer(struct stage *proven);
enum generation_state { GEN_WAITING, GEN_READY, GEN_FAILED };
/* Have all workers compiled what is offered? GEN_FAILED: text says which could not, and why. */
enum generation_state generation_offered(char *text, size_t n);
/* Commits it, or takes it back; after a commit the stage is taken over. */
void generation_commit(struct stage *proven);
void generation_withdraw(void);
/* Do all workers run what was committed? text: which do not yet. */
bool generation_settled(char *text, size_t n);

struct rpc;
/* core.script: what runs, since when, and what still runs in earlier generations. */
void generation_rpc(struct rpc *rpc);
/* Number of the committed one, from 1. */
unsigned generation_number(void);
void generation_count_refused(void);

#endif
