/* SPDX-License-Identifier: BSD-2-Clause */
/* The digest credentials of the request (Proxy-Authorization before Authorization), and who was authenticated. */
#include "modules/pv/pv_priv.h"

enum auth_what { C_USER, C_USERNAME, C_DOMAIN, C_REALM, C_URI, C_ALGORITHM, C_NONCE, C_CNONCE, C_RESPONSE, C_OPAQUE };

bool pv_credentials(struct ctx *ctx, struct sip_credentials *ret_cred)
{
	const struct sip_msg *m = &ctx->msg;
	const struct sip_hdr *h;

	if (m->kind != SIP_REQUEST || m->method == SIP_M_ACK || m->method == SIP_M_CANCEL)
		return false;
	h = sip_msg_hdr(m, SIP_H_PROXY_AUTHORIZATION);
	if (!h)
		h = sip_msg_hdr(m, SIP_H_AUTHORIZATION);
	return h && sip_credentials_parse(h->value, ret_cred, NULL) == 0 && ret_cred->is_digest;
}

static int cred_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct sip_credentials c;

	if (!pv_credentials(ctx, &c))
		return pv_ret_null(ret);
	switch ((enum auth_what)spec->def->arg) {
	case C_USER:
		return pv_ret_str(ret, c.user);
	case C_USERNAME:
		return pv_ret_str(ret, c.username);
	case C_DOMAIN:
		return pv_ret_str(ret, c.domain);
	case C_REALM:
		return pv_ret_str(ret, c.realm);
	case C_URI:
		return pv_ret_str(ret, c.uri);
	case C_ALGORITHM:
		return pv_ret_str(ret, c.algorithm);
	case C_NONCE:
		return pv_ret_str(ret, c.nonce);
	case C_CNONCE:
		return pv_ret_str(ret, c.cnonce);
	case C_RESPONSE:
		return pv_ret_str(ret, c.response);
	case C_OPAQUE:
		return pv_ret_str(ret, c.opaque);
	}
	return -EINVAL;
}

/* arg 0: $AU, the user; 1: $Au, user@realm. Without authentication: of From. */
static int acc_user_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_addr *from;
	struct sip_uri uri;
	struct str text;
	int err;

	if (ctx->auth_user.n > 0) {
		ptrdiff_t at = str_find_char(ctx->auth_user, '@');
		struct str user = at < 0 ? ctx->auth_user : str_sub(ctx->auth_user, 0, (size_t)at);

		if (!spec->def->arg)
			return pv_ret_str(ret, user);
		err = pool_printf(ctx->pool, &text, "%.*s@%.*s", STR_FMT(user), STR_FMT(ctx->auth_realm));
		return err < 0 ? err : pv_ret_str(ret, text);
	}
	from = sip_msg_from(&ctx->msg);
	if (!from || sip_uri_parse(from->uri, &uri, NULL) < 0)
		return pv_ret_null(ret);
	if (!spec->def->arg)
		return pv_ret_str(ret, uri.user);
	err = pool_printf(ctx->pool, &text, "%.*s%s%.*s", STR_FMT(uri.user), uri.user.n > 0 ? "@" : "", STR_FMT(pv_uri_host(&uri)));
	return err < 0 ? err : pv_ret_str(ret, text);
}

/* clang-format off */
const struct pv_def pv_auth_table[] = {
	{ .name = "au",  .get = cred_get, .arg = C_USER },
	{ .name = "aU",  .get = cred_get, .arg = C_USERNAME },
	{ .name = "ad",  .get = cred_get, .arg = C_DOMAIN },
	{ .name = "ar",  .get = cred_get, .arg = C_REALM },
	{ .name = "adu", .get = cred_get, .arg = C_URI },
	{ .name = "aa",  .get = cred_get, .arg = C_ALGORITHM },
	{ .name = "adn", .get = cred_get, .arg = C_NONCE },
	{ .name = "adc", .get = cred_get, .arg = C_CNONCE },
	{ .name = "adr", .get = cred_get, .arg = C_RESPONSE },
	{ .name = "ado", .get = cred_get, .arg = C_OPAQUE },
	{ .name = "AU",  .get = acc_user_get, .arg = 0 },
	{ .name = "Au",  .get = acc_user_get, .arg = 1 },
	{ .name = NULL },
};
/* clang-format on */
