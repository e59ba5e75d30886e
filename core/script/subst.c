/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of #!subst: "/regex/replacement/flags" with any separator, applied to texts, variables and file names as they
 * are read. POSIX regcomp() is exactly what scripts were written for, and this runs only while a script is read.
 */
#include "core/script/script_priv.h"

#include <regex.h>
#include <stdlib.h>

#include "core/pv/fmt.h"

#define SUBST_GROUPS 10u

struct subst {
	struct subst *next;
	regex_t re;
	struct str left, right; /* as written; live in the loader's pool */
	bool all;
};

void subst_append(struct subst **list, struct subst *rule)
{
	while (*list)
		list = &(*list)->next;
	*list = rule;
}

void subst_free_all(struct subst *list)
{
	while (list) {
		struct subst *next = list->next;

		regfree(&list->re);
		free(list);
		list = next;
	}
}

struct str subst_left(const struct subst *rule)
{
	return rule->left;
}

int subst_parse(struct loader *ld, struct str text, struct subst **ret, struct diag *reterr)
{
	struct strbuf left, right;
	int cflags = REG_EXTENDED | REG_NEWLINE, err;
	struct subst *rule;
	size_t i = 1;
	bool all = false;
	char sep, why[128];

	if (text.n < 3 || text.s[0] == '\\')
		return diag_set(reterr, 0, "\"/regex/replacement/flags\" expected");
	sep = text.s[0];
	strbuf_init_pool(&left, ld->pool, 65536);
	strbuf_init_pool(&right, ld->pool, 65536);
	for (; i < text.n && text.s[i] != sep; i++) {
		if (text.s[i] == '\\' && i + 1 < text.n && text.s[i + 1] == sep)
			i++;
		else if (text.s[i] == '\\' && i + 1 < text.n)
			strbuf_add_char(&left, text.s[i++]);
		strbuf_add_char(&left, text.s[i]);
	}
	if (i++ >= text.n)
		return diag_set(reterr, i, "second '%c' missing", sep);
	for (; i < text.n && text.s[i] != sep; i++) {
		if (text.s[i] == '\\' && i + 1 < text.n && text.s[i + 1] == sep)
			i++;
		else if (text.s[i] == '\\' && i + 1 < text.n)
			strbuf_add_char(&right, text.s[i++]);
		strbuf_add_char(&right, text.s[i]);
	}
	if (i++ >= text.n)
		return diag_set(reterr, i, "third '%c' missing", sep);
	for (; i < text.n; i++) {
		switch (text.s[i]) {
		case 'i': cflags |= REG_ICASE; break;
		case 's': cflags &= ~REG_NEWLINE; break;
		case 'g': all = true; break;
		default: return diag_set(reterr, i, "unknown flag '%c'", text.s[i]);
		}
	}
	if (strbuf_err(&left) < 0 || strbuf_err(&right) < 0)
		return diag_set(reterr, 0, "too long");
	rule = calloc(1, sizeof(*rule));
	if (!rule)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	rule->left = str_dup(ld->pool, strbuf_str(&left));
	rule->right = str_dup(ld->pool, strbuf_str(&right));
	rule->all = all;
	err = regcomp(&rule->re, rule->left.s ? rule->left.s : "", cflags);
	if (err != 0) {
		regerror(err, &rule->re, why, sizeof(why));
		free(rule);
		return diag_set(reterr, 1, "bad regular expression: %s", why);
	}
	*ret = rule;
	return 0;
}

/* Variables in a replacement are those of a dummy message: useful for $env() and $def(). */
static void add_variable(struct loader *ld, struct str text, size_t *i, struct strbuf *out)
{
	struct pv_spec *spec;
	struct value v;
	struct str s;
	struct ctx *ctx;
	size_t len;

	if (pv_parse(ld->pool, str_sub(text, *i, text.n), &spec, &len, NULL) < 0 || (ctx = load_dummy_ctx(ld)) == NULL) {
		strbuf_add_char(out, text.s[*i]);
		*i += 1;
		return;
	}
	*i += len;
	if (pv_get(ctx, spec, &v) == 0 && value_to_str(&v, ld->pool, &s) == 0)
		strbuf_add(out, s);
}

static void add_replacement(struct loader *ld, const struct subst *r, struct str in, const regmatch_t *m, struct strbuf *out)
{
	struct str t = r->right;
	size_t i = 0;

	while (i < t.n) {
		if (t.s[i] == '$') {
			add_variable(ld, t, &i, out);
			continue;
		}
		if (t.s[i] != '\\' || i + 1 >= t.n) {
			strbuf_add_char(out, t.s[i++]);
			continue;
		}
		i++;
		switch (t.s[i]) {
		case 'n': strbuf_add_char(out, '\n'); break;
		case 'r': strbuf_add_char(out, '\r'); break;
		case 't': strbuf_add_char(out, '\t'); break;
		case 'u': break; /* no message: no request URI */
		default:
			if (t.s[i] >= '0' && t.s[i] <= '9') {
				const regmatch_t *g = m ? &m[t.s[i] - '0'] : NULL;

				if (g && g->rm_so >= 0)
					strbuf_add(out, str_sub(in, (size_t)g->rm_so, (size_t)(g->rm_eo - g->rm_so)));
			} else {
				strbuf_add_char(out, t.s[i]);
			}
			break;
		}
		i++;
	}
}

struct str subst_right(struct loader *ld, const struct subst *rule)
{
	struct strbuf sb;

	if (str_find_char(rule->right, '$') < 0)
		return rule->right;
	strbuf_init_pool(&sb, ld->pool, 65536);
	add_replacement(ld, rule, STR_NULL, NULL, &sb);
	return strbuf_str(&sb);
}

static struct str apply_one(struct loader *ld, const struct subst *r, struct str in)
{
	regmatch_t m[SUBST_GROUPS];
	struct strbuf out;
	size_t from = 0;
	bool any = false;
	int flags = 0;

	in = str_dup(ld->pool, in); /* NUL-ended */
	if (!in.s)
		return in;
	strbuf_init_pool(&out, ld->pool, 1 << 20);
	while (from <= in.n && regexec(&r->re, in.s + from, SUBST_GROUPS, m, flags) == 0) {
		if (m[0].rm_eo == m[0].rm_so)
			break; /* an empty match: the rule does nothing here */
		strbuf_add(&out, str_sub(in, from, (size_t)m[0].rm_so));
		add_replacement(ld, r, str_sub(in, from, in.n), m, &out);
		from += (size_t)m[0].rm_eo;
		flags = REG_NOTBOL;
		any = true;
		if (!r->all)
			break;
	}
	if (!any)
		return in;
	strbuf_add(&out, str_sub(in, from, in.n));
	return strbuf_err(&out) < 0 ? in : strbuf_str(&out);
}

struct str subst_apply(struct loader *ld, struct subst *list, struct str in)
{
	struct subst *r;

	for (r = list; r && in.n > 0; r = r->next)
		in = apply_one(ld, r, in);
	return in;
}
