/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message at hand: what this process works on just now, for reports about a process that is stuck or dies (core/proc/trap.h). Kept
 * by two stores per run, read from a signal handler at any instruction.
 */
#include <signal.h>
#include <stdlib.h>

#include "core/proc/trap.h"
#include "core/route/route_priv.h"

static const struct ctx *volatile hand;

const struct ctx *route_hand(const struct ctx *ctx)
{
	const struct ctx *was = hand;

	hand = ctx;
	return was;
}

static void add_where(struct trap_record *rec, const struct ctx *ctx)
{
	struct str file, route;
	struct strbuf sb;
	unsigned line;

	if (!vm_position(ctx, &file, &line, &route))
		return;
	strbuf_init_fixed(&sb, rec->where, sizeof(rec->where) - 1);
	strbuf_add(&sb, file);
	strbuf_add_char(&sb, ':');
	strbuf_add_u64(&sb, line);
	strbuf_add_lit(&sb, " route[");
	strbuf_add(&sb, route);
	strbuf_add_lit(&sb, "]");
	rec->where[sb.n] = '\0';
}

/* In a signal handler: nothing here takes a lock or memory. */
static void describe(struct trap_record *rec)
{
	const struct ctx *ctx = hand;
	struct str bytes;
	size_t n;

	if (!ctx)
		return;
	bytes = ctx->received.n ? ctx->received : ctx->msg.buf; /* what comes again is what came */
	if (!(ctx->mflags & CTX_F_FAKED)) {
		n = net_addr_text(&ctx->rx.src, rec->from);
		rec->from[n] = '\0';
		n = bytes.n < TRAP_MSG_MAX ? bytes.n : TRAP_MSG_MAX;
		if (n > 0)
			memcpy(rec->msg, bytes.s, n);
		rec->msg_n = (uint32_t)n;
	}
	add_where(rec, ctx);
}

void route_hand_init(void)
{
	trap_describe(describe);
}

#ifdef RF_CRASH_POINTS
/* Tests: RF_CRASH_ON="segv:TEXT", "abort:TEXT" or "loop:TEXT" makes a message with TEXT in it do that to its worker. */
void route_crash_on(const struct ctx *ctx)
{
	static const char *on;
	static bool asked;
	volatile int *volatile nowhere = NULL; /* volatile: the compiler must not see what this is */
	const char *text;

	if (!asked)
		on = getenv("RF_CRASH_ON");
	asked = true;
	text = on ? strchr(on, ':') : NULL;
	if (!text || str_find(ctx->msg.buf, str_lit(text + 1)) < 0)
		return;
	if (on[0] == 'a')
		abort();
	if (on[0] == 'l')
		for (volatile int forever = 1; forever;)
			;
	*nowhere = 1;
}
#endif
