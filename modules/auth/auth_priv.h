/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module auth share. */
#ifndef RF_AUTH_PRIV_H
#define RF_AUTH_PRIV_H

#include "modules/auth/auth_api.h"

struct auth_conf {
	struct str secret, qop, challenge_attr, proxy_challenge_header, www_challenge_header, realm_prefix, algorithm;
	int nonce_expire, nonce_auth_max_drift, nonce_count, nc_array_size, nc_array_order, one_time_nonce, otn_in_flight_no,
	    otn_in_flight_order, nid_pool_no, checks_register, checks_no_dlg, checks_in_dlg, force_stateless_reply, use_domain,
	    add_authinfo_hdr, protect_contacts;
};
extern struct auth_conf auth_conf;

/* ---- nonce.c ---- */
#define AUTH_NONCE_MAX 128

/* Supervisor, before forking: secret, tables for nc and one-time use. Returns 0 or -ENOSPC. */
MUST_CHECK int auth_nonce_init(void);
/* A fresh nonce for this request and realm. Returns its length. */
size_t auth_nonce_make(struct ctx *ctx, struct str realm, char out[AUTH_NONCE_MAX]);
/* AUTH_OK, AUTH_ERROR, AUTH_STALE or AUTH_NONCE_REUSED. NOW: uses up the nc or the nonce when it is good. LATER: only looks, and
 * auth_nonce_take() uses it up once the response was found right. */
enum auth_take { AUTH_TAKE_NOW, AUTH_TAKE_LATER };
int auth_nonce_check(struct ctx *ctx, struct str realm, const struct sip_credentials *c, enum auth_take take);
/* For credentials that passed the check. AUTH_OK, or what a request that came between makes of it: AUTH_STALE, AUTH_NONCE_REUSED. */
int auth_nonce_take(const struct sip_credentials *c);

/* ---- digest.c ---- */
MUST_CHECK int auth_alg_lookup(struct str name, enum auth_alg *ret_alg, bool *ret_sess);
const char *auth_alg_name(enum auth_alg alg);
size_t auth_ha1_len(enum auth_alg alg);
#define AUTH_HEX_MAX 129
/* The response the credentials should hold, lower case hex with NUL. Returns 0; -EINVAL for credentials that do not fit. */
MUST_CHECK int auth_digest_response(const struct auth_cred *cred, struct str secret, bool is_ha1, struct str body, char out[AUTH_HEX_MAX]);
/* The user of ctx is not authorised after all. */
void auth_forget(struct ctx *ctx);
int auth_digest_check(struct ctx *ctx, const struct auth_cred *cred, struct str secret, bool is_ha1);

/* ---- challenge.c ---- */
enum auth_challenge_flags { AUTH_CH_QOP = 1, AUTH_CH_QOP_INT = 2, AUTH_CH_NO_500 = 4, AUTH_CH_STALE = 16 };
/* The whole header field(s) with CRLF in ctx->pool. algs: comma or space separated names, n 0: the configured one. 0 or negative errno. */
MUST_CHECK int auth_challenge_build(struct ctx *ctx, bool proxy, struct str realm, int flags, struct str algs, struct str *ret);
int auth_challenge_send(struct ctx *ctx, bool proxy, struct str realm, int flags, struct str algs);
/* auth_algorithm(): what this process's next challenges say. Returns 0 or -EINVAL. */
MUST_CHECK int auth_algorithm_set(struct str name);
enum auth_alg auth_algorithm_current(bool *ret_print);

#endif
