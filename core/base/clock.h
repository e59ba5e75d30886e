/* SPDX-License-Identifier: BSD-2-Clause */
/* Time. The loop updates the cached value once per wake-up; tests set it. */
#ifndef RF_BASE_CLOCK_H
#define RF_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t clock_ms(void);      /* cached monotonic */
uint64_t clock_update(void);  /* reads the clock, returns clock_ms() */
uint64_t clock_now_us(void);  /* monotonic, not cached */
int64_t clock_wall_s(void);   /* cached, seconds since the epoch; updated by clock_update() */
struct timespec clock_wall(void); /* not cached */
/* Tests: freezes both clocks at these values; 0, 0 lets them run again. */
void clock_fake(uint64_t mono_ms, int64_t wall_s);

#endif
