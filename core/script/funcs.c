/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of functions: tables of core and modules, looked up by name and number of arguments when a script is
 * compiled; never while it runs. The last table registered wins. Also the words of core commands, and the nearest
 * known name for messages about unknown ones.
 */
#include "core/script/script_priv.h"

#define TABLES_MAX 256u

static struct {
	const char *module;
	const struct script_func *table;
} tables[TABLES_MAX];
static unsigned n_tables;

int script_funcs_register(const char *module, const struct script_func *table)
{
	unsigned i;

	for (i = 0; i < n_tables; i++)
		if (tables[i].table == table)
			return 0;
	if (n_tables == TABLES_MAX)
		return -ENOSPC;
	tables[n_tables].module = module;
	tables[n_tables++].table = table;
	return 0;
}

const struct script_func *script_func_find(struct str name, unsigned n_params, const char **ret_module)
{
	const struct script_func *f;
	unsigned t;

	for (t = n_tables; t-- > 0;) {
		for (f = tables[t].table; f->name; f++) {
			if (f->n_params == n_params && str_eq(name, str_lit(f->name))) {
				if (ret_module)
					*ret_module = tables[t].module;
				return f;
			}
		}
	}
	return NULL;
}

bool script_func_known(struct str name)
{
	const struct script_func *f;
	unsigned t;

	for (t = 0; t < n_tables; t++)
		for (f = tables[t].table; f->name; f++)
			if (str_eq(name, str_lit(f->name)))
				return true;
	return false;
}

const char *script_func_nearest(struct str name)
{
	static struct nearest near; /* the answer is used at once */
	const struct script_func *f;
	unsigned t;

	nearest_begin(&near, name);
	for (t = 0; t < n_tables; t++)
		for (f = tables[t].table; f->name; f++)
			nearest_try(&near, str_lit(f->name));
	return nearest_result(&near);
}

const struct command *command_find(struct str word)
{
	static const struct command commands[] = {
#define CMD(word, name, shape, onsend) { word, name, shape, onsend },
#include "core/script/commands.def"
#undef CMD
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eq(word, str_lit(commands[i].word)))
			return &commands[i];
	return NULL;
}

void nearest_begin(struct nearest *n, struct str want)
{
	n->want = want;
	n->best[0] = '\0';
	n->distance = (unsigned)(want.n / 3 + 1); /* more is another word */
	n->distance++;
}

/* Levenshtein distance over short names. */
static unsigned distance(struct str a, struct str b)
{
	unsigned row[64], i, j;

	if (a.n >= ARRAY_LEN(row) || b.n >= ARRAY_LEN(row))
		return ARRAY_LEN(row);
	for (j = 0; j <= b.n; j++)
		row[j] = j;
	for (i = 1; i <= a.n; i++) {
		unsigned diag = row[0];

		row[0] = i;
		for (j = 1; j <= b.n; j++) {
			unsigned up = row[j], best = diag + ((a.s[i - 1] | 0x20) != (b.s[j - 1] | 0x20));

			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diag = up;
			row[j] = best;
		}
	}
	return row[b.n];
}

void nearest_try(struct nearest *n, struct str name)
{
	unsigned d;

	if (name.n == 0 || name.n >= sizeof(n->best))
		return;
	d = distance(n->want, name);
	if (d < n->distance) {
		n->distance = d;
		memcpy(n->best, name.s, name.n);
		n->best[name.n] = '\0';
	}
}

const char *nearest_result(const struct nearest *n)
{
	return n->best[0] ? n->best : NULL;
}
