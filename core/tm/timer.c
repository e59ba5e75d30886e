/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One wheel timer per transaction, armed to the earliest of its deadlines. A firing only says "look": what is due is found by
 * comparing deadlines with the clock, so a spurious or doubled firing does no harm.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/tm/tm_priv.h"
#include "shm/slot.h"

static void sooner(uint64_t *min, uint64_t at)
{
	if (at && (*min == 0 || at < *min))
		*min = at;
}

void tm_rearm(struct tm_txn *t)
{
	uint64_t min = 0;

	sooner(&min, t->wait_at);
	sooner(&min, t->retr_at);
	sooner(&min, t->ack_at);
	for (unsigned i = 0; i < t->n_branches; i++) {
		const struct tm_branch *b = shm_ptr(t->branch[i]);

		sooner(&min, b->fr_at);
		sooner(&min, b->retr_at);
		sooner(&min, b->cancel_retr_at);
	}
	/* Whatever else happens, a transaction does not outlive this by long: the net under all other timers. */
	if (min == 0)
		min = t->created_ms + (uint64_t)(t->method == SIP_M_INVITE ? t->life_inv_ms : t->life_other_ms) + 60000;
	if (min == t->armed_at)
		return;
	/* Never within the slice that is being fired: what cannot be cleared must not turn in circles. */
	if (min <= clock_ms())
		min = clock_ms() + SHM_TICK_MS;
	t->armed_at = min;
	shm_timer_set(&t->timer, (uint8_t)tm_self.timer_kind, min);
}

struct by_address {
	const struct tm_txn *txn;
};

static bool is_it(const struct tm_txn *t, const void *arg)
{
	return t == ((const struct by_address *)arg)->txn;
}

void tm_timer_fired(struct shm_timer *timer, uint64_t now_ms)
{
	struct tm_txn *t = CONTAINER_OF(timer, struct tm_txn, timer), *found;
	struct by_address key = { t };

	/* The owner may have freed it since the wheel let go of it: the table says whether it is still there. */
	if (tm_find(__atomic_load_n(&t->node.hash, __ATOMIC_RELAXED), is_it, &key, TM_TAKE_CLAIM, TM_P_TIMER, NULL, &found, NULL) != TM_CLAIMED)
		return;
	found->armed_at = 0;
	if (tm_timer_event(found, now_ms) == TM_MINE)
		tm_run_events(found);
}

static bool due(uint64_t at, uint64_t now)
{
	return at && at <= now;
}

static void branch_retransmit(struct tm_txn *t, struct tm_branch *b, uint64_t now)
{
	struct tm_step s = tm_fsm_step(b->machine, b->state, TM_EV_RETRANSMIT);

	if (!(s.actions & TM_A_RESEND)) {
		b->retr_at = 0;
		return;
	}
	(void)tm_branch_send(t, b); /* lost again: there is a next time */
	/* RFC 3261: timer A doubles for ever, timer E up to T2, and is T2 once a provisional came. */
	if (b->state == TM_S_PROCEEDING || b->retr_ms * 2u > tm_t2(t))
		b->retr_ms = b->machine == TM_UAC_INVITE && b->retr_ms < 32768 ? (uint16_t)(b->retr_ms * 2) : (uint16_t)tm_t2(t);
	else
		b->retr_ms = (uint16_t)(b->retr_ms * 2);
	b->retr_at = now + b->retr_ms;
}

static void cancel_retransmit(struct tm_txn *t, struct tm_branch *b, uint64_t now)
{
	if (now >= b->cancel_end_at) {
		b->cancel_retr_at = 0;
		return;
	}
	b->flags &= (uint16_t)~TM_B_CANCEL_SENT;
	tm_cancel_branch(t, b, STR_NULL);
	b->cancel_retr_ms = b->cancel_retr_ms * 2u > tm_t2(t) ? (uint16_t)tm_t2(t) : (uint16_t)(b->cancel_retr_ms * 2);
	b->cancel_retr_at = now + b->cancel_retr_ms;
}

enum tm_after tm_timer_event(struct tm_txn *t, uint64_t now)
{
	uint64_t life = (t->method == SIP_M_INVITE ? t->life_inv_ms : t->life_other_ms);

	if (due(t->wait_at, now)) {
		bool open = false;

		for (unsigned i = 0; i < t->n_branches; i++)
			open = open || !tm_branch_final(shm_ptr(t->branch[i]));
		if (!open || now >= t->created_ms + life + 60000) {
			tm_tell_missing(t);
			tm_stat(TM_ST_WAITING, -1);
			tm_txn_destroy(t);
			return TM_MOVED;
		}
		t->wait_at = now + (uint64_t)tm_conf.wt_timer; /* a cancelled fork still has to answer */
	}
	if (due(t->retr_at, now))
		tm_uas_event(t, TM_EV_RETRANSMIT, now);
	if (due(t->ack_at, now))
		tm_uas_event(t, TM_EV_GIVE_UP, now);
	for (unsigned i = 0; i < t->n_branches; i++) {
		struct tm_branch *b = shm_ptr(t->branch[i]);

		if (due(b->retr_at, now))
			branch_retransmit(t, b, now);
		if (due(b->cancel_retr_at, now))
			cancel_retransmit(t, b, now);
		if (due(b->fr_at, now)) {
			enum tm_after after;

			if (now >= t->created_ms + life)
				t->flags |= TM_T_EXPIRED;
			b->fr_at = 0;
			if (!tm_branch_final(b))
				b->flags |= TM_B_TIMED_OUT;
			if (b->machine == TM_UAC_INVITE && b->state == TM_S_PROCEEDING && !(b->flags & TM_B_CANCEL_SENT))
				tm_cancel_branch(t, b, tm_conf.local_cancel_reason ? STR_LIT("Reason: SIP;cause=408;text=\"Request Timeout\"\r\n") : STR_NULL);
			after = tm_branch_fake(t, i, (b->flags & TM_B_CANCEL_SENT) && t->canceled ? 487 : (uint16_t)tm_conf.reply_408_code);
			if (after == TM_MOVED) {
				/* The rest of what is due is found again: the deadlines are still there. */
				return TM_MOVED;
			}
		}
	}
	/* Nothing was ever armed and nobody holds it: an orphan of a process that died. */
	if (t->wait_at == 0 && t->ack_at == 0 && now >= t->created_ms + life + 60000) {
		log_debug("transaction %08x outlived everything: dropped", t->node.hash);
		tm_txn_destroy(t);
		return TM_MOVED;
	}
	return TM_MINE;
}
