/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

#define HEAD "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\n"

/* clang-format off */
static const struct { const char *in; bool no_cl_ok; int64_t want; int kind; } vectors[] = {
	{ HEAD "Content-Length: 0\r\n\r\n", false, sizeof(HEAD "Content-Length: 0\r\n\r\n") - 1, SIP_FRAME_MSG },
	{ HEAD "Content-Length: 3\r\n\r\nabcNEXT", false, sizeof(HEAD "Content-Length: 3\r\n\r\nabc") - 1, SIP_FRAME_MSG },
	{ HEAD "l:3\r\n\r\nabcNEXT", false, sizeof(HEAD "l:3\r\n\r\nabc") - 1, SIP_FRAME_MSG },
	{ HEAD "CONTENT-length \t:\r\n 003\r\n\r\nabc", false, sizeof(HEAD "CONTENT-length \t:\r\n 003\r\n\r\nabc") - 1, SIP_FRAME_MSG },
	{ HEAD "l: 2\r\nContent-Length: 2\r\n\r\nabc", false, sizeof(HEAD "l: 2\r\nContent-Length: 2\r\n\r\nab") - 1, SIP_FRAME_MSG },
	{ HEAD "l: 1\n\nabc", false, sizeof(HEAD "l: 1\n\na") - 1, SIP_FRAME_MSG },
	{ HEAD "\r\n", true, sizeof(HEAD "\r\n") - 1, SIP_FRAME_MSG },
	{ HEAD "\r\n", false, -EBADMSG, 0 },
	{ HEAD "l: 2\r\nl: 3\r\n\r\nabc", false, -EBADMSG, 0 },
	{ HEAD "l: -1\r\n\r\n", false, -EBADMSG, 0 },
	{ HEAD "l: +1\r\n\r\n", false, -EBADMSG, 0 },
	{ HEAD "l: 1 2\r\n\r\n", false, -EBADMSG, 0 },
	{ HEAD "l: 0x10\r\n\r\n", false, -EBADMSG, 0 },
	{ HEAD "l:\r\n\r\n", false, -EBADMSG, 0 },
	{ HEAD "l: 18446744073709551617\r\n\r\n", false, -EBADMSG, 0 },
	{ HEAD "l: 4294967296\r\n\r\n", false, -EMSGSIZE, 0 },
	{ HEAD "l: 2000\r\n\r\n", false, -EMSGSIZE, 0 },
	{ HEAD "l: 5\r\n\r\nabc", false, -ENODATA, 0 },
	{ HEAD "X: l: 7\r\n l: 8\r\nl: 0\r\n\r\n", false, sizeof(HEAD "X: l: 7\r\n l: 8\r\nl: 0\r\n\r\n") - 1, SIP_FRAME_MSG },
	{ HEAD, false, -ENODATA, 0 },
	{ "\r\n", false, 2, SIP_FRAME_PONG },
	{ "\r\n\r\n", false, 4, SIP_FRAME_PING },
	{ "\r\n\r\n\r\n", false, 4, SIP_FRAME_PING },
	{ "\r\n" HEAD, false, 2, SIP_FRAME_PONG },
	{ "\r", false, -ENODATA, 0 },
	{ "\rx", false, -EBADMSG, 0 },
	{ "\x16\x03\x01\x02\x00\x01", false, -EBADMSG, 0 }, /* TLS to a plain port */
	{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, -EBADMSG, 0 },
	{ " " HEAD, false, -EBADMSG, 0 },
	{ "", false, -ENODATA, 0 },
};
/* clang-format on */

#define MAX_BYTES 1000

START_TEST(frame_vectors)
{
	struct str in = exact(vectors[_i].in);
	struct sip_frame f = { 0 };
	enum sip_frame_kind kind;
	int64_t n = sip_frame_next(&f, in, MAX_BYTES, vectors[_i].no_cl_ok, &kind, NULL);

	ck_assert_msg(n == vectors[_i].want, "%lld instead of %lld", (long long)n,
	              (long long)vectors[_i].want);
	if (n > 0)
		ck_assert_int_eq((int)kind, vectors[_i].kind);
	exact_free(in);
}
END_TEST

/* Byte by byte gives the same as all at once, and never a wrong answer early. */
START_TEST(frame_byte_by_byte)
{
	size_t len = strlen(vectors[_i].in);
	struct sip_frame f = { 0 };
	enum sip_frame_kind kind = SIP_FRAME_MSG;
	int64_t n = -ENODATA;

	for (size_t i = 0; i <= len && n == -ENODATA; i++) {
		struct str in = exact_n(vectors[_i].in, i);

		n = sip_frame_next(&f, in, MAX_BYTES, vectors[_i].no_cl_ok, &kind, NULL);
		exact_free(in);
	}
	if (vectors[_i].want == 4 && len >= 4) /* a ping in halves: a pong, and then the ping */
		ck_assert(n == 2 && kind == SIP_FRAME_PONG);
	else
		ck_assert_msg(n == vectors[_i].want, "%lld", (long long)n);
}
END_TEST

/* A stream of messages and keepalives, cut at random: the same frames come out, pings are answered
 * once. */
START_TEST(frame_random_splits)
{
	static const char *const parts[] = {
		HEAD "l: 3\r\n\r\nabc",
		"\r\n\r\n",
		HEAD "l: 0\r\n\r\n",
		"\r\n",
		HEAD "Content-Length: 6\r\n\r\n\r\n\r\n\r\n",
		"\r\n\r\n",
		"\r\n\r\n",
		HEAD "l: 1\n\n\n",
	};
	char stream[1024];
	size_t len = 0, from = 0, to = 0, n_msgs = 0, n_pings = 0;
	uint64_t seed = (uint64_t)_i;
	struct sip_frame f = { 0 };
	enum sip_frame_kind kind;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		memcpy(stream + len, parts[i], strlen(parts[i]));
		len += strlen(parts[i]);
	}
	while (from < len) {
		struct str in = exact_n(stream + from, to - from);
		int64_t n = sip_frame_next(&f, in, MAX_BYTES, false, &kind, NULL);

		exact_free(in);
		if (n == -ENODATA) {
			ck_assert_uint_lt(to, len);
			to += 1 + next_random(&seed) % (_i % 2 ? 1 : 40);
			to = to < len ? to : len;
			continue;
		}
		ck_assert_int_gt(n, 0);
		n_msgs += kind == SIP_FRAME_MSG;
		n_pings += kind == SIP_FRAME_PING;
		from += (size_t)n;
		sip_frame_reset(&f);
	}
	ck_assert_uint_eq(from, len);
	ck_assert_uint_eq(n_msgs, 4);
	ck_assert_uint_eq(n_pings, 3);
}
END_TEST

START_TEST(frame_header_too_long)
{
	struct str in = exact(HEAD "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	struct sip_frame f = { 0 };
	enum sip_frame_kind kind;

	ck_assert_int_eq(sip_frame_next(&f, in, in.n, false, &kind, NULL), -EMSGSIZE);
	sip_frame_reset(&f);
	ck_assert_int_eq(sip_frame_next(&f, in, in.n + 1, false, &kind, NULL), -ENODATA);
	exact_free(in);
}
END_TEST

/* The parser finds the body where the frame did. */
START_TEST(frame_agrees_with_parser)
{
	struct str in = exact(sip_samples[_i]);
	struct pool *pool = pool_new(1 << 20);
	struct sip_frame f = { 0 };
	struct sip_msg msg;
	enum sip_frame_kind kind;

	ck_assert_int_eq(sip_frame_next(&f, in, 65535, false, &kind, NULL), (int64_t)in.n);
	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
	ck_assert_uint_eq(msg.body_off, f.body_off);
	ck_assert_uint_eq(msg.body_off + msg.body.n, f.total);
	pool_free(pool);
	exact_free(in);
}
END_TEST

/* Whatever the mode of the parser: where the next message begins is never a matter of taste. */
START_TEST(lengths_that_differ)
{
	struct str in = exact(HEAD "l: 2\r\nl: 3\r\n\r\nabc");
	struct sip_frame f = { 0 };
	enum sip_frame_kind kind;

	sip_msg_rules(SIP_REPEATS);
	ck_assert_int_eq(sip_frame_next(&f, in, MAX_BYTES, false, &kind, NULL), -EBADMSG);
	sip_msg_rules(0);
	exact_free(in);
}
END_TEST

#define HTTP_HEAD "HTTP/1.1 200 OK\r\nCall-ID: 1\r\n"

START_TEST(http_replies)
{
	static const char two[] = HTTP_HEAD "l: 3\r\n\r\nabc" HEAD "l: 0\r\n\r\n";
	struct str in = exact(two);
	struct sip_frame f = { 0 };
	enum sip_frame_kind kind;

	ck_assert_int_eq(sip_frame_next(&f, in, MAX_BYTES, false, &kind, NULL), -EBADMSG);
	sip_msg_rules(SIP_HTTP_REPLIES);
	f = (struct sip_frame){ 0 };
	ck_assert_int_eq(sip_frame_next(&f, in, MAX_BYTES, false, &kind, NULL), sizeof(HTTP_HEAD "l: 3\r\n\r\nabc") - 1);
	ck_assert_int_eq((int)kind, SIP_FRAME_MSG);
	exact_free(in);
	/* requests of HTTP are none, and the length has to be there, once */
	for (unsigned i = 0; i < 3; i++) {
		static const char *const bad[] = { "GET / HTTP/1.1\r\nl: 0\r\n\r\n", HTTP_HEAD "\r\n", HTTP_HEAD "l: 0\r\nl: 1\r\n\r\n" };

		in = exact(bad[i]);
		f = (struct sip_frame){ 0 };
		ck_assert_int_eq(sip_frame_next(&f, in, MAX_BYTES, false, &kind, NULL), -EBADMSG);
		exact_free(in);
	}
	sip_msg_rules(0);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("frame");

	tcase_add_loop_test(t, frame_vectors, 0, ARRAY_LEN(vectors));
	tcase_add_loop_test(t, frame_byte_by_byte, 0, ARRAY_LEN(vectors));
	tcase_add_loop_test(t, frame_random_splits, 0, 40);
	tcase_add_test(t, frame_header_too_long);
	tcase_add_loop_test(t, frame_agrees_with_parser, 0, ARRAY_LEN(sip_samples));
	tcase_add_test(t, lengths_that_differ);
	tcase_add_test(t, http_replies);
	return suite_of("sip/frame", t);
}
