/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions by precedence climbing, and the core's commands that are words of the grammar (their arguments need no quotes,
 * so each shape of arguments has its own reader). Both stand wherever a value or a statement does.
 */
#include "core/script/parser_priv.h"

#include "core/base/num.h"

/* ---- expressions ---- */

static struct node *parse_level(struct parser *p, unsigned level);
static struct node *parse_command(struct parser *p, const struct command *cmd);

struct node *parser_expr(struct parser *p)
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
		if (tok_is(p, binaries[i].tok) && (!binaries[i].word || str_eq(p->tok.text, str_lit(binaries[i].word))))
			return &binaries[i];
	return NULL;
}

static int cond_operand_at(const struct parser *p)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(cond_words); i++)
		if (tok_is_word(p, cond_words[i].word))
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

	if (tok_is(p, T_IP)) {
		n = parser_node(p, N_IPCONST);
		text = p->tok.text;
		tok_advance(p);
		if (tok_is(p, (enum tok)'/')) {
			tok_advance(p);
			if (!tok_is(p, T_IP) && !tok_is(p, T_NUM)) {
				parser_expected(p, "mask or number of bits");
				return NULL;
			}
			if (pool_printf(p->ld->pool, &text, "%.*s/%.*s", STR_FMT(text), STR_FMT(p->tok.text)) < 0)
				text = STR_NULL;
			tok_advance(p);
		}
		n->text = text;
		return n;
	}
	if (tok_is(p, T_ID) && tok_peek(p) != (enum tok)'(') {
		n = parser_node(p, N_STR);
		text = p->tok.text;
		tok_advance(p);
		while (tok_is(p, (enum tok)'.') || tok_is(p, (enum tok)'-')) {
			char c = (char)p->tok.kind;

			tok_advance(p);
			if (!tok_is(p, T_ID) && !tok_is(p, T_NUM) && !tok_is(p, T_NUM_ID)) {
				parser_expected(p, "host name");
				return NULL;
			}
			if (pool_printf(p->ld->pool, &text, "%.*s%c%.*s", STR_FMT(text), c, STR_FMT(p->tok.text)) < 0)
				text = STR_NULL;
			tok_advance(p);
		}
		n->text = load_dup(p->ld, text);
		return n;
	}
	return parse_level(p, 10);
}

static struct node *parse_cond(struct parser *p, enum cond_operand op)
{
	struct node *n = parser_node(p, N_COND), *right;
	const struct binary_row *row;
	bool allowed;

	n->op = op;
	tok_advance(p);
	row = binary_at(p);
	if (COND_IS_TEXT(op) || COND_IS_IP(op))
		allowed = row && (row->op == O_EQ || row->op == O_NE || row->op == O_SEQ || row->op == O_SNE || row->op == O_MATCH);
	else
		allowed = row && (row->level == 9 || row->level == 10) && row->op != O_MATCH && row->op != O_IEQ && row->op != O_INE;
	if (allowed && (op == C_PROTO || op == C_SND_PROTO || op == C_TO_PROTO))
		allowed = row->level == 9;
	if (!allowed) {
		parser_expected(p, "comparison");
		return NULL;
	}
	n->num = row->op == O_SEQ ? O_EQ : row->op == O_SNE ? O_NE : row->op;
	tok_advance(p);
	if (tok_is_word(p, "myself")) {
		if (!COND_IS_IP(op) && !COND_IS_TEXT(op)) {
			parser_expected(p, "number");
			return NULL;
		}
		if (op == C_METHOD || n->num == O_MATCH) {
			parser_expected(p, "text");
			return NULL;
		}
		n->a = parser_node(p, N_MYSELF);
		tok_advance(p);
		return n;
	}
	if (COND_IS_IP(op)) {
		right = parse_ip_right(p);
	} else if ((op == C_PROTO || op == C_SND_PROTO || op == C_TO_PROTO) && tok_is(p, T_ID) && proto_word(p->tok.text) >= 0) {
		right = parser_num_node(p, p->tok.pos, proto_word(p->tok.text));
		tok_advance(p);
	} else if ((op == C_PROTO || op == C_SND_PROTO || op == C_TO_PROTO) && tok_is(p, (enum tok)'*')) {
		right = parser_num_node(p, p->tok.pos, 0);
		tok_advance(p);
	} else if (op == C_METHOD && tok_is(p, T_ID) && !command_find(p->tok.text) && tok_peek(p) != (enum tok)'(') {
		right = parser_str_node(p, p->tok.pos, p->tok.text);
		tok_advance(p);
	} else {
		right = parse_level(p, row->level + 1);
	}
	n->a = right;
	return right ? n : NULL;
}

/* myself == uri */
static struct node *parse_myself(struct parser *p)
{
	struct node *n = parser_node(p, N_COND);
	const struct binary_row *row;
	int op;

	tok_advance(p);
	row = binary_at(p);
	if (!row || (row->op != O_EQ && row->op != O_NE && row->op != O_SEQ && row->op != O_SNE)) {
		parser_expected(p, "'==' or '!='");
		return NULL;
	}
	n->num = row->op == O_EQ || row->op == O_SEQ ? O_EQ : O_NE;
	tok_advance(p);
	op = cond_operand_at(p);
	if (op < 0 || op == C_METHOD || (!COND_IS_TEXT(op) && !COND_IS_IP(op))) {
		parser_expected(p, "uri, from_uri, to_uri or an address");
		return NULL;
	}
	n->op = (uint8_t)op;
	n->a = parser_node(p, N_MYSELF);
	tok_advance(p);
	return n;
}

static struct node *parse_args(struct parser *p, struct node *call)
{
	if (!parser_take(p, (enum tok)'(', "'('"))
		return NULL;
	if (tok_is(p, (enum tok)')')) {
		tok_advance(p);
		return call;
	}
	for (;;) {
		struct node *arg = parser_expr(p);

		if (!arg)
			return NULL;
		parser_arg_add(call, arg);
		if (tok_is(p, (enum tok)',')) {
			tok_advance(p);
			continue;
		}
		break;
	}
	return parser_take(p, (enum tok)')', "')' or ','") ? call : NULL;
}

/* route(X): X may be a bare word */
static struct node *parse_route_call(struct parser *p)
{
	struct node *n = parser_node(p, N_ROUTE);

	tok_advance(p);
	if (!parser_take(p, (enum tok)'(', "'('"))
		return NULL;
	if ((tok_is(p, T_ID) || tok_is(p, T_NUM_ID)) && tok_peek(p) == (enum tok)')') {
		n->a = parser_str_node(p, p->tok.pos, p->tok.text);
		tok_advance(p);
	} else if (tok_is(p, T_NUM) && tok_peek(p) == (enum tok)')') {
		n->a = parser_str_node(p, p->tok.pos, p->tok.text);
		tok_advance(p);
	} else {
		n->a = parser_expr(p);
	}
	if (!n->a || !parser_take(p, (enum tok)')', "')'"))
		return NULL;
	return n;
}

/* strlen(e), strempty(e), selval(c, a, b) */
static struct node *parse_builtin(struct parser *p)
{
	struct node *n = parser_node(p, N_UNARY), *call;
	bool selval = tok_is_word(p, "selval");
	unsigned want = selval ? 3 : 1;

	n->op = tok_is_word(p, "strlen") ? O_STRLEN : O_STREMPTY;
	tok_advance(p);
	call = parser_node(p, N_CALL);
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

	tok_advance(p);
	if ((tok_is(p, T_PVAR) || tok_is(p, T_SELECT)) && tok_peek(p) == (enum tok)'=') {
		assign = parser_node(p, N_ASSIGNEXPR);
		assign->a = parser_node(p, N_PV);
		assign->a->text = p->tok.text;
		assign->a->compat = p->tok.compat;
		tok_advance(p);
		tok_advance(p);
		assign->b = parser_expr(p);
		if (!assign->b)
			return NULL;
		n = assign;
	} else {
		n = parser_expr(p);
	}
	if (!n || !parser_take(p, (enum tok)')', "')'"))
		return NULL;
	return n;
}

struct node *parser_primary(struct parser *p)
{
	const struct command *cmd;
	struct node *n;
	int op;

	switch ((int)p->tok.kind) {
	case T_NUM:
		n = parser_num_node(p, p->tok.pos, p->tok.num);
		tok_advance(p);
		return n;
	case T_STR:
	case T_STR_SINGLE:
		n = parser_str_node(p, p->tok.pos, p->tok.text);
		tok_advance(p);
		return n;
	case T_PVAR:
	case T_SELECT:
		n = parser_node(p, N_PV);
		n->text = p->tok.text;
		n->flag = tok_is(p, T_SELECT);
		n->compat = p->tok.compat;
		tok_advance(p);
		return n;
	case '(':
		return parse_paren(p);
	case '{':
		n = parser_node(p, N_BLOCKEXPR);
		n->a = parser_block(p);
		return n->a ? n : NULL;
	case T_ID:
		break;
	default:
		parser_expected(p, "value");
		return NULL;
	}
	op = cond_operand_at(p);
	if (op >= 0)
		return parse_cond(p, (enum cond_operand)op);
	if (tok_is_word(p, "myself"))
		return parse_myself(p);
	if ((tok_is_word(p, "null") || tok_is_word(p, "NULL")) && tok_peek(p) != (enum tok)'(') {
		/* old scripts write null for $null */
		n = parser_node(p, N_NULL);
		tok_advance(p);
		return n;
	}
	if (tok_is_word(p, "strlen") || tok_is_word(p, "strempty") || tok_is_word(p, "selval"))
		return parse_builtin(p);
	if (tok_is_word(p, "route"))
		return parse_route_call(p);
	cmd = command_find(p->tok.text);
	if (cmd)
		return parse_command(p, cmd);
	n = parser_node(p, N_CALL);
	n->text = p->tok.text;
	tok_advance(p);
	if (!tok_is(p, (enum tok)'(')) {
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

	if (tok_is(p, (enum tok)'!') || tok_is_word(p, "not"))
		op = O_NOT;
	else if (tok_is(p, (enum tok)'~'))
		op = O_BNOT;
	else if (tok_is(p, (enum tok)'-'))
		op = O_NEG;
	else if (tok_is_word(p, "defined"))
		op = O_DEFINED;
	else if (tok_is(p, T_CAST_INT))
		op = O_CAST_INT;
	else if (tok_is(p, T_CAST_STR))
		op = O_CAST_STR;
	if (op == O_NONE)
		return parser_primary(p);
	if (p->nest >= NEST_MAX) {
		load_error(p->ld, p->tok.pos, "nested deeper than %u", NEST_MAX);
		return NULL;
	}
	n = parser_node(p, N_UNARY);
	n->op = op;
	tok_advance(p);
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
		n = parser_node(p, N_BINARY);
		n->op = row->op;
		tok_advance(p);
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

	if (!tok_is_text(p)) {
		parser_expected(p, "text in quotes");
		return NULL;
	}
	n = parser_str_node(p, p->tok.pos, p->tok.text);
	tok_advance(p);
	return n;
}

static struct node *cmd_number(struct parser *p)
{
	struct node *n;
	bool minus = tok_is(p, (enum tok)'-');

	if (minus)
		tok_advance(p);
	if (!tok_is(p, T_NUM)) {
		parser_expected(p, "number");
		return NULL;
	}
	n = parser_num_node(p, p->tok.pos, minus ? -p->tok.num : p->tok.num);
	tok_advance(p);
	return n;
}

static struct node *cmd_flag(struct parser *p)
{
	struct node *n;
	int number;

	if (tok_is(p, T_NUM)) {
		if (p->tok.num < 0 || p->tok.num > 31) {
			load_error(p->ld, p->tok.pos, "flag number of 0 to 31 expected");
			return NULL;
		}
		return cmd_number(p);
	}
	if (!tok_is(p, T_ID) && !tok_is_text(p)) {
		parser_expected(p, "flag");
		return NULL;
	}
	number = script_flag_find(p->tok.text);
	if (number < 0) {
		load_error(p->ld, p->tok.pos, "flag '%.*s' is not declared", STR_FMT(p->tok.text));
		return NULL;
	}
	n = parser_num_node(p, p->tok.pos, number);
	tok_advance(p);
	return n;
}

/* These have names only. */
static struct node *cmd_avp_flag(struct parser *p)
{
	struct node *n;
	int number;

	if (!tok_is(p, T_ID) && !tok_is_text(p)) {
		parser_expected(p, "name of an attribute's flag");
		return NULL;
	}
	number = flag_find(p->ld->script, FLAGS_AVP, p->tok.text);
	if (number < 0) {
		load_error(p->ld, p->tok.pos, "flag '%.*s' is not declared by avpflags", STR_FMT(p->tok.text));
		return NULL;
	}
	n = parser_num_node(p, p->tok.pos, number);
	tok_advance(p);
	return n;
}

/* Words up to ')' or ',' as one text: host names and sockets without quotes. */
static struct node *cmd_bare(struct parser *p)
{
	struct node *n;
	struct strbuf sb;

	if (tok_is_text(p))
		return cmd_text(p);
	n = parser_node(p, N_STR);
	strbuf_init_pool(&sb, p->ld->pool, 1024);
	while (tok_is(p, T_ID) || tok_is(p, T_NUM) || tok_is(p, T_NUM_ID) || tok_is(p, T_IP) || tok_is(p, (enum tok)'.') || tok_is(p, (enum tok)'-') ||
	       tok_is(p, (enum tok)':')) {
		strbuf_add(&sb, p->tok.text);
		tok_advance(p);
	}
	n->text = load_dup(p->ld, strbuf_str(&sb));
	if (n->text.n == 0) {
		parser_expected(p, "address");
		return NULL;
	}
	return n;
}

static bool cmd_args(struct parser *p, const struct command *cmd, struct node *call)
{
	struct node *a = NULL, *b = NULL;
	struct pos pos = p->tok.pos;
	bool compat = p->tok.compat;
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
		proto = tok_is(p, T_ID) || tok_is_text(p) ? proto_word(p->tok.text) : -1;
		if (proto < 0)
			return parser_expected(p, "protocol");
		a = parser_num_node(p, pos, proto);
		tok_advance(p);
		break;
	case CMD_DEST:
		if (tok_is_word(p, "uri:host")) {
			a = parser_str_node(p, pos, STR_LIT(""));
			tok_advance(p);
		} else {
			a = cmd_bare(p);
		}
		b = parser_num_node(p, pos, 0);
		if (a && tok_is(p, (enum tok)',')) {
			tok_advance(p);
			if (tok_is_word(p, "uri:port"))
				tok_advance(p);
			else
				b = cmd_number(p);
		}
		break;
	case CMD_LOG:
		if (tok_is(p, T_NUM) || tok_is(p, (enum tok)'-')) {
			a = cmd_number(p);
			if (!a || !parser_take(p, (enum tok)',', "','"))
				return false;
		} else {
			a = parser_num_node(p, pos, 4);
		}
		b = cmd_text(p);
		break;
	case CMD_STR_STR:
		a = cmd_text(p);
		if (a && parser_take(p, (enum tok)',', "','"))
			b = cmd_text(p);
		break;
	case CMD_STR_INT:
		a = cmd_text(p);
		if (a && parser_take(p, (enum tok)',', "','"))
			b = parser_expr(p);
		break;
	case CMD_AVP_FLAG:
		if (tok_is(p, T_PVAR)) {
			a = parser_str_node(p, pos, p->tok.text);
			a->compat = p->tok.compat;
			tok_advance(p);
		} else {
			a = cmd_text(p);
			if (a)
				a->compat = compat && a->text.n > 0 && a->text.s[0] == '$';
		}
		if (a && a->compat)
			(void)legacy_name(p->ld, pos, &a->text, false);
		if (a && parser_take(p, (enum tok)',', "','"))
			b = cmd_avp_flag(p);
		break;
	}
	if (!a)
		return false;
	parser_arg_add(call, a);
	if (cmd->shape == CMD_DEST || cmd->shape == CMD_LOG || cmd->shape == CMD_STR_STR || cmd->shape == CMD_STR_INT ||
	    cmd->shape == CMD_AVP_FLAG) {
		if (!b)
			return false;
		parser_arg_add(call, b);
	}
	return true;
}

static struct node *parse_command(struct parser *p, const struct command *cmd)
{
	struct node *n = parser_node(p, N_CALL);
	bool optional = cmd->shape == CMD_NONE || cmd->shape == CMD_DEST || cmd->shape == CMD_OPT_NUM;

	n->text = str_lit(cmd->name);
	n->command = cmd;
	tok_advance(p);
	if (!tok_is(p, (enum tok)'(')) {
		if (!optional) {
			parser_expected(p, "'('");
			return NULL;
		}
	} else {
		tok_advance(p);
		if (tok_is(p, (enum tok)')')) {
			if (!optional) {
				parser_expected(p, "argument");
				return NULL;
			}
		} else if (cmd->shape == CMD_NONE || !cmd_args(p, cmd, n)) {
			if (cmd->shape == CMD_NONE)
				parser_expected(p, "')'");
			return NULL;
		}
		if (!parser_take(p, (enum tok)')', "')'"))
			return NULL;
	}
	if (n->n == 0 && cmd->shape == CMD_DEST) {
		parser_arg_add(n, parser_str_node(p, n->pos, STR_LIT("")));
		parser_arg_add(n, parser_num_node(p, n->pos, 0));
	} else if (n->n == 0 && cmd->shape == CMD_OPT_NUM) {
		parser_arg_add(n, parser_num_node(p, n->pos, 0));
	}
	return n;
}
