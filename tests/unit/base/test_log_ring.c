/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings of lines: what one process says another writes, a reader that takes nothing costs lines and no time, a dead writer loses nothing. */
#include "core/base/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log_priv.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

static int reader;
static char got[1 << 20];
static size_t got_n;

static void setup(void)
{
	struct shm_opts opts = { .ceiling_bytes = 16u << 20 };
	struct log_opts log = { .to_stderr = true };
	int fds[2];

	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(fds[1]);
	reader = fds[0];
	log_open(&log);
	log_level_set(L_INFO);
	ck_assert_int_eq(log_rings_new(4), 0);
	log_rings_use(true);
	got_n = 0;
}

static void teardown(void)
{
	log_rings_free();
	shm_arena_destroy();
}

static const char *take(void)
{
	ssize_t n;

	while ((n = read(reader, got + got_n, sizeof(got) - 1 - got_n)) > 0)
		got_n += (size_t)n;
	got[got_n] = '\0';
	return got;
}

static unsigned count(const char *text)
{
	unsigned n = 0;

	for (const char *p = got; (p = strstr(p, text)); p++)
		n++;
	return n;
}

/* Says n lines in slot `slot`; then dies as it is, without giving anything back. */
static void say_in_child(unsigned slot, unsigned n, const char *what)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (shm_slot_take(slot, SHM_SLOT_TEST) < 0)
			_exit(1);
		for (unsigned i = 0; i < n; i++)
			log_info("%s %u %0200u", what, i, i);
		(void)raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}

START_TEST(a_dead_writer_loses_nothing)
{
	struct pollfd pfd = { .fd = log_rings_fd(), .events = POLLIN };

	ck_assert(log_rings_sleep());
	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
	say_in_child(1, 20, "one");
	ck_assert_int_eq(poll(&pfd, 1, 0), 1); /* the reader is woken */
	log_rings_woken(); /* and can wait for time to pass instead, while nothing can be written */
	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
	say_in_child(2, 20, "two");
	ck_assert_str_eq(take(), ""); /* who says it does not write */
	ck_assert(!log_rings_sleep());
	ck_assert_int_eq(log_rings_write(15), 15);
	ck_assert_int_eq(log_rings_write(100), 25);
	ck_assert_int_eq(log_rings_write(100), 0);
	(void)take();
	ck_assert_uint_eq(count("INFO: one"), 20);
	ck_assert_uint_eq(count("INFO: two"), 20);
	ck_assert(strstr(got, "one 19") < strstr(got, "two 0")); /* oldest first */
	ck_assert(log_rings_sleep());
}
END_TEST

START_TEST(a_stopped_reader_costs_lines_and_no_time)
{
	uint64_t before_us = clock_now_us();
	unsigned written = 0, rounds = 0;
	struct log_stats s;
	int n;

	say_in_child(1, 5000, "flood");
	log_stats(&s);
	ck_assert_uint_eq(s.n_lines + s.n_dropped, 5000);
	ck_assert_uint_gt(s.n_dropped, 1000);
	ck_assert_uint_lt(clock_now_us() - before_us, 10u * 1000000u);
	while ((n = log_rings_write(1000)) > 0)
		written += (unsigned)n;
	ck_assert_int_eq(n, -EAGAIN); /* the pipe is full: nothing is lost of what the ring holds */
	ck_assert_int_eq(log_rings_write(1000), -EAGAIN);
	do {
		(void)take();
		n = log_rings_write(1000);
	} while (n != 0 && rounds++ < 1000);
	(void)take();
	ck_assert_uint_eq(count("INFO: flood"), s.n_lines);
	for (const char *p = got, *end; *p; p = end + 1) { /* whole lines, though the pipe was full in the middle of one */
		end = strchr(p, '\n');
		ck_assert_ptr_nonnull(end);
		ck_assert(strstr(p, "INFO: flood") < end || strstr(p, "are missing here") < end);
	}
	ck_assert_uint_eq(count("are missing here"), 1);
	(void)written;
}
END_TEST

static void put_old(unsigned slot)
{
	struct log_line l = { .level = L_ERR, .facility = -1, .pid = 1, .wall = { .tv_sec = 1 }, .text = STR_LIT("of old") };

	ck_assert(log_ring_put(slot, &l));
}

/* A line longer than a pipe takes in one piece stays whole, though an older one comes when half of it is out. */
START_TEST(what_was_begun_is_finished_first)
{
	static char text[9000];
	unsigned rounds = 0;
	int n;

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
	for (unsigned i = 0; i < 12; i++) /* 108 kB: more than the pipe holds */
		log_text(L_ERR, -1, NULL, str_of(text, sizeof(text)));
	shm_slot_release();
	while ((n = log_rings_write(1000)) > 0)
		;
	ck_assert_int_eq(n, -EAGAIN);
	put_old(2);
	do {
		(void)take();
		n = log_rings_write(1000);
	} while (n != 0 && rounds++ < 1000);
	(void)take();
	ck_assert_uint_eq(count("ERROR: x"), 12);
	ck_assert_uint_eq(count("\n1 ERROR: of old\n"), 1);
	for (const char *p = strchr(got, 'x'); p; p = strchr(p + strspn(p, "x"), 'x'))
		ck_assert_uint_eq(strspn(p, "x"), sizeof(text));
}
END_TEST

START_TEST(wraps_and_long_texts)
{
	static char text[40000];

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(shm_slot_take(3, SHM_SLOT_TEST), 0);
	for (unsigned i = 0; i < 100; i++) {
		log_text(L_ERR, -1, NULL, str_of(text, 1 + i * 397));
		ck_assert_int_eq(log_rings_write(10), 1);
		got_n = 0;
		(void)take();
		ck_assert_uint_eq(strspn(strchr(got, 'x'), "x"), 1 + i * 397 < 16384 ? 1 + i * 397 : 16384);
	}
	log_error("last");
	log_rings_rest(); /* the reader has gone */
	log_error("very last");
	(void)take();
	ck_assert_ptr_nonnull(strstr(got, "ERROR: last\n"));
	ck_assert_ptr_nonnull(strstr(got, "ERROR: very last\n"));
	shm_slot_release();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("log_ring");
	TCase *t = tcase_create("rings");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_dead_writer_loses_nothing);
	tcase_add_test(t, a_stopped_reader_costs_lines_and_no_time);
	tcase_add_test(t, what_was_begun_is_finished_first);
	tcase_add_test(t, wraps_and_long_texts);
	suite_add_tcase(s, t);
	return s;
}
