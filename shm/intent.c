/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intents: what a process is about to do, written into its slot before the first store of the change.
 * The operations of shm itself have a field of their own, so that a module may insert into a table in
 * the middle of a change it has announced.
 */
#include "shm/intent.h"

#include <errno.h>

#include "shm/shm_priv.h"

#define OPS_MAX 64u

static struct {
	const char *name;
	shm_redo_fn *redo;
} ops[OPS_MAX];
static unsigned n_ops;

int shm_intent_register(const char *name, shm_redo_fn *redo)
{
	if (n_ops == OPS_MAX)
		return -ENOSPC;
	ops[n_ops].name = name;
	ops[n_ops].redo = redo;
	return (int)++n_ops;
}

void shm_intent_begin(int op, const uint64_t *args, unsigned n_args)
{
	struct shm_intent *in = &shm_self->intent;

	assert(op > 0 && (unsigned)op <= n_ops && n_args <= SHM_INTENT_ARGS && in->op == 0);
	for (unsigned i = 0; i < n_args; i++)
		in->arg[i] = args[i];
	SHM_STORE_ORDER();
	atomic_store_explicit((_Atomic uint32_t *)&in->op, (uint32_t)op, memory_order_release);
	SHM_STORE_ORDER();
}

void shm_intent_end(void)
{
	SHM_STORE_ORDER();
	atomic_store_explicit((_Atomic uint32_t *)&shm_self->intent.op, 0, memory_order_release);
}

int shm_intent_redo(const struct shm_intent *in)
{
	if (in->op == 0)
		return 0;
	if (in->op > n_ops)
		return -EUCLEAN;
	return ops[in->op - 1].redo(in);
}

void shm_adopt(_Atomic shm_ref *cell, const void *obj)
{
	shm_ref ref = shm_ref_of(obj);

	shm_core_begin(SHM_OP_ADOPT, shm_off(cell), ref, 0, 0, 0);
	CRASH_POINT("adopt.begin");
	atomic_store_explicit(cell, ref, memory_order_release);
	CRASH_POINT("adopt.stored");
	shm_publish(obj);
	CRASH_POINT("adopt.live");
	shm_core_end();
}

int shm_adopt_redo(const struct shm_intent *in)
{
	const _Atomic shm_ref *cell = shm_at(in->arg[0]);

	if (in->arg[0] >= SHM_ARENA->map_bytes)
		return -EUCLEAN;
	if (atomic_load(cell) == (shm_ref)in->arg[1])
		shm_publish(shm_ptr((shm_ref)in->arg[1]));
	return 0; /* not stored: it is in limbo and freed from there */
}
