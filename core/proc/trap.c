/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handler copies what it can reach and nothing more: return addresses (glibc's backtrace(3) walks the unwind tables without a
 * lock or memory once it has been called before, which trap_arm() does), the text that the upper layers give, the bytes of the
 * message. Names for the addresses are looked up later, by who reads the record, in the symbol tables of the files; so static
 * functions have names too.
 *
 * The order is that of importance: the message first (it may have to be refused from now on), then the position in the script, the
 * stack last, since walking a damaged stack can fault. A fault while asked is caught and ends the record there; a second fault of a
 * process that is dying ends it, with what was written.
 */
#include "core/proc/trap.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/num.h"
#include "shm/lock.h"
#include "shm/slot.h"

#define STACK_BYTES (64u * 1024u)
#define TRAP_SIGNAL SIGUSR2
#define LOG_MSG_BYTES 2000u

struct cell { /* one per slot; written: the slot's process */
	_Atomic uint32_t asked;    /* who asks */
	_Atomic uint32_t answered;
	struct trap_record rec;
};

static struct {
	struct cell *cells;
	unsigned n;
	trap_describe_fn *describe;
	volatile sig_atomic_t busy; /* in the handler, and where a fault goes back to */
	sigjmp_buf back;
	char *stack;
} trap;

static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS };

void trap_describe(trap_describe_fn *fn)
{
	trap.describe = fn;
}

int trap_init(unsigned n_slots)
{
	void *p;

	if (trap.cells)
		return 0;
	p = mmap(NULL, n_slots * sizeof(struct cell), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	trap.cells = p;
	trap.n = n_slots;
	return 0;
}

/* Where the signal struck: what is above it on the stack is the handler's own. */
static uint64_t struck_at(const void *context)
{
	const ucontext_t *uc = context;

#if defined(__x86_64__)
	return (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return uc->uc_mcontext.pc;
#else
	(void)uc;
	return 0;
#endif
}

static void take_stack(struct trap_record *rec, const void *context)
{
	void *pc[TRAP_FRAMES_MAX + 8];
	int n = backtrace(pc, (int)ARRAY_LEN(pc)), from = 0;
	uint64_t at = struck_at(context);

	for (int i = 0; i < n && i < 8; i++) {
		if ((uint64_t)(uintptr_t)pc[i] == at)
			from = i;
	}
	for (int i = from; i < n && rec->n_frames < TRAP_FRAMES_MAX; i++)
		rec->pc[rec->n_frames++] = (uint64_t)(uintptr_t)pc[i];
}

static void record(struct cell *c, int signal, const siginfo_t *info, const void *context)
{
	struct trap_record *rec = &c->rec;

	rec->signal = signal;
	rec->fault_addr = signal == SIGSEGV || signal == SIGBUS ? (uint64_t)(uintptr_t)info->si_addr : 0;
	rec->n_frames = 0;
	rec->where[0] = rec->from[0] = '\0';
	rec->msg_n = 0;
	rec->pid = getpid();
	atomic_signal_fence(memory_order_seq_cst);
	if (trap.describe)
		trap.describe(rec);
	atomic_signal_fence(memory_order_seq_cst);
	take_stack(rec, context);
}

static struct cell *own_cell(void)
{
	int slot = shm_slot_self();

	return slot >= 0 && (unsigned)slot < trap.n ? &trap.cells[slot] : NULL;
}

static void asked(int signum, siginfo_t *info, void *context)
{
	struct cell *c = own_cell();
	int saved = errno;

	(void)signum;
	if (!c || trap.busy)
		return;
	trap.busy = 1;
	if (sigsetjmp(trap.back, 1) == 0)
		record(c, 0, info, context);
	trap.busy = 0;
	atomic_store_explicit(&c->answered, atomic_load_explicit(&c->asked, memory_order_relaxed), memory_order_release);
	errno = saved;
}

/* Dies of it in the end, as without us. */
static void fault(int signum, siginfo_t *info, void *context)
{
	struct cell *c = own_cell();

	if (trap.busy)
		siglongjmp(trap.back, 1); /* what was asked for is half changed just now */
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		(void)signal(faults[i], SIG_DFL);
	if (c)
		record(c, signum, info, context);
	(void)raise(signum);
}

void trap_arm(bool of_itself)
{
	struct sigaction sa = { .sa_sigaction = asked, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct cell *c = own_cell();
	stack_t stack = { .ss_size = STACK_BYTES };
	void *pc[2];

	if (!c)
		return;
	(void)backtrace(pc, 2); /* loads what it needs, which a handler must not */
	c->rec.pid = 0;
	sigemptyset(&sa.sa_mask);
	(void)sigaction(TRAP_SIGNAL, &sa, NULL);
	if (!of_itself)
		return;
	if (!trap.stack)
		trap.stack = malloc(STACK_BYTES); /* a stack that overflowed has no room for a handler */
	stack.ss_sp = trap.stack;
	if (!trap.stack || sigaltstack(&stack, NULL) < 0)
		return;
	sa.sa_sigaction = fault;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		(void)sigaction(faults[i], &sa, NULL);
}

int trap_ask(unsigned slot, int pid)
{
	if (slot >= trap.n || pid <= 0)
		return -ESRCH;
	atomic_fetch_add_explicit(&trap.cells[slot].asked, 1, memory_order_relaxed);
	/* to the main thread: others have no slot */
	return syscall(SYS_tgkill, pid, pid, TRAP_SIGNAL) < 0 ? -ESRCH : 0;
}

bool trap_answered(unsigned slot)
{
	return slot < trap.n && atomic_load_explicit(&trap.cells[slot].answered, memory_order_acquire) ==
					atomic_load_explicit(&trap.cells[slot].asked, memory_order_relaxed);
}

const struct trap_record *trap_of(unsigned slot, int pid)
{
	return slot < trap.n && pid > 0 && trap.cells[slot].rec.pid == pid ? &trap.cells[slot].rec : NULL;
}

/* ---- telling ---- */

static size_t read_file(int pid, const char *name, char *out, size_t cap)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, out, cap - 1);
	(void)close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

void trap_kernel_state(int pid, struct strbuf *sb)
{
	static const struct {
		char letter;
		const char *name;
	} states[] = { { 'R', "running" }, { 'S', "sleeping" }, { 'D', "waiting for a device" }, { 'T', "stopped" }, { 't', "traced" }, { 'Z', "dead" } };
	char text[512];
	const char *p;

	/* "pid (name) S ...": the name may hold anything */
	if (read_file(pid, "stat", text, sizeof(text)) == 0 || !(p = strrchr(text, ')')) || p[1] != ' ') {
		strbuf_add_lit(sb, "state unknown");
		return;
	}
	strbuf_printf(sb, "state %c", p[2]);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (states[i].letter == p[2])
			strbuf_printf(sb, " (%s)", states[i].name);
	}
	if (read_file(pid, "wchan", text, sizeof(text)) > 1)
		strbuf_printf(sb, ", in %s", text);
}

void trap_locks(unsigned slot, void (*each)(void *arg, struct str text), void *arg)
{
	struct shm_held_lock held[SHM_LOCKS_HELD_MAX];
	unsigned n = shm_slot_locks(slot, held, ARRAY_LEN(held));
	char text[96];

	for (unsigned i = 0; i < n; i++) {
		struct strbuf sb;

		strbuf_init_fixed(&sb, text, sizeof(text));
		strbuf_printf(&sb, "%s at 0x%llx", shm_rank_name(held[i].rank), (unsigned long long)held[i].offset);
		if (held[i].owner < 0)
			strbuf_add_lit(&sb, ", about to take it");
		else if (held[i].owner != (int)slot)
			strbuf_printf(&sb, ", waits: slot %d has it", held[i].owner);
		each(arg, strbuf_str(&sb));
	}
}

static void add_lock(void *arg, struct str text)
{
	struct strbuf *sb = arg;

	if (sb->n > 0)
		strbuf_add_lit(sb, "; ");
	strbuf_add(sb, text);
}

void trap_log(unsigned slot, const struct trap_record *rec, const char *who)
{
	char text[3500];
	struct strbuf sb;

	strbuf_init_fixed(&sb, text, sizeof(text));
	for (unsigned i = 0; i < rec->n_frames && strbuf_err(&sb) == 0; i++) {
		strbuf_add_lit(&sb, i ? " < " : "");
		trap_symbol(rec->pc[i], &sb);
	}
	log_crit("process %d (%s), slot %u: stack %.*s", rec->pid, who, slot, (int)sb.n, text);
	if (rec->where[0])
		log_crit("process %d (%s), slot %u: script %s", rec->pid, who, slot, rec->where);
	strbuf_init_fixed(&sb, text, sizeof(text));
	trap_locks(slot, add_lock, &sb);
	log_crit("process %d (%s), slot %u: locks %.*s", rec->pid, who, slot, sb.n ? (int)sb.n : 4, sb.n ? text : "none");
	if (rec->msg_n > 0)
		log_crit("process %d (%s), slot %u: message of %u bytes from %s: %.*s", rec->pid, who, slot, rec->msg_n, rec->from,
			 (int)(rec->msg_n < LOG_MSG_BYTES ? rec->msg_n : LOG_MSG_BYTES), rec->msg);
}
