/* SPDX-License-Identifier: BSD-2-Clause */
/* Two processes that wake each other: no message is lost, whether the reader sleeps or not. */
#include "core/event/doorbell.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define N_ROUNDS 3000u
#define N_FLOOD 20000u

static struct loop *loop;
static unsigned n_got, n_wrong;
static unsigned peer;

static int send_number(unsigned to, uint16_t type, uint32_t number)
{
	char head[] = "num:";
	struct iovec parts[2] = { { head, 4 }, { &number, sizeof(number) } };

	return doorbell_send(to, type, parts, 2);
}

static bool is_number(const void *data, size_t len, uint32_t want)
{
	uint32_t got;

	if (len != 8 || memcmp(data, "num:", 4) != 0)
		return false;
	memcpy(&got, (const char *)data + 4, sizeof(got));
	return got == want;
}

/* The child sends each number back; a message of another type ends it. */
static void echo(unsigned from, const void *data, size_t len)
{
	uint32_t number;

	if (len == 8) {
		memcpy(&number, (const char *)data + 4, sizeof(number));
		if (send_number(from, DOORBELL_RPC, number) < 0)
			_exit(3);
	}
}

static void finish(unsigned from, const void *data, size_t len)
{
	(void)from;
	(void)data;
	(void)len;
	loop_stop(loop);
}

static void count(unsigned from, const void *data, size_t len)
{
	(void)from;
	if (!is_number(data, len, n_got))
		n_wrong++;
	n_got++;
}

static NORETURN void child(doorbell_fn *on_rpc)
{
	if (shm_slot_take(2, SHM_SLOT_TEST) < 0 || loop_new(&loop) < 0 || doorbell_listen(loop) < 0)
		_exit(1);
	doorbell_handle(DOORBELL_RPC, on_rpc);
	doorbell_handle(DOORBELL_MODULE, finish);
	loop_run(loop);
	loop_free(loop);
	shm_slot_release();
	_exit(on_rpc == count && (n_got != N_FLOOD || n_wrong) ? 2 : 0);
}

static pid_t start(doorbell_fn *on_rpc)
{
	const struct shm_opts opts = { .ceiling_bytes = 64u << 20 };
	pid_t pid;

	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(doorbell_open_all(4), 0);
	ck_assert_int_eq(doorbell_open_all(4), -EEXIST);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		child(on_rpc);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(doorbell_listen(loop), 0);
	peer = 2;
	return pid;
}

static void end(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	loop_free(loop);
	shm_slot_release();
	doorbell_close_all();
	shm_arena_destroy();
}

static void pong(unsigned from, const void *data, size_t len)
{
	ck_assert_uint_eq(from, peer);
	ck_assert(is_number(data, len, n_got));
	if (++n_got == N_ROUNDS)
		loop_stop(loop);
	else
		ck_assert_int_eq(send_number(peer, DOORBELL_RPC, n_got), 0);
}

/* The child may not have its slot yet: try until it has. */
static void first(void *arg)
{
	struct loop_timer **t = arg;
	int err = send_number(peer, DOORBELL_RPC, 0);

	ck_assert(err == 0 || err == -ESRCH);
	if (err == 0) {
		loop_timer_del(*t);
		*t = NULL;
	}
}

START_TEST(ping_pong)
{
	pid_t pid = start(echo);
	struct loop_timer *t;

	doorbell_handle(DOORBELL_RPC, pong);
	ck_assert_int_eq(loop_timer_add(loop, 0, 1, first, &t, &t), 0);
	loop_run(loop);
	ck_assert_uint_eq(n_got, N_ROUNDS);
	ck_assert_int_eq(send_number(peer, 999, 0), 0);
	ck_assert_int_eq(send_number(peer, DOORBELL_MODULE, 0), 0);
	end(pid);
}
END_TEST

static uint32_t n_sent;

static void flood(void *arg)
{
	int err = 0;

	(void)arg;
	while (n_sent < N_FLOOD && (err = send_number(peer, DOORBELL_RPC, n_sent)) == 0)
		n_sent++;
	ck_assert(err == 0 || err == -EAGAIN || err == -ESRCH);
	if (n_sent == N_FLOOD && send_number(peer, DOORBELL_MODULE, 0) == 0)
		loop_stop(loop);
}

START_TEST(flood_in_order)
{
	pid_t pid = start(count);
	struct loop_timer *t;

	ck_assert_int_eq(loop_timer_add(loop, 0, 1, flood, NULL, &t), 0);
	loop_run(loop);
	end(pid);
}
END_TEST

static void unhandled_seen(void *arg)
{
	(void)arg;
	if (doorbell_unhandled() == 2)
		loop_stop(loop);
}

START_TEST(to_oneself_and_unhandled)
{
	const struct shm_opts opts = { .ceiling_bytes = 64u << 20 };

	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(doorbell_listen(loop), -ENXIO);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
	ck_assert_int_eq(doorbell_listen(loop), -ENXIO);
	ck_assert_int_eq(doorbell_open_all(SHM_SLOTS_MAX + 1), -EINVAL);
	ck_assert_int_eq(doorbell_open_all(2), 0);
	ck_assert_int_eq(doorbell_listen(loop), 0);
	ck_assert_int_eq(loop_on_turn(loop, unhandled_seen, NULL), 0);
	doorbell_ring(100);
	ck_assert_int_eq(send_number(1, DOORBELL_DB, 1), 0);
	ck_assert_int_eq(send_number(1, 5000, 1), 0);
	loop_run(loop);
	ck_assert_uint_eq(doorbell_unhandled(), 2);
	loop_free(loop);
	shm_slot_release();
	doorbell_close_all();
	shm_arena_destroy();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("doorbell");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, ping_pong);
	tcase_add_test(tc, flood_in_order);
	tcase_add_test(tc, to_oneself_and_unhandled);
	tcase_set_timeout(tc, 20);
	suite_add_tcase(s, tc);
	return s;
}
