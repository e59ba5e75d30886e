/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The script's own memory: $var and $vn of the run, AVPs and XAVPs of the message or transaction, $cnt over them, $_s.
 * Lists are newest first. An XAVP reference is taken apart when the script is loaded unless it holds variables.
 */
#include <stdlib.h>

#include "core/pv/fmt.h"
#include "modules/pv/pv_priv.h"

/* ---- $var $vz $vn ---- */

/* arg 1: $vn */
static int var_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	int slot = spec->def->arg ? pv_vn_slot(pool, spec->inner) : pv_var_slot(pool, spec->inner);

	if (slot < 0)
		return diag_err(reterr, slot, 0, "too many different $%s names", spec->def->name);
	spec->arg = slot;
	return 0;
}

static int var_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct value *v = pv_var_at(ctx, (int)spec->arg);

	if (!v)
		return -ENOMEM;
	*ret = *v;
	return 0;
}

static int var_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct value *at = pv_var_at(ctx, (int)spec->arg);

	if (!at)
		return -ENOMEM;
	*at = v->kind == VALUE_NULL && !spec->def->arg ? value_int(0) : *v;
	return 0;
}

int pv_init_parse(struct str in, struct str *ret_name, struct value *ret, struct diag *reterr)
{
	ptrdiff_t eq = str_find_char(in, '=');
	struct str name, v;
	int64_t i;

	name = eq > 0 ? str_trim(str_sub(in, 0, (size_t)eq)) : STR_LIT("");
	if (name.n == 0 || (size_t)eq + 2 >= in.n || in.s[eq + 2] != ':')
		return diag_set(reterr, 0, "'%.*s' is not name=i:number or name=s:text", STR_FMT(in));
	v = str_sub(in, (size_t)eq + 3, in.n);
	if (in.s[eq + 1] == 'i') {
		if (num_i64(str_trim(v), &i) < 0)
			return diag_set(reterr, (size_t)eq + 3, "'%.*s' is no number", STR_FMT(v));
		*ret = value_int(i);
	} else if (in.s[eq + 1] == 's') {
		*ret = value_str(v);
	} else {
		return diag_set(reterr, (size_t)eq + 1, "type must be i or s");
	}
	*ret_name = name;
	return 0;
}

int pv_var_param(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct str name;
	struct value v;
	int err = pv_init_parse(s, &name, &v, reterr);

	(void)conf;
	(void)set;
	(void)i;
	if (err < 0)
		return err;
	err = pv_var_default(name, &v);
	return err < 0 ? diag_err(reterr, err, 0, "$var(%.*s) cannot be set", STR_FMT(name)) : 0;
}

/* ---- $avp ---- */

#define ALIASES_MAX 64u
static struct {
	struct str alias[ALIASES_MAX], name[ALIASES_MAX];
	unsigned n;
} aliases;

static struct str plain_name(struct str in)
{
	return in.n > 2 && in.s[0] == 's' && in.s[1] == ':' ? str_sub(in, 2, in.n) : in;
}

/* "alias=name;alias2=i:5" */
int pv_alias_param(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf;
	(void)set;
	(void)i;
	while (s.n > 0) {
		ptrdiff_t semi = str_find_char(s, ';');
		struct str one = str_trim(semi < 0 ? s : str_sub(s, 0, (size_t)semi));
		ptrdiff_t eq = str_find_char(one, '=');

		s = semi < 0 ? STR_NULL : str_sub(s, (size_t)semi + 1, s.n);
		if (one.n == 0)
			continue;
		if (eq <= 0 || aliases.n == ALIASES_MAX)
			return diag_set(reterr, 0, "'%.*s' is not alias=name, or there are more than %u", STR_FMT(one), ALIASES_MAX);
		aliases.alias[aliases.n] = str_trim(str_sub(one, 0, (size_t)eq));
		aliases.name[aliases.n++] = plain_name(str_trim(str_sub(one, (size_t)eq + 1, one.n)));
	}
	return 0;
}

struct str pv_avp_name(struct str in)
{
	if (in.n > 2 && in.s[1] == ':')
		return plain_name(in);
	for (unsigned i = 0; i < aliases.n; i++) {
		if (str_eq(aliases.alias[i], in))
			return aliases.name[i];
	}
	return in;
}

static int avp_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	(void)reterr;
	if (!spec->inner_fmt)
		spec->inner = pv_avp_name(spec->inner);
	return 0;
}

static int avp_name_of(struct ctx *ctx, const struct pv_spec *spec, struct str *ret)
{
	int err = pv_inner(ctx, spec, ret);

	if (err == 0 && spec->inner_fmt)
		*ret = pv_avp_name(*ret);
	return err;
}

/* All values of a name joined with ", ". */
static int join_all(struct ctx *ctx, struct avp *list, struct str name, bool icase, struct value *ret)
{
	struct strbuf sb;
	unsigned n = 0;

	strbuf_init_pool(&sb, ctx->pool, 65535);
	for (struct avp *a = list; a; a = a->next) {
		if (!(icase ? str_ieq(a->name, name) : str_eq(a->name, name)))
			continue;
		if (n++ > 0)
			strbuf_add_lit(&sb, ", ");
		if (a->value.kind == VALUE_INT)
			strbuf_add_i64(&sb, a->value.i);
		else if (a->value.kind == VALUE_STR)
			strbuf_add(&sb, a->value.s);
	}
	if (n == 0)
		return pv_ret_null(ret);
	if (strbuf_err(&sb) < 0)
		return -EMSGSIZE;
	*ret = value_str(strbuf_str(&sb));
	return 0;
}

static int avp_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct avp *list = ctx->avps.head[AVP_PLAIN], *a;
	struct str name;
	int n, err = avp_name_of(ctx, spec, &name);

	if (err < 0)
		return err;
	if (spec->idx_kind == PV_IDX_ALL)
		return join_all(ctx, list, name, false, ret);
	err = pv_index(ctx, spec, &n);
	if (err < 0)
		return err;
	a = avp_find(list, name, n, false);
	*ret = a ? a->value : value_null();
	return 0;
}

static int avp_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct avp **list = &ctx->avps.head[AVP_PLAIN];
	struct str name;
	int err = avp_name_of(ctx, spec, &name);

	if (err < 0)
		return err;
	ctx->avps.dirty = true;
	if (spec->idx_kind == PV_IDX_ALL)
		avp_remove_all(list, name, false);
	if (v->kind == VALUE_NULL) {
		struct avp *a = avp_find(*list, name, 0, false);

		if (a)
			avp_remove(list, a);
		return 0;
	}
	return avp_push(list, ctx->pool, name, v) ? 0 : -ENOMEM;
}

/* ---- $xavp $xavi $xavu ---- */

/* "name" or "name[idx]" */
static int xpart_parse(struct str in, struct str *ret_name, enum pv_xidx *ret_kind, int *ret_idx, struct diag *reterr)
{
	ptrdiff_t open;
	struct str idx;
	int64_t i = 0;

	in = str_trim(in);
	open = str_find_char(in, '[');
	*ret_kind = PV_X_NONE;
	*ret_idx = 0;
	if (open >= 0) {
		if (in.s[in.n - 1] != ']')
			return diag_set(reterr, 0, "']' expected in '%.*s'", STR_FMT(in));
		idx = str_trim(str_sub(in, (size_t)open + 1, in.n - (size_t)open - 2));
		if (str_eq(idx, STR_LIT("*"))) {
			*ret_kind = PV_X_ALL;
		} else {
			if (num_i64(idx, &i) < 0 || i < INT32_MIN || i > INT32_MAX)
				return diag_set(reterr, 0, "index '%.*s' is no number", STR_FMT(idx));
			*ret_kind = PV_X_INT;
			*ret_idx = (int)i;
		}
		in = str_trim(str_sub(in, 0, (size_t)open));
	}
	if (in.n == 0)
		return diag_set(reterr, 0, "a name is missing");
	*ret_name = in;
	return 0;
}

int pv_xref_parse(struct str in, struct pv_xref *ret_ref, struct diag *reterr)
{
	ptrdiff_t arrow = str_find(in, STR_LIT("=>"));
	struct pv_xref r = { 0 };
	int err;

	err = xpart_parse(arrow < 0 ? in : str_sub(in, 0, (size_t)arrow), &r.root, &r.ridx_kind, &r.ridx, reterr);
	if (err == 0 && arrow >= 0)
		err = xpart_parse(str_sub(in, (size_t)arrow + 2, in.n), &r.field, &r.fidx_kind, &r.fidx, reterr);
	if (err < 0)
		return err;
	*ret_ref = r;
	return 0;
}

static int xavp_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct pv_xref *r;
	int err;

	if (spec->inner_fmt)
		return 0;
	r = pool_zalloc(pool, sizeof(*r));
	if (!r)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	err = pv_xref_parse(spec->inner, r, reterr);
	if (err < 0)
		return err;
	if (spec->def->arg == AVP_XAVU && (r->ridx_kind != PV_X_NONE || r->fidx_kind != PV_X_NONE))
		return diag_set(reterr, 0, "$xavu takes no index");
	spec->data = r;
	return 0;
}

static int xref_of(struct ctx *ctx, const struct pv_spec *spec, struct pv_xref *ret)
{
	struct str text;
	int err;

	if (spec->data) {
		*ret = *(const struct pv_xref *)spec->data;
		return 0;
	}
	err = pv_inner(ctx, spec, &text);
	return err < 0 ? err : pv_xref_parse(text, ret, NULL);
}

static int xvalue(struct ctx *ctx, const struct avp *a, struct value *ret)
{
	struct str s;
	int err;

	if (!a)
		return pv_ret_null(ret);
	if (!a->has_fields && !a->fields) {
		*ret = a->value;
		return 0;
	}
	err = pool_printf(ctx->pool, &s, "<<xavp:%p>>", (const void *)a);
	if (err < 0)
		return err;
	*ret = value_str(s);
	return 0;
}

static int xavp_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct avp *list = ctx->avps.head[spec->def->arg], *root;
	bool icase = spec->def->arg == AVP_XAVI;
	struct pv_xref r;
	int err = xref_of(ctx, spec, &r);

	if (err < 0)
		return err;
	if (r.field.n == 0 && r.ridx_kind == PV_X_ALL)
		return join_all(ctx, list, r.root, icase, ret);
	root = avp_find(list, r.root, r.ridx, icase);
	if (r.field.n == 0 || !root)
		return xvalue(ctx, root, ret);
	if (r.fidx_kind == PV_X_ALL)
		return join_all(ctx, root->fields, r.field, icase, ret);
	return xvalue(ctx, avp_find(root->fields, r.field, r.fidx, icase), ret);
}

/* Exchanges the value of a node: what it held before is gone. */
static int avp_assign(struct ctx *ctx, struct avp *a, const struct value *v)
{
	int err = value_dup(v, ctx->pool, &a->value);

	if (err < 0)
		return err;
	a->fields = NULL;
	a->has_fields = false;
	return 0;
}

/* One list, roots or fields: null removes, an index replaces, else push. */
static int list_set(struct ctx *ctx, struct avp **list, struct str name, enum pv_xidx kind, int idx, bool icase, const struct value *v)
{
	struct avp *a;

	if (kind == PV_X_ALL)
		avp_remove_all(list, name, icase);
	if (v->kind == VALUE_NULL) {
		a = avp_find(*list, name, idx, icase);
		if (a)
			avp_remove(list, a);
		return 0;
	}
	if (kind == PV_X_INT) {
		a = avp_find(*list, name, idx, icase);
		return a ? avp_assign(ctx, a, v) : 0;
	}
	return avp_push(list, ctx->pool, name, v) ? 0 : -ENOMEM;
}

static int xavp_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct avp **list = &ctx->avps.head[spec->def->arg], *root;
	bool icase = spec->def->arg == AVP_XAVI;
	struct value none = value_null();
	struct pv_xref r;
	int err = xref_of(ctx, spec, &r);

	if (err < 0)
		return err;
	ctx->avps.dirty = true;
	if (r.field.n == 0)
		return list_set(ctx, list, r.root, r.ridx_kind, r.ridx, icase, v);
	if (r.ridx_kind == PV_X_NONE && r.fidx_kind == PV_X_NONE && v->kind != VALUE_NULL) {
		root = avp_push(list, ctx->pool, r.root, &none);
		if (!root)
			return -ENOMEM;
		root->has_fields = true;
	} else {
		root = avp_find(*list, r.root, r.ridx, icase);
		if (!root)
			return 0;
		root->has_fields = true;
	}
	return list_set(ctx, &root->fields, r.field, r.fidx_kind, r.fidx, icase, v);
}

/* Single-valued: an assignment replaces or makes. */
static int one_set(struct ctx *ctx, struct avp **list, struct str name, const struct value *v)
{
	struct avp *a = avp_find(*list, name, 0, false);

	if (v->kind == VALUE_NULL) {
		if (a)
			avp_remove(list, a);
		return 0;
	}
	if (a)
		return avp_assign(ctx, a, v);
	return avp_push(list, ctx->pool, name, v) ? 0 : -ENOMEM;
}

static int xavu_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct avp **list = &ctx->avps.head[AVP_XAVU], *root;
	struct value none = value_null();
	struct pv_xref r;
	int err = xref_of(ctx, spec, &r);

	if (err < 0)
		return err;
	ctx->avps.dirty = true;
	if (r.field.n == 0)
		return one_set(ctx, list, r.root, v);
	root = avp_find(*list, r.root, 0, false);
	if (!root) {
		if (v->kind == VALUE_NULL)
			return 0;
		root = avp_push(list, ctx->pool, r.root, &none);
		if (!root)
			return -ENOMEM;
	}
	root->has_fields = true;
	return one_set(ctx, &root->fields, r.field, v);
}

/* ---- $cnt ---- */

static int cnt_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct pv_spec *of;
	size_t len;
	int err = pv_parse(pool, spec->inner, &of, &len, reterr);

	if (err < 0)
		return err;
	if (len != spec->inner.n || (of->def->get != avp_get && of->def->get != xavp_get))
		return diag_set(reterr, 0, "$cnt() takes $avp(), $xavp(), $xavi() or $xavu()");
	spec->data = of;
	return 0;
}

static int cnt_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct pv_spec *of = spec->data;
	struct avp *list, *root;
	struct str name;
	struct pv_xref r;
	bool icase;
	int err;

	if (of->def->get == avp_get) {
		err = avp_name_of(ctx, of, &name);
		return err < 0 ? err : pv_ret_int(ret, avp_count(ctx->avps.head[AVP_PLAIN], name, false));
	}
	icase = of->def->arg == AVP_XAVI;
	err = xref_of(ctx, of, &r);
	if (err < 0)
		return err;
	list = ctx->avps.head[of->def->arg];
	if (r.field.n == 0) {
		if (r.ridx_kind == PV_X_INT)
			return pv_ret_int(ret, avp_find(list, r.root, r.ridx, icase) != NULL);
		return pv_ret_int(ret, avp_count(list, r.root, icase));
	}
	root = avp_find(list, r.root, r.ridx, icase);
	return pv_ret_int(ret, root ? avp_count(root->fields, r.field, icase) : 0);
}

/* ---- $_s ---- */

static int text_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	struct fmt *f;
	int err = fmt_compile(pool, spec->inner, &f, reterr);

	if (err == 0)
		spec->data = f;
	return err;
}

static int text_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct str s;
	int err = fmt_eval(ctx, spec->data, &s);

	if (err < 0)
		return err;
	*ret = value_str(s);
	return 0;
}

#define X_FLAGS (PV_INNER | PV_FMT_INNER)
/* clang-format off */
const struct pv_def pv_mem_table[] = {
	{ .name = "var",  .get = var_get,  .set = var_set,  .prepare = var_prepare,  .flags = PV_INNER, .arg = 0 },
	{ .name = "vz",   .get = var_get,  .set = var_set,  .prepare = var_prepare,  .flags = PV_INNER, .arg = 0 },
	{ .name = "vn",   .get = var_get,  .set = var_set,  .prepare = var_prepare,  .flags = PV_INNER, .arg = 1 },
	{ .name = "avp",  .get = avp_get,  .set = avp_set,  .prepare = avp_prepare,  .flags = PV_INNER | PV_INDEX | PV_FMT_INNER },
	{ .name = "xavp", .get = xavp_get, .set = xavp_set, .prepare = xavp_prepare, .flags = X_FLAGS, .arg = AVP_XAVP },
	{ .name = "xavi", .get = xavp_get, .set = xavp_set, .prepare = xavp_prepare, .flags = X_FLAGS, .arg = AVP_XAVI },
	{ .name = "xavu", .get = xavp_get, .set = xavu_set, .prepare = xavp_prepare, .flags = X_FLAGS, .arg = AVP_XAVU },
	{ .name = "cnt",  .get = cnt_get,  .prepare = cnt_prepare,  .flags = PV_INNER },
	{ .name = "_s",   .get = text_get, .prepare = text_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */
