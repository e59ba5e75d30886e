/* SPDX-License-Identifier: BSD-2-Clause */
/* binrpc, the language of kamcmd: the server's side. Its bytes are described in core/base/binrec.h. */
#ifndef RF_RPC_BINRPC_H
#define RF_RPC_BINRPC_H

#include "core/base/binrec.h"
#include "core/rpc/rpc.h"

#define RPC_BIN_REQUEST_MAX 65536u    /* body of a request */

/*
 * Where the first packet of a stream ends. Returns its length; 0: more bytes are needed; -EBADMSG: this is no packet;
 * -EMSGSIZE: its body is longer than RPC_BIN_REQUEST_MAX. Reads at most BIN_HEAD_MAX bytes.
 */
MUST_CHECK ptrdiff_t rpc_bin_frame(struct str bytes);

/*
 * Runs one packet, which must be whole. out->reply: gets the reply packet; its room is the limit of a reply. convert: numbers and
 * texts are taken for one another where a command wants the other. Delayed answers are read with rpc_read_all().
 * Returns 0; -EBADMSG: no packet, or not a request, so there is no reply; -EINPROGRESS as with rpc_json_run(); -EMSGSIZE.
 */
MUST_CHECK int rpc_bin_run(struct str packet, bool convert, struct rpc_out *out);

#endif
