/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client side: t_relay(). It goes in three phases, because two of them may have to wait: the branch routes of all targets run
 * (each a call into the script), then all next hops are looked up (which may ask DNS), then all branches are built and sent. When
 * everything is known, as with an address in $du, it runs through without parking.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/event/loop.h"
#include "core/tm/tm_priv.h"

#define SUSPEND_MAX_MS 15000u

struct relay_branch {
	struct ctx_target target;
	struct sip_edits edits;
	struct resolve_query query;
	struct resolve_answer answer;
	enum sip_proto force;
	int error;       /* internal code, 0 none */
	bool own_edits, skip, known;
};

struct relay { /* in the ctx's pool, from t_relay() to its end */
	struct tm_relay_opts opts;
	struct ctx_target main;   /* of the ctx, put back after branch routes */
	struct sip_edits edits;
	struct str on_branch;
	unsigned n, i;
	int rc;
	struct relay_branch b[];
};

unsigned tm_t1(const struct tm_txn *t)
{
	return t->t1_ms ? t->t1_ms : (unsigned)tm_conf.retr_timer1;
}

unsigned tm_t2(const struct tm_txn *t)
{
	return t->t2_ms ? t->t2_ms : (unsigned)tm_conf.retr_timer2;
}

struct str tm_branch_text(const struct tm_branch *b, enum tm_text x)
{
	size_t off = 0;

	for (unsigned i = 0; i < x; i++)
		off += b->text_len[i];
	return str_of(b->bytes + off, b->text_len[x]);
}

struct str tm_branch_sent(const struct tm_branch *b)
{
	size_t off = 0;

	for (unsigned i = 0; i < TM_X_N; i++)
		off += b->text_len[i];
	return str_of(b->bytes + off, b->sent_len);
}

void tm_branch_arm_fr(struct tm_txn *t, struct tm_branch *b, bool invite_answered, uint64_t now)
{
	uint64_t life = t->method == SIP_M_INVITE ? t->life_inv_ms : t->life_other_ms;
	uint64_t wait = invite_answered ? (t->fr_inv_ms ? t->fr_inv_ms : (unsigned)tm_conf.fr_inv_timer)
					: (t->fr_ms ? t->fr_ms : (unsigned)tm_conf.fr_timer);

	b->fr_at = now + wait;
	if (b->fr_at > t->created_ms + life)
		b->fr_at = t->created_ms + life > now ? t->created_ms + life : now + 1;
}

int tm_branch_send(struct tm_txn *t, struct tm_branch *b)
{
	struct str sent = tm_branch_sent(b);
	int err = b->flags & TM_B_BLIND ? 0 : tx_send_bytes(&b->dest, sent.s, sent.n);

	if (err < 0) {
		char to[NET_ADDR_TEXT_MAX];

		log_info("transaction %08x: not sent to %.*s: %s", tm_hash_of(t), (int)net_addr_text(&b->dest.to, to), to, strerror(-err));
	}
	return err;
}

void tm_branch_extra(const struct tm_branch *b, struct strbuf *out)
{
	struct str rest = tm_branch_sent(b);
	bool taking = false;
	ptrdiff_t eol;

	if (LIKELY(tm_conf.ac_extra_hdrs.n == 0))
		return;
	for (; (eol = str_find(rest, STR_LIT("\r\n"))) > 0; rest = str_sub(rest, (size_t)eol + 2, rest.n)) {
		struct str line = str_sub(rest, 0, (size_t)eol + 2);

		if (line.s[0] != ' ' && line.s[0] != '\t') /* a folded line goes with the field before it */
			taking = str_istarts(line, tm_conf.ac_extra_hdrs);
		if (taking)
			strbuf_add(out, line);
	}
}

void tm_branch_ack(struct tm_branch *b, struct str reply_to)
{
	struct strbuf extra;
	struct sip_out out;

	strbuf_init_pool(&extra, tm_self.pool, 8192);
	tm_branch_extra(b, &extra);
	if (strbuf_err(&extra) < 0 || sip_build_local(tm_self.pool, tm_branch_sent(b), SIP_M_ACK, reply_to, strbuf_str(&extra), &out) < 0 ||
	    tx_send(&b->dest, out.iov, out.n_iov) < 0)
		log_debug("an ACK was not sent: the final reply comes again");
	pool_reset(tm_self.pool);
}

/* ---- one branch ---- */

static struct tm_branch *branch_alloc(const struct str text[TM_X_N], size_t sent)
{
	size_t n = sent;
	struct tm_branch *b;
	char *p;

	for (unsigned i = 0; i < TM_X_N; i++) {
		if (text[i].n > UINT16_MAX)
			return NULL;
		n += text[i].n;
	}
	b = shm_alloc(sizeof(*b) + n);
	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	p = b->bytes;
	for (unsigned i = 0; i < TM_X_N; i++) {
		b->text_len[i] = (uint16_t)text[i].n;
		if (text[i].n)
			memcpy(p, text[i].s, text[i].n);
		p += text[i].n;
	}
	b->sent_len = (uint32_t)sent;
	return b;
}

static void branch_link(struct tm_txn *t, struct tm_branch *b)
{
	t->branch[t->n_branches] = shm_ref_of(b);
	CRASH_POINT("tm.branch.stored");
	t->n_branches++;
	CRASH_POINT("tm.branch.counted");
	shm_publish(b);
	if (b->alts)
		shm_publish(shm_ptr(b->alts));
}

static int branch_build(struct ctx *ctx, struct tm_txn *t, const struct tm_new_branch *nb, const struct resolve_target *rt, struct sip_out *out,
			struct tx_dest *ret_dest)
{
	char id[40];
	struct out_request req = { .edits = nb->edits, .ruri = nb->target->uri, .path = nb->target->path, .keep_via1 = nb->keep_via1 };
	enum sip_proto proto = rt->proto, fits = proto;

	do { /* twice at most: what is too long for UDP is not measured again */
		int err;

		proto = fits;
		req.from = net_listener_for(proto, &rt->addr, nb->target->listener);
		if (!req.from)
			return -7;
		tm_branch_id(t, t->n_branches, id);
		req.branch = str_dup(ctx->pool, str_of(id, 35));
		err = req.branch.s ? out_request_build(ctx, &req, out) : -ENOMEM;
		if (err < 0)
			return err == -EMSGSIZE ? -477 : -2;
		fits = out_mtu_proto(ctx, proto, out->bytes, &rt->addr);
	} while (fits != proto);
	*ret_dest = (struct tx_dest){ .to = rt->addr, .listener = req.from->index, .proto = (uint8_t)proto, .conn_id = nb->target->conn_id };
	if (ctx->mflags & CTX_F_FWD_NO_CONNECT)
		ret_dest->flags |= TX_NO_CONNECT;
	if (ctx->mflags & CTX_F_FWD_CLOSE)
		ret_dest->flags |= TX_CLOSE_AFTER;
	return 0;
}

int tm_branch_add(struct ctx *ctx, struct tm_txn *t, const struct tm_new_branch *nb)
{
	const struct ctx_target *g = nb->target;
	struct str uri = g->uri.n ? g->uri : ctx->msg.ruri;
	struct str text[TM_X_N] = { [TM_X_URI] = uri, [TM_X_DST] = g->dst_uri, [TM_X_PATH] = g->path, [TM_X_RUID] = g->ruid,
		[TM_X_INSTANCE] = g->instance, [TM_X_ON_REPLY] = nb->on_reply, [TM_X_ON_FAILURE] = nb->on_failure,
		[TM_X_ON_BRANCH_FAILURE] = nb->on_branch_failure };
	const struct resolve_answer *a = nb->answer;
	struct tm_branch *b;
	struct sip_out out;
	struct tx_dest dest;
	int err = -478;
	unsigned used;

	if (t->n_branches >= TM_BRANCHES_MAX)
		return -12;
	for (used = 0; used < a->n; used++) {
		err = branch_build(ctx, t, nb, &a->target[used], &out, &dest);
		if (err != -7)
			break;
	}
	if (err < 0)
		return err;
	b = branch_alloc(text, out.bytes);
	if (!b)
		return -2;
	b->machine = t->method == SIP_M_INVITE ? TM_UAC_INVITE : TM_UAC_OTHER;
	b->dest = dest;
	b->bflags = g->bflags;
	sip_out_copy(&out, b->bytes + (tm_branch_sent(b).s - b->bytes));
	if (used + 1 < a->n && tm_conf.dns_failover) {
		struct tm_buf *alts = tm_buf_new(str_of(a->target + used + 1, sizeof(a->target[0]) * (a->n - used - 1)), 0);

		b->alts = shm_ref_of(alts);
	}
	branch_link(t, b);
	return t->n_branches - 1;
}

int tm_branch_add_blind(struct ctx *ctx, struct tm_txn *t, const struct ctx_target *g)
{
	struct str text[TM_X_N] = { [TM_X_URI] = g->uri.n ? g->uri : ctx->msg.ruri, [TM_X_DST] = g->dst_uri, [TM_X_PATH] = g->path, [TM_X_RUID] = g->ruid,
		[TM_X_INSTANCE] = g->instance, [TM_X_ON_REPLY] = ctx->on_reply, [TM_X_ON_FAILURE] = ctx->on_failure,
		[TM_X_ON_BRANCH_FAILURE] = ctx->on_branch_failure };
	struct tm_branch *b;

	if (t->n_branches >= TM_BRANCHES_MAX)
		return -12;
	b = branch_alloc(text, 0);
	if (!b)
		return -2;
	b->machine = t->method == SIP_M_INVITE ? TM_UAC_INVITE : TM_UAC_OTHER;
	b->flags = TM_B_BLIND;
	b->bflags = g->bflags;
	tm_branch_arm_fr(t, b, false, clock_ms());
	branch_link(t, b);
	return t->n_branches - 1;
}

static int branch_start(struct tm_txn *t, unsigned i, uint64_t now)
{
	struct tm_branch *b = tm_branch_at(t, i);
	int err = tm_branch_send(t, b);

	if (err < 0)
		return err;
	tm_branch_arm_fr(t, b, false, now);
	if (b->dest.proto == SIP_PROTO_UDP) {
		b->retr_ms = (uint16_t)tm_t1(t);
		b->retr_at = now + b->retr_ms;
	}
	return 0;
}

bool tm_wants_failover(const struct tm_txn *t, unsigned status)
{
	struct str rest = tm_conf.failover_reply_codes;
	char code[12];
	size_t n = 0;

	if (t->canceled || (t->flags & TM_T_DISABLE_FAILOVER))
		return false;
	if (status == 503)
		return true;
	if (rest.n == 0)
		return false;
	/* "code=408;class=5": looked for as text. */
	memcpy(code, "code=", 5);
	n = 5;
	code[n++] = (char)('0' + status / 100 % 10);
	code[n++] = (char)('0' + status / 10 % 10);
	code[n++] = (char)('0' + status % 10);
	if (str_find(rest, str_of(code, n)) >= 0)
		return true;
	memcpy(code, "class=", 6);
	code[6] = (char)('0' + status / 100 % 10);
	return str_find(rest, str_of(code, 7)) >= 0;
}

/* The bytes of a branch with another branch id, and another sent-by when the socket differs: our Via is the second line. */
static int retarget(struct str sent, const struct net_listener *l, const char *id, struct strbuf *out)
{
	ptrdiff_t eol = str_find(sent, STR_LIT("\r\n")), via_end;
	struct str rest;

	if (eol < 0)
		return -EBADMSG;
	rest = str_sub(sent, (size_t)eol + 2, sent.n);
	via_end = str_find(rest, STR_LIT("\r\n"));
	if (via_end < 0 || !str_starts(rest, STR_LIT("Via: ")))
		return -EBADMSG;
	strbuf_add(out, str_sub(sent, 0, (size_t)eol + 2));
	strbuf_printf(out, "Via: SIP/2.0/%s %.*s;branch=%s%s\r\n", sip_proto_via_name(l->proto), STR_FMT(l->via_sent_by), id,
		      str_find(str_sub(rest, 0, (size_t)via_end), STR_LIT(";rport")) >= 0 ? ";rport" : "");
	strbuf_add(out, str_sub(rest, (size_t)via_end + 2, rest.n));
	return strbuf_err(out);
}

bool tm_branch_failover(struct tm_txn *t, unsigned branch)
{
	struct tm_branch *old = tm_branch_at(t, branch), *b;
	const struct tm_buf *alts = shm_ptr(old->alts);
	unsigned n = alts ? alts->len / (unsigned)sizeof(struct resolve_target) : 0;
	bool sent = false;

	while (!sent && old->alt_next < n && t->n_branches < TM_BRANCHES_MAX) {
		struct resolve_target rt;
		struct str text[TM_X_N];
		struct strbuf sb;
		const struct net_listener *l;
		char id[40];

		memcpy(&rt, alts->bytes + sizeof(rt) * old->alt_next, sizeof(rt));
		old->alt_next++;
		l = net_listener_for(rt.proto, &rt.addr, old->dest.proto == (uint8_t)rt.proto ? old->dest.listener : NET_LISTENER_NONE);
		if (!l)
			continue;
		for (unsigned i = 0; i < TM_X_N; i++)
			text[i] = tm_branch_text(old, i);
		tm_branch_id(t, t->n_branches, id);
		strbuf_init_pool(&sb, tm_self.pool, 65535);
		if (retarget(tm_branch_sent(old), l, id, &sb) < 0)
			break;
		b = branch_alloc(text, sb.n);
		if (!b)
			break;
		b->machine = old->machine;
		b->bflags = old->bflags;
		b->dest = (struct tx_dest){ .to = rt.addr, .listener = l->index, .proto = (uint8_t)rt.proto, .flags = old->dest.flags };
		memcpy(b->bytes + (tm_branch_sent(b).s - b->bytes), sb.p, sb.n);
		if (old->alt_next < n)
			b->alts = shm_ref_of(tm_buf_new(str_of(alts->bytes + sizeof(rt) * old->alt_next, sizeof(rt) * (n - old->alt_next)), 0));
		branch_link(t, b);
		if (branch_start(t, t->n_branches - 1u, clock_ms()) == 0) {
			sent = true;
		} else {
			b->status = 477;
			b->flags |= TM_B_FAKED | TM_B_SUPERSEDED;
			b->state = TM_S_COMPLETED;
		}
	}
	pool_reset(tm_self.pool);
	if (sent)
		old->flags |= TM_B_SUPERSEDED;
	return sent;
}

/* ---- phase 3: build and send ---- */

static int relay_failed(struct ctx *ctx, int code)
{
	struct tm_txn *t = ctx->txn;

	ctx->last_error = code;
	if (t && (t->flags & TM_T_DISABLE_INTERNAL_REPLY))
		return -4;
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

static int relay_send(struct ctx *ctx, struct relay *r)
{
	struct tm_txn *t = ctx->txn;
	uint64_t now = clock_ms();
	unsigned first = t->n_branches, n_sent = 0;
	int error = -6;

	if (t->canceled)
		return relay_failed(ctx, -487);
	if (ctx->on_failure.n)
		tm_edits_keep(ctx, t);
	for (unsigned i = 0; i < r->n; i++) {
		struct relay_branch *b = &r->b[i];
		struct tm_new_branch nb = { .target = &b->target, .edits = b->own_edits ? &b->edits : &ctx->edits, .answer = &b->answer,
			.on_reply = ctx->on_reply, .on_failure = ctx->on_failure, .on_branch_failure = ctx->on_branch_failure };
		int rc;

		if (b->skip)
			continue;
		rc = b->error ? b->error : tm_branch_add(ctx, t, &nb);
		if (rc < 0)
			error = rc;
		if (rc < 0 && tm_conf.failure_exec_mode && tm_branch_add_blind(ctx, t, &b->target) >= 0)
			tm_branch_at(t, t->n_branches - 1u)->flags |= TM_B_UNSENT;
	}
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
		if (branch_start(t, i, now) == 0) {
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
	t->mflags |= ctx->mflags & (CTX_F_FORCE_RPORT | CTX_F_LOCAL_RPORT | CTX_F_RECORD_ROUTED);
	t->msg_flags = ctx->flags;
	if (r->opts.replicate)
		t->flags |= TM_T_REPLICATE;
	ctx->mflags |= CTX_F_RURI_CONSUMED;
	ctx->n_branches = 0;
	ctx->on_failure = ctx->on_reply = ctx->on_branch = ctx->on_branch_failure = STR_NULL;
	if (n_sent == 0) {
		if (first == t->n_branches)
			return relay_failed(ctx, error);
		/* Built, but nothing left: drop the leg, so that the error is the answer. */
		for (unsigned i = first; i < t->n_branches; i++)
			tm_branch_at(t, i)->flags |= TM_B_SUPERSEDED;
		return relay_failed(ctx, error);
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
		if (r->opts.host.n)
			b->query = (struct resolve_query){ .host = r->opts.host, .port = r->opts.port,
				.proto = r->opts.proto != SIP_PROTO_NONE ? r->opts.proto : ctx->rx.proto };
		else
			err = out_query(out_next_hop(ctx, &b->target), r->opts.proto, &b->query);
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
	ctx->main = r->main;
	ctx->edits = r->edits;
	r->i++;
	return relay_branches(ctx, r);
}

static int relay_branches(struct ctx *ctx, struct relay *r)
{
	while (r->on_branch.n && r->i < r->n) {
		struct relay_branch *b = &r->b[r->i];
		struct sip_edits own;
		int rc;

		if (edits_clone(ctx->pool, &r->edits, &own) < 0)
			return relay_failed(ctx, -2);
		ctx->main = b->target;
		ctx->edits = own;
		ctx->txn_branch = (uint8_t)(ctx->txn->n_branches + r->i);
		rc = tm_self.hooks->call_route(ctx, CTX_BRANCH, r->on_branch, branch_routed, r);
		if (rc == TM_CALL)
			return rc;
		ctx->main = r->main;
		ctx->edits = r->edits;
		r->i++; /* no such route in this generation of the script */
	}
	return relay_lookup(ctx, r);
}

/* ---- t_relay() ---- */

static int relay_start(struct ctx *ctx, const struct tm_relay_opts *opts)
{
	struct tm_txn *t = ctx->txn;
	bool with_main = !(ctx->mflags & CTX_F_RURI_CONSUMED) || (opts && opts->host.n && ctx->n_branches == 0);
	unsigned n = ctx->n_branches + (with_main ? 1u : 0u), k = 0;
	struct relay *r;

	if (n == 0)
		return relay_failed(ctx, -6);
	if (n > (unsigned)tm_conf.max_branches || t->n_branches + n > TM_BRANCHES_MAX)
		return relay_failed(ctx, -12);
	r = pool_zalloc(ctx->pool, sizeof(*r) + n * sizeof(r->b[0]));
	if (!r)
		return relay_failed(ctx, -2);
	if (opts)
		r->opts = *opts;
	r->n = n;
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
	if (ctx->msg.method == SIP_M_CANCEL && !ctx->txn) {
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
			return relay_failed(ctx, rc);
	}
	t = ctx->txn;
	if (t->canceled && t->status < 200) {
		(void)relay_failed(ctx, -487); /* the answer is 487, the script sees a plain failure */
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
	return relay_start(ctx, opts);
}
