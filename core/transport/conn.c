/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of one worker. A connection has a descriptor, a partial message while there is one, and a
 * queue while the kernel takes no more; idle it is this struct and its entries in the shared index,
 * and nothing else. All descriptors are watched as one group: see core/event/group.c.
 *
 * Reading: bytes go into a receive buffer of rx.c and whole messages are handed on from there
 * without a copy. Only the rest, the beginning of a message, moves into memory of the connection;
 * following bytes are read behind it, and framing remembers how far it looked, so a peer that sends
 * byte by byte costs linear time.
 *
 * Deadlines have one second of resolution and sit in a private wheel of lists, one entry per
 * connection, at the earliest of its deadlines. Activity only moves the deadline in the struct; the
 * entry notices when its slot comes up. Each tick handles a bounded number.
 *
 * A connection is freed at the end of the turn, never while one of its messages is being handled.
 */
#include "core/transport/conn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/event/doorbell.h"
#include "core/event/group.h"
#include "core/sip/build.h"
#include "core/sip/frame.h"
#include "core/transport/conn_index.h"
#include "core/transport/transport_priv.h"
#include "shm/counter.h"
#include "shm/ring.h"
#include "shm/slot.h"

#define WHEEL_SLOTS 512u
#define TICK_MS 250u
#define TICK_BUDGET 1000u /* connections looked at per tick */
#define ACCEPT_BUDGET 32u /* per readiness */
#define LINGER_MS 2000u   /* after the last byte was sent: time for the peer to read it */
#define IOV_MAX_SEND 64u
#define PARTIAL_START 512u
#define ID_BUCKETS_START 64u
#define NEVER_MS UINT64_MAX

struct wq { /* bytes that wait for the kernel: one message */
	struct wq *next;
	struct tx_dest dest;
	uint32_t n, off;
	char bytes[];
};

struct conn {
	struct conn *next_id;                /* in the private table */
	struct conn *wheel_next, **wheel_at; /* in the private wheel */
	struct loop_member watch;
	char *part; /* beginning of a message; NULL: none */
	struct wq *wq, **wq_tail;
	uint64_t expires_ms, idx_expires_ms; /* end of idle life; as the index knows it */
	uint64_t read_by_ms,
	    write_by_ms; /* deadlines of a partial message, of connecting or a stuck queue */
	struct sip_frame frame;
	uint32_t id;
	uint32_t part_n, part_cap, wq_bytes;
	int fd;
	struct net_addr peer, local;
	uint16_t listener;
	uint8_t proto, state;
	bool close_after, dead, outgoing, ping_due;
	bool deaf; /* what comes is thrown away: the stream is broken, answers to what it brought before still go out */
};

struct remote_send { /* what goes over the ring, before the bytes */
	uint32_t id;
	struct tx_dest dest;
};

static struct {
	struct conn_conf conf;
	struct loop *loop;
	struct loop_group *group; /* all descriptors */
	struct conn **ids;
	unsigned n_ids, n_buckets;
	struct conn *wheel[WHEEL_SLOTS];
	uint64_t wheel_s; /* next second to look at */
	struct conn *dead;
	bool bury_due;
	int spare_fd; /* given up for a moment when descriptors run out */
} conns = { .spare_fd = -1, .conf = { .rd_buf_size = 16384 } };

const struct conn_conf *conn_conf(void)
{
	return &conns.conf;
}

/* ---- private table by id ---- */

static struct conn *local_find(uint32_t id)
{
	struct conn *c;

	if (conns.n_buckets == 0)
		return NULL;
	for (c = conns.ids[id & (conns.n_buckets - 1)]; c && c->id != id; c = c->next_id)
		;
	return c;
}

static int local_grow(void)
{
	unsigned n = conns.n_buckets ? conns.n_buckets * 2 : ID_BUCKETS_START;
	struct conn **ids;

	if (conns.n_ids < conns.n_buckets)
		return 0;
	ids = calloc(n, sizeof(struct conn *));
	if (!ids)
		return conns.n_buckets ? 0 : -ENOMEM;
	for (unsigned i = 0; i < conns.n_buckets; i++) {
		while (conns.ids[i]) {
			struct conn *c = conns.ids[i];

			conns.ids[i] = c->next_id;
			c->next_id = ids[c->id & (n - 1)];
			ids[c->id & (n - 1)] = c;
		}
	}
	free(conns.ids);
	conns.ids = ids;
	conns.n_buckets = n;
	return 0;
}

static void local_add(struct conn *c)
{
	struct conn **at = &conns.ids[c->id & (conns.n_buckets - 1)];

	c->next_id = *at;
	*at = c;
	conns.n_ids++;
}

static void local_remove(const struct conn *c)
{
	for (struct conn **at = &conns.ids[c->id & (conns.n_buckets - 1)]; *at;
	     at = &(*at)->next_id) {
		if (*at == c) {
			*at = c->next_id;
			conns.n_ids--;
			return;
		}
	}
}

/* ---- private wheel ---- */

static uint64_t deadline(const struct conn *c)
{
	uint64_t t = c->expires_ms;

	if (c->read_by_ms < t)
		t = c->read_by_ms;
	return c->write_by_ms < t ? c->write_by_ms : t;
}

static void wheel_unlink(struct conn *c)
{
	if (!c->wheel_at)
		return;
	*c->wheel_at = c->wheel_next;
	if (c->wheel_next)
		c->wheel_next->wheel_at = c->wheel_at;
	c->wheel_at = NULL;
}

/* At its deadline, or at the far end of the wheel, from where it is put on again. */
static void wheel_link(struct conn *c)
{
	uint64_t s = deadline(c) / 1000 + 1;
	struct conn **at;

	if (s < conns.wheel_s)
		s = conns.wheel_s;
	if (s > conns.wheel_s + WHEEL_SLOTS - 2)
		s = conns.wheel_s + WHEEL_SLOTS - 2;
	wheel_unlink(c);
	at = &conns.wheel[s % WHEEL_SLOTS];
	c->wheel_next = *at;
	if (*at)
		(*at)->wheel_at = &c->wheel_next;
	c->wheel_at = at;
	*at = c;
}

/* ---- life ---- */

static void bury(void *arg)
{
	(void)arg;
	conns.bury_due = false;
	while (conns.dead) {
		struct conn *c = conns.dead;

		conns.dead = c->next_id;
		free(c->part);
		free(c);
	}
}

static void drop_queue(struct conn *c, int err)
{
	conn_index_queued(-(int64_t)c->wq_bytes);
	shm_counter_add(tcnt.current_queue, -(int64_t)c->wq_bytes);
	c->wq_bytes = 0;
	while (c->wq) {
		struct wq *w = c->wq;

		c->wq = w->next;
		if (err)
			tx_failed(&w->dest, str_of(w->bytes, w->n), err);
		free(w);
	}
	c->wq_tail = &c->wq;
}

/* Ends it at once. err: what is told about bytes that were not sent. */
static void conn_end(struct conn *c, int err)
{
	struct wq *left = c->wq;

	if (c->dead)
		return;
	c->dead = true;
	wheel_unlink(c);
	loop_group_del(conns.group, &c->watch);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	local_remove(c);
	conn_index_remove(c->id);
	shm_counter_add(tcnt.current_opened, -1);
	c->next_id = conns.dead;
	conns.dead = c;
	if (!conns.bury_due && loop_defer(conns.loop, bury, NULL) == 0)
		conns.bury_due = true; /* else the next end tries again: nothing is lost but a
		                          little memory for a while */
	if (left)
		drop_queue(c, err ? err
		                  : -EPIPE); /* handlers may send again, and find this one gone */
}

static void touch(struct conn *c)
{
	if (c->deaf)
		return;
	c->expires_ms = clock_ms() + (uint64_t)conns.conf.lifetime_s * 1000u;
}

/* Deadlines became earlier than the entry in the wheel may say. */
static void hurry(struct conn *c)
{
	if (!c->dead)
		wheel_link(c);
}

static void watch(struct conn *c)
{
	int events = 0;

	if (c->dead)
		return;
	if (c->state != CONN_CONNECTING && !rx_stopped())
		events |= LOOP_READ;
	if (c->state == CONN_CONNECTING || c->wq)
		events |= LOOP_WRITE;
	if (loop_group_set(conns.group, &c->watch, events) < 0)
		conn_end(c, -EIO);
}

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Takes fd over in every case. */
static int conn_make(int fd, uint16_t listener, const struct net_addr *peer,
                     const struct net_addr *local, enum conn_state state, struct conn **ret)
{
	const struct net_listener *l = net_listener_at(listener);
	unsigned limit = conns.conf.per_ip_limit;
	struct conn *c = calloc(1, sizeof(*c));
	struct conn_info info = { .proto = l->proto,
		                  .state = state,
		                  .listener = listener,
		                  .peer = *peer,
		                  .local = *local };
	int err = -ENOMEM;

	if (!c || local_grow() < 0)
		goto fail;
	c->fd = fd;
	c->listener = listener;
	c->peer = *peer;
	c->local = *local;
	c->proto = (uint8_t)l->proto;
	c->state = (uint8_t)state;
	c->read_by_ms = c->write_by_ms = NEVER_MS;
	c->wq_tail = &c->wq;
	touch(c);
	info.expires_ms = c->idx_expires_ms = c->expires_ms;
	if (state == CONN_CONNECTING ||
	    (conns.conf.spare_loopback && net_addr_is_loopback(peer)))
		limit = 0;
	err = conn_index_add(&info, conns.conf.max_connections, limit);
	if (err < 0)
		goto fail;
	c->id = info.id;
	err = loop_group_add(conns.group, &c->watch, fd,
	                     state == CONN_CONNECTING ? LOOP_WRITE : LOOP_READ);
	if (err < 0) {
		conn_index_remove(c->id);
		goto fail;
	}
	local_add(c);
	wheel_link(c);
	shm_counter_add(tcnt.current_opened, 1);
	*ret = c;
	return 0;
fail:
	(void)close(fd);
	free(c);
	return err;
}

/* ---- writing ---- */

/* All was sent: wait no longer, and end it if that was wanted. */
static void queue_empty(struct conn *c)
{
	c->write_by_ms = NEVER_MS;
	if (!c->close_after || c->state == CONN_CLOSING)
		return;
	/* the peer shall have time to read: what it still sends is read and thrown away until it
	 * closes, too */
	(void)shutdown(c->fd, SHUT_WR);
	c->state = CONN_CLOSING;
	c->expires_ms = clock_ms() + LINGER_MS;
	conn_index_state(c->id, CONN_CLOSING, NULL);
	hurry(c);
}

static void write_queue(struct conn *c)
{
	while (c->wq) {
		struct iovec iov[IOV_MAX_SEND];
		struct msghdr h = { .msg_iov = iov };
		ssize_t n;

		for (struct wq *w = c->wq; w && h.msg_iovlen < IOV_MAX_SEND; w = w->next)
			iov[h.msg_iovlen++] = (struct iovec){ w->bytes + w->off, w->n - w->off };
		n = sendmsg(c->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			shm_counter_add(tcnt.con_reset, 1);
			conn_end(c, -errno);
			return;
		}
		c->wq_bytes -= (uint32_t)n;
		conn_index_queued(-n);
		shm_counter_add(tcnt.current_queue, -n);
		c->write_by_ms = clock_ms() + (uint64_t)conns.conf.send_timeout_s * 1000u;
		while (n > 0) {
			struct wq *w = c->wq;
			size_t part = w->n - w->off;

			if ((size_t)n < part) {
				w->off += (uint32_t)n;
				break;
			}
			n -= (ssize_t)part;
			c->wq = w->next;
			if (!c->wq)
				c->wq_tail = &c->wq;
			free(w);
		}
	}
	touch(c);
	if (!c->wq)
		queue_empty(c);
}

static int queue_put(struct conn *c, const struct tx_dest *dest, const struct iovec *iov,
                     unsigned n_iov, size_t bytes, size_t sent)
{
	struct wq *w;
	size_t at = 0;

	if ((conns.conf.conn_wq_max && c->wq_bytes + bytes - sent > conns.conf.conn_wq_max) ||
	    (conns.conf.wq_max &&
	     conn_queued_bytes() + (int64_t)(bytes - sent) > (int64_t)conns.conf.wq_max)) {
		shm_counter_add(tcnt.sendq_full, 1);
		return -ENOBUFS;
	}
	w = malloc(sizeof(*w) + bytes);
	if (!w)
		return -ENOBUFS;
	w->next = NULL;
	w->dest = *dest;
	w->n = (uint32_t)bytes;
	w->off = (uint32_t)sent;
	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(w->bytes + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	if (!c->wq && c->state != CONN_CONNECTING) {
		c->write_by_ms = clock_ms() + (uint64_t)conns.conf.send_timeout_s * 1000u;
		hurry(c);
	}
	*c->wq_tail = w;
	c->wq_tail = &w->next;
	c->wq_bytes += (uint32_t)(bytes - sent);
	conn_index_queued((int64_t)(bytes - sent));
	shm_counter_add(tcnt.current_queue, (int64_t)(bytes - sent));
	return 0;
}

/* Sends what the kernel takes at once and queues the rest. */
static int conn_write(struct conn *c, const struct tx_dest *dest, const struct iovec *iov,
                      unsigned n_iov)
{
	size_t bytes = 0;
	ssize_t n = 0;
	int err;

	if (c->dead || c->close_after)
		return -ENOTCONN;
	for (unsigned i = 0; i < n_iov; i++)
		bytes += iov[i].iov_len;
	if (bytes == 0 || bytes > UINT32_MAX / 2)
		return -EMSGSIZE;
	if (c->state == CONN_OPEN && !c->wq) {
		struct msghdr h = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			            .msg_iovlen = n_iov };

		n = sendmsg(c->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EMSGSIZE) {
			err = -errno;
			shm_counter_add(tcnt.con_reset, 1);
			conn_end(c, err);
			return err;
		}
		if (n < 0)
			n = 0;
		touch(c);
	}
	if (dest->flags & TX_CLOSE_AFTER)
		c->close_after = true;
	if ((size_t)n == bytes) {
		queue_empty(c);
		return 0;
	}
	err = queue_put(c, dest, iov, n_iov, bytes, (size_t)n);
	if (err < 0) {
		if (n > 0) /* half a message is out: the stream is of no use any more */
			conn_end(c, -ENOBUFS);
		return err;
	}
	watch(c);
	return c->dead ? -EIO : 0;
}

static int local_address(int fd, struct net_addr *ret)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return -errno;
	net_addr_from_sockaddr((const struct sockaddr *)&sa, ret);
	return 0;
}

/* From the listener's address, and with tcp_reuse_port from its port, too; or from the address that
 * was set for all connections. */
static int bind_source(int fd, const struct net_listener *l, const struct net_addr *to)
{
	struct net_addr from = l->addr;
	struct sockaddr_storage sa;
	socklen_t n;
	int err;

	if (conns.conf.reuse_port) {
		err = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
		if (err == 0)
			err = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (err < 0)
			return err;
	} else {
		const struct net_addr *set = &conns.conf.source[to->family == AF_INET6];

		if (set->family)
			from = *set;
		else if (net_addr_is_any(&from) ||
		         net_addr_is_loopback(&from) != net_addr_is_loopback(to))
			return 0; /* the route decides */
		from.port = 0;
		(void)set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT,
		              1); /* ports are only unique per peer then */
	}
	n = net_addr_to_sockaddr(&from, &sa);
	return bind(fd, (const struct sockaddr *)&sa, n) < 0 ? -errno : 0;
}

static int conn_open(const struct tx_dest *dest, struct conn **ret)
{
	const struct net_listener *l = net_listener_for(dest->proto, &dest->to, dest->listener);
	struct sockaddr_storage sa;
	socklen_t sa_len;
	struct net_addr local = { 0 };
	struct conn *c;
	int fd, err;

	if (!l)
		return -EAFNOSUPPORT;
	fd = socket(dest->to.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	net_stream_options(fd, &conns.conf.stream);
	err = bind_source(fd, l, &dest->to);
	sa_len = net_addr_to_sockaddr(&dest->to, &sa);
	if (err == 0 && connect(fd, (const struct sockaddr *)&sa, sa_len) < 0 &&
	    errno != EINPROGRESS)
		err = -errno;
	if (err < 0) {
		shm_counter_add(tcnt.connect_failed, 1);
		(void)close(fd);
		return err;
	}
	if (local_address(fd, &local) < 0)
		local = l->addr;
	err = conn_make(fd, l->index, &dest->to, &local, CONN_CONNECTING, &c);
	if (err < 0)
		return err == -ENOSPC ? -ENOBUFS : err;
	c->outgoing = true;
	c->write_by_ms = clock_ms() + (uint64_t)conns.conf.connect_timeout_s * 1000u;
	hurry(c);
	*ret = c;
	return 0;
}

/* Hands the bytes to the worker that owns the connection. */
static int send_remote(const struct conn_info *info, const struct tx_dest *dest,
                       const struct iovec *iov, unsigned n_iov)
{
	struct remote_send head = { .id = info->id, .dest = *dest };
	struct iovec parts[IOV_MAX_SEND + 1];
	char *flat = NULL;
	int err;

	parts[0] = (struct iovec){ &head, sizeof(head) };
	if (n_iov <= IOV_MAX_SEND) {
		memcpy(parts + 1, iov, n_iov * sizeof(*iov));
	} else { /* many pieces: made one */
		size_t n = 0, at = 0;

		for (unsigned i = 0; i < n_iov; i++)
			n += iov[i].iov_len;
		flat = malloc(n);
		if (!flat)
			return -ENOBUFS;
		for (unsigned i = 0; i < n_iov; i++) {
			memcpy(flat + at, iov[i].iov_base, iov[i].iov_len);
			at += iov[i].iov_len;
		}
		parts[1] = (struct iovec){ flat, n };
		n_iov = 1;
	}
	err = doorbell_send(info->owner_slot, DOORBELL_CONN_SEND, parts, n_iov + 1);
	free(flat);
	return err == -EAGAIN || err == -ENOSPC ? -ENOBUFS : err < 0 ? err : 0;
}

/*
 * On a connection of this worker, behind what others have put on its ring before: a worker that held the transaction
 * a moment ago may have sent a 180 that way, and the 200 must not overtake it. The rings keep the order.
 */
static int write_in_turn(struct conn *c, const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov)
{
	struct conn_info own = { .id = c->id, .owner_slot = (unsigned)shm_slot_self() };

	if (UNLIKELY(shm_ring_pending()) && send_remote(&own, dest, iov, n_iov) == 0)
		return 0;
	return conn_write(c, dest, iov, n_iov); /* a full ring: early is better than never */
}

/* By id, then by address. */
static int find_shared(const struct tx_dest *dest, bool by_id, struct conn_info *ret_info)
{
	const struct net_listener *l;

	if (by_id)
		return conn_find(dest->conn_id, ret_info);
	if (!conns.conf.match_local)
		return conn_find_peer(dest->proto, &dest->to, ret_info);
	l = net_listener_for(dest->proto, &dest->to, dest->listener);
	return l ? conn_index_find(dest->proto, &dest->to, l->index, ret_info) : -ENOENT;
}

int conn_send(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov)
{
	struct conn_info info;
	struct conn *c = dest->conn_id ? local_find(dest->conn_id) : NULL;
	bool open = !(dest->flags & TX_NO_CONNECT) && !conns.conf.no_connect;
	int err;

	if (c && !c->close_after && c->state != CONN_CLOSING)
		return write_in_turn(c, dest, iov, n_iov);
	for (unsigned i = 0; i < 2; i++) {
		if (find_shared(dest, i == 0, &info) < 0)
			continue;
		if (info.state == CONN_CLOSING)
			continue;
		c = local_find(info.id);
		if (c && !c->close_after)
			return write_in_turn(c, dest, iov, n_iov);
		if ((int)info.owner_slot == shm_slot_self())
			continue;
		err = send_remote(&info, dest, iov, n_iov);
		if (err != -ESRCH) /* its owner died: as if there were none */
			return err;
	}
	if (!open || !conns.loop)
		return -ENOTCONN;
	err = conn_open(dest, &c);
	if (err < 0)
		return err;
	err = conn_write(c, dest, iov, n_iov);
	if (err < 0)
		conn_end(c, 0);
	return err;
}

/* Bytes from another worker, for a connection of this one. */
static void hear_send(unsigned from, const void *data, size_t len)
{
	struct remote_send head;
	struct iovec iov;
	struct conn *c;
	int err;

	(void)from;
	if (len < sizeof(head))
		return;
	memcpy(&head, data, sizeof(head));
	iov = (struct iovec){ (char *)(uintptr_t)data + sizeof(head), len - sizeof(head) };
	c = local_find(head.id);
	if (c && !c->close_after && c->state != CONN_CLOSING) {
		err = conn_write(c, &head.dest, &iov, 1);
	} else { /* ended, or about to, while the bytes were under way: look for another, or connect */
		head.dest.conn_id = 0;
		err = conn_send(&head.dest, &iov, 1);
	}
	if (err < 0)
		tx_failed(&head.dest, str_of(iov.iov_base, iov.iov_len), err);
}

static void hear_close(unsigned from, const void *data, size_t len)
{
	uint32_t id;
	struct conn *c;

	(void)from;
	if (len != sizeof(id))
		return;
	memcpy(&id, data, sizeof(id));
	c = local_find(id);
	if (c)
		conn_end(c, 0);
}

void conn_close(uint32_t id)
{
	struct conn *c = local_find(id);
	struct conn_info info;
	struct iovec iov = { &id, sizeof(id) };

	if (c) {
		conn_end(c, 0);
		return;
	}
	/* a full ring: the connection lives on until its idle time is over */
	if (conn_find(id, &info) == 0 &&
	    doorbell_send(info.owner_slot, DOORBELL_CONN_CLOSE, &iov, 1) < 0)
		return;
}

/* ---- reading ---- */

/*
 * Nothing that this stream still brings can be understood, but requests that it brought before may be under way: their
 * answers get a moment to leave.
 */
static void deafen(struct conn *c)
{
	c->deaf = true;
	c->read_by_ms = NEVER_MS;
	c->expires_ms = clock_ms() + LINGER_MS;
	hurry(c);
}

/* What cannot be framed is answered when a request can be made out of it, then the stream ends: its
 * next message cannot be found. */
static void refuse_stream(struct conn *c, struct str bytes, int frame_err, const struct diag *why)
{
	static const char end_mark[] = "\r\n\r\n";
	ptrdiff_t end = str_find(bytes, STR_LIT(end_mark));
	struct tx_dest dest = { .to = c->peer,
		                .conn_id = c->id,
		                .listener = c->listener,
		                .proto = c->proto,
		                .flags = TX_NO_CONNECT | TX_CLOSE_AFTER };
	struct sip_reply_opts reply = { .status = 400, .reason = STR_LIT("Bad Request") };
	struct sip_out out;
	struct ctx *ctx;
	bool answered = false;

	shm_counter_add(tcnt.bad_frames, 1);
	ctx = end >= 0 ? ctx_new() : NULL;
	if (!ctx) {
		deafen(c);
		return;
	}
	if (frame_err == -EMSGSIZE) {
		reply.status = 513;
		reply.reason = STR_LIT("Message Too Large");
	} else if (why->text[0]) {
		reply.reason = str_lit(why->text);
	}
	bytes = str_sub(bytes, 0, (size_t)end + 4);
	ctx->rx.src = c->peer;
	if (sip_msg_parse(ctx->pool, bytes, &ctx->msg, NULL) < 0)
		ctx->msg.kind = ctx->msg.n_hdrs ? ctx->msg.kind : 0;
	if (sip_msg_answerable(&ctx->msg) &&
	    sip_build_reply(ctx->pool, &ctx->msg, &reply, &out) == 0)
		answered = conn_write(c, &dest, out.iov, out.n_iov) == 0;
	ctx_free(ctx);
	if (!answered)
		deafen(c);
}

static void pong(struct conn *c)
{
	struct tx_dest dest = { .to = c->peer,
		                .conn_id = c->id,
		                .listener = c->listener,
		                .proto = c->proto,
		                .flags = TX_NO_CONNECT };
	struct iovec iov = { (void *)(uintptr_t) "\r\n", 2 };

	if (conns.conf.crlf_ping && conn_write(c, &dest, &iov, 1) < 0)
		return; /* the connection is gone, or full: then it is not idle either */
}

/*
 * Takes the frames out of bytes, which lie in buf. Returns how many bytes were used up; all of them
 * when the connection ended meanwhile.
 */
static size_t take_frames(struct conn *c, struct rx_buf *buf, struct str bytes,
                          struct rx_info *info)
{
	size_t at = 0;

	while (at < bytes.n && !c->dead && !c->close_after && !c->deaf && !rx_stopped()) {
		struct str rest = str_sub(bytes, at, bytes.n);
		enum sip_frame_kind kind;
		struct diag why = { 0 };
		int64_t n = sip_frame_next(&c->frame, rest, conns.conf.rd_buf_size,
		                           conns.conf.accept_no_cl, &kind, &why);

		if (n == -ENODATA)
			return at;
		if (n <= 0) {
			refuse_stream(c, rest, (int)n, &why);
			return bytes.n;
		}
		sip_frame_reset(&c->frame);
		at += (size_t)n;
		if (kind == SIP_FRAME_PING)
			pong(c);
		if (kind != SIP_FRAME_MSG)
			continue;
		if (rx_deliver(buf, str_sub(rest, 0, (size_t)n), info) < 0)
			shm_counter_add(tcnt.local_reject, 1);
	}
	return c->dead || c->close_after || c->deaf ? bytes.n : at;
}

/* Keeps the beginning of a message. */
static void keep_part(struct conn *c, struct str rest)
{
	if (rest.n == 0) {
		free(c->part);
		c->part = NULL;
		c->part_n = c->part_cap = 0;
		c->read_by_ms = NEVER_MS;
		return;
	}
	if (rest.n > c->part_cap) {
		size_t cap = rest.n < PARTIAL_START ? PARTIAL_START : rest.n + rest.n / 2;
		char *p = malloc(cap);

		if (!p) {
			conn_end(c, -ENOMEM);
			return;
		}
		memcpy(p, rest.s, rest.n);
		free(c->part);
		c->part = p;
		c->part_cap = (uint32_t)cap;
	} else {
		memmove(c->part, rest.s, rest.n);
	}
	c->part_n = (uint32_t)rest.n;
	if (c->read_by_ms == NEVER_MS) {
		c->read_by_ms = clock_ms() + (uint64_t)conns.conf.msg_read_timeout_s * 1000u;
		hurry(c);
	}
}

/* Reads behind the beginning that is there. Whole messages are copied to a receive buffer once,
 * then handed on. */
static ssize_t read_part(struct conn *c, struct rx_buf *buf, struct rx_info *info)
{
	struct sip_frame look;
	enum sip_frame_kind kind;
	ssize_t n;
	int64_t whole;
	size_t used;

	if (c->part_n == c->part_cap) {
		size_t cap = (size_t)c->part_cap * 2;
		char *p;

		if (cap > (size_t)conns.conf.rd_buf_size + 1)
			cap = (size_t)conns.conf.rd_buf_size +
			      1; /* framing refuses what would be longer before this is full */
		p = cap > c->part_cap ? realloc(c->part, cap) : NULL;
		if (!p) {
			errno = ENOMEM;
			return -1;
		}
		c->part = p;
		c->part_cap = (uint32_t)cap;
	}
	n = recv(c->fd, c->part + c->part_n, c->part_cap - c->part_n, MSG_DONTWAIT);
	if (n <= 0 || !rx_raw_taken(str_of(c->part + c->part_n, (size_t)n), info))
		return n;
	c->part_n += (uint32_t)n;
	look = c->frame;
	whole = sip_frame_next(&look, str_of(c->part, c->part_n), conns.conf.rd_buf_size,
	                       conns.conf.accept_no_cl, &kind, NULL);
	if (whole == -ENODATA) {
		c->frame = look;
		return n;
	}
	used = c->part_n < buf->cap ? c->part_n : buf->cap;
	memcpy(buf->data, c->part, used);
	used = take_frames(c, buf, str_of(buf->data, used), info);
	if (!c->dead) {
		c->read_by_ms = NEVER_MS; /* another message begins, if any */
		keep_part(c, str_sub(str_of(c->part, c->part_n), used, c->part_n));
	}
	return n;
}

static ssize_t read_whole(struct conn *c, struct rx_buf *buf, struct rx_info *info)
{
	ssize_t n = recv(c->fd, buf->data, buf->cap, MSG_DONTWAIT);
	size_t used;

	if (n <= 0 || !rx_raw_taken(str_of(buf->data, (size_t)n), info))
		return n;
	used = take_frames(c, buf, str_of(buf->data, (size_t)n), info);
	if (!c->dead && used < (size_t)n)
		keep_part(c, str_sub(str_of(buf->data, (size_t)n), used, (size_t)n));
	return n;
}

static void conn_read(struct conn *c)
{
	struct rx_info info = { .proto = c->proto,
		                .listener = c->listener,
		                .conn_id = c->id,
		                .src = c->peer,
		                .dst = c->local,
		                .rx_us = clock_now_us() };
	struct timespec wall = clock_wall();
	struct rx_buf *buf = rx_buf_take();
	ssize_t n;
	int err;

	if (!buf)
		return; /* out of memory: readiness stays, the next turn tries again */
	info.wall_s = wall.tv_sec;
	info.wall_us = (uint32_t)(wall.tv_nsec / 1000);
	if (c->state == CONN_CLOSING || c->deaf) /* thrown away */
		n = recv(c->fd, buf->data, buf->cap, MSG_DONTWAIT);
	else
		n = c->part ? read_part(c, buf, &info) : read_whole(c, buf, &info);
	err = errno;
	rx_buf_unref(buf);
	if (c->dead)
		return;
	if (n > 0) {
		if (c->state != CONN_CLOSING)
			touch(c);
	} else if (n == 0) {
		conn_end(c, -ECONNRESET);
	} else if (err != EAGAIN && err != EINTR) {
		shm_counter_add(tcnt.con_reset, 1);
		conn_end(c, -err);
	}
}

static void connected(struct conn *c)
{
	int err = 0;
	socklen_t n = sizeof(err);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		err = errno;
	if (err) {
		shm_counter_add(tcnt.connect_failed, 1);
		conn_end(c, -err);
		return;
	}
	shm_counter_add(tcnt.connect_success, 1);
	shm_counter_add(tcnt.established, 1);
	c->state = CONN_OPEN;
	c->write_by_ms = NEVER_MS;
	if (local_address(c->fd, &c->local) == 0)
		conn_index_state(c->id, CONN_OPEN, &c->local);
	else
		conn_index_state(c->id, CONN_OPEN, NULL);
	write_queue(c);
}

static void conn_ready(struct loop_member *m, int events)
{
	struct conn *c = CONTAINER_OF(m, struct conn, watch);

	if (c->dead)
		return;
	if (c->state == CONN_CONNECTING) {
		connected(c);
		watch(c);
		return;
	}
	if ((events & LOOP_WRITE) && c->wq) {
		write_queue(c);
		watch(c);
	}
	if ((events & LOOP_READ) && !c->dead && !rx_stopped())
		conn_read(c);
}

/* ---- accepting ---- */

void conn_accepted(int fd, uint16_t listener, const struct net_addr *peer)
{
	const struct net_listener *l = net_listener_at(listener);
	struct net_addr local = l->addr;
	struct conn_info other;
	struct conn *c;

	if (conns.conf.accept_unique && conn_find_peer(l->proto, peer, &other) == 0) {
		shm_counter_add(tcnt.local_reject, 1);
		(void)close(fd);
		return;
	}
	if (net_addr_is_any(&local) && local_address(fd, &local) < 0)
		local = l->addr;
	if (conn_make(fd, listener, peer, &local, CONN_OPEN, &c) < 0) {
		shm_counter_add(tcnt.local_reject, 1);
		return;
	}
	shm_counter_add(tcnt.passive_open, 1);
	shm_counter_add(tcnt.established, 1);
}

/* No descriptors left: the waiting peer is let in and shown out, else the loop would spin on its
 * request for ever. */
static void refuse_one(int fd)
{
	int one;

	if (conns.spare_fd < 0)
		return;
	(void)close(conns.spare_fd);
	one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (one >= 0)
		(void)close(one);
	conns.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	shm_counter_add(tcnt.local_reject, 1);
}

void conn_accept_ready(int fd, uint16_t listener)
{
	for (unsigned i = 0; i < ACCEPT_BUDGET; i++) {
		struct sockaddr_storage sa;
		socklen_t n = sizeof(sa);
		struct net_addr peer;
		int one = accept4(fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (one < 0) {
			if (errno == EMFILE || errno == ENFILE)
				refuse_one(fd);
			return;
		}
		net_addr_from_sockaddr((const struct sockaddr *)&sa, &peer);
		conn_accepted(one, listener, &peer);
	}
}

/* ---- time ---- */

static void deadline_passed(struct conn *c, uint64_t now)
{
	if (c->write_by_ms <= now) {
		shm_counter_add(
		    c->state == CONN_CONNECTING ? tcnt.connect_failed : tcnt.send_timeout, 1);
		conn_end(c, -ETIMEDOUT);
	} else if (c->read_by_ms <= now || c->expires_ms <= now) {
		if (c->state != CONN_CLOSING)
			shm_counter_add(tcnt.con_timeout, 1);
		conn_end(c, -ETIMEDOUT);
	} else {
		if (c->idx_expires_ms != c->expires_ms) {
			c->idx_expires_ms = c->expires_ms;
			conn_index_expires(c->id, c->expires_ms);
		}
		wheel_link(c);
	}
}

static void look_at_wheel(void *arg)
{
	uint64_t now = clock_ms();
	unsigned budget = TICK_BUDGET;

	(void)arg;
	while (conns.wheel_s <= now / 1000 && budget > 0) {
		struct conn **at = &conns.wheel[conns.wheel_s % WHEEL_SLOTS];

		while (*at && budget > 0) {
			struct conn *c = *at;

			budget--;
			wheel_unlink(c);
			conns.wheel_s++; /* what is put on again goes to a later second */
			deadline_passed(c, now);
			conns.wheel_s--;
		}
		if (!*at)
			conns.wheel_s++;
	}
}

void conn_stop_reading(void)
{
	for (unsigned i = 0; i < conns.n_buckets; i++) {
		struct conn *c, *next;

		for (c = conns.ids[i]; c; c = next) {
			next = c->next_id;
			if (c->state != CONN_CONNECTING)
				watch(c);
		}
	}
}

void conn_reconf(const struct conn_conf *conf)
{
	conns.conf = *conf;
	if (conns.conf.rd_buf_size < 1024)
		conns.conf.rd_buf_size = 1024;
	if (conns.conf.rd_buf_size > 65535)
		conns.conf.rd_buf_size = 65535;
}

int conn_init(const struct conn_conf *conf)
{
	conn_reconf(conf);
	transport_counters();
	return conn_index_init();
}

int conn_worker_init(struct loop *loop)
{
	struct loop_timer *timer; /* ends with the loop */
	int err;

	conns.loop = loop;
	conns.wheel_s = clock_ms() / 1000;
	conns.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	doorbell_handle(DOORBELL_CONN_SEND, hear_send);
	doorbell_handle(DOORBELL_CONN_CLOSE, hear_close);
	err = loop_group_new(loop, conn_ready, &conns.group);
	if (err < 0)
		return err;
	return loop_timer_add(loop, TICK_MS, TICK_MS, look_at_wheel, NULL, &timer);
}
