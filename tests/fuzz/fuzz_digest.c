/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials of a request. Behind the first byte (switches) the input is the value of Authorization; "@N" in it stands for a
 * nonce that was just made. Nobody gets past the nonce with one that we did not make, nobody gets past the response
 * but with the one computed for him, and the right response is taken.
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

static struct ctx *request(struct str fields, const struct rx_info *rx)
{
	static const char head[] = "REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKx\r\nFrom: <sip:alice@r>;tag=1\r\n"
				   "To: <sip:alice@r>\r\nCall-ID: c1\r\nCSeq: 7 REGISTER\r\nContent-Length: 3\r\n";
	struct strbuf sb;
	struct ctx *ctx = NULL;

	strbuf_init(&sb, 1 << 20);
	strbuf_add_lit(&sb, head);
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
		(void)api->identity(ctx, cred, AUTH_ID_CHECK);
	} else if (rc == AUTH_WRONG_PASSWORD) {
		fuzz_require(!str_eq(cred->c.response, str_lit(right)));
		cred->c.response = str_lit(right);
		rc = api->check(ctx, cred, secret, ha1);
		fuzz_require(rc == AUTH_OK || rc == AUTH_STALE || rc == AUTH_NONCE_REUSED);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0, .wall_s = 1800000000 };
	char nonce_mem[AUTH_NONCE_MAX];
	struct ctx *dummy, *ctx;
	struct strbuf sb;
	struct str nonce;
	bool proxy;

	once();
	if (size == 0 || size > 4096)
		return 0;
	proxy = data[0] & 1;
	dummy = ctx_new();
	fuzz_require(dummy != NULL && net_addr_parse(STR_LIT("10.0.0.9"), 5070, &rx.src) == 0);
	dummy->rx = rx;
	nonce = str_of(nonce_mem, auth_nonce_make(dummy, STR_LIT("r"), nonce_mem));
	ctx_free(dummy);
	strbuf_init(&sb, 1 << 20);
	fields(&sb, str_of(data + 1, size - 1), nonce, proxy);
	fuzz_require(strbuf_err(&sb) == 0);
	ctx = request(strbuf_str(&sb), &rx);
	strbuf_done(&sb);
	if (ctx) {
		struct auth_cred *cred = NULL;
		int rc = api->find(ctx, STR_LIT("r"), proxy, STR_NULL, &cred);

		fuzz_require(rc == AUTH_OK || (rc < 0 && rc >= AUTH_IDENTITY));
		if (rc == AUTH_OK) {
			fuzz_require(cred != NULL);
			judge(ctx, cred, nonce, data[0] & 2);
		}
		ctx_free(ctx);
	}
	fuzz_require(ctx_in_use() == 0);
	return 0;
}
