/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of this process: stderr or syslog. Levels are Kamailio's; a message is written when its level <= the `debug`
 * setting.
 *
 * A process with a slot leaves its lines in a ring of shared memory and process logd writes them out (log_ring.h), so that
 * nobody else ever waits for a pipe, a daemon or a disk. Where there are no rings (start-up, -D) a line is written at once
 * or dropped. What is lost is counted, and the log says how much it was.
 */
#ifndef RF_BASE_LOG_H
#define RF_BASE_LOG_H

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/str.h"

enum log_level { L_ALERT = -5, L_BUG = -4, L_CRIT2 = -3, L_CRIT = -2, L_ERR = -1, L_WARN = 0, L_NOTICE = 1, L_INFO = 2, L_DBG = 3 };

enum log_engine { LOG_ENGINE_TEXT, LOG_ENGINE_JSON };
enum log_json { /* letters of log_engine_data */
	LOG_JSON_APP = 1,       /* a: names of members begin with "kamailio." */
	LOG_JSON_CALLID = 2,    /* c: a member with the Call-ID */
	LOG_JSON_NEST = 4,      /* j: a prefix or message that is an object stays one, other texts become { "text": ... } */
	LOG_JSON_STRIP_EOL = 8, /* M: no newline at the end of the message */
	LOG_JSON_NO_EOL = 16,   /* N: none after the document */
	LOG_JSON_PREFIX = 32,   /* p: a prefix that begins with a comma is members, as it stands */
	LOG_JSON_CEE = 64,      /* U: the shape of Common Event Expression */
};

struct log_opts {
	bool to_stderr;
	bool color;
	bool tee;          /* until log_started(): errors go to stderr too, so that who starts the server sees why it did not */
	int facility;      /* syslog(3) LOG_DAEMON ... */
	const char *ident; /* syslog identity; lives for ever. NULL: "ringfort" */
	const char *syslog_path; /* the datagram socket; NULL: /dev/log */
	enum log_engine engine;
	unsigned json;           /* enum log_json */
	unsigned repeat_limit;   /* identical lines of one place in repeat_window_ms that are written; 0: all */
	unsigned repeat_window_ms;
};

/* Context: start-up of each process; may be called again. */
void log_open(const struct log_opts *opts);
/* Letters of log_engine_data to bits of enum log_json; -EINVAL for any other letter. */
MUST_CHECK int log_json_flags(struct str letters, unsigned *ret_flags);
/* The start has gone well: no more tee. */
void log_started(void);
/* Descriptor 2 leads elsewhere now: the log holds one of its own, opened from it, and must follow. */
void log_stderr_moved(void);
/* level: where the current level is kept, so that a change made by RPC is seen (a word in shared memory). NULL: private. */
void log_level_at(const _Atomic int *level);
const _Atomic int *log_level_where(void); /* what log_level_at() was given last */
void log_level_set(int level); /* the private one */
int log_level(void);
int log_facility(void); /* of lines that name none */
/* The level up to which any module writes: log_level(), unless modules have levels of their own. */
int log_level_most(void);
/* May a line of that level be written? What passes is looked at once more where it is written, when modules have levels. */
static inline bool log_on(int level)
{
	return level <= log_level_most();
}

/* ---- levels and facilities of modules: log_modules.c ---- */

#define LOG_MODULES_MAX 256u
#define LOG_MODULE_NONE INT_MIN /* as the core has it */

/* In shared memory, zeroed by who makes it. Written: one process at a time (start-up, then rpcd); read: all. */
struct log_modules {
	_Atomic uint32_t n; /* entries are added, never removed */
	_Atomic int most;   /* of the levels below */
	struct log_module {
		char name[32];
		_Atomic int level, facility;
	} at[LOG_MODULES_MAX];
};
void log_modules_at(struct log_modules *table); /* lives for ever */
/* Which of the two count, in this process. */
void log_modules_count(bool levels, bool facilities);
/* LOG_MODULE_NONE: leaves that one. -EINVAL: no table, no such name; -ENOSPC. */
MUST_CHECK int log_module_set(struct str name, int level, int facility);
MUST_CHECK int log_module_get(struct str name, int *ret_level, int *ret_facility);

/* Where in the source a line comes from. */
struct log_site {
	const char *file;
	unsigned line;
	bool alike; /* repeats are those of the place, whatever the text: log_warn_alike() */
};
#define LOG_HERE_(alike) (__extension__({ static const struct log_site log_here_ = { __FILE__, __LINE__, alike }; &log_here_; }))
#define LOG_HERE LOG_HERE_(false)

/*
 * Writes one line, "PID LEVEL: prefix text" on stderr, the same without the PID in a syslog datagram. Control
 * characters become spaces, so that nobody outside can forge a line. Errors of the log itself are only counted.
 */
#define log_write(level, ...) log_write_at(LOG_HERE, __func__, level, __VA_ARGS__)
void log_write_at(const struct log_site *site, const char *func, int level, const char *fmt, ...) PRINTF_LIKE(4, 5);
/*
 * Writes raw text (xlog): "<levelname>: " + text, facility -1 for the default. Newlines inside are kept.
 * key: the place in the script that says it, for counting repeats; NULL: never counted.
 */
#define log_text(level, facility, key, text) log_text_at(LOG_HERE, key, level, facility, text)
void log_text_at(const struct log_site *site, const void *key, int level, int facility, struct str text);
/* The same with a name of its own in the place of the level's (at most 32 bytes, n 0: none). Never counted. */
void log_text_named(int level, struct str level_name, int facility, struct str text);
/* Logs at L_ERR with ": strerror(-err)" appended, and hands err back. */
#define log_fail(err, ...) log_fail_at(LOG_HERE, __func__, err, __VA_ARGS__)
int log_fail_at(const struct log_site *site, const char *func, int err, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Text of the level: "ERROR", "WARNING", ... */
const char *log_level_name(int level);

/* What is written with each line while a SIP message is handled. */
struct log_context {
	struct str prefix;             /* before the text; n 0: none */
	struct str (*now)(void *arg);  /* makes the prefix anew for each line; NULL: `prefix` */
	struct str (*callid)(void *arg); /* for LOG_JSON_CALLID; NULL: none */
	void *arg;
};
/* context lives until it is replaced; NULL: none. Of this thread. Returns what was set before: who is inside another puts it back. */
const struct log_context *log_context_set(const struct log_context *context);
bool log_wants_callid(void);

/* Says how often a line was repeated when its window is over. Context: once per turn of the loop; costs a compare when nothing is held. */
void log_tick(uint64_t now_ms);
/* The same at the end of a process, whatever the window. */
void log_flush_repeats(void);

struct log_stats {
	uint64_t n_lines;   /* written, or left in a ring */
	uint64_t n_dropped; /* could not be: a full ring, nobody to take them */
	uint64_t n_held;    /* not written for being repeats */
};
/* Of all processes when there are rings, else of this one. */
void log_stats(struct log_stats *ret_stats);
/* Lines that could not be written: n_dropped. */
uint64_t log_dropped(void);

#define log_error(...) log_write(L_ERR, __VA_ARGS__)
#define log_crit(...) log_write(L_CRIT, __VA_ARGS__)
#define log_warn(...) do { if (log_on(L_WARN)) log_write(L_WARN, __VA_ARGS__); } while (0)
/* For what anybody on the network can bring about as often as he likes, with another text each time (an address, a port): the text does not make it another line. */
#define log_warn_alike(...) do { if (log_on(L_WARN)) log_write_at(LOG_HERE_(true), __func__, L_WARN, __VA_ARGS__); } while (0)
#define log_notice(...) do { if (log_on(L_NOTICE)) log_write(L_NOTICE, __VA_ARGS__); } while (0)
#define log_info(...) do { if (log_on(L_INFO)) log_write(L_INFO, __VA_ARGS__); } while (0)
#define log_debug(...) do { if (log_on(L_DBG)) log_write(L_DBG, __VA_ARGS__); } while (0)

#endif
