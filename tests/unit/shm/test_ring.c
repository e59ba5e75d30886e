/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings: order, wrapping, limits, the sleeping handshake, and readers that die. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/arena.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"
#include "tests/unit/shm/fixture.h"

static uint8_t big[SHM_RING_MSG_MAX + 1];

struct seen {
	unsigned n;
	uint64_t bytes;
	uint32_t next;
};

/* Message k carries k in its first 4 bytes and (uint8_t)k in all others. */
static void got(void *arg, unsigned from, uint16_t type, const void *data, size_t len)
{
	struct seen *seen = arg;
	uint32_t k = seen->next++;
	const uint8_t *p = data;

	ck_assert_uint_eq(from, 0);
	ck_assert_uint_eq(type, (uint16_t)k);
	if (len >= 4)
		ck_assert_int_eq(memcmp(p, &k, 4), 0);
	for (size_t i = 4; i < len; i++)
		if (p[i] != (uint8_t)k)
			ck_abort_msg("message %u byte %zu", k, i);
	seen->n++;
	seen->bytes += len;
}

static int put(unsigned to, uint32_t k, size_t len)
{
	struct iovec parts[2] = { { &k, len < 4 ? len : 4 }, { big, len < 4 ? 0 : len - 4 } };

	memset(big, (uint8_t)k, parts[1].iov_len);
	return shm_ring_put(to, (uint16_t)k, parts, 2);
}

START_TEST(order_wrap_and_limits)
{
	static const size_t sizes[] = { 0, 1, 4, 7, 8, 100, 1000, 9999, 70000, SHM_RING_MSG_MAX };
	struct seen seen = { 0 };
	uint32_t k = 0;

	fx_arena(16);
	ck_assert(!shm_ring_pending());
	ck_assert_int_eq(put(0, 0, SHM_RING_MSG_MAX + 1), -EMSGSIZE);
	ck_assert_int_eq(put(5, 0, 10), -ESRCH);
	ck_assert_int_eq(put(SHM_SLOTS_MAX, 0, 10), -ESRCH);
	for (unsigned round = 0; round < 3000; round++) {
		int err = put(0, k, sizes[(round * 7 + round / 10) % ARRAY_LEN(sizes)]);

		ck_assert(err == 0 || err == -EAGAIN);
		k += err == 0;
		ck_assert(shm_ring_pending());
		if (err == -EAGAIN || round % 5 == 0)
			ck_assert_uint_gt(shm_ring_drain(1 + round % 3, got, &seen), 0);
	}
	while (shm_ring_drain(10, got, &seen))
		;
	ck_assert_uint_eq(seen.n, k);
	ck_assert(!shm_ring_pending());
	ck_assert_int_eq(shm_slab_check(), 0);
	fx_done();
}
END_TEST

START_TEST(full_ring_says_so)
{
	struct seen seen = { 0 };
	uint32_t k = 0;

	fx_arena(16);
	while (put(0, k, 100) == 0)
		k++;
	ck_assert_uint_gt(k, SHM_RING_BYTES / 130);
	ck_assert_int_eq(put(0, k, 100), -EAGAIN);
	ck_assert_uint_eq(shm_ring_drain(10, got, &seen), 10);
	ck_assert_int_eq(put(0, k++, 100), 0);
	ck_assert_uint_eq(shm_ring_drain(100000, got, &seen), k - 10);
	fx_done();
}
END_TEST

START_TEST(says_when_the_reader_sleeps)
{
	fx_arena(16);
	ck_assert_int_eq(put(0, 0, 4), 0);
	shm_ring_sleep(true);
	ck_assert(shm_ring_pending());
	ck_assert_int_eq(put(0, 1, 4), 1);
	shm_ring_sleep(false);
	ck_assert_int_eq(put(0, 2, 4), 0);
	fx_done();
}
END_TEST

static void put_one(void *arg)
{
	if (put(0, *(uint32_t *)arg, 10) < 0)
		_exit(7);
}

static void types_in_order(void *arg, unsigned from, uint16_t type, const void *data, size_t len)
{
	unsigned *n = arg;

	(void)from;
	(void)data;
	(void)len;
	ck_assert_uint_eq(type, *n);
	ck_assert(shm_ring_pending());
	++*n;
	if (type == 4) /* put by a handler: behind all that is there */
		ck_assert_int_eq(put(0, 9, 10), 0);
}

/* One put after the other, by whomever: read in that order, whatever the slots and the budget. */
START_TEST(order_of_all_writers)
{
	static const unsigned writer[] = { 3, 0, 70, 1, 0, 3, 3, 70, 1 };
	unsigned n = 0;

	fx_arena(16);
	for (uint32_t k = 0; k < ARRAY_LEN(writer); k++) {
		if (writer[k] == 0)
			ck_assert_int_eq(put(0, k, 10), 0);
		else
			ck_assert_int_eq(fx_wait(fx_fork(writer[k], put_one, &k)), 0);
	}
	ck_assert_uint_eq(shm_ring_drain(2, types_in_order, &n), 2);
	ck_assert_uint_eq(shm_ring_drain(100, types_in_order, &n), ARRAY_LEN(writer) + 1 - 2);
	ck_assert(!shm_ring_pending());
	fx_done();
}
END_TEST

#define HAND_OVER 60000u

/* Reader in slot 1: sleeps on an eventfd whenever it may; a lost wake-up would stop it for ever. */
static void reader(void *arg)
{
	int fd = *(int *)arg;
	struct seen seen = { 0 };

	while (seen.n < HAND_OVER) {
		uint64_t n;

		if (shm_ring_drain(64, got, &seen) > 0)
			continue;
		shm_ring_sleep(true);
		if (!shm_ring_pending() && read(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
			_exit(7);
		shm_ring_sleep(false);
	}
}

START_TEST(no_wake_up_is_lost)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t one = 1;
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	fx_arena(16);
	pid = fx_fork(1, reader, &fd);
	for (uint32_t k = 0; k < HAND_OVER;) {
		int res = put(1, k, k % 200);

		ck_assert(res >= 0 || res == -EAGAIN || res == -ESRCH);
		k += res >= 0;
		if (res == 1)
			ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
	}
	ck_assert_int_eq(fx_wait(pid), 0);
	fx_done();
}
END_TEST

static void die_on_second(void *arg, unsigned from, uint16_t type, const void *data, size_t len)
{
	(void)from;
	(void)data;
	(void)len;
	(void)arg;
	if (type == 1)
		(void)kill(getpid(), SIGKILL);
}

static void drain_and_die(void *arg)
{
	(void)shm_ring_drain(10, die_on_second, arg);
}

static void count_types(void *arg, unsigned from, uint16_t type, const void *data, size_t len)
{
	(void)from;
	(void)data;
	(void)len;
	*(unsigned *)arg |= 1u << type;
}

static void drain_rest(void *arg)
{
	unsigned seen = 0;

	(void)arg;
	(void)shm_ring_drain(10, count_types, &seen);
	_exit((int)seen);
}

/* What the dead reader had not finished comes once more; what killed two is dropped. */
START_TEST(replacement_goes_on)
{
	pid_t pid;
	int status;

	fx_arena(16);
	pid = fx_fork(1, drain_rest, NULL); /* makes slot 1 known */
	status = fx_wait(pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(shm_slot_mark_dead(1), 0);
	for (uint32_t k = 0; k < 4; k++)
		ck_assert_int_eq(put(1, k, 10), 0);
	ck_assert_int_eq(shm_recover_slot(1), 0);
	ck_assert_int_eq(put(1, 9, 10), -ESRCH);
	for (unsigned i = 0; i < 2; i++) {
		status = fx_wait(fx_fork(1, drain_and_die, NULL));
		ck_assert(WIFSIGNALED(status));
		ck_assert_int_eq(shm_slot_mark_dead(1), 0);
		ck_assert_int_eq(shm_recover_slot(1), 0);
	}
	status = fx_wait(fx_fork(1, drain_rest, NULL));
	ck_assert_int_eq(WEXITSTATUS(status), 1u << 2 | 1u << 3);
	fx_done();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("shm ring");
	TCase *tc = tcase_create("ring");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, order_wrap_and_limits);
	tcase_add_test(tc, full_ring_says_so);
	tcase_add_test(tc, says_when_the_reader_sleeps);
	tcase_add_test(tc, order_of_all_writers);
	tcase_add_test(tc, no_wake_up_is_lost);
	tcase_add_test(tc, replacement_goes_on);
	suite_add_tcase(s, tc);
	return s;
}
