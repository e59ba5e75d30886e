/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module textops share. */
#ifndef RF_MODULE_TEXTOPS_PRIV_H
#define RF_MODULE_TEXTOPS_PRIV_H

#include <errno.h>

#include "core/base/num.h"
#include "core/base/regex.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"
#include "core/route/route.h"

/* Flags of the regular expressions of this module: ERE, ignoring case, each line for itself. */
#define TEXTOPS_REGEX (REGEX_ICASE | REGEX_NEWLINE)

/* The part of the received bytes that a function works on. */
static inline struct str textops_headers(const struct ctx *ctx)
{
	const struct sip_msg *m = &ctx->msg;

	return str_sub(m->buf, m->headers_off, m->body_off - m->headers_off);
}
static inline uint32_t textops_off(const struct ctx *ctx, struct str view)
{
	return (uint32_t)(view.s - ctx->msg.buf.s);
}

/* Variables inside a replacement: the handles are struct pv_spec. */
int textops_var_eval(void *ctx, void *var, struct strbuf *out);
/* Puts an edit over a piece of the received bytes: as sip_edit_replace(), a script code. */
int textops_edit(struct ctx *ctx, struct str view, struct str put, enum sip_edit_tag tag);
/* "application/sdp" of a Content-Type value equals what is wanted; parameters do not count. */
bool textops_mime_is(struct str content_type, struct str wanted);

/* search and replace */
script_fn textops_search, textops_search_body, textops_search_hf, textops_search_str, textops_search_append, textops_search_append_body,
	textops_replace, textops_replace_all, textops_replace_body, textops_replace_body_all, textops_replace_body_atonce, textops_replace_hdrs,
	textops_replace_str, textops_replace_body_str, textops_replace_hdrs_str, textops_subst, textops_subst_body, textops_subst_uri,
	textops_subst_user, textops_subst_hf, textops_subst_v, textops_regex_substring;
/* header fields */
script_fn textops_append_hf, textops_append_hf_at, textops_insert_hf, textops_insert_hf_at, textops_append_to_reply, textops_remove_hf,
	textops_remove_hf_re, textops_remove_hf_pv, textops_remove_hf_re_pv, textops_remove_hf_exp, textops_remove_hf_exp_pv,
	textops_remove_hf_idx, textops_remove_hf_match, textops_is_present_hf, textops_is_present_hf_re, textops_is_present_hf_pv,
	textops_is_present_hf_re_pv, textops_append_time, textops_append_time_to_request, textops_is_privacy, textops_append_urihf,
	textops_via_param_rm;
/* bodies */
script_fn textops_has_body, textops_has_body_of, textops_set_body, textops_set_body_hex, textops_set_reply_body, textops_set_reply_body_hex,
	textops_filter_body, textops_set_multipart, textops_append_part, textops_append_part_hex, textops_get_part, textops_get_part_raw,
	textops_remove_part, textops_is_audio_on_hold;

extern const struct trans_def textops_trans[];
MUST_CHECK int textops_body_init(void);

#endif
