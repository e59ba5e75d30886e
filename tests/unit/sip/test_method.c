/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

/* clang-format off */
static const struct { const char *name; int method; } vectors[] = {
	{ "INVITE", 1 }, { "CANCEL", 2 }, { "ACK", 4 }, { "BYE", 8 }, { "INFO", 16 }, { "REGISTER", 32 },
	{ "SUBSCRIBE", 64 }, { "NOTIFY", 128 }, { "MESSAGE", 256 }, { "OPTIONS", 512 }, { "PRACK", 1024 },
	{ "UPDATE", 2048 }, { "REFER", 4096 }, { "PUBLISH", 8192 }, { "KDMQ", 16384 },
	{ "invite", SIP_M_OTHER }, { "", SIP_M_OTHER }, { "INVITEX", SIP_M_OTHER }, { "RE%47IST%45R", SIP_M_OTHER },
};
/* clang-format on */

START_TEST(method_vectors)
{
	struct str name = exact(vectors[_i].name);
	const char *back = sip_method_name((enum sip_method)vectors[_i].method);

	ck_assert_int_eq((int)sip_method_lookup(name), vectors[_i].method);
	if (vectors[_i].method == SIP_M_OTHER)
		ck_assert_ptr_null(back);
	else
		ck_assert_str_eq(back, vectors[_i].name);
	exact_free(name);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("method");

	tcase_add_loop_test(t, method_vectors, 0, ARRAY_LEN(vectors));
	return suite_of("sip/method", t);
}
