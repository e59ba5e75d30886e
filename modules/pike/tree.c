/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hit walks the longest known prefix of the address and counts on the last node. An inner node that gets a quarter of the limit in
 * this unit, the last one, or their mean, grows one byte deeper; a node at full length is an address, and hot when it reaches the limit the same way.
 *
 * Units are not swept: each node remembers in which unit its counts were made and rolls them when it is touched. Nodes are linked by one store and
 * announced by an intent before, since a live node that nobody reaches, or a freed one that somebody does, takes two stores each.
 */
#include "modules/pike/tree.h"

#include <errno.h>

#include "shm/intent.h"
#include "shm/lock.h"
#include "shm/recover.h"
#include "shm/slab.h"
#include "shm/slot.h"

#define ROOTS 512u /* first bytes: IPv4 0-255, IPv6 256-511 */
#define DEPTH_MAX 16u
#define HITS_MAX 0xffffffffu

struct node {
	_Atomic shm_ref child;   /* first of its list; written: holder of the root's lock */
	_Atomic shm_ref sibling;
	uint32_t unit;           /* in which the counts were made */
	uint32_t last_s;         /* last hit */
	uint32_t hits[2];        /* previous and current unit; on a full address they count against the limit */
	uint8_t byte, depth;     /* depth 0: first byte */
	uint8_t blocked, pad;
};

struct root {
	struct shm_lock lock; /* guards all nodes below */
	_Atomic shm_ref node;
};

struct tree {
	struct pike_limits limits;
	struct root root[ROOTS];
};

static struct {
	struct tree *tree;
	int op_link, op_unlink;
	shm_ref spare; /* of this process: allocated before it is needed, since nothing is allocated under a lock */
	int spare_pid;
} g;

/* ---- links ---- */

static void list_push(_Atomic shm_ref *head, struct node *n)
{
	atomic_store_explicit(&n->sibling, atomic_load_explicit(head, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(head, shm_ref_of(n), memory_order_release);
}

/* Returns whether it was there. */
static bool list_remove(_Atomic shm_ref *head, shm_ref ref)
{
	struct node *n;

	for (; *head; head = &n->sibling) {
		n = shm_ptr(*head);
		if (*head == ref) {
			atomic_store_explicit(head, atomic_load(&n->sibling), memory_order_release);
			return true;
		}
	}
	return false;
}

static bool list_has(const _Atomic shm_ref *head, shm_ref ref)
{
	for (; *head; head = &((const struct node *)shm_ptr(*head))->sibling) {
		if (*head == ref)
			return true;
	}
	return false;
}

static _Atomic shm_ref *head_of(uint64_t root, shm_ref parent)
{
	return parent ? &((struct node *)shm_ptr(parent))->child : &g.tree->root[root].node;
}

/* args: root, parent (0: the root itself), node */
static int redo_link(const struct shm_intent *in)
{
	_Atomic shm_ref *head = head_of(in->arg[0], (shm_ref)in->arg[1]);
	struct node *n = shm_ptr((shm_ref)in->arg[2]);

	if (!n)
		return -EINVAL;
	if (!list_has(head, (shm_ref)in->arg[2]))
		list_push(head, n);
	shm_publish(n);
	return 0;
}

/*
 * A linked node that is still live: nothing was done, and it stays. One in limbo goes from its list, and is freed with that limbo. One that
 * is in no list was dealt with before, and its memory may be another's by now: hands off.
 */
static int redo_unlink(const struct shm_intent *in)
{
	_Atomic shm_ref *head = head_of(in->arg[0], (shm_ref)in->arg[1]);
	shm_ref ref = (shm_ref)in->arg[2];

	if (list_has(head, ref) && !shm_is_live(shm_ptr(ref)))
		(void)list_remove(head, ref);
	return 0;
}

static void link_node(unsigned root, shm_ref parent, struct node *n)
{
	uint64_t args[3] = { root, parent, shm_ref_of(n) };

	shm_intent_begin(g.op_link, args, 3);
	CRASH_POINT("pike.link.before");
	list_push(head_of(root, parent), n);
	CRASH_POINT("pike.link.linked");
	shm_publish(n);
	shm_intent_end();
}

/* Childless nodes only; the caller frees it without the lock. */
static void unlink_node(unsigned root, shm_ref parent, struct node *n)
{
	uint64_t args[3] = { root, parent, shm_ref_of(n) };

	shm_intent_begin(g.op_unlink, args, 3);
	CRASH_POINT("pike.unlink.before");
	shm_retire(n);
	CRASH_POINT("pike.unlink.retired");
	(void)list_remove(head_of(root, parent), shm_ref_of(n));
	CRASH_POINT("pike.unlink.unlinked");
	shm_intent_end();
}

/* ---- counts ---- */

static uint32_t unit_of(uint64_t now_s)
{
	return (uint32_t)(now_s / g.tree->limits.unit_s);
}

static void roll(struct node *n, uint32_t unit)
{
	if (n->unit == unit)
		return;
	n->hits[0] = n->unit + 1 == unit ? n->hits[1] : 0;
	n->hits[1] = 0;
	n->unit = unit;
}

static bool reached(const uint32_t hits[2], unsigned limit)
{
	return hits[0] >= limit || hits[1] >= limit || ((uint64_t)hits[0] + hits[1]) / 2 >= limit;
}

static bool is_hot(const struct node *n)
{
	return reached(n->hits, g.tree->limits.limit);
}

static unsigned addr_len(const struct net_addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

static unsigned root_of(const struct net_addr *a)
{
	return (a->family == AF_INET6 ? 256u : 0u) + a->ip[0];
}

static struct node *child_find(_Atomic shm_ref *head, uint8_t byte)
{
	struct node *n;

	for (shm_ref r = atomic_load_explicit(head, memory_order_acquire); r; r = atomic_load_explicit(&n->sibling, memory_order_acquire)) {
		n = shm_ptr(r);
		if (n->byte == byte)
			return n;
	}
	return NULL;
}

static struct node *spare_take(void)
{
	struct node *n = shm_ptr(g.spare);

	g.spare = SHM_NONE;
	return n;
}

static void spare_fill(void)
{
	if (g.spare_pid != shm_slot_self()) { /* a fork inherited the parent's */
		g.spare = SHM_NONE;
		g.spare_pid = shm_slot_self();
	}
	if (!g.spare)
		g.spare = shm_ref_of(shm_zalloc(sizeof(struct node)));
}

void pike_tree_leave(void)
{
	if (g.spare_pid == shm_slot_self())
		shm_free(shm_ptr(g.spare));
	g.spare = SHM_NONE;
}

static void grow(unsigned root, struct node *parent, uint8_t byte, unsigned depth, uint64_t now_s)
{
	struct node *n = spare_take();

	if (!n)
		return; /* the arena is full: count on without more detail */
	*n = (struct node){ .unit = unit_of(now_s), .last_s = (uint32_t)now_s, .byte = byte, .depth = (uint8_t)depth };
	n->hits[1] = depth == 0 ? 1 : 0;
	link_node(root, shm_ref_of(parent), n);
}

enum pike_verdict pike_tree_hit(const struct net_addr *addr, uint64_t now_s, shm_ref *ret_node)
{
	unsigned root = root_of(addr), len = addr_len(addr), depth = 0;
	struct root *r = &g.tree->root[root];
	enum pike_verdict verdict = PIKE_OK;
	struct node *n, *kid;

	spare_fill();
	shm_lock_take(&r->lock, SHM_RANK_MODULE);
	n = child_find(&r->node, addr->ip[0]);
	if (!n) {
		grow(root, NULL, addr->ip[0], 0, now_s);
		goto out;
	}
	while (depth + 1 < len && (kid = child_find(&n->child, addr->ip[depth + 1]))) {
		n->last_s = (uint32_t)now_s;
		n = kid;
		depth++;
	}
	roll(n, unit_of(now_s));
	n->last_s = (uint32_t)now_s;
	*ret_node = shm_ref_of(n);
	if (n->hits[1] < HITS_MAX)
		n->hits[1]++;
	if (depth + 1 == len) {
		if (is_hot(n)) { /* no longer hot: the sweep says so and unblocks */
			verdict = n->blocked ? PIKE_BLOCKED : PIKE_NEWLY_BLOCKED;
			n->blocked = 1;
		}
	} else if (reached(n->hits, g.tree->limits.limit / 4 ? g.tree->limits.limit / 4 : 1)) {
		grow(root, n, addr->ip[depth + 1], depth + 1, now_s);
	}
out:
	shm_lock_drop(&r->lock);
	return verdict;
}

/* ---- sweeping and walking ---- */

struct sweep {
	unsigned root;
	uint64_t now_s;
	shm_ref freed[64], unblocked[64];
	unsigned n_freed, n_unblocked;
};

static void sweep_list(struct sweep *s, shm_ref parent)
{
	_Atomic shm_ref *head = head_of(s->root, parent);
	shm_ref next;

	for (shm_ref r = *head; r; r = next) {
		struct node *n = shm_ptr(r);

		next = n->sibling;
		sweep_list(s, r);
		roll(n, unit_of(s->now_s));
		if (n->blocked && !is_hot(n) && s->n_unblocked < ARRAY_LEN(s->unblocked)) {
			n->blocked = 0;
			s->unblocked[s->n_unblocked++] = r;
		}
		if (!n->child && !n->blocked && s->now_s > (uint64_t)n->last_s + g.tree->limits.latency_s &&
		    s->n_freed < ARRAY_LEN(s->freed)) {
			unlink_node(s->root, parent, n);
			s->freed[s->n_freed++] = r;
		}
	}
}

void pike_tree_sweep(unsigned *next, unsigned n, uint64_t now_s, void (*unblocked)(shm_ref node))
{
	for (; n > 0; n--, *next = (*next + 1) % ROOTS) {
		struct root *r = &g.tree->root[*next];
		struct sweep s = { .root = *next, .now_s = now_s };

		if (!atomic_load(&r->node))
			continue;
		shm_lock_take(&r->lock, SHM_RANK_MODULE);
		sweep_list(&s, SHM_NONE);
		shm_lock_drop(&r->lock);
		for (unsigned i = 0; i < s.n_unblocked; i++)
			unblocked(s.unblocked[i]);
		for (unsigned i = 0; i < s.n_freed; i++)
			shm_free(shm_ptr(s.freed[i]));
	}
}

struct walk {
	bool hot_only;
	uint64_t now_s;
	struct net_addr addr;
	struct pike_row *rows;
	unsigned n, cap;
};

static void walk_list(struct walk *w, const _Atomic shm_ref *head)
{
	struct node *n;

	for (shm_ref r = *head; r; r = n->sibling) {
		n = shm_ptr(r);
		w->addr.ip[n->depth] = n->byte;
		if (n->depth + 1u < addr_len(&w->addr)) {
			walk_list(w, &n->child);
			continue;
		}
		roll(n, unit_of(w->now_s));
		if ((w->hot_only && !is_hot(n)) || w->n == w->cap)
			continue;
		w->rows[w->n++] = (struct pike_row){
			.addr = w->addr,
			.hits_prev = n->hits[0],
			.hits_curr = n->hits[1],
			.expires_s = (int64_t)n->last_s + g.tree->limits.latency_s - (int64_t)w->now_s,
			.hot = is_hot(n),
		};
	}
}

unsigned pike_tree_rows(bool hot_only, uint64_t now_s, struct pike_row *rows, unsigned cap)
{
	struct walk w = { .hot_only = hot_only, .now_s = now_s, .rows = rows, .cap = cap };

	for (unsigned i = 0; i < ROOTS; i++) {
		struct root *r = &g.tree->root[i];

		if (!atomic_load(&r->node))
			continue;
		w.addr = (struct net_addr){ .family = i < 256 ? AF_INET : AF_INET6 };
		shm_lock_take(&r->lock, SHM_RANK_MODULE);
		walk_list(&w, &r->node);
		shm_lock_drop(&r->lock);
	}
	return w.n;
}

static unsigned count_blocked(const _Atomic shm_ref *head)
{
	const struct node *n;
	unsigned count = 0;

	for (shm_ref r = *head; r; r = n->sibling) {
		n = shm_ptr(r);
		count += n->blocked + count_blocked(&n->child);
	}
	return count;
}

unsigned pike_tree_n_blocked(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ROOTS; i++) {
		struct root *r = &g.tree->root[i];

		shm_lock_take(&r->lock, SHM_RANK_MODULE);
		count += count_blocked(&r->node);
		shm_lock_drop(&r->lock);
	}
	return count;
}

static int check_list(const _Atomic shm_ref *head, unsigned depth)
{
	const struct node *n;
	unsigned siblings = 0;

	for (shm_ref r = *head; r; r = n->sibling) {
		n = shm_ptr(r);
		if (n->depth != depth || depth >= DEPTH_MAX || ++siblings > 256 || !shm_is_live(n) || check_list(&n->child, depth + 1) < 0)
			return -EUCLEAN;
	}
	return 0;
}

int pike_tree_check(void)
{
	int err = 0;

	for (unsigned i = 0; i < ROOTS && err == 0; i++) {
		struct root *r = &g.tree->root[i];

		shm_lock_take(&r->lock, SHM_RANK_MODULE);
		err = check_list(&r->node, 0);
		shm_lock_drop(&r->lock);
	}
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
	for (unsigned i = 0; i < ROOTS; i++)
		shm_lock_init(&g.tree->root[i].lock);
	shm_publish(g.tree);
	err = shm_root_set("pike.tree", shm_ref_of(g.tree));
	if (err < 0)
		return err;
	g.op_link = shm_intent_register("pike.link", redo_link);
	g.op_unlink = shm_intent_register("pike.unlink", redo_unlink);
	if (g.op_link < 0 || g.op_unlink < 0)
		return -ENOSPC;
	return shm_check_register("pike", pike_tree_check);
}
