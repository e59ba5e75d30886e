/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A URL ends at a blank or a quote here, and its password is what stands between the first colon of the authority and the last '@'. So
 * one with an '@' or a '/' in it that nobody escaped is hidden as well; the price is that at times more is hidden than had to be.
 */
#include "core/base/secret.h"

static bool ends_url(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\'';
}

/* text: behind "://". False: no password. */
static bool password_find(struct str text, size_t *ret_from, size_t *ret_to)
{
	size_t from = 0, to = 0;

	for (size_t i = 0; i < text.n && !ends_url(text.s[i]); i++) {
		char c = text.s[i];

		if (from == 0 && (c == '/' || c == '@')) /* the authority is over, or the user is all there is */
			return false;
		if (from == 0 && c == ':')
			from = i + 1;
		else if (c == '@')
			to = i;
	}
	if (to == 0)
		return false;
	*ret_from = from;
	*ret_to = to;
	return true;
}

void secret_hide(struct strbuf *sb, struct str text)
{
	size_t from, to;
	ptrdiff_t at;

	while ((at = str_find(text, STR_LIT("://"))) >= 0) {
		size_t behind = (size_t)at + 3;

		if (password_find(str_sub(text, behind, text.n), &from, &to)) {
			strbuf_add(sb, str_sub(text, 0, behind + from));
			strbuf_add_lit(sb, SECRET_SHOWN);
			behind += to;
		} else {
			strbuf_add(sb, str_sub(text, 0, behind));
		}
		text = str_sub(text, behind, text.n);
	}
	strbuf_add(sb, text);
}

struct str secret_hidden(struct str text, char *mem, size_t n)
{
	struct strbuf sb;

	strbuf_init_fixed(&sb, mem, n);
	secret_hide(&sb, text);
	return strbuf_str(&sb);
}
