/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server side: a request makes a transaction, its repetitions and ACKs are absorbed by it; and what follows when the run is over, or
 * when an event waited in the inbox.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/tm/tm_priv.h"
#include "shm/slot.h"

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
	if (UNLIKELY(ctx->tm_wish)) {
		t->flags = ctx->tm_wish->flags;
		t->t1_ms = ctx->tm_wish->t1_ms;
		t->t2_ms = ctx->tm_wish->t2_ms;
		if (ctx->tm_wish->life_inv_ms)
			t->life_inv_ms = ctx->tm_wish->life_inv_ms;
		if (ctx->tm_wish->life_other_ms)
			t->life_other_ms = ctx->tm_wish->life_other_ms;
	}
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
	if (ctx->msg.kind == SIP_REPLY)
		return tm_reply_is_known(ctx) ? 1 : -1;
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

int tm_release(struct ctx *ctx)
{
	struct tm_txn *t = ctx->txn;

	if (!t)
		return -1;
	t->flags |= TM_T_RELEASED;
	tm_uas_act(t, TM_A_ARM_WAIT, clock_ms());
	return 1;
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
