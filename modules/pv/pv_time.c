/* SPDX-License-Identifier: BSD-2-Clause */
/* Time of the message and of now, the process, versions, statistics, and the single characters. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/pv/stat.h"
#include "modules/pv/pv_priv.h"

/* The language level that scripts are told, as KAMAILIO_VERSION is. */
#define LANGUAGE "6.2.0"
#define LANGUAGE_NUM 6002000

/* When the message came; a made-up message has the time of now. */
static time_t msg_time(const struct ctx *ctx)
{
	return ctx->rx.wall_s ? (time_t)ctx->rx.wall_s : clock_wall().tv_sec;
}

/* As ctime(3), without the newline. */
static int ret_ctime(struct ctx *ctx, struct value *ret, time_t t)
{
	char text[64];
	struct tm tm;
	struct str s;
	size_t n;

	if (!localtime_r(&t, &tm))
		return -ERANGE;
	n = strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	s = str_dup(ctx->pool, str_of(text, n));
	if (!s.s)
		return -ENOMEM;
	*ret = value_str_int(s, t);
	return 0;
}

enum time_what { T_MSG, T_MSG_TEXT, T_NOW, T_NOW_TEXT, T_START };

static int time_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	switch ((enum time_what)spec->def->arg) {
	case T_MSG:
		return pv_ret_int(ret, msg_time(ctx));
	case T_MSG_TEXT:
		return ret_ctime(ctx, ret, msg_time(ctx));
	case T_NOW:
		return pv_ret_int(ret, clock_wall().tv_sec);
	case T_NOW_TEXT:
		return ret_ctime(ctx, ret, clock_wall().tv_sec);
	case T_START:
		return pv_ret_int(ret, pv_conf.start_s);
	}
	return -EINVAL;
}

enum tv_what { TV_S, TV_U, TV_SN, TV_UN, TV_SN_TEXT, TV_FN, TV_MONO };
static const struct pv_word tv_words[] = {
	{ "s", TV_S }, { "u", TV_U }, { "sn", TV_SN }, { "un", TV_UN }, { "Sn", TV_SN_TEXT }, { "Fn", TV_FN }, { "Sm", TV_MONO }, { NULL, 0 },
};

static int tv_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(tv_words, spec, reterr);
}

static int tv_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct timespec now = clock_wall();
	struct pv_state *st = pv_state(ctx);
	long us = now.tv_nsec / 1000;
	char text[32];
	struct tm tm;
	struct str s;
	int err = -EINVAL;

	switch ((enum tv_what)spec->arg) {
	case TV_S:
		return pv_ret_int(ret, msg_time(ctx));
	case TV_U:
		return pv_ret_int(ret, ctx->rx.wall_us);
	case TV_SN:
		if (st)
			st->un_us = us;
		return pv_ret_int(ret, now.tv_sec);
	case TV_UN:
		return pv_ret_int(ret, st ? st->un_us : us);
	case TV_SN_TEXT:
		err = pool_printf(ctx->pool, &s, "%lld.%06ld", (long long)now.tv_sec, us);
		break;
	case TV_FN:
		if (!localtime_r(&now.tv_sec, &tm))
			return -ERANGE;
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
		err = pool_printf(ctx->pool, &s, "%s.%06ld", text, us);
		break;
	case TV_MONO:
		err = pool_printf(ctx->pool, &s, "%llu000", (unsigned long long)clock_now_us());
		break;
	}
	return err < 0 ? err : pv_ret_str(ret, s);
}

enum tm_what { TM_SEC, TM_MIN, TM_HOUR, TM_MDAY, TM_MON, TM_YEAR, TM_WDAY, TM_YDAY, TM_ISDST };
static const struct pv_word tm_words[] = {
	{ "sec", TM_SEC }, { "min", TM_MIN }, { "hour", TM_HOUR }, { "mday", TM_MDAY }, { "mon", TM_MON }, { "year", TM_YEAR },
	{ "wday", TM_WDAY }, { "yday", TM_YDAY }, { "isdst", TM_ISDST }, { NULL, 0 },
};

static int tm_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(tm_words, spec, reterr);
}

/* arg 1: UTC */
static bool broken_down(const struct ctx *ctx, intptr_t utc, struct tm *ret)
{
	time_t t = msg_time(ctx);

	return utc ? gmtime_r(&t, ret) : localtime_r(&t, ret);
}

static int tm_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct tm tm;

	if (!broken_down(ctx, spec->def->arg, &tm))
		return -ERANGE;
	switch ((enum tm_what)spec->arg) {
	case TM_SEC:
		return pv_ret_int(ret, tm.tm_sec);
	case TM_MIN:
		return pv_ret_int(ret, tm.tm_min);
	case TM_HOUR:
		return pv_ret_int(ret, tm.tm_hour);
	case TM_MDAY:
		return pv_ret_int(ret, tm.tm_mday);
	case TM_MON:
		return pv_ret_int(ret, tm.tm_mon + 1);
	case TM_YEAR:
		return pv_ret_int(ret, tm.tm_year + 1900);
	case TM_WDAY:
		return pv_ret_int(ret, tm.tm_wday + 1);
	case TM_YDAY:
		return pv_ret_int(ret, tm.tm_yday + 1);
	case TM_ISDST:
		return pv_ret_int(ret, tm.tm_isdst);
	}
	return -EINVAL;
}

static int timef_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	char fmt[128], text[64];
	struct str in;
	struct tm tm;
	size_t n;
	int err = pv_inner(ctx, spec, &in);

	if (err < 0)
		return err;
	if (in.n >= sizeof(fmt) || !broken_down(ctx, spec->def->arg, &tm))
		return pv_ret_null(ret);
	memcpy(fmt, in.s, in.n);
	fmt[in.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the script's own format is the point */
	n = strftime(text, sizeof(text), fmt, &tm);
#pragma GCC diagnostic pop
	return n == 0 ? pv_ret_null(ret) : pv_ret_dup(ctx, ret, str_of(text, n));
}

/* ---- process and server ---- */

enum proc_what { P_PID, P_SID, P_TRUE };

static int proc_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	switch ((enum proc_what)spec->def->arg) {
	case P_PID:
		return pv_ret_int(ret, getpid());
	case P_SID:
		return pv_ret_int(ret, pv_conf.server_id);
	case P_TRUE:
		break;
	}
	return pv_ret_int(ret, 1);
}

enum version_what { V_NUM, V_FULL, V_HASH, V_VERVAL };
static const struct pv_word version_words[] = { { "num", V_NUM }, { "full", V_FULL }, { "hash", V_HASH }, { NULL, 0 } };
static const struct pv_word ksr_words[] = { { "ver", V_NUM }, { "verval", V_VERVAL }, { NULL, 0 } };

static int version_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	return pv_word_prepare(spec->def->arg ? ksr_words : version_words, spec, reterr);
}

static int version_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	switch ((enum version_what)spec->arg) {
	case V_NUM:
		return pv_ret_str(ret, STR_LIT(LANGUAGE));
	case V_FULL:
		return pv_ret_str(ret, STR_LIT("ringfort " PACKAGE_VERSION " (language " LANGUAGE ")"));
	case V_HASH:
		return pv_ret_str(ret, STR_LIT(PACKAGE_VERSION));
	case V_VERVAL:
		return pv_ret_int(ret, LANGUAGE_NUM);
	}
	return -EINVAL;
}

static int stat_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	struct stat_ref ref;
	struct str name;
	int err = pv_inner(ctx, spec, &name);

	if (err < 0)
		return err;
	if (stat_find(name, &ref) < 0) {
		log_warn("$stat: no statistic '%.*s'", STR_FMT(name));
		return pv_ret_null(ret);
	}
	return pv_ret_int(ret, stat_read(&ref));
}

/* ---- characters ---- */

static int char_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	static const char chars[] = "\n\r\t ,\"':;\\`";

	(void)ctx;
	return pv_ret_str(ret, str_of(chars + spec->def->arg, 1));
}

static int null_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	(void)ctx;
	(void)spec;
	return pv_ret_null(ret);
}

#define CT PV_CONTEXT
/* clang-format off */
const struct pv_def pv_time_table[] = {
	{ .name = "Ts",      .get = time_get, .flags = CT, .arg = T_MSG },
	{ .name = "Tf",      .get = time_get, .flags = CT, .arg = T_MSG_TEXT },
	{ .name = "TS",      .get = time_get, .arg = T_NOW },
	{ .name = "TF",      .get = time_get, .arg = T_NOW_TEXT },
	{ .name = "Tb",      .get = time_get, .arg = T_START },
	{ .name = "TV",      .get = tv_get, .prepare = tv_prepare, .flags = PV_INNER },
	{ .name = "time",    .get = tm_get, .prepare = tm_prepare, .flags = PV_INNER | CT, .arg = 0 },
	{ .name = "utime",   .get = tm_get, .prepare = tm_prepare, .flags = PV_INNER | CT, .arg = 1 },
	{ .name = "timef",   .get = timef_get, .flags = PV_INNER | PV_FMT_INNER | CT, .arg = 0 },
	{ .name = "utimef",  .get = timef_get, .flags = PV_INNER | PV_FMT_INNER | CT, .arg = 1 },
	{ .name = "pp",      .get = proc_get, .arg = P_PID },
	{ .name = "sid",     .get = proc_get, .arg = P_SID },
	{ .name = "true",    .get = proc_get, .arg = P_TRUE },
	{ .name = "version", .get = version_get, .prepare = version_prepare, .flags = PV_INNER, .arg = 0 },
	{ .name = "ksr",     .get = version_get, .prepare = version_prepare, .flags = PV_INNER, .arg = 1 },
	{ .name = "stat",    .get = stat_get, .flags = PV_INNER | PV_FMT_INNER },
	{ .name = "En", .get = char_get, .arg = 0 },
	{ .name = "Er", .get = char_get, .arg = 1 },
	{ .name = "Et", .get = char_get, .arg = 2 },
	{ .name = "Es", .get = char_get, .arg = 3 },
	{ .name = "Ec", .get = char_get, .arg = 4 },
	{ .name = "Eq", .get = char_get, .arg = 5 },
	{ .name = "Ek", .get = char_get, .arg = 6 },
	{ .name = "Ei", .get = char_get, .arg = 7 },
	{ .name = "Ej", .get = char_get, .arg = 8 },
	{ .name = "Eb", .get = char_get, .arg = 9 },
	{ .name = "Ev", .get = char_get, .arg = 10 },
	{ .name = "err.class",   .get = null_get },
	{ .name = "err.level",   .get = null_get },
	{ .name = "err.info",    .get = null_get },
	{ .name = "err.rcode",   .get = null_get },
	{ .name = "err.rreason", .get = null_get },
	{ .name = NULL },
};
/* clang-format on */
