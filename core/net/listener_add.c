/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one value of `listen` to entries of the table: an address stands for itself, an interface for its addresses, a host
 * name for its first one; each of them for each protocol that is enabled. The texts that messages will show are made here, once.
 *
 * Names are resolved with the blocking resolver; this is the only place, and no worker exists yet.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/strbuf.h"
#include "core/net/listener_priv.h"
#include "core/net/myself.h"

/* "host" or "host:port" when the port is not the default one. */
static struct str host_port(struct str host, uint16_t port, enum sip_proto proto)
{
	char text[NET_NAME_MAX + 16];
	struct strbuf sb;

	strbuf_init_fixed(&sb, text, sizeof(text));
	strbuf_add(&sb, host);
	if (port != sip_proto_default_port(proto)) {
		strbuf_add_char(&sb, ':');
		strbuf_add_u64(&sb, port);
	}
	return strbuf_err(&sb) < 0 ? STR_NULL : str_heap_dup(strbuf_str(&sb));
}

/* An advertised IPv6 address gets its brackets when it came without. */
static struct str adv_text(struct str host)
{
	struct net_addr a;
	char text[NET_ADDR_TEXT_MAX];

	if (str_find_char(host, ':') >= 0 && net_addr_parse(host, 0, &a) == 0)
		return str_heap_dup(str_of(text, net_addr_ip_text(&a, true, text)));
	return str_heap_dup(host);
}

/* The interface that has the address; 0: none has. */
static unsigned interface_of(const struct net_addr *addr)
{
	struct ifaddrs *list, *i;
	unsigned found = 0;

	if (getifaddrs(&list) < 0)
		return 0;
	for (i = list; i && !found; i = i->ifa_next) {
		struct net_addr a = { 0 };

		if (i->ifa_addr)
			net_addr_from_sockaddr(i->ifa_addr, &a);
		if (net_addr_ip_equal(&a, addr))
			found = if_nametoindex(i->ifa_name);
	}
	freeifaddrs(list);
	return found;
}

static int add_one(const struct net_listen_spec *spec, enum sip_proto proto,
                   const struct net_addr *ip, struct diag *reterr)
{
	struct net_listener *l = &net_table.at[net_table.n];
	char text[NET_ADDR_TEXT_MAX + 8];
	struct str shown;
	int n, err;

	if (net_addr_is_link_local(ip) && net_table.link_local == NET_LINK_LOCAL_SKIP)
		return 0;
	if (net_table.n == NET_LISTENERS_MAX)
		return diag_set(reterr, 0, "more than %u listening sockets", NET_LISTENERS_MAX);
	memset(l, 0, sizeof(*l));
	if (net_addr_is_link_local(ip) && net_table.link_local == NET_LINK_LOCAL_BIND) {
		l->scope = interface_of(ip);
		if (l->scope == 0 && !spec->is_virtual)
			return diag_set(reterr, 0, "no interface has the address %.*s", (int)net_addr_ip_text(ip, true, text), text);
	}
	l->index = (uint16_t)net_table.n;
	l->proto = proto;
	l->addr = *ip;
	l->addr.port = spec->port ? spec->port : sip_proto_default_port(proto);
	l->is_virtual = spec->is_virtual;
	l->listen_fd = -1;
	for (unsigned i = 0; i < net_table.n; i++) {
		char at[NET_ADDR_TEXT_MAX];

		if (net_table.at[i].proto != proto || !net_addr_equal(&net_table.at[i].addr, &l->addr))
			continue;
		(void)net_addr_text(&l->addr, at);
		return diag_set(reterr, 0, "%s:%s is listed twice", sip_proto_name(proto), at);
	}
	l->host = str_heap_dup(str_of(text, net_addr_ip_text(&l->addr, true, text)));
	if (spec->adv_host.n > NET_NAME_MAX || spec->name.n > NET_NAME_MAX)
		return diag_set(reterr, 0, "name longer than %u bytes", NET_NAME_MAX);
	if (spec->adv_host.n)
		l->adv_host = adv_text(spec->adv_host);
	l->adv_port = spec->adv_port;
	if (spec->name.n)
		l->name = str_heap_dup(spec->name);
	shown = l->adv_host.n ? l->adv_host : l->host;
	l->via_sent_by = host_port(shown, l->adv_port ? l->adv_port : l->addr.port, proto);
	l->uri_hostport = l->via_sent_by;
	n = snprintf(text, sizeof(text), "%s:", sip_proto_name(proto));
	n += (int)net_addr_text(&l->addr, text + n);
	l->sock_text = str_heap_dup(str_of(text, (size_t)n));
	l->adv_text = l->sock_text;
	if (l->adv_host.n) {
		char adv[NET_NAME_MAX + 32];

		n = snprintf(adv, sizeof(adv), "%s:%.*s:%u", sip_proto_name(proto), STR_FMT(l->adv_host),
		             l->adv_port ? l->adv_port : l->addr.port);
		l->adv_text = str_heap_dup(str_of(adv, (size_t)n));
	}
	if (!l->host.s || !l->via_sent_by.s || !l->sock_text.s || !l->adv_text.s ||
	    (spec->adv_host.n && !l->adv_host.s))
		return diag_err(reterr, -ENOMEM, 0, "no memory for a listening socket");
	/* The transport is not compared for sockets: a URI leads here whatever it says about that.
	 */
	err = net_myself_add(l->host, l->addr.port, SIP_PROTO_NONE);
	if (err == 0 && l->adv_host.n)
		err = net_myself_add(l->adv_host, l->adv_port ? l->adv_port : l->addr.port, SIP_PROTO_NONE);
	if (err < 0)
		return diag_err(reterr, err, 0, "\"%.*s\" cannot be a host name", STR_FMT(shown));
	net_table.n++;
	return 0;
}

static int add_protos(const struct net_listen_spec *spec, const struct net_addr *ip,
                      struct diag *reterr)
{
	int err;

	if (spec->proto != SIP_PROTO_NONE)
		return add_one(spec, spec->proto, ip, reterr);
	err = add_one(spec, SIP_PROTO_UDP, ip, reterr);
	if (err == 0 && !net_table.no_tcp)
		err = add_one(spec, SIP_PROTO_TCP, ip, reterr);
	return err;
}

/* Is it an address that an interface stands for? IPv6 ones only with auto_bind_ipv6. */
static bool is_wanted(const struct sockaddr *sa)
{
	const struct in6_addr *v6;

	if (!sa || (sa->sa_family != AF_INET && (sa->sa_family != AF_INET6 || !net_table.auto_ipv6)))
		return false;
	v6 = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	return sa->sa_family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(v6) || net_table.link_local == NET_LINK_LOCAL_BIND;
}

/* All addresses of an interface; name n 0: of all interfaces but the loopback, or of the loopback. Returns how many were added. */
static int add_interface(const struct net_listen_spec *spec, struct str name, bool loopback,
                         struct diag *reterr)
{
	struct ifaddrs *list, *i;
	int n = 0, err = 0;

	if (getifaddrs(&list) < 0)
		return diag_err(reterr, -errno, 0, "cannot list the interfaces: %s",
		                strerror(errno));
	for (i = list; i && err == 0; i = i->ifa_next) {
		struct net_addr a;

		if (!is_wanted(i->ifa_addr) || !(i->ifa_flags & IFF_UP))
			continue;
		if (name.n ? !str_eq(name, str_lit(i->ifa_name))
		           : !!(i->ifa_flags & IFF_LOOPBACK) != loopback)
			continue;
		net_addr_from_sockaddr(i->ifa_addr, &a);
		err = add_protos(spec, &a, reterr);
		n++;
	}
	freeifaddrs(list);
	return err < 0 ? err : n;
}

/* The first address counts; the name and what it really is called become aliases. */
static int add_host_name(const struct net_listen_spec *spec, struct diag *reterr)
{
	char name[NET_NAME_MAX + 1];
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		                  .ai_socktype = SOCK_DGRAM,
		                  .ai_flags = AI_CANONNAME },
			*list;
	unsigned before = net_table.n;
	struct net_addr a;
	int err;

	if (spec->host.n > NET_NAME_MAX || memchr(spec->host.s, 0, spec->host.n))
		return diag_set(reterr, 0, "host name longer than %u bytes", NET_NAME_MAX);
	memcpy(name, spec->host.s, spec->host.n);
	name[spec->host.n] = 0;
	err = getaddrinfo(name, NULL, &hints, &list);
	if (err != 0)
		return diag_set(reterr, 0, "cannot resolve \"%s\": %s", name, gai_strerror(err));
	net_addr_from_sockaddr(list->ai_addr, &a);
	err = a.family ? 0 : diag_set(reterr, 0, "\"%s\" has no internet address", name);
	if (err == 0)
		err = add_protos(spec, &a, reterr);
	if (err < 0 || net_table.n == before) /* or a link-local address that is skipped */
		goto out;
	if (err == 0)
		err = net_alias_add(SIP_PROTO_NONE, spec->host, net_table.at[net_table.n - 1].addr.port);
	if (err == 0 && list->ai_canonname &&
	    net_alias_add(SIP_PROTO_NONE, str_lit(list->ai_canonname),
	                  net_table.at[net_table.n - 1].addr.port) < 0)
		err = diag_set(reterr, 0, "no room for the alias \"%s\"", list->ai_canonname);
out:
	freeaddrinfo(list);
	return err;
}

int net_listener_add(const struct net_listen_spec *spec, struct diag *reterr)
{
	struct net_addr a;
	int n;

	switch (spec->proto) {
	case SIP_PROTO_NONE:
	case SIP_PROTO_UDP:
	case SIP_PROTO_TCP:
		break;
	default:
		return diag_set(reterr, 0, "this build cannot listen on %s",
		                sip_proto_name(spec->proto));
	}
	if (spec->host.n == 0) {
		n = add_interface(spec, STR_NULL, false, reterr);
		if (n == 0)
			n = add_interface(spec, STR_NULL, true, reterr);
		if (n == 0)
			return diag_set(reterr, 0, "this machine has no IPv4 address to listen on");
		return n < 0 ? n : 0;
	}
	if (net_addr_parse(spec->host, 0, &a) == 0)
		return add_protos(spec, &a, reterr);
	n = add_interface(spec, spec->host, false, reterr);
	if (n != 0)
		return n < 0 ? n : 0;
	return add_host_name(spec, reterr);
}
