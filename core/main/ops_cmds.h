/* SPDX-License-Identifier: BSD-2-Clause */
/* RPC commands and statistics for who runs the server: the log, what each process does, messages that were refused. */
#ifndef RF_MAIN_OPS_CMDS_H
#define RF_MAIN_OPS_CMDS_H

#include "shm/defs.h"

/* Context: before forking. Returns 0 or negative errno. */
MUST_CHECK int ops_register(void);

#endif
