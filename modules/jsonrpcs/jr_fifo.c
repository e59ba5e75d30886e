/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO: documents come in one after the other, each names the FIFO that its answer goes to. Clients are told apart by
 * nothing else, so a reply FIFO must be just that: no link, no file. A client that does not read yet gets four more tries.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "modules/jsonrpcs/jr_priv.h"

#define TRIES 4u
#define TRY_MS 80u
#define REPLIES_MAX 256u
#define REST_MS 5000u /* for the rest of a document that has begun */

static struct {
	struct loop *loop;
	int fd;
	struct loop_io *io;
	struct loop_timer *rest;
	bool waits; /* for the rest of a document */
	char buf[JR_FIFO_DOC_MAX + 1];
	size_t n;
	struct rpc_scan scan;
} fifo = { .fd = -1 };

struct reply {
	char path[128]; /* "": the request did not say */
	struct rpc *call;
	int fd;
	unsigned tries;
	struct loop_timer *timer;
};

static unsigned n_replies;

static void reply_free(struct reply *r)
{
	if (!r)
		return;
	loop_timer_del(r->timer);
	rpc_free(r->call);
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r);
	n_replies--;
}

static struct reply *reply_new(void)
{
	struct reply *r = n_replies < REPLIES_MAX ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	r->fd = -1;
	n_replies++;
	return r;
}

/* -ENXIO: nobody reads yet. */
static int reply_open(const char *path, int *ret_fd)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int err = fd < 0 ? -errno : 0;

	if (err == 0 && fstat(fd, &st) < 0)
		err = -errno;
	if (err == 0 && (!S_ISFIFO(st.st_mode) || st.st_nlink > 1))
		err = -EPERM;
	if (err == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return err;
}

static void on_sent(void *arg, int err)
{
	struct reply *r = arg;

	if (err < 0)
		log_fail(err, "jsonrpcs: cannot answer through %s", r->path);
	reply_free(r);
}

static void reply_try(void *arg)
{
	struct reply *r = arg;
	struct rpc *call = r->call;
	int err = reply_open(r->path, &r->fd);

	if (err == -ENXIO && ++r->tries <= TRIES) {
		loop_timer_set(r->timer, TRY_MS);
		return;
	}
	loop_timer_del(r->timer);
	r->timer = NULL;
	if (err == 0) {
		r->call = NULL;
		err = rpc_send(fifo.loop, r->fd, call, 0, on_sent, r);
	}
	if (err < 0)
		on_sent(r, err);
}

/* Takes over call. Also what a command that had to wait is answered by. */
static void reply_start(void *arg, struct rpc *call)
{
	struct reply *r = arg;

	r->call = call;
	if (!r->path[0] || loop_timer_add(fifo.loop, 0, 0, reply_try, r, &r->timer) < 0)
		reply_free(r);
}

static void reply_name(struct reply *r, const char *name)
{
	int len;

	if (!name[0] || strpbrk(name, "./\\")) {
		log_error("jsonrpcs: bad reply_name \"%s\"", name);
		return;
	}
	len = snprintf(r->path, sizeof(r->path), "%.*s%s", STR_FMT(jr_conf.fifo_reply_dir), name);
	if (len < 0 || (size_t)len >= sizeof(r->path)) {
		log_error("jsonrpcs: fifo_reply_dir and reply_name \"%s\" are longer than %zu bytes", name, sizeof(r->path) - 1);
		r->path[0] = 0;
	}
}

/* The command is not run for who does not say where the answer goes. */
static bool has_reply_name(struct str doc)
{
	return str_ifind(doc, STR_LIT("\"reply_name\"")) >= 0;
}

static void run_doc(struct str doc)
{
	struct reply *r = NULL;
	struct rpc_out out = { .later = reply_start };
	int err;

	if (!has_reply_name(doc)) {
		log_error("jsonrpcs: request without reply_name on the FIFO");
		return;
	}
	r = reply_new();
	if (!r) {
		log_error("jsonrpcs: %u answers wait for readers of their FIFOs, request dropped", n_replies);
		return;
	}
	out.later_arg = r;
	err = rpc_json_run(doc, jr_conf.pretty_format != 0, &out);
	if (err == 0 || err == -EINPROGRESS)
		reply_name(r, out.reply_name);
	if (err == 0) {
		reply_start(r, out.call);
	} else if (err != -EINPROGRESS) {
		log_error("jsonrpcs: what came through the FIFO is no JSON");
		reply_free(r);
	}
}

static void drop(void)
{
	fifo.n = 0;
	fifo.scan = (struct rpc_scan){ 0 };
}

/* Its client is gone, or sent a brace or a quote too few; what others write behind it would be taken for its rest. */
static void on_rest_late(void *arg)
{
	(void)arg;
	if (!fifo.waits)
		return;
	fifo.waits = false;
	log_error("jsonrpcs: a request on the FIFO is not whole after %u ms, %zu bytes dropped", REST_MS, fifo.n);
	drop();
}

static void wait_for_rest(bool one_was_whole)
{
	bool waits = fifo.n > 0;

	if (waits && (!fifo.waits || one_was_whole))
		loop_timer_set(fifo.rest, REST_MS);
	fifo.waits = waits;
}

static void on_readable(void *arg, int fd, int events)
{
	bool one_was_whole = false;
	ptrdiff_t len;
	ssize_t n;

	(void)arg;
	if (events < 0)
		return;
	n = read(fd, fifo.buf + fifo.n, JR_FIFO_DOC_MAX - fifo.n);
	if (n <= 0)
		return;
	fifo.n += (size_t)n;
	while ((len = jr_doc_end(str_of(fifo.buf, fifo.n), &fifo.scan)) > 0) {
		size_t end = fifo.scan.from + (size_t)len;

		one_was_whole = true;
		run_doc(str_of(fifo.buf + fifo.scan.from, (size_t)len));
		fifo.n -= end;
		memmove(fifo.buf, fifo.buf + end, fifo.n);
		fifo.scan = (struct rpc_scan){ 0 };
	}
	if (fifo.n == JR_FIFO_DOC_MAX)
		log_error("jsonrpcs: request of more than %u bytes on the FIFO, dropped", JR_FIFO_DOC_MAX);
	if (fifo.n == JR_FIFO_DOC_MAX || fifo.scan.from >= fifo.n) /* or nothing that could become a document */
		drop();
	wait_for_rest(one_was_whole);
}

/* A FIFO that nobody reads was left by a dead server and may go. Anything else that has the name is somebody's, and stays. */
static int clear_the_way(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EEXIST;
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		(void)close(fd);
		return -EADDRINUSE;
	}
	if (errno != ENXIO)
		return -errno;
	return unlink(path) < 0 ? -errno : 0;
}

static int make(const char *path)
{
	int err = clear_the_way(path);

	if (err == -EEXIST)
		log_error("jsonrpcs: cannot make FIFO %s: what is there is no FIFO, and is not removed", path);
	else if (err == -EADDRINUSE)
		log_error("jsonrpcs: cannot make FIFO %s: another process reads the one that is there", path);
	else if (err < 0 || mkfifo(path, 0600) < 0)
		return log_fail(err < 0 ? err : -errno, "jsonrpcs: cannot make FIFO %s", path);
	return err;
}

int jr_fifo_start(struct loop *loop)
{
	struct rpc_perms perms = { jr_conf.fifo_mode, jr_conf.fifo_user, jr_conf.fifo_group };
	char path[RPC_PATH_MAX];
	int err = rpc_path(jr_conf.fifo_name, path);

	if (err < 0)
		return log_fail(err, "jsonrpcs: fifo_name \"%.*s\"", STR_FMT(jr_conf.fifo_name));
	if (perms.mode == 0)
		log_warn("jsonrpcs: fifo_mode 0 becomes 0600");
	err = make(path);
	if (err < 0)
		return err;
	jr_file_note(JR_FIFO);
	err = rpc_file_own("jsonrpcs", path, &perms);
	if (err < 0)
		return err;
	/* open for writing too: there is always a writer, so that it never ends */
	fifo.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fifo.fd < 0)
		return log_fail(-errno, "jsonrpcs: cannot open FIFO %s", path);
	fifo.loop = loop;
	err = loop_timer_add(loop, UINT32_MAX, 0, on_rest_late, NULL, &fifo.rest);
	if (err == 0)
		err = loop_io_add(loop, fifo.fd, LOOP_READ, on_readable, NULL, &fifo.io);
	return err < 0 ? log_fail(err, "jsonrpcs: cannot watch FIFO %s", path) : 0;
}
