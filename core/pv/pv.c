/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of variable classes, and the parser that turns "$(hdr(To)[-1]{s.len})" into a reference.
 *
 * Classes are rows of tables that stay with their owners; the registry only hashes their names. A parsed reference holds
 * everything looked up, so that reading a variable is one indirect call.
 */
#include "core/pv/pv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/pv/pv_priv.h"

#define PV_NAME_MAX 64u
#define PV_DEPTH_MAX 16u  /* variables inside variables */

/* Made before forking. */
static struct {
	const struct pv_def **slot; /* open addressing */
	uint32_t n, cap;
	unsigned depth;
	void (*on_parse)(const struct pv_spec *spec);
} reg;

/* ---- registry ---- */

/* Not keyed: names come from us and from the script, and the table is built before the arena's secret exists. */
static uint32_t name_hash(struct str name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.s[i]) * 16777619u;
	return h;
}

static void place(const struct pv_def **slot, uint32_t cap, const struct pv_def *def)
{
	uint32_t i = name_hash(str_lit(def->name)) & (cap - 1);

	while (slot[i])
		i = (i + 1) & (cap - 1);
	slot[i] = def;
}

static int registry_grow(void)
{
	uint32_t cap = reg.cap ? reg.cap * 2 : 1024;
	const struct pv_def **slot = calloc(cap, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < reg.cap; i++) {
		if (reg.slot[i])
			place(slot, cap, reg.slot[i]);
	}
	free(reg.slot);
	reg.slot = slot;
	reg.cap = cap;
	return 0;
}

const struct pv_def *pv_find(struct str name)
{
	if (!reg.cap)
		return NULL;
	for (uint32_t i = name_hash(name) & (reg.cap - 1); reg.slot[i]; i = (i + 1) & (reg.cap - 1)) {
		if (str_eq(str_lit(reg.slot[i]->name), name))
			return reg.slot[i];
	}
	return NULL;
}

int pv_register(const struct pv_def *table)
{
	for (const struct pv_def *d = table; d->name; d++) {
		const struct pv_def *old = pv_find(str_lit(d->name));

		if (old == d)
			continue;
		if (old)
			return log_fail(-EEXIST, "variable $%s is registered twice", d->name);
		if (reg.n * 2 >= reg.cap && registry_grow() < 0)
			return -ENOMEM;
		place(reg.slot, reg.cap, d);
		reg.n++;
	}
	return 0;
}

unsigned pv_name_distance(struct str a, struct str b)
{
	uint8_t row[PV_NAME_MAX + 1];

	if (a.n > PV_NAME_MAX || b.n > PV_NAME_MAX)
		return 255;
	for (size_t j = 0; j <= b.n; j++)
		row[j] = (uint8_t)j;
	for (size_t i = 1; i <= a.n; i++) {
		uint8_t diag = row[0];

		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b.n; j++) {
			uint8_t up = row[j], best = (uint8_t)(diag + (a.s[i - 1] != b.s[j - 1]));

			if (up + 1 < best)
				best = (uint8_t)(up + 1);
			if (row[j - 1] + 1 < best)
				best = (uint8_t)(row[j - 1] + 1);
			diag = up;
			row[j] = best;
		}
	}
	return row[b.n];
}

static int unknown_name(struct str name, struct diag *reterr)
{
	const struct pv_def *best = NULL;
	unsigned best_cost = name.n > 3 ? 3 : 2;
	char full[PV_NAME_MAX + 2], near[PV_NAME_MAX + 2];

	while (name.n > 1 && (name.s[name.n - 1] == '.' || name.s[name.n - 1] == '?')) {
		struct str cut = str_sub(name, 0, name.n - 1);

		if (pv_find(cut))
			return diag_set(reterr, 1, "unknown variable $%.*s: '%c' counts as part of the name; write $(%.*s)%c", STR_FMT(name),
					name.s[name.n - 1], STR_FMT(cut), name.s[name.n - 1]);
		name = cut;
	}
	for (uint32_t i = 0; i < reg.cap; i++) {
		unsigned cost = reg.slot[i] ? pv_name_distance(str_lit(reg.slot[i]->name), name) : 255;

		if (cost < best_cost || (cost == best_cost && best && strcmp(reg.slot[i]->name, best->name) < 0)) {
			best_cost = cost;
			best = reg.slot[i];
		}
	}
	snprintf(full, sizeof(full), "$%.*s", STR_FMT(name));
	snprintf(near, sizeof(near), "$%s", best ? best->name : "");
	return diag_unknown(reterr, DIAG_VARIABLE, 1, str_lit(full), best ? near : NULL, "unknown variable %s", full);
}

/* ---- parsing ---- */

static int dollar_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	(void)spec;
	*ret = value_str_int(STR_LIT("$"), '$');
	return 0;
}

static const struct pv_def dollar_def = { .name = "$", .get = dollar_get };

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '?';
}

/* p: behind '('. The matching ')' is *ret_end. */
static int inner_end(struct str text, size_t p, size_t *ret_end)
{
	unsigned depth = 0;

	for (; p < text.n; p++) {
		if (text.s[p] == '(') {
			depth++;
		} else if (text.s[p] == ')') {
			if (depth == 0) {
				*ret_end = p;
				return 0;
			}
			depth--;
		}
	}
	return -EBADMSG;
}

/* "[...]" at p; *ret_p: behind the ']'. */
static int index_parse(struct pool *pool, struct str text, size_t p, struct pv_spec *spec, size_t *ret_p, struct diag *reterr)
{
	size_t start = ++p, len;
	struct str in;
	int64_t i;

	if (p < text.n && text.s[p] == '$') {
		int err = pv_parse_view(pool, str_sub(text, p, text.n), &spec->idx_pv, &len, reterr);

		if (err < 0)
			return err;
		spec->idx_kind = PV_IDX_PV;
		p += len;
	} else {
		while (p < text.n && text.s[p] != ']')
			p++;
		in = str_sub(text, start, p - start);
		if (str_eq(in, STR_LIT("*"))) {
			spec->idx_kind = PV_IDX_ALL;
		} else if (num_i64(in, &i) == 0 && i >= INT32_MIN && i <= INT32_MAX) {
			spec->idx_kind = PV_IDX_INT;
			spec->idx = (int)i;
		} else {
			return diag_set(reterr, start, "index '%.*s' is no number", STR_FMT(in));
		}
	}
	if (p >= text.n || text.s[p] != ']')
		return diag_set(reterr, p, "']' expected");
	*ret_p = p + 1;
	return 0;
}

/* Name and inner are known: checks them against the class. */
static int spec_finish(struct pool *pool, struct pv_spec *spec, bool has_inner, struct diag *reterr)
{
	unsigned flags = spec->def->flags;
	const char *name = spec->def->name;

	if (has_inner && !(flags & (PV_INNER | PV_INNER_OPT)))
		return diag_set(reterr, 0, "$%s takes no (name)", name);
	if (!has_inner && (flags & PV_INNER))
		return diag_set(reterr, 0, "$%s needs a (name)", name);
	if (has_inner && spec->inner.n == 0)
		return diag_set(reterr, 0, "the (name) of $%s is empty", name);
	if (spec->idx_kind != PV_IDX_NONE && !(flags & PV_INDEX))
		return diag_set(reterr, 0, "$%s takes no [index]", name);
	if ((flags & PV_FMT_INNER) && memchr(spec->inner.s ? spec->inner.s : "", '$', spec->inner.n)) {
		int err = fmt_compile(pool, spec->inner, &spec->inner_fmt, reterr);

		if (err < 0)
			return err;
		if (fmt_is_const(spec->inner_fmt))
			spec->inner_fmt = NULL;
	}
	return spec->def->prepare ? spec->def->prepare(pool, spec, reterr) : 0;
}

static int spec_parse(struct pool *pool, struct str text, struct pv_spec *spec, size_t *ret_len, struct diag *reterr)
{
	bool paren, has_inner = false;
	size_t p = 1, start, len;
	int err;

	if (text.n < 1 || text.s[0] != '$')
		return diag_set(reterr, 0, "variable expected");
	paren = text.n > 1 && text.s[1] == '(';
	p += paren;
	start = p;
	while (p < text.n && is_name_char(text.s[p]))
		p++;
	if (p == start && p < text.n && text.s[p] == '$') {
		spec->def = &dollar_def;
		p++;
	} else {
		struct str name = str_sub(text, start, p - start);

		if (name.n == 0)
			return diag_set(reterr, p, "name of a variable expected behind '$'");
		spec->def = pv_find(name);
		if (!spec->def)
			return unknown_name(name, reterr);
	}
	if (spec->def != &dollar_def && p < text.n && text.s[p] == '(') {
		size_t end;

		if (inner_end(text, p + 1, &end) < 0)
			return diag_set(reterr, p, "')' expected");
		spec->inner = str_sub(text, p + 1, end - p - 1);
		has_inner = true;
		p = end + 1;
	}
	if (paren && p < text.n && text.s[p] == '[') {
		err = index_parse(pool, text, p, spec, &p, reterr);
		if (err < 0)
			return err;
	}
	if (paren && p < text.n && (text.s[p] == '{' || text.s[p] == ' ' || text.s[p] == '\t' || text.s[p] == '\n' || text.s[p] == '\r')) {
		err = trans_parse(pool, str_sub(text, p, text.n), &spec->trans, &len, reterr);
		if (err < 0) {
			if (reterr)
				reterr->pos += p;
			return err;
		}
		p += len;
	}
	if (paren) {
		if (p >= text.n || text.s[p] != ')')
			return diag_set(reterr, p, "')' expected");
		p++;
	}
	*ret_len = p;
	spec->text = str_sub(text, 0, p);
	return spec_finish(pool, spec, has_inner, reterr);
}

int pv_parse_view(struct pool *pool, struct str text, struct pv_spec **ret_spec, size_t *ret_len, struct diag *reterr)
{
	struct pv_spec *spec;
	size_t len = 0;
	int err;

	if (reg.depth >= PV_DEPTH_MAX)
		return diag_set(reterr, 0, "variables nested deeper than %u", PV_DEPTH_MAX);
	spec = pool_zalloc(pool, sizeof(*spec));
	if (!spec)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	reg.depth++;
	err = spec_parse(pool, text, spec, &len, reterr);
	reg.depth--;
	if (err < 0)
		return err;
	if (UNLIKELY(reg.on_parse != NULL))
		reg.on_parse(spec);
	*ret_spec = spec;
	*ret_len = len;
	return 0;
}

void pv_on_parse(void (*fn)(const struct pv_spec *spec))
{
	reg.on_parse = fn;
}

int pv_parse(struct pool *pool, struct str text, struct pv_spec **ret_spec, size_t *ret_len, struct diag *reterr)
{
	struct str copy = str_dup(pool, text);

	if (!copy.s)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	return pv_parse_view(pool, copy, ret_spec, ret_len, reterr);
}

/* ---- reading and writing ---- */

HOT int pv_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct value v = { .kind = VALUE_NULL };
	int err = spec->def->get(ctx, spec, &v);

	if (err < 0)
		return err;
	if (UNLIKELY(spec->trans != NULL)) {
		err = trans_apply(ctx, spec->trans, &v);
		if (err < 0)
			return err;
	}
	*ret = v;
	return 0;
}

bool pv_writable(const struct pv_spec *spec)
{
	return spec->def->set && !spec->trans;
}

int pv_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	if (!pv_writable(spec))
		return -EPERM;
	return spec->def->set(ctx, spec, v);
}

int pv_inner(struct ctx *ctx, const struct pv_spec *spec, struct str *ret)
{
	if (spec->inner_fmt)
		return fmt_eval(ctx, spec->inner_fmt, ret);
	*ret = spec->inner;
	return 0;
}

int pv_index(struct ctx *ctx, const struct pv_spec *spec, int *ret)
{
	struct value v;
	int64_t i;
	int err;

	if (spec->idx_kind != PV_IDX_PV) {
		*ret = spec->idx_kind == PV_IDX_INT ? spec->idx : 0;
		return 0;
	}
	err = pv_get(ctx, spec->idx_pv, &v);
	if (err < 0)
		return err;
	err = value_to_int(&v, &i);
	if (err < 0)
		return err;
	if (i < INT32_MIN || i > INT32_MAX)
		return -ERANGE;
	*ret = (int)i;
	return 0;
}
