/* SPDX-License-Identifier: BSD-2-Clause */
/* Adding, removing and asking for header fields. */
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "modules/textops/textops_priv.h"

/* ---- adding ---- */

/* Text of whole fields: a missing line end would glue the next field to it. */
static bool whole_field(struct ctx *ctx, struct str *s)
{
	if (s->n == 0)
		return false;
	if (str_ends(*s, STR_LIT("\r\n"))) {
		*s = str_dup(ctx->pool, *s);
		return s->s != NULL;
	}
	if (s->s[s->n - 1] == '\n')
		s->n--;
	return pool_printf(ctx->pool, s, "%.*s\r\n", STR_FMT(*s)) == 0;
}

int textops_append_hf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s = a[0].s;

	(void)n;
	return whole_field(ctx, &s) && sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, s, SIP_EDIT_SCRIPT) == 0 ? 1 : -1;
}

int textops_insert_hf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s = a[0].s;

	(void)n;
	return whole_field(ctx, &s) && sip_edit_prepend(&ctx->edits, ctx->pool, &ctx->msg, s, SIP_EDIT_SCRIPT) == 0 ? 1 : -1;
}

/* Behind (before) the first field of that name; behind all when there is none. */
static int at_named(struct ctx *ctx, struct str s, struct str name, bool before)
{
	const struct sip_hdr *h = sip_msg_hdr_named(&ctx->msg, name, 0);

	if (!whole_field(ctx, &s))
		return -1;
	if (!h)
		return (before ? sip_edit_prepend : sip_edit_append)(&ctx->edits, ctx->pool, &ctx->msg, s, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
	return sip_edit_add(&ctx->edits, ctx->pool, &ctx->msg, before ? h->off : h->off + h->len, 0, s, SIP_EDIT_SCRIPT, before ? SIP_ORDER_FRONT : SIP_ORDER_BEHIND) < 0 ? -1 : 1;
}

int textops_append_hf_at(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return at_named(ctx, a[0].s, a[1].s, false);
}

int textops_insert_hf_at(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return at_named(ctx, a[0].s, a[1].s, true);
}

int textops_append_to_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s = a[0].s;

	(void)n;
	return whole_field(ctx, &s) && route_reply_add(ctx, s) == 0 ? 1 : -1;
}

/* "name: <" + pre + URI of the request + suf: P-hint-like fields */
int textops_append_urihf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s;

	(void)n;
	if (ctx->msg.kind != SIP_REQUEST || pool_printf(ctx->pool, &s, "%.*s%.*s%.*s", STR_FMT(a[0].s), STR_FMT(ctx_ruri(ctx)), STR_FMT(a[1].s)) < 0)
		return -1;
	return whole_field(ctx, &s) && sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, s, SIP_EDIT_SCRIPT) == 0 ? 1 : -1;
}

/* RFC 3261, 20.17; no strftime(3): its names follow the locale. */
static int date_field(struct ctx *ctx, struct str *ret)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = clock_wall().tv_sec;
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return -ERANGE;
	return pool_printf(ctx->pool, ret, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
			   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

int textops_append_time(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s;

	(void)a;
	(void)n;
	return date_field(ctx, &s) == 0 && route_reply_add(ctx, s) == 0 ? 1 : -1;
}

int textops_append_time_to_request(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str s;

	(void)a;
	(void)n;
	return date_field(ctx, &s) == 0 && sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, s, SIP_EDIT_SCRIPT) == 0 ? 1 : -1;
}

/* ---- removing ---- */

static int remove_one(struct ctx *ctx, const struct sip_hdr *h)
{
	return sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, h, SIP_EDIT_SCRIPT) < 0 ? -1 : 1;
}

static int remove_named(struct ctx *ctx, struct str name)
{
	enum sip_header id = sip_header_lookup(name);
	int done = -1;

	if (id != SIP_H_OTHER) {
		for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, id); h; h = sip_msg_hdr_next(&ctx->msg, h))
			done = remove_one(ctx, h) < 0 ? -1 : 1;
		return done;
	}
	for (unsigned i = 0; i < ctx->msg.n_hdrs; i++) {
		const struct sip_hdr *h = &ctx->msg.hdrs[i];

		if (h->id == SIP_H_OTHER && str_ieq(h->name, name))
			done = remove_one(ctx, h) < 0 ? -1 : 1;
	}
	return done;
}

int textops_remove_hf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return remove_named(ctx, a[0].s);
}

int textops_remove_hf_pv(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return a[0].s.n > 0 ? remove_named(ctx, a[0].s) : -1;
}

/* Removes the fields whose name matches re and, when there is `keep`, does not match that. */
static int remove_matching(struct ctx *ctx, const struct regex *re, const struct regex *keep)
{
	int done = -1;

	for (unsigned i = 0; i < ctx->msg.n_hdrs; i++) {
		const struct sip_hdr *h = &ctx->msg.hdrs[i];

		if (regex_match(re, h->name, 0, NULL) != 1 || (keep && regex_match(keep, h->name, 0, NULL) == 1))
			continue;
		if (remove_one(ctx, h) < 0)
			return -1;
		done = 1;
	}
	return done;
}

int textops_remove_hf_re(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return remove_matching(ctx, a[0].re, NULL);
}

int textops_remove_hf_exp(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return remove_matching(ctx, a[0].re, a[1].re);
}

static const struct regex *dynamic(struct str pattern)
{
	const struct regex *re;
	struct diag d = { 0 };

	if (pattern.n > 0 && regex_cached(pattern, TEXTOPS_REGEX, &re, &d) == 0)
		return re;
	log_error("textops: '%.*s': %s", STR_FMT(pattern), pattern.n > 0 ? d.text : "empty expression");
	return NULL;
}

int textops_remove_hf_re_pv(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct regex *re = dynamic(a[0].s);

	(void)n;
	return re ? remove_matching(ctx, re, NULL) : -1;
}

/* Two expressions: the first is compiled by itself, since a cached one lives only until the next is asked for. */
int textops_remove_hf_exp_pv(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct regex *keep;
	struct diag d = { 0 };
	struct regex *re;
	int rc = -1;

	(void)n;
	if (regex_compile(a[0].s, TEXTOPS_REGEX, &re, &d) < 0) {
		log_error("textops: '%.*s': %s", STR_FMT(a[0].s), d.text);
		return -1;
	}
	keep = dynamic(a[1].s);
	if (keep)
		rc = remove_matching(ctx, re, keep);
	regex_free(re);
	return rc;
}

int textops_remove_hf_idx(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_hdr *h;

	(void)n;
	if (a[1].i < INT16_MIN || a[1].i > INT16_MAX)
		return -1;
	h = sip_msg_hdr_named(&ctx->msg, a[0].s, (int)a[1].i);
	return h ? remove_one(ctx, h) : 2; /* nothing to do is no failure */
}

/* name, "eq|ne|in|re", expression on the value */
int textops_remove_hf_match(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct regex *re = NULL;
	const struct sip_hdr *h;
	int done = -2;

	(void)n;
	if (str_eq(a[1].s, STR_LIT("re"))) {
		re = dynamic(a[2].s);
		if (!re)
			return -1;
	}
	for (int i = 0; (h = sip_msg_hdr_named(&ctx->msg, a[0].s, i)); i++) {
		bool hit;

		if (re)
			hit = regex_match(re, h->value, 0, NULL) == 1;
		else if (str_eq(a[1].s, STR_LIT("eq")))
			hit = str_eq(h->value, a[2].s);
		else if (str_eq(a[1].s, STR_LIT("ne")))
			hit = !str_eq(h->value, a[2].s);
		else if (str_eq(a[1].s, STR_LIT("in")))
			hit = str_find(h->value, a[2].s) >= 0;
		else
			return -1;
		if (hit && remove_one(ctx, h) > 0)
			done = 1;
	}
	return done;
}

/* ---- asking ---- */

static int present(const struct sip_msg *m, struct str name)
{
	enum sip_header id = sip_header_lookup(name);

	return (id != SIP_H_OTHER ? sip_msg_hdr(m, id) : sip_msg_hdr_named(m, name, 0)) ? 1 : -1;
}

int textops_is_present_hf(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return present(&ctx->msg, a[0].s);
}

int textops_is_present_hf_pv(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return a[0].s.n > 0 ? present(&ctx->msg, a[0].s) : -1;
}

static int present_re(const struct sip_msg *m, const struct regex *re)
{
	for (unsigned i = 0; i < m->n_hdrs; i++) {
		if (regex_match(re, m->hdrs[i].name, 0, NULL) == 1)
			return 1;
	}
	return -1;
}

int textops_is_present_hf_re(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return present_re(&ctx->msg, a[0].re);
}

int textops_is_present_hf_re_pv(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct regex *re = dynamic(a[0].s);

	(void)n;
	return re ? present_re(&ctx->msg, re) : -1;
}

/* Privacy: values separated by ';' (RFC 3323, 4.2) */
int textops_is_privacy(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	for (const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_PRIVACY); h; h = sip_msg_hdr_next(&ctx->msg, h)) {
		struct str rest = h->value;

		while (rest.n > 0) {
			size_t i = 0;

			while (i < rest.n && rest.s[i] != ';' && rest.s[i] != ',')
				i++;
			if (str_ieq(str_trim(str_sub(rest, 0, i)), a[0].s))
				return 1;
			rest = i < rest.n ? str_sub(rest, i + 1, rest.n) : STR_NULL;
		}
	}
	return -1;
}

/* Takes a parameter off the n-th Via value. */
int textops_via_param_rm(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_msg *m = &ctx->msg;
	int64_t at = a[1].i;

	(void)n;
	for (const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_VIA); h; h = sip_msg_hdr_next(m, h)) {
		struct str rest = h->value;
		struct sip_via via;

		while (sip_via_next(&rest, &via, NULL) == 1) {
			struct sip_param p;

			if (at-- != 0)
				continue;
			if (!sip_param_find(via.params, a[0].s, &p))
				return -1;
			/* with the ';' in front */
			while (p.raw.s > via.text.s && *p.raw.s != ';') {
				p.raw.s--;
				p.raw.n++;
			}
			return textops_edit(ctx, p.raw, STR_LIT(""), SIP_EDIT_SCRIPT);
		}
	}
	return -1;
}
