/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Substitution expressions. The replacement is cut once into pieces (text, group, variable) that
 * are appended for each match. Variables are known to higher layers only, which hand in how to
 * parse and how to evaluate one.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/regex.h"
#include "core/base/strbuf.h"

#define EXPR_MAX ((size_t)32 * 1024)

enum piece_kind { PIECE_CHAR, PIECE_GROUP, PIECE_VAR, PIECE_TEXT };

struct piece {
	enum piece_kind kind;
	char c;          /* PIECE_CHAR */
	unsigned group;  /* PIECE_GROUP */
	void *var;       /* PIECE_VAR: the caller's */
	struct str text; /* PIECE_TEXT: in expr */
};

struct regex_subst {
	char *expr; /* copy of the whole expression */
	struct str pattern, replacement;
	struct regex *re;
	bool global;
	struct piece *pieces;
	size_t n_pieces;
};

/* Offset of the next separator that no backslash escapes, or n. */
static size_t next_separator(struct str s, size_t from, char sep)
{
	for (size_t i = from; i < s.n; i++) {
		if (s.s[i] == '\\')
			i++;
		else if (s.s[i] == sep)
			return i;
	}
	return s.n;
}

static int add_var(struct piece *p, struct str text, regex_var_parse_fn *parse, void *arg,
                   size_t *ret_len, struct diag *reterr)
{
	size_t len = 0;
	int err = parse(arg, text, &len, &p->var, reterr);

	if (err < 0)
		return err;
	if (len == 0 || len > text.n)
		return diag_set(reterr, 0, "variable expected");
	p->kind = PIECE_VAR;
	*ret_len = len;
	return 0;
}

/* What follows a backslash at the start of `rest` (at least two bytes). Always takes two bytes. */
static int add_escape(struct piece *p, struct str rest, char sep, regex_var_parse_fn *parse,
                      void *arg, size_t pos, struct diag *reterr)
{
	char c = rest.s[1];
	size_t len;

	p->kind = PIECE_CHAR;
	p->c = c;
	if (c >= '0' && c <= '9') {
		p->kind = PIECE_GROUP;
		p->group = (unsigned)(c - '0');
	} else if (c == 'n') {
		p->c = '\n';
	} else if (c == 'r') {
		p->c = '\r';
	} else if (c == 't') {
		p->c = '\t';
	} else if (c == 'u') {
		if (!parse)
			return diag_set(reterr, pos, "no request URI here");
		return add_var(p, STR_LIT("$ru"), parse, arg, &len, reterr);
	} else if (c != '\\' && c != '$' && c != sep) {
		p->kind = PIECE_TEXT; /* means nothing: stands as written */
		p->text = str_sub(rest, 0, 2);
	}
	return 0;
}

static int cut(struct regex_subst *subst, char sep, regex_var_parse_fn *parse, void *arg,
               struct diag *reterr)
{
	struct str r = subst->replacement;
	size_t base = (size_t)(r.s - subst->expr);

	subst->pieces = calloc(r.n + 1, sizeof(*subst->pieces));
	if (!subst->pieces)
		return -ENOMEM;
	for (size_t i = 0; i < r.n;) {
		struct piece *p = &subst->pieces[subst->n_pieces++];
		size_t len = 1;
		int err = 0;

		if (r.s[i] == '\\') {
			if (i + 1 == r.n)
				return diag_set(reterr, base + i, "trailing backslash");
			err = add_escape(p, str_sub(r, i, r.n), sep, parse, arg, base + i, reterr);
			len = 2;
		} else if (r.s[i] == '$' && parse) {
			err = add_var(p, str_sub(r, i, r.n), parse, arg, &len, reterr);
		} else {
			while (i + len < r.n && r.s[i + len] != '\\' &&
			       (r.s[i + len] != '$' || !parse))
				len++;
			p->kind = PIECE_TEXT;
			p->text = str_sub(r, i, len);
		}
		if (err < 0)
			return err;
		i += len;
	}
	return 0;
}

static int parse_flags(struct str text, size_t base, unsigned *flags, bool *global,
                       struct diag *reterr)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.s[i] == 'i')
			*flags |= REGEX_ICASE;
		else if (text.s[i] == 's')
			*flags &= ~(unsigned)REGEX_NEWLINE;
		else if (text.s[i] == 'g')
			*global = true;
		else
			return diag_set(reterr, base + i, "unknown flag '%c'", text.s[i]);
	}
	return 0;
}

int regex_subst_parse(struct str expr, regex_var_parse_fn *parse, void *arg,
                      struct regex_subst **ret_subst, struct diag *reterr)
{
	unsigned flags = REGEX_NEWLINE;
	struct regex_subst *subst;
	size_t second, third;
	struct str e;
	char sep;
	int err;

	if (expr.n < 3 || expr.n > EXPR_MAX)
		return diag_set(reterr, 0, "/regex/replacement/flags expected");
	sep = expr.s[0];
	if (sep == '\\')
		return diag_set(reterr, 0, "a backslash cannot separate");
	second = next_separator(expr, 1, sep);
	third = second < expr.n ? next_separator(expr, second + 1, sep) : expr.n;
	if (third == expr.n)
		return diag_set(reterr, expr.n, "separator '%c' expected", sep);
	subst = calloc(1, sizeof(*subst));
	if (!subst)
		return -ENOMEM;
	err = -ENOMEM;
	subst->expr = malloc(expr.n);
	if (!subst->expr)
		goto fail;
	memcpy(subst->expr, expr.s, expr.n);
	e = str_of(subst->expr, expr.n);
	subst->pattern = str_sub(e, 1, second - 1);
	subst->replacement = str_sub(e, second + 1, third - second - 1);
	err = parse_flags(str_sub(e, third + 1, e.n), third + 1, &flags, &subst->global, reterr);
	if (err < 0)
		goto fail;
	err = regex_compile(subst->pattern, flags, &subst->re, reterr);
	if (err < 0)
		goto fail;
	err = cut(subst, sep, parse, arg, reterr);
	if (err < 0)
		goto fail;
	*ret_subst = subst;
	return 0;
fail:
	regex_subst_free(subst);
	return err;
}

void regex_subst_free(struct regex_subst *subst)
{
	if (!subst)
		return;
	regex_free(subst->re);
	free(subst->pieces);
	free(subst->expr);
	free(subst);
}

struct str regex_subst_pattern(const struct regex_subst *subst)
{
	return subst->pattern;
}

struct str regex_subst_replacement(const struct regex_subst *subst)
{
	return subst->replacement;
}

bool regex_subst_is_global(const struct regex_subst *subst)
{
	return subst->global;
}

int regex_subst_next(const struct regex_subst *subst, struct str s, size_t from,
                     struct regex_match *ret_match)
{
	int ret = regex_match(subst->re, s, from, ret_match);

	if (ret == 1 && ret_match->g[0].start == ret_match->g[0].end)
		return -EINVAL;
	return ret;
}

int regex_subst_replace(const struct regex_subst *subst, struct str s, const struct regex_match *m,
                        regex_var_eval_fn *eval, void *arg, struct strbuf *out)
{
	for (size_t i = 0; i < subst->n_pieces; i++) {
		const struct piece *p = &subst->pieces[i];
		int err = 0;

		switch (p->kind) {
		case PIECE_CHAR:
			strbuf_add_char(out, p->c);
			break;
		case PIECE_TEXT:
			strbuf_add(out, p->text);
			break;
		case PIECE_GROUP:
			strbuf_add(out, regex_group(m, s, p->group));
			break;
		case PIECE_VAR:
			err = eval ? eval(arg, p->var, out) : -EINVAL;
			break;
		}
		if (err < 0)
			return err;
	}
	return strbuf_err(out);
}

int regex_subst_run(const struct regex_subst *subst, struct str s, regex_var_eval_fn *eval,
                    void *arg, struct strbuf *out)
{
	struct regex_match m;
	size_t at = 0;
	int n = 0;

	do {
		int ret = regex_subst_next(subst, s, at, &m);

		if (ret < 0)
			return ret;
		if (ret == 0)
			break;
		strbuf_add(out, str_sub(s, at, (size_t)m.g[0].start - at));
		ret = regex_subst_replace(subst, s, &m, eval, arg, out);
		if (ret < 0)
			return ret;
		at = (size_t)m.g[0].end;
		n++;
	} while (subst->global);
	if (n > 0)
		strbuf_add(out, str_sub(s, at, s.n));
	return strbuf_err(out) < 0 ? -EMSGSIZE : n;
}
