/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What scripts, variables and operators see of transactions: parameters and functions. The machinery is core/tm, which is always
 * there; without this module a script has no word for it.
 *
 * Parameters that elsewhere choose between ways of matching or building are accepted at the value that says what we do.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/regex.h"
#include "core/module/abi.h"
#include "core/net/listener.h"
#include "core/route/route.h"
#include "core/tm/tm.h"
#include "modules/tm/tm_contacts.h"
#include "modules/tm/tm_rpc.h"

/* ---- relaying ---- */

static int relay(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return tm_relay(ctx, NULL);
}

static int relay_as(struct ctx *ctx, const union script_arg *a, unsigned n, enum sip_proto proto, bool replicate)
{
	struct tm_relay_opts o = { .proto = proto, .replicate = replicate };

	if (n == 2) {
		if (a[1].i < 0 || a[1].i > 65535)
			return -1;
		o.host = a[0].s;
		o.port = (uint16_t)a[1].i;
	}
	return tm_relay(ctx, &o);
}

#define RELAY_BY(name_, proto_, replicate_) \
	static int name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		return relay_as(ctx, a, n, proto_, replicate_); \
	}
RELAY_BY(relay_addr, SIP_PROTO_NONE, false)
RELAY_BY(relay_udp, SIP_PROTO_UDP, false)
RELAY_BY(relay_tcp, SIP_PROTO_TCP, false)
RELAY_BY(relay_tls, SIP_PROTO_TLS, false)
RELAY_BY(replicate_udp, SIP_PROTO_UDP, true)
RELAY_BY(replicate_tcp, SIP_PROTO_TCP, true)
RELAY_BY(replicate_tls, SIP_PROTO_TLS, true)

/* "proto:host:port", parts optional; IPv6 in brackets. */
static int parse_proxy(struct str s, struct tm_relay_opts *o)
{
	ptrdiff_t colon = str_find_char(s, ':'), close = str_find_char(s, ']');
	uint32_t port;

	if (colon > 0 && sip_proto_lookup(str_sub(s, 0, (size_t)colon)) != SIP_PROTO_NONE) {
		o->proto = sip_proto_lookup(str_sub(s, 0, (size_t)colon));
		s = str_sub(s, (size_t)colon + 1, s.n);
		close = str_find_char(s, ']');
	}
	colon = str_rfind_char(s, ':');
	o->host = s;
	if (colon >= 0 && colon > close) {
		if (num_u32(str_sub(s, (size_t)colon + 1, s.n), &port) < 0 || port == 0 || port > 65535)
			return -EBADMSG;
		o->port = (uint16_t)port;
		o->host = str_sub(s, 0, (size_t)colon);
	}
	return o->host.n ? 0 : -EBADMSG;
}

static int relay_to(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct tm_relay_opts o = { .proto = SIP_PROTO_NONE };
	uint32_t flags;

	if (n == 0)
		return tm_relay(ctx, NULL);
	if (n == 1 && num_u32(a[0].s, &flags) == 0) {
		o.flags = flags;
		return tm_relay(ctx, &o);
	}
	if (parse_proxy(a[0].s, &o) < 0) {
		log_error("t_relay_to: bad proxy \"%.*s\"", STR_FMT(a[0].s));
		return -1;
	}
	if (n == 2)
		o.flags = (unsigned)a[1].i;
	return tm_relay(ctx, &o);
}

/* "proto", "host:port" */
static int relay_proto(struct ctx *ctx, const union script_arg *a, unsigned n, bool replicate)
{
	struct tm_relay_opts o = { .replicate = replicate };
	enum sip_proto proto = n == 2 ? sip_proto_lookup(a[0].s) : SIP_PROTO_NONE;

	if (proto == SIP_PROTO_NONE || parse_proxy(a[1].s, &o) < 0) {
		log_error("\"%.*s\", \"%.*s\": transport and host[:port] expected", STR_FMT(a[0].s), STR_FMT(a[1].s));
		return -1;
	}
	o.proto = proto;
	return tm_relay(ctx, &o);
}

static int replicate_to(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return relay_proto(ctx, a, n, true);
}

/* These need a transaction that exists. */
static int forward_nonack_to(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return ctx->txn ? relay_proto(ctx, a, n, false) : -1;
}

#define FORWARD_BY(name_, relay_) \
	static int name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		return ctx->txn ? relay_(ctx, a, n) : -1; \
	}
FORWARD_BY(forward_nonack, relay_addr)
FORWARD_BY(forward_nonack_udp, relay_udp)
FORWARD_BY(forward_nonack_tcp, relay_tcp)
FORWARD_BY(forward_nonack_tls, relay_tls)
FORWARD_BY(forward_nonack_uri, relay)

static int replicate(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str uri = n == 1 ? a[0].s : STR_NULL;

	if (uri.n)
		ctx->main.dst_uri = uri;
	return relay_as(ctx, a, n == 2 ? 2 : 0, SIP_PROTO_NONE, true);
}

/* ---- transactions ---- */

static int newtran(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	return tm_newtran(ctx);
}

static int reason_or_default(struct ctx *ctx, const union script_arg *a)
{
	bool ok = a[0].i >= 100 && a[0].i <= 699;

	return tm_reply(ctx, ok ? (int)a[0].i : tm_conf.default_code, a[1].s.n ? a[1].s : tm_conf.default_reason);
}

static int reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 2 ? reason_or_default(ctx, a) : -1;
}

static int send_reply(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int r;

	if (n != 2)
		return -1;
	if (!ctx->txn) {
		r = tm_newtran(ctx);
		if (r <= 0)
			return r;
	}
	return reason_or_default(ctx, a);
}

#define PLAIN(name_, call_) \
	static int name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		(void)a, (void)n; /* takes none */ \
		return call_; \
	}
PLAIN(reply_error, tm_reply_error(ctx))
PLAIN(check_trans, tm_check_trans(ctx))
PLAIN(lookup_request, tm_lookup_request(ctx))
PLAIN(exists, tm_exists(ctx) ? 1 : -1)
PLAIN(retransmit_reply, tm_retransmit_reply(ctx))
PLAIN(release, tm_release(ctx))
PLAIN(save_lumps, tm_edits_save(ctx))
/* CANCEL and ACK are always made from the INVITE that was sent to that branch. */
PLAIN(use_uac_headers, ctx->txn ? 1 : -1)
/* A reply that comes again while its route waits is absorbed by the branch's state: no route sees it. */
PLAIN(is_retr_async_reply, ((void)ctx, -1))
PLAIN(is_canceled, tm_is_canceled(ctx) ? 1 : -1)
PLAIN(is_expired, tm_is_expired(ctx) ? 1 : -1)
PLAIN(any_timeout, tm_any_timeout(ctx) ? 1 : -1)
PLAIN(any_replied, tm_any_replied(ctx) ? 1 : -1)
PLAIN(branch_timeout, tm_branch_timeout(ctx) ? 1 : -1)
PLAIN(branch_replied, tm_branch_replied(ctx) ? 1 : -1)
PLAIN(reset_fr, tm_set_fr(ctx, (unsigned)tm_conf.fr_inv_timer, (unsigned)tm_conf.fr_timer))
PLAIN(reset_retr, tm_set_retr(ctx, (unsigned)tm_conf.retr_timer1, (unsigned)tm_conf.retr_timer2))
PLAIN(reset_lifetime, tm_set_max_lifetime(ctx, (unsigned)tm_conf.max_inv_lifetime, (unsigned)tm_conf.max_noninv_lifetime))

static int clean(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx, (void)a, (void)n; /* timers clean up: there is nothing to hurry */
	return 1;
}

static int lookup_cancel(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n == 1 && a[0].i)
		return tm_lookup_cancel_flags(ctx);
	return tm_lookup_cancel(ctx);
}

static int relay_cancel(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int rc;

	(void)a, (void)n; /* takes none */
	if (ctx->msg.method != SIP_M_CANCEL)
		return 1;
	rc = tm_relay(ctx, &(struct tm_relay_opts){ .cancel_only = true });
	return rc == 2 ? 1 : rc > 0 ? 0 : rc;
}

/* ---- arming ---- */

#define ARM(name_, field_) \
	static int name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		if (n != 1) \
			return -1; \
		ctx->field_ = str_eq(a[0].s, STR_LIT("0")) ? STR_NULL : a[0].s; \
		return 1; \
	}
ARM(on_failure, on_failure)
ARM(on_reply, on_reply)
ARM(on_branch, on_branch)
ARM(on_branch_failure, on_branch_failure)

static int is_set(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str what = n == 1 ? a[0].s : STR_NULL;
	struct tm_branch_info b = { 0 };
	bool armed = false;

	/* What was armed before the request went out is with its branches. */
	if (ctx->kind == CTX_TM_REPLY && tm_branch_info(ctx, ctx->txn_branch, &b) < 0)
		return -1;
	if (str_eq(what, STR_LIT("branch_route")))
		armed = ctx->on_branch.n;
	else if (str_eq(what, STR_LIT("failure_route")))
		armed = ctx->on_failure.n || b.on_failure.n;
	else if (str_eq(what, STR_LIT("onreply_route")))
		armed = ctx->on_reply.n || b.on_reply.n;
	return armed ? 1 : -1;
}

/* ---- timers and flags ---- */

static bool ms_ok(const union script_arg *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (a[i].i < 0 || a[i].i > INT32_MAX)
			return false;
	return true;
}

static int set_fr(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return ms_ok(a, n) ? tm_set_fr(ctx, (unsigned)a[0].i, n > 1 ? (unsigned)a[1].i : 0) : -1;
}

static int set_retr(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 2 && ms_ok(a, n) ? tm_set_retr(ctx, (unsigned)a[0].i, (unsigned)a[1].i) : -1;
}

static int set_lifetime(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 2 && ms_ok(a, n) ? tm_set_max_lifetime(ctx, (unsigned)a[0].i, (unsigned)a[1].i) : -1;
}

#define SWITCH(name_, flag_, invert_) \
	static int name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		return n == 1 ? tm_flag_set(ctx, flag_, (a[0].i != 0) != (invert_)) : -1; \
	}
SWITCH(set_auto_100, TM_F_NO_INV_100, true)
SWITCH(set_disable_6xx, TM_F_DISABLE_6XX, false)
SWITCH(set_disable_failover, TM_F_DISABLE_FAILOVER, false)
SWITCH(set_disable_internal, TM_F_DISABLE_INTERNAL_REPLY, false)
SWITCH(set_no_auto_ack, TM_F_NO_AUTO_ACK, false)
SWITCH(set_no_e2e_reason, TM_F_NO_E2E_REASON, false)

/* ---- status ---- */

static int check_status(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	char text[NUM_DEC_MAX];
	int status = tm_status(ctx);

	if (n != 1 || status <= 0)
		return -1;
	return regex_match(a[0].re, str_of(text, num_dec(status, text)), 0, NULL) == 1 ? 1 : -1;
}

static int status_code(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int status = tm_status(ctx);

	(void)a, (void)n; /* takes none */
	return status > 0 ? status : -1;
}

static int grep_status(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 1 && tm_grep_status(ctx, (int)a[0].i) ? 1 : -1;
}

static int drop_replies(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return tm_drop_replies(ctx, n && a[0].s.n ? a[0].s.s[0] : 'a');
}

static int append_branches(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 2 || a[0].i < 0 || a[0].i > UINT32_MAX || a[1].i < 0 || a[1].i > UINT32_MAX)
		return -1;
	return tm_append(ctx, (uint32_t)a[0].i, (uint32_t)a[1].i);
}

/* A message that cannot be read again ends the route: nothing that follows could be right. */
static int msg_apply_changes(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct diag d = { 0 };

	(void)a, (void)n; /* takes none */
	if (tm_branch_msg_own(ctx) < 0) {
		log_error("t_msg_apply_changes: not in a branch route, or no memory");
		return -1;
	}
	if (route_msg_apply(ctx, &d) == 0)
		return 1;
	log_error("t_msg_apply_changes: the changed message cannot be read: %s", d.text);
	return 0;
}

/* ---- requests of our own ---- */

static int uac_send(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct tm_uac_req req = { .method = a[0].s, .ruri = a[1].s, .next_hop = a[2].s, .headers = a[4].s, .body = a[5].s, .listener = NET_LISTENER_NONE };
	struct diag why = { 0 };

	(void)ctx; /* the request is of its own */
	if (n != 6)
		return -1;
	if (str_ends(req.method, STR_LIT("."))) {
		req.method.n--;
		req.no_ack = true;
	}
	if (str_eq(req.next_hop, STR_LIT(".")))
		req.next_hop = STR_NULL;
	if (a[3].s.n && !str_eq(a[3].s, STR_LIT("."))) {
		const struct net_listener *l = net_listener_find(a[3].s);

		if (!l) {
			log_error("t_uac_send: nothing listens on %.*s", STR_FMT(a[3].s));
			return -1;
		}
		req.listener = l->index;
	}
	if (tm_uac_start(&req, NULL, NULL, &why) < 0) {
		log_error("t_uac_send: %s", why.text);
		return -1;
	}
	return 1;
}

/* clang-format off */
#define R CTX_REQUEST
#define F CTX_FAILURE
#define B CTX_BRANCH
#define T CTX_TM_REPLY
#define E CTX_EVENT
#define NOARG(name_, fn_, kinds_) { .name = name_, .fn = fn_, .kinds = kinds_ }
#define RELAY(name_, fn_, kinds_) { .name = name_, .fn = fn_, .kinds = kinds_, .may_suspend = true }
#define RELAY2(name_, fn_, kinds_) { .name = name_, .fn = fn_, .n_params = 2, .param = { SP_STR, SP_INT }, .kinds = kinds_, .may_suspend = true }
#define TO(name_, fn_) { .name = name_, .fn = fn_, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = R, .may_suspend = true }
#define CODE(name_, fn_) { .name = name_, .fn = fn_, .n_params = 2, .param = { SP_DINT, SP_DSTR }, .kinds = R | CTX_ONREPLY | F }
#define ON(name_, fn_, kinds_, route_) { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_ROUTE }, .kinds = kinds_, .route_kind = route_ }
#define INT_1(name_, fn_, kinds_) { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_DINT }, .kinds = kinds_ }
#define INT_2(name_, fn_) { .name = name_, .fn = fn_, .n_params = 2, .param = { SP_DINT, SP_DINT }, .kinds = R | T | F | B }

static const struct script_func funcs[] = {
	RELAY("t_relay", relay, R | F | E), RELAY2("t_relay", relay_addr, R | F | E),
	RELAY("t_relay_to_udp", relay_udp, R | F | E), RELAY2("t_relay_to_udp", relay_udp, R | F | E),
	RELAY("t_relay_to_tcp", relay_tcp, R | F | E), RELAY2("t_relay_to_tcp", relay_tcp, R | F | E),
	RELAY("t_relay_to_tls", relay_tls, R | F | E), RELAY2("t_relay_to_tls", relay_tls, R | F | E),
	RELAY("t_relay_to", relay_to, R | F),
	{ .name = "t_relay_to", .fn = relay_to, .n_params = 1, .param = { SP_STR }, .kinds = R | F, .may_suspend = true },
	RELAY2("t_relay_to", relay_to, R | F),
	{ .name = "t_relay_to_proxy", .fn = relay_to, .n_params = 1, .param = { SP_DSTR }, .kinds = R | F, .may_suspend = true },
	{ .name = "t_relay_to_proxy", .fn = relay_to, .n_params = 2, .param = { SP_DSTR, SP_DINT }, .kinds = R | F, .may_suspend = true },
	RELAY2("t_forward_nonack", forward_nonack, R), RELAY2("t_forward_nonack_udp", forward_nonack_udp, R),
	RELAY2("t_forward_nonack_tcp", forward_nonack_tcp, R), RELAY2("t_forward_nonack_tls", forward_nonack_tls, R),
	TO("t_forward_nonack_to", forward_nonack_to), RELAY2("t_replicate_udp", replicate_udp, R), RELAY2("t_replicate_tcp", replicate_tcp, R),
	RELAY2("t_replicate_tls", replicate_tls, R), TO("t_replicate_to", replicate_to), RELAY("t_forward_nonack_uri", forward_nonack_uri, R),
	RELAY("t_replicate", replicate, R), RELAY2("t_replicate", replicate, R),
	{ .name = "t_replicate", .fn = replicate, .n_params = 1, .param = { SP_DSTR }, .kinds = R, .may_suspend = true },
	NOARG("t_newtran", newtran, R), CODE("t_reply", reply), CODE("t_send_reply", send_reply), NOARG("t_reply_error", reply_error, R | CTX_ONREPLY | F),
	ON("t_on_failure", on_failure, R | F | T | B | E, CTX_FAILURE), ON("t_on_reply", on_reply, R | F | T | B | E, CTX_TM_REPLY),
	ON("t_on_branch", on_branch, R | F | E, CTX_BRANCH),
	{ .name = "t_on_branch_failure", .fn = on_branch_failure, .n_params = 1, .param = { SP_DSTR }, .kinds = R | F | T | B | E },
	NOARG("t_check_trans", check_trans, R | CTX_ONREPLY | B), NOARG("t_lookup_request", lookup_request, R),
	NOARG("t_lookup_cancel", lookup_cancel, R), INT_1("t_lookup_cancel", lookup_cancel, R),
	NOARG("t_exists", exists, CTX_ANY), NOARG("t_relay_cancel", relay_cancel, R),
	NOARG("t_retransmit_reply", retransmit_reply, R), NOARG("t_release", release, R),
	INT_1("t_set_fr", set_fr, R | T | F | B), INT_2("t_set_fr", set_fr), NOARG("t_reset_fr", reset_fr, R | T | F | B),
	INT_2("t_set_retr", set_retr), NOARG("t_reset_retr", reset_retr, R | T | F | B),
	INT_2("t_set_max_lifetime", set_lifetime), NOARG("t_reset_max_lifetime", reset_lifetime, R | T | F | B),
	INT_1("t_set_auto_inv_100", set_auto_100, R), INT_1("t_set_disable_6xx", set_disable_6xx, R | T | F | B),
	INT_1("t_set_disable_failover", set_disable_failover, R | T | F | B),
	INT_1("t_set_disable_internal_reply", set_disable_internal, R | T | F | B),
	INT_1("t_set_no_auto_ack", set_no_auto_ack, R | T | F | B),
	INT_1("t_set_no_e2e_cancel_reason", set_no_e2e_reason, R | T | F | B),
	INT_1("t_disable_e2e_cancel_reason", set_no_e2e_reason, R | T | F | B),
	NOARG("t_is_canceled", is_canceled, R | T | F | B | E), NOARG("t_is_expired", is_expired, R | T | F | B),
	NOARG("t_any_timeout", any_timeout, R | T | F | B), NOARG("t_any_replied", any_replied, R | T | F | B),
	INT_1("t_grep_status", grep_status, R | T | F | B),
	NOARG("t_branch_timeout", branch_timeout, R | F | E), NOARG("t_branch_replied", branch_replied, R | F | E),
	{ .name = "t_check_status", .fn = check_status, .n_params = 1, .param = { SP_REGEX }, .kinds = R | F | CTX_ONREPLY | E },
	NOARG("t_get_status_code", status_code, R | CTX_ONREPLY | F | B),
	NOARG("t_drop_replies", drop_replies, F),
	{ .name = "t_drop_replies", .fn = drop_replies, .n_params = 1, .param = { SP_STR }, .kinds = F },
	{ .name = "t_is_set", .fn = is_set, .n_params = 1, .param = { SP_STR }, .kinds = CTX_ANY },
	NOARG("t_load_contacts", tm_load_contacts, R | F), INT_1("t_load_contacts", tm_load_contacts, R | F),
	NOARG("t_next_contacts", tm_next_contacts, R | F), NOARG("t_next_contact_flow", tm_next_contact_flow, R | E),
	{ .name = "t_cell_append_branches", .fn = append_branches, .n_params = 2, .param = { SP_DINT, SP_DINT }, .kinds = CTX_ANY },
	NOARG("t_msg_apply_changes", msg_apply_changes, B), NOARG("t_save_lumps", save_lumps, R), NOARG("t_use_uac_headers", use_uac_headers, CTX_ANY),
	NOARG("t_is_retr_async_reply", is_retr_async_reply, T), NOARG("t_clean", clean, CTX_ANY),
	{ .name = "t_uac_send", .fn = uac_send, .n_params = 6, .param = { SP_DSTR, SP_DSTR, SP_DSTR, SP_DSTR, SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = NULL },
};

#define MS(name_, def_) SETTING_LIVE_INT(#name_, struct tm_conf, name_, def_, 1, 86400000)
#define BIT(name_, def_) SETTING_LIVE_INT(#name_, struct tm_conf, name_, def_, 0, 1)
#define UPTO(name_, def_, max_) SETTING_LIVE_INT(#name_, struct tm_conf, name_, def_, 0, max_)
#define TEXT(name_, def_) SETTING_LIVE_STR(#name_, struct tm_conf, name_, def_)

/* One value says what is done here; another one is refused with the reason, def_str. */
static int only(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)s; /* nothing is kept */
	return i == set->def ? 0 : diag_err(reterr, -ENOTSUP, 0, "%s: only %lld is supported: %s", set->name, (long long)set->def, set->def_str);
}
#define ONLY(name_, value_, why_) { .name = name_, .type = SETTING_FN_INT_T, .def = value_, .min = INT64_MIN, .max = INT64_MAX, .def_str = why_, .fn = only }
#define SENT "CANCEL and the ACK of a failure are made from the INVITE as it was sent to that branch"
#define MATCH "requests and replies are matched as RFC 3261 says, 17.1.3 and 17.2.3"
#define BLST "there is no list of blocked destinations"

static int reparse_on_failover(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)s; /* nothing is kept */
	return i == 1 ? 0 : diag_err(reterr, 1, 0, "%s=0 is not needed: the next address gets what the first one got, with the changes of its branch", set->name);
}

static int exec_time_check(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)s; /* nothing is kept */
	return i == set->def ? 0 : diag_err(reterr, 1, 0, "%s is not needed: a transaction cannot end while its failure route runs", set->name);
}

/* "$avp(name)", "$avp(s:name)": the name. */
static int timer_avp(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct tm_conf *conf = c;
	struct str name;

	(void)i; /* a text */
	if (!str_starts(s, STR_LIT("$avp(")) || !str_ends(s, STR_LIT(")")) || s.n <= 6)
		return diag_set(reterr, 0, "%s: $avp(name) expected", set->name);
	name = str_sub(s, 5, s.n - 6);
	if (str_starts(name, STR_LIT("s:")))
		name = str_sub(name, 2, name.n);
	*(strcmp(set->name, "fr_timer_avp") == 0 ? &conf->fr_timer_avp : &conf->fr_inv_timer_avp) = name;
	return 0;
}
/* "name" of an XAVP. */
static int contacts_name(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)i; /* a text, kept where its functions are */
	if (s.n == 0 || str_find_char(s, '$') >= 0)
		return diag_set(reterr, 0, "%s: name of an XAVP expected, without $xavp()", set->name);
	*(strcmp(set->name, "contacts_avp") == 0   ? &tm_contacts_conf.contacts_avp
	  : strcmp(set->name, "xavp_contact") == 0 ? &tm_contacts_conf.xavp_contact
						   : &tm_contacts_conf.contact_flows_avp) = s;
	return 0;
}
#define XAVP(name_) { .name = name_, .type = SETTING_FN_STR_T, .fn = contacts_name }
#define AVP(name_) { .name = name_, .type = SETTING_FN_STR_T, .fn = timer_avp }

static const struct setting settings[] = {
	MS(fr_timer, 30000), MS(fr_inv_timer, 120000), MS(wt_timer, 5000), MS(max_inv_lifetime, 180000), MS(max_noninv_lifetime, 32000),
	SETTING_LIVE_INT("retr_timer1", struct tm_conf, retr_timer1, 500, 10, 60000),
	SETTING_LIVE_INT("retr_timer2", struct tm_conf, retr_timer2, 4000, 10, 60000),
	BIT(noisy_ctimer, 1), BIT(auto_inv_100, 1), BIT(restart_fr_on_each_reply, 1), BIT(aggregate_challenges, 1), BIT(remap_503_500, 1),
	BIT(pass_provisional_replies, 0), BIT(failure_exec_mode, 0), BIT(disable_6xx_block, 0), BIT(delayed_reply, 1), BIT(local_cancel_reason, 1), BIT(e2e_cancel_reason, 1),
	UPTO(cancel_b_method, 1, 2), UPTO(local_ack_mode, 0, 2), UPTO(unmatched_cancel, 0, 2), UPTO(failure_reply_mode, 3, 3),
	SETTING_LIVE_INT("faked_reply_prio", struct tm_conf, faked_reply_prio, 0, -10000, 100000),
	SETTING_LIVE_INT("reply_408_code", struct tm_conf, reply_408_code, 408, 400, 699),
	SETTING_LIVE_INT("default_code", struct tm_conf, default_code, 500, 400, 699),
	TEXT(auto_inv_100_reason, "trying -- your call is important to us"), TEXT(reply_408_reason, "Request Timeout"),
	TEXT(default_reason, "Server Internal Error"), TEXT(ac_extra_hdrs, NULL), AVP("fr_timer_avp"), AVP("fr_inv_timer_avp"),
	XAVP("contacts_avp"), XAVP("contact_flows_avp"), XAVP("xavp_contact"), TEXT(on_sl_reply, NULL), TEXT(failover_reply_codes, NULL),
	ONLY("reparse_invite", 1, SENT), ONLY("ruri_matching", 1, MATCH), ONLY("via1_matching", 1, MATCH), ONLY("callid_matching", 0, MATCH),
	ONLY("callid_cseq_matching", 0, MATCH), ONLY("reply_matching", 1, "a reply belongs to a transaction that lives, or to none"),
	ONLY("e2e_cancel_hop_by_hop", 1, "CANCEL is hop by hop, RFC 3261 16.10"), ONLY("headers_mode", 0, SENT),
	ONLY("blst_503", 0, BLST), ONLY("blst_503_def_timeout", 0, BLST), ONLY("blst_503_min_timeout", 0, BLST), ONLY("blst_503_max_timeout", 3600, BLST),
	ONLY("blst_methods_add", 1, BLST), ONLY("blst_methods_lookup", -9, BLST),
	ONLY("dns_reuse_rcv_socket", 0, "the socket is chosen for the address that is tried"),
	ONLY("local_ack_branch_mode", 0, "the ACK of a 2xx is a request of its own, RFC 3261 13.2.2.4"),
	ONLY("relay_100", 0, "100 goes one hop, RFC 3261 16.7"), ONLY("rich_redirect", 0, "the Contacts of a 3xx are URI and q"),
	ONLY("reply_relay_mode", 1, "replies go on as the transaction decides"),
	ONLY("enable_uac_fr", 0, "requests of our own have no failure route"), ONLY("evlreq_mode", 0, "CANCEL and ACK of a hop run no event route"),
	SETTING_KEMI("event_callback", "tm:local-request"), SETTING_KEMI("event_callback_lres_sent", "tm:local-response"),
	SETTING_KEMI("evcb_local_ack_sent", "tm:local-ack-sent"),
	{ .name = "reparse_on_dns_failover", .type = SETTING_FN_INT_T, .def = 1, .min = 0, .max = 1, .fn = reparse_on_failover },
	{ .name = "exec_time_check", .type = SETTING_FN_INT_T, .def = 5000, .min = 0, .max = INT_MAX, .fn = exec_time_check },
	SETTING_END
};
static const struct cfg_live live[] = {
	{ "auto_inv_100_reason",      NULL, "reason of the 100 that answers an INVITE by itself", 0 },
	{ "default_reason",           NULL, "reason of a reply when the route gave none", 0 },
	{ "ac_extra_hdrs",            NULL, "header fields beginning so go from the INVITE into its CANCEL and ACK", 0 },
	{ "fr_timer",                 NULL, "ms until a request without an answer is given up", CFG_WRITE_ONLY },
	{ "fr_inv_timer",             NULL, "ms until an INVITE that rings is given up", CFG_WRITE_ONLY },
	{ "wt_timer",                 NULL, "ms that a finished transaction absorbs what comes late", CFG_WRITE_ONLY },
	{ "retr_timer1",              NULL, "ms to the first retransmission", CFG_WRITE_ONLY },
	{ "retr_timer2",              NULL, "ms between retransmissions at most", CFG_WRITE_ONLY },
	{ "max_inv_lifetime",         NULL, "ms that an INVITE transaction may take", CFG_WRITE_ONLY },
	{ "max_noninv_lifetime",      NULL, "ms that another transaction may take", CFG_WRITE_ONLY },
	{ "noisy_ctimer",             NULL, "1: an INVITE that is given up is answered 408", 0 },
	{ "auto_inv_100",             NULL, "1: an INVITE is answered 100 at once", 0 },
	{ "restart_fr_on_each_reply", NULL, "1: each provisional reply restarts fr_inv_timer", 0 },
	{ "pass_provisional_replies", NULL, "1: provisional replies run event_route[tm:local-response], too", 0 },
	{ "aggregate_challenges",     NULL, "1: the challenges of all branches go into one 401 or 407", 0 },
	{ "unmatched_cancel",         NULL, "a CANCEL for nothing known is forwarded with a transaction (0), without (1), or dropped (2)", 0 },
	{ "default_code",             NULL, "code of a reply when the route gave none", 0 },
	{ "cancel_b_method",          NULL, "a branch without any reply when cancelled: faked reply (0), waits (1), CANCEL at once (2)", CFG_WRITE_ONLY },
	{ "disable_6xx_block",        NULL, "1: a 6xx does not cancel the other branches", 0 },
	{ "local_cancel_reason",      NULL, "1: our CANCELs have a Reason", 0 },
	{ "e2e_cancel_reason",        NULL, "1: the Reason of a CANCEL goes on with it", 0 },
	{ .name = NULL },
};
static const char *const events[] = { "tm:local-request", "tm:local-response", "tm:local-ack-sent", "tm:branch-failure:*", NULL };
/* clang-format on */

static int init(void)
{
	int err = tm_init(); /* done by boot already: then nothing happens */

	if (tm_contacts_conf.contacts_avp.n && tm_contacts_conf.contact_flows_avp.n == 0) {
		log_error("tm: contacts_avp needs contact_flows_avp too");
		return -EINVAL;
	}

	return err < 0 ? log_fail(err, "tm") : 0;
}

extern const struct module module_tm;
const struct module module_tm = {
	.abi = MODULE_ABI, .name = "tm", .settings = settings, .conf = &tm_conf, .live = live, .funcs = funcs, .rpcs = tm_rpcs, .event_routes = events,
	.init = init,
};
