/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One object per row in a shm_hash: header, key bytes, packed values. An entry never changes; a newer answer replaces it with one store, so a death
 * leaves the old or the new. Readers copy it out under the bucket's lock. A flush counts a generation up first, so that an answer that was on its way
 * from the database before the flush does not come back in after it.
 */
#include "modules/auth_db/cache.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/hashfn.h"
#include "shm/arena.h"
#include "shm/hash.h"
#include "shm/recover.h"
#include "shm/slab.h"

#define BUCKETS 1024u
#define KEY_MAX 1024u

struct entry {
	struct shm_hnode node;
	uint64_t made_s, until_s; /* monotonic; this and all the rest: once written */
	uint32_t bytes_n;         /* of the values */
	uint16_t key_n, user_n;   /* the user's name is the first part of the key */
	uint8_t found, n, pad[6];
	char bytes[];             /* key, then values */
};

struct packed { /* a value, unaligned; its text follows */
	int64_t i;
	double d;
	uint32_t n;
	uint8_t type;
};

struct root { /* "auth_db.cache" */
	_Atomic shm_ref hash;
	_Atomic uint32_t generation; /* written: cache_flush(); read: anyone */
};

static struct {
	struct root *root;
	struct shm_hash *hash;
	char buf[sizeof(struct entry) + KEY_MAX + CACHE_ITEM_MAX]; /* of this process: the last answer, or the next */
} g;

int cache_init(void)
{
	int err;

	g.root = shm_zalloc(sizeof(*g.root));
	if (!g.root)
		return -ENOSPC;
	shm_publish(g.root);
	err = shm_root_set("auth_db.cache", shm_ref_of(g.root));
	if (err < 0)
		return err;
	err = shm_hash_new(BUCKETS, &g.hash);
	if (err < 0)
		return err;
	atomic_store(&g.root->hash, shm_ref_of(g.hash));
	return shm_check_register("auth_db.cache", cache_check);
}

/* user, then the other parts, each behind its length: no two questions look alike. Returns the length, 0 when it is too long. */
static size_t key_write(const struct cache_key *k, char *out)
{
	const struct str parts[] = { k->user, k->domain, k->table, k->column };
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
		uint16_t len = (uint16_t)parts[i].n;

		if (parts[i].n > KEY_MAX || n + parts[i].n + sizeof(len) + 1 > KEY_MAX)
			return 0;
		if (parts[i].n)
			memcpy(out + n, parts[i].s, parts[i].n);
		n += parts[i].n;
		memcpy(out + n, &len, sizeof(len));
		n += sizeof(len);
	}
	out[n++] = (char)k->load;
	return n;
}

static const struct entry *entry_of(const struct shm_hnode *node)
{
	return (const struct entry *)(const void *)node;
}

static bool has_key(const struct shm_hnode *node, const void *key)
{
	const struct entry *e = entry_of(node);

	return str_eq(str_of(e->bytes, e->key_n), *(const struct str *)key);
}

static bool unpack(const char *p, size_t size, unsigned n, struct cache_row *ret)
{
	struct packed v;

	for (ret->n = 0; ret->n < n && ret->n < CACHE_VALS_MAX; ret->n++) {
		if (size < sizeof(v))
			return false;
		memcpy(&v, p, sizeof(v));
		if (v.n > size - sizeof(v))
			return false;
		ret->val[ret->n] = (struct db_val){ .type = v.type, .i = v.i, .d = v.d, .s = str_of(p + sizeof(v), v.n) };
		p += sizeof(v) + v.n;
		size -= sizeof(v) + v.n;
	}
	return true;
}

bool cache_find(const struct cache_key *key, uint64_t now_s, struct cache_row *ret)
{
	char key_bytes[KEY_MAX];
	struct str k = str_of(key_bytes, key_write(key, key_bytes));
	const struct shm_hnode *node;
	struct shm_hbucket *b;
	struct entry head;
	uint32_t hash;

	if (k.n == 0)
		return false;
	hash = hashfn32(k);
	b = shm_hash_lock(g.hash, hash);
	node = shm_hash_find_locked(b, hash, has_key, &k);
	if (!node || entry_of(node)->until_s <= now_s) {
		shm_hash_unlock(b);
		return false;
	}
	head = *entry_of(node);
	memcpy(g.buf, entry_of(node)->bytes + head.key_n, head.bytes_n);
	shm_hash_unlock(b);
	ret->found = head.found;
	ret->age_s = (int64_t)(now_s - head.made_s);
	return unpack(g.buf, head.bytes_n, head.n, ret);
}

uint32_t cache_generation(void)
{
	return atomic_load(&g.root->generation);
}

/* Returns the bytes taken, or -EMSGSIZE. */
static int pack(const struct cache_row *row, char *out)
{
	size_t used = 0;

	for (unsigned i = 0; i < row->n; i++) {
		const struct db_val *v = &row->val[i];
		bool text = v->type == DB_STR || v->type == DB_BLOB;
		struct packed p = { .i = v->i, .d = v->d, .type = (uint8_t)v->type };

		if (text && v->s.n > CACHE_ITEM_MAX)
			return -EMSGSIZE;
		p.n = text ? (uint32_t)v->s.n : 0;
		if (used + sizeof(p) + p.n > CACHE_ITEM_MAX)
			return -EMSGSIZE;
		memcpy(out + used, &p, sizeof(p));
		if (p.n)
			memcpy(out + used + sizeof(p), v->s.s, p.n);
		used += sizeof(p) + p.n;
	}
	return (int)used;
}

void cache_put(const struct cache_key *key, const struct cache_row *row, uint32_t generation, uint64_t now_s, unsigned ttl_s)
{
	char key_bytes[KEY_MAX];
	struct str k = str_of(key_bytes, key_write(key, key_bytes));
	int n = row->n <= CACHE_VALS_MAX ? pack(row, g.buf) : -EMSGSIZE;
	struct shm_hnode *old;
	struct shm_hbucket *b;
	struct entry *e;

	if (k.n == 0 || n < 0 || shm_hash_count(g.hash) >= CACHE_ITEMS_MAX)
		return;
	e = shm_alloc(sizeof(*e) + k.n + (size_t)n);
	if (!e)
		return;
	*e = (struct entry){ .node.hash = hashfn32(k), .made_s = now_s, .until_s = now_s + ttl_s, .bytes_n = (uint32_t)n,
		             .key_n = (uint16_t)k.n, .user_n = (uint16_t)key->user.n, .found = row->found, .n = (uint8_t)row->n };
	memcpy(e->bytes, k.s, k.n);
	memcpy(e->bytes + k.n, g.buf, (size_t)n);
	b = shm_hash_lock(g.hash, e->node.hash);
	if (cache_generation() != generation) { /* flushed meanwhile: this may be the old password */
		shm_hash_unlock(b);
		shm_free(e);
		return;
	}
	old = shm_hash_find_locked(b, e->node.hash, has_key, &k);
	if (old)
		shm_hash_replace_locked(g.hash, b, old, &e->node);
	else
		shm_hash_insert_locked(g.hash, b, &e->node);
	shm_hash_unlock(b);
	CRASH_POINT("auth_db.cache.put");
	shm_free(old);
	shm_hash_grow(g.hash);
}

/* ---- removing ---- */

struct doomed {
	struct str user;   /* s NULL: any */
	uint64_t over_at_s; /* 0: no matter */
};

static bool is_doomed(const struct shm_hnode *node, void *arg)
{
	const struct entry *e = entry_of(node);
	const struct doomed *d = arg;

	if (d->over_at_s)
		return e->until_s <= d->over_at_s;
	return !d->user.s || str_eq(str_of(e->bytes, e->user_n), d->user);
}

unsigned cache_flush(struct str user)
{
	struct doomed d = { .user = user.n ? user : STR_NULL };
	unsigned total = 0;

	atomic_fetch_add(&g.root->generation, 1);
	for (uint32_t i = 0; i < shm_hash_n_buckets(g.hash); i++)
		total += shm_hash_purge(g.hash, i, is_doomed, &d);
	return total;
}

void cache_sweep(uint32_t *next, unsigned n, uint64_t now_s)
{
	struct doomed d = { .over_at_s = now_s ? now_s : 1 };

	for (; n > 0; n--) {
		if (*next >= shm_hash_n_buckets(g.hash))
			*next = 0;
		(void)shm_hash_purge(g.hash, (*next)++, is_doomed, &d);
	}
}

uint64_t cache_count(void)
{
	return shm_hash_count(g.hash);
}

static int check_entry(struct shm_hnode *node, void *arg)
{
	const struct entry *e = entry_of(node);
	struct cache_row row;

	(void)arg;
	if (sizeof(*e) + e->key_n + (size_t)e->bytes_n > shm_size_of(e) || e->user_n > e->key_n || e->bytes_n > CACHE_ITEM_MAX ||
	    hashfn32(str_of(e->bytes, e->key_n)) != node->hash || !unpack(e->bytes + e->key_n, e->bytes_n, e->n, &row))
		return -EUCLEAN;
	return 0;
}

int cache_check(void)
{
	int err = 0;

	for (uint32_t i = 0; g.hash && i < shm_hash_n_buckets(g.hash) && err == 0; i++)
		err = shm_hash_walk(g.hash, i, check_entry, NULL);
	return err;
}
