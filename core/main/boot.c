/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start-up as a table: each step with its name and what undoes it. The first one that fails is reported in one line (which step,
 * on what, why), what was done is undone in reverse, and the exit status is 255. `-c` stops before the first step that
 * others could notice: opening the sockets.
 */
#include "core/main/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/base/log_ring.h"
#include "core/base/num.h"
#include "core/db/db.h"
#include "core/event/doorbell.h"
#include "core/main/core_cmds.h"
#include "core/main/generation.h"
#include "core/main/live.h"
#include "core/main/ops_cmds.h"
#include "core/main/params.h"
#include "core/main/reload.h"
#include "core/main/top_cmds.h"
#include "core/module/loader.h"
#include "core/net/handover.h"
#include "core/net/myself.h"
#include "core/proc/logd.h"
#include "core/proc/proc.h"
#include "core/pv/stat.h"
#include "core/rpc/rpc.h"
#include "core/settings/cfg.h"
#include "core/tm/tm.h"
#include "core/transport/ctx_lock.h"
#include "core/transport/proxied.h"
#include "core/transport/rx.h"
#include "shm/arena.h"
#include "shm/lock.h"
#include "shm/slot.h"

#define EXIT_FAILED 255
#define CONTEXTS_DEFAULT 30000u
#define WATCHDOG_MS 5000u /* no turn of a worker's loop takes a fiftieth of that */

static struct boot {
	const struct options *opts;
	struct main_conf conf;
	struct config *config; /* what script and command line say; conf is what became of it */
	struct script *script;
	struct script_files *files; /* until the generation is described */
	int dir_fd;                 /* where names in the script begin: the folder of the start */
	struct script_err *errs; /* kept for the JSON document */
	unsigned n_workers;
} boot;

/* Prints errors and warnings, or keeps them for report_json(); returns the number of errors. */
static unsigned report(struct script_err *errs)
{
	const struct script_err *e;
	unsigned n = 0;

	for (e = errs; e; e = e->next) {
		if (!boot.opts->errors_json)
			script_err_print(stderr, e);
		n += e->level == SCRIPT_ERROR;
	}
	if (boot.opts->errors_json)
		boot.errs = errs;
	else
		script_errs_free(errs);
	return n;
}

/* failure: what ended the start, or NULL. */
static void report_json(const char *failure)
{
	if (!boot.opts->errors_json)
		return;
	script_errs_print_json(stdout, str_lit(boot.opts->script), boot.errs, failure);
	fflush(stdout);
	script_errs_free(boot.errs);
	boot.errs = NULL;
}

int boot_print_config(const struct options *opts)
{
	struct script_err *errs = NULL;
	struct script_opts so;
	int err;

	boot.opts = opts;
	stage_script_opts(opts, &so);
	err = script_preprocess(&so, stdout, &errs);
	report(errs);
	report_json(NULL);
	return err < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

/* ---- steps before the script ---- */

static int step_register(struct diag *reterr)
{
	int err;

	(void)clock_update();
	boot.config = config_new(boot.opts, false);
	if (!boot.config)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	err = pv_core_register();
	if (err == 0)
		err = vm_register();
	if (err == 0)
		err = route_register();
	return err < 0 ? diag_err(reterr, err, 0, "core variables or functions cannot be registered: %s", strerror(-err)) : 0;
}

static int step_command_line(struct diag *reterr)
{
	return config_begin(boot.config, reterr);
}

static int step_script(struct diag *reterr)
{
	struct script_err *errs = NULL;
	struct script_opts so;
	unsigned n;
	int err;

	boot.dir_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	boot.files = script_files_new(AT_FDCWD, SCRIPT_FILES_ANY);
	if (!boot.files)
		return diag_err(reterr, -ENOMEM, 0, "out of memory");
	stage_script_opts(boot.opts, &so);
	so.host = config_host(boot.config);
	so.files = boot.files;
	err = script_load(&so, &boot.script, &errs);
	n = report(errs);
	if (err < 0)
		return diag_err(reterr, err, 0, "bad config file (%u error%s)", n, n == 1 ? "" : "s");
	return 0;
}

static void undo_script(void)
{
	vm_set_script(NULL);
	script_free(boot.script);
	boot.script = NULL;
	script_files_free(boot.files);
	boot.files = NULL;
}

/* ---- parameters to their owners ---- */

static int step_parameters(struct diag *reterr)
{
	struct main_conf *c;
	int err = config_end(boot.config, reterr);

	if (err < 0)
		return err;
	config_apply(boot.config, &boot.conf);
	c = &boot.conf;
	boot.n_workers = c->children > 0 ? (unsigned)c->children : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (boot.n_workers > 100)
		boot.n_workers = 100;
	if (!c->fork)
		boot.n_workers = 1;
	if (c->stats_name_separator.n > 0)
		stat_separator_set(c->stats_name_separator.s[0]);
	vm_set_script(boot.script);
	rx_configure(&(struct rx_conf){ .msg_max_bytes = (uint32_t)c->msg_recv_max_size, .batch = 64 });
	pv_conf.server_id = c->server_id;
	pv_conf.instance_id = c->iuid;
	log_level_set(c->debug);
	return 0;
}

/* auto_aliases: the names that the addresses have are "myself", too. The only time that a resolver is waited for. */
static void names_from_dns(void)
{
	char name[NI_MAXHOST];

	for (unsigned i = 0; i < net_listener_count(); i++) {
		const struct net_listener *l = net_listener_at(i);
		struct sockaddr_storage sa;
		socklen_t n = net_addr_to_sockaddr(&l->addr, &sa);

		if (net_addr_is_any(&l->addr) || getnameinfo((const struct sockaddr *)&sa, n, name, sizeof(name), NULL, 0, NI_NAMEREQD) != 0)
			continue;
		if (net_alias_add(l->proto, str_lit(name), l->addr.port) < 0)
			log_warn("auto_aliases: no room for %s", name);
	}
}

static int step_listeners(struct diag *reterr)
{
	struct main_conf *c = &boot.conf;
	struct diag why = { 0 };
	char text[160];
	unsigned i;
	int err;

	if (c->disable_tcp)
		net_tcp_disable();
	if (c->mhomed)
		net_mhomed_enable();
	if (c->auto_bind_ipv6)
		net_auto_ipv6_enable();
	net_link_local_set(c->bind_ipv6_link_local);
	net_addr_hex_style(c->ipv6_hex_style.s[0]);
	for (i = 0; i < boot.config->n_listen || i == 0; i++) {
		struct net_listen_spec s = { 0 }; /* none given: every address */

		if (boot.config->n_listen > 0)
			s = boot.config->listen[i].spec;

		if (c->disable_tcp && s.proto != SIP_PROTO_NONE && s.proto != SIP_PROTO_UDP) {
			config_spec_text(&s, text, sizeof(text));
			log_warn("not listening on %s: streams are disabled (disable_tcp)", text);
			continue;
		}
		if (s.port == 0 && s.proto != SIP_PROTO_TLS)
			s.port = (uint16_t)c->port;
		if (s.adv_host.n == 0 && c->advertised_address.n > 0) {
			s.adv_host = c->advertised_address;
			s.adv_port = (uint16_t)c->advertised_port;
		}
		err = net_listener_add(&s, &why);
		if (err < 0) {
			config_spec_text(&s, text, sizeof(text));
			return diag_err(reterr, err, 0, "listen %s: %s", text, why.text);
		}
	}
	if (net_listener_count() == 0)
		return diag_err(reterr, -ENOENT, 0, "no socket to listen on");
	if (c->auto_aliases)
		names_from_dns();
	return 0;
}

/* ---- memory ---- */

static int step_arena(struct diag *reterr)
{
	struct shm_opts opts;
	int err;

	/* Pages are committed as they are used, so nobody need guess: half of the machine unless told otherwise. */
	if (boot.conf.shm_mb == 0)
		boot.conf.shm_mb = (int)((uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2 >> 20);
	opts = (struct shm_opts){ .ceiling_bytes = (uint64_t)boot.conf.shm_mb << 20 };
	if (opts.ceiling_bytes < ((uint64_t)16 << 20))
		opts.ceiling_bytes = (uint64_t)16 << 20;
	if (opts.ceiling_bytes > SHM_REACH_BYTES)
		opts.ceiling_bytes = SHM_REACH_BYTES;
	err = shm_arena_create(&opts);
	if (err < 0)
		return diag_err(reterr, err, 0, "shared memory of %d MB: %s", boot.conf.shm_mb, strerror(-err));
	hashfn_key(shm_arena_secret());
	err = shm_slot_take(0, SHM_SLOT_SUPERVISOR);
	if (err == 0)
		err = doorbell_open_all(SHM_SLOTS_MAX);
	return err < 0 ? diag_err(reterr, err, 0, "slot or doorbells: %s", strerror(-err)) : 0;
}

static int step_settings(struct diag *reterr)
{
	int err = live_register(&boot.conf, boot.opts->suspend_always);

	if (err == 0)
		err = modules_follow();
	if (err == 0)
		err = cfg_share();
	if (err < 0)
		return diag_err(reterr, err, 0, "run-time settings: %s", strerror(-err));
	log_level_at(cfg_int_at(STR_LIT("core"), STR_LIT("debug")));
	return 0;
}

static void undo_settings(void)
{
	log_level_at(NULL); /* its word goes with the arena */
}

/* ---- layers ---- */

static int step_layers(struct diag *reterr)
{
	struct resolve_conf resolve;
	struct conn_conf conn;
	int err;

	err = shm_lock_count();
	if (err < 0)
		return diag_err(reterr, err, 0, "statistics of locks: %s", strerror(-err));
	params_to_resolve(&boot.conf, &resolve);
	if (getenv("RINGFORT_DNS_SERVERS")) /* instead of resolv.conf: "ip[:port],..." */
		resolve.servers = str_lit(getenv("RINGFORT_DNS_SERVERS"));
	params_to_conn(&boot.conf, &conn);
	err = resolve_init(&resolve);
	if (err < 0)
		return diag_err(reterr, err, 0, "resolver: %s", strerror(-err));
	err = conn_init(&conn);
	if (err < 0)
		return diag_err(reterr, err, 0, "connections: %s", strerror(-err));
	err = boot.conf.udp_accept_proxy ? proxied_init((unsigned)boot.conf.udp_accept_proxy) : 0;
	if (err < 0)
		return diag_err(reterr, err, 0, "clients behind proxies (udp_accept_proxy): %s", strerror(-err));
	err = tm_init();
	if (err < 0)
		return diag_err(reterr, err, 0, "transactions: %s", strerror(-err));
	err = route_init();
	if (err < 0)
		return diag_err(reterr, err, 0, "routing: %s", strerror(-err));
	if (boot.conf.rundir.n > 0)
		rpc_run_dir_set(boot.conf.rundir);
	err = rpc_core_register();
	if (err == 0)
		err = main_rpc_register();
	if (err == 0)
		err = reload_register(boot.opts, boot.dir_fd);
	if (err == 0)
		err = ops_register();
	if (err == 0)
		err = top_register();
	return err < 0 ? diag_err(reterr, err, 0, "RPC commands: %s", strerror(-err)) : 0;
}

static int step_modules(struct diag *reterr)
{
	return modules_init(reterr);
}

/* ---- becoming a server ---- */

static int step_sockets(struct diag *reterr)
{
	const struct main_conf *c = &boot.conf;
	struct net_open_opts o = {
		.n_workers = boot.n_workers,
		.rx_bytes = c->maxbuffer,
		.tx_bytes = c->maxsndbuffer,
		.free_bind = c->free_bind != 0,
		.no_tcp = c->disable_tcp != 0,
		.tos = c->tos,
		.pmtu_discovery = c->pmtu_discovery,
		.backlog = c->tcp_listen_backlog,
		.steer_by_flow = boot.opts->steer_by_flow,
		.stream = params_to_stream(c),
	};

	return net_listeners_open(&o, reterr);
}

static int step_limits(struct diag *reterr)
{
	const struct rlimit none = { 0 };
	struct rlimit lim;
	rlim_t want = (rlim_t)boot.conf.open_files_limit;

	if (boot.conf.disable_core_dump && setrlimit(RLIMIT_CORE, &none) < 0)
		return diag_err(reterr, -errno, 0, "disable_core_dump: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return diag_err(reterr, -errno, 0, "open_files_limit: %s", strerror(errno));
	if (want == 0)
		want = lim.rlim_max;
	if (want <= lim.rlim_cur)
		return 0;
	lim.rlim_cur = want;
	if (want > lim.rlim_max)
		lim.rlim_max = want;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0 && boot.conf.open_files_limit > 0)
		return diag_err(reterr, -errno, 0, "open_files_limit=%d: %s", boot.conf.open_files_limit, strerror(errno));
	return 0;
}

static int numeric_or(struct str s, uint32_t *ret)
{
	return num_u32(s, ret);
}

static int step_privileges(struct diag *reterr)
{
	const struct main_conf *c = &boot.conf;
	const struct passwd *pw = NULL;
	const struct group *gr = NULL;
	char name[256];
	uint32_t id;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (c->user.n > 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(c->user));
		pw = getpwnam(name);
		if (pw) {
			uid = pw->pw_uid;
			gid = pw->pw_gid;
		} else if (numeric_or(c->user, &id) == 0) {
			uid = id;
		} else {
			return diag_err(reterr, -ENOENT, 0, "user %s does not exist", name);
		}
	}
	if (c->group.n > 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(c->group));
		gr = getgrnam(name);
		if (gr)
			gid = gr->gr_gid;
		else if (numeric_or(c->group, &id) == 0)
			gid = id;
		else
			return diag_err(reterr, -ENOENT, 0, "group %s does not exist", name);
	}
	if (c->rundir.n > 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(c->rundir));
		if (mkdir(name, 0700) == 0) {
			if (chown(name, uid, gid) < 0)
				return diag_err(reterr, -errno, 0, "rundir %s: %s", name, strerror(errno));
		} else if (errno != EEXIST) {
			return diag_err(reterr, -errno, 0, "rundir %s: %s", name, strerror(errno));
		}
	}
	if (c->chroot.n > 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(c->chroot));
		if (chroot(name) < 0 || chdir("/") < 0)
			return diag_err(reterr, -errno, 0, "chroot %s: %s", name, strerror(errno));
	}
	if (c->workdir.n > 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(c->workdir));
		if (chdir(name) < 0)
			return diag_err(reterr, -errno, 0, "workdir %s: %s", name, strerror(errno));
	}
	/* executed again by itself: all this was done then, and may not be done now */
	if (getuid() != 0 && (uid == (uid_t)-1 || uid == getuid()) && (gid == (gid_t)-1 || gid == getgid()))
		return 0;
	if (gid != (gid_t)-1 && (setgid(gid) < 0 || (pw ? initgroups(pw->pw_name, gid) : setgroups(1, &gid)) < 0))
		return diag_err(reterr, -errno, 0, "group %u: %s", (unsigned)gid, strerror(errno));
	if (uid != (uid_t)-1 && setuid(uid) < 0)
		return diag_err(reterr, -errno, 0, "user %u: %s", (unsigned)uid, strerror(errno));
	return 0;
}

/* Modules opened them as who started the server; who serves must be able to. */
static int step_databases(struct diag *reterr)
{
	const struct main_conf *c = &boot.conf;
	struct diag why = { 0 };
	int err = c->user.n || c->group.n || c->chroot.n ? db_probe_again(&why) : 0;

	return err < 0 ? diag_err(reterr, err, 0, "as user %u, group %u: %s (user and group need the file and its folder)", (unsigned)getuid(), (unsigned)getgid(), why.text) : 0;
}

/* What each process asks for itself; a system that refuses is no reason not to serve. */
static void process_claims(void)
{
	static const int policies[] = { SCHED_OTHER, SCHED_RR, SCHED_FIFO };
	const struct main_conf *c = &boot.conf;
	struct sched_param sched = { .sched_priority = c->rt_prio };

	/* on fault: most of what is reserved is never touched */
	if (c->mlock_pages && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		log_warn("mlock_pages: %s", strerror(errno));
	if ((c->real_time & 4) && sched_setscheduler(0, policies[c->rt_policy], &sched) < 0)
		log_warn("real_time, rt_policy %d, rt_prio %d: %s", c->rt_policy, c->rt_prio, strerror(errno));
}

static int worker_start(struct loop *loop, unsigned number)
{
	int err = ctx_pool_init(CONTEXTS_DEFAULT);

	process_claims();
	if (err == 0)
		err = generation_process_start(loop);
	if (err == 0)
		err = conn_worker_init(loop);
	if (err == 0)
		err = ctx_lock_worker_init(loop);
	if (err == 0)
		err = resolve_worker_init(loop);
	if (err == 0)
		err = tm_worker_init(loop);
	if (err == 0)
		err = route_worker_init(loop);
	if (err == 0)
		err = modules_worker_init(loop, number);
	if (err == 0)
		err = route_worker_one_init();
	if (err == 0)
		err = rx_worker_init(loop, number);
	return err;
}

static void worker_stop(unsigned number)
{
	(void)number; /* all do the same */
	rx_stop();
	modules_worker_stop();
}

static int rpcd_start(struct loop *loop, unsigned number)
{
	int err = ctx_pool_init(64);

	(void)number; /* there is one */
	if (err == 0)
		err = generation_process_start(loop);
	if (err == 0)
		err = reload_rpcd_init(loop);
	if (err == 0)
		err = resolve_worker_init(loop);
	if (err == 0)
		err = modules_rpcd_init(loop);
	return err;
}

static void rpcd_stop(unsigned number)
{
	(void)number;
	modules_worker_stop();
}

static int step_generation(struct diag *reterr)
{
	int err = generation_init(boot.opts, boot.script, boot.config, boot.files, boot.n_workers);

	if (err < 0)
		return diag_err(reterr, err, 0, "memory for generations of the script: %s", strerror(-err));
	script_files_free(boot.files);
	boot.files = NULL;
	return 0;
}

static int step_first_event(struct diag *reterr)
{
	int err = route_modinit_before();

	return err < 0 ? diag_err(reterr, err, 0, "%s", strerror(-err)) : 0;
}

static int step_processes(struct diag *reterr)
{
	static struct proc_desc workers, rpcd, logd;
	int err;

	workers = (struct proc_desc){ .name = "sip worker child=%u", .kind = SHM_SLOT_WORKER, .first_slot = 1, .n = boot.n_workers,
				      .rank = 1, .start = worker_start, .stop = worker_stop };
	rpcd = (struct proc_desc){ .name = "rpcd", .kind = SHM_SLOT_RPCD, .first_slot = 1 + boot.n_workers, .n = 1, .rank = -2,
				   .start = rpcd_start, .stop = rpcd_stop };
	logd = (struct proc_desc){ .name = "logd", .kind = SHM_SLOT_LOGD, .first_slot = 2 + boot.n_workers, .n = 1, .rank = -3, .start = logd_start,
				   .stop = logd_stop, .may_block = true, .stops_last = true };
	err = proc_register(&workers);
	if (err == 0 && boot.conf.fork)
		err = proc_register(&rpcd);
	if (err == 0 && boot.conf.fork)
		err = proc_register(&logd);
	if (err == 0 && boot.conf.fork)
		err = log_rings_new(SHM_SLOTS_MAX);
	return err < 0 ? diag_err(reterr, err, 0, "process table: %s", strerror(-err)) : 0;
}

/* ---- the table ---- */

static const struct step {
	const char *name;
	int (*run)(struct diag *reterr);
	void (*undo)(void); /* also after the step itself failed */
	bool not_in_check;  /* others could notice it */
} steps[] = {
	/* clang-format off */
	{ "registering the core",      step_register,     NULL,                false },
	{ "command line",              step_command_line, NULL,                false },
	{ "script",                    step_script,       undo_script,         false },
	{ "parameters",                step_parameters,   NULL,                false },
	{ "sockets",                   step_listeners,    NULL,                false },
	{ "shared memory",             step_arena,        shm_arena_destroy,   false },
	{ "settings",                  step_settings,     undo_settings,       false },
	{ "core layers",               step_layers,       NULL,                false },
	{ "modules",                   step_modules,      modules_done,        false },
	{ "core:modinit-before",       step_first_event,  NULL,                true },
	{ "limits",                    step_limits,       NULL,                true },
	{ "opening sockets",           step_sockets,      net_listeners_close, true },
	{ "privileges",                step_privileges,   NULL,                true },
	{ "databases",                 step_databases,    NULL,                true },
	{ "generations",               step_generation,   NULL,                true },
	{ "processes",                 step_processes,    log_rings_free,               true },
	/* clang-format on */
};

static void print_lists(void)
{
	enum sip_proto proto;
	struct str name;
	uint16_t port;
	unsigned i;

	puts("Listening on");
	for (i = 0; i < net_listener_count(); i++) {
		const struct net_listener *l = net_listener_at(i);

		printf("             %s: %.*s:%u", sip_proto_name(l->proto), STR_FMT(l->host), l->addr.port);
		if (l->adv_host.n > 0)
			printf(" advertise %.*s:%u", STR_FMT(l->adv_host), l->adv_port ? l->adv_port : l->addr.port);
		if (l->name.n > 0)
			printf(" name \"%.*s\"", STR_FMT(l->name));
		puts(l->is_virtual ? " virtual" : "");
	}
	puts("Aliases:");
	for (i = 0; i < net_alias_count(); i++) {
		if (net_alias_at(i, &proto, &name, &port) < 0)
			continue;
		printf("             %s: %.*s:", proto ? sip_proto_name(proto) : "*", STR_FMT(name));
		if (port)
			printf("%u\n", port);
		else
			puts("*");
	}
	puts("");
	fflush(stdout);
}

static void started(void)
{
	log_notice("started: %u worker%s, %u socket%s", boot.n_workers, boot.n_workers == 1 ? "" : "s", net_listener_count(),
		   net_listener_count() == 1 ? "" : "s");
}

/* NUL-ended, for ever; NULL when empty. */
static const char *text(struct str s)
{
	return s.n > 0 ? s.s : NULL; /* texts of the script are copies with a NUL behind */
}

static int run_processes(void)
{
	const struct main_conf *c = &boot.conf;
	struct log_opts log = {
		.to_stderr = c->log_stderror != 0,
		.color = c->log_color != 0,
		.facility = params_facility(c->log_facility),
		.ident = text(c->log_name),
		.syslog_path = getenv("RINGFORT_SYSLOG"), /* for tests: instead of /dev/log */
		.tee = true,
		.engine = c->log_engine_type.n > 0 ? LOG_ENGINE_JSON : LOG_ENGINE_TEXT,
		.repeat_limit = (unsigned)c->log_repeat_limit,
		.repeat_window_ms = (unsigned)c->log_repeat_window * 1000u,
	};
	struct proc_opts proc = {
		.exit_timeout_s = (unsigned)c->exit_timeout,
		.fork = c->fork != 0,
		.daemonize = c->fork != 0 && boot.opts->foreground != 2,
		.pid_file = boot.opts->pid_file,
		.watchdog_ms = WATCHDOG_MS,
		.anew = net_handover_give,
		.started = started,
	};
	FILE *f;

	if (log_json_flags(c->log_engine_data, &log.json) < 0)
		log.json = 0; /* params_set() has looked */
	if (boot.opts->pgid_file) {
		f = fopen(boot.opts->pgid_file, "we");
		if (!f || fprintf(f, "%d\n", (int)getpgrp()) < 0 || fclose(f) != 0)
			log_warn("cannot write %s: %s", boot.opts->pgid_file, strerror(errno));
	}
	log_open(&log);
	return proc_run(&proc);
}

int boot_run(const struct options *opts)
{
	struct log_opts log = { .to_stderr = true, .color = opts->color };
	struct diag why = { 0 };
	int status = EXIT_SUCCESS, err = 0;
	char failure[320];
	size_t i;

	boot.opts = opts;
	log_open(&log);
	log_level_set(opts->debug != INT_MIN ? opts->debug : L_WARN);
	for (i = 0; i < ARRAY_LEN(steps); i++) {
		if (opts->check && steps[i].not_in_check)
			break;
		err = steps[i].run(&why);
		if (err < 0) {
			snprintf(failure, sizeof(failure), "%s: %s", steps[i].name, why.text[0] ? why.text : strerror(-err));
			fprintf(stderr, "ringfort: cannot start: %s\n", failure);
			report_json(failure);
			status = EXIT_FAILED;
			i++; /* its own undo too */
			break;
		}
	}
	if (status == EXIT_SUCCESS)
		report_json(NULL);
	if (status == EXIT_SUCCESS && opts->check) {
		if (!opts->errors_json)
			print_lists();
		fputs("config file ok, exiting...\n", stderr);
	} else if (status == EXIT_SUCCESS) {
		status = run_processes();
	}
	while (i-- > 0)
		if (steps[i].undo)
			steps[i].undo();
	return status;
}
