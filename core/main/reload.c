/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One reload at a time, in steps of a timer: prove (compile here, as the workers will), offer, wait until every worker has compiled it,
 * commit, wait until every worker runs it, answer. A text with an error, or with a change that needs a restart, is refused as a
 * whole: half of what an operator wrote would be a configuration that nobody wrote.
 */
#include "core/main/reload.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/main/generation.h"
#include "core/rpc/rpc.h"

#define STEP_MS 2u
#define SLICE_US 1000u      /* of compiling, per step: other clients wait no longer */
#define PREPARE_MS 20000u   /* a worker that hangs is killed and replaced before */
#define SETTLE_MS 20000u
#define ANSWER_ROOM 24576u /* bytes of errors, then of warnings: both must fit a datagram */

enum phase { IDLE, PROVING, PREPARING, SETTLING };

static struct {
	const struct options *opts;
	int dir_fd;
	struct loop *loop;
	struct loop_timer *timer;
	enum phase phase;
	struct stage *stage;
	struct rpc *rpc;      /* who waits for the answer; NULL: nobody, its transport cannot wait */
	uint64_t began_ms, due_ms, proven_us;
} self = { .dir_fd = -1 };

/* ---- answers ---- */

static struct rpc_node *outcome(struct rpc *rpc, const char *text, unsigned generation)
{
	struct rpc_node *n = rpc_add_object(rpc, NULL, NULL);

	rpc_add_str(rpc, n, "result", str_lit(text));
	rpc_add_int(rpc, n, "generation", generation);
	return n;
}

/* Those of a level, as many as there is room for; how many more there are stands beside them, as NAME_left_off. */
static void add_errors(struct rpc *rpc, struct rpc_node *n, const char *name, const struct script_err *e, enum script_err_level level)
{
	struct rpc_node *list = NULL, *o;
	size_t room = ANSWER_ROOM;
	unsigned left_off = 0;
	char key[40];

	for (; e; e = e->next) {
		size_t size = e->file.n + e->text.n + 64; /* 64: names, numbers and signs of the row */

		if (e->level != level)
			continue;
		if (left_off || size > room) {
			left_off++;
			continue;
		}
		room -= size;
		if (!list)
			list = rpc_add_array(rpc, n, name);
		o = rpc_add_object(rpc, list, NULL);
		rpc_add_str(rpc, o, "file", e->file);
		rpc_add_int(rpc, o, "line", e->line);
		rpc_add_int(rpc, o, "column", e->column);
		rpc_add_str(rpc, o, "text", e->text);
	}
	(void)snprintf(key, sizeof(key), "%s_left_off", name);
	if (left_off)
		rpc_add_int(rpc, n, key, left_off);
}

static void over(void)
{
	struct rpc *rpc = self.rpc;

	stage_free(self.stage);
	self.stage = NULL;
	self.rpc = NULL;
	self.phase = IDLE;
	loop_timer_del(self.timer);
	self.timer = NULL;
	if (rpc)
		rpc_answer(rpc);
}

PRINTF_LIKE(1, 2) static void failed(const char *fmt, ...)
{
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("reload: %s", text);
	if (self.rpc)
		rpc_fault(self.rpc, 500, "%s", text);
	over();
}

/* ---- the phases ---- */

static void refuse(void)
{
	const struct script_err *e = stage_errors(self.stage);
	unsigned n = 0;

	for (; e; e = e->next) {
		if (e->level != SCRIPT_ERROR)
			continue;
		if (n++ < 10)
			log_error("reload: %.*s:%u:%u: %.*s", STR_FMT(e->file), e->line, e->column, STR_FMT(e->text));
	}
	log_error("reload: refused, %u error%s: generation %u goes on", n, n == 1 ? "" : "s", generation_number());
	generation_count_refused();
	if (self.rpc) {
		struct rpc_node *o = outcome(self.rpc, "refused", generation_number());

		add_errors(self.rpc, o, "errors", stage_errors(self.stage), SCRIPT_ERROR);
		add_errors(self.rpc, o, "warnings", stage_errors(self.stage), SCRIPT_WARNING);
	}
	over();
}

static void prove(void)
{
	uint64_t begin = clock_now_us();
	bool more = stage_run(self.stage, SLICE_US);
	int err;

	self.proven_us += clock_now_us() - begin;
	if (more)
		return;
	err = stage_result(self.stage);
	if (err == -ENOMEM) {
		failed("out of memory");
		return;
	}
	if (err < 0) {
		refuse();
		return;
	}
	err = generation_offer(self.stage);
	if (err < 0) {
		failed("the text cannot be handed to the workers: %s", strerror(-err));
		return;
	}
	self.phase = PREPARING;
	self.due_ms = clock_ms() + PREPARE_MS;
}

static void prepare(void)
{
	char who[300];

	switch (generation_offered(who, sizeof(who))) {
	case GEN_FAILED:
		generation_withdraw();
		failed("%s", who);
		return;
	case GEN_WAITING:
		if (clock_ms() < self.due_ms)
			return;
		generation_withdraw();
		failed("%s was not ready in %u s: nothing changed", who, PREPARE_MS / 1000);
		return;
	default:
		break;
	}
	if (self.rpc)
		add_errors(self.rpc, outcome(self.rpc, "reloaded", generation_number() + 1), "warnings", stage_errors(self.stage), SCRIPT_WARNING);
	generation_commit(self.stage);
	self.stage = NULL; /* it became what runs */
	self.phase = SETTLING;
	self.due_ms = clock_ms() + SETTLE_MS;
}

static void settle(void)
{
	char who[64];

	if (!generation_settled(who, sizeof(who))) {
		if (clock_ms() >= self.due_ms)
			failed("%s has not switched after %u s; it will, or be replaced", who, SETTLE_MS / 1000);
		return;
	}
	log_notice("reload: generation %u of the script runs in all workers after %llu ms (%llu us to compile it)", generation_number(),
		   (unsigned long long)(clock_ms() - self.began_ms), (unsigned long long)self.proven_us);
	over();
}

static void step(void *arg)
{
	(void)arg;
	(void)clock_update();
	switch (self.phase) {
	case PROVING:
		prove();
		break;
	case PREPARING:
		prepare();
		break;
	case SETTLING:
		settle();
		break;
	default:
		break;
	}
}

/* ---- commands ---- */

static void cmd_reload(struct rpc *rpc)
{
	struct script_files *files;
	char who[64];

	if (!self.loop) {
		rpc_fault(rpc, 500, "Not in this process");
		return;
	}
	if (strcmp(self.opts->script, "-") == 0) {
		rpc_fault(rpc, 500, "The script was read from standard input");
		return;
	}
	if (self.phase != IDLE || !generation_settled(who, sizeof(who))) {
		rpc_fault(rpc, 500, "Another reload is under way");
		return;
	}
	files = script_files_new(self.dir_fd, SCRIPT_FILES_REGULAR);
	self.stage = files ? stage_new(self.opts, generation_config(), files) : NULL;
	if (!self.stage || loop_timer_add(self.loop, 0, STEP_MS, step, NULL, &self.timer) < 0) {
		stage_free(self.stage);
		self.stage = NULL;
		rpc_fault(rpc, 500, "Out of memory");
		return;
	}
	self.phase = PROVING;
	self.began_ms = clock_ms();
	self.proven_us = 0;
	self.rpc = rpc_defer(rpc) ? rpc : NULL;
	if (!self.rpc)
		(void)outcome(rpc, "started: this transport cannot wait, see core.script and the log", generation_number());
}

/* clang-format off */
static const struct rpc_method methods[] = {
	{ .name = "core.reload", .fn = cmd_reload,     .doc = "Reads the script anew; all workers switch to it, or it is refused with its errors." },
	{ .name = "core.script", .fn = generation_rpc, .doc = "Tells which generation of the script runs, and what runs in earlier ones." },
	{ .name = NULL },
};
/* clang-format on */

int reload_register(const struct options *opts, int dir_fd)
{
	self.opts = opts;
	self.dir_fd = dir_fd;
	return rpc_register(methods);
}

int reload_rpcd_init(struct loop *loop)
{
	self.loop = loop;
	return 0;
}
