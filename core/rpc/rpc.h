/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands at run time. A command is a row in a table; it reads typed parameters and builds a result tree that JSON and
 * binrpc print each in their way (repeated member names are kept, never merged). Runs in process rpcd.
 */
#ifndef RF_RPC_RPC_H
#define RF_RPC_RPC_H

#include "core/base/str.h"

struct rpc;       /* one call */
struct rpc_node;  /* object or array under construction */
struct strbuf;

enum rpc_flags { RPC_RET_ARRAY = 1, RPC_EXEC_DELTA = 2 };

typedef void rpc_fn(struct rpc *rpc);

struct rpc_method {
	const char *name;   /* "ul.dump" */
	rpc_fn *fn;
	unsigned flags;
	const char *doc;
};

/* Table ends with name NULL; lives for ever. A taken name: warning, the first one stays. Context: before forking. */
MUST_CHECK int rpc_register(const struct rpc_method *table);
const struct rpc_method *rpc_find(struct str name);
/* In byte order of names. NULL past the end. */
const struct rpc_method *rpc_at(unsigned i);

/*
 * Parameters: taken in order. Return 0; -ENOENT when there are no more; -EINVAL when it is of another type. JSON is lenient (a text
 * reads as number 0), binrpc strict, and tells its client what was expected when the command adds no result and no fault.
 */
MUST_CHECK int rpc_arg_str(struct rpc *rpc, struct str *ret);      /* strict: a number is refused */
MUST_CHECK int rpc_arg_any_str(struct rpc *rpc, struct str *ret);  /* '.': numbers become text */
MUST_CHECK int rpc_arg_int(struct rpc *rpc, int64_t *ret);         /* a JSON string reads as 0 */
MUST_CHECK int rpc_arg_any_int(struct rpc *rpc, int64_t *ret);     /* '.': texts that are numbers, too */
/* As rpc_arg_int(); -ERANGE: not in min to max, a fault that says so is set. */
MUST_CHECK int rpc_arg_int_in(struct rpc *rpc, int64_t min, int64_t max, int64_t *ret);
MUST_CHECK int rpc_arg_mask(struct rpc *rpc, uint32_t *ret); /* 32 flags; also as a negative number, -1 for all of them */
MUST_CHECK int rpc_arg_double(struct rpc *rpc, double *ret);
unsigned rpc_args_left(const struct rpc *rpc);
bool rpc_arg_is_str(const struct rpc *rpc); /* the next one */

/* Result. Top level: parent NULL. In objects name is the member, in arrays a name wraps {"name": v}; NULL: none. Texts are copied. */
struct rpc_node *rpc_add_object(struct rpc *rpc, struct rpc_node *parent, const char *name);
struct rpc_node *rpc_add_array(struct rpc *rpc, struct rpc_node *parent, const char *name);
void rpc_add_int(struct rpc *rpc, struct rpc_node *parent, const char *name, int64_t v);
void rpc_add_double(struct rpc *rpc, struct rpc_node *parent, const char *name, double v);
void rpc_add_str(struct rpc *rpc, struct rpc_node *parent, const char *name, struct str v);
void rpc_add_null(struct rpc *rpc, struct rpc_node *parent, const char *name);
void rpc_add_bool(struct rpc *rpc, struct rpc_node *parent, const char *name, bool v);
void rpc_add_printf(struct rpc *rpc, struct rpc_node *parent, const char *name, const char *fmt, ...) PRINTF_LIKE(4, 5);
void rpc_fault(struct rpc *rpc, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Long lists: the children of node (array or object) come while the reply is
 * being written. fill() is called again and again, after the command returned, and adds a few children each time with the
 * functions above; they are written to the client and forgotten, so an answer of any length needs the memory of one piece. It is
 * not called while the client takes nothing: a slow client holds up its own answer alone.
 * Returns 1: there may be more; 0: that was all. A piece is best some dozen kilobytes: one bucket, a hundred entries.
 * state: lives as long as the call (rpc_alloc()). Lists inside pieces cannot come in pieces. Context: as the command's; no lock
 * and no reference is kept from one call to the next.
 */
typedef int rpc_fill_fn(struct rpc *rpc, struct rpc_node *node, void *state);
struct rpc_node *rpc_results(struct rpc *rpc); /* the list of all results, of a command with RPC_RET_ARRAY */
void rpc_add_pieces(struct rpc *rpc, struct rpc_node *node, rpc_fill_fn *fill, void *state);
/* Cleared memory that lives as long as the call; not from within fill(). NULL: too much; the call then fails by itself. */
MUST_CHECK void *rpc_alloc(struct rpc *rpc, size_t size);

/*
 * Delayed answers: a command that has to wait calls rpc_defer(), returns, and later adds its results (or a fault) and calls
 * rpc_answer(), which sends the reply and ends the call. Returns false when this transport answers at once or never, or when
 * too many wait already: the command then fails in its own words (fault 600).
 */
MUST_CHECK bool rpc_defer(struct rpc *rpc);
void rpc_answer(struct rpc *rpc);

/* ---- for transports ---- */

/* Takes over a call whose delayed answer is ready: read it, then rpc_free(). */
typedef void rpc_later_fn(void *arg, struct rpc *call);

struct rpc_out {
	struct strbuf *reply;    /* in: the caller's, gets the whole reply; NULL: it is read from call, in pieces */
	bool no_store;           /* in: ignore "store_path" (who asks from another machine) */
	rpc_later_fn *later;     /* in: how a delayed answer gets out; NULL: not at all */
	void *later_arg;
	struct rpc *call;        /* out, with reply NULL: rpc_read(), rpc_free() */
	char reply_name[128];    /* out: of the request (JSON) */
	int fault_code;          /* out; 0: none */
	char fault_text[128];
};

/*
 * JSON-RPC 2.0: one request document. Returns 0; -EBADMSG when the text is no JSON (no reply); -EINPROGRESS: the command waits,
 * and later() is called once.
 */
MUST_CHECK int rpc_json_run(struct str request, bool pretty, struct rpc_out *ret_out);

/*
 * Appends the next part of the reply: at least want bytes unless it ends, or takes long (then less, maybe nothing).
 * Returns 1: there is more; 0: that was all; -ENOMEM, -EMSGSIZE: it cannot be finished, and what was sent is worth nothing.
 */
MUST_CHECK int rpc_read(struct rpc *call, struct strbuf *out, size_t want);
/* The whole reply into out; when it does not fit, a fault that says so. Returns 0 or -EMSGSIZE: not even that fits. */
MUST_CHECK int rpc_read_all(struct rpc *call, struct strbuf *out);
void rpc_free(struct rpc *call); /* NULL accepted */

/* Global rpc_exec_delta: commands with RPC_EXEC_DELTA are refused when run again within so many seconds. 0: off. */
void rpc_exec_delta_set(unsigned seconds);

/* Where sockets and FIFOs with relative names are (-Y). dir lives for ever. Default: "/run/kamailio", where kamcmd and kamctl look, when
 * that is there and may be written; else "/run/ringfort". */
void rpc_run_dir_set(struct str dir);
struct str rpc_run_dir(void);

/* system.*, core.*: registered by this. core.modules, core.ppdefines and core.tcp_* are in core/main/core_cmds.c, above
 * the layers that they ask. */
MUST_CHECK int rpc_core_register(void);

#endif
