/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text to tokens. A define's value is given back to the input and read again, so that it may hold any sequence of tokens; the
 * preprocessor (lexer_pp.c) is asked wherever a token may start. Positions are those of the text as written: characters that
 * came from a define count as the place of its use.
 */
#include "core/script/lexer_priv.h"

#include <stdlib.h>

#include "core/base/num.h"
#include "core/net/addr.h"

#define EXPANSIONS_MAX 10000u /* of defines at one place of the text: more is a loop */
#define EXPANDED_MAX 262144u   /* bytes that they leave to be read there */

/* ---- as the parser asks ---- */

void lexer_addr_mode(struct lexer *lx, bool on)
{
	lx->addr_mode = on;
}

void lexer_echo(struct lexer *lx, FILE *out)
{
	lx->echo = out;
}

char lexer_peek_char(struct lexer *lx)
{
	size_t k = 0;

	while (lx_is_blank(lx_at(lx, k)) || lx_at(lx, k) == '\n')
		k++;
	return lx_at(lx, k) < 0 ? 0 : (char)lx_at(lx, k);
}

int lexer_raw_until(struct lexer *lx, char end, struct token *ret_tok)
{
	struct pos pos;
	size_t n = 0;

	while (lx_is_blank(lx_at(lx, 0)))
		lx_take(lx);
	pos = lx_here(lx);
	while (lx_at(lx, n) >= 0 && lx_at(lx, n) != '\n' && lx_at(lx, n) != end)
		n++;
	if (lx_at(lx, n) != end) {
		load_error(lx->ld, pos, "'%c' expected", end);
		return -EBADMSG;
	}
	*ret_tok = (struct token){ .kind = T_STR, .pos = pos, .text = load_dup(lx->ld, str_trim(lx_view(lx, n))) };
	lx_take_n(lx, n);
	return 0;
}

/* ---- tokens ---- */

/* Old attributes: behind n bytes of "$name" or "%name" more belong to it, as "$f.name" and "$name[2]". */
static size_t compat_len(const struct lexer *lx, size_t n)
{
	size_t k;

	if (lx_at(lx, n) == '.' && n <= 3 && lx_is_alpha(lx_at(lx, n + 1)))
		for (n++; lx_is_alnum(lx_at(lx, n));)
			n++;
	if (lx_at(lx, n) != '[')
		return n;
	for (k = n + 1; lx_is_digit(lx_at(lx, k)) || (k == n + 1 && lx_at(lx, k) == '-');)
		k++;
	return k > n + 1 && lx_at(lx, k) == ']' ? k + 1 : n;
}

static void read_pvar(struct lexer *lx, struct token *tok)
{
	size_t n = 1;
	unsigned depth = 0;

	if (lx_at(lx, 1) == '?') {
		n = 2;
	} else {
		while (lx_is_alnum(lx_at(lx, n)))
			n++;
		if (!lx->native && n > 1 && lx_at(lx, n) != '(')
			n = compat_len(lx, n);
		if (lx_at(lx, n) == '(') {
			do {
				int c = lx_at(lx, n);

				if (c < 0 || c == '\n') {
					load_error(lx->ld, tok->pos, "')' of the variable missing");
					tok->kind = T_ERROR;
					return;
				}
				depth += c == '(';
				depth -= c == ')';
				n++;
			} while (depth > 0);
		}
	}
	if (n < 2) {
		load_error(lx->ld, tok->pos, "name of a variable expected behind '$'");
		tok->kind = T_ERROR;
		return;
	}
	tok->kind = T_PVAR;
	tok->text = load_dup(lx->ld, subst_apply(lx->ld, lx->substs, str_dup(lx->ld->pool, lx_view(lx, n))));
	lx_take_n(lx, n);
}

static void read_select(struct lexer *lx, struct token *tok)
{
	struct str text;
	size_t n = 1;

	while (lx_is_alnum(lx_at(lx, n)) || lx_at(lx, n) == '.' || lx_at(lx, n) == '[') {
		if (lx_at(lx, n) == '[') {
			while (lx_at(lx, n) >= 0 && lx_at(lx, n) != '\n' && lx_at(lx, n) != ']')
				n++;
			if (lx_at(lx, n) != ']')
				break;
		}
		n++;
	}
	if (n < 2 || !lx_is_alpha(lx_at(lx, 1))) {
		load_error(lx->ld, tok->pos, "name of a select expected behind '@'");
		tok->kind = T_ERROR;
		return;
	}
	tok->kind = T_SELECT;
	if (pool_printf(lx->ld->pool, &text, "$sel(%.*s)", (int)(n - 1), lx_view(lx, n).s + 1) < 0)
		text = STR_NULL;
	tok->text = load_dup(lx->ld, subst_apply(lx->ld, lx->substs, text));
	lx_take_n(lx, n);
}

/* An address at the start of the unread text: its length, or 0. */
static size_t ip_at(const struct lexer *lx)
{
	struct net_addr a;
	size_t n = 0;
	unsigned dots = 0, colons = 0;

	if (lx_at(lx, 0) == '[') {
		for (n = 1; lx_is_hex(lx_at(lx, n)) || lx_at(lx, n) == ':' || lx_at(lx, n) == '.'; n++)
			colons += lx_at(lx, n) == ':';
		if (lx_at(lx, n) != ']' || colons < 2)
			return 0;
		n++;
		return net_addr_parse(lx_view(lx, n), 0, &a) == 0 ? n : 0;
	}
	if (lx_is_digit(lx_at(lx, 0))) {
		for (n = 0; lx_is_digit(lx_at(lx, n)) || lx_at(lx, n) == '.'; n++)
			dots += lx_at(lx, n) == '.';
		if (dots == 3 && !lx_is_alpha(lx_at(lx, n)) && net_addr_parse(lx_view(lx, n), 0, &a) == 0)
			return n;
	}
	if (lx_is_hex(lx_at(lx, 0)) || (lx_at(lx, 0) == ':' && lx_at(lx, 1) == ':')) {
		dots = 0;
		for (n = 0; lx_is_hex(lx_at(lx, n)) || lx_at(lx, n) == ':'; n++)
			colons += lx_at(lx, n) == ':';
		if (colons >= 2 && !lx_is_alnum(lx_at(lx, n)) && net_addr_parse(lx_view(lx, n), 0, &a) == 0)
			return n;
	}
	return 0;
}

static void read_number(struct lexer *lx, struct token *tok)
{
	size_t n = 0, i;
	struct str t;
	uint64_t v = 0;
	int err = 0;

	while (lx_is_alnum(lx_at(lx, n)))
		n++;
	t = load_dup(lx->ld, lx_view(lx, n)); /* a number may be the name of a route */
	lx_take_n(lx, n);
	tok->text = t;
	tok->kind = T_NUM;
	if (t.n > 2 && t.s[0] == '0' && (t.s[1] == 'x' || t.s[1] == 'X')) {
		err = num_hex_u64(str_sub(t, 2, t.n), &v);
	} else if (t.n > 1 && t.s[t.n - 1] == 'b' && strspn(t.s, "01") == t.n - 1) {
		for (i = 0; i + 1 < t.n; i++)
			v = v * 2 + (uint64_t)(t.s[i] - '0');
		err = t.n > 64 ? -ERANGE : 0;
	} else if (t.n > 1 && t.s[0] == '0' && strspn(t.s, "01234567") == t.n) {
		for (i = 1; i < t.n; i++)
			v = v * 8 + (uint64_t)(t.s[i] - '0');
		err = t.n > 21 ? -ERANGE : 0;
	} else if (strspn(t.s, "0123456789") == t.n && (t.n == 1 || t.s[0] != '0')) {
		err = num_u64(t, &v);
	} else {
		err = -EBADMSG;
	}
	if (err == -ERANGE || (err == 0 && v > INT64_MAX)) {
		load_error(lx->ld, tok->pos, "number out of range: %.*s", STR_FMT(t));
		tok->kind = T_ERROR;
	} else if (err < 0 && strspn(t.s, "0123456789") == t.n) {
		load_error(lx->ld, tok->pos, "not a number: %.*s (a leading 0 means octal)", STR_FMT(t));
		tok->kind = T_ERROR;
	} else if (err < 0) {
		tok->kind = T_NUM_ID;
	}
	tok->num = (int64_t)v;
}

/* clang-format off */
static const struct { const char *word; int value; } number_words[] = {
	{ "yes", 1 }, { "true", 1 }, { "on", 1 }, { "enable", 1 }, { "no", 0 }, { "false", 0 }, { "off", 0 }, { "disable", 0 },
	{ "inet", AF_INET }, { "INET", AF_INET }, { "ipv4", AF_INET }, { "IPv4", AF_INET }, { "IPV4", AF_INET },
	{ "inet6", AF_INET6 }, { "INET6", AF_INET6 }, { "ipv6", AF_INET6 }, { "IPv6", AF_INET6 }, { "IPV6", AF_INET6 },
};

/* Words that a define does not replace. */
static const char *const reserved[] = {
	"route", "request_route", "failure_route", "branch_route", "onsend_route", "onreply_route", "reply_route", "event_route",
	"if", "else", "switch", "case", "default", "while", "break", "return", "exit", "drop", "and", "or", "not", "eq", "ne",
	"ieq", "ine", "mod", "defined", "strlen", "strempty", "selval", "loadmodule", "loadmodulex", "loadpath", "mpath",
	"modparam", "modparamx", "cfgengine", "flags", "bool", "avpflags", "listen", "alias", "domain", "socket", "method",
	"uri", "status", "from_uri", "to_uri", "src_ip", "dst_ip", "src_port", "dst_port", "proto", "af", "myself",
};
/* clang-format on */

static bool is_reserved(struct str w)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_eq(w, str_lit(reserved[i])))
			return true;
	return command_find(w) != NULL;
}

/* Replaces the next n bytes by the value of the define. One that has no end is told once, and empty from then on. */
static int expand(struct lexer *lx, size_t n, struct define *d)
{
	struct pos pos = lx_here(lx);
	unsigned expanded = lx->src->expanded + 1;
	bool endless = expanded > EXPANSIONS_MAX || lx->src->pushed + d->value.n > EXPANDED_MAX;

	lx_take_n(lx, n);
	if (endless || d->value.n > lx->may_expand) {
		load_error(lx->ld, pos, "define '%.*s' %s", STR_FMT(d->name),
			   endless ? "refers to itself, or grows without end" : "is one too many: defines made many times the text that was read");
		d->value = STR_NULL;
		lx_take_n(lx, lx->src->pushed);
		return -ELOOP;
	}
	lx->src->expanded = expanded;
	lx->may_expand -= d->value.n;
	if (d->value.n > 0 && lexer_push_back(lx, d->value) < 0) {
		load_error(lx->ld, pos, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

/* include_file and import_file are no addresses, also where addresses stand. */
static bool at_include(struct lexer *lx)
{
	return (lx_looking_at(lx, "include_file") && !lx_is_alnum(lx_at(lx, 12))) || (lx_looking_at(lx, "import_file") && !lx_is_alnum(lx_at(lx, 11)));
}

/* Returns false when it was a define that was replaced, or an include: read on. */
static bool read_word_token(struct lexer *lx, struct token *tok)
{
	struct define *d;
	size_t n = 0, i;
	struct str w;

	while (lx_is_alnum(lx_at(lx, n)))
		n++;
	w = lx_view(lx, n);
	if (str_eq(w, STR_LIT("include_file")) || str_eq(w, STR_LIT("import_file"))) {
		bool import = w.s[1] == 'm', echo = lx->echo_off;

		lx->echo_off = true;
		lx_take_n(lx, n);
		lexer_include(lx, import);
		lx->echo_off = echo;
		return false;
	}
	/* "msg:len", "uri:host" and "uri:port" are one word each */
	if ((str_eq(w, STR_LIT("msg")) && lx_looking_at(lx, "msg:len") && !lx_is_alnum(lx_at(lx, 7))) ||
	    (str_eq(w, STR_LIT("uri")) && (lx_looking_at(lx, "uri:host") || lx_looking_at(lx, "uri:port")) &&
	     !lx_is_alnum(lx_at(lx, 8))))
		n = w.s[0] == 'm' ? 7 : 8;
	else if (!is_reserved(w) && (d = lexer_define_find(lx, w)) != NULL) {
		if (expand(lx, n, d) < 0) {
			tok->kind = T_ERROR;
			return true;
		}
		return false;
	}
	tok->kind = T_ID;
	tok->text = load_dup(lx->ld, lx_view(lx, n));
	lx_take_n(lx, n);
	for (i = 0; i < ARRAY_LEN(number_words); i++) {
		if (str_eq(tok->text, str_lit(number_words[i].word))) {
			tok->kind = T_NUM;
			tok->num = number_words[i].value;
		}
	}
	return true;
}

/* A word of an address: segments may be defines. Returns false when nothing was read (an empty define). */
static bool read_addr(struct lexer *lx, struct token *tok)
{
	struct strbuf sb;
	unsigned depth = 0;
	bool v6 = false;

	strbuf_init_pool(&sb, lx->ld->pool, 1024);
	for (;;) {
		int c = lx_at(lx, 0);
		struct str got = strbuf_str(&sb);
		bool part_begins = got.n == 0 || got.s[got.n - 1] == ':';

		if (lx_is_alpha(c)) {
			struct define *d;
			size_t n = 0;

			while (lx_is_alnum(lx_at(lx, n)))
				n++;
			d = lexer_define_find(lx, lx_view(lx, n));
			if (d && !is_reserved(d->name)) {
				if (expand(lx, n, d) < 0) {
					tok->kind = T_ERROR;
					return true;
				}
				/* the value may be text in quotes, alone */
				if (strbuf_str(&sb).n == 0 && (lx_at(lx, 0) == '"' || lx_at(lx, 0) == '\''))
					return false;
				continue;
			}
			strbuf_add(&sb, lx_view(lx, n));
			lx_take_n(lx, n);
		} else if (lx_is_digit(c)) {
			while (lx_is_alnum(lx_at(lx, 0))) {
				strbuf_add_char(&sb, (char)lx_at(lx, 0));
				lx_take(lx);
			}
		} else if (c == '"' && part_begins && got.n > 0) {
			/* udp:"10.0.0.1":5060, as defines make it */
			size_t n = 1;

			while (lx_at(lx, n) >= 0 && lx_at(lx, n) != '"' && lx_at(lx, n) != '\n')
				n++;
			if (lx_at(lx, n) != '"')
				break;
			strbuf_add(&sb, str_sub(lx_view(lx, n), 1, n - 1));
			lx_take_n(lx, n + 1);
		} else if (c == '.' || c == ':' || c == '-' || c == '*' || (c == '[' && part_begins) || (c == ']' && v6) ||
			   (c == '(' && depth == 0 && part_begins) || (depth > 0 && (c == ')' || c == ',' || c == ' '))) {
			if (c == '(')
				depth++;
			if (c == ')')
				depth--;
			if (c == '[' || c == ']')
				v6 = c == '[';
			if (c != ' ')
				strbuf_add_char(&sb, (char)c);
			lx_take(lx);
		} else {
			break;
		}
	}
	tok->text = load_dup(lx->ld, strbuf_str(&sb));
	tok->kind = T_ADDR;
	return tok->text.n > 0;
}

/* clang-format off */
static const struct { const char *text; enum tok kind; } operators[] = {
	{ "(int)", T_CAST_INT }, { "(str)", T_CAST_STR }, { "==", T_EQ }, { "!=", T_NE }, { "=~", T_MATCH }, { "<=", T_LE },
	{ ">=", T_GE }, { "&&", T_AND }, { "||", T_OR }, { "<<", T_SHL }, { ">>", T_SHR },
};
/* clang-format on */

static void read_operator(struct lexer *lx, struct token *tok)
{
	int c = lx_at(lx, 0);
	size_t i;

	for (i = 0; i < ARRAY_LEN(operators); i++) {
		if (lx_looking_at(lx, operators[i].text)) {
			tok->kind = operators[i].kind;
			tok->text = load_dup(lx->ld, str_lit(operators[i].text));
			lx_take_n(lx, strlen(operators[i].text));
			return;
		}
	}
	if (c < 33 || c > 126 || c == '\\' || c == '`') {
		load_error(lx->ld, tok->pos, "character 0x%02x cannot stand here", (unsigned)c);
		tok->kind = T_ERROR;
		lx_take(lx);
		return;
	}
	tok->kind = (enum tok)c;
	tok->text = load_dup(lx->ld, lx_view(lx, 1));
	lx_take(lx);
}

/* Blanks and comments. Returns false after an error. */
static bool skip_blanks(struct lexer *lx)
{
	unsigned depth;
	struct pos pos;

	for (;;) {
		int c = lx_at(lx, 0);

		if (lx_is_blank(c) || c == '\n' || c == '\f' || c == '\v') {
			lx_take(lx);
		} else if (c == '\\' && (lx_at(lx, 1) == '\n' || (lx_at(lx, 1) == '\r' && lx_at(lx, 2) == '\n'))) {
			lx_take_n(lx, 2);
		} else if ((c == '#' && lx_at(lx, 1) != '!') || (c == '/' && lx_at(lx, 1) == '/')) {
			lx_skip_line(lx);
		} else if (c == '/' && lx_at(lx, 1) == '*') {
			pos = lx_here(lx);
			depth = 1;
			lx_take_n(lx, 2);
			while (depth > 0) {
				if (lx_at(lx, 0) < 0) {
					load_error(lx->ld, pos, "comment does not end");
					return false;
				}
				if (lx_at(lx, 0) == '/' && lx_at(lx, 1) == '*') {
					depth++;
					lx_take_n(lx, 2);
				} else if (lx_at(lx, 0) == '*' && lx_at(lx, 1) == '/') {
					depth--;
					lx_take_n(lx, 2);
				} else {
					lx_take(lx);
				}
			}
		} else {
			return true;
		}
	}
}

static void at_end(struct lexer *lx, struct token *tok)
{
	tok->kind = T_EOF;
	if (lx->n_cond > 0) {
		load_error(lx->ld, lx->cond[lx->n_cond - 1].pos, "#!ifdef without #!endif");
		lx->n_cond = 0;
		tok->kind = T_ERROR;
	}
}

static void next(struct lexer *lx, struct token *tok)
{
	for (;;) {
		size_t n;
		int c;

		*tok = (struct token){ .kind = T_EOF, .compat = !lx->native };
		if (lx->failed) {
			lx->failed = false;
			tok->kind = T_ERROR;
			tok->pos = lx_here(lx);
			return;
		}
		if (lx_skipping(lx))
			lexer_skip_region(lx);
		if (!skip_blanks(lx)) {
			tok->kind = T_ERROR;
			return;
		}
		tok->pos = lx_here(lx);
		c = lx_at(lx, 0);
		if (c < 0) {
			if (lx->src && lx->src->up) {
				lexer_source_pop(lx);
				continue;
			}
			at_end(lx, tok);
			return;
		}
		if ((c == '#' || c == '!') && lx_at(lx, 1) == '!') {
			if (lexer_directive(lx))
				continue;
			if (c == '#') {
				lx_skip_line(lx);
				continue;
			}
		}
		if (c == '"' || c == '\'') {
			lexer_read_string(lx, tok);
			return;
		}
		if (lx->addr_mode && !at_include(lx) && (lx_is_alnum(c) || c == '[' || c == '(' || c == '*')) {
			if (!read_addr(lx, tok) && tok->kind != T_ERROR)
				continue;
			return;
		}
		if (c == '$' || (c == '%' && !lx->native && lx_is_alpha(lx_at(lx, 1)))) {
			read_pvar(lx, tok);
			return;
		}
		if (c == '@') {
			read_select(lx, tok);
			return;
		}
		n = ip_at(lx);
		if (n > 0) {
			tok->kind = T_IP;
			tok->text = load_dup(lx->ld, lx_view(lx, n));
			lx_take_n(lx, n);
			return;
		}
		if (lx_is_digit(c)) {
			read_number(lx, tok);
			return;
		}
		if (lx_is_alpha(c)) {
			if (!read_word_token(lx, tok))
				continue;
			return;
		}
		read_operator(lx, tok);
		return;
	}
}

void lexer_next(struct lexer *lx, struct token *tok)
{
	const struct source *src = lx->src;
	size_t left = src ? src->cap - src->at : 0;

	/* after the last error that counts the text is over; and no error stays where it is */
	if (lx->ld->stop) {
		*tok = (struct token){ .kind = T_EOF, .pos = lx_here(lx) };
		return;
	}
	next(lx, tok);
	if (tok->kind == T_ERROR && lx->src == src && src && src->cap - src->at == left && left > 0)
		lx_take(lx);
}
