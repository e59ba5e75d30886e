/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of each action (cfgtrace), and of each assignment (log_assign). */
#include "core/base/strbuf.h"
#include "modules/debugger/debugger_priv.h"

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
static unsigned word_of(enum script_action action, struct str func, unsigned n_args, struct str *ret_name)
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

bool dbg_describe(const struct ctx *ctx, enum script_action action, struct str func, unsigned n_args, struct dbg_action *ret)
{
	if (!vm_position(ctx, &ret->file, &ret->line, &ret->route))
		return false;
	if (ret->route.n == 0)
		ret->route = STR_LIT("DEFAULT_ROUTE");
	ret->kind = kind_name(ctx->kind);
	ret->no = word_of(action, func, n_args, &ret->name);
	return true;
}

void dbg_log(struct str text)
{
	log_text_named(dbg_conf.log_level, dbg_conf.log_level_name, dbg_conf.facility, text);
}

void dbg_trace(const struct dbg_action *a)
{
	char mem[1024];
	struct strbuf sb;

	if (!log_on(dbg_conf.log_level))
		return;
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_add(&sb, dbg_conf.log_prefix);
	strbuf_printf(&sb, "dbg_cfg_trace(): %s=[%.*s] ", a->kind, STR_FMT(a->route));
	if (dbg_conf.cfgtrace_format == 0)
		strbuf_printf(&sb, "c=[%.*s] ", STR_FMT(a->file));
	strbuf_printf(&sb, "l=%u a=%u n=%.*s\n", a->line, a->no, STR_FMT(a->name));
	dbg_log(strbuf_str(&sb));
}

void dbg_on_assign(struct ctx *ctx, const struct pv_spec *to, const struct value *v)
{
	char mem[4096];
	struct strbuf sb;

	(void)ctx; /* the hook has it */
	if (!log_on(L_DBG))
		return;
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	strbuf_printf(&sb, "%.*s:", STR_FMT(to->text));
	if (v->kind == VALUE_INT)
		strbuf_add_i64(&sb, v->i);
	else if (v->kind == VALUE_STR)
		strbuf_printf(&sb, "\"%.*s\"", STR_FMT(v->s));
	else
		strbuf_add_lit(&sb, "$null");
	strbuf_add_char(&sb, '\n');
	log_text(L_DBG, dbg_conf.facility, NULL, strbuf_str(&sb));
}
