/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a worker's streams share: conn.c (life), conn_time.c, conn_read.c, conn_write.c, conn_send.c. Nobody else includes it. */
#ifndef RF_TRANSPORT_CONN_PRIV_H
#define RF_TRANSPORT_CONN_PRIV_H

#include "core/event/group.h"
#include "core/sip/frame.h"
#include "core/transport/conn_index.h"
#include "core/transport/transport_priv.h"

#define CONN_WHEEL_SLOTS 512u
#define CONN_LINGER_MS 2000u /* after the last byte was sent: time for the peer to read it */
#define CONN_IOV_MAX 64u
#define CONN_NEVER_MS UINT64_MAX

struct conn_wq { /* bytes that wait for the kernel: one message */
	struct conn_wq *next;
	struct tx_dest dest;
	uint32_t n, off;
	char bytes[];
};

struct conn {
	struct conn *next_id;                /* in the private table */
	struct conn *wheel_next, **wheel_at; /* in the private wheel */
	struct loop_member watch;
	char *part; /* beginning of a message; NULL: none */
	struct conn_wq *wq, **wq_tail;
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

struct conns {
	struct conn_conf conf;
	struct loop *loop;
	struct loop_group *group; /* all descriptors */
	struct conn **ids;
	unsigned n_ids, n_buckets;
	struct conn *wheel[CONN_WHEEL_SLOTS];
	uint64_t wheel_s; /* next second to look at */
	struct conn *dead;
	bool bury_due;
	int spare_fd; /* given up for a moment when descriptors run out; -1: there was none left for it */
};
extern struct conns conns;

/* --- conn.c --- */
struct conn *conn_local(uint32_t id); /* of this worker; NULL */
/* Takes fd over in every case. */
MUST_CHECK int conn_make(int fd, uint16_t listener, const struct net_addr *peer, const struct net_addr *local, enum conn_state state,
			 struct conn **ret);
/* Ends it at once; it is freed at the end of the turn. err: what is told about bytes that were not sent, 0: EPIPE. */
void conn_end(struct conn *c, int err);
/* Tells the log why there is no connection "from" or "to" peer. */
void conn_refused(const char *direction, const struct net_addr *peer, int err);
void conn_spare_fd(void);        /* gets another one when it was lost */
void conn_touch(struct conn *c); /* its idle life begins anew */
void conn_watch(struct conn *c); /* for what its state and its queue need */
MUST_CHECK int conn_local_address(int fd, struct net_addr *ret);

/* --- conn_time.c --- */
void conn_wheel_link(struct conn *c);   /* at its deadline, as it is now */
void conn_wheel_unlink(struct conn *c);
void conn_hurry(struct conn *c);        /* deadlines became earlier than the entry in the wheel may say */
void conn_look_at_wheel(void *arg);     /* a timer's function */

/* --- conn_write.c --- */
/* Sends what the kernel takes at once and queues the rest. */
MUST_CHECK int conn_write(struct conn *c, const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov);
void conn_write_queue(struct conn *c);
void conn_drop_queue(struct conn *c, int err); /* err 0: in silence */

/* --- conn_send.c --- */
void conn_hear_send(unsigned from, const void *data, size_t len); /* the doorbell's */
void conn_hear_close(unsigned from, const void *data, size_t len);

/* --- conn_read.c --- */
void conn_read(struct conn *c);

#endif
