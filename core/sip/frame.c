/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cuts a stream into messages. The header is searched for its empty line, each byte once; then
 * Content-Length gives the rest. What two readers could take for different lengths (two values,
 * signs, overflow) ends the stream, because everything behind it could be smuggled.
 *
 * A CRLF alone may be a pong or the first half of a ping whose second half is still on its way. It
 * is taken at once as a pong, so that no buffer stays open, and remembered: a CRLF that arrives
 * next makes it a ping.
 */
#include "core/sip/frame.h"

#include <errno.h>

#include "core/base/num.h"
#include "core/sip/header.h"
#include "core/sip/sip_priv.h"

/* Line end at p: its length, 0 when there is none, -ENODATA when more bytes are needed to tell. */
static int line_end(const char *p, const char *end)
{
	if (p == end)
		return -ENODATA;
	if (*p == '\n')
		return 1;
	if (*p != '\r')
		return 0;
	if (end - p < 2)
		return -ENODATA;
	return p[1] == '\n' ? 2 : 0;
}

static int64_t keepalive(struct sip_frame *f, struct str buf, int first,
                         enum sip_frame_kind *ret_kind)
{
	int second = f->half_ping ? 0 : line_end(buf.s + first, sip_end(buf));

	*ret_kind = f->half_ping || second > 0 ? SIP_FRAME_PING : SIP_FRAME_PONG;
	f->half_ping = *ret_kind == SIP_FRAME_PONG;
	return second > 0 ? first + second : first;
}

/* Looks for the empty line; sets body_off. */
static int find_body(struct sip_frame *f, struct str buf)
{
	const char *p = buf.s + f->scanned, *end = sip_end(buf);

	while ((p = sip_find2(p, end, '\n', '\n')) < end) {
		int n = line_end(p + 1, end);

		if (n > 0) {
			f->body_off = (uint32_t)(p + 1 - buf.s) + (uint32_t)n;
			f->scanned = f->body_off;
			return 0;
		}
		if (n < 0)
			break; /* look at this line end again when there is more */
		p++;
	}
	f->scanned = (uint32_t)(p - buf.s);
	return -ENODATA;
}

static bool is_start_line(struct str line)
{
	return str_ifind(line, STR_LIT("SIP/")) >= 0 || sip_http_version(line) > 0;
}

static int read_length(struct sip_frame *f, struct str buf, bool no_cl_ok, uint64_t *ret_len,
                       struct diag *reterr)
{
	const char *end = buf.s + f->body_off, *p = memchr(buf.s, '\n', f->body_off);
	struct sip_line line;
	enum sip_line_kind kind;
	bool seen = false;
	uint64_t len = 0, other;

	if (!p || !is_start_line(sip_span(buf.s, p)))
		return diag_set(reterr, 0, "Not A SIP Message");
	for (p++; (kind = sip_line_take(p, end, &line)) != SIP_LINE_EMPTY; p = line.next) {
		struct str value;

		if (kind == SIP_LINE_CUT)
			break;
		if (kind != SIP_LINE_FIELD ||
		    sip_header_lookup(sip_span(line.start, line.name_end)) != SIP_H_CONTENT_LENGTH)
			continue; /* broken lines are the parser's to refuse */
		value = sip_span(line.value, line.value_end);
		if (num_u64(value, &other) < 0)
			return diag_set(reterr, (size_t)(line.start - buf.s), "Bad Content-Length");
		if (seen && other != len)
			return diag_set(reterr, (size_t)(line.start - buf.s),
			                "Conflicting Content-Length");
		seen = true;
		len = other;
	}
	if (!seen && !no_cl_ok)
		return diag_set(reterr, f->body_off, "Missing Content-Length");
	*ret_len = len;
	return 0;
}

int64_t sip_frame_next(struct sip_frame *f, struct str buf, size_t max_bytes, bool no_cl_ok,
                       enum sip_frame_kind *ret_kind, struct diag *reterr)
{
	uint64_t len = 0;
	int err;

	if (buf.n == 0)
		return -ENODATA;
	if (max_bytes > INT32_MAX)
		max_bytes = INT32_MAX;
	if (f->scanned == 0) {
		err = line_end(buf.s, sip_end(buf));
		if (err > 0)
			return keepalive(f, buf, err, ret_kind);
		if (err < 0)
			return err;
		if (!char_is(buf.s[0], CHARS_TOKEN))
			return diag_set(reterr, 0, "Not A SIP Message");
		f->half_ping = false;
	}
	if (f->total == 0) {
		if (f->body_off == 0) {
			struct str look = str_sub(buf, 0, max_bytes);

			err = find_body(f, look);
			if (err < 0 && buf.n >= max_bytes)
				return diag_err(reterr, -EMSGSIZE, max_bytes, "Header Too Long");
			if (err < 0)
				return err;
		}
		err = read_length(f, buf, no_cl_ok, &len, reterr);
		if (err < 0)
			return err;
		if (len > max_bytes - f->body_off)
			return diag_err(reterr, -EMSGSIZE, f->body_off, "Message Too Long");
		f->total = f->body_off + (uint32_t)len;
	}
	if (buf.n < f->total)
		return -ENODATA;
	*ret_kind = SIP_FRAME_MSG;
	return f->total;
}

void sip_frame_reset(struct sip_frame *f)
{
	f->scanned = f->body_off = f->total = 0;
}
