/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The context of one run of the script: the message, its memory, where it came from, where it shall go, and
 * what the script left in it. Workers keep a free list. A function that must wait parks the context and
 * the worker goes on with the next message; whoever completes the wait wakes it by ticket.
 *
 * Layers above hang their state here by pointer: tm its transaction, script its VM, pv its variables.
 */
#ifndef RF_TRANSPORT_CTX_H
#define RF_TRANSPORT_CTX_H

#include "core/base/avp.h"
#include "core/net/listener.h"
#include "core/sip/build.h"

struct tm_txn;
struct vm;
struct script;
struct loop;
struct loop_timer;
struct tx_dest;

/* Route kinds, as bits: what is running, and where a function may be used. */
enum ctx_kind {
	CTX_REQUEST = 1, CTX_FAILURE = 2, CTX_TM_REPLY = 4, CTX_CORE_REPLY = 8, CTX_BRANCH = 16, CTX_ONSEND = 32,
	CTX_BRANCH_FAILURE = 64, CTX_LOCAL = 128, CTX_EVENT = 256,
	CTX_ONREPLY = CTX_TM_REPLY | CTX_CORE_REPLY, CTX_ANY = 511
};

struct rx_info {
	enum sip_proto proto;
	uint16_t listener;       /* index of the socket it came in on */
	uint32_t conn_id;        /* streams; 0: none */
	struct net_addr src, dst;
	uint64_t rx_us;          /* monotonic */
	int64_t wall_s;          /* seconds since the epoch */
	uint32_t wall_us;
};

#define CTX_BRANCHES_MAX 31u

/* A destination: the main one (request URI) and each extra branch. Texts live in the ctx's pool. */
struct ctx_target {
	struct str uri;          /* main: n 0 = Request-URI as received */
	struct str dst_uri;      /* n 0: none */
	struct str path;         /* Path set: value of the Route field to add; n 0: none */
	int16_t q;               /* 0-1000, -1 unset */
	uint16_t listener;       /* forced send socket, NET_LISTENER_NONE: choose */
	uint32_t bflags;
	uint32_t vbflags;        /* carried in the branch parameter of its Via, with ctx->vbflags */
	uint32_t conn_id;        /* stream to use, 0: none */
	struct str ruid, instance, user_agent;
};

enum ctx_msg_flags { /* ctx->mflags, about sending */
	CTX_F_FORCE_RPORT = 1, CTX_F_LOCAL_RPORT = 2, CTX_F_NO_REPLY = 4, CTX_F_RECORD_ROUTED = 8, CTX_F_FWD_NO_CONNECT = 16,
	CTX_F_FWD_CLOSE = 32, CTX_F_RPL_NO_CONNECT = 64, CTX_F_RPL_CLOSE = 128, CTX_F_FINAL_SENT = 256, CTX_F_DROP = 512, CTX_F_FAKED = 1024,
	CTX_F_RURI_CONSUMED = 2048, CTX_F_RETRANSMIT = 4096, CTX_F_DELAYED_ERROR = 8192,
	CTX_F_SECOND_RUN = 16384,       /* the worker of the first one died in it */
	CTX_F_SUSPENDED = 32768,        /* a reply that t_suspend() put aside */
	CTX_F_OUTGOING = 65536,         /* bytes that are about to be written */
	CTX_F_VIA_SRVID = 131072, CTX_F_VIA_PARAMS = 262144, CTX_F_VIA_FIELDS = 524288, /* what own Via gets: core/tm/out_via.c */
	CTX_F_VIA_REPLY_PARAMS = 1048576,
	CTX_F_VIA_IS_SOURCE = 4194304,  /* the name in the top Via is that of where the request came from */
	CTX_F_NOT_AS_STORED = 8388608,  /* msg is not the request that its transaction keeps: it was changed later (msg_apply_changes_mode) */
	CTX_F_AT_ONCE = 16777216        /* what the run says counts only if it does not wait: onsend_route and its like */
};

struct ctx {
	/* message */
	struct pool *pool;
	struct sip_msg msg;
	struct sip_edits edits;
	struct rx_info rx;
	char *rx_mem;              /* buffer that msg.buf lies in, owned by rx.c; NULL when in pool */
	bool bytes_kept;           /* holds a reference to that buffer: ctx_keep_bytes() */
	enum ctx_kind kind;
	uint32_t msg_no;           /* $mi */

	/* routing state */
	struct ctx_target main;
	struct ctx_target branch[CTX_BRANCHES_MAX]; /* filled from the front, each with a uri: that is how far a reset clears */
	uint8_t n_branches;        /* extra ones */
	uint32_t flags, sflags;    /* setflag, setsflag */
	uint64_t xflags, iflags;   /* setxflag, msg_iflag_set */
	uint32_t mflags;           /* enum ctx_msg_flags */
	uint32_t vbflags;          /* msg_vbflag_set */
	bool via_alone;            /* the forward() under way is a forward_uac(): with own Via only */
	uint16_t via_index;        /* its number, at the end of the branch parameter; 0: none */
	struct str adv_host;       /* set_advertised_address */
	uint16_t adv_port;
	uint8_t mtu_try;           /* udp_mtu_try_proto: enum sip_proto + 1; 0: as configured */
	struct str rr_params;      /* add_rr_param before record_route */
	struct strbuf *reply_hdrs; /* whole fields with CRLF for the next local reply (append_to_reply); NULL: none */
	struct str reply_body, reply_ctype;
	struct avp_set avps;
	int last_error;            /* internal code of tm/forward for sl_reply_error(); 0 none */

	/* who hangs what here */
	struct tm_txn *txn;        /* referenced; NULL: none looked up yet */
	bool txn_checked;          /* this request was none that we know, when it came in; false again after a wait */
	uint8_t txn_branch;        /* branch of a reply / branch route / branch failure */
	uint16_t fail_status;      /* failure routes: winning status */
	struct str on_failure, on_reply, on_branch, on_branch_failure; /* t_on_*: names */
	uint32_t fr_ms, fr_inv_ms; /* t_set_fr, 0: default */
	struct tm_wish *tm_wish;   /* what else was set for a transaction that is still to be made; in pool; NULL: nothing */
	struct str auth_user, auth_realm; /* after successful authentication; n 0 */
	const struct sip_hdr *auth_hdr;   /* the authorised credentials field */
	struct str received;       /* the bytes as they came, once the script changed them (msg_apply_changes); n 0: msg.buf */
	struct ctx_held *held;     /* advisory locks: ctx_lock.h */
	void (*let_go)(struct ctx *ctx); /* of them, when the ctx is freed; set when there are some */
	void *modstate[16];        /* per-message state of modules: index from ctx_modstate_register() */

	/* script */
	struct script *script;     /* the generation that handles this; NULL: nothing ran yet */
	struct vm *vm;             /* NULL when not running */
	struct value *vars;        /* $var slots, see pv */
	unsigned n_vars;
	int retcode;               /* $rc */
	bool pv_may_wait;          /* the variable that is read now may park the run (PV_WAITS); who reads that clears it */
	const struct tx_dest *send_dest; /* onsend_route: where the bytes go; else NULL */
	size_t send_len;           /* and how many they are */

	/* waiting */
	uint8_t era;               /* for ctx_when_over() */
	uint32_t id, gen;          /* ticket = gen << 32 | id */
	bool parked;
	int park_rc;               /* result when the deadline passes */
	uint64_t park_until_ms;
	struct loop_timer *park_timer;
	void (*resume)(struct ctx *ctx, int rc); /* set by route: continue the script */
	void (*finished)(struct ctx *ctx, int rc); /* called once when the run is over, before the ctx is freed */
	void *finished_arg;
	struct ctx *next_free;
};

/* Context: worker. limit: how many may exist at one time. */
MUST_CHECK int ctx_pool_init(unsigned limit);
/* Zeroed state, empty pool; NULL when the limit is reached: shed load. */
MUST_CHECK struct ctx *ctx_new(void);
/* Resets and keeps it. Safe inside callbacks; the caller must not touch it afterwards. */
void ctx_free(struct ctx *ctx);
unsigned ctx_in_use(void);
unsigned ctx_parked(void);

/* Takes the message's bytes over from the receive batch, so that they survive a park. */
MUST_CHECK int ctx_keep_bytes(struct ctx *ctx);
/*
 * Starts a wait of at most deadline_ms (1 to 3600000); after it the run continues with rc_timeout.
 * Returns the ticket; 0 without memory or without a loop (nothing waits then). The function that parks then returns SCRIPT_SUSPEND.
 */
uint64_t ctx_park(struct ctx *ctx, unsigned deadline_ms, int rc_timeout);
/*
 * False where a wait would change what a script means, since somebody needs its word at once (onsend_route, event_route[corex:reply-out],
 * [core:msg-received], bytes to the wire), and where there is no loop. Those who have a choice ask this before they park.
 */
bool ctx_may_wait(const struct ctx *ctx);
/*
 * The context of a ticket while it still waits; NULL when it was woken, timed out or freed, and in a worker that was told to end: no
 * run goes on there any more. The janitor has another worker begin the request anew (tm/mend.c), or its client sends it again.
 */
struct ctx *ctx_of_ticket(uint64_t ticket);
/* Ends the wait: the script goes on with rc. A stale ticket is ignored. Context: the worker that parked it, from its loop,
 * not from within the function that parked. */
void ctx_wake(uint64_t ticket, int rc);

/* Slot in ctx->modstate. Context: before forking. Returns the index or -ENOSPC. */
MUST_CHECK int ctx_modstate_register(const char *name);
const char *ctx_modstate_name(unsigned index); /* NULL past the end */
/* Called for each context before it is reset (release references). Up to 8. */
MUST_CHECK int ctx_on_free(void (*fn)(struct ctx *ctx));

/*
 * Calls fn(arg) once the contexts that exist now are freed, at once when there are none: what they may hold a view of can go then.
 * Those that come meanwhile may delay it, never for ever. Without memory it is not called. Context: a process with a loop, between two runs.
 */
void ctx_when_over(void (*fn)(void *arg), void *arg);

/* Current Request-URI text: rewritten, else as received. */
struct str ctx_ruri(const struct ctx *ctx);
/* Makes a context for a message given as bytes (copied): failure routes, locally generated requests, tests. NULL on bad bytes or at the limit. */
MUST_CHECK struct ctx *ctx_from_bytes(struct str bytes, const struct rx_info *rx);

#endif
