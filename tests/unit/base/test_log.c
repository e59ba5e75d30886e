/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: shape of lines, levels, and that a reader who does not read costs lines and no time. */
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log_priv.h"
#include "tests/lib/test_main.h"

enum kind { PIPE, SOCKET, FILE_, N_KINDS };

static int reader;
static char dir[64], path[100];

/* Puts something readable in the place of stderr. */
static void redirect(int kind)
{
	int fds[2];

	if (kind == PIPE) {
		ck_assert_int_eq(pipe(fds), 0);
	} else if (kind == SOCKET) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	} else {
		char name[] = "/tmp/rf-test-log-XXXXXX";

		fds[1] = mkstemp(name);
		ck_assert_int_ge(fds[1], 0);
		fds[0] = open(name, O_RDONLY);
		(void)unlink(name);
	}
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(fds[1]);
	reader = fds[0];
}

static const char *take(void)
{
	static char buf[8192];
	ssize_t n = read(reader, buf, sizeof(buf) - 1);

	ck_assert_int_ge(n, 0);
	buf[n] = '\0';
	return buf;
}

static void expect(const char *text)
{
	char want[256];

	(void)snprintf(want, sizeof(want), "%d %s", (int)getpid(), text);
	ck_assert_str_eq(take(), want);
}

START_TEST(lines_on_stderr)
{
	struct log_opts opts = { .to_stderr = true };
	struct str text = STR_LIT("two\r\n1 ALERT: lines\rhere\n");

	redirect(_i);
	log_open(&opts);
	log_level_set(L_WARN);
	log_write(L_ERR, "cannot %s", "do");
	expect("ERROR: cannot do\n");
	log_write(L_ALERT, "x\n");
	expect("ALERT: x\n");
	log_context_set(&(struct log_context){ .prefix = STR_LIT("{1 INVITE} ") });
	log_warn("forged\r\n1 ERROR: line\033[2J");
	expect("WARNING: {1 INVITE} forged  1 ERROR: line [2J\n");
	log_context_set(NULL);
	log_text(L_CRIT, -1, NULL, text);
	expect("CRITICAL: two\n| 1 ALERT: lines here\n");
	ck_assert_int_eq(log_fail(-ENOENT, "open %s", "x"), -ENOENT);
	expect("ERROR: open x: No such file or directory\n");
	opts.color = true;
	log_open(&opts);
	log_error("red");
	expect("\033[31mERROR: red\033[0m\n");
	ck_assert_uint_eq(log_dropped(), 0);
}
END_TEST

/* However many lines a text has: what is written ends with one of ours. */
START_TEST(many_lines)
{
	static char text[LOG_TEXT_MAX], out[LOG_OUT_MAX];
	struct log_opts opts = { .to_stderr = true };
	struct log_line l = { .level = L_INFO, .pid = 1, .text = str_of(text, sizeof(text)) };
	size_t n;

	memset(text, '\n', sizeof(text));
	n = log_line_text(&opts, &l, false, out, sizeof(out));
	ck_assert_uint_lt(n, sizeof(out));
	ck_assert_uint_gt(n, sizeof(out) - 32);
	ck_assert_int_eq(out[n - 1], '\n');
	ck_assert_mem_eq(out, "1 INFO: \n| \n| ", 14);
}
END_TEST

START_TEST(levels)
{
	struct log_opts opts = { .to_stderr = true };
	_Atomic int shared = L_DBG;

	redirect(FILE_);
	log_open(&opts);
	log_level_set(L_ERR);
	log_notice("no");
	log_write(L_WARN, "no");
	log_text(L_INFO, -1, NULL, STR_LIT("no"));
	ck_assert_str_eq(take(), "");
	ck_assert(log_on(L_ERR) && !log_on(L_WARN));
	log_level_at(&shared);
	log_debug("yes");
	expect("DEBUG: yes\n");
	shared = L_BUG;
	log_error("no");
	log_write(L_BUG, "yes");
	expect("BUG: yes\n");
	log_level_at(NULL);
	ck_assert_int_eq(log_level(), L_ERR);
	ck_assert_str_eq(log_level_name(-100), "ALERT");
	ck_assert_str_eq(log_level_name(L_CRIT2), "CRITICAL");
	ck_assert_str_eq(log_level_name(100), "DEBUG");
}
END_TEST

START_TEST(levels_of_modules)
{
	static struct log_modules table = { .most = LOG_MODULE_NONE };
	static const struct log_site xlog = { .file = "../../modules/xlog/xlog.c" }, tm = { .file = "../../core/tm/server.c" }, core = { .file = "../../core/route/route.c" };
	struct log_opts opts = { .to_stderr = true, .facility = LOG_DAEMON };
	int level, facility;

	redirect(FILE_);
	log_open(&opts);
	log_level_set(L_WARN);
	ck_assert_int_eq(log_module_set(STR_LIT("xlog"), L_DBG, LOG_MODULE_NONE), -EINVAL); /* no table */
	log_modules_at(&table);
	ck_assert_int_eq(log_module_set(STR_LIT("xlog"), L_DBG, LOG_MODULE_NONE), 0);
	ck_assert_int_eq(log_module_set(STR_LIT("tm"), L_ERR, LOG_LOCAL1), 0);
	ck_assert(!log_on(L_NOTICE)); /* they do not count yet */
	log_modules_count(true, true);
	ck_assert(log_on(L_DBG));
	log_write_at(&xlog, "f", L_DBG, "xlog");
	expect("DEBUG: xlog\n");
	log_write_at(&tm, "f", L_WARN, "no");
	log_write_at(&core, "f", L_NOTICE, "no");
	log_text_at(&tm, NULL, L_WARN, -1, STR_LIT("no"));
	ck_assert_str_eq(take(), "");
	log_write_at(&tm, "f", L_ERR, "tm");
	expect("ERROR: tm\n");
	log_write_at(&core, "f", L_WARN, "core");
	expect("WARNING: core\n");
	ck_assert_int_eq(log_module_get(STR_LIT("tm"), &level, &facility), 0);
	ck_assert(level == L_ERR && facility == LOG_LOCAL1);
	ck_assert_int_eq(log_module_get(STR_LIT("sl"), &level, &facility), -ENOENT);
	ck_assert_int_eq(log_module_set(STR_LIT("xlog"), L_ERR, LOG_MODULE_NONE), 0);
	ck_assert(!log_on(L_NOTICE)); /* nobody wants more than the core any more */
	log_write_at(&xlog, "f", L_WARN, "no");
	ck_assert_str_eq(take(), "");
	log_modules_count(false, false);
	log_write_at(&xlog, "f", L_WARN, "as the core");
	expect("WARNING: as the core\n");
	log_modules_at(NULL);
}
END_TEST

START_TEST(full_pipe_drops_and_never_waits)
{
	struct log_opts opts = { .to_stderr = true };
	uint64_t before_us = clock_now_us();
	uint64_t dropped;

	redirect(_i);
	log_open(&opts);
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	for (int i = 0; i < 5000; i++)
		log_error("%0200d", i);
	dropped = log_dropped();
	ck_assert_uint_gt(dropped, 0);
	ck_assert_uint_lt(dropped, 5000);
	ck_assert_uint_lt(clock_now_us() - before_us, 20u * 1000000u);
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0); /* not ours to change */
	for (int i = 0; i < 1000 && recv(reader, dir, 0, MSG_DONTWAIT) != -2; i++) /* read some */
		if (read(reader, (char[4096]){ 0 }, 4096) < 4096)
			break;
	log_error("after");
	ck_assert_uint_eq(log_dropped(), dropped);
}
END_TEST

static int daemon_socket(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	(void)unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	return fd;
}

static void setup_syslog(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/rf-test-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/log", dir);
}

static void teardown_syslog(void)
{
	clock_fake(0, 0);
	(void)unlink(path);
	(void)rmdir(dir);
}

START_TEST(syslog_lines)
{
	struct log_opts opts = { .facility = LOG_LOCAL3, .ident = "sip", .syslog_path = path };
	char want[100];
	const char *got;
	int n;

	reader = daemon_socket();
	log_open(&opts);
	log_level_set(L_INFO);
	log_error("broken");
	got = take();
	ck_assert_int_eq(strncmp(got, "<155>", 5), 0); /* 19 * 8 + 3 */
	n = snprintf(want, sizeof(want), " sip[%d]: ERROR: broken", (int)getpid());
	ck_assert_int_eq((int)strlen(got), 5 + 15 + n); /* date: "Nov 22 10:00:00" */
	ck_assert_str_eq(got + 20, want);
	log_text(L_INFO, LOG_LOCAL7, NULL, STR_LIT("own facility"));
	got = take();
	ck_assert_int_eq(strncmp(got, "<190>", 5), 0);
	ck_assert_ptr_nonnull(strstr(got, "INFO: own facility"));
}
END_TEST

START_TEST(syslog_comes_and_goes)
{
	struct log_opts opts = { .facility = LOG_DAEMON, .syslog_path = path };

	clock_fake(10000, 1000);
	log_open(&opts);
	log_error("nobody listens");
	ck_assert_uint_eq(log_dropped(), 1);
	reader = daemon_socket();
	log_error("tried a moment ago");
	ck_assert_uint_eq(log_dropped(), 2);
	clock_fake(11001, 1001);
	log_error("first");
	ck_assert_ptr_nonnull(strstr(take(), "ERROR: first"));
	(void)close(reader);
	reader = daemon_socket();
	clock_fake(13000, 1003);
	log_error("second");
	ck_assert_ptr_nonnull(strstr(take(), "ERROR: second"));
	for (int i = 0; i < 5000; i++) /* it lags */
		log_error("%0200d", i);
	ck_assert_uint_gt(log_dropped(), 100);
	(void)close(reader);
}
END_TEST

START_TEST(journal_gets_priorities)
{
	struct log_opts opts = { .to_stderr = true, .color = true };
	char want[64], stream[64];
	struct stat st;

	redirect(SOCKET);
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_open(&opts);
	log_error("broken");
	(void)snprintf(want, sizeof(want), "<3>%d ERROR: broken\n", (int)getpid()); /* and no colours */
	ck_assert_str_eq(take(), want);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0); /* another descriptor is the journal */
	opts.color = false;
	log_open(&opts);
	log_error("broken");
	expect("ERROR: broken\n");
}
END_TEST

/* clang-format off */
static const struct json_vector { const char *letters, *prefix, *text, *want; } jsons[] = {
	{ "",   "p ",      "say \"x\"\t\x01", "{ \"idx\": 3, \"pid\": 9, \"level\": \"INFO\", \"module\": \"xlog\", \"file\": \"modules/xlog/x.c\", \"line\": 282, \"function\": \"f\", \"logprefix\": \"p \", \"message\": \"say \\\"x\\\"\\t\\u0001\\n\" }\n" },
	{ "cM", "",        "t",             "{ \"idx\": 3, \"pid\": 9, \"level\": \"INFO\", \"module\": \"xlog\", \"file\": \"modules/xlog/x.c\", \"line\": 282, \"function\": \"f\", \"callid\": \"ci1\", \"logprefix\": \"\", \"message\": \"t\" }\n" },
	{ "aMN", "",       "\xff\xc3\xa9\xc0\xaf", "{ \"kamailio.idx\": 3, \"kamailio.pid\": 9, \"kamailio.level\": \"INFO\", \"kamailio.module\": \"xlog\", \"kamailio.file\": \"modules/xlog/x.c\", \"kamailio.line\": 282, \"kamailio.function\": \"f\", \"kamailio.logprefix\": \"\", \"kamailio.message\": \"\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\" }" },
	{ "jM", "{}",      "t",             "{ \"idx\": 3, \"pid\": 9, \"level\": \"INFO\", \"module\": \"xlog\", \"file\": \"modules/xlog/x.c\", \"line\": 282, \"function\": \"f\", \"logprefix\": {}, \"message\": { \"text\": \"t\" } }\n" },
	{ "pM", ", \"k\": 1", "t",          "{ \"idx\": 3, \"pid\": 9, \"level\": \"INFO\", \"module\": \"xlog\", \"file\": \"modules/xlog/x.c\", \"line\": 282, \"function\": \"f\", \"k\": 1, \"message\": \"t\" }\n" },
};
/* clang-format on */

START_TEST(json_lines)
{
	const struct json_vector *v = &jsons[_i];
	struct log_opts opts = { .engine = LOG_ENGINE_JSON, .ident = "sip" };
	struct log_line l = { .level = L_INFO, .pid = 9, .slot = 3, .src_line = 282, .file = STR_LIT("../../modules/xlog/x.c"), .func = STR_LIT("f"),
			      .callid = STR_LIT("ci1"), .prefix = str_lit(v->prefix), .text = str_lit(v->text) };
	static char out[LOG_OUT_MAX + 1];
	size_t n;

	ck_assert_int_eq(log_json_flags(str_lit(v->letters), &opts.json), 0);
	n = log_line_json(&opts, &l, out, LOG_OUT_MAX);
	out[n] = '\0';
	ck_assert_str_eq(out, v->want);
}
END_TEST

START_TEST(json_other)
{
	struct log_opts opts = { .engine = LOG_ENGINE_JSON, .ident = "sip" };
	static char out[LOG_OUT_MAX + 1], big[LOG_TEXT_MAX];
	struct log_line l = { .level = L_INFO, .pid = 9, .wall = { .tv_sec = 1000000000, .tv_nsec = 5 }, .text = STR_LIT("t"), .file = STR_LIT("core/x.c") };
	size_t n;

	ck_assert_int_eq(log_json_flags(STR_LIT("Mx"), &opts.json), -EINVAL);
	ck_assert_int_eq(log_json_flags(STR_LIT("UM"), &opts.json), 0);
	n = log_line_json(&opts, &l, out, LOG_OUT_MAX);
	out[n] = '\0';
	ck_assert_ptr_nonnull(strstr(out, "{\"time\":\"2001-09-09T01:46:40.000000005Z\",\"proc\":{\"id\":\"9\",\"tid\":9},\"pri\":\"INFO\",\"subsys\":\"core\","
				     "\"file\":{\"name\":\"core/x.c\",\"line\":0},\"native\":{\"function\":\"\"},\"msg\":\"t\",\"pname\":\"sip\",\"appname\":\"sip\",\"hostname\":\""));
	memset(big, 1, sizeof(big)); /* six bytes each: cut, and still a document */
	l.text = str_of(big, sizeof(big));
	opts.json = 0;
	n = log_line_json(&opts, &l, out, LOG_OUT_MAX);
	ck_assert_uint_gt(n, LOG_TEXT_MAX);
	ck_assert_int_eq(memcmp(out + n - 3, " }\n", 3), 0);
}
END_TEST

static void say(const char *text)
{
	log_error("%s", text); /* one place */
}

START_TEST(repeats_are_counted)
{
	struct log_opts opts = { .to_stderr = true, .repeat_limit = 2, .repeat_window_ms = 5000 };
	struct log_stats before, after;
	char want[256];

	clock_fake(10000, 1000);
	redirect(FILE_);
	log_open(&opts);
	log_stats(&before);
	for (int i = 0; i < 10; i++)
		say("same");
	(void)snprintf(want, sizeof(want), "%1$d ERROR: same\n%1$d ERROR: same\n", (int)getpid());
	ck_assert_str_eq(take(), want);
	log_stats(&after);
	ck_assert_uint_eq(after.n_held - before.n_held, 8);
	log_error("same"); /* another place: not held */
	expect("ERROR: same\n");
	log_tick(14999);
	ck_assert_str_eq(take(), "");
	log_tick(15000); /* its window is over */
	expect("ERROR: last line repeated 8 times: same\n");
	log_tick(30000);
	ck_assert_str_eq(take(), "");
	for (int i = 0; i < 3; i++)
		say("again");
	say("other"); /* another text of the same place: the count first, and nothing is lost */
	(void)snprintf(want, sizeof(want), "%1$d ERROR: again\n%1$d ERROR: again\n%1$d ERROR: last line repeated 1 times: again\n%1$d ERROR: other\n", (int)getpid());
	ck_assert_str_eq(take(), want);
	say("other");
	say("other");
	log_flush_repeats();
	(void)snprintf(want, sizeof(want), "%1$d ERROR: other\n%1$d ERROR: last line repeated 1 times: other\n", (int)getpid());
	ck_assert_str_eq(take(), want);
	for (int i = 0; i < 5; i++)
		log_warn_alike("from port %d", i); /* another text each time, and one line all the same */
	log_flush_repeats();
	(void)snprintf(want, sizeof(want), "%1$d WARNING: from port 0\n%1$d WARNING: from port 1\n%1$d WARNING: like this one 3 times: from port 0\n", (int)getpid());
	ck_assert_str_eq(take(), want);
	log_level_set(L_DBG);
	for (int i = 0; i < 5; i++)
		log_debug("each");
	(void)snprintf(want, sizeof(want), "%1$d DEBUG: each\n%1$d DEBUG: each\n%1$d DEBUG: each\n%1$d DEBUG: each\n%1$d DEBUG: each\n", (int)getpid());
	ck_assert_str_eq(take(), want);
	clock_fake(0, 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("log");
	TCase *err = tcase_create("stderr"), *sys = tcase_create("syslog");

	tcase_add_loop_test(err, lines_on_stderr, 0, N_KINDS);
	tcase_add_test(err, levels);
	tcase_add_test(err, many_lines);
	tcase_add_test(err, levels_of_modules);
	tcase_add_test(err, journal_gets_priorities);
	tcase_add_loop_test(err, json_lines, 0, ARRAY_LEN(jsons));
	tcase_add_test(err, json_other);
	tcase_add_test(err, repeats_are_counted);
	tcase_add_loop_test(err, full_pipe_drops_and_never_waits, 0, 2);
	suite_add_tcase(s, err);
	tcase_add_checked_fixture(sys, setup_syslog, teardown_syslog);
	tcase_add_test(sys, syslog_lines);
	tcase_add_test(sys, syslog_comes_and_goes);
	suite_add_tcase(s, sys);
	return s;
}
