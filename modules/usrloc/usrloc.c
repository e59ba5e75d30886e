/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module usrloc: its parameters, its life cycle and what it offers to other modules. README.md says which ul_*.c does what.
 */
#include <errno.h>

#include "core/base/log.h"
#include "core/proc/proc.h"
#include "modules/usrloc/ul_priv.h"

struct ul_conf ul_conf;

static int set_preload(void *conf, const struct setting *set, int64_t i, struct str s, struct diag *reterr)
{
	struct ul_domain *d;

	(void)conf, (void)set, (void)i;
	return ul_domain_get(s, &d, reterr);
}

#define COL(name, id, def) SETTING_STR(name, struct ul_conf, column[id], def)
/* clang-format off */
static const struct setting settings[] = {
	SETTING_INT("db_mode",            struct ul_conf, db_mode,            0,  0, 4),
	SETTING_STR("db_url",             struct ul_conf, db_url,             NULL),
	SETTING_INT("db_load",            struct ul_conf, db_load,            1,  0, 1),
	SETTING_INT("db_insert_update",   struct ul_conf, db_insert_update,   0,  0, 1),
	SETTING_INT("db_update_as_insert", struct ul_conf, db_update_as_insert, 0, 0, 1),
	SETTING_INT("db_check_update",    struct ul_conf, db_check_update,    0,  0, 1),
	SETTING_INT("db_ops_ruid",        struct ul_conf, db_ops_ruid,        1,  0, 1),
	SETTING_INT("db_insert_null",     struct ul_conf, db_insert_null,     0,  0, 1),
	SETTING_INT("db_raw_fetch_type",  struct ul_conf, db_raw_fetch_type,  0,  0, 1),
	SETTING_INT("db_timer_clean",     struct ul_conf, db_timer_clean,     0,  0, 1),
	SETTING_INT("db_clean_tcp",       struct ul_conf, db_clean_tcp,       0,  0, 1),
	SETTING_INT("use_domain",         struct ul_conf, use_domain,         0,  0, 1),
	SETTING_INT("timer_interval",     struct ul_conf, timer_interval,     60, 1, 86400),
	SETTING_INT("timer_procs",        struct ul_conf, timer_procs,        0,  0, 64),
	SETTING_INT("matching_mode",      struct ul_conf, matching_mode,      0,  0, 3),
	SETTING_INT("cseq_delay",         struct ul_conf, cseq_delay,         20, 0, INT_MAX),
	SETTING_INT("desc_time_order",    struct ul_conf, desc_time_order,    0,  0, 1),
	SETTING_INT("hash_size",          struct ul_conf, hash_size,          10, 0, 20),
	SETTING_INT("fetch_rows",         struct ul_conf, fetch_rows,         2000, 1, 1000000),
	SETTING_INT("nat_bflag",          struct ul_conf, nat_bflag,          -1, -1, 31),
	SETTING_INT("handle_lost_tcp",    struct ul_conf, handle_lost_tcp,    0,  0, 1),
	SETTING_INT("close_expired_tcp",  struct ul_conf, close_expired_tcp,  0,  0, 1),
	SETTING_INT("skip_remote_socket", struct ul_conf, skip_remote_socket, 0,  0, 1),
	SETTING_FN_STR("preload",         set_preload),
	SETTING_STR("xavp_contact",       struct ul_conf, xavp_contact,       NULL),
	SETTING_INT("expires_type",       struct ul_conf, expires_type,       0,  0, 1),
	SETTING_INT("server_id_filter",   struct ul_conf, server_id_filter,   0,  0, 1),
	SETTING_INT("rm_expired_delay",   struct ul_conf, rm_expired_delay,   0,  0, INT_MAX),
	SETTING_INT("version_table",      struct ul_conf, version_table,      1,  0, 1),
	SETTING_INT("load_rank",          struct ul_conf, load_rank,          1,  INT_MIN, INT_MAX),
	SETTING_INT("db_queue_max",       struct ul_conf, db_queue_max,       64, 1, 4096),
	SETTING_INT("db_deadline_ms",     struct ul_conf, db_deadline_ms,     4000, 1, 600000),
	SETTING_INT("ka_mode",            struct ul_conf, ka_mode,            0,  0, 7),
	SETTING_STR("ka_method",          struct ul_conf, ka_method,          "OPTIONS"),
	SETTING_STR("ka_from",            struct ul_conf, ka_from,            "sip:server@kamailio.org"),
	SETTING_STR("ka_domain",          struct ul_conf, ka_domain,          "kamailio.org"),
	SETTING_INT("ka_filter",          struct ul_conf, ka_filter,          0,  0, 1),
	SETTING_INT("ka_interval",        struct ul_conf, ka_interval,        40, 1, 86400),
	SETTING_INT("ka_randomize",       struct ul_conf, ka_randomize,       20, 0, 86400),
	SETTING_INT("ka_timeout",         struct ul_conf, ka_timeout,         0,  0, INT_MAX),
	SETTING_INT("ka_loglevel",        struct ul_conf, ka_loglevel,        255, -5, 255),
	SETTING_STR("ka_logmsg",          struct ul_conf, ka_logmsg,          " to-uri: [$tu] remote-addr: [$sas]"),
	SETTING_STR("ka_reply_codes",     struct ul_conf, ka_reply_codes,     "0"),
	COL("ruid_column",          UL_COL_RUID,          "ruid"),
	COL("user_column",          UL_COL_USER,          "username"),
	COL("domain_column",        UL_COL_DOMAIN,        "domain"),
	COL("contact_column",       UL_COL_CONTACT,       "contact"),
	COL("received_column",      UL_COL_RECEIVED,      "received"),
	COL("path_column",          UL_COL_PATH,          "path"),
	COL("expires_column",       UL_COL_EXPIRES,       "expires"),
	COL("q_column",             UL_COL_Q,             "q"),
	COL("callid_column",        UL_COL_CALLID,        "callid"),
	COL("cseq_column",          UL_COL_CSEQ,          "cseq"),
	COL("last_modified_column", UL_COL_LAST_MODIFIED, "last_modified"),
	COL("flags_column",         UL_COL_FLAGS,         "flags"),
	COL("cflags_column",        UL_COL_CFLAGS,        "cflags"),
	COL("user_agent_column",    UL_COL_USER_AGENT,    "user_agent"),
	COL("socket_column",        UL_COL_SOCKET,        "socket"),
	COL("methods_column",       UL_COL_METHODS,       "methods"),
	COL("instance_column",      UL_COL_INSTANCE,      "instance"),
	COL("reg_id_column",        UL_COL_REG_ID,        "reg_id"),
	COL("server_id_column",     UL_COL_SERVER_ID,     "server_id"),
	COL("connection_id_column", UL_COL_CONNECTION_ID, "connection_id"),
	COL("keepalive_column",     UL_COL_KEEPALIVE,     "keepalive"),
	COL("partition_column",     UL_COL_PARTITION,     "partition"),
	SETTING_END
};
/* clang-format on */

static bool api_use_domain(void)
{
	return ul_conf.use_domain != 0;
}

static int api_db_mode(void)
{
	return ul_conf.db_mode;
}

static int api_nat_bflag(void)
{
	return ul_conf.nat_bflag;
}

static struct str api_xavp_contact(void)
{
	return ul_conf.xavp_contact;
}

static struct str api_domain_name(const struct ul_domain *d)
{
	return d->name;
}

static uint32_t api_n_buckets(struct ul_domain *d)
{
	return shm_hash_n_buckets(d->hash);
}

static const struct ul_api api = {
	.domain_get = ul_domain_get,
	.domain_find = ul_domain_find,
	.domain_name = api_domain_name,
	.use_domain = api_use_domain,
	.db_mode = api_db_mode,
	.nat_bflag = api_nat_bflag,
	.xavp_contact = api_xavp_contact,
	.save = ul_save,
	.undo = ul_undo,
	.sync = ul_sync,
	.get = ul_get_which,
	.get_ruid = ul_get_ruid,
	.remove = ul_remove,
	.loading = ul_loading,
	.bring = ul_bring,
	.fetch_ruid = ul_fetch_ruid,
	.fetch = ul_fetch,
	.plan_db = ul_plan_db,
	.save_db = ul_save_db,
	.touch = ul_touch,
	.n_buckets = api_n_buckets,
	.walk = ul_walk,
	.show_advertised = ul_show_advertised,
	.on_expired = ul_on_expired,
};

static int init(void)
{
	int err;

	if (ul_conf.rm_expired_delay && ul_conf.db_mode != 3) {
		log_error("usrloc: rm_expired_delay needs db_mode 3");
		return -EINVAL;
	}
	err = ul_store_init();
	if (err < 0)
		return log_fail(err, "usrloc: cannot set up the location tables in shared memory");
	err = ul_ka_init();
	return err == 0 && ul_conf.db_mode ? ul_db_init() : err;
}

static int worker_init(struct loop *loop, unsigned worker)
{
	int err = worker == 0 ? ul_timer_start(loop) : 0;

	if (err == 0 && worker == 0)
		err = ul_ka_start(loop);
	if (err < 0)
		return log_fail(err, "usrloc: cannot start the timers");
	return worker == 0 && !proc_has(SHM_SLOT_RPCD) ? ul_load_start(loop) : 0;
}

/* The workers are gone: what they had not yet written is written now. */
static void done(void)
{
	if (ul_store_ready() && (ul_conf.db_mode == 1 || ul_conf.db_mode == 2))
		ul_db_flush_sync(); /* says itself what it could not write */
}

static const char *const event_routes[] = { "usrloc:contact-expired", NULL };

extern const struct module module_usrloc;
const struct module module_usrloc = {
	.abi = MODULE_ABI,
	.name = "usrloc",
	.settings = settings,
	.conf = &ul_conf,
	.rpcs = ul_rpcs,
	.event_routes = event_routes,
	.api = &api,
	.init = init,
	.worker_init = worker_init,
	.rpcd_init = ul_load_start,
	.done = done,
};
