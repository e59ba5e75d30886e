/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A call from the moment its command returned: kept while it waits, then written. The tree is walked with a stack of its own, so
 * that writing may stop anywhere and go on when the client has taken what it has; a list that comes in pieces is asked for
 * the next piece only when the one before it is written. What the bytes look like is the form's business.
 */
#include <errno.h>
#include <stdio.h>

#include "core/base/strbuf.h"
#include "core/rpc/rpc_priv.h"

#define DEFERRED_MAX 256u
#define PIECES_AT_ONCE 64u /* of empty pieces: then the loop gets a turn */
#define TOO_LARGE "The answer is too large"

static unsigned n_deferred;

struct rpc *rpc_new(const struct rpc_form *form)
{
	struct pool *pool = pool_new(RPC_CALL_BYTES_MAX);
	struct rpc *rpc = pool ? pool_zalloc(pool, sizeof(*rpc)) : NULL;

	if (!rpc) {
		pool_free(pool);
		return NULL;
	}
	rpc->pool = pool;
	rpc->form = form;
	rpc->top.kind = RPC_ARRAY;
	return rpc;
}

void rpc_free(struct rpc *rpc)
{
	if (!rpc)
		return;
	if (rpc->form->done)
		rpc->form->done(rpc);
	pool_free(rpc->pieces);
	pool_free(rpc->pool);
}

void *rpc_alloc(struct rpc *rpc, size_t size)
{
	void *p = pool_zalloc(rpc->pool, size);

	if (!p)
		rpc->no_memory = true;
	return p;
}

struct rpc_node *rpc_results(struct rpc *rpc)
{
	return &rpc->top;
}

void rpc_add_pieces(struct rpc *rpc, struct rpc_node *node, rpc_fill_fn *fill, void *state)
{
	if (!node)
		rpc->no_memory = true;
	else if (node->kind == RPC_ARRAY || node->kind == RPC_OBJECT)
		node->u.list = (struct rpc_list){ .fill = fill, .fill_state = state };
}

/* ---- delayed answers ---- */

bool rpc_defer(struct rpc *rpc)
{
	if (!rpc->later || n_deferred >= DEFERRED_MAX)
		return false;
	rpc->deferred = true;
	n_deferred++;
	return true;
}

void rpc_answer(struct rpc *rpc)
{
	n_deferred--;
	rpc->deferred = false;
	if (!rpc->in_call) /* else it is an answer like any other */
		rpc->later(rpc->later_arg, rpc);
}

int rpc_finish(struct rpc *rpc, struct rpc_out *out)
{
	int err = 0;

	out->call = NULL;
	if (rpc->deferred)
		return -EINPROGRESS;
	if (out->reply)
		err = rpc_read_all(rpc, out->reply);
	out->fault_code = rpc->has_fault ? rpc->fault_code : 0;
	(void)snprintf(out->fault_text, sizeof(out->fault_text), "%s", rpc->has_fault ? rpc->fault_text : "");
	if (out->reply)
		rpc_free(rpc);
	else
		out->call = rpc;
	return err;
}

/* ---- writing ---- */

static int push(struct rpc *rpc, struct rpc_node *list)
{
	if (rpc->depth == RPC_DEPTH_MAX)
		return -EMSGSIZE;
	rpc->frame[rpc->depth++] = (struct rpc_frame){ .list = list, .next = list->u.list.first };
	return 0;
}

static int write_node(struct rpc *rpc, struct rpc_node *n, struct strbuf *out)
{
	if (n->kind != RPC_ARRAY && n->kind != RPC_OBJECT) {
		rpc->form->value(rpc, n, out);
		return 0;
	}
	rpc->form->open(rpc, n, rpc->depth, out);
	return push(rpc, n);
}

/* All of what was added, or the last of it. */
static int write_result(struct rpc *rpc, struct strbuf *out)
{
	static struct rpc_node nothing = { .kind = RPC_OBJECT };

	if (rpc->form->top_is_bare)
		return push(rpc, &rpc->top);
	if (rpc->method && rpc->method->flags & RPC_RET_ARRAY)
		return write_node(rpc, &rpc->top, out);
	return write_node(rpc, rpc->top.u.list.last ? rpc->top.u.list.last : &nothing, out);
}

/* Asks for the next piece of a list. The one before it is gone then. */
static int next_piece(struct rpc *rpc, struct rpc_frame *f)
{
	struct pool *of_call = rpc->pool;
	int more;

	if (!rpc->pieces)
		rpc->pieces = pool_new(RPC_CALL_BYTES_MAX);
	if (!rpc->pieces)
		return -ENOMEM;
	pool_reset(rpc->pieces);
	f->list->u.list.first = f->list->u.list.last = NULL;
	rpc->pool = rpc->pieces;
	more = f->list->u.list.fill(rpc, f->list, f->list->u.list.fill_state);
	rpc->pool = of_call;
	f->next = f->list->u.list.first;
	f->exhausted = more <= 0;
	return rpc->no_memory ? -ENOMEM : 0;
}

/* One child, one piece, or one end. */
static int step(struct rpc *rpc, struct strbuf *out, unsigned *n_pieces)
{
	struct rpc_frame *f = &rpc->frame[rpc->depth - 1];
	struct rpc_node *n = (struct rpc_node *)(uintptr_t)f->next;

	if (n) {
		f->next = n->next;
		rpc->form->child(rpc, f->list, n, !f->any, rpc->depth - 1, out);
		f->any = true;
		return write_node(rpc, n, out);
	}
	if (f->list->u.list.fill && !f->exhausted) {
		(*n_pieces)++;
		return next_piece(rpc, f);
	}
	rpc->depth--;
	if (!(rpc->depth == 0 && rpc->form->top_is_bare))
		rpc->form->close(rpc, f->list, rpc->depth, out);
	return 0;
}

static int finish_reply(struct rpc *rpc, const struct strbuf *out)
{
	rpc->at = RPC_AT_END;
	return strbuf_err(out) < 0 ? -EMSGSIZE : 0;
}

static void settle_faults(struct rpc *rpc)
{
	if (rpc->no_memory)
		rpc_fault(rpc, 500, TOO_LARGE);
	else if (!rpc->has_fault && rpc->arg_error[0] && !rpc->top.u.list.first)
		rpc_fault(rpc, 400, "%s", rpc->arg_error);
}

int rpc_read(struct rpc *rpc, struct strbuf *out, size_t want)
{
	size_t from = out->n;
	unsigned n_pieces = 0;
	int err = 0;

	if (rpc->at == RPC_AT_END)
		return 0;
	if (rpc->at == RPC_AT_BEGIN) {
		settle_faults(rpc);
		if (rpc->has_fault) {
			rpc->form->fault(rpc, rpc->fault_code, rpc->fault_text, out);
			return finish_reply(rpc, out);
		}
		rpc->form->begin(rpc, out);
		rpc->at = RPC_AT_RESULT;
		err = write_result(rpc, out);
	}
	while (err == 0 && rpc->depth > 0) {
		if (out->n - from >= want || n_pieces == PIECES_AT_ONCE)
			return 1;
		err = step(rpc, out, &n_pieces);
		if (err == 0)
			err = strbuf_err(out);
	}
	if (err < 0)
		return err;
	rpc->form->end(rpc, out);
	return finish_reply(rpc, out);
}

int rpc_read_all(struct rpc *rpc, struct strbuf *out)
{
	size_t from = out->n;
	int err;

	do
		err = rpc_read(rpc, out, SIZE_MAX);
	while (err > 0);
	if (err == 0)
		return 0;
	out->n = from;
	out->failed = false;
	if (err == -EMSGSIZE)
		rpc_fault(rpc, 500, TOO_LARGE ": over %zu bytes here, streams have no limit", out->max - from);
	else
		rpc_fault(rpc, 500, TOO_LARGE);
	rpc->form->fault(rpc, rpc->fault_code, rpc->fault_text, out);
	return finish_reply(rpc, out);
}
