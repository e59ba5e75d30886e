/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls a module's script functions as the VM would: arguments are made from text by the kind that the table declares. */
#ifndef RF_TESTS_MOD_TEST_H
#define RF_TESTS_MOD_TEST_H

#include "core/base/hashfn.h"
#include "core/base/num.h"
#include "core/base/regex.h"
#include "core/module/abi.h"
#include "core/pv/fmt.h"
#include "core/route/route.h"
#include "shm/arena.h"
#include "shm/slot.h"
#include "tests/lib/test_main.h"

static struct ctx *ctx;

static inline void mod_once(const struct module *m)
{
	ck_assert_int_eq(shm_arena_create(&(struct shm_opts){ .ceiling_bytes = 64 << 20 }), 0);
	ck_assert_int_eq(shm_slot_take(0, SHM_SLOT_TEST), 0);
	hashfn_key(shm_arena_secret());
	ck_assert_int_eq(ctx_pool_init(64), 0);
	ck_assert_int_eq(pv_core_register(), 0);
	if (m->settings)
		settings_defaults(m->settings, m->conf);
	if (m->pvs)
		ck_assert_int_eq(pv_register(m->pvs), 0);
	if (m->trans)
		ck_assert_int_eq(trans_register(m->trans), 0);
	if (m->load)
		ck_assert_int_eq(m->load(), 0);
	if (m->init)
		ck_assert_int_eq(m->init(), 0);
	shm_slot_release();
}

/* A test that failed leaves its slot behind: take the next. */
static inline void mod_slot(void)
{
	unsigned i = 1;

	while (i < 100 && shm_slot_take(i, SHM_SLOT_TEST) < 0)
		i++;
	ck_assert_int_lt((int)i, 100);
}

static inline void mod_done(void)
{
	if (ctx)
		ctx_free(ctx);
	ctx = NULL;
	shm_slot_release();
}

static inline void ctx_of(const char *bytes)
{
	struct rx_info rx = { .proto = SIP_PROTO_UDP, .listener = NET_LISTENER_NONE, .wall_s = 1000000000 };

	if (ctx)
		ctx_free(ctx);
	ck_assert_int_eq(net_addr_parse(STR_LIT("192.0.2.7"), 5099, &rx.src), 0);
	ctx = ctx_from_bytes(str_lit(bytes), &rx);
	ck_assert(ctx);
	ctx->kind = CTX_REQUEST;
}

static int var_parse(void *pool, struct str text, size_t *ret_len, void **ret_var, struct diag *reterr)
{
	struct pv_spec *spec;
	int err = pv_parse(pool, text, &spec, ret_len, reterr);

	if (err == 0)
		*ret_var = spec;
	return err;
}

static inline union script_arg arg_of(const struct script_func *f, unsigned i, const char *text)
{
	union script_arg a = { .p = NULL };
	struct regex_subst *sub;
	struct pv_spec *spec;
	struct regex *re;
	struct diag d = { 0 };
	size_t len;
	void *p;

	switch ((enum script_param)f->param[i]) {
	case SP_DSTR:
	case SP_STR:
	case SP_ROUTE:
		a.s = str_lit(text);
		break;
	case SP_DINT:
	case SP_INT:
		ck_assert_int_eq(num_i64(str_lit(text), &a.i), 0);
		break;
	case SP_PV:
	case SP_WPV:
		ck_assert_msg(pv_parse(ctx->pool, str_lit(text), &spec, &len, &d) == 0, "%s: %s", text, d.text);
		a.pv = spec;
		break;
	case SP_REGEX:
		ck_assert_msg(regex_compile(str_lit(text), REGEX_ICASE | REGEX_NEWLINE, &re, &d) == 0, "%s: %s", text, d.text);
		a.re = re;
		break;
	case SP_SUBST:
		ck_assert_msg(regex_subst_parse(str_lit(text), var_parse, ctx->pool, &sub, &d) == 0, "%s: %s", text, d.text);
		a.subst = sub;
		break;
	case SP_FIX:
	case SP_DFIX:
		ck_assert_msg(f->fixup(ctx->pool, i, str_lit(text), &p, &d) == 0, "%s: %s", text, d.text);
		a.p = p;
		break;
	case SP_END:
		ck_abort_msg("argument %u of %s", i, f->name);
	}
	return a;
}

/* Texts end with NULL. */
static inline int call(const struct module *m, const char *name, const char *const *texts)
{
	union script_arg args[SCRIPT_PARAMS_MAX] = { 0 };
	unsigned n = 0;
	int rc;

	while (n < SCRIPT_PARAMS_MAX && texts[n])
		n++;
	for (const struct script_func *f = m->funcs; f->name; f++) {
		if (strcmp(f->name, name) != 0 || f->n_params != n)
			continue;
		for (unsigned i = 0; i < n; i++)
			args[i] = arg_of(f, i, texts[i]);
		rc = f->fn(ctx, args, n);
		for (unsigned i = 0; i < n; i++) {
			if (f->param[i] == SP_REGEX)
				regex_free((struct regex *)(uintptr_t)args[i].re);
			else if (f->param[i] == SP_SUBST)
				regex_subst_free((struct regex_subst *)(uintptr_t)args[i].subst);
		}
		return rc;
	}
	ck_abort_msg("no function %s with %u arguments", name, n);
}

/* The message as it would be forwarded, without a Via of ours. */
static inline struct str built(void)
{
	struct sip_forward fwd = { .ruri = ctx->main.uri };
	struct sip_out out;
	char *p;

	ck_assert_int_eq(sip_build_request(ctx->pool, &ctx->msg, &ctx->edits, &fwd, false, &out), 0);
	p = pool_alloc(ctx->pool, out.bytes + 1);
	ck_assert(p);
	sip_out_copy(&out, p);
	p[out.bytes] = '\0';
	return str_of(p, out.bytes);
}

static inline struct str eval(const char *text)
{
	struct diag d = { 0 };
	struct fmt *f;
	struct str out;

	ck_assert_msg(fmt_compile(ctx->pool, str_lit(text), &f, &d) == 0, "%s: %s", text, d.text);
	ck_assert_int_eq(fmt_eval(ctx, f, &out), 0);
	return out;
}

#endif
