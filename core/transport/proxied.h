/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp_accept_proxy: clients behind proxies that tell in front of each datagram for whom they speak. The way back to each client is kept in
 * shared memory, so that whatever any process sends to a client later leaves to the proxy that its last datagram came from.
 */
#ifndef RF_TRANSPORT_PROXIED_H
#define RF_TRANSPORT_PROXIED_H

#include "core/net/proxy.h"
#include "core/transport/ctx.h"

struct proxied_way {
	struct net_addr client, proxy; /* proxy: who sent the datagram, and gets what is for the client */
	struct net_addr dst;           /* that the header named: the proxy's own, towards the client */
	uint64_t seen_ms;              /* monotonic: the last datagram, a second more or less */
	uint16_t listener;             /* of ours */
	uint8_t kind;                  /* one of enum net_proxy_datagram */
};

/* Which headers are taken, bits of enum net_proxy_datagram; 0: none, and nothing else here is called. Written before forking. */
extern unsigned proxied_kinds;

/* kinds: as above, not 0. Returns 0 or -ENOSPC. Context: start-up, with shared memory. */
MUST_CHECK int proxied_init(unsigned kinds);
/*
 * A datagram with its sender in info. Takes a header off its front, puts the client into info in the place of the sender, and remembers the
 * way back. Without a header it stays as it is, and a way back that was there is forgotten. False: to be thrown away (a bad header, or no
 * room for the way back), which was counted and, the former, logged. *ret_behind: whether it came for a client. Context: worker.
 */
bool proxied_take(struct str *bytes, struct rx_info *info, bool *ret_behind);
/* The way to that client, over that listener when it came by several. False: it is not behind a proxy. Any process. */
bool proxied_find(const struct net_addr *client, uint16_t listener, struct proxied_way *ret);
/* Forgets the ways that were not used for that long; 0: all. Returns how many. Any process. */
unsigned proxied_forget(uint64_t idle_ms);
/* Copies the ways of one bucket, max at most. Returns how many, -ENOENT behind the last bucket. Any process. */
MUST_CHECK int proxied_bucket(uint32_t bucket, struct proxied_way *ret, unsigned max);
uint64_t proxied_count(void);
uint32_t proxied_n_buckets(void);
#define PROXIED_LIFE_MS 7200000u

#endif
