/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts: made once, then reset and used again. A worker keeps a table of them by id; what waits
 * is found by its ticket (generation and id), so a completion that comes too late finds nothing,
 * instead of somebody else's message.
 *
 * Resetting costs what was used: the branch array, four fifths of the struct, is cleared only as
 * far as it was filled. The timer of a context is made on its first park and kept; a wake leaves it
 * running, and it finds out by itself that nothing waits any more, which is cheaper than taking it
 * off the loop each time.
 *
 * Whoever replaces what contexts hold views of waits for those of his time: contexts belong to one of two eras, counted. The era
 * changes when nobody is left of the one before, so after a change and the end of the era that it ended all of them are gone.
 */
#include "core/transport/ctx.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/event/loop.h"
#include "core/transport/transport_priv.h"

#define POOL_LIMIT_BYTES (1024u * 1024u)
#define FREE_KEEP 256u /* idle contexts beyond these are given back */
#define MODSTATES ARRAY_LEN(((struct ctx *)NULL)->modstate)
#define ON_FREE_MAX 8u

struct entry {
	struct ctx *ctx; /* NULL: never made, or given back */
	uint32_t gen;    /* of the last ticket; outlives the ctx */
	uint32_t next_unused;
};

struct later {
	struct later *next;
	void (*fn)(void *arg);
	void *arg;
};

static struct {
	struct entry *table;    /* by id - 1 */
	unsigned limit, n_made; /* ids given out so far */
	uint32_t unused;        /* ids whose ctx was given back: list, id or 0 */
	struct ctx *free;
	unsigned n_free, n_used, n_parked;
	unsigned n_of[2];            /* by era */
	uint8_t era;                 /* that new ones belong to */
	struct later *asked, *ended; /* since the era began; before that */
} ctxs;

/* Set before forking, the same in every process. */
static const char *modstate_names[MODSTATES];
static unsigned n_modstates;
static void (*on_free[ON_FREE_MAX])(struct ctx *ctx);
static unsigned n_on_free;

int ctx_pool_init(unsigned limit)
{
	struct entry *table;

	assert(!ctxs.n_used);
	if (limit == 0)
		return -EINVAL;
	while (ctxs.free) {
		struct ctx *c = ctxs.free;

		ctxs.free = c->next_free;
		loop_timer_del(c->park_timer);
		pool_free(c->pool);
		free(c);
	}
	table = calloc(limit, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(ctxs.table);
	memset(&ctxs, 0, sizeof(ctxs));
	ctxs.table = table;
	ctxs.limit = limit;
	return 0;
}

/* Clears what a run may have touched; pool, timer and identity stay. */
static void reset(struct ctx *c)
{
	struct pool *pool = c->pool;
	struct loop_timer *timer = c->park_timer;
	uint32_t id = c->id, gen = c->gen;
	size_t behind = offsetof(struct ctx, n_branches);

	/* a branch always has a URI, and they are filled from the front */
	for (unsigned i = 0; i < CTX_BRANCHES_MAX && c->branch[i].uri.s; i++)
		memset(&c->branch[i], 0, sizeof(c->branch[i]));
	/* what a message keeps of parsed values is read only where msg.parsed says so */
	memset(c, 0, offsetof(struct ctx, msg.ruri_c));
	memset(&c->edits, 0, offsetof(struct ctx, branch) - offsetof(struct ctx, edits));
	memset((char *)c + behind, 0, sizeof(*c) - behind);
	c->pool = pool;
	c->id = id;
	c->gen = gen;
	c->park_timer = timer;
	c->main.q = -1;
	c->main.listener = NET_LISTENER_NONE;
	c->rx.listener = NET_LISTENER_NONE;
}

static struct ctx *make(void)
{
	struct ctx *c = calloc(1, sizeof(*c));
	struct entry *e;
	uint32_t id;

	if (!c)
		return NULL;
	c->pool = pool_new(POOL_LIMIT_BYTES);
	if (!c->pool) {
		free(c);
		return NULL;
	}
	if (ctxs.unused) {
		id = ctxs.unused;
		ctxs.unused = ctxs.table[id - 1].next_unused;
	} else {
		id = ++ctxs.n_made;
		/* tickets of a dead worker must not fit its replacement */
		ctxs.table[id - 1].gen = (uint32_t)rng_u64();
	}
	e = &ctxs.table[id - 1];
	e->ctx = c;
	c->id = id;
	c->gen = e->gen;
	reset(c);
	return c;
}

/* Those that waited for nobody but the era before this one are called; the era ends when somebody still waits. */
static void advance(void)
{
	while (ctxs.n_of[!ctxs.era] == 0 && (ctxs.ended || ctxs.asked)) {
		struct later *over = ctxs.ended, *next;

		ctxs.ended = ctxs.asked;
		ctxs.asked = NULL;
		ctxs.era = !ctxs.era;
		for (; over; over = next) {
			next = over->next;
			over->fn(over->arg);
			free(over);
		}
	}
}

void ctx_when_over(void (*fn)(void *arg), void *arg)
{
	struct later *l;

	if (ctxs.n_used == 0) {
		fn(arg);
		return;
	}
	l = malloc(sizeof(*l));
	if (!l)
		return;
	*l = (struct later){ .next = ctxs.asked, .fn = fn, .arg = arg };
	ctxs.asked = l;
	advance();
}

struct ctx *ctx_new(void)
{
	struct ctx *c = ctxs.free;

	if (LIKELY(c != NULL)) {
		ctxs.free = c->next_free;
		c->next_free = NULL;
		ctxs.n_free--;
	} else {
		if (ctxs.n_used >= ctxs.limit)
			return NULL;
		c = make();
		if (!c)
			return NULL;
	}
	ctxs.n_used++;
	c->era = ctxs.era;
	ctxs.n_of[c->era]++;
	return c;
}

static void give_back(struct ctx *c)
{
	struct entry *e = &ctxs.table[c->id - 1];

	e->gen = c->gen;
	e->ctx = NULL;
	e->next_unused = ctxs.unused;
	ctxs.unused = c->id;
	loop_timer_del(c->park_timer);
	pool_free(c->pool);
	free(c);
}

void ctx_free(struct ctx *ctx)
{
	if (!ctx)
		return;
	for (unsigned i = 0; i < n_on_free; i++)
		on_free[i](ctx);
	if (UNLIKELY(ctx->let_go != NULL))
		ctx->let_go(ctx);
	if (ctx->parked)
		ctxs.n_parked--;
	if (ctx->bytes_kept)
		rx_buf_unref(rx_buf_of(ctx->rx_mem));
	ctxs.n_used--;
	if (--ctxs.n_of[ctx->era] == 0 && UNLIKELY(ctxs.asked || ctxs.ended))
		advance();
	if (ctxs.n_free >= FREE_KEEP) {
		give_back(ctx);
		return;
	}
	pool_reset(ctx->pool);
	reset(ctx);
	ctx->next_free = ctxs.free;
	ctxs.free = ctx;
	ctxs.n_free++;
}

unsigned ctx_in_use(void)
{
	return ctxs.n_used;
}

unsigned ctx_parked(void)
{
	return ctxs.n_parked;
}

int ctx_keep_bytes(struct ctx *ctx)
{
	if (!ctx->rx_mem || ctx->bytes_kept)
		return 0;
	rx_buf_of(ctx->rx_mem)->refs++;
	ctx->bytes_kept = true;
	return 0;
}

static void resume(struct ctx *ctx, int rc)
{
	ctx->parked = false;
	ctxs.n_parked--;
	if (ctx->resume)
		ctx->resume(ctx, rc);
	else
		ctx_free(ctx); /* nobody is left to go on with it */
}

static void park_expired(void *arg)
{
	struct ctx *ctx = arg;

	if (!ctx->parked || rx_stopped())
		return;
	if (clock_ms() <
	    ctx->park_until_ms) /* a timer left over from an earlier park that ended before */
		loop_timer_set(ctx->park_timer, ctx->park_until_ms - clock_ms());
	else
		resume(ctx, ctx->park_rc);
}

uint64_t ctx_park(struct ctx *ctx, unsigned deadline_ms, int rc_timeout)
{
	assert(!ctx->parked);
	if (!loop_self()) /* at start, before there is a worker: nobody could wake it */
		return 0;
	if (deadline_ms == 0)
		deadline_ms = 1;
	if (!ctx->park_timer) {
		if (loop_timer_add(loop_self(), deadline_ms, 0, park_expired, ctx,
		                   &ctx->park_timer) < 0)
			return 0;
	} else {
		loop_timer_set(ctx->park_timer, deadline_ms);
	}
	if (ctx_keep_bytes(ctx) < 0)
		return 0;
	ctx->gen++;
	if (ctx->gen == 0)
		ctx->gen = 1;
	ctx->parked = true;
	ctx->txn_checked = false;
	ctx->park_rc = rc_timeout;
	ctx->park_until_ms = clock_ms() + deadline_ms;
	ctxs.n_parked++;
	return (uint64_t)ctx->gen << 32 | ctx->id;
}

bool ctx_may_wait(const struct ctx *ctx)
{
	return loop_self() && !(ctx->mflags & CTX_F_AT_ONCE);
}

struct ctx *ctx_of_ticket(uint64_t ticket)
{
	uint32_t id = (uint32_t)ticket, gen = (uint32_t)(ticket >> 32);
	struct ctx *c;

	if (id == 0 || id > ctxs.n_made || UNLIKELY(rx_stopped()))
		return NULL;
	c = ctxs.table[id - 1].ctx;
	return c && c->parked && c->gen == gen ? c : NULL;
}

void ctx_wake(uint64_t ticket, int rc)
{
	struct ctx *c = ctx_of_ticket(ticket);

	if (c)
		resume(c, rc);
}

int ctx_modstate_register(const char *name)
{
	if (n_modstates == MODSTATES)
		return -ENOSPC;
	modstate_names[n_modstates] = name;
	return (int)n_modstates++;
}

const char *ctx_modstate_name(unsigned index)
{
	return index < n_modstates ? modstate_names[index] : NULL;
}

int ctx_on_free(void (*fn)(struct ctx *ctx))
{
	if (n_on_free == ON_FREE_MAX)
		return -ENOSPC;
	on_free[n_on_free++] = fn;
	return 0;
}

struct str ctx_ruri(const struct ctx *ctx)
{
	return ctx->main.uri.n ? ctx->main.uri : ctx->msg.ruri;
}

struct ctx *ctx_from_bytes(struct str bytes, const struct rx_info *rx)
{
	struct ctx *c = ctx_new();
	struct str copy;

	if (!c)
		return NULL;
	copy = str_dup(c->pool, bytes);
	if (!copy.s)
		goto fail;
	if (rx)
		c->rx = *rx;
	c->msg_no = rx_next_msg_no();
	if (sip_msg_parse(c->pool, copy, &c->msg, NULL) < 0)
		goto fail;
	c->kind = c->msg.kind == SIP_REQUEST ? CTX_REQUEST : CTX_CORE_REPLY;
	return c;
fail:
	ctx_free(c);
	return NULL;
}
