/* SPDX-License-Identifier: BSD-2-Clause */
/* SIP, SIPS and tel URIs (RFC 3261, 19.1 and 25.1; RFC 3966; RFC 5118 for IPv6). */
#ifndef RF_SIP_URI_H
#define RF_SIP_URI_H

#include "core/sip/param.h"

enum sip_scheme { SIP_URI_SIP = 1, SIP_URI_SIPS, SIP_URI_TEL, SIP_URI_TELS, SIP_URI_URN, SIP_URI_OTHER };
/* Values are those of the script's protocol words. */
enum sip_proto { SIP_PROTO_NONE = 0, SIP_PROTO_UDP = 1, SIP_PROTO_TCP, SIP_PROTO_TLS, SIP_PROTO_SCTP, SIP_PROTO_WS, SIP_PROTO_WSS };

struct sip_uri {
	enum sip_scheme scheme;
	struct str text;        /* the whole URI */
	struct str scheme_text; /* "sip" */
	struct str user;        /* as written, escapes kept; tel: the number */
	struct str user_params; /* of a telephone number in the user part, without the first ';': see sip_uri_phone2tel() */
	struct str password;
	struct str host;        /* IPv6 without brackets, see host_v6 */
	struct str port_text;
	struct str params;      /* without the first ';' */
	struct str headers;     /* without the '?' */
	struct str transport;   /* value of the transport parameter */
	enum sip_proto proto;   /* of it; SIP_PROTO_NONE when absent or unknown */
	uint16_t port;          /* 0 when absent */
	bool has_user, host_v6, has_lr, has_transport;
};

/* in: the URI alone, no brackets, no surrounding space. Returns 0 or -EBADMSG. Other schemes give SIP_URI_OTHER
 * with the rest in `host`. Everything is a view into `in`. */
MUST_CHECK int sip_uri_parse(struct str in, struct sip_uri *ret_uri, struct diag *reterr);
/*
 * Whether the user part of a sip: URI with user=phone ends at its first ';', what follows being parameters of the number (RFC 3261,
 * 19.1.6). True at first; parameter phone2tel of the core.
 */
void sip_uri_phone2tel(bool on);
/* Four numbers up to 255 with dots between; leading zeros pass. */
bool sip_is_ipv4(struct str host);
/* Characters that hosts may have besides letters, digits, "-", "." and "_" (uri_host_extra_chars). Not those that end a host: the second
 * says whether all of them are allowed. Context: start-up; n 0: none. */
void sip_host_extra_chars(struct str chars);
bool sip_host_extra_allowed(struct str chars);
static inline uint16_t sip_proto_default_port(enum sip_proto proto)
{
	return proto == SIP_PROTO_TLS || proto == SIP_PROTO_WSS ? 5061 : 5060;
}
/* 5060, or 5061 for sips and transport=tls. */
uint16_t sip_uri_default_port(const struct sip_uri *uri);
/* port or its default. */
uint16_t sip_uri_port(const struct sip_uri *uri);
/* RFC 3261, 19.1.4. */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);
/* %XX decoding into out (at least in.n bytes). Returns the length, -EBADMSG for a bad escape. */
MUST_CHECK int sip_unescape(struct str in, char *out);
enum sip_proto sip_proto_lookup(struct str name);     /* case-insensitive */
const char *sip_proto_name(enum sip_proto proto);     /* "udp" */
const char *sip_proto_via_name(enum sip_proto proto); /* "UDP" */

#endif
