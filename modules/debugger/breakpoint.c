/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Breakpoints. A run that comes to one is parked, like any run that waits; its worker goes on with other messages. What an operator
 * wants of it is left in shared memory by rpcd; a worker that has runs at breakpoints looks there every step_usleep microseconds, and
 * leaves its answer, for which rpcd looks as often, step_loops times at most. With nothing at a breakpoint nobody looks at anything.
 *
 * Commands name a process, as on Kamailio, and there may be many runs at breakpoints in one: they are for the oldest. `next` and
 * `move` are remembered by the run itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/pv/fmt.h"
#include "modules/debugger/debugger_priv.h"

#define STOP_MS 3600000u /* the longest that a run may be parked: then it goes on */
#define STOPS_MAX 256u   /* of one process */

enum dbg_cmd { BP_SHOW, BP_NEXT, BP_MOVE, BP_EVAL, BP_LOG };

struct stop { /* oldest first */
	struct stop *next;
	uint64_t ticket;
	unsigned line, no;
	char file[256], name[64];
};

static struct {
	struct loop *loop;
	struct loop_timer *timer;
	struct stop *first, **last;
	unsigned n;
	int modstate;
} self = { .last = &self.first, .modstate = -1 };

/* What a run was told, at ctx->modstate. */
static char told_next, told_move;

static struct dbg_proc *own(void)
{
	int slot = shm_slot_self();

	return slot < 0 ? NULL : &dbg_shared->proc[slot];
}

bool dbg_stops(const struct ctx *ctx)
{
	const struct dbg_proc *p = own();
	const void *told = ctx->modstate[self.modstate];

	return told == &told_next || (told != &told_move && p && (atomic_load_explicit(&p->set, memory_order_relaxed) & DBG_BREAKPOINTS));
}

static void remove_first(void)
{
	struct stop *s = self.first;

	self.first = s->next;
	if (!self.first)
		self.last = &self.first;
	self.n--;
	free(s);
}

/* The oldest run that still waits; others have gone on after an hour. */
static struct ctx *oldest(void)
{
	struct ctx *ctx = NULL;

	while (self.first && !(ctx = ctx_of_ticket(self.first->ticket)))
		remove_first();
	atomic_store_explicit(&own()->n_stopped, (uint16_t)self.n, memory_order_relaxed);
	return ctx;
}

static void look(void *arg);

int dbg_stop(struct ctx *ctx, const struct dbg_action *a)
{
	struct stop *s = NULL;
	uint64_t ticket;

	if (!self.loop || (ctx->mflags & CTX_F_OUTGOING) || self.n >= STOPS_MAX) {
		log_text(dbg_conf.log_level, dbg_conf.facility, NULL, self.n >= STOPS_MAX ? STR_LIT("breakpoint passed: too many runs wait at one\n") : STR_LIT("breakpoint passed: nothing can wait here\n"));
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (s && !self.timer && loop_timer_add(self.loop, 1, 0, look, NULL, &self.timer) < 0)
		self.timer = NULL;
	ticket = s && self.timer ? ctx_park(ctx, STOP_MS, 1) : 0;
	if (ticket == 0) {
		free(s);
		log_error("debugger: no memory to stop at a breakpoint");
		return 0;
	}
	s->ticket = ticket;
	s->line = a->line;
	s->no = a->no;
	(void)snprintf(s->file, sizeof(s->file), "%.*s", STR_FMT(a->file));
	(void)snprintf(s->name, sizeof(s->name), "%.*s", STR_FMT(a->name));
	*self.last = s;
	self.last = &s->next;
	self.n++;
	atomic_store_explicit(&own()->n_stopped, (uint16_t)self.n, memory_order_relaxed);
	if (self.n == 1)
		loop_timer_set(self.timer, 1);
	if (log_on(dbg_conf.log_level)) {
		char mem[1024];
		struct strbuf sb;

		strbuf_init_fixed(&sb, mem, sizeof(mem));
		strbuf_printf(&sb, "breakpoint hit: p=[%d] c=[%s] l=%u a=%u n=%s\n", (int)getpid(), s->file, s->line, s->no, s->name);
		log_text(dbg_conf.log_level, dbg_conf.facility, NULL, strbuf_str(&sb));
	}
	return SCRIPT_SUSPEND;
}

int dbg_f_breakpoint(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	const struct dbg_proc *p = own();
	struct dbg_action at;

	(void)n;
	/* every other run in a process with breakpoints stopped before this action, as before each */
	if (a[0].i == 0 || !p || !(atomic_load_explicit(&p->set, memory_order_relaxed) & DBG_BREAKPOINTS) || ctx->modstate[self.modstate] != &told_move ||
	    !dbg_describe(ctx, SA_CALL, STR_LIT("dbg_breakpoint"), 1, &at))
		return 1;
	return dbg_stop(ctx, &at) == SCRIPT_SUSPEND ? SCRIPT_SUSPEND : 1;
}

/* ---- in the worker: what is asked ---- */

static void eval(struct ctx *ctx, struct str text, bool to_log, struct dbg_proc *p, struct strbuf *out)
{
	struct pv_spec *spec;
	struct diag why = { 0 };
	struct strbuf line;
	struct value v;
	size_t len;

	if (text.n == 0 || pv_parse(ctx->pool, text, &spec, &len, &why) < 0 || len != text.n) {
		p->failed = true;
		strbuf_printf(out, "cannot parse the variable '%.*s'%s%s", STR_FMT(text), why.text[0] ? ": " : "", why.text);
		return;
	}
	strbuf_init_pool(&line, ctx->pool, 65535);
	strbuf_printf(&line, "%.*s : ", STR_FMT(text));
	if (pv_get(ctx, spec, &v) < 0)
		strbuf_add_lit(&line, "t=error");
	else if (v.kind == VALUE_NULL)
		strbuf_add_lit(&line, "t=null");
	else if (v.kind == VALUE_INT)
		strbuf_printf(&line, "t=int v=%lld", (long long)v.i);
	else
		strbuf_printf(&line, "t=str v=%.*s", STR_FMT(v.s));
	if (to_log) {
		strbuf_add_char(&line, '\n');
		dbg_log(strbuf_str(&line));
		strbuf_add_lit(out, "200 ok");
	} else {
		strbuf_add(out, str_sub(strbuf_str(&line), 0, DBG_TEXT_MAX - 1)); /* the log has the whole of it */
	}
}

static void place(const char *word, const struct stop *s, struct strbuf *out)
{
	strbuf_printf(out, "%s [%s:%u] a=%u n=%s", word, s->file, s->line, s->no, s->name);
}

static void go_on(struct ctx *ctx, void *told)
{
	uint64_t ticket = self.first->ticket;

	ctx->modstate[self.modstate] = told;
	remove_first();
	atomic_store_explicit(&own()->n_stopped, (uint16_t)self.n, memory_order_relaxed);
	ctx_wake(ticket, 1);
}

static void answer(struct dbg_proc *p, uint32_t no)
{
	struct ctx *ctx = oldest();
	struct str in = str_of(p->in, p->in_n < DBG_TEXT_MAX ? p->in_n : DBG_TEXT_MAX);
	struct strbuf out;
	void *told = NULL;

	p->failed = false;
	strbuf_init_fixed(&out, p->out, sizeof(p->out));
	if (!ctx) {
		p->failed = true;
		strbuf_add_lit(&out, "not at a breakpoint");
	} else {
		switch ((enum dbg_cmd)p->cmd) {
		case BP_SHOW:
			place("at bkp", self.first, &out);
			break;
		case BP_NEXT:
			place("exec", self.first, &out);
			told = &told_next;
			break;
		case BP_MOVE:
			strbuf_add_lit(&out, "200 ok");
			told = &told_move;
			break;
		case BP_EVAL:
		case BP_LOG:
			eval(ctx, in, p->cmd == BP_LOG, p, &out);
			break;
		}
	}
	p->out_n = (uint16_t)out.n;
	atomic_store_explicit(&p->answered, no, memory_order_release);
	if (told)
		go_on(ctx, told); /* last: it may come to the next breakpoint at once */
}

static uint64_t step_ms(void)
{
	return dbg_conf.step_usleep > 1000 ? (uint64_t)dbg_conf.step_usleep / 1000u : 1;
}

static void look(void *arg)
{
	struct dbg_proc *p = own();
	uint32_t no = p ? atomic_load_explicit(&p->asked, memory_order_acquire) : 0;

	(void)arg;
	if (!p)
		return;
	if (no != atomic_load_explicit(&p->answered, memory_order_relaxed))
		answer(p, no);
	if (oldest())
		loop_timer_set(self.timer, step_ms());
}

/* ---- in rpcd: asking ---- */

struct asking {
	struct rpc *rpc;
	struct loop_timer *timer;
	struct dbg_proc *p;
	uint32_t no;
	int loops;
};

static bool asking_now[SHM_SLOTS_MAX]; /* in rpcd: one command at a time for each process */

static void asked(void *arg)
{
	struct asking *a = arg;
	bool done = atomic_load_explicit(&a->p->answered, memory_order_acquire) == a->no;

	if (!done && --a->loops > 0)
		return;
	if (!done)
		rpc_fault(a->rpc, 500, "no reply from the process");
	else if (a->p->failed)
		rpc_fault(a->rpc, 500, "%.*s", (int)a->p->out_n, a->p->out);
	else
		rpc_add_str(a->rpc, NULL, NULL, str_of(a->p->out, a->p->out_n));
	asking_now[a->p - dbg_shared->proc] = false;
	atomic_store_explicit(&a->p->asker, 0, memory_order_relaxed);
	loop_timer_del(a->timer);
	rpc_answer(a->rpc);
}

static void ask(struct rpc *rpc, struct dbg_proc *p, enum dbg_cmd cmd, struct str text)
{
	struct asking *a = rpc_alloc(rpc, sizeof(*a));
	size_t slot = (size_t)(p - dbg_shared->proc);

	if (!a)
		return;
	if (atomic_load_explicit(&p->n_stopped, memory_order_relaxed) == 0) {
		rpc_fault(rpc, 500, "not at a breakpoint");
		return;
	}
	if (asking_now[slot]) {
		rpc_fault(rpc, 500, "another command for that process has no answer yet");
		return;
	}
	*a = (struct asking){ .rpc = rpc, .p = p, .loops = dbg_conf.step_loops };
	if (!rpc_defer(rpc)) {
		rpc_fault(rpc, 600, "This transport cannot wait for an answer");
		return;
	}
	if (loop_timer_add(loop_self(), step_ms(), step_ms(), asked, a, &a->timer) < 0) {
		rpc_fault(rpc, 500, "out of memory");
		rpc_answer(rpc);
		return;
	}
	asking_now[slot] = true;
	p->cmd = (int32_t)cmd;
	p->in_n = (uint16_t)(text.n < sizeof(p->in) ? text.n : sizeof(p->in));
	memcpy(p->in, text.n ? text.s : "", p->in_n);
	a->no = atomic_load_explicit(&p->asked, memory_order_relaxed) + 1;
	atomic_store_explicit(&p->asker, (int32_t)getpid(), memory_order_relaxed);
	atomic_store_explicit(&p->asked, a->no, memory_order_release);
}

/* The process that a command names, from the next parameter. */
static struct dbg_proc *take_proc(struct rpc *rpc)
{
	struct shm_slot_info info;
	int64_t pid;

	if (rpc_arg_any_int(rpc, &pid) < 0) {
		rpc_fault(rpc, 500, "Missing pid parameter");
		return NULL;
	}
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++)
		if (shm_slot_info(i, &info) == 0 && info.state == SHM_SLOT_ACTIVE && info.pid == pid)
			return &dbg_shared->proc[i];
	rpc_fault(rpc, 500, "No such pid");
	return NULL;
}

enum bp_all { ALL_ON, ALL_OFF, ALL_RELEASE, ALL_KEEP };

static void set_all(enum bp_all how, const struct dbg_proc *one)
{
	for (unsigned i = 0; i < SHM_SLOTS_MAX; i++) {
		struct dbg_proc *p = &dbg_shared->proc[i];
		bool is_one = !one || p == one;

		if (how == ALL_ON && is_one)
			atomic_fetch_or(&p->set, DBG_BREAKPOINTS);
		if ((how == ALL_OFF && is_one) || (how == ALL_KEEP && !is_one) ||
		    (how == ALL_RELEASE && is_one && atomic_load_explicit(&p->n_stopped, memory_order_relaxed) == 0))
			atomic_fetch_and(&p->set, (uint8_t)~DBG_BREAKPOINTS);
	}
}

void dbg_rpc_bp(struct rpc *rpc)
{
	static const struct { const char *name; enum bp_all how; } all[] = { { "on", ALL_ON }, { "off", ALL_OFF }, { "release", ALL_RELEASE }, { "keep", ALL_KEEP } };
	static const struct { const char *name; enum dbg_cmd cmd; } one[] = { { "next", BP_NEXT }, { "move", BP_MOVE }, { "show", BP_SHOW }, { "eval", BP_EVAL }, { "log", BP_LOG } };
	struct dbg_proc *p = NULL;
	struct str cmd, text = STR_NULL;

	if (rpc_arg_str(rpc, &cmd) < 0) {
		rpc_fault(rpc, 500, "Config breakpoint command missing");
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		if (!str_ieq(cmd, str_lit(all[i].name)))
			continue;
		if ((rpc_args_left(rpc) > 0 || all[i].how == ALL_KEEP) && !(p = take_proc(rpc)))
			return;
		set_all(all[i].how, p);
		rpc_add_str(rpc, NULL, NULL, STR_LIT("200 ok"));
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(one); i++) {
		if (!str_ieq(cmd, str_lit(one[i].name)))
			continue;
		p = take_proc(rpc);
		if (p && (one[i].cmd == BP_EVAL || one[i].cmd == BP_LOG) && rpc_arg_any_str(rpc, &text) < 0)
			rpc_fault(rpc, 500, "pv param missing");
		else if (p)
			ask(rpc, p, one[i].cmd, text);
		return;
	}
	rpc_fault(rpc, 500, "Unknown inner command");
}

/* ---- start ---- */

int dbg_bp_init(void)
{
	self.modstate = ctx_modstate_register("debugger");
	return self.modstate < 0 ? self.modstate : 0;
}

int dbg_bp_worker_init(struct loop *loop)
{
	struct dbg_proc *p = own();
	struct strbuf out;

	self.loop = loop;
	if (!p)
		return 0;
	/* what a dead worker had at breakpoints died with it, and who waits for its answer is told so */
	atomic_store_explicit(&p->n_stopped, 0, memory_order_relaxed);
	p->failed = true;
	strbuf_init_fixed(&out, p->out, sizeof(p->out));
	strbuf_add_lit(&out, "the process died");
	p->out_n = (uint16_t)out.n;
	atomic_store_explicit(&p->answered, atomic_load(&p->asked), memory_order_release);
	return 0;
}
