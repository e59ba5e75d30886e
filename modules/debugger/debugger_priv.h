/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of module debugger share. */
#ifndef RF_MODULES_DEBUGGER_PRIV_H
#define RF_MODULES_DEBUGGER_PRIV_H

#include <stdatomic.h>

#include "core/base/log.h"
#include "core/module/abi.h"
#include "core/script/vm.h"
#include "shm/slot.h"

struct dbg_conf {
	int cfgtrace, cfgtrace_format, breakpoint, log_level, log_assign, step_usleep, step_loops, mod_hash_size, mod_level_mode, mod_facility_mode, reset_msgid;
	struct str log_level_name, log_facility, log_prefix;
	int facility; /* -1: that of the core */
};
extern struct dbg_conf dbg_conf;

enum dbg_set { DBG_TRACE = 1, DBG_BREAKPOINTS = 2 }; /* as dbg.ls shows them */

#define DBG_TEXT_MAX 512u

/* Of each process. `set` is written by rpcd; asked, cmd and in by rpcd; answered, out, n_stopped by the process. */
struct dbg_proc {
	_Atomic uint8_t set;        /* enum dbg_set */
	_Atomic uint16_t n_stopped; /* runs that wait at a breakpoint */
	_Atomic int32_t asker;      /* pid of who asked last; 0: nobody */
	_Atomic uint32_t asked, answered; /* number of the last command, and of the last that was answered */
	int32_t cmd;                /* enum dbg_cmd */
	uint16_t in_n, out_n;
	bool failed;                /* out says why */
	char in[DBG_TEXT_MAX], out[DBG_TEXT_MAX];
};
struct dbg_shared {
	_Atomic uint32_t msgid_resets;
	struct dbg_proc proc[SHM_SLOTS_MAX];
};
extern struct dbg_shared *dbg_shared;

/* What is about to run. */
struct dbg_action {
	const char *kind; /* "request_route" */
	struct str route, file, name;
	unsigned line, no;
};

/* Writes text with log_level, its name and facility of this module. */
void dbg_log(struct str text);
/* Place, number and word of an action of ctx. False: it has none. */
bool dbg_describe(const struct ctx *ctx, enum script_action action, struct str func, unsigned n_args, struct dbg_action *ret);

/* ---- trace.c ---- */
void dbg_trace(const struct dbg_action *a);
void dbg_on_assign(struct ctx *ctx, const struct pv_spec *to, const struct value *v);

/* ---- breakpoint.c ---- */
/* Should ctx stop before what comes next? */
bool dbg_stops(const struct ctx *ctx);
/* Parks ctx there: SCRIPT_SUSPEND; 0 when it cannot wait, which is logged. */
int dbg_stop(struct ctx *ctx, const struct dbg_action *a);
int dbg_f_breakpoint(struct ctx *ctx, const union script_arg *a, unsigned n);
void dbg_rpc_bp(struct rpc *rpc);
MUST_CHECK int dbg_bp_init(void);
MUST_CHECK int dbg_bp_worker_init(struct loop *loop);

/* ---- dump.c ---- */
int dbg_f_pv_dump(struct ctx *ctx, const union script_arg *a, unsigned n);
int dbg_f_sip_msg(struct ctx *ctx, const union script_arg *a, unsigned n);
void dbg_pv_seen(const struct pv_spec *spec);

/* ---- levels.c ---- */
int dbg_set_level(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr);
int dbg_set_facility(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr);
MUST_CHECK int dbg_levels_init(void);
void dbg_levels_changed(void);
void dbg_rpc_set_level(struct rpc *rpc);
void dbg_rpc_get_level(struct rpc *rpc);
void dbg_rpc_set_facility(struct rpc *rpc);
void dbg_rpc_get_facility(struct rpc *rpc);

#endif
