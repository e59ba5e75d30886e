/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where lines leave the server: a line of text or a JSON document, to stderr or to the syslog socket.
 *
 * stderr is shared with other processes, perhaps with the operator's shell, and O_NONBLOCK belongs to what is shared: so a pipe or
 * terminal is opened anew through /proc, which gives us an open file of our own to make nonblocking; a socket (systemd's journal) is
 * sent to with MSG_DONTWAIT; a plain file is just written, and only process logd does that once the server runs. Where /proc cannot be
 * used we ask poll(2) first. When stderr is the journal (JOURNAL_STREAM names it) each line begins with <priority>, see sd-daemon(3).
 *
 * syslog is a datagram socket of our own instead of syslog(3), which blocks when the daemon lags. The daemon may go away and come
 * back: we connect again, at most once per second.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log_priv.h"
#include "core/base/strbuf.h"

#define SYSLOG_RETRY_MS 1000u
#define TEXT_END 16u /* room for a last mark, the end of a color and of the line */

enum sink { SINK_UNKNOWN, SINK_WRITE, SINK_NONBLOCK, SINK_SOCKET, SINK_POLL };

static struct {
	struct log_opts opts;
	enum sink sink;
	bool journal;
	int err_fd;        /* where stderr lines go: 2, or our own opening of it */
	int syslog_fd;     /* -1: not connected */
	uint64_t retry_ms; /* no connect before this */
	size_t rest_n;     /* of a line that has been begun: bytes in rest[] that go out before anything else */
	bool torn;         /* an impatient line went out only in part */
	char rest[LOG_OUT_MAX];
} self = {
	.opts = { .to_stderr = true, .facility = LOG_DAEMON, .ident = "ringfort" },
	.err_fd = STDERR_FILENO,
	.syslog_fd = -1,
};

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

/* ---- the bytes of a line ---- */

static struct str name_of(const struct log_line *l)
{
	return l->level_name.n ? l->level_name : str_lit(log_level_name(l->level));
}

/*
 * The further lines of a text are marked: they may come from the network, and must not look like lines of ours. (The journal takes
 * each for a line of its own, without the blanks in front of it.)
 */
static void add_lines(struct strbuf *sb, struct str text, size_t max)
{
	for (size_t i = 0; i < text.n && sb->n < max; i++) {
		if (text.s[i] == '\n')
			strbuf_add_lit(sb, "\n| ");
		else if (text.s[i] != '\r')
			strbuf_add_char(sb, text.s[i]);
		else if (i + 1 < text.n && text.s[i + 1] != '\n')
			strbuf_add_char(sb, ' ');
	}
}

static void add_text(struct strbuf *sb, struct str text, size_t max)
{
	if (LIKELY(text.n == 0 || (!memchr(text.s, '\n', text.n) && !memchr(text.s, '\r', text.n))))
		strbuf_add(sb, text);
	else
		add_lines(sb, text, max);
}

size_t log_line_text(const struct log_opts *opts, const struct log_line *l, bool journal, char *out, size_t cap)
{
	const struct level_info *info = info_of(l->level);
	struct strbuf sb;

	strbuf_init_fixed(&sb, out, cap);
	if (journal)
		strbuf_printf(&sb, "<%d>", info->priority);
	strbuf_printf(&sb, "%d %s%.*s: ", l->pid, opts->color ? info->color : "", STR_FMT(name_of(l)));
	add_text(&sb, l->prefix, cap - TEXT_END);
	add_text(&sb, l->text, cap - TEXT_END);
	strbuf_add_lit(&sb, opts->color ? "\033[0m\n" : "\n");
	return sb.n;
}

static void json_text(struct strbuf *sb, struct str s)
{
	strbuf_add_char(sb, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.s[i];

		if (c == '"' || c == '\\') {
			strbuf_add_char(sb, '\\');
			strbuf_add_char(sb, (char)c);
		} else if (c == '\n') {
			strbuf_add_lit(sb, "\\n");
		} else if (c == '\r') {
			strbuf_add_lit(sb, "\\r");
		} else if (c == '\t') {
			strbuf_add_lit(sb, "\\t");
		} else if (c < 0x20 || c == 0x7f) {
			strbuf_printf(sb, "\\u%04x", c);
		} else {
			strbuf_add_char(sb, (char)c);
		}
	}
	strbuf_add_char(sb, '"');
}

/* Bytes that are no UTF-8 become U+FFFD: one broken name from the network must not break the reader of the whole log. */
static struct str utf8_clean(struct str s, char *out, size_t cap)
{
	struct strbuf sb;

	strbuf_init_fixed(&sb, out, cap);
	for (size_t i = 0; i < s.n && sb.n + 4 <= cap;) {
		unsigned char c = (unsigned char)s.s[i];
		unsigned more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 4;
		bool ok = more < 4 && i + more < s.n;

		for (unsigned k = 1; ok && k <= more; k++)
			ok = ((unsigned char)s.s[i + k] & 0xc0) == 0x80;
		if (ok && more >= 2) { /* overlong forms, surrogates, beyond U+10FFFF */
			unsigned char d = (unsigned char)s.s[i + 1];

			ok = !(c == 0xe0 && d < 0xa0) && !(c == 0xed && d >= 0xa0) && !(c == 0xf0 && d < 0x90) && !(c == 0xf4 && d >= 0x90);
		}
		strbuf_add(&sb, ok ? str_sub(s, i, more + 1) : STR_LIT("\xef\xbf\xbd"));
		i += ok ? more + 1 : 1;
	}
	return strbuf_str(&sb);
}

static void json_member(struct strbuf *sb, const char *app, const char *name, struct str text)
{
	strbuf_printf(sb, ", \"%s%s\": ", app, name);
	json_text(sb, text);
}

/* A text that may hold an object. */
static void json_maybe(struct strbuf *sb, const char *app, const char *name, struct str text, unsigned flags)
{
	if (!(flags & LOG_JSON_NEST)) {
		json_member(sb, app, name, text);
		return;
	}
	strbuf_printf(sb, ", \"%s%s\": ", app, name);
	if (text.n >= 2 && text.s[0] == '{' && text.s[text.n - 1] == '}') {
		strbuf_add(sb, text);
		return;
	}
	strbuf_add_lit(sb, "{ \"text\": ");
	json_text(sb, text);
	strbuf_add_lit(sb, " }");
}

/* The module a source file belongs to: the folder below modules/, else "core". */
static struct str module_of(struct str file)
{
	ptrdiff_t at = str_find(file, STR_LIT("modules/"));
	struct str rest;

	if (at < 0)
		return STR_LIT("core");
	rest = str_sub(file, (size_t)at + 8, file.n);
	at = str_find_char(rest, '/');
	return at < 0 ? STR_LIT("core") : str_sub(rest, 0, (size_t)at);
}

/* Without the build folder's way to the source. */
static struct str in_tree(struct str file)
{
	static const char *const tops[] = { "/core/", "/modules/", "/shm/" };

	for (size_t i = 0; i < ARRAY_LEN(tops); i++) {
		ptrdiff_t at = str_find(file, str_lit(tops[i]));

		if (at >= 0)
			return str_sub(file, (size_t)at + 1, file.n);
	}
	return file;
}

static void json_cee(struct strbuf *sb, const struct log_opts *opts, const struct log_line *l, struct str file, struct str message)
{
	char date[32], host[256];
	struct tm tm;

	if (!gmtime_r(&l->wall.tv_sec, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		date[0] = '\0';
	if (gethostname(host, sizeof(host)) < 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	strbuf_printf(sb, "{\"time\":\"%s.%09ldZ\",\"proc\":{\"id\":\"%d\",\"tid\":%d},\"pri\":\"%.*s\",\"subsys\":", date, l->wall.tv_nsec, l->pid,
		      l->pid, STR_FMT(name_of(l)));
	json_text(sb, module_of(l->file));
	strbuf_add_lit(sb, ",\"file\":{\"name\":");
	json_text(sb, file);
	strbuf_printf(sb, ",\"line\":%u},\"native\":{\"function\":", l->src_line);
	json_text(sb, l->func);
	strbuf_add_lit(sb, "},\"msg\":");
	json_text(sb, message);
	strbuf_add_lit(sb, ",\"pname\":");
	json_text(sb, str_lit(opts->ident));
	strbuf_add_lit(sb, ",\"appname\":");
	json_text(sb, str_lit(opts->ident));
	strbuf_add_lit(sb, ",\"hostname\":");
	json_text(sb, str_lit(host));
	strbuf_add_lit(sb, "}");
}

static void json_plain(struct strbuf *sb, const struct log_opts *opts, const struct log_line *l, struct str file, struct str prefix, struct str message)
{
	const char *app = opts->json & LOG_JSON_APP ? "kamailio." : "";

	strbuf_printf(sb, "{ \"%sidx\": %d, \"%spid\": %d, \"%slevel\": \"%.*s\"", app, l->slot, app, l->pid, app, STR_FMT(name_of(l)));
	json_member(sb, app, "module", module_of(l->file));
	json_member(sb, app, "file", file);
	strbuf_printf(sb, ", \"%sline\": %u", app, l->src_line);
	json_member(sb, app, "function", l->func);
	if (opts->json & LOG_JSON_CALLID)
		json_member(sb, app, "callid", l->callid);
	if ((opts->json & LOG_JSON_PREFIX) && prefix.n > 0 && prefix.s[0] == ',')
		strbuf_add(sb, prefix);
	else
		json_maybe(sb, app, "logprefix", prefix, opts->json);
	json_maybe(sb, app, "message", message, opts->json);
	strbuf_add_lit(sb, " }");
}

size_t log_line_json(const struct log_opts *opts, const struct log_line *l, char *out, size_t cap)
{
	char clean_text[LOG_TEXT_MAX], clean_prefix[1024];
	struct str file = l->file, message, prefix = utf8_clean(l->prefix, clean_prefix, sizeof(clean_prefix));
	struct log_line line = *l;
	size_t text_max = sizeof(clean_text) - 1; /* one for the newline */
	struct strbuf sb;

	file = in_tree(file);
	/* Escapes may make it six times as long: then the text is cut, never the document. */
	do {
		message = utf8_clean(l->text, clean_text, text_max);
		if (!(opts->json & LOG_JSON_STRIP_EOL))
			clean_text[message.n++] = '\n';
		strbuf_init_fixed(&sb, out, cap - 1);
		if (opts->json & LOG_JSON_CEE)
			json_cee(&sb, opts, &line, file, message);
		else
			json_plain(&sb, opts, &line, file, prefix, message);
		text_max /= 2;
	} while (strbuf_err(&sb) < 0 && text_max > 64);
	if (strbuf_err(&sb) < 0)
		return 0;
	if (!(opts->json & LOG_JSON_NO_EOL))
		out[sb.n++] = '\n';
	return sb.n;
}

static size_t render(const struct log_line *l, bool for_stderr, char *out, size_t cap)
{
	if (self.opts.engine == LOG_ENGINE_JSON)
		return log_line_json(&self.opts, l, out, cap);
	return log_line_text(&self.opts, l, for_stderr && self.journal, out, cap);
}

/* ---- stderr ---- */

static bool is_journal(const struct stat *st)
{
	const char *env = getenv("JOURNAL_STREAM"); /* device:inode of the stream */
	unsigned long long dev, ino;

	return env && sscanf(env, "%llu:%llu", &dev, &ino) == 2 && st->st_dev == dev && st->st_ino == ino;
}

static void stderr_open(void)
{
	struct stat st;

	if (self.err_fd != STDERR_FILENO)
		(void)close(self.err_fd);
	self.err_fd = STDERR_FILENO;
	self.sink = SINK_POLL;
	self.journal = false;
	self.rest_n = 0;
	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	self.journal = is_journal(&st);
	if (self.journal)
		self.opts.color = false;
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

static ssize_t stderr_write(const char *p, size_t n)
{
	struct pollfd pfd = { .fd = self.err_fd, .events = POLLOUT };

	if (self.sink == SINK_SOCKET)
		return send(self.err_fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (self.sink == SINK_POLL && (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))) {
		errno = EAGAIN;
		return -1;
	}
	return write(self.err_fd, p, n);
}

static bool for_now(int err)
{
	return err == EAGAIN || err == EWOULDBLOCK || err == EINTR || err == ENOBUFS || err == ENOSPC || err == EDQUOT;
}

/* Writes p; *ret_done says how much of it went out. 0 when all did, else a negative errno. */
static int stderr_bytes(const char *p, size_t n, size_t *ret_done)
{
	size_t at = 0;

	while (at < n) {
		ssize_t done = stderr_write(p + at, n - at);

		if (done < 0)
			break;
		at += (size_t)done;
	}
	*ret_done = at;
	return at == n ? 0 : -errno;
}

int log_sink_flush(void)
{
	size_t done;
	int err;

	if (LIKELY(self.rest_n == 0))
		return 0;
	err = stderr_bytes(self.rest, self.rest_n, &done);
	self.rest_n -= done;
	memmove(self.rest, self.rest + done, self.rest_n);
	if (err < 0 && for_now(-err))
		return -EAGAIN;
	self.torn = err < 0;
	self.rest_n = 0;
	return 0;
}

static int stderr_put(const struct log_line *l, bool patient)
{
	char out[LOG_OUT_MAX];
	size_t n = 0, done;
	int err;

	if (self.sink == SINK_UNKNOWN)
		stderr_open();
	if (log_sink_flush() < 0)
		return -EAGAIN;
	if (self.torn)
		out[n++] = '\n';
	n += render(l, true, out + n, sizeof(out) - n);
	err = stderr_bytes(out, n, &done);
	if (done > 0)
		self.torn = false;
	if (err == 0)
		return 0;
	if (!for_now(-err))
		return -EIO;
	if (done == 0)
		return -EAGAIN;
	if (!patient) {
		self.torn = true;
		return -EAGAIN;
	}
	/* Another line may be older by the time there is room: this one is finished first. */
	self.rest_n = n - done;
	memcpy(self.rest, out + done, self.rest_n);
	return 0;
}

/* ---- syslog ---- */

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
static size_t syslog_render(const struct log_line *l, char *out, size_t cap)
{
	const struct level_info *info = info_of(l->level);
	char date[32];
	struct strbuf sb;
	struct tm tm;

	if (!localtime_r(&l->wall.tv_sec, &tm) || strftime(date, sizeof(date), "%b %e %H:%M:%S", &tm) == 0)
		date[0] = '\0';
	strbuf_init_fixed(&sb, out, cap);
	strbuf_printf(&sb, "<%d>%s %.64s[%d]: ", (l->facility < 0 ? self.opts.facility : l->facility) | info->priority, date, self.opts.ident, l->pid);
	if (self.opts.engine == LOG_ENGINE_JSON) {
		sb.n += log_line_json(&self.opts, l, out + sb.n, cap - sb.n);
		if (sb.n > 0 && out[sb.n - 1] == '\n')
			sb.n--;
		return sb.n;
	}
	strbuf_printf(&sb, "%s: ", info->name);
	add_text(&sb, l->prefix, cap - TEXT_END);
	add_text(&sb, l->text, cap - TEXT_END);
	return sb.n;
}

static int syslog_put(const struct log_line *l, bool patient)
{
	char out[LOG_OUT_MAX];
	size_t n = syslog_render(l, out, sizeof(out));

	for (int try = 0; try < 2; try++) {
		if (!syslog_connect())
			break;
		if (send(self.syslog_fd, out, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EMSGSIZE)
			return -EIO; /* longer than the daemon's socket takes */
		if (for_now(errno))
			return -EAGAIN; /* the daemon lags */
		/* It went away: connect anew, unless that was tried a moment ago. */
		(void)close(self.syslog_fd);
		self.syslog_fd = -1;
	}
	return patient ? -EAGAIN : -EIO; /* it may come back */
}

/* ---- interface ---- */

void log_sink_open(const struct log_opts *opts)
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

void log_sink_stderr_moved(void)
{
	stderr_open();
}

int log_sink_put(const struct log_line *l, bool patient)
{
	return self.opts.to_stderr ? stderr_put(l, patient) : syslog_put(l, patient);
}

void log_sink_tee(const struct log_line *l)
{
	if (!self.opts.to_stderr)
		(void)stderr_put(l, false); /* the log itself has it in any case */
}
