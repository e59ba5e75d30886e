/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of sockets. Context: any process; none of these blocks. */
#ifndef RF_NET_SOCKOPT_H
#define RF_NET_SOCKOPT_H

#include <stdbool.h>

/* setsockopt(2) with a value of type int. Returns 0 or a negative errno, which callers may leave where the option is only a wish. */
int net_sockopt_int(int fd, int level, int name, int value);

/* The larger of what the limits of the system allow and what is there already.
 *
 * name, force_name: SO_RCVBUF and SO_RCVBUFFORCE, or SO_SNDBUF and SO_SNDBUFFORCE. bytes: 0 and less leave the buffer as it is. */
void net_sockopt_buffer(int fd, int name, int force_name, int bytes);

/* Options of stream sockets; connections inherit them from the listening socket. 0: as the system has it. */
struct net_stream_opts {
	bool keepalive;
	int keepidle, keepintvl, keepcnt;
	int linger2_s, syn_retries;
	bool quick_ack;    /* what comes is acknowledged at once */
	bool close_rst;    /* close(2) throws away what was not sent, and resets */
	bool defer_accept; /* listening sockets: a connection shows when its first bytes are there */
};
/* None of these is needed for a connection to work: failures are ignored. */
void net_stream_options(int fd, const struct net_stream_opts *opts);

#endif
