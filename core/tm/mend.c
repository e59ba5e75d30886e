/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A transaction whose holder died. The janitor only gives the claim up and leaves TM_P_MEND; a worker, which can send and run
 * routes, does the rest here before anything else happens to the transaction. What the dead had put into its sending queue is
 * gone, and which of his stores came first is known, so each thing is looked at and finished, or begun anew:
 *
 *   answered      the answer goes out again, its timers are armed, branches that still ring are cancelled
 *   has branches  what has no final status is sent again; what has one but lost its reply is asked again; when all are final
 *                 it is concluded, with the failure route once more if the dead was in it
 *   neither       the route died: the request starts from the beginning. A client that saw our 100 does not repeat it, so
 *                 this is nobody's business but ours.
 *
 * A request, or a failure route, that kills its worker must not do so for ever: each gets one second run.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/tm/tm_priv.h"

static bool is_answered(struct tm_txn *t)
{
	const struct tm_buf *last = shm_ptr(t->last_reply);

	if (t->status < 200 && last && last->status >= 200)
		t->status = last->status;
	return t->status >= 200;
}

/* All that follows from the answer. */
static void answered(struct tm_txn *t, uint64_t now)
{
	const struct tm_buf *last = shm_ptr(t->last_reply);
	bool is_invite = t->machine == TM_UAS_INVITE, is_2xx = t->status < 300;

	if (t->state < TM_S_ACCEPTED)
		t->state = is_invite && is_2xx ? TM_S_ACCEPTED : TM_S_COMPLETED;
	if (t->state == TM_S_COMPLETED && is_invite && !(t->flags & TM_T_LOCAL)) {
		if (t->ack_at == 0)
			tm_uas_act(t, TM_A_ARM_RETRANSMIT | TM_A_ARM_GIVE_UP, now);
	} else {
		tm_uas_act(t, TM_A_ARM_WAIT, now);
	}
	if (last && last->status >= 200 && t->state != TM_S_CONFIRMED &&
	    tx_send_bytes(&t->dest, last->bytes, last->len) < 0)
		log_debug("transaction %08x: its answer goes out when it is asked for", tm_hash_of(t));
	tm_tell_missing(t);
	tm_cancel_branches(t, STR_NULL, TM_BRANCHES_MAX);
}

static void branch_mend(struct tm_txn *t, struct tm_branch *b, uint64_t now)
{
	/* The callee answers a repeated request from its own transaction. */
	if (b->machine == TM_UAC_OTHER && tm_branch_final(b) && !b->reply && !(b->flags & (TM_B_FAKED | TM_B_SUPERSEDED | TM_B_DROPPED)))
		b->state = TM_S_TRYING;
	if (tm_branch_final(b))
		return;
	if (b->flags & TM_B_BLIND) /* he was about to go on with it, and has not begun: it waits, or its timer ends it */
		b->flags &= (uint16_t)~TM_B_SUPERSEDED;
	if (b->fr_at == 0)
		tm_branch_arm_fr(t, b, b->state == TM_S_PROCEEDING && b->machine == TM_UAC_INVITE, now);
	if ((b->flags & TM_B_CANCEL_SENT) && b->cancel_end_at == 0) {
		b->flags &= (uint16_t)~TM_B_CANCEL_SENT;
		tm_cancel_branch(t, b, STR_NULL);
	}
	/* An INVITE that rings is not sent again: its callee repeats the final reply until it is acknowledged. */
	if (b->machine == TM_UAC_INVITE && b->state != TM_S_TRYING)
		return;
	(void)tm_branch_send(t, b); /* lost again: there is a next time */
	if (b->dest.proto == SIP_PROTO_UDP) {
		b->retr_ms = (uint16_t)tm_t1(t);
		b->retr_at = now + b->retr_ms;
	}
}

static enum tm_after branches(struct tm_txn *t, uint64_t now)
{
	bool all_final = true, accepted = false;

	if (t->leg_first >= t->n_branches) /* a new leg was begun and got no branch: the old one decides */
		t->leg_first = 0;
	for (unsigned i = t->leg_first; i < t->n_branches; i++) {
		struct tm_branch *b = tm_branch_at(t, i);

		branch_mend(t, b, now);
		all_final = all_final && tm_branch_final(b);
		accepted = accepted || b->state == TM_S_ACCEPTED;
	}
	if (t->canceled)
		tm_cancel_branches(t, STR_NULL, TM_BRANCHES_MAX);
	/* An accepted INVITE is answered again by its callee. */
	return all_final && !accepted ? tm_conclude(t) : TM_MINE;
}

static enum tm_after anew(struct tm_txn *t, uint64_t now)
{
	struct ctx *ctx;

	if (t->flags & TM_T_LOCAL) {
		tm_local_done(t, 500, STR_NULL);
		return TM_MINE;
	}
	if (t->flags & TM_T_RELEASED) {
		tm_uas_act(t, TM_A_ARM_WAIT, now);
		return TM_MINE;
	}
	if (t->canceled || (t->mflags & CTX_F_SECOND_RUN)) {
		if (t->canceled)
			(void)tm_uas_reply(t, NULL, 487, STR_LIT("Request canceled"), STR_NULL);
		else
			(void)tm_uas_reply(t, NULL, 500, STR_LIT("Server Internal Error"), STR_NULL);
		if (t->status >= 200)
			return TM_MINE;
	}
	ctx = t->status < 200 && !(t->mflags & CTX_F_SECOND_RUN) ? ctx_from_bytes(str_of(t->request, t->req_len), &t->rx) : NULL;
	if (ctx) {
		log_notice("transaction %08x: its worker died in the route, which runs again", tm_hash_of(t));
		ctx->mflags |= CTX_F_SECOND_RUN;
	}
	tm_txn_destroy(t);
	if (ctx)
		tm_self.hooks->run_again(ctx);
	return TM_MOVED; /* without a context: as if it had not come, and it comes again */
}

enum tm_after tm_mend(struct tm_txn *t, uint64_t now)
{
	if (is_answered(t)) {
		answered(t, now);
		return TM_MINE;
	}
	if (t->n_branches == 0)
		return anew(t, now);
	if (!(t->flags & TM_T_MENDED)) {
		t->flags |= TM_T_MENDED;
		t->flags &= ~(uint32_t)TM_T_RAN_FAILURE; /* he was in the failure route: it is over when there is an answer or a branch */
	}
	return branches(t, now);
}
