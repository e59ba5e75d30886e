/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of core/route share. */
#ifndef RF_ROUTE_PRIV_H
#define RF_ROUTE_PRIV_H

#include "core/route/route.h"

enum route_counter {
	RC_RCV_REQUESTS, RC_RCV_REPLIES, RC_FWD_REQUESTS, RC_FWD_REPLIES, RC_DROP_REQUESTS, RC_DROP_REPLIES, RC_ERR_REQUESTS, RC_ERR_REPLIES,
	RC_BAD_URIS, RC_UNSUPPORTED, RC_BAD_HDR,
	RC_REPLIES_1XX, RC_REPLIES_18X, RC_REPLIES_2XX, RC_REPLIES_3XX, RC_REPLIES_4XX, RC_REPLIES_5XX, RC_REPLIES_6XX,
	RC_N
};

MUST_CHECK int route_counters_init(void);
void route_count(enum route_counter c);
void route_count_request(enum sip_method m);
void route_count_reply(unsigned status, enum sip_method m); /* m: of its CSeq */

/*
 * Starts a top-level run of a route on an idle ctx. done is called once with the route's code when the run is over,
 * before this returns when nothing parked; it owns ctx then.
 */
typedef void route_done_fn(struct ctx *ctx, int rc);
void route_start(struct ctx *ctx, int route, enum ctx_kind kind, route_done_fn *done);

/* What follows the checks of a request: transactions, then the request route. Owns ctx. Also for a request that tm kept, whose first worker
 * died in the route: it was counted and checked then, and event routes before it ran to their end. */
void route_request_run(struct ctx *ctx);
/* Parameters dns and rev_dns: true when the top Via's name is looked up, and route_request_run() comes after it; owns ctx then. */
bool route_via_asks(struct ctx *ctx);
MUST_CHECK int route_cmds_register(void);
void route_tm_hooks(void);
/* Whether a proxy may forward the request; answers it when not. */
bool route_may_forward(struct ctx *ctx);
union script_arg;
int route_exec(struct ctx *ctx, const union script_arg *a, unsigned n); /* exec(); a script function */
/* Writes a reason phrase into out: no control characters, at most 120 bytes. */
struct str route_phrase(struct pool *pool, const char *text);

/* ---- wire.c ---- */

/* Bytes that came: the route that looks at them takes ctx, and passes it on to route_decoded(). False: there is none. */
bool route_wire_in(struct ctx *ctx);
bool route_wire_wants_out(void);
/* Bytes to be written; returns whether they may be. *ret_instead: others, until the next call. */
bool route_wire_out(const struct tx_dest *dest, struct str bytes, struct str *ret_instead);
/* Next after route_wire_in(). Owns ctx. */
void route_decoded(struct ctx *ctx);

/* ---- onsend.c ---- */

enum route_verdict { ROUTE_SEND, ROUTE_DROP, ROUTE_WAITS };
/*
 * Runs a route at once on bytes that are about to be written to dest. over, if not NULL, is asked when it ended without drop, while ctx still is.
 * ROUTE_WAITS: it parked, and nobody asks for its verdict.
 */
enum route_verdict route_look(struct ctx *ctx, const struct tx_dest *dest, int route, enum ctx_kind kind, void (*over)(struct ctx *ctx, void *arg), void *arg);
/* Where such bytes come from and go, as the variables about a message's way tell it. */
struct rx_info route_look_rx(const struct tx_dest *dest);

/* ---- gate.c ---- */

/* A message that was parsed and checked goes to its route, now or when its Call-ID is free. Owns ctx. */
void route_gate_pass(struct ctx *ctx);
/* The same at once. */
void route_dispatch(struct ctx *ctx);
MUST_CHECK int route_gate_init(void);
/* After route_conf changed. */
void route_gate_configure(void);

/* ---- hand.c ---- */

/* ctx is what this process works on now; NULL: nothing. Returns what it was before, to be put back. */
const struct ctx *route_hand(const struct ctx *ctx);
void route_hand_init(void);
#ifdef RF_CRASH_POINTS
void route_crash_on(const struct ctx *ctx);
#endif

#endif
