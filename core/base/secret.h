/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts as they may be shown to others: in answers of RPC, in the log. */
#ifndef RF_BASE_SECRET_H
#define RF_BASE_SECRET_H

#include "core/base/strbuf.h"

#define SECRET_SHOWN "***"

/* Adds text with SECRET_SHOWN in place of the password of each URL in it: driver://user:password@host. At most 3 bytes longer for each. */
void secret_hide(struct strbuf *sb, struct str text);
/* The same into mem of n bytes: a view. What does not fit is left out. */
struct str secret_hidden(struct str text, char *mem, size_t n);

#endif
