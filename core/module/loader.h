/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds, loads and orders modules; hands them their parameters. */
#ifndef RF_MODULE_LOADER_H
#define RF_MODULE_LOADER_H

#include "core/module/abi.h"

/* Colon-separated search path. Default: RINGFORT modules of this build (beside the program: "modules"), else RF_MODULE_DIR. locked: -L wins over the script. */
MUST_CHECK int module_path_set(struct str path, bool locked);
/* Without directory and ".so". */
struct str module_base_name(struct str name);
/* loadmodule: "x", "x.so", "dir/x.so". opts: letters g, o. Registers functions, variables, transformations, RPCs.
 * -ENOENT not found (text lists where it looked); -EEXIST loaded twice; -EPROTO wrong ABI. */
MUST_CHECK int module_load(struct str name, struct str opts, struct diag *reterr);
/* modparam("a|b", ...): every match must have it. Remembered as what runs (params.h). Context: start-up. */
MUST_CHECK int module_param_set(struct str module_regex, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr);
/* What modules say can be changed at run time is declared (core/settings/cfg.h). Logs its failure. */
MUST_CHECK int modules_follow(void);
/* requires resolved, cycles refused; then init of each. */
MUST_CHECK int modules_init(struct diag *reterr);
MUST_CHECK int modules_worker_init(struct loop *loop, unsigned worker);
MUST_CHECK int modules_rpcd_init(struct loop *loop);
void modules_worker_stop(void);
void modules_done(void);
unsigned module_count(void);
const struct module *module_at(unsigned i); /* in order of loading */

#endif
