/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens to the tree. Recursive descent for items and statements, precedence climbing for expressions. What concerns the
 * whole program (modules, parameters, sockets, names) is told to the host in the order of the text, since defines and the
 * meaning of what follows depend on it. After a syntax error a statement or item is skipped, so that one run can report all.
 */
#include "core/script/script_priv.h"

#include <stdlib.h>

#include "core/base/num.h"

#define NEST_MAX 200u
#define PARAM_TEXT_MAX 256u

struct parser {
	struct loader *ld;
	struct lexer *lx;
	struct token tok;
	struct token ahead;
	bool has_ahead;
	unsigned nest;
	struct parsed *out;
};

/* ---- tokens ---- */

static void advance(struct parser *p)
{
	if (p->has_ahead) {
		p->tok = p->ahead;
		p->has_ahead = false;
		return;
	}
	lexer_next(p->lx, &p->tok);
}

static enum tok peek(struct parser *p)
{
	if (!p->has_ahead) {
		lexer_next(p->lx, &p->ahead);
		p->has_ahead = true;
	}
	return p->ahead.kind;
}

static bool is(const struct parser *p, enum tok kind)
{
	return p->tok.kind == kind;
}
static bool is_text(const struct parser *p)
{
	return is(p, T_STR) || is(p, T_STR_SINGLE);
}
static bool is_word(const struct parser *p, const char *word)
{
	return is(p, T_ID) && str_eq(p->tok.text, str_lit(word));
}

/* Text of the token for messages. */
static const char *tok_text(const struct parser *p, char *out, size_t size)
{
	switch (p->tok.kind) {
	case T_EOF: return "end of the script";
	case T_STR:
	case T_STR_SINGLE: snprintf(out, size, "\"%.*s\"", (int)(p->tok.text.n < 40 ? p->tok.text.n : 40), p->tok.text.s); break;
	default: snprintf(out, size, "'%.*s'", (int)(p->tok.text.n < 40 ? p->tok.text.n : 40), p->tok.text.s); break;
	}
	return out;
}

static bool expected(struct parser *p, const char *what)
{
	char text[64];

	if (!is(p, T_ERROR))
		load_error(p->ld, p->tok.pos, "%s expected, not %s", what, tok_text(p, text, sizeof(text)));
	return false;
}

static bool take_tok(struct parser *p, enum tok kind, const char *what)
{
	if (!is(p, kind))
		return expected(p, what);
	advance(p);
	return true;
}

/* ---- nodes ---- */

static struct node *node_at(struct parser *p, enum node_kind kind, struct pos pos)
{
	static struct node spare; /* only to go on after memory ran out: the load fails */
	struct node *n = pool_zalloc(p->ld->pool, sizeof(*n));

	if (!n) {
		load_error(p->ld, pos, "out of memory");
		p->ld->stop = true;
		spare = (struct node){ .kind = kind };
		return &spare;
	}
	n->kind = kind;
	n->pos = pos;
	return n;
}

static struct node *node(struct parser *p, enum node_kind kind)
{
	return node_at(p, kind, p->tok.pos);
}

static struct node *num_node(struct parser *p, struct pos pos, int64_t v)
{
	struct node *n = node_at(p, N_NUM, pos);

	n->num = v;
	return n;
}

static struct node *str_node(struct parser *p, struct pos pos, struct str s)
{
	struct node *n = node_at(p, N_STR, pos);

	n->text = s;
	return n;
}

static void arg_add(struct node *call, struct node *arg)
{
	struct node **at = &call->args;

	while (*at)
		at = &(*at)->next;
	*at = arg;
	call->n++;
}

/* ---- expressions ---- */

static struct node *parse_level(struct parser *p, unsigned level);
static struct node *parse_block(struct parser *p);
static struct node *parse_command(struct parser *p, const struct command *cmd);

static struct node *parse_expr(struct parser *p)
{
	return parse_level(p, 2);
}

struct binary_row {
	enum tok tok;
	const char *word; /* tok T_ID */
	enum oper op;
	unsigned level;
};

/* clang-format off */
static const struct binary_row binaries[] = {
	{ T_OR, NULL, O_OR, 2 },    { T_ID, "or", O_OR, 2 },    { T_AND, NULL, O_AND, 3 },  { T_ID, "and", O_AND, 3 },
	{ (enum tok)'|', NULL, O_BOR, 4 }, { (enum tok)'&', NULL, O_BAND, 5 }, { (enum tok)'^', NULL, O_BXOR, 6 },
	{ T_SHL, NULL, O_SHL, 7 },  { T_SHR, NULL, O_SHR, 8 },  { T_EQ, NULL, O_EQ, 9 },    { T_NE, NULL, O_NE, 9 },
	{ T_MATCH, NULL, O_MATCH, 9 }, { T_ID, "eq", O_SEQ, 9 }, { T_ID, "ne", O_SNE, 9 }, { T_ID, "ieq", O_IEQ, 9 },
	{ T_ID, "ine", O_INE, 9 },  { (enum tok)'<', NULL, O_LT, 10 }, { (enum tok)'>', NULL, O_GT, 10 }, { T_LE, NULL, O_LE, 10 },
	{ T_GE, NULL, O_GE, 10 },   { (enum tok)'+', NULL, O_ADD, 11 }, { (enum tok)'-', NULL, O_SUB, 11 }, { (enum tok)'*', NULL, O_MUL, 12 },
	{ (enum tok)'/', NULL, O_DIV, 12 }, { T_ID, "mod", O_MOD, 12 },
};

static const struct { const char *word; enum cond_operand op; } cond_words[] = {
	{ "method", C_METHOD }, { "uri", C_URI }, { "status", C_STATUS }, { "from_uri", C_FROM_URI }, { "to_uri", C_TO_URI },
	{ "src_port", C_SRC_PORT }, { "dst_port", C_DST_PORT }, { "af", C_AF }, { "msg:len", C_MSG_LEN }, { "proto", C_PROTO },
	{ "snd_port", C_SND_PORT }, { "to_port", C_TO_PORT }, { "snd_af", C_SND_AF }, { "to_af", C_TO_AF },
	{ "snd_proto", C_SND_PROTO }, { "to_proto", C_TO_PROTO },
	{ "src_ip", C_SRC_IP }, { "dst_ip", C_DST_IP }, { "snd_ip", C_SND_IP }, { "to_ip", C_TO_IP },
};
/* clang-format on */

static const struct binary_row *binary_at(const struct parser *p)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(binaries); i++)
		if (is(p, binaries[i].tok) && (!binaries[i].word || str_eq(p->tok.text, str_lit(binaries[i].word))))
			return &binaries[i];
	return NULL;
}

static int cond_operand_at(const struct parser *p)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(cond_words); i++)
		if (is_word(p, cond_words[i].word))
			return (int)cond_words[i].op;
	return -1;
}

static int proto_word(struct str s)
{
	enum sip_proto proto = sip_proto_lookup(s);

	return proto == SIP_PROTO_NONE ? -1 : (int)proto;
}

/* ip [ "/" ( ip | number ) ], host name, text, myself */
static struct node *parse_ip_right(struct parser *p)
{
	struct node *n;
	struct str text;

	if (is(p, T_IP)) {
		n = node(p, N_IPCONST);
		text = p->tok.text;
		advance(p);
		if (is(p, (enum tok)'/')) {
			advance(p);
			if (!is(p, T_IP) && !is(p, T_NUM)) {
				expected(p, "mask or number of bits");
				return NULL;
			}
			if (pool_printf(p->ld->pool, &text, "%.*s/%.*s", STR_FMT(text), STR_FMT(p->tok.text)) < 0)
				text = STR_NULL;
			advance(p);
		}
		n->text = text;
		return n;
	}
	if (is(p, T_ID) && peek(p) != (enum tok)'(') {
		n = node(p, N_STR);
		text = p->tok.text;
		advance(p);
		while (is(p, (enum tok)'.') || is(p, (enum tok)'-')) {
			char c = (char)p->tok.kind;

			advance(p);
			if (!is(p, T_ID) && !is(p, T_NUM) && !is(p, T_NUM_ID)) {
				expected(p, "host name");
				return NULL;
			}
			if (pool_printf(p->ld->pool, &text, "%.*s%c%.*s", STR_FMT(text), c, STR_FMT(p->tok.text)) < 0)
				text = STR_NULL;
			advance(p);
		}
		n->text = load_dup(p->ld, text);
		return n;
	}
	return parse_level(p, 10);
}

static struct node *parse_cond(struct parser *p, enum cond_operand op)
{
	struct node *n = node(p, N_COND), *right;
	const struct binary_row *row;
	bool allowed;

	n->op = op;
	advance(p);
	row = binary_at(p);
	if (COND_IS_TEXT(op) || COND_IS_IP(op))
		allowed = row && (row->op == O_EQ || row->op == O_NE || row->op == O_SEQ || row->op == O_SNE || row->op == O_MATCH);
	else
		allowed = row && (row->level == 9 || row->level == 10) && row->op != O_MATCH && row->op != O_IEQ && row->op != O_INE;
	if (allowed && (op == C_PROTO || op == C_SND_PROTO || op == C_TO_PROTO))
		allowed = row->level == 9;
	if (!allowed) {
		expected(p, "comparison");
		return NULL;
	}
	n->num = row->op == O_SEQ ? O_EQ : row->op == O_SNE ? O_NE : row->op;
	advance(p);
	if (is_word(p, "myself")) {
		if (!COND_IS_IP(op) && !COND_IS_TEXT(op)) {
			expected(p, "number");
			return NULL;
		}
		if (op == C_METHOD || n->num == O_MATCH) {
			expected(p, "text");
			return NULL;
		}
		n->a = node(p, N_MYSELF);
		advance(p);
		return n;
	}
	if (COND_IS_IP(op)) {
		right = parse_ip_right(p);
	} else if ((op == C_PROTO || op == C_SND_PROTO || op == C_TO_PROTO) && is(p, T_ID) && proto_word(p->tok.text) >= 0) {
		right = num_node(p, p->tok.pos, proto_word(p->tok.text));
		advance(p);
	} else if ((op == C_PROTO || op == C_SND_PROTO || op == C_TO_PROTO) && is(p, (enum tok)'*')) {
		right = num_node(p, p->tok.pos, 0);
		advance(p);
	} else if (op == C_METHOD && is(p, T_ID) && !command_find(p->tok.text) && peek(p) != (enum tok)'(') {
		right = str_node(p, p->tok.pos, p->tok.text);
		advance(p);
	} else {
		right = parse_level(p, row->level + 1);
	}
	n->a = right;
	return right ? n : NULL;
}

/* myself == uri */
static struct node *parse_myself(struct parser *p)
{
	struct node *n = node(p, N_COND);
	const struct binary_row *row;
	int op;

	advance(p);
	row = binary_at(p);
	if (!row || (row->op != O_EQ && row->op != O_NE && row->op != O_SEQ && row->op != O_SNE)) {
		expected(p, "'==' or '!='");
		return NULL;
	}
	n->num = row->op == O_EQ || row->op == O_SEQ ? O_EQ : O_NE;
	advance(p);
	op = cond_operand_at(p);
	if (op < 0 || op == C_METHOD || (!COND_IS_TEXT(op) && !COND_IS_IP(op))) {
		expected(p, "uri, from_uri, to_uri or an address");
		return NULL;
	}
	n->op = (uint8_t)op;
	n->a = node(p, N_MYSELF);
	advance(p);
	return n;
}

static struct node *parse_args(struct parser *p, struct node *call)
{
	if (!take_tok(p, (enum tok)'(', "'('"))
		return NULL;
	if (is(p, (enum tok)')')) {
		advance(p);
		return call;
	}
	for (;;) {
		struct node *arg = parse_expr(p);

		if (!arg)
			return NULL;
		arg_add(call, arg);
		if (is(p, (enum tok)',')) {
			advance(p);
			continue;
		}
		break;
	}
	return take_tok(p, (enum tok)')', "')' or ','") ? call : NULL;
}

/* route(X): X may be a bare word */
static struct node *parse_route_call(struct parser *p)
{
	struct node *n = node(p, N_ROUTE);

	advance(p);
	if (!take_tok(p, (enum tok)'(', "'('"))
		return NULL;
	if ((is(p, T_ID) || is(p, T_NUM_ID)) && peek(p) == (enum tok)')') {
		n->a = str_node(p, p->tok.pos, p->tok.text);
		advance(p);
	} else if (is(p, T_NUM) && peek(p) == (enum tok)')') {
		n->a = str_node(p, p->tok.pos, p->tok.text);
		advance(p);
	} else {
		n->a = parse_expr(p);
	}
	if (!n->a || !take_tok(p, (enum tok)')', "')'"))
		return NULL;
	return n;
}

/* strlen(e), strempty(e), selval(c, a, b) */
static struct node *parse_builtin(struct parser *p)
{
	struct node *n = node(p, N_UNARY), *call;
	bool selval = is_word(p, "selval");
	unsigned want = selval ? 3 : 1;

	n->op = is_word(p, "strlen") ? O_STRLEN : O_STREMPTY;
	advance(p);
	call = node(p, N_CALL);
	if (!parse_args(p, call))
		return NULL;
	if (call->n != want) {
		load_error(p->ld, n->pos, "%s takes %u argument%s", selval ? "selval" : n->op == O_STRLEN ? "strlen" : "strempty",
			   want, want == 1 ? "" : "s");
		return NULL;
	}
	n->a = call->args;
	if (selval) {
		n->kind = N_SELVAL;
		n->b = n->a->next;
		n->c = n->b->next;
	}
	return n;
}

static struct node *parse_paren(struct parser *p)
{
	struct node *n, *assign;

	advance(p);
	if ((is(p, T_PVAR) || is(p, T_SELECT)) && peek(p) == (enum tok)'=') {
		assign = node(p, N_ASSIGNEXPR);
		assign->a = node(p, N_PV);
		assign->a->text = p->tok.text;
		advance(p);
		advance(p);
		assign->b = parse_expr(p);
		if (!assign->b)
			return NULL;
		n = assign;
	} else {
		n = parse_expr(p);
	}
	if (!n || !take_tok(p, (enum tok)')', "')'"))
		return NULL;
	return n;
}

static struct node *parse_primary(struct parser *p)
{
	const struct command *cmd;
	struct node *n;
	int op;

	switch ((int)p->tok.kind) {
	case T_NUM:
		n = num_node(p, p->tok.pos, p->tok.num);
		advance(p);
		return n;
	case T_STR:
	case T_STR_SINGLE:
		n = str_node(p, p->tok.pos, p->tok.text);
		advance(p);
		return n;
	case T_PVAR:
	case T_SELECT:
		n = node(p, N_PV);
		n->text = p->tok.text;
		n->flag = is(p, T_SELECT);
		advance(p);
		return n;
	case '(':
		return parse_paren(p);
	case '{':
		n = node(p, N_BLOCKEXPR);
		n->a = parse_block(p);
		return n->a ? n : NULL;
	case T_ID:
		break;
	default:
		expected(p, "value");
		return NULL;
	}
	op = cond_operand_at(p);
	if (op >= 0)
		return parse_cond(p, (enum cond_operand)op);
	if (is_word(p, "myself"))
		return parse_myself(p);
	if ((is_word(p, "null") || is_word(p, "NULL")) && peek(p) != (enum tok)'(') {
		/* old scripts write null for $null */
		n = node(p, N_NULL);
		advance(p);
		return n;
	}
	if (is_word(p, "strlen") || is_word(p, "strempty") || is_word(p, "selval"))
		return parse_builtin(p);
	if (is_word(p, "route"))
		return parse_route_call(p);
	cmd = command_find(p->tok.text);
	if (cmd)
		return parse_command(p, cmd);
	n = node(p, N_CALL);
	n->text = p->tok.text;
	advance(p);
	if (!is(p, (enum tok)'(')) {
		load_error(p->ld, n->pos, "'%.*s' is no value: a function needs '(', a text needs quotes, or a define is missing",
			   STR_FMT(n->text));
		return NULL;
	}
	return parse_args(p, n);
}

static struct node *parse_unary(struct parser *p)
{
	struct node *n;
	enum oper op = O_NONE;

	if (is(p, (enum tok)'!') || is_word(p, "not"))
		op = O_NOT;
	else if (is(p, (enum tok)'~'))
		op = O_BNOT;
	else if (is(p, (enum tok)'-'))
		op = O_NEG;
	else if (is_word(p, "defined"))
		op = O_DEFINED;
	else if (is(p, T_CAST_INT))
		op = O_CAST_INT;
	else if (is(p, T_CAST_STR))
		op = O_CAST_STR;
	if (op == O_NONE)
		return parse_primary(p);
	if (p->nest >= NEST_MAX) {
		load_error(p->ld, p->tok.pos, "nested deeper than %u", NEST_MAX);
		return NULL;
	}
	n = node(p, N_UNARY);
	n->op = op;
	advance(p);
	p->nest++;
	n->a = parse_unary(p);
	p->nest--;
	return n->a ? n : NULL;
}

static struct node *parse_level(struct parser *p, unsigned level)
{
	struct node *left;

	if (p->nest >= NEST_MAX) {
		load_error(p->ld, p->tok.pos, "nested deeper than %u", NEST_MAX);
		return NULL;
	}
	p->nest++;
	left = parse_unary(p);
	while (left) {
		const struct binary_row *row = binary_at(p);
		struct node *n;

		if (!row || row->level < level)
			break;
		n = node(p, N_BINARY);
		n->op = row->op;
		advance(p);
		n->a = left;
		n->b = parse_level(p, row->level + 1);
		left = n->b ? n : NULL;
	}
	p->nest--;
	return left;
}

/* ---- core commands ---- */

static struct node *cmd_text(struct parser *p)
{
	struct node *n;

	if (!is_text(p)) {
		expected(p, "text in quotes");
		return NULL;
	}
	n = str_node(p, p->tok.pos, p->tok.text);
	advance(p);
	return n;
}

static struct node *cmd_number(struct parser *p)
{
	struct node *n;
	bool minus = is(p, (enum tok)'-');

	if (minus)
		advance(p);
	if (!is(p, T_NUM)) {
		expected(p, "number");
		return NULL;
	}
	n = num_node(p, p->tok.pos, minus ? -p->tok.num : p->tok.num);
	advance(p);
	return n;
}

static struct node *cmd_flag(struct parser *p)
{
	struct node *n;
	int number;

	if (is(p, T_NUM)) {
		if (p->tok.num < 0 || p->tok.num > 31) {
			load_error(p->ld, p->tok.pos, "flag number of 0 to 31 expected");
			return NULL;
		}
		return cmd_number(p);
	}
	if (!is(p, T_ID) && !is_text(p)) {
		expected(p, "flag");
		return NULL;
	}
	number = script_flag_find(p->tok.text);
	if (number < 0) {
		load_error(p->ld, p->tok.pos, "flag '%.*s' is not declared", STR_FMT(p->tok.text));
		return NULL;
	}
	n = num_node(p, p->tok.pos, number);
	advance(p);
	return n;
}

/* Words up to ')' or ',' as one text: host names and sockets without quotes. */
static struct node *cmd_bare(struct parser *p)
{
	struct node *n;
	struct strbuf sb;

	if (is_text(p))
		return cmd_text(p);
	n = node(p, N_STR);
	strbuf_init_pool(&sb, p->ld->pool, 1024);
	while (is(p, T_ID) || is(p, T_NUM) || is(p, T_NUM_ID) || is(p, T_IP) || is(p, (enum tok)'.') || is(p, (enum tok)'-') ||
	       is(p, (enum tok)':')) {
		strbuf_add(&sb, p->tok.text);
		advance(p);
	}
	n->text = load_dup(p->ld, strbuf_str(&sb));
	if (n->text.n == 0) {
		expected(p, "address");
		return NULL;
	}
	return n;
}

static bool cmd_args(struct parser *p, const struct command *cmd, struct node *call)
{
	struct node *a = NULL, *b = NULL;
	struct pos pos = p->tok.pos;
	int proto;

	switch (cmd->shape) {
	case CMD_NONE:
		return true;
	case CMD_STR:
		a = cmd_text(p);
		break;
	case CMD_NUM:
	case CMD_OPT_NUM:
		a = cmd_number(p);
		break;
	case CMD_FLAG:
		a = cmd_flag(p);
		break;
	case CMD_SOCKET:
	case CMD_HOST:
		a = cmd_bare(p);
		break;
	case CMD_PROTO:
		proto = is(p, T_ID) || is_text(p) ? proto_word(p->tok.text) : -1;
		if (proto < 0)
			return expected(p, "protocol");
		a = num_node(p, pos, proto);
		advance(p);
		break;
	case CMD_DEST:
		if (is_word(p, "uri:host")) {
			a = str_node(p, pos, STR_LIT(""));
			advance(p);
		} else {
			a = cmd_bare(p);
		}
		b = num_node(p, pos, 0);
		if (a && is(p, (enum tok)',')) {
			advance(p);
			if (is_word(p, "uri:port"))
				advance(p);
			else
				b = cmd_number(p);
		}
		break;
	case CMD_LOG:
		if (is(p, T_NUM) || is(p, (enum tok)'-')) {
			a = cmd_number(p);
			if (!a || !take_tok(p, (enum tok)',', "','"))
				return false;
		} else {
			a = num_node(p, pos, 4);
		}
		b = cmd_text(p);
		break;
	case CMD_STR_STR:
		a = cmd_text(p);
		if (a && take_tok(p, (enum tok)',', "','"))
			b = cmd_text(p);
		break;
	case CMD_STR_INT:
		a = cmd_text(p);
		if (a && take_tok(p, (enum tok)',', "','"))
			b = parse_expr(p);
		break;
	case CMD_AVP_FLAG:
		if (is(p, T_PVAR)) {
			a = str_node(p, pos, p->tok.text);
			advance(p);
		} else {
			a = cmd_text(p);
		}
		if (a && take_tok(p, (enum tok)',', "','"))
			b = cmd_flag(p);
		break;
	}
	if (!a)
		return false;
	arg_add(call, a);
	if (cmd->shape == CMD_DEST || cmd->shape == CMD_LOG || cmd->shape == CMD_STR_STR || cmd->shape == CMD_STR_INT ||
	    cmd->shape == CMD_AVP_FLAG) {
		if (!b)
			return false;
		arg_add(call, b);
	}
	return true;
}

static struct node *parse_command(struct parser *p, const struct command *cmd)
{
	struct node *n = node(p, N_CALL);
	bool optional = cmd->shape == CMD_NONE || cmd->shape == CMD_DEST || cmd->shape == CMD_OPT_NUM;

	n->text = str_lit(cmd->name);
	n->command = cmd;
	advance(p);
	if (!is(p, (enum tok)'(')) {
		if (!optional) {
			expected(p, "'('");
			return NULL;
		}
	} else {
		advance(p);
		if (is(p, (enum tok)')')) {
			if (!optional) {
				expected(p, "argument");
				return NULL;
			}
		} else if (cmd->shape == CMD_NONE || !cmd_args(p, cmd, n)) {
			if (cmd->shape == CMD_NONE)
				expected(p, "')'");
			return NULL;
		}
		if (!take_tok(p, (enum tok)')', "')'"))
			return NULL;
	}
	if (n->n == 0 && cmd->shape == CMD_DEST) {
		arg_add(n, str_node(p, n->pos, STR_LIT("")));
		arg_add(n, num_node(p, n->pos, 0));
	} else if (n->n == 0 && cmd->shape == CMD_OPT_NUM) {
		arg_add(n, num_node(p, n->pos, 0));
	}
	return n;
}

/* ---- statements ---- */

static struct node *parse_action(struct parser *p);

/* To the end of this statement: ';' is taken, '}' is left. */
static void skip_statement(struct parser *p)
{
	unsigned depth = 0;

	while (!is(p, T_EOF)) {
		if (is(p, (enum tok)'{')) {
			depth++;
		} else if (is(p, (enum tok)'}')) {
			if (depth == 0)
				return;
			if (--depth == 0) {
				advance(p);
				return;
			}
		} else if (is(p, (enum tok)';') && depth == 0) {
			advance(p);
			return;
		}
		advance(p);
	}
}

/* Statements up to '}' or a case label; NULL only after an error that ends everything. */
static bool parse_actions(struct parser *p, struct node *list, bool in_switch)
{
	struct node **tail = &list->args;

	while (!is(p, (enum tok)'}')) {
		struct node *n;

		if (in_switch && (is_word(p, "case") || is_word(p, "default")))
			return true;
		if (is(p, T_EOF))
			return expected(p, "'}'");
		if (is(p, (enum tok)';')) {
			advance(p);
			continue;
		}
		n = parse_action(p);
		if (!n) {
			if (p->ld->stop)
				return false;
			skip_statement(p);
			while (is_word(p, "else")) { /* what was skipped began with if */
				advance(p);
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

static struct node *parse_block(struct parser *p)
{
	struct node *n = node(p, N_BLOCK);
	bool empty;

	if (!take_tok(p, (enum tok)'{', "'{'"))
		return NULL;
	if (p->nest >= NEST_MAX) {
		load_error(p->ld, p->tok.pos, "nested deeper than %u", NEST_MAX);
		return NULL;
	}
	empty = is(p, (enum tok)'}');
	if (empty) {
		expected(p, "statement (an empty block is \"{ ; }\")");
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
	advance(p);
	return n;
}

static struct node *parse_body(struct parser *p)
{
	struct node *n, *a;

	if (is(p, (enum tok)'{'))
		return parse_block(p);
	n = node(p, N_BLOCK);
	n->end = p->tok.pos;
	if (is(p, (enum tok)';')) {
		advance(p);
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
	struct node *n = node(p, N_IF);

	advance(p);
	n->a = parse_expr(p);
	if (!n->a)
		return NULL;
	n->b = parse_body(p);
	if (!n->b)
		return NULL;
	if (is_word(p, "else")) {
		advance(p);
		n->c = parse_body(p);
		if (!n->c)
			return NULL;
	}
	return n;
}

static struct node *parse_while(struct parser *p)
{
	struct node *n = node(p, N_WHILE);

	advance(p);
	n->a = parse_expr(p);
	if (n->a)
		n->b = parse_body(p);
	return n->a && n->b ? n : NULL;
}

static struct node *parse_switch(struct parser *p)
{
	struct node *n = node(p, N_SWITCH), **tail = &n->args;

	advance(p);
	n->a = parse_expr(p);
	if (!n->a || !take_tok(p, (enum tok)'{', "'{'"))
		return NULL;
	while (!is(p, (enum tok)'}')) {
		struct node *c = node(p, N_CASE);

		if (is(p, (enum tok)';')) {
			advance(p);
			continue;
		}
		if (is_word(p, "case")) {
			advance(p);
			if (is(p, (enum tok)'/')) {
				c->flag = true;
				advance(p);
			}
			c->a = parse_expr(p);
			if (!c->a)
				return NULL;
		} else if (is_word(p, "default")) {
			advance(p);
		} else {
			expected(p, "case, default or '}'");
			return NULL;
		}
		if (!take_tok(p, (enum tok)':', "':'"))
			return NULL;
		c->b = node(p, N_BLOCK);
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
	advance(p);
	return n;
}

static struct node *parse_ret(struct parser *p, enum node_kind kind)
{
	struct node *n = node(p, kind);

	advance(p);
	if (is(p, (enum tok)'(') && peek(p) == (enum tok)')') {
		advance(p);
		advance(p);
	} else if (!is(p, (enum tok)';')) {
		n->a = parse_expr(p);
		if (!n->a)
			return NULL;
	}
	return n;
}

static struct node *parse_action(struct parser *p)
{
	struct node *n, *e;

	if (is(p, (enum tok)'{'))
		return parse_block(p);
	if (is_word(p, "if"))
		return parse_if(p);
	if (is_word(p, "while"))
		return parse_while(p);
	if (is_word(p, "switch"))
		return parse_switch(p);
	if (is_word(p, "return")) {
		n = parse_ret(p, N_RETURN);
	} else if (is_word(p, "exit")) {
		n = parse_ret(p, N_EXIT);
	} else if (is_word(p, "drop")) {
		n = parse_ret(p, N_DROP);
	} else if (is_word(p, "break")) {
		n = node(p, N_BREAK);
		advance(p);
	} else if (is(p, T_PVAR) || is(p, T_SELECT)) {
		n = node(p, N_ASSIGN);
		n->a = node(p, N_PV);
		n->a->text = p->tok.text;
		n->a->flag = is(p, T_SELECT);
		advance(p);
		if (!take_tok(p, (enum tok)'=', "'='"))
			return NULL;
		n->b = parse_expr(p);
		if (!n->b)
			return NULL;
	} else if (is(p, T_ID)) {
		n = node(p, N_EXPRSTMT);
		e = parse_primary(p);
		if (!e)
			return NULL;
		if (e->kind != N_CALL && e->kind != N_ROUTE) {
			load_error(p->ld, e->pos, "a value cannot stand here as a statement");
			return NULL;
		}
		n->a = e;
	} else {
		expected(p, "statement");
		return NULL;
	}
	if (!n || !take_tok(p, (enum tok)';', "';'"))
		return NULL;
	return n;
}

/* ---- routes ---- */

static const struct {
	const char *word;
	enum ctx_kind kind;
	bool named, unnamed;
} route_words[] = {
	{ "route", CTX_REQUEST, true, true },          { "request_route", CTX_REQUEST, false, true },
	{ "failure_route", CTX_FAILURE, true, true },  { "branch_route", CTX_BRANCH, true, true },
	{ "onsend_route", CTX_ONSEND, true, true },    { "onreply_route", CTX_ONREPLY, true, true },
	{ "reply_route", CTX_ONREPLY, false, true },   { "event_route", CTX_EVENT, true, false },
};

static int route_word_at(const struct parser *p)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(route_words); i++)
		if (is_word(p, route_words[i].word))
			return (int)i;
	return -1;
}

static bool parse_route(struct parser *p, int word)
{
	enum ctx_kind kind = route_words[word].kind;
	struct pos pos = p->tok.pos, name_pos;
	struct str name = STR_NULL;
	struct route_src *r;
	struct node *body;

	advance(p);
	name_pos = p->tok.pos;
	if (is(p, (enum tok)'[') && route_words[word].named) {
		if (kind == CTX_EVENT) {
			if (lexer_raw_until(p->lx, ']', &p->tok) < 0)
				return false;
			if (str_find_char(p->tok.text, ':') <= 0) {
				load_error(p->ld, p->tok.pos, "name of an event expected, like \"tm:local-request\"");
				return false;
			}
		} else {
			advance(p);
			if (!is(p, T_ID) && !is(p, T_NUM) && !is(p, T_NUM_ID) && !is_text(p))
				return expected(p, "name of the route");
		}
		name_pos = p->tok.pos;
		name = p->tok.text;
		advance(p);
		if (!take_tok(p, (enum tok)']', "']'"))
			return false;
		if (str_eq(name, STR_LIT("0")) && (kind == CTX_REQUEST || kind == CTX_ONREPLY))
			name = STR_NULL;
	} else if (!route_words[word].unnamed) {
		return expected(p, "'['");
	}
	if (kind == CTX_ONREPLY)
		kind = name.n > 0 ? CTX_TM_REPLY : CTX_CORE_REPLY;
	body = parse_block(p);
	if (!body)
		return false;
	for (r = p->out->routes; r; r = r->next) {
		if (r->kind != kind || !str_eq(r->name, name))
			continue;
		if (name.n > 0) {
			load_error(p->ld, name_pos, "route '%.*s' was defined already in line %u", STR_FMT(name), r->pos.line);
			return true;
		}
		/* unnamed blocks are appended */
		if (body->args) {
			struct node **tail = &r->body->args;

			while (*tail)
				tail = &(*tail)->next;
			*tail = body->args;
			r->body->n += body->n;
			r->body->end = body->end;
		}
		return true;
	}
	r = pool_zalloc(p->ld->pool, sizeof(*r));
	if (!r) {
		load_error(p->ld, pos, "out of memory");
		return false;
	}
	r->kind = kind;
	r->name = name;
	r->pos = pos;
	r->body = body;
	r->index = (int)p->out->n_routes++;
	*p->out->tail = r;
	p->out->tail = &r->next;
	return true;
}

/* ---- items ---- */

static bool host_says(struct parser *p, struct pos pos, int err, const struct diag *why)
{
	if (err < 0)
		load_error(p->ld, pos, "%s", why->text[0] ? why->text : strerror(-err));
	return true; /* the text itself was in order */
}

static const char *const item_words[] = {
	"route", "request_route", "failure_route", "branch_route", "onsend_route", "onreply_route", "reply_route", "event_route",
	"loadmodule", "loadmodulex", "loadpath", "mpath", "modparam", "modparamx", "cfgengine", "flags", "bool", "avpflags",
};

static bool is_item_word(struct str w)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(item_words); i++)
		if (str_eq(w, str_lit(item_words[i])))
			return true;
	return false;
}

/* "[proto:]host[:port]" cut in its parts. */
static bool addr_split(struct str text, enum sip_proto *ret_proto, struct str *ret_host, uint16_t *ret_port)
{
	struct str s = text, port = STR_NULL;
	ptrdiff_t colon = str_find_char(s, ':');
	uint32_t v = 0;

	*ret_proto = SIP_PROTO_NONE;
	if (colon > 0 && (sip_proto_lookup(str_sub(s, 0, (size_t)colon)) != SIP_PROTO_NONE ||
			  str_eq(str_sub(s, 0, (size_t)colon), STR_LIT("*")))) {
		*ret_proto = sip_proto_lookup(str_sub(s, 0, (size_t)colon));
		s = str_sub(s, (size_t)colon + 1, s.n);
	}
	if (s.n > 0 && s.s[0] == '[') {
		ptrdiff_t end = str_find_char(s, ']');

		if (end < 0)
			return false;
		*ret_host = str_sub(s, 0, (size_t)end + 1);
		s = str_sub(s, (size_t)end + 1, s.n);
		if (s.n > 0 && s.s[0] != ':')
			return false;
		port = str_sub(s, 1, s.n);
	} else {
		colon = str_find_char(s, ':');
		if (colon >= 0 && str_rfind_char(s, ':') == colon) {
			port = str_sub(s, (size_t)colon + 1, s.n);
			s = str_sub(s, 0, (size_t)colon);
			if (port.n == 0)
				return false;
		}
		*ret_host = s;
	}
	if (port.n > 0 && !str_eq(port, STR_LIT("*")) && (num_u32(port, &v) < 0 || v > 65535))
		return false;
	*ret_port = (uint16_t)v;
	return ret_host->n > 0;
}

/* In address mode: does the token begin the next item? Then it is made an ordinary one. */
static bool addr_ends(struct parser *p)
{
	struct str t = p->tok.text;
	size_t i;

	if (is_text(p))
		return false;
	if (!is(p, T_ADDR))
		return true;
	if (!is_item_word(t)) {
		if (lexer_peek_char(p->lx) != '=' && lexer_peek_char(p->lx) != '[')
			return false;
		/* "group.name = 1": to be read again, as separate words */
		for (i = 0; i < t.n; i++) {
			if (t.s[i] == '.' || t.s[i] == '[') {
				lexer_addr_mode(p->lx, false);
				lexer_unread(p->lx, t);
				advance(p);
				return true;
			}
		}
	}
	p->tok.kind = T_ID;
	return true;
}

static void addr_leave(struct parser *p)
{
	lexer_addr_mode(p->lx, false);
	if (is(p, T_ADDR)) {
		struct str t = p->tok.text;

		lexer_unread(p->lx, t);
		advance(p);
	}
}

struct bind {
	struct pos pos;
	struct str text;
};

static bool listen_add(struct parser *p, struct pos pos, struct str text, const struct net_listen_spec *tail)
{
	struct net_listen_spec spec = *tail;
	struct diag why = { 0 };
	struct str host;

	if (!addr_split(text, &spec.proto, &host, &spec.port)) {
		load_error(p->ld, pos, "bad address '%.*s'", STR_FMT(text));
		return true;
	}
	if (host.n > 1 && host.s[0] == '(') {
		/* multi-homing: each address becomes a socket */
		host = str_sub(host, 1, host.n - (host.s[host.n - 1] == ')' ? 2 : 1));
		while (host.n > 0) {
			ptrdiff_t comma = str_find_char(host, ',');

			spec.host = load_dup(p->ld, str_trim(comma < 0 ? host : str_sub(host, 0, (size_t)comma)));
			host_says(p, pos, p->ld->opts->host->listen(&spec, &why), &why);
			if (comma < 0)
				break;
			host = str_sub(host, (size_t)comma + 1, host.n);
		}
		return true;
	}
	spec.host = load_dup(p->ld, host);
	return host_says(p, pos, p->ld->opts->host->listen(&spec, &why), &why);
}

static bool is_opt_word(const struct parser *p, const char *lower, const char *upper)
{
	return (is(p, T_ADDR) || is(p, T_ID)) &&
	       (str_eq(p->tok.text, str_lit(lower)) || str_eq(p->tok.text, str_lit(upper)));
}

/* listen = sock { sock } [ advertise ... ] [ name "x" ] [ virtual ] */
static bool parse_listen(struct parser *p)
{
	struct net_listen_spec tail = { 0 };
	struct bind binds[64];
	unsigned n = 0, i;
	enum sip_proto proto;

	lexer_addr_mode(p->lx, true);
	advance(p);
	while (!addr_ends(p) && !is_opt_word(p, "advertise", "ADVERTISE") && !is_opt_word(p, "name", "NAME") &&
	       !is_opt_word(p, "virtual", "VIRTUAL")) {
		if (n == ARRAY_LEN(binds)) {
			load_error(p->ld, p->tok.pos, "more than %zu addresses in one listen", ARRAY_LEN(binds));
			break;
		}
		binds[n++] = (struct bind){ p->tok.pos, p->tok.text };
		advance(p);
	}
	if (n == 0) {
		lexer_addr_mode(p->lx, false);
		return expected(p, "address");
	}
	if (is_opt_word(p, "advertise", "ADVERTISE")) {
		advance(p);
		if ((!is(p, T_ADDR) && !is_text(p)) || !addr_split(p->tok.text, &proto, &tail.adv_host, &tail.adv_port)) {
			lexer_addr_mode(p->lx, false);
			return expected(p, "address to advertise");
		}
		tail.adv_host = load_dup(p->ld, tail.adv_host);
		advance(p);
	}
	if (is_opt_word(p, "name", "NAME")) {
		advance(p);
		if (!is_text(p)) {
			lexer_addr_mode(p->lx, false);
			return expected(p, "name in quotes");
		}
		tail.name = p->tok.text;
		advance(p);
	}
	if (is_opt_word(p, "virtual", "VIRTUAL")) {
		tail.is_virtual = true;
		advance(p);
	}
	if (is(p, T_ADDR) && !addr_ends(p)) {
		lexer_addr_mode(p->lx, false);
		return expected(p, "next item (the order is: addresses, advertise, name, virtual)");
	}
	addr_leave(p);
	for (i = 0; i < n; i++)
		listen_add(p, binds[i].pos, binds[i].text, &tail);
	return true;
}

static bool parse_alias(struct parser *p)
{
	unsigned n = 0;

	lexer_addr_mode(p->lx, true);
	advance(p);
	while (!addr_ends(p)) {
		enum sip_proto proto;
		struct diag why = { 0 };
		struct pos pos = p->tok.pos;
		struct str host;
		uint16_t port;

		if (!addr_split(p->tok.text, &proto, &host, &port))
			load_error(p->ld, pos, "bad name '%.*s'", STR_FMT(p->tok.text));
		else
			host_says(p, pos, p->ld->opts->host->alias(proto, load_dup(p->ld, host), port, &why), &why);
		n++;
		advance(p);
	}
	addr_leave(p);
	return n > 0 || expected(p, "name");
}

/* socket = { bind = udp:10.0.0.1:5060-5070; name = "x"; ... } */
static bool parse_socket(struct parser *p)
{
	struct net_listen_spec tail = { 0 };
	struct bind bind = { 0 };
	struct str addr = STR_NULL, name;
	uint32_t last = 0, first = 0, k;
	enum sip_proto proto;
	bool ok = true;

	advance(p);
	if (!take_tok(p, (enum tok)'{', "'{'"))
		return false;
	while (ok && !is(p, (enum tok)'}')) {
		struct token attr = p->tok;

		if (is(p, (enum tok)';')) {
			advance(p);
			continue;
		}
		if (!is(p, T_ID))
			return expected(p, "attribute of the socket");
		advance(p);
		if (!is(p, (enum tok)'='))
			return expected(p, "'='");
		if (str_eq(attr.text, STR_LIT("bind")) || str_eq(attr.text, STR_LIT("advertise"))) {
			bool is_bind = attr.text.s[0] == 'b';

			lexer_addr_mode(p->lx, true);
			advance(p);
			lexer_addr_mode(p->lx, false);
			if (!is(p, T_ADDR) && !is_text(p))
				return expected(p, "address");
			if (is_bind)
				bind = (struct bind){ p->tok.pos, p->tok.text };
			else if (!addr_split(p->tok.text, &proto, &tail.adv_host, &tail.adv_port))
				return expected(p, "address");
			advance(p);
		} else if (str_eq(attr.text, STR_LIT("name")) || str_eq(attr.text, STR_LIT("agname")) ||
			   str_eq(attr.text, STR_LIT("vrf"))) {
			advance(p);
			if (!is_text(p))
				return expected(p, "text in quotes");
			if (str_eq(attr.text, STR_LIT("name")))
				tail.name = p->tok.text;
			else if (str_eq(attr.text, STR_LIT("agname")))
				load_warning(p->ld, attr.pos, "agname has no effect: every worker serves every socket");
			else
				load_error(p->ld, attr.pos, "vrf is not supported");
			advance(p);
		} else if (str_eq(attr.text, STR_LIT("workers")) || str_eq(attr.text, STR_LIT("virtual"))) {
			advance(p);
			if (!is(p, T_NUM))
				return expected(p, "number");
			if (str_eq(attr.text, STR_LIT("virtual")))
				tail.is_virtual = p->tok.num != 0;
			else
				load_warning(p->ld, attr.pos, "workers of a socket has no effect: every worker serves every socket");
			advance(p);
		} else {
			load_error(p->ld, attr.pos, "unknown attribute '%.*s': bind, name, advertise, agname, workers, virtual or vrf",
				   STR_FMT(attr.text));
			ok = false;
		}
	}
	if (!ok)
		return false;
	advance(p);
	if (bind.text.n == 0) {
		load_error(p->ld, p->tok.pos, "socket without bind");
		return true;
	}
	addr = bind.text;
	if (str_rfind_char(addr, '-') > str_rfind_char(addr, ':') && str_rfind_char(addr, ':') > 0) {
		ptrdiff_t dash = str_rfind_char(addr, '-'), colon = str_rfind_char(addr, ':');

		if (num_u32(str_sub(addr, (size_t)dash + 1, addr.n), &last) == 0 &&
		    num_u32(str_sub(addr, (size_t)colon + 1, (size_t)(dash - colon - 1)), &first) == 0) {
			if (last < first || last > 65535 || last - first > 255) {
				load_error(p->ld, bind.pos, "bad range of ports '%.*s'", STR_FMT(addr));
				return true;
			}
			addr = str_sub(addr, 0, (size_t)colon);
		}
	}
	if (last == 0)
		return listen_add(p, bind.pos, addr, &tail);
	name = tail.name;
	for (k = first; k <= last; k++) {
		struct net_listen_spec one = tail;
		struct str text;

		if (pool_printf(p->ld->pool, &text, "%.*s:%u", STR_FMT(addr), k) < 0 ||
		    (name.n > 0 && pool_printf(p->ld->keep, &one.name, "%.*s%u", STR_FMT(name), k) < 0)) {
			load_error(p->ld, bind.pos, "out of memory");
			return true;
		}
		if (tail.adv_port > 0)
			one.adv_port = (uint16_t)(tail.adv_port + (k - first));
		listen_add(p, bind.pos, text, &one);
	}
	return true;
}

/* A value of a parameter: number, text, word or address. */
static bool parse_value(struct parser *p, bool *ret_is_int, int64_t *ret_i, struct str *ret_s)
{
	bool minus = is(p, (enum tok)'-');
	struct str text;

	*ret_s = STR_NULL;
	*ret_i = 0;
	*ret_is_int = false;
	if (minus)
		advance(p);
	if (is(p, T_NUM)) {
		*ret_is_int = true;
		*ret_i = minus ? -p->tok.num : p->tok.num;
		advance(p);
		return true;
	}
	if (minus)
		return expected(p, "number");
	if (is_text(p)) {
		*ret_s = p->tok.text;
		advance(p);
		return true;
	}
	if (!is(p, T_ID) && !is(p, T_IP) && !is(p, T_NUM_ID) && !is(p, (enum tok)'/'))
		return expected(p, "value");
	text = p->tok.text;
	advance(p);
	/* sip.example.com, /dev/poll */
	while (is(p, (enum tok)'.') || is(p, (enum tok)'-') || is(p, (enum tok)'/') ||
	       (text.n > 0 && strchr(".-/", text.s[text.n - 1]) && (is(p, T_ID) || is(p, T_NUM) || is(p, T_NUM_ID)))) {
		if (pool_printf(p->ld->pool, &text, "%.*s%.*s", STR_FMT(text), STR_FMT(p->tok.text)) < 0)
			return false;
		advance(p);
	}
	*ret_s = load_dup(p->ld, text);
	return true;
}

/* Text with variables, evaluated now against a dummy message (loadmodulex, modparamx). */
static struct str expand_now(struct parser *p, struct pos pos, struct str text)
{
	struct ctx *ctx = load_dummy_ctx(p->ld);
	struct diag why = { 0 };
	struct fmt *f;
	struct str s;

	if (str_find_char(text, '$') < 0)
		return text;
	if (!ctx || fmt_compile(p->ld->keep, text, &f, &why) < 0 || fmt_eval(ctx, f, &s) < 0) {
		load_error(p->ld, pos, "cannot evaluate \"%.*s\": %s", STR_FMT(text), why.text);
		return text;
	}
	return load_dup(p->ld, s);
}

/* Loads while its last token is the current one: what follows may be a directive that asks for MOD_name. */
static bool parse_loadmodule(struct parser *p, bool x)
{
	struct token name;
	struct str opts = STR_NULL, base, define;
	struct diag why = { 0 };
	bool paren;
	int err;

	advance(p);
	paren = is(p, (enum tok)'(');
	if (paren)
		advance(p);
	if (!is_text(p))
		return expected(p, "name of a module in quotes");
	name = p->tok;
	if (paren) {
		advance(p);
		if (is(p, (enum tok)',')) {
			advance(p);
			if (!is_text(p))
				return expected(p, "options in quotes");
			opts = p->tok.text;
			advance(p);
		}
		if (!is(p, (enum tok)')'))
			return expected(p, "')'");
	}
	if (x)
		name.text = expand_now(p, name.pos, name.text);
	err = p->ld->opts->host->load_module(name.text, opts, &why);
	host_says(p, name.pos, err, &why);
	base = name.text;
	if (str_rfind_char(base, '/') >= 0)
		base = str_sub(base, (size_t)str_rfind_char(base, '/') + 1, base.n);
	if (str_ends(base, STR_LIT(".so")))
		base.n -= 3;
	if (err == 0 && pool_printf(p->ld->pool, &define, "MOD_%.*s", STR_FMT(base)) == 0 &&
	    lexer_define(p->lx, define, STR_NULL, false, true) < 0)
		load_error(p->ld, name.pos, "out of memory");
	advance(p);
	return true;
}

static bool parse_modparam(struct parser *p, bool x)
{
	struct token mod, name, value;
	struct diag why = { 0 };
	bool is_int = false;
	int64_t i = 0;
	struct str s = STR_NULL;

	advance(p);
	if (!take_tok(p, (enum tok)'(', "'('"))
		return false;
	mod = p->tok;
	if (!is_text(p))
		return expected(p, "name of a module in quotes");
	advance(p);
	if (!take_tok(p, (enum tok)',', "','"))
		return false;
	name = p->tok;
	if (!is_text(p))
		return expected(p, "name of a parameter in quotes");
	advance(p);
	if (!take_tok(p, (enum tok)',', "','"))
		return false;
	value = p->tok;
	if (x && is(p, T_PVAR)) {
		struct ctx *ctx = load_dummy_ctx(p->ld);
		struct pv_spec *spec;
		struct value v;
		size_t len;

		if (!ctx || pv_parse(p->ld->keep, value.text, &spec, &len, &why) < 0 || pv_get(ctx, spec, &v) < 0) {
			load_error(p->ld, value.pos, "cannot evaluate %.*s: %s", STR_FMT(value.text), why.text);
			return false;
		}
		is_int = v.kind == VALUE_INT;
		i = v.i;
		s = load_dup(p->ld, v.kind == VALUE_STR ? v.s : STR_LIT(""));
		advance(p);
	} else {
		if (!is_text(p) && !is(p, T_NUM) && !is(p, (enum tok)'-'))
			return expected(p, "text in quotes or number");
		if (!parse_value(p, &is_int, &i, &s))
			return false;
	}
	if (!is(p, (enum tok)')'))
		return expected(p, "')'");
	advance(p);
	if (x) {
		mod.text = expand_now(p, mod.pos, mod.text);
		name.text = expand_now(p, name.pos, name.text);
		if (!is_int)
			s = expand_now(p, value.pos, s);
	}
	return host_says(p, mod.pos, p->ld->opts->host->modparam(mod.text, name.text, is_int, i, s, &why), &why);
}

static bool parse_flags(struct parser *p)
{
	do {
		struct token name;
		int number = -1, got;

		advance(p);
		name = p->tok;
		if (!is(p, T_ID) && !is_text(p))
			return expected(p, "name of a flag");
		advance(p);
		if (is(p, (enum tok)':')) {
			advance(p);
			if (!is(p, T_NUM) || p->tok.num < 0 || p->tok.num > 31)
				return expected(p, "number of 0 to 31");
			number = (int)p->tok.num;
			advance(p);
		}
		switch (flag_declare(name.text, number, &got)) {
		case 0:
			break;
		case 1:
			load_warning(p->ld, name.pos, "flag %d has a name already", number);
			break;
		case -EEXIST:
			load_error(p->ld, name.pos, "flag '%.*s' is declared already", STR_FMT(name.text));
			break;
		default:
			load_error(p->ld, name.pos, "no flag is left for '%.*s'", STR_FMT(name.text));
			break;
		}
	} while (is(p, (enum tok)','));
	return true;
}

/* group.name = value desc "text", or group[1].name = value; the group was read. */
static bool parse_custom(struct parser *p, struct token group)
{
	struct str name, s, desc = STR_NULL;
	struct diag why = { 0 };
	bool is_int;
	int64_t i;
	int id = 0;

	if (is(p, (enum tok)'[')) {
		advance(p);
		if (!is(p, T_NUM))
			return expected(p, "number of the instance");
		id = (int)p->tok.num;
		advance(p);
		if (!take_tok(p, (enum tok)']', "']'"))
			return false;
	}
	if (!take_tok(p, (enum tok)'.', "'.'"))
		return false;
	if (!is(p, T_ID))
		return expected(p, "name of the variable");
	name = p->tok.text;
	advance(p);
	if (!take_tok(p, (enum tok)'=', "'='"))
		return false;
	if (!is_text(p) && !is(p, T_NUM) && !is(p, (enum tok)'-'))
		return expected(p, "number or text in quotes");
	if (!parse_value(p, &is_int, &i, &s))
		return false;
	if (is_word(p, "desc") || is_word(p, "descr") || is_word(p, "description")) {
		advance(p);
		if (!is_text(p))
			return expected(p, "text in quotes");
		desc = p->tok.text;
		advance(p);
	}
	return host_says(p, group.pos, p->ld->opts->host->custom_var(group.text, id, name, is_int, i, s, desc, &why), &why);
}

static bool parse_coreparam(struct parser *p)
{
	struct diag why = { 0 };
	struct pos pos = p->tok.pos;
	struct str name, full, s;
	bool is_int;
	int64_t i;

	advance(p);
	if (!take_tok(p, (enum tok)'[', "'['"))
		return false;
	if (!is(p, T_ID) && !is_text(p))
		return expected(p, "name");
	name = p->tok.text;
	advance(p);
	if (!take_tok(p, (enum tok)']', "']'") || !take_tok(p, (enum tok)'=', "'='") || !parse_value(p, &is_int, &i, &s))
		return false;
	if (pool_printf(p->ld->keep, &full, "coreparam[%.*s]", STR_FMT(name)) < 0)
		return false;
	return host_says(p, pos, p->ld->opts->host->param(full, is_int, i, s, &why), &why);
}

static bool parse_item(struct parser *p)
{
	struct token word = p->tok;
	struct diag why = { 0 };
	struct str s;
	bool is_int;
	int64_t i;
	int route = route_word_at(p);

	if (is(p, (enum tok)';')) {
		advance(p);
		return true;
	}
	if (!is(p, T_ID))
		return expected(p, "parameter, module or route");
	if (route >= 0)
		return parse_route(p, route);
	if (is_word(p, "loadmodule") || is_word(p, "loadmodulex"))
		return parse_loadmodule(p, word.text.n > 10);
	if (is_word(p, "modparam") || is_word(p, "modparamx"))
		return parse_modparam(p, word.text.n > 8);
	if (is_word(p, "flags") || is_word(p, "bool") || is_word(p, "avpflags"))
		return parse_flags(p);
	if (is_word(p, "coreparam"))
		return parse_coreparam(p);
	advance(p);
	if (str_eq(word.text, STR_LIT("loadpath")) || str_eq(word.text, STR_LIT("mpath")) ||
	    str_eq(word.text, STR_LIT("cfgengine"))) {
		struct token value;

		if (is(p, (enum tok)'='))
			advance(p);
		value = p->tok;
		if (!is_text(p))
			return expected(p, "text in quotes");
		if (word.text.s[0] == 'c') {
			if (!str_eq(value.text, STR_LIT("native")) && !str_eq(value.text, STR_LIT("default")))
				load_error(p->ld, value.pos, "script engine \"%.*s\" is not supported", STR_FMT(value.text));
		} else {
			host_says(p, value.pos, p->ld->opts->host->load_path(value.text, &why), &why);
		}
		advance(p);
		return true;
	}
	if (is(p, (enum tok)'.') || is(p, (enum tok)'['))
		return parse_custom(p, word);
	if (!is(p, (enum tok)'=')) {
		if (is(p, (enum tok)'{') || is(p, (enum tok)'('))
			load_error(p->ld, word.pos, "'%.*s' cannot stand outside of a route", STR_FMT(word.text));
		else
			load_error(p->ld, word.pos, "unknown item '%.*s'", STR_FMT(word.text));
		return false;
	}
	if (str_eq(word.text, STR_LIT("listen")))
		return parse_listen(p);
	if (str_eq(word.text, STR_LIT("alias")) || str_eq(word.text, STR_LIT("domain")))
		return parse_alias(p);
	if (str_eq(word.text, STR_LIT("socket")))
		return parse_socket(p);
	advance(p);
	if (!parse_value(p, &is_int, &i, &s))
		return false;
	return host_says(p, word.pos, p->ld->opts->host->param(word.text, is_int, i, s, &why), &why);
}

/* To where the next item may begin. */
static void skip_item(struct parser *p)
{
	unsigned depth = 0;
	bool first = true;

	while (!is(p, T_EOF)) {
		if (!first && depth == 0 && is(p, T_ID) && is_item_word(p->tok.text))
			return;
		first = false;
		if (is(p, (enum tok)'{')) {
			depth++;
		} else if (is(p, (enum tok)'}') && depth > 0 && --depth == 0) {
			advance(p);
			return;
		}
		advance(p);
	}
}

int parse_script(struct loader *ld, struct lexer *lx, struct parsed *ret)
{
	struct parser p = { .ld = ld, .lx = lx, .out = ret };

	ret->tail = &ret->routes;
	advance(&p);
	while (!is(&p, T_EOF) && !ld->stop) {
		if (!parse_item(&p) && !ld->stop)
			skip_item(&p);
	}
	return ld->n_errors > 0 ? -EBADMSG : 0;
}
