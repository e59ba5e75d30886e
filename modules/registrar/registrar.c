/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module registrar: parameters, what its functions have in common, and the table of what a script can call. REGISTER is in
 * reg_save.c and reg_reply.c, the other direction in reg_lookup.c, contacts as variables in reg_ulc.c.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/pv/stat.h"
#include "core/base/num.h"
#include "modules/registrar/reg_priv.h"
#include "shm/counter.h"

#define AOR_MAX 512u

struct reg_conf reg_conf;
struct reg_shared reg = { .modstate = -1 };

/* ---- parameters ---- */

#define INT(name, def, min, max) SETTING_INT(#name, struct reg_conf, name, def, min, max)
#define STR(name, def) SETTING_STR(#name, struct reg_conf, name, def)
/* A reload changes these. */
#define LIVE_INT(name, def, min, max) SETTING_LIVE_INT(#name, struct reg_conf, name, def, min, max)
#define LIVE_STR(name, def) SETTING_LIVE_STR(#name, struct reg_conf, name, def)
/* clang-format off */
static const struct setting settings[] = {
	LIVE_INT(default_expires,       3600, 0, INT_MAX),
	LIVE_INT(min_expires,           60,   0, INT_MAX),
	LIVE_INT(min_expires_mode,      0,    0, 1),
	LIVE_INT(max_expires,           0,    0, INT_MAX),
	LIVE_INT(default_expires_range, 0,    0, 100),
	LIVE_INT(expires_range,         0,    0, 100),
	LIVE_INT(default_q,             -1,   -1, 1000),
	LIVE_INT(append_branches,       1,    0, 1),
	INT(case_sensitive,        0,    0, 1),
	LIVE_STR(realm_prefix,          NULL),
	STR(received_avp,          NULL),
	LIVE_STR(received_param,        "received"),
	LIVE_INT(max_contacts,          0,    0, INT_MAX),
	LIVE_INT(retry_after,           0,    0, INT_MAX),
	INT(sock_flag,             -1,   -1, 31),
	LIVE_STR(sock_hdr_name,         NULL),
	INT(sock_mode,             0,    0, 1),
	LIVE_INT(method_filtering,      0,    0, 1),
	LIVE_INT(use_path,              0,    0, 1),
	LIVE_INT(path_mode,             2,    0, 2),
	LIVE_INT(path_use_received,     0,    0, 1),
	LIVE_INT(path_check_local,      0,    0, 1),
	LIVE_STR(xavp_cfg,              NULL),
	LIVE_STR(xavp_rcd,              NULL),
	INT(xavp_rcd_mask,         0,    0, INT_MAX),
	LIVE_INT(gruu_enabled,          1,    0, 1),
	INT(outbound_mode,         REG_OB_OFF, REG_OB_OFF, REG_OB_REQUIRED),
	INT(flow_timer,            0,    0, 999),
	LIVE_INT(regid_mode,            0,    0, 1),
	LIVE_INT(contact_max_size,      512,  1, 2048),
	LIVE_INT(lookup_filter_mode,    0,    0, 3),
	LIVE_INT(use_expired_contacts,  0,    0, 1),
	INT(db_deadline_ms,        4000, 1, 600000),
	SETTING_KEMI("event_callback", "usrloc:contact-expired"),
	SETTING_END
};
static const struct cfg_live live[] = {
	{ "realm_pref",            "realm_prefix", "a domain beginning so loses it before the AoR is made", 0 },
	{ "default_expires",       NULL, "life of a contact that asks for none, s", 0 },
	{ "default_expires_range", NULL, "default_expires varies by so many percent", 0 },
	{ "expires_range",         NULL, "the life asked for varies by so many percent", 0 },
	{ "min_expires",           NULL, "shortest life, s; 0: any", 0 },
	{ "max_expires",           NULL, "longest life, s; 0: any", 0 },
	{ "max_contacts",          NULL, "contacts of one AoR; 0: any number", 0 },
	{ "retry_after",           NULL, "Retry-After of 5xx replies, s; 0: none", 0 },
	{ "case_sensitive",        NULL, "1: AoRs differ by case", 0 },
	{ "default_q",             NULL, "q of a contact without one, thousandths; -1: none", 0 },
	{ "append_branches",       NULL, "1: lookup() makes a branch of each contact", 0 },
	{ "use_expired_contacts",  NULL, "1: contacts that have expired and are still there count", 0 },
	{ .name = NULL },
};
/* clang-format on */

/* ---- what the functions have in common ---- */

struct reg_state *reg_state(struct ctx *ctx)
{
	struct reg_state *st = ctx->modstate[reg.modstate];

	if (!st) {
		st = pool_zalloc(ctx->pool, sizeof(*st));
		ctx->modstate[reg.modstate] = st;
	}
	return st;
}

bool reg_has_ctl(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.s[i] > 0 && s.s[i] < 32) || s.s[i] == 127)
			return true;
	return false;
}

int reg_aor(struct ctx *ctx, struct str text, struct str *ret_aor, enum reg_error *reterr)
{
	bool use_domain = reg.ul->use_domain();
	struct sip_uri uri;
	struct str host;
	size_t n_user = 0;
	char *mem;
	int n;

	if (sip_uri_parse(text, &uri, NULL) < 0 || uri.scheme == SIP_URI_OTHER) {
		*reterr = REG_E_AOR;
		return -EBADMSG;
	}
	host = uri.host;
	if (reg_conf.realm_prefix.n && str_istarts(host, reg_conf.realm_prefix))
		host = str_sub(host, reg_conf.realm_prefix.n, host.n);
	if (uri.user.n + host.n + 1 > AOR_MAX || uri.user.n + host.n == 0) {
		*reterr = uri.user.n + host.n ? REG_E_AOR_LONG : REG_E_AOR;
		return -EMSGSIZE;
	}
	mem = pool_alloc(ctx->pool, uri.user.n + host.n + 2);
	if (!mem) {
		*reterr = REG_E_USRLOC;
		return -ENOMEM;
	}
	if (uri.user.n) {
		n = sip_unescape(uri.user, mem);
		if (n <= 0 || reg_has_ctl(str_of(mem, (size_t)n))) {
			*reterr = REG_E_UNESCAPE;
			return -EBADMSG;
		}
		n_user = (size_t)n;
		if (!reg_conf.case_sensitive)
			str_lower(str_of(mem, n_user), mem);
	}
	if (n_user == 0 || (use_domain && host.n)) {
		if (n_user)
			mem[n_user++] = '@';
		str_lower(host, mem + n_user);
		n_user += host.n;
	}
	*ret_aor = str_of(mem, n_user);
	return 0;
}

static const struct avp *cfg_field(struct ctx *ctx, const char *field)
{
	const struct avp *root = reg_conf.xavp_cfg.n ? avp_find(ctx->avps.head[AVP_XAVP], reg_conf.xavp_cfg, 0, false) : NULL;

	return root ? avp_find(root->fields, str_lit(field), 0, false) : NULL;
}

bool reg_cfg_int(struct ctx *ctx, const char *field, int64_t *ret)
{
	const struct avp *a = cfg_field(ctx, field);

	return a && a->value.kind != VALUE_NULL && value_to_int(&a->value, ret) == 0;
}

bool reg_cfg_str(struct ctx *ctx, const char *field, struct str *ret)
{
	const struct avp *a = cfg_field(ctx, field);

	if (!a || a->value.kind != VALUE_STR || a->value.s.n == 0)
		return false;
	*ret = a->value.s;
	return true;
}

bool reg_list_has(const struct sip_msg *msg, enum sip_header id, struct str token)
{
	for (const struct sip_hdr *h = sip_msg_hdr(msg, id); h; h = sip_msg_hdr_next(msg, h)) {
		struct str rest = h->value, item;

		while (sip_list_next(&rest, &item) == 1)
			if (str_ieq(str_trim(item), token))
				return true;
	}
	return false;
}

enum ul_which reg_which(void)
{
	return reg_conf.use_expired_contacts ? UL_LAPSED_TOO : UL_VALID;
}

struct fetch {
	reg_list_fn *fn;
	void *run;
	struct ul_domain *d;
	struct str aor;
	struct str *ret_aor; /* NULL: known */
};

/* The context that waits under this ticket, and what for; NULL: it waits no more. */
static struct ctx *fetch_of(void *arg, struct fetch **ret)
{
	struct ctx *ctx = ctx_of_ticket((uint64_t)(uintptr_t)arg);
	struct reg_state *st = ctx ? reg_state(ctx) : NULL;

	if (!st)
		return NULL;
	*ret = st->run;
	return ctx;
}

/* SCRIPT_SUSPEND: there is more to wait for, under the same ticket. */
static void fetch_end(void *ticket, int rc)
{
	if (rc != SCRIPT_SUSPEND)
		ctx_wake((uint64_t)(uintptr_t)ticket, rc);
}

static void fetched(void *arg, int err, const struct ul_list *list)
{
	struct ul_list none = { 0 }, copy;
	struct fetch *f;
	struct ctx *ctx = fetch_of(arg, &f);

	if (!ctx)
		return;
	if (reg_list_dup(ctx->pool, list ? list : &none, &copy) < 0) {
		err = -ENOMEM;
		copy = none;
	}
	fetch_end(arg, f->fn(ctx, f->run, err, &copy));
}

/* It is in memory now, if the database has it. */
static void brought(void *arg, int err)
{
	struct ul_list list = { 0 };
	struct fetch *f;
	struct ctx *ctx = fetch_of(arg, &f);

	if (!ctx)
		return;
	if (err == 0)
		err = reg.ul->get(f->d, f->aor, reg_which(), ctx->pool, &list);
	fetch_end(arg, f->fn(ctx, f->run, err, &list));
}

static void ruid_fetched(void *arg, int err, struct str aor, const struct ul_list *list)
{
	struct fetch *f;
	struct ctx *ctx = fetch_of(arg, &f);

	if (!ctx)
		return;
	*f->ret_aor = str_dup(ctx->pool, aor);
	if (aor.n && !f->ret_aor->s)
		err = -ENOMEM;
	f->aor = *f->ret_aor;
	/* where memory has all, it knows better what has become of that contact */
	if (err == 0 && reg.ul->db_mode() != 3 && !reg.ul->loading(f->d))
		brought(arg, 0);
	else
		fetched(arg, err, list);
}

/* Parks; the ticket, or 0. */
static uint64_t fetch_begin(struct ctx *ctx, const struct fetch *what)
{
	struct reg_state *st = reg_state(ctx);
	struct fetch *f = pool_alloc(ctx->pool, sizeof(*f));

	if (!st || !f)
		return 0;
	*f = *what;
	st->run = f;
	/* long enough for a second wait, when the answer leads to a write */
	return ctx_park(ctx, 2 * (unsigned)reg_conf.db_deadline_ms + 1000, -1);
}

int reg_contacts(struct ctx *ctx, struct ul_domain *d, struct str aor, reg_list_fn *fn, void *run)
{
	struct fetch f = { .fn = fn, .run = run, .d = d, .aor = aor };
	bool loading = reg.ul->loading(d), direct = reg.ul->db_mode() == 3;
	unsigned deadline_ms = (unsigned)reg_conf.db_deadline_ms;
	struct ul_list list = { 0 };
	uint64_t ticket;

	if (!direct && !loading) {
		int err = reg.ul->get(d, aor, reg_which(), ctx->pool, &list);

		return fn(ctx, run, err, &list);
	}
	ticket = fetch_begin(ctx, &f);
	if (!ticket)
		return fn(ctx, run, -ENOMEM, &list);
	if (direct)
		reg.ul->fetch(d, aor, reg_which(), deadline_ms, fetched, (void *)(uintptr_t)ticket);
	else
		reg.ul->bring(d, aor, deadline_ms, brought, (void *)(uintptr_t)ticket);
	return SCRIPT_SUSPEND;
}

int reg_contacts_of_ruid(struct ctx *ctx, struct ul_domain *d, struct str ruid, struct str *ret_aor, reg_list_fn *fn, void *run)
{
	struct fetch f = { .fn = fn, .run = run, .d = d, .ret_aor = ret_aor };
	struct ul_list list = { 0 };
	uint64_t ticket = fetch_begin(ctx, &f);

	if (!ticket)
		return fn(ctx, run, -ENOMEM, &list);
	reg.ul->fetch_ruid(d, ruid, reg_which(), (unsigned)reg_conf.db_deadline_ms, ruid_fetched, (void *)(uintptr_t)ticket);
	return SCRIPT_SUSPEND;
}

/* ---- the table for scripts ---- */

static int fix_domain(struct str text, void **ret_p, struct diag *reterr)
{
	const struct ul_api *ul = module_api_find("usrloc");
	struct ul_domain *d;
	int err;

	if (!ul)
		return diag_set(reterr, 0, "module usrloc must be loaded before registrar");
	err = ul->domain_get(text, &d, reterr);
	if (err < 0)
		return err;
	*ret_p = d;
	return 0;
}

static int fix_table(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	(void)pool, (void)index;
	return fix_domain(text, ret_p, reterr);
}

/* save(table, flags): decimal or hex, up to 31 */
static int fix_save(struct pool *pool, unsigned index, struct str text, void **ret_p, struct diag *reterr)
{
	const struct ul_api *ul = module_api_find("usrloc");
	int64_t flags;

	(void)pool;
	if (index == 0)
		return fix_domain(text, ret_p, reterr);
	if (text.n == 0 || num_script(text, &flags) < 0 || flags < 0 || flags > REG_FLAGS_ALL)
		return diag_set(reterr, 0, "flags of save(): a number from 0 to %d expected", REG_FLAGS_ALL);
	if (flags & REG_MEM_ONLY && ul && ul->db_mode() == 3)
		return diag_set(reterr, 0, "save() flag 0x01 (memory only) cannot be had with usrloc db_mode 3");
	*ret_p = (void *)(uintptr_t)flags;
	return 0;
}

#define SAVE_KINDS (CTX_REQUEST | CTX_FAILURE | CTX_ONREPLY)
#define RF (CTX_REQUEST | CTX_FAILURE)
/* clang-format off */
static const struct script_func funcs[] = {
	{ "save", reg_fn_save, 1, { SP_FIX }, SAVE_KINDS, fix_save, 0, true },
	{ "save", reg_fn_save, 2, { SP_FIX, SP_FIX }, SAVE_KINDS, fix_save, 0, true },
	{ "save", reg_fn_save, 3, { SP_FIX, SP_FIX, SP_DSTR }, SAVE_KINDS, fix_save, 0, true },
	{ "lookup", reg_fn_lookup, 1, { SP_FIX }, RF, fix_table, 0, true },
	{ "lookup", reg_fn_lookup, 2, { SP_FIX, SP_DSTR }, RF, fix_table, 0, true },
	{ "lookup_to_dset", reg_fn_lookup_to_dset, 1, { SP_FIX }, RF, fix_table, 0, true },
	{ "lookup_to_dset", reg_fn_lookup_to_dset, 2, { SP_FIX, SP_DSTR }, RF, fix_table, 0, true },
	{ "lookup_branches", reg_fn_lookup_branches, 1, { SP_FIX }, RF, fix_table, 0, true },
	{ "lookup_xavp", reg_fn_lookup_xavp, 4, { SP_FIX, SP_DSTR, SP_DSTR, SP_DSTR }, CTX_ANY, fix_table, 0, true },
	{ "registered", reg_fn_registered, 1, { SP_FIX }, CTX_ANY, fix_table, 0, true },
	{ "registered", reg_fn_registered, 2, { SP_FIX, SP_DSTR }, CTX_ANY, fix_table, 0, true },
	{ "registered", reg_fn_registered, 3, { SP_FIX, SP_DSTR, SP_DINT }, CTX_ANY, fix_table, 0, true },
	{ "registered", reg_fn_registered, 4, { SP_FIX, SP_DSTR, SP_DINT, SP_DINT }, CTX_ANY, fix_table, 0, true },
	{ "unregister", reg_fn_unregister, 2, { SP_FIX, SP_DSTR }, CTX_ANY, fix_table, 0, true },
	{ "unregister", reg_fn_unregister, 3, { SP_FIX, SP_DSTR, SP_DSTR }, CTX_ANY, fix_table, 0, true },
	{ "reg_fetch_contacts", reg_fn_fetch, 3, { SP_FIX, SP_DSTR, SP_STR }, RF, fix_table, 0, true },
	{ "reg_free_contacts", reg_fn_free, 1, { SP_STR }, RF, NULL, 0, false },
	{ "reg_from_user", reg_fn_from_user, 3, { SP_FIX, SP_DSTR, SP_DINT }, CTX_ANY, fix_table, 0, true },
	{ "reg_send_reply", reg_fn_send_reply, 0, { SP_END }, RF, NULL, 0, false },
	{ "add_sock_hdr", reg_fn_add_sock_hdr, 1, { SP_DSTR }, CTX_REQUEST, NULL, 0, false },
	{ .name = NULL }
};
/* clang-format on */

static int64_t setting_now(intptr_t offset)
{
	return *(const int *)(const void *)((const char *)&reg_conf + offset);
}

#define NOW(name, field) { "registrar", name, setting_now, (intptr_t)offsetof(struct reg_conf, field) }
static const struct stat_def stats[] = {
	NOW("max_expires", max_expires), NOW("max_contacts", max_contacts), NOW("default_expire", default_expires),
	NOW("default_expires_range", default_expires_range), NOW("expires_range", expires_range), { .group = NULL },
};

static int prepare_received_avp(void)
{
	struct pv_spec *spec;
	struct diag diag;
	size_t len;

	if (reg_conf.received_avp.n == 0)
		return 0;
	reg.received_pool = pool_new(64 * 1024);
	if (!reg.received_pool)
		return -ENOMEM;
	if (pv_parse(reg.received_pool, reg_conf.received_avp, &spec, &len, &diag) < 0 || len != reg_conf.received_avp.n) {
		log_error("registrar: received_avp \"%.*s\" is no variable", STR_FMT(reg_conf.received_avp));
		return -EINVAL;
	}
	reg.received_avp = spec;
	return 0;
}

static int init(void)
{
	int err;

	reg.ul = module_api_find("usrloc");
	if (!reg.ul) {
		log_error("registrar: module usrloc is not loaded");
		return -ENOENT;
	}
	if (reg_conf.flow_timer && reg_conf.outbound_mode == REG_OB_OFF) {
		log_error("registrar: flow_timer %d needs outbound_mode 1 or 2", reg_conf.flow_timer);
		return -EINVAL;
	}
	if (reg_conf.sock_mode)
		reg.ul->show_advertised();
	err = prepare_received_avp();
	if (err < 0)
		return err;
	reg.modstate = ctx_modstate_register("registrar");
	if (reg.modstate < 0)
		return log_fail(reg.modstate, "registrar: too many modules keep state per message");
	reg.c_accepted = shm_counter_register("registrar", "accepted_regs");
	reg.c_rejected = shm_counter_register("registrar", "rejected_regs");
	if (stat_register(stats) < 0)
		return log_fail(-ENOSPC, "registrar: statistics");
	reg.ul->on_expired(reg_expired);
	return 0;
}

static const char *const requires[] = { "usrloc", "sl", NULL };

extern const struct module module_registrar;
const struct module module_registrar = {
	.abi = MODULE_ABI,
	.name = "registrar",
	.requires = requires,
	.settings = settings,
	.conf = &reg_conf,
	.live = live,
	.funcs = funcs,
	.pvs = reg_pvs,
	.init = init,
};
