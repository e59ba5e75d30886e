/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements and blocks by recursive descent. After a syntax error the rest of the statement is skipped, so that one run can
 * report all of them.
 */
#include "core/script/parser_priv.h"

static struct node *parse_action(struct parser *p);

/* To the end of this statement: ';' is taken, '}' is left. */
static void skip_statement(struct parser *p)
{
	unsigned depth = 0;

	while (!tok_is(p, T_EOF)) {
		if (tok_is(p, (enum tok)'{')) {
			depth++;
		} else if (tok_is(p, (enum tok)'}')) {
			if (depth == 0)
				return;
			if (--depth == 0) {
				tok_advance(p);
				return;
			}
		} else if (tok_is(p, (enum tok)';') && depth == 0) {
			tok_advance(p);
			return;
		}
		tok_advance(p);
	}
}

/* Statements up to '}' or a case label; NULL only after an error that ends everything. */
static bool parse_actions(struct parser *p, struct node *list, bool in_switch)
{
	struct node **tail = &list->args;

	while (!tok_is(p, (enum tok)'}')) {
		struct node *n;

		if (in_switch && (tok_is_word(p, "case") || tok_is_word(p, "default")))
			return true;
		if (tok_is(p, T_EOF))
			return parser_expected(p, "'}'");
		if (tok_is(p, (enum tok)';')) {
			tok_advance(p);
			continue;
		}
		n = parse_action(p);
		if (!n) {
			if (p->ld->stop)
				return false;
			skip_statement(p);
			while (tok_is_word(p, "else")) { /* what was skipped began with if */
				tok_advance(p);
				skip_statement(p);
			}
			continue;
		}
		*tail = n;
		tail = &n->next;
		list->n++;
	}
	return true;
}

struct node *parser_block(struct parser *p)
{
	struct node *n = parser_node(p, N_BLOCK);
	bool empty;

	if (!parser_take(p, (enum tok)'{', "'{'"))
		return NULL;
	if (p->nest >= NEST_MAX) {
		load_error(p->ld, p->tok.pos, "nested deeper than %u", NEST_MAX);
		return NULL;
	}
	empty = tok_is(p, (enum tok)'}');
	if (empty) {
		parser_expected(p, "statement (an empty block is \"{ ; }\")");
		if (p->ld->stop)
			return NULL;
	}
	p->nest++;
	if (!parse_actions(p, n, false)) {
		p->nest--;
		return NULL;
	}
	p->nest--;
	n->end = p->tok.pos;
	tok_advance(p);
	return n;
}

static struct node *parse_body(struct parser *p)
{
	struct node *n, *a;

	if (tok_is(p, (enum tok)'{'))
		return parser_block(p);
	n = parser_node(p, N_BLOCK);
	n->end = p->tok.pos;
	if (tok_is(p, (enum tok)';')) {
		tok_advance(p);
		return n;
	}
	if (p->nest >= NEST_MAX) {
		load_error(p->ld, p->tok.pos, "nested deeper than %u", NEST_MAX);
		return NULL;
	}
	p->nest++;
	a = parse_action(p);
	p->nest--;
	if (!a)
		return NULL;
	n->args = a;
	n->n = 1;
	return n;
}

static struct node *parse_if(struct parser *p)
{
	struct node *n = parser_node(p, N_IF);

	tok_advance(p);
	n->a = parser_expr(p);
	if (!n->a)
		return NULL;
	n->b = parse_body(p);
	if (!n->b)
		return NULL;
	if (tok_is_word(p, "else")) {
		tok_advance(p);
		n->c = parse_body(p);
		if (!n->c)
			return NULL;
	}
	return n;
}

static struct node *parse_while(struct parser *p)
{
	struct node *n = parser_node(p, N_WHILE);

	tok_advance(p);
	n->a = parser_expr(p);
	if (n->a)
		n->b = parse_body(p);
	return n->a && n->b ? n : NULL;
}

static struct node *parse_switch(struct parser *p)
{
	struct node *n = parser_node(p, N_SWITCH), **tail = &n->args;

	tok_advance(p);
	n->a = parser_expr(p);
	if (!n->a || !parser_take(p, (enum tok)'{', "'{'"))
		return NULL;
	while (!tok_is(p, (enum tok)'}')) {
		struct node *c = parser_node(p, N_CASE);

		if (tok_is(p, (enum tok)';')) {
			tok_advance(p);
			continue;
		}
		if (tok_is_word(p, "case")) {
			tok_advance(p);
			if (tok_is(p, (enum tok)'/')) {
				c->flag = true;
				tok_advance(p);
			}
			c->a = parser_expr(p);
			if (!c->a)
				return NULL;
		} else if (tok_is_word(p, "default")) {
			tok_advance(p);
		} else {
			parser_expected(p, "case, default or '}'");
			return NULL;
		}
		if (!parser_take(p, (enum tok)':', "':'"))
			return NULL;
		c->b = parser_node(p, N_BLOCK);
		p->nest++;
		if (p->nest > NEST_MAX || !parse_actions(p, c->b, true)) {
			p->nest--;
			return NULL;
		}
		p->nest--;
		*tail = c;
		tail = &c->next;
		n->n++;
	}
	tok_advance(p);
	return n;
}

static struct node *parse_ret(struct parser *p, enum node_kind kind)
{
	struct node *n = parser_node(p, kind);

	tok_advance(p);
	if (tok_is(p, (enum tok)'(') && tok_peek(p) == (enum tok)')') {
		tok_advance(p);
		tok_advance(p);
	} else if (!tok_is(p, (enum tok)';')) {
		n->a = parser_expr(p);
		if (!n->a)
			return NULL;
	}
	return n;
}

static struct node *parse_action(struct parser *p)
{
	struct node *n, *e;

	if (tok_is(p, (enum tok)'{'))
		return parser_block(p);
	if (tok_is_word(p, "if"))
		return parse_if(p);
	if (tok_is_word(p, "while"))
		return parse_while(p);
	if (tok_is_word(p, "switch"))
		return parse_switch(p);
	if (tok_is_word(p, "return")) {
		n = parse_ret(p, N_RETURN);
	} else if (tok_is_word(p, "exit")) {
		n = parse_ret(p, N_EXIT);
	} else if (tok_is_word(p, "drop")) {
		n = parse_ret(p, N_DROP);
	} else if (tok_is_word(p, "break")) {
		n = parser_node(p, N_BREAK);
		tok_advance(p);
	} else if (tok_is(p, T_PVAR) || tok_is(p, T_SELECT)) {
		n = parser_node(p, N_ASSIGN);
		n->a = parser_node(p, N_PV);
		n->a->text = p->tok.text;
		n->a->flag = tok_is(p, T_SELECT);
		n->a->compat = p->tok.compat;
		tok_advance(p);
		if (!parser_take(p, (enum tok)'=', "'='"))
			return NULL;
		n->b = parser_expr(p);
		if (!n->b)
			return NULL;
	} else if (tok_is(p, T_ID)) {
		n = parser_node(p, N_EXPRSTMT);
		e = parser_primary(p);
		if (!e)
			return NULL;
		if (e->kind != N_CALL && e->kind != N_ROUTE) {
			load_error(p->ld, e->pos, "a value cannot stand here as a statement");
			return NULL;
		}
		n->a = e;
	} else {
		parser_expected(p, "statement");
		return NULL;
	}
	if (!n || !parser_take(p, (enum tok)';', "';'"))
		return NULL;
	return n;
}
