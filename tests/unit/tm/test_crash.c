/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker that dies at every place named in core/tm, in the middle of a call with a failure route: after recovery all structures
 * are sound, nothing is leaked, what the dead was at is finished or begun anew, and everything ends by itself.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/hashfn.h"
#include "core/route/route.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"
#include "tests/unit/tm/tm_fixture.h"

static const char *const points[] = {
	"tm.ref.retired", "tm.ref.stored", "tm.branch.stored", "tm.branch.counted", "tm.release.before", "tm.relay.send",
	"tm.destroy.retired", "tm.destroy.inbox", "tm.destroy.removed", "tm.inbox.linked", "tm.next.retired", "tm.next.unlinked", "tm.uas.status",
	"tm.uas.state", "tm.final.kept", "tm.final.state", "tm.final.relayed", "tm.accepted.state", "tm.accepted.relayed", "tm.fake.status",
	"tm.local.told", "tm.suspend.end", "tm.aside.linked", "tm.aside.retired", "tm.aside.unlinked",
};

static int relay_armed(struct ctx *ctx)
{
	struct value v = value_str(STR_LIT("kept"));
	int rc;

	ctx->on_failure = STR_LIT("fail");
	if (avp_push(&ctx->avps.head[AVP_PLAIN], ctx->pool, STR_LIT("x"), &v))
		ctx->avps.dirty = true;
	if (sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, STR_LIT("X-Mine: 1\r\n"), SIP_EDIT_SCRIPT) < 0)
		return -1;
	rc = tm_relay(ctx, NULL);
	/* The route still runs: these wait in the inbox. */
	fixture_reply(fixture_find(0, "INVITE"), 180, "Ringing", "");
	fixture_reply(fixture_find(0, "INVITE"), 183, "Progress", "");
	return rc;
}

static void again(struct ctx *ctx)
{
	if (route_ruri_set(ctx, RURI_ALL, STR_LIT("sip:vm@127.0.0.1:21531"), 0) == 0)
		fixture_rc = tm_relay(ctx, NULL);
}

static void life(void)
{
	fixture_route = relay_armed;
	fixture_failure = again;
	fixture_request("INVITE", "z9hG4bKlife", "life@t", NULL);
	fixture_reply(fixture_find(0, "INVITE"), 486, "Busy Here", "");
	fixture_reply(fixture_find(0, "INVITE sip:vm"), 180, "Ringing", "");
	fixture_reply(fixture_find(0, "INVITE sip:vm"), 404, "Not Found", "");
	fixture_request("ACK", "z9hG4bKlife", "life@t", NULL);
	fixture_wait(10000);
}

static unsigned last(const char *text)
{
	unsigned i = fixture_find(0, text), next;

	while ((next = fixture_count(i + 1, text)) > 0)
		i = fixture_find(i + 1, text);
	return i;
}

/* The short ways: no failure route, one branch; an answer from nobody; a request of our own. */
static void short_life(void)
{
	struct tm_uac_req own = { .method = STR_LIT("OPTIONS"), .ruri = STR_LIT("sip:bob@127.0.0.1:21520"), .listener = NET_LISTENER_NONE,
		.headers = STR_LIT("From: <sip:me@t>;tag=1\r\nTo: <sip:bob@t>\r\n"), .fr_ms = 2000 };
	struct diag why = { 0 };

	fixture_route = NULL;
	fixture_failure = NULL;
	fixture_request("INVITE", "z9hG4bKfast", "fast@t", NULL);
	fixture_reply(last("INVITE"), 404, "Not Found", "");
	fixture_request("ACK", "z9hG4bKfast", "fast@t", NULL);
	fixture_request("INVITE", "z9hG4bKacc", "acc@t", NULL);
	fixture_reply(last("INVITE"), 200, "OK", "");
	fixture_request("MESSAGE", "z9hG4bKtmo", "tmo@t", NULL);
	if (tm_uac_start(&own, NULL, NULL, &why) < 0)
		_exit(3);
	fixture_reply(last("OPTIONS"), 200, "OK", "");
	own.method = STR_LIT("INVITE");
	own.no_ack = true;
	if (tm_uac_start(&own, NULL, NULL, &why) < 0)
		_exit(3);
	fixture_reply(last("INVITE"), 200, "OK", "");
	fixture_wait(40000);
}

/* A request that waits, then its replies, one behind the other. */
static struct tm_info waiting;

static int suspend_request(struct ctx *ctx)
{
	int rc = tm_suspend(ctx);

	return tm_info(ctx, &waiting) == 0 ? rc : -1;
}

static void suspend_reply(struct ctx *ctx)
{
	if (tm_suspend(ctx) != 1)
		_exit(4);
}

static void relay_watched(struct ctx *ctx)
{
	ctx->on_reply = STR_LIT("reply");
	fixture_rc = tm_relay(ctx, NULL);
}

static void go_on(void)
{
	if (tm_continue(waiting.index, waiting.label, STR_LIT("go")) != 1)
		_exit(5);
}

static void waiting_life(void)
{
	fixture_route = suspend_request;
	fixture_continued = relay_watched;
	fixture_onreply = suspend_reply;
	fixture_request("INVITE", "z9hG4bKwait", "wait@t", NULL);
	go_on();
	fixture_continued = NULL;
	fixture_reply(last("INVITE"), 180, "Ringing", "");
	fixture_reply(last("INVITE"), 183, "Progress", "");
	fixture_reply(last("INVITE"), 404, "Not Found", "");
	go_on();
	go_on();
	go_on();
	fixture_request("ACK", "z9hG4bKwait", "wait@t", NULL);
	fixture_request("INVITE", "z9hG4bKstop", "stop@t", NULL);
	fixture_request("CANCEL", "z9hG4bKstop", "stop@t", NULL);
	fixture_request("ACK", "z9hG4bKstop", "stop@t", NULL);
	fixture_wait(40000);
}

/* Runs life() in a child that owns slot 2 and dies at the nth passage. */
static bool die_at(const char *point, unsigned nth)
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (shm_slot_take(2, SHM_SLOT_WORKER) != 0 || shm_crash_arm(point, nth) != 0)
			_exit(2);
		life();
		n_sent = 0;
		short_life();
		n_sent = 0;
		waiting_life();
		shm_slot_release(); /* which dies no more: the points are tm's */
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	fixture_skip(10000);
	if (WIFEXITED(status)) {
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		return false;
	}
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	return true;
}

/* The replacement of the dead worker: inherits its wheel and lets time go by. */
static void replace(unsigned wait_ms)
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (shm_slot_take(2, SHM_SLOT_WORKER) != 0)
			_exit(2);
		fixture_failure = again;
		fixture_wait(wait_ms);
		shm_slot_release();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fixture_skip(wait_ms);
}

static uint64_t live(void)
{
	return shm_hash_count(tm_self.table);
}

START_TEST(death_anywhere)
{
	unsigned hits = 0;

	for (unsigned nth = 1; nth < 60; nth++) {
		const char *what = NULL;
		bool died = die_at(points[_i], nth);

		if (died) {
			hits++;
			ck_assert_int_eq(shm_slot_mark_dead(2), 0);
			ck_assert_int_eq(shm_recover_slot(2), 0);
		}
		ck_assert_msg(shm_check_all(&what) == 0, "%s %u: check of %s fails", points[_i], nth, what ? what : "?");
		ck_assert_msg(shm_arena_leaked() == 0, "%s %u: leak", points[_i], nth);
		ck_assert_msg(fixture_live() == (int64_t)live(), "%s %u: %d transactions counted", points[_i], nth, (int)fixture_live());
		replace(400000);
		ck_assert_msg(live() == 0, "%s %u: %u left", points[_i], nth, (unsigned)live());
		ck_assert_msg(shm_arena_leaked() == 0, "%s %u: leak after all", points[_i], nth);
		if (!died)
			break;
	}
	ck_assert_uint_gt(hits, 0);
}
END_TEST

static int die_now(struct ctx *ctx)
{
	ck_assert_int_eq(tm_newtran(ctx), 1);
	raise(SIGKILL);
	return 1;
}

/* What an INVITE's client sees of a route that waits for something: its 100, after which it sends nothing any more. */
static int die_after_100(struct ctx *ctx)
{
	ck_assert_int_eq(tm_newtran(ctx), 1);
	ck_assert_int_eq(tm_reply(ctx, 100, STR_LIT("Trying")), 1);
	raise(SIGKILL);
	return 1;
}

static int answer_486(struct ctx *ctx)
{
	ck_assert_int_eq(tm_newtran(ctx), 1);
	return tm_reply(ctx, 486, STR_LIT("Busy Here"));
}

/* Runs fn in a child that owns slot 2 and dies in it; the slot is recovered. */
static void die_in(void (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (shm_slot_take(2, SHM_SLOT_WORKER) != 0)
			_exit(2);
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(shm_slot_mark_dead(2), 0);
	ck_assert_int_eq(shm_recover_slot(2), 0);
}

static void message_and_die(void)
{
	fixture_route = die_now;
	fixture_request("MESSAGE", "z9hG4bKanew", "anew@t", NULL);
}

static void invite_and_die(void)
{
	fixture_route = die_after_100;
	fixture_request("INVITE", "z9hG4bKanew", "anew@t", NULL);
}

/* The replacement of the dead worker, in this process: runs the wheel of slot 2. */
static void as_worker(unsigned ms)
{
	shm_slot_release();
	ck_assert_int_eq(shm_slot_take(2, SHM_SLOT_WORKER), 0);
	fixture_wait(ms);
}

static void wait_and_die(void)
{
	fixture_route = die_after_100;
	fixture_wait(100);
}

START_TEST(untold_request_starts_anew)
{
	die_in(message_and_die);
	ck_assert_uint_eq(live(), 1);
	fixture_request("MESSAGE", "z9hG4bKanew", "anew@t", NULL);
	ck_assert_uint_eq(fixture_count(0, "MESSAGE"), 1);
	ck_assert_uint_eq(live(), 1);
}
END_TEST

START_TEST(route_runs_again_without_the_client)
{
	die_in(invite_and_die);
	fixture_route = answer_486;
	as_worker(100);
	ck_assert_uint_eq(fixture_count(0, "SIP/2.0 486"), 1);
	ck_assert_uint_eq(live(), 1);
	ck_assert_int_eq(fixture_live(), 1);
}
END_TEST

START_TEST(route_that_kills_twice_is_answered_500)
{
	die_in(invite_and_die);
	die_in(wait_and_die);
	fixture_route = die_after_100; /* is not called */
	as_worker(100);
	ck_assert_uint_eq(fixture_count(0, "SIP/2.0 500"), 1);
}
END_TEST

/* The janitor dies as well, in the middle of its step. */
START_TEST(janitor_dies_too)
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (shm_slot_take(2, SHM_SLOT_WORKER) != 0)
			_exit(2);
		invite_and_die();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(shm_slot_mark_dead(2), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (shm_slot_take(3, SHM_SLOT_JANITOR) != 0 || shm_crash_arm("tm.recover.armed", 1) != 0)
			_exit(2);
		_exit(shm_recover_slot(2) == 0 ? 0 : 3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(shm_slot_mark_dead(3), 0);
	ck_assert_int_eq(shm_recover_slot(3), 0);
	ck_assert_int_eq(shm_recover_slot(2), 0);
	ck_assert_int_eq(shm_check_all(NULL), 0);
	fixture_route = answer_486;
	as_worker(100);
	ck_assert_uint_eq(fixture_count(0, "SIP/2.0 486"), 1);
}
END_TEST

/* A reply is taken, its route dies: callee and caller repeat nothing we could not repeat ourselves. */
static void die_in_reply(struct ctx *ctx)
{
	(void)ctx; /* whatever it was */
	raise(SIGKILL);
}

static int relay_on_reply(struct ctx *ctx)
{
	ctx->on_reply = STR_LIT("reply");
	return tm_relay(ctx, NULL);
}

static void reply_and_die(void)
{
	fixture_route = relay_on_reply;
	fixture_onreply = die_in_reply;
	fixture_request("MESSAGE", "z9hG4bKrepl", "repl@t", NULL);
	fixture_reply(fixture_find(0, "MESSAGE"), 200, "OK", "");
}

static void pass(struct ctx *ctx)
{
	ctx->mflags &= ~(uint32_t)CTX_F_DROP;
}

START_TEST(reply_lost_in_its_route_is_asked_for_again)
{
	die_in(reply_and_die);
	fixture_onreply = pass;
	as_worker(100);
	ck_assert_uint_eq(fixture_count(0, "MESSAGE"), 1);
	fixture_reply(fixture_find(0, "MESSAGE"), 200, "OK", "");
	ck_assert_uint_eq(fixture_count(0, "SIP/2.0 200"), 1);
}
END_TEST

static void final_and_die(void)
{
	fixture_route = relay_on_reply;
	fixture_onreply = die_in_reply;
	fixture_request("INVITE", "z9hG4bKfin", "fin@t", NULL);
	fixture_reply(fixture_find(0, "INVITE"), 486, "Busy Here", "");
}

/* A final reply is acknowledged when it can no longer get lost here, so its callee has repeated it. */
START_TEST(final_reply_is_acknowledged_last)
{
	die_in(final_and_die);
	fixture_onreply = pass;
	as_worker(100);
	fixture_reply(fixture_find(0, "INVITE"), 486, "Busy Here", "");
	ck_assert_uint_eq(fixture_count(0, "ACK"), 1);
	ck_assert_uint_eq(fixture_count(0, "SIP/2.0 486"), 1);
	fixture_request("ACK", "z9hG4bKfin", "fin@t", NULL);
}
END_TEST

static void teardown(void)
{
	fixture_wait(400000);
	ck_assert_uint_eq(live(), 0);
}

Suite *test_suite(void)
{
	Suite *s = suite_create("tm/crash");
	TCase *t = tcase_create("crash");
	int n_points = 0; /* in a build without crash points */

#ifdef RF_CRASH_POINTS
	n_points = (int)ARRAY_LEN(points);
#endif
	tcase_add_checked_fixture(t, fixture_setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_loop_test(t, death_anywhere, 0, n_points);
	tcase_add_test(t, untold_request_starts_anew);
	tcase_add_test(t, route_runs_again_without_the_client);
	if (n_points) /* it dies at a crash point */
		tcase_add_test(t, janitor_dies_too);
	tcase_add_test(t, route_that_kills_twice_is_answered_500);
	tcase_add_test(t, reply_lost_in_its_route_is_asked_for_again);
	tcase_add_test(t, final_reply_is_acknowledged_last);
	suite_add_tcase(s, t);
	return s;
}
