/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "core/net/addr.h"
#include "tests/lib/test_main.h"

/* clang-format off */
static const struct vector {
	const char *in; int err; const char *ip, *full;
} vectors[] = {
	{ "192.0.2.1",      0,        "192.0.2.1",   "192.0.2.1:5060" },
	{ "0.0.0.0",        0,        "0.0.0.0",     "0.0.0.0:5060" },
	{ "255.255.255.255",0,        "255.255.255.255", "255.255.255.255:5060" },
	{ "2001:DB8::1",    0,        "2001:db8::1", "[2001:db8::1]:5060" },
	{ "[2001:db8::1]",  0,        "2001:db8::1", "[2001:db8::1]:5060" },
	{ "::",             0,        "::",          "[::]:5060" },
	{ "[192.0.2.1]",    -EBADMSG, NULL, NULL },
	{ "192.0.2",        -EBADMSG, NULL, NULL },
	{ "192.0.2.",       -EBADMSG, NULL, NULL },
	{ "192.0.2.1.",     -EBADMSG, NULL, NULL },
	{ "192.0.2.1.1",    -EBADMSG, NULL, NULL },
	{ "192.0..1",       -EBADMSG, NULL, NULL },
	{ ".192.0.2",       -EBADMSG, NULL, NULL },
	{ "192.0.2.01",     -EBADMSG, NULL, NULL },
	{ "192.0.2.1000",   -EBADMSG, NULL, NULL },
	{ "192.0.2.1x",     -EBADMSG, NULL, NULL },
	{ "192.0.2.-1",     -EBADMSG, NULL, NULL },
	{ "192.0.2.256",    -EBADMSG, NULL, NULL },
	{ "example.com",    -EBADMSG, NULL, NULL },
	{ "",               -EBADMSG, NULL, NULL },
	{ "[]",             -EBADMSG, NULL, NULL },
	{ "1:2:3:4:5:6:7:8:9", -EBADMSG, NULL, NULL },
	{ "0000000000000000000000000000000000000000000000000000000000000000000", -EBADMSG, NULL, NULL },
};

static const struct inside { const char *a, *net; unsigned bits; bool in; } insides[] = {
	{ "10.1.2.3", "10.0.0.0", 8, true },     { "11.1.2.3", "10.0.0.0", 8, false },
	{ "10.1.2.3", "10.1.2.3", 32, true },    { "10.1.2.3", "10.1.2.2", 32, false },
	{ "10.1.2.3", "10.1.2.2", 31, true },    { "1.2.3.4", "9.9.9.9", 0, true },
	{ "1.2.3.4", "1.2.3.4", 33, false },     { "2001:db8::1", "2001:db8::", 32, true },
	{ "2001:db9::1", "2001:db8::", 31, true }, { "2001:dba::1", "2001:db8::", 31, false },
	{ "::1", "0.0.0.0", 0, false },
};
/* clang-format on */

START_TEST(text)
{
	const struct vector *v = &vectors[_i];
	struct net_addr a;
	struct sockaddr_storage sa;
	struct net_addr back;
	char out[NET_ADDR_TEXT_MAX];

	ck_assert_int_eq(net_addr_parse(str_lit(v->in), 5060, &a), v->err);
	if (v->err)
		return;
	ck_assert_uint_eq(net_addr_ip_text(&a, false, out), strlen(v->ip));
	ck_assert_str_eq(out, v->ip);
	ck_assert_uint_eq(net_addr_text(&a, out), strlen(v->full));
	ck_assert_str_eq(out, v->full);
	ck_assert_uint_gt(net_addr_to_sockaddr(&a, &sa), 0);
	net_addr_from_sockaddr((struct sockaddr *)&sa, &back);
	ck_assert(net_addr_equal(&a, &back));
}
END_TEST

START_TEST(inside)
{
	struct net_addr a, net;

	ck_assert_int_eq(net_addr_parse(str_lit(insides[_i].a), 1, &a), 0);
	ck_assert_int_eq(net_addr_parse(str_lit(insides[_i].net), 0, &net), 0);
	ck_assert_int_eq(net_addr_in(&a, &net, insides[_i].bits), insides[_i].in);
}
END_TEST

START_TEST(kinds)
{
	struct net_addr a, b;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(7) };

	ck_assert_int_eq(net_addr_parse(STR_LIT("127.8.8.8"), 1, &a), 0);
	ck_assert(net_addr_is_loopback(&a) && !net_addr_is_any(&a));
	ck_assert_int_eq(net_addr_parse(STR_LIT("::1"), 1, &a), 0);
	ck_assert(net_addr_is_loopback(&a));
	ck_assert_int_eq(net_addr_parse(STR_LIT("::"), 1, &a), 0);
	ck_assert(net_addr_is_any(&a) && !net_addr_is_loopback(&a));
	memset(&a, 0, sizeof(a));
	ck_assert(!net_addr_is_any(&a));
	/* a mapped address from a socket is the IPv4 address */
	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr), 1);
	net_addr_from_sockaddr((struct sockaddr *)&in6, &a);
	ck_assert_int_eq(net_addr_parse(STR_LIT("192.0.2.9"), 7, &b), 0);
	ck_assert(net_addr_equal(&a, &b));
	b.port = 8;
	ck_assert(!net_addr_equal(&a, &b) && net_addr_ip_equal(&a, &b));
}
END_TEST

START_TEST(hex_styles)
{
	struct net_addr a;
	char out[NET_ADDR_TEXT_MAX];

	ck_assert_int_eq(net_addr_parse(STR_LIT("2001:db8::a"), 5060, &a), 0);
	net_addr_hex_style('a');
	ck_assert_uint_eq(net_addr_text(&a, out), 27);
	ck_assert_str_eq(out, "[2001:db8:0:0:0:0:0:a]:5060");
	net_addr_hex_style('A');
	ck_assert_uint_eq(net_addr_ip_text(&a, false, out), 20);
	ck_assert_str_eq(out, "2001:DB8:0:0:0:0:0:A");
	memset(a.ip, 0xff, sizeof(a.ip));
	ck_assert_uint_eq(net_addr_ip_text(&a, false, out), 39);
	ck_assert_int_eq(net_addr_parse(STR_LIT("2001:db8::a"), 5060, &a), 0);
	net_addr_hex_style('c');
	ck_assert_uint_eq(net_addr_ip_text(&a, true, out), 13);
	ck_assert_str_eq(out, "[2001:db8::a]");
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("addr");
	TCase *tc = tcase_create("addr");

	tcase_add_loop_test(tc, text, 0, ARRAY_LEN(vectors));
	tcase_add_loop_test(tc, inside, 0, ARRAY_LEN(insides));
	tcase_add_test(tc, kinds);
	tcase_add_test(tc, hex_styles);
	suite_add_tcase(s, tc);
	return s;
}
