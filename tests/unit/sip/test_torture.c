/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules behind the torture messages of RFC 4475 and RFC 5118: each row is a message of our own
 * with the same twist, and what the parser must make possible: pass to the script, 400, 505, or
 * drop. The whole messages are run against a server by tests/torture/run.
 */
#include "tests/unit/sip/sip_test.h"

enum outcome {
	PASS, /* parses, passes the check */
	R400, /* refused, answerable */
	R505, /* refused with bad_version, answerable */
	DROP, /* refused, not answerable */
	OTHER /* passes, and the Request-URI is of a scheme that is not ours: 416 */
};

#define VIA "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw" CRLF
#define FROM "From: <sip:caller@example.net>;tag=33242" CRLF
#define TO "To: <sip:user@example.com>" CRLF
#define ID "Call-ID: torture.1" CRLF
#define CSEQ(m) "CSeq: 8 " m CRLF
#define MF "Max-Forwards: 70" CRLF
#define END "l: 0" CRLF CRLF
#define REST(m)                                                                                    \
	VIA FROM TO ID CSEQ(m)                                                                     \
	MF END
#define OPT "OPTIONS sip:user@example.com SIP/2.0" CRLF
#define REG "REGISTER sip:example.com SIP/2.0" CRLF
#define S200 "SIP/2.0 200 OK" CRLF

/* clang-format off */
static const struct row { const char *name; enum outcome want; const char *text; } rows[] = {
	{ "plain", PASS, OPT REST("OPTIONS") },
	{ "wsinv: white space, folding, compact forms", PASS,
	  "INVITE sip:vivekg@chair.example.com;unknownparam SIP/2.0" CRLF "TO :" CRLF " sip:vivekg@chair.example.com ;   tag    = 1918181833n" CRLF
	  "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>" CRLF "  ;" CRLF "  tag = 98asjd8" CRLF "MaX-fOrWaRdS: 0068" CRLF
	  "Call-ID: wsinv.ndaksdj" CRLF "Content-Length   : 4" CRLF "cseq: 0009" CRLF "  INVITE" CRLF "Via  : SIP  /   2.0" CRLF " /UDP" CRLF
	  "    192.0.2.2;branch=390skdjuw" CRLF "s :" CRLF "NewFangledHeader:   newfangled value" CRLF " continued newfangled value" CRLF
	  "UnknownHeaderWithUnusualValue: ;;,,;;,;" CRLF "Route:" CRLF " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>" CRLF
	  "v:  SIP  / 2.0  / TCP     spindle.example.com   ;" CRLF "  branch  =   z9hG4bK9ikj8  ," CRLF " SIP  /    2.0   / UDP  192.168.255.111   ; branch=" CRLF
	  " z9hG4bK30239" CRLF "m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =" CRLF "      newvalue ;" CRLF "  secondparam ; q = 0.33" CRLF CRLF "v=0\n" },
	{ "intmeth: characters of a method", PASS, "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0" CRLF
	  VIA "To: \"BEL:\\\x07 DEL:\\\x7f\" <sip:a@x>" CRLF "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\xd1\x80\";tag=_token~1'+`*%!-." CRLF
	  "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{" CRLF "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~" CRLF "extensionHeader-!.%*+_`'~:\xef\xbb\xbf" CRLF END },
	{ "esc01: escapes", PASS, "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0" CRLF REST("INVITE") },
	{ "escnull", PASS, REG VIA "To: sip:null-%00-null@example.com" CRLF FROM ID CSEQ("REGISTER") "Contact: <sip:%00@h>" CRLF "Contact: <sip:%00%00@h>" CRLF "L:0" CRLF CRLF },
	{ "esc02: a method that is not REGISTER", PASS, "RE%47IST%45R sip:a@x SIP/2.0" CRLF VIA "C%6Fntact: <sip:a@b>" CRLF FROM TO ID CSEQ("RE%47IST%45R") END },
	{ "lwsdisp", PASS, OPT VIA "From: caller<sip:caller@example.com>;tag=323" CRLF TO ID CSEQ("OPTIONS") END },
	{ "dblreq: bytes behind the body", PASS, REG REST("REGISTER") CRLF "INVITE sip:joe@example.com SIP/2.0" CRLF REST("INVITE") },
	{ "semiuri", PASS, "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0" CRLF REST("OPTIONS") },
	{ "transports", PASS, OPT REST("OPTIONS") },
	{ "unreason", PASS, "SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe" CRLF REST("INVITE") },
	{ "noreason", PASS, "SIP/2.0 100 " CRLF REST("INVITE") },
	{ "noreason, no space either", PASS, "SIP/2.0 100" CRLF REST("INVITE") },
	{ "badinv01: separators without anything", R400, OPT "Via: SIP/2.0/UDP 192.0.2.15;;,;,," CRLF FROM TO ID CSEQ("OPTIONS") END },
	{ "clerr: body too short", R400, OPT VIA FROM TO ID CSEQ("OPTIONS") "Content-Length: 9999" CRLF CRLF "v=0" },
	{ "ncl: negative length", R400, OPT VIA FROM TO ID CSEQ("OPTIONS") "Content-Length: -999" CRLF CRLF "v=0" },
	{ "scalar02: CSeq", R400, REG VIA FROM TO ID "CSeq: 36893488147419103232 REGISTER" CRLF END },
	{ "scalar02: Max-Forwards", R400, REG VIA FROM TO ID CSEQ("REGISTER") "Max-Forwards: 300" CRLF END },
	{ "scalar02: Content-Length", R400, REG VIA FROM TO ID CSEQ("REGISTER") "l: 99999999999999999999" CRLF CRLF },
	{ "scalar02: Expires is not ours to judge", PASS, REG VIA FROM TO ID CSEQ("REGISTER") "Expires: 1000000000000000000000" CRLF "Contact: <sip:u@h>" CRLF "  ;expires=280297596632815" CRLF END },
	{ "scalarlg: reply with huge CSeq", DROP, "SIP/2.0 503 Service Unavailable" CRLF VIA FROM TO ID "CSeq: 9292394834772304023312 OPTIONS" CRLF END },
	{ "quotbal", R400, OPT VIA FROM "To: \"Mr. J. User <sip:j.user@example.com>" CRLF ID CSEQ("OPTIONS") END },
	{ "ltgtruri", R400, "INVITE <sip:user@example.com> SIP/2.0" CRLF REST("INVITE") },
	{ "lwsruri", R400, "INVITE sip:user@example.com; lr SIP/2.0" CRLF REST("INVITE") },
	{ "lwsstart", R400, "INVITE  sip:user@example.com  SIP/2.0" CRLF REST("INVITE") },
	{ "lwsstart, tab", R400, "INVITE sip:user@example.com\tx SIP/2.0" CRLF REST("INVITE") },
	{ "trws", R400, "OPTIONS sip:remote-target@example.com SIP/2.0  " CRLF REST("OPTIONS") },
	{ "escruri", R400, "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0" CRLF REST("INVITE") },
	{ "baddate: a proxy does not look", PASS, "INVITE sip:a@x SIP/2.0" CRLF "Date: Fri, 01 Jan 2010 16:00:00 EST" CRLF REST("INVITE") },
	{ "regbadct", R400, REG "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E" CRLF REST("REGISTER") },
	{ "regbadct, but no REGISTER", PASS, OPT "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E" CRLF REST("OPTIONS") },
	{ "badaspec", R400, OPT VIA FROM "To: \"Watson, Thomas\" < sip:t.watson@example.org >" CRLF ID CSEQ("OPTIONS") END },
	{ "baddn", R400, OPT VIA "From:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43" CRLF TO ID CSEQ("OPTIONS") END },
	{ "badvers", R505, "OPTIONS sip:t.watson@example.org SIP/7.0" CRLF "Via:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw" CRLF FROM TO ID CSEQ("OPTIONS") END },
	{ "mismatch01", R400, OPT REST("INVITE") },
	{ "mismatch02", R400, "NEWMETHOD sip:user@example.com SIP/2.0" CRLF REST("INVITE") },
	{ "mismatch, case", R400, "Options sip:user@example.com SIP/2.0" CRLF REST("OPTIONS") },
	{ "bigcode", DROP, "SIP/2.0 4294967301 better not break the receiver" CRLF REST("INVITE") },
	{ "code below the range", DROP, "SIP/2.0 099 no" CRLF REST("INVITE") },
	{ "code not a number", DROP, "SIP/2.0 2x0 no" CRLF REST("INVITE") },
	{ "badbranch: the cookie alone", PASS, OPT "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK" CRLF FROM TO ID CSEQ("OPTIONS") END },
	{ "insuf", R400, OPT VIA CSEQ("OPTIONS") END },
	{ "insuf: no Via, nowhere to answer to", DROP, OPT FROM TO ID CSEQ("OPTIONS") END },
	{ "insuf: ACK is never answered", DROP, "ACK sip:user@example.com SIP/2.0" CRLF VIA CSEQ("ACK") END },
	{ "insuf: the first Via empty", DROP, OPT "Via:" CRLF REST("OPTIONS") },
	{ "insuf: no From", R400, OPT VIA TO ID CSEQ("OPTIONS") END },
	{ "insuf: no To", R400, OPT VIA FROM ID CSEQ("OPTIONS") END },
	{ "insuf: no CSeq", R400, OPT VIA FROM TO ID END },
	{ "insuf: no Call-ID", R400, OPT VIA FROM TO CSEQ("OPTIONS") END },
	{ "insuf: empty Call-ID", R400, OPT VIA FROM TO "Call-ID:" CRLF CSEQ("OPTIONS") END },
	{ "unkscm", OTHER, "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0" CRLF REST("OPTIONS") },
	{ "novelsc", OTHER, "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0" CRLF REST("OPTIONS") },
	{ "unksm2", PASS, REG VIA "To: isbn:2983792873" CRLF "From: <http://www.example.com>;tag=3234233" CRLF ID CSEQ("REGISTER") "Contact: <name:John_Smith>" CRLF END },
	{ "multi01: CSeq", R400, OPT "CSeq: 59 INVITE" CRLF REST("OPTIONS") },
	{ "multi01: Call-ID", R400, OPT "i: 2" CRLF REST("OPTIONS") },
	{ "multi01: From", R400, OPT "f: <sip:o@example.net>;tag=1" CRLF REST("OPTIONS") },
	{ "multi01: To", R400, OPT "t: <sip:o@example.net>" CRLF REST("OPTIONS") },
	{ "multi01: Max-Forwards", R400, OPT "Max-Forwards: 5" CRLF REST("OPTIONS") },
	{ "mcl01", R400, OPT "Content-Length: 13" CRLF REST("OPTIONS") },
	{ "the same length twice", PASS, OPT "Content-Length: 0" CRLF REST("OPTIONS") },
	{ "zeromf", PASS, OPT VIA FROM TO ID CSEQ("OPTIONS") "Max-Forwards: 0" CRLF END },
	{ "cparam01", PASS, REG "Contact: sip:+19725552222@gw1.example.net;unknownparam" CRLF REST("REGISTER") },
	{ "cparam02", PASS, REG "Contact: <sip:+19725552222@gw1.example.net;unknownparam>" CRLF REST("REGISTER") },
	{ "regescrt", PASS, REG "M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>" CRLF REST("REGISTER") },
	{ "inv2543", PASS, "INVITE sip:UserB@example.com SIP/2.0" CRLF "Via: SIP/2.0/UDP iftgw.example.com" CRLF "From: <sip:+1303@ift.example.net;user=phone>" CRLF
	  "To: sip:+1650@ss1.example.net;user=phone" CRLF ID CSEQ("INVITE") CRLF "v=0" CRLF },
	{ "ipv6-good", PASS, "OPTIONS sip:[2001:db8::10] SIP/2.0" CRLF REST("OPTIONS") },
	{ "ipv6-bad", R400, "OPTIONS sip:2001:db8::10 SIP/2.0" CRLF REST("OPTIONS") },
	{ "ipv6-bug-abnf-3-colons", R400, "OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0" CRLF REST("OPTIONS") },
	{ "via-received-param-with-delim", PASS, OPT "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKa" CRLF FROM TO ID CSEQ("OPTIONS") END },
	{ "via-received-param-no-delim", PASS, OPT "Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKa" CRLF FROM TO ID CSEQ("OPTIONS") END },

	/* Sloppy but harmless, from real life. */
	{ "no Max-Forwards, no Contact", PASS, "INVITE sip:a@x SIP/2.0" CRLF VIA FROM TO ID CSEQ("INVITE") END },
	{ "bare LF", PASS, "OPTIONS sip:a@x SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\nFrom: <sip:a@x>;tag=1\nTo: <sip:a@x>\nCall-ID: 1\nCSeq: 1 OPTIONS\n\n" },
	{ "line ends before the message", PASS, CRLF CRLF OPT REST("OPTIONS") },
	{ "odd bytes in unknown fields", PASS, OPT "X-Odd: \x01\x7f\xff\"<," CRLF "X\xc3\xa9: y" CRLF "Odd Name: x" CRLF REST("OPTIONS") },
	{ "UTF-8 names", PASS, OPT VIA "From: J\xc3\xbcrgen <sip:j@x>;tag=1" CRLF "To: \"\xe6\x9d\x8e\" <sip:l@x>" CRLF ID CSEQ("OPTIONS") END },
	{ "; at the end", PASS, OPT "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK1;rport;" CRLF "From: <sip:a@x>;tag=1;" CRLF TO ID CSEQ("OPTIONS") END },
	{ "no Content-Length", PASS, OPT VIA FROM TO ID CSEQ("OPTIONS") CRLF },
	{ "empty fields", PASS, OPT "Subject:" CRLF "Supported: " CRLF "Allow:,,INVITE," CRLF REST("OPTIONS") },
	{ "lower-case version", PASS, "OPTIONS sip:a@x sip/2.0" CRLF REST("OPTIONS") },
	{ "* as Contact", PASS, REG "Contact: *" CRLF "Expires: 0" CRLF REST("REGISTER") },

	/* What cannot be cut into fields. */
	{ "no colon", R400, OPT "Nonsense" CRLF REST("OPTIONS") },
	{ "no name", R400, OPT ": value" CRLF REST("OPTIONS") },
	{ "folding before the first field", R400, OPT " X: y" CRLF REST("OPTIONS") },
	{ "stray CR", R400, OPT "X: a\rEvil: b" CRLF REST("OPTIONS") },
	{ "stray CR in a name", R400, OPT "X\r: a" CRLF REST("OPTIONS") },
	{ "no empty line", R400, OPT VIA FROM TO ID "CSeq: 8 OPTIONS" CRLF },
	{ "cut in a field", R400, OPT VIA FROM TO ID CSEQ("OPTIONS") "Max-For" },
	{ "not SIP", DROP, "GET /index.html HTTP/1.1" CRLF "Host: example.com" CRLF CRLF },
	{ "no start line", DROP, VIA FROM TO ID CSEQ("OPTIONS") END },
	{ "too short", DROP, "OPTIONS sip:a@x SIP/2.0" CRLF CRLF },
	{ "one line without end", DROP, "OPTIONS sip:a@x SIP/2.0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
	{ "empty", DROP, "" },
};
/* clang-format on */

START_TEST(torture)
{
	const struct row *r = &rows[_i];
	struct str in = exact(r->text);
	struct pool *pool = pool_new(1 << 20);
	struct diag diag = { 0 };
	struct sip_msg msg;
	enum outcome got;
	int err;

	memset(&msg, 0xa5, sizeof(msg)); /* need not be cleared */
	err = sip_msg_parse(pool, in, &msg, &diag);
	if (err == 0)
		err = sip_msg_check(&msg, &diag);
	if (err == 0)
		got = msg.kind == SIP_REQUEST && sip_msg_ruri(&msg)->scheme == SIP_URI_OTHER ? OTHER
		                                                                             : PASS;
	else if (!sip_msg_answerable(&msg))
		got = DROP;
	else
		got = msg.bad_version ? R505 : R400;
	ck_assert_msg(got == r->want, "%s: outcome %d instead of %d (%s)", r->name, (int)got,
	              (int)r->want, diag.text);
	ck_assert(err == 0 || err == -EBADMSG);
	if (err < 0) {
		ck_assert_msg(diag.text[0] >= 'A' && diag.text[0] <= 'Z',
		              "%s: '%s' is no reason phrase", r->name, diag.text);
		ck_assert_uint_le(diag.pos, in.n);
	}
	if (got == R400 || got == R505) { /* the answer can be written and is a message again */
		struct sip_reply_opts opts = { .status = 400,
			                       .reason = str_lit(diag.text),
			                       .to_tag = STR_LIT("t"),
			                       .source = { STR_LIT("192.0.2.99"), 0 } };
		struct sip_out out;
		struct sip_msg again;
		struct str text;

		ck_assert_int_eq(sip_build_reply(pool, &msg, &opts, &out), 0);
		text = joined(&out);
		ck_assert_int_eq(sip_msg_parse(pool, text, &again, NULL), 0);
		ck_assert_uint_eq(again.status, 400);
		ck_str(sip_msg_via1(&again)->received, "192.0.2.99");
		exact_free(text);
	}
	pool_free(pool);
	exact_free(in);
}
END_TEST

/* Cut anywhere, a message is refused, or is one whose body was cut; nothing is read behind the end.
 */
START_TEST(every_prefix)
{
	size_t n = strlen(rows[_i].text);
	struct pool *pool = pool_new(1 << 20);
	struct sip_msg msg;

	for (size_t i = 0; i < n; i++) {
		struct str in = exact_n(rows[_i].text, i);

		if (sip_msg_parse(pool, in, &msg, NULL) == 0)
			(void)!sip_msg_check(&msg, NULL);
		(void)sip_msg_answerable(&msg);
		pool_reset(pool);
		exact_free(in);
	}
	pool_free(pool);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("torture");

	tcase_add_loop_test(t, torture, 0, ARRAY_LEN(rows));
	tcase_add_loop_test(t, every_prefix, 0, ARRAY_LEN(rows));
	return suite_of("sip/torture", t);
}
