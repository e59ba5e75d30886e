/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions as they lie in shared memory, and what the files of core/tm share.
 *
 * A transaction is an actor. Whoever works on it claims it first: under the lock of its hash bucket the word `busy` goes from
 * 0 to slot + 1. The claim covers everything in it but the fields named below, for as long as a route of it runs or is parked. All
 * others leave an event in the inbox (or a bit in `pending`) under the same lock; the holder works them off before it lets
 * go. So nobody waits, no reference is counted, and after a death it is enough to look who held what.
 */
#ifndef RF_TM_PRIV_H
#define RF_TM_PRIV_H

#include "core/net/resolve.h"
#include "core/tm/fsm.h"
#include "core/tm/out.h"
#include "core/tm/tm.h"
#include "shm/hash.h"
#include "shm/slab.h"
#include "shm/wheel.h"

#define TM_BRANCHES_MAX 32u
#define TM_INBOX_MAX 64u
#define TM_SAME_KEY_MAX 128u /* live transactions with one Call-ID and CSeq; more is a loop or an attack */

struct tm_buf { /* immutable once published */
	uint32_t len;
	uint16_t status;
	uint16_t pad;
	char bytes[];
};

struct tm_span { /* part of tm_txn.request */
	uint16_t off, len;
};

enum tm_aside { TM_ASIDE_BEHIND, TM_ASIDE_SUSPENDED };

enum tm_pending { TM_P_TIMER = 1, TM_P_ACK = 2, TM_P_RESEND = 4, TM_P_MEND = 8 /* its holder died */ };

enum tm_inbox_kind { TM_IN_REPLY = 1, TM_IN_CANCEL, TM_IN_SEND_FAILED, TM_IN_ANSWER /* struct tm_answer, then its texts */,
	TM_IN_STOP /* by an operator or script: Reason fields; branch: one, or TM_BRANCHES_MAX: all */, TM_IN_CONTINUE /* a route's name */,
	TM_IN_APPEND /* targets of further branches: append.c */, TM_IN_ACK /* of the 2xx of our own: struct tm_answer, fields, body */, TM_IN_E2E_ACK /* one that passed, for observers */ };

struct tm_answer {
	int32_t code;
	uint32_t reason, to_tag, headers, body; /* lengths */
};

struct tm_event { /* in the inbox; written by who sends it, then read only */
	shm_ref next; /* bucket lock */
	uint8_t kind; /* enum tm_inbox_kind */
	uint8_t branch;
	uint16_t flag; /* TM_IN_STOP: message flag to set, + 1; 0 none. Put aside: enum tm_aside */
	uint32_t len;
	struct rx_info rx;
	char bytes[];
};

#define TM_ASIDE_MAX 32u /* replies of one transaction that are put aside */

enum tm_txn_flags { /* tm_txn.flags */
	TM_T_LOCAL = 1,         /* we are the client: answers go to a callback */
	TM_T_REPLICATE = 2,     /* answers are swallowed */
	TM_T_DISABLE_6XX = 4, TM_T_DISABLE_FAILOVER = 8, TM_T_DISABLE_INTERNAL_REPLY = 16, TM_T_NO_AUTO_ACK = 32, TM_T_NO_E2E_REASON = 64,
	TM_T_NO_INV_100 = 128, TM_T_RAN_FAILURE = 256, TM_T_RELEASED = 512, TM_T_EXPIRED = 1024, TM_T_DROP_ALL = 2048, TM_T_DROP_LAST = 4096,
	TM_T_MENDED = 8192, /* a holder died once; routes are not run again a second time */
	TM_T_NO_2XX_ACK = 16384, /* an INVITE of our own whose 2xx somebody else acknowledges */
	TM_T_TOLD = 32768,       /* its observers know of a final reply */
	TM_T_OWN_ANSWER = 65536, /* the final reply was made here */
};

struct tm_wish { /* ctx->tm_wish */
	uint32_t flags; /* enum tm_txn_flags */
	uint16_t t1_ms, t2_ms;
	uint32_t life_inv_ms, life_other_ms; /* 0: as configured */
};

enum tm_branch_flags { /* tm_branch.flags */
	TM_B_CANCEL_WANTED = 1, TM_B_CANCEL_SENT = 2, TM_B_REPLIED = 4, TM_B_TIMED_OUT = 8, TM_B_FAKED = 16, TM_B_DROPPED = 32,
	TM_B_BF_RAN = 64, TM_B_SUPERSEDED = 128 /* failed over: another branch stands for it */,
	TM_B_BLIND = 256 /* nothing is sent: it holds a suspended transaction and its timer */,
	TM_B_UNSENT = 512 /* with TM_B_BLIND: not suspended, its next hop was not found (failure_exec_mode) */
};

/* Texts behind struct tm_branch, in this order, then the bytes that were sent. */
enum tm_text { TM_X_URI, TM_X_DST, TM_X_PATH, TM_X_RUID, TM_X_INSTANCE, TM_X_ON_REPLY, TM_X_ON_FAILURE, TM_X_ON_BRANCH, TM_X_ON_BRANCH_FAILURE,
	TM_X_N };

struct tm_branch { /* written: the claim's holder */
	uint8_t state;   /* enum tm_state */
	uint8_t machine; /* enum tm_machine */
	uint16_t flags;
	uint16_t status; /* last one received or made up; 0 none */
	uint16_t retr_ms, cancel_retr_ms;
	uint8_t alt_next; /* next of alts to try */
	struct tx_dest dest;
	uint64_t fr_at, retr_at, cancel_retr_at, cancel_end_at; /* ms, 0: off */
	uint32_t bflags, vbflags;
	shm_ref reply;   /* tm_buf: best reply, as it would be relayed; its status is in it */
	shm_ref reason;  /* tm_buf: Reason fields of its CANCEL */
	shm_ref alts;    /* tm_buf with struct resolve_target[]: further addresses of this next hop */
	uint16_t text_len[TM_X_N];
	uint32_t sent_len;
	char bytes[];
};

#define TM_OBSERVERS_MAX 4u

union tm_watched { /* what the observers said when it was made; `any` 0: nobody watches */
	uint8_t mark[TM_OBSERVERS_MAX];
	uint32_t any;
};

struct tm_txn {
	struct shm_hnode node;     /* hash of Call-ID and CSeq number */
	_Alignas(16) struct shm_timer timer;

	/* bucket lock */
	uint8_t busy;              /* slot + 1 of the claim's holder; 0 free */
	uint8_t n_inbox;
	uint16_t pending;          /* enum tm_pending */
	shm_ref inbox_head, inbox_tail;
	bool canceled;             /* a CANCEL came; set under the lock, read by the holder too */

	/* written once, before it is published */
	uint8_t machine;
	uint64_t label;
	uint32_t method, cseq, index_no;
	uint64_t created_ms;
	struct rx_info rx;
	struct tm_span via_branch, via_host, via_text, from_tag, to_tag, callid, ruri, method_name;
	uint16_t via_port;
	bool magic;
	uint32_t req_len;
	uint32_t uac_slot, uac_id; /* TM_T_LOCAL: who waits for the answer */

	/* the claim's holder */
	union tm_watched watched;
	bool acked;                /* observers know of an ACK to its 2xx */
	uint32_t flags;
	uint8_t state;             /* enum tm_state of the server side */
	uint8_t n_branches, leg_first;
	uint8_t winner;            /* branch that the failure route is about, or whose answer went upstream */
	uint16_t status;           /* last one sent */
	uint16_t retr_ms;
	uint64_t wait_at, retr_at, ack_at, armed_at; /* ms, 0: off */
	struct tx_dest dest;       /* where replies go */
	uint32_t msg_flags, mflags, fr_ms, fr_inv_ms;
	uint16_t t1_ms, t2_ms;
	uint32_t life_inv_ms, life_other_ms;
	uint64_t xflags, iflags;
	uint32_t vbflags;
	shm_ref last_reply, avps, edits, on_failure; /* tm_buf */
	shm_ref relayed_uri;       /* tm_buf: Request-URI before branch routes, when the first branch got another; 0: the first branch's */
	shm_ref aside;             /* tm_event: replies that wait for t_continue(), and those behind them, oldest first */
	shm_ref branch[TM_BRANCHES_MAX];

	char request[];            /* as received */
};

struct tm_self { /* per process */
	const struct tm_hooks *hooks;
	struct shm_hash *table;
	int timer_kind, ms_relay;
	struct pool *pool; /* scratch of one event */
	bool flush; /* a provisional is queued: it leaves before the claim is given up, so that a final of another worker cannot overtake it */
};
extern struct tm_self tm_self;

enum tm_stat { TM_ST_CURRENT, TM_ST_WAITING, TM_ST_TOTAL, TM_ST_LOCAL, TM_ST_RPL_RECEIVED, TM_ST_RPL_GENERATED, TM_ST_RPL_SENT, TM_ST_6XX, TM_ST_5XX,
	TM_ST_4XX, TM_ST_3XX, TM_ST_2XX, TM_ST_N };
void tm_stat(enum tm_stat s, int d);
MUST_CHECK int tm_stats_init(void);
void tm_stats_recover(unsigned slot); /* janitor */

static inline struct str tm_span_str(const struct tm_txn *t, struct tm_span s)
{
	return str_of(t->request + s.off, s.len);
}
static inline struct tm_branch *tm_branch_at(const struct tm_txn *t, unsigned i)
{
	return i < t->n_branches ? shm_ptr(t->branch[i]) : NULL;
}
struct str tm_branch_text(const struct tm_branch *b, enum tm_text x);
struct str tm_branch_sent(const struct tm_branch *b);
static inline bool tm_branch_final(const struct tm_branch *b)
{
	return b->state >= TM_S_ACCEPTED;
}

/* ---- table.c ---- */
struct tm_key {
	enum sip_method method;
	struct str method_name, callid, from_tag, to_tag, ruri, via_text, via_branch, via_host;
	uint32_t cseq;
	uint16_t via_port;
	bool magic;
};
MUST_CHECK int tm_key_of(struct ctx *ctx, struct tm_key *ret_key); /* -EBADMSG */
uint32_t tm_key_hash(const struct tm_key *key);
/* Same request (for ACK: of the INVITE it acknowledges hop by hop; for CANCEL asking want INVITE: of the one it cancels). */
bool tm_key_matches(const struct tm_txn *t, const struct tm_key *key, enum sip_method want);
bool tm_key_e2e_ack(const struct tm_txn *t, const struct tm_key *key);

enum tm_found { TM_ABSENT, TM_CLAIMED, TM_BUSY, TM_EXISTS };
typedef bool tm_match_fn(const struct tm_txn *t, const void *arg);
enum tm_take { TM_TAKE_NOT, TM_TAKE_CLAIM, TM_TAKE_LEAVE }; /* only look; claim when free; leave the event in any case */
struct tm_snapshot {
	uint16_t status;
	uint8_t n_branches;
	bool canceled;
	uint32_t flags, msg_flags;
	uint64_t label;
};
/* Looks for a transaction. When it is busy: pending bits and ev (may be NULL; becomes the transaction's) are left with it. */
enum tm_found tm_find(uint32_t hash, tm_match_fn *match, const void *arg, enum tm_take take, uint16_t pending, struct tm_event *ev,
		      struct tm_txn **ret_txn, struct tm_snapshot *ret_snap);
/* A context with the request of a transaction; nothing is claimed. *ret_ctx NULL: not found. */
void tm_copy_request(uint32_t hash, tm_match_fn *match, const void *arg, struct ctx **ret_ctx);
struct tm_event *tm_event_new(enum tm_inbox_kind kind, uint8_t branch, struct str bytes, const struct rx_info *rx);
/* Next thing to do for the holder; false: there was none and the claim is given up. */
bool tm_next(struct tm_txn *t, uint16_t *ret_pending, struct tm_event **ret_ev);
void tm_ref_set(shm_ref *field, void *obj); /* replaces the object a field names; the old one is freed */
struct tm_buf *tm_buf_new(struct str bytes, uint16_t status);
struct tm_buf *tm_buf_of(const struct sip_out *out, uint16_t status);
void tm_txn_destroy(struct tm_txn *t); /* claim held; gone afterwards */
MUST_CHECK int tm_table_init(void);
void tm_branch_id(const struct tm_txn *t, unsigned branch, char out[40]);
/* What stands behind it (out_via_flags()) does not count. */
bool tm_branch_id_parse(struct str id, uint32_t *ret_hash, uint64_t *ret_label, unsigned *ret_branch);
uint32_t tm_hash_of(const struct tm_txn *t);

/* ---- server.c ---- */
/*
 * Passes bytes upstream by the server machine. keep: as enum tm_action says; out or bytes. said: by the script or an operator; what comes
 * from a branch is swallowed for a replicated request. Returns 0, -EALREADY, send errors.
 */
int tm_uas_send(struct tm_txn *t, uint16_t status, const struct sip_out *out, struct tm_buf *ready, bool said);
/* A local reply; ctx: of the request, or NULL (made from the stored one). extra: whole fields. Returns 1 or -1. */
int tm_uas_reply(struct tm_txn *t, struct ctx *ctx, int code, struct str reason, struct str extra);
/* The 100 to an INVITE (auto_inv_100), unless something was said already. */
void tm_uas_trying(struct ctx *ctx, struct tm_txn *t);
enum tm_after tm_answer_event(struct tm_txn *t, struct str packed);
void tm_uas_event(struct tm_txn *t, enum tm_event_kind ev, uint64_t now);
/* Carries out arming and disarming of the server's timers (enum tm_action). */
void tm_uas_act(struct tm_txn *t, uint16_t actions, uint64_t now);
/* Context of the stored request; NULL at the limit. */
struct ctx *tm_txn_ctx(struct tm_txn *t);
void tm_ctx_load(struct ctx *ctx, struct tm_txn *t);  /* flags, AVPs */
void tm_ctx_store(struct ctx *ctx, struct tm_txn *t);
/* Works off the inbox; the claim is given up, or passed to a route. */
void tm_run_events(struct tm_txn *t);
/* A transaction of our own for the request of ctx (no Via in it yet), claimed; NULL: no memory. */
struct tm_txn *tm_txn_local(struct ctx *ctx, uint32_t slot, uint32_t id);
/* Keeps the changes made to the request, for legs that a failure route starts. */
void tm_edits_keep(struct ctx *ctx, struct tm_txn *t);
void tm_let_go(struct ctx *ctx); /* ctx->txn = NULL and tm_run_events() */

/* ---- client.c ---- */
/* Sends or resends what a branch holds. */
int tm_branch_send(struct tm_txn *t, struct tm_branch *b);
void tm_branch_ack(struct tm_branch *b, struct str reply_to);
/* Adds the fields of the INVITE sent there whose names begin with ac_extra_hdrs, for its CANCEL and ACK. */
void tm_branch_extra(const struct tm_branch *b, struct strbuf *out);
/* Next address of the same next hop as a new branch; false: there is none. */
bool tm_branch_failover(struct tm_txn *t, unsigned branch);
/* Whether a failed branch may get a successor at all; whether that status asks for one. */
bool tm_may_failover(const struct tm_txn *t, const struct tm_branch *b);
bool tm_wants_failover(const struct tm_txn *t, const struct tm_branch *b, unsigned status);
unsigned tm_t1(const struct tm_txn *t);
unsigned tm_t2(const struct tm_txn *t);
void tm_branch_arm_fr(struct tm_txn *t, struct tm_branch *b, bool invite_answered, uint64_t now);
struct tm_new_branch {
	const struct ctx_target *target;
	const struct sip_edits *edits;
	const struct resolve_answer *answer;
	struct str on_reply, on_failure, on_branch, on_branch_failure;
	bool keep_via1;
};
/* Sends branch i for the first time and arms its timers. */
int tm_branch_start(struct tm_txn *t, unsigned i, uint64_t now);
/* Builds and appends a branch, not sent yet. Returns its index, or an internal code of 1.4 (< 0). */
int tm_branch_add(struct ctx *ctx, struct tm_txn *t, const struct tm_new_branch *nb);
/* A branch that nothing is sent for, with that destination and the routes armed in ctx. Returns its index, or < 0 as above. */
int tm_branch_add_blind(struct ctx *ctx, struct tm_txn *t, const struct ctx_target *g);

/* ---- relay.c ---- */
/*
 * t_relay() for a context with a transaction, whose claim it holds, in which no script runs. done is called at the end, perhaps before this
 * returns, with what t_relay() would return; the context and the claim are then its own.
 */
void tm_relay_detached(struct ctx *ctx, const struct tm_relay_opts *opts, void (*done)(struct ctx *ctx, int rc));

/* ---- append.c ---- */
enum tm_after tm_append_event(struct tm_txn *t, struct str packed);

/* ---- reply.c ---- */
enum tm_after { TM_MINE, TM_MOVED }; /* the claim is still ours / went to a route or the transaction is gone */
enum tm_after tm_reply_event(struct ctx *ctx, struct tm_txn *t, unsigned branch); /* owns ctx */
/* Does the transaction that this reply names still live? */
bool tm_reply_is_known(struct ctx *ctx);
/* One that was put aside, in that route. */
enum tm_after tm_reply_continue(struct ctx *ctx, struct tm_txn *t, unsigned branch, struct str route); /* owns ctx */
/* A branch got a final status made here (408, 477 ...). */
enum tm_after tm_branch_fake(struct tm_txn *t, unsigned branch, uint16_t status);
/* When every branch is final: winner, failure route, answer. */
enum tm_after tm_conclude(struct tm_txn *t);
int tm_pick_winner(const struct tm_txn *t);
/* Ends a transaction of our own: its caller gets the answer. */
void tm_local_done(struct tm_txn *t, int code, struct str reply);

/* For routes that run when a branch has failed: the request, as changed before; destination set empty. NULL at the limit. */
struct ctx *tm_failure_ctx(struct tm_txn *t, unsigned branch);
/* The end of such a route (ctx->finished): a new leg, an answer, or the winner is relayed. */
void tm_failure_done(struct ctx *ctx, int rc);

void tm_send_failed(const struct tx_dest *dest, struct str bytes, int err); /* tx_on_fail() */

/* ---- cancel.c ---- */
/* t_relay() on a CANCEL: a script code; 2: there is no INVITE to it here. */
int tm_relay_cancel(struct ctx *ctx);
void tm_cancel_branches(struct tm_txn *t, struct str reason, unsigned except);
void tm_cancel_branch(struct tm_txn *t, struct tm_branch *b, struct str reason);
enum tm_after tm_cancel_event(struct tm_txn *t, struct str cancel_msg);
enum tm_after tm_stop_event(struct tm_txn *t, const struct tm_event *ev);

/* ---- suspend.c ---- */
enum tm_after tm_continue_event(struct tm_txn *t, struct str route);
/* Is all that it waits for the continuation? */
bool tm_is_suspended(const struct tm_txn *t);
/* Nothing continues it any more. */
void tm_suspend_end(struct tm_txn *t);
/* A reply of that branch waits: what comes after it has to wait, too. */
bool tm_aside_waits(const struct tm_txn *t, unsigned branch);
/* Puts the reply of ctx behind those; a final one that is there already is absorbed. */
void tm_aside_behind(struct ctx *ctx, struct tm_txn *t, unsigned branch);
/* One went on: those that were only behind it follow. */
enum tm_after tm_aside_follow(struct tm_txn *t, unsigned branch);
/* The branch is over: nothing of it goes on. */
void tm_aside_drop(struct tm_txn *t, unsigned branch);

/* ---- timer.c ---- */
enum tm_after tm_timer_event(struct tm_txn *t, uint64_t now);
void tm_rearm(struct tm_txn *t);
void tm_timer_fired(struct shm_timer *timer, uint64_t now_ms);

/* ---- observe.c: all but the first cost one comparison when nobody watches ---- */
void tm_observe_new(struct ctx *ctx, struct tm_txn *t);
/* run: the context of the script run that answers, NULL when there is none. */
void tm_tell_reply_now(struct tm_txn *t, struct ctx *run, bool again);
/* Returns the message flags that a failure route starts with; the transaction's own are as they were. */
uint32_t tm_tell_failed_now(struct tm_txn *t, unsigned winner);
void tm_tell_ack(struct ctx *ctx);
void tm_ack_seen_event(struct tm_txn *t, const struct tm_event *ev);
void tm_tell_cancel(struct ctx *ctx, int code, struct str reason);
static inline void tm_tell_reply(struct tm_txn *t, struct ctx *run)
{
	if (UNLIKELY(t->watched.any))
		tm_tell_reply_now(t, run, false);
}
static inline uint32_t tm_tell_failed(struct tm_txn *t, unsigned winner)
{
	return UNLIKELY(t->watched.any) ? tm_tell_failed_now(t, winner) : t->msg_flags;
}
/* A final reply that went out and was told to nobody: its process died. */
static inline void tm_tell_missing(struct tm_txn *t)
{
	if (UNLIKELY(t->watched.any) && t->status >= 200 && !(t->flags & TM_T_TOLD))
		tm_tell_reply_now(t, NULL, true);
}

/* ---- mend.c ---- */
/* What a holder that died left half done is finished, or begun anew. Claim held. */
enum tm_after tm_mend(struct tm_txn *t, uint64_t now);

/* ---- uac.c ---- */
MUST_CHECK int tm_uac_init(void);
MUST_CHECK int tm_uac_worker_init(struct loop *loop);
/* Whether this process runs timers and sends: all that touches a transaction beyond looking happens in one that does. */
bool tm_in_worker(void);
/* Makes some worker work off the inbox of a transaction. */
void tm_kick(uint32_t hash, uint64_t label);
void tm_uac_answer(struct tm_txn *t, int code, struct str reply);

/* ---- uac_ack.c ---- */
/* Acknowledges the 2xx to an INVITE of our own. headers: further whole fields; body: its Content-Type is among them. */
void tm_uac_ack(const struct tm_branch *b, struct str reply, const struct rx_info *rx, struct str headers, struct str body);
enum tm_after tm_ack_event(struct tm_txn *t, const struct tm_event *ev);

#endif
