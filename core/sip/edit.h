/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes to a message before it is sent on: a list of "at offset X drop N bytes and put these in". The received
 * bytes stay as they are. Kept in order of offset; at one offset in order of insertion (or reverse, for sip_edit_before()).
 */
#ifndef RF_SIP_EDIT_H
#define RF_SIP_EDIT_H

#include "core/sip/msg.h"

struct sip_edit {
	struct sip_edit *next;
	uint32_t off, drop;  /* in msg->buf */
	struct str put;      /* lives as long as the pool */
	uint16_t tag;        /* who made it (enum sip_edit_tag): to find and undo */
	int8_t order;        /* at one offset: lower first */
};

enum sip_edit_tag { SIP_EDIT_SCRIPT, SIP_EDIT_VIA, SIP_EDIT_ROUTE, SIP_EDIT_RECORD_ROUTE, SIP_EDIT_MAXFWD, SIP_EDIT_BODY, SIP_EDIT_CONTACT, SIP_EDIT_FROM, SIP_EDIT_TO, SIP_EDIT_CREDENTIALS, SIP_EDIT_PATH,
	SIP_EDIT_STATUS };

struct sip_edits {
	struct sip_edit *head;
	uint16_t n;
	bool body_replaced;   /* new_body counts instead of the received one */
	struct str new_body;
};

/*
 * At one offset: what goes behind the bytes before it, then what goes in front of those that follow. Each in order of insertion, but SIP_ORDER_STACK, whose
 * youngest is on top (Record-Route). Removals are at 0.
 */
enum sip_edit_order { SIP_ORDER_BEHIND = -2, SIP_ORDER_STACK = -1, SIP_ORDER_FRONT = 1 };

/* Overlapping drops are merged. order: enum sip_edit_order. Returns 0, -ENOMEM, or -EINVAL when outside the message. */
MUST_CHECK int sip_edit_add(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, uint32_t off, uint32_t drop, struct str put, enum sip_edit_tag tag, int8_t order);
/* Text of whole header fields with CRLF: before the first / behind the last field, or before the first of an id (else last position). */
MUST_CHECK int sip_edit_prepend(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, struct str fields, enum sip_edit_tag tag);
MUST_CHECK int sip_edit_append(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, struct str fields, enum sip_edit_tag tag);
MUST_CHECK int sip_edit_before(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, enum sip_header id, struct str fields, enum sip_edit_tag tag);
MUST_CHECK int sip_edit_after(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, enum sip_header id, struct str fields, enum sip_edit_tag tag);
/* Removes a whole field. Removing twice is once. */
MUST_CHECK int sip_edit_remove_hdr(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, const struct sip_hdr *hdr, enum sip_edit_tag tag);
/* Replaces the value of a field, or any view into msg->buf. */
MUST_CHECK int sip_edit_replace(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, struct str view, struct str put, enum sip_edit_tag tag);
/*
 * Gives a reply another status and reason; what was set so before counts no more. msg->status and msg->reason follow.
 * code: 100 to 699, else -EINVAL; -EINVAL, too, when msg has no status line of SIP/2.0; -ENOSPC: the pool is full.
 */
MUST_CHECK int sip_edit_status(struct sip_edits *e, struct pool *pool, struct sip_msg *msg, unsigned code, struct str reason);
/* True when the field is dropped by an edit. */
bool sip_edit_hdr_removed(const struct sip_edits *e, const struct sip_hdr *hdr);
/* Drops every edit with that tag. */
void sip_edit_undo(struct sip_edits *e, enum sip_edit_tag tag);

#endif
