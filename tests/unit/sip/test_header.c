/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>

#include "core/sip/header.h"
#include "tests/unit/sip/sip_test.h"

/* Every name of the table finds itself in any case, and nothing one letter off: this proves the
 * hash. */
START_TEST(every_name_finds_itself)
{
	const char *name = sip_header_name((enum sip_header)_i);
	struct str s = exact(name);
	char *p = (char *)(uintptr_t)s.s;

	ck_assert_uint_gt(s.n, 0);
	ck_assert_int_eq((int)sip_header_lookup(s), _i);
	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)toupper((unsigned char)p[i]);
	ck_assert_int_eq((int)sip_header_lookup(s), _i);
	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)tolower((unsigned char)p[i]);
	ck_assert_int_eq((int)sip_header_lookup(s), _i);
	for (size_t i = 0; i < s.n; i++) {
		char was = p[i];

		p[i] = '~';
		ck_assert_int_eq((int)sip_header_lookup(s), SIP_H_OTHER);
		p[i] = was;
	}
	if (s.n > 2) /* no known name is the beginning of another one */
		ck_assert_int_eq((int)sip_header_lookup(str_sub(s, 0, s.n - 1)), SIP_H_OTHER);
	exact_free(s);
}
END_TEST

/* clang-format off */
static const struct { const char *a, *b; bool same; } equals[] = {
	{ "v", "Via", true }, { "V", "via", true }, { "f", "From", true }, { "t", "To", true },
	{ "i", "Call-ID", true }, { "m", "Contact", true }, { "l", "Content-Length", true },
	{ "c", "Content-Type", true }, { "k", "Supported", true }, { "o", "Event", true }, { "s", "Subject", true },
	{ "r", "Refer-To", true }, { "x", "Session-Expires", true }, { "y", "Identity", true },
	{ "n", "Identity-Info", true }, { "e", "Content-Encoding", true }, { "b", "Referred-By", true },
	{ "u", "Allow-Events", true }, { "a", "Accept-Contact", true }, { "j", "Reject-Contact", true },
	{ "d", "Request-Disposition", true }, { "X-Foo", "x-foo", true },
	{ "X-Foo", "X-Bar", false }, { "v", "To", false }, { "C%6Fntact", "Contact", false }, { "z", "Z", true },
	{ "6", "v", false }, { "\x16", "6", false },
};
/* clang-format on */

START_TEST(same_header)
{
	ck_assert_int_eq(sip_header_is(str_lit(equals[_i].a), str_lit(equals[_i].b)),
	                 equals[_i].same);
}
END_TEST

START_TEST(others)
{
	char n[64];

	ck_assert_int_eq((int)sip_header_lookup(STR_NULL), SIP_H_OTHER);
	ck_assert_str_eq(sip_header_name(SIP_H_OTHER), "");
	ck_assert_str_eq(sip_header_name(SIP_H_CALL_ID), "Call-ID");
	memset(n, 'a', sizeof(n));
	for (size_t i = 2; i < sizeof(n); i++)
		ck_assert_int_eq((int)sip_header_lookup(str_of(n, i)), SIP_H_OTHER);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("header");

	tcase_add_loop_test(t, every_name_finds_itself, 1, SIP_N_HEADERS);
	tcase_add_loop_test(t, same_header, 0, ARRAY_LEN(equals));
	tcase_add_test(t, others);
	return suite_of("sip/header", t);
}
