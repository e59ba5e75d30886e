/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines on their way from every process to the one that writes them. One ring of bytes per slot, in a mapping of its own that
 * does not depend on the arena and survives its writer: what a process said before it died is written all the same.
 *
 * A writer never waits: a line that finds its ring full is counted, and the reader tells the number when it gets there.
 */
#ifndef RF_BASE_LOG_RING_H
#define RF_BASE_LOG_RING_H

#include "core/base/log.h"

#define LOG_RING_BYTES (128u * 1024u)

/* Makes the rings. Until log_rings_use(true) lines are still written by who says them. Context: before forking. -ENOMEM, -EMFILE. */
MUST_CHECK int log_rings_new(unsigned n_slots);
void log_rings_free(void);
/* From now on this process, and who is forked from it, leaves its lines in the ring of its slot (or, false: writes them itself). */
void log_rings_use(bool use);

/* When all other processes, and the reader, have ended: writes out what is left, without waiting, and ends the use of the rings. */
void log_rings_rest(void);

/* ---- the reader: one process ---- */

/* Descriptor that becomes readable when a line comes after log_rings_sleep(); -1 without rings. */
int log_rings_fd(void);
/* Writes out what there is, oldest first, at most `budget` lines. Returns how many; -EAGAIN when the log's reader, or the disk, takes no
 * more now: nothing is lost, call again later. Context: a process that may wait; a plain file blocks with its disk. */
MUST_CHECK int log_rings_write(unsigned budget);
/* Takes the ring off the descriptor. The first thing that the reader does when it is readable, whatever it can write then. */
void log_rings_woken(void);
/* Says that the reader is about to sleep. False when there is something to do. */
MUST_CHECK bool log_rings_sleep(void);

#endif
