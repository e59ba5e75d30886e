/* SPDX-License-Identifier: BSD-2-Clause */
/* The table that listener.c (finding), listener_add.c and listener_open.c share. Nobody else includes it. */
#ifndef RF_NET_LISTENER_PRIV_H
#define RF_NET_LISTENER_PRIV_H

#include "core/net/listener.h"

extern struct net_table {
	struct net_listener at[NET_LISTENERS_MAX];
	unsigned n;
	bool no_tcp, mhomed, auto_ipv6;
	int link_local; /* enum net_link_local */
} net_table;

static inline bool net_is_stream(enum sip_proto proto)
{
	return proto != SIP_PROTO_UDP;
}

/* Not one of the streams that disable_tcp leaves closed. */
static inline bool net_listener_usable(const struct net_listener *l)
{
	return !(net_table.no_tcp && net_is_stream(l->proto));
}

#endif
