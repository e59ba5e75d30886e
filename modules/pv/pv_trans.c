/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transformations of text and numbers: {s.*}, {line.*}, {val.*}, {num.*}. Each takes the value, gives another; texts that
 * change are built in the message's pool. What cannot be done fails, and the whole variable is undefined.
 */
#include <stdlib.h>
#include <time.h>

#include "core/base/scan.h"
#include "modules/pv/pv_digest.h"
#include "modules/pv/pv_priv.h"

#define RESULT_MAX 65536u

static int set_str(struct value *v, struct str s)
{
	*v = value_str(s.s ? s : STR_LIT(""));
	return 0;
}

static int set_int(struct value *v, int64_t i)
{
	*v = value_int(i);
	return 0;
}

static int text_of(struct ctx *ctx, const struct value *v, struct str *ret)
{
	return value_to_str(v, ctx->pool, ret);
}

/* Room for a result of at most n bytes; NULL when that is too much. */
static char *room(struct ctx *ctx, size_t n)
{
	return n > RESULT_MAX ? NULL : pool_alloc(ctx->pool, n + 1);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- prepare: parameters that must be numbers when they are constant ---- */

static int need_num(const struct pv_trans *t, unsigned i, struct diag *reterr)
{
	if (i < t->n_params && t->param[i].kind == TRANS_P_STR)
		return diag_set(reterr, 0, "{%s.%s}: parameter %u is no number", t->def->cls, t->def->name, i + 1);
	return 0;
}

static int prep_num0(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	(void)pool;
	return need_num(t, 0, reterr);
}

static int prep_num01(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	int err = prep_num0(pool, t, reterr);

	return err < 0 ? err : need_num(t, 1, reterr);
}

/* ---- length, numbers ---- */

static int s_len(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = text_of(ctx, v, &s);

	(void)t;
	return err < 0 ? err : set_int(v, (int64_t)s.n);
}

/* arg 1: intv, the text is rewritten from the number */
static int s_int(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int64_t i;
	int err = text_of(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	s = str_trim(s);
	if (s.n == 0 || num_i64(s, &i) < 0)
		return -EBADMSG;
	return set_int(v, i);
}

/* ---- digests ---- */

static int s_digest(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int64_t bits = 256;
	char *out;
	size_t n;
	int err = text_of(ctx, v, &s);

	if (err < 0)
		return err;
	if (t->n_params > 0 && (err = trans_param_int(ctx, &t->param[0], &bits)) < 0)
		return err;
	out = room(ctx, 2 * PV_DIGEST_MAX);
	if (!out)
		return -ENOMEM;
	n = pv_digest_hex((enum pv_digest)t->def->arg, (unsigned)bits, s, out);
	return n == 0 ? -EINVAL : set_str(v, str_of(out, n));
}

static int prep_bits(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	int64_t b = t->n_params > 0 ? t->param[0].i : 256;

	(void)pool;
	if (t->n_params > 0 && (t->param[0].kind != TRANS_P_NUM || (b != 256 && b != 384 && b != 512)))
		return diag_set(reterr, 0, "{%s.%s}: 256, 384 or 512 bits", t->def->cls, t->def->name);
	return 0;
}

static int s_crc32(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = text_of(ctx, v, &s);

	(void)t;
	return err < 0 ? err : set_int(v, pv_crc32(s));
}

/*
 * Scripts pick servers by it, so it must give the same everywhere: big-endian words of four bytes and the rest, each mixed with
 * itself and summed, the sum's upper bits folded in (found from, and checked against, what Kamailio prints). As decimal text.
 */
static int s_corehash(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	uint32_t h = 0, word = 0;
	int64_t size = 0;
	struct str s;
	int err = text_of(ctx, v, &s);

	if (err < 0)
		return err;
	if (t->n_params > 0 && (err = trans_param_int(ctx, &t->param[0], &size)) < 0)
		return err;
	for (size_t i = 0; i < s.n; i++) {
		word = word << 8 | (unsigned char)s.s[i];
		if (i % 4 == 3 || i + 1 == s.n) {
			h += word ^ word >> 3;
			word = 0;
		}
	}
	h += (h >> 11) + (h >> 13) + (h >> 23);
	if (size > 0 && size <= UINT32_MAX && (size & (size - 1)) == 0)
		h &= (uint32_t)size - 1;
	*v = value_int(h);
	err = text_of(ctx, v, &s);
	return err < 0 ? err : set_str(v, s);
}

/* ---- cutting ---- */

static int s_case(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	char from = t->def->arg ? 'a' : 'A', to = t->def->arg ? 'z' : 'Z';
	struct str s;
	char *out;
	int err = text_of(ctx, v, &s);

	if (err < 0)
		return err;
	out = room(ctx, s.n);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++)
		out[i] = s.s[i] >= from && s.s[i] <= to ? (char)(s.s[i] ^ 32) : s.s[i];
	return set_str(v, str_of(out, s.n));
}

static int s_substr(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int64_t off, len;
	struct str s;
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &off)) < 0 || (err = trans_param_int(ctx, &t->param[1], &len)) < 0)
		return err;
	if (off < 0) {
		if (off < -(int64_t)s.n)
			return -ERANGE;
		off += (int64_t)s.n;
	}
	if (off >= (int64_t)s.n || len < 0)
		return -ERANGE;
	return set_str(v, str_sub(s, (size_t)off, len == 0 ? s.n : (size_t)len));
}

/* arg 1: the byte's number */
static int s_at(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int64_t at;
	struct str s;
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &at)) < 0)
		return err;
	if (at < 0 || at >= (int64_t)s.n)
		return t->def->arg ? set_int(v, -1) : set_str(v, STR_LIT(""));
	return t->def->arg ? set_int(v, (unsigned char)s.s[at]) : set_str(v, str_sub(s, (size_t)at, 1));
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
	return arg == SEP_ANY_SPACE ? is_space(c) : (unsigned char)c == arg;
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
	int err = text_of(ctx, v, &s);

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
	return set_str(v, nth_piece(s, n, is_sep, sep));
}

/* arg 1: from the tail */
static int s_strip(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int64_t n;
	struct str s;
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &n)) < 0)
		return err;
	if (n <= 0)
		return set_str(v, s);
	if (n >= (int64_t)s.n)
		return set_str(v, STR_LIT(""));
	return set_str(v, t->def->arg ? str_sub(s, 0, s.n - (size_t)n) : str_sub(s, (size_t)n, s.n));
}

/* The text, and the character that the first parameter is. */
static int text_and_char(struct ctx *ctx, const struct pv_trans *t, const struct value *v, struct str *ret_text, char *ret_char)
{
	struct str c;
	int err = text_of(ctx, v, ret_text);

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
	return set_str(v, at < 0 ? STR_LIT("") : str_sub(s, (size_t)at, s.n));
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
		return set_str(v, at < 0 ? STR_LIT("") : str_sub(s, (size_t)at + 1, s.n));
	return set_str(v, at < 0 ? s : str_sub(s, 0, (size_t)at));
}

static int s_count(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, c;
	int64_t n = 0;
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &c)) < 0)
		return err;
	if (c.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++)
		n += s.s[i] == c.s[0];
	return set_int(v, n);
}

/* arg 1: each in single quotes */
static int s_prefixes(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct strbuf sb;
	struct str s;
	int64_t max = 0;
	int err = text_of(ctx, v, &s);

	if (err < 0)
		return err;
	if (t->n_params > 0 && (err = trans_param_int(ctx, &t->param[0], &max)) < 0)
		return err;
	if (max <= 0 || max > (int64_t)s.n)
		max = (int64_t)s.n;
	strbuf_init_pool(&sb, ctx->pool, RESULT_MAX);
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
	return err < 0 ? err : set_str(v, strbuf_str(&sb));
}

static int replace_all(struct ctx *ctx, struct str s, struct str what, struct str with, struct value *v)
{
	struct strbuf sb;
	ptrdiff_t at;
	int err;

	if (what.n == 0)
		return -EINVAL;
	strbuf_init_pool(&sb, ctx->pool, RESULT_MAX);
	while ((at = str_find(s, what)) >= 0) {
		strbuf_add(&sb, str_sub(s, 0, (size_t)at));
		strbuf_add(&sb, with);
		s = str_sub(s, (size_t)at + what.n, s.n);
	}
	strbuf_add(&sb, s);
	err = strbuf_err(&sb);
	return err < 0 ? err : set_str(v, strbuf_str(&sb));
}

static int s_replace(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, a, b;
	int err = text_of(ctx, v, &s);

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
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &p)) < 0)
		return err;
	out = room(ctx, p.n);
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
	int err = text_of(ctx, v, &s);

	if (err < 0)
		return err;
	while (s.n > 0 && (t->def->arg & 1) && is_space(s.s[0]))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 && (t->def->arg & 2) && is_space(s.s[s.n - 1]))
		s.n--;
	return set_str(v, s);
}

/* arg: 0 all white space goes, 1 folds become one blank, 2 folds go */
static int s_rmws(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	char *out;
	size_t n = 0;
	int err = text_of(ctx, v, &s);

	if (err < 0)
		return err;
	out = room(ctx, s.n);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n;) {
		size_t j = i;

		if (t->def->arg == 0) {
			if (!is_space(s.s[i]))
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
	return set_str(v, str_of(out, n));
}

static int s_unquote(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = text_of(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	if (s.n >= 2 && (s.s[0] == '"' || s.s[0] == '\'') && s.s[s.n - 1] == s.s[0])
		s = str_sub(s, 1, s.n - 2);
	return set_str(v, s);
}

static int s_unbracket(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	static const char open[] = "([{<", close[] = ")]}>";
	const char *at;
	struct str s;
	int err = text_of(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	at = s.n >= 2 ? memchr(open, s.s[0], 4) : NULL;
	if (at && s.s[s.n - 1] == close[at - open])
		s = str_sub(s, 1, s.n - 2);
	return set_str(v, s);
}

static int s_numeric(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	char *out;
	size_t n = 0;
	int err = text_of(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	out = room(ctx, s.n);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++) {
		if (s.s[i] >= '0' && s.s[i] <= '9')
			out[n++] = s.s[i];
	}
	return set_str(v, str_of(out, n));
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
	return f.s ? set_str(v, f) : -ENOMEM;
}

/* ---- encodings ---- */

/* One function turns text into text; the room it needs is told by a ratio and a rest. */
typedef ptrdiff_t codec_fn(struct str in, char *out);

static const struct codec {
	codec_fn *fn;
	unsigned mul, add;
} codecs[] = {
	{ pv_hex_encode, 2, 0 },      { pv_hex_decode, 1, 0 },       { pv_base64_encode, 2, 4 },   { pv_base64_decode, 1, 3 },
	{ pv_base64t_encode, 2, 4 },  { pv_base64url_encode, 2, 4 }, { pv_base64urlt_encode, 2, 4 }, { pv_base64url_decode, 1, 3 },
	{ pv_base58_encode, 2, 4 },   { pv_base58_decode, 1, 1 },    { pv_7bit_encode, 2, 2 },     { pv_7bit_decode, 1, 1 },
	{ pv_common_escape, 2, 0 },   { pv_common_unescape, 1, 0 },  { pv_crlf_escape, 2, 0 },     { pv_crlf_unescape, 1, 0 },
	{ pv_user_escape, 3, 0 },     { pv_percent_unescape, 1, 0 }, { pv_param_escape, 3, 0 },    { pv_csv_escape, 2, 2 },
	{ pv_form_encode, 3, 0 },     { pv_form_decode, 1, 0 },
};
enum codec_no {
	K_HEX_E, K_HEX_D, K_B64_E, K_B64_D, K_B64T_E, K_B64U_E, K_B64UT_E, K_B64U_D, K_B58_E, K_B58_D, K_7_E, K_7_D, K_COMMON_E, K_COMMON_D,
	K_CRLF_E, K_CRLF_D, K_USER_E, K_PCT_D, K_PARAM_E, K_CSV_E, K_FORM_E, K_FORM_D
};

static int s_codec(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	const struct codec *k = &codecs[t->def->arg];
	struct str s;
	char *out;
	ptrdiff_t n;
	int err = text_of(ctx, v, &s);

	if (err < 0)
		return err;
	if (s.n > RESULT_MAX)
		return -EMSGSIZE;
	out = pool_alloc(ctx->pool, s.n * k->mul + k->add + 1);
	if (!out)
		return -ENOMEM;
	n = k->fn(s, out);
	return n < 0 ? (int)n : set_str(v, str_of(out, (size_t)n));
}

/* arg: what indents the next lines */
static int s_fmtlines(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct strbuf sb;
	int64_t width, indent;
	struct str s;
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &width)) < 0 || (err = trans_param_int(ctx, &t->param[1], &indent)) < 0)
		return err;
	if (width <= 0 || indent < 0 || indent > 1024)
		return -ERANGE;
	strbuf_init_pool(&sb, ctx->pool, RESULT_MAX);
	for (size_t i = 0; i < s.n && !sb.failed; i += (size_t)width) {
		if (i > 0) {
			strbuf_add_lit(&sb, "\r\n");
			for (int64_t k = 0; k < indent; k++)
				strbuf_add_char(&sb, (char)t->def->arg);
		}
		strbuf_add(&sb, str_sub(s, i, (size_t)width));
	}
	err = strbuf_err(&sb);
	return err < 0 ? err : set_str(v, strbuf_str(&sb));
}

/* ---- {line.*} ---- */

static bool next_line(struct str *rest, struct str *ret_line)
{
	ptrdiff_t nl;

	if (!rest->s || rest->n == 0)
		return false;
	nl = str_find_char(*rest, '\n');
	*ret_line = nl < 0 ? *rest : str_sub(*rest, 0, (size_t)nl);
	*rest = nl < 0 ? STR_NULL : str_sub(*rest, (size_t)nl + 1, rest->n);
	if (ret_line->n > 0 && ret_line->s[ret_line->n - 1] == '\r')
		ret_line->n--;
	return true;
}

static int line_at(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, rest, line;
	int64_t n;
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &n)) < 0)
		return err;
	if (s.n == 0)
		return -EINVAL;
	if (n < 0) {
		for (rest = s; next_line(&rest, &line);)
			n++;
		if (n < 0)
			return set_str(v, STR_LIT(""));
	}
	for (rest = s; next_line(&rest, &line); n--) {
		if (n == 0)
			return set_str(v, line);
	}
	return set_str(v, STR_LIT(""));
}

static int line_sw(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, what, line;
	int err = text_of(ctx, v, &s);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &what)) < 0)
		return err;
	if (s.n == 0)
		return -EINVAL;
	while (next_line(&s, &line)) {
		if (str_starts(line, what))
			return set_str(v, line);
	}
	return set_str(v, STR_LIT(""));
}

static int line_count(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, line, text;
	int64_t n = 0;
	int err = text_of(ctx, v, &s);

	(void)t;
	if (err < 0)
		return err;
	if (s.n == 0)
		return -EINVAL;
	while (next_line(&s, &line))
		n++;
	err = pool_printf(ctx->pool, &text, "%lld", (long long)n);
	if (err < 0)
		return err;
	*v = value_str_int(text, n);
	return 0;
}

/* ---- {val.*} {num.*} ---- */

static int val_n0(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	(void)ctx;
	(void)t;
	return v->kind == VALUE_NULL ? set_int(v, 0) : 0;
}

static int val_ne(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	(void)ctx;
	(void)t;
	return v->kind == VALUE_NULL ? set_str(v, STR_LIT("")) : 0;
}

static void json_escape(struct strbuf *sb, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.s[i];
		const char *at = c ? strchr("\"\\\b\f\n\r\t", c) : NULL;

		if (at) {
			strbuf_add_char(sb, '\\');
			strbuf_add_char(sb, "\"\\bfnrt"[at - "\"\\\b\f\n\r\t"]);
		} else if (c < 0x20 || c == 0x7f) {
			strbuf_printf(sb, "\\u%04x", c);
		} else {
			strbuf_add_char(sb, (char)c);
		}
	}
}

/* arg 1: with quotes; ints are left alone */
static int val_json(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct strbuf sb;
	int err;

	if (v->kind == VALUE_INT)
		return 0;
	strbuf_init_pool(&sb, ctx->pool, RESULT_MAX);
	if (t->def->arg)
		strbuf_add_char(&sb, '"');
	if (v->kind == VALUE_STR)
		json_escape(&sb, v->s);
	if (t->def->arg)
		strbuf_add_char(&sb, '"');
	err = strbuf_err(&sb);
	return err < 0 ? err : set_str(v, strbuf_str(&sb));
}

/* arg 1: the last digit */
static int num_digit(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	int64_t i = 0;
	uint64_t u;

	(void)ctx;
	if (v->kind == VALUE_INT || (v->kind == VALUE_STR && v->has_int))
		i = v->i;
	u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
	if (t->def->arg)
		return set_int(v, (int64_t)(u % 10));
	while (u > 9)
		u /= 10;
	return set_int(v, (int64_t)u);
}

#define S(name_, fn_, ...) { .cls = "s", .name = name_, .fn = fn_, __VA_ARGS__ }
#define CODEC(name_, no_) { .cls = "s", .name = name_, .fn = s_codec, .arg = no_ }
#define P(min_, max_) .min_params = (min_), .max_params = (max_)
/* clang-format off */
const struct trans_def pv_trans_s[] = {
	S("len",        s_len, .arg = 0),
	S("int",        s_int, .arg = 0),
	S("intv",       s_int, .arg = 1),
	S("md5",        s_digest, .arg = PV_MD5),
	S("sha1",       s_digest, .arg = PV_SHA1),
	S("sha256",     s_digest, .arg = PV_SHA256),
	S("sha384",     s_digest, .arg = PV_SHA384),
	S("sha512",     s_digest, .arg = PV_SHA512),
	S("sha3",       s_digest, P(0, 1), .prepare = prep_bits, .arg = PV_SHA3),
	S("keccak",     s_digest, P(0, 1), .prepare = prep_bits, .arg = PV_KECCAK),
	S("crc32",      s_crc32, .arg = 0),
	S("corehash",   s_corehash, P(0, 1), .prepare = prep_num0),
	S("tolower",    s_case, .arg = 0),
	S("toupper",    s_case, .arg = 1),
	S("substr",     s_substr, P(2, 2), .prepare = prep_num01),
	S("charat",     s_at, P(1, 1), .prepare = prep_num0, .arg = 0),
	S("byteat",     s_at, P(1, 1), .prepare = prep_num0, .arg = 1),
	S("select",     s_select, P(2, 2), .comma_ok = true, .prepare = prep_num0, .arg = 0),
	S("selectsw",   s_select, P(1, 1), .prepare = prep_num0, .arg = 1),
	S("strip",      s_strip, P(1, 1), .prepare = prep_num0, .arg = 0),
	S("striptail",  s_strip, P(1, 1), .prepare = prep_num0, .arg = 1),
	S("stripto",    s_stripto, P(1, 1), .comma_ok = true),
	S("prefixes",   s_prefixes, P(0, 1), .prepare = prep_num0, .arg = 0),
	S("prefixes.quoted", s_prefixes, P(0, 1), .prepare = prep_num0, .arg = 1),
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
	CODEC("encode.hexa",       K_HEX_E),
	CODEC("decode.hexa",       K_HEX_D),
	CODEC("encode.base64",     K_B64_E),
	CODEC("decode.base64",     K_B64_D),
	CODEC("encode.base64t",    K_B64T_E),
	CODEC("decode.base64t",    K_B64_D),
	CODEC("encode.base64url",  K_B64U_E),
	CODEC("decode.base64url",  K_B64U_D),
	CODEC("encode.base64urlt", K_B64UT_E),
	CODEC("decode.base64urlt", K_B64U_D),
	CODEC("encode.base58",     K_B58_E),
	CODEC("decode.base58",     K_B58_D),
	CODEC("encode.7bit",       K_7_E),
	CODEC("decode.7bit",       K_7_D),
	CODEC("escape.common",     K_COMMON_E),
	CODEC("unescape.common",   K_COMMON_D),
	CODEC("escape.crlf",       K_CRLF_E),
	CODEC("unescape.crlf",     K_CRLF_D),
	CODEC("escape.user",       K_USER_E),
	CODEC("unescape.user",     K_PCT_D),
	CODEC("escape.param",      K_PARAM_E),
	CODEC("unescape.param",    K_PCT_D),
	CODEC("escape.csv",        K_CSV_E),
	CODEC("urlencode.param",   K_FORM_E),
	CODEC("urldecode.param",   K_FORM_D),
	S("fmtlines",   s_fmtlines, P(2, 2), .prepare = prep_num01, .arg = ' '),
	S("fmtlinet",   s_fmtlines, P(2, 2), .prepare = prep_num01, .arg = '\t'),
	{ .cls = "line", .name = "at",    .fn = line_at, P(1, 1), .prepare = prep_num0 },
	{ .cls = "line", .name = "sw",    .fn = line_sw, P(1, 1) },
	{ .cls = "line", .name = "count", .fn = line_count },
	{ .cls = "val",  .name = "n0",    .fn = val_n0, .null_ok = true },
	{ .cls = "val",  .name = "ne",    .fn = val_ne, .null_ok = true },
	{ .cls = "val",  .name = "json",  .fn = val_json, .null_ok = true, .arg = 0 },
	{ .cls = "val",  .name = "jsonqe", .fn = val_json, .null_ok = true, .arg = 1 },
	{ .cls = "num",  .name = "fdigit", .fn = num_digit, .null_ok = true, .arg = 0 },
	{ .cls = "num",  .name = "ldigit", .fn = num_digit, .null_ok = true, .arg = 1 },
	{ .cls = NULL },
};
/* clang-format on */
