/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module debugger: what scripts do, action by action; breakpoints; levels of the log for single modules. Scripts are compiled with what it
 * needs only when the module is loaded; then an action costs one call that looks at a byte of shared memory when nothing is on.
 */
#include <errno.h>

#include "core/base/num.h"
#include "core/main/params.h"
#include "core/transport/rx.h"
#include "modules/debugger/debugger_priv.h"
#include "shm/arena.h"
#include "shm/slab.h"

struct dbg_conf dbg_conf;
struct dbg_shared *dbg_shared;

static uint32_t msgid_seen; /* resets that this process has made */

/* $mi begins with 1 again, with the message at hand: dbg.reset_msgid. */
static void msgid_follow(struct ctx *ctx)
{
	uint32_t now = atomic_load_explicit(&dbg_shared->msgid_resets, memory_order_relaxed);

	if (LIKELY(now == msgid_seen))
		return;
	msgid_seen = now;
	ctx->msg_no = rx_msg_no_restart();
}

static int on_action(struct ctx *ctx, enum script_action action, struct str func, unsigned n_args)
{
	int slot = shm_slot_self();
	uint8_t set = slot < 0 ? 0 : atomic_load_explicit(&dbg_shared->proc[slot].set, memory_order_relaxed);
	bool stops = dbg_stops(ctx);
	struct dbg_action a;

	msgid_follow(ctx);
	if (LIKELY(!(set & DBG_TRACE) && !stops) || !dbg_describe(ctx, action, func, n_args, &a))
		return 0;
	if (set & DBG_TRACE)
		dbg_trace(&a);
	return stops ? dbg_stop(ctx, &a) : 0;
}

/* ---- RPC ---- */

static void rpc_trace(struct rpc *rpc)
{
	struct shm_slot_info info;
	struct str cmd, text;
	uint32_t pid = 0;
	bool found = false, on;

	if (rpc_arg_str(rpc, &cmd) < 0) {
		rpc_fault(rpc, 500, "Config trace command missing");
		return;
	}
	on = str_ieq(cmd, STR_LIT("on"));
	if (!on && !str_ieq(cmd, STR_LIT("off"))) {
		rpc_fault(rpc, 500, "Unknown trace command");
		return;
	}
	if (rpc_args_left(rpc) > 0 && (rpc_arg_any_str(rpc, &text) < 0 || num_u32(text, &pid) < 0)) {
		rpc_fault(rpc, 500, "Pid expected");
		return;
	}
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++) {
		if (pid && (shm_slot_info(i, &info) < 0 || info.state != SHM_SLOT_ACTIVE || (uint32_t)info.pid != pid))
			continue;
		if (on)
			atomic_fetch_or(&dbg_shared->proc[i].set, DBG_TRACE);
		else
			atomic_fetch_and(&dbg_shared->proc[i].set, (uint8_t)~DBG_TRACE);
		found = true;
	}
	if (found)
		rpc_add_str(rpc, NULL, NULL, STR_LIT("200 ok"));
	else
		rpc_fault(rpc, 500, "No process with that pid");
}

static void rpc_ls(struct rpc *rpc)
{
	struct shm_slot_info info;
	int64_t pid = 0;
	unsigned n_told = 0;

	if (rpc_args_left(rpc) > 0 && rpc_arg_any_int(rpc, &pid) < 0) {
		rpc_fault(rpc, 500, "Pid expected");
		return;
	}
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++) {
		const struct dbg_proc *p = &dbg_shared->proc[i];
		struct rpc_node *n;

		if (shm_slot_info(i, &info) < 0 || info.state != SHM_SLOT_ACTIVE || (pid && info.pid != pid))
			continue;
		n = rpc_add_object(rpc, NULL, NULL);
		rpc_add_int(rpc, n, "entry", i);
		rpc_add_int(rpc, n, "pid", info.pid);
		rpc_add_int(rpc, n, "set", atomic_load(&p->set));
		rpc_add_int(rpc, n, "state", atomic_load(&p->n_stopped));
		rpc_add_int(rpc, n, "in.pid", atomic_load(&p->asker));
		rpc_add_int(rpc, n, "in.cmd", atomic_load(&p->asker) ? p->cmd : 0);
		n_told++;
	}
	if (n_told == 0)
		rpc_fault(rpc, 500, "No such pid");
}

static void rpc_reset_msgid(struct rpc *rpc)
{
	if (!dbg_conf.reset_msgid) {
		rpc_fault(rpc, 500, "reset_msgid is 0. Set it to 1 to enable.");
		return;
	}
	atomic_fetch_add(&dbg_shared->msgid_resets, 1);
	rpc_add_str(rpc, NULL, NULL, STR_LIT("200 ok"));
}

/* ---- start-up ---- */

static int load(void)
{
	script_trace();
	pv_on_parse(dbg_pv_seen);
	return 0;
}

static int init(void)
{
	int err;

	dbg_conf.facility = -1;
	if (dbg_conf.log_facility.n) {
		dbg_conf.facility = params_facility(dbg_conf.log_facility);
		if (dbg_conf.facility < 0)
			return log_fail(-EINVAL, "debugger: log_facility '%.*s' is unknown", STR_FMT(dbg_conf.log_facility));
	}
	dbg_shared = shm_zalloc(sizeof(*dbg_shared));
	if (!dbg_shared)
		return log_fail(-ENOMEM, "debugger");
	shm_publish(dbg_shared);
	if (shm_root_set("debugger", shm_ref_of(dbg_shared)) < 0)
		return log_fail(-ENOSPC, "debugger");
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++)
		dbg_shared->proc[i].set = (uint8_t)((dbg_conf.cfgtrace ? DBG_TRACE : 0) | (dbg_conf.breakpoint ? DBG_BREAKPOINTS : 0));
	err = dbg_bp_init();
	if (err < 0)
		return log_fail(err, "debugger");
	err = dbg_levels_init();
	if (err < 0)
		return err;
	vm_on_action(on_action);
	if (dbg_conf.log_assign)
		vm_on_assign(dbg_on_assign);
	return 0;
}

static int worker_init(struct loop *loop, unsigned worker)
{
	(void)worker; /* all alike */
	msgid_seen = atomic_load(&dbg_shared->msgid_resets);
	return dbg_bp_worker_init(loop);
}

static int not_here(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)s; /* a number */
	if (i == 0)
		return 0;
	return diag_set(reterr, 0, "%s: %s", set->name, strcmp(set->name, "cfgtest") == 0 ? "there is no module cfgt" : "there is no private memory pool that could be checked");
}

static int level_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	static const char *const names[] = { "L_ALERT", "L_BUG", "L_CRIT2", "L_CRIT", "L_ERR", "L_WARN", "L_NOTICE", "L_INFO", "L_DBG" };
	int *level = pool_zalloc(pool, sizeof(*level));
	int64_t n;

	(void)index; /* a level, wherever it stands */
	if (!level)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	*ret_p = level;
	if (num_i64(text, &n) == 0 && n >= L_ALERT && n <= 10) {
		*level = (int)n;
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(text, str_lit(names[i]))) {
			*level = L_ALERT + (int)i;
			return 0;
		}
	}
	return diag_set(reterr, 0, "'%.*s': L_ALERT L_BUG L_CRIT L_ERR L_WARN L_NOTICE L_INFO L_DBG, or a number, expected", STR_FMT(text));
}

/* Level, then facility. */
static int sip_msg_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	int *facility;

	if (index == 0)
		return level_fixup(pool, index, text, ret_p, reterr);
	facility = pool_zalloc(pool, sizeof(*facility));
	if (!facility)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	*facility = params_facility(text);
	*ret_p = facility;
	return *facility >= 0 ? 0 : diag_set(reterr, 0, "facility '%.*s' is unknown", STR_FMT(text));
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_INT("cfgtrace",          struct dbg_conf, cfgtrace,          0, 0, 1),
	SETTING_INT("cfgtrace_format",   struct dbg_conf, cfgtrace_format,   0, 0, 1),
	SETTING_INT("breakpoint",        struct dbg_conf, breakpoint,        0, 0, 1),
	SETTING_INT("log_level",         struct dbg_conf, log_level,         L_ERR, L_ALERT, 10),
	SETTING_STR("log_level_name",    struct dbg_conf, log_level_name,    NULL),
	SETTING_STR("log_facility",      struct dbg_conf, log_facility,      NULL),
	SETTING_STR("log_prefix",        struct dbg_conf, log_prefix,        "*** cfgtrace:"),
	SETTING_INT("log_assign",        struct dbg_conf, log_assign,        0, 0, 1),
	SETTING_INT("step_usleep",       struct dbg_conf, step_usleep,       100000, 0, 60000000),
	SETTING_INT("step_loops",        struct dbg_conf, step_loops,        200, 1, 1000000),
	SETTING_INT("mod_hash_size",     struct dbg_conf, mod_hash_size,     0, 0, 30),
	SETTING_INT("mod_level_mode",    struct dbg_conf, mod_level_mode,    0, 0, 1),
	SETTING_INT("mod_facility_mode", struct dbg_conf, mod_facility_mode, 0, 0, 1),
	SETTING_INT("reset_msgid",       struct dbg_conf, reset_msgid,       0, 0, 1),
	SETTING_FN_STR("mod_level", dbg_set_level), SETTING_FN_STR("mod_facility", dbg_set_facility),
	SETTING_FN_INT("cfgpkgcheck", not_here), SETTING_FN_INT("cfgtest", not_here),
	SETTING_END,
};
static const struct cfg_live live[] = {
	{ "mod_level_mode",    NULL, "1: levels of single modules count", CFG_WRITE_ONLY },
	{ "mod_facility_mode", NULL, "1: facilities of single modules count", CFG_WRITE_ONLY },
	{ "mod_hash_size",     NULL, "0: there is no table of modules", CFG_READ_ONLY },
	{ .name = NULL },
};
static const struct script_func funcs[] = {
	{ .name = "dbg_breakpoint", .fn = dbg_f_breakpoint, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY, .may_suspend = true },
	{ .name = "dbg_pv_dump", .fn = dbg_f_pv_dump, .kinds = CTX_ANY },
	{ .name = "dbg_pv_dump", .fn = dbg_f_pv_dump, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "dbg_pv_dump", .fn = dbg_f_pv_dump, .n_params = 2, .param = { SP_DINT, SP_FIX }, .fixup = level_fixup, .kinds = CTX_ANY },
	{ .name = "dbg_sip_msg", .fn = dbg_f_sip_msg, .kinds = CTX_REQUEST | CTX_ONREPLY },
	{ .name = "dbg_sip_msg", .fn = dbg_f_sip_msg, .n_params = 1, .param = { SP_FIX }, .fixup = sip_msg_fixup, .kinds = CTX_REQUEST | CTX_ONREPLY },
	{ .name = "dbg_sip_msg", .fn = dbg_f_sip_msg, .n_params = 2, .param = { SP_FIX, SP_FIX }, .fixup = sip_msg_fixup, .kinds = CTX_REQUEST | CTX_ONREPLY },
	{ .name = NULL },
};
static const struct rpc_method rpcs[] = {
	{ "dbg.bp",               dbg_rpc_bp,           0, "Breakpoints: on, off, release [pid]; keep, next, move, show pid; eval, log pid variable" },
	{ "dbg.get_mod_facility", dbg_rpc_get_facility, 0, "Facility of a module's lines" },
	{ "dbg.get_mod_level",    dbg_rpc_get_level,    0, "Log level of a module" },
	{ "dbg.ls",               rpc_ls,               RPC_RET_ARRAY, "Processes: what is on, and how many runs wait at breakpoints" },
	{ "dbg.mod_level",        dbg_rpc_set_level,    0, "Sets the log level of a module: name, level" },
	{ "dbg.reset_msgid",      rpc_reset_msgid,      0, "Numbers of messages ($mi) begin with 1 again" },
	{ "dbg.set_mod_facility", dbg_rpc_set_facility, 0, "Sets the facility of a module's lines: name, facility" },
	{ "dbg.set_mod_level",    dbg_rpc_set_level,    0, "Sets the log level of a module: name, level" },
	{ "dbg.trace",            rpc_trace,            0, "Lines for each action: on or off, and the process (all)" },
	{ .name = NULL },
};
/* clang-format on */

extern const struct module module_debugger;
const struct module module_debugger = {
	.abi = MODULE_ABI, .name = "debugger", .settings = settings, .conf = &dbg_conf, .funcs = funcs, .rpcs = rpcs, .load = load, .init = init,
	.worker_init = worker_init, .live = live, .live_group = "dbg", .live_changed = dbg_levels_changed,
};
