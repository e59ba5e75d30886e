/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module auth: digest authentication without a password store. Challenges, finding and checking credentials, passwords given by the script
 * (pv_*_authenticate). Modules that know passwords use auth_api.h. Nonces are in nonce.c, hashes in digest.c, challenges in challenge.c.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/module/abi.h"
#include "core/route/route.h"
#include "modules/auth/auth_priv.h"

struct auth_conf auth_conf;

enum pv_flags_auth { PVA_HA1 = 1, PVA_CHALLENGE = 2, PVA_QOP = 4, PVA_QOP_INT = 8, PVA_STALE = 16, PVA_KEEP_NC = 32 };

/* clang-format off */
static const struct setting settings[] = {
	SETTING_SECRET("secret",                 struct auth_conf, secret,                 NULL),
	SETTING_LIVE_INT("nonce_expire",           struct auth_conf, nonce_expire,           300, 1, 86400 * 365),
	SETTING_LIVE_INT("nonce_auth_max_drift",   struct auth_conf, nonce_auth_max_drift,   3, 0, 86400),
	SETTING_STR("qop",                    struct auth_conf, qop,                    "auth"),
	SETTING_INT("nonce_count",            struct auth_conf, nonce_count,            0, 0, 1),
	SETTING_INT("nc_array_size",          struct auth_conf, nc_array_size,          0, 0, 1 << 28),
	SETTING_INT("nc_array_order",         struct auth_conf, nc_array_order,         20, 0, 28),
	SETTING_INT("one_time_nonce",         struct auth_conf, one_time_nonce,         0, 0, 1),
	SETTING_INT("otn_in_flight_no",       struct auth_conf, otn_in_flight_no,       0, 0, 1 << 28),
	SETTING_INT("otn_in_flight_order",    struct auth_conf, otn_in_flight_order,    20, 0, 28),
	SETTING_INT("nid_pool_no",            struct auth_conf, nid_pool_no,            1, 1, 64),
	SETTING_LIVE_INT("auth_checks_register",   struct auth_conf, checks_register,        0, 0, 15),
	SETTING_LIVE_INT("auth_checks_no_dlg",     struct auth_conf, checks_no_dlg,          0, 0, 15),
	SETTING_LIVE_INT("auth_checks_in_dlg",     struct auth_conf, checks_in_dlg,          0, 0, 15),
	SETTING_LIVE_STR("challenge_attr",         struct auth_conf, challenge_attr,         "$digest_challenge"),
	SETTING_LIVE_STR("proxy_challenge_header", struct auth_conf, proxy_challenge_header, "Proxy-Authenticate"),
	SETTING_LIVE_STR("www_challenge_header",   struct auth_conf, www_challenge_header,   "WWW-Authenticate"),
	SETTING_LIVE_INT("force_stateless_reply",  struct auth_conf, force_stateless_reply,  0, 0, 1),
	SETTING_LIVE_STR("realm_prefix",           struct auth_conf, realm_prefix,           NULL),
	SETTING_LIVE_INT("use_domain",             struct auth_conf, use_domain,             0, 0, 1),
	SETTING_STR("algorithm",              struct auth_conf, algorithm,              NULL),
	SETTING_LIVE_INT("add_authinfo_hdr",       struct auth_conf, add_authinfo_hdr,       0, 0, 1),
	SETTING_INT("protect_contacts",       struct auth_conf, protect_contacts,       0, 0, 1),
	SETTING_END
};
/* clang-format on */

static struct str strip_prefix(struct str realm)
{
	if (auth_conf.realm_prefix.n && str_istarts(realm, auth_conf.realm_prefix))
		return str_sub(realm, auth_conf.realm_prefix.n, realm.n);
	return realm;
}

/* The field with digest credentials for this realm; NULL when absent. *ret_bad (may be NULL): one was there that cannot be read. */
static const struct sip_hdr *find_hdr(struct ctx *ctx, enum sip_header id, struct str realm, struct sip_credentials *ret, bool *ret_bad)
{
	const struct sip_hdr *h;

	for (h = sip_msg_hdr(&ctx->msg, id); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
		if (sip_credentials_parse(h->value, ret, NULL) < 0) {
			if (ret_bad)
				*ret_bad = true;
			continue;
		}
		if (ret->is_digest && (realm.n == 0 || str_eq(strip_prefix(ret->realm), strip_prefix(realm))))
			return h;
	}
	return NULL;
}

static bool never_challenged(const struct ctx *ctx)
{
	return ctx->msg.kind == SIP_REQUEST &&
	       (ctx->msg.method == SIP_M_ACK || ctx->msg.method == SIP_M_CANCEL || ctx->msg.method == SIP_M_PRACK);
}

static int find(struct ctx *ctx, struct str realm, bool proxy, struct str method, enum auth_take take, struct auth_cred **ret_cred)
{
	struct auth_cred *cred;
	bool bad = false;
	int rc;

	*ret_cred = NULL;
	if (ctx->msg.kind != SIP_REQUEST)
		return AUTH_ERROR;
	if (never_challenged(ctx))
		return AUTH_OK;
	cred = pool_zalloc(ctx->pool, sizeof(*cred));
	if (!cred)
		return AUTH_ERROR;
	cred->hdr = find_hdr(ctx, proxy ? SIP_H_PROXY_AUTHORIZATION : SIP_H_AUTHORIZATION, realm, &cred->c, &bad);
	if (!cred->hdr)
		return bad ? AUTH_ERROR : AUTH_NO_CREDENTIALS;
	cred->method = method.n ? method : ctx->msg.method_name;
	if (cred->c.username.n == 0 || cred->c.nonce.n == 0 || cred->c.uri.n == 0 || cred->c.response.n == 0)
		return AUTH_ERROR;
	if (auth_alg_lookup(cred->c.algorithm, &cred->alg, &cred->sess) < 0)
		return AUTH_ERROR;
	if (cred->c.qop.n && !str_ieq(cred->c.qop, STR_LIT("auth")) && !str_ieq(cred->c.qop, STR_LIT("auth-int")))
		return AUTH_ERROR;
	if (cred->c.response.n != auth_ha1_len(cred->alg))
		return AUTH_ERROR;
	rc = auth_nonce_check(ctx, cred->c.realm, &cred->c, take);
	if (rc != AUTH_OK)
		return rc;
	*ret_cred = cred;
	return AUTH_OK;
}

static int api_find(struct ctx *ctx, struct str realm, bool proxy, struct str method, struct auth_cred **ret_cred)
{
	return find(ctx, realm, proxy, method, AUTH_TAKE_NOW, ret_cred);
}

static bool same_user(const struct auth_cred *cred, struct str uri_text)
{
	struct sip_uri uri;

	if (sip_uri_parse(uri_text, &uri, NULL) < 0 || !str_eq(uri.user, cred->c.user))
		return false;
	return !auth_conf.use_domain || str_ieq(uri.host, cred->c.domain.n ? cred->c.domain : cred->c.realm);
}

static int api_identity(struct ctx *ctx, const struct auth_cred *cred, unsigned flags)
{
	const struct sip_addr *from = sip_msg_from(&ctx->msg), *to = sip_msg_to(&ctx->msg);
	enum sip_method m = ctx->msg.method;

	if (!(flags & AUTH_ID_CHECK))
		return AUTH_OK;
	if (!from || !to)
		return AUTH_IDENTITY;
	if (m == SIP_M_REGISTER || m == SIP_M_PUBLISH) {
		struct sip_uri f, t;

		if (!same_user(cred, to->uri))
			return AUTH_IDENTITY;
		if (sip_uri_parse(from->uri, &f, NULL) < 0 || sip_uri_parse(to->uri, &t, NULL) < 0 || !str_eq(f.user, t.user) ||
		    !str_ieq(f.host, t.host))
			return AUTH_IDENTITY;
		if (m == SIP_M_PUBLISH && !same_user(cred, ctx->msg.ruri))
			return AUTH_IDENTITY;
		return AUTH_OK;
	}
	if ((flags & AUTH_ID_SKIP_FROM) &&
	    (m == SIP_M_INVITE || m == SIP_M_BYE || m == SIP_M_PRACK || m == SIP_M_UPDATE || m == SIP_M_MESSAGE))
		return AUTH_OK;
	return same_user(cred, from->uri) ? AUTH_OK : AUTH_IDENTITY;
}

/* Authentication-Info for the 200 (add_authinfo_hdr). */
static void add_info(struct ctx *ctx, const struct auth_cred *cred, struct str secret, bool is_ha1)
{
	char nonce[AUTH_NONCE_MAX], rspauth[AUTH_HEX_MAX];
	struct auth_cred back = *cred;
	struct str field;
	size_t n;

	if (!auth_conf.add_authinfo_hdr)
		return;
	back.method = STR_NULL; /* RFC 7616, 3.5: A2 without the method */
	n = auth_nonce_make(ctx, cred->c.realm, nonce);
	if (n == 0 || auth_digest_response(&back, secret, is_ha1, STR_NULL, rspauth) < 0)
		return;
	if (pool_printf(ctx->pool, &field, "Authentication-Info: nextnonce=\"%.*s\"%s%.*s, rspauth=\"%s\"%s%.*s%s%s%.*s\r\n", (int)n, nonce,
	                cred->c.qop.n ? ", qop=" : "", STR_FMT(cred->c.qop), rspauth, cred->c.cnonce.n ? ", cnonce=\"" : "",
	                STR_FMT(cred->c.cnonce), cred->c.cnonce.n ? "\"" : "", cred->c.nc.n ? ", nc=" : "", STR_FMT(cred->c.nc)) == 0 &&
	    route_reply_add(ctx, field) < 0)
		log_error("auth: no memory for Authentication-Info");
}

static int api_check(struct ctx *ctx, const struct auth_cred *cred, struct str secret, bool is_ha1)
{
	int rc = auth_digest_check(ctx, cred, secret, is_ha1);

	if (rc == AUTH_OK)
		add_info(ctx, cred, secret, is_ha1);
	return rc;
}

static const struct auth_api api = { .find = api_find, .ha1_len = auth_ha1_len, .check = api_check, .identity = api_identity };

/* ---- script functions ---- */

static int challenge(struct ctx *ctx, bool proxy, const union script_arg *args, unsigned n)
{
	if (args[0].s.n == 0)
		return -1;
	return auth_challenge_send(ctx, proxy, args[0].s, (int)args[1].i, n > 2 ? args[2].s : STR_NULL);
}

static int w_www_challenge(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	return challenge(ctx, false, args, n);
}

static int w_proxy_challenge(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	return challenge(ctx, true, args, n);
}

static int w_auth_challenge(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	return challenge(ctx, ctx->msg.method != SIP_M_REGISTER, args, n);
}

/* The challenge into the AVP that challenge_attr names, for a script that answers itself. */
static void challenge_to_avp(struct ctx *ctx, bool proxy, struct str realm, int flags, bool stale)
{
	int cf = (flags & PVA_QOP ? AUTH_CH_QOP : 0) | (flags & PVA_QOP_INT ? AUTH_CH_QOP_INT : 0) | (stale ? AUTH_CH_STALE : 0);
	struct str field, name = auth_conf.challenge_attr;
	struct value v;

	if (!(flags & (PVA_CHALLENGE | PVA_QOP | PVA_QOP_INT)) ||
	    auth_challenge_build(ctx, proxy, realm, cf, STR_NULL, &field) < 0)
		return;
	if (name.n && name.s[0] == '$')
		name = str_sub(name, 1, name.n);
	if (str_starts(name, STR_LIT("avp(")) && name.n > 5)
		name = str_sub(name, 4, name.n - 5);
	v = value_str(field);
	if (!avp_push(&ctx->avps.head[AVP_PLAIN], ctx->pool, name, &v))
		log_error("auth: no memory for %.*s", STR_FMT(auth_conf.challenge_attr));
	ctx->avps.dirty = true;
}

/* Finds, checks, and with PVA_KEEP_NC uses the nonce up only now that the response is right. */
static int check_given(struct ctx *ctx, bool proxy, struct str realm, struct str secret, int flags, struct str method, struct auth_cred **ret_cred)
{
	bool later = flags & PVA_KEEP_NC;
	int rc = find(ctx, realm, proxy, method, later ? AUTH_TAKE_LATER : AUTH_TAKE_NOW, ret_cred);

	if (rc != AUTH_OK || !*ret_cred)
		return rc;
	rc = auth_digest_check(ctx, *ret_cred, secret, flags & PVA_HA1);
	if (rc == AUTH_OK && later) {
		rc = auth_nonce_take(&(*ret_cred)->c);
		if (rc != AUTH_OK)
			auth_forget(ctx);
	}
	if (rc == AUTH_OK)
		add_info(ctx, *ret_cred, secret, flags & PVA_HA1);
	return rc;
}

static int pv_authenticate(struct ctx *ctx, bool proxy, struct str realm, struct str secret, int flags, struct str method)
{
	struct auth_cred *cred;
	int rc;

	if (realm.n == 0 || secret.n == 0)
		return AUTH_ERROR;
	rc = check_given(ctx, proxy, realm, secret, flags, method, &cred);
	if (rc < 0)
		challenge_to_avp(ctx, proxy, realm, flags, rc == AUTH_STALE || (flags & PVA_STALE));
	return rc;
}

static int w_pv_www(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	return pv_authenticate(ctx, false, args[0].s, args[1].s, (int)args[2].i, n > 3 ? args[3].s : STR_NULL);
}

static int w_pv_proxy(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return pv_authenticate(ctx, true, args[0].s, args[1].s, (int)args[2].i, STR_NULL);
}

static int w_pv_auth_check(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	bool proxy = ctx->msg.method != SIP_M_REGISTER;
	struct auth_cred *cred;
	int rc;

	(void)n;
	if (ctx->msg.method == SIP_M_ACK || ctx->msg.method == SIP_M_CANCEL)
		return 1;
	if (args[0].s.n == 0 || args[1].s.n == 0)
		return AUTH_ERROR;
	rc = check_given(ctx, proxy, args[0].s, args[1].s, (int)args[2].i, STR_NULL, &cred);
	if (rc == AUTH_OK && cred)
		rc = api_identity(ctx, cred, args[3].i & 1 ? AUTH_ID_CHECK : 0);
	if (rc < 0)
		challenge_to_avp(ctx, proxy, args[0].s, (int)args[2].i, rc == AUTH_STALE || (args[2].i & PVA_STALE));
	return rc;
}

static int w_consume_credentials(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)args;
	(void)n;
	if (ctx->msg.kind != SIP_REQUEST || never_challenged(ctx) || !ctx->auth_hdr)
		return -1;
	if (sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, ctx->auth_hdr, SIP_EDIT_CREDENTIALS) < 0)
		return -1;
	return 1;
}

static int w_has_credentials(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct sip_credentials c;

	(void)n;
	if (args[0].s.n == 0)
		return -1;
	return find_hdr(ctx, SIP_H_AUTHORIZATION, args[0].s, &c, NULL) || find_hdr(ctx, SIP_H_PROXY_AUTHORIZATION, args[0].s, &c, NULL) ? 1 : -1;
}

static int w_get_www_authenticate(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct str field;
	struct value v;

	(void)n;
	if (auth_challenge_build(ctx, false, args[0].s, (int)args[1].i, STR_NULL, &field) < 0)
		return -1;
	v = value_str(field);
	return pv_set(ctx, args[2].pv, &v) < 0 ? -1 : 1;
}

static int w_auth_algorithm(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx;
	(void)n;
	return auth_algorithm_set(args[0].s) < 0 ? -1 : 1;
}

#define CHALLENGE_KINDS (CTX_REQUEST | CTX_FAILURE | CTX_ONREPLY)
/* clang-format off */
static const struct script_func funcs[] = {
	{ "www_challenge",             w_www_challenge,        2, { SP_DSTR, SP_DINT },                   CHALLENGE_KINDS, NULL, 0, false },
	{ "www_challenge",             w_www_challenge,        3, { SP_DSTR, SP_DINT, SP_DSTR },          CHALLENGE_KINDS, NULL, 0, false },
	{ "proxy_challenge",           w_proxy_challenge,      2, { SP_DSTR, SP_DINT },                   CHALLENGE_KINDS, NULL, 0, false },
	{ "proxy_challenge",           w_proxy_challenge,      3, { SP_DSTR, SP_DINT, SP_DSTR },          CHALLENGE_KINDS, NULL, 0, false },
	{ "auth_challenge",            w_auth_challenge,       2, { SP_DSTR, SP_DINT },                   CHALLENGE_KINDS, NULL, 0, false },
	{ "auth_challenge",            w_auth_challenge,       3, { SP_DSTR, SP_DINT, SP_DSTR },          CHALLENGE_KINDS, NULL, 0, false },
	{ "pv_www_authenticate",       w_pv_www,               3, { SP_DSTR, SP_DSTR, SP_DINT },          CTX_REQUEST, NULL, 0, false },
	{ "pv_www_authenticate",       w_pv_www,               4, { SP_DSTR, SP_DSTR, SP_DINT, SP_DSTR }, CTX_REQUEST, NULL, 0, false },
	{ "pv_www_authorize",          w_pv_www,               3, { SP_DSTR, SP_DSTR, SP_DINT },          CTX_REQUEST, NULL, 0, false },
	{ "pv_proxy_authenticate",     w_pv_proxy,             3, { SP_DSTR, SP_DSTR, SP_DINT },          CTX_REQUEST, NULL, 0, false },
	{ "pv_proxy_authorize",        w_pv_proxy,             3, { SP_DSTR, SP_DSTR, SP_DINT },          CTX_REQUEST, NULL, 0, false },
	{ "pv_auth_check",             w_pv_auth_check,        4, { SP_DSTR, SP_DSTR, SP_DINT, SP_DINT }, CTX_REQUEST, NULL, 0, false },
	{ "consume_credentials",       w_consume_credentials,  0, { SP_END },                             CTX_REQUEST, NULL, 0, false },
	{ "has_credentials",           w_has_credentials,      1, { SP_DSTR },                            CTX_REQUEST, NULL, 0, false },
	{ "auth_get_www_authenticate", w_get_www_authenticate, 3, { SP_DSTR, SP_DINT, SP_WPV },           CTX_REQUEST, NULL, 0, false },
	{ "auth_algorithm",            w_auth_algorithm,       1, { SP_DSTR },                            CTX_REQUEST, NULL, 0, false },
	{ .name = NULL }
};
/* clang-format on */

static int init(void)
{
	enum auth_alg alg;
	bool sess;

	if (auth_alg_lookup(auth_conf.algorithm, &alg, &sess) < 0 || sess) {
		log_error("auth: algorithm \"%.*s\" is none of MD5, SHA-256, SHA-512, SHA-512-256", STR_FMT(auth_conf.algorithm));
		return -EINVAL;
	}
	if (auth_conf.qop.n && !str_ieq(auth_conf.qop, STR_LIT("auth")) && !str_ieq(auth_conf.qop, STR_LIT("auth-int"))) {
		log_error("auth: qop \"%.*s\" is neither auth nor auth-int", STR_FMT(auth_conf.qop));
		return -EINVAL;
	}
	return auth_nonce_init();
}

static const char *const requires[] = { "sl", NULL };

const struct module module_auth = {
	.abi = MODULE_ABI,
	.name = "auth",
	.requires = requires,
	.settings = settings,
	.conf = &auth_conf,
	.funcs = funcs,
	.api = &api,
	.init = init,
};
