/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of core/rpc share: a call, its parameters, its result tree, and how a form (JSON, binrpc) writes it. */
#ifndef RF_RPC_PRIV_H
#define RF_RPC_PRIV_H

#include "core/base/pool.h"
#include "core/rpc/rpc.h"

enum rpc_kind { RPC_NULL, RPC_BOOL, RPC_INT, RPC_DOUBLE, RPC_STR, RPC_ARRAY, RPC_OBJECT };

struct rpc_node {
	struct rpc_node *next;
	const char *name; /* member of an object; NULL: none */
	enum rpc_kind kind;
	bool is_wrap;     /* the object that JSON needs around a named value in an array */
	union {
		int64_t i;
		double d;
		struct str s;
		struct rpc_list {
			struct rpc_node *first, *last;
			rpc_fill_fn *fill; /* NULL: the list is what it is */
			void *fill_state;
		} list;
	} u;
};

/* One parameter, as the request had it. Lists cannot be parameters: RPC_ARRAY stands for them. */
struct rpc_arg {
	enum rpc_kind kind;
	union {
		int64_t i;
		double d;
		struct str s;
	} u;
};

#define RPC_ARGS_MAX 256u
#define RPC_DEPTH_MAX 32u
#define RPC_CALL_BYTES_MAX ((size_t)256 << 20) /* of a tree; what comes in pieces is not counted */

struct strbuf;

/* How a result is written. depth: of the brackets' own line; the top is 0. */
struct rpc_form {
	void (*begin)(struct rpc *rpc, struct strbuf *out);  /* what stands before the result */
	void (*child)(const struct rpc *rpc, const struct rpc_node *list, const struct rpc_node *n, bool first, unsigned depth, struct strbuf *out);
	void (*open)(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out);
	void (*close)(const struct rpc *rpc, const struct rpc_node *list, unsigned depth, struct strbuf *out);
	void (*value)(const struct rpc *rpc, const struct rpc_node *n, struct strbuf *out);
	void (*end)(struct rpc *rpc, struct strbuf *out);
	void (*fault)(struct rpc *rpc, int code, const char *text, struct strbuf *out); /* the whole reply */
	void (*done)(struct rpc *rpc); /* frees what the form keeps; NULL: nothing */
	bool strict;     /* types are taken as they are, and errors of parameters are told */
	bool top_is_bare; /* all results one after the other, without brackets */
};

struct rpc {
	struct pool *pool;           /* of the call; of one piece while fill() runs */
	const struct rpc_method *method;
	const struct rpc_arg *arg;
	unsigned n_args, next_arg;
	struct rpc_node top;         /* an array of the results */
	bool no_memory, convert;     /* convert: strict forms take numbers for texts and the reverse */
	int fault_code;              /* 0 with has_fault: -32000 */
	bool has_fault;
	char fault_text[128];
	char arg_error[128];         /* of the last parameter asked for; "": it was there */
	/* delayed answers */
	rpc_later_fn *later;         /* NULL: this transport cannot */
	void *later_arg;
	bool deferred, in_call;
	/* writing */
	const struct rpc_form *form;
	void *form_data;             /* the form's */
	bool pretty;                 /* JSON */
	struct pool *pieces;         /* memory of fill(); NULL until first used */
	enum { RPC_AT_BEGIN, RPC_AT_RESULT, RPC_AT_END } at;
	unsigned depth;
	struct rpc_frame {
		struct rpc_node *list;
		const struct rpc_node *next;
		bool any, exhausted;     /* any: a child was written; exhausted: fill() said so */
	} frame[RPC_DEPTH_MAX];
};

/* A call with nothing in it yet; NULL without memory. */
MUST_CHECK struct rpc *rpc_new(const struct rpc_form *form);
/* Runs the method, if one was set. */
void rpc_call(struct rpc *rpc);
/* The call is over and told as out says: -EINPROGRESS, or 0 with the reply in out->reply or the call in out->call. */
MUST_CHECK int rpc_finish(struct rpc *rpc, struct rpc_out *out);

#endif
