/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of module pv: tests on variables, and moving things between parameter lists, XAVPs and variables. */
#include "core/base/log.h"
#include "core/pv/fmt.h"
#include "core/route/route.h"
#include "modules/pv/pv_priv.h"

/* ---- tests ---- */

static int f_isset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct value v;

	(void)n;
	return pv_get(ctx, a[0].pv, &v) == 0 && v.kind != VALUE_NULL ? 1 : -1;
}

static int f_unset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct value v = value_null();

	(void)n;
	return pv_set(ctx, a[0].pv, &v) < 0 ? -1 : 1;
}

static int f_is_int(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct value v;

	(void)n;
	return pv_get(ctx, a[0].pv, &v) == 0 && (v.kind == VALUE_INT || (v.kind == VALUE_STR && v.has_int)) ? 1 : -1;
}

static int f_not_empty(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct value v;

	(void)n;
	return pv_get(ctx, a[0].pv, &v) == 0 && v.kind == VALUE_STR && v.s.n > 0 ? 1 : -1;
}

static int f_typeof(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct value v;
	enum value_kind want;

	(void)n;
	if (a[1].s.n == 0 || pv_get(ctx, a[0].pv, &v) < 0)
		return -1;
	switch (a[1].s.s[0] | 32) {
	case 'i':
		want = VALUE_INT;
		break;
	case 's':
		want = VALUE_STR;
		break;
	case 'n':
		want = VALUE_NULL;
		break;
	default:
		return -1;
	}
	return v.kind == want ? 1 : -1;
}

/* The text is evaluated, and what comes out is evaluated again. */
static int f_evalx(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct diag d = { 0 };
	struct fmt *f;
	struct str out;
	struct value v;

	(void)n;
	if (fmt_compile(ctx->pool, a[1].s, &f, &d) < 0) {
		log_error("pv_evalx: %s", d.text);
		return -1;
	}
	if (fmt_eval(ctx, f, &out) < 0)
		return -1;
	v = value_str(out);
	return pv_set(ctx, a[0].pv, &v) < 0 ? -1 : 1;
}

/* ---- showing lists ---- */

static void show_list(const struct avp *list, unsigned depth)
{
	for (; list; list = list->next) {
		const char *in = &"            "[12 - (depth < 6 ? depth * 2 : 12)];

		if (list->value.kind == VALUE_INT)
			log_info("%s%.*s = %lld", in, STR_FMT(list->name), (long long)list->value.i);
		else if (list->value.kind == VALUE_STR)
			log_info("%s%.*s = \"%.*s\"", in, STR_FMT(list->name), STR_FMT(list->value.s));
		else
			log_info("%s%.*s", in, STR_FMT(list->name));
		if (depth < 8)
			show_list(list->fields, depth + 1);
	}
}

static int f_print_xavp(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	log_info("+++++ XAVP list:");
	show_list(ctx->avps.head[AVP_XAVP], 1);
	return 1;
}

static int f_print_xavi(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	log_info("+++++ XAVI list:");
	show_list(ctx->avps.head[AVP_XAVI], 1);
	return 1;
}

static int f_print_xavu(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	log_info("+++++ XAVU list:");
	show_list(ctx->avps.head[AVP_XAVU], 1);
	return 1;
}

/* ---- roots and fields ---- */

static struct avp *root_new(struct ctx *ctx, enum avp_class cls, struct str name)
{
	struct value none = value_null();
	struct avp *root = avp_push(&ctx->avps.head[cls], ctx->pool, name, &none);

	if (root)
		root->has_fields = true;
	ctx->avps.dirty = true;
	return root;
}

/* Replaces the field, or makes it; the root too. */
static int child_set(struct ctx *ctx, enum avp_class cls, struct str root_name, struct str name, const struct value *v)
{
	bool icase = cls == AVP_XAVI;
	struct avp *root = avp_find(ctx->avps.head[cls], root_name, 0, icase), *f;

	if (!root)
		root = root_new(ctx, cls, root_name);
	if (!root)
		return -1;
	root->has_fields = true;
	ctx->avps.dirty = true;
	f = avp_find(root->fields, name, 0, icase);
	if (f)
		return value_dup(v, ctx->pool, &f->value) < 0 ? -1 : 1;
	return avp_push(&root->fields, ctx->pool, name, v) ? 1 : -1;
}

static int child_rm(struct ctx *ctx, enum avp_class cls, struct str root_name, struct str name)
{
	bool icase = cls == AVP_XAVI;
	struct avp *root = avp_find(ctx->avps.head[cls], root_name, 0, icase);

	if (!root || avp_remove_all(&root->fields, name, icase) == 0)
		return -1;
	ctx->avps.dirty = true;
	return 1;
}

static int root_rm(struct ctx *ctx, enum avp_class cls, struct str name, bool all)
{
	bool icase = cls == AVP_XAVI;
	struct avp *a = avp_find(ctx->avps.head[cls], name, 0, icase);

	if (!a)
		return -1;
	ctx->avps.dirty = true;
	if (all)
		avp_remove_all(&ctx->avps.head[cls], name, icase);
	else
		avp_remove(&ctx->avps.head[cls], a);
	return 1;
}

#define CHILD_FUNCS(prefix, cls)                                                                        \
	static int f_##prefix##_child_seti(struct ctx *ctx, const union script_arg *a, unsigned n)      \
	{                                                                                               \
		struct value v = value_int(a[2].i);                                                     \
		(void)n;                                                                                \
		return child_set(ctx, cls, a[0].s, a[1].s, &v);                                         \
	}                                                                                               \
	static int f_##prefix##_child_sets(struct ctx *ctx, const union script_arg *a, unsigned n)      \
	{                                                                                               \
		struct value v = value_str(a[2].s);                                                     \
		(void)n;                                                                                \
		return child_set(ctx, cls, a[0].s, a[1].s, &v);                                         \
	}                                                                                               \
	static int f_##prefix##_child_rm(struct ctx *ctx, const union script_arg *a, unsigned n)        \
	{                                                                                               \
		(void)n;                                                                                \
		return child_rm(ctx, cls, a[0].s, a[1].s);                                              \
	}                                                                                               \
	static int f_##prefix##_rm(struct ctx *ctx, const union script_arg *a, unsigned n)              \
	{                                                                                               \
		(void)n;                                                                                \
		return root_rm(ctx, cls, a[0].s, false);                                                \
	}                                                                                               \
	static int f_##prefix##_rm_all(struct ctx *ctx, const union script_arg *a, unsigned n)          \
	{                                                                                               \
		(void)n;                                                                                \
		return root_rm(ctx, cls, a[0].s, true);                                                 \
	}
CHILD_FUNCS(xavp, AVP_XAVP)
CHILD_FUNCS(xavi, AVP_XAVI)

/* ---- parameter lists to fields and back ---- */

/* Fields in the order of the list, so pushed last first would turn them round: appended at the tail instead. */
static int explode(struct ctx *ctx, enum avp_class cls, struct str list, char sep, struct str name)
{
	struct avp *root, **tail;
	unsigned made = 0;

	if (list.n == 0 || name.n == 0)
		return -1;
	if (cls == AVP_XAVU)
		avp_remove_all(&ctx->avps.head[cls], name, false);
	root = root_new(ctx, cls, name);
	if (!root)
		return -1;
	tail = &root->fields;
	while (list.n > 0) {
		bool quoted = false;
		size_t i;
		struct str one;
		ptrdiff_t eq;
		struct value v;

		for (i = 0; i < list.n && (quoted || list.s[i] != sep); i++) {
			if (list.s[i] == '\\' && quoted && i + 1 < list.n)
				i++;
			else if (list.s[i] == '"')
				quoted = !quoted;
		}
		one = str_trim(str_sub(list, 0, i));
		list = str_sub(list, i + 1, list.n);
		if (one.n == 0)
			continue;
		eq = str_find_char(one, '=');
		v = value_str(eq < 0 ? STR_LIT("") : str_trim(str_sub(one, (size_t)eq + 1, one.n)));
		if (v.s.n >= 2 && v.s.s[0] == '"' && v.s.s[v.s.n - 1] == '"')
			v.s = str_sub(v.s, 1, v.s.n - 2);
		if (eq >= 0)
			one = str_trim(str_sub(one, 0, (size_t)eq));
		if (!avp_push(tail, ctx->pool, one, &v))
			return -1;
		tail = &(*tail)->next;
		made++;
	}
	return made > 0 ? 1 : -1;
}

static int f_xavp_explode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return explode(ctx, AVP_XAVP, a[0].s, ';', a[1].s);
}

static int f_xavu_explode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return explode(ctx, AVP_XAVU, a[0].s, ';', a[1].s);
}

static int f_xavp_xexplode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return a[1].s.n > 0 ? explode(ctx, AVP_XAVP, a[0].s, a[1].s.s[0], a[2].s) : -1;
}

static int implode(struct ctx *ctx, enum avp_class cls, struct str name, const struct pv_spec *dst, bool quote)
{
	struct avp *root = avp_find(ctx->avps.head[cls], name, 0, false);
	struct strbuf sb;
	struct value v;

	if (!root || !root->fields)
		return -1;
	strbuf_init_pool(&sb, ctx->pool, 32768);
	for (struct avp *f = root->fields; f; f = f->next) {
		strbuf_add(&sb, f->name);
		if (f->value.kind != VALUE_NULL && !(f->value.kind == VALUE_STR && f->value.s.n == 0)) {
			strbuf_add_char(&sb, '=');
			if (quote)
				strbuf_add_char(&sb, '"');
			if (f->value.kind == VALUE_INT)
				strbuf_add_i64(&sb, f->value.i);
			else
				strbuf_add(&sb, f->value.s);
			if (quote)
				strbuf_add_char(&sb, '"');
		}
		strbuf_add_char(&sb, ';');
	}
	if (strbuf_err(&sb) < 0)
		return -1;
	v = value_str(strbuf_str(&sb));
	return pv_set(ctx, dst, &v) < 0 ? -1 : 1;
}

static int f_xavp_implode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return implode(ctx, AVP_XAVP, a[0].s, a[1].pv, false);
}

static int f_xavp_implode_q(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return implode(ctx, AVP_XAVP, a[0].s, a[1].pv, true);
}

static int f_xavu_implode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return implode(ctx, AVP_XAVU, a[0].s, a[1].pv, false);
}

/* list, separators, mode ('t': trim), xavp name: fields "v" in the order of the list */
static int f_slist_explode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str list = a[0].s, seps = a[1].s;
	bool trim = memchr(a[2].s.s ? a[2].s.s : "", 't', a[2].s.n) || memchr(a[2].s.s ? a[2].s.s : "", 'T', a[2].s.n);
	struct avp *root, **tail;

	(void)n;
	if (list.n == 0 || seps.n == 0 || a[3].s.n == 0)
		return -1;
	root = root_new(ctx, AVP_XAVP, a[3].s);
	if (!root)
		return -1;
	tail = &root->fields;
	for (size_t start = 0, i = 0; i <= list.n; i++) {
		struct value v;

		if (i < list.n && !memchr(seps.s, list.s[i], seps.n))
			continue;
		v = value_str(str_sub(list, start, i - start));
		start = i + 1;
		if (trim)
			v.s = str_trim(v.s);
		if (!avp_push(tail, ctx->pool, STR_LIT("v"), &v))
			return -1;
		tail = &(*tail)->next;
	}
	return 1;
}

/* ---- $var and XAVP ---- */

/* "*" copies all. */
static int f_var_to_xavp(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	bool all = str_eq(a[0].s, STR_LIT("*")), vn;
	struct avp *root;
	struct str name;
	unsigned copied = 0;

	(void)n;
	avp_remove_all(&ctx->avps.head[AVP_XAVP], a[1].s, false);
	root = root_new(ctx, AVP_XAVP, a[1].s);
	if (!root)
		return -1;
	for (int slot = 0; pv_var_name(slot, &name, &vn); slot++) {
		struct value *v;

		if (vn || name.n == 0 || (!all && !str_eq(name, a[0].s)))
			continue;
		v = pv_var_at(ctx, slot);
		if (!v || !avp_push(&root->fields, ctx->pool, name, v))
			return -1;
		copied++;
	}
	return copied > 0 ? 1 : -1;
}

static int f_xavp_to_var(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct avp *root = avp_find(ctx->avps.head[AVP_XAVP], a[0].s, 0, false);

	(void)n;
	if (!root)
		return -1;
	for (struct avp *f = root->fields; f; f = f->next) {
		int slot;
		struct value *v;

		if (f->value.kind == VALUE_NULL)
			continue;
		slot = pv_var_slot(ctx->pool, f->name);
		v = slot < 0 ? NULL : pv_var_at(ctx, slot);
		if (!v)
			return -1;
		*v = f->value;
	}
	return 1;
}

/* ---- copying ---- */

static int copy_fields(struct ctx *ctx, const struct avp *from, struct avp *to)
{
	struct avp **tail = &to->fields;

	for (const struct avp *f = from->fields; f; f = f->next) {
		if (!avp_push(tail, ctx->pool, f->name, &f->value))
			return -ENOMEM;
		if (f->fields && copy_fields(ctx, f, *tail) < 0)
			return -ENOMEM;
		(*tail)->has_fields = f->has_fields;
		tail = &(*tail)->next;
	}
	to->has_fields = from->has_fields;
	return 0;
}

/* src, index, dst[, index of dst that is replaced] */
static int f_copy(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct avp **list = &ctx->avps.head[AVP_XAVP], *src, *old = NULL, *fresh;

	src = avp_find(*list, a[0].s, (int)a[1].i, false);
	if (!src)
		return -1;
	if (n > 3) {
		old = avp_find(*list, a[2].s, (int)a[3].i, false);
		if (!old)
			return -1;
	}
	ctx->avps.dirty = true;
	fresh = avp_push(list, ctx->pool, a[2].s, &src->value);
	if (!fresh || copy_fields(ctx, src, fresh) < 0)
		return -1;
	if (old) { /* in its place */
		avp_remove(list, fresh);
		fresh->next = old->next;
		for (struct avp **p = list; *p; p = &(*p)->next) {
			if (*p == old) {
				*p = fresh;
				break;
			}
		}
	}
	return 1;
}

static int f_lshift(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	if (a[1].i < 0)
		return -1;
	for (int64_t i = 0; i < a[1].i; i++) {
		if (root_rm(ctx, AVP_XAVP, a[0].s, false) < 0)
			break;
	}
	return 1;
}

static struct str field_text(struct avp *root, struct str name)
{
	struct avp *f = avp_find(root->fields, name, 0, false);

	return f && f->value.kind == VALUE_STR ? f->value.s : STR_NULL;
}

/* Fields uri, next_hop or dst_uri or dsturi, socket. */
static int f_push_dst(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct avp *root = avp_find(ctx->avps.head[AVP_XAVP], a[0].s, 0, false);
	struct str uri, dst, sock;
	const struct net_listener *l;

	(void)n;
	if (!root)
		return -1;
	uri = field_text(root, STR_LIT("uri"));
	dst = field_text(root, STR_LIT("next_hop"));
	if (dst.n == 0)
		dst = field_text(root, STR_LIT("dst_uri"));
	if (dst.n == 0)
		dst = field_text(root, STR_LIT("dsturi"));
	sock = field_text(root, STR_LIT("socket"));
	if (uri.n > 0 && route_ruri_set(ctx, RURI_ALL, uri, 0) < 0)
		return -1;
	if (dst.n > 0)
		ctx->main.dst_uri = dst;
	if (sock.n > 0) {
		l = net_listener_find(sock);
		if (!l)
			return -1;
		ctx->main.listener = l->index;
	}
	return 1;
}

/* ---- the static branch ---- */

static int f_sbranch_reset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct pv_state *st = pv_state(ctx);

	(void)a;
	(void)n;
	if (!st)
		return -1;
	st->has_sbranch = false;
	return 1;
}

static int f_sbranch_append(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct pv_state *st = pv_state(ctx);

	(void)a;
	(void)n;
	if (!st || !st->has_sbranch || st->sbranch.uri.n == 0 || ctx->n_branches >= CTX_BRANCHES_MAX)
		return -1;
	if (route_branch_add(ctx, st->sbranch.uri, st->sbranch.q) < 0)
		return -1;
	ctx->branch[ctx->n_branches - 1] = st->sbranch;
	return 1;
}

static int f_sbranch_set_ruri(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct pv_state *st = pv_state(ctx);
	struct ctx_target *t;

	(void)a;
	(void)n;
	if (!st || !st->has_sbranch)
		return -1;
	t = &st->sbranch;
	if (t->uri.n > 0 && route_ruri_set(ctx, RURI_ALL, t->uri, 0) < 0)
		return -1;
	if (t->dst_uri.n > 0)
		ctx->main.dst_uri = t->dst_uri;
	if (t->path.n > 0)
		ctx->main.path = t->path;
	if (t->listener != NET_LISTENER_NONE)
		ctx->main.listener = t->listener;
	ctx->main.q = t->q;
	ctx->main.bflags = t->bflags;
	return 1;
}

/* clang-format off */
const struct script_func pv_funcs[] = {
	{ .name = "pv_isset",   .fn = f_isset,     .n_params = 1, .param = { SP_PV },  .kinds = CTX_ANY },
	{ .name = "pv_unset",   .fn = f_unset,     .n_params = 1, .param = { SP_WPV }, .kinds = CTX_ANY },
	{ .name = "is_int",     .fn = f_is_int,    .n_params = 1, .param = { SP_PV },  .kinds = CTX_ANY },
	{ .name = "not_empty",  .fn = f_not_empty, .n_params = 1, .param = { SP_PV },  .kinds = CTX_ANY },
	{ .name = "typeof",     .fn = f_typeof,    .n_params = 2, .param = { SP_PV, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "pv_evalx",   .fn = f_evalx,     .n_params = 2, .param = { SP_WPV, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "pv_xavp_print", .fn = f_print_xavp, .kinds = CTX_ANY },
	{ .name = "pv_xavi_print", .fn = f_print_xavi, .kinds = CTX_ANY },
	{ .name = "pv_xavu_print", .fn = f_print_xavu, .kinds = CTX_ANY },
	{ .name = "pv_var_to_xavp", .fn = f_var_to_xavp, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "pv_xavp_to_var", .fn = f_xavp_to_var, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_copy", .fn = f_copy, .n_params = 3, .param = { SP_DSTR, SP_DINT, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_copy", .fn = f_copy, .n_params = 4, .param = { SP_DSTR, SP_DINT, SP_DSTR, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "xavp_params_explode",  .fn = f_xavp_explode,  .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavu_params_explode",  .fn = f_xavu_explode,  .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_xparams_explode", .fn = f_xavp_xexplode, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_params_implode",  .fn = f_xavp_implode,  .n_params = 2, .param = { SP_DSTR, SP_WPV }, .kinds = CTX_ANY },
	{ .name = "xavp_params_implode_qval", .fn = f_xavp_implode_q, .n_params = 2, .param = { SP_DSTR, SP_WPV }, .kinds = CTX_ANY },
	{ .name = "xavu_params_implode",  .fn = f_xavu_implode,  .n_params = 2, .param = { SP_DSTR, SP_WPV }, .kinds = CTX_ANY },
	{ .name = "xavp_slist_explode", .fn = f_slist_explode, .n_params = 4, .param = { SP_DSTR, SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_child_seti", .fn = f_xavp_child_seti, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "xavp_child_sets", .fn = f_xavp_child_sets, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_child_rm",   .fn = f_xavp_child_rm,   .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_rm",         .fn = f_xavp_rm,         .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_rm_all",     .fn = f_xavp_rm_all,     .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavi_child_seti", .fn = f_xavi_child_seti, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "xavi_child_sets", .fn = f_xavi_child_sets, .n_params = 3, .param = { SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavi_child_rm",   .fn = f_xavi_child_rm,   .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavi_rm",         .fn = f_xavi_rm,         .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavi_rm_all",     .fn = f_xavi_rm_all,     .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "xavp_lshift",     .fn = f_lshift,          .n_params = 2, .param = { SP_DSTR, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "xavp_push_dst",   .fn = f_push_dst,        .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "sbranch_reset",    .fn = f_sbranch_reset,    .kinds = CTX_ANY },
	{ .name = "sbranch_append",   .fn = f_sbranch_append,   .kinds = CTX_ANY },
	{ .name = "sbranch_set_ruri", .fn = f_sbranch_set_ruri, .kinds = CTX_ANY },
	{ .name = NULL },
};
/* clang-format on */
