/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operators on values, once for folding constants and for the machine. An operator fails when a text is no number, on
 * division by zero, or on a bad regular expression; then the whole expression fails.
 */
#include "core/script/script_priv.h"

#include "core/base/num.h"
#include "core/base/regex.h"

static int to_int(const struct value *v, int64_t *ret)
{
	if (v->kind == VALUE_INT) {
		*ret = v->i;
		return 0;
	}
	return value_to_int(v, ret);
}

int value_unary(enum oper op, const struct value *a, struct pool *pool, struct value *ret)
{
	struct str s;
	int64_t i;
	int err;

	switch (op) {
	case O_NOT:
	case O_BNOT:
	case O_NEG:
	case O_CAST_INT:
		err = to_int(a, &i);
		if (err < 0)
			return err;
		if (op == O_NOT)
			i = i == 0;
		else if (op == O_BNOT)
			i = ~i;
		else if (op == O_NEG)
			i = (int64_t)(0 - (uint64_t)i);
		*ret = value_int(i);
		return 0;
	case O_DEFINED:
		*ret = value_int(a->kind != VALUE_NULL);
		return 0;
	case O_CAST_STR:
	case O_STRLEN:
	case O_STREMPTY:
		err = value_to_str(a, pool, &s);
		if (err < 0)
			return err;
		*ret = op == O_CAST_STR ? value_str(s) : value_int(op == O_STRLEN ? (int64_t)s.n : s.n == 0);
		return 0;
	default:
		return -EINVAL;
	}
}

static int compare(enum oper op, const struct value *a, const struct value *b, struct pool *pool, struct value *ret)
{
	bool as_int, equal;
	int64_t x, y;
	struct str s, t;
	int err;

	if (op == O_IEQ || op == O_INE)
		as_int = true;
	else if (op == O_SEQ || op == O_SNE)
		as_int = false;
	else if (a->kind == VALUE_NULL)
		as_int = b->kind == VALUE_INT;
	else
		as_int = a->kind == VALUE_INT;
	if (as_int) {
		err = to_int(a, &x);
		if (err < 0)
			return err;
		err = to_int(b, &y);
		if (err < 0)
			return err;
		equal = x == y;
	} else {
		err = value_to_str(a, pool, &s);
		if (err < 0)
			return err;
		err = value_to_str(b, pool, &t);
		if (err < 0)
			return err;
		equal = str_eq(s, t);
	}
	*ret = value_int(equal == (op == O_EQ || op == O_IEQ || op == O_SEQ));
	return 0;
}

static int concat(const struct value *a, const struct value *b, struct pool *pool, struct value *ret)
{
	struct str s, t;
	char *p;
	int err = value_to_str(a, pool, &s);

	if (err < 0)
		return err;
	err = value_to_str(b, pool, &t);
	if (err < 0)
		return err;
	p = pool_alloc(pool, s.n + t.n + 1);
	if (!p)
		return -ENOMEM;
	if (s.n > 0)
		memcpy(p, s.s, s.n);
	if (t.n > 0)
		memcpy(p + s.n, t.s, t.n);
	p[s.n + t.n] = '\0';
	*ret = value_str(str_of(p, s.n + t.n));
	return 0;
}

static int arithmetic(enum oper op, int64_t x, int64_t y, int64_t *ret)
{
	uint64_t ux = (uint64_t)x, uy = (uint64_t)y;

	switch (op) {
	case O_ADD: *ret = (int64_t)(ux + uy); return 0;
	case O_SUB: *ret = (int64_t)(ux - uy); return 0;
	case O_MUL: *ret = (int64_t)(ux * uy); return 0;
	case O_DIV:
	case O_MOD:
		if (y == 0)
			return -EDOM;
		if (y == -1) { /* INT64_MIN / -1 would trap */
			*ret = op == O_DIV ? (int64_t)(0 - ux) : 0;
			return 0;
		}
		*ret = op == O_DIV ? x / y : x % y;
		return 0;
	case O_BOR: *ret = x | y; return 0;
	case O_BAND: *ret = x & y; return 0;
	case O_BXOR: *ret = x ^ y; return 0;
	case O_SHL: *ret = y < 0 || y > 63 ? 0 : (int64_t)(ux << y); return 0;
	case O_SHR: *ret = y < 0 || y > 63 ? (x < 0 ? -1 : 0) : x >> y; return 0;
	case O_LT: *ret = x < y; return 0;
	case O_GT: *ret = x > y; return 0;
	case O_LE: *ret = x <= y; return 0;
	case O_GE: *ret = x >= y; return 0;
	case O_AND: *ret = x && y; return 0;
	case O_OR: *ret = x || y; return 0;
	default: return -EINVAL;
	}
}

static int match(const struct value *a, const struct value *b, struct pool *pool, struct value *ret)
{
	const struct regex *re;
	struct str s, pattern;
	struct diag why;
	int err = value_to_str(a, pool, &s);

	if (err == 0)
		err = value_to_str(b, pool, &pattern);
	if (err == 0)
		err = regex_cached(pattern, REGEX_ICASE, &re, &why);
	if (err == 0)
		err = regex_match(re, s, 0, NULL);
	if (err < 0)
		return err;
	*ret = value_int(err);
	return 0;
}

int value_binary(enum oper op, const struct value *a, const struct value *b, struct pool *pool, struct value *ret)
{
	int64_t x, y, r = 0;
	int err;

	switch (op) {
	case O_EQ:
	case O_NE:
	case O_SEQ:
	case O_SNE:
	case O_IEQ:
	case O_INE:
		return compare(op, a, b, pool, ret);
	case O_MATCH:
		return match(a, b, pool, ret);
	case O_ADD:
		if (a->kind != VALUE_INT)
			return concat(a, b, pool, ret);
		break;
	default:
		break;
	}
	err = to_int(a, &x);
	if (err == 0)
		err = to_int(b, &y);
	if (err == 0)
		err = arithmetic(op, x, y, &r);
	if (err < 0)
		return err;
	*ret = value_int(r);
	return 0;
}
