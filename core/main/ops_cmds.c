/* SPDX-License-Identifier: BSD-2-Clause */
/* What is asked when something is wrong with the server itself: is the log complete, what does each process do, what was refused. */
#include "core/main/ops_cmds.h"

#include "core/base/log.h"
#include "core/pv/stat.h"
#include "core/rpc/rpc.h"

/* ---- the log ---- */

enum log_number { LOG_LINES, LOG_DROPPED, LOG_HELD };

static int64_t log_number(intptr_t which)
{
	struct log_stats s;

	log_stats(&s);
	return (int64_t)(which == LOG_LINES ? s.n_lines : which == LOG_DROPPED ? s.n_dropped : s.n_held);
}

static void log_info_cmd(struct rpc *rpc)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	struct log_stats s;

	log_stats(&s);
	rpc_add_int(rpc, n, "level", log_level());
	rpc_add_int(rpc, n, "lines", (int64_t)s.n_lines);
	rpc_add_int(rpc, n, "dropped", (int64_t)s.n_dropped);
	rpc_add_int(rpc, n, "repeats", (int64_t)s.n_held);
}

/* clang-format off */
static const struct stat_def stats[] = {
	{ "log", "lines",   log_number, LOG_LINES },
	{ "log", "dropped", log_number, LOG_DROPPED },
	{ "log", "repeats", log_number, LOG_HELD },
	{ .group = NULL },
};

static const struct rpc_method methods[] = {
	{ "core.log", log_info_cmd, 0, "Returns the log level, and how many lines were written, lost, and held back as repeats." },
	{ .name = NULL },
};
/* clang-format on */

int ops_register(void)
{
	int err = stat_register(stats);

	return err < 0 ? err : rpc_register(methods);
}
