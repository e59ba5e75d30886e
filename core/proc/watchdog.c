/* SPDX-License-Identifier: BSD-2-Clause */
/* Who makes no progress is asked what it does, then killed and replaced. */
#include <signal.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"
#include "core/proc/proc_priv.h"
#include "core/proc/trap.h"

#define TRAP_LIMIT_MS 300u /* to answer */

/* No progress: it is asked what it does, and has a moment to answer; then it is killed, and its janitor tells. */
static void stuck(struct proc_child *c, uint64_t now, uint64_t silent_ms)
{
	char text[160];
	struct strbuf sb;

	if (c->trapped_ms == 0) {
		c->trapped_ms = now;
		if (trap_ask(c->slot, c->pid) == 0)
			return;
	} else if (!trap_answered(c->slot) && now < c->trapped_ms + TRAP_LIMIT_MS) {
		return;
	}
	strbuf_init_fixed(&sb, text, sizeof(text));
	trap_kernel_state((int)c->pid, &sb);
	log_crit("process %d (%s), slot %u, made no progress for %llu ms: killed (%s%.*s)", (int)c->pid, proc_row_of(c)->desc, c->slot,
		 (unsigned long long)silent_ms, trap_answered(c->slot) ? "" : "does not answer, ", (int)sb.n, text);
	c->ready_ms = now; /* once per limit */
	c->watchdog_killed = true;
	(void)kill(c->pid, SIGKILL);
}

void proc_watch_heartbeat(struct proc_child *c, uint64_t now)
{
	struct shm_slot_info info;
	unsigned limit = procs.opts->watchdog_ms;

	if (c->state == PROC_CHILD_STARTING && c->was_ready && now > c->started_ms + PROC_START_LIMIT_MS) {
		log_crit("process %d (%s), slot %u, was not ready after %u s: killed", (int)c->pid,
		         proc_row_of(c)->desc, c->slot, PROC_START_LIMIT_MS / 1000);
		c->started_ms = now; /* once per limit */
		(void)kill(c->pid, SIGKILL);
	}
	if (limit == 0 || c->desc->may_block || c->pid <= 0 || shm_slot_info(c->slot, &info) < 0 ||
	    info.state != SHM_SLOT_ACTIVE || info.pid != c->pid)
		return;
	if (c->state == PROC_CHILD_READY && now > c->ready_ms + limit && now > info.heartbeat_ms + limit)
		stuck(c, now, now - info.heartbeat_ms);
	else
		c->trapped_ms = 0; /* it goes on */
}

/*
 * When the supervisor itself stood still (a stopped or frozen machine, or group of processes), so
 * did the workers, and it may be the first to run again: their time begins anew.
 */
void proc_forgive_pause(uint64_t now)
{
	uint64_t was = procs.tick_ms;

	procs.tick_ms = now;
	if (was == 0 || now - was < procs.opts->watchdog_ms / 2)
		return;
	for (unsigned i = 0; i < procs.n; i++)
		procs.child[i].ready_ms = now;
}
