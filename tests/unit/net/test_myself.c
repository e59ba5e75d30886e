/* SPDX-License-Identifier: BSD-2-Clause */
/* Each test runs in a process of its own (CK_FORK), so no name is known at its start. */
#include <errno.h>

#include "core/net/listener.h"
#include "core/net/myself.h"
#include "tests/lib/test_main.h"

START_TEST(myself)
{
	struct net_listen_spec spec = { .proto = SIP_PROTO_UDP,
		                        .host = STR_LIT("127.0.0.1"),
		                        .port = 5060,
		                        .adv_host = STR_LIT("adv.example") };
	struct net_listen_spec six = { .proto = SIP_PROTO_UDP, .host = STR_LIT("::1"), .port = 5060 };

	ck_assert_int_eq(net_listener_add(&spec, NULL), 0);
	ck_assert_int_eq(net_listener_add(&six, NULL), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_NONE, STR_LIT("Example.COM"), 0), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_TCP, STR_LIT("tcp.example"), 5080), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_TCP, STR_LIT("tcp.example"), 5080),
	                 0); /* once is enough */
	ck_assert_uint_eq(net_alias_count(), 2);
	ck_assert(net_is_myself(STR_LIT("example.com"), 5090, SIP_PROTO_UDP));
	ck_assert(net_is_myself(STR_LIT("EXAMPLE.com."), 0, SIP_PROTO_NONE));
	ck_assert(!net_is_myself(STR_LIT("xexample.com"), 0, SIP_PROTO_NONE));
	ck_assert(net_is_myself(STR_LIT("127.0.0.1"), 5060, SIP_PROTO_UDP));
	ck_assert(!net_is_myself(STR_LIT("127.0.0.1"), 5061, SIP_PROTO_UDP));
	ck_assert(net_is_myself(STR_LIT("adv.example"), 5060, SIP_PROTO_NONE));
	ck_assert(net_is_myself(STR_LIT("[0:0:0:0:0:0:0:1]"), 5060, SIP_PROTO_NONE));
	ck_assert(net_is_myself(STR_LIT("tcp.example"), 5080, SIP_PROTO_TCP));
	ck_assert(!net_is_myself(STR_LIT("tcp.example"), 5080, SIP_PROTO_UDP));
	ck_assert(!net_is_myself(STR_LIT(""), 0, SIP_PROTO_NONE));
}
END_TEST

/* A name stays until each who gave it has taken it back; the alias of a socket's address leaves the socket. */
START_TEST(taken_back)
{
	struct net_listen_spec spec = { .proto = SIP_PROTO_UDP, .host = STR_LIT("127.0.0.1"), .port = 5060 };
	enum sip_proto proto;
	struct str host;
	uint16_t port;

	ck_assert_int_eq(net_listener_add(&spec, NULL), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_NONE, STR_LIT("127.0.0.1"), 5060), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_NONE, STR_LIT("a.example"), 0), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_NONE, STR_LIT("A.example"), 0), 0);
	ck_assert_uint_eq(net_alias_count(), 2);
	net_alias_del(SIP_PROTO_NONE, STR_LIT("127.0.0.1"), 5060);
	ck_assert(net_is_myself(STR_LIT("127.0.0.1"), 5060, SIP_PROTO_UDP));
	ck_assert_int_eq(net_alias_at(0, &proto, &host, &port), 0);
	ck_assert(str_eq(host, STR_LIT("a.example")) && proto == SIP_PROTO_NONE && port == 0);
	ck_assert_int_eq(net_alias_at(1, &proto, &host, &port), -ENOENT);
	net_alias_del(SIP_PROTO_NONE, STR_LIT("a.example"), 0);
	ck_assert(net_is_myself(STR_LIT("a.example"), 0, SIP_PROTO_NONE));
	net_alias_del(SIP_PROTO_TCP, STR_LIT("a.example"), 0); /* nobody gave that one */
	net_alias_del(SIP_PROTO_NONE, STR_LIT("a.example"), 0);
	ck_assert(!net_is_myself(STR_LIT("a.example"), 0, SIP_PROTO_NONE));
	ck_assert_uint_eq(net_alias_count(), 0);
}
END_TEST

static bool is_odd(struct str host, uint16_t port, enum sip_proto proto)
{
	(void)host, (void)proto;
	return port % 2;
}

START_TEST(claimed)
{
	ck_assert(!net_is_myself(STR_LIT("c.example"), 5061, SIP_PROTO_NONE));
	ck_assert_int_eq(net_myself_register(is_odd), 0);
	ck_assert_uint_eq(net_myself_count(), 1);
	ck_assert(net_is_myself(STR_LIT("c.example"), 5061, SIP_PROTO_NONE));
	ck_assert(!net_is_myself(STR_LIT("c.example"), 5060, SIP_PROTO_NONE));
	ck_assert(!net_is_myself(STR_LIT(""), 5061, SIP_PROTO_NONE)); /* no name at all: not asked */
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("myself");
	TCase *tc = tcase_create("myself");

	tcase_add_test(tc, myself);
	tcase_add_test(tc, taken_back);
	tcase_add_test(tc, claimed);
	suite_add_tcase(s, tc);
	return s;
}
