/* SPDX-License-Identifier: BSD-2-Clause */
/* The header fields we know by name; all others are SIP_H_OTHER and pass untouched. One line each in header.c. */
#ifndef RF_SIP_HEADER_H
#define RF_SIP_HEADER_H

#include "core/base/str.h"

enum sip_header {
	SIP_H_OTHER, SIP_H_VIA, SIP_H_FROM, SIP_H_TO, SIP_H_CALL_ID, SIP_H_CSEQ, SIP_H_CONTACT, SIP_H_MAX_FORWARDS, SIP_H_ROUTE,
	SIP_H_RECORD_ROUTE, SIP_H_CONTENT_LENGTH, SIP_H_CONTENT_TYPE, SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION,
	SIP_H_WWW_AUTHENTICATE, SIP_H_PROXY_AUTHENTICATE, SIP_H_EXPIRES, SIP_H_MIN_EXPIRES, SIP_H_ALLOW, SIP_H_SUPPORTED, SIP_H_REQUIRE,
	SIP_H_PROXY_REQUIRE, SIP_H_UNSUPPORTED, SIP_H_USER_AGENT, SIP_H_SERVER, SIP_H_PATH, SIP_H_EVENT, SIP_H_ACCEPT,
	SIP_H_ACCEPT_LANGUAGE, SIP_H_ACCEPT_ENCODING, SIP_H_ORGANIZATION, SIP_H_PRIORITY, SIP_H_SUBJECT, SIP_H_DATE, SIP_H_DIVERSION,
	SIP_H_P_ASSERTED_IDENTITY, SIP_H_P_PREFERRED_IDENTITY, SIP_H_REMOTE_PARTY_ID, SIP_H_PRIVACY, SIP_H_REFER_TO, SIP_H_REASON,
	SIP_H_SESSION_EXPIRES, SIP_H_MIN_SE, SIP_H_RACK, SIP_H_RSEQ, SIP_H_SIP_IF_MATCH, SIP_H_IDENTITY, SIP_H_IDENTITY_INFO,
	SIP_H_RETRY_AFTER, SIP_H_WARNING, SIP_H_SUBSCRIPTION_STATE, SIP_H_REPLACES, SIP_H_CONTENT_DISPOSITION,
	SIP_N_HEADERS
};

/* Case-insensitive, compact forms too ("v", "f", "i" ...). */
enum sip_header sip_header_lookup(struct str name);
const char *sip_header_name(enum sip_header h); /* "Via"; "" for SIP_H_OTHER */
/* Same header: equal ids when known, else equal names ignoring case. */
bool sip_header_is(struct str name, struct str wanted);

#endif
