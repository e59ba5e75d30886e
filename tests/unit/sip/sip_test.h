/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of core/sip share: inputs in memory of exactly their size, so that a sanitizer
 * sees every byte read too far, and messages to work on. */
#ifndef RF_SIP_TEST_H
#define RF_SIP_TEST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/pool.h"
#include "core/sip/build.h"
#include "core/sip/frame.h"
#include "tests/lib/test_main.h"

#define CRLF "\r\n"

static inline struct str exact_n(const void *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, n);
	return str_of(copy, n);
}

static inline struct str exact(const char *z)
{
	return exact_n(z, strlen(z));
}

static inline void exact_free(struct str s)
{
	free((void *)(uintptr_t)s.s);
}

/* Equal text, with both shown when not; want NULL is the same as "". */
#define ck_str(got, want)                                                                          \
	do {                                                                                       \
		struct str got_ = (got), want_ = str_lit(want);                                    \
		ck_assert_msg(str_eq(got_, want_), "%s: '%.*s' instead of '%.*s'", #got,           \
		              STR_FMT(got_.n ? got_ : STR_LIT("")),                                \
		              STR_FMT(want_.n ? want_ : STR_LIT("")));                             \
	} while (0)

/* The pieces in one freshly allocated text. */
static inline struct str joined(const struct sip_out *out)
{
	char *p = malloc(out->bytes ? out->bytes : 1);

	ck_assert_ptr_nonnull(p);
	sip_out_copy(out, p);
	return str_of(p, out->bytes);
}

/* Small, seedable, the same on every machine. */
static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static inline Suite *suite_of(const char *name, TCase *tcase)
{
	Suite *s = suite_create(name);

	suite_add_tcase(s, tcase);
	return s;
}

/* Valid messages of every shape, for properties that hold for all. */
static const char *const sip_samples[] = {
	"REGISTER sip:example.net SIP/2.0" CRLF
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport" CRLF "Max-Forwards: 70" CRLF
	"From: <sip:a@example.net>;tag=1" CRLF "To: <sip:a@example.net>" CRLF
	"Call-ID: c1@192.0.2.1" CRLF "CSeq: 1 REGISTER" CRLF
	"Contact: <sip:a@192.0.2.1>;expires=60" CRLF "Content-Length: 0" CRLF CRLF,

	"INVITE sip:b@example.net;user=phone SIP/2.0" CRLF
	"v: SIP/2.0/TCP [2001:db8::1]:5062;branch=z9hG4bK2;alias, SIP / 2.0 / UDP 192.0.2.9 "
	";branch=z9hG4bK3" CRLF
	"Via: SIP/2.0/TLS host.example.org;branch=z9hG4bK4;received=192.0.2.77" CRLF
	"f: \"A \\\"quoted\\\" name\" <sip:a@example.net>;tag=99" CRLF "t: sip:b@example.net" CRLF
	"i: x" CRLF "CSeq: 7" CRLF "  INVITE" CRLF "m: <sip:a@[2001:db8::1]>" CRLF
	"Route: <sip:p1.example.net;lr>, <sip:p2.example.net;lr>" CRLF "X-Odd: \x01\xff;;,," CRLF
	"s:" CRLF "c: application/sdp" CRLF "l: 5" CRLF CRLF "v=0" CRLF,

	"SIP/2.0 180 Ringing" CRLF
	"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKp, SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKq" CRLF
	"From: <sip:a@example.net>;tag=1" CRLF "To: <sip:b@example.net>;tag=2" CRLF
	"Call-ID: c1" CRLF "CSeq: 1 INVITE" CRLF "Record-Route: <sip:10.0.0.1;lr>" CRLF
	"Content-Length: 0" CRLF CRLF,

	"MESSAGE tel:+1-201-555-0123 SIP/2.0\n"
	"Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56\n"
	"From: sip:a@example.net;tag=1\n"
	"To: <tel:+1-201-555-0123>\n"
	"Call-ID: lf\n"
	"CSeq: 1 MESSAGE\n"
	"Content-Type: text/plain\n"
	"Content-Length: 2\n"
	"\n"
	"hi",

	"SIP/2.0 200" CRLF "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKp" CRLF
	"From: <sip:a@x>;tag=1" CRLF "To: <sip:b@x>;tag=2" CRLF "Call-ID: c1" CRLF
	"CSeq: 1 OPTIONS" CRLF "Content-Length: 0" CRLF CRLF,
};

#endif
