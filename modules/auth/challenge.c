/* SPDX-License-Identifier: BSD-2-Clause */
/* Challenges: the WWW-Authenticate or Proxy-Authenticate field, and the 401 or 407 that carries it. */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/route/route.h"
#include "modules/auth/auth_priv.h"

#define CHALLENGE_MAX 4096

static struct {
	bool set; /* auth_algorithm() was called in this process */
	enum auth_alg alg;
} g;

int auth_algorithm_set(struct str name)
{
	enum auth_alg alg;
	bool sess;

	if (auth_alg_lookup(name, &alg, &sess) < 0 || sess || name.n == 0)
		return -EINVAL;
	g.set = true;
	g.alg = alg;
	return 0;
}

enum auth_alg auth_algorithm_current(bool *ret_print)
{
	enum auth_alg alg = AUTH_MD5;
	bool sess;

	*ret_print = true;
	if (g.set)
		return g.alg;
	if (auth_conf.algorithm.n && auth_alg_lookup(auth_conf.algorithm, &alg, &sess) == 0)
		return alg;
	*ret_print = false; /* MD5 is what a client assumes */
	return AUTH_MD5;
}

static void one(struct strbuf *sb, bool proxy, struct str realm, struct str nonce, int flags, enum auth_alg alg, bool print_alg)
{
	strbuf_add(sb, proxy ? auth_conf.proxy_challenge_header : auth_conf.www_challenge_header);
	strbuf_add_lit(sb, ": Digest realm=\"");
	strbuf_add(sb, realm);
	strbuf_add_lit(sb, "\", nonce=\"");
	strbuf_add(sb, nonce);
	strbuf_add_char(sb, '"');
	if (flags & (AUTH_CH_QOP | AUTH_CH_QOP_INT))
		strbuf_add_lit(sb, flags & AUTH_CH_QOP_INT ? ", qop=\"auth-int\"" : ", qop=\"auth\"");
	if (flags & AUTH_CH_STALE)
		strbuf_add_lit(sb, ", stale=true");
	if (print_alg) {
		strbuf_add_lit(sb, ", algorithm=");
		strbuf_add_lit(sb, auth_alg_name(alg));
	}
	strbuf_add_lit(sb, "\r\n");
}

/* A realm goes into a quoted string: what would end it is refused. */
static bool realm_ok(struct str realm)
{
	for (size_t i = 0; i < realm.n; i++) {
		if (realm.s[i] == '"' || realm.s[i] == '\\' || (unsigned char)realm.s[i] < 32)
			return false;
	}
	return realm.n > 0 && realm.n < 512;
}

int auth_challenge_build(struct ctx *ctx, bool proxy, struct str realm, int flags, struct str algs, struct str *ret)
{
	char nonce[AUTH_NONCE_MAX];
	struct strbuf sb;
	size_t n;

	if (!realm_ok(realm))
		return -EINVAL;
	n = auth_nonce_make(ctx, realm, nonce);
	if (n == 0)
		return -ENOMEM;
	strbuf_init_pool(&sb, ctx->pool, CHALLENGE_MAX);
	if (algs.n == 0) {
		bool print;
		enum auth_alg alg = auth_algorithm_current(&print);

		one(&sb, proxy, realm, str_of(nonce, n), flags, alg, print);
	}
	while (algs.n) {
		size_t end = 0;
		struct str name;
		enum auth_alg alg;
		bool sess;

		while (end < algs.n && algs.s[end] != ',' && algs.s[end] != ' ')
			end++;
		name = str_sub(algs, 0, end);
		algs = str_sub(algs, end < algs.n ? end + 1 : end, algs.n);
		if (name.n == 0)
			continue;
		if (auth_alg_lookup(name, &alg, &sess) < 0 || sess)
			return -EINVAL;
		one(&sb, proxy, realm, str_of(nonce, n), flags, alg, true);
	}
	*ret = strbuf_str(&sb);
	return strbuf_err(&sb);
}

int auth_challenge_send(struct ctx *ctx, bool proxy, struct str realm, int flags, struct str algs)
{
	struct str field, reason = proxy ? STR_LIT("Proxy Authentication Required") : STR_LIT("Unauthorized");
	int code = proxy ? 407 : 401;
	int err, rc;

	if (ctx->msg.kind != SIP_REQUEST || ctx->msg.method == SIP_M_ACK || ctx->msg.method == SIP_M_CANCEL)
		return -1;
	err = auth_challenge_build(ctx, proxy, realm, flags, algs, &field);
	if (err == -EINVAL) {
		log_error("auth: challenge: realm \"%.*s\" or algorithms \"%.*s\" cannot be used", STR_FMT(realm), STR_FMT(algs));
		return -1;
	}
	if (err == 0)
		err = route_reply_add(ctx, field);
	if (err < 0) {
		log_fail(err, "auth: cannot build a challenge");
		if (flags & AUTH_CH_NO_500)
			return -2;
		return route_reply(ctx, 500, STR_LIT("Internal Server Error")) > 0 ? -2 : -4;
	}
	rc = auth_conf.force_stateless_reply ? route_reply_stateless(ctx, code, reason) : route_reply(ctx, code, reason);
	return rc > 0 ? 1 : -3;
}
