/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Variables of the first line: method, status, the request URI, the original one and the destination with their parts, and the
 * raw message. The received Request-URI is parsed once and kept by the message; a rewritten one is parsed when asked for.
 */
#include "core/route/route.h"
#include "modules/pv/pv_priv.h"

static const struct value value_udp = { .kind = VALUE_STR, .has_int = true, .i = SIP_PROTO_UDP, .s = { "UDP", 3 } };

int pv_ret_dup(struct ctx *ctx, struct value *ret, struct str s)
{
	struct str copy = str_dup(ctx->pool, s);

	if (!copy.s)
		return -ENOMEM;
	*ret = value_str(copy);
	return 0;
}

int pv_word_prepare(const struct pv_word *words, struct pv_spec *spec, struct diag *reterr)
{
	char list[160];
	struct strbuf sb;

	for (const struct pv_word *w = words; w->name; w++) {
		if (str_eq(str_lit(w->name), spec->inner)) {
			spec->arg = w->id;
			return 0;
		}
	}
	strbuf_init_fixed(&sb, list, sizeof(list));
	for (const struct pv_word *w = words; w->name && sb.n + strlen(w->name) + 1 < sizeof(list); w++) {
		strbuf_add_char(&sb, ' ');
		strbuf_add_lit(&sb, w->name);
	}
	return diag_set(reterr, 0, "$%s(%.*s) is unknown; there are:%.*s", spec->def->name, STR_FMT(spec->inner),
			STR_FMT(strbuf_str(&sb)));
}

/* ---- URIs ---- */

const struct sip_uri *pv_ruri(struct ctx *ctx, struct sip_uri *mem)
{
	if (ctx->msg.kind != SIP_REQUEST)
		return NULL;
	if (ctx->main.uri.n == 0)
		return sip_msg_ruri(&ctx->msg);
	return sip_uri_parse(ctx->main.uri, mem, NULL) == 0 ? mem : NULL;
}

struct str pv_uri_host(const struct sip_uri *uri)
{
	if (!uri->host_v6)
		return uri->host;
	return str_of(uri->host.s - 1, uri->host.n + 2);
}

static void ret_port(const struct sip_uri *uri, struct value *ret)
{
	if (uri->port_text.n > 0)
		*ret = value_str_int(uri->port_text, uri->port);
	else if (uri->proto == SIP_PROTO_TLS)
		*ret = value_str_int(STR_LIT("5061"), 5061);
	else
		*ret = value_str_int(STR_LIT("5060"), 5060);
}

int pv_uri_part(const struct sip_uri *uri, enum pv_uri_part part, struct value *ret)
{
	if (!uri)
		return pv_ret_null(ret);
	switch (part) {
	case PV_U_ALL:
		return pv_ret_str(ret, uri->text);
	case PV_U_USER:
		return pv_ret_str(ret, uri->user);
	case PV_U_HOST:
		return pv_ret_str(ret, pv_uri_host(uri));
	case PV_U_PORT:
		ret_port(uri, ret);
		return 0;
	case PV_U_PROTO:
		*ret = uri->transport.n > 0 ? value_str_int(uri->transport, uri->proto) : value_udp;
		return 0;
	case PV_U_SCHEME:
		*ret = value_str_int(uri->scheme_text, uri->scheme);
		return 0;
	case PV_U_LEN:
		return pv_ret_int(ret, (int64_t)uri->text.n);
	case PV_U_USERLEN:
		return pv_ret_int(ret, (int64_t)uri->user.n);
	}
	return -EINVAL;
}

static int ruri_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct sip_uri mem;

	if (spec->def->arg == PV_U_ALL || spec->def->arg == PV_U_LEN) { /* as written, even when it cannot be parsed */
		struct str text = ctx->msg.kind == SIP_REQUEST ? ctx_ruri(ctx) : STR_NULL;

		if (spec->def->arg == PV_U_LEN && text.n > 0)
			return pv_ret_int(ret, (int64_t)text.n);
		return pv_ret_str(ret, text);
	}
	return pv_uri_part(pv_ruri(ctx, &mem), (enum pv_uri_part)spec->def->arg, ret);
}

static int ouri_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	if (ctx->msg.kind != SIP_REQUEST)
		return pv_ret_null(ret);
	if (spec->def->arg == PV_U_ALL)
		return pv_ret_str(ret, ctx->msg.ruri);
	return pv_uri_part(sip_msg_ruri(&ctx->msg), (enum pv_uri_part)spec->def->arg, ret);
}

/* What is written to a part of the request URI; null removes what can be absent. */
static int ruri_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	static const struct {
		enum route_uri_part part;
		bool null_ok;
	} how[] = {
		[PV_U_ALL] = { RURI_ALL, false },
		[PV_U_USER] = { RURI_USER, true },
		[PV_U_HOST] = { RURI_HOST, false },
		[PV_U_PORT] = { RURI_PORT, true },
	};
	struct str text = STR_LIT("");
	int err;

	if (ctx->msg.kind != SIP_REQUEST)
		return -EINVAL;
	if (v->kind == VALUE_NULL) {
		if (!how[spec->def->arg].null_ok)
			return -EINVAL;
	} else {
		err = value_to_str(v, ctx->pool, &text);
		if (err < 0)
			return err;
	}
	return route_ruri_set(ctx, how[spec->def->arg].part, text, 0);
}

static int duri_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct sip_uri uri;

	if (ctx->main.dst_uri.n == 0)
		return pv_ret_null(ret);
	if (spec->def->arg == PV_U_ALL)
		return pv_ret_str(ret, ctx->main.dst_uri);
	if (sip_uri_parse(ctx->main.dst_uri, &uri, NULL) < 0)
		return -EINVAL;
	return pv_uri_part(&uri, (enum pv_uri_part)spec->def->arg, ret);
}

static int duri_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	struct str text;
	int err;

	(void)spec;
	if (v->kind == VALUE_NULL) {
		ctx->main.dst_uri = STR_NULL;
		return 0;
	}
	err = value_to_str(v, ctx->pool, &text);
	if (err < 0)
		return err;
	if (text.n == 0)
		return -EINVAL;
	text = str_dup(ctx->pool, text);
	if (!text.s)
		return -ENOMEM;
	ctx->main.dst_uri = text;
	ctx->mflags &= ~(uint32_t)CTX_F_RURI_CONSUMED;
	return 0;
}

/* ---- next hop ---- */

static const struct pv_word nh_words[] = {
	{ "u", PV_U_ALL }, { "U", PV_U_USER }, { "d", PV_U_HOST }, { "p", PV_U_PORT }, { "P", PV_U_PROTO }, { "i", 100 }, { NULL, 0 },
};

static int nh_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(nh_words, spec, reterr);
}

/* Where a reply goes, as a URI: its second Via, with received and rport, and its transport in lower case. */
static int reply_hop_uri(struct ctx *ctx, struct str *ret)
{
	const struct sip_via *via = sip_msg_via2(&ctx->msg);
	struct str host;
	uint32_t port = 0;
	bool v6;

	if (!via)
		return -ENOENT;
	host = via->received.n > 0 ? via->received : via->host;
	v6 = memchr(host.s, ':', host.n) && host.s[0] != '[';
	if (via->rport.n == 0 || num_u32(via->rport, &port) < 0 || port > 65535)
		port = via->port;
	if (port == 0)
		port = 5060;
	return pool_printf(ctx->pool, ret, "sip:%s%.*s%s:%u%s%s", v6 ? "[" : "", STR_FMT(host), v6 ? "]" : "", port,
			   via->proto == SIP_PROTO_NONE ? "" : ";transport=", via->proto == SIP_PROTO_NONE ? "" : sip_proto_name(via->proto));
}

static int nh_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct sip_uri uri;
	struct str text;

	if (ctx->msg.kind == SIP_REPLY) {
		int err = reply_hop_uri(ctx, &text);

		if (err == -ENOENT)
			return pv_ret_null(ret);
		if (err < 0)
			return err;
	} else {
		text = ctx->main.dst_uri.n > 0 ? ctx->main.dst_uri : ctx_ruri(ctx);
	}
	if (spec->arg == PV_U_ALL)
		return pv_ret_str(ret, text);
	if (sip_uri_parse(text, &uri, NULL) < 0)
		return -EINVAL;
	if (spec->arg == 100)
		return pv_ret_int(ret, uri.host_v6 ? 6 : sip_is_ipv4(uri.host) ? 4 : 0);
	return pv_uri_part(&uri, (enum pv_uri_part)spec->arg, ret);
}

/* ---- first line ---- */

static int rm_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct str name = ctx->msg.method_name;
	enum sip_method m = ctx->msg.method;

	if (ctx->msg.kind != SIP_REQUEST) {
		const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);

		if (!cseq)
			return pv_ret_null(ret);
		name = cseq->name;
		m = cseq->method;
	}
	if (spec->def->arg)
		return pv_ret_int(ret, m);
	*ret = value_str_int(name, m);
	return 0;
}

enum line_what { L_VERSION, L_STATUS, L_STATUS_INT, L_REASON, L_TYPE, L_TYPE_TEXT };

static int line_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_msg *m = &ctx->msg;
	bool reply = m->kind == SIP_REPLY;

	switch ((enum line_what)spec->def->arg) {
	case L_VERSION:
		return pv_ret_str(ret, m->version);
	case L_STATUS:
		return reply ? pv_ret_int(ret, m->status) : pv_ret_null(ret);
	case L_STATUS_INT:
		return pv_ret_int(ret, reply ? m->status : 0);
	case L_REASON:
		if (!reply)
			return pv_ret_null(ret);
		*ret = value_str(m->reason.s ? m->reason : STR_LIT(""));
		return 0;
	case L_TYPE:
		return pv_ret_int(ret, m->kind);
	case L_TYPE_TEXT:
		*ret = value_str(reply ? STR_LIT("rp") : m->kind == SIP_REQUEST ? STR_LIT("rq") : STR_LIT("xx"));
		return 0;
	}
	return -EINVAL;
}

/* ---- raw message ---- */

/* Received bytes with edits put in. The request line shows the current URI. */
int pv_msg_built(struct ctx *ctx, struct str *ret)
{
	struct sip_msg *m = &ctx->msg;
	struct sip_out out;
	struct strbuf sb;
	size_t pos = 0;
	char *text;
	int err;

	if (m->kind == SIP_REQUEST) {
		struct sip_forward fwd = { .ruri = ctx->main.uri };

		err = sip_build_request(ctx->pool, m, &ctx->edits, &fwd, false, &out);
		if (err < 0)
			return err;
		text = pool_alloc(ctx->pool, out.bytes + 1);
		if (!text)
			return -ENOMEM;
		sip_out_copy(&out, text);
		text[out.bytes] = '\0';
		*ret = str_of(text, out.bytes);
		return 0;
	}
	/* The builder would take our Via off a reply, so here the edits are walked. */
	strbuf_init_pool(&sb, ctx->pool, 65535);
	for (const struct sip_edit *e = ctx->edits.head; e; e = e->next) {
		if (e->off > pos)
			strbuf_add(&sb, str_sub(m->buf, pos, e->off - pos));
		strbuf_add(&sb, e->put);
		if (e->off + e->drop > pos)
			pos = (size_t)e->off + e->drop;
	}
	if (ctx->edits.body_replaced) {
		if (m->body_off > pos)
			strbuf_add(&sb, str_sub(m->buf, pos, m->body_off - pos));
		strbuf_add(&sb, ctx->edits.new_body);
	} else {
		strbuf_add(&sb, str_sub(m->buf, pos, m->buf.n));
	}
	err = strbuf_err(&sb);
	if (err < 0)
		return err;
	*ret = strbuf_str(&sb);
	return 0;
}

enum raw_what { RAW_BUF, RAW_BUILT, RAW_LEN, RAW_NO };

static int raw_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct str s;
	int err;

	switch ((enum raw_what)spec->def->arg) {
	case RAW_BUF:
		return pv_ret_str(ret, ctx->msg.buf);
	case RAW_BUILT:
		err = pv_msg_built(ctx, &s);
		return err < 0 ? err : pv_ret_str(ret, s);
	case RAW_LEN:
		return pv_ret_int(ret, (int64_t)ctx->msg.buf.n);
	case RAW_NO:
		return pv_ret_int(ret, ctx->msg_no);
	}
	return -EINVAL;
}

/* $msgbuf(n): a copy of the byte, so that later changes of the buffer do not show. */
static int msgbuf_at(struct ctx *ctx, const struct pv_spec *spec, size_t *ret_at)
{
	struct str text;
	int64_t at;
	int err = pv_inner(ctx, spec, &text);

	if (err < 0)
		return err;
	if (num_i64(text, &at) < 0 || at < 0)
		return -EINVAL;
	*ret_at = (size_t)at;
	return 0;
}

static int msgbuf_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	size_t at;
	int err = msgbuf_at(ctx, spec, &at);

	if (err < 0)
		return err;
	if (at >= ctx->msg.buf.n)
		return pv_ret_null(ret);
	return pv_ret_dup(ctx, ret, str_sub(ctx->msg.buf, at, 1));
}

/*
 * The byte is changed where it was received, so that all who look at the message see it. Not in messages made here, nor in those
 * of a transaction, which others read.
 */
static int msgbuf_set(struct ctx *ctx, const struct pv_spec *spec, const struct value *v)
{
	size_t at;
	int err = msgbuf_at(ctx, spec, &at);

	if (err < 0)
		return err;
	if (v->kind != VALUE_STR || v->s.n == 0 || at >= ctx->msg.buf.n)
		return -EINVAL;
	if (!(ctx->kind & (CTX_REQUEST | CTX_CORE_REPLY | CTX_TM_REPLY)) || (ctx->mflags & CTX_F_FAKED))
		return -EPERM;
	((char *)(uintptr_t)ctx->msg.buf.s)[at] = v->s.s[0];
	return 0;
}

enum msg_what { M_LEN, M_BUF, M_BODY, M_BODY_LEN, M_HDRS, M_HDRS_LEN, M_HDRC, M_FLINE, M_FPART, M_LPART };
static const struct pv_word msg_words[] = {
	{ "len", M_LEN }, { "buf", M_BUF }, { "body", M_BODY }, { "body_len", M_BODY_LEN }, { "hdrs", M_HDRS },
	{ "hdrs_len", M_HDRS_LEN }, { "hdrc", M_HDRC }, { "fline", M_FLINE }, { "fpart", M_FPART }, { "lpart", M_LPART }, { NULL, 0 },
};

static int msg_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(msg_words, spec, reterr);
}

static int msg_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_msg *m = &ctx->msg;
	size_t end = m->n_hdrs > 0 ? (size_t)m->hdrs[m->n_hdrs - 1].off + m->hdrs[m->n_hdrs - 1].len : m->headers_off;
	struct str hdrs;

	/* the end of the last line belongs to no part */
	while (end > m->headers_off && (m->buf.s[end - 1] == '\n' || m->buf.s[end - 1] == '\r'))
		end--;
	hdrs = str_sub(m->buf, m->headers_off, end - m->headers_off);

	switch ((enum msg_what)spec->arg) {
	case M_LEN:
		return pv_ret_int(ret, (int64_t)m->buf.n);
	case M_BUF:
		return pv_ret_str(ret, m->buf);
	case M_BODY:
		return pv_ret_str(ret, m->body);
	case M_BODY_LEN:
		return pv_ret_int(ret, (int64_t)m->body.n);
	case M_HDRS:
		return pv_ret_str(ret, hdrs);
	case M_HDRS_LEN:
		return pv_ret_int(ret, (int64_t)hdrs.n);
	case M_HDRC:
		return pv_ret_int(ret, m->n_hdrs);
	case M_FLINE:
		return pv_ret_str(ret, m->first_line);
	case M_FPART:
		return pv_ret_str(ret, str_sub(m->buf, 0, end));
	case M_LPART:
		return pv_ret_str(ret, str_sub(m->buf, m->headers_off, m->buf.n));
	}
	return -EINVAL;
}

enum rpl_what { R_DURI, R_DHOST, R_DPORT, R_DPROTO, R_DPROTOID, R_CNTVIA, R_CNTRR };
static const struct pv_word rpl_words[] = {
	{ "duri", R_DURI }, { "dhost", R_DHOST }, { "dport", R_DPORT }, { "dproto", R_DPROTO }, { "dprotoid", R_DPROTOID },
	{ "cntvia", R_CNTVIA }, { "cntrr", R_CNTRR }, { NULL, 0 },
};

static int rpl_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(rpl_words, spec, reterr);
}

static int64_t count_values(const struct sip_msg *m, enum sip_header id)
{
	int64_t n = 0;

	for (const struct sip_hdr *h = sip_msg_hdr(m, id); h; h = sip_msg_hdr_next(m, h)) {
		struct str rest = h->value, item;

		while (sip_list_next(&rest, &item) == 1)
			n++;
	}
	return n;
}

static int rpl_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct sip_via *via;
	struct sip_uri uri;
	struct str text;
	int err;

	if (ctx->msg.kind != SIP_REPLY)
		return pv_ret_null(ret);
	if (spec->arg == R_CNTVIA)
		return pv_ret_int(ret, count_values(&ctx->msg, SIP_H_VIA));
	if (spec->arg == R_CNTRR)
		return pv_ret_int(ret, count_values(&ctx->msg, SIP_H_RECORD_ROUTE));
	via = sip_msg_via2(&ctx->msg);
	if (!via)
		return pv_ret_null(ret);
	if (spec->arg == R_DPROTO)
		return pv_ret_str(ret, str_lit(sip_proto_name(via->proto)));
	if (spec->arg == R_DPROTOID)
		return pv_ret_int(ret, via->proto);
	err = reply_hop_uri(ctx, &text);
	if (err < 0)
		return err;
	if (spec->arg == R_DURI)
		return pv_ret_str(ret, text);
	if (sip_uri_parse(text, &uri, NULL) < 0)
		return -EINVAL;
	return spec->arg == R_DHOST ? pv_ret_str(ret, pv_uri_host(&uri)) : pv_ret_int(ret, sip_uri_port(&uri));
}

/* clang-format off */
const struct pv_def pv_msg_table[] = {
	{ .name = "rm",          .get = rm_get, .arg = 0 },
	{ .name = "rmid",        .get = rm_get, .arg = 1 },
	{ .name = "ru",          .get = ruri_get, .set = ruri_set, .arg = PV_U_ALL },
	{ .name = "ruri",        .get = ruri_get, .set = ruri_set, .arg = PV_U_ALL },
	{ .name = "rU",          .get = ruri_get, .set = ruri_set, .arg = PV_U_USER },
	{ .name = "ruri.user",   .get = ruri_get, .set = ruri_set, .arg = PV_U_USER },
	{ .name = "rd",          .get = ruri_get, .set = ruri_set, .arg = PV_U_HOST },
	{ .name = "ruri.domain", .get = ruri_get, .set = ruri_set, .arg = PV_U_HOST },
	{ .name = "rp",          .get = ruri_get, .set = ruri_set, .arg = PV_U_PORT },
	{ .name = "rP",          .get = ruri_get, .arg = PV_U_PROTO },
	{ .name = "rz",          .get = ruri_get, .arg = PV_U_SCHEME },
	{ .name = "rul",         .get = ruri_get, .arg = PV_U_LEN },
	{ .name = "rUl",         .get = ruri_get, .arg = PV_U_USERLEN },
	{ .name = "ou",          .get = ouri_get, .arg = PV_U_ALL },
	{ .name = "ouri",        .get = ouri_get, .arg = PV_U_ALL },
	{ .name = "oU",          .get = ouri_get, .arg = PV_U_USER },
	{ .name = "od",          .get = ouri_get, .arg = PV_U_HOST },
	{ .name = "op",          .get = ouri_get, .arg = PV_U_PORT },
	{ .name = "oP",          .get = ouri_get, .arg = PV_U_PROTO },
	{ .name = "oUl",         .get = ouri_get, .arg = PV_U_USERLEN },
	{ .name = "du",          .get = duri_get, .set = duri_set, .arg = PV_U_ALL },
	{ .name = "duri",        .get = duri_get, .set = duri_set, .arg = PV_U_ALL },
	{ .name = "dd",          .get = duri_get, .arg = PV_U_HOST },
	{ .name = "dp",          .get = duri_get, .arg = PV_U_PORT },
	{ .name = "dP",          .get = duri_get, .arg = PV_U_PROTO },
	{ .name = "nh",          .get = nh_get, .prepare = nh_prepare, .flags = PV_INNER },
	{ .name = "rv",          .get = line_get, .arg = L_VERSION },
	{ .name = "rs",          .get = line_get, .arg = L_STATUS },
	{ .name = "rsi",         .get = line_get, .arg = L_STATUS_INT },
	{ .name = "rr",          .get = line_get, .arg = L_REASON },
	{ .name = "mt",          .get = line_get, .arg = L_TYPE },
	{ .name = "mts",         .get = line_get, .arg = L_TYPE_TEXT },
	{ .name = "mb",          .get = raw_get, .arg = RAW_BUF },
	{ .name = "mbu",         .get = raw_get, .arg = RAW_BUILT },
	{ .name = "ml",          .get = raw_get, .arg = RAW_LEN },
	{ .name = "mi",          .get = raw_get, .arg = RAW_NO },
	{ .name = "msgbuf",      .get = msgbuf_get, .set = msgbuf_set, .flags = PV_INNER | PV_FMT_INNER },
	{ .name = "msg",         .get = msg_get, .prepare = msg_prepare, .flags = PV_INNER },
	{ .name = "rpl",         .get = rpl_get, .prepare = rpl_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */
