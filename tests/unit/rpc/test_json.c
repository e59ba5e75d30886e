/* SPDX-License-Identifier: BSD-2-Clause */
/* core/rpc: requests and replies byte by byte, as the operators' tools expect them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/rpc/rpc_priv.h"
#include "tests/lib/test_main.h"

static void t_nothing(struct rpc *rpc)
{
	(void)rpc;
}

static void t_last(struct rpc *rpc)
{
	rpc_add_int(rpc, NULL, NULL, 1);
	rpc_add_str(rpc, NULL, NULL, STR_LIT("two"));
}

static void t_tree(struct rpc *rpc)
{
	struct rpc_node *top, *list;

	rpc_add_str(rpc, NULL, NULL, STR_LIT("core"));
	top = rpc_add_object(rpc, NULL, NULL);
	rpc_add_int(rpc, top, "n", 1);
	rpc_add_null(rpc, top, "nil");
	rpc_add_bool(rpc, top, "yes", true);
	list = rpc_add_array(rpc, top, "list");
	rpc_add_int(rpc, list, "wrapped", 2);
	rpc_add_int(rpc, list, "wrapped", 3);
	rpc_add_array(rpc, top, "none");
	rpc_add_object(rpc, top, "void");
	rpc_add_int(rpc, top, "n", 4);
}

static void t_text(struct rpc *rpc)
{
	rpc_add_str(rpc, NULL, NULL, str_of("a\"b\\c/\b\f\n\r\t\x01\xc3\xa4\xe4z\xf0\x9f\x98\x80\xed\xa0\x80\xc0\xaf\xc3", 26));
}

static void t_args(struct rpc *rpc)
{
	struct str s;
	int64_t i;
	double d;

	if (rpc_arg_str(rpc, &s) < 0)
		return;
	rpc_add_str(rpc, NULL, NULL, s);
	if (rpc_arg_int(rpc, &i) < 0)
		return;
	rpc_add_int(rpc, NULL, NULL, i);
	if (rpc_arg_double(rpc, &d) < 0)
		return;
	rpc_add_double(rpc, NULL, NULL, d);
	while (rpc_arg_any_str(rpc, &s) == 0)
		rpc_add_str(rpc, NULL, NULL, s);
}

static void t_fault(struct rpc *rpc)
{
	int64_t code = 0;

	if (rpc_arg_int(rpc, &code) < 0)
		return;
	rpc_add_int(rpc, NULL, NULL, 1);
	rpc_fault(rpc, 400, "first");
	rpc_fault(rpc, (int)code, "because %d", 7);
}

static void t_numbers(struct rpc *rpc)
{
	static const double d[] = { 0.5, -1.0, 3000000000.0, 0.0000001, 12345678901.5, 1e15, 1e20 };

	for (unsigned i = 0; i < ARRAY_LEN(d); i++)
		rpc_add_double(rpc, NULL, NULL, d[i]);
	rpc_add_int(rpc, NULL, NULL, INT64_C(1) << 40);
	rpc_add_int(rpc, NULL, NULL, INT64_MAX);
}

static void t_huge(struct rpc *rpc)
{
	static char big[8192];

	memset(big, 'x', sizeof(big));
	rpc_add_str(rpc, NULL, NULL, str_of(big, sizeof(big)));
}

static const struct rpc_method methods[] = {
	{ "t.nothing", t_nothing, 0, NULL },
	{ "t.none", t_nothing, RPC_RET_ARRAY, NULL },
	{ "t.last", t_last, 0, NULL },
	{ "t.all", t_last, RPC_RET_ARRAY, NULL },
	{ "t.tree", t_tree, RPC_RET_ARRAY, "A tree" },
	{ "t.text", t_text, 0, NULL },
	{ "t.args", t_args, RPC_RET_ARRAY, NULL },
	{ "t.fault", t_fault, 0, NULL },
	{ "t.numbers", t_numbers, RPC_RET_ARRAY, NULL },
	{ "t.huge", t_huge, 0, NULL },
	{ "t.delta", t_nothing, RPC_EXEC_DELTA, NULL },
	{ .name = NULL },
};

#define REQ(rest) "{\"jsonrpc\":\"2.0\"," rest "}"
#define RES(rest) "{\"jsonrpc\":\"2.0\"," rest "}"

/* clang-format off */
static const struct { const char *in; bool pretty; int err; const char *out; } vectors[] = {
	{ REQ("\"method\":\"t.nothing\",\"id\":1"), true, 0, "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"result\":\t{\n\t},\n\t\"id\":\t1\n}" },
	{ REQ("\"method\":\"t.none\",\"id\":1"), true, 0, "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"result\":\t[\n\t],\n\t\"id\":\t1\n}" },
	{ REQ("\"method\":\"t.nothing\""), false, 0, RES("\"result\":{}") },
	{ REQ("\"method\":\"t.none\""), false, 0, RES("\"result\":[]") },
	{ REQ("\"method\":\"t.nothing\""), true, 0, "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"result\":\t{\n\t}\n}" },
	{ REQ("\"method\":\"t.last\",\"id\":\"x\""), false, 0, RES("\"result\":\"two\",\"id\":\"x\"") },
	{ REQ("\"method\":\"t.all\",\"id\":null"), false, 0, RES("\"result\":[1,\"two\"],\"id\":0") },
	{ REQ("\"method\":\"t.all\",\"id\":true"), false, 0, RES("\"result\":[1,\"two\"],\"id\":1") },
	{ REQ("\"method\":\"t.tree\",\"id\":1"), true, 0,
	  "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"result\":\t[\n\t\t\"core\",\n\t\t{\n\t\t\t\"n\":\t1,\n\t\t\t\"nil\":\tnull,\n\t\t\t\"yes\":\ttrue,\n"
	  "\t\t\t\"list\":\t[\n\t\t\t\t{\n\t\t\t\t\t\"wrapped\":\t2\n\t\t\t\t},\n\t\t\t\t{\n\t\t\t\t\t\"wrapped\":\t3\n\t\t\t\t}\n\t\t\t],\n"
	  "\t\t\t\"none\":\t[\n\t\t\t],\n\t\t\t\"void\":\t{\n\t\t\t},\n\t\t\t\"n\":\t4\n\t\t}\n\t],\n\t\"id\":\t1\n}" },
	{ REQ("\"method\":\"t.text\""), false, 0, RES("\"result\":\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\xc3\xa4\\ufffdz\xf0\x9f\x98\x80\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"") },
	{ REQ("\"method\":\"t.args\",\"params\":[\"a\",2.9,1.5,7,\"s\",true]"), false, 0, RES("\"result\":[\"a\",2,1.500000,\"7\",\"s\",\"1\"]") },
	{ REQ("\"method\":\"t.args\",\"params\":{\"z\":\"a\",\"a\":\"3\"}"), false, 0, RES("\"result\":[\"a\",0]") },
	{ REQ("\"method\":\"t.args\",\"params\":[5]"), false, 0, RES("\"result\":[]") },
	{ REQ("\"method\":\"t.args\",\"params\":[[5]],\"id\":2"), false, 0, RES("\"error\":{\"code\":400,\"message\":\"Unsupported param type\"},\"id\":2") },
	{ REQ("\"method\":\"t.args\",\"params\":\"x\""), false, 0, RES("\"result\":[]") },
	{ REQ("\"method\":\"t.fault\",\"params\":[404],\"id\":1"), true, 0,
	  "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"error\":\t{\n\t\t\"code\":\t404,\n\t\t\"message\":\t\"because 7\"\n\t},\n\t\"id\":\t1\n}" },
	{ REQ("\"method\":\"t.fault\",\"params\":[0]"), false, 0, RES("\"error\":{\"code\":-32000,\"message\":\"Execution Error\"}") },
	{ REQ("\"method\":\"t.fault\",\"params\":[-32602]"), false, 0, RES("\"error\":{\"code\":-32602,\"message\":\"Invalid Parameters\"}") },
	{ REQ("\"method\":\"t.numbers\""), false, 0, RES("\"result\":[0.500000,-1,3000000000,1.000000e-07,1.234568e+10,1000000000000000,1.000000e+20,1099511627776,9223372036854775807]") },
	{ REQ("\"method\":\"t.last\",\"id\":9007199254740993"), false, 0, RES("\"result\":\"two\",\"id\":9007199254740993") },
	{ REQ("\"method\":\"no.such\",\"id\":3"), false, 0, RES("\"error\":{\"code\":500,\"message\":\"Method Not Found\"},\"id\":3") },
	{ "{\"JsonRPC\":\"2.0\",\"METHOD\":\"t.all\",\"ID\":9}", false, 0, RES("\"result\":[1,\"two\"],\"id\":9") },
	{ "{\"method\":\"t.all\",\"id\":9}", false, 0, RES("\"result\":{},\"id\":9") },
	{ REQ("\"id\":9"), false, 0, RES("\"result\":{},\"id\":9") },
	{ "[]", false, 0, RES("\"result\":{}") },
	{ "hello", false, -EBADMSG, "" },
	{ "", false, -EBADMSG, "" },
	{ "{\"jsonrpc\":", false, -EBADMSG, "" },
	{ REQ("\"method\":\"system.methodHelp\",\"params\":[\"t.tree\"]"), false, 0, RES("\"result\":\"A tree\"") },
	{ REQ("\"method\":\"system.methodHelp\",\"params\":[\"t.all\"]"), false, 0, RES("\"result\":\"undocumented\"") },
	{ REQ("\"method\":\"core.echo\",\"params\":[1,\"a\",1.5]"), false, 0, RES("\"result\":[\"1\",\"a\",\"1.500000\"]") },
	{ REQ("\"method\":\"t.huge\",\"id\":1"), false, 0, RES("\"error\":{\"code\":500,\"message\":\"The answer is too large: over 4096 bytes here, streams have no limit\"},\"id\":1") },
};
/* clang-format on */

static void setup(void)
{
	ck_assert_int_eq(rpc_core_register(), 0);
	ck_assert_int_eq(rpc_register(methods), 0);
}

START_TEST(reply_vectors)
{
	char mem[4096];
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb };

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	ck_assert_int_eq(rpc_json_run(str_lit(vectors[_i].in), vectors[_i].pretty, &out), vectors[_i].err);
	if (vectors[_i].err == 0) {
		char got[4097];

		snprintf(got, sizeof(got), "%.*s", STR_FMT(strbuf_str(&sb)));
		ck_assert_str_eq(got, vectors[_i].out);
	}
}
END_TEST

START_TEST(names)
{
	const struct rpc_method *m, *prev = NULL;

	for (unsigned i = 0; (m = rpc_at(i)); prev = m, i++)
		ck_assert(!prev || strcmp(prev->name, m->name) < 0);
	ck_assert_ptr_null(rpc_find(STR_LIT("t.al")));
	ck_assert_ptr_eq(rpc_find(STR_LIT("t.all"))->fn, t_last);
	/* the first of a name stays */
	static const struct rpc_method again[] = { { "t.all", t_nothing, 0, NULL }, { .name = NULL } };
	ck_assert_int_eq(rpc_register(again), 0);
	ck_assert_ptr_eq(rpc_find(STR_LIT("t.all"))->fn, t_last);
}
END_TEST

START_TEST(too_fast)
{
	char mem[512];
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb };
	struct str req = STR_LIT(REQ("\"method\":\"t.delta\""));

	clock_fake(5000, 100);
	rpc_exec_delta_set(2);
	for (unsigned i = 0; i < 3; i++) {
		strbuf_init_fixed(&sb, mem, sizeof(mem));
		if (i == 2)
			clock_fake(7000, 102);
		ck_assert_int_eq(rpc_json_run(req, false, &out), 0);
		ck_assert_int_eq(out.fault_code, i == 1 ? 500 : 0);
	}
}
END_TEST

START_TEST(reply_name_and_store)
{
	char mem[512], path[] = "/tmp/rf_rpc_XXXXXX", req[256], file[256];
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb };
	int fd = mkstemp(path);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	snprintf(req, sizeof(req), "{\"jsonrpc\":\"2.0\",\"method\":\"t.all\",\"reply_name\":\"rf_1\",\"store_path\":\"%s\",\"id\":1}", path);
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	ck_assert_int_eq(rpc_json_run(str_lit(req), false, &out), 0);
	ck_assert_str_eq(out.reply_name, "rf_1");
	ck_assert(str_eq(strbuf_str(&sb), STR_LIT(RES("\"result\":\"Stored\",\"id\":1"))));
	n = pread(fd, file, sizeof(file), 0);
	ck_assert(str_eq(str_of(file, (size_t)n), STR_LIT(RES("\"result\":[1,\"two\"],\"id\":1"))));
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	out.no_store = true;
	ck_assert_int_eq(rpc_json_run(str_lit(req), false, &out), 0);
	ck_assert(str_eq(strbuf_str(&sb), STR_LIT(RES("\"result\":[1,\"two\"],\"id\":1"))));
	close(fd);
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	strbuf_init_fixed(&sb, mem, sizeof(mem));
	out.no_store = false;
	ck_assert_int_eq(rpc_json_run(str_lit(req), false, &out), 0); /* at once: nobody will ever read it */
	ck_assert_int_eq(out.fault_code, 500);
	unlink(path);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("rpc");
	TCase *tc = tcase_create("json");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, reply_vectors, 0, ARRAY_LEN(vectors));
	tcase_add_test(tc, names);
	tcase_add_test(tc, too_fast);
	tcase_add_test(tc, reply_name_and_store);
	suite_add_tcase(suite, tc);
	return suite;
}
