/* SPDX-License-Identifier: BSD-2-Clause */
/* What regex.c and regex_ere.c share. */
#ifndef RF_BASE_REGEX_PRIV_H
#define RF_BASE_REGEX_PRIV_H

#include "core/base/regex.h"

struct ere_info {
	bool has_choice;  /* first match found and longest match may differ */
	bool has_backref;
};

/* Rewrites an extended expression for PCRE. Returns 0, or -EBADMSG with the reason. */
MUST_CHECK int ere_to_perl(struct str pattern, unsigned flags, struct strbuf *out, struct ere_info *ret_info,
			   struct diag *reterr);

#endif
