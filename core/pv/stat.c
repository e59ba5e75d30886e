/* SPDX-License-Identifier: BSD-2-Clause */
/* One view over counters in shared memory and computed numbers, by index and by name. */
#include "core/pv/stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/counter.h"

#define STAT_TABLES_MAX 64u

static struct {
	const struct stat_def *table[STAT_TABLES_MAX];
	unsigned n;
	char separator;
} reg = { .separator = '_' };

int stat_register(const struct stat_def *table)
{
	for (unsigned t = 0; t < reg.n; t++) {
		if (reg.table[t] == table)
			return 0;
	}
	if (reg.n == STAT_TABLES_MAX)
		return -ENOSPC;
	reg.table[reg.n++] = table;
	return 0;
}

int stat_at(unsigned i, struct stat_ref *ret)
{
	const char *group, *name;
	unsigned n = 0;

	if (shm_counter_at(i, &group, &name) == 0) {
		int id = shm_counter_register(group, name); /* the same pair gives the same id */

		if (id < 0)
			return -ENOENT;
		*ret = (struct stat_ref){ .group = group, .name = name, .counter = id };
		return 0;
	}
	while (n < i && shm_counter_at(n, &group, &name) == 0)
		n++;
	i -= n;
	for (unsigned t = 0; t < reg.n; t++) {
		for (const struct stat_def *d = reg.table[t]; d->group; d++) {
			if (i-- == 0) {
				*ret = (struct stat_ref){ .group = d->group, .name = d->name, .counter = -1, .def = d };
				return 0;
			}
		}
	}
	return -ENOENT;
}

static struct { /* made by the process that asks; nothing is registered after forking */
	struct stat_ref *ref;
	unsigned n;
} sorted;

static int by_name(const void *a, const void *b)
{
	const struct stat_ref *x = a, *y = b;
	int c = strcmp(x->group, y->group);

	return c ? c : strcmp(x->name, y->name);
}

static void sort_all(void)
{
	struct stat_ref ref;
	unsigned n = 0;

	while (stat_at(n, &ref) == 0)
		n++;
	if (n == sorted.n)
		return;
	free(sorted.ref);
	sorted.n = 0;
	sorted.ref = calloc(n, sizeof(ref));
	if (!sorted.ref)
		return;
	while (sorted.n < n && stat_at(sorted.n, &sorted.ref[sorted.n]) == 0)
		sorted.n++;
	qsort(sorted.ref, sorted.n, sizeof(ref), by_name);
}

int stat_sorted_at(unsigned i, struct stat_ref *ret)
{
	if (i == 0)
		sort_all();
	if (i >= sorted.n)
		return -ENOENT;
	*ret = sorted.ref[i];
	return 0;
}

void stat_separator_set(char c)
{
	reg.separator = c;
}

char stat_separator(void)
{
	return reg.separator;
}

int stat_find(struct str name, struct stat_ref *ret)
{
	ptrdiff_t sep = str_find_char(name, ':');
	struct str group = STR_NULL;
	struct stat_ref ref;

	if (sep < 0)
		sep = str_find_char(name, '.');
	if (sep >= 0) {
		group = str_sub(name, 0, (size_t)sep);
		name = str_sub(name, (size_t)sep + 1, name.n);
	}
	for (unsigned i = 0; stat_at(i, &ref) == 0; i++) {
		if (str_eq(str_lit(ref.name), name) && (sep < 0 || str_eq(str_lit(ref.group), group))) {
			*ret = ref;
			return 0;
		}
	}
	return -ENOENT;
}

int64_t stat_read(const struct stat_ref *ref)
{
	return ref->def ? ref->def->fn(ref->def->arg) : shm_counter_read(ref->counter);
}

bool stat_reset(const struct stat_ref *ref)
{
	return !ref->def && shm_counter_reset(ref->counter);
}
