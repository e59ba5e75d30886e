/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module pv share: their tables, and how values are handed out. */
#ifndef RF_MODULE_PV_PRIV_H
#define RF_MODULE_PV_PRIV_H

#include <errno.h>

#include "core/base/num.h"
#include "core/base/pool.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"

extern const struct pv_def pv_msg_table[], pv_addr_table[], pv_hdr_table[], pv_auth_table[], pv_net_table[], pv_branch_table[],
	pv_mem_table[], pv_shv_table[], pv_time_table[], pv_sel_table[];
extern const struct trans_def pv_trans_s[], pv_trans_code[], pv_trans_val[], pv_trans_sip[];
extern const struct script_func pv_funcs[];
extern const struct rpc_method pv_rpcs[];

/* Per-message state of this module, in the message's pool. */
struct pv_state {
	struct net_addr src;     /* whose text src_text is */
	struct str src_text;
	struct ctx_target sbranch; /* the static branch */
	int64_t un_us;           /* microseconds that belong to the last $TV(sn) */
	bool has_sbranch;
};
MUST_CHECK int pv_state_init(void);
/* NULL without memory. */
struct pv_state *pv_state(struct ctx *ctx);

/* shared-memory variables */
MUST_CHECK int pv_shv_init(void);
int pv_shv_param(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr);
int pv_var_param(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr);
int pv_alias_param(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr);

/* Splits "name=i:5" and "name=s:text". */
MUST_CHECK int pv_init_parse(struct str in, struct str *ret_name, struct value *ret, struct diag *reterr);

/* A row of words and numbers: $branch(uri), $via0(host). */
struct pv_word {
	const char *name;
	int id;
};
/* For prepare functions: sets spec->arg to the word's id, or refuses with the list of words. Table ends with name NULL. */
MUST_CHECK int pv_word_prepare(const struct pv_word *words, struct pv_spec *spec, struct diag *reterr);

/* Empty text is null. */
static inline int pv_ret_str(struct value *ret, struct str s)
{
	*ret = s.n ? value_str(s) : value_null();
	return 0;
}
static inline int pv_ret_int(struct value *ret, int64_t i)
{
	*ret = value_int(i);
	return 0;
}
static inline int pv_ret_null(struct value *ret)
{
	*ret = value_null();
	return 0;
}
/* Copies to the message's pool. */
MUST_CHECK int pv_ret_dup(struct ctx *ctx, struct value *ret, struct str s);

/* The current request URI, or NULL (reply, cannot be parsed). mem: the caller's. */
const struct sip_uri *pv_ruri(struct ctx *ctx, struct sip_uri *mem);
enum pv_uri_part { PV_U_ALL, PV_U_USER, PV_U_HOST, PV_U_PORT, PV_U_PROTO, PV_U_SCHEME, PV_U_LEN, PV_U_USERLEN };
/* uri NULL: null. */
int pv_uri_part(const struct sip_uri *uri, enum pv_uri_part part, struct value *ret);
/* Host as it stands in the URI: IPv6 with its brackets. */
struct str pv_uri_host(const struct sip_uri *uri);
/* The message with pending edits applied, Via left alone. */
MUST_CHECK int pv_msg_built(struct ctx *ctx, struct str *ret);
/* Proxy-Authorization, else Authorization; false for ACK, CANCEL, none or none that parses. */
bool pv_credentials(struct ctx *ctx, struct sip_credentials *ret_cred);

/* $avp names: "s:" stripped, aliases resolved. */
struct str pv_avp_name(struct str in);
/* root[idx]=>field[idx] */
enum pv_xidx { PV_X_NONE, PV_X_INT, PV_X_ALL };
struct pv_xref {
	struct str root, field; /* field n 0: none */
	enum pv_xidx ridx_kind, fidx_kind;
	int ridx, fidx;
};
MUST_CHECK int pv_xref_parse(struct str in, struct pv_xref *ret_ref, struct diag *reterr);

#endif
