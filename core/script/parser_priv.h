/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the parser share: the tokens at hand, nodes, and what each part offers to the others. */
#ifndef RF_SCRIPT_PARSER_PRIV_H
#define RF_SCRIPT_PARSER_PRIV_H

#include "core/script/script_priv.h"

#define NEST_MAX 200u

struct parser {
	struct loader *ld;
	struct lexer *lx;
	struct token tok;
	struct token ahead;
	bool has_ahead;
	unsigned nest; /* of expressions and blocks, to NEST_MAX */
	struct parsed *out;
};

/* ---- tokens: what the tests for the current one are spelled with ---- */

static inline void tok_advance(struct parser *p)
{
	if (p->has_ahead) {
		p->tok = p->ahead;
		p->has_ahead = false;
		return;
	}
	lexer_next(p->lx, &p->tok);
}

static inline enum tok tok_peek(struct parser *p)
{
	if (!p->has_ahead) {
		lexer_next(p->lx, &p->ahead);
		p->has_ahead = true;
	}
	return p->ahead.kind;
}

static inline bool tok_is(const struct parser *p, enum tok kind)
{
	return p->tok.kind == kind;
}
static inline bool tok_is_text(const struct parser *p)
{
	return tok_is(p, T_STR) || tok_is(p, T_STR_SINGLE);
}
static inline bool tok_is_word(const struct parser *p, const char *word)
{
	return tok_is(p, T_ID) && str_eq(p->tok.text, str_lit(word));
}

/* ---- parser_tok.c ---- */

/* Says what stands there instead. Returns false, so that callers can return it. */
bool parser_expected(struct parser *p, const char *what);
/* Goes on behind the token; or says that `what` was expected, and returns false. */
bool parser_take(struct parser *p, enum tok kind, const char *what);
/* Nodes are never NULL: without memory the load stops, and the node is a spare. */
struct node *parser_node_at(struct parser *p, enum node_kind kind, struct pos pos);
struct node *parser_node(struct parser *p, enum node_kind kind);
struct node *parser_num_node(struct parser *p, struct pos pos, int64_t v);
struct node *parser_str_node(struct parser *p, struct pos pos, struct str s);
void parser_arg_add(struct node *call, struct node *arg);
/* Reports the host's error at pos. Returns true: the text itself was in order. */
bool parser_host_says(struct parser *p, struct pos pos, int err, const struct diag *why);
/* Does the word begin an item? */
bool parser_is_item_word(struct str w);

/* ---- parser_expr.c, parser_stmt.c: NULL after load_error() ---- */

struct node *parser_expr(struct parser *p);
/* What an operator may stand between: a literal, a variable, a call, something in parentheses. */
struct node *parser_primary(struct parser *p);
struct node *parser_block(struct parser *p);

/* ---- parser_sock.c: listen, alias and socket, at the word; false after load_error() ---- */

bool parser_listen(struct parser *p);
bool parser_alias(struct parser *p);
bool parser_socket(struct parser *p);

#endif
