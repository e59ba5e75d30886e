/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a record holds: extras ("name=$pv;..."), legs, time; and its line in the log.
 */
#include <errno.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/transport/ctx.h"
#include "modules/acc/acc_priv.h"

/* ---- extras ---- */

static int extra_parse(struct pool *pool, const char *what, struct str one, bool index, struct acc_extra *ret)
{
	ptrdiff_t eq = str_find_char(one, '=');
	struct diag d = { 0 };
	struct pv_spec *pv;
	struct str value;
	size_t len;

	if (eq <= 0) {
		log_error("acc: %s: \"%.*s\": name=$variable expected", what, STR_FMT(one));
		return -EINVAL;
	}
	ret->name = str_dup(pool, str_trim(str_sub(one, 0, (size_t)eq)));
	value = str_dup(pool, str_trim(str_sub(one, (size_t)eq + 1, one.n)));
	if (!ret->name.s || !value.s)
		return -ENOMEM;
	if (value.n == 0 || value.s[0] != '$' || pv_parse(pool, value, &pv, &len, &d) < 0 || len != value.n) {
		log_error("acc: %s: \"%.*s\" is no variable%s%s", what, STR_FMT(value), d.text[0] ? ": " : "", d.text);
		return -EINVAL;
	}
	if (index && (!(pv->def->flags & PV_INDEX) || pv->idx_kind != PV_IDX_NONE)) {
		log_error("acc: %s: \"%.*s\" must be one that has several values, without an index", what, STR_FMT(value));
		return -EINVAL;
	}
	ret->pv = pv;
	return 0;
}

/* Next element up to a ';' that is not inside parentheses or braces: those belong to a variable. */
static struct str next_element(struct str *rest)
{
	int depth = 0;
	size_t i;
	struct str one;

	for (i = 0; i < rest->n && (depth > 0 || rest->s[i] != ';'); i++) {
		if (rest->s[i] == '(' || rest->s[i] == '{')
			depth++;
		if ((rest->s[i] == ')' || rest->s[i] == '}') && depth > 0)
			depth--;
	}
	one = str_trim(str_sub(*rest, 0, i));
	*rest = i < rest->n ? str_sub(*rest, i + 1, rest->n) : STR_NULL;
	return one;
}

int acc_extras_parse(struct pool *pool, const char *what, struct str text, unsigned max, bool index, struct acc_extras *ret)
{
	while (text.n) {
		struct str one = next_element(&text);
		int err;

		if (one.n == 0)
			continue;
		if (ret->n == max) {
			log_error("acc: %s: more than %u (acc_extra_size)", what, max);
			return -E2BIG;
		}
		err = extra_parse(pool, what, one, index, &ret->a[ret->n]);
		if (err < 0)
			return err;
		ret->n++;
	}
	return 0;
}

static bool get(struct ctx *ctx, const struct pv_spec *pv, struct str *ret)
{
	struct value v;

	*ret = STR_NULL;
	return pv_get(ctx, pv, &v) == 0 && v.kind != VALUE_NULL && value_to_str(&v, ctx->pool, ret) == 0;
}

bool acc_extra_get(struct ctx *ctx, const struct acc_extra *e, struct str *ret)
{
	return get(ctx, e->pv, ret);
}

bool acc_leg_get(struct ctx *ctx, const struct acc_extra *e, int i, struct str *ret)
{
	struct pv_spec at = *e->pv;

	at.idx_kind = PV_IDX_INT;
	at.idx = i;
	return get(ctx, &at, ret);
}

bool acc_leg_any(struct ctx *ctx, const struct acc_extras *legs, int i)
{
	struct str ignored;

	for (unsigned k = 0; k < legs->n; k++)
		if (acc_leg_get(ctx, &legs->a[k], i, &ignored))
			return true;
	return false;
}

/* ---- the line ---- */

struct str acc_time_text(const struct timespec *when, char *mem, size_t size)
{
	struct tm tm;
	char format[128];
	time_t s = when->tv_sec;

	if (acc_conf.time_format.n >= sizeof(format) || !(acc_conf.time_mode == 3 ? localtime_r(&s, &tm) : gmtime_r(&s, &tm)))
		return STR_NULL;
	memcpy(format, acc_conf.time_format.s, acc_conf.time_format.n);
	format[acc_conf.time_format.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* it is the operator's */
	return str_of(mem, strftime(mem, size, format, &tm));
#pragma GCC diagnostic pop
}

static void add_pair(struct strbuf *sb, struct str name, struct str value)
{
	strbuf_add_char(sb, ';');
	strbuf_add(sb, name);
	strbuf_add_char(sb, '=');
	strbuf_add(sb, value);
}

static void add_time(struct strbuf *sb, const struct timespec *when)
{
	char mem[128];

	strbuf_printf(sb, "timestamp=%lld", (long long)when->tv_sec);
	switch (acc_conf.time_mode) {
	case 1:
		strbuf_printf(sb, ";%.*s=%u", STR_FMT(acc_conf.time_exten), (unsigned)(when->tv_nsec / 1000));
		break;
	case 2:
		strbuf_printf(sb, ";%.*s=%lld.%03u", STR_FMT(acc_conf.time_attr), (long long)when->tv_sec, (unsigned)(when->tv_nsec / 1000000));
		break;
	case 3:
	case 4:
		add_pair(sb, acc_conf.time_attr, acc_time_text(when, mem, sizeof(mem)));
		break;
	default:
		break;
	}
}

void acc_log_record(const struct acc_record *r, const char *text, const struct acc_extras *extras, const struct acc_extras *legs, int facility)
{
	struct strbuf sb;
	struct str v;

	if (!log_on(acc_conf.log_level))
		return;
	strbuf_init_pool(&sb, r->ctx->pool, 65536);
	strbuf_add_lit(&sb, text);
	add_time(&sb, &r->when);
	add_pair(&sb, STR_LIT("method"), r->method);
	add_pair(&sb, STR_LIT("from_tag"), r->from_tag);
	add_pair(&sb, STR_LIT("to_tag"), r->to_tag);
	add_pair(&sb, STR_LIT("call_id"), r->callid);
	add_pair(&sb, STR_LIT("code"), r->code);
	add_pair(&sb, STR_LIT("reason"), r->reason);
	for (unsigned i = 0; i < extras->n; i++) {
		(void)acc_extra_get(r->ctx, &extras->a[i], &v); /* null prints as nothing */
		add_pair(&sb, extras->a[i].name, v);
	}
	for (int leg = 0; legs->n && leg < (int)ACC_LEGS_MAX && (leg == 0 || acc_leg_any(r->ctx, legs, leg)); leg++)
		for (unsigned i = 0; i < legs->n; i++) {
			(void)acc_leg_get(r->ctx, &legs->a[i], leg, &v);
			add_pair(&sb, legs->a[i].name, v);
		}
	for (size_t i = 0; i < sb.n; i++) /* of folded fields, for example: nobody outside forges a line */
		if ((unsigned char)sb.p[i] < ' ')
			sb.p[i] = ' ';
	strbuf_add_char(&sb, '\n');
	if (strbuf_err(&sb) < 0) {
		log_error("acc: a record of call %.*s has more than 64 kB: not written", STR_FMT(r->callid));
		return;
	}
	log_text(acc_conf.log_level, facility, NULL, strbuf_str(&sb));
}
