/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What bytes and messages pass before their route, when the script asks for it: event_route[core:msg-received] for what a socket gave,
 * before anybody looks at it (received_route_mode, bit 2), and one route at a time of all messages with the same Call-ID
 * (route_locks_size). Both are off in most servers and then cost a comparison.
 *
 * The locks are those of the script (core/transport/ctx_lock.h): nobody waits in a worker, the message does.
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/base/hashfn.h"
#include "core/base/log.h"
#include "core/transport/ctx_lock.h"
#include "core/transport/rx.h"
#include "shm/arena.h"
#include "shm/recover.h"
#include "shm/slab.h"

enum verdict { WAITS, TAKEN, DROPPED };

static struct {
	ctx_lock_word *lock; /* shared: n_locks words */
	unsigned n_locks;
	enum verdict verdict; /* of the bytes at hand */
} self;

/* ---- bytes ---- */

static void raw_done(struct ctx *ctx, int rc)
{
	(void)rc; /* only drop counts here: language.md, section 6 */
	self.verdict = ctx->mflags & CTX_F_DROP ? DROPPED : TAKEN;
	ctx_free(ctx);
}

/* The route sees a copy, so it may wait; but the bytes do not, and what it says then comes too late. */
static bool raw_taken(struct str bytes, const struct rx_info *info)
{
	const struct script *s = vm_script();
	int route = s ? script_route_find(s, CTX_EVENT, STR_LIT("core:msg-received")) : -1;
	struct ctx *ctx = route >= 0 ? ctx_new() : NULL;

	if (!ctx)
		return true;
	ctx->rx = *info;
	ctx->msg.pool = ctx->pool; /* nothing is parsed: variables about the message are null */
	ctx->msg.buf = str_dup(ctx->pool, bytes);
	ctx->mflags |= CTX_F_NO_REPLY | CTX_F_AT_ONCE;
	self.verdict = WAITS;
	route_start(ctx, route, CTX_EVENT, raw_done);
	if (self.verdict == WAITS)
		log_warn("event_route[core:msg-received] waits: bytes go on without it");
	return self.verdict != DROPPED;
}

/* ---- one route at a time ---- */

static void locked(struct ctx *ctx, int rc)
{
	const struct ctx *was = route_hand(ctx);

	(void)rc; /* after too long a wait, which is logged, it goes on all the same */
	route_dispatch(ctx);
	(void)route_hand(was);
}

void route_gate_pass(struct ctx *ctx)
{
	struct str callid;

	if (LIKELY(self.n_locks == 0)) {
		route_dispatch(ctx);
		return;
	}
	callid = sip_msg_call_id(&ctx->msg);
	ctx->resume = locked;
	if (ctx_lock(ctx, &self.lock[hashfn32(callid) % self.n_locks], STR_LIT("route_locks_size")) != CTX_LOCK_WAITS)
		route_dispatch(ctx);
}

static int recover(unsigned slot)
{
	ctx_lock_recover(self.lock, self.n_locks, slot);
	return 0;
}

/* ---- start ---- */

void route_gate_configure(void)
{
	rx_raw_handler(route_conf.received_route_mode & 2 ? raw_taken : NULL);
}

int route_gate_init(void)
{
	unsigned n = route_conf.n_locks;

	if (n == 0)
		return 0;
	self.lock = shm_alloc(n * sizeof(*self.lock));
	if (!self.lock)
		return log_fail(-ENOSPC, "route_locks_size: %u locks", n);
	for (unsigned i = 0; i < n; i++)
		self.lock[i] = 0;
	shm_publish(self.lock);
	self.n_locks = n;
	return shm_recover_register("route.locks", recover);
}
