/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many descriptors of one kind, watched by the loop as one: for connections, of which there may be a hundred thousand.
 * Adding one costs one system call and no memory.
 */
#ifndef RF_EVENT_GROUP_H
#define RF_EVENT_GROUP_H

#include "core/event/loop.h"

struct loop_group;

struct loop_member { /* embedded in the caller's object; written by group.c */
	int fd;
	int events; /* what is watched; 0: nothing, and not in the group */
};

/* events: bits of loop_events; errors and hang-ups show as readiness for all that is watched. */
typedef void loop_member_fn(struct loop_member *m, int events);

/* Returns 0; -ENOMEM, -EMFILE. */
MUST_CHECK int loop_group_new(struct loop *loop, loop_member_fn *fn, struct loop_group **ret_group);
/* NULL accepted; before loop_free(). Members are not touched. */
void loop_group_free(struct loop_group *g);

/* Watches fd, nonblocking already. Returns 0 or what epoll_ctl(2) says. */
MUST_CHECK int loop_group_add(struct loop_group *g, struct loop_member *m, int fd, int events);
MUST_CHECK int loop_group_set(struct loop_group *g, struct loop_member *m, int events);
/*
 * Out at once: fn is not called for it any more. Allowed in any callback; the descriptor may be closed right after, but the
 * object that m is in must live until the end of the turn (free it by loop_defer()).
 */
void loop_group_del(struct loop_group *g, struct loop_member *m);

#endif
