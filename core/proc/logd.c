/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Process logd. Woken by an eventfd when somebody says something, it writes until the rings are empty. When the log's own reader takes
 * no more (a full pipe, a lagging syslog daemon, a full disk), the lines stay where they are and it tries again, soon at first, then
 * every quarter of a second; what no longer fits into the rings meanwhile is counted by who says it, and told when there is room.
 */
#include "core/proc/logd.h"

#include <errno.h>
#include <time.h>

#include "core/base/log_ring.h"

#define BUDGET 1024u /* lines in one turn */
#define RETRY_MIN_MS 2u
#define RETRY_MAX_MS 250u
#define END_TRIES 200u /* of 5 ms: the last words wait a second for a reader */

static struct {
	struct loop_io *io;
	struct loop_timer *retry;
	unsigned retry_ms;
} logd;

static void write_out(void *arg)
{
	int n = 0;

	(void)arg;
	do {
		n = log_rings_write(BUDGET);
	} while (n == 0 && !log_rings_sleep());
	if (n == -EAGAIN)
		logd.retry_ms = logd.retry_ms * 2 < RETRY_MAX_MS ? logd.retry_ms * 2 : RETRY_MAX_MS;
	else
		logd.retry_ms = RETRY_MIN_MS;
	if (n != 0)
		loop_timer_set(logd.retry, n > 0 ? 0 : logd.retry_ms);
}

static void woken(void *arg, int fd, int events)
{
	(void)fd;
	(void)events;
	log_rings_woken();
	write_out(arg);
}

int logd_start(struct loop *loop, unsigned number)
{
	int err;

	(void)number; /* there is one */
	logd.retry_ms = RETRY_MIN_MS;
	err = loop_timer_add(loop, 0, 0, write_out, NULL, &logd.retry);
	if (err == 0)
		err = loop_io_add(loop, log_rings_fd(), LOOP_READ, woken, NULL, &logd.io);
	return err;
}

void logd_stop(unsigned number)
{
	const struct timespec nap = { .tv_nsec = 5000000 };

	(void)number;
	for (unsigned i = 0; i < END_TRIES; i++) {
		int n = log_rings_write(BUDGET);

		if (n == 0)
			return;
		if (n < 0)
			(void)nanosleep(&nap, NULL);
	}
}
