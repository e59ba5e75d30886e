/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions (RFC 3261, 17; RFC 6026), in shared memory: any worker serves any message. An event for a transaction whose
 * route is running or parked waits in its inbox; no lock is held while a script runs.
 *
 * Functions with a script meaning return script codes (reference of module tm, 1.2 and 1.4): > 0 true, < 0 false, 0 ends the
 * script, TM_SUSPEND / TM_CALL as core/script/func.h.
 */
#ifndef RF_TM_TM_H
#define RF_TM_TM_H

#include "core/transport/ctx.h"
#include "core/transport/tx.h"

#define TM_SUSPEND (-2147483647 - 1) /* = SCRIPT_SUSPEND */
#define TM_CALL (-2147483647)        /* = SCRIPT_CALL */

struct tm_txn; /* layout is private to tm */

struct tm_conf { /* module parameters of tm, same names and defaults; times in ms */
	int fr_timer, fr_inv_timer, wt_timer, retr_timer1, retr_timer2, max_inv_lifetime, max_noninv_lifetime, noisy_ctimer,
	    auto_inv_100, restart_fr_on_each_reply, aggregate_challenges, cancel_b_method, unmatched_cancel,
	    failure_reply_mode, faked_reply_prio, remap_503_500, disable_6xx_block, failure_exec_mode, delayed_reply,
	    reply_408_code, default_code, local_cancel_reason, e2e_cancel_reason, pass_provisional_replies, local_ack_mode,
	    max_branches, dns_failover; /* the last line is of the core: max_branches, use_dns_failover */
	struct str auto_inv_100_reason, reply_408_reason, default_reason, ac_extra_hdrs, on_sl_reply, failover_reply_codes,
		fr_timer_avp, fr_inv_timer_avp /* names of attributes that hold seconds; n 0: none */;
};
extern struct tm_conf tm_conf; /* filled before forking, then read only */

struct tm_relay_opts;
struct sip_out;

/* What tm needs from the layers above it; set by route before forking. */
struct tm_hooks {
	/* Continues the running script of ctx inside a route of that kind; cont gets the route's code and returns a script code.
	 * Returns what the caller must return (TM_CALL), or < 0 when there is no such route. */
	int (*call_route)(struct ctx *ctx, enum ctx_kind kind, struct str name, int (*cont)(struct ctx *ctx, int rc, void *arg), void *arg);
	/* Starts a script run in a fresh ctx; ctx->finished is called when it is over (perhaps before this returns). */
	int (*run_route)(struct ctx *ctx, enum ctx_kind kind, struct str name);
	/* The same with a route[name], which runs as a route of that kind. */
	int (*run_continued)(struct ctx *ctx, enum ctx_kind kind, struct str name);
	bool (*has_route)(enum ctx_kind kind, struct str name);
	/* Runs an event route, if there is one, on a reply that was just sent to the request of ctx: route_event_replied(). */
	void (*event_replied)(struct str name, struct ctx *ctx, const struct sip_out *reply);
	struct str (*server_header)(void); /* whole field with CRLF, or n 0 */
	/* A stateless local reply built and sent (the sl way). */
	int (*stateless_reply)(struct ctx *ctx, int code, struct str reason);
	/* A reply that belongs to no transaction: forwarded by Via. */
	int (*forward_reply)(struct ctx *ctx);
	/* A request sent on without a transaction (ACK to a 2xx); opts NULL: by its URI. Script code, may park. */
	int (*forward_request)(struct ctx *ctx, const struct tm_relay_opts *opts);
	/* RFC 3261, 16.3: false when the request was refused and answered instead of being forwarded. */
	bool (*may_forward)(struct ctx *ctx);
	/* A request whose worker died while its route ran: from the start, as if it had come now. Owns ctx. */
	void (*run_again)(struct ctx *ctx);
};
void tm_set_hooks(const struct tm_hooks *hooks);
struct loop;
MUST_CHECK int tm_init(void);                    /* supervisor, before forking */
MUST_CHECK int tm_worker_init(struct loop *loop);

/* ---- what the script calls ---- */
int tm_newtran(struct ctx *ctx);
int tm_check_trans(struct ctx *ctx);
int tm_lookup_request(struct ctx *ctx);
int tm_lookup_cancel(struct ctx *ctx);
int tm_lookup_cancel_flags(struct ctx *ctx); /* copies the INVITE's message flags too */
bool tm_exists(struct ctx *ctx);

struct tm_relay_opts {
	struct str host;         /* n 0: dst_uri or Request-URI */
	uint16_t port;
	enum sip_proto proto;    /* SIP_PROTO_NONE: as the URI says */
	unsigned flags;          /* 1 no 100, 2 no internal reply, 4 no DNS failover */
	bool replicate;          /* replies are swallowed */
	bool cancel_only;        /* t_relay_cancel */
};
int tm_relay(struct ctx *ctx, const struct tm_relay_opts *opts); /* opts NULL: defaults */
/* In a branch route: the message may be changed and read again (route_msg_apply()) for this branch alone. Returns 0, -ENOENT: this is none, -ENOMEM. */
MUST_CHECK int tm_branch_msg_own(struct ctx *ctx);
/*
 * The further branches of ctx's destination set, not its Request-URI, become branches of another transaction that has no final answer yet,
 * as soon as its holder lets go of it; those that it has already are left out. Their routes are those of its newest branch, the changes to
 * the request those that a failure route would see. Returns 1; -1: no such transaction, it is answered or cancelled, there are no branches, no memory.
 */
int tm_append(struct ctx *ctx, uint32_t index, uint32_t label);
/* Which branches of the transaction of a reply route are cancelled: all, all but the reply's, the reply's. */
enum tm_which { TM_ALL, TM_OTHERS, TM_THIS };
int tm_cancel_which(struct ctx *ctx, enum tm_which which);
/* The transaction (made when there is none) stays when the route ends, until tm_continue() runs a route of it, or fr_timer is over:
 * then the failure route and 408. In a reply route of tm the reply stays, as it is then, and goes on behind that route; the branch's timers run
 * meanwhile. Script code: 1, or -1 where nothing can wait. */
int tm_suspend(struct ctx *ctx);
/* Runs route[name] for a suspended transaction, as a failure route (for a reply: as a reply route), now or as soon as its holder lets go of it.
 * Of several suspended replies the oldest is meant. Returns 1; -1: no such transaction, none that is suspended, or no such route. Context: worker. */
int tm_continue(uint32_t index, uint32_t label, struct str route);
/* Ends the transaction with that status and no reply. Returns 0 (stops the script), or -1: there is none. */
int tm_drop(struct ctx *ctx, int code);
/* Message flags of the run become those of the transaction. */
enum tm_flags_which { TM_FLAGS_MSG, TM_FLAGS_X };
int tm_flags_flush(struct ctx *ctx, enum tm_flags_which which);
/* code 100-699. */
int tm_reply(struct ctx *ctx, int code, struct str reason);
int tm_reply_error(struct ctx *ctx);
int tm_retransmit_reply(struct ctx *ctx);
int tm_release(struct ctx *ctx);
int tm_edits_save(struct ctx *ctx); /* changes made so far: for the routes of the transaction that come later */
int tm_drop_replies(struct ctx *ctx, char mode); /* 'a' 'l' 'n' */
enum tm_flag { TM_F_CANCELED = 1, TM_F_DISABLE_6XX = 2, TM_F_DISABLE_FAILOVER = 4, TM_F_DISABLE_INTERNAL_REPLY = 8, TM_F_NO_AUTO_ACK = 16, TM_F_NO_E2E_REASON = 32, TM_F_NO_INV_100 = 64 };
int tm_flag_set(struct ctx *ctx, enum tm_flag flag, bool on);
bool tm_is_canceled(struct ctx *ctx);
bool tm_is_expired(struct ctx *ctx);
bool tm_any_timeout(struct ctx *ctx);
bool tm_any_replied(struct ctx *ctx);
bool tm_branch_timeout(struct ctx *ctx);
bool tm_branch_replied(struct ctx *ctx);
int tm_set_fr(struct ctx *ctx, unsigned fr_inv_ms, unsigned fr_ms);
int tm_set_retr(struct ctx *ctx, unsigned t1_ms, unsigned t2_ms);
int tm_set_max_lifetime(struct ctx *ctx, unsigned inv_ms, unsigned noninv_ms);
bool tm_grep_status(struct ctx *ctx, int code);
/* By route kind, as t_check_status() and $T_reply_code: last sent, current, winning, branch; 0 none. */
int tm_status(struct ctx *ctx);
struct str tm_reason(struct ctx *ctx);
/* Internal code of the last failed t_relay (negative), its SIP code and text "... (478/TM)". */
int tm_error_reply(int internal_code, const char *suffix, int *ret_code, char *ret_text, size_t text_size);

/* ---- what the route layer calls ---- */
/* A reply from the network: true when a transaction took it (then the ctx is tm's). Also runs onreply routes. */
bool tm_rx_reply(struct ctx *ctx);
/* Before the request route, for every request: ACKs for local replies and retransmissions of requests whose transaction exists are
 * answered from it at once. True when taken (caller frees ctx). */
bool tm_rx_request(struct ctx *ctx);
/* After the request route: delayed errors are answered, orphans released. */
void tm_script_end(struct ctx *ctx);

/* ---- transaction data for variables and modules ---- */
struct tm_info {
	uint32_t index, label;
	enum sip_method method;
	unsigned n_branches;
	int uas_status;
};
MUST_CHECK int tm_info(struct ctx *ctx, struct tm_info *ret_info); /* -ENOENT: none */
/* The transaction's request, parsed into a context of its own ($T_req); of a reply, also before it was given to its transaction. NULL: none. */
struct ctx *tm_request_ctx(struct ctx *ctx);
/* The winning reply ($T_rpl), failure routes. */
struct ctx *tm_reply_ctx(struct ctx *ctx);
/* The INVITE that ctx's CANCEL is about ($T_inv); NULL: none. The caller frees it, as that of tm_request_ctx() and tm_reply_ctx(). */
struct ctx *tm_invite_ctx(struct ctx *ctx);
struct tm_branch_info {
	struct str uri, ruid, dst_uri, path, instance; /* views: live as long as the branch */
	struct str on_reply, on_failure;               /* routes; n 0: none */
	uint32_t bflags;
	int last_status;
	bool is_faked; /* last_status was made here */
};
MUST_CHECK int tm_branch_info(struct ctx *ctx, unsigned branch, struct tm_branch_info *ret_info);

/* ---- requests of our own ---- */
struct tm_uac_req {
	struct str method, ruri, next_hop, headers /* whole fields with CRLF, To and From in it, no Via */, body, callid /* n 0: made */;
	uint16_t listener;    /* NET_LISTENER_NONE: choose */
	uint32_t cseq;        /* 0: 10 */
	unsigned fr_ms;       /* 0: fr_timer */
	unsigned fr_inv_ms;   /* INVITE; 0: fr_inv_timer */
	bool no_ack;          /* INVITE: its 2xx is acknowledged by tm_uac_ack_by() or by nobody */
};
/* reply NULL on local timeout or failure (code 408, 477, 478). */
typedef void tm_uac_fn(void *arg, int code, struct sip_msg *reply);
/*
 * Any method but ACK and CANCEL (tm_stop()). An INVITE's answer is told once; its 2xx is acknowledged as RFC 3261, 13.2.2.4, says. What the headers
 * lack of Call-ID, CSeq, Max-Forwards, User-Agent, Content-Length and From's tag is added. done: NULL, or called once, unless this fails.
 * Returns 0; -EBADMSG: it would be no sound request; -ENOTSUP, -EMSGSIZE, -EBUSY, -ENOMEM, -ESRCH. All with the reason.
 */
MUST_CHECK int tm_uac_start(const struct tm_uac_req *req, tm_uac_fn *done, void *arg, struct diag *reterr);

/* The ACK for the 2xx of an INVITE that was started with no_ack; headers: whole fields with CRLF. Returns 0, -ENOENT, -ENOMEM. */
MUST_CHECK int tm_uac_ack_by(struct str callid, uint32_t cseq, struct str headers, struct str body);

/* ---- watching transactions: accounting and its like ---- */
enum tm_moment {
	TM_SEEN_FAILED, /* all branches have failed, the failure route comes next; code is the winner's */
	TM_SEEN_REPLY,  /* a reply went upstream: each final one, and each provisional one with a body */
	TM_SEEN_ACK,    /* the first ACK to the 2xx of an INVITE passes: request is the ACK, code that of the answer */
	TM_SEEN_CANCEL, /* a CANCEL was answered here: request is the CANCEL */
};
struct tm_seen {
	enum tm_moment moment;
	uint8_t mark;            /* what made() said */
	bool again;              /* a process died about here: it may have been told before */
	bool is_ours;            /* the answer was made here; reason is what the script said, or n 0 */
	int code;
	struct str reason, to_tag; /* views; to_tag: of the answer, also of one that is still to be made */
	uint32_t flags;          /* message flags of the transaction */
	int64_t since_s;         /* when the request came, seconds since the epoch: nothing told of it is older */
	struct ctx *request;     /* with the flags and attributes that the script left; $ru is that of the branch that answered */
	struct sip_msg *reply;   /* as it went upstream, or would; NULL: none (timeouts, ACK, CANCEL) */
};
struct tm_observer {
	/*
	 * A request makes a transaction, or a CANCEL was answered: shall it be watched? 0: no; else a mark of the observer's own,
	 * told with each moment. Context: the run that makes it.
	 */
	uint8_t (*made)(struct ctx *ctx);
	/*
	 * Returns the message flags that the transaction goes on with (seen->flags, when none is to change). Context: worker, with the
	 * transaction's claim; must not wait, run script routes, or use the transaction. All in `seen` lives until it returns.
	 */
	uint32_t (*seen)(const struct tm_seen *seen);
};
/*
 * Up to 4; o lives for ever. Final replies of watched transactions are told once, whichever worker handles them; when a worker dies between
 * answering and telling, another one tells it, with `again` set: the dead may have told it already. -ENOSPC. Context: before forking.
 */
MUST_CHECK int tm_observe(const struct tm_observer *o);

/* ---- numbers ---- */
struct tm_stats {
	int64_t current, waiting, total, total_local, rpl_received, rpl_generated, rpl_sent, c6xx, c5xx, c4xx, c3xx, c2xx;
};
void tm_stats_read(struct tm_stats *ret_stats);
struct tm_list_item {
	uint32_t index, label;
	char method[16];
	char from[512], to[512], callid[256], cseq[32]; /* as they came, with name and line end, cut where longer; cseq: up to its number */
	bool uas_request;
	uint32_t flags, outgoings, ref_count;
	uint64_t lifetime_ms;
};
typedef int tm_list_fn(const struct tm_list_item *item, void *arg);
int tm_list(tm_list_fn *fn, void *arg);
/* A transaction by tm.list's tindex and tlabel, or, with callid.n, by Call-ID and CSeq number. */
struct tm_name {
	uint32_t index, label;
	struct str callid;
	uint32_t cseq;
};
/* Answers it from outside: to_tag n 0: made; headers: whole fields; body: needs a Content-Type among them. Done by a worker.
 * Returns 0, -ENOENT, -EALREADY: it has a final answer, -ENOMEM. */
MUST_CHECK int tm_reply_to(const struct tm_name *name, int code, struct str reason, struct str to_tag, struct str headers, struct str body);
/* Sends the last answer again. Returns 0, -ENOENT. */
MUST_CHECK int tm_retransmit(const struct tm_name *name);
/*
 * Cancels an INVITE, ours or one that is proxied; it is not marked as cancelled by its caller: what follows from the 487s is the
 * failure route's business. branch: one, or TM_ALL_BRANCHES. flag: message flag to set in it, TM_NO_FLAG none. cause: of the
 * Reason field; 0 none. Done by a worker. Returns the number of branches, -ENOENT, -ENOMEM.
 */
#define TM_ALL_BRANCHES 255u
#define TM_NO_FLAG 255u
MUST_CHECK int tm_stop(const struct tm_name *name, unsigned branch, unsigned flag, int cause);

#endif
