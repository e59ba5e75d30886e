/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parameters dns and rev_dns: a request whose top Via has a name in its sent-by gets no `received` when that name leads to where the
 * request came from (RFC 3261, 18.2.1 adds it for every name). The question is asked before the script runs, and the request is parked
 * meanwhile, for a moment: an answer that does not come in time is as good as another address, and `received` is always right. Names
 * are looked for as a reply would (RFC 3263), since that is what the parameter spares.
 */
#include "core/route/route_priv.h"

#include <errno.h>

#include "core/net/hosts.h"
#include "core/net/resolve.h"

#define WAIT_MS 2000u /* four retransmissions of the client */
/* Of one worker. Questions outlive who asked them: names that nobody answers for must leave room to ask where requests go. */
#define WAITING_MAX 1000u

enum { OTHER = 0, SAME = 1 };

static unsigned waiting;

static uint64_t wait_begin(struct ctx *ctx, void (*then)(struct ctx *ctx, int verdict))
{
	uint64_t ticket = waiting < WAITING_MAX ? ctx_park(ctx, WAIT_MS, OTHER) : 0;

	if (ticket != 0) {
		ctx->resume = then;
		waiting++;
	}
	return ticket;
}

static void go(struct ctx *ctx, int verdict)
{
	if (verdict == SAME)
		ctx->mflags |= CTX_F_VIA_IS_SOURCE;
	route_request_run(ctx);
}

static void gone_on(struct ctx *ctx, int verdict)
{
	const struct ctx *was = route_hand(ctx);

	waiting--;
	go(ctx, verdict);
	(void)route_hand(was);
}

/* ---- from the address to its names ---- */

static void named(void *arg, const struct dns_set *set)
{
	uint64_t ticket = (uint64_t)(uintptr_t)arg;
	struct ctx *ctx = ctx_of_ticket(ticket);
	struct str host;
	int verdict = OTHER;

	if (!ctx)
		return;
	host = sip_msg_via1(&ctx->msg)->host;
	for (unsigned i = 0; set->err == 0 && i < set->n; i++)
		if (str_ieq(str_of(set->rr[i].name, set->rr[i].name_n), host))
			verdict = SAME;
	ctx_wake(ticket, verdict);
}

static void ask_name(struct ctx *ctx)
{
	char text[RESOLVE_REVERSE_MAX];
	uint64_t ticket;

	if (!route_conf.via_rev_dns) {
		go(ctx, OTHER);
		return;
	}
	if (net_hosts_has(&ctx->rx.src, sip_msg_via1(&ctx->msg)->host)) {
		go(ctx, SAME);
		return;
	}
	ticket = wait_begin(ctx, gone_on);
	if (ticket == 0) {
		go(ctx, OTHER);
		return;
	}
	if (resolve_set_ask(DNS_PTR, str_of(text, resolve_reverse_name(&ctx->rx.src, text)), named, (void *)(uintptr_t)ticket) < 0)
		ctx_wake(ticket, OTHER);
}

/* ---- from the name to its addresses ---- */

static int compare(const struct ctx *ctx, const struct resolve_answer *a)
{
	for (unsigned i = 0; i < a->n; i++)
		if (net_addr_ip_equal(&a->target[i].addr, &ctx->rx.src))
			return SAME;
	return OTHER;
}

static void resolved(void *arg, int err, const struct resolve_answer *answer)
{
	uint64_t ticket = (uint64_t)(uintptr_t)arg;
	struct ctx *ctx = ctx_of_ticket(ticket);

	if (ctx)
		ctx_wake(ticket, err == 0 ? compare(ctx, answer) : OTHER);
}

static void after_addresses(struct ctx *ctx, int verdict)
{
	const struct ctx *was = route_hand(ctx);

	waiting--;
	if (verdict == SAME)
		go(ctx, SAME);
	else
		ask_name(ctx);
	(void)route_hand(was);
}

static void ask_addresses(struct ctx *ctx)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	struct resolve_query q = { .host = via->host, .port = via->port, .proto = via->proto };
	struct resolve_answer answer = { 0 };
	uint64_t ticket;
	int err = route_conf.via_dns ? resolve_now(&q, &answer) : -ENOENT;

	if (err == 0 && compare(ctx, &answer) == SAME) {
		go(ctx, SAME);
		return;
	}
	ticket = err == -EAGAIN ? wait_begin(ctx, after_addresses) : 0;
	if (ticket == 0)
		ask_name(ctx);
	else if (resolve_ask(&q, resolved, (void *)(uintptr_t)ticket) < 0)
		ctx_wake(ticket, OTHER);
}

bool route_via_asks(struct ctx *ctx)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	struct net_addr a;

	/* With rport `received` is always told (RFC 3581, 4); over the limit of waiting messages nobody waits for this. */
	if (!via || via->has_rport || route_conf.force_rport || ctx_parked() >= route_conf.parked_max || net_addr_parse(via->host, 0, &a) == 0)
		return false;
	ask_addresses(ctx);
	return true;
}
