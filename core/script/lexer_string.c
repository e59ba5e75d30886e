/* SPDX-License-Identifier: BSD-2-Clause */
/* Text in quotes: escapes in double quotes, none in single ones; neighbours are joined; #!subst rules applied. */
#include "core/base/num.h"
#include "core/script/lexer_priv.h"

static void read_escape(struct lexer *lx, struct strbuf *sb)
{
	int c = lx_at(lx, 1), v, n;

	switch (c) {
	case 'n': strbuf_add_char(sb, '\n'); break;
	case 'r': strbuf_add_char(sb, '\r'); break;
	case 't': strbuf_add_char(sb, '\t'); break;
	case 'a': strbuf_add_char(sb, '\a'); break;
	case '"': strbuf_add_char(sb, '"'); break;
	case '\\': strbuf_add_char(sb, '\\'); break;
	case '\n': break;
	case '\r':
		if (lx_at(lx, 2) == '\n') {
			lx_take_n(lx, 3);
			return;
		}
		strbuf_add_lit(sb, "\\\r");
		break;
	case 'x':
		if (!lx_is_hex(lx_at(lx, 2))) {
			strbuf_add_lit(sb, "\\x");
			break;
		}
		v = num_hex_digit((char)lx_at(lx, 2));
		n = 3;
		if (lx_is_hex(lx_at(lx, 3))) {
			v = v * 16 + num_hex_digit((char)lx_at(lx, 3));
			n = 4;
		}
		strbuf_add_char(sb, (char)v);
		lx_take_n(lx, (size_t)n);
		return;
	default:
		if (c >= '0' && c <= '7' && lx_at(lx, 2) >= '0' && lx_at(lx, 2) <= '7') {
			v = (c - '0') * 8 + lx_at(lx, 2) - '0';
			n = 3;
			if (lx_at(lx, 3) >= '0' && lx_at(lx, 3) <= '7' && v * 8 < 256) {
				v = v * 8 + lx_at(lx, 3) - '0';
				n = 4;
			}
			strbuf_add_char(sb, (char)v);
			lx_take_n(lx, (size_t)n);
			return;
		}
		strbuf_add_char(sb, '\\');
		strbuf_add_char(sb, (char)c);
		break;
	}
	lx_take_n(lx, 2);
}

void lexer_read_string(struct lexer *lx, struct token *tok)
{
	struct pos pos = lx_here(lx);
	struct strbuf sb;
	struct str text;
	char quote = (char)lx_at(lx, 0);
	size_t k;

	strbuf_init_pool(&sb, lx->ld->pool, 1 << 20);
	lx_take(lx);
	for (;;) {
		int c = lx_at(lx, 0);

		if (c < 0) {
			load_error(lx->ld, pos, "text in quotes does not end");
			tok->kind = T_ERROR;
			return;
		}
		if (c == quote) {
			lx_take(lx);
			if (quote == '\'')
				break;
			for (k = 0; lx_is_blank(lx_at(lx, k)) || lx_at(lx, k) == '\n'; k++)
				;
			if (lx_at(lx, k) != '"')
				break;
			lx_take_n(lx, k + 1); /* neighbours are one text */
			continue;
		}
		if (c == '\\' && quote == '"' && lx_at(lx, 1) >= 0) {
			read_escape(lx, &sb);
			continue;
		}
		strbuf_add_char(&sb, (char)c);
		lx_take(lx);
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
