/* SPDX-License-Identifier: BSD-2-Clause */
/* What /etc/hosts says, as it was at start. Read before the fork; then every process asks its own copy. */
#ifndef RF_NET_HOSTS_H
#define RF_NET_HOSTS_H

#include "core/net/addr.h"
#include "core/net/dns.h"

/* Names beyond the first 2048 are left to the name servers; so is everything when there is no such file. Returns 0 or -ENOMEM. */
MUST_CHECK int net_hosts_read(void);
/* The addresses of a name (lower case, no final dot) as records of type A or AAAA. -ENOENT: not in the file, or another type;
 * ret_set may be half written then. */
MUST_CHECK int net_hosts_find(enum dns_type type, struct str name, struct dns_set *ret_set);
/* Does it give that address this name? Case does not count. */
bool net_hosts_has(const struct net_addr *addr, struct str name);

#endif
