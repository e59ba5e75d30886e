/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message: one pass over the header block fills a table of fields (offsets, names as numbers,
 * chains of equal names); what a field means is parsed when somebody asks, and kept. This is where
 * every packet comes through, so the pass touches each byte once, sixteen at a time, and clears
 * only what it must.
 *
 * Two levels of refusal: sip_msg_parse() refuses what cannot be cut into fields with certainty,
 * sip_msg_check() what no proxy may act upon. Both leave enough behind to answer 400. What is
 * merely odd (unknown fields, strange bytes in values, no Max-Forwards) passes.
 */
#include "core/sip/msg.h"

#include <errno.h>

#include "core/base/num.h"
#include "core/sip/sip_priv.h"

#define HDRS_AT_FIRST 32u

enum cache { CACHE_RURI, CACHE_VIA1, CACHE_VIA2, CACHE_FROM, CACHE_TO, CACHE_CSEQ, CACHE_CONTACT, N_CACHES };

static const struct str sip_version = STR_LIT("SIP/2.0");
static unsigned taken; /* enum sip_rules */

void sip_msg_rules(unsigned rules)
{
	taken = rules;
}

static void msg_clear(struct sip_msg *m, struct pool *pool, struct str bytes)
{
	m->buf = bytes;
	m->kind = (enum sip_msg_kind)0;
	m->first_line = m->method_name = m->ruri = m->version = m->reason = m->body = STR_NULL;
	m->method = (enum sip_method)0;
	m->status = 0;
	m->headers_off = m->headers_end = m->body_off = 0;
	m->hdrs = NULL;
	m->n_hdrs = 0;
	memset(m->first, 0, sizeof(m->first));
	memset(m->last, 0, sizeof(m->last));
	m->bad_version = m->has_content_length = false;
	m->content_length = m->extra_bytes = 0;
	m->pool = pool;
	m->parsed = 0;
}

/* HTTP-version SP 3DIGIT SP reason: RFC 9112, 4; the last SP has to be there. */
size_t sip_http_version(struct str line)
{
	static const struct str name = STR_LIT("HTTP/");
	size_t n = name.n + 1;
	const char *p;

	if (LIKELY(!(taken & SIP_HTTP_REPLIES)) || !str_istarts(line, name))
		return 0;
	if (line.n > n && line.s[n] == '.')
		n += 2;
	if (line.n < n + 5 || !char_is(line.s[name.n], CHARS_DIGIT) || !char_is(line.s[n - 1], CHARS_DIGIT))
		return 0;
	p = line.s + n;
	return p[0] == ' ' && char_is(p[1], CHARS_DIGIT) && char_is(p[2], CHARS_DIGIT) && char_is(p[3], CHARS_DIGIT) && p[4] == ' ' ? n : 0;
}

/* SIP/2.0 SP 3DIGIT SP reason; the SP before an empty reason may be missing. */
static int parse_status_line(struct sip_msg *m, struct str line, size_t version_n, struct diag *reterr)
{
	const char *p = line.s + version_n, *end = sip_end(line);

	m->kind = SIP_REPLY;
	m->version = str_sub(line, 0, version_n);
	if (end - p < 4 || *p != ' ' || !char_is(p[1], CHARS_DIGIT) ||
	    !char_is(p[2], CHARS_DIGIT) || !char_is(p[3], CHARS_DIGIT) || p[1] < '1' ||
	    p[1] > '6' || (end - p > 4 && p[4] != ' '))
		return diag_set(reterr, version_n, "Bad Status Code");
	m->status = (uint16_t)((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
	m->reason = end - p > 5 ? sip_span(p + 5, end) : sip_span(end, end);
	return 0;
}

/* Method SP Request-URI SP SIP/2.0. On failure kind, method and version are set as far as they are
 * clear. */
static int parse_request_line(struct sip_msg *m, struct str line, struct diag *reterr)
{
	const char *p = line.s, *end = sip_end(line), *uri, *last;

	p = sip_skip_class(p, end, CHARS_TOKEN);
	m->method_name = sip_span(line.s, p);
	if (m->method_name.n == 0 || p == end || *p != ' ')
		return diag_set(reterr, (size_t)(p - line.s), "Bad Request Line");
	uri = p + 1;
	last = end;
	while (last > uri && last[-1] == ' ')
		last--;
	m->version.s = last;
	while (m->version.s > uri && m->version.s[-1] != ' ')
		m->version.s--;
	m->version.n = (size_t)(last - m->version.s);
	if (!str_istarts(m->version, STR_LIT("SIP/")))
		return diag_set(reterr, (size_t)(m->version.s - line.s), "Bad Request Line");
	m->kind = SIP_REQUEST;
	m->method = sip_method_lookup(m->method_name);
	if (!str_ieq(m->version, sip_version)) {
		m->bad_version = true;
		return diag_set(reterr, (size_t)(m->version.s - line.s), "Version Not Supported");
	}
	p = memchr(uri, ' ', (size_t)(end - uri));
	if (p == uri)
		return diag_set(reterr, (size_t)(p - line.s), "Extra Space In Request Line");
	if (!p || p + 1 != m->version.s || last != end)
		return diag_set(reterr, (size_t)(uri - line.s),
		                "Space In Request-URI Or After Version");
	m->ruri = sip_span(uri, p);
	if (*uri == '<')
		return diag_set(reterr, (size_t)(uri - line.s), "Request-URI In Brackets");
	return 0;
}

static int parse_first_line(struct sip_msg *m, struct diag *reterr)
{
	const char *p = m->buf.s, *end = p + m->buf.n, *lf = sip_find2(p, end, '\n', '\n');
	struct str line;
	size_t n;

	if (lf == end)
		return diag_set(reterr, 0, "Not A SIP Message");
	m->headers_off = (uint32_t)(lf + 1 - p);
	line = sip_span(p, lf);
	if (line.n > 0 && line.s[line.n - 1] == '\r')
		line.n--;
	m->first_line = line;
	if (line.n >= sip_version.n + 1 && line.s[sip_version.n] == ' ' &&
	    str_istarts(line, sip_version))
		return parse_status_line(m, line, sip_version.n, reterr);
	n = sip_http_version(line);
	if (UNLIKELY(n > 0))
		return parse_status_line(m, line, n, reterr);
	return parse_request_line(m, line, reterr);
}

/*
 * Several equal values are one; anything else cannot be told from an attack. With SIP_REPEATS the first counts: in streams, where it would decide
 * what the next message is, framing has refused it before; and what is sent on says the same in each (build.c).
 */
static int take_content_length(struct sip_msg *m, const struct sip_hdr *h, struct diag *reterr)
{
	uint32_t n;

	if (num_u32(h->value, &n) < 0)
		return diag_set(reterr, h->off, "Bad Content-Length");
	if (m->has_content_length && n != m->content_length)
		return taken & SIP_REPEATS ? 0 : diag_set(reterr, h->off, "Conflicting Content-Length");
	m->has_content_length = true;
	m->content_length = n;
	return 0;
}

static int grow(struct sip_msg *m, unsigned *cap)
{
	unsigned next = *cap ? *cap * 2 : HDRS_AT_FIRST;
	void *p;

	if (*cap >= SIP_MSG_HEADERS_MAX)
		return -EMSGSIZE;
	p = *cap ? pool_grow(m->pool, m->hdrs, *cap * sizeof(*m->hdrs), next * sizeof(*m->hdrs))
	         : pool_alloc(m->pool, next * sizeof(*m->hdrs));
	if (!p)
		return -EMSGSIZE;
	m->hdrs = p;
	*cap = next;
	return 0;
}

static const struct sip_hdr *add_field(struct sip_msg *m, const struct sip_line *line)
{
	uint16_t n = m->n_hdrs++;
	struct sip_hdr *h = &m->hdrs[n++];
	enum sip_header id;

	h->name = sip_span(line->start, line->name_end);
	h->value = sip_span(line->value, line->value_end);
	h->off = (uint32_t)(line->start - m->buf.s);
	h->len = (uint32_t)(line->next - line->start);
	h->next = 0;
	h->id = id = sip_header_lookup(h->name);
	if (id == SIP_H_OTHER)
		return h;
	if (m->last[id])
		m->hdrs[m->last[id] - 1].next = n;
	else
		m->first[id] = n;
	m->last[id] = n;
	return h;
}

/* Goes on behind a bad field, to find what a reply needs; the first error is the one reported. */
static int parse_headers(struct sip_msg *m, struct diag *reterr)
{
	const char *p = m->buf.s + m->headers_off, *end = sip_end(m->buf);
	unsigned cap = 0;
	int err = 0, e;

	for (;;) {
		struct sip_line line;
		const struct sip_hdr *h;
		enum sip_line_kind kind = sip_line_take(p, end, &line);
		size_t pos = (size_t)(p - m->buf.s);

		if (LIKELY(kind == SIP_LINE_FIELD)) {
			if (m->n_hdrs == cap) {
				e = grow(m, &cap);
				if (e < 0)
					return diag_err(reterr, e, pos, "Too Many Header Fields");
			}
			h = add_field(m, &line);
			if (h->id == SIP_H_CONTENT_LENGTH) {
				e = take_content_length(m, h, err ? NULL : reterr);
				err = err ? err : e;
			}
			p = line.next;
			continue;
		}
		if (kind == SIP_LINE_EMPTY) {
			m->headers_end = (uint32_t)pos;
			m->body_off = (uint32_t)(line.next - m->buf.s);
			return err;
		}
		if (kind == SIP_LINE_CUT) {
			m->headers_end = m->body_off = (uint32_t)m->buf.n;
			return err ? err : diag_set(reterr, pos, "End Of Header Missing");
		}
		if (err == 0)
			err = diag_set(reterr, pos,
			               kind == SIP_LINE_STRAY_CR ? "Stray CR In Header"
			                                         : "Bad Header Field");
		p = line.next;
	}
}

static void set_body(struct sip_msg *m)
{
	m->body = str_sub(m->buf, m->body_off, m->buf.n);
	if (m->has_content_length && m->content_length < m->body.n) {
		m->extra_bytes = (uint32_t)(m->body.n - m->content_length);
		m->body.n = m->content_length;
	}
}

int sip_msg_parse(struct pool *pool, struct str bytes, struct sip_msg *ret_msg, struct diag *reterr)
{
	struct sip_msg *m = ret_msg;
	int err, err_headers;

	while (bytes.n > 0 && (bytes.s[0] == '\r' || bytes.s[0] == '\n'))
		bytes = sip_span(bytes.s + 1, sip_end(bytes));
	msg_clear(m, pool, bytes);
	if (bytes.n < SIP_MSG_MIN_BYTES)
		return diag_set(reterr, 0, "Not A SIP Message");
	if (bytes.n > INT32_MAX)
		return diag_err(reterr, -EMSGSIZE, 0, "Message Too Long");
	err = parse_first_line(m, reterr);
	if (err < 0 && m->kind == 0)
		return err;
	err_headers = parse_headers(m, err < 0 ? NULL : reterr);
	set_body(m);
	return err < 0 ? err : err_headers;
}

/* --- fields --- */

const struct sip_hdr *sip_msg_hdr(const struct sip_msg *msg, enum sip_header id)
{
	unsigned i = (unsigned)id < SIP_N_HEADERS ? msg->first[id] : 0;

	return i ? &msg->hdrs[i - 1] : NULL;
}

const struct sip_hdr *sip_msg_hdr_next(const struct sip_msg *msg, const struct sip_hdr *hdr)
{
	return hdr->next ? &msg->hdrs[hdr->next - 1] : NULL;
}

unsigned sip_msg_hdr_count(const struct sip_msg *msg, struct str name)
{
	enum sip_header id = sip_header_lookup(name);
	unsigned n = 0;

	if (id != SIP_H_OTHER) {
		for (const struct sip_hdr *h = sip_msg_hdr(msg, id); h;
		     h = sip_msg_hdr_next(msg, h))
			n++;
		return n;
	}
	for (unsigned i = 0; i < msg->n_hdrs; i++)
		n += msg->hdrs[i].id == SIP_H_OTHER && str_ieq(msg->hdrs[i].name, name);
	return n;
}

const struct sip_hdr *sip_msg_hdr_named(const struct sip_msg *msg, struct str name, int n)
{
	enum sip_header id = sip_header_lookup(name);
	int64_t nth = n;

	if (nth < 0)
		nth += sip_msg_hdr_count(msg, name);
	if (nth < 0)
		return NULL;
	if (id != SIP_H_OTHER) {
		const struct sip_hdr *h = sip_msg_hdr(msg, id);

		while (h && nth-- > 0)
			h = sip_msg_hdr_next(msg, h);
		return h;
	}
	for (unsigned i = 0; i < msg->n_hdrs; i++)
		if (msg->hdrs[i].id == SIP_H_OTHER && str_ieq(msg->hdrs[i].name, name) &&
		    nth-- == 0)
			return &msg->hdrs[i];
	return NULL;
}

/* --- values on demand --- */

static inline bool holds(const struct sip_msg *m, enum cache c)
{
	return (m->parsed & 1u << (N_CACHES + c)) != 0;
}

static bool keep(struct sip_msg *m, enum cache c, bool ok)
{
	m->parsed |= 1u << c | (ok ? 1u << (N_CACHES + c) : 0);
	return ok;
}

/* Whether the cache holds something; filled on the first question. */
static ALWAYS_INLINE bool have(struct sip_msg *m, enum cache c, bool (*fill)(struct sip_msg *m))
{
	if (LIKELY(holds(m, c)))
		return true;
	return !(m->parsed & 1u << c) && keep(m, c, fill(m));
}

static bool ruri_fill(struct sip_msg *m)
{
	return m->kind == SIP_REQUEST && sip_uri_parse(m->ruri, &m->ruri_c, NULL) == 0;
}

/* The top value stands in the first field; nothing in there is no Via, whatever follows. */
static bool via1_fill(struct sip_msg *m)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_VIA);
	struct str rest = h ? h->value : STR_NULL;

	return sip_via_next(&rest, &m->via1_c, NULL) > 0;
}

static bool via2_fill(struct sip_msg *m)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_VIA);
	struct str rest;
	int more;

	if (!sip_msg_via1(m))
		return false;
	rest = sip_span(sip_end(m->via1_c.text), sip_end(h->value));
	while ((more = sip_via_next(&rest, &m->via2_c, NULL)) == 0 &&
	       (h = sip_msg_hdr_next(m, h)) != NULL)
		rest = h->value;
	return more > 0;
}

/* A tag is a token, and goes into URIs and fields of ours as one (ftag of Record-Route): odd characters pass, but not what would end it there. */
static bool is_tag(struct str tag)
{
	static const uint8_t ends[256] = { [','] = 1, [';'] = 1, ['<'] = 1, ['>'] = 1, ['"'] = 1, ['\\'] = 1, [' '] = 1, ['\t'] = 1, ['\r'] = 1, ['\n'] = 1 };

	for (size_t i = 0; i < tag.n; i++)
		if (ends[(unsigned char)tag.s[i]])
			return false;
	return true;
}

static bool addr_fill(const struct sip_msg *m, enum sip_header id, struct sip_addr *addr)
{
	const struct sip_hdr *h = sip_msg_hdr(m, id);

	return h && sip_addr_parse(h->value, addr, NULL) == 0 && !addr->star && is_tag(addr->tag);
}

static bool from_fill(struct sip_msg *m)
{
	return addr_fill(m, SIP_H_FROM, &m->from_c);
}

static bool to_fill(struct sip_msg *m)
{
	return addr_fill(m, SIP_H_TO, &m->to_c);
}

static bool cseq_fill(struct sip_msg *m)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_CSEQ);

	return h && sip_cseq_parse(h->value, &m->cseq_c, NULL) == 0;
}

const struct sip_uri *sip_msg_ruri(struct sip_msg *msg)
{
	return have(msg, CACHE_RURI, ruri_fill) ? &msg->ruri_c : NULL;
}

const struct sip_via *sip_msg_via1(struct sip_msg *msg)
{
	return have(msg, CACHE_VIA1, via1_fill) ? &msg->via1_c : NULL;
}

const struct sip_via *sip_msg_via2(struct sip_msg *msg)
{
	return have(msg, CACHE_VIA2, via2_fill) ? &msg->via2_c : NULL;
}

const struct sip_addr *sip_msg_from(struct sip_msg *msg)
{
	return have(msg, CACHE_FROM, from_fill) ? &msg->from_c : NULL;
}

const struct sip_addr *sip_msg_to(struct sip_msg *msg)
{
	return have(msg, CACHE_TO, to_fill) ? &msg->to_c : NULL;
}

const struct sip_cseq *sip_msg_cseq(struct sip_msg *msg)
{
	return have(msg, CACHE_CSEQ, cseq_fill) ? &msg->cseq_c : NULL;
}

struct str sip_msg_call_id(const struct sip_msg *msg)
{
	const struct sip_hdr *h = sip_msg_hdr(msg, SIP_H_CALL_ID);

	return h ? h->value : STR_NULL;
}

int sip_msg_addr_next(const struct sip_msg *msg, enum sip_header id, struct sip_addr_iter *it,
                      struct sip_addr *ret_addr)
{
	for (;;) {
		int more;

		if (!it->started) {
			it->started = true;
			it->hdr = sip_msg_hdr(msg, id);
			it->rest = it->hdr ? it->hdr->value : STR_NULL;
			if (id == SIP_H_CONTACT && holds(msg, CACHE_CONTACT)) {
				*ret_addr = msg->contact_c;
				it->rest = sip_span(sip_end(ret_addr->text), sip_end(it->rest));
				return 1;
			}
		}
		more = sip_addr_next(&it->rest, ret_addr, NULL);
		if (more != 0)
			return more;
		it->hdr = it->hdr ? sip_msg_hdr_next(msg, it->hdr) : NULL;
		if (!it->hdr)
			return 0;
		it->rest = it->hdr->value;
	}
}

/* --- what every message needs --- */

static int check_single(const struct sip_msg *m, struct diag *reterr)
{
	static const struct {
		enum sip_header id;
		bool required;
		const char *missing, *repeated;
	} rules[] = {
		{ SIP_H_CALL_ID, true, "Missing Call-ID", "Multiple Call-ID" },
		{ SIP_H_CSEQ, true, "Missing CSeq", "Multiple CSeq" },
		{ SIP_H_FROM, true, "Missing From", "Multiple From" },
		{ SIP_H_TO, true, "Missing To", "Multiple To" },
		{ SIP_H_MAX_FORWARDS, false, NULL, "Multiple Max-Forwards" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct sip_hdr *h = sip_msg_hdr(m, rules[i].id);

		if (!h && rules[i].required)
			return diag_set(reterr, m->headers_off, "%s", rules[i].missing);
		if (h && h->next && !(rules[i].required && (taken & SIP_REPEATS)))
			return diag_set(reterr, m->hdrs[h->next - 1].off, "%s", rules[i].repeated);
	}
	return 0;
}

/* The top one is kept; the rest of its field must be sound too, the other fields are other hops'
 * affair. */
static int check_via(struct sip_msg *m, struct diag *reterr)
{
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_VIA);
	struct sip_via via;
	struct str rest;
	int more;

	if (!h)
		return diag_set(reterr, m->headers_off, "Missing Via");
	if (!sip_msg_via1(m))
		return diag_set(reterr, h->off, "Bad Via");
	rest = sip_span(sip_end(m->via1_c.text), sip_end(h->value));
	while ((more = rest.n > 0 ? sip_via_next(&rest, &via, NULL) : 0) > 0)
		;
	return more < 0 ? diag_set(reterr, h->off, "Bad Via") : 0;
}

static int check_cseq(struct sip_msg *m, struct diag *reterr)
{
	const struct sip_cseq *cseq = sip_msg_cseq(m);

	if (!cseq)
		return diag_set(reterr, sip_msg_hdr(m, SIP_H_CSEQ)->off, "CSeq number is illegal");
	if (m->kind == SIP_REQUEST && !str_eq(cseq->name, m->method_name))
		return diag_set(reterr, sip_msg_hdr(m, SIP_H_CSEQ)->off, "CSeq method does not match request method");
	return 0;
}

/* The first one is kept: save() reads it again. */
static int check_contacts(struct sip_msg *m, struct diag *reterr)
{
	struct sip_addr_iter it = { 0 };
	struct sip_addr addr;
	int more = sip_msg_addr_next(m, SIP_H_CONTACT, &it, &m->contact_c);

	(void)keep(m, CACHE_CONTACT, more > 0 && it.hdr == sip_msg_hdr(m, SIP_H_CONTACT));
	while (more > 0)
		more = sip_msg_addr_next(m, SIP_H_CONTACT, &it, &addr);
	return more < 0 ? diag_set(reterr, it.hdr->off, "Bad Contact") : 0;
}

static int check_request(struct sip_msg *m, struct diag *reterr)
{
	const struct sip_uri *uri = sip_msg_ruri(m);
	const struct sip_hdr *h = sip_msg_hdr(m, SIP_H_MAX_FORWARDS);
	uint32_t hops;

	if (!uri)
		return diag_set(reterr, (size_t)(m->ruri.s - m->buf.s), "Bad Request URI");
	if (uri->headers.n > 0)
		return diag_set(reterr, (size_t)(uri->headers.s - m->buf.s),
		                "Headers In Request-URI");
	if (h && (num_u32(h->value, &hops) < 0 || hops > 255))
		return diag_set(reterr, h->off, "Bad Max-Forwards");
	return m->method == SIP_M_REGISTER ? check_contacts(m, reterr) : 0;
}

/* The texts are those of sanity_check(), which never sees what is refused here. */
int sip_msg_check(struct sip_msg *msg, struct diag *reterr)
{
	int err = check_via(msg, reterr);

	if (err == 0)
		err = check_single(msg, reterr);
	if (err == 0)
		err = check_cseq(msg, reterr);
	if (err == 0 && msg->has_content_length && msg->content_length > msg->buf.n - msg->body_off)
		err = diag_set(reterr, msg->body_off, "Content-Length mis-match");
	if (err == 0 && sip_msg_call_id(msg).n == 0)
		err = diag_set(reterr, sip_msg_hdr(msg, SIP_H_CALL_ID)->off, "Empty Call-ID");
	if (err == 0 && !sip_msg_from(msg))
		err = diag_set(reterr, sip_msg_hdr(msg, SIP_H_FROM)->off, "Invalid From Header");
	if (err == 0 && !sip_msg_to(msg))
		err = diag_set(reterr, sip_msg_hdr(msg, SIP_H_TO)->off, "Invalid To Header");
	if (err == 0 && msg->kind == SIP_REQUEST)
		err = check_request(msg, reterr);
	return err;
}

bool sip_msg_answerable(struct sip_msg *msg)
{
	return msg->kind == SIP_REQUEST && msg->method != SIP_M_ACK && sip_msg_via1(msg) != NULL;
}
