/* SPDX-License-Identifier: BSD-2-Clause */
/* The vectors of RFC 4648, 10, the other alphabet, and what is refused. */
#include "core/base/base64.h"

#include <errno.h>

#include "tests/lib/test_main.h"

/* clang-format off */
static const struct vector { const char *plain, *padded; } vectors[] = {
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
};
/* clang-format on */

START_TEST(both_ways)
{
	struct str plain = str_lit(vectors[_i].plain), padded = str_lit(vectors[_i].padded), bare = padded;
	char out[BASE64_ROOM(6)], back[BASE64_DECODED(8)];

	while (bare.n > 0 && bare.s[bare.n - 1] == '=')
		bare.n--;
	ck_assert(str_eq(str_of(out, (size_t)base64_encode(plain, out)), padded));
	ck_assert(str_eq(str_of(out, (size_t)base64url_encode(plain, out)), padded));
	ck_assert(str_eq(str_of(out, (size_t)base64t_encode(plain, out)), bare));
	ck_assert(str_eq(str_of(out, (size_t)base64urlt_encode(plain, out)), bare));
	ck_assert(str_eq(str_of(back, (size_t)base64_decode(padded, back)), plain));
	ck_assert(str_eq(str_of(back, (size_t)base64url_decode(bare, back)), plain));
}
END_TEST

START_TEST(alphabets)
{
	char out[8];

	ck_assert(str_eq(str_of(out, (size_t)base64_encode(STR_LIT("\xfb\xff"), out)), STR_LIT("+/8=")));
	ck_assert(str_eq(str_of(out, (size_t)base64urlt_encode(STR_LIT("\xfb\xff"), out)), STR_LIT("-_8")));
	ck_assert_int_eq(base64_decode(STR_LIT("-_8="), out), -EBADMSG);
	ck_assert_int_eq(base64url_decode(STR_LIT("+/8"), out), -EBADMSG);
	ck_assert_int_eq(base64url_decode(STR_LIT("Zm9vY"), out), -EBADMSG);
	ck_assert_int_eq(base64url_decode(STR_LIT("Zm\0v"), out), -EBADMSG);
	ck_assert_int_eq(base64_decode(STR_LIT("Zm\r\n 9v"), out), 3);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("base64");
	TCase *tc = tcase_create("base64");

	tcase_add_loop_test(tc, both_ways, 0, (int)ARRAY_LEN(vectors));
	tcase_add_test(tc, alphabets);
	suite_add_tcase(s, tc);
	return s;
}
