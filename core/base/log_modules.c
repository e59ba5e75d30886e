/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Levels and facilities of single modules. Which module a line is of is said by the source file that it comes from: modules/NAME/, core/tm
 * as "tm", the rest "core". Nothing is looked up until a line has passed the gate, log_on(), which opens for the most that anyone
 * wants; without a table it is the core's level and nothing else.
 */
#include "core/base/log.h"

#include <errno.h>
#include <limits.h>

#include "core/base/log_priv.h"

static struct {
	struct log_modules *table;
	bool levels, facilities; /* they count */
} self;

static const struct log_module *find(struct str name)
{
	uint32_t n = atomic_load_explicit(&self.table->n, memory_order_acquire);

	for (uint32_t i = 0; i < n; i++)
		if (str_eq(str_lit(self.table->at[i].name), name))
			return &self.table->at[i];
	return NULL;
}

static struct str module_of(const char *file)
{
	static const struct str modules = STR_LIT("modules/"), tm = STR_LIT("core/tm/");
	struct str path = str_lit(file);
	ptrdiff_t at = str_find(path, modules), end;

	if (at < 0)
		return str_find(path, tm) >= 0 ? STR_LIT("tm") : STR_LIT("core");
	path = str_sub(path, (size_t)at + modules.n, path.n);
	end = str_find_char(path, '/');
	return str_sub(path, 0, end < 0 ? path.n : (size_t)end);
}

int log_modules_most(int level)
{
	int most = self.levels ? atomic_load_explicit(&self.table->most, memory_order_relaxed) : level;

	return most > level ? most : level;
}

int log_modules_level(const char *file, int level)
{
	const struct log_module *m = self.levels ? find(module_of(file)) : NULL;
	int own = m ? atomic_load_explicit(&m->level, memory_order_relaxed) : LOG_MODULE_NONE;

	return own == LOG_MODULE_NONE ? level : own;
}

int log_modules_facility(const char *file)
{
	const struct log_module *m = self.facilities ? find(module_of(file)) : NULL;
	int own = m ? atomic_load_explicit(&m->facility, memory_order_relaxed) : LOG_MODULE_NONE;

	return own == LOG_MODULE_NONE ? -1 : own;
}

void log_modules_at(struct log_modules *table)
{
	self.table = table;
}

void log_modules_enable(bool levels, bool facilities)
{
	self.levels = levels && self.table;
	self.facilities = facilities && self.table;
}

int log_module_set(struct str name, int level, int facility)
{
	uint32_t n = self.table ? atomic_load_explicit(&self.table->n, memory_order_relaxed) : 0;
	struct log_module *m;
	int most = INT_MIN;

	if (!self.table || name.n == 0 || name.n >= sizeof(m->name))
		return -EINVAL;
	m = (struct log_module *)(uintptr_t)find(name);
	if (!m && n == LOG_MODULES_MAX)
		return -ENOSPC;
	if (!m) {
		m = &self.table->at[n];
		memcpy(m->name, name.s, name.n);
		m->name[name.n] = '\0';
		atomic_store_explicit(&m->level, LOG_MODULE_NONE, memory_order_relaxed);
		atomic_store_explicit(&m->facility, LOG_MODULE_NONE, memory_order_relaxed);
		atomic_store_explicit(&self.table->n, ++n, memory_order_release);
	}
	if (level != LOG_MODULE_NONE)
		atomic_store_explicit(&m->level, level, memory_order_relaxed);
	if (facility != LOG_MODULE_NONE)
		atomic_store_explicit(&m->facility, facility, memory_order_relaxed);
	for (uint32_t i = 0; i < n; i++) {
		int own = atomic_load_explicit(&self.table->at[i].level, memory_order_relaxed);

		most = own > most ? own : most;
	}
	atomic_store_explicit(&self.table->most, most, memory_order_relaxed);
	return 0;
}

int log_module_get(struct str name, int *ret_level, int *ret_facility)
{
	const struct log_module *m = self.table ? find(name) : NULL;

	if (!m)
		return -ENOENT;
	*ret_level = atomic_load_explicit(&m->level, memory_order_relaxed);
	*ret_facility = atomic_load_explicit(&m->facility, memory_order_relaxed);
	return 0;
}
