/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a destination to a stream: one of this worker, one of another, which gets the bytes over its ring, or a new one that is opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/event/doorbell.h"
#include "core/net/sockopt.h"
#include "core/transport/conn_priv.h"
#include "shm/counter.h"
#include "shm/ring.h"
#include "shm/slot.h"

struct remote_send { /* what goes over the ring, before the bytes */
	uint32_t id;
	struct tx_dest dest;
};

/* From the listener's address, and with tcp_reuse_port from its port, too; or from the address that
 * was set for all connections. */
static int bind_source(int fd, const struct net_listener *l, const struct net_addr *to)
{
	struct net_addr from = l->addr;
	struct sockaddr_storage sa;
	socklen_t n;
	int err;

	if (conns.conf.reuse_port) {
		err = net_sockopt_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
		if (err == 0)
			err = net_sockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
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
		(void)net_sockopt_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); /* ports are only unique per peer then */
	}
	n = net_listener_sockaddr(l, &from, &sa);
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
	if (fd < 0) {
		err = -errno;
		conn_refused("to", &dest->to, err);
		return err;
	}
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
	if (conn_local_address(fd, &local) < 0)
		local = l->addr;
	err = conn_make(fd, l->index, &dest->to, &local, CONN_CONNECTING, &c);
	if (err < 0) {
		conn_refused("to", &dest->to, err);
		return err == -ENOSPC ? -ENOBUFS : err;
	}
	c->outgoing = true;
	c->write_by_ms = clock_ms() + (uint64_t)conns.conf.connect_timeout_s * 1000u;
	conn_hurry(c);
	*ret = c;
	return 0;
}

/* Hands the bytes to the worker that owns the connection. */
static int send_remote(const struct conn_info *info, const struct tx_dest *dest,
                       const struct iovec *iov, unsigned n_iov)
{
	struct remote_send head = { .id = info->id, .dest = *dest };
	struct iovec parts[CONN_IOV_MAX + 1];
	char *flat = NULL;
	int err;

	parts[0] = (struct iovec){ &head, sizeof(head) };
	if (n_iov <= CONN_IOV_MAX) {
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
	struct conn *c = dest->conn_id ? conn_local(dest->conn_id) : NULL;
	bool open = !(dest->flags & TX_NO_CONNECT) && !conns.conf.no_connect;
	int err;

	if (c && !c->close_after && c->state != CONN_CLOSING)
		return write_in_turn(c, dest, iov, n_iov);
	for (unsigned i = 0; i < 2; i++) {
		if (find_shared(dest, i == 0, &info) < 0)
			continue;
		if (info.state == CONN_CLOSING)
			continue;
		c = conn_local(info.id);
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
void conn_hear_send(unsigned from, const void *data, size_t len)
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
	c = conn_local(head.id);
	if (c && !c->close_after && c->state != CONN_CLOSING) {
		err = conn_write(c, &head.dest, &iov, 1);
	} else { /* ended, or about to, while the bytes were under way: look for another, or connect */
		head.dest.conn_id = 0;
		err = conn_send(&head.dest, &iov, 1);
	}
	if (err < 0)
		tx_failed(&head.dest, str_of(iov.iov_base, iov.iov_len), err);
}

void conn_hear_close(unsigned from, const void *data, size_t len)
{
	uint32_t id;
	struct conn *c;

	(void)from;
	if (len != sizeof(id))
		return;
	memcpy(&id, data, sizeof(id));
	c = conn_local(id);
	if (c)
		conn_end(c, 0);
}

void conn_close(uint32_t id)
{
	struct conn *c = conn_local(id);
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
