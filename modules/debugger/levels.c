/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels and facilities of single modules: parameters mod_level, mod_facility and the commands for them. The log itself has the table. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/num.h"
#include "core/main/params.h"
#include "modules/debugger/debugger_priv.h"
#include "shm/arena.h"
#include "shm/slab.h"

#define WANTED_MAX 64u

static struct {
	struct wanted { /* by the script, until there is the table */
		struct str name;
		int level, facility;
	} wanted[WANTED_MAX];
	unsigned n;
} self;

/* "module=value" */
static int take(struct str s, struct str *ret_name, struct str *ret_value, struct diag *reterr)
{
	ptrdiff_t eq = str_find_char(s, '=');

	if (eq <= 0 || (size_t)eq + 1 == s.n)
		return diag_set(reterr, 0, "module=value expected");
	*ret_name = str_trim(str_sub(s, 0, (size_t)eq));
	*ret_value = str_trim(str_sub(s, (size_t)eq + 1, s.n));
	if (ret_name->n >= sizeof(((struct log_module *)NULL)->name))
		return diag_set(reterr, 0, "name of a module longer than %zu bytes", sizeof(((struct log_module *)NULL)->name) - 1);
	return 0;
}

static int want(struct str name, int level, int facility, struct diag *reterr)
{
	if (self.n == WANTED_MAX)
		return diag_set(reterr, 0, "more than %u of them", WANTED_MAX);
	self.wanted[self.n++] = (struct wanted){ name, level, facility };
	return 0;
}

int dbg_set_level(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct str name, value;
	int64_t level;
	int err = take(s, &name, &value, reterr);

	(void)c, (void)set, (void)i; /* texts alone */
	if (err < 0)
		return err;
	if (num_i64(value, &level) < 0 || level < L_ALERT || level > 10)
		return diag_set(reterr, 0, "mod_level: '%.*s' is no level", STR_FMT(value));
	return want(name, (int)level, LOG_MODULE_NONE, reterr);
}

int dbg_set_facility(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct str name, value;
	int facility, err = take(s, &name, &value, reterr);

	(void)c, (void)set, (void)i;
	if (err < 0)
		return err;
	facility = params_facility(value);
	if (facility < 0)
		return diag_set(reterr, 0, "mod_facility: facility '%.*s' is unknown", STR_FMT(value));
	return want(name, LOG_MODULE_NONE, facility, reterr);
}

void dbg_levels_changed(void)
{
	log_modules_count(dbg_conf.mod_level_mode != 0, dbg_conf.mod_facility_mode != 0);
}

int dbg_levels_init(void)
{
	struct log_modules *table;
	int err = 0;

	if (dbg_conf.mod_hash_size == 0) {
		if (self.n > 0) {
			log_error("debugger: mod_level and mod_facility need mod_hash_size of 1 or more");
			return -EINVAL;
		}
		if (dbg_conf.mod_level_mode || dbg_conf.mod_facility_mode)
			log_warn("debugger: levels and facilities of modules do not count: mod_hash_size is 0");
		return 0;
	}
	table = shm_zalloc(sizeof(*table));
	if (!table)
		return log_fail(-ENOSPC, "debugger: table of modules");
	atomic_store(&table->most, LOG_MODULE_NONE);
	shm_publish(table);
	err = shm_root_set("debugger.modules", shm_ref_of(table));
	if (err < 0)
		return log_fail(err, "debugger: table of modules");
	log_modules_at(table);
	for (unsigned i = 0; i < self.n && err == 0; i++)
		err = log_module_set(self.wanted[i].name, self.wanted[i].level, self.wanted[i].facility);
	if (err < 0)
		return log_fail(err, "debugger: levels of modules");
	dbg_levels_changed();
	return 0;
}

/* ---- commands ---- */

void dbg_rpc_set_level(struct rpc *rpc)
{
	struct str name;
	int64_t level;

	cfg_catch_up();
	if (rpc_arg_str(rpc, &name) < 0 || rpc_arg_any_int(rpc, &level) < 0) {
		rpc_fault(rpc, 500, "invalid parameters");
		return;
	}
	if (level < L_ALERT || level > 10 || log_module_set(name, (int)level, LOG_MODULE_NONE) < 0)
		rpc_fault(rpc, 500, "cannot store parameter");
	else
		rpc_add_str(rpc, NULL, NULL, STR_LIT("200 ok"));
}

void dbg_rpc_set_facility(struct rpc *rpc)
{
	struct str name, text;

	if (rpc_arg_str(rpc, &name) < 0 || rpc_arg_str(rpc, &text) < 0) {
		rpc_fault(rpc, 500, "invalid parameters");
		return;
	}
	if (params_facility(text) < 0)
		rpc_fault(rpc, 500, "facility not found");
	else if (log_module_set(name, LOG_MODULE_NONE, params_facility(text)) < 0)
		rpc_fault(rpc, 500, "cannot store parameter");
	else
		rpc_add_str(rpc, NULL, NULL, STR_LIT("200 ok"));
}

void dbg_rpc_get_level(struct rpc *rpc)
{
	int level, facility;
	struct str name;

	cfg_catch_up();
	if (rpc_arg_str(rpc, &name) < 0) {
		rpc_fault(rpc, 500, "invalid parameters");
		return;
	}
	if (!dbg_conf.mod_level_mode || log_module_get(name, &level, &facility) < 0 || level == LOG_MODULE_NONE)
		level = log_level();
	rpc_add_int(rpc, NULL, NULL, level);
}

void dbg_rpc_get_facility(struct rpc *rpc)
{
	int level, facility;
	struct str name;

	cfg_catch_up();
	if (rpc_arg_str(rpc, &name) < 0) {
		rpc_fault(rpc, 500, "invalid parameters");
		return;
	}
	if (!dbg_conf.mod_facility_mode || log_module_get(name, &level, &facility) < 0 || facility == LOG_MODULE_NONE)
		facility = log_facility();
	rpc_add_str(rpc, NULL, NULL, str_lit(params_facility_name(facility)));
}
