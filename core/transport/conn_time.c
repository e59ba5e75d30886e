/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines of streams have one second of resolution and sit in a private wheel of lists, one entry per connection, at the earliest of
 * its deadlines. Activity only moves the deadline in the struct; the entry notices when its slot comes up. Each tick handles a
 * bounded number.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/transport/conn_priv.h"
#include "shm/counter.h"

#define TICK_BUDGET 1000u /* connections looked at per tick */

static uint64_t deadline(const struct conn *c)
{
	uint64_t t = c->expires_ms;

	if (c->read_by_ms < t)
		t = c->read_by_ms;
	return c->write_by_ms < t ? c->write_by_ms : t;
}

void conn_wheel_unlink(struct conn *c)
{
	if (!c->wheel_at)
		return;
	*c->wheel_at = c->wheel_next;
	if (c->wheel_next)
		c->wheel_next->wheel_at = c->wheel_at;
	c->wheel_at = NULL;
}

/* At its deadline, or at the far end of the wheel, from where it is put on again. */
void conn_wheel_link(struct conn *c)
{
	uint64_t s = deadline(c) / 1000 + 1;
	struct conn **at;

	if (s < conns.wheel_s)
		s = conns.wheel_s;
	if (s > conns.wheel_s + CONN_WHEEL_SLOTS - 2)
		s = conns.wheel_s + CONN_WHEEL_SLOTS - 2;
	conn_wheel_unlink(c);
	at = &conns.wheel[s % CONN_WHEEL_SLOTS];
	c->wheel_next = *at;
	if (*at)
		(*at)->wheel_at = &c->wheel_next;
	c->wheel_at = at;
	*at = c;
}

/* Deadlines became earlier than the entry in the wheel may say. */
void conn_hurry(struct conn *c)
{
	if (!c->dead)
		conn_wheel_link(c);
}

static void deadline_passed(struct conn *c, uint64_t now)
{
	if (c->write_by_ms <= now) {
		shm_counter_add(
		    c->state == CONN_CONNECTING ? tcnt.connect_failed : tcnt.send_timeout, 1);
		conn_end(c, -ETIMEDOUT);
	} else if (c->read_by_ms <= now || c->expires_ms <= now) {
		if (c->state != CONN_CLOSING)
			shm_counter_add(tcnt.con_timeout, 1);
		conn_end(c, -ETIMEDOUT);
	} else {
		if (c->idx_expires_ms != c->expires_ms) {
			c->idx_expires_ms = c->expires_ms;
			conn_index_expires(c->id, c->expires_ms);
		}
		conn_wheel_link(c);
	}
}

void conn_look_at_wheel(void *arg)
{
	uint64_t now = clock_ms();
	unsigned budget = TICK_BUDGET;

	(void)arg;
	conn_spare_fd();
	greet_tick(now);
	while (conns.wheel_s <= now / 1000 && budget > 0) {
		struct conn **at = &conns.wheel[conns.wheel_s % CONN_WHEEL_SLOTS];

		while (*at && budget > 0) {
			struct conn *c = *at;

			budget--;
			conn_wheel_unlink(c);
			conns.wheel_s++; /* what is put on again goes to a later second */
			deadline_passed(c, now);
			conns.wheel_s--;
		}
		if (!*at)
			conns.wheel_s++;
	}
}
