/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where does a SIP URI lead (RFC 3263)? Literal addresses and cached names are answered at once; all else goes
 * through c-ares (NAPTR, SRV, A, AAAA) without blocking. The cache is in shared memory.
 */
#ifndef RF_NET_RESOLVE_H
#define RF_NET_RESOLVE_H

#include "core/event/loop.h"
#include "core/net/addr.h"
#include "core/net/dns.h"
#include "core/sip/uri.h"

#define RESOLVE_TARGETS_MAX 16u

struct resolve_query {
	struct str host;
	uint16_t port;         /* 0: not given (then SRV may be asked) */
	enum sip_proto proto;  /* SIP_PROTO_NONE: not given (then NAPTR may be asked; default UDP, TLS for sips) */
	bool secure;           /* sips: */
};

struct resolve_target {
	struct net_addr addr;
	enum sip_proto proto;
};

struct resolve_answer {
	unsigned n;            /* in the order to be tried */
	struct resolve_target target[RESOLVE_TARGETS_MAX];
};

struct resolve_conf { /* core parameters, same meaning */
	int try_ipv6, try_naptr, udp_pref, tcp_pref, tls_pref, naptr_ignore_rfc, use_cache, srv_lb, cache_flags, negative_ttl, min_ttl, max_ttl, cache_mem_kb, retr_time, retr_no, servers_no, use_search_list, slow_query_ms;
	struct str servers;    /* "ip[:port],ip..." instead of resolv.conf; n 0: system */
	unsigned timeout_ms;   /* whole query; default 5000 */
};

/* Context: supervisor, before forking (the shared cache); then resolve_worker_init() in each worker. */
MUST_CHECK int resolve_init(const struct resolve_conf *conf);
/* Changed settings, in one process. Not seen: servers, servers_no, retr_time, retr_no; use_cache when there is none. */
void resolve_reconf(const struct resolve_conf *conf);
MUST_CHECK int resolve_worker_init(struct loop *loop);

/* err: 0, -ENOENT (no such name), -ETIMEDOUT, -EHOSTUNREACH. answer lives until return. */
typedef void resolve_done_fn(void *arg, int err, const struct resolve_answer *answer);
/* From literals, cache (and negative cache) only. Returns 0; -ENOENT when known not to exist; -EAGAIN when it must be asked. */
MUST_CHECK int resolve_now(const struct resolve_query *q, struct resolve_answer *ret_answer);
/* Asks; done is called later, never from within. Returns 0, -ENOMEM, -EBUSY when too many wait. */
MUST_CHECK int resolve_ask(const struct resolve_query *q, resolve_done_fn *done, void *arg);

/*
 * The records of one type for a name, as they are: from the cache, else asked. Used by commands and for reverse lookups; done is called
 * once, never from within, within the deadline of queries; set->err says what became of it. Errors as resolve_ask().
 */
typedef void resolve_set_fn(void *arg, const struct dns_set *set);
MUST_CHECK int resolve_set_ask(enum dns_type type, struct str name, resolve_set_fn *done, void *arg);
/* "4.3.2.1.in-addr.arpa", or the like under ip6.arpa: the name that PTR records of an address have. Returns its length. */
#define RESOLVE_REVERSE_MAX 80u
size_t resolve_reverse_name(const struct net_addr *addr, char out[RESOLVE_REVERSE_MAX]);

/* For RPC: bytes that the shared cache holds and may hold (0, 0: no cache); drop everything. */
void resolve_cache_mem(uint64_t *ret_used, uint64_t *ret_max);
void resolve_cache_flush(void);

#endif
