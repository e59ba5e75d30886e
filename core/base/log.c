/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a call to a line: the level, the text, the prefix of the message at hand, repeats; then into the ring of this process's slot,
 * or straight out where there is none (start-up, -D, threads without a slot).
 */
#include "core/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log_priv.h"
#include "shm/slot.h"

#define LINE_MAX_BYTES 4096 /* of the server's own texts */

static struct {
	bool tee, json_callid, modules_have_levels;
	_Atomic uint64_t n_lines, n_dropped, n_held; /* without rings */
	_Atomic int own_level;
	const _Atomic int *level;
	int facility;
} self = { .own_level = L_WARN };

static _Thread_local const struct log_context *context;
static _Thread_local bool in_context; /* what makes the prefix logs too */

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
	return atomic_load_explicit(self.level ? self.level : &self.own_level, memory_order_relaxed);
}

int log_facility(void)
{
	return self.facility;
}

int log_level_most(void)
{
	int level = log_level();

	return LIKELY(!self.modules_have_levels) ? level : log_modules_most(level);
}

void log_modules_count(bool levels, bool facilities)
{
	self.modules_have_levels = levels;
	log_modules_enable(levels, facilities);
}

static bool wanted(const struct log_site *site, int level)
{
	return level <= log_modules_level(site->file, log_level());
}

const struct log_context *log_context_set(const struct log_context *c)
{
	const struct log_context *was = context;

	context = c;
	return was;
}

bool log_wants_callid(void)
{
	return self.json_callid;
}

void log_stats(struct log_stats *s)
{
	*s = (struct log_stats){ .n_lines = atomic_load_explicit(&self.n_lines, memory_order_relaxed),
				 .n_dropped = atomic_load_explicit(&self.n_dropped, memory_order_relaxed),
				 .n_held = atomic_load_explicit(&self.n_held, memory_order_relaxed) };
	log_ring_stats(s);
}

uint64_t log_dropped(void)
{
	struct log_stats s;

	log_stats(&s);
	return s.n_dropped;
}

static void out(struct log_line *l)
{
	int slot = shm_slot_self();

	l->slot = slot;
	if (self.tee && l->level <= L_ERR)
		log_sink_tee(l);
	if (slot >= 0 && log_ring_put((unsigned)slot, l))
		return;
	if (log_sink_put(l, false) < 0)
		atomic_fetch_add_explicit(&self.n_dropped, 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&self.n_lines, 1, memory_order_relaxed);
}

static void say_repeated(int level, int facility, struct str text)
{
	struct log_line l = { .level = level, .facility = facility, .pid = getpid(), .wall = clock_wall(), .text = text, .file = STR_LIT("log") };

	out(&l);
}

static void line_named(const struct log_site *site, const char *func, const void *key, int level, struct str level_name, int facility, struct str text)
{
	struct log_line l = { .level = level, .facility = facility < 0 ? log_modules_facility(site->file) : facility, .pid = getpid(), .src_line = site->line, .file = str_lit(site->file), .level_name = level_name,
			      .func = str_lit(func) };

	while (text.n > 0 && (text.s[text.n - 1] == '\n' || text.s[text.n - 1] == '\r'))
		text.n--;
	if (text.n > LOG_TEXT_MAX)
		text.n = LOG_TEXT_MAX;
	if (!log_repeat_pass(key, site->alike, level, facility, text, clock_now_us() / 1000u)) {
		if (shm_slot_self() < 0 || !log_ring_held((unsigned)shm_slot_self()))
			atomic_fetch_add_explicit(&self.n_held, 1, memory_order_relaxed);
		return;
	}
	l.text = text;
	l.wall = clock_wall();
	if (context && !in_context) {
		in_context = true;
		l.prefix = context->now ? context->now(context->arg) : context->prefix;
		if (self.json_callid && context->callid)
			l.callid = context->callid(context->arg);
		in_context = false;
		if (l.prefix.n > 1024)
			l.prefix.n = 1024;
		if (l.callid.n > 256)
			l.callid.n = 256;
	}
	out(&l);
}

static void line(const struct log_site *site, const char *func, const void *key, int level, int facility, struct str text)
{
	line_named(site, func, key, level, STR_NULL, facility, text);
}

void log_text_named(int level, struct str level_name, int facility, struct str text)
{
	if (log_on(level))
		line_named(LOG_HERE, "", NULL, level, str_sub(level_name, 0, 32), facility, text);
}

void log_open(const struct log_opts *opts)
{
	self.tee = opts->tee;
	self.facility = opts->facility;
	self.json_callid = opts->engine == LOG_ENGINE_JSON && (opts->json & LOG_JSON_CALLID);
	log_repeat_configure(opts->repeat_limit, opts->repeat_window_ms, say_repeated);
	log_sink_open(opts);
}

int log_json_flags(struct str letters, unsigned *ret_flags)
{
	static const struct {
		char letter;
		unsigned flag;
	} known[] = { { 'a', LOG_JSON_APP }, { 'A', 0 }, { 'c', LOG_JSON_CALLID }, { 'j', LOG_JSON_NEST }, { 'M', LOG_JSON_STRIP_EOL },
		      { 'N', LOG_JSON_NO_EOL }, { 'p', LOG_JSON_PREFIX }, { 'U', LOG_JSON_CEE } };
	unsigned flags = 0;

	for (size_t i = 0; i < letters.n; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(known) && known[k].letter != letters.s[i])
			k++;
		if (k == ARRAY_LEN(known))
			return -EINVAL;
		flags = letters.s[i] == 'A' ? flags & ~(unsigned)LOG_JSON_APP : flags | known[k].flag;
	}
	*ret_flags = flags;
	return 0;
}

void log_started(void)
{
	self.tee = false;
}

void log_stderr_moved(void)
{
	log_sink_stderr_moved();
}

void log_tick(uint64_t now_ms)
{
	log_repeat_tick(now_ms, false);
}

void log_flush_repeats(void)
{
	log_repeat_tick(0, true);
}

static void clean(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			p[i] = ' ';
}

PRINTF_LIKE(4, 0) static void vwrite(const struct log_site *site, const char *func, int level, const char *fmt, va_list ap)
{
	char buf[LINE_MAX_BYTES - 256];
	size_t n;
	int len = vsnprintf(buf, sizeof(buf), fmt, ap);

	if (len < 0) {
		atomic_fetch_add_explicit(&self.n_dropped, 1, memory_order_relaxed);
		return;
	}
	n = (size_t)len < sizeof(buf) ? (size_t)len : sizeof(buf) - 1;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	clean(buf, n);
	line(site, func, site, level, -1, str_of(buf, n));
}

void log_write_at(const struct log_site *site, const char *func, int level, const char *fmt, ...)
{
	va_list ap;

	if (!wanted(site, level))
		return;
	va_start(ap, fmt);
	vwrite(site, func, level, fmt, ap);
	va_end(ap);
}

void log_text_at(const struct log_site *site, const void *key, int level, int facility, struct str text)
{
	if (wanted(site, level))
		line(site, "", key, level, facility, text);
}

int log_fail_at(const struct log_site *site, const char *func, int err, const char *fmt, ...)
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
	log_write_at(site, func, L_ERR, "%s: %s", buf, why ? why : "unknown error");
	return err;
}
