/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

static struct pool *pool;
static struct sip_msg msg;

static void setup(void)
{
	pool = pool_new(1 << 20);
}

static void teardown(void)
{
	pool_free(pool);
}

/* Parses a copy that lives as long as the pool. */
static void parse(const char *text)
{
	struct str in = str_dup(pool, str_lit(text));

	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
}

static void expect(const struct sip_out *out, const char *want)
{
	struct str text = joined(out);

	ck_str(text, want);
	exact_free(text);
}

#define FROM_TO "From: <sip:a@x>;tag=1" CRLF "To: <sip:b@x>" CRLF "Call-ID: 1" CRLF

START_TEST(forward)
{
	struct sip_forward fwd = {
		.ruri = STR_LIT("sip:b@192.0.2.4"),
		.via = STR_LIT("Via: SIP/2.0/UDP me;branch=z9hG4bKme" CRLF),
		.extra = STR_LIT("Record-Route: <sip:me;lr>" CRLF),
		.source = { STR_LIT("192.0.2.99"), 5062 },
	};
	struct sip_out out;

	parse("INVITE sip:b@x sip/2.0" CRLF "Via: SIP/2.0/UDP h;rport;branch=z9hG4bK1" CRLF
	      "CSeq: 1 INVITE" CRLF FROM_TO CRLF);
	ck_assert_int_eq(sip_build_request(pool, &msg, NULL, &fwd, false, &out), 0);
	expect(&out, "INVITE sip:b@192.0.2.4 SIP/2.0" CRLF
	             "Via: SIP/2.0/UDP me;branch=z9hG4bKme" CRLF "Record-Route: <sip:me;lr>" CRLF
	             "Via: SIP/2.0/UDP h;rport=5062;branch=z9hG4bK1;received=192.0.2.99" CRLF
	             "CSeq: 1 INVITE" CRLF FROM_TO CRLF);
	ck_assert_int_eq(sip_build_request(pool, &msg, NULL,
	                                   &(struct sip_forward){ .ruri = STR_NULL }, true, &out),
	                 0);
	expect(&out, "INVITE sip:b@x SIP/2.0" CRLF "Via: SIP/2.0/UDP h;rport;branch=z9hG4bK1" CRLF
	             "CSeq: 1 INVITE" CRLF FROM_TO "Content-Length: 0" CRLF CRLF);
}
END_TEST

/* clang-format off */
static const struct { const char *via; struct sip_via_source source; const char *want; } via1s[] = {
	{ "Via: SIP/2.0/UDP h;branch=1", { STR_LIT("1.2.3.4"), 0, STR_NULL }, "Via: SIP/2.0/UDP h;branch=1;received=1.2.3.4" },
	{ "v: SIP/2.0/UDP h;rport", { STR_LIT("1.2.3.4"), 5, STR_NULL }, "v: SIP/2.0/UDP h;rport=5;received=1.2.3.4" },
	{ "v: SIP/2.0/UDP h;Received;x", { STR_LIT("1.2.3.4"), 65535, STR_NULL }, "v: SIP/2.0/UDP h;received=1.2.3.4;x;rport=65535" },
	{ "v: SIP/2.0/UDP h;rport ;x", { STR_LIT("1.2.3.4"), 5, STR_NULL }, "v: SIP/2.0/UDP h;rport=5 ;x;received=1.2.3.4" },
	{ "v: SIP/2.0/UDP h;rport=9;received=6.6.6.6", { STR_LIT("1.2.3.4"), 5, STR_NULL }, "v: SIP/2.0/UDP h;rport=5;received=1.2.3.4" },
	{ "v: SIP/2.0/UDP h;rport=9;received=6.6.6.6", { STR_LIT("1.2.3.4"), 0, STR_NULL }, "v: SIP/2.0/UDP h;rport=9;received=1.2.3.4" },
	{ "v: SIP/2.0/UDP h;rport;rport=9;received=6.6.6.6;received=7.7.7.7", { STR_LIT("1.2.3.4"), 5, STR_NULL },
	  "v: SIP/2.0/UDP h;rport=5;rport=9;received=1.2.3.4;received=7.7.7.7" },
	{ "v: SIP/2.0/UDP h , SIP/2.0/UDP i;rport", { STR_LIT("[::1]"), 0, STR_NULL }, "v: SIP/2.0/UDP h;received=[::1] , SIP/2.0/UDP i;rport" },
	{ "v: SIP/2.0/UDP h,SIP/2.0/UDP i;rport", { STR_LIT("1.2.3.4"), 5, STR_NULL }, "v: SIP/2.0/UDP h;received=1.2.3.4;rport=5,SIP/2.0/UDP i;rport" },
	{ "v: SIP/2.0/UDP h", { STR_NULL, 0, STR_NULL }, "v: SIP/2.0/UDP h" },
	{ "v: SIP/2.0/UDP h", { STR_NULL, 0, STR_LIT(";a=1;b") }, "v: SIP/2.0/UDP h;a=1;b" },
	{ "v: SIP/2.0/UDP h;rport;x, SIP/2.0/UDP i", { STR_LIT("1.2.3.4"), 5, STR_LIT(";a=1") }, "v: SIP/2.0/UDP h;rport=5;x;received=1.2.3.4;a=1, SIP/2.0/UDP i" },
	{ "v: SIP/2.0/UDP h;rport=9;received=6.6.6.6", { STR_LIT("1.2.3.4"), 5, STR_LIT(";a=1") }, "v: SIP/2.0/UDP h;rport=5;received=1.2.3.4;a=1" },
	{ "v: SIP/2.0/UDP h;x", { STR_LIT("1.2.3.4"), 5, STR_LIT(";a=1") }, "v: SIP/2.0/UDP h;x;received=1.2.3.4;rport=5;a=1" },
};

static const struct { const char *vias, *want; } tops[] = {
	{ "Via: SIP/2.0/UDP a;branch=1" CRLF "Via: SIP/2.0/UDP b" CRLF, "Via: SIP/2.0/UDP b" CRLF },
	{ "Via: SIP/2.0/UDP a;branch=1" CRLF, "" },
	{ "Via: SIP/2.0/UDP a;branch=1,SIP/2.0/UDP b" CRLF, "Via: SIP/2.0/UDP b" CRLF },
	{ "Via: SIP/2.0/UDP a;branch=1 ,\r\n SIP/2.0/UDP b  , SIP/2.0/UDP c" CRLF "v: SIP/2.0/UDP d" CRLF, "Via: SIP/2.0/UDP b  , SIP/2.0/UDP c" CRLF "v: SIP/2.0/UDP d" CRLF },
	{ "Via: SIP/2.0/UDP a;branch=1," CRLF "v: SIP/2.0/UDP d" CRLF, "v: SIP/2.0/UDP d" CRLF },
	{ "X: 1" CRLF "Via: SIP/2.0/UDP a;x=\"1,2\"" CRLF "Y: 1" CRLF "v: SIP/2.0/UDP d" CRLF, "X: 1" CRLF "Y: 1" CRLF "v: SIP/2.0/UDP d" CRLF },
};
/* clang-format on */

START_TEST(own_via_alone)
{
	struct sip_forward fwd = { .via = STR_LIT("Via: SIP/2.0/UDP me;branch=z9hG4bKx" CRLF), .source = { .received = STR_LIT("1.2.3.4") }, .via_alone = true };
	struct sip_edits edits = { 0 };
	struct sip_out out;

	parse("OPTIONS sip:b@x SIP/2.0" CRLF "Via: SIP/2.0/UDP a, SIP/2.0/UDP b" CRLF "X: 1" CRLF "v: SIP/2.0/UDP c" CRLF "V:\tSIP/2.0/UDP d" CRLF "Y: 2" CRLF CRLF);
	ck_assert_int_eq(sip_edit_remove_hdr(&edits, pool, &msg, sip_msg_hdr(&msg, SIP_H_VIA), SIP_EDIT_SCRIPT), 0); /* what is gone already may go again */
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits, &fwd, false, &out), 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "Via: SIP/2.0/UDP me;branch=z9hG4bKx" CRLF "X: 1" CRLF "Y: 2" CRLF CRLF);
}
END_TEST

START_TEST(via1_source)
{
	struct sip_forward fwd = { .source = via1s[_i].source };
	struct sip_reply_opts opts = { .status = 100,
		                       .reason = STR_LIT("Trying"),
		                       .source = fwd.source };
	char text[512], want[512];
	struct sip_out out;

	snprintf(text, sizeof(text), "OPTIONS sip:b@x SIP/2.0\r\n%s\r\n\r\n", via1s[_i].via);
	snprintf(want, sizeof(want), "OPTIONS sip:b@x SIP/2.0\r\n%s\r\n\r\n", via1s[_i].want);
	parse(text);
	ck_assert_int_eq(sip_build_request(pool, &msg, NULL, &fwd, false, &out), 0);
	expect(&out, want);
	snprintf(want, sizeof(want), "SIP/2.0 100 Trying\r\n%s\r\nContent-Length: 0\r\n\r\n",
	         via1s[_i].want);
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), 0);
	expect(&out, want);
}
END_TEST

START_TEST(relayed_reply)
{
	char text[512], want[512];
	struct sip_out out;

	snprintf(text, sizeof(text), "SIP/2.0 200 OK\r\n%sCSeq: 1 INVITE\r\n\r\n", tops[_i].vias);
	snprintf(want, sizeof(want), "SIP/2.0 200 OK\r\n%sCSeq: 1 INVITE\r\n\r\n", tops[_i].want);
	parse(text);
	ck_assert_int_eq(sip_build_relayed_reply(pool, &msg, NULL, 0, STR_NULL, false, &out), 0);
	expect(&out, want);
	snprintf(want, sizeof(want),
	         "SIP/2.0 603 No\r\n%sCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", tops[_i].want);
	ck_assert_int_eq(sip_build_relayed_reply(pool, &msg, NULL, 603, STR_LIT("No"), true, &out),
	                 0);
	expect(&out, want);
	ck_assert_int_eq(
	    sip_build_relayed_reply(pool, &msg, NULL, 603, STR_LIT("No\r\nX: y"), true, &out),
	    -EINVAL);
}
END_TEST

START_TEST(relayed_reply_without_via)
{
	struct sip_out out;

	parse("SIP/2.0 200 OK" CRLF FROM_TO CRLF);
	ck_assert_int_eq(sip_build_relayed_reply(pool, &msg, NULL, 0, STR_NULL, false, &out),
	                 -EINVAL);
}
END_TEST

/* What a datagram said twice with sip_parser_mode 0 says the same when it is sent on. */
START_TEST(conflicting_content_length)
{
	struct sip_forward fwd = { .ruri = STR_NULL };
	struct sip_edits edits = { 0 };
	struct sip_out out;

	sip_msg_rules(SIP_REPEATS);
	parse("OPTIONS sip:b@x SIP/2.0" CRLF "l: 2" CRLF "X: 1" CRLF "Content-Length: 999" CRLF "l: 0" CRLF CRLF "abc");
	ck_str(msg.body, "ab");
	ck_assert_int_eq(sip_build_request(pool, &msg, NULL, &fwd, true, &out), 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "l: 2" CRLF "X: 1" CRLF "Content-Length: 2" CRLF "l: 2" CRLF CRLF "ab");
	ck_assert_int_eq(sip_edit_remove_hdr(&edits, pool, &msg, &msg.hdrs[0], SIP_EDIT_SCRIPT), 0);
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits, &fwd, true, &out), 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "X: 1" CRLF "Content-Length: 2" CRLF "l: 2" CRLF CRLF "ab");
	sip_msg_rules(0);
}
END_TEST

START_TEST(content_length)
{
	struct sip_forward fwd = { .ruri = STR_NULL };
	struct sip_edits edits = { .body_replaced = true, .new_body = STR_LIT("0123456789ab") };
	struct sip_out out;

	parse("OPTIONS sip:b@x SIP/2.0" CRLF "X: 1" CRLF CRLF "abc");
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits, &fwd, false, &out), 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "X: 1" CRLF "Content-Length: 12" CRLF CRLF
	             "0123456789ab");
	parse("OPTIONS sip:b@x SIP/2.0" CRLF "l: 3" CRLF "X: 1" CRLF "Content-Length: 003" CRLF CRLF
	      "abc");
	ck_assert_int_eq(sip_build_request(pool, &msg, NULL, &fwd, true, &out), 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "l: 3" CRLF "X: 1" CRLF
	             "Content-Length: 003" CRLF CRLF "abc");
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits, &fwd, true, &out), 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "l: 12" CRLF "X: 1" CRLF
	             "Content-Length: 12" CRLF CRLF "0123456789ab");
	ck_assert_int_eq(sip_edit_remove_hdr(&edits, pool, &msg, &msg.hdrs[0], SIP_EDIT_SCRIPT), 0);
	ck_assert_int_eq(sip_edit_remove_hdr(&edits, pool, &msg, &msg.hdrs[2], SIP_EDIT_SCRIPT), 0);
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits, &fwd, false, &out), 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "X: 1" CRLF "Content-Length: 12" CRLF CRLF
	             "0123456789ab");
}
END_TEST

START_TEST(local_reply)
{
	struct sip_reply_opts opts = {
		.status = 200,
		.reason = STR_LIT("OK"),
		.to_tag = STR_LIT("tt"),
		.extra = STR_LIT("Server: s" CRLF),
		.body = STR_LIT("hi"),
		.content_type = STR_LIT("text/plain"),
		.record_routes = true,
	};
	struct sip_out out;

	parse("OPTIONS sip:b@x SIP/2.0" CRLF "v: SIP/2.0/UDP a" CRLF
	      "Record-Route: <sip:r1>" CRLF FROM_TO "Timestamp: 54" CRLF "CSeq:  7" CRLF
	      " OPTIONS" CRLF "Via: SIP/2.0/UDP b, SIP/2.0/UDP c" CRLF
	      "Record-Route: <sip:r2>" CRLF CRLF);
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), 0);
	expect(&out,
	       "SIP/2.0 200 OK" CRLF "v: SIP/2.0/UDP a" CRLF
	       "Via: SIP/2.0/UDP b, SIP/2.0/UDP c" CRLF "Record-Route: <sip:r1>" CRLF
	       "Record-Route: <sip:r2>" CRLF "From: <sip:a@x>;tag=1" CRLF
	       "To: <sip:b@x>;tag=tt" CRLF "Call-ID: 1" CRLF "CSeq:  7" CRLF " OPTIONS" CRLF
	       "Server: s" CRLF "Content-Type: text/plain" CRLF "Content-Length: 2" CRLF CRLF "hi");
	opts = (struct sip_reply_opts){ .status = 100,
		                        .reason = STR_LIT("Trying"),
		                        .to_tag = STR_LIT("tt") };
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), 0);
	expect(&out, "SIP/2.0 100 Trying" CRLF "v: SIP/2.0/UDP a" CRLF
	             "Via: SIP/2.0/UDP b, SIP/2.0/UDP c" CRLF "From: <sip:a@x>;tag=1" CRLF
	             "To: <sip:b@x>" CRLF "Call-ID: 1" CRLF "CSeq:  7" CRLF " OPTIONS" CRLF
	             "Timestamp: 54" CRLF "Content-Length: 0" CRLF CRLF);
	opts = (struct sip_reply_opts){ .status = 99, .reason = STR_LIT("x") };
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), -EINVAL);
	opts = (struct sip_reply_opts){ .status = 400, .reason = STR_LIT("x\n") };
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), -EINVAL);
}
END_TEST

START_TEST(local_reply_keeps_a_tag)
{
	struct sip_reply_opts opts = { .status = 481,
		                       .reason = STR_LIT("No"),
		                       .to_tag = STR_LIT("tt") };
	struct sip_out out;

	parse("BYE sip:b@x SIP/2.0" CRLF "Via: SIP/2.0/UDP a" CRLF
	      "To: sip:b@x ;\r\n tag=old" CRLF CRLF);
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), 0);
	expect(&out, "SIP/2.0 481 No" CRLF "Via: SIP/2.0/UDP a" CRLF
	             "To: sip:b@x ;\r\n tag=old" CRLF "Content-Length: 0" CRLF CRLF);
}
END_TEST

START_TEST(bare_lf_is_mended_in_replies)
{
	struct sip_reply_opts opts = { .status = 200, .reason = STR_LIT("OK") };
	struct sip_out out;

	parse("OPTIONS sip:b@x SIP/2.0\nVia: SIP/2.0/UDP a\nCall-ID: 1\n\n");
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), 0);
	expect(&out, "SIP/2.0 200 OK" CRLF "Via: SIP/2.0/UDP a" CRLF "Call-ID: 1" CRLF
	             "Content-Length: 0" CRLF CRLF);
}
END_TEST

/* An empty value once was taken to stand behind its line end, and the copied field ended the
 * header. */
START_TEST(empty_fields_are_copied)
{
	struct sip_reply_opts opts = { .status = 400, .reason = STR_LIT("Bad To") };
	struct sip_edits edits = { 0 };
	struct sip_out out;

	parse("OPTIONS sip:b@x SIP/2.0" CRLF "Via: SIP/2.0/UDP a" CRLF "To: " CRLF "From:" CRLF
	      " " CRLF "Call-ID: 1" CRLF CRLF);
	ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), 0);
	expect(&out, "SIP/2.0 400 Bad To" CRLF "Via: SIP/2.0/UDP a" CRLF "From:" CRLF "To:" CRLF
	             "Call-ID: 1" CRLF "Content-Length: 0" CRLF CRLF);
	ck_assert_int_eq(sip_edit_replace(&edits, pool, &msg, sip_msg_hdr(&msg, SIP_H_TO)->value,
	                                  STR_LIT("<sip:b@x>"), SIP_EDIT_TO),
	                 0);
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits,
	                                   &(struct sip_forward){ .ruri = STR_NULL }, false, &out),
	                 0);
	expect(&out, "OPTIONS sip:b@x SIP/2.0" CRLF "Via: SIP/2.0/UDP a" CRLF "To:<sip:b@x> " CRLF
	             "From:" CRLF " " CRLF "Call-ID: 1" CRLF CRLF);
}
END_TEST

START_TEST(ack_and_cancel)
{
	struct str sent =
	    STR_LIT("INVITE sip:b@192.0.2.4 SIP/2.0" CRLF
	            "Via: SIP/2.0/UDP me;branch=z9hG4bKme, SIP/2.0/UDP other" CRLF
	            "Via: SIP/2.0/UDP third" CRLF "Route: <sip:r1;lr>" CRLF FROM_TO
	            "Max-Forwards: 12" CRLF "Route: <sip:r2;lr>" CRLF "CSeq: 0042 INVITE" CRLF
	            "Contact: <sip:a@h>" CRLF "Content-Length: 3" CRLF CRLF "sdp");
	struct sip_out out;

	ck_assert_int_eq(sip_build_local(pool, sent, SIP_M_ACK, STR_LIT("<sip:b@x>;tag=uas"),
	                                 STR_LIT("User-Agent: ua" CRLF), &out),
	                 0);
	expect(&out,
	       "ACK sip:b@192.0.2.4 SIP/2.0" CRLF "Via: SIP/2.0/UDP me;branch=z9hG4bKme" CRLF
	       "Route: <sip:r1;lr>" CRLF "Route: <sip:r2;lr>" CRLF "From: <sip:a@x>;tag=1" CRLF
	       "To: <sip:b@x>;tag=uas" CRLF "Call-ID: 1" CRLF "CSeq: 0042 ACK" CRLF
	       "Max-Forwards: 70" CRLF "User-Agent: ua" CRLF "Content-Length: 0" CRLF CRLF);
	ck_assert_int_eq(sip_build_local(pool, sent, SIP_M_CANCEL, STR_NULL, STR_NULL, &out), 0);
	expect(&out,
	       "CANCEL sip:b@192.0.2.4 SIP/2.0" CRLF "Via: SIP/2.0/UDP me;branch=z9hG4bKme" CRLF
	       "Route: <sip:r1;lr>" CRLF "Route: <sip:r2;lr>" CRLF "From: <sip:a@x>;tag=1" CRLF
	       "To: <sip:b@x>" CRLF "Call-ID: 1" CRLF "CSeq: 0042 CANCEL" CRLF
	       "Max-Forwards: 70" CRLF "Content-Length: 0" CRLF CRLF);
	ck_assert_int_eq(sip_build_local(pool, sent, SIP_M_OTHER, STR_NULL, STR_NULL, &out),
	                 -EINVAL);
	ck_assert_int_eq(
	    sip_build_local(pool, STR_LIT("nonsense"), SIP_M_ACK, STR_NULL, STR_NULL, &out),
	    -EBADMSG);
}
END_TEST

START_TEST(too_long)
{
	struct sip_edits edits = { .body_replaced = true };
	char *big = calloc(1, 66000);
	struct sip_out out;

	edits.new_body = str_of(big, 66000);
	parse(sip_samples[0]);
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits,
	                                   &(struct sip_forward){ .ruri = STR_NULL }, false, &out),
	                 -EMSGSIZE);
	edits.new_body.n = 60000;
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits,
	                                   &(struct sip_forward){ .ruri = STR_NULL }, false, &out),
	                 0);
	free(big);
}
END_TEST

/* Built without a change, a message has the same fields and body; for a second round, the same
 * bytes. */
START_TEST(unchanged)
{
	struct sip_msg again;
	struct sip_edits none = { 0 };
	struct sip_out out;
	struct str text;

	parse(sip_samples[_i]);
	if (msg.kind == SIP_REPLY) /* relaying takes a Via away; put one there first */
		ck_assert_int_eq(sip_edit_before(&none, pool, &msg, SIP_H_VIA,
		                                 STR_LIT("Via: SIP/2.0/UDP me" CRLF), SIP_EDIT_VIA),
		                 0);
	if (msg.kind == SIP_REQUEST)
		ck_assert_int_eq(sip_build_request(pool, &msg, &none,
		                                   &(struct sip_forward){ .ruri = STR_NULL }, false,
		                                   &out),
		                 0);
	else
		ck_assert_int_eq(
		    sip_build_relayed_reply(pool, &msg, &none, 0, STR_NULL, false, &out), 0);
	text = joined(&out);
	ck_assert_int_eq(sip_msg_parse(pool, text, &again, NULL), 0);
	if (msg.kind == SIP_REQUEST) {
		ck_assert_uint_eq(again.n_hdrs, msg.n_hdrs);
		for (unsigned i = 0; i < msg.n_hdrs; i++)
			ck_assert(again.hdrs[i].id == msg.hdrs[i].id &&
			          str_eq(again.hdrs[i].name, msg.hdrs[i].name) &&
			          str_eq(again.hdrs[i].value, msg.hdrs[i].value));
	}
	ck_assert(str_eq(again.body, msg.body));
	ck_assert(str_eq(again.ruri, msg.ruri) && again.method == msg.method &&
	          again.status == msg.status);
	exact_free(text);
}
END_TEST

/* With the n-th allocation failing, every builder says so and returns nothing. */
START_TEST(out_of_memory)
{
	static const char text[] =
	    "OPTIONS sip:b@x SIP/2.0" CRLF "Via: SIP/2.0/UDP a" CRLF "CSeq: 1 OPTIONS" CRLF CRLF;
	struct sip_forward fwd = { .source = { STR_LIT("1.2.3.4"), 0 } };
	struct sip_reply_opts opts = { .status = 200,
		                       .reason = STR_LIT("OK"),
		                       .source = { STR_LIT("1.2.3.4"), 0 } };
	struct pool *small = pool_new((size_t)_i * 128 + 64);
	struct sip_out out = { .bytes = 4711 };
	int err;

	parse(text);
	ck_assert_ptr_nonnull(small);
	err = sip_build_request(small, &msg, NULL, &fwd, true, &out);
	ck_assert(err == 0 ? out.bytes > 50 && out.bytes != 4711
	                   : err == -ENOMEM && out.bytes == 4711);
	pool_reset(small);
	out.bytes = 4711;
	err = sip_build_reply(small, &msg, &opts, &out);
	ck_assert(err == 0 ? out.bytes != 4711 : err == -ENOMEM && out.bytes == 4711);
	pool_free(small);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("build");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, forward);
	tcase_add_test(t, own_via_alone);
	tcase_add_loop_test(t, via1_source, 0, ARRAY_LEN(via1s));
	tcase_add_loop_test(t, relayed_reply, 0, ARRAY_LEN(tops));
	tcase_add_test(t, relayed_reply_without_via);
	tcase_add_test(t, content_length);
	tcase_add_test(t, conflicting_content_length);
	tcase_add_test(t, local_reply);
	tcase_add_test(t, local_reply_keeps_a_tag);
	tcase_add_test(t, bare_lf_is_mended_in_replies);
	tcase_add_test(t, empty_fields_are_copied);
	tcase_add_test(t, ack_and_cancel);
	tcase_add_test(t, too_long);
	tcase_add_loop_test(t, unchanged, 0, ARRAY_LEN(sip_samples));
	tcase_add_loop_test(t, out_of_memory, 0, 40);
	return suite_of("sip/build", t);
}
