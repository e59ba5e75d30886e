/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transformations of text: {s.*}. Each takes the value, gives another; texts that change are built in the message's pool. What cannot
 * be done fails, and the whole variable is undefined.
 */
#include <stdlib.h>
#include <time.h>

#include "core/base/scan.h"
#include "modules/pv/pv_trans.h"

/* ---- prepare: parameters that must be numbers when they are constant ---- */

static int need_num(const struct pv_trans *t, unsigned i, int64_t min, struct diag *reterr)
{
	if (i >= t->n_params)
		return 0;
	if (t->param[i].kind == TRANS_P_STR)
		return diag_set(reterr, 0, "{%s.%s}: parameter %u is no number", t->def->cls, t->def->name, i + 1);
	if (t->param[i].kind == TRANS_P_NUM && t->param[i].i < min)
		return diag_set(reterr, 0, "{%s.%s}: parameter %u is negative", t->def->cls, t->def->name, i + 1);
	return 0;
}

int pv_prep_num0(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	(void)pool;
	return need_num(t, 0, INT64_MIN, reterr);
}

/* An index from the front. */
static int prep_at(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	(void)pool;
	return need_num(t, 0, 0, reterr);
}

/* An offset, from the end when it is negative, and a length. */
static int prep_substr(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	int err = pv_prep_num0(pool, t, reterr);

	return err < 0 ? err : need_num(t, 1, 0, reterr);
}

static int prep_fmtlines(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	int err = prep_at(pool, t, reterr);

	return err < 0 ? err : need_num(t, 1, 0, reterr);
}

/* ---- length, numbers ---- */

static int s_len(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = trans_text(ctx, v, &s);

	(void)t;
	return err < 0 ? err : trans_set_int(v, (int64_t)s.n);
}

/* arg 1: intv, the text is rewritten from the number */
static int s_int(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int64_t i;
	int err = trans_text(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	s = str_trim(s);
	if (s.n == 0 || num_i64(s, &i) < 0)
		return -EBADMSG;
	return trans_set_int(v, i);
}

/* ---- cutting ---- */

static int s_case(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	char from = t->def->arg ? 'a' : 'A', to = t->def->arg ? 'z' : 'Z';
	struct str s;
	char *out;
	int err = trans_text(ctx, v, &s);

	if (err < 0)
		return err;
	out = trans_room(ctx, s.n);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++)
		out[i] = s.s[i] >= from && s.s[i] <= to ? (char)(s.s[i] ^ 32) : s.s[i];
	return trans_set_str(v, str_of(out, s.n));
}

static int s_substr(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int64_t off, len;
	struct str s;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &off)) < 0 || (err = trans_param_int(ctx, &t->param[1], &len)) < 0)
		return err;
	if (off < 0) {
		if (off < -(int64_t)s.n)
			return -ERANGE;
		off += (int64_t)s.n;
	}
	if (off >= (int64_t)s.n || len < 0)
		return -ERANGE;
	return trans_set_str(v, str_sub(s, (size_t)off, len == 0 ? s.n : (size_t)len));
}

/* arg 1: the byte's number */
static int s_at(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int64_t at;
	struct str s;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &at)) < 0)
		return err;
	if (at < 0 || at >= (int64_t)s.n)
		return t->def->arg ? trans_set_int(v, -1) : trans_set_str(v, STR_LIT(""));
	return t->def->arg ? trans_set_int(v, (unsigned char)s.s[at]) : trans_set_str(v, str_sub(s, (size_t)at, 1));
}

/* Splits at chars for which is_sep(c, arg) holds; the n-th piece, negative from the end. */
static struct str nth_piece(struct str s, int64_t n, bool (*is_sep)(char c, int arg), int arg)
{
	size_t start = 0;

	if (n < 0) {
		int64_t total = 1;

		for (size_t i = 0; i < s.n; i++)
			total += is_sep(s.s[i], arg);
		n += total;
	}
	if (n < 0)
		return STR_NULL;
	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && !is_sep(s.s[i], arg))
			continue;
		if (n-- == 0)
			return str_sub(s, start, i - start);
		start = i + 1;
	}
	return STR_NULL;
}

#define SEP_ANY_SPACE 256

static bool is_sep(char c, int arg)
{
	return arg == SEP_ANY_SPACE ? trans_is_space(c) : (unsigned char)c == arg;
}

static int sep_of(struct str s)
{
	if (s.n == 2 && s.s[0] == '\\') {
		switch (s.s[1]) {
		case 's':
			return SEP_ANY_SPACE;
		case 'w':
			return ' ';
		case 't':
			return '\t';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case '\\':
			return '\\';
		default:
			break;
		}
	}
	return s.n > 0 ? (unsigned char)s.s[0] : -1;
}

/* arg 1: selectsw */
static int s_select(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int sep = SEP_ANY_SPACE;
	struct str s, p;
	int64_t n;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &n)) < 0)
		return err;
	if (!t->def->arg) {
		err = trans_param_str(ctx, &t->param[1], &p);
		if (err < 0)
			return err;
		sep = sep_of(p);
		if (sep < 0)
			return -EINVAL;
	}
	return trans_set_str(v, nth_piece(s, n, is_sep, sep));
}

/* arg 1: from the tail */
static int s_strip(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int64_t n;
	struct str s;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &n)) < 0)
		return err;
	if (n <= 0)
		return trans_set_str(v, s);
	if (n >= (int64_t)s.n)
		return trans_set_str(v, STR_LIT(""));
	return trans_set_str(v, t->def->arg ? str_sub(s, 0, s.n - (size_t)n) : str_sub(s, (size_t)n, s.n));
}

/* The text, and the character that the first parameter is. */
static int text_and_char(struct ctx *ctx, const struct pv_trans *t, const struct value *v, struct str *ret_text, char *ret_char)
{
	struct str c;
	int err = trans_text(ctx, v, ret_text);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &c)) < 0)
		return err;
	if (c.n == 0)
		return -EINVAL;
	*ret_char = c.s[0];
	return 0;
}

static int s_stripto(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	ptrdiff_t at;
	char c;
	int err = text_and_char(ctx, t, v, &s, &c);

	if (err < 0)
		return err;
	at = str_find_char(s, c);
	return trans_set_str(v, at < 0 ? STR_LIT("") : str_sub(s, (size_t)at, s.n));
}

/* arg: 0 before, 1 after, 2 rbefore, 3 rafter */
static int s_around(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	ptrdiff_t at;
	char c;
	int err = text_and_char(ctx, t, v, &s, &c);

	if (err < 0)
		return err;
	at = t->def->arg & 2 ? str_rfind_char(s, c) : str_find_char(s, c);
	if (t->def->arg & 1)
		return trans_set_str(v, at < 0 ? STR_LIT("") : str_sub(s, (size_t)at + 1, s.n));
	return trans_set_str(v, at < 0 ? s : str_sub(s, 0, (size_t)at));
}

static int s_count(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, c;
	int64_t n = 0;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &c)) < 0)
		return err;
	if (c.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++)
		n += s.s[i] == c.s[0];
	return trans_set_int(v, n);
}

/* arg 1: each in single quotes */
static int s_prefixes(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct strbuf sb;
	struct str s;
	int64_t max = 0;
	int err = trans_text(ctx, v, &s);

	if (err < 0)
		return err;
	if (t->n_params > 0 && (err = trans_param_int(ctx, &t->param[0], &max)) < 0)
		return err;
	if (max <= 0 || max > (int64_t)s.n)
		max = (int64_t)s.n;
	strbuf_init_pool(&sb, ctx->pool, TRANS_RESULT_MAX);
	for (int64_t i = 1; i <= max && !sb.failed; i++) {
		if (i > 1)
			strbuf_add_char(&sb, ',');
		if (t->def->arg)
			strbuf_add_char(&sb, '\'');
		strbuf_add(&sb, str_sub(s, 0, (size_t)i));
		if (t->def->arg)
			strbuf_add_char(&sb, '\'');
	}
	err = strbuf_err(&sb);
	return err < 0 ? err : trans_set_str(v, strbuf_str(&sb));
}

static int replace_all(struct ctx *ctx, struct str s, struct str what, struct str with, struct value *v)
{
	struct strbuf sb;
	ptrdiff_t at;
	int err;

	if (what.n == 0)
		return -EINVAL;
	strbuf_init_pool(&sb, ctx->pool, TRANS_RESULT_MAX);
	while ((at = str_find(s, what)) >= 0) {
		strbuf_add(&sb, str_sub(s, 0, (size_t)at));
		strbuf_add(&sb, with);
		s = str_sub(s, (size_t)at + what.n, s.n);
	}
	strbuf_add(&sb, s);
	err = strbuf_err(&sb);
	return err < 0 ? err : trans_set_str(v, strbuf_str(&sb));
}

static int s_replace(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, a, b;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &a)) < 0 || (err = trans_param_str(ctx, &t->param[1], &b)) < 0)
		return err;
	if (b.n == 0 && t->param[1].kind == TRANS_P_PV)
		return -EINVAL;
	return replace_all(ctx, s, a, b, v);
}

static int s_rm(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, p;
	char *out;
	size_t n = 0;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &p)) < 0)
		return err;
	out = trans_room(ctx, p.n);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < p.n; i++) {
		char c = p.s[i];

		if (c == '\\' && i + 1 < p.n) {
			char e = p.s[i + 1];

			if (e == 'n' || e == 'r' || e == 't' || e == '\\') {
				c = e == 'n' ? '\n' : e == 'r' ? '\r' : e == 't' ? '\t' : '\\';
				i++;
			}
		}
		out[n++] = c;
	}
	return replace_all(ctx, s, str_of(out, n), STR_LIT(""), v);
}

/* arg: 1 left, 2 right */
static int s_trim(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = trans_text(ctx, v, &s);

	if (err < 0)
		return err;
	while (s.n > 0 && (t->def->arg & 1) && trans_is_space(s.s[0]))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 && (t->def->arg & 2) && trans_is_space(s.s[s.n - 1]))
		s.n--;
	return trans_set_str(v, s);
}

/* arg: 0 all white space goes, 1 folds become one blank, 2 folds go */
static int s_rmws(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	char *out;
	size_t n = 0;
	int err = trans_text(ctx, v, &s);

	if (err < 0)
		return err;
	out = trans_room(ctx, s.n);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n;) {
		size_t j = i;

		if (t->def->arg == 0) {
			if (!trans_is_space(s.s[i]))
				out[n++] = s.s[i];
			i++;
			continue;
		}
		if (s.s[j] == '\r' && j + 1 < s.n && s.s[j + 1] == '\n')
			j++;
		if (s.s[j] == '\n' && j + 1 < s.n && (s.s[j + 1] == ' ' || s.s[j + 1] == '\t')) {
			for (j++; j < s.n && (s.s[j] == ' ' || s.s[j] == '\t');)
				j++;
			if (t->def->arg == 1)
				out[n++] = ' ';
			i = j;
			continue;
		}
		out[n++] = s.s[i++];
	}
	return trans_set_str(v, str_of(out, n));
}

static int s_unquote(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = trans_text(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	if (s.n >= 2 && (s.s[0] == '"' || s.s[0] == '\'') && s.s[s.n - 1] == s.s[0])
		s = str_sub(s, 1, s.n - 2);
	return trans_set_str(v, s);
}

static int s_unbracket(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	static const char open[] = "([{<", close[] = ")]}>";
	const char *at;
	struct str s;
	int err = trans_text(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	at = s.n >= 2 ? memchr(open, s.s[0], 4) : NULL;
	if (at && s.s[s.n - 1] == close[at - open])
		s = str_sub(s, 1, s.n - 2);
	return trans_set_str(v, s);
}

static int s_numeric(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	char *out;
	size_t n = 0;
	int err = trans_text(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	out = trans_room(ctx, s.n);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++) {
		if (s.s[i] >= '0' && s.s[i] <= '9')
			out[n++] = s.s[i];
	}
	return trans_set_str(v, str_of(out, n));
}

static int s_ftime(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	char fmt[128], text[256];
	struct str f;
	struct tm tm;
	time_t when;
	int64_t i;
	size_t n;
	int err = value_to_int(v, &i);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &f)) < 0)
		return err;
	if (f.n >= sizeof(fmt))
		return -ENAMETOOLONG;
	memcpy(fmt, f.s, f.n);
	fmt[f.n] = '\0';
	when = (time_t)i;
	if (!localtime_r(&when, &tm))
		return -ERANGE;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the script's own format is the point */
	n = strftime(text, sizeof(text), fmt, &tm);
#pragma GCC diagnostic pop
	f = str_dup(ctx->pool, str_of(text, n));
	return f.s ? trans_set_str(v, f) : -ENOMEM;
}

/* arg: what indents the next lines */
static int s_fmtlines(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct strbuf sb;
	int64_t width, indent;
	struct str s;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &width)) < 0 || (err = trans_param_int(ctx, &t->param[1], &indent)) < 0)
		return err;
	if (width <= 0 || indent < 0 || indent > 1024)
		return -ERANGE;
	strbuf_init_pool(&sb, ctx->pool, TRANS_RESULT_MAX);
	for (size_t i = 0; i < s.n && !sb.failed; i += (size_t)width) {
		if (i > 0) {
			strbuf_add_lit(&sb, "\r\n");
			for (int64_t k = 0; k < indent; k++)
				strbuf_add_char(&sb, (char)t->def->arg);
		}
		strbuf_add(&sb, str_sub(s, i, (size_t)width));
	}
	err = strbuf_err(&sb);
	return err < 0 ? err : trans_set_str(v, strbuf_str(&sb));
}

#define S(name_, fn_, ...) { .cls = "s", .name = name_, .fn = fn_, __VA_ARGS__ }
#define P(min_, max_) .min_params = (min_), .max_params = (max_)
/* clang-format off */
const struct trans_def pv_trans_s[] = {
	S("len",        s_len, .arg = 0),
	S("int",        s_int, .arg = 0),
	S("intv",       s_int, .arg = 1),
	S("tolower",    s_case, .arg = 0),
	S("toupper",    s_case, .arg = 1),
	S("substr",     s_substr, P(2, 2), .prepare = prep_substr),
	S("charat",     s_at, P(1, 1), .prepare = prep_at, .arg = 0),
	S("byteat",     s_at, P(1, 1), .prepare = prep_at, .arg = 1),
	S("select",     s_select, P(2, 2), .comma_ok = true, .prepare = pv_prep_num0, .arg = 0),
	S("selectsw",   s_select, P(1, 1), .prepare = pv_prep_num0, .arg = 1),
	S("strip",      s_strip, P(1, 1), .prepare = pv_prep_num0, .arg = 0),
	S("striptail",  s_strip, P(1, 1), .prepare = pv_prep_num0, .arg = 1),
	S("stripto",    s_stripto, P(1, 1), .comma_ok = true),
	S("prefixes",   s_prefixes, P(0, 1), .prepare = pv_prep_num0, .arg = 0),
	S("prefixes.quoted", s_prefixes, P(0, 1), .prepare = pv_prep_num0, .arg = 1),
	S("replace",    s_replace, P(2, 2)),
	S("rm",         s_rm, P(1, 1), .comma_ok = true),
	S("trim",       s_trim, .arg = 3),
	S("ltrim",      s_trim, .arg = 1),
	S("rtrim",      s_trim, .arg = 2),
	S("rmws",       s_rmws, .arg = 0),
	S("rmhdws",     s_rmws, .arg = 1),
	S("rmhlws",     s_rmws, .arg = 2),
	S("before",     s_around, P(1, 1), .comma_ok = true, .arg = 0),
	S("after",      s_around, P(1, 1), .comma_ok = true, .arg = 1),
	S("rbefore",    s_around, P(1, 1), .comma_ok = true, .arg = 2),
	S("rafter",     s_around, P(1, 1), .comma_ok = true, .arg = 3),
	S("count",      s_count, P(1, 1), .comma_ok = true),
	S("unquote",    s_unquote, .arg = 0),
	S("unbracket",  s_unbracket, .arg = 0),
	S("numeric",    s_numeric, .arg = 0),
	S("ftime",      s_ftime, P(1, 1)),
	S("fmtlines",   s_fmtlines, P(2, 2), .prepare = prep_fmtlines, .arg = ' '),
	S("fmtlinet",   s_fmtlines, P(2, 2), .prepare = prep_fmtlines, .arg = '\t'),
	{ .cls = NULL },
};
/* clang-format on */
