/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameters as a list of what was said, in order. Two lists are compared row by row of the modules' tables: plain values by what
 * counts in the end (the last one said, else the default), repeatable ones as sets of occurrences.
 */
#include "core/module/params.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/pool.h"
#include "core/base/regex.h"
#include "core/module/loader.h"
#include "core/script/nearest.h"
#include "core/script/script.h"

#define SHOWN_MAX 80u /* of a text, in a message */

struct said {
	struct said *next;
	const struct module *m;
	const struct setting *set;
	bool is_int;
	int64_t i;
	struct str s;
	struct module_place place;
};

struct module_params {
	struct pool *pool;
	struct said *first, **tail;
};

static struct module_params *running;
static struct module_params *at_start; /* never freed: fixed settings, and what modules made of them, view its texts */

struct module_params *module_params_new(void)
{
	struct module_params *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->tail = &p->first;
	p->pool = pool_new((size_t)256 << 20);
	if (!p->pool) {
		free(p);
		return NULL;
	}
	return p;
}

void module_params_free(struct module_params *p)
{
	if (!p || p == at_start)
		return;
	pool_free(p->pool);
	free(p);
}

const struct module_params *module_params_running(void)
{
	return running;
}

/* ---- saying ---- */

static int add_one(struct module_params *p, const struct module *m, struct str name, const struct said *what, struct diag *reterr)
{
	const struct setting *set = m->settings ? settings_find(m->settings, name) : NULL, *t;
	struct diag why = { 0 };
	struct nearest near;
	struct said *said;
	int err;

	if (!set) {
		nearest_begin(&near, name);
		for (t = m->settings; t && t->type != SETTING_END_T; t++)
			nearest_try(&near, str_lit(t->name));
		return diag_unknown(reterr, DIAG_MODPARAM, 0, name, nearest_result(&near), "module %s has no parameter '%.*s'", m->name,
				    STR_FMT(name));
	}
	err = settings_check(set, what->is_int, what->i, &why);
	if (err < 0)
		return diag_err(reterr, err, 0, "module %s: %s", m->name, why.text[0] ? why.text : strerror(-err));
	said = pool_alloc(p->pool, sizeof(*said));
	if (!said)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	*said = *what;
	said->m = m;
	said->set = set;
	said->s = what->is_int ? STR_NULL : str_dup(p->pool, what->s);
	said->place.file = str_dup(p->pool, what->place.file);
	if ((!what->is_int && !said->s.s) || !said->place.file.s)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	*p->tail = said;
	p->tail = &said->next;
	return 0;
}

int module_params_add(struct module_params *p, struct str modules, struct str name, bool is_int, int64_t i, struct str s,
		      const struct module_place *place, struct diag *reterr)
{
	const struct said what = { .is_int = is_int, .i = i, .s = s, .place = *place };
	struct regex *re = NULL;
	struct diag why = { 0 };
	struct nearest near;
	char pattern[512];
	unsigned k, n = 0;
	int err;

	if (snprintf(pattern, sizeof(pattern), "^(%.*s)$", STR_FMT(modules)) >= (int)sizeof(pattern))
		return diag_set(reterr, 0, "too many modules named");
	err = regex_compile(str_lit(pattern), REGEX_ICASE, &re, &why);
	if (err < 0)
		return diag_err(reterr, err, 0, "bad expression '%.*s': %s", STR_FMT(modules), why.text);
	for (k = 0; k < module_count() && err == 0; k++) {
		if (regex_match(re, str_lit(module_at(k)->name), 0, NULL) <= 0)
			continue;
		n++;
		err = add_one(p, module_at(k), name, &what, reterr);
	}
	regex_free(re);
	if (err < 0 || n > 0)
		return err;
	nearest_begin(&near, modules);
	for (k = 0; k < module_count(); k++)
		nearest_try(&near, str_lit(module_at(k)->name));
	return diag_unknown(reterr, DIAG_MODULE, 0, modules, nearest_result(&near), "no module '%.*s' is loaded", STR_FMT(modules));
}

int module_param_set(struct str modules, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	struct module_place place = { 0 };
	struct diag why = { 0 };
	struct said **new, *said;
	int err;

	if (!running)
		running = at_start = module_params_new();
	if (!running)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	new = running->tail;
	(void)script_load_place(&place.file, &place.line, &place.column); /* nowhere: the command line */
	err = module_params_add(running, modules, name, is_int, i, s, &place, reterr);
	for (said = *new; said && err >= 0; said = said->next) {
		int r = settings_set(said->set, said->m->conf, said->is_int, said->i, said->s, &why);

		if (r < 0)
			return diag_err(reterr, r, 0, "module %s: %s", said->m->name, why.text[0] ? why.text : strerror(-r));
		if (r > 0)
			err = diag_err(reterr, r, 0, "module %s: %s", said->m->name, why.text);
	}
	return err;
}

/* ---- comparing ---- */

static bool is_list(const struct setting *set)
{
	return set->type == SETTING_FN_INT_T || set->type == SETTING_FN_STR_T;
}

static bool same_value(const struct said *a, const struct said *b)
{
	return a->is_int == b->is_int && (a->is_int ? a->i == b->i : str_eq(a->s, b->s));
}

/* What counts for a plain value; NULL: the default. */
static const struct said *last_of(const struct module_params *p, const struct module *m, const struct setting *set)
{
	const struct said *s, *last = NULL;

	for (s = p ? p->first : NULL; s; s = s->next)
		if (s->m == m && s->set == set)
			last = s;
	return last;
}

static struct str str_of_said(const struct setting *set, const struct said *s)
{
	return s ? s->s : str_lit(set->def_str);
}

static bool same_scalar(const struct setting *set, const struct said *a, const struct said *b)
{
	if (set->type == SETTING_INT_T)
		return (a ? a->i : set->def) == (b ? b->i : set->def);
	return str_eq(str_of_said(set, a), str_of_said(set, b));
}

/* Its beginning, without secrets. */
static struct str shown_text(const struct setting *set, struct str t, char mem[SHOWN_MAX])
{
	struct strbuf sb;
	struct str all;

	strbuf_init(&sb, 2 * t.n + 16);
	settings_show(set, t, &sb);
	all = str_sub(strbuf_str(&sb), 0, SHOWN_MAX);
	if (all.n > 0)
		memcpy(mem, all.s, all.n);
	strbuf_done(&sb);
	return str_of(mem, all.n);
}

static void value_text(const struct setting *set, const struct said *s, char *out, size_t n)
{
	struct str t = str_of_said(set, s);
	char shown[SHOWN_MAX];

	if (set->type == SETTING_INT_T || (s && s->is_int))
		(void)snprintf(out, n, "%lld", (long long)(s ? s->i : set->def));
	else
		(void)snprintf(out, n, "\"%.*s\"", STR_FMT(shown_text(set, t, shown)));
}

static bool has_same(const struct module_params *p, const struct said *what)
{
	const struct said *s;

	for (s = p ? p->first : NULL; s; s = s->next)
		if (s->m == what->m && s->set == what->set && same_value(s, what))
			return true;
	return false;
}

struct check {
	const struct module_params *old, *new;
	module_change_fn *refused;
	void *arg;
	unsigned n;
};

static void *field_of(const struct module *m, const struct setting *set)
{
	return (char *)m->conf + set->offset;
}

static void scalar_check(struct check *c, const struct module *m, const struct setting *set)
{
	const struct said *was = last_of(c->old, m, set), *is = last_of(c->new, m, set);
	char from[96], to[96], text[400];
	struct str group, name;

	if (same_scalar(set, was, is))
		return;
	if (cfg_followed(field_of(m, set), &group, &name)) {
		if (str_of_said(set, is).n <= CFG_TEXT_MAX)
			return;
		(void)snprintf(text, sizeof(text), "module %s: parameter %s: over %u bytes, which a reload cannot set", m->name, set->name,
			       CFG_TEXT_MAX);
		c->refused(c->arg, is ? &is->place : NULL, text);
		c->n++;
		return;
	}
	if (set->live)
		return;
	value_text(set, was, from, sizeof(from));
	value_text(set, is, to, sizeof(to));
	(void)snprintf(text, sizeof(text), "module %s: parameter %s needs a restart to change from %s to %s%s", m->name, set->name, from, to,
		       is ? "" : ", its default");
	c->refused(c->arg, is ? &is->place : NULL, text);
	c->n++;
}

/* What is said no more stays as it is in modules that take additions: what was added (a table) may be in use. */
static void list_check(struct check *c, const struct module *m, const struct setting *set)
{
	char value[96], text[400];
	struct diag why;
	const struct said *s;

	for (s = c->new->first; s; s = s->next) {
		if (s->m != m || s->set != set || has_same(c->old, s))
			continue;
		why = (struct diag){ 0 };
		value_text(set, s, value, sizeof(value));
		if (!set->reload)
			(void)snprintf(text, sizeof(text), "module %s: parameter %s needs a restart to take %s", m->name, set->name, value);
		else if (set->reload(m->conf, set, s->i, s->s, &why) < 0)
			(void)snprintf(text, sizeof(text), "module %s: %s", m->name, why.text);
		else
			continue;
		c->refused(c->arg, &s->place, text);
		c->n++;
	}
	for (s = set->reload || !c->old ? NULL : c->old->first; s; s = s->next) {
		if (s->m != m || s->set != set || has_same(c->new, s))
			continue;
		value_text(set, s, value, sizeof(value));
		(void)snprintf(text, sizeof(text), "module %s: parameter %s needs a restart to lose %s", m->name, set->name, value);
		c->refused(c->arg, NULL, text);
		c->n++;
	}
}

unsigned module_params_check(const struct module_params *p, module_change_fn *refused, void *arg)
{
	struct check c = { .old = running, .new = p, .refused = refused, .arg = arg };
	const struct setting *set;
	unsigned k;

	for (k = 0; k < module_count(); k++) {
		for (set = module_at(k)->settings; set && set->type != SETTING_END_T; set++) {
			if (is_list(set))
				list_check(&c, module_at(k), set);
			else
				scalar_check(&c, module_at(k), set);
		}
	}
	return c.n;
}

/* ---- switching ---- */

void module_params_share(const struct module_params *p)
{
	const struct setting *set;
	struct str group, name;
	unsigned k;

	for (k = 0; k < module_count(); k++) {
		const struct module *m = module_at(k);

		for (set = m->settings; set && set->type != SETTING_END_T; set++) {
			const struct said *is = last_of(p, m, set);
			struct value v;

			if (is_list(set) || same_scalar(set, last_of(running, m, set), is) || !cfg_followed(field_of(m, set), &group, &name))
				continue;
			v = set->type == SETTING_INT_T ? value_int(is ? is->i : set->def) : value_str(str_of_said(set, is));
			if (cfg_set(group, 0, name, &v) < 0)
				log_error("module %s: parameter %s cannot be set", m->name, set->name);
		}
	}
}

/* True when it differs from what ran. Texts move in any case: the old ones will be freed. */
static bool live_set(const struct module_params *old, const struct module_params *new, const struct module *m, const struct setting *set)
{
	const struct said *was = last_of(old, m, set), *is = last_of(new, m, set);
	bool same = same_scalar(set, was, is);
	void *field = field_of(m, set);

	if (set->type == SETTING_STR_T)
		*(struct str *)field = str_of_said(set, is);
	else
		*(int *)field = (int)(is ? is->i : set->def);
	return !same;
}

static bool lists_differ(const struct module_params *old, const struct module_params *new, const struct module *m, const struct setting *set)
{
	const struct said *s;

	for (s = new->first; s; s = s->next)
		if (s->m == m && s->set == set && !has_same(old, s))
			return true;
	return false;
}

struct module_params *module_params_switch(struct module_params *p)
{
	struct module_params *old = running;
	const struct setting *set;
	struct str group, name;
	unsigned k;

	for (k = 0; k < module_count(); k++) {
		const struct module *m = module_at(k);
		bool changed = false;

		for (set = m->settings; set && set->type != SETTING_END_T; set++)
			if (set->live && !is_list(set) && !cfg_followed(field_of(m, set), &group, &name))
				changed |= live_set(old, p, m, set);
			else if (is_list(set) && set->reload)
				changed |= lists_differ(old, p, m, set);
		if (changed && m->live_changed)
			m->live_changed();
	}
	running = p;
	return old;
}
