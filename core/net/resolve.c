/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 3263 as a walk over what is known. walk() goes from the URI's host to addresses reading
 * record sets only: from /etc/hosts, from the results of this job, from the shared cache. Where a
 * set is missing it notes the question and goes on; so the missing ones are asked side by side.
 * When all of them are answered the walk is simply done again, until nothing is missing. There is
 * no state machine to get stuck in, and a cached name costs no job at all.
 *
 * A job ends at its deadline whatever c-ares does (dns_ask.c).
 */
#include "core/net/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/net/hosts.h"
#include "core/net/listener.h"
#include "shm/counter.h"

#define MISSING_MAX 40u
#define ROUNDS_MAX 8u /* NAPTR, SRV, addresses, and some in reserve */
#define JOBS_MAX 4096u
#define DEFAULT_TIMEOUT_MS 5000u

struct question {
	enum dns_type type;
	uint8_t name_n;
	char name[DNS_NAME_MAX];
};

struct job {
	struct resolve_query q; /* host points into host_text */
	char host_text[DNS_NAME_MAX];
	resolve_done_fn *done; /* NULL: has been called */
	void *arg;
	struct loop_timer *timer;
	struct dns_result *result[MISSING_MAX];
	unsigned n_results, pending, rounds;
	bool step_due;
};

struct walk {
	const struct job *job; /* NULL: none yet */
	struct resolve_answer *out;
	struct question *missing; /* MISSING_MAX */
	unsigned n_missing;
	int err; /* the worst that kept a set from being known */
};

static struct {
	struct resolve_conf conf;
	char servers[512];
	struct loop *loop;
	unsigned n_jobs;
	int failed; /* counter */
} res = { .failed = -1 };

/* ---- known record sets ---- */

static int from_job(const struct job *job, enum dns_type type, struct str name, struct dns_set *set)
{
	for (unsigned i = 0; job && i < job->n_results; i++) {
		const struct dns_result *r = job->result[i];

		if (r->type == type && r->name_n == name.n &&
		    memcmp(r->name, name.s, name.n) == 0) {
			*set = r->set;
			return 0;
		}
	}
	return -ENOENT;
}

/* True when the set is known; else the question is noted. */
static bool known(struct walk *w, enum dns_type type, struct str name, struct dns_set *set)
{
	struct question *q;

	if (name.n == 0 || name.n > DNS_NAME_MAX) {
		set->n = 0;
		set->err = -ENOENT;
		return true;
	}
	if (net_hosts_find(type, name, set) == 0 || from_job(w->job, type, name, set) == 0)
		goto found;
	if (res.conf.use_cache && dns_cache_get(type, name, set) == 0)
		goto found;
	for (unsigned i = 0; i < w->n_missing; i++) {
		q = &w->missing[i];
		if (q->type == type && q->name_n == name.n && memcmp(q->name, name.s, name.n) == 0)
			return false;
	}
	if (w->n_missing == MISSING_MAX) {
		set->n = 0;
		set->err = -EHOSTUNREACH;
		goto found;
	}
	q = &w->missing[w->n_missing++];
	q->type = type;
	q->name_n = (uint8_t)name.n;
	memcpy(q->name, name.s, name.n);
	return false;
found:
	if (set->err < 0 && set->err != -ENOENT)
		w->err = set->err;
	return true;
}

/* ---- the walk ---- */

static bool has_family(int family)
{
	if (net_listener_count() == 0)
		return true;
	for (unsigned i = 0; i < net_listener_count(); i++) {
		if (net_listener_at(i)->addr.family == family)
			return true;
	}
	return false;
}

static bool has_proto(enum sip_proto proto)
{
	if (net_listener_count() == 0)
		return true;
	for (unsigned i = 0; i < net_listener_count(); i++) {
		if (net_listener_at(i)->proto == proto)
			return true;
	}
	return false;
}

static void answer_add(struct resolve_answer *out, const struct net_addr *addr,
                       enum sip_proto proto)
{
	for (unsigned i = 0; i < out->n; i++) {
		if (out->target[i].proto == proto && net_addr_equal(&out->target[i].addr, addr))
			return;
	}
	if (out->n < RESOLVE_TARGETS_MAX)
		out->target[out->n++] = (struct resolve_target){ *addr, proto };
}

static void walk_addresses(struct walk *w, struct str name, uint16_t port, enum sip_proto proto)
{
	bool want[2] = { !(res.conf.cache_flags & 2),
		         res.conf.try_ipv6 && !(res.conf.cache_flags & 1) && has_family(AF_INET6) };
	bool six_first = res.conf.cache_flags & 4;
	struct dns_set set;

	for (unsigned k = 0; k < 2; k++) {
		unsigned six = six_first ? !k : k;

		if (!want[six] || !known(w, six ? DNS_AAAA : DNS_A, name, &set))
			continue;
		for (unsigned i = 0; i < set.n; i++) {
			struct net_addr a = { .port = port, .family = six ? AF_INET6 : AF_INET };

			memcpy(a.ip, set.rr[i].ip, six ? 16 : 4);
			answer_add(w->out, &a, proto);
		}
	}
}

/* RFC 2782: by priority; within one, at random by weight, or heaviest first. */
static void srv_order(struct dns_set *set)
{
	for (unsigned i = 0; i < set->n; i++) { /* i: next place to fill */
		unsigned best = i;
		uint64_t sum = 0, pick;

		for (unsigned k = i; k < set->n; k++) {
			if (set->rr[k].order < set->rr[best].order)
				best = k;
		}
		for (unsigned k = i; k < set->n; k++) {
			if (set->rr[k].order != set->rr[best].order)
				continue;
			sum += set->rr[k].weight;
			if (!res.conf.srv_lb && set->rr[k].weight > set->rr[best].weight)
				best = k;
		}
		if (res.conf.srv_lb && sum > 0) {
			uint16_t order = set->rr[best].order;

			pick = rng_below((uint32_t)sum) + 1;
			for (unsigned k = i; k < set->n; k++) {
				if (set->rr[k].order != order)
					continue;
				if (pick <= set->rr[k].weight) {
					best = k;
					break;
				}
				pick -= set->rr[k].weight;
			}
		}
		if (best != i) {
			struct dns_rr t = set->rr[i];

			set->rr[i] = set->rr[best];
			set->rr[best] = t;
		}
	}
}

enum srv_result { SRV_MISSING, SRV_NONE, SRV_FOUND };

static enum srv_result walk_srv(struct walk *w, struct str name, enum sip_proto proto)
{
	struct dns_set set;

	if (!known(w, DNS_SRV, name, &set))
		return SRV_MISSING;
	if (set.n == 0)
		return SRV_NONE;
	srv_order(&set);
	for (unsigned i = 0; i < set.n; i++) /* target ".": the service is decidedly not offered */
		walk_addresses(w, str_of(set.rr[i].name, set.rr[i].name_n), set.rr[i].port, proto);
	return SRV_FOUND;
}

static struct str srv_name(enum sip_proto proto, struct str host, char out[DNS_NAME_MAX])
{
	const char *prefix = proto == SIP_PROTO_UDP   ? "_sip._udp."
	                     : proto == SIP_PROTO_TLS ? "_sips._tcp."
	                                              : "_sip._tcp.";
	size_t n = strlen(prefix);

	if (host.n + n > DNS_NAME_MAX)
		return STR_NULL;
	memcpy(out, prefix, n);
	memcpy(out + n, host.s, host.n);
	return str_of(out, n + host.n);
}

static int preference(enum sip_proto proto)
{
	if (!has_proto(proto))
		return -1;
	return proto == SIP_PROTO_UDP   ? res.conf.udp_pref
	       : proto == SIP_PROTO_TLS ? res.conf.tls_pref
	                                : res.conf.tcp_pref;
}

static enum sip_proto service_proto(unsigned service)
{
	return service == DNS_SIP_UDP    ? SIP_PROTO_UDP
	       : service == DNS_SIPS_TCP ? SIP_PROTO_TLS
	                                 : SIP_PROTO_TCP;
}

/* Which of two NAPTR records is tried first. */
static bool naptr_before(const struct dns_rr *a, const struct dns_rr *b)
{
	int pa = preference(service_proto(a->service)), pb = preference(service_proto(b->service));

	if (res.conf.naptr_ignore_rfc && pa != pb)
		return pa > pb;
	return a->order != b->order ? a->order < b->order : a->weight < b->weight;
}

/* False: nothing usable there, go on without. */
static bool walk_naptr(struct walk *w, struct str host, bool secure)
{
	struct dns_set set;
	bool used = false;

	if (!known(w, DNS_NAPTR, host, &set))
		return true;
	for (unsigned i = 0; i + 1 < set.n; i++) {
		for (unsigned k = i + 1; k < set.n; k++) {
			if (naptr_before(&set.rr[k], &set.rr[i])) {
				struct dns_rr t = set.rr[i];

				set.rr[i] = set.rr[k];
				set.rr[k] = t;
			}
		}
	}
	for (unsigned i = 0; i < set.n; i++) {
		enum sip_proto proto = service_proto(set.rr[i].service);

		if (preference(proto) < 0 || (secure && proto != SIP_PROTO_TLS))
			continue;
		used |= walk_srv(w, str_of(set.rr[i].name, set.rr[i].name_n), proto) != SRV_NONE;
	}
	return used;
}

/* Without NAPTR and without a wish: the first transport, by our preference, that has SRV records.
 */
static bool walk_any_srv(struct walk *w, struct str host)
{
	enum sip_proto order[2] = { SIP_PROTO_UDP, SIP_PROTO_TCP };
	char name[DNS_NAME_MAX];
	bool missing = false;

	if (preference(SIP_PROTO_TCP) > preference(SIP_PROTO_UDP)) {
		order[0] = SIP_PROTO_TCP;
		order[1] = SIP_PROTO_UDP;
	}
	for (unsigned i = 0; i < 2; i++) {
		enum srv_result r;

		if (preference(order[i]) < 0)
			continue;
		r = walk_srv(w, srv_name(order[i], host, name), order[i]);
		missing |= r == SRV_MISSING;
		if (r == SRV_FOUND && !missing)
			return true;
	}
	return missing;
}

/* Returns 0; -EAGAIN with the missing questions; else why there is nothing. */
static int walk(struct walk *w, const struct resolve_query *q)
{
	enum sip_proto proto = q->proto ? q->proto : q->secure ? SIP_PROTO_TLS : SIP_PROTO_UDP;
	char text[DNS_NAME_MAX], srv[DNS_NAME_MAX];
	struct str host;
	struct net_addr a;

	w->out->n = 0;
	w->n_missing = 0;
	w->err = 0;
	if (q->secure && proto == SIP_PROTO_TCP)
		proto = SIP_PROTO_TLS;
	if (net_addr_parse(q->host, q->port ? q->port : sip_proto_default_port(proto), &a) == 0) {
		answer_add(w->out, &a, proto);
		return 0;
	}
	host = str_of(text, dns_name_lower(q->host, text));
	if (host.n == 0)
		return -ENOENT;
	if (q->port == 0) {
		if (q->proto == SIP_PROTO_NONE && res.conf.try_naptr &&
		    walk_naptr(w, host, q->secure))
			goto out;
		if (q->proto == SIP_PROTO_NONE && !q->secure
		        ? walk_any_srv(w, host)
		        : walk_srv(w, srv_name(proto, host, srv), proto) != SRV_NONE)
			goto out;
	}
	walk_addresses(w, host, q->port ? q->port : sip_proto_default_port(proto), proto);
out:
	if (w->n_missing)
		return -EAGAIN;
	if (w->out->n)
		return 0;
	return w->err ? w->err : -ENOENT;
}

int resolve_now(const struct resolve_query *q, struct resolve_answer *ret_answer)
{
	struct resolve_answer answer;
	struct question missing[MISSING_MAX];
	struct walk w = { .out = &answer, .missing = missing };
	int err;

	if (q->host.n == 0 || q->host.n > DNS_NAME_MAX)
		return -ENOENT;
	err = walk(&w, q);
	if (err == 0)
		*ret_answer = answer;
	return err;
}

/* ---- jobs ---- */

static void job_free(struct job *job)
{
	for (unsigned i = 0; i < job->n_results; i++)
		dns_result_unref(job->result[i]);
	loop_timer_del(job->timer);
	free(job);
}

/* Tells the outcome once; the memory goes when no question of it is under way any more. */
static void job_end(struct job *job, int err, const struct resolve_answer *answer)
{
	resolve_done_fn *done = job->done;
	static const struct resolve_answer none;

	job->done = NULL;
	res.n_jobs--;
	loop_timer_del(job->timer);
	job->timer = NULL;
	if (err < 0)
		shm_counter_add(res.failed, 1);
	done(job->arg, err, err == 0 ? answer : &none);
	if (job->pending == 0 && !job->step_due)
		job_free(job);
}

static void job_late(void *arg)
{
	struct job *job = arg;

	if (job->done)
		job_end(job, -ETIMEDOUT, NULL);
}

static void job_answered(void *arg, struct dns_result *r);

static void job_step(void *arg)
{
	struct job *job = arg;
	struct resolve_answer answer;
	struct question missing[MISSING_MAX];
	struct walk w = { .job = job, .out = &answer, .missing = missing };
	int err;

	job->step_due = false;
	if (!job->done) {
		if (job->pending == 0)
			job_free(job);
		return;
	}
	err = walk(&w, &job->q);
	if (err == -EAGAIN &&
	    (++job->rounds > ROUNDS_MAX || job->n_results + w.n_missing > MISSING_MAX))
		err = -EHOSTUNREACH;
	if (err != -EAGAIN) {
		job_end(job, err, &answer);
		return;
	}
	job->pending++; /* so that an answer from within does not step it yet */
	for (unsigned i = 0; i < w.n_missing; i++) { /* what cannot be asked: the job looks a few times, then gives up */
		job->pending++;
		if (dns_ask(missing[i].type, str_of(missing[i].name, missing[i].name_n), job_answered, job) < 0)
			job->pending--;
	}
	if (--job->pending == 0) {
		job->step_due = true;
		if (loop_defer(res.loop, job_step, job) < 0) {
			job->step_due = false;
			job_end(job, -EHOSTUNREACH, NULL);
		}
	}
}

static void job_answered(void *arg, struct dns_result *r)
{
	struct job *job = arg;

	if (!r && job->done) { /* no memory */
		job_end(job, -EHOSTUNREACH, NULL);
	} else if (job->done && job->n_results < MISSING_MAX) {
		job->result[job->n_results++] = r;
		r->refs++;
	}
	if (--job->pending > 0 || job->step_due)
		return;
	job->step_due = true;
	if (loop_defer(res.loop, job_step, job) < 0) {
		job->step_due = false;
		if (job->done)
			job_end(job, -EHOSTUNREACH, NULL);
		else
			job_free(job);
	}
}

int resolve_ask(const struct resolve_query *q, resolve_done_fn *done, void *arg)
{
	struct job *job;
	uint64_t timeout = res.conf.timeout_ms ? res.conf.timeout_ms : DEFAULT_TIMEOUT_MS;
	int err;

	if (!res.loop)
		return -EBUSY;
	if (res.n_jobs >= JOBS_MAX || dns_asks_full())
		return -EBUSY;
	if (q->host.n > DNS_NAME_MAX)
		return -ENOENT;
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->q = *q;
	if (q->host.n)
		memcpy(job->host_text, q->host.s, q->host.n);
	job->q.host = str_of(job->host_text, q->host.n);
	job->done = done;
	job->arg = arg;
	err = loop_timer_add(res.loop, timeout, 0, job_late, job, &job->timer);
	if (err == 0) {
		job->step_due = true;
		err = loop_defer(res.loop, job_step, job);
	}
	if (err < 0) {
		job_free(job);
		return -ENOMEM;
	}
	res.n_jobs++;
	return 0;
}

/* ---- one set of records ---- */

struct lookup {
	resolve_set_fn *done; /* NULL: was told that it is late */
	void *arg;
	struct loop_timer *timer; /* at the deadline; at once when the answer is there */
	struct dns_result *result;
	bool answered;
};

static void lookup_due(void *arg)
{
	static const struct dns_set late = { .err = -ETIMEDOUT }, none = { .err = -EHOSTUNREACH };
	struct lookup *l = arg;
	resolve_set_fn *done = l->done;

	loop_timer_del(l->timer);
	l->timer = NULL;
	l->done = NULL;
	done(l->arg, !l->answered ? &late : l->result ? &l->result->set : &none);
	if (!l->answered)
		return; /* its question is under way: lookup_answered() */
	dns_result_unref(l->result);
	free(l);
}

static void lookup_answered(void *arg, struct dns_result *r)
{
	struct lookup *l = arg;

	if (!l->done) {
		free(l);
		return;
	}
	l->answered = true;
	l->result = r;
	if (r)
		r->refs++;
	loop_timer_set(l->timer, 0);
}

int resolve_set_ask(enum dns_type type, struct str name, resolve_set_fn *done, void *arg)
{
	uint64_t timeout = res.conf.timeout_ms ? res.conf.timeout_ms : DEFAULT_TIMEOUT_MS;
	char text[DNS_NAME_MAX];
	struct lookup *l;
	int err;

	if (!res.loop)
		return -EBUSY;
	name = str_of(text, dns_name_lower(name, text));
	if (name.n == 0)
		return -ENOENT;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->done = done;
	l->arg = arg;
	err = loop_timer_add(res.loop, timeout, 0, lookup_due, l, &l->timer);
	if (err == 0 && res.conf.use_cache) {
		struct dns_result *r = calloc(1, sizeof(*r));

		if (r && dns_cache_get(type, name, &r->set) == 0) {
			lookup_answered(l, r);
			return 0;
		}
		free(r);
	}
	if (err == 0)
		err = dns_ask(type, name, lookup_answered, l);
	if (err < 0) {
		loop_timer_del(l->timer);
		free(l);
	}
	return err;
}

size_t resolve_reverse_name(const struct net_addr *addr, char out[RESOLVE_REVERSE_MAX])
{
	static const char hex[] = "0123456789abcdef", v6[] = "ip6.arpa";
	size_t n = 0;

	if (addr->family == AF_INET)
		return (size_t)snprintf(out, RESOLVE_REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa", addr->ip[3], addr->ip[2], addr->ip[1], addr->ip[0]);
	for (unsigned i = 16; i-- > 0;) {
		out[n++] = hex[addr->ip[i] & 15];
		out[n++] = '.';
		out[n++] = hex[addr->ip[i] >> 4];
		out[n++] = '.';
	}
	memcpy(out + n, v6, sizeof(v6));
	return n + sizeof(v6) - 1;
}

/* ---- start ---- */

static void configure_asking(void)
{
	struct dns_ask_conf ask = { .use_cache = res.conf.use_cache, .use_search_list = res.conf.use_search_list, .slow_query_ms = res.conf.slow_query_ms,
				    .retr_time = res.conf.retr_time, .retr_no = res.conf.retr_no, .servers_no = res.conf.servers_no, .servers = res.servers };

	dns_ask_configure(&ask);
}

int resolve_worker_init(struct loop *loop)
{
	res.loop = loop;
	return dns_ask_init(loop);
}

static struct dns_cache_conf cache_conf(const struct resolve_conf *conf)
{
	return (struct dns_cache_conf){
		.negative_ttl_s = (uint32_t)conf->negative_ttl,
		.min_ttl_s = (uint32_t)conf->min_ttl,
		.max_ttl_s = conf->max_ttl > 0 ? (uint32_t)conf->max_ttl : 0,
		.bytes_max = (uint64_t)conf->cache_mem_kb * 1024u,
	};
}

void resolve_reconf(const struct resolve_conf *conf)
{
	struct dns_cache_conf cache = cache_conf(conf);
	struct str servers = res.conf.servers;

	res.conf = *conf;
	res.conf.servers = servers;
	res.conf.use_cache = conf->use_cache && dns_cache_reconf(&cache) == 0;
	configure_asking();
}

int resolve_init(const struct resolve_conf *conf)
{
	struct dns_cache_conf cache = cache_conf(conf);
	int err;

	if (conf->servers.n >= sizeof(res.servers) || conf->negative_ttl < 0 || conf->min_ttl < 0 ||
	    conf->cache_mem_kb < 0)
		return -EINVAL;
	res.conf = *conf;
	if (conf->servers.n)
		memcpy(res.servers, conf->servers.s, conf->servers.n);
	res.servers[conf->servers.n] = 0;
	res.conf.servers = str_of(res.servers, conf->servers.n);
	res.failed = shm_counter_register("dns", "failed_dns_request");
	dns_ask_register();
	configure_asking();
	err = net_hosts_read();
	if (err == 0 && conf->use_cache)
		err = dns_cache_init(&cache);
	return err;
}
