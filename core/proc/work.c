/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every working process does around its own job: it makes the loop, listens to its doorbell,
 * says each turn that it is alive, and, if it is a worker, runs the shared timers of its slot. The
 * timers are run at the end of a turn, in slices, and the loop is woken for the next one; an idle
 * process still wakes often enough for its heartbeat.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/base/log_ring.h"
#include "core/event/doorbell.h"
#include "core/proc/proc_priv.h"
#include "core/settings/cfg.h"
#include "shm/arena.h"
#include "shm/slab.h"
#include "shm/wheel.h"

#define IDLE_WAKE_MS 40u /* neighbours take a queue over after 100 ms of silence */
#define WHEEL_SLICE 256u
#define FULL_TELL_MS 10000u

static struct {
	const struct proc_desc *desc;
	struct loop *loop;
	struct loop_timer *timer;
	uint64_t due_ms; /* when the timer fires */
	unsigned number;
	bool stopping;
	uint64_t refused, told_ms; /* of shm_alloc_refused(), told */
} work;

/* Who needed memory answers for itself (503 and the like); the reason is told here, once for all of them. */
static void tell_full(uint64_t now)
{
	struct shm_stats s;

	shm_arena_stats(&s);
	log_crit("shared memory is full: %llu of %llu KiB used, %llu requests for memory refused; -m or shm_mem_size sets the ceiling",
	         (unsigned long long)s.used_bytes / 1024, (unsigned long long)s.ceiling_bytes / 1024,
	         (unsigned long long)(shm_alloc_refused() - work.refused));
	work.refused = shm_alloc_refused();
	work.told_ms = now;
}

/* Runs what is due, and sleeps no longer than to the next. */
static void turn_ends(void *arg)
{
	uint64_t now = clock_ms(), due;
	uint32_t sleep_ms = IDLE_WAKE_MS;

	(void)arg;
	shm_slot_beat(now);
	log_tick(now);
	cfg_catch_up();
	if (UNLIKELY(shm_alloc_refused() != work.refused) && now >= work.told_ms + FULL_TELL_MS)
		tell_full(now);
	if (work.desc->kind == SHM_SLOT_WORKER) {
		if (shm_wheel_run(now, WHEEL_SLICE) == WHEEL_SLICE)
			sleep_ms = 1;
		else
			sleep_ms = shm_wheel_next_ms(now, IDLE_WAKE_MS);
	}
	if (sleep_ms == 0)
		sleep_ms = 1;
	due = now + sleep_ms;
	if (due == work.due_ms || (work.due_ms > now && work.due_ms < due))
		return; /* wakes in time as it is */
	work.due_ms = due;
	loop_timer_set(work.timer, sleep_ms);
}

static void woken(void *arg)
{
	(void)arg; /* the end of this turn does the work */
}

static void stop_now(void *arg)
{
	(void)arg;
	loop_stop(work.loop);
}

static void told_to_stop(void *arg, int signum)
{
	(void)arg;
	(void)signum;
	if (work.stopping)
		return;
	work.stopping = true;
	log_flush_repeats();
	if (work.desc->stop)
		work.desc->stop(work.number);
	/* one more turn, so that what stop() sent leaves */
	if (loop_defer(work.loop, stop_now, NULL) < 0)
		loop_stop(work.loop);
}

void proc_leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		(void)close(null);
	log_stderr_moved();
}

int proc_work(const struct proc_desc *desc, unsigned number, int ready_fd, bool of_daemon)
{
	char name[96];
	int err;

	proc_desc_text(desc->name, number, name, sizeof(name));
	work.desc = desc;
	work.number = number;
	work.stopping = false;
	work.due_ms = 0;
	hashfn_key(shm_arena_secret());
	(void)clock_update();
	shm_slot_beat(clock_ms());
	err = loop_new(&work.loop);
	if (err < 0)
		return log_fail(err, "%s: no event loop", name);
	err = doorbell_listen(work.loop);
	if (err == 0)
		err = loop_timer_add(work.loop, IDLE_WAKE_MS, 0, woken, NULL, &work.timer);
	if (err == 0)
		err = loop_on_turn(work.loop, turn_ends, NULL);
	if (err == 0)
		err = loop_signal_add(work.loop, SIGTERM, told_to_stop, NULL);
	if (err == 0 && ready_fd < 0)
		err = loop_signal_add(work.loop, SIGINT, told_to_stop, NULL);
	if (err == 0)
		err = desc->start(work.loop, number);
	if (err < 0) {
		(void)log_fail(err, "%s: start failed", name);
		loop_free(work.loop);
		return err;
	}
	if (ready_fd >= 0) {
		if (write(ready_fd, "", 1) != 1)
			log_error("%s: the supervisor does not listen", name);
		(void)close(ready_fd);
	}
	log_started();
	log_rings_use(true);
	if (of_daemon)
		proc_leave_terminal();
	loop_run(work.loop);
	loop_free(work.loop);
	return 0;
}
