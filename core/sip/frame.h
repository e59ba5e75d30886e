/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the ends of messages in a stream (RFC 3261, 18.3; CRLF keepalives of RFC 5626). Takes any
 * split: the state remembers how far it looked, so that no byte is scanned twice.
 */
#ifndef RF_SIP_FRAME_H
#define RF_SIP_FRAME_H

#include "core/base/diag.h"
#include "core/base/str.h"

struct sip_frame {
	uint32_t scanned;   /* bytes of the buffer already looked at */
	uint32_t body_off;  /* 0: header not complete */
	uint32_t total;     /* whole message, once known */
	bool half_ping;     /* the last frame was a CRLF alone: one more makes it a ping */
};

enum sip_frame_kind { SIP_FRAME_MSG, SIP_FRAME_PING /* CRLFCRLF */, SIP_FRAME_PONG /* CRLF */ };

/*
 * The state starts zeroed. A CRLF with nothing behind it is returned as a pong at once; if the next
 * frame is a CRLF too, that one is returned as a ping. So a split ping is answered once, and nothing lingers in a buffer.
 *
 * buf: the unread bytes, from the start of a message; max_bytes: the largest message taken;
 * no_cl_ok: a missing Content-Length means no body.
 * Returns the number of bytes of the first frame (> 0) with its kind; -ENODATA when more bytes are needed;
 * -EBADMSG for a conflicting, negative, overflowing or (unless no_cl_ok) missing Content-Length, or what is no SIP;
 * -EMSGSIZE when the message is or would be longer than max_bytes. After an error the stream cannot be used further;
 * f->body_off > 0 then says that the header was complete, for who wants to parse it and answer a 400.
 */
MUST_CHECK int64_t sip_frame_next(struct sip_frame *f, struct str buf, size_t max_bytes, bool no_cl_ok, enum sip_frame_kind *ret_kind, struct diag *reterr);
/* Start over, after the caller dropped the frame from its buffer. */
void sip_frame_reset(struct sip_frame *f);

#endif
