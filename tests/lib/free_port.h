/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that nobody uses, so that tests of several build folders may run beside each other. */
#ifndef RF_TESTS_FREE_PORT_H
#define RF_TESTS_FREE_PORT_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/test_main.h"

#define FREE_PORTS_MAX 8

/*
 * n different ports (at most FREE_PORTS_MAX), free for UDP and TCP on all addresses when this returns. The kernel gives them out in
 * turn, so another program is not given the same for a while.
 */
static inline void free_ports(uint16_t *ret_ports, unsigned n)
{
	int fd[FREE_PORTS_MAX][2];

	ck_assert_uint_le(n, FREE_PORTS_MAX);
	for (unsigned i = 0; i < n; i++) {
		struct sockaddr_in sa = { .sin_family = AF_INET };
		socklen_t len = sizeof(sa);

		fd[i][0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(bind(fd[i][0], (struct sockaddr *)&sa, sizeof(sa)), 0);
		ck_assert_int_eq(getsockname(fd[i][0], (struct sockaddr *)&sa, &len), 0);
		ret_ports[i] = ntohs(sa.sin_port);
		fd[i][1] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (bind(fd[i][1], (struct sockaddr *)&sa, sizeof(sa)) < 0) { /* taken for UDP: the next one */
			close(fd[i][0]);
			close(fd[i][1]);
			i--;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		close(fd[i][0]);
		close(fd[i][1]);
	}
}

#endif
