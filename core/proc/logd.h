/* SPDX-License-Identifier: BSD-2-Clause */
/* Process logd: writes out the lines that all processes leave in their rings. It may wait for a disk, a pipe, a daemon; nobody waits for it. */
#ifndef RF_PROC_LOGD_H
#define RF_PROC_LOGD_H

#include "core/event/loop.h"

/* For a struct proc_desc with may_block and stops_last. */
MUST_CHECK int logd_start(struct loop *loop, unsigned number);
void logd_stop(unsigned number);

#endif
