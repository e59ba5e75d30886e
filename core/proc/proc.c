/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor's loop. It is small on purpose: one poll(2) over a signalfd and the ready pipes, no libuv, no SIP, no shared lock; what
 * it does when a worker dies must work in whatever state the arena is in.
 */
#include "core/proc/proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/log_ring.h"
#include "core/proc/proc_priv.h"
#include "core/proc/trap.h"

#define LAST_LIMIT_MS 2000u
#define NEVER_MS UINT64_MAX

struct procs procs = { .sig_fd = -1, .status_fd = -1, .number = -1 };

/* ---- who there shall be ---- */

int proc_number(void)
{
	return procs.number;
}

bool proc_has(enum shm_slot_kind kind)
{
	for (unsigned i = 0; i < procs.n_descs; i++)
		if (procs.descs[i]->kind == kind)
			return true;
	return false;
}

void proc_on_death(proc_death_fn *fn)
{
	procs.on_death = fn;
}

int proc_register(const struct proc_desc *desc)
{
	if (procs.n_descs == PROC_DESCS_MAX || procs.n + desc->n > PROC_CHILDREN_MAX)
		return -ENOSPC;
	if (desc->first_slot + desc->n > SHM_SLOTS_MAX - PROC_JANITOR_SLOTS || !desc->start)
		return -EINVAL;
	procs.descs[procs.n_descs++] = desc;
	for (unsigned i = 0; i < desc->n; i++) {
		struct proc_child *c = &procs.child[procs.n++];

		memset(c, 0, sizeof(*c));
		c->desc = desc;
		c->number = i;
		c->slot = desc->first_slot + i;
		c->ready_fd = -1;
		c->bad_janitor_slot = -1;
	}
	return 0;
}

/* ---- the loop of the supervisor ---- */

static unsigned living(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < procs.n; i++)
		n += (procs.child[i].pid > 0) + (procs.child[i].janitor > 0);
	return n;
}

/* Those that stop last are left out until they are alone. */
static void stop_all(int sig, bool last_too)
{
	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].pid > 0 && (last_too || !procs.child[i].desc->stops_last))
			(void)kill(procs.child[i].pid, sig);
		if (procs.child[i].janitor > 0 && sig == SIGKILL)
			(void)kill(procs.child[i].janitor, sig);
	}
}

static void begin_stop(void)
{
	if (procs.stopping)
		return;
	procs.stopping = procs.table->stopping = true;
	procs.kill_at_ms = procs.opts->exit_timeout_s ? clock_update() + (uint64_t)procs.opts->exit_timeout_s * 1000u : NEVER_MS;
	stop_all(SIGTERM, false);
}

/* Is anybody left whom the log has to serve? When not, the last ones are told. */
static void stop_last(void)
{
	if (procs.last_told)
		return;
	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].janitor > 0 || (procs.child[i].pid > 0 && !procs.child[i].desc->stops_last))
			return;
	}
	procs.last_told = true;
	procs.kill_at_ms = clock_update() + LAST_LIMIT_MS;
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

	while (read(procs.sig_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			log_notice("signal %u: stopping", si.ssi_signo);
			begin_stop();
			break;
		case SIGUSR1:
			log_memory();
			break;
		default: /* SIGCHLD: proc_reap() looks in any case; SIGHUP: ignored */
			break;
		}
	}
	proc_reap();
}

/* A byte: ready. The end without a byte is left to proc_reap(), which knows why. */
static void hear_ready(struct proc_child *c)
{
	char byte;
	ssize_t n = read(c->ready_fd, &byte, 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	(void)close(c->ready_fd);
	c->ready_fd = -1;
	if (n != 1)
		return;
	c->state = PROC_CHILD_READY;
	c->ready_ms = clock_update();
	if (c->was_ready)
		log_notice("%s replaced by process %d, %llu us after its death", proc_row_of(c)->desc,
		           (int)c->pid, (unsigned long long)(clock_now_us() - c->died_us));
	c->was_ready = true;
}

/* A janitor that could not be had is tried again, one that hangs is killed and counts as failed. */
static void tend_janitor(struct proc_child *c, uint64_t now)
{
	if (c->janitor == 0) {
		proc_janitor_start(c);
		return;
	}
	(void)kill(c->janitor, SIGKILL);
	c->due_ms = now + PROC_JANITOR_LIMIT_MS;
}

/* Who waits for a janitor, or to be forked. Returns when the first of them is due, at most next. */
static uint64_t tend_dead(uint64_t now, uint64_t next)
{
	for (unsigned i = 0; i < procs.n; i++) {
		struct proc_child *c = &procs.child[i];
		bool mends = c->state == PROC_CHILD_RECOVERING;

		if (!mends && (c->state != PROC_CHILD_BACKOFF || procs.stopping))
			continue;
		if (c->due_ms <= now && mends)
			tend_janitor(c, now);
		else if (c->due_ms <= now && proc_child_fork(c) < 0)
			proc_child_later(c, PROC_BACKOFF_MAX_MS);
		if (c->due_ms > now && c->due_ms < next)
			next = c->due_ms;
	}
	return next;
}

/* What is due. Returns how long poll(2) may sleep. */
static int tick(void)
{
	uint64_t now = clock_update(), next = now + 1000;

	if (procs.stopping) {
		stop_last();
		if (now >= procs.kill_at_ms) {
			log_error("%u processes did not end in time: killed", living());
			stop_all(SIGKILL, procs.last_told);
			procs.kill_at_ms = now + 1000;
		}
		next = tend_dead(now, next);
		return (int)((procs.kill_at_ms < next ? procs.kill_at_ms : next) - now);
	}
	if (procs.opts->watchdog_ms)
		proc_forgive_pause(now);
	for (unsigned i = 0; i < procs.n; i++)
		proc_watch_heartbeat(&procs.child[i], now);
	next = tend_dead(now, next);
	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].trapped_ms && now + 10 < next)
			next = now + 10;
	}
	if (procs.opts->watchdog_ms && now + procs.opts->watchdog_ms / 4 + 1 < next)
		next = now + procs.opts->watchdog_ms / 4 + 1;
	return (int)(next - now);
}

static void turn(void)
{
	struct pollfd fds[PROC_CHILDREN_MAX + 1];
	unsigned who[PROC_CHILDREN_MAX + 1];
	nfds_t n = 1;
	int timeout_ms = tick();

	fds[0] = (struct pollfd){ .fd = procs.sig_fd, .events = POLLIN };
	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].ready_fd < 0)
			continue;
		who[n] = i;
		fds[n++] = (struct pollfd){ .fd = procs.child[i].ready_fd, .events = POLLIN };
	}
	if (poll(fds, n, timeout_ms) < 0)
		return; /* EINTR */
	(void)clock_update();
	for (nfds_t i = 1; i < n; i++) {
		if (fds[i].revents && procs.child[who[i]].ready_fd == fds[i].fd)
			hear_ready(&procs.child[who[i]]);
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
	procs.sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return procs.sig_fd < 0 ? -errno : 0;
}

/* All children up and ready. -ECHILD when one ended before, -ETIMEDOUT, -EINTR when told to stop.
 */
static int start_all(void)
{
	uint64_t limit = clock_update() + PROC_START_LIMIT_MS;
	unsigned ready = 0;

	for (unsigned i = 0; i < procs.n; i++) {
		int err = proc_child_fork(&procs.child[i]);

		if (err < 0)
			return log_fail(err, "cannot fork %s", proc_row_of(&procs.child[i])->desc);
	}
	while (ready < procs.n) {
		turn();
		if (procs.stopping)
			return -EINTR; /* then an end is no failure */
		ready = 0;
		for (unsigned i = 0; i < procs.n; i++) {
			if (procs.child[i].state == PROC_CHILD_NONE)
				return -ECHILD;
			ready += procs.child[i].state == PROC_CHILD_READY;
		}
		if (clock_ms() > limit) {
			log_crit("not all processes were ready after %u s", PROC_START_LIMIT_MS / 1000);
			return -ETIMEDOUT;
		}
	}
	return 0;
}

static int run_alone(void)
{
	const struct proc_desc *d = NULL;
	int err;

	for (unsigned i = 0; i < procs.n_descs && !d; i++) {
		if (procs.descs[i]->kind == SHM_SLOT_WORKER)
			d = procs.descs[i];
	}
	if (!d)
		return PROC_EXIT_FAILED;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	shm_slot_release();
	err = shm_slot_take(d->first_slot, d->kind);
	if (err < 0) {
		(void)log_fail(err, "slot %u is not free", d->first_slot);
		return PROC_EXIT_FAILED;
	}
	procs.number = 0;
	trap_arm(true);
	procs.table->row[1].pid = getpid();
	procs.table->n = 2;
	if (procs.opts->started)
		procs.opts->started();
	err = proc_work(d, 0, -1, false);
	shm_slot_release();
	if (shm_slot_take(0, SHM_SLOT_SUPERVISOR) < 0) /* modules write what is left, and take locks for that */
		return PROC_EXIT_FAILED;
	return err < 0 ? PROC_EXIT_FAILED : EXIT_SUCCESS;
}

int proc_run(const struct proc_opts *opts)
{
	int err, status = PROC_EXIT_FAILED;

	procs.opts = opts;
	procs.stopping = procs.last_told = false;
	proc_remember_self();
	err = proc_table_new();
	if (err == 0)
		err = trap_init(SHM_SLOTS_MAX);
	if (err < 0) {
		(void)log_fail(err, "no memory for the table of processes");
		return PROC_EXIT_FAILED;
	}
	if (opts->daemonize && opts->fork && !getenv(PROC_ENV_REEXEC)) {
		err = proc_daemonize();
		if (err < 0) {
			(void)log_fail(err, "cannot become a daemon");
			return PROC_EXIT_FAILED;
		}
	}
	procs.supervisor = getpid();
	(void)clock_update();
	proc_table_fill();
	if (opts->pid_file && proc_pid_file_write(opts->pid_file) < 0)
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
		proc_report_status(EXIT_SUCCESS);
		while (!procs.stopping)
			turn();
	}
	begin_stop();
	while (living() > 0)
		turn();
	log_rings_rest();
	status = err == 0 || err == -EINTR ? EXIT_SUCCESS : PROC_EXIT_FAILED;
out:
	if (procs.wrote_pid)
		(void)unlink(opts->pid_file);
	procs.wrote_pid = false;
	proc_report_status((unsigned char)status);
	if (procs.sig_fd >= 0)
		(void)close(procs.sig_fd);
	procs.sig_fd = -1;
	return status;
}
