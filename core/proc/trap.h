/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process is doing, said by itself from a signal handler: C stack, position in the script, the message at hand. Asked for by
 * the watchdog before it kills, by RPC, and made without asking when a process dies of a fault. The record is in shared memory of
 * its own and survives the process; locks are read from its slot.
 */
#ifndef RF_PROC_TRAP_H
#define RF_PROC_TRAP_H

#include "core/base/str.h"
#include "core/base/strbuf.h"

#define TRAP_FRAMES_MAX 48u
#define TRAP_MSG_MAX 65535u

struct trap_record {
	int pid;
	int signal;            /* that ended it; 0: it was asked */
	uint64_t fault_addr;   /* SIGSEGV, SIGBUS */
	unsigned n_frames;
	uint64_t pc[TRAP_FRAMES_MAX]; /* innermost first */
	char where[384];       /* file:line and route of the script; "" none */
	char from[96];         /* where the message came from */
	uint32_t msg_n;        /* 0: none at hand, or none that came from outside */
	char msg[TRAP_MSG_MAX];
};

/* Says what this process is at: fills where, from, msg_n and msg. Context: a signal handler, at any instruction: no lock, no memory,
 * nothing that the C library does not allow there. It may read state that is half changed: a fault in it is caught. */
typedef void trap_describe_fn(struct trap_record *rec);
void trap_describe(trap_describe_fn *fn);

/* Makes the records. Context: before forking. -ENOMEM. */
MUST_CHECK int trap_init(unsigned n_slots);
/* Takes the signals in this process, which has its slot; of_itself: its faults too. */
void trap_arm(bool of_itself);
/* Asks the process of a slot. Returns 0 or -ESRCH. Does not wait. */
MUST_CHECK int trap_ask(unsigned slot, int pid);
/* Has it answered the last question? */
bool trap_answered(unsigned slot);
/* The record of a slot if it is of this process, complete or as far as it got; NULL: none. Valid until the slot's next trap. */
const struct trap_record *trap_of(unsigned slot, int pid);
/* What the kernel says of a process that does not answer: "state T (stopped), in futex_wait". */
void trap_kernel_state(int pid, struct strbuf *sb);

/* "vm_run+0x1f (ringfort)"; addresses of this program are the same in all its processes. Context: may read files. */
void trap_symbol(uint64_t pc, struct strbuf *sb);
/* Writes the whole record, and the locks of the slot, to the log. Context: a process that may read files; before the slot is recovered. */
void trap_log(unsigned slot, const struct trap_record *rec, const char *who);
/* "BUCKET at 0x1234, waits: slot 3 has it", one per lock of the slot. */
void trap_locks(unsigned slot, void (*each)(void *arg, struct str text), void *arg);

#endif
