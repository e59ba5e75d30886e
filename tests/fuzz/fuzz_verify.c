/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier of bytecode. The input is instructions, eight bytes each, over tables of known size; what is taken runs (unless it
 * jumps back, which may be for ever) without touching anything that is not its own: the machine trusts the verifier alone.
 */
#include "core/base/clock.h"
#include "core/base/regex.h"
#include "core/script/script_priv.h"
#include "core/script/vm.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/test_var.h"

#define INSNS_MAX 64u

static int fn(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)args, (void)n;
	return 1;
}

static const struct pv_def pvs[] = { { .name = "var", .get = var_get, .set = var_set, .prepare = var_prepare, .flags = PV_INNER }, { .name = NULL } };
static const struct script_func func = { .name = "f", .fn = fn, .kinds = CTX_ANY };
static const struct script_func func1 = { .name = "f", .fn = fn, .n_params = 1, .param = { SP_DSTR }, .kinds = CTX_ANY };

static struct {
	struct value consts[3];
	struct pv_spec *pvs[2];
	struct call calls[2];
	const struct regex *regexes[1];
	struct switch_case cases[2];
	struct switch_table switches[1];
	struct ip_const ips[1];
	struct fail_range fail;
	struct code_pos pos[INSNS_MAX];
	struct str file;
	struct pool *pool;
} t;

static void once(void)
{
	struct vm_conf conf = { .max_while_loops = 10, .max_recursive_level = 8 };
	struct regex *re;
	struct diag d = { 0 };
	size_t len;

	if (t.pool)
		return;
	log_level_set(L_ALERT - 1);
	clock_fake(1000, 1800000000);
	t.pool = pool_new(1 << 20);
	fuzz_require(t.pool != NULL && ctx_pool_init(4) == 0 && pv_core_register() == 0 && pv_register(pvs) == 0);
	fuzz_require(pv_parse(t.pool, STR_LIT("$var(a)"), &t.pvs[0], &len, &d) == 0 && pv_parse(t.pool, STR_LIT("$var(b)"), &t.pvs[1], &len, &d) == 0);
	fuzz_require(regex_compile(STR_LIT("a+b"), 0, &re, &d) == 0);
	t.consts[0] = value_int(5);
	t.consts[1] = value_str(STR_LIT("text"));
	t.consts[2] = value_int(0);
	t.calls[0] = (struct call){ .func = &func, .fn = fn, .module = "fuzz" };
	t.calls[1] = (struct call){ .func = &func1, .fn = fn, .module = "fuzz", .n = 1, .n_stack = 1, .mode = { ARG_VALUE_S } };
	t.regexes[0] = re;
	t.switches[0] = (struct switch_table){ .n = 2, .cases = t.cases };
	fuzz_require(net_addr_parse(STR_LIT("10.0.0.0"), 0, &t.ips[0].net) == 0);
	t.ips[0].bits = 8;
	vm_configure(&conf);
}

/* May run for longer than anybody waits: a jump back, many routes that call routes, DNS. */
static bool may_be_long(const struct insn *insns, uint32_t n)
{
	unsigned n_routes = 0;

	for (uint32_t i = 0; i < n; i++) {
		switch (insns[i].op) {
		case OP_AND:
		case OP_OR:
		case OP_JLE0:
		case OP_JMP:
		case OP_JF:
		case OP_LOOP:
			if (insns[i].c <= (int32_t)i)
				return true;
			break;
		case OP_SWITCH:
			if (t.cases[0].target <= i || t.cases[1].target <= i || t.switches[0].otherwise <= i)
				return true;
			break;
		case OP_CIPV: /* a name in the place of an address is asked for */
			return true;
		case OP_ROUTE:
		case OP_ROUTED:
			n_routes++;
			break;
		case OP_ROUTEV: /* begins to count its levels anew */
		case OP_ROUTEDV:
			n_routes += 2;
			break;
		default:
			break;
		}
	}
	/* going on behind a failure may go back, too */
	return n_routes > 2 || (t.fail.to && t.fail.target <= t.fail.to);
}

static void run(struct script *s)
{
	static const char bytes[] = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
				    "To: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";
	struct rx_info rx = { .proto = SIP_PROTO_UDP };
	struct ctx *ctx = ctx_from_bytes(STR_LIT(bytes), &rx);
	int rc;

	fuzz_require(ctx != NULL);
	fuzz_require(vm_run(ctx, s, 0, CTX_REQUEST, &rc) == VM_DONE);
	ctx_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct route_code routes[2] = { { .kind = CTX_REQUEST }, { .kind = CTX_REQUEST, .name = STR_LIT("R") } };
	struct script s = { 0 };
	struct diag why = { 0 };
	struct insn *insns;
	uint32_t n;

	once();
	routes[0].entry = fuzz_u8(&in);
	routes[0].end = fuzz_u8(&in);
	routes[1].entry = fuzz_u8(&in);
	routes[1].end = fuzz_u8(&in);
	t.fail.from = fuzz_u8(&in);
	t.fail.to = fuzz_u8(&in);
	t.fail.target = fuzz_u8(&in);
	t.fail.depth = fuzz_u8(&in);
	t.cases[0] = (struct switch_case){ .i = 1, .target = fuzz_u8(&in) };
	t.cases[1] = (struct switch_case){ .i = 5, .target = fuzz_u8(&in) };
	t.switches[0].otherwise = fuzz_u8(&in);
	n = (uint32_t)(in.n / sizeof(struct insn));
	if (n > INSNS_MAX)
		return 0;
	insns = malloc(n ? n * sizeof(*insns) : 1); /* exactly as large, for the sanitizer */
	fuzz_require(insns != NULL);
	if (n)
		memcpy(insns, in.p, n * sizeof(*insns));
	s.pool = t.pool;
	s.files = &t.file;
	s.n_files = 1;
	s.code = (struct vm_code){ .insns = insns, .n_insns = n, .consts = t.consts, .n_consts = 3, .pvs = t.pvs, .n_pvs = 2,
				   .calls = t.calls, .n_calls = 2, .regexes = t.regexes, .n_regexes = 1, .switches = t.switches, .n_switches = 1,
				   .ips = t.ips, .n_ips = 1, .fails = &t.fail, .n_fails = t.fail.to ? 1u : 0u, .pos = t.pos, .routes = routes, .n_routes = 2 };
	if (script_verify(&s.code, &why) < 0)
		fuzz_require(why.text[0] != '\0');
	else if (!may_be_long(insns, n))
		run(&s);
	free(insns);
	return 0;
}
