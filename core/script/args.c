/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments of a call, prepared when the script is read as far as they are constant: texts without variables, numbers,
 * compiled expressions, what a function's own fixup makes. The rest is described, so that the machine makes it at each call.
 * A value that was computed is used as it is: it is not searched for variables again, since it may come from the network.
 */
#include "core/script/script_priv.h"

#include "core/base/num.h"
#include "core/base/regex.h"

struct arg_at {
	struct loader *ld;
	struct parsed *parsed;
	const struct node *call, *node;
	const struct script_func *func;
	unsigned i;
};

static int bad(const struct arg_at *a, const char *what)
{
	load_error(a->ld, a->node->pos, "%s(): argument %u: %s", a->func->name, a->i + 1, what);
	return -EBADMSG;
}

/* The same, for a reason that was handed up; otherwise: when it says nothing. */
static int bad_why(const struct arg_at *a, const struct diag *why, const char *otherwise)
{
	char before[96];

	if (why->kind == DIAG_OTHER)
		return bad(a, why->text[0] ? why->text : otherwise);
	snprintf(before, sizeof(before), "%s(): argument %u: ", a->func->name, a->i + 1);
	load_unknown(a->ld, a->node->pos, why, before);
	return -EBADMSG;
}

/* Text of a constant argument. */
static bool const_text(const struct arg_at *a, struct str *ret)
{
	if (a->node->kind == N_STR) {
		*ret = a->node->text;
		return true;
	}
	return a->node->kind == N_NUM && pool_printf(a->ld->keep, ret, "%lld", (long long)a->node->num) == 0;
}

static int prepare_int(const struct arg_at *a, struct call *c, bool constant)
{
	const struct pv_spec *pv;
	struct diag why = { 0 };
	struct fmt *f;
	int64_t v;

	if (a->node->kind == N_NUM) {
		c->args[a->i].i = a->node->num;
		return 0;
	}
	if (a->node->kind != N_STR) {
		if (constant)
			return bad(a, "is not constant: a number is needed");
		c->mode[a->i] = ARG_VALUE_I;
		c->n_stack++;
		return 0;
	}
	if (a->node->text.n > 0 && num_script(str_trim(a->node->text), &v) == 0) {
		c->args[a->i].i = v;
		return 0;
	}
	if (constant || str_find_char(a->node->text, '$') < 0)
		return bad(a, "a number is needed");
	if (fmt_compile(a->ld->keep, a->node->text, &f, &why) < 0)
		return bad_why(a, &why, "is not understood");
	pv = fmt_single_pv(f);
	c->mode[a->i] = pv ? ARG_PV_INT : ARG_FMT_INT;
	c->pv[a->i] = pv;
	c->fmt[a->i] = f;
	return 0;
}

static int prepare_dstr(const struct arg_at *a, struct call *c)
{
	struct diag why = { 0 };
	struct str text;
	struct fmt *f;

	if (!const_text(a, &text)) {
		c->mode[a->i] = ARG_VALUE_S;
		c->n_stack++;
		return 0;
	}
	if (str_find_char(text, '$') < 0) {
		c->args[a->i].s = text;
		return 0;
	}
	if (fmt_compile(a->ld->keep, text, &f, &why) < 0)
		return bad_why(a, &why, "is not understood");
	if (fmt_is_const(f)) {
		/* "$$" is a '$' */
		if (fmt_eval(load_dummy_ctx(a->ld), f, &text) < 0)
			return bad(a, "cannot be evaluated");
		c->args[a->i].s = load_dup(a->ld, text);
		return 0;
	}
	c->mode[a->i] = ARG_FMT;
	c->fmt[a->i] = f;
	return 0;
}

static int prepare_pv(const struct arg_at *a, struct call *c, bool writable)
{
	struct diag why = { 0 };
	struct pv_spec *pv;
	size_t len;

	if (a->node->kind != N_STR)
		return bad(a, "a variable in quotes is needed, like \"$var(x)\"");
	if (pv_parse(a->ld->keep, a->node->text, &pv, &len, &why) < 0)
		return bad_why(a, &why, "is not understood");
	if (len != a->node->text.n)
		return bad(a, "one variable is needed, and nothing behind it");
	if (writable && !pv_writable(pv))
		return bad(a, "the variable cannot be assigned to");
	c->args[a->i].pv = pv;
	return 0;
}

/* Variables in a replacement are references (struct pv_spec) that live with the script. */
static int parse_var(void *arg, struct str text, size_t *ret_len, void **ret_var, struct diag *reterr)
{
	struct pv_spec *pv;
	int err = pv_parse(arg, text, &pv, ret_len, reterr);

	if (err == 0)
		*ret_var = pv;
	return err;
}

static void end_subst(void *subst)
{
	regex_subst_free(subst);
}

int script_subst_parse(struct pool *pool, struct str text, const struct regex_subst **ret, struct diag *reterr)
{
	struct regex_subst *s;
	int err = regex_subst_parse(text, parse_var, pool, &s, reterr);

	if (err < 0)
		return err;
	if (pool_on_end(pool, end_subst, s) < 0) {
		regex_subst_free(s);
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	}
	*ret = s;
	return 0;
}

static int prepare_regex(const struct arg_at *a, struct call *c, bool subst)
{
	struct diag why = { 0 };
	struct str text;

	if (!const_text(a, &text)) {
		c->mode[a->i] = subst ? ARG_SUBST : ARG_REGEX;
		c->n_stack++;
		return 0;
	}
	if (subst) {
		if (script_subst_parse(a->ld->keep, text, &c->args[a->i].subst, &why) < 0)
			return bad_why(a, &why, "is not understood");
		return 0;
	}
	if (script_regex(a->ld, text, REGEX_ICASE | REGEX_NEWLINE, &c->args[a->i].re, &why) < 0)
		return bad_why(a, &why, "is not understood");
	return 0;
}

static int prepare_route(const struct arg_at *a, struct call *c)
{
	const struct route_src *r;
	struct nearest near;
	struct diag why;
	int err = prepare_dstr(a, c);

	if (err < 0 || c->mode[a->i] != ARG_READY || a->func->route_kind == 0)
		return err;
	if (a->ld->parse_failed || c->args[a->i].s.n == 0 || str_eq(c->args[a->i].s, STR_LIT("0")) ||
	    parsed_has_route(a->parsed, a->func->route_kind, c->args[a->i].s))
		return 0;
	nearest_begin(&near, c->args[a->i].s);
	for (r = a->parsed->routes; r; r = r->next)
		if (r->kind & a->func->route_kind)
			nearest_try(&near, r->name);
	(void)diag_unknown(&why, DIAG_ROUTE, 0, c->args[a->i].s, nearest_result(&near), "no route '%.*s' of that kind",
			   (int)(c->args[a->i].s.n < 40 ? c->args[a->i].s.n : 40), c->args[a->i].s.s);
	return bad_why(a, &why, "");
}

static int prepare_fixup(const struct arg_at *a, struct call *c, bool constant)
{
	struct diag why = { 0 };
	struct str text;

	if (!const_text(a, &text)) {
		if (constant)
			return bad(a, "is not constant");
		c->mode[a->i] = ARG_FIXUP;
		c->n_stack++;
		return 0;
	}
	if (a->func->fixup(a->ld->keep, a->i, text, &c->args[a->i].p, &why) < 0)
		return bad_why(a, &why, "is not understood");
	return 0;
}

static int prepare_one(const struct arg_at *a, struct call *c)
{
	struct str text;

	c->mode[a->i] = ARG_READY;
	switch (a->func->param[a->i]) {
	case SP_DSTR: return prepare_dstr(a, c);
	case SP_DINT: return prepare_int(a, c, false);
	case SP_INT: return prepare_int(a, c, true);
	case SP_STR:
		if (!const_text(a, &text))
			return bad(a, "is not constant");
		c->args[a->i].s = text;
		return 0;
	case SP_PV: return prepare_pv(a, c, false);
	case SP_WPV: return prepare_pv(a, c, true);
	case SP_REGEX: return prepare_regex(a, c, false);
	case SP_SUBST: return prepare_regex(a, c, true);
	case SP_ROUTE: return prepare_route(a, c);
	case SP_FIX: return prepare_fixup(a, c, true);
	case SP_DFIX: return prepare_fixup(a, c, false);
	default: return bad(a, "cannot be given (the function declares it wrongly)");
	}
}

int call_prepare(struct loader *ld, struct parsed *parsed, const struct node *n, struct call *ret_call)
{
	struct call c = { .func = n->func, .fn = n->func->fn, .module = n->module };
	struct arg_at a = { .ld = ld, .parsed = parsed, .call = n, .func = n->func };
	int err = 0;

	c.is_core = n->module && strcmp(n->module, "core") == 0;
	for (a.node = n->args; a.node; a.node = a.node->next, a.i++) {
		if (prepare_one(&a, &c) < 0)
			err = -EBADMSG;
	}
	if (err < 0)
		return err;
	c.n = (uint8_t)a.i;
	*ret_call = c;
	return 0;
}
