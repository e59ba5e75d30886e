/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor and the life of its children. It is small on purpose: one poll(2) over a signalfd
 * and the ready pipes, no libuv, no SIP, no shared lock; what it does when a worker dies must work
 * in whatever state the arena is in.
 *
 * A child reports ready by one byte on a pipe. When a child ends, its slot tells how: a slot given
 * back was an orderly end, one still active a crash, whatever the exit status. After a crash the
 * slot is marked dead and a janitor is forked to recover it; the moment the janitor has ended well
 * the replacement is forked, with the same number and the same slot, so that it inherits wheel,
 * rings and the socket queues.
 *
 * When a janitor fails twice for one slot, shared memory cannot be trusted. The simplest repair
 * that is certainly right is a new beginning: all children are killed and the program executes
 * itself again with its own arguments, in its own process, so that the process id and the pid file
 * stay true. What was only in memory is lost. If the program gave up privileges that its start
 * needs (a port below 1024), that new start fails, the exit status is 255 and the service manager
 * has to start it.
 */
#include "core/proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/base/log_ring.h"
#include "core/base/num.h"
#include "core/event/doorbell.h"
#include "core/proc/proc_priv.h"
#include "core/proc/trap.h"
#include "shm/recover.h"
#include "shm/wheel.h"

#define CHILDREN_MAX 256u
#define DESCS_MAX 16u
#define JANITOR_SLOTS 8u        /* the topmost */
#define JANITOR_LIMIT_MS 10000u /* then it counts as failed */
#define START_LIMIT_MS 120000u
#define LAST_LIMIT_MS 2000u
#define TRAP_LIMIT_MS 300u
#define EXIT_FAILED 255
#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 1000u
#define ENV_REEXEC "RINGFORT_REEXEC"

enum child_state {
	CHILD_NONE,
	CHILD_STARTING, /* forked, not yet ready */
	CHILD_READY,
	CHILD_RECOVERING, /* dead; a janitor works on its slot */
	CHILD_BACKOFF,    /* waits before it is forked again */
};

struct child {
	const struct proc_desc *desc;
	unsigned number, slot;
	enum child_state state;
	pid_t pid, janitor;
	unsigned janitor_slot, janitor_fails;
	int bad_janitor_slot; /* of a janitor that died: recovered first; -1 none */
	int ready_fd;         /* -1: none */
	bool was_ready;
	uint64_t started_ms, ready_ms, due_ms, died_us;
	uint64_t trapped_ms;  /* the watchdog asked it what it does; 0: it has not */
	bool watchdog_killed; /* by us, for it made no progress */
	struct proc_death death; /* the last one */
	struct proc_history restarts;
	unsigned backoff_ms;
};

static struct {
	const struct proc_desc *descs[DESCS_MAX];
	unsigned n_descs;
	struct child child[CHILDREN_MAX];
	unsigned n;
	const struct proc_opts *opts;
	proc_death_fn *on_death;
	struct proc_table *table; /* shared with all */
	int sig_fd, status_fd;    /* status_fd: the launching process waits there; -1 */
	pid_t supervisor;
	int number;
	bool stopping, last_told, wrote_pid;
	uint64_t kill_at_ms, tick_ms; /* tick_ms: when tick() ran last */
	char *args; /* own command line, for a new beginning */
	size_t args_n;
	char cwd[4096];
} proc = { .sig_fd = -1, .status_fd = -1, .number = -1 };

/* ---- table for RPC ---- */

static int table_new(void)
{
	if (proc.table)
		return 0;
	proc.table = mmap(NULL, sizeof(*proc.table), PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (proc.table == MAP_FAILED) {
		proc.table = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void table_fill(void)
{
	struct proc_table *t = proc.table;

	t->started_at = clock_wall_s();
	t->row[0] = (struct proc_row){
		.pid = getpid(), .rank = 0, .slot = 0, .desc = "main process - attendant"
	};
	for (unsigned i = 0; i < proc.n; i++) {
		const struct child *c = &proc.child[i];
		struct proc_row *row = &t->row[i + 1];

		row->rank = c->desc->rank > 0 ? c->desc->rank + (int)c->number : c->desc->rank;
		row->slot = c->slot;
		proc_desc_text(c->desc->name, c->number, row->desc, sizeof(row->desc));
	}
	t->n = proc.n + 1;
}

static struct proc_row *row_of(const struct child *c)
{
	return &proc.table->row[c - proc.child + 1];
}

unsigned proc_count(void)
{
	return proc.table ? proc.table->n : 0;
}

int proc_at(unsigned index, struct proc_info *ret_info)
{
	const struct proc_row *row;

	if (index >= proc_count())
		return -ENOENT;
	row = &proc.table->row[index];
	*ret_info = (struct proc_info){ .pid = row->pid,
		                        .rank = row->rank,
		                        .index = index,
		                        .slot = row->slot,
		                        .restarts = row->restarts };
	memcpy(ret_info->desc, row->desc, sizeof(ret_info->desc));
	return 0;
}

int64_t proc_started_at(void)
{
	return proc.table ? proc.table->started_at : 0;
}

int proc_number(void)
{
	return proc.number;
}

/* The one conversion of a description is replaced by hand: a format that is no literal is never
 * given to printf. */
void proc_desc_text(const char *name, unsigned number, char *out, size_t cap)
{
	const char *at = strstr(name, "%u");

	if (at)
		(void)snprintf(out, cap, "%.*s%u%s", (int)(at - name), name, number, at + 2);
	else
		(void)snprintf(out, cap, "%s", name);
}

bool proc_has(enum shm_slot_kind kind)
{
	for (unsigned i = 0; i < proc.n_descs; i++)
		if (proc.descs[i]->kind == kind)
			return true;
	return false;
}

void proc_on_death(proc_death_fn *fn)
{
	proc.on_death = fn;
}

int proc_register(const struct proc_desc *desc)
{
	if (proc.n_descs == DESCS_MAX || proc.n + desc->n > CHILDREN_MAX)
		return -ENOSPC;
	if (desc->first_slot + desc->n > SHM_SLOTS_MAX - JANITOR_SLOTS || !desc->start)
		return -EINVAL;
	proc.descs[proc.n_descs++] = desc;
	for (unsigned i = 0; i < desc->n; i++) {
		struct child *c = &proc.child[proc.n++];

		memset(c, 0, sizeof(*c));
		c->desc = desc;
		c->number = i;
		c->slot = desc->first_slot + i;
		c->ready_fd = -1;
		c->bad_janitor_slot = -1;
	}
	return 0;
}

/* ---- in the child ---- */

static void child_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGUSR1, SIGUSR2 };
	sigset_t none;

	for (int s = 1; s < NSIG; s++) {
		if (s != SIGKILL && s != SIGSTOP)
			(void)signal(s, SIG_DFL);
	}
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN); /* the supervisor hears them for all */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What the supervisor alone needs, closed in the child; and no child outlives its supervisor. */
static void child_begin(int own_ready_fd)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != proc.supervisor)
		_exit(EXIT_FAILURE);
	child_signals();
	if (proc.sig_fd >= 0)
		(void)close(proc.sig_fd);
	if (proc.status_fd >= 0)
		(void)close(proc.status_fd);
	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].ready_fd >= 0 && proc.child[i].ready_fd != own_ready_fd)
			(void)close(proc.child[i].ready_fd);
	}
	proc.sig_fd = proc.status_fd = -1;
}

NORETURN static void child_run(struct child *c, int ready_fd)
{
	bool of_daemon = proc.status_fd >= 0; /* still on the terminal of who launched it */
	int err;

	child_begin(-1);
	(void)clock_update();
	err = shm_slot_take(c->slot, c->desc->kind);
	if (err < 0) {
		(void)log_fail(err, "%s: slot %u is not free", row_of(c)->desc, c->slot);
		_exit(EXIT_FAILURE);
	}
	proc.number = (int)c->number;
	trap_arm(true);
	err = proc_work(c->desc, c->number, ready_fd, of_daemon);
	shm_slot_release();
	_exit(err < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* Before the slot is recovered: its locks are part of the story. */
static void tell_death(const struct child *c)
{
	if (c->janitor_fails > 0)
		return; /* the first janitor has told it */
	if (c->death.record)
		trap_log(c->slot, c->death.record, row_of(c)->desc);
	if (proc.on_death)
		proc.on_death(&c->death);
}

NORETURN static void janitor_run(const struct child *c)
{
	int err;

	child_begin(-1);
	(void)clock_update();
	err = shm_slot_take(c->janitor_slot, SHM_SLOT_JANITOR);
	if (err < 0) {
		(void)log_fail(err, "janitor: slot %u is not free", c->janitor_slot);
		_exit(EXIT_FAILURE);
	}
	hashfn_key(shm_arena_secret());
	tell_death(c);
	CRASH_POINT("janitor.begun");
	if (c->bad_janitor_slot >= 0)
		err = shm_recover_slot((unsigned)c->bad_janitor_slot);
	if (err == 0)
		err = shm_recover_slot(c->slot);
	if (err < 0)
		(void)log_fail(err, "janitor: slot %u cannot be recovered", c->slot);
	shm_slot_release();
	_exit(err < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- forking ---- */

static int child_fork(struct child *c)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int err = -errno;

		(void)close(fds[0]);
		(void)close(fds[1]);
		return err;
	}
	if (pid == 0) {
		(void)close(fds[0]);
		child_run(c, fds[1]);
	}
	(void)close(fds[1]);
	c->pid = pid;
	c->ready_fd = fds[0];
	c->state = CHILD_STARTING;
	c->started_ms = clock_update();
	row_of(c)->pid = pid;
	return 0;
}

static void child_later(struct child *c, unsigned ms)
{
	c->state = CHILD_BACKOFF;
	c->due_ms = clock_update() + ms;
}

bool proc_loops(struct proc_history *h, uint64_t now_ms)
{
	uint64_t *oldest = &h->at_ms[h->n % PROC_LOOP_RESTARTS];
	bool loops = h->n >= PROC_LOOP_RESTARTS && now_ms - *oldest < PROC_LOOP_WINDOW_MS;

	*oldest = now_ms;
	h->n = h->n + 1 == 2 * PROC_LOOP_RESTARTS ? PROC_LOOP_RESTARTS : h->n + 1;
	return loops;
}

/* Forks the replacement, at once or, when it dies again and again, after a while. */
static void child_replace(struct child *c)
{
	uint64_t now = clock_update();

	if (proc.stopping) {
		c->state = CHILD_NONE;
		return;
	}
	if (proc_loops(&c->restarts, now)) {
		c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : BACKOFF_MIN_MS;
		if (c->backoff_ms > BACKOFF_MAX_MS)
			c->backoff_ms = BACKOFF_MAX_MS;
		log_crit("%s restarted %u times within %u s: waiting %u ms", row_of(c)->desc,
		         PROC_LOOP_RESTARTS, PROC_LOOP_WINDOW_MS / 1000, c->backoff_ms);
		child_later(c, c->backoff_ms);
	} else {
		c->backoff_ms = 0;
		c->state = CHILD_BACKOFF;
		c->due_ms = now;
	}
	if (c->due_ms > now)
		return;
	if (child_fork(c) < 0) {
		log_crit("cannot fork %s: %s", row_of(c)->desc, strerror(errno));
		child_later(c, BACKOFF_MIN_MS);
	}
}

static bool janitor_slot_used(unsigned slot)
{
	struct shm_slot_info info;

	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].janitor > 0 && proc.child[i].janitor_slot == slot)
			return true;
	}
	return shm_slot_info(slot, &info) < 0 || info.state != SHM_SLOT_FREE;
}

static bool janitor_at_work(void)
{
	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].janitor > 0)
			return true;
	}
	return false;
}

/*
 * One at a time: each mends after all who are dead, and two that did so at once would free locks
 * under each other's hands. Waits in CHILD_RECOVERING without a janitor when none can be had now;
 * the end of the other one, or the tick, tries again.
 */
static void janitor_start(struct child *c)
{
	pid_t pid;

	c->state = CHILD_RECOVERING;
	c->due_ms = clock_update() + BACKOFF_MIN_MS;
	c->janitor = 0;
	if (janitor_at_work())
		return;
	for (unsigned i = 1; i <= JANITOR_SLOTS; i++) {
		unsigned slot = SHM_SLOTS_MAX - i;

		if (janitor_slot_used(slot))
			continue;
		c->janitor_slot = slot;
		pid = fork();
		if (pid < 0) {
			log_crit("cannot fork a janitor for slot %u: %s", c->slot, strerror(errno));
			return;
		}
		if (pid == 0)
			janitor_run(c);
		c->janitor = pid;
		c->due_ms = clock_update() + JANITOR_LIMIT_MS;
		return;
	}
}

/* ---- a new beginning ---- */

static void remember_self(void)
{
	size_t cap = 128 * 1024;
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (!getcwd(proc.cwd, sizeof(proc.cwd)))
		proc.cwd[0] = 0;
	if (fd < 0)
		return;
	free(proc.args);
	proc.args_n = 0;
	proc.args = malloc(cap);
	while (proc.args && proc.args_n < cap) {
		n = read(fd, proc.args + proc.args_n, cap - proc.args_n);
		if (n <= 0)
			break;
		proc.args_n += (size_t)n;
	}
	(void)close(fd);
}

NORETURN static void begin_anew(void)
{
	static char *argv[512];
	unsigned argc = 0;
	sigset_t none;

	log_rings_use(false);
	log_crit("shared memory is damaged beyond repair: starting anew with a fresh arena");
	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].pid > 0)
			(void)kill(proc.child[i].pid, SIGKILL);
		if (proc.child[i].janitor > 0)
			(void)kill(proc.child[i].janitor, SIGKILL);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	log_rings_rest();
	if (proc.opts->anew)
		proc.opts->anew();
	for (size_t at = 0; proc.args && at < proc.args_n && argc < ARRAY_LEN(argv) - 1;
	     at += strlen(proc.args + at) + 1)
		argv[argc++] = proc.args + at;
	if (proc.cwd[0] && chdir(proc.cwd) < 0)
		log_error("cannot go back to %s: %s", proc.cwd, strerror(errno));
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setenv(ENV_REEXEC, "1", 1);
	if (argc > 0)
		(void)execv("/proc/self/exe", argv);
	log_crit("cannot execute myself: %s", strerror(errno));
	if (proc.wrote_pid)
		(void)unlink(proc.opts->pid_file);
	_exit(EXIT_FAILED);
}

/* ---- reaping ---- */

/* True when the slot was given back: an orderly end. A slot that was not is marked dead. */
static bool slot_was_released(unsigned slot)
{
	struct shm_slot_info info;

	if (shm_slot_info(slot, &info) < 0 || info.state == SHM_SLOT_FREE)
		return true;
	if (info.state == SHM_SLOT_ACTIVE && shm_slot_mark_dead(slot) < 0)
		return true; /* released in between */
	return false;
}

static void log_end(const struct child *c, int status)
{
	const struct proc_row *row = row_of(c);

	if (WIFSIGNALED(status))
		log_crit("process %d (%s), slot %u, died of signal %d (%s)%s", (int)c->pid,
		         row->desc, c->slot, WTERMSIG(status), strsignal(WTERMSIG(status)),
		         WCOREDUMP(status) ? ", core dumped" : "");
	else if (c->was_ready ? !proc.stopping || WEXITSTATUS(status) != 0 : WEXITSTATUS(status) == 0) /* a failed start has said why */
		log_crit("process %d (%s), slot %u, ended with status %d", (int)c->pid, row->desc,
		         c->slot, WEXITSTATUS(status));
}

/* A fault of its own, or the watchdog: then what it was doing is to blame. Whoever is killed from outside leaves no record. */
static void note_death(struct child *c, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	const struct trap_record *rec = trap_of(c->slot, c->pid);
	bool faulted = rec && sig && rec->signal == sig;

	c->death = (struct proc_death){ .slot = c->slot, .pid = c->pid, .signal = sig, .by_watchdog = c->watchdog_killed,
					.record = faulted || c->watchdog_killed ? rec : NULL };
	c->watchdog_killed = false;
	c->trapped_ms = 0;
}

static void child_ended(struct child *c, int status)
{
	bool clean;

	log_end(c, status);
	c->died_us = clock_now_us();
	note_death(c, status);
	if (c->ready_fd >= 0)
		(void)close(c->ready_fd);
	c->ready_fd = -1;
	c->pid = 0;
	row_of(c)->pid = 0;
	clean = slot_was_released(c->slot);
	if (proc.stopping &&
	    !clean) { /* the others may wait for a lock of this one before they can end */
		janitor_start(c);
		return;
	}
	if (proc.stopping ||
	    !c->was_ready) { /* the end, or a start that failed: proc_run() sees CHILD_NONE */
		c->state = CHILD_NONE;
		return;
	}
	row_of(c)->restarts++;
	c->janitor_fails = 0;
	c->bad_janitor_slot = -1;
	if (clean)
		child_replace(c);
	else
		janitor_start(c);
}

/* The next of those who died meanwhile. */
static void janitor_next(void)
{
	for (unsigned i = 0; i < proc.n && !janitor_at_work(); i++) {
		if (proc.child[i].state == CHILD_RECOVERING)
			janitor_start(&proc.child[i]);
	}
}

static void janitor_ended(struct child *c, int status)
{
	bool clean = slot_was_released(c->janitor_slot);

	c->janitor = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && clean) {
		child_replace(c);
		janitor_next();
		return;
	}
	log_crit("the janitor of slot %u failed (%s %d)", c->slot,
	         WIFSIGNALED(status) ? "signal" : "status",
	         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (proc.stopping) {
		c->state = CHILD_NONE;
		janitor_next();
		return;
	}
	if (++c->janitor_fails >= 2)
		begin_anew();
	c->bad_janitor_slot = clean ? -1 : (int)c->janitor_slot;
	janitor_start(c);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < proc.n; i++) {
			struct child *c = &proc.child[i];

			if (c->pid == pid)
				child_ended(c, status);
			else if (c->janitor == pid)
				janitor_ended(c, status);
			else
				continue;
			break;
		}
	}
}

/* ---- the loop of the supervisor ---- */

static unsigned living(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < proc.n; i++)
		n += (proc.child[i].pid > 0) + (proc.child[i].janitor > 0);
	return n;
}

/* Those that stop last are left out until they are alone. */
static void stop_all(int sig, bool last_too)
{
	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].pid > 0 && (last_too || !proc.child[i].desc->stops_last))
			(void)kill(proc.child[i].pid, sig);
		if (proc.child[i].janitor > 0 && sig == SIGKILL)
			(void)kill(proc.child[i].janitor, sig);
	}
}

static void begin_stop(void)
{
	if (proc.stopping)
		return;
	proc.stopping = true;
	proc.kill_at_ms = clock_update() + (uint64_t)proc.opts->exit_timeout_s * 1000u;
	stop_all(SIGTERM, false);
}

/* Is anybody left whom the log has to serve? When not, the last ones are told. */
static void stop_last(void)
{
	if (proc.last_told)
		return;
	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].janitor > 0 || (proc.child[i].pid > 0 && !proc.child[i].desc->stops_last))
			return;
	}
	proc.last_told = true;
	proc.kill_at_ms = clock_update() + LAST_LIMIT_MS;
	stop_all(SIGTERM, true);
}

static void log_memory(void)
{
	struct shm_stats s;

	shm_arena_stats(&s);
	log_notice("shared memory: %llu of %llu KiB used, %llu at most so far, %llu committed, "
	           "%llu objects",
	           (unsigned long long)s.used_bytes / 1024,
	           (unsigned long long)s.ceiling_bytes / 1024,
	           (unsigned long long)s.max_used_bytes / 1024,
	           (unsigned long long)s.committed_bytes / 1024, (unsigned long long)s.n_objects);
}

static void hear_signals(void)
{
	struct signalfd_siginfo si;

	while (read(proc.sig_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			log_notice("signal %u: stopping", si.ssi_signo);
			begin_stop();
			break;
		case SIGUSR1:
			log_memory();
			break;
		default: /* SIGCHLD: reap() looks in any case; SIGHUP: ignored */
			break;
		}
	}
	reap();
}

/* A byte: ready. The end without a byte is left to reap(), which knows why. */
static void hear_ready(struct child *c)
{
	char byte;
	ssize_t n = read(c->ready_fd, &byte, 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	(void)close(c->ready_fd);
	c->ready_fd = -1;
	if (n != 1)
		return;
	c->state = CHILD_READY;
	c->ready_ms = clock_update();
	if (c->was_ready)
		log_notice("%s replaced by process %d, %llu us after its death", row_of(c)->desc,
		           (int)c->pid, (unsigned long long)(clock_now_us() - c->died_us));
	c->was_ready = true;
}

/* No progress: it is asked what it does, and has a moment to answer; then it is killed, and its janitor tells. */
static void stuck(struct child *c, uint64_t now, uint64_t silent_ms)
{
	char text[160];
	struct strbuf sb;

	if (c->trapped_ms == 0) {
		c->trapped_ms = now;
		if (trap_ask(c->slot, c->pid) == 0)
			return;
	} else if (!trap_answered(c->slot) && now < c->trapped_ms + TRAP_LIMIT_MS) {
		return;
	}
	strbuf_init_fixed(&sb, text, sizeof(text));
	trap_kernel_state((int)c->pid, &sb);
	log_crit("process %d (%s), slot %u, made no progress for %llu ms: killed (%s%.*s)", (int)c->pid, row_of(c)->desc, c->slot,
		 (unsigned long long)silent_ms, trap_answered(c->slot) ? "" : "does not answer, ", (int)sb.n, text);
	c->ready_ms = now; /* once per limit */
	c->watchdog_killed = true;
	(void)kill(c->pid, SIGKILL);
}

static void watch_heartbeat(struct child *c, uint64_t now)
{
	struct shm_slot_info info;
	unsigned limit = proc.opts->watchdog_ms;

	if (c->state == CHILD_STARTING && c->was_ready && now > c->started_ms + START_LIMIT_MS) {
		log_crit("process %d (%s), slot %u, was not ready after %u s: killed", (int)c->pid,
		         row_of(c)->desc, c->slot, START_LIMIT_MS / 1000);
		c->started_ms = now; /* once per limit */
		(void)kill(c->pid, SIGKILL);
	}
	if (limit == 0 || c->desc->may_block || c->pid <= 0 || shm_slot_info(c->slot, &info) < 0 ||
	    info.state != SHM_SLOT_ACTIVE || info.pid != c->pid)
		return;
	if (c->state == CHILD_READY && now > c->ready_ms + limit && now > info.heartbeat_ms + limit)
		stuck(c, now, now - info.heartbeat_ms);
	else
		c->trapped_ms = 0; /* it goes on */
}

/*
 * When the supervisor itself stood still (a stopped or frozen machine, or group of processes), so
 * did the workers, and it may be the first to run again: their time begins anew.
 */
static void forgive_pause(uint64_t now)
{
	uint64_t was = proc.tick_ms;

	proc.tick_ms = now;
	if (was == 0 || now - was < proc.opts->watchdog_ms / 2)
		return;
	for (unsigned i = 0; i < proc.n; i++)
		proc.child[i].ready_ms = now;
}

/* What is due. Returns how long poll(2) may sleep. */
static int tick(void)
{
	uint64_t now = clock_update(), next = now + 1000;

	if (proc.stopping) {
		stop_last();
		if (now >= proc.kill_at_ms) {
			log_error("%u processes did not end in time: killed", living());
			stop_all(SIGKILL, proc.last_told);
			proc.kill_at_ms = now + 1000;
		}
		return (int)(proc.kill_at_ms - now);
	}
	if (proc.opts->watchdog_ms)
		forgive_pause(now);
	for (unsigned i = 0; i < proc.n; i++) {
		struct child *c = &proc.child[i];

		watch_heartbeat(c, now);
		if (c->state != CHILD_BACKOFF && c->state != CHILD_RECOVERING)
			continue;
		if (c->due_ms <= now) {
			if (c->state == CHILD_RECOVERING && c->janitor == 0) {
				janitor_start(c);
			} else if (c->state == CHILD_RECOVERING) {
				(void)kill(c->janitor, SIGKILL); /* it hangs: counts as failed */
				c->due_ms = now + JANITOR_LIMIT_MS;
			} else if (child_fork(c) < 0) {
				child_later(c, BACKOFF_MAX_MS);
			}
		}
		if (c->due_ms > now && c->due_ms < next)
			next = c->due_ms;
	}
	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].trapped_ms && now + 10 < next)
			next = now + 10;
	}
	if (proc.opts->watchdog_ms && now + proc.opts->watchdog_ms / 4 + 1 < next)
		next = now + proc.opts->watchdog_ms / 4 + 1;
	return (int)(next - now);
}

static void turn(void)
{
	struct pollfd fds[CHILDREN_MAX + 1];
	unsigned who[CHILDREN_MAX + 1];
	nfds_t n = 1;
	int timeout_ms = tick();

	fds[0] = (struct pollfd){ .fd = proc.sig_fd, .events = POLLIN };
	for (unsigned i = 0; i < proc.n; i++) {
		if (proc.child[i].ready_fd < 0)
			continue;
		who[n] = i;
		fds[n++] = (struct pollfd){ .fd = proc.child[i].ready_fd, .events = POLLIN };
	}
	if (poll(fds, n, timeout_ms) < 0)
		return; /* EINTR */
	(void)clock_update();
	for (nfds_t i = 1; i < n; i++) {
		if (fds[i].revents && proc.child[who[i]].ready_fd == fds[i].fd)
			hear_ready(&proc.child[who[i]]);
	}
	if (fds[0].revents)
		hear_signals();
}

/* ---- start and end ---- */

static int take_signals(void)
{
	static const int mine[] = { SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		(void)sigaddset(&set, mine[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	proc.sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return proc.sig_fd < 0 ? -errno : 0;
}

/*
 * The launching process stays and waits for the outcome, then leaves with it. Two forks: the one in
 * between ends the session's leadership, so that no terminal can ever be acquired. Returns in the
 * daemon only.
 */
static int daemonize(void)
{
	unsigned char status = EXIT_FAILED;
	bool has_slot = shm_slot_self() == 0;
	int fds[2], err;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	if (has_slot)
		shm_slot_release(); /* names its process, and no child inherits it: the daemon takes it */
	pid = fork();
	if (pid < 0) {
		err = -errno;
		return has_slot && shm_slot_take(0, SHM_SLOT_SUPERVISOR) < 0 ? -EBUSY : err;
	}
	if (pid > 0) {
		(void)close(fds[1]);
		while (read(fds[0], &status, 1) < 0 && errno == EINTR)
			;
		_exit(status);
	}
	(void)close(fds[0]);
	(void)setsid();
	pid = fork();
	if (pid < 0)
		_exit(EXIT_FAILED);
	if (pid > 0)
		_exit(EXIT_SUCCESS);
	proc.status_fd = fds[1];
	return has_slot ? shm_slot_take(0, SHM_SLOT_SUPERVISOR) : 0;
}

/* Tells the launching process, and lets go of its terminal. */
static void report_status(unsigned char status)
{
	if (proc.status_fd < 0)
		return;
	if (write(proc.status_fd, &status, 1) != 1)
		log_error("nobody waits for the outcome of the start");
	(void)close(proc.status_fd);
	proc.status_fd = -1;
	proc_leave_terminal();
}

static int pid_file_write(const char *path)
{
	char text[NUM_DEC_MAX + 2];
	uint32_t old = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EACCES && getenv(ENV_REEXEC)) /* written as another user, and the same process still */
		return 0;
	if (fd < 0)
		return log_fail(-errno, "cannot open the pid file %s", path);
	n = read(fd, text, sizeof(text) - 1);
	if (n > 0 && num_u32(str_trim(str_of(text, (size_t)n)), &old) == 0 && old > 1 &&
	    (pid_t)old != getpid() && kill((pid_t)old, 0) == 0) {
		(void)close(fd);
		log_error("process %u of the pid file %s is running", old, path);
		return -EEXIST;
	}
	n = (ssize_t)num_dec(getpid(), text);
	text[n++] = '\n';
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
		int err = -errno;

		(void)close(fd);
		return log_fail(err, "cannot write the pid file %s", path);
	}
	(void)close(fd);
	proc.wrote_pid = true;
	return 0;
}

/* All children up and ready. -ECHILD when one ended before, -ETIMEDOUT, -EINTR when told to stop.
 */
static int start_all(void)
{
	uint64_t limit = clock_update() + START_LIMIT_MS;
	unsigned ready = 0;

	for (unsigned i = 0; i < proc.n; i++) {
		int err = child_fork(&proc.child[i]);

		if (err < 0)
			return log_fail(err, "cannot fork %s", row_of(&proc.child[i])->desc);
	}
	while (ready < proc.n) {
		turn();
		ready = 0;
		for (unsigned i = 0; i < proc.n; i++) {
			if (proc.child[i].state == CHILD_NONE)
				return -ECHILD;
			ready += proc.child[i].state == CHILD_READY;
		}
		if (proc.stopping)
			return -EINTR;
		if (clock_ms() > limit) {
			log_crit("not all processes were ready after %u s", START_LIMIT_MS / 1000);
			return -ETIMEDOUT;
		}
	}
	return 0;
}

static int run_alone(void)
{
	const struct proc_desc *d = NULL;
	int err;

	for (unsigned i = 0; i < proc.n_descs && !d; i++) {
		if (proc.descs[i]->kind == SHM_SLOT_WORKER)
			d = proc.descs[i];
	}
	if (!d)
		return EXIT_FAILED;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	shm_slot_release();
	err = shm_slot_take(d->first_slot, d->kind);
	if (err < 0) {
		(void)log_fail(err, "slot %u is not free", d->first_slot);
		return EXIT_FAILED;
	}
	proc.number = 0;
	trap_arm(true);
	proc.table->row[1].pid = getpid();
	proc.table->n = 2;
	if (proc.opts->started)
		proc.opts->started();
	err = proc_work(d, 0, -1, false);
	shm_slot_release();
	return err < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

int proc_run(const struct proc_opts *opts)
{
	int err, status = EXIT_FAILED;

	proc.opts = opts;
	proc.stopping = proc.last_told = false;
	remember_self();
	err = table_new();
	if (err == 0)
		err = trap_init(SHM_SLOTS_MAX);
	if (err < 0) {
		(void)log_fail(err, "no memory for the table of processes");
		return EXIT_FAILED;
	}
	if (opts->daemonize && opts->fork && !getenv(ENV_REEXEC)) {
		err = daemonize();
		if (err < 0) {
			(void)log_fail(err, "cannot become a daemon");
			return EXIT_FAILED;
		}
	}
	proc.supervisor = getpid();
	(void)clock_update();
	table_fill();
	if (opts->pid_file && pid_file_write(opts->pid_file) < 0)
		goto out;
	if (!opts->fork) {
		status = run_alone();
		goto out;
	}
	trap_arm(false); /* faults of the supervisor end it as they always did */
	err = take_signals();
	if (err < 0) {
		(void)log_fail(err, "no signalfd");
		goto out;
	}
	err = start_all();
	if (err == 0) {
		log_started();
		log_rings_use(true);
		if (opts->started)
			opts->started();
		report_status(EXIT_SUCCESS);
		while (!proc.stopping)
			turn();
	}
	begin_stop();
	while (living() > 0)
		turn();
	log_rings_rest();
	status = err == 0 || err == -EINTR ? EXIT_SUCCESS : EXIT_FAILED;
out:
	if (proc.wrote_pid)
		(void)unlink(opts->pid_file);
	proc.wrote_pid = false;
	report_status((unsigned char)status);
	if (proc.sig_fd >= 0)
		(void)close(proc.sig_fd);
	proc.sig_fd = -1;
	return status;
}
