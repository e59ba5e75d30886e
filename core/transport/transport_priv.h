/* SPDX-License-Identifier: BSD-2-Clause */
/* What rx, tx, conn and ctx share with each other, and nobody else. */
#ifndef RF_TRANSPORT_PRIV_H
#define RF_TRANSPORT_PRIV_H

#include "core/transport/conn.h"
#include "core/transport/ctx.h"
#include "core/transport/rx.h"
#include "core/transport/tx.h"

/*
 * Memory that bytes are received into. The batch (or the read of a stream) holds one reference,
 * each context whose message was kept over a park another; so parking moves no byte and every view
 * stays valid.
 */
struct rx_buf {
	struct rx_buf *next; /* in the free list */
	uint32_t refs;
	uint32_t cap; /* bytes at data */
	char data[];
};

MUST_CHECK struct rx_buf *rx_buf_take(void); /* one reference; NULL without memory */
void rx_buf_unref(struct rx_buf *buf);       /* NULL accepted */
static inline struct rx_buf *rx_buf_of(char *data)
{
	return CONTAINER_OF(data, struct rx_buf, data);
}
uint32_t rx_msg_max(void);
/* Makes a context over bytes inside buf and gives it to the handler. Returns 0, or -EBUSY when the
 * limit of contexts is reached. */
/* False: the raw handler does not want them. */
bool rx_raw_taken(struct str bytes, const struct rx_info *info);
MUST_CHECK int rx_deliver(struct rx_buf *buf, struct str bytes, const struct rx_info *info);
/* Number of the next message of this process ($mi). */
uint32_t rx_next_msg_no(void);
/* This process's number as a worker; 0 when it is none. */
unsigned rx_worker(void);
bool rx_running(void); /* rx_worker_init() was called: tx_flush() is called each turn */
bool rx_stopped(void);
/* Watches the own datagram socket of this listener for room to write, too. -ENOENT in a process
 * that receives nothing. */
MUST_CHECK int rx_want_write(uint16_t listener, bool on);

void tx_writable(uint16_t listener); /* called by rx when there is room again */
void tx_failed(const struct tx_dest *dest, struct str bytes, int err);

MUST_CHECK int conn_send(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov);
/* Below 0: nobody can be let in now (descriptors, memory), and who waits keeps fd ready. */
MUST_CHECK int conn_accept_ready(int fd, uint16_t listener);
void conn_stop_reading(void);
/* Makes a connection of an accepted descriptor, which is taken over in every case. */
void conn_adopt(int fd, uint16_t listener, const struct net_addr *peer, const struct net_addr *local);

/* ---- greet.c: tcp_accept_haproxy ---- */

/* Waits for the PROXY header, then conn_adopt() with what it says. Takes fd over in every case. */
void greet(int fd, uint16_t listener, const struct net_addr *peer, const struct net_addr *local);
void greet_tick(uint64_t now_ms); /* deadlines */
MUST_CHECK int greet_init(struct loop *loop);

/* Counters; registered by transport_counters(), -1 before. */
struct transport_counters {
	int rx_datagrams, rx_too_large, rx_short, rx_shed, rx_proxied, rx_proxy_bad, rx_proxy_full, tx_datagrams, tx_dropped, tx_errors,
	    tx_retried;
	int established, passive_open, connect_success, connect_failed, local_reject, con_timeout,
	    con_reset, send_timeout, sendq_full, current_opened, current_queue, bad_frames;
};
extern struct transport_counters tcnt; /* written before forking, then only read */
void transport_counters(void);

#endif
