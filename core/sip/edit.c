/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of edits: sorted by offset, insertions before removals, then by order, then by age
 * (younger first at SIP_ORDER_STACK). No two of its ranges overlap: what a later call drops on top of
 * an earlier edit is merged here, once, so that the builder is one walk. The rules, in the order
 * they are tried:
 *
 *   - an edit that lies inside what is dropped already changes nothing;
 *   - one that covers earlier edits swallows them with their texts, but not an insertion at its
 * edges;
 *   - the same range again replaces the earlier text (removing twice is once);
 *   - of a partial overlap only the part that is new is dropped.
 */
#include "core/sip/edit.h"

#include <errno.h>

#include "core/sip/sip_priv.h"

static uint32_t edit_end(const struct sip_edit *ed)
{
	return ed->off + ed->drop;
}

/* Unlinks earlier edits that [off, off+drop) covers. */
static void swallow(struct sip_edits *e, uint32_t off, uint32_t drop)
{
	uint32_t end = off + drop;
	struct sip_edit **pp = &e->head;

	while (*pp) {
		struct sip_edit *ed = *pp;
		bool inside = ed->drop > 0 ? ed->off >= off && edit_end(ed) <= end
		                           : ed->off > off && ed->off < end;

		if (!inside) {
			pp = &ed->next;
			continue;
		}
		*pp = ed->next;
		e->n--;
	}
}

/* Cuts what others drop already off [*off, *off+*drop). Returns false when nothing of it is left.
 */
static bool trim_overlap(const struct sip_edits *e, uint32_t *off, uint32_t *drop)
{
	uint32_t end = *off + *drop;

	for (const struct sip_edit *ed = e->head; ed; ed = ed->next) {
		if (ed->drop == 0)
			continue;
		if (*drop == 0) {
			if (*off > ed->off && *off < edit_end(ed))
				return false;
			continue;
		}
		if (ed->off <= *off && edit_end(ed) >= end)
			return false;
		if (ed->off <= *off && edit_end(ed) > *off)
			*off = edit_end(ed);
		else if (ed->off < end && edit_end(ed) >= end)
			end = ed->off;
	}
	*drop = end - *off;
	return true;
}

/* At one offset what only puts in stands before what drops, else it would be inside the hole. */
static bool goes_before(const struct sip_edit *ed, const struct sip_edit *other)
{
	if (ed->off != other->off)
		return ed->off < other->off;
	if ((ed->drop > 0) != (other->drop > 0))
		return ed->drop == 0;
	return ed->order < other->order || (ed->order == other->order && ed->order == SIP_ORDER_STACK);
}

int sip_edit_add(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg, uint32_t off,
                 uint32_t drop, struct str put, enum sip_edit_tag tag, int8_t order)
{
	size_t limit =
	    msg->body_off + msg->body.n; /* bytes behind the body are no part of the message */
	struct sip_edit **pp, *ed;

	if (off > limit || drop > limit - off)
		return -EINVAL;
	if (drop == 0 && put.n == 0)
		return 0;
	if (drop > 0)
		swallow(e, off, drop);
	if (!trim_overlap(e, &off, &drop))
		return 0;
	if (e->n == UINT16_MAX)
		return -ENOMEM;
	ed = pool_alloc(pool, sizeof(*ed));
	if (!ed)
		return -ENOMEM;
	*ed = (struct sip_edit){
		.off = off, .drop = drop, .put = put, .tag = (uint16_t)tag, .order = order
	};
	for (pp = &e->head; *pp && !goes_before(ed, *pp); pp = &(*pp)->next)
		;
	ed->next = *pp;
	*pp = ed;
	e->n++;
	return 0;
}

int sip_edit_prepend(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg,
                     struct str fields, enum sip_edit_tag tag)
{
	return sip_edit_add(e, pool, msg, msg->headers_off, 0, fields, tag, SIP_ORDER_FRONT);
}

int sip_edit_append(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg,
                    struct str fields, enum sip_edit_tag tag)
{
	return sip_edit_add(e, pool, msg, msg->headers_end, 0, fields, tag, SIP_ORDER_FRONT);
}

int sip_edit_before(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg,
                    enum sip_header id, struct str fields, enum sip_edit_tag tag)
{
	const struct sip_hdr *h = sip_msg_hdr(msg, id);

	if (!h)
		return sip_edit_append(e, pool, msg, fields, tag);
	return sip_edit_add(e, pool, msg, h->off, 0, fields, tag, SIP_ORDER_STACK);
}

int sip_edit_after(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg,
                   enum sip_header id, struct str fields, enum sip_edit_tag tag)
{
	unsigned i = (unsigned)id < SIP_N_HEADERS ? msg->last[id] : 0;

	if (i == 0)
		return sip_edit_append(e, pool, msg, fields, tag);
	return sip_edit_add(e, pool, msg, msg->hdrs[i - 1].off + msg->hdrs[i - 1].len, 0, fields,
	                    tag, SIP_ORDER_BEHIND);
}

int sip_edit_remove_hdr(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg,
                        const struct sip_hdr *hdr, enum sip_edit_tag tag)
{
	return sip_edit_add(e, pool, msg, hdr->off, hdr->len, STR_NULL, tag, 0);
}

int sip_edit_replace(struct sip_edits *e, struct pool *pool, const struct sip_msg *msg,
                     struct str view, struct str put, enum sip_edit_tag tag)
{
	if (!view.s || view.s < msg->buf.s || view.s > sip_end(msg->buf) ||
	    view.n > (size_t)(sip_end(msg->buf) - view.s))
		return -EINVAL;
	return sip_edit_add(e, pool, msg, (uint32_t)(view.s - msg->buf.s), (uint32_t)view.n, put,
	                    tag, 0);
}

int sip_edit_status(struct sip_edits *e, struct pool *pool, struct sip_msg *msg, unsigned code,
                    struct str reason)
{
	size_t at = msg->version.n + 1;
	struct str text, line = msg->first_line;
	int err;

	if (code < 100 || code > 699 || msg->kind != SIP_REPLY || line.n < at + 3)
		return -EINVAL;
	if (pool_printf(pool, &text, "%03u %.*s", code, STR_FMT(reason)) < 0)
		return -ENOSPC;
	sip_edit_undo(e, SIP_EDIT_STATUS);
	err = sip_edit_replace(e, pool, msg, str_sub(line, at, line.n), text, SIP_EDIT_STATUS);
	if (err < 0)
		return err;
	msg->status = (uint16_t)code;
	msg->reason = str_sub(text, 4, text.n);
	return 0;
}

bool sip_edit_hdr_removed(const struct sip_edits *e, const struct sip_hdr *hdr)
{
	uint32_t at = hdr->off, end = hdr->off + hdr->len;

	/* Sorted, so neighbouring drops that cover it together are seen one after the other. */
	for (const struct sip_edit *ed = e->head; ed && at < end; ed = ed->next) {
		if (ed->off > at)
			break;
		if (ed->drop > 0 && edit_end(ed) > at)
			at = edit_end(ed);
	}
	return at >= end;
}

void sip_edit_undo(struct sip_edits *e, enum sip_edit_tag tag)
{
	struct sip_edit **pp = &e->head;

	while (*pp) {
		if ((*pp)->tag == (uint16_t)tag) {
			*pp = (*pp)->next;
			e->n--;
		} else {
			pp = &(*pp)->next;
		}
	}
}
