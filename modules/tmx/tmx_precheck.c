/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * t_precheck_trans(): a request may come again while a run of the script has it and no transaction exists yet, since that run
 * waits for a database. The requests in hand stand in a table of 64-bit words: 56 bits of a keyed hash and the slot of the
 * worker, so one store takes a place, one gives it back, and after a death the worker's words are cleared.
 *
 * A word stands within PROBES places of where its hash points. Two runs that enter the same request at once both look again
 * afterwards, and the one with the later place steps back. A full stretch enters nothing: the request is handled as if it had not been asked for.
 */
#include <errno.h>
#include <stdatomic.h>

#include "core/base/hashfn.h"
#include "core/base/pool.h"
#include "modules/tmx/tmx.h"
#include "shm/arena.h"
#include "shm/slab.h"
#include "shm/slot.h"

#define PLACES 16384u /* power of two */
#define PROBES 16u

struct table {
	_Atomic uint64_t word[PLACES]; /* written and read: anyone; 0 free */
};

static struct table *table;
static int modstate = -1;

static bool same(uint64_t a, uint64_t b)
{
	return a >> 8 == b >> 8;
}

static void forget(struct ctx *ctx)
{
	_Atomic uint64_t *mine = ctx->modstate[modstate];

	if (mine)
		atomic_store_explicit(mine, 0, memory_order_release);
	ctx->modstate[modstate] = NULL;
}

int tmx_precheck_init(void)
{
	int err;

	modstate = ctx_modstate_register("tmx");
	if (modstate < 0)
		return modstate;
	err = ctx_on_free(forget);
	if (err < 0)
		return err;
	table = shm_zalloc(sizeof(*table));
	if (!table)
		return -ENOMEM;
	shm_publish(table);
	return shm_root_set("tmx.precheck", shm_ref_of(table));
}

int tmx_precheck_recover(unsigned slot)
{
	for (unsigned i = 0; table && i < PLACES; i++)
		if ((atomic_load_explicit(&table->word[i], memory_order_relaxed) & 255) == slot + 1)
			atomic_store_explicit(&table->word[i], 0, memory_order_release);
	return 0;
}

/* What makes two datagrams the same request: RFC 3261, 17.2.3, and what RFC 2543 has instead of a branch. */
static uint64_t word_of(struct ctx *ctx)
{
	const struct sip_via *via = sip_msg_via1(&ctx->msg);
	const struct sip_cseq *cseq = sip_msg_cseq(&ctx->msg);
	const struct sip_addr *from = sip_msg_from(&ctx->msg);
	struct str callid = sip_msg_call_id(&ctx->msg);
	uint64_t h;

	if (!via || !cseq || !from)
		return 0;
	h = hashfn64_seed(callid.s, callid.n, cseq->number);
	h = hashfn64_seed(cseq->name.s, cseq->name.n, h);
	h = hashfn64_seed(from->tag.s, from->tag.n, h);
	h = hashfn64_seed(via->text.s, via->text.n, h);
	return (h | 1u << 8) & ~(uint64_t)255;
}

/* Does somebody else have it in [from, from + n)? */
static bool taken(uint64_t word, unsigned from, unsigned n, const _Atomic uint64_t *but)
{
	for (unsigned k = 0; k < n; k++) {
		const _Atomic uint64_t *p = &table->word[(from + k) & (PLACES - 1)];

		if (p != but && same(atomic_load_explicit(p, memory_order_acquire), word))
			return true;
	}
	return false;
}

int tmx_precheck(struct ctx *ctx)
{
	unsigned from;
	uint64_t word;

	if (ctx->msg.method == SIP_M_ACK || ctx->msg.method == SIP_M_CANCEL || ctx->modstate[modstate])
		return -1;
	word = word_of(ctx);
	if (word == 0)
		return -1;
	from = (unsigned)(word >> 32) & (PLACES - 1);
	if (taken(word, from, PROBES, NULL))
		return 1;
	for (unsigned k = 0; k < PROBES; k++) {
		_Atomic uint64_t *p = &table->word[(from + k) & (PLACES - 1)];
		uint64_t none = 0;

		if (!atomic_compare_exchange_strong(p, &none, word | (uint64_t)(shm_slot_self() + 1)))
			continue;
		if (taken(word, from, k, p)) {
			atomic_store_explicit(p, 0, memory_order_release);
			return 1;
		}
		ctx->modstate[modstate] = p;
		return -1;
	}
	return -1;
}
