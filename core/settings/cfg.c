/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each entry holds its value twice and a version that says which one counts: a writer fills the other one and publishes
 * it by one store, so readers take no lock, and a writer that dies half-way has changed nothing. Writers exclude each other
 * by one lock. The directory (names, types) is private and made before forking, the same in every process.
 */
#include "core/settings/cfg.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/pool.h"
#include "shm/arena.h"
#include "shm/lock.h"
#include "shm/slab.h"

#define CFG_MAX 1024u

struct cell {
	int64_t i;
	uint32_t n;
	char s[CFG_TEXT_MAX + 1];
};

struct shared { /* in the arena */
	_Atomic uint32_t version; /* written: lock holder; read: anyone. Low bit: which cell counts */
	_Atomic int now;          /* the number, for cfg_int_at() */
	struct cell cell[2];      /* written: lock holder, the one that does not count */
};

struct head { /* in the arena */
	struct shm_lock lock; /* rank SHM_RANK_MODULE */
	_Atomic uint64_t generation;
	struct shared entry[];
};

struct entry { /* private */
	struct str group, name, desc;
	int id;
	bool is_int;
	struct cell first;
};

static struct {
	struct entry *entries;
	unsigned n;
	struct head *head;
} cfg;

static int find(struct str group, int id, struct str name)
{
	unsigned i;

	for (i = 0; i < cfg.n; i++)
		if (cfg.entries[i].id == id && str_eq(cfg.entries[i].name, name) && str_eq(cfg.entries[i].group, group))
			return (int)i;
	return -1;
}

static struct str keep(struct str s)
{
	char *p = malloc(s.n + 1);

	if (!p)
		return STR_NULL;
	if (s.n > 0)
		memcpy(p, s.s, s.n);
	p[s.n] = '\0';
	return str_of(p, s.n);
}

int cfg_declare(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc)
{
	struct entry *e;

	if (find(group, id, name) >= 0)
		return -EEXIST;
	if (s.n > CFG_TEXT_MAX)
		return -EMSGSIZE;
	if (!cfg.entries)
		cfg.entries = calloc(CFG_MAX, sizeof(*cfg.entries));
	if (!cfg.entries || cfg.n == CFG_MAX || cfg.head)
		return -ENOSPC;
	e = &cfg.entries[cfg.n];
	e->group = keep(group);
	e->name = keep(name);
	e->desc = keep(desc);
	e->id = id;
	e->is_int = is_int;
	e->first.i = i;
	e->first.n = (uint32_t)s.n;
	if (s.n > 0)
		memcpy(e->first.s, s.s, s.n);
	if (!e->group.s || !e->name.s || !e->desc.s)
		return -ENOMEM;
	cfg.n++;
	return 0;
}

int cfg_share(void)
{
	struct head *h;
	unsigned i;

	if (cfg.head || cfg.n == 0)
		return 0;
	h = shm_zalloc(sizeof(*h) + cfg.n * sizeof(h->entry[0]));
	if (!h)
		return -ENOSPC;
	shm_lock_init(&h->lock);
	for (i = 0; i < cfg.n; i++) {
		h->entry[i].cell[0] = cfg.entries[i].first;
		atomic_init(&h->entry[i].now, (int)cfg.entries[i].first.i);
	}
	if (shm_root_set("settings.cfg", shm_ref_of(h)) < 0) {
		shm_free(h);
		return -ENOSPC;
	}
	shm_publish(h);
	cfg.head = h;
	return 0;
}

static void read_cell(unsigned at, struct cell *ret)
{
	struct shared *e = &cfg.head->entry[at];
	uint32_t version;

	do {
		version = atomic_load_explicit(&e->version, memory_order_acquire);
		memcpy(ret, &e->cell[version & 1], sizeof(*ret));
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(&e->version, memory_order_relaxed) != version);
	if (ret->n > CFG_TEXT_MAX)
		ret->n = CFG_TEXT_MAX;
}

/* ---- instances chosen by cfg_select(): private to the process ---- */

static struct {
	struct str group; /* of an entry */
	int id;
} selected[16];
static unsigned n_selected;

int cfg_select(struct str group, int id)
{
	unsigned i, k;

	for (i = 0; i < cfg.n; i++)
		if (cfg.entries[i].id == id && str_eq(cfg.entries[i].group, group))
			break;
	if (i == cfg.n)
		return -ENOENT;
	for (k = 0; k < n_selected && !str_eq(selected[k].group, group); k++)
		;
	if (k == ARRAY_LEN(selected))
		return -ENOSPC;
	selected[k].group = cfg.entries[i].group;
	selected[k].id = id;
	if (k == n_selected)
		n_selected++;
	return 0;
}

int cfg_selected(struct str group)
{
	for (unsigned i = 0; i < n_selected; i++)
		if (str_eq(selected[i].group, group))
			return selected[i].id;
	return 0;
}

int cfg_get(struct str group, int id, struct str name, struct pool *pool, struct value *ret)
{
	struct cell c;
	struct str s;
	int at;

	if (id == 0)
		id = cfg_selected(group);
	at = find(group, id, name);
	if (at < 0 && id != 0)
		at = find(group, 0, name);
	if (at < 0)
		return -ENOENT;
	if (cfg.head)
		read_cell((unsigned)at, &c);
	else
		c = cfg.entries[at].first;
	if (cfg.entries[at].is_int) {
		*ret = value_int(c.i);
		return 0;
	}
	s = str_dup(pool, str_of(c.s, c.n));
	if (!s.s)
		return -ENOMEM;
	*ret = value_str(s);
	return 0;
}

static void write_cell(unsigned at, const struct cell *c)
{
	struct shared *e = &cfg.head->entry[at];
	uint32_t version;

	shm_lock_take(&cfg.head->lock, SHM_RANK_MODULE);
	version = atomic_load_explicit(&e->version, memory_order_relaxed);
	memcpy(&e->cell[(version + 1) & 1], c, sizeof(*c));
	atomic_store_explicit(&e->version, version + 1, memory_order_release);
	atomic_store_explicit(&e->now, (int)c->i, memory_order_relaxed);
	atomic_fetch_add(&cfg.head->generation, 1);
	shm_lock_drop(&cfg.head->lock);
}

int cfg_set(struct str group, int id, struct str name, const struct value *v)
{
	struct cell c = { 0 };
	int at = find(group, id, name);

	if (at < 0 || !cfg.head)
		return -ENOENT;
	if (v->kind != (cfg.entries[at].is_int ? VALUE_INT : VALUE_STR))
		return -EINVAL;
	if (v->kind == VALUE_STR && v->s.n > CFG_TEXT_MAX)
		return -EMSGSIZE;
	c.i = v->kind == VALUE_INT ? v->i : 0;
	c.n = v->kind == VALUE_STR ? (uint32_t)v->s.n : 0;
	if (c.n > 0)
		memcpy(c.s, v->s.s, c.n);
	write_cell((unsigned)at, &c);
	return 0;
}

int cfg_reset(struct str group, int id, struct str name)
{
	int at = find(group, id, name);

	if (at < 0 || !cfg.head)
		return -ENOENT;
	write_cell((unsigned)at, &cfg.entries[at].first);
	return 0;
}

uint64_t cfg_generation(void)
{
	return cfg.head ? atomic_load(&cfg.head->generation) : 0;
}

const _Atomic int *cfg_int_at(struct str group, struct str name)
{
	int at = find(group, 0, name);

	return at < 0 || !cfg.head || !cfg.entries[at].is_int ? NULL : &cfg.head->entry[at].now;
}

int cfg_at(unsigned i, struct cfg_info *ret_info)
{
	if (i >= cfg.n)
		return -ENOENT;
	*ret_info = (struct cfg_info){ cfg.entries[i].group, cfg.entries[i].name, cfg.entries[i].desc, cfg.entries[i].id,
				       cfg.entries[i].is_int };
	return 0;
}
