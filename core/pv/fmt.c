/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text with variables in it, cut into pieces once. Evaluating gathers the pieces' texts first and copies them together
 * with one allocation from the message's pool; a text without variables, or with just one, is not copied at all.
 */
#include "core/pv/fmt.h"

#include <errno.h>

#include "core/pv/pv_priv.h"

#define FMT_MAX_DEFAULT 32768u
#define FMT_PIECES_MAX 1024u

struct fmt_piece {
	struct str text;          /* constant */
	const struct pv_spec *pv; /* NULL: text counts */
};

struct fmt {
	struct str text;
	unsigned n;
	bool is_const;
	struct fmt_piece piece[];
};

static size_t max_bytes = FMT_MAX_DEFAULT;

void fmt_set_max(size_t bytes)
{
	max_bytes = bytes;
}

static unsigned pieces_bound(struct str text)
{
	unsigned n = 1;

	for (size_t i = 0; i < text.n; i++)
		n += text.s[i] == '$' ? 2u : 0u;
	return n;
}

/* Pieces of text; constants next to each other are joined only where "$$" splits them, which is rare. */
static int cut(struct pool *pool, struct str text, struct fmt *f, unsigned cap, struct diag *reterr)
{
	size_t p = 0, start = 0;

	while (p < text.n) {
		struct pv_spec *spec;
		size_t len;
		int err;

		if (text.s[p] != '$') {
			p++;
			continue;
		}
		if (f->n + 2 > cap)
			return diag_set(reterr, p, "more than %u pieces in one text", cap);
		if (p > start)
			f->piece[f->n++] = (struct fmt_piece){ .text = str_sub(text, start, p - start) };
		if (p + 1 < text.n && text.s[p + 1] == '$') {
			f->piece[f->n++] = (struct fmt_piece){ .text = str_sub(text, p, 1) };
			p += 2;
			start = p;
			continue;
		}
		err = pv_parse_view(pool, str_sub(text, p, text.n), &spec, &len, reterr);
		if (err < 0) {
			if (reterr)
				reterr->pos += p;
			return err;
		}
		f->piece[f->n++] = (struct fmt_piece){ .pv = spec };
		f->is_const = false;
		p += len;
		start = p;
	}
	if (p > start)
		f->piece[f->n++] = (struct fmt_piece){ .text = str_sub(text, start, p - start) };
	return 0;
}

int fmt_compile(struct pool *pool, struct str text, struct fmt **ret_fmt, struct diag *reterr)
{
	unsigned cap = pieces_bound(text);
	struct fmt *f;
	int err;

	if (cap > FMT_PIECES_MAX)
		cap = FMT_PIECES_MAX;
	f = pool_zalloc(pool, sizeof(*f) + cap * sizeof(f->piece[0]));
	if (!f)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	f->is_const = true;
	f->text = str_dup(pool, text);
	if (!f->text.s)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	err = cut(pool, f->text, f, cap, reterr);
	if (err < 0)
		return err;
	if (f->is_const && f->n > 1) { /* "$$" only: join, so that it is a constant */
		char *s = pool_alloc(pool, f->text.n + 1);
		size_t n = 0;

		if (!s)
			return diag_err(reterr, -ENOMEM, 0, "no memory");
		for (unsigned i = 0; i < f->n; i++) {
			memcpy(s + n, f->piece[i].text.s, f->piece[i].text.n);
			n += f->piece[i].text.n;
		}
		s[n] = '\0';
		f->piece[0].text = str_of(s, n);
		f->n = 1;
	}
	*ret_fmt = f;
	return 0;
}

bool fmt_is_const(const struct fmt *f)
{
	return f->is_const;
}

struct str fmt_text(const struct fmt *f)
{
	return f->text;
}

const struct pv_spec *fmt_single_pv(const struct fmt *f)
{
	return f->n == 1 ? f->piece[0].pv : NULL;
}

static struct str piece_text(struct ctx *ctx, const struct fmt_piece *p)
{
	struct value v;
	struct str s;

	if (!p->pv)
		return p->text;
	if (pv_get(ctx, p->pv, &v) < 0)
		return STR_LIT("");
	if (v.kind == VALUE_NULL)
		return STR_LIT("<null>");
	if (value_to_str(&v, ctx->pool, &s) < 0)
		return STR_LIT("");
	return s;
}

int fmt_eval(struct ctx *ctx, const struct fmt *f, struct str *ret)
{
	struct str few[16], *part = few;
	size_t total = 0, n = 0;
	char *out;

	if (f->n == 0) {
		*ret = STR_LIT("");
		return 0;
	}
	if (f->n == 1) {
		struct str s = piece_text(ctx, &f->piece[0]);

		if (s.n > max_bytes && !f->is_const)
			return -EMSGSIZE;
		*ret = s;
		return 0;
	}
	if (f->n > ARRAY_LEN(few)) {
		part = pool_alloc(ctx->pool, f->n * sizeof(*part));
		if (!part)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < f->n; i++) {
		part[i] = piece_text(ctx, &f->piece[i]);
		total += part[i].n;
	}
	if (total > max_bytes)
		return -EMSGSIZE;
	out = pool_alloc(ctx->pool, total + 1);
	if (!out)
		return -ENOMEM;
	for (unsigned i = 0; i < f->n; i++) {
		if (part[i].n > 0)
			memcpy(out + n, part[i].s, part[i].n);
		n += part[i].n;
	}
	out[n] = '\0';
	*ret = str_of(out, n);
	return 0;
}
