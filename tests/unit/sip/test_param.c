/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/sip/sip_priv.h"
#include "tests/unit/sip/sip_test.h"

/* clang-format off */
static const struct { const char *in; int n; /* -1: broken */ const char *names[4], *values[4]; } lists[] = {
	{ "", 0, { 0 }, { 0 } },
	{ ";", 0, { 0 }, { 0 } },
	{ "lr", 1, { "lr" }, { "" } },
	{ ";lr;x=1", 2, { "lr", "x" }, { "", "1" } },
	{ ";lr;;x=1;", 2, { "lr", "x" }, { "", "1" } },
	{ "tag = 98asjd8", 1, { "tag" }, { "98asjd8" } },
	{ " newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33", 3, { "newparam", "secondparam", "q" }, { "newvalue", "", "0.33" } },
	{ "+sip.instance=\"<urn:uuid:1>;x\";reg-id=1", 2, { "+sip.instance", "reg-id" }, { "<urn:uuid:1>;x", "1" } },
	{ "a=\"q\\\"uo\\\\\";b", 2, { "a", "b" }, { "q\\\"uo\\\\", "" } },
	{ "received=[2001:db8::9:255]", 1, { "received" }, { "[2001:db8::9:255]" } },
	{ "fromParam''~+*_!.-%=\"\xd1\x80\"", 1, { "fromParam''~+*_!.-%" }, { "\xd1\x80" } },
	{ "a=", 1, { "a" }, { "" } },
	{ "a=0123456789abcdef\x01;b=\x02\x1f\x7f", 2, { "a", "b" }, { "0123456789abcdef\x01", "\x02\x1f\x7f" } },
	{ "branch=z9hG4bK0123456789abcdef0123456789 ;x", 2, { "branch", "x" }, { "z9hG4bK0123456789abcdef0123456789", "" } },
	{ "a=0123456789abcdef0123456789\x01\"", -1, { 0 }, { 0 } },
	{ "=b", -1, { 0 }, { 0 } },
	{ "a=\"open", -1, { 0 }, { 0 } },
	{ "a=\"open\\\"", -1, { 0 }, { 0 } },
	{ "a=\"open\\", -1, { 0 }, { 0 } },
	{ "a=b c", -1, { 0 }, { 0 } },
	{ "a b", -1, { 0 }, { 0 } },
	{ "a=b\"c\"", -1, { 0 }, { 0 } },
	{ "a=\"b\"c", -1, { 0 }, { 0 } },
	{ "\"a\"=b", -1, { 0 }, { 0 } },
};
/* clang-format on */

START_TEST(param_vectors)
{
	struct str in = exact(lists[_i].in), rest = in;
	struct sip_param p;
	int n = 0, more;

	while ((more = sip_param_next(&rest, &p)) > 0) {
		if (lists[_i].n >= 0) {
			ck_assert_int_lt(n, lists[_i].n);
			ck_str(p.name, lists[_i].names[n]);
			ck_str(p.value, lists[_i].values[n]);
		}
		n++;
	}
	ck_assert_int_eq(more, lists[_i].n < 0 ? -EBADMSG : 0);
	if (lists[_i].n >= 0)
		ck_assert_int_eq(n, lists[_i].n);
	exact_free(in);
}
END_TEST

START_TEST(param_find)
{
	struct sip_param p;

	ck_assert(sip_param_find(STR_LIT(";a=1;B=\"two\";c"), STR_LIT("b"), &p));
	ck_str(p.value, "two");
	ck_str(p.raw, "B=\"two\"");
	ck_assert(p.quoted && p.has_value);
	ck_assert(sip_param_find(STR_LIT("a=1;b;c"), STR_LIT("C"), &p));
	ck_assert(!p.has_value && !p.quoted);
	ck_assert(!sip_param_find(STR_LIT("a=1;b;c"), STR_LIT("d"), &p));
	ck_assert(!sip_param_find(STR_LIT("a=\"1;b;c"), STR_LIT("b"), &p)); /* broken before it */
	ck_assert(!sip_param_find(STR_NULL, STR_LIT("b"), &p));
}
END_TEST

/* The table against the text of RFC 3261, 25.1. */
START_TEST(char_classes)
{
	for (unsigned c = 0; c < 256; c++) {
		bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool digit = c >= '0' && c <= '9';

		ck_assert_int_eq(char_is((char)c, CHARS_ALPHA), alpha);
		ck_assert_int_eq(char_is((char)c, CHARS_DIGIT), digit);
		ck_assert_int_eq(char_is((char)c, CHARS_TOKEN),
		                 alpha || digit || (c && strchr("-.!%*_+`'~", (int)c) != NULL));
		ck_assert_int_eq(char_is((char)c, CHARS_LWS),
		                 c == ' ' || c == '\t' || c == '\r' || c == '\n');
		ck_assert_int_eq(char_is((char)c, CHARS_HEX),
		                 digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
		ck_assert_int_eq(char_is((char)c, CHARS_HOST),
		                 alpha || digit || c == '-' || c == '.' || c == '_');
	}
}
END_TEST

/* One byte alone and one among sixteen: the loop and the steps agree on what no URI holds. */
START_TEST(ends_of_uris)
{
	for (unsigned c = 0; c < 256; c++) {
		bool ends = c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"';
		char text[16];

		memset(text, 'x', sizeof(text));
		text[9] = (char)c;
		ck_assert_ptr_eq(sip_find_uri_end(text + 9, text + 10), ends ? text + 9 : text + 10);
		ck_assert_ptr_eq(sip_find_uri_end(text, text + 16), ends ? text + 9 : text + 16);
	}
}
END_TEST

/* The sixteen-byte steps and the tail find the same as a plain loop, for every length and place. */
START_TEST(find_everywhere)
{
	for (size_t n = 0; n < 70; n++) {
		char *p = malloc(n + 1);

		memset(p, 'x', n);
		ck_assert_ptr_eq(sip_find2(p, p + n, ':', '\n'), p + n);
		for (size_t i = 0; i < n; i++) {
			p[i] = i % 2 ? ':' : '\n';
			ck_assert_ptr_eq(sip_find2(p, p + n, ':', '\n'), p + i);
			p[i] = 'x';
		}
		free(p);
	}
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("param");

	tcase_add_loop_test(t, param_vectors, 0, ARRAY_LEN(lists));
	tcase_add_test(t, param_find);
	tcase_add_test(t, char_classes);
	tcase_add_test(t, ends_of_uris);
	tcase_add_test(t, find_everywhere);
	return suite_of("sip/param", t);
}
