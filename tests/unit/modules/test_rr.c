/* SPDX-License-Identifier: BSD-2-Clause */
/* modules/rr: Record-Route as it is sent, loose_route()'s codes and what it changes, direction. */
#include "core/net/listener.h"
#include "core/module/abi.h"
#include "core/net/myself.h"
#include "core/tm/out.h"
#include "modules/outbound/outbound_api.h"
#include "tests/lib/test_main.h"
#include <errno.h>
#include <stdio.h>

extern const struct module module_rr, module_outbound;
static struct loop *loop;

static void setup(void)
{
	struct net_listen_spec a = { .proto = SIP_PROTO_UDP, .host = STR_LIT("127.0.0.1"), .port = 21501 };
	struct net_listen_spec b = { .proto = SIP_PROTO_TCP, .host = STR_LIT("127.0.0.1"), .port = 5060 };

	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(net_listener_add(&a, NULL), 0);
	ck_assert_int_eq(net_listener_add(&b, NULL), 0);
	ck_assert_int_eq(net_alias_add(SIP_PROTO_NONE, STR_LIT("me.test"), 0), 0);
	ck_assert_int_eq(ctx_pool_init(8), 0);
	settings_defaults(module_rr.settings, module_rr.conf);
	ck_assert_int_eq(module_rr.init(), 0);
}

static void teardown(void)
{
	ck_assert_uint_eq(ctx_in_use(), 0);
	loop_free(loop);
}

static struct ctx *request(const char *ruri, const char *to_tag, const char *fields)
{
	char text[4096];
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0 };
	struct ctx *ctx;
	int n = snprintf(text, sizeof(text),
			 "INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:21510;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=a1\r\nTo: <sip:c@d>%s%s\r\n"
			 "Call-ID: 1\r\nCSeq: 1 INVITE\r\n%sContent-Length: 0\r\n\r\n",
			 ruri, to_tag ? ";tag=" : "", to_tag ? to_tag : "", fields);

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(net_addr_parse(STR_LIT("127.0.0.1"), 21510, &rx.src), 0);
	ctx = ctx_from_bytes(str_of(text, (size_t)n), &rx);
	ck_assert_ptr_nonnull(ctx);
	return ctx;
}

static int call(struct ctx *ctx, const char *name, const char *arg)
{
	union script_arg a[2] = { { .s = str_lit(arg) } };

	for (const struct script_func *f = module_rr.funcs; f->name; f++)
		if (strcmp(f->name, name) == 0 && f->n_params == (arg ? 1 : 0))
			return f->fn(ctx, a, arg ? 1 : 0);
	ck_abort_msg("no function %s", name);
}

static const char *sent_by(struct ctx *ctx, unsigned listener)
{
	static char text[4096];
	struct out_request req = { .edits = &ctx->edits, .ruri = ctx->main.uri, .branch = STR_LIT("z9hG4bKt"), .from = net_listener_at(listener) };
	struct sip_out out;

	ck_assert_int_eq(out_request_build(ctx, &req, &out), 0);
	ck_assert_uint_lt(out.bytes, sizeof(text));
	sip_out_copy(&out, text);
	text[out.bytes] = '\0';
	return text;
}

START_TEST(record_route_one_and_two)
{
	struct ctx *ctx = request("sip:x@127.0.0.1:9", NULL, "Record-Route: <sip:other;lr>\r\n");
	const char *text, *first;

	ck_assert_int_eq(call(ctx, "add_rr_param", ";n=1"), 1);
	ck_assert_int_eq(call(ctx, "record_route", NULL), 1);
	ck_assert_int_eq(call(ctx, "record_route", NULL), -1);
	ck_assert_int_eq(call(ctx, "add_rr_param", ";m=2"), 1);
	text = sent_by(ctx, 0);
	first = strstr(text, "Record-Route: ");
	ck_assert_ptr_nonnull(first);
	ck_assert_int_eq(strncmp(first, "Record-Route: <sip:127.0.0.1:21501;lr;ftag=a1;n=1;m=2>\r\nRecord-Route: <sip:other;lr>", 80), 0);
	/* Another socket on the way out: two fields, the outgoing one on top. */
	first = strstr(sent_by(ctx, 1), "Record-Route: ");
	ck_assert_int_eq(strncmp(first, "Record-Route: <sip:127.0.0.1;transport=tcp;r2=on;lr;ftag=a1;n=1;m=2>\r\n"
					"Record-Route: <sip:127.0.0.1:21501;r2=on;lr;ftag=a1;n=1;m=2>\r\n", 130), 0);
	ck_assert_int_eq(call(ctx, "remove_record_route", NULL), 1);
	ck_assert_ptr_null(strstr(sent_by(ctx, 0), "21501;lr"));
	ctx_free(ctx);
}
END_TEST

/* clang-format off */
static const struct row { const char *ruri, *to_tag, *fields; int code; const char *dst, *ruri_after, *routes; } rows[] = {
	{ "sip:x@h", "t", "", -1, "", "sip:x@h", NULL },
	{ "sip:x@h", "t", "Route: <sip:me.test;lr>\r\n", 1, "", "sip:x@h", NULL },
	{ "sip:x@h", NULL, "Route: <sip:me.test;lr>\r\n", -3, "", "sip:x@h", NULL },
	{ "sip:x@h", NULL, "Route: <sip:me.test;lr>, <sip:next;lr>\r\n", 1, "sip:next;lr", "sip:x@h", "Route: <sip:next;lr>\r\n" },
	{ "sip:x@h", "t", "Route: <sip:elsewhere;lr>\r\n", 1, "sip:elsewhere;lr", "sip:x@h", "Route: <sip:elsewhere;lr>\r\n" },
	{ "sip:x@h", "t", "Route: <sip:127.0.0.1:21501;r2=on;lr>\r\nRoute: <sip:127.0.0.1;transport=tcp;r2=on;lr>\r\n", 1, "", "sip:x@h", NULL },
	{ "sip:x@h", "t", "Route: <sip:me.test;lr>\r\nRoute: <sip:strict.test>\r\n", 1, "", "sip:strict.test", "Route: <sip:x@h>\r\n" },
	/* a strict router before us */
	{ "sip:me.test;lr", "t", "Route: <sip:target@end>\r\n", 1, "", "sip:target@end", NULL },
	{ "sip:me.test;lr", "t", "Route: <sip:n;lr>, <sip:target@end>\r\n", 1, "sip:n;lr", "sip:target@end", "Route: <sip:n;lr>\r\n" },
	{ "sip:x@h", "t", "Route: <sip:me.test;lr\r\n", -1, "", "sip:x@h", NULL },
};
/* clang-format on */

START_TEST(loose_route_rows)
{
	const struct row *r = &rows[_i];
	struct ctx *ctx = request(r->ruri, r->to_tag, r->fields);
	struct str u;

	ck_assert_int_eq(call(ctx, "loose_route", NULL), r->code);
	ck_assert_uint_eq(ctx->main.dst_uri.n, strlen(r->dst));
	ck_assert(str_eq(ctx->main.dst_uri, str_lit(r->dst)));
	u = ctx_ruri(ctx);
	ck_assert_msg(str_eq(u, str_lit(r->ruri_after)), "%.*s", STR_FMT(u));
	if (r->code == 1 || r->code == -3) {
		const char *text = sent_by(ctx, 0);

		if (r->routes)
			ck_assert_ptr_nonnull(strstr(text, r->routes));
		else
			ck_assert_ptr_null(strstr(text, "\r\nRoute:"));
	}
	if (r->routes == NULL && strstr(r->fields, "transport=tcp"))
		ck_assert_uint_eq(ctx->main.listener, 1);
	ctx_free(ctx);
}
END_TEST

/* Every digit of a token counts, and nothing else has the form of one. */
START_TEST(tokens_cannot_be_made)
{
	static const char *const from[] = { "192.0.2.1", "2001:db8::1" }, *const at[] = { "127.0.0.2", "::1" };
	struct net_listen_spec spec = { .proto = SIP_PROTO_TCP, .host = str_lit(at[_i]), .port = 21502 };
	const struct outbound_api *api = module_outbound.api;
	struct outbound_flow flow;
	struct ctx *ctx = request("sip:x@h", NULL, "");
	struct str token;
	char text[128];

	settings_defaults(module_outbound.settings, module_outbound.conf);
	ck_assert_int_eq(module_outbound.init(), 0);
	ck_assert_int_eq(net_listener_add(&spec, NULL), 0);
	ck_assert_int_eq(net_addr_parse(str_lit(from[_i]), 40001, &ctx->rx.src), 0);
	ctx->rx.proto = SIP_PROTO_TCP;
	ctx->rx.listener = (uint16_t)(net_listener_count() - 1);
	ctx->rx.conn_id = 0x81020304;
	ck_assert_int_eq(api->token_make(ctx, &token), 0);
	ck_assert_int_eq(api->token_read(token, &flow), 0);
	ck_assert(net_addr_equal(&flow.src, &ctx->rx.src) && flow.src.family == ctx->rx.src.family);
	ck_assert(net_addr_equal(&flow.dst, &net_listener_at(ctx->rx.listener)->addr));
	ck_assert(flow.proto == SIP_PROTO_TCP && flow.conn_id == ctx->rx.conn_id);
	ck_assert_uint_lt(token.n, sizeof(text));
	for (size_t i = 0; i < token.n; i++) {
		memcpy(text, token.s, token.n);
		text[i] = text[i] == '0' ? '1' : '0';
		ck_assert_int_eq(api->token_read(str_of(text, token.n), &flow), -EBADMSG);
		text[i] = 'G';
		ck_assert_int_eq(api->token_read(str_of(text, token.n), &flow), -ENOENT);
		ck_assert_int_lt(api->token_read(str_of(token.s, i), &flow), 0);
	}
	ck_assert_int_eq(module_outbound.init(), 0); /* another key */
	ck_assert_int_eq(api->token_read(token, &flow), -EBADMSG);
	ctx_free(ctx);
}
END_TEST

START_TEST(directions)
{
	struct ctx *down = request("sip:x@h", "t", "Route: <sip:me.test;lr;ftag=a1>\r\n"), *up = request("sip:x@h", "t", "Route: <sip:me.test;lr;ftag=zz>\r\n");

	ck_assert_int_eq(call(down, "is_direction", "downstream"), 1); /* not routed yet */
	ck_assert_int_eq(call(down, "loose_route", NULL), 1);
	ck_assert_int_eq(call(up, "loose_route", NULL), 1);
	ck_assert_int_eq(call(down, "is_direction", "downstream"), 1);
	ck_assert_int_eq(call(down, "is_direction", "upstream"), -1);
	ck_assert_int_eq(call(up, "is_direction", "upstream"), 1);
	ctx_free(down);
	ctx_free(up);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("modules/rr");
	TCase *t = tcase_create("rr");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, record_route_one_and_two);
	tcase_add_loop_test(t, loose_route_rows, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_loop_test(t, tokens_cannot_be_made, 0, 2);
	tcase_add_test(t, directions);
	suite_add_tcase(s, t);
	return s;
}
