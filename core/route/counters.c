/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of group "core": what came in, what was passed on, what was refused. One table, one line per number. */
#include "core/route/route_priv.h"

#include <errno.h>
#include <stdio.h>

#include "shm/counter.h"

/* clang-format off */
static const char *const names[RC_N] = {
	[RC_RCV_REQUESTS] = "rcv_requests", [RC_RCV_REPLIES] = "rcv_replies", [RC_FWD_REQUESTS] = "fwd_requests",
	[RC_FWD_REPLIES] = "fwd_replies", [RC_DROP_REQUESTS] = "drop_requests", [RC_DROP_REPLIES] = "drop_replies",
	[RC_ERR_REQUESTS] = "err_requests", [RC_ERR_REPLIES] = "err_replies", [RC_BAD_URIS] = "bad_URIs_rcvd",
	[RC_UNSUPPORTED] = "unsupported_methods", [RC_BAD_HDR] = "bad_msg_hdr",
	[RC_REPLIES_1XX] = "rcv_replies_1xx", [RC_REPLIES_18X] = "rcv_replies_18x", [RC_REPLIES_2XX] = "rcv_replies_2xx",
	[RC_REPLIES_3XX] = "rcv_replies_3xx", [RC_REPLIES_4XX] = "rcv_replies_4xx", [RC_REPLIES_5XX] = "rcv_replies_5xx",
	[RC_REPLIES_6XX] = "rcv_replies_6xx",
};

/* By bit number of enum sip_method. */
static const char *const method_names[15] = {
	"rcv_requests_invite", "rcv_requests_cancel", "rcv_requests_ack", "rcv_requests_bye", "rcv_requests_info",
	"rcv_requests_register", "rcv_requests_subscribe", "rcv_requests_notify", "rcv_requests_message", "rcv_requests_options",
	"rcv_requests_prack", "rcv_requests_update", "rcv_requests_refer", "rcv_requests_publish", "rcv_requests_kdmq",
};

/* 4xx that have a number of their own; a table by status - 400 leads to them. */
static const uint16_t statuses[] = {
	400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 414, 415, 420, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493,
};

/* Replies by hundreds and the method of their CSeq. */
static const struct { enum sip_method method; const char *name; } reply_methods[] = {
	{ SIP_M_INVITE, "invite" }, { SIP_M_CANCEL, "cancel" }, { SIP_M_BYE, "bye" }, { SIP_M_REGISTER, "reg" }, { SIP_M_MESSAGE, "message" },
	{ SIP_M_PRACK, "prack" }, { SIP_M_UPDATE, "update" }, { SIP_M_REFER, "refer" }, { SIP_M_OPTIONS, "options" },
};
/* clang-format on */

#define HUNDREDS 6u

static struct {
	int id[RC_N], method[ARRAY_LEN(method_names)];
	int status[100];                       /* by status - 400; -1: none of its own */
	int reply[HUNDREDS][ARRAY_LEN(method_names)]; /* by status / 100 - 1 and bit of the method; -1: none */
} ids;

static struct { /* names live for ever */
	char status[ARRAY_LEN(statuses)][20];
	char reply[HUNDREDS][ARRAY_LEN(reply_methods)][28];
} made;

static unsigned bit_of(enum sip_method m)
{
	return (unsigned)__builtin_ctz((unsigned)m | 1u << 30);
}

static int reply_counters_init(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(ids.status); i++)
		ids.status[i] = -1;
	for (unsigned i = 0; i < ARRAY_LEN(statuses); i++) {
		snprintf(made.status[i], sizeof(made.status[i]), "rcv_replies_%u", statuses[i]);
		if ((ids.status[statuses[i] - 400] = shm_counter_register("core", made.status[i])) < 0)
			return -ENOSPC;
	}
	for (unsigned h = 0; h < HUNDREDS; h++) {
		for (unsigned i = 0; i < ARRAY_LEN(method_names); i++)
			ids.reply[h][i] = -1;
		for (unsigned i = 0; i < ARRAY_LEN(reply_methods); i++) {
			snprintf(made.reply[h][i], sizeof(made.reply[h][i]), "rcv_replies_%uxx_%s", h + 1, reply_methods[i].name);
			if ((ids.reply[h][bit_of(reply_methods[i].method)] = shm_counter_register("core", made.reply[h][i])) < 0)
				return -ENOSPC;
		}
	}
	return 0;
}

int route_counters_init(void)
{
	for (unsigned i = 0; i < RC_N; i++)
		if ((ids.id[i] = shm_counter_register("core", names[i])) < 0)
			return ids.id[i];
	for (unsigned i = 0; i < ARRAY_LEN(method_names); i++)
		if ((ids.method[i] = shm_counter_register("core", method_names[i])) < 0)
			return ids.method[i];
	return reply_counters_init();
}

void route_count(enum route_counter c)
{
	shm_counter_add(ids.id[c], 1);
}

void route_count_request(enum sip_method m)
{
	unsigned bit = bit_of(m);

	route_count(RC_RCV_REQUESTS);
	if (bit < ARRAY_LEN(method_names))
		shm_counter_add(ids.method[bit], 1);
	else
		route_count(RC_UNSUPPORTED);
}

void route_count_reply(unsigned status, enum sip_method m)
{
	unsigned bit = bit_of(m);

	route_count(RC_RCV_REPLIES);
	if (status < 100 || status >= 700)
		return;
	if (status >= 180 && status < 190)
		route_count(RC_REPLIES_18X);
	route_count(status < 200 ? RC_REPLIES_1XX : (enum route_counter)(RC_REPLIES_2XX + status / 100 - 2));
	if (status >= 400 && status < 500)
		shm_counter_add(ids.status[status - 400], 1);
	if (bit < ARRAY_LEN(method_names))
		shm_counter_add(ids.reply[status / 100 - 1][bit], 1);
}
