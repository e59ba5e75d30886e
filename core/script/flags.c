/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of message flags, declared by `flags a, b:5`. Read by commands and variables when the script is read. */
#include "core/script/script_priv.h"

#define FLAGS_N 32
#define FLAG_NAMES_MAX 64u
#define FLAG_NAME_MAX 64u

static struct {
	char name[FLAG_NAME_MAX];
	size_t n;
	int number;
} flags[FLAG_NAMES_MAX];
static unsigned n_flags;

void flags_clear(void)
{
	n_flags = 0;
}

int script_flag_find(struct str name)
{
	unsigned i;

	for (i = 0; i < n_flags; i++)
		if (str_eq(str_of(flags[i].name, flags[i].n), name))
			return flags[i].number;
	return -1;
}

/* number -1: the first free one. Returns 0; 1 when the number has another name; -EEXIST, -ENOSPC. */
int flag_declare(struct str name, int number, int *ret_number)
{
	bool used[FLAGS_N] = { false };
	int i, shared = 0;

	if (script_flag_find(name) >= 0)
		return -EEXIST;
	if (n_flags == FLAG_NAMES_MAX || name.n == 0 || name.n >= FLAG_NAME_MAX || number >= FLAGS_N)
		return -ENOSPC;
	for (i = 0; i < (int)n_flags; i++)
		used[flags[i].number] = true;
	if (number < 0) {
		for (i = 0; i < FLAGS_N && used[i]; i++)
			;
		if (i == FLAGS_N)
			return -ENOSPC;
		number = i;
	} else {
		shared = used[number];
	}
	memcpy(flags[n_flags].name, name.s, name.n);
	flags[n_flags].n = name.n;
	flags[n_flags++].number = number;
	*ret_number = number;
	return shared;
}
