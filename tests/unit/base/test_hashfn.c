/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyed hashing: depends on the key, folds case where asked, spreads. */
#include "core/base/hashfn.h"

#include "tests/lib/test_main.h"

static const uint8_t key_a[16] = "0123456789abcde", key_b[16] = "0123456789abcdf";

START_TEST(depends_on_every_part)
{
	uint64_t a, seeded;
	char data[600];

	memset(data, 'x', sizeof(data));
	for (size_t n = 0; n < sizeof(data); n += 37) {
		hashfn_key(key_a);
		a = hashfn64(data, n);
		seeded = hashfn64_seed(data, n, 1);
		ck_assert(a == hashfn64(data, n));
		ck_assert(seeded != hashfn64_seed(data, n, 2));
		hashfn_key(key_b);
		ck_assert(a != hashfn64(data, n));
		ck_assert(seeded != hashfn64_seed(data, n, 1));
	}
}
END_TEST

START_TEST(folds_case)
{
	char low[600], up[600];

	for (size_t i = 0; i < sizeof(low); i++) {
		low[i] = (char)('a' + i % 26);
		up[i] = (char)('A' + i % 26);
	}
	for (size_t n = 0; n <= sizeof(low); n++)
		ck_assert_uint_eq(hashfn32_icase(str_of(low, n)), hashfn32_icase(str_of(up, n)));
	ck_assert_uint_ne(hashfn32(str_of(low, 10)), hashfn32(str_of(up, 10)));
	ck_assert_uint_ne(hashfn32_icase(STR_LIT("a[")), hashfn32_icase(STR_LIT("a{")));
	ck_assert_uint_eq(hashfn32(STR_NULL), hashfn32(STR_LIT("")));
}
END_TEST

START_TEST(spreads)
{
	unsigned cells[256] = { 0 };

	hashfn_key(key_a);
	for (uint32_t i = 0; i < 256 * 100; i++)
		cells[hashfn32(str_of(&i, sizeof(i))) % 256]++;
	for (unsigned i = 0; i < 256; i++)
		ck_assert(cells[i] > 50 && cells[i] < 150);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("hashfn");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, depends_on_every_part);
	tcase_add_test(tc, folds_case);
	tcase_add_test(tc, spreads);
	suite_add_tcase(s, tc);
	return s;
}
