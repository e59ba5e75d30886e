/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of addresses: who is blocked after how many requests, who is free again when, and workers that die while it grows or shrinks. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/hashfn.h"
#include "modules/pike/tree.h"
#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define LIMIT 30u
#define UNIT_S 2u
#define T0 1000u /* a unit begins */

static unsigned n_unblocked;

static void setup(void)
{
	struct pike_limits limits = { .limit = LIMIT, .unit_s = UNIT_S, .latency_s = 10 };

	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64 << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(pike_tree_init(&limits), 0);
	n_unblocked = 0;
}

static void teardown(void)
{
	ck_assert_int_eq(pike_tree_check(), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
	shm_slot_release();
	shm_arena_destroy();
}

static struct net_addr v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct net_addr){ .family = AF_INET, .ip = { a, b, c, d } };
}

static enum pike_verdict hit(const struct net_addr *a, uint64_t now_s)
{
	shm_ref node;

	return pike_tree_hit(a, now_s, &node);
}

static void unblocked(shm_ref node)
{
	ck_assert_uint_ne(node, SHM_NONE);
	n_unblocked++;
}

/* The whole table once. */
static void sweep(uint64_t now_s)
{
	uint32_t next = 0;

	pike_tree_sweep(&next, pike_tree_buckets(), now_s, unblocked);
}

static unsigned n_hot(uint64_t now_s)
{
	struct pike_row rows[4];

	return pike_tree_rows(true, now_s, rows, 4);
}

/* Requests until the first -2, all at now_s. */
static unsigned until_blocked(const struct net_addr *a, uint64_t now_s)
{
	enum pike_verdict v = PIKE_OK;
	unsigned n = 0;

	while (v == PIKE_OK && n < 10000) {
		v = hit(a, now_s);
		n++;
	}
	ck_assert_int_eq(v, PIKE_NEWLY_BLOCKED);
	return n;
}

START_TEST(a_fresh_address_is_blocked_after_limit_to_three_times_it)
{
	struct net_addr a = v4(10, 1, 2, 3), other = v4(10, 1, 2, 4);
	unsigned n = until_blocked(&a, T0);

	ck_assert_uint_ge(n, LIMIT);
	ck_assert_uint_le(n, 3 * LIMIT);
	ck_assert_uint_eq(n, LIMIT + 3 * (LIMIT / 4));
	ck_assert_int_eq(hit(&a, T0), PIKE_BLOCKED);
	ck_assert_int_eq(hit(&a, T0 + 1), PIKE_BLOCKED);
	ck_assert_int_eq(hit(&other, T0), PIKE_OK);
	ck_assert_uint_eq(n_hot(T0), 1);
}
END_TEST

START_TEST(a_known_address_is_blocked_after_limit)
{
	struct net_addr a = v4(10, 1, 2, 3);

	(void)until_blocked(&a, T0);
	sweep(T0 + 2 * UNIT_S); /* two quiet units */
	ck_assert_uint_eq(n_unblocked, 1);
	ck_assert_uint_eq(until_blocked(&a, T0 + 2 * UNIT_S), LIMIT);
}
END_TEST

START_TEST(slow_requests_are_never_blocked)
{
	struct net_addr a = v4(192, 0, 2, 1);

	for (uint64_t t = T0; t < T0 + 200; t++) {
		for (unsigned i = 0; i < LIMIT / UNIT_S - 1; i++)
			ck_assert_int_eq(hit(&a, t), PIKE_OK);
		sweep(t);
	}
	ck_assert_uint_eq(n_unblocked, 0);
}
END_TEST

START_TEST(stays_blocked_for_the_next_unit_then_is_free)
{
	struct net_addr a = v4(10, 1, 2, 3);

	(void)until_blocked(&a, T0);
	sweep(T0 + UNIT_S); /* the unit before was hot */
	ck_assert_uint_eq(n_unblocked, 0);
	ck_assert_int_eq(hit(&a, T0 + UNIT_S), PIKE_BLOCKED);
	sweep(T0 + 2 * UNIT_S); /* one request in the last */
	ck_assert_uint_eq(n_unblocked, 1);
	ck_assert_int_eq(hit(&a, T0 + 2 * UNIT_S), PIKE_OK);
	ck_assert_uint_eq(n_hot(T0 + 2 * UNIT_S), 0);
}
END_TEST

START_TEST(keeps_blocked_while_the_flood_lasts)
{
	struct net_addr a = v4(10, 1, 2, 3);

	(void)until_blocked(&a, T0);
	for (uint64_t t = T0; t < T0 + 30; t++) {
		for (unsigned i = 0; i < LIMIT; i++)
			ck_assert_int_eq(hit(&a, t), PIKE_BLOCKED);
		sweep(t);
	}
	ck_assert_uint_eq(n_unblocked, 0);
}
END_TEST

START_TEST(idle_nodes_go)
{
	struct net_addr a = v4(10, 1, 2, 3);
	struct shm_stats before, after;
	struct pike_row rows[4];

	shm_arena_stats(&before);
	(void)until_blocked(&a, T0);
	ck_assert_uint_eq(pike_tree_rows(false, T0, rows, 4), 1);
	for (uint64_t t = T0; t < T0 + 40; t++)
		sweep(t);
	ck_assert_uint_eq(pike_tree_rows(false, T0 + 40, rows, 4), 0);
	shm_arena_stats(&after);
	ck_assert_uint_eq(after.n_objects, before.n_objects);
}
END_TEST

START_TEST(rows_say_what_rpc_shows)
{
	struct net_addr a = v4(10, 1, 2, 3), six = { .family = AF_INET6, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 7 } };
	struct pike_row rows[4];

	(void)until_blocked(&a, T0);
	ck_assert_uint_eq(until_blocked(&six, T0), LIMIT + 15 * (LIMIT / 4));
	ck_assert_uint_eq(pike_tree_rows(true, T0, rows, 4), 2);
	ck_assert(memcmp(rows[0].addr.ip, a.ip, 4) == 0 && rows[0].hot);
	ck_assert_uint_eq(rows[0].hits_curr, LIMIT);
	ck_assert(memcmp(rows[1].addr.ip, six.ip, 16) == 0 && rows[1].addr.family == AF_INET6);
	ck_assert_uint_eq(pike_tree_rows(true, T0 + UNIT_S, rows, 4), 2);
	ck_assert_uint_eq(rows[0].hits_prev, LIMIT);
	ck_assert_uint_eq(pike_tree_rows(true, T0 + 2 * UNIT_S, rows, 4), 0);
	ck_assert_uint_eq(pike_tree_rows(false, T0 + 2 * UNIT_S, rows, 1), 1);
}
END_TEST

START_TEST(random_sources_cost_their_networks_only)
{
	struct shm_stats before, after;

	shm_arena_stats(&before);
	for (unsigned i = 0; i < 100000; i++) {
		struct net_addr a = v4((uint8_t)(i * 7), (uint8_t)(i * 13 >> 3), (uint8_t)(i * 29 >> 5), (uint8_t)(i * 31 >> 7));

		(void)hit(&a, T0 + i / 500); /* 500 a second */
	}
	shm_arena_stats(&after);
	ck_assert_uint_lt(after.n_objects - before.n_objects, 70000);
}
END_TEST

/* Forged addresses of one network, enough of each to be known one byte deeper: all are gone after their time, however many they were. */
START_TEST(a_flood_of_forged_addresses_is_forgotten)
{
	struct net_addr a = { .family = AF_INET6, .ip = { 0x20, 1, 0xd, 0xb8 } };
	struct shm_stats before, during, after;

	shm_arena_stats(&before);
	for (unsigned i = 0; i < 400000; i++) {
		a.ip[4] = (uint8_t)(i >> 11);
		a.ip[5] = (uint8_t)(i >> 3);
		(void)hit(&a, T0);
	}
	shm_arena_stats(&during);
	ck_assert_uint_gt(during.n_objects - before.n_objects, 30000);
	ck_assert_uint_gt(pike_tree_buckets(), (during.n_objects - before.n_objects) / 8); /* chains stay short, and so does the time under a lock */
	sweep(T0 + 11);
	shm_arena_stats(&after);
	ck_assert_uint_lt(after.n_objects, before.n_objects + 64); /* the table has grown */
}
END_TEST

START_TEST(an_address_is_found_without_its_network)
{
	struct net_addr a = v4(10, 1, 2, 3);

	(void)until_blocked(&a, T0);
	for (uint64_t t = T0; t < T0 + 30; t++) {
		for (unsigned i = 0; i < LIMIT; i++)
			ck_assert_int_eq(hit(&a, t), PIKE_BLOCKED);
		sweep(t); /* 10.0.0.0/8 and the others are not asked for any more, and go */
	}
	ck_assert_int_eq(hit(&a, T0 + 30), PIKE_BLOCKED);
}
END_TEST

/* ---- deaths ---- */

static const char *const points[] = { "pike.grow.filled", "hash.push.before", "hash.push.after", "pike.grow.shown", "hash.remove.retired",
				      "hash.remove.unlinked" };

static void flood_and_forget(void)
{
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 3000; i++) {
			struct net_addr a = v4((uint8_t)(i % 3), (uint8_t)(i % 5), 1, (uint8_t)(i % 7));

			(void)hit(&a, T0 + round * 100);
		}
		for (unsigned t = 0; t < 40; t++)
			sweep(T0 + round * 100 + t);
	}
}

START_TEST(a_worker_dies_anywhere)
{
#ifdef RF_CRASH_POINTS
	for (unsigned nth = 1; nth <= 64; nth *= 4) {
		int status = 0;
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			if (shm_slot_take(1, SHM_SLOT_TEST) < 0 || shm_crash_arm(points[_i], nth) < 0)
				_exit(4);
			flood_and_forget();
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s:%u: status %x", points[_i], nth, (unsigned)status);
		ck_assert_int_eq(shm_slot_mark_dead(1), 0);
		ck_assert_int_eq(shm_recover_slot(1), 0);
		ck_assert_int_eq(pike_tree_check(), 0);
		ck_assert_int_eq(shm_check_all(NULL), 0);
		ck_assert_uint_eq(shm_arena_leaked(), 0);
		flood_and_forget(); /* and it goes on */
	}
#else
	(void)flood_and_forget;
	ck_assert_str_ne(points[_i], "");
#endif
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("pike");
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_fresh_address_is_blocked_after_limit_to_three_times_it);
	tcase_add_test(tc, a_known_address_is_blocked_after_limit);
	tcase_add_test(tc, slow_requests_are_never_blocked);
	tcase_add_test(tc, stays_blocked_for_the_next_unit_then_is_free);
	tcase_add_test(tc, keeps_blocked_while_the_flood_lasts);
	tcase_add_test(tc, idle_nodes_go);
	tcase_add_test(tc, rows_say_what_rpc_shows);
	tcase_add_test(tc, random_sources_cost_their_networks_only);
	tcase_add_test(tc, a_flood_of_forged_addresses_is_forgotten);
	tcase_add_test(tc, an_address_is_found_without_its_network);
	tcase_add_loop_test(tc, a_worker_dies_anywhere, 0, (int)ARRAY_LEN(points));
	suite_add_tcase(s, tc);
	return s;
}
