/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module textops: text operations on messages. This file has the table of functions, is_method(), and the comparisons of plain texts;
 * search and replace, header fields and bodies have files of their own.
 */

#include "core/base/log.h"
#include "modules/textops/textops_priv.h"

/* ---- is_method() ---- */

struct method_list {
	uint32_t known;   /* bits of enum sip_method */
	struct str other; /* a single name that we do not know */
};

/* "INVITE|ACK": lists hold known methods only; a single name may be any. */
static int method_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	struct method_list *l = pool_zalloc(pool, sizeof(*l));
	struct str rest = text;

	(void)index;
	if (!l)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	while (rest.n > 0) {
		ptrdiff_t bar = str_find_char(rest, '|');
		struct str one = str_trim(bar < 0 ? rest : str_sub(rest, 0, (size_t)bar));
		enum sip_method m = sip_method_lookup(one);

		rest = bar < 0 ? STR_NULL : str_sub(rest, (size_t)bar + 1, rest.n);
		if (m != SIP_M_OTHER)
			l->known |= (uint32_t)m;
		else if (bar < 0 && l->known == 0 && one.n > 0)
			l->other = one;
		else
			return diag_set(reterr, 0, "is_method: '%.*s' is no known method", STR_FMT(one));
	}
	if (l->known == 0 && l->other.n == 0)
		return diag_set(reterr, 0, "is_method: a method is missing");
	*ret_p = l;
	return 0;
}

static HOT int f_is_method(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct method_list *l = a[0].p;
	enum sip_method m = ctx->msg.method;
	struct str name = ctx->msg.method_name;

	(void)n;
	if (ctx->msg.kind != SIP_REQUEST) {
		const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);

		if (!cseq)
			return -1;
		m = cseq->method;
		name = cseq->name;
	}
	if (l->known)
		return m != SIP_M_OTHER && (l->known & (uint32_t)m) ? 1 : -1;
	return str_ieq(name, l->other) ? 1 : -1;
}

/* ---- plain texts ---- */

/* Items are separated by the characters of sep; the subject may be wrapped in one of them. */
static int list_find(const union script_arg *a, bool prefix)
{
	struct str subject = a[0].s, list = a[1].s, sep = a[2].s;

	if (subject.n == 0 || sep.n == 0)
		return -1;
	for (size_t start = 0, i = 0; i <= list.n; i++) {
		struct str item;

		if (i < list.n && str_find_char(sep, list.s[i]) < 0)
			continue;
		item = str_trim(str_sub(list, start, i - start));
		start = i + 1;
		if (item.n > 0 && (prefix ? str_starts(subject, item) : str_eq(subject, item)))
			return 1;
	}
	return -1;
}

static int f_in_list(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return list_find(a, false);
}

static int f_in_list_prefix(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx;
	(void)n;
	return list_find(a, true);
}

static bool any_in(struct str s, struct str set)
{
	for (size_t i = 0; i < s.n; i++) {
		if (str_find_char(set, s.s[i]) >= 0)
			return true;
	}
	return false;
}

static bool all_in(struct str s, struct str set)
{
	for (size_t i = 0; i < s.n; i++) {
		if (str_find_char(set, s.s[i]) < 0)
			return false;
	}
	return s.n > 0;
}

#define TEXT_FUNC(name, condition)                                                               \
	static int name(struct ctx *ctx, const union script_arg *a, unsigned n)                  \
	{                                                                                        \
		(void)ctx;                                                                       \
		(void)n;                                                                         \
		return (condition) ? 1 : -1;                                                     \
	}
TEXT_FUNC(f_starts_with, str_starts(a[0].s, a[1].s))
TEXT_FUNC(f_ends_with, str_ends(a[0].s, a[1].s))
TEXT_FUNC(f_str_any_in, any_in(a[0].s, a[1].s))
TEXT_FUNC(f_str_all_in, all_in(a[0].s, a[1].s))

/* 1 equal, -1 the first is greater, -2 the second. */
static int compared(int order)
{
	return order == 0 ? 1 : order > 0 ? -1 : -2;
}

static int f_cmp_str(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx, (void)n;
	return compared(str_cmp(a[0].s, a[1].s));
}

static int f_cmp_istr(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	size_t common = a[0].s.n < a[1].s.n ? a[0].s.n : a[1].s.n;
	int order = 0;

	(void)ctx, (void)n;
	for (size_t i = 0; i < common && order == 0; i++)
		order = (unsigned char)char_lower(a[0].s.s[i]) - (unsigned char)char_lower(a[1].s.s[i]);
	if (order == 0)
		order = (a[0].s.n > a[1].s.n) - (a[0].s.n < a[1].s.n);
	return compared(order);
}

/* Where the second text is in the first, from 1 on. */
static int f_str_find(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	ptrdiff_t at = str_find(a[0].s, a[1].s);

	(void)ctx, (void)n;
	return at < 0 ? -1 : (int)at + 1;
}

static int f_str_ifind(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	ptrdiff_t at = str_ifind(a[0].s, a[1].s);

	(void)ctx, (void)n;
	return at < 0 ? -1 : (int)at + 1;
}

static int textops_init(void)
{
	int err = textops_body_init();

	return err < 0 ? log_fail(err, "textops: no room for the state of a message") : 0;
}

#define F0(name_, fn_, kinds_) { .name = name_, .fn = fn_, .kinds = kinds_ }
#define F1(name_, fn_, p1, kinds_) { .name = name_, .fn = fn_, .n_params = 1, .param = { p1 }, .kinds = kinds_ }
#define F2(name_, fn_, p1, p2, kinds_) { .name = name_, .fn = fn_, .n_params = 2, .param = { p1, p2 }, .kinds = kinds_ }
#define F3(name_, fn_, p1, p2, p3, kinds_) { .name = name_, .fn = fn_, .n_params = 3, .param = { p1, p2, p3 }, .kinds = kinds_ }
#define ANY CTX_ANY
#define RFB (CTX_REQUEST | CTX_FAILURE | CTX_BRANCH | CTX_LOCAL)
#define RFBO (RFB | CTX_ONREPLY)
/* clang-format off */
static const struct script_func funcs[] = {
	{ .name = "is_method", .fn = f_is_method, .n_params = 1, .param = { SP_FIX }, .kinds = ANY, .fixup = method_fixup },
	F1("search",             textops_search,             SP_REGEX, ANY),
	F1("search_body",        textops_search_body,        SP_REGEX, ANY),
	F3("search_hf",          textops_search_hf,          SP_DSTR, SP_REGEX, SP_STR, ANY),
	F2("search_str",         textops_search_str,         SP_DSTR, SP_REGEX, ANY),
	F2("search_append",      textops_search_append,      SP_REGEX, SP_DSTR, ANY),
	F2("search_append_body", textops_search_append_body, SP_REGEX, SP_DSTR, ANY),
	F2("replace",            textops_replace,            SP_REGEX, SP_DSTR, ANY),
	F2("replace_all",        textops_replace_all,        SP_REGEX, SP_DSTR, ANY),
	F2("replace_body",       textops_replace_body,       SP_REGEX, SP_DSTR, ANY),
	F2("replace_body_all",   textops_replace_body_all,   SP_REGEX, SP_DSTR, ANY),
	F2("replace_body_atonce", textops_replace_body_atonce, SP_STR, SP_DSTR, ANY),
	F2("replace_hdrs",       textops_replace_hdrs,       SP_REGEX, SP_DSTR, ANY),
	F3("replace_str",        textops_replace_str,        SP_DSTR, SP_DSTR, SP_STR, ANY),
	F3("replace_body_str",   textops_replace_body_str,   SP_DSTR, SP_DSTR, SP_STR, ANY),
	F3("replace_hdrs_str",   textops_replace_hdrs_str,   SP_DSTR, SP_DSTR, SP_STR, ANY),
	F1("subst",              textops_subst,              SP_SUBST, ANY),
	F1("subst_body",         textops_subst_body,         SP_SUBST, ANY),
	F1("subst_uri",          textops_subst_uri,          SP_SUBST, RFBO),
	F1("subst_user",         textops_subst_user,         SP_SUBST, RFBO),
	F3("subst_hf",           textops_subst_hf,           SP_DSTR, SP_SUBST, SP_STR, ANY),
	F3("subst_v",            textops_subst_v,            SP_DSTR, SP_SUBST, SP_WPV, ANY),
	{ .name = "regex_substring", .fn = textops_regex_substring, .n_params = 5, .param = { SP_DSTR, SP_REGEX, SP_DINT, SP_DINT, SP_WPV }, .kinds = ANY },
	F1("append_hf",          textops_append_hf,          SP_DSTR, ANY),
	F2("append_hf",          textops_append_hf_at,       SP_DSTR, SP_STR, ANY),
	F1("insert_hf",          textops_insert_hf,          SP_DSTR, ANY),
	F2("insert_hf",          textops_insert_hf_at,       SP_DSTR, SP_STR, ANY),
	F1("append_to_reply",    textops_append_to_reply,    SP_DSTR, RFB),
	F2("append_urihf",       textops_append_urihf,       SP_STR, SP_STR, RFB),
	F0("append_time",        textops_append_time,        RFB),
	F0("append_time_to_request", textops_append_time_to_request, ANY),
	F1("remove_hf",          textops_remove_hf,          SP_STR, ANY),
	F1("remove_hf_pv",       textops_remove_hf_pv,       SP_DSTR, ANY),
	F1("remove_hf_re",       textops_remove_hf_re,       SP_REGEX, ANY),
	F1("remove_hf_re_pv",    textops_remove_hf_re_pv,    SP_DSTR, ANY),
	F2("remove_hf_exp",      textops_remove_hf_exp,      SP_REGEX, SP_REGEX, ANY),
	F2("remove_hf_exp_pv",   textops_remove_hf_exp_pv,   SP_DSTR, SP_DSTR, ANY),
	F2("remove_hf_idx",      textops_remove_hf_idx,      SP_DSTR, SP_DINT, ANY),
	F3("remove_hf_match",    textops_remove_hf_match,    SP_DSTR, SP_DSTR, SP_DSTR, ANY),
	F1("is_present_hf",      textops_is_present_hf,      SP_STR, ANY),
	F1("is_present_hf_pv",   textops_is_present_hf_pv,   SP_DSTR, ANY),
	F1("is_present_hf_re",   textops_is_present_hf_re,   SP_REGEX, ANY),
	F1("is_present_hf_re_pv", textops_is_present_hf_re_pv, SP_DSTR, ANY),
	F1("is_privacy",         textops_is_privacy,         SP_STR, ANY),
	F2("via_param_rm",       textops_via_param_rm,       SP_DSTR, SP_DINT, ANY),
	F0("has_body",           textops_has_body,           ANY),
	F1("has_body",           textops_has_body_of,        SP_STR, ANY),
	F2("set_body",           textops_set_body,           SP_DSTR, SP_DSTR, RFBO),
	F2("set_body_hex",       textops_set_body_hex,       SP_DSTR, SP_DSTR, RFBO),
	F2("set_reply_body",     textops_set_reply_body,     SP_DSTR, SP_DSTR, RFB),
	F2("set_reply_body_hex", textops_set_reply_body_hex, SP_DSTR, SP_DSTR, RFB),
	F1("filter_body",        textops_filter_body,        SP_DSTR, RFBO),
	F0("set_body_multipart", textops_set_multipart,      RFBO),
	F1("set_body_multipart", textops_set_multipart,      SP_DSTR, RFBO),
	F2("set_body_multipart", textops_set_multipart,      SP_DSTR, SP_DSTR, RFBO),
	F3("set_body_multipart", textops_set_multipart,      SP_DSTR, SP_DSTR, SP_DSTR, RFBO),
	F2("append_body_part",   textops_append_part,        SP_DSTR, SP_DSTR, RFBO),
	F3("append_body_part",   textops_append_part,        SP_DSTR, SP_DSTR, SP_DSTR, RFBO),
	F2("append_body_part_hex", textops_append_part_hex,  SP_DSTR, SP_DSTR, RFBO),
	F3("append_body_part_hex", textops_append_part_hex,  SP_DSTR, SP_DSTR, SP_DSTR, RFBO),
	F2("get_body_part",      textops_get_part,           SP_DSTR, SP_WPV, RFBO),
	F2("get_body_part_raw",  textops_get_part_raw,       SP_DSTR, SP_WPV, RFBO),
	F1("remove_body_part",   textops_remove_part,        SP_DSTR, RFBO),
	F0("is_audio_on_hold",   textops_is_audio_on_hold,   ANY),
	F3("in_list",            f_in_list,                  SP_DSTR, SP_DSTR, SP_DSTR, ANY),
	F3("in_list_prefix",     f_in_list_prefix,           SP_DSTR, SP_DSTR, SP_DSTR, ANY),
	F2("cmp_str",            f_cmp_str,                  SP_DSTR, SP_DSTR, ANY),
	F2("cmp_istr",           f_cmp_istr,                 SP_DSTR, SP_DSTR, ANY),
	F2("starts_with",        f_starts_with,              SP_DSTR, SP_DSTR, ANY),
	F2("ends_with",          f_ends_with,                SP_DSTR, SP_DSTR, ANY),
	F2("str_find",           f_str_find,                 SP_DSTR, SP_DSTR, ANY),
	F2("str_ifind",          f_str_ifind,                SP_DSTR, SP_DSTR, ANY),
	F2("str_any_in",         f_str_any_in,               SP_DSTR, SP_DSTR, ANY),
	F2("str_all_in",         f_str_all_in,               SP_DSTR, SP_DSTR, ANY),
	{ .name = NULL },
};
/* clang-format on */

const struct module module_textops = {
	.abi = MODULE_ABI,
	.name = "textops",
	.funcs = funcs,
	.trans = textops_trans,
	.init = textops_init,
};
