/* SPDX-License-Identifier: BSD-2-Clause */
/* Small modules for the test of the loader: one source, built several times with other names. */
#include "core/module/abi.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

extern char test_module_trace[256];
const struct module CAT(module_, TM_NAME);

static struct conf { /* test_params.c knows it */
	int number;
	struct str text;
	int live_number;
	struct str live_text;
	unsigned n_listed, n_reloaded;
} conf;

static void say(const char *what)
{
	size_t n = strlen(test_module_trace), k = strlen(what);

	if (n + k + 1 < sizeof(test_module_trace))
		memcpy(test_module_trace + n, what, k + 1);
}

static int fn(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)ctx, (void)args, (void)n;
	return conf.number;
}

static const struct script_func funcs[] = {
	{ .name = "f_" TEXT(TM_NAME), .fn = fn, .kinds = CTX_ANY },
	{ .name = NULL },
};

static int listed(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)set, (void)i, (void)s, (void)reterr;
	conf.n_listed++;
	return 0;
}

static int reloaded(void *c, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)c, (void)i;
	conf.n_reloaded++;
	return str_eq(s, STR_LIT("bad")) ? diag_set(reterr, 0, "%s: not that", set->name) : 0;
}

static void live_changed(void)
{
	say("changed " TEXT(TM_NAME) ";");
}

static const struct setting settings[] = {
	SETTING_INT("number", struct conf, number, 3, 0, 10),
	SETTING_STR("text", struct conf, text, "def"),
	SETTING_LIVE_INT("live_number", struct conf, live_number, 5, 0, 10),
	SETTING_LIVE_STR("live_text", struct conf, live_text, "live"),
	SETTING_FN_STR("list", listed),
	{ .name = "more", .type = SETTING_FN_STR_T, .fn = listed, .reload = reloaded },
	SETTING_END
};

static int init(void)
{
	say("init " TEXT(TM_NAME) ";");
	return 0;
}

static void done(void)
{
	say("done " TEXT(TM_NAME) ";");
}

#ifdef TM_NEEDS
static const char *const needs[] = { TEXT(TM_NEEDS), NULL };
#endif

const struct module CAT(module_, TM_NAME) = {
#ifdef TM_ABI
	.abi = TM_ABI,
#else
	.abi = MODULE_ABI,
#endif
	.name = TEXT(TM_NAME),
#ifdef TM_NEEDS
	.requires = needs,
#endif
	.settings = settings,
	.conf = &conf,
	.funcs = funcs,
	.api = &conf,
	.init = init,
	.live_changed = live_changed,
	.done = done,
};
