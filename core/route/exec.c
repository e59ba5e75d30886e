/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec(): a shell command, waited for as system() would, but by the context alone: the worker goes on with other messages. The
 * child is watched through a pidfd, so no signal handler is needed. A command that outlives the longest wait goes on by itself,
 * the script goes on without it, and it is still reaped when it ends.
 */
#include "core/route/route_priv.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/event/loop.h"
#include "core/script/func.h"

#define EXEC_WAIT_MAX_MS 60000u
#define EXEC_CHILDREN_MAX 64u

extern char **environ;

struct child {
	pid_t pid;
	int pidfd;
	struct loop_io *io;
	uint64_t ticket; /* 0: nobody waits */
};

static unsigned n_children; /* of this process */

static void child_over(void *arg, int fd, int events)
{
	struct child *c = arg;
	uint64_t ticket = c->ticket;
	int status = 0;

	(void)fd, (void)events; /* readable, or broken: either way it is over */
	if (waitpid(c->pid, &status, WNOHANG) == 0)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status))
		log_debug("exec: process %d ended with %d", (int)c->pid, WEXITSTATUS(status));
	loop_io_del(c->io);
	(void)close(c->pidfd);
	free(c);
	n_children--;
	if (ticket)
		ctx_wake(ticket, 1);
}

/* As in a fresh process: what this one ignores or blocks is not the command's business. */
static int spawn(const char *text, pid_t *ret_pid)
{
	char sh[] = "sh", dash_c[] = "-c";
	char *argv[] = { sh, dash_c, (char *)(uintptr_t)text, NULL };
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err = posix_spawnattr_init(&attr);

	if (err)
		return -err;
	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setsigmask(&attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(&attr, &all);
	if (!err)
		err = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (!err)
		err = posix_spawn(ret_pid, "/bin/sh", NULL, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	return -err;
}

int route_exec(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct child *c;
	struct str text;
	int err;

	if (n != 1 || pool_printf(ctx->pool, &text, "%.*s", STR_FMT(a[0].s)) < 0)
		return 1;
	if (n_children >= EXEC_CHILDREN_MAX) {
		log_error("exec: %u commands are running already: \"%.*s\" is not started", n_children, STR_FMT(text));
		return 1;
	}
	c = calloc(1, sizeof(*c));
	err = c ? spawn(text.s, &c->pid) : -ENOMEM;
	if (err < 0) {
		log_error("exec: \"%.*s\" cannot be started: %s", STR_FMT(text), strerror(-err));
		free(c);
		return 1;
	}
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	err = c->pidfd < 0 ? -errno : loop_io_add(loop_self(), c->pidfd, LOOP_READ, child_over, c, &c->io);
	if (err < 0) {
		log_error("exec: process %d cannot be watched: %s", (int)c->pid, strerror(-err));
		if (c->pidfd >= 0)
			(void)close(c->pidfd);
		free(c);
		return 1;
	}
	n_children++;
	c->ticket = ctx_park(ctx, EXEC_WAIT_MAX_MS, 1);
	return c->ticket ? SCRIPT_SUSPEND : 1;
}
