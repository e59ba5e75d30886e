/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the characters come from: a stack of files, each with room in front of its unread text for text that is given back
 * (values of defines).
 */
#include "core/script/lexer_priv.h"

#include <stdlib.h>

#define SCRIPT_BYTES_MAX ((size_t)64 << 20)

int lexer_push_back(struct lexer *lx, struct str text)
{
	struct source *s = lx->src;

	if (!s)
		return -EINVAL;
	if (text.n > s->at) {
		size_t unread = s->cap - s->at, room = text.n + 4096;
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

static int read_all(FILE *f, char **ret_mem, size_t *ret_n)
{
	size_t cap = 65536, n = 0;
	char *mem = malloc(cap), *bigger;

	while (mem) {
		n += fread(mem + n, 1, cap - n, f);
		if (n < cap)
			break;
		if (cap >= SCRIPT_BYTES_MAX) {
			free(mem);
			return -EFBIG;
		}
		bigger = realloc(mem, cap * 2);
		if (!bigger) {
			free(mem);
			return -ENOMEM;
		}
		mem = bigger;
		cap *= 2;
	}
	if (!mem)
		return -ENOMEM;
	if (ferror(f)) {
		free(mem);
		return -EIO;
	}
	*ret_mem = mem;
	*ret_n = n;
	return 0;
}

int lexer_source_push(struct lexer *lx, struct str name, FILE *f)
{
	struct loader *ld = lx->ld;
	struct source *s = NULL;
	char *mem = NULL;
	size_t n = 0;
	int err = read_all(f, &mem, &n);

	if (err < 0)
		return err;
	err = -ENOMEM;
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
	ld->files[ld->n_files].text = str_dup(ld->pool, str_of(mem, n));
	s->mem = mem;
	s->cap = n;
	s->line = s->column = 1;
	s->file = (uint16_t)ld->n_files++;
	s->up = lx->src;
	lx->src = s;
	lx->depth++;
	return 0;
fail:
	free(mem);
	free(s);
	return err;
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
	FILE *f = NULL;
	int err = -ENOMEM;

	if (!lx)
		return err;
	lx->ld = ld;
	if (ld->opts->text.n > 0)
		f = fmemopen((void *)(uintptr_t)ld->opts->text.s, ld->opts->text.n, "r");
	else
		f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	err = f ? lexer_source_push(lx, strcmp(path, "-") == 0 ? STR_LIT("stdin") : str_lit(path), f) : -errno;
	if (f && f != stdin)
		fclose(f);
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
