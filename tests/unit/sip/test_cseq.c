/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

/* clang-format off */
static const struct { const char *in; int err; unsigned number; const char *name; int method; } vectors[] = {
	{ "1 INVITE", 0, 1, "INVITE", SIP_M_INVITE },
	{ "0009\r\n  INVITE", 0, 9, "INVITE", SIP_M_INVITE },
	{ "0 ACK", 0, 0, "ACK", SIP_M_ACK },
	{ "2147483647 OPTIONS", 0, 2147483647, "OPTIONS", SIP_M_OPTIONS },
	{ "139122385 !interesting-Method0123456789_*+`.%indeed'~", 0, 139122385, "!interesting-Method0123456789_*+`.%indeed'~", SIP_M_OTHER },
	{ "2147483648 OPTIONS", -EBADMSG, 0, 0, 0 },
	{ "4294967297 OPTIONS", -EBADMSG, 0, 0, 0 },
	{ "36893488147419103232 REGISTER", -EBADMSG, 0, 0, 0 },
	{ "", -EBADMSG, 0, 0, 0 }, { "1", -EBADMSG, 0, 0, 0 }, { "1 ", -EBADMSG, 0, 0, 0 }, { "INVITE", -EBADMSG, 0, 0, 0 },
	{ "1INVITE", -EBADMSG, 0, 0, 0 }, { "-1 INVITE", -EBADMSG, 0, 0, 0 }, { "+1 INVITE", -EBADMSG, 0, 0, 0 },
	{ "1 INV ITE", -EBADMSG, 0, 0, 0 }, { "1 INVITE;x", -EBADMSG, 0, 0, 0 },
};
/* clang-format on */

START_TEST(cseq_vectors)
{
	struct str in = exact(vectors[_i].in);
	struct sip_cseq c;
	struct diag diag = { 0 };
	int err = sip_cseq_parse(in, &c, &diag);

	ck_assert_int_eq(err, vectors[_i].err);
	ck_assert_uint_le(diag.pos, in.n);
	if (err == 0) {
		ck_assert_uint_eq(c.number, vectors[_i].number);
		ck_str(c.name, vectors[_i].name);
		ck_assert_int_eq((int)c.method, vectors[_i].method);
	}
	exact_free(in);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("cseq");

	tcase_add_loop_test(t, cseq_vectors, 0, ARRAY_LEN(vectors));
	return suite_of("sip/cseq", t);
}
