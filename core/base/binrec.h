/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of binrpc, the language of kamcmd, that both sides read and write: packets of typed records.
 *
 *     0xA1 | type:4 length_bytes-1:2 cookie_bytes-1:2 | length of the body | cookie | records
 *
 * A record starts with one byte: bit 7 says that bits 6-4 are the number of bytes of the length that follows, else they are the
 * length itself; bits 3-0 are the type. Numbers are big-endian and as short as they can be.
 */
#ifndef RF_BASE_BINREC_H
#define RF_BASE_BINREC_H

#include "core/base/strbuf.h"

#define BIN_HEAD_MAX 10u /* bytes */
#define BIN_DOUBLE_BYTES 7u /* an eighth would set the bit that says "long" */

enum bin_packet { BIN_REQUEST = 0, BIN_REPLY = 1, BIN_FAULT = 3 };
enum bin_type { BIN_INT = 0, BIN_STR = 1, BIN_DOUBLE = 2, BIN_STRUCT = 3, BIN_ARRAY = 4, BIN_NAME = 5, BIN_BYTES = 6 };

struct bin_head {
	unsigned type, cookie_n; /* 1 to 4 */
	uint64_t body_n;
	unsigned char cookie[4];
	size_t n; /* bytes of the head */
};

/* type: of enum bin_type, or one that nobody knows. value: view into what was read. */
struct bin_record {
	unsigned type;
	bool is_end; /* of a structure or array; these are marks and have no value */
	struct str value;
};

/* Returns 0; -ENODATA: more bytes are needed; -EBADMSG: this is no packet. Reads at most BIN_HEAD_MAX bytes. */
MUST_CHECK int bin_head_read(struct str bytes, struct bin_head *ret);
/* Takes the next record off *rest. Returns 0; -ENODATA at the end; -EBADMSG. */
MUST_CHECK int bin_record_read(struct str *rest, struct bin_record *ret);
/* Of BIN_INT or BIN_DOUBLE: at most 8 bytes, else -EBADMSG. */
MUST_CHECK int bin_number(const struct bin_record *r, uint64_t *ret);

/* cookie: cookie_n bytes. */
void bin_put_head(struct strbuf *out, enum bin_packet type, size_t body_n, const void *cookie, unsigned cookie_n);
void bin_put_int(struct strbuf *out, uint32_t v);
/* thousandths: below 2^56. */
void bin_put_double(struct strbuf *out, uint64_t thousandths);
/* type: BIN_STR or BIN_NAME. */
void bin_put_text(struct strbuf *out, enum bin_type type, struct str s);
void bin_put_mark(struct strbuf *out, enum bin_type type, bool is_end);

#endif
