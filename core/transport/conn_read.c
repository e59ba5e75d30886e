/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes that come in through a stream: they go into a receive buffer of rx.c and whole messages are handed on from there without a
 * copy. Only the rest, the beginning of a message, moves into memory of the connection; following bytes are read behind it, and
 * framing remembers how far it looked, so a peer that sends byte by byte costs linear time.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/sip/build.h"
#include "core/transport/conn_priv.h"
#include "shm/counter.h"

#define PARTIAL_START 512u

/*
 * Nothing that this stream still brings can be understood, but requests that it brought before may be under way: their
 * answers get a moment to leave.
 */
static void deafen(struct conn *c)
{
	c->deaf = true;
	c->read_by_ms = CONN_NEVER_MS;
	c->expires_ms = clock_ms() + CONN_LINGER_MS;
	conn_hurry(c);
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

/*
 * One answer for each ping that came in one piece, in one piece; who sends more than that at once keeps no connection alive. For one who does not read,
 * one answer waits at the end of the queue and no more: it weighs fifty times its bytes.
 */
static void pong(struct conn *c, unsigned n)
{
	const struct conn_wq *last = c->wq ? CONTAINER_OF(c->wq_tail, struct conn_wq, next) : NULL;
	static const char crlfs[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
	struct tx_dest dest = { .to = c->peer,
		                .conn_id = c->id,
		                .listener = c->listener,
		                .proto = c->proto,
		                .flags = TX_NO_CONNECT };
	struct iovec iov = { (void *)(uintptr_t)crlfs, 2 * n < sizeof(crlfs) - 1 ? 2 * n : sizeof(crlfs) - 1 };

	if (last && last->bytes[0] == '\r') /* no message begins like that */
		return;
	if (conns.conf.crlf_ping && !c->dead && conn_write(c, &dest, &iov, 1) < 0)
		return; /* the connection is gone, or full: then it is not idle either */
}

/*
 * Takes the frames out of bytes, which lie in buf. Returns how many bytes were used up; all of them
 * when the connection ended meanwhile.
 */
static size_t frames(struct conn *c, struct rx_buf *buf, struct str bytes,
                     struct rx_info *info, unsigned *n_pings)
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
		*n_pings += kind == SIP_FRAME_PING;
		if (kind != SIP_FRAME_MSG)
			continue;
		if (rx_deliver(buf, str_sub(rest, 0, (size_t)n), info) < 0)
			shm_counter_add(tcnt.local_reject, 1);
	}
	return c->dead || c->close_after || c->deaf ? bytes.n : at;
}

static size_t take_frames(struct conn *c, struct rx_buf *buf, struct str bytes, struct rx_info *info)
{
	unsigned n_pings = 0;
	size_t used = frames(c, buf, bytes, info, &n_pings);

	if (n_pings)
		pong(c, n_pings);
	return c->dead ? bytes.n : used;
}

/* Keeps the beginning of a message. */
static void keep_part(struct conn *c, struct str rest)
{
	if (rest.n == 0) {
		free(c->part);
		c->part = NULL;
		c->part_n = c->part_cap = 0;
		c->read_by_ms = CONN_NEVER_MS;
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
	if (c->read_by_ms == CONN_NEVER_MS) {
		c->read_by_ms = clock_ms() + (uint64_t)conns.conf.msg_read_timeout_s * 1000u;
		conn_hurry(c);
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
		c->read_by_ms = CONN_NEVER_MS; /* another message begins, if any */
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

void conn_read(struct conn *c)
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
			conn_touch(c);
	} else if (n == 0) {
		conn_end(c, -ECONNRESET);
	} else if (err != EAGAIN && err != EINTR) {
		shm_counter_add(tcnt.con_reset, 1);
		conn_end(c, -err);
	}
}
