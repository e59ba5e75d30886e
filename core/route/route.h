/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path of one message: parse, check, transaction match, script, and what follows from how the script ended.
 */
#ifndef RF_ROUTE_ROUTE_H
#define RF_ROUTE_ROUTE_H

#include "core/script/vm.h"
#include "core/transport/tx.h"

struct route_conf { /* core parameters */
	int force_rport, local_rport, check_via, reply_to_via, onsend_route_reply, received_route_mode, msg_apply_changes_mode, log_engine, sip_warning, mhomed, udp_mtu, sip_parser_log;
	bool via_dns, via_rev_dns;  /* a name in the top Via that leads to the source, or that the source has, needs no `received` */
	enum sip_proto udp_mtu_try_proto;
	struct str server_header;   /* whole field without CRLF; n 0: none */
	struct str user_agent_header;
	struct str xavp_via_params, xavp_via_fields, xavp_via_reply_params; /* names of XAVPs */
	int server_id;
	struct str log_prefix;      /* format text */
	int log_prefix_mode;        /* 1: anew for each line; 2: for messages made here too */
	bool log_callid;            /* the log wants the Call-ID of the message at hand */
	bool server_signature;
	unsigned latency_limit_cfg_us; /* routes that took so long are logged, */
	int latency_cfg_log;           /* at this level */
	unsigned n_locks;           /* messages of a Call-ID, whose hash chooses one, run one after the other; 0: as they come */
	unsigned parked_max;        /* contexts that may wait at one time */
};
extern struct route_conf route_conf;
extern unsigned route_rich_redirect; /* modparam of sl: enum out_rich, for stateless replies */
extern struct str route_reply_out; /* module corex: event route that is run on each reply that is about to be written; n 0: none */
extern bool route_bind_tm; /* modparam of sl: route_reply() uses the transaction when there is one */
struct loop;

/* Before the script is loaded: registers the core commands (module "core", see core/script/README.md) and variables. */
MUST_CHECK int route_register(void);
/* Before forking, after the script was loaded: tm hooks, counters. */
MUST_CHECK int route_init(void);
/* Takes route_conf over, at start and when a reload changed it: between two messages. On an error log_prefix stays as it was. */
MUST_CHECK int route_configure(void);
/* Sets the sending hook when the script has a route that looks at what is sent. Context: worker, after each switch of the script. */
void route_onsend_init(void);
MUST_CHECK int route_worker_init(struct loop *loop);
/*
 * event_route[core:modinit-before], once, in the process that will be the supervisor; what it leaves in shared variables and tables is there
 * for everybody. Here modules have their shared memory by then: before that there is nothing that a script could set. A function that
 * would wait fails, as there is no worker yet. Returns 0 or -ENOMEM.
 */
MUST_CHECK int route_modinit_before(void);
/* event_route[core:worker-one-init] in the first worker. After the modules' worker_init. -ECANCELED: the script refused the start. */
MUST_CHECK int route_worker_one_init(void);

/* Runs an event route if the script has it (event_route[name]); done may be NULL. Returns 1 when it runs (or ran), 0 when there is none. */
/* ctx is the route's when it returns 1, and freed at the end of the run; it must not be running. */
int route_event(struct str name, struct ctx *ctx, void (*finished)(struct ctx *ctx, int rc, void *arg), void *arg);
/* The same for an event in the middle of the handling of a message: on a copy of it, as it was received. */
void route_event_about(struct str name, const struct ctx *ctx);
struct sip_out;
/*
 * The same on a reply that was just written to the request of ctx, with the attributes of ctx; what the route changes of them stays, unless it
 * waits. Context: the run of ctx, or none.
 */
void route_event_replied(struct str name, struct ctx *ctx, const struct sip_out *reply);
/*
 * Bytes on the wire that are not SIP yet, or no more. event_route[route], while the script has it, runs on each message of at least bytes_min bytes
 * twice: before it is parsed, and when it is about to be written; nothing is parsed then. drop throws the message away. Else result() says what
 * is parsed or written in its place, text that lives as long as ctx->pool; n 0: the message as ctx->msg.buf has it.
 */
struct route_wire {
	struct str route;
	size_t bytes_min;
	struct str (*result)(struct ctx *ctx);
};
/* w stays the caller's. NULL: nobody. Context: before forking. */
void route_wire(const struct route_wire *w);

/* A ctx with a faked OPTIONS-like request for event routes and timers; NULL at the limit. */
struct ctx *route_faked_ctx(void);

/*
 * Answers the request of ctx: statefully when it has a transaction (and bind_tm), else statelessly. Adds ctx->reply_hdrs, Server, received/rport
 * and a To-tag. Returns a script code: 1, -1 (ACK, or cannot be sent), -2 (CTX_F_NO_REPLY).
 */
int route_reply(struct ctx *ctx, int code, struct str reason);
int route_reply_stateless(struct ctx *ctx, int code, struct str reason);
/* Fields with CRLF for the next local reply. */
MUST_CHECK int route_reply_add(struct ctx *ctx, struct str fields);
/* To-tag of stateless replies to this request: same for a retransmission and its ACK. out: at least 40 bytes. */
size_t route_totag(struct ctx *ctx, char *out);
/* Where a reply to ctx's request goes. */
void route_reply_dest(struct ctx *ctx, struct tx_dest *ret_dest);

/* Stateless forward (forward()): returns a script code, SCRIPT_SUSPEND while DNS is asked. host n 0: dst_uri or Request-URI. */
int route_forward(struct ctx *ctx, struct str host, uint16_t port, enum sip_proto proto);
/*
 * The same as if the request were our own: with no Via but ours, so that no answer goes further than here. uri: where to; n 0: dst_uri or Request-URI.
 * index: put at the end of the branch parameter; 0: nothing.
 */
int route_forward_uac(struct ctx *ctx, struct str uri, uint16_t index);
/* A reply forwarded by its second Via. */
int route_forward_reply(struct ctx *ctx);

/*
 * Makes the changes so far the message itself: edits, a replaced body and the rewritten Request-URI are applied and the result is parsed again,
 * so that what follows in the script sees it. Destination, branches, flags and Record-Routes asked for stay. Context: a request
 * before its transaction was made, or a reply in reply_route. Returns 0; -EBADMSG (the result is no message: nothing changed), -EMSGSIZE, -ENOMEM.
 */
MUST_CHECK int route_msg_apply(struct ctx *ctx, struct diag *reterr);
/* Puts other bytes in the message's place; they live as long as ctx->pool. Changes so far are forgotten. Same context and errors. */
MUST_CHECK int route_msg_set(struct ctx *ctx, struct str bytes, struct diag *reterr);

/* Edits of the current Request-URI (core-functions.md, section 2). part: as the command names. */
enum route_uri_part { RURI_ALL, RURI_HOST, RURI_HOSTPORT, RURI_HOSTPORTTRANS, RURI_PORT, RURI_USER, RURI_USERPASS, RURI_PREFIX, RURI_STRIP, RURI_STRIP_TAIL, RURI_USERPHONE, RURI_REVERT };
MUST_CHECK int route_ruri_set(struct ctx *ctx, enum route_uri_part part, struct str text, int64_t n);
/* Appends a branch (append_branch). uri n 0: the current one, whose attributes are then reset. 0, -ENOSPC, -EINVAL. */
MUST_CHECK int route_branch_add(struct ctx *ctx, struct str uri, int q);

/* Transaction match on arrival of ACK for stateless replies is the sl module's: it registers here. True: absorbed. */
typedef bool route_ack_filter_fn(struct ctx *ctx);
void route_ack_filter(route_ack_filter_fn *fn);
/* Called after each stateless reply (sl statistics, sl:local-response). reply: what was sent; NULL when err < 0. */
typedef void route_replied_fn(struct ctx *ctx, int code, int err, const struct sip_out *reply);
void route_on_replied(route_replied_fn *fn);
/*
 * Replies to requests that a module sent without a transaction: fn sees each reply before the script and transactions do, and says true when it
 * was for it; the reply then ends there. Up to 4; -ENOSPC. Context: before forking; fn in any worker, must be quick to say no.
 */
typedef bool route_reply_fn(struct ctx *ctx);
MUST_CHECK int route_on_reply(route_reply_fn *fn);

#endif
