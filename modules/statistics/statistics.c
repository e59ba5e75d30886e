/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module statistics: counters of group "script", by names that may come from variables. The names are known before forking, so a
 * look-up is a walk of a short table.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/module/abi.h"
#include "shm/counter.h"

#define VARIABLES_MAX 256u
#define GROUP "script"

static struct {
	struct variable {
		char *name;
		bool no_reset;
		int id;
	} var[VARIABLES_MAX];
	unsigned n;
} all;

static int conf; /* no setting has a place in memory */

/* "name[/no_reset]" */
static int declare(void *unused, const struct setting *set, int64_t i, struct str text, struct diag *reterr)
{
	ptrdiff_t slash = str_find_char(text, '/');
	struct variable *v = &all.var[all.n];
	struct str name = slash < 0 ? text : str_sub(text, 0, (size_t)slash);

	(void)unused, (void)set, (void)i; /* a text */
	if (all.n == VARIABLES_MAX)
		return diag_set(reterr, 0, "variable: more than %u", VARIABLES_MAX);
	if (slash >= 0 && !str_eq(str_sub(text, (size_t)slash + 1, text.n), STR_LIT("no_reset")))
		return diag_set(reterr, 0, "variable \"%.*s\": no_reset is all that may follow the name", STR_FMT(text));
	if (name.n == 0)
		return diag_set(reterr, 0, "variable \"%.*s\": a name is needed", STR_FMT(text));
	v->name = strndup(name.s, name.n);
	if (!v->name)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	v->no_reset = slash >= 0;
	v->id = -1;
	all.n++;
	return 0;
}

static const struct setting settings[] = { SETTING_FN_STR("variable", declare), SETTING_END };

static const struct variable *find(struct str name)
{
	for (unsigned i = 0; i < all.n; i++)
		if (str_eq(str_lit(all.var[i].name), name))
			return &all.var[i];
	log_error("statistics: no variable \"%.*s\": declare it with modparam(\"statistics\", \"variable\", ...)", STR_FMT(name));
	return NULL;
}

/* update_stat("name", "+n"): the sign may be left out. */
static int f_update(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct variable *v = find(a[0].s);
	int64_t by;

	(void)ctx, (void)n; /* always two */
	if (!v)
		return -1;
	if (num_i64(a[1].s, &by) < 0 || by == 0) {
		log_error("statistics: update_stat(%s): \"%.*s\" is no number other than 0", v->name, STR_FMT(a[1].s));
		return -1;
	}
	shm_counter_add(v->id, by);
	return 1;
}

static int f_reset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct variable *v = find(a[0].s);

	(void)ctx, (void)n; /* always one */
	if (!v)
		return -1;
	if (!v->no_reset)
		shm_counter_reset(v->id);
	return 1;
}

static int init(void)
{
	for (unsigned i = 0; i < all.n; i++) {
		all.var[i].id = shm_counter_register(GROUP, all.var[i].name);
		if (all.var[i].id < 0)
			return log_fail(all.var[i].id, "statistics: variable %s", all.var[i].name);
		if (all.var[i].no_reset)
			shm_counter_keep(all.var[i].id);
	}
	return 0;
}

/* clang-format off */
static const struct script_func funcs[] = {
	{ .name = "update_stat", .fn = f_update, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "reset_stat",  .fn = f_reset,  .n_params = 1, .param = { SP_DSTR },          .kinds = CTX_ANY },
	{ .name = NULL },
};
/* clang-format on */

extern const struct module module_statistics;
const struct module module_statistics = {
	.abi = MODULE_ABI,
	.name = "statistics",
	.settings = settings,
	.conf = &conf,
	.funcs = funcs,
	.init = init,
};
