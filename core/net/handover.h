/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that outlive exec(): a program that executes itself again hands its listening sockets to itself. What was
 * queued in them is not lost, and ports that only root may bind stay ours after root was given up.
 */
#ifndef RF_NET_HANDOVER_H
#define RF_NET_HANDOVER_H

#include "core/net/listener.h"

/* Leaves every open socket of every listener open over exec() and writes their numbers into the environment
 * (RINGFORT_SOCKETS). Context: supervisor, right before exec(), all children ended. */
void net_handover_give(void);
/* Closes every descriptor from 3 on that was not handed over. Context: the first thing that a program does. */
void net_handover_begin(void);
/*
 * Finds among what was handed over the n sockets of that listener, in the order in which they were bound: same
 * protocol, same address, listening if it is a stream, sharing its port. ret_fds: n descriptors, close-on-exec again.
 * Returns whether all n are there; if not, none is taken.
 */
MUST_CHECK bool net_handover_take(const struct net_listener *l, unsigned n, int *ret_fds);
/* Closes what nobody took and forgets the rest. Context: when all listeners are open. */
void net_handover_end(void);

#endif
