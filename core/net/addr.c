/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network addresses as values: 20 bytes, compared byte by byte, so an IPv4 address keeps its twelve
 * unused bytes zero; both ways in, from text and from a socket, see to that. A socket's IPv4-mapped
 * IPv6 address is taken as the IPv4 address that it is.
 */
#include "core/net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "core/base/num.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static size_t ip_bytes(const struct net_addr *a)
{
	return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

/* What inet_pton(3) takes: four numbers up to 255, no leading zeros. On the path of every message. */
static bool ipv4_parse(struct str text, uint8_t ret_ip[4])
{
	const char *p = text.s, *end;
	uint8_t ip[4];

	if (text.n == 0)
		return false;
	end = p + text.n;
	for (unsigned i = 0;; p++) {
		const char *first = p;
		unsigned v = 0;

		for (; p < end && p - first < 3 && (unsigned char)(*p - '0') <= 9; p++)
			v = v * 10 + (unsigned)(*p - '0');
		if (p == first || v > 255 || (*first == '0' && p - first > 1))
			return false;
		ip[i++] = (uint8_t)v;
		if (i == 4)
			break;
		if (p == end || *p != '.')
			return false;
	}
	if (p != end)
		return false;
	memcpy(ret_ip, ip, sizeof(ip));
	return true;
}

int net_addr_parse(struct str text, uint16_t port, struct net_addr *ret_addr)
{
	struct net_addr a = { .port = port };
	char z[INET6_ADDRSTRLEN + 1];
	bool bracketed = false;

	if (text.n >= 2 && text.s[0] == '[' && text.s[text.n - 1] == ']') {
		text = str_sub(text, 1, text.n - 2);
		bracketed = true;
	}
	if (!bracketed && ipv4_parse(text, a.ip)) {
		a.family = AF_INET;
		*ret_addr = a;
		return 0;
	}
	if (text.n == 0 || text.n >= sizeof(z) || memchr(text.s, 0, text.n))
		return -EBADMSG;
	memcpy(z, text.s, text.n);
	z[text.n] = 0;
	if (inet_pton(AF_INET6, z, a.ip) != 1)
		return -EBADMSG;
	a.family = AF_INET6;
	*ret_addr = a;
	return 0;
}

void net_addr_unmap(struct net_addr *addr)
{
	uint8_t ip[4];

	if (addr->family != AF_INET6 || memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return;
	memcpy(ip, addr->ip + sizeof(mapped_prefix), sizeof(ip));
	memset(addr->ip, 0, sizeof(addr->ip));
	memcpy(addr->ip, ip, sizeof(ip));
	addr->family = AF_INET;
}

void net_addr_mapped(const struct net_addr *a, char out[16])
{
	if (a->family != AF_INET) {
		memcpy(out, a->ip, 16);
		return;
	}
	memcpy(out, mapped_prefix, sizeof(mapped_prefix));
	memcpy(out + sizeof(mapped_prefix), a->ip, 4);
}

void net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *ret_addr)
{
	struct net_addr a = { 0 };

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		memcpy(a.ip, &in->sin_addr, 4);
		a.port = ntohs(in->sin_port);
		a.family = AF_INET;
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		a.port = ntohs(in6->sin6_port);
		memcpy(a.ip, &in6->sin6_addr, 16);
		a.family = AF_INET6;
		net_addr_unmap(&a);
	}
	*ret_addr = a;
}

socklen_t net_addr_to_sockaddr(const struct net_addr *a, struct sockaddr_storage *ret_sa)
{
	if (a->family == AF_INET) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };

		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(ret_sa, &in, sizeof(in));
		return sizeof(in);
	}
	if (a->family == AF_INET6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

		memcpy(&in6.sin6_addr, a->ip, 16);
		memcpy(ret_sa, &in6, sizeof(in6));
		return sizeof(in6);
	}
	memset(ret_sa, 0, sizeof(*ret_sa));
	return 0;
}

static char hex_style = 'c';

void net_addr_hex_style(char style)
{
	hex_style = style;
}

/* Eight groups without leading zeros: 39 bytes at most. */
static size_t all_groups(const struct net_addr *a, char *out)
{
	const char *hex = hex_style == 'A' ? "0123456789ABCDEF" : "0123456789abcdef";
	size_t n = 0;

	for (unsigned i = 0; i < 16; i += 2) {
		unsigned group = (unsigned)a->ip[i] << 8 | a->ip[i + 1];

		if (i > 0)
			out[n++] = ':';
		for (int shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0; shift >= 0; shift -= 4)
			out[n++] = hex[group >> shift & 15];
	}
	return n;
}

size_t net_addr_ip_text(const struct net_addr *a, bool brackets, char out[NET_ADDR_TEXT_MAX])
{
	size_t n = 0;

	out[0] = 0;
	if (a->family == AF_INET) {
		for (unsigned i = 0; i < 4; i++) { /* on the path of every message: no printf here */
			uint8_t v = a->ip[i];

			if (i)
				out[n++] = '.';
			if (v > 99)
				out[n++] = (char)('0' + v / 100);
			if (v > 9)
				out[n++] = (char)('0' + v / 10 % 10);
			out[n++] = (char)('0' + v % 10);
		}
		out[n] = 0;
		return n;
	}
	if (a->family != AF_INET6)
		return 0;
	if (brackets)
		out[n++] = '[';
	if (UNLIKELY(hex_style != 'c'))
		n += all_groups(a, out + n);
	else if (!inet_ntop(AF_INET6, a->ip, out + n, INET6_ADDRSTRLEN))
		return 0;
	else
		n += strlen(out + n);
	if (brackets)
		out[n++] = ']';
	out[n] = 0;
	return n;
}

size_t net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT_MAX])
{
	size_t n = net_addr_ip_text(a, true, out);

	if (n == 0)
		return 0;
	out[n++] = ':';
	n += num_dec(a->port, out + n);
	out[n] = 0;
	return n;
}

bool net_addr_ip_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->port == b->port && net_addr_ip_equal(a, b);
}

bool net_addr_is_any(const struct net_addr *a)
{
	static const uint8_t zero[16];

	return a->family != 0 && memcmp(a->ip, zero, sizeof(zero)) == 0;
}

bool net_addr_is_loopback(const struct net_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->ip[0] == 127;
	return a->family == AF_INET6 && memcmp(a->ip, one, sizeof(one)) == 0;
}

bool net_addr_is_link_local(const struct net_addr *a)
{
	return a->family == AF_INET6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool net_addr_in(const struct net_addr *a, const struct net_addr *net, unsigned bits)
{
	size_t whole = bits / 8;
	unsigned rest = bits % 8;
	uint8_t mask;

	if (a->family != net->family || bits > ip_bytes(a) * 8)
		return false;
	if (memcmp(a->ip, net->ip, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	mask = (uint8_t)(0xffu << (8 - rest));
	return ((a->ip[whole] ^ net->ip[whole]) & mask) == 0;
}
