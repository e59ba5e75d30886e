/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "core/net/dns.h"
#include "tests/lib/test_main.h"

#define HEAD(answers) "\x12\x34\x81\x80\x00\x01\x00" answers "\x00\x00\x00\x00"
#define QUESTION(type)                                                                             \
	"\x01"                                                                                     \
	"a"                                                                                        \
	"\x04"                                                                                     \
	"test"                                                                                     \
	"\x00\x00" type "\x00\x01"
#define RR(name, type, ttl, len) name "\x00" type "\x00\x01" ttl "\x00" len
#define BYTES(x) x, sizeof(x) - 1

/* clang-format off */
static const struct vector {
	const char *name, *bytes; size_t n; enum dns_type type; int err, set_err; unsigned n_rr, ttl; const char *first;
} vectors[] = {
	{ "one address", BYTES(HEAD("\x01") QUESTION("\x01") RR("\xc0\x0c", "\x01", "\x00\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03"), DNS_A, 0, 0, 1, 60, NULL },
	{ "none", BYTES(HEAD("\x00") QUESTION("\x01")), DNS_A, 0, -ENOENT, 0, UINT32_MAX, NULL },
	{ "alias first", BYTES(HEAD("\x02") QUESTION("\x01") RR("\xc0\x0c", "\x05", "\x00\x00\x00\x05", "\x04") "\x01" "b\xc0\x0e"
		RR("\x01" "B\xc0\x0e", "\x01", "\x00\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03"), DNS_A, 0, 0, 1, 5, NULL },
	{ "somebody else's", BYTES(HEAD("\x01") QUESTION("\x01") RR("\x01" "b\xc0\x0e", "\x01", "\x00\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03"), DNS_A, 0, -ENOENT, 0, UINT32_MAX, NULL },
	{ "srv", BYTES(HEAD("\x01") QUESTION("\x21") RR("\xc0\x0c", "\x21", "\x00\x00\x00\x3c", "\x0a") "\x00\x01\x00\x02\x13\xc4\x01" "h\xc0\x0e"), DNS_SRV, 0, 0, 1, 60, "h.test" },
	{ "naptr", BYTES(HEAD("\x01") QUESTION("\x23") RR("\xc0\x0c", "\x23", "\x00\x00\x00\x3c", "\x13") "\x00\x01\x00\x02\x01S\x07SIP+D2T\x00\x01" "h\xc0\x0e"), DNS_NAPTR, 0, 0, 1, 60, "h.test" },
	{ "naptr of others", BYTES(HEAD("\x01") QUESTION("\x23") RR("\xc0\x0c", "\x23", "\x00\x00\x00\x3c", "\x13") "\x00\x01\x00\x02\x01u\x07" "E2U+sip\x00\x01" "h\xc0\x0e"), DNS_NAPTR, 0, -ENOENT, 0, UINT32_MAX, NULL },
	{ "lifetime over 31 bits", BYTES(HEAD("\x01") QUESTION("\x01") RR("\xc0\x0c", "\x01", "\xff\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03"), DNS_A, 0, 0, 1, 0, NULL },
	{ "pointer to itself", BYTES(HEAD("\x01") QUESTION("\x01") RR("\xc0\x18", "\x01", "\x00\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03"), DNS_A, -EBADMSG, 0, 0, 0, NULL },
	{ "pointer forwards", BYTES(HEAD("\x01") QUESTION("\x01") RR("\xc0\x40", "\x01", "\x00\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03"), DNS_A, -EBADMSG, 0, 0, 0, NULL },
	{ "length of address", BYTES(HEAD("\x01") QUESTION("\x01") RR("\xc0\x0c", "\x01", "\x00\x00\x00\x3c", "\x03") "\x0a\x01\x02"), DNS_A, -EBADMSG, 0, 0, 0, NULL },
	{ "cut off", BYTES(HEAD("\x02") QUESTION("\x01") RR("\xc0\x0c", "\x01", "\x00\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03"), DNS_A, -EBADMSG, 0, 0, 0, NULL },
	{ "two questions", BYTES("\x12\x34\x81\x80\x00\x02\x00\x00\x00\x00\x00\x00" QUESTION("\x01") QUESTION("\x01")), DNS_A, -EBADMSG, 0, 0, 0, NULL },
};
/* clang-format on */

/* The exact size on the heap, so that the sanitizer sees a read behind the end. */
static int parse(const char *bytes, size_t n, enum dns_type type, struct dns_set *set)
{
	uint8_t *p = malloc(n ? n : 1);
	int err;

	ck_assert_ptr_nonnull(p);
	memcpy(p, bytes, n);
	err = dns_answer_parse(p, n, type, set);
	free(p);
	return err;
}

START_TEST(answers)
{
	const struct vector *v = &vectors[_i];
	struct dns_set set;

	ck_assert_msg(parse(v->bytes, v->n, v->type, &set) == v->err, "%s", v->name);
	if (v->err == 0) {
		ck_assert_int_eq(set.err, v->set_err);
		ck_assert_uint_eq(set.n, v->n_rr);
		ck_assert_uint_eq(set.ttl_s, v->ttl);
		if (v->first)
			ck_assert(
			    str_eq(str_of(set.rr[0].name, set.rr[0].name_n), str_lit(v->first)));
	}
	/* every shorter prefix, and every changed byte, is read without harm */
	for (size_t n = 0; n < v->n; n++)
		(void)!parse(v->bytes, n, v->type, &set);
	for (size_t i = 0; i < v->n; i++) {
		char *p = malloc(v->n);

		memcpy(p, v->bytes, v->n);
		for (int b = 0; b < 256; b += 7) {
			p[i] = (char)b;
			(void)!parse(p, v->n, v->type, &set);
		}
		free(p);
	}
}
END_TEST

START_TEST(many)
{
	struct dns_set set;
	char buf[2000];
	size_t n = 0;
	static const char head[] = HEAD("\x14") QUESTION("\x01"),
			  rr[] =
			      RR("\xc0\x0c", "\x01", "\x00\x00\x00\x3c", "\x04") "\x0a\x01\x02\x03";

	memcpy(buf, head, sizeof(head) - 1);
	n = sizeof(head) - 1;
	for (unsigned i = 0; i < 20; i++, n += sizeof(rr) - 1)
		memcpy(buf + n, rr, sizeof(rr) - 1);
	ck_assert_int_eq(parse(buf, n, DNS_A, &set), 0);
	ck_assert_uint_eq(set.n, DNS_RRS_MAX);
}
END_TEST

Suite *test_suite(void)
{
	Suite *s = suite_create("dns_msg");
	TCase *tc = tcase_create("dns_msg");

	tcase_add_loop_test(tc, answers, 0, ARRAY_LEN(vectors));
	tcase_add_test(tc, many);
	suite_add_tcase(s, tc);
	return s;
}
