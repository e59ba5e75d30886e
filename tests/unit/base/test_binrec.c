/* SPDX-License-Identifier: BSD-2-Clause */
/* core/base/binrec.c: what is written is read back; what is cut or lies about its lengths is refused. */
#include "core/base/binrec.h"

#include <errno.h>

#include "tests/lib/test_main.h"

static char mem[70000];
static struct strbuf out;

static struct str written(void)
{
	ck_assert_int_eq(strbuf_err(&out), 0);
	return strbuf_str(&out);
}

static void setup(void)
{
	strbuf_init_fixed(&out, mem, sizeof(mem));
}

static const uint64_t numbers[] = { 0, 1, 7, 127, 128, 255, 256, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0xffffffffffffff };

START_TEST(numbers_come_back)
{
	struct bin_record r;
	struct str rest;
	uint64_t v = 9;

	bin_put_double(&out, numbers[_i]);
	bin_put_int(&out, (uint32_t)numbers[_i]);
	rest = written();
	ck_assert_int_eq(bin_record_read(&rest, &r), 0);
	ck_assert_int_eq(r.type, BIN_DOUBLE);
	ck_assert_int_eq(bin_number(&r, &v), 0);
	ck_assert(v == numbers[_i]);
	ck_assert_int_eq(bin_record_read(&rest, &r), 0);
	ck_assert_int_eq(r.type, BIN_INT);
	ck_assert_int_eq(bin_number(&r, &v), 0);
	ck_assert(v == (uint32_t)numbers[_i]);
	ck_assert_int_eq(bin_record_read(&rest, &r), -ENODATA);
}
END_TEST

static const size_t lengths[] = { 0, 1, 6, 7, 8, 254, 255, 256, 65534, 65535 };

START_TEST(texts_come_back)
{
	static char text[65536];
	struct bin_record r;
	struct str rest;

	memset(text, 'x', sizeof(text));
	bin_put_mark(&out, BIN_STRUCT, false);
	bin_put_text(&out, BIN_NAME, str_of(text, lengths[_i]));
	bin_put_mark(&out, BIN_STRUCT, true);
	rest = written();
	ck_assert_int_eq(bin_record_read(&rest, &r), 0);
	ck_assert(r.type == BIN_STRUCT && !r.is_end && r.value.n == 0);
	ck_assert_int_eq(bin_record_read(&rest, &r), 0);
	ck_assert_int_eq(r.type, BIN_NAME);
	ck_assert_uint_eq(r.value.n, lengths[_i] + 1); /* with its NUL */
	ck_assert(r.value.s[lengths[_i]] == '\0' && memcmp(r.value.s, text, lengths[_i]) == 0);
	ck_assert_int_eq(bin_record_read(&rest, &r), 0);
	ck_assert(r.type == BIN_STRUCT && r.is_end);
	for (size_t cut = 2; cut + 1 < out.n && cut < 300; cut++) { /* anywhere in the name */
		rest = str_of(mem + 1, cut - 1);
		ck_assert_int_eq(bin_record_read(&rest, &r), -EBADMSG);
		ck_assert_uint_eq(rest.n, cut - 1);
	}
}
END_TEST

static const size_t bodies[] = { 0, 1, 255, 256, 65535, 65536, 0xffffffff };

START_TEST(heads_come_back)
{
	struct bin_head h;
	struct str all;

	for (unsigned n = 1; n <= 4; n++) {
		setup();
		bin_put_head(&out, BIN_FAULT, bodies[_i], "abcd", n);
		all = written();
		ck_assert_uint_le(all.n, BIN_HEAD_MAX);
		for (size_t cut = 0; cut < all.n; cut++)
			ck_assert_int_eq(bin_head_read(str_of(all.s, cut), &h), -ENODATA);
		ck_assert_int_eq(bin_head_read(all, &h), 0);
		ck_assert(h.type == BIN_FAULT && h.body_n == bodies[_i] && h.cookie_n == n && h.n == all.n && memcmp(h.cookie, "abcd", n) == 0);
	}
	ck_assert_int_eq(bin_head_read(STR_LIT("GET / HTTP"), &h), -EBADMSG);
}
END_TEST

/* clang-format off */
static const struct str lies[] = {
	STR_LIT("\x41"),                 /* four bytes that are not there */
	STR_LIT("\xc1\xff\xff\xff\xff"), /* four gigabytes */
	STR_LIT("\xd1\x00\x00\x00\x00\x01x"), /* a length of five bytes */
	STR_LIT("\x91"),                 /* a length that is not there */
};
/* clang-format on */

START_TEST(lies_are_refused)
{
	struct str rest = lies[_i];
	struct bin_record r;

	ck_assert_int_eq(bin_record_read(&rest, &r), -EBADMSG);
}
END_TEST

START_TEST(no_number)
{
	struct bin_record r = { .type = BIN_INT, .value = STR_LIT("123456789") };
	uint64_t v;

	ck_assert_int_eq(bin_number(&r, &v), -EBADMSG);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("binrec");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, numbers_come_back, 0, (int)ARRAY_LEN(numbers));
	tcase_add_loop_test(tc, texts_come_back, 0, (int)ARRAY_LEN(lengths));
	tcase_add_loop_test(tc, heads_come_back, 0, (int)ARRAY_LEN(bodies));
	tcase_add_loop_test(tc, lies_are_refused, 0, (int)ARRAY_LEN(lies));
	tcase_add_test(tc, no_number);
	suite_add_tcase(s, tc);
	return s;
}
