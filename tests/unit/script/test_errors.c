/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad scripts: each is refused at the right place, with a reason; with all_errors one run tells them all. */
#include "tests/unit/script/script_test.h"

#include <stdlib.h>

#define B "request_route {\n" /* the body begins in line 2 */
#define E "\n}\n"

static const struct bad_vector {
	const char *text;
	unsigned line, column;
	const char *reason; /* part of it */
} bad[] = {
	/* texts and tokens */
	{ B "say(\"open);" E, 2, 5, "does not end" },
	{ B "/* /* */ ok();" E, 2, 1, "comment does not end" },
	{ B "$var(x = 1;" E, 2, 1, "')' of the variable" },
	{ B "$ = 1;" E, 2, 1, "name of a variable" },
	{ B "$var(x) = 08;" E, 2, 11, "leading 0" },
	{ B "$var(x) = 99999999999999999999;" E, 2, 11, "out of range" },
	{ B "say(`a`);" E, 2, 5, "character 0x60" },
	{ B "$var(x) = @;" E, 2, 11, "select" },
	/* preprocessor */
	{ "#!define A 1\n#!define A 2\n" B "ok();" E, 2, 10, "defined already" },
	{ "#!undef NOPE\n" B "ok();" E, 1, 9, "not defined" },
	{ "#!ifdef X\n" B "ok();" E, 1, 1, "without #!endif" },
	{ B "ok();" E "#!endif\n", 4, 1, "without #!ifdef" },
	{ "#!define\n" B "ok();" E, 1, 9, "name expected" },
	{ "#!defenv RF_NO_SUCH_VARIABLE\n" B "ok();" E, 1, 10, "not set" },
	{ "include_file \"/nonexistent/x.cfg\"\n" B "ok();" E, 1, 14, "cannot include" },
	{ "include_file x.cfg\n" B "ok();" E, 1, 14, "double quotes" },
	{ "#!subst \"/a(/b/\"\n" B "ok();" E, 1, 9, "bad regular expression" },
	{ "#!subst \"/a/b/q\"\n" B "ok();" E, 1, 9, "unknown flag" },
	{ "#!define LOOP LOOP\n" B "LOOP();" E, 3, 5, "itself" },
	/* statements */
	{ B "ok()" E, 3, 1, "';' expected" },
	{ B E, 3, 1, "statement" },
	{ B "if ok() { ok(); } else" E, 3, 1, "statement expected" },
	{ B "if (ok() { ok(); }" E, 2, 10, "')' expected" },
	{ B "$var(x) 5;" E, 2, 9, "'=' expected" },
	{ B "$var(x) += 5;" E, 2, 9, "'=' expected" },
	{ B "5;" E, 2, 1, "statement expected" },
	{ B "switch (1) { 5: ok(); }" E, 2, 14, "case, default" },
	{ B "switch (1) { case 1 ok(); }" E, 2, 21, "':' expected" },
	{ B "switch (1) { case 1: case 1: ok(); }" E, 2, 27, "there already" },
	{ B "switch (1) { case 1: case \"a\": ok(); }" E, 2, 27, "mixed" },
	{ B "switch (1) { case $var(x): ok(); }" E, 2, 19, "constant" },
	{ B "switch (\"a\") { case /\"(\": ok(); }" E, 2, 22, "bad regular" },
	{ B "while (\"a\") ok();" E, 2, 8, "number" },
	{ B "return \"a\";" E, 2, 8, "number" },
	{ B "ok(;" E, 2, 4, "value expected" },
	/* names */
	{ B "okk();" E, 2, 1, "did you mean 'ok'" },
	{ B "nothing_like_it_at_all();" E, 2, 1, "unknown function" },
	{ B "ok(1);" E, 2, 1, "does not take 1 argument" },
	{ B "say();" E, 2, 1, "does not take 0 arguments" },
	{ B "say(\"$vra(x)\");" E, 2, 5, "vra" },
	{ B "$vra(x) = 1;" E, 2, 1, "vra" },
	{ B "$rc = 1;" E, 2, 1, "cannot be assigned" },
	{ B "route(NOPE);" E "route[NOPF] { ok(); }", 2, 7, "did you mean 'NOPF'" },
	{ B "branch(\"X\");" E, 2, 8, "no route 'X'" },
	{ B "only_reply();" E, 2, 1, "not allowed in a request route" },
	{ B "setflag(nope);" E, 2, 9, "not declared" },
	{ B "setflag(32);" E, 2, 9, "0 to 31" },
	{ B "foo bar;" E, 2, 1, "no value" },
	/* types and arguments */
	{ B "if (\"a\" < 3) ok();" E, 2, 5, "number is needed" },
	{ B "if (!\"a\") ok();" E, 2, 6, "number is needed" },
	{ B "if (1 == \"a\") ok();" E, 2, 7, "compared with a text" },
	{ B "$var(x) = 1 + \"2\";" E, 2, 13, "added to a number" },
	{ B "if (5 =~ \"a\") ok();" E, 2, 5, "text is needed" },
	{ B "if ($var(x) =~ \"(\") ok();" E, 2, 16, "bad regular" },
	{ B "$var(x) = 1 / 0;" E, 2, 13, "division by zero" },
	{ B "say(\"a\", \"b\");" E, 2, 10, "argument 2: a number" },
	{ B "fixed($var(x), 1);" E, 2, 7, "argument 1: is not constant" },
	{ B "set($var(x), \"v\");" E, 2, 5, "in quotes" },
	{ B "set(\"$rc\", \"v\");" E, 2, 5, "cannot be assigned" },
	{ B "say(ret(1));" E, 2, 5, "inside an argument" },
	{ B "src_ip == 10.0.0.0/40;" E, 2, 1, "cannot stand here" },
	{ B "if (src_ip == 10.0.0.0/40) ok();" E, 2, 15, "bad address" },
	{ B "if (method < 5) ok();" E, 2, 12, "comparison expected" },
	{ B "if (snd_ip == 1.2.3.4) ok();" E, 2, 5, "onsend" },
	{ "onsend_route { force_rport(); }", 1, 16, "onsend_route" },
	{ B "prefix(5);" E, 2, 8, "text in quotes" },
	/* items */
	{ "debgu=3\n" B "ok();" E, 1, 1, "did you mean 'debug'" },
	{ "loadmodule \"nope.so\"\n" B "ok();" E, 1, 12, "no module" },
	{ "modparam(\"a\", \"wrong\", 1)\n" B "ok();" E, 1, 10, "no parameter" },
	{ "modparam(\"a\", \"b\", x)\n" B "ok();" E, 1, 20, "text in quotes or number" },
	{ "route[A] { ok(); }\nroute[A] { ok(); }\n", 2, 7, "defined already" },
	{ "event_route[x] { ok(); }\n", 1, 13, "name of an event" },
	{ "listen=\n", 2, 1, "address expected" },
	{ "#!define A A\ndebug=A\n", 2, 8, "define 'A' refers to itself" },
	{ "#!define A A A\ndebug=A\n", 2, 8, "define 'A' refers to itself" },
	{ "listen=udp:1.2.3.4:99999\n", 1, 8, "bad address" },
	{ "listen=(127.0.0.1,)\n", 1, 8, "bad address '(127.0.0.1,)'" },
	{ "listen=(127.0.0.1,127.0.0.2\n", 1, 8, "bad address" },
	{ "listen=()\n", 1, 8, "bad address" },
	{ "socket={ bnid=udp:1.2.3.4 }\n", 1, 10, "unknown attribute" },
	{ "flags a, a\n", 1, 10, "declared already" },
	{ "cfgengine \"lua\"\n", 1, 11, "not supported" },
	{ "ok();\n", 1, 1, "outside of a route" },
	{ "=5\n", 1, 1, "expected" },
	{ "debug=\"x\" 5\n", 1, 11, "expected" },
};

START_TEST(bad_scripts)
{
	const struct bad_vector *v = &bad[_i];
	const struct script_err *e;

	ck_assert_msg(st_load(v->text) == -EBADMSG, "loads: %s", v->text);
	for (e = st.errs; e && e->level != SCRIPT_ERROR; e = e->next)
		;
	ck_assert_ptr_nonnull(e);
	ck_assert_msg(e->line == v->line && e->column == v->column && str_find(e->text, str_lit(v->reason)) >= 0,
		      "%s -- %s instead of %u:%u: %s", v->text, st_error(), v->line, v->column, v->reason);
}
END_TEST

START_TEST(all_errors_in_one_run)
{
	struct script_opts opts = { .all_errors = true };
	const struct script_err *e;
	unsigned n = 0, lines = 0;

	ck_assert_int_eq(st_load_opts("debgu=3\n" B "okk();\nsay(\"$nope\");\n$var(x) 5;\nif (1 == \"a\") nokk();\nsay(\"a\", \"b\");" E
				      "route[A] { ok() }\nroute[B] { set(\"$rc\", \"\"); }\n", &opts), -EBADMSG);
	for (e = st.errs; e; e = e->next) {
		n += e->level == SCRIPT_ERROR;
		lines |= e->level == SCRIPT_ERROR ? 1u << e->line : 0;
	}
	ck_assert_uint_eq(n, 9);
	ck_assert_uint_eq(lines, 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 9 | 1u << 10);
}
END_TEST

START_TEST(printed_with_caret)
{
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(st_load("request_route {\n\tokk();\n}\n"), -EBADMSG);
	script_err_print(f, st.errs);
	fclose(f);
	ck_assert_msg(strstr(out, ":2:2: error: unknown function 'okk'") != NULL, "%s", out);
	ck_assert_msg(strstr(out, "\n    \tokk();\n    \t^\n") != NULL, "%s", out);
	free(out);
}
END_TEST

START_TEST(missing_file)
{
	static const struct script_host none = { 0 };
	struct script_opts opts = { .path = "/nonexistent/script.cfg", .host = &none };
	struct script *s;

	st_unload();
	ck_assert_int_lt(script_load(&opts, &s, &st.errs), 0);
	ck_assert_ptr_nonnull(strstr(st_error(), "cannot read"));
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("errors");
	TCase *t = tcase_create("errors");

	tcase_add_checked_fixture(t, st_init, st_done);
	tcase_add_loop_test(t, bad_scripts, 0, ARRAY_LEN(bad));
	tcase_add_test(t, all_errors_in_one_run);
	tcase_add_test(t, printed_with_caret);
	tcase_add_test(t, missing_file);
	suite_add_tcase(s, t);
	return s;
}
