/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

/* clang-format off */
static const struct uri_vector {
	const char *in; int err; int scheme; const char *user, *password, *host; unsigned port; const char *params, *headers;
} uris[] = {
	{ "sip:alice@example.com", 0, SIP_URI_SIP, "alice", "", "example.com", 0, "", "" },
	{ "SIP:alice@example.com", 0, SIP_URI_SIP, "alice", "", "example.com", 0, "", "" },
	{ "sips:alice:pw@example.com:5081;transport=tcp?Subject=x&a=b", 0, SIP_URI_SIPS, "alice", "pw", "example.com", 5081, "transport=tcp", "Subject=x&a=b" },
	{ "sip:example.com", 0, SIP_URI_SIP, "", "", "example.com", 0, "", "" },
	{ "sip:example.com?a=b", 0, SIP_URI_SIP, "", "", "example.com", 0, "", "a=b" },
	{ "sip:[2001:db8::1]:5070", 0, SIP_URI_SIP, "", "", "2001:db8::1", 5070, "", "" },
	{ "sip:[2001:db8::10:5070]", 0, SIP_URI_SIP, "", "", "2001:db8::10:5070", 0, "", "" },
	{ "sip:user@[::ffff:192.0.2.2]", 0, SIP_URI_SIP, "user", "", "::ffff:192.0.2.2", 0, "", "" },
	{ "sip:user@[2001:db8::192.0.2.1];lr", 0, SIP_URI_SIP, "user", "", "2001:db8::192.0.2.1", 0, "lr", "" },
	{ "sip:user;par=u%40example.net@example.com", 0, SIP_URI_SIP, "user;par=u%40example.net", "", "example.com", 0, "", "" },
	{ "sip:sips%3Auser%40example.com@example.net", 0, SIP_URI_SIP, "sips%3Auser%40example.com", "", "example.net", 0, "", "" },
	{ "sip:null-%00-null@example.com", 0, SIP_URI_SIP, "null-%00-null", "", "example.com", 0, "", "" },
	{ "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com", 0, SIP_URI_SIP,
	  "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)", "example.com", 0, "", "" },
	{ "sip:*21#@example.com", 0, SIP_URI_SIP, "*21#", "", "example.com", 0, "", "" },
	{ "sip:j\xc3\xbcrg@example.com", 0, SIP_URI_SIP, "j\xc3\xbcrg", "", "example.com", 0, "", "" },
	{ "sip:+1234@gw_1.example.com:5060;user=phone;", 0, SIP_URI_SIP, "+1234", "", "gw_1.example.com", 5060, "user=phone;", "" },
	{ "sip:+12;ext=3@example.com;user=phone", 0, SIP_URI_SIP, "+12", "", "example.com", 0, "user=phone", "" },
	{ "sip:+12;ext=3@example.com;user=ip", 0, SIP_URI_SIP, "+12;ext=3", "", "example.com", 0, "user=ip", "" },
	{ "sip:a:@example.com", 0, SIP_URI_SIP, "a", "", "example.com", 0, "", "" },
	{ "tel:+1-201-555-0123;phone-context=x", 0, SIP_URI_TEL, "+1-201-555-0123", "", "", 0, "phone-context=x", "" },
	{ "urn:service:sos", 0, SIP_URI_URN, "", "", "service:sos", 0, "", "" },
	{ "nobodyKnowsThisScheme:totallyopaquecontent", 0, SIP_URI_OTHER, "", "", "totallyopaquecontent", 0, "", "" },
	{ "soap.beep://192.0.2.103:3002", 0, SIP_URI_OTHER, "", "", "//192.0.2.103:3002", 0, "", "" },
	{ "http://www.example.com", 0, SIP_URI_OTHER, "", "", "//www.example.com", 0, "", "" },
	{ "sip:a@example.com:65535", 0, SIP_URI_SIP, "a", "", "example.com", 65535, "", "" },
	{ "", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ ":a", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "x:", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "tel:", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "tel:;a=b", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "example.com", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:alice@", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:@example.com", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip::pw@example.com", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@b@c", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@example.com:65536", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@example.com:99999999999999999999", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@example.com:", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@example.com:5x", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@example.com:-5", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:2001:db8::10", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:user@[2001:db8:::192.0.2.1]", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:[2001:db8::1", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:[]", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:[2001:db8::1]x", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@example.com; lr", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a b@example.com", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "<sip:a@example.com>", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@exam\"ple.com", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "sip:a@example.com;=x", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
	{ "1sip:a@example.com", -EBADMSG, 0, 0, 0, 0, 0, 0, 0 },
};

static const struct { const char *a, *b; bool same; } pairs[] = { /* RFC 3261, 19.1.4 */
	{ "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true },
	{ "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true },
	{ "sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true },
	{ "sip:carol@chicago.com;security=off", "sip:carol@chicago.com;newparam=5", true },
	{ "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true },
	{ "sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true },
	{ "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false },
	{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false },
	{ "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false },
	{ "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false },
	{ "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false },
	{ "sip:a@x", "sips:a@x", false },
	{ "sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]", true },
	{ "sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]", false },
	{ "sip:a%3Bb@x", "sip:a;b@x", false },
	{ "sip:null-%00-null@x", "sip:null-%00-null@x", true },
	{ "sip:%00@x", "sip:%00%00@x", false },
	{ "sip:a@x;lr", "sip:a@x;lr", true },
	{ "tel:+1-201-555-0123", "tel:+12015550123", true },
	{ "tel:+12015550123;ext=1", "tel:+12015550123", false },
	{ "sip:a@x;user=1;user=2", "sip:a@x;user=1;user=2", true },
	{ "urn:service:sos", "URN:service:sos", true },
	{ "urn:service:sos", "urn:service:sos.fire", false },
};
/* clang-format on */

START_TEST(uri_vectors)
{
	const struct uri_vector *v = &uris[_i];
	struct str in = exact(v->in);
	struct sip_uri u;
	struct diag diag = { .pos = 4711 };
	int err = sip_uri_parse(in, &u, &diag);

	ck_assert_msg(err == v->err, "'%s': %d instead of %d (%s)", v->in, err, v->err, diag.text);
	if (err == 0) {
		ck_assert_int_eq((int)u.scheme, v->scheme);
		ck_str(u.user, v->user);
		ck_str(u.password, v->password);
		ck_str(u.host, v->host);
		ck_assert_uint_eq(u.port, v->port);
		ck_str(u.params, v->params);
		ck_str(u.headers, v->headers);
		ck_str(u.text, v->in);
		ck_assert_int_eq(u.has_user, u.user.n > 0);
	} else {
		ck_assert_uint_le(diag.pos, in.n);
	}
	exact_free(in);
}
END_TEST

START_TEST(uri_every_prefix)
{
	size_t n = strlen(uris[_i].in);

	for (size_t i = 0; i <= n; i++) {
		struct str in = exact_n(uris[_i].in, i);
		struct sip_uri u;

		if (sip_uri_parse(in, &u, NULL) == 0)
			ck_assert(sip_uri_equal(&u, &u));
		exact_free(in);
	}
}
END_TEST

START_TEST(uri_equal)
{
	struct sip_uri a, b;

	ck_assert_int_eq(sip_uri_parse(str_lit(pairs[_i].a), &a, NULL), 0);
	ck_assert_int_eq(sip_uri_parse(str_lit(pairs[_i].b), &b, NULL), 0);
	ck_assert_msg(sip_uri_equal(&a, &b) == pairs[_i].same, "%s %s", pairs[_i].a, pairs[_i].b);
	ck_assert_msg(sip_uri_equal(&b, &a) == pairs[_i].same, "%s %s", pairs[_i].b, pairs[_i].a);
}
END_TEST

/* Two lists of thousands of parameters are not compared one by one: that would take seconds. */
START_TEST(uri_equal_is_bounded)
{
	struct str a, b;
	struct sip_uri x, y;
	char *p;

	p = malloc(60000);
	ck_assert_ptr_nonnull(p);
	memset(p, ';', 60000);
	memcpy(p, "sip:a@x", 7);
	for (size_t i = 8; i < 60000; i += 2)
		p[i] = 'a';
	a = exact_n(p, 60000);
	for (size_t i = 8; i < 60000; i += 2)
		p[i] = 'b';
	b = exact_n(p, 60000);
	free(p);
	ck_assert_int_eq(sip_uri_parse(a, &x, NULL), 0);
	ck_assert_int_eq(sip_uri_parse(b, &y, NULL), 0);
	ck_assert(!sip_uri_equal(&x, &y));
	ck_assert(sip_uri_equal(&x, &x));
	exact_free(a);
	exact_free(b);
}
END_TEST

START_TEST(uri_details)
{
	struct sip_uri u;

	ck_assert_int_eq(sip_uri_parse(STR_LIT("sip:a@192.0.2.1;transport=TLS;lr"), &u, NULL), 0);
	ck_assert(sip_is_ipv4(u.host) && !u.host_v6 && u.has_lr && u.has_transport && u.has_user);
	ck_assert_int_eq((int)u.proto, SIP_PROTO_TLS);
	ck_str(u.transport, "TLS");
	ck_assert_uint_eq(sip_uri_port(&u), 5061);
	ck_assert_int_eq(sip_uri_parse(STR_LIT("sip:300.0.2.1;transport=carrier-pigeon"), &u, NULL),
	                 0);
	ck_assert(!sip_is_ipv4(u.host) && !u.has_lr && u.has_transport);
	ck_assert_int_eq((int)u.proto, SIP_PROTO_NONE);
	ck_assert_uint_eq(sip_uri_port(&u), 5060);
	ck_assert_int_eq(sip_uri_parse(STR_LIT("SipS:a@x;LR;TransPORT=wS;USer=PhonE"), &u, NULL), 0);
	ck_assert(u.scheme == SIP_URI_SIPS && u.has_lr && u.proto == SIP_PROTO_WS);
	ck_assert_int_eq(sip_uri_parse(STR_LIT("sip:a@x;lq;ls;transporu=ws;uransport=ws"), &u, NULL), 0);
	ck_assert(u.scheme == SIP_URI_SIP && !u.has_lr && !u.has_transport);
	ck_assert_int_eq(sip_uri_parse(STR_LIT("sit:a@x"), &u, NULL), 0);
	ck_assert(u.scheme == SIP_URI_OTHER);
	ck_assert_int_eq(sip_uri_parse(STR_LIT("sips:a@[::1]:7;x=lr"), &u, NULL), 0);
	ck_assert(u.host_v6 && !u.has_lr);
	ck_assert_uint_eq(sip_uri_port(&u), 7);
	ck_assert_uint_eq(sip_uri_default_port(&u), 5061);
	for (int p = SIP_PROTO_UDP; p <= SIP_PROTO_WSS; p++) {
		ck_assert_int_eq((int)sip_proto_lookup(str_lit(sip_proto_name((enum sip_proto)p))),
		                 p);
		ck_assert_int_eq(
		    (int)sip_proto_lookup(str_lit(sip_proto_via_name((enum sip_proto)p))), p);
	}
	ck_assert_str_eq(sip_proto_name(SIP_PROTO_NONE), "");
}
END_TEST

START_TEST(unescape)
{
	char out[16];

	ck_assert_int_eq(sip_unescape(STR_LIT("a%20b%00"), out), 4);
	ck_assert_int_eq(memcmp(out, "a b\0", 4), 0);
	ck_assert_int_eq(sip_unescape(STR_LIT("%4"), out), -EBADMSG);
	ck_assert_int_eq(sip_unescape(STR_LIT("%"), out), -EBADMSG);
	ck_assert_int_eq(sip_unescape(STR_LIT("%zz"), out), -EBADMSG);
	ck_assert_int_eq(sip_unescape(STR_NULL, out), 0);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("uri");

	tcase_add_loop_test(t, uri_vectors, 0, ARRAY_LEN(uris));
	tcase_add_loop_test(t, uri_every_prefix, 0, ARRAY_LEN(uris));
	tcase_add_loop_test(t, uri_equal, 0, ARRAY_LEN(pairs));
	tcase_add_test(t, uri_equal_is_bounded);
	tcase_add_test(t, uri_details);
	tcase_add_test(t, unescape);
	return suite_of("sip/uri", t);
}
