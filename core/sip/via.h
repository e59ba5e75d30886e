/* SPDX-License-Identifier: BSD-2-Clause */
/* Via (RFC 3261, 20.42; RFC 3581 rport). */
#ifndef RF_SIP_VIA_H
#define RF_SIP_VIA_H

#include "core/sip/uri.h"

struct sip_via {
	struct str text;      /* this value alone, trimmed */
	struct str version;   /* "SIP/2.0" */
	struct str transport; /* "UDP" */
	enum sip_proto proto; /* SIP_PROTO_NONE when unknown */
	struct str host;      /* IPv6 without brackets */
	bool host_v6;
	uint16_t port;        /* 0 when absent */
	struct str params;    /* without the first ';' */
	struct str branch, received, maddr, ttl, alias;
	struct str rport;     /* value */
	struct str received_param, rport_param; /* name and value, as they stand there */
	bool has_rport, has_alias;
	bool magic;           /* branch starts with z9hG4bK and has more after it */
};

MUST_CHECK int sip_via_parse(struct str in, struct sip_via *ret_via, struct diag *reterr);
/* Takes the next value off a comma-separated Via body. Returns 1, 0, -EBADMSG. */
MUST_CHECK int sip_via_next(struct str *rest, struct sip_via *ret_via, struct diag *reterr);

#endif
