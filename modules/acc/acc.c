/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module acc: accounting. Flags of the script say what is recorded; core/tm tells when (tm_observe()); a record is a line of the
 * log, a row of a database, or both. Nothing here waits: rows are left in shared memory and written behind the call.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/main/params.h"
#include "core/module/abi.h"
#include "core/sip/reason.h"
#include "core/tm/out.h"
#include "core/tm/tm.h"
#include "modules/acc/acc_priv.h"
#include "modules/rr/rr_api.h"

struct acc_conf acc_conf;

#define FILTER_MAX 64u

static struct {
	struct pool *pool;
	struct acc_extras log_extra, db_extra, legs;
	int facility; /* -1: that of the core */
	unsigned filter[FILTER_MAX];
	unsigned n_filter;
	const struct rr_api *rr; /* detect_direction */
} g;

static const char text_answered[] = "ACC: transaction answered: ", text_missed[] = "ACC: call missed: ", text_ack[] = "ACC: request acknowledged: ",
		  text_request[] = "ACC: request accounted: ";

enum mark { MARK_ON = 1, MARK_UPSTREAM = 2 };

/* ---- flags ---- */

static bool is_set(uint32_t flags, int flag)
{
	return flag >= 0 && (flags & (1u << flag));
}

static uint32_t bit(int flag)
{
	return flag >= 0 ? 1u << flag : 0;
}

static bool is_filtered(int code)
{
	for (unsigned i = 0; i < g.n_filter; i++)
		if (g.filter[i] == (unsigned)code)
			return true;
	return false;
}

/* ---- records ---- */

/* What is the same for all records of a request. */
static struct acc_record record_of(struct ctx *ctx, bool upstream)
{
	const struct sip_addr *from = sip_msg_from(&ctx->msg), *to = sip_msg_to(&ctx->msg);
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);
	struct acc_record r = { .ctx = ctx, .callid = sip_msg_call_id(&ctx->msg), .when = clock_wall(), .since_s = ctx->rx.wall_s };

	if (cseq)
		r.method = cseq->name;
	if (from)
		r.from_tag = from->tag;
	if (to)
		r.to_tag = to->tag;
	if (upstream) {
		struct str tag = r.from_tag;

		r.from_tag = r.to_tag;
		r.to_tag = tag;
	}
	return r;
}

static struct str code_text(int code, char mem[8])
{
	int n = snprintf(mem, 8, "%03d", code);

	return str_of(mem, n > 0 && n < 8 ? (size_t)n : 0);
}

static struct str reason_of(const struct tm_seen *seen)
{
	const struct sip_hdr *hdr = acc_conf.reason_from_hf && seen->reply ? sip_msg_hdr(seen->reply, SIP_H_REASON) : NULL;

	if (hdr && hdr->value.n)
		return hdr->value;
	if (seen->is_ours)
		return str_lit(sip_reason((unsigned)seen->code));
	return seen->reason;
}

static void write_both(const struct acc_record *r, const char *text, bool log, bool db, enum acc_table table)
{
	if (log)
		acc_log_record(r, text, &g.log_extra, &g.legs, g.facility);
	if (db && acc_db_on())
		(void)acc_db_record(r, table); /* a drop is told in the log */
}

static void answered(const struct acc_record *r, const char *text, uint32_t flags)
{
	write_both(r, text, is_set(flags, acc_conf.log_flag), is_set(flags, acc_conf.db_flag), ACC_TABLE_ACC);
}

/* Returns the flags without those that it was about: the next branch is missed if the script says so again. */
static uint32_t missed(const struct acc_record *r, uint32_t flags)
{
	write_both(r, text_missed, is_set(flags, acc_conf.log_missed_flag), is_set(flags, acc_conf.db_missed_flag), ACC_TABLE_MISSED);
	return flags & ~(bit(acc_conf.log_missed_flag) | (acc_db_on() ? bit(acc_conf.db_missed_flag) : 0));
}

static bool is_missed_on(uint32_t flags)
{
	return is_set(flags, acc_conf.log_missed_flag) || is_set(flags, acc_conf.db_missed_flag);
}

static bool counts_as_answer(const struct tm_seen *seen)
{
	if (seen->code >= 300)
		return is_set(seen->flags, acc_conf.failed_transaction_flag) && !is_filtered(seen->code);
	return seen->code >= 200 || (acc_conf.early_media && seen->request->msg.method == SIP_M_INVITE);
}

/* ---- what core/tm tells ---- */

static uint8_t made(struct ctx *ctx)
{
	const struct sip_addr *to = sip_msg_to(&ctx->msg);
	uint8_t mark = MARK_ON;
	bool on = is_set(ctx->flags, acc_conf.log_flag) || is_set(ctx->flags, acc_conf.db_flag) || is_missed_on(ctx->flags) ||
		  is_set(ctx->flags, acc_conf.acc_prepare_flag) || acc_conf.acc_prepare_always;

	if (!on || (ctx->msg.method == SIP_M_CANCEL && !acc_conf.report_cancels))
		return 0;
	if (g.rr && to && to->tag.n && g.rr->is_upstream(ctx))
		mark |= MARK_UPSTREAM;
	return mark;
}

static uint32_t seen_reply(const struct tm_seen *seen, struct acc_record *r)
{
	uint32_t flags = seen->flags;

	if (seen->request->msg.method == SIP_M_INVITE && seen->code >= 300 && is_missed_on(flags))
		flags = missed(r, flags);
	if (counts_as_answer(seen))
		answered(r, text_answered, seen->flags);
	return flags;
}

static uint32_t seen(const struct tm_seen *s)
{
	char code[8];
	struct acc_record r = record_of(s->request, s->mark & MARK_UPSTREAM);

	r.code = code_text(s->code, code);
	r.reason = reason_of(s);
	r.since_s = s->since_s;
	r.again = s->again;
	if (s->mark & MARK_UPSTREAM)
		r.from_tag = s->to_tag;
	else
		r.to_tag = s->to_tag;
	switch (s->moment) {
	case TM_SEEN_REPLY:
		return seen_reply(s, &r);
	case TM_SEEN_FAILED:
		if (s->request->msg.method == SIP_M_INVITE && is_missed_on(s->flags))
			return missed(&r, s->flags);
		break;
	case TM_SEEN_ACK:
		if (acc_conf.report_ack)
			answered(&r, text_ack, s->flags);
		break;
	case TM_SEEN_CANCEL:
		answered(&r, text_answered, s->flags);
		break;
	}
	return s->flags;
}

static const struct tm_observer observer = { made, seen };

/* ---- functions ---- */

struct comment {
	struct str code, reason;
};

/* "404 Not Found": code and reason; without three digits in front all of it is the reason. */
static struct comment comment_split(struct str s)
{
	bool has_code = s.n >= 3;

	for (unsigned i = 0; has_code && i < 3; i++)
		has_code = s.s[i] >= '0' && s.s[i] <= '9';
	if (!has_code)
		return (struct comment){ STR_NULL, s };
	return (struct comment){ str_sub(s, 0, 3), str_trim(str_sub(s, 3, s.n)) };
}

static struct acc_record record_said(struct ctx *ctx, struct str comment, char tag[40])
{
	struct acc_record r = record_of(ctx, false);
	struct comment c = comment_split(comment);

	r.code = c.code;
	r.reason = c.reason;
	if (r.to_tag.n == 0 && ctx->msg.kind == SIP_REQUEST)
		r.to_tag = str_of(tag, out_totag(ctx, OUT_TAG_TM, tag)); /* that of an answer that we would give */
	return r;
}

static int request_db(struct ctx *ctx, const struct acc_record *r, struct str table)
{
	(void)ctx; /* in r */
	if (!acc_db_on()) {
		log_error("acc_db_request: db_url is not set");
		return -1;
	}
	if (table.n == 0 || table.n >= 64) {
		log_error("acc_db_request: a table's name has 1 to 63 bytes");
		return -1;
	}
	return acc_db_record_in(r, table) ? 1 : -1;
}

static int f_log(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	char tag[40];
	struct acc_record r = record_said(ctx, a[0].s, tag);

	(void)n; /* one */
	acc_log_record(&r, text_request, &g.log_extra, &g.legs, g.facility);
	return 1;
}

static int f_db(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	char tag[40];
	struct acc_record r = record_said(ctx, a[0].s, tag);

	(void)n; /* two */
	return request_db(ctx, &r, a[1].s);
}

static int f_both(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	char tag[40];
	struct acc_record r = record_said(ctx, a[0].s, tag);

	(void)n; /* two */
	acc_log_record(&r, text_request, &g.log_extra, &g.legs, g.facility);
	return acc_db_on() ? request_db(ctx, &r, a[1].s) : 1;
}

/* ---- start-up ---- */

static int filter_parse(struct str list)
{
	while (list.n) {
		ptrdiff_t comma = str_find_char(list, ',');
		struct str one = str_trim(comma < 0 ? list : str_sub(list, 0, (size_t)comma));
		uint32_t code;

		list = comma < 0 ? STR_NULL : str_sub(list, (size_t)comma + 1, list.n);
		if (num_u32(one, &code) < 0 || code < 300 || code > 699 || g.n_filter == FILTER_MAX) {
			log_error("acc: failed_filter: up to %u codes of 300 to 699 expected, separated by commas: \"%.*s\"", FILTER_MAX, STR_FMT(one));
			return -EINVAL;
		}
		g.filter[g.n_filter++] = code;
	}
	return 0;
}

static int refuse_cdr(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	(void)conf, (void)set, (void)s; /* a number */
	return i ? diag_set(reterr, 0, "call detail records need module dialog, which is not built yet") : 0;
}

static int init(void)
{
	int err;

	g.pool = pool_new(256 * 1024);
	if (!g.pool)
		return log_fail(-ENOMEM, "acc");
	g.facility = -1;
	if (acc_conf.log_facility.n) {
		g.facility = params_facility(acc_conf.log_facility);
		if (g.facility < 0)
			return log_fail(-EINVAL, "acc: log_facility '%.*s' is unknown", STR_FMT(acc_conf.log_facility));
	}
	err = filter_parse(acc_conf.failed_filter);
	if (err == 0)
		err = acc_extras_parse(g.pool, "log_extra", acc_conf.log_extra, (unsigned)acc_conf.acc_extra_size, false, &g.log_extra);
	if (err == 0)
		err = acc_extras_parse(g.pool, "db_extra", acc_conf.db_extra, (unsigned)acc_conf.acc_extra_size, false, &g.db_extra);
	if (err == 0)
		err = acc_extras_parse(g.pool, "multi_leg_info", acc_conf.multi_leg_info, (unsigned)acc_conf.acc_extra_size, true, &g.legs);
	if (err == 0)
		err = acc_db_init(g.pool, &g.db_extra, &g.legs);
	if (err < 0)
		return err;
	if (acc_conf.detect_direction) {
		g.rr = module_api_find("rr");
		if (!g.rr)
			return log_fail(-ENOENT, "acc: detect_direction needs module rr");
	}
	err = tm_observe(&observer);
	return err < 0 ? log_fail(err, "acc: transactions cannot be watched") : 0;
}

static int recover(unsigned slot)
{
	return acc_queue_recover(slot);
}

/* clang-format off */
#define FLAG(name_, field_) SETTING_INT(name_, struct acc_conf, field_, -1, -1, 31)
#define YES(name_, field_, def_) SETTING_INT(name_, struct acc_conf, field_, def_, 0, 1)
#define TEXT(name_, field_, def_) SETTING_STR(name_, struct acc_conf, field_, def_)
static const struct setting settings[] = {
	YES("early_media", early_media, 0), FLAG("failed_transaction_flag", failed_transaction_flag), TEXT("failed_filter", failed_filter, NULL),
	YES("report_ack", report_ack, 0), YES("report_cancels", report_cancels, 0), TEXT("multi_leg_info", multi_leg_info, NULL),
	YES("detect_direction", detect_direction, 0), FLAG("acc_prepare_flag", acc_prepare_flag), YES("acc_prepare_always", acc_prepare_always, 0),
	YES("reason_from_hf", reason_from_hf, 0), YES("acc_extra_nullable", acc_extra_nullable, 0), YES("clone_msg", clone_msg, 1),
	FLAG("log_flag", log_flag), FLAG("log_missed_flag", log_missed_flag),
	SETTING_INT("log_level", struct acc_conf, log_level, L_NOTICE, L_ALERT, 10), TEXT("log_facility", log_facility, NULL), TEXT("log_extra", log_extra, NULL),
	FLAG("db_flag", db_flag), FLAG("db_missed_flag", db_missed_flag), TEXT("db_extra", db_extra, NULL), TEXT("db_url", db_url, NULL),
	TEXT("db_table_acc", db_table_acc, "acc"), TEXT("db_table_missed_calls", db_table_missed_calls, "missed_calls"),
	YES("db_version_check", db_version_check, 1), SETTING_INT("db_insert_mode", struct acc_conf, db_insert_mode, 0, 0, 2),
	SETTING_INT("db_queue_max", struct acc_conf, db_queue_max, 100000, 1, 100000000),
	SETTING_INT("db_refused_tries", struct acc_conf, db_refused_tries, 10, 1, 1000000),
	TEXT("acc_method_column", col_method, "method"), TEXT("acc_from_tag_column", col_from_tag, "from_tag"), TEXT("acc_to_tag_column", col_to_tag, "to_tag"),
	TEXT("acc_callid_column", col_callid, "callid"), TEXT("acc_sip_code_column", col_code, "sip_code"), TEXT("acc_sip_reason_column", col_reason, "sip_reason"),
	TEXT("acc_time_column", col_time, "time"), SETTING_INT("time_mode", struct acc_conf, time_mode, 0, 0, 4), TEXT("time_attr", time_attr, "time_attr"),
	TEXT("time_exten", time_exten, "time_exten"), TEXT("time_format", time_format, "%Y-%m-%d %H:%M:%S"),
	SETTING_INT("acc_extra_size", struct acc_conf, acc_extra_size, (int)ACC_EXTRAS_MAX, 1, (int)ACC_EXTRAS_MAX),
	/* Read only with cdr_enable. */
	SETTING_FN_INT("cdr_enable", refuse_cdr), TEXT("cdr_skip", cdr_skip, NULL), YES("cdr_log_enable", cdr_log_enable, 1),
	YES("cdr_start_on_confirmed", cdr_start_on_confirmed, 0), TEXT("cdr_facility", cdr_facility, NULL), TEXT("cdr_extra", cdr_extra, NULL),
	YES("cdr_extra_nullable", cdr_extra_nullable, 0), TEXT("cdr_start_id", cdr_start_id, "start_time"), TEXT("cdr_end_id", cdr_end_id, "end_time"),
	TEXT("cdr_duration_id", cdr_duration_id, "duration"), SETTING_INT("cdr_duration_mode", struct acc_conf, cdr_duration_mode, 1, 0, 2),
	YES("cdr_expired_dlg_enable", cdr_expired_dlg_enable, 0), YES("cdr_on_failed", cdr_on_failed, 1), TEXT("cdrs_table", cdrs_table, NULL),
	SETTING_INT("cdr_extra_size", struct acc_conf, cdr_extra_size, 64, 1, 1024),
	SETTING_END,
};
static const struct script_func funcs[] = {
	{ .name = "acc_log_request", .fn = f_log,  .n_params = 1, .param = { SP_DSTR },          .kinds = CTX_ANY },
	{ .name = "acc_db_request",  .fn = f_db,   .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = "acc_request",     .fn = f_both, .n_params = 2, .param = { SP_DSTR, SP_DSTR }, .kinds = CTX_ANY },
	{ .name = NULL },
};
/* clang-format on */

static const char *const requires[] = { "tm", NULL };

extern const struct module module_acc;
const struct module module_acc = {
	.abi = MODULE_ABI,
	.name = "acc",
	.requires = requires,
	.settings = settings,
	.conf = &acc_conf,
	.funcs = funcs,
	.init = init,
	.done = acc_queue_done,
	.recover = recover,
};
