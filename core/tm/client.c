/* SPDX-License-Identifier: BSD-2-Clause */
/* The client side: branches, built, sent, acknowledged, and sent to the next address of the same next hop. */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/tm/tm_priv.h"

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
	struct out_request req = { .edits = nb->edits, .ruri = nb->target->uri, .path = nb->target->path, .keep_via1 = nb->keep_via1,
		.may_move = nb->answer->n > 1, .vbflags = ctx->vbflags | nb->target->vbflags };
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
		[TM_X_ON_BRANCH] = nb->on_branch, [TM_X_ON_BRANCH_FAILURE] = nb->on_branch_failure };
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
	b->vbflags = g->vbflags;
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
		[TM_X_ON_BRANCH] = ctx->on_branch, [TM_X_ON_BRANCH_FAILURE] = ctx->on_branch_failure };
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

int tm_branch_start(struct tm_txn *t, unsigned i, uint64_t now)
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

bool tm_may_failover(const struct tm_txn *t, const struct tm_branch *b)
{
	/* Nobody new is asked for what is answered already, or what the branch was told to stop. */
	return !t->canceled && t->status < 200 && !(t->flags & TM_T_DISABLE_FAILOVER) && !(b->flags & (TM_B_CANCEL_SENT | TM_B_CANCEL_WANTED));
}

bool tm_wants_failover(const struct tm_txn *t, const struct tm_branch *b, unsigned status)
{
	struct str rest = tm_conf.failover_reply_codes;
	char code[12];
	size_t n = 0;

	if (!tm_may_failover(t, b))
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

/* The bytes of a branch with another branch id, and another sent-by when the socket is another: our Via is the second line. */
static int retarget(struct str sent, const struct net_listener *was, const struct net_listener *l, const char *id, struct strbuf *out)
{
	static const struct str mark = STR_LIT(";branch=");
	ptrdiff_t via = str_find(sent, STR_LIT("\r\nVia: ")), branch = str_find(sent, mark);

	if (via < 0 || branch < via || (size_t)branch + mark.n + strlen(id) > sent.n)
		return -EBADMSG;
	if (was == l)
		strbuf_add(out, str_sub(sent, 0, (size_t)branch));
	else
		strbuf_printf(out, "%.*s\r\nVia: SIP/2.0/%s %.*s", (int)via, sent.s, sip_proto_via_name(l->proto), STR_FMT(l->via_sent_by));
	strbuf_add(out, mark);
	strbuf_add(out, str_lit(id));
	strbuf_add(out, str_sub(sent, (size_t)branch + mark.n + strlen(id), sent.n));
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
		if (retarget(tm_branch_sent(old), net_listener_at(old->dest.listener), l, id, &sb) < 0)
			break;
		b = branch_alloc(text, sb.n);
		if (!b)
			break;
		b->machine = old->machine;
		b->bflags = old->bflags;
		b->vbflags = old->vbflags;
		b->dest = (struct tx_dest){ .to = rt.addr, .listener = l->index, .proto = (uint8_t)rt.proto, .flags = old->dest.flags };
		memcpy(b->bytes + (tm_branch_sent(b).s - b->bytes), sb.p, sb.n);
		if (old->alt_next < n)
			b->alts = shm_ref_of(tm_buf_new(str_of(alts->bytes + sizeof(rt) * old->alt_next, sizeof(rt) * (n - old->alt_next)), 0));
		branch_link(t, b);
		if (tm_branch_start(t, t->n_branches - 1u, clock_ms()) == 0) {
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
