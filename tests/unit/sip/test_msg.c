/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

static struct pool *pool;
static struct sip_msg msg;

static void setup(void)
{
	pool = pool_new(1 << 20);
	memset(&msg, 0xa5, sizeof(msg));
}

static void teardown(void)
{
	pool_free(pool);
}

START_TEST(request_parts)
{
	struct str in = exact(sip_samples[1]);
	const struct sip_hdr *h;
	struct sip_addr_iter it = { 0 };
	struct sip_addr addr;

	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
	ck_assert_int_eq(sip_msg_check(&msg, NULL), 0);
	ck_assert_int_eq((int)msg.kind, SIP_REQUEST);
	ck_assert_int_eq((int)msg.method, SIP_M_INVITE);
	ck_str(msg.method_name, "INVITE");
	ck_str(msg.ruri, "sip:b@example.net;user=phone");
	ck_str(msg.version, "SIP/2.0");
	ck_str(msg.first_line, "INVITE sip:b@example.net;user=phone SIP/2.0");
	ck_str(msg.body, "v=0\r\n");
	ck_assert(msg.has_content_length && msg.content_length == 5 && msg.extra_bytes == 0);
	ck_assert_uint_eq(msg.n_hdrs, 12);
	ck_assert_ptr_eq(msg.body.s, in.s + msg.body_off);
	ck_assert_uint_eq(msg.body_off, msg.headers_end + 2);

	h = sip_msg_hdr(&msg, SIP_H_VIA);
	ck_str(h->name, "v");
	h = sip_msg_hdr_next(&msg, h);
	ck_str(h->name, "Via");
	ck_assert_ptr_null(sip_msg_hdr_next(&msg, h));
	ck_assert_uint_eq(sip_msg_hdr_count(&msg, STR_LIT("V")), 2);
	ck_assert_uint_eq(sip_msg_hdr_count(&msg, STR_LIT("x-odd")), 1);
	ck_assert_uint_eq(sip_msg_hdr_count(&msg, STR_LIT("x-odder")), 0);
	ck_assert_ptr_eq(sip_msg_hdr_named(&msg, STR_LIT("via"), -1), h);
	ck_assert_ptr_eq(sip_msg_hdr_named(&msg, STR_LIT("via"), 1), h);
	ck_assert_ptr_null(sip_msg_hdr_named(&msg, STR_LIT("via"), 2));
	ck_assert_ptr_null(sip_msg_hdr_named(&msg, STR_LIT("via"), -3));
	ck_str(sip_msg_hdr_named(&msg, STR_LIT("X-ODD"), 0)->value, "\x01\xff;;,,");
	ck_assert_ptr_null(sip_msg_hdr(&msg, SIP_H_EXPIRES));
	h = sip_msg_hdr(&msg, SIP_H_CSEQ);
	ck_str(str_sub(in, h->off, h->len), "CSeq: 7\r\n  INVITE\r\n");

	ck_str(sip_msg_via1(&msg)->host, "2001:db8::1");
	ck_str(sip_msg_via2(&msg)->host, "192.0.2.9");
	ck_str(sip_msg_ruri(&msg)->user, "b");
	ck_str(sip_msg_from(&msg)->display, "\"A \\\"quoted\\\" name\"");
	ck_str(sip_msg_from(&msg)->tag, "99");
	ck_str(sip_msg_to(&msg)->uri, "sip:b@example.net");
	ck_assert_uint_eq(sip_msg_cseq(&msg)->number, 7);
	ck_str(sip_msg_call_id(&msg), "x");
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_ROUTE, &it, &addr), 1);
	ck_str(addr.uri, "sip:p1.example.net;lr");
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_ROUTE, &it, &addr), 1);
	ck_str(addr.uri, "sip:p2.example.net;lr");
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_ROUTE, &it, &addr), 0);
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_ROUTE, &it, &addr), 0);
	exact_free(in);
}
END_TEST

START_TEST(reply_parts)
{
	struct str in = exact(sip_samples[2]);

	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
	ck_assert_int_eq(sip_msg_check(&msg, NULL), 0);
	ck_assert_int_eq((int)msg.kind, SIP_REPLY);
	ck_assert_uint_eq(msg.status, 180);
	ck_str(msg.reason, "Ringing");
	ck_assert_int_eq((int)msg.method, 0);
	ck_str(sip_msg_via2(&msg)->host, "10.0.0.2");
	ck_assert_ptr_null(sip_msg_ruri(&msg));
	ck_assert(!sip_msg_answerable(&msg));
	exact_free(in);
}
END_TEST

START_TEST(values_over_several_fields)
{
	struct str in = exact("REGISTER sip:x SIP/2.0\r\nm: <sip:1@x>, <sip:2@x>\r\nX: "
	                      "y\r\nContact:\r\nContact: *\r\nm: <sip:3\r\n\r\n");
	struct sip_addr_iter it = { 0 };
	struct sip_addr addr;

	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_CONTACT, &it, &addr), 1);
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_CONTACT, &it, &addr), 1);
	ck_str(addr.uri, "sip:2@x");
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_CONTACT, &it, &addr), 1);
	ck_assert(addr.star);
	ck_assert_int_eq(sip_msg_addr_next(&msg, SIP_H_CONTACT, &it, &addr), -EBADMSG);
	ck_assert_ptr_null(sip_msg_via1(&msg));
	ck_assert_ptr_null(sip_msg_via2(&msg));
	ck_assert_ptr_null(sip_msg_from(&msg));
	ck_assert_ptr_null(sip_msg_cseq(&msg));
	ck_assert_uint_eq(sip_msg_call_id(&msg).n, 0);
	exact_free(in);
}
END_TEST

/* Walking the Contacts finds the same before the check, which keeps the first, and after it. */
START_TEST(contacts_after_the_check)
{
	static const char *const fields[] = {
		"",
		"Contact: <sip:1@x>\r\n",
		"Contact: <sip:1@x>;q=0.5 , \"a, b\" <sip:2@x>\r\nm: sip:3@x\r\n",
		"Contact:\r\nContact: <sip:1@x>, sip:2@x\r\n",
		"Contact: , ,<sip:1@x>,\r\nContact: *\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct str uris[2][8], in;
		unsigned n[2] = { 0, 0 };
		char text[512];

		snprintf(text, sizeof(text),
		         "REGISTER sip:x SIP/2.0\r\nv: SIP/2.0/UDP x;branch=z9hG4bK1\r\nf: <sip:a@x>;tag=1\r\nt: <sip:a@x>\r\n"
		         "i: 1\r\nCSeq: 1 REGISTER\r\n%s\r\n",
		         fields[i]);
		in = exact(text);
		ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
		for (unsigned after = 0; after < 2; after++) {
			struct sip_addr_iter it = { 0 };
			struct sip_addr addr;

			while (sip_msg_addr_next(&msg, SIP_H_CONTACT, &it, &addr) > 0)
				uris[after][n[after]++] = addr.star ? addr.text : addr.uri;
			ck_assert_int_eq(sip_msg_check(&msg, NULL), 0);
		}
		ck_assert_uint_eq(n[0], n[1]);
		for (unsigned k = 0; k < n[0]; k++)
			ck_assert(str_eq(uris[0][k], uris[1][k]));
		pool_reset(pool);
		exact_free(in);
	}
}
END_TEST

START_TEST(extra_bytes)
{
	struct str in = exact("OPTIONS sip:x SIP/2.0\r\nContent-Length: 2\r\n\r\nabcdef");

	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
	ck_str(msg.body, "ab");
	ck_assert_uint_eq(msg.extra_bytes, 4);
	exact_free(in);
}
END_TEST

START_TEST(many_headers)
{
	char *text = malloc(64 + 6 * (SIP_MSG_HEADERS_MAX + 1));
	struct diag diag = { 0 };
	size_t n;

	for (unsigned extra = 0; extra < 2; extra++) {
		struct str in;

		memcpy(text, "OPTIONS sip:x SIP/2.0\r\n", 23);
		n = 23;
		for (unsigned i = 0; i < SIP_MSG_HEADERS_MAX + extra; i++) {
			memcpy(text + n, "X: y\r\n", 6);
			n += 6;
		}
		memcpy(text + n, "\r\n", 2);
		in = exact_n(text, n + 2);
		ck_assert_int_eq(sip_msg_parse(pool, in, &msg, &diag), extra ? -EMSGSIZE : 0);
		ck_assert_uint_eq(msg.n_hdrs, SIP_MSG_HEADERS_MAX);
		exact_free(in);
	}
	free(text);
}
END_TEST

/* The budget of the header table: what a message of 20 fields takes from its pool. */
START_TEST(pool_budget)
{
	struct str in = exact(sip_samples[1]);
	size_t before = pool_used(pool);

	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
	ck_assert_int_eq(sip_msg_check(&msg, NULL), 0);
	ck_assert_uint_le(pool_used(pool) - before, 2048);
	exact_free(in);
}
END_TEST

START_TEST(no_memory)
{
	struct str in = exact(sip_samples[0]);
	struct pool *tiny = pool_new(64);
	struct diag diag = { 0 };

	ck_assert_int_eq(sip_msg_parse(tiny, in, &msg, &diag), -EMSGSIZE);
	ck_assert(!sip_msg_answerable(&msg));
	pool_free(tiny);
	exact_free(in);
}
END_TEST

/* Bytes flipped, taken out and doubled at random: no crash, no byte read too far, no view out of
 * the buffer. */
START_TEST(random_damage)
{
	static const char odd[] = "\r\n\t :;,\"<>@=\\%[]?&*/0\xff";
	uint64_t seed = 77 + (uint64_t)_i;

	for (unsigned round = 0; round < 600; round++) {
		struct str in = exact(sip_samples[_i]);
		char *p = (char *)(uintptr_t)in.s;
		unsigned n = 1 + next_random(&seed) % 4;

		while (n-- > 0) {
			size_t at = next_random(&seed) % in.n;

			switch (next_random(&seed) % 3) {
			case 0:
				p[at] = odd[next_random(&seed) % sizeof(odd)];
				break;
			case 1:
				p[at] = (char)next_random(&seed);
				break;
			default:
				memmove(p + at, p + at + 1, in.n - at - 1);
				break;
			}
		}
		if (sip_msg_parse(pool, in, &msg, NULL) == 0) {
			(void)!sip_msg_check(&msg, NULL);
			(void)sip_msg_via2(&msg);
			ck_assert(msg.body.n == 0 ||
			          (msg.body.s >= in.s && msg.body.s + msg.body.n <= in.s + in.n));
			for (unsigned i = 0; i < msg.n_hdrs; i++)
				ck_assert(msg.hdrs[i].off + msg.hdrs[i].len <= msg.buf.n);
		}
		(void)sip_msg_answerable(&msg);
		pool_reset(pool);
		exact_free(in);
	}
}
END_TEST

/* clang-format off */
static const struct { const char *line; bool on; unsigned status; const char *version, *reason; } http_lines[] = {
	{ "HTTP/1.1 200 OK",          true,  200, "HTTP/1.1", "OK" },
	{ "http/1.0 404 Not Found",   true,  404, "http/1.0", "Not Found" },
	{ "HTTP/2 503 ",              true,  503, "HTTP/2",   "" },
	{ "SIP/2.0 180 Ringing",      true,  180, "SIP/2.0",  "Ringing" },
	{ "HTTP/1.1 200 OK",          false, 0,   "",         "" },
	{ "HTTP/1.1 200",             true,  0,   "",         "" },
	{ "HTTP/1.1  200 OK",         true,  0,   "",         "" },
	{ "HTTP/1.1 20 OK",           true,  0,   "",         "" },
	{ "HTTP/1.1 2000 OK",         true,  0,   "",         "" },
	{ "HTTP/1.1 099 OK",          true,  0,   "",         "" },
	{ "HTTP/1.1 700 OK",          true,  0,   "",         "" },
	{ "HTTP/ 200 OK",             true,  0,   "",         "" },
	{ "HTTP/1. 200 OK",           true,  0,   "",         "" },
	{ "HTTP/11 200 OK",           true,  0,   "",         "" },
	{ "HTTPS/1.1 200 OK",         true,  0,   "",         "" },
	{ "HTTP/",                    true,  0,   "",         "" },
};
/* clang-format on */

#define REPLY_FIELDS CRLF "Via: SIP/2.0/UDP h;branch=z9hG4bK1" CRLF "From: <sip:a@b>;tag=1" CRLF "To: <sip:a@b>;tag=2" CRLF "Call-ID: 1" CRLF "CSeq: 1 OPTIONS" CRLF CRLF

START_TEST(http_replies)
{
	char text[512];
	struct str in;

	snprintf(text, sizeof(text), "%s" REPLY_FIELDS, http_lines[_i].line);
	in = exact(text);
	sip_msg_rules(http_lines[_i].on ? SIP_HTTP_REPLIES : 0);
	if (http_lines[_i].status == 0) {
		ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), -EBADMSG);
		ck_assert(!sip_msg_answerable(&msg));
	} else {
		ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
		ck_assert_int_eq(sip_msg_check(&msg, NULL), 0);
		ck_assert_int_eq((int)msg.kind, SIP_REPLY);
		ck_assert_uint_eq(msg.status, http_lines[_i].status);
		ck_str(msg.version, http_lines[_i].version);
		ck_str(msg.reason, http_lines[_i].reason);
	}
	sip_msg_rules(0);
	exact_free(in);
}
END_TEST

/* clang-format off */
static const struct { const char *field; bool strict, lax; } repeats[] = { /* behind a whole request: whether it is taken */
	{ "i: 2",                   false, true },
	{ "Call-ID: 1",             false, true },
	{ "CSeq: 2 INVITE",         false, true },
	{ "CSeq: rubbish",          false, true },
	{ "From: <sip:x@y>;tag=9",  false, true },
	{ "t: <sip:x@y>",           false, true },
	{ "Content-Length: 1",      false, true },
	{ "Content-Length: 0",      true,  true },
	{ "Content-Length: x",      false, false },
	{ "Max-Forwards: 9",        false, false },
	{ "Expires: 2",             true,  true },
};
/* clang-format on */

START_TEST(repeated_fields)
{
	for (unsigned lax = 0; lax < 2; lax++) {
		char text[512];
		struct str in;
		int err;

		snprintf(text, sizeof(text), "OPTIONS sip:x SIP/2.0" CRLF "Via: SIP/2.0/UDP h;branch=z9hG4bK1" CRLF "Max-Forwards: 70" CRLF "From: <sip:a@b>;tag=1" CRLF
		         "To: <sip:a@b>" CRLF "Call-ID: 1" CRLF "CSeq: 1 OPTIONS" CRLF "Expires: 1" CRLF "Content-Length: 0" CRLF "%s" CRLF CRLF "x", repeats[_i].field);
		in = exact(text);
		sip_msg_rules(lax ? SIP_REPEATS : 0);
		err = sip_msg_parse(pool, in, &msg, NULL);
		if (err == 0)
			err = sip_msg_check(&msg, NULL);
		ck_assert_int_eq(err, (lax ? repeats[_i].lax : repeats[_i].strict) ? 0 : -EBADMSG);
		if (err == 0) {
			ck_str(sip_msg_call_id(&msg), "1");
			ck_str(sip_msg_from(&msg)->tag, "1");
			ck_str(sip_msg_to(&msg)->uri, "sip:a@b");
			ck_assert_uint_eq(sip_msg_cseq(&msg)->number, 1);
			ck_assert_uint_eq(msg.body.n, 0);
		}
		pool_reset(pool);
		exact_free(in);
	}
	sip_msg_rules(0);
}
END_TEST

/* clang-format off */
static const struct { const char *field; bool ok; } tags[] = { /* the rest of From, and of To */
	{ ";tag=1", true }, { "", true }, { ";tag=a=b@c/d!\xc3\xa4", true }, { ";tag=\"q\"", true }, { ";tag=1;x=\"a,b\"", true },
	{ ";tag=1>,<sip:evil", false }, { ";tag=1,<sip:c@d>;tag=2", false }, { ";tag=\"1;lr>,<sip:evil\"", false }, { ";tag=\"a b\"", false }, { ";tag=\"a\\\"b\"", false },
};
/* clang-format on */

START_TEST(tag_stays_one)
{
	for (unsigned to = 0; to < 2; to++) {
		char text[512];
		struct str in;

		snprintf(text, sizeof(text), "OPTIONS sip:x SIP/2.0" CRLF "Via: SIP/2.0/UDP h;branch=z9hG4bK1" CRLF "From: <sip:a@b>%s" CRLF "To: <sip:a@b>%s" CRLF
		         "Call-ID: 1" CRLF "CSeq: 1 OPTIONS" CRLF CRLF, to ? "" : tags[_i].field, to ? tags[_i].field : "");
		in = exact(text);
		ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
		ck_assert_int_eq(sip_msg_check(&msg, NULL), tags[_i].ok ? 0 : -EBADMSG);
		pool_reset(pool);
		exact_free(in);
	}
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("msg");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, request_parts);
	tcase_add_test(t, reply_parts);
	tcase_add_test(t, values_over_several_fields);
	tcase_add_test(t, contacts_after_the_check);
	tcase_add_test(t, extra_bytes);
	tcase_add_test(t, many_headers);
	tcase_add_test(t, pool_budget);
	tcase_add_test(t, no_memory);
	tcase_add_loop_test(t, random_damage, 0, ARRAY_LEN(sip_samples));
	tcase_add_loop_test(t, repeated_fields, 0, ARRAY_LEN(repeats));
	tcase_add_loop_test(t, tag_stays_one, 0, ARRAY_LEN(tags));
	tcase_add_loop_test(t, http_replies, 0, ARRAY_LEN(http_lines));
	return suite_of("sip/msg", t);
}
