/* SPDX-License-Identifier: BSD-2-Clause */
/* Each test runs in a process of its own (CK_FORK), so the table of listeners is empty at its
 * start. */
#include <errno.h>
#include <stdio.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/net/listener.h"
#include "core/net/myself.h"
#include "tests/lib/free_port.h"
#include "tests/lib/hosts.h"
#include "tests/lib/test_main.h"

static uint16_t own_port[1];
#define PORT own_port[0]

static int add(enum sip_proto proto, const char *host, uint16_t port, struct diag *d)
{
	struct net_listen_spec spec = { .proto = proto, .host = str_lit(host), .port = port };

	return net_listener_add(&spec, d);
}

static bool is(struct str s, const char *z)
{
	return str_eq(s, str_lit(z));
}

START_TEST(texts)
{
	struct net_listen_spec spec = { .proto = SIP_PROTO_UDP,
		                        .host = STR_LIT("127.0.0.1"),
		                        .adv_host = STR_LIT("sip.example.net"),
		                        .adv_port = 5080,
		                        .name = STR_LIT("outside") };
	const struct net_listener *l;

	ck_assert_int_eq(add(SIP_PROTO_UDP, "127.0.0.1", 5070, NULL), 0);
	l = net_listener_at(0);
	ck_assert(is(l->via_sent_by, "127.0.0.1:5070") && is(l->sock_text, "udp:127.0.0.1:5070") &&
	          is(l->host, "127.0.0.1"));
	ck_assert_int_eq(net_listener_add(&spec, NULL), 0);
	l = net_listener_at(1);
	ck_assert(is(l->via_sent_by, "sip.example.net:5080") &&
	          is(l->sock_text, "udp:127.0.0.1:5060"));
	ck_assert_ptr_eq(net_listener_named(STR_LIT("outside")), l);
	ck_assert_int_eq(add(SIP_PROTO_NONE, "::1", 0, NULL), 0); /* udp and tcp */
	ck_assert_uint_eq(net_listener_count(), 4);
	ck_assert(is(net_listener_at(3)->via_sent_by, "[::1]") &&
	          is(net_listener_at(3)->sock_text, "tcp:[::1]:5060"));
	ck_assert_ptr_eq(net_listener_find(STR_LIT("udp:127.0.0.1:5070")), net_listener_at(0));
	ck_assert_ptr_eq(net_listener_find(STR_LIT("127.0.0.1")), net_listener_at(1));
	ck_assert_ptr_eq(net_listener_find(STR_LIT("tcp:[::1]:5060")), net_listener_at(3));
	ck_assert_ptr_eq(net_listener_find(STR_LIT("tcp:[::1]")), net_listener_at(3));
	ck_assert_ptr_null(net_listener_find(STR_LIT("tcp:127.0.0.1:5070")));
	ck_assert_ptr_null(net_listener_find(STR_LIT("udp:127.0.0.1:99999")));
	ck_assert_ptr_null(net_listener_at(4));
}
END_TEST

START_TEST(refused)
{
	char text[100];
	struct diag d;

	ck_assert_int_eq(add(SIP_PROTO_UDP, "127.0.0.1", PORT, &d), 0);
	ck_assert_int_eq(add(SIP_PROTO_UDP, "127.0.0.1", PORT, &d), -EBADMSG);
	snprintf(text, sizeof(text), "udp:127.0.0.1:%u is listed twice", PORT);
	ck_assert_str_eq(d.text, text);
	ck_assert_int_eq(add(SIP_PROTO_TLS, "127.0.0.1", PORT, &d), -EBADMSG);
	ck_assert_str_eq(d.text, "this build cannot listen on tls");
	ck_assert_int_eq(add(SIP_PROTO_UDP, "no such host", PORT, &d), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(d.text, "no such host"));
}
END_TEST

START_TEST(interface)
{
	ck_assert_int_eq(add(SIP_PROTO_UDP, "lo", PORT, NULL), 0);
	ck_assert_uint_ge(net_listener_count(), 1);
	ck_assert(is(net_listener_at(0)->host, "127.0.0.1"));
	if (!hosts_has_localhost())
		return;
	ck_assert_int_eq(add(SIP_PROTO_TCP, "localhost", PORT, NULL), 0);
	ck_assert(net_is_myself(STR_LIT("LocalHost"), PORT, SIP_PROTO_TCP));
}
END_TEST

START_TEST(chosen)
{
	struct net_addr lo, out, six;

	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.9"), 5060, &lo), 0);
	ck_assert_int_eq(net_addr_parse(STR_LIT("192.0.2.1"), 5060, &out), 0);
	ck_assert_int_eq(net_addr_parse(STR_LIT("2001:db8::1"), 5060, &six), 0);
	ck_assert_int_eq(add(SIP_PROTO_UDP, "127.0.0.1", 5060, NULL), 0);
	ck_assert_int_eq(add(SIP_PROTO_UDP, "10.0.0.1", 5060, NULL), 0);
	ck_assert_int_eq(add(SIP_PROTO_TCP, "10.0.0.1", 5060, NULL), 0);
	ck_assert_int_eq(add(SIP_PROTO_TCP, "10.0.0.2", 5060, NULL), 0);
	ck_assert_uint_eq(net_listener_for(SIP_PROTO_UDP, &lo, NET_LISTENER_NONE)->index, 0);
	ck_assert_uint_eq(net_listener_for(SIP_PROTO_UDP, &out, NET_LISTENER_NONE)->index, 1);
	ck_assert_uint_eq(net_listener_for(SIP_PROTO_UDP, &out, 0)->index, 0); /* forced */
	ck_assert_uint_eq(net_listener_for(SIP_PROTO_TCP, &out, 1)->index, 2); /* same address */
	ck_assert_uint_eq(net_listener_for(SIP_PROTO_TCP, &out, 3)->index, 3);
	ck_assert_ptr_null(net_listener_for(SIP_PROTO_UDP, &six, 0));
	net_tcp_disable();
	ck_assert_ptr_null(net_listener_for(SIP_PROTO_TCP, &out, 3));
}
END_TEST

START_TEST(by_route)
{
	struct net_addr to;

	/* the kernel sends to any loopback address from 127.0.0.1 */
	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.3"), 5060, &to), 0);
	ck_assert_int_eq(add(SIP_PROTO_UDP, "127.0.0.2", 5060, NULL), 0);
	ck_assert_int_eq(add(SIP_PROTO_UDP, "127.0.0.1", 5060, NULL), 0);
	ck_assert_uint_eq(net_listener_for(SIP_PROTO_UDP, &to, NET_LISTENER_NONE)->index, 0);
	net_mhomed_enable();
	for (unsigned i = 0; i < 2; i++) /* asked, then remembered */
		ck_assert_uint_eq(net_listener_for(SIP_PROTO_UDP, &to, NET_LISTENER_NONE)->index,
		                  1);
	ck_assert_uint_eq(net_listener_for(SIP_PROTO_UDP, &to, 0)->index, 0);
}
END_TEST

START_TEST(opened)
{
	struct net_open_opts opts = {
		.n_workers = 4, .rx_bytes = 65536, .tx_bytes = 65536, .tos = 16, .backlog = 16
	};
	struct net_listener *l;
	struct pollfd fds[4];
	unsigned hit = 0;
	struct sockaddr_storage sa;
	socklen_t n;
	int fd;

	ck_assert_int_eq(add(SIP_PROTO_NONE, "127.0.0.1", PORT, NULL), 0);
	ck_assert_int_eq(net_listeners_open(&opts, NULL), 0);
	ck_assert_uint_eq(net_listener_at(0)->n_fds, 4);
	ck_assert_int_ge(net_listener_at(1)->listen_fd, 0);
	/* one sender, one 4-tuple: still every worker gets some */
	l = (struct net_listener *)(uintptr_t)net_listener_at(0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	n = net_addr_to_sockaddr(&l->addr, &sa);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, n), 1);
	for (unsigned i = 0; i < 4; i++)
		fds[i] = (struct pollfd){ .fd = l->udp_fds[i], .events = POLLIN };
	ck_assert_int_ge(poll(fds, 4, 1000), 1);
	for (unsigned i = 0; i < 4; i++)
		hit += !!(fds[i].revents & POLLIN);
	ck_assert_uint_eq(hit, 4);
	(void)close(fd);
	net_listeners_close();
	ck_assert_uint_eq(net_listener_at(0)->n_fds, 0);
}
END_TEST

/* SO_REUSEPORT would let a second server of the same user in silently. */
START_TEST(taken)
{
	char text[100];
	struct net_open_opts opts = { .n_workers = 2, .tos = -1 };
	struct diag d;
	struct sockaddr_storage sa;
	struct net_addr a;
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n;

	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.1"), PORT, &a), 0);
	n = net_addr_to_sockaddr(&a, &sa);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, n), 0);
	ck_assert_int_eq(add(SIP_PROTO_UDP, "127.0.0.1", PORT, NULL), 0);
	ck_assert_int_eq(net_listeners_open(&opts, &d), -EADDRINUSE);
	snprintf(text, sizeof(text), "cannot listen on udp:127.0.0.1:%u: Address already in use", PORT);
	ck_assert_str_eq(d.text, text);
	(void)close(fd);
	ck_assert_int_eq(net_listeners_open(&opts, &d), 0);
	net_listeners_close();
}
END_TEST

static void take_ports(void)
{
	free_ports(own_port, ARRAY_LEN(own_port));
}

Suite *test_suite(void)
{
	Suite *s = suite_create("listener");
	TCase *tc = tcase_create("listener");

	tcase_add_checked_fixture(tc, take_ports, NULL);
	tcase_add_test(tc, texts);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, interface);
	tcase_add_test(tc, chosen);
	tcase_add_test(tc, by_route);
	tcase_add_test(tc, opened);
	tcase_add_test(tc, taken);
	suite_add_tcase(s, tc);
	return s;
}
