/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the characters come from: a stack of files, each with room in front of its unread text for text that is given back
 * (values of defines).
 */
#include "core/script/lexer_priv.h"

#include <stdlib.h>

/* What defines may make of each file: far more than scripts do, and what no file of defines in defines can turn into hours. */
#define EXPANDED_BASE 262144u
#define EXPANDED_PER_BYTE 64u

int lexer_push_back(struct lexer *lx, struct str text)
{
	struct source *s = lx->src;

	if (!s)
		return -EINVAL;
	if (text.n > s->at) {
		size_t unread = s->cap - s->at, room = text.n + unread + 4096; /* grows with what is there, so that many small ones cost as one large */
		char *mem = malloc(room + unread);

		if (!mem)
			return -ENOMEM;
		memcpy(mem + room, s->mem + s->at, unread);
		memcpy(mem + room - text.n, text.s, text.n);
		free(s->mem);
		s->mem = mem;
		s->cap = room + unread;
		s->at = room - text.n;
	} else if (text.n > 0) {
		s->at -= text.n;
		memmove(s->mem + s->at, text.s, text.n);
	}
	s->pushed += text.n;
	return 0;
}

void lexer_unread(struct lexer *lx, struct str text)
{
	if (text.n > 0 && lexer_push_back(lx, text) < 0)
		load_error(lx->ld, lx_here(lx), "out of memory");
}

/* ---- sources ---- */

int lexer_source_push(struct lexer *lx, struct str name, struct str text)
{
	struct loader *ld = lx->ld;
	struct source *s = NULL;
	char *mem = malloc(text.n + 1);

	if (!mem)
		return -ENOMEM;
	if (text.n > 0)
		memcpy(mem, text.s, text.n);
	if (ld->n_files == ld->files_cap) {
		unsigned cap = ld->files_cap ? ld->files_cap * 2 : 8;
		struct script_file *files = realloc(ld->files, cap * sizeof(*files));

		if (!files)
			goto fail;
		ld->files = files;
		ld->files_cap = cap;
	}
	if (ld->n_files >= UINT16_MAX)
		goto fail;
	s = calloc(1, sizeof(*s));
	if (!s)
		goto fail;
	ld->files[ld->n_files].name = load_dup(ld, name);
	ld->files[ld->n_files].text = str_dup(ld->pool, text);
	s->mem = mem;
	s->cap = text.n;
	s->line = s->column = 1;
	s->file = (uint16_t)ld->n_files++;
	s->up = lx->src;
	lx->src = s;
	lx->depth++;
	lx->may_expand += EXPANDED_BASE + text.n * EXPANDED_PER_BYTE;
	return 0;
fail:
	free(mem);
	free(s);
	return -ENOMEM;
}

void lexer_source_pop(struct lexer *lx)
{
	struct source *s = lx->src;

	lx->src = s->up;
	lx->depth--;
	free(s->mem);
	free(s);
}

int lexer_new(struct loader *ld, struct lexer **ret_lx)
{
	struct lexer *lx = calloc(1, sizeof(*lx));
	const char *path = ld->opts->path;
	struct str text = ld->opts->text;
	int err = 0;

	if (!lx)
		return -ENOMEM;
	lx->ld = ld;
	if (text.n == 0)
		err = script_files_read(ld->disk, path, &text);
	if (err == 0)
		err = lexer_source_push(lx, strcmp(path, "-") == 0 ? STR_LIT("stdin") : str_lit(path), text);
	if (err < 0) {
		lexer_free(lx);
		return err;
	}
	*ret_lx = lx;
	return 0;
}

void lexer_free(struct lexer *lx)
{
	if (!lx)
		return;
	while (lx->src)
		lexer_source_pop(lx);
	subst_free_all(lx->substs);
	free(lx);
}
