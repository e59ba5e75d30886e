/* SPDX-License-Identifier: BSD-2-Clause */
/* core/base/secret.c: passwords of URLs are hidden, all else is as it was. */
#include "core/base/secret.h"

#include "tests/lib/test_main.h"

/* clang-format off */
static const struct { const char *in, *out; } vectors[] = {
	{ "", "" },
	{ "plain text", "plain text" },
	{ "mysql://kamailio:pw@localhost/kamailio", "mysql://kamailio:***@localhost/kamailio" },
	{ "\"mysql://kamailio:pw@localhost/kamailio\"", "\"mysql://kamailio:***@localhost/kamailio\"" },
	{ "postgres://u:p@ss/w:rd@h:5432/d", "postgres://u:***@h:5432/d" },
	{ "redis://:pw@h", "redis://:***@h" },
	{ "mysql://u:@h/d", "mysql://u:***@h/d" },
	{ "mysql://u@h:3306/d", "mysql://u@h:3306/d" },
	{ "sqlite:///var/lib/a:b@c", "sqlite:///var/lib/a:b@c" },
	{ "http://host:8080/path", "http://host:8080/path" },
	{ "http://host/a:b@c", "http://host/a:b@c" },
	{ "a://u:p@h b://v:q@i", "a://u:***@h b://v:***@i" },
	{ "sip:alice:pw@example.com", "sip:alice:pw@example.com" }, /* no such URL */
	{ "://", "://" }, { "x://:", "x://:" }, { "x://@", "x://@" }, { "x://:@", "x://:***@" },
};
/* clang-format on */

START_TEST(hides)
{
	struct str in = str_lit(vectors[_i].in), got;
	char mem[128];
	struct strbuf sb;

	got = secret_hidden(in, mem, sizeof(mem));
	ck_assert_msg(str_eq(got, str_lit(vectors[_i].out)), "%s: %.*s", vectors[_i].in, STR_FMT(got));
	strbuf_init(&sb, 2 * in.n + 16);
	secret_hide(&sb, in);
	ck_assert_int_eq(strbuf_err(&sb), 0);
	ck_assert(str_eq(strbuf_str(&sb), got));
	strbuf_done(&sb);
}
END_TEST

/* However little fits: nothing of the password. */
START_TEST(cut)
{
	static const char in[] = "mysql://user:PASSWORD@host/name";
	char mem[64];

	for (size_t n = 0; n < sizeof(mem); n++) {
		struct str got = secret_hidden(STR_LIT(in), mem, n);

		ck_assert_uint_le(got.n, n);
		for (size_t i = 0; i < got.n; i++)
			ck_assert(got.s[i] != 'P' && got.s[i] != 'W');
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("secret");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, hides, 0, (int)ARRAY_LEN(vectors));
	tcase_add_test(tc, cut);
	suite_add_tcase(s, tc);
	return s;
}
