/* SPDX-License-Identifier: BSD-2-Clause */
/* {line.*}, {val.*}, {num.*}: lines of a text, values that may be null, digits. */
#include "modules/pv/pv_trans.h"

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
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_int(ctx, &t->param[0], &n)) < 0)
		return err;
	if (s.n == 0)
		return -EINVAL;
	if (n < 0) {
		for (rest = s; next_line(&rest, &line);)
			n++;
		if (n < 0)
			return trans_set_str(v, STR_LIT(""));
	}
	for (rest = s; next_line(&rest, &line); n--) {
		if (n == 0)
			return trans_set_str(v, line);
	}
	return trans_set_str(v, STR_LIT(""));
}

static int line_sw(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, what, line;
	int err = trans_text(ctx, v, &s);

	if (err < 0 || (err = trans_param_str(ctx, &t->param[0], &what)) < 0)
		return err;
	if (s.n == 0)
		return -EINVAL;
	while (next_line(&s, &line)) {
		if (str_starts(line, what))
			return trans_set_str(v, line);
	}
	return trans_set_str(v, STR_LIT(""));
}

static int line_count(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s, line, text;
	int64_t n = 0;
	int err = trans_text(ctx, v, &s);

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
	return v->kind == VALUE_NULL ? trans_set_int(v, 0) : 0;
}

static int val_ne(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	(void)ctx;
	(void)t;
	return v->kind == VALUE_NULL ? trans_set_str(v, STR_LIT("")) : 0;
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
	strbuf_init_pool(&sb, ctx->pool, TRANS_RESULT_MAX);
	if (t->def->arg)
		strbuf_add_char(&sb, '"');
	if (v->kind == VALUE_STR)
		json_escape(&sb, v->s);
	if (t->def->arg)
		strbuf_add_char(&sb, '"');
	err = strbuf_err(&sb);
	return err < 0 ? err : trans_set_str(v, strbuf_str(&sb));
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
		return trans_set_int(v, (int64_t)(u % 10));
	while (u > 9)
		u /= 10;
	return trans_set_int(v, (int64_t)u);
}

#define P(min_, max_) .min_params = (min_), .max_params = (max_)
/* clang-format off */
const struct trans_def pv_trans_val[] = {
	{ .cls = "line", .name = "at",    .fn = line_at, P(1, 1), .prepare = pv_prep_num0 },
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
