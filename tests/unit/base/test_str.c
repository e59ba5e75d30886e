/* SPDX-License-Identifier: BSD-2-Clause */
/* Views: comparing, finding, cutting. */
#include "core/base/str.h"
#include "tests/lib/test_main.h"

/* clang-format off */
static const struct pair { const char *a, *b; bool eq, ieq; int cmp; } pairs[] = {
	{ "",     "",      true,  true,   0 },
	{ "a",    "",      false, false,  1 },
	{ "Via",  "VIA",   false, true,   1 },
	{ "a[",   "a{",    false, false, -1 }, /* differ by 0x20, and are no letters */
	{ "abc",  "abcd",  false, false, -1 },
	{ "x\xc0","x\xe0", false, false, -1 }, /* no letters outside ASCII */
};
static const struct find { const char *hay, *needle; ptrdiff_t at, iat; } finds[] = {
	{ "",       "",     0,  0 },
	{ "abc",    "",     0,  0 },
	{ "",       "a",   -1, -1 },
	{ "abcabc", "ca",   2,  2 },
	{ "abcABC", "CA",  -1,  2 },
	{ "ab",     "abc", -1, -1 },
	{ "aab",    "ab",   1,  1 },
};
static const struct trim { const char *in, *out; } trims[] = {
	{ "", "" }, { " \t\r\n", "" }, { " a b ", "a b" }, { "a", "a" }, { "\r\n a", "a" },
};
/* clang-format on */

START_TEST(compares)
{
	struct str a = str_lit(pairs[_i].a), b = str_lit(pairs[_i].b);
	int cmp = str_cmp(a, b);

	ck_assert(str_eq(a, b) == pairs[_i].eq);
	ck_assert(str_ieq(a, b) == pairs[_i].ieq);
	ck_assert(str_eq_secret(a, b) == pairs[_i].eq);
	ck_assert_int_eq((cmp > 0) - (cmp < 0), pairs[_i].cmp);
}
END_TEST

START_TEST(finds_text)
{
	struct str hay = str_lit(finds[_i].hay), needle = str_lit(finds[_i].needle);

	ck_assert_int_eq(str_find(hay, needle), finds[_i].at);
	ck_assert_int_eq(str_ifind(hay, needle), finds[_i].iat);
}
END_TEST

START_TEST(finds_chars)
{
	struct str s = STR_LIT("a:b:c");

	ck_assert_int_eq(str_find_char(s, ':'), 1);
	ck_assert_int_eq(str_rfind_char(s, ':'), 3);
	ck_assert_int_eq(str_find_char(s, 'z'), -1);
	ck_assert_int_eq(str_rfind_char(STR_NULL, ':'), -1);
	ck_assert_int_eq(str_find_char(STR_NULL, ':'), -1);
}
END_TEST

START_TEST(trims_blanks)
{
	ck_assert(str_eq(str_trim(str_lit(trims[_i].in)), str_lit(trims[_i].out)));
}
END_TEST

START_TEST(cuts_inside)
{
	struct str s = STR_LIT("hello");

	ck_assert(str_eq(str_sub(s, 1, 3), STR_LIT("ell")));
	ck_assert(str_eq(str_sub(s, 3, 100), STR_LIT("lo")));
	ck_assert_uint_eq(str_sub(s, 100, 1).n, 0);
	ck_assert_uint_eq(str_sub(s, SIZE_MAX, SIZE_MAX).n, 0);
	ck_assert_uint_eq(str_sub(STR_NULL, 0, 5).n, 0);
	ck_assert(str_starts(s, STR_LIT("he")) && !str_starts(s, STR_LIT("HE")));
	ck_assert(str_istarts(s, STR_LIT("HE")) && !str_istarts(s, STR_LIT("hello!")));
	ck_assert(str_ends(s, STR_LIT("lo")) && !str_ends(s, STR_LIT("hell")));
	ck_assert(str_ends(s, STR_NULL) && str_starts(STR_NULL, STR_NULL));
}
END_TEST

/* Only ASCII letters change: neither their neighbours in the table nor bytes above 127. */
START_TEST(lowers)
{
	char all[256], out[256];

	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	str_lower(str_of(all, sizeof(all)), out);
	for (unsigned i = 0; i < sizeof(all); i++)
		ck_assert_int_eq(out[i], i >= 'A' && i <= 'Z' ? (char)(i - 'A' + 'a') : (char)i);
	str_lower(str_of(all, sizeof(all)), all); /* in place */
	ck_assert_mem_eq(all, out, sizeof(all));
	str_lower(STR_NULL, NULL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("str");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, compares, 0, ARRAY_LEN(pairs));
	tcase_add_loop_test(tc, finds_text, 0, ARRAY_LEN(finds));
	tcase_add_test(tc, finds_chars);
	tcase_add_loop_test(tc, trims_blanks, 0, ARRAY_LEN(trims));
	tcase_add_test(tc, cuts_inside);
	tcase_add_test(tc, lowers);
	suite_add_tcase(s, tc);
	return s;
}
