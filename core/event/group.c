/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An epoll descriptor of its own for many descriptors of one kind, which in turn is one descriptor of
 * the loop. libuv's watch costs five system calls when a descriptor comes (it tries the descriptor in
 * epoll, asks and sets O_NONBLOCK, then adds it with the next turn) and 200 bytes while it stays; here
 * it is one call and 8 bytes. The price is one more epoll_wait(2) per turn in which something happened,
 * shared by all that is ready then.
 */
#include "core/event/group.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 64 /* per turn: other descriptors get their share, the rest stays ready */

struct loop_group {
	struct loop_io *io;
	loop_member_fn *fn;
	int fd;
};

static uint32_t epoll_events(int events)
{
	return (events & LOOP_READ ? (uint32_t)EPOLLIN : 0u) |
	       (events & LOOP_WRITE ? (uint32_t)EPOLLOUT : 0u);
}

static void on_ready(void *arg, int fd, int events)
{
	struct loop_group *g = arg;
	struct epoll_event ev[BATCH];
	int n;

	(void)events; /* an error of an epoll descriptor: the call below tells it */
	n = epoll_wait(fd, ev, BATCH, 0);
	for (int i = 0; i < n; i++) {
		struct loop_member *m = ev[i].data.ptr;
		int ready = 0;

		if (ev[i].events & EPOLLIN)
			ready |= LOOP_READ;
		if (ev[i].events & EPOLLOUT)
			ready |= LOOP_WRITE;
		if (ev[i].events & (EPOLLERR | EPOLLHUP))
			ready |= LOOP_READ | LOOP_WRITE;
		ready &= m->events; /* 0: deleted by a callback before, in this batch */
		if (ready)
			g->fn(m, ready);
	}
}

int loop_group_new(struct loop *loop, loop_member_fn *fn, struct loop_group **ret_group)
{
	struct loop_group *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	g->fn = fn;
	g->fd = epoll_create1(EPOLL_CLOEXEC);
	err = g->fd < 0 ? -errno : loop_io_add(loop, g->fd, LOOP_READ, on_ready, g, &g->io);
	if (err < 0) {
		loop_group_free(g);
		return err;
	}
	*ret_group = g;
	return 0;
}

void loop_group_free(struct loop_group *g)
{
	if (!g)
		return;
	loop_io_del(g->io);
	if (g->fd >= 0)
		(void)close(g->fd);
	free(g);
}

int loop_group_add(struct loop_group *g, struct loop_member *m, int fd, int events)
{
	m->fd = fd;
	m->events = 0;
	return loop_group_set(g, m, events);
}

/* What is watched for nothing leaves epoll: a hang-up would be reported all the same, for ever. */
int loop_group_set(struct loop_group *g, struct loop_member *m, int events)
{
	struct epoll_event ev = { .events = epoll_events(events), .data.ptr = m };
	int op = m->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

	if (events == m->events)
		return 0;
	if (epoll_ctl(g->fd, op, m->fd, &ev) < 0)
		return -errno;
	m->events = events;
	return 0;
}

void loop_group_del(struct loop_group *g, struct loop_member *m)
{
	if (m->events)
		(void)epoll_ctl(g->fd, EPOLL_CTL_DEL, m->fd, NULL); /* fails for what has left already */
	m->events = 0;
}
