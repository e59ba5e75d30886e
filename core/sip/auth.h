/* SPDX-License-Identifier: BSD-2-Clause */
/* Digest credentials (RFC 3261, 25.1; RFC 7616; RFC 8760). */
#ifndef RF_SIP_AUTH_H
#define RF_SIP_AUTH_H

#include "core/base/diag.h"
#include "core/base/str.h"

struct sip_credentials {
	struct str scheme;  /* "Digest" */
	bool is_digest;     /* other schemes: the fields below are empty */
	struct str username, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc; /* unquoted views */
	struct str user, domain; /* username split at '@'; domain n 0 when there is none */
};

/* Unknown schemes parse with is_digest false. Returns 0 or -EBADMSG. */
MUST_CHECK int sip_credentials_parse(struct str in, struct sip_credentials *ret_cred, struct diag *reterr);

#endif
