/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names that are "myself", in a hash table by host, and the aliases among them in the order they were given. Filled
 * while the script is loaded, before the fork: every process has its own copy and nobody needs a lock. A name counts
 * who gave it, so that a reload that takes one alias back leaves the socket of the same name.
 */
#include "core/net/myself.h"

#include <errno.h>
#include <stdlib.h>

#include "core/net/addr.h"

#define ALIASES_MAX 4096u
#define CLAIMS_MAX 16u
#define NAME_BUCKETS 256u

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
	struct alias alias[ALIASES_MAX];
	unsigned n_aliases;
	struct myname *names[NAME_BUCKETS];
	net_myself_fn *claims[CLAIMS_MAX];
	unsigned n_claims;
} my;

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
static size_t name_normal(struct str host, char out[NET_NAME_MAX + 1])
{
	size_t n;

	if (host.n >= 2 && host.s[0] == '[' && host.s[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 2);
	if (host.n > 1 && host.s[host.n - 1] == '.')
		host.n--;
	if (host.n == 0 || host.n > NET_NAME_MAX)
		return 0;
	str_lower(host, out);
	n = host.n;
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

int net_myself_add(struct str host, uint16_t port, enum sip_proto proto)
{
	char text[NET_NAME_MAX + 1];
	size_t n = name_normal(host, text);
	struct myname *m;
	unsigned b;

	if (n == 0)
		return -EBADMSG;
	b = name_bucket(text, n);
	for (m = my.names[b]; m; m = m->next) {
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
	m->next = my.names[b];
	my.names[b] = m;
	return 0;
}

static void name_del(struct str host, uint16_t port, enum sip_proto proto)
{
	char text[NET_NAME_MAX + 1];
	size_t n = name_normal(host, text);
	struct myname **at = n ? &my.names[name_bucket(text, n)] : NULL;

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
	char text[NET_NAME_MAX + 1];
	size_t n = name_normal(host, text);

	if (n == 0)
		return false;
	for (const struct myname *m = my.names[name_bucket(text, n)]; m; m = m->next) {
		if (m->host.n != n || memcmp(m->host.s, text, n) != 0)
			continue;
		if (port && m->port && m->port != port)
			continue;
		if (proto && m->proto && m->proto != proto)
			continue;
		return true;
	}
	for (unsigned i = 0; i < my.n_claims; i++) {
		if (my.claims[i](host, port, proto))
			return true;
	}
	return false;
}

unsigned net_myself_count(void)
{
	return my.n_claims;
}

int net_myself_register(net_myself_fn *fn)
{
	if (my.n_claims == CLAIMS_MAX)
		return -ENOSPC;
	my.claims[my.n_claims++] = fn;
	return 0;
}

int net_alias_add(enum sip_proto proto, struct str host, uint16_t port)
{
	struct alias *a;
	int err;

	for (unsigned i = 0; i < my.n_aliases; i++) {
		if (my.alias[i].proto == proto && my.alias[i].port == port &&
		    str_ieq(my.alias[i].host, host)) {
			my.alias[i].refs++;
			return 0;
		}
	}
	if (my.n_aliases == ALIASES_MAX)
		return -ENOSPC;
	err = net_myself_add(host, port, proto);
	if (err < 0)
		return err;
	a = &my.alias[my.n_aliases];
	*a = (struct alias){ .proto = proto, .host = str_heap_dup(host), .port = port, .refs = 1 };
	if (!a->host.s)
		return -ENOMEM;
	my.n_aliases++;
	return 0;
}

void net_alias_del(enum sip_proto proto, struct str host, uint16_t port)
{
	for (unsigned i = 0; i < my.n_aliases; i++) {
		struct alias *a = &my.alias[i];

		if (a->proto != proto || a->port != port || !str_ieq(a->host, host))
			continue;
		if (--a->refs > 0)
			return;
		name_del(a->host, a->port, a->proto);
		free((char *)(uintptr_t)a->host.s);
		memmove(a, a + 1, (my.n_aliases - i - 1) * sizeof(*a));
		my.n_aliases--;
		return;
	}
}

unsigned net_alias_count(void)
{
	return my.n_aliases;
}

int net_alias_at(unsigned i, enum sip_proto *ret_proto, struct str *ret_host, uint16_t *ret_port)
{
	if (i >= my.n_aliases)
		return -ENOENT;
	*ret_proto = my.alias[i].proto;
	*ret_host = my.alias[i].host;
	*ret_port = my.alias[i].port;
	return 0;
}
