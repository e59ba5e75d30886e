/* SPDX-License-Identifier: BSD-2-Clause */
/* What the transports have in common: where a document ends, paths and owners, and replies to readers who take their time. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "modules/jsonrpcs/jr_priv.h"

#define SEND_DEADLINE_MS 10000u

size_t jr_doc_end(struct str buf, size_t *ret_from)
{
	size_t from = 0;
	unsigned depth = 0;
	char quote = 0;

	while (from < buf.n && buf.s[from] != '{')
		from++;
	*ret_from = from;
	for (size_t i = from; i < buf.n; i++) {
		char c = buf.s[i];

		if (quote) {
			if (c == '\\')
				i++;
			else if (c == quote)
				quote = 0;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '{') {
			depth++;
		} else if (c == '}' && --depth == 0) {
			return i + 1 - from;
		}
	}
	return 0;
}

int jr_path(struct str name, char out[JR_PATH_MAX])
{
	struct str dir = rpc_run_dir();
	int n;

	if (name.n && name.s[0] == '/')
		n = snprintf(out, JR_PATH_MAX, "%.*s", STR_FMT(name));
	else
		n = snprintf(out, JR_PATH_MAX, "%.*s/%.*s", STR_FMT(dir), STR_FMT(name));
	return n < 0 || (size_t)n >= JR_PATH_MAX ? -ENAMETOOLONG : 0;
}

int jr_owner(struct str user, struct str group, uid_t *ret_uid, gid_t *ret_gid)
{
	char name[128];
	uint32_t id;

	*ret_uid = (uid_t)-1;
	*ret_gid = (gid_t)-1;
	if (user.n && num_u32(user, &id) == 0) {
		*ret_uid = id;
	} else if (user.n) {
		struct passwd *pw;

		(void)snprintf(name, sizeof(name), "%.*s", STR_FMT(user));
		pw = getpwnam(name);
		if (!pw) {
			log_error("jsonrpcs: no user %s", name);
			return -ENOENT;
		}
		*ret_uid = pw->pw_uid;
		*ret_gid = pw->pw_gid;
	}
	if (group.n && num_u32(group, &id) == 0) {
		*ret_gid = id;
	} else if (group.n) {
		struct group *gr;

		(void)snprintf(name, sizeof(name), "%.*s", STR_FMT(group));
		gr = getgrnam(name);
		if (!gr) {
			log_error("jsonrpcs: no group %s", name);
			return -ENOENT;
		}
		*ret_gid = gr->gr_gid;
	}
	return 0;
}

/* ---- replies to slow readers ---- */

struct sending {
	int fd;
	char *text;
	size_t n, off;
	struct loop_io *io;
	struct loop_timer *timer;
};

static void sending_free(struct sending *s)
{
	loop_io_del(s->io);
	loop_timer_del(s->timer);
	(void)close(s->fd);
	free(s->text);
	free(s);
}

/* False when it is over. */
static bool sending_go(struct sending *s)
{
	while (s->off < s->n) {
		ssize_t n = write(s->fd, s->text + s->off, s->n - s->off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		s->off += (size_t)n;
	}
	return false;
}

static void on_writable(void *arg, int fd, int events)
{
	struct sending *s = arg;

	(void)fd;
	if (events < 0 || !sending_go(s))
		sending_free(s);
}

static void on_deadline(void *arg)
{
	struct sending *s = arg;

	log_warn("jsonrpcs: reader took %zu of %zu bytes in %u ms, dropped", s->off, s->n, SEND_DEADLINE_MS);
	sending_free(s);
}

void jr_send_and_close(struct loop *loop, int fd, char *text, size_t n)
{
	struct sending *s = calloc(1, sizeof(*s));

	if (!s) {
		(void)close(fd);
		free(text);
		return;
	}
	*s = (struct sending){ .fd = fd, .text = text, .n = n };
	if (!sending_go(s) || loop_io_add(loop, fd, LOOP_WRITE, on_writable, s, &s->io) < 0 ||
	    loop_timer_add(loop, SEND_DEADLINE_MS, 0, on_deadline, s, &s->timer) < 0)
		sending_free(s);
}
