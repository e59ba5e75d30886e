/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of sockets, for those that listen (listener.c) and for connections (core/transport). What a connection can do
 * without is asked for and not insisted on.
 */
#include "core/net/sockopt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int net_sockopt_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

void net_stream_options(int fd, const struct net_stream_opts *opts)
{
	(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (opts->keepalive)
		(void)net_sockopt_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (opts->keepalive && opts->keepidle > 0)
		(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, opts->keepidle);
	if (opts->keepalive && opts->keepintvl > 0)
		(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, opts->keepintvl);
	if (opts->keepalive && opts->keepcnt > 0)
		(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_KEEPCNT, opts->keepcnt);
	if (opts->quick_ack)
		(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
	if (opts->linger2_s > 0)
		(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_LINGER2, opts->linger2_s);
	if (opts->syn_retries > 0)
		(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_SYNCNT, opts->syn_retries);
	if (opts->close_rst) {
		struct linger now = { .l_onoff = 1, .l_linger = 0 };

		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
}

/* The larger of what the limits of the system allow and what is there already. */
void net_sockopt_buffer(int fd, int name, int force_name, int bytes)
{
	int have = 0;
	socklen_t n = sizeof(have);

	if (bytes <= 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, name, &have, &n) == 0 && have / 2 >= bytes)
		return;
	if (net_sockopt_int(fd, SOL_SOCKET, force_name, bytes) < 0)
		(void)net_sockopt_int(fd, SOL_SOCKET, name, bytes); /* a smaller one is no reason not to start */
}
