/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The class table and the longer steps of the cursor. The table is computed by the compiler from
 * one expression per class, so that it can be compared with the RFC by reading.
 */
#include "core/base/scan.h"

#include <errno.h>

#include "core/base/num.h"

/* clang-format off */
#define ALPHA(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define ALNUM(c) (ALPHA(c) || DIGIT(c))
#define HEX(c) (DIGIT(c) || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define BLANK(c) ((c) == ' ' || (c) == '\t')
#define TOKEN(c) (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '!' || (c) == '%' || (c) == '*' || \
	(c) == '_' || (c) == '+' || (c) == '`' || (c) == '\'' || (c) == '~')
#define WORD(c) (TOKEN(c) || (c) == '(' || (c) == ')' || (c) == '<' || (c) == '>' || (c) == ':' || \
	(c) == '\\' || (c) == '"' || (c) == '/' || (c) == '[' || (c) == ']' || (c) == '?' || \
	(c) == '{' || (c) == '}')
#define UNRESERVED(c) (ALNUM(c) || (c) == '-' || (c) == '_' || (c) == '.' || (c) == '!' || \
	(c) == '~' || (c) == '*' || (c) == '\'' || (c) == '(' || (c) == ')')
#define PASSWORD(c) (UNRESERVED(c) || (c) == '%' || (c) == '&' || (c) == '=' || (c) == '+' || \
	(c) == '$' || (c) == ',')
#define USER(c) (PASSWORD(c) || (c) == ';' || (c) == '?' || (c) == '/')
#define URI_BOTH(c) (UNRESERVED(c) || (c) == '%' || (c) == '[' || (c) == ']' || (c) == '/' || \
	(c) == ':' || (c) == '+' || (c) == '$')

#define CLASS(c) ( \
	(ALPHA(c) ? CHARS_ALPHA : 0) | \
	(DIGIT(c) ? CHARS_DIGIT : 0) | \
	(HEX(c) ? CHARS_HEX : 0) | \
	(BLANK(c) ? CHARS_BLANK : 0) | \
	(BLANK(c) || (c) == '\r' || (c) == '\n' ? CHARS_LWS : 0) | \
	(TOKEN(c) ? CHARS_TOKEN : 0) | \
	(WORD(c) ? CHARS_WORD : 0) | \
	(UNRESERVED(c) ? CHARS_UNRESERVED : 0) | \
	(USER(c) ? CHARS_USER : 0) | \
	(PASSWORD(c) ? CHARS_PASSWORD : 0) | \
	(URI_BOTH(c) || (c) == '&' ? CHARS_URI_PARAM : 0) | \
	(URI_BOTH(c) || (c) == '?' ? CHARS_URI_HEADER : 0) | \
	(ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' ? CHARS_HOST : 0) | \
	(ALNUM(c) || (c) == '+' || (c) == '-' || (c) == '.' ? CHARS_SCHEME : 0) | \
	(HEX(c) || (c) == ':' || (c) == '.' ? CHARS_IPV6 : 0) | \
	(ALNUM(c) || (c) == '_' ? CHARS_NAME : 0))

#define ROW4(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define ROW16(c) ROW4(c), ROW4((c) + 4), ROW4((c) + 8), ROW4((c) + 12)

const uint16_t scan_class[256] = {
	ROW16(0x00), ROW16(0x10), ROW16(0x20), ROW16(0x30), ROW16(0x40), ROW16(0x50), ROW16(0x60), ROW16(0x70),
};
/* clang-format on */

struct str scan_until_char(struct scan *s, char c, bool *ret_found)
{
	struct str rest = scan_rest(s);
	ptrdiff_t at = str_find_char(rest, c);

	if (ret_found)
		*ret_found = at >= 0;
	return scan_take(s, at >= 0 ? (size_t)at : rest.n);
}

bool scan_lit(struct scan *s, struct str lit)
{
	if (!str_starts(scan_rest(s), lit))
		return false;
	s->pos += lit.n;
	return true;
}

bool scan_ilit(struct scan *s, struct str lit)
{
	if (!str_istarts(scan_rest(s), lit))
		return false;
	s->pos += lit.n;
	return true;
}

struct str scan_take(struct scan *s, size_t n)
{
	struct str piece = str_sub(s->in, s->pos, n);

	s->pos += piece.n;
	return piece;
}

size_t scan_blanks(struct scan *s)
{
	return scan_while(s, CHARS_BLANK).n;
}

size_t scan_lws(struct scan *s)
{
	size_t from = s->pos;

	for (;;) {
		size_t at;

		(void)scan_while(s, CHARS_BLANK);
		at = s->pos;
		(void)scan_char(s, '\r');
		if (!scan_char(s, '\n') || scan_at_end(s) ||
		    !char_is(s->in.s[s->pos], CHARS_BLANK)) {
			s->pos = at; /* no line end, or that of the header field: not a fold */
			break;
		}
	}
	return s->pos - from;
}

bool scan_sep(struct scan *s, char c)
{
	size_t from = s->pos;

	(void)scan_lws(s);
	if (!scan_char(s, c)) {
		s->pos = from;
		return false;
	}
	(void)scan_lws(s);
	return true;
}

int scan_u64(struct scan *s, uint64_t *ret)
{
	return num_u64(scan_while(s, CHARS_DIGIT), ret);
}

int scan_u32(struct scan *s, uint32_t *ret)
{
	return num_u32(scan_while(s, CHARS_DIGIT), ret);
}

int scan_quoted(struct scan *s, struct str *ret_inner)
{
	size_t from = s->pos + 1;

	if (scan_peek(s) != '"')
		return -EBADMSG;
	for (size_t i = from; i < s->in.n; i++) {
		if (s->in.s[i] == '\\') {
			i++;
		} else if (s->in.s[i] == '"') {
			*ret_inner = str_sub(s->in, from, i - from);
			s->pos = i + 1;
			return 0;
		}
	}
	return -EBADMSG;
}
