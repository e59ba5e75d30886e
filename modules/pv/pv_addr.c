/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From, To and the other fields that hold a name-addr. Setting $fu, $fU, $fd or $fn makes one edit that replaces the
 * name-addr of the field ("Bob" <sip:...>): a second assignment changes the text of that edit, so that they add up. As everywhere,
 * reading gives what was received.
 */
#include "core/base/log.h"
#include "modules/pv/pv_priv.h"

enum addr_what { A_URI, A_USER, A_HOST, A_NAME, A_TAG, A_URILEN, A_USERLEN, A_HAS_TAG, A_PARAM };
#define ADDR_TO 256 /* in def->arg, with an addr_what */

static const struct sip_addr *addr_of(struct ctx *ctx, const struct pv_spec *spec)
{
	return spec->def->arg & ADDR_TO ? sip_msg_to(&ctx->msg) : sip_msg_from(&ctx->msg);
}

static int addr_value(const struct sip_addr *a, enum addr_what what, struct value *ret)
{
	struct sip_uri uri;

	switch (what) {
	case A_URI:
		return pv_ret_str(ret, a->uri);
	case A_NAME:
		return pv_ret_str(ret, a->display);
	case A_TAG:
		return pv_ret_str(ret, a->tag);
	case A_HAS_TAG:
		return pv_ret_int(ret, a->tag.n > 0);
	case A_URILEN:
		return pv_ret_int(ret, (int64_t)a->uri.n);
	default:
		break;
	}
	if (sip_uri_parse(a->uri, &uri, NULL) < 0)
		return -EINVAL;
	return pv_uri_part(&uri, what == A_USER ? PV_U_USER : what == A_HOST ? PV_U_HOST : PV_U_USERLEN, ret);
}

static int addr_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_addr *a = addr_of(ctx, spec);

	if (!a) {
		if ((spec->def->arg & 255) == A_HAS_TAG)
			return pv_ret_int(ret, 0);
		return pv_ret_null(ret);
	}
	return addr_value(a, (enum addr_what)(spec->def->arg & 255), ret);
}

/* URI text with user or host exchanged. */
static int uri_with(struct ctx *ctx, struct str text, enum addr_what what, struct str v, struct str *ret)
{
	struct sip_uri u;
	const char *host, *end = text.s + text.n, *from;
	struct str host_text;

	if (sip_uri_parse(text, &u, NULL) < 0 || u.scheme == SIP_URI_TEL || u.scheme == SIP_URI_TELS || u.scheme == SIP_URI_OTHER)
		return -EINVAL;
	host_text = pv_uri_host(&u);
	host = host_text.s;
	if (what == A_HOST) {
		from = host + host_text.n;
		return pool_printf(ctx->pool, ret, "%.*s%.*s%.*s", (int)(host - text.s), text.s, STR_FMT(v), (int)(end - from), from);
	}
	/* scheme ":" [user [":" password] "@"] host... */
	if (v.n == 0)
		return pool_printf(ctx->pool, ret, "%.*s:%.*s", STR_FMT(u.scheme_text), (int)(end - host), host);
	from = u.has_user && u.user.s ? u.user.s + u.user.n : NULL;
	return pool_printf(ctx->pool, ret, "%.*s:%.*s%.*s%.*s", STR_FMT(u.scheme_text), STR_FMT(v), from ? (int)(end - from) : 1,
			   from ? from : "@", from ? 0 : (int)(end - host), host);
}

static struct sip_edit *edit_at(struct sip_edits *edits, uint32_t off, uint32_t drop, enum sip_edit_tag tag)
{
	for (struct sip_edit *e = edits->head; e; e = e->next) {
		if (e->off == off && e->drop == drop && e->tag == tag)
			return e;
	}
	return NULL;
}

static int addr_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	enum addr_what what = (enum addr_what)(spec->def->arg & 255);
	enum sip_edit_tag tag = spec->def->arg & ADDR_TO ? SIP_EDIT_TO : SIP_EDIT_FROM;
	const struct sip_addr *a = addr_of(ctx, spec);
	struct sip_addr pending;
	struct sip_edit *e;
	struct str text = STR_LIT(""), display, uri, put;
	const char *start, *end;
	int err;

	if (!a || a->uri.n == 0)
		return -EINVAL;
	if (v->kind == VALUE_NULL && (what == A_URI || what == A_HOST)) {
		if (what == A_HOST)
			return -EINVAL;
		log_warn("$null assigned to $%s is ignored", spec->def->name);
		return 0;
	}
	if (v->kind != VALUE_NULL) {
		err = value_to_str(v, ctx->pool, &text);
		if (err < 0)
			return err;
	}
	start = a->display.n > 0 ? a->display.s : a->uri.s - (a->bracketed ? 1 : 0);
	end = a->uri.s + a->uri.n + (a->bracketed ? 1 : 0);
	display = a->display;
	uri = a->uri;
	e = edit_at(&ctx->edits, (uint32_t)(start - ctx->msg.buf.s), (uint32_t)(end - start), tag);
	if (e && sip_addr_parse(e->put, &pending, NULL) == 0) {
		display = pending.display;
		uri = pending.uri;
	}
	if (what == A_NAME)
		display = text;
	else if (what == A_URI)
		uri = text;
	else if ((err = uri_with(ctx, uri, what, text, &uri)) < 0)
		return err;
	if (uri.n == 0)
		return -EINVAL;
	err = pool_printf(ctx->pool, &put, "%.*s%s<%.*s>", STR_FMT(display), display.n > 0 ? " " : "", STR_FMT(uri));
	if (err < 0)
		return err;
	if (e) {
		e->put = put;
		return 0;
	}
	return sip_edit_replace(&ctx->edits, ctx->pool, &ctx->msg, str_of(start, (size_t)(end - start)), put, tag);
}

/* ---- fields with one or several name-addrs, read only ---- */

static int nth_addr(struct ctx *ctx, enum sip_header id, int n, struct sip_addr *ret_addr)
{
	struct sip_addr_iter it = { 0 };
	int total = 0;

	if (n < 0) {
		struct sip_addr_iter all = { 0 };

		while (sip_msg_addr_next(&ctx->msg, id, &all, ret_addr) == 1)
			total++;
		n += total;
		if (n < 0)
			return -ENOENT;
	}
	while (sip_msg_addr_next(&ctx->msg, id, &it, ret_addr) == 1) {
		if (n-- == 0)
			return 0;
	}
	return -ENOENT;
}

#define F(id, what) ((intptr_t)(id) << 8 | (what))

static int field_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct sip_addr a;
	int n, err = pv_index(ctx, spec, &n);

	if (err < 0)
		return err;
	if (nth_addr(ctx, (enum sip_header)(spec->def->arg >> 8), n, &a) < 0 || a.star)
		return pv_ret_null(ret);
	return addr_value(&a, (enum addr_what)(spec->def->arg & 255), ret);
}

/* $dir $dip $dic: parameters of the first Diversion. */
static int diversion_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	static const char *const names[] = { "reason", "privacy", "counter" };
	struct sip_addr a;
	struct sip_param p;

	if (nth_addr(ctx, SIP_H_DIVERSION, 0, &a) < 0 || !sip_param_find(a.params, str_lit(names[spec->def->arg]), &p))
		return pv_ret_null(ret);
	return pv_ret_str(ret, p.value);
}

static int contact_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CONTACT);

	if (!h)
		return pv_ret_null(ret);
	if (spec->def->arg == 0)
		return pv_ret_str(ret, h->value);
	return pv_ret_int(ret, str_eq(str_trim(h->value), STR_LIT("*")));
}

enum expires_what { EXP_MIN, EXP_MAX };
static const struct pv_word expires_words[] = { { "min", EXP_MIN }, { "max", EXP_MAX }, { NULL, 0 } };

static int expires_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(expires_words, spec, reterr);
}

static int expires_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_EXPIRES);
	struct sip_addr_iter it = { 0 };
	struct sip_addr a;
	bool have_hdr, have = false;
	uint32_t hdr = 0, best = 0;

	have_hdr = h && num_u32(str_trim(h->value), &hdr) == 0;
	while (sip_msg_addr_next(&ctx->msg, SIP_H_CONTACT, &it, &a) == 1) {
		struct sip_param p;
		uint32_t v;

		if (a.star || !sip_param_find(a.params, STR_LIT("expires"), &p) || num_u32(p.value, &v) < 0) {
			if (!have_hdr)
				continue;
			v = hdr;
		}
		if (!have || (spec->arg == EXP_MIN ? v < best : v > best))
			best = v;
		have = true;
	}
	if (!have && have_hdr) {
		best = hdr;
		have = true;
	}
	return have ? pv_ret_int(ret, best) : pv_ret_null(ret);
}

/* clang-format off */
const struct pv_def pv_addr_table[] = {
	{ .name = "fu",          .get = addr_get, .set = addr_set, .arg = A_URI },
	{ .name = "from",        .get = addr_get, .set = addr_set, .arg = A_URI },
	{ .name = "fU",          .get = addr_get, .set = addr_set, .arg = A_USER },
	{ .name = "from.user",   .get = addr_get, .set = addr_set, .arg = A_USER },
	{ .name = "fd",          .get = addr_get, .set = addr_set, .arg = A_HOST },
	{ .name = "from.domain", .get = addr_get, .set = addr_set, .arg = A_HOST },
	{ .name = "fn",          .get = addr_get, .set = addr_set, .arg = A_NAME },
	{ .name = "ft",          .get = addr_get, .arg = A_TAG },
	{ .name = "ful",         .get = addr_get, .arg = A_URILEN },
	{ .name = "fUl",         .get = addr_get, .arg = A_USERLEN },
	{ .name = "tu",          .get = addr_get, .set = addr_set, .arg = ADDR_TO | A_URI },
	{ .name = "to",          .get = addr_get, .set = addr_set, .arg = ADDR_TO | A_URI },
	{ .name = "tU",          .get = addr_get, .set = addr_set, .arg = ADDR_TO | A_USER },
	{ .name = "to.user",     .get = addr_get, .set = addr_set, .arg = ADDR_TO | A_USER },
	{ .name = "td",          .get = addr_get, .set = addr_set, .arg = ADDR_TO | A_HOST },
	{ .name = "to.domain",   .get = addr_get, .set = addr_set, .arg = ADDR_TO | A_HOST },
	{ .name = "tn",          .get = addr_get, .set = addr_set, .arg = ADDR_TO | A_NAME },
	{ .name = "tt",          .get = addr_get, .arg = ADDR_TO | A_TAG },
	{ .name = "tts",         .get = addr_get, .arg = ADDR_TO | A_HAS_TAG },
	{ .name = "tul",         .get = addr_get, .arg = ADDR_TO | A_URILEN },
	{ .name = "tUl",         .get = addr_get, .arg = ADDR_TO | A_USERLEN },
	{ .name = "ct",          .get = contact_get, .arg = 0 },
	{ .name = "cts",         .get = contact_get, .arg = 1 },
	{ .name = "ctu",         .get = field_get, .arg = F(SIP_H_CONTACT, A_URI) },
	{ .name = "re",          .get = field_get, .arg = F(SIP_H_REMOTE_PARTY_ID, A_URI) },
	{ .name = "rt",          .get = field_get, .arg = F(SIP_H_REFER_TO, A_URI) },
	{ .name = "di",          .get = field_get, .arg = F(SIP_H_DIVERSION, A_URI) },
	{ .name = "dir",         .get = diversion_get, .arg = 0 },
	{ .name = "dip",         .get = diversion_get, .arg = 1 },
	{ .name = "dic",         .get = diversion_get, .arg = 2 },
	{ .name = "ai",          .get = field_get, .flags = PV_INDEX, .arg = F(SIP_H_P_ASSERTED_IDENTITY, A_URI) },
	{ .name = "pu",          .get = field_get, .flags = PV_INDEX, .arg = F(SIP_H_P_PREFERRED_IDENTITY, A_URI) },
	{ .name = "pU",          .get = field_get, .flags = PV_INDEX, .arg = F(SIP_H_P_PREFERRED_IDENTITY, A_USER) },
	{ .name = "pd",          .get = field_get, .flags = PV_INDEX, .arg = F(SIP_H_P_PREFERRED_IDENTITY, A_HOST) },
	{ .name = "pn",          .get = field_get, .flags = PV_INDEX, .arg = F(SIP_H_P_PREFERRED_IDENTITY, A_NAME) },
	{ .name = "expires",     .get = expires_get, .prepare = expires_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */
