/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transformations: the registry of classes, the parser of "{class.function,params}" chains, and running them.
 *
 * A function is looked up when the script is loaded; a parameter is a text, a number or a variable, told apart by how it is
 * written. At run time a chain is a list walk over prepared functions. What the functions do is their owner's: module pv has most.
 */
#include "core/pv/trans.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/num.h"
#include "core/pv/pv_priv.h"

#define TRANS_RESULT_MAX 65536u
#define TRANS_TABLES_MAX 64u

static struct {
	const struct trans_def *table[TRANS_TABLES_MAX];
	unsigned n;
} registry;

static const struct trans_def *trans_find(struct str cls, struct str name)
{
	for (unsigned t = 0; t < registry.n; t++) {
		for (const struct trans_def *d = registry.table[t]; d->cls; d++) {
			if (str_eq(str_lit(d->cls), cls) && str_ieq(str_lit(d->name), name))
				return d;
		}
	}
	return NULL;
}

int trans_register(const struct trans_def *table)
{
	for (unsigned t = 0; t < registry.n; t++) {
		if (registry.table[t] == table)
			return 0;
	}
	for (const struct trans_def *d = table; d->cls; d++) {
		if (trans_find(str_lit(d->cls), str_lit(d->name)))
			return -EEXIST;
	}
	if (registry.n == TRANS_TABLES_MAX)
		return -ENOSPC;
	registry.table[registry.n++] = table;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blank(struct str in, size_t p)
{
	while (p < in.n && is_blank(in.s[p]))
		p++;
	return p;
}

/* The known function that is nearest to what was written, for the message. */
static int unknown_function(struct str cls, struct str name, size_t pos, struct diag *reterr)
{
	const struct trans_def *best = NULL;
	unsigned best_cost = 4;
	char full[64], near[64] = "";
	bool have_cls = false;

	for (unsigned t = 0; t < registry.n; t++) {
		for (const struct trans_def *d = registry.table[t]; d->cls; d++) {
			unsigned cost = pv_name_distance(str_lit(d->name), name);

			if (!str_eq(str_lit(d->cls), cls))
				continue;
			have_cls = true;
			if (cost < best_cost) {
				best_cost = cost;
				best = d;
			}
		}
	}
	snprintf(full, sizeof(full), "{%.*s.%.*s}", STR_FMT(cls), STR_FMT(name));
	if (best)
		snprintf(near, sizeof(near), "{%s.%s}", best->cls, best->name);
	return diag_unknown(reterr, DIAG_TRANSFORMATION, pos, str_lit(full), near,
			    have_cls ? "unknown transformation %s" : "unknown class of transformations in %s", full);
}

/* Finds the '}' that closes, other braces balanced. */
static int raw_end(struct str in, size_t p, size_t *ret_end)
{
	unsigned depth = 0;

	for (; p < in.n; p++) {
		if (in.s[p] == '{') {
			depth++;
		} else if (in.s[p] == '}') {
			if (depth == 0) {
				*ret_end = p;
				return 0;
			}
			depth--;
		}
	}
	return -EBADMSG;
}

/* One parameter at p; *ret_p: the ',' or '}' behind it. */
static int param_parse(struct pool *pool, const struct trans_def *def, struct str in, size_t p, struct trans_param *ret_param,
		       size_t *ret_p, struct diag *reterr)
{
	struct trans_param out = { 0 };
	size_t start = p, q, len;

	p = skip_blank(in, p);
	if (p < in.n && in.s[p] == '$' && p + 1 < in.n && in.s[p + 1] != '}' && in.s[p + 1] != ',') {
		int err = pv_parse_view(pool, str_sub(in, p, in.n), &out.pv, &len, reterr);

		if (err < 0)
			return err;
		out.kind = TRANS_P_PV;
		out.s = str_sub(in, p, len);
		p = skip_blank(in, p + len);
		goto done;
	}
	q = p;
	if (def->comma_ok && q < in.n && in.s[q] == ',' && (q + 1 == in.n || in.s[q + 1] == '}' || in.s[q + 1] == ','))
		q++; /* the comma itself is the text */
	else
		while (q < in.n && in.s[q] != ',' && in.s[q] != '}' && in.s[q] != '\t' && in.s[q] != '\n')
			q++;
	out.kind = TRANS_P_STR;
	out.s = str_sub(in, p, q - p);
	if (out.s.n == 0 && p > start)
		out.s = str_sub(in, start, p - start); /* a blank, written as it is */
	p = skip_blank(in, q);
	if (out.s.n > 0 && num_i64(str_trim(out.s), &out.i) == 0)
		out.kind = TRANS_P_NUM;
done:
	if (p >= in.n || (in.s[p] != ',' && in.s[p] != '}'))
		return diag_set(reterr, p, "',' or '}' expected in a transformation");
	*ret_param = out;
	*ret_p = p;
	return 0;
}

/* in.s[p] is behind the '{'; *ret_p: behind the '}'. */
static int one_parse(struct pool *pool, struct str in, size_t p, struct pv_trans **ret_trans, size_t *ret_p, struct diag *reterr)
{
	struct pv_trans *t = pool_zalloc(pool, sizeof(*t));
	struct str cls, name;
	size_t start, end;
	int err;

	if (!t)
		return diag_err(reterr, -ENOMEM, p, "no memory");
	p = start = skip_blank(in, p);
	while (p < in.n && in.s[p] != '.' && in.s[p] != '}' && in.s[p] != ',')
		p++;
	cls = str_sub(in, start, p - start);
	if (p >= in.n || in.s[p] != '.')
		return diag_set(reterr, start, "'class.function' expected in a transformation");
	end = ++p;
	while (p < in.n && in.s[p] != '}' && in.s[p] != ',')
		p++;
	name = str_trim(str_sub(in, end, p - end));
	if (p >= in.n)
		return diag_set(reterr, p, "'}' expected behind the transformation");
	t->def = trans_find(cls, name);
	if (!t->def)
		return unknown_function(cls, name, start, reterr);
	if (in.s[p] == ',') {
		if (raw_end(in, p + 1, &end) == 0)
			t->raw_params = str_sub(in, p + 1, end - p - 1);
		else if (t->def->raw)
			return diag_set(reterr, p, "braces in {%s.%s} do not match", t->def->cls, t->def->name);
		if (t->def->raw) {
			p = end;
		} else {
			while (in.s[p] == ',') {
				if (t->n_params == ARRAY_LEN(t->param))
					return diag_set(reterr, p, "{%s.%s} has too many parameters", t->def->cls, t->def->name);
				err = param_parse(pool, t->def, in, p + 1, &t->param[t->n_params], &p, reterr);
				if (err < 0)
					return err;
				t->n_params++;
			}
		}
	}
	if (!t->def->raw && (t->n_params < t->def->min_params || t->n_params > t->def->max_params))
		return diag_set(reterr, start, "{%s.%s} takes %u to %u parameters, got %u", t->def->cls, t->def->name,
				t->def->min_params, t->def->max_params, t->n_params);
	if (t->def->prepare) {
		err = t->def->prepare(pool, t, reterr);
		if (err < 0)
			return err;
	}
	*ret_trans = t;
	*ret_p = p + 1;
	return 0;
}

int trans_parse(struct pool *pool, struct str text, struct pv_trans **ret_trans, size_t *ret_len, struct diag *reterr)
{
	struct pv_trans *head = NULL, **tail = &head;
	size_t p = skip_blank(text, 0);

	while (p < text.n && text.s[p] == '{') {
		int err = one_parse(pool, text, p + 1, tail, &p, reterr);

		if (err < 0)
			return err;
		tail = &(*tail)->next;
		p = skip_blank(text, p);
	}
	if (!head)
		return diag_set(reterr, p, "'{' expected");
	*ret_trans = head;
	*ret_len = p;
	return 0;
}

int trans_param_str(struct ctx *ctx, const struct trans_param *p, struct str *ret)
{
	struct value v;
	int err;

	if (p->kind != TRANS_P_PV) {
		*ret = p->s;
		return 0;
	}
	err = pv_get(ctx, p->pv, &v);
	if (err < 0)
		return err;
	if (v.kind == VALUE_NULL)
		return -EINVAL;
	return value_to_str(&v, ctx->pool, ret);
}

int trans_param_int(struct ctx *ctx, const struct trans_param *p, int64_t *ret)
{
	struct value v;
	int err;

	if (p->kind == TRANS_P_NUM) {
		*ret = p->i;
		return 0;
	}
	if (p->kind == TRANS_P_STR)
		return -EBADMSG;
	err = pv_get(ctx, p->pv, &v);
	if (err < 0)
		return err;
	if (v.kind == VALUE_NULL)
		return -EINVAL;
	return value_to_int(&v, ret);
}

int trans_apply(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	for (; t; t = t->next) {
		int err;

		if (v->kind == VALUE_NULL && !t->def->null_ok)
			return -EINVAL;
		err = t->def->fn(ctx, t, v);
		if (err < 0)
			return err;
		if (v->kind == VALUE_STR && v->s.n > TRANS_RESULT_MAX)
			return -EMSGSIZE;
	}
	return 0;
}
