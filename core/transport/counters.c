/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of the transports. The names of group "tcp" are those that tools ask Kamailio for.
 */
#include "core/transport/transport_priv.h"

#include "shm/counter.h"

struct transport_counters tcnt = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};

static const struct {
	const char *group, *name;
	int *id;
} table[] = {
	{ "udp", "rx_datagrams", &tcnt.rx_datagrams },
	{ "udp", "rx_too_large", &tcnt.rx_too_large },
	{ "udp", "rx_short", &tcnt.rx_short },
	{ "udp", "rx_shed", &tcnt.rx_shed },
	{ "udp", "rx_proxied", &tcnt.rx_proxied },
	{ "udp", "rx_proxy_bad", &tcnt.rx_proxy_bad },
	{ "udp", "rx_proxy_full", &tcnt.rx_proxy_full },
	{ "udp", "tx_datagrams", &tcnt.tx_datagrams },
	{ "udp", "tx_dropped", &tcnt.tx_dropped },
	{ "udp", "tx_errors", &tcnt.tx_errors },
	{ "udp", "tx_retried", &tcnt.tx_retried },
	{ "tcp", "established", &tcnt.established },
	{ "tcp", "passive_open", &tcnt.passive_open },
	{ "tcp", "connect_success", &tcnt.connect_success },
	{ "tcp", "connect_failed", &tcnt.connect_failed },
	{ "tcp", "local_reject", &tcnt.local_reject },
	{ "tcp", "con_timeout", &tcnt.con_timeout },
	{ "tcp", "con_reset", &tcnt.con_reset },
	{ "tcp", "send_timeout", &tcnt.send_timeout },
	{ "tcp", "sendq_full", &tcnt.sendq_full },
	{ "tcp", "current_opened_connections", &tcnt.current_opened },
	{ "tcp", "current_write_queue_size", &tcnt.current_queue },
	{ "tcp", "bad_frames", &tcnt.bad_frames },
};

void transport_counters(void)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		*table[i].id = shm_counter_register(table[i].group, table[i].name);
	shm_counter_keep(tcnt.current_opened);
	shm_counter_keep(tcnt.current_queue);
}
