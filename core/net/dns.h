/* SPDX-License-Identifier: BSD-2-Clause */
/* DNS records as resolve.c uses them: out of an answer, into and out of the shared cache. For net, and for the commands that
 * show and change the cache. */
#ifndef RF_NET_DNS_H
#define RF_NET_DNS_H

#include <stdbool.h>

#include "core/base/str.h"
#include "core/event/loop.h"

#define DNS_RRS_MAX 16u
#define DNS_NAME_MAX 255u

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_AAAA = 28, DNS_SRV = 33, DNS_NAPTR = 35 };
enum dns_service {
	DNS_SIP_UDP = 1,
	DNS_SIP_TCP,
	DNS_SIPS_TCP
}; /* SIP+D2U SIP+D2T SIPS+D2T; others are left out */

struct dns_rr {
	uint8_t ip[16];  /* A: the first 4 */
	uint16_t order;  /* SRV: priority; NAPTR: order */
	uint16_t weight; /* SRV: weight; NAPTR: preference */
	uint16_t port;   /* SRV */
	uint8_t service; /* NAPTR: enum dns_service */
	uint8_t name_n;
	char name[DNS_NAME_MAX]; /* SRV target, NAPTR replacement, PTR; lower case, no final dot; "" is
	                            the root */
};

struct dns_set {
	int err; /* 0; -ENOENT: there is none; -EHOSTUNREACH, -ETIMEDOUT: could not be asked */
	uint32_t ttl_s;
	unsigned n;
	struct dns_rr rr[DNS_RRS_MAX];
};

/*
 * The records of a type for the name that the answer's question asks, aliases followed. More than
 * DNS_RRS_MAX are cut off. Returns 0 (n may be 0); -EBADMSG.
 */
MUST_CHECK int dns_answer_parse(const uint8_t *p, size_t n, enum dns_type type,
                                struct dns_set *ret_set);

/* A name as sets of records have it: lower case, no final dot. Returns its length; 0: no name can be that. */
size_t dns_name_lower(struct str in, char out[DNS_NAME_MAX]);

struct dns_cache_conf {
	uint32_t negative_ttl_s, min_ttl_s, max_ttl_s; /* max 0: no limit */
	uint64_t bytes_max;
};

/* Context: supervisor, before forking. */
MUST_CHECK int dns_cache_init(const struct dns_cache_conf *conf);
/* Changed limits, in one process. -ENOENT: there is no cache. */
MUST_CHECK int dns_cache_reconf(const struct dns_cache_conf *conf);
/* name: lower case. Returns 0, or -ENOENT when it must be asked. */
MUST_CHECK int dns_cache_get(enum dns_type type, struct str name, struct dns_set *ret_set);
/* -ENOENT: it was not there. */
MUST_CHECK int dns_cache_delete(enum dns_type type, struct str name);
bool dns_cache_exists(void);
/* From now on these are the records of that type and name, whatever DNS says, without an end. name (lower case) and set stay the caller's, for ever. -ENOSPC.
 * Context: before forking. */
MUST_CHECK int dns_cache_pin(enum dns_type type, struct str name, const struct dns_set *set);
struct dns_cache_item {
	enum dns_type type;
	char name[DNS_NAME_MAX + 1];
	uint32_t bytes;
	struct dns_set set;
};
/* Copies what a bucket holds and has not expired to ret, at most cap; returns the number, -ENOENT past the last bucket. */
int dns_cache_bucket(uint32_t bucket, struct dns_cache_item *ret, unsigned cap);
/* Nothing is kept when the lifetime is 0, or there is no room. */
void dns_cache_put(enum dns_type type, struct str name, const struct dns_set *set);

enum dns_stat { DNS_STAT_LOOKUPS, DNS_STAT_HITS, DNS_STAT_EVICTED /* before their end, to make room */, DNS_N_STATS };
int64_t dns_stat_read(enum dns_stat stat, bool reset);
/* An operator knows that no name server answers: then none is asked, and what the cache has counts beyond its lifetime. Of all processes. */
void dns_servers_set(bool up);
bool dns_servers_up(void);

/* ---- asking: dns_ask.c ---- */

/* What came of a question. Counted: all who waited for it share it. */
struct dns_result {
	unsigned refs;
	enum dns_type type;
	uint8_t name_n;
	char name[DNS_NAME_MAX];
	struct dns_set set;
};
void dns_result_unref(struct dns_result *r); /* NULL accepted */

struct dns_ask_conf {
	int use_cache;       /* answers go there */
	int use_search_list; /* for names without a dot */
	int slow_query_ms;   /* counted when it takes longer; 0: none is */
	int retr_time, retr_no, servers_no; /* as the parameters; 0: as the system has it */
	const char *servers; /* "ip[:port],ip...": instead of resolv.conf; "": that */
};
/* r: NULL without memory; else keep it with refs++, and dns_result_unref() it. */
typedef void dns_done_fn(void *arg, struct dns_result *r);
/*
 * Asks for the records of a type, name in lower case. done is called once, perhaps from within, and as late as c-ares gives up: who has
 * a deadline keeps it himself. Returns 0; -EBUSY before dns_ask_init(), or when too many are under way; -ENOENT: no name can be that; -ENOMEM.
 */
MUST_CHECK int dns_ask(enum dns_type type, struct str name, dns_done_fn *done, void *arg);
bool dns_asks_full(void); /* the next different question would get -EBUSY */
/* What conf says of servers and tries is seen by dns_ask_init() alone. conf->servers lives for ever. Context: any process, for itself. */
void dns_ask_configure(const struct dns_ask_conf *conf);
void dns_ask_register(void); /* the counter; before forking */
MUST_CHECK int dns_ask_init(struct loop *loop);

#endif
