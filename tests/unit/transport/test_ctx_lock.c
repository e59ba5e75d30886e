/* SPDX-License-Identifier: BSD-2-Clause */
/* Advisory locks: who waits gets it, in order, at the latest when the holder's run ends. */
#include "core/base/clock.h"
#include "core/event/loop.h"
#include "core/transport/ctx_lock.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

static struct loop *loop;
static ctx_lock_word words[3];
static struct ctx *resumed[4];
static int resumed_rc[4];
static unsigned n_resumed;

static void setup(void)
{
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64 << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(3, SHM_SLOT_TEST), 0);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(ctx_pool_init(8), 0);
	ck_assert_int_eq(ctx_lock_worker_init(loop), 0);
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		words[i] = 0;
	n_resumed = 0;
}

static void teardown(void)
{
	ck_assert_uint_eq(ctx_in_use(), 0);
	loop_free(loop);
	shm_slot_release();
	shm_arena_destroy();
}

static void on_resume(struct ctx *ctx, int rc)
{
	resumed[n_resumed] = ctx;
	resumed_rc[n_resumed++] = rc;
	loop_stop(loop);
}

static struct ctx *run(void)
{
	struct ctx *c = ctx_new();

	ck_assert_ptr_nonnull(c);
	c->resume = on_resume;
	return c;
}

START_TEST(excludes)
{
	struct ctx *a = run(), *b = run();

	ck_assert_int_eq(ctx_lock(a, &words[0], STR_LIT("t")), CTX_LOCK_TAKEN);
	ck_assert_uint_eq(words[0], 4);
	ck_assert(!ctx_trylock(b, &words[0]));
	ck_assert(!ctx_unlock(b, &words[0]));
	ck_assert(ctx_trylock(b, &words[1]));
	/* once more: counted */
	ck_assert_int_eq(ctx_lock(a, &words[0], STR_LIT("t")), CTX_LOCK_TAKEN);
	ck_assert(ctx_unlock(a, &words[0]));
	ck_assert(!ctx_trylock(b, &words[0]));
	ck_assert(ctx_unlock(a, &words[0]));
	ck_assert(!ctx_unlock(a, &words[0]));
	ck_assert(ctx_trylock(b, &words[0]));
	ctx_free(a);
	ctx_free(b);
	ck_assert_uint_eq(words[0] | words[1], 0);
}
END_TEST

START_TEST(waits_in_order)
{
	struct ctx *a = run(), *b = run(), *c = run();

	ck_assert(ctx_trylock(a, &words[0]));
	ck_assert_int_eq(ctx_lock(b, &words[0], STR_LIT("t")), CTX_LOCK_WAITS);
	ck_assert_int_eq(ctx_lock(c, &words[0], STR_LIT("t")), CTX_LOCK_WAITS);
	ctx_free(a); /* the end of a run gives back what it holds */
	loop_run(loop);
	ck_assert_uint_eq(n_resumed, 1);
	ck_assert_ptr_eq(resumed[0], b);
	ck_assert_int_eq(resumed_rc[0], 1);
	ck_assert(ctx_unlock(b, &words[0]));
	loop_run(loop);
	ck_assert_ptr_eq(resumed[1], c);
	ck_assert_int_eq(resumed_rc[1], 1);
	ctx_free(b);
	ctx_free(c);
	ck_assert_uint_eq(words[0], 0);
}
END_TEST

/* A wait that was ended by somebody else takes nothing. */
START_TEST(waiter_gone)
{
	struct ctx *a = run(), *b = run(), *c = run();

	ck_assert(ctx_trylock(a, &words[0]));
	ck_assert_int_eq(ctx_lock(b, &words[0], STR_LIT("t")), CTX_LOCK_WAITS);
	ck_assert_int_eq(ctx_lock(c, &words[0], STR_LIT("t")), CTX_LOCK_WAITS);
	ctx_free(b);
	ctx_free(a);
	loop_run(loop);
	ck_assert_uint_eq(n_resumed, 1);
	ck_assert_ptr_eq(resumed[0], c);
	ctx_free(c);
}
END_TEST

/* One lock that is held for long delays nobody who wants another one, and asking for it costs a run no memory. */
START_TEST(others_go_on)
{
	struct ctx *a = run(), *b = run(), *c = run();
	size_t used;

	ck_assert(ctx_trylock(a, &words[0]));
	ck_assert_int_eq(ctx_lock(b, &words[0], STR_LIT("t")), CTX_LOCK_WAITS);
	ck_assert_int_eq(ctx_lock(c, &words[1], STR_LIT("t")), CTX_LOCK_TAKEN);
	used = pool_used(c->pool);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(!ctx_trylock(c, &words[0]));
	ck_assert_uint_eq(pool_used(c->pool), used);
	ctx_free(a);
	loop_run(loop);
	ck_assert_ptr_eq(resumed[0], b);
	ctx_free(b);
	ctx_free(c);
}
END_TEST

START_TEST(of_the_dead)
{
	words[0] = 7 + 1;
	words[1] = 8 + 1;
	words[2] = 7 + 1;
	ctx_lock_recover(words, 2, 7);
	ck_assert_uint_eq(words[0], 0);
	ck_assert_uint_eq(words[1], 9);
	ck_assert_uint_eq(words[2], 8);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("transport ctx_lock");
	TCase *tc = tcase_create("ctx_lock");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, excludes);
	tcase_add_test(tc, waits_in_order);
	tcase_add_test(tc, waiter_gone);
	tcase_add_test(tc, others_go_on);
	tcase_add_test(tc, of_the_dead);
	suite_add_tcase(s, tc);
	return s;
}
