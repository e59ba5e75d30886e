/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of message flags, declared by `flags a, b:5`, and of flags of attributes, `avpflags c`: two sets that know nothing of
 * each other. Read by commands and variables when the script is read.
 */
#include "core/script/script_priv.h"

#define FLAGS_N 32
#define FLAG_NAMES_MAX 64u
#define FLAG_NAME_MAX 64u

int flag_find(const struct script *s, enum flag_set set, struct str name)
{
	const struct flag_name *f;

	for (f = s ? s->flags[set] : NULL; f; f = f->next)
		if (str_eq(f->name, name))
			return f->number;
	return -1;
}

int script_flag_find(struct str name)
{
	return flag_find(script_names(), FLAGS_MSG, name);
}

/* number -1: the first free one. Returns 0; 1 when the number has another name; -EEXIST, -ENOSPC. */
int flag_declare(struct script *s, enum flag_set set, struct str name, int number)
{
	bool used[FLAGS_N] = { false };
	struct flag_name *f;
	unsigned n = 0;
	int i, shared = 0;

	if (flag_find(s, set, name) >= 0)
		return -EEXIST;
	for (f = s->flags[set]; f; f = f->next, n++)
		used[f->number] = true;
	if (n == FLAG_NAMES_MAX || name.n == 0 || name.n >= FLAG_NAME_MAX || number >= FLAGS_N)
		return -ENOSPC;
	if (number < 0) {
		for (i = 0; i < FLAGS_N && used[i]; i++)
			;
		if (i == FLAGS_N)
			return -ENOSPC;
		number = i;
	} else {
		shared = used[number];
	}
	f = pool_alloc(s->pool, sizeof(*f));
	if (!f)
		return -ENOSPC;
	*f = (struct flag_name){ .next = s->flags[set], .name = str_dup(s->pool, name), .number = number };
	if (!f->name.s)
		return -ENOSPC;
	s->flags[set] = f;
	return shared;
}
