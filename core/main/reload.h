/* SPDX-License-Identifier: BSD-2-Clause */
/* RPC core.reload and core.script: a new text of the script, proven in rpcd and then switched to by all workers, or refused. */
#ifndef RF_MAIN_RELOAD_H
#define RF_MAIN_RELOAD_H

#include "core/event/loop.h"
#include "core/main/options.h"

/* dir_fd: where relative names of files are looked up. Context: start-up. */
MUST_CHECK int reload_register(const struct options *opts, int dir_fd);
/* Context: rpcd. */
MUST_CHECK int reload_rpcd_init(struct loop *loop);

#endif
