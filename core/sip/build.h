/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes messages out: sizes are computed first, then the pieces are gathered once, into memory that
 * the caller chose (a transaction's buffer, a send batch).
 */
#ifndef RF_SIP_BUILD_H
#define RF_SIP_BUILD_H

#include <sys/uio.h>

#include "core/sip/edit.h"

struct sip_out {
	struct iovec *iov; /* in the message's pool */
	unsigned n_iov, cap;
	size_t bytes;
};

/* What the top Via is told about where its message came from (RFC 3261, 18.2.1; RFC 3581). A parameter that is there gets the new value. */
struct sip_via_source {
	struct str received; /* address, IPv6 as the caller wants it written; n 0: nothing is told */
	uint16_t rport;      /* 0: not told */
	struct str params;   /* further parameters with their ';'; n 0: none */
};

/* What a forwarded request gets; every str without CRLF unless said. */
struct sip_forward {
	struct str ruri;        /* n 0: as received */
	struct str via;         /* whole field "Via: SIP/2.0/UDP ...\r\n", put before all others */
	struct str extra;       /* whole fields with CRLF, put behind own Via (Record-Route, Route set ...) */
	struct sip_via_source source;
	bool via_alone;         /* the received Via fields are left out */
};

/*
 * The request with edits applied: start line with the new Request-URI (single spaces, "SIP/2.0"), own Via, edits,
 * Content-Length corrected when the body changed (added on streams when absent: need_cl), body.
 * Returns 0; -ENOMEM; -EMSGSIZE when longer than 65535 bytes. Pieces live as long as msg->buf and pool.
 */
MUST_CHECK int sip_build_request(struct pool *pool, struct sip_msg *msg, const struct sip_edits *edits, const struct sip_forward *fwd, bool need_cl, struct sip_out *ret_out);
/* A received reply with its top Via value removed and edits applied. new_status 0: as received. */
MUST_CHECK int sip_build_relayed_reply(struct pool *pool, struct sip_msg *msg, const struct sip_edits *edits, uint16_t new_status, struct str new_reason, bool need_cl, struct sip_out *ret_out);

/* The message with its edits and nothing else, as one text in pool: what a script reads again of its own changes. ruri n 0: as
 * received. Returns 0, -ENOMEM, -EMSGSIZE. */
MUST_CHECK int sip_build_edited(struct pool *pool, struct sip_msg *msg, const struct sip_edits *edits, struct str ruri, struct str *ret_bytes);

struct sip_reply_opts {
	uint16_t status;
	struct str reason;
	struct str to_tag;      /* added when the request's To has none and status > 100 */
	struct sip_via_source source;
	struct str extra;       /* whole fields with CRLF (Contact, WWW-Authenticate, Server ...) */
	struct str body;        /* n 0: none */
	struct str content_type; /* of body */
	bool record_routes;     /* copy Record-Route (18x and 2xx that make a dialog) */
};

/* A local reply to msg (RFC 3261, 8.2.6): Via fields, From, To, Call-ID, CSeq copied, Content-Length added. */
MUST_CHECK int sip_build_reply(struct pool *pool, struct sip_msg *msg, const struct sip_reply_opts *opts, struct sip_out *ret_out);

/*
 * ACK for a non-2xx, or CANCEL, of a branch (RFC 3261, 17.1.1.3 and 9.1), from the INVITE bytes that were sent:
 * same Request-URI, top Via, Route, From, Call-ID, CSeq number; To of the reply (ACK) or of the INVITE (CANCEL); Max-Forwards 70.
 * to: whole To value of the reply for ACK; n 0 for CANCEL. extra: whole fields with CRLF.
 */
MUST_CHECK int sip_build_local(struct pool *pool, struct str sent_invite, enum sip_method method, struct str to, struct str extra, struct sip_out *ret_out);
/* Copies the pieces into out (ret_out->bytes long). */
void sip_out_copy(const struct sip_out *out, char *dst);

#endif
