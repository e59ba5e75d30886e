/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The location tables: their names, their counters, and how the store behind them begins and is mended. A table is known by
 * name before the start only, since its memory and its counters are made before the processes are forked.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "core/pv/stat.h"
#include "modules/usrloc/ul_store.h"
#include "shm/counter.h"
#include "shm/recover.h"

static struct {
	struct ul_domain domain[UL_DOMAINS_MAX];
	unsigned n_domains;
	bool ready;
	int c_registered;
} tables;

unsigned ul_domain_count(void)
{
	return tables.n_domains;
}

struct ul_domain *ul_domain_at(unsigned i)
{
	return i < tables.n_domains ? &tables.domain[i] : NULL;
}

bool ul_store_ready(void)
{
	return tables.ready;
}

struct ul_domain *ul_domain_find(struct str name)
{
	for (unsigned i = 0; i < tables.n_domains; i++)
		if (str_eq(tables.domain[i].name, name))
			return &tables.domain[i];
	return NULL;
}

int ul_domain_get(struct str name, struct ul_domain **ret_domain, struct diag *reterr)
{
	struct ul_domain *d = ul_domain_find(name);

	if (d) {
		*ret_domain = d;
		return 0;
	}
	if (name.n == 0 || name.n >= sizeof(d->name_mem))
		return diag_err(reterr, -EINVAL, 0, "a location table needs a name of 1 to %zu bytes", sizeof(d->name_mem) - 1);
	if (tables.ready)
		return diag_err(reterr, -ENOENT, 0, "location table \"%.*s\" is not known since the start: a restart is needed",
				STR_FMT(name));
	if (tables.n_domains == UL_DOMAINS_MAX)
		return diag_err(reterr, -ENOSPC, 0, "more than %u location tables", UL_DOMAINS_MAX);
	d = &tables.domain[tables.n_domains];
	memcpy(d->name_mem, name.s, name.n);
	d->name_mem[name.n] = 0;
	d->name = str_of(d->name_mem, name.n);
	d->index = tables.n_domains++;
	*ret_domain = d;
	return 0;
}

bool ul_loading(const struct ul_domain *d)
{
	return atomic_load_explicit(&d->progress->loading, memory_order_acquire) != 0;
}

static int domain_stat(struct ul_domain *d, unsigned i, const char *what)
{
	int id;

	snprintf(d->stat_name[i], sizeof(d->stat_name[i]), "%.*s%c%s", STR_FMT(d->name), stat_separator(), what);
	id = shm_counter_register("usrloc", d->stat_name[i]);
	if (i < 2)
		shm_counter_keep(id);
	return id;
}

void ul_users_add(const struct ul_domain *d, int n)
{
	shm_counter_add(d->c_users, n);
	shm_counter_add(tables.c_registered, n);
}

/* AoRs are counted by the table as well, cell by cell, and that count is exact after a death. */
static int users_recover(unsigned slot)
{
	int64_t all = 0;

	for (unsigned i = 0; i < tables.n_domains; i++) {
		const struct ul_domain *d = &tables.domain[i];
		int64_t n = d->hash ? shm_hash_count_of(d->hash, slot) : 0;

		shm_counter_set_of(d->c_users, slot, n);
		all += n;
	}
	shm_counter_set_of(tables.c_registered, slot, all);
	return 0;
}

int ul_store_init(void)
{
	uint32_t buckets = ul_conf.hash_size <= 1 ? 512 : (uint32_t)1 << ul_conf.hash_size;
	int err;

	if (buckets < 16)
		buckets = 16;
	err = ul_cells_init();
	if (err == 0)
		err = ul_chain_init();
	if (err < 0)
		return err;
	tables.c_registered = shm_counter_register("usrloc", "registered_users");
	if (tables.c_registered < 0)
		return tables.c_registered;
	shm_counter_keep(tables.c_registered);
	for (unsigned i = 0; i < tables.n_domains; i++) {
		struct ul_domain *d = &tables.domain[i];

		err = shm_hash_new(buckets, &d->hash);
		if (err < 0)
			return err;
		d->progress = shm_zalloc(sizeof(*d->progress));
		if (!d->progress)
			return -ENOSPC;
		atomic_store_explicit(&d->progress->last_id, -1, memory_order_relaxed);
		shm_publish(d->progress);
		d->c_users = domain_stat(d, 0, "users");
		d->c_contacts = domain_stat(d, 1, "contacts");
		d->c_expires = domain_stat(d, 2, "expires");
		if (d->c_users < 0 || d->c_contacts < 0 || d->c_expires < 0)
			return -ENOSPC;
	}
	err = shm_recover_register("usrloc", users_recover);
	if (err < 0)
		return err;
	tables.ready = true;
	return 0;
}
