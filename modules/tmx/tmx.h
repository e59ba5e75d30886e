/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module tmx share. */
#ifndef RF_MODULE_TMX_H
#define RF_MODULE_TMX_H

#include "core/module/abi.h"
#include "core/tm/tm.h"

extern const struct pv_def tmx_pvs[];

/* Is this run about a branch that failed (event_route[tm:branch-failure:...])? */
static inline bool tmx_is_branch_failure(const struct ctx *ctx)
{
	return ctx->kind == CTX_EVENT && ctx->txn && ctx->fail_status;
}

/* Requests that are in the hands of some script and have no transaction yet. Context: supervisor, before forking. Returns 0, -ENOMEM. */
MUST_CHECK int tmx_precheck_init(void);
/* t_precheck_trans(): 1 when another run has this request, else -1, and this one has it now, until its context goes. */
int tmx_precheck(struct ctx *ctx);
/* Forgets what a dead worker had. */
int tmx_precheck_recover(unsigned slot);

#endif
