/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers fire in their tick, at every distance, and never early; jumps in time are cheap. */
#include <stdlib.h>
#include <string.h>

#include "shm/arena.h"
#include "shm/slab.h"
#include "shm/slot.h"
#include "shm/wheel.h"
#include "tests/lib/test_main.h"
#include "tests/unit/shm/fixture.h"

struct obj {
	struct shm_timer timer __attribute__((aligned(16)));
	uint64_t due_ms, fired_ms;
	unsigned n_fired, again;
};

static int kind;

static void fire(struct shm_timer *t, uint64_t now_ms)
{
	struct obj *o = CONTAINER_OF(t, struct obj, timer);

	ck_assert(!shm_timer_is_set(t));
	o->fired_ms = now_ms;
	o->n_fired++;
	if (o->again) {
		o->again--;
		o->due_ms = now_ms + 50;
		shm_timer_set(t, (uint8_t)kind, o->due_ms);
	}
}

static struct obj *obj_new(void)
{
	struct obj *o = shm_zalloc(sizeof(*o));

	ck_assert_ptr_nonnull(o);
	shm_publish(o);
	return o;
}

static void setup(void)
{
	fx_arena(64);
	kind = shm_timer_kind_register("test", fire);
	ck_assert_int_ge(kind, 0);
}

/* clang-format off */
static const struct distance { uint64_t start_ms, ahead_ms; } distances[] = {
	{ 0, 0 }, { 0, 1 }, { 5, 10 }, { 123456, 500 }, { 123456, 2550 }, { 123456, 2560 }, { 123456, 2570 },
	{ 999990, 5000 }, { 1000000, 32000 }, { 1000000, 163830 }, { 1000000, 163840 }, { 1000000, 163850 },
	{ 1000000, 180000 }, { 7654321, 3600000 }, { 7654321, 10485750 }, { 7654321, 10485760 },
	{ 7654321, 86400000 }, { 1000, 671088630 }, { 1000, 671088640 }, { 12345678, 700000000 },
	{ 42949672000, 300000 }, /* ticks wrap round at 2^32 */
	{ 100000000000, 1000000000 },
};
/* clang-format on */

START_TEST(fires_in_its_tick)
{
	struct distance d = distances[_i];
	struct obj *o = obj_new();
	uint64_t due = d.start_ms + d.ahead_ms, now = d.start_ms;

	(void)shm_wheel_run(now, 1);
	shm_timer_set(&o->timer, (uint8_t)kind, due);
	ck_assert(shm_timer_is_set(&o->timer));
	for (unsigned i = 0; i < 300000 && o->n_fired == 0; i++) {
		uint32_t ms;

		(void)shm_wheel_run(now, 10);
		ms = shm_wheel_next_ms(now, 60000);
		ck_assert_int_eq(shm_wheel_check(), 0);
		if (!o->n_fired)
			now += ms;
	}
	ck_assert_uint_eq(o->n_fired, 1);
	ck_assert_uint_ge(o->fired_ms, due);
	ck_assert_uint_lt(o->fired_ms, due + 2 * SHM_TICK_MS);
	ck_assert_uint_eq(shm_wheel_next_ms(now, 777), 777);
	shm_free(o);
	fx_done();
}
END_TEST

START_TEST(set_before_the_first_run)
{
	struct obj *a = obj_new(), *b = obj_new();
	uint64_t start = (uint64_t)400 * 86400 * 1000; /* a host that is up for a year */

	shm_timer_set(&a->timer, (uint8_t)kind, start + 30000);
	shm_timer_set(&b->timer, (uint8_t)kind, start + 100);
	ck_assert_uint_eq(shm_wheel_next_ms(start, 1000), 0);
	ck_assert_uint_eq(shm_wheel_run(start, 10), 0);
	ck_assert_uint_eq(shm_wheel_next_ms(start, 1000), 100);
	ck_assert_uint_eq(shm_wheel_run(start + 100, 10), 1);
	ck_assert_uint_eq(b->n_fired, 1);
	ck_assert_uint_eq(shm_wheel_run(start + 29990, 10), 0);
	ck_assert_uint_eq(shm_wheel_run(start + 30000, 10), 1);
	ck_assert_uint_eq(a->n_fired, 1);
	ck_assert_int_eq(shm_wheel_check(), 0);
	fx_done();
}
END_TEST

START_TEST(cancel_and_rearm)
{
	struct obj *o = obj_new();

	ck_assert(!shm_timer_del(&o->timer));
	(void)shm_wheel_run(1000, 1);
	shm_timer_set(&o->timer, (uint8_t)kind, 2000);
	ck_assert(shm_timer_del(&o->timer));
	ck_assert(!shm_timer_del(&o->timer));
	ck_assert_uint_eq(shm_wheel_run(3000, 10), 0);
	shm_timer_set(&o->timer, (uint8_t)kind, 5000);
	shm_timer_set(&o->timer, (uint8_t)kind, 4000);
	shm_timer_set_on(&o->timer, (uint8_t)kind, 4500, 9); /* pending: stays where it is */
	ck_assert_uint_eq(shm_wheel_run(4490, 10), 0);
	ck_assert_uint_eq(shm_wheel_run(4500, 10), 1);
	shm_timer_set(&o->timer, (uint8_t)kind, 100); /* long overdue */
	ck_assert_uint_eq(shm_wheel_next_ms(4510, 100), 0);
	ck_assert_uint_eq(shm_wheel_run(4510, 10), 1);
	o->again = 3;
	shm_timer_set(&o->timer, (uint8_t)kind, 4520);
	for (uint64_t now = 4520; now < 5000; now += 10)
		(void)shm_wheel_run(now, 1);
	ck_assert_uint_eq(o->n_fired, 6);
	shm_timer_set_on(&o->timer, (uint8_t)kind, 6000, 9); /* idle: goes to the wheel of slot 9 */
	ck_assert_uint_eq(shm_wheel_run(7000, 10), 0);
	shm_slot_release();
	ck_assert_int_eq(shm_slot_take(9, SHM_SLOT_TEST), 0);
	(void)shm_wheel_run(5000, 10);
	ck_assert_uint_eq(shm_wheel_run(6000, 10), 1);
	ck_assert_int_eq(shm_wheel_check(), 0);
	fx_done();
}
END_TEST

/* Many timers at random, time moving in random steps: each fires once, none early, in slices. */
START_TEST(many_at_random)
{
	enum { N = 20000 };
	static struct obj *objs[N];
	uint64_t now = 5000000, end;
	unsigned n_fired = 0;

	srand(5);
	(void)shm_wheel_run(now, 1);
	for (int i = 0; i < N; i++) {
		objs[i] = obj_new();
		objs[i]->due_ms = now + (uint64_t)rand() % (i % 3 == 0 ? 3000 : i % 3 == 1 ? 200000 : 20000000);
		shm_timer_set(&objs[i]->timer, (uint8_t)kind, objs[i]->due_ms);
		if (i % 5 == 4)
			ck_assert(shm_timer_del(&objs[i - 2]->timer));
	}
	ck_assert_int_eq(shm_wheel_check(), 0);
	end = now + 20100000;
	while (now < end) {
		uint64_t before = now;
		unsigned n;

		now += (uint64_t)rand() % (rand() % 50 == 0 ? 400000 : 3000);
		while ((n = shm_wheel_run(now, 100)) == 100 || shm_wheel_next_ms(now, 1000) == 0)
			n_fired += n;
		n_fired += n;
		for (int i = 0; i < N; i += 97) {
			if (i % 5 == 2)
				continue;
			if (objs[i]->due_ms <= before)
				ck_assert_uint_eq(objs[i]->n_fired, 1);
			if (objs[i]->n_fired)
				ck_assert_uint_ge(objs[i]->fired_ms, objs[i]->due_ms);
		}
	}
	ck_assert_uint_eq(n_fired, N - N / 5);
	ck_assert_int_eq(shm_wheel_check(), 0);
	fx_done();
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("shm wheel");
	TCase *tc = tcase_create("wheel");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, fires_in_its_tick, 0, (int)ARRAY_LEN(distances));
	tcase_add_test(tc, set_before_the_first_run);
	tcase_add_test(tc, cancel_and_rearm);
	tcase_add_test(tc, many_at_random);
	suite_add_tcase(s, tc);
	return s;
}
