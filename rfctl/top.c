/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rfctl top: the view, drawn once a second on a terminal's second screen, cut to its size. The terminal is put back however the program
 * ends. --once prints one view of one interval, as text or JSON.
 */
#include "rfctl/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512
#define HEARTBEAT_LATE_MS 500

/* ---- the view as lines ---- */

struct paper {
	unsigned columns, lines, n; /* n: written so far */
	bool bold;
};

enum look { PLAIN, HEAD, WARN };

PRINTF_LIKE(3, 4) static void line(struct paper *p, enum look look, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;
	size_t n;

	if (p->lines && p->n + 1 >= p->lines) /* the last line stays empty, else the screen would roll */
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	if (p->columns && n > p->columns)
		n = p->columns;
	if (p->bold && look != PLAIN)
		(void)printf("%s", look == HEAD ? "\033[1m" : "\033[1;31m");
	rf_print_safe(text, n);
	if (p->bold)
		(void)printf("%s\033[K", look != PLAIN ? "\033[0m" : "");
	(void)putchar('\n');
	p->n++;
}

/* "NAME 12.5  OTHER 3.0": members that are not 0, and "all" first. */
static void rate_line(struct paper *p, const char *title, const json_t *rates)
{
	char text[LINE_MAX_BYTES];
	size_t n = (size_t)snprintf(text, sizeof(text), "%-10s %9.1f/s", title, json_real_value(json_object_get(rates, "all")));
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)rates, name, v) {
		if (strcmp(name, "all") == 0 || json_real_value(v) == 0 || n >= sizeof(text) - 1)
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "   %s %.1f", name, json_real_value(v));
	}
	line(p, PLAIN, "%s", text);
}

static const char *bound(const json_t *o, const char *name, char mem[24])
{
	int64_t us = rf_int(o, name);

	if (us == 0)
		return "-";
	if (us < 0)
		return ">16 s";
	if (us < 10000)
		(void)snprintf(mem, 24, "<%lld us", (long long)us);
	else
		(void)snprintf(mem, 24, "<%lld ms", (long long)(us + 999) / 1000);
	return mem;
}

static void latency_line(struct paper *p, const char *title, const json_t *o)
{
	char mem[4][24];

	line(p, PLAIN, "%-10s %9.1f/s   mean %lld us   p50 %s   p90 %s   p99 %s   max %s", title, json_real_value(json_object_get(o, "per_s")),
	     (long long)rf_int(o, "mean"), bound(o, "p50_below", mem[0]), bound(o, "p90_below", mem[1]), bound(o, "p99_below", mem[2]),
	     bound(o, "max_below", mem[3]));
}

static void process_line(struct paper *p, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "description"));
	char late[RF_CELL_MAX];

	(void)rf_cell(o, "heartbeat_age_ms", late);
	line(p, rf_int(o, "heartbeat_age_ms") > HEARTBEAT_LATE_MS ? WARN : PLAIN, "%8lld %5.1f %9.1f %7s %9.1f %8lld %8lld  %s",
	     (long long)rf_int(o, "pid"), json_real_value(json_object_get(o, "cpu_percent")),
	     json_real_value(json_object_get(o, "messages_per_s")), late[0] ? late : "-",
	     json_real_value(json_object_get(o, "lock_waits_per_s")), (long long)rf_int(o, "restarts"), (long long)rf_int(o, "rss_kb") / 1024,
	     name ? name : "");
}

void top_print(const json_t *v, unsigned columns, unsigned lines, bool bold)
{
	struct paper p = { .columns = columns, .lines = lines, .bold = bold };
	const json_t *mem = json_object_get(v, "memory"), *tm = json_object_get(v, "transactions"), *bans = json_object_get(v, "bans"), *o;
	const char *server = json_string_value(json_object_get(v, "server")), *table = json_string_value(json_object_get(bans, "table"));
	int64_t up = rf_int(v, "uptime_s"), dropped = rf_int(v, "log_lines_dropped");
	char ban_text[96] = "no table of bans";

	if (bans)
		(void)snprintf(ban_text, sizeof(ban_text), "%lld in %.60s", (long long)rf_int(bans, "items"), table ? table : "");
	line(&p, HEAD, "%s   up %lldd %02lld:%02lld:%02lld   over %.1f s", server ? server : "?", (long long)up / 86400, (long long)up / 3600 % 24,
	     (long long)up / 60 % 60, (long long)up % 60, (double)rf_int(v, "interval_ms") / 1000.0);
	line(&p, PLAIN, "%s", "");
	rate_line(&p, "requests", json_object_get(v, "requests_per_s"));
	rate_line(&p, "replies", json_object_get(v, "replies_per_s"));
	o = json_object_get(v, "datagrams_per_s");
	line(&p, PLAIN, "datagrams  in %.1f/s   out %.1f/s   connections %lld", json_real_value(json_object_get(o, "in")),
	     json_real_value(json_object_get(o, "out")), (long long)rf_int(v, "connections"));
	line(&p, PLAIN, "%s", "");
	line(&p, HEAD, "TIME TAKEN");
	latency_line(&p, "requests", json_object_get(json_object_get(v, "latency_us"), "requests"));
	latency_line(&p, "replies", json_object_get(json_object_get(v, "latency_us"), "replies"));
	line(&p, PLAIN, "%s", "");
	line(&p, PLAIN, "transactions %lld (%lld waiting), %.1f/s   contacts %lld of %lld users   bans %s, pike blocks %lld", (long long)rf_int(tm, "current"),
	     (long long)rf_int(tm, "waiting"), json_real_value(json_object_get(v, "transactions_per_s")), (long long)rf_int(v, "contacts"),
	     (long long)rf_int(v, "users"), ban_text, (long long)rf_int(v, "pike_blocked"));
	line(&p, PLAIN, "shared memory %.1f MB used, %.1f MB committed, %.1f MB at most so far, of %.0f MB", (double)rf_int(mem, "used") / 1e6,
	     (double)rf_int(mem, "real_used") / 1e6, (double)rf_int(mem, "max_used") / 1e6, (double)rf_int(mem, "total") / 1e6);
	if (dropped > 0)
		line(&p, WARN, "%lld lines of the log were lost", (long long)dropped);
	line(&p, PLAIN, "%s", "");
	line(&p, HEAD, "     PID  CPU%%     MSG/S BEAT ms LOCKWT/S RESTARTS   RSS MB  PROCESS");
	for (size_t i = 0; (o = rf_item(json_object_get(v, "processes"), "", i)); i++)
		process_line(&p, o);
}

/* ---- the terminal ---- */

static struct termios terminal_was;
static volatile sig_atomic_t resized, resumed;

static void leave_screen(void)
{
	static const char back[] = "\033[?25h\033[?1049l";

	(void)!write(STDOUT_FILENO, back, sizeof(back) - 1);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_was);
}

static void on_end(int sig)
{
	leave_screen();
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

/* ^Z: the shell gets its terminal back; this returns when the shell continues us. */
static void on_stop(int sig)
{
	(void)sig;
	leave_screen();
	(void)raise(SIGSTOP);
	resumed = resized = 1;
}

static void take_screen(void)
{
	struct termios raw = terminal_was;

	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	(void)printf("\033[?1049h\033[?25l\033[2J");
}

static void enter_screen(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	(void)tcgetattr(STDIN_FILENO, &terminal_was);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)signal(ends[i], on_end);
	(void)sigaction(SIGWINCH, &(struct sigaction){ .sa_handler = on_resize }, NULL); /* no SA_RESTART: poll() must see it */
	(void)sigaction(SIGTSTP, &(struct sigaction){ .sa_handler = on_stop }, NULL);
	take_screen();
}

static void draw(const json_t *view, const char *trouble)
{
	struct winsize size = { 0 };

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	if (size.ws_row == 0 || size.ws_col == 0) /* a serial line knows of none */
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	if (resumed)
		take_screen();
	resumed = 0;
	if (resized)
		(void)printf("\033[2J");
	resized = 0;
	(void)printf("\033[H");
	if (trouble) {
		struct paper p = { .columns = size.ws_col, .lines = size.ws_row, .bold = true };

		line(&p, WARN, "%s", trouble);
		line(&p, PLAIN, "Asking again every second; q quits.");
	} else if (view) {
		top_print(view, size.ws_col, size.ws_row, true);
	}
	(void)printf("\033[J");
	(void)fflush(stdout);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Until the next view is due or the window changed. False: the operator has seen enough. */
static bool wait_key(uint64_t until)
{
	struct pollfd p = { STDIN_FILENO, POLLIN, 0 };
	uint64_t now;

	while ((now = now_ms()) < until && !resized) {
		char c;
		int n = poll(&p, 1, (int)(until - now));

		if (n > 0 && (read(STDIN_FILENO, &c, 1) != 1 || c == 'q' || c == 'Q' || c == 3))
			return false;
	}
	return true;
}

static int live(struct rfctl *rf, const char *ban_table)
{
	json_t *was = NULL, *view = NULL;
	uint64_t next = now_ms();

	enter_screen();
	do {
		struct rf_reply why;
		json_t *now = NULL;

		if (now_ms() >= next || !was) {
			next = now_ms() + rf->interval_ms;
			if (top_sample(rf, ban_table, &now, &why) == RF_OK) {
				json_decref(view);
				view = top_view(was ? was : now, now);
				json_decref(was);
				was = now;
			}
			draw(view, now ? NULL : why.text);
			if (!now) {
				json_decref(was);
				was = NULL;
			}
		} else {
			draw(view, NULL); /* another size */
		}
	} while (wait_key(next));
	leave_screen();
	json_decref(view);
	json_decref(was);
	return RF_OK;
}

static int once(struct rfctl *rf, const char *ban_table)
{
	const struct timespec nap = { .tv_sec = rf->interval_ms / 1000, .tv_nsec = (long)(rf->interval_ms % 1000) * 1000000 };
	json_t *first = NULL, *second = NULL, *view;
	struct rf_reply why;
	int status = top_sample(rf, ban_table, &first, &why);

	if (status == RF_OK) {
		(void)nanosleep(&nap, NULL);
		status = top_sample(rf, ban_table, &second, &why);
	}
	if (status == RF_OK) {
		view = top_view(first, second);
		if (rf->json)
			(void)rf_print_json(view);
		else
			top_print(view, 0, 0, false);
		json_decref(view);
	} else {
		status = rf_fail(rf, status, why.code, "%s", why.text);
	}
	json_decref(first);
	json_decref(second);
	return status;
}

int cmd_top(struct rfctl *rf, int argc, char **argv)
{
	const char *ban_table = rf->table ? rf->table : "ipban";

	(void)argc;
	(void)argv;
	if (rf->once || rf->json)
		return once(rf, ban_table);
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return rf_fail(rf, RF_USAGE, 0, "top needs a terminal; top --once prints one view");
	if (rf->timeout_ms > 3000)
		rf->timeout_ms = 3000; /* a key must not wait long */
	return live(rf, ban_table);
}
