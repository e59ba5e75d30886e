/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The variables that exist without any module: $null, the last return code, the environment, the preprocessor's defines and
 * the instance id. Everything else comes from modules, first of all pv.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/pv/pv.h"

struct pv_conf pv_conf;

static pv_define_fn *define_find;

static struct {
	const struct ctx *ctx;
	const struct pv_snd *snd;
} sending;

void pv_snd_set(const struct ctx *ctx, const struct pv_snd *snd)
{
	sending.ctx = ctx;
	sending.snd = snd;
}

const struct pv_snd *pv_snd_of(const struct ctx *ctx)
{
	return sending.ctx == ctx ? sending.snd : NULL;
}

void pv_set_defines(pv_define_fn *fn)
{
	define_find = fn;
}

static int null_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	(void)spec;
	*ret = value_null();
	return 0;
}

static int rc_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)spec;
	*ret = value_int(ctx->retcode);
	return 0;
}

/* arg 1: as a number. The environment does not change after start-up, so its text lives for ever. */
static int env_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	char name[256];
	const char *text;
	int64_t i = 0;

	(void)ctx;
	if (spec->inner.n >= sizeof(name))
		return -ENAMETOOLONG;
	memcpy(name, spec->inner.s, spec->inner.n);
	name[spec->inner.n] = '\0';
	text = getenv(name);
	if (!text) {
		*ret = value_null();
		return 0;
	}
	if (spec->def->arg == 0) {
		*ret = value_str(str_lit(text));
		return 0;
	}
	if (num_script(str_lit(text), &i) < 0)
		i = 0;
	*ret = value_int(i);
	return 0;
}

enum def_form { DEF_RAW, DEF_INT, DEF_UNQUOTED, DEF_QUOTED };

static bool is_quoted(struct str s)
{
	return s.n >= 2 && (s.s[0] == '"' || s.s[0] == '\'') && s.s[s.n - 1] == s.s[0];
}

static int def_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct str v = STR_NULL;
	bool known = define_find && define_find(spec->inner, &v);
	int64_t i = 0;

	if (spec->def->arg == DEF_INT) {
		if (!known || num_script(v, &i) < 0)
			i = 0;
		*ret = value_int(i);
		return 0;
	}
	if (!known) {
		*ret = value_null();
		return 0;
	}
	if (spec->def->arg == DEF_UNQUOTED && is_quoted(v)) {
		v = str_sub(v, 1, v.n - 2);
	} else if (spec->def->arg == DEF_QUOTED && !is_quoted(v)) {
		int err = pool_printf(ctx->pool, &v, "\"%.*s\"", STR_FMT(v));

		if (err < 0)
			return err;
	}
	*ret = value_str(v);
	return 0;
}

static int iuid_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	(void)spec;
	*ret = pv_conf.instance_id.n ? value_str(pv_conf.instance_id) : value_null();
	return 0;
}

/* clang-format off */
static const struct pv_def core_table[] = {
	{ .name = "null",    .get = null_get },
	{ .name = "?",       .get = rc_get },
	{ .name = "rc",      .get = rc_get },
	{ .name = "retcode", .get = rc_get },
	{ .name = "env",     .get = env_get, .flags = PV_INNER, .arg = 0 },
	{ .name = "envn",    .get = env_get, .flags = PV_INNER, .arg = 1 },
	{ .name = "def",     .get = def_get, .flags = PV_INNER, .arg = DEF_RAW },
	{ .name = "defn",    .get = def_get, .flags = PV_INNER, .arg = DEF_INT },
	{ .name = "defv",    .get = def_get, .flags = PV_INNER, .arg = DEF_UNQUOTED },
	{ .name = "defs",    .get = def_get, .flags = PV_INNER, .arg = DEF_QUOTED },
	{ .name = "iuid",    .get = iuid_get },
	{ .name = NULL },
};
/* clang-format on */

int pv_core_register(void)
{
	if (!pv_conf.start_s)
		pv_conf.start_s = clock_wall().tv_sec;
	return pv_register(core_table);
}
