/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads and records of binrpc. What is read may come from anybody: no length is believed before the bytes are there. */
#include "core/base/binrec.h"

#include <errno.h>

#define MAGIC_VERSION 0xA1u
#define LONG 0x80u /* of a record; of a mark: the end */
#define LENGTH_BYTES_MAX 4u

static uint64_t big_endian(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

int bin_head_read(struct str bytes, struct bin_head *ret)
{
	const unsigned char *p = (const unsigned char *)bytes.s;
	struct bin_head h = { 0 };
	unsigned len_n;

	if (bytes.n > 0 && p[0] != MAGIC_VERSION)
		return -EBADMSG;
	if (bytes.n < 2)
		return -ENODATA;
	h.type = p[1] >> 4;
	len_n = (p[1] >> 2 & 3u) + 1;
	h.cookie_n = (p[1] & 3u) + 1;
	h.n = 2 + len_n + h.cookie_n;
	if (bytes.n < h.n)
		return -ENODATA;
	h.body_n = big_endian(p + 2, len_n);
	memcpy(h.cookie, p + 2 + len_n, h.cookie_n);
	*ret = h;
	return 0;
}

int bin_record_read(struct str *rest, struct bin_record *ret)
{
	const unsigned char *p = (const unsigned char *)rest->s;
	struct bin_record r = { 0 };
	size_t head = 1;
	uint64_t n;
	bool is_long;

	if (rest->n == 0)
		return -ENODATA;
	r.type = p[0] & 15u;
	is_long = p[0] & LONG;
	n = p[0] >> 4 & 7u;
	if (r.type == BIN_STRUCT || r.type == BIN_ARRAY) {
		r.is_end = is_long;
		n = 0;
	} else if (is_long) {
		head += n;
		if (n > LENGTH_BYTES_MAX || head > rest->n)
			return -EBADMSG;
		n = big_endian(p + 1, n);
	}
	if (n > rest->n - head)
		return -EBADMSG;
	r.value = str_sub(*rest, head, n);
	*rest = str_sub(*rest, head + n, rest->n);
	*ret = r;
	return 0;
}

int bin_number(const struct bin_record *r, uint64_t *ret)
{
	if (r->value.n > sizeof(*ret))
		return -EBADMSG;
	*ret = big_endian((const unsigned char *)r->value.s, r->value.n);
	return 0;
}

/* Bytes that a number needs, at most max. */
static unsigned width(uint64_t v, unsigned max)
{
	unsigned n = 0;

	while (n < max && v >> (8 * n))
		n++;
	return n;
}

static void put_number(struct strbuf *out, uint64_t v, unsigned n)
{
	while (n-- > 0)
		strbuf_add_char(out, (char)(v >> (8 * n) & 255));
}

void bin_put_head(struct strbuf *out, enum bin_packet type, size_t body_n, const void *cookie, unsigned cookie_n)
{
	unsigned len_n = body_n ? width(body_n, LENGTH_BYTES_MAX) : 1;

	strbuf_add_char(out, (char)MAGIC_VERSION);
	strbuf_add_char(out, (char)((unsigned)type << 4 | (len_n - 1) << 2 | (cookie_n - 1)));
	put_number(out, body_n, len_n);
	strbuf_add(out, str_of(cookie, cookie_n));
}

void bin_put_int(struct strbuf *out, uint32_t v)
{
	unsigned n = width(v, 4);

	strbuf_add_char(out, (char)(n << 4 | BIN_INT));
	put_number(out, v, n);
}

void bin_put_double(struct strbuf *out, uint64_t thousandths)
{
	unsigned n = width(thousandths, BIN_DOUBLE_BYTES);

	strbuf_add_char(out, (char)(n << 4 | BIN_DOUBLE));
	put_number(out, thousandths, n);
}

void bin_put_text(struct strbuf *out, enum bin_type type, struct str s)
{
	uint64_t n = s.n + 1;

	if (n < 8) {
		strbuf_add_char(out, (char)(n << 4 | (unsigned)type));
	} else {
		unsigned len_n = width(n, 7);

		strbuf_add_char(out, (char)(LONG | len_n << 4 | (unsigned)type));
		put_number(out, n, len_n);
	}
	strbuf_add(out, s);
	strbuf_add_char(out, '\0');
}

void bin_put_mark(struct strbuf *out, enum bin_type type, bool is_end)
{
	strbuf_add_char(out, (char)((is_end ? LONG : 0u) | (unsigned)type));
}
