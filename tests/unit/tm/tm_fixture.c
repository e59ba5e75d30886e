/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/tm/tm_fixture.h"

#include "tests/lib/free_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/event/doorbell.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

#define MS0 1000000u

struct sent sent[SENT_MAX];
unsigned n_sent;
int (*fixture_route)(struct ctx *ctx);
void (*fixture_failure)(struct ctx *ctx);
void (*fixture_onreply)(struct ctx *ctx);
bool (*fixture_branch)(struct ctx *ctx);
void (*fixture_continued)(struct ctx *ctx);
int fixture_rc;
bool fixture_lossy;
uint16_t fixture_port;
static uint64_t now;
static struct loop *loop;

static int collect(const struct tx_dest *dest, const struct iovec *iov, unsigned n_iov, struct str *ret_instead)
{
	struct sent *s;

	(void)ret_instead; /* sent nowhere */

	ck_assert_uint_lt(n_sent, SENT_MAX);
	s = &sent[n_sent++];
	s->dest = *dest;
	s->n = 0;
	for (unsigned i = 0; i < n_iov; i++) {
		ck_assert_uint_lt(s->n + iov[i].iov_len, sizeof(s->text));
		memcpy(s->text + s->n, iov[i].iov_base, iov[i].iov_len);
		s->n += iov[i].iov_len;
	}
	s->text[s->n] = '\0';
	return 0; /* it goes to loopback, where nobody listens */
}

static int call_route(struct ctx *ctx, enum ctx_kind kind, struct str name, int (*cont)(struct ctx *ctx, int rc, void *arg), void *arg)
{
	(void)name; /* there is one */
	if (!fixture_branch)
		return -ENOENT;
	ctx->kind = kind;
	if (!fixture_branch(ctx))
		ctx->mflags |= CTX_F_DROP;
	ctx->kind = CTX_REQUEST;
	return cont(ctx, 1, arg) == TM_CALL ? TM_CALL : TM_CALL;
}

static bool has_route(enum ctx_kind kind, struct str name)
{
	if (kind == CTX_FAILURE)
		return fixture_failure && str_eq(name, STR_LIT("fail"));
	if (kind == CTX_REQUEST)
		return str_eq(name, STR_LIT("go"));
	if (kind == CTX_TM_REPLY)
		return fixture_onreply && str_eq(name, STR_LIT("reply"));
	return false;
}

static int run_route(struct ctx *ctx, enum ctx_kind kind, struct str name)
{
	void (*done)(struct ctx *, int) = ctx->finished;

	if (!has_route(kind, name))
		return -ENOENT;
	ctx->kind = kind;
	ctx->finished = NULL;
	if (kind == CTX_FAILURE)
		fixture_failure(ctx);
	else
		fixture_onreply(ctx);
	done(ctx, 1);
	return 0;
}

static int run_continued(struct ctx *ctx, enum ctx_kind kind, struct str name)
{
	void (*done)(struct ctx *, int) = ctx->finished;

	if (!str_eq(name, STR_LIT("go")))
		return -ENOENT;
	ctx->kind = kind;
	ctx->finished = NULL;
	if (fixture_continued)
		fixture_continued(ctx);
	done(ctx, 1);
	return 0;
}

static struct str server_header(void)
{
	return STR_NULL;
}

static int stateless(struct ctx *ctx, int code, struct str reason)
{
	struct sip_reply_opts o = { .status = (uint16_t)code, .reason = reason };
	struct sip_out out;
	struct tx_dest dest;

	out_reply_dest(ctx, &dest);
	return sip_build_reply(ctx->pool, &ctx->msg, &o, &out) == 0 && tx_send(&dest, out.iov, out.n_iov) == 0 ? 1 : -1;
}

static int forward_reply(struct ctx *ctx)
{
	(void)ctx; /* not asked for here */
	return -1;
}

static int forward_request(struct ctx *ctx, const struct tm_relay_opts *opts)
{
	(void)ctx, (void)opts; /* only that it was asked for */
	return 77;
}

static bool may_forward(struct ctx *ctx)
{
	(void)ctx;
	return true;
}

static void event_replied(struct str name, struct ctx *ctx, const struct sip_out *reply)
{
	(void)name, (void)ctx, (void)reply; /* no script here */
}

static void serve(struct ctx *ctx);

static const struct tm_hooks hooks = { call_route, run_route, run_continued, has_route, event_replied, server_header, stateless, forward_reply,
	forward_request, may_forward, serve };

void fixture_setup(void)
{
	struct shm_opts opts = { .ceiling_bytes = (uint64_t)64 << 20 };
	struct net_listen_spec spec = { .proto = SIP_PROTO_UDP, .host = STR_LIT("127.0.0.1") };
	struct net_open_opts oo = { .n_workers = 1, .tos = -1, .backlog = 16 };
	struct diag why;
	struct resolve_conf rc = { .timeout_ms = 1000, .use_cache = 1 };

	free_ports(&fixture_port, 1);
	spec.port = fixture_port;
	clock_fake(MS0, 1800000000);
	now = MS0;
	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(shm_slot_take(1, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(net_listener_add(&spec, NULL), 0);
	ck_assert_int_eq(net_listeners_open(&oo, &why), 0);
	ck_assert_int_eq(resolve_init(&rc), 0);
	ck_assert_int_eq(ctx_pool_init(64), 0);
	ck_assert_int_eq(tm_init(), 0);
	tm_set_hooks(&hooks);
	ck_assert_int_eq(tm_worker_init(loop), 0);
	tx_set_hook(collect);
	n_sent = 0;
	fixture_route = NULL;
	fixture_failure = NULL;
	fixture_onreply = NULL;
	fixture_branch = NULL;
	fixture_continued = NULL;
}

void fixture_teardown(void)
{
	const char *what = NULL;

	tx_flush();

	ck_assert_uint_eq(ctx_in_use(), 0);
	ck_assert_msg(shm_check_all(&what) == 0, "%s", what ? what : "?");
	/* Everything ends by itself. */
	fixture_wait(400000);
	ck_assert_int_eq(fixture_live(), 0);
	ck_assert_uint_eq(ctx_in_use(), 0);
	ck_assert_uint_eq(shm_arena_leaked(), 0);
}

static struct rx_info rx_from(unsigned port)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0 };

	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.1"), (uint16_t)port, &rx.src), 0);
	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.1"), fixture_port, &rx.dst), 0);
	return rx;
}

static int relay_default(struct ctx *ctx)
{
	return tm_relay(ctx, NULL);
}

static void serve(struct ctx *ctx)
{
	if (!tm_rx_request(ctx)) {
		fixture_rc = (fixture_route ? fixture_route : relay_default)(ctx);
		tm_script_end(ctx);
	}
	ctx_free(ctx);
}

void fixture_request(const char *method, const char *branch, const char *callid, const char *extra)
{
	char text[4096];
	struct rx_info rx = rx_from(21510);
	struct ctx *ctx;
	int n = snprintf(text, sizeof(text),
			 "%s sip:bob@127.0.0.1:21520 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:21510;branch=%s\r\n"
			 "From: <sip:alice@127.0.0.1>;tag=a1\r\nTo: <sip:bob@127.0.0.1>\r\nCall-ID: %s\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\n"
			 "%sContent-Length: 0\r\n\r\n",
			 method, branch, callid, method, extra ? extra : "");

	ck_assert_int_gt(n, 0);
	ctx = ctx_from_bytes(str_of(text, (size_t)n), &rx);
	if (!ctx && fixture_lossy)
		return;
	ck_assert_ptr_nonnull(ctx);
	serve(ctx);
}

const char *fixture_field(unsigned i, const char *name)
{
	static char value[2048];
	char find[64];
	const char *p;
	size_t n;

	ck_assert_int_gt(snprintf(find, sizeof(find), "\r\n%s: ", name), 0);
	p = strstr(sent[i].text, find);
	value[0] = '\0';
	if (!p)
		return value;
	p += strlen(find);
	n = strcspn(p, "\r");
	ck_assert_uint_lt(n, sizeof(value));
	memcpy(value, p, n);
	value[n] = '\0';
	return value;
}

void fixture_reply(unsigned to_sent, int status, const char *reason, const char *extra)
{
	struct rx_info rx = rx_from(sent[to_sent].dest.to.port);
	struct sip_msg msg;
	struct pool *pool = pool_new(1 << 20);
	struct sip_reply_opts o = { .status = (uint16_t)status, .reason = str_lit(reason), .to_tag = STR_LIT("b1"), .extra = str_lit(extra) };
	struct sip_out out;
	char text[4096];
	struct ctx *ctx;

	ck_assert_int_eq(sip_msg_parse(pool, str_of(sent[to_sent].text, sent[to_sent].n), &msg, NULL), 0);
	ck_assert_int_eq(sip_build_reply(pool, &msg, &o, &out), 0);
	ck_assert_uint_lt(out.bytes, sizeof(text));
	sip_out_copy(&out, text);
	ctx = ctx_from_bytes(str_of(text, out.bytes), &rx);
	pool_free(pool);
	ck_assert_ptr_nonnull(ctx);
	if (!tm_rx_reply(ctx))
		ctx_free(ctx);
}

void fixture_skip(unsigned ms)
{
	now += ms;
	clock_fake(now, 1800000000 + (int64_t)((now - MS0) / 1000));
}

void fixture_wait(unsigned ms)
{
	/* Empty stretches are skipped, as the loop would sleep through them. */
	tx_flush();
	for (uint64_t end = now + ms; now < end;) {
		uint64_t step = shm_wheel_next_ms(now, (uint32_t)(end - now));

		now += step ? step : 1;
		clock_fake(now, 1800000000 + (int64_t)((now - MS0) / 1000));
		while (shm_wheel_run(now, 100) == 100)
			;
	}
}

bool fixture_starts(unsigned i, const char *text)
{
	return i < n_sent && strncmp(sent[i].text, text, strlen(text)) == 0;
}

unsigned fixture_count(unsigned from, const char *text)
{
	unsigned n = 0;

	for (unsigned i = from; i < n_sent; i++)
		n += fixture_starts(i, text);
	return n;
}

unsigned fixture_find(unsigned from, const char *text)
{
	for (unsigned i = from; i < n_sent; i++)
		if (fixture_starts(i, text))
			return i;
	ck_abort_msg("nothing sent starts with \"%s\"", text);
}

int64_t fixture_live(void)
{
	struct tm_stats s;

	tm_stats_read(&s);
	return s.current;
}
