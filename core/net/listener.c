/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of listening sockets, and the names that are "myself". Filled once while the script is
 * loaded, in the process that forks all others, so every process has the same table at the same
 * index and nobody needs a lock.
 *
 * Every socket exists once per worker (SO_REUSEPORT). The kernel would by itself spread datagrams
 * by a hash of the addresses; one trunk peer would then land on one worker, so a classic BPF
 * program picks at random instead. SO_REUSEPORT has a price: a second server started by the same
 * user binds the same port without an error and steals half of the calls. Therefore the first
 * socket of each address is bound without the option, as a probe.
 *
 * Names are resolved here with the blocking resolver; this is the only place, and no worker exists
 * yet.
 */
#include "core/net/listener.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/net/handover.h"
#include "core/net/sockopt.h"

#define ALIASES_MAX 4096u
#define MYSELF_FNS_MAX 16u
#define NAME_BUCKETS 256u
#define NAME_TEXT_MAX 255u
#define ROUTES_KEPT 64u
#define ROUTE_KEPT_MS 2000u

struct myname {
	struct str host; /* lower case; IPv6 as inet_ntop() writes it, without brackets */
	uint16_t port;
	uint8_t proto;
	unsigned refs;   /* who gave it: each is counted, so that it stays until the last takes it back */
	struct myname *next;
};

struct alias {
	enum sip_proto proto;
	struct str host;
	uint16_t port;
	unsigned refs;
};

static struct {
	struct net_listener at[NET_LISTENERS_MAX];
	unsigned n;
	struct alias alias[ALIASES_MAX];
	unsigned n_aliases;
	struct myname *names[NAME_BUCKETS];
	net_myself_fn *myself[MYSELF_FNS_MAX];
	unsigned n_myself;
	bool no_tcp, mhomed, auto_ipv6;
	int link_local; /* enum net_link_local */
} net;

static bool is_stream(enum sip_proto proto)
{
	return proto != SIP_PROTO_UDP;
}

static uint16_t default_port(enum sip_proto proto)
{
	return proto == SIP_PROTO_TLS || proto == SIP_PROTO_WSS ? 5061 : 5060;
}

static char lower(char c)
{
	return (unsigned char)(c - 'A') < 26 ? (char)(c | 0x20) : c;
}

/* ---- names that are "myself" ---- */

/* The names in the table are the operator's, so an unkeyed hash does. */
static unsigned name_bucket(const char *p, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * 16777619u;
	return (h ^ (h >> 16)) % NAME_BUCKETS;
}

/* Lower case, no brackets, no final dot, IPv6 in one spelling. 0: no host name can be that long, or
 * be empty. */
static size_t name_normal(struct str host, char out[NAME_TEXT_MAX + 1])
{
	size_t n = 0;

	if (host.n >= 2 && host.s[0] == '[' && host.s[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 2);
	if (host.n > 1 && host.s[host.n - 1] == '.')
		host.n--;
	if (host.n == 0 || host.n > NAME_TEXT_MAX)
		return 0;
	for (; n < host.n; n++)
		out[n] = lower(host.s[n]);
	if (memchr(host.s, ':', host.n)) {
		struct net_addr a;
		char text[NET_ADDR_TEXT_MAX];

		if (net_addr_parse(host, 0, &a) == 0) {
			n = net_addr_ip_text(&a, false, text);
			memcpy(out, text, n);
		}
	}
	return n;
}

static int name_add(struct str host, uint16_t port, enum sip_proto proto)
{
	char text[NAME_TEXT_MAX + 1];
	size_t n = name_normal(host, text);
	struct myname *m;
	unsigned b;

	if (n == 0)
		return -EBADMSG;
	b = name_bucket(text, n);
	for (m = net.names[b]; m; m = m->next) {
		if (m->port == port && m->proto == proto && str_eq(m->host, str_of(text, n))) {
			m->refs++;
			return 0;
		}
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->host = str_heap_dup(str_of(text, n));
	if (!m->host.s) {
		free(m);
		return -ENOMEM;
	}
	m->port = port;
	m->proto = (uint8_t)proto;
	m->refs = 1;
	m->next = net.names[b];
	net.names[b] = m;
	return 0;
}

static void name_del(struct str host, uint16_t port, enum sip_proto proto)
{
	char text[NAME_TEXT_MAX + 1];
	size_t n = name_normal(host, text);
	struct myname **at = n ? &net.names[name_bucket(text, n)] : NULL;

	for (; at && *at; at = &(*at)->next) {
		struct myname *m = *at;

		if (m->port != port || m->proto != proto || !str_eq(m->host, str_of(text, n)))
			continue;
		if (--m->refs == 0) {
			*at = m->next;
			free((char *)(uintptr_t)m->host.s);
			free(m);
		}
		return;
	}
}

bool net_is_myself(struct str host, uint16_t port, enum sip_proto proto)
{
	char text[NAME_TEXT_MAX + 1];
	size_t n = name_normal(host, text);

	if (n == 0)
		return false;
	for (const struct myname *m = net.names[name_bucket(text, n)]; m; m = m->next) {
		if (m->host.n != n || memcmp(m->host.s, text, n) != 0)
			continue;
		if (port && m->port && m->port != port)
			continue;
		if (proto && m->proto && m->proto != proto)
			continue;
		return true;
	}
	for (unsigned i = 0; i < net.n_myself; i++) {
		if (net.myself[i](host, port, proto))
			return true;
	}
	return false;
}

unsigned net_myself_count(void)
{
	return net.n_myself;
}

int net_myself_register(net_myself_fn *fn)
{
	if (net.n_myself == MYSELF_FNS_MAX)
		return -ENOSPC;
	net.myself[net.n_myself++] = fn;
	return 0;
}

int net_alias_add(enum sip_proto proto, struct str host, uint16_t port)
{
	struct alias *a;
	int err;

	for (unsigned i = 0; i < net.n_aliases; i++) {
		if (net.alias[i].proto == proto && net.alias[i].port == port &&
		    str_ieq(net.alias[i].host, host)) {
			net.alias[i].refs++;
			return 0;
		}
	}
	if (net.n_aliases == ALIASES_MAX)
		return -ENOSPC;
	err = name_add(host, port, proto);
	if (err < 0)
		return err;
	a = &net.alias[net.n_aliases];
	*a = (struct alias){ .proto = proto, .host = str_heap_dup(host), .port = port, .refs = 1 };
	if (!a->host.s)
		return -ENOMEM;
	net.n_aliases++;
	return 0;
}

void net_alias_del(enum sip_proto proto, struct str host, uint16_t port)
{
	for (unsigned i = 0; i < net.n_aliases; i++) {
		struct alias *a = &net.alias[i];

		if (a->proto != proto || a->port != port || !str_ieq(a->host, host))
			continue;
		if (--a->refs > 0)
			return;
		name_del(a->host, a->port, a->proto);
		free((char *)(uintptr_t)a->host.s);
		memmove(a, a + 1, (net.n_aliases - i - 1) * sizeof(*a));
		net.n_aliases--;
		return;
	}
}

unsigned net_alias_count(void)
{
	return net.n_aliases;
}

int net_alias_at(unsigned i, enum sip_proto *ret_proto, struct str *ret_host, uint16_t *ret_port)
{
	if (i >= net.n_aliases)
		return -ENOENT;
	*ret_proto = net.alias[i].proto;
	*ret_host = net.alias[i].host;
	*ret_port = net.alias[i].port;
	return 0;
}

/* ---- adding ---- */

/* "host" or "host:port" when the port is not the default one. */
static struct str host_port(struct str host, uint16_t port, enum sip_proto proto)
{
	char text[NAME_TEXT_MAX + 16];
	struct strbuf sb;

	strbuf_init_fixed(&sb, text, sizeof(text));
	strbuf_add(&sb, host);
	if (port != default_port(proto)) {
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

static bool is_link_local(const struct net_addr *a)
{
	return a->family == AF_INET6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
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
	struct net_listener *l = &net.at[net.n];
	char text[NET_ADDR_TEXT_MAX + 8];
	struct str shown;
	int n, err;

	if (is_link_local(ip) && net.link_local == NET_LINK_LOCAL_SKIP)
		return 0;
	if (net.n == NET_LISTENERS_MAX)
		return diag_set(reterr, 0, "more than %u listening sockets", NET_LISTENERS_MAX);
	memset(l, 0, sizeof(*l));
	if (is_link_local(ip) && net.link_local == NET_LINK_LOCAL_BIND) {
		l->scope = interface_of(ip);
		if (l->scope == 0 && !spec->is_virtual)
			return diag_set(reterr, 0, "no interface has the address %.*s", (int)net_addr_ip_text(ip, true, text), text);
	}
	l->index = (uint16_t)net.n;
	l->proto = proto;
	l->addr = *ip;
	l->addr.port = spec->port ? spec->port : default_port(proto);
	l->is_virtual = spec->is_virtual;
	l->listen_fd = -1;
	for (unsigned i = 0; i < net.n; i++) {
		char at[NET_ADDR_TEXT_MAX];

		if (net.at[i].proto != proto || !net_addr_equal(&net.at[i].addr, &l->addr))
			continue;
		(void)net_addr_text(&l->addr, at);
		return diag_set(reterr, 0, "%s:%s is listed twice", sip_proto_name(proto), at);
	}
	l->host = str_heap_dup(str_of(text, net_addr_ip_text(&l->addr, true, text)));
	if (spec->adv_host.n > NAME_TEXT_MAX || spec->name.n > NAME_TEXT_MAX)
		return diag_set(reterr, 0, "name longer than %u bytes", NAME_TEXT_MAX);
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
		char adv[NAME_TEXT_MAX + 32];

		n = snprintf(adv, sizeof(adv), "%s:%.*s:%u", sip_proto_name(proto), STR_FMT(l->adv_host),
		             l->adv_port ? l->adv_port : l->addr.port);
		l->adv_text = str_heap_dup(str_of(adv, (size_t)n));
	}
	if (!l->host.s || !l->via_sent_by.s || !l->sock_text.s || !l->adv_text.s ||
	    (spec->adv_host.n && !l->adv_host.s))
		return diag_err(reterr, -ENOMEM, 0, "no memory for a listening socket");
	/* The transport is not compared for sockets: a URI leads here whatever it says about that.
	 */
	err = name_add(l->host, l->addr.port, SIP_PROTO_NONE);
	if (err == 0 && l->adv_host.n)
		err =
		    name_add(l->adv_host, l->adv_port ? l->adv_port : l->addr.port, SIP_PROTO_NONE);
	if (err < 0)
		return diag_err(reterr, err, 0, "\"%.*s\" cannot be a host name", STR_FMT(shown));
	net.n++;
	return 0;
}

static int add_protos(const struct net_listen_spec *spec, const struct net_addr *ip,
                      struct diag *reterr)
{
	int err;

	if (spec->proto != SIP_PROTO_NONE)
		return add_one(spec, spec->proto, ip, reterr);
	err = add_one(spec, SIP_PROTO_UDP, ip, reterr);
	if (err == 0 && !net.no_tcp)
		err = add_one(spec, SIP_PROTO_TCP, ip, reterr);
	return err;
}

/* All addresses of an interface; name n 0: of all interfaces but the loopback. IPv4 only, as
 * auto_bind_ipv6=no says. Returns how many were added. */
/* Is it an address that an interface stands for? */
static bool is_wanted(const struct sockaddr *sa)
{
	const struct in6_addr *v6;

	if (!sa || (sa->sa_family != AF_INET && (sa->sa_family != AF_INET6 || !net.auto_ipv6)))
		return false;
	v6 = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	return sa->sa_family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(v6) || net.link_local == NET_LINK_LOCAL_BIND;
}

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
	char name[NAME_TEXT_MAX + 1];
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		                  .ai_socktype = SOCK_DGRAM,
		                  .ai_flags = AI_CANONNAME },
			*list;
	unsigned before = net.n;
	struct net_addr a;
	int err;

	if (spec->host.n > NAME_TEXT_MAX || memchr(spec->host.s, 0, spec->host.n))
		return diag_set(reterr, 0, "host name longer than %u bytes", NAME_TEXT_MAX);
	memcpy(name, spec->host.s, spec->host.n);
	name[spec->host.n] = 0;
	err = getaddrinfo(name, NULL, &hints, &list);
	if (err != 0)
		return diag_set(reterr, 0, "cannot resolve \"%s\": %s", name, gai_strerror(err));
	net_addr_from_sockaddr(list->ai_addr, &a);
	err = a.family ? 0 : diag_set(reterr, 0, "\"%s\" has no internet address", name);
	if (err == 0)
		err = add_protos(spec, &a, reterr);
	if (err < 0 || net.n == before) /* or a link-local address that is skipped */
		goto out;
	if (err == 0)
		err = net_alias_add(SIP_PROTO_NONE, spec->host, net.at[net.n - 1].addr.port);
	if (err == 0 && list->ai_canonname &&
	    net_alias_add(SIP_PROTO_NONE, str_lit(list->ai_canonname),
	                  net.at[net.n - 1].addr.port) < 0)
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

void net_link_local_set(int how)
{
	net.link_local = how;
}

void net_tcp_disable(void)
{
	net.no_tcp = true;
}

/* ---- finding ---- */

static bool usable(const struct net_listener *l)
{
	return !(net.no_tcp && is_stream(l->proto));
}

unsigned net_listener_count(void)
{
	return net.n;
}

const struct net_listener *net_listener_at(unsigned index)
{
	return index < net.n ? &net.at[index] : NULL;
}

const struct net_listener *net_listener_named(struct str name)
{
	for (unsigned i = 0; name.n && i < net.n; i++) {
		if (str_ieq(net.at[i].name, name))
			return &net.at[i];
	}
	return NULL;
}

static const struct net_listener *find_advertised(enum sip_proto proto, struct str host, uint16_t port)
{
	for (unsigned i = 0; i < net.n; i++) {
		const struct net_listener *l = &net.at[i];
		uint16_t want = port ? port : default_port(proto ? proto : l->proto);

		if (l->adv_host.n && (proto == SIP_PROTO_NONE || l->proto == proto) && str_ieq(l->adv_host, host) &&
		    (l->adv_port ? l->adv_port : l->addr.port) == want && usable(l))
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
	for (unsigned i = 0; i < net.n; i++) {
		const struct net_listener *l = &net.at[i];
		uint16_t want = port ? (uint16_t)port : default_port(proto ? proto : l->proto);

		if ((proto == SIP_PROTO_NONE || l->proto == proto) && l->addr.port == want &&
		    net_addr_ip_equal(&l->addr, &a) && usable(l))
			return l;
	}
	return find_advertised(proto, text, (uint16_t)port);
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

void net_auto_ipv6_enable(void)
{
	net.auto_ipv6 = true;
}

void net_mhomed_enable(void)
{
	net.mhomed = true;
}

bool net_mhomed(void)
{
	return net.mhomed;
}

const struct net_listener *net_listener_for(enum sip_proto proto, const struct net_addr *to,
                                            uint16_t prefer)
{
	const struct net_listener *want = prefer < net.n ? &net.at[prefer] : NULL, *best = NULL;
	unsigned best_points = 0;
	struct net_addr source = { 0 };

	if (want && want->proto == proto && want->addr.family == to->family && usable(want))
		return want;
	if (net.mhomed && !want && net.n > 1 && route_source(to, &source) < 0)
		source.family = 0; /* no route: as without */
	for (unsigned i = 0; i < net.n; i++) {
		const struct net_listener *l = &net.at[i];
		unsigned points = 1;

		if (l->proto != proto || l->addr.family != to->family || !usable(l))
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

/* ---- opening ---- */

socklen_t net_listener_sockaddr(const struct net_listener *l, const struct net_addr *addr, struct sockaddr_storage *ret_sa)
{
	socklen_t n = net_addr_to_sockaddr(addr, ret_sa);

	if (is_link_local(addr))
		((struct sockaddr_in6 *)(void *)ret_sa)->sin6_scope_id = l->scope;
	return n;
}

enum sock_role { SOCK_PROBE, SOCK_SERVE };

static int open_socket(const struct net_listener *l, const struct net_open_opts *opts,
                       enum sock_role role, int *ret_fd)
{
	bool v6 = l->addr.family == AF_INET6, stream = is_stream(l->proto);
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
	if (is_stream(l->proto))
		l->listen_fd = l->udp_fds[0];
	else if (opts->n_workers > 1 && !opts->steer_by_flow)
		err = steer_at_random(l->udp_fds[0], opts->n_workers);
	return err;
}

int net_listeners_open(const struct net_open_opts *opts, struct diag *reterr)
{
	if (opts->n_workers == 0)
		return diag_err(reterr, -EINVAL, 0, "no workers to listen for");
	net.no_tcp |= opts->no_tcp;
	for (unsigned i = 0; i < net.n; i++) {
		int err = usable(&net.at[i]) ? open_listener(&net.at[i], opts) : 0;

		if (err < 0) {
			net_listeners_close();
			return diag_err(reterr, err, 0, "cannot listen on %.*s: %s",
			                STR_FMT(net.at[i].sock_text), strerror(-err));
		}
	}
	net_handover_end();
	return 0;
}

void net_listeners_close(void)
{
	for (unsigned i = 0; i < net.n; i++) {
		struct net_listener *l = &net.at[i];

		while (l->n_fds > 0)
			(void)close(l->udp_fds[--l->n_fds]);
		free(l->udp_fds);
		l->udp_fds = NULL;
		l->listen_fd = -1;
	}
}
