/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table is a shm_hash of items; an item is one object: header, key, text. A number is changed in place, by single stores under the bucket's
 * lock, so that counters cost no memory traffic; everything else replaces the item by a new one, with the one store of shm_hash_replace_locked(). So
 * nobody who dies in between leaves half a value, and nothing here needs an intent of its own.
 *
 * What is allocated is allocated before the lock is taken, and what was removed is freed after: when it turns out under the lock that memory is
 * needed, the lock is given back and the operation starts again.
 */
#include "modules/htable/table.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/hashfn.h"
#include "shm/arena.h"
#include "shm/slab.h"
#include "shm/slot.h"

#define SNAP_FIRST 4096u
#define SCRATCH_FIRST 1024u

enum item_type { ITEM_INT, ITEM_STR };

struct item {
	struct shm_hnode node;
	_Atomic int64_t number;   /* ITEM_INT; written and read: holder of the bucket's lock, as are the next two */
	_Atomic uint32_t expire_s; /* wall clock; 0: never */
	_Atomic uint32_t gen;
	uint32_t text_n;          /* this and the rest: once written */
	uint16_t key_n;
	uint8_t type, pad;
	char bytes[];             /* key, then text */
};

_Static_assert(sizeof(struct item) == 32, "an item costs 32 bytes and its strings");

struct dir { /* root "htable" */
	uint32_t cap;
	_Atomic uint32_t n;       /* grows; written: supervisor, then rpcd */
	_Atomic uint32_t init_done;
	struct ht_shared table[];
};

static struct {
	struct ht_table table[HT_TABLES_MAX];
	unsigned n;
	struct dir *dir;
	char *scratch; /* of this process: the text that ht_get() gives out */
	size_t scratch_cap;
} g;

/* ---- the set of tables ---- */

int ht_table_add(const struct ht_def *def, struct str text)
{
	if (ht_table_find(def->name))
		return -EEXIST;
	if (g.n == HT_TABLES_MAX)
		return -ENOSPC;
	g.table[g.n++] = (struct ht_table){ .def = *def, .text = text };
	return 0;
}

static uint32_t n_buckets(const struct ht_def *def)
{
	return def->n_slots < 16 ? 16 : def->n_slots > 1u << 20 ? 1u << 20 : def->n_slots;
}

static struct ht_shared *shared_find(struct str name)
{
	uint32_t n = atomic_load_explicit(&g.dir->n, memory_order_acquire);

	for (uint32_t i = 0; i < n; i++)
		if (str_eq(str_lit(g.dir->table[i].name), name))
			return &g.dir->table[i];
	return NULL;
}

/* One store publishes it. Who dies before leaves an empty table that nobody finds. */
static int shared_new(const struct ht_def *def, struct ht_shared **ret)
{
	uint32_t n = atomic_load(&g.dir->n);
	struct ht_shared *s = &g.dir->table[n];
	struct shm_hash *hash;
	int err;

	if (n == g.dir->cap)
		return -ENOSPC;
	err = shm_hash_new(n_buckets(def), &hash);
	if (err < 0)
		return err;
	CRASH_POINT("htable.add.before");
	memcpy(s->name, def->name.s, def->name.n);
	s->name[def->name.n] = '\0';
	atomic_store(&s->hash, shm_ref_of(hash));
	atomic_store_explicit(&g.dir->n, n + 1, memory_order_release);
	CRASH_POINT("htable.add.after");
	*ret = s;
	return 0;
}

int ht_table_adopt(const struct ht_def *def, struct str text, bool create)
{
	struct ht_shared *shared;
	int err;

	if (def->name.n >= sizeof(shared->name))
		return -ENAMETOOLONG;
	if (g.n == HT_TABLES_MAX)
		return -ENOSPC;
	shared = shared_find(def->name);
	if (!shared) {
		err = create ? shared_new(def, &shared) : -ENOENT;
		if (err < 0)
			return err;
	}
	g.table[g.n++] = (struct ht_table){ .def = *def, .text = text, .pending = true, .shared = shared,
					    .hash = shm_ptr(atomic_load(&shared->hash)) };
	return 0;
}

int ht_tables_init(void)
{
	int err;

	g.dir = shm_zalloc(sizeof(*g.dir) + (g.n + HT_TABLES_ADDED) * sizeof(g.dir->table[0]));
	if (!g.dir)
		return -ENOSPC;
	g.dir->n = g.n;
	g.dir->cap = g.n + HT_TABLES_ADDED;
	shm_publish(g.dir);
	err = shm_root_set("htable", shm_ref_of(g.dir));
	for (unsigned i = 0; err == 0 && i < g.n; i++) {
		struct ht_table *t = &g.table[i];

		t->shared = &g.dir->table[i];
		err = shm_hash_new(n_buckets(&t->def), &t->hash);
		if (err == 0)
			atomic_store(&t->shared->hash, shm_ref_of(t->hash));
	}
	return err;
}

unsigned ht_table_count(void)
{
	return g.n;
}

struct ht_table *ht_table_at(unsigned i)
{
	return i < g.n ? &g.table[i] : NULL;
}

struct ht_table *ht_table_find(struct str name)
{
	for (unsigned i = 0; i < g.n; i++) {
		if (str_eq(g.table[i].def.name, name))
			return &g.table[i];
	}
	return NULL;
}

_Atomic uint32_t *ht_init_done(void)
{
	return &g.dir->init_done;
}

/* ---- items ---- */

static struct item *item_of(struct shm_hnode *node)
{
	return (struct item *)(void *)node;
}

static struct str key_of(const struct item *it)
{
	return str_of(it->bytes, it->key_n);
}

static struct str text_of(const struct item *it)
{
	return str_of(it->bytes + it->key_n, it->text_n);
}

static bool has_key(const struct shm_hnode *node, const void *key)
{
	return str_eq(key_of((const struct item *)(const void *)node), *(const struct str *)key);
}

static bool is_expired(const struct item *it, int64_t now_s)
{
	uint32_t e = atomic_load_explicit(&it->expire_s, memory_order_relaxed);

	return e != 0 && e < now_s;
}

static uint32_t expiry(const struct ht_table *t, int64_t ttl_s, int64_t now_s)
{
	int64_t at;

	if (t->def.autoexpire_s == 0)
		return 0;
	if (ttl_s > UINT32_MAX)
		ttl_s = UINT32_MAX;
	at = now_s + (ttl_s < 0 ? (int64_t)t->def.autoexpire_s : ttl_s);
	return at < 1 ? 1 : at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

static uint32_t gen_of(const struct ht_table *t)
{
	return atomic_load_explicit(&t->shared->gen, memory_order_relaxed);
}

/* In limbo: the caller inserts or frees it. */
static struct item *item_new(const struct ht_table *t, struct str key, uint32_t hash, const struct value *v, uint32_t expire_s)
{
	size_t text_n = v->kind == VALUE_STR ? v->s.n : 0;
	struct item *it = shm_alloc(sizeof(*it) + key.n + text_n);

	if (!it)
		return NULL;
	*it = (struct item){ .node.hash = hash, .expire_s = expire_s, .gen = gen_of(t), .key_n = (uint16_t)key.n, .text_n = (uint32_t)text_n };
	it->type = v->kind == VALUE_STR ? ITEM_STR : ITEM_INT;
	atomic_store_explicit(&it->number, v->kind == VALUE_INT ? v->i : 0, memory_order_relaxed);
	if (key.n)
		memcpy(it->bytes, key.s, key.n);
	if (text_n)
		memcpy(it->bytes + key.n, v->s.s, text_n);
	return it;
}

static struct item *find_locked(const struct shm_hbucket *b, uint32_t hash, const struct str *key)
{
	struct shm_hnode *node = shm_hash_find_locked(b, hash, has_key, key);

	return node ? item_of(node) : NULL;
}

static void set_locked(struct item *it, int64_t number, uint32_t expire_s, uint32_t gen)
{
	/* three single stores: whoever reads after a death in between sees the old or the new of each, and each pair is a state that could have been */
	atomic_store_explicit(&it->number, number, memory_order_relaxed);
	CRASH_POINT("htable.set.number");
	atomic_store_explicit(&it->expire_s, expire_s, memory_order_relaxed);
	CRASH_POINT("htable.set.expire");
	atomic_store_explicit(&it->gen, gen, memory_order_relaxed);
}

static int scratch_fit(size_t n)
{
	size_t cap = g.scratch_cap ? g.scratch_cap : SCRATCH_FIRST;
	char *p;

	while (cap < n)
		cap *= 2;
	p = realloc(g.scratch, cap);
	if (!p)
		return -ENOMEM;
	g.scratch = p;
	g.scratch_cap = cap;
	return 0;
}

HOT int ht_get(struct ht_table *t, struct str key, int64_t now_s, struct value *ret)
{
	uint32_t hash = hashfn32(key);

	for (;;) {
		struct shm_hbucket *b = shm_hash_lock(t->hash, hash);
		const struct item *it = find_locked(b, hash, &key);
		size_t n;

		if (!it || is_expired(it, now_s)) {
			shm_hash_unlock(b);
			return 0;
		}
		if (it->type == ITEM_INT) {
			*ret = value_int(atomic_load_explicit(&it->number, memory_order_relaxed));
			shm_hash_unlock(b);
			return 1;
		}
		n = it->text_n;
		if (n <= g.scratch_cap) {
			if (n)
				memcpy(g.scratch, text_of(it).s, n);
			shm_hash_unlock(b);
			*ret = value_str(str_of(n ? g.scratch : "", n));
			return 1;
		}
		shm_hash_unlock(b);
		if (scratch_fit(n) < 0)
			return -ENOMEM;
	}
}

/* Puts `fresh` in the place of `old` (NULL: none) and ends the section. */
static void put_unlock(struct ht_table *t, struct shm_hbucket *b, struct item *old, struct item *fresh)
{
	atomic_store_explicit(&fresh->gen, gen_of(t), memory_order_relaxed); /* a reload may have begun since it was made */
	if (old)
		shm_hash_replace_locked(t->hash, b, &old->node, &fresh->node);
	else
		shm_hash_insert_locked(t->hash, b, &fresh->node);
	shm_hash_unlock(b);
	CRASH_POINT("htable.put.unlocked");
	if (old)
		shm_free(old);
	else
		shm_hash_grow(t->hash);
}

int ht_set(struct ht_table *t, struct str key, const struct value *v, int64_t ttl_s, int64_t now_s)
{
	uint32_t hash, at = expiry(t, ttl_s, now_s);
	struct item *old, *fresh = NULL;
	struct shm_hbucket *b;

	if (key.n > HT_KEY_MAX || (v->kind == VALUE_STR && v->s.n > HT_VALUE_MAX))
		return -EMSGSIZE;
	if (v->kind == VALUE_NULL)
		return -EINVAL;
	hash = hashfn32(key);
	if (v->kind == VALUE_STR) {
		fresh = item_new(t, key, hash, v, at);
		if (!fresh)
			return -ENOSPC;
	}
	for (;;) {
		uint32_t expire_s = at;

		b = shm_hash_lock(t->hash, hash);
		old = find_locked(b, hash, &key);
		if (old && ttl_s < 0 && !t->def.updateexpire && !is_expired(old, now_s))
			expire_s = atomic_load_explicit(&old->expire_s, memory_order_relaxed);
		if (old && old->type == ITEM_INT && v->kind == VALUE_INT) {
			set_locked(old, v->i, expire_s, gen_of(t));
			shm_hash_unlock(b);
			shm_free(fresh);
			return 0;
		}
		if (fresh) {
			atomic_store_explicit(&fresh->expire_s, expire_s, memory_order_relaxed);
			put_unlock(t, b, old, fresh);
			return 0;
		}
		shm_hash_unlock(b);
		fresh = item_new(t, key, hash, v, at);
		if (!fresh)
			return -ENOSPC;
	}
}

bool ht_del(struct ht_table *t, struct str key)
{
	uint32_t hash = hashfn32(key);
	struct shm_hbucket *b = shm_hash_lock(t->hash, hash);
	struct item *it = find_locked(b, hash, &key);

	if (it)
		(void)shm_hash_remove_locked(t->hash, b, &it->node);
	shm_hash_unlock(b);
	shm_free(it);
	return it != NULL;
}

static int64_t add_wrap(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

int ht_add(struct ht_table *t, struct str key, int64_t delta, int64_t now_s, struct value *ret)
{
	struct value first = value_int(add_wrap(t->def.initval, delta));
	uint32_t hash, at = expiry(t, HT_EXPIRE_RULE, now_s);
	struct item *it, *fresh = NULL;
	struct shm_hbucket *b;

	if (key.n > HT_KEY_MAX)
		return -EMSGSIZE;
	hash = hashfn32(key);
	for (;;) {
		bool dead;

		b = shm_hash_lock(t->hash, hash);
		it = find_locked(b, hash, &key);
		dead = it && is_expired(it, now_s);
		if ((!it || dead) && !t->def.has_initval) {
			*ret = value_null();
			break;
		}
		if (it && it->type == ITEM_INT) {
			int64_t n = dead ? first.i : add_wrap(atomic_load_explicit(&it->number, memory_order_relaxed), delta);

			set_locked(it, n, dead || t->def.updateexpire ? at : atomic_load_explicit(&it->expire_s, memory_order_relaxed),
			           gen_of(t));
			*ret = value_int(n);
			break;
		}
		if (it && !dead) {
			*ret = value_null(); /* a text */
			break;
		}
		if (fresh) {
			put_unlock(t, b, it, fresh);
			*ret = first;
			return 0;
		}
		shm_hash_unlock(b);
		fresh = item_new(t, key, hash, &first, at);
		if (!fresh)
			return -ENOSPC;
	}
	shm_hash_unlock(b);
	shm_free(fresh);
	return 0;
}

int64_t ht_ttl(struct ht_table *t, struct str key, int64_t now_s)
{
	uint32_t hash = hashfn32(key), at = 0;
	struct shm_hbucket *b = shm_hash_lock(t->hash, hash);
	const struct item *it = find_locked(b, hash, &key);

	if (it && !is_expired(it, now_s))
		at = atomic_load_explicit(&it->expire_s, memory_order_relaxed);
	shm_hash_unlock(b);
	return at ? at - now_s : 0;
}

bool ht_ttl_set(struct ht_table *t, struct str key, int64_t ttl_s, int64_t now_s)
{
	uint32_t hash = hashfn32(key);
	struct shm_hbucket *b;
	struct item *it;

	if (t->def.autoexpire_s == 0)
		return false;
	b = shm_hash_lock(t->hash, hash);
	it = find_locked(b, hash, &key);
	if (it)
		atomic_store_explicit(&it->expire_s, expiry(t, ttl_s < 0 ? 0 : ttl_s, now_s), memory_order_relaxed);
	shm_hash_unlock(b);
	return it != NULL;
}

/* ---- removing many ---- */

/* Which items go. */
struct doomed {
	bool all;
	uint32_t older_than_gen; /* 0: no matter */
	int64_t expired_at_s;    /* 0: no matter */
};

static bool is_doomed(const struct shm_hnode *node, void *arg)
{
	const struct item *it = (const struct item *)(const void *)node;
	const struct doomed *d = arg;

	return d->all || (d->expired_at_s && is_expired(it, d->expired_at_s)) ||
	       (d->older_than_gen && (int32_t)(atomic_load_explicit(&it->gen, memory_order_relaxed) - d->older_than_gen) < 0);
}

unsigned ht_expire_bucket(struct ht_table *t, uint32_t i, int64_t now_s)
{
	struct doomed d = { .expired_at_s = now_s };

	return shm_hash_purge(t->hash, i, is_doomed, &d);
}

void ht_reset_bucket(struct ht_table *t, uint32_t i)
{
	struct doomed d = { .all = true };

	(void)shm_hash_purge(t->hash, i, is_doomed, &d);
}

uint32_t ht_reload_begin(struct ht_table *t)
{
	uint32_t gen = atomic_fetch_add(&t->shared->gen, 1) + 1;

	return gen ? gen : atomic_fetch_add(&t->shared->gen, 1) + 1; /* 0 says "no matter" */
}

void ht_reload_sweep(struct ht_table *t, uint32_t i, uint32_t gen)
{
	struct doomed d = { .older_than_gen = gen };

	(void)shm_hash_purge(t->hash, i, is_doomed, &d);
}

void ht_reload_end(struct ht_table *t)
{
	atomic_fetch_add(&t->shared->n_reloaded, 1);
}

bool ht_expire_key(struct ht_table *t, struct str key, int64_t now_s)
{
	uint32_t hash = hashfn32(key);
	struct shm_hbucket *b = shm_hash_lock(t->hash, hash);
	struct item *it = find_locked(b, hash, &key);

	if (it && is_expired(it, now_s))
		(void)shm_hash_remove_locked(t->hash, b, &it->node);
	else
		it = NULL;
	shm_hash_unlock(b);
	shm_free(it);
	return it != NULL;
}

/* ---- copies ---- */

struct copy_row { /* in a snapshot, unaligned; key and text follow */
	int64_t number;
	uint32_t expire_s, text_n;
	uint16_t key_n;
	uint8_t type;
};

struct copying {
	struct ht_snap *snap;
	enum ht_filter filter;
	int64_t now_s;
	size_t need;
};

static int copy_item(struct shm_hnode *node, void *arg)
{
	const struct item *it = item_of(node);
	struct copying *c = arg;
	size_t bytes = (size_t)it->key_n + it->text_n, size = sizeof(struct copy_row) + bytes;

	if (!(c->filter & (is_expired(it, c->now_s) ? HT_EXPIRED : HT_LIVE)))
		return 0;
	c->need += size;
	if (c->need <= c->snap->cap) {
		struct copy_row r = {
			.number = atomic_load_explicit(&it->number, memory_order_relaxed),
			.expire_s = atomic_load_explicit(&it->expire_s, memory_order_relaxed),
			.text_n = it->text_n, .key_n = it->key_n, .type = it->type,
		};

		memcpy(c->snap->buf + c->snap->used, &r, sizeof(r));
		memcpy(c->snap->buf + c->snap->used + sizeof(r), it->bytes, bytes);
		c->snap->used += size;
		c->snap->n++;
	}
	return 0;
}

int ht_snap_bucket(struct ht_table *t, uint32_t i, enum ht_filter filter, int64_t now_s, struct ht_snap *snap)
{
	for (;;) {
		struct copying c = { .snap = snap, .filter = filter, .now_s = now_s };
		size_t cap = snap->cap ? snap->cap : SNAP_FIRST;
		char *p;

		snap->used = 0;
		snap->n = 0;
		(void)shm_hash_walk(t->hash, i, copy_item, &c);
		if (c.need <= snap->cap)
			return 0;
		while (cap < c.need)
			cap *= 2;
		p = realloc(snap->buf, cap);
		if (!p) {
			snap->used = 0;
			snap->n = 0;
			return -ENOMEM;
		}
		snap->buf = p;
		snap->cap = cap;
	}
}

bool ht_snap_next(const struct ht_snap *snap, size_t *pos, struct ht_row *ret)
{
	struct copy_row r;
	const char *p;

	if (*pos >= snap->used)
		return false;
	memcpy(&r, snap->buf + *pos, sizeof(r));
	p = snap->buf + *pos + sizeof(r);
	*ret = (struct ht_row){ .key = str_of(p, r.key_n), .expire_s = r.expire_s };
	ret->value = r.type == ITEM_INT ? value_int(r.number) : value_str(str_of(p + r.key_n, r.text_n));
	*pos += sizeof(r) + (size_t)r.key_n + r.text_n;
	return true;
}

void ht_snap_done(struct ht_snap *snap)
{
	free(snap->buf);
	*snap = (struct ht_snap){ 0 };
}

/* ---- advisory locks ---- */

ctx_lock_word *ht_lock_word(const struct ht_table *t, struct str key)
{
	return &t->shared->lock[hashfn32(key) % HT_LOCKS];
}

int ht_locks_recover(unsigned slot)
{
	for (unsigned i = 0; g.dir && i < g.dir->n; i++)
		ctx_lock_recover(g.dir->table[i].lock, HT_LOCKS, slot);
	return 0;
}

/* ---- checking ---- */

static int check_item(struct shm_hnode *node, void *arg)
{
	const struct item *it = item_of(node);

	(void)arg;
	if (sizeof(*it) + it->key_n + (size_t)it->text_n > shm_size_of(it) || it->type > ITEM_STR || (it->type == ITEM_INT && it->text_n) ||
	    hashfn32(key_of(it)) != node->hash)
		return -EUCLEAN;
	for (shm_ref r = atomic_load(&node->next); r;) { /* the bucket is locked: the rest of the chain stands still */
		struct shm_hnode *other = shm_ptr(r);

		if (other->hash == node->hash && str_eq(key_of(item_of(other)), key_of(it)))
			return -EUCLEAN;
		r = atomic_load(&other->next);
	}
	return 0;
}

int ht_check(void)
{
	int err = 0;

	for (unsigned i = 0; i < g.n && err == 0; i++) {
		struct ht_table *t = &g.table[i];

		if (!t->hash)
			continue;
		for (uint32_t b = 0; b < shm_hash_n_buckets(t->hash) && err == 0; b++)
			err = shm_hash_walk(t->hash, b, check_item, NULL);
	}
	return err;
}
