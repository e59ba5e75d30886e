/* SPDX-License-Identifier: BSD-2-Clause */
/* core/main: the table of parameters, the command line, and the program itself: what it prints and how it ends. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/main/options.h"
#include "core/main/params.h"
#include "tests/lib/test_main.h"

START_TEST(table_is_sorted)
{
	unsigned i;

	for (i = 1; i < params_count(); i++)
		ck_assert_msg(strcmp(params_name(i - 1), params_name(i)) < 0, "%s before %s", params_name(i - 1), params_name(i));
	ck_assert_ptr_null(params_name(params_count()));
}
END_TEST

/* clang-format off */
static const struct param_vector { const char *name; bool is_int; int64_t i; const char *s; int err; const char *reason; } params[] = {
	{ "debug",          true,  -2, NULL,       0,        NULL },
	{ "children",       true,  0,  NULL,       -EBADMSG, "from 1 to" },
	{ "max_branches",   true,  32, NULL,       -EBADMSG, "from 1 to 31" },
	{ "debug",          false, 0,  "3",        -EBADMSG, "number is needed" },
	{ "server_header",  true,  1,  NULL,       -EBADMSG, "text in quotes" },
	{ "server_header",  false, 0,  "Server: x", 0,       NULL },
	{ "debgu",          true,  1,  NULL,       -ENOENT,  "did you mean 'debug'" },
	{ "zzzzzzzzzzzzzz", true,  1,  NULL,       -ENOENT,  "unknown parameter" },
	{ "log_facility",   false, 0,  "LOG_LOCAL3", 0,      NULL },
	{ "log_facility",   false, 0,  "LOG_NOPE", -EBADMSG, "unknown facility" },
	{ "udp_mtu_try_proto", false, 0, "TCP",    0,        NULL },
	{ "udp_mtu_try_proto", false, 0, "x",      -EBADMSG, "protocol" },
	{ "tos",            true,  184, NULL,      0,        NULL },
	{ "tos",            false, 0,  "IPTOS_LOWDELAY", 0,  NULL },
	{ "mlock_pages",    true,  0,  NULL,       0,        NULL },
	{ "enable_tls",     true,  1,  NULL,       1,        "has no effect" },
	{ "enable_tls",     true,  0,  NULL,       0,        NULL },
	{ "hdr_name_extra_chars", false, 0, "/",   1,        "is not needed: the name of a header field may have any character" },
	{ "hdr_name_extra_chars", false, 0, "",    0,        NULL },
	{ "memlog",         true,  5,  NULL,       1,        "is not needed" },
	{ "memlog",         true,  4,  NULL,       0,        NULL },
	{ "ipv6_hex_style", false, 0,  "c",        0,        NULL },
	{ "ipv6_hex_style", false, 0,  "a",        0,        NULL },
	{ "ipv6_hex_style", false, 0,  "b",        -EBADMSG, "expected" },
	{ "uri_host_extra_chars", false, 0, "~",   0,        NULL },
	{ "uri_host_extra_chars", false, 0, "~:",  -EBADMSG, "end a host" },
	{ "enable_sctp",    true,  1,  NULL,       -ENOTSUP, "SCTP" },
	{ "enable_sctp",    true,  2,  NULL,       0,        NULL },
	{ "enable_sctp",    true,  0,  NULL,       0,        NULL },
	{ "real_time",      true,  5,  NULL,       1,        "use 4" },
	{ "real_time",      true,  4,  NULL,       0,        NULL },
	{ "tcp_source_ipv4", false, 0, "::1",      -EBADMSG, "IPv4 address" },
	{ "tcp_source_ipv6", false, 0, "::1",      0,        NULL },
	{ "tcp_accept_iplimit", true, -1, NULL,    -EBADMSG, "from 0 to" },
	{ "tcp_async",      true,  1,  NULL,       0,        NULL },
	{ "dns_udp_preference", true, -1, NULL,    0,        NULL },
};
/* clang-format on */

START_TEST(values)
{
	const struct param_vector *v = &params[_i];
	struct diag why = { 0 };
	struct main_conf conf;

	log_level_set(L_ALERT);
	params_defaults(&conf);
	ck_assert_int_eq(params_set(&conf, str_lit(v->name), v->is_int, v->i, str_lit(v->s), &why), v->err);
	if (v->reason)
		ck_assert_msg(strstr(why.text, v->reason) != NULL, "%s", why.text);
}
END_TEST

/* What the table keeps at its default is what the reference says: rows of tests/compat/surface/core. */
START_TEST(defaults_of_the_reference)
{
	const char *src = getenv("srcdir");
	char path[512], line[256], name[64], kind[8], def[64];
	struct main_conf conf;
	unsigned n = 0;
	FILE *f;

	params_defaults(&conf);
	ck_assert_int_lt(snprintf(path, sizeof(path), "%s/tests/compat/surface/core", src ? src : "."), (int)sizeof(path));
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		int row;
		void *field;

		if (line[0] == '#' || sscanf(line, "%63s %7s %63s", name, kind, def) != 3)
			continue;
		row = params_row(str_lit(name));
		ck_assert_msg(row >= 0, "%s is not there", name);
		field = params_field(&conf, (unsigned)row);
		if (!field || strcmp(def, "-") == 0)
			continue;
		n++;
		if (params_row_is_text((unsigned)row))
			ck_assert_msg(str_eq(*(struct str *)field, str_lit(def)), "%s", name);
		else
			ck_assert_msg(*(int *)field == (int)strtol(def, NULL, 10), "%s: %d is not %s", name, *(int *)field, def);
	}
	fclose(f);
	ck_assert_uint_gt(n, 70);
}
END_TEST

START_TEST(defaults_reach_their_owners)
{
	struct tm_conf tm = { 0 };
	struct db_conf db;
	struct resolve_conf resolve;
	struct route_conf route = { 0 };
	struct conn_conf conn;
	struct main_conf conf;

	params_defaults(&conf);
	ck_assert_int_eq(conf.max_while_loops, 100);
	ck_assert_int_eq(params_set(&conf, STR_LIT("tcp_connection_lifetime"), true, -1, STR_NULL, NULL), 0);
	ck_assert_int_eq(params_set(&conf, STR_LIT("force_rport"), true, 1, STR_NULL, NULL), 0);
	params_to_conn(&conf, &conn);
	ck_assert_uint_eq(conn.lifetime_s, 2147483);
	ck_assert_uint_eq(conn.max_connections, 2048);
	ck_assert(conn.per_ip_limit == 1024 && conn.spare_loopback);
	ck_assert_int_eq(params_set(&conf, STR_LIT("tcp_accept_iplimit"), true, 1024, STR_NULL, NULL), 0);
	ck_assert_int_eq(params_set(&conf, STR_LIT("tcp_source_ipv4"), false, 0, STR_LIT("192.0.2.1"), NULL), 0);
	params_to_conn(&conf, &conn);
	ck_assert(conn.per_ip_limit == 1024 && !conn.spare_loopback && !conn.reuse_port && conn.stream.keepalive);
	ck_assert(conn.source[0].family == AF_INET && conn.source[1].family == 0);
	params_to_route(&conf, &route);
	ck_assert(route.force_rport == 1 && route.server_signature);
	params_to_resolve(&conf, &resolve);
	ck_assert(resolve.udp_pref == 30 && resolve.use_cache == 1);
	ck_assert_int_eq(params_set(&conf, STR_LIT("dns_cache_init"), true, 0, STR_NULL, NULL), 0);
	params_to_resolve(&conf, &resolve);
	ck_assert_int_eq(resolve.use_cache, 0);
	params_to_tm(&conf, &tm);
	ck_assert(tm.max_branches == 12 && tm.dns_failover == 0);
	ck_assert_int_eq(params_set(&conf, STR_LIT("max_branches"), true, 3, STR_NULL, NULL), 0);
	params_to_tm(&conf, &tm);
	ck_assert_int_eq(tm.max_branches, 3);
	params_to_db(&conf, &db);
	ck_assert(str_eq(db.version_table, STR_LIT("version")) && db.latency_us == 0);
}
END_TEST

static enum options_result parse(struct options *o, char **argv)
{
	int n = 0;

	while (argv[n])
		n++;
	return options_parse(n, argv, o);
}
#define A(s) ((char[]){ s })

START_TEST(command_line)
{
	static struct options o;
	char *argv1[] = { A("ringfort"), A("-f"), A("x.cfg"), A("-DD"), A("-E"), A("-m"), A("8192"), A("-M"), A("64"), A("-Y"), A("/tmp"), A("-w"), A("/tmp"), A("-A"), A("X=Y=Z"), A("-A"), A("W"), A("-x"), A("tlsf"), A("-X"), A("tlsf"), A("-ddd"), A("-n"), A("2"), NULL };
	char *argv2[] = { A("ringfort"), A("--debug=-1"), A("--alias=a.b"), A("--substdefs=/a/b/"), A("--modparam=a:b:i:1"), A("--debug-suspend"), A("--steer-by-flow"), A("-l"), A("udp:1.2.3.4:5060/5.6.7.8"), A("-a"), A("no"), A("-c"), A("--all-errors"), A("-K"), A("-T"), NULL };

	ck_assert_int_eq(parse(&o, argv1), OPTIONS_RUN);
	ck_assert_str_eq(o.script, "x.cfg");
	ck_assert(o.foreground == 2 && o.to_stderr && o.shm_mb == 8192 && o.debug == 3 && o.children == 2);
	ck_assert(o.n_defines == 2 && str_eq(o.defines[0].value, STR_LIT("Y=Z")) && o.defines[0].has_value && !o.defines[1].has_value);
	ck_assert_int_eq(parse(&o, argv2), OPTIONS_RUN);
	ck_assert(o.debug == -1 && o.n_aliases == 1 && o.suspend_always && o.steer_by_flow && o.n_listens == 1 && o.auto_aliases == 0 && o.check && o.all_errors);
	ck_assert_str_eq(o.substs[0], "substdefs /a/b/");
	ck_assert(o.check_via && o.no_tcp && o.n_modparams == 1);
}
END_TEST

static int run_server(const char *script, const char *more, char *out, size_t size)
{
	char path[] = "/tmp/rf-main-XXXXXX", cmd[512];
	int fd = mkstemp(path), status;
	size_t n;
	FILE *f;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, script, strlen(script)), (ssize_t)strlen(script));
	close(fd);
	snprintf(cmd, sizeof(cmd), "timeout 20 ./ringfort -f %s %s 2>&1", path, more);
	f = popen(cmd, "r");
	ck_assert_ptr_nonnull(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	status = pclose(f);
	unlink(path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const struct boot_vector {
	const char *script, *more;
	int status;
	const char *prints;
} boots[] = {
	{ "listen=udp:127.0.0.1:21310\nalias=a.test:5060\nrequest_route { exit; }\n", "-c", 0, "udp: 127.0.0.1:21310" },
	{ "listen=udp:127.0.0.1:21310\nalias=a.test:5060\nrequest_route { exit; }\n", "-c", 0, "*: a.test:5060" },
	{ "listen=udp:127.0.0.1:21310\nrequest_route { exit; }\n", "-c -l tcp:127.0.0.1:21311/9.9.9.9:5060/ext", 0, "tcp: 127.0.0.1:21311 advertise 9.9.9.9:5060 name \"ext\"" },
	{ "listen=udp:127.0.0.1:21310\nrequest_route { exit; }\n", "-c", 0, "config file ok, exiting..." },
	{ "listen=udp:127.0.0.1:21310\nrequest_route { nope(); }\n", "-c", 255, ":2:17: error: unknown function 'nope'" },
	{ "listen=udp:127.0.0.1:21310\nrequest_route { nope(); nope2(); }\n", "-c", 255, "(2 errors)" },
	{ "listen=udp:127.0.0.1:21310\nrequest_route { nope(); nope2(); }\n", "-E -DD", 255, "(1 error)" },
	{ "listen=udp:127.0.0.1:21310\nloadmodule \"nope\"\nrequest_route { nope(); }\n", "-c --errors=json", 255,
	  "\"ok\":false,\"errors\":2,\"warnings\":0,\"failure\":\"script: bad config file (2 errors)\",\"messages\":[{\"level\":\"error\",\"kind\":\"module\"" },
	{ "listen=udp:127.0.0.1:21310\nrequest_route { exit; }\n", "-c --errors=json", 0, "\"ok\":true,\"errors\":0,\"warnings\":0,\"messages\":[]}" },
	{ "listen=udp:127.0.0.1:21310\nenable_tls=yes\nrequest_route { exit; }\n", "-c", 0, ":2:1: warning: enable_tls has no effect" },
	{ "x", "--errors=xml", 255, "json or text expected" },
	{ "listen=udp:127.0.0.1:21310\nloadmodule \"nope\"\nrequest_route { exit; }\n", "-c", 255, "module nope not found" },
	{ "listen=udp:127.0.0.1:21310\ndebgu=1\nrequest_route { exit; }\n", "-DD -E", 255, "did you mean 'debug'" },
	{ "listen=udp:203.0.113.77:21310\nrequest_route { exit; }\n", "-DD -E", 255, "203.0.113.77" },
	{ "listen=udp:127.0.0.1:21310\nuser=\"no_such_user_here\"\nrequest_route { exit; }\n", "-DD -E", 255, "user no_such_user_here does not exist" },
	{ "#!ifdef A\nlisten=udp:1.2.3.4\n#!endif\nrequest_route { exit; }\n", "--cfg-print", 0, "request_route { exit; }" },
	{ "x", "-v", 0, "version: ringfort" },
	{ "x", "-h", 0, "Usage" },
	{ "x", "start", 255, "is no option" },
	{ "x", "-n 0", 255, "number of workers" },
};

START_TEST(program)
{
	const struct boot_vector *v = &boots[_i];
	char out[8192];
	int status = run_server(v->script, v->more, out, sizeof(out));

	ck_assert_msg(status == v->status, "%s: status %d: %s", v->more, status, out);
	ck_assert_msg(strstr(out, v->prints) != NULL, "%s: %s", v->more, out);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("main");
	TCase *t = tcase_create("main");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, table_is_sorted);
	tcase_add_loop_test(t, values, 0, ARRAY_LEN(params));
	tcase_add_test(t, defaults_reach_their_owners);
	tcase_add_test(t, defaults_of_the_reference);
	tcase_add_test(t, command_line);
	tcase_add_loop_test(t, program, 0, ARRAY_LEN(boots));
	suite_add_tcase(s, t);
	return s;
}
