/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the one mapping: an anonymous file of the size of the ceiling, mapped shared at a fixed
 * address. The file is sparse, so a large ceiling costs nothing until pages are touched, and what a
 * process holds (PSS) is what is used. Directory of root objects and statistics are here too; pages
 * and objects are handed out by pages.c and slab.c.
 */
#include "shm/arena.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/shm_priv.h"

bool shm_arena_mapped;
static int arena_fd = -1; /* kept for the count of committed bytes */

#define CEILING_MIN ((uint64_t)16 << 20)

/* A child starts without the slot of its parent: two processes must not share a cache. */
static void forget_slot(void)
{
	shm_self = NULL;
}

static int format(uint64_t ceiling, uint64_t map_bytes, uint32_t first)
{
	struct shm_arena *a = SHM_ARENA;
	ssize_t n;

	do
		n = getrandom(a->secret, sizeof(a->secret), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(a->secret))
		return -EIO;
	a->layout = SHM_LAYOUT_VERSION;
	a->ceiling_bytes = ceiling;
	a->map_bytes = map_bytes;
	shm_pages_init(first, (uint32_t)(map_bytes >> SHM_PAGE_SHIFT));
	a->magic = SHM_MAGIC;
	return 0;
}

int shm_arena_create(const struct shm_opts *opts)
{
	static bool fork_hook;
	uint64_t map_bytes, fixed;
	void *p;
	int err;

	if (shm_arena_mapped)
		return -EEXIST;
	if (opts->ceiling_bytes < CEILING_MIN || opts->ceiling_bytes > SHM_REACH_BYTES)
		return -EINVAL;
	/* The tables come on top of the ceiling, as far as references reach. */
	fixed = sizeof(struct shm_arena) + (opts->ceiling_bytes >> SHM_PAGE_SHIFT) * sizeof(struct shm_desc);
	fixed += 1024 * sizeof(struct shm_desc); /* pages of the tables themselves have descriptors too */
	fixed = (fixed + SHM_PAGE_BYTES - 1) & ~(uint64_t)(SHM_PAGE_BYTES - 1);
	map_bytes = ((opts->ceiling_bytes + SHM_PAGE_BYTES - 1) & ~(uint64_t)(SHM_PAGE_BYTES - 1)) + fixed;
	if (map_bytes > SHM_REACH_BYTES)
		map_bytes = SHM_REACH_BYTES;

	if (!fork_hook) {
		if (pthread_atfork(NULL, NULL, forget_slot) != 0)
			return -ENOMEM;
		fork_hook = true;
	}
	arena_fd = memfd_create("ringfort", MFD_CLOEXEC);
	if (arena_fd < 0)
		return -errno;
	if (ftruncate(arena_fd, (off_t)map_bytes) < 0) {
		err = -errno;
		goto fail;
	}
	p = mmap((void *)SHM_BASE, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE,
		 arena_fd, 0);
	if (p == MAP_FAILED) {
		err = errno == EEXIST ? -EEXIST : -ENOMEM;
		goto fail;
	}
	if (p != (void *)SHM_BASE) { /* a kernel that does not know MAP_FIXED_NOREPLACE */
		munmap(p, map_bytes);
		err = -ENOMEM;
		goto fail;
	}
	/* A core dump of a worker need not hold everybody's registrations. */
	(void)madvise(p, map_bytes, MADV_DONTDUMP);
	shm_classes_init();
	err = format(opts->ceiling_bytes, map_bytes, (uint32_t)(fixed >> SHM_PAGE_SHIFT));
	if (err < 0) {
		munmap(p, map_bytes);
		goto fail;
	}
	shm_arena_mapped = true;
	return 0;
fail:
	close(arena_fd);
	arena_fd = -1;
	return err;
}

void shm_arena_destroy(void)
{
	if (!shm_arena_mapped)
		return;
	shm_arena_mapped = false;
	shm_self = NULL;
	munmap((void *)SHM_BASE, SHM_ARENA->map_bytes);
	close(arena_fd);
	arena_fd = -1;
}

const uint8_t *shm_arena_secret(void)
{
	return SHM_ARENA->secret;
}

int shm_root_set(const char *name, shm_ref ref)
{
	size_t len = strlen(name);
	struct shm_root *r;

	assert(len > 0 && len < sizeof(r->name));
	if (shm_root_find(name) != SHM_NONE)
		return -EEXIST;
	for (unsigned i = 0; i < SHM_ROOTS_MAX; i++) {
		uint32_t empty = 0;

		r = &SHM_ARENA->root[i];
		if (!atomic_compare_exchange_strong(&r->state, &empty, 1))
			continue;
		memcpy(r->name, name, len + 1);
		atomic_store(&r->ref, ref);
		atomic_store_explicit(&r->state, 2, memory_order_release);
		return 0;
	}
	return -ENOSPC;
}

shm_ref shm_root_find(const char *name)
{
	for (unsigned i = 0; i < SHM_ROOTS_MAX; i++) {
		const struct shm_root *r = &SHM_ARENA->root[i];

		if (atomic_load_explicit(&r->state, memory_order_acquire) == 2 && strcmp(r->name, name) == 0)
			return atomic_load(&r->ref);
	}
	return SHM_NONE;
}

void shm_arena_committed(uint64_t *ret_bytes)
{
	struct stat st;

	*ret_bytes = fstat(arena_fd, &st) == 0 ? (uint64_t)st.st_blocks * 512u : 0;
}
