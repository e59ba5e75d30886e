/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_accept_haproxy: what connects says first who it speaks for. Until then there is no connection: nothing in the shared index, no
 * count for its address, nothing that a message could be sent to. With the header it becomes one, of the client that the header
 * names, so everybody sees that address and no other: limits, bans, logs, $si.
 *
 * The bytes stay in the kernel until the header is whole: they are looked at (MSG_PEEK), SO_RCVLOWAT says how many are needed for the
 * next look, and then exactly the header is read. So nothing of the first message has to be handed over, and a peer that sends
 * byte by byte costs a bounded number of looks.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/event/group.h"
#include "core/net/proxy.h"
#include "core/transport/transport_priv.h"
#include "shm/counter.h"

#define GREETINGS_MAX 4096u /* of one worker; the next is refused */

struct greeting {
	struct greeting *next, **at; /* in order of arrival, which is that of the deadlines */
	struct loop_member watch;
	uint64_t until_ms;
	size_t need; /* bytes for the next look */
	struct net_addr peer, local;
	uint16_t listener;
};

static struct {
	struct loop *loop;
	struct loop_group *group;
	struct greeting *first, **last;
	unsigned n;
} self = { .last = &self.first };

static void bury(void *arg)
{
	free(arg);
}

/* Leaves the descriptor open. */
static void end(struct greeting *g)
{
	loop_group_del(self.group, &g->watch);
	*g->at = g->next;
	if (g->next)
		g->next->at = g->at;
	else
		self.last = g->at;
	self.n--;
	if (loop_defer(self.loop, bury, g) < 0)
		return; /* the loop may still look at it in this turn: lost rather than freed too early */
}

static void refuse(struct greeting *g, const char *why)
{
	char text[NET_ADDR_TEXT_MAX];
	int fd = g->watch.fd;

	shm_counter_add(tcnt.local_reject, 1);
	(void)net_addr_text(&g->peer, text);
	log_warn_alike("tcp_accept_haproxy: connection from %s refused: %s", text, why);
	end(g);
	(void)close(fd);
}

static void wait_for(struct greeting *g, size_t bytes)
{
	int n = (int)bytes;

	g->need = bytes;
	if (setsockopt(g->watch.fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n)) < 0)
		refuse(g, "SO_RCVLOWAT cannot be set");
}

static void become(struct greeting *g, const struct net_proxy *p)
{
	char header[NET_PROXY_MAX_BYTES];
	struct greeting was = *g;
	int fd = g->watch.fd, one = 1;

	if (recv(fd, header, p->bytes, MSG_DONTWAIT) != (ssize_t)p->bytes || setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)) < 0) {
		refuse(g, "the header cannot be read");
		return;
	}
	end(g);
	conn_adopt(fd, was.listener, p->known ? &p->src : &was.peer, &was.local); /* it came in here, whatever the client connected to */
}

static void ready(struct loop_member *m, int events)
{
	struct greeting *g = CONTAINER_OF(m, struct greeting, watch);
	char look[NET_PROXY_MAX_BYTES];
	struct net_proxy proxy;
	struct diag why = { 0 };
	size_t more = 0;
	ssize_t n = recv(m->fd, look, sizeof(look), MSG_DONTWAIT | MSG_PEEK);
	int err;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < (ssize_t)g->need) { /* no more will come */
		refuse(g, "closed before its PROXY header");
		return;
	}
	err = net_proxy_parse(NET_PROXY_STREAM, str_of(look, (size_t)n), &proxy, &more, &why);
	if (err == 0)
		become(g, &proxy);
	else if (err == -ENODATA)
		wait_for(g, more);
	else
		refuse(g, why.text);
}

void greet_tick(uint64_t now_ms)
{
	while (self.first && self.first->until_ms <= now_ms)
		refuse(self.first, "no whole PROXY header in time (tcp_wait_data)");
}

void greet(int fd, uint16_t listener, const struct net_addr *peer, const struct net_addr *local)
{
	struct greeting *g = self.n < GREETINGS_MAX ? calloc(1, sizeof(*g)) : NULL;
	char text[NET_ADDR_TEXT_MAX];

	if (!g || loop_group_add(self.group, &g->watch, fd, LOOP_READ) < 0) {
		shm_counter_add(tcnt.local_reject, 1);
		(void)net_addr_text(peer, text);
		log_warn_alike("tcp_accept_haproxy: connection from %s refused: %u wait for their PROXY header, no room for more", text, self.n);
		(void)close(fd);
		free(g);
		return;
	}
	g->peer = *peer;
	g->local = *local;
	g->listener = listener;
	g->need = 1;
	g->until_ms = clock_ms() + conn_conf()->wait_data_ms;
	g->at = self.last;
	*self.last = g;
	self.last = &g->next;
	self.n++;
}

int greet_init(struct loop *loop)
{
	self.loop = loop;
	return loop_group_new(loop, ready, &self.group);
}
