/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers out of text and back. strtoul(3) and friends skip blanks, stop at rubbish and need a NUL;
 * a protocol wants the whole token to be the number or a refusal. Overflow is told apart from
 * nonsense.
 */
#include "core/base/num.h"

#include <errno.h>

int num_u64(struct str s, uint64_t *ret)
{
	uint64_t v = 0;
	bool over = false;

	if (s.n == 0)
		return -EBADMSG;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.s[i] - (unsigned)'0';

		if (d > 9)
			return -EBADMSG;
		over |= __builtin_mul_overflow(v, 10u, &v);
		over |= __builtin_add_overflow(v, d, &v);
	}
	if (over)
		return -ERANGE;
	*ret = v;
	return 0;
}

int num_u32(struct str s, uint32_t *ret)
{
	uint64_t v = 0;
	int err = num_u64(s, &v);

	if (err < 0)
		return err;
	if (v > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

int num_i64(struct str s, int64_t *ret)
{
	bool neg = s.n > 0 && s.s[0] == '-';
	uint64_t v = 0;
	int err;

	if (s.n > 0 && (s.s[0] == '-' || s.s[0] == '+'))
		s = str_sub(s, 1, s.n);
	err = num_u64(s, &v);
	if (err < 0)
		return err;
	if (v > (uint64_t)INT64_MAX + (neg ? 1u : 0u))
		return -ERANGE;
	*ret = neg ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

/* One more than a hexadecimal digit is worth; 0: none. */
const uint8_t num_hex_worth[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11,
	['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

int num_hex_u64(struct str s, uint64_t *ret)
{
	uint64_t v = 0;
	bool over = false;

	if (s.n == 0)
		return -EBADMSG;
	for (size_t i = 0; i < s.n; i++) {
		int worth = num_hex_digit(s.s[i]);

		if (worth < 0)
			return -EBADMSG;
		over |= v >> 60 != 0;
		v = v << 4 | (unsigned)worth;
	}
	if (over)
		return -ERANGE;
	*ret = v;
	return 0;
}

int num_hex_bytes(struct str hex, void *out)
{
	unsigned char *to = out;

	if (hex.n % 2)
		return -EBADMSG;
	for (size_t i = 0; i < hex.n; i += 2) {
		int hi = num_hex_digit(hex.s[i]), lo = num_hex_digit(hex.s[i + 1]);

		if (hi < 0 || lo < 0)
			return -EBADMSG;
		*to++ = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

int num_script(struct str s, int64_t *ret)
{
	uint64_t v = 0;
	int err;

	if (s.n == 0) {
		*ret = 0;
		return 0;
	}
	if (!str_istarts(s, STR_LIT("0x")))
		return num_i64(s, ret);
	err = num_hex_u64(str_sub(s, 2, s.n), &v);
	if (err < 0)
		return err;
	if (v > INT64_MAX)
		return -ERANGE;
	*ret = (int64_t)v;
	return 0;
}

size_t num_dec(int64_t v, char *out)
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	char tmp[NUM_DEC_MAX], *const end = tmp + sizeof(tmp), *p = end;

	if (v >= 0 && v < 10) { /* many are */
		out[0] = (char)('0' + v);
		return 1;
	}
	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	if (v < 0)
		*--p = '-';
	memcpy(out, p, (size_t)(end - p));
	return (size_t)(end - p);
}

static const char hex[] = "0123456789abcdef";

char *num_hex(uint64_t v, unsigned digits, char *out)
{
	for (unsigned i = digits; i-- > 0; v >>= 4)
		out[i] = hex[v & 15];
	return out + digits;
}

char *num_hex_of(const void *bytes, size_t n, char *out)
{
	const unsigned char *b = bytes;

	for (size_t i = 0; i < n; i++) {
		*out++ = hex[b[i] >> 4];
		*out++ = hex[b[i] & 15];
	}
	return out;
}
