/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module jsonrpcs: JSON-RPC over FIFO, datagrams and TCP, served in process rpcd, and from the script (jsonrpc_exec). The
 * documents themselves are core/rpc/json.c's business.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "modules/jsonrpcs/jr_priv.h"
#include "shm/slab.h"

enum transport { T_HTTP = 1, T_FIFO = 2, T_DGRAM = 4, T_TCP = 8 };

struct jr_conf jr_conf;

/* clang-format off */
static const struct setting settings[] = {
	SETTING_INT("transport",      struct jr_conf, transport,      6,    0, 15),
	SETTING_INT("pretty_format",  struct jr_conf, pretty_format,  1,    0, 1),
	SETTING_STR("fifo_name",      struct jr_conf, fifo_name,      "kamailio_rpc.fifo"),
	SETTING_INT("fifo_mode",      struct jr_conf, fifo_mode,      0660, 0, 0777),
	SETTING_STR("fifo_user",      struct jr_conf, fifo_user,      NULL),
	SETTING_STR("fifo_group",     struct jr_conf, fifo_group,     NULL),
	SETTING_STR("fifo_reply_dir", struct jr_conf, fifo_reply_dir, "/tmp/"),
	SETTING_STR("dgram_socket",   struct jr_conf, dgram_socket,   "kamailio_rpc.sock"),
	SETTING_INT("dgram_workers",  struct jr_conf, dgram_workers,  1,    1, 1024), /* one process serves all */
	SETTING_INT("dgram_timeout",  struct jr_conf, dgram_timeout,  2000, 0, INT_MAX),
	SETTING_INT("dgram_mode",     struct jr_conf, dgram_mode,     0660, 0, 0777),
	SETTING_STR("dgram_user",     struct jr_conf, dgram_user,     NULL),
	SETTING_STR("dgram_group",    struct jr_conf, dgram_group,    NULL),
	SETTING_STR("stream_socket",  struct jr_conf, stream_socket,  NULL), /* of our own */
	SETTING_STR("tcp_socket",     struct jr_conf, tcp_socket,     NULL),
	SETTING_END
};
/* clang-format on */

struct files { /* in the arena: which files process rpcd made. Written by rpcd, read by the supervisor at the end. */
	_Atomic uint32_t made[JR_FILES];
};

static struct {
	struct files *files;
	int modstate;
} jr = { .modstate = -1 };

void jr_file_note(enum jr_file file)
{
	if (jr.files)
		atomic_store(&jr.files->made[file], 1);
}

/* A file of that type only: what stands there may be another's by now. */
static void remove_if(const char *path, mode_t type)
{
	struct stat st;

	if (lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type)
		(void)unlink(path);
}

static void jr_files_remove(void)
{
	char path[RPC_PATH_MAX];

	if (!jr.files)
		return;
	if (atomic_load(&jr.files->made[JR_FIFO]) && rpc_path(jr_conf.fifo_name, path) == 0)
		remove_if(path, S_IFIFO);
	for (enum jr_file i = JR_DGRAM; i < JR_FILES; i++)
		if (atomic_load(&jr.files->made[i]) && jr_sock_path(i)[0])
			remove_if(jr_sock_path(i), S_IFSOCK);
}

/* ---- jsonrpc_exec("..."), $jsonrpl(x) ---- */

struct result {
	int64_t code;
	struct str text, body;
};

static int fn_exec(struct ctx *ctx, const union script_arg *args, unsigned n)
{
	struct result *r = pool_zalloc(ctx->pool, sizeof(*r));
	struct strbuf sb;
	struct rpc_out out = { .reply = &sb };

	(void)n;
	if (!r)
		return -1;
	ctx->modstate[jr.modstate] = NULL;
	strbuf_init_pool(&sb, ctx->pool, JR_DOC_MAX);
	if (rpc_json_run(args[0].s, jr_conf.pretty_format != 0, &out) < 0)
		return -1;
	r->code = out.fault_code ? out.fault_code : 200;
	r->text = out.fault_code ? str_dup(ctx->pool, str_lit(out.fault_text)) : STR_LIT("OK");
	r->body = strbuf_str(&sb);
	ctx->modstate[jr.modstate] = r;
	return 1;
}

static int reply_prepare(struct pool *pool, struct pv_spec *spec, struct diag *reterr)
{
	static const char *const names[] = { "code", "text", "body" };

	(void)pool;
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(spec->inner, str_lit(names[i]))) {
			spec->arg = (intptr_t)i;
			return 0;
		}
	}
	return diag_set(reterr, 0, "$jsonrpl(): code, text or body expected");
}

static int reply_get(struct ctx *ctx, const struct pv_spec *spec, struct value *ret)
{
	const struct result *r = ctx->modstate[jr.modstate];

	if (!r)
		*ret = value_null();
	else if (spec->arg == 0)
		*ret = value_int(r->code);
	else
		*ret = value_str(spec->arg == 1 ? r->text : r->body);
	return 0;
}

/* ---- commands ---- */

static void rpc_echo(struct rpc *rpc)
{
	struct str s;
	int64_t i;

	if (rpc_arg_any_str(rpc, &s) < 0)
		return;
	rpc_add_str(rpc, NULL, NULL, s);
	if (rpc_arg_int(rpc, &i) == 0)
		rpc_add_int(rpc, NULL, NULL, i);
}

/* ---- life ---- */

static int init(void)
{
	if (jr_conf.transport & T_HTTP) {
		log_error("jsonrpcs: transport 1 (HTTP) needs module xhttp, which is not loaded");
		return -ENOENT;
	}
	if (jr_conf.transport & T_TCP && jr_conf.tcp_socket.n == 0) {
		log_error("jsonrpcs: transport 8 (TCP) needs tcp_socket");
		return -EINVAL;
	}
	if (jr_sock_check() < 0)
		return -EINVAL;
	jr.modstate = ctx_modstate_register("jsonrpcs");
	if (jr.modstate < 0)
		return log_fail(jr.modstate, "jsonrpcs: too many modules keep state per message");
	jr.files = shm_zalloc(sizeof(*jr.files));
	if (!jr.files)
		return log_fail(-ENOSPC, "jsonrpcs: shared memory");
	shm_publish(jr.files);
	return 0;
}

static int rpcd_init(struct loop *loop)
{
	static const struct { enum transport bit; int (*start)(struct loop *loop); } table[] = {
		{ T_FIFO, jr_fifo_start }, { T_DGRAM, jr_dgram_start }, { T_TCP, jr_tcp_start },
	};
	bool all = jr_conf.transport == 0;

	char dir[RPC_PATH_MAX];

	(void)signal(SIGPIPE, SIG_IGN);
	/* the run directory may be missing; what cannot be made is told when something in it cannot */
	if (snprintf(dir, sizeof(dir), "%.*s", STR_FMT(rpc_run_dir())) < (int)sizeof(dir))
		(void)mkdir(dir, 0700);
	for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
		int err;

		if (!all && !(jr_conf.transport & (int)table[i].bit))
			continue;
		if (all && table[i].bit == T_TCP && jr_conf.tcp_socket.n == 0)
			continue;
		err = table[i].start(loop);
		if (err < 0 && !all)
			return err;
	}
	return 0;
}

static const struct script_func funcs[] = {
	{ "jsonrpc_exec", fn_exec, 1, { SP_DSTR }, CTX_ANY, NULL, 0, false },
	{ .name = NULL },
};

static const struct pv_def pvs[] = {
	{ .name = "jsonrpl", .get = reply_get, .prepare = reply_prepare, .flags = PV_INNER },
	{ .name = NULL },
};

static const struct rpc_method rpcs[] = {
	{ "jsonrpc.echo", rpc_echo, RPC_RET_ARRAY, "Returns back its parameters, a string and an integer." },
	{ .name = NULL },
};

extern const struct module module_jsonrpcs;
const struct module module_jsonrpcs = {
	.abi = MODULE_ABI,
	.name = "jsonrpcs",
	.settings = settings,
	.conf = &jr_conf,
	.funcs = funcs,
	.pvs = pvs,
	.rpcs = rpcs,
	.init = init,
	.rpcd_init = rpcd_init,
	.done = jr_files_remove,
};
