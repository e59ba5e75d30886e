/* SPDX-License-Identifier: BSD-2-Clause */
/* What module auth does for modules that know the passwords (auth_db). Find it with module_api_find("auth"). */
#ifndef RF_AUTH_API_H
#define RF_AUTH_API_H

#include "core/transport/ctx.h"

enum auth_result { /* script codes: reference of module auth, 1.4 */
	AUTH_OK = 1, AUTH_REPLIED = 0, AUTH_ERROR = -1, AUTH_WRONG_PASSWORD = -2, AUTH_UNKNOWN_USER = -3, AUTH_STALE = -4,
	AUTH_NO_CREDENTIALS = -5, AUTH_NONCE_REUSED = -6, AUTH_IDENTITY = -8
};

enum auth_alg { AUTH_MD5, AUTH_SHA256, AUTH_SHA512_256, AUTH_SHA512, AUTH_N_ALGS };

/* The credentials of a request, chosen by realm and with a nonce that is ours and good. Lives in ctx->pool. */
struct auth_cred {
	const struct sip_hdr *hdr;
	struct sip_credentials c;
	enum auth_alg alg;
	bool sess;          /* MD5-sess and the like */
	struct str method;  /* that the response was made for */
};

enum auth_identity_flags { AUTH_ID_CHECK = 1, AUTH_ID_SKIP_FROM = 2 };

struct auth_api {
	/* proxy: Proxy-Authorization, else Authorization. AUTH_OK with *ret_cred, or what the script gets. ACK, CANCEL and PRACK
	 * are AUTH_OK with *ret_cred NULL: nothing to check. method n 0: the request's. */
	int (*find)(struct ctx *ctx, struct str realm, bool proxy, struct str method, struct auth_cred **ret_cred);
	/* Hex length of the hash of an algorithm: what a stored HA1 must have. */
	size_t (*ha1_len)(enum auth_alg alg);
	/* secret: password, or HA1 in hex when is_ha1. AUTH_OK (ctx remembers the authorised user), AUTH_WRONG_PASSWORD or AUTH_ERROR. Constant time. */
	int (*check)(struct ctx *ctx, const struct auth_cred *cred, struct str secret, bool is_ha1);
	/* From/To against the authorised user: AUTH_OK or AUTH_IDENTITY. */
	int (*identity)(struct ctx *ctx, const struct auth_cred *cred, unsigned flags);
};

#endif
