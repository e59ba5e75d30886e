/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of the language that are no flow control (core-functions.md, sections 2 to 5): one table, one row per name and
 * argument count, registered as functions of module "core". Other spellings are the grammar's business (core/script/commands.def).
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/base/log.h"
#include "core/script/func.h"
#include "core/settings/cfg.h"
#include "core/tm/tm.h"
#include "core/transport/conn.h"

#define ON_ANY CTX_ANY
#define ON_ROUTED (CTX_ANY & ~(unsigned)CTX_ONSEND)

static int code_of(int err)
{
	return err < 0 ? -1 : 1;
}

/* ---- Request-URI ---- */

#define RURI_CMD(name_, part_) \
	static int cmd_##name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		return code_of(route_ruri_set(ctx, part_, n ? a[0].s : STR_NULL, 0)); \
	}
RURI_CMD(uri, RURI_ALL)
RURI_CMD(revert, RURI_REVERT)
RURI_CMD(host, RURI_HOST)
RURI_CMD(hostport, RURI_HOSTPORT)
RURI_CMD(hostporttrans, RURI_HOSTPORTTRANS)
RURI_CMD(port, RURI_PORT)
RURI_CMD(user, RURI_USER)
RURI_CMD(userpass, RURI_USERPASS)
RURI_CMD(prefix, RURI_PREFIX)
RURI_CMD(userphone, RURI_USERPHONE)

static int cmd_strip(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 1 ? code_of(route_ruri_set(ctx, RURI_STRIP, STR_NULL, a[0].i)) : -1;
}

static int cmd_strip_tail(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 1 ? code_of(route_ruri_set(ctx, RURI_STRIP_TAIL, STR_NULL, a[0].i)) : -1;
}

/* ---- destination set ---- */

static int cmd_clear_branches(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)a, (void)n; /* takes none */
	ctx->n_branches = 0;
	return 1;
}

static int cmd_remove_branch(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int64_t i = n ? a[0].i : 0;

	if (i < 0)
		i += ctx->n_branches;
	if (i < 0 || i >= ctx->n_branches)
		return 1;
	for (unsigned k = (unsigned)i; k + 1 < ctx->n_branches; k++)
		ctx->branch[k] = ctx->branch[k + 1];
	ctx->n_branches--;
	return 1;
}

/* ---- sending ---- */

static int forward_as(struct ctx *ctx, const union script_arg *a, unsigned n, enum sip_proto proto)
{
	int64_t port = n > 1 ? a[1].i : 0;

	if (port < 0 || port > 65535)
		return -1;
	return route_forward(ctx, n ? a[0].s : STR_NULL, (uint16_t)port, proto);
}

static int cmd_forward(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return forward_as(ctx, a, n, SIP_PROTO_NONE);
}

static int cmd_forward_udp(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return forward_as(ctx, a, n, SIP_PROTO_UDP);
}

static int cmd_forward_tcp(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return forward_as(ctx, a, n, SIP_PROTO_TCP);
}

static int cmd_forward_tls(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return forward_as(ctx, a, n, SIP_PROTO_TLS);
}

static int cmd_force_send_socket(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct net_listener *l = n == 1 ? net_listener_find(a[0].s) : NULL;

	if (!l) {
		log_error("force_send_socket: nothing listens on %.*s", STR_FMT(a[0].s));
		return -1;
	}
	ctx->main.listener = l->index;
	return 1;
}

static int cmd_adv_address(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1)
		return -1;
	ctx->adv_host = a[0].s;
	return 1;
}

static int cmd_adv_port(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1 || a[0].i < 1 || a[0].i > 65535)
		return -1;
	ctx->adv_port = (uint16_t)a[0].i;
	return 1;
}

#define FLAG_CMD(name_, bits_) \
	static int cmd_##name_(struct ctx *ctx, const union script_arg *a, unsigned n) \
	{ \
		(void)a, (void)n; /* takes none */ \
		ctx->mflags |= (bits_); \
		return 1; \
	}
FLAG_CMD(force_rport, CTX_F_FORCE_RPORT)
FLAG_CMD(local_rport, CTX_F_LOCAL_RPORT)
FLAG_CMD(fwd_no_connect, CTX_F_FWD_NO_CONNECT)
FLAG_CMD(fwd_close, CTX_F_FWD_CLOSE)
FLAG_CMD(rpl_no_connect, CTX_F_RPL_NO_CONNECT)
FLAG_CMD(rpl_close, CTX_F_RPL_CLOSE)

static int cmd_tcp_alias(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	int64_t port = n && a[0].i ? a[0].i : via && via->port ? via->port : sip_proto_default_port(ctx->rx.proto);

	if (ctx->rx.conn_id == 0)
		return 1; /* nothing to alias on datagrams */
	if (port < 1 || port > 65535)
		return -1;
	return code_of(conn_alias_add(ctx->rx.conn_id, (uint16_t)port));
}

/* ---- UDP that is too long ---- */

static int cmd_mtu_proto(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1)
		return -1;
	if (a[0].i == SIP_PROTO_SCTP) {
		log_error("udp_mtu_try_proto(SCTP): SCTP is not built in");
		return -1;
	}
	ctx->mtu_try = (uint8_t)(a[0].i + 1);
	return 1;
}

static int no_sctp(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	(void)pool, (void)index, (void)text, (void)ret_p; /* nothing to prepare: it is refused */
	return diag_set(reterr, 0, "SCTP is not built in");
}

/* ---- groups of values ---- */

static int group_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	struct cfg_info info;
	struct str *group;

	(void)index; /* the only text */
	for (unsigned i = 0; cfg_at(i, &info) == 0; i++) {
		if (!str_eq(info.group, text))
			continue;
		group = pool_alloc(pool, sizeof(*group));
		if (!group)
			return diag_err(reterr, -ENOMEM, 0, "out of memory");
		*group = info.group;
		*ret_p = group;
		return 0;
	}
	return diag_set(reterr, 0, "there is no group '%.*s'", STR_FMT(text));
}

static int cmd_cfg_select(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx; /* holds for the process */
	if (n != 2 || a[1].i < 0 || a[1].i > INT32_MAX)
		return -1;
	return code_of(cfg_select(*(const struct str *)a[0].p, (int)a[1].i));
}

static int cmd_cfg_reset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx; /* holds for the process */
	return n == 1 ? code_of(cfg_select(*(const struct str *)a[0].p, 0)) : -1;
}

/* ---- flags ---- */

static uint32_t flag_bit(int64_t n)
{
	return n >= 0 && n <= 31 ? (uint32_t)1 << n : 0; /* the compiler refuses others */
}

static int cmd_setflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1)
		return -1;
	ctx->flags |= flag_bit(a[0].i);
	return 1;
}

static int cmd_resetflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	if (n != 1)
		return -1;
	ctx->flags &= ~flag_bit(a[0].i);
	return 1;
}

static int cmd_isflagset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return n == 1 && (ctx->flags & flag_bit(a[0].i)) ? 1 : -1;
}

/* ---- flags of attributes ---- */

/* "$avp(x)" or "x": the name as the variable knows it. */
static int avp_fixup(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	struct pv_spec *spec;
	struct str *name, whole = text;
	size_t len;
	int err;

	if (index != 0)
		return diag_set(reterr, 0, "not a name");
	if (!str_starts(text, STR_LIT("$")) && pool_printf(pool, &whole, "$avp(%.*s)", STR_FMT(text)) < 0)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	err = pv_parse(pool, whole, &spec, &len, reterr);
	if (err < 0)
		return err;
	if (len != whole.n || strcmp(spec->def->name, "avp") != 0 || spec->inner_fmt || spec->inner.n == 0)
		return diag_set(reterr, 0, "$avp(name) expected");
	name = pool_alloc(pool, sizeof(*name));
	if (!name)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	*name = spec->inner;
	*ret_p = name;
	return 0;
}

enum avp_flag_op { AVP_FLAG_TEST, AVP_FLAG_SET, AVP_FLAG_RESET };

/* All attributes of that name; whether one has the flag afterwards. */
static int avp_flag(struct ctx *ctx, const union script_arg *a, unsigned n, enum avp_flag_op op)
{
	uint32_t bit = n == 2 ? flag_bit(a[1].i) : 0;
	int rc = -1;

	for (struct avp *v = ctx->avps.head[AVP_PLAIN]; v && bit; v = v->next) {
		if (!str_eq(v->name, *(const struct str *)a[0].p))
			continue;
		if (op == AVP_FLAG_SET)
			v->flags |= bit;
		else if (op == AVP_FLAG_RESET)
			v->flags &= ~bit;
		if (op != AVP_FLAG_TEST)
			ctx->avps.dirty = true;
		if (v->flags & bit)
			rc = 1;
	}
	return rc;
}

static int cmd_setavpflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return avp_flag(ctx, a, n, AVP_FLAG_SET);
}

static int cmd_resetavpflag(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return avp_flag(ctx, a, n, AVP_FLAG_RESET);
}

static int cmd_isavpflagset(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	return avp_flag(ctx, a, n, AVP_FLAG_TEST);
}

/* ---- log ---- */

static int cmd_log(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct str line;
	int level = (int)a[0].i;

	if (log_on(level) && pool_printf(ctx->pool, &line, "<script>: %.*s", STR_FMT(a[n - 1].s)) == 0)
		log_text(level, -1, a, line);
	return 1;
}

static int cmd_error(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)ctx; /* its whole effect is a line of the log */
	log_error("<script>: error %.*s: %.*s", STR_FMT(a[0].s), STR_FMT(a[n - 1].s));
	return 1;
}

/* clang-format off */
#define NONE(name_, fn_, kinds_)  { .name = name_, .fn = fn_, .n_params = 0, .kinds = kinds_ }
#define STR1(name_, fn_)          { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_STR }, .kinds = ON_ROUTED }
#define INT1(name_, fn_)          { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_INT }, .kinds = ON_ROUTED }
#define FLAG(name_, fn_)          { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_INT }, .kinds = ON_ANY }
#define AVP_FLAG(name_, fn_) \
	{ .name = name_, .fn = fn_, .n_params = 2, .param = { SP_FIX, SP_INT }, .kinds = ON_ROUTED, .fixup = avp_fixup }
#define FORWARD(name_, fn_) \
	{ .name = name_, .fn = fn_, .n_params = 2, .param = { SP_STR, SP_INT }, .kinds = ON_ROUTED, .may_suspend = true }

static const struct script_func cmds[] = {
	STR1("rewriteuri", cmd_uri),
	NONE("revert_uri", cmd_revert, ON_ROUTED),
	STR1("rewritehost", cmd_host),
	STR1("rewritehostport", cmd_hostport),
	STR1("rewritehostporttrans", cmd_hostporttrans),
	STR1("rewriteport", cmd_port),
	STR1("rewriteuser", cmd_user),
	STR1("rewriteuserpass", cmd_userpass),
	STR1("prefix", cmd_prefix),
	INT1("strip", cmd_strip), INT1("strip_tail", cmd_strip_tail),
	NONE("userphone", cmd_userphone, ON_ROUTED),
	NONE("clear_branches", cmd_clear_branches, ON_ROUTED),
	NONE("remove_branch", cmd_remove_branch, ON_ROUTED), INT1("remove_branch", cmd_remove_branch),
	FORWARD("forward", cmd_forward), FORWARD("forward_udp", cmd_forward_udp), FORWARD("forward_tcp", cmd_forward_tcp),
	FORWARD("forward_tls", cmd_forward_tls),
	STR1("force_send_socket", cmd_force_send_socket),
	STR1("set_advertised_address", cmd_adv_address), INT1("set_advertised_port", cmd_adv_port),
	NONE("force_rport", cmd_force_rport, ON_ROUTED),
	NONE("add_local_rport", cmd_local_rport, ON_ROUTED),
	NONE("force_tcp_alias", cmd_tcp_alias, ON_ROUTED), INT1("force_tcp_alias", cmd_tcp_alias),
	NONE("set_forward_no_connect", cmd_fwd_no_connect, ON_ANY), NONE("set_reply_no_connect", cmd_rpl_no_connect, ON_ANY),
	NONE("set_forward_close", cmd_fwd_close, ON_ANY), NONE("set_reply_close", cmd_rpl_close, ON_ANY),
	FLAG("setflag", cmd_setflag), FLAG("resetflag", cmd_resetflag), FLAG("isflagset", cmd_isflagset),
	{ .name = "log", .fn = cmd_log, .n_params = 2, .param = { SP_INT, SP_STR }, .kinds = ON_ANY },
	INT1("udp_mtu_try_proto", cmd_mtu_proto),
	{ .name = "forward_sctp", .fn = cmd_forward, .n_params = 2, .param = { SP_FIX, SP_INT }, .kinds = ON_ROUTED, .fixup = no_sctp },
	{ .name = "cfg_select", .fn = cmd_cfg_select, .n_params = 2, .param = { SP_FIX, SP_DINT }, .kinds = ON_ROUTED, .fixup = group_fixup },
	{ .name = "cfg_reset", .fn = cmd_cfg_reset, .n_params = 1, .param = { SP_FIX }, .kinds = ON_ROUTED, .fixup = group_fixup },
	AVP_FLAG("setavpflag", cmd_setavpflag), AVP_FLAG("resetavpflag", cmd_resetavpflag), AVP_FLAG("isavpflagset", cmd_isavpflagset),
	{ .name = "exec", .fn = route_exec, .n_params = 1, .param = { SP_STR }, .kinds = ON_ROUTED, .may_suspend = true },
	{ .name = "error", .fn = cmd_error, .n_params = 2, .param = { SP_STR, SP_STR }, .kinds = ON_ROUTED },
	{ .name = NULL },
};
/* clang-format on */

int route_cmds_register(void)
{
	return script_funcs_register("core", cmds);
}
