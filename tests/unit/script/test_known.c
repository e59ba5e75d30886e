/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said about names that are not there: modules that are missing, what they would bring, old names, and the JSON form. */
#include <stdlib.h>

#include "tests/unit/script/script_test.h"

static const struct known_row {
	enum diag_kind kind;
	const char *name, *module;
} rows[] = {
	{ DIAG_FUNCTION, "ds_select_dst", "dispatcher" },
	{ DIAG_FUNCTION, "www_authenticate", "auth_db" },
	{ DIAG_FUNCTION, "nobody_has_this", NULL },
	{ DIAG_VARIABLE, "$dlg", "dialog" },
	{ DIAG_VARIABLE, "$ru", "pv" },
	{ DIAG_VARIABLE, "ds_select_dst", NULL },
	{ DIAG_TRANSFORMATION, "{sql.val}", "sqlops" },
	{ DIAG_TRANSFORMATION, "{nope.val}", NULL },
};

START_TEST(who_brings_it)
{
	const char *m = known_module(rows[_i].kind, str_lit(rows[_i].name));

	ck_assert_pstr_eq(m, rows[_i].module);
	if (m)
		ck_assert(known_from(rows[_i].kind, str_lit(rows[_i].name), str_lit(m)));
	ck_assert(!known_from(rows[_i].kind, str_lit(rows[_i].name), STR_LIT("tm")));
}
END_TEST

/* The look-up is a binary search. */
START_TEST(table_is_sorted)
{
#define FUNC(name, module)  { DIAG_FUNCTION, name, module },
#define VAR(name, module)   { DIAG_VARIABLE, name, module },
#define TRANS(name, module) { DIAG_TRANSFORMATION, name, module },
	static const struct known_row all[] = {
#include "core/script/known.def"
	};
	size_t i;

	for (i = 1; i < ARRAY_LEN(all); i++) {
		int c = strcmp(all[i - 1].name, all[i].name);

		ck_assert_msg(all[i - 1].kind < all[i].kind || (all[i - 1].kind == all[i].kind && (c < 0 || (c == 0 && strcmp(all[i - 1].module, all[i].module) < 0))),
			      "%s is not in order", all[i].name);
	}
}
END_TEST

static const struct script_opts all_errors = { .all_errors = true };

static unsigned errors(void)
{
	const struct script_err *e;
	unsigned n = 0;

	for (e = st.errs; e; e = e->next)
		n += e->level == SCRIPT_ERROR;
	return n;
}

START_TEST(missing_module_is_told_once)
{
	const struct script_use *u;

	ck_assert_int_eq(st_load_opts("loadmodule \"missing/dispatcher.so\"\nmodparam(\"dispatcher\", \"list_file\", \"x\")\nrequest_route {\n"
				      "\tif (!ds_select_dst(\"1\", \"4\")) ok();\n\tsay(\"$dsv(x)\");\n\t$var(x) = $dsg(y);\n\tokk();\n}\n",
				      &all_errors),
			 -EBADMSG);
	ck_assert_uint_eq(errors(), 2);
	ck_assert_uint_eq(st.errs->line, 1);
	ck_assert_int_eq(st.errs->kind, DIAG_MODULE);
	ck_assert(str_eq(st.errs->name, STR_LIT("dispatcher")));
	u = st.errs->uses;
	ck_assert_ptr_nonnull(u);
	ck_assert_msg(u->line == 2 && str_eq(u->what, STR_LIT("modparam list_file")), "%u %.*s", u->line, STR_FMT(u->what));
	u = u->next;
	ck_assert_msg(u && u->line == 4 && u->column == 7 && str_eq(u->what, STR_LIT("ds_select_dst()")), "second use");
	u = u->next;
	ck_assert_msg(u && u->line == 5 && str_eq(u->what, STR_LIT("$dsv")), "third use");
	u = u->next;
	ck_assert_msg(u && u->line == 6 && str_eq(u->what, STR_LIT("$dsg")) && !u->next, "fourth use");
	ck_assert(str_eq(st.errs->next->name, STR_LIT("okk")) && str_eq(st.errs->next->near, STR_LIT("ok")));
}
END_TEST

/* MOD_x is defined all the same: what depends on it is read, and its errors are told in the same run. */
START_TEST(missing_module_counts_for_conditions)
{
	ck_assert_int_eq(st_load_opts("loadmodule \"missing/dispatcher.so\"\nrequest_route {\n#!ifdef MOD_dispatcher\n\tokk();\n#!endif\n\tok();\n}\n", &all_errors),
			 -EBADMSG);
	ck_assert_uint_eq(errors(), 2);
}
END_TEST

/* What a loaded module does not have is told with the nearest name, not with the module's. */
START_TEST(class_of_a_loaded_module)
{
	ck_assert_int_eq(st_load("#!KAMAILIO\nloadmodule \"pv.so\"\nrequest_route {\n\tsay(\"$tu\");\n}\n"), -EBADMSG);
	ck_assert_uint_eq(st.errs->module.n, 0);
	ck_assert_int_eq(st_load("#!KAMAILIO\nrequest_route {\n\tsay(\"$tu\");\n}\n"), -EBADMSG);
	ck_assert(str_eq(st.errs->module, STR_LIT("pv")));
}
END_TEST

START_TEST(name_of_a_module_that_is_not_loaded)
{
	ck_assert_int_eq(st_load("request_route {\n\tds_select_dst(\"1\", \"4\");\n}\n"), -EBADMSG);
	ck_assert(str_eq(st.errs->module, STR_LIT("dispatcher")));
	ck_assert_msg(str_find(st.errs->text, STR_LIT("of module dispatcher, which is not loaded")) >= 0, "%s", st_error());
}
END_TEST

static const struct old_row {
	const char *text, *trace, *warning;
} olds[] = {
	{ "use_dst_blacklist=1\n", "use_dst_blocklist=1;", "'use_dst_blacklist' is called 'use_dst_blocklist' since 5.6" },
	{ "loadmodule \"dialog_ng.so\"\n", "load ims_dialog ;", "'dialog_ng' is called 'ims_dialog' since 4.2" },
	{ "loadmodule \"mi_fifo.so\"\nmodparam(\"mi_fifo\", \"fifo_name\", \"/x\")\n", "", "'mi_fifo' is gone since 5.0 and has no effect" },
};

START_TEST(old_names)
{
	char text[256];

	snprintf(text, sizeof(text), "%srequest_route { ok(); }\n", olds[_i].text);
	ck_assert_msg(st_load(text) == 0, "%s", st_error());
	ck_assert_str_eq(st.trace, olds[_i].trace);
	ck_assert_msg(st.errs && st.errs->level == SCRIPT_WARNING && str_find(st.errs->text, str_lit(olds[_i].warning)) >= 0, "%s", st_error());
}
END_TEST

/* Without #!KAMAILIO names that no variable has are attributes, and so are the older forms. */
START_TEST(old_attributes)
{
	static const char body[] = "request_route { $foo = \"a\"; say($foo); say($f.bar); say(%b); say($c[2]); say($tu.d); }\n";
	char text[256];

	ck_assert_msg(st_load(body) == 0, "%s", st_error());
	ck_assert_ptr_nonnull(st.errs);
	ck_assert_msg(str_find(st.errs->text, STR_LIT("unknown variable $foo: read as $avp(foo)")) >= 0, "%s", st_error());
	(void)st_run_route(CTX_REQUEST, "");
	ck_assert_str_eq(st.trace, "strict=a;<foo>;<bar>;<b>;<c>;<tu.d>;");
	ck_assert_int_eq(st_load("request_route { $c[2] = \"a\"; }\n"), -EBADMSG);
	ck_assert_int_eq(st_load("request_route { $dlg_status_x = $DLG_count; }\n"), -EBADMSG); /* a module's */
	snprintf(text, sizeof(text), "#!KAMAILIO\n%s", body);
	ck_assert_int_eq(st_load(text), -EBADMSG);
	ck_assert_int_eq(st_load_opts("#!KAMAILIO\nrequest_route { $foo = \"a\"; }\n", &all_errors), -EBADMSG);
	ck_assert_msg(str_find(st.errs->text, STR_LIT("unknown variable $foo")) >= 0, "%s", st_error());
	ck_assert_int_eq(st_load("#!KAMAILIO\n#!SER\nrequest_route { $foo = \"a\"; }\n"), 0);
}
END_TEST

/* A bracket inside the parentheses belongs to the variable. */
START_TEST(brackets_inside_are_no_old_form)
{
	ck_assert_msg(st_load("request_route { $(avp(a)[*]) = \"3\"; say($(avp(a)[1])); }\n") == 0, "%s", st_error());
	ck_assert_ptr_null(st.errs);
	(void)st_run_route(CTX_REQUEST, "");
	ck_assert_str_eq(st.trace, "strict=3;<a>;");
}
END_TEST

START_TEST(flags_of_attributes_are_their_own)
{
	ck_assert_msg(st_load("flags a, b;\navpflags b, c;\nrequest_route { ok(); }\n") == 0, "%s", st_error());
	ck_assert_int_eq(flag_find(st.script, FLAGS_MSG, STR_LIT("b")), 1);
	ck_assert_int_eq(flag_find(st.script, FLAGS_AVP, STR_LIT("b")), 0);
	ck_assert_int_eq(flag_find(st.script, FLAGS_AVP, STR_LIT("c")), 1);
	ck_assert_int_eq(flag_find(st.script, FLAGS_MSG, STR_LIT("c")), -1);
	ck_assert_int_eq(flag_find(st.script, FLAGS_AVP, STR_LIT("a")), -1);
}
END_TEST

START_TEST(json_document)
{
	static const char want[] =
		"{\"script\":\"a\\\"b\",\"ok\":false,\"errors\":1,\"warnings\":0,\"failure\":\"x\\u0009y\",\"messages\":["
		"{\"level\":\"error\",\"kind\":\"function\",\"file\":\"a.cfg\",\"line\":2,\"column\":3,\"text\":\"no \\ufffdgr\xc3\xbc\xc3\x9f""e\","
		"\"name\":\"okk\",\"nearest\":\"ok\",\"module\":\"m\",\"source\":\"okk();\\u007f\\ufffd\\ufffd\",\"uses\":["
		"{\"file\":\"a.cfg\",\"line\":4,\"column\":5,\"name\":\"$x\"}]}]}\n";
	struct script_use use = { .file = STR_LIT("a.cfg"), .line = 4, .column = 5, .what = STR_LIT("$x") };
	struct script_err e = { .level = SCRIPT_ERROR, .file = STR_LIT("a.cfg"), .line = 2, .column = 3, .text = STR_LIT("no \xffgr\xc3\xbc\xc3\x9f""e"),
				.kind = DIAG_FUNCTION, .name = STR_LIT("okk"), .near = STR_LIT("ok"), .module = STR_LIT("m"),
				.source = STR_LIT("okk();\x7f\xc0\xc3"), .uses = &use };
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	ck_assert_ptr_nonnull(f);
	script_errs_print_json(f, STR_LIT("a\"b"), &e, "x\ty");
	fclose(f);
	ck_assert_str_eq(out, want);
	free(out);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("known");
	TCase *t = tcase_create("known");

	tcase_add_checked_fixture(t, st_init, st_done);
	tcase_add_loop_test(t, who_brings_it, 0, ARRAY_LEN(rows));
	tcase_add_test(t, table_is_sorted);
	tcase_add_test(t, missing_module_is_told_once);
	tcase_add_test(t, missing_module_counts_for_conditions);
	tcase_add_test(t, class_of_a_loaded_module);
	tcase_add_test(t, name_of_a_module_that_is_not_loaded);
	tcase_add_loop_test(t, old_names, 0, ARRAY_LEN(olds));
	tcase_add_test(t, old_attributes);
	tcase_add_test(t, brackets_inside_are_no_old_form);
	tcase_add_test(t, flags_of_attributes_are_their_own);
	tcase_add_test(t, json_document);
	suite_add_tcase(s, t);
	return s;
}
