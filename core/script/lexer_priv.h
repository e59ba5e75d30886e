/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the lexer share: the sources, the cursor over the unread text, what each part offers to the others. */
#ifndef RF_SCRIPT_LEXER_PRIV_H
#define RF_SCRIPT_LEXER_PRIV_H

#include <string.h>

#include "core/script/script_priv.h"

#define COND_DEPTH_MAX 512u

struct source {
	struct source *up;
	char *mem;         /* unread text is at its end: room in front is for text given back */
	size_t cap, at;    /* mem[at, cap) is unread */
	size_t pushed;     /* how much of it was given back */
	unsigned expanded; /* defines since the last character as written */
	uint32_t line, column;
	uint16_t file;
};

struct cond {
	bool active;       /* this branch is read (when the outer ones are) */
	bool outer;
	struct pos pos;
};

struct lexer {
	struct loader *ld;
	struct source *src;
	unsigned depth;
	struct cond cond[COND_DEPTH_MAX];
	unsigned n_cond;
	bool addr_mode;
	struct define *defines;
	size_t may_expand; /* bytes of values that may yet take the places of names: grows with the text that is read */
	struct subst *substs;
	FILE *echo;
	bool echo_off;
	bool failed;
	bool native; /* behind #!KAMAILIO: variables are those that exist */
};

/* ---- characters ---- */

static inline int lx_at(const struct lexer *lx, size_t k)
{
	const struct source *s = lx->src;

	if (!s || k >= s->cap - s->at)
		return -1;
	return (unsigned char)s->mem[s->at + k];
}

static inline void lx_take(struct lexer *lx)
{
	struct source *s = lx->src;
	char c = s->mem[s->at++];

	if (s->pushed > 0) {
		s->pushed--;
		return;
	}
	s->expanded = 0;
	if (lx->echo && !lx->echo_off)
		fputc(c, lx->echo);
	if (c == '\n') {
		s->line++;
		s->column = 1;
	} else {
		s->column++;
	}
}

static inline void lx_take_n(struct lexer *lx, size_t n)
{
	while (n-- > 0)
		lx_take(lx);
}

static inline struct pos lx_here(const struct lexer *lx)
{
	if (!lx->src)
		return (struct pos){ 1, 1, 0 };
	return (struct pos){ .line = lx->src->line, .column = lx->src->column, .file = lx->src->file };
}

static inline bool lx_is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\b';
}
static inline bool lx_is_digit(int c)
{
	return c >= '0' && c <= '9';
}
static inline bool lx_is_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static inline bool lx_is_alnum(int c)
{
	return lx_is_alpha(c) || lx_is_digit(c);
}
static inline bool lx_is_hex(int c)
{
	return lx_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* View of the unread text, n bytes. */
static inline struct str lx_view(const struct lexer *lx, size_t n)
{
	return str_of(lx->src->mem + lx->src->at, n);
}

static inline bool lx_looking_at(const struct lexer *lx, const char *z)
{
	size_t n = strlen(z);

	return lx->src && n <= lx->src->cap - lx->src->at && memcmp(lx->src->mem + lx->src->at, z, n) == 0;
}

static inline void lx_skip_line(struct lexer *lx)
{
	while (lx_at(lx, 0) >= 0 && lx_at(lx, 0) != '\n')
		lx_take(lx);
}

/* Does a conditional leave out what stands here? */
static inline bool lx_skipping(const struct lexer *lx)
{
	unsigned i;

	for (i = 0; i < lx->n_cond; i++)
		if (!lx->cond[i].active)
			return true;
	return false;
}

/* ---- lexer_source.c ---- */

/* Text to be read before what is unread. -ENOMEM, or -EINVAL without a source. */
MUST_CHECK int lexer_push_back(struct lexer *lx, struct str text);
/* Goes on top; text is copied. */
MUST_CHECK int lexer_source_push(struct lexer *lx, struct str name, struct str text);
void lexer_source_pop(struct lexer *lx);

/* ---- lexer_string.c ---- */

/* At a quote: neighbours in double quotes are one text. T_ERROR after load_error(). */
void lexer_read_string(struct lexer *lx, struct token *tok);

/* ---- lexer_pp.c ---- */

/* At "#!" or "!!" outside of skipped text. False: it is none (a comment, or two NOTs). */
bool lexer_directive(struct lexer *lx);
/* Behind include_file or import_file. */
void lexer_include(struct lexer *lx, bool import);
/* Passes over text that a conditional leaves out; directives count wherever they stand. */
void lexer_skip_region(struct lexer *lx);

#endif
