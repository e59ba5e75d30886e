/* SPDX-License-Identifier: BSD-2-Clause */
/* rx.c and tx.c together, over loopback. */
#include "tests/lib/free_port.h"
#include "tests/unit/transport/transport_fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/syscall.h>

enum { PORT, PORT_ANY4, PORT_ANY6, PEER, PEER6, N_PORTS };

static uint16_t port[N_PORTS];

static unsigned n_got, n_failed;
static struct rx_info last;
static char last_text[70000];
static bool echo, park;
static uint64_t ticket;
static struct ctx *held;
static int fail_err;

static void resumed(struct ctx *ctx, int rc)
{
	(void)rc;
	held = ctx;
}

static void got(struct ctx *ctx)
{
	n_got++;
	last = ctx->rx;
	memcpy(last_text, ctx->msg.buf.s, ctx->msg.buf.n);
	last_text[ctx->msg.buf.n] = 0;
	if (echo) {
		struct tx_dest d = { .to = ctx->rx.src,
			             .listener = ctx->rx.listener,
			             .proto = SIP_PROTO_UDP };

		ck_assert_int_eq(tx_send_bytes(&d, ctx->msg.buf.s, ctx->msg.buf.n), 0);
	}
	if (park && !held) {
		ctx->resume = resumed;
		ticket = ctx_park(ctx, 10000, 0);
		park = false;
		return;
	}
	ctx_free(ctx);
}

static void failed(const struct tx_dest *dest, struct str bytes, int err)
{
	(void)dest;
	(void)bytes;
	n_failed++;
	fail_err = err;
}

static struct conn_conf conf;
static struct rx_conf rxc = { .msg_max_bytes = 2000, .batch = 64 };
static int peer;
static struct net_addr here, there;

static void setup(void)
{
	conf = conn_defaults();
	free_ports(port, N_PORTS);
	here = at("127.0.0.1", port[PORT]);
	there = at("127.0.0.1", port[PEER]);
	listen_on(SIP_PROTO_UDP, "127.0.0.1", port[PORT]);
	listen_on(SIP_PROTO_UDP, "0.0.0.0", port[PORT_ANY4]);
	listen_on(SIP_PROTO_UDP, "::", port[PORT_ANY6]);
	world(&conf, &rxc, 1);
	work_as(0, got);
	tx_on_fail(failed);
	peer = peer_socket(SOCK_DGRAM, &there);
}

static void fill(char *p, size_t n)
{
	memset(p, 'x', n);
}

START_TEST(receives)
{
	struct net_addr any = at("127.0.0.2", port[PORT_ANY4]);
	char text[3000];

	fill(text, sizeof(text));
	peer_sendto(peer, &here, text, 32);
	RUN_UNTIL(n_got == 1);
	ck_assert_uint_eq(strlen(last_text), 32);
	ck_assert(net_addr_equal(&last.src, &there) && net_addr_equal(&last.dst, &here));
	ck_assert_uint_eq(last.listener, 0);
	ck_assert_int_eq(last.proto, SIP_PROTO_UDP);
	ck_assert_uint_gt(last.rx_us, 0);
	ck_assert_int_gt(last.wall_s, 1000000000);
	peer_sendto(peer, &here, text, 31);      /* too short */
	peer_sendto(peer, &here, "\r\n\r\n", 4); /* keepalive */
	memset(text, '\n', 100);
	peer_sendto(peer, &here, text, 100); /* a long one */
	fill(text, sizeof(text));
	peer_sendto(peer, &here, text, 2000); /* just fits */
	peer_sendto(peer, &here, text, 2001);
	peer_sendto(peer, &here, text, 2900);
	peer_sendto(peer, &any, text, 40);
	RUN_UNTIL(n_got == 3);
	ck_assert_uint_eq(last.listener, 1);
	ck_assert(
	    net_addr_equal(&last.dst, &any)); /* the address it was sent to, not the wildcard */
	ck_assert_int_eq(shm_counter_read(tcnt.rx_short), 3);
	ck_assert_int_eq(shm_counter_read(tcnt.rx_too_large), 2);
	ck_assert_uint_eq(ctx_in_use(), 0);
}
END_TEST

START_TEST(version_6)
{
	struct net_addr to = at("::1", port[PORT_ANY6]), from = at("::1", port[PEER6]);
	int fd = peer_socket(SOCK_DGRAM, &from);
	char text[100];

	echo = true;
	fill(text, sizeof(text));
	peer_sendto(fd, &to, text, 50);
	RUN_UNTIL(n_got == 1);
	ck_assert_uint_eq(last.listener, 2);
	ck_assert(net_addr_equal(&last.dst, &to) && net_addr_equal(&last.src, &from));
	run_ms(2);
	ck_assert_int_eq(peer_recv(fd, text, sizeof(text)), 50);
	(void)close(fd);
}
END_TEST

START_TEST(batches)
{
	char text[600];
	unsigned back = 0;

	echo = true;
	for (unsigned round = 0; round < 3; round++) {
		n_got = back = 0;
		for (unsigned i = 0; i < 150; i++) {
			int n = snprintf(
			    text, sizeof(text),
			    "message number %04u and some more bytes to be long enough", i);

			peer_sendto(peer, &here, text, (size_t)n);
		}
		RUN_UNTIL(n_got == 150);
		while (peer_recv(peer, text, sizeof(text)) > 0) {
			unsigned i;

			ck_assert_int_eq(sscanf(text, "message number %u", &i), 1);
			ck_assert_uint_eq(i, back);
			back++;
		}
		ck_assert_uint_eq(back, 150);
	}
	ck_assert_int_eq(shm_counter_read(tcnt.tx_datagrams), 450);
}
END_TEST

/* The bytes of a run that waits stay where they are while others come in. */
START_TEST(parked_bytes_stay)
{
	const char *first = "the first message, which has to wait for something";
	char text[100];

	park = true;
	fill(text, sizeof(text));
	peer_sendto(peer, &here, first, strlen(first));
	for (unsigned i = 0; i < 40; i++)
		peer_sendto(peer, &here, text, sizeof(text));
	RUN_UNTIL(n_got == 41);
	ck_assert_uint_eq(ctx_parked(), 1);
	ctx_wake(ticket, 1);
	ck_assert_ptr_nonnull(held);
	ck_assert(str_eq(held->msg.buf, str_lit(first)));
	ctx_free(held);
	ck_assert_uint_eq(ctx_in_use(), 0);
}
END_TEST

START_TEST(sends)
{
	struct tx_dest d = { .to = there, .listener = NET_LISTENER_NONE, .proto = SIP_PROTO_UDP };
	static char big[65600];
	struct iovec iov[2] = { { (void *)(uintptr_t) "two ", 4 },
		                { (void *)(uintptr_t) "pieces", 6 } };
	char text[100];

	ck_assert_int_eq(tx_send(&d, iov, 2), 0);
	ck_assert_int_eq(peer_recv(peer, text, sizeof(text)),
	                 -1); /* waits for the end of the turn */
	run_ms(2);
	ck_assert_int_eq(peer_recv(peer, text, sizeof(text)), 10);
	ck_assert_str_eq(text, "two pieces");
	ck_assert_int_eq(tx_send_bytes(&d, big, 65508), -EMSGSIZE);
	ck_assert_int_eq(tx_send_bytes(&d, big, 60000), 0);
	run_ms(2);
	ck_assert_int_eq(recv(peer, big, sizeof(big), MSG_DONTWAIT), 60000);
	d.proto = SIP_PROTO_WS;
	ck_assert_int_eq(tx_send_bytes(&d, "x", 1), -EAFNOSUPPORT);
	d.proto = SIP_PROTO_TLS;
	ck_assert_int_eq(tx_send_bytes(&d, "x", 1), -EAFNOSUPPORT);
}
END_TEST

/* Nobody listens there: the ICMP answer must not keep anything from being sent. */
START_TEST(unreachable)
{
	struct tx_dest nowhere = { .to = at("127.0.0.1", 21499),
		                   .listener = 0,
		                   .proto = SIP_PROTO_UDP },
		       d = nowhere;
	char text[100];
	unsigned n = 0;

	d.to = there;
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(tx_send_bytes(&nowhere, "lost", 4), 0);
		ck_assert_int_eq(tx_send_bytes(&d, "kept", 4), 0);
		run_ms(1);
	}
	while (peer_recv(peer, text, sizeof(text)) == 4)
		n++;
	ck_assert_uint_eq(n, 20);
	/* what the kernel refuses outright is told */
	d.to = at("0.0.0.0", 0);
	ck_assert_int_eq(tx_send_bytes(&d, "none", 4), 0);
	tx_flush();
	ck_assert_uint_eq(n_failed, 0); /* not from within */
	RUN_UNTIL(n_failed == 1);
	ck_assert_int_lt(fail_err, 0);
}
END_TEST

/* Once the kernel has no room, then so often again; 0: it has. */
static struct {
	int err;
	unsigned n_batches, n_single;
} refusal;

int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	if (refusal.n_batches == 0)
		return (int)syscall(SYS_sendmmsg, fd, v, n, flags);
	refusal.n_batches--;
	errno = refusal.err;
	return -1;
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to, socklen_t to_n)
{
	if (refusal.n_single == 0)
		return syscall(SYS_sendto, fd, p, n, flags, to, to_n);
	refusal.n_single--;
	errno = refusal.err;
	return -1;
}

/* clang-format off */
static const struct refusal_vector {
	int err; unsigned n_batches, n_single; /* that meet it */
	unsigned n_arrive, n_retried, n_dropped, n_errors;
} refusals[] = {
	{ EAGAIN,      1, 0, 3, 3, 0, 0 }, /* room again */
	{ EAGAIN,      1, 2, 3, 3, 0, 0 }, /* later */
	{ ENOBUFS,     1, 0, 3, 3, 0, 0 },
	{ ENOBUFS,     1, 2, 1, 3, 2, 0 }, /* the device is full: lost */
	{ ENOMEM,      1, 1, 2, 3, 1, 0 },
	{ EPERM,       2, 0, 1, 0, 0, 2 }, /* refused, one by one */
	{ ENETUNREACH, 3, 0, 0, 0, 0, 3 },
};
/* clang-format on */

START_TEST(no_room_is_no_failure)
{
	const struct refusal_vector *v = &refusals[_i];
	struct tx_dest d = { .to = there, .listener = 0, .proto = SIP_PROTO_UDP };
	char text[100];
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(tx_send_bytes(&d, "text", 4), 0);
	refusal.err = v->err;
	refusal.n_batches = v->n_batches;
	refusal.n_single = v->n_single;
	RUN_UNTIL(refusal.n_batches == 0 && refusal.n_single == 0 && n_failed == v->n_errors);
	run_ms(5);
	while (peer_recv(peer, text, sizeof(text)) == 4)
		n++;
	ck_assert_uint_eq(n, v->n_arrive);
	ck_assert_uint_eq(n_failed, v->n_errors);
	ck_assert_int_eq(shm_counter_read(tcnt.tx_retried), v->n_retried);
	ck_assert_int_eq(shm_counter_read(tcnt.tx_dropped), v->n_dropped);
	ck_assert_int_eq(shm_counter_read(tcnt.tx_errors), v->n_errors);
}
END_TEST

static int refuse(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov, struct str *ret_instead)
{
	struct tx_dest d = *dest;

	(void)iov, (void)n_iov, (void)ret_instead;
	ck_assert_int_eq(tx_send_bytes(&d, "from the hook", 13), 0); /* is not asked about */
	return -1;
}

static int turn_round(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov, struct str *ret_instead)
{
	static char other[16];

	(void)dest, (void)n_iov;
	for (size_t i = 0; i < iov[0].iov_len; i++)
		other[i] = ((const char *)iov[0].iov_base)[iov[0].iov_len - 1 - i];
	*ret_instead = str_of(other, iov[0].iov_len);
	return 0;
}

START_TEST(hook)
{
	struct tx_dest d = { .to = there, .listener = 0, .proto = SIP_PROTO_UDP };
	char text[100];

	tx_set_hook(refuse);
	ck_assert_int_eq(tx_send_bytes(&d, "refused", 7), -ECANCELED);
	tx_set_hook(turn_round);
	ck_assert_int_eq(tx_send_bytes(&d, "one", 3), 0);
	ck_assert_int_eq(tx_send_bytes(&d, "other", 5), 0);
	tx_set_hook(NULL);
	run_ms(2);
	ck_assert_int_eq(peer_recv(peer, text, sizeof(text)), 13);
	ck_assert_int_eq(peer_recv(peer, text, sizeof(text)), 3);
	ck_assert_mem_eq(text, "eno", 3);
	ck_assert_int_eq(peer_recv(peer, text, sizeof(text)), 5);
	ck_assert_mem_eq(text, "rehto", 5);
	ck_assert_int_eq(peer_recv(peer, text, sizeof(text)), -1);
}
END_TEST

START_TEST(stops)
{
	char text[50];

	rx_stop();
	fill(text, sizeof(text));
	peer_sendto(peer, &here, text, sizeof(text));
	run_ms(20);
	ck_assert_uint_eq(n_got, 0);
}
END_TEST

/* ---- two workers ---- */

static void setup_two(void)
{
	conf = conn_defaults();
	free_ports(port, N_PORTS);
	here = at("127.0.0.1", port[PORT]);
	there = at("127.0.0.1", port[PEER]);
	listen_on(SIP_PROTO_UDP, "127.0.0.1", port[PORT]);
	world(&conf, &rxc, 2);
	peer = peer_socket(SOCK_DGRAM, &there);
}

/* The second worker never starts: the first one drains its queue. */
START_TEST(neighbour)
{
	char text[50];

	work_as(0, got);
	fill(text, sizeof(text));
	for (unsigned i = 0; i < 100; i++)
		peer_sendto(peer, &here, text, sizeof(text));
	RUN_UNTIL(n_got == 100);
}
END_TEST

/* Does this machine have the IPv6 loopback address? Containers often do not. */
static bool has_ipv6(void)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

Suite *test_suite(void)
{
	Suite *s = suite_create("udp");
	TCase *tc = tcase_create("one");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, receives);
	if (has_ipv6())
		tcase_add_test(tc, version_6);
	else
		printf("no IPv6 loopback on this machine: version_6 is left out\n");
	tcase_add_test(tc, batches);
	tcase_add_test(tc, parked_bytes_stay);
	tcase_add_test(tc, sends);
	tcase_add_test(tc, unreachable);
	tcase_add_loop_test(tc, no_room_is_no_failure, 0, ARRAY_LEN(refusals));
	tcase_add_test(tc, hook);
	tcase_add_test(tc, stops);
	suite_add_tcase(s, tc);
	tc = tcase_create("two");
	tcase_add_checked_fixture(tc, setup_two, NULL);
	tcase_add_test(tc, neighbour);
	suite_add_tcase(s, tc);
	return s;
}
