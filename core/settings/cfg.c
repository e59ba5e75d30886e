/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each entry holds its value twice and a version that says which one counts: a writer fills the other one and publishes
 * it by one store, so readers take no lock, and a writer that dies half-way has changed nothing. Writers exclude each other
 * by one lock. The directory (names, types, ranges) is private and made before forking, the same in every process; instances that
 * are made at run time have a bounded table of their own values beside it.
 */
#include "core/settings/cfg.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/pool.h"
#include "core/settings/cfg_priv.h"
#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slab.h"

struct cfg_state cfg_state;

int cfg_entry_find(struct str group, int id, struct str name)
{
	for (unsigned i = 0; i < cfg_state.n; i++) {
		const struct cfg_entry *e = &cfg_state.entries[i];

		if (e->id == id && str_eq(e->name, name) && str_eq(e->group, group))
			return (int)i;
	}
	return -1;
}

int cfg_declare(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc)
{
	struct cfg_entry *e;

	if (cfg_entry_find(group, id, name) >= 0)
		return -EEXIST;
	if (s.n > CFG_TEXT_MAX)
		return -EMSGSIZE;
	if (!cfg_state.entries)
		cfg_state.entries = calloc(CFG_MAX, sizeof(*cfg_state.entries));
	if (!cfg_state.entries || cfg_state.n == CFG_MAX || cfg_state.head)
		return -ENOSPC;
	e = &cfg_state.entries[cfg_state.n];
	*e = (struct cfg_entry){ .group = str_heap_dup(group), .name = str_heap_dup(name), .desc = str_heap_dup(desc), .id = id, .is_int = is_int,
				 .min = INT32_MIN, .max = INT32_MAX };
	e->first.i = i;
	e->first.n = s.s ? (uint32_t)s.n : CFG_NO_TEXT;
	if (s.n > 0)
		memcpy(e->first.s, s.s, s.n);
	if (!e->group.s || !e->name.s || !e->desc.s)
		return -ENOMEM;
	cfg_state.n++;
	return 0;
}

/* A value counts from one store on; that everybody hears of it follows. */
static int recover(unsigned slot)
{
	struct cfg_head *h = cfg_state.head;

	(void)slot; /* which values it changed is not known, and need not be */
	shm_lock_take(&h->lock, SHM_RANK_MODULE);
	for (unsigned i = 0; i < cfg_state.n; i++) {
		struct cfg_shared *e = &h->entry[i];
		uint32_t version = atomic_load_explicit(&e->version, memory_order_relaxed);

		atomic_store_explicit(&e->now, (int)e->cell[version & 1].i, memory_order_relaxed);
	}
	atomic_fetch_add(&h->generation, 1);
	shm_lock_drop(&h->lock);
	return 0;
}

int cfg_share(void)
{
	struct cfg_head *h;

	if (cfg_state.head || cfg_state.n == 0)
		return 0;
	h = shm_zalloc(sizeof(*h) + cfg_state.n * sizeof(h->entry[0]));
	if (!h)
		return -ENOSPC;
	shm_lock_init(&h->lock);
	for (unsigned i = 0; i < cfg_state.n; i++) {
		h->entry[i].cell[0] = cfg_state.entries[i].first;
		atomic_init(&h->entry[i].now, (int)cfg_state.entries[i].first.i);
	}
	if (shm_root_set("settings.cfg", shm_ref_of(h)) < 0 || shm_recover_register("settings.cfg", recover) < 0) {
		shm_free(h);
		return -ENOSPC;
	}
	shm_publish(h);
	cfg_state.head = h;
	return 0;
}

/* ---- cells ---- */

void cfg_read(const struct cfg_shared *e, struct cfg_cell *ret)
{
	uint32_t version;

	do {
		version = atomic_load_explicit(&e->version, memory_order_acquire);
		memcpy(ret, &e->cell[version & 1], sizeof(*ret));
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(&e->version, memory_order_relaxed) != version);
	if (ret->n > CFG_TEXT_MAX && ret->n != CFG_NO_TEXT)
		ret->n = CFG_TEXT_MAX;
}

void cfg_write_locked(struct cfg_shared *e, const struct cfg_cell *c)
{
	uint32_t version = atomic_load_explicit(&e->version, memory_order_relaxed);

	memcpy(&e->cell[(version + 1) & 1], c, sizeof(*c));
	atomic_store_explicit(&e->version, version + 1, memory_order_release);
	CRASH_POINT("cfg.write.published"); /* recover() does the rest */
	atomic_store_explicit(&e->now, (int)c->i, memory_order_relaxed);
	atomic_fetch_add(&cfg_state.head->generation, 1);
}

int cfg_cell_to_value(const struct cfg_entry *e, const struct cfg_cell *c, struct pool *pool, struct value *ret)
{
	struct str s;

	if (e->is_int) {
		*ret = value_int(c->i);
		return 0;
	}
	if (c->n == CFG_NO_TEXT) {
		*ret = value_null();
		return 0;
	}
	s = str_dup(pool, str_of(c->s, c->n));
	if (!s.s)
		return -ENOMEM;
	*ret = value_str(s);
	return 0;
}

int cfg_value_to_cell(const struct cfg_entry *e, const struct value *v, struct cfg_cell *ret)
{
	if (e->flags & CFG_READ_ONLY)
		return -EPERM;
	if (v->kind != (e->is_int ? VALUE_INT : VALUE_STR))
		return -EINVAL;
	if (v->kind == VALUE_STR && v->s.n > CFG_TEXT_MAX)
		return -EMSGSIZE;
	if (v->kind == VALUE_INT && (v->i < e->min || v->i > e->max))
		return -ERANGE;
	*ret = (struct cfg_cell){ 0 };
	if (v->kind == VALUE_INT) {
		ret->i = v->i;
		return 0;
	}
	ret->n = (uint32_t)v->s.n;
	if (ret->n > 0)
		memcpy(ret->s, v->s.s, ret->n);
	return 0;
}

/* ---- whose value ---- */

static struct cfg_own *own_find(unsigned entry, int id)
{
	for (unsigned i = 0; cfg_state.head && i < CFG_OWN_MAX; i++) {
		struct cfg_own *o = &cfg_state.head->own[i];

		if (atomic_load_explicit(&o->used, memory_order_acquire) && o->entry == entry && o->id == id)
			return o;
	}
	return NULL;
}

int cfg_target(struct str group, int id, struct str name, unsigned *ret_entry)
{
	int at = cfg_entry_find(group, id, name);

	if (at < 0 && id != 0 && cfg_instance_exists(group, id))
		at = cfg_entry_find(group, 0, name);
	if (at < 0)
		return -ENOENT;
	*ret_entry = (unsigned)at;
	return 0;
}

struct cfg_shared *cfg_value_of(unsigned entry, int id)
{
	struct cfg_own *o;

	if (cfg_state.entries[entry].id == id)
		return &cfg_state.head->entry[entry];
	o = own_find(entry, id);
	return o ? &o->value : NULL;
}

struct cfg_shared *cfg_value_make_locked(unsigned entry, int id)
{
	struct cfg_shared *v = cfg_value_of(entry, id);
	struct cfg_cell group;

	for (unsigned i = 0; !v && i < CFG_OWN_MAX; i++) {
		struct cfg_own *o = &cfg_state.head->own[i];

		if (atomic_load_explicit(&o->used, memory_order_relaxed))
			continue;
		o->entry = entry;
		o->id = id;
		cfg_read(&cfg_state.head->entry[entry], &group);
		o->value.cell[atomic_load_explicit(&o->value.version, memory_order_relaxed) & 1] = group;
		atomic_store_explicit(&o->used, 1, memory_order_release);
		v = &o->value;
	}
	return v;
}

void cfg_reset_locked(unsigned entry, int id)
{
	struct cfg_own *o;

	if (cfg_state.entries[entry].id == id) {
		cfg_write_locked(&cfg_state.head->entry[entry], &cfg_state.entries[entry].first);
		return;
	}
	o = own_find(entry, id);
	if (o)
		atomic_store_explicit(&o->used, 0, memory_order_release);
	atomic_fetch_add(&cfg_state.head->generation, 1);
}

/* ---- instances chosen by cfg_select(): private to the process ---- */

static struct {
	struct str group; /* of an entry */
	int id;
} selected[16];
static unsigned n_selected;

int cfg_select(struct str group, int id)
{
	unsigned k = 0, first = 0;

	if (!cfg_instance_exists(group, id))
		return -ENOENT;
	while (!str_eq(cfg_state.entries[first].group, group))
		first++;
	while (k < n_selected && !str_eq(selected[k].group, group))
		k++;
	if (k == ARRAY_LEN(selected))
		return -ENOSPC;
	selected[k].group = cfg_state.entries[first].group;
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

/* ---- values ---- */

int cfg_get(struct str group, int id, struct str name, struct pool *pool, struct value *ret)
{
	const struct cfg_shared *v = NULL;
	struct cfg_cell c;
	unsigned entry;

	if (id == 0)
		id = cfg_selected(group);
	if (cfg_target(group, id, name, &entry) < 0 && cfg_target(group, 0, name, &entry) < 0)
		return -ENOENT;
	if (!cfg_state.head)
		return cfg_cell_to_value(&cfg_state.entries[entry], &cfg_state.entries[entry].first, pool, ret);
	v = cfg_value_of(entry, id);
	cfg_read(v ? v : &cfg_state.head->entry[entry], &c);
	return cfg_cell_to_value(&cfg_state.entries[entry], &c, pool, ret);
}

int cfg_set(struct str group, int id, struct str name, const struct value *v)
{
	struct cfg_shared *to;
	struct cfg_cell c;
	unsigned entry;
	int err = cfg_state.head ? cfg_target(group, id, name, &entry) : -ENOENT;

	if (err == 0)
		err = cfg_value_to_cell(&cfg_state.entries[entry], v, &c);
	if (err < 0)
		return err;
	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	to = cfg_value_make_locked(entry, id);
	if (to)
		cfg_write_locked(to, &c);
	shm_lock_drop(&cfg_state.head->lock);
	return to ? 0 : -ENOSPC;
}

int cfg_reset(struct str group, int id, struct str name)
{
	unsigned entry;

	if (!cfg_state.head || cfg_target(group, id, name, &entry) < 0)
		return -ENOENT;
	if (cfg_state.entries[entry].flags & CFG_READ_ONLY)
		return -EPERM;
	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	cfg_reset_locked(entry, id);
	shm_lock_drop(&cfg_state.head->lock);
	return 0;
}

uint64_t cfg_generation(void)
{
	return cfg_state.head ? atomic_load(&cfg_state.head->generation) : 0;
}

const _Atomic int *cfg_int_at(struct str group, struct str name)
{
	int at = cfg_entry_find(group, 0, name);

	return at < 0 || !cfg_state.head || !cfg_state.entries[at].is_int ? NULL : &cfg_state.head->entry[at].now;
}

int cfg_at(unsigned i, struct cfg_info *ret_info)
{
	const struct cfg_entry *e = &cfg_state.entries[i];

	if (i >= cfg_state.n)
		return -ENOENT;
	*ret_info = (struct cfg_info){ e->group, e->name, e->desc, e->id, e->is_int, e->flags };
	return 0;
}

/* ---- instances ---- */

/* The first entry of a group; -1. */
static int group_find(struct str group)
{
	for (unsigned i = 0; i < cfg_state.n; i++)
		if (str_eq(cfg_state.entries[i].group, group))
			return (int)i;
	return -1;
}

static bool is_declared(struct str group, int id)
{
	for (unsigned i = 0; i < cfg_state.n; i++)
		if (cfg_state.entries[i].id == id && str_eq(cfg_state.entries[i].group, group))
			return true;
	return false;
}

static struct cfg_instance *instance_find(int group, int id)
{
	for (unsigned i = 0; cfg_state.head && i < CFG_INSTANCES_MAX; i++) {
		struct cfg_instance *in = &cfg_state.head->instance[i];

		if (atomic_load_explicit(&in->used, memory_order_acquire) && (int)in->entry == group && in->id == id)
			return in;
	}
	return NULL;
}

bool cfg_group_exists(struct str group)
{
	return group_find(group) >= 0;
}

bool cfg_instance_exists(struct str group, int id)
{
	int at = group_find(group);

	return at >= 0 && (id == 0 || is_declared(group, id) || instance_find(at, id));
}

int cfg_instance_add(struct str group, int id)
{
	int at = group_find(group), err = 0;
	struct cfg_instance *free_one = NULL;

	if (at < 0 || !cfg_state.head)
		return -ENOENT;
	if (is_declared(group, id))
		return 0;
	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	for (unsigned i = 0; i < CFG_INSTANCES_MAX; i++)
		if (!atomic_load_explicit(&cfg_state.head->instance[i].used, memory_order_relaxed))
			free_one = &cfg_state.head->instance[i];
	if (!instance_find(at, id)) {
		err = free_one ? 0 : -ENOSPC;
		if (free_one) {
			free_one->entry = (uint32_t)at;
			free_one->id = id;
			atomic_store_explicit(&free_one->used, 1, memory_order_release);
		}
	}
	shm_lock_drop(&cfg_state.head->lock);
	return err;
}

int cfg_instance_del(struct str group, int id)
{
	int at = group_find(group);
	struct cfg_instance *in;

	if (at >= 0 && (id == 0 || is_declared(group, id)))
		return -EPERM;
	if (at < 0 || !cfg_state.head)
		return -ENOENT;
	shm_lock_take(&cfg_state.head->lock, SHM_RANK_MODULE);
	in = instance_find(at, id);
	if (in) /* first: what is left of its values when this dies here is nobody's */
		atomic_store_explicit(&in->used, 0, memory_order_release);
	for (unsigned i = 0; in && i < CFG_OWN_MAX; i++) {
		struct cfg_own *o = &cfg_state.head->own[i];

		if (atomic_load_explicit(&o->used, memory_order_relaxed) && o->id == id && str_eq(cfg_state.entries[o->entry].group, group))
			atomic_store_explicit(&o->used, 0, memory_order_release);
	}
	atomic_fetch_add(&cfg_state.head->generation, 1);
	shm_lock_drop(&cfg_state.head->lock);
	return in ? 0 : -ENOENT;
}
