/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics of group "core": what came in, what was passed on, what was refused. One table, one line per number. */
#include "core/route/route_priv.h"
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

static const struct { uint16_t status; const char *name; } statuses[] = {
	{ 400, "rcv_replies_400" }, { 401, "rcv_replies_401" }, { 402, "rcv_replies_402" }, { 403, "rcv_replies_403" },
	{ 404, "rcv_replies_404" }, { 405, "rcv_replies_405" }, { 406, "rcv_replies_406" }, { 407, "rcv_replies_407" },
	{ 408, "rcv_replies_408" }, { 410, "rcv_replies_410" }, { 413, "rcv_replies_413" }, { 480, "rcv_replies_480" },
	{ 481, "rcv_replies_481" }, { 486, "rcv_replies_486" }, { 487, "rcv_replies_487" }, { 488, "rcv_replies_488" },
	{ 493, "rcv_replies_493" },
};
/* clang-format on */

static struct {
	int id[RC_N], method[ARRAY_LEN(method_names)], status[ARRAY_LEN(statuses)];
} ids;

int route_counters_init(void)
{
	for (unsigned i = 0; i < RC_N; i++)
		if ((ids.id[i] = shm_counter_register("core", names[i])) < 0)
			return ids.id[i];
	for (unsigned i = 0; i < ARRAY_LEN(method_names); i++)
		if ((ids.method[i] = shm_counter_register("core", method_names[i])) < 0)
			return ids.method[i];
	for (unsigned i = 0; i < ARRAY_LEN(statuses); i++)
		if ((ids.status[i] = shm_counter_register("core", statuses[i].name)) < 0)
			return ids.status[i];
	return 0;
}

void route_count(enum route_counter c)
{
	shm_counter_add(ids.id[c], 1);
}

void route_count_request(enum sip_method m)
{
	unsigned bit = (unsigned)__builtin_ctz((unsigned)m | 1u << 30);

	route_count(RC_RCV_REQUESTS);
	if (bit < ARRAY_LEN(method_names))
		shm_counter_add(ids.method[bit], 1);
	else
		route_count(RC_UNSUPPORTED);
}

void route_count_reply(unsigned status)
{
	route_count(RC_RCV_REPLIES);
	if (status >= 180 && status < 190)
		route_count(RC_REPLIES_18X);
	if (status >= 100 && status < 700)
		route_count(status < 200 ? RC_REPLIES_1XX : (enum route_counter)(RC_REPLIES_2XX + status / 100 - 2));
	if (status < 400 || status > 493)
		return;
	for (unsigned i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].status == status)
			shm_counter_add(ids.status[i], 1);
}
