/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow tokens (RFC 5626, 5.2), which come back as the user part of a Route. An input is a token as it stands; or, behind a byte
 * under 32, changes (offset, byte) to one that was just made. Only what we made ourselves is read, and gives the flow it was
 * made for.
 */
#include "modules/outbound/outbound_api.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_mods.h"

extern const struct module module_outbound;

static const struct outbound_api *api;

static void set(const struct module *m)
{
	fuzz_set(m, "flow_token_secret", 0, "a secret of the test");
}

static void once(void)
{
	static const struct module *const modules[] = { &module_outbound };

	if (api)
		return;
	fuzz_modules_start(modules, 1, set);
	api = module_outbound.api;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char bytes[] = "REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx\r\nFrom: <sip:a@r>;tag=1\r\nTo: <sip:a@r>\r\n"
				    "Call-ID: 1\r\nCSeq: 1 REGISTER\r\n\r\n";
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = 0, .wall_s = 1800000000 };
	struct outbound_flow flow;
	struct str made, in;
	struct ctx *ctx;
	char *p;
	int err;

	once();
	if (size == 0 || size > 1024)
		return 0;
	fuzz_require(net_addr_parse(STR_LIT("10.0.0.9"), 5070, &rx.src) == 0 && net_addr_parse(STR_LIT("127.0.0.1"), 5060, &rx.dst) == 0);
	ctx = ctx_from_bytes(STR_LIT(bytes), &rx);
	fuzz_require(ctx != NULL && api->token_make(ctx, &made) == 0);
	if (data[0] < 32) {
		in = fuzz_copy(made.s, made.n);
		p = (char *)(uintptr_t)in.s;
		for (size_t i = 1; i + 1 < size; i += 2)
			p[data[i] % in.n] = (char)data[i + 1];
	} else {
		in = fuzz_copy(data, size);
	}
	err = api->token_read(in, &flow);
	fuzz_require(err <= 0);
	if (str_eq(in, made))
		fuzz_require(err == 0 && net_addr_equal(&flow.src, &rx.src));
	else if (err == 0) /* another spelling of the same bytes, and no other flow */
		fuzz_require(net_addr_equal(&flow.src, &rx.src));
	fuzz_free(in);
	ctx_free(ctx);
	return 0;
}
