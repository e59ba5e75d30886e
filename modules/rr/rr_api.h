/* SPDX-License-Identifier: BSD-2-Clause */
/* What other modules ask module rr. module_api_find("rr"). */
#ifndef RF_RR_API_H
#define RF_RR_API_H

#include <stdbool.h>

struct ctx;

struct rr_api {
	/* Does this request, for which loose_route() was called, go from the callee to the caller? */
	bool (*is_upstream)(struct ctx *ctx);
};

#endif
