/* SPDX-License-Identifier: BSD-2-Clause */
/* Iterators over the header fields and over the lines of the body. They belong to the message: at most four of each. */
#include "modules/textopsx/textopsx_priv.h"

#define ITERATORS_MAX 4u
#define NAME_MAX_LEN 64u

/* at: header fields: 0 before the first, else the field's number; lines: the line under the iterator, n 0: none. */
struct iter {
	struct str name; /* n 0: free */
	unsigned at;
	struct str line, rest;
};
struct iters {
	struct iter hf[ITERATORS_MAX], bl[ITERATORS_MAX];
};
enum iter_kind { ITER_HF, ITER_BL };

static int mod = -1; /* index in ctx->modstate: struct iters */

int textopsx_iter_init(void)
{
	if (mod < 0)
		mod = ctx_modstate_register("textopsx");
	return mod < 0 ? mod : 0;
}

static struct iter *row(const struct ctx *ctx, enum iter_kind kind)
{
	struct iters *all = mod < 0 ? NULL : ctx->modstate[mod];

	return !all ? NULL : kind == ITER_HF ? all->hf : all->bl;
}

static struct iter *find(const struct ctx *ctx, enum iter_kind kind, struct str name)
{
	struct iter *it = row(ctx, kind);

	for (unsigned i = 0; it && i < ITERATORS_MAX; i++) {
		if (str_eq(it[i].name, name))
			return name.n > 0 ? &it[i] : NULL;
	}
	return NULL;
}

/* Starts over when there is one of that name. */
static struct iter *start(struct ctx *ctx, enum iter_kind kind, struct str name)
{
	struct iter *it = find(ctx, kind, name);

	if (name.n == 0 || name.n > NAME_MAX_LEN) {
		log_error("textopsx: the name of an iterator has 1 to %u bytes, not %zu", NAME_MAX_LEN, name.n);
		return NULL;
	}
	if (!ctx->modstate[mod])
		ctx->modstate[mod] = pool_zalloc(ctx->pool, sizeof(struct iters));
	if (!it && row(ctx, kind)) {
		for (unsigned i = 0; !it && i < ITERATORS_MAX; i++) {
			if (row(ctx, kind)[i].name.n == 0)
				it = &row(ctx, kind)[i];
		}
		if (!it)
			log_error("textopsx: no iterator left for '%.*s': a message has %u", STR_FMT(name), ITERATORS_MAX);
	}
	if (!it)
		return NULL;
	*it = (struct iter){ .name = str_dup(ctx->pool, name) };
	return it->name.s ? it : NULL;
}

static int end(struct ctx *ctx, enum iter_kind kind, struct str name)
{
	struct iter *it = find(ctx, kind, name);

	if (!it)
		return -1;
	*it = (struct iter){ 0 };
	return 1;
}

/* ---- header fields ---- */

static const struct sip_hdr *hf_at(const struct ctx *ctx, struct str name)
{
	const struct iter *it = find(ctx, ITER_HF, name);

	return it && it->at > 0 && it->at <= ctx->msg.n_hdrs ? &ctx->msg.hdrs[it->at - 1] : NULL;
}

int textopsx_hf_start(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return start(ctx, ITER_HF, a[0].s) ? 1 : -1;
}

int textopsx_hf_end(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return end(ctx, ITER_HF, a[0].s);
}

int textopsx_hf_next(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct iter *it = find(ctx, ITER_HF, a[0].s);

	(void)n;
	if (!it || it->at > ctx->msg.n_hdrs)
		return -1;
	it->at++;
	return it->at <= ctx->msg.n_hdrs ? 1 : -1;
}

int textopsx_hf_prev(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct iter *it = find(ctx, ITER_HF, a[0].s);

	(void)n;
	if (!it || it->at == 0)
		return -1;
	it->at--;
	return 1;
}

int textopsx_hf_rm(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_hdr *h = hf_at(ctx, a[0].s);

	(void)n;
	return h && sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, h, SIP_EDIT_SCRIPT) == 0 ? 1 : -1;
}

static int hf_put(struct ctx *ctx, struct str name, struct str field, bool behind)
{
	const struct sip_hdr *h = hf_at(ctx, name);

	if (!h || !textopsx_whole_field(ctx, &field))
		return -1;
	return sip_edit_add(&ctx->edits, ctx->pool, &ctx->msg, behind ? h->off + h->len : h->off, 0, field, SIP_EDIT_SCRIPT, behind ? SIP_ORDER_BEHIND : SIP_ORDER_FRONT) < 0 ? -1 : 1;
}

int textopsx_hf_append(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return hf_put(ctx, a[0].s, a[1].s, true);
}

int textopsx_hf_insert(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return hf_put(ctx, a[0].s, a[1].s, false);
}

/* ---- lines of the body ---- */

int textopsx_bl_start(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct iter *it = start(ctx, ITER_BL, a[0].s);

	(void)n;
	if (!it)
		return -1;
	it->rest = ctx->msg.body;
	return 1;
}

int textopsx_bl_end(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return end(ctx, ITER_BL, a[0].s);
}

int textopsx_bl_next(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct iter *it = find(ctx, ITER_BL, a[0].s);
	ptrdiff_t eol;

	(void)n;
	if (!it)
		return -1;
	eol = str_find_char(it->rest, '\n');
	it->line = eol < 0 ? it->rest : str_sub(it->rest, 0, (size_t)eol + 1);
	it->rest = str_sub(it->rest, it->line.n, it->rest.n);
	return it->line.n > 0 ? 1 : -1;
}

/* Changes at the line under the iterator: off from its start, so many bytes out, text in. */
static int bl_edit(struct ctx *ctx, struct str name, bool behind, bool drop, struct str put)
{
	const struct iter *it = find(ctx, ITER_BL, name);
	const struct sip_msg *m = &ctx->msg;
	uint32_t off;

	/* the message may have been replaced since */
	if (!it || it->line.n == 0 || it->line.s < m->buf.s || it->line.s >= m->buf.s + m->buf.n)
		return -1;
	put = str_dup(ctx->pool, put);
	off = (uint32_t)(it->line.s - m->buf.s) + (behind ? (uint32_t)it->line.n : 0);
	return sip_edit_add(&ctx->edits, ctx->pool, m, off, drop ? (uint32_t)it->line.n : 0, put, SIP_EDIT_SCRIPT, behind ? SIP_ORDER_BEHIND : SIP_ORDER_FRONT) < 0 ? -1 : 1;
}

int textopsx_bl_rm(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return bl_edit(ctx, a[0].s, false, true, STR_NULL);
}

int textopsx_bl_append(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return bl_edit(ctx, a[0].s, true, false, a[1].s);
}

int textopsx_bl_insert(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return bl_edit(ctx, a[0].s, false, false, a[1].s);
}

/* ---- variables ---- */

static int hfit_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_hdr *h;
	struct str name;

	if (pv_inner(ctx, spec, &name) < 0)
		return -1;
	h = hf_at(ctx, name);
	*ret = h ? value_str(spec->def->arg ? h->value : h->name) : value_null();
	return 0;
}

static int blit_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct iter *it;
	struct str name;

	if (pv_inner(ctx, spec, &name) < 0)
		return -1;
	it = find(ctx, ITER_BL, name);
	*ret = it && it->line.n > 0 ? value_str(it->line) : value_null();
	return 0;
}

const struct pv_def textopsx_pvs[] = {
	{ .name = "hfitname", .get = hfit_get, .flags = PV_INNER | PV_FMT_INNER, .arg = 0 },
	{ .name = "hfitbody", .get = hfit_get, .flags = PV_INNER | PV_FMT_INNER, .arg = 1 },
	{ .name = "blitval", .get = blit_get, .flags = PV_INNER | PV_FMT_INNER },
	{ .name = NULL },
};
