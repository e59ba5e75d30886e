/* SPDX-License-Identifier: BSD-2-Clause */
/* core/route/ruri.c: each edit of the Request-URI, and the destination set. */
#include <errno.h>
#include <stdio.h>

#include "core/event/loop.h"
#include "core/route/route.h"
#include "core/tm/tm.h"
#include "tests/lib/test_main.h"

static struct loop *loop;

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(ctx_pool_init(2), 0);
}

static void teardown(void)
{
	loop_free(loop);
}

static struct ctx *request(const char *ruri)
{
	char text[2048];
	int n = snprintf(text, sizeof(text), "OPTIONS %s SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\n"
			 "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", ruri);
	struct ctx *ctx = ctx_from_bytes(str_of(text, (size_t)n), NULL);

	ck_assert_ptr_nonnull(ctx);
	return ctx;
}

/* clang-format off */
static const struct row { const char *in; enum route_uri_part part; const char *text; int64_t n; const char *out; } rows[] = {
	{ "sip:u:p@h:5070;transport=tcp?a=b", RURI_HOST, "x.y", 0, "sip:u:p@x.y:5070;transport=tcp?a=b" },
	{ "sip:u@h:5070;transport=tcp", RURI_HOSTPORT, "x", 0, "sip:u@x;transport=tcp" },
	{ "sip:u@h:5070;transport=tcp;x=1", RURI_HOSTPORTTRANS, "x:1;transport=udp", 0, "sip:u@x:1;transport=udp;x=1" },
	{ "sip:u@h:5070", RURI_PORT, "6", 0, "sip:u@h:6" }, { "sip:u@h:5070", RURI_PORT, "", 0, "sip:u@h" },
	{ "sip:u:p@h", RURI_USER, "v", 0, "sip:v:p@h" }, { "sip:u:p@h", RURI_USER, "", 0, "sip:h" }, { "sip:h", RURI_USER, "v", 0, "sip:v@h" },
	{ "sip:u:p@h", RURI_USERPASS, "v:q", 0, "sip:v:q@h" }, { "sip:u@[::1]:5", RURI_PREFIX, "00", 0, "sip:00u@[::1]:5" },
	{ "sip:h", RURI_PREFIX, "00", 0, "sip:00@h" }, { "sip:12345@h", RURI_STRIP, "", 2, "sip:345@h" },
	{ "sip:12345@h", RURI_STRIP_TAIL, "", 2, "sip:123@h" }, { "sip:12@h", RURI_STRIP, "", 5, "sip:h" },
	{ "sip:12@h;a", RURI_USERPHONE, "", 0, "sip:12@h;a;user=phone" }, { "sip:12@h;user=ip", RURI_USERPHONE, "", 0, "sip:12@h;user=ip" },
	{ "sip:a@b", RURI_ALL, "sip:whole@x;y", 0, "sip:whole@x;y" }, { "sip:u@[::1]", RURI_PORT, "7", 0, "sip:u@[::1]:7" },
	{ "tel:+123", RURI_HOST, "gw", 0, "sip:+123@gw;user=phone" }, { "tel:+123", RURI_PREFIX, "9", 0, "tel:9+123" },
	{ "tel:+123", RURI_PORT, "9", 0, NULL }, { "sip:u@h", RURI_HOST, "a b", 0, NULL }, { "sip:u@h", RURI_STRIP, "", -1, NULL },
};
/* clang-format on */

START_TEST(edits)
{
	const struct row *r = &rows[_i];
	struct ctx *ctx = request(r->in);
	struct str u;
	int err;

	ctx->mflags |= CTX_F_RURI_CONSUMED;
	err = route_ruri_set(ctx, r->part, str_lit(r->text), r->n);
	u = ctx_ruri(ctx);
	if (r->out) {
		ck_assert_int_eq(err, 0);
		ck_assert_msg(str_eq(u, str_lit(r->out)), "%.*s, not %s", STR_FMT(u), r->out);
		ck_assert(!(ctx->mflags & CTX_F_RURI_CONSUMED));
	} else {
		ck_assert_int_lt(err, 0);
		ck_assert(str_eq(u, str_lit(r->in)));
	}
	ck_assert_int_eq(route_ruri_set(ctx, RURI_REVERT, STR_NULL, 0), 0);
	ck_assert(str_eq(ctx_ruri(ctx), str_lit(r->in)));
	ctx_free(ctx);
}
END_TEST

START_TEST(branches)
{
	struct ctx *ctx = request("sip:a@b");

	ctx->main.dst_uri = STR_LIT("sip:d");
	ctx->main.bflags = 6;
	ck_assert_int_eq(route_branch_add(ctx, STR_LIT("sip:x"), 500), 0);
	ck_assert_uint_eq(ctx->main.bflags, 6);
	ck_assert_int_eq(ctx->branch[0].q, 500);
	ck_assert_int_eq(route_branch_add(ctx, STR_NULL, -1), 0);
	ck_assert_uint_eq(ctx->main.bflags, 0);
	ck_assert_uint_eq(ctx->main.dst_uri.n, 0);
	ck_assert(str_eq(ctx->branch[1].dst_uri, STR_LIT("sip:d")) && str_eq(ctx->branch[1].uri, STR_LIT("sip:a@b")));
	while (ctx->n_branches + 1 < tm_conf.max_branches)
		ck_assert_int_eq(route_branch_add(ctx, STR_LIT("sip:y"), -1), 0);
	ck_assert_int_eq(route_branch_add(ctx, STR_LIT("sip:y"), -1), -ENOSPC);
	ctx_free(ctx);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("route/ruri");
	TCase *t = tcase_create("ruri");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, edits, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(t, branches);
	suite_add_tcase(s, t);
	return s;
}
