/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams over loopback; the peers are plain sockets of the test. */
#include "tests/lib/free_port.h"
#include "tests/unit/transport/transport_fixture.h"

#include "tests/lib/fail_alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/transport/conn_index.h"
#include "shm/crash.h"

enum { PORT, PEER, N_PORTS };

static uint16_t port[N_PORTS];

static void take_ports(void)
{
	if (!port[0])
		free_ports(port, N_PORTS);
}

static unsigned n_got, n_failed;
static struct rx_info last;
static char last_text[70000];
static int fail_err;
static char fail_text[200];
static bool echo, close_it;
static struct conn_conf conf;
static struct rx_conf rxc = { .msg_max_bytes = 32767, .batch = 64 };
static struct net_addr here, there;

static void got(struct ctx *ctx)
{
	n_got++;
	last = ctx->rx;
	memcpy(last_text, ctx->msg.buf.s, ctx->msg.buf.n);
	last_text[ctx->msg.buf.n] = 0;
	if (echo) {
		struct tx_dest d = { .to = ctx->rx.src,
			             .listener = ctx->rx.listener,
			             .proto = SIP_PROTO_TCP,
			             .conn_id = ctx->rx.conn_id };

		ck_assert_int_eq(tx_send_bytes(&d, ctx->msg.buf.s, ctx->msg.buf.n), 0);
	}
	if (close_it)
		conn_close(ctx->rx.conn_id);
	ctx_free(ctx);
}

static void failed(const struct tx_dest *dest, struct str bytes, int err)
{
	(void)dest;
	n_failed++;
	fail_err = err;
	if (bytes.n > sizeof(fail_text) - 1)
		bytes.n = sizeof(fail_text) - 1;
	memcpy(fail_text, bytes.s, bytes.n);
	fail_text[bytes.n] = 0;
}

static void begin(void)
{
	take_ports();
	here = at("127.0.0.1", port[PORT]);
	there = at("127.0.0.1", port[PEER]);
	listen_on(SIP_PROTO_TCP, "127.0.0.1", port[PORT]);
	world(&conf, &rxc, 1);
	work_as(0, got);
	tx_on_fail(failed);
}

static void setup(void)
{
	conf = conn_defaults();
}

static ssize_t wait_recv(int fd, char *out, size_t cap)
{
	ssize_t n = -1;

	RUN_UNTIL((n = peer_recv(fd, out, cap)) >= 0);
	return n;
}

#define SEND(fd, p, n) ck_assert_int_eq(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)(n))

START_TEST(whole_messages)
{
	size_t n = sizeof(options_msg) - 1;
	char three[3000], text[4000];
	struct conn_info info;
	int fd;

	begin();
	echo = true;
	fd = peer_connect(&here);
	SEND(fd, options_msg, n);
	RUN_UNTIL(n_got == 1);
	ck_assert_str_eq(last_text, options_msg);
	ck_assert_int_eq(last.proto, SIP_PROTO_TCP);
	ck_assert_uint_ne(last.conn_id, 0);
	ck_assert(net_addr_equal(&last.dst, &here));
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), (ssize_t)n);
	ck_assert_int_eq(conn_find(last.conn_id, &info), 0);
	ck_assert(net_addr_equal(&info.peer, &last.src));
	ck_assert_int_eq(info.state, CONN_OPEN);
	ck_assert_uint_eq(info.owner_slot, 1);
	ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &last.src, &info), 0);
	ck_assert_uint_eq(info.id, last.conn_id);
	ck_assert_uint_eq(conn_count(), 1);
	for (unsigned i = 0; i < 3; i++)
		memcpy(three + i * n, options_msg, n);
	SEND(fd, three, 3 * n);
	RUN_UNTIL(n_got == 4);
	SEND(fd, "\r\n", 2);     /* a pong: no answer */
	SEND(fd, three, n + 10); /* one and a bit */
	RUN_UNTIL(n_got == 5);
	SEND(fd, three + 10, 2 * n - 10 - 1);
	RUN_UNTIL(n_got == 6);
	SEND(fd, three + n - 1, 1);
	RUN_UNTIL(n_got == 7);
	ck_assert_str_eq(last_text, options_msg);
	(void)close(fd);
	RUN_UNTIL(conn_count() == 0);
	ck_assert_int_eq(conn_find(last.conn_id, &info), -ENOENT);
	ck_assert_uint_eq(ctx_in_use(), 0);
}
END_TEST

START_TEST(byte_by_byte)
{
	int fd;

	begin();
	fd = peer_connect(&here);
	for (size_t i = 0; i < sizeof(options_msg) - 1; i++) {
		ck_assert_uint_eq(n_got, 0);
		SEND(fd, options_msg + i, 1);
		run_ms(1);
	}
	RUN_UNTIL(n_got == 1);
	ck_assert_str_eq(last_text, options_msg);
	(void)close(fd);
}
END_TEST

START_TEST(ping)
{
	static char many[8000];
	char text[100];
	int fd;

	begin();
	fd = peer_connect(&here);
	SEND(fd, "\r\n\r\n", 4);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 2);
	ck_assert_str_eq(text, "\r\n");
	ck_assert_uint_eq(n_got, 0);
	SEND(fd, "\r\n\r\n\r\n\r\n\r\n\r\n", 12);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 6);
	ck_assert_str_eq(text, "\r\n\r\n\r\n");
	/* a flood of them is not worth a system call each */
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = i % 2 ? '\n' : '\r';
	SEND(fd, many, sizeof(many));
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 16);
	(void)close(fd);
}
END_TEST

/* clang-format off */
static const struct broken { const char *name, *head, *answer; } broken[] = {
	{ "negative length", "Content-Length: -999\r\n", "SIP/2.0 400 " },
	{ "no length",       "", "SIP/2.0 400 " },
	{ "two lengths",     "Content-Length: 1\r\nContent-Length: 2\r\n", "SIP/2.0 400 " },
	{ "too long",        "Content-Length: 9999999\r\n", "SIP/2.0 513 " },
};
/* clang-format on */

START_TEST(broken_frame)
{
	const struct broken *b = &broken[_i];
	char msg[1000], text[2000];
	ssize_t n;
	int fd;

	begin();
	fd = peer_connect(&here);
	n = snprintf(msg, sizeof(msg),
	             "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bKx\r\nFrom: "
	             "<sip:c@d>;tag=1\r\n"
	             "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n%s\r\n",
	             b->head);
	SEND(fd, msg, n);
	ck_assert_int_gt(wait_recv(fd, text, sizeof(text)), 0);
	ck_assert_msg(strncmp(text, b->answer, strlen(b->answer)) == 0, "%s: %s", b->name, text);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 0); /* then the end */
	ck_assert_uint_eq(n_got, 0);
	(void)close(fd);
	RUN_UNTIL(conn_count() == 0);
}
END_TEST

START_TEST(rubbish)
{
	char text[100];
	int fd;

	begin();
	fd = peer_connect(&here);
	SEND(fd, "\x16\x03\x01 this is no SIP\r\n\r\n", 21);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 0);
	ck_assert_uint_eq(n_got, 0);
	(void)close(fd);
}
END_TEST

START_TEST(handler_closes)
{
	size_t n = sizeof(options_msg) - 1;
	char two[2000], text[100];
	int fd;

	begin();
	close_it = true;
	memcpy(two, options_msg, n);
	memcpy(two + n, options_msg, n);
	fd = peer_connect(&here);
	SEND(fd, two, 2 * n);
	RUN_UNTIL(n_got == 1);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 0);
	ck_assert_uint_eq(n_got, 1); /* the second one came on a stream that had ended */
	(void)close(fd);
}
END_TEST

/* ---- towards the peer ---- */

static int peer_listen(void)
{
	int fd = peer_socket(SOCK_STREAM, &there);

	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

START_TEST(connects)
{
	struct tx_dest d = {
		.to = there, .listener = 0, .proto = SIP_PROTO_TCP, .flags = TX_NO_CONNECT
	};
	char text[1000];
	struct conn_info info;
	int lfd, fd;

	begin();
	d.to = there;
	lfd = peer_listen();
	ck_assert_int_eq(tx_send_bytes(&d, "hello", 5), -ENOTCONN);
	d.flags = 0;
	ck_assert_int_eq(tx_send_bytes(&d, "hello ", 6), 0);
	ck_assert_int_eq(tx_send_bytes(&d, "again ", 6), 0); /* while it connects */
	fd = accept(lfd, NULL, NULL);
	RUN_UNTIL(conn_queued_bytes() == 0);
	ck_assert_int_eq(tx_send_bytes(&d, "and again", 9), 0);
	run_ms(5);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 21);
	ck_assert_str_eq(text, "hello again and again");
	ck_assert_uint_eq(conn_count(), 1);
	ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &there, &info), 0);
	ck_assert_uint_ne(info.local.port, port[PORT]);
	/* what comes back on it is received */
	SEND(fd, options_msg, sizeof(options_msg) - 1);
	RUN_UNTIL(n_got == 1);
	ck_assert_uint_eq(last.conn_id, info.id);
	d.flags = TX_CLOSE_AFTER;
	ck_assert_int_eq(tx_send_bytes(&d, "bye", 3), 0);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 3);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &there, &info),
	                 -ENOENT); /* a new one from now on */
	(void)close(fd);
	RUN_UNTIL(conn_count() == 0);
	(void)close(lfd);
	ck_assert_uint_eq(n_failed, 0);
}
END_TEST

START_TEST(connect_refused)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	int err;

	begin();
	d.to = at("127.0.0.1", 21498);
	err = tx_send_bytes(&d, "INVITE 1", 8);
	if (err == 0) {
		RUN_UNTIL(n_failed == 1);
		ck_assert_int_eq(fail_err, -ECONNREFUSED);
		ck_assert_str_eq(fail_text, "INVITE 1");
	} else {
		ck_assert_int_eq(err, -ECONNREFUSED);
	}
	ck_assert_uint_eq(conn_count(), 0);
	ck_assert_int_eq(conn_queued_bytes(), 0);
	ck_assert_int_eq(shm_counter_read(tcnt.connect_failed), 1);
}
END_TEST

START_TEST(reuse_port)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	struct net_addr from;
	int lfd, fd;

	conf.reuse_port = true;
	begin();
	d.to = there;
	lfd = peer_listen();
	ck_assert_int_eq(tx_send_bytes(&d, "hello", 5), 0);
	fd = accept(lfd, (struct sockaddr *)&sa, &n);
	ck_assert_int_ge(fd, 0);
	net_addr_from_sockaddr((struct sockaddr *)&sa, &from);
	ck_assert_uint_eq(from.port, port[PORT]);
	(void)close(fd);
	(void)close(lfd);
}
END_TEST

/* A peer that does not read: bytes queue up to the limit, nothing is lost of what was taken. */
START_TEST(slow_reader)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	static char block[4000], in[8192];
	uint64_t sent = 0, received = 0;
	int lfd, fd, err = 0, small = 4096;
	ssize_t n;

	begin();
	d.to = there;
	lfd = peer_listen();
	ck_assert_int_eq(setsockopt(lfd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (unsigned i = 0; i < 20000 && err == 0; i++) {
		for (size_t k = 0; k < sizeof(block); k++)
			block[k] = (char)('a' + (sent + k) % 26);
		err = tx_send_bytes(&d, block, sizeof(block));
		if (err == 0)
			sent += sizeof(block);
		run_ms(0);
	}
	ck_assert_int_eq(err, -ENOBUFS);
	ck_assert_int_gt(conn_queued_bytes(), 0);
	ck_assert_int_le(conn_queued_bytes(), 32768);
	ck_assert_int_eq(shm_counter_read(tcnt.sendq_full), 1);
	fd = accept(lfd, NULL, NULL);
	for (unsigned i = 0; i < 100000 && received < sent; i++) {
		n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		for (ssize_t k = 0; k < n; k++)
			ck_assert_int_eq(in[k], 'a' + (char)((received + (uint64_t)k) % 26));
		if (n > 0)
			received += (uint64_t)n;
		else
			run_ms(1);
	}
	ck_assert_uint_eq(received, sent);
	ck_assert_int_eq(conn_queued_bytes(), 0);
	(void)close(fd);
	(void)close(lfd);
}
END_TEST

/* Pings of a peer that reads nothing: one answer waits for it, however many it sends. */
START_TEST(pings_unread)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP, .flags = TX_NO_CONNECT };
	static const char block[4000] = "x";
	struct sockaddr_storage sa;
	int fd, small = 4096;
	int64_t waits;
	socklen_t n;

	begin();
	n = net_addr_to_sockaddr(&here, &sa);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, n), 0);
	SEND(fd, options_msg, sizeof(options_msg) - 1);
	RUN_UNTIL(n_got == 1);
	d.to = last.src;
	d.conn_id = last.conn_id;
	for (unsigned i = 0; i < 20000 && conn_queued_bytes() == 0; i++)
		ck_assert_int_eq(tx_send_bytes(&d, block, sizeof(block)), 0);
	waits = conn_queued_bytes();
	ck_assert_int_gt(waits, 0);
	for (unsigned i = 0; i < 50; i++) {
		SEND(fd, "\r\n\r\n", 4);
		run_ms(2);
	}
	RUN_UNTIL(conn_queued_bytes() > waits);
	ck_assert_int_le(conn_queued_bytes(), waits + 16);
	(void)close(fd);
	RUN_UNTIL(conn_count() == 0);
}
END_TEST

START_TEST(send_timeout)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	static char block[8000];
	int lfd, err = 0;

	conf.send_timeout_s = 1;
	begin();
	d.to = there;
	lfd = peer_listen();
	for (unsigned i = 0; i < 20000 && err == 0; i++) {
		err = tx_send_bytes(&d, block, sizeof(block));
		run_ms(0);
	}
	ck_assert_int_eq(err, -ENOBUFS);
	RUN_UNTIL(conn_count() == 0);
	RUN_UNTIL(n_failed > 0);
	ck_assert_int_eq(fail_err, -ETIMEDOUT);
	ck_assert_int_eq(conn_queued_bytes(), 0);
	(void)close(lfd);
}
END_TEST

/* ---- limits, time, aliases ---- */

START_TEST(limits)
{
	int fd[6];
	char c;

	conf.max_connections = _i ? 3 : 2048;
	conf.per_ip_limit = _i ? 1024 : 3;
	conf.spare_loopback = _i == 1; /* the limit of all counts for everybody */
	begin();
	for (unsigned i = 0; i < 6; i++)
		fd[i] = peer_connect(&here);
	RUN_UNTIL(shm_counter_read(tcnt.local_reject) == 3);
	ck_assert_uint_eq(conn_count(), 3);
	ck_assert_int_eq(recv(fd[5], &c, 1, 0), 0);
	(void)close(fd[0]);
	RUN_UNTIL(conn_count() == 2);
	(void)close(fd[5]);
	fd[5] = peer_connect(&here);
	RUN_UNTIL(conn_count() == 3);
	for (unsigned i = 1; i < 6; i++)
		(void)close(fd[i]);
	RUN_UNTIL(conn_count() == 0);
}
END_TEST

static void descriptors(unsigned limit)
{
	struct rlimit lim;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = limit ? limit : lim.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
}

static unsigned n_turns;

static void count_turn(void *arg)
{
	(void)arg;
	n_turns++;
}

/* One more peer, on a socket that was made while there were descriptors. */
static void comes(int fd)
{
	struct sockaddr_storage sa;
	socklen_t n = net_addr_to_sockaddr(&here, &sa);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, n), 0);
}

/* Who comes when the descriptors are used up is let in and shown out. When not even that is possible the worker does not spin, and later all is as before. */
START_TEST(out_of_descriptors)
{
	struct net_addr any_port = at("127.0.0.1", 0);
	int fd[4], next;
	char c;

	begin();
	for (unsigned i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = peer_socket(SOCK_STREAM, &any_port);
	next = dup(fd[0]);
	(void)close(next);
	ck_assert_int_eq(loop_on_turn(loop, count_turn, NULL), 0);

	descriptors((unsigned)next);
	for (unsigned i = 0; i < 2; i++) {
		comes(fd[i]);
		ck_assert_int_eq(wait_recv(fd[i], &c, 1), 0);
	}
	ck_assert_int_eq(shm_counter_read(tcnt.local_reject), 2);

	descriptors(3); /* below what is open: the spare one is lost */
	comes(fd[2]);
	n_turns = 0;
	run_ms(300);
	ck_assert_uint_lt(n_turns, 100);
	descriptors(0);
	RUN_UNTIL(conn_count() == 1);
	run_ms(300); /* there is a spare one again */

	next = dup(fd[0]);
	(void)close(next);
	descriptors((unsigned)next);
	comes(fd[3]);
	ck_assert_int_eq(wait_recv(fd[3], &c, 1), 0);
	for (unsigned i = 0; i < ARRAY_LEN(fd); i++)
		(void)close(fd[i]);
	RUN_UNTIL(conn_count() == 0);
}
END_TEST

START_TEST(loopback_is_spared)
{
	int fd[6];

	conf.per_ip_limit = 3;
	conf.spare_loopback = true;
	begin();
	for (unsigned i = 0; i < 6; i++)
		fd[i] = peer_connect(&here);
	RUN_UNTIL(conn_count() == 6);
	for (unsigned i = 0; i < 6; i++)
		(void)close(fd[i]);
	RUN_UNTIL(conn_count() == 0);
	ck_assert_int_eq(shm_counter_read(tcnt.local_reject), 0);
}
END_TEST

/* tcp_accept_unique: the same address and port at two of our sockets. */
START_TEST(one_per_peer)
{
	struct net_addr at_two;
	struct sockaddr_storage sa;
	socklen_t n;
	char c;
	int a, b;

	take_ports();
	at_two = at("127.0.0.2", port[PORT]);
	n = net_addr_to_sockaddr(&at_two, &sa);
	conf.accept_unique = _i;
	listen_on(SIP_PROTO_TCP, "127.0.0.2", port[PORT]);
	begin();
	a = peer_socket(SOCK_STREAM, &there);
	b = peer_socket(SOCK_STREAM, &there);
	ck_assert_int_eq(connect(a, (struct sockaddr *)&sa, n), 0);
	RUN_UNTIL(conn_count() == 1);
	n = net_addr_to_sockaddr(&here, &sa);
	ck_assert_int_eq(connect(b, (struct sockaddr *)&sa, n), 0);
	if (_i) {
		ck_assert_int_eq(wait_recv(b, &c, 1), 0);
		ck_assert_uint_eq(conn_count(), 1);
	} else {
		RUN_UNTIL(conn_count() == 2);
	}
	(void)close(a);
	(void)close(b);
	RUN_UNTIL(conn_count() == 0);
}
END_TEST

/* tcp_connection_match: who sends from another socket uses another connection. */
START_TEST(per_socket)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	int lfd;

	conf.match_local = _i;
	begin();
	listen_on(SIP_PROTO_TCP, "127.0.0.2", port[PORT]);
	d.to = there;
	lfd = peer_listen();
	for (unsigned i = 0; i < 4; i++) {
		d.listener = (uint16_t)(i & 1);
		ck_assert_int_eq(tx_send_bytes(&d, "x", 1), 0);
	}
	ck_assert_uint_eq(conn_count(), _i ? 2 : 1);
	(void)close(lfd);
	RUN_UNTIL(conn_count() == 0);
}
END_TEST

START_TEST(source_address)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	int lfd, fd = -1;

	conf.source[0] = at("127.0.0.9", 0);
	begin();
	d.to = there;
	lfd = peer_listen();
	ck_assert_int_eq(tx_send_bytes(&d, "x", 1), 0);
	RUN_UNTIL((fd = accept4(lfd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK)) >= 0 ||
	          errno != EAGAIN);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(ntohl(from.sin_addr.s_addr), 0x7f000009);
	(void)close(fd);
	(void)close(lfd);
}
END_TEST

START_TEST(options_are_inherited)
{
	static const struct {
		int level, name, value;
	} want[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 77 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 5 },
		{ IPPROTO_TCP, TCP_LINGER2, 9 },
	};
	struct sockaddr_storage sa;
	int lfd, fd, peer;

	conf.stream.keepidle = 77;
	conf.stream.keepcnt = 5;
	conf.stream.linger2_s = 9;
	begin();
	lfd = net_listener_at(0)->listen_fd;
	peer = peer_connect(&here);
	fd = accept(lfd, (struct sockaddr *)&sa, &(socklen_t){ sizeof(sa) });
	ck_assert_int_ge(fd, 0);
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		int have = -1;
		socklen_t n = sizeof(have);

		ck_assert_int_eq(getsockopt(fd, want[i].level, want[i].name, &have, &n), 0);
		ck_assert_int_eq(have, want[i].value);
	}
	(void)close(fd);
	(void)close(peer);
}
END_TEST

START_TEST(idle_ends)
{
	char text[100];
	int idle, partial;

	conf.lifetime_s = _i ? 1 : 100;
	conf.msg_read_timeout_s = _i ? 100 : 1;
	begin();
	idle = peer_connect(&here);
	partial = peer_connect(&here);
	SEND(partial, "OPTIONS sip:a SIP/2.0\r\n", 23);
	RUN_UNTIL(conn_count() == 2);
	ck_assert_int_eq(wait_recv(partial, text, sizeof(text)), 0);
	if (_i)
		ck_assert_int_eq(wait_recv(idle, text, sizeof(text)), 0);
	else
		ck_assert_int_eq(peer_recv(idle, text, sizeof(text)), -1);
	(void)close(idle);
	(void)close(partial);
}
END_TEST

START_TEST(aliases)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP, .flags = TX_NO_CONNECT };
	struct conn_info info;
	char text[100];
	uint32_t first, second;
	int fd, other;

	begin();
	d.to = there;
	fd = peer_connect(&here);
	SEND(fd, options_msg, sizeof(options_msg) - 1);
	RUN_UNTIL(n_got == 1);
	first = last.conn_id;
	ck_assert_int_eq(tx_send_bytes(&d, "x", 1), -ENOTCONN);
	ck_assert_int_eq(conn_alias_add(first, port[PEER]), 0);
	ck_assert_int_eq(conn_alias_add(first, port[PEER]), 0);
	ck_assert_int_eq(conn_alias_add(first + 77, port[PEER]), -ENOENT);
	ck_assert_int_eq(tx_send_bytes(&d, "by alias", 8), 0);
	ck_assert_int_eq(wait_recv(fd, text, sizeof(text)), 8);
	other = peer_connect(&here);
	SEND(other, options_msg, sizeof(options_msg) - 1);
	RUN_UNTIL(n_got == 2);
	second = last.conn_id;
	/* the younger counts, and who says it again is the younger; what a connection really has stays its own */
	ck_assert_int_eq(conn_alias_add(second, port[PEER]), 0);
	ck_assert(conn_find_peer(SIP_PROTO_TCP, &there, &info) == 0 && info.id == second);
	ck_assert_int_eq(conn_alias_add(first, port[PEER]), 0);
	ck_assert(conn_find_peer(SIP_PROTO_TCP, &there, &info) == 0 && info.id == first);
	ck_assert_int_eq(conn_find(first, &info), 0);
	ck_assert_int_eq(conn_alias_add(second, info.peer.port), -EEXIST);
	ck_assert(conn_find_peer(SIP_PROTO_TCP, &info.peer, &info) == 0 && info.id == first);
	for (uint16_t p = 1; p < CTX_BRANCHES_MAX && conn_alias_add(first, p) == 0; p++)
		;
	ck_assert_int_eq(conn_alias_add(first, 999), -ENOSPC);
	/* the end of one that another took over from takes nothing away */
	ck_assert_int_eq(conn_alias_add(second, port[PEER]), 0);
	(void)close(fd);
	RUN_UNTIL(conn_count() == 1);
	ck_assert(conn_find_peer(SIP_PROTO_TCP, &there, &info) == 0 && info.id == second);
	(void)close(other);
	RUN_UNTIL(conn_count() == 0);
	ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &there, &info), -ENOENT);
}
END_TEST

/* A peer is back from the port that it had, and the end of its first connection is seen after the second was accepted: another worker has that one, or the
 * peer speaks to two of our sockets. Whichever ends first takes nothing from the other. */
START_TEST(port_is_used_again)
{
	struct conn_info info = { .proto = SIP_PROTO_TCP, .state = CONN_OPEN }, got_info;
	uint32_t id[2];

	conf.match_local = _i & 2;
	begin();
	info.peer = there;
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(conn_index_add(&info, 10, 10), 0);
		id[i] = info.id;
		ck_assert(conn_find_peer(SIP_PROTO_TCP, &there, &got_info) == 0 && got_info.id == id[i]);
	}
	ck_assert_int_eq(conn_alias_add(id[_i & 1], 99), 0);
	conn_index_remove(id[!(_i & 1)]);
	ck_assert(conn_find_peer(SIP_PROTO_TCP, &there, &got_info) == 0 && got_info.id == id[_i & 1]);
	ck_assert(conn_index_find(SIP_PROTO_TCP, &there, 0, &got_info) == 0 && got_info.id == id[_i & 1]);
	ck_assert_int_eq(conn_index_find(SIP_PROTO_TCP, &there, 1, &got_info), -ENOENT);
	conf.match_local = !conf.match_local; /* and what was put in under another setting goes all the same */
	conn_reconf(&conf);
	conn_index_remove(id[_i & 1]);
	ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &there, &got_info), -ENOENT);
	ck_assert_uint_eq(conn_index_from(&there), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

static int count(const struct conn_info *info, void *arg)
{
	(void)info;
	++*(unsigned *)arg;
	return 0;
}

START_TEST(idle_cost)
{
	enum { N = 400 };
	static int fd[N];
	struct shm_stats a, b;
	struct mallinfo2 m, k;
	unsigned walked = 0;
	uint64_t bytes;

	begin();
	fd[0] = peer_connect(&here);
	SEND(fd[0], options_msg, sizeof(options_msg) - 1);
	RUN_UNTIL(n_got == 1);
	shm_arena_stats(&a);
	m = mallinfo2();
	for (unsigned i = 1; i < N; i++) {
		fd[i] = peer_connect(&here);
		SEND(fd[i], options_msg, sizeof(options_msg) - 1);
		if (i % 20 == 0)
			RUN_UNTIL(n_got == i + 1);
	}
	RUN_UNTIL(n_got == N);
	shm_arena_stats(&b);
	k = mallinfo2();
	bytes = (b.used_bytes - a.used_bytes + (k.uordblks - m.uordblks)) / (N - 1);
	(void)fprintf(stderr, "idle connection: %llu bytes (private %llu)\n",
	              (unsigned long long)bytes,
	              (unsigned long long)(k.uordblks - m.uordblks) / (N - 1));
	ck_assert_uint_lt(bytes, 2048);
	ck_assert_int_eq(conn_walk(count, &walked), 0);
	ck_assert_uint_eq(walked, N);
	for (unsigned i = 0; i < N; i++)
		(void)close(fd[i]);
	RUN_UNTIL(conn_count() == 0);
}
END_TEST

/* Whichever allocation fails: an error or success, and nothing is left over. */
START_TEST(short_of_memory)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	bool failed_once = true;
	unsigned n, n_ok = 0;
	int lfd, fd;

	begin();
	d.to = there;
	lfd = peer_listen();
	for (n = 1; failed_once && n < 1000; n++) {
		struct conn_info info;
		int err;

		fail_alloc_at(n);
		err = tx_send_bytes(&d, "hello", 5);
		failed_once = fail_alloc_end();
		if (err == 0) {
			n_ok++;
			ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &there, &info), 0);
			fd = accept(lfd, NULL, NULL);
			ck_assert_int_ge(fd, 0);
			(void)close(fd);
			conn_close(info.id);
		}
		run_ms(1);
		ck_assert_uint_eq(conn_count(), 0);
		ck_assert_int_eq(conn_queued_bytes(), 0);
	}
	ck_assert_uint_ge(n_ok, 1);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	(void)close(lfd);
}
END_TEST

/* ---- another worker ---- */

static void begin_two(void)
{
	take_ports();
	here = at("127.0.0.1", port[PORT]);
	there = at("127.0.0.1", port[PEER]);
	listen_on(SIP_PROTO_TCP, "127.0.0.1", port[PORT]);
	world(&conf, &rxc, 2);
}

/* The second worker sends on a connection that the first one owns, to its id and to its address. */
START_TEST(owned_by_another)
{
	struct conn_info info;
	char text[100];
	int fd, lfd, status, go[2];
	pid_t pid;

	begin_two();
	lfd = peer_listen();
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		struct tx_dest d = {
			.to = there, .listener = 0, .proto = SIP_PROTO_TCP, .flags = TX_NO_CONNECT
		};
		char c;

		if (read(go[0], &c, 1) != 1)
			_exit(2);
		work_as(1, got);
		if (tx_send_bytes(&d, "from the other", 14) != 0)
			_exit(3);
		if (conn_find_peer(SIP_PROTO_TCP, &there, &info) < 0)
			_exit(4);
		d.conn_id = info.id;
		if (tx_send_bytes(&d, " by id", 6) != 0)
			_exit(5);
		conn_close(info.id);
		shm_slot_release();
		_exit(0);
	}
	work_as(0, got);
	{
		struct tx_dest d = { .to = there, .listener = 0, .proto = SIP_PROTO_TCP };

		ck_assert_int_eq(tx_send_bytes(&d, "own ", 4), 0);
	}
	fd = accept(lfd, NULL, NULL);
	RUN_UNTIL(conn_queued_bytes() == 0);
	ck_assert_int_eq(write(go[1], "", 1), 1);
	RUN_UNTIL(conn_count() == 0); /* closed by the other */
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(recv(fd, text, sizeof(text), MSG_WAITALL), 24);
	ck_assert(memcmp(text, "own from the other by id", 24) == 0);
	(void)close(fd);
	(void)close(lfd);
}
END_TEST

/* What another worker sent before, and what lies on the ring still, goes out before what the owner sends now. */
START_TEST(sends_in_turn)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	char text[100];
	int fd, lfd, status, go[2];
	pid_t pid;

	begin_two();
	d.to = there;
	lfd = peer_listen();
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		char c;

		if (read(go[0], &c, 1) != 1)
			_exit(2);
		work_as(1, got);
		if (tx_send_bytes(&d, "180 ", 4) != 0)
			_exit(3);
		shm_slot_release();
		_exit(0);
	}
	work_as(0, got);
	ck_assert_int_eq(tx_send_bytes(&d, "100 ", 4), 0);
	fd = accept(lfd, NULL, NULL);
	RUN_UNTIL(conn_queued_bytes() == 0);
	ck_assert_int_eq(write(go[1], "", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(tx_send_bytes(&d, "200 ", 4), 0);
	ck_assert_int_eq(tx_send_bytes(&d, "BYE", 3), 0);
	run_ms(1);
	ck_assert_int_eq(tx_send_bytes(&d, ".", 1), 0); /* nothing waits any more: at once */
	ck_assert_int_eq(recv(fd, text, sizeof(text), MSG_DONTWAIT), 16);
	ck_assert(memcmp(text, "100 180 200 BYE.", 16) == 0);
	(void)close(fd);
	(void)close(lfd);
}
END_TEST

/* A worker dies: its connections are gone from the index, and the counts are right again. */
START_TEST(owner_dies)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	struct conn_info info;
	const char *what = NULL;
	int lfd, ready[2], status;
	char c;
	pid_t pid;

	conf.per_ip_limit = 3;
	begin_two();
	d.to = there;
	lfd = peer_listen();
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		work_as(1, got);
		if (tx_send_bytes(&d, "x", 1) != 0 ||
		    conn_find_peer(SIP_PROTO_TCP, &there, &info) < 0 ||
		    conn_alias_add(info.id, 99) < 0)
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	ck_assert_uint_eq(conn_count(), 1);
	ck_assert_int_eq(shm_counter_read(tcnt.current_opened), 1);
	ck_assert_int_gt(conn_queued_bytes(), 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(shm_slot_mark_dead(2), 0);
	ck_assert_int_eq(shm_slot_take(7, SHM_SLOT_JANITOR), 0);
	ck_assert_int_eq(shm_recover_slot(2), 0);
	ck_assert_int_eq(shm_check_all(&what), 0);
	ck_assert_uint_eq(conn_count(), 0);
	ck_assert_int_eq(shm_counter_read(tcnt.current_opened), 0);
	ck_assert_int_eq(conn_queued_bytes(), 0);
	ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &there, &info), -ENOENT);
	ck_assert_int_eq(
	    conn_find_peer(
		SIP_PROTO_TCP,
		&(struct net_addr){ .ip = { 127, 0, 0, 1 }, .port = 99, .family = AF_INET }, &info),
	    -ENOENT);
	shm_slot_release();
	(void)close(lfd);
}
END_TEST

static const char *const points[] = { "conn.add.counted", "conn.add.shown", "conn.remove.hidden", "conn.remove.peers" };

/* Forks a process that does fn once it is told to by a byte to *ret_go. */
static pid_t when_told(void (*fn)(void), int *ret_go)
{
	int go[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		if (read(go[0], &c, 1) != 1)
			_exit(2);
		fn();
		_exit(0);
	}
	(void)close(go[0]);
	*ret_go = go[1];
	return pid;
}

static int tell_and_wait(pid_t pid, int go)
{
	int status;

	ck_assert_int_eq(write(go, "", 1), 1);
	(void)close(go);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static const char *point;

/* Two connections from one address, the second of which comes and goes. */
static void come_and_go(void)
{
	struct net_addr a = at("127.0.0.1", 77), b = at("127.0.0.1", 78);
	struct conn_info info;

	work_as(1, got);
	conn_accepted(eventfd(0, 0), 0, &a);
	if (conn_find_peer(SIP_PROTO_TCP, &a, &info) < 0 || shm_crash_arm(point, 1) != 0)
		_exit(3);
	conn_accepted(eventfd(0, 0), 0, &b);
	if (conn_find_peer(SIP_PROTO_TCP, &b, &info) < 0)
		_exit(4);
	conn_close(info.id);
	_exit(5);
}

static void mend(void)
{
	if (shm_slot_take(7, SHM_SLOT_JANITOR) != 0 || shm_recover_slot(2) != 0)
		_exit(6);
	shm_slot_release();
}

/* A worker dies between the tables: what the others have from the same address is counted as before, nothing leaks. */
START_TEST(counts_survive_death)
{
	struct tx_dest d = { .listener = 0, .proto = SIP_PROTO_TCP };
	const char *what = NULL;
	struct conn_info info;
	int lfd, fd, status, go[2];
	pid_t worker, janitor;

	point = points[_i];
	begin_two();
	d.to = there;
	lfd = peer_listen();
	worker = when_told(come_and_go, &go[0]);
	janitor = when_told(mend, &go[1]);
	work_as(0, got);
	ck_assert_int_eq(tx_send_bytes(&d, "x", 1), 0);
	fd = accept(lfd, NULL, NULL);
	ck_assert_uint_eq(conn_index_from(&there), 1);
	status = tell_and_wait(worker, go[0]);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_uint_eq(conn_index_from(&there), 3);
	ck_assert_int_eq(shm_slot_mark_dead(2), 0);
	ck_assert_int_eq(tell_and_wait(janitor, go[1]), 0);
	ck_assert_uint_eq(conn_index_from(&there), 1);
	ck_assert_uint_eq(conn_count(), 1);
	ck_assert_int_eq(conn_find_peer(SIP_PROTO_TCP, &there, &info), 0);
	conn_close(info.id);
	ck_assert_uint_eq(conn_index_from(&there), 0);
	ck_assert_int_eq(shm_check_all(&what), 0);
	(void)close(fd);
	(void)close(lfd);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("conn");
	TCase *tc = tcase_create("conn");

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, whole_messages);
	tcase_add_test(tc, byte_by_byte);
	tcase_add_test(tc, ping);
	tcase_add_loop_test(tc, broken_frame, 0, ARRAY_LEN(broken));
	tcase_add_test(tc, rubbish);
	tcase_add_test(tc, handler_closes);
	tcase_add_test(tc, connects);
	tcase_add_test(tc, connect_refused);
	tcase_add_test(tc, reuse_port);
	tcase_add_test(tc, slow_reader);
	tcase_add_test(tc, pings_unread);
	tcase_add_test(tc, send_timeout);
	tcase_add_loop_test(tc, limits, 0, 2);
	tcase_add_test(tc, out_of_descriptors);
	tcase_add_test(tc, loopback_is_spared);
	tcase_add_loop_test(tc, one_per_peer, 0, 2);
	tcase_add_loop_test(tc, per_socket, 0, 2);
	tcase_add_test(tc, source_address);
	tcase_add_test(tc, options_are_inherited);
	tcase_add_loop_test(tc, idle_ends, 0, 2);
	tcase_add_test(tc, aliases);
	tcase_add_loop_test(tc, port_is_used_again, 0, 4);
	tcase_add_test(tc, idle_cost);
	tcase_add_test(tc, short_of_memory);
	tcase_add_test(tc, owned_by_another);
	tcase_add_test(tc, sends_in_turn);
	tcase_add_test(tc, owner_dies);
	if (shm_crash_arm(NULL, 0) == 0) /* a build with crash points */
		tcase_add_loop_test(tc, counts_survive_death, 0, ARRAY_LEN(points));
	suite_add_tcase(s, tc);
	return s;
}
