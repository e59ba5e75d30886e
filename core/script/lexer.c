/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text to tokens, with the preprocessor inside: a directive stands wherever a token may start, and a define's value is
 * given back to the input and read again, so that it may hold any sequence of tokens. Includes are a stack of sources.
 * Positions are those of the text as written: characters that came from a define count as the place of its use.
 */
#include "core/script/script_priv.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/net/addr.h"

#define INCLUDE_DEPTH_MAX 10u
#define COND_DEPTH_MAX 512u
#define INCLUDE_NAME_MAX 127u
#define EXPANSIONS_MAX 10000u /* of defines at one place of the text: more is a loop */
#define SCRIPT_BYTES_MAX ((size_t)64 << 20)

struct source {
	struct source *up;
	char *mem;         /* unread text is at its end: room in front is for text given back */
	size_t cap, at;    /* mem[at, cap) is unread */
	size_t pushed;     /* how much of it was given back */
	unsigned expanded; /* defines since the last character as written */
	uint32_t line, column;
	uint16_t file;
};

struct cond {
	bool active;       /* this branch is read (when the outer ones are) */
	bool outer;
	struct pos pos;
};

struct lexer {
	struct loader *ld;
	struct source *src;
	unsigned depth;
	struct cond cond[COND_DEPTH_MAX];
	unsigned n_cond;
	bool addr_mode;
	struct define *defines;
	struct subst *substs;
	FILE *echo;
	bool echo_off;
	bool failed;
};

/* ---- characters ---- */

static int at(const struct lexer *lx, size_t k)
{
	const struct source *s = lx->src;

	if (!s || k >= s->cap - s->at)
		return -1;
	return (unsigned char)s->mem[s->at + k];
}

static void take(struct lexer *lx)
{
	struct source *s = lx->src;
	char c = s->mem[s->at++];

	if (s->pushed > 0) {
		s->pushed--;
		return;
	}
	s->expanded = 0;
	if (lx->echo && !lx->echo_off)
		fputc(c, lx->echo);
	if (c == '\n') {
		s->line++;
		s->column = 1;
	} else {
		s->column++;
	}
}

static void take_n(struct lexer *lx, size_t n)
{
	while (n-- > 0)
		take(lx);
}

static struct pos here(const struct lexer *lx)
{
	if (!lx->src)
		return (struct pos){ 1, 1, 0 };
	return (struct pos){ .line = lx->src->line, .column = lx->src->column, .file = lx->src->file };
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\b';
}
static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}
static bool is_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_alnum(int c)
{
	return is_alpha(c) || is_digit(c);
}
static bool is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static int hex_digit(int c)
{
	return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* View of the unread text, n bytes. */
static struct str view(const struct lexer *lx, size_t n)
{
	return str_of(lx->src->mem + lx->src->at, n);
}

static bool looking_at(const struct lexer *lx, const char *z)
{
	size_t n = strlen(z);

	return lx->src && n <= lx->src->cap - lx->src->at && memcmp(lx->src->mem + lx->src->at, z, n) == 0;
}

static int push_back(struct lexer *lx, struct str text)
{
	struct source *s = lx->src;

	if (!s)
		return -EINVAL;
	if (text.n > s->at) {
		size_t unread = s->cap - s->at, room = text.n + 4096;
		char *mem = malloc(room + unread);

		if (!mem)
			return -ENOMEM;
		memcpy(mem + room, s->mem + s->at, unread);
		memcpy(mem + room - text.n, text.s, text.n);
		free(s->mem);
		s->mem = mem;
		s->cap = room + unread;
		s->at = room - text.n;
	} else if (text.n > 0) {
		s->at -= text.n;
		memmove(s->mem + s->at, text.s, text.n);
	}
	s->pushed += text.n;
	return 0;
}

void lexer_unread(struct lexer *lx, struct str text)
{
	if (text.n > 0 && push_back(lx, text) < 0)
		load_error(lx->ld, here(lx), "out of memory");
}

/* ---- sources ---- */

static int read_all(FILE *f, char **ret_mem, size_t *ret_n)
{
	size_t cap = 65536, n = 0;
	char *mem = malloc(cap), *bigger;

	while (mem) {
		n += fread(mem + n, 1, cap - n, f);
		if (n < cap)
			break;
		if (cap >= SCRIPT_BYTES_MAX) {
			free(mem);
			return -EFBIG;
		}
		bigger = realloc(mem, cap * 2);
		if (!bigger) {
			free(mem);
			return -ENOMEM;
		}
		mem = bigger;
		cap *= 2;
	}
	if (!mem)
		return -ENOMEM;
	if (ferror(f)) {
		free(mem);
		return -EIO;
	}
	*ret_mem = mem;
	*ret_n = n;
	return 0;
}

static int source_push(struct lexer *lx, struct str name, FILE *f)
{
	struct loader *ld = lx->ld;
	struct source *s = NULL;
	char *mem = NULL;
	size_t n = 0;
	int err = read_all(f, &mem, &n);

	if (err < 0)
		return err;
	err = -ENOMEM;
	if (ld->n_files == ld->files_cap) {
		unsigned cap = ld->files_cap ? ld->files_cap * 2 : 8;
		struct script_file *files = realloc(ld->files, cap * sizeof(*files));

		if (!files)
			goto fail;
		ld->files = files;
		ld->files_cap = cap;
	}
	if (ld->n_files >= UINT16_MAX)
		goto fail;
	s = calloc(1, sizeof(*s));
	if (!s)
		goto fail;
	ld->files[ld->n_files].name = load_dup(ld, name);
	ld->files[ld->n_files].text = str_dup(ld->pool, str_of(mem, n));
	s->mem = mem;
	s->cap = n;
	s->line = s->column = 1;
	s->file = (uint16_t)ld->n_files++;
	s->up = lx->src;
	lx->src = s;
	lx->depth++;
	return 0;
fail:
	free(mem);
	free(s);
	return err;
}

static void source_pop(struct lexer *lx)
{
	struct source *s = lx->src;

	lx->src = s->up;
	lx->depth--;
	free(s->mem);
	free(s);
}

int lexer_new(struct loader *ld, struct lexer **ret_lx)
{
	struct lexer *lx = calloc(1, sizeof(*lx));
	const char *path = ld->opts->path;
	FILE *f = NULL;
	int err = -ENOMEM;

	if (!lx)
		return err;
	lx->ld = ld;
	if (ld->opts->text.n > 0)
		f = fmemopen((void *)(uintptr_t)ld->opts->text.s, ld->opts->text.n, "r");
	else
		f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	err = f ? source_push(lx, strcmp(path, "-") == 0 ? STR_LIT("stdin") : str_lit(path), f) : -errno;
	if (f && f != stdin)
		fclose(f);
	if (err < 0) {
		lexer_free(lx);
		return err;
	}
	*ret_lx = lx;
	return 0;
}

void lexer_free(struct lexer *lx)
{
	if (!lx)
		return;
	while (lx->src)
		source_pop(lx);
	subst_free_all(lx->substs);
	free(lx);
}

void lexer_addr_mode(struct lexer *lx, bool on)
{
	lx->addr_mode = on;
}

void lexer_echo(struct lexer *lx, FILE *out)
{
	lx->echo = out;
}

char lexer_peek_char(struct lexer *lx)
{
	size_t k = 0;

	while (is_blank(at(lx, k)) || at(lx, k) == '\n')
		k++;
	return at(lx, k) < 0 ? 0 : (char)at(lx, k);
}

int lexer_raw_until(struct lexer *lx, char end, struct token *ret_tok)
{
	struct pos pos;
	size_t n = 0;

	while (is_blank(at(lx, 0)))
		take(lx);
	pos = here(lx);
	while (at(lx, n) >= 0 && at(lx, n) != '\n' && at(lx, n) != end)
		n++;
	if (at(lx, n) != end) {
		load_error(lx->ld, pos, "'%c' expected", end);
		return -EBADMSG;
	}
	*ret_tok = (struct token){ .kind = T_STR, .pos = pos, .text = load_dup(lx->ld, str_trim(view(lx, n))) };
	take_n(lx, n);
	return 0;
}

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

	while (is_alnum(at(lx, n)))
		n++;
	word = str_sub(view(lx, n), 2, n - 2);
	*ret_len = n;
	for (i = 0; i < ARRAY_LEN(directives); i++)
		if (str_eq(word, str_lit(directives[i].word)))
			return directives[i].d;
	return D_NONE;
}

static bool skipping(const struct lexer *lx)
{
	unsigned i;

	for (i = 0; i < lx->n_cond; i++)
		if (!lx->cond[i].active)
			return true;
	return false;
}

/* Only blanks up to the end of the line, behind offset k. */
static bool rest_blank(const struct lexer *lx, size_t k)
{
	while (is_blank(at(lx, k)))
		k++;
	return at(lx, k) == '\n' || at(lx, k) < 0;
}

static void skip_line(struct lexer *lx)
{
	while (at(lx, 0) >= 0 && at(lx, 0) != '\n')
		take(lx);
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

	while (is_blank(at(lx, 0)))
		take(lx);
	while (is_alnum(at(lx, n)))
		n++;
	w = str_dup(lx->ld->pool, n > 0 ? view(lx, n) : STR_LIT(""));
	take_n(lx, n);
	return w;
}

/* Rest of the line, joined over backslash-newline. */
static struct str read_value(struct lexer *lx)
{
	struct strbuf sb;

	while (is_blank(at(lx, 0)))
		take(lx);
	strbuf_init_pool(&sb, lx->ld->pool, 1 << 20);
	while (at(lx, 0) >= 0 && at(lx, 0) != '\n') {
		if (at(lx, 0) == '\\' && at(lx, 1) == '\n') {
			take_n(lx, 2);
			continue;
		}
		if (at(lx, 0) == '\\' && at(lx, 1) == '\r' && at(lx, 2) == '\n') {
			take_n(lx, 3);
			continue;
		}
		if (!(at(lx, 0) == '\r' && at(lx, 1) == '\n'))
			strbuf_add_char(&sb, (char)at(lx, 0));
		take(lx);
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
		if (word.n == 0 || at(lx, 0) == '-') {
			load_error(lx->ld, here(lx), "name expected behind #!%s", d == D_IFDEF ? "ifdef" : "ifndef");
			lx->failed = true;
		}
		known = lexer_define_find(lx, word) != NULL;
		cond_push(lx, pos, d == D_IFDEF ? known : !known);
		skip_line(lx);
		break;
	case D_IFEXP:
		if (skipping(lx)) {
			skip_line(lx);
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
		skip_line(lx);
		break;
	default: /* D_ENDIF */
		if (lx->n_cond == 0) {
			load_error(lx->ld, pos, "#!endif without #!ifdef");
			lx->failed = true;
		} else {
			lx->n_cond--;
		}
		skip_line(lx);
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
	bool has;
	int err;

	while (is_blank(at(lx, 0)))
		take(lx);
	at_name = here(lx);
	name = read_word(lx);
	if (name.n == 0 || !is_alpha((unsigned char)name.s[0])) {
		load_error(lx->ld, at_name, "name expected");
		lx->failed = true;
		return;
	}
	if (at(lx, 0) == '-') {
		bad_directive(lx, here(lx), "'-' cannot be part of a name", name);
		return;
	}
	value = read_value(lx);
	has = value.n > 0;
	if (d == D_DEFEXP || d == D_DEFEXPS) {
		if (pp_eval(lx->ld->pool, value, lookup_define, lx, &v, &why) < 0) {
			load_warning(lx->ld, pos, "%.*s: %s: defined without a value", STR_FMT(name), why.text);
			value = STR_NULL;
			has = false;
		} else {
			if (v.is_str)
				value = v.s;
			else if (pool_printf(lx->ld->pool, &value, "%ld", (long)v.num) < 0)
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

	while (is_blank(at(lx, 0)))
		take(lx);
	pos = here(lx);
	name = read_word(lx);
	if (name.n == 0) {
		load_error(lx->ld, pos, "name expected");
		lx->failed = true;
	} else if (!rest_blank(lx, 0)) {
		bad_directive(lx, here(lx), "nothing may follow the name", name);
	} else if (!define_remove(lx, name) && !try_only) {
		bad_directive(lx, pos, "not defined", name);
	}
	skip_line(lx);
}

static void do_defenv(struct lexer *lx, enum directive d)
{
	bool try_only = d == D_TRYDEFENV || d == D_TRYDEFENVS, quoted = d == D_DEFENVS || d == D_TRYDEFENVS;
	struct str name, env, value;
	struct pos pos;
	const char *z;

	while (is_blank(at(lx, 0)))
		take(lx);
	pos = here(lx);
	env = name = read_word(lx);
	if (at(lx, 0) == '=') {
		take(lx);
		env = read_word(lx);
	}
	skip_line(lx);
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

static void do_include(struct lexer *lx, bool import)
{
	struct loader *ld = lx->ld;
	struct pos pos;
	struct strbuf sb;
	struct str name;
	char path[PATH_MAX];
	FILE *f;
	int err;

	while (is_blank(at(lx, 0)))
		take(lx);
	pos = here(lx);
	if (at(lx, 0) != '"') {
		load_error(ld, pos, "file name in double quotes expected");
		lx->failed = true;
		return;
	}
	take(lx);
	strbuf_init_pool(&sb, ld->pool, 4096);
	while (at(lx, 0) >= 0 && at(lx, 0) != '"' && at(lx, 0) != '\n') {
		int c = at(lx, 0);

		if (c == '\\' && at(lx, 1) >= 0) {
			take(lx);
			c = at(lx, 0);
			c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
		}
		strbuf_add_char(&sb, (char)c);
		take(lx);
	}
	if (at(lx, 0) != '"') {
		load_error(ld, pos, "'\"' missing behind the file name");
		lx->failed = true;
		return;
	}
	take(lx);
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
	f = fopen(path, "re");
	if (!f && name.s[0] != '/') {
		struct str from = ld->files[lx->src->file].name;
		ptrdiff_t slash = str_rfind_char(from, '/');

		if (slash >= 0) {
			snprintf(path, sizeof(path), "%.*s/%.*s", (int)slash, from.s, STR_FMT(name));
			f = fopen(path, "re");
		}
	}
	if (!f) {
		if (import && errno == ENOENT)
			return;
		load_error(ld, pos, "cannot include '%.*s': %s", STR_FMT(name), strerror(errno));
		lx->failed = true;
		return;
	}
	err = source_push(lx, str_lit(path), f);
	fclose(f);
	if (err < 0) {
		load_error(ld, pos, "cannot read '%s': %s", path, strerror(-err));
		lx->failed = true;
	}
}

static void read_string(struct lexer *lx, struct token *tok);

static void do_subst(struct lexer *lx, enum directive d)
{
	struct token tok = { 0 };
	struct str word = d == D_SUBST ? STR_LIT("subst") : d == D_SUBSTDEF ? STR_LIT("substdef") : STR_LIT("substdefs");

	while (is_blank(at(lx, 0)))
		take(lx);
	tok.pos = here(lx);
	if (at(lx, 0) != '"' && at(lx, 0) != '\'') {
		load_error(lx->ld, tok.pos, "text in quotes expected");
		lx->failed = true;
		return;
	}
	read_string(lx, &tok);
	if (tok.kind == T_ERROR || lexer_subst_add(lx, tok.pos, word, tok.text) < 0)
		lx->failed = true;
}

/* At "#!" or "!!" outside of skipped text. False: it is none (a comment, or two NOTs). */
static bool do_directive(struct lexer *lx)
{
	struct pos pos = here(lx);
	size_t n;
	enum directive d = directive_at(lx, &n);
	bool echo = lx->echo_off;

	if (d == D_NONE || ((d == D_ELSE || d == D_ENDIF) && !rest_blank(lx, n)))
		return false;
	if (d == D_MODE) {
		if (!rest_blank(lx, n) && at(lx, 0) == '!')
			return false;
		skip_line(lx);
		return true;
	}
	lx->echo_off = true;
	take_n(lx, n);
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
		do_include(lx, d == D_IMPORT);
		break;
	default:
		do_define(lx, d, pos);
		break;
	}
	lx->echo_off = echo;
	return true;
}

/* Passes over text that a conditional leaves out; directives count wherever they stand. */
static void skip_region(struct lexer *lx)
{
	bool echo = lx->echo_off;
	size_t n;

	lx->echo_off = true;
	while (lx->src && skipping(lx)) {
		int c = at(lx, 0);

		if (c < 0) {
			if (!lx->src->up)
				break;
			source_pop(lx);
			continue;
		}
		if ((c == '#' || c == '!') && at(lx, 1) == '!') {
			enum directive d = directive_at(lx, &n);
			struct pos pos = here(lx);

			if (d == D_IFDEF || d == D_IFNDEF || d == D_IFEXP ||
			    ((d == D_ELSE || d == D_ENDIF) && rest_blank(lx, n))) {
				take_n(lx, n);
				do_conditional(lx, d, pos);
				continue;
			}
			take_n(lx, n);
			continue;
		}
		take(lx);
	}
	lx->echo_off = echo;
}

/* ---- tokens ---- */

static void read_escape(struct lexer *lx, struct strbuf *sb)
{
	int c = at(lx, 1), v, n;

	switch (c) {
	case 'n': strbuf_add_char(sb, '\n'); break;
	case 'r': strbuf_add_char(sb, '\r'); break;
	case 't': strbuf_add_char(sb, '\t'); break;
	case 'a': strbuf_add_char(sb, '\a'); break;
	case '"': strbuf_add_char(sb, '"'); break;
	case '\\': strbuf_add_char(sb, '\\'); break;
	case '\n': break;
	case '\r':
		if (at(lx, 2) == '\n') {
			take_n(lx, 3);
			return;
		}
		strbuf_add_lit(sb, "\\\r");
		break;
	case 'x':
		if (!is_hex(at(lx, 2))) {
			strbuf_add_lit(sb, "\\x");
			break;
		}
		v = hex_digit(at(lx, 2));
		n = 3;
		if (is_hex(at(lx, 3))) {
			v = v * 16 + hex_digit(at(lx, 3));
			n = 4;
		}
		strbuf_add_char(sb, (char)v);
		take_n(lx, (size_t)n);
		return;
	default:
		if (c >= '0' && c <= '7' && at(lx, 2) >= '0' && at(lx, 2) <= '7') {
			v = (c - '0') * 8 + at(lx, 2) - '0';
			n = 3;
			if (at(lx, 3) >= '0' && at(lx, 3) <= '7' && v * 8 < 256) {
				v = v * 8 + at(lx, 3) - '0';
				n = 4;
			}
			strbuf_add_char(sb, (char)v);
			take_n(lx, (size_t)n);
			return;
		}
		strbuf_add_char(sb, '\\');
		strbuf_add_char(sb, (char)c);
		break;
	}
	take_n(lx, 2);
}

static void read_string(struct lexer *lx, struct token *tok)
{
	struct pos pos = here(lx);
	struct strbuf sb;
	struct str text;
	char quote = (char)at(lx, 0);
	size_t k;

	strbuf_init_pool(&sb, lx->ld->pool, 1 << 20);
	take(lx);
	for (;;) {
		int c = at(lx, 0);

		if (c < 0) {
			load_error(lx->ld, pos, "text in quotes does not end");
			tok->kind = T_ERROR;
			return;
		}
		if (c == quote) {
			take(lx);
			if (quote == '\'')
				break;
			for (k = 0; is_blank(at(lx, k)) || at(lx, k) == '\n'; k++)
				;
			if (at(lx, k) != '"')
				break;
			take_n(lx, k + 1); /* neighbours are one text */
			continue;
		}
		if (c == '\\' && quote == '"' && at(lx, 1) >= 0) {
			read_escape(lx, &sb);
			continue;
		}
		strbuf_add_char(&sb, (char)c);
		take(lx);
	}
	text = strbuf_str(&sb);
	if (strbuf_err(&sb) < 0) {
		load_error(lx->ld, pos, "text in quotes is too long");
		tok->kind = T_ERROR;
		return;
	}
	if (text.n > 0 && memchr(text.s, '\0', text.n))
		text.n = strlen(text.s);
	if (text.n > 0)
		text = subst_apply(lx->ld, lx->substs, text);
	tok->text = load_dup(lx->ld, text);
	tok->kind = quote == '"' ? T_STR : T_STR_SINGLE;
}

static void read_pvar(struct lexer *lx, struct token *tok)
{
	size_t n = 1;
	unsigned depth = 0;

	if (at(lx, 1) == '?') {
		n = 2;
	} else {
		while (is_alnum(at(lx, n)))
			n++;
		if (at(lx, n) == '(') {
			do {
				int c = at(lx, n);

				if (c < 0 || c == '\n') {
					load_error(lx->ld, tok->pos, "')' of the variable missing");
					tok->kind = T_ERROR;
					return;
				}
				depth += c == '(';
				depth -= c == ')';
				n++;
			} while (depth > 0);
		}
	}
	if (n < 2) {
		load_error(lx->ld, tok->pos, "name of a variable expected behind '$'");
		tok->kind = T_ERROR;
		return;
	}
	tok->kind = T_PVAR;
	tok->text = load_dup(lx->ld, subst_apply(lx->ld, lx->substs, str_dup(lx->ld->pool, view(lx, n))));
	take_n(lx, n);
}

static void read_select(struct lexer *lx, struct token *tok)
{
	struct str text;
	size_t n = 1;

	while (is_alnum(at(lx, n)) || at(lx, n) == '.' || at(lx, n) == '[') {
		if (at(lx, n) == '[') {
			while (at(lx, n) >= 0 && at(lx, n) != '\n' && at(lx, n) != ']')
				n++;
			if (at(lx, n) != ']')
				break;
		}
		n++;
	}
	if (n < 2 || !is_alpha(at(lx, 1))) {
		load_error(lx->ld, tok->pos, "name of a select expected behind '@'");
		tok->kind = T_ERROR;
		return;
	}
	tok->kind = T_SELECT;
	if (pool_printf(lx->ld->pool, &text, "$sel(%.*s)", (int)(n - 1), view(lx, n).s + 1) < 0)
		text = STR_NULL;
	tok->text = load_dup(lx->ld, subst_apply(lx->ld, lx->substs, text));
	take_n(lx, n);
}

/* An address at the start of the unread text: its length, or 0. */
static size_t ip_at(const struct lexer *lx)
{
	struct net_addr a;
	size_t n = 0;
	unsigned dots = 0, colons = 0;

	if (at(lx, 0) == '[') {
		for (n = 1; is_hex(at(lx, n)) || at(lx, n) == ':' || at(lx, n) == '.'; n++)
			colons += at(lx, n) == ':';
		if (at(lx, n) != ']' || colons < 2)
			return 0;
		n++;
		return net_addr_parse(view(lx, n), 0, &a) == 0 ? n : 0;
	}
	if (is_digit(at(lx, 0))) {
		for (n = 0; is_digit(at(lx, n)) || at(lx, n) == '.'; n++)
			dots += at(lx, n) == '.';
		if (dots == 3 && !is_alpha(at(lx, n)) && net_addr_parse(view(lx, n), 0, &a) == 0)
			return n;
	}
	if (is_hex(at(lx, 0)) || (at(lx, 0) == ':' && at(lx, 1) == ':')) {
		dots = 0;
		for (n = 0; is_hex(at(lx, n)) || at(lx, n) == ':'; n++)
			colons += at(lx, n) == ':';
		if (colons >= 2 && !is_alnum(at(lx, n)) && net_addr_parse(view(lx, n), 0, &a) == 0)
			return n;
	}
	return 0;
}

static void read_number(struct lexer *lx, struct token *tok)
{
	size_t n = 0, i;
	struct str t;
	uint64_t v = 0;
	int err = 0;

	while (is_alnum(at(lx, n)))
		n++;
	t = str_dup(lx->ld->pool, view(lx, n));
	take_n(lx, n);
	tok->text = t;
	tok->kind = T_NUM;
	if (t.n > 2 && t.s[0] == '0' && (t.s[1] == 'x' || t.s[1] == 'X')) {
		err = num_hex_u64(str_sub(t, 2, t.n), &v);
	} else if (t.n > 1 && t.s[t.n - 1] == 'b' && strspn(t.s, "01") == t.n - 1) {
		for (i = 0; i + 1 < t.n; i++)
			v = v * 2 + (uint64_t)(t.s[i] - '0');
		err = t.n > 64 ? -ERANGE : 0;
	} else if (t.n > 1 && t.s[0] == '0' && strspn(t.s, "01234567") == t.n) {
		for (i = 1; i < t.n; i++)
			v = v * 8 + (uint64_t)(t.s[i] - '0');
		err = t.n > 21 ? -ERANGE : 0;
	} else if (strspn(t.s, "0123456789") == t.n && (t.n == 1 || t.s[0] != '0')) {
		err = num_u64(t, &v);
	} else {
		err = -EBADMSG;
	}
	if (err == -ERANGE || (err == 0 && v > INT64_MAX)) {
		load_error(lx->ld, tok->pos, "number out of range: %.*s", STR_FMT(t));
		tok->kind = T_ERROR;
	} else if (err < 0 && strspn(t.s, "0123456789") == t.n) {
		load_error(lx->ld, tok->pos, "not a number: %.*s (a leading 0 means octal)", STR_FMT(t));
		tok->kind = T_ERROR;
	} else if (err < 0) {
		tok->kind = T_NUM_ID;
	}
	tok->num = (int64_t)v;
}

/* clang-format off */
static const struct { const char *word; int value; } number_words[] = {
	{ "yes", 1 }, { "true", 1 }, { "on", 1 }, { "enable", 1 }, { "no", 0 }, { "false", 0 }, { "off", 0 }, { "disable", 0 },
	{ "inet", AF_INET }, { "INET", AF_INET }, { "ipv4", AF_INET }, { "IPv4", AF_INET }, { "IPV4", AF_INET },
	{ "inet6", AF_INET6 }, { "INET6", AF_INET6 }, { "ipv6", AF_INET6 }, { "IPv6", AF_INET6 }, { "IPV6", AF_INET6 },
};

/* Words that a define does not replace. */
static const char *const reserved[] = {
	"route", "request_route", "failure_route", "branch_route", "onsend_route", "onreply_route", "reply_route", "event_route",
	"if", "else", "switch", "case", "default", "while", "break", "return", "exit", "drop", "and", "or", "not", "eq", "ne",
	"ieq", "ine", "mod", "defined", "strlen", "strempty", "selval", "loadmodule", "loadmodulex", "loadpath", "mpath",
	"modparam", "modparamx", "cfgengine", "flags", "bool", "avpflags", "listen", "alias", "domain", "socket", "method",
	"uri", "status", "from_uri", "to_uri", "src_ip", "dst_ip", "src_port", "dst_port", "proto", "af", "myself",
};
/* clang-format on */

static bool is_reserved(struct str w)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_eq(w, str_lit(reserved[i])))
			return true;
	return command_find(w) != NULL;
}

/* Replaces the next n bytes by the value of the define. */
static int expand(struct lexer *lx, size_t n, const struct define *d)
{
	struct pos pos = here(lx);
	unsigned expanded = lx->src->expanded + 1;

	if (expanded > EXPANSIONS_MAX) {
		load_error(lx->ld, pos, "define '%.*s' refers to itself", STR_FMT(d->name));
		return -ELOOP;
	}
	take_n(lx, n);
	lx->src->expanded = expanded;
	if (d->value.n > 0 && push_back(lx, d->value) < 0) {
		load_error(lx->ld, pos, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

/* include_file and import_file are no addresses, also where addresses stand. */
static bool at_include(struct lexer *lx)
{
	return (looking_at(lx, "include_file") && !is_alnum(at(lx, 12))) || (looking_at(lx, "import_file") && !is_alnum(at(lx, 11)));
}

/* Returns false when it was a define that was replaced, or an include: read on. */
static bool read_word_token(struct lexer *lx, struct token *tok)
{
	const struct define *d;
	size_t n = 0, i;
	struct str w;

	while (is_alnum(at(lx, n)))
		n++;
	w = view(lx, n);
	if (str_eq(w, STR_LIT("include_file")) || str_eq(w, STR_LIT("import_file"))) {
		bool import = w.s[1] == 'm', echo = lx->echo_off;

		lx->echo_off = true;
		take_n(lx, n);
		do_include(lx, import);
		lx->echo_off = echo;
		return false;
	}
	/* "msg:len", "uri:host" and "uri:port" are one word each */
	if ((str_eq(w, STR_LIT("msg")) && looking_at(lx, "msg:len") && !is_alnum(at(lx, 7))) ||
	    (str_eq(w, STR_LIT("uri")) && (looking_at(lx, "uri:host") || looking_at(lx, "uri:port")) &&
	     !is_alnum(at(lx, 8))))
		n = w.s[0] == 'm' ? 7 : 8;
	else if (!is_reserved(w) && (d = lexer_define_find(lx, w)) != NULL) {
		if (expand(lx, n, d) < 0) {
			tok->kind = T_ERROR;
			return true;
		}
		return false;
	}
	tok->kind = T_ID;
	tok->text = load_dup(lx->ld, view(lx, n));
	take_n(lx, n);
	for (i = 0; i < ARRAY_LEN(number_words); i++) {
		if (str_eq(tok->text, str_lit(number_words[i].word))) {
			tok->kind = T_NUM;
			tok->num = number_words[i].value;
		}
	}
	return true;
}

/* A word of an address: segments may be defines. Returns false when nothing was read (an empty define). */
static bool read_addr(struct lexer *lx, struct token *tok)
{
	struct strbuf sb;
	unsigned depth = 0;
	bool v6 = false;

	strbuf_init_pool(&sb, lx->ld->pool, 1024);
	for (;;) {
		int c = at(lx, 0);
		struct str got = strbuf_str(&sb);
		bool part_begins = got.n == 0 || got.s[got.n - 1] == ':';

		if (is_alpha(c)) {
			const struct define *d;
			size_t n = 0;

			while (is_alnum(at(lx, n)))
				n++;
			d = lexer_define_find(lx, view(lx, n));
			if (d && !is_reserved(d->name)) {
				if (expand(lx, n, d) < 0) {
					tok->kind = T_ERROR;
					return true;
				}
				/* the value may be text in quotes, alone */
				if (strbuf_str(&sb).n == 0 && (at(lx, 0) == '"' || at(lx, 0) == '\''))
					return false;
				continue;
			}
			strbuf_add(&sb, view(lx, n));
			take_n(lx, n);
		} else if (is_digit(c)) {
			while (is_alnum(at(lx, 0))) {
				strbuf_add_char(&sb, (char)at(lx, 0));
				take(lx);
			}
		} else if (c == '"' && part_begins && got.n > 0) {
			/* udp:"10.0.0.1":5060, as defines make it */
			size_t n = 1;

			while (at(lx, n) >= 0 && at(lx, n) != '"' && at(lx, n) != '\n')
				n++;
			if (at(lx, n) != '"')
				break;
			strbuf_add(&sb, str_sub(view(lx, n), 1, n - 1));
			take_n(lx, n + 1);
		} else if (c == '.' || c == ':' || c == '-' || c == '*' || (c == '[' && part_begins) || (c == ']' && v6) ||
			   (c == '(' && depth == 0 && part_begins) || (depth > 0 && (c == ')' || c == ',' || c == ' '))) {
			if (c == '(')
				depth++;
			if (c == ')')
				depth--;
			if (c == '[' || c == ']')
				v6 = c == '[';
			if (c != ' ')
				strbuf_add_char(&sb, (char)c);
			take(lx);
		} else {
			break;
		}
	}
	tok->text = load_dup(lx->ld, strbuf_str(&sb));
	tok->kind = T_ADDR;
	return tok->text.n > 0;
}

/* clang-format off */
static const struct { const char *text; enum tok kind; } operators[] = {
	{ "(int)", T_CAST_INT }, { "(str)", T_CAST_STR }, { "==", T_EQ }, { "!=", T_NE }, { "=~", T_MATCH }, { "<=", T_LE },
	{ ">=", T_GE }, { "&&", T_AND }, { "||", T_OR }, { "<<", T_SHL }, { ">>", T_SHR },
};
/* clang-format on */

static void read_operator(struct lexer *lx, struct token *tok)
{
	int c = at(lx, 0);
	size_t i;

	for (i = 0; i < ARRAY_LEN(operators); i++) {
		if (looking_at(lx, operators[i].text)) {
			tok->kind = operators[i].kind;
			tok->text = load_dup(lx->ld, str_lit(operators[i].text));
			take_n(lx, strlen(operators[i].text));
			return;
		}
	}
	if (c < 33 || c > 126 || c == '\\' || c == '`') {
		load_error(lx->ld, tok->pos, "character 0x%02x cannot stand here", (unsigned)c);
		tok->kind = T_ERROR;
		take(lx);
		return;
	}
	tok->kind = (enum tok)c;
	tok->text = load_dup(lx->ld, view(lx, 1));
	take(lx);
}

/* Blanks and comments. Returns false after an error. */
static bool skip_blanks(struct lexer *lx)
{
	unsigned depth;
	struct pos pos;

	for (;;) {
		int c = at(lx, 0);

		if (is_blank(c) || c == '\n' || c == '\f' || c == '\v') {
			take(lx);
		} else if (c == '\\' && (at(lx, 1) == '\n' || (at(lx, 1) == '\r' && at(lx, 2) == '\n'))) {
			take_n(lx, 2);
		} else if ((c == '#' && at(lx, 1) != '!') || (c == '/' && at(lx, 1) == '/')) {
			skip_line(lx);
		} else if (c == '/' && at(lx, 1) == '*') {
			pos = here(lx);
			depth = 1;
			take_n(lx, 2);
			while (depth > 0) {
				if (at(lx, 0) < 0) {
					load_error(lx->ld, pos, "comment does not end");
					return false;
				}
				if (at(lx, 0) == '/' && at(lx, 1) == '*') {
					depth++;
					take_n(lx, 2);
				} else if (at(lx, 0) == '*' && at(lx, 1) == '/') {
					depth--;
					take_n(lx, 2);
				} else {
					take(lx);
				}
			}
		} else {
			return true;
		}
	}
}

static void at_end(struct lexer *lx, struct token *tok)
{
	tok->kind = T_EOF;
	if (lx->n_cond > 0) {
		load_error(lx->ld, lx->cond[lx->n_cond - 1].pos, "#!ifdef without #!endif");
		lx->n_cond = 0;
		tok->kind = T_ERROR;
	}
}

static void next(struct lexer *lx, struct token *tok)
{
	for (;;) {
		size_t n;
		int c;

		*tok = (struct token){ .kind = T_EOF };
		if (lx->failed) {
			lx->failed = false;
			tok->kind = T_ERROR;
			tok->pos = here(lx);
			return;
		}
		if (skipping(lx))
			skip_region(lx);
		if (!skip_blanks(lx)) {
			tok->kind = T_ERROR;
			return;
		}
		tok->pos = here(lx);
		c = at(lx, 0);
		if (c < 0) {
			if (lx->src && lx->src->up) {
				source_pop(lx);
				continue;
			}
			at_end(lx, tok);
			return;
		}
		if ((c == '#' || c == '!') && at(lx, 1) == '!') {
			if (do_directive(lx))
				continue;
			if (c == '#') {
				skip_line(lx);
				continue;
			}
		}
		if (c == '"' || c == '\'') {
			read_string(lx, tok);
			return;
		}
		if (lx->addr_mode && !at_include(lx) && (is_alnum(c) || c == '[' || c == '(' || c == '*')) {
			if (!read_addr(lx, tok) && tok->kind != T_ERROR)
				continue;
			return;
		}
		if (c == '$') {
			read_pvar(lx, tok);
			return;
		}
		if (c == '@') {
			read_select(lx, tok);
			return;
		}
		n = ip_at(lx);
		if (n > 0) {
			tok->kind = T_IP;
			tok->text = load_dup(lx->ld, view(lx, n));
			take_n(lx, n);
			return;
		}
		if (is_digit(c)) {
			read_number(lx, tok);
			return;
		}
		if (is_alpha(c)) {
			if (!read_word_token(lx, tok))
				continue;
			return;
		}
		read_operator(lx, tok);
		return;
	}
}

void lexer_next(struct lexer *lx, struct token *tok)
{
	const struct source *src = lx->src;
	size_t left = src ? src->cap - src->at : 0;

	/* after the last error that counts the text is over; and no error stays where it is */
	if (lx->ld->stop) {
		*tok = (struct token){ .kind = T_EOF, .pos = here(lx) };
		return;
	}
	next(lx, tok);
	if (tok->kind == T_ERROR && lx->src == src && src && src->cap - src->at == left && left > 0)
		take(lx);
}
