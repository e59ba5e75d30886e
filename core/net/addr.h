/* SPDX-License-Identifier: BSD-2-Clause */
/* A network address of 20 bytes, small enough to be stored by the million. */
#ifndef RF_NET_ADDR_H
#define RF_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/base/str.h"

struct net_addr {
	uint8_t ip[16];   /* IPv4 in the first 4 bytes; rest 0 */
	uint16_t port;    /* host order */
	uint8_t family;   /* AF_INET, AF_INET6, or 0: none */
	uint8_t pad;
};

#define NET_ADDR_TEXT_MAX 64

/* IPv4 or IPv6 text, brackets optional, no port. Returns 0 or -EBADMSG. */
MUST_CHECK int net_addr_parse(struct str text, uint16_t port, struct net_addr *ret_addr);
/* An IPv4 address that is written as IPv6 (::ffff:192.0.2.1) becomes what it is; and the 16 bytes that either family has as IPv6. */
void net_addr_unmap(struct net_addr *addr);
void net_addr_mapped(const struct net_addr *a, char out[16]);
void net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *ret_addr);
socklen_t net_addr_to_sockaddr(const struct net_addr *a, struct sockaddr_storage *ret_sa);
/* How IPv6 addresses are written (ipv6_hex_style): 'c' as RFC 5952 says, 'a' and 'A' with all eight groups, in lower and upper case. Start-up. */
void net_addr_hex_style(char style);
/* "1.2.3.4" / "2001:db8::1"; with brackets for IPv6 when asked. Returns the length. */
size_t net_addr_ip_text(const struct net_addr *a, bool brackets, char out[NET_ADDR_TEXT_MAX]);
/* "1.2.3.4:5060" / "[2001:db8::1]:5060" */
size_t net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT_MAX]);
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);    /* ip and port */
bool net_addr_ip_equal(const struct net_addr *a, const struct net_addr *b); /* ip alone */
bool net_addr_is_any(const struct net_addr *a);
bool net_addr_is_loopback(const struct net_addr *a);
bool net_addr_is_link_local(const struct net_addr *a); /* fe80::/10 */
/* a inside net/bits. */
bool net_addr_in(const struct net_addr *a, const struct net_addr *net, unsigned bits);

#endif
