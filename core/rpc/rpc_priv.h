/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of core/rpc share: a call, its parameters and its result tree. */
#ifndef RF_RPC_PRIV_H
#define RF_RPC_PRIV_H

#include "core/base/pool.h"
#include "core/rpc/rpc.h"

struct json_t;

enum rpc_kind { RPC_NULL, RPC_BOOL, RPC_INT, RPC_DOUBLE, RPC_STR, RPC_ARRAY, RPC_OBJECT };

struct rpc_node {
	struct rpc_node *next;
	const char *name;       /* member of an object; NULL: none */
	enum rpc_kind kind;
	union {
		int64_t i;
		double d;
		struct str s;
		struct {
			struct rpc_node *first, *last;
		} list;
	} u;
};

#define RPC_ARGS_MAX 256u

struct rpc {
	struct pool *pool;           /* everything of the call */
	const struct rpc_method *method;
	const struct json_t *arg[RPC_ARGS_MAX];
	unsigned n_args, next_arg;
	struct rpc_node *first, *last; /* results at the top level */
	bool no_memory;
	int fault_code;              /* 0 with has_fault: -32000 */
	bool has_fault;
	char fault_text[128];
	/* delayed answers */
	rpc_later_fn *later;         /* NULL: this transport cannot */
	void *later_arg;
	bool deferred, pretty, in_call;
	struct json_t *req;          /* kept until the answer */
};

/* Runs the method; true when it did (false: refused by rpc_exec_delta, a fault is set). */
bool rpc_call(struct rpc *rpc);
/* The result as the flags of the method say: array of all, or the last one. n NULL: empty. */
void rpc_emit_result(const struct rpc *rpc, const struct rpc_method *method, struct strbuf *out, bool pretty, unsigned depth);
void rpc_emit_str(struct strbuf *out, struct str s);
void rpc_emit_double(struct strbuf *out, double d);

#endif
