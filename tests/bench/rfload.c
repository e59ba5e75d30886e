/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SIP load generator for loopback: keeps a window of transactions going against a server over UDP and prints one line of JSON.
 *
 * Each slot of the window has a number; the number and a generation are written into the Call-ID in fixed width, so that an answer finds its
 * slot by looking at fixed places. A slot that hears nothing for two seconds is counted lost and starts anew. It waits in epoll, since who waits how
 * is part of what a server's send costs.
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

static const char common[] = "User-Agent: Acme SIP Phone 4.2.1.7\r\nPrivacy: none\r\nSupported: replaces, path, timer\r\n"
                             "Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE\r\n"
                             "Accept: application/sdp, application/dtmf-relay\r\n";
static const char sdp[] = "v=0\r\no=- 4211 4211 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n"
                          "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

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

static char *room(struct sender *s)
{
	if (s->n == BATCH)
		flush(s);
	return s->bytes[s->n];
}

static void queue(struct sender *s, int n, const struct sockaddr_in *to)
{
	if (n <= 0 || n >= BYTES)
		return;
	s->to[s->n] = *to;
	s->iov[s->n] = (struct iovec){ s->bytes[s->n], (size_t)n };
	s->hdr[s->n].msg_hdr = (struct msghdr){ .msg_name = &s->to[s->n], .msg_namelen = sizeof(*to), .msg_iov = &s->iov[s->n], .msg_iovlen = 1 };
	s->n++;
}

static unsigned slot_index(const struct slot *s)
{
	return (unsigned)(s - g.slot);
}

/* Call-ID: 5 digits of slot, 'x', 10 of generation. */
static void send_request(struct slot *s)
{
	unsigned i = slot_index(s), from = g.port + i % CALLERS;
	struct sender *out = g.caller[i % CALLERS];
	char *b = room(out);
	char head[640];
	int n = 0;

	snprintf(head, sizeof(head), "Via: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%05u.%010u.a;rport\r\nMax-Forwards: 70\r\nCall-ID: %05ux%010u@load\r\n", from, i,
	         s->generation, i, s->generation);
	switch (g.work) {
	case OPTIONS:
		n = snprintf(b, BYTES, "OPTIONS sip:bench.test SIP/2.0\r\n%sFrom: <sip:u%u@bench.test>;tag=f%u\r\nTo: <sip:bench.test>\r\nCSeq: 1 OPTIONS\r\n%sContent-Length: 0\r\n\r\n",
		             head, s->user, s->generation, common);
		break;
	case REGISTER:
		n = snprintf(b, BYTES, "REGISTER sip:bench.test SIP/2.0\r\n%sFrom: <sip:u%u@bench.test>;tag=f%u\r\nTo: <sip:u%u@bench.test>\r\nCSeq: 1 REGISTER\r\n"
		             "Contact: <sip:u%u@127.0.0.1:%u;ob>;expires=%ld\r\n%sContent-Length: 0\r\n\r\n",
		             head, s->user, s->generation, s->user, s->user, g.port - 1, g.expire_at ? g.expire_at - (long)time(NULL) : 3600, common);
		break;
	case MESSAGE:
		n = snprintf(b, BYTES, "MESSAGE sip:u%u@bench.test SIP/2.0\r\n%sFrom: <sip:caller@bench.test>;tag=f%u\r\nTo: <sip:u%u@bench.test>\r\nCSeq: 1 MESSAGE\r\n"
		             "%sContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello there",
		             s->user, head, s->generation, s->user, common);
		break;
	case CALL:
		n = snprintf(b, BYTES, "INVITE sip:u%u@bench.test SIP/2.0\r\n%sFrom: \"Caller\" <sip:caller@bench.test>;tag=f%u\r\nTo: <sip:u%u@bench.test>\r\nCSeq: 1 INVITE\r\n"
		             "Contact: <sip:caller@127.0.0.1:%u>\r\n%sContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		             s->user, head, s->generation, s->user, from, common, sizeof(sdp) - 1, sdp);
		break;
	case LOOKUP:
		n = snprintf(b, BYTES, "OPTIONS sip:u%u@bench.test SIP/2.0\r\n%sFrom: <sip:caller@bench.test>;tag=f%u\r\nTo: <sip:u%u@bench.test>\r\nCSeq: 1 OPTIONS\r\n%sContent-Length: 0\r\n\r\n",
		             s->user, head, s->generation, s->user, common);
		break;
	case N_WORK:
		break;
	}
	queue(out, n, &g.server);
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

/* Value of the next field of that name at or behind *at; *at moves behind it. */
static bool field(const char **at, const char *end, const char *name, const char **ret, int *ret_n)
{
	size_t n = strlen(name);
	const char *p = *at;

	while ((p = memmem(p, (size_t)(end - p), name, n))) {
		const char *eol = memchr(p, '\r', (size_t)(end - p));

		if (p[-1] == '\n' && eol) {
			*ret = p + n;
			*ret_n = (int)(eol - p - (ptrdiff_t)n);
			*at = eol;
			return true;
		}
		p += n;
	}
	return false;
}

/* ACK and BYE for an answered call, along the recorded route. */
static void call_answered(struct slot *s, const char *m, const char *end)
{
	unsigned i = slot_index(s), from = g.port + i % CALLERS;
	const char *to, *contact, *open, *close, *at = m, *route[8];
	char routes[1024] = "";
	int to_n, contact_n, route_n[8], n_routes = 0, used = 0;

	if (!field(&at, end, "To: ", &to, &to_n) || (at = m, !field(&at, end, "Contact: ", &contact, &contact_n)) ||
	    !(open = memchr(contact, '<', (size_t)contact_n)) || !(close = memchr(open, '>', (size_t)(contact + contact_n - open)))) {
		g.odd++;
		return;
	}
	for (at = m; n_routes < 8 && field(&at, end, "Record-Route: ", &route[n_routes], &route_n[n_routes]);)
		n_routes++;
	while (n_routes-- > 0 && used < 900)
		used += snprintf(routes + used, sizeof(routes) - (size_t)used, "Route: %.*s\r\n", route_n[n_routes] < 400 ? route_n[n_routes] : 400, route[n_routes]);
	s->answered = true;
	for (int bye = 0; bye < 2; bye++) {
		struct sender *out = g.caller[i % CALLERS];
		char *b = room(out);
		const char *method = bye ? "BYE" : "ACK";

		queue(out,
		      snprintf(b, BYTES,
		               "%s %.*s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%05u.%010u.%c;rport\r\nMax-Forwards: 70\r\nCall-ID: %05ux%010u@load\r\n%s"
		               "From: \"Caller\" <sip:caller@bench.test>;tag=f%u\r\nTo: %.*s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n",
		               method, (int)(close - open - 1), open + 1, from, i, s->generation, bye ? 'c' : 'b', i, s->generation, routes, s->generation, to_n, to, bye + 1, method),
		      &g.server);
	}
}

static void on_reply(const char *m, size_t n)
{
	const char *end = m + n, *at = m, *id, *cseq;
	int id_n, cseq_n, status = n > 12 && memcmp(m, "SIP/2.0 ", 8) == 0 ? (int)strtol(m + 8, NULL, 10) : 0;
	struct slot *s;

	if (!status || !field(&at, end, "Call-ID: ", &id, &id_n) || id_n < 16 || strtoul(id, NULL, 10) >= g.window) {
		g.odd++;
		return;
	}
	s = &g.slot[strtoul(id, NULL, 10)];
	if (!s->busy || strtoul(id + 6, NULL, 10) != s->generation)
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
	at = m;
	if (g.work == CALL && field(&at, end, "CSeq: ", &cseq, &cseq_n) && cseq[0] == '1') {
		if (!s->answered)
			call_answered(s, m, end);
		return;
	}
	slot_done(s);
}

/* The callee: answers MESSAGE and BYE with 200, INVITE with 180 and 200. */
static void on_request(const char *m, size_t n, const struct sockaddr_in *from)
{
	static const char *const copied[] = { "Via: ", "Record-Route: ", "From: ", "To: ", "Call-ID: ", "CSeq: " };
	const char *end = m + n;
	bool invite = memcmp(m, "INVITE ", 7) == 0;

	if (n < 12 || memcmp(m, "ACK ", 4) == 0 || memcmp(m, "SIP/", 4) == 0)
		return;
	for (int final = invite ? 0 : 1; final < 2; final++) {
		char *b = room(g.callee);
		int used = snprintf(b, BYTES, "SIP/2.0 %s\r\n", final ? "200 OK" : "180 Ringing");

		for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
			const char *at = m, *v;
			int v_n;

			while (used < BYTES - 1024 && field(&at, end, copied[i], &v, &v_n) && v_n < 1000)
				used += snprintf(b + used, (size_t)(BYTES - used), "%s%.*s%s\r\n", copied[i], v_n, v, i == 3 && invite ? ";tag=callee" : "");
		}
		if (invite)
			used += snprintf(b + used, (size_t)(BYTES - used), "Contact: <sip:callee@127.0.0.1:%u>\r\n", g.port - 1);
		if (invite && final)
			used += snprintf(b + used, (size_t)(BYTES - used), "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", sizeof(sdp) - 1, sdp);
		else
			used += snprintf(b + used, (size_t)(BYTES - used), "Content-Length: 0\r\n\r\n");
		queue(g.callee, used, from);
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
