/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of header fields, counted over all fields of the name: "Foo: a, b" and "Foo: c" hold Foo[1] to Foo[3], and Foo[-1] is c. In
 * fields like Authorization the comma separates parameters: there each field is one value ("credentials" below).
 */
#include "core/base/num.h"
#include "core/sip/param.h"
#include "modules/textopsx/textopsx_priv.h"

enum { INDEX_NONE = 0, INDEX_ALL = INT16_MIN };

/* "HF[idx].param" */
struct place {
	struct str name, param;
	int index; /* from 1, negative from the last; INDEX_NONE, INDEX_ALL */
};

static int place_parse(struct pool *pool, struct str text, struct place **ret, struct diag *reterr)
{
	struct place *p = pool_zalloc(pool, sizeof(*p));
	struct str rest = str_trim(text);
	int64_t n;
	size_t i = 0;

	if (!p)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	while (i < rest.n && rest.s[i] != '[' && rest.s[i] != '.')
		i++;
	p->name = str_trim(str_sub(rest, 0, i));
	if (p->name.n == 0)
		return diag_set(reterr, 0, "'%.*s' names no header field", STR_FMT(text));
	rest = str_sub(rest, i, rest.n);
	if (rest.n > 0 && rest.s[0] == '[') {
		ptrdiff_t close = str_find_char(rest, ']');
		struct str index;

		if (close < 0)
			return diag_set(reterr, 0, "'%.*s': ']' is missing", STR_FMT(text));
		index = str_trim(str_sub(rest, 1, (size_t)close - 1));
		if (str_eq(index, STR_LIT("*")))
			p->index = INDEX_ALL;
		else if (num_i64(index, &n) < 0 || n == 0 || n > INT16_MAX || n <= INT16_MIN)
			return diag_set(reterr, 0, "'%.*s': the index is a number from 1, from -1 for the last, or *", STR_FMT(text));
		else
			p->index = (int)n;
		rest = str_sub(rest, (size_t)close + 1, rest.n);
	}
	if (rest.n > 0 && rest.s[0] == '.') {
		p->param = str_trim(str_sub(rest, 1, rest.n));
		if (p->param.n == 0)
			return diag_set(reterr, 0, "'%.*s': the parameter has no name", STR_FMT(text));
	} else if (rest.n > 0) {
		return diag_set(reterr, 0, "'%.*s': '%.*s' is not understood", STR_FMT(text), STR_FMT(rest));
	}
	*ret = p;
	return 0;
}

/* HF[idx] */
int textopsx_place_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	struct place *p;
	int err = place_parse(pool, text, &p, reterr);

	(void)index;
	if (err < 0)
		return err;
	if (p->param.n > 0 || p->index == INDEX_ALL)
		return diag_set(reterr, 0, "'%.*s': neither a parameter nor * can stand here", STR_FMT(text));
	*ret_p = p;
	return 0;
}

/* HF[idx].param */
int textopsx_value_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	struct place *p;
	int err = place_parse(pool, text, &p, reterr);

	(void)index;
	if (err == 0)
		*ret_p = p;
	return err;
}

int textopsx_assign_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	struct place *p;
	int err = place_parse(pool, text, &p, reterr);

	(void)index;
	if (err < 0)
		return err;
	if (p->index == INDEX_ALL && p->param.n == 0)
		return diag_set(reterr, 0, "'%.*s': * needs a parameter", STR_FMT(text));
	*ret_p = p;
	return 0;
}

/* ---- finding ---- */

/* One value and what surrounds it. */
struct value_at {
	const struct sip_hdr *hdr;
	struct str value;
	bool only; /* of its field */
};

struct walk {
	struct ctx *ctx;
	struct str name;
	bool credentials; /* one value per field */
	int nth;          /* of the fields */
	const struct sip_hdr *hdr;
	struct str rest;
	struct str ahead; /* the value that comes next; n 0: none */
};

static struct str take(const struct walk *w, struct str *rest)
{
	struct str v = STR_NULL;

	if (w->credentials) {
		v = *rest;
		*rest = STR_NULL;
	} else if (sip_list_next(rest, &v) != 1) {
		v = STR_NULL; /* the end, or a quote that is not closed: nothing to work on */
	}
	return v;
}

static bool walk_next(struct walk *w, struct value_at *ret)
{
	bool first = false;

	while (w->ahead.n == 0) {
		w->hdr = sip_msg_hdr_named(&w->ctx->msg, w->name, w->nth++);
		if (!w->hdr)
			return false;
		w->rest = w->hdr->value;
		w->ahead = take(w, &w->rest);
		first = true;
	}
	ret->hdr = w->hdr;
	ret->value = w->ahead;
	w->ahead = take(w, &w->rest);
	ret->only = first && w->ahead.n == 0;
	return true;
}

static struct walk walk_of(struct ctx *ctx, struct str name, bool credentials)
{
	return (struct walk){ .ctx = ctx, .name = name, .credentials = credentials };
}

static bool find(struct ctx *ctx, struct str name, bool credentials, int index, struct value_at *ret)
{
	struct walk w = walk_of(ctx, name, credentials);
	struct value_at v;

	if (index < 0) {
		int n = 0;

		while (walk_next(&w, &v))
			n++;
		index += n + 1;
		w = walk_of(ctx, name, credentials);
	}
	for (int i = 1; index > 0 && walk_next(&w, &v); i++) {
		if (i == index) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* ---- changing ---- */

static int edit(struct ctx *ctx, const char *from, size_t drop, struct str put)
{
	return sip_edit_add(&ctx->edits, ctx->pool, &ctx->msg, (uint32_t)(from - ctx->msg.buf.s), (uint32_t)drop, put, SIP_EDIT_SCRIPT, 0) < 0 ? -1 : 1;
}

/* Puts lead, a, mid and b there. */
static int edit_join(struct ctx *ctx, const char *from, size_t drop, const char *lead, struct str a, const char *mid, struct str b)
{
	struct str text;

	return pool_printf(ctx->pool, &text, "%s%.*s%s%.*s", lead, STR_FMT(a), mid, STR_FMT(b)) < 0 ? -1 : edit(ctx, from, drop, text);
}

/* Takes v out of a list that ends at end, with the separator behind it. */
static int cut_with_next(struct ctx *ctx, struct str v, const char *end, char sep)
{
	const char *to = v.s + v.n;

	while (to < end && *to != sep)
		to++;
	to += to < end;
	return edit(ctx, v.s, (size_t)(to - v.s), STR_NULL);
}

/* Takes v out of a list with one separator: the one behind for the first, else the one in front. */
static int cut(struct ctx *ctx, struct str v, const char *begin, const char *end, char sep)
{
	const char *from = v.s;

	while (from > begin && from[-1] != sep)
		from--;
	if (from == begin)
		return cut_with_next(ctx, v, end, sep);
	from--;
	return edit(ctx, from, (size_t)(v.s + v.n - from), STR_NULL);
}

static int remove_value(struct ctx *ctx, const struct value_at *v)
{
	const struct sip_hdr *h = v->hdr;

	if (v->only)
		return sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, h, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
	return cut(ctx, v->value, h->value.s, h->value.s + h->value.n, ',');
}

/* ";a=b;c" of a value. */
static struct str params_of(struct str v)
{
	bool quoted = false, angle = false;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.s[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '<' || c == '>'))
			angle = c == '<';
		else if (!quoted && !angle && c == ';')
			return str_sub(v, i, v.n);
	}
	return STR_NULL;
}

/* Behind the scheme: "Digest " of credentials. */
static struct str credentials_of(struct str v)
{
	size_t i = 0;

	while (i < v.n && v.s[i] != ' ' && v.s[i] != '\t')
		i++;
	return i < v.n ? str_sub(v, i + 1, v.n) : STR_NULL;
}

/* "name=value" as it stands in the value; n 0: none of that name. */
static struct str find_param(const struct value_at *v, bool credentials, struct str name)
{
	struct str list = credentials ? credentials_of(v->value) : params_of(v->value), item;
	struct sip_param p;

	if (!credentials)
		return sip_param_find(list, name, &p) ? p.raw : STR_NULL;
	while (sip_list_next(&list, &item) == 1) {
		ptrdiff_t eq = str_find_char(item, '=');

		if (str_ieq(str_trim(eq < 0 ? item : str_sub(item, 0, (size_t)eq)), name))
			return item;
	}
	return STR_NULL;
}

static int remove_param(struct ctx *ctx, const struct value_at *v, bool credentials, struct str name)
{
	struct str p = find_param(v, credentials, name), list;

	if (p.n == 0)
		return -1;
	list = credentials ? credentials_of(v->value) : params_of(v->value);
	return cut(ctx, p, list.s, list.s + list.n, credentials ? ',' : ';');
}

static int assign_param(struct ctx *ctx, const struct value_at *v, bool credentials, struct str name, struct str value)
{
	struct str p = find_param(v, credentials, name);
	const char *equals = value.n > 0 ? "=" : "";

	if (p.n > 0)
		return edit_join(ctx, p.s, p.n, "", name, equals, value);
	return edit_join(ctx, v->value.s + v->value.n, 0, credentials ? "," : ";", name, equals, value);
}

/* Calls one on the value that is meant, or on each. 1: at least one was changed. */
static int each(struct ctx *ctx, const struct place *p, bool credentials, struct str value,
		int (*one)(struct ctx *ctx, const struct place *p, const struct value_at *v, bool credentials, struct str value))
{
	struct walk w = walk_of(ctx, p->name, credentials);
	struct value_at v;
	int rc = -1;

	if (p->index != INDEX_ALL)
		return find(ctx, p->name, credentials, p->index == INDEX_NONE ? 1 : p->index, &v) ? one(ctx, p, &v, credentials, value) : -1;
	while (walk_next(&w, &v)) {
		if (one(ctx, p, &v, credentials, value) > 0)
			rc = 1;
	}
	return rc;
}

static int remove_one(struct ctx *ctx, const struct place *p, const struct value_at *v, bool credentials, struct str value)
{
	(void)value;
	if (p->param.n > 0)
		return remove_param(ctx, v, credentials, p->param);
	if (p->index == INDEX_ALL)
		return sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, v->hdr, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
	return remove_value(ctx, v);
}

static int assign_one(struct ctx *ctx, const struct place *p, const struct value_at *v, bool credentials, struct str value)
{
	if (p->param.n > 0)
		return assign_param(ctx, v, credentials, p->param, value);
	return edit(ctx, v->value.s, v->value.n, value);
}

int textopsx_remove_value(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return each(ctx, a[0].p, false, STR_NULL, remove_one);
}

int textopsx_remove_credentials(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return each(ctx, a[0].p, true, STR_NULL, remove_one);
}

int textopsx_assign_value(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return each(ctx, a[0].p, false, a[1].s, assign_one);
}

int textopsx_assign_credentials(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return each(ctx, a[0].p, true, a[1].s, assign_one);
}

/* ---- adding ---- */

static int new_field(struct ctx *ctx, struct str name, struct str value, const struct sip_hdr *before)
{
	struct str field;

	if (pool_printf(ctx->pool, &field, "%.*s: %.*s\r\n", STR_FMT(name), STR_FMT(value)) < 0)
		return -1;
	if (before)
		return edit(ctx, ctx->msg.buf.s + before->off, 0, field);
	return sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, field, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
}

int textopsx_append_value(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct place *p = a[0].p;
	struct value_at v;

	(void)n;
	if (p->index != INDEX_NONE && find(ctx, p->name, false, p->index, &v))
		return edit_join(ctx, v.value.s + v.value.n, 0, ",", a[1].s, "", STR_LIT(""));
	return new_field(ctx, p->name, a[1].s, NULL);
}

int textopsx_insert_value(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct place *p = a[0].p;
	struct value_at v;

	(void)n;
	if (p->index == INDEX_NONE) /* a field of its own in front of the others */
		return new_field(ctx, p->name, a[1].s, sip_msg_hdr_named(&ctx->msg, p->name, 0));
	if (!find(ctx, p->name, false, p->index, &v))
		return -1;
	/* right behind the comma in front */
	while (v.value.s > v.hdr->value.s && v.value.s[-1] != ',')
		v.value.s--;
	return edit_join(ctx, v.value.s, 0, "", a[1].s, ",", STR_LIT(""));
}

/* ---- fields that are a set: Supported, Require ---- */

int textopsx_value_exists(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct walk w = walk_of(ctx, a[0].s, false);
	struct value_at v;

	(void)n;
	while (walk_next(&w, &v)) {
		if (str_ieq(v.value, a[1].s))
			return 1;
	}
	return -1;
}

int textopsx_include_value(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct value_at last;

	if (textopsx_value_exists(ctx, a, n) > 0)
		return 1;
	if (!find(ctx, a[0].s, false, -1, &last))
		return new_field(ctx, a[0].s, a[1].s, NULL);
	return edit_join(ctx, last.value.s + last.value.n, 0, ",", a[1].s, "", STR_LIT(""));
}

/* Takes each occurrence out of one field; the field goes with the last of its values. No two cuts take the same separator. */
static int exclude_from(struct ctx *ctx, const struct sip_hdr *h, struct str what)
{
	struct str rest = h->value, v;
	bool found = false, kept = false;
	int err;

	while ((err = sip_list_next(&rest, &v)) == 1) {
		found |= str_ieq(v, what);
		kept |= !str_ieq(v, what);
	}
	kept |= err < 0; /* a quote that is not closed: what follows stays */
	if (!found)
		return 1;
	if (!kept)
		return sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, h, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
	rest = h->value;
	kept = false;
	err = 1;
	while (err > 0 && sip_list_next(&rest, &v) == 1) {
		const char *end = h->value.s + h->value.n;

		if (!str_ieq(v, what))
			kept = true;
		else /* what stays begins the list when nothing does in front */
			err = kept ? cut(ctx, v, h->value.s, end, ',') : cut_with_next(ctx, v, end, ',');
	}
	return err;
}

int textopsx_exclude_value(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_hdr *h;
	int rc = 1;

	(void)n;
	for (int nth = 0; rc > 0 && (h = sip_msg_hdr_named(&ctx->msg, a[0].s, nth)) != NULL; nth++)
		rc = exclude_from(ctx, h, a[1].s);
	return rc;
}
