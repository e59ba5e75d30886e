/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of listening sockets, and which of them is meant or fits. Filled once while the script is
 * loaded (listener_add.c), in the process that forks all others, so every process has the same table at the same
 * index and nobody needs a lock.
 */
#include "core/net/listener.h"

#include <errno.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/net/listener_priv.h"

#define ROUTES_KEPT 64u
#define ROUTE_KEPT_MS 2000u

struct net_table net_table;

void net_link_local_set(int how)
{
	net_table.link_local = how;
}

void net_tcp_disable(void)
{
	net_table.no_tcp = true;
}

void net_auto_ipv6_enable(void)
{
	net_table.auto_ipv6 = true;
}

void net_mhomed_enable(void)
{
	net_table.mhomed = true;
}

bool net_mhomed(void)
{
	return net_table.mhomed;
}

unsigned net_listener_count(void)
{
	return net_table.n;
}

const struct net_listener *net_listener_at(unsigned index)
{
	return index < net_table.n ? &net_table.at[index] : NULL;
}

const struct net_listener *net_listener_named(struct str name)
{
	for (unsigned i = 0; name.n && i < net_table.n; i++) {
		if (str_ieq(net_table.at[i].name, name))
			return &net_table.at[i];
	}
	return NULL;
}

static const struct net_listener *find_advertised(enum sip_proto proto, struct str host, uint16_t port)
{
	for (unsigned i = 0; i < net_table.n; i++) {
		const struct net_listener *l = &net_table.at[i];
		uint16_t want = port ? port : sip_proto_default_port(proto ? proto : l->proto);

		if (l->adv_host.n && (proto == SIP_PROTO_NONE || l->proto == proto) && str_ieq(l->adv_host, host) &&
		    (l->adv_port ? l->adv_port : l->addr.port) == want && net_listener_usable(l))
			return l;
	}
	return NULL;
}

const struct net_listener *net_listener_find(struct str text)
{
	enum sip_proto proto = SIP_PROTO_NONE;
	struct net_addr a;
	ptrdiff_t colon = str_find_char(text, ':');
	uint32_t port = 0;

	if (colon > 0) {
		proto = sip_proto_lookup(str_sub(text, 0, (size_t)colon));
		if (proto != SIP_PROTO_NONE)
			text = str_sub(text, (size_t)colon + 1, text.n);
	}
	colon = str_rfind_char(text, ':');
	/* the last colon starts a port unless it is inside an IPv6 address */
	if (colon >= 0 && net_addr_parse(text, 0, &a) < 0) {
		if (num_u32(str_sub(text, (size_t)colon + 1, text.n), &port) < 0 || port > 65535)
			return NULL;
		text = str_sub(text, 0, (size_t)colon);
	}
	if (net_addr_parse(text, (uint16_t)port, &a) < 0)
		return find_advertised(proto, text, (uint16_t)port);
	for (unsigned i = 0; i < net_table.n; i++) {
		const struct net_listener *l = &net_table.at[i];
		uint16_t want = port ? (uint16_t)port : sip_proto_default_port(proto ? proto : l->proto);

		if ((proto == SIP_PROTO_NONE || l->proto == proto) && l->addr.port == want &&
		    net_addr_ip_equal(&l->addr, &a) && net_listener_usable(l))
			return l;
	}
	return find_advertised(proto, text, (uint16_t)port);
}

socklen_t net_listener_sockaddr(const struct net_listener *l, const struct net_addr *addr, struct sockaddr_storage *ret_sa)
{
	socklen_t n = net_addr_to_sockaddr(addr, ret_sa);

	if (net_addr_is_link_local(addr))
		((struct sockaddr_in6 *)(void *)ret_sa)->sin6_scope_id = l->scope;
	return n;
}

/*
 * The address that the kernel would send from. Asking costs four system calls, so answers are kept
 * for a moment, in a table with one place per hash of the address.
 */
static int route_source(const struct net_addr *to, struct net_addr *ret_source)
{
	static struct {
		struct net_addr to, source;
		uint64_t until_ms;
	} cache[ROUTES_KEPT];
	struct sockaddr_storage sa;
	socklen_t n = net_addr_to_sockaddr(to, &sa);
	unsigned at = 0;
	int fd, err = 0;

	for (unsigned i = 0; i < sizeof(to->ip); i++)
		at = at * 31 + to->ip[i];
	at %= ROUTES_KEPT;
	if (cache[at].until_ms > clock_ms() && net_addr_ip_equal(&cache[at].to, to)) {
		*ret_source = cache[at].source;
		return 0;
	}
	fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, n) < 0)
		err = -errno;
	n = sizeof(sa);
	if (err == 0 && getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		err = -errno;
	(void)close(fd);
	if (err < 0)
		return err;
	net_addr_from_sockaddr((const struct sockaddr *)&sa, ret_source);
	cache[at].to = *to;
	cache[at].source = *ret_source;
	cache[at].until_ms = clock_ms() + ROUTE_KEPT_MS;
	return 0;
}

const struct net_listener *net_listener_for(enum sip_proto proto, const struct net_addr *to,
                                            uint16_t prefer)
{
	const struct net_listener *want = prefer < net_table.n ? &net_table.at[prefer] : NULL, *best = NULL;
	unsigned best_points = 0;
	struct net_addr source = { 0 };

	if (want && want->proto == proto && want->addr.family == to->family && net_listener_usable(want))
		return want;
	if (net_table.mhomed && !want && net_table.n > 1 && route_source(to, &source) < 0)
		source.family = 0; /* no route: as without */
	for (unsigned i = 0; i < net_table.n; i++) {
		const struct net_listener *l = &net_table.at[i];
		unsigned points = 1;

		if (l->proto != proto || l->addr.family != to->family || !net_listener_usable(l))
			continue;
		/* another protocol was asked for than the preferred socket speaks: stay on its
		 * address */
		if (want && net_addr_ip_equal(&l->addr, &want->addr))
			points += 4;
		if (source.family && net_addr_ip_equal(&l->addr, &source))
			points += 4;
		/* nothing gets from a loopback address to the world, nor the other way round */
		if (net_addr_is_loopback(&l->addr) == net_addr_is_loopback(to) ||
		    net_addr_is_any(&l->addr))
			points += 2;
		if (points > best_points) {
			best = l;
			best_points = points;
		}
	}
	return best;
}
