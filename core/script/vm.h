/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs bytecode. All state of a run is data hung on the ctx, so that a run can stop at any call and go on later, in the next
 * turn of the loop or after a database answered.
 */
#ifndef RF_SCRIPT_VM_H
#define RF_SCRIPT_VM_H

#include "core/script/script.h"

enum vm_result { VM_DONE, VM_PARKED };

/*
 * Starts a top-level run of a route in ctx (ctx->kind is set to the kind). VM_DONE: *ret_rc holds the code of the block; the drop
 * mark is CTX_F_DROP in ctx->mflags. VM_PARKED: somebody will ctx_wake(); then call vm_resume(). s: vm_script_of(ctx), where route was
 * looked up.
 */
enum vm_result vm_run(struct ctx *ctx, struct script *s, int route, enum ctx_kind kind, int *ret_rc);
/* rc: result of the function that parked. */
enum vm_result vm_resume(struct ctx *ctx, int rc, int *ret_rc);
/* Position for logs and traps: file:line of the action that runs; false when idle. */
bool vm_position(const struct ctx *ctx, struct str *ret_file, unsigned *ret_line, struct str *ret_route);
/* The generation that new messages use, of this process. The earlier one lives on while script_n_ctx() > 0. */
void vm_set_script(struct script *s);
struct script *vm_script(void);
/* The generation that handles ctx: the one of its first run; before that, the current one. Routes for ctx are looked up in it. */
struct script *vm_script_of(const struct ctx *ctx);
/* Contexts that hold a generation: from their first run in it until they are freed. */
unsigned script_n_ctx(const struct script *s);
/* fn: a generation that is not the current one was let go by its last context. It may free it. */
void vm_on_idle(void (*fn)(struct script *s));
/* Context: before forking, once. */
MUST_CHECK int vm_register(void);

/*
 * Those who watch scripts run (module debugger). Called in scripts compiled after script_trace(): before each action, with the name of its
 * function (STR_NULL for other actions), and before each assignment, with what is about to be assigned. An action's hook returns 0,
 * or SCRIPT_SUSPEND after ctx_park(): then the action follows when the context is woken.
 */
typedef int vm_action_fn(struct ctx *ctx, enum script_action action, struct str name, unsigned n_args);
void vm_on_action(vm_action_fn *fn); /* one; NULL: none */
struct pv_spec;
struct value;
typedef void vm_assign_fn(struct ctx *ctx, const struct pv_spec *to, const struct value *v);
void vm_on_assign(vm_assign_fn *fn); /* one; NULL: none */

struct vm_conf {
	unsigned max_while_loops;     /* 0: no limit */
	unsigned max_recursive_level;
	bool return_raw;              /* return_mode 1 */
	unsigned latency_us;          /* a function that takes so long is logged; 0: none is timed */
	int latency_level;            /* at this level */
	bool suspend_always;          /* debug: every function that may suspend is preceded by a park of one turn */
};
void vm_configure(const struct vm_conf *conf);

#endif
