/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of one process: a thin layer over libuv. One per process, made after the fork.
 * Everything that has a descriptor, a deadline or blocking work goes through here.
 */
#ifndef RF_EVENT_LOOP_H
#define RF_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/defs.h"

struct loop;
struct loop_io;
struct loop_timer;

enum loop_events { LOOP_READ = 1, LOOP_WRITE = 2 };

/*
 * events: what is ready (bits of loop_events), or a negative errno. An error of the socket shows as readiness for
 * all that is watched, as with epoll: the read, write or getsockopt(SO_ERROR) that follows tells it.
 */
typedef void loop_io_fn(void *arg, int fd, int events);
typedef void loop_timer_fn(void *arg);
typedef void loop_signal_fn(void *arg, int signum);
typedef void loop_work_fn(void *arg);
typedef void loop_work_done_fn(void *arg, bool ending);

/* Ignores SIGPIPE in this process. Returns 0; -ENOMEM, -EMFILE ... */
MUST_CHECK int loop_new(struct loop **ret_loop);
/* Closes what is still registered (and with it, what _add() returned); waits for work that a thread has begun.
 * The signals that it watched are ignored afterwards: who is told to end twice ends once, and in order. */
void loop_free(struct loop *loop);
/* Runs until loop_stop(); what loop_on_turn() registered runs once more after the last event. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* The loop of this process, set by loop_new(); NULL before. */
struct loop *loop_self(void);

/* Watches a descriptor (made nonblocking; one watch per descriptor, else -EEXIST); the caller keeps it and removes
 * the watch before closing it. events may be 0: nothing is watched until loop_io_set(). */
MUST_CHECK int loop_io_add(struct loop *loop, int fd, int events, loop_io_fn *fn, void *arg, struct loop_io **ret_io);
MUST_CHECK int loop_io_set(struct loop_io *io, int events);
void loop_io_del(struct loop_io *io); /* NULL accepted; allowed inside its own callback */

/* Private timers (not for shared objects: see shm/wheel.h). repeat_ms 0: once. The object stays valid until del. */
MUST_CHECK int loop_timer_add(struct loop *loop, uint64_t after_ms, uint64_t repeat_ms, loop_timer_fn *fn, void *arg, struct loop_timer **ret_timer);
void loop_timer_set(struct loop_timer *t, uint64_t after_ms);
void loop_timer_del(struct loop_timer *t); /* NULL accepted; allowed inside its own callback */

/* Calls fn at the end of each turn, before the loop sleeps: the place to flush batches. Up to 8. */
MUST_CHECK int loop_on_turn(struct loop *loop, loop_work_fn *fn, void *arg);
/* Calls fn once, in the next turn. */
MUST_CHECK int loop_defer(struct loop *loop, loop_work_fn *fn, void *arg);
MUST_CHECK int loop_signal_add(struct loop *loop, int signum, loop_signal_fn *fn, void *arg);
/* work runs in a thread of the pool, done follows in the loop. At the end of a process it follows inside loop_free(), with
 * ending true, and work may not have run: then it only releases what it owns. Returns 0 or -ENOMEM. */
MUST_CHECK int loop_work(struct loop *loop, loop_work_fn *work, loop_work_done_fn *done, void *arg);

/*
 * What stands between the loop and its sleep; for doorbell.c. Each turn: drain() at its start (true: more is waiting,
 * do not sleep), then the functions of loop_on_turn(), then, only if the loop would sleep, may_sleep(); woke()
 * follows before anything else runs.
 */
struct loop_gate {
	bool (*drain)(void *arg);
	bool (*may_sleep)(void *arg);
	void (*woke)(void *arg);
	void *arg;
};
/* One per loop, a second one replaces it. */
void loop_gate_set(struct loop *loop, const struct loop_gate *gate);

#endif
