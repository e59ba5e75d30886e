/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Name tables. The index searches for a seed under which no two names share a slot (the names are
 * known before the first message, so the search is paid once) and doubles the slots when there is
 * none: a look-up is then one hash over the name and one comparison, whether the name is known or
 * not.
 */
#include "core/base/keyword.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "core/base/scan.h"

#define ROWS_MAX 4096u
#define SLOTS_MAX (1u << 18)
#define SEEDS_PER_SIZE 256u

static int order(struct str name, const char *entry)
{
	size_t i = 0;

	for (; i < name.n && entry[i]; i++) {
		int d = (unsigned char)char_lower(name.s[i]) - (unsigned char)char_lower(entry[i]);

		if (d)
			return d;
	}
	return i < name.n ? 1 : entry[i] ? -1 : 0;
}

static const struct keyword *search(const struct keyword *table, size_t n, struct str name)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = order(name, table[mid].name);

		if (d == 0)
			return &table[mid];
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

int keyword_ifind(const struct keyword *table, size_t n, struct str name)
{
	const struct keyword *k = search(table, n, name);

	return k ? k->id : -1;
}

int keyword_find(const struct keyword *table, size_t n, struct str name)
{
	const struct keyword *k = search(table, n, name);

	return k && memcmp(k->name, name.s, name.n) == 0 ? k->id : -1;
}

bool keyword_table_sound(const struct keyword *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].id < 0 ||
		    (i > 0 && order(str_lit(table[i - 1].name), table[i].name) >= 0))
			return false;
	return true;
}

static const char *row_name(const struct keyword_index *ix, size_t row)
{
	const char *name;

	memcpy(&name, ix->table + row * ix->stride + ix->name_off, sizeof(name));
	return name;
}

/* FNV-1a with a seed and a final mix. Folding with 0x20 joins some other characters too: same slot,
 * no more. */
static uint32_t slot_of(const struct keyword_index *ix, struct str name)
{
	unsigned fold = ix->icase ? 0x20u : 0u;
	uint32_t h = ix->seed ^ (uint32_t)name.n;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ ((unsigned char)name.s[i] | fold)) * 16777619u;
	h ^= h >> 15;
	return h * 0x9e3779b1u >> 8 & ix->mask;
}

static bool same(const struct keyword_index *ix, struct str a, struct str b)
{
	return ix->icase ? str_ieq(a, b) : str_eq(a, b);
}

/* 0; -EAGAIN when two names share a slot; -EEXIST. */
static int fill(struct keyword_index *ix)
{
	memset(ix->slots, 0, (ix->mask + (size_t)1) * sizeof(*ix->slots));
	for (size_t row = 0; row < ix->n; row++) {
		const char *name = row_name(ix, row);
		uint32_t slot;

		if (!name)
			continue;
		slot = slot_of(ix, str_lit(name));
		if (ix->slots[slot] != 0) {
			const char *other = row_name(ix, ix->slots[slot] - 1u);

			return same(ix, str_lit(name), str_lit(other)) ? -EEXIST : -EAGAIN;
		}
		ix->slots[slot] = (uint16_t)(row + 1);
	}
	return 0;
}

int keyword_index_init(struct keyword_index *ix, const void *table, size_t n, size_t stride,
                       size_t name_off, bool icase)
{
	uint32_t n_slots = 8;
	int err = -EAGAIN;

	if (n > ROWS_MAX || stride < sizeof(char *) || name_off > stride - sizeof(char *))
		return -EINVAL;
	*ix = (struct keyword_index){
		.table = table, .n = n, .stride = stride, .name_off = name_off, .icase = icase
	};
	while (n_slots < n * 2)
		n_slots *= 2;
	for (; err == -EAGAIN && n_slots <= SLOTS_MAX; n_slots *= 2) {
		free(ix->slots);
		ix->slots = malloc(n_slots * sizeof(*ix->slots));
		if (!ix->slots)
			return -ENOMEM;
		ix->mask = n_slots - 1;
		for (uint32_t i = 0; err == -EAGAIN && i < SEEDS_PER_SIZE; i++) {
			ix->seed = 0x811c9dc5u + i * 0x9e3779b9u;
			err = fill(ix);
		}
	}
	if (err < 0)
		keyword_index_done(ix);
	return err == -EAGAIN ? -EINVAL : err;
}

void keyword_index_done(struct keyword_index *ix)
{
	free(ix->slots);
	*ix = (struct keyword_index){ 0 };
}

int keyword_index_find(const struct keyword_index *ix, struct str name)
{
	unsigned row;

	if (!ix->slots)
		return -1;
	row = ix->slots[slot_of(ix, name)];
	if (row == 0 || !same(ix, str_lit(row_name(ix, row - 1u)), name))
		return -1;
	return (int)row - 1;
}
