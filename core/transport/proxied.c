/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One entry per client and listener. Nobody carries the proxy's address along: transactions, registrations and dialogs know the client, and the last thing
 * before a datagram is written looks here. So replies, their repetitions and requests to a registered phone all find the proxy, in any worker,
 * and a client whose proxy changes its port is followed at once. No datagram is delayed for it: a lock of one bucket, for a copy.
 *
 * Entries go two hours after the client's last datagram: each insertion looks at the next buckets for such. The number is bounded; a full table gives up what
 * was idle for longer than any transaction lasts, and when that brings nothing the newcomer's datagram is dropped: its answer could reach nobody.
 */
#include "core/transport/proxied.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/transport/transport_priv.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/crash.h"
#include "shm/hash.h"
#include "shm/recover.h"
#include "shm/slab.h"

#define WAYS_MAX 262144u
#define IDLE_MS 64000u   /* 64*T1 and the same again: no transaction waits longer */
#define SWEEP_FULL 64u   /* buckets looked at to make room */
#define SWEEP_STEP 2u    /* and at each insertion, so that what is over goes faster than others come */
#define SEEN_STEP_MS 1000u

struct entry {
	struct shm_hnode node;
	struct proxied_way way; /* seen_ms: written under the bucket's lock; the rest never changes */
};

struct root {
	struct shm_hash *table;   /* in the arena: the same address in every process */
	_Atomic uint32_t cursor;  /* bucket that is swept next; any value will do */
};

unsigned proxied_kinds;
static struct root *root;

static uint32_t hash_of(const struct net_addr *client)
{
	struct net_addr key = *client;

	key.pad = 0;
	return (uint32_t)hashfn64(&key, sizeof(key));
}

static bool eq(const struct shm_hnode *node, const void *key)
{
	const struct proxied_way *have = &((const struct entry *)(const void *)node)->way, *want = key;

	return (want->listener == NET_LISTENER_NONE || have->listener == want->listener) && net_addr_equal(&have->client, &want->client);
}

static struct entry *find_locked(const struct shm_hbucket *b, uint32_t hash, const struct proxied_way *key)
{
	return (struct entry *)(void *)shm_hash_find_locked(b, hash, eq, key);
}

/* ---- forgetting ---- */

static bool is_idle(const struct shm_hnode *node, void *arg)
{
	return ((const struct entry *)(const void *)node)->way.seen_ms <= *(const uint64_t *)arg;
}

static void sweep(unsigned n_buckets, uint64_t idle_ms)
{
	uint64_t now = clock_ms(), before = now > idle_ms ? now - idle_ms : 0;

	for (; n_buckets > 0; n_buckets--)
		(void)shm_hash_purge(root->table, atomic_fetch_add_explicit(&root->cursor, 1, memory_order_relaxed) % shm_hash_n_buckets(root->table),
		                     is_idle, &before);
}

unsigned proxied_forget(uint64_t idle_ms)
{
	uint64_t now = clock_ms(), before = now > idle_ms ? now - idle_ms : 0;
	unsigned n = 0;

	for (uint32_t i = 0; i < shm_hash_n_buckets(root->table); i++)
		n += shm_hash_purge(root->table, i, is_idle, &before);
	return n;
}

static void forget_one(const struct proxied_way *key)
{
	uint32_t hash = hash_of(&key->client);
	struct shm_hbucket *b = shm_hash_lock(root->table, hash);
	struct entry *e = find_locked(b, hash, key);

	if (e && !shm_hash_remove_locked(root->table, b, &e->node))
		e = NULL;
	shm_hash_unlock(b);
	shm_free(e);
}

/* ---- learning ---- */

/* Most datagrams come the way that the one before came: then nothing is made, and mostly nothing written. */
static bool is_known(const struct proxied_way *way, uint32_t hash)
{
	struct shm_hbucket *b = shm_hash_lock(root->table, hash);
	struct entry *e = find_locked(b, hash, way);
	bool same = e && e->way.kind == way->kind && net_addr_equal(&e->way.proxy, &way->proxy) && net_addr_equal(&e->way.dst, &way->dst);

	if (same && e->way.seen_ms + SEEN_STEP_MS < way->seen_ms)
		e->way.seen_ms = way->seen_ms;
	shm_hash_unlock(b);
	return same;
}

static int learn(const struct proxied_way *way)
{
	uint32_t hash = hash_of(&way->client);
	struct entry *e, *old;
	struct shm_hbucket *b;

	if (is_known(way, hash))
		return 0;
	if (shm_hash_count(root->table) >= WAYS_MAX)
		sweep(SWEEP_FULL, IDLE_MS);
	e = shm_hash_count(root->table) < WAYS_MAX ? shm_zalloc(sizeof(*e)) : NULL;
	if (!e)
		return -ENOSPC;
	e->node.hash = hash;
	e->way = *way;
	b = shm_hash_lock(root->table, hash);
	old = find_locked(b, hash, way);
	if (old)
		shm_hash_replace_locked(root->table, b, &old->node, &e->node);
	else
		shm_hash_insert_locked(root->table, b, &e->node);
	shm_hash_unlock(b);
	CRASH_POINT("proxied.learn");
	shm_free(old);
	shm_hash_grow(root->table);
	sweep(SWEEP_STEP, PROXIED_LIFE_MS);
	return 0;
}

bool proxied_take(struct str *bytes, struct rx_info *info, bool *ret_behind)
{
	struct proxied_way way = { .client = info->src, .proxy = info->src, .listener = info->listener, .seen_ms = clock_ms() };
	struct net_proxy header;
	struct diag why = { 0 };
	int kind = net_proxy_datagram(proxied_kinds, *bytes, &header, &why);

	*ret_behind = false;
	if (kind < 0) {
		char text[NET_ADDR_TEXT_MAX];

		shm_counter_add(tcnt.rx_proxy_bad, 1);
		log_warn_alike("udp_accept_proxy: datagram from %.*s dropped: %s", (int)net_addr_text(&info->src, text), text, why.text);
		return false;
	}
	if (kind > 0)
		*bytes = str_sub(*bytes, header.bytes, bytes->n);
	if (kind == 0 || !header.known) { /* for itself */
		forget_one(&way);
		return true;
	}
	way.client = header.src;
	way.dst = header.dst;
	way.kind = (uint8_t)kind;
	if (learn(&way) < 0) {
		shm_counter_add(tcnt.rx_proxy_full, 1);
		return false;
	}
	shm_counter_add(tcnt.rx_proxied, 1);
	info->src = header.src;
	*ret_behind = true;
	return true;
}

/* ---- asking ---- */

bool proxied_find(const struct net_addr *client, uint16_t listener, struct proxied_way *ret)
{
	struct proxied_way key = { .client = *client, .listener = listener };
	uint32_t hash = hash_of(client);
	struct shm_hbucket *b = shm_hash_lock(root->table, hash);
	const struct entry *e = find_locked(b, hash, &key);

	key.listener = NET_LISTENER_NONE;
	if (!e)
		e = find_locked(b, hash, &key);
	if (e)
		*ret = e->way;
	shm_hash_unlock(b);
	return e && ret->seen_ms + PROXIED_LIFE_MS > clock_ms();
}

struct copy {
	struct proxied_way *to;
	unsigned n, max;
};

static int copy_one(struct shm_hnode *node, void *arg)
{
	struct copy *c = arg;

	if (c->n == c->max)
		return 1;
	c->to[c->n++] = ((const struct entry *)(const void *)node)->way;
	return 0;
}

int proxied_bucket(uint32_t bucket, struct proxied_way *ret, unsigned max)
{
	struct copy c = { .to = ret, .max = max };

	if (bucket >= shm_hash_n_buckets(root->table))
		return -ENOENT;
	(void)shm_hash_walk(root->table, bucket, copy_one, &c);
	return (int)c.n;
}

uint64_t proxied_count(void)
{
	return shm_hash_count(root->table);
}

uint32_t proxied_n_buckets(void)
{
	return shm_hash_n_buckets(root->table);
}

/* ---- start ---- */

static int check(void)
{
	return root ? shm_hash_check(root->table) : 0;
}

int proxied_init(unsigned kinds)
{
	struct root *r = shm_zalloc(sizeof(*r));
	int err = r ? shm_hash_new(64, &r->table) : -ENOSPC;

	if (err == 0)
		err = shm_root_set("transport.proxied", shm_ref_of(r));
	if (err < 0) {
		shm_free(r);
		return err;
	}
	shm_publish(r);
	root = r;
	proxied_kinds = kinds;
	return shm_check_register("transport.proxied", check);
}
