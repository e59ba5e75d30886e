/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the transports share: an arena, a slot, sockets on loopback, a loop; peers are
 * plain sockets. */
#ifndef RF_TEST_TRANSPORT_FIXTURE_H
#define RF_TEST_TRANSPORT_FIXTURE_H

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/event/doorbell.h"
#include "core/transport/transport_priv.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define LIMIT_MS 3000u

static struct loop *loop;

static inline struct net_addr at(const char *ip, uint16_t port)
{
	struct net_addr a;

	ck_assert_int_eq(net_addr_parse(str_lit(ip), port, &a), 0);
	return a;
}

static inline void listen_on(enum sip_proto proto, const char *ip, uint16_t port)
{
	struct net_listen_spec spec = { .proto = proto, .host = str_lit(ip), .port = port };
	struct diag d;

	ck_assert_msg(net_listener_add(&spec, &d) == 0, "%s", d.text);
}

static inline struct conn_conf conn_defaults(void)
{
	return (struct conn_conf){ .max_connections = 2048,
		                   .per_ip_limit = 1024,
		                   .lifetime_s = 120,
		                   .connect_timeout_s = 10,
		                   .send_timeout_s = 10,
		                   .conn_wq_max = 32768,
		                   .wq_max = 10485760,
		                   .rd_buf_size = 16384,
		                   .msg_read_timeout_s = 20,
		                   .crlf_ping = true,
		                   .stream.keepalive = true };
}

/* Before any fork of a test. */
static inline void world(const struct conn_conf *conf, const struct rx_conf *rxc,
                         unsigned n_workers)
{
	struct shm_opts so = { .ceiling_bytes = 64u << 20 };
	struct net_open_opts opts = {
		.n_workers = n_workers, .tos = -1, .backlog = 64, .stream = conf->stream
	};
	struct diag d;

	ck_assert_int_eq(shm_arena_create(&so), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_SUPERVISOR), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(doorbell_open_all(8), 0);
	ck_assert_int_eq(conn_init(conf), 0);
	rx_configure(rxc);
	ck_assert_msg(net_listeners_open(&opts, &d) == 0, "%s", d.text);
	shm_slot_release();
}

/* Becomes worker w. */
static inline void work_as(unsigned w, rx_fn *handler)
{
	ck_assert_int_eq(shm_slot_take(1 + w, SHM_SLOT_WORKER), 0);
	(void)clock_update();
	shm_slot_beat(clock_ms());
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(doorbell_listen(loop), 0);
	ck_assert_int_eq(ctx_pool_init(1000), 0);
	ck_assert_int_eq(conn_worker_init(loop), 0);
	rx_handler(handler);
	ck_assert_int_eq(rx_worker_init(loop, w), 0);
}

static inline void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Turns the loop for so long, at most. */
static inline void run_ms(unsigned ms)
{
	struct loop_timer *t;

	ck_assert_int_eq(loop_timer_add(loop, ms, 0, stop_loop, NULL, &t), 0);
	loop_run(loop);
	loop_timer_del(t);
}

/* The condition is not evaluated again once it was true. */
#define RUN_UNTIL(cond)                                                                            \
	do {                                                                                       \
		bool true_ = (cond);                                                               \
		for (unsigned ms_ = 0; !true_ && ms_ < LIMIT_MS; ms_ += 2) {                       \
			run_ms(2);                                                                 \
			true_ = (cond);                                                            \
		}                                                                                  \
		ck_assert_msg(true_, "never became true: %s", #cond);                              \
	} while (0)

static inline int peer_socket(int type, const struct net_addr *bind_to)
{
	struct sockaddr_storage sa;
	socklen_t n = net_addr_to_sockaddr(bind_to, &sa);
	int fd = socket(bind_to->family, type | SOCK_CLOEXEC, 0), on = 1;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, n), 0);
	return fd;
}

static inline int peer_connect(const struct net_addr *to)
{
	struct sockaddr_storage sa;
	socklen_t n = net_addr_to_sockaddr(to, &sa);
	int fd = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, n), 0);
	return fd;
}

static inline void peer_sendto(int fd, const struct net_addr *to, const char *p, size_t len)
{
	struct sockaddr_storage sa;
	socklen_t n = net_addr_to_sockaddr(to, &sa);

	ck_assert_int_eq(sendto(fd, p, len, 0, (struct sockaddr *)&sa, n), (ssize_t)len);
}

/* What is there now, without waiting; -1: nothing, 0: end. */
static inline ssize_t peer_recv(int fd, char *out, size_t cap)
{
	ssize_t n = recv(fd, out, cap - 1, MSG_DONTWAIT);

	if (n >= 0)
		out[n] = 0;
	return n;
}

static const char options_msg[] = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP "
				  "c;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n"
				  "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

#endif
