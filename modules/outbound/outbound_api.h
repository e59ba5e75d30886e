/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow tokens (RFC 5626, 5.2) for modules that write them into Record-Route and Path and read them from Route. module_api_find("outbound"). */
#ifndef RF_OUTBOUND_API_H
#define RF_OUTBOUND_API_H

#include "core/transport/ctx.h"

/* Where a request came from, and by which of our sockets: what leads back to the client. */
struct outbound_flow {
	struct net_addr src, dst;
	enum sip_proto proto;
	uint32_t conn_id; /* streams; 0: none */
};

struct outbound_api {
	/* Shall a token for this request's flow be recorded? The flags of the script decide, else RFC 5626: it comes from the client itself, and its Contact is
	 * one of a flow (REGISTER: reg-id and instance; else the URI parameter ob). */
	bool (*wanted)(struct ctx *ctx);
	/* The token of the flow that ctx came by, in ctx->pool. Returns 0 or -ENOMEM. */
	int (*token_make)(struct ctx *ctx, struct str *ret_token);
	/* Returns 0; -ENOENT: no token at all, some user name; -EBADMSG: has the form of one, but we did not make it. */
	int (*token_read)(struct str token, struct outbound_flow *ret_flow);
};

#endif
