/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start-up of tm, its parameters and numbers, and the questions that variables, functions and RPC ask about transactions.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/tm/tm_priv.h"
#include "shm/counter.h"

/* clang-format off */
struct tm_conf tm_conf = { /* core-routing.md, 1.1 */
	.fr_timer = 30000, .fr_inv_timer = 120000, .wt_timer = 5000, .retr_timer1 = 500, .retr_timer2 = 4000,
	.max_inv_lifetime = 180000, .max_noninv_lifetime = 32000, .noisy_ctimer = 1, .auto_inv_100 = 1, .restart_fr_on_each_reply = 1,
	.aggregate_challenges = 1, .cancel_b_method = 1, .failure_reply_mode = 3, .remap_503_500 = 1,
	.delayed_reply = 1, .reply_408_code = 408, .default_code = 500, .local_cancel_reason = 1, .e2e_cancel_reason = 1,
	.max_branches = 12,
	.auto_inv_100_reason = { "trying -- your call is important to us", 38 }, .reply_408_reason = { "Request Timeout", 15 },
	.default_reason = { "Server Internal Error", 21 },
};
static const char *const stat_names[TM_ST_N] = {
	[TM_ST_CURRENT] = "inuse_transactions", [TM_ST_WAITING] = "waiting_transactions", [TM_ST_TOTAL] = "UAS_transactions",
	[TM_ST_LOCAL] = "UAC_transactions", [TM_ST_RPL_RECEIVED] = "rpl_received", [TM_ST_RPL_GENERATED] = "rpl_generated",
	[TM_ST_RPL_SENT] = "rpl_sent", [TM_ST_6XX] = "6xx_transactions", [TM_ST_5XX] = "5xx_transactions", [TM_ST_4XX] = "4xx_transactions",
	[TM_ST_3XX] = "3xx_transactions", [TM_ST_2XX] = "2xx_transactions",
};
/* clang-format on */

static int stat_id[TM_ST_N];

void tm_stat(enum tm_stat s, int d)
{
	shm_counter_add(stat_id[s], d);
}

int tm_stats_init(void)
{
	for (unsigned i = 0; i < TM_ST_N; i++) {
		stat_id[i] = shm_counter_register("tmx", stat_names[i]);
		if (stat_id[i] < 0)
			return stat_id[i];
	}
	shm_counter_keep(stat_id[TM_ST_CURRENT]);
	shm_counter_keep(stat_id[TM_ST_WAITING]);
	return 0;
}

/* Whoever counts a transaction does it in its own cells; between the table's and this one its process may have died. */
void tm_stats_recover(unsigned slot)
{
	shm_counter_set_of(stat_id[TM_ST_CURRENT], slot, shm_hash_count_of(tm_self.table, slot));
}

void tm_stats_read(struct tm_stats *ret_stats)
{
	int64_t v[TM_ST_N];

	for (unsigned i = 0; i < TM_ST_N; i++)
		v[i] = shm_counter_read(stat_id[i]);
	*ret_stats = (struct tm_stats){ .current = v[TM_ST_CURRENT], .waiting = v[TM_ST_WAITING], .total = v[TM_ST_TOTAL],
		.total_local = v[TM_ST_LOCAL], .rpl_received = v[TM_ST_RPL_RECEIVED], .rpl_generated = v[TM_ST_RPL_GENERATED],
		.rpl_sent = v[TM_ST_RPL_SENT], .c6xx = v[TM_ST_6XX], .c5xx = v[TM_ST_5XX], .c4xx = v[TM_ST_4XX], .c3xx = v[TM_ST_3XX],
		.c2xx = v[TM_ST_2XX] };
}

void tm_set_hooks(const struct tm_hooks *hooks)
{
	tm_self.hooks = hooks;
}

/* A context that goes while it still holds a transaction (a run that was cut off) lets go of it. */
static void ctx_gone(struct ctx *ctx)
{
	tm_let_go(ctx);
}

int tm_init(void)
{
	int err;

	if (tm_self.table)
		return 0;
	err = tm_stats_init();
	if (err == 0)
		err = tm_table_init();
	if (err == 0)
		err = ctx_on_free(ctx_gone);
	if (err < 0)
		return err;
	tm_self.ms_relay = ctx_modstate_register("tm.relay");
	if (tm_self.ms_relay < 0)
		return tm_self.ms_relay;
	return tm_uac_init();
}

int tm_worker_init(struct loop *loop)
{
	tm_self.pool = pool_new(1 << 20);
	if (!tm_self.pool)
		return -ENOMEM;
	tx_on_fail(tm_send_failed);
	return tm_uac_worker_init(loop);
}

/* ---- questions of the script ---- */

bool tm_is_canceled(struct ctx *ctx)
{
	return ctx->txn && ctx->txn->canceled;
}

bool tm_is_expired(struct ctx *ctx)
{
	const struct tm_txn *t = ctx->txn;

	return t && ((t->flags & TM_T_EXPIRED) ||
		     clock_ms() >= t->created_ms + (t->method == SIP_M_INVITE ? t->life_inv_ms : t->life_other_ms));
}

static bool any_flag(struct ctx *ctx, unsigned flag)
{
	for (unsigned i = 0; ctx->txn && i < ctx->txn->n_branches; i++)
		if (tm_branch_at(ctx->txn, i)->flags & flag)
			return true;
	return false;
}

bool tm_any_timeout(struct ctx *ctx)
{
	return any_flag(ctx, TM_B_TIMED_OUT);
}

bool tm_any_replied(struct ctx *ctx)
{
	return any_flag(ctx, TM_B_REPLIED);
}

static bool branch_flag(struct ctx *ctx, unsigned flag)
{
	const struct tm_branch *b = ctx->txn ? tm_branch_at(ctx->txn, ctx->txn_branch) : NULL;

	return b && (b->flags & flag);
}

bool tm_branch_timeout(struct ctx *ctx)
{
	return branch_flag(ctx, TM_B_TIMED_OUT);
}

bool tm_branch_replied(struct ctx *ctx)
{
	return branch_flag(ctx, TM_B_REPLIED);
}

bool tm_grep_status(struct ctx *ctx, int code)
{
	for (unsigned i = 0; ctx->txn && i < ctx->txn->n_branches; i++)
		if (tm_branch_at(ctx->txn, i)->status == code)
			return true;
	return false;
}

int tm_status(struct ctx *ctx)
{
	if (ctx->msg.kind == SIP_REPLY)
		return ctx->msg.status;
	if (ctx->fail_status)
		return ctx->fail_status;
	return ctx->txn ? ctx->txn->status : 0;
}

struct str tm_reason(struct ctx *ctx)
{
	const struct tm_txn *t = ctx->txn;
	const struct tm_branch *b = t && ctx->fail_status ? tm_branch_at(t, ctx->txn_branch) : NULL;
	const struct tm_buf *buf = b ? shm_ptr(b->reply) : t ? shm_ptr(t->last_reply) : NULL;
	struct str line;
	ptrdiff_t eol;

	if (ctx->msg.kind == SIP_REPLY)
		return ctx->msg.reason;
	if (!buf)
		return b ? tm_conf.reply_408_reason : STR_NULL;
	line = str_of(buf->bytes, buf->len);
	eol = str_find(line, STR_LIT("\r\n"));
	return eol > 12 ? str_dup(ctx->pool, str_sub(line, 12, (size_t)eol - 12)) : STR_NULL;
}

/* What is set before there is a transaction waits for it: the script makes it when it likes to, or never. NULL: no memory. */
static struct tm_wish *wish(struct ctx *ctx)
{
	if (!ctx->tm_wish)
		ctx->tm_wish = pool_zalloc(ctx->pool, sizeof(*ctx->tm_wish));
	if (!ctx->tm_wish)
		log_error("no memory for what a transaction shall be like");
	return ctx->tm_wish;
}

int tm_flag_set(struct ctx *ctx, enum tm_flag flag, bool on)
{
	static const struct { enum tm_flag flag; uint32_t bit; } map[] = {
		{ TM_F_DISABLE_6XX, TM_T_DISABLE_6XX }, { TM_F_DISABLE_FAILOVER, TM_T_DISABLE_FAILOVER },
		{ TM_F_DISABLE_INTERNAL_REPLY, TM_T_DISABLE_INTERNAL_REPLY }, { TM_F_NO_AUTO_ACK, TM_T_NO_AUTO_ACK },
		{ TM_F_NO_E2E_REASON, TM_T_NO_E2E_REASON }, { TM_F_NO_INV_100, TM_T_NO_INV_100 },
	};
	struct tm_wish *w = ctx->txn ? NULL : wish(ctx);
	uint32_t *flags = ctx->txn ? &ctx->txn->flags : w ? &w->flags : NULL;

	for (unsigned i = 0; flags && i < ARRAY_LEN(map); i++) {
		if (!(flag & map[i].flag))
			continue;
		if (on)
			*flags |= map[i].bit;
		else
			*flags &= ~map[i].bit;
	}
	return flags ? 1 : -1;
}

int tm_set_fr(struct ctx *ctx, unsigned fr_inv_ms, unsigned fr_ms)
{
	struct tm_txn *t = ctx->txn;

	if ((fr_inv_ms && fr_inv_ms < SHM_TICK_MS) || (fr_ms && fr_ms < SHM_TICK_MS))
		return -1;
	if (fr_inv_ms)
		ctx->fr_inv_ms = fr_inv_ms;
	if (fr_ms)
		ctx->fr_ms = fr_ms;
	if (!t)
		return 1;
	if (fr_inv_ms)
		t->fr_inv_ms = fr_inv_ms;
	if (fr_ms)
		t->fr_ms = fr_ms;
	for (unsigned i = 0; i < t->n_branches; i++) {
		struct tm_branch *b = tm_branch_at(t, i);

		if (b->fr_at)
			tm_branch_arm_fr(t, b, b->machine == TM_UAC_INVITE && b->state == TM_S_PROCEEDING, clock_ms());
	}
	return 1;
}

int tm_set_retr(struct ctx *ctx, unsigned t1_ms, unsigned t2_ms)
{
	struct tm_wish *w;

	if (t1_ms > 60000 || t2_ms > 60000)
		return -1;
	w = ctx->txn ? NULL : wish(ctx);
	if (!ctx->txn && !w)
		return -1;
	if (t1_ms)
		*(w ? &w->t1_ms : &ctx->txn->t1_ms) = (uint16_t)t1_ms;
	if (t2_ms)
		*(w ? &w->t2_ms : &ctx->txn->t2_ms) = (uint16_t)t2_ms;
	return 1;
}

int tm_set_max_lifetime(struct ctx *ctx, unsigned inv_ms, unsigned noninv_ms)
{
	struct tm_wish *w = ctx->txn ? NULL : wish(ctx);

	if (!ctx->txn && !w)
		return -1;
	if (inv_ms)
		*(w ? &w->life_inv_ms : &ctx->txn->life_inv_ms) = inv_ms;
	if (noninv_ms)
		*(w ? &w->life_other_ms : &ctx->txn->life_other_ms) = noninv_ms;
	return 1;
}

int tm_drop_replies(struct ctx *ctx, char mode)
{
	struct tm_txn *t = ctx->txn;
	unsigned from;

	if (!t || (mode != 'a' && mode != 'l' && mode != 'n'))
		return -1;
	from = mode == 'a' ? 0 : mode == 'l' ? t->leg_first : t->n_branches;
	for (unsigned i = from; i < t->n_branches; i++)
		tm_branch_at(t, i)->flags |= TM_B_DROPPED;
	return 1;
}

int tm_drop(struct ctx *ctx, int code)
{
	struct tm_txn *t = ctx->txn;

	if (!t)
		return -1;
	t->status = (uint16_t)code;
	t->state = t->machine == TM_UAS_INVITE ? TM_S_CONFIRMED : TM_S_COMPLETED;
	t->flags |= TM_T_RELEASED;
	tm_uas_act(t, TM_A_STOP_RETRANSMIT | TM_A_ARM_WAIT, clock_ms());
	tm_cancel_branches(t, STR_NULL, TM_BRANCHES_MAX);
	return 0;
}

int tm_flags_flush(struct ctx *ctx, enum tm_flags_which which)
{
	if (!ctx->txn)
		return -1;
	if (which == TM_FLAGS_MSG)
		ctx->txn->msg_flags = ctx->flags;
	else
		ctx->txn->xflags = ctx->xflags;
	return 1;
}

/* ---- for variables and modules ---- */

int tm_info(struct ctx *ctx, struct tm_info *ret_info)
{
	const struct tm_txn *t = ctx->txn;

	if (!t)
		return -ENOENT;
	*ret_info = (struct tm_info){ .index = tm_hash_of(t), .label = (uint32_t)t->label, .method = (enum sip_method)t->method,
		.n_branches = t->n_branches, .uas_status = t->status };
	return 0;
}

int tm_branch_info(struct ctx *ctx, unsigned branch, struct tm_branch_info *ret_info)
{
	const struct tm_branch *b = ctx->txn ? tm_branch_at(ctx->txn, branch) : NULL;

	if (!b)
		return -ENOENT;
	*ret_info = (struct tm_branch_info){ .uri = tm_branch_text(b, TM_X_URI), .ruid = tm_branch_text(b, TM_X_RUID), .bflags = b->bflags,
		.dst_uri = tm_branch_text(b, TM_X_DST), .path = tm_branch_text(b, TM_X_PATH), .instance = tm_branch_text(b, TM_X_INSTANCE),
		.on_reply = tm_branch_text(b, TM_X_ON_REPLY), .on_failure = tm_branch_text(b, TM_X_ON_FAILURE), .last_status = b->status, .is_faked = (b->flags & TM_B_FAKED) != 0 };
	return 0;
}

/* ---- tm.list ---- */

struct list_arg {
	tm_list_fn *fn;
	void *arg;
	struct tm_list_item *items;
	unsigned n, cap;
};

static void copy_text(char *out, size_t size, struct str s)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;

	if (n)
		memcpy(out, s.s, n);
	out[n] = '\0';
}

/* A field of a kept request as it came, with name and line end, found without parsing it all: the bucket is locked. */
static struct str line_of(const struct tm_txn *t, struct str name, char compact)
{
	struct str msg = str_of(t->request, t->req_len);
	ptrdiff_t eol;

	for (size_t at = 0, end; at < msg.n; at = end) {
		ptrdiff_t colon;
		struct str line, got;

		for (end = at; (eol = str_find_char(str_sub(msg, end, msg.n), '\n')) >= 0;) {
			end += (size_t)eol + 1;
			if (end >= msg.n || (msg.s[end] != ' ' && msg.s[end] != '\t'))
				break;
		}
		line = str_sub(msg, at, end - at);
		if (eol < 0 || line.n <= 2)
			break; /* the body comes */
		colon = str_find_char(line, ':');
		got = str_trim(str_sub(line, 0, colon < 0 ? 0 : (size_t)colon));
		if (str_ieq(got, name) || (got.n == 1 && char_lower(got.s[0]) == compact))
			return line;
	}
	return STR_NULL;
}

/* "CSeq: 7" */
static struct str cseq_of(const struct tm_txn *t)
{
	struct str line = line_of(t, STR_LIT("CSeq"), '\0');
	size_t n = (size_t)(str_find_char(line, ':') + 1); /* no colon: 0 */

	while (n < line.n && (line.s[n] < '0' || line.s[n] > '9'))
		n++;
	while (n < line.n && line.s[n] >= '0' && line.s[n] <= '9')
		n++;
	return str_sub(line, 0, n);
}

static int list_one(struct shm_hnode *node, void *arg)
{
	const struct tm_txn *t = CONTAINER_OF(node, struct tm_txn, node);
	struct list_arg *a = arg;
	struct tm_list_item *it;
	struct str method = tm_span_str(t, t->method_name);

	if (a->n == a->cap)
		return 0;
	it = &a->items[a->n++];
	memset(it, 0, sizeof(*it));
	it->index = t->node.hash;
	it->label = (uint32_t)t->label;
	copy_text(it->method, sizeof(it->method), method);
	copy_text(it->from, sizeof(it->from), line_of(t, STR_LIT("From"), 'f'));
	copy_text(it->to, sizeof(it->to), line_of(t, STR_LIT("To"), 't'));
	copy_text(it->callid, sizeof(it->callid), line_of(t, STR_LIT("Call-ID"), 'i'));
	copy_text(it->cseq, sizeof(it->cseq), cseq_of(t));
	it->uas_request = !(t->flags & TM_T_LOCAL);
	it->flags = t->flags;
	it->outgoings = t->n_branches;
	it->ref_count = t->busy ? 2 : 1;
	it->lifetime_ms = t->created_ms;
	return 0;
}

int tm_list(tm_list_fn *fn, void *arg)
{
	static struct tm_list_item items[64];

	/* Copied bucket by bucket, so that fn runs with no lock held. */
	for (uint32_t i = 0; i < shm_hash_n_buckets(tm_self.table); i++) {
		struct list_arg a = { fn, arg, items, 0, ARRAY_LEN(items) };
		int rc = shm_hash_walk(tm_self.table, i, list_one, &a);

		for (unsigned k = 0; rc == 0 && k < a.n; k++) {
			items[k].lifetime_ms = clock_ms() - items[k].lifetime_ms;
			rc = fn(&items[k], arg);
		}
		if (rc)
			return rc;
	}
	return 0;
}
