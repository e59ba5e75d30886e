/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time of this process. A message asks for the time many times and a millisecond is exact enough,
 * so the loop reads both clocks once per wake-up. The first question reads them when nobody has
 * yet.
 */
#include "core/base/clock.h"

#include <stdbool.h>

static uint64_t mono_cached_ms;
static int64_t wall_cached_s;
static bool fake;

static struct timespec read_clock(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(id, &ts); /* cannot fail for these clocks */
	return ts;
}

uint64_t clock_update(void)
{
	struct timespec ts;

	if (fake)
		return mono_cached_ms;
	ts = read_clock(CLOCK_MONOTONIC);
	mono_cached_ms = (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
	ts = read_clock(CLOCK_REALTIME);
	wall_cached_s = (int64_t)ts.tv_sec;
	return mono_cached_ms;
}

uint64_t clock_ms(void)
{
	return mono_cached_ms || fake ? mono_cached_ms : clock_update();
}

uint64_t clock_now_us(void)
{
	struct timespec ts;

	if (fake)
		return mono_cached_ms * 1000u;
	ts = read_clock(CLOCK_MONOTONIC);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

int64_t clock_wall_s(void)
{
	if (!mono_cached_ms && !fake)
		(void)clock_update();
	return wall_cached_s;
}

struct timespec clock_wall(void)
{
	if (fake)
		return (struct timespec){ .tv_sec = (time_t)wall_cached_s };
	return read_clock(CLOCK_REALTIME);
}

void clock_fake(uint64_t mono_ms, int64_t wall_s)
{
	fake = mono_ms != 0 || wall_s != 0;
	mono_cached_ms = mono_ms;
	wall_cached_s = wall_s;
	if (!fake)
		(void)clock_update();
}
