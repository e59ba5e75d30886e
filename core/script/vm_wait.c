/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that are run again: the context is parked and woken in the next turn of the loop, or when the name on the right of an address
 * condition has been looked up. The machine then comes to the same instruction once more, and the cache has the answer.
 */
#include "core/base/log.h"
#include "core/base/regex.h"
#include "core/event/loop.h"
#include "core/net/resolve.h"
#include "core/script/script_priv.h"
#include "core/script/vm.h"

#define PARK_MS 10000u

static void wake(void *arg)
{
	ctx_wake((uint64_t)(uintptr_t)arg, 0);
}

static void wake_resolved(void *arg, int err, const struct resolve_answer *answer)
{
	(void)err; /* the instruction asks the cache again, which knows failures too */
	(void)answer;
	wake(arg);
}

static void wake_next_turn(const struct ctx *ctx, uint64_t ticket)
{
	struct str file = STR_NULL, route;
	unsigned line = 0;

	if (loop_defer(loop_self(), wake, (void *)(uintptr_t)ticket) == 0)
		return;
	(void)vm_position(ctx, &file, &line, &route);
	log_error("%.*s:%u: out of memory: goes on after %u ms", STR_FMT(file), line, PARK_MS);
}

bool vm_park_turn(struct ctx *ctx)
{
	uint64_t ticket = ctx_may_wait(ctx) ? ctx_park(ctx, PARK_MS, 0) : 0;

	if (ticket == 0)
		return false;
	wake_next_turn(ctx, ticket);
	return true;
}

int cond_addr_is(struct ctx *ctx, const struct net_addr *a, struct str text, bool as_regex, bool may_wait)
{
	char buf[NET_ADDR_TEXT_MAX];
	struct resolve_query q = { .host = text, .port = 1, .proto = SIP_PROTO_UDP };
	struct resolve_answer answer;
	const struct regex *re;
	struct ip_const ip;
	struct diag why;
	uint64_t ticket;
	unsigned i;
	int err;

	if (text.n == 0)
		return COND_NO;
	if (cond_addr_known_text(text, &ip))
		return net_addr_in(a, &ip.net, ip.bits) ? COND_YES : COND_NO;
	if (as_regex) {
		err = regex_cached(text, REGEX_ICASE, &re, &why);
		if (err < 0)
			return err;
		return regex_match(re, str_of(buf, net_addr_ip_text(a, false, buf)), 0, NULL);
	}
	err = resolve_now(&q, &answer);
	if (err == -EAGAIN && may_wait) {
		ticket = ctx_park(ctx, PARK_MS, 0);
		if (ticket == 0)
			return COND_NO;
		if (resolve_ask(&q, wake_resolved, (void *)(uintptr_t)ticket) < 0)
			wake_next_turn(ctx, ticket);
		return COND_WAIT;
	}
	for (i = 0; err == 0 && i < answer.n; i++)
		if (net_addr_ip_equal(a, &answer.target[i].addr))
			return COND_YES;
	return COND_NO;
}
