/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a proxied message needs on its way out, with or without a transaction: where a URI leads, own Via, Record-Route of
 * the socket it leaves by, Route set of a Path; and for local replies where they go and what the top Via gets.
 */
#ifndef RF_TM_OUT_H
#define RF_TM_OUT_H

#include "core/net/resolve.h"
#include "core/transport/ctx.h"
#include "core/transport/tx.h"

struct out_conf { /* core parameters that shape what is sent; filled by route before forking */
	int force_rport, local_rport, reply_to_via, udp_mtu;
	enum sip_proto udp_mtu_try_proto;
	int server_id;                        /* via_add_srvid(); 0: none */
	struct str xavp_via_params, xavp_via_fields, xavp_via_reply_params; /* names of XAVPs; n 0: none */
	struct str user_agent; /* whole field without CRLF for requests of our own; n 0: none */
};
extern struct out_conf out_conf;

/* First byte of the text of a SIP_EDIT_RECORD_ROUTE edit that is expanded per send socket; see out_rr_template(). */
#define OUT_RR_MARK '\x01'

/* What a Record-Route shall say. */
struct out_rr {
	struct str user;   /* n 0: none */
	struct str show;   /* host[:port] instead of the sockets' own; n 0: theirs */
	struct str params; /* with leading ';' */
	int double_rr;     /* 0: one field; 1: two when the sockets differ; 2: always two */
	bool full_lr;      /* lr=on */
	bool sips;         /* scheme */
	bool sockname;     /* sn=NAME for a socket that has one */
};
/* Text for an edit that becomes one or two Record-Route fields once it is known which socket the request leaves by. */
MUST_CHECK int out_rr_template(struct pool *pool, const struct out_rr *rr, struct str *ret);
/* Text of it for a request received on `in` and sent by `out`; adv_host n 0: the sockets' own names. */
MUST_CHECK int out_rr_expand(struct pool *pool, struct str tmpl, const struct net_listener *in, const struct net_listener *out,
			     struct str adv_host, uint16_t adv_port, struct str *ret);

/* What to ask for to reach a next hop. uri: sip, sips (tel: -EINVAL). Returns 0, -EBADMSG. Views into uri. */
MUST_CHECK int out_query(struct str uri, enum sip_proto force, struct resolve_query *ret_query);
/* Next hop of a target: dst_uri, else the first Path, else its URI, else the Request-URI. */
struct str out_next_hop(const struct ctx *ctx, const struct ctx_target *t);

struct out_request {
	const struct sip_edits *edits;
	struct str ruri;                 /* n 0: as received */
	struct str path;                 /* value of a Route field; n 0: none */
	struct str branch;               /* Via branch */
	uint32_t vbflags;                /* put behind it; 0: nothing */
	const struct net_listener *from;
	bool may_move;                   /* its bytes may leave by a stream later: Content-Length is there even in a datagram */
	bool via_alone;                  /* the Vias that came stay behind */
	bool keep_via1;                  /* no received/rport added to the former top Via (locally made requests: no Via there) */
};
/*
 * How a request of that size leaves when proto was chosen for it: another transport for what is too long for a datagram (udp_mtu,
 * udp_mtu_try_proto; RFC 3261, 18.1.1), proto itself when it fits or there is no socket for the other one.
 */
enum sip_proto out_mtu_proto(const struct ctx *ctx, enum sip_proto proto, size_t bytes, const struct net_addr *to);
MUST_CHECK int out_request_build(struct ctx *ctx, const struct out_request *req, struct sip_out *ret_out);

/* ---- own Via ---- */

/* The whole field with CRLF, for a request that leaves by req->from. -EMSGSIZE; -EINVAL: an attribute that cannot stand in a Via, logged. */
MUST_CHECK int out_via_build(struct ctx *ctx, const struct out_request *req, struct str *ret);
/* Flags that a Via of this server has behind its branch identifier; 0: none. */
uint32_t out_via_flags(struct str branch);

/* What the top Via of a local reply to ctx's request is told: as out_via_source(), and the fields of xavp_via_reply_params if the script asked for them. */
struct sip_via_source out_reply_source(struct ctx *ctx, char *ip);

/* What the top Via of ctx's request is told; it may be nothing. ip: NET_ADDR_TEXT_MAX bytes that the result points into. */
struct sip_via_source out_via_source(struct ctx *ctx, char *ip);
/* Where replies to ctx's request go. */
void out_reply_dest(struct ctx *ctx, struct tx_dest *ret_dest);
/* Where a reply goes whose Via this is, when its connection is unknown or gone. Returns 0; -EINVAL: a name or a group address. */
MUST_CHECK int out_via_dest(const struct sip_via *via, struct tx_dest *ret_dest);
/* "Contact: <a>, <b>;q=0.5\r\n" of the destination set, for 3xx; n 0 when there is none. */
struct str out_contacts(struct ctx *ctx, unsigned rich);
/* What more it says of each: branch flags as parameter, the Path as a Route that the client is to add (RFC 3261, 19.1.1). */
enum out_rich { OUT_RICH_FLAGS = 1, OUT_RICH_PATH = 2 };
/* To-tag of local replies: a keyed hash over what a retransmission and the ACK repeat. out: 33 bytes at least. Returns its length. */
enum out_tag_kind { OUT_TAG_SL = 's', OUT_TAG_TM = 't' };
size_t out_totag(struct ctx *ctx, enum out_tag_kind kind, char *out);

#endif
