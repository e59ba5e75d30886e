/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nanoseconds per message of the parser and the builder, on one REGISTER and one INVITE as phones
 * send them. Not part of `make check`: make tests/bench/bench_sip && tests/bench/bench_sip. Each
 * figure is the best and the median of 15 rounds; compare figures of one machine only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/pool.h"
#include "core/sip/build.h"
#include "core/sip/frame.h"

#define ROUNDS 15
#define REPEAT 20000

static const char reg[] =
    "REGISTER sip:registrar.example.net SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.168.1.23:5060;branch=z9hG4bK-524287-1---f3a1c9b2d4e5f601;rport\r\n"
    "Max-Forwards: 70\r\n"
    "Contact: <sip:alice@192.168.1.23:5060;rinstance=8a7b6c5d4e3f2a1b>;expires=3600\r\n"
    "To: \"Alice\" <sip:alice@example.net>\r\n"
    "From: \"Alice\" <sip:alice@example.net>;tag=4f3e2d1c\r\n"
    "Call-ID: 84710NjZiMWQ3ZDk2ZGUyMGQ5YTMxNTgyNWI0NmU5YzI2M2M\r\n"
    "CSeq: 2 REGISTER\r\n"
    "Expires: 3600\r\n"
    "Allow: OPTIONS, SUBSCRIBE, NOTIFY, INVITE, ACK, CANCEL, BYE, REFER, INFO\r\n"
    "User-Agent: ExamplePhone 5.6.1 rv2.10.20\r\n"
    "Authorization: Digest username=\"alice\",realm=\"example.net\",nonce=\"ZTk4MmY3NDk2NTI1\","
    "uri=\"sip:registrar.example.net\",response=\"6629fae49393a05397450978507c4ef1\",algorithm="
    "MD5\r\n"
    "Content-Length: 0\r\n\r\n";

static const char inv[] =
    "INVITE sip:bob@example.net SIP/2.0\r\n"
    "Record-Route: <sip:10.1.1.1;lr;ftag=1928301774>\r\n"
    "Via: SIP/2.0/UDP 10.1.1.1:5060;branch=z9hG4bKcydzigwkX.c8a7\r\n"
    "Via: SIP/2.0/UDP 192.168.1.23:5060;received=203.0.113.9;branch=z9hG4bK776asdhds;rport=5060\r\n"
    "Max-Forwards: 69\r\n"
    "To: Bob <sip:bob@example.net>\r\n"
    "From: Alice <sip:alice@example.net>;tag=1928301774\r\n"
    "Call-ID: a84b4c76e66710@pc33.example.net\r\n"
    "CSeq: 314159 INVITE\r\n"
    "Contact: <sip:alice@192.168.1.23:5060>\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n"
    "Supported: replaces, timer, 100rel\r\n"
    "User-Agent: ExamplePhone 5.6.1\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 142\r\n\r\n"
    "v=0\r\no=- 1 1 IN IP4 192.168.1.23\r\ns=-\r\nc=IN IP4 192.168.1.23\r\nt=0 0\r\n"
    "m=audio 49170 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

static struct pool *pool;
static struct sip_msg msg;
static unsigned long sink;

static void do_parse(struct str text)
{
	if (sip_msg_parse(pool, text, &msg, NULL) < 0)
		abort();
	sink += msg.n_hdrs;
}

static void do_check(struct str text)
{
	do_parse(text);
	if (sip_msg_check(&msg, NULL) < 0)
		abort();
}

static void do_frame(struct str text)
{
	struct sip_frame f = { 0 };
	enum sip_frame_kind kind;

	if (sip_frame_next(&f, text, 65535, false, &kind, NULL) != (int64_t)text.n)
		abort();
	sink += f.body_off;
}

static void do_forward(struct str text)
{
	struct sip_forward fwd = {
		.ruri = STR_LIT("sip:bob@192.0.2.4:5062"),
		.via =
		    STR_LIT("Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK7a1c.2b3d4e5f.0\r\n"),
		.extra = STR_LIT("Record-Route: <sip:198.51.100.1;lr;ftag=1928301774>\r\n"),
		.source = { STR_LIT("203.0.113.9"), 5060 },
	};
	struct sip_edits edits = { 0 };
	struct sip_out out;
	char copy[2048];

	do_check(text);
	if (sip_edit_replace(&edits, pool, &msg, sip_msg_hdr(&msg, SIP_H_MAX_FORWARDS)->value,
	                     STR_LIT("68"), SIP_EDIT_MAXFWD) < 0 ||
	    sip_build_request(pool, &msg, &edits, &fwd, false, &out) < 0 ||
	    out.bytes > sizeof(copy))
		abort();
	sip_out_copy(&out, copy);
	sink += (unsigned char)copy[out.bytes - 1];
}

static void do_reply(struct str text)
{
	struct sip_reply_opts opts = { .status = 200,
		                       .reason = STR_LIT("OK"),
		                       .to_tag = STR_LIT("a1b2c3"),
		                       .source = { STR_LIT("203.0.113.9"), 5060 } };
	struct sip_out out;
	char copy[2048];

	do_check(text);
	if (sip_build_reply(pool, &msg, &opts, &out) < 0 || out.bytes > sizeof(copy))
		abort();
	sip_out_copy(&out, copy);
	sink += (unsigned char)copy[out.bytes - 1];
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void bench(const char *name, void (*work)(struct str), struct str text)
{
	double ns[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		struct timespec a, b;

		clock_gettime(CLOCK_MONOTONIC, &a);
		for (int i = 0; i < REPEAT; i++) {
			work(text);
			pool_reset(pool);
		}
		clock_gettime(CLOCK_MONOTONIC, &b);
		ns[r] = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
		        REPEAT;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("%-34s %5zu bytes  best %7.1f ns  median %7.1f ns\n", name, text.n, ns[0],
	       ns[ROUNDS / 2]);
}

int main(void)
{
	struct str r = STR_LIT(reg), i = STR_LIT(inv);

	pool = pool_new(64 * 1024);
	if (!pool)
		return 1;
	bench("REGISTER parse", do_parse, r);
	bench("INVITE parse", do_parse, i);
	bench("REGISTER frame", do_frame, r);
	bench("REGISTER parse+check", do_check, r);
	bench("INVITE parse+check", do_check, i);
	bench("INVITE parse+check+forward+copy", do_forward, i);
	bench("REGISTER parse+check+200+copy", do_reply, r);
	pool_free(pool);
	return sink == 0;
}
