/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups core and tcp of the run-time settings: the global parameters that follow a change. */
#ifndef RF_MAIN_LIVE_H
#define RF_MAIN_LIVE_H

#include <stdbool.h>

#include "shm/defs.h"

struct main_conf;

/* conf: private memory of each process, as the script and the command line left it. Returns 0 or as cfg_follow(). */
/* conf, as given to live_register(), was changed: those who took values from it take them again. Context: between two messages. */
void live_apply(void);
MUST_CHECK int live_register(struct main_conf *conf, bool suspend_always);

#endif
