/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stateless replies for scripts, their statistics, and the filter that keeps ACKs to our own stateless replies out of
 * the request route. The replying itself is core/route/reply.c.
 *
 * The ACK filter needs no memory: the To-tag of a stateless reply is a keyed hash of what the ACK repeats, so it is computed again
 * and compared. It only looks for two seconds after the last stateless reply of any worker.
 */
#include <errno.h>
#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/module/abi.h"
#include "core/route/route.h"
#include "core/tm/out.h"
#include "core/tm/tm.h"
#include "shm/counter.h"
#include "shm/slab.h"

static struct sl_conf {
	int default_code, bind_tm, rich_redirect;
	struct str default_reason;
} conf;

/* clang-format off */
enum stat { ST_1XX, ST_200, ST_202, ST_2XX, ST_300, ST_301, ST_302, ST_3XX, ST_400, ST_401, ST_403, ST_404, ST_407, ST_408, ST_483,
	ST_4XX, ST_500, ST_5XX, ST_6XX, ST_XXX, ST_SENT, ST_SENT_ERR, ST_FAILURES, ST_ACKS, ST_N };
static const struct { const char *name; const char *rpc; uint16_t lo, hi; } stats[ST_N] = {
	[ST_1XX] = { "1xx_replies", NULL, 100, 199 }, [ST_200] = { "200_replies", "200", 200, 200 }, [ST_202] = { "202_replies", "202", 202, 202 },
	[ST_2XX] = { "2xx_replies", "2xx", 200, 299 }, [ST_300] = { "300_replies", "300", 300, 300 }, [ST_301] = { "301_replies", "301", 301, 301 },
	[ST_302] = { "302_replies", "302", 302, 302 }, [ST_3XX] = { "3xx_replies", "3xx", 300, 399 }, [ST_400] = { "400_replies", "400", 400, 400 },
	[ST_401] = { "401_replies", "401", 401, 401 }, [ST_403] = { "403_replies", "403", 403, 403 }, [ST_404] = { "404_replies", "404", 404, 404 },
	[ST_407] = { "407_replies", "407", 407, 407 }, [ST_408] = { "408_replies", "408", 408, 408 }, [ST_483] = { "483_replies", "483", 483, 483 },
	[ST_4XX] = { "4xx_replies", "4xx", 400, 499 }, [ST_500] = { "500_replies", "500", 500, 500 }, [ST_5XX] = { "5xx_replies", "5xx", 500, 599 },
	[ST_6XX] = { "6xx_replies", "6xx", 600, 699 }, [ST_XXX] = { "xxx_replies", "xxx", 700, 999 },
	[ST_SENT] = { "sent_replies", NULL, 100, 999 }, [ST_SENT_ERR] = { "sent_err_replies", NULL, 1, 0 }, [ST_FAILURES] = { "failures", NULL, 1, 0 },
	[ST_ACKS] = { "received_ACKs", NULL, 1, 0 },
};
static const uint8_t first_of_class[] = { [1] = ST_1XX, [2] = ST_200, [3] = ST_300, [4] = ST_400, [5] = ST_500, [6] = ST_6XX, [7] = ST_XXX };
/* clang-format on */

static struct {
	int stat[ST_N];
	_Atomic uint64_t *until_ms; /* shared: written and read by every worker; when to stop looking at ACKs */
	int err_depth;              /* an error reply is being sent by this process */
} self;

/* ---- replies ---- */

static bool code_ok(int64_t code)
{
	return code >= 100 && code <= 699;
}

static int sl_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 2)
		return -1;
	return route_reply_stateless(ctx, code_ok(a[0].i) ? (int)a[0].i : conf.default_code, a[1].s.n ? a[1].s : conf.default_reason);
}

static int send_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n < 2 || a[1].s.n == 0)
		return -1;
	if (ctx->msg.kind == SIP_REPLY && !ctx->txn)
		return -1;
	return route_reply(ctx, code_ok(a[0].i) ? (int)a[0].i : conf.default_code, a[1].s);
}

static int send_reply_mode(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 3)
		return -1;
	if (a[2].i == 1)
		ctx->mflags |= CTX_F_RPL_NO_CONNECT;
	else if (a[2].i == 2)
		ctx->mflags |= CTX_F_RPL_CLOSE;
	return send_reply(ctx, a, 2);
}

static int reply_last_error(struct ctx *ctx, bool stateful)
{
	char text[128];
	int code = 500, r;

	if (ctx->mflags & CTX_F_DELAYED_ERROR)
		return -3; /* tm answers at the end of the script */
	if (ctx->mflags & (CTX_F_NO_REPLY | CTX_F_FINAL_SENT))
		return -2;
	(void)tm_error_reply(ctx->last_error ? ctx->last_error : -1, "SL", &code, text, sizeof(text));
	self.err_depth++;
	r = stateful ? route_reply(ctx, code, str_lit(text)) : route_reply_stateless(ctx, code, str_lit(text));
	self.err_depth--;
	return r;
}

static int sl_reply_error(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return reply_last_error(ctx, false);
}

static int send_reply_error(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return reply_last_error(ctx, true);
}

static int forward_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct sip_msg *m = &ctx->msg;

	if (m->kind != SIP_REPLY)
		return -1;
	if (n > 0 && a[0].i / 100 != m->status / 100) {
		log_error("sl_forward_reply: %u to %lld: the class of a reply stays", m->status, (long long)a[0].i);
		return -1;
	}
	if (n > 0 && sip_edit_status(&ctx->edits, ctx->pool, m, (unsigned)a[0].i, n > 1 && a[1].s.n ? a[1].s : m->reason) < 0)
		return -1;
	return route_forward_reply(ctx);
}

/* ---- what follows from a reply ---- */

static void replied(struct ctx *ctx, int code, int err, const struct sip_out *reply)
{
	if (err < 0) {
		shm_counter_add(self.stat[ST_FAILURES], 1);
		return;
	}
	for (unsigned i = first_of_class[code / 100]; i < first_of_class[code / 100 + 1]; i++)
		if (code >= stats[i].lo && code <= stats[i].hi)
			shm_counter_add(self.stat[i], 1);
	shm_counter_add(self.stat[ST_SENT], 1);
	if (self.err_depth)
		shm_counter_add(self.stat[ST_SENT_ERR], 1);
	if (ctx->msg.method == SIP_M_INVITE && code >= 300)
		atomic_store_explicit(self.until_ms, clock_ms() + 2000, memory_order_relaxed);
	route_event_replied(STR_LIT("sl:local-response"), ctx, reply);
}

static bool ack_filter(struct ctx *ctx)
{
	const struct sip_addr *to;
	char tag[40];

	if (atomic_load_explicit(self.until_ms, memory_order_relaxed) < clock_ms())
		return false;
	to = sip_msg_to(&ctx->msg);
	if (!to || !str_eq(to->tag, str_of(tag, out_totag(ctx, OUT_TAG_SL, tag))))
		return false;
	shm_counter_add(self.stat[ST_ACKS], 1);
	route_event_about(STR_LIT("sl:filtered-ack"), ctx);
	return true;
}

/* ---- $ltt ---- */

static int ltt_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool; /* one letter: kept in arg */
	if (spec->inner.n != 1 || !strchr("xst", spec->inner.s[0]))
		return diag_set(reterr, 0, "$ltt(x), $ltt(s) or $ltt(t)");
	spec->arg = spec->inner.s[0];
	return 0;
}

static int ltt_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	char tag[40];
	bool tm = spec->arg == 't' || (spec->arg == 'x' && ctx->txn);
	struct str s;

	if (ctx->msg.kind != SIP_REQUEST || (spec->arg == 't' && !ctx->txn)) {
		*ret = value_null();
		return 0;
	}
	s = str_dup(ctx->pool, str_of(tag, out_totag(ctx, tm ? OUT_TAG_TM : OUT_TAG_SL, tag)));
	if (!s.s)
		return -ENOMEM;
	*ret = value_str(s);
	return 0;
}

/* ---- RPC ---- */

static void rpc_stats(struct rpc *rpc)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL);

	for (unsigned i = 0; i < ST_N; i++)
		if (stats[i].rpc)
			rpc_add_int(rpc, o, stats[i].rpc, shm_counter_read(self.stat[i]));
}

static int init(void)
{
	for (unsigned i = 0; i < ST_N; i++) {
		self.stat[i] = shm_counter_register("sl", stats[i].name);
		if (self.stat[i] < 0)
			return log_fail(self.stat[i], "sl: statistics");
	}
	self.until_ms = shm_zalloc(sizeof(*self.until_ms));
	if (!self.until_ms)
		return log_fail(-ENOSPC, "sl: shared memory");
	shm_publish(self.until_ms);
	route_bind_tm = conf.bind_tm != 0;
	route_rich_redirect = (unsigned)conf.rich_redirect;
	route_on_replied(replied);
	route_ack_filter(ack_filter);
	return 0;
}

/* clang-format off */
#define CODE_REASON(name_, fn_, kinds_) { .name = name_, .fn = fn_, .n_params = 2, .param = { SP_DINT, SP_DSTR }, .kinds = kinds_ }
static const struct script_func funcs[] = {
	CODE_REASON("sl_send_reply", sl_reply, CTX_REQUEST), CODE_REASON("sl_reply", sl_reply, CTX_REQUEST),
	CODE_REASON("send_reply", send_reply, CTX_REQUEST | CTX_ONREPLY | CTX_FAILURE),
	{ .name = "send_reply_mode", .fn = send_reply_mode, .n_params = 3, .param = { SP_DINT, SP_DSTR, SP_DINT }, .kinds = CTX_REQUEST | CTX_ONREPLY | CTX_FAILURE },
	{ .name = "sl_reply_error", .fn = sl_reply_error, .kinds = CTX_REQUEST },
	{ .name = "send_reply_error", .fn = send_reply_error, .kinds = CTX_REQUEST },
	{ .name = "sl_forward_reply", .fn = forward_reply, .kinds = CTX_ONREPLY },
	{ .name = "sl_forward_reply", .fn = forward_reply, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ONREPLY },
	CODE_REASON("sl_forward_reply", forward_reply, CTX_ONREPLY),
	{ .name = NULL },
};
static const struct setting settings[] = {
	SETTING_LIVE_INT("default_code", struct sl_conf, default_code, 500, 100, 699),
	SETTING_LIVE_STR("default_reason", struct sl_conf, default_reason, "Internal Server Error"),
	SETTING_INT("bind_tm", struct sl_conf, bind_tm, 1, 0, 1),
	SETTING_INT("rich_redirect", struct sl_conf, rich_redirect, 0, 0, 3),
	SETTING_KEMI("event_callback_fl_ack", "sl:filtered-ack"),
	SETTING_KEMI("event_callback_lres_sent", "sl:local-response"),
	SETTING_END
};
static const struct cfg_live live[] = {
	{ "default_code",   NULL, "code of sl_reply_error() when nothing else is known", 0 },
	{ "default_reason", NULL, "its reason", 0 },
	{ .name = NULL },
};
static const struct pv_def pvs[] = {
	{ .name = "ltt", .get = ltt_get, .prepare = ltt_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
static const struct rpc_method rpcs[] = {
	{ "sl.stats", rpc_stats, 0, "Stateless replies by code" },
	{ NULL, NULL, 0, NULL },
};
static const char *const events[] = { "sl:local-response", "sl:filtered-ack", NULL };
/* clang-format on */

extern const struct module module_sl;
const struct module module_sl = {
	.abi = MODULE_ABI, .name = "sl", .settings = settings, .conf = &conf, .live = live, .funcs = funcs, .pvs = pvs, .rpcs = rpcs,
	.event_routes = events, .init = init,
};
