/* SPDX-License-Identifier: BSD-2-Clause */
/* Module textops: (message, call -> code) and (message, call -> message as it is sent on). */
#include <string.h>

#include "tests/unit/modules/mod_test.h"

extern const struct module module_textops, module_pv;

#define HEAD                                                                                                            \
	"INVITE sip:bob@example.com SIP/2.0\r\n"                                                                        \
	"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;foo=bar\r\n"                                                         \
	"From: <sip:alice@a>;tag=1\r\n"                                                                                 \
	"To: <sip:bob@b>\r\n"                                                                                           \
	"Call-ID: x\r\n"                                                                                                \
	"CSeq: 1 INVITE\r\n"
#define SDP "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"

static const char msg[] = HEAD "X-A: one\r\nx-a: two\r\nP-B: b\r\nk: path\r\nPrivacy: id;critical\r\nc: application/sdp\r\nl: 60\r\n\r\n" SDP;
static const char plain[] = HEAD "\r\n";
static const char multi[] = HEAD "Content-Type: multipart/mixed;boundary=\"bb\"\r\nContent-Length: 116\r\n\r\n"
	"--bb\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--bb\r\nContent-Type: application/x\r\nX-Y: z\r\n\r\n<x/>\r\n--bb--\r\n0123456789";

/* clang-format off */
static const struct code { const char *m, *fn, *a[6]; int rc; } codes[] = {
	{ msg, "is_method", { "INVITE" }, 1 }, { msg, "is_method", { "ACK|INVITE" }, 1 }, { msg, "is_method", { "ACK|BYE" }, -1 },
	{ msg, "is_method", { "foo" }, -1 },
	{ msg, "search", { "P-B: *b" }, 1 }, { msg, "search", { "nothing" }, -1 }, { msg, "search", { "^x-A: ONE" }, 1 },
	{ msg, "search_body", { "^m=audio" }, 1 }, { plain, "search_body", { "." }, -1 },
	{ msg, "search_hf", { "X-A", "two", "a" }, 1 }, { msg, "search_hf", { "X-A", "two", "f" }, -1 }, { msg, "search_hf", { "X-A", "two", "l" }, 1 },
	{ msg, "search_str", { "abc", "B" }, 1 },
	{ msg, "is_present_hf", { "Supported" }, 1 }, { msg, "is_present_hf", { "p-b" }, 1 }, { msg, "is_present_hf", { "Nope" }, -1 },
	{ msg, "is_present_hf_re", { "^P-" }, 1 }, { msg, "is_present_hf_pv", { "X-A" }, 1 }, { msg, "is_present_hf_re_pv", { "^Q-" }, -1 },
	{ msg, "remove_hf", { "Nope" }, -1 },
	{ msg, "has_body", { NULL }, 1 }, { plain, "has_body", { NULL }, -1 }, { msg, "has_body", { "application/sdp" }, 1 },
	{ msg, "has_body", { "text/plain" }, -1 },
	{ msg, "is_privacy", { "id" }, 1 }, { msg, "is_privacy", { "none" }, -1 },
	{ msg, "is_audio_on_hold", { NULL }, 2 }, { plain, "is_audio_on_hold", { NULL }, -1 },
	{ msg, "in_list", { "b", "a, b ,c", "," }, 1 }, { msg, "in_list", { "d", "a,b", "," }, -1 }, { msg, "in_list_prefix", { "bcd", "a,b", "," }, 1 },
	{ msg, "cmp_str", { "a", "a" }, 1 }, { msg, "cmp_str", { "a", "A" }, -1 }, { msg, "cmp_istr", { "a", "A" }, 1 },
	{ msg, "starts_with", { "abc", "ab" }, 1 }, { msg, "starts_with", { "abc", "b" }, -1 }, { msg, "ends_with", { "abc", "bc" }, 1 },
	{ msg, "str_find", { "abc", "b" }, 2 }, { msg, "str_ifind", { "abc", "B" }, 2 }, { msg, "str_any_in", { "xa", "abc" }, 1 },
	{ msg, "str_all_in", { "xa", "abc" }, -1 },
	{ msg, "filter_body", { "application/sdp" }, -1 }, { msg, "filter_body", { "a/b" }, -1 },
	{ multi, "filter_body", { "a/b" }, -1 }, { multi, "remove_body_part", { "a/b" }, -1 },
};

/* `has` is in the message built afterwards, `gone` is not. */
static const struct change { const char *m, *fn, *a[6], *has, *gone; } changes[] = {
	{ msg, "append_hf", { "X-New: 1\r\n" }, "\r\nl: 60\r\nX-New: 1\r\n\r\n", "zzz" },
	{ msg, "append_hf", { "X-New: 1" }, "X-New: 1\r\n\r\n", "zzz" },
	{ msg, "append_hf", { "X-New: 1\r\n", "Call-ID" }, "Call-ID: x\r\nX-New: 1\r\nCSeq", "zzz" },
	{ msg, "insert_hf", { "X-New: 1\r\n" }, "SIP/2.0\r\nX-New: 1\r\nVia", "zzz" },
	{ msg, "insert_hf", { "X-New: 1\r\n", "To" }, "tag=1\r\nX-New: 1\r\nTo:", "zzz" },
	{ msg, "remove_hf", { "X-A" }, "P-B", "one" },
	{ msg, "remove_hf", { "Supported" }, "P-B", "path" },
	{ msg, "remove_hf_re", { "^(X-|P-)" }, "Call-ID", "P-B" },
	{ msg, "remove_hf_exp", { "^[XP]-", "B$" }, "P-B: b", "X-A" },
	{ msg, "remove_hf_exp_pv", { "^[XP]-", "B$" }, "P-B: b", "x-a" },
	{ msg, "remove_hf_idx", { "X-A", "-1" }, "X-A: one", "two" },
	{ msg, "remove_hf_match", { "X-A", "eq", "one" }, "x-a: two", "one" },
	{ msg, "remove_hf_match", { "X-A", "re", "^t" }, "X-A: one", "two" },
	{ msg, "replace", { "one|two", "N" }, "X-A: N\r\nx-a: two", "one" },
	{ msg, "replace_all", { "one|two", "N" }, "X-A: N\r\nx-a: N\r\n", "one" },
	{ msg, "replace_body", { "10.0.0.1", "1.1.1.1" }, "l: 59", "IP4 10.0.0.1" },
	{ msg, "replace_body_all", { "=", ":" }, "a:sendonly", "v=0" },
	{ msg, "replace_body_atonce", { "v=0.*\r\na=", "x=" }, "\r\n\r\nx=sendonly", "v=0" },
	{ msg, "replace_hdrs", { "two", "2" }, "x-a: 2", "two" },
	{ msg, "replace_str", { "two", "2", "a" }, "x-a: 2", "two" },
	{ msg, "replace_body_str", { "audio", "video", "f" }, "m=video", "m=audio" },
	{ msg, "search_append", { "X-A: one", "!" }, "X-A: one!\r\n", "zzz" },
	{ msg, "search_append_body", { "v=0", "1" }, "v=01\r\n", "zzz" },
	{ msg, "subst", { "/(X-A): one/\\1: \\1 $rU/" }, "X-A: X-A bob\r\n", "one" },
	{ msg, "subst_body", { "/sendonly/sendrecv/g" }, "sendrecv", "sendonly" },
	{ msg, "subst_hf", { "X-A", "/[a-z]+/N/", "a" }, "X-A: N\r\nx-a: N\r\n", "two" },
	{ msg, "subst_uri", { "/bob/carol/" }, "INVITE sip:carol@example.com", "sip:bob@example" },
	{ msg, "subst_user", { "/^b/c/" }, "INVITE sip:cob@example.com", "sip:bob@example" },
	{ msg, "via_param_rm", { "foo", "0" }, "z9hG4bKa\r\n", "foo" },
	{ msg, "set_body", { "hello", "text/plain" }, "c: text/plain\r\nl: 5\r\n\r\nhello", "v=0" },
	{ plain, "set_body", { "hello", "text/plain" }, "Content-Type: text/plain\r\n", "zzz" },
	{ msg, "set_body_hex", { "68 69", "text/plain" }, "\r\n\r\nhi", "v=0" },
	{ msg, "set_body_multipart", { NULL }, "--unique-boundary-1\r\nContent-Type: application/sdp\r\n\r\nv=0", "c: application/sdp" },
	{ msg, "set_body_multipart", { "t", "text/plain", "B" }, "--B\r\nContent-Type: text/plain\r\n\r\nt\r\n--B--\r\n", "v=0" },
	{ multi, "filter_body", { "application/x" }, "--bb\r\nContent-Type: application/x\r\nX-Y: z\r\n\r\n<x/>\r\n--bb--\r\n", "v=0" },
	{ multi, "remove_body_part", { "application/x" }, "v=0\r\n--bb--\r\n", "<x/>" },
	{ multi, "append_body_part", { "pp", "text/plain", "d" }, "Content-Disposition: d\r\n\r\npp\r\n--bb--\r\n", "zzz" },
	{ plain, "append_time_to_request", { NULL }, "\r\nDate: ", "zzz" },
};
/* clang-format on */

static void once(void)
{
	mod_once(&module_pv);
	shm_arena_destroy();
	mod_once(&module_textops);
}

START_TEST(results)
{
	ctx_of(codes[_i].m);
	ck_assert_msg(call(&module_textops, codes[_i].fn, codes[_i].a) == codes[_i].rc, "%s(%s, %s)", codes[_i].fn, codes[_i].a[0], codes[_i].a[1]);
}
END_TEST

START_TEST(edits)
{
	const struct change *c = &changes[_i];
	struct str out;

	ctx_of(c->m);
	ck_assert_msg(call(&module_textops, c->fn, c->a) == 1, "%s(%s)", c->fn, c->a[0]);
	out = built();
	ck_assert_msg(str_find(out, str_lit(c->has)) >= 0, "%s(%s): no '%s' in\n%.*s", c->fn, c->a[0], c->has, STR_FMT(out));
	ck_assert_msg(str_find(out, str_lit(c->gone)) < 0, "%s(%s): '%s' is still in\n%.*s", c->fn, c->a[0], c->gone, STR_FMT(out));
}
END_TEST

START_TEST(variables)
{
	ctx_of(multi);
	ck_assert_int_eq(call(&module_textops, "get_body_part", (const char *const[6]){ "application/x", "$var(p)" }), 1);
	ck_assert(str_eq(eval("$var(p)"), STR_LIT("<x/>")));
	ck_assert_int_eq(call(&module_textops, "get_body_part_raw", (const char *const[6]){ "application/sdp", "$var(p)" }), 1);
	ck_assert(str_eq(eval("$var(p)"), STR_LIT("Content-Type: application/sdp\r\n\r\nv=0")));
	ck_assert_int_eq(call(&module_textops, "subst_v", (const char *const[6]){ "abc", "/b/$rU/", "$var(p)" }), 1);
	ck_assert(str_eq(eval("$var(p)"), STR_LIT("abobc")));
	ck_assert_int_eq(call(&module_textops, "regex_substring", (const char *const[6]){ "key=val", "([a-z]+)=([a-z]+)", "2", "3", "$var(p)" }), 1);
	ck_assert(str_eq(eval("$var(p)"), STR_LIT("val")));
	ck_assert(str_eq(eval("$(rU{re.subst,/b/X/g})|$(rU{re.subst,/z/X/})|$(rU{re.subst,/^(.)(.*)$$/\\2\\1/})"), STR_LIT("XoX|bob|obb")));
}
END_TEST

/* Two calls that add up: the second sees the first one's body. */
START_TEST(multipart_grows)
{
	ctx_of(plain);
	ck_assert_int_eq(call(&module_textops, "set_body_multipart", (const char *const[6]){ "one", "text/plain", "B" }), 1);
	ck_assert_int_eq(call(&module_textops, "append_body_part", (const char *const[6]){ "two", "text/x" }), 1);
	ck_assert(str_find(built(), STR_LIT("--B\r\nContent-Type: text/plain\r\n\r\none\r\n--B\r\nContent-Type: text/x\r\n\r\ntwo\r\n--B--\r\n")) > 0);
	ck_assert(str_find(built(), STR_LIT("Content-Type: multipart/mixed;boundary=\"B\"\r\n")) > 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("module textops");
	TCase *tc = tcase_create("textops");

	tcase_add_unchecked_fixture(tc, once, NULL);
	tcase_add_checked_fixture(tc, mod_slot, mod_done);
	tcase_add_loop_test(tc, results, 0, (int)ARRAY_LEN(codes));
	tcase_add_loop_test(tc, edits, 0, (int)ARRAY_LEN(changes));
	tcase_add_test(tc, variables);
	tcase_add_test(tc, multipart_grows);
	suite_add_tcase(s, tc);
	return s;
}
