/* SPDX-License-Identifier: BSD-2-Clause */
/* The way back to clients behind proxies: learned, followed, forgotten, bounded; and a death while one is learned. */
#include "core/transport/proxied.h"

#include <sys/wait.h>

#include "shm/crash.h"
#include "tests/lib/free_port.h"
#include "tests/unit/transport/transport_fixture.h"

static struct net_addr client, proxy, other, dst;
static unsigned n_failed;
static char failed_bytes[16];

static void failed(const struct tx_dest *dest, struct str bytes, int err)
{
	(void)dest, (void)err;
	n_failed++;
	ck_assert_uint_lt(bytes.n, sizeof(failed_bytes));
	memcpy(failed_bytes, bytes.s, bytes.n);
}

static void setup(void)
{
	struct conn_conf conf = conn_defaults();
	struct rx_conf rxc = { .msg_max_bytes = 2000, .batch = 64 };
	uint16_t port[2];

	free_ports(port, 2);
	listen_on(SIP_PROTO_UDP, "127.0.0.1", port[0]);
	listen_on(SIP_PROTO_UDP, "127.0.0.1", port[1]);
	world(&conf, &rxc, 1);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_SUPERVISOR), 0);
	ck_assert_int_eq(proxied_init(3), 0);
	shm_slot_release();
	client = at("10.1.2.3", 4000);
	proxy = at("127.0.0.1", 9);
	other = at("127.0.0.2", 9);
	dst = at("192.0.2.1", 5060);
}

static void as_worker(void)
{
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_WORKER), 0);
	(void)clock_update();
}

/* A datagram with the simple header. */
static bool comes(const struct net_addr *from, const struct net_addr *whose, uint16_t listener)
{
	char text[NET_PROXY_SIMPLE_BYTES + 4];
	struct str bytes = str_of(text, sizeof(text));
	struct rx_info info = { .proto = SIP_PROTO_UDP, .listener = listener, .src = *from };
	bool behind = false, taken;

	net_proxy_simple_build(whose, &dst, text);
	memcpy(text + NET_PROXY_SIMPLE_BYTES, "text", 4);
	taken = proxied_take(&bytes, &info, &behind);
	if (taken)
		ck_assert(behind && net_addr_equal(&info.src, whose) && str_eq(bytes, STR_LIT("text")));
	return taken;
}

static void leads_to(uint16_t listener, const struct net_addr *want, uint16_t over)
{
	struct proxied_way way;

	ck_assert(proxied_find(&client, listener, &way));
	ck_assert(net_addr_equal(&way.proxy, want) && net_addr_equal(&way.dst, &dst));
	ck_assert_uint_eq(way.listener, over);
	ck_assert_int_eq(way.kind, NET_PROXY_SIMPLE);
}

START_TEST(the_last_datagram_decides)
{
	struct net_addr plain = client;
	struct str text = STR_LIT("plain");
	struct rx_info info = { .proto = SIP_PROTO_UDP, .listener = 1, .src = plain };
	struct proxied_way way;
	bool behind = true;

	as_worker();
	ck_assert(!proxied_find(&client, 0, &way));
	ck_assert(comes(&proxy, &client, 1));
	leads_to(1, &proxy, 1);
	leads_to(0, &proxy, 1); /* only there it can be reached */
	ck_assert(comes(&other, &client, 0));
	leads_to(1, &proxy, 1);
	leads_to(0, &other, 0);
	ck_assert(comes(&other, &client, 1));
	leads_to(1, &other, 1);
	ck_assert_uint_eq(proxied_count(), 2);
	ck_assert(proxied_take(&text, &info, &behind)); /* it comes without a proxy now */
	ck_assert(!behind && text.n == 5 && net_addr_equal(&info.src, &plain));
	leads_to(1, &other, 0);
	ck_assert_uint_eq(proxied_forget(0), 1);
	ck_assert(!proxied_find(&client, 0, &way));
	ck_assert_int_eq(shm_check_all(NULL), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
}
END_TEST

START_TEST(bounded)
{
	struct net_addr a = at("10.0.0.0", 1);
	struct proxied_way way;
	unsigned n = 0;

	as_worker();
	for (; n < 300000; n++) {
		a.ip[1] = (uint8_t)(n >> 16);
		a.ip[2] = (uint8_t)(n >> 8);
		a.ip[3] = (uint8_t)n;
		if (!comes(&proxy, &a, 0))
			break;
	}
	ck_assert_uint_eq(n, 262144);
	ck_assert_int_eq(shm_counter_read(tcnt.rx_proxy_full), 1);
	a = at("10.0.0.0", 1);
	ck_assert(proxied_find(&a, 0, &way)); /* nobody who talks gives way */
	clock_fake(clock_ms() + 65000, 0);
	ck_assert(comes(&proxy, &a, 0)); /* known: needs no room */
	ck_assert(comes(&proxy, &client, 0)); /* who was idle for longer than a transaction does */
	ck_assert_uint_lt(proxied_count(), 262144);
	ck_assert(proxied_find(&a, 0, &way));
	clock_fake(clock_ms() + PROXIED_LIFE_MS, 0);
	ck_assert(!proxied_find(&a, 0, &way));
	n = (unsigned)proxied_count();
	for (unsigned i = 0; i < 100; i++) { /* the rest goes as others come */
		client.port = (uint16_t)(5000 + i);
		ck_assert(comes(&proxy, &client, 0));
	}
	ck_assert_uint_lt(proxied_count(), n);
	ck_assert_uint_gt(proxied_forget(0), 0);
	ck_assert_uint_eq(proxied_count(), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
}
END_TEST

/* What the kernel refuses is told with the bytes that the sender gave. */
START_TEST(a_failure_has_no_header)
{
	struct net_addr nowhere = at("0.0.0.0", 0);
	struct tx_dest d = { .to = client, .listener = 0, .proto = SIP_PROTO_UDP };

	work_as(0, ctx_free);
	tx_on_fail(failed);
	ck_assert(comes(&nowhere, &client, 0));
	ck_assert_int_eq(tx_send_bytes(&d, "none", 4), 0);
	tx_flush();
	RUN_UNTIL(n_failed == 1);
	ck_assert_str_eq(failed_bytes, "none");
}
END_TEST

static const char *const points[] = { "proxied.learn", "hash.push.after", "hash.replace.stored", "hash.remove.retired" };

START_TEST(a_worker_dies_while_it_learns)
{
#ifdef RF_CRASH_POINTS
	for (unsigned nth = 1; nth <= 16; nth *= 4) {
		int status = 0;
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			if (shm_slot_take(1, SHM_SLOT_WORKER) < 0 || shm_crash_arm(points[_i], nth) < 0)
				_exit(4);
			for (unsigned i = 0; i < 300; i++) {
				struct net_addr a = at("10.0.0.1", (uint16_t)(1 + i % 17));

				(void)comes(i % 3 ? &proxy : &other, &a, 0);
				if (i % 40 == 39)
					(void)proxied_forget(0);
			}
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s:%u: status %x", points[_i], nth, (unsigned)status);
		ck_assert_int_eq(shm_slot_mark_dead(1), 0);
		ck_assert_int_eq(shm_slot_take(2, SHM_SLOT_JANITOR), 0);
		ck_assert_int_eq(shm_recover_slot(1), 0);
		ck_assert_int_eq(shm_check_all(NULL), 0);
		ck_assert_uint_eq(shm_arena_leaked(), 0);
		ck_assert(comes(&proxy, &client, 0));
		leads_to(0, &proxy, 0);
		shm_slot_release();
	}
#else
	ck_assert_str_ne(points[_i], "");
#endif
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("proxied");
	TCase *tc = tcase_create("ways");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, the_last_datagram_decides);
	tcase_add_test(tc, bounded);
	tcase_add_test(tc, a_failure_has_no_header);
	tcase_add_loop_test(tc, a_worker_dies_while_it_learns, 0, (int)ARRAY_LEN(points));
	suite_add_tcase(s, tc);
	return s;
}
