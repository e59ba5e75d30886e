/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module corex share: functions by the names that scripts use. */
#ifndef RF_COREX_PRIV_H
#define RF_COREX_PRIV_H

#include "core/net/listener.h"
#include "core/pv/trans.h"
#include "core/rpc/rpc.h"
#include "core/script/func.h"
#include "core/settings/schema.h"

/* ---- corex.c ---- */
struct corex_sock {
	enum sip_proto proto;
	struct str proto_text, host /* IPv6 in brackets */, port_text; /* views; n 0: not said */
	uint16_t port;
};
/* "[proto:]host[:port]". -EINVAL. */
MUST_CHECK int corex_sock_split(struct str s, struct corex_sock *ret);
/* ---- corex_send.c ---- */
script_fn corex_send_udp, corex_send_tcp, corex_send_data, corex_sendx, corex_forward_uac, corex_forward_uac_uri;
/* ---- corex_file.c ---- */
script_fn corex_file_read, corex_file_write;
/* ---- corex_flags.c ---- */
script_fn corex_setxflag, corex_resetxflag, corex_isxflagset;
script_fn corex_iflag_set, corex_iflag_reset, corex_iflag_is_set;
script_fn corex_vbflag_set, corex_vbflag_reset, corex_vbflag_is_set, corex_vbflag_parse;
script_fn corex_via_add_srvid, corex_via_add_xavp_params, corex_via_use_xavp_fields, corex_via_reply_add_xavp_params;
/* ---- corex_pv.c ---- */
extern const struct pv_def corex_pvs[];
extern const struct trans_def corex_trans[];
/* ---- corex_rpc.c ---- */
extern const struct rpc_method corex_rpcs[];

/* ---- corex_names.c ---- */
setting_fn corex_add_subdomains, corex_add_dns, corex_add_dns_file;
MUST_CHECK int corex_names_init(void);
void corex_names_done(void);

/* ---- corex_nio.c ---- */
struct corex_nio { /* parameters */
	int intercept, bytes_min;
	struct str avp; /* "$avp(name)"; n 0: none */
};
extern struct corex_nio corex_nio;
MUST_CHECK int corex_nio_init(void);
void corex_nio_done(void);

#endif
