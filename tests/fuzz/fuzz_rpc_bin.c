/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * binrpc requests: whatever a client sends, the reader stays inside, a frame is never longer than what is there, and the answer, if
 * there is one, is a packet itself. Run against commands that take and give back every type.
 */
#include "core/base/strbuf.h"
#include "core/rpc/binrpc.h"
#include "tests/fuzz/fuzz.h"

static void give_back(struct rpc *rpc)
{
	struct rpc_node *o = rpc_add_object(rpc, NULL, NULL);
	struct str s;
	int64_t i;
	double d;

	for (unsigned n = 0; rpc_args_left(rpc) && n < 300; n++) {
		if (rpc_arg_str(rpc, &s) == 0)
			rpc_add_str(rpc, o, "s", s);
		else if (rpc_arg_int(rpc, &i) == 0)
			rpc_add_int(rpc, o, "i", i);
		else if (rpc_arg_double(rpc, &d) == 0)
			rpc_add_double(rpc, o, "d", d);
		else
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rpc_method methods[] = { { "t.x", give_back, 0, NULL }, { .name = NULL } };
	struct str in = fuzz_copy(data, size);
	ptrdiff_t n = rpc_bin_frame(in);
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb };

	if (!rpc_find(STR_LIT("t.x")))
		fuzz_require(rpc_register(methods) == 0);
	fuzz_require(n <= (ptrdiff_t)in.n);
	strbuf_init(&sb, RPC_BIN_REQUEST_MAX);
	if (n > 0)
		in.n = (size_t)n;
	if (rpc_bin_run(in, size & 1, &out) == 0)
		fuzz_require(rpc_bin_frame(strbuf_str(&sb)) == (ptrdiff_t)sb.n);
	strbuf_done(&sb);
	fuzz_free(in);
	return 0;
}
