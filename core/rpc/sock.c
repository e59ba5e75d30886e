/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening of RPC sockets: names, owners, and care for who is there already. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "core/rpc/serve.h"

#define BACKLOG 256
#define SNDBUF_BYTES (1 << 20) /* a datagram's reply must fit */

int rpc_path(struct str name, char out[RPC_PATH_MAX])
{
	struct str dir = rpc_run_dir();
	int n;

	if (name.n && name.s[0] == '/')
		n = snprintf(out, RPC_PATH_MAX, "%.*s", STR_FMT(name));
	else
		n = snprintf(out, RPC_PATH_MAX, "%.*s/%.*s", STR_FMT(dir), STR_FMT(name));
	return n < 0 || (size_t)n >= RPC_PATH_MAX ? -ENAMETOOLONG : 0;
}

int rpc_hostport_parse(struct str text, uint16_t def_port, struct net_addr *ret)
{
	ptrdiff_t colon = str_rfind_char(text, ':'), close = str_rfind_char(text, ']');
	uint32_t port = def_port;

	if (colon > close) {
		if (num_u32(str_sub(text, (size_t)colon + 1, text.n), &port) < 0 || port > 65535)
			return -EINVAL;
		text.n = (size_t)colon;
	}
	if (port == 0)
		return -EINVAL;
	if (str_ieq(text, STR_LIT("localhost")))
		text = STR_LIT("127.0.0.1");
	if (text.n == 0 || str_eq(text, STR_LIT("*")))
		text = STR_LIT("0.0.0.0");
	return net_addr_parse(text, (uint16_t)port, ret);
}

static int owner_find(const char *who, const struct rpc_perms *p, uid_t *ret_uid, gid_t *ret_gid)
{
	char name[128];
	uint32_t id;

	*ret_uid = (uid_t)-1;
	*ret_gid = (gid_t)-1;
	if (p->user.n && num_u32(p->user, &id) == 0) {
		*ret_uid = id;
	} else if (p->user.n) {
		struct passwd *pw;

		(void)snprintf(name, sizeof(name), "%.*s", STR_FMT(p->user));
		pw = getpwnam(name);
		if (!pw) {
			log_error("%s: no user %s", who, name);
			return -ENOENT;
		}
		*ret_uid = pw->pw_uid;
		*ret_gid = pw->pw_gid;
	}
	if (p->group.n && num_u32(p->group, &id) == 0) {
		*ret_gid = id;
	} else if (p->group.n) {
		struct group *gr;

		(void)snprintf(name, sizeof(name), "%.*s", STR_FMT(p->group));
		gr = getgrnam(name);
		if (!gr) {
			log_error("%s: no group %s", who, name);
			return -ENOENT;
		}
		*ret_gid = gr->gr_gid;
	}
	return 0;
}

int rpc_file_own(const char *who, const char *path, const struct rpc_perms *perms)
{
	uid_t uid;
	gid_t gid;
	int err = owner_find(who, perms, &uid, &gid);

	if (err < 0)
		return err;
	if (chmod(path, perms->mode ? (mode_t)perms->mode : 0600) < 0 ||
	    ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(path, uid, gid) < 0))
		return log_fail(-errno, "%s: cannot set mode or owner of %s", who, path);
	return 0;
}

static bool is_stream(const struct rpc_sock *s)
{
	return s->kind == RPC_UNIX_STREAM || s->kind == RPC_TCP;
}

static bool is_unix(const struct rpc_sock *s)
{
	return s->kind == RPC_UNIX_STREAM || s->kind == RPC_UNIX_DGRAM;
}

/* Nobody answers there: what stands in the way is what a dead server left. */
static int clear_the_way(const struct sockaddr_un *sa, int type)
{
	struct stat st;
	int fd, err = -EADDRINUSE;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 && errno == ECONNREFUSED)
		err = unlink(sa->sun_path) < 0 ? -errno : 0;
	(void)close(fd);
	return err;
}

static int unix_bind(const char *who, const struct rpc_sock *s, const struct rpc_perms *perms, int fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;

	memcpy(sa.sun_path, s->path, strlen(s->path) + 1);
	err = clear_the_way(&sa, is_stream(s) ? SOCK_STREAM : SOCK_DGRAM);
	mask = umask(0177); /* nobody else's until it is said whose it is */
	if (err == 0 && bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		err = -errno;
	(void)umask(mask);
	if (err == -EEXIST)
		log_error("%s: cannot bind socket %s: what is there is no socket, and is not removed", who, s->path);
	else if (err < 0)
		log_fail(err, "%s: cannot bind socket %s", who, s->path);
	if (err < 0)
		return err;
	err = rpc_file_own(who, s->path, perms);
	if (err < 0)
		(void)unlink(s->path);
	return err;
}

static int inet_bind(const char *who, const struct rpc_sock *s, int fd)
{
	struct sockaddr_storage sa;
	char text[NET_ADDR_TEXT_MAX];
	socklen_t len = net_addr_to_sockaddr(&s->addr, &sa);
	int one = 1;

	if ((is_stream(s) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) ||
	    bind(fd, (const struct sockaddr *)&sa, len) < 0) {
		int err = -errno;

		return log_fail(err, "%s: cannot bind %s:%.*s", who, is_stream(s) ? "tcp" : "udp", (int)net_addr_text(&s->addr, text), text);
	}
	return 0;
}

int rpc_sock_open(const char *who, const struct rpc_sock *s, const struct rpc_perms *perms, int *ret_fd)
{
	int family = is_unix(s) ? AF_UNIX : s->addr.family, size = SNDBUF_BYTES;
	int fd = socket(family, (is_stream(s) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return log_fail(-errno, "%s: socket", who);
	err = is_unix(s) ? unix_bind(who, s, perms, fd) : inet_bind(who, s, fd);
	if (err == 0 && is_stream(s) && listen(fd, BACKLOG) < 0)
		err = log_fail(-errno, "%s: cannot listen", who);
	if (err < 0) {
		(void)close(fd);
		return err;
	}
	if (!is_stream(s))
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* smaller answers work without */
	*ret_fd = fd;
	return 0;
}
