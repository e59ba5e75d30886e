/* SPDX-License-Identifier: BSD-2-Clause */
/* modules/registrar over modules/usrloc: REGISTERs as bytes, what they are answered with, and where lookup() then leads. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/strbuf.h"
#include "modules/registrar/reg_priv.h"
#include "modules/usrloc/ul_priv.h"
#include "shm/recover.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

extern const struct module module_usrloc, module_registrar;

static struct loop *loop;
static void *domain;

static void setup(void)
{
	struct shm_opts opts = { .ceiling_bytes = (uint64_t)64 << 20 };
	struct net_listen_spec spec = { .proto = SIP_PROTO_UDP, .host = STR_LIT("127.0.0.1"), .port = 21750 };
	struct ul_domain *d;

	clock_fake(1000, 1800000000);
	settings_defaults(module_usrloc.settings, module_usrloc.conf);
	settings_defaults(module_registrar.settings, module_registrar.conf);
	ck_assert_int_eq(shm_arena_create(&opts), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(net_listener_add(&spec, NULL), 0);
	ck_assert_int_eq(ul_domain_get(STR_LIT("location"), &d, NULL), 0);
	domain = d;
	ck_assert_int_eq(module_usrloc.init(), 0);
	reg.ul = module_usrloc.api;
	reg.modstate = ctx_modstate_register("registrar");
	ck_assert_int_ge(reg.modstate, 0);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(ctx_pool_init(100), 0);
	reg_conf.use_path = 1;
}

static void teardown(void)
{
	loop_free(loop);
	shm_slot_release();
	shm_arena_destroy();
}

static struct ctx *request(const char *method, const char *user, const char *fields)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0 };
	char text[4096];
	struct ctx *ctx;

	snprintf(text, sizeof(text), "%s sip:%s@x.org SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5;branch=z9hG4bKa\r\nFrom: <sip:a@x.org>;tag=1\r\n"
		 "To: <sip:%s@x.org>\r\nCall-ID: c1\r\nCSeq: 5 %s\r\n%sContent-Length: 0\r\n\r\n", method, user, user, method, fields);
	ctx = ctx_from_bytes(str_lit(text), &rx);
	ck_assert_ptr_nonnull(ctx);
	ctx->kind = CTX_REQUEST;
	return ctx;
}

static int save(const char *user, const char *fields, unsigned flags, char *out, size_t cap)
{
	union script_arg args[2] = { { .p = domain }, { .p = (void *)(uintptr_t)(flags | REG_NO_REPLY | REG_PREPARE) } };
	struct ctx *ctx = request("REGISTER", user, fields);
	int rc = reg_fn_save(ctx, args, 2);

	out[0] = 0;
	if (ctx->reply_hdrs)
		snprintf(out, cap, "%.*s", STR_FMT(strbuf_str(ctx->reply_hdrs)));
	ctx_free(ctx);
	return rc;
}

/* clang-format off */
static const struct { const char *fields; int rc; const char *out; } vectors[] = {
	{ "Contact: <sip:a@h>\r\n",                                    1,  "Contact: <sip:a@h>;expires=3600\r\n" },
	{ "m: sip:a@h;expires=100\r\n",                                1,  "Contact: <sip:a@h>;expires=100\r\n" },
	{ "Contact: <sip:a@h;x=y>;q=0.5;expires=70\r\n",               1,  "Contact: <sip:a@h;x=y>;q=0.5;expires=70\r\n" },
	{ "Contact: <sip:a@h>;q=1.0\r\nExpires: 200\r\n",              1,  "Contact: <sip:a@h>;q=1;expires=200\r\n" },
	{ "Contact: <sip:a@h>;q=0\r\nExpires: 10\r\n",                 1,  "Contact: <sip:a@h>;q=0;expires=60\r\n" },
	{ "Contact: <sip:a@h>;q=0.123\r\n",                            1,  "Contact: <sip:a@h>;q=0.123;expires=3600\r\n" },
	{ "Contact: <sip:a@h>;expires=4294967295\r\n",                 1,  "Contact: <sip:a@h>;expires=315360000\r\n" },
	{ "Contact: <sip:a@h>;expires=4294967296\r\n",                 1,  "Contact: <sip:a@h>;expires=3600\r\n" },
	{ "Contact: <sip:a@h>;q=.5\r\n",                               1,  "Contact: <sip:a@h>;q=0.5;expires=3600\r\n" },
	{ "Contact: <sip:a@h>;expires=0\r\n",                          1,  "" }, /* nothing was deleted */
	{ "Contact: <sip:a@h>, <sip:b@h>;expires=0\r\n",               1,  "Contact: <sip:a@h>;expires=3600\r\n" },
	{ "",                                                          4,  "" },
	{ "Contact: *\r\nExpires: 0\r\n",                              3,  "" },
	{ "Contact: *\r\n",                                           -1,  "" },
	{ "Contact: *\r\nExpires: 1\r\n",                             -1,  "" },
	{ "Contact: *, <sip:a@h>\r\nExpires: 0\r\n",                  -1,  "" },
	{ "Contact: <sip:a@h>\r\nContact: *\r\nExpires: 0\r\n",       -1,  "" },
	{ "Contact: <sip:a@h>;q=1.1\r\n",                             -1,  "" },
	{ "Contact: <sip:a@h>;q=x\r\n",                               -1,  "" },
	{ "Contact: <sip:a@h>;q=.\r\n",                               -1,  "" },
	{ "Contact: <sip:a@h>;q=.x\r\n",                              -1,  "" },
	{ "Contact: <sip:a@h>;expires=-1\r\n",                         1,  "Contact: <sip:a@h>;expires=3600\r\n" },
	{ "Contact: <sip:a@h>\r\nExpires: soon\r\n",                   1,  "Contact: <sip:a@h>;expires=3600\r\n" },
	{ "Contact: <sip:a@h>\r\nExpires: \r\n",                      -1,  "" },
	{ "Contact: \r\n",                                            -1,  "" },
	{ "Contact: <>\r\n",                                          -1,  "" },
	{ "Contact: <sip:a@h>, <sip:b@h>;q=0.9\r\n",                   1,  "Contact: <sip:b@h>;q=0.9;expires=3600, <sip:a@h>;expires=3600\r\n" },
	{ "Contact: <sip:a@h>;received=\"sip:9.9.9.9:7\"\r\n",         1,  "Contact: <sip:a@h>;expires=3600;received=\"sip:9.9.9.9:7\"\r\n" },
	{ "Contact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\"\r\n",     1,  "Contact: <sip:a@h>;expires=3600;+sip.instance=\"<urn:uuid:1>\"\r\n" },
	{ "Contact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=x\r\n", -1, "" },
	{ "Contact: <sip:a@h>\r\nPath: <sip:p;lr>\r\n",               -1,  "" },
	{ "Contact: <sip:a@h>\r\nPath: <sip:p;lr>\r\nPath: <sip:q;lr>\r\nSupported: x, path\r\n", 1,
	  "Contact: <sip:a@h>;expires=3600\r\nPath: <sip:p;lr>,<sip:q;lr>\r\n" },
	{ "Contact: <sip:a@h>\r\nPath: <sip:p>\r\nSupported: path\r\n", -1, "" },
	{ "Contact: <sip:a@h>\r\nPath: nonsense <\r\nSupported: path\r\n", -1, "" },
};
/* clang-format on */

START_TEST(save_vectors)
{
	char out[2048];

	ck_assert_int_eq(save("alice", vectors[_i].fields, 0, out, sizeof(out)), vectors[_i].rc);
	ck_assert_str_eq(out, vectors[_i].out);
	ck_assert_int_eq(shm_check_all(NULL), 0);
}
END_TEST

START_TEST(too_many)
{
	char many[4096], out[4096];
	size_t n = 0;

	for (unsigned i = 0; i <= UL_CHANGES_MAX; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "m: <sip:%u@h>\r\n", i);
	ck_assert_int_eq(save("alice", many, 0, out, sizeof(out)), -2);
	reg_conf.max_contacts = 1;
	ck_assert_int_eq(save("alice", "m: <sip:1@h>\r\nm: <sip:2@h>\r\n", 0, out, sizeof(out)), -2);
	ck_assert_int_eq(save("alice", "m: <sip:1@h>\r\n", 0, out, sizeof(out)), 1);
	ck_assert_int_eq(save("alice", "m: <sip:2@h>\r\n", 0, out, sizeof(out)), -2);
	ck_assert_int_eq(save("alice", "m: <sip:2@h>\r\n", REG_ONE, out, sizeof(out)), 1);
	ck_assert_str_eq(out, "Contact: <sip:2@h>;expires=3600\r\n");
}
END_TEST

/* More contacts than a reply can list: who is registered is told so all the same. */
START_TEST(more_than_a_reply_holds)
{
	char fields[1024], out[40000], pad[401];
	unsigned n = 0;

	memset(pad, 'p', 400);
	pad[400] = 0;
	for (unsigned i = 0; i < 200; i++) {
		snprintf(fields, sizeof(fields), "m: <sip:%u@h;%s>\r\n", i, pad);
		ck_assert_int_eq(save("alice", fields, 0, out, sizeof(out)), 1);
	}
	ck_assert_uint_lt(strlen(out), 30000);
	for (const char *p = out; (p = strstr(p, "<sip:")); p++)
		n++;
	ck_assert_uint_gt(n, 50);
	ck_assert(str_ends(str_lit(out), STR_LIT(";expires=3600\r\n")));
	ck_assert_int_eq(save("alice", "Contact: *\r\nExpires: 0\r\n", 0, out, sizeof(out)), 3);
}
END_TEST

START_TEST(aor_forms)
{
	static const struct { const char *uri; bool use_domain, cased; const char *aor; } forms[] = {
		{ "sip:Al%69ce@X.org", false, false, "alice" }, { "sip:Al%69ce@X.org", true, false, "alice@x.org" },
		{ "sip:Alice@X.org", true, true, "Alice@x.org" }, { "sip:X.org", false, false, "x.org" }, { "sip:X.org;a=b", true, false, "x.org" },
		{ "sip:a%zz@x", false, false, NULL }, { "nonsense", false, false, NULL }, { "sip:a@sip.x.org", true, false, "a@x.org" },
	};
	struct ctx *ctx = request("REGISTER", "a", "");

	reg_conf.realm_prefix = STR_LIT("sip.");
	for (unsigned i = 0; i < ARRAY_LEN(forms); i++) {
		enum reg_error error = REG_OK;
		struct str aor;

		ul_conf.use_domain = forms[i].use_domain;
		reg_conf.case_sensitive = forms[i].cased;
		if (reg_aor(ctx, str_lit(forms[i].uri), &aor, &error) < 0) {
			ck_assert_ptr_null(forms[i].aor);
			ck_assert_int_ne(error, REG_OK);
		} else {
			ck_assert_ptr_nonnull(forms[i].aor);
			ck_assert(str_eq(aor, str_lit(forms[i].aor)));
		}
	}
	ctx_free(ctx);
}
END_TEST

static int lookup(struct ctx *ctx, const char *uri)
{
	union script_arg args[2] = { { .p = domain }, { .s = str_lit(uri) } };

	return reg_fn_lookup(ctx, args, 2);
}

START_TEST(lookup_targets)
{
	struct ctx *ctx;
	char out[2048];

	save("bob", "m: <sip:1@h>;q=0.2;received=\"sip:9.9.9.9\"\r\n", 0, out, sizeof(out));
	save("bob", "m: <sip:2@h>;q=0.8\r\nPath: <sip:p;lr>,<sip:q;lr>\r\nSupported: path\r\nAllow: INVITE\r\n", 0, out, sizeof(out));
	ctx = request("MESSAGE", "bob", "");
	ck_assert_int_eq(lookup(ctx, ""), 1);
	ck_assert(str_eq(ctx_ruri(ctx), STR_LIT("sip:2@h")));
	ck_assert(str_eq(ctx->main.dst_uri, STR_LIT("sip:p;lr")));
	ck_assert(str_eq(ctx->main.path, STR_LIT("<sip:p;lr>,<sip:q;lr>")));
	ck_assert_uint_eq(ctx->n_branches, 1);
	ck_assert(str_eq(ctx->branch[0].uri, STR_LIT("sip:1@h")) && str_eq(ctx->branch[0].dst_uri, STR_LIT("sip:9.9.9.9")));
	ctx_free(ctx);
	/* the better one does not take MESSAGE */
	reg_conf.method_filtering = 1;
	ctx = request("MESSAGE", "bob", "");
	ck_assert_int_eq(lookup(ctx, ""), 1);
	ck_assert(str_eq(ctx_ruri(ctx), STR_LIT("sip:1@h")));
	ck_assert_uint_eq(ctx->n_branches, 0);
	ctx_free(ctx);
	save("bob", "m: <sip:1@h>;expires=0\r\n", 0, out, sizeof(out)); /* same CSeq: a retransmission, nothing changes */
	ctx = request("MESSAGE", "bob", "");
	ck_assert_int_eq(lookup(ctx, ""), 1);
	ck_assert_int_eq(lookup(ctx, "sip:nobody@x.org"), -1);
	ctx_free(ctx);
	clock_fake(1000, 1800000000 + 3600);
	ctx = request("INVITE", "bob", "");
	ck_assert_int_eq(lookup(ctx, ""), -1); /* expired, though the sweep has not been there */
	ctx_free(ctx);
}
END_TEST

START_TEST(gruu)
{
	struct ctx *ctx;
	char out[2048], uri[256];
	char *at;

	save("eve", "m: <sip:1@h>;+sip.instance=\"<urn:uuid:1>\"\r\nSupported: gruu\r\n", 0, out, sizeof(out));
	save("eve", "m: <sip:2@h>;q=1;+sip.instance=\"<urn:uuid:2>\"\r\n", 0, uri, sizeof(uri));
	ck_assert_ptr_nonnull(strstr(out, ";pub-gruu=\"sip:eve@x.org;gr=urn:uuid:1\";temp-gruu=\"sip:uloc-"));
	ctx = request("INVITE", "eve", "");
	ck_assert_int_eq(lookup(ctx, "sip:eve@x.org;gr=urn:uuid:1"), 1);
	ck_assert(str_eq(ctx_ruri(ctx), STR_LIT("sip:1@h")));
	ck_assert_uint_eq(ctx->n_branches, 0);
	ctx_free(ctx);
	ctx = request("INVITE", "eve", "");
	ck_assert_int_eq(lookup(ctx, "sip:eve@x.org;gr=urn:uuid:3"), -1);
	at = strstr(out, "temp-gruu=\"");
	ck_assert_ptr_nonnull(at);
	snprintf(uri, sizeof(uri), "%.*s", (int)strcspn(at + 11, "\""), at + 11);
	ck_assert_int_eq(lookup(ctx, uri), 1);
	ck_assert(str_eq(ctx_ruri(ctx), STR_LIT("sip:1@h")));
	ck_assert_int_eq(lookup(ctx, "sip:uloc-1-2-3-4@x.org;gr"), -1);
	ck_assert_int_eq(lookup(ctx, "sip:rubbish@x.org;gr"), -1);
	ctx_free(ctx);
}
END_TEST

START_TEST(unregister_and_registered)
{
	union script_arg args[3] = { { .p = domain }, { .s = STR_LIT("sip:kim@x.org") }, { .s = STR_LIT("uloc-0-0-0") } };
	struct ctx *ctx = request("INVITE", "kim", "");
	char out[1024];

	ck_assert_int_eq(reg_fn_registered(ctx, args, 2), -1);
	save("kim", "m: <sip:1@h>\r\n", 0, out, sizeof(out));
	ck_assert_int_eq(reg_fn_registered(ctx, args, 2), 1);
	ck_assert_int_eq(reg_fn_unregister(ctx, args, 3), -3);
	ck_assert_int_eq(reg_fn_unregister(ctx, args, 2), 1);
	ck_assert_int_eq(reg_fn_registered(ctx, args, 2), -1);
	args[1].s = STR_LIT("nonsense");
	ck_assert_int_eq(reg_fn_unregister(ctx, args, 2), -1);
	ctx_free(ctx);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("registrar");
	TCase *tc = tcase_create("registrar");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, save_vectors, 0, ARRAY_LEN(vectors));
	tcase_add_test(tc, too_many);
	tcase_add_test(tc, more_than_a_reply_holds);
	tcase_add_test(tc, aor_forms);
	tcase_add_test(tc, lookup_targets);
	tcase_add_test(tc, gruu);
	tcase_add_test(tc, unregister_and_registered);
	suite_add_tcase(suite, tc);
	return suite;
}
