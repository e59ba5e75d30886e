/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module debugger: each action of the script as a line of the log (cfgtrace), switched per process by RPC. Scripts are compiled
 * with what it needs only when the module is loaded; then an action costs one call that looks at a word when tracing is off.
 */
#include <errno.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/main/params.h"
#include "core/module/abi.h"
#include "core/script/vm.h"
#include "shm/arena.h"
#include "shm/slab.h"
#include "shm/slot.h"

static struct conf {
	int cfgtrace, log_level, mod_hash_size, step_usleep, step_loops;
	struct str log_level_name, log_facility, log_prefix;
	int facility; /* -1: that of the core */
} conf;

/* In shared memory: what each process shows. Written: RPC process; read: the slot's process. */
static struct shown {
	_Atomic uint8_t trace[SHM_SLOTS_MAX];
} *shown;

/* ---- the line ---- */

/* clang-format off */
static const struct { const char *func; unsigned no; const char *name; } commands[] = { /* numbers and words of Kamailio 5.6.3 */
	{ "rewriteuri", 12, "seturi" }, { "rewritehost", 7, "sethost" }, { "rewritehostport", 8, "sethostport" },
	{ "rewritehostporttrans", 13, "sethostporttrans" }, { "rewriteport", 11, "setport" }, { "rewriteuser", 9, "setuser" },
	{ "rewriteuserpass", 10, "setuserpass" }, { "prefix", 44, "prefix" }, { "strip", 45, "strip" }, { "strip_tail", 46, "striptail" },
	{ "userphone", 15, "setuserphone" }, { "revert_uri", 50, "reverturi" }, { "clear_branches", 49, "unknown" }, { "remove_branch", 48, "unknown" },
	{ "force_send_socket", 62, "force_send_socket" }, { "set_advertised_address", 57, "set_adv_addr" }, { "set_advertised_port", 58, "set_adv_port" },
	{ "force_rport", 55, "force_rport" }, { "add_local_rport", 56, "add_local_rport" }, { "udp_mtu_try_proto", 65, "udp_mtu_try_proto" },
	{ "force_tcp_alias", 59, "force_tcp_alias" }, { "set_forward_no_connect", 66, "set_fwd_no_connect" }, { "set_reply_no_connect", 67, "set_rpl_no_connect" },
	{ "set_forward_close", 68, "set_fwd_close" }, { "set_reply_close", 69, "set_rpl_close" }, { "setflag", 39, "setflag" },
	{ "resetflag", 40, "resetflag" }, { "isflagset", 41, "isflagset" }, { "log", 3, "log" }, { "error", 4, "error" }, { "cfg_select", 70, "unknown" },
	{ "forward", 1, "forward" },
};
static const struct { unsigned no; const char *name; } actions[] = {
	[SA_ROUTE] = { 5, "route" }, [SA_IF] = { 16, "if" }, [SA_WHILE] = { 23, "while" }, [SA_SWITCH] = { 21, "switch" }, [SA_ASSIGN] = { 63, "assign" },
	[SA_RETURN] = { 2, "return" }, [SA_EXIT] = { 2, "exit" }, [SA_DROP] = { 2, "drop" }, [SA_BREAK] = { 2, "exit" },
};
/* clang-format on */

static const char *kind_name(enum ctx_kind kind)
{
	switch (kind) {
	case CTX_FAILURE:
		return "failure_route";
	case CTX_TM_REPLY:
	case CTX_CORE_REPLY:
		return "onreply_route";
	case CTX_BRANCH:
		return "branch_route";
	case CTX_ONSEND:
		return "onsend_route";
	case CTX_BRANCH_FAILURE:
		return "branch_failure_route";
	case CTX_LOCAL:
	case CTX_EVENT:
		return "event_route";
	default:
		return "request_route";
	}
}

/* Number and word of an action. */
static unsigned describe(enum script_action action, struct str func, unsigned n_args, struct str *ret_name)
{
	*ret_name = func;
	if (action == SA_CALL)
		return 24 + n_args;
	if (action != SA_CORE) {
		*ret_name = str_lit(actions[action].name);
		return actions[action].no;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (str_eq(func, str_lit(commands[i].func))) {
			*ret_name = str_lit(commands[i].name);
			return commands[i].no;
		}
	}
	return 24 + n_args;
}

static void on_action(struct ctx *ctx, enum script_action action, struct str func, unsigned n_args)
{
	int slot = shm_slot_self();
	struct str file, route, name;
	char mem[1024];
	struct strbuf sb;
	unsigned line, no;

	if (slot < 0 || !shown->trace[slot] || !log_on(conf.log_level) || !vm_position(ctx, &file, &line, &route))
		return;
	no = describe(action, func, n_args, &name);
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add(&sb, conf.log_prefix);
	strbuf_printf(&sb, "dbg_cfg_trace(): %s=[%.*s] c=[%.*s] l=%u a=%u n=%.*s\n", kind_name(ctx->kind), STR_FMT(route.n ? route : STR_LIT("DEFAULT_ROUTE")),
		      STR_FMT(file), line, no, STR_FMT(name));
	log_text_named(conf.log_level, conf.log_level_name, conf.facility, strbuf_str(&sb));
}

/* ---- dbg_sip_msg() ---- */

static int f_sip_msg(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int level = n ? (int)(a[0].i < L_ALERT ? L_ALERT : a[0].i > 10 ? 10 : a[0].i) : conf.log_level;
	struct strbuf sb;

	if (!log_on(level))
		return 1;
	strbuf_init_pool(&sb, ctx->pool, 65535 + 256);
	strbuf_add_lit(&sb, "CONFIG DEBUG: SIP message as received\n");
	strbuf_add(&sb, ctx->msg.buf);
	if (strbuf_err(&sb) < 0)
		return -1;
	log_text(level, conf.facility, NULL, strbuf_str(&sb));
	return 1;
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
		shown->trace[i] = on;
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

	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++) {
		struct rpc_node *n;

		if (shm_slot_info(i, &info) < 0 || info.state != SHM_SLOT_ACTIVE)
			continue;
		n = rpc_add_object(rpc, NULL, NULL);
		rpc_add_int(rpc, n, "entry", i);
		rpc_add_int(rpc, n, "pid", info.pid);
		rpc_add_int(rpc, n, "set", shown->trace[i]);
		rpc_add_int(rpc, n, "state", 0);
		rpc_add_int(rpc, n, "in.pid", 0);
		rpc_add_int(rpc, n, "in.cmd", 0);
	}
}

static void rpc_get_level(struct rpc *rpc)
{
	struct str name;

	if (rpc_arg_str(rpc, &name) == 0) /* all modules have the level of the core */
		rpc_add_int(rpc, NULL, NULL, log_level());
}

static void rpc_set_level(struct rpc *rpc)
{
	rpc_fault(rpc, 500, "cannot store parameter"); /* as with mod_hash_size 0 */
}

static void rpc_reset_msgid(struct rpc *rpc)
{
	rpc_fault(rpc, 500, "reset_msgid is 0. Set it to 1 to enable.");
}

static void rpc_bp(struct rpc *rpc)
{
	rpc_fault(rpc, 500, "breakpoints stop a worker: not here");
}

/* ---- start-up ---- */

static int load(void)
{
	script_trace();
	return 0;
}

static int init(void)
{
	conf.facility = -1;
	if (conf.log_facility.n) {
		conf.facility = params_facility(conf.log_facility);
		if (conf.facility < 0)
			return log_fail(-EINVAL, "debugger: log_facility '%.*s' is unknown", STR_FMT(conf.log_facility));
	}
	shown = shm_zalloc(sizeof(*shown));
	if (!shown)
		return log_fail(-ENOMEM, "debugger");
	shm_publish(shown);
	if (shm_root_set("debugger", shm_ref_of(shown)) < 0)
		return log_fail(-ENOSPC, "debugger");
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++)
		shown->trace[i] = conf.cfgtrace != 0;
	vm_on_action(on_action);
	return 0;
}

static int only_off(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)s; /* a number */
	return i == 0 ? 0 : diag_set(reterr, 0, "%s is not built: 0 is all that it can be", set->name);
}

static int refuse(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)i, (void)s; /* refused whatever it is */
	return diag_set(reterr, 0, "%s: all modules share the level and facility of the core", set->name);
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_INT("cfgtrace",        struct conf, cfgtrace,       0, 0, 1),
	SETTING_INT("log_level",       struct conf, log_level,      L_ERR, L_ALERT, 10),
	SETTING_STR("log_level_name",  struct conf, log_level_name, NULL),
	SETTING_STR("log_facility",    struct conf, log_facility,   NULL),
	SETTING_STR("log_prefix",      struct conf, log_prefix,     "*** cfgtrace:"),
	SETTING_INT("step_usleep",     struct conf, step_usleep,    100000, 0, INT32_MAX), /* of breakpoints, which are refused */
	SETTING_INT("step_loops",      struct conf, step_loops,     200, 0, INT32_MAX),
	SETTING_INT("mod_hash_size",   struct conf, mod_hash_size,  0, 0, 30),             /* of mod_level, likewise */
	SETTING_FN_INT("breakpoint", only_off), SETTING_FN_INT("cfgtrace_format", only_off), SETTING_FN_INT("log_assign", only_off),
	SETTING_FN_INT("mod_level_mode", only_off), SETTING_FN_INT("mod_facility_mode", only_off), SETTING_FN_INT("reset_msgid", only_off),
	SETTING_FN_INT("cfgpkgcheck", only_off), SETTING_FN_INT("cfgtest", only_off),
	SETTING_FN_STR("mod_level", refuse), SETTING_FN_STR("mod_facility", refuse),
	SETTING_END,
};
static const struct script_func funcs[] = {
	{ .name = "dbg_sip_msg", .fn = f_sip_msg, .kinds = CTX_REQUEST | CTX_ONREPLY },
	{ .name = "dbg_sip_msg", .fn = f_sip_msg, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_REQUEST | CTX_ONREPLY },
	{ .name = NULL },
};
static const struct rpc_method rpcs[] = {
	{ "dbg.bp",            rpc_bp,          0, "Breakpoints: not here" },
	{ "dbg.get_mod_level", rpc_get_level,   0, "Log level of a module: that of all" },
	{ "dbg.ls",            rpc_ls,          RPC_RET_ARRAY, "Processes and whether they trace" },
	{ "dbg.reset_msgid",   rpc_reset_msgid, 0, "Not here" },
	{ "dbg.set_mod_level", rpc_set_level,   0, "Not here: set the level of all, core.debug" },
	{ "dbg.trace",         rpc_trace,       0, "Lines for each action: on or off, and the process (all)" },
	{ .name = NULL },
};
/* clang-format on */

extern const struct module module_debugger;
const struct module module_debugger = {
	.abi = MODULE_ABI, .name = "debugger", .settings = settings, .conf = &conf, .funcs = funcs, .rpcs = rpcs, .load = load, .init = init,
};
