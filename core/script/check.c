/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be known before the first message: names of variables, functions and routes, numbers of arguments, kinds of
 * routes, static types. Constants are folded here, by the same operators that the machine uses.
 */
#include "core/script/script_priv.h"

#include "core/base/regex.h"

struct checker {
	struct loader *ld;
	struct parsed *parsed;
	enum ctx_kind kind;  /* textual kind of the block */
	unsigned mask;       /* kinds that a function must have one of */
	bool in_func_arg;
};

static void check_expr(struct checker *c, struct node *n);
static void check_block(struct checker *c, struct node *block);

static bool is_const(const struct node *n)
{
	return n->kind == N_NUM || n->kind == N_STR;
}

static struct value const_value(const struct node *n)
{
	return n->kind == N_NUM ? value_int(n->num) : value_str(n->text);
}

static void become(struct node *n, const struct value *v)
{
	n->kind = v->kind == VALUE_INT ? N_NUM : N_STR;
	n->type = v->kind == VALUE_INT ? TY_INT : TY_STR;
	n->num = v->i;
	n->text = v->kind == VALUE_STR ? v->s : STR_NULL;
}

static void want_number(struct checker *c, const struct node *n)
{
	if (n->kind == N_STR)
		load_error(c->ld, n->pos, "a number is needed here, not a text");
}

static void not_number(struct checker *c, const struct node *n)
{
	if (n->kind == N_NUM)
		load_error(c->ld, n->pos, "a text is needed here, not a number");
}

static void check_pv(struct checker *c, struct node *n, bool assigned)
{
	struct diag why = { 0 };
	size_t len = 0;

	if (str_eq(n->text, STR_LIT("$null")) || str_eq(n->text, STR_LIT("$(null)"))) {
		n->kind = N_NULL;
		return;
	}
	if (n->compat)
		(void)legacy_name(c->ld, n->pos, &n->text, assigned);
	if (pv_parse(c->ld->keep, n->text, &n->pv, &len, &why) < 0) {
		if (why.kind != DIAG_OTHER)
			load_unknown(c->ld, n->pos, &why, "");
		else
			load_error(c->ld, n->pos, "%.*s: %s", STR_FMT(n->text), why.text);
		n->pv = NULL;
	} else if (len != n->text.n) {
		load_error(c->ld, n->pos, "'%.*s' behind the variable is not understood",
			   STR_FMT(str_sub(n->text, len, n->text.n)));
		n->pv = NULL;
	}
	n->type = n->flag ? TY_STR : TY_ANY;
}

static void check_lvalue(struct checker *c, struct node *n)
{
	check_pv(c, n, true);
	if (n->kind == N_NULL || (n->pv && !pv_writable(n->pv)))
		load_error(c->ld, n->pos, "%.*s cannot be assigned to", STR_FMT(n->text));
}

static void check_unary(struct checker *c, struct node *n)
{
	struct value v, a;

	check_expr(c, n->a);
	n->type = n->op == O_CAST_STR ? TY_STR : TY_INT;
	switch (n->op) {
	case O_NOT:
	case O_BNOT:
	case O_NEG:
		want_number(c, n->a);
		break;
	case O_DEFINED:
	case O_STRLEN:
	case O_STREMPTY:
		not_number(c, n->a);
		break;
	default:
		break;
	}
	if (!is_const(n->a))
		return;
	a = const_value(n->a);
	if (value_unary(n->op, &a, c->ld->keep, &v) == 0)
		become(n, &v);
	else if (n->op == O_CAST_INT)
		load_error(c->ld, n->a->pos, "\"%.*s\" is no number", STR_FMT(n->a->text));
}

/* x == $null and the like ask whether x is defined. */
static void null_compare(struct node *n)
{
	bool equal = n->op == O_EQ || n->op == O_SEQ || n->op == O_IEQ;
	struct node *defined = n->b; /* its memory is free now */
	struct node *a = n->a;

	*defined = (struct node){ .kind = N_UNARY, .op = O_DEFINED, .type = TY_INT, .pos = n->pos, .a = a };
	n->kind = N_UNARY;
	n->b = NULL;
	if (equal) {
		n->op = O_NOT;
		n->a = defined;
	} else {
		n->op = O_DEFINED;
		n->a = a;
	}
}

static void check_binary(struct checker *c, struct node *n)
{
	struct node *next = n->next;
	struct value v, a, b;
	struct diag why;
	const struct regex *re;

	check_expr(c, n->a);
	check_expr(c, n->b);
	n->type = TY_INT;
	switch (n->op) {
	case O_EQ:
	case O_NE:
	case O_SEQ:
	case O_SNE:
	case O_IEQ:
	case O_INE:
		if (n->b->kind == N_NULL) {
			null_compare(n);
			n->next = next;
			return;
		}
		if (n->op == O_SEQ || n->op == O_SNE)
			not_number(c, n->a);
		if (n->op == O_IEQ || n->op == O_INE) {
			want_number(c, n->a);
			want_number(c, n->b);
		}
		if ((n->op == O_EQ || n->op == O_NE) && n->a->type == TY_INT && n->b->type == TY_STR)
			load_error(c->ld, n->pos, "a number is compared with a text");
		break;
	case O_MATCH:
		not_number(c, n->a);
		if (n->b->kind == N_NUM)
			load_error(c->ld, n->b->pos, "a regular expression in quotes is needed");
		if (n->b->kind == N_STR && script_regex(c->ld, n->b->text, REGEX_ICASE, &re, &why) < 0)
			load_error(c->ld, n->b->pos, "bad regular expression: %s", why.text);
		if (n->b->kind == N_STR && n->a->kind == N_STR)
			load_warning(c->ld, n->pos, "the result is always the same");
		return;
	case O_ADD:
		n->type = n->a->type;
		if (n->a->type == TY_INT && n->b->type == TY_STR)
			load_error(c->ld, n->pos, "a text is added to a number (put the text first, or cast)");
		break;
	default:
		want_number(c, n->a);
		want_number(c, n->b);
		break;
	}
	if (c->ld->n_errors > 0 || !is_const(n->a) || !is_const(n->b))
		return;
	a = const_value(n->a);
	b = const_value(n->b);
	if (value_binary(n->op, &a, &b, c->ld->keep, &v) == 0)
		become(n, &v);
	else
		load_error(c->ld, n->pos, "this cannot be computed%s",
			   n->op == O_DIV || n->op == O_MOD ? ": division by zero" : "");
}

static const char *kind_name(enum ctx_kind kind)
{
	switch (kind) {
	case CTX_REQUEST: return "a request route";
	case CTX_FAILURE: return "failure_route";
	case CTX_TM_REPLY: return "onreply_route[...]";
	case CTX_CORE_REPLY: return "reply_route";
	case CTX_BRANCH: return "branch_route";
	case CTX_ONSEND: return "onsend_route";
	default: return "event_route";
	}
}

/* Sets n->func and n->module; false after an error. */
static bool find_function(struct checker *c, struct node *n)
{
	const struct renamed *r;
	struct diag why;

	n->func = script_func_find(n->text, n->n, &n->module);
	r = n->func || script_func_known(n->text) ? NULL : renamed_find(DIAG_FUNCTION, STR_NULL, n->text);
	if (r) {
		load_old_name(c->ld, n->pos, r);
		n->text = str_lit(r->now);
		n->func = script_func_find(n->text, n->n, &n->module);
	}
	if (n->func)
		return true;
	if (script_func_known(n->text)) {
		load_error(c->ld, n->pos, "%.*s() does not take %u argument%s", STR_FMT(n->text), n->n, n->n == 1 ? "" : "s");
		return false;
	}
	(void)diag_unknown(&why, DIAG_FUNCTION, 0, n->text, script_func_nearest(n->text), "unknown function '%.*s'", STR_FMT(n->text));
	load_unknown(c->ld, n->pos, &why, "");
	return false;
}

static void check_call(struct checker *c, struct node *n)
{
	bool inside = c->in_func_arg;
	struct node *a;

	n->type = TY_INT;
	if (inside && !n->command)
		load_error(c->ld, n->pos, "%.*s() cannot be called inside an argument of another function", STR_FMT(n->text));
	c->in_func_arg = true;
	for (a = n->args; a; a = a->next)
		check_expr(c, a);
	c->in_func_arg = inside;
	if (n->n > SCRIPT_PARAMS_MAX) {
		load_error(c->ld, n->pos, "%.*s(): at most %u arguments", STR_FMT(n->text), SCRIPT_PARAMS_MAX);
		return;
	}
	if (!find_function(c, n))
		return;
	if (c->kind == CTX_ONSEND && n->command && !n->command->onsend)
		load_error(c->ld, n->pos, "%s is not allowed in onsend_route", n->command->word);
	else if (!(n->func->kinds & c->mask))
		load_error(c->ld, n->pos, "%.*s() (module %s) is not allowed in %s", STR_FMT(n->text), n->module,
			   kind_name(c->kind));
	n->call = pool_zalloc(c->ld->pool, sizeof(*n->call));
	if (!n->call)
		load_error(c->ld, n->pos, "out of memory");
	else if (call_prepare(c->ld, c->parsed, n, n->call) < 0)
		n->call = NULL; /* said already */
}

bool parsed_has_route(const struct parsed *parsed, enum ctx_kind kind, struct str name)
{
	const struct route_src *r;

	for (r = parsed->routes; r; r = r->next)
		if ((r->kind & kind) && r->name.n > 0 && str_eq(r->name, name))
			return true;
	return false;
}

static void check_route_call(struct checker *c, struct node *n)
{
	const struct route_src *r;
	struct nearest near;
	struct diag why;

	n->type = TY_INT;
	check_expr(c, n->a);
	if (n->a->kind == N_NUM) {
		struct str s;

		if (pool_printf(c->ld->keep, &s, "%lld", (long long)n->a->num) < 0)
			return;
		n->a->kind = N_STR;
		n->a->text = s;
	}
	if (n->a->kind != N_STR || c->ld->parse_failed || parsed_has_route(c->parsed, CTX_REQUEST, n->a->text))
		return;
	nearest_begin(&near, n->a->text);
	for (r = c->parsed->routes; r; r = r->next)
		if (r->kind == CTX_REQUEST)
			nearest_try(&near, r->name);
	(void)diag_unknown(&why, DIAG_ROUTE, 0, n->a->text, nearest_result(&near), "no route '%.*s'", STR_FMT(n->a->text));
	load_unknown(c->ld, n->a->pos, &why, "");
}

static void check_cond(struct checker *c, struct node *n)
{
	const struct regex *re;
	struct ip_const ip;
	struct diag why;

	n->type = TY_INT;
	if ((n->op == C_SND_IP || n->op == C_TO_IP) && c->kind != CTX_ONSEND)
		load_error(c->ld, n->pos, "snd_ip and to_ip are for onsend_route only");
	if (n->a->kind == N_MYSELF)
		return;
	if (n->a->kind == N_IPCONST) {
		if (!cond_addr_known_text(n->a->text, &ip))
			load_error(c->ld, n->a->pos, "bad address '%.*s'", STR_FMT(n->a->text));
		return;
	}
	check_expr(c, n->a);
	if (n->num == O_MATCH && n->a->kind == N_STR && script_regex(c->ld, n->a->text, REGEX_ICASE, &re, &why) < 0)
		load_error(c->ld, n->a->pos, "bad regular expression: %s", why.text);
	if (!COND_IS_TEXT(n->op) && !COND_IS_IP(n->op))
		want_number(c, n->a);
	if (COND_IS_IP(n->op) && n->a->kind == N_NUM)
		load_error(c->ld, n->a->pos, "an address is needed here");
}

static void check_assign(struct checker *c, struct node *n)
{
	check_lvalue(c, n->a);
	check_expr(c, n->b);
}

static void check_expr(struct checker *c, struct node *n)
{
	switch (n->kind) {
	case N_NUM:
		n->type = TY_INT;
		break;
	case N_STR:
		n->type = TY_STR;
		break;
	case N_PV:
		check_pv(c, n, false);
		break;
	case N_UNARY:
		check_unary(c, n);
		break;
	case N_BINARY:
		check_binary(c, n);
		break;
	case N_CALL:
		check_call(c, n);
		break;
	case N_ROUTE:
		check_route_call(c, n);
		break;
	case N_BLOCKEXPR:
		n->type = TY_INT;
		check_block(c, n->a);
		break;
	case N_ASSIGNEXPR:
		n->type = TY_INT;
		check_assign(c, n);
		break;
	case N_COND:
		check_cond(c, n);
		break;
	case N_SELVAL:
		check_expr(c, n->a);
		check_expr(c, n->b);
		check_expr(c, n->c);
		want_number(c, n->a);
		n->type = n->b->type == n->c->type ? n->b->type : TY_ANY;
		break;
	default:
		break;
	}
}

static void check_condition(struct checker *c, struct node *n, const char *what, bool strict)
{
	check_expr(c, n);
	if (n->type == TY_STR && strict)
		load_error(c->ld, n->pos, "%s needs a number, not a text", what);
	else if (n->type == TY_STR)
		load_warning(c->ld, n->pos, "condition of %s is a text", what);
	else if (is_const(n) && strcmp(what, "if") == 0)
		load_warning(c->ld, n->pos, "condition of %s is constant", what);
}

static void check_case(struct checker *c, struct node *sw, struct node *label, enum ty *ty)
{
	const struct node *o;
	const struct regex *re;
	struct diag why;

	check_expr(c, label->a);
	if (!is_const(label->a)) {
		load_error(c->ld, label->a->pos, "a case needs a constant");
		return;
	}
	if (*ty == TY_ANY)
		*ty = label->a->type;
	if (label->a->type != *ty) {
		load_error(c->ld, label->a->pos, "numbers and texts are mixed in one switch");
		return;
	}
	if (label->flag) {
		if (label->a->kind != N_STR)
			load_error(c->ld, label->a->pos, "a regular expression in quotes is needed");
		else if (script_regex(c->ld, label->a->text, 0, &re, &why) < 0)
			load_error(c->ld, label->a->pos, "bad regular expression: %s", why.text);
		return;
	}
	for (o = sw->args; o != label; o = o->next) {
		if (!o->a || o->flag || o->a->kind != label->a->kind)
			continue;
		if (o->a->kind == N_NUM ? o->a->num == label->a->num : str_eq(o->a->text, label->a->text)) {
			load_error(c->ld, label->a->pos, "this case was there already, in line %u", o->a->pos.line);
			return;
		}
	}
}

static void check_switch(struct checker *c, struct node *n)
{
	enum ty ty = TY_ANY;
	struct node *k;
	bool otherwise = false;

	check_expr(c, n->a);
	if (!n->args)
		load_warning(c->ld, n->pos, "switch without a case");
	for (k = n->args; k; k = k->next) {
		if (k->a) {
			check_case(c, n, k, &ty);
		} else {
			if (otherwise)
				load_error(c->ld, k->pos, "second default in one switch");
			otherwise = true;
		}
		check_block(c, k->b);
	}
	n->type = (uint8_t)ty;
}

static void check_stmt(struct checker *c, struct node *n)
{
	switch (n->kind) {
	case N_BLOCK:
		check_block(c, n);
		break;
	case N_EXPRSTMT:
		check_expr(c, n->a);
		break;
	case N_ASSIGN:
		check_assign(c, n);
		break;
	case N_IF:
		check_condition(c, n->a, "if", false);
		check_block(c, n->b);
		if (n->c)
			check_block(c, n->c);
		break;
	case N_WHILE:
		check_condition(c, n->a, "while", true);
		check_block(c, n->b);
		break;
	case N_SWITCH:
		check_switch(c, n);
		break;
	case N_RETURN:
		if (n->a)
			check_condition(c, n->a, "return", true);
		break;
	case N_EXIT:
		if (n->a)
			check_condition(c, n->a, "exit", true);
		break;
	case N_DROP:
		if (n->a)
			check_condition(c, n->a, "drop", true);
		break;
	default:
		break;
	}
}

static void check_block(struct checker *c, struct node *block)
{
	struct node *n;

	for (n = block->args; n && !c->ld->stop; n = n->next)
		check_stmt(c, n);
}

void check_route(struct loader *ld, struct parsed *parsed, struct route_src *route)
{
	struct checker c = { .ld = ld, .parsed = parsed, .kind = route->kind, .mask = route->kind };

	if (route->kind == CTX_EVENT)
		c.mask = CTX_EVENT | CTX_REQUEST | CTX_LOCAL | CTX_BRANCH_FAILURE;
	check_block(&c, route->body);
}
