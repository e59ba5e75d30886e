/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loaded into the server by LD_PRELOAD: counts the calls of malloc, calloc, realloc and their kin per process, in a file that the
 * test has mapped as well (environment variable RF_ALLOC_COUNT). While the test says so, the callers are noted too, so that it can
 * name whoever allocates. glibc only: the real functions are reached by their internal names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS 256u
#define CALLERS 64u

struct row {
	uint32_t pid, n_callers;
	uint64_t n_calls;
	uint64_t caller[CALLERS];
};

struct shared {
	uint32_t noting, pad;
	struct row row[ROWS];
};

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t k, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static struct shared *shared;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("RF_ALLOC_COUNT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd >= 0 ? mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (p != MAP_FAILED)
		shared = p;
	if (fd >= 0)
		(void)close(fd);
}

static void count(const void *caller)
{
	struct row *r;
	uint32_t pid, none;

	if (!shared)
		return;
	pid = (uint32_t)getpid();
	for (unsigned i = 0; i < ROWS; i++) {
		r = &shared->row[(pid + i) % ROWS];
		none = 0;
		if (__atomic_load_n(&r->pid, __ATOMIC_RELAXED) == pid ||
		    __atomic_compare_exchange_n(&r->pid, &none, pid, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			break;
		r = NULL;
	}
	if (!r)
		return;
	__atomic_fetch_add(&r->n_calls, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&shared->noting, __ATOMIC_RELAXED)) {
		uint32_t k = __atomic_fetch_add(&r->n_callers, 1, __ATOMIC_RELAXED);

		if (k < CALLERS)
			r->caller[k] = (uint64_t)(uintptr_t)caller;
	}
}

void *malloc(size_t n)
{
	count(__builtin_return_address(0));
	return __libc_malloc(n);
}

void *calloc(size_t k, size_t n)
{
	count(__builtin_return_address(0));
	return __libc_calloc(k, n);
}

void *realloc(void *p, size_t n)
{
	count(__builtin_return_address(0));
	return __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t k, size_t n)
{
	size_t bytes;

	count(__builtin_return_address(0));
	if (__builtin_mul_overflow(k, n, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(p, bytes);
}

void *aligned_alloc(size_t align, size_t n)
{
	count(__builtin_return_address(0));
	return __libc_memalign(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
	void *p;

	count(__builtin_return_address(0));
	p = __libc_memalign(align, n);
	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}
