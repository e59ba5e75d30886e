/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages out: a list of pieces (iovec) that point into the received bytes, into the edits' texts,
 * and into constants; only numbers and merged Via parameters are written anew. The caller's edits
 * and our own (top Via, Content-Length) become one sorted array, and one walk over it emits a
 * region of the message. The body goes first, since its length decides about Content-Length.
 */
#include "core/sip/build.h"

#include <errno.h>

#include "core/base/num.h"
#include "core/sip/sip_priv.h"

#define MESSAGE_MAX 65535u
#define VIA_CHANGES 4u /* received, rport, what is added of them, other parameters */
#define OWN_PIECES 32u

/* One change: at off drop some bytes and put text in. */
struct change {
	uint32_t off, drop;
	struct str put;
};

struct changes {
	struct change *list;
	unsigned n, cap;
};

static const struct str crlf = STR_LIT("\r\n");

/* --- pieces --- */

static int out_init(struct sip_out *out, struct pool *pool, unsigned cap)
{
	*out = (struct sip_out){ .iov = pool_alloc(pool, cap * sizeof(*out->iov)), .cap = cap };
	return out->iov ? 0 : -ENOMEM;
}

/* Room is made in advance; running out of it is our mistake and shows as EMSGSIZE in out_err(). */
static void out_put(struct sip_out *out, struct str s)
{
	struct iovec *last = out->n_iov > 0 ? &out->iov[out->n_iov - 1] : NULL;

	if (s.n == 0)
		return;
	out->bytes += s.n;
	if (last && (const char *)last->iov_base + last->iov_len == s.s) {
		last->iov_len += s.n;
		return;
	}
	if (out->n_iov == out->cap) {
		out->bytes = MESSAGE_MAX + 1;
		return;
	}
	out->iov[out->n_iov].iov_base = (void *)(uintptr_t)s.s;
	out->iov[out->n_iov++].iov_len = s.n;
}

static int out_err(const struct sip_out *out)
{
	return out->bytes > MESSAGE_MAX ? -EMSGSIZE : 0;
}

static void out_field(struct sip_out *out, struct str name, struct str value)
{
	out_put(out, name);
	out_put(out, STR_LIT(": "));
	out_put(out, value);
	out_put(out, crlf);
}

void sip_out_copy(const struct sip_out *out, char *dst)
{
	for (unsigned i = 0; i < out->n_iov; i++) {
		memcpy(dst, out->iov[i].iov_base, out->iov[i].iov_len);
		dst += out->iov[i].iov_len;
	}
}

/* --- changes --- */

static int changes_init(struct changes *c, struct pool *pool, const struct sip_edits *edits,
                        unsigned n_own)
{
	c->n = 0;
	c->cap = n_own + (edits ? edits->n : 0u);
	c->list = pool_alloc(pool, (c->cap ? c->cap : 1) * sizeof(*c->list));
	if (!c->list)
		return -ENOMEM;
	for (const struct sip_edit *ed = edits ? edits->head : NULL; ed && c->n < c->cap;
	     ed = ed->next)
		c->list[c->n++] = (struct change){ ed->off, ed->drop, ed->put };
	return 0;
}

/* Behind the others at its offset, but an insertion before what is dropped there. */
static int changes_add(struct changes *c, uint32_t off, uint32_t drop, struct str put)
{
	unsigned i = c->n;

	if (c->n == c->cap)
		return -ENOMEM;
	for (; i > 0; i--) {
		const struct change *before = &c->list[i - 1];

		if (before->off < off || (before->off == off && (drop > 0 || before->drop == 0)))
			break;
		c->list[i] = *before;
	}
	c->list[i] = (struct change){ off, drop, put };
	c->n++;
	return 0;
}

/*
 * Emits [from, to) with the changes that start in it (those at `to` too when last). What begins
 * inside bytes that are dropped already is not put in.
 */
static void emit(struct sip_out *out, struct str buf, uint32_t from, uint32_t to,
                 const struct changes *c, bool last)
{
	uint32_t cur = from;

	for (unsigned i = 0; i < c->n; i++) {
		const struct change *ch = &c->list[i];
		uint32_t end = ch->off + ch->drop;

		if (ch->off > to || (ch->off == to && !last))
			break;
		if (ch->off >= cur && ch->off >= from) {
			out_put(out, str_sub(buf, cur, ch->off - cur));
			out_put(out, ch->put);
			cur = ch->off;
		}
		if (end > cur)
			cur = end;
	}
	if (cur < to)
		out_put(out, str_sub(buf, cur, to - cur));
}

static bool touches(const struct changes *c, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->list[i].off < to && c->list[i].off + c->list[i].drop >= from)
			return true;
	return false;
}

static uint32_t offset_in(const struct sip_msg *m, const char *p)
{
	return (uint32_t)(p - m->buf.s);
}

/* One parameter of the top Via: in the place of the one that is there, else to be added. */
static int change_param(struct changes *c, const struct sip_msg *m, struct str there, struct str param, struct str *added)
{
	if (there.n > 0)
		return changes_add(c, offset_in(m, there.s), (uint32_t)there.n, str_sub(param, 1, param.n));
	if (added->n == 0)
		added->s = param.s;
	added->n += param.n;
	return 0;
}

static int change_via1_end(struct changes *c, struct sip_msg *m, struct str added)
{
	return added.n > 0 ? changes_add(c, offset_in(m, sip_end(sip_msg_via1(m)->text)), 0, added) : 0;
}

/* What is added goes to the end of the value. */
static int change_via1(struct changes *c, struct pool *pool, struct sip_msg *m, const struct sip_via_source *source)
{
	static const struct str received = STR_LIT(";received="), rport = STR_LIT(";rport=");
	const struct sip_via *via = sip_msg_via1(m);
	struct str ip = source->received, one, two, added = STR_NULL;
	char *text;
	int err;

	if (!via)
		return 0;
	if (ip.n == 0)
		return change_via1_end(c, m, source->params);
	text = pool_alloc(pool, received.n + ip.n + rport.n + NUM_DEC_MAX);
	if (!text)
		return -ENOMEM;
	memcpy(text, received.s, received.n);
	memcpy(text + received.n, ip.s, ip.n);
	one = str_of(text, received.n + ip.n);
	memcpy(text + one.n, rport.s, rport.n);
	two = str_of(text + one.n, rport.n + num_dec(source->rport, text + one.n + rport.n));
	err = change_param(c, m, via->received_param, one, &added);
	if (err == 0 && source->rport)
		err = change_param(c, m, via->rport_param, two, &added);
	if (err == 0)
		err = change_via1_end(c, m, added);
	if (err == 0)
		err = change_via1_end(c, m, source->params);
	return err;
}

/* Takes all received Via fields away. */
static int change_drop_vias(struct changes *c, const struct sip_msg *m)
{
	int err = 0;

	for (const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_VIA); h && err == 0; h = sip_msg_hdr_next(m, h))
		err = changes_add(c, h->off, h->len, STR_NULL);
	return err;
}

/* Takes the top Via value away: the whole field, or up to the next value of it. */
static int change_drop_via1(struct changes *c, struct sip_msg *m)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_VIA);
	const struct sip_via *via = sip_msg_via1(m);
	struct str rest, next;

	if (!via)
		return -EINVAL;
	rest = sip_span(sip_end(via->text), sip_end(h->value));
	if (sip_list_next(&rest, &next) <= 0)
		return changes_add(c, h->off, h->len, STR_NULL);
	return changes_add(c, offset_in(m, via->text.s), (uint32_t)(next.s - via->text.s),
	                   STR_NULL);
}

static struct str decimal(struct pool *pool, size_t v)
{
	char *p = pool_alloc(pool, NUM_DEC_MAX);

	if (!p)
		return STR_NULL;
	return str_of(p, num_dec((int64_t)v, p));
}

static unsigned count(const struct sip_msg *m, enum sip_header id)
{
	unsigned n = 0;

	for (const struct sip_hdr *h = sip_msg_hdr(m, id); h; h = sip_msg_hdr_next(m, h))
		n++;
	return n;
}

/* What a field of Content-Length says: the first counts when there are several and they differ (SIP_REPEATS). */
static uint32_t length_in(const struct sip_msg *m, const struct sip_hdr *h)
{
	uint32_t n = m->content_length;

	if (UNLIKELY(h != sip_msg_hdr(m, SIP_H_CONTENT_LENGTH)) && num_u32(h->value, &n) < 0)
		return UINT32_MAX;
	return n;
}

/* Makes each Content-Length tell body_bytes; *ret_add: the text to put before the empty line (n 0: none). */
static int change_content_length(struct changes *c, struct pool *pool, const struct sip_msg *m,
                                 const struct sip_edits *edits, size_t body_bytes, bool need_cl,
                                 struct str *ret_add)
{
	struct str text;
	bool there = false;
	int err = 0;

	*ret_add = STR_NULL;
	text = decimal(pool, body_bytes);
	if (text.n == 0)
		return -ENOMEM;
	for (const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_CONTENT_LENGTH); h && err == 0;
	     h = sip_msg_hdr_next(m, h)) {
		if (edits && sip_edit_hdr_removed(edits, h))
			continue;
		there = true;
		if (length_in(m, h) != body_bytes)
			err = changes_add(c, offset_in(m, h->value.s), (uint32_t)h->value.n, text);
	}
	if (err == 0 && !there && (need_cl || body_bytes != m->body.n))
		*ret_add = text;
	return err;
}

/* Header block (changes applied), Content-Length, empty line, body; behind what out holds already.
 */
static int put_headers_and_body(struct sip_out *out, struct pool *pool, struct sip_msg *m,
                                const struct sip_edits *edits, struct changes *c, bool need_cl)
{
	struct str add_cl;
	struct sip_out body;
	int err = out_init(&body, pool, 2 * c->n + 4);

	if (err < 0)
		return err;
	if (edits && edits->body_replaced)
		out_put(&body, edits->new_body);
	else
		emit(&body, m->buf, m->body_off, m->body_off + (uint32_t)m->body.n, c, true);
	err = change_content_length(c, pool, m, edits, body.bytes, need_cl, &add_cl);
	if (err < 0)
		return err;
	emit(out, m->buf, m->headers_off, m->headers_end, c, true);
	if (add_cl.n > 0)
		out_field(out, STR_LIT("Content-Length"), add_cl);
	out_put(out, str_sub(m->buf, m->headers_end, m->body_off - m->headers_end));
	for (unsigned i = 0; i < body.n_iov; i++)
		out_put(out, str_of(body.iov[i].iov_base, body.iov[i].iov_len));
	return out_err(out);
}

/* --- received messages, changed --- */

static int prepare(struct sip_out *out, struct changes *c, struct pool *pool,
                   const struct sip_msg *m, const struct sip_edits *edits, unsigned n_dropped)
{
	unsigned own = VIA_CHANGES + 1 + count(m, SIP_H_CONTENT_LENGTH) + n_dropped;
	int err = changes_init(c, pool, edits, own);

	return err < 0 ? err : out_init(out, pool, 4 * c->cap + OWN_PIECES);
}

/* With a new Request-URI the line is written anew; else edits may have touched it. */
static void put_request_line(struct sip_out *out, const struct sip_msg *m, struct str ruri,
                             const struct changes *c)
{
	if (ruri.n == 0 && touches(c, 0, m->headers_off - 1)) {
		emit(out, m->buf, 0, m->headers_off, c, false);
		return;
	}
	out_put(out, m->method_name);
	out_put(out, STR_LIT(" "));
	out_put(out, ruri.n > 0 ? ruri : m->ruri);
	out_put(out, STR_LIT(" SIP/2.0\r\n"));
}

int sip_build_request(struct pool *pool, struct sip_msg *msg, const struct sip_edits *edits,
                      const struct sip_forward *fwd, bool need_cl, struct sip_out *ret_out)
{
	struct sip_out out;
	struct changes c;
	int err = prepare(&out, &c, pool, msg, edits, fwd->via_alone ? count(msg, SIP_H_VIA) : 0);

	if (err == 0)
		err = fwd->via_alone ? change_drop_vias(&c, msg) : change_via1(&c, pool, msg, &fwd->source);
	if (err < 0)
		return err;
	put_request_line(&out, msg, fwd->ruri, &c);
	out_put(&out, fwd->via);
	out_put(&out, fwd->extra);
	err = put_headers_and_body(&out, pool, msg, edits, &c, need_cl);
	if (err < 0)
		return err;
	*ret_out = out;
	return 0;
}

static int put_status_line(struct sip_out *out, struct pool *pool, uint16_t status,
                           struct str reason)
{
	static const struct str line = STR_LIT("SIP/2.0 000 ");
	char *text;

	if (status < 100 || status > 699 || str_find_char(reason, '\r') >= 0 || str_find_char(reason, '\n') >= 0)
		return -EINVAL;
	text = pool_alloc(pool, line.n + reason.n + crlf.n);
	if (!text)
		return -ENOMEM;
	memcpy(text, line.s, line.n);
	text[8] = (char)('0' + status / 100);
	text[9] = (char)('0' + status / 10 % 10);
	text[10] = (char)('0' + status % 10);
	if (reason.n > 0)
		memcpy(text + line.n, reason.s, reason.n);
	memcpy(text + line.n + reason.n, crlf.s, crlf.n);
	out_put(out, str_of(text, line.n + reason.n + crlf.n));
	return 0;
}

int sip_build_relayed_reply(struct pool *pool, struct sip_msg *msg, const struct sip_edits *edits,
                            uint16_t new_status, struct str new_reason, bool need_cl,
                            struct sip_out *ret_out)
{
	struct sip_out out;
	struct changes c;
	int err = prepare(&out, &c, pool, msg, edits, 0);

	if (err == 0)
		err = change_drop_via1(&c, msg);
	if (err < 0)
		return err;
	if (new_status == 0 && new_reason.n == 0)
		emit(&out, msg->buf, 0, msg->headers_off, &c, false);
	else
		err = put_status_line(&out, pool, new_status ? new_status : msg->status,
		                      new_reason.n > 0 ? new_reason : msg->reason);
	if (err == 0)
		err = put_headers_and_body(&out, pool, msg, edits, &c, need_cl);
	if (err < 0)
		return err;
	*ret_out = out;
	return 0;
}

int sip_build_edited(struct pool *pool, struct sip_msg *msg, const struct sip_edits *edits, struct str ruri, struct str *ret_bytes)
{
	struct sip_out out;
	struct changes c;
	char *bytes;
	int err = prepare(&out, &c, pool, msg, edits, 0);

	if (err < 0)
		return err;
	if (msg->kind == SIP_REQUEST)
		put_request_line(&out, msg, ruri, &c);
	else
		emit(&out, msg->buf, 0, msg->headers_off, &c, false);
	err = put_headers_and_body(&out, pool, msg, edits, &c, false);
	if (err < 0)
		return err;
	bytes = pool_alloc(pool, out.bytes);
	if (!bytes)
		return -ENOMEM;
	sip_out_copy(&out, bytes);
	*ret_bytes = str_of(bytes, out.bytes);
	return 0;
}

/* --- messages of our own --- */

/* The rest of a field's line: from there to the end of the value, and CRLF. That of the message, where it is one, makes a piece with the next field. */
static void copy_rest(struct sip_out *out, const struct sip_msg *m, const struct sip_hdr *h, const char *from)
{
	const char *end = sip_end(h->value), *next = m->buf.s + h->off + h->len;

	if (LIKELY(next - end == 2 && *end == '\r')) {
		out_put(out, sip_span(from, next));
		return;
	}
	out_put(out, sip_span(from, end));
	out_put(out, crlf);
}

static void copy_field(struct sip_out *out, const struct sip_msg *m, const struct sip_hdr *h)
{
	copy_rest(out, m, h, h->name.s);
}

static void copy_fields(struct sip_out *out, const struct sip_msg *m, enum sip_header id)
{
	for (const struct sip_hdr *h = sip_msg_hdr(m, id); h; h = sip_msg_hdr_next(m, h))
		copy_field(out, m, h);
}

static void copy_first(struct sip_out *out, const struct sip_msg *m, enum sip_header id)
{
	const struct sip_hdr *h = sip_msg_hdr(m, id);

	if (h)
		copy_field(out, m, h);
}

static int copy_vias(struct sip_out *out, struct pool *pool, struct sip_msg *m, const struct sip_via_source *source)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_VIA);
	struct changes c;
	int err = changes_init(&c, pool, NULL, VIA_CHANGES);

	if (err == 0)
		err = change_via1(&c, pool, m, source);
	if (err < 0 || !h)
		return err;
	emit(out, m->buf, h->off, offset_in(m, sip_end(h->value)), &c, true);
	copy_rest(out, m, h, sip_end(h->value));
	while ((h = sip_msg_hdr_next(m, h)) != NULL)
		copy_field(out, m, h);
	return 0;
}

static bool has_to_tag(struct sip_msg *m, const struct sip_hdr *to)
{
	const struct sip_addr *addr = sip_msg_to(m);

	if (addr)
		return addr->tag.n > 0;
	return str_ifind(to->value, STR_LIT(";tag=")) >=
	       0; /* a To that does not parse: being refused */
}

/* Content-Length and the empty line. */
static int put_end(struct sip_out *out, struct pool *pool, size_t body_bytes)
{
	static const struct str name = STR_LIT("Content-Length: "), end = STR_LIT("\r\n\r\n");
	char *text = pool_alloc(pool, name.n + NUM_DEC_MAX + end.n);
	size_t n;

	if (!text)
		return -ENOMEM;
	memcpy(text, name.s, name.n);
	n = name.n + num_dec((int64_t)body_bytes, text + name.n);
	memcpy(text + n, end.s, end.n);
	out_put(out, str_of(text, n + end.n));
	return 0;
}

static void copy_to(struct sip_out *out, struct sip_msg *m, const struct sip_reply_opts *opts)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_TO);

	if (!h)
		return;
	if (opts->status == 100 || opts->to_tag.n == 0 || has_to_tag(m, h)) {
		copy_field(out, m, h);
		return;
	}
	out_put(out, sip_span(h->name.s, sip_end(h->value)));
	out_put(out, STR_LIT(";tag="));
	out_put(out, opts->to_tag);
	copy_rest(out, m, h, sip_end(h->value));
}

int sip_build_reply(struct pool *pool, struct sip_msg *msg, const struct sip_reply_opts *opts,
                    struct sip_out *ret_out)
{
	unsigned n_copied = count(msg, SIP_H_VIA) + count(msg, SIP_H_RECORD_ROUTE);
	struct sip_out out;
	int err = out_init(&out, pool, 2 * n_copied + 2 * VIA_CHANGES + OWN_PIECES);

	if (err == 0)
		err = put_status_line(&out, pool, opts->status, opts->reason);
	if (err == 0)
		err = copy_vias(&out, pool, msg, &opts->source);
	if (err < 0)
		return err;
	if (opts->record_routes)
		copy_fields(&out, msg, SIP_H_RECORD_ROUTE);
	copy_first(&out, msg, SIP_H_FROM);
	copy_to(&out, msg, opts);
	copy_first(&out, msg, SIP_H_CALL_ID);
	copy_first(&out, msg, SIP_H_CSEQ);
	if (opts->status == 100)
		copy_first(&out, msg, SIP_H_TIMESTAMP); /* RFC 3261, 8.2.6.1 */
	out_put(&out, opts->extra);
	if (opts->body.n > 0 && opts->content_type.n > 0)
		out_field(&out, STR_LIT("Content-Type"), opts->content_type);
	err = put_end(&out, pool, opts->body.n);
	out_put(&out, opts->body);
	if (err == 0)
		err = out_err(&out);
	if (err < 0)
		return err;
	*ret_out = out;
	return 0;
}

int sip_build_local(struct pool *pool, struct str sent_invite, enum sip_method method,
                    struct str to, struct str extra, struct sip_out *ret_out)
{
	struct sip_msg *m = pool_alloc(pool, sizeof(*m));
	const char *name = sip_method_name(method);
	const struct sip_via *via;
	const struct sip_cseq *cseq;
	struct sip_out out;
	int err;

	if (!m)
		return -ENOMEM;
	err = sip_msg_parse(pool, sent_invite, m, NULL);
	if (err < 0)
		return err;
	via = sip_msg_via1(m);
	cseq = sip_msg_cseq(m);
	if (!name || m->kind != SIP_REQUEST || !via || !cseq)
		return -EINVAL;
	err = out_init(&out, pool, 2 * count(m, SIP_H_ROUTE) + OWN_PIECES);
	if (err < 0)
		return err;
	out_put(&out, str_lit(name));
	out_put(&out, STR_LIT(" "));
	out_put(&out, m->ruri);
	out_put(&out, STR_LIT(" SIP/2.0\r\n"));
	out_field(&out, STR_LIT("Via"), via->text);
	copy_fields(&out, m, SIP_H_ROUTE);
	copy_first(&out, m, SIP_H_FROM);
	if (to.n > 0)
		out_field(&out, STR_LIT("To"), to);
	else
		copy_first(&out, m, SIP_H_TO);
	copy_first(&out, m, SIP_H_CALL_ID);
	out_put(&out, STR_LIT("CSeq: "));
	out_put(&out, cseq->number_text);
	out_put(&out, STR_LIT(" "));
	out_put(&out, str_lit(name));
	out_put(&out, STR_LIT("\r\nMax-Forwards: 70\r\n"));
	out_put(&out, extra);
	out_put(&out, STR_LIT("Content-Length: 0\r\n\r\n"));
	err = out_err(&out);
	if (err < 0)
		return err;
	*ret_out = out;
	return 0;
}
