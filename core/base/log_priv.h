/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the log share: a line as data, and its way out. */
#ifndef RF_BASE_LOG_PRIV_H
#define RF_BASE_LOG_PRIV_H

#include <time.h>

#include "core/base/log.h"

#define LOG_TEXT_MAX 16384u             /* longer texts are cut */
#define LOG_OUT_MAX (2u * LOG_TEXT_MAX) /* one line as it is written */

/* Views: they live as long as the call that gets them. */
struct log_line {
	int level, facility; /* facility -1: the default */
	int pid, slot;       /* slot -1: none */
	struct timespec wall;
	unsigned src_line;
	struct str prefix, callid, file, func, text, level_name; /* level_name n 0: that of the level */
};

/* ---- log_sink.c: writing out ---- */

void log_sink_open(const struct log_opts *opts);
void log_sink_stderr_moved(void);
/*
 * Writes one line now. Returns 0; -EAGAIN when whoever takes the log cannot now, or the disk is full; -EIO when this line can never
 * be written. patient: the caller comes back after -EAGAIN, and calls log_sink_flush() until a line that went out in part is finished.
 */
MUST_CHECK int log_sink_put(const struct log_line *line, bool patient);
/* Finishes the line that went out in part. 0: there is none; -EAGAIN: later. */
MUST_CHECK int log_sink_flush(void);
/* To stderr, whatever the log is. */
void log_sink_tee(const struct log_line *line);
/* The bytes of one line: for the sink and its tests. Returns the length, at most cap. journal: with <priority> in front. */
size_t log_line_text(const struct log_opts *opts, const struct log_line *line, bool journal, char *out, size_t cap);
size_t log_line_json(const struct log_opts *opts, const struct log_line *line, char *out, size_t cap);

/* ---- log_ring.c ---- */

/* False: no rings, or none for this slot. True: left there, or counted as lost. */
MUST_CHECK bool log_ring_put(unsigned slot, const struct log_line *line);
/* Counts a line that was held back; false as above. */
MUST_CHECK bool log_ring_held(unsigned slot);
void log_ring_stats(struct log_stats *stats); /* adds the rings' counts */

/* ---- log_modules.c ---- */

void log_modules_enable(bool levels, bool facilities);
int log_modules_most(int level);                    /* at least level */
int log_modules_level(const char *file, int level); /* of that file's module; level: of the core */
int log_modules_facility(const char *file);         /* -1: that of the core */

/* ---- log_repeat.c ---- */

typedef void log_repeat_fn(int level, int facility, struct str text);
/* say: writes "last line repeated ..." */
void log_repeat_configure(unsigned limit, unsigned window_ms, log_repeat_fn *say);
/* alike: any text of that place is the same. False: held back and counted. */
MUST_CHECK bool log_repeat_pass(const void *key, bool alike, int level, int facility, struct str text, uint64_t now_ms);
/* Tells those whose window is over, or all. */
void log_repeat_tick(uint64_t now_ms, bool all);

#endif
