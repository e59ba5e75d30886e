/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run leaves in its transaction for later ones: the edits of the request, 16 bytes each, then its text; the new body comes
 * last. When the message was changed and read again after the transaction was made, the message that the edits belong to comes first; all is
 * one object, so a later run finds both or neither. And the context that a later run begins with.
 */
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"

enum packed_kind { PACKED_EDIT, PACKED_BODY, PACKED_MSG };

struct packed_edit {
	uint32_t off, drop, len;
	uint16_t tag;
	int8_t order;
	uint8_t kind; /* enum packed_kind */
};

static void pack_edit(struct strbuf *sb, const struct packed_edit *p, struct str text)
{
	strbuf_add(sb, str_of(p, sizeof(*p)));
	strbuf_add(sb, text);
}

static void edits_store(struct ctx *ctx, struct tm_txn *t)
{
	struct strbuf sb;
	struct tm_buf *buf;

	strbuf_init_pool(&sb, ctx->pool, 2 * 65536);
	if (UNLIKELY(ctx->mflags & CTX_F_NOT_AS_STORED))
		pack_edit(&sb, &(struct packed_edit){ .len = (uint32_t)ctx->msg.buf.n, .kind = PACKED_MSG }, ctx->msg.buf);
	for (const struct sip_edit *e = ctx->edits.head; e; e = e->next)
		pack_edit(&sb, &(struct packed_edit){ e->off, e->drop, (uint32_t)e->put.n, e->tag, e->order, PACKED_EDIT }, e->put);
	if (ctx->edits.body_replaced)
		pack_edit(&sb, &(struct packed_edit){ .len = (uint32_t)ctx->edits.new_body.n, .kind = PACKED_BODY }, ctx->edits.new_body);
	if (sb.n == 0)
		return;
	buf = strbuf_err(&sb) < 0 ? NULL : tm_buf_new(strbuf_str(&sb), 0);
	if (buf)
		tm_ref_set(&t->edits, buf);
	else
		log_error("changes of the request of transaction %08x are not kept for its later routes: no room", tm_hash_of(t));
}

static bool msg_load(struct ctx *ctx, struct str bytes)
{
	struct str received = ctx->msg.buf;

	if (sip_msg_parse(ctx->pool, bytes, &ctx->msg, NULL) < 0)
		return false; /* it was read before it was stored */
	ctx->received = received;
	ctx->mflags |= CTX_F_NOT_AS_STORED;
	return true;
}

static void edits_load(struct ctx *ctx, const struct tm_txn *t)
{
	const struct tm_buf *buf = shm_ptr(t->edits);
	size_t i = 0;

	while (buf && i + sizeof(struct packed_edit) <= buf->len) {
		struct packed_edit p;
		struct str text;

		memcpy(&p, buf->bytes + i, sizeof(p));
		i += sizeof(p);
		if (p.len > buf->len - i)
			return;
		text = str_dup(ctx->pool, str_of(buf->bytes + i, p.len));
		i += p.len;
		if (!text.s && p.len)
			return;
		if (p.kind == PACKED_MSG) {
			if (!msg_load(ctx, text))
				return;
		} else if (p.kind == PACKED_BODY) {
			ctx->edits.body_replaced = true;
			ctx->edits.new_body = text;
		} else if (sip_edit_add(&ctx->edits, ctx->pool, &ctx->msg, p.off, p.drop, text, p.tag, p.order) < 0) {
			return;
		}
	}
}

void tm_ctx_load(struct ctx *ctx, struct tm_txn *t)
{
	const struct tm_buf *avps = shm_ptr(t->avps);

	ctx->flags = t->msg_flags;
	ctx->xflags = t->xflags;
	if (avps && avp_set_unpack(str_of(avps->bytes, avps->len), ctx->pool, &ctx->avps) < 0)
		log_error("attributes of transaction %08x cannot be read", t->node.hash);
	ctx->avps.dirty = false;
}

void tm_ctx_store(struct ctx *ctx, struct tm_txn *t)
{
	struct strbuf sb;
	struct tm_buf *buf;

	t->msg_flags = ctx->flags;
	t->xflags = ctx->xflags;
	if (!ctx->avps.dirty)
		return;
	strbuf_init_pool(&sb, ctx->pool, AVP_PACKED_MAX);
	if (avp_set_pack(&ctx->avps, &sb) < 0) {
		log_error("attributes of a transaction take more than 64 kB: not kept");
		return;
	}
	buf = tm_buf_new(strbuf_str(&sb), 0);
	if (buf)
		tm_ref_set(&t->avps, buf);
	ctx->avps.dirty = false;
}

struct ctx *tm_txn_ctx(struct tm_txn *t)
{
	struct ctx *ctx = ctx_from_bytes(str_of(t->request, t->req_len), &t->rx);

	if (!ctx)
		return NULL;
	tm_ctx_load(ctx, t);
	ctx->mflags = t->mflags;
	edits_load(ctx, t);
	ctx->iflags = t->iflags;
	ctx->vbflags = t->vbflags;
	ctx->fr_ms = t->fr_ms;
	ctx->fr_inv_ms = t->fr_inv_ms;
	return ctx;
}

int tm_edits_save(struct ctx *ctx)
{
	if (!ctx->txn)
		return -1;
	edits_store(ctx, ctx->txn);
	return 1;
}

void tm_edits_keep(struct ctx *ctx, struct tm_txn *t)
{
	if (t->edits == SHM_NONE)
		edits_store(ctx, t);
}
