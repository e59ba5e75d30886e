/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CANCEL. Hop by hop (RFC 3261, 9): the one that comes is answered here, and each branch that still rings gets one of its own,
 * made from the INVITE that was sent there. A branch that has said nothing yet must not be cancelled; cancel_b_method says
 * whether we wait for its first provisional (1), give it up (0), or send the CANCEL all the same (2).
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"

/* For the CANCEL that has to wait for a provisional, and for its repetitions. Without memory it goes without. */
static void reason_keep(struct tm_branch *b, struct str reason)
{
	struct tm_buf *kept = reason.n && !b->reason ? tm_buf_new(reason, 0) : NULL;

	if (kept)
		tm_ref_set(&b->reason, kept);
}

void tm_cancel_branch(struct tm_txn *t, struct tm_branch *b, struct str reason)
{
	const struct tm_buf *kept;
	struct strbuf extra;
	struct sip_out out;
	uint64_t now = clock_ms();
	bool again = b->cancel_end_at != 0;

	if (b->flags & TM_B_CANCEL_SENT)
		return;
	reason_keep(b, reason);
	kept = shm_ptr(b->reason);
	if (kept)
		reason = str_of(kept->bytes, kept->len);
	strbuf_init_pool(&extra, tm_self.pool, 16384);
	strbuf_add(&extra, reason);
	tm_branch_extra(b, &extra);
	if (strbuf_err(&extra) < 0 || sip_build_local(tm_self.pool, tm_branch_sent(b), SIP_M_CANCEL, STR_NULL, strbuf_str(&extra), &out) < 0 ||
	    tx_send(&b->dest, out.iov, out.n_iov) < 0)
		log_debug("a CANCEL was not sent: it is repeated until it is answered");
	pool_reset(tm_self.pool);
	b->flags = (uint16_t)((b->flags | TM_B_CANCEL_SENT) & ~TM_B_CANCEL_WANTED);
	if (again)
		return;
	if (b->dest.proto == SIP_PROTO_UDP) {
		b->cancel_retr_ms = (uint16_t)tm_t1(t);
		b->cancel_retr_at = now + b->cancel_retr_ms;
	}
	b->cancel_end_at = now + (uint64_t)tm_conf.fr_timer;
	tm_branch_arm_fr(t, b, false, now); /* RFC 3261, 9.1: no 487 in time means that it is over */
}

/* Whether it was told to stop before or now. */
static void stop(struct tm_txn *t, struct tm_branch *b, struct str reason)
{
	if (!b || tm_branch_final(b) || (b->flags & (TM_B_CANCEL_SENT | TM_B_CANCEL_WANTED)))
		return;
	if (!(b->flags & TM_B_BLIND) && (b->state == TM_S_PROCEEDING || tm_conf.cancel_b_method == 2)) {
		tm_cancel_branch(t, b, reason);
	} else if (tm_conf.cancel_b_method == 0 || (b->flags & TM_B_BLIND)) {
		b->status = 487;
		b->flags |= TM_B_FAKED;
		b->state = TM_S_COMPLETED;
		b->retr_at = b->fr_at = 0;
	} else {
		reason_keep(b, reason);
		b->flags |= TM_B_CANCEL_WANTED;
	}
}

void tm_cancel_branches(struct tm_txn *t, struct str reason, unsigned except)
{
	if (!tm_conf.local_cancel_reason && !t->canceled)
		reason = STR_NULL;
	for (unsigned i = 0; t->method == SIP_M_INVITE && i < t->n_branches; i++)
		if (i != except)
			stop(t, tm_branch_at(t, i), reason);
}

enum tm_after tm_stop_event(struct tm_txn *t, const struct tm_event *ev)
{
	struct str reason = str_of(ev->bytes, ev->len);

	if (ev->flag)
		t->msg_flags |= 1u << (ev->flag - 1);
	if (ev->branch >= TM_BRANCHES_MAX)
		tm_cancel_branches(t, reason, TM_BRANCHES_MAX);
	else if (t->method == SIP_M_INVITE)
		stop(t, tm_branch_at(t, ev->branch), reason);
	return tm_conclude(t); /* cancel_b_method 0: it is over at once */
}

/* The Reason fields of a CANCEL, to be passed on. */
static void copy_reasons(struct str msg, struct strbuf *out)
{
	ptrdiff_t eol;
	bool taking = false;

	while ((eol = str_find(msg, STR_LIT("\r\n"))) > 0) {
		struct str line = str_sub(msg, 0, (size_t)eol + 2);

		if (line.s[0] != ' ' && line.s[0] != '\t')
			taking = str_istarts(line, STR_LIT("Reason:")) || str_istarts(line, STR_LIT("Reason "));
		if (taking)
			strbuf_add(out, line);
		msg = str_sub(msg, line.n, msg.n);
	}
}

enum tm_after tm_cancel_event(struct tm_txn *t, struct str cancel_msg)
{
	char mem[2048];
	struct strbuf sb;

	t->canceled = true;
	if (t->status >= 200)
		return TM_MINE;
	if (t->n_branches == 0 || tm_is_suspended(t)) {
		tm_suspend_end(t);
		(void)tm_uas_reply(t, NULL, 487, STR_LIT("Request canceled"), STR_NULL);
		return TM_MINE;
	}
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	if (tm_conf.e2e_cancel_reason && !(t->flags & TM_T_NO_E2E_REASON))
		copy_reasons(cancel_msg, &sb);
	tm_cancel_branches(t, strbuf_err(&sb) == 0 ? strbuf_str(&sb) : STR_NULL, TM_BRANCHES_MAX);
	return tm_conclude(t);
}

struct cancel_key {
	const struct tm_key *key;
};

static bool match_invite(const struct tm_txn *t, const void *arg)
{
	return tm_key_matches(t, ((const struct cancel_key *)arg)->key, SIP_M_INVITE);
}

static bool any_open(const struct tm_txn *t)
{
	for (unsigned i = 0; i < t->n_branches; i++)
		if (!tm_branch_final(tm_branch_at(t, i)) && !(tm_branch_at(t, i)->flags & TM_B_BLIND))
			return true;
	return false;
}

int tm_relay_cancel(struct ctx *ctx)
{
	struct tm_key key;
	struct cancel_key arg = { &key };
	struct tm_snapshot snap = { 0 };
	struct tm_event *ev;
	struct tm_txn *t = NULL;
	struct str said;
	enum tm_found found;
	bool open;

	if (tm_key_of(ctx, &key) < 0)
		return -400;
	ev = tm_event_new(TM_IN_CANCEL, 0, ctx->msg.buf, &ctx->rx);
	if (!ev)
		return -2;
	found = tm_find(tm_key_hash(&key), match_invite, &arg, TM_TAKE_CLAIM, 0, ev, &t, &snap);
	if (found == TM_ABSENT) {
		shm_free(ev);
		return 2;
	}
	open = found == TM_CLAIMED ? t->status < 200 && any_open(t) : snap.status < 200;
	said = open ? STR_LIT("canceling") : STR_LIT("ok -- no more pending branches");
	/* The CANCEL comes again if the answer is lost; the script may have made a transaction for it. */
	(void)(ctx->txn ? tm_uas_reply(ctx->txn, ctx, 200, said, STR_NULL) : tm_self.hooks->stateless_reply(ctx, 200, said));
	tm_tell_cancel(ctx, 200, said);
	if (found == TM_CLAIMED) {
		enum tm_after after = tm_cancel_event(t, str_of(ev->bytes, ev->len));

		shm_free(ev);
		if (after == TM_MINE)
			tm_run_events(t);
	}
	return 1;
}

int tm_cancel_which(struct ctx *ctx, enum tm_which which)
{
	struct tm_txn *t = ctx->txn;

	if (!t || t->method != SIP_M_INVITE || ctx->msg.kind != SIP_REPLY)
		return -1;
	if (which == TM_THIS)
		stop(t, tm_branch_at(t, ctx->txn_branch), STR_NULL);
	else
		tm_cancel_branches(t, STR_NULL, which == TM_OTHERS ? ctx->txn_branch : TM_BRANCHES_MAX);
	return 1;
}

struct ctx *tm_invite_ctx(struct ctx *ctx)
{
	struct ctx *copy = NULL;
	struct tm_key key;

	if (ctx->msg.method == SIP_M_CANCEL && tm_key_of(ctx, &key) == 0)
		tm_copy_request(tm_key_hash(&key), match_invite, &(struct cancel_key){ &key }, &copy);
	return copy;
}

/* ---- by Call-ID and CSeq, for operators ---- */

struct by_callid {
	struct str callid;
	uint32_t cseq;
	bool invite; /* that one alone */
};

static bool match_callid(const struct tm_txn *t, const void *arg)
{
	const struct by_callid *k = arg;

	/* An INVITE of our own can be cancelled, and answered by nobody here. */
	return (t->method == SIP_M_INVITE || !k->invite) && (k->invite || !(t->flags & TM_T_LOCAL)) && t->cseq == k->cseq &&
	       str_eq(tm_span_str(t, t->callid), k->callid);
}

static bool match_index(const struct tm_txn *t, const void *arg)
{
	const struct tm_name *k = arg;

	return !(t->flags & TM_T_LOCAL) && t->node.hash == k->index && (uint32_t)t->label == k->label;
}

/* Leaves an event or a bit with the transaction, and has a worker look at it. Takes ev. */
static int leave_with(const struct tm_name *name, bool invite, uint16_t pending, struct tm_event *ev, struct tm_snapshot *ret_snap)
{
	struct by_callid k = { name->callid, name->cseq, invite };
	struct tm_key key = { .callid = name->callid, .cseq = name->cseq };
	uint32_t hash = name->callid.n ? tm_key_hash(&key) : name->index;
	struct tm_txn *t = NULL;

	if (tm_find(hash, name->callid.n ? match_callid : match_index, name->callid.n ? (const void *)&k : name, TM_TAKE_LEAVE, pending, ev, &t,
		    ret_snap) != TM_BUSY) {
		shm_free(ev);
		return -ENOENT;
	}
	tm_kick(hash, ret_snap->label);
	return 0;
}

int tm_stop(const struct tm_name *name, unsigned branch, unsigned flag, int cause)
{
	struct tm_snapshot snap = { 0 };
	struct tm_event *ev;
	char text[64];
	int n = cause > 0 ? snprintf(text, sizeof(text), "Reason: SIP;cause=%d\r\n", cause) : 0, err;

	ev = tm_event_new(TM_IN_STOP, branch < TM_BRANCHES_MAX ? (uint8_t)branch : TM_BRANCHES_MAX, str_of(text, n > 0 ? (size_t)n : 0), NULL);
	if (!ev)
		return -ENOMEM;
	ev->flag = (uint16_t)(flag < 32 ? flag + 1 : 0);
	err = leave_with(name, true, 0, ev, &snap);
	return err < 0 ? err : snap.n_branches;
}

static enum tm_found found_status(const struct tm_name *name, struct tm_snapshot *ret_snap)
{
	struct by_callid k = { name->callid, name->cseq, false };
	struct tm_key key = { .callid = name->callid, .cseq = name->cseq };

	if (name->callid.n)
		return tm_find(tm_key_hash(&key), match_callid, &k, TM_TAKE_NOT, 0, NULL, NULL, ret_snap);
	return tm_find(name->index, match_index, name, TM_TAKE_NOT, 0, NULL, NULL, ret_snap);
}

int tm_reply_to(const struct tm_name *name, int code, struct str reason, struct str to_tag, struct str headers, struct str body)
{
	struct tm_answer a = { code, (uint32_t)reason.n, (uint32_t)to_tag.n, (uint32_t)headers.n, (uint32_t)body.n };
	struct tm_snapshot snap = { 0 };
	struct tm_event *ev;
	struct strbuf sb;

	if (found_status(name, &snap) == TM_ABSENT)
		return -ENOENT;
	if (snap.status >= 200)
		return -EALREADY;
	strbuf_init(&sb, 65535);
	strbuf_add(&sb, str_of(&a, sizeof(a)));
	strbuf_add(&sb, reason);
	strbuf_add(&sb, to_tag);
	strbuf_add(&sb, headers);
	strbuf_add(&sb, body);
	ev = strbuf_err(&sb) == 0 ? tm_event_new(TM_IN_ANSWER, 0, strbuf_str(&sb), NULL) : NULL;
	strbuf_done(&sb);
	return ev ? leave_with(name, false, 0, ev, &snap) : -ENOMEM;
}

int tm_retransmit(const struct tm_name *name)
{
	struct tm_snapshot snap = { 0 };

	return leave_with(name, false, TM_P_RESEND, NULL, &snap);
}

static bool match_local(const struct tm_txn *t, const void *arg)
{
	const struct by_callid *k = arg;

	return (t->flags & TM_T_LOCAL) && t->method == SIP_M_INVITE && t->cseq == k->cseq && str_eq(tm_span_str(t, t->callid), k->callid);
}

int tm_uac_ack_by(struct str callid, uint32_t cseq, struct str headers, struct str body)
{
	struct tm_answer a = { .headers = (uint32_t)headers.n, .body = (uint32_t)body.n };
	struct by_callid k = { callid, cseq, true };
	struct tm_key key = { .callid = callid, .cseq = cseq };
	struct tm_snapshot snap = { 0 };
	struct tm_txn *t = NULL;
	struct tm_event *ev;
	struct strbuf sb;

	strbuf_init(&sb, 65535);
	strbuf_add(&sb, str_of(&a, sizeof(a)));
	strbuf_add(&sb, headers);
	strbuf_add(&sb, body);
	ev = strbuf_err(&sb) == 0 ? tm_event_new(TM_IN_ACK, 0, strbuf_str(&sb), NULL) : NULL;
	strbuf_done(&sb);
	if (!ev)
		return -ENOMEM;
	if (tm_find(tm_key_hash(&key), match_local, &k, TM_TAKE_LEAVE, 0, ev, &t, &snap) != TM_BUSY) {
		shm_free(ev);
		return -ENOENT;
	}
	tm_kick(tm_key_hash(&key), snap.label);
	return 0;
}
