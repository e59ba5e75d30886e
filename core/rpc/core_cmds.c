/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that are always there and need nothing above this layer: system.* and core.* */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "core/base/clock.h"
#include "core/event/loop.h"
#include "core/net/listener.h"
#include "core/net/myself.h"
#include "core/proc/proc.h"
#include "core/rpc/rpc_priv.h"
#include "shm/arena.h"
#include "shm/recover.h"

#define SOURCE_ID "unknown"
#define COMPILED __DATE__ " " __TIME__
#define TIME_TEXT_MAX 32

/* ---- system.* ---- */

static void list_methods(struct rpc *rpc)
{
	const struct rpc_method *m;

	for (unsigned i = 0; (m = rpc_at(i)); i++)
		rpc_add_str(rpc, NULL, NULL, str_lit(m->name));
}

static void method_help(struct rpc *rpc)
{
	const struct rpc_method *m;
	struct str name;

	if (rpc_arg_str(rpc, &name) < 0) {
		rpc_fault(rpc, 400, "Method Name Expected");
		return;
	}
	m = rpc_find(name);
	if (!m)
		rpc_fault(rpc, 400, "command not found");
	else
		rpc_add_str(rpc, NULL, NULL, str_lit(m->doc && m->doc[0] ? m->doc : "undocumented"));
}

static void method_signature(struct rpc *rpc)
{
	rpc_fault(rpc, 500, "Not Implemented Yet");
}

/* ---- echoes ---- */

static void echo(struct rpc *rpc)
{
	struct str s;

	while (rpc_args_left(rpc) && rpc_arg_any_str(rpc, &s) == 0)
		rpc_add_str(rpc, NULL, NULL, s);
}

static void prints(struct rpc *rpc)
{
	struct str s;

	while (rpc_args_left(rpc) && rpc_arg_str(rpc, &s) == 0)
		rpc_add_str(rpc, NULL, NULL, s);
}

static void printi(struct rpc *rpc)
{
	int64_t i;

	while (rpc_args_left(rpc) && rpc_arg_int(rpc, &i) == 0)
		rpc_add_int(rpc, NULL, NULL, i);
}

/* ---- what runs here ---- */

static const char *build_flags(void)
{
	return "USE_TCP, USE_IPV6, SHM_ARENA"
#ifdef RF_CRASH_POINTS
	       ", CRASH_POINTS"
#endif
#ifdef __SANITIZE_ADDRESS__
	       ", ASAN"
#endif
		;
}

/* The kernel's name in lower case, as "x86_64/linux". */
static const char *arch_os(void)
{
	static char text[160];
	struct utsname u;

	if (uname(&u) < 0)
		return "unknown";
	(void)snprintf(text, sizeof(text), "%.70s/%.70s", u.machine, u.sysname);
	for (char *p = text; *p; p++)
		*p = char_lower(*p);
	return text;
}

static void version(struct rpc *rpc)
{
	rpc_add_printf(rpc, NULL, NULL, "%s %s (%s) %s", PACKAGE_NAME, PACKAGE_VERSION, arch_os(), SOURCE_ID);
}

static void flags(struct rpc *rpc)
{
	rpc_add_str(rpc, NULL, NULL, str_lit(build_flags()));
}

static void info(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);

	rpc_add_printf(rpc, n, "version", "%s %s", PACKAGE_NAME, PACKAGE_VERSION);
	rpc_add_str(rpc, n, "id", STR_LIT(SOURCE_ID));
	rpc_add_str(rpc, n, "compiler", STR_LIT("cc " __VERSION__));
	rpc_add_str(rpc, n, "compiled", STR_LIT(COMPILED));
	rpc_add_str(rpc, n, "flags", str_lit(build_flags()));
}

static struct str time_text(int64_t t, char out[TIME_TEXT_MAX])
{
	time_t tt = (time_t)t;
	struct tm tm;
	size_t n;

	if (!localtime_r(&tt, &tm))
		return STR_LIT("unknown");
	n = strftime(out, TIME_TEXT_MAX, "%a %b %e %H:%M:%S %Y", &tm);
	return str_of(out, n);
}

static void uptime(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	int64_t now = clock_wall().tv_sec, start = proc_started_at();
	char mem[TIME_TEXT_MAX];

	rpc_add_str(rpc, n, "now", time_text(now, mem));
	rpc_add_str(rpc, n, "up_since", time_text(start, mem));
	rpc_add_int(rpc, n, "uptime", now - start);
}

static void runinfo(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	int64_t now = clock_wall().tv_sec, start = proc_started_at(), up = now - start;
	char mem[TIME_TEXT_MAX];

	rpc_add_str(rpc, n, "name", STR_LIT(PACKAGE_NAME));
	rpc_add_str(rpc, n, "version", STR_LIT(PACKAGE_VERSION));
	rpc_add_str(rpc, n, "sourceid", STR_LIT(SOURCE_ID));
	rpc_add_str(rpc, n, "compiler", STR_LIT("cc " __VERSION__));
	rpc_add_str(rpc, n, "compiled", STR_LIT(COMPILED));
	rpc_add_str(rpc, n, "time_now", time_text(now, mem));
	rpc_add_str(rpc, n, "time_started", time_text(start, mem));
	rpc_add_int(rpc, n, "uptime_secs", up);
	rpc_add_printf(rpc, n, "utime_days", "%lldd %lldh %lldm %llds", (long long)(up / 86400), (long long)(up / 3600 % 24),
		       (long long)(up / 60 % 60), (long long)(up % 60));
}

static void ps(struct rpc *rpc)
{
	struct proc_info p;

	for (unsigned i = 0; i < proc_count(); i++) {
		if (proc_at(i, &p) < 0)
			continue;
		rpc_add_int(rpc, NULL, NULL, p.pid);
		rpc_add_str(rpc, NULL, NULL, str_lit(p.desc));
	}
}

static void psx(struct rpc *rpc)
{
	struct proc_info p;

	for (unsigned i = 0; i < proc_count(); i++) {
		struct rpc_node *n;

		if (proc_at(i, &p) < 0)
			continue;
		n = rpc_add_object(rpc, NULL, NULL);
		rpc_add_int(rpc, n, "IDX", p.index);
		rpc_add_int(rpc, n, "PID", p.pid);
		rpc_add_str(rpc, n, "DSC", str_lit(p.desc));
	}
}

static void psa(struct rpc *rpc)
{
	struct proc_info p;

	for (unsigned i = 0; i < proc_count(); i++) {
		struct rpc_node *n;

		if (proc_at(i, &p) < 0)
			continue;
		n = rpc_add_object(rpc, NULL, NULL);
		rpc_add_int(rpc, n, "index", p.index);
		rpc_add_int(rpc, n, "pid", p.pid);
		rpc_add_int(rpc, n, "status", 1);
		rpc_add_int(rpc, n, "rank", p.rank);
		rpc_add_str(rpc, n, "description", str_lit(p.desc));
	}
}

static void pwd(struct rpc *rpc)
{
	char mem[4096];

	if (getcwd(mem, sizeof(mem)))
		rpc_add_str(rpc, NULL, NULL, str_lit(mem));
	else
		rpc_fault(rpc, 500, "getcwd failed");
}

static void arg(struct rpc *rpc)
{
	static char mem[65536];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, mem, sizeof(mem) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n < 0) {
		rpc_fault(rpc, 500, "Internal error");
		return;
	}
	mem[n] = 0;
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(mem + at) + 1)
		rpc_add_str(rpc, NULL, NULL, str_lit(mem + at));
}

/* The answer goes out first; then the supervisor is told, which ends the others. */
static int kill_signal;

static void kill_now(void *unused)
{
	struct proc_info p;

	(void)unused;
	if (proc_at(0, &p) == 0 && p.pid > 0)
		(void)kill(p.pid, kill_signal);
}

static void kill_cmd(struct rpc *rpc)
{
	static struct loop_timer *timer;
	int64_t sig = SIGTERM;

	if (rpc_args_left(rpc) && rpc_arg_int(rpc, &sig) < 0)
		return;
	if (sig < 1 || sig > 64 || !loop_self()) {
		rpc_fault(rpc, 500, "Invalid signal");
		return;
	}
	kill_signal = (int)sig;
	loop_timer_del(timer);
	timer = NULL;
	if (loop_timer_add(loop_self(), 100, 0, kill_now, NULL, &timer) < 0)
		rpc_fault(rpc, 500, "Internal error");
}

/* ---- memory, sockets ---- */

static void shmmem(struct rpc *rpc)
{
	static const struct { char letter; uint64_t unit; } units[] = { { 'b', 1 }, { 'k', 1 << 10 }, { 'm', 1 << 20 }, { 'g', 1 << 30 } };
	struct shm_stats s;
	struct rpc_node *n;
	struct str arg_text;
	uint64_t unit = rpc_args_left(rpc) ? 0 : 1;

	if (unit == 0 && rpc_arg_str(rpc, &arg_text) == 0 && arg_text.n > 0 && (arg_text.n == 1 || (arg_text.n == 2 && (arg_text.s[1] | 32) == 'b')))
		for (unsigned i = 0; i < ARRAY_LEN(units); i++)
			if ((arg_text.s[0] | 32) == units[i].letter)
				unit = units[i].unit;
	if (unit == 0) {
		rpc_fault(rpc, 500, "bad param, (use b|k|m|g)");
		return;
	}
	shm_arena_stats(&s);
	n = rpc_add_object(rpc, NULL, NULL);
	rpc_add_int(rpc, n, "total", (int64_t)(s.ceiling_bytes / unit));
	rpc_add_int(rpc, n, "free", (int64_t)((s.ceiling_bytes > s.used_bytes ? s.ceiling_bytes - s.used_bytes : 0) / unit));
	rpc_add_int(rpc, n, "used", (int64_t)(s.used_bytes / unit));
	rpc_add_int(rpc, n, "real_used", (int64_t)(s.committed_bytes / unit));
	rpc_add_int(rpc, n, "max_used", (int64_t)(s.max_used_bytes / unit));
	rpc_add_int(rpc, n, "fragments", (int64_t)s.n_spans);
}

static void udp4_raw_info(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);

	rpc_add_int(rpc, n, "udp4_raw", 0);
	rpc_add_int(rpc, n, "udp4_raw_mtu", 0);
	rpc_add_int(rpc, n, "udp4_raw_ttl", 0);
}

static void sockets_list(struct rpc *rpc)
{
	struct rpc_node *list = rpc_add_array(rpc, NULL, NULL);

	for (unsigned i = 0; i < net_listener_count(); i++) {
		const struct net_listener *l = net_listener_at(i);
		struct rpc_node *n = l ? rpc_add_object(rpc, list, "socket") : NULL;
		char ip[NET_ADDR_TEXT_MAX];

		if (!n)
			break;
		rpc_add_str(rpc, n, "af", l->addr.family == AF_INET6 ? STR_LIT("ipv6") : STR_LIT("ipv4"));
		rpc_add_str(rpc, n, "proto", str_lit(sip_proto_name(l->proto)));
		rpc_add_str(rpc, n, "address", str_of(ip, net_addr_ip_text(&l->addr, false, ip)));
		rpc_add_printf(rpc, n, "port", "%u", l->addr.port);
		rpc_add_str(rpc, n, "agname", l->name.n ? l->name : STR_LIT("none"));
		rpc_add_str(rpc, n, "mcast", STR_LIT("no"));
		rpc_add_str(rpc, n, "mhomed", net_mhomed() ? STR_LIT("yes") : STR_LIT("no"));
		rpc_add_str(rpc, n, "virtual", l->is_virtual ? STR_LIT("yes") : STR_LIT("no"));
	}
}

static void aliases_list(struct rpc *rpc)
{
	struct rpc_node *top = rpc_add_object(rpc, NULL, NULL), *list;

	rpc_add_str(rpc, top, "myself_callbacks", net_myself_count() ? STR_LIT("yes") : STR_LIT("no"));
	list = rpc_add_array(rpc, top, "aliases");
	for (unsigned i = 0; i < net_alias_count(); i++) {
		struct rpc_node *n;
		enum sip_proto proto;
		struct str host;
		uint16_t port;

		if (net_alias_at(i, &proto, &host, &port) < 0)
			continue;
		n = rpc_add_object(rpc, list, "alias");
		rpc_add_str(rpc, n, "proto", proto == SIP_PROTO_NONE ? STR_LIT("*") : str_lit(sip_proto_name(proto)));
		rpc_add_str(rpc, n, "address", host);
		if (port)
			rpc_add_int(rpc, n, "port", port);
		else
			rpc_add_str(rpc, n, "port", STR_LIT("*"));
	}
}

static void shm_check(struct rpc *rpc)
{
	const char *what = NULL;

	if (shm_check_all(&what) < 0)
		rpc_fault(rpc, 500, "broken: %s", what ? what : "unknown");
	else
		rpc_add_str(rpc, NULL, NULL, STR_LIT("ok"));
}

/* clang-format off */
static const struct rpc_method methods[] = {
	{ "system.listMethods",     list_methods,     RPC_RET_ARRAY, "Names of all commands, in byte order." },
	{ "system.methodHelp",      method_help,      0, "What the named command is for." },
	{ "system.methodSignature", method_signature, 0, "Not offered: always a fault." },
	{ "core.echo",              echo,             RPC_RET_ARRAY, "Its parameters, as strings." },
	{ "core.echo_delta",        echo,             RPC_RET_ARRAY | RPC_EXEC_DELTA, "Its parameters, as strings; refused when asked too often." },
	{ "core.prints",            prints,           RPC_RET_ARRAY, "The strings it was given." },
	{ "core.printi",            printi,           RPC_RET_ARRAY, "The integers it was given." },
	{ "core.version",           version,          0, "Name, version and platform of this server." },
	{ "core.flags",             flags,            0, "How this binary was built." },
	{ "core.info",              info,             0, "Version, compiler and build." },
	{ "core.runinfo",           runinfo,          0, "Version and times of this run." },
	{ "core.uptime",            uptime,           0, "Since when the server runs." },
	{ "core.ps",                ps,               RPC_RET_ARRAY, "Process ids and what each process does." },
	{ "core.psx",               psx,              RPC_RET_ARRAY, "The processes: index, id, description." },
	{ "core.psa",               psa,              RPC_RET_ARRAY, "The processes: index, id, state, rank, description." },
	{ "core.pwd",               pwd,              RPC_RET_ARRAY, "Working directory." },
	{ "core.arg",               arg,              RPC_RET_ARRAY, "Command line." },
	{ "core.kill",              kill_cmd,         0, "Sends a signal (15 unless given) to all processes of the server, after answering." },
	{ "core.shmmem",            shmmem,           0, "Use of shared memory; parameter b, k, m or g is the unit." },
	{ "core.udp4_raw_info",     udp4_raw_info,    0, "Raw socket settings: always off here." },
	{ "core.sockets_list",      sockets_list,     0, "Sockets that the server listens on." },
	{ "core.aliases_list",      aliases_list,     0, "Names that count as this server." },
	{ "shm.check",              shm_check,        0, "Verifies every structure in shared memory: ok, or a fault that names the first broken one." },
	{ .name = NULL },
};
/* clang-format on */

int rpc_core_register(void)
{
	return rpc_register(methods);
}
