/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module siputils share. */
#ifndef RF_MODULE_SIPUTILS_PRIV_H
#define RF_MODULE_SIPUTILS_PRIV_H

#include <errno.h>

#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/route/route.h"
#include "core/script/func.h"

struct siputils_conf {
	struct str options_accept, options_accept_encoding, options_accept_language, options_support, separator, rpid_prefix, rpid_suffix, rpid_avp;
	int e164_max_len;
	struct str rpid_name; /* made of rpid_avp */
};
extern struct siputils_conf siputils_conf;
extern const struct pv_def siputils_pvs[];

bool siputils_is_e164(struct str s);
/* Takes a parameter off the request URI: a script code. */
int siputils_ruri_param_rm(struct ctx *ctx, struct str name);

script_fn siputils_f_encode_contact, siputils_f_decode_contact, siputils_f_decode_contact_hdr, siputils_f_cp_encode, siputils_f_cp_encode_alias,
	siputils_f_cp_decode, siputils_f_cp_decode_ruri, siputils_f_cp_rm, siputils_f_cp_check, siputils_f_charging_vector;

#endif
