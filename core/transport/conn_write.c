/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that leave through a stream of this worker: what the kernel takes goes at once, the rest waits in a bounded queue. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "core/base/clock.h"
#include "core/transport/conn_priv.h"
#include "shm/counter.h"

void conn_drop_queue(struct conn *c, int err)
{
	shm_counter_add(tcnt.current_queue, -(int64_t)c->wq_bytes);
	c->wq_bytes = 0;
	while (c->wq) {
		struct conn_wq *w = c->wq;

		c->wq = w->next;
		if (err)
			tx_failed(&w->dest, str_of(w->bytes, w->n), err);
		free(w);
	}
	c->wq_tail = &c->wq;
}

/* All was sent: wait no longer, and end it if that was wanted. */
static void queue_empty(struct conn *c)
{
	c->write_by_ms = CONN_NEVER_MS;
	if (!c->close_after || c->state == CONN_CLOSING)
		return;
	/* the peer shall have time to read: what it still sends is read and thrown away until it
	 * closes, too */
	(void)shutdown(c->fd, SHUT_WR);
	c->state = CONN_CLOSING;
	c->expires_ms = clock_ms() + CONN_LINGER_MS;
	conn_index_state(c->id, CONN_CLOSING, NULL);
	conn_hurry(c);
}

void conn_write_queue(struct conn *c)
{
	while (c->wq) {
		struct iovec iov[CONN_IOV_MAX];
		struct msghdr h = { .msg_iov = iov };
		ssize_t n;

		for (struct conn_wq *w = c->wq; w && h.msg_iovlen < CONN_IOV_MAX; w = w->next)
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
		shm_counter_add(tcnt.current_queue, -n);
		c->write_by_ms = clock_ms() + (uint64_t)conns.conf.send_timeout_s * 1000u;
		while (n > 0) {
			struct conn_wq *w = c->wq;
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
	conn_touch(c);
	if (!c->wq)
		queue_empty(c);
}

static int queue_put(struct conn *c, const struct tx_dest *dest, const struct iovec *iov,
                     unsigned n_iov, size_t bytes, size_t sent)
{
	struct conn_wq *w;
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
		conn_hurry(c);
	}
	*c->wq_tail = w;
	c->wq_tail = &w->next;
	c->wq_bytes += (uint32_t)(bytes - sent);
	shm_counter_add(tcnt.current_queue, (int64_t)(bytes - sent));
	return 0;
}

/* Sends what the kernel takes at once and queues the rest. */
int conn_write(struct conn *c, const struct tx_dest *dest, const struct iovec *iov,
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
		conn_touch(c);
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
	conn_watch(c);
	return c->dead ? -EIO : 0;
}
