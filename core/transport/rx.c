/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where messages enter a worker. Datagrams are taken in batches: one recvmmsg(2) fills up to 64
 * buffers, then each message goes to the handler, and what the handlers send leaves in one
 * sendmmsg(2) at the end of the turn.
 *
 * Buffers are counted references. A message whose run must wait keeps its buffer and the batch
 * takes a fresh one, so nothing is copied and no view moves. The batch starts small and doubles
 * when it comes back full: a quiet worker touches few pages. Buffers are a bit longer than a power
 * of two on purpose, so that the starts of a batch do not all fall on the same cache sets.
 *
 * Every worker has inherited the sockets of all workers. It looks at its neighbours' heartbeats,
 * and takes over the queue of one that lags or died until it is back.
 */
#include "core/transport/rx.h"

#include <assert.h>
#include <errno.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "core/base/clock.h"
#include "core/transport/proxied.h"
#include "core/transport/transport_priv.h"
#include "shm/counter.h"
#include "shm/slot.h"

#define BATCH_MAX 64u
#define BATCH_START 8u
#define BATCH_ROUNDS 4u /* full batches handled before the loop looks at other descriptors */
#define BUF_SLACK 80u   /* an odd number of 16-byte steps: see above */
#define FREE_BUFS_MAX 256u
#define NEIGHBOUR_CHECK_MS 50u
#define NEIGHBOUR_LAG_MS 100u
#define ACCEPT_REST_MS 250u
#define FIRST_WORKER_SLOT 1u
#define CONTROL_BYTES CMSG_SPACE(sizeof(struct in6_pktinfo))

struct sock {
	int fd;
	uint16_t listener;
	uint16_t worker;
	bool stream, any; /* bound to the wildcard: the destination is asked for */
	bool reading, writing;
	struct loop_io *io; /* NULL: not watched */
};

struct slot_in {
	struct rx_buf *buf;
	struct iovec iov;
	struct sockaddr_storage from;
	_Alignas(struct cmsghdr) char control[CONTROL_BYTES];
};

static struct {
	rx_fn *handler;
	rx_raw_fn *raw;
	struct rx_conf conf;
	struct loop *loop;
	struct sock *socks;
	unsigned n_socks;
	struct slot_in in[BATCH_MAX];
	struct mmsghdr hdr[BATCH_MAX];
	unsigned batch; /* how many of them are in use */
	struct rx_buf *free_bufs;
	unsigned n_free_bufs;
	uint32_t msg_no;
	unsigned worker, n_workers;
	bool stopped;
	struct loop_timer *neighbours;
	struct loop_timer *rest; /* made when first needed */
} rx = { .conf = { .msg_max_bytes = 32767, .batch = BATCH_MAX } };

void rx_handler(rx_fn *fn)
{
	rx.handler = fn;
}

void rx_configure(const struct rx_conf *conf)
{
	rx.conf = *conf;
	if (rx.conf.batch == 0 || rx.conf.batch > BATCH_MAX)
		rx.conf.batch = BATCH_MAX;
	if (rx.conf.msg_max_bytes < 1024)
		rx.conf.msg_max_bytes = 1024;
	if (rx.conf.msg_max_bytes > 65535)
		rx.conf.msg_max_bytes = 65535;
	transport_counters();
}

void rx_raw_handler(rx_raw_fn *fn)
{
	rx.raw = fn;
}

bool rx_raw_taken(struct str bytes, const struct rx_info *info)
{
	return LIKELY(!rx.raw) || rx.raw(bytes, info);
}

uint32_t rx_msg_max(void)
{
	return rx.conf.msg_max_bytes;
}

uint32_t rx_next_msg_no(void)
{
	return ++rx.msg_no;
}

uint32_t rx_msg_no_restart(void)
{
	return rx.msg_no = 1;
}

unsigned rx_worker(void)
{
	return rx.worker;
}

bool rx_running(void)
{
	return rx.loop != NULL;
}

bool rx_stopped(void)
{
	return rx.stopped;
}

/* ---- buffers ---- */

struct rx_buf *rx_buf_take(void)
{
	struct rx_buf *buf = rx.free_bufs;
	uint32_t cap = rx.conf.msg_max_bytes + 1u; /* one more, to see what is too long */

	if (buf) {
		rx.free_bufs = buf->next;
		rx.n_free_bufs--;
	} else {
		if (cap <= conn_conf()->rd_buf_size)
			cap = conn_conf()->rd_buf_size + 1u;
		buf = malloc(sizeof(*buf) + cap + BUF_SLACK);
		if (!buf)
			return NULL;
		buf->cap = cap;
	}
	buf->next = NULL;
	buf->refs = 1;
	return buf;
}

void rx_buf_unref(struct rx_buf *buf)
{
	if (!buf || --buf->refs > 0)
		return;
	if (rx.n_free_bufs >= FREE_BUFS_MAX) {
		free(buf);
		return;
	}
	buf->next = rx.free_bufs;
	rx.free_bufs = buf;
	rx.n_free_bufs++;
}

static int deliver(struct rx_buf *buf, struct str bytes, const struct rx_info *info, uint32_t mflags)
{
	struct ctx *ctx = ctx_new();

	if (!ctx)
		return -EBUSY;
	ctx->rx_mem = buf->data;
	ctx->msg.buf = bytes;
	ctx->rx = *info;
	ctx->msg_no = rx_next_msg_no();
	ctx->mflags |= mflags;
	rx.handler(ctx);
	return 0;
}

int rx_deliver(struct rx_buf *buf, struct str bytes, const struct rx_info *info)
{
	return deliver(buf, bytes, info, 0);
}

/* ---- datagrams ---- */

static void slot_arm(unsigned i)
{
	struct slot_in *in = &rx.in[i];
	struct msghdr *h = &rx.hdr[i].msg_hdr;

	in->iov = (struct iovec){ in->buf->data, rx.conf.msg_max_bytes + 1u };
	h->msg_name = &in->from;
	h->msg_namelen = sizeof(in->from);
	h->msg_iov = &in->iov;
	h->msg_iovlen = 1;
	h->msg_control = in->control;
	h->msg_controllen = sizeof(in->control);
	h->msg_flags = 0;
}

/* Makes n slots ready. Without memory for all the batch stays shorter. */
static void batch_grow(unsigned n)
{
	if (n > rx.conf.batch)
		n = rx.conf.batch;
	while (rx.batch < n) {
		struct slot_in *in = &rx.in[rx.batch];

		in->buf = rx_buf_take();
		if (!in->buf)
			return;
		slot_arm(rx.batch++);
	}
}

/* Only CR, LF and NUL: a keepalive that keeps a NAT binding open. */
static bool is_keepalive(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\r' && p[i] != '\n' && p[i] != 0)
			return false;
	}
	return true;
}

static void find_destination(struct msghdr *h, struct net_addr *dst)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(dst->ip, &info.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(dst->ip, &info.ipi6_addr, 16);
		}
	}
}

/* behind: a proxy tells who sent it, so an answer goes to that port whatever its Via says: the proxy knows no other. */
static void take_bytes(struct rx_buf *buf, struct str bytes, const struct rx_info *info, bool behind)
{
	if (!rx_raw_taken(bytes, info))
		return;
	if (UNLIKELY(bytes.n < SIP_MSG_MIN_BYTES || (bytes.s[0] <= '\r' && is_keepalive(bytes.s, bytes.n)))) {
		shm_counter_add(tcnt.rx_short, 1);
		return;
	}
	if (deliver(buf, bytes, info, behind ? CTX_F_FORCE_RPORT : 0) < 0)
		shm_counter_add(tcnt.rx_shed, 1);
}

static void take_proxied(struct rx_buf *buf, struct str bytes, struct rx_info *info)
{
	bool behind;

	if (proxied_take(&bytes, info, &behind))
		take_bytes(buf, bytes, info, behind);
}

static void take_datagram(const struct sock *s, unsigned i, struct rx_info *info)
{
	struct slot_in *in = &rx.in[i];
	struct msghdr *h = &rx.hdr[i].msg_hdr;
	size_t n = rx.hdr[i].msg_len;
	const char *p = in->buf->data;

	if (UNLIKELY(n > rx.conf.msg_max_bytes || (h->msg_flags & MSG_TRUNC))) {
		shm_counter_add(tcnt.rx_too_large, 1);
		return;
	}
	net_addr_from_sockaddr((const struct sockaddr *)&in->from, &info->src);
	info->dst = net_listener_at(s->listener)->addr;
	if (s->any)
		find_destination(h, &info->dst);
	if (UNLIKELY(proxied_kinds))
		take_proxied(in->buf, str_of(p, n), info);
	else
		take_bytes(in->buf, str_of(p, n), info, false);
}

/* A buffer that a waiting run kept is left to it. False when there is no memory for another. */
static bool slot_renew(unsigned i)
{
	struct slot_in *in = &rx.in[i];
	struct rx_buf *fresh = in->buf->refs > 1 ? rx_buf_take() : in->buf;

	if (fresh && fresh != in->buf) {
		rx_buf_unref(in->buf);
		in->buf = fresh;
	}
	slot_arm(i);
	return fresh != NULL;
}

static void read_datagrams(struct sock *s)
{
	struct rx_info info = { .proto = SIP_PROTO_UDP, .listener = s->listener };

	for (unsigned round = 0; round < BATCH_ROUNDS && !rx.stopped; round++) {
		unsigned vlen = rx.batch, kept = 0;
		struct timespec wall;
		int n;

		n = recvmmsg(s->fd, rx.hdr, vlen, MSG_DONTWAIT, NULL);
		if (n <= 0) /* nothing there, or an error of an earlier send (ICMP): the socket
		               itself is well */
			return;
		shm_counter_add(tcnt.rx_datagrams, n);
		info.rx_us = clock_now_us();
		wall = clock_wall();
		info.wall_s = wall.tv_sec;
		info.wall_us = (uint32_t)(wall.tv_nsec / 1000);
		for (unsigned i = 0; i < (unsigned)n; i++) {
			take_datagram(s, i, &info);
			if (!slot_renew(i))
				kept++;
		}
		while (kept >
		       0) { /* out of memory: go on with the buffers that are left, at the front */
			unsigned last = --rx.batch;

			for (unsigned i = 0; i < last; i++) {
				if (rx.in[i].buf->refs > 1) {
					struct rx_buf *lent = rx.in[i].buf;

					rx.in[i].buf = rx.in[last].buf;
					rx.in[last].buf = lent;
					slot_arm(i);
					break;
				}
			}
			rx_buf_unref(rx.in[last].buf);
			rx.in[last].buf = NULL;
			kept--;
		}
		if (rx.batch == 0)
			batch_grow(1);
		if ((unsigned)n < vlen || rx.batch == 0)
			return;
		batch_grow(rx.batch * 2);
	}
}

/* ---- sockets ---- */

static void sock_ready(void *arg, int fd, int events);

static int sock_watch(struct sock *s)
{
	int events = (s->reading ? LOOP_READ : 0) | (s->writing ? LOOP_WRITE : 0);
	int err;

	if (events == 0) {
		loop_io_del(s->io);
		s->io = NULL;
		return 0;
	}
	if (s->io)
		return loop_io_set(s->io, events);
	err = loop_io_add(rx.loop, s->fd, events, sock_ready, s, &s->io);
	if (err < 0)
		s->io = NULL;
	return err;
}

static void rest_is_over(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < rx.n_socks && !rx.stopped; i++) {
		struct sock *s = &rx.socks[i];

		if (s->worker != rx.worker || s->reading)
			continue;
		s->reading = true;
		if (sock_watch(s) < 0) {
			s->reading = false;
			loop_timer_set(rx.rest, ACCEPT_REST_MS);
		}
	}
}

/* A listening socket at which nobody can be let in is left alone for a moment. That of a neighbour is taken up by the next look at it. */
static void sock_rest(struct sock *s)
{
	if (rx.rest)
		loop_timer_set(rx.rest, ACCEPT_REST_MS);
	else if (loop_timer_add(rx.loop, ACCEPT_REST_MS, 0, rest_is_over, NULL, &rx.rest) < 0)
		return; /* no memory even for that: it is tried again at once */
	s->reading = false;
	if (sock_watch(s) < 0)
		s->reading = true;
}

static void sock_ready(void *arg, int fd, int events)
{
	struct sock *s = arg;

	(void)fd;
	if (events < 0)
		events = LOOP_READ; /* reading tells, and clears, the error */
	if (s->stream) {
		if (conn_accept_ready(s->fd, s->listener) < 0)
			sock_rest(s);
		return;
	}
	if ((events & LOOP_WRITE) && s->writing)
		tx_writable(s->listener);
	if ((events & LOOP_READ) && s->reading) {
		if (rx.batch == 0)
			batch_grow(1);
		if (rx.batch > 0)
			read_datagrams(s);
	}
}

int rx_want_write(uint16_t listener, bool on)
{
	for (unsigned i = 0; i < rx.n_socks; i++) {
		struct sock *s = &rx.socks[i];

		if (s->listener != listener || s->worker != rx.worker || s->stream ||
		    s->writing == on)
			continue;
		s->writing = on;
		return sock_watch(s);
	}
	return on ? -ENOENT : 0;
}

static bool lags(unsigned worker)
{
	struct shm_slot_info info;

	if (shm_slot_info(FIRST_WORKER_SLOT + worker, &info) < 0)
		return false;
	return info.state != SHM_SLOT_ACTIVE || info.heartbeat_ms + NEIGHBOUR_LAG_MS < clock_ms();
}

static void look_at_neighbours(void *arg)
{
	(void)arg;
	for (unsigned w = 0; w < rx.n_workers && !rx.stopped; w++) {
		bool help;

		if (w == rx.worker)
			continue;
		help = lags(w);
		for (unsigned i = 0; i < rx.n_socks; i++) {
			struct sock *s = &rx.socks[i];

			if (s->worker != w || s->reading == help)
				continue;
			s->reading = help;
			if (sock_watch(s) < 0)
				s->reading = false; /* tried again at the next look */
		}
	}
}

static unsigned count_socks(unsigned *ret_n_workers)
{
	unsigned n = 0, n_workers = 0;

	for (unsigned i = 0; i < net_listener_count(); i++) {
		const struct net_listener *l = net_listener_at(i);

		n += l->n_fds;
		if (l->n_fds > n_workers)
			n_workers = l->n_fds;
	}
	*ret_n_workers = n_workers;
	return n;
}

static void flush(void *arg)
{
	(void)arg;
	tx_flush();
}

int rx_worker_init(struct loop *loop, unsigned worker)
{
	unsigned n = count_socks(&rx.n_workers);
	int err;

	assert(rx.handler);
	rx.loop = loop;
	rx.worker = worker;
	rx.stopped = false;
	rx.socks = calloc(n ? n : 1, sizeof(*rx.socks));
	if (!rx.socks)
		return -ENOMEM;
	rx.n_socks = 0;
	for (unsigned i = 0; i < net_listener_count(); i++) {
		const struct net_listener *l = net_listener_at(i);

		for (unsigned w = 0; w < l->n_fds; w++) {
			struct sock *s = &rx.socks[rx.n_socks++];

			s->fd = l->udp_fds[w];
			s->listener = l->index;
			s->worker = (uint16_t)w;
			s->stream = l->proto != SIP_PROTO_UDP;
			s->any = net_addr_is_any(&l->addr);
			s->reading = w == worker;
			err = sock_watch(s);
			if (err < 0)
				return err;
		}
	}
	batch_grow(BATCH_START);
	err = loop_on_turn(loop, flush, NULL);
	if (err < 0)
		return err;
	if (rx.n_workers > 1)
		return loop_timer_add(loop, NEIGHBOUR_CHECK_MS, NEIGHBOUR_CHECK_MS,
		                      look_at_neighbours, NULL, &rx.neighbours);
	return 0;
}

void rx_stop(void)
{
	rx.stopped = true;
	loop_timer_del(rx.neighbours);
	loop_timer_del(rx.rest);
	rx.neighbours = rx.rest = NULL;
	for (unsigned i = 0; i < rx.n_socks; i++) {
		rx.socks[i].reading = false;
		if (sock_watch(&rx.socks[i]) < 0)
			continue; /* the flag alone keeps it from being read */
	}
	conn_stop_reading();
}
