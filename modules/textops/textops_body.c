/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies: asking for them, replacing them, and the parts of multipart ones (RFC 2046, 5.1). A replaced body and its Content-Type are
 * kept with the message, so that parts can be added one after the other.
 */
#include "core/base/num.h"
#include "modules/textops/textops_priv.h"

#define BODY_MAX 65535u
#define BOUNDARY_DEFAULT "unique-boundary-1"

static int mod = -1; /* index in ctx->modstate: the Content-Type that was set, a struct str */

int textops_body_init(void)
{
	if (mod < 0)
		mod = ctx_modstate_register("textops");
	return mod < 0 ? mod : 0;
}

bool textops_mime_is(struct str content_type, struct str wanted)
{
	ptrdiff_t semi = str_find_char(content_type, ';');

	return str_ieq(str_trim(semi < 0 ? content_type : str_sub(content_type, 0, (size_t)semi)), wanted);
}

/* ---- has_body() ---- */

int textops_has_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a;
	(void)n;
	return ctx->msg.has_content_length && ctx->msg.content_length > 0 ? 1 : -1;
}

/* Without Content-Type a body counts as SDP. */
int textops_has_body_of(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CONTENT_TYPE);

	if (textops_has_body(ctx, a, n) < 0)
		return -1;
	return textops_mime_is(h ? h->value : STR_LIT("application/sdp"), a[0].s) ? 1 : -1;
}

/* ---- replacing ---- */

static struct str body_now(const struct ctx *ctx)
{
	return ctx->edits.body_replaced ? ctx->edits.new_body : ctx->msg.body;
}

static struct str ctype_now(const struct ctx *ctx)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CONTENT_TYPE);
	const struct str *set = mod < 0 ? NULL : ctx->modstate[mod];

	return set ? *set : h && !sip_edit_hdr_removed(&ctx->edits, h) ? h->value : STR_NULL;
}

/* New Content-Type, or the text of the edit that made it before. */
static int ctype_set(struct ctx *ctx, struct str ct)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CONTENT_TYPE);
	struct str *keep = pool_alloc(ctx->pool, sizeof(*keep)), field;

	if (!keep)
		return -ENOMEM;
	*keep = str_dup(ctx->pool, ct);
	if (!keep->s)
		return -ENOMEM;
	sip_edit_undo(&ctx->edits, SIP_EDIT_BODY);
	ctx->modstate[mod] = keep;
	if (h && !sip_edit_hdr_removed(&ctx->edits, h))
		return sip_edit_replace(&ctx->edits, ctx->pool, &ctx->msg, h->value, *keep, SIP_EDIT_BODY);
	if (pool_printf(ctx->pool, &field, "Content-Type: %.*s\r\n", STR_FMT(ct)) < 0)
		return -ENOMEM;
	return sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, field, SIP_EDIT_BODY);
}

static int body_put(struct ctx *ctx, struct str body, struct str ct)
{
	struct str copy;

	if (body.n > BODY_MAX || (body.n > 0 && ct.n == 0))
		return -1;
	copy = str_dup(ctx->pool, body);
	if (!copy.s)
		return -1;
	if (ct.n > 0 && !str_eq(ct, ctype_now(ctx)) && ctype_set(ctx, ct) < 0)
		return -1;
	ctx->edits.body_replaced = true;
	ctx->edits.new_body = copy;
	return 1;
}

/* Hex digits to bytes, blanks between are skipped. */
static bool from_hex(struct ctx *ctx, struct str in, struct str *ret)
{
	char *out = pool_alloc(ctx->pool, in.n / 2 + 1);
	size_t n = 0;
	int hi = -1;

	if (!out)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.s[i];
		int d = num_hex_digit(c);

		if (c == ' ')
			continue;
		if (d < 0)
			return false;
		if (hi < 0) {
			hi = d;
		} else {
			out[n++] = (char)(hi << 4 | d);
			hi = -1;
		}
	}
	*ret = str_of(out, n);
	return hi < 0;
}

int textops_set_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return a[0].s.n && a[1].s.n ? body_put(ctx, a[0].s, a[1].s) : -1;
}

int textops_set_body_hex(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str raw;

	(void)n;
	return from_hex(ctx, a[0].s, &raw) ? body_put(ctx, raw, a[1].s) : -1;
}

static int reply_body(struct ctx *ctx, struct str body, struct str ct)
{
	body = str_dup(ctx->pool, body);
	ct = str_dup(ctx->pool, ct);
	if (!body.s || !ct.s || body.n > BODY_MAX || (body.n > 0 && ct.n == 0))
		return -1;
	ctx->reply_body = body;
	ctx->reply_ctype = ct;
	return 1;
}

int textops_set_reply_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return a[0].s.n ? reply_body(ctx, a[0].s, a[1].s) : -1;
}

int textops_set_reply_body_hex(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str raw;

	(void)n;
	return from_hex(ctx, a[0].s, &raw) ? reply_body(ctx, raw, a[1].s) : -1;
}

/* ---- multipart ---- */

struct part {
	struct str whole;   /* header and content, without the line end before the next boundary */
	struct str content;
	struct str ctype;   /* n 0: text/plain by default */
};

struct parts {
	struct str boundary;
	struct str rest; /* behind the last boundary line */
	bool last;
};

/* "--boundary" at the start of a line; *ret_at: of the "--", *ret_next: behind the line. */
static bool boundary_find(struct str s, struct str boundary, size_t *ret_at, size_t *ret_next, bool *ret_last)
{
	size_t from = 0;

	for (;;) {
		ptrdiff_t at = str_find(str_sub(s, from, s.n), boundary);
		size_t start, end;

		if (at < 0)
			return false;
		start = from + (size_t)at;
		end = start + boundary.n;
		from = start + 1;
		if (start < 2 || s.s[start - 1] != '-' || s.s[start - 2] != '-' || (start > 2 && s.s[start - 3] != '\n'))
			continue;
		*ret_last = end + 1 < s.n && s.s[end] == '-' && s.s[end + 1] == '-';
		if (!*ret_last && end < s.n && s.s[end] != '\r' && s.s[end] != '\n' && s.s[end] != ' ' && s.s[end] != '\t')
			continue; /* another, longer boundary */
		while (end < s.n && s.s[end] != '\n')
			end++;
		*ret_at = start - 2;
		*ret_next = end < s.n ? end + 1 : s.n;
		return true;
	}
}

static bool parts_begin(struct str body, struct str ctype, struct parts *ret)
{
	ptrdiff_t semi = str_find_char(ctype, ';');
	struct sip_param p;
	size_t at, next;

	if (!str_istarts(ctype, STR_LIT("multipart/")) || semi < 0 ||
	    !sip_param_find(str_sub(ctype, (size_t)semi + 1, ctype.n), STR_LIT("boundary"), &p) || p.value.n == 0)
		return false;
	ret->boundary = p.value;
	if (!boundary_find(body, p.value, &at, &next, &ret->last))
		return false;
	ret->rest = str_sub(body, next, body.n);
	return true;
}

static struct str part_ctype(struct str header)
{
	while (header.n > 0) {
		ptrdiff_t nl = str_find_char(header, '\n');
		struct str line = str_trim(nl < 0 ? header : str_sub(header, 0, (size_t)nl));
		ptrdiff_t colon = str_find_char(line, ':');

		header = nl < 0 ? STR_NULL : str_sub(header, (size_t)nl + 1, header.n);
		if (colon > 0 && sip_header_lookup(str_trim(str_sub(line, 0, (size_t)colon))) == SIP_H_CONTENT_TYPE)
			return str_trim(str_sub(line, (size_t)colon + 1, line.n));
	}
	return STR_NULL;
}

static bool parts_next(struct parts *it, struct part *ret)
{
	size_t at, next, head;
	bool last;
	struct str s;
	ptrdiff_t empty;

	if (it->last || !boundary_find(it->rest, it->boundary, &at, &next, &last))
		return false;
	s = str_sub(it->rest, 0, at);
	if (s.n > 0 && s.s[s.n - 1] == '\n')
		s.n--;
	if (s.n > 0 && s.s[s.n - 1] == '\r')
		s.n--;
	it->rest = str_sub(it->rest, next, it->rest.n);
	it->last = last;
	ret->whole = s;
	if (str_starts(s, STR_LIT("\r\n"))) {
		head = 0;
		empty = 2;
	} else {
		empty = str_find(s, STR_LIT("\r\n\r\n"));
		head = empty < 0 ? s.n : (size_t)empty;
		empty = empty < 0 ? (ptrdiff_t)s.n : empty + 4;
	}
	ret->ctype = part_ctype(str_sub(s, 0, head));
	ret->content = str_sub(s, (size_t)empty, s.n);
	return true;
}

/* Keeps the parts for which keep() holds. Returns how many are left out, or < 0. */
static int parts_filter(struct ctx *ctx, struct str wanted, bool remove)
{
	struct str body = body_now(ctx), ct = ctype_now(ctx);
	struct strbuf sb;
	struct parts it;
	struct part p;
	int kept = 0, dropped = 0;

	if (!parts_begin(body, ct, &it))
		return -EBADMSG;
	strbuf_init_pool(&sb, ctx->pool, BODY_MAX);
	while (parts_next(&it, &p)) {
		bool is = textops_mime_is(p.ctype.n > 0 ? p.ctype : STR_LIT("text/plain"), wanted);

		if (is == remove || (!remove && kept > 0)) {
			dropped++;
			continue;
		}
		strbuf_printf(&sb, "--%.*s\r\n", STR_FMT(it.boundary));
		strbuf_add(&sb, p.whole);
		strbuf_add_lit(&sb, "\r\n");
		kept++;
	}
	strbuf_printf(&sb, "--%.*s--\r\n", STR_FMT(it.boundary));
	if (remove ? dropped == 0 : kept == 0)
		return -ENOENT;
	if (strbuf_err(&sb) < 0)
		return -EMSGSIZE;
	return body_put(ctx, kept > 0 ? strbuf_str(&sb) : STR_LIT(""), ct) < 0 ? -ENOMEM : dropped;
}

/* Of a multipart body, only the first part of that type stays. */
int textops_filter_body(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	if (body_now(ctx).n == 0)
		return -1;
	if (!str_istarts(ctype_now(ctx), STR_LIT("multipart/")))
		return -1;
	return parts_filter(ctx, a[0].s, false) < 0 ? -1 : 1;
}

int textops_remove_part(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return parts_filter(ctx, a[0].s, true) < 0 ? -1 : 1;
}

static int get_part(struct ctx *ctx, const union script_arg *a, bool raw)
{
	struct parts it;
	struct part p;

	if (!str_istarts(ctype_now(ctx), STR_LIT("multipart/"))) { /* one part */
		struct value v = value_str(body_now(ctx));

		return v.s.n && textops_mime_is(ctype_now(ctx), a[0].s) && pv_set(ctx, a[1].pv, &v) == 0 ? 1 : -1;
	}
	if (!parts_begin(body_now(ctx), ctype_now(ctx), &it))
		return -1;
	while (parts_next(&it, &p)) {
		struct value v = value_str(raw ? p.whole : p.content);

		if (textops_mime_is(p.ctype.n > 0 ? p.ctype : STR_LIT("text/plain"), a[0].s))
			return pv_set(ctx, a[1].pv, &v) < 0 ? -1 : 1;
	}
	return -1;
}

int textops_get_part(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return get_part(ctx, a, false);
}

int textops_get_part_raw(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return get_part(ctx, a, true);
}

static void part_add(struct strbuf *sb, struct str boundary, struct str body, struct str ct, struct str disp)
{
	strbuf_printf(sb, "--%.*s\r\n", STR_FMT(boundary));
	if (ct.n > 0)
		strbuf_printf(sb, "Content-Type: %.*s\r\n", STR_FMT(ct));
	if (disp.n > 0)
		strbuf_printf(sb, "Content-Disposition: %.*s\r\n", STR_FMT(disp));
	strbuf_add_lit(sb, "\r\n");
	strbuf_add(sb, body);
	strbuf_add_lit(sb, "\r\n");
}

/* [text, type][, boundary]: the given body, else the present one, becomes the first part. */
int textops_set_multipart(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str boundary = n == 1 ? a[0].s : n == 3 ? a[2].s : STR_LIT(BOUNDARY_DEFAULT);
	struct str body = n >= 2 ? a[0].s : body_now(ctx), ct = n >= 2 ? a[1].s : ctype_now(ctx), type;
	struct strbuf sb;

	if (boundary.n == 0 || boundary.n > 70 || (body.n > 0 && ct.n == 0))
		return -1;
	strbuf_init_pool(&sb, ctx->pool, BODY_MAX);
	if (body.n > 0)
		part_add(&sb, boundary, body, ct, STR_NULL);
	strbuf_printf(&sb, "--%.*s--\r\n", STR_FMT(boundary));
	if (strbuf_err(&sb) < 0 || pool_printf(ctx->pool, &type, "multipart/mixed;boundary=\"%.*s\"", STR_FMT(boundary)) < 0)
		return -1;
	return body_put(ctx, strbuf_str(&sb), type);
}

static int append_part(struct ctx *ctx, struct str text, struct str ctype, struct str disp)
{
	struct str body = body_now(ctx), ct = ctype_now(ctx), close;
	struct strbuf sb;
	struct parts it;
	struct part p;
	ptrdiff_t at;

	if (!parts_begin(body, ct, &it) || pool_printf(ctx->pool, &close, "--%.*s--", STR_FMT(it.boundary)) < 0)
		return -1;
	while (parts_next(&it, &p))
		;
	at = str_find(body, close);
	strbuf_init_pool(&sb, ctx->pool, BODY_MAX);
	strbuf_add(&sb, at < 0 ? body : str_sub(body, 0, (size_t)at));
	part_add(&sb, it.boundary, text, ctype, disp);
	strbuf_add(&sb, close);
	strbuf_add_lit(&sb, "\r\n");
	return strbuf_err(&sb) < 0 ? -1 : body_put(ctx, strbuf_str(&sb), ct);
}

int textops_append_part(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return append_part(ctx, a[0].s, a[1].s, n > 2 ? a[2].s : STR_NULL);
}

int textops_append_part_hex(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str raw;

	return from_hex(ctx, a[0].s, &raw) ? append_part(ctx, raw, a[1].s, n > 2 ? a[2].s : STR_NULL) : -1;
}

/* ---- SDP ---- */

/* Any audio stream on hold? 1: by address 0.0.0.0 (RFC 2543), 2: by sendonly or inactive (RFC 3264). */
int textops_is_audio_on_hold(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str rest = ctx->msg.body;
	bool session = true, audio = false, zero_session = false, zero = false, own_addr = false, held = false, held_session = false, own_dir = false;
	int result = -1;

	(void)a;
	(void)n;
	while (rest.n > 0 || audio) {
		ptrdiff_t nl = str_find_char(rest, '\n');
		struct str line = str_trim(nl < 0 ? rest : str_sub(rest, 0, (size_t)nl));
		bool end = rest.n == 0, media = end || str_starts(line, STR_LIT("m="));

		rest = nl < 0 ? STR_NULL : str_sub(rest, (size_t)nl + 1, rest.n);
		if (media) {
			if (audio && (own_addr ? zero : zero_session))
				return 1;
			if (audio && (own_dir ? held : held_session))
				result = 2;
			audio = !end && str_starts(line, STR_LIT("m=audio "));
			session = zero = own_addr = held = own_dir = false;
			if (end)
				break;
		} else if (str_starts(line, STR_LIT("c="))) {
			bool is_zero = str_find(line, STR_LIT(" 0.0.0.0")) > 0;

			if (session)
				zero_session = is_zero;
			else
				zero = is_zero;
			own_addr |= !session;
		} else if (str_eq(line, STR_LIT("a=sendonly")) || str_eq(line, STR_LIT("a=inactive")) || str_eq(line, STR_LIT("a=sendrecv")) ||
			   str_eq(line, STR_LIT("a=recvonly"))) {
			bool is_held = str_eq(line, STR_LIT("a=sendonly")) || str_eq(line, STR_LIT("a=inactive"));

			if (session)
				held_session = is_held;
			else
				held = is_held;
			own_dir |= !session;
		}
	}
	return result;
}
