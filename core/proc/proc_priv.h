/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of proc share. */
#ifndef RF_PROC_PRIV_H
#define RF_PROC_PRIV_H

#include "core/proc/proc.h"

#define PROC_CHILDREN_MAX 256u
#define PROC_DESCS_MAX 16u
#define PROC_JANITOR_SLOTS 8u        /* the topmost */
#define PROC_JANITOR_LIMIT_MS 10000u /* then it counts as failed */
#define PROC_START_LIMIT_MS 120000u
#define PROC_EXIT_FAILED 255
#define PROC_BACKOFF_MIN_MS 100u
#define PROC_BACKOFF_MAX_MS 1000u
#define PROC_ENV_REEXEC "RINGFORT_REEXEC"

#define PROC_ROWS_MAX 257u

/* Written by the supervisor alone, read by anybody without a lock: each word by itself is always
 * valid. */
struct proc_row {
	volatile pid_t pid; /* 0: being replaced */
	int rank;
	unsigned slot;
	volatile unsigned restarts;
	char desc[96];
};

struct proc_table {
	volatile unsigned n;
	volatile bool stopping; /* all are told to end */
	int64_t started_at;
	struct proc_row row[PROC_ROWS_MAX];
};

#define PROC_LOOP_RESTARTS 20u /* more than so many in so long is a crash loop */
#define PROC_LOOP_WINDOW_MS 10000u

struct proc_history {
	uint64_t at_ms[PROC_LOOP_RESTARTS]; /* ring */
	unsigned n;
};

/* Notes a restart now. True when it is one too many in the window. */
bool proc_loops(struct proc_history *h, uint64_t now_ms);

/* desc's text for one number. */
void proc_desc_text(const char *name, unsigned number, char *out, size_t cap);
/*
 * The life of a working process that has its slot: loop, doorbell, heartbeat, start(), ready byte
 * on ready_fd (-1: none), run until SIGTERM (or SIGINT when alone), stop(). of_daemon: once ready, it
 * lets go of the terminal, or pipe, of who launched the daemon. Returns 0 or what start() said.
 */
MUST_CHECK int proc_work(const struct proc_desc *desc, unsigned number, int ready_fd, bool of_daemon);
/* Standard input, output and error become /dev/null. */
void proc_leave_terminal(void);

enum proc_child_state {
	PROC_CHILD_NONE,
	PROC_CHILD_STARTING, /* forked, not yet ready */
	PROC_CHILD_READY,
	PROC_CHILD_RECOVERING, /* dead; a janitor works on its slot */
	PROC_CHILD_BACKOFF,    /* waits before it is forked again */
};

struct proc_child {
	const struct proc_desc *desc;
	unsigned number, slot;
	enum proc_child_state state;
	pid_t pid, janitor;
	unsigned janitor_slot, janitor_fails;
	int bad_janitor_slot; /* of a janitor that died: recovered first; -1 none */
	int ready_fd;         /* -1: none */
	bool was_ready;
	uint64_t started_ms, ready_ms, due_ms, died_us;
	uint64_t trapped_ms;  /* the watchdog asked it what it does; 0: it has not */
	bool watchdog_killed; /* by us, for it made no progress */
	struct proc_death death; /* the last one */
	struct proc_history restarts;
	unsigned backoff_ms;
};

/* Of the supervisor; children inherit it as it was when they were forked. */
struct procs {
	const struct proc_desc *descs[PROC_DESCS_MAX];
	unsigned n_descs;
	struct proc_child child[PROC_CHILDREN_MAX];
	unsigned n;
	const struct proc_opts *opts;
	proc_death_fn *on_death;
	struct proc_table *table; /* shared with all */
	int sig_fd, status_fd;    /* status_fd: the launching process waits there; -1 */
	pid_t supervisor;
	int number;
	bool stopping, last_told, wrote_pid;
	uint64_t kill_at_ms, tick_ms; /* tick_ms: when tick() ran last */
	char *args; /* own command line, for a new beginning */
	size_t args_n;
	char cwd[4096];
};
extern struct procs procs;

/* --- proc_table.c: what RPC shows --- */
MUST_CHECK int proc_table_new(void);
void proc_table_fill(void); /* context: all are registered */
struct proc_row *proc_row_of(const struct proc_child *c);

/* --- child.c: forking, ends, replacements. Context: supervisor --- */
MUST_CHECK int proc_child_fork(struct proc_child *c);
void proc_child_later(struct proc_child *c, unsigned ms); /* it is forked after that time */
void proc_janitor_start(struct proc_child *c);
void proc_reap(void); /* all that ended */

/* --- watchdog.c --- */
void proc_watch_heartbeat(struct proc_child *c, uint64_t now);
void proc_forgive_pause(uint64_t now);

/* --- surround.c: launching process, pid file, own command line --- */
MUST_CHECK int proc_daemonize(void);
/* Tells the launching process, and lets go of its terminal. */
void proc_report_status(unsigned char status);
MUST_CHECK int proc_pid_file_write(const char *path);
void proc_remember_self(void);
NORETURN void proc_begin_anew(void);

#endif
