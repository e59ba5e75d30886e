/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rewrites a POSIX extended expression, in the dialect of glibc, in the syntax of PCRE. What
 * differs: a backslash inside brackets is itself; \d and other escaped letters are the letter; a
 * second quantifier repeats what the first one made instead of making it lazy or possessive; {,n}
 * counts from 0; an unmatched ")" is itself; and line by line, a negated set takes no newline. A
 * quantifier with nothing before it, an open bracket or brace, a reference to a group that is not
 * closed: refused, as glibc does.
 */
#include <errno.h>

#include "core/base/keyword.h"
#include "core/base/regex_priv.h"
#include "core/base/scan.h"
#include "core/base/strbuf.h"

#define DEPTH_MAX 100u
#define REPEAT_MAX 32767u

struct ere {
	struct scan in;
	struct strbuf *out;
	unsigned flags;
	size_t atom;            /* where in out the last atom starts */
	bool has_atom;          /* there is one that a quantifier may follow */
	bool quantified;        /* it has a quantifier already */
	size_t open[DEPTH_MAX]; /* where in out each open group starts */
	unsigned open_no[DEPTH_MAX];
	unsigned depth, n_groups, n_variable;
	unsigned closed; /* bit i: group i is complete */
	struct ere_info info;
};

/* Sorted for keyword_find(). */
static const struct keyword class_names[] = {
	{ "alnum", 0 }, { "alpha", 0 }, { "blank", 0 }, { "cntrl", 0 },
	{ "digit", 0 }, { "graph", 0 }, { "lower", 0 }, { "print", 0 },
	{ "punct", 0 }, { "space", 0 }, { "upper", 0 }, { "xdigit", 0 },
};

static void begin_atom(struct ere *e)
{
	e->atom = e->out->n;
	e->has_atom = true;
	e->quantified = false;
}

static void add_literal(struct strbuf *out, char c)
{
	if ((unsigned char)c < 0x80 && c > ' ' && !char_is(c, CHARS_NAME))
		strbuf_add_char(out, '\\');
	strbuf_add_char(out, c);
}

/* "[." x ".]" or "[=" x "=]" of one byte, or a byte. The class form is not for here. */
static int bracket_byte(struct ere *e, char *ret, struct diag *reterr)
{
	struct str rest = scan_rest(&e->in);

	if (rest.n >= 2 && rest.s[0] == '[' && (rest.s[1] == '.' || rest.s[1] == '=')) {
		if (rest.n < 5 || rest.s[3] != rest.s[1] || rest.s[4] != ']')
			return diag_set(reterr, e->in.pos,
			                "collating element of more than one byte");
		*ret = rest.s[2];
		e->in.pos += 5;
		return 0;
	}
	if (rest.n == 0)
		return diag_set(reterr, e->in.pos, "unmatched [");
	*ret = rest.s[0];
	e->in.pos++;
	return 0;
}

static int bracket_class(struct ere *e, struct diag *reterr)
{
	size_t at = e->in.pos;
	struct str name;

	e->in.pos += 2;
	name = scan_while(&e->in, CHARS_ALPHA);
	if (!scan_lit(&e->in, STR_LIT(":]")) ||
	    keyword_find(class_names, ARRAY_LEN(class_names), name) < 0)
		return diag_set(reterr, at, "invalid character class name");
	strbuf_add(e->out, scan_since(&e->in, at));
	return 0;
}

static int bracket_item(struct ere *e, struct diag *reterr)
{
	struct str rest = scan_rest(&e->in);
	char lo, hi;
	int err;

	if (str_starts(rest, STR_LIT("[:"))) {
		err = bracket_class(e, reterr);
		rest = scan_rest(&e->in);
		if (err == 0 && rest.n >= 2 && rest.s[0] == '-' && rest.s[1] != ']')
			err = diag_set(reterr, e->in.pos, "invalid range end");
		return err;
	}
	err = bracket_byte(e, &lo, reterr);
	if (err < 0)
		return err;
	add_literal(e->out, lo);
	rest = scan_rest(&e->in);
	if (rest.n < 2 || rest.s[0] != '-' || rest.s[1] == ']')
		return 0;
	e->in.pos++;
	if (str_starts(scan_rest(&e->in), STR_LIT("[:")))
		return diag_set(reterr, e->in.pos, "invalid range end");
	err = bracket_byte(e, &hi, reterr);
	if (err < 0)
		return err;
	if ((unsigned char)hi < (unsigned char)lo)
		return diag_set(reterr, e->in.pos, "invalid range end");
	strbuf_add_char(e->out, '-');
	add_literal(e->out, hi);
	return 0;
}

static int bracket(struct ere *e, struct diag *reterr)
{
	size_t at = e->in.pos - 1;
	bool first = true;
	bool negated;

	begin_atom(e);
	strbuf_add_char(e->out, '[');
	negated = scan_char(&e->in, '^');
	if (negated)
		strbuf_add_char(e->out, '^');
	for (;; first = false) {
		int err;

		if (scan_at_end(&e->in))
			return diag_set(reterr, at, "unmatched [");
		if (!first && scan_char(&e->in, ']'))
			break;
		err = bracket_item(e, reterr);
		if (err < 0)
			return err;
	}
	if (negated && (e->flags & REGEX_NEWLINE))
		strbuf_add_lit(e->out, "\\n");
	strbuf_add_char(e->out, ']');
	return 0;
}

static int backslash(struct ere *e, struct diag *reterr)
{
	size_t at = e->in.pos - 1;
	int c = scan_peek(&e->in);

	if (c < 0)
		return diag_set(reterr, at, "trailing backslash");
	e->in.pos++;
	switch (c) {
	case '`':
	case '\'':
	case '<':
	case '>':
	case 'b':
	case 'B':
		strbuf_add_lit(e->out, c == '`'    ? "\\A"
		                       : c == '\'' ? "\\z"
		                       : c == '<'  ? "\\b(?=\\w)"
		                       : c == '>'  ? "\\b(?<=\\w)"
		                       : c == 'b'  ? "\\b"
		                                   : "\\B");
		e->has_atom = false;
		return 0;
	case 'w':
	case 'W':
	case 's':
	case 'S':
		begin_atom(e);
		strbuf_add_char(e->out, '\\');
		strbuf_add_char(e->out, (char)c);
		return 0;
	default:
		break;
	}
	begin_atom(e);
	if (c >= '1' && c <= '9') {
		if (!(e->closed & 1u << (c - '0')))
			return diag_set(reterr, at, "invalid back reference");
		e->info.has_backref = true;
		strbuf_printf(e->out, "\\g{%c}", (char)c);
	} else {
		add_literal(e->out, (char)c);
	}
	return 0;
}

static int repeat(struct ere *e, char c, struct diag *reterr)
{
	size_t at = e->in.pos - 1;
	uint32_t min = 0, max = 0;
	bool has_min = false, has_max = false, comma = false;

	if (!e->has_atom)
		return diag_set(reterr, at, "nothing before %c to repeat", c);
	if (c == '{') {
		has_min = scan_u32(&e->in, &min) == 0;
		comma = scan_char(&e->in, ',');
		has_max = comma && scan_u32(&e->in, &max) == 0;
		if (!scan_char(&e->in, '}') || (!has_min && !comma))
			return diag_set(reterr, at, "invalid content of {}");
		if (min > REPEAT_MAX || max > REPEAT_MAX || (has_max && max < min))
			return diag_set(reterr, at, "invalid content of {}");
	}
	if (e->quantified) { /* repeat the repetition */
		struct strbuf *out = e->out;

		strbuf_add_lit(out, "(?:");
		if (strbuf_err(out) < 0)
			return diag_set(reterr, at, "too long");
		memmove(out->p + e->atom + 3, out->p + e->atom, out->n - 3 - e->atom);
		memcpy(out->p + e->atom, "(?:", 3);
		strbuf_add_char(out, ')');
	}
	if (c != '{')
		strbuf_add_char(e->out, c);
	else if (!comma)
		strbuf_printf(e->out, "{%u}", min);
	else if (has_max)
		strbuf_printf(e->out, "{%u,%u}", min, max);
	else
		strbuf_printf(e->out, "{%u,}", min);
	if (c != '{' || comma)
		e->n_variable++;
	e->quantified = true;
	return 0;
}

static int one(struct ere *e, char c, struct diag *reterr)
{
	switch (c) {
	case '\\':
		return backslash(e, reterr);
	case '[':
		return bracket(e, reterr);
	case '*':
	case '+':
	case '?':
	case '{':
		return repeat(e, c, reterr);
	case '(':
		if (e->depth == DEPTH_MAX)
			return diag_set(reterr, e->in.pos, "more than %u nested groups", DEPTH_MAX);
		e->open_no[e->depth] = ++e->n_groups;
		e->open[e->depth++] = e->out->n;
		strbuf_add_char(e->out, '(');
		e->has_atom = false;
		return 0;
	case ')':
		if (e->depth == 0) {
			begin_atom(e);
			add_literal(e->out, c);
			return 0;
		}
		strbuf_add_char(e->out, ')');
		begin_atom(e);
		e->atom = e->open[--e->depth];
		if (e->open_no[e->depth] <= 9)
			e->closed |= 1u << e->open_no[e->depth];
		return 0;
	case '|':
	case '^':
	case '$':
		e->info.has_choice |= c == '|';
		strbuf_add_char(e->out, c);
		e->has_atom = false;
		return 0;
	case '.':
		begin_atom(e);
		strbuf_add_char(e->out, c);
		return 0;
	default:
		begin_atom(e);
		add_literal(e->out, c);
		return 0;
	}
}

int ere_to_perl(struct str pattern, unsigned flags, struct strbuf *out, struct ere_info *ret_info,
                struct diag *reterr)
{
	struct ere e = { .in = scan_begin(pattern), .out = out, .flags = flags };

	while (!scan_at_end(&e.in)) {
		int err = one(&e, pattern.s[e.in.pos++], reterr);

		if (err < 0)
			return err;
	}
	if (e.depth > 0)
		return diag_set(reterr, pattern.n, "unmatched (");
	if (strbuf_err(out) < 0)
		return diag_set(reterr, pattern.n, "too long");
	e.info.has_choice |= e.n_variable > 1;
	*ret_info = e.info;
	return 0;
}
