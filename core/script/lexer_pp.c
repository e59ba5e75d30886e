/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The preprocessor: defines, conditionals, substitutions, includes. A directive stands wherever a token may start; one row of
 * the table below is one word.
 */
#include "core/script/lexer_priv.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/file.h"

#define INCLUDE_DEPTH_MAX 10u
#define INCLUDE_NAME_MAX 127u

/* ---- defines ---- */

struct define *lexer_define_find(struct lexer *lx, struct str name)
{
	struct define *d;

	for (d = lx->defines; d; d = d->next)
		if (str_eq(d->name, name))
			return d;
	return NULL;
}

struct define *lexer_defines(struct lexer *lx)
{
	return lx->defines;
}

int lexer_define(struct lexer *lx, struct str name, struct str value, bool has_value, bool replace)
{
	struct define *d = lexer_define_find(lx, name);

	if (d && !replace)
		return -EEXIST;
	if (!d) {
		d = pool_zalloc(lx->ld->keep, sizeof(*d));
		if (!d)
			return -ENOMEM;
		d->name = load_dup(lx->ld, name);
		d->next = lx->defines;
		lx->defines = d;
		lx->ld->script->defines = d;
	}
	d->value = load_dup(lx->ld, value);
	d->has_value = has_value;
	return 0;
}

static bool define_remove(struct lexer *lx, struct str name)
{
	struct define **d;

	for (d = &lx->defines; *d; d = &(*d)->next) {
		if (str_eq((*d)->name, name)) {
			*d = (*d)->next;
			lx->ld->script->defines = lx->defines;
			return true;
		}
	}
	return false;
}

static bool lookup_define(void *arg, struct str name, struct str *ret_value, bool *ret_has_value)
{
	struct define *d = lexer_define_find(arg, name);

	if (!d)
		return false;
	*ret_value = d->value;
	*ret_has_value = d->has_value;
	return true;
}

int lexer_subst_add(struct lexer *lx, struct pos pos, struct str directive, struct str text)
{
	struct subst *rule;
	struct diag why;
	int err = subst_parse(lx->ld, text, &rule, &why);

	if (err < 0) {
		load_error(lx->ld, pos, "%.*s: %s", STR_FMT(directive), why.text);
		return err;
	}
	if (!str_eq(directive, STR_LIT("subst"))) {
		bool quoted = str_eq(directive, STR_LIT("substdefs"));
		struct str value = subst_right(lx->ld, rule), name = subst_left(rule);

		if (quoted && pool_printf(lx->ld->pool, &value, "\"%.*s\"", STR_FMT(value)) < 0)
			value = STR_NULL;
		err = lexer_define(lx, name, value, true, false);
		if (err < 0) {
			load_error(lx->ld, pos, "%.*s: '%.*s' is defined already", STR_FMT(directive), STR_FMT(name));
			subst_append(&lx->substs, rule);
			return err;
		}
	}
	subst_append(&lx->substs, rule);
	return 0;
}

/* ---- directives ---- */

enum directive {
	D_NONE, D_DEFINE, D_TRYDEF, D_REDEF, D_UNDEF, D_TRYUNDEF, D_IFDEF, D_IFNDEF, D_IFEXP, D_ELSE, D_ENDIF, D_DEFEXP,
	D_DEFEXPS, D_DEFENV, D_DEFENVS, D_TRYDEFENV, D_TRYDEFENVS, D_SUBST, D_SUBSTDEF, D_SUBSTDEFS, D_INCLUDE, D_IMPORT,
	D_MODE
};

/* clang-format off */
static const struct { const char *word; enum directive d; } directives[] = {
	{ "define", D_DEFINE },      { "def", D_DEFINE },         { "trydef", D_TRYDEF },     { "trydefine", D_TRYDEF },
	{ "redef", D_REDEF },        { "redefine", D_REDEF },     { "undef", D_UNDEF },       { "undefine", D_UNDEF },
	{ "tryundef", D_TRYUNDEF },  { "tryundefine", D_TRYUNDEF }, { "ifdef", D_IFDEF },     { "ifndef", D_IFNDEF },
	{ "ifexp", D_IFEXP },        { "else", D_ELSE },          { "endif", D_ENDIF },       { "defexp", D_DEFEXP },
	{ "defexps", D_DEFEXPS },    { "defenv", D_DEFENV },      { "defenvs", D_DEFENVS },   { "trydefenv", D_TRYDEFENV },
	{ "trydefenvs", D_TRYDEFENVS }, { "subst", D_SUBST },     { "substdef", D_SUBSTDEF }, { "substdefs", D_SUBSTDEFS },
	{ "include_file", D_INCLUDE }, { "import_file", D_IMPORT },
	{ "KAMAILIO", D_MODE }, { "OPENSER", D_MODE }, { "SER", D_MODE }, { "MAXCOMPAT", D_MODE }, { "ALL", D_MODE },
};
/* clang-format on */

/* At "#!" or "!!": which directive, and how long the word is. */
static enum directive directive_at(const struct lexer *lx, size_t *ret_len)
{
	size_t n = 2, i;
	struct str word;

	while (lx_is_alnum(lx_at(lx, n)))
		n++;
	word = str_sub(lx_view(lx, n), 2, n - 2);
	*ret_len = n;
	for (i = 0; i < ARRAY_LEN(directives); i++)
		if (str_eq(word, str_lit(directives[i].word)))
			return directives[i].d;
	return D_NONE;
}

/* Only blanks up to the end of the line, behind offset k. */
static bool rest_blank(const struct lexer *lx, size_t k)
{
	while (lx_is_blank(lx_at(lx, k)))
		k++;
	return lx_at(lx, k) == '\n' || lx_at(lx, k) < 0;
}

static void cond_push(struct lexer *lx, struct pos pos, bool active)
{
	if (lx->n_cond == COND_DEPTH_MAX) {
		load_error(lx->ld, pos, "more than %u conditionals inside each other", COND_DEPTH_MAX);
		lx->failed = true;
		return;
	}
	lx->cond[lx->n_cond++] = (struct cond){ .active = active, .pos = pos };
}

static struct str read_word(struct lexer *lx)
{
	size_t n = 0;
	struct str w;

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	while (lx_is_alnum(lx_at(lx, n)))
		n++;
	w = str_dup(lx->ld->pool, n > 0 ? lx_view(lx, n) : STR_LIT(""));
	lx_take_n(lx, n);
	return w;
}

/* Rest of the line, joined over backslash-newline. */
static struct str read_value(struct lexer *lx)
{
	struct strbuf sb;

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	strbuf_init_pool(&sb, lx->ld->pool, 1 << 20);
	while (lx_at(lx, 0) >= 0 && lx_at(lx, 0) != '\n') {
		if (lx_at(lx, 0) == '\\' && lx_at(lx, 1) == '\n') {
			lx_take_n(lx, 2);
			continue;
		}
		if (lx_at(lx, 0) == '\\' && lx_at(lx, 1) == '\r' && lx_at(lx, 2) == '\n') {
			lx_take_n(lx, 3);
			continue;
		}
		if (!(lx_at(lx, 0) == '\r' && lx_at(lx, 1) == '\n'))
			strbuf_add_char(&sb, (char)lx_at(lx, 0));
		lx_take(lx);
	}
	return strbuf_str(&sb);
}

static bool eval_if(struct lexer *lx, struct pos pos)
{
	struct pp_value v;
	struct diag why;

	if (pp_eval(lx->ld->pool, read_value(lx), lookup_define, lx, &v, &why) < 0) {
		load_warning(lx->ld, pos, "ifexp: %s: taken as false", why.text);
		return false;
	}
	return v.is_str ? v.s.n > 0 : v.num != 0;
}

static void do_conditional(struct lexer *lx, enum directive d, struct pos pos)
{
	struct str word;
	bool known;

	switch (d) {
	case D_IFDEF:
	case D_IFNDEF:
		word = read_word(lx);
		if (word.n == 0 || lx_at(lx, 0) == '-') {
			load_error(lx->ld, lx_here(lx), "name expected behind #!%s", d == D_IFDEF ? "ifdef" : "ifndef");
			lx->failed = true;
		}
		known = lexer_define_find(lx, word) != NULL;
		cond_push(lx, pos, d == D_IFDEF ? known : !known);
		lx_skip_line(lx);
		break;
	case D_IFEXP:
		if (lx_skipping(lx)) {
			lx_skip_line(lx);
			cond_push(lx, pos, false);
		} else {
			cond_push(lx, pos, eval_if(lx, pos));
		}
		break;
	case D_ELSE:
		if (lx->n_cond == 0)
			load_warning(lx->ld, pos, "#!else without #!ifdef");
		else
			lx->cond[lx->n_cond - 1].active = !lx->cond[lx->n_cond - 1].active;
		lx_skip_line(lx);
		break;
	default: /* D_ENDIF */
		if (lx->n_cond == 0) {
			load_error(lx->ld, pos, "#!endif without #!ifdef");
			lx->failed = true;
		} else {
			lx->n_cond--;
		}
		lx_skip_line(lx);
		break;
	}
}

static void bad_directive(struct lexer *lx, struct pos pos, const char *what, struct str name)
{
	load_error(lx->ld, pos, "%s: '%.*s'", what, STR_FMT(name));
	lx->failed = true;
}

static void do_define(struct lexer *lx, enum directive d, struct pos pos)
{
	struct pos at_name;
	struct str name, value;
	struct pp_value v;
	struct diag why;
	long number = 0;
	bool has;
	int err;

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	at_name = lx_here(lx);
	name = read_word(lx);
	if (name.n == 0 || !lx_is_alpha((unsigned char)name.s[0])) {
		load_error(lx->ld, at_name, "name expected");
		lx->failed = true;
		return;
	}
	if (lx_at(lx, 0) == '-') {
		bad_directive(lx, lx_here(lx), "'-' cannot be part of a name", name);
		return;
	}
	value = read_value(lx);
	has = value.n > 0;
	if (d == D_DEFEXP || d == D_DEFEXPS) {
		if (pp_eval(lx->ld->pool, value, lookup_define, lx, &v, &why) < 0 || (!v.is_str && pp_integer(v.num, &number, 0, &why) < 0)) {
			load_warning(lx->ld, pos, "%.*s: %s: defined without a value", STR_FMT(name), why.text);
			value = STR_NULL;
			has = false;
		} else {
			if (v.is_str)
				value = v.s;
			else if (pool_printf(lx->ld->pool, &value, "%ld", number) < 0)
				value = STR_NULL;
			has = true;
			if (d == D_DEFEXPS && pool_printf(lx->ld->pool, &value, "\"%.*s\"", STR_FMT(value)) < 0)
				value = STR_NULL;
		}
	}
	err = lexer_define(lx, name, value, has, d == D_REDEF);
	if (err == -EEXIST && d != D_TRYDEF)
		bad_directive(lx, at_name, "defined already", name);
	else if (err < 0 && err != -EEXIST)
		bad_directive(lx, at_name, "out of memory", name);
}

static void do_undef(struct lexer *lx, bool try_only)
{
	struct str name;
	struct pos pos;

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	pos = lx_here(lx);
	name = read_word(lx);
	if (name.n == 0) {
		load_error(lx->ld, pos, "name expected");
		lx->failed = true;
	} else if (!rest_blank(lx, 0)) {
		bad_directive(lx, lx_here(lx), "nothing may follow the name", name);
	} else if (!define_remove(lx, name) && !try_only) {
		bad_directive(lx, pos, "not defined", name);
	}
	lx_skip_line(lx);
}

static void do_defenv(struct lexer *lx, enum directive d)
{
	bool try_only = d == D_TRYDEFENV || d == D_TRYDEFENVS, quoted = d == D_DEFENVS || d == D_TRYDEFENVS;
	struct str name, env, value;
	struct pos pos;
	const char *z;

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	pos = lx_here(lx);
	env = name = read_word(lx);
	if (lx_at(lx, 0) == '=') {
		lx_take(lx);
		env = read_word(lx);
	}
	lx_skip_line(lx);
	if (name.n == 0 || env.n == 0) {
		load_error(lx->ld, pos, "name expected");
		lx->failed = true;
		return;
	}
	z = getenv(env.s); /* words are copies with a NUL behind */
	if (!z) {
		if (!try_only)
			bad_directive(lx, pos, "environment variable not set", env);
		return;
	}
	value = str_lit(z);
	if (quoted && pool_printf(lx->ld->pool, &value, "\"%s\"", z) < 0)
		value = STR_NULL;
	if (lexer_define(lx, name, value, true, false) < 0)
		bad_directive(lx, pos, "defined already", name);
}

void lexer_include(struct lexer *lx, bool import)
{
	struct loader *ld = lx->ld;
	struct pos pos;
	struct strbuf sb;
	struct str name, text;
	char path[PATH_MAX];
	int err, first;
	bool two = false; /* places to look in */

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	pos = lx_here(lx);
	if (lx_at(lx, 0) != '"') {
		load_error(ld, pos, "file name in double quotes expected");
		lx->failed = true;
		return;
	}
	lx_take(lx);
	strbuf_init_pool(&sb, ld->pool, 4096);
	while (lx_at(lx, 0) >= 0 && lx_at(lx, 0) != '"' && lx_at(lx, 0) != '\n') {
		int c = lx_at(lx, 0);

		if (c == '\\' && lx_at(lx, 1) >= 0) {
			lx_take(lx);
			c = lx_at(lx, 0);
			c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
		}
		strbuf_add_char(&sb, (char)c);
		lx_take(lx);
	}
	if (lx_at(lx, 0) != '"') {
		load_error(ld, pos, "'\"' missing behind the file name");
		lx->failed = true;
		return;
	}
	lx_take(lx);
	name = str_dup(ld->pool, strbuf_str(&sb));
	name = str_dup(ld->pool, subst_apply(ld, lx->substs, name));
	if (name.n == 0 || name.n > INCLUDE_NAME_MAX) {
		load_error(ld, pos, "file name of 1 to %u characters expected", INCLUDE_NAME_MAX);
		lx->failed = true;
		return;
	}
	if (lx->depth > INCLUDE_DEPTH_MAX) {
		load_error(ld, pos, "includes nested deeper than %u", INCLUDE_DEPTH_MAX);
		lx->failed = true;
		return;
	}
	snprintf(path, sizeof(path), "%.*s", STR_FMT(name));
	err = first = script_files_read(ld->disk, path, &text);
	if (err < 0 && name.s[0] != '/') {
		struct str from = ld->files[lx->src->file].name;
		ptrdiff_t slash = str_rfind_char(from, '/');

		two = slash >= 0;
		if (two) {
			snprintf(path, sizeof(path), "%.*s/%.*s", (int)slash, from.s, STR_FMT(name));
			err = script_files_read(ld->disk, path, &text);
		}
	}
	if (err < 0) {
		if (import && err == -ENOENT && first == -ENOENT)
			return;
		if (two)
			load_error(ld, pos, "cannot include '%.*s': in the folder of the start: %s; '%s': %s", STR_FMT(name), file_why(first), path,
				   file_why(err));
		else
			load_error(ld, pos, "cannot include '%.*s': %s", STR_FMT(name), file_why(err));
		lx->failed = true;
		return;
	}
	err = lexer_source_push(lx, str_lit(path), text);
	if (err < 0) {
		load_error(ld, pos, "cannot read '%s': %s", path, strerror(-err));
		lx->failed = true;
	}
}

static void do_subst(struct lexer *lx, enum directive d)
{
	struct token tok = { 0 };
	struct str word = d == D_SUBST ? STR_LIT("subst") : d == D_SUBSTDEF ? STR_LIT("substdef") : STR_LIT("substdefs");

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	tok.pos = lx_here(lx);
	if (lx_at(lx, 0) != '"' && lx_at(lx, 0) != '\'') {
		load_error(lx->ld, tok.pos, "text in quotes expected");
		lx->failed = true;
		return;
	}
	lexer_read_string(lx, &tok);
	if (tok.kind == T_ERROR || lexer_subst_add(lx, tok.pos, word, tok.text) < 0)
		lx->failed = true;
}

bool lexer_directive(struct lexer *lx)
{
	struct pos pos = lx_here(lx);
	size_t n;
	enum directive d = directive_at(lx, &n);
	bool echo = lx->echo_off;

	if (d == D_NONE || ((d == D_ELSE || d == D_ENDIF) && !rest_blank(lx, n)))
		return false;
	if (d == D_MODE) {
		if (!rest_blank(lx, n) && lx_at(lx, 0) == '!')
			return false;
		if (rest_blank(lx, n))
			lx->native = lx_at(lx, 2) == 'K' || lx_at(lx, 2) == 'O'; /* KAMAILIO, OPENSER; not SER, MAXCOMPAT, ALL */
		lx_skip_line(lx);
		return true;
	}
	lx->echo_off = true;
	lx_take_n(lx, n);
	switch (d) {
	case D_IFDEF:
	case D_IFNDEF:
	case D_IFEXP:
	case D_ELSE:
	case D_ENDIF:
		do_conditional(lx, d, pos);
		break;
	case D_UNDEF:
	case D_TRYUNDEF:
		do_undef(lx, d == D_TRYUNDEF);
		break;
	case D_DEFENV:
	case D_DEFENVS:
	case D_TRYDEFENV:
	case D_TRYDEFENVS:
		do_defenv(lx, d);
		break;
	case D_SUBST:
	case D_SUBSTDEF:
	case D_SUBSTDEFS:
		do_subst(lx, d);
		break;
	case D_INCLUDE:
	case D_IMPORT:
		lexer_include(lx, d == D_IMPORT);
		break;
	default:
		do_define(lx, d, pos);
		break;
	}
	lx->echo_off = echo;
	return true;
}

void lexer_skip_region(struct lexer *lx)
{
	bool echo = lx->echo_off;
	size_t n;

	lx->echo_off = true;
	while (lx->src && lx_skipping(lx)) {
		int c = lx_at(lx, 0);

		if (c < 0) {
			if (!lx->src->up)
				break;
			lexer_source_pop(lx);
			continue;
		}
		if ((c == '#' || c == '!') && lx_at(lx, 1) == '!') {
			enum directive d = directive_at(lx, &n);
			struct pos pos = lx_here(lx);

			if (d == D_IFDEF || d == D_IFNDEF || d == D_IFEXP ||
			    ((d == D_ELSE || d == D_ENDIF) && rest_blank(lx, n))) {
				lx_take_n(lx, n);
				do_conditional(lx, d, pos);
				continue;
			}
			lx_take_n(lx, n);
			continue;
		}
		lx_take(lx);
	}
	lx->echo_off = echo;
}
