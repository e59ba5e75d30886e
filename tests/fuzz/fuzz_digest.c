/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials of a request. The first byte is switches, the second says which request, and how much later it comes than its nonce was made; the
 * rest is the value of Authorization, in which "@N" stands for that nonce. Nobody gets past the nonce with one that we
 * did not make, nobody gets past the response but with the one computed for him, and the right response is taken. A nonce that is used up is
 * refused from then on.
 */
#include "core/base/strbuf.h"
#include "modules/auth/auth_priv.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_mods.h"

extern const struct module module_auth;

static const struct auth_api *api;

static void set(const struct module *m)
{
	fuzz_set(m, "secret", 0, "0123456789abcdef0123456789abcdef");
	fuzz_set(m, "nonce_count", 1, NULL);
	fuzz_set(m, "qop", 0, "auth");
}

static void once(void)
{
	static const struct module *const modules[] = { &module_auth };

	if (api)
		return;
	fuzz_modules_start(modules, 1, set);
	api = module_auth.api;
}

enum {
	PROXY = 1, HA1 = 2, NO_COUNT = 4, ONE_TIME = 8, BOUND_MADE = 16, BOUND_CHECKED = 32, LATER = 64, OTHER_REALM = 128, /* first byte */
	REQUEST_BITS = 3, EXPIRED = 4, FROM_FUTURE = 8, FROM_BEFORE = 16,                                                   /* second */
};

static struct ctx *request(uint8_t which, struct str fields, const struct rx_info *rx)
{
	static const struct { const char *method, *to_tag; } kind[REQUEST_BITS + 1] = {
		{ "REGISTER", "" }, { "INVITE", "" }, { "BYE", ";tag=2" }, { "PUBLISH", "" },
	};
	const char *m = kind[which & REQUEST_BITS].method;
	struct strbuf sb;
	struct ctx *ctx = NULL;

	strbuf_init(&sb, 1 << 20);
	strbuf_printf(&sb, "%s sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKx\r\nFrom: <sip:alice@r>;tag=1\r\n"
			   "To: <sip:alice@r>%s\r\nCall-ID: c1\r\nCSeq: 7 %s\r\nContent-Length: 3\r\n", m, kind[which & REQUEST_BITS].to_tag, m);
	strbuf_add(&sb, fields);
	strbuf_add_lit(&sb, "\r\n\r\nabc");
	if (strbuf_err(&sb) == 0)
		ctx = ctx_from_bytes(strbuf_str(&sb), rx);
	strbuf_done(&sb);
	if (ctx)
		ctx->kind = CTX_REQUEST;
	return ctx;
}

/* "Authorization: " with the input, "@N" replaced. */
static void fields(struct strbuf *sb, struct str in, struct str nonce, bool proxy)
{
	if (proxy)
		strbuf_add_lit(sb, "Proxy-");
	strbuf_add_lit(sb, "Authorization: ");
	for (size_t i = 0; i < in.n; i++) {
		if (in.s[i] == '@' && i + 1 < in.n && in.s[i + 1] == 'N') {
			strbuf_add(sb, nonce);
			i++;
		} else {
			strbuf_add_char(sb, in.s[i]);
		}
	}
}

/* From and To are alice's. */
static void identify(struct ctx *ctx, const struct auth_cred *cred)
{
	int rc = api->identity(ctx, cred, AUTH_ID_CHECK);

	fuzz_require(rc == AUTH_OK || rc == AUTH_IDENTITY);
	fuzz_require((rc == AUTH_OK) == (str_eq(cred->c.user, STR_LIT("alice")) && ctx->msg.method != SIP_M_PUBLISH));
	(void)api->identity(ctx, cred, AUTH_ID_CHECK | AUTH_ID_SKIP_FROM);
	fuzz_require(api->identity(ctx, cred, 0) == AUTH_OK);
}

static void judge(struct ctx *ctx, struct auth_cred *cred, struct str nonce, bool ha1)
{
	struct str secret = ha1 ? STR_LIT("00112233445566778899aabbccddeeff") : STR_LIT("secret");
	char right[AUTH_HEX_MAX], old[AUTH_HEX_MAX];
	int rc = api->check(ctx, cred, secret, ha1);

	fuzz_require(rc == AUTH_OK || rc == AUTH_WRONG_PASSWORD || rc == AUTH_ERROR || rc == AUTH_STALE || rc == AUTH_NONCE_REUSED);
	fuzz_require(str_eq(cred->c.nonce, nonce));
	if (auth_digest_response(cred, secret, ha1, ctx->msg.body, right) < 0) {
		fuzz_require(rc != AUTH_OK);
		return;
	}
	fuzz_require(strlen(right) == auth_ha1_len(cred->alg) && sizeof(old) >= sizeof(right));
	if (rc == AUTH_OK) {
		fuzz_require(str_ieq(cred->c.response, str_lit(right)));
	} else if (rc == AUTH_WRONG_PASSWORD) {
		fuzz_require(!str_eq(cred->c.response, str_lit(right)));
		cred->c.response = str_lit(right);
		rc = api->check(ctx, cred, secret, ha1);
		fuzz_require(rc == AUTH_OK || rc == AUTH_STALE || rc == AUTH_NONCE_REUSED);
	}
	if (rc == AUTH_OK)
		identify(ctx, cred);
}

/* Looked at first, used up later, as pv_www_authenticate() does with flag 16. */
static void take_later(struct ctx *ctx, bool proxy, struct str nonce)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, proxy ? SIP_H_PROXY_AUTHORIZATION : SIP_H_AUTHORIZATION);
	struct sip_credentials c;
	int rc;

	if (!h || sip_credentials_parse(h->value, &c, NULL) < 0 || !c.is_digest)
		return;
	rc = auth_nonce_check(ctx, STR_LIT("r"), &c, AUTH_TAKE_LATER);
	if (rc != AUTH_OK)
		return;
	fuzz_require(str_eq(c.nonce, nonce));
	rc = auth_nonce_take(&c);
	fuzz_require(rc == AUTH_OK);
	if ((auth_conf.nonce_count && c.qop.n && c.nc.n) || auth_conf.one_time_nonce)
		fuzz_require(auth_nonce_take(&c) != AUTH_OK && auth_nonce_check(ctx, STR_LIT("r"), &c, AUTH_TAKE_LATER) != AUTH_OK);
}

/* Who got past the nonce did so at the right time, with the right realm, and with a nonce that is bound to what is asked for. */
static void find_and_judge(struct ctx *ctx, uint8_t how, uint8_t when, struct str nonce)
{
	struct auth_cred *cred = NULL;
	int rc = api->find(ctx, STR_LIT("r"), how & PROXY, STR_NULL, &cred);

	fuzz_require(rc == AUTH_OK || (rc < 0 && rc >= AUTH_IDENTITY));
	if (rc != AUTH_OK)
		return;
	fuzz_require(cred != NULL && !(when & (EXPIRED | FROM_FUTURE | FROM_BEFORE)) && !(how & OTHER_REALM));
	if (!auth_conf.nonce_count || cred->c.qop.n == 0) /* those that are counted were checked when they were first used */
		fuzz_require(!(how & BOUND_MADE) == !(how & BOUND_CHECKED));
	judge(ctx, cred, nonce, how & HA1);
}

static void bind_nonces(bool on)
{
	auth_conf.checks_register = auth_conf.checks_no_dlg = auth_conf.checks_in_dlg = on ? 15 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0, .wall_s = 1800000000 };
	char nonce_mem[AUTH_NONCE_MAX];
	uint8_t how, when;
	struct strbuf sb;
	struct ctx *ctx;
	struct str nonce;

	once();
	if (size < 2 || size > 4096)
		return 0;
	how = data[0];
	when = data[1];
	auth_conf.nonce_count = !(how & NO_COUNT);
	auth_conf.one_time_nonce = !!(how & ONE_TIME);
	auth_conf.add_authinfo_hdr = !!(how & HA1);
	bind_nonces(how & BOUND_MADE);
	fuzz_require(net_addr_parse(STR_LIT("10.0.0.9"), 5070, &rx.src) == 0);
	rx.wall_s += when & FROM_FUTURE ? 100 : when & FROM_BEFORE ? -100 : 0;
	ctx = request(when, STR_LIT("X: y"), &rx);
	fuzz_require(ctx != NULL);
	nonce = str_of(nonce_mem, auth_nonce_make(ctx, how & OTHER_REALM ? STR_LIT("other") : STR_LIT("r"), nonce_mem));
	ctx_free(ctx);
	strbuf_init(&sb, 1 << 20);
	fields(&sb, str_of(data + 2, size - 2), nonce, how & PROXY);
	fuzz_require(strbuf_err(&sb) == 0);
	rx.wall_s = 1800000000 + (when & EXPIRED ? 1000 : 0);
	bind_nonces(how & BOUND_CHECKED);
	ctx = request(when, strbuf_str(&sb), &rx);
	strbuf_done(&sb);
	if (ctx && how & LATER)
		take_later(ctx, how & PROXY, nonce);
	else if (ctx)
		find_and_judge(ctx, how, when, nonce);
	if (ctx)
		ctx_free(ctx);
	fuzz_require(ctx_in_use() == 0);
	return 0;
}
