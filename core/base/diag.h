/* SPDX-License-Identifier: BSD-2-Clause */
/* Where and why something was refused: handed down as `reterr`, written only on failure. */
#ifndef RF_BASE_DIAG_H
#define RF_BASE_DIAG_H

#include "shm/defs.h"

struct diag {
	size_t pos;      /* byte offset in what was read, from 0 */
	char text[240];  /* the reason, NUL-ended */
};

/* Writes position and reason (reterr may be NULL) and returns -EBADMSG. */
int diag_set(struct diag *reterr, size_t pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As diag_set(), returning err. */
int diag_err(struct diag *reterr, int err, size_t pos, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
