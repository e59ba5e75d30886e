/* SPDX-License-Identifier: BSD-2-Clause */
/* Digests and encodings behind the transformations: bytes in, bytes out, no message in sight. */
#ifndef RF_MODULE_PV_DIGEST_H
#define RF_MODULE_PV_DIGEST_H

#include "core/base/str.h"

#define PV_DIGEST_MAX 64u /* bytes of the longest digest */
enum pv_digest { PV_MD5, PV_SHA1, PV_SHA256, PV_SHA384, PV_SHA512, PV_SHA3, PV_KECCAK };

/* Lower-case hex into out (2 * PV_DIGEST_MAX bytes). bits: PV_SHA3 and PV_KECCAK, 256 384 512. Returns the length; 0: no such size. */
size_t pv_digest_hex(enum pv_digest d, unsigned bits, struct str in, char *out);
uint32_t pv_crc32(struct str in);

/* Each writes to out, which has room for the worst case (pv_trans.c's table), and returns the length or -EBADMSG, -EMSGSIZE. */
ptrdiff_t pv_hex_encode(struct str in, char *out);
ptrdiff_t pv_hex_decode(struct str in, char *out);
ptrdiff_t pv_base58_encode(struct str in, char *out);
ptrdiff_t pv_base58_decode(struct str in, char *out);
ptrdiff_t pv_7bit_encode(struct str in, char *out);
ptrdiff_t pv_7bit_decode(struct str in, char *out);
ptrdiff_t pv_common_escape(struct str in, char *out);
ptrdiff_t pv_common_unescape(struct str in, char *out);
ptrdiff_t pv_crlf_escape(struct str in, char *out);
ptrdiff_t pv_crlf_unescape(struct str in, char *out);
ptrdiff_t pv_user_escape(struct str in, char *out);
ptrdiff_t pv_param_escape(struct str in, char *out);
ptrdiff_t pv_percent_unescape(struct str in, char *out);
ptrdiff_t pv_csv_escape(struct str in, char *out);
ptrdiff_t pv_form_encode(struct str in, char *out);
ptrdiff_t pv_form_decode(struct str in, char *out);

#endif
