/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of header fields, one line each: number, name, and the three things that its hash is made
 * of (length, first and last letter). The hash is perfect over the list: the compiler warns of a
 * collision (test_header looks every name up, too), and then the factors in HASH() need new values.
 * One table read and one comparison of at most 24 bytes decide, since every field of every message
 * comes here.
 */
#include "core/sip/header.h"
#include "core/sip/sip_priv.h"

#define HASH(n, first, last) (uint8_t)((n)*11u + (first)*169u + (last))

/* clang-format off */
#define HEADERS(X) \
	/* number                  name                     n  first last */ \
	X(VIA,                     "Via",                   3, 'v', 'a') \
	X(FROM,                    "From",                  4, 'f', 'm') \
	X(TO,                      "To",                    2, 't', 'o') \
	X(CALL_ID,                 "Call-ID",               7, 'c', 'd') \
	X(CSEQ,                    "CSeq",                  4, 'c', 'q') \
	X(CONTACT,                 "Contact",               7, 'c', 't') \
	X(MAX_FORWARDS,            "Max-Forwards",         12, 'm', 's') \
	X(ROUTE,                   "Route",                 5, 'r', 'e') \
	X(RECORD_ROUTE,            "Record-Route",         12, 'r', 'e') \
	X(CONTENT_LENGTH,          "Content-Length",       14, 'c', 'h') \
	X(CONTENT_TYPE,            "Content-Type",         12, 'c', 'e') \
	X(AUTHORIZATION,           "Authorization",        13, 'a', 'n') \
	X(PROXY_AUTHORIZATION,     "Proxy-Authorization",  19, 'p', 'n') \
	X(WWW_AUTHENTICATE,        "WWW-Authenticate",     16, 'w', 'e') \
	X(PROXY_AUTHENTICATE,      "Proxy-Authenticate",   18, 'p', 'e') \
	X(EXPIRES,                 "Expires",               7, 'e', 's') \
	X(MIN_EXPIRES,             "Min-Expires",          11, 'm', 's') \
	X(ALLOW,                   "Allow",                 5, 'a', 'w') \
	X(SUPPORTED,               "Supported",             9, 's', 'd') \
	X(REQUIRE,                 "Require",               7, 'r', 'e') \
	X(PROXY_REQUIRE,           "Proxy-Require",        13, 'p', 'e') \
	X(UNSUPPORTED,             "Unsupported",          11, 'u', 'd') \
	X(USER_AGENT,              "User-Agent",           10, 'u', 't') \
	X(SERVER,                  "Server",                6, 's', 'r') \
	X(PATH,                    "Path",                  4, 'p', 'h') \
	X(EVENT,                   "Event",                 5, 'e', 't') \
	X(ACCEPT,                  "Accept",                6, 'a', 't') \
	X(ACCEPT_LANGUAGE,         "Accept-Language",      15, 'a', 'e') \
	X(ACCEPT_ENCODING,         "Accept-Encoding",      15, 'a', 'g') \
	X(ORGANIZATION,            "Organization",         12, 'o', 'n') \
	X(PRIORITY,                "Priority",              8, 'p', 'y') \
	X(SUBJECT,                 "Subject",               7, 's', 't') \
	X(DATE,                    "Date",                  4, 'd', 'e') \
	X(DIVERSION,               "Diversion",             9, 'd', 'n') \
	X(P_ASSERTED_IDENTITY,     "P-Asserted-Identity",  19, 'p', 'y') \
	X(P_PREFERRED_IDENTITY,    "P-Preferred-Identity", 20, 'p', 'y') \
	X(REMOTE_PARTY_ID,         "Remote-Party-ID",      15, 'r', 'd') \
	X(PRIVACY,                 "Privacy",               7, 'p', 'y') \
	X(REFER_TO,                "Refer-To",              8, 'r', 'o') \
	X(REASON,                  "Reason",                6, 'r', 'n') \
	X(SESSION_EXPIRES,         "Session-Expires",      15, 's', 's') \
	X(MIN_SE,                  "Min-SE",                6, 'm', 'e') \
	X(RACK,                    "RAck",                  4, 'r', 'k') \
	X(RSEQ,                    "RSeq",                  4, 'r', 'q') \
	X(SIP_IF_MATCH,            "SIP-If-Match",         12, 's', 'h') \
	X(IDENTITY,                "Identity",              8, 'i', 'y') \
	X(IDENTITY_INFO,           "Identity-Info",        13, 'i', 'o') \
	X(RETRY_AFTER,             "Retry-After",          11, 'r', 'r') \
	X(WARNING,                 "Warning",               7, 'w', 'g') \
	X(SUBSCRIPTION_STATE,      "Subscription-State",   18, 's', 'e') \
	X(REPLACES,                "Replaces",              8, 'r', 's') \
	X(CONTENT_DISPOSITION,     "Content-Disposition",  19, 'c', 'n') \
	X(CONTENT_ENCODING,        "Content-Encoding",     16, 'c', 'g') \
	X(REFERRED_BY,             "Referred-By",          11, 'r', 'y') \
	X(ALLOW_EVENTS,            "Allow-Events",         12, 'a', 's') \
	X(ACCEPT_CONTACT,          "Accept-Contact",       14, 'a', 't') \
	X(REJECT_CONTACT,          "Reject-Contact",       14, 'r', 't') \
	X(REQUEST_DISPOSITION,     "Request-Disposition",  19, 'r', 'n') \
	X(TIMESTAMP,               "Timestamp",             9, 't', 'p') \
	X(SIP_ETAG,                "SIP-ETag",              8, 's', 'g') \
	X(MIME_VERSION,            "MIME-Version",         12, 'm', 'n')

static const uint8_t by_hash[256] = {
#define X(id, name, n, first, last) [HASH(n, first, last)] = SIP_H_##id,
	HEADERS(X)
#undef X
};

/* Compact forms; the IANA registry holds no others. */
static const uint8_t by_letter[26] = {
	['v' - 'a'] = SIP_H_VIA,
	['f' - 'a'] = SIP_H_FROM,
	['t' - 'a'] = SIP_H_TO,
	['i' - 'a'] = SIP_H_CALL_ID,
	['m' - 'a'] = SIP_H_CONTACT,
	['l' - 'a'] = SIP_H_CONTENT_LENGTH,
	['c' - 'a'] = SIP_H_CONTENT_TYPE,
	['k' - 'a'] = SIP_H_SUPPORTED,
	['o' - 'a'] = SIP_H_EVENT,
	['s' - 'a'] = SIP_H_SUBJECT,
	['r' - 'a'] = SIP_H_REFER_TO,
	['x' - 'a'] = SIP_H_SESSION_EXPIRES,
	['y' - 'a'] = SIP_H_IDENTITY,
	['n' - 'a'] = SIP_H_IDENTITY_INFO,
	['e' - 'a'] = SIP_H_CONTENT_ENCODING,
	['b' - 'a'] = SIP_H_REFERRED_BY,
	['u' - 'a'] = SIP_H_ALLOW_EVENTS,
	['a' - 'a'] = SIP_H_ACCEPT_CONTACT,
	['j' - 'a'] = SIP_H_REJECT_CONTACT,
	['d' - 'a'] = SIP_H_REQUEST_DISPOSITION,
};

static const struct {
	char name[31]; /* as written by us; the size makes the struct a power of two */
	uint8_t n;
} names[SIP_N_HEADERS] = {
#define X(id, name, n, first, last) [SIP_H_##id] = { name, n },
	HEADERS(X)
#undef X
};
/* clang-format on */

enum sip_header sip_header_lookup(struct str name)
{
	unsigned id;

	if (name.n < 2) {
		id = name.n == 1 ? ((unsigned char)name.s[0] | 0x20u) - 'a' : 26;
		return id < 26 ? (enum sip_header)by_letter[id] : SIP_H_OTHER;
	}
	if (name.n > 20)
		return SIP_H_OTHER;
	id = by_hash[HASH((unsigned)name.n, (unsigned char)name.s[0] | 0x20u,
	                  (unsigned char)name.s[name.n - 1] | 0x20u)];
	if (id == 0 || names[id].n != name.n || !sip_same_name(name.s, names[id].name, name.n, true))
		return SIP_H_OTHER;
	return (enum sip_header)id;
}

const char *sip_header_name(enum sip_header h)
{
	return (unsigned)h < SIP_N_HEADERS ? names[h].name : "";
}

bool sip_header_is(struct str name, struct str wanted)
{
	enum sip_header a = sip_header_lookup(name);

	if (a != sip_header_lookup(wanted))
		return false;
	return a != SIP_H_OTHER || str_ieq(name, wanted);
}
