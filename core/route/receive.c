/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path of one message: bytes -> parse -> basic checks -> transactions -> script -> what follows from how the script
 * ended. A run of the script may park at any call; then its context comes back through resume_run() and takes the same way out.
 * So every step that can come after a route is a function of its own (the *_done ones), never the line below a call.
 *
 * What is broken is answered once and statelessly (400, 505), replies that make no sense are dropped and counted.
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/proc/proc.h"
#include "core/pv/fmt.h"
#include "core/route/latency.h"
#include "core/route/quarantine.h"
#include "core/settings/cfg.h"
#include "core/tm/out.h"
#include "core/tm/tm.h"
#include "core/transport/conn.h"
#include "core/transport/rx.h"

struct route_conf route_conf = { .latency_cfg_log = L_DBG, .server_signature = true, .parked_max = 10000 };

static struct {
	route_ack_filter_fn *ack_filter;
	route_reply_fn *taker[4]; /* of replies */
	unsigned n_takers;
	struct pool *pool;
	struct fmt *log_prefix;
	bool has_log_context;
} self;

void route_ack_filter(route_ack_filter_fn *fn)
{
	self.ack_filter = fn;
}

/* ---- runs ---- */

static struct str prefix_of(void *arg)
{
	struct str text;

	return self.log_prefix && fmt_eval(arg, self.log_prefix, &text) == 0 ? text : STR_NULL;
}

static struct str callid_of(void *arg)
{
	const struct ctx *ctx = arg;
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_CALL_ID);

	return h ? h->value : STR_NULL;
}

/* What the log writes with each line of a run. A run inside another (an event, onsend_route) has its own and gives the outer one back. */
struct run_log {
	struct log_context log;
	const struct log_context *outer;
	bool is_set;
};

/* log_prefix is made once, at the start of the run, or (log_prefix_mode 1) anew for each line. */
static void log_begin(struct run_log *r, struct ctx *ctx)
{
	bool is_own = ctx->kind == CTX_LOCAL || (ctx->mflags & CTX_F_FAKED);

	r->is_set = self.has_log_context;
	if (LIKELY(!r->is_set))
		return;
	r->log = (struct log_context){ .callid = callid_of, .arg = ctx };
	if (!is_own || (route_conf.log_prefix_mode & 2)) {
		if (route_conf.log_prefix_mode & 1)
			r->log.now = prefix_of;
		else
			r->log.prefix = prefix_of(ctx);
	}
	r->outer = log_context_set(&r->log);
}

static void log_end(const struct run_log *r)
{
	if (UNLIKELY(r->is_set))
		(void)log_context_set(r->outer);
}

static void run_over(struct ctx *ctx, int rc)
{
	void (*done)(struct ctx *, int) = ctx->finished;

	ctx->finished = NULL;
	if (done)
		done(ctx, rc);
	else
		ctx_free(ctx);
}

static void resume_run(struct ctx *ctx, int rc)
{
	const struct ctx *was = route_hand(ctx);
	struct run_log log;
	int code = 0;
	bool is_over;

	log_begin(&log, ctx);
	is_over = vm_resume(ctx, rc, &code) == VM_DONE;
	log_end(&log);
	if (is_over)
		run_over(ctx, code);
	(void)route_hand(was);
}

void route_start(struct ctx *ctx, int route, enum ctx_kind kind, route_done_fn *done)
{
	const struct ctx *was = route_hand(ctx);
	struct run_log log;
	int code = 0;
	bool is_over;

	ctx->finished = done;
	ctx->resume = resume_run;
	ctx->mflags &= ~(uint32_t)CTX_F_DROP;
	ctx->sflags = 0;
	log_begin(&log, ctx);
	is_over = vm_run(ctx, vm_script_of(ctx), route, kind, &code) == VM_DONE;
	log_end(&log);
	if (is_over)
		run_over(ctx, code);
	(void)route_hand(was);
}

static int find(const struct ctx *ctx, enum ctx_kind kind, struct str name)
{
	const struct script *s = vm_script_of(ctx);

	return s ? script_route_find(s, kind, name) : -1;
}

static void log_latency(const char *what, uint64_t rx_us)
{
	uint64_t us;

	if (LIKELY(!log_on(route_conf.latency_cfg_log)))
		return;
	us = clock_now_us() - rx_us;
	if (us >= route_conf.latency_limit_cfg_us)
		log_write(route_conf.latency_cfg_log, "%s-route executed in: %llu usec", what, (unsigned long long)us);
}

/* ---- requests ---- */

static void request_done(struct ctx *ctx, int rc)
{
	if (rc < 0)
		log_debug("request route ended with %d", rc);
	if (ctx->mflags & CTX_F_DROP)
		route_count(RC_DROP_REQUESTS);
	log_latency("request", ctx->rx.rx_us);
	if (route_latency_due(ROUTE_LATENCY_REQUESTS))
		route_latency_note(ROUTE_LATENCY_REQUESTS, ctx->rx.rx_us);
	tm_script_end(ctx);
	ctx_free(ctx);
}

void route_request_run(struct ctx *ctx)
{
	int route;

	if (ctx->msg.method == SIP_M_ACK && self.ack_filter && self.ack_filter(ctx)) {
		ctx_free(ctx);
		return;
	}
	if (tm_rx_request(ctx)) {
		ctx_free(ctx);
		return;
	}
	if (ctx->msg.method != SIP_M_ACK && ctx_parked() >= route_conf.parked_max) {
		/* Too many wait for something slow: tell the client when to come back rather than grow. */
		route_count(RC_ERR_REQUESTS);
		if (route_reply_add(ctx, STR_LIT("Retry-After: 5\r\n")) == 0)
			(void)route_reply_stateless(ctx, 503, STR_LIT("Server Overloaded"));
		ctx_free(ctx);
		return;
	}
	route = find(ctx, CTX_REQUEST, STR_NULL);
	if (route < 0) {
		log_error("no request_route to handle a request");
		ctx_free(ctx);
		return;
	}
	route_start(ctx, route, CTX_REQUEST, request_done);
}

/* ---- replies ---- */

static void sl_reply_done(struct ctx *ctx, int rc)
{
	if ((ctx->mflags & CTX_F_DROP) || rc == 0)
		route_count(RC_DROP_REPLIES);
	else
		(void)route_forward_reply(ctx);
	ctx_free(ctx);
}

static void reply_unmatched(struct ctx *ctx)
{
	struct str name = tm_conf.on_sl_reply;
	int route = name.n ? find(ctx, CTX_TM_REPLY, name) : -1;

	if (route >= 0) {
		route_start(ctx, route, CTX_TM_REPLY, sl_reply_done);
		return;
	}
	(void)route_forward_reply(ctx);
	ctx_free(ctx);
}

static void reply_match(struct ctx *ctx)
{
	if (!tm_rx_reply(ctx))
		reply_unmatched(ctx);
}

static void core_reply_done(struct ctx *ctx, int rc)
{
	log_latency("reply", ctx->rx.rx_us);
	if ((ctx->mflags & CTX_F_DROP) || rc <= 0) {
		if (rc < 0)
			log_warn("reply dropped: the reply route ended with %d", rc);
		route_count(RC_DROP_REPLIES);
		tm_script_end(ctx);
		ctx_free(ctx);
		return;
	}
	reply_match(ctx);
}

static void reply_run(struct ctx *ctx)
{
	int route = find(ctx, CTX_CORE_REPLY, STR_NULL);

	if (route >= 0)
		route_start(ctx, route, CTX_CORE_REPLY, core_reply_done);
	else
		reply_match(ctx);
}

/* ---- entry ---- */

int route_on_reply(route_reply_fn *fn)
{
	if (self.n_takers == ARRAY_LEN(self.taker))
		return -ENOSPC;
	self.taker[self.n_takers++] = fn;
	return 0;
}

static bool reply_taken(struct ctx *ctx)
{
	for (unsigned i = 0; i < self.n_takers; i++)
		if (self.taker[i](ctx))
			return true;
	return false;
}

static void reply_dispatch(struct ctx *ctx)
{
	uint64_t rx_us = ctx->rx.rx_us;

	if (reply_taken(ctx))
		ctx_free(ctx);
	else
		reply_run(ctx);
	if (route_latency_due(ROUTE_LATENCY_REPLIES))
		route_latency_note(ROUTE_LATENCY_REPLIES, rx_us);
}

void route_dispatch(struct ctx *ctx)
{
	if (ctx->msg.kind != SIP_REQUEST)
		reply_dispatch(ctx);
	else if (LIKELY(!route_conf.via_dns && !route_conf.via_rev_dns) || !route_via_asks(ctx))
		route_request_run(ctx);
}

static void pre_routing_done(struct ctx *ctx, int rc)
{
	(void)rc; /* only drop counts here: language.md, section 6 */
	if (ctx->mflags & CTX_F_DROP)
		ctx_free(ctx);
	else
		route_gate_pass(ctx);
}

struct str route_phrase(struct pool *pool, const char *text)
{
	struct strbuf sb;

	strbuf_init_pool(&sb, pool, 128);
	for (size_t i = 0; text[i] && i < 120; i++)
		strbuf_add_char(&sb, (unsigned char)text[i] < 32 || text[i] == 127 ? ' ' : text[i]);
	return sb.n && strbuf_err(&sb) == 0 ? strbuf_str(&sb) : STR_LIT("Bad Request");
}

/* A message that cannot be used: answered when it is a request and has what an answer needs. */
static void refuse(struct ctx *ctx, const struct diag *why)
{
	route_count(RC_BAD_HDR);
	if (log_on(L_INFO)) {
		char src[NET_ADDR_TEXT_MAX];

		log_info("bad message from %.*s: %s (byte %zu)", (int)net_addr_text(&ctx->rx.src, src), src, why->text, why->pos);
	}
	if (sip_msg_answerable(&ctx->msg)) {
		/* No script could say force_rport(), and what a broken Via names is not to be trusted: back to where it came from. */
		ctx->mflags |= CTX_F_FORCE_RPORT;
		struct str v = ctx->msg.version;

		if (v.n && str_istarts(v, STR_LIT("SIP/")) && !str_ieq(v, STR_LIT("SIP/2.0")))
			(void)route_reply_stateless(ctx, 505, STR_LIT("Version Not Supported"));
		else
			(void)route_reply_stateless(ctx, 400, route_phrase(ctx->pool, why->text));
	}
	ctx_free(ctx);
}

static void parse_error_done(struct ctx *ctx, int rc)
{
	struct diag *why = ctx->finished_arg;

	(void)rc; /* only drop counts here: language.md, section 6 */
	ctx->finished_arg = NULL;
	if (ctx->mflags & CTX_F_DROP)
		ctx_free(ctx);
	else
		refuse(ctx, why);
}

/* The script may look at what cannot be used, and have it dropped instead of answered. */
static void bad_message(struct ctx *ctx, const struct diag *why)
{
	int route = find(ctx, CTX_EVENT, STR_LIT("core:receive-parse-error"));
	struct diag *kept = route >= 0 ? pool_alloc(ctx->pool, sizeof(*kept)) : NULL;

	if (LIKELY(!kept)) {
		refuse(ctx, why);
		return;
	}
	*kept = *why;
	ctx->finished_arg = kept;
	route_start(ctx, route, CTX_EVENT, parse_error_done);
}

static void count_reply(struct ctx *ctx)
{
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg); /* asked for by the transactions as well */

	route_count_reply(ctx->msg.status, cseq ? cseq->method : SIP_M_OTHER);
}

/* RFC 5923: requests for the port that the Via names come by this connection as well. */
static void take_alias(struct ctx *ctx)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);

	if (via->has_alias && conn_alias_add(ctx->rx.conn_id, via->port ? via->port : sip_proto_default_port(ctx->rx.proto)) < 0)
		log_info("alias of connection %u not taken: the port is another connection's, or one too many", (unsigned)ctx->rx.conn_id);
}

void route_decoded(struct ctx *ctx)
{
	struct diag why = { 0 };
	int route;

	if (sip_msg_parse(ctx->pool, ctx->msg.buf, &ctx->msg, &why) < 0) {
		bad_message(ctx, &why);
		return;
	}
	if (ctx->msg.kind == SIP_REQUEST)
		route_count_request(ctx->msg.method);
	else
		count_reply(ctx);
	if (sip_msg_check(&ctx->msg, &why) < 0) {
		if (ctx->msg.kind == SIP_REQUEST) {
			route_count(RC_ERR_REQUESTS);
			bad_message(ctx, &why);
			return;
		}
		route_count(RC_ERR_REPLIES);
		ctx_free(ctx);
		return;
	}
	if (UNLIKELY(ctx->rx.conn_id) && ctx->msg.kind == SIP_REQUEST && conn_conf()->accept_aliases)
		take_alias(ctx);
	route = find(ctx, CTX_EVENT, STR_LIT("core:pre-routing"));
	if (UNLIKELY(route >= 0))
		route_start(ctx, route, CTX_EVENT, pre_routing_done);
	else
		route_gate_pass(ctx);
}

static void decode(struct ctx *ctx)
{
	if (LIKELY(!route_wire_in(ctx)))
		route_decoded(ctx);
}

static void received_done(struct ctx *ctx, int rc)
{
	(void)rc; /* only drop counts here */
	if (ctx->mflags & CTX_F_DROP)
		ctx_free(ctx);
	else
		decode(ctx);
}

static void take(struct ctx *ctx)
{
	int route;

	cfg_catch_up();
	route = UNLIKELY(route_conf.received_route_mode & 1) ? find(ctx, CTX_EVENT, STR_LIT("core:msg-received")) : -1;
	if (LIKELY(route < 0)) {
		decode(ctx);
		return;
	}
	ctx->msg.pool = ctx->pool; /* nothing is parsed yet: variables about the message are null */
	route_start(ctx, route, CTX_EVENT, received_done);
}

static void receive(struct ctx *ctx)
{
	if (UNLIKELY(quarantine_refuses(ctx->msg.buf))) {
		ctx_free(ctx);
		return;
	}
	(void)route_hand(ctx);
#ifdef RF_CRASH_POINTS
	route_crash_on(ctx);
#endif
	take(ctx);
	(void)route_hand(NULL);
}

/* ---- start ---- */

int route_register(void)
{
	return route_cmds_register();
}

int route_configure(void)
{
	struct fmt *prefix = NULL;
	struct diag why = { 0 };
	struct pool *pool = NULL;
	int err;

	route_gate_configure();
	out_conf = (struct out_conf){ .force_rport = route_conf.force_rport, .local_rport = route_conf.local_rport,
		.reply_to_via = route_conf.reply_to_via, .udp_mtu = route_conf.udp_mtu, .udp_mtu_try_proto = route_conf.udp_mtu_try_proto,
		.user_agent = route_conf.user_agent_header, .server_id = route_conf.server_id, .xavp_via_params = route_conf.xavp_via_params,
		.xavp_via_fields = route_conf.xavp_via_fields, .xavp_via_reply_params = route_conf.xavp_via_reply_params };
	self.has_log_context = route_conf.log_prefix.n > 0 || route_conf.log_callid;
	if (route_conf.log_prefix.n) {
		pool = pool_new(64 * 1024);
		if (!pool)
			return log_fail(-ENOMEM, "log_prefix");
		err = fmt_compile(pool, route_conf.log_prefix, &prefix, &why);
		if (err < 0) {
			log_error("log_prefix: %s", why.text);
			pool_free(pool);
			return err;
		}
	}
	pool_free(self.pool);
	self.pool = pool;
	self.log_prefix = prefix;
	return 0;
}

int route_init(void)
{
	int err = route_counters_init();

	if (err < 0)
		return log_fail(err, "statistics of the core");
	err = route_latency_init();
	if (err < 0)
		return log_fail(err, "histogram of latencies");
	err = quarantine_init();
	if (err < 0)
		return log_fail(err, "table of refused messages");
	err = route_gate_init();
	if (err < 0)
		return err;
	route_hand_init();
	route_tm_hooks();
	return route_configure();
}

static void worker_one_done(struct ctx *ctx, int rc, void *arg)
{
	bool *dropped = arg;

	(void)rc;
	*dropped = (ctx->mflags & CTX_F_DROP) != 0;
}

int route_worker_init(struct loop *loop)
{
	(void)loop; /* nothing here needs a descriptor or timer of its own */
	rx_handler(receive);
	route_onsend_init();
	return 0;
}

int route_worker_one_init(void)
{
	static bool dropped; /* outlives this call when the route parks; then only its log tells */
	struct ctx *ctx;

	if (proc_number() != 0)
		return 0;
	ctx = route_faked_ctx();
	if (!ctx)
		return -ENOMEM;
	if (route_event(STR_LIT("core:worker-one-init"), ctx, worker_one_done, &dropped) == 0)
		ctx_free(ctx);
	if (dropped) {
		log_error("event_route[core:worker-one-init] refused the start");
		return -ECANCELED;
	}
	return 0;
}
