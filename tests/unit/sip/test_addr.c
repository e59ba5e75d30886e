/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

/* clang-format off */
static const struct addr_vector {
	const char *in; int err; const char *display, *uri, *params, *tag; bool bracketed;
} addrs[] = {
	{ "sip:a@b", 0, "", "sip:a@b", "", "", false },
	{ "sip:a@b;tag=1;x", 0, "", "sip:a@b", "tag=1;x", "1", false },
	{ " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n", 0, "", "sip:vivekg@chair-dnrc.example.com", "   tag    = 1918181833n", "1918181833n", false },
	{ "<sip:a@b;tag=no>;tag=yes", 0, "", "sip:a@b;tag=no", "tag=yes", "yes", true },
	{ "\"J Rosenberg \\\\\\\"\"       <sip:j@x>\r\n  ;\r\n  tag = 98asjd8", 0, "\"J Rosenberg \\\\\\\"\"", "sip:j@x", "\r\n  tag = 98asjd8", "98asjd8", true },
	{ "caller<sip:caller@example.com>;tag=323", 0, "caller", "sip:caller@example.com", "tag=323", "323", true },
	{ "A. Bell <sip:a@x>", 0, "A. Bell", "sip:a@x", "", "", true },
	{ "token1~` token2'+_ token3*%!.- <sip:m@x>;p=\"\xd1\";tag=_token~1'+`*%!-.", 0, "token1~` token2'+_ token3*%!.-", "sip:m@x", "p=\"\xd1\";tag=_token~1'+`*%!-.", "_token~1'+`*%!-.", true },
	{ "J\xc3\xbcrg M\xc3\xbcller <sip:j@x>", 0, "J\xc3\xbcrg M\xc3\xbcller", "sip:j@x", "", "", true },
	{ "\"a,b;c<d>\" <sip:a@x>", 0, "\"a,b;c<d>\"", "sip:a@x", "", "", true },
	{ "isbn:2983792873", 0, "", "isbn:2983792873", "", "", false },
	{ "<http://www.example.com>;tag=3", 0, "", "http://www.example.com", "tag=3", "3", true },
	{ "<sip:a@b?Route=%3Csip:x%3E>", 0, "", "sip:a@b?Route=%3Csip:x%3E", "", "", true },
	{ "", -EBADMSG, 0, 0, 0, 0, false },
	{ "a", -EBADMSG, 0, 0, 0, 0, false },
	{ "<>", -EBADMSG, 0, 0, 0, 0, false },
	{ "<sip:a@b", -EBADMSG, 0, 0, 0, 0, false },
	{ "\"Mr. J. User <sip:j.user@example.com>", -EBADMSG, 0, 0, 0, 0, false },           /* quotbal */
	{ "\"Watson, Thomas\" < sip:t.watson@example.org >", -EBADMSG, 0, 0, 0, 0, false },  /* badaspec */
	{ "Bell, Alexander <sip:a.g.bell@example.com>;tag=43", -EBADMSG, 0, 0, 0, 0, false }, /* baddn */
	{ "sip:user@example.com?Route=%3Csip:sip.example.com%3E", -EBADMSG, 0, 0, 0, 0, false }, /* regbadct */
	{ "sip:a,b@x", -EBADMSG, 0, 0, 0, 0, false },
	{ "sip:a@x y", -EBADMSG, 0, 0, 0, 0, false },
	{ "<sip:a@x> y", -EBADMSG, 0, 0, 0, 0, false },
	{ "<sip:a@x>, <sip:b@x>", -EBADMSG, 0, 0, 0, 0, false },
	{ "\"a\" sip:a@x", -EBADMSG, 0, 0, 0, 0, false },
	{ "a \"b\" <sip:a@x>", -EBADMSG, 0, 0, 0, 0, false },
	{ "<sip:a@x>;tag=\"", -EBADMSG, 0, 0, 0, 0, false },
	{ "<sip:<a@x>>", -EBADMSG, 0, 0, 0, 0, false },
};

static const struct { const char *in; int n; /* -1: broken at the end */ const char *items[4]; } lists[] = {
	{ "a", 1, { "a" } }, { "", 0, { 0 } }, { " , ", 0, { 0 } }, { "a, b ,c", 3, { "a", "b", "c" } },
	{ "a,,b,", 2, { "a", "b" } }, { "\"x,y\" <sip:a,b@x>;q=1, <sip:c@x>", 2, { "\"x,y\" <sip:a,b@x>;q=1", "<sip:c@x>" } },
	{ "a, \"b", -1, { 0 } }, { "a, <b", -1, { 0 } }, { "\"\\\"\",b", 2, { "\"\\\"\"", "b" } },
};
/* clang-format on */

START_TEST(addr_vectors)
{
	const struct addr_vector *v = &addrs[_i];
	struct str in = exact(v->in);
	struct sip_addr a;
	struct diag diag = { 0 };
	int err = sip_addr_parse(in, &a, &diag);

	ck_assert_msg(err == v->err, "'%s': %d (%s)", v->in, err, diag.text);
	if (err == 0) {
		ck_str(a.display, v->display);
		ck_str(a.uri, v->uri);
		ck_str(a.params, v->params);
		ck_str(a.tag, v->tag);
		ck_assert_int_eq(a.bracketed, v->bracketed);
		ck_assert(!a.star);
	} else {
		ck_assert_uint_le(diag.pos, in.n);
	}
	exact_free(in);
	for (size_t i = 0; i < strlen(v->in); i++) {
		in = exact_n(v->in, i);
		(void)!sip_addr_parse(in, &a, NULL);
		exact_free(in);
	}
}
END_TEST

START_TEST(list_vectors)
{
	struct str in = exact(lists[_i].in), rest = in, item;
	int n = 0, more;

	while ((more = sip_list_next(&rest, &item)) > 0) {
		if (lists[_i].n >= 0) {
			ck_assert_int_lt(n, lists[_i].n);
			ck_str(item, lists[_i].items[n]);
		}
		n++;
	}
	ck_assert_int_eq(more, lists[_i].n < 0 ? -EBADMSG : 0);
	if (lists[_i].n >= 0)
		ck_assert_int_eq(n, lists[_i].n);
	exact_free(in);
}
END_TEST

START_TEST(addr_star_and_lists)
{
	struct str rest = STR_LIT("<sip:a@x>;expires=1, sip:b@x;q=0.1, *");
	struct sip_addr a;

	ck_assert_int_eq(sip_addr_next(&rest, &a, NULL), 1);
	ck_str(a.text, "<sip:a@x>;expires=1");
	ck_assert_int_eq(sip_addr_next(&rest, &a, NULL), 1);
	ck_str(a.uri, "sip:b@x");
	ck_str(a.params, "q=0.1");
	ck_assert_int_eq(sip_addr_next(&rest, &a, NULL), 1);
	ck_assert(a.star);
	ck_assert_int_eq(sip_addr_next(&rest, &a, NULL), 0);
	ck_assert_int_eq(sip_addr_next(&rest, &a, NULL), 0);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("addr");

	tcase_add_loop_test(t, addr_vectors, 0, ARRAY_LEN(addrs));
	tcase_add_loop_test(t, list_vectors, 0, ARRAY_LEN(lists));
	tcase_add_test(t, addr_star_and_lists);
	return suite_of("sip/addr", t);
}
