/* SPDX-License-Identifier: BSD-2-Clause */
/* core/rpc/binrpc.c and reply.c: packets byte by byte, what bad ones get, and answers that come in pieces. */
#include <errno.h>
#include <stdio.h>

#include "core/base/strbuf.h"
#include "core/rpc/binrpc.h"
#include "tests/lib/test_main.h"

static void t_args(struct rpc *rpc)
{
	struct str s;
	int64_t i;

	if (rpc_arg_str(rpc, &s) < 0 || rpc_arg_int(rpc, &i) < 0)
		return;
	rpc_add_str(rpc, NULL, NULL, s);
	rpc_add_int(rpc, NULL, NULL, i);
}

static void t_tree(struct rpc *rpc)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL), *a = rpc_add_array(rpc, o, "a");

	rpc_add_int(rpc, a, NULL, -1);
	rpc_add_str(rpc, a, "n", STR_LIT("v")); /* JSON: wrapped; binrpc: bare */
	rpc_add_double(rpc, o, "d", 1.5);
	rpc_add_double(rpc, o, "m", -1.0);
	rpc_add_null(rpc, o, "z");
	rpc_add_int(rpc, o, "0", 0);
}

static void t_long(struct rpc *rpc)
{
	char text[300];

	memset(text, 'x', sizeof(text));
	rpc_add_str(rpc, NULL, NULL, str_of(text, sizeof(text)));
}

struct pieces {
	int at, end;
};

static int fill(struct rpc *rpc, struct rpc_node *node, void *state)
{
	struct pieces *p = state;

	for (unsigned i = 0; i < 3 && p->at < p->end; i++, p->at++)
		rpc_add_printf(rpc, node, "n", "%d", p->at);
	return p->at < p->end;
}

static void t_pieces(struct rpc *rpc)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL), *list = rpc_add_object(rpc, o, "list");
	struct pieces *p = rpc_alloc(rpc, sizeof(*p));
	int64_t n = 0;

	if (!p || rpc_arg_int(rpc, &n) < 0)
		return;
	p->end = (int)n;
	rpc_add_pieces(rpc, list, fill, p);
	rpc_add_int(rpc, o, "after", 1);
}

static const struct rpc_method methods[] = {
	{ "t.args", t_args, RPC_RET_ARRAY, NULL }, { "t.tree", t_tree, 0, NULL }, { "t.long", t_long, 0, NULL }, { "t.pieces", t_pieces, 0, NULL }, { .name = NULL },
};

static void setup(void)
{
	ck_assert_int_eq(rpc_register(methods), 0);
}

/* clang-format off */
#define LIT(s_) { (s_), sizeof(s_) - 1 }
static const struct { struct str in, out; int err; bool convert; } packets[] = {
	/* name "t.args", "ab", 7 */
	{ LIT("\xA1\x00\x0E\x55\x71t.args\0\x31" "ab\0\x10\x07"), LIT("\xA1\x10\x06\x55\x31" "ab\0\x10\x07"), 0, false },
	/* cookie of four bytes, length in two, string long, int -1 */
	{ LIT("\xA1\x07\x00\x19\x01\x02\x03\x04\x71t.args\0\x91\x0A" "abcdefghi\0\x40\xFF\xFF\xFF\xFF"),
	  LIT("\xA1\x13\x11\x01\x02\x03\x04\x91\x0A" "abcdefghi\0\x40\xFF\xFF\xFF\xFF"), 0, false },
	/* a number for a text */
	{ LIT("\xA1\x00\x0A\x01\x71t.args\0\x10\x05"),
	  LIT("\xA1\x30\x4E\x01\x20\x01\x90\x91\x49" "error at parameter 0: expected string type but record doesn't match type\0"), 0, false },
	{ LIT("\xA1\x00\x0E\x01\x71t.args\0\x10\x05\x31" "12\0"), LIT("\xA1\x10\x05\x01\x21" "5\0\x10\x0C"), 0, true },
	/* nothing behind the text */
	{ LIT("\xA1\x00\x0B\x01\x71t.args\0\x21" "a\0"),
	  LIT("\xA1\x30\x4F\x01\x20\x01\x90\x91\x4A" "error at parameter 1: expected integer type but end of packet encountered\0"), 0, false },
	{ LIT("\xA1\x00\x08\x01\x71t.tree\0"),
	  LIT("\xA1\x10\x36\x01\x03\x25" "a\0\x03\x40\xFF\xFF\xFF\xFF\x25n\0\x21v\0\x83\x25" "d\0\x22\x05\xDC\x25m\0\x31-1\0\x25z\0\x91\x0E<null string>\0\x25" "0\0\x00\x83"), 0, false },
	{ LIT("\xA1\x00\x05\x01\x41t.x\0"), LIT("\xA1\x30\x1B\x01\x20\x01\xF4\x91\x16" "command t.x not found\0"), 0, false },
	{ LIT("\xA1\x00\x00\x01"), LIT("\xA1\x30\x33\x01\x20\x01\x90\x91\x2E" "bad request method: end of packet encountered\0"), 0, false },
	/* a record that says it is longer than the packet; a text without its NUL; an int of five bytes */
	{ LIT("\xA1\x00\x0A\x01\x71t.args\0\x71" "a"), LIT("\xA1\x30\x23\x01\x20\x01\x90\x91\x1E" "bad request: malformed record\0"), 0, false },
	{ LIT("\xA1\x00\x0A\x01\x71t.args\0\x11" "a"), LIT("\xA1\x30\x23\x01\x20\x01\x90\x91\x1E" "bad request: malformed record\0"), 0, false },
	{ LIT("\xA1\x00\x0E\x01\x71t.args\0\x50" "aaaaa"), LIT("\xA1\x30\x23\x01\x20\x01\x90\x91\x1E" "bad request: malformed record\0"), 0, false },
	/* no request, wrong magic, cut */
	{ LIT("\xA1\x10\x00\x01"), { NULL, 0 }, -EBADMSG, false },
	{ LIT("\xA2\x00\x00\x01"), { NULL, 0 }, -EBADMSG, false },
	{ LIT("\xA1\x00\x05\x01\x41t.x"), { NULL, 0 }, -EBADMSG, false },
	{ LIT("\xA1"), { NULL, 0 }, -EBADMSG, false },
};
/* clang-format on */

static void show(const char *what, struct str s)
{
	fprintf(stderr, "%s:", what);
	for (size_t i = 0; i < s.n; i++)
		fprintf(stderr, " %02X", (unsigned char)s.s[i]);
	fprintf(stderr, "\n");
}

START_TEST(packet_vectors)
{
	char mem[512];
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb };
	struct str want = packets[_i].out;

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	ck_assert_int_eq(rpc_bin_run(packets[_i].in, packets[_i].convert, &out), packets[_i].err);
	if (packets[_i].err < 0)
		return;
	if (!str_eq(strbuf_str(&sb), want)) {
		show("want", want);
		show("got ", strbuf_str(&sb));
		ck_abort_msg("another reply");
	}
	for (size_t n = 0; n < packets[_i].in.n; n++)
		ck_assert_int_eq(rpc_bin_frame(str_of(packets[_i].in.s, n)), 0);
	ck_assert_int_eq(rpc_bin_frame(packets[_i].in), (int)packets[_i].in.n);
}
END_TEST

START_TEST(frames)
{
	ck_assert_int_eq(rpc_bin_frame(STR_LIT("GET ")), -EBADMSG);
	ck_assert_int_eq(rpc_bin_frame(STR_LIT("\xA1\x0C\xFF\xFF\xFF\xFF\x01")), -EMSGSIZE);
}
END_TEST

/* A reply that has no room becomes a fault. */
START_TEST(too_large)
{
	char mem[200];
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb };

	strbuf_init_fixed(&sb, mem, sizeof(mem));
	ck_assert_int_eq(rpc_bin_run(str_of("\xA1\x00\x08\x01\x71t.long\0", 12), false, &out), 0);
	ck_assert_int_eq(out.fault_code, 500);
	ck_assert_int_eq(sb.p[1], 0x30);
}
END_TEST

#define REQ(n_) "{\"jsonrpc\":\"2.0\",\"method\":\"t.pieces\",\"params\":[" #n_ "],\"id\":1}"

/* Read in steps of any size the reply is the same. */
START_TEST(pieces_in_steps)
{
	static const size_t steps[] = { 1, 7, 64, 100000 };
	char whole[4096], parts[4096];
	struct strbuf a, b;
	struct rpc_out out = { .reply = &a };
	unsigned n_steps = 0;
	int more;

	strbuf_init_fixed(&a, whole, sizeof(whole));
	ck_assert_int_eq(rpc_json_run(STR_LIT(REQ(100)), false, &out), 0);
	ck_assert(str_istarts(strbuf_str(&a), STR_LIT("{\"jsonrpc\":\"2.0\",\"result\":{\"list\":{\"n\":\"0\",\"n\":\"1\"")));
	ck_assert(str_find(strbuf_str(&a), STR_LIT("\"n\":\"99\"},\"after\":1},\"id\":1}")) > 0);
	out = (struct rpc_out){ 0 };
	ck_assert_int_eq(rpc_json_run(STR_LIT(REQ(100)), false, &out), 0);
	strbuf_init_fixed(&b, parts, sizeof(parts));
	do {
		more = rpc_read(out.call, &b, steps[_i]);
		ck_assert_int_ge(more, 0);
		n_steps++;
	} while (more);
	rpc_free(out.call);
	ck_assert(str_eq(strbuf_str(&a), strbuf_str(&b)));
	ck_assert(_i == 3 ? n_steps == 1 : n_steps > 1);
}
END_TEST

/* However many there are: the memory of one piece, and a reader that stops half-way leaks nothing. */
START_TEST(pieces_without_end)
{
	char mem[8192];
	struct strbuf sb;
	struct rpc_out out = { 0 };
	size_t total = 0;
	int more;

	ck_assert_int_eq(rpc_json_run(STR_LIT(REQ(2000000)), false, &out), 0);
	do {
		strbuf_init_fixed(&sb, mem, sizeof(mem));
		more = rpc_read(out.call, &sb, 4096);
		ck_assert_int_ge(more, 0);
		total += sb.n;
	} while (more && total < 5000000);
	ck_assert_uint_ge(total, 5000000);
	rpc_free(out.call);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("binrpc");
	TCase *tc = tcase_create("packets");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, packet_vectors, 0, ARRAY_LEN(packets));
	tcase_add_test(tc, frames);
	tcase_add_test(tc, too_large);
	tcase_add_loop_test(tc, pieces_in_steps, 0, 4);
	tcase_add_test(tc, pieces_without_end);
	suite_add_tcase(suite, tc);
	return suite;
}
