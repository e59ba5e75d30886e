/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands dns.*: the shared cache of names. They look and change; dns.lookup asks for what is not there, and answers when it knows. */
#include <errno.h>
#include <stdio.h>

#include "core/base/num.h"
#include "core/main/core_cmds.h"
#include "core/net/addr.h"
#include "core/net/dns.h"
#include "core/net/resolve.h"
#include "core/rpc/rpc.h"

#define PER_BUCKET 64u

static struct dns_cache_item items[PER_BUCKET]; /* of one bucket: a process runs one command at a time */

static const struct { enum dns_type type; const char *name; } types[] = {
	{ DNS_A, "A" }, { DNS_AAAA, "AAAA" }, { DNS_SRV, "SRV" }, { DNS_NAPTR, "NAPTR" }, { DNS_CNAME, "CNAME" }, { DNS_PTR, "PTR" },
};

static bool is_there(struct rpc *rpc)
{
	if (dns_cache_exists())
		return true;
	rpc_fault(rpc, 500, "dns cache support disabled (see use_dns_cache)");
	return false;
}

static const char *type_name(enum dns_type type)
{
	for (unsigned i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "unknown";
}

/* ---- showing ---- */

static void add_ip(struct rpc *rpc, struct rpc_node *n, const struct dns_rr *rr, int family)
{
	struct net_addr a = { .family = (uint8_t)family };
	char text[NET_ADDR_TEXT_MAX];

	memcpy(a.ip, rr->ip, family == AF_INET ? 4 : 16);
	rpc_add_str(rpc, n, "rr_ip", str_of(text, net_addr_ip_text(&a, false, text)));
}

static void add_record(struct rpc *rpc, struct rpc_node *list, const struct dns_cache_item *it, unsigned i)
{
	static const char *const services[] = { "", "SIP+D2U", "SIP+D2T", "SIPS+D2T" };
	struct rpc_node *n = rpc_add_object(rpc, list, NULL);
	const struct dns_rr *rr = &it->set.rr[i];

	rpc_add_int(rpc, n, "rr_idx", i);
	if (it->type == DNS_A || it->type == DNS_AAAA) {
		add_ip(rpc, n, rr, it->type == DNS_A ? AF_INET : AF_INET6);
	} else if (it->type == DNS_SRV) {
		rpc_add_str(rpc, n, "rr_name", str_of(rr->name, rr->name_n));
		rpc_add_int(rpc, n, "rr_port", rr->port);
		rpc_add_int(rpc, n, "rr_priority", rr->order);
		rpc_add_int(rpc, n, "rr_weight", rr->weight);
	} else if (it->type == DNS_PTR) {
		rpc_add_str(rpc, n, "rr_name", str_of(rr->name, rr->name_n));
	} else if (it->type == DNS_NAPTR) {
		rpc_add_int(rpc, n, "rr_order", rr->order);
		rpc_add_int(rpc, n, "rr_preference", rr->weight);
		rpc_add_str(rpc, n, "rr_flags", STR_LIT("s"));
		rpc_add_str(rpc, n, "rr_service", str_lit(services[rr->service < ARRAY_LEN(services) ? rr->service : 0]));
		rpc_add_str(rpc, n, "rr_regexp", STR_LIT(""));
		rpc_add_str(rpc, n, "rr_replacement", str_of(rr->name, rr->name_n));
	}
	rpc_add_str(rpc, n, "rr_permanent", STR_LIT("no"));
	rpc_add_int(rpc, n, "rr_expires", it->set.ttl_s);
}

static void add_item(struct rpc *rpc, const struct dns_cache_item *it)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL), *list;

	rpc_add_str(rpc, n, "name", str_lit(it->name));
	rpc_add_str(rpc, n, "type", str_lit(type_name(it->type)));
	rpc_add_int(rpc, n, "size_bytes", it->bytes);
	rpc_add_int(rpc, n, "reference_counter", 1);
	rpc_add_str(rpc, n, "permanent", STR_LIT("no"));
	rpc_add_int(rpc, n, "expires", it->set.ttl_s);
	rpc_add_int(rpc, n, "last_used", 0); /* looking up writes nothing, so nobody knows */
	rpc_add_str(rpc, n, "negative_entry", it->set.err ? STR_LIT("yes") : STR_LIT("no"));
	if (it->set.n == 0)
		return;
	list = rpc_add_array(rpc, n, "records");
	for (unsigned i = 0; i < it->set.n; i++)
		add_record(rpc, list, it, i);
}

typedef void each_fn(struct rpc *rpc, const struct dns_cache_item *it);

static void each(struct rpc *rpc, each_fn *fn)
{
	int n;

	if (!is_there(rpc))
		return;
	for (uint32_t b = 0; (n = dns_cache_bucket(b, items, PER_BUCKET)) >= 0; b++)
		for (int i = 0; i < n; i++)
			fn(rpc, &items[i]);
}

static void view(struct rpc *rpc)
{
	each(rpc, add_item);
}

static void debug_one(struct rpc *rpc, const struct dns_cache_item *it)
{
	rpc_add_str(rpc, NULL, NULL, str_lit(it->name));
	rpc_add_int(rpc, NULL, NULL, it->type);
	rpc_add_int(rpc, NULL, NULL, it->bytes);
	rpc_add_int(rpc, NULL, NULL, 1);
	rpc_add_int(rpc, NULL, NULL, it->set.ttl_s);
	rpc_add_int(rpc, NULL, NULL, 0);
	rpc_add_int(rpc, NULL, NULL, it->set.err != 0);
}

static void debug(struct rpc *rpc)
{
	each(rpc, debug_one);
}

static void mem_info(struct rpc *rpc)
{
	uint64_t used, max;

	if (!is_there(rpc))
		return;
	resolve_cache_mem(&used, &max);
	rpc_add_int(rpc, NULL, NULL, (int64_t)used);
	rpc_add_int(rpc, NULL, NULL, (int64_t)max);
}

/* ---- names ---- */

/* Lower case, no final dot, as the cache has them. False: a fault is set, or the transport says what was missing. */
static bool take_name(struct rpc *rpc, char mem[DNS_NAME_MAX], struct str *ret)
{
	struct str in;

	if (rpc_arg_any_str(rpc, &in) < 0)
		return false;
	*ret = str_of(mem, dns_name_lower(in, mem));
	if (ret->n == 0)
		rpc_fault(rpc, 400, "Invalid name");
	return ret->n > 0;
}

static bool take_type(struct rpc *rpc, enum dns_type *ret)
{
	static const char *const others[] = { "TXT", "EBL" }; /* known, and never asked for */
	struct str in;

	if (rpc_arg_str(rpc, &in) < 0)
		return false;
	if (str_istarts(in, STR_LIT("T_")))
		in = str_sub(in, 2, in.n);
	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		if (str_ieq(in, str_lit(types[i].name))) {
			*ret = types[i].type;
			return true;
		}
	}
	for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
		if (str_ieq(in, str_lit(others[i]))) {
			rpc_fault(rpc, 400, "Not found");
			return false;
		}
	}
	rpc_fault(rpc, 400, "Invalid type");
	return false;
}

struct asked {
	struct rpc *rpc;
	enum dns_type type;
	struct str name;
	char mem[DNS_NAME_MAX];
};

static bool show_cached(struct rpc *rpc, enum dns_type type, struct str name)
{
	struct dns_set set;
	int n;

	if (dns_cache_get(type, name, &set) < 0) /* which counts; the rest of what is shown is in the bucket */
		return false;
	for (uint32_t b = 0; (n = dns_cache_bucket(b, items, PER_BUCKET)) >= 0; b++) {
		for (int i = 0; i < n; i++) {
			if (items[i].type != type || items[i].set.err || !str_eq(str_lit(items[i].name), name))
				continue;
			add_item(rpc, &items[i]);
			return true;
		}
	}
	return false;
}

static void answered(void *arg, const struct dns_set *set)
{
	struct asked *a = arg;
	struct dns_cache_item *it = &items[0];

	if (set->err) {
		rpc_fault(a->rpc, 400, "Not found");
	} else if (!show_cached(a->rpc, a->type, a->name)) { /* not kept: no room, or no lifetime */
		*it = (struct dns_cache_item){ .type = a->type, .set = *set };
		memcpy(it->name, a->name.s, a->name.n);
		it->name[a->name.n] = '\0';
		add_item(a->rpc, it);
	}
	rpc_answer(a->rpc);
}

static void lookup(struct rpc *rpc)
{
	struct asked *a = rpc_alloc(rpc, sizeof(*a));

	if (!a || !is_there(rpc) || !take_type(rpc, &a->type) || !take_name(rpc, a->mem, &a->name) || show_cached(rpc, a->type, a->name))
		return;
	a->rpc = rpc;
	if (a->type == DNS_CNAME) { /* followed by every other question, never asked by itself */
		rpc_fault(rpc, 400, "Not found");
	} else if (!rpc_defer(rpc)) {
		rpc_fault(rpc, 600, "This transport cannot wait for an answer");
	} else if (resolve_set_ask(a->type, a->name, answered, a) < 0) {
		rpc_fault(rpc, 500, "Cannot ask");
		rpc_answer(rpc);
	}
}

/* ---- counts, and the state of the name servers ---- */

static void stats_get(struct rpc *rpc)
{
	static const struct { const char *name; enum dns_stat stat; } stats[] = {
		{ "dns_req_cnt", DNS_STAT_LOOKUPS }, { "dns_cache_hit_cnt", DNS_STAT_HITS }, { "dns_lru_cnt", DNS_STAT_EVICTED },
	};
	struct rpc_node *n = NULL;
	struct str name;
	int64_t reset;

	if (!is_there(rpc))
		return;
	if (rpc_arg_str(rpc, &name) < 0) {
		rpc_fault(rpc, 400, "Name of a counter, or all, expected");
		return;
	}
	if (rpc_arg_int(rpc, &reset) < 0) {
		rpc_fault(rpc, 400, "0, or 1 to reset, expected");
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(stats); i++) {
		if (!str_eq(name, STR_LIT("all")) && !str_eq(name, str_lit(stats[i].name)))
			continue;
		if (!n)
			n = rpc_add_object(rpc, NULL, NULL);
		rpc_add_int(rpc, n, stats[i].name, dns_stat_read(stats[i].stat, reset != 0));
	}
	if (!n)
		rpc_fault(rpc, 400, "No such counter");
}

static void set_server_state(struct rpc *rpc)
{
	int64_t up;

	if (!is_there(rpc))
		return;
	if (rpc_arg_int(rpc, &up) < 0) {
		rpc_fault(rpc, 400, "1 (up) or 0 (down) expected");
		return;
	}
	dns_servers_set(up != 0);
}

static void get_server_state(struct rpc *rpc)
{
	if (is_there(rpc))
		rpc_add_int(rpc, NULL, NULL, dns_servers_up());
}

/* ---- changing ---- */

static void add_ok(struct rpc *rpc)
{
	rpc_add_str(rpc, rpc_add_object(rpc, NULL, NULL), "status", STR_LIT("ok"));
}

static void delete_all(struct rpc *rpc)
{
	if (!is_there(rpc))
		return;
	resolve_cache_flush();
	add_ok(rpc);
}

static void delete_of(struct rpc *rpc, enum dns_type type)
{
	char mem[DNS_NAME_MAX];
	struct str name;

	if (is_there(rpc) && take_name(rpc, mem, &name) && dns_cache_delete(type, name) < 0)
		rpc_fault(rpc, 400, "Not found");
}

static void delete_a(struct rpc *rpc)
{
	delete_of(rpc, DNS_A);
}

static void delete_aaaa(struct rpc *rpc)
{
	delete_of(rpc, DNS_AAAA);
}

static void delete_srv(struct rpc *rpc)
{
	delete_of(rpc, DNS_SRV);
}

static void delete_naptr(struct rpc *rpc)
{
	delete_of(rpc, DNS_NAPTR);
}

static void delete_ptr(struct rpc *rpc)
{
	delete_of(rpc, DNS_PTR);
}

static void delete_cname(struct rpc *rpc)
{
	delete_of(rpc, DNS_CNAME);
}

/* Types that are never in the cache. */
static void delete_other(struct rpc *rpc)
{
	char mem[DNS_NAME_MAX];
	struct str name;

	if (is_there(rpc) && take_name(rpc, mem, &name))
		rpc_fault(rpc, 400, "Not found");
}

enum { FLAG_BAD_NAME = 1, FLAG_PERMANENT = 2 };

/* Seconds, of 31 bits: RFC 2181, 8. */
static int take_ttl(struct rpc *rpc, int64_t *ret)
{
	return rpc_arg_int_in(rpc, 0, INT32_MAX, ret);
}

static int take_flags(struct rpc *rpc, int64_t *ret)
{
	return rpc_arg_int_in(rpc, 0, FLAG_BAD_NAME | FLAG_PERMANENT, ret);
}

static int take_u16(struct rpc *rpc, uint16_t *ret)
{
	int64_t i;
	int err = rpc_arg_int_in(rpc, 0, UINT16_MAX, &i);

	if (err == 0)
		*ret = (uint16_t)i;
	return err;
}

/* Keeps what was asked for, and looks whether it is there: a full cache keeps nothing. */
static void put(struct rpc *rpc, enum dns_type type, struct str name, int64_t ttl, int64_t flags, const struct dns_rr *rr)
{
	struct dns_set set = { .ttl_s = (uint32_t)ttl }, kept;

	if (flags & FLAG_BAD_NAME) {
		set.err = -ENOENT;
	} else {
		set.n = 1;
		set.rr[0] = *rr;
	}
	if (!(flags & FLAG_PERMANENT)) /* entries without an end are not kept here */
		dns_cache_put(type, name, &set);
	if (flags & FLAG_PERMANENT || dns_cache_get(type, name, &kept) < 0)
		rpc_fault(rpc, 400, "Failed to add the entry to the cache");
}

static void add_addr(struct rpc *rpc, enum dns_type type, int family)
{
	char mem[DNS_NAME_MAX];
	struct dns_rr rr = { 0 };
	struct net_addr addr;
	struct str name, ip;
	int64_t ttl, flags;

	if (!is_there(rpc) || !take_name(rpc, mem, &name) || take_ttl(rpc, &ttl) < 0 || rpc_arg_str(rpc, &ip) < 0 ||
	    take_flags(rpc, &flags) < 0)
		return;
	if (net_addr_parse(ip, 0, &addr) < 0 || addr.family != family) {
		rpc_fault(rpc, 400, "Malformed ip address");
		return;
	}
	memcpy(rr.ip, addr.ip, sizeof(rr.ip));
	put(rpc, type, name, ttl, flags, &rr);
}

static void add_a(struct rpc *rpc)
{
	add_addr(rpc, DNS_A, AF_INET);
}

static void add_aaaa(struct rpc *rpc)
{
	add_addr(rpc, DNS_AAAA, AF_INET6);
}

static void add_srv(struct rpc *rpc)
{
	char mem[DNS_NAME_MAX], target_mem[DNS_NAME_MAX];
	struct dns_rr rr = { 0 };
	struct str name, target;
	int64_t ttl, flags;

	if (!is_there(rpc) || !take_name(rpc, mem, &name) || take_ttl(rpc, &ttl) < 0 || take_u16(rpc, &rr.order) < 0 ||
	    take_u16(rpc, &rr.weight) < 0 || take_u16(rpc, &rr.port) < 0 || !take_name(rpc, target_mem, &target) ||
	    take_flags(rpc, &flags) < 0)
		return;
	rr.name_n = (uint8_t)target.n;
	memcpy(rr.name, target.s, target.n);
	put(rpc, DNS_SRV, name, ttl, flags, &rr);
}

/* clang-format off */
static const struct rpc_method methods[] = {
	{ "dns.add_a",            add_a,        0, "Puts an IPv4 address into the cache: name, ttl, ip, flags (1: the name does not exist)" },
	{ "dns.add_aaaa",         add_aaaa,     0, "Puts an IPv6 address into the cache: name, ttl, ip, flags" },
	{ "dns.add_srv",          add_srv,      0, "Puts an SRV record into the cache: name, ttl, priority, weight, port, target, flags" },
	{ "dns.debug",            debug,        RPC_RET_ARRAY, "The cache, seven values for each name" },
	{ "dns.debug_all",        debug,        RPC_RET_ARRAY, "The cache, seven values for each name" },
	{ "dns.delete_a",         delete_a,     0, "Forgets the IPv4 addresses of a name" },
	{ "dns.delete_aaaa",      delete_aaaa,  0, "Forgets the IPv6 addresses of a name" },
	{ "dns.delete_all",       delete_all,   0, "Forgets everything" },
	{ "dns.delete_all_force", delete_all,   0, "Forgets everything" },
	{ "dns.delete_cname",     delete_cname, 0, "Forgets the alias of a name" },
	{ "dns.delete_ebl",       delete_other, 0, "Such records are not kept: never found" },
	{ "dns.delete_naptr",     delete_naptr, 0, "Forgets the NAPTR records of a name" },
	{ "dns.delete_ptr",       delete_ptr,   0, "Forgets the names of an address: 1.0.0.127.in-addr.arpa" },
	{ "dns.delete_srv",       delete_srv,   0, "Forgets the SRV records of a name" },
	{ "dns.delete_txt",       delete_other, 0, "Such records are not kept: never found" },
	{ "dns.get_server_state", get_server_state, 0, "1: name servers are asked; 0: told to be down" },
	{ "dns.lookup",           lookup,       0, "Records of a name: type, name. From the cache, else asked for" },
	{ "dns.mem_info",         mem_info,     0, "Bytes that the cache has, and may have" },
	{ "dns.set_server_state", set_server_state, 0, "0: name servers are down, nobody asks them and what the cache has goes on to count; 1: they are up" },
	{ "dns.stats_get",        stats_get,    0, "Counts of the cache: name or all, 1 to reset them" },
	{ "dns.view",             view,         RPC_RET_ARRAY, "The cache, with all records" },
	{ .name = NULL },
};
/* clang-format on */

int dns_rpc_register(void)
{
	return rpc_register(methods);
}
