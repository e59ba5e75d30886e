/* SPDX-License-Identifier: BSD-2-Clause */
/* Names that modules of the language bring, whether this server has the module or not: for messages about unknown names. */
#ifndef RF_SCRIPT_KNOWN_H
#define RF_SCRIPT_KNOWN_H

#include <stdbool.h>

#include "core/base/diag.h"

/* kind: DIAG_FUNCTION, DIAG_VARIABLE, DIAG_TRANSFORMATION. name as in struct diag. */
/* Does that module bring the name? */
bool known_from(enum diag_kind kind, struct str name, struct str module);
/* The module that brings it, or NULL; of several the first of the alphabet. */
const char *known_module(enum diag_kind kind, struct str name);

/* A name of an older version and what it is called now. */
struct renamed {
	enum diag_kind kind;
	const char *module; /* DIAG_MODPARAM: the parameter's; else NULL */
	const char *old, *now; /* now "": nothing is read instead */
	const char *since;     /* "5.0" */
	const char *hint;      /* now "": where it went */
};
/* NULL when the name is not an old one. module: DIAG_MODPARAM only. */
const struct renamed *renamed_find(enum diag_kind kind, struct str module, struct str old);

#endif
