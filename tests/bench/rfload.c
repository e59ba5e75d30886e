/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SIP load generator for loopback: keeps a window of transactions going against a server over UDP and prints one line of JSON.
 *
 * Each slot of the window has a number; the number and a generation are written into the Call-ID in fixed width, so that an answer finds its
 * slot by looking at fixed places. A slot that hears nothing for two seconds is counted lost and starts anew. It waits in epoll, since who waits how
 * is part of what a server's send costs. Messages are put together by copying and looked at once, line by line: what the generator needs
of the machine the server does not get.
 *
 * usage: rfload options|register|message|call|lookup [-t IP:PORT] [-n COUNT] [-w WINDOW] [-u USERS] [-o FIRST] [-r] [-e UNIXTIME] [-p PORT] [-s SECONDS]
 *
 * Users are uFIRST, uFIRST+1 ...; -r: each once as well, but in an order that no cache foresees. -e: registrations end at that time (else after an
 * hour). lookup: OPTIONS for a user; what the script does with it is its own affair.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define BYTES 4096
#define CALLERS 8 /* sockets that requests leave from */
#define LOST_US 2000000u
#define BUCKETS 50000 /* of 10 us */
#define SCATTER 2654435761u /* prime: each user once per round */

enum work { OPTIONS, REGISTER, MESSAGE, CALL, LOOKUP, N_WORK };
static const char *const work_names[N_WORK] = { "options", "register", "message", "call", "lookup" };

struct slot {
	uint32_t generation;
	uint32_t user;
	uint64_t began_us, heard_us;
	bool busy, answered; /* answered: the 200 of the INVITE came, BYE is under way */
};

struct sender {
	int fd;
	unsigned n;
	struct mmsghdr hdr[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in to[BATCH];
	char bytes[BATCH][BYTES];
};

static struct {
	enum work work;
	struct sockaddr_in server;
	long count, started, done, lost, odd;
	unsigned window, users, first, port;
	bool scattered;
	long expire_at;
	double seconds;
	struct slot *slot;
	struct sender *caller[CALLERS], *callee;
	uint32_t histogram[BUCKETS];
	char first_odd[128];
} g = { .count = 10000, .window = 64, .users = 1000, .port = 30000, .seconds = 60 };

#define CALLER "\"Caller\" <sip:caller@bench.test>"
#define COMMON                                                                                      \
	"User-Agent: Acme SIP Phone 4.2.1.7\r\nPrivacy: none\r\nSupported: replaces, path, timer\r\n" \
	"Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE\r\n" \
	"Accept: application/sdp, application/dtmf-relay\r\n"
#define SDP                                                                                                                     \
	"v=0\r\no=- 4211 4211 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n" \
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void flush(struct sender *s)
{
	unsigned at = 0;

	while (at < s->n) {
		int r = sendmmsg(s->fd, s->hdr + at, s->n - at, 0);

		if (r > 0)
			at += (unsigned)r;
		else if (errno == EAGAIN || errno == ENOBUFS)
			usleep(20);
		else if (errno != EINTR)
			at++; /* this one cannot be sent: its slot will count as lost */
	}
	s->n = 0;
}

/* A message being written; room() is large enough for all that is put. */
struct text {
	char *begin, *p;
};

static struct text room(struct sender *s)
{
	if (s->n == BATCH)
		flush(s);
	return (struct text){ s->bytes[s->n], s->bytes[s->n] };
}

static void put(struct text *t, const char *s, size_t n)
{
	if ((size_t)(t->p - t->begin) + n > BYTES)
		n = 0; /* the server answers 400, and the slot counts as odd */
	memcpy(t->p, s, n);
	t->p += n;
}

#define PUT(t, literal) put(t, literal, sizeof(literal) - 1)

/* At least that many digits. */
static void put_number(struct text *t, unsigned long v, int digits)
{
	char b[24], *p = b + sizeof(b);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	while (b + sizeof(b) - p < digits)
		*--p = '0';
	put(t, p, (size_t)(b + sizeof(b) - p));
}

static void queue(struct sender *s, const struct text *t, const struct sockaddr_in *to)
{
	s->to[s->n] = *to;
	s->iov[s->n] = (struct iovec){ t->begin, (size_t)(t->p - t->begin) };
	s->hdr[s->n].msg_hdr = (struct msghdr){ .msg_name = &s->to[s->n], .msg_namelen = sizeof(*to), .msg_iov = &s->iov[s->n], .msg_iovlen = 1 };
	s->n++;
}

static unsigned slot_index(const struct slot *s)
{
	return (unsigned)(s - g.slot);
}

/* Call-ID: 5 digits of slot, 'x', 10 of generation. */
static void put_call_id(struct text *t, const struct slot *s, char between)
{
	put_number(t, slot_index(s), 5);
	put(t, &between, 1);
	put_number(t, s->generation, 10);
}

static void put_user(struct text *t, const struct slot *s)
{
	PUT(t, "sip:u");
	put_number(t, s->user, 1);
	PUT(t, "@bench.test");
}

/* Behind the Request-URI: what each request has in common. leg: which of the slot's transactions. */
static void put_head(struct text *t, const struct slot *s, char leg)
{
	PUT(t, " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:");
	put_number(t, g.port + slot_index(s) % CALLERS, 1);
	PUT(t, ";branch=z9hG4bK");
	put_call_id(t, s, '.');
	PUT(t, ".");
	put(t, &leg, 1);
	PUT(t, ";rport\r\nMax-Forwards: 70\r\nCall-ID: ");
	put_call_id(t, s, 'x');
	PUT(t, "@load\r\n");
}

/* to_n 0: the user. */
static void put_from_to(struct text *t, const struct slot *s, const char *from, const char *to, size_t to_n)
{
	PUT(t, "From: ");
	if (from) {
		put(t, from, strlen(from));
	} else {
		PUT(t, "<");
		put_user(t, s);
		PUT(t, ">");
	}
	PUT(t, ";tag=f");
	put_number(t, s->generation, 1);
	PUT(t, "\r\nTo: ");
	if (to_n) {
		put(t, to, to_n);
	} else {
		PUT(t, "<");
		put_user(t, s);
		PUT(t, ">");
	}
	PUT(t, "\r\n");
}

static void put_register(struct text *t, const struct slot *s)
{
	PUT(t, "REGISTER sip:bench.test");
	put_head(t, s, 'a');
	put_from_to(t, s, NULL, NULL, 0);
	PUT(t, "CSeq: 1 REGISTER\r\nContact: <sip:u");
	put_number(t, s->user, 1);
	PUT(t, "@127.0.0.1:");
	put_number(t, g.port - 1, 1);
	PUT(t, ";ob>;expires=");
	put_number(t, (unsigned long)(g.expire_at ? g.expire_at - (long)time(NULL) : 3600), 1);
	PUT(t, "\r\n");
	PUT(t, COMMON "Content-Length: 0\r\n\r\n");
}

static void put_invite(struct text *t, const struct slot *s)
{
	PUT(t, "INVITE ");
	put_user(t, s);
	put_head(t, s, 'a');
	put_from_to(t, s, CALLER, NULL, 0);
	PUT(t, "CSeq: 1 INVITE\r\nContact: <sip:caller@127.0.0.1:");
	put_number(t, g.port + slot_index(s) % CALLERS, 1);
	PUT(t, ">\r\n" COMMON "Content-Type: application/sdp\r\nContent-Length: ");
	put_number(t, sizeof(SDP) - 1, 1);
	PUT(t, "\r\n\r\n" SDP);
}

static void send_request(struct slot *s)
{
	struct sender *out = g.caller[slot_index(s) % CALLERS];
	struct text t = room(out);

	switch (g.work) {
	case OPTIONS:
		PUT(&t, "OPTIONS sip:bench.test");
		put_head(&t, s, 'a');
		put_from_to(&t, s, NULL, "<sip:bench.test>", 16);
		PUT(&t, "CSeq: 1 OPTIONS\r\n" COMMON "Content-Length: 0\r\n\r\n");
		break;
	case REGISTER:
		put_register(&t, s);
		break;
	case MESSAGE:
		PUT(&t, "MESSAGE ");
		put_user(&t, s);
		put_head(&t, s, 'a');
		put_from_to(&t, s, "<sip:caller@bench.test>", NULL, 0);
		PUT(&t, "CSeq: 1 MESSAGE\r\n" COMMON "Content-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello there");
		break;
	case CALL:
		put_invite(&t, s);
		break;
	case LOOKUP:
		PUT(&t, "OPTIONS ");
		put_user(&t, s);
		put_head(&t, s, 'a');
		put_from_to(&t, s, "<sip:caller@bench.test>", NULL, 0);
		PUT(&t, "CSeq: 1 OPTIONS\r\n" COMMON "Content-Length: 0\r\n\r\n");
		break;
	case N_WORK:
		break;
	}
	queue(out, &t, &g.server);
}

static void slot_start(struct slot *s)
{
	s->busy = g.started < g.count;
	if (!s->busy)
		return;
	s->generation++;
	s->user = g.first + (uint32_t)((uint64_t)g.started++ * (g.scattered ? SCATTER : 1) % g.users);
	s->answered = false;
	s->began_us = s->heard_us = now_us();
	send_request(s);
}

static void slot_done(struct slot *s)
{
	uint64_t took = (now_us() - s->began_us) / 10;

	g.histogram[took < BUCKETS ? took : BUCKETS - 1]++;
	g.done++;
	slot_start(s);
}

struct line {
	const char *s;
	size_t n;
};

/* The next line, without its end; false at the empty one and at the end. */
static bool next_line(const char **at, const char *end, struct line *ret)
{
	const char *nl = memchr(*at, '\n', (size_t)(end - *at));

	if (!nl || nl - *at < 2)
		return false;
	*ret = (struct line){ *at, (size_t)(nl - *at) - 1 };
	*at = nl + 1;
	return true;
}

#define IS(l, name) ((l).n >= sizeof(name) - 1 && memcmp((l).s, name, sizeof(name) - 1) == 0)
#define VALUE(l, name) ((struct line){ (l).s + sizeof(name) - 1, (l).n - (sizeof(name) - 1) })

/* ACK and BYE for an answered call, along the recorded route. */
static void call_answered(struct slot *s, const char *at, const char *end)
{
	struct line l, to = { 0 }, contact = { 0 }, route[8];
	const char *open = NULL, *close = NULL;
	int n_routes = 0;

	while (next_line(&at, end, &l)) {
		if (IS(l, "To: "))
			to = VALUE(l, "To: ");
		else if (IS(l, "Contact: "))
			contact = l;
		else if (IS(l, "Record-Route: ") && n_routes < 8)
			route[n_routes++] = VALUE(l, "Record-Route: ");
	}
	if (contact.n)
		open = memchr(contact.s, '<', contact.n);
	if (open)
		close = memchr(open, '>', (size_t)(contact.s + contact.n - open));
	if (!close || !to.n) {
		g.odd++;
		return;
	}
	s->answered = true;
	for (int bye = 0; bye < 2; bye++) {
		struct sender *out = g.caller[slot_index(s) % CALLERS];
		struct text t = room(out);

		put(&t, bye ? "BYE " : "ACK ", 4);
		put(&t, open + 1, (size_t)(close - open - 1));
		put_head(&t, s, bye ? 'c' : 'b');
		for (int i = n_routes; i-- > 0;) {
			PUT(&t, "Route: ");
			put(&t, route[i].s, route[i].n);
			PUT(&t, "\r\n");
		}
		put_from_to(&t, s, CALLER, to.s, to.n);
		PUT(&t, "CSeq: ");
		put(&t, bye ? "2 BYE" : "1 ACK", 5);
		PUT(&t, "\r\nContent-Length: 0\r\n\r\n");
		queue(out, &t, &g.server);
	}
}

static void on_reply(const char *m, size_t n)
{
	const char *end = m + n, *at = m;
	int status = n > 12 && memcmp(m, "SIP/2.0 ", 8) == 0 ? (int)strtol(m + 8, NULL, 10) : 0;
	struct line l, id = { 0 }, cseq = { 0 };
	struct slot *s;

	while (next_line(&at, end, &l) && !(id.n && cseq.n)) {
		if (IS(l, "Call-ID: "))
			id = VALUE(l, "Call-ID: ");
		else if (IS(l, "CSeq: "))
			cseq = VALUE(l, "CSeq: ");
	}
	if (!status || id.n < 16 || !cseq.n || strtoul(id.s, NULL, 10) >= g.window) {
		g.odd++;
		return;
	}
	s = &g.slot[strtoul(id.s, NULL, 10)];
	if (!s->busy || strtoul(id.s + 6, NULL, 10) != s->generation)
		return; /* late: its slot went on */
	s->heard_us = now_us();
	if (status < 200)
		return;
	if (status != 200) {
		if (!g.first_odd[0])
			snprintf(g.first_odd, sizeof(g.first_odd), "%.*s", (int)strcspn(m, "\r\""), m);
		g.odd++;
		slot_done(s);
		return;
	}
	if (g.work == CALL && cseq.s[0] == '1') {
		if (!s->answered)
			call_answered(s, m, end);
		return;
	}
	slot_done(s);
}

/* The fields of a request that its replies have as well. */
static void put_copied(struct text *t, const char *at, const char *end, bool invite)
{
	struct line l;

	while (next_line(&at, end, &l)) {
		if (!IS(l, "Via: ") && !IS(l, "Record-Route: ") && !IS(l, "From: ") && !IS(l, "To: ") && !IS(l, "Call-ID: ") && !IS(l, "CSeq: "))
			continue;
		put(t, l.s, l.n);
		if (invite && IS(l, "To: "))
			PUT(t, ";tag=callee");
		PUT(t, "\r\n");
	}
}

/* The callee: answers MESSAGE and BYE with 200, INVITE with 180 and 200. */
static void on_request(const char *m, size_t n, const struct sockaddr_in *from)
{
	bool invite = n > 7 && memcmp(m, "INVITE ", 7) == 0;

	if (n < 12 || memcmp(m, "ACK ", 4) == 0 || memcmp(m, "SIP/", 4) == 0)
		return;
	for (int final = invite ? 0 : 1; final < 2; final++) {
		struct text t = room(g.callee);

		if (final)
			PUT(&t, "SIP/2.0 200 OK\r\n");
		else
			PUT(&t, "SIP/2.0 180 Ringing\r\n");
		put_copied(&t, m, m + n, invite);
		if (invite) {
			PUT(&t, "Contact: <sip:callee@127.0.0.1:");
			put_number(&t, g.port - 1, 1);
			PUT(&t, ">\r\n");
		}
		if (invite && final) {
			PUT(&t, "Content-Type: application/sdp\r\nContent-Length: ");
			put_number(&t, sizeof(SDP) - 1, 1);
			PUT(&t, "\r\n\r\n" SDP);
		} else {
			PUT(&t, "Content-Length: 0\r\n\r\n");
		}
		queue(g.callee, &t, from);
	}
}

static struct sender *sender_new(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sender *s = calloc(1, sizeof(*s));
	int size = 8 << 20;

	if (!s || (s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		exit(2);
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		fprintf(stderr, "rfload: port %u: %s\n", port, strerror(errno));
		exit(2);
	}
	return s;
}

static void receive(struct sender *s, bool is_callee)
{
	static struct mmsghdr hdr[BATCH];
	static struct iovec iov[BATCH];
	static struct sockaddr_in from[BATCH];
	static char bytes[BATCH][2 * BYTES];
	int n;

	do {
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ bytes[i], sizeof(bytes[i]) - 1 };
			hdr[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &iov[i], .msg_iovlen = 1 };
		}
		n = recvmmsg(s->fd, hdr, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			bytes[i][hdr[i].msg_len] = '\0';
			if (is_callee)
				on_request(bytes[i], hdr[i].msg_len, &from[i]);
			else
				on_reply(bytes[i], hdr[i].msg_len);
		}
	} while (n == BATCH);
}

static int percentile(double share)
{
	long sum = 0;

	for (int i = 0; i < BUCKETS; i++) {
		sum += g.histogram[i];
		if (sum >= (long)((double)g.done * share))
			return i * 10;
	}
	return BUCKETS * 10;
}

static void run(void)
{
	struct epoll_event ready[CALLERS + 1];
	int ep = epoll_create1(EPOLL_CLOEXEC), n_ready;
	uint64_t begin = now_us(), looked = begin;
	double secs;

	for (unsigned i = 0; i <= CALLERS; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };

		if (epoll_ctl(ep, EPOLL_CTL_ADD, i < CALLERS ? g.caller[i]->fd : g.callee->fd, &e) < 0)
			exit(2);
	}
	for (unsigned i = 0; i < g.window; i++)
		slot_start(&g.slot[i]);
	while (g.done + g.lost < g.count) {
		uint64_t now;

		for (unsigned i = 0; i < CALLERS; i++)
			flush(g.caller[i]);
		flush(g.callee);
		n_ready = epoll_wait(ep, ready, CALLERS + 1, 100);
		if (n_ready < 0 && errno != EINTR)
			break;
		for (int i = 0; i < n_ready; i++) {
			unsigned k = ready[i].data.u32;

			receive(k < CALLERS ? g.caller[k] : g.callee, k == CALLERS);
		}
		now = now_us();
		if (now - looked < 200000)
			continue;
		looked = now;
		for (unsigned i = 0; i < g.window; i++) {
			if (g.slot[i].busy && now - g.slot[i].heard_us > LOST_US) {
				g.lost++;
				slot_start(&g.slot[i]);
			}
		}
		if ((double)(now - begin) / 1e6 > g.seconds)
			break;
	}
	secs = (double)(now_us() - begin) / 1e6;
	printf("{\"work\":\"%s\",\"done\":%ld,\"lost\":%ld,\"odd\":%ld,\"secs\":%.3f,\"per_s\":%.0f,\"p50_us\":%d,\"p99_us\":%d,\"first_odd\":\"%s\"}\n", work_names[g.work], g.done,
	       g.lost, g.odd, secs, (double)g.done / secs, percentile(0.5), percentile(0.99), g.first_odd);
}

static void usage(void)
{
	fputs("usage: rfload options|register|message|call|lookup [-t IP:PORT] [-n COUNT] [-w WINDOW] [-u USERS] [-o FIRST] [-r] [-e UNIXTIME] [-p PORT] "
	      "[-s SECONDS]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	char ip[32] = "127.0.0.1";
	unsigned port = 5060;
	int c;

	if (argc < 2)
		usage();
	for (g.work = 0; g.work < N_WORK && strcmp(argv[1], work_names[g.work]) != 0; g.work++)
		;
	if (g.work == N_WORK)
		usage();
	optind = 2;
	while ((c = getopt(argc, argv, "t:n:w:u:o:re:p:s:")) != -1) {
		switch (c) {
		case 't':
			if (sscanf(optarg, "%31[0-9.]:%u", ip, &port) < 1)
				usage();
			break;
		case 'n':
			g.count = strtol(optarg, NULL, 10);
			break;
		case 'w':
			g.window = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'u':
			g.users = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'o':
			g.first = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			g.scattered = true;
			break;
		case 'e':
			g.expire_at = strtol(optarg, NULL, 10);
			break;
		case 'p':
			g.port = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			g.seconds = strtod(optarg, NULL);
			break;
		default:
			usage();
		}
	}
	g.server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	if (inet_pton(AF_INET, ip, &g.server.sin_addr) != 1 || ntohl(g.server.sin_addr.s_addr) >> 24 != 127) {
		fprintf(stderr, "rfload: %s: loopback only\n", ip);
		return 2;
	}
	if (g.window < 1 || g.window > 99999 || g.users < 1 || g.count < 1)
		usage();
	g.slot = calloc(g.window, sizeof(*g.slot));
	if (!g.slot)
		return 2;
	for (unsigned i = 0; i < g.window; i++)
		g.slot[i].generation = (uint32_t)(now_us() & 0xfffff) * 1000;
	for (unsigned i = 0; i < CALLERS; i++)
		g.caller[i] = sender_new(g.port + i);
	g.callee = sender_new(g.port - 1);
	run();
	return 0;
}
