/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repeats. A broken peer or a full disk makes one place of the program say the same thing thousands of times. The first lines are
 * written, up to the limit of a window; the rest of the window is counted and told in one line, with the beginning of the text.
 * "The same" is the same place and the same text, so that a line with an address or a Call-ID in it is never taken for another. Places that say
 * what any stranger can make them say, with another text each time, ask for their lines to be taken as alike: else he fills the disk.
 *
 * Places share a small table by hash. One that finds its entry taken by another place pushes that one out, with its count told: then
 * fewer lines are held back, never more.
 */
#include <stdint.h>
#include <stdio.h>

#include "core/base/hashfn.h"
#include "core/base/log_priv.h"

#define PLACES 256u
#define KEPT_BYTES 96u

struct place {
	const void *key;
	uint64_t text_hash, begun_ms;
	unsigned n, n_held; /* in this window: seen, held back */
	int level, facility;
	bool alike;
	uint8_t text_n;
	char text[KEPT_BYTES];
};

static struct {
	unsigned limit, window_ms;
	log_repeat_fn *say;
	unsigned n_holding; /* entries with n_held > 0 */
	struct place place[PLACES];
} rep;

void log_repeat_configure(unsigned limit, unsigned window_ms, log_repeat_fn *say)
{
	rep.limit = limit;
	rep.window_ms = window_ms;
	rep.say = say;
}

static void tell(struct place *p)
{
	char text[KEPT_BYTES + 64];
	unsigned n = p->n_held;
	int len;

	if (n == 0)
		return;
	p->n_held = 0;
	rep.n_holding--;
	len = snprintf(text, sizeof(text), "%s %u times: %.*s%s", p->alike ? "like this one" : "last line repeated", n, (int)p->text_n, p->text,
		       p->text_n == KEPT_BYTES ? "..." : "");
	rep.say(p->level, p->facility, str_of(text, len < 0 ? 0 : (size_t)len));
}

bool log_repeat_pass(const void *key, bool alike, int level, int facility, struct str text, uint64_t now_ms)
{
	struct place *p = &rep.place[((uintptr_t)key >> 3) * 0x9e3779b97f4a7c15ull >> 56];
	uint64_t hash;

	_Static_assert(PLACES == 256, "the shift above");
	if (rep.limit == 0 || !key || level >= L_DBG) /* who debugs wants each line */
		return true;
	hash = alike ? 0 : hashfn64(text.s, text.n);
	if (p->key == key && p->text_hash == hash && now_ms - p->begun_ms < rep.window_ms) {
		if (++p->n <= rep.limit)
			return true;
		if (p->n_held++ == 0)
			rep.n_holding++;
		return false;
	}
	tell(p);
	p->key = key;
	p->text_hash = hash;
	p->begun_ms = now_ms;
	p->n = 1;
	p->alike = alike;
	p->level = level;
	p->facility = facility;
	p->text_n = (uint8_t)(text.n < KEPT_BYTES ? text.n : KEPT_BYTES);
	if (p->text_n > 0)
		memcpy(p->text, text.s, p->text_n);
	return true;
}

void log_repeat_tick(uint64_t now_ms, bool all)
{
	for (unsigned i = 0; i < PLACES && rep.n_holding > 0; i++) {
		struct place *p = &rep.place[i];

		if (p->n_held > 0 && (all || now_ms - p->begun_ms >= rep.window_ms))
			tell(p);
	}
}
