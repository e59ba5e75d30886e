/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one text of the script says about the parameters of modules (modparam), kept so that a reload can tell what it changes: which
 * of it can be applied at run time, and which needs a restart.
 */
#ifndef RF_MODULE_PARAMS_H
#define RF_MODULE_PARAMS_H

#include "core/module/abi.h"

struct module_params;

struct module_place {
	struct str file;  /* n 0: the command line */
	unsigned line, column;
};

/* NULL without memory. Texts are copied. */
struct module_params *module_params_new(void);
void module_params_free(struct module_params *p); /* what was said at start stays */
/*
 * modparam(modules, name, value): checked as far as type and range go, remembered for each module that matches. Nothing is set.
 * Errors as module_param_set().
 */
MUST_CHECK int module_params_add(struct module_params *p, struct str modules, struct str name, bool is_int, int64_t i, struct str s,
				 const struct module_place *place, struct diag *reterr);
/* What was said at start, or at the last switch. Never NULL after the first modparam. */
const struct module_params *module_params_running(void);

/* place NULL: the parameter is not given any more. */
typedef void module_change_fn(void *arg, const struct module_place *place, const char *text);
/*
 * Tells every change against what runs that needs a restart. Modules take what is repeatable and new. Returns the number of
 * changes told. Context: any process, before the switch; nothing that runs is changed.
 */
unsigned module_params_check(const struct module_params *p, module_change_fn *refused, void *arg);
/* Sets what follows a run-time value (core/settings/cfg.h), and so is shared: by one process, before all switch. What the text does
 * not change stays as an operator set it. */
void module_params_share(const struct module_params *p);
/*
 * Sets what a reload may set, and calls modules' live_changed(). p is what runs from now on; gives back what did before: its texts may be
 * viewed by runs that began earlier, so it is freed after them.
 */
struct module_params *module_params_switch(struct module_params *p);

#endif
