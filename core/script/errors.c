/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a load has to say: errors and warnings with file, line, column and the line of source, as text and as JSON. A module
 * that is not there is one error, which gathers the places that need it: a script that lacks one module is not told a
 * hundred times.
 */
#include "core/script/script_priv.h"

#include <stdlib.h>

#include "core/base/regex.h"
#include "core/script/known.h"

#define ERRORS_MAX 10000u /* then the text is something else */
#define SOURCE_MAX 400u   /* bytes shown of one line */

static struct str file_name(const struct loader *ld, struct pos pos)
{
	return pos.file < ld->n_files ? ld->files[pos.file].name : str_lit(ld->opts->path);
}

static struct str source_line(const struct loader *ld, struct pos pos)
{
	struct str text;
	uint32_t line = 1;
	size_t i = 0, from;

	if (pos.file >= ld->n_files)
		return STR_NULL;
	text = ld->files[pos.file].text;
	for (; i < text.n && line < pos.line; i++)
		line += text.s[i] == '\n';
	from = i;
	while (i < text.n && text.s[i] != '\n' && text.s[i] != '\r')
		i++;
	return str_sub(text, from, i - from < SOURCE_MAX ? i - from : SOURCE_MAX);
}

/* Copies s to *p, which goes behind it. */
static struct str put(char **p, struct str s)
{
	char *at = *p;

	if (s.n > 0)
		memcpy(at, s.s, s.n);
	*p += s.n;
	return str_of(at, s.n);
}

void script_err_add(struct script_err **list, enum script_err_level level, struct str file, unsigned line, unsigned column, const char *text)
{
	struct str says = str_lit(text);
	struct script_err *e = calloc(1, sizeof(*e) + file.n + says.n);
	char *p;

	if (!e)
		return;
	p = (char *)(e + 1);
	e->level = level;
	e->line = line;
	e->column = column;
	e->text = put(&p, says);
	e->file = put(&p, file);
	e->uses_tail = &e->uses;
	while (*list)
		list = &(*list)->next;
	*list = e;
}

/* One block: the struct and the texts behind it. why, module: may be NULL. */
static struct script_err *err_add(struct loader *ld, enum script_err_level level, struct pos pos, const char *text, const struct diag *why,
				  const char *module)
{
	struct str file = file_name(ld, pos), line = source_line(ld, pos), says = str_lit(text);
	struct str name = why ? str_lit(why->name) : STR_NULL, near = why ? str_lit(why->near) : STR_NULL;
	struct str from = module ? str_lit(module) : STR_NULL;
	struct script_err *e = calloc(1, sizeof(*e) + file.n + line.n + says.n + name.n + near.n + from.n);
	char *p;

	if (!e)
		return NULL;
	p = (char *)(e + 1);
	e->level = level;
	e->line = pos.line;
	e->column = pos.column;
	e->text = put(&p, says);
	e->file = put(&p, file);
	e->source = put(&p, line);
	e->kind = why ? why->kind : DIAG_OTHER;
	e->name = put(&p, name);
	e->near = put(&p, near);
	e->module = put(&p, from);
	e->uses_tail = &e->uses;
	*ld->errs_tail = e;
	ld->errs_tail = &e->next;
	return e;
}

static struct script_err *error_add(struct loader *ld, struct pos pos, const char *text, const struct diag *why, const char *module)
{
	if (ld->stop)
		return NULL;
	ld->n_errors++;
	if (!ld->opts->all_errors || ld->n_errors >= ERRORS_MAX)
		ld->stop = true;
	return err_add(ld, SCRIPT_ERROR, pos, text, why, module);
}

void load_error(struct loader *ld, struct pos pos, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error_add(ld, pos, text, NULL, NULL);
}

void load_warning(struct loader *ld, struct pos pos, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (ld->stop)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_add(ld, SCRIPT_WARNING, pos, text, NULL, NULL);
}

void load_old_name(struct loader *ld, struct pos pos, const struct renamed *r)
{
	struct diag why = { .kind = r->kind };
	char text[512];

	if (ld->stop)
		return;
	snprintf(why.name, sizeof(why.name), "%s", r->old);
	snprintf(why.near, sizeof(why.near), "%s", r->now);
	if (r->now[0])
		snprintf(text, sizeof(text), "'%s' is called '%s' since %s", r->old, r->now, r->since);
	else
		snprintf(text, sizeof(text), "'%s' is gone since %s and has no effect: %s", r->old, r->since, r->hint);
	err_add(ld, SCRIPT_WARNING, pos, text, &why, r->module);
}

/* ---- modules that are not there ---- */

struct missing {
	struct missing *next;
	struct str name;
	struct script_err *err; /* NULL: passed over, its parameters too */
};

static void use_add(struct loader *ld, struct script_err *err, struct pos pos, struct str what)
{
	struct str file = file_name(ld, pos);
	struct script_use *u = calloc(1, sizeof(*u) + file.n + what.n);
	char *p;

	if (!u)
		return;
	p = (char *)(u + 1);
	u->line = pos.line;
	u->column = pos.column;
	u->file = put(&p, file);
	u->what = put(&p, what);
	*err->uses_tail = u;
	err->uses_tail = &u->next;
}

static void missing_add(struct loader *ld, struct str name, struct script_err *err)
{
	struct missing *m = pool_zalloc(ld->pool, sizeof(*m));

	if (!m)
		return;
	m->name = name;
	m->err = err;
	m->next = ld->missing;
	ld->missing = m;
}

void load_missing_module(struct loader *ld, struct pos pos, struct str name, const struct diag *why)
{
	struct script_err *err = error_add(ld, pos, why->text, why, NULL);

	if (err)
		missing_add(ld, name, err);
}

void load_gone_module(struct loader *ld, struct str name)
{
	missing_add(ld, name, NULL);
}

bool load_missing_modparam(struct loader *ld, struct pos pos, struct str modules, struct str param)
{
	struct regex *re = NULL;
	const struct missing *m;
	bool found = false;
	struct str text;

	if (!ld->missing || pool_printf(ld->pool, &text, "^(%.*s)$", STR_FMT(modules)) < 0 || regex_compile(text, REGEX_ICASE, &re, NULL) < 0)
		return false;
	for (m = ld->missing; m; m = m->next) {
		if (regex_match(re, m->name, 0, NULL) <= 0)
			continue;
		found = true;
		if (m->err && pool_printf(ld->pool, &text, "modparam %.*s", STR_FMT(param)) == 0)
			use_add(ld, m->err, pos, text);
	}
	regex_free(re);
	return found;
}

/* A module has more under that name elsewhere (a class of transformations): then its name is no help. */
static bool is_loaded(const struct loader *ld, const char *module)
{
	char define[80];
	struct str value;

	snprintf(define, sizeof(define), "MOD_%s", module);
	return script_define_find(ld->script, str_lit(define), &value);
}

void load_unknown(struct loader *ld, struct pos pos, const struct diag *why, const char *before)
{
	struct str name = str_lit(why->name);
	const struct missing *m;
	const char *module;
	struct diag own;
	char text[512], *hint;

	for (m = ld->missing; m; m = m->next) {
		if (!m->err || !known_from(why->kind, name, m->name))
			continue;
		snprintf(text, sizeof(text), "%s%s", why->name, why->kind == DIAG_FUNCTION ? "()" : "");
		use_add(ld, m->err, pos, str_lit(text));
		return;
	}
	module = known_module(why->kind, name);
	if (!module || is_loaded(ld, module)) {
		if (module)
			snprintf(text, sizeof(text), "%s%s%s: Kamailio's module %s has it, the one here does not yet", before, why->name,
				 why->kind == DIAG_FUNCTION ? "()" : "", module);
		else
			snprintf(text, sizeof(text), "%s%s", before, why->text);
		error_add(ld, pos, text, why, NULL);
		return;
	}
	/* it is no slip of the pen: what is near would mislead */
	own = *why;
	own.near[0] = '\0';
	hint = strstr(own.text, " (did you mean");
	if (hint)
		*hint = '\0';
	snprintf(text, sizeof(text), "%s%s, of module %s, which is not loaded", before, own.text, module);
	error_add(ld, pos, text, &own, module);
}

/* ---- telling ---- */

void script_err_print(FILE *out, const struct script_err *err)
{
	const struct script_use *u;
	size_t i;

	fprintf(out, "%.*s:%u:%u: %s: %.*s\n", STR_FMT(err->file), err->line, err->column,
		err->level == SCRIPT_ERROR ? "error" : "warning", STR_FMT(err->text));
	if (err->source.n > 0) {
		fprintf(out, "    %.*s\n    ", STR_FMT(err->source));
		for (i = 0; i + 1 < err->column && i < err->source.n; i++)
			fputc(err->source.s[i] == '\t' ? '\t' : ' ', out);
		fputs("^\n", out);
	}
	for (u = err->uses; u; u = u->next)
		fprintf(out, "    needed at %.*s:%u:%u: %.*s\n", STR_FMT(u->file), u->line, u->column, STR_FMT(u->what));
}

/* The bytes of one UTF-8 character at s, 0 when there is none. */
static size_t utf8_len(struct str s)
{
	unsigned char c = (unsigned char)s.s[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0, i;

	if (n > s.n)
		return 0;
	/* no detours, no surrogates, nothing above U+10FFFF */
	if (n > 2 && ((c == 0xe0 && (unsigned char)s.s[1] < 0xa0) || (c == 0xed && (unsigned char)s.s[1] > 0x9f) ||
		      (c == 0xf0 && (unsigned char)s.s[1] < 0x90) || (c == 0xf4 && (unsigned char)s.s[1] > 0x8f)))
		return 0;
	for (i = 1; i < n; i++)
		if (((unsigned char)s.s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* A script may hold any bytes: what is no UTF-8 becomes U+FFFD. */
static void json_text(FILE *out, const char *key, struct str s)
{
	fprintf(out, "%s\"", key);
	while (s.n > 0) {
		unsigned char c = (unsigned char)s.s[0];
		size_t n = utf8_len(s);

		if (n == 0)
			fputs("\\ufffd", out);
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fwrite(s.s, 1, n, out);
		s = str_sub(s, n ? n : 1, s.n);
	}
	fputc('"', out);
}

static void json_err(FILE *out, const struct script_err *e)
{
	static const char *const kinds[] = { "other", "function", "variable", "transformation", "parameter", "module", "modparam", "route" };
	const struct script_use *u;

	json_text(out, "{\"level\":", e->level == SCRIPT_ERROR ? STR_LIT("error") : STR_LIT("warning"));
	json_text(out, ",\"kind\":", str_lit(kinds[e->kind]));
	json_text(out, ",\"file\":", e->file);
	fprintf(out, ",\"line\":%u,\"column\":%u", e->line, e->column);
	json_text(out, ",\"text\":", e->text);
	if (e->name.n > 0)
		json_text(out, ",\"name\":", e->name);
	if (e->near.n > 0)
		json_text(out, e->level == SCRIPT_ERROR ? ",\"nearest\":" : ",\"now\":", e->near);
	if (e->module.n > 0)
		json_text(out, ",\"module\":", e->module);
	json_text(out, ",\"source\":", e->source);
	if (e->uses)
		fputs(",\"uses\":[", out);
	for (u = e->uses; u; u = u->next) {
		json_text(out, "{\"file\":", u->file);
		fprintf(out, ",\"line\":%u,\"column\":%u", u->line, u->column);
		json_text(out, ",\"name\":", u->what);
		fputs(u->next ? "}," : "}]", out);
	}
	fputc('}', out);
}

void script_errs_print_json(FILE *out, struct str script, const struct script_err *errs, const char *failure)
{
	const struct script_err *e;
	unsigned n_errors = 0, n_warnings = 0;

	for (e = errs; e; e = e->next)
		*(e->level == SCRIPT_ERROR ? &n_errors : &n_warnings) += 1;
	json_text(out, "{\"script\":", script);
	fprintf(out, ",\"ok\":%s,\"errors\":%u,\"warnings\":%u", n_errors == 0 && !failure ? "true" : "false", n_errors, n_warnings);
	if (failure)
		json_text(out, ",\"failure\":", str_lit(failure));
	fputs(",\"messages\":[", out);
	for (e = errs; e; e = e->next) {
		json_err(out, e);
		if (e->next)
			fputc(',', out);
	}
	fputs("]}\n", out);
}

void script_errs_free(struct script_err *errs)
{
	while (errs) {
		struct script_err *next = errs->next;

		while (errs->uses) {
			struct script_use *u = errs->uses;

			errs->uses = u->next;
			free(u);
		}
		free(errs);
		errs = next;
	}
}
