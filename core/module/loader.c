/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Modules are shared objects with one descriptor. This finds them along the search path, hands their tables to the
 * registries, their parameters to them, and orders them by what they require. The path that a script names comes first; then
 * the modules of this build, because scripts written for another server name that server's directory: an object there
 * that is none of ours is passed over.
 */
#include "core/module/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "shm/recover.h"

#define MODULES_MAX 256u
#define MODULE_NAME_MAX 63u

static struct {
	char path[PATH_MAX];    /* as set; "": only the default */
	bool locked;
	struct loaded {
		const struct module *m;
		void *handle;
		bool inited;
	} mod[MODULES_MAX];
	unsigned n;
	unsigned order[MODULES_MAX]; /* of init, by requires */
	unsigned n_order;
} self;

unsigned module_count(void)
{
	return self.n;
}

const struct module *module_at(unsigned i)
{
	return i < self.n ? self.mod[i].m : NULL;
}

static int find(struct str name)
{
	unsigned i;

	for (i = 0; i < self.n; i++)
		if (str_eq(name, str_lit(self.mod[i].m->name)))
			return (int)i;
	return -1;
}

const void *module_api_find(const char *name)
{
	int i = find(str_lit(name));

	return i < 0 ? NULL : self.mod[i].m->api;
}

bool module_is_loaded(const char *name)
{
	return find(str_lit(name)) >= 0;
}

bool module_is_loaded_str(struct str name)
{
	return find(name) >= 0;
}

struct str module_base_name(struct str name)
{
	ptrdiff_t slash = str_rfind_char(name, '/');

	if (slash >= 0)
		name = str_sub(name, (size_t)slash + 1, name.n);
	if (str_ends(name, STR_LIT(".so")))
		name.n -= 3;
	return name;
}

int module_path_set(struct str path, bool locked)
{
	if (self.locked && !locked)
		return 0;
	if (path.n >= sizeof(self.path))
		return -ENAMETOOLONG;
	memcpy(self.path, path.s, path.n);
	self.path[path.n] = '\0';
	self.locked = locked;
	return 0;
}

/* ---- finding ---- */

/* Where the modules of this build are: beside the program, else where they were installed. */
static void default_dir(char out[PATH_MAX])
{
	char exe[PATH_MAX - 16];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n > 0) {
		exe[n] = '\0';
		slash = strrchr(exe, '/');
		if (slash) {
			*slash = '\0';
			snprintf(out, PATH_MAX, "%s/modules", exe);
			if (access(out, X_OK) == 0)
				return;
		}
	}
	snprintf(out, PATH_MAX, "%s", RF_MODULE_DIR);
}

struct search {
	const char *name; /* without ".so" */
	int dl_flags;
	void *handle;
	const struct module *found;
	struct strbuf tried; /* "path: reason" */
	bool wrong_abi;
};

static void try_file(struct search *s, const char *path)
{
	char symbol[MODULE_NAME_MAX + 16];
	const struct module *m;
	void *h;

	if (s->found || access(path, R_OK) < 0) {
		if (!s->found)
			strbuf_printf(&s->tried, "%s%s", s->tried.n ? ", " : "", path);
		return;
	}
	h = dlopen(path, s->dl_flags);
	if (!h) {
		strbuf_printf(&s->tried, "%s%s", s->tried.n ? ", " : "", dlerror());
		return;
	}
	snprintf(symbol, sizeof(symbol), "module_%s", s->name);
	m = dlsym(h, symbol);
	if (!m) {
		strbuf_printf(&s->tried, "%s%s (no %s in it)", s->tried.n ? ", " : "", path, symbol);
		dlclose(h);
		return;
	}
	if (m->abi != MODULE_ABI) {
		strbuf_printf(&s->tried, "%s%s (made for interface %u, this is %u)", s->tried.n ? ", " : "", path, m->abi, MODULE_ABI);
		s->wrong_abi = true;
		dlclose(h);
		return;
	}
	s->handle = h;
	s->found = m;
}

static void try_dir(struct search *s, struct str dir)
{
	char path[PATH_MAX];

	if (dir.n == 0)
		return;
	while (dir.n > 1 && dir.s[dir.n - 1] == '/')
		dir.n--;
	if (snprintf(path, sizeof(path), "%.*s/%s.so", STR_FMT(dir), s->name) < (int)sizeof(path))
		try_file(s, path);
	if (snprintf(path, sizeof(path), "%.*s/%s/%s.so", STR_FMT(dir), s->name, s->name) < (int)sizeof(path))
		try_file(s, path);
}

static void search_dirs(struct search *s)
{
	struct str rest = str_lit(self.path);
	char dir[PATH_MAX];

	while (rest.n > 0 && !s->found) {
		ptrdiff_t colon = str_find_char(rest, ':');

		try_dir(s, colon < 0 ? rest : str_sub(rest, 0, (size_t)colon));
		if (colon < 0)
			break;
		rest = str_sub(rest, (size_t)colon + 1, rest.n);
	}
	if (!s->found) {
		default_dir(dir);
		try_dir(s, str_lit(dir));
	}
}

/* ---- loading ---- */

static int register_all(const struct module *m, struct diag *reterr)
{
	int err = 0;

	if (m->settings)
		settings_defaults(m->settings, m->conf);
	if (m->funcs)
		err = script_funcs_register(m->name, m->funcs);
	if (err == 0 && m->trans)
		err = trans_register(m->trans);
	if (err == 0 && m->pvs)
		err = pv_register(m->pvs);
	if (err == 0 && m->rpcs)
		err = rpc_register(m->rpcs);
	if (err == 0 && m->load)
		err = m->load();
	if (err < 0)
		return diag_err(reterr, err, 0, "module %s cannot be set up: %s", m->name, strerror(-err));
	return 0;
}

int module_load(struct str name, struct str opts, struct diag *reterr)
{
	bool optional = str_find_char(opts, 'o') >= 0, global = str_find_char(opts, 'g') >= 0, has_dir;
	char base[MODULE_NAME_MAX + 1], path[PATH_MAX], tried[1024];
	struct search s = { .name = base, .dl_flags = RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL) };
	struct str b = module_base_name(name);
	int err;

	has_dir = str_find_char(name, '/') >= 0;
	if (b.n == 0 || b.n > MODULE_NAME_MAX)
		return diag_err(reterr, -ENOENT, 0, "bad name of a module '%.*s'", STR_FMT(name));
	memcpy(base, b.s, b.n);
	base[b.n] = '\0';
	if (find(b) >= 0)
		return optional ? 0 : diag_err(reterr, -EEXIST, 0, "module %s is loaded already", base);
	if (self.n == MODULES_MAX)
		return diag_err(reterr, -ENOSPC, 0, "more than %u modules", MODULES_MAX);
	strbuf_init_fixed(&s.tried, tried, sizeof(tried) - 1);
	if (has_dir && snprintf(path, sizeof(path), "%.*s", STR_FMT(name)) < (int)sizeof(path))
		try_file(&s, path);
	if (!s.found)
		search_dirs(&s);
	if (!s.found && s.wrong_abi)
		return diag_err(reterr, -EPROTO, 0, "module %s not found: tried %.*s", base, STR_FMT(strbuf_str(&s.tried)));
	if (!s.found)
		return diag_unknown(reterr, DIAG_MODULE, 0, b, NULL, "module %s not found: tried %.*s", base, STR_FMT(strbuf_str(&s.tried)));
	self.mod[self.n].m = s.found;
	self.mod[self.n++].handle = s.handle;
	err = register_all(s.found, reterr);
	if (err < 0)
		self.n--; /* its tables may be known already: never unmapped */
	return err;
}

/* ---- life ---- */

enum mark { NEW, OPEN, DONE };

/* Depth first: what a module requires comes before it. */
static int visit(unsigned i, uint8_t *marks, struct diag *reterr)
{
	const struct module *m = self.mod[i].m;
	const char *const *r;
	int err;

	if (marks[i] == DONE)
		return 0;
	if (marks[i] == OPEN)
		return diag_err(reterr, -ELOOP, 0, "module %s requires itself through others", m->name);
	marks[i] = OPEN;
	for (r = m->requires; r && *r; r++) {
		int k = find(str_lit(*r));

		if (k < 0)
			return diag_err(reterr, -ENOENT, 0, "module %s needs module %s: load it too", m->name, *r);
		err = visit((unsigned)k, marks, reterr);
		if (err < 0)
			return err;
	}
	marks[i] = DONE;
	self.order[self.n_order++] = i;
	return 0;
}

int modules_follow(void)
{
	static struct cfg_follower followers[MODULES_MAX];

	for (unsigned i = 0; i < self.n; i++) {
		const struct module *m = self.mod[i].m;
		int err;

		if (!m->live)
			continue;
		followers[i] = (struct cfg_follower){ .group = m->live_group ? m->live_group : m->name, .live = m->live, .settings = m->settings, .conf = m->conf,
						      .changed = m->live_changed };
		err = cfg_follow(&followers[i]);
		if (err < 0)
			return log_fail(err, "module %s: settings that can be changed at run time", m->name);
	}
	return 0;
}

int modules_init(struct diag *reterr)
{
	uint8_t marks[MODULES_MAX] = { NEW };
	unsigned i;
	int err;

	self.n_order = 0;
	for (i = 0; i < self.n; i++) {
		err = visit(i, marks, reterr);
		if (err < 0)
			return err;
	}
	for (i = 0; i < self.n_order; i++) {
		struct loaded *l = &self.mod[self.order[i]];

		err = l->m->init ? l->m->init() : 0;
		if (err < 0)
			return diag_err(reterr, err, 0, "module %s cannot start: %s", l->m->name, strerror(-err));
		l->inited = true;
		if (l->m->recover) {
			err = shm_recover_register(l->m->name, l->m->recover);
			if (err < 0)
				return diag_err(reterr, err, 0, "module %s: too many recovery steps", l->m->name);
		}
	}
	return 0;
}

int modules_worker_init(struct loop *loop, unsigned worker)
{
	unsigned i;
	int err;

	for (i = 0; i < self.n_order; i++) {
		const struct module *m = self.mod[self.order[i]].m;

		err = m->worker_init ? m->worker_init(loop, worker) : 0;
		if (err < 0)
			return log_fail(err, "module %s cannot start in worker %u", m->name, worker);
	}
	return 0;
}

int modules_rpcd_init(struct loop *loop)
{
	unsigned i;
	int err;

	for (i = 0; i < self.n_order; i++) {
		const struct module *m = self.mod[self.order[i]].m;

		err = m->rpcd_init ? m->rpcd_init(loop) : 0;
		if (err < 0)
			return log_fail(err, "module %s cannot start in rpcd", m->name);
	}
	return 0;
}

void modules_worker_stop(void)
{
	unsigned i;

	for (i = self.n_order; i-- > 0;)
		if (self.mod[self.order[i]].m->worker_stop)
			self.mod[self.order[i]].m->worker_stop();
}

void modules_done(void)
{
	unsigned i;

	for (i = self.n_order; i-- > 0;) {
		struct loaded *l = &self.mod[self.order[i]];

		if (l->inited && l->m->done)
			l->m->done();
		l->inited = false;
	}
}
