/* SPDX-License-Identifier: BSD-2-Clause */
/* From counters to rates. Percentiles come from a histogram of powers of two: they are said as "below", which is what is known. */
#include <stdio.h>

#include "rfctl/top.h"

#define BUCKETS_MAX 64

int top_sample(struct rfctl *rf, const char *ban_table, json_t **ret_sample, struct rf_reply *ret_why)
{
	struct rf_reply r;
	const json_t *t;
	json_t *bans = NULL;
	int status = rf_try(rf, "core.top", json_pack("[ssssss]", "usrloc", "pike", "udp", "tcp", "log", "registrar"), ret_why);

	if (status != RF_OK)
		return status;
	if (rf_try(rf, "htable.stats", NULL, &r) == RF_OK)
		for (size_t i = 0; (t = rf_item(r.result, "", i)); i++) {
			const char *name = json_string_value(json_object_get(t, "name"));

			if (name && strcmp(name, ban_table) == 0)
				bans = json_pack("{ss, sI}", "table", ban_table, "items", (json_int_t)rf_int(t, "all"));
		}
	rf_reply_done(&r);
	if (bans)
		json_object_set_new(ret_why->result, "bans", bans);
	*ret_sample = ret_why->result;
	ret_why->result = NULL;
	return RF_OK;
}

static double rate(int64_t now, int64_t before, int64_t ms)
{
	return now > before && ms > 0 ? (double)((now - before) * 10000 / ms) / 10.0 : 0;
}

/* Rates of all numbers of an object; all: the sum. */
static json_t *rates(const json_t *first, const json_t *second, int64_t ms)
{
	json_t *o = json_object(), *v;
	const char *name;
	int64_t now = 0, before = 0;

	json_object_foreach((json_t *)second, name, v) {
		json_object_set_new(o, name, json_real(rate(json_integer_value(v), rf_int(first, name), ms)));
		now += json_integer_value(v);
		before += rf_int(first, name);
	}
	json_object_set_new(o, "all", json_real(rate(now, before, ms)));
	return o;
}

/* The bound that so much of 1000 messages stay below; 0: there were none, -1: above all bounds. */
static json_int_t below(const int64_t *n, size_t n_buckets, int64_t all, int64_t of_1000)
{
	int64_t seen = 0;

	for (size_t i = 0; i < n_buckets && all > 0; i++) {
		seen += n[i];
		if (seen * 1000 >= all * of_1000)
			return i + 1 < n_buckets ? (json_int_t)2 << i : -1;
	}
	return 0;
}

static json_t *latency(const json_t *first, const json_t *second, int64_t ms)
{
	static const char list[] = "below_2_4_8_us";
	const json_t *a = json_object_get(first, list), *b = json_object_get(second, list);
	int64_t n[BUCKETS_MAX] = { 0 }, all = 0, sum = rf_int(second, "sum_us") - rf_int(first, "sum_us");
	size_t n_buckets = json_array_size(b);

	if (n_buckets > BUCKETS_MAX)
		n_buckets = BUCKETS_MAX;
	for (size_t i = 0; i < n_buckets; i++) {
		n[i] = json_integer_value(json_array_get(b, i)) - json_integer_value(json_array_get(a, i));
		n[i] = n[i] > 0 ? n[i] : 0;
		all += n[i];
	}
	return json_pack("{sf, sI, sI, sI, sI, sI}", "per_s", rate(all, 0, ms), "mean", (json_int_t)(all > 0 ? sum / all : 0),
			 "p50_below", below(n, n_buckets, all, 500), "p90_below", below(n, n_buckets, all, 900), "p99_below",
			 below(n, n_buckets, all, 990), "max_below", below(n, n_buckets, all, 1000));
}

static const json_t *same_process(const json_t *list, const json_t *p)
{
	const json_t *q;

	for (size_t i = 0; (q = rf_item(list, "", i)); i++)
		if (rf_int(q, "pid") == rf_int(p, "pid") && rf_int(q, "slot") == rf_int(p, "slot"))
			return q;
	return NULL;
}

static json_t *processes(const json_t *first, const json_t *second, int64_t ms)
{
	json_t *list = json_array();
	const json_t *p;

	for (size_t i = 0; (p = rf_item(second, "", i)); i++) {
		const json_t *was = same_process(first, p);
		json_t *o = json_copy((json_t *)p);

		json_object_set_new(o, "cpu_percent", json_real(was ? rate(rf_int(p, "cpu_ms"), rf_int(was, "cpu_ms"), ms) / 10 : 0));
		json_object_set_new(o, "messages_per_s", json_real(was ? rate(rf_int(p, "messages"), rf_int(was, "messages"), ms) : 0));
		json_object_set_new(o, "lock_waits_per_s", json_real(was ? rate(rf_int(p, "lock_waits"), rf_int(was, "lock_waits"), ms) : 0));
		json_array_append_new(list, o);
	}
	return list;
}

/* Members of group usrloc are by table: "location_contacts", "location_users". */
static int64_t sum_of(const json_t *stats, const char *prefix, const char *suffix)
{
	const char *name;
	json_t *v;
	int64_t sum = 0;

	json_object_foreach((json_t *)stats, name, v) {
		size_t n = strlen(name), k = strlen(suffix);

		if (strncmp(name, prefix, strlen(prefix)) == 0 && n > k && strcmp(name + n - k, suffix) == 0)
			sum += json_integer_value(v);
	}
	return sum;
}

json_t *top_view(const json_t *first, const json_t *second)
{
	int64_t ms = rf_int(second, "now_ms") - rf_int(first, "now_ms");
	const json_t *stats = json_object_get(second, "stats"), *was_stats, *lat = json_object_get(second, "latency"), *was_lat;
	json_t *view = json_object();

	if (ms <= 0 || rf_int(second, "uptime_s") < rf_int(first, "uptime_s")) { /* another run: its numbers began at 0 */
		first = NULL;
		ms = rf_int(second, "uptime_s") * 1000;
	}
	was_stats = json_object_get(first, "stats");
	was_lat = json_object_get(first, "latency");
	json_object_set(view, "server", json_object_get(second, "server"));
	json_object_set(view, "uptime_s", json_object_get(second, "uptime_s"));
	json_object_set_new(view, "interval_ms", json_integer(ms));
	json_object_set_new(view, "requests_per_s", rates(json_object_get(first, "requests"), json_object_get(second, "requests"), ms));
	json_object_set_new(view, "replies_per_s", rates(json_object_get(first, "replies"), json_object_get(second, "replies"), ms));
	json_object_set_new(view, "latency_us", json_pack("{so, so}", "requests",
							  latency(json_object_get(was_lat, "requests"), json_object_get(lat, "requests"), ms), "replies",
							  latency(json_object_get(was_lat, "replies"), json_object_get(lat, "replies"), ms)));
	json_object_set(view, "transactions", json_object_get(second, "transactions"));
	json_object_set_new(view, "transactions_per_s",
			    json_real(rate(rf_int(json_object_get(second, "transactions"), "total"), rf_int(json_object_get(first, "transactions"), "total"), ms)));
	json_object_set(view, "memory", json_object_get(second, "memory"));
	json_object_set_new(view, "contacts", json_integer(sum_of(stats, "usrloc.", "contacts")));
	json_object_set_new(view, "users", json_integer(rf_int(stats, "usrloc.registered_users")));
	json_object_set_new(view, "connections", json_integer(rf_int(stats, "tcp.current_opened_connections")));
	json_object_set_new(view, "pike_blocked", json_integer(rf_int(stats, "pike.blocked_ips")));
	json_object_set_new(view, "log_lines_dropped", json_integer(rf_int(stats, "log.dropped")));
	json_object_set_new(view, "datagrams_per_s", json_pack("{sf, sf}", "in", rate(rf_int(stats, "udp.rx_datagrams"), rf_int(was_stats, "udp.rx_datagrams"), ms),
							       "out", rate(rf_int(stats, "udp.tx_datagrams"), rf_int(was_stats, "udp.tx_datagrams"), ms)));
	if (json_object_get(second, "bans"))
		json_object_set(view, "bans", json_object_get(second, "bans"));
	json_object_set_new(view, "processes", processes(json_object_get(first, "processes"), json_object_get(second, "processes"), ms));
	return view;
}
