/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending. Datagrams are gathered (copied once) and leave in batches at the end of the turn; stream bytes go to the
 * worker that owns the connection. Nothing here blocks.
 */
#ifndef RF_TRANSPORT_TX_H
#define RF_TRANSPORT_TX_H

#include "core/net/listener.h"
#include "core/sip/build.h"

enum tx_flags { TX_NO_CONNECT = 1, TX_CLOSE_AFTER = 2 };

struct tx_dest { /* fits in shared memory */
	struct net_addr to;
	uint32_t conn_id;   /* stream to use when it still lives; 0: look for one to `to`, else connect */
	uint16_t listener;  /* socket to send from */
	uint8_t proto;      /* enum sip_proto */
	uint8_t flags;      /* enum tx_flags */
};

/*
 * Returns 0 when the bytes are queued; -ENOTCONN (TX_NO_CONNECT and no stream), -EMSGSIZE (datagram over 65507),
 * -ENOBUFS (queue limits of streams; a datagram that finds no room on this machine is lost, and counted), -EAFNOSUPPORT (no such socket), -EMFILE, -EMLINK (tcp_max_connections), -ECANCELED (the hook said no). What fails later is told to on_fail handlers.
 */
MUST_CHECK int tx_send(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov);
MUST_CHECK int tx_send_bytes(const struct tx_dest *dest, const void *p, size_t n);
/* Sends what is gathered. Called by the loop each turn. */
void tx_flush(void);
/* A stream that could not be connected or written, or a datagram that the kernel refused (no route, a firewall; not: no room): the bytes' transactions
 * may fail over. dest as given; the first bytes tell which. Called from the loop in a
 * later turn, never from within tx_send(), in whichever worker owns the stream. */
typedef void tx_fail_fn(const struct tx_dest *dest, struct str bytes, int err);
void tx_on_fail(tx_fail_fn *fn);
/*
 * Called before each SIP message is written (onsend_route and the like); non-zero: not sent. NULL: none. The hook may have other bytes
 * sent instead: *ret_instead, which stay as they are until it is called again.
 */
typedef int tx_hook_fn(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov, struct str *ret_instead);
void tx_set_hook(tx_hook_fn *fn);

#endif
