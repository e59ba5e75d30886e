/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a child: forked, ready, ended, replaced.
 *
 * A child reports ready by one byte on a pipe. When a child ends, its slot tells how: a slot given
 * back was an end with all the others (or a start that failed), one still active a crash, or an end
 * while the others go on; the exit status does not matter. After these the slot is marked dead and
 * a janitor is forked to recover it; the moment the janitor has ended well the replacement is
 * forked, with the same number and the same slot, so that it inherits wheel, rings and the socket
 * queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/proc/proc_priv.h"
#include "core/proc/trap.h"
#include "shm/recover.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define LEAKS() (__lsan_do_recoverable_leak_check() != 0) /* by itself it looks at exit(3), which children do not call */
#else
#define LEAKS() false
#endif

#define ORPHAN_SIGNAL SIGRTMIN /* comes when the supervisor dies */
#define ORPHAN_LIMIT_S 5u

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

/*
 * Without a supervisor nobody mends after the dead and nobody watches who hangs, and a new server cannot have the sockets as long as
 * one of us has them: so this is an orderly end with a limit that needs no cooperation.
 */
static void orphaned(int signum)
{
	(void)signum;
	(void)alarm(ORPHAN_LIMIT_S); /* SIGALRM ends it */
	(void)kill(getpid(), SIGTERM);
}

/* What the supervisor alone needs, closed in the child; and no child outlives its supervisor. */
static void child_begin(int own_ready_fd)
{
	child_signals();
	(void)signal(ORPHAN_SIGNAL, orphaned);
	(void)prctl(PR_SET_PDEATHSIG, ORPHAN_SIGNAL);
	if (getppid() != procs.supervisor)
		_exit(EXIT_FAILURE);
	if (procs.sig_fd >= 0)
		(void)close(procs.sig_fd);
	if (procs.status_fd >= 0)
		(void)close(procs.status_fd);
	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].ready_fd >= 0 && procs.child[i].ready_fd != own_ready_fd)
			(void)close(procs.child[i].ready_fd);
	}
	procs.sig_fd = procs.status_fd = -1;
}

NORETURN static void child_run(struct proc_child *c, int ready_fd)
{
	bool of_daemon = procs.status_fd >= 0; /* still on the terminal of who launched it */
	int err;

	child_begin(-1);
	(void)clock_update();
	err = shm_slot_take(c->slot, c->desc->kind);
	if (err < 0) {
		(void)log_fail(err, "%s: slot %u is not free", proc_row_of(c)->desc, c->slot);
		_exit(EXIT_FAILURE);
	}
	procs.number = (int)c->number;
	trap_arm(true);
	err = proc_work(c->desc, c->number, ready_fd, of_daemon);
	/* Who ends while the others go on leaves things behind: transactions of runs that wait, connections. The janitor deals with these. */
	if (err < 0 || procs.table->stopping)
		shm_slot_release();
	_exit(err < 0 || LEAKS() ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* Before the slot is recovered: its locks are part of the story. */
static void tell_death(const struct proc_child *c)
{
	if (c->janitor_fails > 0)
		return; /* the first janitor has told it */
	if (c->death.record)
		trap_log(c->slot, c->death.record, proc_row_of(c)->desc);
	if (procs.on_death)
		procs.on_death(&c->death);
}

NORETURN static void janitor_run(const struct proc_child *c)
{
	int err;

	child_begin(-1);
	(void)signal(SIGTERM, SIG_IGN); /* who is told to end (the whole group may be) may wait for what it is about to free */
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

int proc_child_fork(struct proc_child *c)
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
	c->state = PROC_CHILD_STARTING;
	c->started_ms = clock_update();
	proc_row_of(c)->pid = pid;
	return 0;
}

void proc_child_later(struct proc_child *c, unsigned ms)
{
	c->state = PROC_CHILD_BACKOFF;
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
static void child_replace(struct proc_child *c)
{
	uint64_t now = clock_update();

	if (procs.stopping) {
		c->state = PROC_CHILD_NONE;
		return;
	}
	if (proc_loops(&c->restarts, now)) {
		c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : PROC_BACKOFF_MIN_MS;
		if (c->backoff_ms > PROC_BACKOFF_MAX_MS)
			c->backoff_ms = PROC_BACKOFF_MAX_MS;
		log_crit("%s restarted %u times within %u s: waiting %u ms", proc_row_of(c)->desc,
		         PROC_LOOP_RESTARTS, PROC_LOOP_WINDOW_MS / 1000, c->backoff_ms);
		proc_child_later(c, c->backoff_ms);
	} else {
		c->backoff_ms = 0;
		c->state = PROC_CHILD_BACKOFF;
		c->due_ms = now;
	}
	if (c->due_ms > now)
		return;
	if (proc_child_fork(c) < 0) {
		log_crit("cannot fork %s: %s", proc_row_of(c)->desc, strerror(errno));
		proc_child_later(c, PROC_BACKOFF_MIN_MS);
	}
}

static bool janitor_slot_used(unsigned slot)
{
	struct shm_slot_info info;

	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].janitor > 0 && procs.child[i].janitor_slot == slot)
			return true;
	}
	return shm_slot_info(slot, &info) < 0 || info.state != SHM_SLOT_FREE;
}

static bool janitor_at_work(void)
{
	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].janitor > 0)
			return true;
	}
	return false;
}

/*
 * One at a time: each mends after all who are dead, and two that did so at once would free locks
 * under each other's hands. Waits in PROC_CHILD_RECOVERING without a janitor when none can be had now;
 * the end of the other one, or the tick, tries again.
 */
void proc_janitor_start(struct proc_child *c)
{
	pid_t pid;

	c->state = PROC_CHILD_RECOVERING;
	c->due_ms = clock_update() + PROC_BACKOFF_MIN_MS;
	c->janitor = 0;
	if (janitor_at_work())
		return;
	for (unsigned i = 1; i <= PROC_JANITOR_SLOTS; i++) {
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
		c->due_ms = clock_update() + PROC_JANITOR_LIMIT_MS;
		return;
	}
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

static void log_end(const struct proc_child *c, int status)
{
	const struct proc_row *row = proc_row_of(c);

	if (procs.stopping && c->state == PROC_CHILD_STARTING && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)
		return; /* told to end before it could hear */
	if (WIFSIGNALED(status))
		log_crit("process %d (%s), slot %u, died of signal %d (%s)%s", (int)c->pid,
		         row->desc, c->slot, WTERMSIG(status), strsignal(WTERMSIG(status)),
		         WCOREDUMP(status) ? ", core dumped" : "");
	else if (c->was_ready ? !procs.stopping || WEXITSTATUS(status) != 0 : WEXITSTATUS(status) == 0) /* a failed start has said why */
		log_crit("process %d (%s), slot %u, ended with status %d", (int)c->pid, row->desc,
		         c->slot, WEXITSTATUS(status));
}

/* A fault of its own, or the watchdog: then what it was doing is to blame. Whoever is killed from outside leaves no record. */
static void note_death(struct proc_child *c, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	const struct trap_record *rec = trap_of(c->slot, c->pid);
	bool faulted = rec && sig && rec->signal == sig;

	c->death = (struct proc_death){ .slot = c->slot, .pid = c->pid, .signal = sig, .by_watchdog = c->watchdog_killed,
					.record = faulted || c->watchdog_killed ? rec : NULL };
	c->watchdog_killed = false;
	c->trapped_ms = 0;
}

static void child_ended(struct proc_child *c, int status)
{
	bool clean;

	log_end(c, status);
	c->died_us = clock_now_us();
	note_death(c, status);
	if (c->ready_fd >= 0)
		(void)close(c->ready_fd);
	c->ready_fd = -1;
	c->pid = 0;
	proc_row_of(c)->pid = 0;
	c->janitor_fails = 0;
	c->bad_janitor_slot = -1;
	clean = slot_was_released(c->slot);
	if (procs.stopping &&
	    !clean) { /* the others may wait for a lock of this one before they can end */
		proc_janitor_start(c);
		return;
	}
	if (procs.stopping ||
	    !c->was_ready) { /* the end, or a start that failed: proc_run() sees PROC_CHILD_NONE */
		c->state = PROC_CHILD_NONE;
		return;
	}
	proc_row_of(c)->restarts++;
	if (clean)
		child_replace(c);
	else
		proc_janitor_start(c);
}

/* The next of those who died meanwhile. */
static void janitor_next(void)
{
	for (unsigned i = 0; i < procs.n && !janitor_at_work(); i++) {
		if (procs.child[i].state == PROC_CHILD_RECOVERING)
			proc_janitor_start(&procs.child[i]);
	}
}

static void janitor_ended(struct proc_child *c, int status)
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
	if (++c->janitor_fails >= 2 && procs.stopping) {
		procs.kill_at_ms = clock_update(); /* nobody is going to free what the others may wait for */
		c->state = PROC_CHILD_NONE;
		janitor_next();
		return;
	}
	if (c->janitor_fails >= 2)
		proc_begin_anew();
	c->bad_janitor_slot = clean ? -1 : (int)c->janitor_slot;
	proc_janitor_start(c);
}

void proc_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < procs.n; i++) {
			struct proc_child *c = &procs.child[i];

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
