/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module xlog: log lines with variables in them. A text is prepared at load and evaluated only when its level is written, so that a
 * debug line in the script costs a compare in production.
 */
#include <errno.h>
#include <syslog.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/module/abi.h"
#include "core/pv/fmt.h"
#include "core/script/vm.h"

static struct conf {
	int buf_size, force_color, long_format, prefix_mode, methods_filter, auto_newline;
	struct str prefix, log_facility, log_colors;
	/* made of the above */
	struct pool *pool;
	struct fmt *prefix_fmt; /* NULL: prefix as it stands */
	int facility;           /* -1: that of the core */
} conf = { .facility = -1 };

/* ---- colours: $C(fb), log_colors ---- */

/* x s r g y b p c w: default, black, red, green, yellow, blue, purple, cyan, white */
static int color_no(char c)
{
	static const char letters[] = "xsrgybpcw";
	const char *at = c ? strchr(letters, c | 32) : NULL;

	return at ? (int)(at - letters) : -1;
}

/* Escape sequence for foreground and background into out (16 bytes). Returns the length; 0: not such colours. */
static size_t color_sequence(char fg, char bg, char *out)
{
	int f = color_no(fg), b = color_no(bg);
	struct strbuf sb;

	if (f < 0 || b < 0)
		return 0;
	strbuf_init_fixed(&sb, out, 16);
	strbuf_printf(&sb, "\033[%d", fg >= 'A' && fg <= 'Z' ? 1 : 0);
	strbuf_printf(&sb, ";%d", f == 0 ? 39 : 29 + f);
	strbuf_printf(&sb, ";%dm", b == 0 ? 49 : 39 + b);
	return strbuf_err(&sb) < 0 ? 0 : sb.n;
}

static bool colored(void)
{
	return conf.force_color || isatty(STDERR_FILENO);
}

static int c_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	(void)pool;
	if (spec->inner.n != 2 || color_no(spec->inner.s[0]) < 0 || color_no(spec->inner.s[1]) < 0)
		return diag_set(reterr, 0, "$C(%.*s): two letters of x s r g y b p c w", STR_FMT(spec->inner));
	return 0;
}

static int c_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	char seq[16];
	struct str s = STR_LIT("");

	if (colored()) {
		s = str_dup(ctx->pool, str_of(seq, color_sequence(spec->inner.s[0], spec->inner.s[1], seq)));
		if (!s.s)
			return -ENOMEM;
	}
	*ret = value_str(s);
	return 0;
}

/* ---- arguments ---- */

struct level_arg {
	int level;
	const struct pv_spec *pv; /* NULL: level counts */
};

/* Only the third character of "L_XXX" matters; a number is one too. */
static int level_of(struct str text, int *ret)
{
	static const struct {
		char c;
		int level;
	} letters[] = { { 'A', L_ALERT }, { 'B', L_BUG }, { 'C', L_CRIT2 }, { 'E', L_ERR }, { 'W', L_WARN }, { 'N', L_NOTICE }, { 'I', L_INFO }, { 'D', L_DBG } };
	int64_t i;

	if (num_i64(text, &i) == 0 && i >= L_ALERT && i <= 10) {
		*ret = (int)i;
		return 0;
	}
	for (size_t k = 0; k < ARRAY_LEN(letters); k++) {
		if (text.n >= 3 && text.s[2] == letters[k].c) {
			*ret = letters[k].level;
			return 0;
		}
	}
	return -EINVAL;
}

static int level_fixup(struct pool *pool, struct str text, void **ret_p, struct diag *reterr)
{
	struct level_arg *a = pool_zalloc(pool, sizeof(*a));
	struct pv_spec *pv;
	size_t len;
	int err;

	if (!a)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	if (text.n > 0 && text.s[0] == '$') {
		err = pv_parse(pool, text, &pv, &len, reterr);
		if (err < 0)
			return err;
		if (len != text.n)
			return diag_set(reterr, len, "one variable expected for the log level");
		a->pv = pv;
	} else if (level_of(text, &a->level) < 0) {
		return diag_set(reterr, 0, "log level '%.*s': L_ALERT L_BUG L_CRIT L_ERR L_WARN L_NOTICE L_INFO L_DBG, or a variable", STR_FMT(text));
	}
	*ret_p = a;
	return 0;
}

static const struct {
	const char *name;
	int no;
} facilities[] = {
	{ "LOG_AUTH", LOG_AUTH }, { "LOG_AUTHPRIV", LOG_AUTHPRIV }, { "LOG_CRON", LOG_CRON }, { "LOG_DAEMON", LOG_DAEMON }, { "LOG_FTP", LOG_FTP },
	{ "LOG_KERN", LOG_KERN }, { "LOG_LPR", LOG_LPR }, { "LOG_MAIL", LOG_MAIL }, { "LOG_NEWS", LOG_NEWS }, { "LOG_SYSLOG", LOG_SYSLOG },
	{ "LOG_USER", LOG_USER }, { "LOG_UUCP", LOG_UUCP }, { "LOG_LOCAL0", LOG_LOCAL0 }, { "LOG_LOCAL1", LOG_LOCAL1 }, { "LOG_LOCAL2", LOG_LOCAL2 },
	{ "LOG_LOCAL3", LOG_LOCAL3 }, { "LOG_LOCAL4", LOG_LOCAL4 }, { "LOG_LOCAL5", LOG_LOCAL5 }, { "LOG_LOCAL6", LOG_LOCAL6 }, { "LOG_LOCAL7", LOG_LOCAL7 },
};

static int facility_of(struct str text)
{
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++) {
		if (str_ieq(text, str_lit(facilities[i].name)))
			return facilities[i].no;
	}
	return -1;
}

static int text_fixup(struct pool *pool, struct str text, void **ret_p, struct diag *reterr)
{
	struct fmt *f;
	int err = fmt_compile(pool, text, &f, reterr);

	if (err == 0)
		*ret_p = f;
	return err;
}

static int fix1(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	(void)index;
	return text_fixup(pool, text, ret_p, reterr);
}

static int fix2(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	return index == 0 ? level_fixup(pool, text, ret_p, reterr) : text_fixup(pool, text, ret_p, reterr);
}

static int fix3(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	int *no;

	if (index > 0)
		return fix2(pool, index - 1, text, ret_p, reterr);
	no = pool_zalloc(pool, sizeof(*no));
	if (!no)
		return diag_err(reterr, -ENOMEM, 0, "no memory");
	*no = facility_of(text);
	if (*no < 0)
		return diag_set(reterr, 0, "unknown log facility '%.*s'", STR_FMT(text));
	*ret_p = no;
	return 0;
}

/* ---- writing ---- */

enum write_flags { W_LINE = 1 /* position of the action in front */ };

static void add_position(struct ctx *ctx, struct strbuf *sb)
{
	struct str file, route;
	unsigned line;

	if (!vm_position(ctx, &file, &line, &route))
		return;
	if (conf.long_format) {
		strbuf_add(sb, file);
		strbuf_add_char(sb, ':');
	}
	strbuf_add_u64(sb, line);
	strbuf_add_char(sb, ':');
}

/* The colours that log_colors gives to a level: "L_ERR=cr;L_WARN=px". */
static void add_color(int level, struct strbuf *sb, bool *ret_colored)
{
	struct str rest = conf.log_colors;
	char seq[16];

	while (rest.n > 0) {
		ptrdiff_t semi = str_find_char(rest, ';');
		struct str one = str_trim(semi < 0 ? rest : str_sub(rest, 0, (size_t)semi));
		ptrdiff_t eq = str_find_char(one, '=');
		int l;

		rest = semi < 0 ? STR_NULL : str_sub(rest, (size_t)semi + 1, rest.n);
		if (eq < 0 || one.n < (size_t)eq + 3 || level_of(str_sub(one, 0, (size_t)eq), &l) < 0 || l != level)
			continue;
		strbuf_add(sb, str_of(seq, color_sequence(one.s[eq + 1], one.s[eq + 2], seq)));
		*ret_colored = true;
		return;
	}
}

static int write_text(struct ctx *ctx, int facility, int level, const struct fmt *f, unsigned flags)
{
	struct str text, prefix = conf.prefix;
	struct strbuf sb;
	bool color = false;

	if (!log_on(level))
		return 1;
	if (fmt_eval(ctx, f, &text) < 0)
		return -1;
	if (conf.prefix_fmt && fmt_eval(ctx, conf.prefix_fmt, &prefix) < 0)
		return -1;
	if (text.n > (size_t)conf.buf_size)
		return -1;
	strbuf_init_pool(&sb, ctx->pool, text.n + prefix.n + 512);
	if (conf.log_colors.n > 0 && colored())
		add_color(level, &sb, &color);
	strbuf_add(&sb, prefix);
	if (flags & W_LINE)
		add_position(ctx, &sb);
	strbuf_add(&sb, text);
	if (conf.auto_newline)
		strbuf_add_char(&sb, '\n');
	if (color)
		strbuf_add_lit(&sb, "\033[0m");
	if (strbuf_err(&sb) < 0)
		return -1;
	log_text(level, facility >= 0 ? facility : conf.facility, f, strbuf_str(&sb));
	return 1;
}

static bool level_now(struct ctx *ctx, const struct level_arg *a, int *ret)
{
	struct value v;
	int64_t i;

	if (!a->pv) {
		*ret = a->level;
		return true;
	}
	if (pv_get(ctx, a->pv, &v) < 0 || value_to_int(&v, &i) < 0)
		return false;
	*ret = i < L_ALERT ? L_ALERT : i > 10 ? 10 : (int)i;
	return true;
}

static int f_xlog1(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return write_text(ctx, -1, L_ERR, a[0].p, 0);
}

static int f_xlog2(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int level;

	(void)n;
	return level_now(ctx, a[0].p, &level) ? write_text(ctx, -1, level, a[1].p, 0) : -1;
}

static int f_xlog3(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int level;

	(void)n;
	return level_now(ctx, a[1].p, &level) ? write_text(ctx, *(const int *)a[0].p, level, a[2].p, 0) : -1;
}

static int f_xlogl1(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	(void)n;
	return write_text(ctx, -1, L_ERR, a[0].p, W_LINE);
}

static int f_xlogl2(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int level;

	(void)n;
	return level_now(ctx, a[0].p, &level) ? write_text(ctx, -1, level, a[1].p, W_LINE) : -1;
}

static int f_xlogl3(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	int level;

	(void)n;
	return level_now(ctx, a[1].p, &level) ? write_text(ctx, *(const int *)a[0].p, level, a[2].p, W_LINE) : -1;
}

static int f_xlogm(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);
	enum sip_method m = ctx->msg.kind == SIP_REQUEST ? ctx->msg.method : cseq ? cseq->method : SIP_M_OTHER;

	if (conf.methods_filter > 0 && (conf.methods_filter & (int)m))
		return 1;
	return f_xlog2(ctx, a, n);
}

#define LEVEL_FUNC(name, level, flags)                                                           \
	static int name(struct ctx *ctx, const union script_arg *a, unsigned n)                  \
	{                                                                                        \
		(void)n;                                                                         \
		return write_text(ctx, -1, level, a[0].p, flags);                                \
	}
LEVEL_FUNC(f_xdbg, L_DBG, 0)
LEVEL_FUNC(f_xdbgl, L_DBG, W_LINE)
LEVEL_FUNC(f_xinfo, L_INFO, 0)
LEVEL_FUNC(f_xnotice, L_NOTICE, 0)
LEVEL_FUNC(f_xwarn, L_WARN, 0)
LEVEL_FUNC(f_xerr, L_ERR, 0)
LEVEL_FUNC(f_xbug, L_BUG, 0)
LEVEL_FUNC(f_xcrit, L_CRIT2, 0)
LEVEL_FUNC(f_xalert, L_ALERT, 0)

static int xlog_init(void)
{
	struct diag d = { 0 };

	if (conf.log_facility.n > 0) {
		conf.facility = facility_of(conf.log_facility);
		if (conf.facility < 0)
			return log_fail(-EINVAL, "xlog: log_facility '%.*s' is unknown", STR_FMT(conf.log_facility));
	}
	if (!conf.prefix_mode)
		return 0;
	conf.pool = pool_new(64 * 1024);
	if (!conf.pool)
		return log_fail(-ENOMEM, "xlog: prefix");
	if (fmt_compile(conf.pool, conf.prefix, &conf.prefix_fmt, &d) < 0)
		return log_fail(-EINVAL, "xlog: prefix: %s", d.text);
	return 0;
}

static void xlog_done(void)
{
	pool_free(conf.pool);
	conf.pool = NULL;
	conf.prefix_fmt = NULL;
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_LIVE_INT("buf_size",       struct conf, buf_size,       4096, 64, 1048576),
	SETTING_LIVE_INT("force_color",    struct conf, force_color,    0, 0, 1),
	SETTING_LIVE_INT("long_format",    struct conf, long_format,    0, 0, 1),
	SETTING_STR("prefix",         struct conf, prefix,         "<script>: "),
	SETTING_INT("prefix_mode",    struct conf, prefix_mode,    0, 0, 1),
	SETTING_STR("log_facility",   struct conf, log_facility,   NULL),
	SETTING_LIVE_STR("log_colors",     struct conf, log_colors,     NULL),
	SETTING_LIVE_INT("methods_filter", struct conf, methods_filter, -1, -1, INT32_MAX),
	SETTING_LIVE_INT("auto_newline",   struct conf, auto_newline,   0, 0, 1),
	SETTING_END,
};
static const struct cfg_live live[] = {
	{ "methods_filter", NULL, "methods whose messages write nothing, one bit each", 0 },
	{ .name = NULL },
};

#define ONE(name_, fn_) { .name = name_, .fn = fn_, .n_params = 1, .param = { SP_DFIX }, .kinds = CTX_ANY, .fixup = fix1 }
#define TWO(name_, fn_) { .name = name_, .fn = fn_, .n_params = 2, .param = { SP_DFIX, SP_DFIX }, .kinds = CTX_ANY, .fixup = fix2 }
#define THREE(name_, fn_) { .name = name_, .fn = fn_, .n_params = 3, .param = { SP_FIX, SP_DFIX, SP_DFIX }, .kinds = CTX_ANY, .fixup = fix3 }
static const struct script_func funcs[] = {
	ONE("xlog", f_xlog1), TWO("xlog", f_xlog2), THREE("xlog", f_xlog3),
	ONE("xlogl", f_xlogl1), TWO("xlogl", f_xlogl2), THREE("xlogl", f_xlogl3),
	TWO("xlogm", f_xlogm),
	ONE("xdbg", f_xdbg), ONE("xdbgl", f_xdbgl), ONE("xinfo", f_xinfo), ONE("xnotice", f_xnotice), ONE("xwarn", f_xwarn),
	ONE("xerr", f_xerr), ONE("xbug", f_xbug), ONE("xcrit", f_xcrit), ONE("xalert", f_xalert),
	{ .name = NULL },
};

static const struct pv_def pvs[] = {
	{ .name = "C", .get = c_get, .prepare = c_prepare, .flags = PV_INNER },
	{ .name = NULL },
};
/* clang-format on */

const struct module module_xlog = {
	.abi = MODULE_ABI,
	.name = "xlog",
	.settings = settings,
	.conf = &conf,
	.live = live,
	.funcs = funcs,
	.pvs = pvs,
	.init = xlog_init,
	.done = xlog_done,
};
