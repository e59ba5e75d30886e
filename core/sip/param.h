/* SPDX-License-Identifier: BSD-2-Clause */
/* name[=value] lists, separated by ';' (RFC 3261, 25.1 generic-param, uri-parameter). */
#ifndef RF_SIP_PARAM_H
#define RF_SIP_PARAM_H

#include "core/base/diag.h"
#include "core/base/str.h"

struct sip_param {
	struct str name, value; /* value: unquoted text between the quotes; n 0 when absent */
	bool has_value, quoted;
	struct str raw;         /* the whole "name=value" as received */
};

/* Takes the next parameter off *rest (which may start with ';' and white space).
 * Returns 1 with one, 0 at the end, -EBADMSG on bad syntax. */
MUST_CHECK int sip_param_next(struct str *rest, struct sip_param *ret_param);
/* First parameter of that name, case-insensitive. Returns false when absent or the list is broken before it. */
bool sip_param_find(struct str list, struct str name, struct sip_param *ret_param);

#endif
