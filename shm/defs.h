/* SPDX-License-Identifier: BSD-2-Clause */
/* Attributes and small helpers every other header may use. Needs libc only. */
#ifndef RF_SHM_DEFS_H
#define RF_SHM_DEFS_H

#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define HOT __attribute__((hot))
#define COLD __attribute__((cold))
#define ALWAYS_INLINE inline __attribute__((always_inline)) /* where arguments are constants and must be compiled as such */
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, field) ((type *)(void *)((char *)(ptr) - offsetof(type, field)))

/*
 * A named place where a process may be made to die, between two stores of a change that takes
 * several. Costs nothing unless the build defines RF_CRASH_POINTS (tests do).
 */
#ifdef RF_CRASH_POINTS
void shm_crash_point(const char *name);
#define CRASH_POINT(name) shm_crash_point(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
