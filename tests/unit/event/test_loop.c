/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop: order of a turn, deletion inside callbacks, errors of sockets, threads. */
#include "core/event/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/event/group.h"
#include "tests/lib/test_main.h"

static struct loop *loop;
static char mark_a[] = "a", mark_b[] = "b", mark_t[] = "t";
static char trace[256];
static size_t n_trace;

static void note(char c)
{
	if (n_trace < sizeof(trace) - 1)
		trace[n_trace++] = c;
	trace[n_trace] = '\0';
}

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_ptr_eq(loop_self(), loop);
	n_trace = 0;
	trace[0] = '\0';
}

static void teardown(void)
{
	loop_free(loop);
	ck_assert_ptr_null(loop_self());
}

static void stop(void *arg)
{
	(void)arg;
	note('s');
	loop_stop(loop);
}

static void mark(void *arg)
{
	const char *c = arg;

	note(*c);
}

START_TEST(deferred_calls_run_once_and_in_order)
{
	ck_assert_int_eq(loop_defer(loop, mark, mark_a), 0);
	ck_assert_int_eq(loop_defer(loop, mark, mark_b), 0);
	ck_assert_int_eq(loop_defer(loop, stop, NULL), 0);
	ck_assert_int_eq(loop_on_turn(loop, mark, mark_t), 0);
	loop_run(loop);
	ck_assert_str_eq(trace, "abstt"); /* the last t: flushed once more at the end */
}
END_TEST

static void defer_again(void *arg)
{
	int *n = arg;

	note('d');
	if (--*n == 0)
		loop_stop(loop);
	else
		ck_assert_int_eq(loop_defer(loop, defer_again, n), 0);
}

START_TEST(deferring_does_not_sleep)
{
	int n = 5;

	ck_assert_int_eq(loop_defer(loop, defer_again, &n), 0);
	loop_run(loop);
	ck_assert_str_eq(trace, "ddddd");
}
END_TEST

START_TEST(on_turn_is_bounded)
{
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(loop_on_turn(loop, mark, mark_t), 0);
	ck_assert_int_eq(loop_on_turn(loop, mark, mark_t), -ENOSPC);
}
END_TEST

struct timing {
	struct loop_timer *t;
	int n;
};

static void tick(void *arg)
{
	struct timing *x = arg;

	note('t');
	if (++x->n == 3) {
		loop_timer_del(x->t); /* inside its own callback */
		loop_stop(loop);
	}
}

START_TEST(timers_repeat_until_deleted)
{
	struct timing x = { 0 };
	struct loop_timer *never;

	ck_assert_int_eq(loop_timer_add(loop, 0, 1, tick, &x, &x.t), 0);
	ck_assert_int_eq(loop_timer_add(loop, 3600000, 0, stop, NULL, &never), 0);
	loop_timer_del(never);
	loop_timer_del(NULL);
	loop_run(loop);
	ck_assert_str_eq(trace, "ttt");
}
END_TEST

START_TEST(timer_once_may_be_set_again)
{
	struct loop_timer *t;

	ck_assert_int_eq(loop_timer_add(loop, 3600000, 0, stop, NULL, &t), 0);
	loop_timer_set(t, 1);
	loop_run(loop);
	loop_timer_set(t, 1);
	loop_run(loop);
	ck_assert_str_eq(trace, "ss");
}
END_TEST

struct watch {
	struct loop_io *io;
	int fds[2];
	int events;
};

static void on_read(void *arg, int fd, int events)
{
	struct watch *w = arg;
	char c = 0;

	w->events = events;
	ck_assert_int_eq(fd, w->fds[0]);
	if (events == LOOP_READ && read(fd, &c, 1) == 1)
		note(c);
	else
		note('w');
	if (c == 'z' || events != LOOP_READ) {
		loop_io_del(w->io); /* inside its own callback, and the descriptor right after */
		(void)close(w->fds[0]);
		loop_stop(loop);
	}
}

START_TEST(descriptors)
{
	struct watch w;
	struct loop_io *second;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, w.fds), 0);
	ck_assert_int_eq(loop_io_add(loop, w.fds[0], LOOP_READ, on_read, &w, &w.io), 0);
	ck_assert_int_lt(loop_io_add(loop, w.fds[0], LOOP_READ, on_read, &w, &second), 0);
	ck_assert_int_lt(loop_io_add(loop, -1, LOOP_READ, on_read, &w, &second), 0);
	ck_assert_int_eq(write(w.fds[1], "az", 2), 2);
	loop_run(loop);
	ck_assert_str_eq(trace, "az");
	(void)close(w.fds[1]);
	loop_io_del(NULL);
}
END_TEST

START_TEST(interest_changes)
{
	struct watch w;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, w.fds), 0);
	ck_assert_int_eq(loop_io_add(loop, w.fds[0], 0, on_read, &w, &w.io), 0);
	ck_assert_int_eq(write(w.fds[1], "a", 1), 1);
	ck_assert_int_eq(loop_defer(loop, stop, NULL), 0);
	loop_run(loop);
	ck_assert_str_eq(trace, "s"); /* nothing is watched */
	ck_assert_int_eq(loop_io_set(w.io, LOOP_WRITE), 0);
	loop_run(loop);
	ck_assert_str_eq(trace, "sw");
	ck_assert_int_eq(w.events, LOOP_WRITE);
	(void)close(w.fds[1]);
}
END_TEST

/* ---- groups ---- */

struct peer {
	struct loop_member m;
	int other, events;
};

static struct loop_group *group;
static struct peer peers[100];
static unsigned n_ready;

static void on_member(struct loop_member *m, int events)
{
	struct peer *p = CONTAINER_OF(m, struct peer, m);
	char c;

	p->events = events;
	ck_assert(m->events != 0);
	if ((events & LOOP_READ) && read(m->fd, &c, 1) == 1) {
		note(c);
		if (c == 'd') { /* takes out all others, which are in the same batch */
			for (unsigned i = 0; i < 3; i++)
				loop_group_del(group, &peers[i].m);
		}
	}
	n_ready++;
}

static void pair(struct peer *p, int events)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p->other = fds[1];
	ck_assert_int_eq(loop_group_add(group, &p->m, fds[0], events), 0);
}

static void unpair(struct peer *p)
{
	loop_group_del(group, &p->m);
	(void)close(p->m.fd);
	(void)close(p->other);
}

static void on_end_of_turn(void *arg)
{
	const unsigned *want = arg;

	if (n_ready >= *want)
		loop_stop(loop);
}

START_TEST(groups)
{
	static unsigned want;

	ck_assert_int_eq(loop_group_new(loop, on_member, &group), 0);
	ck_assert_int_eq(loop_on_turn(loop, on_end_of_turn, &want), 0);
	for (unsigned i = 0; i < ARRAY_LEN(peers); i++) {
		pair(&peers[i], LOOP_READ);
		ck_assert_int_eq(write(peers[i].other, "x", 1), 1);
	}
	n_ready = 0;
	want = ARRAY_LEN(peers); /* more than a batch: each is heard once */
	loop_run(loop);
	ck_assert_uint_eq(n_ready, ARRAY_LEN(peers));
	ck_assert_uint_eq(n_trace, ARRAY_LEN(peers));

	/* the same descriptor twice, and one that is none */
	struct peer again = { 0 };
	ck_assert_int_eq(loop_group_add(group, &again.m, peers[0].m.fd, LOOP_READ), -EEXIST);
	ck_assert_int_eq(loop_group_add(group, &again.m, -1, LOOP_READ), -EBADF);
	loop_group_del(group, &again.m);

	/* interest changes; a hang-up of one that watches nothing is not told, and does not spin */
	ck_assert_int_eq(loop_group_set(group, &peers[0].m, LOOP_WRITE), 0);
	n_ready = 0;
	want = 1;
	loop_run(loop);
	ck_assert_int_eq(peers[0].events, LOOP_WRITE);
	ck_assert_int_eq(loop_group_set(group, &peers[0].m, 0), 0);
	(void)shutdown(peers[0].other, SHUT_RDWR);
	(void)shutdown(peers[1].other, SHUT_RDWR);
	n_ready = 0;
	peers[0].events = 0;
	loop_run(loop);
	ck_assert_int_eq(peers[0].events, 0);
	ck_assert_int_eq(peers[1].events, LOOP_READ);
	for (unsigned i = 0; i < ARRAY_LEN(peers); i++)
		unpair(&peers[i]);

	/* whoever is taken out by another of the batch is not called */
	for (unsigned i = 0; i < 3; i++) {
		pair(&peers[i], LOOP_READ);
		ck_assert_int_eq(write(peers[i].other, "d", 1), 1);
	}
	n_ready = 0;
	loop_run(loop);
	ck_assert_uint_eq(n_ready, 1);
	for (unsigned i = 0; i < 3; i++)
		unpair(&peers[i]);
	loop_group_free(group);
	loop_group_free(NULL);
}
END_TEST

static int udp(struct sockaddr_in *sa)
{
	socklen_t len = sizeof(*sa);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*sa = (struct sockaddr_in){ .sin_family = AF_INET,
		                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)sa, sizeof(*sa)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)sa, &len), 0);
	return fd;
}

static void on_udp(void *arg UNUSED, int fd, int events)
{
	char c;

	ck_assert_int_eq(events, LOOP_READ);
	if (recv(fd, &c, 1, 0) == 1) {
		note(c);
		loop_stop(loop);
	} else {
		ck_assert_int_eq(errno, ECONNREFUSED);
		note('!');
		loop_stop(loop);
	}
}

START_TEST(an_icmp_error_does_not_deafen)
{
	struct sockaddr_in here, gone;
	struct loop_io *io;
	int fd = udp(&here), other = udp(&gone);

	(void)close(other);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&gone, sizeof(gone)), 0);
	ck_assert_int_eq(loop_io_add(loop, fd, LOOP_READ, on_udp, NULL, &io), 0);
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	loop_run(loop);
	ck_assert_str_eq(trace, "!");
	other = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(other, (struct sockaddr *)&gone, sizeof(gone)), 0);
	ck_assert_int_eq(sendto(other, "y", 1, 0, (struct sockaddr *)&here, sizeof(here)), 1);
	loop_run(loop);
	ck_assert_str_eq(trace, "!y");
	loop_io_del(io);
	(void)close(fd);
	(void)close(other);
}
END_TEST

static void on_signal(void *arg UNUSED, int signum)
{
	ck_assert_int_eq(signum, SIGUSR1);
	note('u');
	loop_stop(loop);
}

START_TEST(signals)
{
	ck_assert_int_eq(loop_signal_add(loop, SIGUSR1, on_signal, NULL), 0);
	ck_assert_int_eq(loop_signal_add(loop, SIGKILL, on_signal, NULL), -EINVAL);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	loop_run(loop);
	ck_assert_str_eq(trace, "u");
}
END_TEST

struct job {
	pthread_t loop_thread;
	bool elsewhere;
	int n_done, n_ended;
};

static void job_work(void *arg)
{
	struct job *j = arg;

	j->elsewhere = !pthread_equal(pthread_self(), j->loop_thread);
}

static void job_done(void *arg, bool ending)
{
	struct job *j = arg;

	if (ending) {
		j->n_ended++;
		return;
	}
	ck_assert(pthread_equal(pthread_self(), j->loop_thread));
	if (++j->n_done == 3)
		loop_stop(loop);
}

START_TEST(work_in_threads)
{
	struct job j = { .loop_thread = pthread_self() };

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(loop_work(loop, job_work, job_done, &j), 0);
	loop_run(loop);
	ck_assert(j.elsewhere);
	ck_assert_int_eq(j.n_done, 3);
}
END_TEST

static void no_signal(void *arg, int signum)
{
	(void)arg;
	(void)signum;
	ck_abort();
}

static struct sigaction heard_by;
static atomic_bool at_work;

/* Runs while loop_free() waits for it: told to end once more when libuv hears no signals any more. */
static void told_again(void *arg)
{
	struct sigaction now = heard_by;

	(void)arg;
	atomic_store(&at_work, true);
	for (int i = 0; i < 10000 && now.sa_handler == heard_by.sa_handler; i++) {
		(void)usleep(1000);
		ck_assert_int_eq(sigaction(SIGTERM, NULL, &now), 0);
	}
	ck_assert_ptr_ne(now.sa_handler, heard_by.sa_handler);
	(void)kill(getpid(), SIGTERM);
}

static void nobody(void *arg, bool ending)
{
	(void)arg;
	ck_assert(ending);
}

START_TEST(told_to_end_twice)
{
	ck_assert_int_eq(loop_signal_add(loop, SIGTERM, no_signal, NULL), 0);
	ck_assert_int_eq(sigaction(SIGTERM, NULL, &heard_by), 0);
	ck_assert_int_eq(loop_work(loop, told_again, nobody, NULL), 0);
	while (!atomic_load(&at_work)) /* what is not begun is taken back; the test has a limit */
		(void)usleep(1000);
	loop_free(loop);
	loop = NULL;
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
}
END_TEST

START_TEST(freed_with_work_and_watches_left)
{
	static struct job j[50]; /* a thread may still write it */
	struct loop_timer *t;
	struct loop_io *io;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(loop_io_add(loop, fds[0], LOOP_READ, on_read, NULL, &io), 0);
	ck_assert_int_eq(loop_timer_add(loop, 0, 0, stop, NULL, &t), 0);
	ck_assert_int_eq(loop_defer(loop, stop, NULL), 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(loop_work(loop, job_work, job_done, &j[i]), 0);
	loop_free(loop);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(j[i].n_done, 0);
		ck_assert_int_eq(j[i].n_ended, 1);
	}
	ck_assert_str_eq(trace, "");
	loop = NULL;
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

struct gate {
	int n_drains, n_asks, n_woken;
	bool asleep;
};

static bool gate_drain(void *arg)
{
	struct gate *g = arg;

	note('D');
	ck_assert(!g->asleep);
	return ++g->n_drains == 1; /* first: more is waiting */
}

static bool gate_may_sleep(void *arg)
{
	struct gate *g = arg;

	note('?');
	if (++g->n_asks == 1)
		return false; /* something came in between */
	g->asleep = true;
	return true;
}

static void gate_woke(void *arg)
{
	struct gate *g = arg;

	note('!');
	ck_assert(g->asleep);
	g->asleep = false;
	g->n_woken++;
}

START_TEST(gate_between_loop_and_sleep)
{
	struct gate g = { 0 };
	const struct loop_gate gate = { gate_drain, gate_may_sleep, gate_woke, &g };
	struct loop_timer *t;

	loop_gate_set(loop, &gate);
	ck_assert_int_eq(loop_on_turn(loop, mark, mark_t), 0);
	ck_assert_int_eq(loop_timer_add(loop, 20, 0, stop, NULL, &t), 0);
	loop_run(loop);
	ck_assert_int_eq(strncmp(trace, "DtDt?Dt?!", 9), 0);
	ck_assert_ptr_nonnull(strchr(trace, 's'));
	ck_assert_int_ge(g.n_woken, 1);
}
END_TEST

static void see_clock(void *arg)
{
	uint64_t *seen_ms = arg;

	*seen_ms = clock_ms();
	loop_stop(loop);
}

START_TEST(clock_is_read_on_waking)
{
	uint64_t before_ms = clock_update(), seen_ms = 0;
	struct loop_timer *t;

	ck_assert_int_eq(loop_timer_add(loop, 30, 0, see_clock, &seen_ms, &t), 0);
	loop_run(loop);
	ck_assert_uint_ge(seen_ms, before_ms + 29);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("loop");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, deferred_calls_run_once_and_in_order);
	tcase_add_test(tc, deferring_does_not_sleep);
	tcase_add_test(tc, on_turn_is_bounded);
	tcase_add_test(tc, timers_repeat_until_deleted);
	tcase_add_test(tc, timer_once_may_be_set_again);
	tcase_add_test(tc, descriptors);
	tcase_add_test(tc, interest_changes);
	tcase_add_test(tc, groups);
	tcase_add_test(tc, an_icmp_error_does_not_deafen);
	tcase_add_test(tc, signals);
	tcase_add_test(tc, work_in_threads);
	tcase_add_test(tc, told_to_end_twice);
	tcase_add_test(tc, freed_with_work_and_watches_left);
	tcase_add_test(tc, gate_between_loop_and_sleep);
	tcase_add_test(tc, clock_is_read_on_waking);
	suite_add_tcase(s, tc);
	return s;
}
