/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The environment carries nothing but numbers. What a number is, the kernel says: a descriptor that is no socket, or one
 * of another address, is nobody's and is closed unless it is one of the first three. So a stale or forged list can make a
 * start fail to find its sockets, and then they are opened as ever.
 */
#include "core/net/handover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/base/strbuf.h"

#define ENV_SOCKETS "RINGFORT_SOCKETS"
#define TEXT_MAX (100u * 1024u) /* the kernel takes 128 KiB */

static int *offered; /* -1: taken */
static unsigned n_offered;

void net_handover_give(void)
{
	struct strbuf sb;

	strbuf_init(&sb, TEXT_MAX);
	for (unsigned i = 0; i < net_listener_count(); i++) {
		const struct net_listener *l = net_listener_at(i);

		for (unsigned k = 0; k < l->n_fds; k++) {
			if (fcntl(l->udp_fds[k], F_SETFD, 0) < 0)
				continue;
			strbuf_add_u64(&sb, (uint64_t)l->udp_fds[k]);
			strbuf_add_char(&sb, ' ');
		}
	}
	strbuf_add_char(&sb, '\0');
	if (strbuf_err(&sb) == 0) /* else they are opened again */
		(void)setenv(ENV_SOCKETS, strbuf_str(&sb).s, 1);
	strbuf_done(&sb);
}

static void read_offer(void)
{
	const char *env = getenv(ENV_SOCKETS);
	struct str rest = env ? str_lit(env) : STR_NULL;

	if (rest.n == 0)
		return;
	offered = calloc(rest.n / 2 + 1, sizeof(*offered));
	while (offered && rest.n) {
		ptrdiff_t end = str_find_char(rest, ' ');
		struct str one = str_sub(rest, 0, end < 0 ? rest.n : (size_t)end);
		uint32_t fd;

		if (num_u32(one, &fd) == 0 && fd > 2 && fd < INT32_MAX && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0)
			offered[n_offered++] = (int)fd;
		rest = str_sub(rest, one.n + 1, rest.n);
	}
}

void net_handover_begin(void)
{
	unsigned from = 3, next;

	read_offer();
	do {
		next = ~0u;
		for (unsigned i = 0; i < n_offered; i++)
			if ((unsigned)offered[i] >= from && (unsigned)offered[i] < next)
				next = (unsigned)offered[i];
		if (next > from)
			(void)close_range(from, next == ~0u ? next : next - 1, 0);
		from = next + 1;
	} while (next != ~0u);
}

static int option(int fd, int name)
{
	int value = 0;
	socklen_t n = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &n) < 0 ? -1 : value;
}

static bool is_of(int fd, const struct net_listener *l)
{
	bool stream = l->proto != SIP_PROTO_UDP;
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	struct net_addr a;

	if (option(fd, SO_TYPE) != (stream ? SOCK_STREAM : SOCK_DGRAM) || option(fd, SO_ACCEPTCONN) != (int)stream || option(fd, SO_REUSEPORT) != 1 ||
	    getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		return false;
	net_addr_from_sockaddr((const struct sockaddr *)&sa, &a);
	return net_addr_equal(&a, &l->addr);
}

bool net_handover_take(const struct net_listener *l, unsigned n, int *ret_fds)
{
	unsigned found = 0;

	for (unsigned i = 0; i < n_offered; i++)
		found += offered[i] >= 0 && is_of(offered[i], l);
	if (found != n) /* another number of workers: the group is made anew */
		return false;
	for (unsigned i = 0, k = 0; i < n_offered; i++) {
		if (offered[i] < 0 || !is_of(offered[i], l))
			continue;
		ret_fds[k++] = offered[i];
		offered[i] = -1;
	}
	return true;
}

void net_handover_end(void)
{
	for (unsigned i = 0; i < n_offered; i++)
		if (offered[i] >= 0)
			(void)close(offered[i]);
	free(offered);
	offered = NULL;
	n_offered = 0;
	(void)unsetenv(ENV_SOCKETS);
}
