/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of our own. Any process may start one: a worker sends it, and the answer, which may reach any worker, is brought back to
 * the process that asked, by its ring. The callback stays in that process in a table of waiting callers; shared memory holds
 * only its number. A caller that died is not missed: its slot's next process knows the number no more.
 *
 * An INVITE is one of them: its failures are acknowledged as those of any branch, its 2xx by uac_ack.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/base/strbuf.h"
#include "core/event/doorbell.h"
#include "core/tm/tm_priv.h"
#include "shm/slot.h"

#define WAITING_MAX 4096u
#define WAITING_MS 600000u /* beyond all timers of a transaction */

enum uac_op { UAC_START = 1, UAC_ANSWER, UAC_KICK };

struct uac_head { /* of a ring message; texts follow in this order */
	uint32_t op, slot, id, fr_ms, fr_inv_ms;
	int32_t code;
	uint16_t listener, no_ack;
	uint32_t hash;
	uint64_t label;
	uint32_t next_hop, request; /* lengths */
};

static struct {
	struct { tm_uac_fn *fn; void *arg; uint32_t gen; bool used; uint64_t since_ms; } w[WAITING_MAX];
	unsigned next;
} waiting;

struct uac_work { /* heap: a request on its way out */
	struct ctx *ctx;
	uint32_t slot, id, fr_ms, fr_inv_ms;
	bool no_ack;
	uint16_t listener;
	struct str next_hop; /* in ctx's pool */
};

/* ---- callers that wait ---- */

static uint32_t wait_add(tm_uac_fn *fn, void *arg)
{
	for (unsigned k = 0; k < WAITING_MAX; k++) {
		unsigned i = (waiting.next + k) % WAITING_MAX;

		/* Who has not been answered by now asked a worker that died. */
		if (waiting.w[i].used && clock_ms() > waiting.w[i].since_ms + WAITING_MS) {
			waiting.w[i].used = false;
			if (waiting.w[i].fn)
				waiting.w[i].fn(waiting.w[i].arg, 408, NULL);
		}
		if (waiting.w[i].used)
			continue;
		waiting.next = i + 1;
		waiting.w[i].used = true;
		waiting.w[i].fn = fn;
		waiting.w[i].arg = arg;
		waiting.w[i].since_ms = clock_ms();
		waiting.w[i].gen = (uint32_t)rng_u64() & 0xfffff;
		return waiting.w[i].gen << 12 | i;
	}
	return 0xffffffffu;
}

static void deliver(uint32_t id, int code, struct str reply)
{
	unsigned i = id & (WAITING_MAX - 1);
	struct ctx *ctx = NULL;
	struct rx_info rx = { .proto = SIP_PROTO_UDP };

	if (!waiting.w[i].used || waiting.w[i].gen != id >> 12)
		return;
	waiting.w[i].used = false;
	if (!waiting.w[i].fn)
		return;
	if (reply.n)
		ctx = ctx_from_bytes(reply, &rx);
	waiting.w[i].fn(waiting.w[i].arg, code, ctx ? &ctx->msg : NULL);
	if (ctx)
		ctx_free(ctx);
}

static void answer_to(uint32_t slot, uint32_t id, int code, struct str reply)
{
	struct uac_head h = { .op = UAC_ANSWER, .id = id, .code = code };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)reply.s, reply.n } };

	if ((int)slot == shm_slot_self())
		deliver(id, code, reply);
	else if (doorbell_send(slot, DOORBELL_TM_EVENT, iov, 2) < 0)
		log_info("answer %d for process %u cannot be handed over", code, slot);
}

void tm_uac_answer(struct tm_txn *t, int code, struct str reply)
{
	answer_to(t->uac_slot, t->uac_id, code, reply);
}

/* ---- sending, in a worker ---- */

static void work_fail(struct uac_work *w, int code)
{
	answer_to(w->slot, w->id, code, STR_NULL);
	ctx_free(w->ctx);
	free(w);
}

static void work_send(struct uac_work *w, const struct resolve_answer *a)
{
	struct ctx *ctx = w->ctx;
	struct tm_new_branch nb = { .target = &ctx->main, .edits = &ctx->edits, .answer = a, .keep_via1 = true };
	struct tm_branch *b;
	struct tm_txn *t;
	int i;

	if (w->listener != NET_LISTENER_NONE)
		ctx->main.listener = w->listener;
	t = tm_txn_local(ctx, w->slot, w->id);
	if (!t) {
		work_fail(w, 500);
		return;
	}
	t->fr_ms = w->fr_ms;
	t->fr_inv_ms = w->fr_inv_ms;
	if (w->no_ack)
		t->flags |= TM_T_NO_2XX_ACK;
	ctx->txn = t;
	i = tm_branch_add(ctx, t, &nb);
	b = i >= 0 ? tm_branch_at(t, (unsigned)i) : NULL;
	if (!b || tm_branch_send(t, b) < 0) {
		ctx->txn = NULL;
		tm_txn_destroy(t);
		work_fail(w, i == -478 ? 478 : 477);
		return;
	}
	tm_branch_arm_fr(t, b, false, clock_ms());
	if (b->dest.proto == SIP_PROTO_UDP) {
		b->retr_ms = (uint16_t)tm_t1(t);
		b->retr_at = clock_ms() + b->retr_ms;
	}
	tm_stat(TM_ST_LOCAL, 1);
	tm_let_go(ctx);
	ctx_free(ctx);
	free(w);
}

static void work_resolved(void *arg, int err, const struct resolve_answer *answer)
{
	if (err < 0 || answer->n == 0)
		work_fail(arg, 478);
	else
		work_send(arg, answer);
}

static void work_resolve(struct uac_work *w)
{
	struct resolve_query q = { 0 };
	struct resolve_answer a;
	struct str hop = w->next_hop.n && !w->ctx->main.dst_uri.n ? w->next_hop : out_next_hop(w->ctx, &w->ctx->main);
	int err = out_query(hop, SIP_PROTO_NONE, &q);

	if (err == 0)
		err = resolve_now(&q, &a);
	if (err == 0 && a.n)
		work_send(w, &a);
	else if (err != -EAGAIN || resolve_ask(&q, work_resolved, w) < 0)
		work_fail(w, 478);
}

static void local_request_done(struct ctx *ctx, int rc)
{
	struct uac_work *w = ctx->finished_arg;

	(void)rc; /* the event route may change the request, not refuse it */
	ctx->finished_arg = NULL;
	work_resolve(w);
}

/* ---- the request ---- */

static bool has_field(struct str headers, const char *name)
{
	size_t n = strlen(name);

	if (str_istarts(headers, str_of(name + 2, n - 2)))
		return true;
	return str_ifind(headers, str_lit(name)) >= 0;
}

#define ANY_VIA "Via: SIP/2.0/UDP 0.0.0.0;branch=z9hG4bK\r\n" /* sip_msg_check() asks for one; what is sent gets its own */

/* Writes the request as the caller has it, and what he left out. */
static void write_draft(const struct tm_uac_req *req, struct strbuf *sb)
{
	strbuf_printf(sb, "%.*s %.*s SIP/2.0\r\n" ANY_VIA, STR_FMT(req->method), STR_FMT(req->ruri));
	strbuf_add(sb, req->headers);
	if (req->headers.n && !str_ends(req->headers, STR_LIT("\n")))
		strbuf_add_lit(sb, "\r\n");
	if (!has_field(req->headers, "\r\nCall-ID:") && !has_field(req->headers, "\r\ni:")) {
		strbuf_add_lit(sb, "Call-ID: ");
		if (req->callid.n) {
			strbuf_add(sb, req->callid);
		} else {
			uint64_t r[2] = { rng_u64(), rng_u64() };

			strbuf_add_hex(sb, r, sizeof(r));
		}
		strbuf_add_lit(sb, "\r\n");
	}
	if (!has_field(req->headers, "\r\nCSeq:"))
		strbuf_printf(sb, "CSeq: %u %.*s\r\n", req->cseq ? req->cseq : 10, STR_FMT(req->method));
	if (!has_field(req->headers, "\r\nMax-Forwards:"))
		strbuf_add_lit(sb, "Max-Forwards: 70\r\n");
	if (out_conf.user_agent.n && !has_field(req->headers, "\r\nUser-Agent:")) {
		strbuf_add(sb, out_conf.user_agent);
		strbuf_add_lit(sb, "\r\n");
	}
	if (!has_field(req->headers, "\r\nContent-Length:") && !has_field(req->headers, "\r\nl:"))
		strbuf_printf(sb, "Content-Length: %zu\r\n", req->body.n);
	strbuf_add_lit(sb, "\r\n");
	strbuf_add(sb, req->body);
}

/* Is it what we would take from others, and no more in it than was meant? */
static int check_draft(const struct tm_uac_req *req, struct str draft, struct sip_msg *msg, struct diag *reterr)
{
	int err = sip_msg_check(msg, reterr);

	if (err < 0)
		return err;
	if (!str_eq(msg->method_name, req->method) || !str_eq(msg->ruri, req->ruri))
		return diag_set(reterr, 0, "method and URI are no start line");
	if (sip_msg_hdr_count(msg, STR_LIT("Via")) > 1)
		return diag_set(reterr, 0, "Via is not the caller's");
	if (msg->body_off + req->body.n != draft.n)
		return diag_set(reterr, 0, "empty line");
	if (msg->content_length != req->body.n)
		return diag_set(reterr, 0, "Content-Length mis-match");
	return 0;
}

/* Writes the request without its Via. Returns 0 or diag_set(). */
static int write_request(const struct tm_uac_req *req, struct strbuf *out, struct diag *reterr)
{
	struct pool *pool = pool_new(1 << 17);
	struct strbuf sb;
	struct sip_msg msg;
	struct str draft, from;
	size_t head, tag;
	int err = pool ? 0 : -ENOMEM;

	strbuf_init(&sb, 65535);
	write_draft(req, &sb);
	draft = strbuf_str(&sb);
	if (err == 0 && strbuf_err(&sb) < 0)
		err = diag_err(reterr, -EMSGSIZE, 0, "request too long");
	if (err == 0)
		err = sip_msg_parse(pool, draft, &msg, reterr);
	if (err == 0)
		err = check_draft(req, draft, &msg, reterr);
	if (err == 0) {
		from = sip_msg_hdr(&msg, SIP_H_FROM)->value;
		head = msg.headers_off + sizeof(ANY_VIA) - 1;
		tag = (size_t)(from.s + from.n - draft.s);
		strbuf_add(out, str_sub(draft, 0, msg.headers_off));
		strbuf_add(out, str_sub(draft, head, tag - head));
		if (sip_msg_from(&msg)->tag.n == 0) { /* RFC 3261, 8.1.1.3 */
			uint64_t r = rng_u64();

			strbuf_add_lit(out, ";tag=");
			strbuf_add_hex(out, &r, sizeof(r));
		}
		strbuf_add(out, str_sub(draft, tag, draft.n));
		if (strbuf_err(out) < 0)
			err = diag_err(reterr, -EMSGSIZE, 0, "request too long");
	}
	strbuf_done(&sb);
	pool_free(pool);
	return err;
}

/* Takes what the ring brought, or the caller in this process: head, next hop, the request. */
static int start_here(const struct uac_head *h, struct str next_hop, struct str request, struct diag *reterr)
{
	struct rx_info rx = { .proto = SIP_PROTO_NONE, .listener = NET_LISTENER_NONE, .rx_us = clock_now_us(), .wall_s = clock_wall_s() };
	struct uac_work *w = calloc(1, sizeof(*w));

	if (!w)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	w->ctx = ctx_from_bytes(request, &rx);
	if (!w->ctx) {
		free(w);
		return diag_err(reterr, -ENOMEM, 0, "no memory for the request");
	}
	w->ctx->mflags |= CTX_F_NO_REPLY;
	w->slot = h->slot;
	w->id = h->id;
	w->fr_ms = h->fr_ms;
	w->fr_inv_ms = h->fr_inv_ms;
	w->no_ack = h->no_ack != 0;
	w->listener = h->listener;
	w->next_hop = next_hop.n ? str_dup(w->ctx->pool, next_hop) : STR_NULL;
	if (tm_self.hooks->has_route(CTX_EVENT, STR_LIT("tm:local-request"))) {
		w->ctx->finished = local_request_done;
		w->ctx->finished_arg = w;
		if (tm_self.hooks->run_route(w->ctx, CTX_EVENT, STR_LIT("tm:local-request")) == 0)
			return 0;
		w->ctx->finished = NULL;
	}
	work_resolve(w);
	return 0;
}

/* ---- between processes ---- */

static unsigned some_worker(void)
{
	unsigned from = rng_below(SHM_SLOTS_MAX);

	for (unsigned k = 0; k < SHM_SLOTS_MAX; k++) {
		struct shm_slot_info info;
		unsigned i = (from + k) % SHM_SLOTS_MAX;

		if (shm_slot_info(i, &info) == 0 && info.kind == SHM_SLOT_WORKER && info.state == SHM_SLOT_ACTIVE)
			return i;
	}
	return 0;
}

static bool here_is_worker(void)
{
	struct shm_slot_info info;
	int self = shm_slot_self();

	return self >= 0 && shm_slot_info((unsigned)self, &info) == 0 && info.kind != SHM_SLOT_RPCD && info.kind != SHM_SLOT_SUPERVISOR;
}

static int hand_over(const struct uac_head *h, struct str next_hop, struct str request, struct diag *reterr)
{
	struct iovec iov[3] = { { (void *)(uintptr_t)h, sizeof(*h) }, { (void *)(uintptr_t)next_hop.s, next_hop.n },
				{ (void *)(uintptr_t)request.s, request.n } };
	unsigned worker = some_worker();
	int err = worker ? doorbell_send(worker, DOORBELL_TM_EVENT, iov, 3) : -ESRCH;

	return err < 0 ? diag_err(reterr, err, 0, "no worker takes it") : 0;
}

int tm_uac_start(const struct tm_uac_req *req, tm_uac_fn *done, void *arg, struct diag *reterr)
{
	struct uac_head h = { .op = UAC_START, .slot = (uint32_t)shm_slot_self(), .fr_ms = req->fr_ms, .fr_inv_ms = req->fr_inv_ms,
		.no_ack = req->no_ack, .listener = req->listener, .next_hop = (uint32_t)req->next_hop.n };
	struct strbuf text;
	int err;

	if (str_eq(req->method, STR_LIT("ACK")) || str_eq(req->method, STR_LIT("CANCEL")))
		return diag_err(reterr, -ENOTSUP, 0, "%.*s cannot be sent from here", STR_FMT(req->method));
	strbuf_init(&text, 65535);
	err = write_request(req, &text, reterr);
	if (err < 0)
		goto out;
	h.request = (uint32_t)text.n;
	h.id = wait_add(done, arg);
	if (h.id == 0xffffffffu) {
		err = diag_err(reterr, -EBUSY, 0, "too many requests of our own are waiting");
		goto out;
	}
	err = here_is_worker() ? start_here(&h, req->next_hop, strbuf_str(&text), reterr) : hand_over(&h, req->next_hop, strbuf_str(&text), reterr);
	if (err < 0)
		waiting.w[h.id & (WAITING_MAX - 1)].used = false;
out:
	strbuf_done(&text);
	return err < 0 ? err : 0;
}

void tm_kick(uint32_t hash, uint64_t label)
{
	struct uac_head h = { .op = UAC_KICK, .hash = hash, .label = label };
	struct iovec iov = { &h, sizeof(h) };
	unsigned worker = some_worker();

	if (!worker || doorbell_send(worker, DOORBELL_TM_EVENT, &iov, 1) < 0)
		log_info("no worker takes the event of transaction %08x: its next timer does", hash);
}

bool tm_in_worker(void)
{
	return here_is_worker();
}

static bool match_label(const struct tm_txn *t, const void *arg)
{
	return t->label == ((const struct uac_head *)arg)->label;
}

static void on_ring(unsigned from, const void *data, size_t len)
{
	struct uac_head h;
	struct str rest;
	struct diag why = { 0 };
	struct tm_txn *txn = NULL;

	if (len < sizeof(h))
		return;
	memcpy(&h, data, sizeof(h));
	rest = str_of((const char *)data + sizeof(h), len - sizeof(h));
	switch (h.op) {
	case UAC_ANSWER:
		deliver(h.id, h.code, rest);
		return;
	case UAC_KICK:
		if (tm_find(h.hash, match_label, &h, TM_TAKE_CLAIM, 0, NULL, &txn, NULL) == TM_CLAIMED)
			tm_run_events(txn);
		return;
	case UAC_START:
		if ((uint64_t)h.next_hop + h.request != rest.n)
			return;
		if (start_here(&h, str_sub(rest, 0, h.next_hop), str_sub(rest, h.next_hop, rest.n), &why) < 0) {
			log_info("request of process %u not sent: %s", from, why.text);
			answer_to(h.slot, h.id, 500, STR_NULL);
		}
		return;
	default:
		return;
	}
}

int tm_uac_init(void)
{
	doorbell_handle(DOORBELL_TM_EVENT, on_ring);
	return 0;
}

int tm_uac_worker_init(struct loop *loop)
{
	/* The handler table is per process and inherited; a slot taken over must not answer for its predecessor. */
	memset(&waiting, 0, sizeof(waiting));
	return loop ? 0 : -EINVAL;
}
