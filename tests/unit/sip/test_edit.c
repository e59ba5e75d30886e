/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sip/sip_test.h"

#define START "OPTIONS sip:u@x SIP/2.0" CRLF
#define A "A: 1" CRLF
#define B "Via: SIP/2.0/UDP h;branch=z9hG4bK1" CRLF
#define C "C: 3" CRLF

static struct pool *pool;
static struct sip_msg msg;
static struct sip_edits edits;
static struct str in;

static void setup(void)
{
	pool = pool_new(1 << 20);
	memset(&edits, 0, sizeof(edits));
	in = exact(START A B C "l: 4" CRLF CRLF "body"
	                       "extra");
	ck_assert_int_eq(sip_msg_parse(pool, in, &msg, NULL), 0);
}

static void teardown(void)
{
	pool_free(pool);
	exact_free(in);
}

static const struct sip_hdr *hdr(const char *name)
{
	return sip_msg_hdr_named(&msg, str_lit(name), 0);
}

static void expect(const char *want)
{
	struct sip_forward fwd = { .ruri = STR_NULL };
	struct sip_out out;
	struct str text;

	ck_assert_int_eq(sip_build_request(pool, &msg, &edits, &fwd, false, &out), 0);
	text = joined(&out);
	ck_str(text, want);
	exact_free(text);
}

#define OK(call) ck_assert_int_eq((call), 0)

START_TEST(nothing)
{
	expect(START A B C "l: 4" CRLF CRLF "body");
}
END_TEST

START_TEST(order_of_insertions)
{
	OK(sip_edit_append(&edits, pool, &msg, STR_LIT("Y: 1" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_append(&edits, pool, &msg, STR_LIT("Y: 2" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_prepend(&edits, pool, &msg, STR_LIT("P: 1" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_prepend(&edits, pool, &msg, STR_LIT("P: 2" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_before(&edits, pool, &msg, SIP_H_VIA, STR_LIT("B: 1" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_before(&edits, pool, &msg, SIP_H_VIA, STR_LIT("B: 2" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_after(&edits, pool, &msg, SIP_H_VIA, STR_LIT("F: 1" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_after(&edits, pool, &msg, SIP_H_VIA, STR_LIT("F: 2" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_before(&edits, pool, &msg, SIP_H_FROM, STR_LIT("Y: 3" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_after(&edits, pool, &msg, SIP_H_FROM, STR_LIT("Y: 4" CRLF), SIP_EDIT_SCRIPT));
	expect(START "P: 1" CRLF "P: 2" CRLF A "B: 2" CRLF "B: 1" CRLF B "F: 1" CRLF "F: 2" CRLF C
	             "l: 4" CRLF "Y: 1" CRLF "Y: 2" CRLF "Y: 3" CRLF "Y: 4" CRLF CRLF "body");
}
END_TEST

START_TEST(remove_once_and_twice)
{
	ck_assert(!sip_edit_hdr_removed(&edits, hdr("A")));
	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("A"), SIP_EDIT_SCRIPT));
	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("A"), SIP_EDIT_SCRIPT));
	ck_assert_uint_eq(edits.n, 1);
	ck_assert(sip_edit_hdr_removed(&edits, hdr("A")));
	ck_assert(!sip_edit_hdr_removed(&edits, hdr("Via")));
	expect(START B C "l: 4" CRLF CRLF "body");
}
END_TEST

START_TEST(insertion_beside_a_removal_stays)
{
	OK(sip_edit_prepend(&edits, pool, &msg, STR_LIT("P: 1" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_after(&edits, pool, &msg, SIP_H_VIA, STR_LIT("F: 1" CRLF), SIP_EDIT_SCRIPT));
	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("A"), SIP_EDIT_SCRIPT));
	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("Via"), SIP_EDIT_SCRIPT));
	OK(sip_edit_before(&edits, pool, &msg, SIP_H_VIA, STR_LIT("B: 1" CRLF), SIP_EDIT_SCRIPT));
	expect(START "P: 1" CRLF "B: 1" CRLF "F: 1" CRLF C "l: 4" CRLF CRLF "body");
}
END_TEST

START_TEST(insertion_where_a_removal_starts)
{
	uint32_t off = hdr("C")->off;

	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("C"), SIP_EDIT_SCRIPT));
	for (int8_t order = -3; order <= 3; order++)
		OK(sip_edit_add(&edits, pool, &msg, off, 0, STR_LIT("#"), SIP_EDIT_SCRIPT, order));
	expect(START A B "#######l: 4" CRLF CRLF "body");
}
END_TEST

START_TEST(overlaps)
{
	struct str value = hdr("A")->value;

	/* a change inside what is gone already */
	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("A"), SIP_EDIT_SCRIPT));
	OK(sip_edit_replace(&edits, pool, &msg, value, STR_LIT("9"), SIP_EDIT_SCRIPT));
	expect(START B C "l: 4" CRLF CRLF "body");
	/* the other way round */
	edits = (struct sip_edits){ 0 };
	OK(sip_edit_replace(&edits, pool, &msg, value, STR_LIT("9"), SIP_EDIT_SCRIPT));
	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("A"), SIP_EDIT_SCRIPT));
	ck_assert_uint_eq(edits.n, 1);
	expect(START B C "l: 4" CRLF CRLF "body");
	/* the last of two replacements counts */
	edits = (struct sip_edits){ 0 };
	OK(sip_edit_replace(&edits, pool, &msg, value, STR_LIT("9"), SIP_EDIT_SCRIPT));
	OK(sip_edit_replace(&edits, pool, &msg, value, STR_LIT("10"), SIP_EDIT_SCRIPT));
	expect(START "A: 10" CRLF B C "l: 4" CRLF CRLF "body");
	/* half over the end, half over the beginning, around, within */
	edits = (struct sip_edits){ 0 };
	OK(sip_edit_add(&edits, pool, &msg, hdr("A")->off, 4, STR_NULL, SIP_EDIT_SCRIPT, 0));
	OK(sip_edit_add(&edits, pool, &msg, hdr("A")->off + 2, 4, STR_NULL, SIP_EDIT_SCRIPT, 0));
	ck_assert(sip_edit_hdr_removed(&edits, hdr("A")));
	expect(START B C "l: 4" CRLF CRLF "body");
	edits = (struct sip_edits){ 0 };
	OK(sip_edit_add(&edits, pool, &msg, hdr("A")->off + 2, 4, STR_NULL, SIP_EDIT_SCRIPT, 0));
	OK(sip_edit_add(&edits, pool, &msg, hdr("A")->off, 4, STR_NULL, SIP_EDIT_SCRIPT, 0));
	expect(START B C "l: 4" CRLF CRLF "body");
	edits = (struct sip_edits){ 0 };
	OK(sip_edit_add(&edits, pool, &msg, hdr("A")->off + 3, 1, STR_LIT("x"), SIP_EDIT_SCRIPT,
	                0));
	OK(sip_edit_add(&edits, pool, &msg, hdr("A")->off + 2, 3, STR_LIT("y"), SIP_EDIT_SCRIPT,
	                0));
	expect(START "A:y\n" B C "l: 4" CRLF CRLF "body");
}
END_TEST

START_TEST(bounds)
{
	ck_assert_int_eq(
	    sip_edit_add(&edits, pool, &msg, (uint32_t)in.n, 0, STR_LIT("x"), SIP_EDIT_SCRIPT, 0),
	    -EINVAL);
	ck_assert_int_eq(
	    sip_edit_add(&edits, pool, &msg, 0, UINT32_MAX, STR_LIT("x"), SIP_EDIT_SCRIPT, 0),
	    -EINVAL);
	ck_assert_int_eq(
	    sip_edit_add(&edits, pool, &msg, UINT32_MAX, 1, STR_LIT("x"), SIP_EDIT_SCRIPT, 0),
	    -EINVAL);
	ck_assert_int_eq(sip_edit_replace(&edits, pool, &msg, STR_LIT("elsewhere"), STR_LIT("x"),
	                                  SIP_EDIT_SCRIPT),
	                 -EINVAL);
	ck_assert_int_eq(
	    sip_edit_replace(&edits, pool, &msg, STR_NULL, STR_LIT("x"), SIP_EDIT_SCRIPT), -EINVAL);
	ck_assert_uint_eq(edits.n, 0);
}
END_TEST

START_TEST(undo)
{
	OK(sip_edit_append(&edits, pool, &msg, STR_LIT("Y: 1" CRLF), SIP_EDIT_RECORD_ROUTE));
	OK(sip_edit_remove_hdr(&edits, pool, &msg, hdr("A"), SIP_EDIT_SCRIPT));
	OK(sip_edit_append(&edits, pool, &msg, STR_LIT("Y: 2" CRLF), SIP_EDIT_RECORD_ROUTE));
	sip_edit_undo(&edits, SIP_EDIT_RECORD_ROUTE);
	ck_assert_uint_eq(edits.n, 1);
	expect(START B C "l: 4" CRLF CRLF "body");
	sip_edit_undo(&edits, SIP_EDIT_SCRIPT);
	ck_assert_ptr_null(edits.head);
}
END_TEST

START_TEST(body_edits)
{
	OK(sip_edit_add(&edits, pool, &msg, msg.body_off, 0, STR_LIT("some "), SIP_EDIT_BODY, 0));
	OK(sip_edit_add(&edits, pool, &msg, msg.body_off + 4, 0, STR_LIT("!"), SIP_EDIT_BODY, 0));
	expect(START A B C "l: 10" CRLF CRLF "some body!");
	edits.body_replaced = true;
	edits.new_body = STR_LIT("new");
	expect(START A B C "l: 3" CRLF CRLF "new");
	edits.new_body = STR_NULL;
	expect(START A B C "l: 0" CRLF CRLF);
}
END_TEST

START_TEST(start_line_edit)
{
	OK(sip_edit_replace(&edits, pool, &msg, msg.ruri, STR_LIT("sip:other@y"), SIP_EDIT_SCRIPT));
	expect("OPTIONS sip:other@y SIP/2.0" CRLF A B C "l: 4" CRLF CRLF "body");
}
END_TEST

/* Random edits against a slow model: a byte is dropped when any edit covered it, insertions that
 * survive are whole, and the list stays sorted without overlaps. */
START_TEST(random_edits)
{
	uint64_t seed = 1000 + (uint64_t)_i;
	bool dropped[256] = { false };
	char kept[256];
	size_t limit = msg.body_off + msg.body.n, n_kept = 0, n = 0;
	struct sip_forward fwd = { .ruri = STR_NULL };
	struct sip_out out;
	struct str text;

	for (unsigned i = 0; i < 12; i++) {
		uint32_t off =
		    msg.headers_off + next_random(&seed) % (msg.headers_end - msg.headers_off);
		uint32_t drop = next_random(&seed) % 3 ? next_random(&seed) % 12 : 0;

		if (off + drop > msg.headers_end)
			drop = msg.headers_end - off;
		OK(sip_edit_add(&edits, pool, &msg, off, drop,
		                next_random(&seed) % 2 ? STR_LIT("#") : STR_NULL, SIP_EDIT_SCRIPT,
		                (int8_t)(next_random(&seed) % 4 - 2)));
		for (uint32_t k = off; k < off + drop; k++)
			dropped[k] = true;
	}
	for (const struct sip_edit *e = edits.head; e && e->next; e = e->next) {
		ck_assert_uint_le(e->off, e->next->off);
		ck_assert_uint_le(e->off + e->drop,
		                  e->next->off +
		                      (e->drop == 0 || e->next->drop == 0 ? e->drop : 0));
	}
	for (size_t k = 0; k < limit; k++)
		if (!dropped[k] || k >= msg.headers_end)
			kept[n_kept++] = in.s[k];
	ck_assert_int_eq(sip_build_request(pool, &msg, &edits, &fwd, false, &out), 0);
	text = joined(&out);
	for (size_t k = 0; k < text.n; k++) {
		if (text.s[k] == '#')
			continue;
		ck_assert_uint_lt(n, n_kept);
		ck_assert_int_eq(text.s[k], kept[n++]);
	}
	ck_assert_uint_eq(n, n_kept);
	exact_free(text);
}
END_TEST

Suite *test_suite(void)
{
	TCase *t = tcase_create("edit");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing);
	tcase_add_test(t, order_of_insertions);
	tcase_add_test(t, remove_once_and_twice);
	tcase_add_test(t, insertion_beside_a_removal_stays);
	tcase_add_test(t, insertion_where_a_removal_starts);
	tcase_add_test(t, overlaps);
	tcase_add_test(t, bounds);
	tcase_add_test(t, undo);
	tcase_add_test(t, body_edits);
	tcase_add_test(t, start_line_edit);
	tcase_add_loop_test(t, random_edits, 0, 300);
	return suite_of("sip/edit", t);
}
