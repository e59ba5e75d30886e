/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Crash points: places between two stores of one change where a test lets a process die, to prove
 * that recovery mends what it finds. The table lists every point of shm/, so that the tests can go
 * through all; they fail when a listed point is never passed.
 */
#include "shm/crash.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
	"slab.alloc.taken",
	"slab.free.cached",
	"slab.refill.begin",
	"slab.refill.one",
	"slab.refill.end",
	"slab.flush.one",
	"slab.flush.end",
	"slab.span.new.pages",
	"slab.span.new.shown",
	"slab.span.release.begin",
	"slab.span.release.large",
	"pages.take.unlisted",
	"pages.take.rest",
	"pages.take.done",
	"pages.give.unlisted",
	"pages.give.merged",
	"adopt.begin",
	"adopt.stored",
	"adopt.live",
	"hash.push.begin",
	"hash.push.before",
	"hash.push.after",
	"hash.push.live",
	"hash.remove.begin",
	"hash.remove.retired",
	"hash.remove.unlinked",
	"hash.replace.begin",
	"hash.replace.stored",
	"hash.replace.live",
	"hash.split.begin",
	"hash.split.shown",
	"hash.split.node",
	"hash.split.end",
	"wheel.link.begin",
	"wheel.link.next",
	"wheel.link.head",
	"wheel.link.back",
	"wheel.unlink.begin",
	"wheel.unlink.forward",
	"wheel.unlink.back",
	"wheel.move.unlinked",
	"wheel.fire.noted",
	"wheel.fire.idle",
	"wheel.fire.handled",
	"ring.put.copied",
	"ring.put.shown",
	"ring.drain.called",
};

const char *shm_crash_name(unsigned i)
{
	return i < ARRAY_LEN(names) ? names[i] : NULL;
}

#ifdef RF_CRASH_POINTS

static char armed[64];
static unsigned armed_nth, n_passed;
static int env_read;

static void arm_from_environment(void)
{
	const char *spec = getenv("RF_CRASH_AT"), *colon;
	size_t len;

	env_read = 1;
	if (!spec)
		return;
	colon = strchr(spec, ':');
	len = colon ? (size_t)(colon - spec) : strlen(spec);
	if (len >= sizeof(armed))
		return;
	memcpy(armed, spec, len);
	armed[len] = '\0';
	armed_nth = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 1;
}

int shm_crash_arm(const char *name, unsigned nth)
{
	size_t len = name ? strlen(name) : 0;

	if (len >= sizeof(armed))
		return -EINVAL;
	env_read = 1;
	memcpy(armed, name ? name : "", len + 1);
	armed_nth = nth;
	n_passed = 0;
	return 0;
}

unsigned shm_crash_passed(void)
{
	return n_passed;
}

void shm_crash_point(const char *name)
{
	if (UNLIKELY(!env_read))
		arm_from_environment();
	if (LIKELY(armed[0] == '\0') || strcmp(armed, name) != 0)
		return;
	if (++n_passed == armed_nth)
		(void)kill(getpid(), SIGKILL);
}

#else

int shm_crash_arm(const char *name, unsigned nth)
{
	return name || nth ? -ENOSYS : 0;
}

unsigned shm_crash_passed(void)
{
	return 0;
}

#endif
