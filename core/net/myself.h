/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names that count as "myself": of sockets, their advertised names, aliases, and what modules claim. Given while the
 * script is loaded; what a reload adds or takes back, each process does for itself.
 */
#ifndef RF_NET_MYSELF_H
#define RF_NET_MYSELF_H

#include "core/base/str.h"
#include "core/sip/uri.h"

#define NET_NAME_MAX 255u /* bytes of a host name */

/* A name of one of our sockets, or an alias (net_alias_add()): counted each time. port 0: any; SIP_PROTO_NONE: any.
 * Returns 0; -EBADMSG when it cannot be a host name; -ENOMEM. */
MUST_CHECK int net_myself_add(struct str host, uint16_t port, enum sip_proto proto);

/* alias= / domain=: [proto:]host[:port]; 0 = any port, SIP_PROTO_NONE = any protocol. */
MUST_CHECK int net_alias_add(enum sip_proto proto, struct str host, uint16_t port);
/* Takes back one net_alias_add(). Context: any process, for itself. */
void net_alias_del(enum sip_proto proto, struct str host, uint16_t port);
unsigned net_alias_count(void);
MUST_CHECK int net_alias_at(unsigned i, enum sip_proto *ret_proto, struct str *ret_host, uint16_t *ret_port);
/* "myself": sockets, their advertised names, aliases, then what modules claim. port 0: any. proto NONE: any. */
bool net_is_myself(struct str host, uint16_t port, enum sip_proto proto);
typedef bool net_myself_fn(struct str host, uint16_t port, enum sip_proto proto);
MUST_CHECK int net_myself_register(net_myself_fn *fn);
unsigned net_myself_count(void);

#endif
