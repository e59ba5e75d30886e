/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache of DNS answers that all workers share: one object per name and type, replaced as a
 * whole. Answers that there is nothing are kept as well. What is full is made room in by walking on
 * through the table and dropping what has expired, or, when that is not enough, whatever is there:
 * an answer that is needed again is asked again.
 */
#include <errno.h>
#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/net/dns.h"
#include "core/net/resolve.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/hash.h"
#include "shm/recover.h"
#include "shm/slab.h"

#define SWEEP 32u
#define SWEEP_BUCKETS 16u /* looked at when room is needed */

struct packed { /* one record; name_n bytes follow */
	uint8_t ip[16];
	uint16_t order, weight, port;
	uint8_t service, name_n;
};

struct entry { /* never changed once it is inserted */
	struct shm_hnode node;
	uint64_t expires_ms;
	int32_t err;
	uint16_t type;
	uint8_t n, name_n;
	uint32_t bytes;
	char data[]; /* the name, then n records */
};

struct root {
	struct shm_hash *table;
	_Atomic int64_t bytes;   /* of all entries; derived */
	_Atomic uint32_t cursor; /* where room was made last */
	_Atomic bool down;       /* no name server answers, an operator says. Written: rpcd; read: all */
};

struct key {
	enum dns_type type;
	struct str name;
};

static struct root *root;
static struct dns_cache_conf conf;
static int counter[DNS_N_STATS] = { -1, -1, -1 };

static uint32_t hash_of(const struct key *k)
{
	uint32_t type = (uint32_t)k->type;

	return (uint32_t)hashfn64_seed(k->name.s, k->name.n, hashfn64(&type, sizeof(type)));
}

static bool eq(const struct shm_hnode *node, const void *key)
{
	const struct entry *e = (const void *)node;
	const struct key *k = key;

	return e->type == k->type && e->name_n == k->name.n &&
	       memcmp(e->data, k->name.s, k->name.n) == 0;
}

static void unpack(const struct entry *e, struct dns_set *set)
{
	const char *p = e->data + e->name_n;
	uint64_t now = clock_ms();

	set->err = e->err;
	set->ttl_s = e->expires_ms > now ? (uint32_t)((e->expires_ms - now) / 1000) : 0;
	set->n = e->n;
	for (unsigned i = 0; i < e->n; i++) {
		struct packed k;
		struct dns_rr *rr = &set->rr[i];

		memcpy(&k, p, sizeof(k));
		memcpy(rr->ip, k.ip, sizeof(rr->ip));
		rr->order = k.order;
		rr->weight = k.weight;
		rr->port = k.port;
		rr->service = k.service;
		rr->name_n = k.name_n;
		memcpy(rr->name, p + sizeof(k), k.name_n);
		p += sizeof(k) + k.name_n;
	}
}

/* ---- records without an end: private, the same in each process ---- */

#define PINS_MAX 256u
static struct {
	enum dns_type type;
	struct str name;
	const struct dns_set *set;
} pins[PINS_MAX];
static unsigned n_pins;

int dns_cache_pin(enum dns_type type, struct str name, const struct dns_set *set)
{
	if (n_pins == PINS_MAX)
		return -ENOSPC;
	pins[n_pins].type = type;
	pins[n_pins].name = name;
	pins[n_pins++].set = set;
	return 0;
}

static const struct dns_set *pinned(enum dns_type type, struct str name)
{
	for (unsigned i = 0; i < n_pins; i++)
		if (pins[i].type == type && str_eq(pins[i].name, name))
			return pins[i].set;
	return NULL;
}

int dns_cache_get(enum dns_type type, struct str name, struct dns_set *ret_set)
{
	const struct dns_set *pin = pinned(type, name);
	struct key key = { type, name };
	struct shm_hbucket *b;
	const struct entry *e;
	uint32_t hash;
	int err = -ENOENT;

	if (pin) {
		*ret_set = *pin;
		return 0;
	}
	if (!root)
		return -ENOENT;
	hash = hash_of(&key);
	b = shm_hash_lock(root->table, hash);
	e = (const void *)shm_hash_find_locked(b, hash, eq, &key);
	if (e && (e->expires_ms > clock_ms() || !dns_servers_up())) {
		unpack(e, ret_set);
		err = 0;
	}
	shm_hash_unlock(b);
	shm_counter_add(counter[DNS_STAT_LOOKUPS], 1);
	if (err == 0)
		shm_counter_add(counter[DNS_STAT_HITS], 1);
	return err;
}

/* ---- room ---- */

struct sweep {
	bool all; /* what has not expired, too */
	uint32_t hash[SWEEP];
	const struct shm_hnode *node[SWEEP];
	unsigned n;
};

static int sweep_one(struct shm_hnode *node, void *arg)
{
	struct sweep *s = arg;

	if (!s->all && ((const struct entry *)(const void *)node)->expires_ms > clock_ms())
		return 0;
	s->hash[s->n] = node->hash;
	s->node[s->n++] = node;
	return s->n == SWEEP;
}

static bool is_node(const struct shm_hnode *node, const void *key)
{
	return node == key;
}

static void drop(uint32_t hash, const struct shm_hnode *node)
{
	struct shm_hbucket *b = shm_hash_lock(root->table, hash);
	struct shm_hnode *have = shm_hash_find_locked(b, hash, is_node, node);

	if (have && !shm_hash_remove_locked(root->table, b, have))
		have = NULL;
	shm_hash_unlock(b);
	if (have) {
		if (((struct entry *)(void *)have)->expires_ms > clock_ms())
			shm_counter_add(counter[DNS_STAT_EVICTED], 1);
		atomic_fetch_sub(&root->bytes, ((struct entry *)(void *)have)->bytes);
		shm_free(have);
	}
}

static void sweep_bucket(uint32_t bucket, bool all)
{
	struct sweep s = { .all = all };

	(void)shm_hash_walk(root->table, bucket, sweep_one, &s);
	for (unsigned i = 0; i < s.n; i++)
		drop(s.hash[i], s.node[i]);
}

/* The sum may run a little behind or ahead after a death, so it may be below 0. */
static bool has_room(uint64_t bytes)
{
	int64_t have = atomic_load(&root->bytes);

	return (have > 0 ? (uint64_t)have : 0) + bytes <= conf.bytes_max;
}

static bool make_room(uint64_t bytes)
{
	uint32_t limit = SWEEP_BUCKETS + shm_hash_n_buckets(root->table);

	/* first what has expired; then anything, and most buckets hold something: this ends soon */
	for (uint32_t i = 0; i < limit; i++) {
		uint32_t bucket;

		if (has_room(bytes))
			return true;
		bucket = atomic_fetch_add(&root->cursor, 1) % shm_hash_n_buckets(root->table);
		sweep_bucket(bucket, i >= SWEEP_BUCKETS);
	}
	return has_room(bytes);
}

static uint32_t lifetime(const struct dns_set *set)
{
	uint32_t s = set->err ? conf.negative_ttl_s : set->ttl_s;

	if (!set->err && s < conf.min_ttl_s)
		s = conf.min_ttl_s;
	if (conf.max_ttl_s && s > conf.max_ttl_s)
		s = conf.max_ttl_s;
	return s;
}

static struct entry *pack(const struct key *key, const struct dns_set *set)
{
	size_t n = sizeof(struct entry) + key->name.n;
	struct entry *e;
	char *p;

	for (unsigned i = 0; i < set->n; i++)
		n += sizeof(struct packed) + set->rr[i].name_n;
	if (!make_room(n))
		return NULL;
	e = shm_zalloc(n);
	if (!e)
		return NULL;
	e->node.hash = hash_of(key);
	e->expires_ms = clock_ms() + (uint64_t)lifetime(set) * 1000u;
	e->err = set->err;
	e->type = (uint16_t)key->type;
	e->n = (uint8_t)set->n;
	e->name_n = (uint8_t)key->name.n;
	e->bytes = (uint32_t)n;
	memcpy(e->data, key->name.s, key->name.n);
	p = e->data + e->name_n;
	for (unsigned i = 0; i < set->n; i++) {
		const struct dns_rr *rr = &set->rr[i];
		struct packed k = { .order = rr->order,
			            .weight = rr->weight,
			            .port = rr->port,
			            .service = rr->service,
			            .name_n = rr->name_n };

		memcpy(k.ip, rr->ip, sizeof(k.ip));
		memcpy(p, &k, sizeof(k));
		memcpy(p + sizeof(k), rr->name, rr->name_n);
		p += sizeof(k) + rr->name_n;
	}
	return e;
}

void dns_cache_put(enum dns_type type, struct str name, const struct dns_set *set)
{
	struct key key = { type, name };
	struct shm_hbucket *b;
	struct shm_hnode *old;
	struct entry *e;

	if (!root || name.n > DNS_NAME_MAX || lifetime(set) == 0)
		return;
	e = pack(&key, set);
	if (!e)
		return;
	atomic_fetch_add(&root->bytes, e->bytes);
	b = shm_hash_lock(root->table, e->node.hash);
	old = shm_hash_find_locked(b, e->node.hash, eq, &key);
	if (old)
		shm_hash_replace_locked(root->table, b, old, &e->node);
	else
		shm_hash_insert_locked(root->table, b, &e->node);
	shm_hash_unlock(b);
	if (old) {
		atomic_fetch_sub(&root->bytes, ((struct entry *)(void *)old)->bytes);
		shm_free(old);
	} else {
		shm_hash_grow(root->table);
	}
}

size_t dns_name_lower(struct str in, char out[DNS_NAME_MAX])
{
	if (in.n > 1 && in.s[in.n - 1] == '.')
		in.n--;
	if (in.n == 0 || in.n > DNS_NAME_MAX)
		return 0;
	str_lower(in, out);
	return in.n;
}

bool dns_cache_exists(void)
{
	return root != NULL;
}

int dns_cache_delete(enum dns_type type, struct str name)
{
	struct key key = { type, name };
	struct shm_hbucket *b;
	struct shm_hnode *have;
	uint32_t hash;

	if (!root)
		return -ENOENT;
	hash = hash_of(&key);
	b = shm_hash_lock(root->table, hash);
	have = shm_hash_find_locked(b, hash, eq, &key);
	if (have && !shm_hash_remove_locked(root->table, b, have))
		have = NULL;
	shm_hash_unlock(b);
	if (!have)
		return -ENOENT;
	atomic_fetch_sub(&root->bytes, ((struct entry *)(void *)have)->bytes);
	shm_free(have);
	return 0;
}

struct copying {
	struct dns_cache_item *to;
	unsigned n, cap;
};

static int copy_one(struct shm_hnode *node, void *arg)
{
	const struct entry *e = (const void *)node;
	struct copying *c = arg;
	struct dns_cache_item *to;

	if (e->expires_ms <= clock_ms())
		return 0;
	if (c->n == c->cap)
		return 1;
	to = &c->to[c->n++];
	to->type = (enum dns_type)e->type;
	to->bytes = e->bytes;
	memcpy(to->name, e->data, e->name_n);
	to->name[e->name_n] = 0;
	unpack(e, &to->set);
	return 0;
}

int dns_cache_bucket(uint32_t bucket, struct dns_cache_item *ret, unsigned cap)
{
	struct copying c = { .to = ret, .cap = cap };

	if (!root || bucket >= shm_hash_n_buckets(root->table))
		return -ENOENT;
	(void)shm_hash_walk(root->table, bucket, copy_one, &c);
	return (int)c.n;
}

int64_t dns_stat_read(enum dns_stat stat, bool reset)
{
	int64_t n = shm_counter_read(counter[stat]);

	if (reset)
		(void)shm_counter_reset(counter[stat]);
	return n;
}

void dns_servers_set(bool up)
{
	if (root)
		atomic_store(&root->down, !up);
}

bool dns_servers_up(void)
{
	return !root || !atomic_load_explicit(&root->down, memory_order_relaxed);
}

void resolve_cache_flush(void)
{
	if (!root)
		return;
	for (uint32_t i = 0; i < shm_hash_n_buckets(root->table); i++)
		sweep_bucket(i, true);
}

void resolve_cache_mem(uint64_t *ret_used, uint64_t *ret_max)
{
	int64_t have = root ? atomic_load(&root->bytes) : 0;

	*ret_used = have > 0 ? (uint64_t)have : 0;
	*ret_max = root ? conf.bytes_max : 0;
}

static int add_bytes(struct shm_hnode *node, void *arg)
{
	*(int64_t *)arg += ((const struct entry *)(const void *)node)->bytes;
	return 0;
}

static int recover(unsigned slot)
{
	int64_t sum = 0;

	(void)slot; /* the sum is of all */
	for (uint32_t i = 0; root && i < shm_hash_n_buckets(root->table); i++)
		(void)shm_hash_walk(root->table, i, add_bytes, &sum);
	if (root)
		atomic_store(&root->bytes, sum);
	return 0;
}

static int check(void)
{
	return root ? shm_hash_check(root->table) : 0;
}

int dns_cache_reconf(const struct dns_cache_conf *c)
{
	if (!root)
		return -ENOENT;
	conf = *c;
	return 0;
}

int dns_cache_init(const struct dns_cache_conf *c)
{
	struct root *r = shm_zalloc(sizeof(*r));
	int err;

	if (!r)
		return -ENOSPC;
	err = shm_hash_new(64, &r->table);
	if (err == 0)
		err = shm_root_set("net.dns", shm_ref_of(r));
	if (err < 0) {
		shm_free(r);
		return err;
	}
	shm_publish(r);
	root = r;
	conf = *c;
	counter[DNS_STAT_LOOKUPS] = shm_counter_register("dns_cache", "lookups");
	counter[DNS_STAT_HITS] = shm_counter_register("dns_cache", "hits");
	counter[DNS_STAT_EVICTED] = shm_counter_register("dns_cache", "evicted");
	err = shm_recover_register("net.dns", recover);
	if (err == 0)
		err = shm_check_register("net.dns", check);
	return err;
}
