/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server side: a request makes a transaction, its repetitions and ACKs are absorbed by it, and replies, ours or relayed ones,
 * leave through the server machine, which keeps what may have to be sent again.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"
#include "shm/slot.h"

/* ---- edits of the request, for later legs: 16 bytes per edit, then its text; the new body comes last ---- */

struct packed_edit {
	uint32_t off, drop, len;
	uint16_t tag;
	int8_t order;
	uint8_t is_body;
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

	strbuf_init_pool(&sb, ctx->pool, 65536);
	for (const struct sip_edit *e = ctx->edits.head; e; e = e->next)
		pack_edit(&sb, &(struct packed_edit){ e->off, e->drop, (uint32_t)e->put.n, e->tag, e->order, 0 }, e->put);
	if (ctx->edits.body_replaced)
		pack_edit(&sb, &(struct packed_edit){ .len = (uint32_t)ctx->edits.new_body.n, .is_body = 1 }, ctx->edits.new_body);
	if (sb.n == 0 || strbuf_err(&sb) < 0)
		return;
	buf = tm_buf_new(strbuf_str(&sb), 0);
	if (buf)
		tm_ref_set(&t->edits, buf);
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
		if (p.is_body) {
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
	strbuf_init_pool(&sb, ctx->pool, 65536);
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
	edits_load(ctx, t);
	ctx->mflags = t->mflags;
	ctx->iflags = t->iflags;
	ctx->vbflags = t->vbflags;
	ctx->fr_ms = t->fr_ms;
	ctx->fr_inv_ms = t->fr_inv_ms;
	return ctx;
}

/* ---- creation ---- */

static struct tm_span span(const struct ctx *ctx, struct str view)
{
	size_t off = view.n ? (size_t)(view.s - ctx->msg.buf.s) : 0;

	/* Views that lie elsewhere (a text copied by the parser) cannot be named: empty ones compare as absent. */
	if (off > UINT16_MAX || view.n > UINT16_MAX || off + view.n > ctx->msg.buf.n)
		return (struct tm_span){ 0, 0 };
	return (struct tm_span){ (uint16_t)off, (uint16_t)view.n };
}

static struct tm_txn *txn_new(struct ctx *ctx, const struct tm_key *k)
{
	size_t len = ctx->msg.buf.n > UINT16_MAX ? UINT16_MAX : ctx->msg.buf.n - ctx->msg.extra_bytes;
	struct tm_txn *t = shm_alloc(sizeof(*t) + len);
	uint64_t now = clock_ms();

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->node.hash = tm_key_hash(k);
	t->busy = (uint8_t)(shm_slot_self() + 1);
	t->machine = k->method == SIP_M_INVITE ? TM_UAS_INVITE : TM_UAS_OTHER;
	t->label = rng_u64();
	t->method = (uint32_t)k->method;
	t->cseq = k->cseq;
	t->created_ms = now;
	t->rx = ctx->rx;
	t->via_branch = span(ctx, k->via_branch);
	t->via_host = span(ctx, k->via_host);
	t->via_text = span(ctx, k->via_text);
	t->from_tag = span(ctx, k->from_tag);
	t->to_tag = span(ctx, k->to_tag);
	t->callid = span(ctx, k->callid);
	t->ruri = span(ctx, k->ruri);
	t->method_name = span(ctx, k->method_name);
	t->via_port = k->via_port;
	t->magic = k->magic;
	t->req_len = (uint32_t)len;
	t->msg_flags = ctx->flags;
	t->xflags = ctx->xflags;
	t->mflags = ctx->mflags;
	t->fr_ms = ctx->fr_ms;
	t->fr_inv_ms = ctx->fr_inv_ms;
	t->life_inv_ms = (uint32_t)tm_conf.max_inv_lifetime;
	t->life_other_ms = (uint32_t)tm_conf.max_noninv_lifetime;
	out_reply_dest(ctx, &t->dest);
	memcpy(t->request, ctx->msg.buf.s, len);
	return t;
}

struct tm_txn *tm_txn_local(struct ctx *ctx, uint32_t slot, uint32_t id)
{
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);
	struct tm_key k = { .method = ctx->msg.method, .method_name = ctx->msg.method_name, .callid = sip_msg_call_id(&ctx->msg),
		.ruri = ctx->msg.ruri, .cseq = cseq ? cseq->number : 0 };
	struct tm_txn *t = txn_new(ctx, &k);
	struct shm_hbucket *b;

	if (!t)
		return NULL;
	t->flags = TM_T_LOCAL;
	t->uac_slot = slot;
	t->uac_id = id;
	b = shm_hash_lock(tm_self.table, t->node.hash);
	shm_hash_insert_locked(tm_self.table, b, &t->node);
	shm_hash_unlock(b);
	shm_hash_grow(tm_self.table);
	tm_stat(TM_ST_CURRENT, 1);
	return t;
}

struct newtran_arg {
	const struct tm_key *key;
	unsigned *same; /* how many live ones share Call-ID and CSeq */
	bool *canceled; /* the CANCEL was here first */
};

static bool match_new(const struct tm_txn *t, const void *arg)
{
	const struct newtran_arg *a = arg;

	++*a->same;
	if (a->key->method == SIP_M_INVITE && tm_key_matches(t, a->key, SIP_M_CANCEL))
		*a->canceled = true;
	return tm_key_matches(t, a->key, a->key->method);
}

struct eq_new {
	const struct newtran_arg *a;
};

static bool eq_new_node(const struct shm_hnode *node, const void *key)
{
	return match_new(CONTAINER_OF((struct shm_hnode *)(uintptr_t)node, struct tm_txn, node), ((const struct eq_new *)key)->a);
}

int tm_newtran(struct ctx *ctx)
{
	struct tm_key key;
	unsigned same = 0;
	bool canceled = false;
	struct newtran_arg a = { &key, &same, &canceled };
	struct eq_new eq = { &a };
	struct shm_hbucket *b;
	struct shm_hnode *node;
	struct tm_txn *t, *old = NULL;
	bool claimed = false;

	if (ctx->txn)
		return -10;
	if (tm_key_of(ctx, &key) < 0)
		return -400;
	if (key.method == SIP_M_ACK)
		return 1;
	t = txn_new(ctx, &key);
	if (!t)
		return -2;
	b = shm_hash_lock(tm_self.table, t->node.hash);
	node = shm_hash_find_locked(b, t->node.hash, eq_new_node, &eq);
	if (node) {
		old = CONTAINER_OF(node, struct tm_txn, node);
		claimed = old->busy == 0;
		if (claimed)
			old->busy = (uint8_t)(shm_slot_self() + 1);
		else
			old->pending |= TM_P_RESEND;
	} else if (same <= TM_SAME_KEY_MAX) {
		t->canceled = canceled;
		shm_hash_insert_locked(tm_self.table, b, &t->node);
	}
	shm_hash_unlock(b);
	if (node || same > TM_SAME_KEY_MAX) {
		shm_free(t);
		if (claimed) {
			tm_uas_event(old, TM_EV_REQUEST, clock_ms());
			tm_run_events(old);
		}
		if (!node)
			return -12;
		ctx->mflags |= CTX_F_RETRANSMIT;
		return 0;
	}
	shm_hash_grow(tm_self.table);
	ctx->txn = t;
	tm_observe_new(ctx, t);
	tm_stat(TM_ST_CURRENT, 1);
	tm_stat(TM_ST_TOTAL, 1);
	return 1;
}

/* ---- what comes again ---- */

struct key_arg {
	const struct tm_key *key;
	enum sip_method want;
	bool e2e;
};

static bool match_key(const struct tm_txn *t, const void *arg)
{
	const struct key_arg *a = arg;

	return a->e2e ? tm_key_e2e_ack(t, a->key) : tm_key_matches(t, a->key, a->want);
}

/* Returns 1 when the request was absorbed, 0 when it is new to us. */
static int absorb(struct ctx *ctx)
{
	struct tm_key key;
	struct key_arg a = { &key, SIP_M_INVITE, false };
	struct tm_txn *t = NULL;
	enum tm_found found;

	if (tm_key_of(ctx, &key) < 0 || key.method == SIP_M_CANCEL)
		return 0;
	a.want = key.method == SIP_M_ACK ? SIP_M_INVITE : key.method;
	found = tm_find(tm_key_hash(&key), match_key, &a, TM_TAKE_CLAIM, key.method == SIP_M_ACK ? TM_P_ACK : TM_P_RESEND, NULL, &t, NULL);
	if (found == TM_CLAIMED) {
		bool hop_by_hop = key.method != SIP_M_ACK || t->status >= 300;

		if (hop_by_hop)
			tm_uas_event(t, key.method == SIP_M_ACK ? TM_EV_ACK : TM_EV_REQUEST, clock_ms());
		tm_run_events(t);
		return hop_by_hop;
	}
	return found == TM_BUSY;
}

bool tm_rx_request(struct ctx *ctx)
{
	if (absorb(ctx) == 1)
		return true;
	ctx->txn_checked = true;
	return false;
}

/* Looks without claiming: what t_lookup_request() and its kin ask. */
static enum tm_found look(struct ctx *ctx, enum sip_method want, bool e2e, struct tm_snapshot *ret_snap)
{
	struct tm_key key;
	struct key_arg a = { &key, want, e2e };

	if (tm_key_of(ctx, &key) < 0)
		return TM_ABSENT;
	return tm_find(tm_key_hash(&key), match_key, &a, TM_TAKE_NOT, 0, NULL, NULL, ret_snap);
}

int tm_check_trans(struct ctx *ctx)
{
	if (ctx->txn)
		return 1;
	if (ctx->msg.kind == SIP_REPLY) {
		const struct sip_via *via = sip_msg_via1(&ctx->msg);
		uint32_t hash;
		uint64_t label;
		unsigned branch;

		/* Ours by its form: whether the transaction still lives is found out when the reply is taken over. */
		return via && tm_branch_id_parse(via->branch, &hash, &label, &branch) ? 1 : -1;
	}
	if (ctx->msg.method == SIP_M_CANCEL)
		return tm_lookup_cancel(ctx);
	if (ctx->msg.method == SIP_M_ACK) {
		if (absorb(ctx) == 1)
			return 0;
		return look(ctx, SIP_M_INVITE, true, NULL) == TM_EXISTS ? 1 : -1;
	}
	/* Nothing was there when it came in, and the run has not waited since: as if the script had asked then. */
	if (ctx->txn_checked)
		return -1;
	return absorb(ctx) == 1 ? 0 : -1;
}

int tm_lookup_request(struct ctx *ctx)
{
	return ctx->txn || look(ctx, ctx->msg.method == SIP_M_ACK ? SIP_M_INVITE : ctx->msg.method, false, NULL) == TM_EXISTS ? 1 : -1;
}

int tm_lookup_cancel(struct ctx *ctx)
{
	return look(ctx, SIP_M_INVITE, false, NULL) == TM_EXISTS ? 1 : -1;
}

int tm_lookup_cancel_flags(struct ctx *ctx)
{
	struct tm_snapshot snap;

	if (look(ctx, SIP_M_INVITE, false, &snap) != TM_EXISTS)
		return -1;
	ctx->flags = snap.msg_flags;
	return 1;
}

bool tm_exists(struct ctx *ctx)
{
	if (ctx->txn)
		return true;
	if (ctx->msg.kind == SIP_REPLY)
		return tm_check_trans(ctx) > 0;
	return tm_lookup_request(ctx) > 0;
}

/* ---- sending upstream ---- */

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

int tm_uas_send(struct tm_txn *t, uint16_t status, const struct sip_out *out, struct tm_buf *ready)
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
	if (t->flags & (TM_T_LOCAL | TM_T_REPLICATE)) {
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

/* ---- event_route[tm:local-response] ---- */

static void local_response_done(struct ctx *ctx, int rc)
{
	(void)rc; /* it was sent */
	ctx_free(ctx);
}

/* On a copy of the request: the one that was answered may be in the middle of its script. */
static void local_response(struct tm_txn *t, int code)
{
	struct str name = STR_LIT("tm:local-response");
	struct ctx *ctx;

	if ((code < 200 && !tm_conf.pass_provisional_replies) || LIKELY(!tm_self.hooks->has_route(CTX_EVENT, name)))
		return;
	ctx = ctx_from_bytes(str_of(t->request, t->req_len), &t->rx);
	if (!ctx)
		return;
	tm_ctx_load(ctx, t);
	ctx->mflags = CTX_F_NO_REPLY;
	ctx->fail_status = (uint16_t)code; /* $T_reply_code */
	ctx->finished = local_response_done;
	if (tm_self.hooks->run_route(ctx, CTX_EVENT, name) < 0)
		ctx_free(ctx);
}

static int uas_reply_tag(struct tm_txn *t, struct ctx *ctx, int code, struct str reason, struct str extra, struct str to_tag)
{
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
		err = tm_uas_send(t, (uint16_t)code, &out, NULL);
	}
	if (err != -EALREADY)
		tm_tell_reply(t, own ? NULL : ctx);
	if (err == 0) {
		tm_stat(TM_ST_RPL_GENERATED, 1);
		local_response(t, code);
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

int tm_release(struct ctx *ctx)
{
	struct tm_txn *t = ctx->txn;

	if (!t)
		return -1;
	t->flags |= TM_T_RELEASED;
	tm_uas_act(t, TM_A_ARM_WAIT, clock_ms());
	return 1;
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

/* ---- the end of a run ---- */

void tm_let_go(struct ctx *ctx)
{
	struct tm_txn *t = ctx->txn;

	if (!t)
		return;
	ctx->txn = NULL;
	tm_run_events(t);
}

void tm_script_end(struct ctx *ctx)
{
	struct tm_txn *t = ctx->txn;

	if (!t) {
		char text[160];
		int code;

		if ((ctx->mflags & CTX_F_DELAYED_ERROR) && !(ctx->mflags & CTX_F_FINAL_SENT) && ctx->msg.kind == SIP_REQUEST) {
			(void)tm_error_reply(ctx->last_error, "TM", &code, text, sizeof(text));
			(void)tm_self.hooks->stateless_reply(ctx, code, str_lit(text));
		}
		return;
	}
	if (ctx->msg.kind == SIP_REQUEST) {
		if ((ctx->mflags & CTX_F_DELAYED_ERROR) && t->status < 200)
			(void)tm_reply_error(ctx);
		tm_ctx_store(ctx, t);
		if (t->n_branches == 0 && t->status < 200 && !(t->flags & TM_T_RELEASED)) {
			if (t->canceled) {
				(void)tm_uas_reply(t, ctx, 487, STR_LIT("Request canceled"), STR_NULL);
			} else {
				log_debug("transaction %08x was neither relayed nor answered: dropped", t->node.hash);
				ctx->txn = NULL;
				tm_txn_destroy(t);
				return;
			}
		}
	}
	tm_let_go(ctx);
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

/* ---- events ---- */

static enum tm_after event_reply(struct tm_txn *t, struct tm_event *ev)
{
	struct ctx *ctx = ctx_from_bytes(str_of(ev->bytes, ev->len), &ev->rx);

	if (!ctx)
		return TM_MINE; /* at the limit: the peer repeats it */
	ctx->txn = t;
	ctx->txn_branch = ev->branch;
	return tm_reply_event(ctx, t, ev->branch);
}

void tm_run_events(struct tm_txn *t)
{
	struct tm_event *ev;
	uint16_t pending;

	while (tm_next(t, &pending, &ev)) {
		enum tm_after after = TM_MINE;
		uint64_t now = clock_ms();

		if (pending & TM_P_TIMER)
			t->armed_at = 0;
		if (pending & TM_P_RESEND)
			tm_uas_event(t, TM_EV_REQUEST, now);
		if (pending & TM_P_ACK)
			tm_uas_event(t, TM_EV_ACK, now);
		if ((pending & TM_P_MEND) && tm_mend(t, now) == TM_MOVED)
			return; /* no event was taken off with it */
		if (ev && ev->kind == TM_IN_REPLY)
			after = event_reply(t, ev);
		else if (ev && ev->kind == TM_IN_CANCEL)
			after = tm_cancel_event(t, str_of(ev->bytes, ev->len));
		else if (ev && ev->kind == TM_IN_SEND_FAILED)
			after = tm_branch_fake(t, ev->branch, 477);
		else if (ev && ev->kind == TM_IN_ANSWER)
			after = tm_answer_event(t, str_of(ev->bytes, ev->len));
		else if (ev && ev->kind == TM_IN_STOP)
			after = tm_stop_event(t, ev);
		else if (ev && ev->kind == TM_IN_ACK)
			after = tm_ack_event(t, ev);
		else if (ev && ev->kind == TM_IN_E2E_ACK)
			tm_ack_seen_event(t, ev);
		else if (ev && ev->kind == TM_IN_APPEND)
			after = tm_append_event(t, str_of(ev->bytes, ev->len));
		else if (ev && ev->kind == TM_IN_CONTINUE)
			after = tm_continue_event(t, str_of(ev->bytes, ev->len));
		shm_free(ev);
		if (after == TM_MOVED) /* a timer that is due finds its deadlines again when the route lets go */
			return;
		if ((pending & TM_P_TIMER) && tm_timer_event(t, now) == TM_MOVED)
			return;
	}
}
