/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict numbers: the whole text must be the number, overflow is refused. */
#ifndef RF_BASE_NUM_H
#define RF_BASE_NUM_H

#include "core/base/str.h"

/* Each returns 0, -EBADMSG (not a number) or -ERANGE. */
MUST_CHECK int num_u32(struct str s, uint32_t *ret);
MUST_CHECK int num_u64(struct str s, uint64_t *ret);
MUST_CHECK int num_i64(struct str s, int64_t *ret); /* optional sign */
MUST_CHECK int num_hex_u64(struct str s, uint64_t *ret);
/* Two digits make a byte. out: hex.n / 2 bytes, undefined after a failure. Returns 0 or -EBADMSG. */
MUST_CHECK int num_hex_bytes(struct str hex, void *out);
extern const uint8_t num_hex_worth[256];
/* What a hexadecimal digit of either case is worth, 0 to 15; -1: it is none. */
static inline int num_hex_digit(char c)
{
	return (int)num_hex_worth[(unsigned char)c] - 1;
}
/* Script conversion: decimal with optional sign, or 0x hex; "" is 0. */
MUST_CHECK int num_script(struct str s, int64_t *ret);
#define NUM_DEC_MAX 21
/* Writes the decimal text (no NUL) into out, at least NUM_DEC_MAX bytes; returns its length. */
size_t num_dec(int64_t v, char *out);
/* Writes the lowest hex digits of v, lower case, with leading zeros and no NUL; digits: 0 to 16. Returns out + digits. */
char *num_hex(uint64_t v, unsigned digits, char *out);
/* Two lower-case digits for each of n bytes, no NUL. Returns out + 2 * n. */
char *num_hex_of(const void *bytes, size_t n, char *out);

#endif
