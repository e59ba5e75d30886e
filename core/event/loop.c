/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of one process, over libuv. libuv gives epoll, timers, signals and the thread
 * pool; what is added is the order of one turn:
 *
 *     due timers; rings drained; deferred calls; on_turn functions (batches flushed);
 *     may we sleep? ; epoll ; callbacks of descriptors, signals and finished work
 *
 * The clock is read once per wake-up, before the first callback. libuv stops watching a descriptor
 * on EPOLLERR and says EBADF; for us an error is readiness, as the read that follows tells more
 * than that, so the watch is taken up again. Handles are freed by libuv's close callback, which
 * runs after everything else of the turn: that is what makes deleting inside a callback safe.
 */
#include "core/event/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "core/base/clock.h"

#define ON_TURN_MAX 8u
#define POOL_THREADS "4"

struct deferred {
	struct deferred *next;
	loop_work_fn *fn;
	void *arg;
};

struct loop_io {
	uv_poll_t uv; /* data: this */
	struct loop *loop;
	loop_io_fn *fn;
	void *arg;
	int fd, events;
};

struct loop_timer {
	uv_timer_t uv;
	struct loop *loop;
	loop_timer_fn *fn;
	void *arg;
};

struct loop_signal {
	uv_signal_t uv;
	struct loop *loop;
	loop_signal_fn *fn;
	void *arg;
};

struct work {
	uv_work_t uv;
	struct loop *loop;
	struct work *next, **link; /* list of loop->works */
	loop_work_fn *work;
	loop_work_done_fn *done;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t before; /* before epoll */
	uv_check_t after;    /* after its callbacks */
	uv_idle_t awake;     /* active: do not sleep in epoll */
	struct {
		loop_work_fn *fn;
		void *arg;
	} on_turn[ON_TURN_MAX];
	unsigned n_on_turn;
	struct deferred *deferred, **deferred_end;
	struct work *works;
	struct loop_gate gate;
	bool fresh;    /* the clock was read since the wake-up */
	bool sleeping; /* the gate was told that we sleep */
	bool stopped;  /* in the last turn, after epoll's end */
	bool ending;   /* loop_free() began */
	sigset_t signals; /* that are watched */
};

static struct loop *loop_of_process;

/* What loop_free() finds waiting is not called any more. It goes with the process, and so does what it alone names: a reader of RPC that lags, say. */
static struct {
	struct deferred *deferred;
	uv_handle_t *handles; /* next: data */
} left;

struct loop *loop_self(void)
{
	return loop_of_process;
}

/* First thing in every callback: a wake-up is noticed once. */
static void wake(struct loop *loop)
{
	if (loop->fresh)
		return;
	loop->fresh = true;
	(void)clock_update();
	if (loop->sleeping) {
		loop->sleeping = false;
		loop->gate.woke(loop->gate.arg);
	}
}

static void run_deferred(struct loop *loop)
{
	struct deferred *d = loop->deferred;

	loop->deferred = NULL;
	loop->deferred_end = &loop->deferred;
	while (d) { /* what these defer runs in the turn after */
		struct deferred *next = d->next;

		d->fn(d->arg);
		free(d);
		d = next;
	}
}

static void run_turn(struct loop *loop)
{
	run_deferred(loop);
	for (unsigned i = 0; i < loop->n_on_turn; i++)
		loop->on_turn[i].fn(loop->on_turn[i].arg);
}

static void on_idle(uv_idle_t *idle)
{
	wake(idle->data);
}

static void on_before(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	bool more = false;

	wake(loop);
	if (loop->gate.drain)
		more = loop->gate.drain(loop->gate.arg);
	run_turn(loop);
	if (loop->deferred)
		more = true;
	if (!more && loop->gate.may_sleep) {
		if (loop->gate.may_sleep(loop->gate.arg))
			loop->sleeping = true;
		else
			more = true;
	}
	if (more)
		(void)uv_idle_start(&loop->awake, on_idle);
	else
		(void)uv_idle_stop(&loop->awake);
	loop->fresh = false;
}

static void on_after(uv_check_t *check)
{
	wake(check->data); /* when epoll ended without a callback of ours */
}

int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	(void)setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0);
	(void)signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error of one write */
	err = uv_loop_init(&loop->uv);
	if (err < 0) {
		free(loop);
		return err;
	}
	loop->deferred_end = &loop->deferred;
	sigemptyset(&loop->signals);
	(void)uv_prepare_init(&loop->uv, &loop->before);
	(void)uv_check_init(&loop->uv, &loop->after);
	(void)uv_idle_init(&loop->uv, &loop->awake);
	loop->before.data = loop->after.data = loop->awake.data = loop;
	(void)uv_prepare_start(&loop->before, on_before);
	(void)uv_check_start(&loop->after, on_after);
	loop_of_process = loop;
	*ret_loop = loop;
	return 0;
}

static void free_data(uv_handle_t *handle)
{
	free(handle->data);
}

static void leave(uv_handle_t *handle)
{
	handle->data = left.handles;
	left.handles = handle;
}

static void close_any(uv_handle_t *handle, void *arg)
{
	struct loop *loop = arg;

	if (uv_is_closing(handle))
		return;
	uv_close(handle, handle->data == loop ? NULL : leave);
}

/* libuv has given them their default back: one that comes again would end the process in the middle of its end. */
static void ignore_signals(const struct loop *loop)
{
	for (int s = 1; s < NSIG; s++)
		if (sigismember(&loop->signals, s) == 1)
			(void)signal(s, SIG_IGN);
}

void loop_free(struct loop *loop)
{
	sigset_t before;
	int err;

	if (!loop)
		return;
	loop->ending = true;
	(void)pthread_sigmask(SIG_BLOCK, &loop->signals, &before);
	for (struct work *w = loop->works; w; w = w->next)
		(void)uv_cancel((uv_req_t *)&w->uv);
	uv_walk(&loop->uv, close_any, loop);
	ignore_signals(loop);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	while (uv_run(&loop->uv, UV_RUN_DEFAULT) !=
	       0) /* close callbacks, and threads that are at work */
		; /* ended by a stop that came before */
	err = uv_loop_close(&loop->uv);
	assert(err == 0);
	(void)err;
	*loop->deferred_end = left.deferred;
	left.deferred = loop->deferred;
	if (loop_of_process == loop)
		loop_of_process = NULL;
	free(loop);
}

void loop_run(struct loop *loop)
{
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
	wake(loop);
	loop->stopped = true;
	run_turn(loop);
	loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
	if (!loop->stopped) /* else the next loop_run() would end at once */
		uv_stop(&loop->uv);
}

static int uv_events(int events)
{
	return (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct loop_io *io = uv->data;
	int ready =
	    (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);

	wake(io->loop);
	if (status < 0) {
		ready = status;
		if (fcntl(io->fd, F_GETFD) >= 0 &&
		    uv_poll_start(&io->uv, uv_events(io->events), on_poll) == 0)
			ready = io->events;
	}
	io->fn(io->arg, io->fd, ready);
}

int loop_io_add(struct loop *loop, int fd, int events, loop_io_fn *fn, void *arg,
                struct loop_io **ret_io)
{
	struct loop_io *io = calloc(1, sizeof(*io));
	int err;

	if (!io)
		return -ENOMEM;
	*io = (struct loop_io){ .loop = loop, .fn = fn, .arg = arg, .fd = fd };
	err = uv_poll_init(&loop->uv, &io->uv, fd);
	if (err < 0) {
		free(io);
		return err;
	}
	io->uv.data = io;
	err = loop_io_set(io, events);
	if (err < 0) {
		loop_io_del(io);
		return err;
	}
	*ret_io = io;
	return 0;
}

int loop_io_set(struct loop_io *io, int events)
{
	int err = 0;

	if (events == io->events)
		return 0;
	if (events == 0)
		(void)uv_poll_stop(&io->uv);
	else
		err = uv_poll_start(&io->uv, uv_events(events), on_poll);
	if (err == 0)
		io->events = events;
	return err;
}

void loop_io_del(struct loop_io *io)
{
	if (!io)
		return;
	(void)uv_poll_stop(
	    &io->uv); /* out of epoll at once: the caller closes the descriptor next */
	uv_close((uv_handle_t *)&io->uv, free_data);
}

static void on_timer(uv_timer_t *uv)
{
	struct loop_timer *t = uv->data;

	wake(t->loop);
	t->fn(t->arg);
}

int loop_timer_add(struct loop *loop, uint64_t after_ms, uint64_t repeat_ms, loop_timer_fn *fn,
                   void *arg, struct loop_timer **ret_timer)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	t->fn = fn;
	t->arg = arg;
	err = uv_timer_init(&loop->uv, &t->uv);
	if (err < 0) {
		free(t);
		return err;
	}
	t->uv.data = t;
	uv_update_time(&loop->uv);
	(void)uv_timer_start(&t->uv, on_timer, after_ms, repeat_ms);
	*ret_timer = t;
	return 0;
}

void loop_timer_set(struct loop_timer *t, uint64_t after_ms)
{
	uv_update_time(&t->loop->uv);
	(void)uv_timer_start(&t->uv, on_timer, after_ms, uv_timer_get_repeat(&t->uv));
}

void loop_timer_del(struct loop_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, free_data);
}

int loop_on_turn(struct loop *loop, loop_work_fn *fn, void *arg)
{
	if (loop->n_on_turn == ON_TURN_MAX)
		return -ENOSPC;
	loop->on_turn[loop->n_on_turn].fn = fn;
	loop->on_turn[loop->n_on_turn].arg = arg;
	loop->n_on_turn++;
	return 0;
}

int loop_defer(struct loop *loop, loop_work_fn *fn, void *arg)
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	*d = (struct deferred){ .fn = fn, .arg = arg };
	*loop->deferred_end = d;
	loop->deferred_end = &d->next;
	return 0;
}

static void on_signal(uv_signal_t *uv, int signum)
{
	struct loop_signal *sig = uv->data;

	wake(sig->loop);
	sig->fn(sig->arg, signum);
}

int loop_signal_add(struct loop *loop, int signum, loop_signal_fn *fn, void *arg)
{
	struct loop_signal *sig = calloc(1, sizeof(*sig));
	int err;

	if (!sig)
		return -ENOMEM;
	sig->loop = loop;
	sig->fn = fn;
	sig->arg = arg;
	err = uv_signal_init(&loop->uv, &sig->uv);
	if (err < 0) {
		free(sig);
		return err;
	}
	sig->uv.data = sig;
	err = uv_signal_start(&sig->uv, on_signal, signum);
	if (err < 0)
		uv_close((uv_handle_t *)&sig->uv, free_data);
	else
		(void)sigaddset(&loop->signals, signum);
	return err;
}

static void work_run(uv_work_t *uv)
{
	struct work *w = uv->data;

	w->work(w->arg);
}

static void work_done(uv_work_t *uv, int status)
{
	struct work *w = uv->data;

	(void)status; /* cancelled: only by loop_free() */
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	wake(w->loop);
	w->done(w->arg, w->loop->ending);
	free(w);
}

/* The first work makes the threads, which inherit the mask: what the loop watches is for its own thread, to the end. */
static int queue_work(struct loop *loop, struct work *w)
{
	sigset_t before;
	int err;

	(void)pthread_sigmask(SIG_BLOCK, &loop->signals, &before);
	err = uv_queue_work(&loop->uv, &w->uv, work_run, work_done);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int loop_work(struct loop *loop, loop_work_fn *work, loop_work_done_fn *done, void *arg)
{
	struct work *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	w->work = work;
	w->done = done;
	w->arg = arg;
	w->uv.data = w;
	err = queue_work(loop, w);
	if (err < 0) {
		free(w);
		return err;
	}
	w->next = loop->works;
	w->link = &loop->works;
	if (w->next)
		w->next->link = &w->next;
	loop->works = w;
	return 0;
}

void loop_gate_set(struct loop *loop, const struct loop_gate *gate)
{
	loop->gate = *gate;
}
