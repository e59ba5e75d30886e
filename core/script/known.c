/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two tables about names that this server does not know: who would bring them, and what old names are called now. They
 * serve messages and the reading of old scripts only; nothing here runs after the load.
 */
#include "core/script/known.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
#define FUNC(name, module)  { DIAG_FUNCTION, name, module },
#define VAR(name, module)   { DIAG_VARIABLE, name, module },
#define TRANS(name, module) { DIAG_TRANSFORMATION, name, module },
static const struct known {
	enum diag_kind kind;
	const char *name, *module;
} known[] = {
#include "core/script/known.def"
};

#define MODULE(old, now, since, hint)     { DIAG_MODULE, NULL, old, now, since, hint },
#define FUNCTION(old, now, since)         { DIAG_FUNCTION, NULL, old, now, since, "" },
#define PARAMETER(old, now, since)        { DIAG_PARAMETER, NULL, old, now, since, "" },
#define MODPARAM(module, old, now, since) { DIAG_MODPARAM, module, old, now, since, "" },
static const struct renamed renamed[] = {
#include "core/script/renamed.def"
};
/* clang-format on */

/* "$x" -> x, "{s.x}" -> s */
static struct str bare(enum diag_kind kind, struct str name)
{
	ptrdiff_t dot;

	if (name.n > 0 && (name.s[0] == '$' || name.s[0] == '{'))
		name = str_sub(name, 1, name.n);
	dot = kind == DIAG_TRANSFORMATION ? str_find_char(name, '.') : -1;
	return dot < 0 ? name : str_sub(name, 0, (size_t)dot);
}

static int order(const struct known *k, enum diag_kind kind, struct str name)
{
	return k->kind != kind ? (k->kind < kind ? -1 : 1) : -str_cmp(name, str_lit(k->name));
}

/* The first row of the name, or the end of the table. */
static size_t first_row(enum diag_kind kind, struct str name)
{
	size_t lo = 0, hi = ARRAY_LEN(known);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (order(&known[mid], kind, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool known_from(enum diag_kind kind, struct str name, struct str module)
{
	size_t i;

	name = bare(kind, name);
	for (i = first_row(kind, name); i < ARRAY_LEN(known) && order(&known[i], kind, name) == 0; i++)
		if (str_eq(module, str_lit(known[i].module)))
			return true;
	return false;
}

const char *known_module(enum diag_kind kind, struct str name)
{
	size_t i;

	name = bare(kind, name);
	i = first_row(kind, name);
	return i < ARRAY_LEN(known) && order(&known[i], kind, name) == 0 ? known[i].module : NULL;
}

const struct renamed *renamed_find(enum diag_kind kind, struct str module, struct str old)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(renamed); i++) {
		const struct renamed *r = &renamed[i];

		if (r->kind == kind && str_eq(old, str_lit(r->old)) && (kind != DIAG_MODPARAM || str_eq(module, str_lit(r->module))))
			return r;
	}
	return NULL;
}
