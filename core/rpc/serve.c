/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clients of RPC, streams and datagrams. A stream has one request at work at a time: while its answer is made or sent
 * nothing more is read from it, so that a client can queue up no work. A datagram is answered at once or when its answer is ready;
 * what the receiver has no room for is lost, as datagrams are.
 */
#include "core/rpc/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/event/loop.h"

#define DGRAM_MAX 65456u
#define PER_TURN 16u
#define REQUEST_MS 5000u  /* from its first byte to its last */
#define NO_FD_MS 100u
#define BUF_FIRST 2048u

struct rpc_server {
	struct rpc_server *next;
	struct loop *loop;
	int fd;
	const struct rpc_sock *sock;
	const struct rpc_serving *serving;
	struct loop_io *io;
	struct loop_timer *pause; /* out of descriptors */
};

struct client {
	struct client *prev, *next;
	struct rpc_server *server;
	int fd;
	struct net_addr peer;
	struct loop_io *io;       /* while it is read from */
	struct loop_timer *timer; /* of a request that is not whole yet */
	uint64_t since_ms;        /* it waits for a request */
	char *buf;
	size_t n, cap;
	struct rpc_scan scan;
};

static struct {
	struct rpc_server *servers; /* live as long as the process */
	struct client *first;
	unsigned n;
	const struct rpc_sock *now;
} all;

const struct rpc_sock *rpc_serving_now(void)
{
	return all.now;
}

void rpc_clients_each(void (*fn)(const struct rpc_client_info *info, void *arg), void *arg)
{
	for (struct client *c = all.first; c; c = c->next) {
		struct rpc_client_info info = { .sock = c->server->sock, .peer = c->peer };

		fn(&info, arg);
	}
}

/* ---- streams ---- */

static void client_free(struct client *c)
{
	loop_io_del(c->io);
	loop_timer_del(c->timer);
	if (c->prev)
		c->prev->next = c->next;
	else
		all.first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	all.n--;
	(void)close(c->fd);
	free(c->buf);
	free(c);
}

static void client_go_on(struct client *c);

static void on_sent(void *arg, int err)
{
	struct client *c = arg;

	if (err == -ETIMEDOUT)
		log_warn("%s: a client does not take its answer, dropped", c->server->serving->who);
	else if (err < 0 && err != -EPIPE && err != -ECONNRESET)
		log_fail(err, "%s: an answer could not be sent", c->server->serving->who);
	if (err < 0 || c->server->serving->one_each)
		client_free(c);
	else
		client_go_on(c);
}

static void client_answer(void *arg, struct rpc *call)
{
	struct client *c = arg;

	if (rpc_send(c->server->loop, c->fd, call, c->server->serving->reply_max, on_sent, c) < 0)
		client_free(c);
}

/* The client is read from no more until it has its answer. */
static void client_run(struct client *c, size_t len)
{
	struct rpc_out out = { .later = client_answer, .later_arg = c };
	int err;

	loop_io_del(c->io);
	c->io = NULL;
	loop_timer_del(c->timer);
	c->timer = NULL;
	all.now = c->server->sock;
	err = c->server->serving->run(str_of(c->buf + c->scan.from, len), &out);
	all.now = NULL;
	len += c->scan.from;
	c->n -= len;
	memmove(c->buf, c->buf + len, c->n);
	c->scan = (struct rpc_scan){ 0 };
	if (err == 0)
		client_answer(c, out.call);
	else if (err != -EINPROGRESS)
		client_free(c);
}

static void on_request_late(void *arg)
{
	client_free(arg);
}

static void on_client(void *arg, int fd, int events);

/* Runs the next request if it is whole, else waits for it. */
static void client_go_on(struct client *c)
{
	const struct rpc_serving *s = c->server->serving;
	ptrdiff_t len = c->n ? s->frame(str_of(c->buf, c->n), &c->scan) : 0;

	if (len > 0) {
		client_run(c, (size_t)len);
		return;
	}
	if (len < 0 || c->n >= s->request_max)
		goto fail;
	if ((c->n || s->one_each) && !c->timer && loop_timer_add(c->server->loop, REQUEST_MS, 0, on_request_late, c, &c->timer) < 0)
		goto fail;
	c->since_ms = clock_ms();
	if (!c->io && loop_io_add(c->server->loop, c->fd, LOOP_READ, on_client, c, &c->io) < 0)
		goto fail;
	return;
fail:
	client_free(c);
}

static int client_room(struct client *c)
{
	size_t cap = c->cap ? 2 * c->cap : BUF_FIRST;
	char *buf;

	if (c->n < c->cap)
		return 0;
	buf = realloc(c->buf, cap);
	if (!buf)
		return -ENOMEM;
	c->buf = buf;
	c->cap = cap;
	return 0;
}

static void on_client(void *arg, int fd, int events)
{
	struct client *c = arg;
	ssize_t n = events < 0 || client_room(c) < 0 ? 0 : recv(fd, c->buf + c->n, c->cap - c->n, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->n += (size_t)n;
	client_go_on(c);
}

/* Of those who wait for nothing but themselves, the one that does so longest. */
static bool make_room(void)
{
	struct client *oldest = NULL;

	for (struct client *c = all.first; c; c = c->next)
		if (c->io && (!oldest || c->since_ms <= oldest->since_ms))
			oldest = c;
	if (oldest)
		client_free(oldest);
	return oldest != NULL;
}

static void client_new(struct rpc_server *s, int fd, const struct sockaddr *from)
{
	struct client *c;

	if (all.n == RPC_CLIENTS_MAX && !make_room()) {
		(void)close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close(fd);
		return;
	}
	c->server = s;
	c->fd = fd;
	if (from->sa_family != AF_UNIX)
		net_addr_from_sockaddr(from, &c->peer);
	c->next = all.first;
	if (all.first)
		all.first->prev = c;
	all.first = c;
	all.n++;
	client_go_on(c);
}

static void on_pause_over(void *arg)
{
	struct rpc_server *s = arg;

	if (loop_io_set(s->io, LOOP_READ) < 0)
		log_error("%s: a socket is served no more", s->serving->who);
}

static void on_accept(void *arg, int fd, int events)
{
	struct rpc_server *s = arg;

	for (unsigned i = 0; events >= 0 && i < PER_TURN; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		int client = accept4(fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			client_new(s, client, (struct sockaddr *)&from);
			continue;
		}
		if ((errno == EMFILE || errno == ENFILE) && !make_room() && loop_io_set(s->io, 0) == 0)
			loop_timer_set(s->pause, NO_FD_MS);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/* ---- datagrams ---- */

static char dgram_in[DGRAM_MAX + 1], dgram_out[DGRAM_MAX];

struct asker { /* heap: where an answer goes */
	struct rpc_server *server;
	struct sockaddr_storage from;
	socklen_t len;
};

static void asker_send(const struct asker *a, struct str reply)
{
	if (sendto(a->server->fd, reply.s, reply.n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&a->from, a->len) < 0)
		log_fail(-errno, "%s: cannot answer a datagram with %zu bytes", a->server->serving->who, reply.n);
}

static size_t dgram_room(const struct rpc_serving *s)
{
	return s->reply_max && s->reply_max < sizeof(dgram_out) ? s->reply_max : sizeof(dgram_out);
}

static void asker_answer(void *arg, struct rpc *call)
{
	struct asker *a = arg;
	struct strbuf sb;

	strbuf_init_fixed(&sb, dgram_out, dgram_room(a->server->serving));
	if (rpc_read_all(call, &sb) == 0)
		asker_send(a, strbuf_str(&sb));
	rpc_free(call);
	free(a);
}

static void dgram_one(const struct asker *from, struct str doc)
{
	const struct rpc_serving *s = from->server->serving;
	struct asker *a = malloc(sizeof(*a));
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb, .later = a ? asker_answer : NULL, .later_arg = a };
	int err;

	if (a)
		*a = *from;
	strbuf_init_fixed(&sb, dgram_out, dgram_room(s));
	all.now = from->server->sock;
	err = s->run(doc, &out);
	all.now = NULL;
	if (err == -EINPROGRESS)
		return; /* a goes with the answer */
	if (err == 0)
		asker_send(from, strbuf_str(&sb));
	else
		log_error("%s: datagram of %zu bytes is no request", s->who, doc.n);
	free(a);
}

static void on_dgram(void *arg, int fd, int events)
{
	struct rpc_server *s = arg;

	for (unsigned i = 0; events >= 0 && i < PER_TURN; i++) {
		struct asker a = { .server = s, .len = sizeof(a.from) };
		ssize_t n = recvfrom(fd, dgram_in, sizeof(dgram_in), MSG_DONTWAIT, (struct sockaddr *)&a.from, &a.len);

		if (n < 0)
			return;
		if ((size_t)n > DGRAM_MAX)
			log_error("%s: datagram of more than %u bytes", s->serving->who, DGRAM_MAX);
		else if (a.len <= sizeof(sa_family_t))
			log_error("%s: the sender of a datagram has no address to answer to", s->serving->who);
		else if (n > 0)
			dgram_one(&a, str_of(dgram_in, (size_t)n));
	}
}

int rpc_serve(struct loop *loop, int fd, const struct rpc_sock *sock, const struct rpc_serving *serving)
{
	bool stream = sock->kind == RPC_UNIX_STREAM || sock->kind == RPC_TCP;
	struct rpc_server *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		goto fail;
	*s = (struct rpc_server){ .loop = loop, .fd = fd, .sock = sock, .serving = serving };
	if (stream) {
		err = loop_timer_add(loop, UINT32_MAX, 0, on_pause_over, s, &s->pause);
		if (err < 0)
			goto fail;
	}
	err = loop_io_add(loop, fd, LOOP_READ, stream ? on_accept : on_dgram, s, &s->io);
	if (err < 0)
		goto fail;
	s->next = all.servers;
	all.servers = s;
	return 0;
fail:
	if (s)
		loop_timer_del(s->pause);
	free(s);
	(void)close(fd);
	return log_fail(err, "%s: cannot watch a socket", serving->who);
}
