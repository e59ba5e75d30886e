/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to name servers: c-ares on the loop of this process. Equal questions that are under way are asked once; an answer goes to
 * the shared cache and to each who waited, as its lifetime may be 0.
 */
#include <ares.h>
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/hashfn.h"
#include "core/net/dns.h"
#include "shm/counter.h"

#define ASK_BUCKETS 256u
#define ARES_FDS_MAX 32u
/*
 * Questions that the server has not answered outlive who asked them. c-ares looks for a free one of its 65536 identifiers
 * for as long as it takes, which is for ever when there is none.
 */
#define ASKS_MAX 16384u
/* Unless set: a lost datagram must be repeated while somebody still waits. c-ares doubles the first, its own default is 5 s. */
#define TRY_MS 1000
#define TRIES 3

struct waiting {
	dns_done_fn *done;
	void *arg;
};

struct ask { /* a question under way */
	struct ask *next;
	enum dns_type type;
	uint8_t name_n;
	char name[DNS_NAME_MAX + 1]; /* ends in NUL, for c-ares */
	struct waiting *waiting;
	unsigned n, cap;
	uint64_t since_ms;
};

static struct {
	struct dns_ask_conf conf;
	struct loop *loop;
	ares_channel channel;
	struct loop_timer *timer;
	struct {
		ares_socket_t fd;
		struct loop_io *io;
	} fd[ARES_FDS_MAX];
	struct ask *asks[ASK_BUCKETS];
	unsigned n_asks;
	int slow; /* counter */
} res = { .slow = -1 };

/* ---- results ---- */

void dns_result_unref(struct dns_result *r)
{
	if (r && --r->refs == 0)
		free(r);
}

static int status_err(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	default:
		return -EHOSTUNREACH;
	}
}

/* NULL: no memory. */
static struct dns_result *result_new(const struct ask *a, int status, const unsigned char *bytes, int n)
{
	struct dns_result *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->refs = 1;
	r->type = a->type;
	r->name_n = a->name_n;
	memcpy(r->name, a->name, a->name_n);
	r->set.err = status_err(status);
	if (status == ARES_SUCCESS && (!bytes || n < 0 || dns_answer_parse(bytes, (size_t)n, a->type, &r->set) < 0)) {
		r->set.n = 0;
		r->set.err = -EHOSTUNREACH;
	}
	return r;
}

/* ---- questions under way ---- */

static struct ask **ask_bucket(enum dns_type type, struct str name)
{
	return &res.asks[hashfn64_seed(name.s, name.n, (uint64_t)type) % ASK_BUCKETS];
}

static void ask_end(struct ask *a, int status, const unsigned char *bytes, int n)
{
	struct str name = str_of(a->name, a->name_n);
	struct dns_result *r = result_new(a, status, bytes, n);

	if (r && res.conf.use_cache && (r->set.err == 0 || r->set.err == -ENOENT))
		dns_cache_put(a->type, name, &r->set);
	if (res.conf.slow_query_ms > 0 && clock_ms() - a->since_ms > (uint64_t)res.conf.slow_query_ms)
		shm_counter_add(res.slow, 1);
	for (struct ask **at = ask_bucket(a->type, name); *at; at = &(*at)->next) {
		if (*at == a) {
			*at = a->next;
			res.n_asks--;
			break;
		}
	}
	for (unsigned i = 0; i < a->n; i++)
		a->waiting[i].done(a->waiting[i].arg, r);
	dns_result_unref(r);
	free(a->waiting);
	free(a);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int n)
{
	(void)timeouts;
	if (status != ARES_EDESTRUCTION)
		ask_end(arg, status, bytes, n);
}

static void arm_timer(void)
{
	struct timeval tv, *next = ares_timeout(res.channel, NULL, &tv);

	if (next)
		loop_timer_set(res.timer, (uint64_t)next->tv_sec * 1000u + (uint64_t)next->tv_usec / 1000u + 1);
}

static int ask_wait(struct ask *a, dns_done_fn *done, void *arg)
{
	if (a->n == a->cap) {
		unsigned cap = a->cap ? a->cap * 2 : 4;
		struct waiting *w = realloc(a->waiting, cap * sizeof(*w));

		if (!w)
			return -ENOMEM;
		a->waiting = w;
		a->cap = cap;
	}
	a->waiting[a->n++] = (struct waiting){ done, arg };
	return 0;
}

bool dns_asks_full(void)
{
	return res.n_asks >= ASKS_MAX;
}

int dns_ask(enum dns_type type, struct str name, dns_done_fn *done, void *arg)
{
	struct ask **at = ask_bucket(type, name), *a;
	int err;

	if (!res.loop)
		return -EBUSY;
	if (name.n == 0 || name.n > DNS_NAME_MAX)
		return -ENOENT;
	for (a = *at; a; a = a->next)
		if (a->type == type && a->name_n == name.n && memcmp(a->name, name.s, name.n) == 0)
			return ask_wait(a, done, arg);
	if (dns_asks_full())
		return -EBUSY;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	err = ask_wait(a, done, arg);
	if (err < 0) {
		free(a);
		return err;
	}
	a->type = type;
	a->name_n = (uint8_t)name.n;
	memcpy(a->name, name.s, name.n);
	a->since_ms = clock_ms();
	res.n_asks++;
	a->next = *at;
	*at = a;
	if (!dns_servers_up() || memchr(a->name, 0, a->name_n)) {
		ask_end(a, dns_servers_up() ? ARES_EBADNAME : ARES_ECONNREFUSED, NULL, 0);
		return 0;
	}
	if (res.conf.use_search_list && (type == DNS_A || type == DNS_AAAA) && !strchr(a->name, '.'))
		ares_search(res.channel, a->name, 1, (int)type, on_answer, a);
	else
		ares_query(res.channel, a->name, 1, (int)type, on_answer, a);
	arm_timer();
	return 0;
}

/* ---- c-ares on the loop ---- */

static void on_fd(void *arg, int fd, int events)
{
	(void)arg;
	if (events < 0)
		events = LOOP_READ | LOOP_WRITE; /* c-ares finds out */
	ares_process_fd(res.channel, events & LOOP_READ ? fd : ARES_SOCKET_BAD,
	                events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
	arm_timer();
}

static void on_time(void *arg)
{
	(void)arg;
	ares_process_fd(res.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm_timer();
}

/* A descriptor that cannot be watched is not: its questions run into c-ares's own timeout. */
static void on_fd_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	int events = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);
	unsigned free_at = ARES_FDS_MAX;

	(void)arg;
	for (unsigned i = 0; i < ARES_FDS_MAX; i++) {
		if (res.fd[i].io && res.fd[i].fd == fd) {
			if (events && loop_io_set(res.fd[i].io, events) == 0)
				return;
			loop_io_del(res.fd[i].io);
			res.fd[i].io = NULL;
			return;
		}
		if (!res.fd[i].io)
			free_at = i;
	}
	if (!events || free_at == ARES_FDS_MAX)
		return;
	res.fd[free_at].fd = fd;
	if (loop_io_add(res.loop, fd, events, on_fd, NULL, &res.fd[free_at].io) < 0)
		res.fd[free_at].io = NULL;
}

/* Of what resolv.conf names: the first n. */
static int keep_servers(int n)
{
	struct ares_addr_port_node *list, *at;
	int err;

	if (ares_get_servers_ports(res.channel, &list) != ARES_SUCCESS)
		return -ENOMEM;
	for (at = list; at && --n > 0; at = at->next)
		;
	if (!at || !at->next) {
		ares_free_data(list);
		return 0;
	}
	{
		struct ares_addr_port_node *rest = at->next;

		at->next = NULL;
		err = ares_set_servers_ports(res.channel, list);
		at->next = rest;
	}
	ares_free_data(list);
	return err == ARES_SUCCESS ? 0 : -ENOMEM;
}

void dns_ask_configure(const struct dns_ask_conf *conf)
{
	res.conf = *conf;
}

void dns_ask_register(void)
{
	res.slow = shm_counter_register("dns", "slow_dns_request");
}

int dns_ask_init(struct loop *loop)
{
	struct ares_options o = { .sock_state_cb = on_fd_state,
				  .timeout = res.conf.retr_time > 0 ? res.conf.retr_time * 1000 : TRY_MS,
				  .tries = res.conf.retr_no > 0 ? res.conf.retr_no : TRIES };
	int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES, err;

	res.loop = loop;
	err = loop_timer_add(loop, 3600000, 0, on_time, NULL, &res.timer);
	if (err < 0)
		return err;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS ||
	    ares_init_options(&res.channel, &o, mask) != ARES_SUCCESS)
		return -ENOMEM;
	if (res.conf.servers[0] && ares_set_servers_ports_csv(res.channel, res.conf.servers) != ARES_SUCCESS)
		return -EINVAL;
	return res.conf.servers_no > 0 ? keep_servers(res.conf.servers_no) : 0;
}
