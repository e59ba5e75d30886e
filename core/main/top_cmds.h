/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands for a live view of the server: core.top, core.log_level. */
#ifndef RF_MAIN_TOP_CMDS_H
#define RF_MAIN_TOP_CMDS_H

#include "shm/defs.h"

/* Context: before forking. */
MUST_CHECK int top_register(void);

#endif
