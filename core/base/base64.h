/* SPDX-License-Identifier: BSD-2-Clause */
/* base64 and base64url (RFC 4648, 4 and 5). */
#ifndef RF_BASE_BASE64_H
#define RF_BASE_BASE64_H

#include "core/base/str.h"

/* Room for `bytes` encoded, and for `chars` decoded. */
#define BASE64_ROOM(bytes) (((bytes) + 2u) / 3u * 4u)
#define BASE64_DECODED(chars) ((chars) / 4u * 3u + 2u)

/* Each returns the length of what it wrote; ...t: without padding. */
ptrdiff_t base64_encode(struct str in, char *out);
ptrdiff_t base64t_encode(struct str in, char *out);
ptrdiff_t base64url_encode(struct str in, char *out);
ptrdiff_t base64urlt_encode(struct str in, char *out);
/* Padding may be missing, white space is skipped. Returns the length, or -EBADMSG for a character that has no place there or a lone last one. */
ptrdiff_t base64_decode(struct str in, char *out);
ptrdiff_t base64url_decode(struct str in, char *out);

#endif
