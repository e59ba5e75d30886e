/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared index of the connections of all workers, three tables: by id (the facts), by peer address
 * and alias (an id), and by address without port (how many each worker has, for the limit per
 * address). Written by the owners, read by everybody under the bucket locks. A count belongs to one
 * worker and dies with it, wherever in a change that happened: what the others counted is not touched,
 * so their sum is exact without counting anything again.
 *
 * An alias may be added by any worker. It is noted in the entry by id first, so that the owner
 * removes it at the end; whoever adds one looks again afterwards, in case the connection ended in
 * between. A younger alias takes the place of an older one: a phone that lost its connection and
 * says the same on a new one is reached by that. The address that a connection really has gives way to none.
 * Of several connections from one address the youngest is found.
 */
#include "core/transport/conn_index.h"

#include <errno.h>

#include "core/base/hashfn.h"
#include "core/transport/transport_priv.h"
#include "shm/arena.h"
#include "shm/counter.h"
#include "shm/crash.h"
#include "shm/hash.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"

#define SWEEP 128u

struct by_id {
	struct shm_hnode node;
	uint32_t id;
	uint64_t expires_ms; /* written: owner, under the bucket lock as all fields */
	struct net_addr peer, local;
	uint16_t listener;
	uint8_t proto, state, owner, n_aliases;
	uint16_t alias[CONN_ALIASES_MAX];
};

struct by_peer {
	struct shm_hnode node;
	struct net_addr peer;
	uint32_t id;
	uint16_t listener;
	uint8_t proto, owner;
	bool alias;
};

struct peer_look { /* a walk over all that lead to one address */
	const struct by_peer *want;
	struct by_peer *best; /* NULL: nothing leads there */
	struct by_peer *own;  /* that of the connection want->id; NULL: it has none */
};

struct by_ip {
	struct shm_hnode node;
	struct net_addr ip; /* port 0 */
	uint32_t n;         /* connections of owner from there; written: holder of the bucket lock */
	uint32_t owner;     /* slot; part of the key, but not of the hash */
};

struct ip_sum { /* a walk over all counts of one address */
	struct net_addr ip;
	unsigned owner;
	uint32_t total;
	struct by_ip *own; /* that of owner; NULL: it has none */
};

struct root {
	struct shm_hash *ids, *peers, *ips; /* in the arena: the same address in every process */
	_Atomic uint32_t last_id;
};

static struct root *root;

static uint32_t hash_id(uint32_t id)
{
	return (uint32_t)hashfn64(&id, sizeof(id));
}

static uint32_t hash_addr(const struct net_addr *a, unsigned proto)
{
	struct net_addr key = *a;

	key.pad = (uint8_t)proto;
	return (uint32_t)hashfn64(&key, sizeof(key));
}

static bool eq_id(const struct shm_hnode *node, const void *key)
{
	return ((const struct by_id *)(const void *)node)->id == *(const uint32_t *)key;
}

static void *find(struct shm_hash *h, uint32_t hash, shm_hash_eq_fn *eq, const void *key,
                  struct shm_hbucket **ret_b)
{
	*ret_b = shm_hash_lock(h, hash);
	return (void *)shm_hash_find_locked(*ret_b, hash, eq, key);
}

/* ---- by address: counts ---- */

static struct net_addr ip_of(const struct net_addr *a)
{
	struct net_addr ip = *a;

	ip.port = 0;
	return ip;
}

/* A search that never ends early: the chain is short, and all of one address are in it. */
static bool add_up(const struct shm_hnode *node, const void *arg)
{
	struct by_ip *have = (struct by_ip *)(uintptr_t)node;
	struct ip_sum *sum = *(struct ip_sum *const *)arg;

	if (!net_addr_ip_equal(&have->ip, &sum->ip))
		return false;
	sum->total += have->n;
	if (have->owner == sum->owner)
		sum->own = have;
	return false;
}

/* Locks the bucket of peer's address and tells what is counted there. */
static struct shm_hbucket *ip_lock(const struct net_addr *peer, unsigned owner, struct ip_sum *ret_sum)
{
	struct shm_hbucket *b;
	uint32_t hash;

	*ret_sum = (struct ip_sum){ .ip = ip_of(peer), .owner = owner };
	hash = hash_addr(&ret_sum->ip, 0);
	(void)find(root->ips, hash, add_up, &ret_sum, &b);
	return b;
}

/* One more of this process from there, unless that were more than limit of all processes. */
static int ip_count(const struct net_addr *peer, unsigned limit)
{
	struct by_ip *fresh = shm_zalloc(sizeof(*fresh));
	struct shm_hbucket *b;
	struct ip_sum sum;
	int err = 0;

	if (!fresh)
		return -ENOSPC;
	fresh->ip = ip_of(peer);
	fresh->node.hash = hash_addr(&fresh->ip, 0);
	fresh->n = 1;
	fresh->owner = (uint32_t)shm_slot_self();
	b = ip_lock(peer, fresh->owner, &sum);
	if (limit && sum.total >= limit) {
		err = -EUSERS;
	} else if (sum.own) {
		sum.own->n++;
	} else {
		shm_hash_insert_locked(root->ips, b, &fresh->node);
		fresh = NULL;
	}
	shm_hash_unlock(b);
	shm_free(fresh);
	shm_hash_grow(root->ips);
	return err;
}

/* n fewer of owner from there; what has none left goes. */
static void ip_uncount(const struct net_addr *peer, unsigned owner, uint32_t n)
{
	struct ip_sum sum;
	struct shm_hbucket *b = ip_lock(peer, owner, &sum);
	struct by_ip *gone = NULL;

	if (sum.own)
		sum.own->n -= n < sum.own->n ? n : sum.own->n;
	if (sum.own && sum.own->n == 0 && shm_hash_remove_locked(root->ips, b, &sum.own->node))
		gone = sum.own;
	shm_hash_unlock(b);
	shm_free(gone);
}

uint32_t conn_index_from(const struct net_addr *peer)
{
	struct ip_sum sum;

	if (!root)
		return 0;
	shm_hash_unlock(ip_lock(peer, 0, &sum));
	return sum.total;
}

/* ---- by peer ---- */

/* A search that never ends early, as add_up(). An address itself beats an alias, and of two connections from it the younger is the better: the older
 * one may be dead already, and its owner has not seen that yet. */
static bool look_at_peer(const struct shm_hnode *node, const void *arg)
{
	struct by_peer *have = (struct by_peer *)(uintptr_t)node;
	struct peer_look *look = *(struct peer_look *const *)arg;
	const struct by_peer *want = look->want, *best = look->best;

	if (have->proto != want->proto || !net_addr_equal(&have->peer, &want->peer) ||
	    (want->listener != NET_LISTENER_NONE && have->listener != want->listener))
		return false;
	if (have->id == want->id)
		look->own = have;
	if (!best || (have->alias != best->alias ? best->alias : have->id > best->id))
		look->best = have;
	return false;
}

/* Locks the bucket of want's address, with or without its listening socket, and tells what leads there. */
static struct shm_hbucket *peer_lock(const struct by_peer *want, struct peer_look *ret_look)
{
	struct peer_look *look = ret_look;
	struct shm_hbucket *b;

	*look = (struct peer_look){ .want = want };
	(void)find(root->peers, hash_addr(&want->peer, want->proto), look_at_peer, &look, &b);
	return b;
}

static struct by_peer peer_key(enum sip_proto proto, const struct net_addr *peer, uint16_t listener, uint32_t id)
{
	struct by_peer key = { .peer = *peer, .id = id, .listener = listener, .proto = (uint8_t)proto };

	key.peer.pad = 0;
	return key;
}

/*
 * Several connections may come from one address: to several of our sockets, or because the older one is dead already and its owner has not seen it
 * yet. Each has an entry, so that the end of one takes nothing from the other. An alias leads to one connection only (tcp_connection_match: of each
 * listening socket), and to none where an address is a connection's own.
 */
static int peer_add(const struct conn_info *info, bool alias)
{
	struct by_peer *p = shm_zalloc(sizeof(*p)), want = peer_key(info->proto, &info->peer, NET_LISTENER_NONE, info->id), *gone = NULL;
	struct peer_look look;
	struct shm_hbucket *b;
	int err = 0;

	if (!p)
		return -ENOSPC;
	*p = peer_key(info->proto, &info->peer, info->listener, info->id);
	p->owner = (uint8_t)info->owner_slot;
	p->alias = alias;
	p->node.hash = hash_addr(&p->peer, info->proto);
	if (conn_conf()->match_local)
		want.listener = info->listener;
	b = peer_lock(&want, &look);
	if (look.own || (alias && look.best && !look.best->alias)) {
		err = look.own ? 0 : -EEXIST;
		gone = p;
	} else if (look.best && look.best->alias) {
		shm_hash_replace_locked(root->peers, b, &look.best->node, &p->node);
		gone = look.best;
	} else {
		shm_hash_insert_locked(root->peers, b, &p->node);
	}
	shm_hash_unlock(b);
	shm_free(gone);
	shm_hash_grow(root->peers);
	return err;
}

static void peer_remove(unsigned proto, const struct net_addr *peer, uint32_t id)
{
	struct by_peer key = peer_key(proto, peer, NET_LISTENER_NONE, id);
	struct peer_look look;
	struct shm_hbucket *b = peer_lock(&key, &look);

	if (look.own && !shm_hash_remove_locked(root->peers, b, &look.own->node))
		look.own = NULL;
	shm_hash_unlock(b);
	shm_free(look.own);
}

/* Nothing leads to this connection by address any more. */
static void peers_remove(const struct by_id *e)
{
	struct net_addr a = e->peer;

	peer_remove(e->proto, &a, e->id);
	for (unsigned i = 0; i < e->n_aliases; i++) {
		a.port = e->alias[i];
		peer_remove(e->proto, &a, e->id);
	}
}

/* ---- by id ---- */

int conn_index_add(struct conn_info *info, unsigned max, unsigned per_ip_limit)
{
	struct by_id *e;
	struct shm_hbucket *b;
	int err;

	if (max && shm_hash_count(root->ids) >= max)
		return -EMLINK;
	err = ip_count(&info->peer, per_ip_limit);
	if (err < 0)
		return err;
	CRASH_POINT("conn.add.counted");
	e = shm_zalloc(sizeof(*e));
	if (!e) {
		ip_uncount(&info->peer, (unsigned)shm_slot_self(), 1);
		return -ENOSPC;
	}
	do {
		e->id = atomic_fetch_add(&root->last_id, 1) + 1;
	} while (e->id == 0);
	info->id = e->id;
	info->owner_slot = (unsigned)shm_slot_self();
	e->node.hash = hash_id(e->id);
	e->expires_ms = info->expires_ms;
	e->peer = info->peer;
	e->local = info->local;
	e->listener = info->listener;
	e->proto = (uint8_t)info->proto;
	e->state = (uint8_t)info->state;
	e->owner = (uint8_t)info->owner_slot;
	b = shm_hash_lock(root->ids, e->node.hash);
	shm_hash_insert_locked(root->ids, b, &e->node);
	shm_hash_unlock(b);
	CRASH_POINT("conn.add.shown");
	shm_hash_grow(root->ids);
	err = peer_add(info, false);
	if (err < 0)
		conn_index_remove(info->id);
	return err;
}

void conn_index_remove(uint32_t id)
{
	struct shm_hbucket *b;
	struct by_id *e = find(root->ids, hash_id(id), eq_id, &id, &b);

	if (e && !shm_hash_remove_locked(root->ids, b, &e->node))
		e = NULL;
	shm_hash_unlock(b);
	if (!e)
		return;
	CRASH_POINT("conn.remove.hidden");
	peers_remove(e);
	CRASH_POINT("conn.remove.peers");
	ip_uncount(&e->peer, e->owner, 1);
	shm_free(e);
}

void conn_index_state(uint32_t id, enum conn_state state, const struct net_addr *local)
{
	struct shm_hbucket *b;
	struct by_id *e = find(root->ids, hash_id(id), eq_id, &id, &b);

	struct by_id was = { 0 };

	if (e) {
		e->state = (uint8_t)state;
		if (local)
			e->local = *local;
		was = *e;
	}
	shm_hash_unlock(b);
	if (e && state == CONN_CLOSING)
		peers_remove(&was);
}

void conn_index_expires(uint32_t id, uint64_t expires_ms)
{
	struct shm_hbucket *b;
	struct by_id *e = find(root->ids, hash_id(id), eq_id, &id, &b);

	if (e)
		e->expires_ms = expires_ms;
	shm_hash_unlock(b);
}

static void tell(const struct by_id *e, struct conn_info *out)
{
	*out = (struct conn_info){
		.id = e->id,
		.proto = e->proto,
		.state = e->state,
		.listener = e->listener,
		.owner_slot = e->owner,
		.peer = e->peer,
		.local = e->local,
		.expires_ms = e->expires_ms,
	};
}

int conn_find(uint32_t id, struct conn_info *ret_info)
{
	struct shm_hbucket *b;
	struct by_id *e;

	if (!root || id == 0)
		return -ENOENT;
	e = find(root->ids, hash_id(id), eq_id, &id, &b);
	if (e)
		tell(e, ret_info);
	shm_hash_unlock(b);
	return e ? 0 : -ENOENT;
}

int conn_index_find(enum sip_proto proto, const struct net_addr *peer, uint16_t listener,
                    struct conn_info *ret_info)
{
	struct by_peer key = peer_key(proto, peer, listener, 0);
	struct peer_look look;
	struct shm_hbucket *b;
	uint32_t id;

	if (!root)
		return -ENOENT;
	b = peer_lock(&key, &look);
	id = look.best ? look.best->id : 0;
	shm_hash_unlock(b);
	return id ? conn_find(id, ret_info) : -ENOENT;
}

int conn_find_peer(enum sip_proto proto, const struct net_addr *peer, struct conn_info *ret_info)
{
	return conn_index_find(proto, peer, NET_LISTENER_NONE, ret_info);
}

int conn_alias_add(uint32_t id, uint16_t port)
{
	struct conn_info info;
	struct shm_hbucket *b;
	struct by_id *e;
	bool noted;
	int err = -ENOENT;

	if (!root)
		return -ENOENT;
	e = find(root->ids, hash_id(id), eq_id, &id, &b);
	if (e) {
		tell(e, &info);
		err = 0;
		noted = e->peer.port == port;
		for (unsigned i = 0; i < e->n_aliases && !noted; i++)
			noted = e->alias[i] == port;
		if (!noted && e->n_aliases == CONN_ALIASES_MAX)
			err = -ENOSPC;
		else if (!noted)
			e->alias[e->n_aliases++] = port;
	}
	shm_hash_unlock(b);
	if (err < 0 || info.peer.port == port)
		return err;
	info.peer.port = port;
	err = peer_add(&info, true); /* though it was noted: another may have taken it since */
	if (err == 0 &&
	    conn_find(id, &info) < 0) { /* it ended meanwhile, and may have missed the new entry */
		peer_remove(info.proto, &info.peer, id);
		err = -ENOENT;
	}
	return err;
}

struct walk {
	conn_walk_fn *fn;
	void *arg;
	struct conn_info info[SWEEP];
	unsigned n;
};

static int walk_one(struct shm_hnode *node, void *arg)
{
	struct walk *w = arg;

	if (w->n == SWEEP)
		return 1;
	tell((const struct by_id *)(const void *)node, &w->info[w->n++]);
	return 0;
}

int conn_walk(conn_walk_fn *fn, void *arg)
{
	struct walk w = { .fn = fn, .arg = arg };

	if (!root)
		return 0;
	for (uint32_t i = 0; i < shm_hash_n_buckets(root->ids); i++) {
		w.n = 0;
		(void)shm_hash_walk(root->ids, i, walk_one,
		                    &w); /* a bucket of more than SWEEP is cut short */
		for (unsigned k = 0; k < w.n; k++) {
			int stop = fn(&w.info[k], arg);

			if (stop)
				return stop;
		}
	}
	return 0;
}

uint32_t conn_count(void)
{
	return root ? (uint32_t)shm_hash_count(root->ids) : 0;
}

int64_t conn_queued_bytes(void)
{
	return shm_counter_read(tcnt.current_queue);
}

/* ---- recovery: in the janitor ---- */

struct sweep {
	unsigned owner;
	uint32_t id[SWEEP];
	struct by_peer peer[SWEEP];
	unsigned n;
};

static int sweep_id(struct shm_hnode *node, void *arg)
{
	const struct by_id *e = (const void *)node;
	struct sweep *s = arg;

	if (e->owner != s->owner)
		return 0;
	s->id[s->n++] = e->id;
	return s->n == SWEEP;
}

static int sweep_peer(struct shm_hnode *node, void *arg)
{
	const struct by_peer *e = (const void *)node;
	struct sweep *s = arg;

	if (e->owner != s->owner)
		return 0;
	s->peer[s->n++] = *e;
	return s->n == SWEEP;
}

static int sweep_ip(struct shm_hnode *node, void *arg)
{
	const struct by_ip *e = (const void *)node;
	struct sweep *s = arg;

	if (e->owner != s->owner)
		return 0;
	s->peer[s->n++].peer = e->ip;
	return s->n == SWEEP;
}

/* The connections of a dead worker died with its descriptors. */
static int recover(unsigned slot)
{
	static struct sweep s;

	if (!root)
		return 0;
	s.owner = slot;
	for (uint32_t i = 0; i < shm_hash_n_buckets(root->ids); i++) {
		do {
			s.n = 0;
			(void)shm_hash_walk(root->ids, i, sweep_id, &s);
			for (unsigned k = 0; k < s.n; k++)
				conn_index_remove(s.id[k]);
		} while (s.n == SWEEP);
	}
	for (uint32_t i = 0; i < shm_hash_n_buckets(root->peers);
	     i++) { /* whatever has no entry by id any more */
		do {
			s.n = 0;
			(void)shm_hash_walk(root->peers, i, sweep_peer, &s);
			for (unsigned k = 0; k < s.n; k++)
				peer_remove(s.peer[k].proto, &s.peer[k].peer, s.peer[k].id);
		} while (s.n == SWEEP);
	}
	for (uint32_t i = 0; i < shm_hash_n_buckets(root->ips); i++) { /* counted, but never shown or hidden already */
		do {
			s.n = 0;
			(void)shm_hash_walk(root->ips, i, sweep_ip, &s);
			for (unsigned k = 0; k < s.n; k++)
				ip_uncount(&s.peer[k].peer, slot, UINT32_MAX);
		} while (s.n == SWEEP);
	}
	/* a slot's cells outlive its process, and these say how much there is, not how much there was */
	shm_counter_set_of(tcnt.current_opened, slot, 0);
	shm_counter_set_of(tcnt.current_queue, slot, 0);
	return 0;
}

static int check(void)
{
	int err;

	if (!root)
		return 0;
	err = shm_hash_check(root->ids);
	if (err == 0)
		err = shm_hash_check(root->peers);
	if (err == 0)
		err = shm_hash_check(root->ips);
	return err;
}

int conn_index_init(void)
{
	struct root *r = shm_zalloc(sizeof(*r));
	int err = -ENOSPC;

	if (!r)
		return err;
	err = shm_hash_new(64, &r->ids);
	if (err == 0)
		err = shm_hash_new(64, &r->peers);
	if (err == 0)
		err = shm_hash_new(64, &r->ips);
	if (err == 0)
		err = shm_root_set("transport.conns", shm_ref_of(r));
	if (err < 0) {
		shm_free(r);
		return err;
	}
	shm_publish(r);
	root = r;
	err = shm_recover_register("transport.conns", recover);
	if (err == 0)
		err = shm_check_register("transport.conns", check);
	return err;
}
