/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hit counts on the node of the longest known prefix of the address. An inner node that gets a quarter of the limit in this unit, the last
 * one, or their mean, grows one byte deeper; a node at full length is an address, and hot when it reaches the limit the same way.
 *
 * Nodes hang on nothing but the table: the longest prefix is found by asking for the whole address, then from the first byte on, while a node
 * says that longer ones were made: one lock for who is counted alone, two for all others while nobody floods. Each node goes by its own
 * idle time; one whose shorter prefix went before it is found again when that has grown again. So there are no lists that a flood of
 * forged addresses could make long, and no lock is held for more than one bucket.
 *
 * Counts are rolled when a node is touched, not by the sweep: each remembers in which unit its counts were made.
 */
#include "modules/pike/tree.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/hashfn.h"
#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/hash.h"
#include "shm/recover.h"
#include "shm/slab.h"

#define BUCKETS 1024u
#define UNBLOCKED_MAX 64u /* told per bucket and sweep; more wait for the next */
#define HITS_MAX 0xffffffffu

struct node {
	struct shm_hnode node;
	uint32_t unit;    /* in which the counts were made; this and the next five: written by holders of the bucket's lock */
	uint32_t last_s;  /* last hit */
	uint32_t hits[2]; /* previous and current unit; on a full address they count against the limit */
	uint8_t blocked;
	uint8_t is_v6, n; /* bytes of ip; written once */
	uint8_t grown;    /* longer prefixes of it were made */
	uint8_t ip[16];
};

struct tree { /* "pike.tree" */
	struct pike_limits limits;
	_Atomic shm_ref hash;
};

struct prefix {
	const uint8_t *ip;
	uint8_t n, is_v6;
};

static struct {
	struct tree *tree;
	struct shm_hash *hash;
} g;

/* ---- counts ---- */

static uint32_t unit_of(uint64_t now_s)
{
	return (uint32_t)(now_s / g.tree->limits.unit_s);
}

/* What the counts are in this unit. */
static void counts(const struct node *n, uint32_t unit, uint32_t ret_hits[2])
{
	ret_hits[0] = n->unit == unit ? n->hits[0] : n->unit + 1 == unit ? n->hits[1] : 0;
	ret_hits[1] = n->unit == unit ? n->hits[1] : 0;
}

static void count_up(struct node *n, uint64_t now_s)
{
	uint32_t hits[2];

	counts(n, unit_of(now_s), hits);
	n->hits[0] = hits[0];
	n->hits[1] = hits[1] < HITS_MAX ? hits[1] + 1 : hits[1];
	n->unit = unit_of(now_s);
	n->last_s = (uint32_t)now_s;
}

static bool reached(const uint32_t hits[2], unsigned limit)
{
	return hits[0] >= limit || hits[1] >= limit || ((uint64_t)hits[0] + hits[1]) / 2 >= limit;
}

static unsigned full_len(bool is_v6)
{
	return is_v6 ? 16 : 4;
}

/* ---- nodes ---- */

static const struct node *node_of(const struct shm_hnode *node)
{
	return (const struct node *)(const void *)node;
}

static uint32_t hash_of(const struct prefix *p)
{
	return (uint32_t)hashfn64_seed(p->ip, p->n, p->is_v6);
}

static bool is_prefix(const struct shm_hnode *node, const void *key)
{
	const struct node *n = node_of(node);
	const struct prefix *p = key;

	return n->n == p->n && n->is_v6 == p->is_v6 && memcmp(n->ip, p->ip, p->n) == 0;
}

/* A new node for p, unless another process has just made it. */
static void grow(const struct prefix *p, uint64_t now_s)
{
	struct node *n = shm_hash_count(g.hash) < PIKE_NODES_MAX ? shm_zalloc(sizeof(*n)) : NULL;
	struct shm_hbucket *b;

	if (!n)
		return; /* the arena is full, or the tree: count on without more detail */
	n->node.hash = hash_of(p);
	n->unit = unit_of(now_s);
	n->last_s = (uint32_t)now_s;
	n->hits[1] = p->n == 1; /* the first byte is made by a request that counts, a longer prefix by one that was counted */
	n->is_v6 = p->is_v6;
	n->n = p->n;
	memcpy(n->ip, p->ip, p->n);
	CRASH_POINT("pike.grow.filled");
	b = shm_hash_lock(g.hash, n->node.hash);
	if (!shm_hash_find_locked(b, n->node.hash, is_prefix, p)) {
		shm_hash_insert_locked(g.hash, b, &n->node);
		n = NULL;
	}
	shm_hash_unlock(b);
	CRASH_POINT("pike.grow.shown");
	shm_free(n);
	shm_hash_grow(g.hash);
}

static enum pike_verdict judge(struct node *n)
{
	bool was = n->blocked;

	if (n->n < full_len(n->is_v6) || !reached(n->hits, g.tree->limits.limit)) /* no longer hot: the sweep says so and unblocks */
		return PIKE_OK;
	n->blocked = 1;
	return was ? PIKE_BLOCKED : PIKE_NEWLY_BLOCKED;
}

enum visit { VISIT_NONE, VISIT_COUNTED, VISIT_LONGER };

struct hit {
	uint64_t now_s;
	enum pike_verdict verdict;
	shm_ref node;
	bool grows;
};

/* Counts on the node of a prefix; unless always, only when no longer one was made. */
static enum visit visit(const struct prefix *p, bool always, struct hit *h)
{
	unsigned quarter = g.tree->limits.limit / 4 ? g.tree->limits.limit / 4 : 1;
	uint32_t hash = hash_of(p);
	struct shm_hbucket *b = shm_hash_lock(g.hash, hash);
	struct node *n = (void *)shm_hash_find_locked(b, hash, is_prefix, p);
	enum visit how = !n ? VISIT_NONE : n->grown && !always ? VISIT_LONGER : VISIT_COUNTED;

	if (how == VISIT_COUNTED) {
		count_up(n, h->now_s);
		h->verdict = judge(n);
		h->node = shm_ref_of(n);
		h->grows = n->n < full_len(n->is_v6) && reached(n->hits, quarter);
		n->grown |= h->grows;
	}
	shm_hash_unlock(b);
	return how;
}

enum pike_verdict pike_tree_hit(const struct net_addr *addr, uint64_t now_s, shm_ref *ret_node)
{
	struct prefix p = { .ip = addr->ip, .is_v6 = addr->family == AF_INET6 };
	const uint8_t full = (uint8_t)full_len(p.is_v6);
	struct hit h = { .now_s = now_s, .verdict = PIKE_OK };
	enum visit how;

	p.n = full;
	how = visit(&p, true, &h);
	if (how == VISIT_NONE) {
		p.n = 1;
		while ((how = visit(&p, p.n + 1 == full, &h)) == VISIT_LONGER)
			p.n++;
		if (how == VISIT_NONE && p.n > 1) { /* the longer ones that were made are others */
			p.n--;
			how = visit(&p, true, &h);
		}
	}
	if (how == VISIT_COUNTED)
		*ret_node = h.node;
	if (how == VISIT_NONE && p.n == 1) {
		grow(&p, now_s);
	} else if (h.grows) {
		p.n++;
		grow(&p, now_s);
	}
	return h.verdict;
}

/* ---- sweeping and walking ---- */

struct sweep {
	uint64_t now_s;
	shm_ref unblocked[UNBLOCKED_MAX];
	unsigned n_unblocked;
};

static bool is_idle(const struct shm_hnode *node, void *arg)
{
	struct node *n = (struct node *)(uintptr_t)node_of(node);
	struct sweep *s = arg;
	uint32_t hits[2];

	if (n->blocked && s->n_unblocked < UNBLOCKED_MAX) {
		counts(n, unit_of(s->now_s), hits);
		if (!reached(hits, g.tree->limits.limit)) {
			n->blocked = 0;
			s->unblocked[s->n_unblocked++] = shm_ref_of(n);
		}
	}
	return !n->blocked && s->now_s > (uint64_t)n->last_s + g.tree->limits.latency_s;
}

void pike_tree_sweep(uint32_t *next, unsigned n, uint64_t now_s, void (*unblocked)(shm_ref node))
{
	for (; n > 0; n--) {
		struct sweep s = { .now_s = now_s };

		if (*next >= shm_hash_n_buckets(g.hash))
			*next = 0;
		(void)shm_hash_purge(g.hash, (*next)++, is_idle, &s);
		for (unsigned i = 0; i < s.n_unblocked; i++)
			unblocked(s.unblocked[i]);
	}
}

unsigned pike_tree_buckets(void)
{
	return shm_hash_n_buckets(g.hash);
}

struct walk {
	bool hot_only;
	uint64_t now_s;
	struct pike_row *rows;
	unsigned n, cap;
};

static int add_row(struct shm_hnode *node, void *arg)
{
	const struct node *n = node_of(node);
	struct walk *w = arg;
	struct pike_row *row = &w->rows[w->n];
	uint32_t hits[2];
	bool hot;

	if (n->n < full_len(n->is_v6))
		return 0;
	counts(n, unit_of(w->now_s), hits);
	hot = reached(hits, g.tree->limits.limit);
	if (w->hot_only && !hot)
		return 0;
	if (w->n == w->cap)
		return 1;
	*row = (struct pike_row){ .addr.family = n->is_v6 ? AF_INET6 : AF_INET, .hits_prev = hits[0], .hits_curr = hits[1], .hot = hot,
				  .expires_s = (int64_t)n->last_s + g.tree->limits.latency_s - (int64_t)w->now_s };
	memcpy(row->addr.ip, n->ip, n->n);
	w->n++;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct net_addr *x = &((const struct pike_row *)a)->addr, *y = &((const struct pike_row *)b)->addr;

	if (x->family != y->family)
		return x->family == AF_INET ? -1 : 1;
	return memcmp(x->ip, y->ip, sizeof(x->ip));
}

unsigned pike_tree_rows(bool hot_only, uint64_t now_s, struct pike_row *rows, unsigned cap)
{
	struct walk w = { .hot_only = hot_only, .now_s = now_s, .rows = rows, .cap = cap };

	for (uint32_t i = 0; w.n < cap && i < shm_hash_n_buckets(g.hash); i++)
		(void)shm_hash_walk(g.hash, i, add_row, &w);
	qsort(rows, w.n, sizeof(*rows), by_address);
	return w.n;
}

static int check_node(struct shm_hnode *node, void *arg)
{
	const struct node *n = node_of(node);
	struct prefix p = { n->ip, n->n, n->is_v6 };

	(void)arg;
	return n->is_v6 > 1 || n->grown > 1 || n->n == 0 || n->n > full_len(n->is_v6) || (n->blocked && n->n < full_len(n->is_v6)) || hash_of(&p) != node->hash ?
		-EUCLEAN : 0;
}

int pike_tree_check(void)
{
	int err = 0;

	for (uint32_t i = 0; err == 0 && i < shm_hash_n_buckets(g.hash); i++)
		err = shm_hash_walk(g.hash, i, check_node, NULL);
	return err;
}

void pike_tree_limits(const struct pike_limits *limits)
{
	g.tree->limits.limit = limits->limit;
	g.tree->limits.latency_s = limits->latency_s;
}

int pike_tree_init(const struct pike_limits *limits)
{
	int err;

	g.tree = shm_zalloc(sizeof(*g.tree));
	if (!g.tree)
		return -ENOSPC;
	g.tree->limits = *limits;
	shm_publish(g.tree);
	err = shm_root_set("pike.tree", shm_ref_of(g.tree));
	if (err < 0)
		return err;
	err = shm_hash_new(BUCKETS, &g.hash);
	if (err < 0)
		return err;
	atomic_store(&g.tree->hash, shm_ref_of(g.hash));
	return shm_check_register("pike", pike_tree_check);
}
