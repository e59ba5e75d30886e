/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams. A connection belongs to the worker that accepted or opened it: descriptor, partial message, output
 * queue. Shared memory holds a small index: id and peer address -> owner, so that others can hand bytes over by ring.
 */
#ifndef RF_TRANSPORT_CONN_H
#define RF_TRANSPORT_CONN_H

#include "core/event/loop.h"
#include "core/net/listener.h"

struct conn_conf { /* the tcp_* parameters */
	unsigned max_connections, per_ip_limit, lifetime_s, connect_timeout_s, send_timeout_s, conn_wq_max, wq_max, rd_buf_size, msg_read_timeout_s;
	bool accept_aliases, crlf_ping, no_connect, accept_no_cl, reuse_port;
	bool spare_loopback;       /* per_ip_limit does not count for peers on this machine */
	bool accept_unique;        /* a second connection from the same address and port is refused */
	bool match_local;          /* a connection found by its peer must also have the local address of the socket to send from */
	bool accept_haproxy;       /* what connects says first who it speaks for: core/net/proxy.h */
	unsigned wait_data_ms;     /* how long for that */
	struct net_addr source[2]; /* of connections we open, IPv4 and IPv6; family 0: the socket's address */
	struct net_stream_opts stream; /* for connections we open; net_listeners_open() gets the same */
};

enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSING };

struct conn_info { /* for core.tcp_list and $conid */
	uint32_t id;
	enum sip_proto proto;
	enum conn_state state;
	uint16_t listener;
	unsigned owner_slot;
	struct net_addr peer, local;
	uint64_t expires_ms;
};

/* Context: supervisor, before forking. */
MUST_CHECK int conn_init(const struct conn_conf *conf);
/* Changed settings, in one process: for what is done from now on. */
void conn_reconf(const struct conn_conf *conf);
MUST_CHECK int conn_worker_init(struct loop *loop);
/* Takes an accepted descriptor (closed on failure). */
void conn_accepted(int fd, uint16_t listener, const struct net_addr *peer);
/* Lives in any worker? Returns 0 or -ENOENT. */
MUST_CHECK int conn_find(uint32_t id, struct conn_info *ret_info);
MUST_CHECK int conn_find_peer(enum sip_proto proto, const struct net_addr *peer, struct conn_info *ret_info);
/* force_tcp_alias(), tcp_accept_aliases: peer ip with this port leads to the connection too, and no more to one that had it as an alias. Returns 0,
 * -ENOENT, -EEXIST (the address of another connection itself), -ENOSPC. */
MUST_CHECK int conn_alias_add(uint32_t id, uint16_t port);
void conn_close(uint32_t id);
/* Walks the index. Returns 0 to go on. */
typedef int conn_walk_fn(const struct conn_info *info, void *arg);
int conn_walk(conn_walk_fn *fn, void *arg);
uint32_t conn_count(void);
int64_t conn_queued_bytes(void);
const struct conn_conf *conn_conf(void);

#endif
