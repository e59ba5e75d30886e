/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of proc share. */
#ifndef RF_PROC_PRIV_H
#define RF_PROC_PRIV_H

#include "core/proc/proc.h"

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

#endif
