/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The n-th allocation fails, of shared memory, of a message's memory, for every n in the life of a transaction: what the caller is told is an
 * answer or nothing, in which case it repeats its request and is served then; whatever it is, all ends by itself, all structures are sound, and
 * nothing is left behind. Address and leak sanitizer see the rest.
 */
#include <assert.h>
#include <stdio.h>

#include "core/route/route.h"
#include "shm/arena.h"
#include "shm/crash.h"
#include "shm/recover.h"
#include "tests/lib/test_main.h"
#include "tests/unit/tm/tm_fixture.h"

#define TRIES_MAX 2000u
#define CALLER 21510u

/* ---- the peers: made without any memory that may fail ---- */

static void add_fields(char *out, size_t size, const char *msg)
{
	static const char *const names[] = { "Via:", "From:", "To:", "Call-ID:", "CSeq:" };
	size_t n = 0;

	for (const char *line = strstr(msg, "\r\n") + 2; *line && strncmp(line, "\r\n", 2) != 0; line = strstr(line, "\r\n") + 2) {
		int len = (int)(strstr(line, "\r\n") - line);

		for (unsigned i = 0; i < ARRAY_LEN(names); i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				n += (size_t)snprintf(out + n, size - n, "%.*s%s\r\n", len, line, i == 2 && !strstr(line, ";tag=") ? ";tag=b1" : "");
		assert(n < size);
	}
}

/* As the callee's socket would bring it; lost when there is no memory for it. */
static void peer_reply(unsigned to, int status)
{
	char text[4096], fields[3500];
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .src = sent[to].dest.to };
	struct ctx *ctx;
	int n;

	add_fields(fields, sizeof(fields), sent[to].text);
	n = snprintf(text, sizeof(text), "SIP/2.0 %d Said\r\n%sContent-Length: 0\r\n\r\n", status, fields);
	assert(n > 0 && (size_t)n < sizeof(text));
	ctx = ctx_from_bytes(str_of(text, (size_t)n), &rx);
	if (ctx && !tm_rx_reply(ctx))
		ctx_free(ctx);
}

static bool to_callee(unsigned i, const char *method)
{
	return fixture_starts(i, method) && sent[i].dest.to.port != CALLER;
}

/* Each request that goes out from here on is answered. Branches to the second callee succeed when final is 0. */
static void answer_all(unsigned *from, const char *method, int provisional, int final)
{
	for (; *from < n_sent; ++*from) {
		bool second = sent[*from].dest.to.port == 21531;

		if (!to_callee(*from, method))
			continue;
		if (provisional)
			peer_reply(*from, provisional);
		peer_reply(*from, second ? 200 : final);
	}
}

static unsigned finals(const char *method)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_sent; i++)
		n += sent[i].dest.to.port == CALLER && strncmp(sent[i].text, "SIP/2.0 ", 8) == 0 && sent[i].text[8] != '1' && strstr(fixture_field(i, "CSeq"), method);
	return n;
}

/* ---- lives ---- */

static struct tm_info waiting;
static bool has_waiting;

static int relay_armed(struct ctx *ctx)
{
	struct value v = value_str(STR_LIT("kept"));

	ctx->on_failure = STR_LIT("fail");
	ctx->on_reply = STR_LIT("reply");
	ctx->on_branch = STR_LIT("branch");
	if (avp_push(&ctx->avps.head[AVP_PLAIN], ctx->pool, STR_LIT("x"), &v))
		ctx->avps.dirty = true;
	if (sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, STR_LIT("X-Mine: 1\r\n"), SIP_EDIT_SCRIPT) < 0)
		return -1;
	return tm_relay(ctx, NULL);
}

static void again(struct ctx *ctx)
{
	if (route_ruri_set(ctx, RURI_ALL, STR_LIT("sip:vm@127.0.0.1:21531"), 0) == 0)
		fixture_rc = tm_relay(ctx, NULL);
}

static bool own_message(struct ctx *ctx)
{
	struct diag d;

	/* whatever fails, the branch goes on with what there is */
	return sip_edit_append(&ctx->edits, ctx->pool, &ctx->msg, STR_LIT("X-Branch: 1\r\n"), SIP_EDIT_SCRIPT) < 0 || tm_branch_msg_own(ctx) < 0 ||
	       route_msg_apply(ctx, &d) < 0 || true;
}

static void nothing(struct ctx *ctx)
{
	(void)ctx; /* it goes on */
}

static void suspend(struct ctx *ctx)
{
	has_waiting = tm_info(ctx, &waiting) == 0 && tm_suspend(ctx) == 1;
}

static int suspend_request(struct ctx *ctx)
{
	int rc = tm_suspend(ctx);

	has_waiting = rc == 1 && tm_info(ctx, &waiting) == 0;
	return rc;
}

static void relay_continued(struct ctx *ctx)
{
	if (ctx->msg.kind != SIP_REQUEST)
		return;
	ctx->on_reply = STR_LIT("reply");
	fixture_rc = tm_relay(ctx, NULL);
}

static void go_on(void)
{
	if (has_waiting)
		(void)tm_continue(waiting.index, waiting.label, STR_LIT("go")); /* it may be gone */
}

static void failing_call(void)
{
	unsigned from = 0;

	fixture_route = relay_armed;
	fixture_failure = again;
	fixture_onreply = nothing;
	fixture_branch = own_message;
	fixture_request("INVITE", "z9hG4bKlife", "life@t", NULL);
	answer_all(&from, "INVITE", 180, 486);
	answer_all(&from, "INVITE", 183, 486);
	fixture_request("ACK", "z9hG4bKlife", "life@t", NULL);
}

static void cancelled_call(void)
{
	unsigned from = 0;

	fixture_request("INVITE", "z9hG4bKstop", "stop@t", NULL);
	for (unsigned i = 0; i < n_sent; i++)
		if (to_callee(i, "INVITE"))
			peer_reply(i, 180);
	fixture_request("CANCEL", "z9hG4bKstop", "stop@t", "Reason: SIP;cause=487\r\n");
	answer_all(&from, "CANCEL", 0, 200);
	from = 0;
	answer_all(&from, "INVITE", 0, 487);
}

static void message(void)
{
	unsigned from = 0;

	fixture_request("MESSAGE", "z9hG4bKmess", "mess@t", NULL);
	answer_all(&from, "MESSAGE", 0, 202);
	fixture_request("MESSAGE", "z9hG4bKmess", "mess@t", NULL);
}

static void silence(void)
{
	fixture_request("MESSAGE", "z9hG4bKtmo", "tmo@t", NULL);
	fixture_wait(40000);
}

static void suspended(void)
{
	unsigned from = 0;

	has_waiting = false;
	fixture_route = suspend_request;
	fixture_continued = relay_continued;
	fixture_onreply = suspend;
	fixture_request("INVITE", "z9hG4bKwait", "wait@t", NULL);
	go_on();
	answer_all(&from, "INVITE", 180, 404);
	go_on();
	go_on();
}

static int forked(struct ctx *ctx)
{
	if (route_branch_add(ctx, STR_LIT("sip:late@127.0.0.1:21531"), -1) < 0 || tm_newtran(ctx) != 1 || tm_info(ctx, &waiting) < 0)
		return -1;
	(void)tm_append(ctx, waiting.index, waiting.label); /* to itself, when it lets go */
	ctx->n_branches = 0;
	return tm_relay(ctx, NULL);
}

static void appended(void)
{
	unsigned from = 0;

	fixture_route = forked;
	fixture_request("INVITE", "z9hG4bKmore", "more@t", NULL);
	answer_all(&from, "INVITE", 180, 404);
}

static void own_request(void)
{
	struct tm_uac_req own = { .method = STR_LIT("OPTIONS"), .ruri = STR_LIT("sip:bob@127.0.0.1:21520"), .listener = NET_LISTENER_NONE,
		.headers = STR_LIT("From: <sip:me@t>;tag=1\r\nTo: <sip:bob@t>\r\n"), .fr_ms = 2000 };
	struct diag why = { 0 };
	unsigned from = 0;

	if (tm_uac_start(&own, NULL, NULL, &why) == 0)
		answer_all(&from, "OPTIONS", 0, 200);
}

static const struct life {
	const char *name;
	void (*fn)(void);
	const char *method; /* of a request that its caller repeats until it is answered; NULL: none */
	const char *branch, *callid;
} lives[] = {
	{ "call that fails over", failing_call, "INVITE", "z9hG4bKlife", "life@t" },
	{ "cancelled call", cancelled_call, "INVITE", "z9hG4bKstop", "stop@t" },
	{ "message", message, "MESSAGE", "z9hG4bKmess", "mess@t" },
	{ "nobody answers", silence, "MESSAGE", "z9hG4bKtmo", "tmo@t" },
	{ "request and replies that wait", suspended, "INVITE", "z9hG4bKwait", "wait@t" },
	{ "branches added", appended, "INVITE", "z9hG4bKmore", "more@t" },
	{ "request of our own", own_request, NULL, NULL, NULL },
};

/* ---- what fails ---- */

static const struct kind {
	const char *name;
	int (*at)(unsigned n);
	bool (*end)(void);
} kinds[] = { { "shared memory", shm_alloc_fail_at, shm_alloc_fail_end }, { "message memory", pool_fail_at, pool_fail_end } };

static void quiet(void)
{
	fixture_route = NULL;
	fixture_failure = NULL;
	fixture_onreply = NULL;
	fixture_branch = NULL;
	fixture_continued = NULL;
}

START_TEST(nth_allocation_fails)
{
	const struct life *l = &lives[(unsigned)_i / ARRAY_LEN(kinds)];
	const struct kind *k = &kinds[(unsigned)_i % ARRAY_LEN(kinds)];
	unsigned n = 1;
	bool failed;

	do {
		const char *what = NULL;

		n_sent = 0;
		quiet();
		fixture_lossy = true;
		ck_assert_int_eq(k->at(n), 0);
		l->fn();
		failed = k->end();
		fixture_lossy = false;
		quiet();
		/* The caller repeats what it has no answer to; the callee answers again. */
		for (unsigned i = 0, from = 0; l->method && i < 3 && finals(l->method) == 0; i++) {
			fixture_request(l->method, l->branch, l->callid, NULL);
			answer_all(&from, l->method, 0, 404);
			fixture_wait(l->method[0] == 'I' ? 200000 : 40000);
		}
		ck_assert_msg(!l->method || finals(l->method) > 0, "%s, %s, allocation %u: no answer", l->name, k->name, n);
		fixture_wait(400000);
		ck_assert_msg(fixture_live() == 0, "%s, %s, allocation %u: %d transactions live", l->name, k->name, n, (int)fixture_live());
		ck_assert_msg(shm_check_all(&what) == 0, "%s, %s, allocation %u: check of %s fails", l->name, k->name, n, what ? what : "?");
		ck_assert_msg(shm_arena_leaked() == 0, "%s, %s, allocation %u: leak", l->name, k->name, n);
		ck_assert_msg(ctx_in_use() == 0, "%s, %s, allocation %u: %u contexts in use", l->name, k->name, n, ctx_in_use());
	} while (failed && n++ < TRIES_MAX);
	ck_assert_uint_gt(n, 1);
	ck_assert(!failed);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("tm/full");
	TCase *t = tcase_create("full");
	int n = 0; /* in a build without crash points */

#ifdef RF_CRASH_POINTS
	n = (int)(ARRAY_LEN(lives) * ARRAY_LEN(kinds));
#endif
	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, nth_allocation_fails, 0, n);
	suite_add_tcase(s, t);
	return s;
}
