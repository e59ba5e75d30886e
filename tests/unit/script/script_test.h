/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of core/script share: functions and variables to call, a host that writes down what it is told, one run. */
#ifndef RF_SCRIPT_TEST_H
#define RF_SCRIPT_TEST_H

#include "core/script/script_priv.h"
#include "core/script/vm.h"
#include "tests/lib/test_main.h"

struct st_run {
	struct script *script;
	struct script_err *errs;
	int load_err;
	int rc;              /* of the top block */
	bool finished, dropped;
	char trace[4096];    /* what say() and the host were told */
	unsigned parks;
};

extern struct st_run st;

/* Registers once; makes contexts and a loop. */
void st_init(void);
void st_done(void);
/* Loads text (see st.load_err, st.errs); st_unload() before the next. */
int st_load(const char *text);
int st_load_opts(const char *text, const struct script_opts *more);
void st_unload(void);
/* Runs a route to its end, through all parks. Returns its code. */
int st_run_route(enum ctx_kind kind, const char *name);
/* Loads "request_route { body }", runs it, gives the trace back (valid until the next call). */
const char *st_body(const char *body);
void st_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The host of these tests. */
const struct script_host *st_host(void);
/* First error as "line:column: text", or "". */
const char *st_error(void);

#endif
