/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO: documents come in one after the other, each names the FIFO that its answer goes to. Clients are told apart by
 * nothing else, so a reply FIFO must be just that: no link, no file. A client that does not read yet gets four more tries.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "modules/jsonrpcs/jr_priv.h"

#define TRIES 4u
#define TRY_MS 80u

static struct {
	struct loop *loop;
	int fd;
	struct loop_io *io;
	char buf[JR_FIFO_DOC_MAX + 1];
	size_t n;
} fifo = { .fd = -1 };

struct reply {
	char path[128];
	char *text;
	size_t n;
	unsigned tries;
	struct loop_timer *timer;
};

static void reply_free(struct reply *r)
{
	loop_timer_del(r->timer);
	free(r->text);
	free(r);
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

static void reply_try(void *arg)
{
	struct reply *r = arg;
	int fd = -1, err = reply_open(r->path, &fd);

	if (err == -ENXIO && ++r->tries <= TRIES) {
		loop_timer_set(r->timer, TRY_MS);
		return;
	}
	if (err < 0) {
		log_fail(err, "jsonrpcs: cannot open reply FIFO %s", r->path);
	} else {
		jr_send_and_close(fifo.loop, fd, r->text, r->n);
		r->text = NULL;
	}
	reply_free(r);
}

static bool name_ok(const char *name)
{
	return name[0] && !strpbrk(name, "./\\");
}

static void reply_start(const char *name, char *text, size_t n)
{
	struct reply *r = calloc(1, sizeof(*r));
	int len;

	if (!r) {
		free(text);
		return;
	}
	r->text = text;
	r->n = n;
	len = snprintf(r->path, sizeof(r->path), "%.*s%s", STR_FMT(jr_conf.fifo_reply_dir), name);
	if (len < 0 || (size_t)len >= sizeof(r->path) || loop_timer_add(fifo.loop, 0, 0, reply_try, r, &r->timer) < 0) {
		log_error("jsonrpcs: cannot answer through %s", name);
		reply_free(r);
	}
}

/* The command is not run for who does not say where the answer goes. */
static bool has_reply_name(struct str doc)
{
	return str_ifind(doc, STR_LIT("\"reply_name\"")) >= 0;
}

static void run_doc(struct str doc)
{
	struct strbuf sb;
	struct rpc_json_out out = { .reply = &sb };
	char *text;
	size_t n;

	if (!has_reply_name(doc)) {
		log_error("jsonrpcs: request without reply_name on the FIFO");
		return;
	}
	strbuf_init(&sb, JR_REPLY_MAX);
	if (rpc_json_run(doc, jr_conf.pretty_format != 0, &out) < 0) {
		log_error("jsonrpcs: what came through the FIFO is no JSON");
		strbuf_done(&sb);
		return;
	}
	n = sb.n;
	text = strbuf_take(&sb);
	if (!text)
		return;
	if (!name_ok(out.reply_name)) {
		log_error("jsonrpcs: bad reply_name \"%s\"", out.reply_name);
		free(text);
		return;
	}
	reply_start(out.reply_name, text, n);
}

static void on_readable(void *arg, int fd, int events)
{
	size_t from, len;
	ssize_t n;

	(void)arg;
	if (events < 0)
		return;
	n = read(fd, fifo.buf + fifo.n, JR_FIFO_DOC_MAX - fifo.n);
	if (n <= 0)
		return;
	fifo.n += (size_t)n;
	while ((len = jr_doc_end(str_of(fifo.buf, fifo.n), &from)) > 0) {
		run_doc(str_of(fifo.buf + from, len));
		fifo.n -= from + len;
		memmove(fifo.buf, fifo.buf + from + len, fifo.n);
	}
	if (from == fifo.n) {
		fifo.n = 0; /* nothing that could become a document */
	} else if (fifo.n == JR_FIFO_DOC_MAX) {
		log_error("jsonrpcs: request of more than %u bytes on the FIFO, dropped", JR_FIFO_DOC_MAX);
		fifo.n = 0;
	}
}

int jr_fifo_start(struct loop *loop)
{
	mode_t mode = (mode_t)jr_conf.fifo_mode;
	char path[JR_PATH_MAX];
	uid_t uid;
	gid_t gid;
	int err = jr_path(jr_conf.fifo_name, path);

	if (err < 0)
		return log_fail(err, "jsonrpcs: fifo_name \"%.*s\"", STR_FMT(jr_conf.fifo_name));
	err = jr_owner(jr_conf.fifo_user, jr_conf.fifo_group, &uid, &gid);
	if (err < 0)
		return err;
	if (mode == 0) {
		log_warn("jsonrpcs: fifo_mode 0 becomes 0600");
		mode = 0600;
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return log_fail(-errno, "jsonrpcs: cannot remove the old %s", path);
	if (mkfifo(path, mode) < 0)
		return log_fail(-errno, "jsonrpcs: cannot make FIFO %s", path);
	jr_file_note(true);
	if (chmod(path, mode) < 0 || ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(path, uid, gid) < 0))
		return log_fail(-errno, "jsonrpcs: cannot set mode or owner of %s", path);
	/* open for writing too: there is always a writer, so that it never ends */
	fifo.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fifo.fd < 0)
		return log_fail(-errno, "jsonrpcs: cannot open FIFO %s", path);
	fifo.loop = loop;
	err = loop_io_add(loop, fifo.fd, LOOP_READ, on_readable, NULL, &fifo.io);
	return err < 0 ? log_fail(err, "jsonrpcs: cannot watch FIFO %s", path) : 0;
}
