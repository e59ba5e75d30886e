/* SPDX-License-Identifier: BSD-2-Clause */
/* Where and why something was refused: handed down as `reterr`, written only on failure. */
#ifndef RF_BASE_DIAG_H
#define RF_BASE_DIAG_H

#include "core/base/str.h"

/* What was asked for by name and is not there. */
enum diag_kind {
	DIAG_OTHER, /* no name: something else is wrong */
	DIAG_FUNCTION, DIAG_VARIABLE, DIAG_TRANSFORMATION, DIAG_PARAMETER, DIAG_MODULE, DIAG_MODPARAM, DIAG_ROUTE
};

struct diag {
	size_t pos;      /* byte offset in what was read, from 0 */
	char text[240];  /* the reason, NUL-ended */
	enum diag_kind kind;
	char name[64];   /* what is not known, as it is written in a script ("$x", "{s.x}"), cut when longer; "": DIAG_OTHER */
	char near[64];   /* the nearest known name; "": none is near */
};

/* Writes position and reason (reterr may be NULL) and returns -EBADMSG. */
int diag_set(struct diag *reterr, size_t pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As diag_set(), returning err. */
int diag_err(struct diag *reterr, int err, size_t pos, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A name that is not known; near "" or NULL: none is near. Writes "<fmt> (did you mean '<near>'?)" and returns -ENOENT. */
int diag_unknown(struct diag *reterr, enum diag_kind kind, size_t pos, struct str name, const char *near, const char *fmt, ...) PRINTF_LIKE(6, 7);

#endif
