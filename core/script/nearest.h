/* SPDX-License-Identifier: BSD-2-Clause */
/* "Did you mean ...?": the known name nearest to a wrong one. */
#ifndef RF_SCRIPT_NEAREST_H
#define RF_SCRIPT_NEAREST_H

#include "core/base/str.h"

/* Feed all known names, then ask. */
struct nearest {
	struct str want;
	char best[64];
	unsigned distance;
};
void nearest_begin(struct nearest *n, struct str want);
void nearest_try(struct nearest *n, struct str name);
/* NULL when nothing is near. */
const char *nearest_result(const struct nearest *n);

#endif
