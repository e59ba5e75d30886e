/* SPDX-License-Identifier: BSD-2-Clause */
/* Modules kex and xlog: (call -> code, what it leaves behind), statistics by RPC, and the very lines of the log. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/net/myself.h"
#include "core/rpc/rpc.h"
#include "tests/unit/modules/mod_test.h"

extern const struct module module_kex, module_xlog, module_pv;

static const char invite[] = "INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nFrom: <sip:alice@a>;tag=1\r\n"
			     "To: <sip:bob@b>\r\nCall-ID: x\r\nMax-Forwards: 70\r\nCSeq: 1 INVITE\r\n\r\n";

static void once(void)
{
	mod_once(&module_kex);
	settings_defaults(module_xlog.settings, module_xlog.conf);
	ck_assert_int_eq(pv_register(module_xlog.pvs), 0);
	ck_assert_int_eq(pv_register(module_pv.pvs), 0);
	ck_assert_int_eq(module_pv.load(), 0);
	ck_assert_int_eq(rpc_register(module_kex.rpcs), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_NONE, STR_LIT("here.test"), 5060), 0);
}

static void start(void)
{
	mod_slot();
	ctx_of(invite);
}

/* ---- kex ---- */

/* clang-format off */
static const struct kex_row {
	struct { const char *fn, *a[3]; int rc; } step[4];
	const char *text, *value; /* text with variables afterwards; NULL: not looked at */
} kex_rows[] = {
	{ { { "isbflagset", { "3" }, -1 }, { "setbflag", { "3" }, 1 }, { "isbflagset", { "3" }, 1 }, { "isbflagset", { "3", "0" }, 1 } }, "$bf", "8" },
	{ { { "setbflag", { "0" }, 1 }, { "resetbflag", { "0" }, 1 }, { "isbflagset", { "0" }, -1 } }, "$bf", "0" },
	{ { { "setbflag", { "32" }, -1 }, { "setbflag", { "-1" }, -1 }, { "setbflag", { "1", "1" }, -1 }, { "isbflagset", { "99" }, -1 } }, "$bf", "0" },
	{ { { "setsflag", { "31" }, 1 }, { "issflagset", { "31" }, 1 }, { "resetsflag", { "31" }, 1 }, { "issflagset", { "31" }, -1 } }, "$sf", "0" },
	{ { { "setsflag", { "32" }, -1 }, { "issflagset", { "32" }, -1 }, { "setsflag", { "2" }, 1 } }, "$sf", "4" },
	{ { { "isdsturiset", { NULL }, -1 }, { "setdsturi", { "sip:10.0.0.7" }, 1 }, { "isdsturiset", { NULL }, 1 } }, "$du", "sip:10.0.0.7" },
	{ { { "setdsturi", { "sip:x" }, 1 }, { "resetdsturi", { NULL }, 1 }, { "isdsturiset", { NULL }, -1 }, { "setdsturi", { "" }, -1 } }, NULL, NULL },
	{ { { "pv_printf", { "$avp(x)", "a b" }, 1 }, { "avp_printf", { "$avp(y)", "c" }, 1 } }, "$avp(x)/$avp(y)", "a b/c" },
	{ { { "is_myself", { "sip:here.test" }, 1 }, { "is_myself", { "sip:here.test:5061" }, -1 }, { "is_myself", { "sip:there.test" }, -1 },
	    { "is_myself", { "sip:::" }, -1 } }, NULL, NULL },
	{ { { "is_myhost", { "here.test" }, 1 }, { "is_myhost", { "sip:here.test:5061" }, 1 }, { "is_myhost", { "" }, -1 } }, NULL, NULL },
};
/* clang-format on */

START_TEST(kex)
{
	const struct kex_row *r = &kex_rows[_i];

	for (size_t i = 0; i < ARRAY_LEN(r->step) && r->step[i].fn; i++)
		ck_assert_msg(call(&module_kex, r->step[i].fn, r->step[i].a) == r->step[i].rc, "step %zu: %s(%s)", i, r->step[i].fn,
			      r->step[i].a[0] ? r->step[i].a[0] : "");
	if (r->text)
		ck_assert_msg(str_eq(eval(r->text), str_lit(r->value)), "%s is %.*s", r->text, STR_FMT(eval(r->text)));
}
END_TEST

START_TEST(level_of_this_process)
{
	log_level_set(L_ERR);
	ck_assert_int_eq(call(&module_kex, "setdebug", (const char *const[]){ "3", NULL }), 1);
	ck_assert_int_eq(log_level(), 3);
	ck_assert_int_eq(call(&module_kex, "setdebug", (const char *const[]){ "99", NULL }), -1);
	ck_assert_int_eq(log_level(), 3);
	ck_assert_int_eq(call(&module_kex, "resetdebug", (const char *const[]){ NULL }), 1);
}
END_TEST

/* Each one is another. */
START_TEST(sruid)
{
	ck_assert(str_starts(eval("$sruid"), STR_LIT("srid-")));
	ck_assert(!str_eq(eval("$sruid"), eval("$sruid")));
}
END_TEST

/* clang-format off */
static const struct { const char *method, *params, *has; } stats[] = {
	{ "stats.get_statistics", "\"shmem:\"",            "\"shmem:total_size = 67108864\"" },
	{ "stats.get_statistics", "\"total_size\"",        "\"shmem:total_size = 67108864\"" },
	{ "stats.get_statistics", "\"all\"",               "\"shmem:fragments = " },
	{ "stats.fetch",          "\"shmem.total_size\"",  "\"shmem.total_size\":\"67108864\"" },
	{ "stats.fetchn",         "\"shmem:\"",            "\"shmem.total_size\":67108864" },
	{ "stats.fetchn",         "\"nothing\"",           "\"result\":{}" },
	{ "stats.clear_statistics", "\"total_size\"",      "\"shmem:total_size = 67108864\"" },
	{ "stats.get_statistics", "",                      "Please provide which stats to retrieve" },
};
/* clang-format on */

START_TEST(statistics)
{
	struct strbuf reply;
	struct rpc_out out = { .reply = &reply };
	char request[256], answer[65536];

	snprintf(request, sizeof(request), "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":[%s],\"id\":1}", stats[_i].method, stats[_i].params);
	strbuf_init_pool(&reply, ctx->pool, sizeof(answer) - 1);
	ck_assert_int_eq(rpc_json_run(str_lit(request), false, &out), 0);
	ck_assert_int_eq(strbuf_err(&reply), 0);
	snprintf(answer, sizeof(answer), "%.*s", STR_FMT(strbuf_str(&reply)));
	ck_assert_msg(strstr(answer, stats[_i].has) != NULL, "%s", answer);
}
END_TEST

/* ---- xlog ---- */

/* clang-format off */
static const struct xlog_row { int debug; const char *fn, *a[4]; const char *line; } xlog_rows[] = {
	{ L_ERR,  "xlog", { "call of $fU" },                        "ERROR: <script>: call of alice" },
	{ L_WARN, "xlog", { "L_WARN", "to $rU\n" },                 "WARNING: <script>: to bob\n" },
	{ L_ERR,  "xlog", { "L_WARN", "not now" },                  NULL },
	{ L_DBG,  "xlog", { "LOG_LOCAL3", "L_INFO", "x" },          "INFO: <script>: x" },
	{ L_DBG,  "xlog", { "3", "d" },                             "DEBUG: <script>: d" },
	{ L_DBG,  "xdbg", { "d" },                                  "DEBUG: <script>: d" },
	{ L_INFO, "xdbg", { "d" },                                  NULL },
	{ L_ERR,  "xalert", { "a" },                                "ALERT: <script>: a" },
	{ L_ERR,  "xcrit", { "c" },                                 "CRITICAL: <script>: c" },
	{ L_ERR,  "xlogm", { "L_ERR", "m" },                        "ERROR: <script>: m" },
	{ L_ERR,  "xlog", { "two\nlines" },                         "ERROR: <script>: two\n| lines" },
};
/* clang-format on */

START_TEST(xlog)
{
	const struct xlog_row *r = &xlog_rows[_i];
	char line[1024] = "";
	int fds[2], old = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_ge(old, 0);
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	log_open(&(struct log_opts){ .to_stderr = true });
	log_level_set(r->debug);
	ck_assert_int_eq(call(&module_xlog, r->fn, r->a), 1);
	ck_assert_int_ge(dup2(old, STDERR_FILENO), 0);
	n = read(fds[0], line, sizeof(line) - 1);
	if (!r->line)
		ck_assert_msg(n <= 0, "%s", line);
	else
		ck_assert_msg(n > 0 && strstr(line, r->line) != NULL, "'%s'", line);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(old);
}
END_TEST

START_TEST(refused_at_load)
{
	static const char *const levels[] = { "", "L", "L_", "L_XXX", "$avp(a)b", "-6", "11" };
	struct diag d = { 0 };
	void *p;

	for (const struct script_func *f = module_xlog.funcs; f->name; f++) {
		if (strcmp(f->name, "xlog") != 0 || f->n_params < 2)
			continue;
		for (size_t i = 0; f->n_params == 2 && i < ARRAY_LEN(levels); i++)
			ck_assert_msg(f->fixup(ctx->pool, 0, str_lit(levels[i]), &p, &d) < 0, "level '%s'", levels[i]);
		if (f->n_params == 3)
			ck_assert_int_lt(f->fixup(ctx->pool, 0, STR_LIT("LOG_NONE"), &p, &d), 0);
	}
	ck_assert_str_ne(d.text, "");
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("modules kex and xlog");
	TCase *tc = tcase_create("kex");

	tcase_add_unchecked_fixture(tc, once, NULL);
	tcase_add_checked_fixture(tc, start, mod_done);
	tcase_add_loop_test(tc, kex, 0, (int)ARRAY_LEN(kex_rows));
	tcase_add_test(tc, level_of_this_process);
	tcase_add_test(tc, sruid);
	tcase_add_loop_test(tc, statistics, 0, (int)ARRAY_LEN(stats));
	tcase_add_loop_test(tc, xlog, 0, (int)ARRAY_LEN(xlog_rows));
	tcase_add_test(tc, refused_at_load);
	suite_add_tcase(s, tc);
	return s;
}
