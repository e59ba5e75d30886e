/* SPDX-License-Identifier: BSD-2-Clause */
/* What is asked when something is wrong with the server itself: is the log complete, what does each process do, what was refused. */
#include "core/main/ops_cmds.h"

#include <time.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/proc/proc.h"
#include "core/proc/trap.h"
#include "core/pv/stat.h"
#include "core/route/quarantine.h"
#include "core/rpc/rpc.h"

#define TRAP_WAIT_MS 300u

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

/* ---- what each process does ---- */

struct list {
	struct rpc *rpc;
	struct rpc_node *array;
};

static void add_lock(void *arg, struct str text)
{
	struct list *l = arg;

	rpc_add_str(l->rpc, l->array, NULL, text);
}

static void add_record(struct rpc *rpc, struct rpc_node *n, const struct trap_record *rec)
{
	struct rpc_node *stack = rpc_add_array(rpc, n, "stack");
	struct str msg = str_of(rec->msg, rec->msg_n), line;
	ptrdiff_t end = str_find(msg, STR_LIT("\r\n"));
	char text[256];

	for (unsigned i = 0; i < rec->n_frames; i++) {
		struct strbuf sb;

		strbuf_init_fixed(&sb, text, sizeof(text));
		trap_symbol(rec->pc[i], &sb);
		rpc_add_str(rpc, stack, NULL, strbuf_str(&sb));
	}
	rpc_add_str(rpc, n, "script", str_lit(rec->where));
	line = str_sub(msg, 0, end >= 0 && end < 400 ? (size_t)end : msg.n < 400 ? msg.n : 400);
	rpc_add_str(rpc, n, "message", line);
	rpc_add_str(rpc, n, "from", str_lit(rec->from));
}

static void add_process(struct rpc *rpc, const struct proc_info *p, bool answered)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	const struct trap_record *rec = answered ? trap_of(p->slot, p->pid) : NULL;
	struct list locks = { .rpc = rpc };
	char text[160];
	struct strbuf sb;

	rpc_add_int(rpc, n, "pid", p->pid);
	rpc_add_int(rpc, n, "slot", p->slot);
	rpc_add_str(rpc, n, "description", str_lit(p->desc));
	strbuf_init_fixed(&sb, text, sizeof(text));
	trap_kernel_state((int)p->pid, &sb);
	rpc_add_str(rpc, n, "state", strbuf_str(&sb));
	rpc_add_bool(rpc, n, "answered", rec != NULL);
	locks.array = rpc_add_array(rpc, n, "locks");
	trap_locks(p->slot, add_lock, &locks);
	if (rec)
		add_record(rpc, n, rec);
}

/* Processes that run answer within microseconds. This one, rpcd, waits for them: it serves nobody else's calls. */
static void trap_cmd(struct rpc *rpc)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct proc_info p;
	unsigned i, left = TRAP_WAIT_MS;

	for (i = 0; proc_at(i, &p) == 0; i++)
		(void)(trap_ask(p.slot, (int)p.pid) < 0); /* a process that is being replaced: not there, and shown so */
	for (i = 0; proc_at(i, &p) == 0; i++) {
		while (p.pid > 0 && !trap_answered(p.slot) && left-- > 1)
			(void)nanosleep(&nap, NULL);
	}
	for (i = 0; proc_at(i, &p) == 0; i++)
		add_process(rpc, &p, trap_answered(p.slot));
}

/* ---- messages that were refused ---- */

static void add_entry(struct rpc *rpc, const struct quarantine_info *q, bool with_bytes)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);
	ptrdiff_t end = str_find(q->bytes, STR_LIT("\r\n"));

	rpc_add_int(rpc, n, "id", q->id);
	rpc_add_str(rpc, n, "state", q->refused ? STR_LIT("refused") : STR_LIT("suspect"));
	rpc_add_int(rpc, n, "deaths", q->n_deaths);
	rpc_add_str(rpc, n, "how", str_lit(q->how));
	rpc_add_int(rpc, n, "first", q->first_s);
	rpc_add_int(rpc, n, "last", q->last_s);
	rpc_add_int(rpc, n, "refused", (int64_t)q->n_refused);
	rpc_add_str(rpc, n, "from", str_lit(q->from));
	rpc_add_str(rpc, n, "script", str_lit(q->where));
	rpc_add_str(rpc, n, "file", str_lit(q->file));
	rpc_add_int(rpc, n, "bytes", (int64_t)q->bytes.n);
	rpc_add_str(rpc, n, "first_line", str_sub(q->bytes, 0, end >= 0 && end < 400 ? (size_t)end : q->bytes.n < 400 ? q->bytes.n : 400));
	if (with_bytes)
		rpc_add_str(rpc, n, "message", q->bytes);
}

static void quarantine_list(struct rpc *rpc)
{
	struct quarantine_info q;

	for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
		if (quarantine_at(i, &q) == 0)
			add_entry(rpc, &q, false);
	}
}

static void quarantine_show(struct rpc *rpc)
{
	struct quarantine_info q;
	int64_t id;

	if (rpc_arg_int(rpc, &id) < 0) {
		rpc_fault(rpc, 400, "Id of a message expected");
		return;
	}
	for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
		if (quarantine_at(i, &q) == 0 && (int64_t)q.id == id) {
			add_entry(rpc, &q, true);
			return;
		}
	}
	rpc_fault(rpc, 404, "No such message");
}

static void quarantine_remove_cmd(struct rpc *rpc)
{
	struct str all;
	int64_t id = -1;
	unsigned n = 0;

	if (rpc_arg_is_str(rpc) && rpc_arg_str(rpc, &all) == 0 && str_eq(all, STR_LIT("all")))
		n = quarantine_remove(0);
	else if (!rpc_arg_is_str(rpc) && rpc_arg_int(rpc, &id) == 0 && id > 0 && id <= UINT32_MAX)
		n = quarantine_remove((uint32_t)id);
	else
		id = -2; /* neither */
	if (id == -2)
		rpc_fault(rpc, 400, "Id of a message, or \"all\", expected");
	else if (n == 0)
		rpc_fault(rpc, 404, "No such message");
	else
		rpc_add_int(rpc, rpc_add_object(rpc, NULL, NULL), "removed", n);
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
	{ "core.trap", trap_cmd, RPC_RET_ARRAY, "Returns stack, script position, message and locks of every process, without a debugger." },
	{ "quarantine.list", quarantine_list, RPC_RET_ARRAY, "Returns the messages that killed workers: suspects and refused ones." },
	{ "quarantine.show", quarantine_show, 0, "Returns one message that killed workers, with its bytes: id." },
	{ "quarantine.remove", quarantine_remove_cmd, 0, "Takes a message again that killed workers: id, or \"all\"." },
	{ .name = NULL },
};
/* clang-format on */

int ops_register(void)
{
	int err = stat_register(stats);

	return err < 0 ? err : rpc_register(methods);
}
