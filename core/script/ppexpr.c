/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions of #!ifexp and #!defexp: numbers are 32-bit floats, `+` and comparisons take their type from the left
 * operand, unknown names are 0. A climber over the rest of one line.
 */
#include "core/script/script_priv.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/num.h"

#define PP_DEPTH_MAX 100u

struct pp {
	struct pool *pool;
	struct str in;
	size_t at;
	pp_lookup_fn *lookup;
	void *arg;
	unsigned depth;
	struct diag *reterr;
};

enum pp_op {
	P_NONE, P_COMMA, P_ASSIGN, P_OR, P_AND, P_BXOR, P_BOR, P_BAND, P_LT, P_LE, P_GT, P_GE, P_EQ, P_NE, P_SHL, P_SHR, P_ADD,
	P_SUB, P_MUL, P_DIV, P_MOD, P_POW
};

/* clang-format off */
static const struct pp_op_row { const char *text; enum pp_op op; unsigned level; } ops[] = { /* longest first */
	{ "**", P_POW, 10 }, { "<<", P_SHL, 8 }, { ">>", P_SHR, 8 }, { "<=", P_LE, 7 }, { ">=", P_GE, 7 }, { "==", P_EQ, 7 },
	{ "!=", P_NE, 7 }, { "&&", P_AND, 3 }, { "||", P_OR, 2 }, { "*", P_MUL, 10 }, { "/", P_DIV, 10 }, { "%", P_MOD, 10 },
	{ "+", P_ADD, 9 }, { "-", P_SUB, 9 }, { "<", P_LT, 7 }, { ">", P_GT, 7 }, { "&", P_BAND, 6 }, { "|", P_BOR, 5 },
	{ "^", P_BXOR, 4 }, { "=", P_ASSIGN, 1 }, { ",", P_COMMA, 0 },
};
/* clang-format on */

static int cur(const struct pp *p)
{
	return p->at < p->in.n ? (unsigned char)p->in.s[p->at] : -1;
}

static void blanks(struct pp *p)
{
	while (cur(p) == ' ' || cur(p) == '\t' || cur(p) == '\r')
		p->at++;
	if (cur(p) == '#')
		p->at = p->in.n;
}

static int parse(struct pp *p, unsigned level, struct pp_value *ret);

int pp_integer(float num, long *ret, size_t at, struct diag *reterr)
{
	if (!(num >= -0x1p63F && num < 0x1p63F))
		return diag_set(reterr, at, "%g is no integer of 64 bits", (double)num);
	*ret = (long)num;
	return 0;
}

static int apply_bits(struct pp *p, enum pp_op op, struct pp_value *a, const struct pp_value *b)
{
	long x = 0, y = 0;

	if (pp_integer(a->num, &x, p->at, p->reterr) < 0 || pp_integer(b->num, &y, p->at, p->reterr) < 0)
		return -EBADMSG;
	switch (op) {
	case P_SHL: a->num = y < 0 || y > 31 ? 0 : (float)((unsigned long)x << y); break;
	case P_SHR: a->num = y < 0 || y > 31 ? 0 : (float)(x >> y); break;
	case P_BAND: a->num = (float)(x & y); break;
	case P_BOR: a->num = (float)(x | y); break;
	default: a->num = (float)(x ^ y); break;
	}
	return 0;
}

static int primary(struct pp *p, struct pp_value *ret)
{
	size_t from;
	int c;

	blanks(p);
	c = cur(p);
	*ret = (struct pp_value){ 0 };
	if (c == '(') {
		p->at++;
		if (parse(p, 0, ret) < 0)
			return -EBADMSG;
		blanks(p);
		if (cur(p) != ')')
			return diag_set(p->reterr, p->at, "')' expected");
		p->at++;
		return 0;
	}
	if (c == '-' || c == '!' || c == '^' || c == '+') {
		p->at++;
		if (++p->depth > PP_DEPTH_MAX || primary(p, ret) < 0)
			return diag_set(p->reterr, p->at, "value expected");
		p->depth--;
		if (c == '!') {
			ret->num = ret->is_str ? (ret->s.n == 0) : (ret->num == 0);
			ret->is_str = false;
			return 0;
		}
		if (ret->is_str)
			return diag_set(p->reterr, p->at, "number expected");
		if (c == '-')
			ret->num = -ret->num;
		else if (c == '^')
			return apply_bits(p, P_BXOR, ret, &(struct pp_value){ .num = -1 });
		return 0;
	}
	if (c == '"' || c == '\'') {
		struct strbuf sb;

		strbuf_init_pool(&sb, p->pool, 65536);
		for (p->at++; cur(p) >= 0 && cur(p) != c; p->at++) {
			int d = cur(p);

			if (d == '\\' && p->at + 1 < p->in.n) {
				p->at++;
				d = cur(p);
				d = d == 'n' ? '\n' : d == 'r' ? '\r' : d == 't' ? '\t' : d;
			}
			strbuf_add_char(&sb, (char)d);
		}
		if (cur(p) != c)
			return diag_set(p->reterr, p->at, "text in quotes does not end");
		p->at++;
		ret->is_str = true;
		ret->s = strbuf_str(&sb);
		return 0;
	}
	if (c >= '0' && c <= '9') {
		char num[64];

		from = p->at;
		while ((cur(p) >= '0' && cur(p) <= '9') || cur(p) == '.')
			p->at++;
		if (p->at - from >= sizeof(num))
			return diag_set(p->reterr, from, "number too long");
		memcpy(num, p->in.s + from, p->at - from);
		num[p->at - from] = '\0';
		ret->num = strtof(num, NULL);
		return 0;
	}
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') {
		struct str value;
		bool has;

		from = p->at;
		while ((cur(p) >= 'a' && cur(p) <= 'z') || (cur(p) >= 'A' && cur(p) <= 'Z') || cur(p) == '_' ||
		       (cur(p) >= '0' && cur(p) <= '9'))
			p->at++;
		if (!p->lookup(p->arg, str_of(p->in.s + from, p->at - from), &value, &has)) {
			ret->num = 0;
		} else if (!has) {
			ret->num = 1;
		} else {
			ret->is_str = true;
			ret->s = str_trim(value);
			if (ret->s.n >= 2 && (ret->s.s[0] == '"' || ret->s.s[0] == '\'') &&
			    ret->s.s[ret->s.n - 1] == ret->s.s[0])
				ret->s = str_sub(ret->s, 1, ret->s.n - 2);
		}
		return 0;
	}
	return diag_set(p->reterr, p->at, "value expected");
}

static int to_text(struct pp *p, struct pp_value *v)
{
	if (v->is_str)
		return 0;
	v->is_str = true;
	if (pool_printf(p->pool, &v->s, "%g", (double)v->num) < 0)
		return -ENOMEM;
	return 0;
}

static int to_num(struct pp *p, struct pp_value *v)
{
	struct str z;
	char *end;

	if (!v->is_str)
		return 0;
	z = str_dup(p->pool, v->s);
	if (!z.s)
		return -ENOMEM;
	v->num = strtof(z.s, &end);
	if (z.n == 0 || *end != '\0')
		return diag_set(p->reterr, p->at, "'%.*s' is no number", STR_FMT(z));
	v->is_str = false;
	return 0;
}

static int apply(struct pp *p, enum pp_op op, struct pp_value *a, struct pp_value *b)
{
	bool x, y;
	int c;

	switch (op) {
	case P_COMMA:
	case P_ASSIGN:
		*a = *b;
		return 0;
	case P_AND:
	case P_OR:
		x = a->is_str ? a->s.n > 0 : a->num != 0;
		y = b->is_str ? b->s.n > 0 : b->num != 0;
		*a = (struct pp_value){ .num = op == P_AND ? x && y : x || y };
		return 0;
	case P_EQ:
	case P_NE:
	case P_LT:
	case P_LE:
	case P_GT:
	case P_GE:
	case P_ADD:
		if (a->is_str) {
			if (to_text(p, b) < 0)
				return -ENOMEM;
			if (op == P_ADD)
				return pool_printf(p->pool, &a->s, "%.*s%.*s", STR_FMT(a->s), STR_FMT(b->s));
			c = str_cmp(a->s, b->s);
		} else {
			if (to_num(p, b) < 0)
				return -EBADMSG;
			if (op == P_ADD) {
				a->num += b->num;
				return 0;
			}
			c = a->num < b->num ? -1 : a->num > b->num;
		}
		*a = (struct pp_value){ .num = op == P_EQ ? c == 0 : op == P_NE ? c != 0 : op == P_LT ? c < 0 : op == P_LE ? c <= 0 :
					       op == P_GT ? c > 0 : c >= 0 };
		return 0;
	default:
		break;
	}
	if (a->is_str || b->is_str)
		return diag_set(p->reterr, p->at, "number expected");
	switch (op) {
	case P_SUB: a->num -= b->num; break;
	case P_MUL: a->num *= b->num; break;
	case P_DIV:
		if (b->num == 0)
			return diag_set(p->reterr, p->at, "division by zero");
		a->num /= b->num;
		break;
	case P_MOD:
		if (b->num == 0)
			return diag_set(p->reterr, p->at, "division by zero");
		a->num = fmodf(a->num, b->num);
		break;
	case P_POW: a->num = powf(a->num, b->num); break;
	default: return apply_bits(p, op, a, b);
	}
	return 0;
}

static int parse(struct pp *p, unsigned level, struct pp_value *ret)
{
	struct pp_value right;
	const struct pp_op_row *row;
	size_t i;

	if (++p->depth > PP_DEPTH_MAX)
		return diag_set(p->reterr, p->at, "nested too deep");
	if (primary(p, ret) < 0)
		return -EBADMSG;
	for (;;) {
		blanks(p);
		row = NULL;
		for (i = 0; i < ARRAY_LEN(ops) && !row; i++)
			if (str_starts(str_sub(p->in, p->at, p->in.n), str_lit(ops[i].text)))
				row = &ops[i];
		if (!row || row->level < level)
			break;
		p->at += strlen(row->text);
		if (parse(p, row->op == P_POW ? row->level : row->level + 1, &right) < 0 ||
		    apply(p, row->op, ret, &right) < 0)
			return -EBADMSG;
	}
	p->depth--;
	return 0;
}

int pp_eval(struct pool *pool, struct str text, pp_lookup_fn *lookup, void *arg, struct pp_value *ret, struct diag *reterr)
{
	struct pp p = { .pool = pool, .in = text, .lookup = lookup, .arg = arg, .reterr = reterr };
	struct pp_value v;

	if (parse(&p, 0, &v) < 0) {
		if (reterr && reterr->pos > text.n)
			reterr->pos = text.n;
		return -EBADMSG;
	}
	blanks(&p);
	if (p.at != text.n)
		return diag_set(reterr, p.at, "operator expected at '%.*s'", STR_FMT(str_sub(text, p.at, 20)));
	*ret = v;
	return 0;
}
