/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict numbers. */
#include "core/base/num.h"

#include <errno.h>

#include "tests/lib/test_main.h"

/* clang-format off */
static const struct vector {
	const char *in;
	int u32, u64, i64, hex, script; /* error of each */
	int64_t value, hex_value;
} vectors[] = {
	/* in                     u32       u64       i64       hex       script    value       hex */
	{ "0",                    0,        0,        0,        0,        0,        0,          0 },
	{ "",                    -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,        0,          0 },
	{ "42",                   0,        0,        0,        0,        0,        42,         0x42 },
	{ "007",                  0,        0,        0,        0,        0,        7,          7 },
	{ "-5",                  -EBADMSG, -EBADMSG,  0,       -EBADMSG,  0,       -5,          0 },
	{ "+5",                  -EBADMSG, -EBADMSG,  0,       -EBADMSG,  0,        5,          0 },
	{ "--5",                 -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,          0 },
	{ "-",                   -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,          0 },
	{ " 1",                  -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,          0 },
	{ "1 ",                  -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,          0 },
	{ "12a",                 -EBADMSG, -EBADMSG, -EBADMSG,  0,       -EBADMSG,  0,          0x12a },
	{ "0x1F",                -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,        31,         0 },
	{ "0x",                  -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,          0 },
	{ "4294967295",           0,        0,        0,        0,        0,        4294967295, 0x4294967295 },
	{ "4294967296",          -ERANGE,   0,        0,        0,        0,        4294967296, 0x4294967296 },
	{ "9223372036854775807", -ERANGE,   0,        0,       -ERANGE,   0,        INT64_MAX,  0 },
	{ "9223372036854775808", -ERANGE,   0,       -ERANGE,  -ERANGE,  -ERANGE,   0,          0 },
	{ "99999999999999999999",-ERANGE,  -ERANGE,  -ERANGE,  -ERANGE,  -ERANGE,   0,          0 },
	{ "99999999999999999999x",-EBADMSG,-EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG,  0,          0 },
};
static const struct { int64_t v; const char *text; } decs[] = {
	{ 0, "0" }, { 7, "7" }, { 10, "10" }, { -1, "-1" }, { -10, "-10" }, { 65535, "65535" }, { INT64_MAX, "9223372036854775807" },
	{ INT64_MIN, "-9223372036854775808" },
};
/* clang-format on */

START_TEST(parses_strictly)
{
	const struct vector *v = &vectors[_i];
	struct str in = str_lit(v->in);
	uint64_t u64 = 77;
	uint32_t u32 = 77;
	int64_t i64 = 77;

	ck_assert_int_eq(num_u32(in, &u32), v->u32);
	ck_assert_uint_eq(u32, v->u32 == 0 ? (uint64_t)v->value : 77);
	ck_assert_int_eq(num_u64(in, &u64), v->u64);
	if (v->u64 == 0 && v->i64 == 0)
		ck_assert_uint_eq(u64, (uint64_t)v->value);
	ck_assert_int_eq(num_i64(in, &i64), v->i64);
	ck_assert_int_eq(i64, v->i64 == 0 ? v->value : 77);
	i64 = 77;
	ck_assert_int_eq(num_script(in, &i64), v->script);
	ck_assert_int_eq(i64, v->script == 0 ? v->value : 77);
	u64 = 77;
	ck_assert_int_eq(num_hex_u64(in, &u64), v->hex);
	ck_assert_uint_eq(u64, v->hex == 0 ? (uint64_t)v->hex_value : 77);
}
END_TEST

START_TEST(lowest_number)
{
	int64_t i;
	uint64_t u;

	ck_assert_int_eq(num_i64(STR_LIT("-9223372036854775808"), &i), 0);
	ck_assert(i == INT64_MIN);
	ck_assert_int_eq(num_i64(STR_LIT("-9223372036854775809"), &i), -ERANGE);
	ck_assert_int_eq(num_script(STR_LIT("0xffffffffffffffff"), &i), -ERANGE);
	ck_assert_int_eq(num_hex_u64(STR_LIT("ffffffffffffffff"), &u), 0);
	ck_assert(u == UINT64_MAX);
}
END_TEST

START_TEST(writes_decimal)
{
	char out[NUM_DEC_MAX];

	ck_assert(str_eq(str_of(out, num_dec(decs[_i].v, out)), str_lit(decs[_i].text)));
}
END_TEST

START_TEST(writes_hex)
{
	char out[17] = "----------------";

	ck_assert_ptr_eq(num_hex(0x1234abcd, 4, out), out + 4);
	ck_assert_str_eq(out, "abcd------------");
	ck_assert_ptr_eq(num_hex(0, 0, out), out);
	ck_assert_ptr_eq(num_hex(0x0123456789abcdef, 16, out), out + 16);
	ck_assert_str_eq(out, "0123456789abcdef");
}
END_TEST

START_TEST(bytes_and_hex)
{
	static const char *const wrong[] = { "0", "012", "0g", "g0", "-1", "0x", " 0", "0:", "@0", "`0", "/0" };
	unsigned char bytes[256], back[256];
	char text[2 * sizeof(bytes) + 1];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	ck_assert_ptr_eq(num_hex_of(bytes, sizeof(bytes), text), text + sizeof(text) - 1);
	ck_assert_mem_eq(text, "000102", 6);
	ck_assert_mem_eq(text + sizeof(text) - 7, "fdfeff", 6);
	ck_assert_int_eq(num_hex_bytes(str_of(text, sizeof(text) - 1), back), 0);
	ck_assert_mem_eq(bytes, back, sizeof(bytes));
	ck_assert_int_eq(num_hex_bytes(STR_LIT("aBCdEf"), back), 0);
	ck_assert_mem_eq(back, "\xab\xcd\xef", 3);
	ck_assert_int_eq(num_hex_bytes(STR_NULL, NULL), 0);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert_int_eq(num_hex_bytes(str_lit(wrong[i]), back), -EBADMSG);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("num");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, parses_strictly, 0, ARRAY_LEN(vectors));
	tcase_add_test(tc, lowest_number);
	tcase_add_loop_test(tc, writes_decimal, 0, ARRAY_LEN(decs));
	tcase_add_test(tc, writes_hex);
	tcase_add_test(tc, bytes_and_hex);
	suite_add_tcase(s, tc);
	return s;
}
