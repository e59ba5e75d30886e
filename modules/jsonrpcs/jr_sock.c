/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams (Unix and UDP): one document each, answered to where it came from, at once or never. TCP: one document, one
 * answer, closed; who sends or reads slowly has his own buffer and deadline, and there are at most TCP_MAX of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/net/addr.h"
#include "modules/jsonrpcs/jr_priv.h"

#define TCP_MAX 64u
#define TCP_READ_MS 5000u
#define DGRAMS_PER_TURN 16u
#define SNDBUF_BYTES (1 << 20)

static struct {
	struct loop *loop;
	int dgram_fd, tcp_fd;
	struct loop_io *dgram_io, *tcp_io;
	char in[JR_DGRAM_MAX + 1], out[JR_DGRAM_MAX];
	unsigned n_tcp;
} sock = { .dgram_fd = -1, .tcp_fd = -1 };

/* "proto:host:port", port from min_port. */
static int parse_hostport(struct str text, const char *proto, unsigned min_port, struct net_addr *ret)
{
	struct str prefix = str_lit(proto), rest;
	ptrdiff_t colon;
	uint32_t port;

	if (!str_istarts(text, prefix))
		return -EINVAL;
	rest = str_sub(text, prefix.n, text.n);
	colon = str_rfind_char(rest, ':');
	if (colon <= 0 || num_u32(str_sub(rest, (size_t)colon + 1, rest.n), &port) < 0 || port < min_port || port > 65535)
		return -EINVAL;
	rest.n = (size_t)colon;
	if (str_ieq(rest, STR_LIT("localhost")))
		rest = STR_LIT("127.0.0.1");
	return net_addr_parse(rest, (uint16_t)port, ret);
}

/* ---- datagrams ---- */

struct dgram_later { /* heap: where a delayed answer goes */
	struct sockaddr_storage from;
	socklen_t len;
};

static void dgram_answer(void *arg, const struct rpc_json_out *out)
{
	struct dgram_later *l = arg;

	if (sendto(sock.dgram_fd, out->reply->p, out->reply->n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&l->from, l->len) < 0)
		log_fail(-errno, "jsonrpcs: cannot answer a datagram with %zu bytes", out->reply->n);
	free(l);
}

static void dgram_one(size_t n, const struct sockaddr *from, socklen_t from_len)
{
	struct strbuf sb;
	struct rpc_json_out out = { .reply = &sb };
	struct dgram_later *l = from_len > sizeof(sa_family_t) ? malloc(sizeof(*l)) : NULL;
	int err;

	if (l) {
		memcpy(&l->from, from, from_len);
		l->len = from_len;
		out.later = dgram_answer;
		out.later_arg = l;
	}
	strbuf_init_fixed(&sb, sock.out, sizeof(sock.out));
	err = rpc_json_run(str_of(sock.in, n), jr_conf.pretty_format != 0, &out);
	if (err == -EINPROGRESS)
		return; /* l goes with the answer */
	free(l);
	if (err < 0) {
		log_error("jsonrpcs: datagram of %zu bytes is no JSON", n);
		return;
	}
	if (from_len <= sizeof(sa_family_t)) {
		log_error("jsonrpcs: the sender of a datagram has no address to answer to");
		return;
	}
	if (sendto(sock.dgram_fd, sb.p, sb.n, MSG_DONTWAIT | MSG_NOSIGNAL, from, from_len) < 0)
		log_fail(-errno, "jsonrpcs: cannot answer a datagram with %zu bytes", sb.n);
}

static void on_dgram(void *arg, int fd, int events)
{
	(void)arg;
	if (events < 0)
		return;
	for (unsigned i = 0; i < DGRAMS_PER_TURN; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, sock.in, sizeof(sock.in), MSG_DONTWAIT, (struct sockaddr *)&from, &len);

		if (n < 0)
			return;
		if ((size_t)n > JR_DGRAM_MAX)
			log_error("jsonrpcs: datagram of more than %u bytes", JR_DGRAM_MAX);
		else if (n > 0)
			dgram_one((size_t)n, (struct sockaddr *)&from, len);
	}
}

static int unix_open(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mode = (mode_t)jr_conf.dgram_mode;
	char path[JR_PATH_MAX];
	uid_t uid;
	gid_t gid;
	int err = jr_path(jr_conf.dgram_socket, path);

	if (err < 0)
		return log_fail(err, "jsonrpcs: dgram_socket \"%.*s\"", STR_FMT(jr_conf.dgram_socket));
	err = jr_owner(jr_conf.dgram_user, jr_conf.dgram_group, &uid, &gid);
	if (err < 0)
		return err;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (unlink(path) < 0 && errno != ENOENT)
		return log_fail(-errno, "jsonrpcs: cannot remove the old %s", path);
	sock.dgram_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock.dgram_fd < 0 || bind(sock.dgram_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return log_fail(-errno, "jsonrpcs: cannot bind socket %s", path);
	jr_file_note(false);
	if (chmod(path, mode ? mode : 0600) < 0 || ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(path, uid, gid) < 0))
		return log_fail(-errno, "jsonrpcs: cannot set mode or owner of %s", path);
	return 0;
}

static int udp_open(void)
{
	struct sockaddr_storage sa;
	struct net_addr addr;
	socklen_t len;

	if (parse_hostport(jr_conf.dgram_socket, "udp:", 1024, &addr) < 0) {
		log_error("jsonrpcs: dgram_socket \"%.*s\": udp:address:port expected, port 1024 to 65535", STR_FMT(jr_conf.dgram_socket));
		return -EINVAL;
	}
	len = net_addr_to_sockaddr(&addr, &sa);
	sock.dgram_fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock.dgram_fd < 0 || bind(sock.dgram_fd, (struct sockaddr *)&sa, len) < 0)
		return log_fail(-errno, "jsonrpcs: cannot bind %.*s", STR_FMT(jr_conf.dgram_socket));
	return 0;
}

int jr_dgram_start(struct loop *loop)
{
	int size = SNDBUF_BYTES, err = str_istarts(jr_conf.dgram_socket, STR_LIT("udp:")) ? udp_open() : unix_open();

	if (err < 0)
		return err;
	(void)setsockopt(sock.dgram_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* smaller answers work without */
	sock.loop = loop;
	err = loop_io_add(loop, sock.dgram_fd, LOOP_READ, on_dgram, NULL, &sock.dgram_io);
	return err < 0 ? log_fail(err, "jsonrpcs: cannot watch the datagram socket") : 0;
}

/* ---- TCP ---- */

struct client {
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	size_t n;
	char buf[JR_TCP_DOC_MAX];
};

static void client_free(struct client *c)
{
	loop_io_del(c->io);
	loop_timer_del(c->timer);
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c);
	sock.n_tcp--;
}

static void tcp_answer(void *arg, const struct rpc_json_out *out)
{
	int fd = (int)(intptr_t)arg;
	char *text = malloc(out->reply->n + 1);

	if (!text) {
		(void)close(fd);
		return;
	}
	memcpy(text, out->reply->p, out->reply->n);
	jr_send_and_close(sock.loop, fd, text, out->reply->n);
}

static void client_run(struct client *c, struct str doc)
{
	struct strbuf sb;
	struct rpc_json_out out = { .reply = &sb, .later = tcp_answer, .later_arg = (void *)(intptr_t)c->fd };
	char *text;
	size_t n;
	int fd = c->fd, err;

	strbuf_init(&sb, JR_REPLY_MAX);
	err = rpc_json_run(doc, jr_conf.pretty_format != 0, &out);
	if (err == -EINPROGRESS) { /* the descriptor goes with the answer */
		c->fd = -1;
		strbuf_done(&sb);
		client_free(c);
		return;
	}
	if (err < 0) {
		strbuf_done(&sb);
		client_free(c);
		return;
	}
	n = sb.n;
	text = strbuf_take(&sb);
	c->fd = -1;
	loop_io_del(c->io);
	c->io = NULL;
	client_free(c);
	if (text)
		jr_send_and_close(sock.loop, fd, text, n);
	else
		(void)close(fd);
}

static void on_client(void *arg, int fd, int events)
{
	struct client *c = arg;
	size_t from, len;
	ssize_t n = events < 0 ? -1 : recv(fd, c->buf + c->n, sizeof(c->buf) - c->n, MSG_DONTWAIT);

	if (n < 0 && events >= 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->n += (size_t)n;
	len = jr_doc_end(str_of(c->buf, c->n), &from);
	if (len > 0)
		client_run(c, str_of(c->buf + from, len));
	else if (c->n == sizeof(c->buf))
		client_free(c);
}

static void on_client_late(void *arg)
{
	client_free(arg);
}

static void on_accept(void *arg, int fd, int events)
{
	struct client *c;
	int client;

	(void)arg;
	if (events < 0)
		return;
	client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client < 0)
		return;
	c = sock.n_tcp < TCP_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		(void)close(client);
		return;
	}
	sock.n_tcp++;
	c->fd = client;
	if (loop_io_add(sock.loop, client, LOOP_READ, on_client, c, &c->io) < 0 ||
	    loop_timer_add(sock.loop, TCP_READ_MS, 0, on_client_late, c, &c->timer) < 0)
		client_free(c);
}

int jr_tcp_start(struct loop *loop)
{
	struct sockaddr_storage sa;
	struct net_addr addr;
	socklen_t len;
	int one = 1, err;

	if (parse_hostport(jr_conf.tcp_socket, "tcp:", 1, &addr) < 0) {
		log_error("jsonrpcs: tcp_socket \"%.*s\": tcp:address:port expected", STR_FMT(jr_conf.tcp_socket));
		return -EINVAL;
	}
	len = net_addr_to_sockaddr(&addr, &sa);
	sock.tcp_fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock.tcp_fd < 0 || setsockopt(sock.tcp_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(sock.tcp_fd, (struct sockaddr *)&sa, len) < 0 || listen(sock.tcp_fd, 64) < 0)
		return log_fail(-errno, "jsonrpcs: cannot listen on %.*s", STR_FMT(jr_conf.tcp_socket));
	sock.loop = loop;
	err = loop_io_add(loop, sock.tcp_fd, LOOP_READ, on_accept, NULL, &sock.tcp_io);
	return err < 0 ? log_fail(err, "jsonrpcs: cannot watch the TCP socket") : 0;
}
