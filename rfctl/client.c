/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the server and calls it. A socket is tried in the three ways that a server may speak: JSON-RPC on a stream (answers of any
 * length), JSON-RPC in datagrams, binrpc on a stream. Who closes a stream at the sight of JSON speaks binrpc. Every wait has the
 * deadline of --timeout.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/strbuf.h"
#include "rfctl/rfctl.h"

#define ANSWER_MAX ((size_t)512 << 20)
#define TRIES_TEXT 512

enum speech { JSON_STREAM, JSON_DGRAM, BINRPC };

struct peer {
	enum speech speech;
	struct sockaddr_storage addr;
	socklen_t addr_n;
	char name[160];
};

void rf_peer_free(struct peer *peer)
{
	free(peer);
}

void rf_reply_done(struct rf_reply *reply)
{
	json_decref(reply->result);
	reply->result = NULL;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Waits for the descriptor. Returns 0 or -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { fd, events, 0 };
	uint64_t now;

	while ((now = now_ms()) < deadline) {
		int n = poll(&p, 1, (int)(deadline - now));

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	return -ETIMEDOUT;
}

/* ---- one connection ---- */

static int open_peer(const struct peer *p, uint64_t deadline, int *ret_fd)
{
	int type = p->speech == JSON_DGRAM ? SOCK_DGRAM : SOCK_STREAM, err = 0, fd;
	socklen_t n = sizeof(err);

	fd = socket(p->addr.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (type == SOCK_DGRAM) { /* the answer needs somewhere to go: a name that the kernel makes, and no file */
		struct sockaddr_un me = { .sun_family = AF_UNIX };
		int size = 1 << 20;

		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		if (bind(fd, (struct sockaddr *)&me, sizeof(sa_family_t)) < 0)
			goto fail;
	}
	while (connect(fd, (const struct sockaddr *)&p->addr, p->addr_n) < 0) {
		if (errno == EAGAIN && now_ms() < deadline) { /* AF_UNIX: many wait to be accepted; poll() does not say when there is room */
			(void)nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
			continue;
		}
		if (errno != EINPROGRESS)
			goto fail;
		err = wait_for(fd, POLLOUT, deadline);
		if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0)
			err = -err;
		if (err < 0) {
			(void)close(fd);
			return err;
		}
		break;
	}
	*ret_fd = fd;
	return 0;
fail:
	err = errno == EAGAIN ? -ETIMEDOUT : -errno;
	(void)close(fd);
	return err;
}

static int send_all(int fd, struct str bytes, uint64_t deadline)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.s, bytes.n, MSG_NOSIGNAL);

		if (n >= 0)
			bytes = str_sub(bytes, (size_t)n, bytes.n);
		else if (errno == EAGAIN) {
			int err = wait_for(fd, POLLOUT, deadline);

			if (err < 0)
				return err;
		} else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Until the answer is whole: a datagram, the end of a stream, a packet of binrpc. */
static int read_answer(int fd, enum speech speech, uint64_t deadline, struct strbuf *out)
{
	static char buf[1 << 18];

	for (;;) {
		ssize_t n;
		int err = wait_for(fd, POLLIN, deadline);

		if (err < 0)
			return err;
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 && speech != JSON_DGRAM)
			return 0;
		strbuf_add(out, str_of(buf, (size_t)n));
		if (strbuf_err(out) < 0)
			return -EMSGSIZE;
		if (speech == JSON_DGRAM || (speech == BINRPC && bin_frame(strbuf_str(out)) != 0))
			return 0;
	}
}

static int exchange(const struct peer *p, struct str request, uint64_t deadline, struct strbuf *answer)
{
	int fd, err = open_peer(p, deadline, &fd);

	if (err < 0)
		return err;
	err = send_all(fd, request, deadline);
	if (err == 0)
		err = read_answer(fd, p->speech, deadline, answer);
	(void)close(fd);
	return err;
}

/* ---- documents ---- */

static int json_request(const char *method, json_t *params, struct strbuf *out)
{
	json_t *doc = json_pack("{ss, ss, si}", "jsonrpc", "2.0", "method", method, "id", 1);
	char *text;

	if (doc && params)
		json_object_set(doc, "params", params);
	text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	if (text)
		strbuf_add_lit(out, text);
	free(text);
	json_decref(doc);
	return text ? strbuf_err(out) : -EINVAL;
}

static int json_reply(struct str text, struct rf_reply *ret)
{
	json_t *doc = rf_json_load(text);
	json_t *error = json_object_get(doc, "error"), *result = json_object_get(doc, "result");

	if (!error && !result) {
		json_decref(doc);
		return -EBADMSG;
	}
	if (error) {
		const char *message = json_string_value(json_object_get(error, "message"));

		ret->code = (int)json_integer_value(json_object_get(error, "code"));
		(void)snprintf(ret->text, sizeof(ret->text), "%s", message ? message : "fault");
	} else {
		ret->result = json_incref(result);
	}
	json_decref(doc);
	return 0;
}

/*
 * One call. Returns 0 with ret filled, or a negative errno. -EPROTO: it closed the stream without a word; -EBADMSG: that was no answer.
 */
static int call(const struct peer *p, const char *method, json_t *params, unsigned timeout_ms, struct rf_reply *ret)
{
	uint64_t deadline = now_ms() + timeout_ms;
	struct strbuf request, answer;
	int err;

	strbuf_init(&request, 1 << 17);
	strbuf_init(&answer, ANSWER_MAX);
	err = p->speech == BINRPC ? bin_request(method, params, &request) : json_request(method, params, &request);
	if (err == 0)
		err = exchange(p, strbuf_str(&request), deadline, &answer);
	if (err == -ECONNRESET || err == -EPIPE || (err == 0 && answer.n == 0))
		err = -EPROTO;
	if (err == 0)
		err = p->speech == BINRPC ? bin_reply(strbuf_str(&answer), ret) : json_reply(strbuf_str(&answer), ret);
	strbuf_done(&request);
	strbuf_done(&answer);
	return err;
}

/* ---- where the server is ---- */

static const char *error_text(int err)
{
	switch (-err) {
	case ETIMEDOUT:
		return "no answer in time (--timeout)";
	case EBADMSG:
		return "what it answers is neither JSON-RPC nor binrpc";
	case EPROTO:
		return "it closed the connection without an answer";
	case EMSGSIZE:
		return "its answer, or the request, is too long";
	case ECONNREFUSED:
		return "nobody listens";
	default:
		return strerror(-err);
	}
}

struct search {
	struct rfctl *rf;
	struct strbuf tried; /* what did not work, and why */
};

static const char too_long[] = "this name is too long for a socket";

static void tell(struct search *s, const char *name, const char *why)
{
	strbuf_printf(&s->tried, "%s%s: %s", s->tried.n ? "; " : "", name, why);
}

static bool unix_peer(struct peer *p, enum speech speech, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&p->addr;

	if (strlen(path) >= sizeof(un->sun_path))
		return false;
	*p = (struct peer){ .speech = speech };
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	p->addr_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	(void)snprintf(p->name, sizeof(p->name), "%s", path);
	return true;
}

/* Does somebody listen? */
static int knock(struct search *s, const struct peer *p)
{
	int fd = -1, err = open_peer(p, now_ms() + s->rf->timeout_ms, &fd);

	if (err == 0)
		(void)close(fd);
	return err;
}

static bool take(struct search *s, const struct peer *p)
{
	int err = knock(s, p);

	if (err < 0) {
		tell(s, p->name, error_text(err));
		return false;
	}
	s->rf->peer = malloc(sizeof(*p));
	if (s->rf->peer)
		*s->rf->peer = *p;
	return s->rf->peer != NULL;
}

/* A file in the run directory that may not be there at all. */
static bool take_file(struct search *s, enum speech speech, const char *dir, const char *name)
{
	char path[256];
	struct peer p;
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) || !unix_peer(&p, speech, path))
		return false;
	if (stat(path, &st) < 0 && errno == ENOENT)
		return false;
	return take(s, &p);
}

static bool take_dir(struct search *s, const char *dir)
{
	size_t before = s->tried.n;
	struct stat st;

	if (take_file(s, JSON_STREAM, dir, "kamailio_rpc.sock.stream") || take_file(s, JSON_DGRAM, dir, "kamailio_rpc.sock") ||
	    take_file(s, BINRPC, dir, "kamailio_ctl"))
		return true;
	if (s->tried.n == before)
		tell(s, dir, stat(dir, &st) < 0 ? strerror(errno) : "no socket of a server");
	return false;
}

/* A stream beside a datagram socket is better: its answers may be longer. */
static bool take_path(struct search *s, const char *path)
{
	char longer[256];
	struct peer p;
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return take_dir(s, path);
	if (snprintf(longer, sizeof(longer), "%s.stream", path) < (int)sizeof(longer) && stat(longer, &st) == 0 &&
	    unix_peer(&p, JSON_STREAM, longer) && take(s, &p))
		return true;
	if (!unix_peer(&p, JSON_DGRAM, path)) {
		tell(s, path, too_long);
		return false;
	}
	if (knock(s, &p) == -EPROTOTYPE)
		p.speech = JSON_STREAM;
	return take(s, &p);
}

static bool take_tcp(struct search *s, const char *text)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(text, ':');
	struct addrinfo *found = NULL;
	struct peer p = { .speech = JSON_STREAM };
	char host[128];
	int err;

	if (!colon || colon == text || snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text) >= (int)sizeof(host)) {
		tell(s, text, "tcp:host:port expected");
		return false;
	}
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = '\0';
	}
	err = getaddrinfo(host, colon + 1, &hints, &found);
	if (err) {
		tell(s, text, gai_strerror(err));
		return false;
	}
	memcpy(&p.addr, found->ai_addr, found->ai_addrlen);
	p.addr_n = found->ai_addrlen;
	freeaddrinfo(found);
	(void)snprintf(p.name, sizeof(p.name), "tcp:%s", text);
	return take(s, &p);
}

static bool take_address(struct search *s, const char *a)
{
	struct peer p;

	if (strncmp(a, "tcp:", 4) == 0)
		return take_tcp(s, a + 4);
	if (strncmp(a, "ctl:", 4) == 0) {
		if (unix_peer(&p, BINRPC, a + 4))
			return take(s, &p);
		tell(s, a, too_long);
		return false;
	}
	return take_path(s, strncmp(a, "unix:", 5) == 0 ? a + 5 : a);
}

static bool find_peer(struct search *s)
{
	const char *address = s->rf->address ? s->rf->address : getenv("RINGFORT_SOCKET");

	if (address && address[0])
		return take_address(s, address);
	return take_dir(s, "/run/kamailio") || take_dir(s, "/run/ringfort");
}

/* ---- calls ---- */

int rf_try(struct rfctl *rf, const char *method, json_t *params, struct rf_reply *ret)
{
	struct search s = { .rf = rf };
	char tried[TRIES_TEXT];
	int err;

	*ret = (struct rf_reply){ 0 };
	strbuf_init_fixed(&s.tried, tried, sizeof(tried));
	if (!rf->peer && !find_peer(&s)) {
		(void)snprintf(ret->text, sizeof(ret->text), "nobody answers: %.*s", STR_FMT(strbuf_str(&s.tried)));
		json_decref(params);
		return RF_NOBODY;
	}
	err = call(rf->peer, method, params, rf->timeout_ms, ret);
	if (err == -EPROTO && rf->peer->speech == JSON_STREAM && rf->peer->addr.ss_family == AF_UNIX) {
		rf->peer->speech = BINRPC;
		err = call(rf->peer, method, params, rf->timeout_ms, ret);
	}
	json_decref(params);
	if (err == -EINVAL) {
		(void)snprintf(ret->text, sizeof(ret->text), "binrpc cannot carry these parameters");
		return RF_REFUSED;
	}
	if (err < 0) {
		(void)snprintf(ret->text, sizeof(ret->text), "nobody answers: %s: %s", rf->peer->name, error_text(err));
		return RF_NOBODY;
	}
	return ret->result ? RF_OK : RF_REFUSED;
}

/* Commands of modules are there only when the script loads them. */
static const char *module_of(const char *method)
{
	static const char *const known[][2] = { { "ul.", "usrloc" }, { "htable.", "htable" }, { "stats.", "kex" }, { "pike.", "pike" },
						 { "cfg.", "cfg_rpc" }, { "tm.", "tm" }, { "sl.", "sl" }, { "cnt.", "counters" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(method, known[i][0], strlen(known[i][0])) == 0)
			return known[i][1];
	return NULL;
}

static bool is_unknown(const struct rf_reply *r, const char *method)
{
	char bin[160];

	(void)snprintf(bin, sizeof(bin), "command %s not found", method);
	return strcasecmp(r->text, "Method not found") == 0 || strcmp(r->text, bin) == 0;
}

int rf_call(struct rfctl *rf, const char *method, json_t *params, json_t **ret_result)
{
	const char *module = module_of(method);
	struct rf_reply r;
	int status = rf_try(rf, method, params, &r);

	if (status == RF_OK) {
		*ret_result = r.result;
		return RF_OK;
	}
	if (status == RF_REFUSED && is_unknown(&r, method))
		return rf_fail(rf, status, r.code, "the server has no command %s%s%s%s", method, module ? " (it is module " : "", module ? module : "",
			       module ? "'s: is that loaded?)" : "");
	return rf_fail(rf, status, r.code, "%s", r.text);
}
