/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of this process: stderr or syslog, never blocking (what cannot be written at once is dropped and
 * counted). Levels are Kamailio's; a message is written when its level <= the `debug` setting.
 */
#ifndef RF_BASE_LOG_H
#define RF_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "core/base/str.h"

enum log_level { L_ALERT = -5, L_BUG = -4, L_CRIT2 = -3, L_CRIT = -2, L_ERR = -1, L_WARN = 0, L_NOTICE = 1, L_INFO = 2, L_DBG = 3 };

struct log_opts {
	bool to_stderr;
	bool color;
	int facility;      /* syslog(3) LOG_DAEMON ... */
	const char *ident; /* syslog identity; lives for ever. NULL: "ringfort" */
	const char *syslog_path; /* the datagram socket; NULL: /dev/log */
};

/* Context: start-up of each process; may be called again. */
void log_open(const struct log_opts *opts);
/* Descriptor 2 leads elsewhere now: the log holds one of its own, opened from it, and must follow. */
void log_stderr_moved(void);
/* level: where the current level is kept, so that a change made by RPC is seen (a word in shared memory). NULL: private. */
void log_level_at(const _Atomic int *level);
const _Atomic int *log_level_where(void); /* what log_level_at() was given last */
void log_level_set(int level); /* the private one */
int log_level(void);
static inline bool log_on(int level)
{
	return level <= log_level();
}
/*
 * Writes one line, "PID LEVEL: prefix text" on stderr, the same without the PID in a syslog datagram. Control
 * characters become spaces, so that nobody outside can forge a line. Errors of the log itself are only counted.
 */
void log_write(int level, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_vwrite(int level, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* Writes raw text (xlog): "<levelname>: " + text, facility -1 for the default. Newlines inside are kept. */
void log_text(int level, int facility, struct str text);
/* Logs at L_ERR with ": strerror(-err)" appended, and hands err back. */
int log_fail(int err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Text of the level: "ERROR", "WARNING", ... */
const char *log_level_name(int level);
/* Prefix written before each message while a SIP message is handled; STR_NULL for none. */
void log_prefix_set(struct str prefix);
/* Lines of this process that could not be written at once. */
uint64_t log_dropped(void);

#define log_error(...) log_write(L_ERR, __VA_ARGS__)
#define log_crit(...) log_write(L_CRIT, __VA_ARGS__)
#define log_warn(...) do { if (log_on(L_WARN)) log_write(L_WARN, __VA_ARGS__); } while (0)
#define log_notice(...) do { if (log_on(L_NOTICE)) log_write(L_NOTICE, __VA_ARGS__); } while (0)
#define log_info(...) do { if (log_on(L_INFO)) log_write(L_INFO, __VA_ARGS__); } while (0)
#define log_debug(...) do { if (log_on(L_DBG)) log_write(L_DBG, __VA_ARGS__); } while (0)

#endif
