/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replies: matched by our Via branch, run through the client machine of their branch and the onreply route, then passed up,
 * or kept until all branches of the leg have answered and a winner is picked. One branch without failure route is the common
 * case: its final reply is passed on straight from the received bytes and nothing is kept.
 *
 * A reply is kept in the form in which it would be relayed (own Via gone, edits made), so that relaying it later is a copy.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"

/* ---- who wins (core-routing.md, 1.6, 4) ---- */

static unsigned priority(const struct tm_branch *b)
{
	unsigned s = b->status, p;

	/* RFC 3261, 16.9: what could not be sent is no answer, as long as there is one. */
	if (s >= 700 || (s == 477 && (b->flags & TM_B_FAKED)))
		p = 10000 + s;
	else if (s >= 600)
		p = 1000 + s % 100;
	else if (s >= 500)
		p = 5000 + s % 100;
	else if (s >= 400)
		p = (s == 401 || s == 407 || s == 415 || s == 420 || s == 484 ? 4000 : 4100) + s % 100;
	else
		p = 3000 + s % 100;
	return p + (b->flags & TM_B_FAKED ? (unsigned)tm_conf.faked_reply_prio : 0);
}

int tm_pick_winner(const struct tm_txn *t)
{
	unsigned best = 0;
	int winner = -1;

	for (unsigned i = t->leg_first; i < t->n_branches; i++) {
		const struct tm_branch *b = tm_branch_at(t, i);

		if ((b->flags & (TM_B_SUPERSEDED | TM_B_DROPPED)) || !tm_branch_final(b) || b->status < 300)
			continue;
		if (winner < 0 || priority(b) < best) {
			best = priority(b);
			winner = (int)i;
		}
	}
	return winner;
}

/* ---- passing on ---- */

void tm_local_done(struct tm_txn *t, int code, struct str reply)
{
	tm_uac_answer(t, code, reply); /* first: told twice does no harm, he listens only once */
	CRASH_POINT("tm.local.told");
	t->status = (uint16_t)code;
	t->state = TM_S_ACCEPTED;
	tm_uas_act(t, TM_A_ARM_WAIT, clock_ms());
}

/* RFC 3261, 16.7, 5: a 2xx to an INVITE goes on whatever was answered before; what was answered stays as it is. */
static bool is_late_2xx(const struct tm_txn *t, uint16_t status)
{
	return status >= 200 && status < 300 && t->machine == TM_UAS_INVITE && (t->state == TM_S_COMPLETED || t->state == TM_S_CONFIRMED);
}

static void pass_late(struct tm_txn *t, const struct sip_out *out)
{
	int err = t->flags & TM_T_REPLICATE ? 0 : tx_send(&t->dest, out->iov, out->n_iov);

	if (err < 0) /* it comes again until it is acknowledged */
		log_info("late 2xx of transaction %08x not sent: %s", tm_hash_of(t), strerror(-err));
	else
		tm_stat(TM_ST_RPL_SENT, 1);
}

/* False: there was no memory, and the caller has not been told of this reply. */
static bool relay_ctx(struct ctx *ctx, struct tm_txn *t)
{
	struct sip_out out;
	int err;

	if (t->flags & TM_T_LOCAL) {
		if (ctx->msg.status >= 200 && t->status < 200)
			tm_local_done(t, ctx->msg.status, ctx->msg.buf);
		return true;
	}
	err = sip_build_relayed_reply(ctx->pool, &ctx->msg, &ctx->edits, 0, STR_NULL, t->dest.proto != SIP_PROTO_UDP, &out);
	if (err < 0) {
		log_error("reply %u of transaction %08x cannot be relayed: %s", ctx->msg.status, tm_hash_of(t), strerror(-err));
		return false;
	}
	if (UNLIKELY(is_late_2xx(t, ctx->msg.status))) {
		pass_late(t, &out);
		return true;
	}
	err = tm_uas_send(t, ctx->msg.status, &out, NULL, false);
	t->winner = ctx->txn_branch;
	if (err != -EALREADY)
		tm_tell_reply(t, NULL);
	return true;
}

/* First line's reason phrase of a kept reply. */
static struct str kept_reason(const struct tm_buf *buf)
{
	struct str line = str_of(buf->bytes, buf->len);
	ptrdiff_t eol = str_find(line, STR_LIT("\r\n"));

	/* "SIP/2.0 503 Reason" */
	return eol > 12 ? str_sub(line, 12, (size_t)eol - 12) : STR_LIT("Service Unavailable");
}

static void add_challenges(struct strbuf *sb, const struct tm_buf *buf)
{
	struct str rest = str_of(buf->bytes, buf->len);
	ptrdiff_t eol;

	/* Field by field; a folded line goes with the field before it. */
	bool taking = false;

	while ((eol = str_find(rest, STR_LIT("\r\n"))) > 0) {
		struct str line = str_sub(rest, 0, (size_t)eol + 2);

		if (line.s[0] != ' ' && line.s[0] != '\t')
			taking = str_istarts(line, STR_LIT("WWW-Authenticate")) || str_istarts(line, STR_LIT("Proxy-Authenticate"));
		if (taking)
			strbuf_add(sb, line);
		rest = str_sub(rest, line.n, rest.n);
	}
}

static bool is_challenge(unsigned status)
{
	return status == 401 || status == 407;
}

static bool is_open_challenge(const struct tm_branch *b)
{
	return b->reply && is_challenge(b->status) && !(b->flags & (TM_B_SUPERSEDED | TM_B_DROPPED));
}

static unsigned count_challenges(const struct tm_txn *t)
{
	unsigned n = 0;

	for (unsigned i = t->leg_first; i < t->n_branches; i++)
		n += is_open_challenge(tm_branch_at(t, i));
	return n;
}

static void relay_local(struct tm_txn *t, const struct tm_branch *b)
{
	char text[160];
	int code = b->status;

	if (t->canceled) {
		(void)tm_uas_reply(t, NULL, 487, STR_LIT("Request Terminated"), STR_NULL);
		return;
	}
	if (code == tm_conf.reply_408_code) {
		/* noisy_ctimer 0: the caller gave up long ago when nothing ever answered. */
		if (!tm_conf.noisy_ctimer && t->method == SIP_M_INVITE && t->n_branches == 1 && !(b->flags & TM_B_REPLIED)) {
			t->wait_at = clock_ms() + (uint64_t)tm_conf.wt_timer;
			t->state = TM_S_CONFIRMED;
			tm_stat(TM_ST_WAITING, 1);
			return;
		}
		(void)tm_uas_reply(t, NULL, code, tm_conf.reply_408_reason, STR_NULL);
		return;
	}
	/* Made here for want of an address or a way to it; else its reply was lost with the process that had it. */
	if (b->flags & TM_B_FAKED)
		(void)tm_error_reply(-code, "TM", &code, text, sizeof(text));
	else
		(void)snprintf(text, sizeof(text), "Request Failed");
	(void)tm_uas_reply(t, NULL, code, str_lit(text), STR_NULL);
}

static void relay_winner(struct tm_txn *t, int w)
{
	const struct tm_branch *b = w >= 0 ? tm_branch_at(t, (unsigned)w) : NULL;
	struct tm_buf *buf = b ? shm_ptr(b->reply) : NULL;

	if (b)
		t->winner = (uint8_t)w;
	if (t->flags & TM_T_LOCAL) {
		tm_local_done(t, b ? b->status : 500, buf ? str_of(buf->bytes, buf->len) : STR_NULL);
	} else if (!b) {
		(void)tm_uas_reply(t, NULL, tm_conf.default_code, tm_conf.default_reason, STR_NULL);
	} else if (!buf) {
		relay_local(t, b);
	} else if (is_challenge(b->status) && tm_conf.aggregate_challenges && count_challenges(t) > 1) {
		struct strbuf sb;

		strbuf_init_pool(&sb, tm_self.pool, 32768);
		for (unsigned i = t->leg_first; i < t->n_branches; i++) {
			const struct tm_branch *o = tm_branch_at(t, i);

			if (is_open_challenge(o))
				add_challenges(&sb, shm_ptr(o->reply));
		}
		(void)tm_uas_reply(t, NULL, b->status, kept_reason(buf), strbuf_str(&sb));
		pool_reset(tm_self.pool);
	} else if (b->status == 503 && tm_conf.remap_503_500) {
		/* RFC 3261, 16.7, 6: a 503 would make the caller avoid us, not the callee. */
		(void)tm_uas_reply(t, NULL, 500, STR_LIT("Service Unavailable"), STR_NULL);
	} else {
		if (tm_uas_send(t, b->status, NULL, buf, false) != -EALREADY) /* its failure is logged there */
			tm_tell_reply(t, NULL);
	}
}

/* ---- when a branch has failed ---- */

static struct str failure_name(const struct tm_txn *t, int w)
{
	const struct tm_buf *armed = shm_ptr(t->on_failure);

	if (armed)
		return str_of(armed->bytes, armed->len);
	return w >= 0 ? tm_branch_text(tm_branch_at(t, (unsigned)w), TM_X_ON_FAILURE) : STR_NULL;
}

struct ctx *tm_failure_ctx(struct tm_txn *t, unsigned branch)
{
	const struct tm_branch *b = tm_branch_at(t, branch);
	const struct tm_buf *relayed = shm_ptr(t->relayed_uri);
	struct ctx *ctx = tm_txn_ctx(t);

	if (!ctx)
		return NULL;
	ctx->txn = t;
	ctx->txn_branch = (uint8_t)branch;
	ctx->fail_status = b->status;
	/* The URI is that of the time of relaying; the destination set is empty until the route fills it. */
	ctx->main = (struct ctx_target){ .uri = str_dup(ctx->pool, relayed ? str_of(relayed->bytes, relayed->len) : tm_branch_text(tm_branch_at(t, 0), TM_X_URI)), .q = -1,
		.listener = NET_LISTENER_NONE, .bflags = b->bflags, .vbflags = b->vbflags };
	ctx->mflags |= CTX_F_RURI_CONSUMED;
	ctx->on_reply = str_dup(ctx->pool, tm_branch_text(tm_branch_at(t, t->n_branches - 1u), TM_X_ON_REPLY)); /* the others are for one leg */
	ctx->finished_arg = (void *)(uintptr_t)t->n_branches;
	return ctx;
}

static bool leg_lives(const struct tm_txn *t)
{
	for (unsigned i = t->leg_first; i < t->n_branches; i++)
		if (!(tm_branch_at(t, i)->flags & TM_B_SUPERSEDED))
			return true;
	return false;
}

void tm_failure_done(struct ctx *ctx, int rc)
{
	struct tm_txn *t = ctx->txn;
	bool added = t->n_branches > (unsigned)(uintptr_t)ctx->finished_arg && leg_lives(t);
	enum tm_after after = TM_MINE;
	int w;

	(void)rc; /* ignored in failure routes */
	tm_ctx_store(ctx, t);
	if (added)
		t->flags &= ~(uint32_t)TM_T_RAN_FAILURE;
	if (!added && t->status < 200) {
		/* The answer that brought us here, unless it was dropped (1, 2: always) or a new leg took its place and failed at once. */
		w = tm_conf.failure_reply_mode == 1 || tm_conf.failure_reply_mode == 2 ? -1 : tm_pick_winner(t);
		if (w >= 0)
			relay_winner(t, w);
		else
			(void)tm_reply_error(ctx);
	}
	ctx->txn = NULL;
	ctx_free(ctx);
	if (added && t->status < 200)
		after = tm_conclude(t);
	if (after == TM_MINE)
		tm_run_events(t);
}

enum tm_after tm_conclude(struct tm_txn *t)
{
	uint32_t flags = t->msg_flags;
	struct str name;
	int w;

	if (t->status >= 200 || t->state >= TM_S_ACCEPTED)
		return TM_MINE;
	for (unsigned i = t->leg_first; i < t->n_branches; i++)
		if (!tm_branch_final(tm_branch_at(t, i)))
			return TM_MINE;
	w = tm_pick_winner(t);
	name = failure_name(t, w);
	if (w >= 0 && !(t->flags & TM_T_RAN_FAILURE))
		flags = tm_tell_failed(t, (unsigned)w);
	if (w >= 0 && name.n && !(t->flags & (TM_T_RAN_FAILURE | TM_T_LOCAL)) && tm_self.hooks->has_route(CTX_FAILURE, name)) {
		struct ctx *ctx = tm_failure_ctx(t, (unsigned)w);

		if (ctx) {
			name = str_dup(ctx->pool, name);
			ctx->flags = flags;
			t->flags |= TM_T_RAN_FAILURE;
			t->winner = (uint8_t)w;
			if (t->on_failure)
				tm_ref_set(&t->on_failure, NULL);
			ctx->finished = tm_failure_done;
			if (name.s && tm_self.hooks->run_route(ctx, CTX_FAILURE, name) == 0)
				return TM_MOVED;
			ctx->txn = NULL;
			ctx_free(ctx);
		} else {
			log_error("no context for failure_route[%.*s]: the reply is relayed", STR_FMT(name));
		}
	}
	t->msg_flags = flags;
	relay_winner(t, w);
	return TM_MINE;
}

static void branch_failure_done(struct ctx *ctx, int rc)
{
	struct tm_txn *t = ctx->txn;
	enum tm_after after = TM_MINE;

	(void)rc; /* ignored */
	tm_ctx_store(ctx, t);
	ctx->txn = NULL;
	ctx_free(ctx);
	after = tm_conclude(t);
	if (after == TM_MINE)
		tm_run_events(t);
}

/* A branch is final with 300 or more and its reply, if any, is kept. */
static enum tm_after branch_failed(struct tm_txn *t, unsigned i)
{
	struct tm_branch *b = tm_branch_at(t, i);
	struct str armed = tm_branch_text(b, TM_X_ON_BRANCH_FAILURE);

	if (b->status >= 600 && b->status < 700 && !tm_conf.disable_6xx_block && !(t->flags & TM_T_DISABLE_6XX)) {
		char reason[48];
		int n = snprintf(reason, sizeof(reason), "Reason: SIP;cause=%u\r\n", b->status);

		tm_cancel_branches(t, str_of(reason, n > 0 ? (size_t)n : 0), i);
	}
	if (armed.n && !(b->flags & TM_B_BF_RAN) && !(t->flags & TM_T_LOCAL) && t->status < 200) {
		struct ctx *ctx = tm_failure_ctx(t, i);
		struct str name;

		b->flags |= TM_B_BF_RAN;
		if (ctx && pool_printf(ctx->pool, &name, "tm:branch-failure:%.*s", STR_FMT(armed)) == 0) {
			ctx->main.uri = str_dup(ctx->pool, tm_branch_text(b, TM_X_URI));
			ctx->finished = branch_failure_done;
			if (tm_self.hooks->run_route(ctx, CTX_EVENT, name) == 0)
				return TM_MOVED;
		}
		if (ctx) {
			ctx->txn = NULL;
			ctx_free(ctx);
		}
	}
	return tm_conclude(t);
}

enum tm_after tm_branch_fake(struct tm_txn *t, unsigned i, uint16_t status)
{
	struct tm_branch *b = tm_branch_at(t, i);
	struct tm_step s;

	if (!b || tm_branch_final(b))
		return TM_MINE;
	s = tm_fsm_step(b->machine, b->state, status == 477 ? TM_EV_SEND_FAILED : TM_EV_GIVE_UP);
	if (!(s.actions & TM_A_FAKE))
		return TM_MINE;
	b->status = status;
	b->flags |= TM_B_FAKED;
	CRASH_POINT("tm.fake.status");
	b->state = s.next;
	b->retr_at = b->fr_at = 0;
	if (UNLIKELY(t->aside))
		tm_aside_drop(t, i);
	/* An address that does not answer at all: the next one of the same name (RFC 3263, 4.3). */
	if (!(b->flags & TM_B_REPLIED) && tm_may_failover(t, b) && tm_branch_failover(t, i))
		return TM_MINE;
	return branch_failed(t, i);
}

/* ---- a reply ---- */

static enum tm_after absorb(struct ctx *ctx)
{
	ctx->txn = NULL;
	ctx_free(ctx);
	return TM_MINE;
}

static void keep_reply(struct ctx *ctx, struct tm_txn *t, struct tm_branch *b)
{
	struct sip_out out;
	struct tm_buf *buf = NULL;

	if (sip_build_relayed_reply(ctx->pool, &ctx->msg, &ctx->edits, 0, STR_NULL, t->dest.proto != SIP_PROTO_UDP, &out) == 0)
		buf = tm_buf_of(&out, ctx->msg.status);
	if (buf)
		tm_ref_set(&b->reply, buf);
	else
		log_error("reply %u of transaction %08x cannot be kept", ctx->msg.status, tm_hash_of(t));
}

/* After the reply is kept or passed on: until then the callee shall repeat it, to whoever takes over from us. */
static void acknowledge(struct ctx *ctx, struct tm_txn *t, struct tm_branch *b)
{
	const struct sip_hdr *to = sip_msg_hdr(&ctx->msg, SIP_H_TO);

	if (b->machine == TM_UAC_INVITE && to && !(t->flags & TM_T_NO_AUTO_ACK))
		tm_branch_ack(b, to->value);
}

static enum tm_after final_failure(struct ctx *ctx, struct tm_txn *t, unsigned i)
{
	struct tm_branch *b = tm_branch_at(t, i);
	uint16_t status = ctx->msg.status;
	bool only = t->leg_first == i && t->n_branches == i + 1u, failover = tm_wants_failover(t, b, status) && b->alts;

	/* The fast path: nobody else to wait for, nobody to ask. */
	if (!failover && only && t->status < 200 && !(status == 503 && tm_conf.remap_503_500) && !failure_name(t, (int)i).n &&
	    !tm_branch_text(b, TM_X_ON_BRANCH_FAILURE).n && relay_ctx(ctx, t)) {
		CRASH_POINT("tm.final.relayed");
		b->state = TM_S_COMPLETED;
		acknowledge(ctx, t, b);
		return absorb(ctx);
	}
	if (!failover)
		keep_reply(ctx, t, b);
	CRASH_POINT("tm.final.kept");
	b->state = TM_S_COMPLETED;
	CRASH_POINT("tm.final.state");
	if (failover) {
		bool moved = tm_branch_failover(t, i);

		if (!moved)
			keep_reply(ctx, t, b);
		acknowledge(ctx, t, b);
		if (moved)
			return absorb(ctx);
	} else {
		acknowledge(ctx, t, b);
	}
	(void)absorb(ctx);
	return branch_failed(t, i);
}

/* Nobody behind us acknowledges the 2xx to an INVITE of our own. */
static void local_accepted(struct ctx *ctx, struct tm_txn *t, struct tm_branch *b)
{
	struct tm_buf *kept;

	if (!(t->flags & TM_T_NO_2XX_ACK)) {
		tm_uac_ack(b, ctx->msg.buf, &ctx->rx, STR_NULL, STR_NULL);
		return;
	}
	kept = b->reply ? NULL : tm_buf_new(ctx->msg.buf, ctx->msg.status);
	if (kept) /* for t_uac_ack_local() */
		tm_ref_set(&b->reply, kept);
}

static enum tm_after reply_pass(struct ctx *ctx, struct tm_txn *t, unsigned i, bool drop)
{
	struct tm_branch *b = tm_branch_at(t, i);
	uint16_t status = ctx->msg.status;

	b->status = status;
	if (status < 200) {
		b->state = TM_S_PROCEEDING;
		if (!drop && status > 100 && t->status < 200)
			(void)relay_ctx(ctx, t); /* told there; it is a provisional one */
		return absorb(ctx);
	}
	b->fr_at = 0;
	if (status < 300) {
		b->state = b->machine == TM_UAC_INVITE ? TM_S_ACCEPTED : TM_S_COMPLETED;
		CRASH_POINT("tm.accepted.state");
		/* The 2xx to an INVITE comes again until it is acknowledged; to another request it does not, and its caller must hear something. */
		if (!relay_ctx(ctx, t) && t->method != SIP_M_INVITE && t->status < 200)
			(void)tm_uas_reply(t, NULL, 500, STR_LIT("Server Internal Error"), STR_NULL);
		CRASH_POINT("tm.accepted.relayed");
		if (t->method == SIP_M_INVITE && (t->flags & TM_T_LOCAL))
			local_accepted(ctx, t, b);
		if (t->method == SIP_M_INVITE)
			tm_cancel_branches(t, STR_LIT("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"), i);
		return absorb(ctx);
	}
	return final_failure(ctx, t, i);
}

static void onreply_done(struct ctx *ctx, int rc)
{
	struct tm_txn *t = ctx->txn;
	unsigned i = ctx->txn_branch;
	bool drop = (ctx->mflags & CTX_F_DROP) != 0;

	(void)rc; /* ignored in named reply routes */
	tm_ctx_store(ctx, t);
	if (ctx->on_failure.n) {
		struct tm_buf *name = tm_buf_new(ctx->on_failure, 0);

		if (name)
			tm_ref_set(&t->on_failure, name);
	}
	if (UNLIKELY(ctx->mflags & CTX_F_SUSPENDED)) {
		(void)absorb(ctx);
		tm_run_events(t);
		return;
	}
	if (reply_pass(ctx, t, i, drop) == TM_MINE && (LIKELY(!t->aside) || tm_aside_follow(t, i) == TM_MINE))
		tm_run_events(t);
}

/* A context of a reply as its routes see it. */
static void onreply_ctx(struct ctx *ctx, struct tm_txn *t, unsigned i)
{
	tm_ctx_load(ctx, t);
	ctx->txn = t;
	ctx->txn_branch = (uint8_t)i;
	ctx->main.bflags = tm_branch_at(t, i)->bflags;
	ctx->main.vbflags = tm_branch_at(t, i)->vbflags;
	ctx->finished = onreply_done;
}

static enum tm_event_kind event_of(uint16_t status)
{
	return status < 200 ? TM_EV_RX_1XX : status < 300 ? TM_EV_RX_2XX : TM_EV_RX_FINAL;
}

enum tm_after tm_reply_continue(struct ctx *ctx, struct tm_txn *t, unsigned i, struct str route)
{
	const struct tm_branch *b = tm_branch_at(t, i);

	/* Its branch may be over by now. */
	if (!(tm_fsm_step(b->machine, b->state, event_of(ctx->msg.status)).actions & TM_A_PASS)) {
		(void)absorb(ctx);
		return tm_aside_follow(t, i);
	}
	onreply_ctx(ctx, t, i);
	if (tm_self.hooks->run_continued(ctx, CTX_TM_REPLY, route) == 0)
		return TM_MOVED;
	log_error("there is no route[%.*s] to continue in: the reply goes on", STR_FMT(route)); /* the script was reloaded meanwhile */
	onreply_done(ctx, 0);
	return TM_MOVED;
}

enum tm_after tm_reply_event(struct ctx *ctx, struct tm_txn *t, unsigned i)
{
	struct tm_branch *b = tm_branch_at(t, i);
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);
	uint16_t status = ctx->msg.status;
	uint64_t now = clock_ms();
	struct tm_step s;
	struct str name;

	if (!b || !cseq || status < 100 || status > 699)
		return absorb(ctx);
	if (UNLIKELY(t->aside) && (uint32_t)cseq->method == t->method && tm_aside_waits(t, i)) {
		tm_aside_behind(ctx, t, i);
		return absorb(ctx);
	}
	tm_stat(TM_ST_RPL_RECEIVED, 1);
	if (cseq->method == SIP_M_CANCEL && t->method == SIP_M_INVITE) {
		if (status >= 200)
			b->cancel_retr_at = 0;
		return absorb(ctx);
	}
	if ((uint32_t)cseq->method != t->method || cseq->number != t->cseq)
		return absorb(ctx);
	s = tm_fsm_step(b->machine, b->state, event_of(status));
	if (s.actions & TM_A_STOP_RETRANSMIT)
		b->retr_at = 0;
	if ((s.actions & TM_A_ARM_INVITE) && !(b->flags & TM_B_CANCEL_SENT) &&
	    (tm_conf.restart_fr_on_each_reply || !(b->flags & TM_B_REPLIED) || (status >= 180 && status > b->status)))
		tm_branch_arm_fr(t, b, true, now);
	if (!(s.actions & TM_A_PASS)) {
		if (s.actions & TM_A_ACK) /* once more */
			acknowledge(ctx, t, b);
		b->state = s.next;
		return absorb(ctx);
	}
	b->flags |= TM_B_REPLIED;
	if (status < 200 && (b->flags & TM_B_CANCEL_WANTED)) {
		b->state = TM_S_PROCEEDING;
		tm_cancel_branch(t, b, STR_NULL);
	}
	name = tm_branch_text(b, TM_X_ON_REPLY);
	if (UNLIKELY(name.n)) {
		if (status < 200)
			b->state = TM_S_PROCEEDING; /* the route may cancel it */
		onreply_ctx(ctx, t, i);
		if (tm_self.hooks->run_route(ctx, CTX_TM_REPLY, name) == 0)
			return TM_MOVED;
		ctx->finished = NULL;
	}
	return reply_pass(ctx, t, i, false);
}

struct label_key {
	uint64_t label;
};

static bool match_label(const struct tm_txn *t, const void *arg)
{
	return t->label == ((const struct label_key *)arg)->label;
}

static bool key_of_reply(struct ctx *ctx, uint32_t *ret_hash, struct label_key *ret_key)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	unsigned branch;

	return via && tm_branch_id_parse(via->branch, ret_hash, &ret_key->label, &branch);
}

bool tm_reply_is_known(struct ctx *ctx)
{
	struct label_key key;
	uint32_t hash;

	return key_of_reply(ctx, &hash, &key) && tm_find(hash, match_label, &key, TM_TAKE_NOT, 0, NULL, NULL, NULL) == TM_EXISTS;
}

struct ctx *tm_request_ctx(struct ctx *ctx)
{
	struct ctx *request = NULL;
	struct label_key key;
	uint32_t hash;

	if (ctx->txn)
		return ctx_from_bytes(str_of(ctx->txn->request, ctx->txn->req_len), &ctx->txn->rx);
	if (ctx->msg.kind == SIP_REPLY && key_of_reply(ctx, &hash, &key)) /* reply_route: before transactions are looked for */
		tm_copy_request(hash, match_label, &key, &request);
	return request;
}

bool tm_rx_reply(struct ctx *ctx)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	struct label_key key;
	struct tm_txn *t = NULL;
	struct tm_event *ev;
	enum tm_found found;
	unsigned branch;
	uint32_t hash;

	if (!via || !tm_branch_id_parse(via->branch, &hash, &key.label, &branch) || branch >= TM_BRANCHES_MAX)
		return false;
	found = tm_find(hash, match_label, &key, TM_TAKE_CLAIM, 0, NULL, &t, NULL);
	if (found == TM_BUSY) {
		/* Its route runs or waits elsewhere: leave the bytes there, with what reply_route changed. It may have become free meanwhile. */
		struct str bytes = ctx->msg.buf;

		if ((ctx->edits.head || ctx->edits.body_replaced) && sip_build_edited(ctx->pool, &ctx->msg, &ctx->edits, STR_NULL, &bytes) < 0)
			log_error("reply %u of transaction %08x goes on unchanged: its changes do not fit", ctx->msg.status, hash);
		ev = tm_event_new(TM_IN_REPLY, (uint8_t)branch, bytes, &ctx->rx);
		found = tm_find(hash, match_label, &key, TM_TAKE_CLAIM, 0, ev, &t, NULL);
		if (found != TM_BUSY)
			shm_free(ev);
	}
	if (found == TM_ABSENT)
		return false;
	if (found == TM_BUSY) {
		ctx_free(ctx);
		return true;
	}
	ctx->txn = t;
	ctx->txn_branch = (uint8_t)branch;
	if (tm_reply_event(ctx, t, branch) == TM_MINE)
		tm_run_events(t);
	return true;
}

struct ctx *tm_reply_ctx(struct ctx *ctx)
{
	const struct tm_txn *t = ctx->txn;
	const struct tm_branch *b = t ? tm_branch_at(t, ctx->txn_branch) : NULL;
	const struct tm_buf *buf = b ? shm_ptr(b->reply) : NULL;

	struct rx_info rx;

	if (!buf)
		return NULL;
	rx = (struct rx_info){ .proto = (enum sip_proto)b->dest.proto, .listener = b->dest.listener, .src = b->dest.to, .rx_us = t->rx.rx_us, .wall_s = t->rx.wall_s };
	return ctx_from_bytes(str_of(buf->bytes, buf->len), &rx); /* it came from where the request went */
}

/* ---- a transport failed after the bytes were queued ---- */

void tm_send_failed(const struct tx_dest *dest, struct str bytes, int err)
{
	ptrdiff_t eol = str_find(bytes, STR_LIT("\r\n")), at;
	struct label_key key;
	struct tm_txn *t = NULL;
	struct tm_event *ev;
	struct str id;
	unsigned branch;
	uint32_t hash;

	(void)dest, (void)err; /* whichever way it failed, the branch is lost */
	if (eol < 0 || str_starts(bytes, STR_LIT("SIP/2.0 ")) || str_starts(bytes, STR_LIT("ACK ")) || str_starts(bytes, STR_LIT("CANCEL ")))
		return;
	bytes = str_sub(bytes, (size_t)eol, 512);
	at = str_find(bytes, STR_LIT(";branch="));
	if (at < 0)
		return;
	id = str_sub(bytes, (size_t)at + 8, 35);
	if (!tm_branch_id_parse(id, &hash, &key.label, &branch))
		return;
	ev = tm_event_new(TM_IN_SEND_FAILED, (uint8_t)branch, STR_NULL, NULL);
	if (!ev)
		return;
	switch (tm_find(hash, match_label, &key, TM_TAKE_CLAIM, 0, ev, &t, NULL)) {
	case TM_CLAIMED:
		shm_free(ev);
		if (tm_branch_fake(t, branch, 477) == TM_MINE)
			tm_run_events(t);
		break;
	case TM_BUSY:
		break; /* it is in the inbox */
	case TM_ABSENT:
	case TM_EXISTS:
		shm_free(ev);
		break;
	}
}
