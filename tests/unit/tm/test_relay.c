/* SPDX-License-Identifier: BSD-2-Clause */
/* Transactions end to end: relaying, retransmission, forking, CANCEL, failure routes, timeouts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/route/route.h"
#include "tests/lib/test_main.h"
#include "tests/unit/tm/tm_fixture.h"

#define OURS "SIP/2.0 "

START_TEST(call)
{
	char via[120];
	unsigned inv;

	fixture_request("INVITE", "z9hG4bKcall", "call@t", NULL);
	ck_assert_int_eq(fixture_rc, 1);
	ck_assert_uint_eq(n_sent, 2);
	ck_assert(fixture_starts(0, OURS "100 trying"));
	ck_assert_uint_eq(sent[0].dest.to.port, 21510);
	inv = 1;
	snprintf(via, sizeof(via), "INVITE sip:bob@127.0.0.1:21520 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK", fixture_port);
	ck_assert(fixture_starts(inv, via));
	ck_assert_uint_eq(sent[inv].dest.to.port, 21520);
	fixture_reply(inv, 180, "Ringing", "");
	ck_assert(fixture_starts(2, OURS "180 Ringing"));
	ck_assert_ptr_nonnull(strstr(fixture_field(2, "Via"), "z9hG4bKcall"));
	fixture_reply(inv, 200, "OK", "");
	ck_assert(fixture_starts(3, OURS "200 OK"));
	/* repeated: end to end, passed on (RFC 6026) */
	fixture_reply(inv, 200, "OK", "");
	ck_assert_uint_eq(fixture_count(0, OURS "200"), 2);
	/* the INVITE again: it has not seen the answer */
	fixture_request("INVITE", "z9hG4bKcall", "call@t", NULL);
	ck_assert_uint_eq(n_sent, 6);
	ck_assert(fixture_starts(5, OURS "200 OK"));
}
END_TEST

START_TEST(message_and_its_repetition)
{
	fixture_request("MESSAGE", "z9hG4bKm", "m@t", NULL);
	ck_assert_uint_eq(n_sent, 1);
	fixture_request("MESSAGE", "z9hG4bKm", "m@t", NULL); /* nothing to repeat yet */
	ck_assert_uint_eq(n_sent, 1);
	fixture_reply(0, 202, "Accepted", "");
	ck_assert(fixture_starts(1, OURS "202 Accepted"));
	fixture_request("MESSAGE", "z9hG4bKm", "m@t", NULL);
	ck_assert(fixture_starts(2, OURS "202 Accepted"));
	fixture_reply(0, 202, "Accepted", ""); /* late: absorbed */
	ck_assert_uint_eq(n_sent, 3);
	ck_assert_int_eq(fixture_live(), 1);
	fixture_wait(6000);
	ck_assert_int_eq(fixture_live(), 0);
}
END_TEST

START_TEST(retransmission_and_timeout)
{
	fixture_request("MESSAGE", "z9hG4bKt", "t@t", NULL);
	fixture_wait(490);
	ck_assert_uint_eq(n_sent, 1);
	fixture_wait(30);
	ck_assert_uint_eq(n_sent, 2);
	fixture_wait(1000);
	ck_assert_uint_eq(n_sent, 3);
	fixture_wait(29000);
	/* RFC 3261, 17.1.2.2: 0.5, 1.5, 3.5, 7.5, 11.5 ... */
	ck_assert_uint_eq(fixture_count(0, "MESSAGE"), 10);
	ck_assert_uint_eq(fixture_count(0, OURS "408 Request Timeout"), 1);
}
END_TEST

START_TEST(busy_and_ack)
{
	fixture_request("INVITE", "z9hG4bKb", "b@t", NULL);
	fixture_reply(1, 486, "Busy Here", "");
	ck_assert_uint_eq(fixture_count(0, "ACK sip:bob"), 1);
	ck_assert_uint_eq(fixture_count(0, OURS "486 Busy Here"), 1);
	/* The callee repeats: another ACK, nothing upstream. */
	fixture_reply(1, 486, "Busy Here", "");
	ck_assert_uint_eq(fixture_count(0, "ACK sip:bob"), 2);
	ck_assert_uint_eq(fixture_count(0, OURS "486"), 1);
	/* No ACK from the caller: timer G. */
	fixture_wait(520);
	ck_assert_uint_eq(fixture_count(0, OURS "486"), 2);
	fixture_request("ACK", "z9hG4bKb", "b@t", NULL);
	fixture_wait(3000);
	ck_assert_uint_eq(fixture_count(0, OURS "486"), 2);
}
END_TEST

START_TEST(cancel)
{
	unsigned c;

	fixture_request("INVITE", "z9hG4bKc", "c@t", NULL);
	fixture_reply(1, 180, "Ringing", "");
	fixture_request("CANCEL", "z9hG4bKc", "c@t", "Reason: SIP;cause=487;text=\"gone\"\r\n");
	ck_assert_int_eq(fixture_rc, 1);
	fixture_find(0, OURS "200 canceling");
	c = fixture_find(0, "CANCEL sip:bob@127.0.0.1:21520 SIP/2.0");
	ck_assert_str_eq(fixture_field(c, "CSeq"), "1 CANCEL");
	ck_assert_str_eq(fixture_field(c, "Reason"), "SIP;cause=487;text=\"gone\"");
	/* same branch as the INVITE */
	ck_assert_int_eq(strncmp(strstr(sent[c].text, "branch="), strstr(sent[1].text, "branch="), 42), 0);
	fixture_wait(600);
	ck_assert_uint_eq(fixture_count(0, "CANCEL"), 2); /* unanswered: repeated */
	fixture_reply(c, 200, "OK", "");
	fixture_wait(3000);
	ck_assert_uint_eq(fixture_count(0, "CANCEL"), 2);
	fixture_reply(1, 487, "Request Terminated", "");
	fixture_find(0, OURS "487 Request Terminated");
	ck_assert_uint_eq(fixture_count(0, "ACK"), 1);
}
END_TEST

START_TEST(cancel_before_any_answer)
{
	fixture_request("INVITE", "z9hG4bKe", "e@t", NULL);
	fixture_request("CANCEL", "z9hG4bKe", "e@t", NULL);
	ck_assert_uint_eq(fixture_count(0, "CANCEL"), 0); /* RFC 3261, 9.1: not yet */
	fixture_reply(1, 100, "Trying", "");
	ck_assert_uint_eq(fixture_count(0, "CANCEL"), 1);
	/* A 200 that crossed it: the call stands, the caller ends it. */
	fixture_reply(1, 200, "OK", "");
	fixture_find(0, OURS "200 OK");
}
END_TEST

START_TEST(cancel_of_nothing)
{
	fixture_route = NULL;
	fixture_request("CANCEL", "z9hG4bKn", "n@t", NULL);
	/* unmatched_cancel 0: relayed as a request of its own; the INVITE that comes later is refused. */
	ck_assert_uint_eq(fixture_count(0, "CANCEL"), 1);
	fixture_request("INVITE", "z9hG4bKn", "n@t", NULL);
	fixture_find(0, OURS "487 Transaction canceled (487/TM)");
	ck_assert_uint_eq(fixture_count(0, "INVITE"), 0);
}
END_TEST

static int fork3(struct ctx *ctx)
{
	ck_assert_int_eq(route_branch_add(ctx, STR_LIT("sip:two@127.0.0.1:21521"), -1), 0);
	ck_assert_int_eq(route_branch_add(ctx, STR_LIT("sip:three@127.0.0.1:21522"), -1), 0);
	return tm_relay(ctx, NULL);
}

START_TEST(fork_first_answer_wins)
{
	fixture_route = fork3;
	fixture_request("INVITE", "z9hG4bKf", "f@t", NULL);
	ck_assert_uint_eq(n_sent, 4);
	for (unsigned i = 1; i < 4; i++)
		fixture_reply(i, 180, "Ringing", "");
	ck_assert_uint_eq(fixture_count(0, OURS "180"), 3);
	fixture_reply(2, 200, "OK", "");
	ck_assert_uint_eq(fixture_count(0, OURS "200"), 1);
	ck_assert_uint_eq(fixture_count(0, "CANCEL"), 2);
	fixture_reply(1, 487, "Request Terminated", "");
	fixture_reply(3, 487, "Request Terminated", "");
	ck_assert_uint_eq(fixture_count(0, "ACK"), 2);
	ck_assert_uint_eq(fixture_count(0, OURS "487"), 0);
}
END_TEST

/* clang-format off */
static const struct winner { int a, b, c; const char *text; } winners[] = {
	{ 404, 486, 603, OURS "603" }, { 302, 401, 404, OURS "302" }, { 404, 407, 500, OURS "407" }, { 500, 404, 480, OURS "404" },
	{ 486, 404, 480, OURS "404" }, { 503, 503, 503, OURS "500 Service Unavailable" }, { 501, 500, 503, OURS "500" },
};
/* clang-format on */

START_TEST(fork_winner)
{
	const struct winner *w = &winners[_i];

	fixture_route = fork3;
	fixture_request("INVITE", "z9hG4bKw", "w@t", NULL);
	fixture_reply(1, w->a, w->a == 503 ? "Service Unavailable" : "A", "");
	fixture_reply(2, w->b, w->b == 503 ? "Service Unavailable" : "B", "");
	ck_assert_uint_eq(fixture_count(0, OURS), 1); /* the 100 alone */
	fixture_reply(3, w->c, w->c == 503 ? "Service Unavailable" : "C", "");
	ck_assert_uint_eq(fixture_count(0, OURS), 2);
	fixture_find(0, w->text);
}
END_TEST

START_TEST(challenges_are_joined)
{
	unsigned i;

	fixture_route = fork3;
	fixture_request("INVITE", "z9hG4bKj", "j@t", NULL);
	fixture_reply(1, 401, "Unauthorized", "WWW-Authenticate: Digest realm=\"one\"\r\n");
	fixture_reply(2, 407, "Proxy", "Proxy-Authenticate: Digest realm=\"two\"\r\n");
	fixture_reply(3, 404, "Not Found", "");
	i = fixture_find(0, OURS "401");
	ck_assert_ptr_nonnull(strstr(sent[i].text, "realm=\"one\""));
	ck_assert_ptr_nonnull(strstr(sent[i].text, "realm=\"two\""));
}
END_TEST

static int arm_failure(struct ctx *ctx)
{
	struct value v = value_str(STR_LIT("kept"));

	ctx->on_failure = STR_LIT("fail");
	ctx->on_reply = STR_LIT("reply");
	ctx->flags = 5;
	ck_assert_ptr_nonnull(avp_push(&ctx->avps.head[AVP_PLAIN], ctx->pool, STR_LIT("x"), &v));
	ctx->avps.dirty = true;
	ck_assert_int_eq(sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, STR_LIT("X-Mine: 1\r\n"), SIP_EDIT_SCRIPT), 0);
	return tm_relay(ctx, NULL);
}

static unsigned n_failure, n_onreply;

static void second_leg(struct ctx *ctx)
{
	n_failure++;
	ck_assert_int_eq(tm_status(ctx), 486);
	ck_assert_uint_eq(ctx->flags, 5);
	ck_assert_ptr_nonnull(avp_find(ctx->avps.head[AVP_PLAIN], STR_LIT("x"), 0, false));
	ck_assert_int_eq(route_ruri_set(ctx, RURI_ALL, STR_LIT("sip:voicemail@127.0.0.1:21530"), 0), 0);
	ck_assert_int_eq(tm_relay(ctx, NULL), 1);
}

static void count_reply(struct ctx *ctx)
{
	n_onreply++;
	ck_assert_ptr_nonnull(ctx->txn);
}

START_TEST(failure_route_second_leg)
{
	unsigned leg;

	n_failure = n_onreply = 0;
	fixture_route = arm_failure;
	fixture_failure = second_leg;
	fixture_onreply = count_reply;
	fixture_request("INVITE", "z9hG4bKs", "s@t", NULL);
	fixture_reply(1, 180, "Ringing", "");
	fixture_reply(1, 486, "Busy Here", "");
	ck_assert_uint_eq(n_failure, 1);
	ck_assert_uint_eq(n_onreply, 2);
	ck_assert_uint_eq(fixture_count(0, OURS "486"), 0);
	leg = fixture_find(0, "INVITE sip:voicemail@127.0.0.1:21530");
	ck_assert_str_eq(fixture_field(leg, "X-Mine"), "1");
	fixture_reply(leg, 200, "OK", "");
	fixture_find(0, OURS "200 OK");
	ck_assert_uint_eq(n_onreply, 3); /* armed until it is taken back */
}
END_TEST

static void answer(struct ctx *ctx)
{
	ck_assert(tm_branch_timeout(ctx));
	ck_assert_int_eq(tm_reply(ctx, 480, STR_LIT("Nobody There")), 1);
}

START_TEST(failure_route_answers_a_timeout)
{
	fixture_route = arm_failure;
	fixture_failure = answer;
	fixture_request("INVITE", "z9hG4bKa", "a@t", NULL);
	fixture_wait(31000);
	fixture_find(0, OURS "480 Nobody There");
	ck_assert_uint_eq(fixture_count(0, OURS "408"), 0);
	ck_assert_uint_eq(fixture_count(0, "INVITE"), 6); /* 0, 0.5, 1.5, 3.5, 7.5, 15.5 */
}
END_TEST

static void nothing(struct ctx *ctx)
{
	ck_assert_ptr_nonnull(ctx->txn);
	n_failure++;
}

START_TEST(failure_route_that_does_nothing)
{
	n_failure = 0;
	fixture_route = arm_failure;
	fixture_failure = nothing;
	fixture_request("INVITE", "z9hG4bKo", "o@t", NULL);
	fixture_reply(1, 480, "Away", "");
	fixture_find(0, OURS "480 Away");
	ck_assert_uint_eq(n_failure, 1);
}
END_TEST

static int bad_uri(struct ctx *ctx)
{
	ctx->main.dst_uri = STR_LIT("mailto:x");
	return tm_relay(ctx, NULL);
}

START_TEST(error_is_answered_at_the_end)
{
	fixture_route = bad_uri;
	fixture_request("MESSAGE", "z9hG4bKu", "u@t", NULL);
	ck_assert_int_eq(fixture_rc, -479);
	fixture_find(0, OURS "479 Regretfully, we were not able to process the URI (479/TM)");
}
END_TEST

START_TEST(e2e_ack_is_forwarded)
{
	fixture_request("ACK", "z9hG4bKack", "ack@t", NULL);
	ck_assert_int_eq(fixture_rc, 77);
}
END_TEST

static int new_then_nothing(struct ctx *ctx)
{
	ck_assert_int_eq(tm_newtran(ctx), 1);
	ck_assert_int_eq(tm_newtran(ctx), -10);
	return 1;
}

START_TEST(orphan_is_dropped)
{
	fixture_route = new_then_nothing;
	fixture_request("OPTIONS", "z9hG4bKorphan", "or@t", NULL);
	ck_assert_int_eq(fixture_live(), 0);
	ck_assert_uint_eq(n_sent, 0);
}
END_TEST

static struct ctx *held;

static int hold(struct ctx *ctx)
{
	held = ctx;
	ck_assert_int_eq(tm_relay(ctx, NULL), 1);
	/* The route still runs when the answer comes: it waits in the inbox. */
	fixture_reply(fixture_find(0, "MESSAGE"), 200, "OK", "");
	ck_assert_uint_eq(fixture_count(0, OURS "200"), 0);
	return 1;
}

START_TEST(inbox)
{
	fixture_route = hold;
	fixture_request("MESSAGE", "z9hG4bKi", "i@t", NULL);
	ck_assert_uint_eq(fixture_count(0, OURS "200"), 1);
}
END_TEST

START_TEST(same_key_is_limited)
{
	for (unsigned i = 0; i < TM_SAME_KEY_MAX + 3; i++) {
		char branch[32];

		n_sent = 0;
		ck_assert_int_gt(snprintf(branch, sizeof(branch), "z9hG4bKk%u", i), 0);
		fixture_request("MESSAGE", branch, "k@t", NULL);
	}
	ck_assert_int_eq(fixture_rc, -12);
	n_sent = 0;
	fixture_route = new_then_nothing; /* others go on */
	fixture_request("MESSAGE", "z9hG4bKother", "other@t", NULL);
	n_sent = 0;
	for (unsigned i = 0; i < 60; i++) {
		fixture_wait(1000);
		n_sent = 0;
	}
}
END_TEST

START_TEST(branch_ids)
{
	struct tm_txn *t = calloc(1, sizeof(*t));
	char id[40];
	uint32_t hash;
	uint64_t label;
	unsigned branch;

	ck_assert_ptr_nonnull(t);
	t->node.hash = 0xdeadbeef;
	t->label = 0x0123456789abcdefu;
	tm_branch_id(t, 11, id);
	ck_assert_str_eq(id, "z9hG4bKdeadbeef.0123456789abcdef.0b");
	ck_assert(tm_branch_id_parse(str_lit(id), &hash, &label, &branch));
	ck_assert(hash == t->node.hash && label == t->label && branch == 11);
	ck_assert(!tm_branch_id_parse(STR_LIT("z9hG4bKdeadbeef.0123456789abcdeg.0b"), &hash, &label, &branch));
	ck_assert(!tm_branch_id_parse(STR_LIT("z9hG4bK"), &hash, &label, &branch));
	free(t);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("tm/relay");
	TCase *t = tcase_create("transactions");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, call);
	tcase_add_test(t, message_and_its_repetition);
	tcase_add_test(t, retransmission_and_timeout);
	tcase_add_test(t, busy_and_ack);
	tcase_add_test(t, cancel);
	tcase_add_test(t, cancel_before_any_answer);
	tcase_add_test(t, cancel_of_nothing);
	tcase_add_test(t, fork_first_answer_wins);
	tcase_add_loop_test(t, fork_winner, 0, (int)(sizeof(winners) / sizeof(winners[0])));
	tcase_add_test(t, challenges_are_joined);
	tcase_add_test(t, failure_route_second_leg);
	tcase_add_test(t, failure_route_answers_a_timeout);
	tcase_add_test(t, failure_route_that_does_nothing);
	tcase_add_test(t, error_is_answered_at_the_end);
	tcase_add_test(t, e2e_ack_is_forwarded);
	tcase_add_test(t, orphan_is_dropped);
	tcase_add_test(t, inbox);
	tcase_add_test(t, same_key_is_limited);
	tcase_add_test(t, branch_ids);
	suite_add_tcase(s, t);
	return s;
}
