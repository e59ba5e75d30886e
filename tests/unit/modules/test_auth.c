/* SPDX-License-Identifier: BSD-2-Clause */
/* Digest vectors of the RFCs, what a nonce must withstand, the script's return codes, and the cache of auth_db. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/module/abi.h"
#include "modules/auth/auth_priv.h"
#include "modules/auth_db/cache.h"
#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define WALL 1700000000
#define REALM STR_LIT("example.com")
#define N1 "dcd98b7102dd2f0e8b11d0f600bfb0c093"
#define N2 "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
#define C2 "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

extern const struct module module_auth;

/* ---- vectors ---- */

/* clang-format off */
static const struct {
	const char *algorithm, *user, *realm, *password, *method, *uri, *nonce, *nc, *cnonce, *qop, *body, *response;
} vectors[] = {
	/* RFC 2069, 2.4 with its erratum */
	{ "", "Mufasa", "testrealm@host.com", "CircleOfLife", "GET", "/dir/index.html", N1, "", "", "", "",
	  "1949323746fe6a43ef61f9606e7febea" },
	/* RFC 2617, 3.5 */
	{ "MD5", "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", "/dir/index.html", N1, "00000001", "0a4f113b", "auth", "",
	  "6629fae49393a05397450978507c4ef1" },
	/* RFC 7616, 3.9.1 */
	{ "md5", "Mufasa", "http-auth@example.org", "Circle of Life", "GET", "/dir/index.html", N2, "00000001", C2, "auth", "",
	  "8ca523f5e9506fed4657c9700eebdbec" },
	{ "SHA-256", "Mufasa", "http-auth@example.org", "Circle of Life", "GET", "/dir/index.html", N2, "00000001", C2, "auth", "",
	  "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
	{ "SHA-512-256", "J\xc3\xa4s\xc3\xb8n Doe", "api@example.org", "Secret, or not?", "GET", "/doe.json",
	  "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "00000001", "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm", "auth", "",
	  "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c" },
	{ "SHA-512", "Mufasa", "http-auth@example.org", "Circle of Life", "GET", "/dir/index.html", N2, "00000001", C2, "auth", "",
	  "27d9ebedb4e86595d8b99152ce456620c8e47c48afbd771dbc4468bb758ca66e7312383d49ad044219d4a2c5c218e66c584fa00b2728798bcff9435825eed0ad" },
	{ "MD5-sess", "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", "/dir/index.html", N1, "00000001", "0a4f113b", "auth", "",
	  "8e3825c57e897f5a0dec6c2d4e5059d0" },
	{ "MD5", "bob", "biloxi.com", "zanzibar", "REGISTER", "sip:biloxi.com", N1, "00000001", "0a4f113b", "auth-int", "v=0\r\n",
	  "682d2fe1379a5bb836b4f39b47149ef7" },
};
/* clang-format on */

START_TEST(digest_vectors)
{
	struct auth_cred cred = { 0 };
	char out[AUTH_HEX_MAX];

	ck_assert_int_eq(auth_alg_lookup(str_lit(vectors[_i].algorithm), &cred.alg, &cred.sess), 0);
	cred.c.username = str_lit(vectors[_i].user);
	cred.c.realm = str_lit(vectors[_i].realm);
	cred.c.uri = str_lit(vectors[_i].uri);
	cred.c.nonce = str_lit(vectors[_i].nonce);
	cred.c.nc = str_lit(vectors[_i].nc);
	cred.c.cnonce = str_lit(vectors[_i].cnonce);
	cred.c.qop = str_lit(vectors[_i].qop);
	cred.method = str_lit(vectors[_i].method);
	ck_assert_int_eq(auth_digest_response(&cred, str_lit(vectors[_i].password), false, str_lit(vectors[_i].body), out), 0);
	ck_assert_str_eq(out, vectors[_i].response);
	ck_assert_uint_eq(strlen(out), auth_ha1_len(cred.alg));
}
END_TEST

START_TEST(digest_refuses)
{
	struct auth_cred cred = { .alg = AUTH_MD5, .method = STR_LIT("REGISTER") };
	char out[AUTH_HEX_MAX];
	enum auth_alg alg;
	bool sess;

	cred.c.qop = STR_LIT("auth"); /* without nc and cnonce */
	ck_assert_int_lt(auth_digest_response(&cred, STR_LIT("x"), false, STR_NULL, out), 0);
	cred.c.qop = STR_NULL;
	ck_assert_int_lt(auth_digest_response(&cred, STR_LIT("too short"), true, STR_NULL, out), 0);
	cred.sess = true; /* HA1 of a session needs the password */
	ck_assert_int_lt(auth_digest_response(&cred, STR_LIT("0123456789abcdef0123456789abcdef"), true, STR_NULL, out), 0);
	ck_assert_int_lt(auth_alg_lookup(STR_LIT("SHA-1"), &alg, &sess), 0);
	ck_assert_int_lt(auth_alg_lookup(STR_LIT("-sess"), &alg, &sess), 0);
}
END_TEST

/* ---- messages ---- */

static void boot(void)
{
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64 << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	clock_fake(1000000, WALL);
	ck_assert_int_eq(ctx_pool_init(16), 0);
	settings_defaults(module_auth.settings, module_auth.conf);
	auth_conf.secret = STR_LIT("the farm's secret");
	auth_conf.nc_array_size = auth_conf.otn_in_flight_no = 1024;
}

static void start(void)
{
	ck_assert_int_eq(auth_nonce_init(), 0);
}

static void finish(void)
{
	shm_slot_release();
	shm_arena_destroy();
}

struct req {
	const char *method, *call_id, *from_tag, *auth;
};

static struct ctx *request(const struct req *r)
{
	static char text[4096];
	struct rx_info rx = { .wall_s = WALL };
	struct ctx *ctx;
	int n;

	n = snprintf(text, sizeof(text),
	             "%s sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:bob@example.com>;tag=%s\r\n"
	             "To: <sip:bob@example.com>\r\nCall-ID: %s\r\nCSeq: 1 %s\r\n%s%s%sContent-Length: 0\r\n\r\n",
	             r->method, r->from_tag ? r->from_tag : "t", r->call_id ? r->call_id : "c", r->method,
	             r->auth ? "Authorization: " : "", r->auth ? r->auth : "", r->auth ? "\r\n" : "");
	ck_assert_int_lt(n, (int)sizeof(text));
	rx.src.family = AF_INET;
	ctx = ctx_from_bytes(str_of(text, (size_t)n), &rx);
	ck_assert_ptr_nonnull(ctx);
	return ctx;
}

static struct ctx *reg(void)
{
	return request(&(struct req){ .method = "REGISTER" });
}

static int check(struct ctx *ctx, struct str realm, struct str nonce)
{
	struct sip_credentials c = { .nonce = nonce };

	return auth_nonce_check(ctx, realm, &c, AUTH_TAKE_NOW);
}

static int check_nc(struct ctx *ctx, struct str nonce, const char *nc, enum auth_take take)
{
	struct sip_credentials c = { .nonce = nonce, .nc = str_lit(nc), .qop = STR_LIT("auth") };

	return auth_nonce_check(ctx, REALM, &c, take);
}

START_TEST(nonce_is_good_for_its_realm_and_time)
{
	char nonce[AUTH_NONCE_MAX];
	struct ctx *ctx;
	struct str n;

	boot();
	start();
	ctx = reg();
	n = str_of(nonce, auth_nonce_make(ctx, REALM, nonce));
	ck_assert_uint_gt(n.n, 0);
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_OK);
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_OK); /* plain nonces are not counted */
	ck_assert_int_eq(check(ctx, STR_LIT("example.org"), n), AUTH_ERROR);
	ck_assert_int_eq(check(ctx, STR_LIT(""), n), AUTH_ERROR);
	ctx->rx.wall_s = WALL + 300;
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_OK);
	ctx->rx.wall_s = WALL + 301;
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_STALE);
	ctx->rx.wall_s = WALL - 3; /* a neighbour's clock */
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_OK);
	ctx->rx.wall_s = WALL - 4;
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_STALE);
	clock_fake(1000000, WALL + 1); /* a restart */
	start();
	ctx->rx.wall_s = WALL + 1;
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_STALE);
	ctx_free(ctx);
	finish();
}
END_TEST

START_TEST(nonce_cannot_be_forged)
{
	static const char alphabet[] = "ABab01+/=";
	char nonce[AUTH_NONCE_MAX], bad[AUTH_NONCE_MAX];
	struct ctx *ctx;
	size_t n;

	boot();
	start();
	ctx = reg();
	n = auth_nonce_make(ctx, REALM, nonce);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(alphabet) - 1; k++) {
			int rc;

			memcpy(bad, nonce, n);
			if (bad[i] == alphabet[k])
				continue;
			bad[i] = alphabet[k];
			rc = check(ctx, REALM, str_of(bad, n));
			ck_assert_msg(rc == AUTH_ERROR || rc == AUTH_STALE, "byte %zu: %d", i, rc);
		}
		ck_assert_int_eq(check(ctx, REALM, str_of(nonce, i)), AUTH_ERROR); /* cut off */
	}
	ck_assert_int_eq(check(ctx, REALM, STR_LIT("")), AUTH_ERROR);
	ck_assert_int_eq(check(ctx, REALM, STR_LIT("====")), AUTH_ERROR);
	memset(bad, 'A', sizeof(bad));
	ck_assert_int_lt(check(ctx, REALM, str_of(bad, sizeof(bad))), 0);
	/* another farm */
	auth_conf.secret = STR_LIT("another secret");
	start();
	ck_assert_int_eq(check(ctx, REALM, str_of(nonce, n)), AUTH_ERROR);
	auth_conf.secret = STR_LIT("the farm's secret");
	start();
	ck_assert_int_eq(check(ctx, REALM, str_of(nonce, n)), AUTH_OK);
	ctx_free(ctx);
	finish();
}
END_TEST

START_TEST(nc_must_grow)
{
	char nonce[AUTH_NONCE_MAX], other[AUTH_NONCE_MAX];
	struct ctx *ctx;
	struct str n;

	boot();
	auth_conf.nonce_count = 1;
	start();
	ctx = reg();
	n = str_of(nonce, auth_nonce_make(ctx, REALM, nonce));
	ck_assert_int_eq(check_nc(ctx, n, "00000005", AUTH_TAKE_NOW), AUTH_OK); /* any first */
	ck_assert_int_eq(check_nc(ctx, n, "00000005", AUTH_TAKE_NOW), AUTH_STALE);
	ck_assert_int_eq(check_nc(ctx, n, "00000004", AUTH_TAKE_NOW), AUTH_STALE);
	ck_assert_int_eq(check_nc(ctx, n, "00000006", AUTH_TAKE_LATER), AUTH_OK); /* only looks */
	ck_assert_int_eq(check_nc(ctx, n, "00000006", AUTH_TAKE_NOW), AUTH_OK);
	ck_assert_int_eq(check_nc(ctx, n, "7", AUTH_TAKE_NOW), AUTH_ERROR);
	ck_assert_int_eq(check_nc(ctx, n, "0000000x", AUTH_TAKE_NOW), AUTH_ERROR);
	ck_assert_int_eq(check_nc(ctx, n, "00010000", AUTH_TAKE_NOW), AUTH_STALE);
	ck_assert_int_eq(check_nc(ctx, n, "0000ffff", AUTH_TAKE_NOW), AUTH_OK);
	/* 1024 later ones took its place in the table */
	for (unsigned i = 0; i < 1024; i++)
		(void)auth_nonce_make(ctx, REALM, other);
	ck_assert_int_eq(check_nc(ctx, n, "0000fffe", AUTH_TAKE_NOW), AUTH_STALE);
	ctx_free(ctx);
	finish();
}
END_TEST

START_TEST(one_time_is_once)
{
	char nonce[AUTH_NONCE_MAX];
	struct ctx *ctx;
	struct str n;
	struct sip_credentials c = { 0 };

	boot();
	auth_conf.one_time_nonce = 1;
	start();
	ctx = reg();
	n = str_of(nonce, auth_nonce_make(ctx, REALM, nonce));
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_OK);
	ck_assert_int_eq(check(ctx, REALM, n), AUTH_NONCE_REUSED);
	n = str_of(nonce, auth_nonce_make(ctx, REALM, nonce));
	c.nonce = n;
	ck_assert_int_eq(auth_nonce_check(ctx, REALM, &c, AUTH_TAKE_LATER), AUTH_OK);
	ck_assert_int_eq(auth_nonce_take(&c), AUTH_OK);
	ck_assert_int_eq(auth_nonce_take(&c), AUTH_NONCE_REUSED);
	ck_assert_int_eq(auth_nonce_check(ctx, REALM, &c, AUTH_TAKE_LATER), AUTH_NONCE_REUSED);
	ctx_free(ctx);
	finish();
}
END_TEST

START_TEST(nonce_is_bound_to_what_is_asked)
{
	struct ctx *a, *same, *other_call, *other_tag, *options;
	char nonce[AUTH_NONCE_MAX];
	struct str n;

	boot();
	auth_conf.checks_register = 2 | 4 | 8;
	start();
	a = reg();
	same = reg();
	other_call = request(&(struct req){ .method = "REGISTER", .call_id = "other" });
	other_tag = request(&(struct req){ .method = "REGISTER", .from_tag = "other" });
	options = request(&(struct req){ .method = "OPTIONS" });
	n = str_of(nonce, auth_nonce_make(a, REALM, nonce));
	ck_assert_int_eq(check(same, REALM, n), AUTH_OK);
	ck_assert_int_eq(check(other_call, REALM, n), AUTH_STALE);
	ck_assert_int_eq(check(other_tag, REALM, n), AUTH_STALE);
	ck_assert_int_eq(check(options, REALM, n), AUTH_STALE);
	same->rx.src.ip[0] ^= 1;
	ck_assert_int_eq(check(same, REALM, n), AUTH_STALE);
	n = str_of(nonce, auth_nonce_make(options, REALM, nonce));
	ck_assert_int_eq(check(options, REALM, n), AUTH_OK);
	ck_assert_int_eq(check(a, REALM, n), AUTH_STALE);
	ctx_free(a);
	ctx_free(same);
	ctx_free(other_call);
	ctx_free(other_tag);
	ctx_free(options);
	finish();
}
END_TEST

/* ---- the script's functions ---- */

static script_fn *func(const char *name, unsigned n)
{
	for (const struct script_func *f = module_auth.funcs; f->name; f++) {
		if (strcmp(f->name, name) == 0 && f->n_params == n)
			return f->fn;
	}
	ck_abort_msg("no function %s", name);
	return NULL;
}

static int www(struct ctx *ctx, const char *password, int64_t flags)
{
	union script_arg args[] = { { .s = REALM }, { .s = str_lit(password) }, { .i = flags } };

	return func("pv_www_authenticate", 3)(ctx, args, 3);
}

/* Credentials that answer a nonce; they stay in a static buffer. */
static const char *answer(const char *nonce, const char *user, const char *password, const char *nc)
{
	static char text[1024];
	struct auth_cred cred = { .alg = AUTH_MD5, .method = STR_LIT("REGISTER") };
	char response[AUTH_HEX_MAX];

	cred.c = (struct sip_credentials){ .username = str_lit(user), .realm = REALM, .nonce = str_lit(nonce), .uri = STR_LIT("sip:example.com") };
	if (nc) {
		cred.c.nc = str_lit(nc);
		cred.c.qop = STR_LIT("auth");
		cred.c.cnonce = STR_LIT("abc");
	}
	ck_assert_int_eq(auth_digest_response(&cred, str_lit(password), false, STR_NULL, response), 0);
	snprintf(text, sizeof(text), "Digest username=\"%s\", realm=\"example.com\", nonce=\"%s\", uri=\"sip:example.com\", response=\"%s\"%s%s%s", user,
	         nonce, response, nc ? ", qop=auth, cnonce=\"abc\", nc=" : "", nc ? nc : "", "");
	return text;
}

static const char *fresh_nonce(void)
{
	static char nonce[AUTH_NONCE_MAX];
	struct ctx *ctx = reg();

	nonce[auth_nonce_make(ctx, REALM, nonce)] = '\0';
	ctx_free(ctx);
	return nonce;
}

static int try_www(const char *auth, const char *password, int64_t flags)
{
	struct ctx *ctx = request(&(struct req){ .method = "REGISTER", .auth = auth });
	int rc = www(ctx, password, flags);

	ck_assert_int_eq(rc == AUTH_OK, ctx->auth_user.n > 0);
	ctx_free(ctx);
	return rc;
}

START_TEST(return_codes)
{
	char text[1024];
	struct ctx *ctx;
	const char *nonce;

	boot();
	start();
	nonce = fresh_nonce();
	ck_assert_int_eq(try_www(NULL, "pw", 0), AUTH_NO_CREDENTIALS);
	ck_assert_int_eq(try_www("Digest username=\"bob\", realm=\"other\", nonce=\"x\"", "pw", 0), AUTH_NO_CREDENTIALS);
	ck_assert_int_eq(try_www("Digest username=\"bob", "pw", 0), AUTH_ERROR);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", NULL), "pw", 0), AUTH_OK);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", "00000001"), "pw", 0), AUTH_OK);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "guess", NULL), "pw", 0), AUTH_WRONG_PASSWORD);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", NULL), "", 0), AUTH_ERROR);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", NULL), "not hex of that length", 1), AUTH_ERROR);
	/* HA1 = MD5(bob:example.com:pw), any case */
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", NULL), "7AD7A8F4A5D9F1F7E7F1E0F1B6B1B9E1", 1), AUTH_WRONG_PASSWORD);
	snprintf(text, sizeof(text), "%s, algorithm=SHA-1", answer(nonce, "bob", "pw", NULL));
	ck_assert_int_eq(try_www(text, "pw", 0), AUTH_ERROR);
	snprintf(text, sizeof(text), "%s, algorithm=SHA-256", answer(nonce, "bob", "pw", NULL));
	ck_assert_int_eq(try_www(text, "pw", 0), AUTH_ERROR); /* the response has the wrong length */
	ctx = request(&(struct req){ .method = "PRACK" });
	ck_assert_int_eq(www(ctx, "pw", 0), AUTH_OK);
	ctx_free(ctx);
	finish();
}
END_TEST

START_TEST(flag_32_keeps_the_count_for_the_right_one)
{
	const char *nonce;

	boot();
	auth_conf.nonce_count = 1;
	start();
	nonce = fresh_nonce();
	ck_assert_int_eq(try_www(answer(nonce, "bob", "guess", "00000001"), "pw", 32), AUTH_WRONG_PASSWORD);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", "00000001"), "pw", 32), AUTH_OK);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", "00000001"), "pw", 32), AUTH_STALE);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "guess", "00000002"), "pw", 0), AUTH_WRONG_PASSWORD);
	ck_assert_int_eq(try_www(answer(nonce, "bob", "pw", "00000002"), "pw", 0), AUTH_STALE);
	finish();
}
END_TEST

START_TEST(challenges)
{
	/* clang-format off */
	static const struct { int flags; const char *algs; const char *must[4]; const char *must_not; int err; } table[] = {
		{ 0,      "",             { "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"", "\"\r\n" },      "qop",       0 },
		{ 1,      "",             { ", qop=\"auth\"\r\n" },                                                      "stale",     0 },
		{ 2,      "",             { ", qop=\"auth-int\"" },                                                      "algorithm", 0 },
		{ 1 | 16, "",             { ", qop=\"auth\", stale=true\r\n" },                                          "algorithm", 0 },
		{ 0,      "SHA-256,MD5",  { ", algorithm=SHA-256\r\nWWW-Authenticate: Digest ", ", algorithm=MD5\r\n" }, "qop",       0 },
		{ 0,      "SHA-1",        { NULL },                                                                      NULL,        -1 },
	};
	/* clang-format on */
	struct ctx *ctx;
	struct str field;

	boot();
	start();
	ctx = reg();
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int err = auth_challenge_build(ctx, false, REALM, table[i].flags, str_lit(table[i].algs), &field);

		ck_assert_int_eq(err < 0, table[i].err < 0);
		for (unsigned k = 0; err == 0 && k < 4 && table[i].must[k]; k++)
			ck_assert_msg(str_find(field, str_lit(table[i].must[k])) >= 0, "%zu: %.*s", i, STR_FMT(field));
		if (err == 0)
			ck_assert_msg(str_find(field, str_lit(table[i].must_not)) < 0, "%zu: %.*s", i, STR_FMT(field));
	}
	ck_assert_int_lt(auth_challenge_build(ctx, false, STR_LIT("a\"b"), 0, STR_NULL, &field), 0);
	ck_assert_int_lt(auth_challenge_build(ctx, false, STR_LIT("a\r\nX: y"), 0, STR_NULL, &field), 0);
	ctx_free(ctx);
	finish();
}
END_TEST

/* The byte where a wrong response differs must not show in the time: both comparisons go through str_eq_secret(), whose promise is tested
 * with it. Here: that neither takes a prefix for the whole. */
START_TEST(a_part_of_the_answer_is_not_the_answer)
{
	char text[1024];
	const char *full;
	char *at;

	boot();
	start();
	full = answer(fresh_nonce(), "bob", "pw", NULL);
	memcpy(text, full, strlen(full) + 1);
	at = strstr(text, "response=\"");
	ck_assert_ptr_nonnull(at);
	for (unsigned i = 0; i < 32; i++) {
		char c = at[10 + i];

		at[10 + i] = c == '0' ? '1' : '0';
		ck_assert_int_eq(try_www(text, "pw", 0), AUTH_WRONG_PASSWORD);
		at[10 + i] = c;
	}
	ck_assert_int_eq(try_www(text, "pw", 0), AUTH_OK);
	memcpy(at + 10, "\"", 2);
	ck_assert_int_eq(try_www(text, "pw", 0), AUTH_ERROR);
	finish();
}
END_TEST

/* ---- the cache of auth_db ---- */

static const struct cache_key bob = { .table = STR_LIT("subscriber"), .column = STR_LIT("ha1"), .user = STR_LIT("bob") };
static const struct cache_key no_one = { .table = STR_LIT("subscriber"), .column = STR_LIT("ha1"), .user = STR_LIT("no one") };

static struct cache_row row(const char *secret)
{
	struct cache_row r = { .found = secret != NULL, .n = secret ? 3 : 0 };

	r.val[0] = (struct db_val){ .type = DB_STR, .s = str_lit(secret) };
	r.val[1] = (struct db_val){ .type = DB_INT, .i = 42 };
	r.val[2] = (struct db_val){ .type = DB_NULL };
	return r;
}

static void want_secret(const struct cache_key *key, const char *secret, uint64_t now_s)
{
	struct cache_row r;

	ck_assert_int_eq(cache_find(key, now_s, &r), secret != NULL);
	if (secret) {
		ck_assert_uint_eq(r.n, 3);
		ck_assert(r.found && str_eq(r.val[0].s, str_lit(secret)) && r.val[1].i == 42 && r.val[2].type == DB_NULL);
	}
}

START_TEST(rows_are_kept_for_their_time)
{
	struct cache_row r = row("secret"), none = row(NULL), newer = row("newer"), got;
	struct cache_key with = bob, other = bob;
	uint32_t next = 0;

	boot();
	ck_assert_int_eq(cache_init(), 0);
	want_secret(&bob, NULL, 100);
	cache_put(&bob, &r, cache_generation(), 100, 60);
	want_secret(&bob, "secret", 159);
	want_secret(&bob, NULL, 160);
	with.domain = STR_LIT("example.com");
	other.load = true;
	want_secret(&with, NULL, 100);
	want_secret(&other, NULL, 100);
	cache_put(&bob, &newer, cache_generation(), 110, 60);
	want_secret(&bob, "newer", 165);
	ck_assert(cache_find(&bob, 120, &got));
	ck_assert_int_eq(got.age_s, 10);
	cache_put(&no_one, &none, cache_generation(), 100, 60);
	ck_assert(cache_find(&no_one, 101, &got));
	ck_assert(!got.found && got.n == 0);
	/* an answer from before a flush stays out */
	cache_put(&bob, &r, cache_generation() - 1, 120, 60);
	want_secret(&bob, "newer", 121);
	ck_assert_uint_eq(cache_flush(STR_LIT("bob")), 1);
	want_secret(&bob, NULL, 121);
	ck_assert(cache_find(&no_one, 101, &got));
	ck_assert_uint_eq(cache_flush(STR_NULL), 1);
	ck_assert_uint_eq(cache_count(), 0);
	cache_put(&bob, &r, cache_generation(), 100, 60);
	cache_sweep(&next, 1024, 159);
	ck_assert_uint_eq(cache_count(), 1);
	cache_sweep(&next, 1024, 160);
	ck_assert_uint_eq(cache_count(), 0);
	ck_assert_int_eq(cache_check(), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	finish();
}
END_TEST

static const char *const points[] = { "auth_db.cache.put", "hash.push.after", "hash.replace.stored", "hash.remove.retired" };

START_TEST(a_worker_dies_while_it_keeps_a_row)
{
#ifdef RF_CRASH_POINTS
	boot();
	ck_assert_int_eq(cache_init(), 0);
	for (unsigned nth = 1; nth <= 16; nth *= 4) {
		struct cache_row r = row("secret");
		int status = 0;
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			if (shm_slot_take(1, SHM_SLOT_TEST) < 0 || shm_crash_arm(points[_i], nth) < 0)
				_exit(4);
			for (unsigned i = 0; i < 300; i++) {
				char user[16];
				struct cache_key key = bob;
				int n = snprintf(user, sizeof(user), "u%u", i % 17);

				key.user = str_of(user, (size_t)n);
				cache_put(&key, &r, cache_generation(), 100, 60);
				if (i % 40 == 39)
					(void)cache_flush(STR_NULL);
			}
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s:%u: status %x", points[_i], nth, (unsigned)status);
		ck_assert_int_eq(shm_slot_mark_dead(1), 0);
		ck_assert_int_eq(shm_recover_slot(1), 0);
		ck_assert_int_eq(shm_check_all(NULL), 0);
		ck_assert_uint_eq(shm_arena_leaked(), 0);
		cache_put(&bob, &r, cache_generation(), 100, 60);
		want_secret(&bob, "secret", 101);
	}
	finish();
#else
	ck_assert_str_ne(points[_i], "");
#endif
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("auth");
	TCase *tc = tcase_create("digest");

	tcase_add_loop_test(tc, digest_vectors, 0, (int)ARRAY_LEN(vectors));
	tcase_add_test(tc, digest_refuses);
	suite_add_tcase(s, tc);
	tc = tcase_create("nonce");
	tcase_add_test(tc, nonce_is_good_for_its_realm_and_time);
	tcase_add_test(tc, nonce_cannot_be_forged);
	tcase_add_test(tc, nc_must_grow);
	tcase_add_test(tc, one_time_is_once);
	tcase_add_test(tc, nonce_is_bound_to_what_is_asked);
	suite_add_tcase(s, tc);
	tc = tcase_create("functions");
	tcase_add_test(tc, return_codes);
	tcase_add_test(tc, flag_32_keeps_the_count_for_the_right_one);
	tcase_add_test(tc, challenges);
	tcase_add_test(tc, a_part_of_the_answer_is_not_the_answer);
	suite_add_tcase(s, tc);
	tc = tcase_create("cache");
	tcase_add_test(tc, rows_are_kept_for_their_time);
	tcase_add_loop_test(tc, a_worker_dies_while_it_keeps_a_row, 0, (int)ARRAY_LEN(points));
	suite_add_tcase(s, tc);
	return s;
}
