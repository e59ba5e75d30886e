/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Searching and replacing with regular expressions or plain text. All of it looks at the received bytes; what changes becomes edits,
 * so that two functions do not see each other's work.
 */

#include "core/base/log.h"
#include "modules/textops/textops_priv.h"

int textops_var_eval(void *arg, void *var, struct strbuf *out)
{
	struct ctx *ctx = arg;
	struct value v;
	struct str s;

	if (pv_get(ctx, var, &v) < 0)
		return 0;
	if (v.kind == VALUE_NULL) {
		strbuf_add_lit(out, "<null>");
		return 0;
	}
	if (value_to_str(&v, ctx->pool, &s) < 0)
		return -ENOMEM;
	strbuf_add(out, s);
	return 0;
}

int textops_edit(struct ctx *ctx, struct str view, struct str put, enum sip_edit_tag tag)
{
	struct str copy = str_dup(ctx->pool, put);

	if (!copy.s)
		return -1;
	return sip_edit_replace(&ctx->edits, ctx->pool, &ctx->msg, view, copy, tag) < 0 ? -1 : 1;
}

/* ---- looking ---- */

static int found(const struct regex *re, struct str s)
{
	return regex_match(re, s, 0, NULL) == 1 ? 1 : -1;
}

int textops_search(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return found(a[0].re, ctx->msg.buf);
}

int textops_search_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return ctx->msg.body.n > 0 ? found(a[0].re, ctx->msg.body) : -1;
}

/* a all, f first, l last */
int textops_search_hf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	char which = a[2].s.n > 0 ? (char)(a[2].s.s[0] | 32) : 'a';
	const struct sip_hdr *h;

	(void)n;
	if (which != 'a') {
		h = sip_msg_hdr_named(&ctx->msg, a[0].s, which == 'l' ? -1 : 0);
		return h ? found(a[1].re, h->value) : -1;
	}
	for (int i = 0; (h = sip_msg_hdr_named(&ctx->msg, a[0].s, i)); i++) {
		if (found(a[1].re, h->value) > 0)
			return 1;
	}
	return -1;
}

int textops_search_str(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return found(a[1].re, a[0].s);
}

/* text, regex, group, number of groups, variable */
int textops_regex_substring(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct regex_match m;
	struct value v;

	(void)n;
	if (a[2].i < 0 || a[2].i >= REGEX_GROUPS || a[3].i <= a[2].i)
		return -1;
	if (regex_match(a[1].re, a[0].s, 0, &m) != 1)
		return -2;
	v = value_str(regex_group(&m, a[0].s, (unsigned)a[2].i));
	if (!v.s.s)
		return -1;
	return pv_set(ctx, a[4].pv, &v) < 0 ? -1 : 1;
}

/* ---- changing ---- */

enum repl_flags { REPL_ALL = 1, REPL_APPEND = 2 /* behind the match instead of in its place */ };

/* Matches of empty text are skipped over: they would match for ever. */
static int regex_edit(struct ctx *ctx, const struct regex *re, struct str in, struct str put, unsigned flags)
{
	struct regex_match m;
	size_t from = 0;
	int done = -1;

	while (from <= in.n && regex_match(re, in, from, &m) == 1) {
		struct str view = regex_group(&m, in, 0);

		from = (size_t)m.g[0].end;
		if (view.n == 0) {
			from++;
			continue;
		}
		if (flags & REPL_APPEND)
			view = str_of(view.s + view.n, 0);
		if (textops_edit(ctx, view, put, SIP_EDIT_SCRIPT) < 0)
			return -1;
		done = 1;
		if (!(flags & REPL_ALL))
			break;
	}
	return done;
}

int textops_search_append(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return regex_edit(ctx, a[0].re, ctx->msg.buf, a[1].s, REPL_APPEND);
}

int textops_search_append_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return regex_edit(ctx, a[0].re, ctx->msg.body, a[1].s, REPL_APPEND);
}

/* Not the first line: that is the business of $ru. */
static struct str all_of(const struct ctx *ctx)
{
	return str_sub(ctx->msg.buf, ctx->msg.headers_off, ctx->msg.buf.n);
}

int textops_replace(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return regex_edit(ctx, a[0].re, all_of(ctx), a[1].s, 0);
}

int textops_replace_all(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return regex_edit(ctx, a[0].re, all_of(ctx), a[1].s, REPL_ALL);
}

int textops_replace_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return regex_edit(ctx, a[0].re, ctx->msg.body, a[1].s, 0);
}

int textops_replace_body_all(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return regex_edit(ctx, a[0].re, ctx->msg.body, a[1].s, REPL_ALL);
}

/* The body as one text: its expression is compiled without the rule that lines stand alone. */
int textops_replace_body_atonce(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct regex *re;
	struct diag d = { 0 };

	(void)n;
	if (regex_cached(a[0].s, REGEX_ICASE, &re, &d) < 0) {
		log_error("replace_body_atonce: %s", d.text);
		return -1;
	}
	return regex_edit(ctx, re, ctx->msg.body, a[1].s, REPL_ALL);
}

int textops_replace_hdrs(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return regex_edit(ctx, a[0].re, textops_headers(ctx), a[1].s, 0);
}

/* Plain text; mode "f" first, "a" all. Nothing found is no failure. */
static int text_edit(struct ctx *ctx, struct str in, const union script_arg *a)
{
	bool all = a[2].s.n > 0 && (a[2].s.s[0] | 32) == 'a';
	ptrdiff_t at;

	if (a[0].s.n == 0)
		return -1;
	while ((at = str_find(in, a[0].s)) >= 0) {
		if (textops_edit(ctx, str_sub(in, (size_t)at, a[0].s.n), a[1].s, SIP_EDIT_SCRIPT) < 0)
			return -1;
		if (!all)
			break;
		in = str_sub(in, (size_t)at + a[0].s.n, in.n);
	}
	return 1;
}

int textops_replace_str(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return text_edit(ctx, all_of(ctx), a);
}

int textops_replace_body_str(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return text_edit(ctx, ctx->msg.body, a);
}

int textops_replace_hdrs_str(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return text_edit(ctx, textops_headers(ctx), a);
}

/* ---- substitution expressions ---- */

/* Each match inside `in` (received bytes) becomes an edit. */
static int subst_edit(struct ctx *ctx, const struct regex_subst *sub, struct str in)
{
	struct regex_match m;
	size_t from = 0;
	int done = -1;

	while (from <= in.n && regex_subst_next(sub, in, from, &m) == 1) {
		struct strbuf sb;

		strbuf_init_pool(&sb, ctx->pool, 65535);
		if (regex_subst_replace(sub, in, &m, textops_var_eval, ctx, &sb) < 0 || strbuf_err(&sb) < 0)
			return -1;
		if (textops_edit(ctx, regex_group(&m, in, 0), strbuf_str(&sb), SIP_EDIT_SCRIPT) < 0)
			return -1;
		done = 1;
		from = (size_t)m.g[0].end;
		if (!regex_subst_is_global(sub))
			break;
	}
	return done;
}

int textops_subst(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return subst_edit(ctx, a[0].subst, all_of(ctx));
}

int textops_subst_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return ctx->msg.body.n > 0 ? subst_edit(ctx, a[0].subst, ctx->msg.body) : -1;
}

int textops_subst_hf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	char which = n > 2 && a[2].s.n > 0 ? (char)(a[2].s.s[0] | 32) : 'a';
	const struct sip_hdr *h;
	int done = -1;

	if (which != 'a') {
		h = sip_msg_hdr_named(&ctx->msg, a[0].s, which == 'l' ? -1 : 0);
		return h ? subst_edit(ctx, a[1].subst, h->value) : -1;
	}
	for (int i = 0; (h = sip_msg_hdr_named(&ctx->msg, a[0].s, i)); i++) {
		if (subst_edit(ctx, a[1].subst, h->value) > 0)
			done = 1;
	}
	return done;
}

/* A text that is no part of the message. Returns 1 with it, 0 without a match, < 0. */
static int subst_text(struct ctx *ctx, const struct regex_subst *sub, struct str in, struct str *ret)
{
	struct strbuf sb;
	int n;

	strbuf_init_pool(&sb, ctx->pool, 65535);
	n = regex_subst_run(sub, in, textops_var_eval, ctx, &sb);
	if (n <= 0)
		return n;
	if (strbuf_err(&sb) < 0)
		return -EMSGSIZE;
	*ret = strbuf_str(&sb);
	return 1;
}

int textops_subst_uri(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str out;

	(void)n;
	if (ctx->msg.kind != SIP_REQUEST || subst_text(ctx, a[0].subst, ctx_ruri(ctx), &out) != 1)
		return -1;
	return route_ruri_set(ctx, RURI_ALL, out, 0) < 0 ? -1 : 1;
}

int textops_subst_user(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_uri u;
	struct str out;

	(void)n;
	if (ctx->msg.kind != SIP_REQUEST || sip_uri_parse(ctx_ruri(ctx), &u, NULL) < 0 || subst_text(ctx, a[0].subst, u.user, &out) != 1)
		return -1;
	return route_ruri_set(ctx, RURI_USER, out, 0) < 0 ? -1 : 1;
}

int textops_subst_v(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str out;
	struct value v;

	(void)n;
	if (subst_text(ctx, a[1].subst, a[0].s, &out) != 1)
		return -1;
	v = value_str(out);
	return pv_set(ctx, a[2].pv, &v) < 0 ? -1 : 1;
}

/* ---- {re.subst,...} ---- */

static int var_parse(void *pool, struct str text, size_t *ret_len, void **ret_var, struct diag *reterr)
{
	struct pv_spec *spec;
	int err = pv_parse(pool, text, &spec, ret_len, reterr);

	if (err == 0)
		*ret_var = spec;
	return err;
}

struct re_data {
	struct regex_subst *subst; /* NULL: pv holds the expression */
	struct pv_spec *pv;
};

static void re_end(void *subst)
{
	regex_subst_free(subst);
}

static int re_prepare(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	struct re_data *d = pool_zalloc(pool, sizeof(*d));
	size_t len;
	int err;

	if (!d)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	t->data = d;
	if (t->raw_params.n > 0 && t->raw_params.s[0] == '$') {
		err = pv_parse(pool, t->raw_params, &d->pv, &len, reterr);
		if (err == 0 && len != t->raw_params.n)
			err = diag_set(reterr, len, "{re.subst}: one variable expected");
		return err;
	}
	err = regex_subst_parse(t->raw_params, var_parse, pool, &d->subst, reterr);
	if (err < 0)
		return err;
	if (pool_on_end(pool, re_end, d->subst) < 0) {
		regex_subst_free(d->subst);
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	}
	return 0;
}

static int re_run(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	const struct re_data *d = t->data;
	struct regex_subst *made = NULL;
	struct str in, expr, out;
	struct value ev;
	int err = value_to_str(v, ctx->pool, &in);

	if (err < 0)
		return err;
	if (in.n == 0)
		return -EINVAL;
	if (d->pv) {
		if (pv_get(ctx, d->pv, &ev) < 0 || ev.kind != VALUE_STR)
			return -EINVAL;
		expr = ev.s;
		err = regex_subst_parse(expr, var_parse, ctx->pool, &made, NULL);
		if (err < 0)
			return err;
	}
	err = subst_text(ctx, made ? made : d->subst, in, &out);
	regex_subst_free(made);
	if (err < 0)
		return err;
	*v = value_str(err == 1 ? out : in);
	return 0;
}

/* clang-format off */
const struct trans_def textops_trans[] = {
	{ .cls = "re", .name = "subst", .fn = re_run, .raw = true, .prepare = re_prepare },
	{ .cls = NULL },
};
/* clang-format on */
