/* SPDX-License-Identifier: BSD-2-Clause */
/* Modules siputils and sanity: (message, call -> code), and what the calls leave behind. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/modules/mod_test.h"

extern const struct module module_siputils, module_sanity, module_pv;

#define VIA "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"
#define REST "From: <sip:alice@a>;tag=1\r\nTo: <sip:bob@b>\r\nCall-ID: x\r\nMax-Forwards: 70\r\n"

static const char invite[] = "INVITE sip:+4912345@example.com;user=phone;p;gr=x SIP/2.0\r\n" VIA REST
	"CSeq: 1 INVITE\r\nSupported: path, 100rel\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\n"
	"Contact: <sip:al:pw@10.0.0.9:5070;transport=tcp;x=1>\r\n\r\n";
static const char hidden[] = "INVITE sip:9.9.9.9;at=c2lwOmFsOnB3QDEwLjAuMC45OjUwNzA7dHJhbnNwb3J0PXRjcDt4PTE SIP/2.0\r\n" VIA REST
	"CSeq: 1 INVITE\r\nContact: <sip:9.9.9.9;at=c2lwOmFsOnB3QDEwLjAuMC45OjUwNzA7dHJhbnNwb3J0PXRjcDt4PTE>\r\n\r\n";
/* "sip:a@b" CRLF "X: y", and the alphabet's end */
static const char evil[] = "INVITE sip:9.9.9.9;at=c2lwOmFAYg0KWDogeQ;no=%%% SIP/2.0\r\n" VIA REST
	"CSeq: 1 INVITE\r\nContact: <sip:9.9.9.9;at=c2lwOmFAYg0KWDogeQ>\r\n\r\n";
static const char dialog[] = "BYE sip:bob@b SIP/2.0\r\n" VIA VIA "From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: x\r\nCSeq: 2 BYE\r\n\r\n";
static const char reply[] = "SIP/2.0 200 OK\r\n" VIA REST "CSeq: 1 INVITE\r\n\r\n";

/* clang-format off */
static const struct code { const char *m, *fn, *a[6]; int rc; } codes[] = {
	{ invite, "is_request", { NULL }, 1 }, { reply, "is_request", { NULL }, -1 }, { reply, "is_reply", { NULL }, 1 }, { invite, "is_reply", { NULL }, -1 },
	{ invite, "is_sip", { NULL }, 1 }, { invite, "is_http", { NULL }, -1 },
	{ invite, "has_totag", { NULL }, -1 }, { dialog, "has_totag", { NULL }, 1 },
	{ invite, "is_first_hop", { NULL }, 1 }, { dialog, "is_first_hop", { NULL }, -1 },
	{ invite, "uri_param", { "p" }, 1 }, { invite, "uri_param", { "user" }, -1 }, { invite, "uri_param", { "user", "phone" }, 1 },
	{ invite, "uri_param_any", { "user" }, 1 }, { invite, "uri_param_any", { "none" }, -1 },
	{ invite, "is_gruu", { NULL }, 1 }, { dialog, "is_gruu", { NULL }, -1 }, { invite, "is_gruu", { "sip:a@b;gr" }, 2 },
	{ invite, "is_supported", { "path" }, 1 }, { invite, "is_supported", { "timer" }, -1 },
	{ invite, "is_uri", { "sip:a@b" }, 1 }, { invite, "is_uri", { "nonsense" }, -1 },
	{ invite, "is_uri_user_e164", { "$ru" }, 1 }, { dialog, "is_uri_user_e164", { "$ru" }, -1 }, { invite, "is_e164", { "$rU" }, 1 },
	{ invite, "is_tel_number", { "+123" }, 1 }, { invite, "is_tel_number", { "+12a" }, -2 }, { invite, "is_numeric", { "123" }, 1 },
	{ invite, "is_numeric", { "" }, -2 }, { invite, "is_alphanum", { "a1" }, 1 }, { invite, "is_alphanum", { "a-1" }, -3 },
	{ invite, "is_alphanumex", { "a-1", "-." }, 1 },
	{ invite, "cmp_uri", { "sip:a@b;x=1", "sip:a@B;x=1" }, 1 }, { invite, "cmp_aor", { "sip:a@b;x=1", "sip:a@b:5060" }, 1 },
	{ invite, "cmp_aor", { "sip:a@b", "sip:c@b" }, -1 }, { invite, "cmp_hdr_name", { "v", "Via" }, 1 },
	{ evil, "contact_param_decode", { "at" }, -1 }, { evil, "contact_param_decode_ruri", { "at" }, -1 }, { evil, "contact_param_decode_ruri", { "no" }, -1 },
	{ invite, "contact_param_encode", { "at", "9.9.9.9" }, -1 }, { invite, "contact_param_decode", { "none" }, 1 }, { invite, "contact_param_rm", { "none" }, 1 },
	{ invite, "tel2sip", { "sip:a@b", "h", "$var(x)" }, 2 }, { invite, "sip_parse_headers", { NULL }, 1 },
	{ invite, "hdr_date_check", { "10" }, -1 }, { invite, "contact_param_check", { "x" }, 1 }, { invite, "contact_param_check", { "y" }, -1 },
	{ invite, "options_reply", { NULL }, -1 },
};

static const struct change { const char *m, *fn, *a[6], *fmt, *want, *has; } changes[] = {
	{ invite, "tel2sip", { "tel:+1-234.5", "h.org", "$var(x)" }, "$var(x)", "sip:+12345@h.org;user=phone", NULL },
	{ invite, "get_uri_param", { "user", "$var(x)" }, "$var(x)", "phone", NULL },
	{ invite, "add_uri_param", { "n=v" }, "$ru", "sip:+4912345@example.com;user=phone;p;gr=x;n=v", NULL },
	{ invite, "uri_param_rm", { "user" }, "$ru", "sip:+4912345@example.com;p;gr=x", NULL },
	{ invite, "set_uri_user", { "$ru", "bob" }, "$ru", "sip:bob@example.com;user=phone;p;gr=x", NULL },
	{ invite, "set_uri_host", { "$ru", "h" }, "$ru", "sip:+4912345@h;user=phone;p;gr=x", NULL },
	{ invite, "encode_contact", { "pre", "1.2.3.4" }, "", "", "<sip:pre*al*pw*10.0.0.9*5070*tcp@1.2.3.4>" },
	{ invite, "contact_param_encode_alias", { "alias", "udp:9.9.9.9:5099" }, "", "", "<sip:al:pw@10.0.0.9:5070;transport=tcp;x=1;alias=9.9.9.9~5099~1>" },
	{ invite, "contact_param_encode", { "at", "sip:9.9.9.9" }, "", "", "<sip:9.9.9.9;at=c2lwOmFsOnB3QDEwLjAuMC45OjUwNzA7dHJhbnNwb3J0PXRjcDt4PTE>" },
	{ hidden, "contact_param_decode", { "at" }, "", "", "<sip:al:pw@10.0.0.9:5070;transport=tcp;x=1>" },
	{ hidden, "contact_param_decode_ruri", { "at" }, "$ru", "sip:al:pw@10.0.0.9:5070;transport=tcp;x=1", NULL },
	{ invite, "contact_param_decode_ruri", { "none" }, "$ru", "sip:+4912345@example.com;user=phone;p;gr=x", NULL },
	{ invite, "contact_param_rm", { "x" }, "", "", "<sip:al:pw@10.0.0.9:5070;transport=tcp>" },
};

static const struct insane { const char *start, *extra, *checks; int rc; } insane[] = {
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE", "17895", 1 },
	{ "INVITE isbn:123 SIP/2.0", "CSeq: 1 INVITE", "2", 0 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 ACK", "32", 0 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE\r\nExpires: soon", "256", 0 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE\r\nExpires: 99999999999", "256", 0 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE\r\nExpires: 60", "256", 1 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE\r\nProxy-Require: foo", "512", 0 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE\r\nAuthorization: Digest username=\"\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"", "2048", 0 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE\r\nAuthorization: NoOneKnows data=1", "2048", 1 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE", "0", -1 },
	{ "INVITE sip:a@b SIP/2.0", "CSeq: 1 INVITE", "131072", -1 },
	{ "METHODMETHODMETHODMETHODMETHODMETHOD sip:a@b SIP/2.0", "CSeq: 1 X", "65536", 0 },
};
/* clang-format on */

static void once(void)
{
	mod_once(&module_pv);
	shm_arena_destroy();
	mod_once(&module_siputils);
	shm_arena_destroy();
	mod_once(&module_sanity);
}

START_TEST(results)
{
	ctx_of(codes[_i].m);
	ck_assert_msg(call(&module_siputils, codes[_i].fn, codes[_i].a) == codes[_i].rc, "%s(%s, %s)", codes[_i].fn, codes[_i].a[0], codes[_i].a[1]);
}
END_TEST

START_TEST(effects)
{
	const struct change *c = &changes[_i];

	ctx_of(c->m);
	ck_assert_msg(call(&module_siputils, c->fn, c->a) == 1, "%s", c->fn);
	ck_assert_msg(str_eq(eval(c->fmt), str_lit(c->want)), "%s: %.*s", c->fn, STR_FMT(eval(c->fmt)));
	if (c->has)
		ck_assert_msg(str_find(built(), str_lit(c->has)) >= 0, "%s: %.*s", c->fn, STR_FMT(built()));
}
END_TEST

/* What encode_contact() hides in the user part comes back. */
START_TEST(contact_comes_back)
{
	ctx_of("BYE sip:pre*al*pw*10.0.0.9*5070*tcp@1.2.3.4 SIP/2.0\r\n" VIA REST "CSeq: 2 BYE\r\n\r\n");
	ck_assert_int_eq(call(&module_siputils, "decode_contact", (const char *const[6]){ NULL }), 1);
	ck_assert(str_eq(ctx_ruri(ctx), STR_LIT("sip:al:pw@10.0.0.9:5070;transport=tcp")));
	ck_assert_int_eq(call(&module_siputils, "decode_contact", (const char *const[6]){ NULL }), -1);
}
END_TEST

/* No reply is sent (CTX_F_NO_REPLY): there is no socket here. */
START_TEST(sanity)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s\r\n" VIA REST "%s\r\n\r\n", insane[_i].start, insane[_i].extra);
	ctx_of(text);
	ctx->mflags |= CTX_F_NO_REPLY;
	ck_assert_msg(call(&module_sanity, "sanity_check", (const char *const[6]){ insane[_i].checks, "7" }) == insane[_i].rc, "%s", text);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("modules siputils and sanity");
	TCase *tc = tcase_create("siputils");

	tcase_add_unchecked_fixture(tc, once, NULL);
	tcase_add_checked_fixture(tc, mod_slot, mod_done);
	tcase_add_loop_test(tc, results, 0, (int)ARRAY_LEN(codes));
	tcase_add_loop_test(tc, effects, 0, (int)ARRAY_LEN(changes));
	tcase_add_test(tc, contact_comes_back);
	tcase_add_loop_test(tc, sanity, 0, (int)ARRAY_LEN(insane));
	suite_add_tcase(s, tc);
	return s;
}
