/* SPDX-License-Identifier: BSD-2-Clause */
/* core/tm/out_via.c: flags behind the branch identifier are found, and nothing else is taken for them. */
#include "core/tm/out.h"
#include "tests/lib/test_main.h"

/* clang-format off */
static const struct { const char *branch; uint32_t flags; } rows[] = {
	{ "z9hG4bK12345678.0123456789abcdef.00.v1", 1 },
	{ "z9hG4bK12345678.0123456789abcdef.00.v80000000", 0x80000000 },
	{ "z9hG4bK12345678.0123456789abcdef.00.vffffffff", 0xffffffff },
	{ "z9hG4bKsl.0123456789abcdef.v1a", 0x1a },
	{ "z9hG4bKsl.0123456789abcdef.3.vA", 10 },
	{ "z9hG4bK12345678.0123456789abcdef.00", 0 },
	{ "z9hG4bK12345678.0123456789abcdef.00.v", 0 },
	{ "z9hG4bK12345678.0123456789abcdef.00.v123456789", 0 },
	{ "z9hG4bK12345678.0123456789abcdef.00v1", 0 },
	{ "z9hG4bK.v1x", 0 },
	{ ".v7", 7 }, { "v7", 0 }, { "7", 0 }, { "", 0 },
};
/* clang-format on */

START_TEST(flags)
{
	ck_assert_uint_eq(out_via_flags(str_lit(rows[_i].branch)), rows[_i].flags);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("out");
	TCase *t = tcase_create("via");

	tcase_add_loop_test(t, flags, 0, ARRAY_LEN(rows));
	suite_add_tcase(s, t);
	return s;
}
