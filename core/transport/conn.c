/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of one worker: how they come, live and end. A connection has a descriptor, a partial message while there is one, and a
 * queue while the kernel takes no more; idle it is this struct and its entries in the shared index, and nothing else. All
 * descriptors are watched as one group: see core/event/group.c.
 *
 * A connection is freed at the end of the turn, never while one of its messages is being handled.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/event/doorbell.h"
#include "core/transport/conn_priv.h"
#include "shm/counter.h"

#define TICK_MS 250u
#define ACCEPT_BUDGET 32u /* per readiness */
#define ID_BUCKETS_START 64u

struct conns conns = { .spare_fd = -1, .conf = { .rd_buf_size = 16384 } };

const struct conn_conf *conn_conf(void)
{
	return &conns.conf;
}

/* ---- private table by id ---- */

struct conn *conn_local(uint32_t id)
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

/* Ends it at once. err: what is told about bytes that were not sent. */
void conn_end(struct conn *c, int err)
{
	struct conn_wq *left = c->wq;

	if (c->dead)
		return;
	c->dead = true;
	conn_wheel_unlink(c);
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
		conn_drop_queue(c, err ? err
		                  : -EPIPE); /* handlers may send again, and find this one gone */
}

void conn_touch(struct conn *c)
{
	if (c->deaf)
		return;
	c->expires_ms = clock_ms() + (uint64_t)conns.conf.lifetime_s * 1000u;
}

void conn_watch(struct conn *c)
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

/* Takes fd over in every case. */
int conn_make(int fd, uint16_t listener, const struct net_addr *peer,
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
	c->read_by_ms = c->write_by_ms = CONN_NEVER_MS;
	c->wq_tail = &c->wq;
	conn_touch(c);
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
	conn_wheel_link(c);
	shm_counter_add(tcnt.current_opened, 1);
	*ret = c;
	return 0;
fail:
	(void)close(fd);
	free(c);
	return err;
}

int conn_local_address(int fd, struct net_addr *ret)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return -errno;
	net_addr_from_sockaddr((const struct sockaddr *)&sa, ret);
	return 0;
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
	c->write_by_ms = CONN_NEVER_MS;
	if (conn_local_address(c->fd, &c->local) == 0)
		conn_index_state(c->id, CONN_OPEN, &c->local);
	else
		conn_index_state(c->id, CONN_OPEN, NULL);
	conn_write_queue(c);
}

static void conn_ready(struct loop_member *m, int events)
{
	struct conn *c = CONTAINER_OF(m, struct conn, watch);

	if (c->dead)
		return;
	if (c->state == CONN_CONNECTING) {
		connected(c);
		conn_watch(c);
		return;
	}
	if ((events & LOOP_WRITE) && c->wq) {
		conn_write_queue(c);
		conn_watch(c);
	}
	if ((events & LOOP_READ) && !c->dead && !rx_stopped())
		conn_read(c);
}

/* ---- accepting ---- */

/* Each reason is a place of its own, so that one who runs into the limit of his address does not hide that all are taken. */
void conn_refused(const char *direction, const struct net_addr *peer, int err)
{
	char who[NET_ADDR_TEXT_MAX];

	(void)net_addr_text(peer, who);
	switch (err) {
	case -EMLINK:
		log_warn_alike("tcp: no connection %s %s: tcp_max_connections (%u) reached", direction, who, conns.conf.max_connections);
		break;
	case -EUSERS:
		log_warn_alike("tcp: no connection %s %s: tcp_accept_iplimit (%u) of its address reached", direction, who, conns.conf.per_ip_limit);
		break;
	case -EEXIST:
		log_warn_alike("tcp: no connection %s %s: it has one already (tcp_accept_unique)", direction, who);
		break;
	default:
		log_warn_alike("tcp: no connection %s %s: %s", direction, who, strerror(-err));
	}
}

void conn_adopt(int fd, uint16_t listener, const struct net_addr *peer, const struct net_addr *local)
{
	struct conn_info other;
	struct conn *c;
	int err;

	if (conns.conf.accept_unique && conn_find_peer(net_listener_at(listener)->proto, peer, &other) == 0) {
		err = -EEXIST;
		(void)close(fd);
	} else {
		err = conn_make(fd, listener, peer, local, CONN_OPEN, &c);
	}
	if (err < 0) {
		shm_counter_add(tcnt.local_reject, 1);
		conn_refused("from", peer, err);
		return;
	}
	shm_counter_add(tcnt.passive_open, 1);
	shm_counter_add(tcnt.established, 1);
}

void conn_accepted(int fd, uint16_t listener, const struct net_addr *peer)
{
	const struct net_listener *l = net_listener_at(listener);
	struct net_addr local = l->addr;

	if (net_addr_is_any(&local) && conn_local_address(fd, &local) < 0)
		local = l->addr;
	if (UNLIKELY(conns.conf.accept_haproxy))
		greet(fd, listener, peer, &local);
	else
		conn_adopt(fd, listener, peer, &local);
}

void conn_spare_fd(void)
{
	if (conns.spare_fd < 0)
		conns.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptors left: the waiting peer is let in and shown out, else the loop would spin on its request for ever. Another thread may take the spare
 * descriptor meanwhile, or the limit was lowered: then nobody can be shown out either. -EAGAIN: nobody waits. */
static int refuse_one(int fd, uint16_t listener, int why)
{
	struct str at = net_listener_at(listener)->sock_text;
	int one, err = why;

	if (conns.spare_fd >= 0) {
		(void)close(conns.spare_fd);
		conns.spare_fd = -1;
		one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		err = one < 0 ? errno : 0;
		if (one >= 0)
			(void)close(one);
		conn_spare_fd();
	}
	if (err == 0) {
		shm_counter_add(tcnt.local_reject, 1);
		log_error("tcp: a connection at %.*s closed unheard: %s", STR_FMT(at), strerror(why));
	} else if (err != EAGAIN) {
		log_error("tcp: connections at %.*s have to wait: %s", STR_FMT(at), strerror(why));
	}
	return -err;
}

int conn_accept_ready(int fd, uint16_t listener)
{
	int err = 0;

	for (unsigned i = 0; i < ACCEPT_BUDGET && err == 0; i++) {
		struct sockaddr_storage sa;
		socklen_t n = sizeof(sa);
		struct net_addr peer;
		int one = accept4(fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (one >= 0) {
			net_addr_from_sockaddr((const struct sockaddr *)&sa, &peer);
			conn_accepted(one, listener, &peer);
		} else if (errno == EAGAIN) {
			break;
		} else if (errno == EMFILE || errno == ENFILE) {
			err = refuse_one(fd, listener, errno);
		} else if (errno == ENOBUFS || errno == ENOMEM) {
			err = -errno;
		} /* else: this one has failed already, the next may not */
	}
	return err == -EAGAIN ? 0 : err;
}

/* ---- the process ---- */

void conn_stop_reading(void)
{
	for (unsigned i = 0; i < conns.n_buckets; i++) {
		struct conn *c, *next;

		for (c = conns.ids[i]; c; c = next) {
			next = c->next_id;
			if (c->state != CONN_CONNECTING)
				conn_watch(c);
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
	conn_spare_fd();
	doorbell_handle(DOORBELL_CONN_SEND, conn_hear_send);
	doorbell_handle(DOORBELL_CONN_CLOSE, conn_hear_close);
	err = loop_group_new(loop, conn_ready, &conns.group);
	if (err == 0)
		err = greet_init(loop);
	if (err < 0)
		return err;
	return loop_timer_add(loop, TICK_MS, TICK_MS, conn_look_at_wheel, NULL, &timer);
}
