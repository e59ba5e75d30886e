/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resolver against a real name server: dnsmasq on a port of loopback, started and ended by each
 * test that needs one. Without dnsmasq on the machine those tests are left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/net/dns.h"
#include "core/net/listener.h"
#include "core/net/resolve.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/free_port.h"
#include "tests/lib/hosts.h"
#include "tests/lib/test_main.h"

static uint16_t own_port[3];
#define DNS_PORT own_port[0]
#define SIP_PORT own_port[1]
#define SILENT_PORT own_port[2]
#define DNSMASQ "/usr/sbin/dnsmasq"

static struct loop *loop;
static pid_t server = -1;
static struct resolve_conf conf;
static unsigned n_done;
static int last_err;
static struct resolve_answer last;

static void on_done(void *arg, int err, const struct resolve_answer *answer)
{
	unsigned wanted = *(unsigned *)arg;

	last_err = err;
	last = *answer;
	if (++n_done == wanted)
		loop_stop(loop);
}

static bool server_answers(void)
{
	static const char query[] =
	    "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02h1\x04test\x00\x00\x01\x00\x01";
	struct net_addr a;
	struct sockaddr_storage sa;
	socklen_t n;
	struct pollfd p = { .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLIN };
	char buf[512];
	bool ok;

	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.1"), DNS_PORT, &a), 0);
	n = net_addr_to_sockaddr(&a, &sa);
	ck_assert_int_eq(connect(p.fd, (struct sockaddr *)&sa, n), 0);
	ok = send(p.fd, query, sizeof(query) - 1, 0) > 0 && poll(&p, 1, 50) == 1 &&
	     recv(p.fd, buf, sizeof(buf), 0) > 12;
	(void)close(p.fd);
	return ok;
}

static void server_start(void)
{
	free_ports(own_port, ARRAY_LEN(own_port));
	server = fork();
	if (server == 0) {
		int null = open("/dev/null", O_RDWR);
		char port_arg[20];

		snprintf(port_arg, sizeof(port_arg), "--port=%u", DNS_PORT);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execl(
		    DNSMASQ, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", port_arg,
		    "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
		    "--user=root", "--pid-file=", "--local=/test/", "--local-ttl=30",
		    "--host-record=h1.test,10.0.0.1,2001:db8::1", "--host-record=h2.test,10.0.0.2",
		    "--host-record=h3.test,10.0.0.3", "--host-record=h4.test,10.0.0.4",
		    "--cname=alias.test,h2.test", "--srv-host=_sip._udp.srv.test,h2.test,5072,20,1",
		    "--srv-host=_sip._udp.srv.test,h3.test,5073,10,1",
		    "--srv-host=_sip._udp.srv.test,h4.test,5074,10,9",
		    "--srv-host=_sip._tcp.tcponly.test,h2.test,5082,1,1",
		    "--srv-host=_sip._udp.naptr.test,h2.test,5092,1,1",
		    "--srv-host=_sip._tcp.naptr.test,h3.test,5093,1,1",
		    "--naptr-record=naptr.test,10,10,s,SIP+D2T,,_sip._tcp.naptr.test",
		    "--naptr-record=naptr.test,20,10,s,SIP+D2U,,_sip._udp.naptr.test",
		    "--naptr-record=naptr.test,5,10,s,SIPS+D2T,,_sips._tcp.naptr.test",
		    "--naptr-record=naptr.test,1,10,u,E2U+sip,!.*!sip:x@y!,.", (char *)NULL);
		_exit(127);
	}
	for (unsigned i = 0; i < 100 && !server_answers(); i++)
		(void)poll(NULL, 0, 10);
	ck_assert(server_answers());
}

static void server_stop(void)
{
	if (server <= 0)
		return;
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	server = -1;
}

static struct str server_at(uint16_t at)
{
	static char text[32];

	return str_of(text, (size_t)snprintf(text, sizeof(text), "127.0.0.1:%u", at));
}

static void setup(void)
{
	if (!DNS_PORT) /* a test without the server */
		free_ports(own_port, ARRAY_LEN(own_port));
	conf = (struct resolve_conf){ .try_ipv6 = 0,
		                      .udp_pref = 30,
		                      .tcp_pref = 20,
		                      .tls_pref = 10,
		                      .naptr_ignore_rfc = 1,
		                      .use_cache = 1,
		                      .negative_ttl = 60,
		                      .cache_mem_kb = 500,
		                      .retr_time = 1,
		                      .retr_no = 1,
		                      .servers = server_at(DNS_PORT),
		                      .timeout_ms = 3000 };
}

static void begin(void)
{
	struct shm_opts so = { .ceiling_bytes = 32u << 20 };
	static const enum sip_proto protos[] = { SIP_PROTO_UDP, SIP_PROTO_TCP };

	for (unsigned i = 0; i < 2; i++) { /* no TLS: what leads there is passed over */
		struct net_listen_spec four = { .proto = protos[i],
			                        .host = STR_LIT("127.0.0.1"),
			                        .port = SIP_PORT };
		struct net_listen_spec six = { .proto = protos[i],
			                       .host = STR_LIT("::1"),
			                       .port = SIP_PORT };

		ck_assert_int_eq(net_listener_add(&four, NULL), 0);
		ck_assert_int_eq(net_listener_add(&six, NULL), 0);
	}
	ck_assert_int_eq(shm_arena_create(&so), 0);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(resolve_init(&conf), 0);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(resolve_worker_init(loop), 0);
}

static void ask(const char *host, uint16_t port, enum sip_proto proto)
{
	struct resolve_query q = { .host = str_lit(host), .port = port, .proto = proto };
	unsigned one = 1;

	n_done = 0;
	ck_assert_int_eq(resolve_ask(&q, on_done, &one), 0);
	ck_assert_uint_eq(n_done, 0);
	loop_run(loop);
	ck_assert_uint_eq(n_done, 1);
}

static bool target_is(unsigned i, enum sip_proto proto, const char *text)
{
	char have[NET_ADDR_TEXT_MAX];

	(void)net_addr_text(&last.target[i].addr, have);
	return i < last.n && last.target[i].proto == proto && strcmp(have, text) == 0;
}

/* clang-format off */
static const struct literal { const char *host; uint16_t port; enum sip_proto proto; bool secure; enum sip_proto got; const char *text; } literals[] = {
	{ "192.0.2.1", 0, SIP_PROTO_NONE, false, SIP_PROTO_UDP, "192.0.2.1:5060" },
	{ "192.0.2.1", 5080, SIP_PROTO_TCP, false, SIP_PROTO_TCP, "192.0.2.1:5080" },
	{ "[2001:db8::1]", 0, SIP_PROTO_NONE, false, SIP_PROTO_UDP, "[2001:db8::1]:5060" },
	{ "2001:db8::1", 0, SIP_PROTO_NONE, true, SIP_PROTO_TLS, "[2001:db8::1]:5061" },
	{ "192.0.2.1", 0, SIP_PROTO_TCP, true, SIP_PROTO_TLS, "192.0.2.1:5061" },
};
/* clang-format on */

START_TEST(literal)
{
	const struct literal *l = &literals[_i];
	struct resolve_query q = {
		.host = str_lit(l->host), .port = l->port, .proto = l->proto, .secure = l->secure
	};

	begin();
	ck_assert_int_eq(resolve_now(&q, &last), 0);
	ck_assert_uint_eq(last.n, 1);
	ck_assert(target_is(0, l->got, l->text));
}
END_TEST

START_TEST(hosts_file)
{
	struct resolve_query q = { .host = STR_LIT("LocalHost"), .port = 5060 };

	begin();
	if (hosts_has_localhost()) {
		ck_assert_int_eq(resolve_now(&q, &last), 0);
		ck_assert(target_is(0, SIP_PROTO_UDP, "127.0.0.1:5060"));
	}
	q.host = STR_LIT("");
	ck_assert_int_eq(resolve_now(&q, &last), -ENOENT);
}
END_TEST

START_TEST(addresses)
{
	struct resolve_query q = { .host = STR_LIT("h1.test"), .port = 5070 };
	uint64_t used, max;

	conf.try_ipv6 = 1;
	conf.cache_flags = _i ? 4 : 0;
	begin();
	ck_assert_int_eq(resolve_now(&q, &last), -EAGAIN);
	ask("H1.test.", 5070, SIP_PROTO_TCP);
	ck_assert_int_eq(last_err, 0);
	ck_assert_uint_eq(last.n, 2);
	ck_assert(target_is(_i ? 1 : 0, SIP_PROTO_TCP, "10.0.0.1:5070"));
	ck_assert(target_is(_i ? 0 : 1, SIP_PROTO_TCP, "[2001:db8::1]:5070"));
	ck_assert_int_eq(resolve_now(&q, &last), 0); /* from the cache now */
	ck_assert(target_is(_i ? 1 : 0, SIP_PROTO_UDP, "10.0.0.1:5070"));
	ask("alias.test", 5070, SIP_PROTO_NONE);
	ck_assert(target_is(0, SIP_PROTO_UDP, "10.0.0.2:5070"));
	resolve_cache_mem(&used, &max);
	ck_assert_uint_gt(used, 0);
	ck_assert_uint_eq(max, 500 * 1024);
	resolve_cache_flush();
	resolve_cache_mem(&used, &max);
	ck_assert_uint_eq(used, 0);
	ck_assert_int_eq(resolve_now(&q, &last), -EAGAIN);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

START_TEST(srv)
{
	begin();
	ask("srv.test", 0, SIP_PROTO_UDP);
	ck_assert_int_eq(last_err, 0);
	ck_assert_uint_eq(last.n, 3);
	ck_assert(target_is(0, SIP_PROTO_UDP, "10.0.0.4:5074")); /* heavier */
	ck_assert(target_is(1, SIP_PROTO_UDP, "10.0.0.3:5073"));
	ck_assert(target_is(2, SIP_PROTO_UDP, "10.0.0.2:5072")); /* lower priority */
	ask("srv.test", 0, SIP_PROTO_NONE);
	ck_assert_uint_eq(last.n, 3);
	ask("tcponly.test", 0, SIP_PROTO_NONE);
	ck_assert_uint_eq(last.n, 1);
	ck_assert(target_is(0, SIP_PROTO_TCP, "10.0.0.2:5082"));
	ask("h2.test", 0, SIP_PROTO_NONE); /* no SRV: its address */
	ck_assert(target_is(0, SIP_PROTO_UDP, "10.0.0.2:5060"));
	ask("h2.test", 0, SIP_PROTO_TCP);
	ck_assert(target_is(0, SIP_PROTO_TCP, "10.0.0.2:5060"));
}
END_TEST

START_TEST(srv_balanced)
{
	struct resolve_query q = { .host = STR_LIT("srv.test"), .proto = SIP_PROTO_UDP };
	unsigned four = 0;

	conf.srv_lb = 1;
	begin();
	ask("srv.test", 0, SIP_PROTO_UDP);
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_int_eq(resolve_now(&q, &last), 0);
		ck_assert(target_is(2, SIP_PROTO_UDP, "10.0.0.2:5072"));
		four += target_is(0, SIP_PROTO_UDP, "10.0.0.4:5074");
	}
	ck_assert_uint_gt(four, 800); /* weight 9 of 10 */
	ck_assert_uint_lt(four, 970);
}
END_TEST

START_TEST(naptr)
{
	conf.try_naptr = 1;
	conf.naptr_ignore_rfc = _i;
	begin();
	ask("naptr.test", 0, SIP_PROTO_NONE);
	ck_assert_int_eq(last_err, 0);
	ck_assert_uint_eq(last.n, 2);
	ck_assert(target_is(_i ? 1 : 0, SIP_PROTO_TCP,
	                    "10.0.0.3:5093")); /* its order, or our preference */
	ck_assert(target_is(_i ? 0 : 1, SIP_PROTO_UDP, "10.0.0.2:5092"));
}
END_TEST

START_TEST(no_such_name)
{
	struct resolve_query q = { .host = STR_LIT("none.test"), .port = 5060 };

	conf.use_cache = _i;
	begin();
	ask("none.test", 5060, SIP_PROTO_NONE);
	ck_assert_int_eq(last_err, -ENOENT);
	ck_assert_int_eq(resolve_now(&q, &last), _i ? -ENOENT : -EAGAIN);
	ask("none.test", 0, SIP_PROTO_NONE);
	ck_assert_int_eq(last_err, -ENOENT);
	ck_assert_int_eq(shm_counter_read(shm_counter_register("dns", "failed_dns_request")), 2);
}
END_TEST

/* A name server that never answers; its socket. */
static int silent_server(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_storage sa;
	struct net_addr a;
	socklen_t n;

	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.1"), SILENT_PORT, &a), 0);
	n = net_addr_to_sockaddr(&a, &sa);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, n), 0);
	conf.servers = server_at(SILENT_PORT);
	return fd;
}

static unsigned n_asked(int fd)
{
	char buf[512];
	unsigned n = 0;

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		n++;
	(void)close(fd);
	return n;
}

/* Fifty runs want the same name at once: the server is asked once. */
START_TEST(coalesced)
{
	struct resolve_query q = { .host = STR_LIT("h3.test"), .port = 5060 };
	unsigned fifty = 50;
	int fd = silent_server();

	conf.timeout_ms = 300;
	begin();
	for (unsigned i = 0; i < fifty; i++)
		ck_assert_int_eq(resolve_ask(&q, on_done, &fifty), 0);
	loop_run(loop);
	ck_assert_uint_eq(n_done, fifty);
	ck_assert_int_eq(last_err, -ETIMEDOUT);
	ck_assert_uint_eq(n_asked(fd), 1);
}
END_TEST

/* With nothing set a lost question is repeated while its asker still waits. */
START_TEST(asked_again)
{
	int fd = silent_server();

	conf.retr_time = conf.retr_no = 0;
	conf.timeout_ms = 2000;
	begin();
	ask("h3.test", 5060, SIP_PROTO_NONE);
	ck_assert_int_eq(last_err, -ETIMEDOUT);
	ck_assert_uint_eq(n_asked(fd), 2);
}
END_TEST

/* Askers come and go while the name server is dead: what is asked of it stays bounded, and nobody gets stuck. */
START_TEST(dead_server)
{
	unsigned n = 0, wanted = 0;
	int fd = silent_server(), err = 0;
	char name[32];

	conf.retr_time = 60;
	conf.timeout_ms = 200;
	begin();
	while (err == 0 && n < 70000) {
		n_done = 0;
		for (wanted = 0; err == 0 && wanted < 2048; wanted++) {
			struct resolve_query q = { .host = str_of(name, (size_t)snprintf(name, sizeof(name), "n%u.test", n)), .port = 5060 };

			err = resolve_ask(&q, on_done, &wanted);
			if (err < 0)
				break;
			n++;
		}
		if (n_done < wanted)
			loop_run(loop);
	}
	ck_assert_int_eq(err, -EBUSY);
	ck_assert_uint_eq(n, 16384);
	(void)n_asked(fd);
}
END_TEST

START_TEST(too_many)
{
	struct resolve_query q = { .host = STR_LIT("h3.test"), .port = 5060 };
	unsigned never = UINT32_MAX, n = 0;
	int err;

	conf.servers = server_at(SILENT_PORT);
	begin();
	while ((err = resolve_ask(&q, on_done, &never)) == 0 && n < 100000)
		n++;
	ck_assert_int_eq(err, -EBUSY);
	ck_assert_uint_eq(n, 4096);
}
END_TEST

/* The cache never holds more than it may, and goes on taking what is new. */
START_TEST(cache_bound)
{
	struct dns_cache_conf c = { .negative_ttl_s = 60, .bytes_max = 20000 };
	struct shm_opts so = { .ceiling_bytes = 32u << 20 };
	struct dns_set set = { .n = 2, .ttl_s = 60 }, got, pin = { .n = 1 };
	uint64_t used, max;
	char name[64];

	memcpy(set.rr[0].name, "target", 6);
	set.rr[0].name_n = 6;
	set.rr[1].port = 77;
	ck_assert_int_eq(shm_arena_create(&so), 0);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(dns_cache_init(&c), 0);
	for (unsigned i = 0; i < 5000; i++) {
		int n = snprintf(name, sizeof(name), "host%u.test", i);

		dns_cache_put(DNS_SRV, str_of(name, (size_t)n), &set);
		resolve_cache_mem(&used, &max);
		ck_assert_uint_le(used, 20000);
		ck_assert_int_eq(dns_cache_get(DNS_SRV, str_of(name, (size_t)n), &got), 0);
		ck_assert_uint_eq(got.n, 2);
		ck_assert_uint_eq(got.rr[1].port, 77);
		ck_assert_int_eq(dns_cache_get(DNS_A, str_of(name, (size_t)n), &got), -ENOENT);
	}
	set.ttl_s = 0;
	dns_cache_put(DNS_SRV, STR_LIT("zero"), &set);
	ck_assert_int_eq(dns_cache_get(DNS_SRV, STR_LIT("zero"), &got), -ENOENT);
	set.ttl_s = 2;
	clock_fake(1000000, 1);
	dns_cache_put(DNS_SRV, STR_LIT("short"), &set);
	ck_assert_int_eq(dns_cache_get(DNS_SRV, STR_LIT("short"), &got), 0);
	clock_fake(1002001, 3);
	ck_assert_int_eq(dns_cache_get(DNS_SRV, STR_LIT("short"), &got), -ENOENT);
	/* what was pinned neither ends nor gives way */
	pin.rr[0].port = 78;
	ck_assert_int_eq(dns_cache_pin(DNS_SRV, STR_LIT("short"), &pin), 0);
	dns_cache_put(DNS_SRV, STR_LIT("short"), &set);
	ck_assert_int_eq(dns_cache_get(DNS_SRV, STR_LIT("short"), &got), 0);
	ck_assert_uint_eq(got.rr[0].port, 78);
	ck_assert_int_eq(dns_cache_get(DNS_A, STR_LIT("short"), &got), -ENOENT);
	for (unsigned i = 1; i < 256; i++)
		ck_assert_int_eq(dns_cache_pin(DNS_A, STR_LIT("other"), &pin), 0);
	ck_assert_int_eq(dns_cache_pin(DNS_A, STR_LIT("one more"), &pin), -ENOSPC);
	clock_fake(0, 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("resolve");
	TCase *tc = tcase_create("alone");

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, literal, 0, ARRAY_LEN(literals));
	tcase_add_test(tc, hosts_file);
	tcase_add_test(tc, coalesced);
	tcase_add_test(tc, asked_again);
	tcase_add_test(tc, dead_server);
	tcase_add_test(tc, too_many);
	tcase_add_test(tc, cache_bound);
	suite_add_tcase(s, tc);
	if (access(DNSMASQ, X_OK) < 0) {
		(void)fprintf(stderr, "no %s: tests with a name server are left out\n", DNSMASQ);
		return s;
	}
	tc = tcase_create("server");
	tcase_set_timeout(tc, 20);
	tcase_add_unchecked_fixture(tc, server_start, server_stop);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, addresses, 0, 2);
	tcase_add_test(tc, srv);
	tcase_add_test(tc, srv_balanced);
	tcase_add_loop_test(tc, naptr, 0, 2);
	tcase_add_loop_test(tc, no_such_name, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
