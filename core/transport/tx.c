/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending. Datagrams are copied once, into one piece of memory that is filled from the front each
 * turn, and leave in one sendmmsg(2) per socket at the end of the turn, or earlier when the batch
 * is full. What the kernel has no room for waits in a bounded queue of its socket until the socket
 * is writable, in order. Beyond the bound, and when the device behind the socket still has no room then
 * (ENOBUFS: the socket itself is writable all the time), it is dropped and counted, as the network would:
 * that says nothing about the destination, so nobody is told, and who needs an answer sends again.
 *
 * Streams are conn.c's business.
 */
#include "core/transport/tx.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/event/loop.h"
#include "core/transport/proxied.h"
#include "core/transport/transport_priv.h"
#include "shm/counter.h"

#define BATCH_MAX 64u
#define AREA_BYTES (512u * 1024u)
#define DATAGRAM_MAX 65507u
#define WAITING_BYTES_MAX (1024u * 1024u) /* per socket */
#define FAIL_FNS_MAX 4u

struct out {
	struct tx_dest dest;
	struct iovec iov;
	struct sockaddr_storage to;
};

struct waiting { /* a datagram the kernel had no room for */
	struct waiting *next;
	struct tx_dest dest;
	size_t n;
	char bytes[];
};

struct failure { /* to be told in the next turn */
	struct failure *next;
	struct tx_dest dest;
	int err;
	size_t n;
	char bytes[];
};

struct queue {
	struct waiting *head, **tail;
	size_t bytes;
};

static struct {
	char *area;
	size_t used;
	struct out out[BATCH_MAX];
	struct mmsghdr hdr[BATCH_MAX];
	unsigned n;
	struct queue *queues[NET_LISTENERS_MAX]; /* made when first needed */
	tx_fail_fn *fail[FAIL_FNS_MAX];
	unsigned n_fail;
	struct failure *failures, **failures_end;
	tx_hook_fn *hook;
	bool in_hook, flushing;
} tx;

void tx_on_fail(tx_fail_fn *fn)
{
	assert(tx.n_fail < FAIL_FNS_MAX);
	tx.fail[tx.n_fail++] = fn;
}

void tx_set_hook(tx_hook_fn *fn)
{
	tx.hook = fn;
}

static void tell_failures(void *arg)
{
	struct failure *list = tx.failures;

	(void)arg;
	tx.failures = NULL;
	tx.failures_end = &tx.failures;
	while (list) {
		struct failure *f = list;

		list = f->next;
		for (unsigned i = 0; i < tx.n_fail; i++)
			tx.fail[i](&f->dest, str_of(f->bytes, f->n), f->err);
		free(f);
	}
}

/* No SIP message begins like this. */
static bool is_headed(struct str bytes)
{
	struct net_proxy header;

	return net_proxy_datagram(NET_PROXY_SIMPLE, bytes, &header, NULL) > 0;
}

/*
 * Told in the next turn: what fails may be found out in the middle of somebody's tx_send(). Without
 * memory it is not told, and the transaction's timers find out.
 */
void tx_failed(const struct tx_dest *dest, struct str bytes, int err)
{
	struct failure *f;

	if (UNLIKELY(proxied_kinds & NET_PROXY_SIMPLE) && is_headed(bytes))
		bytes = str_sub(bytes, NET_PROXY_SIMPLE_BYTES, bytes.n);
	if (tx.n_fail == 0 || !loop_self())
		return;
	f = malloc(sizeof(*f) + bytes.n);
	if (!f)
		return;
	if (!tx.failures && loop_defer(loop_self(), tell_failures, NULL) < 0) {
		free(f);
		return;
	}
	*f = (struct failure){ .dest = *dest, .err = err, .n = bytes.n };
	memcpy(f->bytes, bytes.s, bytes.n);
	if (!tx.failures)
		tx.failures_end = &tx.failures;
	*tx.failures_end = f;
	tx.failures_end = &f->next;
}

static int own_fd(uint16_t listener)
{
	const struct net_listener *l = net_listener_at(listener);

	if (!l || l->n_fds == 0)
		return -1;
	return l->udp_fds[rx_worker() < l->n_fds ? rx_worker() : 0];
}

/* ---- the queue of a socket that is full ---- */

/* This machine's shortage, and no word about the destination. */
static bool is_shortage(int err)
{
	return err == EAGAIN || err == ENOBUFS || err == ENOMEM;
}

static void lost(void)
{
	shm_counter_add(tcnt.tx_dropped, 1);
}

static bool is_waiting(uint16_t listener)
{
	return tx.queues[listener] && tx.queues[listener]->head;
}

static void wait_push(const struct tx_dest *dest, const void *p, size_t n)
{
	struct queue *q = tx.queues[dest->listener];
	struct waiting *w = NULL;

	if (!q) {
		q = calloc(1, sizeof(*q));
		if (q)
			q->tail = &q->head;
		tx.queues[dest->listener] = q;
	}
	if (q && q->bytes + n <= WAITING_BYTES_MAX)
		w = malloc(sizeof(*w) + n);
	if (!w || (!q->head && rx_want_write(dest->listener, true) < 0)) {
		free(w);
		lost();
		return;
	}
	w->next = NULL;
	w->dest = *dest;
	w->n = n;
	memcpy(w->bytes, p, n);
	*q->tail = w;
	q->tail = &w->next;
	q->bytes += n;
	shm_counter_add(tcnt.tx_retried, 1);
}

void tx_writable(uint16_t listener)
{
	struct queue *q = tx.queues[listener];
	int fd = own_fd(listener);

	while (q && q->head) {
		struct waiting *w = q->head;
		struct sockaddr_storage sa;
		socklen_t sa_len = net_addr_to_sockaddr(&w->dest.to, &sa);
		int err = sendto(fd, w->bytes, w->n, MSG_DONTWAIT | MSG_NOSIGNAL,
		                 (const struct sockaddr *)&sa, sa_len) < 0
		              ? errno
		              : 0;

		if (err == EAGAIN)
			return;
		q->head = w->next;
		if (!q->head)
			q->tail = &q->head;
		q->bytes -= w->n;
		if (is_shortage(err)) {
			lost();
		} else if (err) {
			shm_counter_add(tcnt.tx_errors, 1);
			tx_failed(&w->dest, str_of(w->bytes, w->n), -err);
		} else {
			shm_counter_add(tcnt.tx_datagrams, 1);
		}
		free(w);
	}
	if (rx_want_write(listener, false) < 0)
		return; /* it will be called again, and find nothing */
}

/* ---- the batch ---- */

/* Sends out[from..to), which share a socket. */
static void send_run(unsigned from, unsigned to)
{
	uint16_t listener = tx.out[from].dest.listener;
	int fd = own_fd(listener);
	bool again = false; /* the first one was tried twice */

	while (from < to) {
		int n = sendmmsg(fd, tx.hdr + from, to - from, MSG_DONTWAIT | MSG_NOSIGNAL);
		int err = errno;

		if (n > 0) {
			shm_counter_add(tcnt.tx_datagrams, n);
			from += (unsigned)n;
			again = false;
			continue;
		}
		if (is_shortage(err))
			break;
		/* what an earlier datagram met is told to the next one that is sent: try this one
		 * again */
		if (!again && (err == ECONNREFUSED || err == EINTR || err == EHOSTUNREACH)) {
			again = true;
			continue;
		}
		shm_counter_add(tcnt.tx_errors, 1);
		tx_failed(&tx.out[from].dest,
		          str_of(tx.out[from].iov.iov_base, tx.out[from].iov.iov_len), -err);
		from++;
		again = false;
	}
	for (; from < to; from++)
		wait_push(&tx.out[from].dest, tx.out[from].iov.iov_base, tx.out[from].iov.iov_len);
}

void tx_flush(void)
{
	if (tx.n == 0 || tx.flushing)
		return;
	tx.flushing = true;
	for (unsigned from = 0; from < tx.n;) {
		unsigned to = from + 1;

		while (to < tx.n && tx.out[to].dest.listener == tx.out[from].dest.listener)
			to++;
		send_run(from, to);
		from = to;
	}
	tx.n = 0;
	tx.used = 0;
	tx.flushing = false;
}

static int send_gathered(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov)
{
	const struct net_listener *l = net_listener_at(dest->listener);
	struct tx_dest d = *dest;
	struct out *o;
	struct msghdr *h;
	size_t n = 0;
	char *p;

	if (!l || l->proto != SIP_PROTO_UDP || l->addr.family != dest->to.family)
		l = net_listener_for(SIP_PROTO_UDP, &dest->to, dest->listener);
	if (!l || l->n_fds == 0)
		return -EAFNOSUPPORT;
	d.listener = l->index;
	for (unsigned i = 0; i < n_iov; i++)
		n += iov[i].iov_len;
	if (n > DATAGRAM_MAX)
		return -EMSGSIZE;
	if (UNLIKELY(!tx.area)) {
		tx.area = malloc(AREA_BYTES);
		if (!tx.area) {
			lost();
			return 0;
		}
	}
	if (tx.n == BATCH_MAX || tx.used + n > AREA_BYTES) {
		assert(!tx.flushing);
		tx_flush();
	}
	p = tx.area + tx.used;
	o = &tx.out[tx.n];
	o->dest = d;
	o->iov = (struct iovec){ p, n };
	for (unsigned i = 0; i < n_iov; i++) {
		memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	if (UNLIKELY(is_waiting(d.listener))) { /* behind those that wait already */
		wait_push(&d, o->iov.iov_base, n);
		return 0;
	}
	h = &tx.hdr[tx.n].msg_hdr;
	memset(h, 0, sizeof(*h));
	h->msg_name = &o->to;
	h->msg_namelen = net_addr_to_sockaddr(&d.to, &o->to);
	h->msg_iov = &o->iov;
	h->msg_iovlen = 1;
	tx.used += n;
	tx.n++;
	if (!rx_running()) /* a process without turns of its own for this */
		tx_flush();
	return 0;
}

/* To the proxy that its client is behind, with the header that the proxy wants in front. */
static int send_proxied(const struct tx_dest *dest, const struct proxied_way *way, const struct iovec *iov, unsigned n_iov)
{
	static char whole[DATAGRAM_MAX];
	struct tx_dest d = *dest;
	size_t n = NET_PROXY_SIMPLE_BYTES;
	struct iovec one;

	d.to = way->proxy;
	d.listener = way->listener;
	if (way->kind != NET_PROXY_SIMPLE)
		return send_gathered(&d, iov, n_iov);
	net_proxy_simple_build(&way->client, &way->dst, whole);
	for (unsigned i = 0; i < n_iov; i++) {
		if (iov[i].iov_len > sizeof(whole) - n)
			return -EMSGSIZE;
		memcpy(whole + n, iov[i].iov_base, iov[i].iov_len);
		n += iov[i].iov_len;
	}
	one = (struct iovec){ whole, n };
	return send_gathered(&d, &one, 1);
}

static int send_datagram(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov)
{
	struct proxied_way way;

	if (UNLIKELY(proxied_kinds) && proxied_find(&dest->to, dest->listener, &way))
		return send_proxied(dest, &way, iov, n_iov);
	return send_gathered(dest, iov, n_iov);
}

int tx_send(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov)
{
	struct iovec one;

	if (UNLIKELY(tx.hook) && !tx.in_hook) {
		struct str instead = STR_NULL;
		int refused;

		tx.in_hook = true; /* what the hook itself sends is not asked about again */
		refused = tx.hook(dest, iov, n_iov, &instead);
		tx.in_hook = false;
		if (refused)
			return -ECANCELED;
		if (instead.n) {
			one = (struct iovec){ (void *)(uintptr_t)instead.s, instead.n };
			iov = &one;
			n_iov = 1;
		}
	}
	switch (dest->proto) {
	case SIP_PROTO_UDP:
		return send_datagram(dest, iov, n_iov);
	case SIP_PROTO_TCP:
		return conn_send(dest, iov, n_iov);
	default:
		return -EAFNOSUPPORT;
	}
}

int tx_send_bytes(const struct tx_dest *dest, const void *p, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)p, n };

	return tx_send(dest, &iov, 1);
}
