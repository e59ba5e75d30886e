/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything between the command line and the running processes. */
#ifndef RF_MAIN_BOOT_H
#define RF_MAIN_BOOT_H

#include "core/main/options.h"

/* Starts and supervises; returns the exit status of the program: 0, or 255 when it could not start. */
int boot_run(const struct options *opts);
/* --cfg-print. */
int boot_print_config(const struct options *opts);

#endif
