/* SPDX-License-Identifier: BSD-2-Clause */
/* Modules in one process without files: what core/main and core/module do at start-up, as far as a fuzz target needs it. */
#ifndef RF_FUZZ_MODS_H
#define RF_FUZZ_MODS_H

#include "core/event/loop.h"
#include "core/module/abi.h"

/*
 * Arena, slot 0, a loop, 64 contexts, one UDP listener (127.0.0.1:5060, without a socket), and the modules in that order with
 * their default settings; set(module) may change those before init. What is sent goes nowhere. Stops the program when it fails.
 */
struct loop *fuzz_modules_start(const struct module *const *modules, unsigned n, void (*set)(const struct module *m));
/* One turn of the loop: what was deferred runs, timers that are due fire. */
void fuzz_turn(struct loop *loop);
/* Sets a modparam by name. */
void fuzz_set(const struct module *m, const char *name, int64_t i, const char *s);

#endif
