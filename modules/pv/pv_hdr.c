/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Header fields by name, their values, and the parts of Via. A constant name is looked up when the script is loaded; known
 * fields are then found by number, others by comparing names.
 */
#include "modules/pv/pv_priv.h"

/* ---- $hdr() $hdrc() ---- */

static int hdr_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	(void)reterr;
	spec->arg = spec->inner_fmt ? SIP_H_OTHER : (intptr_t)sip_header_lookup(spec->inner);
	return 0;
}

/* What is looked for: by id when it is known, else by name; "*" is any. */
struct wanted {
	enum sip_header id;
	struct str name;
	bool any;
};

static int wanted_init(struct ctx *ctx, const struct pv_spec *spec, struct wanted *ret)
{
	struct wanted w = { .id = (enum sip_header)spec->arg };
	int err = pv_inner(ctx, spec, &w.name);

	if (err < 0)
		return err;
	if (spec->inner_fmt)
		w.id = sip_header_lookup(w.name);
	w.any = str_eq(w.name, STR_LIT("*"));
	*ret = w;
	return 0;
}

static const struct sip_hdr *first_hdr(const struct sip_msg *m, const struct wanted *w)
{
	if (w->any)
		return m->n_hdrs > 0 ? &m->hdrs[0] : NULL;
	if (w->id != SIP_H_OTHER)
		return sip_msg_hdr(m, w->id);
	return sip_msg_hdr_named(m, w->name, 0);
}

static const struct sip_hdr *next_hdr(const struct sip_msg *m, const struct wanted *w, const struct sip_hdr *h)
{
	const struct sip_hdr *end = m->hdrs + m->n_hdrs;

	if (!w->any && w->id != SIP_H_OTHER)
		return sip_msg_hdr_next(m, h);
	for (h++; h < end; h++) {
		if (w->any || (h->id == SIP_H_OTHER && str_ieq(h->name, w->name)))
			return h;
	}
	return NULL;
}

/* Chooses among values that a walker hands out one by one: the n-th, the n-th from the end, or all joined. */
struct choice {
	struct ctx *ctx;
	const struct pv_spec *spec;
	int want;            /* counts down to 0 */
	bool done;
	struct str found;
	struct strbuf joined;
	int n;
};

static int choice_init(struct choice *c, struct ctx *ctx, const struct pv_spec *spec)
{
	*c = (struct choice){ .ctx = ctx, .spec = spec };
	if (spec->idx_kind == PV_IDX_ALL)
		strbuf_init_pool(&c->joined, ctx->pool, 65535);
	return pv_index(ctx, spec, &c->want);
}

static void choice_offer(struct choice *c, struct str value)
{
	if (c->spec->idx_kind == PV_IDX_ALL) {
		if (c->n > 0)
			strbuf_add_char(&c->joined, ',');
		strbuf_add(&c->joined, value);
	} else if (c->want == c->n) {
		c->found = value;
		c->done = true;
	}
	c->n++;
}

static int choice_result(struct choice *c, struct value *ret)
{
	if (c->spec->idx_kind == PV_IDX_ALL) {
		if (strbuf_err(&c->joined) < 0)
			return -EMSGSIZE;
		return c->n > 0 ? (*ret = value_str(strbuf_str(&c->joined)), 0) : pv_ret_null(ret);
	}
	if (!c->done)
		return pv_ret_null(ret);
	*ret = value_str(c->found.s ? c->found : STR_LIT("")); /* a field that is there but empty is no null */
	return 0;
}

static int hdr_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_msg *m = &ctx->msg;
	struct wanted w;
	struct choice c;
	int err = wanted_init(ctx, spec, &w);

	if (err < 0)
		return err;
	err = choice_init(&c, ctx, spec);
	if (err < 0)
		return err;
	if (c.want < 0) {
		for (const struct sip_hdr *h = first_hdr(m, &w); h; h = next_hdr(m, &w, h))
			c.want++;
		if (c.want < 0)
			return pv_ret_null(ret);
	}
	for (const struct sip_hdr *h = first_hdr(m, &w); h && !c.done; h = next_hdr(m, &w, h))
		choice_offer(&c, h->value);
	return choice_result(&c, ret);
}

static int hdrc_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct wanted w;
	int64_t n = 0;
	int err = wanted_init(ctx, spec, &w);

	if (err < 0)
		return err;
	for (const struct sip_hdr *h = first_hdr(&ctx->msg, &w); h; h = next_hdr(&ctx->msg, &w, h))
		n++;
	return pv_ret_int(ret, n);
}

/* ---- $hfl() $hflc(): single values of the fields that are lists ---- */

static bool is_list_field(enum sip_header id)
{
	return id == SIP_H_VIA || id == SIP_H_ROUTE || id == SIP_H_RECORD_ROUTE || id == SIP_H_CONTACT || id == SIP_H_DIVERSION ||
	       id == SIP_H_P_PREFERRED_IDENTITY || id == SIP_H_P_ASSERTED_IDENTITY;
}

static int hfl_walk(const struct sip_msg *m, const struct wanted *w, struct choice *c)
{
	int n = 0;

	for (const struct sip_hdr *h = first_hdr(m, w); h; h = next_hdr(m, w, h)) {
		struct str rest = h->value, item;
		int got;

		if (!is_list_field(h->id) || w->any) {
			n++;
			if (c)
				choice_offer(c, h->value);
			continue;
		}
		while ((got = sip_list_next(&rest, &item)) == 1) {
			n++;
			if (c)
				choice_offer(c, item);
		}
		if (got < 0)
			return got;
	}
	return n;
}

static int hfl_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct wanted w;
	struct choice c;
	int n, err = wanted_init(ctx, spec, &w);

	if (err < 0)
		return err;
	err = choice_init(&c, ctx, spec);
	if (err < 0)
		return err;
	if (c.want < 0) {
		n = hfl_walk(&ctx->msg, &w, NULL);
		if (n < 0)
			return n;
		c.want += n;
		if (c.want < 0)
			return pv_ret_null(ret);
	}
	n = hfl_walk(&ctx->msg, &w, &c);
	return n < 0 ? n : choice_result(&c, ret);
}

static int hflc_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct wanted w;
	int n = wanted_init(ctx, spec, &w);

	if (n < 0)
		return n;
	n = hfl_walk(&ctx->msg, &w, NULL);
	return n < 0 ? n : pv_ret_int(ret, n);
}

/* ---- single fields ---- */

static int field_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, (enum sip_header)spec->def->arg);

	return h ? pv_ret_str(ret, h->value) : pv_ret_null(ret);
}

static int cs_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);

	(void)spec;
	return cseq ? pv_ret_str(ret, cseq->number_text) : pv_ret_null(ret);
}

static int cl_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec;
	return ctx->msg.has_content_length ? pv_ret_int(ret, ctx->msg.content_length) : pv_ret_null(ret);
}

/* arg 0 text, 1 length */
static int body_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	return spec->def->arg ? pv_ret_int(ret, (int64_t)ctx->msg.body.n) : pv_ret_str(ret, ctx->msg.body);
}

/* ---- Via ---- */

enum via_what { V_HOST, V_PORT, V_PROTO, V_PROTOID, V_BRANCH, V_RPORT, V_RECEIVED, V_I, V_PARAMS, V_PARAM };
static const struct pv_word via_words[] = {
	{ "host", V_HOST }, { "port", V_PORT }, { "proto", V_PROTO }, { "protoid", V_PROTOID }, { "branch", V_BRANCH }, { "rport", V_RPORT },
	{ "received", V_RECEIVED }, { "i", V_I }, { "params", V_PARAMS }, { "oc", V_PARAM }, { "oc-algo", V_PARAM },
	{ "oc-validity", V_PARAM }, { "oc-seq", V_PARAM }, { "oc-val", V_PARAM }, { NULL, 0 },
};

static int via_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(via_words, spec, reterr);
}

static const struct sip_via *via_of(struct ctx *ctx, intptr_t which, struct sip_via *mem)
{
	bool have = false;

	if (which == 0)
		return sip_msg_via1(&ctx->msg);
	if (which == 1)
		return sip_msg_via2(&ctx->msg);
	for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_VIA); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
		struct str rest = h->value;

		while (sip_via_next(&rest, mem, NULL) == 1)
			have = true;
	}
	return have ? mem : NULL;
}

static int via_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct sip_via mem;
	const struct sip_via *via = via_of(ctx, spec->def->arg, &mem);
	struct sip_param p;

	if (!via)
		return pv_ret_null(ret);
	switch ((enum via_what)spec->arg) {
	case V_HOST:
		return pv_ret_str(ret, via->host_v6 ? str_of(via->host.s - 1, via->host.n + 2) : via->host);
	case V_PORT:
		return pv_ret_int(ret, via->port ? via->port : 5060);
	case V_PROTO:
		return pv_ret_str(ret, via->transport);
	case V_PROTOID:
		return pv_ret_int(ret, via->proto);
	case V_BRANCH:
		return pv_ret_str(ret, via->branch);
	case V_RPORT:
		return pv_ret_str(ret, via->rport);
	case V_RECEIVED:
		return pv_ret_str(ret, via->received);
	case V_PARAMS:
		return pv_ret_str(ret, via->params);
	case V_I:
	case V_PARAM:
		if (!sip_param_find(via->params, spec->inner, &p))
			return pv_ret_null(ret);
		return pv_ret_str(ret, p.value);
	}
	return -EINVAL;
}

#define HDR_FLAGS (PV_INNER | PV_INDEX | PV_FMT_INNER)
/* clang-format off */
const struct pv_def pv_hdr_table[] = {
	{ .name = "hdr",  .get = hdr_get,  .prepare = hdr_prepare, .flags = HDR_FLAGS },
	{ .name = "hdrc", .get = hdrc_get, .prepare = hdr_prepare, .flags = PV_INNER | PV_FMT_INNER },
	{ .name = "hfl",  .get = hfl_get,  .prepare = hdr_prepare, .flags = HDR_FLAGS },
	{ .name = "hflc", .get = hflc_get, .prepare = hdr_prepare, .flags = PV_INNER | PV_FMT_INNER },
	{ .name = "ci",   .get = field_get, .arg = SIP_H_CALL_ID },
	{ .name = "csb",  .get = field_get, .arg = SIP_H_CSEQ },
	{ .name = "cT",   .get = field_get, .arg = SIP_H_CONTENT_TYPE },
	{ .name = "ua",   .get = field_get, .arg = SIP_H_USER_AGENT },
	{ .name = "cs",   .get = cs_get },
	{ .name = "cl",   .get = cl_get },
	{ .name = "rb",   .get = body_get, .arg = 0 },
	{ .name = "bs",   .get = body_get, .arg = 1 },
	{ .name = "via0", .get = via_get, .prepare = via_prepare, .flags = PV_INNER, .arg = 0 },
	{ .name = "via1", .get = via_get, .prepare = via_prepare, .flags = PV_INNER, .arg = 1 },
	{ .name = "viaZ", .get = via_get, .prepare = via_prepare, .flags = PV_INNER, .arg = 2 },
	{ .name = NULL },
};
/* clang-format on */
