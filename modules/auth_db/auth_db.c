/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module auth_db: digest authentication against a subscriber table. The credentials are found and their nonce checked first (module auth), then
 * the message waits for the row while the worker goes on; nobody without a good nonce costs a query. When the database does not answer in
 * time the request gets 503 with Retry-After and the script ends, so that a dead database never looks like a wrong password.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/db/db.h"
#include "core/module/abi.h"
#include "core/route/route.h"
#include "modules/auth/auth_api.h"
#include "modules/auth_db/cache.h"

#define SUBSCRIBER_VERSION 7
#define EXTRA_MAX 16u /* load_credentials columns */
#define RETRY_AFTER_S 5
#define RECHECK_S 5       /* a "no" from a cached row older than that is asked again */
#define SWEEP_MS 1000u
#define SWEEP_BUCKETS 64u

static struct auth_db_conf {
	struct str db_url, user_column, domain_column, password_column, password_column_2, load_credentials;
	int calculate_ha1, use_domain, version_table, force_generate_avps, query_timeout, cache_expire;
} conf;

static struct {
	const struct auth_api *auth;
	struct db *db;      /* of this worker */
	struct pool *pool;  /* what init() prepares */
	struct ask *unused; /* of this worker, kept for the next */
	uint32_t sweep_next;
	unsigned n_extra;
	struct {
		struct str column;
		struct pv_spec *pv; /* NULL: AVP of the column's name */
	} extra[EXTRA_MAX];
} g;

/* clang-format off */
static const struct setting settings[] = {
	SETTING_STR("db_url",              struct auth_db_conf, db_url,              "mysql://kamailioro:kamailioro@localhost/kamailio"),
	SETTING_LIVE_STR("user_column",         struct auth_db_conf, user_column,         "username"),
	SETTING_LIVE_STR("domain_column",       struct auth_db_conf, domain_column,       "domain"),
	SETTING_LIVE_STR("password_column",     struct auth_db_conf, password_column,     "ha1"),
	SETTING_LIVE_STR("password_column_2",   struct auth_db_conf, password_column_2,   "ha1b"),
	SETTING_LIVE_INT("calculate_ha1",       struct auth_db_conf, calculate_ha1,       0, 0, 1),
	SETTING_LIVE_INT("use_domain",          struct auth_db_conf, use_domain,          0, 0, 1),
	SETTING_STR("load_credentials",    struct auth_db_conf, load_credentials,    NULL),
	SETTING_INT("version_table",       struct auth_db_conf, version_table,       1, 0, 1),
	SETTING_LIVE_INT("force_generate_avps", struct auth_db_conf, force_generate_avps, 0, 0, 1),
	SETTING_LIVE_INT("query_timeout",       struct auth_db_conf, query_timeout,       8000, 100, 60000), /* ms; ours */
	SETTING_INT("cache_expire",        struct auth_db_conf, cache_expire,        0, 0, 86400),        /* s; ours */
	SETTING_END
};
/* clang-format on */

/*
 * A question under way. Its own memory and not the message's: an answer may come when the context is long gone. The texts of key
 * are in the pool of the context, so they are only touched when that still waits.
 */
struct ask {
	struct ask *next;       /* unused ones */
	uint64_t ticket;
	struct auth_cred *cred; /* NULL: is_subscriber */
	unsigned identity;      /* enum auth_identity_flags */
	struct cache_key key;
	uint32_t generation;    /* of the cache when it was asked */
};

static struct ask *ask_new(void)
{
	struct ask *a = g.unused;

	if (!a)
		return calloc(1, sizeof(*a));
	g.unused = a->next;
	*a = (struct ask){ 0 };
	return a;
}

static void ask_free(struct ask *a)
{
	a->next = g.unused;
	g.unused = a;
}

static void row_of(const struct db_rows *rows, struct cache_row *ret)
{
	*ret = (struct cache_row){ .found = db_rows_n(rows) > 0 };
	if (ret->found)
		ret->n = db_rows_cols(rows) < CACHE_VALS_MAX ? db_rows_cols(rows) : CACHE_VALS_MAX;
	for (unsigned i = 0; i < ret->n; i++)
		ret->val[i] = db_rows_at(rows, 0, i);
}

static int extra_to_script(struct ctx *ctx, const struct cache_row *row)
{
	for (unsigned i = 0; i < g.n_extra && i + 1 < row->n; i++) {
		struct db_val v = row->val[1 + i];
		struct value val;
		int err;

		if (v.type == DB_NULL)
			continue;
		if (v.type == DB_STR || v.type == DB_BLOB) {
			struct str copy = str_dup(ctx->pool, v.s);

			if (v.s.n && !copy.s)
				return -ENOMEM;
			val = value_str(copy);
		} else {
			int64_t n = 0;

			if (db_val_int(&v, &n) < 0)
				continue;
			val = value_int(n);
		}
		if (g.extra[i].pv) {
			err = pv_set(ctx, g.extra[i].pv, &val);
			if (err < 0)
				return err;
		} else {
			if (!avp_push(&ctx->avps.head[AVP_PLAIN], ctx->pool, g.extra[i].column, &val))
				return -ENOMEM;
			ctx->avps.dirty = true;
		}
	}
	return 0;
}

static int judge(struct ctx *ctx, const struct ask *a, const struct cache_row *row)
{
	struct str secret;
	int rc = 1;

	if (!row->found || row->n == 0)
		return a->cred ? AUTH_UNKNOWN_USER : -1;
	if (a->cred) {
		secret = db_val_str(&row->val[0]);
		/* NULL, a number, or empty: nobody's password. An empty one would let everybody in who knows the name. */
		if (secret.n == 0 || (!conf.calculate_ha1 && secret.n != g.auth->ha1_len(a->cred->alg)))
			return AUTH_ERROR;
		rc = g.auth->check(ctx, a->cred, secret, !conf.calculate_ha1);
		if (rc == AUTH_OK)
			rc = g.auth->identity(ctx, a->cred, a->identity);
		if (rc != AUTH_OK && !(conf.force_generate_avps && rc == AUTH_WRONG_PASSWORD))
			return rc;
	}
	if (a->key.load && extra_to_script(ctx, row) < 0) {
		log_error("auth_db: cannot hand out the load_credentials columns");
		return AUTH_ERROR;
	}
	return rc;
}

/* The request cannot be judged now: say so and end the script. */
static int unavailable(struct ctx *ctx)
{
	struct str field;

	if (pool_printf(ctx->pool, &field, "Retry-After: %d\r\n", RETRY_AFTER_S) < 0 || route_reply_add(ctx, field) < 0 ||
	    route_reply(ctx, 503, STR_LIT("Service Unavailable")) < 0)
		log_error("auth_db: cannot answer 503");
	return AUTH_REPLIED;
}

static void on_rows(void *arg, int err, struct db_rows *rows, struct str err_text)
{
	struct ask *a = arg;
	struct ctx *ctx = ctx_of_ticket(a->ticket);
	struct cache_row row;
	uint64_t ticket;
	int rc;

	if (!ctx) { /* nobody waits any more */
		ask_free(a);
		return;
	}
	if (err < 0) {
		log_error("auth_db: query failed: %.*s", STR_FMT(err_text));
		rc = a->cred ? unavailable(ctx) : -1;
	} else {
		row_of(rows, &row);
		if (conf.cache_expire)
			cache_put(&a->key, &row, a->generation, clock_ms() / 1000, (unsigned)conf.cache_expire);
		rc = judge(ctx, a, &row);
	}
	ticket = a->ticket;
	ask_free(a);
	ctx_wake(ticket, rc);
}

/* SELECT <secret>[, extras] FROM <table> WHERE user = ? [AND domain = ?] */
static int query_text(struct strbuf *sql, struct str secret_column, struct str table, bool load, bool by_domain)
{
	int err;

	strbuf_add_lit(sql, "SELECT ");
	err = db_ident(sql, secret_column);
	for (unsigned i = 0; err == 0 && load && i < g.n_extra; i++) {
		strbuf_add_lit(sql, ", ");
		err = db_ident(sql, g.extra[i].column);
	}
	strbuf_add_lit(sql, " FROM ");
	if (err == 0)
		err = db_ident(sql, table);
	strbuf_add_lit(sql, " WHERE ");
	if (err == 0)
		err = db_ident(sql, conf.user_column);
	strbuf_add_lit(sql, " = ?");
	if (by_domain) {
		strbuf_add_lit(sql, " AND ");
		if (err == 0)
			err = db_ident(sql, conf.domain_column);
		strbuf_add_lit(sql, " = ?");
	}
	return err < 0 ? err : strbuf_err(sql);
}

/* A row read lately may be enough. True with the script's code. */
static bool from_cache(struct ctx *ctx, const struct ask *a, int *ret_rc)
{
	struct cache_row row;
	int rc;

	if (!conf.cache_expire || !cache_find(&a->key, clock_ms() / 1000, &row))
		return false;
	rc = judge(ctx, a, &row);
	/* the password may have been changed, the user added: only a fresh "no" is believed, so that guessing costs no queries */
	if (rc < 0 && rc != AUTH_IDENTITY && row.age_s >= RECHECK_S)
		return false;
	*ret_rc = rc;
	return true;
}

/* Parks ctx and asks; the returned code is the function's. */
static int ask(struct ctx *ctx, const struct ask *what)
{
	struct db_val params[2] = { { .type = DB_STR, .s = what->key.user }, { .type = DB_STR, .s = what->key.domain } };
	bool by_domain = what->key.domain.s != NULL;
	struct strbuf sql;
	struct ask *a;
	int err, rc;

	if (from_cache(ctx, what, &rc))
		return rc;
	strbuf_init_pool(&sql, ctx->pool, 2048);
	if (query_text(&sql, what->key.column, what->key.table, what->key.load, by_domain) < 0) {
		log_error("auth_db: \"%.*s\" cannot be a table name", STR_FMT(what->key.table));
		return AUTH_ERROR;
	}
	a = ask_new();
	if (!a)
		return AUTH_ERROR;
	*a = *what;
	a->generation = conf.cache_expire ? cache_generation() : 0;
	err = db_query(g.db, strbuf_str(&sql), params, by_domain ? 2 : 1, (unsigned)conf.query_timeout, on_rows, a);
	if (err < 0) {
		ask_free(a);
		if (err != -ECANCELED) /* the process ends */
			log_fail(err, "auth_db: cannot query");
		return what->cred ? unavailable(ctx) : -1;
	}
	/* db_query() always calls back, at its own deadline at the latest: the ticket's is only the net behind it */
	a->ticket = ctx_park(ctx, (unsigned)conf.query_timeout + 60000, AUTH_ERROR);
	if (!a->ticket) {
		log_error("auth_db: the message cannot wait for its answer");
		return what->cred ? unavailable(ctx) : -1;
	}
	return SCRIPT_SUSPEND;
}

static int authenticate(struct ctx *ctx, struct str realm, struct str table, bool proxy, struct str method, unsigned identity)
{
	struct ask a = { .identity = identity };
	bool own_domain;
	int rc;

	if (realm.n == 0 || table.n == 0) {
		log_error("auth_db: empty realm or table");
		return AUTH_ERROR;
	}
	rc = g.auth->find(ctx, realm, proxy, method, &a.cred);
	if (rc != AUTH_OK || !a.cred)
		return rc;
	own_domain = a.cred->c.domain.n > 0;
	a.key = (struct cache_key){
		.table = table,
		.column = own_domain && !conf.calculate_ha1 ? conf.password_column_2 : conf.password_column,
		.user = a.cred->c.user,
		.domain = conf.use_domain ? own_domain ? a.cred->c.domain : a.cred->c.realm : STR_NULL,
		.load = g.n_extra > 0,
	};
	return ask(ctx, &a);
}

static int w_www(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	return authenticate(ctx, args[0].s, args[1].s, false, n > 2 ? args[2].s : STR_NULL, 0);
}

static int w_proxy(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	return authenticate(ctx, args[0].s, args[1].s, true, STR_NULL, 0);
}

static int w_auth_check(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	(void)n;
	if (ctx->msg.method == SIP_M_ACK || ctx->msg.method == SIP_M_CANCEL)
		return 1;
	return authenticate(ctx, args[0].s, args[1].s, ctx->msg.method != SIP_M_REGISTER, STR_NULL,
	                    (args[2].i & 1 ? AUTH_ID_CHECK : 0) | (args[2].i & 2 ? AUTH_ID_SKIP_FROM : 0));
}

static int w_is_subscriber(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct ask a = { 0 };
	struct sip_uri uri;

	(void)n;
	if (sip_uri_parse(args[0].s, &uri, NULL) < 0 || uri.user.n == 0 || args[1].s.n == 0)
		return -1;
	a.key = (struct cache_key){ .table = args[1].s, .column = conf.user_column, .user = uri.user };
	a.key.domain = args[2].i & 1 ? uri.host : STR_NULL;
	a.key.load = g.n_extra > 0 && !(args[2].i & 2);
	return ask(ctx, &a);
}

/* clang-format off */
static const struct script_func funcs[] = {
	{ "www_authenticate",   w_www,           2, { SP_DSTR, SP_DSTR },          CTX_REQUEST, NULL, 0, true },
	{ "www_authenticate",   w_www,           3, { SP_DSTR, SP_DSTR, SP_DSTR }, CTX_REQUEST, NULL, 0, true },
	{ "www_authorize",      w_www,           2, { SP_DSTR, SP_DSTR },          CTX_REQUEST, NULL, 0, true },
	{ "proxy_authenticate", w_proxy,         2, { SP_DSTR, SP_DSTR },          CTX_REQUEST, NULL, 0, true },
	{ "proxy_authorize",    w_proxy,         2, { SP_DSTR, SP_DSTR },          CTX_REQUEST, NULL, 0, true },
	{ "auth_check",         w_auth_check,    3, { SP_DSTR, SP_DSTR, SP_DINT }, CTX_REQUEST, NULL, 0, true },
	{ "is_subscriber",      w_is_subscriber, 3, { SP_DSTR, SP_DSTR, SP_DINT }, CTX_ANY,     NULL, 0, true },
	{ .name = NULL }
};
/* clang-format on */

/* "$avp(x)=col;col2" */
static int extra_parse(struct str text)
{
	struct diag d = { 0 };

	while (text.n) {
		ptrdiff_t semi = str_find_char(text, ';'), eq;
		struct str item = str_trim(str_sub(text, 0, semi < 0 ? text.n : (size_t)semi));
		size_t len;

		text = semi < 0 ? STR_NULL : str_sub(text, (size_t)semi + 1, text.n);
		if (item.n == 0)
			continue;
		if (g.n_extra == EXTRA_MAX) {
			log_error("auth_db: load_credentials: more than %u columns", EXTRA_MAX);
			return -ENOSPC;
		}
		eq = str_rfind_char(item, '=');
		if (eq > 0) {
			struct str var = str_trim(str_sub(item, 0, (size_t)eq));

			if (pv_parse(g.pool, var, &g.extra[g.n_extra].pv, &len, &d) < 0 || len != var.n ||
			    !pv_writable(g.extra[g.n_extra].pv)) {
				log_error("auth_db: load_credentials: \"%.*s\" is no writable variable %s", STR_FMT(var), d.text);
				return -EINVAL;
			}
			item = str_trim(str_sub(item, (size_t)eq + 1, item.n));
		}
		g.extra[g.n_extra++].column = item;
	}
	return 0;
}

static void rpc_cache_flush(struct rpc *rpc)
{
	struct str user = STR_NULL;
	struct rpc_node *top;

	if (rpc_args_left(rpc) && rpc_arg_any_str(rpc, &user) < 0) {
		rpc_fault(rpc, 500, "Bad argument. Expected: user name, or nothing for all");
		return;
	}
	top = rpc_add_object(rpc, NULL, NULL);
	rpc_add_int(rpc, top, "removed", conf.cache_expire ? cache_flush(user) : 0);
}

static const struct rpc_method rpcs[] = {
	{ "auth_db.cache_flush", rpc_cache_flush, 0, "Forgets credentials read from the database. Parameter: user name (default: all)" },
	{ .name = NULL },
};

static void sweep(void *arg)
{
	(void)arg;
	cache_sweep(&g.sweep_next, SWEEP_BUCKETS, clock_ms() / 1000);
}

static int init(void)
{
	struct diag d = { 0 };
	int err;

	g.auth = module_api_find("auth");
	g.pool = pool_new(1 << 16);
	if (!g.pool)
		return log_fail(-ENOMEM, "auth_db: start");
	err = extra_parse(conf.load_credentials);
	if (err < 0)
		return err;
	err = db_probe(conf.db_url, &d);
	if (err == 0 && conf.version_table)
		err = db_table_version_check(conf.db_url, STR_LIT("subscriber"), SUBSCRIBER_VERSION, &d);
	if (err < 0) {
		log_error("auth_db: %s", d.text);
		return err;
	}
	err = conf.cache_expire ? cache_init() : 0;
	return err < 0 ? log_fail(err, "auth_db: cannot make the cache") : 0;
}

static int worker_init(struct loop *loop, unsigned worker)
{
	struct diag d = { 0 };
	struct loop_timer *t;
	int err = db_get(conf.db_url, &g.db, &d);

	if (err < 0)
		log_error("auth_db: worker %u: %s", worker, d.text);
	else if (conf.cache_expire && worker == 0)
		err = loop_timer_add(loop, SWEEP_MS, SWEEP_MS, sweep, NULL, &t);
	return err;
}

static const char *const requires[] = { "auth", NULL };

const struct module module_auth_db = {
	.abi = MODULE_ABI,
	.name = "auth_db",
	.requires = requires,
	.settings = settings,
	.conf = &conf,
	.funcs = funcs,
	.rpcs = rpcs,
	.init = init,
	.worker_init = worker_init,
};
