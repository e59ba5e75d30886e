/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module textopsx share. */
#ifndef RF_MODULE_TEXTOPSX_PRIV_H
#define RF_MODULE_TEXTOPSX_PRIV_H

#include <errno.h>

#include "core/base/log.h"
#include "core/module/abi.h"
#include "core/route/route.h"

/* Values of header fields (textopsx_value.c). Fixups prepare "HF[idx].param". */
script_fn textopsx_append_value, textopsx_insert_value, textopsx_remove_value, textopsx_remove_credentials, textopsx_assign_value,
	textopsx_assign_credentials, textopsx_include_value, textopsx_exclude_value, textopsx_value_exists;
script_fixup_fn textopsx_place_fixup, textopsx_value_fixup, textopsx_assign_fixup;

/* Iterators (textopsx_iter.c) */
script_fn textopsx_hf_start, textopsx_hf_end, textopsx_hf_next, textopsx_hf_prev, textopsx_hf_rm, textopsx_hf_append, textopsx_hf_insert;
script_fn textopsx_bl_start, textopsx_bl_end, textopsx_bl_next, textopsx_bl_rm, textopsx_bl_append, textopsx_bl_insert;
extern const struct pv_def textopsx_pvs[];
/* Before forking. 0 or negative errno. */
MUST_CHECK int textopsx_iter_init(void);

/* The text as one whole header field: a missing line end is added. */
MUST_CHECK bool textopsx_whole_field(struct ctx *ctx, struct str *s);

#endif
