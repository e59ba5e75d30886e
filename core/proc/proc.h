/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processes: the supervisor forks workers and helpers, reaps and replaces them, and stops them all. It handles no
 * SIP and takes no shared lock.
 */
#ifndef RF_PROC_PROC_H
#define RF_PROC_PROC_H

#include "core/event/loop.h"
#include "shm/slot.h"

struct proc_desc {
	const char *name;        /* description in core.psx: printf format with one %u for the number, or none */
	enum shm_slot_kind kind;
	unsigned first_slot;     /* slot of number 0 */
	unsigned n;
	int rank;                /* core.psa: workers from 1, RPC -2 */
	/* Runs in the child: sets up. Done already: slot taken, hashfn_key(), clock, loop made, doorbell_listen(). proc runs the
	 * loop, writes the heartbeat each turn, and in workers runs the shared timers (shm_wheel_run()) each turn, before the
	 * functions that start() registers with loop_on_turn(). Returns 0 or negative errno (the child exits, start-up fails). */
	int (*start)(struct loop *loop, unsigned number);
	void (*stop)(unsigned number); /* orderly end: before the loop stops; may be NULL */
	bool may_block;          /* makes no progress while it waits for a disk: the watchdog leaves it alone */
	bool stops_last;         /* told to stop when all others have ended, and killed 2 s later */
};

struct proc_opts {
	unsigned exit_timeout_s; /* who has not ended then is killed; 0: they are waited for, however long it takes */
	bool fork;               /* false: -D, one process */
	bool daemonize;
	const char *pid_file;    /* NULL: none */
	unsigned watchdog_ms;    /* a worker without heartbeat for that long is killed and replaced; 0 off */
	void (*anew)(void);      /* called before the program executes itself again; may be NULL */
	void (*started)(void);   /* called in the supervisor once every child reported ready */
};

/* How a process ended, told in its janitor before anything is recovered. */
struct trap_record;
struct proc_death {
	unsigned slot;
	pid_t pid;
	int signal;       /* that ended it; 0: it ended by itself */
	bool by_watchdog; /* killed, for it made no progress */
	const struct trap_record *record; /* what it did then, see trap.h; NULL: killed from outside, nobody knows */
};
typedef void proc_death_fn(const struct proc_death *death);
void proc_on_death(proc_death_fn *fn);

MUST_CHECK int proc_register(const struct proc_desc *desc);
/* Forks all, supervises until told to stop. Returns the exit status of the program. */
int proc_run(const struct proc_opts *opts);
/* Are there processes of that kind? With -D there is one worker and nothing else. Context: after all were registered. */
bool proc_has(enum shm_slot_kind kind);
/* This process: number within its description, from 0; -1 in the supervisor. */
int proc_number(void);

/* Process table for RPC: shared. */
struct proc_info {
	pid_t pid;
	int rank;
	unsigned index, slot;
	char desc[96];
	unsigned restarts;
};
unsigned proc_count(void);
MUST_CHECK int proc_at(unsigned index, struct proc_info *ret_info);
/* Unix time of start. */
int64_t proc_started_at(void);

/* What a process of this machine has of its own. 0; -ESRCH. Reads /proc: not for workers. */
struct proc_memory {
	int64_t data, resident; /* bytes: address space of private data, and how much of it is memory */
};
MUST_CHECK int proc_memory_of(pid_t pid, struct proc_memory *ret);

#endif
