/* SPDX-License-Identifier: BSD-2-Clause */
/* What only core/sip shares: pointers into text, and the walk over the lines of a header block. */
#ifndef RF_SIP_PRIV_H
#define RF_SIP_PRIV_H

#include "core/base/scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Skips LWS: [p, end). */
static inline const char *sip_skip_ws(const char *p, const char *end)
{
	while (p < end && char_is(*p, CHARS_LWS))
		p++;
	return p;
}

static inline const char *sip_skip_class(const char *p, const char *end, unsigned classes)
{
	while (p < end && char_is(*p, classes))
		p++;
	return p;
}

static inline struct str sip_span(const char *from, const char *to)
{
	return (struct str){ from, (size_t)(to - from) };
}

/* Behind the last byte. Adding even 0 to the NULL of an empty view is not defined in C. */
static inline const char *sip_end(struct str s)
{
	return s.n > 0 ? s.s + s.n : s.s;
}

static inline struct str sip_trim(struct str s)
{
	while (s.n > 0 && char_is(s.s[0], CHARS_LWS)) {
		s.s++;
		s.n--;
	}
	while (s.n > 0 && char_is(s.s[s.n - 1], CHARS_LWS))
		s.n--;
	return s;
}

static inline uint64_t sip_load(const char *p, size_t n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

/* n (2, 4 or 8) bytes. */
static ALWAYS_INLINE bool sip_same_piece(const char *a, const char *b, size_t n, uint64_t fold)
{
	return (sip_load(a, n) | fold) == (sip_load(b, n) | fold);
}

/*
 * Whether a text is the name b of one of our tables, of n bytes, 2 or more: the first and the last piece overlap where they must. any_case: such
 * names hold letters and '-' only, so that setting bit 5 maps nothing but the other case (and CR, which no name holds) onto them.
 */
static ALWAYS_INLINE bool sip_same_name(const char *a, const char *b, size_t n, bool any_case)
{
	const uint64_t fold = any_case ? 0x2020202020202020u : 0;

	if (n < 4)
		return sip_same_piece(a, b, 2, fold) && sip_same_piece(a + n - 2, b + n - 2, 2, fold);
	if (n < 8)
		return sip_same_piece(a, b, 4, fold) && sip_same_piece(a + n - 4, b + n - 4, 4, fold);
	for (size_t i = 0; i + 8 < n; i += 8)
		if (!sip_same_piece(a + i, b + i, 8, fold))
			return false;
	return sip_same_piece(a + n - 8, b + n - 8, 8, fold);
}

/* Whether s is the name, any case; a literal of letters, two or more: a comparison or two of constants. */
static ALWAYS_INLINE bool sip_is(struct str s, struct str name)
{
	return s.n == name.n && sip_same_name(s.s, name.s, name.n, true);
}

/* Behind the closing quote of the quoted string that starts at p ('"'); NULL when it is not closed.
 */
static inline const char *sip_skip_quoted(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && ++p == end)
			break;
	}
	return NULL;
}

/*
 * What a search stops at: four bytes (equal ones cost nothing), and with `low` SP and all controls below it. Always a constant, so that each
 * search is compiled for its own.
 */
struct sip_stops {
	char a, b, c, d;
	bool low;
};

static inline bool sip_stops_at(char ch, struct sip_stops st)
{
	return ch == st.a || ch == st.b || ch == st.c || ch == st.d || (st.low && (unsigned char)ch <= ' ');
}

#if defined(__SSE2__)
/* Which of the 16 bytes at p stop the search. */
static ALWAYS_INLINE unsigned sip_hits16(const char *p, struct sip_stops st)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i ab = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(st.a)), _mm_cmpeq_epi8(v, _mm_set1_epi8(st.b)));
	__m128i cd = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(st.c)), _mm_cmpeq_epi8(v, _mm_set1_epi8(st.d)));
	__m128i all = _mm_or_si128(ab, cd);

	if (st.low)
		all = _mm_or_si128(all, _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(' ')), v));
	return (unsigned)_mm_movemask_epi8(all);
}
#endif

/* The first byte in [p, end) to stop at, or end. Never reads at or behind end. */
static ALWAYS_INLINE const char *sip_find(const char *p, const char *end, struct sip_stops st)
{
#if defined(__SSE2__)
	bool wide = end - p >= 16;

	for (; end - p >= 16; p += 16) {
		unsigned hits = sip_hits16(p, st);

		if (hits)
			return p + __builtin_ctz(hits);
	}
	if (wide && p < end) { /* the rest, with some bytes that were looked at before */
		unsigned hits = sip_hits16(end - 16, st) >> (16 - (end - p));

		return hits ? p + __builtin_ctz(hits) : end;
	}
#endif
	while (p < end && !sip_stops_at(*p, st))
		p++;
	return p;
}

static inline const char *sip_find3(const char *p, const char *end, char a, char b, char c)
{
	return sip_find(p, end, (struct sip_stops){ a, b, c, c, false });
}

static inline const char *sip_find2(const char *p, const char *end, char a, char b)
{
	return sip_find3(p, end, a, b, b);
}

/* The first byte that no URI holds: controls, SP, DEL, '<', '>', '"'; or end. */
static inline const char *sip_find_uri_end(const char *p, const char *end)
{
	return sip_find(p, end, (struct sip_stops){ '<', '>', '"', 0x7f, true });
}

/* One header field as the walk finds it; all pointers into the block. */
struct sip_line {
	const char *start, *name_end;  /* the name, white space before the colon not counted */
	const char *value, *value_end; /* trimmed */
	const char *next;              /* behind the line end */
};

enum sip_line_kind {
	SIP_LINE_FIELD = 1,
	SIP_LINE_EMPTY = 0,    /* end of the header; next is behind it */
	SIP_LINE_CUT = -1,     /* the block ends before the line does */
	SIP_LINE_BROKEN = -2,  /* no colon, no name, or starts with white space */
	SIP_LINE_STRAY_CR = -3 /* a CR that ends no line */
};

/*
 * Takes the field at p, with its folded lines. Lines end in CRLF or a bare LF. For a broken line
 * `next` is set too where the walk can go on.
 */
static inline enum sip_line_kind sip_line_take(const char *p, const char *end, struct sip_line *ret)
{
	const char *colon, *q, *eol;
	bool stray = false, broken = false;

	ret->start = ret->name_end = p;
	ret->next = end;
	if (p >= end)
		return SIP_LINE_CUT;
	if (UNLIKELY((unsigned char)*p <= ' ')) { /* no name starts so */
		if (*p == '\n') {
			ret->next = p + 1;
			return SIP_LINE_EMPTY;
		}
		if (*p == '\r' && end - p >= 2 && p[1] == '\n') {
			ret->next = p + 2;
			return SIP_LINE_EMPTY;
		}
		broken = *p == ' ' || *p == '\t';
	}
	colon = sip_find3(p, end, ':', '\n', '\r');
	if (colon < end && *colon == '\r') { /* none belongs into a name */
		broken = true;
		colon = sip_find2(colon, end, ':', '\n');
	}
	if (colon == end)
		return SIP_LINE_CUT;
	q = colon;
	if (*colon == ':') {
		const char *e = colon;

		while (e > p && (e[-1] == ' ' || e[-1] == '\t'))
			e--;
		ret->name_end = e;
		broken |= e == p;
		q++;
	} else {
		broken = true;
	}
	ret->value = q;
	for (;;) {
		q = eol = sip_find2(q, end, '\r', '\n');
		if (q == end)
			return SIP_LINE_CUT;
		if (*q == '\r') {
			if (end - q < 2)
				return SIP_LINE_CUT;
			if (q[1] != '\n') {
				stray = true;
				q++;
				continue;
			}
			q++;
		}
		q++;
		if (q >= end || (*q != ' ' && *q != '\t'))
			break;
	}
	ret->next = q;
	if (broken)
		return SIP_LINE_BROKEN;
	/* From the end first: an empty value stands behind the colon, not on the next line. */
	ret->value_end = eol;
	while (ret->value_end > ret->value && char_is(ret->value_end[-1], CHARS_LWS))
		ret->value_end--;
	ret->value = sip_skip_ws(ret->value, ret->value_end);
	return stray ? SIP_LINE_STRAY_CR : SIP_LINE_FIELD;
}

/* host[:port] of URIs and Via; white space around the colon is taken (Via has it, URIs hold none).
 */
struct sip_hostport {
	struct str host, port_text; /* IPv6 without brackets */
	uint16_t port;
	bool host_v6;
};

/* With SIP_HTTP_REPLIES: the length of the version when the line is the start of an HTTP reply, else 0. */
size_t sip_http_version(struct str line);

struct diag;
bool sip_is_ipv6(struct str s);
/* Moves *pos behind it. base: where positions in reterr count from. Returns 0 or -EBADMSG. */
MUST_CHECK int sip_hostport_parse(const char **pos, const char *end, struct sip_hostport *ret,
                                  struct diag *reterr, const char *base);

#endif
