/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of jsonrpcs share. */
#ifndef RF_MODULES_JR_PRIV_H
#define RF_MODULES_JR_PRIV_H

#include "core/module/abi.h"
#include "core/rpc/serve.h"

#define JR_FIFO_DOC_MAX 8191u
#define JR_DOC_MAX 65536u

struct jr_conf {
	int transport, pretty_format, fifo_mode, dgram_workers, dgram_timeout, dgram_mode;
	struct str fifo_name, fifo_user, fifo_group, fifo_reply_dir, dgram_socket, dgram_user, dgram_group, stream_socket, tcp_socket;
};
extern struct jr_conf jr_conf;

/* Bytes of the first complete {...} in buf, from scan->from; brackets in quotes are not counted. 0: not complete. */
ptrdiff_t jr_doc_end(struct str buf, struct rpc_scan *scan);

MUST_CHECK int jr_fifo_start(struct loop *loop);
MUST_CHECK int jr_dgram_start(struct loop *loop);
MUST_CHECK int jr_tcp_start(struct loop *loop);
/* dgram_socket, stream_socket and tcp_socket as they were written; told on the log. */
MUST_CHECK int jr_sock_check(void);
enum jr_file { JR_FIFO, JR_DGRAM, JR_STREAM, JR_FILES };
void jr_file_note(enum jr_file file); /* it was made: the supervisor removes it at the end */
/* JR_DGRAM, JR_STREAM: its path after jr_sock_check(); "" when it is none. */
const char *jr_sock_path(enum jr_file file);

#endif
