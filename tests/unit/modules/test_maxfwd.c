/* SPDX-License-Identifier: BSD-2-Clause */
/* modules/maxfwd: codes and the field as it is sent. */
#include <stdio.h>

#include "core/event/loop.h"
#include "core/module/abi.h"
#include "tests/lib/test_main.h"

extern const struct module module_maxfwd;

/* clang-format off */
static const struct row { const char *field; int64_t n; int process, below; const char *sent; } rows[] = {
	{ "", 10, 2, -2, "Max-Forwards: 10\r\n" }, { "Max-Forwards: 70\r\n", 10, 1, -1, "Max-Forwards: 69\r\n" },
	{ "Max-Forwards: 200\r\n", 10, 1, -1, "Max-Forwards: 70\r\n" }, { "Max-Forwards: 0\r\n", 10, -1, 1, NULL },
	{ "Max-Forwards: 1\r\n", 10, 1, 1, "Max-Forwards: 0\r\n" }, { "Max-Forwards: x\r\n", 10, -2, -3, NULL },
	{ "Max-Forwards: 70\r\n", 256, -1, -3, NULL }, { "Max-Forwards: 4294967296\r\n", 10, -2, -3, NULL },
};
/* clang-format on */

START_TEST(table)
{
	const struct row *r = &rows[_i];
	char text[2048], sent[4096];
	struct loop *loop;
	struct ctx *ctx;
	struct sip_out out;
	union script_arg a = { .i = r->n };
	int n = snprintf(text, sizeof(text), "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\n"
			 "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n%sContent-Length: 0\r\n\r\n", r->field);

	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(ctx_pool_init(2), 0);
	settings_defaults(module_maxfwd.settings, module_maxfwd.conf);
	ctx = ctx_from_bytes(str_of(text, (size_t)n), NULL);
	ck_assert_ptr_nonnull(ctx);
	for (const struct script_func *f = module_maxfwd.funcs; f->name; f++) {
		if (strcmp(f->name, "maxfwd_process") == 0) {
			ck_assert_int_eq(f->fn(ctx, &a, 1), r->process);
			ck_assert_int_eq(f->fn(ctx, &a, 1), r->process); /* twice is once */
		}
		if (strcmp(f->name, "is_maxfwd_lt") == 0)
			ck_assert_int_eq(f->fn(ctx, &a, 1), r->below);
	}
	if (r->sent) {
		ck_assert_int_eq(sip_build_request(ctx->pool, &ctx->msg, &ctx->edits, &(struct sip_forward){ 0 }, false, &out), 0);
		sip_out_copy(&out, sent);
		sent[out.bytes] = '\0';
		ck_assert_ptr_nonnull(strstr(sent, r->sent));
		ck_assert_ptr_eq(strstr(strstr(sent, "Max-Forwards") + 1, "Max-Forwards"), NULL);
	}
	ctx_free(ctx);
	loop_free(loop);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("modules/maxfwd");
	TCase *t = tcase_create("maxfwd");

	tcase_add_loop_test(t, table, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	suite_add_tcase(s, t);
	return s;
}
