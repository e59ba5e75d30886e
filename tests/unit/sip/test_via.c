/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

/* clang-format off */
static const struct via_vector {
	const char *in; int err; const char *transport, *host; unsigned port; const char *branch, *received, *rport; bool has_rport, magic;
} vias[] = {
	{ "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", 0, "UDP", "192.0.2.1", 5060, "z9hG4bK1", "", "", true, true },
	{ "SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw", 0, "UDP", "192.0.2.2", 0, "390skdjuw", "", "", false, false },
	{ "SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8", 0, "TCP", "spindle.example.com", 0, "z9hG4bK9ikj8", "", "", false, true },
	{ "SIP/2.0/UDP [2001:db8::9:1]:6050;received=[2001:db8::9:255];branch=z9hG4bKas3-111", 0, "UDP", "2001:db8::9:1", 6050, "z9hG4bKas3-111", "2001:db8::9:255", "", false, true },
	{ "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3", 0, "UDP", "2001:db8::9:1", 0, "z9hG4bKas3", "2001:db8::9:255", "", false, true },
	{ "SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bK", 0, "UNKNOWN", "t4.example.com", 0, "z9hG4bK", "", "", false, false }, /* badbranch */
	{ "SIP/2.0/UDP a : 5070 ;rport=1234;branch=Z9HG4BKx", 0, "UDP", "a", 5070, "Z9HG4BKx", "", "1234", true, false },
	{ "SIP/2.0/UDP iftgw.example.com", 0, "UDP", "iftgw.example.com", 0, "", "", "", false, false },
	{ "SIP/2.0/TCP h;branch=z9hG4bK-.!%66*_+`'~", 0, "TCP", "h", 0, "z9hG4bK-.!%66*_+`'~", "", "", false, true },
	{ "SIP/2.0/UDP a;branch=1;branch=2;rport;rport=5", 0, "UDP", "a", 0, "1", "", "", true, false },
	{ "", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP ", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0 UDP host", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "HTTP/2.0/UDP host", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP ;branch=1", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP a b", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP a:70000", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP 2001:db8::1", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP [2001:db8::1", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP a;branch=\"", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ "SIP/2.0/UDP a;x=b<c;received=d>e", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
	{ ";", -EBADMSG, 0, 0, 0, 0, 0, 0, false, false },
};
/* clang-format on */

START_TEST(via_vectors)
{
	const struct via_vector *v = &vias[_i];
	struct str in = exact(v->in);
	struct sip_via via;
	struct diag diag = { 0 };
	int err = sip_via_parse(in, &via, &diag);

	ck_assert_msg(err == v->err, "'%s': %d (%s)", v->in, err, diag.text);
	if (err == 0) {
		ck_str(via.transport, v->transport);
		ck_str(via.host, v->host);
		ck_assert_uint_eq(via.port, v->port);
		ck_str(via.branch, v->branch);
		ck_str(via.received, v->received);
		ck_str(via.rport, v->rport);
		ck_assert_int_eq(via.has_rport, v->has_rport);
		ck_assert_int_eq(via.magic, v->magic);
	} else {
		ck_assert_uint_le(diag.pos, in.n);
	}
	exact_free(in);
	for (size_t i = 0; i < strlen(v->in); i++) {
		in = exact_n(v->in, i);
		(void)!sip_via_parse(in, &via, NULL);
		exact_free(in);
	}
}
END_TEST

START_TEST(via_list)
{
	struct str rest = STR_LIT("SIP/2.0/UDP a;branch=\"x,y\" ,SIP/2.0/TLS "
	                          "b;maddr=[::1];ttl=3;alias , SIP/2.0/WS c;alias=1~2");
	struct sip_via via;

	ck_assert_int_eq(sip_via_next(&rest, &via, NULL), 1);
	ck_str(via.host, "a");
	ck_str(via.branch, "x,y");
	ck_str(via.text, "SIP/2.0/UDP a;branch=\"x,y\"");
	ck_str(via.version, "SIP/2.0");
	ck_assert_int_eq(sip_via_next(&rest, &via, NULL), 1);
	ck_assert_int_eq((int)via.proto, SIP_PROTO_TLS);
	ck_str(via.maddr, "::1");
	ck_str(via.ttl, "3");
	ck_assert(via.has_alias && via.alias.n == 0);
	ck_assert_int_eq(sip_via_next(&rest, &via, NULL), 1);
	ck_str(via.alias, "1~2");
	ck_assert_int_eq(sip_via_next(&rest, &via, NULL), 0);
	rest = STR_LIT(
	    "SIP/2.0/UDP 192.0.2.15;;,;,,"); /* badinv01: the first value can be answered to */
	ck_assert_int_eq(sip_via_next(&rest, &via, NULL), 1);
	ck_assert_int_eq(sip_via_next(&rest, &via, NULL), -EBADMSG);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("via");

	tcase_add_loop_test(t, via_vectors, 0, ARRAY_LEN(vias));
	tcase_add_test(t, via_list);
	return suite_of("sip/via", t);
}
