/* SPDX-License-Identifier: BSD-2-Clause */
/* Text in quotes: escapes in double quotes, none in single ones; neighbours are joined; #!subst rules applied. */
#include "core/script/lexer_priv.h"

static void read_escape(struct lexer *lx, struct strbuf *sb)
{
	int c = at(lx, 1), v, n;

	switch (c) {
	case 'n': strbuf_add_char(sb, '\n'); break;
	case 'r': strbuf_add_char(sb, '\r'); break;
	case 't': strbuf_add_char(sb, '\t'); break;
	case 'a': strbuf_add_char(sb, '\a'); break;
	case '"': strbuf_add_char(sb, '"'); break;
	case '\\': strbuf_add_char(sb, '\\'); break;
	case '\n': break;
	case '\r':
		if (at(lx, 2) == '\n') {
			take_n(lx, 3);
			return;
		}
		strbuf_add_lit(sb, "\\\r");
		break;
	case 'x':
		if (!is_hex(at(lx, 2))) {
			strbuf_add_lit(sb, "\\x");
			break;
		}
		v = hex_digit(at(lx, 2));
		n = 3;
		if (is_hex(at(lx, 3))) {
			v = v * 16 + hex_digit(at(lx, 3));
			n = 4;
		}
		strbuf_add_char(sb, (char)v);
		take_n(lx, (size_t)n);
		return;
	default:
		if (c >= '0' && c <= '7' && at(lx, 2) >= '0' && at(lx, 2) <= '7') {
			v = (c - '0') * 8 + at(lx, 2) - '0';
			n = 3;
			if (at(lx, 3) >= '0' && at(lx, 3) <= '7' && v * 8 < 256) {
				v = v * 8 + at(lx, 3) - '0';
				n = 4;
			}
			strbuf_add_char(sb, (char)v);
			take_n(lx, (size_t)n);
			return;
		}
		strbuf_add_char(sb, '\\');
		strbuf_add_char(sb, (char)c);
		break;
	}
	take_n(lx, 2);
}

void lexer_read_string(struct lexer *lx, struct token *tok)
{
	struct pos pos = here(lx);
	struct strbuf sb;
	struct str text;
	char quote = (char)at(lx, 0);
	size_t k;

	strbuf_init_pool(&sb, lx->ld->pool, 1 << 20);
	take(lx);
	for (;;) {
		int c = at(lx, 0);

		if (c < 0) {
			load_error(lx->ld, pos, "text in quotes does not end");
			tok->kind = T_ERROR;
			return;
		}
		if (c == quote) {
			take(lx);
			if (quote == '\'')
				break;
			for (k = 0; is_blank(at(lx, k)) || at(lx, k) == '\n'; k++)
				;
			if (at(lx, k) != '"')
				break;
			take_n(lx, k + 1); /* neighbours are one text */
			continue;
		}
		if (c == '\\' && quote == '"' && at(lx, 1) >= 0) {
			read_escape(lx, &sb);
			continue;
		}
		strbuf_add_char(&sb, (char)c);
		take(lx);
	}
	text = strbuf_str(&sb);
	if (strbuf_err(&sb) < 0) {
		load_error(lx->ld, pos, "text in quotes is too long");
		tok->kind = T_ERROR;
		return;
	}
	if (text.n > 0 && memchr(text.s, '\0', text.n))
		text.n = strlen(text.s);
	if (text.n > 0)
		text = subst_apply(lx->ld, lx->substs, text);
	tok->text = load_dup(lx->ld, text);
	tok->kind = quote == '"' ? T_STR : T_STR_SINGLE;
}
