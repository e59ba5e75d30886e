/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A received message: views over its bytes. One pass finds start line, header fields and body; values are
 * parsed when somebody asks, and kept. Bytes and pool must outlive the message.
 */
#ifndef RF_SIP_MSG_H
#define RF_SIP_MSG_H

#include "core/base/pool.h"
#include "core/sip/addr.h"
#include "core/sip/auth.h"
#include "core/sip/cseq.h"
#include "core/sip/header.h"
#include "core/sip/method.h"
#include "core/sip/via.h"

#define SIP_MSG_HEADERS_MAX 512u
#define SIP_MSG_MIN_BYTES 32u

enum sip_msg_kind { SIP_REQUEST = 1, SIP_REPLY = 2 };

/* What the parser and the framing take besides SIP as it is written; parameters of the core. */
enum sip_rules {
	SIP_HTTP_REPLIES = 1, /* http_reply_parse: a start line HTTP/DIGIT[.DIGIT] SP 3DIGIT SP reason begins a reply, too */
	SIP_REPEATS = 2       /* sip_parser_mode 0: of Call-ID, CSeq, From, To and (in datagrams) Content-Length the first counts, others are passed over */
};
/* Context: start-up, and a process between two messages. None at first. */
void sip_msg_rules(unsigned rules);

struct sip_hdr {
	struct str name;   /* as received */
	struct str value;  /* trimmed; folding kept */
	uint32_t off, len; /* the whole field with its CRLF, in msg->buf */
	enum sip_header id;
	uint16_t next;     /* index + 1 of the next field with the same id (not for SIP_H_OTHER); 0: none */
};

struct sip_msg {
	struct str buf;           /* the whole message */
	enum sip_msg_kind kind;
	struct str first_line;    /* without CRLF */
	enum sip_method method;   /* request: its own; reply: 0 */
	struct str method_name;
	struct str ruri;          /* request; bytes as received */
	struct str version;
	uint16_t status;          /* reply */
	struct str reason;
	uint32_t headers_off;     /* start of the first header field */
	uint32_t headers_end;     /* the empty line: where another field can be put in */
	uint32_t body_off;        /* first byte behind the empty line */
	struct sip_hdr *hdrs;
	uint16_t n_hdrs;
	uint16_t first[SIP_N_HEADERS], last[SIP_N_HEADERS]; /* index + 1; 0: none */
	struct str body;          /* as long as Content-Length says, or the rest of the datagram */
	bool bad_version;         /* a request with another version than SIP/2.0: answer 505 instead of 400 */
	bool has_content_length;
	uint32_t content_length;
	uint32_t extra_bytes;     /* received behind the body (datagrams): to be ignored, RFC 3261, 18.3 */
	struct pool *pool;
	uint32_t parsed;          /* bits: which of the caches below were tried, and which hold a result */
	struct sip_uri ruri_c;    /* first of the caches: a reset of a context clears up to here */
	struct sip_via via1_c, via2_c;
	struct sip_addr from_c, to_c;
	struct sip_addr contact_c; /* first value of the first Contact */
	struct sip_cseq cseq_c;
};

/*
 * Parses start line and header fields of one complete message (datagram, or what sip_frame cut out).
 * pool: for the header table. ret_msg: the caller's memory (a context reuses it; need not be cleared).
 * CRLFs before the start line are skipped (buf starts behind them).
 * Returns 0; -EBADMSG (not SIP, a broken start or field line, a bad Content-Length) with position and a reason that
 * holds no bytes of the message and can stand in "400 <reason>"; -EMSGSIZE over SIP_MSG_HEADERS_MAX fields or pool limits.
 * On failure ret_msg holds what was found up to there, enough for sip_msg_answerable() and sip_build_reply();
 * bad_version then asks for 505.
 */
MUST_CHECK int sip_msg_parse(struct pool *pool, struct str bytes, struct sip_msg *ret_msg, struct diag *reterr);
/* Checks what every message needs before the script sees it: Via, Call-ID, CSeq (matching the method), From, To present,
 * single (but for SIP_REPEATS) and parseable, no more Content-Length than bytes; of requests also the Request-URI (any scheme will do: 416 is the
 * script's), Max-Forwards in 0 to 255 when present, and the Contacts of a REGISTER.
 * Returns 0, or -EBADMSG with the reason phrase for a 400 in reterr. */
MUST_CHECK int sip_msg_check(struct sip_msg *msg, struct diag *reterr);
/* A failed message that still is a request (not ACK) with a top Via that tells where a reply goes. A reply copies
 * From, To, Call-ID and CSeq as far as they are there (RFC 4475, 3.3.1). Safe after any result of sip_msg_parse(). */
bool sip_msg_answerable(struct sip_msg *msg);

/* First field of an id; NULL when absent. */
const struct sip_hdr *sip_msg_hdr(const struct sip_msg *msg, enum sip_header id);
const struct sip_hdr *sip_msg_hdr_next(const struct sip_msg *msg, const struct sip_hdr *hdr);
/* By name (compact and case variants); n-th field from 0, negative from the last. NULL when absent. */
const struct sip_hdr *sip_msg_hdr_named(const struct sip_msg *msg, struct str name, int n);
unsigned sip_msg_hdr_count(const struct sip_msg *msg, struct str name);

/* On demand, kept in the message. NULL when absent or unparsable. */
const struct sip_uri *sip_msg_ruri(struct sip_msg *msg);
const struct sip_via *sip_msg_via1(struct sip_msg *msg);
const struct sip_via *sip_msg_via2(struct sip_msg *msg); /* second value, same field or next */
const struct sip_addr *sip_msg_from(struct sip_msg *msg);
const struct sip_addr *sip_msg_to(struct sip_msg *msg);
const struct sip_cseq *sip_msg_cseq(struct sip_msg *msg);
struct str sip_msg_call_id(const struct sip_msg *msg);
/* Walks the values of all fields of an id, splitting comma lists. Start with *it = 0 zeroed. Returns 1, 0, -EBADMSG. */
struct sip_addr_iter {
	const struct sip_hdr *hdr;
	struct str rest;
	bool started;
};
MUST_CHECK int sip_msg_addr_next(const struct sip_msg *msg, enum sip_header id, struct sip_addr_iter *it, struct sip_addr *ret_addr);

#endif
