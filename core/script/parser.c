/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens to the tree: the items of a script (parameters, modules, routes). Expressions, statements and sockets have files of
 * their own. What concerns the whole program (modules, parameters, sockets, names) is told to the host in the order of the
 * text, since defines and the meaning of what follows depend on it. After a syntax error an item is skipped, so that one run
 * can report all.
 */
#include "core/script/parser_priv.h"

#include <string.h>

#include "core/base/num.h"

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
		if (tok_is_word(p, route_words[i].word))
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

	tok_advance(p);
	name_pos = p->tok.pos;
	if (tok_is(p, (enum tok)'[') && route_words[word].named) {
		if (kind == CTX_EVENT) {
			if (lexer_raw_until(p->lx, ']', &p->tok) < 0)
				return false;
			if (str_find_char(p->tok.text, ':') <= 0) {
				load_error(p->ld, p->tok.pos, "name of an event expected, like \"tm:local-request\"");
				return false;
			}
		} else {
			tok_advance(p);
			if (!tok_is(p, T_ID) && !tok_is(p, T_NUM) && !tok_is(p, T_NUM_ID) && !tok_is_text(p))
				return parser_expected(p, "name of the route");
		}
		name_pos = p->tok.pos;
		name = p->tok.text;
		tok_advance(p);
		if (!parser_take(p, (enum tok)']', "']'"))
			return false;
		if (str_eq(name, STR_LIT("0")) && (kind == CTX_REQUEST || kind == CTX_ONREPLY))
			name = STR_NULL;
	} else if (!route_words[word].unnamed) {
		return parser_expected(p, "'['");
	}
	if (kind == CTX_ONREPLY)
		kind = name.n > 0 ? CTX_TM_REPLY : CTX_CORE_REPLY;
	body = parser_block(p);
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

/* A value of a parameter: number, text, word or address. */
static bool parse_value(struct parser *p, bool *ret_is_int, int64_t *ret_i, struct str *ret_s)
{
	bool minus = tok_is(p, (enum tok)'-');
	struct str text;

	*ret_s = STR_NULL;
	*ret_i = 0;
	*ret_is_int = false;
	if (minus)
		tok_advance(p);
	if (tok_is(p, T_NUM)) {
		*ret_is_int = true;
		*ret_i = minus ? -p->tok.num : p->tok.num;
		tok_advance(p);
		return true;
	}
	if (minus)
		return parser_expected(p, "number");
	if (tok_is_text(p)) {
		*ret_s = p->tok.text;
		tok_advance(p);
		return true;
	}
	if (!tok_is(p, T_ID) && !tok_is(p, T_IP) && !tok_is(p, T_NUM_ID) && !tok_is(p, (enum tok)'/'))
		return parser_expected(p, "value");
	text = p->tok.text;
	tok_advance(p);
	/* sip.example.com, /dev/poll */
	while (tok_is(p, (enum tok)'.') || tok_is(p, (enum tok)'-') || tok_is(p, (enum tok)'/') ||
	       (text.n > 0 && strchr(".-/", text.s[text.n - 1]) && (tok_is(p, T_ID) || tok_is(p, T_NUM) || tok_is(p, T_NUM_ID)))) {
		if (pool_printf(p->ld->pool, &text, "%.*s%.*s", STR_FMT(text), STR_FMT(p->tok.text)) < 0)
			return false;
		tok_advance(p);
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

/* Without directory and ending. */
static struct str module_base(struct str name)
{
	if (str_rfind_char(name, '/') >= 0)
		name = str_sub(name, (size_t)str_rfind_char(name, '/') + 1, name.n);
	if (str_ends(name, STR_LIT(".so")))
		name.n -= 3;
	return name;
}

/* What it brings is compiled as if it were there, so that one run tells all that is wrong. */
static void load_module(struct parser *p, struct pos pos, struct str name, struct str opts)
{
	struct str base = module_base(name), define;
	const struct renamed *r = renamed_find(DIAG_MODULE, STR_NULL, base);
	struct diag why = { 0 };
	int err;

	if (r)
		load_old_name(p->ld, pos, r);
	if (r && !r->now[0]) {
		load_gone_module(p->ld, base);
	} else {
		err = p->ld->opts->host->load_module(r ? str_lit(r->now) : name, opts, &why);
		if (err < 0 && why.kind == DIAG_MODULE)
			load_missing_module(p->ld, pos, base, &why);
		else
			parser_host_says(p, pos, err, &why);
	}
	if (pool_printf(p->ld->pool, &define, "MOD_%.*s", STR_FMT(base)) == 0 && lexer_define(p->lx, define, STR_NULL, false, true) < 0)
		load_error(p->ld, pos, "out of memory");
}

/* Loads while its last token is the current one: what follows may be a directive that asks for MOD_name. */
static bool parse_loadmodule(struct parser *p, bool x)
{
	struct token name;
	struct str opts = STR_NULL;
	bool paren;

	tok_advance(p);
	paren = tok_is(p, (enum tok)'(');
	if (paren)
		tok_advance(p);
	if (!tok_is_text(p))
		return parser_expected(p, "name of a module in quotes");
	name = p->tok;
	if (paren) {
		tok_advance(p);
		if (tok_is(p, (enum tok)',')) {
			tok_advance(p);
			if (!tok_is_text(p))
				return parser_expected(p, "options in quotes");
			opts = p->tok.text;
			tok_advance(p);
		}
		if (!tok_is(p, (enum tok)')'))
			return parser_expected(p, "')'");
	}
	if (x)
		name.text = expand_now(p, name.pos, name.text);
	load_module(p, name.pos, name.text, opts);
	tok_advance(p);
	return true;
}

/* Everything is known: tells the host, under the new name when it is an old one. */
static void set_modparam(struct parser *p, const struct token *mod, struct str name, bool is_int, int64_t i, struct str s)
{
	bool missing = load_missing_modparam(p->ld, mod->pos, mod->text, name);
	const struct renamed *r;
	struct diag why = { 0 };
	int err = p->ld->opts->host->modparam(mod->text, name, is_int, i, s, &why);

	if (err < 0 && missing && why.kind == DIAG_MODULE)
		return; /* told under the module */
	r = err < 0 && why.kind == DIAG_MODPARAM ? renamed_find(DIAG_MODPARAM, mod->text, name) : NULL;
	if (r) {
		load_old_name(p->ld, mod->pos, r);
		err = p->ld->opts->host->modparam(mod->text, str_lit(r->now), is_int, i, s, &why);
	}
	parser_host_says(p, mod->pos, err, &why);
}

static void set_param(struct parser *p, const struct token *name, bool is_int, int64_t i, struct str s)
{
	const struct renamed *r;
	struct diag why = { 0 };
	int err = p->ld->opts->host->param(name->text, is_int, i, s, &why);

	r = err < 0 && why.kind == DIAG_PARAMETER ? renamed_find(DIAG_PARAMETER, STR_NULL, name->text) : NULL;
	if (r) {
		load_old_name(p->ld, name->pos, r);
		err = p->ld->opts->host->param(str_lit(r->now), is_int, i, s, &why);
	}
	parser_host_says(p, name->pos, err, &why);
}

static bool parse_modparam(struct parser *p, bool x)
{
	struct token mod, name, value;
	struct diag why = { 0 };
	bool is_int = false;
	int64_t i = 0;
	struct str s = STR_NULL;

	tok_advance(p);
	if (!parser_take(p, (enum tok)'(', "'('"))
		return false;
	mod = p->tok;
	if (!tok_is_text(p))
		return parser_expected(p, "name of a module in quotes");
	tok_advance(p);
	if (!parser_take(p, (enum tok)',', "','"))
		return false;
	name = p->tok;
	if (!tok_is_text(p))
		return parser_expected(p, "name of a parameter in quotes");
	tok_advance(p);
	if (!parser_take(p, (enum tok)',', "','"))
		return false;
	value = p->tok;
	if (x && tok_is(p, T_PVAR)) {
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
		tok_advance(p);
	} else {
		if (!tok_is_text(p) && !tok_is(p, T_NUM) && !tok_is(p, (enum tok)'-'))
			return parser_expected(p, "text in quotes or number");
		if (!parse_value(p, &is_int, &i, &s))
			return false;
	}
	if (!tok_is(p, (enum tok)')'))
		return parser_expected(p, "')'");
	tok_advance(p);
	if (x) {
		mod.text = expand_now(p, mod.pos, mod.text);
		name.text = expand_now(p, name.pos, name.text);
		if (!is_int)
			s = expand_now(p, value.pos, s);
	}
	set_modparam(p, &mod, name.text, is_int, i, s);
	return true;
}

static bool parse_flags(struct parser *p)
{
	enum flag_set set = tok_is_word(p, "avpflags") ? FLAGS_AVP : FLAGS_MSG;

	do {
		struct token name;
		int number = -1;

		tok_advance(p);
		name = p->tok;
		if (!tok_is(p, T_ID) && !tok_is_text(p))
			return parser_expected(p, "name of a flag");
		tok_advance(p);
		if (tok_is(p, (enum tok)':') && set == FLAGS_MSG) {
			tok_advance(p);
			if (!tok_is(p, T_NUM) || p->tok.num < 0 || p->tok.num > 31)
				return parser_expected(p, "number of 0 to 31");
			number = (int)p->tok.num;
			tok_advance(p);
		}
		switch (flag_declare(p->ld->script, set, name.text, number)) {
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
	} while (tok_is(p, (enum tok)','));
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

	if (tok_is(p, (enum tok)'[')) {
		tok_advance(p);
		if (!tok_is(p, T_NUM))
			return parser_expected(p, "number of the instance");
		id = (int)p->tok.num;
		tok_advance(p);
		if (!parser_take(p, (enum tok)']', "']'"))
			return false;
	}
	if (!parser_take(p, (enum tok)'.', "'.'"))
		return false;
	if (!tok_is(p, T_ID))
		return parser_expected(p, "name of the variable");
	name = p->tok.text;
	tok_advance(p);
	if (!parser_take(p, (enum tok)'=', "'='"))
		return false;
	if (!tok_is_text(p) && !tok_is(p, T_NUM) && !tok_is(p, (enum tok)'-'))
		return parser_expected(p, "number or text in quotes");
	if (!parse_value(p, &is_int, &i, &s))
		return false;
	if (tok_is_word(p, "desc") || tok_is_word(p, "descr") || tok_is_word(p, "description")) {
		tok_advance(p);
		if (!tok_is_text(p))
			return parser_expected(p, "text in quotes");
		desc = p->tok.text;
		tok_advance(p);
	}
	return parser_host_says(p, group.pos, p->ld->opts->host->custom_var(group.text, id, name, is_int, i, s, desc, &why), &why);
}

static bool parse_coreparam(struct parser *p)
{
	struct diag why = { 0 };
	struct pos pos = p->tok.pos;
	struct str name, full, s;
	bool is_int;
	int64_t i;

	tok_advance(p);
	if (!parser_take(p, (enum tok)'[', "'['"))
		return false;
	if (!tok_is(p, T_ID) && !tok_is_text(p))
		return parser_expected(p, "name");
	name = p->tok.text;
	tok_advance(p);
	if (!parser_take(p, (enum tok)']', "']'") || !parser_take(p, (enum tok)'=', "'='") || !parse_value(p, &is_int, &i, &s))
		return false;
	if (pool_printf(p->ld->keep, &full, "coreparam[%.*s]", STR_FMT(name)) < 0)
		return false;
	return parser_host_says(p, pos, p->ld->opts->host->param(full, is_int, i, s, &why), &why);
}

static bool parse_item(struct parser *p)
{
	struct token word = p->tok;
	struct diag why = { 0 };
	struct str s;
	bool is_int;
	int64_t i;
	int route = route_word_at(p);

	if (tok_is(p, (enum tok)';')) {
		tok_advance(p);
		return true;
	}
	if (!tok_is(p, T_ID))
		return parser_expected(p, "parameter, module or route");
	if (route >= 0)
		return parse_route(p, route);
	if (tok_is_word(p, "loadmodule") || tok_is_word(p, "loadmodulex"))
		return parse_loadmodule(p, word.text.n > 10);
	if (tok_is_word(p, "modparam") || tok_is_word(p, "modparamx"))
		return parse_modparam(p, word.text.n > 8);
	if (tok_is_word(p, "flags") || tok_is_word(p, "bool") || tok_is_word(p, "avpflags"))
		return parse_flags(p);
	if (tok_is_word(p, "coreparam"))
		return parse_coreparam(p);
	tok_advance(p);
	if (str_eq(word.text, STR_LIT("loadpath")) || str_eq(word.text, STR_LIT("mpath")) ||
	    str_eq(word.text, STR_LIT("cfgengine"))) {
		struct token value;

		if (tok_is(p, (enum tok)'='))
			tok_advance(p);
		value = p->tok;
		if (!tok_is_text(p))
			return parser_expected(p, "text in quotes");
		if (word.text.s[0] == 'c') {
			if (!str_eq(value.text, STR_LIT("native")) && !str_eq(value.text, STR_LIT("default")))
				load_error(p->ld, value.pos, "script engine \"%.*s\" is not supported", STR_FMT(value.text));
		} else {
			parser_host_says(p, value.pos, p->ld->opts->host->load_path(value.text, &why), &why);
		}
		tok_advance(p);
		return true;
	}
	if (tok_is(p, (enum tok)'.') || tok_is(p, (enum tok)'['))
		return parse_custom(p, word);
	if (!tok_is(p, (enum tok)'=')) {
		if (tok_is(p, (enum tok)'{') || tok_is(p, (enum tok)'('))
			load_error(p->ld, word.pos, "'%.*s' cannot stand outside of a route", STR_FMT(word.text));
		else
			load_error(p->ld, word.pos, "unknown item '%.*s'", STR_FMT(word.text));
		return false;
	}
	if (str_eq(word.text, STR_LIT("listen")))
		return parser_listen(p);
	if (str_eq(word.text, STR_LIT("alias")) || str_eq(word.text, STR_LIT("domain")))
		return parser_alias(p);
	if (str_eq(word.text, STR_LIT("socket")))
		return parser_socket(p);
	tok_advance(p);
	if (!parse_value(p, &is_int, &i, &s))
		return false;
	set_param(p, &word, is_int, i, s);
	return true;
}

/* To where the next item may begin. */
static void skip_item(struct parser *p)
{
	unsigned depth = 0;
	bool first = true;

	while (!tok_is(p, T_EOF)) {
		if (!first && depth == 0 && tok_is(p, T_ID) && parser_is_item_word(p->tok.text))
			return;
		first = false;
		if (tok_is(p, (enum tok)'{')) {
			depth++;
		} else if (tok_is(p, (enum tok)'}') && depth > 0 && --depth == 0) {
			tok_advance(p);
			return;
		}
		tok_advance(p);
	}
}

struct parser *parser_new(struct loader *ld, struct lexer *lx, struct parsed *out)
{
	struct parser *p = pool_zalloc(ld->pool, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct parser){ .ld = ld, .lx = lx, .out = out };
	out->tail = &out->routes;
	tok_advance(p);
	return p;
}

bool parser_step(struct parser *p)
{
	if (tok_is(p, T_EOF) || p->ld->stop)
		return false;
	p->ld->item = p->tok.pos;
	if (!parse_item(p) && !p->ld->stop)
		skip_item(p);
	return true;
}
