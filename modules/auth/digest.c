/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digest responses (RFC 7616, RFC 8760; RFC 2069 without qop): H(HA1:nonce[:nc:cnonce:qop]:HA2). Hash functions are fetched once per process and one
 * context is reused, since a fetch costs more than the hash.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "core/base/num.h"
#include "modules/auth/auth_priv.h"

static const struct {
	const char *name, *openssl;
	size_t hex;
} algs[AUTH_N_ALGS] = {
	[AUTH_MD5] = { "MD5", "MD5", 32 },
	[AUTH_SHA256] = { "SHA-256", "SHA256", 64 },
	[AUTH_SHA512_256] = { "SHA-512-256", "SHA512-256", 64 },
	[AUTH_SHA512] = { "SHA-512", "SHA512", 128 },
};

static struct {
	EVP_MD_CTX *ctx;
	EVP_MD *md[AUTH_N_ALGS];
} g;

int auth_alg_lookup(struct str name, enum auth_alg *ret_alg, bool *ret_sess)
{
	bool sess = name.n > 5 && str_ieq(str_sub(name, name.n - 5, 5), STR_LIT("-sess"));
	struct str base = sess ? str_sub(name, 0, name.n - 5) : name;

	if (name.n == 0) {
		*ret_alg = AUTH_MD5;
		*ret_sess = false;
		return 0;
	}
	for (int i = 0; i < AUTH_N_ALGS; i++) {
		if (str_ieq(base, str_lit(algs[i].name))) {
			*ret_alg = (enum auth_alg)i;
			*ret_sess = sess;
			return 0;
		}
	}
	return -EINVAL;
}

const char *auth_alg_name(enum auth_alg alg)
{
	return algs[alg].name;
}

size_t auth_ha1_len(enum auth_alg alg)
{
	return algs[alg].hex;
}

/* Hex of the hash of the parts with ':' between them. */
static int hash(enum auth_alg alg, char out[AUTH_HEX_MAX], const struct str *parts, unsigned n)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!g.ctx)
		g.ctx = EVP_MD_CTX_new();
	if (!g.md[alg])
		g.md[alg] = EVP_MD_fetch(NULL, algs[alg].openssl, NULL);
	if (!g.ctx || !g.md[alg] || EVP_DigestInit_ex2(g.ctx, g.md[alg], NULL) != 1)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		if ((i && EVP_DigestUpdate(g.ctx, ":", 1) != 1) ||
		    (parts[i].n && EVP_DigestUpdate(g.ctx, parts[i].s, parts[i].n) != 1))
			return -ENOMEM;
	}
	if (EVP_DigestFinal_ex(g.ctx, raw, &len) != 1)
		return -ENOMEM;
	*num_hex_of(raw, len, out) = '\0';
	return 0;
}

int auth_digest_response(const struct auth_cred *cred, struct str secret, bool is_ha1, struct str body, char out[AUTH_HEX_MAX])
{
	const struct sip_credentials *c = &cred->c;
	char ha1[AUTH_HEX_MAX], ha2[AUTH_HEX_MAX], body_hash[AUTH_HEX_MAX];
	bool qop_int = str_ieq(c->qop, STR_LIT("auth-int"));
	struct str a[6];
	int err;

	if (is_ha1) {
		if (secret.n != auth_ha1_len(cred->alg) || cred->sess)
			return -EINVAL;
		for (size_t i = 0; i < secret.n; i++)
			ha1[i] = (char)(secret.s[i] >= 'A' && secret.s[i] <= 'F' ? secret.s[i] + 32 : secret.s[i]);
		ha1[secret.n] = '\0';
	} else {
		a[0] = c->username;
		a[1] = c->realm;
		a[2] = secret;
		err = hash(cred->alg, ha1, a, 3);
		if (err < 0)
			return err;
		if (cred->sess) {
			char first[AUTH_HEX_MAX];

			memcpy(first, ha1, sizeof(first));
			a[0] = str_lit(first);
			a[1] = c->nonce;
			a[2] = c->cnonce;
			err = hash(cred->alg, ha1, a, 3);
			if (err < 0)
				return err;
		}
	}
	a[0] = cred->method;
	a[1] = c->uri;
	if (qop_int) {
		err = hash(cred->alg, body_hash, &body, 1);
		if (err < 0)
			return err;
		a[2] = str_lit(body_hash);
	}
	err = hash(cred->alg, ha2, a, qop_int ? 3 : 2);
	if (err < 0)
		return err;
	a[0] = str_lit(ha1);
	a[1] = c->nonce;
	if (c->qop.n == 0) {
		a[2] = str_lit(ha2);
		return hash(cred->alg, out, a, 3);
	}
	if (c->nc.n == 0 || c->cnonce.n == 0)
		return -EINVAL;
	a[2] = c->nc;
	a[3] = c->cnonce;
	a[4] = c->qop;
	a[5] = str_lit(ha2);
	return hash(cred->alg, out, a, 6);
}

void auth_forget(struct ctx *ctx)
{
	ctx->auth_user = STR_NULL;
	ctx->auth_realm = STR_NULL;
	ctx->auth_hdr = NULL;
}

int auth_digest_check(struct ctx *ctx, const struct auth_cred *cred, struct str secret, bool is_ha1)
{
	char want[AUTH_HEX_MAX];

	if (auth_digest_response(cred, secret, is_ha1, ctx->msg.body, want) < 0)
		return AUTH_ERROR;
	if (cred->c.response.n != auth_ha1_len(cred->alg))
		return AUTH_ERROR;
	if (!str_eq_secret(cred->c.response, str_lit(want)))
		return AUTH_WRONG_PASSWORD;
	ctx->auth_user = cred->c.user;
	ctx->auth_realm = cred->c.realm;
	ctx->auth_hdr = cred->hdr;
	return AUTH_OK;
}
