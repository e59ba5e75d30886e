/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of one process. A worker must never wait for whoever reads the log, so a line that cannot
 * be written at once is dropped and counted.
 *
 * stderr is shared with other processes, perhaps with the operator's shell, and O_NONBLOCK belongs
 * to what is shared: so a pipe or terminal is opened anew through /proc, which gives us an open
 * file of our own to make nonblocking; a socket (systemd's journal) is sent to with MSG_DONTWAIT; a
 * plain file is just written, it has no reader to wait for. Where /proc cannot be used we ask
 * poll(2) first.
 *
 * syslog is a datagram socket of our own instead of syslog(3), which blocks when the daemon lags.
 * The daemon may go away and come back: we connect again, at most once per second.
 */
#include "core/base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

#define LINE_MAX_BYTES 4096 /* a pipe takes this much whole or not at all */
#define SYSLOG_RETRY_MS 1000u
#define N_PARTS_MAX 8

enum sink { SINK_UNKNOWN, SINK_WRITE, SINK_NONBLOCK, SINK_SOCKET, SINK_POLL };

static struct {
	struct log_opts opts;
	enum sink sink;
	int err_fd;        /* where stderr lines go: 2, or our own opening of it */
	int syslog_fd;     /* -1: not connected */
	uint64_t retry_ms; /* no connect before this */
	_Atomic bool torn; /* the last line went out only in part */
	_Atomic uint64_t n_dropped;
	_Atomic int own_level;
	const _Atomic int *level;
} self = {
	.opts = { .to_stderr = true, .facility = LOG_DAEMON, .ident = "ringfort" },
	.err_fd = STDERR_FILENO,
	.syslog_fd = -1,
	.own_level = L_WARN,
};

static _Thread_local struct str prefix;

/* clang-format off */
static const struct level_info {
	const char *name;
	int priority;      /* of syslog */
	const char *color;
} levels[] = {
	[L_ALERT - L_ALERT]  = { "ALERT",    LOG_ALERT,   "\033[1;37;41m" },
	[L_BUG - L_ALERT]    = { "BUG",      LOG_CRIT,    "\033[1;35m"    },
	[L_CRIT2 - L_ALERT]  = { "CRITICAL", LOG_CRIT,    "\033[1;31m"    },
	[L_CRIT - L_ALERT]   = { "CRITICAL", LOG_CRIT,    "\033[1;31m"    },
	[L_ERR - L_ALERT]    = { "ERROR",    LOG_ERR,     "\033[31m"      },
	[L_WARN - L_ALERT]   = { "WARNING",  LOG_WARNING, "\033[33m"      },
	[L_NOTICE - L_ALERT] = { "NOTICE",   LOG_NOTICE,  "\033[36m"      },
	[L_INFO - L_ALERT]   = { "INFO",     LOG_INFO,    "\033[32m"      },
	[L_DBG - L_ALERT]    = { "DEBUG",    LOG_DEBUG,   "\033[2m"       },
};
/* clang-format on */

static const struct level_info *info_of(int level)
{
	if (level < L_ALERT)
		level = L_ALERT;
	if (level > L_DBG)
		level = L_DBG;
	return &levels[level - L_ALERT];
}

const char *log_level_name(int level)
{
	return info_of(level)->name;
}

void log_level_at(const _Atomic int *level)
{
	self.level = level;
}

const _Atomic int *log_level_where(void)
{
	return self.level;
}

void log_level_set(int level)
{
	atomic_store_explicit(&self.own_level, level, memory_order_relaxed);
}

int log_level(void)
{
	return atomic_load_explicit(self.level ? self.level : &self.own_level,
	                            memory_order_relaxed);
}

void log_prefix_set(struct str p)
{
	prefix = p;
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&self.n_dropped, memory_order_relaxed);
}

static void drop(void)
{
	atomic_fetch_add_explicit(&self.n_dropped, 1, memory_order_relaxed);
}

static void stderr_open(void)
{
	struct stat st;

	if (self.err_fd != STDERR_FILENO)
		(void)close(self.err_fd);
	self.err_fd = STDERR_FILENO;
	self.sink = SINK_POLL;
	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	if (S_ISREG(st.st_mode)) {
		self.sink = SINK_WRITE;
	} else if (S_ISSOCK(st.st_mode)) {
		self.sink = SINK_SOCKET;
	} else {
		int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd < 0)
			return;
		self.err_fd = fd;
		self.sink = SINK_NONBLOCK;
	}
}

void log_stderr_moved(void)
{
	stderr_open();
}

void log_open(const struct log_opts *opts)
{
	self.opts = *opts;
	if (!self.opts.ident)
		self.opts.ident = "ringfort";
	if (self.syslog_fd >= 0)
		(void)close(self.syslog_fd);
	self.syslog_fd = -1;
	self.retry_ms = 0;
	self.torn = false;
	stderr_open();
}

/* iovec knows no const, though what is written is only read. */
static struct iovec part(const void *p, size_t n)
{
	return (struct iovec){ (void *)(uintptr_t)p, n };
}

static void stderr_put(struct iovec *parts, int n_parts)
{
	size_t want = 0;
	ssize_t n = -1;

	for (int i = 0; i < n_parts; i++)
		want += parts[i].iov_len;
	if (self.sink == SINK_SOCKET) {
		struct msghdr mh = { .msg_iov = parts, .msg_iovlen = (size_t)n_parts };

		n = sendmsg(self.err_fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else if (self.sink == SINK_POLL) {
		struct pollfd pfd = { .fd = self.err_fd, .events = POLLOUT };

		if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT))
			n = writev(self.err_fd, parts, n_parts);
	} else {
		n = writev(self.err_fd, parts, n_parts);
	}
	if (n < 0 || (size_t)n < want)
		drop();
	if (n > 0)
		self.torn = (size_t)n < want;
}

static void stderr_line(const struct level_info *info, struct str text)
{
	struct iovec parts[N_PARTS_MAX];
	struct str pre = prefix;
	char head[64];
	int n = 0, len;

	if (self.sink == SINK_UNKNOWN)
		stderr_open();
	len = snprintf(head, sizeof(head), "%d %s%s: ", (int)getpid(),
	               self.opts.color ? info->color : "", info->name);
	if (len < 0 || (size_t)len >= sizeof(head))
		return;
	if (self.torn)
		parts[n++] = part("\n", 1);
	parts[n++] = part(head, (size_t)len);
	if (pre.n)
		parts[n++] = part(pre.s, pre.n);
	if (text.n)
		parts[n++] = part(text.s, text.n);
	if (self.opts.color)
		parts[n++] = part("\033[0m\n", 5);
	else
		parts[n++] = part("\n", 1);
	assert(n <= N_PARTS_MAX);
	stderr_put(parts, n);
}

static bool syslog_connect(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = self.opts.syslog_path ? self.opts.syslog_path : "/dev/log";
	uint64_t now_ms = clock_now_us() / 1000u;
	size_t n = strlen(path);
	int fd;

	if (self.syslog_fd >= 0)
		return true;
	if (now_ms < self.retry_ms || n >= sizeof(sa.sun_path))
		return false;
	self.retry_ms = now_ms + SYSLOG_RETRY_MS;
	memcpy(sa.sun_path, path, n + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		(void)close(fd);
		return false;
	}
	self.syslog_fd = fd;
	return true;
}

/* RFC 3164 as local daemons read it: <PRI>date ident[pid]: text, without a host name. */
static void syslog_line(const struct level_info *info, int facility, struct str text)
{
	struct timespec now = clock_wall();
	struct iovec parts[3];
	struct str pre = prefix;
	struct msghdr mh = { .msg_iov = parts };
	char head[160], date[32];
	struct tm tm;
	int len;

	if (!localtime_r(&now.tv_sec, &tm) ||
	    strftime(date, sizeof(date), "%b %e %H:%M:%S", &tm) == 0)
		date[0] = '\0';
	len = snprintf(head, sizeof(head), "<%d>%s %.64s[%d]: %s: ", facility | info->priority,
	               date, self.opts.ident, (int)getpid(), info->name);
	if (len < 0 || (size_t)len >= sizeof(head))
		return;
	parts[mh.msg_iovlen++] = part(head, (size_t)len);
	if (pre.n)
		parts[mh.msg_iovlen++] = part(pre.s, pre.n);
	if (text.n)
		parts[mh.msg_iovlen++] = part(text.s, text.n);
	for (int try = 0; try < 2; try++) {
		if (!syslog_connect())
			break;
		if (sendmsg(self.syslog_fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return;
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EMSGSIZE ||
		    errno == ENOBUFS)
			break; /* the daemon lags, or the line is too long: ours to lose */
		/* It went away: connect anew, unless that was tried a moment ago. */
		(void)close(self.syslog_fd);
		self.syslog_fd = -1;
	}
	drop();
}

static void line(int level, int facility, struct str text)
{
	while (text.n > 0 && (text.s[text.n - 1] == '\n' || text.s[text.n - 1] == '\r'))
		text.n--;
	if (self.opts.to_stderr)
		stderr_line(info_of(level), text);
	else
		syslog_line(info_of(level), facility < 0 ? self.opts.facility : facility, text);
}

static void clean(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			p[i] = ' ';
}

void log_vwrite(int level, const char *fmt, va_list ap)
{
	char buf[LINE_MAX_BYTES - 256];
	size_t n;
	int len;

	if (!log_on(level))
		return;
	len = vsnprintf(buf, sizeof(buf), fmt, ap);
	if (len < 0) {
		drop();
		return;
	}
	n = (size_t)len < sizeof(buf) ? (size_t)len : sizeof(buf) - 1;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	clean(buf, n);
	line(level, -1, str_of(buf, n));
}

void log_write(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(level, fmt, ap);
	va_end(ap);
}

void log_text(int level, int facility, struct str text)
{
	if (log_on(level))
		line(level, facility, text);
}

int log_fail(int err, const char *fmt, ...)
{
	char buf[1024];
	const char *why = strerrordesc_np(err < 0 ? -err : err);
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (len < 0)
		buf[0] = '\0';
	log_write(L_ERR, "%s: %s", buf, why ? why : "unknown error");
	return err;
}
