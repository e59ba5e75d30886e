/* SPDX-License-Identifier: BSD-2-Clause */
/* base64 in its four forms: two alphabets, with padding or without. What is read may have either. */
#include "core/base/base64.h"

#include <errno.h>

#include "core/base/scan.h"

static const char std64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static ptrdiff_t b64_encode(struct str in, char *out, const char *alphabet, bool pad)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t w = (uint32_t)(unsigned char)in.s[i] << 16;

		if (left > 1)
			w |= (uint32_t)(unsigned char)in.s[i + 1] << 8;
		if (left > 2)
			w |= (unsigned char)in.s[i + 2];
		out[n++] = alphabet[w >> 18];
		out[n++] = alphabet[w >> 12 & 63];
		if (left > 1)
			out[n++] = alphabet[w >> 6 & 63];
		else if (pad)
			out[n++] = '=';
		if (left > 2)
			out[n++] = alphabet[w & 63];
		else if (pad)
			out[n++] = '=';
	}
	return (ptrdiff_t)n;
}

/* Padding may be missing; white space between is skipped, as mailers fold. */
static ptrdiff_t b64_decode(struct str in, char *out, const char *alphabet)
{
	uint32_t w = 0;
	unsigned have = 0;
	size_t n = 0;

	while (in.n > 0 && (in.s[in.n - 1] == '=' || char_is(in.s[in.n - 1], CHARS_LWS)))
		in.n--;
	for (size_t i = 0; i < in.n; i++) {
		const char *at = in.s[i] ? strchr(alphabet, in.s[i]) : NULL;

		if (char_is(in.s[i], CHARS_LWS))
			continue;
		if (!at)
			return -EBADMSG;
		w = w << 6 | (uint32_t)(at - alphabet);
		if (++have == 4) {
			out[n++] = (char)(w >> 16);
			out[n++] = (char)(w >> 8);
			out[n++] = (char)w;
			have = 0;
			w = 0;
		}
	}
	if (have == 1)
		return -EBADMSG;
	if (have >= 2)
		out[n++] = (char)(w >> (have == 2 ? 4 : 10));
	if (have == 3)
		out[n++] = (char)(w >> 2);
	return (ptrdiff_t)n;
}

ptrdiff_t base64_encode(struct str in, char *out)
{
	return b64_encode(in, out, std64, true);
}

ptrdiff_t base64t_encode(struct str in, char *out)
{
	return b64_encode(in, out, std64, false);
}

ptrdiff_t base64_decode(struct str in, char *out)
{
	return b64_decode(in, out, std64);
}

ptrdiff_t base64url_encode(struct str in, char *out)
{
	return b64_encode(in, out, url64, true);
}

ptrdiff_t base64urlt_encode(struct str in, char *out)
{
	return b64_encode(in, out, url64, false);
}

ptrdiff_t base64url_decode(struct str in, char *out)
{
	return b64_decode(in, out, url64);
}
