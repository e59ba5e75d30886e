/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests and encodings. MD5 and SHA come from OpenSSL; SHA-3 and the older Keccak, which differ in one padding byte, share the
 * permutation here, because OpenSSL 3.0 has only the first.
 */
#include "modules/pv/pv_digest.h"

#include <errno.h>
#include <openssl/evp.h>

#include "core/base/num.h"
#include "core/base/scan.h"
#include "core/sip/uri.h"

#define BASE58_IN_MAX 1024u /* the work grows with the square */

/* ---- digests ---- */

static uint64_t rotl(uint64_t v, unsigned n)
{
	return n ? v << n | v >> (64 - n) : v;
}

/* FIPS 202, 3.2 and 3.3: theta, rho with pi, chi, iota, 24 rounds. */
static void keccak_f(uint64_t a[25])
{
	static const uint8_t rho[25] = { 0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14 };
	static const uint64_t iota[24] = {
		0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
		0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
		0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
		0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
	};

	for (unsigned r = 0; r < 24; r++) {
		uint64_t c[5], b[25];

		for (unsigned x = 0; x < 5; x++)
			c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
		for (unsigned i = 0; i < 25; i++)
			a[i] ^= c[(i + 4) % 5] ^ rotl(c[(i + 1) % 5], 1);
		for (unsigned y = 0; y < 5; y++)
			for (unsigned x = 0; x < 5; x++)
				b[y + 5 * ((2 * x + 3 * y) % 5)] = rotl(a[x + 5 * y], rho[x + 5 * y]);
		for (unsigned y = 0; y < 25; y += 5)
			for (unsigned x = 0; x < 5; x++)
				a[y + x] = b[y + x] ^ (~b[y + (x + 1) % 5] & b[y + (x + 2) % 5]);
		a[0] ^= iota[r];
	}
}

static void keccak(struct str in, unsigned bits, uint8_t pad, uint8_t *out)
{
	size_t rate = 200 - bits / 4, at = 0;
	uint64_t a[25] = { 0 };

	for (size_t i = 0; i < in.n; i++) {
		a[at / 8] ^= (uint64_t)(unsigned char)in.s[i] << at % 8 * 8;
		if (++at == rate) {
			keccak_f(a);
			at = 0;
		}
	}
	a[at / 8] ^= (uint64_t)pad << at % 8 * 8;
	a[(rate - 1) / 8] ^= (uint64_t)0x80 << (rate - 1) % 8 * 8;
	keccak_f(a);
	for (size_t i = 0; i < bits / 8; i++)
		out[i] = (uint8_t)(a[i / 8] >> i % 8 * 8);
}

size_t pv_digest_hex(enum pv_digest d, unsigned bits, struct str in, char *out)
{
	uint8_t raw[EVP_MAX_MD_SIZE];
	const EVP_MD *md = NULL;
	unsigned n = 0;

	switch (d) {
	case PV_MD5:
		md = EVP_md5();
		break;
	case PV_SHA1:
		md = EVP_sha1();
		break;
	case PV_SHA256:
		md = EVP_sha256();
		break;
	case PV_SHA384:
		md = EVP_sha384();
		break;
	case PV_SHA512:
		md = EVP_sha512();
		break;
	case PV_SHA3:
	case PV_KECCAK:
		if (bits != 256 && bits != 384 && bits != 512)
			return 0;
		keccak(in, bits, d == PV_SHA3 ? 0x06 : 0x01, raw);
		n = bits / 8;
		break;
	}
	if (md && EVP_Digest(in.s ? in.s : "", in.n, raw, &n, md, NULL) != 1)
		return 0;
	return (size_t)pv_hex_encode(str_of(raw, n), out);
}

uint32_t pv_crc32(struct str in)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < in.n; i++) {
		crc ^= (unsigned char)in.s[i];
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* ---- hex ---- */

ptrdiff_t pv_hex_encode(struct str in, char *out)
{
	return num_hex_of(in.s, in.n, out) - out;
}

ptrdiff_t pv_hex_decode(struct str in, char *out)
{
	int err = num_hex_bytes(in, out);

	return err < 0 ? err : (ptrdiff_t)(in.n / 2);
}

/* ---- base58: a number in base 58, leading zero bytes as '1' ---- */

static const char set58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* Multiplies the n-byte number (least significant first) by mul, adds add. Returns its new length. */
static size_t big_step(uint8_t *num, size_t n, unsigned base, unsigned mul, unsigned add)
{
	unsigned carry = add;

	for (size_t i = 0; i < n; i++) {
		carry += num[i] * mul;
		num[i] = (uint8_t)(carry % base);
		carry /= base;
	}
	while (carry) {
		num[n++] = (uint8_t)(carry % base);
		carry /= base;
	}
	return n;
}

ptrdiff_t pv_base58_encode(struct str in, char *out)
{
	size_t zeros = 0, n = 0;
	uint8_t *num = (uint8_t *)out; /* digits grow in place, then are turned round */

	if (in.n > BASE58_IN_MAX)
		return -EMSGSIZE;
	while (zeros < in.n && in.s[zeros] == 0)
		zeros++;
	for (size_t i = zeros; i < in.n; i++)
		n = big_step(num, n, 58, 256, (unsigned char)in.s[i]);
	for (size_t i = 0; i < n / 2; i++) {
		uint8_t t = num[i];

		num[i] = num[n - 1 - i];
		num[n - 1 - i] = t;
	}
	memmove(out + zeros, out, n);
	for (size_t i = 0; i < n; i++)
		out[zeros + i] = set58[(uint8_t)out[zeros + i]];
	memset(out, '1', zeros);
	return (ptrdiff_t)(zeros + n);
}

ptrdiff_t pv_base58_decode(struct str in, char *out)
{
	size_t zeros = 0, n = 0;
	uint8_t *num = (uint8_t *)out;

	if (in.n > BASE58_IN_MAX)
		return -EMSGSIZE;
	while (zeros < in.n && in.s[zeros] == '1')
		zeros++;
	for (size_t i = zeros; i < in.n; i++) {
		const char *at = in.s[i] ? strchr(set58, in.s[i]) : NULL;

		if (!at)
			return -EBADMSG;
		n = big_step(num, n, 256, 58, (unsigned)(at - set58));
	}
	for (size_t i = 0; i < n / 2; i++) {
		uint8_t t = num[i];

		num[i] = num[n - 1 - i];
		num[n - 1 - i] = t;
	}
	memmove(out + zeros, out, n);
	memset(out, 0, zeros);
	return (ptrdiff_t)(zeros + n);
}

/* ---- GSM 03.38: eight 7-bit characters in seven bytes, least significant bits first; the bytes as upper-case hex ---- */

static size_t hex_byte(char *out, unsigned byte)
{
	static const char digits[] = "0123456789ABCDEF";

	out[0] = digits[byte >> 4 & 15];
	out[1] = digits[byte & 15];
	return 2;
}

ptrdiff_t pv_7bit_encode(struct str in, char *out)
{
	unsigned acc = 0, bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		acc |= ((unsigned)in.s[i] & 0x7f) << bits;
		bits += 7;
		if (bits >= 8) {
			n += hex_byte(out + n, acc);
			acc >>= 8;
			bits -= 8;
		}
	}
	if (bits > 0)
		n += hex_byte(out + n, acc);
	return (ptrdiff_t)n;
}

ptrdiff_t pv_7bit_decode(struct str in, char *out)
{
	unsigned acc = 0, bits = 0;
	size_t n = 0;

	if (in.n % 2 != 0)
		return -EBADMSG;
	for (size_t i = 0; i < in.n; i += 2) {
		int hi = num_hex_digit(in.s[i]), lo = num_hex_digit(in.s[i + 1]);

		if (hi < 0 || lo < 0)
			return -EBADMSG;
		acc |= (unsigned)(hi << 4 | lo) << bits;
		bits += 8;
		while (bits >= 7) {
			out[n++] = (char)(acc & 0x7f);
			acc >>= 7;
			bits -= 7;
		}
	}
	if (n > 0 && in.n % 14 == 0 && out[n - 1] == 0) /* seven bits of filling at the end */
		n--;
	return (ptrdiff_t)n;
}

/* ---- escapes ---- */

ptrdiff_t pv_common_escape(struct str in, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.s[i];

		if (c == '\'' || c == '"' || c == '\\' || c == '\0')
			out[n++] = '\\';
		out[n++] = c == '\0' ? '0' : c;
	}
	return (ptrdiff_t)n;
}

ptrdiff_t pv_common_unescape(struct str in, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char e = i + 1 < in.n ? in.s[i + 1] : ' ';

		if (in.s[i] == '\\' && (e == '\'' || e == '"' || e == '\\' || e == '0')) {
			out[n++] = e == '0' ? '\0' : e;
			i++;
		} else {
			out[n++] = in.s[i];
		}
	}
	return (ptrdiff_t)n;
}

ptrdiff_t pv_crlf_escape(struct str in, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (in.s[i] == '\r' || in.s[i] == '\n') {
			out[n++] = '\\';
			out[n++] = in.s[i] == '\r' ? 'r' : 'n';
		} else {
			out[n++] = in.s[i];
		}
	}
	return (ptrdiff_t)n;
}

ptrdiff_t pv_crlf_unescape(struct str in, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (in.s[i] == '\\' && i + 1 < in.n && (in.s[i + 1] == 'r' || in.s[i + 1] == 'n')) {
			out[n++] = in.s[i + 1] == 'r' ? '\r' : '\n';
			i++;
		} else {
			out[n++] = in.s[i];
		}
	}
	return (ptrdiff_t)n;
}

/* All but what `plain` says as %XX. */
static ptrdiff_t percent(struct str in, char *out, unsigned plain, bool plus)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.s[i];

		if (plus && c == ' ') {
			out[n++] = '+';
		} else if (c != '%' && char_is((char)c, plain)) {
			out[n++] = (char)c;
		} else {
			out[n++] = '%';
			n += hex_byte(out + n, c);
		}
	}
	return (ptrdiff_t)n;
}

ptrdiff_t pv_user_escape(struct str in, char *out)
{
	return percent(in, out, CHARS_USER, false);
}

ptrdiff_t pv_param_escape(struct str in, char *out)
{
	return percent(in, out, CHARS_URI_PARAM, false);
}

ptrdiff_t pv_percent_unescape(struct str in, char *out)
{
	return sip_unescape(in, out);
}

ptrdiff_t pv_csv_escape(struct str in, char *out)
{
	size_t n = 0;

	out[n++] = '"';
	for (size_t i = 0; i < in.n; i++) {
		if (in.s[i] == '"')
			out[n++] = '"';
		out[n++] = in.s[i];
	}
	out[n++] = '"';
	return (ptrdiff_t)n;
}

ptrdiff_t pv_form_encode(struct str in, char *out)
{
	static const char safe[] = "-_.~";
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.s[i];

		if (c != '\0' && strchr(safe, c))
			out[n++] = c;
		else
			n += (size_t)percent(str_of(&c, 1), out + n, CHARS_ALNUM, true);
	}
	return (ptrdiff_t)n;
}

ptrdiff_t pv_form_decode(struct str in, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (in.s[i] == '+') {
			out[n++] = ' ';
		} else if (in.s[i] == '%') {
			int hi = i + 2 < in.n ? num_hex_digit(in.s[i + 1]) : -1, lo = hi < 0 ? -1 : num_hex_digit(in.s[i + 2]);

			if (lo < 0)
				return -EBADMSG;
			out[n++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			out[n++] = in.s[i];
		}
	}
	return (ptrdiff_t)n;
}
