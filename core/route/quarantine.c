/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table has one writer at a time: the janitor that tells of a death (there is one), and rpcd only frees. An entry is filled first and
 * its state stored last, so a worker sees it whole or not at all. It is found by a keyed hash of all bytes: nobody outside can make a
 * message that is refused in place of another. The bytes are kept here and in a file, so that they can be sent again to a fixed server.
 */
#include "core/route/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/proc/proc.h"
#include "core/proc/trap.h"
#include "core/rpc/rpc.h"

enum state { FREE, SUSPECT, REFUSED };

struct entry {
	_Atomic uint32_t state; /* enum state */
	uint32_t id, n_deaths, n_bytes;
	uint64_t hash;
	int64_t first_s, last_s;
	_Atomic uint64_t n_refused; /* written: workers */
	char from[96], where[384], how[96], file[256];
	char bytes[TRAP_MSG_MAX];
};

struct table {
	_Atomic uint32_t n_refused_entries; /* 0: nobody need look */
	uint32_t last_id;
	struct entry entry[QUARANTINE_MAX];
};

static struct table *table;

static uint32_t state_of(const struct entry *e)
{
	return atomic_load_explicit(&e->state, memory_order_acquire);
}

static void count_refused(void)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < QUARANTINE_MAX; i++)
		n += state_of(&table->entry[i]) == REFUSED;
	atomic_store(&table->n_refused_entries, n);
}

bool quarantine_refuses(struct str bytes)
{
	uint64_t hash;

	if (LIKELY(!table || atomic_load_explicit(&table->n_refused_entries, memory_order_relaxed) == 0))
		return false;
	hash = hashfn64(bytes.s, bytes.n);
	for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
		struct entry *e = &table->entry[i];

		if (state_of(e) != REFUSED || e->hash != hash || e->n_bytes != bytes.n)
			continue;
		atomic_fetch_add_explicit(&e->n_refused, 1, memory_order_relaxed);
		log_warn("message %u of the quarantine came again: dropped", e->id);
		return true;
	}
	return false;
}

/* ---- after a death: in the janitor ---- */

static struct entry *find(uint64_t hash, size_t n)
{
	for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
		struct entry *e = &table->entry[i];

		if (state_of(e) != FREE && e->hash == hash && e->n_bytes == n)
			return e;
	}
	return NULL;
}

/* A free one, else the oldest suspect, else the oldest of all. */
static struct entry *room(void)
{
	struct entry *best = NULL;

	for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
		struct entry *e = &table->entry[i];

		if (state_of(e) == FREE)
			return e;
		if (!best || state_of(e) < state_of(best) || (state_of(e) == state_of(best) && e->last_s < best->last_s))
			best = e;
	}
	atomic_store(&best->state, FREE);
	return best;
}

static bool is_ours(const char *name)
{
	return str_ends(str_lit(name), STR_LIT(".sip"));
}

/* The run directory may be one that anybody may write to: what stands there under our name must be ours. */
static int dir_make(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(dir, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) ? 0 : -EPERM;
}

/* The oldest files go, until there is room for one more. Files of earlier runs count too. */
static void prune(const char *dir)
{
	for (unsigned tries = 0; tries < 1024; tries++) {
		char oldest[300] = "", path[600];
		struct timespec when = { 0 };
		unsigned n = 0;
		DIR *d = opendir(dir);
		struct dirent *de;
		struct stat st;

		if (!d)
			return;
		while ((de = readdir(d))) {
			if (!is_ours(de->d_name) || fstatat(dirfd(d), de->d_name, &st, 0) < 0)
				continue;
			if (n++ == 0 || st.st_mtim.tv_sec < when.tv_sec || (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec < when.tv_nsec)) {
				when = st.st_mtim;
				(void)snprintf(oldest, sizeof(oldest), "%s", de->d_name);
			}
		}
		(void)closedir(d);
		(void)snprintf(path, sizeof(path), "%s/%s", dir, oldest);
		if (n < QUARANTINE_MAX || unlink(path) < 0)
			return;
	}
}

/* Fills e->file; "" when it could not be saved, which is told. */
static void save(struct entry *e)
{
	struct str run = rpc_run_dir();
	char dir[200];
	int fd = -1, err;

	e->file[0] = '\0';
	(void)snprintf(dir, sizeof(dir), "%.*s", STR_FMT(run));
	(void)mkdir(dir, 0700); /* there, or the next line tells */
	(void)snprintf(dir, sizeof(dir), "%.*s/quarantine", STR_FMT(run));
	err = dir_make(dir);
	if (err == 0) {
		prune(dir);
		(void)snprintf(e->file, sizeof(e->file), "%s/%016llx.sip", dir, (unsigned long long)e->hash);
		fd = open(e->file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, e->bytes, e->n_bytes) != (ssize_t)e->n_bytes)
			err = errno ? -errno : -EIO;
	}
	if (fd >= 0)
		(void)close(fd);
	if (err < 0) {
		(void)log_fail(err, "quarantine: message %u cannot be saved in %s", e->id, dir);
		if (e->file[0])
			(void)unlink(e->file);
		e->file[0] = '\0';
	}
}

static struct str first_line(const struct entry *e)
{
	struct str s = str_of(e->bytes, e->n_bytes);
	ptrdiff_t end = str_find(s, STR_LIT("\r\n"));

	return str_sub(s, 0, end >= 0 && end < 200 ? (size_t)end : s.n < 200 ? s.n : 200);
}

static void died(const struct proc_death *d)
{
	const struct trap_record *rec = d->record;
	struct entry *e;
	uint64_t hash;

	if (!table || !rec || rec->msg_n == 0)
		return;
	hash = hashfn64(rec->msg, rec->msg_n);
	e = find(hash, rec->msg_n);
	if (!e) {
		e = room();
		e->id = ++table->last_id;
		e->hash = hash;
		e->n_bytes = rec->msg_n;
		e->n_deaths = 0;
		atomic_store(&e->n_refused, 0);
		e->first_s = clock_wall_s();
		e->file[0] = '\0';
		memcpy(e->bytes, rec->msg, rec->msg_n);
	}
	e->n_deaths++;
	e->last_s = clock_wall_s();
	memcpy(e->from, rec->from, sizeof(e->from));
	memcpy(e->where, rec->where, sizeof(e->where));
	if (d->by_watchdog)
		(void)snprintf(e->how, sizeof(e->how), "made no progress");
	else
		(void)snprintf(e->how, sizeof(e->how), "signal %d (%s)", d->signal, strsignal(d->signal));
	if (e->n_deaths < 2) {
		atomic_store_explicit(&e->state, SUSPECT, memory_order_release);
		count_refused();
		return;
	}
	if (!e->file[0])
		save(e);
	atomic_store_explicit(&e->state, REFUSED, memory_order_release);
	count_refused();
	log_write(L_ALERT, "message %u has ended %u processes (%s) and is refused from now on: '%.*s' from %s, saved as %s; RPC quarantine.*", e->id,
		  e->n_deaths, e->how, STR_FMT(first_line(e)), e->from, e->file[0] ? e->file : "nothing");
}

int quarantine_init(void)
{
	void *p = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	table = p;
	proc_on_death(died);
	return 0;
}

/* ---- for RPC ---- */

int quarantine_at(unsigned i, struct quarantine_info *ret)
{
	const struct entry *e;

	if (!table || i >= QUARANTINE_MAX || state_of(&table->entry[i]) == FREE)
		return -ENOENT;
	e = &table->entry[i];
	*ret = (struct quarantine_info){ .id = e->id, .refused = state_of(e) == REFUSED, .n_deaths = e->n_deaths, .first_s = e->first_s,
					 .last_s = e->last_s, .n_refused = atomic_load(&e->n_refused), .from = e->from, .where = e->where, .how = e->how,
					 .file = e->file, .bytes = str_of(e->bytes, e->n_bytes) };
	return 0;
}

unsigned quarantine_remove(uint32_t id)
{
	unsigned n = 0;

	for (unsigned i = 0; table && i < QUARANTINE_MAX; i++) {
		struct entry *e = &table->entry[i];

		if (state_of(e) == FREE || (id && e->id != id))
			continue;
		atomic_store(&e->state, FREE);
		n++;
	}
	if (table)
		count_refused();
	return n;
}
