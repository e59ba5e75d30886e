/* SPDX-License-Identifier: BSD-2-Clause */
/* file_read() and file_write(): a thread does it while the script waits and the worker goes on. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/event/loop.h"
#include "modules/corex/corex_priv.h"

#define FILE_MAX 65535u
#define WAIT_MAX_MS 60000u

struct job { /* private; the thread touches nothing else */
	uint64_t ticket;
	const struct pv_spec *to; /* read: lives as long as the script's generation, which the waiting context holds */
	bool is_write;
	int err;
	size_t n;
	char *bytes;
	char path[];
};

static void job_free(struct job *j)
{
	free(j->bytes);
	free(j);
}

static int read_all(int fd, struct job *j)
{
	ssize_t got = 1;

	j->bytes = malloc(FILE_MAX + 1);
	if (!j->bytes)
		return -ENOMEM;
	while (got > 0 && j->n <= FILE_MAX) {
		got = read(fd, j->bytes + j->n, FILE_MAX + 1 - j->n);
		if (got > 0)
			j->n += (size_t)got;
	}
	return got < 0 ? -errno : j->n > FILE_MAX ? -EFBIG : 0;
}

static int write_all(int fd, const struct job *j)
{
	size_t at = 0;

	while (at < j->n) {
		ssize_t put = write(fd, j->bytes + at, j->n - at);

		if (put < 0)
			return -errno;
		at += (size_t)put;
	}
	return 0;
}

/* In a thread. Nonblocking: what is no file (a FIFO without a reader) must not hold the thread. */
static void work(void *arg)
{
	struct job *j = arg;
	int fd = open(j->path, (j->is_write ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);

	if (fd < 0) {
		j->err = -errno;
		return;
	}
	j->err = j->is_write ? write_all(fd, j) : read_all(fd, j);
	if (close(fd) < 0 && j->err == 0)
		j->err = -errno;
}

static void tell(void *arg)
{
	struct job *j = arg;
	struct ctx *ctx = ctx_of_ticket(j->ticket);
	int rc = 1;

	if (j->err < 0) {
		log_fail(j->err, "corex: file %s cannot be %s", j->path, j->is_write ? "written" : "read");
		rc = -1;
	} else if (ctx && !j->is_write) {
		struct value v = value_str(str_dup(ctx->pool, str_of(j->bytes, j->n)));

		if (!v.s.s || pv_set(ctx, j->to, &v) < 0)
			rc = -1;
	}
	ctx_wake(j->ticket, rc);
	job_free(j);
}

static void done(void *arg, bool ending)
{
	if (ending) /* no script runs any more */
		job_free(arg);
	else
		tell(arg);
}

static int start(struct ctx *ctx, struct job *j)
{
	j->ticket = ctx_park(ctx, WAIT_MAX_MS, -1);
	if (!j->ticket) {
		job_free(j);
		return -1;
	}
	if (loop_work(loop_self(), work, done, j) < 0) {
		j->err = -ENOMEM;
		if (loop_defer(loop_self(), tell, j) < 0)
			job_free(j); /* the wait's own end tells it */
	}
	return SCRIPT_SUSPEND;
}

static struct job *job_new(struct str path)
{
	struct job *j;

	if (path.n == 0 || memchr(path.s, '\0', path.n))
		return NULL;
	j = calloc(1, sizeof(*j) + path.n + 1);
	if (j)
		memcpy(j->path, path.s, path.n);
	return j;
}

int corex_file_read(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct job *j = job_new(a[0].s);

	(void)n; /* two */
	if (!j)
		return -1;
	j->to = a[1].pv;
	return start(ctx, j);
}

int corex_file_write(struct ctx *ctx, const union script_arg *a, unsigned n)
{
	struct job *j = job_new(a[0].s);

	(void)n; /* two */
	if (!j)
		return -1;
	j->is_write = true;
	j->n = a[1].s.n;
	j->bytes = malloc(j->n + 1);
	if (!j->bytes) {
		job_free(j);
		return -1;
	}
	if (j->n)
		memcpy(j->bytes, a[1].s.s, j->n);
	return start(ctx, j);
}
