/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Format texts, variables and transformations. The input up to its first line end is the text of a script, what follows
 * is the value of $var(x), which in life comes from the network. A text that is refused says where and why; one that is taken gives a
 * bounded result, and the same or none where memory is short (how short: by the size of the input).
 */
#include "core/pv/fmt.h"
#include "core/pv/trans.h"
#include "modules/pv/pv_priv.h"
#include "tests/fuzz/fuzz.h"

extern const struct module module_pv;

static const char message[] =
	"INVITE sip:bob:pw@example.com:5070;transport=tcp;x=1?Subject=hi SIP/2.0\r\n"
	"Via: SIP/2.0/TCP 10.0.0.1:5062;branch=z9hG4bKa;rport, SIP/2.0/UDP [2001:db8::9];branch=z9hG4bKb\r\n"
	"From: \"Alice A\" <sip:alice@atlanta.example.com;user=phone>;tag=1928\r\n"
	"To: Bob <sip:bob@biloxi.example.com>\r\nCall-ID: a84b4c76e66710@pc33\r\nCSeq: 314159 INVITE\r\n"
	"Contact: <sip:alice@10.0.0.1:5062>;expires=60\r\nX-Test: one\r\nX-Test: two\r\nContent-Length: 5\r\n\r\nv=0\r\n";

static int x_slot = -1;

static void once(void)
{
	if (x_slot >= 0)
		return;
	fuzz_require(pv_core_register() == 0);
	fuzz_require(pv_register(module_pv.pvs) == 0);
	fuzz_require(trans_register(module_pv.trans) == 0);
	fuzz_require(module_pv.load() == 0);
	x_slot = pv_var_slot(NULL, STR_LIT("x"));
	fuzz_require(x_slot >= 0);
}

static void eval_again(struct ctx *ctx, const struct fmt *f, size_t limit)
{
	struct pool *pool = ctx->pool, *small = pool_new(limit);
	struct str out;

	fuzz_require(small != NULL);
	ctx->pool = small;
	if (fmt_eval(ctx, f, &out) == 0)
		fuzz_require(out.n <= 65536 || fmt_is_const(f));
	ctx->pool = pool;
	pool_free(small);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *lf = size ? memchr(data, '\n', size) : NULL;
	size_t n = lf ? (size_t)(lf - data) : size;
	struct str text = fuzz_copy(data, n), x = fuzz_copy(lf ? lf + 1 : data, lf ? size - n - 1 : 0);
	struct pool *pool = pool_new(8 << 20);
	static struct ctx ctx;
	struct diag d = { 0 };
	struct value *v;
	struct fmt *f;
	struct str out;

	once();
	fuzz_require(pool != NULL);
	memset(&ctx, 0, sizeof(ctx));
	ctx.pool = pool;
	ctx.kind = CTX_REQUEST;
	ctx.main.listener = ctx.rx.listener = NET_LISTENER_NONE;
	fuzz_require(sip_msg_parse(pool, str_lit(message), &ctx.msg, NULL) == 0);
	v = pv_var_at(&ctx, x_slot);
	fuzz_require(v != NULL);
	*v = value_str(x);
	if (fmt_compile(pool, text, &f, &d) < 0) {
		fuzz_require(d.text[0] != '\0');
	} else if (fmt_eval(&ctx, f, &out) == 0) {
		unsigned sum = 0;

		for (size_t i = 0; i < out.n; i++) /* every byte is there to be read */
			sum += (unsigned char)out.s[i];
		fuzz_require(sum <= out.n * 255);
		fuzz_require(out.n <= 65536 || fmt_is_const(f));
		eval_again(&ctx, f, (size_t)16 << size % 8);
	}
	pool_free(pool);
	fuzz_free(text);
	fuzz_free(x);
	return 0;
}
