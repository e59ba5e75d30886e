/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server in one process: requests and replies are handed in as text, what is sent is collected by the sending hook
 * (and goes to loopback ports where nobody listens), time is faked and the timer wheel is run by hand. Instead of a script, routes are C functions.
 */
#ifndef RF_TESTS_TM_FIXTURE_H
#define RF_TESTS_TM_FIXTURE_H

#include "core/tm/tm_priv.h"

#define SENT_MAX 256u

struct sent {
	struct tx_dest dest;
	char text[4096];
	size_t n;
};
extern struct sent sent[SENT_MAX];
extern unsigned n_sent;

/* What the request route does with a request that no transaction took; default: t_relay(). */
extern int (*fixture_route)(struct ctx *ctx);
/* Runs as failure route "fail", reply route "reply", branch failure "bf". */
extern void (*fixture_failure)(struct ctx *ctx);
extern void (*fixture_onreply)(struct ctx *ctx);
/* Verdict of branch route "branch": false drops the branch. */
extern bool (*fixture_branch)(struct ctx *ctx);
/* route[go], the one that t_continue() knows; NULL: does nothing. */
extern void (*fixture_continued)(struct ctx *ctx);
extern int fixture_rc;
/* Messages for which there is no memory are lost instead of failing the test. */
extern bool fixture_lossy;
extern uint16_t fixture_port; /* where the server listens; peers do not exist: what is sent is collected */ /* what fixture_route returned last */

void fixture_setup(void);
void fixture_teardown(void);
/* A request from the caller, 127.0.0.1:port. method, then extra header fields with CRLF. */
void fixture_request(const char *method, const char *branch, const char *callid, const char *extra);
/* The next hop answers what it was sent (index in sent). to_tag may be NULL. */
void fixture_reply(unsigned to_sent, int status, const char *reason, const char *extra);
/* Lets ms go by, in steps, running the wheel. */
void fixture_wait(unsigned ms);
/* The same without running the wheel: time that passes in another process. */
void fixture_skip(unsigned ms);
/* Value of a field in what was sent; "" when absent. */
const char *fixture_field(unsigned i, const char *name);
bool fixture_starts(unsigned i, const char *text);
/* How many of what was sent since `from` start with text. */
unsigned fixture_count(unsigned from, const char *text);
/* Index of the first since `from` that starts so; fails the test when there is none. */
unsigned fixture_find(unsigned from, const char *text);
int64_t fixture_live(void);

#endif
