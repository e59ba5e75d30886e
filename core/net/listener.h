/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets that this server listens on. The table is filled by the script at load and is the same in every
 * process; entries are named by index. The supervisor opens the sockets.
 */
#ifndef RF_NET_LISTENER_H
#define RF_NET_LISTENER_H

#include "core/base/diag.h"
#include "core/net/addr.h"
#include "core/net/sockopt.h"
#include "core/sip/uri.h"

#define NET_LISTENERS_MAX 256u
#define NET_LISTENER_NONE 0xffffu

struct net_listener {
	uint16_t index;
	enum sip_proto proto;
	struct net_addr addr;
	struct str host;           /* text of addr, IPv6 in brackets: as it goes into Via and Record-Route */
	struct str name;           /* n 0: none */
	struct str adv_host;       /* n 0: none */
	uint16_t adv_port;         /* 0: own port */
	struct str via_sent_by;    /* "host[:port]" as printed in Via: advertised when set; port left out when default */
	struct str uri_hostport;   /* "host[:port]" for Record-Route, likewise */
	struct str sock_text;      /* "udp:1.2.3.4:5060" */
	struct str adv_text;       /* the same with the advertised address; sock_text when there is none */
	bool is_virtual;
	unsigned scope;            /* index of its interface, of a link-local address; 0: none */
	int *udp_fds;              /* one per worker (SO_REUSEPORT); NULL for streams */
	int listen_fd;             /* streams: one per worker too, in udp_fds; -1 */
	unsigned n_fds;
};

/* One `listen=` value with its options ("udp:1.2.3.4:5060", names and interfaces are resolved here: start-up only).
 * May add several. Returns 0 or -EBADMSG with the reason. */
struct net_listen_spec {
	enum sip_proto proto; /* SIP_PROTO_NONE: each that is enabled */
	struct str host;      /* address, interface or host name; n 0: every address */
	uint16_t port;        /* 0: default */
	struct str adv_host;
	uint16_t adv_port;
	struct str name;
	bool is_virtual;
};
MUST_CHECK int net_listener_add(const struct net_listen_spec *spec, struct diag *reterr);
/* disable_tcp: stream sockets are neither added by entries without a protocol nor opened nor found. */
void net_tcp_disable(void);
/* mhomed: where nothing is preferred, the socket whose address the kernel would send from. */
void net_mhomed_enable(void);
/* Interfaces stand for their IPv6 addresses, too (not the link-local ones). Before net_listener_add(). */
void net_auto_ipv6_enable(void);
/* What link-local IPv6 addresses get; 0: they are bound as they stand, which the system refuses. Before net_listener_add(). */
enum net_link_local { NET_LINK_LOCAL_BIND = 1 /* with the interface that has the address */, NET_LINK_LOCAL_SKIP = 2 };
void net_link_local_set(int how);
bool net_mhomed(void);
unsigned net_listener_count(void);
const struct net_listener *net_listener_at(unsigned index); /* NULL out of range */
/* "[proto:]ip[:port]", or the same with an advertised address; NULL when nothing listens there. */
const struct net_listener *net_listener_find(struct str text);
const struct net_listener *net_listener_named(struct str name);
/* The one to send from to this destination: same protocol and family; `prefer` (index or NET_LISTENER_NONE) when it fits. */
const struct net_listener *net_listener_for(enum sip_proto proto, const struct net_addr *to, uint16_t prefer);

/* What bind(2) wants for a socket of that listener. Returns the length. */
socklen_t net_listener_sockaddr(const struct net_listener *l, const struct net_addr *addr, struct sockaddr_storage *ret_sa);

/* Opens every socket (SO_REUSEPORT, one per worker, buffer sizes, random steering by classic BPF). Returns 0, or a negative
 * errno with "what, where, why" in reterr and nothing left open. Context: supervisor. */
struct net_open_opts {
	unsigned n_workers;
	int rx_bytes, tx_bytes;  /* socket buffers */
	bool free_bind, no_tcp;
	int tos;                 /* -1: leave */
	int pmtu_discovery;      /* 0: datagrams may be cut on their way, 1: never, 2: as the system does */
	int backlog;
	bool steer_by_flow;      /* the kernel's hash of both addresses picks the socket, not chance */
	struct net_stream_opts stream;
};
MUST_CHECK int net_listeners_open(const struct net_open_opts *opts, struct diag *reterr);
void net_listeners_close(void);

#endif
