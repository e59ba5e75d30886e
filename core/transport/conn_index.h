/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a connection that all processes see: who owns it, by id and by peer address. Private
 * to transport.
 *
 * An entry by id holds the facts; entries by peer (the address itself, and one per alias) lead to
 * an id. Each change is the insertion or removal of one node, so a crash between two of them leaves
 * at worst an entry of the dead owner, and the recovery step drops all of those.
 */
#ifndef RF_TRANSPORT_CONN_INDEX_H
#define RF_TRANSPORT_CONN_INDEX_H

#include "core/transport/conn.h"

#define CONN_ALIASES_MAX 4u

MUST_CHECK int conn_index_init(void);
/* Gives the connection an id and makes it findable for others; owner: the calling slot.
 * Returns 0; -ENOSPC; -EMLINK over the limit of all; -EUSERS over the limit of this peer's address
 * (0: none). */
MUST_CHECK int conn_index_add(struct conn_info *info, unsigned max, unsigned per_ip_limit);
/* As conn_find_peer(), but only one that belongs to this listening socket: for tcp_connection_match. */
MUST_CHECK int conn_index_find(enum sip_proto proto, const struct net_addr *peer, uint16_t listener,
                               struct conn_info *ret_info);
void conn_index_remove(uint32_t id);
/* How many connections of all workers are counted for the address of peer (its port does not matter). */
uint32_t conn_index_from(const struct net_addr *peer);
void conn_index_state(uint32_t id, enum conn_state state, const struct net_addr *local);
void conn_index_expires(uint32_t id, uint64_t expires_ms);

#endif
