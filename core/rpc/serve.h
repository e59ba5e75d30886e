/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients of RPC: the sockets they come to, who may use them, and answers that go out as fast as each client takes them and no
 * faster. What a document looks like is its transport's business (jsonrpcs, ctl). Everything here runs in process rpcd.
 */
#ifndef RF_RPC_SERVE_H
#define RF_RPC_SERVE_H

#include <sys/types.h>

#include "core/net/addr.h"
#include "core/rpc/rpc.h"

struct loop;

#define RPC_PATH_MAX 108u /* as long as the name of a Unix socket may be */

/* ---- sockets ---- */

enum rpc_sock_kind { RPC_UNIX_STREAM, RPC_UNIX_DGRAM, RPC_TCP, RPC_UDP };

struct rpc_sock {
	enum rpc_sock_kind kind;
	char path[RPC_PATH_MAX]; /* Unix */
	struct net_addr addr;    /* TCP, UDP */
};

/* Who may use a file or socket. mode 0 is 0600. user, group: names or numbers; empty: the server's. */
struct rpc_perms {
	int mode;
	struct str user, group;
};

/* name as NUL-ended path: relative ones are under the run directory. -ENAMETOOLONG. */
MUST_CHECK int rpc_path(struct str name, char out[RPC_PATH_MAX]);
/* "host:port", "[v6]:port", "localhost:port"; without a port def_port, or -EINVAL when that is 0. */
MUST_CHECK int rpc_hostport_parse(struct str text, uint16_t def_port, struct net_addr *ret);
/* Mode and owner of a file. who: for the log, which is written to on failure. */
MUST_CHECK int rpc_file_own(const char *who, const char *path, const struct rpc_perms *perms);
/*
 * A bound socket, listening when it is a stream's, nonblocking. The file that an earlier server left is removed; one that somebody
 * serves is not: -EADDRINUSE. Logs its failure.
 */
MUST_CHECK int rpc_sock_open(const char *who, const struct rpc_sock *sock, const struct rpc_perms *perms, int *ret_fd);

/* ---- answers ---- */

typedef void rpc_sent_fn(void *arg, int err);
struct rpc_sender;

/*
 * Writes the reply of call to fd, which it watches meanwhile; takes over call, not fd. whole_max: 0 sends in pieces, else the reply
 * is made at once and has at most so many bytes (binrpc). sent() is called once, later than this returns: 0; -ETIMEDOUT: the client
 * took nothing for 10 s; or what write() said. Returns 0 or -ENOMEM (call is freed, sent() not called).
 */
MUST_CHECK int rpc_send(struct loop *loop, int fd, struct rpc *call, size_t whole_max, rpc_sent_fn *sent, void *arg);

/* ---- clients ---- */

/* One document: rpc_json_run() and the like. */
typedef int rpc_doc_fn(struct str doc, struct rpc_out *out);

/* How far a document was looked at, so that one that comes byte by byte is read once. Zero at its start. */
struct rpc_scan {
	size_t from, at; /* where it begins; where to go on */
	unsigned depth;
	char quote;
};

struct rpc_serving {
	const char *who;       /* for the log; lives for ever */
	rpc_doc_fn *run;
	/* Length of the first document of a stream, which begins at scan->from; 0: it is not whole yet; negative: it never will be. */
	ptrdiff_t (*frame)(struct str bytes, struct rpc_scan *scan);
	size_t request_max;    /* bytes of a document */
	size_t reply_max;      /* whole_max of rpc_send() */
	bool one_each;         /* the stream is closed after one answer */
};

struct rpc_server;
struct rpc_client_info {
	const struct rpc_sock *sock;
	struct net_addr peer;   /* TCP */
};

/*
 * Serves an open socket. A client that sends slowly, reads slowly or never has its own buffers; when RPC_CLIENTS_MAX are there the one
 * that is idle longest makes room for the next. sock, serving live for ever; fd is taken over.
 */
#define RPC_CLIENTS_MAX 256u
MUST_CHECK int rpc_serve(struct loop *loop, int fd, const struct rpc_sock *sock, const struct rpc_serving *serving);
/* The streams that are open; calls fn for each. Of this process. */
void rpc_clients_each(void (*fn)(const struct rpc_client_info *info, void *arg), void *arg);
/* The client whose command runs now came through a stream or datagram of rpc_serve(): its socket; else NULL. */
const struct rpc_sock *rpc_serving_now(void);

#endif
