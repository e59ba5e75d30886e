/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens the sockets of the table.
 *
 * Every socket exists once per worker (SO_REUSEPORT). The kernel would by itself spread datagrams
 * by a hash of the addresses; one trunk peer would then land on one worker, so a classic BPF
 * program picks at random instead. SO_REUSEPORT has a price: a second server started by the same
 * user binds the same port without an error and steals half of the calls. Therefore the first
 * socket of each address is bound without the option, as a probe.
 */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/net/handover.h"
#include "core/net/listener_priv.h"
#include "core/net/sockopt.h"

enum sock_role { SOCK_PROBE, SOCK_SERVE };

static int open_socket(const struct net_listener *l, const struct net_open_opts *opts,
                       enum sock_role role, int *ret_fd)
{
	bool v6 = l->addr.family == AF_INET6, stream = net_is_stream(l->proto);
	struct sockaddr_storage sa;
	socklen_t sa_len = net_listener_sockaddr(l, &l->addr, &sa);
	int fd, err = 0;

	fd = socket(l->addr.family,
	            (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (v6)
		err = net_sockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (err == 0 && stream)
		err = net_sockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (err == 0 && role == SOCK_SERVE)
		err = net_sockopt_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (err == 0 && (opts->free_bind || l->is_virtual))
		err = v6 ? net_sockopt_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
		         : net_sockopt_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (err == 0 && !stream && net_addr_is_any(&l->addr))
		err = v6 ? net_sockopt_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
		         : net_sockopt_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (err < 0)
		goto fail;
	if (opts->tos >= 0)
		(void)(v6 ? net_sockopt_int(fd, IPPROTO_IPV6, IPV6_TCLASS, opts->tos)
		          : net_sockopt_int(fd, IPPROTO_IP, IP_TOS, opts->tos));
	if (!stream && !v6 && opts->pmtu_discovery != 2)
		(void)net_sockopt_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, opts->pmtu_discovery ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	if (role == SOCK_SERVE) {
		net_sockopt_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, stream ? 0 : opts->rx_bytes);
		net_sockopt_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, stream ? 0 : opts->tx_bytes);
	}
	if (stream && role == SOCK_SERVE) {
		net_stream_options(fd, &opts->stream);
		if (opts->stream.defer_accept)
			(void)net_sockopt_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	}
	if (bind(fd, (const struct sockaddr *)&sa, sa_len) < 0 ||
	    (stream && listen(fd, opts->backlog > 0 ? opts->backlog : 1024) < 0)) {
		err = -errno;
		goto fail;
	}
	*ret_fd = fd;
	return 0;
fail:
	(void)close(fd);
	return err;
}

/* Attached once to the group: the kernel runs it for each datagram and takes the n-th socket, in
 * order of bind(). */
static int steer_at_random(int fd, unsigned n)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM) },
		{ BPF_ALU | BPF_MOD | BPF_K, 0, 0, n },
		{ BPF_RET | BPF_A, 0, 0, 0 },
	};
	struct sock_fprog prog = { .len = ARRAY_LEN(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) < 0
	           ? -errno
	           : 0;
}

static int open_listener(struct net_listener *l, const struct net_open_opts *opts)
{
	int err = 0, fd;

	l->udp_fds = malloc(opts->n_workers * sizeof(*l->udp_fds));
	if (!l->udp_fds)
		return -ENOMEM;
	if (net_handover_take(l, opts->n_workers, l->udp_fds)) {
		l->n_fds = opts->n_workers;
	} else {
		err = open_socket(l, opts, SOCK_PROBE, &fd);
		if (err < 0)
			return err;
		(void)close(fd);
	}
	for (unsigned w = l->n_fds; w < opts->n_workers; w++) {
		err = open_socket(l, opts, SOCK_SERVE, &l->udp_fds[w]);
		if (err < 0)
			return err;
		l->n_fds++;
	}
	if (net_is_stream(l->proto))
		l->listen_fd = l->udp_fds[0];
	else if (opts->n_workers > 1 && !opts->steer_by_flow)
		err = steer_at_random(l->udp_fds[0], opts->n_workers);
	return err;
}

int net_listeners_open(const struct net_open_opts *opts, struct diag *reterr)
{
	if (opts->n_workers == 0)
		return diag_err(reterr, -EINVAL, 0, "no workers to listen for");
	net_table.no_tcp |= opts->no_tcp;
	for (unsigned i = 0; i < net_table.n; i++) {
		int err = net_listener_usable(&net_table.at[i]) ? open_listener(&net_table.at[i], opts) : 0;

		if (err < 0) {
			net_listeners_close();
			return diag_err(reterr, err, 0, "cannot listen on %.*s: %s",
			                STR_FMT(net_table.at[i].sock_text), strerror(-err));
		}
	}
	net_handover_end();
	return 0;
}

void net_listeners_close(void)
{
	for (unsigned i = 0; i < net_table.n; i++) {
		struct net_listener *l = &net_table.at[i];

		while (l->n_fds > 0)
			(void)close(l->udp_fds[--l->n_fds]);
		free(l->udp_fds);
		l->udp_fds = NULL;
		l->listen_fd = -1;
	}
}
