/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module ctl: binrpc, what kamcmd speaks, over Unix and IP sockets, streams and datagrams. The packets are core/rpc/binrpc.c's, the
 * clients core/rpc/serve.c's; here are the parameters, and the commands that tell who is connected. Runs in process rpcd.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/module/abi.h"
#include "core/rpc/binrpc.h"
#include "core/rpc/serve.h"
#include "shm/slab.h"

#define SOCKS_MAX 16u
#define PORT_DEFAULT 2049u
#define NAME_DEFAULT "kamailio_ctl"
#define STRUCT_KB_DEFAULT 8
#define BUFFER_DEFAULT 1024

static struct conf {
	int mode, autoconversion, body_max_kb, struct_max_kb, buffer_size;
	struct str user, group;
} conf;

static struct {
	struct rpc_sock sock[SOCKS_MAX];
	unsigned n;
	struct rpc_serving serving;
	_Atomic uint32_t *made; /* in the arena: bit i, process rpcd made the file of sock[i]. Read by the supervisor at the end. */
} ctl;

/* ---- parameters ---- */

static bool take_prefix(struct str *text, const char *prefix)
{
	if (!str_istarts(*text, str_lit(prefix)))
		return false;
	*text = str_sub(*text, strlen(prefix), text->n);
	return true;
}

/* unixs:path unix:path unixd:path tcp:host[:port] udp:host[:port]; without a word before it, a path when there is a slash in it. */
static int add_binrpc(void *unused, const struct setting *set, int64_t i, struct str text, struct diag *reterr)
{
	struct rpc_sock *s = &ctl.sock[ctl.n];
	struct str rest = text;

	(void)unused;
	(void)set;
	(void)i;
	if (ctl.n == SOCKS_MAX)
		return diag_set(reterr, 0, "binrpc: more than %u sockets", SOCKS_MAX);
	if (take_prefix(&rest, "unixd:"))
		s->kind = RPC_UNIX_DGRAM;
	else if (take_prefix(&rest, "unixs:") || take_prefix(&rest, "unix:"))
		s->kind = RPC_UNIX_STREAM;
	else if (take_prefix(&rest, "tcp:"))
		s->kind = RPC_TCP;
	else if (take_prefix(&rest, "udp:"))
		s->kind = RPC_UDP;
	else
		s->kind = str_find_char(rest, '/') >= 0 ? RPC_UNIX_STREAM : RPC_UDP;
	if (s->kind == RPC_UNIX_STREAM || s->kind == RPC_UNIX_DGRAM) {
		if (rest.n == 0 || rest.n >= RPC_PATH_MAX)
			return diag_set(reterr, 0, "binrpc \"%.*s\": a path of 1 to %u bytes is needed", STR_FMT(text), RPC_PATH_MAX - 1);
		memcpy(s->path, rest.s, rest.n); /* relative ones become absolute when the run directory is known */
		s->path[rest.n] = 0;
	} else if (rpc_hostport_parse(rest, PORT_DEFAULT, &s->addr) < 0) {
		return diag_set(reterr, 0, "binrpc \"%.*s\": unixs:path, unixd:path, tcp:address[:port] or udp:address[:port] is needed",
				STR_FMT(text));
	}
	ctl.n++;
	return 0;
}

static int no_fifo(void *unused, const struct setting *set, int64_t i, struct str text, struct diag *reterr)
{
	(void)unused;
	(void)set;
	(void)i;
	return diag_set(reterr, 0, "fifo \"%.*s\": the line protocol is not built in, use binrpc or the FIFO of jsonrpcs", STR_FMT(text));
}

/* clang-format off */
static const struct setting settings[] = {
	SETTING_FN_STR("binrpc",         add_binrpc),
	SETTING_FN_STR("fifo",           no_fifo),
	SETTING_INT("mode",              struct conf, mode,           0600, 0, 0777),
	SETTING_STR("user",              struct conf, user,           NULL),
	SETTING_STR("group",             struct conf, group,          NULL),
	SETTING_INT("autoconversion",    struct conf, autoconversion, 0,    0, 1),
	SETTING_INT("binrpc_max_body_size",        struct conf, body_max_kb,   32, 1, 262144),
	SETTING_INT("binrpc_struct_max_body_size", struct conf, struct_max_kb, STRUCT_KB_DEFAULT, 1, 262144),
	SETTING_INT("binrpc_buffer_size",          struct conf, buffer_size,   BUFFER_DEFAULT,    1, INT_MAX),
	SETTING_END
};
/* clang-format on */

/* ---- packets ---- */

static int run(struct str packet, struct rpc_out *out)
{
	return rpc_bin_run(packet, conf.autoconversion != 0, out);
}

static ptrdiff_t frame(struct str bytes, struct rpc_scan *scan)
{
	(void)scan;
	return rpc_bin_frame(bytes);
}

/* ---- commands ---- */

static const char *transport_name(enum rpc_sock_kind kind)
{
	static const char *const names[] = { [RPC_UNIX_STREAM] = "unix_stream", [RPC_UNIX_DGRAM] = "unix_dgram", [RPC_TCP] = "tcp",
					     [RPC_UDP] = "udp" };

	return names[kind];
}

static bool is_unix(const struct rpc_sock *s)
{
	return s->kind == RPC_UNIX_STREAM || s->kind == RPC_UNIX_DGRAM;
}

static void add_addr(struct rpc *rpc, const struct net_addr *a)
{
	char ip[NET_ADDR_TEXT_MAX];

	rpc_add_str(rpc, NULL, NULL, str_of(ip, net_addr_ip_text(a, false, ip)));
	rpc_add_printf(rpc, NULL, NULL, "%u", a->port);
}

static void add_path(struct rpc *rpc, const char *path)
{
	rpc_add_str(rpc, NULL, NULL, str_lit(path));
	rpc_add_str(rpc, NULL, NULL, STR_LIT(""));
}

static void add_local(struct rpc *rpc, const struct rpc_sock *s)
{
	if (is_unix(s))
		add_path(rpc, s->path);
	else
		add_addr(rpc, &s->addr);
}

static void rpc_listen(struct rpc *rpc)
{
	for (unsigned i = 0; i < ctl.n; i++) {
		rpc_add_str(rpc, NULL, NULL, STR_LIT("binrpc"));
		rpc_add_str(rpc, NULL, NULL, str_lit(transport_name(ctl.sock[i].kind)));
		add_local(rpc, &ctl.sock[i]);
	}
}

static bool is_ours(const struct rpc_sock *s)
{
	return s && s >= ctl.sock && s < ctl.sock + ctl.n;
}

struct walk {
	struct rpc *rpc;
	unsigned n;
};

static void count_one(const struct rpc_client_info *info, void *arg)
{
	struct walk *w = arg;

	w->n += is_ours(info->sock);
}

static void show_one(const struct rpc_client_info *info, void *arg)
{
	struct walk *w = arg;

	if (!is_ours(info->sock))
		return;
	w->n++;
	rpc_add_str(w->rpc, NULL, NULL, STR_LIT("binrpc"));
	rpc_add_str(w->rpc, NULL, NULL, str_lit(transport_name(info->sock->kind)));
	if (is_unix(info->sock))
		add_path(w->rpc, "<anonymous unix socket>");
	else
		add_addr(w->rpc, &info->peer);
	add_local(w->rpc, info->sock);
}

static bool asked_by_binrpc(struct rpc *rpc)
{
	if (is_ours(rpc_serving_now()))
		return true;
	rpc_fault(rpc, 606, "rpc available only over binrpc (ctl)");
	return false;
}

static void rpc_who(struct rpc *rpc)
{
	struct walk w = { .rpc = rpc };

	if (!asked_by_binrpc(rpc))
		return;
	rpc_clients_each(show_one, &w);
	if (w.n == 0)
		rpc_fault(rpc, 400, "no open stream connection");
}

static void rpc_connections(struct rpc *rpc)
{
	struct walk w = { .rpc = rpc };

	if (!asked_by_binrpc(rpc))
		return;
	rpc_clients_each(count_one, &w);
	rpc_add_int(rpc, NULL, NULL, w.n);
}

/* ---- life ---- */

static int absolute(struct rpc_sock *s)
{
	char path[RPC_PATH_MAX];

	if (rpc_path(str_lit(s->path), path) < 0)
		return log_fail(-ENAMETOOLONG, "ctl: binrpc socket %s", s->path);
	memcpy(s->path, path, sizeof(path));
	return 0;
}

static int init(void)
{
	if (ctl.n == 0) {
		ctl.sock[0] = (struct rpc_sock){ .kind = RPC_UNIX_STREAM, .path = NAME_DEFAULT };
		ctl.n = 1;
	}
	for (unsigned i = 0; i < ctl.n; i++)
		if (is_unix(&ctl.sock[i]) && absolute(&ctl.sock[i]) < 0)
			return -ENAMETOOLONG;
	if (conf.struct_max_kb != STRUCT_KB_DEFAULT || conf.buffer_size != BUFFER_DEFAULT)
		log_warn("ctl: binrpc_struct_max_body_size and binrpc_buffer_size have no effect: there are no such buffers to be sized, "
			 "binrpc_max_body_size limits a reply");
	ctl.serving = (struct rpc_serving){ .who = "ctl", .run = run, .frame = frame, .request_max = RPC_BIN_REQUEST_MAX + BIN_HEAD_MAX,
					    .reply_max = ((size_t)conf.body_max_kb << 10) + BIN_HEAD_MAX };
	ctl.made = shm_zalloc(sizeof(*ctl.made));
	if (!ctl.made)
		return log_fail(-ENOSPC, "ctl: shared memory");
	shm_publish(ctl.made);
	return 0;
}

static int rpcd_init(struct loop *loop)
{
	struct rpc_perms perms = { conf.mode, conf.user, conf.group };

	for (unsigned i = 0; i < ctl.n; i++) {
		int fd, err = rpc_sock_open("ctl", &ctl.sock[i], &perms, &fd);

		if (err == 0 && is_unix(&ctl.sock[i]))
			atomic_fetch_or(ctl.made, 1u << i);
		if (err == 0)
			err = rpc_serve(loop, fd, &ctl.sock[i], &ctl.serving);
		if (err < 0)
			return err;
	}
	return 0;
}

static void done(void)
{
	struct stat st;

	for (unsigned i = 0; ctl.made && i < ctl.n; i++)
		if (atomic_load(ctl.made) >> i & 1 && lstat(ctl.sock[i].path, &st) == 0 && S_ISSOCK(st.st_mode))
			(void)unlink(ctl.sock[i].path);
}

static const struct rpc_method rpcs[] = {
	{ "ctl.connections", rpc_connections, 0, "How many binrpc streams are open" },
	{ "ctl.listen", rpc_listen, RPC_RET_ARRAY, "The sockets of binrpc: protocol, transport, address, port of each" },
	{ "ctl.who", rpc_who, RPC_RET_ARRAY, "The open binrpc streams: protocol, transport, peer, its port, local address, its port of each" },
	{ .name = NULL },
};

extern const struct module module_ctl;
const struct module module_ctl = {
	.abi = MODULE_ABI,
	.name = "ctl",
	.settings = settings,
	.conf = &conf,
	.rpcs = rpcs,
	.init = init,
	.rpcd_init = rpcd_init,
	.done = done,
};
