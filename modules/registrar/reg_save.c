/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * save(): a REGISTER becomes changes of one AoR (RFC 3261, 10.3; RFC 3327; RFC 5626 for instance and reg-id). First everything
 * is read from the message, then usrloc is asked to do all changes or none, then the answer lists what is registered now.
 * Where the database must have it first (db_mode 1 and 3), the script waits; without an answer in time the client gets 503
 * and a Retry-After, and registers again.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/base/rng.h"
#include "core/base/scan.h"
#include "core/base/strbuf.h"
#include "modules/registrar/reg_priv.h"
#include "shm/counter.h"

#define EXPIRES_LIMIT 315360000u /* ten years: nobody means more */
#define DB_COLUMN_MAX 512u
#define CALLID_MAX 255u
#define INSTANCE_MAX 255u
#define XAVPS_MAX 8192u

struct save_run {
	struct ul_domain *domain;
	unsigned flags;
	struct str aor;
	struct ul_save save;
	struct reg_reply reply;
	bool star, query;
	struct ul_change changes[UL_CHANGES_MAX]; /* kept at the end: large, and only cleared as far as it is used */
};

/* ---- reading the message ---- */

static int parse_q(struct str s, int16_t *ret_q)
{
	unsigned v = 0, scale = 1000;

	size_t point = s.n && s.s[0] == '.' ? 0 : 1; /* ".5" is common */

	if (s.n <= 1 - point || (point && (s.s[0] < '0' || s.s[0] > '1')))
		return -EBADMSG;
	v = point ? (unsigned)(s.s[0] - '0') * 1000 : 0;
	if (s.n > point && s.s[point] != '.')
		return -EBADMSG;
	for (size_t i = point + 1; i < s.n; i++) {
		if (s.s[i] < '0' || s.s[i] > '9')
			return -EBADMSG;
		scale /= 10;
		v += (unsigned)(s.s[i] - '0') * scale;
	}
	if (v > 1000)
		return -EBADMSG;
	*ret_q = (int16_t)v;
	return 0;
}

/* An element that is no token counts for nothing. */
static uint32_t method_bits(struct str list)
{
	const char *p = list.s, *end = p + list.n, *name;
	uint32_t bits = 0;

	while (p) {
		while (p < end && (*p == ',' || char_is(*p, CHARS_LWS)))
			p++;
		if (p == end)
			break;
		for (name = p; p < end && char_is(*p, CHARS_TOKEN); p++)
			;
		if (p == end || *p == ',' || char_is(*p, CHARS_LWS))
			bits |= (uint32_t)sip_method_lookup(str_of(name, (size_t)(p - name)));
		else
			p = memchr(p, ',', (size_t)(end - p));
	}
	return bits & ~(uint32_t)SIP_M_OTHER;
}

static uint32_t allow_bits(const struct sip_msg *msg)
{
	const struct sip_hdr *h = sip_msg_hdr(msg, SIP_H_ALLOW);
	uint32_t bits = 0;

	if (!h)
		return UL_METHODS_ALL;
	for (; h; h = sip_msg_hdr_next(msg, h))
		bits |= method_bits(h->value);
	return bits;
}

static uint32_t less_random(uint32_t v, int percent)
{
	uint32_t range = percent > 0 ? (uint32_t)((uint64_t)v * (unsigned)percent / 100) : 0;

	return range ? v - rng_below(range + 1) : v;
}

/* What the parameters of a Contact say to us; of equal names the first counts. */
struct contact_params {
	struct sip_param expires, q, methods, received, instance, reg_id; /* name.n 0: not there */
};

static void read_params(struct str list, struct contact_params *ret)
{
	struct sip_param p;

	ret->expires.name.n = ret->q.name.n = ret->methods.name.n = 0;
	ret->received.name.n = ret->instance.name.n = ret->reg_id.name.n = 0;
	while (sip_param_next(&list, &p) > 0) {
		struct sip_param *to = NULL;

		switch (p.name.n) {
		case 1:
			to = str_ieq(p.name, STR_LIT("q")) ? &ret->q : NULL;
			break;
		case 6:
			to = str_ieq(p.name, STR_LIT("reg-id")) ? &ret->reg_id : NULL;
			break;
		case 7:
			to = str_ieq(p.name, STR_LIT("expires")) ? &ret->expires : str_ieq(p.name, STR_LIT("methods")) ? &ret->methods : NULL;
			break;
		case 8:
			to = str_ieq(p.name, STR_LIT("received")) ? &ret->received : NULL;
			break;
		case 13:
			to = str_ieq(p.name, STR_LIT("+sip.instance")) ? &ret->instance : NULL;
			break;
		default:
			break;
		}
		if (to && to->name.n == 0)
			*to = p;
	}
}

/* Seconds that the contact asked for, with our limits; 0: remove. What is no number counts as not given (RFC 3261, 10.2.1.1). */
static enum reg_error contact_expires(struct ctx *ctx, struct save_run *run, const struct sip_param *param, uint32_t *ret_s)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_EXPIRES);
	struct str text = param->name.n ? param->value : h ? h->value : STR_NULL;
	bool random = !(run->flags & REG_NO_RANDOM);
	int range = reg_conf.expires_range;
	uint32_t v = 0;
	int64_t cfg;

	if (h && h->value.n == 0)
		return REG_E_EXPIRES;
	if (reg_cfg_int(ctx, "expires", &cfg) && cfg >= 0) {
		v = cfg > (int64_t)EXPIRES_LIMIT ? EXPIRES_LIMIT : (uint32_t)cfg;
	} else if (num_u32(text, &v) < 0) {
		v = (uint32_t)reg_conf.default_expires;
		range = reg_conf.default_expires_range;
	}
	if (v == 0) {
		*ret_s = 0;
		return REG_OK;
	}
	if (v < (uint32_t)reg_conf.min_expires) {
		if (reg_conf.min_expires_mode)
			return REG_E_INTERVAL;
		v = (uint32_t)reg_conf.min_expires;
	}
	if (random)
		v = less_random(v, range);
	if (reg_conf.max_expires && v > (uint32_t)reg_conf.max_expires)
		v = (uint32_t)reg_conf.max_expires;
	*ret_s = v > EXPIRES_LIMIT ? EXPIRES_LIMIT : v ? v : 1;
	return REG_OK;
}

/* Path: all values, in order (RFC 3327, 5.3). */
static enum reg_error read_path(struct ctx *ctx, struct ul_contact *base, struct reg_reply *reply)
{
	struct sip_msg *msg = &ctx->msg;
	bool supported;
	struct strbuf sb;
	struct sip_addr first;
	struct sip_uri uri;
	struct sip_param param;
	char *mem;
	int n;

	if (!reg_conf.use_path || !sip_msg_hdr(msg, SIP_H_PATH))
		return REG_OK;
	supported = reg_list_has(msg, SIP_H_SUPPORTED, STR_LIT("path"));
	if (reg_conf.path_mode == 2 && !supported)
		return REG_E_PATH_UNSUP;
	strbuf_init_pool(&sb, ctx->pool, DB_COLUMN_MAX);
	for (const struct sip_hdr *h = sip_msg_hdr(msg, SIP_H_PATH); h; h = sip_msg_hdr_next(msg, h)) {
		if (sb.n)
			strbuf_add_char(&sb, ',');
		strbuf_add(&sb, h->value);
	}
	if (strbuf_err(&sb) < 0)
		return REG_E_PATH;
	base->path = strbuf_str(&sb);
	base->flags |= UL_F_PATH;
	if (reg_conf.path_mode == 2 || (reg_conf.path_mode == 1 && supported))
		reply->path = base->path;
	struct str rest = base->path;
	if (sip_addr_next(&rest, &first, NULL) != 1 || sip_uri_parse(first.uri, &uri, NULL) < 0 || !uri.has_lr)
		return REG_E_PATH; /* RFC 3327, 5.1: a loose router */
	if (!reg_conf.path_use_received || !sip_param_find(uri.params, STR_LIT("received"), &param))
		return REG_OK;
	mem = pool_alloc(ctx->pool, param.value.n + 1);
	n = mem ? sip_unescape(param.value, mem) : -ENOMEM;
	if (n < 0 || n > 128)
		return REG_E_PATH;
	base->received = str_of(mem, (size_t)n);
	if (reg_has_ctl(base->received) || str_find_char(base->received, '\0') >= 0 || str_find_char(base->received, '"') >= 0 || str_find_char(base->received, '\\') >= 0)
		return REG_E_PATH; /* the answer gives it back in quotes */
	if (reg.ul->nat_bflag() >= 0)
		base->cflags |= (uint32_t)1 << reg.ul->nat_bflag();
	return REG_OK;
}

/* The client speaks RFC 5626. */
static bool knows_outbound(const struct sip_msg *msg)
{
	return reg_list_has(msg, SIP_H_REQUIRE, STR_LIT("outbound")) || reg_list_has(msg, SIP_H_SUPPORTED, STR_LIT("outbound"));
}

/* RFC 5626: does each side want what the other has? */
static enum reg_error check_outbound(struct ctx *ctx, struct save_run *run)
{
	if (reg_conf.outbound_mode == REG_OB_OFF)
		return reg_list_has(&ctx->msg, SIP_H_REQUIRE, STR_LIT("outbound")) ? REG_E_OB_SERVER : REG_OK;
	run->reply.outbound = knows_outbound(&ctx->msg);
	return run->reply.outbound || reg_conf.outbound_mode != REG_OB_REQUIRED ? REG_OK : REG_E_OB_CLIENT;
}

/* A flow through a proxy is only one when that proxy keeps it: it says so by `ob` in the first Path (RFC 5626, 6). */
static bool edge_keeps_flow(struct ctx *ctx)
{
	struct sip_addr_iter it = { 0 };
	struct sip_addr path;
	struct sip_param ob;
	struct sip_uri uri;

	if (!sip_msg_via2(&ctx->msg))
		return true; /* no proxy between */
	return sip_msg_addr_next(&ctx->msg, SIP_H_PATH, &it, &path) == 1 && sip_uri_parse(path.uri, &uri, NULL) == 0 &&
	       sip_param_find(uri.params, STR_LIT("ob"), &ob);
}

/* XAVPs named xavp_contact go with the contact. */
static struct str pack_xavps(struct ctx *ctx)
{
	struct str name = reg.ul->xavp_contact();
	struct avp_set set = { 0 };
	struct avp *one, copy;
	struct strbuf sb;

	one = name.n ? avp_find(ctx->avps.head[AVP_XAVP], name, 0, false) : NULL;
	if (!one)
		return STR_NULL;
	copy = *one;
	copy.next = NULL;
	set.head[AVP_XAVP] = &copy;
	strbuf_init_pool(&sb, ctx->pool, XAVPS_MAX);
	if (avp_set_pack(&set, &sb) < 0 || strbuf_err(&sb) < 0)
		return STR_NULL;
	return strbuf_str(&sb);
}

static uint16_t save_listener(struct ctx *ctx)
{
	const struct net_listener *l = NULL;
	const struct sip_hdr *h;
	struct str text;

	if (reg_cfg_str(ctx, "socket", &text))
		l = net_listener_find(text);
	else if (reg_conf.sock_flag >= 0 && ctx->flags >> reg_conf.sock_flag & 1 && reg_conf.sock_hdr_name.n &&
		 (h = sip_msg_hdr_named(&ctx->msg, reg_conf.sock_hdr_name, 0)))
		l = net_listener_find(h->value);
	return l ? l->index : ctx->rx.listener;
}

/* What all contacts of the message have in common. */
static enum reg_error read_common(struct ctx *ctx, struct save_run *run, struct ul_contact *base)
{
	struct sip_msg *msg = &ctx->msg;
	const struct sip_cseq *cseq = sip_msg_cseq(msg);
	const struct sip_hdr *ua = sip_msg_hdr(msg, SIP_H_USER_AGENT);
	struct value v;
	int64_t n;

	base->callid = sip_msg_call_id(msg);
	if (base->callid.n == 0)
		return REG_E_CALLID;
	if (base->callid.n > CALLID_MAX)
		return REG_E_CALLID_LONG;
	if (!cseq)
		return REG_E_NO_CSEQ;
	base->cseq = cseq->number;
	base->user_agent = ua && ua->value.n ? ua->value : STR_LIT("n/a");
	base->methods = allow_bits(msg);
	base->cflags = ctx->main.bflags;
	base->q = UL_Q_UNSET;
	base->listener = save_listener(ctx);
	base->conn_id = ctx->rx.conn_id;
	if (reg_cfg_int(ctx, "tcpconn_id", &n) && n > 0 && n <= UINT32_MAX)
		base->conn_id = (uint32_t)n;
	base->xavps = pack_xavps(ctx);
	if (reg.received_avp && pv_get(ctx, reg.received_avp, &v) == 0 && v.kind == VALUE_STR)
		base->received = v.s;
	if (base->received.n > DB_COLUMN_MAX)
		return REG_E_TOO_LONG;
	return read_path(ctx, base, &run->reply);
}

static enum reg_error read_contact(struct ctx *ctx, struct save_run *run, const struct ul_contact *base, const struct sip_addr *addr)
{
	struct ul_change *ch = &run->changes[run->save.n_changes];
	struct sip_uri uri;
	struct contact_params p;
	enum reg_error err;
	uint32_t s, reg_id;
	int64_t q;

	if (addr->uri.n > (size_t)reg_conf.contact_max_size)
		return REG_E_TOO_LONG;
	if (sip_uri_parse(addr->uri, &uri, NULL) < 0)
		return REG_E_CONTACT;
	*ch = (struct ul_change){ .c = *base };
	ch->c.uri = addr->uri;
	read_params(addr->params, &p);
	err = contact_expires(ctx, run, &p.expires, &s);
	if (err)
		return err;
	ch->remove = s == 0;
	ch->c.expires = s ? clock_wall_s() + s : 0;
	if (reg_cfg_int(ctx, "q", &q) && q >= 0 && q <= 1000) {
		ch->c.q = (int16_t)q;
	} else if (p.q.name.n) {
		if (parse_q(p.q.value, &ch->c.q) < 0)
			return REG_E_Q;
	} else {
		ch->c.q = (int16_t)reg_conf.default_q;
	}
	if (p.methods.name.n && p.methods.value.n)
		ch->c.methods = method_bits(p.methods.value);
	if (p.received.name.n && p.received.value.n) {
		if (p.received.value.n > DB_COLUMN_MAX)
			return REG_E_TOO_LONG;
		ch->c.received = p.received.value;
	}
	if (p.instance.name.n && p.instance.value.n) {
		if (p.instance.value.n > INSTANCE_MAX)
			return REG_E_TOO_LONG;
		ch->c.instance = p.instance.value;
		if (p.reg_id.name.n) {
			if (num_u32(p.reg_id.value, &reg_id) < 0 || reg_id == 0 || reg_id > INT32_MAX)
				return REG_E_REG_ID;
			if (reg_conf.regid_mode || knows_outbound(&ctx->msg))
				ch->c.reg_id = reg_id;
			if (run->reply.outbound && !edge_keeps_flow(ctx))
				return REG_E_OB_EDGE;
		}
	}
	run->save.n_changes++;
	return REG_OK;
}

static enum reg_error star_check(struct ctx *ctx)
{
	const struct sip_hdr *h = sip_msg_hdr(&ctx->msg, SIP_H_EXPIRES);
	uint32_t v;

	return h && num_u32(h->value, &v) == 0 && v == 0 ? REG_OK : REG_E_STAR_EXPIRES;
}

static enum reg_error read_message(struct ctx *ctx, struct save_run *run, struct str uri)
{
	const struct sip_addr *to = sip_msg_to(&ctx->msg);
	struct ul_contact base = { 0 };
	struct sip_addr_iter it = { 0 };
	struct sip_addr addr;
	enum reg_error err = REG_OK;
	unsigned n = 0;
	int more;

	if (!to)
		return REG_E_TO;
	if (uri.n == 0)
		uri = to->uri;
	if (reg_aor(ctx, uri, &run->aor, &err) < 0)
		return err;
	run->reply.aor = run->aor;
	run->reply.aor_uri = uri;
	err = check_outbound(ctx, run);
	if (err == REG_OK)
		err = read_common(ctx, run, &base);
	if (err)
		return err;
	while ((more = sip_msg_addr_next(&ctx->msg, SIP_H_CONTACT, &it, &addr)) == 1) {
		n++;
		if (addr.star) {
			run->star = true;
			continue;
		}
		if (run->star)
			break;
		if (run->save.n_changes == UL_CHANGES_MAX)
			return REG_E_TOO_MANY;
		err = read_contact(ctx, run, &base, &addr);
		if (err)
			return err;
	}
	if (more < 0)
		return REG_E_CONTACT;
	if (run->star)
		return n > 1 ? REG_E_STAR_COUNT : star_check(ctx);
	run->query = n == 0;
	return run->query && sip_msg_hdr(&ctx->msg, SIP_H_CONTACT) ? REG_E_CONTACT : REG_OK;
}

/* ---- changing and answering ---- */

/* What the last contact that changed anything did. */
static int outcome_code(const struct save_run *run)
{
	if (run->star)
		return 3;
	if (run->query)
		return 4;
	for (unsigned i = run->save.n_changes; i > 0; i--) {
		switch (run->changes[i - 1].outcome) {
		case UL_O_UPDATED:
			return 2;
		case UL_O_REMOVED:
			return 3;
		case UL_O_INSERTED:
		case UL_O_RETRANSMIT:
			return 1;
		case UL_O_NOTHING: /* one to be removed that was not there */
			break;
		}
	}
	return 1;
}

static void hold_reply(struct ctx *ctx, enum reg_error error, struct str fields)
{
	struct reg_state *st = reg_state(ctx);

	if (!st)
		return;
	st->held = true;
	st->held_error = error;
	st->held_fields = fields;
}

static int save_fail(struct ctx *ctx, struct save_run *run, enum reg_error error)
{
	struct str fields;

	shm_counter_add(reg.c_rejected, 1);
	run->reply.error = error;
	run->reply.min_expires = (unsigned)reg_conf.min_expires;
	if (reg_reply_fields(ctx, &run->reply, NULL, &fields) == 0) {
		if (run->flags & REG_NO_REPLY)
			hold_reply(ctx, error, fields);
		else if (ctx->kind == CTX_REQUEST)
			reg_reply_send(ctx, error, fields);
	}
	return error == REG_E_TOO_MANY ? -2 : -1;
}

static int save_done(struct ctx *ctx, struct save_run *run)
{
	struct str fields;
	int rc = outcome_code(run);

	shm_counter_add(reg.c_accepted, 1);
	if (!(ctx->kind & (CTX_REQUEST | CTX_FAILURE)))
		return rc;
	if (reg_reply_fields(ctx, &run->reply, &run->save.ret_list, &fields) < 0)
		return save_fail(ctx, run, REG_E_USRLOC);
	if (run->flags & REG_NO_REPLY) {
		bool prepared = run->flags & REG_PREPARE;

		hold_reply(ctx, REG_OK, prepared ? STR_NULL : fields);
		return prepared && route_reply_add(ctx, fields) < 0 ? -1 : rc;
	}
	return reg_reply_send(ctx, REG_OK, fields) < 0 ? -1 : rc;
}

static enum reg_error save_error(int err)
{
	switch (err) {
	case -ESTALE:
		return REG_E_CSEQ;
	case -E2BIG:
		return REG_E_TOO_MANY;
	case -EMSGSIZE:
		return REG_E_AOR_LONG;
	default:
		return REG_E_USRLOC;
	}
}

static void db_done(void *arg, int err)
{
	uint64_t ticket = (uint64_t)(uintptr_t)arg;
	struct ctx *ctx = ctx_of_ticket(ticket);
	struct reg_state *st = ctx ? reg_state(ctx) : NULL;

	if (!st)
		return;
	if (err < 0 && reg.ul->db_mode() == 1) {
		const struct save_run *run = st->run;

		reg.ul->undo(run->domain, run->aor, &run->save); /* the client is told that it is not registered */
	}
	ctx_wake(ticket, err < 0 ? save_fail(ctx, st->run, REG_E_DB) : save_done(ctx, st->run));
}

/* Parks until the database has it. */
static int save_wait(struct ctx *ctx, struct save_run *run, const struct ul_list *fetched)
{
	unsigned deadline = (unsigned)reg_conf.db_deadline_ms;
	struct reg_state *st = reg_state(ctx);
	uint64_t ticket;
	int err;

	if (!st)
		return save_fail(ctx, run, REG_E_USRLOC);
	if (fetched) {
		err = reg.ul->plan_db(run->domain, run->aor, fetched, &run->save);
		if (err < 0)
			return save_fail(ctx, run, save_error(err));
	}
	st->run = run;
	/* behind a fetch the wait goes on under the same ticket */
	ticket = ctx->parked ? (uint64_t)ctx->gen << 32 | ctx->id : ctx_park(ctx, deadline + 1000, -1);
	if (!ticket) { /* no memory to wait with */
		if (!fetched)
			reg.ul->undo(run->domain, run->aor, &run->save);
		return save_fail(ctx, run, REG_E_USRLOC);
	}
	if (fetched)
		reg.ul->save_db(run->domain, run->aor, &run->save, deadline, db_done, (void *)(uintptr_t)ticket);
	else
		reg.ul->sync(run->domain, run->aor, deadline, db_done, (void *)(uintptr_t)ticket);
	return SCRIPT_SUSPEND;
}

/* db_mode 3: the database said what is registered. */
static int save_fetched(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	struct save_run *run = arg;

	if (err < 0 && err != -ENOENT)
		return save_fail(ctx, run, REG_E_DB);
	if (run->query) {
		run->save.ret_list = *list;
		return save_done(ctx, run);
	}
	return save_wait(ctx, run, list);
}

static int save_query(struct ctx *ctx, struct save_run *run)
{
	int err = reg.ul->get(run->domain, run->aor, reg_which(), ctx->pool, &run->save.ret_list);

	if (err < 0 && err != -ENOENT)
		return save_fail(ctx, run, REG_E_USRLOC);
	return save_done(ctx, run);
}

static int save_now(struct ctx *ctx, struct save_run *run)
{
	int err;

	if (run->query)
		return save_query(ctx, run);
	run->save.keep_before = reg.ul->db_mode() == 1 && !(run->flags & REG_MEM_ONLY);
	err = reg.ul->save(run->domain, run->aor, &run->save);
	if (err < 0)
		return save_fail(ctx, run, save_error(err));
	if (reg.ul->db_mode() == 1 && run->save.ret_wants_db && !(run->flags & REG_MEM_ONLY))
		return save_wait(ctx, run, NULL);
	return save_done(ctx, run);
}

/* The tables are being loaded: the AoR was brought in. */
static int save_brought(struct ctx *ctx, void *arg, int err, const struct ul_list *list)
{
	struct save_run *run = arg;

	(void)list;
	return err < 0 && err != -ENOENT ? save_fail(ctx, run, REG_E_DB) : save_now(ctx, run);
}

int reg_fn_save(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct save_run *run = pool_alloc(ctx->pool, sizeof(*run));
	enum reg_error error;
	int64_t v;

	if (!run)
		return -1;
	memset(run, 0, offsetof(struct save_run, changes));
	run->domain = args[0].p;
	run->flags = n > 1 ? (unsigned)(uintptr_t)args[1].p : 0;
	error = read_message(ctx, run, n > 2 ? args[2].s : STR_NULL);
	if (error)
		return save_fail(ctx, run, error);
	run->save.changes = run->changes;
	run->save.pool = ctx->pool;
	run->save.matching_mode = -1;
	run->save.max_contacts = (unsigned)reg_conf.max_contacts;
	if (reg_cfg_int(ctx, "max_contacts", &v) && v >= 0)
		run->save.max_contacts = (unsigned)v;
	if (reg_cfg_int(ctx, "match_callid", &v) && v)
		run->save.matching_mode = 1;
	if (reg_cfg_int(ctx, "match_received", &v) && v)
		run->save.match_received = true;
	run->save.flags = (run->flags & REG_ONE ? UL_SAVE_ONE : 0) | (run->star ? UL_SAVE_REMOVE_ALL : 0) |
			  (run->flags & REG_MEM_ONLY ? UL_SAVE_MEM_ONLY : 0);
	if (reg.ul->db_mode() == 3)
		return reg_contacts(ctx, run->domain, run->aor, save_fetched, run);
	if (reg.ul->loading(run->domain))
		return reg_contacts(ctx, run->domain, run->aor, save_brought, run);
	return save_now(ctx, run);
}

int reg_fn_send_reply(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct reg_state *st = reg_state(ctx);

	(void)args, (void)n; /* takes none */
	if (!st || !st->held)
		return -1;
	st->held = false;
	return reg_reply_send(ctx, st->held_error, st->held_fields) < 0 ? -1 : 1;
}
