/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cursor over text that never leaves it: each step looks at what is left, takes a piece and says what
 * it took. Character classes are bits of one table, named after the grammar of RFC 3261.
 */
#ifndef RF_BASE_SCAN_H
#define RF_BASE_SCAN_H

#include "core/base/str.h"

enum scan_chars {
	CHARS_ALPHA = 1 << 0,
	CHARS_DIGIT = 1 << 1,
	CHARS_HEX = 1 << 2,
	CHARS_BLANK = 1 << 3,        /* SP HTAB */
	CHARS_LWS = 1 << 4,          /* SP HTAB CR LF */
	CHARS_TOKEN = 1 << 5,        /* alphanum - . ! % * _ + ` ' ~ */
	CHARS_WORD = 1 << 6,         /* token and ( ) < > : \ " / [ ] ? { } : Call-ID without "@" */
	CHARS_UNRESERVED = 1 << 7,   /* alphanum - _ . ! ~ * ' ( ) */
	CHARS_USER = 1 << 8,         /* unreserved, "%" and & = + $ , ; ? / */
	CHARS_PASSWORD = 1 << 9,     /* unreserved, "%" and & = + $ , */
	CHARS_URI_PARAM = 1 << 10,   /* unreserved, "%" and [ ] / : & + $ */
	CHARS_URI_HEADER = 1 << 11,  /* unreserved, "%" and [ ] / ? : + $ */
	CHARS_HOST = 1 << 12,        /* alphanum - . and "_", which real host names have */
	CHARS_SCHEME = 1 << 13,      /* alphanum + - . */
	CHARS_IPV6 = 1 << 14,        /* hex digits : . */
	CHARS_NAME = 1 << 15,        /* letters, digits, "_": identifiers of the script */
	CHARS_ALNUM = CHARS_ALPHA | CHARS_DIGIT,
};

extern const uint16_t scan_class[256];

struct scan {
	struct str in;
	size_t pos; /* 0 to in.n */
};

static inline struct scan scan_begin(struct str in)
{
	return (struct scan){ .in = in };
}
static inline bool scan_at_end(const struct scan *s)
{
	return s->pos >= s->in.n;
}
/* What is left. */
static inline struct str scan_rest(const struct scan *s)
{
	return str_sub(s->in, s->pos, s->in.n);
}
/* What was taken since `from`. */
static inline struct str scan_since(const struct scan *s, size_t from)
{
	return str_sub(s->in, from, s->pos - from);
}
/* The next byte (0 to 255), or -1 at the end. Takes nothing. */
static inline int scan_peek(const struct scan *s)
{
	return s->pos < s->in.n ? (unsigned char)s->in.s[s->pos] : -1;
}
static inline bool char_is(char c, unsigned chars)
{
	return (scan_class[(unsigned char)c] & chars) != 0;
}
/* Takes c when it is next. */
static inline bool scan_char(struct scan *s, char c)
{
	if (s->pos >= s->in.n || s->in.s[s->pos] != c)
		return false;
	s->pos++;
	return true;
}
/* Takes all that is in the classes; empty when nothing is. */
static inline struct str scan_while(struct scan *s, unsigned chars)
{
	size_t from = s->pos;

	while (s->pos < s->in.n && char_is(s->in.s[s->pos], chars))
		s->pos++;
	return str_of(s->in.s + from, s->pos - from);
}
/* Takes all up to a byte of the classes, or to the end. */
static inline struct str scan_until(struct scan *s, unsigned chars)
{
	size_t from = s->pos;

	while (s->pos < s->in.n && !char_is(s->in.s[s->pos], chars))
		s->pos++;
	return str_of(s->in.s + from, s->pos - from);
}

/* Takes all up to c (which stays), or to the end; ret_found (may be NULL) tells which. */
struct str scan_until_char(struct scan *s, char c, bool *ret_found);
/* Takes the literal when it is next. */
bool scan_lit(struct scan *s, struct str lit);
bool scan_ilit(struct scan *s, struct str lit); /* ASCII case folded */
/* Takes up to n bytes. */
struct str scan_take(struct scan *s, size_t n);
/* Takes linear white space: blanks, and line ends that are followed by a blank. Returns its length. */
size_t scan_lws(struct scan *s);
/* As scan_lws(), but stops before a line end. */
size_t scan_blanks(struct scan *s);
/* Takes white space, c, white space; takes nothing and is false when c is not there. */
bool scan_sep(struct scan *s, char c);
/* Decimal digits. Returns 0; -EBADMSG when there is none (nothing is taken), -ERANGE when the number is too large. */
MUST_CHECK int scan_u32(struct scan *s, uint32_t *ret);
MUST_CHECK int scan_u64(struct scan *s, uint64_t *ret);
/* A quoted string; ret_inner is what is between the quotes, with its escapes. -EBADMSG without the closing quote. */
MUST_CHECK int scan_quoted(struct scan *s, struct str *ret_inner);

#endif
