/* SPDX-License-Identifier: BSD-2-Clause */
/* Where messages enter: datagrams in batches, frames cut out of streams. Each goes to one handler, the route layer. */
#ifndef RF_TRANSPORT_RX_H
#define RF_TRANSPORT_RX_H

#include "core/event/loop.h"
#include "core/transport/ctx.h"

/* ctx holds bytes (msg.buf set, not parsed), rx info and an empty pool; the handler owns it (ctx_free). */
typedef void rx_fn(struct ctx *ctx);
void rx_handler(rx_fn *fn);
/*
 * Looks at the bytes of each datagram and of each read of a stream before anybody else does; false: they are thrown away. NULL: nobody looks.
 * info: where from; its dst is the listener's address.
 */
typedef bool rx_raw_fn(struct str bytes, const struct rx_info *info);
void rx_raw_handler(rx_raw_fn *fn);
/* Watches this worker's sockets. worker: 0 to n-1. Context: worker, after ctx_pool_init(). */
MUST_CHECK int rx_worker_init(struct loop *loop, unsigned worker);
/* Stops taking new messages (shutdown). */
void rx_stop(void);
/* True while the batch that is being handled has more to come. */
struct rx_conf {
	uint32_t msg_max_bytes;     /* msg_recv_max_size */
	unsigned batch;             /* datagrams per system call, 1-64 */
};
void rx_configure(const struct rx_conf *conf);
/* Numbers of messages ($mi) begin again in this process: 1, which is returned for the message at hand. */
uint32_t rx_msg_no_restart(void);

#endif
