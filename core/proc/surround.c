/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is around the supervisor: who launched it, its pid file, and its own command line for a new beginning.
 *
 * When a janitor fails twice for one slot, shared memory cannot be trusted. The simplest repair
 * that is certainly right is a new beginning: all children are killed and the program executes
 * itself again with its own arguments, in its own process, so that the process id and the pid file
 * stay true. What was only in memory is lost. If the program gave up privileges that its start
 * needs (a port below 1024), that new start fails, the exit status is 255 and the service manager
 * has to start it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/log_ring.h"
#include "core/base/num.h"
#include "core/base/strbuf.h"
#include "core/proc/proc_priv.h"
#include "core/proc/trap.h"

/*
 * The launching process stays and waits for the outcome, then leaves with it. Two forks: the one in
 * between ends the session's leadership, so that no terminal can ever be acquired. Returns in the
 * daemon only.
 */
int proc_daemonize(void)
{
	unsigned char status = PROC_EXIT_FAILED;
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
		_exit(PROC_EXIT_FAILED);
	if (pid > 0)
		_exit(EXIT_SUCCESS);
	procs.status_fd = fds[1];
	return has_slot ? shm_slot_take(0, SHM_SLOT_SUPERVISOR) : 0;
}

/* Tells the launching process, and lets go of its terminal. */
void proc_report_status(unsigned char status)
{
	if (procs.status_fd < 0)
		return;
	if (write(procs.status_fd, &status, 1) != 1)
		log_error("nobody waits for the outcome of the start");
	(void)close(procs.status_fd);
	procs.status_fd = -1;
	proc_leave_terminal();
}

/* One that has ended and that nobody has reaped (a container's first process may never do it) has its number still. */
static bool is_running(pid_t pid)
{
	char text[160];
	struct strbuf sb;

	if (kill(pid, 0) < 0)
		return false;
	strbuf_init_fixed(&sb, text, sizeof(text));
	trap_kernel_state((int)pid, &sb);
	return !str_starts(strbuf_str(&sb), STR_LIT("state Z"));
}

int proc_pid_file_write(const char *path)
{
	char text[NUM_DEC_MAX + 2];
	uint32_t old = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EACCES && getenv(PROC_ENV_REEXEC)) /* written as another user, and the same process still */
		return 0;
	if (fd < 0)
		return log_fail(-errno, "cannot open the pid file %s", path);
	n = read(fd, text, sizeof(text) - 1);
	if (n > 0 && num_u32(str_trim(str_of(text, (size_t)n)), &old) == 0 && old > 1 &&
	    (pid_t)old != getpid() && is_running((pid_t)old)) {
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
	procs.wrote_pid = true;
	return 0;
}

/* ---- a new beginning ---- */

void proc_remember_self(void)
{
	size_t cap = 128 * 1024;
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (!getcwd(procs.cwd, sizeof(procs.cwd)))
		procs.cwd[0] = 0;
	if (fd < 0)
		return;
	free(procs.args);
	procs.args_n = 0;
	procs.args = malloc(cap);
	while (procs.args && procs.args_n < cap) {
		n = read(fd, procs.args + procs.args_n, cap - procs.args_n);
		if (n <= 0)
			break;
		procs.args_n += (size_t)n;
	}
	(void)close(fd);
}

void proc_begin_anew(void)
{
	static char *argv[512];
	unsigned argc = 0;
	sigset_t stop;

	log_rings_use(false);
	log_crit("shared memory is damaged beyond repair: starting anew with a fresh arena");
	for (unsigned i = 0; i < procs.n; i++) {
		if (procs.child[i].pid > 0)
			(void)kill(procs.child[i].pid, SIGKILL);
		if (procs.child[i].janitor > 0)
			(void)kill(procs.child[i].janitor, SIGKILL);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	log_rings_rest();
	if (procs.opts->anew)
		procs.opts->anew();
	for (size_t at = 0; procs.args && at < procs.args_n && argc < ARRAY_LEN(argv) - 1;
	     at += strlen(procs.args + at) + 1)
		argv[argc++] = procs.args + at;
	if (procs.cwd[0] && chdir(procs.cwd) < 0)
		log_error("cannot go back to %s: %s", procs.cwd, strerror(errno));
	sigemptyset(&stop); /* told to stop on the way: heard when all is there, so that an orderly end leaves no files */
	(void)sigaddset(&stop, SIGTERM);
	(void)sigaddset(&stop, SIGINT);
	(void)sigprocmask(SIG_SETMASK, &stop, NULL);
	(void)setenv(PROC_ENV_REEXEC, "1", 1);
	if (argc > 0)
		(void)execv("/proc/self/exe", argv);
	log_crit("cannot execute myself: %s", strerror(errno));
	if (procs.wrote_pid)
		(void)unlink(procs.opts->pid_file);
	_exit(PROC_EXIT_FAILED);
}
