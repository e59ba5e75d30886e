/* SPDX-License-Identifier: BSD-2-Clause */
/* {s.*} that hash, encode and decode: digests, checksums, hex, base64, escapes. */
#include <stdlib.h>

#include "core/base/base64.h"
#include "modules/pv/pv_digest.h"
#include "modules/pv/pv_trans.h"

/* ---- digests ---- */

static int s_digest(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int64_t bits = 256;
	char *out;
	size_t n;
	int err = trans_text(ctx, v, &s);

	if (err < 0)
		return err;
	if (t->n_params > 0 && (err = trans_param_int(ctx, &t->param[0], &bits)) < 0)
		return err;
	out = trans_room(ctx, 2 * PV_DIGEST_MAX);
	if (!out)
		return -ENOMEM;
	n = pv_digest_hex((enum pv_digest)t->def->arg, (unsigned)bits, s, out);
	return n == 0 ? -EINVAL : trans_set_str(v, str_of(out, n));
}

static int prep_bits(struct pool *pool, struct pv_trans *t, struct diag *reterr)
{
	int64_t b = t->n_params > 0 ? t->param[0].i : 256;

	(void)pool;
	if (t->n_params > 0 && (t->param[0].kind != TRANS_P_NUM || (b != 256 && b != 384 && b != 512)))
		return diag_set(reterr, 0, "{%s.%s}: 256, 384 or 512 bits", t->def->cls, t->def->name);
	return 0;
}

static int s_crc32(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	struct str s;
	int err = trans_text(ctx, v, &s);

	(void)t;
	return err < 0 ? err : trans_set_int(v, pv_crc32(s));
}

/*
 * Scripts pick servers by it, so it must give the same everywhere: big-endian words of four bytes and the rest, each mixed with
 * itself and summed, the sum's upper bits folded in (found from, and checked against, what Kamailio prints). As decimal text.
 */
static int s_corehash(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	uint32_t h = 0, word = 0;
	int64_t size = 0;
	struct str s;
	int err = trans_text(ctx, v, &s);

	if (err < 0)
		return err;
	if (t->n_params > 0 && (err = trans_param_int(ctx, &t->param[0], &size)) < 0)
		return err;
	for (size_t i = 0; i < s.n; i++) {
		word = word << 8 | (unsigned char)s.s[i];
		if (i % 4 == 3 || i + 1 == s.n) {
			h += word ^ word >> 3;
			word = 0;
		}
	}
	h += (h >> 11) + (h >> 13) + (h >> 23);
	if (size > 0 && size <= UINT32_MAX && (size & (size - 1)) == 0)
		h &= (uint32_t)size - 1;
	*v = value_int(h);
	err = trans_text(ctx, v, &s);
	return err < 0 ? err : trans_set_str(v, s);
}

/* ---- encodings ---- */

/* One function turns text into text; the room it needs is told by a ratio and a rest. */
typedef ptrdiff_t codec_fn(struct str in, char *out);

static const struct codec {
	codec_fn *fn;
	unsigned mul, add;
} codecs[] = {
	{ pv_hex_encode, 2, 0 },      { pv_hex_decode, 1, 0 },       { base64_encode, 2, 4 },   { base64_decode, 1, 3 },
	{ base64t_encode, 2, 4 },  { base64url_encode, 2, 4 }, { base64urlt_encode, 2, 4 }, { base64url_decode, 1, 3 },
	{ pv_base58_encode, 2, 4 },   { pv_base58_decode, 1, 1 },    { pv_7bit_encode, 2, 2 },     { pv_7bit_decode, 1, 1 },
	{ pv_common_escape, 2, 0 },   { pv_common_unescape, 1, 0 },  { pv_crlf_escape, 2, 0 },     { pv_crlf_unescape, 1, 0 },
	{ pv_user_escape, 3, 0 },     { pv_percent_unescape, 1, 0 }, { pv_param_escape, 3, 0 },    { pv_csv_escape, 2, 2 },
	{ pv_form_encode, 3, 0 },     { pv_form_decode, 1, 0 },
};
enum codec_no {
	K_HEX_E, K_HEX_D, K_B64_E, K_B64_D, K_B64T_E, K_B64U_E, K_B64UT_E, K_B64U_D, K_B58_E, K_B58_D, K_7_E, K_7_D, K_COMMON_E, K_COMMON_D,
	K_CRLF_E, K_CRLF_D, K_USER_E, K_PCT_D, K_PARAM_E, K_CSV_E, K_FORM_E, K_FORM_D
};

static int s_codec(struct ctx *ctx, const struct pv_trans *t, struct value *v)
{
	const struct codec *k = &codecs[t->def->arg];
	struct str s;
	char *out;
	ptrdiff_t n;
	int err = trans_text(ctx, v, &s);

	if (err < 0)
		return err;
	if (s.n > TRANS_RESULT_MAX)
		return -EMSGSIZE;
	out = pool_alloc(ctx->pool, s.n * k->mul + k->add + 1);
	if (!out)
		return -ENOMEM;
	n = k->fn(s, out);
	return n < 0 ? (int)n : trans_set_str(v, str_of(out, (size_t)n));
}

#define S(name_, fn_, ...) { .cls = "s", .name = name_, .fn = fn_, __VA_ARGS__ }
#define CODEC(name_, no_) { .cls = "s", .name = name_, .fn = s_codec, .arg = no_ }
#define P(min_, max_) .min_params = (min_), .max_params = (max_)
/* clang-format off */
const struct trans_def pv_trans_code[] = {
	S("md5",        s_digest, .arg = PV_MD5),
	S("sha1",       s_digest, .arg = PV_SHA1),
	S("sha256",     s_digest, .arg = PV_SHA256),
	S("sha384",     s_digest, .arg = PV_SHA384),
	S("sha512",     s_digest, .arg = PV_SHA512),
	S("sha3",       s_digest, P(0, 1), .prepare = prep_bits, .arg = PV_SHA3),
	S("keccak",     s_digest, P(0, 1), .prepare = prep_bits, .arg = PV_KECCAK),
	S("crc32",      s_crc32, .arg = 0),
	S("corehash",   s_corehash, P(0, 1), .prepare = pv_prep_num0),
	CODEC("encode.hexa",       K_HEX_E),
	CODEC("decode.hexa",       K_HEX_D),
	CODEC("encode.base64",     K_B64_E),
	CODEC("decode.base64",     K_B64_D),
	CODEC("encode.base64t",    K_B64T_E),
	CODEC("decode.base64t",    K_B64_D),
	CODEC("encode.base64url",  K_B64U_E),
	CODEC("decode.base64url",  K_B64U_D),
	CODEC("encode.base64urlt", K_B64UT_E),
	CODEC("decode.base64urlt", K_B64U_D),
	CODEC("encode.base58",     K_B58_E),
	CODEC("decode.base58",     K_B58_D),
	CODEC("encode.7bit",       K_7_E),
	CODEC("decode.7bit",       K_7_D),
	CODEC("escape.common",     K_COMMON_E),
	CODEC("unescape.common",   K_COMMON_D),
	CODEC("escape.crlf",       K_CRLF_E),
	CODEC("unescape.crlf",     K_CRLF_D),
	CODEC("escape.user",       K_USER_E),
	CODEC("unescape.user",     K_PCT_D),
	CODEC("escape.param",      K_PARAM_E),
	CODEC("unescape.param",    K_PCT_D),
	CODEC("escape.csv",        K_CSV_E),
	CODEC("urlencode.param",   K_FORM_E),
	CODEC("urldecode.param",   K_FORM_D),
	{ .cls = NULL },
};
/* clang-format on */
