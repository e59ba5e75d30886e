/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which generation runs. A context stays with the one that its first run began in, until it is freed: texts that the script left
 * in it (names of routes, fields, branches) are views into that generation. So a generation is held by what it handles, counted
 * here, and its owner hears when nothing is left.
 */
#include "core/script/script_priv.h"
#include "core/script/vm.h"

static struct {
	struct script *script;
	void (*idle)(struct script *s);
} current;

void vm_set_script(struct script *s)
{
	current.script = s;
}

struct script *vm_script(void)
{
	return current.script;
}

struct script *vm_script_of(const struct ctx *ctx)
{
	return ctx->script ? ctx->script : current.script;
}

void vm_on_idle(void (*fn)(struct script *s))
{
	current.idle = fn;
}

void script_hold(struct ctx *ctx, struct script *s)
{
	if (ctx->script)
		return;
	ctx->script = s;
	s->n_ctx++;
}

unsigned script_n_ctx(const struct script *s)
{
	return s->n_ctx;
}

static void let_go(struct ctx *ctx)
{
	struct script *s = ctx->script;

	if (!s)
		return;
	ctx->script = NULL;
	if (--s->n_ctx == 0 && UNLIKELY(s != current.script) && current.idle)
		current.idle(s);
}

int vm_register(void)
{
	return ctx_on_free(let_go);
}
