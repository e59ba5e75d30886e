/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixture: see script_test.h. Functions that wait do so for one turn of a real loop. */
#include "tests/unit/script/script_test.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/event/loop.h"
#include "tests/lib/test_var.h"

struct st_run st;

static struct loop *loop;
static struct ctx *running;

void st_say(const char *fmt, ...)
{
	size_t n = strlen(st.trace);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st.trace + n, sizeof(st.trace) - n, fmt, ap);
	va_end(ap);
}

/* ---- variables ---- */

/* $undef: always null. $si5: a text with an integer side. $strict: takes texts only. $sel(x): "<x>". */
static int other_get(struct ctx *c, const struct pv_spec *spec, struct value *ret)
{
	struct str s;

	switch (spec->def->arg) {
	case 0:
		*ret = value_null();
		return 0;
	case 1:
		*ret = value_str_int(STR_LIT("five"), 5);
		return 0;
	case 2:
		return -EIO;
	default:
		if (pool_printf(c->pool, &s, "<%.*s>", STR_FMT(spec->inner)) < 0)
			return -ENOMEM;
		*ret = value_str(s);
		return 0;
	}
}

static int strict_set(struct ctx *c, const struct pv_spec *spec, const struct value *v)
{
	(void)c;
	(void)spec;
	if (v->kind != VALUE_STR)
		return -EINVAL;
	st_say("strict=%.*s;", STR_FMT(v->s));
	return 0;
}

static const struct pv_def pvs[] = {
	{ .name = "var", .get = var_get, .set = var_set, .prepare = var_prepare, .flags = PV_INNER },
	{ .name = "undef", .get = other_get, .arg = 0 },
	{ .name = "si5", .get = other_get, .arg = 1 },
	{ .name = "broken", .get = other_get, .arg = 2 },
	{ .name = "strict", .get = other_get, .set = strict_set, .arg = 0 },
	{ .name = "avp", .get = other_get, .set = strict_set, .flags = PV_INNER | PV_INDEX, .arg = 3 },
	{ .name = "sel", .get = other_get, .flags = PV_INNER, .arg = 3 },
	{ .name = NULL },
};

/* ---- functions ---- */

static int f_yes(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)args, (void)n;
	st_say("ok;");
	return 1;
}
static int f_no(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)args, (void)n;
	st_say("nok;");
	return -1;
}
static int f_end(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)args, (void)n;
	st_say("end;");
	return 0;
}
static int f_ret(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)n;
	return (int)args[0].i;
}
static int f_say(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)n;
	st_say("%.*s;", STR_FMT(args[0].s));
	return 1;
}
static int f_say2(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)n;
	st_say("%.*s,%lld;", STR_FMT(args[0].s), (long long)args[1].i);
	return 1;
}

struct later {
	uint64_t ticket;
	int rc;
};

static void later_done(void *arg)
{
	struct later *l = arg;

	ctx_wake(l->ticket, l->rc);
	free(l);
}

static int park(struct ctx *ctx, int rc)
{
	struct later *l = malloc(sizeof(*l));

	ck_assert_ptr_nonnull(l);
	l->ticket = ctx_park(ctx, 5000, -99);
	l->rc = rc;
	ck_assert_int_eq(loop_defer(loop, later_done, l), 0);
	return SCRIPT_SUSPEND;
}

static int f_later(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	st_say("later;");
	return park(ctx, (int)args[0].i);
}

static int after_route(struct ctx *ctx, int rc, void *arg)
{
	st_say("back=%d%s kind=%d;", rc, ctx->mflags & CTX_F_DROP ? " dropped" : "", (int)ctx->kind);
	return arg ? park(ctx, rc == 0 ? 7 : rc) : rc == 0 ? 7 : rc;
}

/* Runs a branch_route, as t_relay() does; "slow": waits afterwards too. */
static int f_branch(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return script_call_route(ctx, CTX_BRANCH, args[0].s, after_route, NULL);
}
static int f_branch_slow(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return script_call_route(ctx, CTX_BRANCH, args[0].s, after_route, ctx);
}
static int f_set(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct value v = value_str(args[1].s);

	(void)n;
	return pv_set(ctx, args[0].pv, &v) < 0 ? -1 : 1;
}
static int f_core_flag(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	ctx->flags |= 1u << args[0].i;
	st_say("flag%lld;", (long long)args[0].i);
	return 1;
}
static int f_core_dest(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)n;
	st_say("[%.*s]:%lld;", STR_FMT(args[0].s), (long long)args[1].i);
	return 1;
}
static int f_core_log(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)n;
	st_say("log%lld %.*s;", (long long)args[0].i, STR_FMT(args[1].s));
	return 1;
}

static const struct script_func funcs[] = {
	{ .name = "ok", .fn = f_yes, .kinds = CTX_ANY },
	{ .name = "nok", .fn = f_no, .kinds = CTX_ANY },
	{ .name = "end", .fn = f_end, .kinds = CTX_ANY },
	{ .name = "ret", .fn = f_ret, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY },
	{ .name = "say", .fn = f_say, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "say", .fn = f_say2, .n_params = 2, .param = { SP_DSTR, SP_DINT }, .kinds = CTX_ANY },
	{ .name = "fixed", .fn = f_say2, .n_params = 2, .param = { SP_STR, SP_INT }, .kinds = CTX_ANY },
	{ .name = "later", .fn = f_later, .n_params = 1, .param = { SP_DINT }, .kinds = CTX_ANY, .may_suspend = true },
	{ .name = "branch", .fn = f_branch, .n_params = 1, .param = { SP_ROUTE }, .kinds = CTX_REQUEST, .route_kind = CTX_BRANCH, .may_suspend = true },
	{ .name = "branch_slow", .fn = f_branch_slow, .n_params = 1, .param = { SP_ROUTE }, .kinds = CTX_ANY, .route_kind = CTX_BRANCH, .may_suspend = true },
	{ .name = "set", .fn = f_set, .n_params = 2, .param = { SP_WPV, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "only_reply", .fn = f_yes, .kinds = CTX_ONREPLY },
	{ .name = NULL },
};

static const struct script_func core_funcs[] = {
	{ .name = "setflag", .fn = f_core_flag, .n_params = 1, .param = { SP_INT }, .kinds = CTX_ANY },
	{ .name = "forward", .fn = f_core_dest, .n_params = 2, .param = { SP_STR, SP_INT }, .kinds = CTX_ANY },
	{ .name = "log", .fn = f_core_log, .n_params = 2, .param = { SP_INT, SP_STR }, .kinds = CTX_ANY },
	{ .name = "force_rport", .fn = f_yes, .kinds = CTX_ANY },
	{ .name = "prefix", .fn = f_say, .n_params = 1, .param = { SP_STR }, .kinds = CTX_ANY },
	{ .name = "strip", .fn = f_ret, .n_params = 1, .param = { SP_INT }, .kinds = CTX_ANY },
	{ .name = NULL },
};

/* ---- host ---- */

static int h_load_module(struct str name, struct str opts, struct diag *reterr)
{
	if (str_eq(name, STR_LIT("nope.so")))
		return diag_err(reterr, -ENOENT, 0, "no module nope.so");
	if (str_starts(name, STR_LIT("missing/")))
		return diag_unknown(reterr, DIAG_MODULE, 0, STR_LIT("dispatcher"), NULL, "module dispatcher not found");
	st_say("load %.*s %.*s;", STR_FMT(name), STR_FMT(opts));
	return 0;
}
static int h_load_path(struct str path, struct diag *reterr)
{
	(void)reterr;
	st_say("path %.*s;", STR_FMT(path));
	return 0;
}
static int h_modparam(struct str mods, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	if (str_eq(mods, STR_LIT("dispatcher")) || str_eq(mods, STR_LIT("mi_fifo")))
		return diag_unknown(reterr, DIAG_MODULE, 0, mods, NULL, "no such module is loaded");
	if (str_eq(name, STR_LIT("wrong")))
		return diag_set(reterr, 0, "no parameter 'wrong'");
	if (is_int)
		st_say("modparam %.*s %.*s %lld;", STR_FMT(mods), STR_FMT(name), (long long)i);
	else
		st_say("modparam %.*s %.*s \"%.*s\";", STR_FMT(mods), STR_FMT(name), STR_FMT(s));
	return 0;
}
static int h_param(struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	if (str_eq(name, STR_LIT("debgu")))
		return diag_unknown(reterr, DIAG_PARAMETER, 0, name, "debug", "unknown parameter 'debgu'");
	if (str_starts(name, STR_LIT("use_dst_black")))
		return diag_unknown(reterr, DIAG_PARAMETER, 0, name, NULL, "unknown parameter");
	if (is_int)
		st_say("%.*s=%lld;", STR_FMT(name), (long long)i);
	else
		st_say("%.*s=\"%.*s\";", STR_FMT(name), STR_FMT(s));
	return 0;
}
static int h_listen(const struct net_listen_spec *spec, struct diag *reterr)
{
	(void)reterr;
	st_say("listen %s %.*s %u", spec->proto ? sip_proto_name(spec->proto) : "any", STR_FMT(spec->host), spec->port);
	if (spec->adv_host.n)
		st_say(" adv %.*s %u", STR_FMT(spec->adv_host), spec->adv_port);
	if (spec->name.n)
		st_say(" name %.*s", STR_FMT(spec->name));
	st_say("%s;", spec->is_virtual ? " virtual" : "");
	return 0;
}
static int h_alias(enum sip_proto proto, struct str host, uint16_t port, struct diag *reterr)
{
	(void)reterr;
	st_say("alias %s %.*s %u;", proto ? sip_proto_name(proto) : "any", STR_FMT(host), port);
	return 0;
}
static int h_custom(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc, struct diag *reterr)
{
	(void)reterr;
	st_say("%.*s[%d].%.*s=", STR_FMT(group), id, STR_FMT(name));
	if (is_int)
		st_say("%lld", (long long)i);
	else
		st_say("\"%.*s\"", STR_FMT(s));
	st_say("(%.*s);", STR_FMT(desc));
	return 0;
}

static const struct script_host host = { h_load_module, h_load_path, h_modparam, h_param, h_listen, h_alias, h_custom };

/* ---- runs ---- */

void st_init(void)
{
	static bool once;
	struct vm_conf conf = { .max_while_loops = 100, .max_recursive_level = 256 };

	if (!once) {
		once = true;
		log_level_set(L_ALERT);
		ck_assert_int_eq(pv_core_register(), 0);
		ck_assert_int_eq(pv_register(pvs), 0);
		ck_assert_int_eq(script_funcs_register("core", core_funcs), 0);
		ck_assert_int_eq(script_funcs_register("test", funcs), 0);
	}
	vm_configure(&conf);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(ctx_pool_init(64), 0);
}

void st_done(void)
{
	st_unload();
	ck_assert_uint_eq(ctx_in_use(), 0);
	ck_assert_int_eq(ctx_pool_init(64), 0); /* gives back what idles */
	loop_free(loop);
}

const struct script_host *st_host(void)
{
	return &host;
}

int st_load_opts(const char *text, const struct script_opts *more)
{
	char path[] = "/tmp/rf-script-XXXXXX";
	struct script_opts opts = more ? *more : (struct script_opts){ 0 };
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	st_unload();
	st.trace[0] = '\0';
	opts.path = path;
	opts.host = &host;
	st.load_err = script_load(&opts, &st.script, &st.errs);
	unlink(path);
	return st.load_err;
}

int st_load(const char *text)
{
	return st_load_opts(text, NULL);
}

void st_unload(void)
{
	script_free(st.script);
	script_errs_free(st.errs);
	st.script = NULL;
	st.errs = NULL;
}

const char *st_error(void)
{
	static char text[600];
	const struct script_err *e;

	text[0] = '\0';
	for (e = st.errs; e; e = e->next) {
		if (e->level == SCRIPT_ERROR) {
			snprintf(text, sizeof(text), "%u:%u: %.*s", e->line, e->column, STR_FMT(e->text));
			break;
		}
	}
	return text;
}

static void resumed(struct ctx *ctx, int rc)
{
	st.parks++;
	if (vm_resume(ctx, rc, &st.rc) == VM_DONE) {
		st.finished = true;
		loop_stop(loop);
	}
}

static void too_long(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

int st_run_route(enum ctx_kind kind, const char *name)
{
	static const char bytes[] = "INVITE sip:bob@example.com;transport=tcp SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKx\r\n"
				    "From: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n"
				    "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
	struct rx_info rx = { .proto = SIP_PROTO_UDP };
	int route = script_route_find(st.script, kind, str_lit(name ? name : ""));
	struct loop_timer *timer;

	ck_assert_int_ge(route, 0);
	ck_assert_int_eq(net_addr_parse(STR_LIT("10.0.0.9"), 5070, &rx.src), 0);
	ck_assert_int_eq(net_addr_parse(STR_LIT("192.0.2.1"), 5060, &rx.dst), 0);
	running = ctx_from_bytes(STR_LIT(bytes), &rx);
	ck_assert_ptr_nonnull(running);
	running->resume = resumed;
	st.finished = false;
	st.parks = 0;
	if (vm_run(running, st.script, route, kind, &st.rc) == VM_DONE) {
		st.finished = true;
	} else {
		ck_assert_int_eq(loop_timer_add(loop, 5000, 0, too_long, NULL, &timer), 0);
		loop_run(loop);
		loop_timer_del(timer);
	}
	ck_assert(st.finished);
	ck_assert_ptr_null(running->vm);
	st.dropped = running->mflags & CTX_F_DROP;
	ctx_free(running);
	return st.rc;
}

const char *st_body(const char *body)
{
	char text[8192];

	snprintf(text, sizeof(text), "request_route {\n%s\n}\n", body);
	if (st_load(text) < 0)
		ck_abort_msg("%s: %s", body, st_error());
	st_run_route(CTX_REQUEST, NULL);
	return st.trace;
}
