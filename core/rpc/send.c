/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An answer on its way: one chunk per turn of the loop is asked of the call, written as far as the client takes it, and the next
 * one follows when that is gone. So an answer of any length costs one chunk of memory, and other clients get their turns.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/strbuf.h"
#include "core/event/loop.h"
#include "core/rpc/serve.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define CHUNK_MAX ((size_t)16 << 20) /* one piece of a list may be larger than a chunk */
#define STALL_MS 10000u

struct rpc_sender {
	struct loop *loop;
	int fd;
	struct rpc *call;
	struct strbuf sb;
	size_t off, whole_max;
	bool more; /* the call has more */
	struct loop_io *io;
	struct loop_timer *stall;
	rpc_sent_fn *sent;
	void *arg;
};

static void sender_end(struct rpc_sender *s, int err)
{
	rpc_sent_fn *sent = s->sent;
	void *arg = s->arg;

	loop_io_del(s->io);
	loop_timer_del(s->stall);
	rpc_free(s->call);
	strbuf_done(&s->sb);
	free(s);
	sent(arg, err);
}

static int next_chunk(struct rpc_sender *s)
{
	int more;

	s->sb.n = s->off = 0;
	more = s->whole_max ? rpc_read_all(s->call, &s->sb) : rpc_read(s->call, &s->sb, CHUNK_BYTES);
	s->more = more > 0;
	return more < 0 ? more : 0;
}

/* 0 when all of the chunk is out; -EAGAIN: later. */
static int write_chunk(struct rpc_sender *s)
{
	while (s->off < s->sb.n) {
		ssize_t n = write(s->fd, s->sb.p + s->off, s->sb.n - s->off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s->off += (size_t)n;
		loop_timer_set(s->stall, STALL_MS);
	}
	return 0;
}

static void on_writable(void *arg, int fd, int events)
{
	struct rpc_sender *s = arg;
	int err = events < 0 ? events : 0;

	(void)fd;
	if (err == 0 && s->off == s->sb.n && s->more)
		err = next_chunk(s);
	if (err == 0)
		err = write_chunk(s);
	if (err == -EAGAIN || (err == 0 && s->more))
		return;
	sender_end(s, err);
}

static void on_stall(void *arg)
{
	sender_end(arg, -ETIMEDOUT);
}

int rpc_send(struct loop *loop, int fd, struct rpc *call, size_t whole_max, rpc_sent_fn *sent, void *arg)
{
	struct rpc_sender *s = calloc(1, sizeof(*s));

	if (!s) {
		rpc_free(call);
		return -ENOMEM;
	}
	*s = (struct rpc_sender){ .loop = loop, .fd = fd, .call = call, .whole_max = whole_max, .more = true, .sent = sent, .arg = arg };
	strbuf_init(&s->sb, whole_max ? whole_max : CHUNK_MAX);
	if (loop_io_add(loop, fd, LOOP_WRITE, on_writable, s, &s->io) < 0 || loop_timer_add(loop, STALL_MS, 0, on_stall, s, &s->stall) < 0) {
		loop_io_del(s->io);
		rpc_free(call);
		strbuf_done(&s->sb);
		free(s);
		return -ENOMEM;
	}
	return 0;
}
