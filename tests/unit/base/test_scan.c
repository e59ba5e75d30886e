/* SPDX-License-Identifier: BSD-2-Clause */
/* The parse cursor and the character classes. */
#include "core/base/scan.h"

#include <errno.h>

#include "tests/lib/test_main.h"

/* clang-format off */
static const struct { unsigned chars; const char *all; } classes[] = { /* besides letters and digits */
	{ CHARS_TOKEN,      "-.!%*_+`'~" },
	{ CHARS_WORD,       "-.!%*_+`'~()<>:\\\"/[]?{}" },
	{ CHARS_UNRESERVED, "-_.!~*'()" },
	{ CHARS_USER,       "-_.!~*'()%&=+$,;?/" },
	{ CHARS_PASSWORD,   "-_.!~*'()%&=+$," },
	{ CHARS_URI_PARAM,  "-_.!~*'()%[]/:&+$" },
	{ CHARS_URI_HEADER, "-_.!~*'()%[]/?:+$" },
	{ CHARS_HOST,       "-._" },
	{ CHARS_SCHEME,     "+-." },
	{ CHARS_NAME,       "_" },
};
static const struct lws { const char *in; size_t lws, blanks; } lwss[] = {
	{ "",            0, 0 },
	{ "a",           0, 0 },
	{ " \t a",       3, 3 },
	{ "\r\n a",      3, 0 },
	{ "\n\ta",       2, 0 },
	{ " \r\n a",     4, 1 },
	{ " \r\n  \r\n b", 8, 1 },
	{ "\r\na",       0, 0 },
	{ " \r\na",      1, 1 },
	{ " \r\n",       1, 1 },
	{ " \r",         1, 1 },
	{ " \r a",       1, 1 },
};
static const struct quoted { const char *in; int err; const char *inner; size_t pos; } quoteds[] = {
	{ "\"\"",          0,        "",       2 },
	{ "\"a b\" c",     0,        "a b",    5 },
	{ "\"a\\\"b\"",    0,        "a\\\"b", 6 },
	{ "\"a\\\\\"x\"",  0,        "a\\\\",  5 },
	{ "\"a",           -EBADMSG, NULL,     0 },
	{ "\"a\\\"",       -EBADMSG, NULL,     0 },
	{ "\"a\\",         -EBADMSG, NULL,     0 },
	{ "a\"",           -EBADMSG, NULL,     0 },
	{ "",              -EBADMSG, NULL,     0 },
};
/* clang-format on */

START_TEST(class_members)
{
	for (int c = 0; c < 256; c++) {
		bool alnum =
		    (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool in = alnum || (c && strchr(classes[_i].all, c));

		ck_assert_msg(char_is((char)c, classes[_i].chars) == in, "char %d", c);
	}
}
END_TEST

START_TEST(white_space)
{
	struct scan s = scan_begin(str_lit(lwss[_i].in));

	ck_assert_uint_eq(scan_lws(&s), lwss[_i].lws);
	ck_assert_uint_eq(s.pos, lwss[_i].lws);
	s.pos = 0;
	ck_assert_uint_eq(scan_blanks(&s), lwss[_i].blanks);
}
END_TEST

START_TEST(quoted_strings)
{
	struct scan s = scan_begin(str_lit(quoteds[_i].in));
	struct str inner;

	ck_assert_int_eq(scan_quoted(&s, &inner), quoteds[_i].err);
	ck_assert_uint_eq(s.pos, quoteds[_i].pos);
	if (quoteds[_i].inner)
		ck_assert(str_eq(inner, str_lit(quoteds[_i].inner)));
}
END_TEST

START_TEST(walks_a_line)
{
	struct scan s = scan_begin(STR_LIT("4711 INVITE ; a=\"b\" , END"));
	uint32_t n = 0;
	bool found;
	struct str v;

	ck_assert_int_eq(scan_peek(&s), '4');
	ck_assert_int_eq(scan_u32(&s, &n), 0);
	ck_assert_uint_eq(n, 4711);
	ck_assert_int_eq(scan_u32(&s, &n), -EBADMSG);
	ck_assert_uint_eq(scan_lws(&s), 1);
	ck_assert(!scan_lit(&s, STR_LIT("invite")));
	ck_assert(scan_ilit(&s, STR_LIT("invite")));
	ck_assert(!scan_sep(&s, ','));
	ck_assert(scan_sep(&s, ';'));
	ck_assert(str_eq(scan_while(&s, CHARS_TOKEN), STR_LIT("a")));
	ck_assert(scan_char(&s, '='));
	ck_assert(!scan_char(&s, '='));
	ck_assert_int_eq(scan_quoted(&s, &v), 0);
	ck_assert(str_eq(scan_until_char(&s, ',', &found), STR_LIT(" ")) && found);
	ck_assert(str_eq(scan_take(&s, 2), STR_LIT(", ")));
	ck_assert(str_eq(scan_rest(&s), STR_LIT("END")));
	ck_assert(str_eq(scan_until(&s, CHARS_BLANK), STR_LIT("END")));
	ck_assert(scan_at_end(&s));
	ck_assert_int_eq(scan_peek(&s), -1);
	ck_assert_uint_eq(scan_until_char(&s, ',', &found).n, 0);
	ck_assert(!found);
	ck_assert_uint_eq(scan_while(&s, CHARS_TOKEN).n, 0);
	ck_assert_uint_eq(scan_take(&s, 9).n, 0);
	ck_assert(str_eq(scan_since(&s, s.in.n - 3), STR_LIT("END")));
}
END_TEST

START_TEST(empty_text)
{
	struct scan s = scan_begin(STR_NULL);

	ck_assert(scan_at_end(&s) && !scan_char(&s, 'x') && !scan_sep(&s, 'x'));
	ck_assert_uint_eq(scan_lws(&s) + scan_blanks(&s) + scan_until(&s, CHARS_LWS).n, 0);
	ck_assert(scan_lit(&s, STR_NULL) && !scan_lit(&s, STR_LIT("a")));
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("scan");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, class_members, 0, ARRAY_LEN(classes));
	tcase_add_loop_test(tc, white_space, 0, ARRAY_LEN(lwss));
	tcase_add_loop_test(tc, quoted_strings, 0, ARRAY_LEN(quoteds));
	tcase_add_test(tc, walks_a_line);
	tcase_add_test(tc, empty_text);
	suite_add_tcase(s, tc);
	return s;
}
