/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of the script's reader. At start each statement takes effect where it stands: modules must be there before their parameters
 * and functions are. For a reload statements are only kept, with their places, and compared with what runs when the text is over:
 * it is refused as a whole when a change in it cannot be honoured, and each such change is named.
 */
#include "core/main/directives.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/base/pool.h"
#include "core/main/live.h"
#include "core/module/loader.h"
#include "core/net/myself.h"
#include "core/rpc/rpc.h"
#include "core/settings/cfg.h"
#include "core/transport/rx.h"

#define PARKED_DEFAULT 20000u

struct config_entry { /* alias: name, proto, port; custom variable: group, name, id, value; module: name */
	struct config_entry *next;
	struct module_place place;
	struct str group, name, s;
	bool is_int;
	int id;
	int64_t i;
	enum sip_proto proto;
	uint16_t port;
};

static struct config *now; /* that is spoken to */
static struct main_conf *running; /* in this process; some of it follows run-time values: live.c */

/* ---- keeping ---- */

struct config *config_new(const struct options *opts, bool aside)
{
	struct config *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->opts = opts;
	c->aside = aside;
	params_defaults(&c->conf);
	c->conf.children = 0;
	c->pool = pool_new((size_t)256 << 20);
	if (aside)
		c->params = module_params_new();
	if (!c->pool || (aside && !c->params)) {
		config_free(c);
		return NULL;
	}
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	if (now == c)
		now = NULL;
	module_params_free(c->params);
	pool_free(c->pool);
	free(c);
}

/* Empty texts stay NULL: that is how parameters tell "not set". */
static struct str kept(struct str s)
{
	return s.n > 0 ? str_dup(now->pool, s) : s;
}

static struct module_place place_here(void)
{
	struct module_place p = { 0 };

	if (script_load_place(&p.file, &p.line, &p.column))
		p.file = kept(p.file);
	return p;
}

static struct config_entry *entry_add(struct config_entry **list)
{
	struct config_entry *e = pool_zalloc(now->pool, sizeof(*e));

	if (!e)
		return NULL;
	e->place = place_here();
	while (*list)
		list = &(*list)->next;
	*list = e;
	return e;
}

/* ---- the host ---- */

static int host_load_module(struct str name, struct str opts, struct diag *reterr)
{
	struct str base = module_base_name(name);
	struct config_entry *e;
	int err = 0;

	if (!now->aside)
		err = module_load(name, opts, reterr);
	else if (!module_is_loaded_str(base))
		err = diag_unknown(reterr, DIAG_MODULE, 0, base, NULL, "module %.*s is not loaded: that needs a restart", STR_FMT(base));
	if (err < 0)
		return err;
	e = entry_add(&now->modules);
	if (!e)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	e->name = kept(base);
	return 0;
}

static int host_load_path(struct str path, struct diag *reterr)
{
	int err = now->aside ? 0 : module_path_set(path, false);

	return err < 0 ? diag_err(reterr, err, 0, "path too long") : 0;
}

static int host_modparam(struct str modules, struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	struct module_place place = { 0 };

	if (!now->aside)
		return module_param_set(modules, name, is_int, i, s, reterr);
	(void)script_load_place(&place.file, &place.line, &place.column);
	return module_params_add(now->params, modules, name, is_int, i, s, &place, reterr);
}

static int host_param(struct str name, bool is_int, int64_t i, struct str s, struct diag *reterr)
{
	int row = params_row(name);

	if (row >= 0)
		now->place[row] = place_here();
	return params_set(&now->conf, name, is_int, i, kept(s), reterr);
}

static int host_listen(const struct net_listen_spec *spec, struct diag *reterr)
{
	struct net_listen_spec *to;

	if (now->n_listen == CONFIG_LISTENS_MAX)
		return diag_err(reterr, -ENOSPC, 0, "more than %u sockets", CONFIG_LISTENS_MAX);
	if (spec->proto == SIP_PROTO_SCTP)
		return diag_set(reterr, 0, "SCTP is not supported");
	now->listen[now->n_listen].place = place_here();
	to = &now->listen[now->n_listen++].spec;
	*to = *spec;
	to->host = kept(spec->host);
	to->adv_host = kept(spec->adv_host);
	to->name = kept(spec->name);
	return 0;
}

static int host_alias(enum sip_proto proto, struct str host, uint16_t port, struct diag *reterr)
{
	struct config_entry *e = entry_add(&now->aliases);
	int err = 0;

	if (!e)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	e->name = kept(host);
	e->proto = proto;
	e->port = port;
	if (!now->aside)
		err = net_alias_add(proto, host, port);
	return err < 0 ? diag_err(reterr, err, 0, "name cannot be added: %s", strerror(-err)) : 0;
}

static int host_custom(struct str group, int id, struct str name, bool is_int, int64_t i, struct str s, struct str desc, struct diag *reterr)
{
	struct config_entry *e;
	int err = 0;

	if (str_eq(group, STR_LIT("kemi"))) {
		log_warn("%.*s.%.*s has no effect: this server runs its own script language", STR_FMT(group), STR_FMT(name));
		return 0;
	}
	for (e = now->customs; e && err == 0; e = e->next)
		if (e->id == id && str_eq(e->group, group) && str_eq(e->name, name))
			err = -EEXIST;
	if (err == 0 && !now->aside)
		err = cfg_declare(group, id, name, is_int, i, s, desc);
	if (err == -EEXIST)
		return diag_err(reterr, err, 0, "%.*s.%.*s is declared already", STR_FMT(group), STR_FMT(name));
	if (err < 0)
		return diag_err(reterr, err, 0, "%.*s.%.*s: %s", STR_FMT(group), STR_FMT(name), strerror(-err));
	if (s.n > CFG_TEXT_MAX)
		return diag_err(reterr, -EMSGSIZE, 0, "%.*s.%.*s: over %u bytes", STR_FMT(group), STR_FMT(name), CFG_TEXT_MAX);
	e = entry_add(&now->customs);
	if (!e)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	e->group = kept(group);
	e->id = id;
	e->name = kept(name);
	e->is_int = is_int;
	e->i = i;
	e->s = kept(s);
	return 0;
}

static const struct script_host host = {
	.load_module = host_load_module,
	.load_path = host_load_path,
	.modparam = host_modparam,
	.param = host_param,
	.listen = host_listen,
	.alias = host_alias,
	.custom_var = host_custom,
};

const struct script_host *config_host(struct config *c)
{
	now = c;
	return &host;
}

/* ---- the command line ---- */

/* mod:name:i|s:value */
static int command_line_modparam(struct str text, struct diag *reterr)
{
	struct str part[3];
	int64_t i = 0;
	bool is_int;
	unsigned k;

	for (k = 0; k < 3; k++) {
		ptrdiff_t colon = str_find_char(text, ':');

		if (colon < 0)
			return diag_set(reterr, 0, "--modparam=module:name:i|s:value expected");
		part[k] = str_sub(text, 0, (size_t)colon);
		text = str_sub(text, (size_t)colon + 1, text.n);
	}
	is_int = str_eq(part[2], STR_LIT("i"));
	if (is_int && num_i64(text, &i) < 0)
		return diag_set(reterr, 0, "--modparam: '%.*s' is no number", STR_FMT(text));
	return host_modparam(part[0], part[1], is_int, i, text, reterr);
}

int config_begin(struct config *c, struct diag *reterr)
{
	const struct options *o = c->opts;
	unsigned i;
	int err = 0;

	now = c;
	if (o->module_path && !c->aside)
		err = module_path_set(str_lit(o->module_path), true);
	for (i = 0; i < o->n_modules && err == 0; i++)
		err = host_load_module(str_lit(o->modules[i]), STR_NULL, reterr);
	for (i = 0; i < o->n_modparams && err == 0; i++)
		err = command_line_modparam(str_lit(o->modparams[i]), reterr);
	return err;
}

/* [proto:]addr[:port][/adv[:port]][/name] */
static int command_line_listen(struct str text, struct diag *reterr)
{
	struct net_listen_spec spec = { 0 };
	struct str part[3] = { text, STR_NULL, STR_NULL };
	ptrdiff_t at;
	uint32_t port;
	unsigned k;

	for (k = 0; k < 2; k++) {
		at = str_find_char(part[k], '/');
		if (at < 0)
			break;
		part[k + 1] = str_sub(part[k], (size_t)at + 1, part[k].n);
		part[k] = str_sub(part[k], 0, (size_t)at);
	}
	at = str_find_char(part[0], ':');
	if (at > 0 && sip_proto_lookup(str_sub(part[0], 0, (size_t)at)) != SIP_PROTO_NONE) {
		spec.proto = sip_proto_lookup(str_sub(part[0], 0, (size_t)at));
		part[0] = str_sub(part[0], (size_t)at + 1, part[0].n);
	}
	for (k = 0; k < 2; k++) {
		struct str *hostp = k == 0 ? &spec.host : &spec.adv_host;
		uint16_t *portp = k == 0 ? &spec.port : &spec.adv_port;

		*hostp = part[k];
		at = str_rfind_char(part[k], ':');
		if (at < 0 || str_find_char(str_sub(part[k], (size_t)at, part[k].n), ']') >= 0 ||
		    (part[k].s[0] != '[' && str_find_char(part[k], ':') != at))
			continue;
		if (num_u32(str_sub(part[k], (size_t)at + 1, part[k].n), &port) < 0 || port > 65535)
			return diag_set(reterr, 0, "-l %.*s: bad port", STR_FMT(text));
		*hostp = str_sub(part[k], 0, (size_t)at);
		*portp = (uint16_t)port;
	}
	spec.name = part[2];
	return host_listen(&spec, reterr);
}

static int command_line_alias(struct str text, struct diag *reterr)
{
	enum sip_proto proto = SIP_PROTO_NONE;
	ptrdiff_t at = str_find_char(text, ':');
	uint32_t port = 0;

	if (at > 0 && sip_proto_lookup(str_sub(text, 0, (size_t)at)) != SIP_PROTO_NONE) {
		proto = sip_proto_lookup(str_sub(text, 0, (size_t)at));
		text = str_sub(text, (size_t)at + 1, text.n);
	}
	at = str_rfind_char(text, ':');
	if (at > 0 && str_find_char(str_sub(text, (size_t)at, text.n), ']') < 0) {
		if (num_u32(str_sub(text, (size_t)at + 1, text.n), &port) < 0 || port > 65535)
			return diag_set(reterr, 0, "--alias: bad port in '%.*s'", STR_FMT(text));
		text = str_sub(text, 0, (size_t)at);
	}
	return host_alias(proto, text, (uint16_t)port, reterr);
}

static void or_option(struct str *field, const char *opt)
{
	if (opt)
		*field = str_lit(opt);
}

/* name[:data] */
static int command_line_log_engine(const char *text, struct diag *reterr)
{
	struct str name = text ? str_lit(text) : STR_NULL, data = STR_NULL;
	ptrdiff_t colon = str_find_char(name, ':');
	int err;

	if (!text)
		return 0;
	if (colon >= 0) {
		data = str_sub(name, (size_t)colon + 1, name.n);
		name = str_sub(name, 0, (size_t)colon);
	}
	err = params_set(&now->conf, STR_LIT("log_engine_type"), false, 0, name, reterr);
	return err < 0 ? err : params_set(&now->conf, STR_LIT("log_engine_data"), false, 0, data, reterr);
}

int config_end(struct config *config, struct diag *reterr)
{
	const struct options *o = config->opts;
	struct main_conf *c = &config->conf;
	unsigned i;
	int err = 0;

	now = config;
	if (o->debug != INT_MIN)
		c->debug = o->debug;
	if (o->children > 0)
		c->children = o->children;
	if (o->shm_mb > 0)
		c->shm_mb = (int)o->shm_mb;
	if (o->rx_bytes > 0)
		c->maxbuffer = o->rx_bytes;
	if (o->tx_bytes > 0)
		c->maxsndbuffer = o->tx_bytes;
	if (o->to_stderr)
		c->log_stderror = 1;
	if (o->color)
		c->log_color = 1;
	if (o->no_tcp)
		c->disable_tcp = 1;
	if (o->check_via)
		c->check_via = 1;
	if (o->via_dns)
		c->via_dns = 1;
	if (o->via_rev_dns)
		c->via_rev_dns = 1;
	if (o->auto_aliases >= 0)
		c->auto_aliases = o->auto_aliases;
	if (o->server_id >= 0)
		c->server_id = o->server_id;
	if (o->foreground == 1)
		c->fork = 0;
	err = command_line_log_engine(o->log_engine, reterr);
	or_option(&c->iuid, o->iuid);
	or_option(&c->user, o->user);
	or_option(&c->group, o->group);
	or_option(&c->chroot, o->chroot_dir);
	or_option(&c->workdir, o->work_dir);
	or_option(&c->rundir, o->run_dir);
	for (i = 0; i < o->n_listens && err == 0; i++)
		err = command_line_listen(str_lit(o->listens[i]), reterr);
	for (i = 0; i < o->n_aliases && err == 0; i++)
		err = command_line_alias(str_lit(o->aliases[i]), reterr);
	return err;
}

/* ---- comparing ---- */

struct compare {
	const struct config *is;
	module_change_fn *refused;
	void *arg;
	unsigned n;
};

PRINTF_LIKE(3, 4) static void refuse(struct compare *c, const struct module_place *place, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->refused(c->arg, place && place->line ? place : NULL, text);
	c->n++;
}

static void param_differs(void *arg, unsigned row, const char *name, bool live, const char *was, const char *is)
{
	struct compare *c = arg;
	struct str group, of;

	if (!live && !cfg_followed(params_field(running, row), &group, &of))
		refuse(c, &c->is->place[row], "%s needs a restart to change from %s to %s", name, was, is);
}

static void prefix_check(struct compare *c)
{
	struct str text = c->is->conf.log_prefix;
	struct pool *pool = text.n ? pool_new(64 * 1024) : NULL;
	struct diag why = { 0 };
	struct fmt *f;

	if (text.n && (!pool || fmt_compile(pool, text, &f, &why) < 0))
		refuse(c, &c->is->place[params_row(STR_LIT("log_prefix"))], "log_prefix: %s", pool ? why.text : "out of memory");
	pool_free(pool);
}

static bool same_spec(const struct net_listen_spec *a, const struct net_listen_spec *b)
{
	return a->proto == b->proto && a->port == b->port && a->adv_port == b->adv_port && a->is_virtual == b->is_virtual &&
	       str_eq(a->host, b->host) && str_eq(a->adv_host, b->adv_host) && str_eq(a->name, b->name);
}

static bool has_spec(const struct config *c, const struct net_listen_spec *spec)
{
	for (unsigned i = 0; i < c->n_listen; i++)
		if (same_spec(&c->listen[i].spec, spec))
			return true;
	return false;
}

void config_spec_text(const struct net_listen_spec *s, char *out, size_t n)
{
	int len = snprintf(out, n, "%s%s%.*s%s", s->proto ? sip_proto_name(s->proto) : "", s->proto ? ":" : "", STR_FMT(s->host),
			   s->host.n ? "" : "every address");

	if (s->port && len > 0 && (size_t)len < n)
		(void)snprintf(out + len, n - (size_t)len, ":%u", s->port);
}

static void sockets_check(struct compare *c, const struct config *was)
{
	char text[160];
	unsigned i;

	for (i = 0; i < c->is->n_listen; i++) {
		if (has_spec(was, &c->is->listen[i].spec))
			continue;
		config_spec_text(&c->is->listen[i].spec, text, sizeof(text));
		refuse(c, &c->is->listen[i].place, "listen: %s as given here needs a restart", text);
	}
	for (i = 0; i < was->n_listen; i++) {
		if (has_spec(c->is, &was->listen[i].spec))
			continue;
		config_spec_text(&was->listen[i].spec, text, sizeof(text));
		refuse(c, NULL, "listen: %s is not given any more, which needs a restart", text);
	}
}

static const struct config_entry *entry_find(const struct config_entry *list, const struct config_entry *what)
{
	for (; list; list = list->next)
		if (list->id == what->id && list->proto == what->proto && list->port == what->port && str_eq(list->group, what->group) &&
		    str_eq(list->name, what->name))
			return list;
	return NULL;
}

static void customs_check(struct compare *c, const struct config *was)
{
	const struct config_entry *e, *old;

	for (e = c->is->customs; e; e = e->next) {
		old = entry_find(was->customs, e);
		if (!old)
			refuse(c, &e->place, "%.*s.%.*s is new, which needs a restart", STR_FMT(e->group), STR_FMT(e->name));
		else if (old->is_int != e->is_int)
			refuse(c, &e->place, "%.*s.%.*s needs a restart to change its type", STR_FMT(e->group), STR_FMT(e->name));
	}
	for (e = was->customs; e; e = e->next)
		if (!entry_find(c->is->customs, e))
			refuse(c, NULL, "%.*s.%.*s is not declared any more, which needs a restart", STR_FMT(e->group), STR_FMT(e->name));
}

unsigned config_check(const struct config *was, const struct config *is, module_change_fn *refused, void *arg)
{
	struct compare c = { .is = is, .refused = refused, .arg = arg };
	const struct config_entry *e;

	params_compare(&was->conf, &is->conf, param_differs, &c);
	prefix_check(&c);
	sockets_check(&c, was);
	for (e = was->modules; e; e = e->next)
		if (!entry_find(is->modules, e))
			refuse(&c, NULL, "module %.*s is not loaded any more, which needs a restart", STR_FMT(e->name));
	customs_check(&c, was);
	return c.n + module_params_check(is->params, refused, arg);
}

/* ---- switching ---- */

/* What live_apply() does not know. */
static void apply_rest(void)
{
	fmt_set_max((size_t)running->pv_buffer_size);
	rpc_exec_delta_set((unsigned)running->rpc_exec_delta);
}

void config_apply(const struct config *c, struct main_conf *conf)
{
	struct vm_conf vm;
	struct db_conf db;

	running = conf;
	*running = c->conf;
	params_to_vm(running, c->opts->suspend_always, &vm);
	vm_configure(&vm);
	params_to_route(running, &route_conf);
	sip_msg_rules(params_sip_rules(running));
	params_to_tm(running, &tm_conf);
	params_to_db(running, &db);
	sip_uri_phone2tel(running->phone2tel != 0);
	sip_host_extra_chars(running->uri_host_extra_chars);
	db_configure(&db);
	route_conf.parked_max = PARKED_DEFAULT;
	apply_rest();
}

static void names_switch(const struct config *was, const struct config *is)
{
	const struct config_entry *e;

	for (e = was->aliases; e; e = e->next)
		if (!entry_find(is->aliases, e))
			net_alias_del(e->proto, e->name, e->port);
	for (e = is->aliases; e; e = e->next)
		if (!entry_find(was->aliases, e) && net_alias_add(e->proto, e->name, e->port) < 0)
			log_error("alias %.*s cannot be added", STR_FMT(e->name));
}

struct module_params *config_switch(const struct config *was, struct config *is)
{
	struct module_params *old;

	params_copy_live(running, &is->conf);
	live_apply();
	apply_rest();
	if (route_configure() < 0)
		log_error("log_prefix stays as it was");
	names_switch(was, is);
	old = module_params_switch(is->params);
	is->params = NULL; /* the modules' now */
	return old;
}

static void param_share(void *arg, unsigned row, const char *row_name, bool live, const char *from, const char *to)
{
	struct main_conf *is = &((struct config *)arg)->conf;
	struct str group, name;
	struct value v;

	(void)live, (void)from, (void)to; /* what decides is whether it is shared */
	if (!cfg_followed(params_field(running, row), &group, &name))
		return;
	if (params_row_is_text(row))
		v = value_str(*(const struct str *)params_field(is, row));
	else
		v = value_int(*(const int *)params_field(is, row));
	if (cfg_set(group, 0, name, &v) < 0)
		log_error("%s cannot be set", row_name);
}

/* Shared by all processes, so done once. What the text does not change stays as an operator set it. */
void config_switch_shared(const struct config *was, struct config *is)
{
	const struct config_entry *e, *old;
	struct value v;

	for (e = is->customs; e; e = e->next) {
		old = entry_find(was->customs, e);
		if (!old || (e->is_int ? old->i == e->i : str_eq(old->s, e->s)))
			continue;
		v = e->is_int ? value_int(e->i) : value_str(e->s);
		if (cfg_set(e->group, e->id, e->name, &v) < 0)
			log_error("%.*s.%.*s cannot be set", STR_FMT(e->group), STR_FMT(e->name));
	}
	params_compare(&was->conf, &is->conf, param_share, is);
	module_params_share(is->params);
}
