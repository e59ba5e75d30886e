/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replies, ours or relayed ones, leave through the server machine, which keeps what may have to be sent again.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"

void tm_uas_act(struct tm_txn *t, uint16_t actions, uint64_t now)
{
	if (actions & (TM_A_STOP_RETRANSMIT)) {
		t->retr_at = 0;
		t->ack_at = 0;
	}
	if ((actions & TM_A_ARM_RETRANSMIT) && t->dest.proto == SIP_PROTO_UDP) {
		unsigned t1 = tm_t1(t), t2 = tm_t2(t);

		t->retr_ms = (uint16_t)(t->retr_ms == 0 ? t1 : t->retr_ms * 2u > t2 ? t2 : t->retr_ms * 2u);
		t->retr_at = now + t->retr_ms;
	}
	if (actions & TM_A_ARM_GIVE_UP)
		t->ack_at = now + (uint64_t)tm_conf.fr_timer;
	if ((actions & TM_A_ARM_WAIT) && t->wait_at == 0) {
		t->wait_at = now + (uint64_t)tm_conf.wt_timer;
		tm_stat(TM_ST_WAITING, 1);
	}
}

/* The 100 is not worth a system call of its own: it goes with the INVITE, and nobody can answer that before. */
static bool is_overtaken(const struct tm_txn *t, unsigned status)
{
	return status > 100 && status < 200 && t->dest.proto == SIP_PROTO_UDP;
}

static void resend(const struct tm_txn *t, const struct tm_buf *last)
{
	int err = tx_send_bytes(&t->dest, last->bytes, last->len);

	tm_self.flush |= is_overtaken(t, last->status);
	if (err < 0) /* it will be asked for once more */
		log_debug("transaction %08x: reply not repeated: %s", tm_hash_of(t), strerror(-err));
}

void tm_uas_event(struct tm_txn *t, enum tm_event_kind ev, uint64_t now)
{
	struct tm_step s = tm_fsm_step(t->machine, t->state, ev);
	const struct tm_buf *last = shm_ptr(t->last_reply);

	if ((s.actions & TM_A_RESEND) && last)
		resend(t, last);
	t->state = s.next;
	if (ev == TM_EV_RETRANSMIT && !(s.actions & TM_A_ARM_RETRANSMIT))
		t->retr_at = 0;
	if (ev == TM_EV_GIVE_UP)
		t->ack_at = 0;
	tm_uas_act(t, s.actions, now);
}

int tm_uas_send(struct tm_txn *t, uint16_t status, const struct sip_out *out, struct tm_buf *ready, bool said)
{
	enum tm_event_kind ev = status < 200 ? TM_EV_TX_1XX : status < 300 ? TM_EV_TX_2XX : TM_EV_TX_FINAL;
	struct tm_step s = tm_fsm_step(t->machine, t->state, ev);
	/*
	 * A stream does not lose replies. The 2xx to an INVITE is repeated by whoever sent it, not by us; but a caller that
	 * repeats its INVITE has not seen it, and is told at once. Who watches is told from what was kept.
	 */
	bool keep = t->dest.proto == SIP_PROTO_UDP || t->watched.any;
	int err;

	if (!(s.actions & TM_A_SEND))
		return -EALREADY;
	if ((t->flags & TM_T_LOCAL) || ((t->flags & TM_T_REPLICATE) && !said)) {
		err = 0;
	} else if (ready) {
		err = tx_send_bytes(&t->dest, ready->bytes, ready->len);
		if (keep) {
			struct tm_buf *copy = tm_buf_new(str_of(ready->bytes, ready->len), status);

			if (copy)
				tm_ref_set(&t->last_reply, copy);
		}
	} else {
		struct tm_buf *buf = keep ? tm_buf_of(out, status) : NULL;

		if (buf) {
			err = tx_send_bytes(&t->dest, buf->bytes, buf->len);
			tm_ref_set(&t->last_reply, buf);
		} else {
			err = tx_send(&t->dest, out->iov, out->n_iov);
		}
	}
	tm_self.flush |= is_overtaken(t, status);
	/* The answer is kept by now; a status says that it was given, and mend.c makes the rest follow from it. */
	t->status = status;
	CRASH_POINT("tm.uas.status");
	t->state = s.next;
	CRASH_POINT("tm.uas.state");
	tm_uas_act(t, s.actions, clock_ms());
	tm_stat(TM_ST_RPL_SENT, 1);
	if (status >= 200)
		tm_stat((enum tm_stat)(TM_ST_2XX - (int)(status / 100 - 2)), 1);
	if (err < 0)
		log_info("reply %u of transaction %08x not sent: %s", status, t->node.hash, strerror(-err));
	return err;
}

static int uas_reply_tag(struct tm_txn *t, struct ctx *ctx, int code, struct str reason, struct str extra, struct str to_tag)
{
	bool said = ctx != NULL;
	struct ctx *own = NULL;
	struct sip_reply_opts o = { .status = (uint16_t)code, .reason = reason };
	struct sip_out out;
	struct strbuf sb;
	struct str server;
	char tag[40], ip[NET_ADDR_TEXT_MAX];
	int err;

	if (t->flags & TM_T_LOCAL)
		return -1;
	if (!ctx || ctx->msg.kind != SIP_REQUEST) {
		ctx = own = tm_txn_ctx(t);
		if (!ctx) {
			log_error("no context to answer %d with", code);
			return -1;
		}
	}
	strbuf_init_pool(&sb, ctx->pool, 65536);
	strbuf_add(&sb, extra);
	if (ctx->reply_hdrs)
		strbuf_add(&sb, strbuf_str(ctx->reply_hdrs));
	if (code >= 300 && code < 400)
		strbuf_add(&sb, out_contacts(ctx, 0));
	server = tm_self.hooks->server_header();
	if (server.n) {
		strbuf_add(&sb, server);
		strbuf_add_lit(&sb, "\r\n");
	}
	o.extra = strbuf_str(&sb);
	o.source = out_reply_source(ctx, ip);
	if (code >= 180)
		o.to_tag = to_tag.n ? to_tag : str_of(tag, out_totag(ctx, OUT_TAG_TM, tag));
	o.body = ctx->reply_body;
	o.content_type = ctx->reply_ctype;
	o.record_routes = code > 100 && code < 300 && (ctx->msg.method & (SIP_M_INVITE | SIP_M_SUBSCRIBE));
	err = strbuf_err(&sb);
	if (err == 0)
		err = sip_build_reply(ctx->pool, &ctx->msg, &o, &out);
	if (err == 0) {
		if (code >= 200 && t->status < 200)
			t->flags |= TM_T_OWN_ANSWER;
		err = tm_uas_send(t, (uint16_t)code, &out, NULL, said);
	}
	if (err != -EALREADY)
		tm_tell_reply(t, own ? NULL : ctx);
	if (err == 0) {
		tm_stat(TM_ST_RPL_GENERATED, 1);
		if (code >= 200 || tm_conf.pass_provisional_replies)
			tm_self.hooks->event_replied(STR_LIT("tm:local-response"), ctx, &out);
	}
	ctx->reply_hdrs = NULL;
	ctx->reply_body = STR_NULL;
	ctx->reply_ctype = STR_NULL;
	if (own)
		ctx_free(own);
	return err < 0 ? -1 : 1;
}

int tm_uas_reply(struct tm_txn *t, struct ctx *ctx, int code, struct str reason, struct str extra)
{
	return uas_reply_tag(t, ctx, code, reason, extra, STR_NULL);
}

void tm_uas_trying(struct ctx *ctx, struct tm_txn *t)
{
	if (t->method == SIP_M_INVITE && tm_conf.auto_inv_100 && t->status == 0 && !(t->flags & TM_T_NO_INV_100))
		(void)tm_uas_reply(t, ctx, 100, tm_conf.auto_inv_100_reason, STR_NULL); /* the INVITE comes again if it is lost */
}

/* tm.reply, handed over by the RPC process. */
enum tm_after tm_answer_event(struct tm_txn *t, struct str packed)
{
	struct tm_answer a;
	struct str text[4], rest;
	struct ctx *ctx;

	if (packed.n < sizeof(a))
		return TM_MINE;
	memcpy(&a, packed.s, sizeof(a));
	rest = str_sub(packed, sizeof(a), packed.n);
	for (unsigned i = 0; i < 4; i++) {
		const uint32_t len[4] = { a.reason, a.to_tag, a.headers, a.body };

		if (len[i] > rest.n)
			return TM_MINE;
		text[i] = str_sub(rest, 0, len[i]);
		rest = str_sub(rest, len[i], rest.n);
	}
	ctx = t->status < 200 ? tm_txn_ctx(t) : NULL;
	if (!ctx)
		return TM_MINE;
	ctx->reply_body = text[3]; /* its type is among the headers */
	(void)uas_reply_tag(t, ctx, a.code, text[0], text[2], text[1]); /* told in the log when it cannot be sent */
	ctx_free(ctx);
	if (a.code >= 200 && t->method == SIP_M_INVITE)
		tm_cancel_branches(t, STR_NULL, TM_BRANCHES_MAX);
	return TM_MINE;
}

int tm_reply(struct ctx *ctx, int code, struct str reason)
{
	struct tm_txn *t = ctx->txn;
	int r;

	if (!t || ctx->msg.method == SIP_M_ACK)
		return -1;
	if (ctx->mflags & CTX_F_NO_REPLY)
		return -2;
	if (code < 100 || code > 699)
		return -1;
	r = tm_uas_reply(t, ctx, code, reason, STR_NULL);
	if (r > 0 && code >= 200) {
		ctx->mflags = (ctx->mflags | CTX_F_FINAL_SENT) & ~(uint32_t)CTX_F_DELAYED_ERROR;
		/* The script decided: what still rings is told to stop. */
		if (t->method == SIP_M_INVITE)
			tm_cancel_branches(t, STR_NULL, TM_BRANCHES_MAX);
	}
	return r;
}

int tm_retransmit_reply(struct ctx *ctx)
{
	const struct tm_buf *last = ctx->txn ? shm_ptr(ctx->txn->last_reply) : NULL;

	if (!last)
		return -1;
	return tx_send_bytes(&ctx->txn->dest, last->bytes, last->len) < 0 ? -1 : 1;
}

/* ---- errors ---- */

/* clang-format off */
static const struct { int internal, code; const char *text; } errors[] = { /* core-routing.md, 1.4 */
	{ -477, 477, "Unfortunately error on sending to next hop occurred" },
	{ -478, 478, "Unresolvable destination" },
	{ -479, 479, "Regretfully, we were not able to process the URI" },
	{ -400, 400, "Bad Request" }, { -9, 400, "Transaction tuple incomplete" }, { -13, 400, "Bad To" },
	{ -15, 400, "Invalid q value" }, { -16, 400, "Invalid q value" }, { -17, 400, "Invalid q value" }, { -18, 400, "Invalid q value" },
	{ -487, 487, "Transaction canceled" }, { -12, 500, "Forking capacity exceeded" },
	{ -11, 500, "Error in external logic" }, { -2, 500, "Message processing error" },
};
/* clang-format on */

int tm_error_reply(int internal_code, const char *suffix, int *ret_code, char *ret_text, size_t text_size)
{
	const char *text = "I'm terribly sorry, server error occurred";
	int code = 500;

	for (unsigned i = 0; i < ARRAY_LEN(errors); i++) {
		if (errors[i].internal == internal_code) {
			code = errors[i].code;
			text = errors[i].text;
		}
	}
	*ret_code = code;
	return snprintf(ret_text, text_size, "%s (%d/%s)", text, internal_code < 0 && internal_code > -100 ? -internal_code : code, suffix) < 0 ? -EINVAL : 0;
}

int tm_reply_error(struct ctx *ctx)
{
	char text[160];
	int code;

	if (!ctx->txn)
		return -1;
	if (ctx->txn->status >= 200)
		return -2;
	(void)tm_error_reply(ctx->last_error ? ctx->last_error : -1, "TM", &code, text, sizeof(text));
	return tm_reply(ctx, code, str_lit(text));
}
