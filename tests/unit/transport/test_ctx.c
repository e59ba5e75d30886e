/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/event/loop.h"
#include "core/transport/transport_priv.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/test_main.h"

#define LIMIT 8u

static const char options[] = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP "
			      "c;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n"
			      "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
static struct loop *loop;
static int resumed_rc;
static unsigned n_resumed, n_freed;

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(ctx_pool_init(LIMIT), 0);
	n_resumed = n_freed = 0;
}

static void teardown(void)
{
	ck_assert_uint_eq(ctx_in_use(), 0);
	ck_assert_uint_eq(ctx_parked(), 0);
	loop_free(loop);
}

static void on_resume(struct ctx *ctx, int rc)
{
	resumed_rc = rc;
	n_resumed++;
	ctx_free(ctx);
	loop_stop(loop);
}

START_TEST(limit)
{
	struct ctx *c[LIMIT];

	for (unsigned i = 0; i < LIMIT; i++) {
		c[i] = ctx_new();
		ck_assert_ptr_nonnull(c[i]);
	}
	ck_assert_ptr_null(ctx_new());
	ck_assert_uint_eq(ctx_in_use(), LIMIT);
	for (unsigned i = 0; i < LIMIT; i++)
		ctx_free(c[i]);
	ctx_free(NULL);
}
END_TEST

START_TEST(starts_clean)
{
	struct ctx *c = ctx_new(), *again;

	c->flags = 7;
	c->n_branches = 2;
	for (unsigned i = 0; i < 2; i++)
		c->branch[i] = (struct ctx_target){ .uri = STR_LIT("sip:x"), .bflags = 9, .q = 5 };
	c->n_branches = 1; /* one was cleared by the script */
	c->modstate[15] = c;
	c->mflags = CTX_F_DROP;
	c->finished_arg = c;
	c->main.uri = STR_LIT("sip:y");
	ck_assert_ptr_nonnull(pool_alloc(c->pool, 100));
	ctx_free(c);
	again = ctx_new();
	ck_assert_ptr_eq(again, c);
	ck_assert_uint_eq(again->flags, 0);
	ck_assert_uint_eq(again->n_branches, 0);
	ck_assert_uint_eq(again->branch[1].bflags, 0);
	ck_assert_uint_eq(again->branch[0].uri.n, 0);
	ck_assert_ptr_null(again->modstate[15]);
	ck_assert_uint_eq(again->mflags, 0);
	ck_assert_ptr_null(again->finished_arg);
	ck_assert_int_eq(again->main.q, -1);
	ck_assert_uint_eq(again->main.listener, NET_LISTENER_NONE);
	ck_assert_uint_eq(pool_used(again->pool), 0);
	ctx_free(again);
}
END_TEST

START_TEST(wakes_once)
{
	struct ctx *c = ctx_new();
	uint64_t t;

	c->resume = on_resume;
	t = ctx_park(c, 10000, -3);
	ck_assert_uint_ne(t, 0);
	ck_assert_uint_eq(ctx_parked(), 1);
	ck_assert_ptr_eq(ctx_of_ticket(t), c);
	ck_assert_ptr_null(ctx_of_ticket(t + ((uint64_t)1 << 32)));
	ck_assert_ptr_null(ctx_of_ticket(0));
	ck_assert_ptr_null(ctx_of_ticket(t | 0xffffffffu));
	ctx_wake(t, 42);
	ctx_wake(t, 43);
	ck_assert_uint_eq(n_resumed, 1);
	ck_assert_int_eq(resumed_rc, 42);
	ck_assert_ptr_null(ctx_of_ticket(t));
}
END_TEST

START_TEST(times_out)
{
	struct ctx *c = ctx_new();
	uint64_t first, second;

	c->resume = on_resume;
	first = ctx_park(c, 5, -3);
	loop_run(loop);
	ck_assert_uint_eq(n_resumed, 1);
	ck_assert_int_eq(resumed_rc, -3);
	ctx_wake(first, 1);
	ck_assert_uint_eq(n_resumed, 1);
	/* its timer is used again, and an earlier end is forgotten */
	c = ctx_new();
	c->resume = on_resume;
	first = ctx_park(c, 20, -3);
	ctx_wake(first, 1);
	c = ctx_new();
	c->resume = on_resume;
	second = ctx_park(c, 60, -4);
	ck_assert(first != second);
	loop_run(loop); /* ends at once: told to when nothing ran */
	loop_run(loop);
	ck_assert_int_eq(resumed_rc, -4);
	ck_assert_uint_eq(n_resumed, 3);
}
END_TEST

START_TEST(keeps_bytes)
{
	struct rx_buf *buf = rx_buf_take(), *other;
	struct ctx *c = ctx_new();

	memcpy(buf->data, "hello", 5);
	c->rx_mem = buf->data;
	c->msg.buf = str_of(buf->data, 5);
	ck_assert_int_eq(ctx_keep_bytes(c), 0);
	ck_assert_int_eq(ctx_keep_bytes(c), 0);
	ck_assert_uint_eq(buf->refs, 2);
	rx_buf_unref(buf); /* the batch goes on without it */
	other = rx_buf_take();
	ck_assert_ptr_ne(other, buf);
	ck_assert(str_eq(c->msg.buf, STR_LIT("hello")));
	ctx_free(c);
	ck_assert_ptr_eq(rx_buf_take(), buf); /* back in the list */
	rx_buf_unref(buf);
	rx_buf_unref(other);
}
END_TEST

static void count_freed(struct ctx *ctx)
{
	(void)ctx;
	n_freed++;
}

START_TEST(from_bytes)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 3 };
	struct ctx *c;

	ck_assert_int_eq(ctx_on_free(count_freed), 0);
	c = ctx_from_bytes(STR_LIT(options), &rx);
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(c->msg.kind, SIP_REQUEST);
	ck_assert(str_eq(ctx_ruri(c), STR_LIT("sip:a@b")));
	c->main.uri = STR_LIT("sip:new@b");
	ck_assert(str_eq(ctx_ruri(c), STR_LIT("sip:new@b")));
	ck_assert_uint_eq(c->rx.listener, 3);
	ck_assert_ptr_ne(c->msg.buf.s, options);
	ctx_free(c);
	ck_assert_uint_eq(n_freed, 1);
	ck_assert_ptr_null(ctx_from_bytes(STR_LIT("rubbish"), &rx));
	ck_assert_uint_eq(n_freed, 2);
}
END_TEST

static void note_over(void *arg)
{
	*(unsigned *)arg += 1;
}

/* Each waits for those that were there when it asked, and for none that came later. */
START_TEST(when_over)
{
	struct ctx *a, *b, *c, *d;
	unsigned over[4] = { 0 };

	ctx_when_over(note_over, &over[0]);
	ck_assert_uint_eq(over[0], 1); /* nobody is there */
	a = ctx_new();
	b = ctx_new();
	ctx_when_over(note_over, &over[1]);
	c = ctx_new();
	ctx_free(a);
	ck_assert_uint_eq(over[1], 0);
	ctx_when_over(note_over, &over[2]); /* b and c */
	ctx_free(b);
	ck_assert_uint_eq(over[1], 1);
	ck_assert_uint_eq(over[2], 0);
	d = ctx_new();
	ctx_free(c);
	ck_assert_uint_eq(over[2], 1);
	ctx_when_over(note_over, &over[3]);
	ctx_free(d);
	ck_assert_uint_eq(over[3], 1);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(over[i], 1);
}
END_TEST

/* However runs overlap, nothing waits for ever and nothing goes early. */
START_TEST(when_over_any_order)
{
	struct ctx *open[8] = { NULL };
	uint64_t x = (uint64_t)_i + 1;
	unsigned over[400] = { 0 };
	unsigned waits_for[400]; /* bit per place: a context that was there, and is still */
	unsigned n = 0;

	for (unsigned step = 0; step < 2000; step++) {
		unsigned at = (unsigned)((x = x * 6364136223846793005u + 1442695040888963407u) >> 40) % 8;

		if (step % 5 == 0 && n < 400) {
			waits_for[n] = 0;
			for (unsigned i = 0; i < 8; i++)
				waits_for[n] |= open[i] ? 1u << i : 0;
			ctx_when_over(note_over, &over[n++]);
		} else if (open[at]) {
			for (unsigned i = 0; i < n; i++)
				waits_for[i] &= ~(1u << at);
			ctx_free(open[at]);
			open[at] = NULL;
		} else {
			open[at] = ctx_new();
		}
		for (unsigned i = 0; i < n; i++) {
			if (over[i] > 1 || (over[i] == 1 && waits_for[i] != 0)) /* ck_assert() itself is too slow for a million of them */
				ck_abort_msg("step %u: %u, called %u times, while %x are open", step, i, over[i], waits_for[i]);
		}
	}
	for (unsigned i = 0; i < 8; i++)
		ctx_free(open[i]);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(over[i], 1);
}
END_TEST

START_TEST(short_of_memory)
{
	bool failed_once = true;

	for (unsigned n = 1; failed_once && n < 100; n++) {
		struct ctx *c;
		uint64_t t = 0;

		ck_assert_int_eq(ctx_pool_init(LIMIT), 0); /* forgets the ones that were made */
		fail_alloc_at(n);
		c = ctx_new();
		if (c)
			t = ctx_park(c, 1000, 0);
		failed_once = fail_alloc_end();
		ck_assert(failed_once || (c && t));
		ck_assert_uint_eq(ctx_parked(), t != 0);
		ctx_free(c);
		ck_assert_uint_eq(ctx_in_use(), 0);
	}
	ck_assert(!failed_once);
}
END_TEST

START_TEST(registers)
{
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(ctx_modstate_register("x"), i);
	ck_assert_int_eq(ctx_modstate_register("x"), -ENOSPC);
	ck_assert_str_eq(ctx_modstate_name(3), "x");
	ck_assert_ptr_null(ctx_modstate_name(16));
}
END_TEST

/* A number to look at, not a limit: machines differ. */
START_TEST(cost)
{
	enum { ROUNDS = 200000 };
	struct timespec a, b;

	ctx_free(ctx_new());
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned i = 0; i < ROUNDS; i++)
		ctx_free(ctx_new());
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	(void)fprintf(stderr, "ctx_new + ctx_free: %.0f ns\n",
	              ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
	                  ROUNDS);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("ctx");
	TCase *tc = tcase_create("ctx");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, limit);
	tcase_add_test(tc, starts_clean);
	tcase_add_test(tc, wakes_once);
	tcase_add_test(tc, times_out);
	tcase_add_test(tc, keeps_bytes);
	tcase_add_test(tc, from_bytes);
	tcase_add_test(tc, when_over);
	tcase_add_loop_test(tc, when_over_any_order, 0, 20);
	tcase_add_test(tc, short_of_memory);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, cost);
	suite_add_tcase(s, tc);
	return s;
}
