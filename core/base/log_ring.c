/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One writer and one reader per ring, so positions are all the synchronisation there is: the writer copies a line and then moves
 * `head`, the reader writes it out and then moves `tail`. A writer that dies in between leaves nothing that anybody sees; a reader
 * that dies may write its last line twice.
 *
 * The reader sleeps on an eventfd which a writer rings only after the reader said that it sleeps: a burst of lines costs one system
 * call, and a line that nobody says costs none.
 */
#include "core/base/log_ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log_priv.h"

struct entry { /* in the ring, followed by the texts in this order */
	uint32_t n_bytes; /* with this header and padding to 8 */
	int32_t level, facility, pid;
	int64_t wall_s;
	uint32_t wall_ns, src_line;
	uint32_t n_prefix, n_callid, n_file, n_func, n_text, n_level_name;
};

struct ring {
	_Alignas(64) _Atomic uint64_t head; /* written: the slot's process */
	_Atomic uint64_t n_lines, n_dropped, n_held;
	_Alignas(64) _Atomic uint64_t tail; /* written: the reader */
	_Atomic uint64_t n_told;            /* of n_dropped */
	_Alignas(64) char bytes[LOG_RING_BYTES];
};

struct shared {
	_Atomic uint32_t sleeping; /* reader: 1; who rings: 0 */
	_Alignas(64) struct ring ring[];
};

static struct {
	struct shared *shared;
	size_t map_bytes;
	unsigned n;
	int fd;
	bool use;
	char copy[sizeof(struct entry) + 5u * LOG_TEXT_MAX]; /* reader: one entry in one piece */
} rings = { .fd = -1 };

int log_rings_new(unsigned n_slots)
{
	size_t bytes = sizeof(struct shared) + n_slots * sizeof(struct ring);
	void *p;
	int fd;

	if (rings.shared)
		return -EEXIST;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		(void)close(fd);
		return -ENOMEM;
	}
	rings.shared = p;
	rings.map_bytes = bytes;
	rings.n = n_slots;
	rings.fd = fd;
	return 0;
}

void log_rings_free(void)
{
	if (!rings.shared)
		return;
	(void)munmap(rings.shared, rings.map_bytes);
	(void)close(rings.fd);
	rings.shared = NULL;
	rings.fd = -1;
	rings.use = false;
}

void log_rings_use(bool use)
{
	rings.use = use && rings.shared;
}

int log_rings_fd(void)
{
	return rings.fd;
}

/* ---- writing ---- */

static void put_bytes(struct ring *r, uint64_t at, const void *p, size_t n)
{
	size_t off = (size_t)(at % LOG_RING_BYTES), first = LOG_RING_BYTES - off;

	if (n == 0)
		return;
	if (first > n)
		first = n;
	memcpy(r->bytes + off, p, first);
	memcpy(r->bytes, (const char *)p + first, n - first);
}

static void wake(void)
{
	uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&rings.shared->sleeping, memory_order_relaxed) && atomic_exchange(&rings.shared->sleeping, 0) &&
	    write(rings.fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the reader wakes in any case */
}

bool log_ring_put(unsigned slot, const struct log_line *l)
{
	struct ring *r;
	struct entry e;
	uint64_t head, at;
	size_t n;

	if (!rings.use || slot >= rings.n)
		return false;
	r = &rings.shared->ring[slot];
	head = atomic_load_explicit(&r->head, memory_order_relaxed);
	n = sizeof(e) + l->prefix.n + l->callid.n + l->file.n + l->func.n + l->text.n + l->level_name.n;
	n = (n + 7u) & ~(size_t)7u;
	if (n > LOG_RING_BYTES - (head - atomic_load_explicit(&r->tail, memory_order_acquire))) {
		atomic_fetch_add_explicit(&r->n_dropped, 1, memory_order_relaxed);
		return true;
	}
	e = (struct entry){ .n_bytes = (uint32_t)n, .level = l->level, .facility = l->facility, .pid = l->pid,
			    .wall_s = l->wall.tv_sec, .wall_ns = (uint32_t)l->wall.tv_nsec, .src_line = l->src_line,
			    .n_prefix = (uint32_t)l->prefix.n, .n_callid = (uint32_t)l->callid.n, .n_file = (uint32_t)l->file.n,
			    .n_func = (uint32_t)l->func.n, .n_text = (uint32_t)l->text.n,
			    .n_level_name = (uint32_t)l->level_name.n };
	put_bytes(r, head, &e, sizeof(e));
	at = head + sizeof(e);
	for (unsigned i = 0; i < 6; i++) {
		const struct str *s = (const struct str *[]){ &l->prefix, &l->callid, &l->file, &l->func, &l->text, &l->level_name }[i];

		put_bytes(r, at, s->s, s->n);
		at += s->n;
	}
	atomic_store_explicit(&r->n_lines, r->n_lines + 1, memory_order_relaxed);
	atomic_store_explicit(&r->head, head + n, memory_order_release);
	wake();
	return true;
}

bool log_ring_held(unsigned slot)
{
	if (!rings.use || slot >= rings.n)
		return false;
	atomic_fetch_add_explicit(&rings.shared->ring[slot].n_held, 1, memory_order_relaxed);
	return true;
}

void log_ring_stats(struct log_stats *s)
{
	for (unsigned i = 0; rings.shared && i < rings.n; i++) {
		s->n_lines += atomic_load_explicit(&rings.shared->ring[i].n_lines, memory_order_relaxed);
		s->n_dropped += atomic_load_explicit(&rings.shared->ring[i].n_dropped, memory_order_relaxed);
		s->n_held += atomic_load_explicit(&rings.shared->ring[i].n_held, memory_order_relaxed);
	}
}

/* ---- reading ---- */

static void get_bytes(const struct ring *r, uint64_t at, void *p, size_t n)
{
	size_t off = (size_t)(at % LOG_RING_BYTES), first = LOG_RING_BYTES - off;

	if (first > n)
		first = n;
	memcpy(p, r->bytes + off, first);
	memcpy((char *)p + first, r->bytes, n - first);
}

/* The ring whose next line is the oldest; -1 when all are empty. */
static int oldest(struct entry *ret_entry)
{
	int best = -1;

	for (unsigned i = 0; i < rings.n; i++) {
		struct ring *r = &rings.shared->ring[i];
		uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
		struct entry e;

		if (atomic_load_explicit(&r->head, memory_order_acquire) == tail)
			continue;
		get_bytes(r, tail, &e, sizeof(e));
		if (best >= 0 && (e.wall_s > ret_entry->wall_s || (e.wall_s == ret_entry->wall_s && e.wall_ns >= ret_entry->wall_ns)))
			continue;
		best = (int)i;
		*ret_entry = e;
	}
	return best;
}

static int write_entry(unsigned i, const struct entry *e)
{
	struct ring *r = &rings.shared->ring[i];
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	const char *p = rings.copy;
	struct log_line l = { .level = e->level, .facility = e->facility, .pid = e->pid, .slot = (int)i,
			      .wall = { .tv_sec = e->wall_s, .tv_nsec = e->wall_ns }, .src_line = e->src_line };
	const uint32_t n[] = { e->n_prefix, e->n_callid, e->n_file, e->n_func, e->n_text, e->n_level_name };
	struct str *const text[] = { &l.prefix, &l.callid, &l.file, &l.func, &l.text, &l.level_name };
	size_t left = e->n_bytes - sizeof(*e);
	int err;

	if (e->n_bytes < sizeof(*e) || left > sizeof(rings.copy) || e->n_bytes > atomic_load_explicit(&r->head, memory_order_acquire) - tail)
		goto damaged;
	get_bytes(r, tail + sizeof(*e), rings.copy, left);
	for (unsigned k = 0; k < ARRAY_LEN(n); k++) {
		if (n[k] > left)
			goto damaged;
		*text[k] = str_of(p, n[k]);
		p += n[k];
		left -= n[k];
	}
	err = log_sink_put(&l, true);
	if (err == -EAGAIN)
		return err;
	if (err < 0)
		atomic_fetch_add_explicit(&r->n_dropped, 1, memory_order_relaxed);
	atomic_store_explicit(&r->tail, tail + e->n_bytes, memory_order_release);
	return 0;
damaged: /* by a stray write of somebody who died of it: nothing that follows can be found */
	atomic_fetch_add_explicit(&r->n_dropped, 1, memory_order_relaxed);
	atomic_store_explicit(&r->tail, atomic_load_explicit(&r->head, memory_order_acquire), memory_order_release);
	return 0;
}

/* What was lost is told once there is room again, in the name of who said it. */
static int tell_lost(unsigned i)
{
	struct ring *r = &rings.shared->ring[i];
	uint64_t dropped = atomic_load_explicit(&r->n_dropped, memory_order_relaxed);
	uint64_t told = atomic_load_explicit(&r->n_told, memory_order_relaxed);
	struct log_line l = { .level = L_WARN, .facility = -1, .pid = getpid(), .slot = (int)i, .file = STR_LIT("log") };
	char text[128];
	int len;

	if (dropped == told || atomic_load_explicit(&r->head, memory_order_acquire) != atomic_load_explicit(&r->tail, memory_order_relaxed))
		return 0;
	l.wall = clock_wall();
	len = snprintf(text, sizeof(text), "%llu lines of slot %u are missing here: whoever takes the log, or its disk, was too slow",
		       (unsigned long long)(dropped - told), i);
	l.text = str_of(text, len < 0 ? 0 : (size_t)len);
	if (log_sink_put(&l, true) == -EAGAIN)
		return -EAGAIN;
	atomic_store_explicit(&r->n_told, dropped, memory_order_relaxed);
	return 1;
}

int log_rings_write(unsigned budget)
{
	struct entry e = { 0 };
	unsigned n = 0;
	int i;

	if (!rings.shared)
		return 0;
	if (log_sink_flush() < 0)
		return -EAGAIN;
	while (n < budget && (i = oldest(&e)) >= 0) {
		if (write_entry((unsigned)i, &e) == -EAGAIN)
			return -EAGAIN;
		n++;
	}
	for (unsigned k = 0; k < rings.n && n < budget; k++) {
		int err = tell_lost(k);

		if (err < 0)
			return err;
		n += (unsigned)err;
	}
	return log_sink_flush() < 0 ? -EAGAIN : (int)n;
}

void log_rings_woken(void)
{
	uint64_t count;

	if (read(rings.fd, &count, sizeof(count)) < 0) {
		/* nothing had rung */
	}
}

bool log_rings_sleep(void)
{
	atomic_store(&rings.shared->sleeping, 1);
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < rings.n; i++) {
		const struct ring *r = &rings.shared->ring[i];

		if (atomic_load_explicit(&r->head, memory_order_relaxed) != atomic_load_explicit(&r->tail, memory_order_relaxed))
			return false;
	}
	return true;
}

void log_rings_rest(void)
{
	rings.use = false;
	while (log_rings_write(1024) > 0)
		;
}
