/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions that a script can call: tables registered by the core and by modules. Arguments are prepared when the script is
 * compiled, as far as they are constant, and reach the function in final form.
 */
#ifndef RF_SCRIPT_FUNC_H
#define RF_SCRIPT_FUNC_H

#include "core/pv/fmt.h"

#define SCRIPT_PARAMS_MAX 6u
/* The function started something and will ctx_wake(); ctx_park() was called. */
#define SCRIPT_SUSPEND (-2147483647 - 1)
/* The function wants a route run first: see script_call_route(). */
#define SCRIPT_CALL (-2147483647)

enum script_param {
	SP_END = 0,
	SP_DSTR,   /* text with variables, or any expression: arg.s */
	SP_DINT,   /* number, variable or expression: arg.i */
	SP_STR,    /* constant text: arg.s */
	SP_INT,    /* constant number (decimal, hex): arg.i */
	SP_PV,     /* a variable, "$var(x)": arg.pv */
	SP_WPV,    /* a writable one */
	SP_REGEX,  /* ERE, ignoring case, newline-sensitive: arg.re; constant text is compiled at load */
	SP_SUBST,  /* "/re/repl/flags": arg.subst */
	SP_ROUTE,  /* route name; constants are checked to exist for the kind in script_func.route_kind: arg.s */
	SP_FIX,    /* constant text, prepared by script_func.fixup: arg.p */
	SP_DFIX,   /* as SP_FIX, but an expression is allowed: then fixup runs per call in the message's pool */
};

struct regex;
struct regex_subst;

union script_arg {
	struct str s;
	int64_t i;
	const struct pv_spec *pv;
	const struct regex *re;
	const struct regex_subst *subst;
	void *p;
};

/* Returns a script code: > 0 true, < 0 false, 0 ends the script; or SCRIPT_SUSPEND, SCRIPT_CALL. n: arguments given. */
typedef int script_fn(struct ctx *ctx, const union script_arg *args, unsigned n);
/* index: which parameter, from 0. Returns 0 or diag_set(). */
typedef int script_fixup_fn(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr);

struct script_func {
	const char *name;
	script_fn *fn;
	uint8_t n_params;
	uint8_t param[SCRIPT_PARAMS_MAX]; /* enum script_param */
	unsigned kinds;                   /* enum ctx_kind bits where it may stand */
	script_fixup_fn *fixup;
	enum ctx_kind route_kind;         /* SP_ROUTE: which kind of route is meant */
	bool may_suspend;
};

/* Table ends with name NULL; lives for ever. One row per name and argument count; the last registered wins. module: for messages. */
MUST_CHECK int script_funcs_register(const char *module, const struct script_func *table);
const struct script_func *script_func_find(struct str name, unsigned n_params, const char **ret_module);
/* For error texts: is the name known with another count; which known name is nearest? */
bool script_func_known(struct str name);
const char *script_func_nearest(struct str name);

/*
 * Called by a function: run the route, then cont with its code; cont returns a script code (or SUSPEND, or another CALL) that is
 * the function's result. Returns SCRIPT_CALL, or -ENOENT when there is no such route.
 */
int script_call_route(struct ctx *ctx, enum ctx_kind kind, struct str name, int (*cont)(struct ctx *ctx, int rc, void *arg), void *arg);
/* Has the script that runs in ctx this route? */
bool script_has_route(const struct ctx *ctx, enum ctx_kind kind, struct str name);

#endif
