/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * t_relay(). It goes in three phases, because two of them may have to wait: the branch routes of all targets run
 * (each a call into the script), then all next hops are looked up (which may ask DNS), then all branches are built and sent. When
 * everything is known, as with an address in $du, it runs through without parking.
 *
 * Branches can also be added to a transaction from outside (t_cell_append_branches()): the same, on a context that no script runs in.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/event/loop.h"
#include "core/tm/tm_priv.h"

#define SUSPEND_MAX_MS 15000u

struct relay_branch {
	struct ctx_target target;
	struct sip_edits edits;
	struct resolve_query query;
	struct resolve_answer answer;
	enum sip_proto force;
	struct sip_msg *msg; /* its own, once its route read the changed message again (tm_branch_msg_own()); NULL: the context's */
	int error;       /* internal code, 0 none */
	bool own_edits, skip, known;
};

typedef void relay_done_fn(struct ctx *ctx, int rc);

struct relay { /* in the ctx's pool, from t_relay() to its end */
	struct tm_relay_opts opts;
	struct ctx_target main;   /* of the ctx, put back after branch routes */
	struct sip_edits edits;
	struct str on_branch;
	struct sip_msg *whole;    /* the context's, while a branch route has its own; NULL */
	struct str received;      /* ... and what goes with it */
	const struct sip_hdr *auth_hdr;
	relay_done_fn *detached;  /* no script runs in the context: told the end */
	unsigned n, i;
	struct relay_branch b[];
};

/* ---- phase 3: build and send ---- */

/* Shows the context the message of a branch, and the next time its own again. */
static void msg_swap(struct ctx *ctx, struct relay_branch *b)
{
	struct sip_msg m;

	if (LIKELY(!b->msg))
		return;
	m = ctx->msg;
	ctx->msg = *b->msg;
	*b->msg = m;
}

static int relay_failed(struct ctx *ctx, const struct tm_relay_opts *opts, int code)
{
	struct tm_txn *t = ctx->txn;

	ctx->last_error = code;
	ctx->mflags &= ~(uint32_t)CTX_F_DELAYED_ERROR; /* set for the wait for DNS */
	if (t && (t->flags & TM_T_DISABLE_INTERNAL_REPLY))
		return -4;
	if (opts && (opts->flags & 2))
		return code;
	/* In a failure route there is an answer already, and what becomes of it is decided when the route ends. */
	if ((t && t->status >= 200) || ctx->kind == CTX_FAILURE)
		return code;
	ctx->mflags |= CTX_F_DELAYED_ERROR;
	if (!tm_conf.delayed_reply && t) {
		(void)tm_reply_error(ctx);
		ctx->mflags &= ~(uint32_t)CTX_F_DELAYED_ERROR;
	}
	return code;
}

/* Failure routes see the Request-URI as it was before the branch routes. */
static void relayed_uri_keep(struct ctx *ctx, struct tm_txn *t, const struct relay *r)
{
	struct str was = r->main.uri.n ? r->main.uri : ctx->msg.ruri;
	struct tm_buf *kept;

	if (str_eq(was, tm_branch_text(tm_branch_at(t, 0), TM_X_URI)))
		return;
	kept = tm_buf_new(was, 0);
	if (kept)
		tm_ref_set(&t->relayed_uri, kept);
	else
		log_error("transaction %08x: its failure routes will see the Request-URI of its first branch: no memory", tm_hash_of(t));
}

static int relay_send(struct ctx *ctx, struct relay *r)
{
	const uint32_t via_flags = CTX_F_VIA_SRVID | CTX_F_VIA_PARAMS | CTX_F_VIA_FIELDS | CTX_F_VIA_REPLY_PARAMS;
	struct tm_txn *t = ctx->txn;
	uint64_t now = clock_ms();
	unsigned first = t->n_branches, n_sent = 0;
	int error = -6;

	if (t->canceled)
		return relay_failed(ctx, &r->opts, -487);
	if (ctx->on_failure.n)
		tm_edits_keep(ctx, t);
	for (unsigned i = 0; i < r->n; i++) {
		struct relay_branch *b = &r->b[i];
		struct tm_new_branch nb = { .target = &b->target, .edits = b->own_edits ? &b->edits : &ctx->edits, .answer = &b->answer,
			.on_reply = ctx->on_reply, .on_failure = ctx->on_failure, .on_branch = r->on_branch,
			.on_branch_failure = ctx->on_branch_failure };
		int rc;

		if (b->skip)
			continue;
		msg_swap(ctx, b);
		rc = b->error ? b->error : tm_branch_add(ctx, t, &nb);
		if (rc < 0)
			error = rc;
		if (rc < 0 && tm_conf.failure_exec_mode && tm_branch_add_blind(ctx, t, &b->target) >= 0)
			tm_branch_at(t, t->n_branches - 1u)->flags |= TM_B_UNSENT;
		msg_swap(ctx, b);
	}
	if (first == 0 && t->n_branches > 0 && (ctx->on_failure.n || ctx->on_reply.n))
		relayed_uri_keep(ctx, t, r);
	if (ctx->kind == CTX_FAILURE && tm_conf.failure_reply_mode != 0 && t->n_branches > first)
		t->leg_first = (uint8_t)first; /* earlier answers are out of the race: a new leg decides */
	for (unsigned i = first; i < t->n_branches; i++) {
		struct tm_branch *b = tm_branch_at(t, i);

		CRASH_POINT("tm.relay.send");
		if (b->flags & TM_B_UNSENT) {
			b->fr_at = now; /* failure_exec_mode: its failure is met by the timer, as if nobody had answered */
			n_sent++;
			continue;
		}
		if (tm_branch_start(t, i, now) == 0) {
			n_sent++;
			continue;
		}
		error = -477;
		if (tm_conf.failure_exec_mode) {
			b->fr_at = now;
			n_sent++;
			continue;
		}
		b->status = 477;
		b->flags |= TM_B_FAKED;
		b->state = TM_S_COMPLETED;
		if (!(r->opts.flags & 4) && tm_branch_failover(t, i))
			n_sent++;
	}
	t->mflags = (t->mflags & ~via_flags) | (ctx->mflags & (via_flags | CTX_F_FORCE_RPORT | CTX_F_LOCAL_RPORT | CTX_F_RECORD_ROUTED));
	t->iflags = ctx->iflags;
	t->vbflags = ctx->vbflags;
	t->msg_flags = ctx->flags;
	if (r->opts.replicate)
		t->flags |= TM_T_REPLICATE;
	ctx->mflags |= CTX_F_RURI_CONSUMED;
	ctx->n_branches = 0;
	if (n_sent == 0) {
		if (first == t->n_branches)
			return relay_failed(ctx, &r->opts, error);
		/* Built, but nothing left: drop the leg, so that the error is the answer. */
		for (unsigned i = first; i < t->n_branches; i++)
			tm_branch_at(t, i)->flags |= TM_B_SUPERSEDED;
		return relay_failed(ctx, &r->opts, error);
	}
	ctx->last_error = 0;
	ctx->mflags &= ~(uint32_t)CTX_F_DELAYED_ERROR;
	return 1;
}

/* ---- phase 2: where to ---- */

static int dns_code(int err)
{
	return err == -EBADMSG || err == -EINVAL ? -479 : -478;
}

static void resolved(void *arg, int err, const struct resolve_answer *answer);

static void give_up(void *arg)
{
	ctx_wake((uint64_t)(uintptr_t)arg, -478);
}

/* Looks up what is still unknown. Returns false when a query is on its way. */
static bool relay_resolve(struct ctx *ctx, struct relay *r, uint64_t *ticket)
{
	for (; r->i < r->n; r->i++) {
		struct relay_branch *b = &r->b[r->i];
		int err;

		if (b->skip || b->known || b->error)
			continue;
		err = resolve_now(&b->query, &b->answer);
		if (err == 0 && b->answer.n) {
			b->known = true;
			continue;
		}
		if (err != -EAGAIN) {
			b->error = -478;
			continue;
		}
		if (*ticket == 0)
			*ticket = ctx_park(ctx, SUSPEND_MAX_MS, -478);
		if (*ticket == 0) { /* nowhere to wait: as if the name did not exist */
			b->error = -478;
			continue;
		}
		if (resolve_ask(&b->query, resolved, (void *)(uintptr_t)*ticket) == 0)
			return false;
		b->error = -478;
	}
	return true;
}

static struct relay *relay_of(struct ctx *ctx)
{
	return ctx->modstate[tm_self.ms_relay];
}

static void resolved(void *arg, int err, const struct resolve_answer *answer)
{
	uint64_t ticket = (uint64_t)(uintptr_t)arg;
	struct ctx *ctx = ctx_of_ticket(ticket);
	struct relay *r = ctx ? relay_of(ctx) : NULL;

	if (!r || r->i >= r->n)
		return;
	if (err < 0 || answer->n == 0) {
		r->b[r->i].error = -478;
	} else {
		r->b[r->i].answer = *answer;
		r->b[r->i].known = true;
	}
	r->i++;
	if (relay_resolve(ctx, r, &ticket))
		ctx_wake(ticket, relay_send(ctx, r));
}

static int relay_lookup(struct ctx *ctx, struct relay *r)
{
	uint64_t ticket = 0;

	for (unsigned i = 0; i < r->n; i++) {
		struct relay_branch *b = &r->b[i];
		int err = 0;

		if (b->skip)
			continue;
		msg_swap(ctx, b);
		if (r->opts.host.n)
			b->query = (struct resolve_query){ .host = r->opts.host, .port = r->opts.port,
				.proto = r->opts.proto != SIP_PROTO_NONE ? r->opts.proto : ctx->rx.proto };
		else
			err = out_query(out_next_hop(ctx, &b->target), r->opts.proto, &b->query);
		msg_swap(ctx, b);
		if (err < 0)
			b->error = dns_code(err);
	}
	r->i = 0;
	if (!relay_resolve(ctx, r, &ticket)) {
		ctx->last_error = -478; /* what it is when the wait runs out */
		ctx->mflags |= CTX_F_DELAYED_ERROR;
		return TM_SUSPEND;
	}
	if (ticket) {
		/* Parked, but no query could be started: it goes on in the next turn. */
		ctx->last_error = -478;
		ctx->mflags |= CTX_F_DELAYED_ERROR;
		if (loop_defer(loop_self(), give_up, (void *)(uintptr_t)ticket) < 0)
			log_error("t_relay: no memory to go on at once");
		return TM_SUSPEND;
	}
	return relay_send(ctx, r);
}

/* ---- phase 1: branch routes ---- */

static int edits_clone(struct pool *pool, const struct sip_edits *from, struct sip_edits *to)
{
	struct sip_edit **tail = &to->head;

	*to = *from;
	to->head = NULL;
	for (const struct sip_edit *e = from->head; e; e = e->next) {
		struct sip_edit *c = pool_alloc(pool, sizeof(*c));

		if (!c)
			return -ENOMEM;
		*c = *e;
		c->next = NULL;
		*tail = c;
		tail = &c->next;
	}
	return 0;
}

int tm_branch_msg_own(struct ctx *ctx)
{
	struct relay *r = ctx->kind == CTX_BRANCH ? relay_of(ctx) : NULL;

	if (!r)
		return -ENOENT;
	if (r->whole)
		return 0;
	r->whole = pool_alloc(ctx->pool, sizeof(*r->whole));
	if (!r->whole)
		return -ENOMEM;
	*r->whole = ctx->msg;
	r->received = ctx->received;
	r->auth_hdr = ctx->auth_hdr;
	return 0;
}

/* The route read its message again: that one is the branch's, the others go on with what there was. */
static void branch_msg_keep(struct ctx *ctx, struct relay *r, struct relay_branch *b)
{
	struct sip_msg own = ctx->msg;

	if (b->target.uri.n == 0)
		b->target.uri = own.ruri;
	ctx->msg = *r->whole;
	ctx->received = r->received;
	ctx->auth_hdr = r->auth_hdr;
	*r->whole = own;
	b->msg = r->whole;
	r->whole = NULL;
}

static int relay_branches(struct ctx *ctx, struct relay *r);

static int branch_routed(struct ctx *ctx, int rc, void *arg)
{
	struct relay *r = arg;
	struct relay_branch *b = &r->b[r->i];

	(void)rc; /* a branch route's code does not count, its drop does */
	b->skip = (ctx->mflags & CTX_F_DROP) != 0;
	ctx->mflags &= ~(uint32_t)CTX_F_DROP;
	b->target = ctx->main;
	b->edits = ctx->edits;
	b->own_edits = true;
	if (UNLIKELY(r->whole))
		branch_msg_keep(ctx, r, b);
	ctx->main = r->main;
	ctx->edits = r->edits;
	r->i++;
	return relay_branches(ctx, r);
}

static void detached_end(struct ctx *ctx, int rc)
{
	if (rc != TM_CALL && rc != TM_SUSPEND)
		relay_of(ctx)->detached(ctx, rc);
}

static void detached_routed(struct ctx *ctx, int rc)
{
	ctx->resume = detached_end;
	detached_end(ctx, branch_routed(ctx, rc, relay_of(ctx)));
}

static int branch_route_run(struct ctx *ctx, struct relay *r)
{
	if (LIKELY(!r->detached))
		return tm_self.hooks->call_route(ctx, CTX_BRANCH, r->on_branch, branch_routed, r);
	ctx->finished = detached_routed;
	return tm_self.hooks->run_route(ctx, CTX_BRANCH, r->on_branch) == 0 ? TM_CALL : -ENOENT;
}

static int relay_branches(struct ctx *ctx, struct relay *r)
{
	while (r->on_branch.n && r->i < r->n) {
		struct relay_branch *b = &r->b[r->i];
		struct sip_edits own;
		int rc;

		if (edits_clone(ctx->pool, &r->edits, &own) < 0)
			return relay_failed(ctx, &r->opts, -2);
		ctx->main = b->target;
		ctx->edits = own;
		ctx->txn_branch = (uint8_t)(ctx->txn->n_branches + r->i);
		rc = branch_route_run(ctx, r);
		if (rc == TM_CALL)
			return rc;
		ctx->main = r->main;
		ctx->edits = r->edits;
		r->i++; /* no such route in this generation of the script */
	}
	return relay_lookup(ctx, r);
}

/* ---- t_relay() ---- */

static int relay_start(struct ctx *ctx, const struct tm_relay_opts *opts, relay_done_fn *detached)
{
	struct tm_txn *t = ctx->txn;
	bool with_main = !(ctx->mflags & CTX_F_RURI_CONSUMED) || (opts && opts->host.n && ctx->n_branches == 0);
	unsigned n = ctx->n_branches + (with_main ? 1u : 0u), k = 0;
	struct relay *r;

	if (n == 0)
		return relay_failed(ctx, opts, -6);
	if (n > (unsigned)tm_conf.max_branches || t->n_branches + n > TM_BRANCHES_MAX)
		return relay_failed(ctx, opts, -12);
	r = pool_zalloc(ctx->pool, sizeof(*r) + n * sizeof(r->b[0]));
	if (!r)
		return relay_failed(ctx, opts, -2);
	if (opts)
		r->opts = *opts;
	r->n = n;
	r->detached = detached;
	r->main = ctx->main;
	r->edits = ctx->edits;
	r->on_branch = ctx->on_branch;
	if (with_main)
		r->b[k++].target = ctx->main;
	for (unsigned i = 0; i < ctx->n_branches; i++)
		r->b[k++].target = ctx->branch[i];
	ctx->modstate[tm_self.ms_relay] = r;
	return relay_branches(ctx, r);
}

/* A timer in seconds from an attribute; 0: there is none that makes sense. */
static uint32_t avp_ms(struct ctx *ctx, struct str name)
{
	const struct avp *a = avp_find(ctx->avps.head[AVP_PLAIN], name, 0, false);
	uint32_t s = 0;

	if (!a)
		return 0;
	if (a->value.kind == VALUE_INT)
		return a->value.i > 0 && a->value.i <= 86400 ? (uint32_t)a->value.i * 1000 : 0;
	if (a->value.kind != VALUE_STR || num_u32(a->value.s, &s) < 0 || s > 86400)
		return 0;
	return s * 1000;
}

int tm_relay(struct ctx *ctx, const struct tm_relay_opts *opts)
{
	struct tm_txn *t;

	if (ctx->msg.kind != SIP_REQUEST)
		return -1;
	if (!tm_self.hooks->may_forward(ctx))
		return -1;
	if (ctx->msg.method == SIP_M_ACK && !ctx->txn) {
		tm_tell_ack(ctx);
		return tm_self.hooks->forward_request(ctx, opts);
	}
	if (ctx->msg.method == SIP_M_CANCEL && !(ctx->txn && ctx->txn->n_branches)) {
		int rc = tm_relay_cancel(ctx);

		if (rc != 2 || (opts && opts->cancel_only))
			return rc;
		if (tm_conf.unmatched_cancel == 2)
			return 1;
		if (tm_conf.unmatched_cancel == 1)
			return tm_self.hooks->forward_request(ctx, opts);
	}
	if (!ctx->txn) {
		int rc = tm_newtran(ctx);

		if (rc == 0)
			return 1; /* a retransmission: its last answer was sent again */
		if (rc < 0)
			return relay_failed(ctx, opts, rc);
	}
	t = ctx->txn;
	if (t->canceled && t->status < 200) {
		(void)relay_failed(ctx, opts, -487); /* the answer is 487, the script sees a plain failure */
		return -1;
	}
	if (UNLIKELY(tm_conf.fr_timer_avp.n) && !ctx->fr_ms)
		ctx->fr_ms = avp_ms(ctx, tm_conf.fr_timer_avp);
	if (UNLIKELY(tm_conf.fr_inv_timer_avp.n) && !ctx->fr_inv_ms)
		ctx->fr_inv_ms = avp_ms(ctx, tm_conf.fr_inv_timer_avp);
	if (ctx->fr_ms)
		t->fr_ms = ctx->fr_ms;
	if (ctx->fr_inv_ms)
		t->fr_inv_ms = ctx->fr_inv_ms;
	if (!(opts && (opts->flags & 1)))
		tm_uas_trying(ctx, t);
	return relay_start(ctx, opts, NULL);
}

void tm_relay_detached(struct ctx *ctx, const struct tm_relay_opts *opts, void (*done)(struct ctx *ctx, int rc))
{
	int rc;

	ctx->resume = detached_end;
	rc = relay_start(ctx, opts, done);
	if (rc != TM_CALL && rc != TM_SUSPEND)
		done(ctx, rc);
}
