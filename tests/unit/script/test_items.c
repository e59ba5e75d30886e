/* SPDX-License-Identifier: BSD-2-Clause */
/* The preprocessor, and what the host is told: modules, parameters, sockets, names, custom variables. */
#include "tests/unit/script/script_test.h"

#include <stdlib.h>
#include <unistd.h>

#define R "\nrequest_route { ok(); }\n"

static const struct item_vector {
	const char *text, *trace;
} items[] = {
	/* parameters */
	{ "debug=3\nlog_stderror=yes children = 4;\n;;fork no_such=off" R, NULL },
	{ "debug=3\nlog_stderror=yes children = 4;\n;;fork=no" R, "debug=3;log_stderror=1;children=4;fork=0;" },
	{ "debug=-1 log_facility=LOG_LOCAL0 log_name=\"x\"" R, "debug=-1;log_facility=\"LOG_LOCAL0\";log_name=\"x\";" },
	{ "advertised_address=sip.ex-ample.com advertised_port=5080" R, "advertised_address=\"sip.ex-ample.com\";advertised_port=5080;" },
	{ "advertised_address=1.2.3.4 udp_mtu_try_proto=TCP" R, "advertised_address=\"1.2.3.4\";udp_mtu_try_proto=\"TCP\";" },
	{ "user=\"a\" \"b\" server_header='x y'" R, "user=\"ab\";server_header=\"x y\";" },
	{ "coreparam[iuid]=\"q\"" R, "coreparam[iuid]=\"q\";" },
	{ "force_rport=yes tcp_poll_method=/dev/poll" R, "force_rport=1;tcp_poll_method=\"/dev/poll\";" },
	/* modules */
	{ "loadpath \"/a:/b\" mpath=\"/c\" loadmodule \"sl.so\" loadmodule(\"x\", \"go\")" R, "path /a:/b;path /c;load sl.so ;load x go;" },
	{ "loadmodule \"dir/tm.so\"\n#!ifdef MOD_tm\ndebug=1\n#!endif" R, "load dir/tm.so ;debug=1;" },
	{ "loadmodule(\"sl\")\n#!ifdef MOD_sl\ndebug=1\n#!endif\n#!ifdef MOD_tm\ndebug=2\n#!endif" R, "load sl ;debug=1;" },
	{ "modparam(\"a|b\", \"p\", 5) modparam(\"a\", \"q\", -5) modparam(\"a\", \"r\", \"t\") modparam(\"a\", \"s\", yes)" R,
	  "modparam a|b p 5;modparam a q -5;modparam a r \"t\";modparam a s 1;" },
	{ "#!define V \"x\"\nmodparamx(\"a\", \"p\", \"$def(V)\") modparamx(\"a\", \"q\", $defn(N))" R, "modparam a p \"\"x\"\";modparam a q 0;" },
	/* sockets */
	{ "listen=udp:127.0.0.1:5060" R, "listen udp 127.0.0.1 5060;" },
	{ "listen=127.0.0.1" R, "listen any 127.0.0.1 0;" },
	{ "listen=tcp:[::1]:5070 listen=udp:eth0.5:5060" R, "listen tcp [::1] 5070;listen udp eth0.5 5060;" },
	{ "listen=udp:my-host.example.com\nalias=a.b:5060 \"c.d\" tcp:e.f:7\ndomain=2com" R,
	  "listen udp my-host.example.com 0;alias any a.b 5060;alias any c.d 0;alias tcp e.f 7;alias any 2com 0;" },
	{ "listen=udp:1.2.3.4:5060 tcp:1.2.3.4:5060 advertise 9.9.9.9:5090 name \"ext\" virtual\ndebug=1" R,
	  "listen udp 1.2.3.4 5060 adv 9.9.9.9 5090 name ext virtual;listen tcp 1.2.3.4 5060 adv 9.9.9.9 5090 name ext virtual;debug=1;" },
	{ "listen=udp:1.2.3.4:5060\nloadmodule \"sl\"\nlisten=udp:1.2.3.5:5060\nmodparam(\"a\",\"b\",1)\nlisten=udp:1.2.3.6:5060" R,
	  "listen udp 1.2.3.4 5060;load sl ;listen udp 1.2.3.5 5060;modparam a b 1;listen udp 1.2.3.6 5060;" },
	{ "#!define IP 1.2.3.4\n#!define PORT 5062\n#!define L udp:IP:PORT advertise 8.8.8.8\nlisten=udp:IP:PORT\nlisten=L\ndebug=1" R,
	  "listen udp 1.2.3.4 5062;listen udp 1.2.3.4 5062 adv 8.8.8.8 0;debug=1;" },
	{ "#!substdefs \"!XIP!10.0.0.1!g\"\nlisten=XIP\nlisten=udp:10.0.0.2:5060" R, "listen any 10.0.0.1 0;listen udp 10.0.0.2 5060;" },
	{ "#!define IP \"10.0.0.3\"\nlisten=udp:IP:5060\nlisten=udp:\"a.b\"" R, "listen udp 10.0.0.3 5060;listen udp a.b 0;" },
	{ "listen=udp:(1.1.1.1, 2.2.2.2):5060" R, "listen udp 1.1.1.1 5060;listen udp 2.2.2.2 5060;" },
	{ "listen=udp:1.2.3.4:5060\ngroup.name=5\nlisten=udp:1.2.3.5\ng[2].n=6" R,
	  "listen udp 1.2.3.4 5060;group[0].name=5();listen udp 1.2.3.5 0;g[2].n=6();" },
	{ "socket={ bind=udp:1.2.3.4:5060; name=\"s\"; advertise=9.9.9.9:5070; virtual=1 }" R, "listen udp 1.2.3.4 5060 adv 9.9.9.9 5070 name s virtual;" },
	{ "socket={ bind=udp:1.2.3.4:5060-5062 name=\"s\" advertise=9.9.9.9:6000 }" R,
	  "listen udp 1.2.3.4 5060 adv 9.9.9.9 6000 name s5060;listen udp 1.2.3.4 5061 adv 9.9.9.9 6001 name s5061;listen udp 1.2.3.4 5062 adv 9.9.9.9 6002 name s5062;" },
	/* custom variables */
	{ "pstn.gw_ip = \"\" desc \"PSTN GW\"\nvoice.srv = -5" R, "pstn[0].gw_ip=\"\"(PSTN GW);voice[0].srv=-5();" },
	/* conditionals */
	{ "#!ifdef A\ndebug=1\n#!else\ndebug=2\n#!endif" R, "debug=2;" },
	{ "#!define A\n#!ifdef A\ndebug=1\n#!ifndef A\ndebug=3\n#!else\ndebug=4\n#!endif\n#!else\ndebug=2\n#!endif" R, "debug=1;debug=4;" },
	{ "#!ifdef A\n/* #!endif\ndebug=1\n#*/ log_color=1" R, "debug=1;" },
	{ "!!ifdef A\n\"unclosed\n!!endif\ndebug=1" R, "debug=1;" },
	{ "#!define A 1\n#!trydef A 2\ndebug=A\n#!redef A 3\ndebug=A\n#!undef A\n#!trydef A 4\ndebug=A\n#!tryundef B" R, "debug=1;debug=3;debug=4;" },
	{ "#!define A \\\n7\ndebug=A" R, "debug=7;" },
	{ "#!define A 5 # five\ndebug=A log_color=1\nfork=1" R, "debug=5;fork=1;" },
	{ "#!define INNER 9\n#!define OUTER INNER\ndebug=OUTER" R, "debug=9;" },
	{ "#!define ALL debug=1 log_color=2\nALL" R, "debug=1;log_color=2;" },
	/* ifexp, defexp */
	{ "#!ifexp 1 + 1 == 2\ndebug=1\n#!endif\n#!ifexp 2 > 3\ndebug=2\n#!endif\n#!ifexp NOPE\ndebug=3\n#!endif" R, "debug=1;" },
	{ "#!ifexp KAMAILIO_VERSION >= 5006000\ndebug=1\n#!endif\n#!ifexp (KAMAILIO_VERSION > 7000000) || !NOPE\ndebug=2\n#!endif" R, "debug=1;debug=2;" },
	{ "#!define A\n#!ifexp A && 1\ndebug=1\n#!endif\n#!define B \"x\"\n#!ifexp B == \"x\"\ndebug=2\n#!endif\n#!ifexp B - 1\ndebug=3\n#!endif" R, "debug=1;debug=2;" },
	{ "#!defexp A 2 ** 3 ** 2 / 1\ndebug=A\n#!defexp B (1 + 2) * 3 - 1\ndebug=B\n#!defexps C \"a\" + 1\nlog_name=C" R, "debug=512;debug=8;log_name=\"a1\";" },
	/* what is no integer of 64 bits has no bits and no text: told, and false or empty */
	{ "#!ifexp (2 ** 80) | 1\ndebug=1\n#!else\ndebug=2\n#!endif\n#!ifexp ^(2 ** 80)\ndebug=3\n#!endif\n#!ifexp ^0 == -1\ndebug=4\n#!endif\n#!ifexp (6 & 3) == 2\ndebug=5\n#!endif\n#!defexp A 2 ** 100\ndebug=6 A" R, "debug=2;debug=4;debug=5;debug=6;" },
	{ "#!ifexp OS_NAME == \"linux\"\ndebug=1\n#!endif\n#!ifdef KAMAILIO_6\ndebug=2\n#!endif\n#!ifdef KAMAILIO_6_2_0\ndebug=3\n#!endif" R, "debug=1;debug=2;debug=3;" },
	/* environment */
	{ "#!defenv RF_TEST_ENV\ndebug=RF_TEST_ENV\n#!defenvs S=RF_TEST_ENV\nlog_name=S\n#!trydefenv NO_SUCH_ENV\n#!ifdef NO_SUCH_ENV\ndebug=9\n#!endif" R, "debug=77;log_name=\"77\";" },
	/* subst */
	{ "#!subst \"/abc/x/\"\nlog_name=\"abcabc\"" R, "log_name=\"xabc\";" },
	{ "#!subst \"!a(b)c!<\\\\1>!g\"\nlog_name=\"abcabc\"" R, "log_name=\"<b><b>\";" },
	{ "#!subst \"/ABC/x/ig\"\nlog_name='abc Abc'" R, "log_name=\"x x\";" },
	{ "#!substdef \"!DBURL!mysql://u:p@h/db!g\"\nmodparam(\"a\", \"db_url\", \"DBURL\")" R, "modparam a db_url \"mysql://u:p@h/db\";" },
	{ "#!substdef \"!N!5!g\"\ndebug=N" R, "debug=5;" },
	{ "#!define X 1\n#!subst \"/V/$def(X)/\"\nlog_name=\"V\"" R, "log_name=\"1\";" },
	/* comments and strings */
	{ "# a\n// b\n/* c /* d */ e */ debug=1 /* f */ # g" R, "debug=1;" },
	{ "log_name=\"a\\x41\\101\\\\ \\\" \\d \\1 \\\nb\"" R, "log_name=\"aAA\\ \" \\d \\1 b\";" },
	{ "log_name=\"a\\x00b\"" R, "log_name=\"a\";" },
	{ "#!KAMAILIO\ndebug=1\n#!MAXCOMPAT x\n#!unknown thing\ndebug=2" R, "debug=1;debug=2;" },
	{ "flags a, b:5, \"c\"\ndebug=1\nrequest_route { setflag(a); setflag(b); setflag(c); setflag(\"b\"); }\n", "debug=1;" },
	{ "import_file \"/nonexistent\"\n#!import_file \"/nonexistent\"\ndebug=1" R, "debug=1;" },
};

START_TEST(item)
{
	const struct item_vector *v = &items[_i];

	setenv("RF_TEST_ENV", "77", 1);
	if (!v->trace) {
		ck_assert_int_eq(st_load(v->text), -EBADMSG);
		return;
	}
	ck_assert_msg(st_load(v->text) == 0, "%s -- %s", v->text, st_error());
	ck_assert_msg(strcmp(st.trace, v->trace) == 0, "%s -- %s", v->text, st.trace);
}
END_TEST

START_TEST(flags_have_numbers)
{
	ck_assert_int_eq(st_load("flags a, b:5, \"c\", d:0\nrequest_route { setflag(a); setflag(b); setflag(c); }\n"), 0);
	ck_assert_int_eq(st_run_route(CTX_REQUEST, NULL), 1);
	ck_assert_ptr_nonnull(strstr(st.trace, "flag0;flag5;flag1;"));
	ck_assert_int_eq(script_flag_find(STR_LIT("b")), 5);
	ck_assert_int_eq(script_flag_find(STR_LIT("x")), -1);
}
END_TEST

START_TEST(command_line)
{
	static const struct script_define defs[] = { { STR_LIT("N"), STR_LIT("12"), true }, { STR_LIT("WITH_X"), { NULL, 0 }, false } };
	static const char *const substs[] = { "subst /abc/x/", "substdef !QQ!7!" };
	struct script_opts opts = { .defines = defs, .n_defines = 2, .substs = substs, .n_substs = 2 };
	struct str v;

	ck_assert_msg(st_load_opts("debug=N\n#!ifdef WITH_X\nlog_name=\"abc\"\n#!endif\nchildren=QQ" R, &opts) == 0, "%s", st_error());
	ck_assert_str_eq(st.trace, "debug=12;log_name=\"x\";children=7;");
	ck_assert(script_define_find(st.script, STR_LIT("N"), &v) && str_eq(v, STR_LIT("12")));
	ck_assert(!script_define_find(st.script, STR_LIT("M"), &v));
}
END_TEST

START_TEST(includes)
{
	char dir[] = "/tmp/rf-inc-XXXXXX", path[64], text[256];
	FILE *f;
	int i;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%d.cfg", dir, i);
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		/* the second one is found beside the first */
		fputs(i == 0 ? "debug=1\n#!define D 3\n#!ifdef D\ninclude_file \"1.cfg\"\n" : "children=D\n#!endif\n", f);
		fclose(f);
	}
	snprintf(text, sizeof(text), "include_file \"%s/0.cfg\"\nlog_color=1" R, dir);
	ck_assert_msg(st_load(text) == 0, "%s", st_error());
	ck_assert_str_eq(st.trace, "debug=1;children=3;log_color=1;");
	snprintf(path, sizeof(path), "%s/1.cfg", dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs("\n nonsense\n", f);
	fclose(f);
	ck_assert_int_eq(st_load(text), -EBADMSG);
	ck_assert(str_ends(st.errs->file, STR_LIT("/1.cfg")));
	ck_assert_uint_eq(st.errs->line, 2);
	/* a file that includes itself */
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "include_file \"%s\"\n", path);
	fclose(f);
	ck_assert_int_eq(st_load(text), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(st_error(), "deeper"));
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%d.cfg", dir, i);
		unlink(path);
	}
	rmdir(dir);
}
END_TEST

START_TEST(print_config)
{
	static const struct script_host none = { 0 };
	char path[] = "/tmp/rf-pp-XXXXXX", *out = NULL;
	struct script_opts opts = { .path = path, .host = &none };
	struct script_err *errs = NULL;
	size_t n = 0;
	FILE *f;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	fputs("#!define A 5\n#!ifdef A\ndebug=A # x\n#!else\nfork=1\n#!endif\nroute { ok(); }\n", f);
	fclose(f);
	f = open_memstream(&out, &n);
	ck_assert_int_eq(script_preprocess(&opts, f, &errs), 0);
	fclose(f);
	unlink(path);
	ck_assert_ptr_nonnull(strstr(out, "debug=A"));
	ck_assert_ptr_null(strstr(out, "fork"));
	ck_assert_ptr_null(strstr(out, "ifdef"));
	ck_assert_ptr_nonnull(strstr(out, "route { ok(); }"));
	script_errs_free(errs);
	free(out);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("items");
	TCase *t = tcase_create("items");

	tcase_add_checked_fixture(t, st_init, st_done);
	tcase_add_loop_test(t, item, 0, ARRAY_LEN(items));
	tcase_add_test(t, flags_have_numbers);
	tcase_add_test(t, command_line);
	tcase_add_test(t, includes);
	tcase_add_test(t, print_config);
	suite_add_tcase(s, t);
	return s;
}
