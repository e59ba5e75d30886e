/* SPDX-License-Identifier: BSD-2-Clause */
/* core/script/verify.c: hostile code is refused; every single change of good code is refused or runs without harm. */
#include "tests/unit/script/script_test.h"

#include <stdlib.h>

static struct value consts[2] = { { .kind = VALUE_INT, .i = 5 }, { .kind = VALUE_INT, .i = 6 } };

static const struct hostile {
	const char *what;
	struct insn code[6];
	unsigned n;
	const char *reason; /* NULL: sound */
} hostiles[] = {
	{ "sound", { { OP_CONST, 0, 0, 1 }, { OP_RET, 0, 0, 0 }, { OP_END, 0, 0, 0 } }, 3, NULL },
	{ "fails at the end", { { OP_CONST, 0, 0, 1 }, { OP_RET, 0, 0, 0 } }, 2, "leaves" },
	{ "fails with more on the stack", { { OP_CONST, 0, 0, 1 }, { OP_CONST, 0, 0, 1 }, { OP_UNARY, O_NEG, 0, 0 }, { OP_POP, 0, 0, 0 }, { OP_POP, 0, 0, 0 }, { OP_END, 0, 0, 0 } }, 6, "different" },
	{ "sound jump", { { OP_CONST, 0, 0, 0 }, { OP_JF, 0, 0, 2 }, { OP_END, 0, 0, 0 } }, 3, NULL },
	{ "unknown opcode", { { 200, 0, 0, 0 }, { OP_END, 0, 0, 0 } }, 2, "unknown" },
	{ "constant out of range", { { OP_CONST, 0, 0, 2 }, { OP_RET, 0, 0, 0 } }, 2, "out of range" },
	{ "negative constant", { { OP_CONST, 0, 0, -1 }, { OP_RET, 0, 0, 0 } }, 2, "out of range" },
	{ "underflow", { { OP_RET, 0, 0, 0 } }, 1, "underflow" },
	{ "underflow of two", { { OP_CONST, 0, 0, 0 }, { OP_BINARY, O_ADD, 0, 0 }, { OP_RET, 0, 0, 0 } }, 3, "underflow" },
	{ "off the end", { { OP_CODE, 0, 0, 1 } }, 1, "leaves" },
	{ "jump out", { { OP_JMP, 0, 0, 77 }, { OP_END, 0, 0, 0 } }, 2, "out of range" },
	{ "jump back out", { { OP_JMP, 0, 0, -1 }, { OP_END, 0, 0, 0 } }, 2, "out of range" },
	{ "growing loop", { { OP_CONST, 0, 0, 0 }, { OP_JMP, 0, 0, 0 } }, 2, "different" },
	{ "paths differ", { { OP_CONST, 0, 0, 0 }, { OP_JF, 0, 0, 3 }, { OP_CONST, 0, 0, 0 }, { OP_END, 0, 0, 0 } }, 4, "different" },
	{ "no variable", { { OP_PV, 0, 0, 0 }, { OP_RET, 0, 0, 0 } }, 2, "out of range" },
	{ "no call", { { OP_CALL, 0, 0, 0 }, { OP_END, 0, 0, 0 } }, 2, "out of range" },
	{ "no route", { { OP_ROUTE, 0, 0, 1 }, { OP_END, 0, 0, 0 } }, 2, "out of range" },
	{ "no regex", { { OP_CONST, 0, 0, 0 }, { OP_MATCH, 0, 0, 0 }, { OP_RET, 0, 0, 0 } }, 3, "out of range" },
	{ "no switch", { { OP_CONST, 0, 0, 0 }, { OP_SWITCH, 0, 0, 0 }, { OP_END, 0, 0, 0 } }, 3, "out of range" },
	{ "no address", { { OP_CIP, C_SRC_IP, 0, 0 }, { OP_RET, 0, 0, 0 } }, 2, "out of range" },
	{ "bad operator", { { OP_CONST, 0, 0, 0 }, { OP_UNARY, 99, 0, 0 }, { OP_RET, 0, 0, 0 } }, 3, "out of range" },
	{ "bad operand", { { OP_COND, 99, 0, 0 }, { OP_RET, 0, 0, 0 } }, 2, "out of range" },
	{ "bad mode", { { OP_ROUTEV, 9, 0, 0 }, { OP_RET, 0, 0, 0 } }, 2, "out of range" },
};

START_TEST(hostile_code)
{
	const struct hostile *h = &hostiles[_i];
	struct insn insns[6];
	struct route_code route = { .kind = CTX_REQUEST, .entry = 0, .end = h->n };
	struct vm_code code = { .insns = insns, .n_insns = h->n, .consts = consts, .n_consts = 2, .routes = &route, .n_routes = 1 };
	struct diag why = { 0 };

	memcpy(insns, h->code, sizeof(insns));
	if (!h->reason) {
		ck_assert_msg(script_verify(&code, &why) == 0, "%s: %s", h->what, why.text);
		return;
	}
	ck_assert_msg(script_verify(&code, &why) < 0, "%s is taken", h->what);
	ck_assert_msg(strstr(why.text, h->reason) != NULL, "%s: %s", h->what, why.text);
}
END_TEST

START_TEST(bad_ranges)
{
	struct insn insns[] = { { OP_CONST, 0, 0, 0 }, { OP_POP, 0, 0, 0 }, { OP_END, 0, 0, 0 } };
	struct route_code route = { .kind = CTX_REQUEST, .entry = 0, .end = 3 };
	struct fail_range fail = { .from = 0, .to = 2, .target = 2, .depth = 0 };
	struct vm_code code = { .insns = insns, .n_insns = 3, .consts = consts, .n_consts = 2, .routes = &route, .n_routes = 1,
				.fails = &fail, .n_fails = 1 };

	ck_assert_int_eq(script_verify(&code, NULL), 0);
	fail.depth = 1; /* the first instruction has nothing on the stack */
	ck_assert_int_lt(script_verify(&code, NULL), 0);
	fail.depth = 0;
	fail.target = 3;
	ck_assert_int_lt(script_verify(&code, NULL), 0);
	fail.target = 2;
	fail.to = 9;
	ck_assert_int_lt(script_verify(&code, NULL), 0);
	fail.to = 2;
	fail.from = fail.to;
	ck_assert_int_lt(script_verify(&code, NULL), 0); /* the machine looks for them by halving */
	fail.from = 0;
	route.end = 2;
	fail.target = 1;
	insns[1].op = OP_END;
	fail.to = 3; /* begins in the route, ends behind it */
	ck_assert_int_lt(script_verify(&code, NULL), 0);
	insns[1].op = OP_POP;
	fail.to = 2;
	route.end = 9;
	ck_assert_int_lt(script_verify(&code, NULL), 0);
}
END_TEST

START_TEST(disassembly)
{
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	ck_assert_int_eq(st_load("request_route {\n if ($var(x) == 1 && ok()) { say(\"a\"); }\n switch (1) { case 1: route(A); }\n}\nroute[A] { exit; }\n"), 0);
	script_disasm(st.script, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(out, "CALL     action test.say/1"));
	ck_assert_ptr_nonnull(strstr(out, "ROUTE    action 1 [A]#1"));
	ck_assert_ptr_nonnull(strstr(out, "BINARY   =="));
	free(out);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("verify");
	TCase *t = tcase_create("verify");

	tcase_add_checked_fixture(t, st_init, st_done);
	tcase_add_loop_test(t, hostile_code, 0, ARRAY_LEN(hostiles));
	tcase_add_test(t, bad_ranges);
	tcase_add_test(t, disassembly);
	suite_add_tcase(s, t);
	return s;
}
