/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

START_TEST(digest)
{
	struct str in = exact("Digest username=\"bob@biloxi.com\",\r\n realm=\"biloxi.com\" , "
	                      "nonce=\"dcd98b71,\",uri=\"sip:bob@biloxi.com\","
	                      "qop=auth, nc=00000001, cnonce=\"0a4f113b\", "
	                      "response=\"6629fae49393a05397450978507c4ef1\","
	                      "opaque=\"\",algorithm=SHA-256,auth-param=\"x\"");
	struct sip_credentials c;

	ck_assert_int_eq(sip_credentials_parse(in, &c, NULL), 0);
	ck_assert(c.is_digest);
	ck_str(c.scheme, "Digest");
	ck_str(c.username, "bob@biloxi.com");
	ck_str(c.user, "bob");
	ck_str(c.domain, "biloxi.com");
	ck_str(c.realm, "biloxi.com");
	ck_str(c.nonce, "dcd98b71,");
	ck_str(c.uri, "sip:bob@biloxi.com");
	ck_str(c.qop, "auth");
	ck_str(c.nc, "00000001");
	ck_str(c.cnonce, "0a4f113b");
	ck_str(c.response, "6629fae49393a05397450978507c4ef1");
	ck_str(c.opaque, "");
	ck_str(c.algorithm, "SHA-256");
	exact_free(in);
}
END_TEST

/* clang-format off */
static const struct { const char *in; int err; bool is_digest; const char *user, *realm; } vectors[] = {
	{ "digest username=\"a\"", 0, true, "a", "" },
	{ "Digest username=a,realm=b,", 0, true, "a", "b" },
	{ "Digest username=\"a\\\"b\"", 0, true, "a\\\"b", "" },
	{ "Digest", 0, true, "", "" },
	{ "NoOneKnowsThisScheme opaque-data=here", 0, false, "", "" },
	{ "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 0, false, "", "" },
	{ "", -EBADMSG, false, 0, 0 },
	{ "Digest,username=\"a\"", -EBADMSG, false, 0, 0 },
	{ "Digest username", -EBADMSG, false, 0, 0 },
	{ "Digest username=\"a", -EBADMSG, false, 0, 0 },
	{ "Digest username=\"a\" realm=\"b\"", -EBADMSG, false, 0, 0 },
	{ "Digest username=\"a\",username=\"b\"", -EBADMSG, false, 0, 0 },
	{ "Digest =\"a\"", -EBADMSG, false, 0, 0 },
};
/* clang-format on */

START_TEST(credentials_vectors)
{
	struct str in = exact(vectors[_i].in);
	struct sip_credentials c;
	struct diag diag = { 0 };
	int err = sip_credentials_parse(in, &c, &diag);

	ck_assert_msg(err == vectors[_i].err, "%s: %d", vectors[_i].in, err);
	ck_assert_uint_le(diag.pos, in.n);
	if (err == 0) {
		ck_assert_int_eq(c.is_digest, vectors[_i].is_digest);
		ck_str(c.user, vectors[_i].user);
		ck_str(c.realm, vectors[_i].realm);
	}
	exact_free(in);
	for (size_t i = 0; i < strlen(vectors[_i].in); i++) {
		in = exact_n(vectors[_i].in, i);
		(void)!sip_credentials_parse(in, &c, NULL);
		exact_free(in);
	}
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("auth");

	tcase_add_test(t, digest);
	tcase_add_loop_test(t, credentials_vectors, 0, ARRAY_LEN(vectors));
	return suite_of("sip/auth", t);
}
