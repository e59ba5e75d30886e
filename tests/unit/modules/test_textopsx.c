/* SPDX-License-Identifier: BSD-2-Clause */
/* Module textopsx: (call -> code, message as it is sent on). The rows on values of fields are what Kamailio 5.6.3 did with the same message. */
#include <string.h>

#include "tests/unit/modules/mod_test.h"

extern const struct module module_textopsx;

static const char msg[] =
	"INVITE sip:bob@example.com SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"
	"From: <sip:alice@a>;tag=1\r\n"
	"To: <sip:bob@b>\r\n"
	"Call-ID: x\r\n"
	"CSeq: 1 INVITE\r\n"
	"Foo: one;a=1, two;b=2\r\n"
	"X-A: xa\r\n"
	"foo: three;c=3;d\r\n"
	"Supported: 100rel, path\r\n"
	"Authorization: Digest username=\"u\", realm=\"r\", qop=auth\r\n"
	"Bar: \"a;x=y\" <sip:c;p=q>;bar=\"x y\";e=f\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 10\r\n\r\n"
	"v=0\r\no=-\r\n";
static const char reply[] =
	"SIP/2.0 486 Busy Here\r\n"
	"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"
	"From: <sip:alice@a>;tag=1\r\nTo: <sip:bob@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";

/* clang-format off */
static const struct change { const char *fn, *a[6]; int rc; const char *has, *gone; } changes[] = {
	{ "append_hf_value", { "new", "v;s=1" }, 1, "10\r\nnew: v;s=1\r\n\r\n", NULL },
	{ "append_hf_value", { "foo", "v" }, 1, "10\r\nfoo: v\r\n\r\n", NULL },
	{ "append_hf_value", { "foo[1]", "v" }, 1, "Foo: one;a=1,v, two;b=2\r\n", NULL },
	{ "append_hf_value", { "foo[3]", "v" }, 1, "foo: three;c=3;d,v\r\n", NULL },
	{ "append_hf_value", { "foo[9]", "v" }, 1, "foo: v\r\n\r\n", NULL },
	{ "append_hf_value", { "foo[-1]", "v" }, 1, "foo: three;c=3;d,v\r\n", NULL },
	{ "append_hf_value", { "foo[-3]", "v" }, 1, "Foo: one;a=1,v, two", NULL },
	{ "append_hf_value", { "foo[-9]", "v" }, 1, "foo: v\r\n\r\n", NULL },
	{ "insert_hf_value", { "foo", "v" }, 1, "INVITE\r\nfoo: v\r\nFoo: one", NULL },
	{ "insert_hf_value", { "foo[1]", "v" }, 1, "Foo: v,one;a=1, two", NULL },
	{ "insert_hf_value", { "foo[2]", "v" }, 1, "Foo: one;a=1,v, two;b=2\r\n", NULL },
	{ "insert_hf_value", { "foo[-1]", "v" }, 1, "foo: v,three", NULL },
	{ "insert_hf_value", { "foo[9]", "v" }, -1, NULL, "v,"},
	{ "insert_hf_value", { "new[2]", "v" }, -1, NULL, "new" },
	{ "remove_hf_value", { "foo" }, 1, "Foo:  two;b=2\r\n", "one" },
	{ "remove_hf_value", { "foo[2]" }, 1, "Foo: one;a=1\r\n", "two" },
	{ "remove_hf_value", { "foo[3]" }, 1, "X-A: xa\r\nSupported", "three" },
	{ "remove_hf_value", { "foo[4]" }, -1, NULL, NULL },
	{ "remove_hf_value", { "foo[*]" }, 1, "INVITE\r\nX-A: xa\r\nSupp", "three" },
	{ "remove_hf_value", { "foo.a" }, 1, "Foo: one, two;b=2\r\n", NULL },
	{ "remove_hf_value", { "foo[3].c" }, 1, "foo: three;d\r\n", NULL },
	{ "remove_hf_value", { "foo[3].d" }, 1, "foo: three;c=3\r\n", NULL },
	{ "remove_hf_value", { "foo.zz" }, -1, NULL, NULL },
	{ "remove_hf_value", { "bar.bar" }, 1, "Bar: \"a;x=y\" <sip:c;p=q>;e=f\r\n", NULL },
	{ "remove_hf_value", { "new" }, -1, NULL, NULL },
	{ "remove_hf_value2", { "Authorization.realm" }, 1, "Digest username=\"u\", qop=auth\r\n", "realm" },
	{ "remove_hf_value2", { "Authorization.username" }, 1, "Digest  realm=\"r\", qop=auth\r\n", "username" },
	{ "remove_hf_value2", { "Authorization.qop" }, 1, "Digest username=\"u\", realm=\"r\"\r\n", "qop" },
	{ "remove_hf_value2", { "Authorization" }, 1, "path\r\nBar", "Digest" },
	{ "remove_hf_value2", { "Authorization.nope" }, -1, NULL, NULL },
	{ "assign_hf_value", { "foo", "v;s=1" }, 1, "Foo: v;s=1, two;b=2\r\n", "one" },
	{ "assign_hf_value", { "foo[3]", "v" }, 1, "foo: v\r\n", "three" },
	{ "assign_hf_value", { "foo[4]", "v" }, -1, NULL, NULL },
	{ "assign_hf_value", { "foo[*].a", "v" }, 1, "Foo: one;a=v, two;b=2;a=v\r\nX-A: xa\r\nfoo: three;c=3;d;a=v\r\n", NULL },
	{ "assign_hf_value", { "foo.a", "" }, 1, "Foo: one;a, two", NULL },
	{ "assign_hf_value", { "foo.new", "9" }, 1, "Foo: one;a=1;new=9, two", NULL },
	{ "assign_hf_value", { "foo[3].d", "9" }, 1, "foo: three;c=3;d=9\r\n", NULL },
	{ "assign_hf_value", { "bar.bar", "9" }, 1, "Bar: \"a;x=y\" <sip:c;p=q>;bar=9;e=f\r\n", NULL },
	{ "assign_hf_value", { "new", "9" }, -1, NULL, NULL },
	{ "assign_hf_value2", { "Authorization.realm", "9" }, 1, "realm=9, qop", NULL },
	{ "assign_hf_value2", { "Authorization.nonce", "9" }, 1, "qop=auth,nonce=9\r\n", NULL },
	{ "assign_hf_value2", { "Authorization", "Basic x" }, 1, "Authorization: Basic x\r\n", "Digest" },
	{ "include_hf_value", { "Supported", "PATH" }, 1, "Supported: 100rel, path\r\n", NULL },
	{ "include_hf_value", { "Supported", "timer" }, 1, "Supported: 100rel, path,timer\r\n", NULL },
	{ "include_hf_value", { "Require", "timer" }, 1, "Require: timer\r\n\r\n", NULL },
	{ "exclude_hf_value", { "Supported", "path" }, 1, "Supported: 100rel\r\n", "path" },
	{ "exclude_hf_value", { "Supported", "100rel" }, 1, "Supported:  path\r\n", "100rel" },
	{ "exclude_hf_value", { "Require", "x" }, 1, NULL, "Require" },
	{ "hf_value_exists", { "Supported", "PATH" }, 1, NULL, NULL },
	{ "hf_value_exists", { "k", "none" }, -1, NULL, NULL },
	{ "hf_value_exists", { "Foo", "two" }, -1, NULL, NULL },
	{ "hf_value_exists", { "Foo", "three;c=3;d" }, 1, NULL, NULL },
	{ "keep_hf", { "^F" }, -1, "foo: three", "X-A" },
	{ "keep_hf", { NULL }, -1, "Content-Length: 10\r\n", "oo:" },
	{ "remove_body", { NULL }, 1, "Content-Length: 0\r\n\r\n", "v=0" },
	{ "fnmatch", { "abc", "a*" }, 1, NULL, NULL },
	{ "fnmatch", { "abc", "A*" }, -1, NULL, NULL },
	{ "fnmatch", { "abc", "A*", "i" }, 1, NULL, NULL },
};
static const struct refused { const char *fn, *text; } refused[] = {
	{ "append_hf_value", "foo[*]" }, { "append_hf_value", "foo[1].p" }, { "append_hf_value", "foo[0]" }, { "append_hf_value", "[1]" },
	{ "remove_hf_value", "foo[1" }, { "remove_hf_value", "foo[x]" }, { "remove_hf_value", "foo[99999999999]" }, { "remove_hf_value", "foo." },
	{ "remove_hf_value", "foo[1]x" }, { "assign_hf_value", "foo[*]" },
};
static const struct status { int code; const char *reason; int rc; const char *has; } statuses[] = {
	{ 404, "Gone Away", 1, "SIP/2.0 404 Gone Away\r\nFrom" }, { 603, "", 1, "SIP/2.0 603 \r\nFrom" }, { 200, "OK", -1, "SIP/2.0 486 Busy Here\r\n" },
	{ 99, "x", -1, "SIP/2.0 486 Busy Here" }, { 700, "x", -1, "SIP/2.0 486 Busy Here" },
};
/* exclude_hf_value("Supported", "path"): the fields, and what is left of them */
static const struct exclude { const char *fields, *left; } excludes[] = {
	{ "Supported: path\r\n", "" },
	{ "Supported: path, PATH\r\n", "" },
	{ "Supported: path,path,a\r\n", "Supported: a\r\n" },
	{ "Supported: a,path,path\r\n", "Supported: a\r\n" },
	{ "Supported: path,a,path\r\n", "Supported: a\r\n" },
	{ "Supported: a,path,path,b,path\r\n", "Supported: a,b\r\n" },
	{ "Supported: path, path, a, path\r\n", "Supported:   a\r\n" },
	{ "Supported: path,path\r\nk: a,path\r\nSupported: b\r\n", "k: a\r\nSupported: b\r\n" },
	{ "Supported: a,,path\r\n", "Supported: a,\r\n" },
	{ "Supported: ,path,\r\n", "" },
	{ "Supported: path, \"a\r\n", "Supported:  \"a\r\n" },
};
/* clang-format on */

static void once(void)
{
	mod_once(&module_textopsx);
}

static int call1(const char *fn, const char *a)
{
	return call(&module_textopsx, fn, (const char *const[6]){ a });
}

static int call2(const char *fn, const char *a, const char *b)
{
	return call(&module_textopsx, fn, (const char *const[6]){ a, b });
}

static bool has(const char *text)
{
	return str_find(built(), str_lit(text)) >= 0;
}

START_TEST(results)
{
	const struct change *c = &changes[_i];
	struct str out;

	ctx_of(msg);
	ck_assert_msg(call(&module_textopsx, c->fn, c->a) == c->rc, "%s(%s, %s)", c->fn, c->a[0], c->a[1]);
	out = built();
	ck_assert_msg(!c->has || str_find(out, str_lit(c->has)) >= 0, "%s(%s, %s): no '%s' in\n%.*s", c->fn, c->a[0], c->a[1], c->has, STR_FMT(out));
	ck_assert_msg(!c->gone || str_find(out, str_lit(c->gone)) < 0, "%s(%s, %s): '%s' is in\n%.*s", c->fn, c->a[0], c->a[1], c->gone, STR_FMT(out));
}
END_TEST

START_TEST(excluded)
{
	static char text[512];

	(void)snprintf(text, sizeof(text), "OPTIONS sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nFrom: <sip:a@a>;tag=1\r\n"
		       "To: <sip:b@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n%sX-End: 1\r\nContent-Length: 0\r\n\r\n", excludes[_i].fields);
	ctx_of(text);
	ck_assert_int_eq(call2("exclude_hf_value", "Supported", "path"), 1);
	(void)snprintf(text, sizeof(text), "CSeq: 1 OPTIONS\r\n%sX-End", excludes[_i].left);
	ck_assert_msg(has(text), "%s: %.*s", excludes[_i].fields, STR_FMT(built()));
}
END_TEST

START_TEST(places_refused)
{
	const struct refused *r = &refused[_i];
	struct diag d = { 0 };
	void *p;

	ctx_of(msg);
	for (const struct script_func *f = module_textopsx.funcs; f->name; f++) {
		if (strcmp(f->name, r->fn) == 0)
			ck_assert_msg(f->fixup(ctx->pool, 0, str_lit(r->text), &p, &d) < 0 && d.text[0], "%s(%s)", r->fn, r->text);
	}
}
END_TEST

START_TEST(reply_status)
{
	const struct status *s = &statuses[_i];
	char code[16];
	struct sip_out out;
	char bytes[2048];

	ctx_of(reply);
	ctx->kind = CTX_CORE_REPLY;
	snprintf(code, sizeof(code), "%d", s->code);
	ck_assert_int_eq(call2("change_reply_status", "480", "First"), 1); /* the second one counts */
	ck_assert_int_eq(call2("change_reply_status", "486", "Busy Here"), 1);
	ck_assert_int_eq(call2("change_reply_status", code, s->reason), s->rc);
	ck_assert_int_eq(ctx->msg.status, s->rc > 0 ? s->code : 486);
	ck_assert_int_eq(sip_build_relayed_reply(ctx->pool, &ctx->msg, &ctx->edits, 0, STR_NULL, false, &out), 0);
	ck_assert_uint_lt(out.bytes, sizeof(bytes));
	sip_out_copy(&out, bytes);
	ck_assert_msg(str_find(str_of(bytes, out.bytes), str_lit(s->has)) == 0, "%.*s", (int)out.bytes, bytes);
}
END_TEST

/* What was changed is what the script reads afterwards; what was not part of the message stays. */
START_TEST(apply)
{
	ctx_of(msg);
	ctx->main.uri = STR_LIT("sip:carol@c;x=y");
	ctx->main.dst_uri = STR_LIT("sip:1.2.3.4");
	ctx->flags = 8;
	ck_assert_int_eq(call1("remove_hf_value", "foo[*]"), 1);
	ck_assert_int_eq(call2("append_hf_value", "new", "v"), 1);
	ck_assert_int_eq(call1("msg_apply_changes", NULL), 1);
	ck_assert(str_eq(ctx->msg.ruri, STR_LIT("sip:carol@c;x=y")));
	ck_assert(!sip_msg_hdr_named(&ctx->msg, STR_LIT("Foo"), 0));
	ck_assert(sip_msg_hdr_named(&ctx->msg, STR_LIT("new"), 0));
	ck_assert(str_eq(ctx->main.dst_uri, STR_LIT("sip:1.2.3.4")));
	ck_assert_uint_eq(ctx->flags, 8);
	ck_assert_int_eq(call1("remove_hf_value", "new"), 1);
	ck_assert(!has("new:"));
	ck_assert_int_eq(call1("remove_body", NULL), 1);
	ck_assert_int_eq(call1("msg_apply_changes", NULL), 1);
	ck_assert_uint_eq(ctx->msg.body.n, 0);
}
END_TEST

/* Without From it is no message any more: the script ends, and nothing was changed. */
START_TEST(apply_refused)
{
	ctx_of(msg);
	ck_assert_int_eq(sip_edit_remove_hdr(&ctx->edits, ctx->pool, &ctx->msg, sip_msg_hdr(&ctx->msg, SIP_H_FROM), SIP_EDIT_SCRIPT), 0);
	ck_assert_int_eq(call1("msg_apply_changes", NULL), 0);
	ck_assert(sip_msg_hdr(&ctx->msg, SIP_H_FROM));
	ck_assert_int_eq(call1("msg_set_buffer", "rubbish"), -1);
	ck_assert_int_eq(call1("msg_set_buffer", reply), -1);
	ctx->txn = (struct tm_txn *)ctx; /* any */
	ck_assert_int_eq(call1("msg_apply_changes", NULL), -1);
	ctx->txn = NULL;
}
END_TEST

/* msg_apply_changes_mode: with a transaction in the request route alone, and marked as another message than the one in there. */
START_TEST(apply_later)
{
	ctx_of(msg);
	ctx->kind = CTX_REQUEST;
	ctx->txn = (struct tm_txn *)ctx; /* any */
	ck_assert_int_eq(call2("append_hf_value", "new", "v"), 1);
	route_conf.msg_apply_changes_mode = 1;
	ctx->kind = CTX_BRANCH;
	ck_assert_int_eq(call1("msg_apply_changes", NULL), -1);
	ctx->kind = CTX_REQUEST;
	ck_assert_int_eq(call1("msg_set_buffer", msg), -1);
	ck_assert(!(ctx->mflags & CTX_F_NOT_AS_STORED));
	ck_assert_int_eq(call1("msg_apply_changes", NULL), 1);
	ck_assert(ctx->mflags & CTX_F_NOT_AS_STORED);
	ck_assert(sip_msg_hdr_named(&ctx->msg, STR_LIT("new"), 0));
	route_conf.msg_apply_changes_mode = 0;
	ck_assert_int_eq(call1("msg_apply_changes", NULL), -1);
	ctx->txn = NULL;
	ctx->mflags = 0;
	ck_assert_int_eq(call1("msg_apply_changes", NULL), 1);
	ck_assert(!(ctx->mflags & CTX_F_NOT_AS_STORED));
}
END_TEST

START_TEST(buffer)
{
	ctx_of(msg);
	ck_assert_int_eq(call1("msg_set_buffer", "OPTIONS sip:z@y SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKz\r\nFrom: <sip:a@b>;tag=1\r\n"
						 "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"), 1);
	ck_assert_int_eq(ctx->msg.method, SIP_M_OPTIONS);
}
END_TEST

START_TEST(header_iterator)
{
	unsigned n = 0;

	ctx_of(msg);
	ck_assert_int_eq(call1("hf_iterator_next", "i"), -1);
	ck_assert_int_eq(call1("hf_iterator_start", "i"), 1);
	ck_assert_int_eq(call1("hf_iterator_rm", "i"), -1);
	while (call1("hf_iterator_next", "i") > 0)
		n++;
	ck_assert_uint_eq(n, 13);
	ck_assert_int_eq(call1("hf_iterator_next", "i"), -1);
	ck_assert_int_eq(call1("hf_iterator_prev", "i"), 1);
	ck_assert(str_eq(eval("$hfitname(i)=$hfitbody(i)"), STR_LIT("Content-Length=10")));
	ck_assert_int_eq(call1("hf_iterator_start", "i"), 1);
	ck_assert_int_eq(call1("hf_iterator_next", "i"), 1);
	ck_assert_int_eq(call2("hf_iterator_append", "i", "X-B: b"), 1);
	ck_assert_int_eq(call2("hf_iterator_insert", "i", "X-C: c\r\n"), 1);
	ck_assert(has("SIP/2.0\r\nX-C: c\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nX-B: b\r\nFrom"));
	ck_assert_int_eq(call1("hf_iterator_next", "i"), 1);
	ck_assert_int_eq(call1("hf_iterator_rm", "i"), 1);
	ck_assert(!has("From"));
	ck_assert_int_eq(call1("hf_iterator_prev", "i"), 1);
	ck_assert_int_eq(call1("hf_iterator_prev", "i"), 1);
	ck_assert_int_eq(call1("hf_iterator_prev", "i"), -1);
	ck_assert_int_eq(call1("hf_iterator_start", "j"), 1);
	ck_assert_int_eq(call1("hf_iterator_start", "k"), 1);
	ck_assert_int_eq(call1("hf_iterator_start", "l"), 1);
	ck_assert_int_eq(call1("hf_iterator_start", "m"), -1);
	ck_assert_int_eq(call1("hf_iterator_end", "j"), 1);
	ck_assert_int_eq(call1("hf_iterator_start", "m"), 1);
}
END_TEST

START_TEST(line_iterator)
{
	ctx_of(msg);
	ck_assert_int_eq(call1("bl_iterator_start", "b"), 1);
	ck_assert_int_eq(call1("bl_iterator_rm", "b"), -1);
	ck_assert_int_eq(call1("bl_iterator_next", "b"), 1);
	ck_assert(str_eq(eval("[$blitval(b)]"), STR_LIT("[v=0\r\n]")));
	ck_assert_int_eq(call2("bl_iterator_append", "b", "a=1\r\n"), 1);
	ck_assert_int_eq(call2("bl_iterator_insert", "b", "b=1\r\n"), 1);
	ck_assert_int_eq(call1("bl_iterator_next", "b"), 1);
	ck_assert_int_eq(call1("bl_iterator_rm", "b"), 1);
	ck_assert_int_eq(call1("bl_iterator_next", "b"), -1);
	ck_assert_int_eq(call1("bl_iterator_end", "b"), 1);
	ck_assert(has("Content-Length: 15\r\n\r\nb=1\r\nv=0\r\na=1\r\n"));
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("module textopsx");
	TCase *tc = tcase_create("textopsx");

	tcase_add_unchecked_fixture(tc, once, NULL);
	tcase_add_checked_fixture(tc, mod_slot, mod_done);
	tcase_add_loop_test(tc, excluded, 0, (int)ARRAY_LEN(excludes));
	tcase_add_loop_test(tc, results, 0, (int)ARRAY_LEN(changes));
	tcase_add_loop_test(tc, places_refused, 0, (int)ARRAY_LEN(refused));
	tcase_add_loop_test(tc, reply_status, 0, (int)ARRAY_LEN(statuses));
	tcase_add_test(tc, apply);
	tcase_add_test(tc, apply_refused);
	tcase_add_test(tc, apply_later);
	tcase_add_test(tc, buffer);
	tcase_add_test(tc, header_iterator);
	tcase_add_test(tc, line_iterator);
	suite_add_tcase(s, tc);
	return s;
}
