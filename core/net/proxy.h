/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PROXY protocol, versions 1 and 2 (haproxy.org, "The PROXY protocol", 2020): what a load balancer says in front of a connection, or
 * of a datagram, about the client that it speaks for. And the Simple Proxy Protocol for UDP of Cloudflare Spectrum.
 */
#ifndef RF_NET_PROXY_H
#define RF_NET_PROXY_H

#include "core/base/diag.h"
#include "core/net/addr.h"

#define NET_PROXY_MAX_BYTES 1024u /* longer headers are refused */

enum net_proxy_kind { NET_PROXY_STREAM, NET_PROXY_DATAGRAM };

struct net_proxy {
	bool known;              /* false: LOCAL, UNKNOWN or no addresses: the connection's own are the ones */
	struct net_addr src, dst;
	size_t bytes;            /* of the header; in front of everything else */
};

/*
 * Returns 0; -ENODATA: it is right so far and *ret_need bytes are needed to go on, or more; -EBADMSG with the reason: no header, or
 * one that this protocol does not allow. A datagram has a whole header of version 2 or none. Reads never beyond the header.
 */
MUST_CHECK int net_proxy_parse(enum net_proxy_kind kind, struct str bytes, struct net_proxy *ret, size_t *ret_need, struct diag *reterr);

/* ---- datagrams: udp_accept_proxy ---- */

#define NET_PROXY_SIMPLE_BYTES 38u

/* The headers that a datagram may have; values of the parameter. */
enum net_proxy_datagram { NET_PROXY_V2 = 1, NET_PROXY_SIMPLE = 2 /* Simple Proxy Protocol for UDP, Cloudflare Spectrum */ };

/*
 * Looks for a header of one of these kinds (bits) at the front of a datagram. IPv4 addresses written as IPv6 ones come as IPv4.
 * Returns the kind; 0: there is none; -EBADMSG with the reason: it begins like one.
 */
MUST_CHECK int net_proxy_datagram(unsigned kinds, struct str bytes, struct net_proxy *ret, struct diag *reterr);
/* The simple header for the way back: both addresses as net_proxy_datagram() gave them. */
void net_proxy_simple_build(const struct net_addr *client, const struct net_addr *dst, char out[NET_PROXY_SIMPLE_BYTES]);

#endif
