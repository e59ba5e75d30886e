/* SPDX-License-Identifier: BSD-2-Clause */
/* core/script/vm.c with the compiler before it: what expressions, statements and routes mean, and runs that stop anywhere. */
#include "tests/unit/script/script_test.h"

/* ---- expressions: text of $var(r) after `$var(r) = EXPR;` ---- */

static const struct expr_vector {
	const char *expr, *result;
} exprs[] = {
	/* precedence */
	{ "1 + 2 * 3", "7" }, { "(1 + 2) * 3", "9" }, { "10 - 4 - 3", "3" }, { "20 / 5 / 2", "2" }, { "7 mod 4", "3" },
	{ "1 << 3 == 8", "1" }, /* == binds tighter */
	{ "1 | 2 == 2", "1" }, { "6 & 3", "2" }, { "6 ^ 3", "5" }, { "~0", "-1" }, { "- 5 + 2", "-3" }, { "!0", "1" }, { "!5", "0" },
	{ "not 0", "1" }, { "1 < 2 == 1", "1" }, { "2 > 1", "1" }, { "3 <= 3", "1" }, { "4 >= 5", "0" }, { "1 or 0 and 0", "1" },
	{ "0x1F", "31" }, { "010", "8" }, { "101b", "5" }, { "yes", "1" }, { "off", "0" }, { "256 >> 4", "16" },
	/* texts */
	{ "\"a\" + \"b\"", "ab" }, { "\"a\" \"b\"", "ab" }, { "'a\\n'", "a\\n" }, { "\"n\" + 5", "n5" }, { "$var(s) + 1", "text1" },
	{ "$var(i) + \"2\"", "44" }, { "$var(i) + 2", "44" }, { "\"x\" + $undef", "x" }, { "$undef + \"x\"", "x" },
	{ "strlen(\"abc\")", "3" }, { "strlen($undef)", "0" }, { "strempty($undef)", "1" }, { "strempty($var(s))", "0" },
	{ "(str)$var(i) + \"1\"", "421" }, { "(int)\"12\" + 1", "13" }, { "\"tab\\x41\\101\\1\"", "tabAA\\1" },
	/* comparisons */
	{ "$var(s) == \"text\"", "1" }, { "$var(s) == \"TEXT\"", "0" }, { "$var(s) != \"text\"", "0" }, { "$var(i) == 42", "1" },
	{ "$var(i) == \"42\"", "1" }, { "$var(n) == 42", "1" }, { "$var(n) eq \"42\"", "1" }, { "$var(n) ieq 42", "1" },
	{ "$var(i) ine 41", "1" }, { "$var(s) ne \"x\"", "1" }, { "$si5 == \"five\"", "1" }, { "$si5 == 5", "0" }, { "$si5 - 1", "4" },
	{ "$var(s) =~ \"^TE\"", "1" }, { "$var(s) =~ \"^x\"", "0" }, { "$var(s) =~ $var(s)", "1" }, { "$undef =~ \"^$\"", "1" },
	/* undefined */
	{ "$undef == \"\"", "1" }, { "$undef == 0", "1" }, { "$undef == $undef", "1" }, { "$undef == 1", "0" }, { "$undef + 0", "0" },
	{ "$undef == $null", "1" }, { "$var(s) == $null", "0" }, { "$var(s) != $null", "1" }, { "$null == $var(z)", "1" },
	{ "$broken == $null", "1" }, { "defined $undef", "0" }, { "defined $var(s)", "1" }, { "not defined $undef", "1" },
	{ "defined ($undef + 1)", "1" }, { "$undef ieq 0", "1" },
	/* truth */
	{ "-1 && 1", "1" }, { "0 || -5", "1" }, { "0 && end()", "0" }, { "1 || end()", "1" }, { "\"\" == $undef", "1" },
	/* functions: 1 or 0 inside an expression, the raw code alone */
	{ "ret(5)", "5" }, { "ret(-3)", "-3" }, { "ret(5) + 0", "1" }, { "ret(-3) + 0", "0" }, { "!nok()", "1" }, { "ok() && nok()", "0" },
	{ "nok() || ok()", "1" },
	{ "selval(1, \"a\", \"b\")", "a" }, { "selval(-1, \"a\", \"b\")", "b" }, { "\"x\" + selval($var(i) > 40, 1, 2)", "x1" },
	{ "($var(q) = 5) + 1", "2" }, { "@via.branch", "<via.branch>" }, { "{ ret(4); } + 1", "2" },
	/* conditions */
	{ "method == \"invite\"", "1" }, { "method == INVITE", "1" }, { "method == \"INVITE|ACK\"", "0" }, { "method =~ \"^(ACK|INVITE)$\"", "1" },
	{ "!method == \"ACK\"", "1" }, { "method != \"ACK\"", "1" }, { "uri == \"sip:bob@example.com;transport=tcp\"", "1" },
	{ "uri =~ \"bob\"", "1" }, { "from_uri == \"sip:alice@example.org\"", "1" }, { "to_uri =~ \"@example.com$\"", "1" },
	{ "src_ip == 10.0.0.9", "1" }, { "src_ip == 10.0.0.0/8", "1" }, { "src_ip == 10.0.0.0/255.255.255.0", "1" }, { "src_ip != 10.1.0.0/16", "1" },
	{ "src_ip == \"10.0.0.0/8\"", "1" }, { "src_ip == $var(ip)", "1" }, { "src_ip =~ \"^10\\.0\"", "1" }, { "src_ip == [::1]", "0" },
	{ "dst_ip == 192.0.2.1", "1" }, { "src_port == 5070", "1" }, { "src_port > 5000", "1" }, { "dst_port == 5060", "1" },
	{ "proto == UDP", "1" }, { "proto == tcp", "0" }, { "proto != 2", "1" }, { "af == INET", "1" }, { "af == INET6", "0" },
	{ "msg:len > 100", "1" }, { "msg:len < 100", "0" }, { "uri == myself", "0" }, { "uri != myself", "1" }, { "myself == uri", "0" },
	{ "method == $undef", "0" }, { "method != $undef", "1" }, { "snd_port == 1", "-1" }, { "snd_port != 1", "1" },
	{ "src_ip == myself", "0" }, { "proto == UDP && method == INVITE", "1" }, { "method == INVITE || end()", "1" },
};

START_TEST(expressions)
{
	char body[512];
	const char *got;

	snprintf(body, sizeof(body),
		 "$var(s) = \"text\"; $var(i) = 42; $var(n) = \"42\"; $var(ip) = \"10.0.0.0/8\"; $var(r) = \"unset\";\n"
		 "$var(r) = %s;\nsay(\"R=$var(r)\");", exprs[_i].expr);
	got = strstr(st_body(body), "R=");
	ck_assert_ptr_nonnull(got);
	snprintf(body, sizeof(body), "R=%s;", exprs[_i].result);
	ck_assert_msg(strcmp(got, body) == 0, "%s: %s instead of %s", exprs[_i].expr, got, body);
}
END_TEST

/* ---- statements: the trace of a body, and the code of the block ---- */

static const struct stmt_vector {
	const char *body, *trace;
	int rc;
} stmts[] = {
	{ "if (ok()) say(\"a\"); else say(\"b\");", "ok;a;", 1 },
	{ "if (nok()) { say(\"a\"); } else if (ok()) { say(\"b\"); } else { say(\"c\"); }", "nok;ok;b;", 1 },
	{ "if (nok()) say(\"a\");", "nok;", 1 },
	{ "if ok() say(\"bare\");", "ok;bare;", 1 },
	{ "$var(x) = -1; if ($var(x)) say(\"a\"); else say(\"b\");", "b;", 1 },
	{ "$var(x) = -1; if ($var(x) && 1) say(\"a\"); else say(\"b\");", "a;", 1 },
	{ "nok();", "nok;", -1 },
	{ "$var(x) = 1;", "", 1 },
	{ "$strict = 5; say(\"$rc\");", "0;", 1 },
	{ "$strict = 5;", "", -1 },
	{ "$strict = \"t\";", "strict=t;", 1 },
	{ "ret(7); say(\"$rc $retcode $?\");", "7 7 7;", 1 },
	{ "nok(); force_rport(); $var(x) = 1; if ($rc == -1) say(\"kept\");", "nok;ok;kept;", 1 },
	{ "end(); say(\"never\");", "end;", 0 },
	{ "return 5; say(\"never\");", "", 5 },
	{ "return; say(\"never\");", "", 1 },
	{ "return();", "", 1 },
	{ "return (1) + 1;", "", 2 },
	{ "return -1;", "", -1 },
	{ "exit; say(\"never\");", "", 1 },
	{ "exit 3;", "", 3 },
	{ "drop; say(\"never\");", "", 0 },
	{ "return ret(5);", "", 1 },
	{ "return ret(-5);", "", 0 },
	{ "break; say(\"never\");", "", 0 },
	/* while */
	{ "while ($var(i) < 3) { say(\"$var(i)\"); $var(i) = $var(i) + 1; }", "0;1;2;", 1 },
	{ "while (1) { $var(i) = $var(i) + 1; } say(\"$var(i)\");", "100;", 1 },
	{ "while (1) { if ($var(i) == 2) break; $var(i) = $var(i) + 1; } say(\"$var(i)\");", "2;", 1 },
	{ "while ($var(i) < 2) { $var(j) = 0; while ($var(j) < 2) { say(\"$var(i)$var(j)\"); $var(j) = $var(j) + 1; } $var(i) = $var(i) + 1; }",
	  "00;01;10;11;", 1 },
	{ "while (1) { while (1) { return 4; } }", "", 4 },
	/* switch */
	{ "switch (2) { case 1: say(\"1\"); case 2: say(\"2\"); case 3: say(\"3\"); break; case 4: say(\"4\"); }", "2;3;", 0 },
	{ "switch (9) { case 1: say(\"1\"); break; default: say(\"d\"); case 2: say(\"2\"); } say(\"end\");", "d;2;end;", 1 },
	{ "switch (9) { case 1: say(\"1\"); } say(\"end\");", "end;", 1 },
	{ "switch (\"abc\") { case \"ab\": say(\"1\"); break; case /\"^ab\": say(\"2\"); break; default: say(\"3\"); }", "2;", 0 },
	{ "switch (\"ABC\") { case /\"^ab\": say(\"2\"); break; default: say(\"3\"); }", "3;", 1 },
	{ "switch (\"x\") { case 1: say(\"1\"); break; default: say(\"d\"); }", "d;", 1 },
	{ "switch ($var(i)) { case -1: say(\"m\"); break; case 1 - 1: say(\"z\"); break; }", "z;", 0 },
	{ "switch ($var(i)) { default: say(\"only\"); }", "only;", 1 },
	{ "while (1) { switch (1) { case 1: break; } say(\"after\"); break; }", "after;", 0 },
	/* failing expressions */
	{ "$var(t) = \"x\"; if ($var(t) + 0 == \"x0\") say(\"cat\");", "cat;", 1 },
	{ "$var(t) = \"x\"; if ($var(t) > 1) say(\"a\"); else say(\"b\");", "b;", 1 },
	{ "$var(t) = \"x\"; if (!($var(t) > 1)) say(\"a\"); else say(\"b\");", "b;", 1 },
	{ "$var(t) = \"x\"; $var(u) = 5; $var(u) = $var(t) - 1; say(\"$var(u)\");", "5;", 1 },
	{ "$var(t) = \"x\"; $var(u) = $var(t) - 1;", "", -1 },
	{ "$var(u) = 1 / $var(z); say(\"$var(u)\");", "0;", 1 },
	{ "$var(t) = \"x\"; while ($var(t) > 1) say(\"a\"); say(\"out\");", "out;", 1 },
	{ "$var(t) = \"x\"; switch ($var(t) - 1) { case 0: say(\"0\"); break; default: say(\"d\"); }", "d;", 1 },
	{ "$var(t) = \"x\"; return $var(t) - 1;", "", 0 },
	{ "$var(t) = \"x\"; say(\"a\", $var(t) - 1); say(\"b\");", "b;", 1 },
	{ "$var(t) = \"(\"; if (\"x\" =~ $var(t)) say(\"a\"); else say(\"b\");", "b;", 1 },
	{ "say(\"a\", \"$var(t)\"); say(\"b\", $var(z)); say(\"c\", \"7\");", "a,0;b,0;c,7;", 1 },
	/* arguments */
	{ "$var(x) = \"v\"; say($var(x)); say(\"<$var(x)>\"); say(\"a\" + $var(x)); say(5); say(\"$$5\");", "v;<v>;av;5;$5;", 1 },
	{ "$var(x) = \"$\"; $var(x) = $var(x) + \"var(y)\"; say($var(x));", "$var(y);", 1 },
	{ "fixed(\"$var(x)\", \"0x10\"); set(\"$var(x)\", \"new\"); say(\"$var(x)\");", "$var(x),16;new;", 1 },
	/* core commands */
	{ "setflag(5); setflag(\"7\"); ", NULL, 0 },
	{ "force_rport; force_rport();", "ok;ok;", 1 },
	{ "forward(); forward; forward(uri:host, uri:port); forward(uri:host, 5); forward(10.0.0.1, 5070); forward(\"a.b\"); forward(sip.a-b.c, 1);",
	  "[]:0;[]:0;[]:0;[]:5;[10.0.0.1]:5070;[a.b]:0;[sip.a-b.c]:1;", 1 },
	{ "log(\"x\"); log(-1, \"y\"); prefix(\"1\");", "log4 x;log-1 y;1;", 1 },
	{ "if (strip(2)) say(\"ok\");", "ok;", 1 },
	/* an end inside an expression comes when the expression is over, and another call forgets it */
	{ "if (end()) say(\"a\"); say(\"b\");", "end;", 0 },
	{ "if (end() || ok()) say(\"a\"); say(\"b\");", "end;ok;a;b;", 1 },
	{ "$var(x) = end(); say(\"b\");", "end;", 0 },
};

START_TEST(statements)
{
	const struct stmt_vector *v = &stmts[_i];
	char text[1024];

	if (!v->trace) { /* must not load */
		snprintf(text, sizeof(text), "request_route {\n%s\n}\n", v->body);
		ck_assert_int_eq(st_load(text), -EBADMSG);
		return;
	}
	ck_assert_msg(strcmp(st_body(v->body), v->trace) == 0, "%s: %s", v->body, st.trace);
	ck_assert_msg(st.rc == v->rc, "%s: code %d", v->body, st.rc);
}
END_TEST

/* ---- routes ---- */

static const struct route_vector {
	const char *text, *trace;
	int rc;
	bool dropped;
} routes[] = {
	{ "request_route { route(A); say(\"$rc\"); } route[A] { say(\"A\"); return 3; }", "A;3;", 1, false },
	{ "request_route { $var(t) = \"abc\"; $var(r) = 5; $var(r) = ret($var(t)); say(\"$rc $var(r)\"); }", "0 5;", 1, false },
	{ "request_route { route(7); $var(x) = 7; route($var(x)); $var(x) = \"7up\"; route($var(x)); } route[7] { say(\"7\"); } route[7up] { say(\"up\"); }", "7;7;up;", 1, false },
	{ "request_route { route(A); say(\"$rc\"); } route[A] { nok(); }", "nok;-1;", 1, false },
	{ "request_route { route(A); say(\"no\"); } route[A] { return 0; }", "", 0, false },
	{ "request_route { route(A); say(\"$rc\"); } route[A] { break; }", "0;", 1, false },
	{ "request_route { route(A); say(\"no\"); } route[A] { route(B); say(\"no\"); } route[B] { exit; }", "", 1, false },
	{ "request_route { route(A); say(\"no\"); } route[A] { drop; }", "", 0, true },
	{ "request_route { if (route(A)) say(\"t\"); else say(\"$rc\"); } route[A] { return -1; }", "-1;", 1, false },
	{ "request_route { if (route(A)) say(\"t\"); say(\"no\"); } route[A] { exit; }", "", 1, false },
	{ "request_route { if (route(A) || ok()) say(\"t\"); say(\"on\"); } route[A] { exit -1; }", "ok;t;on;", 1, false },
	{ "request_route { $var(x) = route(A); say(\"$var(x)\"); } route[A] { return -4; }", "-4;", 1, false },
	{ "request_route { $var(n) = \"A\"; route($var(n)); route(\"A\" + 1); route(\"nil\" + $var(n)); say(\"$rc\"); } route[A] { say(\"A\"); } route[A1] { say(\"A1\"); }",
	  "A;A1;-1;", 1, false },
	{ "request_route { route(A); } route[A] { $var(d) = $var(d) + 1; route(A); }", "", -1, false },
	{ "request_route { say(\"1\"); } route { say(\"2\"); }", "1;2;", 1, false },
	{ "route[0] { route(2); } route[2] { say(\"two\"); }", "two;", 1, false },
	{ "request_route { branch(\"B\"); say(\"$rc\"); } branch_route[B] { say(\"b\"); }", "b;back=1 kind=1;1;", 1, false },
	{ "request_route { branch(\"B\"); say(\"$rc\"); } branch_route[B] { drop; }", "back=0 dropped kind=1;7;", 1, false },
	{ "request_route { if (branch(\"B\")) say(\"in $rc\"); } branch_route[B] { route(C); say(\"no\"); } route[C] { exit 4; }",
	  "back=4 kind=1;in 4;", 1, false },
	{ "request_route { $var(n) = \"nope\"; branch($var(n)); say(\"$rc\"); }", "-2;", 1, false },
	{ "request_route { branch_slow(\"B\"); say(\"$rc\"); } branch_route[B] { later(2); say(\"b\"); branch_slow(\"C\"); } branch_route[C] { later(3); return 5; }",
	  "later;b;later;back=5 kind=16;back=5 kind=1;5;", 1, false },
	/* waiting inside expressions */
	{ "request_route { later(3); say(\"$rc\"); }", "later;3;", 1, false },
	{ "request_route { if (later(1) && later(-1)) say(\"a\"); else say(\"b\"); }", "later;later;b;", 1, false },
	{ "request_route { $var(x) = \"p\" + later(1) + later(0 - 1); say(\"$var(x)\"); }", "later;later;p10;", 1, false },
	{ "request_route { while (later(1)) { $var(i) = $var(i) + 1; if ($var(i) == 3) break; } say(\"$var(i)\"); }", "later;later;later;3;", 1, false },
	{ "request_route { if (route(A) && route(A)) say(\"both\"); } route[A] { later(1); if (!later(1)) return -1; }",
	  "later;later;later;later;both;", 1, false },
	{ "request_route { later(0); say(\"never\"); }", "later;", 0, false },
	{ "request_route { switch (later(5)) { case 1: say(\"one $rc\"); break; } }", "later;one 5;", 0, false },
	{ "request_route { $var(x) = { later(6); }; say(\"$var(x)\"); }", "later;6;", 1, false },
};

START_TEST(route_runs)
{
	const struct route_vector *v = &routes[_i];
	struct vm_conf conf = { .max_while_loops = 100, .max_recursive_level = 256 };
	int always;

	/* once as it is, once with a park before each call that may wait: the same must come out */
	for (always = 0; always < 2; always++) {
		conf.suspend_always = always;
		vm_configure(&conf);
		if (st_load(v->text) < 0)
			ck_abort_msg("%s: %s", v->text, st_error());
		st_run_route(CTX_REQUEST, NULL);
		ck_assert_msg(strcmp(st.trace, v->trace) == 0, "%s: %s", v->text, st.trace);
		ck_assert_msg(st.rc == v->rc, "%s: code %d", v->text, st.rc);
		ck_assert_int_eq(st.dropped, v->dropped);
	}
}
END_TEST

START_TEST(return_mode_raw)
{
	struct vm_conf conf = { .max_while_loops = 100, .max_recursive_level = 256, .return_raw = true };

	vm_configure(&conf);
	ck_assert_str_eq(st_body("if (ret(-1)) say(\"t\"); if (ret(-1) == -1) say(\"raw\"); $var(x) = ret(5) + 1; say(\"$var(x)\");"), "t;raw;6;");
}
END_TEST

START_TEST(named_kinds)
{
	ck_assert_int_eq(st_load("request_route { ok(); }\nonreply_route[R] { only_reply(); return 9; }\nreply_route { return 0; }\n"
				 "event_route[tm:local-request] { say(\"e\"); }\nfailure_route[F] { drop; }"),
			 0);
	ck_assert_int_eq(st_run_route(CTX_TM_REPLY, "R"), 9);
	ck_assert_int_eq(st_run_route(CTX_CORE_REPLY, ""), 0);
	ck_assert_int_eq(st_run_route(CTX_EVENT, "tm:local-request"), 1);
	ck_assert_int_eq(st_run_route(CTX_FAILURE, "F"), 0);
	ck_assert(st.dropped);
	ck_assert_int_eq(script_route_find(st.script, CTX_EVENT, STR_LIT("tm:none")), -1);
}
END_TEST

START_TEST(positions)
{
	struct str file, route;
	unsigned line;
	struct ctx *ctx = ctx_new();

	ck_assert(!vm_position(ctx, &file, &line, &route));
	ctx_free(ctx);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("vm");
	TCase *t = tcase_create("vm");

	tcase_add_checked_fixture(t, st_init, st_done);
	tcase_add_loop_test(t, expressions, 0, ARRAY_LEN(exprs));
	tcase_add_loop_test(t, statements, 0, ARRAY_LEN(stmts));
	tcase_add_loop_test(t, route_runs, 0, ARRAY_LEN(routes));
	tcase_add_test(t, return_mode_raw);
	tcase_add_test(t, named_kinds);
	tcase_add_test(t, positions);
	suite_add_tcase(s, t);
	return s;
}
