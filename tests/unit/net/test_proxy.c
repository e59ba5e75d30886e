/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of the PROXY protocol, and each cut of each of them. */
#include "core/net/proxy.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/lib/test_main.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\x0a\x01\x02\x03\x0a\x09\x08\x07\x04\xd2\x13\xce"
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x04\xd2\x13\xce"
#define V4MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x09\x08\x07\x04\xd2\x13\xce"
#define X(lit) STR_LIT(lit)

/* clang-format off */
static const struct vector {
	struct str in;
	enum net_proxy_kind kind;
	int err;
	const char *src, *dst; /* NULL: not told */
} vectors[] = {
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 1234 5070\r\n"), NET_PROXY_STREAM, 0, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 0 65535\r\n"), NET_PROXY_STREAM, 0, "10.1.2.3:0", "10.9.8.7:65535" },
	{ X("PROXY TCP6 2001:db8::1 2001:db8::2 1234 5070\r\n"), NET_PROXY_STREAM, 0, "[2001:db8::1]:1234", "[2001:db8::2]:5070" },
	{ X("PROXY TCP6 ::ffff:10.1.2.3 ::ffff:10.9.8.7 1234 5070\r\n"), NET_PROXY_STREAM, 0, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X("PROXY UNKNOWN\r\n"), NET_PROXY_STREAM, 0, NULL, NULL },
	{ X("PROXY UNKNOWN a b c d\r\n"), NET_PROXY_STREAM, 0, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 1234 5070\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3  10.9.8.7 1234 5070\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 01234 5070\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 1234 65536\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 1234 5070 1\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 1234\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 \r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY \r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.300 10.9.8.7 1234 5070\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP4 2001:db8::1 2001:db8::2 1234 5070\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY TCP6 [2001:db8::1] 2001:db8::2 1234 5070\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY UDP4 10.1.2.3 10.9.8.7 1234 5070\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("proxy TCP4 10.1.2.3 10.9.8.7 1234 5070\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("OPTIONS sip:x SIP/2.0\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X("PROXY UNKNOWN 01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x11\0\x0c" V4), NET_PROXY_STREAM, 0, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X(SIG "\x21\x21\0\x24" V6), NET_PROXY_STREAM, 0, "[2001:db8::1]:1234", "[2001:db8::2]:5070" },
	{ X(SIG "\x21\x21\0\x24" V4MAPPED), NET_PROXY_STREAM, 0, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X(SIG "\x21\x11\0\x11" V4 "\x04\0\x02" "ab"), NET_PROXY_STREAM, 0, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X(SIG "\x20\0\0\0"), NET_PROXY_STREAM, 0, NULL, NULL },
	{ X(SIG "\x20\x11\0\x0c" V4), NET_PROXY_STREAM, 0, NULL, NULL },
	{ X(SIG "\x21\0\0\0"), NET_PROXY_STREAM, 0, NULL, NULL },
	{ X(SIG "\x21\x11\0\x06\x0a\x01\x02\x03\x0a\x09"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x11\0\x11" V4 "\x04\0\x03" "ab"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x11\0\x0e" V4 "\x04\0"), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x12\0\x0c" V4), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x31\0\x0c" V4), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x31\x11\0\x0c" V4), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x22\x11\0\x0c" V4), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x11\x03\xf1" V4), NET_PROXY_STREAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x12\0\x0c" V4), NET_PROXY_DATAGRAM, 0, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X(SIG "\x21\x11\0\x0c" V4), NET_PROXY_DATAGRAM, -EBADMSG, NULL, NULL },
	{ X(SIG "\x21\x12\0\x0c\x0a\x01"), NET_PROXY_DATAGRAM, -EBADMSG, NULL, NULL },
	{ X("PROXY UNKNOWN\r\n"), NET_PROXY_DATAGRAM, -EBADMSG, NULL, NULL },
};
/* clang-format on */

static void is_addr(const struct net_addr *a, const char *want)
{
	char text[NET_ADDR_TEXT_MAX];

	(void)net_addr_text(a, text);
	ck_assert_str_eq(text, want);
}

START_TEST(headers)
{
	const struct vector *v = &vectors[_i];
	struct net_proxy p;
	struct diag why = { 0 };
	size_t need = 0;
	char mem[512];

	memcpy(mem, v->in.s, v->in.n);
	memcpy(mem + v->in.n, "INVITE", 6); /* what follows is not looked at */
	ck_assert_int_eq(net_proxy_parse(v->kind, str_of(mem, v->in.n + (v->kind == NET_PROXY_STREAM && v->err == 0 ? 6u : 0)), &p, &need, &why), v->err);
	if (v->err < 0) {
		ck_assert(why.text[0] != '\0');
		return;
	}
	ck_assert_uint_eq(p.bytes, v->in.n);
	ck_assert_int_eq(p.known, v->src != NULL);
	if (v->src) {
		is_addr(&p.src, v->src);
		is_addr(&p.dst, v->dst);
	}
}
END_TEST

/* However it is cut: never an answer before the whole is there, and never more asked for than that. */
START_TEST(cut)
{
	const struct vector *v = &vectors[_i];

	if (v->kind != NET_PROXY_STREAM || v->err < 0)
		return;
	for (size_t n = 0; n < v->in.n; n++) {
		struct net_proxy p;
		size_t need = 0;

		ck_assert_int_eq(net_proxy_parse(v->kind, str_sub(v->in, 0, n), &p, &need, NULL), -ENODATA);
		ck_assert_uint_gt(need, n);
		ck_assert_uint_le(need, v->in.n);
	}
}
END_TEST

#define C6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define C4 "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03"
#define P4 "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x09\x08\x07"
#define P6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define PORTS "\x04\xd2\x13\xce"

/* clang-format off */
static const struct { struct str in; unsigned kinds; int want; size_t bytes; const char *src, *dst; } datagrams[] = {
	{ X("\x56\xec" C4 P4 PORTS "OPTIONS"), 3, NET_PROXY_SIMPLE, 38, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X("\x56\xec" C6 P6 PORTS), 2, NET_PROXY_SIMPLE, 38, "[2001:db8::1]:1234", "[2001:db8::2]:5070" },
	{ X("\x56\xec" C6 P4 PORTS), 2, NET_PROXY_SIMPLE, 38, "[2001:db8::1]:1234", "10.9.8.7:5070" },
	{ X("\x56\xec" C4 P4 PORTS), 1, 0, 0, NULL, NULL },
	{ X("\x56\xec" C4 P4 "\x04\xd2\x13"), 2, -EBADMSG, 0, NULL, NULL },
	{ X("\x56\xec"), 2, -EBADMSG, 0, NULL, NULL },
	{ X("\x56\xec" C4 P4 "\0\0\x13\xce"), 2, -EBADMSG, 0, NULL, NULL },
	{ X("\x56\xec" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" P4 PORTS), 2, -EBADMSG, 0, NULL, NULL },
	{ X("\x56"), 3, 0, 0, NULL, NULL },
	{ X("VIA: x"), 3, 0, 0, NULL, NULL },
	{ X(""), 3, 0, 0, NULL, NULL },
	{ X("\r\n\r\n"), 3, 0, 0, NULL, NULL },
	{ X(SIG "\x21\x12\0\x0c" V4 "OPTIONS"), 3, NET_PROXY_V2, 28, "10.1.2.3:1234", "10.9.8.7:5070" },
	{ X(SIG "\x21\x12\0\x0c" V4), 2, 0, 0, NULL, NULL },
	{ X(SIG "\x20\0\0\0OPTIONS"), 1, NET_PROXY_V2, 16, NULL, NULL },
	{ X(SIG), 1, -EBADMSG, 0, NULL, NULL },
	{ X(SIG "\x21\x12\0\x0c" "\x0a\x01"), 1, -EBADMSG, 0, NULL, NULL },
	{ X(SIG "\x21\x11\0\x0c" V4), 1, -EBADMSG, 0, NULL, NULL },
	{ X("PROXY TCP4 10.1.2.3 10.9.8.7 1234 5070\r\n"), 3, 0, 0, NULL, NULL },
};
/* clang-format on */

/* What is taken off a datagram; and a simple header is written as it was read. */
START_TEST(in_front_of_datagrams)
{
	struct net_proxy p;
	struct diag why = { 0 };
	size_t n = datagrams[_i].in.n;
	char *mem = malloc(n ? n : 1), again[NET_PROXY_SIMPLE_BYTES];

	memcpy(mem, datagrams[_i].in.s, n);
	ck_assert_int_eq(net_proxy_datagram(datagrams[_i].kinds, str_of(mem, n), &p, &why), datagrams[_i].want);
	if (datagrams[_i].want < 0)
		ck_assert(why.text[0] != '\0');
	if (datagrams[_i].want > 0) {
		ck_assert_uint_eq(p.bytes, datagrams[_i].bytes);
		ck_assert_int_eq(p.known, datagrams[_i].src != NULL);
	}
	if (datagrams[_i].src) {
		is_addr(&p.src, datagrams[_i].src);
		is_addr(&p.dst, datagrams[_i].dst);
	}
	if (datagrams[_i].want == NET_PROXY_SIMPLE) {
		net_proxy_simple_build(&p.src, &p.dst, again);
		ck_assert_mem_eq(again, mem, sizeof(again));
	}
	free(mem);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("net_proxy");
	TCase *tc = tcase_create("headers");

	tcase_add_loop_test(tc, headers, 0, (int)ARRAY_LEN(vectors));
	tcase_add_loop_test(tc, in_front_of_datagrams, 0, (int)ARRAY_LEN(datagrams));
	tcase_add_loop_test(tc, cut, 0, (int)ARRAY_LEN(vectors));
	suite_add_tcase(s, tc);
	return s;
}
